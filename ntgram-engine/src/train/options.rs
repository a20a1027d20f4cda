//! How to train.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Adam;
use crate::data::Data;
use crate::engine::Loss;
use crate::error::{Error, Result};
use crate::models::{ModelConfig, n_values};
use crate::rng::TorchRng;

/// What computes the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// tch's autograd, in `ntgram-core`: any model, on any device.
    Autograd,
    /// Hand-derived gradients in circuit space ([`engine`](crate::engine)), on the CPU, many times faster; the same numbers up to rounding.
    /// [`Task::refused_by_circuit_engine`](super::Task::refused_by_circuit_engine) says of what it does not train which condition failed.
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

/// Which parameters to keep while training, and how often.
///
/// `Snapshots::every(100)` keeps all of them; `Snapshots::every(100).of("unemb.weight")` this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshots {
    /// One after every so many steps, one before the first step and one at the end.
    pub every: usize,
    /// Names of the parameters, as the model lists them; none: all of them. Each snapshot holds their values in full.
    pub parameters: Vec<String>,
}

impl Snapshots {
    /// Of all parameters, after every so many steps.
    pub fn every(steps: usize) -> Self {
        Self { every: steps, parameters: vec![] }
    }

    /// Of this parameter, and of those named before, only.
    pub fn of(mut self, name: &str) -> Self {
        self.parameters.push(name.to_owned());
        self
    }
}

/// How the learning rate goes from epoch to epoch; within an epoch it is constant.
///
/// ```
/// use ntgram_engine::prelude::*;
/// let options = TrainOptions::lr(0.01).epochs(4).schedule(Schedule::Linear { to: 0.002 });
/// assert_eq!([0, 1, 2, 3].map(|epoch| options.rate(epoch)), [0.01, 0.008, 0.006, 0.004]);
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// [`TrainOptions::lr`] in all epochs.
    #[default]
    Constant,
    /// From [`TrainOptions::lr`] in a straight line: `lr + (to − lr)·k/E` in epoch `k` of `E`, so that `to` would be that of epoch `E`,
    /// the first that is not there.
    Linear {
        /// Where it goes: 0 or more.
        to: f64,
    },
    /// These, one for each epoch; [`TrainOptions::lr`] is not read.
    Rates(Vec<f64>),
}

/// How to train. The defaults are the original's: `lr = 1e-3`, next token, seed 0, one epoch. What differs from them is set by name, or by the short
/// forms:
///
/// ```
/// use ntgram_engine::prelude::*;
/// let short = TrainOptions::lr(3e-3).seed(7).full_divergence().quiet();
/// let long =
///     TrainOptions { lr: 3e-3, seed: 7, loss: Loss::FullDivergence, progress: false, ..Default::default() };
/// assert_eq!(short, long);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// Adam's learning rate, in the first epoch at least.
    pub lr: f64,
    /// Passes over the data, each in an order of its own. Adam goes on over them.
    pub epochs: usize,
    /// Learning rates of the epochs.
    pub schedule: Schedule,
    /// The loss.
    #[doc(alias = "next_token")]
    pub loss: Loss,
    /// Seed of the shuffles: batches come in the order PyTorch's `DataLoader` gives after `manual_seed(seed)`.
    pub seed: u64,
    /// Where in PyTorch's stream the shuffles come from, in place of [`seed`](Self::seed): the generator as it is before the training, which
    /// [`History::rng`](super::History::rng) gives as it is after it. So one stream runs on through models and trainings.
    pub rng: Option<TorchRng>,
    /// `None`: the fastest engine that can do it. `Some`: this one.
    pub engine: Option<Engine>,
    /// Threads of the circuit engine; `None`: as many as there are cores. The result does not depend on it.
    pub threads: Option<usize>,
    /// Go on with the optimiser's state of an earlier [`History`](super::History); `None`: start afresh, as the original does.
    pub adam: Option<Adam>,
    /// Stop after this many batches, counted over all epochs; `None`: visit them all.
    pub max_batches: Option<usize>,
    /// Keep parameters as they are on the way, in [`History::snapshots`](super::History::snapshots); `None`: keep none.
    pub snapshots: Option<Snapshots>,
    /// Print progress lines and the speed at the end.
    pub progress: bool,
}

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            epochs: 1,
            schedule: Schedule::Constant,
            loss: Loss::NextToken,
            seed: 0,
            rng: None,
            engine: None,
            threads: None,
            adam: None,
            max_batches: None,
            snapshots: None,
            progress: true,
        }
    }
}

impl TrainOptions {
    /// The defaults with this learning rate.
    pub fn lr(lr: f64) -> Self {
        Self { lr, ..Self::default() }
    }

    /// With this many passes over the data.
    pub fn epochs(self, epochs: usize) -> Self {
        Self { epochs, ..self }
    }

