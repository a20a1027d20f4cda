//! The low-rank model: a table of contexts times an unembedding. It is the best any model with this unembedding rank can do,
//! and the notebook's optimal baseline.
//!
//! For a trigram the row of the context `(x_{t-1}, x_t)` is `x_{t-1} + N·x_t`: the older token varies fastest. The law's
//! table has its rows the other way round (`x_0·N + x_1`); [`LowRank::contexts_in_law_order`] maps one to the other.

use std::path::Path;

use ntgram_engine::models::{LowRankConfig, LowRankWeights, ModelConfig};
use tch::{Kind, Tensor, nn};

use super::model::{Model, State};
use super::ops::unembed;
use super::params::at;
use super::{Law, check_forward, check_tokens, file};
use crate::error::{Error, Result};
use crate::rng::TorchRng;

/// `logits = W_E[context] W_Uᵀ`, less their mean (unless [`center_logits`](LowRankConfig::center_logits) is false); and the law the model is trained on. The original's `Low_rank`.
#[derive(Debug, Clone)]
pub struct LowRank {
    config: LowRankConfig,
    state: State,
}

impl LowRank {
    /// A model with initial weights as PyTorch draws them from `rng`: the context table `(N^(n-1), d)`, then the
    /// unembedding `(N, d)`. Arguments in the original's order.
    ///
    /// # Errors
    /// A size of 0, another vocabulary than the law's, a window shorter than the law.
    pub fn new(d_model: usize, n_vocab: usize, context_window: usize, pi: &Law, rng: &mut TorchRng) -> Result<Self> {
        let config = LowRankConfig { d_model, n_vocab, context_window, order: pi.order(), ..Default::default() };
        Self::from_config(&config, pi, rng)
    }

    /// [`new`](Self::new) with all that can be chosen.
    ///
    /// ```
    /// use ntgram_core::prelude::*;
    /// # fn main() -> Result<()> {
    /// let pi = power_unif_law(&[1.0, 1.0, 1.0], &[7, 7, 1], 7, &mut TorchRng::new(1))?;
    /// let config = LowRankConfig { d_model: 3, n_vocab: 7, center_logits: false, ..Default::default() };
    /// let model = LowRank::from_config(&config, &pi, &mut TorchRng::new(2))?;
    /// let logits = model.forward(&Tensor::from_slice(&[5i64, 2]).view([1, 2]))?.select(1, 1); // (1, N)
    /// let expected = model.w_e().narrow(0, 5 + 7 * 2, 1).matmul(&model.w_u().transpose(0, 1));
    /// assert!(logits.allclose(&expected, 1e-5, 1e-6, false));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`new`](Self::new); another order than the law's.
    pub fn from_config(config: &LowRankConfig, pi: &Law, rng: &mut TorchRng) -> Result<Self> {
        let state = State::init(ModelConfig::LowRank(config), pi, rng)?;
        Ok(Self { config: config.clone(), state })
    }

    /// Sizes.
    pub fn config(&self) -> &LowRankConfig {
        &self.config
    }

    /// Both weights by their names, as copies.
    pub fn weights(&self) -> LowRankWeights<Tensor> {
        self.config.weights().map(|place| self.state.copy(place))
    }

    /// Context table `W_E (N^(n-1), d)`, a copy.
    pub fn w_e(&self) -> Tensor {
        self.state.copy(&self.config.weights().w_e)
    }

    /// Unembedding `W_U (N, d)`, a copy.
    pub fn w_u(&self) -> Tensor {
        self.state.copy(&self.config.weights().w_u)
    }

    /// Logits `(B, S, N)` for tokens `(B, S)`, without gradients.
    ///
    /// # Errors
    /// Tokens that are not integers below `N` in a `(B, S)` tensor, or `S` longer than the context window; more of them than
    /// memory holds.
    pub fn forward(&self, tokens: &Tensor) -> Result<Tensor> {
        let tokens = check_tokens(tokens, self.config.n_vocab, self.config.context_window, self.params().device())?;
        check_forward(self.sizes(), &tokens)?;
        Ok(tch::no_grad(|| self.logits_of(self.params().tensors(), &tokens)))
    }

