//! The laws of the original notebook, draw for draw.

use super::{Law, Matrix};
use crate::error::Result;
use crate::rng::TorchRng;

/// todo
pub fn power_unif_law(alphas: &[f64], nb_tokens: &[usize], n_vocab: usize, rng: &mut TorchRng) -> Result<Law> {
    let _ = (alphas, nb_tokens, n_vocab, rng);
    todo!()
}

/// todo. The original's default: `feature_importance = 1`.
pub fn first_position_law(
    nb_tokens: &[usize],
    n_vocab: usize,
    d: usize,
    feature_importance: f64,
    rng: &mut TorchRng,
) -> Result<Law> {
    let _ = (nb_tokens, n_vocab, d, feature_importance, rng);
    todo!()
}

/// todo
pub fn last_position_law(nb_tokens: &[usize], n_vocab: usize, k: f64, p: f64, rng: &mut TorchRng) -> Result<Law> {
    let _ = (nb_tokens, n_vocab, k, p, rng);
    todo!()
}

/// todo. The original's defaults: `feature_importance = 1`, `flat_coef = 0.1`.
pub fn gen_d_law(
    nb_tokens: &[usize],
    n_vocab: usize,
    d: usize,
    axis_aligned: bool,
    feature_importance: f64,
    flat_coef: f64,
    rng: &mut TorchRng,
) -> Result<(Law, Matrix)> {
    let _ = (nb_tokens, n_vocab, d, axis_aligned, feature_importance, flat_coef, rng);
    todo!()
}

/// todo. The original's defaults: `eig_high = 1`, `eig_low = 0.1`.
pub fn almost_rank_d(
    nb_tokens: &[usize],
    n_vocab: usize,
    d: usize,
    axis_aligned: bool,
    eig_high: f64,
    eig_low: f64,
    rng: &mut TorchRng,
) -> Result<Law> {
    let _ = (nb_tokens, n_vocab, d, axis_aligned, eig_high, eig_low, rng);
    todo!()
}
