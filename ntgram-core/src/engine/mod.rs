//! Training in circuit space: hand-derived gradients on plain slices, no tensors.
//!
//! Covers trigrams with a window of 3 ([`supports`]): position 1 alone is scored, so a batch is a set of pairs of tokens, each with
//! the targets that followed it. Exact: the same gradients as autograd's up to rounding. How it is split:
//!
//! - `contexts` numbers the pairs that occur and groups each batch by pair; `feed` shuffles the samples, ahead of the steps;
//! - `circuits` and `attention` are the Transformer's layers, as tables over tokens (`rows`); `mlp` and `layer_norm` likewise;
//! - `unembed` and `loss` are the scores, softmax, loss and their gradients, 16 pairs side by side;
//! - `transformer` and `low_rank` put them together for a *part*: a range of the contexts. Parts are worked on by any number of threads;
//!   the parts, and the order in which their gradients are added, depend on the problem only, so the result does not depend on the threads;
//! - `shared` is what the threads of a training see, `pool` the threads; `trainer` steps;
//! - `adam` is the optimiser, `deferred` the same where most rows of a table have no gradient; `simd` the vectors, chosen for the processor
//!   at run time.
//!
//! Nothing here is random, and nothing fails after [`Trainer::new`].
//!
//! One visible difference from autograd: the positional embedding of position 2, which no loss depends on, stays bit for bit where it
//! was. Autograd gives it the rounding noise of a gradient that cancels, and Adam makes steps of full size of it.

mod adam;
mod attention;
mod circuits;
mod contexts;
mod deferred;
mod feed;
mod gemm;
mod layer_norm;
mod layout;
mod loss;
mod low_rank;
mod math;
mod mlp;
mod pool;
mod rows;
mod shared;
mod simd;
#[cfg(test)]
mod tests;
mod trainer;
mod transformer;
mod unembed;

use crate::error::{Error, Result};
use crate::models::config::{Freeze, LowRankConfig, ParamSpec, TransformerConfig};
pub use trainer::Trainer;

/// The model that is trained.
#[derive(Debug, Clone, Copy)]
pub enum Model<'a> {
    /// Attention-only Transformer, with or without MLPs.
    Transformer(&'a TransformerConfig),
    /// Context table times unembedding.
    LowRank(&'a LowRankConfig),
}

impl Model<'_> {
    fn n_vocab(self) -> usize {
        match self {
            Model::Transformer(c) => c.n_vocab,
            Model::LowRank(c) => c.n_vocab,
        }
    }

    fn parameters(self) -> Vec<ParamSpec> {
        match self {
            Model::Transformer(c) => c.parameters(),
            Model::LowRank(c) => c.parameters(),
        }
    }
}

/// What is trained, on what, and how.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    /// The model's sizes.
    pub model: Model<'a>,
    /// What is not trained.
    pub freeze: Freeze,
    /// The law's last table `pi_2 (N, N, N)`, row-major: `pi_2[x_0, x_1, k]`.
    pub law: &'a [f32],
    /// Entropy of the law (nats), subtracted from the reported loss.
    pub entropy: f64,
    /// The sequences, `(M, 3)` row-major, all below the vocabulary's size (not checked again here).
    pub tokens: &'a [u16],
    /// Training visits the rows of `tokens` in the order that `randperm` gives after this seed; `None`: as they lie.
    pub shuffle: Option<u64>,
    /// Samples of a batch; the last batch takes what is left.
    pub batch_size: usize,
    /// Next-token loss, or else full divergence to the law.
    pub next_token: bool,
    /// Adam's learning rate.
    pub lr: f64,
    /// Threads to work with, at least 1. The result does not depend on it.
    pub threads: usize,
}

/// Adam's moments, in the order of the model's parameter list; 0 where a parameter is frozen.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamState {
    /// First moments.
    pub m: Vec<f32>,
    /// Second moments.
    pub v: Vec<f32>,
    /// Steps done so far.
    pub steps: u64,
}

/// What one step reports of its batch, before the step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepOutcome {
    /// Mean loss minus the law's entropy, nats.
    pub loss: f64,
    /// Share of samples whose next token has the largest logit.
    pub accuracy: f64,
}

/// Whether the engine can train `model` on sequences of `sequence_len` tokens from a law of order `law_order`.
pub fn supports(model: Model, sequence_len: usize, law_order: usize) -> bool {
    let sizes_fit = match model {
        Model::Transformer(c) => c.check().is_ok() && c.context_window == 3,
        Model::LowRank(c) => c.check().is_ok() && c.context_window == 3 && c.order == 3,
    };
    // A context and a target share 32 bits.
    let keys_fit = model.n_vocab() <= 1024;
    sizes_fit && keys_fit && sequence_len == 3 && law_order == 3
}

/// Checks that everything fits together.
fn check(problem: &Problem, params: &[f32], adam: Option<&AdamState>) -> Result<()> {
    let n = problem.model.n_vocab();
    if !supports(problem.model, 3, 3) {
        let value = format!("{:?}", problem.model);
        return Err(Error::argument(
            "model",
            value,
            "the engine trains trigrams with a window of 3 and up to 1024 tokens",
        ));
    }
    let total: usize = problem.model.parameters().iter().map(|p| p.len()).sum();
    let lengths =
        [("params", params.len()), ("m", adam.map_or(total, |a| a.m.len())), ("v", adam.map_or(total, |a| a.v.len()))];
    for (name, len) in lengths {
        if len != total {
            return Err(Error::argument(name, format!("of length {len}"), format!("the model has {total} parameters")));
        }
    }
    if problem.law.len() != n * n * n {
        let value = format!("of length {}", problem.law.len());
        return Err(Error::argument("law", value, format!("it must have {n}³ entries")));
    }
    if problem.tokens.is_empty() || !problem.tokens.len().is_multiple_of(3) {
        let value = format!("of length {}", problem.tokens.len());
        return Err(Error::argument("tokens", value, "its length must be a multiple of 3, and not 0"));
    }
    if problem.batch_size == 0 {
        return Err(Error::argument("batch_size", 0, "it must be at least 1"));
    }
    let samples = problem.batch_size.min(problem.tokens.len() / 3);
    if samples > contexts::MOST_SAMPLES {
        let value = format!("{} for {samples} sequences", problem.batch_size);
        let expected = format!("a batch may have up to {} of them", contexts::MOST_SAMPLES);
        return Err(Error::argument("batch_size", value, expected));
    }
    Ok(())
}
