//! One training with all its numbers filled in: what decides a result, and nothing else.

use ntgram_engine::Result;
use ntgram_engine::data::Data;
use ntgram_engine::engine::Loss;
use ntgram_engine::error::Error;
use ntgram_engine::laws::check_power_unif;
use ntgram_engine::models::{Freeze, LowRankConfig, ModelConfig, TransformerConfig, n_values};
use ntgram_engine::train::{Schedule, TrainOptions, stream_words};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Everything that decides a training's result. Its JSON is what the [key](Training::key) is a digest of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// The law and the stream it is drawn from.
    pub law: LawSpec,
    /// The sequences that are drawn from it.
    pub data: DataSpec,
    /// The model's sizes.
    pub model: ModelSpec,
    /// Groups of parameters that are left as they are.
    pub freeze: Freeze,
    /// Where the model's initial values come from.
    pub init: Start,
    /// Where the shuffles come from.
    pub shuffle: Shuffle,
    /// Passes over the data.
    pub epochs: usize,
    /// Adam's learning rate.
    pub lr: f64,
    /// How it changes from epoch to epoch.
    pub schedule: Schedule,
    /// What a batch's loss is.
    pub loss: Loss,
    /// Batches after which it ends, all epochs counted; `None`: all of them.
    pub max_batches: Option<usize>,
}

/// A law, by the function that draws it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LawSpec {
    /// [`power_unif_law`](ntgram_engine::laws::power_unif_law).
    PowerUnif {
        /// Vocabulary size `N`.
        n_vocab: usize,
        /// The bases of the geometric rows, one for each token of a sequence; 1: uniform rows.
        alphas: Vec<f64>,
        /// How many tokens each row allows.
        nb_tokens: Vec<usize>,
        /// `manual_seed` before it is drawn.
        seed: u64,
    },
}

/// The data of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSpec {
    /// Sequences of a batch, `B`.
    pub batch_size: usize,
    /// Batches of an epoch.
    pub num_batch: usize,
    /// Tokens of a sequence, `T`.
    pub context_window: usize,
    /// `manual_seed` before they are drawn; `None`: the law's stream goes on.
    pub seed: Option<u64>,
}

/// A model by its sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ModelSpec {
    /// A Transformer.
    Transformer(TransformerConfig),
    /// A low-rank model.
    LowRank(LowRankConfig),
}

/// A place in PyTorch's random stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// So many words after `manual_seed(seed)`.
    Seed {
        /// The seed; its low 32 bits count.
        seed: u64,
        /// Words that others have drawn before.
        skip: u64,
    },
    /// Where the draws of the data end.
    AfterData,
}

/// Where a training's shuffles come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shuffle {
    /// `manual_seed` before the training, as the notebook's `train(…, seed)` does.
    Seed(u64),
    /// The stream of the initial values goes on, as PyTorch's global one does.
    AfterInit,
}

impl ModelSpec {
    /// The sizes, as the engine takes them.
    pub fn config(&self) -> ModelConfig<'_> {
        match self {
            Self::Transformer(config) => ModelConfig::Transformer(config),
            Self::LowRank(config) => ModelConfig::LowRank(config),
        }
    }
}

impl LawSpec {
    /// Order `n` of the law.
    pub fn order(&self) -> usize {
        let Self::PowerUnif { alphas, .. } = self;
        alphas.len()
    }

    /// Vocabulary size `N`.
    pub fn n_vocab(&self) -> usize {
        let Self::PowerUnif { n_vocab, .. } = self;
        *n_vocab
    }
}

impl Training {
    /// A digest of all of it: 32 hexadecimal digits. Two trainings have the same key if and only if they are the same.
    pub fn key(&self) -> String {
        digest(&serde_json::to_vec(self).expect("plain numbers have a JSON"))[..32].to_owned()
    }

    /// Checks the sizes and numbers without drawing or training anything.
    ///
    /// # Errors
    /// What a law, data, a model or a training of such numbers would be refused for; the message names the argument.
    pub fn check(&self) -> Result<()> {
        let LawSpec::PowerUnif { n_vocab, alphas, nb_tokens, .. } = &self.law;
        check_power_unif(alphas, nb_tokens, *n_vocab)?;
        Data::check_sizes((self.data.batch_size, self.data.num_batch), self.data.context_window, self.law.order())?;
        self.model.config().check_sizes()?;
        self.options().check()?;
        if self.model.config().parameters().iter().all(|spec| spec.is_frozen(&self.freeze)) {
            let expected = "at least one group of parameters must be trained";
            return Err(Error::argument("freeze", format!("{:?}", self.freeze), expected));
        }
        Ok(())
    }

    /// How the engine is to train: on one thread, without lines of its own. The shuffles' generator is set by whoever trains.
    pub fn options(&self) -> TrainOptions {
        TrainOptions {
            lr: self.lr,
            epochs: self.epochs,
            schedule: self.schedule.clone(),
            loss: self.loss,
            max_batches: self.max_batches,
            threads: Some(1),
            progress: false,
            ..TrainOptions::default()
        }
    }

    /// Steps of the whole training.
    pub fn steps(&self) -> usize {
        self.max_batches.unwrap_or(usize::MAX).min(self.epochs.saturating_mul(self.data.num_batch))
    }

    /// Parameters of the model.
    pub fn n_values(&self) -> usize {
        n_values(&self.model.config().parameters())
    }

    /// Words of the stream that it draws where one stream runs on: its model's initial values and its shuffles.
    pub fn words(&self) -> u64 {
        stream_words(self.model.config(), self.steps().div_ceil(self.data.num_batch.max(1)))
    }

    /// A rough measure of the work, for shares and for the time that is left: nanoseconds on one core of today, to within some three times.
    pub fn work(&self) -> f64 {
        let (n_vocab, order) = (self.law.n_vocab() as f64, self.law.order());
        let scored = (self.data.context_window + 1).saturating_sub(order.max(2)) as f64;
        let contexts = n_vocab.powi(order as i32 - 1).min(self.data.batch_size as f64 * scored);
        // probabilities that a step computes, and parameters that it goes through for them
        let parameters = match &self.model {
            ModelSpec::Transformer(_) => self.n_values() as f64,
            ModelSpec::LowRank(config) => (contexts + n_vocab) * config.d_model as f64,
        };
        self.steps() as f64 * (9.0 * contexts * n_vocab + 30.0 * parameters)
    }
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
