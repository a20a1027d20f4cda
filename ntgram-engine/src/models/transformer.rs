//! Sizes of the Transformer, and the list of its parameters.

use serde::{Deserialize, Serialize};

use super::parameters::{ParamKind, ParamSpec, check_total};
use super::skips::Skips;
use crate::error::{Error, Result};

/// What a Transformer does to its residual stream before a layer reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Norm {
    /// Layer norm without scale or shift: the notebook's model.
    #[default]
    Layer,
    /// Nothing: the model of *Memorization in Attention-only Transformers* (Dana, Pydi, Chevaleyre, 2025).
    None,
}

/// Sizes of a `Transformer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransformerConfig {
    /// Embedding dimension `d`.
    pub d_model: usize,
    /// Vocabulary size `N`.
    pub n_vocab: usize,
    /// Layers `L`.
    pub n_layers: usize,
    /// Hidden width of each layer's MLP; 0 means no MLP.
    pub width: usize,
    /// Hidden layers of each MLP; 0 means no MLP.
    pub depth: usize,
    /// Attention modules side by side in each layer, `H` (the original's `para`).
    #[doc(alias = "parallel_heads")]
    #[doc(alias = "para")]
    #[serde(alias = "parallel_heads")]
    pub n_modules: usize,
    /// Heads inside each module, `m`; divides the module's size ([`d_module`](Self::d_module)).
    pub n_heads: usize,
    /// Context window `T`: the longest sequence, and the rows of the positional embedding.
    pub context_window: usize,
    /// Terms left out of the forward pass.
    pub skips: Skips,
    /// What is done to the residual stream before a layer reads it.
    #[serde(default)]
    pub norm: Norm,
    /// Size `d_h` of the attention modules where the stream is compressed for them: one pair of matrices, `W_C (d_h, d)` and
    /// `W_D (d, d_h)`, shared by all modules and layers. `None`: modules of size `d`, and no such matrices. With `Some(d_model)` the model
    /// has them, but does not use them: so does the paper's.
    #[serde(default)]
    #[doc(alias = "d_head")]
    pub d_inner: Option<usize>,
    /// Whether the mean over the whole batch is subtracted from the logits, as the notebook's model does. Probabilities, losses and
    /// gradients do not depend on it.
    #[serde(default = "yes")]
    pub center_logits: bool,
}

/// What files say that were written before there was a choice.
pub(super) fn yes() -> bool {
    true
}

impl Default for TransformerConfig {
    /// One layer of one single-head module, no MLP, for trigrams: `N = 10`, `d = 5`, `T = 3`.
    fn default() -> Self {
        Self {
            d_model: 5,
            n_vocab: 10,
            n_layers: 1,
            width: 0,
            depth: 0,
            n_modules: 1,
            n_heads: 1,
            context_window: 3,
            skips: Skips::default(),
            norm: Norm::Layer,
            d_inner: None,
            center_logits: true,
        }
    }
}

impl TransformerConfig {
    /// Whether each layer has an MLP.
    pub fn has_mlp(&self) -> bool {
        self.n_layers > 0 && self.width > 0 && self.depth > 0
    }

    /// The model of the paper (*Memorization in Attention-only Transformers*, Dana, Pydi, Chevaleyre, 2025), with `T = 3`, one layer and no
    /// MLP: no layer norm, modules of size `d_h`, logits as they are. Other sizes are set by name.
    ///
    /// ```
    /// use ntgram_engine::models::TransformerConfig;
    /// let config = TransformerConfig { n_modules: 20, ..TransformerConfig::of_paper(50, 10, 4) };
    /// assert_eq!((config.n_vocab, config.d_model, config.d_module()), (50, 10, 4));
    /// ```
    pub fn of_paper(n_vocab: usize, d_model: usize, d_inner: usize) -> Self {
        Self { n_vocab, d_model, d_inner: Some(d_inner), norm: Norm::None, center_logits: false, ..Self::default() }
    }

    /// Size of an attention module: `d_h`, or `d` where nothing is compressed.
    pub fn d_module(&self) -> usize {
        self.d_inner.unwrap_or(self.d_model)
    }

    /// Whether the stream is compressed for the attention modules, by `W_C` and `W_D`.
    pub fn compresses(&self) -> bool {
        self.d_module() != self.d_model
    }

    /// Checks sizes and skips.
    ///
    /// # Errors
    /// A size of 0 where there must be something, `n_heads` not dividing the module's size, more than [`MAX_VALUES`](super::MAX_VALUES) values, or of a million parameters, or
    /// skips that leave a circuit without input.
    pub fn check(&self) -> Result<()> {
        for (argument, value) in [
            ("d_model", self.d_model),
            ("n_vocab", self.n_vocab),
            ("n_layers", self.n_layers),
            ("n_modules", self.n_modules),
            ("n_heads", self.n_heads),
            ("context_window", self.context_window),
            ("d_inner", self.d_module()),
        ] {
            if value == 0 {
                return Err(Error::argument(argument, value, "it must be at least 1"));
            }
        }
        if !self.d_module().is_multiple_of(self.n_heads) {
            let size = if self.d_inner.is_some() { "d_inner" } else { "d_model" };
            let expected = format!("it must divide `{size}`, which is {}", self.d_module());
            return Err(Error::argument("n_heads", self.n_heads, expected));
        }
        let sizes = [self.n_vocab, self.d_model, self.d_module(), self.context_window, self.width];
        let [n, d, d_module, t, w] = sizes.map(|size| size as f64);
        let mlp = if self.has_mlp() { w * (d + 1.0) + (self.depth - 1) as f64 * w * (w + 1.0) + d * w } else { 0.0 };
        let layer = self.n_modules as f64 * 4.0 * d_module * d_module + mlp;
        let compression = if self.d_inner.is_some() { 2.0 * d * d_module } else { 0.0 };
        let total = 2.0 * n * d + t * d_module + compression + self.n_layers as f64 * layer;
        let of_mlp = if self.has_mlp() { 2.0 * self.depth as f64 + 1.0 } else { 0.0 };
        let parameters = 5.0 + self.n_layers as f64 * (2.0 * self.n_modules as f64 + of_mlp);
        check_total(&format!("{self:?}"), total, parameters)?;
        self.skips.check()
    }

