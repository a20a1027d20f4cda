//! What can be set on the page.

use ntgram_engine::laws::{Law, prefix_tables};
use ntgram_engine::models::{LowRankConfig, ModelConfig, TransformerConfig};
use ntgram_engine::rng::TorchRng;
use ntgram_engine::{Error, Result};
use serde::{Deserialize, Serialize};

/// Tokens that are read, and the one that is guessed.
pub(crate) const ORDER: usize = 3;
/// The largest vocabulary of the page: `N²` contexts must fit on it.
const MOST_TOKENS: usize = 32;
const MOST_DIMENSIONS: usize = 32;
const MOST_MODULES: usize = 32;

/// Which model is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// A vector for each context.
    LowRank,
    /// One layer of attention modules side by side, which compute it from the two tokens.
    Transformer {
        /// How many modules, `H`.
        modules: usize,
    },
}

/// What is trained, on what, and how fast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The model.
    pub model: Model,
    /// Tokens, `N`.
    pub tokens: usize,
    /// Dimensions, `d`.
    pub dimensions: usize,
    /// Probability of the likely next token.
    pub p: f64,
    /// Adam's learning rate.
    pub lr: f64,
    /// Seed of the law, and of a second generator: for the data, then for the initial values.
    pub seed: u64,
}

impl Default for Settings {
    /// The model that the lesson trains in its second section.
    fn default() -> Self {
        Self { model: Model::LowRank, tokens: 10, dimensions: 5, p: 0.95, lr: 3e-3, seed: 2108 }
    }
}

/// A model's sizes.
#[derive(Debug, Clone)]
pub(crate) enum Sizes {
    LowRank(LowRankConfig),
    Transformer(TransformerConfig),
}

impl Sizes {
    pub(crate) fn config(&self) -> ModelConfig<'_> {
        match self {
            Self::LowRank(config) => ModelConfig::LowRank(config),
            Self::Transformer(config) => ModelConfig::Transformer(config),
        }
    }
}

impl Settings {
    /// Checks what the engine does not: that the page can show it.
    ///
    /// # Errors
    /// A number out of the page's range.
    pub fn check(&self) -> Result<()> {
        let between = |argument, value: usize, least, most| {
            let expected = || format!("it must be between {least} and {most}");
            if (least..=most).contains(&value) { Ok(()) } else { Err(Error::argument(argument, value, expected())) }
        };
        between("tokens", self.tokens, 2, MOST_TOKENS)?;
        between("dimensions", self.dimensions, 1, MOST_DIMENSIONS)?;
        if let Model::Transformer { modules } = self.model {
            between("modules", modules, 1, MOST_MODULES)?;
        }
        check_p(self.p)
    }

    pub(crate) fn sizes(&self) -> Sizes {
        let (d_model, n_vocab) = (self.dimensions, self.tokens);
        match self.model {
            Model::LowRank => Sizes::LowRank(LowRankConfig { d_model, n_vocab, ..Default::default() }),
            Model::Transformer { modules } => {
                Sizes::Transformer(TransformerConfig { d_model, n_vocab, n_modules: modules, ..Default::default() })
            }
        }
    }

    /// The lesson's law: after two tokens one next token is likely, with probability `p`; which one is drawn at random. Its
    /// `last_position_law(&[N, N], N, 0.0, p, …)`, of which `ntgram-core` has the general case.
    pub(crate) fn law(&self) -> Result<Law> {
        let n = self.tokens;
        let rng = &mut TorchRng::new(self.seed);
        let mut tables = prefix_tables(&[n, n], n, 1, rng)?;
        let weights = vec![1.0 / n as f32; n];
        let mut table = vec![((1.0 - self.p) / (n - 1) as f64) as f32; n.pow(ORDER as u32)];
        for row in table.chunks_exact_mut(n) {
            row[rng.multinomial_one(&weights)? as usize] = self.p as f32;
        }
        tables.push(table);
        Law::new(n, tables)
    }
}

/// A sure law has no logarithm of its unlikely tokens, and an impossible one no likely token.
pub(crate) fn check_p(p: f64) -> Result<()> {
    if p > 0.0 && p < 1.0 { Ok(()) } else { Err(Error::argument("p", p, "it must be between 0 and 1")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_token_is_likely_after_every_context() {
        let settings = Settings { tokens: 7, p: 0.6, ..Default::default() };
        let law = settings.law().unwrap();
        assert_eq!((law.order(), law.n_vocab()), (3, 7));
        for row in law.last_table().chunks(7) {
            assert_eq!(row.iter().filter(|p| **p == 0.6).count(), 1);
        }
    }

    #[test]
    fn what_the_page_cannot_show_is_refused_by_name() {
        let name = |settings: Settings| match settings.check() {
            Err(Error::Argument { argument, .. }) => argument,
            other => panic!("{other:?}"),
        };
        let settings = Settings::default;
        assert_eq!(name(Settings { tokens: 1, ..settings() }), "tokens");
        assert_eq!(name(Settings { dimensions: 0, ..settings() }), "dimensions");
        assert_eq!(name(Settings { model: Model::Transformer { modules: 0 }, ..settings() }), "modules");
        assert_eq!(name(Settings { p: 1.0, ..settings() }), "p");
        assert_eq!(name(Settings { p: f64::NAN, ..settings() }), "p");
        assert!(settings().check().is_ok());
    }
}
