//! One part of a low-rank model's batch. The part owns its contexts' rows of the table `W_E` and their Adam state; `W_U` is shared.

use super::adam::{self, Factors};
use super::contexts::{BLOCK, Contexts, Groups};
use super::layout::padded;
use super::loss::Loss;
use super::math::Buffer;
use super::simd::Isa;
use super::unembed::{self, Shape, Tally};
use std::ops::Range;

/// A range of the contexts, their rows of the table, moments and gradient.
///
/// How these four lie depends on the batches: where every batch works on all contexts, (block of 16 contexts, d, 16), as the
/// unembedding wants them; else (contexts, d), its length rounded up to whole vectors.
#[derive(Debug)]
pub(super) struct Part {
    shape: Shape,
    /// The contexts.
    pub(super) range: Range<usize>,
    groups: Groups,
    loss: Loss,
    pub(super) table: Buffer,
    pub(super) m: Buffer,
    pub(super) v: Buffer,
    pub(super) d_table: Buffer,
    /// One block's rows, then their gradient, (16, stride); or, by lane, the gradient by `W_U` (N, d, 16).
    scratch: Buffer,
    /// Gradient by `W_U` (N, stride).
    pub(super) grad: Buffer,
}

impl Part {
    pub(super) fn new(
        shape: Shape,
        contexts: &Contexts,
        range: Range<usize>,
        batch_size: usize,
        law: Option<&[f32]>,
    ) -> Self {
        let groups = Groups::new(contexts, range.clone(), batch_size);
        let loss = Loss::new(shape, contexts, range.clone(), groups.fixed, law);
        let contexts = if groups.fixed { groups.capacity() } else { range.len() };
        let table = || Buffer::new(padded(contexts * shape.d));
        let (w_e, m, v, d_table) = (table(), table(), table(), table());
        let scratch = Buffer::new(BLOCK * if groups.fixed { shape.n * shape.d } else { shape.stride });
        let grad = Buffer::new(shape.n * shape.stride);
        Self { shape, range, groups, loss, table: w_e, m, v, d_table, scratch, grad }
    }

    /// Where coordinate `i` of the part's context `local` lies in the table, its moments and its gradient.
    pub(super) fn place(&self, local: usize, i: usize) -> usize {
        if self.groups.fixed {
            (local / BLOCK * self.shape.d + i) * BLOCK + local % BLOCK
        } else {
            local * self.shape.d + i
        }
    }

    /// Loss and gradients (into `self.d_table`, `self.grad`) of the samples `batch` (keys), each divided by the batch size.
    pub(super) fn gradient<I: Isa>(&mut self, w_u: &[f32], contexts: &Contexts, batch: &[u32]) -> Tally {
        let factor = 1.0 / batch.len() as f32;
        if self.groups.fixed {
            self.groups.fill(contexts, batch);
            self.by_lane::<I>(w_u, factor)
        } else {
            // Rows of the last batch's pairs: all others are zero.
            let d = self.shape.d;
            self.groups.pairs.iter().for_each(|&p| self.d_table[p as usize * d..][..d].fill(0.0));
            self.groups.fill(contexts, batch);
            self.by_row::<I>(w_u, factor)
        }
    }

    /// The rows of the batch's pairs, 16 at a time.
    fn by_row<I: Isa>(&mut self, w_u: &[f32], factor: f32) -> Tally {
        let Shape { d, stride, .. } = self.shape;
        self.grad.fill(0.0);
        let mut total = Tally::default();
        for (block, pairs) in self.groups.pairs.chunks(BLOCK).enumerate() {
            for (row, &p) in self.scratch.chunks_exact_mut(stride).zip(pairs) {
                row[..d].copy_from_slice(&self.table[p as usize * d..][..d]);
            }
            // logits = W_E[context] W_Uᵀ
            let tally = self.loss.block::<I>(&self.groups, block, w_u, &mut self.grad, &mut self.scratch, factor);
            for (row, &p) in self.scratch.chunks_exact(stride).zip(pairs) {
                self.d_table[p as usize * d..][..d].copy_from_slice(&row[..d]);
            }
            total.add(tally);
        }
        total
    }

    /// All rows, in the blocks that they lie in.
    fn by_lane<I: Isa>(&mut self, w_u: &[f32], factor: f32) -> Tally {
        let size = self.shape.d * BLOCK;
        self.scratch.fill(0.0);
        let mut total = Tally::default();
        let blocks = self.table.chunks_exact(size).zip(self.d_table.chunks_exact_mut(size));
        for (block, (r, dr)) in blocks.enumerate() {
            // logits = W_E[context] W_Uᵀ
            let dw_u = &mut self.scratch;
            total.add(self.loss.block_by_lane::<I>(&self.groups, block, w_u, dw_u, r, dr, factor));
        }
        unembed::add_lanes::<I>(&mut self.grad, &self.scratch, self.shape);
        total
    }

    /// Adam on the rows.
    pub(super) fn update<I: Isa>(&mut self, factors: Factors) {
        adam::step::<I>(&mut self.table, &mut self.m, &mut self.v, &self.d_table, factors);
    }
}
