//! Training: one call, two engines behind it, one [`History`].

mod autograd;
mod history;
mod loss;
mod lot;
mod progress;
mod snapshot;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::AtomicUsize;

pub use crate::engine::AdamState as Adam;
pub use history::History;
pub use lot::{Training, train_all};
pub use snapshot::{Snapshot, Snapshots};

use autograd::Autograd;

use crate::data::{Data, shuffle_seed};
use crate::engine::{self, Problem, Trainer};
use crate::error::{Error, Result};
use crate::interrupt::{interrupted, listen};
use crate::laws::entropy;
use crate::models::ModelMut;
use progress::Progress;
use snapshot::Taker;

/// What computes the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// tch's autograd: any model, any device.
    Autograd,
    /// Hand-derived gradients in circuit space (`src/engine`): trigrams with a window of 3 on the CPU, many times
    /// faster; the same numbers up to rounding.
    Circuit,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Engine::Autograd => "autograd",
            Engine::Circuit => "circuit engine",
        })
    }
}

/// How to train. The defaults are the original's: `lr = 1e-3`, next token, seed 0.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// Adam's learning rate.
    pub lr: f64,
    /// `true`: cross-entropy with the next token. `false`: the full divergence from the law's row.
    pub next_token: bool,
    /// Seed of the shuffle: batches come in the order PyTorch's `DataLoader` gives after `manual_seed(seed)`.
    pub seed: u64,
    /// `None`: the fastest engine that can do it. `Some`: this one.
    pub engine: Option<Engine>,
    /// Threads of the circuit engine; `None`: as many as there are cores. The result does not depend on it.
    pub threads: Option<usize>,
    /// Go on with the optimiser's state of an earlier [`History`]; `None`: start afresh, as the original does.
    pub adam: Option<Adam>,
    /// Stop after this many batches; `None`: visit them all.
    pub max_batches: Option<usize>,
    /// Keep parameters as they are on the way, in [`History::snapshots`]; `None`: keep none.
    pub snapshots: Option<Snapshots>,
    /// Print progress lines and the speed at the end.
    pub progress: bool,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            next_token: true,
            seed: 0,
            engine: None,
            threads: None,
            adam: None,
            max_batches: None,
            snapshots: None,
            progress: true,
        }
    }
}

/// Loss (less the law's entropy, nats) and accuracy of one batch, before its step.
#[derive(Debug, Clone, Copy)]
struct Step {
    loss: f64,
    accuracy: f64,
}

/// Trains a model on every batch of `data` once, one Adam step a batch (β = 0.9 and 0.999, ε = 1e-8, no decay), in the order
/// that PyTorch's `DataLoader(shuffle=True)` gives after `manual_seed(options.seed)`.
///
/// Scored are the positions `n-2 … T-2`, each predicting the next token (for trigrams and `T = 3`: position 1).
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// let mut rng = TorchRng::new(2108);
/// let pi = last_position_law(&[10, 10], 10, 0.0, 0.95, &mut rng)?;
/// let mut model = LowRank::new(5, 10, 3, &pi, &mut rng)?;
/// let data = generate_data(512, 20, &pi, 3, &mut rng)?;
/// let history = train(&mut model, &data, &TrainOptions { progress: false, ..Default::default() })?;
/// assert_eq!(history.loss.len(), 20);
/// assert!(history.loss[19] < history.loss[0]);
/// # Ok(()) }
/// ```
///
/// The notebook's stop button ends it after the current step: the history so far is returned with `stopped` set, the model has the
/// weights of that step, and a line says which it was. A training that starts after the button was pressed in the same cell makes
/// one step, so that no history is empty.
///
/// # Errors
/// Options or data that do not fit the model (nothing is done then); [`Error::Diverged`] when a loss is no longer a finite
/// number: the model keeps the last weights, the error the history so far.
pub fn train<'a>(model: impl Into<ModelMut<'a>>, data: &Data, options: &TrainOptions) -> Result<History> {
    let history = train_model(model.into(), data, options, None)?;
    if history.stopped {
        println!("stopped at step {} of {}", history.loss.len(), steps(data, options));
    }
    Ok(history)
}

/// How many batches will be visited.
fn steps(data: &Data, options: &TrainOptions) -> usize {
    options.max_batches.unwrap_or(usize::MAX).min(data.num_batch())
}

/// One training; `lot` counts the steps of several.
fn train_model(
    mut model: ModelMut<'_>,
    data: &Data,
    options: &TrainOptions,
    lot: Option<&AtomicUsize>,
) -> Result<History> {
    listen(); // before the preparation, which may take a second
    check(&model, data, options)?;
    let engine = choose(&model, data, options)?;
    let steps = steps(data, options);
    let (mut loss, mut accuracy) = (Vec::with_capacity(steps), Vec::with_capacity(steps));
    let mut progress = Progress::new(options.progress, steps, lot);
    let mut run = Run::new(engine, &model, data, options)?;
    let mut snapshots = Taker::new(options.snapshots.as_ref(), model.params());
    let mut stopped = false;
    for k in 0..steps {
        snapshots.before_step(k, || run.flat(&model));
        let step = run.step(&model, k);
        loss.push(step.loss);
        accuracy.push(step.accuracy);
        progress.tick(k + 1, step.loss);
        if !step.loss.is_finite() {
            break;
        }
        stopped = k + 1 < steps && interrupted();
        if stopped {
            break;
        }
    }
    let snapshots = snapshots.finish(loss.len(), || run.flat(&model));
    let adam = run.finish(&mut model, loss.len())?;
    let seconds = progress.finish(loss.len(), engine);
    let history = History { loss, accuracy, engine, seconds, adam, snapshots, stopped };
    match history.loss.last() {
        Some(last) if !last.is_finite() => {
            let parameter = largest_parameter(&model);
            Err(Error::Diverged { step: history.loss.len() - 1, parameter, history: Box::new(history) })
        }
        _ => Ok(history),
    }
}

