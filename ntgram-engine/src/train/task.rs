//! What is trained on what, checked once: everything below sees values that fit each other.

use super::options::{Engine, TrainOptions};
use crate::data::Data;
use crate::engine::{self, Epoch, Problem, Trainer};
use crate::error::{Error, Result};
use crate::laws::{Law, entropy};
use crate::models::{Freeze, ModelConfig, ParamSpec, n_values};

/// A training whose model, law, data and options fit each other.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    model: ModelConfig<'a>,
    freeze: Freeze,
    law: &'a Law,
    data: &'a Data,
    options: &'a TrainOptions,
}

impl<'a> Task<'a> {
    /// Checks everything that a training needs.
    ///
    /// # Errors
    /// A model that cannot learn `law`, data of another law or with sequences that the model cannot take, options that no training can
    /// follow. The message names the argument.
    pub fn new(
        model: ModelConfig<'a>,
        freeze: Freeze,
        law: &'a Law,
        data: &'a Data,
        options: &'a TrainOptions,
    ) -> Result<Self> {
        model.check(law)?;
        options.check()?;
        if data.n_vocab() != law.n_vocab() {
            let expected = format!("the model's vocabulary has {} tokens", law.n_vocab());
            return Err(Error::argument("data", format!("over {} tokens", data.n_vocab()), expected));
        }
        if data.law() != law {
            let expected =
                "the model was made for another law: train it on data of its own, or make a model for this one";
            return Err(Error::argument("data", "drawn from another law than the model's", expected));
        }
        let (window, order) = (data.context_window(), law.order().max(2));
        if window > model.context_window() || window < order {
            let expected = format!("the model takes {}", from_to(order, model.context_window()));
            return Err(Error::argument("data", format!("of sequences of {window} tokens"), expected));
        }
        let list = model.parameters();
        check_snapshots(options, &list)?;
        if list.iter().all(|spec| spec.is_frozen(&freeze)) {
            let expected = "at least one group of parameters must be trained";
            return Err(Error::argument("freeze", format!("{freeze:?}"), expected));
        }
        check_adam(options, n_values(&list))?;
        Ok(Self { model, freeze, law, data, options })
    }

    /// The model's sizes.
    pub fn model(&self) -> ModelConfig<'a> {
        self.model
    }

    /// What is not trained.
    pub fn freeze(&self) -> Freeze {
        self.freeze
    }

    /// The law.
    pub fn law(&self) -> &'a Law {
        self.law
    }

    /// The data.
    pub fn data(&self) -> &'a Data {
        self.data
    }

    /// The options.
    pub fn options(&self) -> &'a TrainOptions {
        self.options
    }

    /// How many batches will be visited, in all epochs.
    pub fn steps(&self) -> usize {
        self.options.steps_on(self.data)
    }

    /// How many epochs will be begun: all of the options', or those that their `max_batches` reach.
    pub fn epochs(&self) -> usize {
        self.steps().div_ceil(self.data.num_batch())
    }

    /// Why the circuit engine cannot do it; `None` if it can.
    pub fn refused_by_circuit_engine(&self) -> Option<String> {
        engine::refused(&self.problem(&[]))
    }

    /// What the circuit engine is to do, in these epochs.
    fn problem<'p>(&'p self, epochs: &'p [Epoch]) -> Problem<'p> {
        Problem {
            model: self.model,
            freeze: self.freeze,
            order: self.law.order(),
            law: self.law.last_table(),
            window: self.data.context_window(),
            entropy: entropy(self.law),
            tokens: self.data.tokens(),
            epochs,
            batch_size: self.data.batch_size(),
            loss: self.options.loss,
            threads: self
                .options
                .threads
                .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
        }
    }

    /// The engine asked for, or the fastest that can do it. `only_autograd`: a reason of the caller's why the circuit engine cannot.
    ///
    /// # Errors
    /// The engine asked for cannot do it; the message says which condition failed.
    pub fn engine(&self, only_autograd: Option<String>) -> Result<Engine> {
        let refused = only_autograd.or_else(|| self.refused_by_circuit_engine());
        match (self.options.engine, refused) {
            (Some(Engine::Circuit), Some(reason)) => {
                let expected = format!("{reason}: use `None` or `Engine::Autograd`");
                Err(Error::argument("engine", "Circuit", expected))
            }
            (Some(engine), _) => Ok(engine),
            (None, None) => Ok(Engine::Circuit),
            (None, Some(_)) => Ok(Engine::Autograd),
        }
    }

    /// The training by the circuit engine, from `values` in the order of the model's list.
    ///
    /// # Errors
    /// The circuit engine cannot do it, another number of values than the model has, or no thread can be started.
    pub fn circuit_trainer(&self, values: Vec<f32>) -> Result<Trainer> {
        if let Some(reason) = self.refused_by_circuit_engine() {
            return Err(Error::argument("engine", "Circuit", reason));
        }
        let size = n_values(&self.model.parameters());
        if values.len() != size {
            let value = format!("{} values long", values.len());
            return Err(Error::argument("values", value, format!("the model has {size}")));
        }
        let options = self.options;
        let mut rng = options.first_rng();
        let mut epoch = |k| Epoch { shuffle: Some(rng.loader_seed()), lr: options.rate(k) };
        let epochs: Vec<Epoch> = (0..self.epochs()).map(&mut epoch).collect();
        Trainer::new(&self.problem(&epochs), values, options.adam.as_ref())
    }
}

/// "3", or "2 to 5".
fn from_to(least: usize, most: usize) -> String {
    if least >= most { format!("sequences of {most}") } else { format!("sequences of {least} to {most}") }
}

/// The interval and the names must be usable.
fn check_snapshots(options: &TrainOptions, list: &[ParamSpec]) -> Result<()> {
    let Some(snapshots) = &options.snapshots else { return Ok(()) };
    if snapshots.every == 0 {
        return Err(Error::argument("every", 0, "snapshots are taken after every so many steps: at least 1"));
    }
    match snapshots.parameters.iter().find(|name| !list.iter().any(|spec| spec.name == **name)) {
        None => Ok(()),
        Some(unknown) => {
            let names: Vec<&str> = list.iter().map(|spec| spec.name.as_str()).collect();
            Err(Error::argument("parameters", format!("{unknown:?}"), format!("the model has {}", names.join(", "))))
        }
    }
}

/// Moments must be those of such a model, and such as training leaves them.
fn check_adam(options: &TrainOptions, size: usize) -> Result<()> {
    let Some(adam) = &options.adam else { return Ok(()) };
    let refuse = |value: String, expected: &str| Err(Error::argument("adam", value, expected));
    if adam.m.len() != size || adam.v.len() != size {
        let expected = format!("the model has {size} values: use a history of the same model");
        return refuse(format!("a state of {} and {} values", adam.m.len(), adam.v.len()), &expected);
    }
    if adam.m.iter().any(|x| !x.is_finite()) || adam.v.iter().any(|x| !x.is_finite() || *x < 0.0) {
        return refuse(
            "a state with moments that no training leaves".into(),
            "moments are finite, second ones not negative",
        );
    }
    if adam.steps > MOST_STEPS {
        return refuse(format!("a state after {} steps", adam.steps), "a training has up to 2^40 steps");
    }
    Ok(())
}

/// Steps of a training and of those before it that it goes on from.
const MOST_STEPS: u64 = 1 << 40;
