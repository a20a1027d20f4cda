//! How far the rows of a matrix share directions: the measures of Elhage et al. 2022, "Toy Models of Superposition"
//! (<https://transformer-circuits.pub/2022/toy_model/index.html>), in double precision.
//!
//! There a feature is a column of `W`, `m` numbers high; here it is a token, and its vector a row of `w (N, d)`, usually of an
//! unembedding. The paper's models copy features through a bottleneck and a ReLU, so a feature they keep has a length near 1. An
//! unembedding feeds a softmax: its lengths are free, and grow with the probability that the law asks for. What is compared between
//! models of different lengths is therefore [`Superposition::dimensions`], which no common factor changes.

use tch::{Kind, Tensor};

use super::linear::{check_pairs, largest, matrix, power_of_two, sides};
use crate::error::{Error, Result};
use crate::tensors::values;

/// Superposition of the rows `W_i` of a matrix `(N, d)`, with `Ŵ_i = W_i/‖W_i‖`.
#[derive(Debug, Clone, PartialEq)]
pub struct Superposition {
    /// Lengths `‖W_i‖`, `(N,)`.
    pub norms: Vec<f64>,
    /// Interference `Σ_{j≠i} (Ŵ_i·W_j)²`, `(N,)`: how much of all the others lies along token `i`. 0 for a row orthogonal to all others,
    /// and for a row of zeros, which has no direction.
    pub interference: Vec<f64>,
    /// Dimensions of each feature, `(N,)`: `D_i = ‖W_i‖² / Σ_j (Ŵ_i·W_j)² = ‖W_i‖² / (‖W_i‖² + interference_i)`, from 0 (a row of zeros)
    /// to 1 (a direction of its own). Their sum is at most the rank of `W`.
    ///
    /// Why: with `M = WᵀW` and `M⁺` its pseudo-inverse, `‖W_i‖⁴ ≤ (W_iᵀ M W_i)(W_iᵀ M⁺ W_i)` by Cauchy and Schwarz, so `D_i` is at most
    /// the leverage `W_iᵀ M⁺ W_i`, and leverages sum to the rank. Scherlis et al. 2022, "Polysemanticity and Capacity in Neural
    /// Networks", call `D_i` the capacity of feature `i`.
    pub dimensions: Vec<f64>,
    /// `‖W‖_F² = Σ_i ‖W_i‖²`. Where a feature that is kept has length 1, as in the paper, it counts the features that are kept.
    pub frobenius_squared: f64,
    /// Width `d` of the matrix.
    pub width: usize,
}

/// Superposition of the rows of `w (N, d)`.
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// // two tokens that share a line, and one with a line of its own
/// let w = Tensor::from_slice(&[1f32, 0.0, -1.0, 0.0, 0.0, 1.0]).view([3, 2]);
/// assert_eq!(superposition(&w)?.dimensions, [0.5, 0.5, 1.0]);
/// # Ok(()) }
/// ```
///
/// # Errors
/// Not a matrix of finite real numbers; too many rows for a matrix of their pairs; lengths that are no finite numbers, or too different for
/// their squares to be added.
pub fn superposition(w: &Tensor) -> Result<Superposition> {
    let w = matrix("w", w)?.to_kind(Kind::Double);
    let (rows, width) = sides(&w);
    check_pairs("w", rows, rows)?;
    // of entries near 1: their squares neither overflow nor vanish
    let scale = power_of_two(largest(&w));
    let w = w / scale;
    let n = rows as usize;
    let gram = values(&w.matmul(&w.transpose(0, 1)))?;
    let squared: Vec<f64> = (0..n).map(|i| gram[i * n + i]).collect();
    let sizes = values(&w.abs().amax(&[1i64][..], false))?;
    let mut interference = Vec::with_capacity(n);
    for (i, &own) in squared.iter().enumerate() {
        let others: f64 = (0..n).filter(|&j| j != i).map(|j| gram[i * n + j].powi(2)).sum();
        interference.push(if own > 0.0 { others / own } else { 0.0 });
    }
    let share = |(own, others): (&f64, &f64)| if *own > 0.0 { own / (own + others) } else { 0.0 };
    let found = Superposition {
        norms: squared.iter().map(|own| own.sqrt() * scale).collect(),
        dimensions: squared.iter().zip(&interference).map(share).collect(),
        interference: interference.iter().map(|others| others * scale * scale).collect(),
        frobenius_squared: squared.iter().sum::<f64>() * scale * scale,
        width: width as usize,
    };
    let vanished = sizes.iter().zip(&squared).any(|(size, own)| *size > 0.0 && *own < f64::MIN_POSITIVE);
    let finite = |list: &[f64]| list.iter().all(|x| x.is_finite());
    if vanished || !finite(&found.norms) || !finite(&found.interference) || !found.frobenius_squared.is_finite() {
        let expected = "its rows must have lengths whose squares are finite, and none may vanish beside another";
        return Err(Error::argument("w", "of too large or too different values", expected));
    }
    Ok(found)
}