    /// For each row of the law's last table (contexts with the oldest token slowest), the row of the context table that
    /// belongs to the same context: `(N^(n-1),)` int64.
    pub fn contexts_in_law_order(&self) -> Tensor {
        let (n, order) = (self.config.n_vocab, self.config.order);
        let reversed = |mut row: usize| {
            let mut index = 0;
            for _ in 1..order {
                index = index * n + row % n;
                row /= n;
            }
            index as i64
        };
        let index: Vec<i64> = (0..self.config.n_contexts()).map(reversed).collect();
        Tensor::from_slice(&index).to_device(self.params().device())
    }

    /// Rows of the context table for sequences `(M, n)` or longer: the context of position `n-2`, `(M,)` int64.
    ///
    /// # Errors
    /// Tokens that [`forward`](Self::forward) would refuse.
    pub fn context_rows(&self, tokens: &Tensor) -> Result<Tensor> {
        let tokens = check_tokens(tokens, self.config.n_vocab, self.config.context_window, self.params().device())?;
        let position = self.config.order.saturating_sub(2) as i64;
        Ok(context_index(&self.config, &tokens).select(1, position.min(tokens.size()[1] - 1)))
    }

    /// Closed-form divergence from the law, nats: the mean over contexts of
    /// `log Σ_k π_k exp(z_k)`, `z = f − ℓ − Σ_k π_k (f_k − ℓ_k)`, `f = W_E W_Uᵀ`, `ℓ = log π`, which is
    /// `KL(π ‖ softmax f)` of the context. The original's `compute_div`, with the rows of `f` and `π` aligned.
    ///
    /// # Errors
    /// Parameters so large that logits are infinite.
    #[doc(alias = "compute_div")]
    pub fn divergence(&self) -> Result<f64> {
        let f = self.w_e().index_select(0, &self.contexts_in_law_order()).matmul(&self.w_u().transpose(0, 1));
        if f.isfinite().all().int64_value(&[]) == 0 {
            return Err(Error::argument("model", "of too large values", "its logits must be finite"));
        }
        super::divergence(&f, self.law())
    }

    /// Writes sizes, law and parameters to a safetensors file.
    ///
    /// # Errors
    /// Values that are not finite; the file cannot be written: nothing is left at `path` then.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        file::save(path.as_ref(), "LowRank", &self.config, &self.state)
    }

    /// Reads a file that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// The file cannot be read, is not such a file, or its tensors do not fit its sizes.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let file = file::open(path.as_ref())?;
        let config: LowRankConfig = file.config("LowRank")?;
        let state = file.state(ModelConfig::LowRank(&config))?;
        Ok(Self { config, state })
    }
}

impl Model for LowRank {
    fn state(&self) -> &State {
        &self.state
    }

    fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    fn sizes(&self) -> ModelConfig<'_> {
        ModelConfig::LowRank(&self.config)
    }

    fn logits_of(&self, params: &[Tensor], tokens: &Tensor) -> Tensor {
        let LowRankWeights { w_e, w_u } = self.config.weights().map(|place| at(place, params));
        let rows = Tensor::embedding(&w_e, &context_index(&self.config, tokens), -1, false, false); // (B, S, d)
        unembed(&rows, &w_u, self.config.center_logits)
    }
}

impl nn::Module for LowRank {
    /// As [`LowRank::forward`], with gradients where the parameters ask for them.
    ///
    /// # Panics
    /// On tokens that [`LowRank::forward`] would refuse.
    fn forward(&self, tokens: &Tensor) -> Tensor {
        self.logits_of(self.params().tensors(), tokens)
    }
}

/// Context row of every position, `(B, S)`: `Σ_j x_{t-n+2+j} N^j`, the older token fastest; positions without a full context
/// use row 0, as the original does.
fn context_index(config: &LowRankConfig, tokens: &Tensor) -> Tensor {
    let (positions, length) = (tokens.size()[1], config.order as i64 - 1);
    let index = Tensor::zeros(tokens.size(), (Kind::Int64, tokens.device()));
    if length >= 1 && positions >= length {
        let full = positions - length + 1;
        let mut rows = index.narrow(1, length - 1, full);
        let mut weight = 1;
        for j in 0..length {
            rows += tokens.narrow(1, j, full) * weight;
            weight *= config.n_vocab as i64;
        }
    }
    index
}
