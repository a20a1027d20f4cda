//! One part of a low-rank model's batch. The part owns its contexts' rows of the table `W_E` and their Adam state; `W_U` is shared.

use super::adam::{self, Factors};
use super::contexts::{BLOCK, Contexts, Groups};
use super::layout::padded;
use super::loss::Loss;
use super::math::Buffer;
use super::simd::{Isa, copy, fill, vector_fn};
use super::unembed::{self, Shape, Tally};
use std::ops::Range;

/// Contexts whose rows of the table go through Adam together, where most have no gradient.
const WINDOW: usize = 64;

/// A range of the contexts, their rows of the table, moments and gradient.
///
/// How table and moments lie depends on the batches: where every batch works on all contexts, (block of 16 contexts, d, 16), as the
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
    /// Gradient by the table: like it, or (pairs of the batch, d).
    pub(super) d_table: Buffer,
    /// One block's rows, (16, stride); or, by lane, the gradient by `W_U` (N, d, 16).
    scratch: Buffer,
    /// Gradient by the rows of [`WINDOW`] contexts; zeros between steps.
    window: Buffer,
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
        let (w_e, m, v) = (table(), table(), table());
        let d_table = Buffer::new(groups.capacity() * shape.d);
        let scratch = Buffer::new(BLOCK * if groups.fixed { shape.n * shape.d } else { shape.stride });
        let window = Buffer::new(if groups.fixed { 0 } else { WINDOW * shape.d });
        let grad = Buffer::new(shape.n * shape.stride);
        Self { shape, range, groups, loss, table: w_e, m, v, d_table, scratch, window, grad }
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
        self.groups.fill(contexts, batch);
        self.loss.begin(w_u);
        if self.groups.fixed { self.by_lane::<I>(w_u, factor) } else { self.by_row::<I>(w_u, factor) }
    }

    /// The rows of the batch's pairs, 16 at a time.
    fn by_row<I: Isa>(&mut self, w_u: &[f32], factor: f32) -> Tally {
        let Shape { d, stride, .. } = self.shape;
        self.grad.fill(0.0);
        let mut total = Tally::default();
        let blocks = self.groups.pairs.chunks(BLOCK).zip(self.d_table.chunks_exact_mut(BLOCK * d));
        for (block, (pairs, gradients)) in blocks.enumerate() {
            gather::<I>(&mut self.scratch, stride, &self.table, d, pairs);
            // logits = W_E[context] W_Uᵀ
            total.add(self.loss.block::<I>(&self.groups, block, w_u, &mut self.grad, &self.scratch, factor));
            self.loss.stream_gradients(gradients, d);
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
        let d = self.shape.d;
        let (table, m, v) = (&mut self.table, &mut self.m, &mut self.v);
        if self.groups.fixed {
            return adam::step::<I>(table, m, v, &self.d_table, factors);
        }
        let (mut pairs, mut gradients) = (&self.groups.pairs[..], &self.d_table[..]);
        let windows = table.chunks_mut(WINDOW * d).zip(m.chunks_mut(WINDOW * d)).zip(v.chunks_mut(WINDOW * d));
        for (k, ((table, m), v)) in windows.enumerate() {
            let (start, end) = (k * WINDOW, (k + 1) * WINDOW);
            let here;
            (here, pairs) = pairs.split_at(pairs.iter().take_while(|&&p| (p as usize) < end).count());
            let rows;
            (rows, gradients) = gradients.split_at(here.len() * d);
            scatter::<I>(&mut self.window, rows, d, here, start);
            adam::step::<I>(table, m, v, &self.window[..table.len()], factors);
            clear::<I>(&mut self.window, d, here, start);
        }
    }

    /// Gradient by what lies at `place` of the table.
    #[cfg(test)]
    pub(super) fn gradient_at(&self, place: usize) -> f32 {
        if self.groups.fixed {
            return self.d_table[place];
        }
        let (d, pairs) = (self.shape.d, &self.groups.pairs);
        pairs.binary_search(&((place / d) as u32)).map_or(0.0, |pair| self.d_table[pair * d + place % d])
    }
}

vector_fn! {
    /// Rows `pairs` of `table (…, d)` into `rows (16, stride)`.
    fn gather<'a, I>(rows: &'a mut [f32], stride: usize, table: &'a [f32], d: usize, pairs: &'a [u32]) -> () {
        for (row, &p) in rows.chunks_exact_mut(stride).zip(pairs) {
            copy::<I::Half>(&mut row[..d], &table[p as usize * d..][..d]);
        }
    }
}

vector_fn! {
    /// `rows (pairs, d)` to their places in `window (…, d)`, whose first row is that of context `start`.
    fn scatter<'a, I>(window: &'a mut [f32], rows: &'a [f32], d: usize, pairs: &'a [u32], start: usize) -> () {
        for (row, &p) in rows.chunks_exact(d).zip(pairs) {
            copy::<I::Half>(&mut window[(p as usize - start) * d..][..d], row);
        }
    }
}

vector_fn! {
    /// Zeros where [`scatter`] wrote.
    fn clear<'a, I>(window: &'a mut [f32], d: usize, pairs: &'a [u32], start: usize) -> () {
        for &p in pairs {
            fill::<I::Half>(&mut window[(p as usize - start) * d..][..d], 0.0);
        }
    }
}
