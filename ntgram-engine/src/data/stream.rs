//! Sampling on PyTorch's stream: for every sequence the token that `torch.multinomial` would draw, without the table of gathered
//! rows and with hardly a logarithm. The stream is cut into stretches that several threads work on, each from its own place
//! in it; where the cuts lie changes nothing.

use std::num::NonZero;

use crate::laws::Law;
use crate::rng::{TorchRng, cumulative, exponential, temper, unit_f64};

/// Words that a thread must have to draw before it is worth its start.
const WORDS_PER_THREAD: u64 = 1 << 23;
/// Raw words kept at a time, about; they stay in the cache.
const BUFFER: usize = 1 << 12;
/// Buckets of the guide into cumulative sums.
const GUIDE: usize = 1 << 12;

/// Fills `tokens` (`rows × length`, row-major) with sequences drawn from the law.
pub(super) fn fill(tokens: &mut [u16], length: usize, law: &Law, rng: &mut TorchRng) {
    let n = law.n_vocab();
    let order = law.order();
    let rows = tokens.len() / length;
    let tables: Vec<Contexts<'_>> = (0..order).map(|i| Contexts::new(law, i)).collect();

    // x_0 in one call; PyTorch draws a single sample as if without replacement
    if rows == 1 {
        draw_column(tokens, length, 2 * n, rng, |sequence, words, scores| {
            sequence[0] = race(words, tables[0].row(0), scores);
        });
    } else {
        let first = Guide::new(tables[0].row(0));
        draw_column(tokens, length, 2, rng, |sequence, words, _| sequence[0] = first.token(unit(words)));
    }
    for t in 1..length {
        let known = t.min(order - 1); // tokens of context
        let table = &tables[known];
        let draw = |sequence: &mut [u16], words: &[u32], scores: &mut Vec<f32>| {
            let context = law.context_index(&sequence[t - known..t]);
            sequence[t] = match table.only[context] {
                Some(token) => token,
                None => race(words, table.row(context), scores),
            };
        };
        if table.all_certain {
            tokens.chunks_exact_mut(length).for_each(|sequence| draw(sequence, &[], &mut Vec::new()));
            rng.skip((rows * 2 * n) as u64);
        } else {
            draw_column(tokens, length, 2 * n, rng, draw);
        }
    }
}

/// One table of a law, with the contexts that leave no choice.
struct Contexts<'a> {
    table: &'a [f32],
    n_vocab: usize,
    /// For each context the one token that may follow, if there is only one.
    only: Vec<Option<u16>>,
    /// Whether no context leaves a choice.
    all_certain: bool,
}

impl<'a> Contexts<'a> {
    fn new(law: &'a Law, i: usize) -> Self {
        let (table, n_vocab) = (law.table(i).unwrap_or_default(), law.n_vocab());
        let only = |row: &[f32]| {
            let mut possible = row.iter().enumerate().filter(|(_, p)| **p > 0.0).map(|(k, _)| k as u16);
            let first = possible.next();
            if possible.next().is_none() { first } else { None }
        };
        let only: Vec<_> = table.chunks_exact(n_vocab).map(only).collect();
        Self { table, n_vocab, all_certain: only.iter().all(Option::is_some), only }
    }

    fn row(&self, context: usize) -> &'a [f32] {
        &self.table[context * self.n_vocab..(context + 1) * self.n_vocab]
    }
}