impl Superposition {
    /// `N/‖W‖_F²`: how many features there are for each one that is kept, lengths of 1 supposed; otherwise one over the mean squared
    /// length. Infinite for a matrix of zeros.
    pub fn features_per_kept(&self) -> f64 {
        self.norms.len() as f64 / self.frobenius_squared
    }

    /// `d/‖W‖_F²`, the paper's dimensions per feature `D*`: dimensions for each feature that is kept, lengths of 1 supposed. Infinite for
    /// a matrix of zeros.
    pub fn dimensions_per_feature(&self) -> f64 {
        self.width as f64 / self.frobenius_squared
    }

    /// `Σ_i D_i`: the dimensions that the rows are given together, at most the rank of the matrix; for random rows it is less, whatever the
    /// rank. The total capacity of Scherlis et al.
    pub fn capacity(&self) -> f64 {
        self.dimensions.iter().sum()
    }

    /// Mean of the `D_i`: the dimensions that a token has, on average.
    pub fn mean_dimension(&self) -> f64 {
        self.capacity() / self.dimensions.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use proptest::prelude::*;

    use super::*;

    fn matrix(values: &[f64], rows: usize) -> Tensor {
        Tensor::from_slice(values).view([rows as i64, -1])
    }

    fn near(a: &[f64], b: &[f64]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9 * (1.0 + b.abs()))
    }

    /// The corners of a regular polygon of this radius.
    fn polygon(corners: usize, radius: f64) -> Tensor {
        let corner = |k: usize| {
            let (sin, cos) = (TAU * k as f64 / corners as f64).sin_cos();
            [radius * cos, radius * sin]
        };
        matrix(&(0..corners).flat_map(corner).collect::<Vec<_>>(), corners)
    }

    #[test]
    fn an_orthogonal_basis_has_a_dimension_each() {
        let got = superposition(&matrix(&[2.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, -1.0], 3)).unwrap();
        assert_eq!((got.norms.as_slice(), got.interference.as_slice()), (&[2.0, 3.0, 1.0][..], &[0.0; 3][..]));
        assert_eq!(got.dimensions, [1.0; 3]);
        assert_eq!((got.frobenius_squared, got.width), (14.0, 3));
        assert_eq!((got.features_per_kept(), got.dimensions_per_feature()), (3.0 / 14.0, 3.0 / 14.0));
    }

    #[test]
    fn opposite_vectors_share_a_dimension() {
        // e_1, −e_1 and 2·e_2: the first two get half of a dimension each
        let got = superposition(&matrix(&[1.0, 0.0, -1.0, 0.0, 0.0, 2.0], 3)).unwrap();
        assert_eq!(got.interference, [1.0, 1.0, 0.0]);
        assert_eq!(got.dimensions, [0.5, 0.5, 1.0]);
        assert_eq!(got.capacity(), 2.0);
        // lengths matter: along the long one there is little of the short one
        let uneven = superposition(&matrix(&[3.0, -1.0], 2)).unwrap();
        assert_eq!(uneven.interference, [1.0, 9.0]);
        assert_eq!(uneven.dimensions, [0.9, 0.1]);
    }

