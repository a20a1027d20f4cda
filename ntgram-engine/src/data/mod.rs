//! Sequences drawn from a law, and the order in which training visits them: the original's stream seed for seed
//! ([`generate_data`]), or alias tables on any generator ([`sample_data`]).

mod alias;
mod stream;

use crate::error::{Error, Result};
use crate::laws::{Law, Sequences};
use crate::rng::{MOST_PERMUTED, TorchRng};

/// Most sequences of one data set: as many as can be shuffled.
const MAX_ROWS: usize = MOST_PERMUTED;

/// Training data: `batch_size × num_batch` sequences of `T` tokens, and the law they were drawn from.
#[derive(Debug, Clone, PartialEq)]
pub struct Data {
    sequences: Sequences,
    batch_size: usize,
    num_batch: usize,
    law: Law,
}

impl Data {
    /// Data from sequences of one's own, in whole batches; `law`: what they follow.
    ///
    /// # Errors
    /// A batch size of 0, sequences shorter than the law's order, a token outside its vocabulary, or a number of sequences that is not a
    /// whole number of batches.
    pub fn from_sequences(sequences: Sequences, batch_size: usize, law: &Law) -> Result<Self> {
        check_positive("batch_size", batch_size)?;
        check_window(sequences.length(), law.order())?;
        let rows = sequences.rows();
        if rows == 0 || !rows.is_multiple_of(batch_size) {
            let expected = format!("it must be a whole number of batches of {batch_size}");
            return Err(Error::argument("sequences", format!("a list of {rows}"), expected));
        }
        check_rows(rows)?;
        let n_vocab = law.n_vocab();
        if let Some(bad) = sequences.tokens().iter().find(|token| usize::from(**token) >= n_vocab) {
            let expected = format!("tokens must be below {n_vocab}");
            return Err(Error::argument("sequences", format!("a list with the token {bad}"), expected));
        }
        Ok(Self { sequences, batch_size, num_batch: rows / batch_size, law: law.clone() })
    }

    /// Checks the sizes of data, `batch_size` and `num_batch`, for a law of this order; draws nothing.
    ///
    /// # Errors
    /// A size of 0, a context window shorter than the law, or more sequences than PyTorch's shuffle allows.
    pub fn check_sizes((batch_size, num_batch): (usize, usize), context_window: usize, order: usize) -> Result<()> {
        check_positive("batch_size", batch_size)?;
        check_positive("num_batch", num_batch)?;
        check_window(context_window, order)?;
        check_rows(batch_size.saturating_mul(num_batch))
    }

    /// The law the sequences were drawn from.
    pub fn law(&self) -> &Law {
        &self.law
    }

    /// The first `count` sequences (all, if there are fewer), to look at.
    pub fn head(&self, count: usize) -> Sequences {
        self.sequences.head(count)
    }

    /// All tokens, `(rows, T)`, row-major.
    pub fn tokens(&self) -> &[u16] {
        self.sequences.tokens()
    }

    /// All sequences.
    pub fn sequences(&self) -> &Sequences {
        &self.sequences
    }

    /// Tokens in each sequence, `T`.
    pub fn context_window(&self) -> usize {
        self.sequences.length()
    }

    /// Sequences in each batch, `B`.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Number of batches.
    pub fn num_batch(&self) -> usize {
        self.num_batch
    }

    /// Vocabulary size `N`; every token is below it.
    pub fn n_vocab(&self) -> usize {
        self.law.n_vocab()
    }

    /// Number of sequences, `batch_size × num_batch`.
    pub fn rows(&self) -> usize {
        self.sequences.rows()
    }

    /// Sequence `i` (shape `T`), if there is one.
    pub fn sequence(&self, i: usize) -> Option<&[u16]> {
        self.sequences.get(i)
    }

    /// Sum of each column (shape `T`).
    pub fn column_sums(&self) -> Vec<u64> {
        let mut sums = vec![0; self.context_window()];
        for sequence in self.sequences.iter() {
            sums.iter_mut().zip(sequence).for_each(|(sum, token)| *sum += u64::from(*token));
        }
        sums
    }

    /// The order in which the original's `train(…, seed)` visits the sequences (shape `rows`): its data loader draws two
    /// int64 and seeds a fresh generator with the second, whose permutation this is.
    pub fn shuffle(&self, seed: u64) -> Vec<u32> {
        self.next_shuffle(&mut TorchRng::new(seed))
    }

    /// The order of the next pass where one stream runs on (shape `rows`): as [`shuffle`](Self::shuffle), from wherever `rng` is. The
    /// passes of a training of several epochs follow one another so.
    ///
    /// ```
    /// use ntgram_engine::prelude::*;
    /// # fn main() -> Result<()> {
    /// let mut rng = TorchRng::new(7);
    /// let pi = power_unif_law(&[1.0, 1.0, 1.0], &[4, 4, 1], 10, &mut rng)?;
    /// let data = generate_data(32, 10, &pi, 3, &mut rng)?;
    /// let mut rng = TorchRng::new(0);
    /// let (first, second) = (data.next_shuffle(&mut rng), data.next_shuffle(&mut rng));
    /// assert_eq!(first, data.shuffle(0));
    /// assert_ne!(first, second);
    /// # Ok(()) }
    /// ```
    pub fn next_shuffle(&self, rng: &mut TorchRng) -> Vec<u32> {
        TorchRng::new(rng.loader_seed())
            .randperm(self.rows() as u32)
            .expect("data has up to as many rows as can be permuted")
    }

