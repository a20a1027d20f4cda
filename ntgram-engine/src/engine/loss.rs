//! The loss of a batch, block by block of 16 pairs: which targets a pair has, and with which weights.

use super::contexts::{BLOCK, Contexts, Groups};
use super::math::Buffer;
use super::simd::Isa;
use super::unembed::{self, Scratch, Shape, Tally};
use std::ops::Range;

const ONES: [f32; BLOCK] = [1.0; BLOCK];

/// What a pair's output is compared with.
#[derive(Debug)]
enum Law {
    /// Next-token loss: the samples' targets.
    Samples,
    /// Full divergence, fixed pairs: the law's rows by (block of pairs, target, pair in block).
    Blocks(Vec<f32>),
    /// Full divergence: the law's rows, (contexts, N).
    Rows(Vec<f32>),
    /// Full divergence, rows mostly zero: `entries[starts[c]..starts[c + 1]]` of context `c`.
    Entries { starts: Vec<u32>, entries: Vec<(u16, f32)> },
}

/// Everything that the loss of one part needs.
#[derive(Debug)]
pub(super) struct Loss {
    shape: Shape,
    law: Law,
    scratch: Scratch,
    /// Weights of one block, (N, 16), or those of its few targets, `16 k + lane`.
    weights: Buffer,
    targets: Vec<u16>,
    target_weights: Vec<f32>,
}

impl Loss {
    /// `law`: `None` for the next-token loss, else the last table `(N, N, N)`.
    pub(super) fn new(
        shape: Shape,
        contexts: &Contexts,
        range: Range<usize>,
        fixed: bool,
        law: Option<&[f32]>,
    ) -> Self {
        let n = shape.n;
        let law = match law {
            None => Law::Samples,
            Some(table) => {
                let row = |c: usize| &table[(contexts.first[c] as usize * n + contexts.second[c] as usize) * n..][..n];
                let nonzero: usize = range.clone().map(|c| row(c).iter().filter(|&&p| p != 0.0).count()).sum();
                if fixed {
                    let mut blocks = vec![0.0; range.len().div_ceil(BLOCK) * BLOCK * n];
                    for (p, c) in range.enumerate() {
                        let block = &mut blocks[p / BLOCK * BLOCK * n..][..BLOCK * n];
                        for (to, &x) in block.chunks_exact_mut(BLOCK).zip(row(c)) {
                            to[p % BLOCK] = x;
                        }
                    }
                    Law::Blocks(blocks)
                } else if nonzero * 8 <= n * range.len() {
                    let (mut starts, mut entries) = (vec![0], Vec::with_capacity(nonzero));
                    for c in range {
                        entries.extend((0u16..).zip(row(c)).filter(|(_, p)| **p != 0.0).map(|(k, &p)| (k, p)));
                        starts.push(entries.len() as u32);
                    }
                    Law::Entries { starts, entries }
                } else {
                    Law::Rows(range.flat_map(row).copied().collect())
                }
            }
        };
        Self {
            shape,
            law,
            scratch: Scratch::new(shape),
            weights: Buffer::new(n * BLOCK),
            targets: Vec::new(),
            target_weights: Vec::new(),
        }
    }

    /// To be called before the blocks of a batch.
    pub(super) fn begin(&mut self, w_u: &[f32]) {
        unembed::pack(&mut self.scratch, w_u, self.shape);
    }

    /// Loss and gradients of the block `block` of pairs, whose streams are `rows` (16, stride). Adds to `dw_u`; the gradient by the streams is
    /// kept for [`Loss::stream_gradients`]. `factor` is one over the batch size.
    pub(super) fn block<I: Isa>(
        &mut self,
        groups: &Groups,
        block: usize,
        w_u: &[f32],
        dw_u: &mut [f32],
        rows: &[f32],
        factor: f32,
    ) -> Tally {
        unembed::load_streams(&mut self.scratch, rows, self.shape);
        let tally = self.logit_gradients::<I>(groups, block, None, factor);
        unembed::backward::<I>(&mut self.scratch, w_u, dw_u, rows, self.shape);
        tally
    }

