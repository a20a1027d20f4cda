//! Rows of a law that a block's outputs are compared with, for the full divergence.

use super::BLOCK;
use super::buffer::Buffer;
use super::simd::Isa;
use super::unembed::{self, Scratch};

/// A law of which fewer than one entry in so many is not zero is kept as a list of those.
const SPARSE: usize = 8;

/// Rows of a law, and room for those of one block.
#[derive(Debug)]
pub(super) struct LawRows {
    n: usize,
    rows: Rows,
    /// Times that each lane's row counts.
    counts: [f32; BLOCK],
    /// The block's rows, (N, 16); or `16 k + lane` and the weight of each of its entries.
    weights: Buffer,
    entries: Vec<u32>,
    entry_weights: Vec<f32>,
}

#[derive(Debug)]
enum Rows {
    /// (rows, N).
    All(Vec<f32>),
    /// Rows mostly zero: `entries[starts[row]..starts[row + 1]]`.
    NotZero { starts: Vec<u32>, entries: Vec<(u32, f32)> },
}

impl LawRows {
    /// Of these rows of `n` entries.
    pub(super) fn new<'a>(n: usize, rows: impl Iterator<Item = &'a [f32]> + Clone) -> Self {
        let (count, nonzero) = rows
            .clone()
            .fold((0, 0), |(count, nonzero), row| (count + 1, nonzero + row.iter().filter(|&&p| p != 0.0).count()));
        let (rows, weights) = if nonzero * SPARSE <= n * count {
            let (mut starts, mut entries) = (vec![0], Vec::with_capacity(nonzero));
            for row in rows {
                entries.extend((0..).zip(row).filter(|(_, p)| **p != 0.0).map(|(k, &p)| (k, p)));
                starts.push(entries.len() as u32);
            }
            (Rows::NotZero { starts, entries }, 0)
        } else {
            (Rows::All(rows.flatten().copied().collect()), n * BLOCK)
        };
        let weights = Buffer::new(weights);
        Self { n, rows, counts: [0.0; BLOCK], weights, entries: Vec::new(), entry_weights: Vec::new() }
    }

    /// From a block's softmax to the gradient by its logits: each lane's output is compared with a row, so many times. Returns the loss.
    pub(super) fn compare<I: Isa>(
        &mut self,
        scratch: &mut Scratch,
        lanes: impl Iterator<Item = (usize, f32)>,
        over_sum: &[f32; BLOCK],
        factor: f32,
    ) -> f64 {
        match &self.rows {
            Rows::All(rows) => {
                self.counts.fill(0.0);
                for (lane, (row, count)) in lanes.enumerate() {
                    self.counts[lane] = count;
                    let row = &rows[row * self.n..][..self.n];
                    for (to, &x) in self.weights.chunks_exact_mut(BLOCK).zip(row) {
                        to[lane] = x;
                    }
                }
                unembed::dense_targets::<I>(scratch, &self.weights, &self.counts, over_sum, factor)
            }
            Rows::NotZero { starts, entries } => {
                self.entries.clear();
                self.entry_weights.clear();
                for (lane, (row, count)) in lanes.enumerate() {
                    let entries = &entries[starts[row] as usize..starts[row + 1] as usize];
                    self.entries.extend(entries.iter().map(|(k, _)| k * BLOCK as u32 + lane as u32));
                    self.entry_weights.extend(entries.iter().map(|(_, p)| p * count));
                }
                unembed::sparse_targets::<I>(scratch, &self.entries, Some(&self.entry_weights), over_sum, factor)
            }
        }
    }
}
