//! Training of models: one call, two engines behind it, one [`History`]. Options, history and the loop are `ntgram-engine`'s
//! ([`ntgram_engine::train`]) and re-exported here; this module adds the models, and autograd.

mod autograd;
#[cfg(test)]
mod epochs_tests;
mod loss;
#[cfg(test)]
mod tests;

use std::sync::atomic::AtomicUsize;

pub use ntgram_engine::train::{
    Adam, Engine, History, Loss, Schedule, Snapshot, Snapshots, TrainOptions, stream_words,
};

use autograd::Autograd;
use ntgram_engine::train::{Run, Task, Watch, drive, side_by_side};

use crate::data::Data;
use crate::error::{Error, Result};
use crate::interrupt::{interrupted, listen};
use crate::models::{Model, forward_values};

/// Trains a model on every batch of `data`, once in each epoch, one Adam step a batch (β = 0.9 and 0.999, ε = 1e-8, no decay), in the
/// orders that PyTorch's `DataLoader(shuffle=True)` gives after `manual_seed(options.seed)`, epoch after epoch.
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
/// let history = train(&mut model, &data, &TrainOptions::default().quiet())?;
/// assert_eq!(history.loss.len(), 20);
/// assert!(history.loss[19] < history.loss[0]);
/// # Ok(()) }
/// ```
///
/// Several epochs with a falling rate, and one random stream that runs on through models and trainings, as PyTorch's global one does:
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// let mut rng = TorchRng::new(2222);
/// let pi = power_unif_law(&[1.0, 1.0, 1.0], &[10, 10, 1], 10, &mut rng)?; // after each pair one token is certain
/// let data = generate_data(256, 4, &pi, 3, &mut rng)?;
/// let config = TransformerConfig { n_modules: 5, ..TransformerConfig::of_paper(10, 2, 2) };
/// let options = TrainOptions::lr(0.01).epochs(8).schedule(Schedule::Linear { to: 0.0005 }).quiet();
/// for _ in 0..2 {
///     let mut model = Transformer::new(&config, &pi, &mut rng)?;
///     let history = train(&mut model, &data, &options.clone().rng(rng))?;
///     assert_eq!(history.loss_by_epoch().len(), 8);
///     rng = history.rng();
/// }
/// # Ok(()) }
/// ```
///
/// The notebook's stop button ends it after the current step: the history so far is returned with `stopped` set, the model has the
/// weights of that step, and a line says which it was. A training that starts after the button was pressed in the same cell makes
/// one step, so that no history is empty.
///
/// # Errors
/// Options or data that do not fit the model, such as data of another law (nothing is done then);
/// [`Error::Diverged`] when a loss is no longer a finite number: the model keeps the last weights, the error the
/// losses so far.
pub fn train(model: &mut dyn Model, data: &Data, options: &TrainOptions) -> Result<History> {
    let history = train_model(model, data, options, None)?;
    if history.stopped {
        println!("stopped at step {} of {}", history.loss.len(), options.steps_on(data));
    }
    Ok(history)
}

/// One training of a lot: what [`train`] takes.
#[derive(Debug)]
pub struct Training<'a> {
    /// The model to train.
    pub model: &'a mut dyn Model,
    /// Its data.
    pub data: &'a Data,
    /// Its options. Each training runs on one thread; the lot has one progress line, shown if the first training asks for it.
    pub options: TrainOptions,
}

impl<'a> Training<'a> {
    /// A training of either model.
    pub fn new(model: &'a mut dyn Model, data: &'a Data, options: TrainOptions) -> Self {
        Self { model, data, options }
    }
}

/// Trains all models on the same data with the same options, side by side ([`train_lot`]): the notebook's loops over repetitions and
/// configurations, in one call.
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// let pi = last_position_law(&[10, 10], 10, 0.0, 0.95, &mut TorchRng::new(1))?;
/// let data = generate_data(256, 20, &pi, 3, &mut TorchRng::new(2))?;
/// let mut models = (0..4).map(|k| LowRank::new(2 + k, 10, 3, &pi, &mut TorchRng::new(3))).collect::<Result<Vec<_>>>()?;
/// let histories = train_all(&mut models, &data, &TrainOptions::default().quiet())?;
/// assert_eq!(histories.len(), 4);
/// # Ok(()) }
/// ```
///
/// # Errors
/// As [`train_lot`].
pub fn train_all<M: Model>(models: &mut [M], data: &Data, options: &TrainOptions) -> Result<Vec<History>> {
    train_lot(models.iter_mut().map(|model| Training::new(model, data, options.clone())).collect())
}