    /// Copies the last block's gradient by the streams to 16 rows that lie `stride` apart.
    pub(super) fn stream_gradients(&self, rows: &mut [f32], stride: usize) {
        unembed::store_gradients(&self.scratch, rows, stride);
    }

    /// [`Loss::block`] for streams by coordinate, `r (d, 16)`, with the gradient `dr` likewise. Adds to `dw_u (N, d, 16)`.
    #[allow(clippy::too_many_arguments, reason = "operands and results of one formula")]
    pub(super) fn block_by_lane<I: Isa>(
        &mut self,
        groups: &Groups,
        block: usize,
        w_u: &[f32],
        dw_u: &mut [f32],
        r: &[f32],
        dr: &mut [f32],
        factor: f32,
    ) -> Tally {
        let tally = self.logit_gradients::<I>(groups, block, Some(r), factor);
        unembed::backward_by_lane::<I>(&mut self.scratch, w_u, dw_u, r, dr, self.shape);
        tally
    }

    /// From the block's streams `r (d, 16)`, or else those in `self.scratch`, to the gradient by logit there.
    fn logit_gradients<I: Isa>(&mut self, groups: &Groups, block: usize, r: Option<&[f32]>, factor: f32) -> Tally {
        let (shape, scratch) = (self.shape, &mut self.scratch);
        let (argmax, over_sum) = unembed::softmax::<I>(scratch, r, shape);
        let first = block * BLOCK;
        let counts = &groups.counts[first..first + BLOCK];
        let of_block =
            |table: &[f32]| block * BLOCK * shape.n..(block * BLOCK * shape.n + BLOCK * shape.n).min(table.len());
        let lanes = 0..groups.pairs.len().saturating_sub(first).min(BLOCK);

        let mut correct = 0.0;
        if groups.fixed {
            let table = &groups.table[of_block(&groups.table)];
            for (l, &k) in argmax.iter().enumerate() {
                correct += table[k as usize * BLOCK + l];
            }
        } else {
            correct = groups
                .targets_of(block)
                .iter()
                .filter(|&&at| at / BLOCK as u16 == argmax[at as usize % BLOCK] as u16)
                .count() as f32;
        }

        let loss = match &self.law {
            Law::Samples if groups.fixed => {
                let table = &groups.table[of_block(&groups.table)];
                unembed::dense_targets::<I>(scratch, table, &ONES, &over_sum, factor)
            }
            Law::Samples => unembed::sparse_targets::<I>(scratch, groups.targets_of(block), None, &over_sum, factor),
            Law::Blocks(blocks) => {
                unembed::dense_targets::<I>(scratch, &blocks[of_block(blocks)], counts, &over_sum, factor)
            }
            Law::Rows(law) => {
                for l in lanes {
                    let row = &law[groups.pairs[first + l] as usize * shape.n..][..shape.n];
                    for (to, &x) in self.weights.chunks_exact_mut(BLOCK).zip(row) {
                        to[l] = x;
                    }
                }
                unembed::dense_targets::<I>(scratch, &self.weights, counts, &over_sum, factor)
            }
            Law::Entries { starts, entries } => {
                self.targets.clear();
                self.target_weights.clear();
                for l in lanes {
                    let context = groups.pairs[first + l] as usize;
                    let entries = &entries[starts[context] as usize..starts[context + 1] as usize];
                    self.targets.extend(entries.iter().map(|(k, _)| k * BLOCK as u16 + l as u16));
                    self.target_weights.extend(entries.iter().map(|(_, p)| p * counts[l]));
                }
                unembed::sparse_targets::<I>(scratch, &self.targets, Some(&self.target_weights), &over_sum, factor)
            }
        };
        // Of a logit that is no number the logarithm would make one.
        let sound = over_sum.iter().all(|x| x.is_finite());
        Tally { loss: if sound { loss } else { f64::NAN }, correct: correct as f64 }
    }
}
