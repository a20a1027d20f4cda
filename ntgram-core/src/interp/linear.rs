//! Linear algebra of embeddings: Gram matrices, cosines, singular values, projectors. Float32, as the original computes it, unless
//! said otherwise.

use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::models::ops;
use crate::statistics::{least, most};
use crate::tensors::{check_decomposition, check_finite, check_real, values};
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

/// A matrix of finite real numbers with at least one entry, as all these functions take it: in float32, or in double precision where
/// float32 does not hold what it is given.
pub(super) fn matrix(argument: &'static str, tensor: &Tensor) -> Result<Tensor> {
    check_real(argument, tensor)?;
    let size = tensor.size();
    if size.len() != 2 || size.contains(&0) {
        let expected = "it must be a matrix with at least one entry";
        return Err(Error::argument(argument, format!("of shape {size:?}"), expected));
    }
    let kind = match tensor.kind() {
        Kind::Double | Kind::Int64 | Kind::Int => Kind::Double,
        _ => Kind::Float,
    };
    let matrix = tensor.detach().to_kind(kind);
    check_finite(argument, &matrix)?;
    Ok(matrix)
}

/// Rows and columns.
pub(super) fn sides(matrix: &Tensor) -> (i64, i64) {
    (matrix.size()[0], matrix.size()[1])
}

/// Most pairs of rows in one matrix: 1 GiB of float32.
const MOST_PAIRS: i64 = 1 << 28;

/// A matrix of so many rows and columns, one for each pair, must fit in memory.
pub(super) fn check_pairs(argument: &'static str, rows: i64, columns: i64) -> Result<()> {
    match rows.saturating_mul(columns) > MOST_PAIRS {
        true => {
            Err(Error::argument(argument, format!("of {rows} rows"), format!("{rows} × {columns} pairs are too many")))
        }
        false => Ok(()),
    }
}

/// What was computed from an argument must be finite: else its values were too large for their kind.
pub(super) fn computed(argument: &'static str, result: Tensor) -> Result<Tensor> {
    match check_finite(argument, &result) {
        Ok(()) => Ok(result),
        Err(_) => Err(Error::argument(argument, "of too large values", "what is computed from them must be finite")),
    }
}

/// Inner products of all rows, `W Wᵀ`: `(N, d) → (N, N)`. For an unembedding: how far tokens share directions.
///
/// # Errors
/// Not a matrix of finite real numbers; values so large or so small that products are infinite or vanish; too many rows for a matrix of
/// their pairs.
pub fn gram(w: &Tensor) -> Result<Tensor> {
    let w = matrix("w", w)?;
    check_pairs("w", sides(&w).0, sides(&w).0)?;
    let size = largest(&w);
    let least = if w.kind() == Kind::Double { f64::MIN_POSITIVE } else { f64::from(f32::MIN_POSITIVE) };
    if size > 0.0 && size * size < least {
        return Err(Error::argument("w", format!("of values up to {size:e}"), "their products would all be 0"));
    }
    computed("w", w.matmul(&w.transpose(0, 1)))
}

/// Cosines between the rows of `a (M, d)` and `b (N, d)`: `(M, N)`; NaN for a row of zeros, which has no direction.
///
/// # Errors
/// Not matrices of finite real numbers, or of different widths.
pub fn cosine_similarity(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let (a, b) = (matrix("a", a)?, matrix("b", b)?);
    let ((rows, width), (others, other)) = (sides(&a), sides(&b));
    if width != other {
        return Err(Error::argument("b", format!("of width {other}"), format!("`a` has width {width}")));
    }
    check_pairs("a", rows, others)?;
    let kind = if a.kind() == b.kind() { a.kind() } else { Kind::Double };
    let unit = |x: &Tensor| -> Result<Tensor> {
        let x = at_unit_size(&x.to_kind(kind))?;
        Ok(&x / x.norm_scalaropt_dim(2.0, &[-1i64][..], true))
    };
    Ok(unit(&a)?.matmul(&unit(&b)?.transpose(0, 1)))
}

/// Each row times the power of two that brings its largest entry near 1: the same directions, digit for digit, and no square overflows.
fn at_unit_size(x: &Tensor) -> Result<Tensor> {
    let largest = values(&x.abs().amax(&[-1i64][..], true))?;
    let factors: Vec<f64> = largest.into_iter().map(|size| 1.0 / power_of_two(size)).collect();
    let factors = Tensor::from_slice(&factors).view([-1, 1]).to_device(x.device());
    Ok((x.to_kind(Kind::Double) * factors).to_kind(x.kind()))
}

/// The power of two at or below a size, 1 for 0; its inverse is finite, too.
pub(super) fn power_of_two(size: f64) -> f64 {
    if size > 0.0 { 2f64.powi(size.log2().floor().clamp(-1000.0, 1000.0) as i32) } else { 1.0 }
}

