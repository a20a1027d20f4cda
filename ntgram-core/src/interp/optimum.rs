//! How good a rank-`d` log-law can be, without training: two closed-form candidates for the notebook's last cell.

use tch::{Kind, Tensor};

use super::linear::{check_pairs, computed, epsilon, largest, matrix, power_of_two, sides, svd};
use crate::error::{Error, Result};
use crate::laws::Law;
use crate::models::last_table;
use crate::tensors::check_decomposition;
use crate::torch::Torch;

/// `log π` less its mean over the tokens of each row, `(M, N)` in double precision.
fn centred_log(pi: &Tensor) -> Result<Tensor> {
    if pi.min().double_value(&[]) <= 0.0 {
        let expected = "every token must have a positive probability in every context: its logarithm is needed";
        return Err(Error::argument("law", "one with zeros", expected));
    }
    let log = pi.log();
    let mean = log.mean_dim(-1, true, None);
    Ok(log - mean)
}

/// The context embeddings that are optimal to second order for a given unembedding `w_u (N, d)`: in each context
/// `w = Var(W_U)⁻¹ Cov(W_U, log π)`, variance and covariance under the context's distribution. Returns `(N^(n-1), d)`, rows in the
/// order of the law's table.
///
/// # Errors
/// Not a matrix of finite real numbers with a row for each token, zeros in the law, or rows whose variance in some context cannot be
/// inverted: whose condition number is above what rounding leaves meaningful.
pub fn second_order_optimum(w_u: &Tensor, law: &Law) -> Result<Tensor> {
    let w_u = matrix("w_u", w_u)?;
    let (n, d) = sides(&w_u);
    if n != law.n_vocab() as i64 {
        let expected = format!("the law's vocabulary has {}", law.n_vocab());
        return Err(Error::argument("w_u", format!("for {n} tokens"), expected));
    }
    let pi = last_table(law).to_kind(Kind::Double); // (M, N)
    check_pairs("w_u", pi.size()[0].max(n).saturating_mul(d), d)?;
    let log = centred_log(&pi)?;
    // of rows near 1 and around 0: neither changes what is optimal, but for the factor
    let (kind, rounding, scale) = (w_u.kind(), n.max(d) as f64 * epsilon(&w_u), power_of_two(largest(&w_u)));
    let w_u = w_u.to_kind(Kind::Double) / scale;
    let w_u = &w_u - w_u.mean_dim(0, true, None);
    let mean_log = (&log * &pi).sum_dim_intlist(-1, true, None); // (M, 1)
    let cov = (&log * &pi - mean_log * &pi).matmul(&w_u); // (M, d)
    let mean = pi.matmul(&w_u); // (M, d)
    let products = (w_u.unsqueeze(2) * w_u.unsqueeze(1)).view([n, d * d]); // (N, d·d)
    let second = pi.matmul(&products).view([-1, d, d]); // (M, d, d)
    let var = second - mean.unsqueeze(2) * mean.unsqueeze(1);
    // squares of the standard deviations in the directions in which they are extreme; the variance is computed in double precision
    let (_, s, _) = var.f_svd(true, false).torch()?; // (M, d)
    let least = (rounding * rounding).max(n.max(d) as f64 * f64::EPSILON);
    let degenerate = s.select(1, d - 1).le_tensor(&(s.select(1, 0) * least)).any().int64_value(&[]) == 1;
    if degenerate {
        let expected = "its rows must vary in every direction under each context's distribution";
        return Err(Error::argument("w_u", "degenerate", expected));
    }
    let optimum = Tensor::f_linalg_inv(&var).torch()?.matmul(&cov.unsqueeze(2)).squeeze_dim(2) / scale;
    computed("w_u", optimum.to_kind(kind))
}

/// The rank-`d` matrix nearest to the centred log-law in least squares, `(N^(n-1), N)`: its truncated SVD.
///
/// # Errors
/// `d` not from 1 to `N`, zeros in the law, or a law so large that its decomposition takes minutes.
pub fn least_squares_fit(law: &Law, d: usize) -> Result<Tensor> {
    if d == 0 || d > law.n_vocab() {
        return Err(Error::argument("d", d, format!("it must be from 1 to {}", law.n_vocab())));
    }
    let rows = law.last_table().len() / law.n_vocab();
    check_decomposition("law", format!("over {} tokens", law.n_vocab()), rows, law.n_vocab())?;
    let log = centred_log(&last_table(law).to_kind(Kind::Double))?;
    let svd = svd(&log)?;
    let rank = (d as i64).min(svd.s.size()[0]);
    let fit = (svd.u.narrow(1, 0, rank) * svd.s.narrow(0, 0, rank)).matmul(&svd.vh.narrow(0, 0, rank));
    Ok(fit.to_kind(Kind::Float))
}
