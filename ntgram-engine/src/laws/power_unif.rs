//! Laws of geometric or uniform rows on random sets of tokens.

use super::Law;
use super::prefix::{check_prefix, permuted_rows};
use super::sum::sum;
use crate::error::{Error, Result};
use crate::rng::TorchRng;

/// Every token's next-token law is a geometric (or, with `alpha = 1`, uniform) one on a random set of tokens: table `i` has rows
/// `b[perm]` with `b[k] ∝ alphas[i]^k` for `k < nb_tokens[i]`, else 0, and one `randperm(N)` for each context.
///
/// # Errors
/// `alphas` and `nb_tokens` of different lengths or empty; a count of 0 or above `n_vocab`; an alpha that is negative, not
/// finite, or makes a row vanish or overflow; a law too large to store.
pub fn power_unif_law(alphas: &[f64], nb_tokens: &[usize], n_vocab: usize, rng: &mut TorchRng) -> Result<Law> {
    let bases = bases(alphas, nb_tokens, n_vocab)?;
    let tables = bases.iter().enumerate().map(|(i, base)| permuted_rows(base, n_vocab.pow(i as u32), rng));
    Law::new(n_vocab, tables.collect::<Result<_>>()?)
}

/// Checks the arguments of [`power_unif_law`], and draws nothing.
///
/// # Errors
/// As there.
pub fn check_power_unif(alphas: &[f64], nb_tokens: &[usize], n_vocab: usize) -> Result<()> {
    bases(alphas, nb_tokens, n_vocab).map(drop)
}

/// The row of each table before it is permuted.
fn bases(alphas: &[f64], nb_tokens: &[usize], n_vocab: usize) -> Result<Vec<Vec<f32>>> {
    check_prefix(nb_tokens, n_vocab, 0)?;
    if alphas.is_empty() || alphas.len() != nb_tokens.len() {
        let expected = format!(
            "it must have one value for each of the {} entries of `nb_tokens`, and at least one",
            nb_tokens.len()
        );
        return Err(Error::argument("alphas", format!("of length {}", alphas.len()), expected));
    }
    let bases = alphas.iter().zip(nb_tokens).map(|(alpha, count)| power_base(*alpha, *count, n_vocab));
    bases.collect()
}

/// `alpha^k` for `k < count`, else 0, normalised (shape `N`).
fn power_base(alpha: f64, count: usize, n_vocab: usize) -> Result<Vec<f32>> {
    let expected = "it must not be negative, and its powers must have a finite sum above 0";
    let powers: Vec<f32> = (0..n_vocab).map(|k| if k < count { alpha.powf(k as f64) as f32 } else { 0.0 }).collect();
    let total = sum(&powers);
    let base: Vec<f32> = powers.iter().map(|x| x / total).collect();
    let whole: f32 = base.iter().sum();
    if alpha < 0.0 || whole.is_nan() || (whole - 1.0).abs() > 1e-3 {
        return Err(Error::argument("alphas", alpha, expected));
    }
    Ok(base)
}
