//! PyTorch's CPU random stream, word for word, as a generator of the `rand` family. It is a value: no
//! hidden global state, and a clone continues on its own. Not for cryptography.

mod jump;
mod mt19937;
mod normal;
mod permutation;

use std::convert::Infallible;

use rand::{SeedableRng, TryRng};

use crate::error::{Error, Result};
pub(crate) use mt19937::temper;

use mt19937::Mt19937;
use normal::box_muller_16;
pub(crate) use permutation::Permutation;

/// The stream that PyTorch's CPU generator gives after `torch.manual_seed`.
///
/// Every method consumes exactly the words that the PyTorch call of that name consumes, so laws, initial
/// weights and data come out as there, seed for seed.
///
/// ```
/// use ntgram_engine::rng::TorchRng;
///
/// // torch.manual_seed(0); torch.rand(3)
/// let mut rng = TorchRng::new(0);
/// assert_eq!(rng.uniform_vec(3, 0.0, 1.0)?, [0.49625659, 0.76822180, 0.08847743]);
/// # Ok::<(), ntgram_engine::Error>(())
/// ```
#[derive(Clone)]
pub struct TorchRng {
    words: Mt19937,
    /// Second normal of the last Box–Muller pair, if it was not given out yet.
    kept_normal: Option<f64>,
}

/// Whether they give the same draws from here on, however each got there.
impl PartialEq for TorchRng {
    fn eq(&self, other: &Self) -> bool {
        let next_words = |rng: &Self| {
            let mut words = [0; mt19937::STATE];
            rng.words.clone().fill_raw(&mut words);
            words
        };
        self.kept_normal == other.kept_normal && next_words(self) == next_words(other)
    }
}

impl std::fmt::Debug for TorchRng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TorchRng").field("next", &self.words.next).finish_non_exhaustive()
    }
}

/// Skips of this many words or more jump; below, going through the blocks is as fast.
const JUMP_FROM: u64 = 1 << 23;

