//! Training in circuit space: hand-derived gradients on plain slices, no tensors.
//!
//! It trains every model on the CPU. Of a sequence the positions are scored at which the law has a whole context. With causal
//! attention what a position computes depends on the tokens up to it: so the work is done once for each distinct token, or
//! prefix, of a batch instead of for each sample. That is exact: the gradients are autograd's up to rounding.
//!
//! # Read this first
//!
//! In this order each file needs only what those before it say:
//!
//! 1. `reference`: the mathematics, one sequence at a time, in double precision, with no trick. Built for tests and documentation
//!    only.
//! 2. `trainer`: a training from its start to its end. `part`: what each kind of model provides for it. `division`: how many
//!    parts there are. `shared`, `pool`: what the threads see, and the threads. The parts, and the order in which their gradients
//!    are added, depend on the problem only: so does the result, whatever the number of threads.
//! 3. The data: `contexts` numbers the contexts that occur, `keys` makes a few small numbers of each sample, `feed` shuffles these a
//!    little ahead of the steps, epoch after epoch, `batch_pairs` sorts a batch by context.
//! 4. The smallest model: `low_rank`. Its kernel, 16 contexts side by side: `loss`, `law_rows` and `unembed`. The optimiser: `adam`, and
//!    `deferred` for a table where most rows have no gradient.
//! 5. The Transformer: `layout` (where the parameters lie), `stream` (what a layer reads of the residual stream), `circuits`, `mlp`,
//!    `layer_norm`, `linear`. With these `prefix` trains any of them.
//! 6. A special case: trigrams in windows of 3, where all that is scored are pairs of tokens. `transformer` puts it together from
//!    `token_rows` and `attention`. `prefix` can do it, too, but takes up to three times as long at the notebook's sizes.
//! 7. The tools: `simd` (vectors, chosen for the processor), `functions`, `gemm`, `buffer`.
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | sample | a sequence of `T` tokens |
//! | scored position | one whose next token, the target, counts |
//! | context | the `n − 1` tokens up to a scored position, numbered if they occur in the data |
//! | prefix | the tokens of a sequence up to a position: a node of a batch's tree of them |
//! | pair | a context that is worked on in a batch |
//! | key | a part of a sample as one number |
//! | portion | the keys that are shuffled in one go |
//! | part | a range of contexts, or sequences, that one thread works on at a time |
//! | piece | as much of a batch's tree as fits the processor's cache |
//! | block | 16 pairs or nodes, side by side in the lanes of a vector |
//! | group | heads of a layer, of any of its modules, that are worked on together |
//! | stream | what a Transformer's layers read and add to |
//! | row | of a table over tokens, contexts or prefixes |
//!
//! Nothing here is random, and nothing fails once there is a [`Trainer`].
//!
//! One visible difference from autograd: no loss depends on the positional embedding of the last position, which stays bit for
//! bit where it was. Autograd gives it the rounding noise of a gradient that cancels, and Adam makes steps of full size of it.

mod adam;
mod attention;
mod batch_pairs;
mod buffer;
mod circuits;
mod contexts;
mod deferred;
mod division;
mod feed;
mod functions;
mod gemm;
mod keys;
mod law_rows;
mod layer_norm;
mod layout;
mod linear;
mod loss;
mod low_rank;
mod mlp;
mod part;
mod pool;
mod prefix;
#[cfg(any(test, doc))]
mod reference;
mod shared;
mod simd;
mod stream;
#[cfg(test)]
mod tests;
mod token_rows;
mod trainer;
mod transformer;
mod unembed;

use crate::models::{Freeze, ModelConfig};
pub use simd::instructions;
pub use trainer::Trainer;

/// Pairs of a block: as many as the unembedding works on side by side, one in each lane of a vector.
const BLOCK: usize = 16;

/// What a batch's loss is, before the law's entropy is taken off. Nats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[doc(alias = "next_token")]
pub enum Loss {
    /// Cross-entropy of the next token, as it was drawn.
    #[default]
    NextToken,
    /// The full divergence from the law's row: `−Σ_k π_k log p_k` instead of the `−log p` of one draw from it.
    FullDivergence,
}

/// What is trained, on what, and how; all of it checked by [`Task::new`](crate::train::Task::new).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Problem<'a> {
    /// The model's sizes.
    pub model: ModelConfig<'a>,
    /// What is not trained.
    pub freeze: Freeze,
    /// Order `n` of the law.
    pub order: usize,
    /// The law's last table `(N^(n-1), N)`, row-major, the oldest token slowest.
    pub law: &'a [f32],
    /// Entropy of the law (nats), subtracted from the reported loss.
    pub entropy: f64,
    /// Tokens of a sequence, `T`.
    pub window: usize,
    /// The sequences, `(M, T)` row-major, all below the vocabulary's size (not checked again here).
    pub tokens: &'a [u16],
    /// What is done in each pass over the rows of `tokens`; at least one.
    pub epochs: &'a [Epoch],
    /// Samples of a batch; the last batch takes what is left.
    pub batch_size: usize,
    /// The loss that is reported and descended.
    pub loss: Loss,
    /// Threads to work with, at least 1. The result does not depend on it.
    pub threads: usize,
}

/// One pass over the sequences.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Epoch {
    /// They are visited in the order that `randperm` gives after this seed; `None`: as they lie.
    pub shuffle: Option<u64>,
    /// Adam's learning rate.
    pub lr: f64,
}

impl Problem<'_> {
    /// Scored positions of a sequence, `n − 2 … T − 2`.
    fn scored(&self) -> usize {
        self.window - (self.order - 1).max(1)
    }

    /// The law's table, where the loss compares with it.
    fn compared_law(&self) -> Option<&[f32]> {
        (self.loss == Loss::FullDivergence).then_some(self.law)
    }
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

/// Why the engine cannot do it; `None` if it can. Which epochs there are is of no account.
pub(crate) fn refused(problem: &Problem) -> Option<String> {
    match problem.model {
        ModelConfig::LowRank(_) => low_rank::refused(problem),
        ModelConfig::Transformer(config) if transformer::takes(problem, config) => None,
        ModelConfig::Transformer(config) => prefix::refused(problem, config),
    }
}