/// Trains all models, each on its own thread as cores come free, and returns their histories in the order given. Each result is
/// the one that [`train`] gives alone, whatever the threads' timing: nothing is shared.
///
/// The notebook's stop button ends those that run after their current step and gives each of the others one step; a line says how
/// many were stopped and where (`stopped` of each history).
///
/// # Errors
/// Any training that [`train`] would refuse: nothing is done then. If a loss diverges, the error of the first such training; all others
/// are run to their end, and their models are trained ([`train_each`] has their histories, too).
pub fn train_lot(trainings: Vec<Training<'_>>) -> Result<Vec<History>> {
    train_each(trainings)?.into_iter().collect()
}

/// [`train_lot`] with a result for each training: where some diverge, the histories of the others are there.
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// let pi = last_position_law(&[10, 10], 10, 0.0, 0.95, &mut TorchRng::new(1))?;
/// let data = generate_data(64, 20, &pi, 3, &mut TorchRng::new(2))?;
/// let mut models = [LowRank::new(2, 10, 3, &pi, &mut TorchRng::new(3))?, LowRank::new(2, 10, 3, &pi, &mut TorchRng::new(3))?];
/// let rates = [1e-2, 1e38]; // the second is no learning rate
/// let options = rates.map(|lr| TrainOptions::lr(lr).quiet());
/// let lot = models.iter_mut().zip(options).map(|(model, options)| Training::new(model, &data, options));
/// let results = train_each(lot.collect())?;
/// assert!(results[0].is_ok() && matches!(results[1], Err(Error::Diverged { .. })));
/// # Ok(()) }
/// ```
///
/// # Errors
/// Any training that [`train`] would refuse: nothing is done then.
pub fn train_each(trainings: Vec<Training<'_>>) -> Result<Vec<Result<History>>> {
    let mut total = 0;
    for Training { model, data, options } in &trainings {
        model.params().check_finite()?;
        let task = task(*model, data, options)?;
        engine(&task, *model)?;
        total += task.steps();
    }
    let shown = trainings.first().is_some_and(|training| training.options.progress);
    let jobs = trainings.into_iter().map(|Training { model, data, options }| {
        move |steps: &AtomicUsize| {
            let options = TrainOptions { threads: Some(1), progress: false, ..options };
            train_model(model, data, &options, Some(steps))
        }
    });
    let results = side_by_side(jobs.collect(), total, shown);
    let stopped = results.iter().flatten().filter(|history| history.stopped).map(|history| history.loss.len());
    if let (Some(first), Some(last)) = (stopped.clone().min(), stopped.clone().max()) {
        println!("stopped {} of {} trainings, at steps {first} to {last}", stopped.count(), results.len());
    }
    Ok(results)
}

/// What is trained on what, checked.
fn task<'a>(model: &'a dyn Model, data: &'a Data, options: &'a TrainOptions) -> Result<Task<'a>> {
    Task::new(model.sizes(), model.frozen(), model.law(), data, options)
}

/// The engine that trains, if there is memory for it: the circuit engine counts its own.
fn engine(task: &Task, model: &dyn Model) -> Result<Engine> {
    let engine = task.engine(only_autograd(model))?;
    let (batch, window) = (task.data().batch_size(), task.data().context_window());
    // what the forward pass leaves, and its gradients
    let values = 2.0 * forward_values(model.sizes(), batch, window);
    if engine == Engine::Autograd && values > MOST_VALUES {
        let reason =
            task.refused_by_circuit_engine().map_or(String::new(), |reason| format!("; the circuit engine: {reason}"));
        let expected = format!(
            "a step of autograd would take {values:.2e} values, and at most {MOST_VALUES:.2e} are possible{reason}"
        );
        return Err(Error::argument("data", format!("in batches of {batch} sequences of {window} tokens"), expected));
    }
    Ok(engine)
}

/// Values that a step of autograd may take: 16 GiB of float32.
const MOST_VALUES: f64 = (1u64 << 32) as f64;

/// Why the model itself leaves no choice but autograd.
fn only_autograd(model: &dyn Model) -> Option<String> {
    let device = model.params().device();
    (device != tch::Device::Cpu).then(|| format!("the model is on {device:?}, and it trains on the CPU"))
}

/// One training; `steps` counts those of several.
fn train_model(
    model: &mut dyn Model,
    data: &Data,
    options: &TrainOptions,
    steps: Option<&AtomicUsize>,
) -> Result<History> {
    listen(); // before the preparation, which may take a second
    model.params().check_finite()?;
    let mut values = vec![];
    let trained = {
        let task = task(model, data, options)?;
        let run: Box<dyn Run + '_> = match engine(&task, model)? {
            Engine::Circuit => Box::new(task.circuit_trainer(model.params().to_flat())?),
            _ => Box::new(Autograd::new(model, &task)),
        };
        drive(&task, run, &mut values, Watch { stop: &interrupted, steps })
    };
    model.params_mut().put(&values);
    trained
}
