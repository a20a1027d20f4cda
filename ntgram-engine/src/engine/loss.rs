//! The loss of a batch, block by block of 16 pairs: which targets a pair has, and with which weights. The arithmetic itself is
//! in `unembed`.

use super::BLOCK;
use super::batch_pairs::BatchPairs;
use super::contexts::Contexts;
use super::law_rows::LawRows;
use super::simd::Isa;
use super::unembed::{self, Scratch, Shape, Tally};
use std::ops::Range;

const ONES: [f32; BLOCK] = [1.0; BLOCK];

/// What a pair's output is compared with.
#[derive(Debug)]
enum Targets {
    /// Next-token loss: the samples' targets.
    Samples,
    /// Full divergence, fixed pairs: the law's rows by (block of pairs, target, pair in block).
    LawBlocks(Vec<f32>),
    /// Full divergence, listed pairs: the rows of the part's contexts.
    Law(LawRows),
}

/// Everything that the loss of one part needs.
#[derive(Debug)]
pub(super) struct BatchLoss {
    shape: Shape,
    of: Targets,
    scratch: Scratch,
}

impl BatchLoss {
    /// `law`: `None` for the next-token loss, else the last table `(N^(n-1), N)`.
    pub(super) fn new(
        shape: Shape,
        contexts: &Contexts,
        range: Range<usize>,
        fixed: bool,
        law: Option<&[f32]>,
    ) -> Self {
        let n = shape.n;
        let of = match law {
            None => Targets::Samples,
            Some(table) => {
                let row = |c: usize| &table[contexts.law_row(c) * n..][..n];
                if fixed {
                    let mut blocks = vec![0.0; range.len().div_ceil(BLOCK) * BLOCK * n];
                    for (p, c) in range.enumerate() {
                        let block = &mut blocks[p / BLOCK * BLOCK * n..][..BLOCK * n];
                        for (to, &x) in block.chunks_exact_mut(BLOCK).zip(row(c)) {
                            to[p % BLOCK] = x;
                        }
                    }
                    Targets::LawBlocks(blocks)
                } else {
                    Targets::Law(LawRows::new(n, range.map(row)))
                }
            }
        };
        Self { shape, of, scratch: Scratch::new(shape) }
    }

    /// To be called before the blocks of a batch.
    pub(super) fn begin(&mut self, w_u: &[f32]) {
        unembed::pack(&mut self.scratch, w_u, self.shape);
    }

    /// Loss and gradients of the block `block` of pairs, whose streams are `rows` (16, stride). Adds to `dw_u`. The gradient by
    /// the streams is kept for [`BatchLoss::stream_gradients`]. `factor` is one over the batch size.
    pub(super) fn block<I: Isa>(
        &mut self,
        batch: &BatchPairs,
        block: usize,
        w_u: &[f32],
        dw_u: &mut [f32],
        rows: &[f32],
        factor: f32,
    ) -> Tally {
        unembed::load_streams(&mut self.scratch, rows, self.shape);
        let tally = self.logit_gradients::<I>(batch, block, None, factor);
        unembed::backward::<I>(&mut self.scratch, w_u, dw_u, rows, self.shape);
        tally
    }

    /// Copies the last block's gradient by the streams to 16 rows that lie `stride` apart.
    pub(super) fn stream_gradients(&self, rows: &mut [f32], stride: usize) {
        unembed::store_gradients(&self.scratch, rows, stride);
    }

    /// [`BatchLoss::block`] for streams by coordinate, `r (d, 16)`, with the gradient `dr` likewise. Adds to `dw_u (N, d, 16)`.
    #[allow(clippy::too_many_arguments, reason = "operands and results of one formula")]
    pub(super) fn block_by_lane<I: Isa>(
        &mut self,
        batch: &BatchPairs,
        block: usize,
        w_u: &[f32],
        dw_u: &mut [f32],
        r: &[f32],
        dr: &mut [f32],
        factor: f32,
    ) -> Tally {
        let tally = self.logit_gradients::<I>(batch, block, Some(r), factor);
        unembed::backward_by_lane::<I>(&mut self.scratch, w_u, dw_u, r, dr, self.shape);
        tally
    }

    /// From the block's streams `r (d, 16)`, or else those in `self.scratch`, to the gradient by logit there.
    fn logit_gradients<I: Isa>(&mut self, batch: &BatchPairs, block: usize, r: Option<&[f32]>, factor: f32) -> Tally {
        let (shape, scratch) = (self.shape, &mut self.scratch);
        let (argmax, over_sum) = unembed::softmax::<I>(scratch, r, shape);
        let first = block * BLOCK;
        let counts = &batch.counts[first..first + BLOCK];
        let size = BLOCK * shape.n;
        let of_block = |table: &[f32]| block * size..(block * size + size).min(table.len());

        let mut correct = 0.0;
        if batch.fixed {
            let table = &batch.table[of_block(&batch.table)];
            for (l, &k) in argmax.iter().enumerate() {
                correct += table[k as usize * BLOCK + l];
            }
        } else {
            correct = batch
                .targets_of(block)
                .iter()
                .filter(|&&at| at / BLOCK as u32 == argmax[at as usize % BLOCK] as u32)
                .count() as f32;
        }

        let loss = match &mut self.of {
            Targets::Samples if batch.fixed => {
                let table = &batch.table[of_block(&batch.table)];
                unembed::dense_targets::<I>(scratch, table, &ONES, &over_sum, factor)
            }
            Targets::Samples => unembed::sparse_targets::<I>(scratch, batch.targets_of(block), None, &over_sum, factor),
            Targets::LawBlocks(blocks) => {
                unembed::dense_targets::<I>(scratch, &blocks[of_block(blocks)], counts, &over_sum, factor)
            }
            Targets::Law(law) => {
                let pairs = batch.pairs[first..].iter().zip(counts).map(|(&context, &count)| (context as usize, count));
                law.compare::<I>(scratch, pairs, &over_sum, factor)
            }
        };
        // Of a logit that is NaN the logarithm would make a number.
        let sound = over_sum.iter().all(|x| x.is_finite());
        Tally { loss: if sound { loss } else { f64::NAN }, correct: correct as f64 }
    }
}
