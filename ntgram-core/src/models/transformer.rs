//! The attention-only Transformer of the notebook and of the paper that grew out of it, with optional MLPs: one model, whose configuration
//! says which.
//!
//! With `P` the positional embedding and `s_*` 1 for kept and 0 for skipped terms:
//!
//! ```text
//! res = W_E[x]                                        (B, S, d): the position is not added here …
//! for each layer:
//!     c   = W_C norm(res)                             (B, S, d_h)
//!     qk  = c·s_embQK + P[:S]·s_posQK                 … but at every layer, on what the modules read
//!     ov  = c·s_embOV + P[:S]·s_posOV
//!     attn_j = W_D W_O,j softmax(mask(Q_j K_jᵀ/√(d_h/m))) V_j     for each of H modules side by side, m heads in each
//!     res = Σ_j attn_j + res·s_res
//!     res = res + mlp(norm(res))                      (nothing where there is no MLP)
//! logits = res W_Uᵀ − their mean over the whole batch (B, S, N)
//! ```
//!
//! | | notebook | paper (Dana, Pydi, Chevaleyre 2025) |
//! |---|---|---|
//! | `norm` ([`Norm`]) | layer norm without affine part | nothing |
//! | `W_C (d_h, d)`, `W_D (d, d_h)` ([`d_inner`](TransformerConfig::d_inner)) | none: `d_h = d` | shared by all modules and layers; not used where `d_h = d` |
//! | mean of the logits ([`center_logits`](TransformerConfig::center_logits)) | subtracted | left |

use std::path::Path;

use ntgram_engine::models::{
    Compression, LinearWeights, ModelConfig, Norm, Place, TransformerConfig, TransformerWeights,
};
use tch::{Tensor, nn};

use super::activations::{Activations, LayerActivations};
use super::model::{Model, State};
use super::ops::{attention_pattern, normed, project_from_heads, project_to_heads, unembed};
use super::params::at;
use super::{Law, check_forward, check_tokens, file};
use crate::error::{Result, check_index};
use crate::rng::TorchRng;

/// A small Transformer with `H` attention modules side by side in each layer, and the law it is trained on.
#[derive(Debug, Clone)]
pub struct Transformer {
    config: TransformerConfig,
    /// Where each weight is in the list of parameters.
    places: TransformerWeights<Place>,
    state: State,
}

impl Transformer {
    /// A model with initial weights as PyTorch draws them from `rng`: word embedding, positional embedding, for each module
    /// `W_O` then the stacked `[W_Q; W_K; W_V]`, `W_C` and `W_D`, the MLPs, the unembedding.
    ///
    /// ```
    /// use ntgram_core::prelude::*;
    /// # fn main() -> Result<()> {
    /// let mut rng = TorchRng::new(666);
    /// let pi = power_unif_law(&[1.0, 1.0, 1.0], &[10, 10, 1], 10, &mut rng)?;
    /// let config = TransformerConfig { d_model: 5, n_vocab: 10, n_modules: 20, ..Default::default() };
    /// let model = Transformer::new(&config, &pi, &mut rng)?;
    /// assert_eq!(model.w_u().size(), [10, 5]);
    ///
    /// // the paper's: no layer norm, twenty modules of size 2 behind W_C
    /// let config = TransformerConfig { n_modules: 20, ..TransformerConfig::of_paper(10, 5, 2) };
    /// let model = Transformer::new(&config, &pi, &mut rng)?;
    /// assert_eq!(model.w_c().map(|w_c| w_c.size()), Some(vec![2, 5]));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Sizes that do not fit each other or the law, a window shorter than the law, skips that leave a circuit empty.
    pub fn new(config: &TransformerConfig, pi: &Law, rng: &mut TorchRng) -> Result<Self> {
        let state = State::init(ModelConfig::Transformer(config), pi, rng)?;
        Ok(Self::from_state(config.clone(), state))
    }

    fn from_state(config: TransformerConfig, state: State) -> Self {
        Self { places: config.weights(), config, state }
    }

    /// Sizes and skips.
    pub fn config(&self) -> &TransformerConfig {
        &self.config
    }

    /// All weights by their names, as copies: `model.weights().layers[0].modules[2].w_q`.
    pub fn weights(&self) -> TransformerWeights<Tensor> {
        self.places.map(|place| self.state.copy(place))
    }

