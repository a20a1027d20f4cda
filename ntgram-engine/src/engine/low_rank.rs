//! One part of a low-rank model's batch. The part owns its contexts' rows of the table `W_E` and their Adam state; `W_U` is shared.

use super::adam::{self, Factors};
use super::contexts::{BLOCK, Contexts, Groups};
use super::deferred::{self, Deferred, Rows};
use super::loss::Loss;
use super::math::Buffer;
use super::simd::Isa;
use super::unembed::{self, Shape, Tally};
use std::ops::Range;

/// What is kept of every row of the table.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kept {
    Parameter,
    FirstMoment,
    SecondMoment,
}

impl Kept {
    pub(super) const ALL: [Kept; 3] = [Kept::Parameter, Kept::FirstMoment, Kept::SecondMoment];
}

/// A range of the contexts, their rows of the table, moments and gradient.
///
/// How table and moments lie depends on the batches: where every batch works on all contexts, (block of 16 contexts, d, 16), as the
/// unembedding wants them; else (contexts, d), and rows without gradient are moved when they are needed.
#[derive(Debug)]
pub(super) struct Part {
    shape: Shape,
    /// The contexts.
    pub(super) range: Range<usize>,
    groups: Groups,
    loss: Loss,
    table: Rows,
    /// Gradient by the table: like it, or (pairs of the batch, stride).
    d_table: Buffer,
    /// One block's rows, (16, stride); or, by lane, the gradient by `W_U` (N, d, 16).
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
        let Shape { n, d, stride } = shape;
        let (rows, gradient, scratch) = if groups.fixed {
            (groups.capacity(), groups.capacity() * d, BLOCK * n * d)
        } else {
            (range.len(), groups.capacity() * stride, BLOCK * stride)
        };
        let [d_table, scratch, grad] = [gradient, scratch, n * stride].map(Buffer::new);
        Self { shape, range, groups, loss, table: Rows::new(rows, d), d_table, scratch, grad }
    }

    /// Whether most rows have no gradient in a step: those are moved when they are needed.
    pub(super) fn defers(&self) -> bool {
        !self.groups.fixed
    }

    fn kept(&mut self, what: Kept) -> &mut Buffer {
        match what {
            Kept::Parameter => &mut self.table.p,
            Kept::FirstMoment => &mut self.table.m,
            Kept::SecondMoment => &mut self.table.v,
        }
    }

    /// Where the coordinates of the part's context `local` lie: in table, moments and, by lane, gradient.
    fn places(&self, local: usize) -> impl Iterator<Item = usize> + use<> {
        let d = self.shape.d;
        let (start, step) =
            if self.groups.fixed { (local / BLOCK * d * BLOCK + local % BLOCK, BLOCK) } else { (local * d, 1) };
        (0..d).map(move |i| start + i * step)
    }

    /// Sets what is kept of the part's context `local`, before the first step.
    pub(super) fn set_row(&mut self, local: usize, what: Kept, row: &[f32]) {
        let places = self.places(local);
        let kept = self.kept(what);
        places.zip(row).for_each(|(place, &x)| kept[place] = x);
    }

    /// What is kept of the part's context `local`, up to date. A parameter's move depends on its moments, theirs on nothing else.
    pub(super) fn row<I: Isa>(&mut self, local: usize, what: Kept, deferred: &Deferred, row: &mut [f32]) {
        let factor = match what {
            _ if self.groups.fixed => 1.0,
            Kept::Parameter => return deferred::read::<I>(&self.table, &[local as u32], row, self.shape.d, deferred),
            Kept::FirstMoment => self.table.decay(local, deferred)[0],
            Kept::SecondMoment => self.table.decay(local, deferred)[1],
        };
        let places = self.places(local);
        let kept = self.kept(what);
        places.zip(row).for_each(|(place, x)| *x = kept[place] * factor);
    }

    /// Frees what [`Part::row`] is not asked for any more.
    pub(super) fn release(&mut self, what: Kept) {
        *self.kept(what) = Buffer::new(0);
    }

    /// Loss and gradients (into `self.d_table`, `self.grad`) of the samples `batch` (keys), each divided by the batch size; then Adam on the
    /// rows of the table, if they are trained. `deferred`: the moves of rows without gradient in the steps before.
    pub(super) fn step<I: Isa>(
        &mut self,
        w_u: &[f32],
        contexts: &Contexts,
        batch: &[u32],
        deferred: &Deferred,
        adam: Option<Factors>,
    ) -> Tally {
        let factor = 1.0 / batch.len() as f32;
        self.groups.fill(contexts, batch);
        self.loss.begin(w_u);
        if self.groups.fixed {
            self.by_lane::<I>(w_u, factor, adam)
        } else {
            self.by_row::<I>(w_u, factor, deferred, adam)
        }
    }

    /// The rows of the batch's pairs, 16 at a time.
    fn by_row<I: Isa>(&mut self, w_u: &[f32], factor: f32, deferred: &Deferred, adam: Option<Factors>) -> Tally {
        let (stride, rows) = (self.shape.stride, &mut self.scratch);
        self.grad.fill(0.0);
        let mut total = Tally::default();
        let blocks = self.groups.pairs.chunks(BLOCK).zip(self.d_table.chunks_exact_mut(BLOCK * stride));
        for (block, (pairs, gradients)) in blocks.enumerate() {
            deferred::read::<I>(&self.table, pairs, rows, stride, deferred);
            // logits = W_E[context] W_Uᵀ
            total.add(self.loss.block::<I>(&self.groups, block, w_u, &mut self.grad, rows, factor));
            self.loss.stream_gradients(gradients, stride);
            if let Some(factors) = adam {
                deferred::step::<I>(&mut self.table, pairs, rows, gradients, stride, deferred, factors);
            }
        }
        total
    }

    /// All rows, in the blocks that they lie in.
    fn by_lane<I: Isa>(&mut self, w_u: &[f32], factor: f32, adam: Option<Factors>) -> Tally {
        let size = self.shape.d * BLOCK;
        self.scratch.fill(0.0);
        let mut total = Tally::default();
        let blocks = self.table.p.chunks_exact(size).zip(self.d_table.chunks_exact_mut(size));
        for (block, (r, dr)) in blocks.enumerate() {
            // logits = W_E[context] W_Uᵀ
            let dw_u = &mut self.scratch;
            total.add(self.loss.block_by_lane::<I>(&self.groups, block, w_u, dw_u, r, dr, factor));
        }
        unembed::add_lanes::<I>(&mut self.grad, &self.scratch, self.shape);
        if let Some(factors) = adam {
            let Rows { p, m, v, .. } = &mut self.table;
            adam::step::<I>(p, m, v, &self.d_table, factors);
        }
        total
    }

    /// Brings all rows up to date.
    pub(super) fn catch_up<I: Isa>(&mut self, deferred: &Deferred) {
        if self.defers() {
            deferred::catch_up::<I>(&mut self.table, deferred);
        }
    }

    /// Gradient by the row of the part's context `local`.
    pub(super) fn gradient_of(&self, local: usize, row: &mut [f32]) {
        if self.groups.fixed {
            self.places(local).zip(row).for_each(|(place, x)| *x = self.d_table[place]);
        } else {
            match self.groups.pairs.binary_search(&(local as u32)) {
                Ok(pair) => row.copy_from_slice(&self.d_table[pair * self.shape.stride..][..self.shape.d]),
                Err(_) => row.fill(0.0),
            }
        }
    }
}
