//! The QK and OV circuits of a head as matrices (Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"), from the residual
//! stream to the residual stream: through `W_C` and `W_D` where the model uses them. Positions come in behind `W_C`: their part of a score is
//! `P W_Qᵀ W_K Pᵀ` and the like, of [`w_qkv`](crate::models::Transformer::w_qkv).

use tch::Tensor;

use super::linear::{check_pairs, computed, layer_norm};
use crate::error::{Result, check_index};
use crate::models::Norm;
use crate::models::{Model, Transformer};

/// One head's rows of `W_Q`, `W_K`, `W_V`, each times `W_C`, `(e, d)`, and `W_D` times its columns of `W_O`, `(d, e)`.
fn head_weights(model: &Transformer, layer: usize, module: usize, head: usize) -> Result<([Tensor; 3], Tensor)> {
    let heads = model.config().n_heads;
    check_index("head", head, heads)?;
    let e = (model.config().d_module() / heads) as i64;
    let at = head as i64 * e;
    let qkv = model.w_qkv(layer, module)?.map(|w| w.narrow(0, at, e)); // (e, d_h) each
    let w_o = model.w_o(layer, module)?.narrow(1, at, e); // (d_h, e)
    Ok(match model.used_compression() {
        Some(through) => (qkv.map(|w| w.matmul(&through.w_c)), through.w_d.matmul(&w_o)),
        None => (qkv, w_o),
    })
}

/// What the first layer reads of each token's embedding, before `W_C`: `norm(W_E)`, `(N, d)`; the tokens' pairs must fit in memory.
fn tokens_read(model: &Transformer) -> Result<Tensor> {
    let n = model.config().n_vocab as i64;
    check_pairs("model", n, n)?;
    match model.config().norm {
        Norm::Layer => layer_norm(&model.w_e()),
        Norm::None => Ok(model.w_e()),
    }
}

/// The QK circuit of a head, `W_Cᵀ W_Qᵀ W_K W_C / √e`, `(d, d)`: the score of a query `x` on a key `y` is `xᵀ · circuit · y`.
///
/// # Errors
/// No such layer, module or head; weights so large that the circuit is not finite.
pub fn qk_circuit(model: &Transformer, layer: usize, module: usize, head: usize) -> Result<Tensor> {
    let ([w_q, w_k, _], _) = head_weights(model, layer, module, head)?;
    computed("model", w_q.transpose(0, 1).matmul(&w_k) / (w_q.size()[0] as f64).sqrt())
}

/// The OV circuit of a head, `W_D W_O W_V W_C`, `(d, d)`: what attending to `y` adds to the stream is `circuit · y`.
///
/// # Errors
/// As [`qk_circuit`].
pub fn ov_circuit(model: &Transformer, layer: usize, module: usize, head: usize) -> Result<Tensor> {
    let ([_, _, w_v], w_o) = head_weights(model, layer, module, head)?;
    computed("model", w_o.matmul(&w_v))
}

/// The QK circuit between tokens of the first layer, `(N, N)`: entry `[a, b]` is the score of query token `a` on key token `b`,
/// embeddings only: `norm(W_E) · qk_circuit · norm(W_E)ᵀ`, the norm being that of the model.
///
/// # Errors
/// As [`qk_circuit`]; too many tokens for a matrix of all pairs.
pub fn full_qk_circuit(model: &Transformer, module: usize, head: usize) -> Result<Tensor> {
    let h = tokens_read(model)?;
    computed("model", h.matmul(&qk_circuit(model, 0, module, head)?).matmul(&h.transpose(0, 1)))
}

/// The OV circuit from tokens to logits of the first layer, `(N, N)`: entry `[k, t]` is what attending to token `t` adds to the
/// logit of token `k`: `W_U · ov_circuit · norm(W_E)ᵀ`, the norm being that of the model.
///
/// # Errors
/// As [`full_qk_circuit`].
pub fn full_ov_circuit(model: &Transformer, module: usize, head: usize) -> Result<Tensor> {
    let h = tokens_read(model)?;
    computed("model", model.w_u().matmul(&ov_circuit(model, 0, module, head)?).matmul(&h.transpose(0, 1)))
}

/// All output projections as they are stored, along rows, `(L·H·d_h, d_h)`, for their SVD. The original's `gather_W_O`.
pub fn gather_w_o(model: &Transformer) -> Tensor {
    let all = model.params().iter().filter(|(name, _)| name.ends_with("out_proj.weight"));
    Tensor::cat(&all.map(|(_, w_o)| w_o.detach()).collect::<Vec<_>>(), 0)
}