/// Calls `draw(sequence, its raw words, scratch)` for every sequence in order, each with its `words` words of the stream.
fn draw_column(
    tokens: &mut [u16],
    length: usize,
    words: usize,
    rng: &mut TorchRng,
    draw: impl Fn(&mut [u16], &[u32], &mut Vec<f32>) + Sync,
) {
    let rows = tokens.len() / length;
    let work = |stretch: &mut [u16], rng: &mut TorchRng| {
        let mut scores = Vec::new();
        let block_rows = (BUFFER / words).max(1);
        let mut raw = vec![0; block_rows * words];
        for block in stretch.chunks_mut(block_rows * length) {
            rng.fill_raw(&mut raw[..block.len() / length * words]);
            for (sequence, words) in block.chunks_exact_mut(length).zip(raw.chunks_exact(words)) {
                draw(sequence, words, &mut scores);
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = ((rows * words) as u64 / WORDS_PER_THREAD).clamp(1, cores as u64) as usize;
    let mut stretches = tokens.chunks_mut(rows.div_ceil(threads) * length);
    let last = stretches.next_back();
    std::thread::scope(|scope| {
        for stretch in stretches {
            let mut own = rng.clone();
            rng.skip((stretch.len() / length * words) as u64);
            scope.spawn(move || work(stretch, &mut own));
        }
        // The last stretch leaves the caller's generator where the column ends.
        if let Some(stretch) = last {
            work(stretch, rng);
        }
    });
}

/// The 53-bit uniform of two raw words.
#[inline]
fn unit(words: &[u32]) -> f64 {
    unit_f64(u64::from(temper(words[0])) << 32 | u64::from(temper(words[1])))
}

/// Cumulative sums with a guide to where each part of [0, 1) begins.
struct Guide {
    cumulative: Vec<f32>,
    start: Vec<u32>,
}

impl Guide {
    fn new(row: &[f32]) -> Self {
        let cumulative = cumulative(row);
        let first = |bucket| cumulative.partition_point(|c| f64::from(*c) < bucket as f64 / GUIDE as f64) as u32;
        let start = (0..GUIDE).map(first).collect();
        Self { cumulative, start }
    }

    /// First index whose cumulative sum is at least `u`; the last sum is 1.
    #[inline]
    fn token(&self, u: f64) -> u16 {
        let mut k = self.start[(u * GUIDE as f64) as usize] as usize;
        while f64::from(self.cumulative[k]) < u {
            k += 1;
        }
        k as u16
    }
}

/// Scale of the 21 high bits of a 53-bit uniform.
const HIGH: f32 = (1u32 << 21) as f32;

/// `argmax_k p_k / q_k` in float32, first index on a tie, where `q_k` is the exponential of words `2k` and `2k + 1`.
///
/// `q ≥ u`, so `p / (the high bits of u)` bounds every score from above. A logarithm is needed only where a second
/// token's bound comes near the best one's.
#[inline]
fn race(words: &[u32], row: &[f32], bounds: &mut Vec<f32>) -> u16 {
    bounds.resize(row.len(), 0.0);
    let mut largest = 0;
    for ((bound, p), pair) in bounds.iter_mut().zip(row).zip(words.chunks_exact(2)) {
        let high = (temper(pair[0]) & 0x001f_ffff) as i32;
        // u is at least 2^-53; the addend vanishes in any other value
        *bound = p / (high as f32 + f32::EPSILON * f32::EPSILON);
        largest = largest.max(bound.to_bits() as i32); // bounds are not negative: they sort as their bits do
    }
    let near = f32::from_bits(largest as u32) * NEAR;
    let (mut count, mut sum) = (0u32, 0u32);
    for (k, bound) in bounds.iter().enumerate() {
        let is_near = u32::from(*bound >= near);
        count += is_near;
        sum = sum.wrapping_add(is_near.wrapping_neg() & k as u32);
    }
    if count == 1 && bound_is_close(temper(words[2 * sum as usize])) {
        return sum as u16;
    }
    exact_race(words, row, bounds)
}

/// Bounds below this share of the largest cannot win if the largest is itself that close to its score.
const NEAR: f32 = 0.9;

/// Whether a score is more than `NEAR` of its bound: `−log(1 − u) ≤ v + v²/2(1 − v)`, `v` the upper end of `u`'s high bits.
#[inline]
fn bound_is_close(high_word: u32) -> bool {
    let high = (high_word & 0x001f_ffff) as f32;
    let v = (high + 1.0) / HIGH;
    high * (1.0 - v) > (NEAR + 1e-4) * HIGH * (v * (1.0 - v) + 0.5 * v * v)
}

/// The race with logarithms, for those whose bound reaches the score of the one with the largest bound.
#[cold]
fn exact_race(words: &[u32], row: &[f32], bounds: &[f32]) -> u16 {
    let score = |k: usize| row[k] / exponential(unit(&words[2 * k..2 * k + 2]));
    let favourite = (0..row.len()).fold(0, |best, k| if bounds[k] > bounds[best] { k } else { best });
    let least = score(favourite) / (HIGH * (1.0 + 1e-5));
    let candidates = (0..row.len()).filter(|k| bounds[*k] >= least).map(|k| (k, score(k)));
    candidates.fold((favourite, 0.0), |best, next| if next.1 > best.1 { next } else { best }).0 as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The race as PyTorch runs it.
    fn plain_race(words: &[u32], row: &[f32]) -> u16 {
        let scores: Vec<f32> = row.iter().zip(words.chunks(2)).map(|(p, pair)| p / exponential(unit(pair))).collect();
        (0..row.len()).fold(0, |best, k| if scores[k] > scores[best] { k } else { best }) as u16
    }

    #[test]
    fn the_race_is_exact_on_ordinary_words() {
        let mut rng = TorchRng::new(8);
        let mut raw = vec![0; 2 * 97];
        let equal: Vec<f32> = (0..97).map(|k| if k % 3 == 0 { 1.0 / 33.0 } else { 0.0 }).collect();
        let steep: Vec<f32> = (0..97).map(|k| 0.4 * 0.6f32.powi(k)).collect();
        let one: Vec<f32> = (0..97).map(|k| if k == 50 { 0.95 } else { 0.05 / 96.0 }).collect();
        for row in [equal, steep, one] {
            for i in 0..20_000 {
                rng.fill_raw(&mut raw);
                assert_eq!(race(&raw, &row, &mut Vec::new()), plain_race(&raw, &row), "draw {i}");
            }
        }
    }

    #[test]
    fn the_race_is_exact_where_words_nearly_tie() {
        // first words whose 21 counted bits are below 4, second words of few values: near ties, ties, and the smallest u
        let mut rng = TorchRng::new(9);
        let mut raw = vec![0; 1 << 24];
        rng.fill_raw(&mut raw);
        let second: Vec<u32> = raw[..5].to_vec();
        raw.retain(|word| temper(*word) & 0x001f_ffff < 4);
        assert!(raw.len() > 20);
        let row = [0.1, 0.2, 0.0, 0.1, 0.2, 0.4];
        for i in 0..20_000 {
            let mut pick = |list: &[u32]| list[rng.next_word() as usize % list.len()];
            let words: Vec<u32> = (0..6).flat_map(|_| [pick(&raw), pick(&second)]).collect();
            for row in [&row, &[0.25, 0.0, 0.25, 0.25, 0.25, 0.0], &[1.0 / 6.0; 6]] {
                assert_eq!(race(&words, row, &mut Vec::new()), plain_race(&words, row), "draw {i}, {row:?}");
            }
        }
    }

    #[test]
    fn the_guide_finds_what_a_search_finds() {
        let row: Vec<f32> = (0..50).map(|k| if k % 7 == 0 { 0.0 } else { 0.5f32.powi(k) }).collect();
        let (guide, sums) = (Guide::new(&row), cumulative(&row));
        let mut rng = TorchRng::new(10);
        for _ in 0..100_000 {
            let u = unit_f64(rng.draw64());
            assert_eq!(usize::from(guide.token(u)), sums.partition_point(|c| f64::from(*c) < u));
        }
    }
}
