//! What a forward pass computes on its way: TransformerLens users know it as the activation cache. Named fields,
//! and the original's string keys as a look-up over them.

use tch::Tensor;

use crate::error::{Error, Result};

/// Everything a [`Transformer`](super::Transformer) computes for tokens `(B, S)`.
#[derive(Debug)]
pub struct Activations {
    /// Residual stream before the first layer, `W_E[x]`, `(B, S, d)`. The original's key: `res_0`.
    pub res_0: Tensor,
    /// Positional embedding of the positions in use, `(S, d)`. The original's key: `pos`.
    pub pos: Tensor,
    /// One entry a layer.
    pub layers: Vec<LayerActivations>,
    /// `(B, S, N)`, less their overall mean. The original's key: `logits`.
    pub logits: Tensor,
}

/// What one layer computes.
#[derive(Debug)]
pub struct LayerActivations {
    /// Attention pattern of each module and head, `(H, m, B, S, S)`; rows are queries.
    pub attention_pattern: Tensor,
    /// Output of each module after its `W_O`, `(H, B, S, d)`. The original's keys: `para_{j}_layer_{i}`.
    pub attn_out: Tensor,
    /// Residual stream after the attention, `(B, S, d)`. The original's key: `res_after_attn_layer_{i}`.
    pub res_after_attn: Tensor,
    /// Output of the MLP, `(B, S, d)`; zeros where there is none. The original's key: `mlp_{i}`.
    pub mlp: Tensor,
    /// Residual stream after the MLP, `(B, S, d)`. The original's key: `res_after_mlp_layer_{i}`.
    pub res_after_mlp: Tensor,
}

impl LayerActivations {
    /// Output of one module, `(B, S, d)`.
    ///
    /// # Errors
    /// `para` is not a module of this layer.
    pub fn module_out(&self, para: usize) -> Result<Tensor> {
        let modules = self.attn_out.size()[0];
        if para as i64 >= modules {
            return Err(Error::argument("para", para, format!("the layer has modules 0 to {}", modules - 1)));
        }
        Ok(self.attn_out.get(para as i64))
    }
}

impl Activations {
    /// One layer.
    ///
    /// # Errors
    /// `layer` is not a layer of the model.
    pub fn layer(&self, layer: usize) -> Result<&LayerActivations> {
        self.layers.get(layer).ok_or_else(|| {
            Error::argument(
                "layer",
                layer,
                format!("the model has layers 0 to {}", self.layers.len().saturating_sub(1)),
            )
        })
    }

    /// The original's names, in the order it computes them; each is a valid argument of [`get`](Self::get).
    pub fn keys(&self) -> Vec<String> {
        let mut keys = vec!["res_0".to_owned(), "pos".to_owned()];
        for (i, layer) in self.layers.iter().enumerate() {
            keys.extend((0..layer.attn_out.size()[0]).map(|j| format!("para_{j}_layer_{i}")));
            keys.extend([format!("res_after_attn_layer_{i}"), format!("mlp_{i}"), format!("res_after_mlp_layer_{i}")]);
        }
        keys.push("logits".to_owned());
        keys
    }

    /// A stored tensor by the original's name (`para_0_layer_0`, `res_after_mlp_layer_0`, …).
    ///
    /// # Errors
    /// No such name; the message lists those there are.
    pub fn get(&self, key: &str) -> Result<Tensor> {
        let unknown =
            || Error::argument("key", format!("{key:?}"), format!("it must be one of {}", self.keys().join(", ")));
        let layer = |index: &str| index.parse().ok().and_then(|i: usize| self.layers.get(i)).ok_or_else(unknown);
        let tensor = match key {
            "res_0" => &self.res_0,
            "pos" => &self.pos,
            "logits" => &self.logits,
            _ => {
                if let Some(i) = key.strip_prefix("res_after_attn_layer_") {
                    &layer(i)?.res_after_attn
                } else if let Some(i) = key.strip_prefix("res_after_mlp_layer_") {
                    &layer(i)?.res_after_mlp
                } else if let Some(i) = key.strip_prefix("mlp_") {
                    &layer(i)?.mlp
                } else if let Some((j, i)) = key.strip_prefix("para_").and_then(|rest| rest.split_once("_layer_")) {
                    let j = j.parse().map_err(|_| unknown())?;
                    return layer(i)?.module_out(j).map_err(|_| unknown());
                } else {
                    return Err(unknown());
                }
            }
        };
        Ok(tensor.shallow_clone())
    }
}