    /// The shuffled batches of one pass, in the original's order.
    pub fn batches(&self, seed: u64) -> Batches<'_> {
        Batches { data: self, order: self.shuffle(seed), next: 0 }
    }
}

/// The shuffled batches of a [`Data`], each `(B, T)` tokens, row-major: an iterator, and [`fill`](Self::fill) for any one of them.
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    data: &'a Data,
    order: Vec<u32>,
    next: usize,
}

impl Batches<'_> {
    /// Replaces what `batch` holds by batch `k` (`(B, T)`, row-major). `false`, and an empty `batch`, when there is none.
    pub fn fill(&self, k: usize, batch: &mut Vec<u16>) -> bool {
        batch.clear();
        let Some(rows) = self.order.chunks_exact(self.data.batch_size).nth(k) else { return false };
        let length = self.data.context_window();
        for row in rows {
            let start = *row as usize * length;
            batch.extend_from_slice(&self.data.tokens()[start..start + length]);
        }
        true
    }
}

impl Iterator for Batches<'_> {
    type Item = Vec<u16>;

    fn next(&mut self) -> Option<Vec<u16>> {
        let mut batch = Vec::with_capacity(self.data.batch_size * self.data.context_window());
        let filled = self.fill(self.next, &mut batch);
        self.next += usize::from(filled);
        filled.then_some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.data.num_batch - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Batches<'_> {}

/// The original's `generate_data`, seed for seed: `batch_size · num_batch` sequences of `context_window` tokens, the first tokens in one
/// draw with replacement, then position by position one draw for every sequence. Positions from the law's order on see the
/// last `n − 1` tokens.
///
/// Uses all cores when there is much to draw; the result does not depend on them.
///
/// # Errors
/// A size of 0, a context window shorter than the law, or more sequences than memory or PyTorch's shuffle allow.
pub fn generate_data(
    batch_size: usize,
    num_batch: usize,
    law: &Law,
    context_window: usize,
    rng: &mut TorchRng,
) -> Result<Data> {
    let mut data = empty(batch_size, num_batch, law, context_window)?;
    stream::fill(data.sequences.tokens_mut(), context_window, law, rng);
    Ok(data)
}

/// Sequences drawn from the law by alias tables, with any generator of the `rand` family: faster than [`generate_data`], but
/// not the original's stream.
///
/// ```
/// use ntgram_engine::{data::sample_data, laws::power_unif_law, rng::TorchRng};
///
/// # fn main() -> ntgram_engine::Result<()> {
/// let mut rng = TorchRng::new(7);
/// let law = power_unif_law(&[1.0, 1.0, 1.0], &[4, 4, 1], 10, &mut rng)?;
/// let data = sample_data(32, 10, &law, 3, &mut rng)?;
/// assert_eq!(data.rows(), 320);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`generate_data`].
pub fn sample_data<R: rand::Rng>(
    batch_size: usize,
    num_batch: usize,
    law: &Law,
    context_window: usize,
    rng: &mut R,
) -> Result<Data> {
    let mut data = empty(batch_size, num_batch, law, context_window)?;
    alias::fill(data.sequences.tokens_mut(), context_window, law, rng);
    Ok(data)
}

/// Checked data of the right size, every token 0.
fn empty(batch_size: usize, num_batch: usize, law: &Law, context_window: usize) -> Result<Data> {
    Data::check_sizes((batch_size, num_batch), context_window, law.order())?;
    let rows = batch_size * num_batch;
    let mut tokens = Vec::new();
    let len = rows.saturating_mul(context_window);
    if tokens.try_reserve_exact(len).is_err() {
        return Err(Error::argument(
            "context_window",
            context_window,
            format!("{rows} such sequences do not fit in memory"),
        ));
    }
    tokens.resize(len, 0);
    let sequences = Sequences::new(tokens, context_window)?;
    Ok(Data { sequences, batch_size, num_batch, law: law.clone() })
}

fn check_window(context_window: usize, order: usize) -> Result<()> {
    if context_window < order {
        let expected = format!("it must be at least the order of the law, {order}");
        return Err(Error::argument("context_window", context_window, expected));
    }
    Ok(())
}

fn check_positive(argument: &'static str, value: usize) -> Result<()> {
    if value == 0 {
        return Err(Error::argument(argument, value, "it must be at least 1"));
    }
    Ok(())
}

fn check_rows(rows: usize) -> Result<()> {
    if rows > MAX_ROWS {
        return Err(Error::argument(
            "batch_size * num_batch",
            rows,
            format!("at most {MAX_ROWS} sequences are possible"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::laws::power_unif_law;

    fn law() -> Law {
        power_unif_law(&[1.0, 0.7, 1.0], &[7, 5, 2], 7, &mut TorchRng::new(1)).unwrap()
    }

    /// Every sequence of `order` tokens is equally likely.
    fn flat(n_vocab: usize, order: u32) -> Law {
        let table = |i| vec![1.0 / n_vocab as f32; n_vocab.pow(i)];
        Law::new(n_vocab, (1..=order).map(table).collect()).unwrap()
    }

    #[test]
    fn only_possible_sequences_are_drawn_and_windows_may_be_long() {
        let law = law();
        let mut rng = TorchRng::new(2);
        let drawn =
            [generate_data(11, 13, &law, 5, &mut rng).unwrap(), sample_data(11, 13, &law, 5, &mut rng).unwrap()];
        for data in drawn {
            assert_eq!((data.rows(), data.batch_size(), data.num_batch(), data.n_vocab()), (143, 11, 13, 7));
            for sequence in data.sequences().iter() {
                for t in 0..5 {
                    let row = law.row(&sequence[..t]).unwrap();
                    assert!(row[usize::from(sequence[t])] > 0.0, "{sequence:?} at {t}");
                }
            }
        }
    }

    #[test]
    fn both_samplers_follow_the_law() {
        let law = law();
        let mut rng = TorchRng::new(3);
        let drawn = [generate_data(1000, 100, &law, 2, &mut rng), sample_data(1000, 100, &law, 2, &mut rng)];
        assert!(drawn.iter().all(Result::is_err), "a window shorter than the law is refused");
        let drawn = [generate_data(1000, 100, &law, 3, &mut rng), sample_data(1000, 100, &law, 3, &mut rng)];
        for data in drawn {
            let data = data.unwrap();
            let mut seen = [0.0f64; 343];
            data.sequences().iter().for_each(|s| seen[law.context_index(s)] += 1.0);
            let (mut statistic, mut possible) = (0.0, 0.0);
            for (i, count) in seen.iter().enumerate() {
                let (a, b, c) = (i / 49, i / 7, i);
                let p = |table: usize, entry: usize| f64::from(law.table(table).unwrap()[entry]);
                let expected = p(0, a) * p(1, b) * p(2, c) * 1e5;
                if expected > 0.0 {
                    possible += 1.0;
                    statistic += (count - expected).powi(2) / expected;
                } else {
                    assert_eq!(*count, 0.0);
                }
            }
            let freedom: f64 = possible - 1.0;
            assert!((statistic - freedom).abs() < 5.0 * (2.0 * freedom).sqrt(), "{statistic} for {freedom}");
        }
    }

    #[test]
    fn batches_visit_every_sequence_once() {
        let tokens: Vec<u16> = (0..60).collect();
        let data = Data::from_sequences(Sequences::new(tokens.clone(), 2).unwrap(), 5, &flat(60, 2)).unwrap();
        assert_eq!((data.num_batch(), data.column_sums()), (6, vec![870, 900]));
        let batches: Vec<Vec<u16>> = data.batches(1).collect();
        assert_eq!(batches.len(), 6);
        let mut all = batches.concat();
        assert_ne!(all, tokens);
        assert!(all.chunks(2).all(|s| s[0] % 2 == 0 && s[1] == s[0] + 1), "sequences stay whole");
        all.sort_unstable();
        assert_eq!(all, tokens);
        let mut third = vec![9; 3];
        assert!(data.batches(1).fill(2, &mut third));
        assert_eq!(third, batches[2]);
        assert!(!data.batches(1).fill(6, &mut third) && third.is_empty());
        assert_ne!(data.shuffle(1), data.shuffle(2));
    }

    #[test]
    fn bad_arguments_are_named() {
        let law = law();
        let own = |tokens, length, batch_size| {
            Data::from_sequences(Sequences::new(tokens, length).unwrap(), batch_size, &flat(1, 2))
        };
        let generated = |b, n, t| generate_data(b, n, &law, t, &mut TorchRng::new(0));
        let cases = [
            ("batch_size", generated(0, 1, 3)),
            ("num_batch", generated(1, 0, 3)),
            ("context_window", generated(1, 1, 2)),
            ("context_window", generated(1000, 1000, usize::MAX)),
            ("batch_size * num_batch", generated(usize::MAX, 2, 3)),
            ("batch_size", own(vec![0], 1, 0)),
            ("context_window", own(vec![0], 1, 1)),
            ("sequences", own(vec![], 2, 1)),
            ("sequences", own(vec![0; 6], 2, 2)),
            ("sequences", own(vec![0, 1], 2, 1)),
            ("sequences", own(vec![0; 6], 2, usize::MAX)),
        ];
        for (i, (name, result)) in cases.into_iter().enumerate() {
            match result {
                Err(Error::Argument { argument, .. }) => assert_eq!(argument, name, "case {i}"),
                other => panic!("case {i} ({name}): {other:?}"),
            }
        }
    }
}