    #[test]
    fn a_polygons_corners_have_two_dimensions_together() {
        let pentagon = superposition(&polygon(5, 1.0)).unwrap();
        // Σ_j cos²(2πj/5) = 5/2
        assert!(near(&pentagon.dimensions, &[0.4; 5]) && near(&pentagon.interference, &[1.5; 5]), "{pentagon:?}");
        assert!(near(&[pentagon.features_per_kept(), pentagon.dimensions_per_feature()], &[1.0, 0.4]));
        for corners in 3..12 {
            let got = superposition(&polygon(corners, 7.0)).unwrap();
            assert!(near(&got.dimensions, &vec![2.0 / corners as f64; corners]), "{corners}: {got:?}");
        }
    }

    #[test]
    fn a_row_of_zeros_has_no_dimension() {
        let got = superposition(&matrix(&[0.0, 0.0, 3.0, 4.0], 2)).unwrap();
        assert_eq!((got.norms, got.interference, got.dimensions), (vec![0.0, 5.0], vec![0.0, 0.0], vec![0.0, 1.0]));
        assert_eq!(superposition(&matrix(&[0.0; 4], 2)).unwrap().features_per_kept(), f64::INFINITY);
    }

    #[test]
    fn wrong_arguments_are_named() {
        let message = |w: &Tensor| superposition(w).unwrap_err().to_string();
        assert!(message(&Tensor::from_slice(&[1.0, 2.0])).starts_with("`w` is of shape [2]"));
        assert!(message(&matrix(&[1.0, f64::NAN], 2)).starts_with("`w` is not finite"));
    }

    /// Rows of different lengths, pairwise different sizes.
    fn any_matrix() -> impl Strategy<Value = (usize, usize, Vec<f64>)> {
        (2usize..9, 1usize..6).prop_flat_map(|(n, d)| (Just(n), Just(d), prop::collection::vec(-3.0..3.0f64, n * d)))
    }

    proptest! {
        #[test]
        fn dimensions_sum_to_at_most_the_width((n, d, values) in any_matrix()) {
            let got = superposition(&matrix(&values, n)).unwrap();
            prop_assert!(got.dimensions.iter().all(|&share| (0.0..=1.0).contains(&share)));
            prop_assert!(got.capacity() <= n.min(d) as f64 + 1e-9);
            let frobenius: f64 = values.iter().map(|v| v * v).sum();
            prop_assert!(near(&[got.frobenius_squared], &[frobenius]));
        }

        #[test]
        fn rotations_and_reflections_change_nothing((n, d, values) in any_matrix(), seed in prop::collection::vec(-1.0..1.0f64, 25)) {
            let square = matrix(&seed[..d * d], d);
            let (q, _) = Tensor::linalg_qr(&square, "reduced");
            let (before, after) = (matrix(&values, n), matrix(&values, n).matmul(&q));
            let (before, after) = (superposition(&before).unwrap(), superposition(&after).unwrap());
            prop_assume!(before.norms.iter().all(|norm| *norm > 1e-3));
            prop_assert!(near(&before.norms, &after.norms) && near(&before.interference, &after.interference));
            prop_assert!(near(&before.dimensions, &after.dimensions));
        }

        #[test]
        fn a_common_factor_changes_lengths_but_no_dimension((n, _, values) in any_matrix(), factor in 0.1..10.0f64) {
            let longer: Vec<f64> = values.iter().map(|v| v * factor).collect();
            let (a, b) = (superposition(&matrix(&values, n)).unwrap(), superposition(&matrix(&longer, n)).unwrap());
            prop_assert!(near(&a.dimensions, &b.dimensions));
            let interference: Vec<f64> = a.interference.iter().map(|i| i * factor * factor).collect();
            prop_assert!(near(&interference, &b.interference));
        }
    }
}