    /// Every parameter, in the one order that files, Adam and the fast engine follow:
    /// `word_emb.weight (N,d)`, `pos_emb.weight (T,d_h)`, then for each layer and module
    /// `attn_seq.{layer}.{module}.in_proj_weight (3d_h,d_h)` (rows: Q, K, V) and `….out_proj.weight (d_h,d_h)`, where `d_inner` is set
    /// `linear_compress.weight (d_h,d)` and `linear_decompress.weight (d,d_h)`, then for each layer's MLP
    /// `mlp_seq.{layer}.{k}.weight`/`.bias` (`k` even: the GELUs take the odd places), `unemb.weight (N,d)`. The names are the authors'.
    /// None for sizes that [`check`](Self::check) refuses.
    pub fn parameters(&self) -> Vec<ParamSpec> {
        if self.check().is_err() {
            return vec![];
        }
        let (n, d, d_module, t) = (self.n_vocab, self.d_model, self.d_module(), self.context_window);
        let mut list = vec![
            ParamSpec::new("word_emb.weight".into(), &[n, d], ParamKind::WordEmb),
            ParamSpec::new("pos_emb.weight".into(), &[t, d_module], ParamKind::PosEmb),
        ];
        for layer in 0..self.n_layers {
            for module in 0..self.n_modules {
                let name = |part| format!("attn_seq.{layer}.{module}.{part}");
                list.push(ParamSpec::new(name("in_proj_weight"), &[3 * d_module, d_module], ParamKind::InProj));
                list.push(ParamSpec::new(name("out_proj.weight"), &[d_module, d_module], ParamKind::OutProj));
            }
        }
        if self.d_inner.is_some() {
            list.push(ParamSpec::new("linear_compress.weight".into(), &[d_module, d], ParamKind::Compress));
            list.push(ParamSpec::new("linear_decompress.weight".into(), &[d, d_module], ParamKind::Decompress));
        }
        if self.has_mlp() {
            for layer in 0..self.n_layers {
                let name = |k: usize, part| format!("mlp_seq.{layer}.{}.{part}", 2 * k);
                for k in 0..self.depth {
                    let fan_in = if k == 0 { d } else { self.width };
                    list.push(ParamSpec::new(name(k, "weight"), &[self.width, fan_in], ParamKind::Mlp));
                    let bias = ParamSpec::new(name(k, "bias"), &[self.width], ParamKind::Mlp);
                    list.push(ParamSpec { fan_in, ..bias });
                }
                list.push(ParamSpec::new(name(self.depth, "weight"), &[d, self.width], ParamKind::Mlp));
            }
        }
        list.push(ParamSpec::new("unemb.weight".into(), &[n, d], ParamKind::Unemb));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_with_the_first_names_are_read() {
        let old = r#"{"d_model":5,"n_vocab":10,"n_layers":1,"width":0,"depth":0,"parallel_heads":20,"n_heads":1,"context_window":3,
            "skips":{"skip_res_connection":true,"skip_pos_qk":false,"skip_emb_qk":false,"skip_pos_ov":true,"skip_emb_ov":false}}"#;
        let config: TransformerConfig = serde_json::from_str(old).unwrap();
        let skips = Skips { res_connection: true, pos_ov: true, ..Default::default() };
        assert_eq!(config, TransformerConfig { n_modules: 20, skips, ..Default::default() });
        assert_eq!((config.norm, config.d_inner, config.center_logits), (Norm::Layer, None, true));
        let new = serde_json::to_string(&config).unwrap();
        assert!(new.contains("\"n_modules\":20") && new.contains("\"res_connection\":true"), "{new}");
        assert_eq!(serde_json::from_str::<TransformerConfig>(&new).unwrap(), config);
    }

    #[test]
    fn sizes_that_no_memory_holds_are_refused_before_anything_is_counted_out() {
        let refused = |config: TransformerConfig| config.check().unwrap_err().to_string();
        for config in [
            TransformerConfig { d_model: 1_000_000, ..Default::default() },
            TransformerConfig { n_layers: usize::MAX / 2, ..Default::default() },
            TransformerConfig { n_modules: usize::MAX, n_vocab: usize::MAX, ..Default::default() },
            TransformerConfig { width: usize::MAX, depth: usize::MAX, ..Default::default() },
        ] {
            let message = refused(config);
            assert!(message.starts_with("`config` is ") && message.contains("at most 1073741824"), "{message}");
        }
        // 2 for each module, and 5 beside them
        let of_one_value = |n_modules| TransformerConfig { d_model: 1, n_modules, ..Default::default() };
        let message = refused(of_one_value((1 << 19) - 2));
        assert!(message.contains("1.05e6 parameters, and at most 1048576"), "{message}");
        assert!(of_one_value((1 << 19) - 3).check().is_ok());
        let contexts = super::super::LowRankConfig {
            d_model: 2,
            n_vocab: 1000,
            context_window: 90,
            order: 90,
            center_logits: true,
        };
        assert!(contexts.check().unwrap_err().to_string().contains("at most 1073741824"));
    }
}
