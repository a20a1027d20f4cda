//! How good a rank-`d` log-law can be, without training: two closed-form candidates for the notebook's last cell.

use tch::{Kind, Tensor};

use super::linear::{check_matrix, svd};
use crate::error::{Error, Result};
use crate::laws::Law;
use crate::models::last_table;

/// `log π` less its mean over the tokens of each row, `(M, N)` in double precision.
fn centred_log(pi: &Tensor) -> Result<Tensor> {
    if pi.min().double_value(&[]) <= 0.0 {
        let expected = "every token must have a positive probability in every context: its logarithm is needed";
        return Err(Error::argument("pi", "a law with zeros", expected));
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
/// Shapes that do not fit, zeros in the law, or an unembedding whose variance in some context cannot be inverted.
pub fn second_order_optimum(w_u: &Tensor, law: &Law) -> Result<Tensor> {
    let (n, d) = check_matrix("w_u", w_u)?;
    if n != law.n_vocab() as i64 {
        let expected = format!("the law's vocabulary has {}", law.n_vocab());
        return Err(Error::argument("w_u", format!("for {n} tokens"), expected));
    }
    let w_u = w_u.detach().to_kind(Kind::Double);
    let pi = last_table(law).to_kind(Kind::Double); // (M, N)
    let log = centred_log(&pi)?;
    let mean_log = (&log * &pi).sum_dim_intlist(-1, true, None); // (M, 1)
    let cov = (&log * &pi - mean_log * &pi).matmul(&w_u); // (M, d)
    let mean = pi.matmul(&w_u); // (M, d)
    let products = (w_u.unsqueeze(2) * w_u.unsqueeze(1)).view([n, d * d]); // (N, d·d)
    let second = pi.matmul(&products).view([-1, d, d]); // (M, d, d)
    let var = second - mean.unsqueeze(2) * mean.unsqueeze(1);
    let inverse = Tensor::f_linalg_inv(&var).map_err(|_| {
        Error::argument("w_u", "degenerate", "its rows must vary in every direction under each context's distribution")
    })?;
    Ok(inverse.matmul(&cov.unsqueeze(2)).squeeze_dim(2).to_kind(Kind::Float))
}

/// The rank-`d` matrix nearest to the centred log-law in least squares, `(N^(n-1), N)`: its truncated SVD.
///
/// # Errors
/// `d` not from 1 to `N`, or zeros in the law.
pub fn least_squares_fit(law: &Law, d: usize) -> Result<Tensor> {
    if d == 0 || d > law.n_vocab() {
        return Err(Error::argument("d", d, format!("it must be from 1 to {}", law.n_vocab())));
    }
    let log = centred_log(&last_table(law).to_kind(Kind::Double))?;
    let svd = svd(&log)?;
    let rank = (d as i64).min(svd.s.size()[0]);
    let fit = (svd.u.narrow(1, 0, rank) * svd.s.narrow(0, 0, rank)).matmul(&svd.vh.narrow(0, 0, rank));
    Ok(fit.to_kind(Kind::Float))
}
