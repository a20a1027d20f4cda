//! Activations seen through the unembedding: which tokens' unembedding vectors add up to a vector of the residual stream.

use tch::{Kind, Tensor};

use super::linear::{Svd, computed, independent};
use crate::error::{Error, Result};
use crate::models::Transformer;
use crate::tensors::NamedTensors;

/// Activations of a forward pass in the basis of the unembedding, by the original's names.
#[derive(Debug)]
pub struct UnembeddingBasis {
    entries: Vec<(String, Tensor)>,
}

/// By the original's names (`para_0_layer_0`, `res_0`, …), in the order they are computed; each `(…, N)`.
impl NamedTensors for UnembeddingBasis {
    fn names(&self) -> Vec<String> {
        self.entries.iter().map(|(name, _)| name.clone()).collect()
    }

    fn find(&self, name: &str) -> Option<Tensor> {
        self.entries.iter().find(|(known, _)| known == name).map(|(_, tensor)| tensor.shallow_clone())
    }
}

/// Every stored activation but the logits, multiplied by the pseudo-inverse of the unembedding: `c · (W_U (W_Uᵀ W_U)⁻¹)ᵀ`,
/// `(…, d) → (…, N)`: the shortest combination of unembedding vectors that gives `c`. Behind `W_C` positions are no vectors of the stream:
/// `pos` is left out where the model compresses.
///
/// # Errors
/// Tokens the model refuses, an unembedding whose columns depend on each other, or parameters so large that entries are infinite.
pub fn new_computation_basis(model: &Transformer, examples: &Tensor) -> Result<UnembeddingBasis> {
    let activations = model.forward_with_activations(examples)?;
    let Svd { u, s, vh } = independent("model", &model.w_u()).map_err(|_| {
        let expected = "its columns must be linearly independent for a pseudo-inverse";
        Error::argument("model", "one whose unembedding has dependent columns", expected)
    })?;
    // W_U (W_Uᵀ W_U)⁻¹ = U S⁻¹ Vh
    let basis = (u / s).matmul(&vh).transpose(0, 1).to_kind(Kind::Float); // (d, N)
    let mut entries = Vec::new();
    for name in activations.names() {
        if name != "logits" && !(name == "pos" && model.config().compresses()) {
            let seen = activations.get(&name)?.matmul(&basis);
            entries.push((name, computed("model", seen)?));
        }
    }
    Ok(UnembeddingBasis { entries })
}
