//! What a forward pass computes on its way: TransformerLens users know it as the activation cache. Named fields,
//! and the original's string keys as a look-up over them.

use tch::Tensor;

use crate::error::{Result, check_index};
use crate::tensors::NamedTensors;

/// Everything a [`Transformer`](super::Transformer) computes for tokens `(B, S)`.
#[derive(Debug)]
pub struct Activations {
    /// Residual stream before the first layer, `W_E[x]`, `(B, S, d)`. The original's key: `res_0`.
    pub res_0: Tensor,
    /// Positional embedding of the positions in use, `(S, d_h)`. The original's key: `pos`.
    pub pos: Tensor,
    /// One entry a layer.
    pub layers: Vec<LayerActivations>,
    /// `(B, S, N)`, less their overall mean where the model centres them. The original's key: `logits`.
    pub logits: Tensor,
}

/// What one layer computes.
#[derive(Debug)]
pub struct LayerActivations {
    /// Attention pattern of each module and head, `(H, m, B, S, S)`; rows are queries.
    pub attention_pattern: Tensor,
    /// What each module adds to the stream, `(H, B, S, d)`: its output after `W_O`, and after `W_D` where there is one. The original's keys: `para_{j}_layer_{i}`.
    pub attn_out: Tensor,
    /// Residual stream after the attention, `(B, S, d)`. The original's key: `res_after_attn_layer_{i}`.
    pub res_after_attn: Tensor,
    /// Output of the MLP, `(B, S, d)`; zeros where there is none. The original's key: `mlp_{i}`.
    pub mlp: Tensor,
    /// Residual stream after the MLP, `(B, S, d)`. The original's key: `res_after_mlp_layer_{i}`.
    pub res_after_mlp: Tensor,
}

impl LayerActivations {
    /// Number of modules.
    fn modules(&self) -> usize {
        self.attn_out.size().first().map_or(0, |&modules| modules as usize)
    }

    /// Output of one module, `(B, S, d)`.
    ///
    /// # Errors
    /// `module` is not a module of this layer.
    pub fn module_out(&self, module: usize) -> Result<Tensor> {
        check_index("module", module, self.modules())?;
        Ok(self.attn_out.get(module as i64))
    }
}

impl Activations {
    /// One layer.
    ///
    /// # Errors
    /// `layer` is not a layer of the model.
    pub fn layer(&self, layer: usize) -> Result<&LayerActivations> {
        check_index("layer", layer, self.layers.len())?;
        Ok(&self.layers[layer])
    }
}

/// By the original's names (`para_0_layer_0` is module 0 of layer 0), in the order it computes them.
impl NamedTensors for Activations {
    fn names(&self) -> Vec<String> {
        let mut names = vec!["res_0".to_owned(), "pos".to_owned()];
        for (i, layer) in self.layers.iter().enumerate() {
            names.extend((0..layer.modules()).map(|j| format!("para_{j}_layer_{i}")));
            names.extend([format!("res_after_attn_layer_{i}"), format!("mlp_{i}"), format!("res_after_mlp_layer_{i}")]);
        }
        names.push("logits".to_owned());
        names
    }

    fn find(&self, name: &str) -> Option<Tensor> {
        let layer = |index: &str| index.parse().ok().and_then(|i: usize| self.layers.get(i));
        let tensor = match name {
            "res_0" => &self.res_0,
            "pos" => &self.pos,
            "logits" => &self.logits,
            _ => {
                if let Some(i) = name.strip_prefix("res_after_attn_layer_") {
                    &layer(i)?.res_after_attn
                } else if let Some(i) = name.strip_prefix("res_after_mlp_layer_") {
                    &layer(i)?.res_after_mlp
                } else if let Some(i) = name.strip_prefix("mlp_") {
                    &layer(i)?.mlp
                } else {
                    let (module, i) = name.strip_prefix("para_")?.split_once("_layer_")?;
                    return layer(i)?.module_out(module.parse().ok()?).ok();
                }
            }
        };
        Some(tensor.shallow_clone())
    }
}
