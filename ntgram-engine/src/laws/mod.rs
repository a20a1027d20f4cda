//! N-gram laws: checked tables of conditional probabilities, their entropy, and the sequences they allow. Here is also the generator
//! whose float32 arithmetic is shown to be libtorch's bit for bit; those that need libtorch itself are in `ntgram-core`.

mod power_unif;
mod prefix;
mod sequences;
mod sum;

use std::sync::{Arc, OnceLock};

use crate::error::{Error, Result};

pub use power_unif::{check_power_unif, power_unif_law};
pub use prefix::{check_prefix, prefix_tables};
pub use sequences::{Sequences, generate_each};

/// How far a row's sum may be from 1.
const ROW_TOLERANCE: f64 = 1e-4;
/// Largest vocabulary: tokens are kept as `u16`.
pub const MAX_VOCAB: usize = 1 << 16;

/// An n-gram law over a vocabulary of `N` tokens: `n` tables, of which table `i`, of shape `(N,)*(i+1)`, holds the
/// distribution of token `x_i` for every context `x_0 … x_{i-1}`. Row-major, `x_0` slowest. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Law {
    n_vocab: usize,
    tables: Vec<Arc<[f32]>>,
    /// Computed when first asked for.
    entropy: Arc<OnceLock<f64>>,
}

impl PartialEq for Law {
    fn eq(&self, other: &Self) -> bool {
        let same = |(a, b): (&Arc<[f32]>, &Arc<[f32]>)| Arc::ptr_eq(a, b) || a == b;
        self.tables.len() == other.tables.len() && self.tables.iter().zip(&other.tables).all(same)
    }
}

impl Law {
    /// A law from its tables, the shortest context first.
    ///
    /// # Errors
    /// No table, a vocabulary of 0 or more than [`MAX_VOCAB`] tokens, a table whose length is not `N^(i+1)`, or a row that holds a
    /// negative number or NaN or does not sum to 1 within 1e-4.
    pub fn new(n_vocab: usize, tables: Vec<Vec<f32>>) -> Result<Self> {
        check_vocab(n_vocab)?;
        if tables.is_empty() {
            return Err(Error::argument("tables", "empty", "a law has at least one table"));
        }
        for (i, table) in tables.iter().enumerate() {
            let expected_len = u32::try_from(i + 1).ok().and_then(|e| n_vocab.checked_pow(e));
            if expected_len != Some(table.len()) {
                let value = format!("of length {} at place {i}", table.len());
                return Err(Error::argument(
                    "tables",
                    value,
                    format!("table {i} must hold N^{} numbers, N = {n_vocab}", i + 1),
                ));
            }
            for (context, row) in table.chunks_exact(n_vocab).enumerate() {
                let sum: f64 = row.iter().map(|p| f64::from(*p)).sum();
                if row.iter().any(|p| p.is_nan() || *p < 0.0) || (sum - 1.0).abs() > ROW_TOLERANCE {
                    let value = format!("no distribution in row {context} of table {i} (sum {sum})");
                    return Err(Error::argument(
                        "tables",
                        value,
                        "every row must be non-negative and sum to 1 within 1e-4",
                    ));
                }
            }
        }
        Ok(Self { n_vocab, tables: tables.into_iter().map(Arc::from).collect(), entropy: Arc::default() })
    }

    /// Order `n`: the number of tables, and of tokens that a full context and its next token have.
    pub fn order(&self) -> usize {
        self.tables.len()
    }

    /// Vocabulary size `N`.
    pub fn n_vocab(&self) -> usize {
        self.n_vocab
    }

    /// Table `i`, shape `(N,)*(i+1)`, row-major; `None` when `i` is not below the order.
    pub fn table(&self, i: usize) -> Option<&[f32]> {
        self.tables.get(i).map(|t| &**t)
    }

    /// The last table, shape `(N,)*n`: what models learn.
    pub fn last_table(&self) -> &[f32] {
        &self.tables[self.tables.len() - 1]
    }

    /// Distribution of the token after `context` (shape `N`). Contexts of `n − 1` tokens or more use their last `n − 1`.
    ///
    /// # Errors
    /// A token outside the vocabulary.
    pub fn row(&self, context: &[u16]) -> Result<&[f32]> {
        if let Some(bad) = context.iter().find(|t| usize::from(**t) >= self.n_vocab) {
            return Err(Error::argument("context", bad, format!("tokens must be below {}", self.n_vocab)));
        }
        let known = context.len().min(self.order() - 1);
        Ok(self.row_at(known, self.context_index(&context[context.len() - known..])))
    }

