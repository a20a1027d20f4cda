//! Activations seen through the unembedding: which tokens' unembedding vectors add up to a vector of the residual stream.

use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::models::Transformer;

/// Activations of a forward pass in the basis of the unembedding, by the original's names.
#[derive(Debug)]
pub struct UnembeddingBasis {
    entries: Vec<(String, Tensor)>,
}

impl UnembeddingBasis {
    /// An activation `(…, N)` by the original's name (`para_0_layer_0`, `res_0`, …).
    ///
    /// # Errors
    /// No such name; the message lists those there are.
    pub fn get(&self, key: &str) -> Result<&Tensor> {
        let found = self.entries.iter().find(|(name, _)| name == key).map(|(_, tensor)| tensor);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.entries.iter().map(|(name, _)| name.as_str()).collect();
            Error::argument("key", format!("{key:?}"), format!("it must be one of {}", names.join(", ")))
        })
    }

    /// Names and activations, in the order they are computed.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.entries.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }
}

/// Every stored activation but the logits, multiplied by the pseudo-inverse of the unembedding: `c · (W_U (W_Uᵀ W_U)⁻¹)ᵀ`,
/// `(…, d) → (…, N)`: the shortest combination of unembedding vectors that gives `c`.
///
/// # Errors
/// Tokens the model refuses, or an unembedding whose columns depend on each other.
pub fn new_computation_basis(model: &Transformer, examples: &Tensor) -> Result<UnembeddingBasis> {
    let activations = model.forward_with_activations(examples)?;
    let w_u = model.w_u().detach().to_kind(Kind::Double);
    let inverse = Tensor::f_linalg_inv(&w_u.transpose(0, 1).matmul(&w_u)).map_err(|_| {
        let expected = "its columns must be linearly independent for a pseudo-inverse";
        Error::argument("model", "one whose unembedding has dependent columns", expected)
    })?;
    let basis = w_u.matmul(&inverse).transpose(0, 1).to_kind(Kind::Float); // (d, N)
    let mut entries = Vec::new();
    for key in activations.keys() {
        if key != "logits" {
            let seen = activations.get(&key)?.matmul(&basis);
            entries.push((key, seen));
        }
    }
    Ok(UnembeddingBasis { entries })
}
