//! What the threads of a training see, and what they do in a step.

use super::adam::{self, Factors};
use super::contexts::Contexts;
use super::deferred::Deferred;
use super::feed::Feed;
use super::low_rank::{self, Kept};
use super::math::Buffer;
use super::simd::{Detected, Isa, Job, dispatch};
use super::transformer;
use super::unembed::Tally;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, RwLock};

/// A range of contexts and all that is needed to work on it.
#[derive(Debug)]
pub(super) enum Part {
    Transformer(Box<transformer::Part>),
    LowRank(Box<low_rank::Part>),
}

impl Part {
    /// Gradient by the parameters that all parts read.
    pub(super) fn shared_gradient(&mut self) -> &mut Buffer {
        match self {
            Part::Transformer(part) => &mut part.grad,
            Part::LowRank(part) => &mut part.grad,
        }
    }

    /// When there will be no further step: frees all that is not read any more, with `what` of a low-rank part's rows.
    pub(super) fn release(&mut self, what: Option<Kept>) {
        match (self, what) {
            (Part::Transformer(part), _) => part.release(),
            (Part::LowRank(part), Some(what)) => part.release(what),
            (Part::LowRank(_), None) => {}
        }
    }
}

/// What is to be done.
#[derive(Debug)]
pub(super) struct Command {
    /// Samples (keys), and which of them are the batch; if none, rows of low-rank parts are brought up to date.
    pub(super) block: Vec<u32>,
    pub(super) batch: Range<usize>,
    /// Whether low-rank parts move their rows.
    pub(super) adam: Option<Factors>,
    /// How rows without gradient moved in the steps before.
    pub(super) deferred: Deferred,
}

/// What all threads see.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) level: Detected,
    pub(super) contexts: Contexts,
    /// Parameters that all parts read, in the engine's layout: all of a Transformer's, `W_U` of a low-rank model.
    pub(super) params: RwLock<Buffer>,
    pub(super) parts: Vec<Mutex<(Part, Tally)>>,
    pub(super) feed: Mutex<Feed>,
    pub(super) command: RwLock<Command>,
}

/// One step of one part.
pub(super) struct PartStep<'a> {
    part: &'a mut Part,
    params: &'a [f32],
    contexts: &'a Contexts,
    command: &'a Command,
}

impl Job for PartStep<'_> {
    type Output = Tally;
    #[inline(always)]
    fn run<I: Isa>(self) -> Tally {
        let Command { block, batch, adam, deferred } = self.command;
        let batch = &block[batch.clone()];
        match self.part {
            Part::Transformer(part) => part.gradient::<I>(self.params, self.contexts, batch),
            Part::LowRank(part) if batch.is_empty() => {
                part.catch_up::<I>(deferred);
                Tally::default()
            }
            Part::LowRank(part) => part.step::<I>(self.params, self.contexts, batch, deferred, *adam),
        }
    }
}

/// Reads a row of a low-rank part.
pub(super) struct ReadRow<'a> {
    pub(super) part: &'a mut low_rank::Part,
    pub(super) local: usize,
    pub(super) what: Kept,
    pub(super) deferred: &'a Deferred,
    pub(super) row: &'a mut [f32],
}

impl Job for ReadRow<'_> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        self.part.row::<I>(self.local, self.what, self.deferred, self.row);
    }
}

/// Adam on the shared parameters.
pub(super) struct Update<'a> {
    pub(super) params: &'a mut [f32],
    pub(super) m: &'a mut [f32],
    pub(super) v: &'a mut [f32],
    pub(super) grad: &'a [f32],
    pub(super) trained: &'a [Range<usize>],
    pub(super) factors: Factors,
}

impl Job for Update<'_> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for range in self.trained {
            let [p, m, v] = [&mut *self.params, &mut *self.m, &mut *self.v].map(|x| &mut x[range.clone()]);
            adam::step::<I>(p, m, v, &self.grad[range.clone()], self.factors);
        }
    }
}

/// A lock's value; a thread that panicked while holding it ends this one too.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no worker panics")
}

impl Shared {
    /// Works on part `k`, or, after the last, on the next batch's order.
    pub(super) fn work(&self, k: usize) {
        if k == self.parts.len() {
            return locked(&self.feed).prepare();
        }
        let command = &*self.command.read().expect("no worker panics");
        let params = self.params.read().expect("no worker panics");
        let (part, tally) = &mut *locked(&self.parts[k]);
        *tally = dispatch(self.level, PartStep { part, params: &params, contexts: &self.contexts, command });
    }
}
