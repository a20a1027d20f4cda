//! The low-rank model, `logits = W_E[context] W_Uᵀ`: one part of its batch, and what a training starts from.
//!
//! A part owns its contexts' rows of the table `W_E` and their Adam state; `W_U` is shared.

use super::adam::{self, Factors};
use super::batch_pairs::{BatchPairs, MOST_POSITIONS};
use super::buffer::Buffer;
use super::contexts::{Contexts, SplitAt};
use super::deferred::{self, AdamTable, Deferred};
use super::division::shuffle_share;
use super::layout::padded;
use super::loss::BatchLoss;
use super::part::{self, Lists, OwnRows, Part, Prepared, Quantity, RowInputs, SharedLayout, StepInputs, StepOn};
use super::simd::{Detected, Isa, Job, dispatch};
use super::unembed::{self, Shape, Tally};
use super::{BLOCK, Problem};
use crate::models::{LowRankConfig, LowRankWeights, Place};
use std::ops::Range;
use std::sync::Arc;

/// Why a training of a low-rank model cannot be done; `None` if it can.
pub(super) fn refused(problem: &Problem) -> Option<String> {
    let samples = problem.batch_size.min(problem.tokens.len() / problem.window);
    let positions = samples.saturating_mul(problem.scored());
    (positions > MOST_POSITIONS)
        .then(|| format!("a batch has {positions} scored positions, and it takes up to {MOST_POSITIONS}"))
}

/// What a training of a low-rank model starts from.
pub(super) fn prepare(problem: &Problem, config: &LowRankConfig, lists: Lists, n_parts: usize) -> Prepared {
    let (n, d) = (config.n_vocab, config.d_model);
    let list = ListLayout { shape: Shape { n, d, stride: padded(d) }, weights: config.weights() };
    // A context that does not occur has no gradient, but moves if its moments are not zero.
    let moments = || [Quantity::FirstMoment, Quantity::SecondMoment].into_iter().filter_map(|what| lists.of(what));
    let moves = |row| moments().any(|moments| moments[list.row(row)].iter().any(|&x| x != 0.0));
    let (contexts, keys) = Contexts::new(problem, n_parts, moves);
    let ranges = contexts.split(&keys, n_parts, shuffle_share(problem.model), SplitAt::AnyContext);
    let part = |range| LowRankPart::new(problem, &list, lists, &contexts, range);
    let parts: Vec<_> = ranges.into_iter().map(part).collect();
    let own_rows = match problem.freeze.e {
        true => OwnRows::Frozen,
        false if parts.iter().any(LowRankPart::defers) => OwnRows::WhenNeeded,
        false => OwnRows::InEveryStep,
    };
    let parts = parts.into_iter().map(|part| -> Box<dyn Part> { Box::new(part) }).collect();
    let trained = (!problem.freeze.u).then_some(0..n * list.shape.stride).into_iter().collect();
    Prepared { contexts, keys, parts, layout: Arc::new(UnembeddingLayout { list, trained }), own_rows }
}

/// Where the model's list has what.
#[derive(Debug, Clone)]
struct ListLayout {
    shape: Shape,
    weights: LowRankWeights<Place>,
}

impl ListLayout {
    /// A row of `W_E`.
    fn row(&self, row: usize) -> Range<usize> {
        let d = self.shape.d;
        let start = self.weights.w_e.flat.start + row * d;
        start..start + d
    }
}

/// How the parameters that all parts read lie: `W_U` (N, stride).
#[derive(Debug)]
struct UnembeddingLayout {
    list: ListLayout,
    trained: Vec<Range<usize>>,
}

impl SharedLayout for UnembeddingLayout {
    fn len(&self) -> usize {
        self.list.shape.n * self.list.shape.stride
    }

    fn trained(&self) -> &[Range<usize>] {
        &self.trained
    }

    fn pack(&self, list: &[f32], packed: &mut [f32]) {
        let Shape { d, stride, .. } = self.list.shape;
        let rows = list[self.list.weights.w_u.flat.clone()].chunks_exact(d);
        packed.chunks_exact_mut(stride).zip(rows).for_each(|(to, row)| to[..d].copy_from_slice(row));
    }

    fn unpack(&self, packed: &[f32], list: &mut Vec<f32>) {
        let Shape { d, stride, .. } = self.list.shape;
        let place = self.list.weights.w_u.flat.clone();
        list.resize(list.len().max(place.end), 0.0);
        let rows = list[place].chunks_exact_mut(d);
        rows.zip(packed.chunks_exact(stride)).for_each(|(to, row)| to.copy_from_slice(&row[..d]));
    }
}

