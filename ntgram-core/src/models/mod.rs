//! The two models of the notebook as plain data: sizes, named parameters, forward pass, files. Nothing here trains.

mod activations;
pub(crate) mod config;
mod divergence;
mod file;
pub(crate) mod low_rank;
pub mod ops;
mod params;
pub(crate) mod transformer;

use tch::{Device, Kind, Tensor};

pub use activations::{Activations, LayerActivations};
pub use config::{Freeze, LowRankConfig, ParamKind, ParamSpec, Skips, TransformerConfig};
pub use divergence::divergence;
pub(crate) use divergence::last_table;
pub use low_rank::LowRank;
pub use params::Parameters;
pub use transformer::Transformer;

use crate::error::{Error, Result};
use crate::laws::{Law, Matrix, Sequences};

impl Sequences {
    /// The sequences as a tensor of tokens, `(M, n)` int64, as the models take them.
    pub fn to_tensor(&self) -> Tensor {
        let tokens: Vec<i64> = self.tokens.iter().map(|&token| i64::from(token)).collect();
        Tensor::from_slice(&tokens).view([-1, self.length.max(1) as i64])
    }
}

impl Matrix {
    /// The matrix as a tensor, `(rows, cols)` float32.
    pub fn to_tensor(&self) -> Tensor {
        Tensor::from_slice(&self.values).view([self.rows as i64, self.cols as i64])
    }
}

/// Either model, borrowed for training: `train(&mut model, …)` takes both.
#[derive(Debug)]
pub enum ModelMut<'a> {
    /// A [`Transformer`].
    Transformer(&'a mut Transformer),
    /// A [`LowRank`] model.
    LowRank(&'a mut LowRank),
}

impl<'a> From<&'a mut Transformer> for ModelMut<'a> {
    fn from(model: &'a mut Transformer) -> Self {
        Self::Transformer(model)
    }
}

impl<'a> From<&'a mut LowRank> for ModelMut<'a> {
    fn from(model: &'a mut LowRank) -> Self {
        Self::LowRank(model)
    }
}

impl ModelMut<'_> {
    /// The law the model is trained on.
    pub fn law(&self) -> &Law {
        match self {
            Self::Transformer(model) => model.law(),
            Self::LowRank(model) => model.law(),
        }
    }

    /// Vocabulary size `N`.
    pub fn n_vocab(&self) -> usize {
        self.law().n_vocab()
    }

    /// Context window `T`.
    pub fn context_window(&self) -> usize {
        match self {
            Self::Transformer(model) => model.config().context_window,
            Self::LowRank(model) => model.config().context_window,
        }
    }

    /// Named parameters.
    pub fn params(&self) -> &Parameters {
        match self {
            Self::Transformer(model) => model.params(),
            Self::LowRank(model) => model.params(),
        }
    }

    /// Named parameters, to change them.
    pub fn params_mut(&mut self) -> &mut Parameters {
        match self {
            Self::Transformer(model) => model.params_mut(),
            Self::LowRank(model) => model.params_mut(),
        }
    }

    /// What training leaves as it is.
    pub fn frozen(&self) -> Freeze {
        match self {
            Self::Transformer(model) => model.frozen(),
            Self::LowRank(model) => model.frozen(),
        }
    }

    /// Logits `(B, S, N)` of the model's forward pass on other parameters, given in the order of its list; autograd's
    /// entry. `tokens (B, S)` int64, checked.
    pub(crate) fn logits(&self, params: &[Tensor], tokens: &Tensor) -> Tensor {
        match self {
            Self::Transformer(model) => transformer::activations(model.config(), params, tokens).logits,
            Self::LowRank(model) => low_rank::logits(model.config(), params, tokens),
        }
    }
}

/// The law must have the model's vocabulary and fit into its window.
fn check_law(pi: &Law, n_vocab: usize, context_window: usize) -> Result<()> {
    if pi.n_vocab() != n_vocab {
        return Err(Error::argument("n_vocab", n_vocab, format!("the law's vocabulary has {} tokens", pi.n_vocab())));
    }
    if context_window < pi.order() {
        let expected = format!("it must be at least the order of the law, {}", pi.order());
        return Err(Error::argument("context_window", context_window, expected));
    }
    Ok(())
}

/// Tokens must be integers below `n_vocab`, `(B, S)` with `1 ≤ S ≤ context_window`; returns them as int64 on `device`.
fn check_tokens(tokens: &Tensor, n_vocab: usize, context_window: usize, device: Device) -> Result<Tensor> {
    let refuse = |value: String, expected: String| Err(Error::argument("tokens", value, expected));
    let size = tokens.size();
    let kind = tokens.kind();
    if size.len() != 2 || size[0] == 0 || size[1] == 0 || size[1] > context_window as i64 {
        let expected = format!("it must be (B, S) with at least one sequence and 1 to {context_window} positions");
        return refuse(format!("of shape {size:?}"), expected);
    }
    if !matches!(kind, Kind::Int64 | Kind::Int | Kind::Int16 | Kind::Int8 | Kind::Uint8) {
        return refuse(format!("of kind {kind:?}"), "tokens are integers: use `.to_kind(Kind::Int64)`".to_owned());
    }
    let (lowest, highest) = (tokens.min().int64_value(&[]), tokens.max().int64_value(&[]));
    if lowest < 0 || highest >= n_vocab as i64 {
        return refuse(format!("from {lowest} to {highest}"), format!("tokens must be from 0 to {}", n_vocab - 1));
    }
    Ok(tokens.to_kind(Kind::Int64).f_to_device(device)?)
}
