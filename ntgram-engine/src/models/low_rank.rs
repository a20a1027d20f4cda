//! Sizes of the low-rank model, and the list of its parameters.

use serde::{Deserialize, Serialize};

use super::parameters::{ParamKind, ParamSpec, check_total};
use super::transformer::yes;
use crate::error::{Error, Result};

/// Sizes of a `LowRank` model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LowRankConfig {
    /// Embedding dimension `d`: the rank of the log-probabilities.
    pub d_model: usize,
    /// Vocabulary size `N`.
    pub n_vocab: usize,
    /// Context window `T`: the longest sequence.
    pub context_window: usize,
    /// Order `n` of the law: the context table has `N^(n-1)` rows.
    pub order: usize,
    /// Whether the mean over the whole batch is subtracted from the logits, as the notebook's model does. Probabilities, losses and
    /// gradients do not depend on it.
    #[serde(default = "yes")]
    pub center_logits: bool,
}

impl Default for LowRankConfig {
    /// For trigrams: `N = 10`, `d = 5`, `T = 3`.
    fn default() -> Self {
        Self { d_model: 5, n_vocab: 10, context_window: 3, order: 3, center_logits: true }
    }
}

impl LowRankConfig {
    /// Rows of the context table: `N^(n-1)`, or `usize::MAX` where that is larger.
    pub fn n_contexts(&self) -> usize {
        match self.n_vocab {
            0 | 1 => usize::from(self.n_vocab == 1 || self.order <= 1),
            n => u32::try_from(self.order.saturating_sub(1)).map_or(usize::MAX, |length| n.saturating_pow(length)),
        }
    }

    /// Checks sizes.
    ///
    /// # Errors
    /// A size of 0, or a context window shorter than the law.
    pub fn check(&self) -> Result<()> {
        for (argument, value) in [("d_model", self.d_model), ("n_vocab", self.n_vocab), ("order", self.order)] {
            if value == 0 {
                return Err(Error::argument(argument, value, "it must be at least 1"));
            }
        }
        let contexts = (self.n_vocab as f64).powf(self.order as f64 - 1.0);
        check_total(&format!("{self:?}"), (contexts + self.n_vocab as f64) * self.d_model as f64, 2.0)?;
        if self.context_window < self.order {
            let expected = format!("it must be at least the order of the law, {}", self.order);
            return Err(Error::argument("context_window", self.context_window, expected));
        }
        Ok(())
    }

    /// Both parameters, in order: `word_emb.weight (N^(n-1), d)` and `unemb.weight (N, d)`. None for sizes that [`check`](Self::check)
    /// refuses.
    pub fn parameters(&self) -> Vec<ParamSpec> {
        if self.check().is_err() {
            return vec![];
        }
        vec![
            ParamSpec::new("word_emb.weight".into(), &[self.n_contexts(), self.d_model], ParamKind::WordEmb),
            ParamSpec::new("unemb.weight".into(), &[self.n_vocab, self.d_model], ParamKind::Unemb),
        ]
    }
}