/// A range of the contexts, their rows of the table, moments and gradient.
///
/// How table and moments lie depends on the batches. Where every batch works on all contexts they are (block of 16 contexts, d,
/// 16), as the unembedding wants them. Else they are (contexts, d), and rows without gradient are moved when they are needed.
#[derive(Debug)]
struct LowRankPart {
    shape: Shape,
    list: ListLayout,
    /// The contexts.
    range: Range<usize>,
    batch: BatchPairs,
    loss: BatchLoss,
    table: AdamTable,
    /// Gradient by the table: like it, or (pairs of the batch, stride).
    d_table: Buffer,
    /// One block's rows, (16, stride); or, by lane, the gradient by `W_U` (N, d, 16).
    scratch: Buffer,
    /// Gradient by `W_U` (N, stride).
    grad: Buffer,
}

impl LowRankPart {
    fn new(problem: &Problem, list: &ListLayout, lists: Lists, contexts: &Contexts, range: Range<usize>) -> Self {
        let shape = list.shape;
        let batch = BatchPairs::new(contexts, range.clone(), problem.batch_size * problem.scored());
        let loss = BatchLoss::new(shape, contexts, range.clone(), batch.fixed, problem.compared_law());
        let Shape { n, d, stride } = shape;
        let (rows, gradient, scratch) = if batch.fixed {
            (batch.capacity(), batch.capacity() * d, BLOCK * n * d)
        } else {
            (range.len(), batch.capacity() * stride, BLOCK * stride)
        };
        let [d_table, scratch, grad] = [gradient, scratch, n * stride].map(Buffer::new);
        let table = AdamTable::new(rows, d);
        let mut new = Self { shape, list: list.clone(), range, batch, loss, table, d_table, scratch, grad };
        new.read_rows(contexts, lists);
        new
    }

    /// Fills table and moments from the lists that the training starts from.
    fn read_rows(&mut self, contexts: &Contexts, lists: Lists) {
        for what in Quantity::ALL {
            let Some(list) = lists.of(what) else { continue };
            for local in 0..self.range.len() {
                let row = &list[self.list_row(contexts, local)];
                let places = self.places(local);
                let table = self.table_of(what);
                places.zip(row).for_each(|(place, &x)| table[place] = x);
            }
        }
    }

    /// Whether most rows have no gradient in a step: those are moved when they are needed.
    fn defers(&self) -> bool {
        !self.batch.fixed
    }

    /// Where the model's list has the row of the part's context `local`.
    fn list_row(&self, contexts: &Contexts, local: usize) -> Range<usize> {
        self.list.row(contexts.rows[self.range.start + local] as usize)
    }

    fn table_of(&mut self, what: Quantity) -> &mut Buffer {
        match what {
            Quantity::Parameter => &mut self.table.p,
            Quantity::FirstMoment => &mut self.table.m,
            Quantity::SecondMoment => &mut self.table.v,
        }
    }

    /// Where the coordinates of the part's context `local` lie: in table, moments and, by lane, gradient.
    fn places(&self, local: usize) -> impl Iterator<Item = usize> + use<> {
        let d = self.shape.d;
        let (start, step) =
            if self.batch.fixed { (local / BLOCK * d * BLOCK + local % BLOCK, BLOCK) } else { (local * d, 1) };
        (0..d).map(move |i| start + i * step)
    }

    /// `what` of the part's context `local`, up to date. A parameter's move depends on its moments, theirs on nothing else.
    fn read_row<I: Isa>(&mut self, local: usize, what: Quantity, deferred: &Deferred, row: &mut [f32]) {
        let factor = match what {
            _ if self.batch.fixed => 1.0,
            Quantity::Parameter => {
                return deferred::read::<I>(&self.table, &[local as u32], row, self.shape.d, deferred);
            }
            Quantity::FirstMoment => self.table.decay(local, deferred)[0],
            Quantity::SecondMoment => self.table.decay(local, deferred)[1],
        };
        let places = self.places(local);
        let table = self.table_of(what);
        places.zip(row).for_each(|(place, x)| *x = table[place] * factor);
    }

    /// Loss and gradients, into `self.d_table` and `self.grad`; then Adam on the rows of the table, if they are to move.
    fn step_with<I: Isa>(&mut self, inputs: StepInputs) -> Tally {
        let StepInputs { params: w_u, contexts, keys, deferred, rows_step } = inputs;
        let factor = 1.0 / contexts.samples(keys) as f32;
        self.batch.fill(contexts, keys);
        self.loss.begin(w_u);
        if self.batch.fixed {
            self.by_lane::<I>(w_u, factor, rows_step)
        } else {
            self.by_row::<I>(w_u, factor, deferred, rows_step)
        }
    }