    /// Tokens that may follow `context`, ascending.
    ///
    /// # Errors
    /// As [`row`](Self::row).
    pub fn support(&self, context: &[u16]) -> Result<Vec<u16>> {
        let row = self.row(context)?;
        Ok((0..self.n_vocab).filter(|k| row[*k] > 0.0).map(|k| k as u16).collect())
    }

    /// Divergence of the uniform guess, `log N − H`, in nats: the original's random baseline.
    pub fn log_n_minus_entropy(&self) -> f64 {
        (self.n_vocab as f64).ln() - entropy(self)
    }

    /// Row `context` of table `i` (shape `N`).
    pub(crate) fn row_at(&self, i: usize, context: usize) -> &[f32] {
        &self.tables[i][context * self.n_vocab..(context + 1) * self.n_vocab]
    }

    /// Row-major index of a context, oldest token slowest.
    pub(crate) fn context_index(&self, context: &[u16]) -> usize {
        context.iter().fold(0, |index, t| index * self.n_vocab + usize::from(*t))
    }
}

pub(crate) fn check_vocab(n_vocab: usize) -> Result<()> {
    if n_vocab == 0 || n_vocab > MAX_VOCAB {
        return Err(Error::argument("n_vocab", n_vocab, format!("it must be between 1 and {MAX_VOCAB}")));
    }
    Ok(())
}

/// Conditional entropy of the last token in nats, `E[-Σ_k p_k log(p_k + 1e-10)]`, over contexts drawn from the law.
pub fn entropy(law: &Law) -> f64 {
    *law.entropy.get_or_init(|| {
        let contexts = prefix_probabilities(law, law.order() - 1); // (N^(n-1),)
        let rows = law.last_table().chunks_exact(law.n_vocab);
        let expected_log: f64 = contexts
            .iter()
            .zip(rows)
            .filter(|(weight, _)| **weight > 0.0)
            // the logarithm is float32 as in the original, so that a certain token has no entropy at all
            .map(|(weight, row)| weight * row.iter().map(|p| f64::from(*p) * f64::from((p + 1e-10).ln())).sum::<f64>())
            .sum();
        (-expected_log).max(0.0)
    })
}

/// Probability of every sequence of `length` tokens (shape `(N,)*length`, row-major).
fn prefix_probabilities(law: &Law, length: usize) -> Vec<f64> {
    law.tables[..length].iter().fold(vec![1.0], |shorter, table| {
        let rows = shorter.iter().zip(table.chunks_exact(law.n_vocab));
        rows.flat_map(|(weight, row)| row.iter().map(move |p| weight * f64::from(*p))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// x_0 is 0 or 1 (¾, ¼); 0 is followed by 2, 1 by any of three.
    pub(super) fn bigram() -> Law {
        let third = 1.0 / 3.0;
        let second = vec![0.0, 0.0, 1.0, third, third, third, 0.5, 0.5, 0.0];
        Law::new(3, vec![vec![0.75, 0.25, 0.0], second]).unwrap()
    }

    #[test]
    fn entropy_by_hand() {
        let law = bigram();
        assert!((entropy(&law) - 0.25 * 3f64.ln()).abs() < 1e-7);
        assert!((law.log_n_minus_entropy() - 0.75 * 3f64.ln()).abs() < 1e-7);
        let certain = Law::new(3, vec![vec![0.0, 1.0, 0.0]]).unwrap();
        assert_eq!(entropy(&certain), 0.0);
        let uniform = Law::new(4, vec![vec![0.25; 4]]).unwrap();
        assert!((entropy(&uniform) - 4f64.ln()).abs() < 1e-7);
    }

    #[test]
    fn rows_and_supports() {
        let law = bigram();
        assert_eq!(law.row(&[]).unwrap(), [0.75, 0.25, 0.0]);
        assert_eq!(law.row(&[0, 0, 2]).unwrap(), [0.5, 0.5, 0.0], "only the last token of a long context counts");
        assert_eq!(law.support(&[0]).unwrap(), [2]);
        assert!(law.row(&[3]).is_err());
        assert!(law.table(2).is_none());
    }

    #[test]
    fn tables_are_checked() {
        let good = || vec![0.5, 0.5];
        let bad_rows = [vec![0.5, 0.6], vec![1.5, -0.5], vec![f32::NAN, 1.0], vec![f32::INFINITY, 0.0], vec![1.0]];
        for bad in bad_rows {
            assert!(Law::new(2, vec![bad.clone()]).is_err(), "{bad:?}");
        }
        assert!(Law::new(2, vec![]).is_err());
        assert!(Law::new(0, vec![vec![]]).is_err());
        assert!(Law::new(2, vec![good(), good()]).is_err(), "the second table must hold 4 numbers");
        assert!(Law::new(2, vec![good(), vec![0.5, 0.5, 0.0, 1.0]]).is_ok());
    }
}
