//! The two models of the notebook and of the paper that grew out of it, as plain data: named parameters, forward pass, files. Their sizes and the list of their parameters are
//! `ntgram-engine`'s ([`ntgram_engine::models`]) and re-exported here. Nothing here trains.

mod activations;
mod divergence;
mod file;
mod low_rank;
mod model;
pub(crate) mod ops;
mod params;
mod transformer;

use tch::{Device, Kind, Tensor};

pub use activations::{Activations, LayerActivations};
pub use divergence::divergence;
pub(crate) use divergence::last_table;
pub use low_rank::LowRank;
pub use model::Model;
pub use ntgram_engine::models::*;
pub use params::Parameters;
pub use transformer::Transformer;

use crate::error::{Error, Result};
use crate::tensors::check_real;
use crate::torch::Torch;
use ntgram_engine::laws::Law;

/// Values of 32 bits that are there at once, about, in a forward pass on `batch` sequences of `positions` tokens, with what autograd keeps
/// of it. A float, since sizes that no memory holds are asked for, too.
pub(crate) fn forward_values(sizes: ModelConfig, batch: usize, positions: usize) -> f64 {
    let rows = batch as f64 * positions as f64;
    let layers = match sizes {
        ModelConfig::LowRank(config) => rows * config.d_model as f64,
        ModelConfig::Transformer(config) => {
            let [layers, modules, heads, d, d_h] =
                [config.n_layers, config.n_modules, config.n_heads, config.d_model, config.d_module()]
                    .map(|size| size as f64);
            let mlp = if config.has_mlp() { config.width as f64 * config.depth as f64 } else { 0.0 };
            // what a layer keeps, and two more of the scores while one layer's are made
            let scores = modules * heads * rows * positions as f64;
            layers * (scores + rows * (modules * (4.0 * d_h + d) + 3.0 * d + 2.0 * mlp)) + 2.0 * scores
        }
    };
    layers + 2.0 * rows * sizes.n_vocab() as f64
}

/// Refuses tokens whose forward pass would take more values than a model may have.
fn check_forward(sizes: ModelConfig, tokens: &Tensor) -> Result<()> {
    let [batch, positions] = [0, 1].map(|side| tokens.size()[side] as usize);
    let values = forward_values(sizes, batch, positions);
    if values <= MAX_VALUES as f64 {
        return Ok(());
    }
    let expected = format!("the forward pass would take {values:.2e} values, and at most {MAX_VALUES} are possible");
    Err(Error::argument("tokens", format!("of shape {:?}", tokens.size()), expected))
}

/// Tokens must be integers below `n_vocab`, `(B, S)` with `1 ≤ S ≤ context_window`; returns them as int64 on `device`.
fn check_tokens(tokens: &Tensor, n_vocab: usize, context_window: usize, device: Device) -> Result<Tensor> {
    let refuse = |value: String, expected: String| Err(Error::argument("tokens", value, expected));
    check_real("tokens", tokens)?;
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
    tokens.to_kind(Kind::Int64).f_to_device(device).torch()
}
