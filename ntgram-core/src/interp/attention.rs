//! Where a module looks: the original's approximate map, and the exact one.

use tch::{Kind, Tensor};

use super::linear::{check_pairs, computed};
use crate::error::{Error, Result, check_index};
use crate::models::{Model, Transformer};

/// The original's attention map, `(N, N)`: entry `[a, b]` stands for the weight that the query, the second token `a`, gives to the
/// first token `b`.
///
/// It is an approximation, kept because the notebook's figures show it: raw embeddings instead of normalised ones, and weights
/// multiplied from the right as stored. With `u_p[t] = W_C W_E[t]·s_embQK + P[p]·s_posQK` (without `W_C` where the model uses none):
/// `s(a,b) = (u_1[a] W_Q)·(u_0[b] W_K)/√d_h`, `s'(a) = (u_1[a] W_Q)·(u_1[a] W_K)/√d_h`, entry `σ(s − s')`.
/// [`exact_attention_map`] is what the trained model computes.
///
/// # Errors
/// No such layer or module; a context window of one token; too many tokens for a map of all pairs, or weights so large that the map is not
/// finite.
pub fn attention_map(model: &Transformer, layer: usize, module: usize) -> Result<Tensor> {
    check_all_pairs(model)?;
    let [w_q, w_k, _] = model.w_qkv(layer, module)?;
    let skips = model.config().skips;
    let (emb, pos) = (f64::from(!skips.emb_qk), f64::from(!skips.pos_qk));
    let read = match model.used_compression() {
        Some(through) => model.w_e().matmul(&through.w_c.transpose(0, 1)),
        None => model.w_e(),
    }; // (N, d_h)
    let u = |position: i64| &read * emb + model.w_pos().get(position) * pos; // (N, d_h)
    let scale = (model.config().d_module() as f64).sqrt();
    let q_1 = u(1).matmul(&w_q);
    let s = q_1.matmul(&u(0).matmul(&w_k).transpose(0, 1)) / scale; // (N, N)
    let s_self = (&q_1 * u(1).matmul(&w_k)).sum_dim_intlist(-1, true, Kind::Float) / scale; // (N, 1)
    computed("model", (s - s_self).sigmoid())
}

/// The weight that a head of the trained model gives to the first token of a pair, `(N, N)`: entry `[a, b]` for the pair
/// (first = `b`, second = `a`), the query being the second token. Read from a forward pass over all pairs, so it is exact in every
/// layer.
///
/// # Errors
/// No such layer, module or head; and as [`attention_map`].
pub fn exact_attention_map(model: &Transformer, layer: usize, module: usize, head: usize) -> Result<Tensor> {
    check_all_pairs(model)?;
    let config = model.config();
    check_index("layer", layer, config.n_layers)?;
    check_index("module", module, config.n_modules)?;
    check_index("head", head, config.n_heads)?;
    let n = config.n_vocab as i64;
    let token = Tensor::arange(n, (Kind::Int64, model.params().device()));
    let first = token.unsqueeze(0).expand([n, n], false).reshape([-1]); // b, fastest
    let second = token.unsqueeze(1).expand([n, n], false).reshape([-1]); // a
    let activations = model.forward_with_activations(&Tensor::stack(&[first, second], 1))?;
    let pattern = &activations.layer(layer)?.attention_pattern; // (H, m, N², 2, 2)
    let to_first = pattern.get(module as i64).get(head as i64).select(1, 1).select(1, 0);
    computed("model", to_first.view([n, n]))
}

fn check_all_pairs(model: &Transformer) -> Result<()> {
    let n = model.config().n_vocab as i64;
    match model.config().context_window {
        1 => Err(Error::argument("context_window", 1, "a pair of tokens needs at least 2")),
        _ => check_pairs("model", n, n),
    }
}
