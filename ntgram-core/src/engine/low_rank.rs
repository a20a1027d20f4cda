//! One part of a low-rank model's batch. The part owns its contexts' rows of the table `W_E` and their Adam state; `W_U` is shared.

use super::adam::{self, Factors};
use super::contexts::{BLOCK, Contexts, Groups};
use super::layout::padded;
use super::loss::Loss;
use super::math::Buffer;
use super::simd::Isa;
use super::unembed::{Shape, Tally};
use std::ops::Range;

/// A range of the contexts: rows (contexts, d) of the table, their moments and gradient; lengths rounded up to whole vectors.
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
    /// One block's rows, then their gradient, (16, stride).
    rows: Buffer,
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
        let table = || Buffer::new(padded(range.len() * shape.d));
        let (w_e, m, v, d_table) = (table(), table(), table(), table());
        let (rows, grad) = (Buffer::new(BLOCK * shape.stride), Buffer::new(shape.n * shape.stride));
        Self { shape, range, groups, loss, table: w_e, m, v, d_table, rows, grad }
    }

    /// Loss and gradients (into `self.d_table`, `self.grad`) of the samples `batch` (keys), each divided by the batch size.
    pub(super) fn gradient<I: Isa>(&mut self, w_u: &[f32], contexts: &Contexts, batch: &[u32]) -> Tally {
        let Shape { d, stride, .. } = self.shape;
        let factor = 1.0 / batch.len() as f32;
        // Rows of the last batch's pairs: all others are zero.
        for &p in &self.groups.pairs {
            self.d_table[p as usize * d..][..d].fill(0.0);
        }
        self.grad.fill(0.0);
        self.groups.fill(contexts, batch);
        let mut total = Tally::default();
        for (block, pairs) in self.groups.pairs.chunks(BLOCK).enumerate() {
            for (row, &p) in self.rows.chunks_exact_mut(stride).zip(pairs) {
                row[..d].copy_from_slice(&self.table[p as usize * d..][..d]);
            }
            // logits = W_E[context] W_Uᵀ
            let tally = self.loss.block::<I>(&self.groups, block, w_u, &mut self.grad, &mut self.rows, factor);
            for (row, &p) in self.rows.chunks_exact(stride).zip(pairs) {
                self.d_table[p as usize * d..][..d].copy_from_slice(&row[..d]);
            }
            total.loss += tally.loss;
            total.correct += tally.correct;
        }
        total
    }

    /// Adam on the rows.
    pub(super) fn update<I: Isa>(&mut self, factors: Factors) {
        adam::step::<I>(&mut self.table, &mut self.m, &mut self.v, &self.d_table, factors);
    }
}
