//! Direct logit attribution: what each module adds to each output token's logit.

use tch::{Kind, Tensor};

use super::linear::computed;
use crate::error::{Error, Result, check_index};
use crate::models::Transformer;
use crate::tensors::values;

/// Whether [`Attribution::margins`] looks at one module or at the stream after all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// One module.
    Solo,
    /// The residual stream after the attention.
    Group,
}

/// Contributions to the logits at one position, for every output token and example; `M` examples. The original nests them as
/// `[k][slot][module]`: here `modules()[layer].get(module)` is `(N, M)`, `k` first.
#[derive(Debug)]
pub struct Attribution {
    modules: Vec<Tensor>,
    res: Vec<Tensor>,
    res_after_attn: Vec<Tensor>,
    examples: Tensor,
    seq_target: usize,
}

/// Direct logit attribution at position `seq_target − 1` (the notebook's 2: position 1, the one that training scores) for examples
/// `(M, n)`: for every output token `k`, `W_U[k]·attn_j` less the mean over `k` of the model's logits there.
///
/// # Errors
/// Tokens the model refuses, `seq_target` not from 1 to the examples' length less one, a model of one token: no other could be wrong; or
/// parameters so large that contributions are infinite.
pub fn back_track(model: &Transformer, examples: &Tensor, seq_target: usize) -> Result<Attribution> {
    if model.config().n_vocab < 2 {
        return Err(Error::argument("model", "over 1 token", "there must be a wrong token to compare with"));
    }
    let activations = model.forward_with_activations(examples)?;
    let length = examples.size()[1];
    if seq_target == 0 || seq_target >= length as usize {
        let expected = format!("it must be from 1 to {}: a position of the examples with a next token", length - 1);
        return Err(Error::argument("seq_target", seq_target, expected));
    }
    let position = seq_target as i64 - 1;
    let w_u = model.w_u().detach();
    let mean = activations.logits.select(1, position).mean_dim(-1, false, None); // (M)
    // (…, M, S, d) → (…, N, M)
    let attribute =
        |stream: &Tensor| computed("model", w_u.matmul(&stream.select(-2, position).transpose(-2, -1)) - &mean);
    let mut result = Attribution {
        modules: vec![],
        res: vec![],
        res_after_attn: vec![],
        examples: examples.to_kind(Kind::Int64),
        seq_target,
    };
    let mut before = activations.res_0.shallow_clone();
    for layer in &activations.layers {
        result.modules.push(attribute(&layer.attn_out)?);
        result.res.push(attribute(&before)?);
        result.res_after_attn.push(attribute(&layer.res_after_attn)?);
        before = layer.res_after_mlp.shallow_clone();
    }
    Ok(result)
}

impl Attribution {
    /// For each layer `(H, N, M)`: `W_U[k]·attn_j − mean_k logits`.
    pub fn modules(&self) -> &[Tensor] {
        &self.modules
    }

    /// For each layer `(N, M)`: the same for the residual stream before the layer.
    pub fn res(&self) -> &[Tensor] {
        &self.res
    }

    /// For each layer `(N, M)`: the same for the residual stream after the attention.
    pub fn res_after_attn(&self) -> &[Tensor] {
        &self.res_after_attn
    }

    /// The tokens the attribution was computed on, `(M, n)` int64.
    pub fn examples(&self) -> &Tensor {
        &self.examples
    }

    /// The place of the token to predict: the contributions are those at position `seq_target − 1`.
    pub fn seq_target(&self) -> usize {
        self.seq_target
    }

    /// The token that follows, for every example, `(M,)`.
    fn correct(&self) -> Tensor {
        self.examples.select(1, self.seq_target as i64)
    }

    fn check(&self, layer: usize, module: usize) -> Result<()> {
        check_index("layer", layer, self.modules.len())?;
        check_index("module", module, self.modules[0].size()[0] as usize)
    }

    /// For every example the contribution to the correct next token less the largest contribution to any other token, `M` values
    /// in the examples' order: positive where the module (or the group) gets it right by itself.
    ///
    /// # Errors
    /// No such layer or module.
    pub fn margins(&self, layer: usize, module: usize, method: Method) -> Result<Vec<f64>> {
        self.check(layer, module)?;
        let contribution = match method {
            Method::Solo => self.modules[layer].get(module as i64),
            Method::Group => self.res_after_attn[layer].shallow_clone(),
        };
        let correct = self.correct().unsqueeze(0); // (1, M)
        let right = contribution.gather(0, &correct, false).squeeze_dim(0);
        let margin = right - best_wrong(&contribution, &correct);
        values(&margin)
    }

    /// For one example: contribution of each module of a layer, and of their sum (last column), to every output token, each less
    /// the best wrong token's in that column: `(N, H + 1)`.
    ///
    /// # Errors
    /// No such layer or example.
    pub fn contributions(&self, example: usize, layer: usize) -> Result<Tensor> {
        self.check(layer, 0)?;
        self.check_example(example)?;
        let modules = self.modules[layer].select(2, example as i64).transpose(0, 1); // (N, H)
        let sum = modules.sum_dim_intlist(1, true, None);
        let columns = Tensor::cat(&[modules, sum], 1); // (N, H + 1)
        let correct = self.correct().get(example as i64).expand([1, columns.size()[1]], false);
        let best = best_wrong(&columns, &correct);
        Ok(columns - best)
    }

    /// The correct next token of one example.
    ///
    /// # Errors
    /// No such example.
    pub fn correct_token(&self, example: usize) -> Result<usize> {
        self.check_example(example)?;
        Ok(self.correct().int64_value(&[example as i64]) as usize)
    }

    fn check_example(&self, example: usize) -> Result<()> {
        check_index("example", example, self.examples.size()[0] as usize)
    }
}

/// Largest entry of each column of `values (N, M)` outside the row `correct (1, M)`.
fn best_wrong(values: &Tensor, correct: &Tensor) -> Tensor {
    let mask = values.zeros_like().to_kind(Kind::Bool).scatter_value(0, correct, 1);
    values.masked_fill(&mask, f64::NEG_INFINITY).amax(&[0i64][..], false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn margins_by_hand() {
        let contribution = Tensor::from_slice(&[1f32, 5.0, 3.0, 2.0, -1.0, 9.0]).view([1, 3, 2]);
        let attribution = Attribution {
            res: vec![contribution.get(0)],
            res_after_attn: vec![contribution.get(0)],
            modules: vec![contribution],
            examples: Tensor::from_slice(&[0i64, 0, 1, 0, 0, 0]).view([2, 3]),
            seq_target: 2,
        };
        // example 0: tokens get 1, 3, -1 and the correct one is 1; example 1: 5, 2, 9 and it is 0
        assert_eq!(attribution.margins(0, 0, Method::Solo).unwrap(), [2.0, -4.0]);
        let every = attribution.contributions(0, 0).unwrap();
        assert_eq!(Vec::<f64>::try_from(every.select(1, 0).to_kind(Kind::Double)).unwrap(), [0.0, 2.0, -2.0]);
        assert!(attribution.contributions(2, 0).is_err());
        assert!(attribution.margins(0, 1, Method::Solo).is_err());
    }
}
