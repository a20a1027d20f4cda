//! The rows that the first layer's tables have: one for each token at each position, or only for those of the batch where they
//! are few.

use super::super::stream::Span;
use std::ops::Range;

/// No row.
const NONE: u32 = u32::MAX;

/// Samples of a batch for each token below which it pays to look which tokens occur.
const BATCH_ROWS_BELOW: usize = 2;

/// Which tokens have a row, by position.
#[derive(Debug)]
pub(super) struct TokenTable {
    n_vocab: usize,
    positions: usize,
    /// Whether every batch has rows for its own tokens only.
    of_batch: bool,
    /// Row by (position, token), or [`NONE`].
    row: Vec<u32>,
    /// The token of each row.
    pub(super) tokens: Vec<u32>,
    /// The rows of each position.
    pub(super) spans: Vec<Span>,
}

impl TokenTable {
    /// For batches of at most `samples` sequences, whose first tokens are all in `first`.
    pub(super) fn new(n_vocab: usize, positions: usize, first: Range<usize>, samples: usize) -> Self {
        let of_batch = samples < BATCH_ROWS_BELOW * n_vocab;
        let row = vec![NONE; positions * n_vocab];
        let mut new = Self { n_vocab, positions, of_batch, row, tokens: Vec::new(), spans: Vec::new() };
        if !of_batch {
            new.row[first].fill(0);
            new.row[n_vocab..].fill(0);
            (0..positions).for_each(|position| new.add_position(position));
        }
        new
    }

    /// Gives rows to the tokens of a batch's sequences; `unpack(k, tokens)` writes those of sequence `k`.
    pub(super) fn fill(&mut self, sequences: usize, mut unpack: impl FnMut(usize, &mut [u32])) {
        if !self.of_batch {
            return;
        }
        self.tokens.clear();
        self.spans.clear();
        self.row.fill(NONE);
        let mut tokens = vec![0; self.positions];
        for k in 0..sequences {
            unpack(k, &mut tokens);
            for (row, &token) in self.row.chunks_exact_mut(self.n_vocab).zip(&tokens) {
                row[token as usize] = 0;
            }
        }
        for position in 0..self.positions {
            self.add_position(position);
        }
    }

    /// Gives rows to those tokens of a position whose row is not [`NONE`].
    fn add_position(&mut self, position: usize) {
        let start = self.tokens.len();
        let rows = &mut self.row[position * self.n_vocab..][..self.n_vocab];
        for (token, row) in rows.iter_mut().enumerate().filter(|(_, row)| **row != NONE) {
            *row = self.tokens.len() as u32;
            self.tokens.push(token as u32);
        }
        self.spans.push(Span { position, rows: start..self.tokens.len() });
    }

    /// The row of a token at a position.
    #[inline(always)]
    pub(super) fn row(&self, position: usize, token: u32) -> u32 {
        self.row[position * self.n_vocab + token as usize]
    }
}
