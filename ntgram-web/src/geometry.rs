//! How vectors lie: dimensions of each, and the balanced form that logits alone determine.

use nalgebra::{DMatrix, SymmetricEigen};
use serde::Serialize;

/// The vectors of the tokens, and how much room each has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Vectors {
    /// One row of `d` numbers for each of the `N` tokens, row-major.
    pub rows: Vec<f64>,
    /// Dimensions of each token, `D_i = ‖W_i‖² / Σ_j (Ŵ_i·W_j)²`: 1 for a direction of its own, 0 for a row of zeros.
    pub dimensions: Vec<f64>,
}

impl Vectors {
    /// Of the rows of `w (N, d)`.
    pub(crate) fn new(w: &DMatrix<f64>) -> Self {
        let gram = w * w.transpose();
        let share = |i: usize| {
            let (own, all) = (gram[(i, i)], gram.row(i).norm_squared());
            if own > 0.0 { own * own / all } else { 0.0 }
        };
        Self { rows: w.transpose().as_slice().to_vec(), dimensions: (0..w.nrows()).map(share).collect() }
    }
}

/// The unembedding that belongs to the logits `(N², N)` alone, `(N, d)`: with the decomposition `U S Vᵀ` of the logits, less the mean of each
/// row, it is `V √S`, turned to lie as near to `like (N, d)` as it can. (The lesson's `balanced`, which is not turned.)
pub(crate) fn balanced(logits: &DMatrix<f64>, like: &DMatrix<f64>) -> DMatrix<f64> {
    let (n, d) = like.shape();
    let mut centred = logits.clone();
    for mut row in centred.row_iter_mut() {
        let mean = row.mean();
        row.add_scalar_mut(-mean);
    }
    // LᵀL = V S² Vᵀ
    let eigen = SymmetricEigen::new(centred.transpose() * centred);
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
    let mut form = DMatrix::zeros(n, d);
    for (k, from) in order.into_iter().take(d.min(n - 1)).enumerate() {
        let root = eigen.eigenvalues[from].max(0.0).powf(0.25);
        form.set_column(k, &(eigen.eigenvectors.column(from) * root));
    }
    let turn = (form.transpose() * like).svd(true, true);
    match (turn.u, turn.v_t) {
        (Some(u), Some(v_t)) => form * u * v_t,
        _ => form,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: &DMatrix<f64>, b: &DMatrix<f64>) -> bool {
        a.shape() == b.shape() && (a - b).amax() < 1e-9
    }

    #[test]
    fn opposite_vectors_share_a_dimension() {
        let w = DMatrix::from_row_slice(4, 2, &[1.0, 0.0, -1.0, 0.0, 0.0, 2.0, 0.0, 0.0]);
        let vectors = Vectors::new(&w);
        assert_eq!(vectors.dimensions, [0.5, 0.5, 1.0, 0.0]);
        assert_eq!(vectors.rows, [1.0, 0.0, -1.0, 0.0, 0.0, 2.0, 0.0, 0.0]);
    }

    /// A fixed mess of numbers.
    fn mess(rows: usize, columns: usize, start: f64) -> DMatrix<f64> {
        DMatrix::from_fn(rows, columns, |i, k| (start + 1.7 * i as f64 + 2.9 * k as f64 + (i * k) as f64).sin())
    }

    #[test]
    fn the_balanced_form_has_the_logits_and_depends_on_nothing_else() {
        let (n, d) = (7, 3);
        let (w_e, w_u) = (mess(n * n, d, 0.3), mess(n, d, 1.1));
        let logits = &w_e * w_u.transpose();
        let form = balanced(&logits, &w_u);
        // (LᵀL)^½ = V S Vᵀ = B Bᵀ
        let mut centred = logits.clone();
        centred.row_iter_mut().for_each(|mut row| {
            let mean = row.mean();
            row.add_scalar_mut(-mean);
        });
        let product = &form * form.transpose();
        assert!(near(&(&product * &product), &(centred.transpose() * centred)));
        // another factorisation of the same logits, and other constants in its rows
        let a = DMatrix::from_row_slice(d, d, &[2.0, 0.3, 0.0, -1.0, 1.0, 0.5, 0.2, 0.0, -0.7]);
        let inverse = a.clone().try_inverse().unwrap();
        let other = (w_e * inverse.transpose()) * (w_u.clone() * a).transpose() + DMatrix::from_element(n * n, n, 3.0);
        let turned = balanced(&other, &w_u);
        assert!(near(&turned, &form), "{turned} {form}");
    }

    #[test]
    fn it_lies_as_its_model_does() {
        // a balanced model with W_U of mean 0: nothing to turn
        let w_u = DMatrix::from_row_slice(4, 2, &[1.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0, -1.0]);
        let w_e = DMatrix::from_fn(16, 2, |i, k| w_u[(i % 4, k)] / 2.0);
        assert!(near(&balanced(&(w_e * w_u.transpose()), &w_u), &w_u));
    }

    #[test]
    fn more_dimensions_than_logits_need_stay_empty() {
        let (w_e, w_u) = (mess(9, 5, 0.3), mess(3, 5, 1.1));
        let form = balanced(&(w_e * w_u.transpose()), &w_u);
        assert_eq!(form.shape(), (3, 5));
        assert_eq!(form.rank(1e-9), 2, "three tokens need two dimensions");
    }
}
