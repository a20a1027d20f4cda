//! What the threads of a training see, and what they do in a step.

use super::adam::{self, Factors};
use super::buffer::Buffer;
use super::contexts::Contexts;
use super::deferred::Deferred;
use super::feed::Feed;
use super::part::{Part, StepInputs};
use super::simd::{Detected, Isa, Job};
use super::unembed::Tally;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// What all threads see.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) level: Detected,
    pub(super) contexts: Contexts,
    /// Parameters that all parts read, in the engine's layout: all of a Transformer's, `W_U` of a low-rank model.
    pub(super) params: RwLock<Buffer>,
    pub(super) parts: Vec<Mutex<TalliedPart>>,
    pub(super) feed: Mutex<Feed>,
    pub(super) briefing: RwLock<Briefing>,
}

/// A part, and what its last step found.
#[derive(Debug)]
pub(super) struct TalliedPart {
    pub(super) part: Box<dyn Part>,
    pub(super) tally: Tally,
}

/// What the trainer tells all threads before they start.
#[derive(Debug)]
pub(super) struct Briefing {
    pub(super) command: Command,
    /// Keys of the samples that are visited next; the batch is among them.
    pub(super) portion: Vec<u32>,
    /// The moves that rows without gradient missed in the steps before.
    pub(super) deferred: Deferred,
}

/// What the parts are to do.
#[derive(Debug)]
pub(super) enum Command {
    /// A step on the batch `portion[batch]`; `rows_step`: for the rows that parts own, if they are to move.
    Step { batch: Range<usize>, rows_step: Option<Factors> },
    /// Bring the rows that they own up to date.
    CatchUp,
}

impl Shared {
    /// Works on part `k`, or, after the last, on the order of the samples after this batch.
    pub(super) fn work(&self, k: usize) {
        if k == self.parts.len() {
            return locked(&self.feed).prepare();
        }
        let Briefing { command, portion, deferred } = &*read(&self.briefing);
        let params = read(&self.params);
        let TalliedPart { part, tally } = &mut *locked(&self.parts[k]);
        match command {
            Command::Step { batch, rows_step } => {
                let (contexts, keys) = (&self.contexts, &portion[batch.clone()]);
                let inputs = StepInputs { params: &params, contexts, keys, deferred, rows_step: *rows_step };
                *tally = part.step(self.level, inputs);
            }
            Command::CatchUp => part.catch_up(self.level, deferred),
        }
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

// A thread that panicked while it held a lock ends the one that asks for it next, too.

/// A lock's value.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no worker panics")
}

/// A lock's value, to read.
pub(super) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().expect("no worker panics")
}

/// A lock's value, to write.
pub(super) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().expect("no worker panics")
}
