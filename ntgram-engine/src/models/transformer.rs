//! Sizes of the Transformer, and the list of its parameters.

use serde::{Deserialize, Serialize};

use super::parameters::{ParamKind, ParamSpec, check_total};
use super::skips::Skips;
use crate::error::{Error, Result};

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
    /// Heads inside each module; divides `d_model`.
    pub n_heads: usize,
    /// Context window `T`: the longest sequence, and the rows of the positional embedding.
    pub context_window: usize,
    /// Terms left out of the forward pass.
    pub skips: Skips,
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
        }
    }
}

impl TransformerConfig {
    /// Whether each layer has an MLP.
    pub fn has_mlp(&self) -> bool {
        self.n_layers > 0 && self.width > 0 && self.depth > 0
    }

    /// Checks sizes and skips.
    ///
    /// # Errors
    /// A size of 0 where there must be something, `n_heads` not dividing `d_model`, more than [`MAX_VALUES`](super::MAX_VALUES) values, or
    /// skips that leave a circuit without input.
    pub fn check(&self) -> Result<()> {
        for (argument, value) in [
            ("d_model", self.d_model),
            ("n_vocab", self.n_vocab),
            ("n_layers", self.n_layers),
            ("n_modules", self.n_modules),
            ("n_heads", self.n_heads),
            ("context_window", self.context_window),
        ] {
            if value == 0 {
                return Err(Error::argument(argument, value, "it must be at least 1"));
            }
        }
        if !self.d_model.is_multiple_of(self.n_heads) {
            let expected = format!("it must divide `d_model`, which is {}", self.d_model);
            return Err(Error::argument("n_heads", self.n_heads, expected));
        }
        let [n, d, t, w] = [self.n_vocab, self.d_model, self.context_window, self.width].map(|size| size as f64);
        let mlp = if self.has_mlp() { w * (d + 1.0) + (self.depth - 1) as f64 * w * (w + 1.0) + d * w } else { 0.0 };
        let layer = self.n_modules as f64 * 4.0 * d * d + mlp;
        check_total(&format!("{self:?}"), (2.0 * n + t) * d + self.n_layers as f64 * layer)?;
        self.skips.check()
    }

    /// Every parameter, in the one order that files, Adam and the fast engine follow:
    /// `word_emb.weight (N,d)`, `pos_emb.weight (T,d)`, then for each layer and module
    /// `attn_seq.{layer}.{module}.in_proj_weight (3d,d)` (rows: Q, K, V) and `….out_proj.weight (d,d)`, then for each
    /// layer's MLP `mlp_seq.{layer}.{k}.weight`/`.bias` (`k` even: the GELUs take the odd places), `unemb.weight (N,d)`.
    /// None for sizes that [`check`](Self::check) refuses.
    pub fn parameters(&self) -> Vec<ParamSpec> {
        if self.check().is_err() {
            return vec![];
        }
        let (n, d, t) = (self.n_vocab, self.d_model, self.context_window);
        let mut list = vec![
            ParamSpec::new("word_emb.weight".into(), &[n, d], ParamKind::WordEmb),
            ParamSpec::new("pos_emb.weight".into(), &[t, d], ParamKind::PosEmb),
        ];
        for layer in 0..self.n_layers {
            for module in 0..self.n_modules {
                let name = |part| format!("attn_seq.{layer}.{module}.{part}");
                list.push(ParamSpec::new(name("in_proj_weight"), &[3 * d, d], ParamKind::InProj));
                list.push(ParamSpec::new(name("out_proj.weight"), &[d, d], ParamKind::OutProj));
            }
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
        let new = serde_json::to_string(&config).unwrap();
        assert!(new.contains("\"n_modules\":20") && new.contains("\"res_connection\":true"), "{new}");
        assert_eq!(serde_json::from_str::<TransformerConfig>(&new).unwrap(), config);
    }

    #[test]
    fn sizes_that_no_memory_holds_are_refused_before_anything_is_counted_out() {
        let refused = |config: TransformerConfig| config.check().unwrap_err().to_string();
        for config in [
            TransformerConfig { d_model: 1_000_000, ..Default::default() },
            TransformerConfig { n_layers: 1_000_000_000_000, ..Default::default() },
            TransformerConfig { n_modules: usize::MAX, n_vocab: usize::MAX, ..Default::default() },
            TransformerConfig { width: usize::MAX, depth: usize::MAX, ..Default::default() },
        ] {
            let message = refused(config);
            assert!(message.starts_with("`config` is ") && message.contains("at most 1073741824"), "{message}");
        }
        let contexts = super::super::LowRankConfig { d_model: 2, n_vocab: 1000, context_window: 90, order: 90 };
        assert!(contexts.check().unwrap_err().to_string().contains("at most 1073741824"));
    }
}
