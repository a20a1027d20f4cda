//! Tables of random sets of tokens, which the original's laws begin with.

use super::check_vocab;
use crate::error::{Error, Result};
use crate::rng::TorchRng;

/// Most entries that a generated table may have: 4 GiB of float32.
const MAX_ENTRIES: usize = 1 << 30;

/// Uniform prefixes: table `i` is uniform on a random set of `nb_tokens[i]` tokens for each context; one
/// `randperm(N)` each, as every law of the original begins. `further`: how many tables the law will have besides.
///
/// # Errors
/// As [`check_prefix`]; nothing is drawn then.
pub fn prefix_tables(nb_tokens: &[usize], n_vocab: usize, further: usize, rng: &mut TorchRng) -> Result<Vec<Vec<f32>>> {
    check_prefix(nb_tokens, n_vocab, further)?;
    let rows = |(i, count): (usize, &usize)| {
        let base: Vec<f32> = (0..n_vocab).map(|k| if k < *count { 1.0 / *count as f32 } else { 0.0 }).collect();
        permuted_rows(&base, n_vocab.pow(i as u32), rng)
    };
    nb_tokens.iter().enumerate().map(rows).collect()
}

/// `contexts` rows (each `N`), each the base vector under its own `randperm(N)`.
pub(super) fn permuted_rows(base: &[f32], contexts: usize, rng: &mut TorchRng) -> Result<Vec<f32>> {
    let mut table = Vec::with_capacity(contexts * base.len());
    for _ in 0..contexts {
        table.extend(rng.randperm(base.len() as u32)?.iter().map(|j| base[*j as usize]));
    }
    Ok(table)
}

/// Checks the counts of a prefix and that its law, with `further` more tables, can be stored.
///
/// # Errors
/// A vocabulary or a count out of range, or a law too large to store.
pub fn check_prefix(nb_tokens: &[usize], n_vocab: usize, further: usize) -> Result<()> {
    check_vocab(n_vocab)?;
    if let Some(bad) = nb_tokens.iter().find(|count| **count == 0 || **count > n_vocab) {
        return Err(Error::argument(
            "nb_tokens",
            bad,
            format!("every count must be between 1 and `n_vocab`, {n_vocab}"),
        ));
    }
    let order = nb_tokens.len().saturating_add(further);
    let entries = u32::try_from(order).ok().and_then(|order| n_vocab.checked_pow(order));
    if entries.is_none_or(|entries| entries > MAX_ENTRIES) {
        let value = format!("of length {}", nb_tokens.len());
        return Err(Error::argument("nb_tokens", value, format!("{n_vocab}^{order} probabilities cannot be stored")));
    }
    Ok(())
}
