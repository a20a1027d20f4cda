//! What a model is, as plain numbers: sizes, skipped terms, frozen groups, the one ordered list of named parameters with their initial
//! values, and the view that names the weights in it. No tensors here: the models themselves are above, in `ntgram-core`.

mod low_rank;
mod parameters;
mod skips;
mod transformer;
mod weights;

pub use low_rank::LowRankConfig;
pub use parameters::{Freeze, MAX_VALUES, ParamKind, ParamSpec, n_values};
pub use skips::Skips;
pub use transformer::{Norm, TransformerConfig};
pub use weights::{Compression, LayerWeights, LinearWeights, LowRankWeights, ModuleWeights, Place, TransformerWeights};

use crate::error::{Error, Result};
use crate::laws::Law;
use crate::rng::TorchRng;

/// The sizes of either model.
#[derive(Debug, Clone, Copy)]
pub enum ModelConfig<'a> {
    /// A Transformer's.
    Transformer(&'a TransformerConfig),
    /// A low-rank model's.
    LowRank(&'a LowRankConfig),
}

impl ModelConfig<'_> {
    /// Vocabulary size `N`.
    pub fn n_vocab(self) -> usize {
        match self {
            Self::Transformer(config) => config.n_vocab,
            Self::LowRank(config) => config.n_vocab,
        }
    }

    /// Context window `T`.
    pub fn context_window(self) -> usize {
        match self {
            Self::Transformer(config) => config.context_window,
            Self::LowRank(config) => config.context_window,
        }
    }

    /// Every parameter, in order.
    pub fn parameters(self) -> Vec<ParamSpec> {
        match self {
            Self::Transformer(config) => config.parameters(),
            Self::LowRank(config) => config.parameters(),
        }
    }

    /// Checks the sizes.
    ///
    /// # Errors
    /// Sizes that do not fit each other, or more than [`MAX_VALUES`] values.
    pub fn check_sizes(self) -> Result<()> {
        match self {
            Self::Transformer(config) => config.check(),
            Self::LowRank(config) => config.check(),
        }
    }

    /// The values of all parameters, one after the other, as PyTorch draws them: each from `U(-a, a)` with its own
    /// [`init_bound`](ParamSpec::init_bound), one word of `rng` a value. The order of draws is that of the list, but a module's `out_proj`
    /// comes before its `in_proj`, as there.
    ///
    /// # Errors
    /// As [`check_sizes`](Self::check_sizes); nothing is drawn then.
    pub fn initial_values(self, rng: &mut TorchRng) -> Result<Vec<f32>> {
        self.check_sizes()?;
        parameters::initial_values(&self.parameters(), rng)
    }

    /// Checks the sizes, and that the model can learn `law`.
    ///
    /// # Errors
    /// Sizes that do not fit each other, another vocabulary than the law's, a context window shorter than the law, a low-rank model of
    /// another order.
    pub fn check(self, law: &Law) -> Result<()> {
        self.check_sizes()?;
        if law.n_vocab() != self.n_vocab() {
            let expected = format!("the law's vocabulary has {} tokens", law.n_vocab());
            return Err(Error::argument("n_vocab", self.n_vocab(), expected));
        }
        if self.context_window() < law.order() {
            let expected = format!("it must be at least the order of the law, {}", law.order());
            return Err(Error::argument("context_window", self.context_window(), expected));
        }
        match self {
            Self::LowRank(config) if config.order != law.order() => {
                Err(Error::argument("order", config.order, format!("the law has order {}", law.order())))
            }
            _ => Ok(()),
        }
    }
}
