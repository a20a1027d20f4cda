//! The form of a model's vectors that its logits alone determine.
//!
//! `W_U → W_U A`, `W_E → W_E A⁻ᵀ` changes no logit, for any invertible `A`: the symmetry is `GL(d)`, not only rotations. A vector added to
//! all rows of `W_U` changes no probability. So cosines, lengths and [`superposition`](fn@super::superposition) of trained matrices say as
//! much of the training's path as of the model. What they are in the balanced form is the model's own.

use tch::{Kind, Tensor};

use super::linear::{computed, largest, matrix, power_of_two, sides, thin};
use crate::error::{Error, Result};
use crate::tensors::check_decomposition;

/// Vectors of contexts and tokens whose products are a model's logits, each logit less its context's mean; `r = min(d, N − 1, C)`.
///
/// With the singular value decomposition `U S Vᵀ` of those logits `w_e = U √S` and `w_u = V √S`: of all factors the ones of least
/// `‖W_E‖² + ‖W_U‖²`. They are determined up to a rotation or reflection of both; `w_u w_uᵀ = (LᵀL)^½` and `w_e w_eᵀ = (LLᵀ)^½` exactly.
/// The rows of `w_u` sum to 0.
#[derive(Debug)]
pub struct Balanced {
    /// Contexts `(C, r)`, in the order of the logits' rows.
    pub w_e: Tensor,
    /// Tokens `(N, r)`.
    pub w_u: Tensor,
}

/// The balanced form of logits `(C, N)` of a model of width `d`, such as [`context_logits`](super::context_logits). In float32, or in
/// double precision where that is what the logits are in.
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// // one number is enough for two tokens: one at each end
/// let logits = Tensor::from_slice(&[5f32, 1.0, 0.0, 4.0]).view([2, 2]);
/// let opposite = cosine_similarity(&balanced(&logits, 1)?.w_u, &balanced(&logits, 1)?.w_u)?;
/// assert_eq!(values(&opposite)?, [1.0, -1.0, -1.0, 1.0]);
/// # Ok(()) }
/// ```
///
/// # Errors
/// Not a matrix of finite numbers, `d` of 0, a single token, or a matrix whose decomposition takes minutes.
pub fn balanced(logits: &Tensor, d: usize) -> Result<Balanced> {
    let logits = matrix("logits", logits)?;
    let (contexts, tokens) = sides(&logits);
    // before there is a copy in double precision
    let shape = format!("of shape {:?}", logits.size());
    check_decomposition("logits", shape, contexts as usize, tokens as usize)?;
    let (kind, logits) = (logits.kind(), logits.to_kind(Kind::Double));
    if d == 0 {
        return Err(Error::argument("d", d, "it must be at least 1"));
    }
    if tokens < 2 {
        return Err(Error::argument("logits", "of one token", "there must be at least two to tell apart"));
    }
    // of entries near 1: neither their sums nor their squares overflow
    let scale = power_of_two(largest(&logits));
    let logits = logits / scale;
    let centred = &logits - logits.mean_dim(1, true, Kind::Double);
    let f = thin("logits", &centred)?;
    let rank = i64::try_from(d).unwrap_or(i64::MAX).min(tokens - 1).min(contexts);
    let root = f.s.narrow(0, 0, rank).sqrt() * scale.sqrt();
    Ok(Balanced {
        w_e: computed("logits", (f.u.narrow(1, 0, rank) * &root).to_kind(kind))?,
        w_u: computed("logits", (f.vh.narrow(0, 0, rank).transpose(0, 1) * &root).to_kind(kind))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interp::{cosine_similarity, gram};
    use crate::rng::TorchRng;
    use crate::tensors::RandomTensor;

    /// `W_E (7, 3)`, `W_U (5, 3)`.
    fn factors() -> (Tensor, Tensor) {
        let mut rng = TorchRng::new(3);
        (rng.randn_tensor(&[7, 3]).unwrap(), rng.randn_tensor(&[5, 3]).unwrap())
    }

    fn apart(a: &Tensor, b: &Tensor) -> f64 {
        (a - b).abs().max().double_value(&[])
    }

    #[test]
    fn products_are_the_logits_less_their_means() {
        let (w_e, w_u) = factors();
        let logits = w_e.matmul(&w_u.transpose(0, 1));
        let form = balanced(&logits, 3).unwrap();
        assert_eq!((form.w_e.size(), form.w_u.size()), (vec![7, 3], vec![5, 3]));
        let centred = &logits - logits.mean_dim(1, true, Kind::Float);
        assert!(apart(&form.w_e.matmul(&form.w_u.transpose(0, 1)), &centred) < 1e-5);
        assert!(form.w_u.sum_dim_intlist(0, false, Kind::Float).abs().max().double_value(&[]) < 1e-5, "centred");
        let sides = [&form.w_e, &form.w_u].map(|w| w.transpose(0, 1).matmul(w));
        assert!(apart(&sides[0], &sides[1]) < 1e-5, "balanced: W_EᵀW_E = W_UᵀW_U");
    }

    #[test]
    fn no_invertible_matrix_and_no_shift_of_all_tokens_changes_it() {
        let (w_e, w_u) = factors();
        let a = Tensor::from_slice(&[2f32, 1.0, 0.0, 0.0, 0.5, 3.0, -1.0, 0.0, 1.0]).view([3, 3]);
        let shift = Tensor::from_slice(&[1f32, -2.0, 0.5]);
        let (other_e, other_u) = (w_e.matmul(&a.inverse().transpose(0, 1)), (&w_u + shift).matmul(&a));
        assert!(apart(&cosine_similarity(&w_u, &w_u).unwrap(), &cosine_similarity(&other_u, &other_u).unwrap()) > 0.3);
        let form = |e: &Tensor, u: &Tensor| balanced(&e.matmul(&u.transpose(0, 1)), 3).unwrap();
        let (one, other) = (form(&w_e, &w_u), form(&other_e, &other_u));
        assert!(apart(&gram(&one.w_u).unwrap(), &gram(&other.w_u).unwrap()) < 1e-4);
        assert!(apart(&gram(&one.w_e).unwrap(), &gram(&other.w_e).unwrap()) < 1e-4);
    }

    #[test]
    fn there_are_at_most_as_many_dimensions_as_tokens_less_one() {
        let logits = TorchRng::new(1).randn_tensor(&[9, 4]).unwrap();
        assert_eq!(balanced(&logits, 10).unwrap().w_u.size(), [4, 3]);
        assert!(balanced(&logits, 0).is_err() && balanced(&logits.narrow(1, 0, 1), 2).is_err());
    }
}
