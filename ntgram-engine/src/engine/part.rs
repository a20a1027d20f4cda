//! A part of a training, and what either kind of model prepares for one.

use super::AdamState;
use super::adam::Factors;
use super::buffer::Buffer;
use super::contexts::Contexts;
use super::deferred::Deferred;
use super::keys::Keys;
use super::simd::{Detected, Isa, Job, dispatch};
use super::unembed::Tally;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

/// A range of contexts and all that is needed to work on it.
pub(super) trait Part: Debug + Send {
    /// Loss and gradients of the batch's samples in the range, each divided by the size of the whole batch; then a step of the rows
    /// that the part owns, if they are to move.
    fn step(&mut self, level: Detected, inputs: StepInputs) -> Tally;

    /// Gradient by the parameters that all parts read, as the last step left it.
    fn shared_gradient(&mut self) -> &mut Buffer;

    /// Brings the part's own rows up to date.
    fn catch_up(&mut self, _level: Detected, _deferred: &Deferred) {}

    /// Writes `what` of the part's own rows to the model's list, up to date.
    fn write_rows(&mut self, _level: Detected, _what: Quantity, _from: RowInputs, _list: &mut [f32]) {}

    /// Writes the gradient by the part's own rows to the model's list.
    fn write_row_gradients(&mut self, _contexts: &Contexts, _list: &mut [f32]) {}

    /// Frees what only steps need: there will be none.
    fn end_steps(&mut self);

    /// Frees `what` of the part's own rows: [`Part::write_rows`] will not be asked for it.
    fn release(&mut self, _what: Quantity) {}
}

/// A part's step for one instruction set.
pub(super) trait StepOn {
    /// As [`Part::step`].
    fn step_on<I: Isa>(&mut self, inputs: StepInputs) -> Tally;
}

/// [`Part::step`] of a part, on the instructions that the processor has.
pub(super) fn step(part: &mut impl StepOn, level: Detected, inputs: StepInputs) -> Tally {
    dispatch(level, Step { part, inputs })
}

struct Step<'a, P> {
    part: &'a mut P,
    inputs: StepInputs<'a>,
}

impl<P: StepOn> Job for Step<'_, P> {
    type Output = Tally;
    #[inline(always)]
    fn run<I: Isa>(self) -> Tally {
        self.part.step_on::<I>(self.inputs)
    }
}

/// What a part reads in a step.
#[derive(Clone, Copy)]
pub(super) struct StepInputs<'a> {
    /// The parameters that all parts read.
    pub(super) params: &'a [f32],
    pub(super) contexts: &'a Contexts,
    /// The whole batch.
    pub(super) keys: &'a [u32],
    /// The moves that rows without gradient missed in the steps before.
    pub(super) deferred: &'a Deferred,
    /// For the step of the part's own rows, if they are to move.
    pub(super) rows_step: Option<Factors>,
}

/// What a part's own rows are brought up to date with, and found in the model's list by.
#[derive(Clone, Copy)]
pub(super) struct RowInputs<'a> {
    pub(super) contexts: &'a Contexts,
    pub(super) deferred: &'a Deferred,
}

/// What there is of every parameter.
#[derive(Debug, Clone, Copy)]
pub(super) enum Quantity {
    Parameter,
    FirstMoment,
    SecondMoment,
}

impl Quantity {
    pub(super) const ALL: [Quantity; 3] = [Quantity::Parameter, Quantity::FirstMoment, Quantity::SecondMoment];
}

/// What a training starts from, in the order of the model's list.
#[derive(Clone, Copy)]
pub(super) struct Lists<'a> {
    pub(super) params: &'a [f32],
    /// `None`: all moments are 0.
    pub(super) adam: Option<&'a AdamState>,
}

impl<'a> Lists<'a> {
    /// The list of `what`, where there is one.
    pub(super) fn of(self, what: Quantity) -> Option<&'a [f32]> {
        match what {
            Quantity::Parameter => Some(self.params),
            Quantity::FirstMoment => self.adam.map(|adam| &adam.m[..]),
            Quantity::SecondMoment => self.adam.map(|adam| &adam.v[..]),
        }
    }
}

/// How the rows that parts own move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum OwnRows {
    /// Parts own none: all parameters are shared.
    None,
    /// Never.
    Frozen,
    /// All in every step.
    InEveryStep,
    /// With a gradient at once, without one when they are needed.
    WhenNeeded,
}

impl OwnRows {
    /// Whether training moves any.
    pub(super) fn are_trained(self) -> bool {
        matches!(self, OwnRows::InEveryStep | OwnRows::WhenNeeded)
    }
}

/// How the parameters that all parts read lie here, and where in the model's list.
pub(super) trait SharedLayout: Debug + Send + Sync {
    /// Floats here, padding included.
    fn len(&self) -> usize;

    /// What of them training moves.
    fn trained(&self) -> &[Range<usize>];

    /// From the model's list to the places here.
    fn pack(&self, list: &[f32], packed: &mut [f32]);

    /// From the places here to the model's list, which is lengthened to hold them.
    fn unpack(&self, packed: &[f32], list: &mut Vec<f32>);
}

/// What a model's `prepare` makes of a problem.
pub(super) struct Prepared {
    pub(super) contexts: Contexts,
    pub(super) keys: Keys,
    pub(super) parts: Vec<Box<dyn Part>>,
    pub(super) layout: Arc<dyn SharedLayout>,
    pub(super) own_rows: OwnRows,
}

impl Prepared {
    /// The shared parameters or moments in their places; `list`: the model's, `None` where all are 0.
    pub(super) fn pack(&self, list: Option<&[f32]>) -> Buffer {
        let mut packed = Buffer::new(self.layout.len());
        list.into_iter().for_each(|list| self.layout.pack(list, &mut packed));
        packed
    }
}
