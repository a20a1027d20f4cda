//! The building blocks of the forward pass as pure functions on tensors; all can be differentiated by autograd.
//!
//! Letters: `B` batch, `S` positions, `N` vocabulary, `d` embedding, `d_h` size of an attention module, `H` modules side by side, `m` heads
//! inside a module, `e = d_h/m` head size.

use ntgram_engine::models::Norm;
use tch::{Kind, Tensor};

/// What a layer reads of the stream `x (…, d)`: its layer norm, or `x` itself.
pub fn normed(x: &Tensor, norm: Norm) -> Tensor {
    match norm {
        Norm::Layer => layer_norm(x),
        Norm::None => x.shallow_clone(),
    }
}

/// Layer norm without affine part over the last axis: `(x - mean) / (std + 1e-10)`, population standard deviation.
pub fn layer_norm(x: &Tensor) -> Tensor {
    let centred = x - x.mean_dim(-1, true, None);
    let std = x.std_dim(-1, false, true);
    centred / (std + 1e-10)
}

/// `(S, S)` mask, true where a query position (row) must not look: at later positions.
pub fn causal_mask(positions: i64, like: &Tensor) -> Tensor {
    Tensor::ones([positions, positions], (Kind::Bool, like.device())).triu(1)
}

/// Scaled dot-product attention pattern of every module and head, each row a distribution over earlier positions:
/// `softmax(q kᵀ / √e)` with later positions masked.
///
/// `q`, `k`: `(H, m, B, S, e)`; returns `(H, m, B, S, S)`, rows queries.
pub fn attention_pattern(q: &Tensor, k: &Tensor) -> Tensor {
    let (positions, head_size) = (q.size()[3], q.size()[4]);
    let scores = q.matmul(&k.transpose(-2, -1)) / (head_size as f64).sqrt();
    scores.masked_fill(&causal_mask(positions, q), f64::NEG_INFINITY).softmax(-1, None)
}

/// Projects `x (B, S, d_h)` by `weights (H, d_h, d_h)` (each `(out, in)`) and splits the result into heads: `(H, m, B, S, e)`.
pub fn project_to_heads(x: &Tensor, weights: &Tensor, n_heads: i64) -> Tensor {
    let (batch, positions, size) = (x.size()[0], x.size()[1], x.size()[2]);
    let modules = weights.size()[0];
    // (B·S, d_h) · (d_h, H·d_h) in one product for all modules
    let all = x.reshape([batch * positions, size]).matmul(&weights.reshape([modules * size, size]).transpose(0, 1));
    all.view([batch, positions, modules, n_heads, size / n_heads]).permute([2, 3, 0, 1, 4])
}

/// Joins heads `z (H, m, B, S, e)` and applies each module's map into the stream, `w_out (H, d, d_h)`: `(H, B, S, d)`.
pub fn project_from_heads(z: &Tensor, w_out: &Tensor) -> Tensor {
    let (modules, heads, batch, positions, e) = (z.size()[0], z.size()[1], z.size()[2], z.size()[3], z.size()[4]);
    let joined = z.permute([0, 2, 3, 1, 4]).reshape([modules, batch * positions, heads * e]);
    joined.bmm(&w_out.transpose(1, 2)).view([modules, batch, positions, w_out.size()[1]])
}

/// Logits `res W_Uᵀ (…, N)`; `centred`: less one scalar, their mean over everything (the softmax does not see it).
pub fn unembed(res: &Tensor, w_u: &Tensor, centred: bool) -> Tensor {
    let logits = res.matmul(&w_u.transpose(0, 1));
    if centred {
        let mean = logits.mean(None);
        logits - mean
    } else {
        logits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layer_norm_centres_and_scales_each_row() {
        let x = Tensor::from_slice(&[1f32, 2.0, 3.0, 6.0, -2.0, 0.0, 2.0, 8.0]).view([2, 4]);
        let y = layer_norm(&x);
        assert!(y.mean_dim(-1, false, None).abs().max().double_value(&[]) < 1e-6);
        assert!((y.std_dim(-1, false, false) - 1.0).abs().max().double_value(&[]) < 1e-6);
        // (1 - 3) / √((4 + 1 + 0 + 9) / 4)
        assert!((y.double_value(&[0, 0]) + 2.0 / 3.5f64.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn layer_norm_of_a_constant_row_is_zero_and_so_is_its_gradient() {
        let x = Tensor::ones([1, 3], (Kind::Float, tch::Device::Cpu)).set_requires_grad(true);
        let y = layer_norm(&x);
        assert_eq!(y.abs().max().double_value(&[]), 0.0);
        y.sum(None).backward();
        assert!(x.grad().isfinite().all().int64_value(&[]) == 1);
    }

    #[test]
    fn attention_looks_back_only() {
        let q = Tensor::from_slice(&[0.3f32, -1.0, 0.5, 2.0, 1.0, 0.0]).view([1, 1, 1, 3, 2]);
        let pattern = attention_pattern(&q, &q).view([3, 3]);
        assert_eq!(pattern.double_value(&[0, 0]), 1.0);
        assert_eq!(pattern.double_value(&[0, 1]), 0.0);
        assert_eq!(pattern.double_value(&[1, 2]), 0.0);
        assert!((pattern.sum_dim_intlist(1, false, Kind::Float) - 1.0).abs().max().double_value(&[]) < 1e-6);
    }
}
