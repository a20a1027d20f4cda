//! Linear algebra of embeddings: Gram matrices, cosines, singular values, projectors. Float32, as the original computes it, unless
//! said otherwise.

use tch::Tensor;

use crate::error::{Error, Result};
use crate::statistics::{least, most};
use crate::tensors::values;
use crate::torch::Torch;

/// A thin singular value decomposition `U diag(S) Vh`.
#[derive(Debug)]
pub struct Svd {
    /// Left singular vectors, columns.
    pub u: Tensor,
    /// Singular values, largest first.
    pub s: Tensor,
    /// Right singular vectors, rows.
    pub vh: Tensor,
}

/// A matrix is what these functions take.
pub(super) fn check_matrix(argument: &'static str, matrix: &Tensor) -> Result<(i64, i64)> {
    match matrix.size()[..] {
        [rows, columns] if rows > 0 && columns > 0 => Ok((rows, columns)),
        ref size => {
            Err(Error::argument(argument, format!("of shape {size:?}"), "it must be a matrix with at least one entry"))
        }
    }
}

/// Inner products of all rows, `W Wᵀ`: `(N, d) → (N, N)`. For an unembedding: how far tokens share directions.
///
/// # Errors
/// Not a matrix.
pub fn gram(w: &Tensor) -> Result<Tensor> {
    check_matrix("w", w)?;
    let w = w.detach();
    Ok(w.matmul(&w.transpose(0, 1)))
}

/// Cosines between the rows of `a (M, d)` and `b (N, d)`: `(M, N)`.
///
/// # Errors
/// Not matrices, or of different widths.
pub fn cosine_similarity(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let ((_, width), (_, other)) = (check_matrix("a", a)?, check_matrix("b", b)?);
    if width != other {
        return Err(Error::argument("b", format!("of width {other}"), format!("`a` has width {width}")));
    }
    let unit = |x: &Tensor| {
        let x = x.detach();
        &x / x.norm_scalaropt_dim(2.0, &[-1i64][..], true)
    };
    Ok(unit(a).matmul(&unit(b).transpose(0, 1)))
}

/// For each row of `a (M, d)` its cosine with the row of the unembedding `w_u (N, d)` that `next` names, `M` values: how well an embedding
/// points at the token that should come next. `next`: `M` tokens, of any shape.
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// let w_u = Tensor::from_slice(&[1f32, 0.0, 0.0, 2.0]).view([2, 2]);
/// let a = Tensor::from_slice(&[3f32, 0.0, 1.0, 1.0]).view([2, 2]);
/// let cosines = alignment(&a, &w_u, &Tensor::from_slice(&[0i64, 1]))?;
/// assert_eq!(format!("{cosines:.3?}"), "[1.000, 0.707]");
/// # Ok(()) }
/// ```
///
/// # Errors
/// As [`cosine_similarity`]; not one token below `N` for each row of `a`.
pub fn alignment(a: &Tensor, w_u: &Tensor, next: &Tensor) -> Result<Vec<f64>> {
    let cosines = cosine_similarity(a, w_u)?;
    let (rows, n_vocab) = (cosines.size()[0], cosines.size()[1]);
    let tokens = values(next)?;
    let fits = |token: &f64| token.fract() == 0.0 && (0.0..n_vocab as f64).contains(token);
    if tokens.len() as i64 != rows || !tokens.iter().all(fits) {
        let value = format!("of shape {:?}, from {} to {}", next.size(), least(&tokens), most(&tokens));
        let expected = format!("it must hold one token below {n_vocab} for each of the {rows} rows of `a`");
        return Err(Error::argument("next", value, expected));
    }
    let tokens: Vec<i64> = tokens.into_iter().map(|token| token as i64).collect();
    let tokens = Tensor::from_slice(&tokens).view([-1, 1]).to_device(cosines.device());
    values(&cosines.gather(1, &tokens, false))
}

/// Singular values, largest first.
///
/// # Errors
/// Not a matrix, or one with entries that are not finite.
pub fn svdvals(matrix: &Tensor) -> Result<Vec<f64>> {
    values(&svd(matrix)?.s)
}

/// The thin singular value decomposition `U diag(S) Vh`.
///
/// # Errors
/// Not a matrix, or one with entries that are not finite.
pub fn svd(matrix: &Tensor) -> Result<Svd> {
    check_matrix("matrix", matrix)?;
    let (u, s, v) = matrix.detach().f_svd(true, true).torch()?;
    Ok(Svd { u, s, vh: v.transpose(0, 1) })
}