    /// The rows of the batch's pairs, 16 at a time.
    fn by_row<I: Isa>(&mut self, w_u: &[f32], factor: f32, deferred: &Deferred, rows_step: Option<Factors>) -> Tally {
        let (stride, rows) = (self.shape.stride, &mut self.scratch);
        self.grad.fill(0.0);
        let mut total = Tally::default();
        let blocks = self.batch.pairs.chunks(BLOCK).zip(self.d_table.chunks_exact_mut(BLOCK * stride));
        for (block, (pairs, gradients)) in blocks.enumerate() {
            deferred::read::<I>(&self.table, pairs, rows, stride, deferred);
            // logits = W_E[context] W_Uᵀ
            total.add(self.loss.block::<I>(&self.batch, block, w_u, &mut self.grad, rows, factor));
            self.loss.stream_gradients(gradients, stride);
            if let Some(factors) = rows_step {
                deferred::step::<I>(&mut self.table, pairs, rows, gradients, stride, deferred, factors);
            }
        }
        total
    }

    /// All rows, in the blocks that they lie in.
    fn by_lane<I: Isa>(&mut self, w_u: &[f32], factor: f32, rows_step: Option<Factors>) -> Tally {
        let size = self.shape.d * BLOCK;
        self.scratch.fill(0.0);
        let mut total = Tally::default();
        let blocks = self.table.p.chunks_exact(size).zip(self.d_table.chunks_exact_mut(size));
        for (block, (r, dr)) in blocks.enumerate() {
            // logits = W_E[context] W_Uᵀ
            let dw_u = &mut self.scratch;
            total.add(self.loss.block_by_lane::<I>(&self.batch, block, w_u, dw_u, r, dr, factor));
        }
        unembed::add_lanes::<I>(&mut self.grad, &self.scratch, self.shape);
        if let Some(factors) = rows_step {
            let AdamTable { p, m, v, .. } = &mut self.table;
            adam::step::<I>(p, m, v, &self.d_table, factors);
        }
        total
    }
}

impl StepOn for LowRankPart {
    #[inline(always)]
    fn step_on<I: Isa>(&mut self, inputs: StepInputs) -> Tally {
        self.step_with::<I>(inputs)
    }
}

impl Part for LowRankPart {
    fn step(&mut self, level: Detected, inputs: StepInputs) -> Tally {
        part::step(self, level, inputs)
    }

    fn shared_gradient(&mut self) -> &mut Buffer {
        &mut self.grad
    }

    fn catch_up(&mut self, level: Detected, deferred: &Deferred) {
        if self.defers() {
            dispatch(level, CatchUp { table: &mut self.table, deferred });
        }
    }

    fn write_rows(&mut self, level: Detected, what: Quantity, from: RowInputs, list: &mut [f32]) {
        dispatch(level, WriteRows { part: self, what, from, list });
    }

    fn write_row_gradients(&mut self, contexts: &Contexts, list: &mut [f32]) {
        for local in 0..self.range.len() {
            let row = &mut list[self.list_row(contexts, local)];
            if self.batch.fixed {
                self.places(local).zip(row).for_each(|(place, x)| *x = self.d_table[place]);
            } else if let Ok(pair) = self.batch.pairs.binary_search(&(local as u32)) {
                row.copy_from_slice(&self.d_table[pair * self.shape.stride..][..self.shape.d]);
            } else {
                row.fill(0.0);
            }
        }
    }

    fn end_steps(&mut self) {
        for buffer in [&mut self.d_table, &mut self.scratch, &mut self.grad] {
            *buffer = Buffer::new(0);
        }
    }

    fn release(&mut self, what: Quantity) {
        *self.table_of(what) = Buffer::new(0);
    }
}

struct CatchUp<'a> {
    table: &'a mut AdamTable,
    deferred: &'a Deferred,
}

impl Job for CatchUp<'_> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        deferred::catch_up::<I>(self.table, self.deferred);
    }
}

struct WriteRows<'a> {
    part: &'a mut LowRankPart,
    what: Quantity,
    from: RowInputs<'a>,
    list: &'a mut [f32],
}

impl Job for WriteRows<'_> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let RowInputs { contexts, deferred } = self.from;
        for local in 0..self.part.range.len() {
            let place = self.part.list_row(contexts, local);
            self.part.read_row::<I>(local, self.what, deferred, &mut self.list[place]);
        }
    }
}
