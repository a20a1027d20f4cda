//! Divergence from a law in closed form, without sampling.

use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::laws::Law;
use crate::tensors::check_real;

/// The law's last table as a tensor `(N^(n-1), N)`, rows with the oldest token slowest.
pub(crate) fn last_table(law: &Law) -> Tensor {
    Tensor::from_slice(law.last_table()).view([-1, law.n_vocab() as i64])
}

/// Mean over all contexts of `KL(π ‖ softmax f)`, nats, computed in double precision as
/// `log Σ_k π_k exp(z_k)`, `z = f − ℓ − Σ_k π_k (f_k − ℓ_k)`, `ℓ = log π` (the original's `compute_div`).
///
/// `f (N^(n-1), N)`: log-probabilities up to a constant a row; its rows are the contexts in the order of the law's table.
/// Tokens of probability 0 add nothing, as in the divergence's definition.
///
/// # Errors
/// `f` has another shape, entries that are NaN or +∞, or a row without a finite one.
#[doc(alias = "compute_div")]
pub fn divergence(f: &Tensor, law: &Law) -> Result<f64> {
    let pi = last_table(law).to_kind(Kind::Double);
    check_real("f", f)?;
    if f.size() != pi.size() {
        let expected = format!("the law's last table has shape {:?}", pi.size());
        return Err(Error::argument("f", format!("of shape {:?}", f.size()), expected));
    }
    let f = f.detach().to_kind(Kind::Double).to_device(pi.device());
    let expected = "its entries must be numbers below +∞, in each row one of them finite";
    let refused = || Error::argument("f", "no log-probabilities", expected);
    if f.lt(f64::INFINITY).all().int64_value(&[]) == 0 {
        return Err(refused());
    }
    let in_support = pi.gt(0.0);
    let log_pi = pi.clamp_min(f64::MIN_POSITIVE).log();
    // KL(π ‖ softmax f) = Σ_k π_k (ℓ_k − f_k) + log Σ_k exp(f_k). The original's form of it, log Σ_k π_k exp(z_k), drops the
    // tokens outside the support from the partition sum; the two agree where π is positive everywhere.
    let difference = (&log_pi - &f).where_self(&in_support, &Tensor::zeros_like(&f));
    let kl = (&pi * difference).sum_dim_intlist(-1, false, Kind::Double) + f.logsumexp(-1, false);
    // a row of −∞ leaves NaN
    let mean = kl.mean(Kind::Double).double_value(&[]);
    if mean.is_nan() { Err(refused()) } else { Ok(mean) }
}