/// A training in progress, by either engine.
enum Run<'a> {
    Autograd(Box<Autograd<'a>>),
    Circuit(Box<Trainer>),
}

impl<'a> Run<'a> {
    fn new(engine: Engine, model: &ModelMut, data: &'a Data, options: &TrainOptions) -> Result<Self> {
        let entropy = entropy(model.law());
        Ok(match engine {
            Engine::Autograd => Run::Autograd(Box::new(Autograd::new(model, data, entropy, options))),
            Engine::Circuit => {
                let problem = Problem {
                    model: engine_model(model),
                    freeze: model.frozen(),
                    law: model.law().last_table(),
                    entropy,
                    tokens: data.tokens(),
                    shuffle: Some(shuffle_seed(options.seed)),
                    batch_size: data.batch_size(),
                    next_token: options.next_token,
                    lr: options.lr,
                    threads: options
                        .threads
                        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
                };
                Run::Circuit(Box::new(Trainer::new(&problem, model.params().to_flat(), options.adam.as_ref())?))
            }
        })
    }

    fn step(&mut self, model: &ModelMut, k: usize) -> Step {
        match self {
            Run::Autograd(run) => run.step(model, k),
            Run::Circuit(run) => {
                let outcome = run.step().expect("as many steps as batches");
                Step { loss: outcome.loss, accuracy: outcome.accuracy }
            }
        }
    }

    /// All parameters as they are now, one after the other, in order.
    fn flat(&self, model: &ModelMut) -> Vec<f32> {
        match self {
            Run::Autograd(run) => run.flat(model),
            Run::Circuit(run) => run.params(),
        }
    }

    /// Puts the trained values into the model; returns the optimiser's state.
    fn finish(self, model: &mut ModelMut, steps: usize) -> Result<Adam> {
        match self {
            Run::Autograd(run) => Ok(run.finish(model, steps)),
            Run::Circuit(run) => {
                let (params, adam) = run.finish();
                model.params_mut().set_flat(&params)?;
                Ok(adam)
            }
        }
    }
}

/// The model's sizes as the circuit engine takes them.
fn engine_model<'a>(model: &'a ModelMut) -> engine::Model<'a> {
    match model {
        ModelMut::Transformer(model) => engine::Model::Transformer(model.config()),
        ModelMut::LowRank(model) => engine::Model::LowRank(model.config()),
    }
}

/// The engine asked for, if it can do it; otherwise the fastest that can.
fn choose(model: &ModelMut, data: &Data, options: &TrainOptions) -> Result<Engine> {
    let on_cpu = model.params().device() == tch::Device::Cpu;
    let circuit = on_cpu && engine::supports(engine_model(model), data.context_window(), model.law().order());
    match options.engine {
        Some(Engine::Circuit) if !circuit => {
            let expected = "it trains trigrams with a context window of 3 on the CPU: use `None` or `Engine::Autograd`";
            Err(Error::argument("engine", "Circuit", expected))
        }
        Some(engine) => Ok(engine),
        None if circuit => Ok(Engine::Circuit),
        None => Ok(Engine::Autograd),
    }
}

/// Refuses what cannot be trained.
fn check(model: &ModelMut, data: &Data, options: &TrainOptions) -> Result<()> {
    if !(options.lr.is_finite() && options.lr > 0.0) {
        return Err(Error::argument("lr", options.lr, "it must be a positive number, such as 1e-3"));
    }
    if data.n_vocab() > model.n_vocab() {
        let expected = format!("the model's vocabulary has {} tokens", model.n_vocab());
        return Err(Error::argument("data", format!("over {} tokens", data.n_vocab()), expected));
    }
    let (window, order) = (data.context_window(), model.law().order().max(2));
    if window > model.context_window() || window < order {
        let expected = format!("the model takes {order} to {}", model.context_window());
        return Err(Error::argument("data", format!("of sequences of {window} tokens"), expected));
    }
    if options.threads == Some(0) {
        return Err(Error::argument("threads", 0, "it must be at least 1, or `None` for all cores"));
    }
    if options.max_batches == Some(0) {
        return Err(Error::argument("max_batches", 0, "it must be at least 1, or `None` for all"));
    }
    if let Some(snapshots) = &options.snapshots {
        snapshots.check(model.params())?;
    }
    let freeze = model.frozen();
    let specs = model.params().specs();
    if specs.iter().all(|spec| spec.is_frozen(&freeze)) {
        return Err(Error::argument(
            "freeze",
            format!("{freeze:?}"),
            "at least one group of parameters must be trained",
        ));
    }
    let size: usize = specs.iter().map(|spec| spec.len()).sum();
    match &options.adam {
        Some(adam) if adam.m.len() != size || adam.v.len() != size => {
            let expected = format!("the model has {size} values: use a history of the same model");
            Err(Error::argument("adam", format!("a state of {} values", adam.m.len()), expected))
        }
        _ => Ok(()),
    }
}

/// The parameter that left the finite numbers, or the one with the largest value.
fn largest_parameter(model: &ModelMut) -> String {
    let size = |tensor: &tch::Tensor| {
        let largest = tensor.abs().max().double_value(&[]);
        if largest.is_nan() { f64::INFINITY } else { largest }
    };
    let params = model.params().iter().map(|(name, tensor)| (name, size(tensor)));
    params.max_by(|a, b| a.1.total_cmp(&b.1)).map_or_else(String::new, |(name, _)| name.to_owned())
}
