//! The attention-only Transformer of the notebook, with optional MLPs.
//!
//! With `ln` the layer norm without affine part, `P` the positional embedding and `s_*` 1 for kept and 0 for skipped terms:
//!
//! ```text
//! res = W_E[x]                                        (B, S, d): the position is not added here …
//! for each layer:
//!     h   = ln(res)
//!     qk  = h·s_embQK + P[:S]·s_posQK                 … but at every layer, on the normalised stream
//!     ov  = h·s_embOV + P[:S]·s_posOV
//!     attn_j = W_O,j softmax(mask(Q_j K_jᵀ/√(d/m))) V_j     for each of H modules side by side, m heads in each
//!     res = Σ_j attn_j + res·s_res
//!     res = res + mlp(ln(res))                        (nothing where there is no MLP)
//! logits = res W_Uᵀ − their mean over the whole batch (B, S, N)
//! ```

use std::path::Path;

use tch::{Device, Tensor, nn};

use super::activations::{Activations, LayerActivations};
use super::config::{Freeze, TransformerConfig};
use super::ops::{attention_pattern, layer_norm, project_from_heads, project_to_heads, unembed};
use super::params::Parameters;
use super::{check_law, check_tokens, file};
use crate::error::{Result, check_index};
use crate::laws::Law;
use crate::rng::TorchRng;

/// A small Transformer with `H` attention modules side by side in each layer, and the law it is trained on.
#[derive(Debug, Clone)]
pub struct Transformer {
    config: TransformerConfig,
    law: Law,
    params: Parameters,
    freeze: Freeze,
}

impl Transformer {
    /// A model with initial weights as PyTorch draws them from `rng`: word embedding, positional embedding, for each module
    /// `W_O` then the stacked `[W_Q; W_K; W_V]`, the MLPs, the unembedding.
    ///
    /// ```
    /// use ntgram_core::prelude::*;
    /// # fn main() -> Result<()> {
    /// let mut rng = TorchRng::new(666);
    /// let pi = power_unif_law(&[1.0, 1.0, 1.0], &[10, 10, 1], 10, &mut rng)?;
    /// let config = TransformerConfig { d_model: 5, n_vocab: 10, parallel_heads: 20, ..Default::default() };
    /// let model = Transformer::new(&config, &pi, &mut rng)?;
    /// assert_eq!(model.w_u().size(), [10, 5]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Sizes that do not fit each other or the law, a window shorter than the law, skips that leave a circuit empty.
    pub fn new(config: &TransformerConfig, pi: &Law, rng: &mut TorchRng) -> Result<Self> {
        config.check()?;
        check_law(pi, config.n_vocab, config.context_window)?;
        let params = Parameters::init(config.parameters(), rng);
        Ok(Self { config: config.clone(), law: pi.clone(), params, freeze: Freeze::default() })
    }

    /// Sizes and skips.
    pub fn config(&self) -> &TransformerConfig {
        &self.config
    }

    /// The law the model is trained on.
    pub fn law(&self) -> &Law {
        &self.law
    }

    /// Named parameters.
    pub fn params(&self) -> &Parameters {
        &self.params
    }

    /// Named parameters, to change them.
    pub fn params_mut(&mut self) -> &mut Parameters {
        &mut self.params
    }

    /// Chooses what training leaves as it is; replaces an earlier choice.
    pub fn freeze(&mut self, freeze: Freeze) {
        self.freeze = freeze;
    }

    /// What training leaves as it is.
    pub fn frozen(&self) -> Freeze {
        self.freeze
    }

    /// Moves the parameters to a device.
    ///
    /// # Errors
    /// The device is not there.
    pub fn to_device(mut self, device: Device) -> Result<Self> {
        self.params.move_to(device)?;
        Ok(self)
    }

    /// Word embedding `W_E (N, d)`.
    pub fn w_e(&self) -> Tensor {
        self.params.tensors()[0].shallow_clone()
    }

    /// Positional embedding `P (T, d)`.
    pub fn w_pos(&self) -> Tensor {
        self.params.tensors()[1].shallow_clone()
    }

    /// Unembedding `W_U (N, d)`.
    pub fn w_u(&self) -> Tensor {
        self.params.tensors()[self.params.tensors().len() - 1].shallow_clone()
    }

    /// One module's `W_Q`, `W_K`, `W_V`, each `(d, d)` as `(out, in)`.
    ///
    /// # Errors
    /// No such layer or module.
    pub fn w_qkv(&self, layer: usize, para: usize) -> Result<[Tensor; 3]> {
        let stacked = &self.params.tensors()[self.module_index(layer, para)?];
        let d = self.config.d_model as i64;
        Ok([0, d, 2 * d].map(|row| stacked.narrow(0, row, d)))
    }

    /// One module's output projection `W_O (d, d)` as `(out, in)`.
    ///
    /// # Errors
    /// No such layer or module.
    pub fn w_o(&self, layer: usize, para: usize) -> Result<Tensor> {
        Ok(self.params.tensors()[self.module_index(layer, para)? + 1].shallow_clone())
    }

    /// Place of a module's in-projection in the list of parameters; its out-projection follows.
    fn module_index(&self, layer: usize, para: usize) -> Result<usize> {
        check_index("layer", layer, self.config.n_layers)?;
        check_index("para", para, self.config.parallel_heads)?;
        Ok(2 + 2 * (layer * self.config.parallel_heads + para))
    }

