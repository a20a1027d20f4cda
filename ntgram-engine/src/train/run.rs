//! The loop that every training goes through, whichever engine computes its steps.

use std::sync::atomic::AtomicUsize;

use super::options::WORDS_OF_AN_EPOCH;
use super::progress::Progress;
use super::snapshot::Taker;
use super::{Adam, Engine, History, Task};
use crate::engine::{StepOutcome, Trainer};
use crate::error::{Error, Result};
use crate::models::{ParamSpec, n_values};

/// A training in progress.
pub trait Run {
    /// Which engine computes its steps.
    fn engine(&self) -> Engine;
    /// One Adam step on batch `k`, counted over all epochs; batches come in order.
    fn step(&mut self, k: usize) -> StepOutcome;
    /// All parameters' values as they are now, in the order of the model's list.
    fn values(&self) -> Vec<f32>;
    /// How many they are.
    fn n_values(&self) -> usize {
        self.values().len()
    }
    /// The values and the optimiser's state at the end, after `steps` steps.
    fn finish(self: Box<Self>, steps: usize) -> (Vec<f32>, Adam);
}

impl Run for Trainer {
    fn engine(&self) -> Engine {
        Engine::Circuit
    }

    fn step(&mut self, _: usize) -> StepOutcome {
        Trainer::step(self).expect("as many steps as batches")
    }

    fn values(&self) -> Vec<f32> {
        self.params()
    }

    fn n_values(&self) -> usize {
        Trainer::n_values(self)
    }

    fn finish(self: Box<Self>, _: usize) -> (Vec<f32>, Adam) {
        Trainer::finish(*self)
    }
}

/// What looks on while a training runs.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Asked after each step: whether to end the training there.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Counts the steps of several trainings.
    pub steps: Option<&'a AtomicUsize>,
}

impl Default for Watch<'_> {
    /// Nobody stops it, nobody counts.
    fn default() -> Self {
        Self { stop: &|| false, steps: None }
    }
}

/// Runs a training to its end; returns its history and puts the trained values into `values`.
///
/// # Errors
/// [`Error::Diverged`] when a loss, or after the last step a value, is no longer finite; `values` are the last ones then, too. A run with
/// another number of values than the model.
pub fn drive(task: &Task, mut run: Box<dyn Run + '_>, values: &mut Vec<f32>, watch: Watch) -> Result<History> {
    let (options, list, steps) = (task.options(), task.model().parameters(), task.steps());
    let engine = run.engine();
    let batches_per_epoch = task.data().num_batch();
    let (mut loss, mut accuracy) = (vec![], vec![]);
    let mut progress = Progress::new(options.progress, (steps, batches_per_epoch), watch.steps);
    let mut snapshots = Taker::new(options.snapshots.as_ref(), &list);
    check_len(run.n_values(), n_values(&list))?;
    let mut stopped = false;
    for k in 0..steps {
        snapshots.before_step(k, || run.values());
        let outcome = run.step(k);
        loss.push(outcome.loss);
        accuracy.push(outcome.accuracy);
        progress.tick(k + 1, outcome.loss);
        if !outcome.loss.is_finite() {
            break;
        }
        stopped = k + 1 < steps && (watch.stop)();
        if stopped {
            break;
        }
    }
    let snapshots = snapshots.finish(loss.len(), || run.values());
    let adam;
    (*values, adam) = run.finish(loss.len());
    check_len(values.len(), n_values(&list))?;
    let seconds = progress.finish(loss.len(), engine);
    let last_loss = loss.last().copied().unwrap_or_default();
    if !last_loss.is_finite() || values.iter().any(|x| !x.is_finite()) {
        return Err(Error::Diverged {
            step: loss.len().saturating_sub(1),
            parameter: largest(&list, values),
            loss,
            accuracy,
        });
    }
    let epochs = loss.len().div_ceil(batches_per_epoch);
    let mut rng = options.first_rng();
    rng.skip(WORDS_OF_AN_EPOCH * epochs as u64);
    let lr_by_epoch = (0..epochs).map(|epoch| options.rate(epoch)).collect();
    Ok(History { loss, accuracy, batches_per_epoch, lr_by_epoch, engine, seconds, rng, adam, snapshots, stopped })
}

/// A run must have as many values as the model.
fn check_len(len: usize, size: usize) -> Result<()> {
    if len == size {
        Ok(())
    } else {
        Err(Error::argument("run", format!("one of {len} values"), format!("the model has {size}")))
    }
}

/// The parameter that left the finite numbers, or the one with the largest value.
fn largest(list: &[ParamSpec], values: &[f32]) -> String {
    let mut rest = values;
    let mut found = (f32::NEG_INFINITY, "");
    for spec in list {
        let (own, others) = rest.split_at(spec.len());
        let size = own.iter().map(|x| if x.is_nan() { f32::INFINITY } else { x.abs() }).fold(0.0, f32::max);
        if size > found.0 {
            found = (size, &spec.name);
        }
        rest = others;
    }
    found.1.to_owned()
}

/// Trains a model's `values`, in the order of its list, by the circuit engine. Nothing stops it before its end.
///
/// # Errors
/// The circuit engine cannot do it, another number of values than the model has; [`Error::Diverged`] when a loss is no longer a finite
/// number.
pub fn train_values(task: &Task, values: &mut Vec<f32>) -> Result<History> {
    let run = task.circuit_trainer(values.clone())?;
    drive(task, Box::new(run), values, Watch::default())
}
