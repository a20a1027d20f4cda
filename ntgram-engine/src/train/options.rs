//! How to train.

use std::fmt;

use super::Adam;
use crate::engine::Loss;

/// What computes the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// tch's autograd, in `ntgram-core`: any model, any device.
    Autograd,
    /// Hand-derived gradients in circuit space ([`engine`](crate::engine)): trigrams with a window of 3 on the CPU, many times faster; the
    /// same numbers up to rounding.
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

/// How to train. The defaults are the original's: `lr = 1e-3`, next token, seed 0. What differs from them is set by name, or by the short
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
    /// Adam's learning rate.
    pub lr: f64,
    /// The loss.
    #[doc(alias = "next_token")]
    pub loss: Loss,
    /// Seed of the shuffle: batches come in the order PyTorch's `DataLoader` gives after `manual_seed(seed)`.
    pub seed: u64,
    /// `None`: the fastest engine that can do it. `Some`: this one.
    pub engine: Option<Engine>,
    /// Threads of the circuit engine; `None`: as many as there are cores. The result does not depend on it.
    pub threads: Option<usize>,
    /// Go on with the optimiser's state of an earlier [`History`](super::History); `None`: start afresh, as the original does.
    pub adam: Option<Adam>,
    /// Stop after this many batches; `None`: visit them all.
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
            loss: Loss::NextToken,
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

impl TrainOptions {
    /// The defaults with this learning rate.
    pub fn lr(lr: f64) -> Self {
        Self { lr, ..Self::default() }
    }

    /// With this seed of the shuffle.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
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
}