    /// With these learning rates from epoch to epoch.
    pub fn schedule(self, schedule: Schedule) -> Self {
        Self { schedule, ..self }
    }

    /// With this seed of the shuffles.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// With shuffles from this generator on, as it is.
    pub fn rng(self, rng: TorchRng) -> Self {
        Self { rng: Some(rng), ..self }
    }

    /// With the full divergence from the law as the loss.
    pub fn full_divergence(self) -> Self {
        Self { loss: Loss::FullDivergence, ..self }
    }

    /// With snapshots.
    pub fn snapshots(self, snapshots: Snapshots) -> Self {
        Self { snapshots: Some(snapshots), ..self }
    }

    /// Without progress lines.
    pub fn quiet(self) -> Self {
        Self { progress: false, ..self }
    }

    /// Adam's learning rate in epoch `epoch`, counted from 0.
    pub fn rate(&self, epoch: usize) -> f64 {
        match &self.schedule {
            Schedule::Constant => self.lr,
            Schedule::Linear { to } => self.lr + (to - self.lr) * (epoch as f64 / self.epochs as f64),
            Schedule::Rates(rates) => rates.get(epoch).copied().unwrap_or(self.lr),
        }
    }

    /// Checks what does not depend on model and data: rates, epochs, threads, batches.
    ///
    /// # Errors
    /// One of them is such that no training can follow it; the message names it.
    pub fn check(&self) -> Result<()> {
        check_rates(self)?;
        if self.threads == Some(0) {
            return Err(Error::argument("threads", 0, "it must be at least 1, or `None` for all cores"));
        }
        if self.max_batches == Some(0) {
            return Err(Error::argument("max_batches", 0, "it must be at least 1, or `None` for all"));
        }
        Ok(())
    }

    /// Batches that a training on `data` visits, in all its epochs.
    pub fn steps_on(&self, data: &Data) -> usize {
        self.max_batches.unwrap_or(usize::MAX).min(self.epochs.saturating_mul(data.num_batch()))
    }

    /// The generator that the shuffles come from, as it is before the training.
    pub fn first_rng(&self) -> TorchRng {
        self.rng.clone().unwrap_or_else(|| TorchRng::new(self.seed))
    }
}

/// Every epoch must have a rate that a step can be made with.
fn check_rates(options: &TrainOptions) -> Result<()> {
    let positive = |rate: f64| rate.is_finite() && rate > 0.0;
    let TrainOptions { lr, epochs, ref schedule, .. } = *options;
    if !(1..=MOST_EPOCHS).contains(&epochs) {
        return Err(Error::argument("epochs", epochs, format!("it must be from 1 to {MOST_EPOCHS}")));
    }
    match schedule {
        Schedule::Constant | Schedule::Linear { .. } if !positive(lr) => {
            Err(Error::argument("lr", lr, "it must be a positive number, such as 1e-3"))
        }
        Schedule::Linear { to } if !(to.is_finite() && *to >= 0.0) => Err(Error::argument(
            "schedule",
            format!("{schedule:?}"),
            "the rate must go to a number that is not negative",
        )),
        Schedule::Rates(rates) if rates.len() != epochs => {
            let expected = format!("there must be one for each epoch, {epochs} in all");
            Err(Error::argument("schedule", format!("a list of {} rates", rates.len()), expected))
        }
        Schedule::Rates(rates) => match rates.iter().find(|rate| !positive(**rate)) {
            Some(bad) => {
                let expected = "every rate must be a positive number, such as 1e-3";
                Err(Error::argument("schedule", format!("a list with the rate {bad}"), expected))
            }
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Epochs of a training.
const MOST_EPOCHS: usize = 1 << 24;

/// Words of PyTorch's stream that each epoch takes: the two 64-bit draws of its data loader.
pub(super) const WORDS_OF_AN_EPOCH: u64 = 4;

/// Words of PyTorch's stream that `model`'s initial values and then a training of `epochs` epochs take: what
/// [`TorchRng::skip`] passes over to get to the next model of the same stream without training this one; `u64::MAX` where they are more.
///
/// ```
/// use ntgram_engine::prelude::*;
/// # fn main() -> Result<()> {
/// // the third of several models that one stream makes and trains, 64 epochs each
/// let config = TransformerConfig { n_modules: 20, ..TransformerConfig::of_paper(50, 10, 4) };
/// let model = ModelConfig::Transformer(&config);
/// let mut rng = TorchRng::new(2222);
/// rng.skip(2 * stream_words(model, 64));
/// let values = model.initial_values(&mut rng)?;
/// let options = TrainOptions::lr(0.01).epochs(64).rng(rng);
/// # Ok(()) }
/// ```
pub fn stream_words(model: ModelConfig, epochs: usize) -> u64 {
    (n_values(&model.parameters()) as u64).saturating_add(WORDS_OF_AN_EPOCH.saturating_mul(epochs as u64))
}
