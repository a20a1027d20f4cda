//! Sequences drawn from a law, and the order in which training visits them.

use crate::error::{Error, Result};
use crate::laws::{Law, Sequences};
use crate::rng::TorchRng;

/// Training data: `num_batch × batch_size` sequences of `T` tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    sequences: Sequences,
    batch_size: usize,
    num_batch: usize,
    n_vocab: usize,
}

impl Data {
    /// Data from sequences of one's own. `tokens` holds them one after the other, `context_window` tokens each.
    ///
    /// # Errors
    /// A size of 0, a token outside the vocabulary, or a number of tokens that is not a whole number of batches.
    pub fn from_sequences(tokens: Vec<u16>, context_window: usize, batch_size: usize, n_vocab: usize) -> Result<Self> {
        let _ = (tokens, context_window, batch_size, n_vocab);
        todo!()
    }

    /// All tokens, `(rows, T)`, row-major.
    pub fn tokens(&self) -> &[u16] {
        &self.sequences.tokens
    }

    /// All sequences.
    pub fn sequences(&self) -> &Sequences {
        &self.sequences
    }

    /// Tokens in each sequence, `T`.
    pub fn context_window(&self) -> usize {
        self.sequences.length
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
        self.n_vocab
    }

    /// Number of sequences, `batch_size × num_batch`.
    pub fn rows(&self) -> usize {
        self.batch_size * self.num_batch
    }

    /// Sequence `i` (shape `T`), if there is one.
    pub fn sequence(&self, i: usize) -> Option<&[u16]> {
        self.sequences.get(i)
    }

    /// Sum of each column (shape `T`).
    pub fn column_sums(&self) -> Vec<u64> {
        todo!()
    }

    /// The order in which the original's `train(…, seed)` visits the sequences (shape `rows`).
    pub fn shuffle(&self, seed: u64) -> Vec<u32> {
        let mut rng = TorchRng::new(seed);
        rng.random_i64();
        TorchRng::new(rng.random_i64() as u64).randperm(self.rows() as u32)
    }

    /// The shuffled batches of one pass, in the original's order. See [`Batches`].
    pub fn batches(&self, seed: u64) -> Batches<'_> {
        Batches { data: self, order: self.shuffle(seed), next: 0 }
    }
}

/// Iterator over the shuffled batches of a [`Data`]: each is `(B, T)` tokens, row-major.
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    data: &'a Data,
    order: Vec<u32>,
    next: usize,
}

impl Batches<'_> {
    /// Writes batch `k` (`(B, T)`, row-major) into `out`; `false` when there is no such batch.
    pub fn fill(&self, k: usize, out: &mut Vec<u16>) -> bool {
        let _ = (self.data, &self.order, k, out, self.next);
        todo!()
    }
}

impl Iterator for Batches<'_> {
    type Item = Vec<u16>;

    fn next(&mut self) -> Option<Vec<u16>> {
        todo!()
    }
}

/// The original's `generate_data`, seed for seed.
///
/// # Errors
/// A size of 0, or a context window shorter than the law.
pub fn generate_data(
    batch_size: usize,
    num_batch: usize,
    law: &Law,
    context_window: usize,
    rng: &mut TorchRng,
) -> Result<Data> {
    let _ = (batch_size, num_batch, law, context_window, rng);
    todo!()
}

/// Sequences drawn from the law by alias tables, with any generator. Far faster than [`generate_data`], not the original's stream.
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
    let _ = (batch_size, num_batch, law, context_window, rng);
    Err(Error::argument("law", "?", "todo"))
}