/// Orthogonal projector on the span of the columns of `w (N, d)`, `d ≤ N`: `W (WᵀW)⁻¹ Wᵀ`, `(N, N)`.
///
/// # Errors
/// Not a matrix, more columns than rows, or columns that depend on each other.
pub fn projector(w: &Tensor) -> Result<Tensor> {
    let (rows, columns) = check_matrix("w", w)?;
    if columns > rows {
        let expected = format!("at most as many columns as rows ({rows})");
        return Err(Error::argument("w", format!("{columns} columns wide"), expected));
    }
    let w = w.detach();
    let wt = w.transpose(0, 1);
    let inverse = Tensor::f_linalg_inv(&wt.matmul(&w))
        .map_err(|_| Error::argument("w", "of dependent columns", "its columns must be linearly independent"))?;
    Ok(w.matmul(&inverse).matmul(&wt))
}

/// Frobenius distance between the projectors on the column spans of `a (N, d)` and `b (N, d')`: 0 for the same subspace, `√(2d)`
/// for orthogonal ones of dimension `d`.
///
/// # Errors
/// As [`projector`], or different heights.
pub fn projector_distance(a: &Tensor, b: &Tensor) -> Result<f64> {
    let (a, b) = (projector(a)?, projector(b)?);
    if a.size() != b.size() {
        let expected = format!("`a` has {} rows", a.size()[0]);
        return Err(Error::argument("b", format!("{} rows high", b.size()[0]), expected));
    }
    Ok((a - b).norm().double_value(&[]))
}

/// The rank-`d` part of `w (N, k)`, `k ≥ d`, as the notebook takes it: `U[:, :d] diag(S[:d]) Vh[:d, :d]`, `(N, d)`. Its columns span
/// the first `d` left singular vectors.
///
/// # Errors
/// Not a matrix, or `d` not from 1 to the smaller side.
pub fn rank_d_part(w: &Tensor, d: usize) -> Result<Tensor> {
    let (rows, columns) = check_matrix("w", w)?;
    if d == 0 || d as i64 > rows.min(columns) {
        return Err(Error::argument("d", d, format!("it must be from 1 to {}", rows.min(columns))));
    }
    let d = d as i64;
    let (u, s, v) = w.detach().f_svd(false, true).torch()?;
    let vh = v.transpose(0, 1);
    Ok((u.narrow(1, 0, d) * s.narrow(0, 0, d)).matmul(&vh.narrow(0, 0, d).narrow(1, 0, d)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(values: &[f32], rows: i64) -> Tensor {
        Tensor::from_slice(values).view([rows, -1])
    }

    #[test]
    fn projector_is_idempotent_and_keeps_its_columns() {
        let w = matrix(&[1.0, 2.0, 0.5, -1.0, 3.0, 0.25, 1.0, 1.0, -2.0, 0.0], 5);
        let p = projector(&w).unwrap();
        assert!((p.matmul(&p) - &p).abs().max().double_value(&[]) < 1e-5);
        assert!((p.matmul(&w) - &w).abs().max().double_value(&[]) < 1e-5);
    }

    #[test]
    fn distance_of_orthogonal_lines_is_root_two() {
        let (x, y) = (matrix(&[1.0, 0.0, 0.0], 3), matrix(&[0.0, 5.0, 0.0], 3));
        assert!((projector_distance(&x, &y).unwrap() - 2f64.sqrt()).abs() < 1e-6);
        assert!(projector_distance(&x, &(&x * -3.0)).unwrap() < 1e-6);
    }

    #[test]
    fn svd_multiplies_back() {
        let w = matrix(&[1.0, 2.0, 0.5, -1.0, 3.0, 0.25], 2);
        let svd = svd(&w).unwrap();
        let back = (&svd.u * &svd.s).matmul(&svd.vh);
        assert!((back - &w).abs().max().double_value(&[]) < 1e-5);
    }

    #[test]
    fn wrong_arguments_are_named() {
        let line = Tensor::from_slice(&[1f32, 2.0]);
        assert!(gram(&line).unwrap_err().to_string().starts_with("`w` is of shape [2]"));
        let dependent = matrix(&[1.0, 2.0, 2.0, 4.0, 3.0, 6.0], 3);
        assert!(projector(&dependent).is_err() || projector(&dependent).unwrap().norm().double_value(&[]) > 0.0);
        assert!(rank_d_part(&matrix(&[1.0; 6], 3), 3).is_err());
        let (a, b) = (matrix(&[1.0, 2.0], 1), matrix(&[1.0, 2.0, 3.0], 1));
        assert!(cosine_similarity(&a, &b).unwrap_err().to_string().contains("`a` has width 2"));
    }
}