    /// Logits `(B, S, N)` for tokens `(B, S)`, without gradients.
    ///
    /// # Errors
    /// Tokens that are not integers below `N` in a `(B, S)` tensor, or `S` longer than the context window.
    pub fn forward(&self, tokens: &Tensor) -> Result<Tensor> {
        Ok(self.forward_with_activations(tokens)?.logits)
    }

    /// The forward pass with everything it computes on its way (the original's `out_computation=True`).
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn forward_with_activations(&self, tokens: &Tensor) -> Result<Activations> {
        let tokens = check_tokens(tokens, self.config.n_vocab, self.config.context_window, self.params.device())?;
        Ok(tch::no_grad(|| activations(&self.config, self.params.tensors(), &tokens)))
    }

    /// Writes sizes, law and parameters to a safetensors file.
    ///
    /// # Errors
    /// The file cannot be written; nothing is left at `path` then.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        file::save(path.as_ref(), "Transformer", &self.config, &self.law, &self.params)
    }

    /// Reads a file that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// The file cannot be read, is not such a file, or its tensors do not fit its sizes.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = file::open(path)?;
        let config: TransformerConfig = file.config("Transformer")?;
        config.check().map_err(|e| file.broken(e.to_string()))?;
        let law = file.law()?;
        check_law(&law, config.n_vocab, config.context_window).map_err(|e| file.broken(e.to_string()))?;
        let params = file.parameters(config.parameters())?;
        Ok(Self { config, law, params, freeze: Freeze::default() })
    }
}

impl nn::Module for Transformer {
    /// As [`Transformer::forward`], with gradients where the parameters ask for them.
    ///
    /// # Panics
    /// On tokens that [`Transformer::forward`] would refuse.
    fn forward(&self, tokens: &Tensor) -> Tensor {
        activations(&self.config, self.params.tensors(), tokens).logits
    }
}

/// The forward pass on parameters given in the order of the configuration's list. `tokens (B, S)` int64, checked.
pub(crate) fn activations(config: &TransformerConfig, params: &[Tensor], tokens: &Tensor) -> Activations {
    let (d, modules, heads) = (config.d_model as i64, config.parallel_heads, config.n_heads as i64);
    let skips = &config.skips;
    let (w_e, w_pos, w_u) = (&params[0], &params[1], &params[params.len() - 1]);
    let mut mlp_params = params[2 + 2 * config.n_layers * modules..params.len() - 1].iter();

    let pos = w_pos.narrow(0, 0, tokens.size()[1]); // (S, d)
    let res_0 = Tensor::embedding(w_e, tokens, -1, false, false); // (B, S, d)
    let mut res = res_0.shallow_clone();
    let mut layers = Vec::with_capacity(config.n_layers);
    for layer in 0..config.n_layers {
        let first = 2 + 2 * layer * modules;
        let of_layer = &params[first..first + 2 * modules];
        let w_in = Tensor::stack(&of_layer.iter().step_by(2).collect::<Vec<_>>(), 0); // (H, 3d, d)
        let w_o = Tensor::stack(&of_layer.iter().skip(1).step_by(2).collect::<Vec<_>>(), 0); // (H, d, d)
        let [w_q, w_k, w_v] = [0, d, 2 * d].map(|row| w_in.narrow(1, row, d)); // (H, d, d) each

        let h = layer_norm(&res);
        let qk = kept_sum(&h, !skips.skip_emb_qk, &pos, !skips.skip_pos_qk);
        let ov = kept_sum(&h, !skips.skip_emb_ov, &pos, !skips.skip_pos_ov);
        let q = project_to_heads(&qk, &w_q, heads); // (H, m, B, S, e)
        let k = project_to_heads(&qk, &w_k, heads);
        let v = project_to_heads(&ov, &w_v, heads);
        let pattern = attention_pattern(&q, &k); // (H, m, B, S, S)
        let attn_out = project_from_heads(&pattern.matmul(&v), &w_o); // (H, B, S, d)
        let attn = attn_out.sum_dim_intlist(0, false, None);
        let res_after_attn = if skips.skip_res_connection { attn } else { attn + &res };

        let mlp = if config.has_mlp() {
            mlp(&layer_norm(&res_after_attn), config.depth, &mut mlp_params)
        } else {
            res_after_attn.zeros_like()
        };
        let res_after_mlp = &res_after_attn + &mlp;
        res = res_after_mlp.shallow_clone();
        layers.push(LayerActivations { attention_pattern: pattern, attn_out, res_after_attn, mlp, res_after_mlp });
    }
    let logits = unembed(&res, w_u);
    Activations { res_0, pos, layers, logits }
}

/// `h·s_emb + pos·s_pos`, as `(B, S, d)`.
fn kept_sum(h: &Tensor, emb: bool, pos: &Tensor, with_pos: bool) -> Tensor {
    match (emb, with_pos) {
        (true, true) => h + pos,
        (true, false) => h.shallow_clone(),
        (false, _) => pos.expand_as(h),
    }
}

/// `depth` times (linear with bias, exact GELU), then a linear map without bias.
fn mlp<'a>(x: &Tensor, depth: usize, params: &mut impl Iterator<Item = &'a Tensor>) -> Tensor {
    let mut next = || params.next().expect("one tensor for each entry of the configuration's list");
    let mut x = x.shallow_clone();
    for _ in 0..depth {
        let (weight, bias) = (next(), next());
        x = x.linear(weight, Some(bias)).gelu("none");
    }
    x.linear(next(), None::<&Tensor>)
}