/// 53 low bits of a 64-bit draw as a double in [0, 1).
#[inline]
pub(crate) fn unit_f64(draw: u64) -> f64 {
    (draw & ((1 << 53) - 1)) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// `exponential_(1)` from a 53-bit uniform.
#[inline]
pub(crate) fn exponential(u: f64) -> f32 {
    -(-u).ln_1p() as f32
}

impl TorchRng {
    /// The generator after `torch.manual_seed(seed)`. Only `seed mod 2^32` matters, as there.
    pub fn new(seed: u64) -> Self {
        Self { words: Mt19937::new(seed as u32), kept_normal: None }
    }

    /// The generator as the original's `train(…, seed)` leaves it: seeded, then the two 64-bit draws of the
    /// data loader (the second of which seeds the shuffle).
    pub fn after_training(seed: u64) -> Self {
        let mut rng = Self::new(seed);
        rng.loader_seed();
        rng
    }

    /// What PyTorch's `DataLoader(shuffle=True)` draws at the start of each pass over the data: a 64-bit draw that is not used, and the seed
    /// of the generator whose `randperm` is the order.
    pub(crate) fn loader_seed(&mut self) -> u64 {
        self.random_i64();
        self.random_i64() as u64
    }

    /// The next 32-bit word.
    #[inline]
    pub fn next_word(&mut self) -> u32 {
        self.words.next_word()
    }

    /// The next 64-bit draw: two words, the first in the high half.
    #[inline]
    pub fn draw64(&mut self) -> u64 {
        let high = self.next_word();
        (u64::from(high) << 32) | u64::from(self.next_word())
    }

    /// Passes over the next `words` words. A few milliseconds at most, however many they are.
    pub fn skip(&mut self, words: u64) {
        if words < JUMP_FROM {
            self.words.step(words);
        } else {
            jump::jump(&mut self.words, words);
        }
    }

    /// Fills `out` with the next words as they are before the generator's output function, [`temper`].
    pub(crate) fn fill_raw(&mut self, out: &mut [u32]) {
        self.words.fill_raw(out);
    }

    /// `random_()` on an int64 scalar: uniform on `0..2^63`. One 64-bit draw.
    pub fn random_i64(&mut self) -> i64 {
        (self.draw64() & (u64::MAX >> 1)) as i64
    }

    /// One value of `uniform_(a, b)` in float32, rounded once as PyTorch's kernels do from AVX2 on. One word.
    #[inline]
    pub fn uniform(&mut self, a: f64, b: f64) -> f32 {
        let (a, b) = (a as f32, b as f32);
        let unit = (self.next_word() & 0x00ff_ffff) as f32 * (1.0 / 16_777_216.0);
        unit.mul_add(b - a, a)
    }

    /// `uniform_(a, b)` on a float32 tensor of `len` values. One word each.
    ///
    /// # Errors
    /// More values than memory holds; ends that are no finite float32 numbers, or `b` below `a`.
    pub fn uniform_vec(&mut self, len: usize, a: f64, b: f64) -> Result<Vec<f32>> {
        let (from, to) = (a as f32, b as f32);
        if !from.is_finite() {
            return Err(Error::argument("a", a, "it must be a finite float32 number"));
        }
        if !(to >= from && (to - from).is_finite()) {
            return Err(Error::argument(
                "b",
                b,
                format!("it must be at least `a`, {a}, and a finite distance from it"),
            ));
        }
        let mut values = room("len", len)?;
        values.extend((0..len).map(|_| self.uniform(a, b)));
        Ok(values)
    }

    /// `exponential_(1)` on a float32 scalar. One 64-bit draw.
    #[inline]
    pub fn exponential(&mut self) -> f32 {
        exponential(unit_f64(self.draw64()))
    }

    /// `randperm(n)`: a permutation of `0..n`, `n − 1` words.
    ///
    /// # Errors
    /// `n` above [`MOST_PERMUTED`], from where on PyTorch draws differently, or more than memory holds.
    pub fn randperm(&mut self, n: u32) -> Result<Vec<u32>> {
        if n as usize > MOST_PERMUTED {
            return Err(Error::argument("n", n, format!("PyTorch draws differently above {MOST_PERMUTED}")));
        }
        let mut p = room("n", n as usize)?;
        p.extend(0..n);
        let mut permutation = Permutation::new(self.clone());
        permutation.advance(&mut p, n as usize);
        *self = permutation.into_rng();
        Ok(p)
    }

    /// `randn(len)` in float32. Fewer than 16 values: pairs in double precision, one 64-bit draw a value, and the second of
    /// a pair is kept for the next such call. From 16 values on: one word a value in blocks of 16, and a tail that is no full
    /// block draws the last 16 values again.
    ///
    /// # Errors
    /// More values than memory holds.
    pub fn randn(&mut self, len: usize) -> Result<Vec<f32>> {
        if len < 16 {
            return Ok((0..len).map(|_| self.normal() as f32).collect());
        }
        let mut values = self.uniform_vec(len, 0.0, 1.0)?;
        for block in values.chunks_exact_mut(16) {
            box_muller_16(block);
        }
        if !len.is_multiple_of(16) {
            let tail = &mut values[len - 16..];
            tail.fill_with(|| self.uniform(0.0, 1.0));
            box_muller_16(tail);
        }
        Ok(values)
    }

    /// One normal in double precision; the second of each pair is kept.
    fn normal(&mut self) -> f64 {
        if let Some(kept) = self.kept_normal.take() {
            return kept;
        }
        let (u1, u2) = (unit_f64(self.draw64()), unit_f64(self.draw64()));
        let radius = (-2.0 * (-u2).ln_1p()).sqrt();
        let theta = 2.0 * std::f64::consts::PI * u1;
        self.kept_normal = Some(radius * theta.sin());
        radius * theta.cos()
    }

    /// `multinomial(weights, m, replacement=True)`: `m` indices, one 53-bit uniform each (`m = 1`: as
    /// [`multinomial_one`](Self::multinomial_one)). The weights need not sum to 1.
    ///
    /// # Errors
    /// No weights, a weight that is negative or not finite, a sum of 0 or one that is not finite; more draws than memory holds.
    pub fn multinomial_with_replacement(&mut self, weights: &[f32], m: usize) -> Result<Vec<u32>> {
        if m == 1 {
            return Ok(vec![self.multinomial_one(weights)?]);
        }
        check_weights(weights)?;
        let cumulative = cumulative(weights);
        let mut drawn = room("m", m)?;
        drawn.extend((0..m).map(|_| first_at_least(&cumulative, unit_f64(self.draw64()))));
        Ok(drawn)
    }

    /// `multinomial(row, 1)`: one index, by the exponential race: `argmax_k row_k / q_k`. One exponential for
    /// every entry, zeros too.
    ///
    /// # Errors
    /// As [`multinomial_with_replacement`](Self::multinomial_with_replacement).
    pub fn multinomial_one(&mut self, row: &[f32]) -> Result<u32> {
        check_weights(row)?;
        let (mut best, mut best_score) = (0, f32::NEG_INFINITY);
        for (k, &p) in row.iter().enumerate() {
            let score = p / self.exponential();
            if score > best_score {
                (best, best_score) = (k as u32, score);
            }
        }
        Ok(best)
    }
}

/// Largest permutation: from here on PyTorch's `randperm` draws differently.
pub const MOST_PERMUTED: usize = u32::MAX as usize / 20 - 1;

/// Most values of one call: 8 GiB of four bytes each.
const MOST_VALUES: usize = 1 << 31;

/// An empty list with room for so many values of four bytes; `argument` says how many.
fn room<T>(argument: &'static str, len: usize) -> Result<Vec<T>> {
    let mut list = Vec::new();
    if len > MOST_VALUES || list.try_reserve_exact(len).is_err() {
        return Err(Error::argument(argument, len, "so many values do not fit in memory"));
    }
    Ok(list)
}

/// Weights of a categorical draw, as PyTorch demands them.
fn check_weights(weights: &[f32]) -> Result<()> {
    let expected = "it must have entries that are finite and not negative, at least one of them positive";
    match weights.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
        Some(bad) => Err(Error::argument("weights", format!("a row with the entry {bad}"), expected)),
        None if weights.is_empty() => Err(Error::argument("weights", "empty", expected)),
        None if weights.iter().all(|w| *w == 0.0) => Err(Error::argument("weights", "a row of zeros", expected)),
        None if !weights.iter().sum::<f32>().is_finite() => {
            Err(Error::argument("weights", "a row whose sum is no float32 number", "its sum must be finite, too"))
        }
        None => Ok(()),
    }
}