/// The largest entry without its sign.
pub(super) fn largest(x: &Tensor) -> f64 {
    x.abs().max().double_value(&[])
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
    let w_u = matrix("w_u", w_u)?;
    check_real("next", next)?;
    let cosines = match cosine_similarity(a, &w_u) {
        Err(Error::Argument { argument: "b", value, expected }) => return Err(Error::argument("w_u", value, expected)),
        cosines => cosines?,
    };
    let (rows, n_vocab) = sides(&cosines);
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

/// Layer norm without affine part over the last axis, as the models compute it: `(x − mean)/(std + 1e-10)`, population standard deviation.
///
/// # Errors
/// Values that are no finite real numbers.
pub fn layer_norm(x: &Tensor) -> Result<Tensor> {
    check_real("x", x)?;
    let kind = if matches!(x.kind(), Kind::Double | Kind::Int64 | Kind::Int) { Kind::Double } else { Kind::Float };
    let x = x.detach().to_kind(kind);
    check_finite("x", &x)?;
    let scale = if x.numel() == 0 { 1.0 } else { power_of_two(largest(&x)) };
    if (1e-9..1e9).contains(&scale) {
        return Ok(ops::layer_norm(&x));
    }
    // squares of such values may overflow or vanish: the same of values near 1
    let x = (x.to_kind(Kind::Double) / scale).to_kind(kind);
    let centred = &x - x.mean_dim(-1, true, None);
    Ok(centred / (x.std_dim(-1, false, true) + 1e-10 / scale))
}

/// Singular values, largest first.
///
/// # Errors
/// Not a matrix of finite real numbers, or one whose decomposition takes minutes.
pub fn svdvals(matrix: &Tensor) -> Result<Vec<f64>> {
    values(&svd(matrix)?.s)
}

/// The thin singular value decomposition `U diag(S) Vh`.
///
/// # Errors
/// As [`svdvals`].
pub fn svd(matrix: &Tensor) -> Result<Svd> {
    thin("matrix", &self::matrix("matrix", matrix)?)
}

/// The thin decomposition of a checked matrix.
pub(super) fn thin(argument: &'static str, matrix: &Tensor) -> Result<Svd> {
    let (rows, columns) = sides(matrix);
    check_decomposition(argument, format!("of shape {:?}", matrix.size()), rows as usize, columns as usize)?;
    let (u, s, v) = matrix.f_svd(true, true).torch()?;
    Ok(Svd { u, s, vh: v.transpose(0, 1) })
}

/// The thin decomposition, in double precision, of a matrix whose columns are linearly independent: its condition number is one that the
/// rounding of its values leaves meaningful.
pub(super) fn independent(argument: &'static str, w: &Tensor) -> Result<Svd> {
    let (rows, columns) = sides(w);
    let svd = thin(argument, &w.to_kind(Kind::Double))?;
    let s = values(&svd.s)?;
    let rounding = rows.max(columns) as f64 * epsilon(w);
    if columns > rows || s[s.len() - 1] <= rounding * s[0] {
        let expected = format!("its columns must be linearly independent, up to the rounding of a {:?}", w.kind());
        return Err(Error::argument(argument, "of dependent columns", expected));
    }
    Ok(svd)
}

/// Relative rounding of a matrix's values.
pub(super) fn epsilon(w: &Tensor) -> f64 {
    if w.kind() == Kind::Double { f64::EPSILON } else { f64::from(f32::EPSILON) }
}

/// Orthogonal projector on the span of the columns of `w (N, d)`, `d ≤ N`: `W (WᵀW)⁻¹ Wᵀ`, `(N, N)`; computed as `U Uᵀ` from the
/// left singular vectors, in double precision.
///
/// # Errors
/// Not a matrix of finite real numbers, more columns than rows, or columns that depend on each other: whose condition number is above what
/// the rounding of their values leaves meaningful.
pub fn projector(w: &Tensor) -> Result<Tensor> {
    Ok(double_projector("w", w)?.to_kind(matrix("w", w)?.kind()))
}

/// [`projector`] in double precision.
fn double_projector(argument: &'static str, w: &Tensor) -> Result<Tensor> {
    let w = matrix(argument, w)?;
    let (rows, columns) = sides(&w);
    if columns > rows {
        let expected = format!("at most as many columns as rows ({rows})");
        return Err(Error::argument(argument, format!("{columns} columns wide"), expected));
    }
    check_pairs(argument, rows, rows)?;
    let u = independent(argument, &w)?.u;
    Ok(u.matmul(&u.transpose(0, 1)))
}

/// Frobenius distance between the projectors on the column spans of `a (N, d)` and `b (N, d')`: 0 for the same subspace, `√(2d)`
/// for orthogonal ones of dimension `d`.
///
/// # Errors
/// As [`projector`], or different heights.
pub fn projector_distance(a: &Tensor, b: &Tensor) -> Result<f64> {
    let (a, b) = (double_projector("a", a)?, double_projector("b", b)?);
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
/// Not a matrix of finite real numbers, or `d` not from 1 to the smaller side.
pub fn rank_d_part(w: &Tensor, d: usize) -> Result<Tensor> {
    let w = matrix("w", w)?;
    let (rows, columns) = sides(&w);
    let most = rows.min(columns);
    if d == 0 || d > most as usize {
        return Err(Error::argument("d", d, format!("it must be from 1 to {most}")));
    }
    let d = d as i64;
    let Svd { u, s, vh } = thin("w", &w)?;
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
        let dependent = matrix(&[0.1, 0.3, 0.2, 0.6, 0.7, 2.1], 3);
        assert!(projector(&dependent).unwrap_err().to_string().starts_with("`w` is of dependent columns"));
        assert!(rank_d_part(&matrix(&[1.0; 6], 3), 3).is_err());
        let (a, b) = (matrix(&[1.0, 2.0], 1), matrix(&[1.0, 2.0, 3.0], 1));
        assert!(cosine_similarity(&a, &b).unwrap_err().to_string().contains("`a` has width 2"));
    }
}