    /// Word embedding `W_E (N, d)`, a copy.
    pub fn w_e(&self) -> Tensor {
        self.state.copy(&self.places.w_e)
    }

    /// Positional embedding `P (T, d_h)`, a copy.
    pub fn w_pos(&self) -> Tensor {
        self.state.copy(&self.places.w_pos)
    }

    /// Unembedding `W_U (N, d)`, a copy.
    pub fn w_u(&self) -> Tensor {
        self.state.copy(&self.places.w_u)
    }

    /// `W_C (d_h, d)`, from the stream to the attention modules, a copy; `None` where [`d_inner`](TransformerConfig::d_inner) is. Where
    /// `d_h = d` the model has it but does not use it.
    pub fn w_c(&self) -> Option<Tensor> {
        self.places.compression.as_ref().map(|compression| self.state.copy(&compression.w_c))
    }

    /// `W_D (d, d_h)`, from the attention modules to the stream, a copy; `None` or not used as [`w_c`](Self::w_c).
    pub fn w_d(&self) -> Option<Tensor> {
        self.places.compression.as_ref().map(|compression| self.state.copy(&compression.w_d))
    }

    /// `W_C` and `W_D` where the forward pass uses them, copies.
    pub(crate) fn used_compression(&self) -> Option<Compression<Tensor>> {
        let used = self.places.compression.as_ref().filter(|_| self.config.compresses());
        used.map(|places| Compression { w_c: self.state.copy(&places.w_c), w_d: self.state.copy(&places.w_d) })
    }

    /// One module's `W_Q`, `W_K`, `W_V`, each `(d_h, d_h)` as `(out, in)`, copies.
    ///
    /// # Errors
    /// No such layer or module.
    pub fn w_qkv(&self, layer: usize, module: usize) -> Result<[Tensor; 3]> {
        self.check_module(layer, module)?;
        let places = &self.places.layers[layer].modules[module];
        Ok([&places.w_q, &places.w_k, &places.w_v].map(|place| self.state.copy(place)))
    }

    /// One module's output projection `W_O (d_h, d_h)` as `(out, in)`, a copy.
    ///
    /// # Errors
    /// No such layer or module.
    pub fn w_o(&self, layer: usize, module: usize) -> Result<Tensor> {
        self.check_module(layer, module)?;
        Ok(self.state.copy(&self.places.layers[layer].modules[module].w_o))
    }

    fn check_module(&self, layer: usize, module: usize) -> Result<()> {
        check_index("layer", layer, self.config.n_layers)?;
        check_index("module", module, self.config.n_modules)
    }

    /// The forward pass on parameters given in the order of the list. `tokens (B, S)` int64, checked.
    fn activations_of(&self, params: &[Tensor], tokens: &Tensor) -> Activations {
        activations(&self.config, &self.places.map(|place| at(place, params)), tokens)
    }

    /// Logits `(B, S, N)` for tokens `(B, S)`, without gradients.
    ///
    /// # Errors
    /// Tokens that are not integers below `N` in a `(B, S)` tensor, or `S` longer than the context window; more of them than
    /// memory holds.
    pub fn forward(&self, tokens: &Tensor) -> Result<Tensor> {
        Ok(self.forward_with_activations(tokens)?.logits)
    }

    /// The forward pass with everything it computes on its way (the original's `out_computation=True`).
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn forward_with_activations(&self, tokens: &Tensor) -> Result<Activations> {
        let tokens = check_tokens(tokens, self.config.n_vocab, self.config.context_window, self.params().device())?;
        check_forward(self.sizes(), &tokens)?;
        Ok(tch::no_grad(|| self.activations_of(self.params().tensors(), &tokens)))
    }

    /// Writes sizes, law and parameters to a safetensors file.
    ///
    /// # Errors
    /// Values that are not finite; the file cannot be written: nothing is left at `path` then.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        file::save(path.as_ref(), "Transformer", &self.config, &self.state)
    }

    /// Reads a file that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// The file cannot be read, is not such a file, or its tensors do not fit its sizes.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let file = file::open(path.as_ref())?;
        let config: TransformerConfig = file.config("Transformer")?;
        let state = file.state(ModelConfig::Transformer(&config))?;
        Ok(Self::from_state(config, state))
    }
}

impl Model for Transformer {
    fn state(&self) -> &State {
        &self.state
    }

    fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    fn sizes(&self) -> ModelConfig<'_> {
        ModelConfig::Transformer(&self.config)
    }

    fn logits_of(&self, params: &[Tensor], tokens: &Tensor) -> Tensor {
        self.activations_of(params, tokens).logits
    }
}

impl nn::Module for Transformer {
    /// As [`Transformer::forward`], with gradients where the parameters ask for them.
    ///
    /// # Panics
    /// On tokens that [`Transformer::forward`] would refuse.
    fn forward(&self, tokens: &Tensor) -> Tensor {
        self.logits_of(self.params().tensors(), tokens)
    }
}

/// The forward pass.
fn activations(config: &TransformerConfig, weights: &TransformerWeights<Tensor>, tokens: &Tensor) -> Activations {
    let (d_h, heads, skips) = (config.d_module() as i64, config.n_heads as i64, &config.skips);
    let compression = weights.compression.as_ref().filter(|_| config.compresses());
    let pos = weights.w_pos.narrow(0, 0, tokens.size()[1]); // (S, d_h)
    let res_0 = Tensor::embedding(&weights.w_e, tokens, -1, false, false); // (B, S, d)
    let mut res = res_0.shallow_clone();
    let mut layers = Vec::with_capacity(config.n_layers);
    for layer in &weights.layers {
        let w_in = Tensor::stack(&layer.modules.iter().map(|module| &module.in_proj).collect::<Vec<_>>(), 0); // (H, 3d_h, d_h)
        let w_o = Tensor::stack(&layer.modules.iter().map(|module| &module.w_o).collect::<Vec<_>>(), 0); // (H, d_h, d_h)
        let [w_q, w_k, w_v] = [0, d_h, 2 * d_h].map(|row| w_in.narrow(1, row, d_h)); // (H, d_h, d_h) each
        let w_out = compression.map_or_else(|| w_o.shallow_clone(), |through| through.w_d.matmul(&w_o)); // (H, d, d_h)

        let h = normed(&res, config.norm); // (B, S, d)
        let c = compression.map_or_else(|| h.shallow_clone(), |through| h.matmul(&through.w_c.transpose(0, 1))); // (B, S, d_h)
        let qk_in = kept_sum(&c, !skips.emb_qk, &pos, !skips.pos_qk);
        let ov_in = kept_sum(&c, !skips.emb_ov, &pos, !skips.pos_ov);
        let q = project_to_heads(&qk_in, &w_q, heads); // (H, m, B, S, e)
        let k = project_to_heads(&qk_in, &w_k, heads);
        let v = project_to_heads(&ov_in, &w_v, heads);
        let attention_pattern = attention_pattern(&q, &k); // (H, m, B, S, S)
        let attn_out = project_from_heads(&attention_pattern.matmul(&v), &w_out); // (H, B, S, d)
        let attn = attn_out.sum_dim_intlist(0, false, None);
        let res_after_attn = if skips.res_connection { attn } else { attn + &res };

        let mlp = mlp(&res_after_attn, &layer.mlp, config.norm);
        let res_after_mlp = &res_after_attn + &mlp;
        res = res_after_mlp.shallow_clone();
        layers.push(LayerActivations { attention_pattern, attn_out, res_after_attn, mlp, res_after_mlp });
    }
    let logits = unembed(&res, &weights.w_u, config.center_logits);
    Activations { res_0, pos, layers, logits }
}

/// `c·s_emb + pos·s_pos`, as `(B, S, d_h)`.
fn kept_sum(c: &Tensor, emb: bool, pos: &Tensor, with_pos: bool) -> Tensor {
    match (emb, with_pos) {
        (true, true) => c + pos,
        (true, false) => c.shallow_clone(),
        (false, _) => pos.expand_as(c),
    }
}

/// On what the layer reads of the stream: (linear with bias, exact GELU) for all maps but the last, which has no bias; zeros where there are no maps.
fn mlp(res: &Tensor, maps: &[LinearWeights<Tensor>], norm: Norm) -> Tensor {
    if maps.is_empty() {
        return res.zeros_like();
    }
    maps.iter().fold(normed(res, norm), |x, map| {
        let x = x.linear(&map.weight, map.bias.as_ref());
        if map.bias.is_some() { x.gelu("none") } else { x }
    })
}