/// Cumulative sums in float32, divided by the last, which is then 1.
pub(crate) fn cumulative(weights: &[f32]) -> Vec<f32> {
    let mut sum = 0.0f32;
    let mut sums: Vec<f32> = weights
        .iter()
        .map(|w| {
            sum += w;
            sum
        })
        .collect();
    sums.iter_mut().for_each(|s| *s /= sum);
    if let Some(last) = sums.last_mut() {
        *last = 1.0;
    }
    sums
}

/// First index whose cumulative sum is at least `u`.
#[inline]
pub(crate) fn first_at_least(cumulative: &[f32], u: f64) -> u32 {
    cumulative.partition_point(|c| f64::from(*c) < u) as u32
}

impl TryRng for TorchRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.next_word())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.draw64())
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for chunk in dst.chunks_mut(4) {
            chunk.copy_from_slice(&self.next_word().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

impl SeedableRng for TorchRng {
    type Seed = [u8; 4];

    /// The generator after `torch.manual_seed` of the seed's four bytes, little-endian.
    fn from_seed(seed: [u8; 4]) -> Self {
        Self::new(u32::from_le_bytes(seed).into())
    }

    /// The same as [`TorchRng::new`].
    fn seed_from_u64(seed: u64) -> Self {
        Self::new(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, RngExt};

    #[test]
    fn known_words() {
        // the reference implementation's first output for its default seed, and its 10 000th (also that of C++'s mt19937)
        let mut rng = TorchRng::new(5489);
        let mut far = rng.clone();
        assert_eq!(rng.next_word(), 3_499_211_612);
        far.skip(9_999);
        assert_eq!(far.next_word(), 4_123_659_995);
        // only the seed's low 32 bits count
        assert_eq!(TorchRng::new((7 << 32) + 5489).next_word(), 3_499_211_612);
    }

    #[test]
    fn skipping_is_drawing() {
        for words in [0, 1, 623, 624, 625, 5000, JUMP_FROM - 1, JUMP_FROM, JUMP_FROM + 12_345] {
            let (mut drawn, mut skipped) = (TorchRng::new(3), TorchRng::new(3));
            drawn.next_word();
            skipped.next_word();
            for _ in 0..words {
                drawn.next_word();
            }
            skipped.skip(words);
            assert!(drawn == skipped, "{words} words");
            assert_eq!(drawn.draw64(), skipped.draw64(), "{words} words");
            skipped.next_word();
            assert!(drawn != skipped, "a word further");
        }
    }

    #[test]
    fn rand_sees_the_same_words() {
        let (mut a, mut b) = (TorchRng::new(11), TorchRng::seed_from_u64(11));
        assert_eq!(b.next_u32(), a.next_word());
        assert_eq!(b.next_u64(), a.draw64());
        let mut bytes = [0; 7];
        b.fill_bytes(&mut bytes);
        let words = [a.next_word().to_le_bytes(), a.next_word().to_le_bytes()].concat();
        assert_eq!(bytes, words[..7]);
        assert!((0..10).contains(&b.random_range(0..10)));
        assert_eq!(TorchRng::from_seed([1, 2, 0, 0]).next_word(), TorchRng::new(513).next_word());
    }

    #[test]
    fn normals_have_the_right_moments() {
        for len in [15, 100_000] {
            let mut rng = TorchRng::new(4);
            let values: Vec<f64> = (0..150_000 / len).flat_map(|_| rng.randn(len).unwrap()).map(f64::from).collect();
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let variance = values.iter().map(|z| z * z).sum::<f64>() / count;
            assert!(
                mean.abs() < 5.0 / count.sqrt() && (variance - 1.0).abs() < 5.0 * (2.0 / count).sqrt(),
                "{mean} {variance}"
            );
        }
    }

    #[test]
    fn permutations_hold_everything_once() {
        let mut p = TorchRng::new(5).randperm(1000).unwrap();
        p.sort_unstable();
        assert!(p.iter().enumerate().all(|(i, x)| i == *x as usize));
        assert!(TorchRng::new(5).randperm(0).unwrap().is_empty());
    }

    #[test]
    fn bad_weights_are_refused() {
        let mut rng = TorchRng::new(6);
        for weights in [&[][..], &[0.0, 0.0], &[-1.0, 2.0], &[f32::NAN, 1.0], &[f32::INFINITY, 1.0]] {
            assert!(rng.multinomial_one(weights).is_err(), "{weights:?}");
            assert!(rng.multinomial_with_replacement(weights, 3).is_err(), "{weights:?}");
        }
        assert_eq!(rng.next_word(), TorchRng::new(6).next_word(), "a refused call draws nothing");
    }
}
