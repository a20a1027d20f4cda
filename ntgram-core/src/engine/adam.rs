//! Adam as PyTorch does it: β = (0.9, 0.999), eps = 1e-8 outside the root, no decay, dense.

use super::simd::{Lanes, vector_fn};

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPS: f32 = 1e-8;

/// What one step needs beside the state: factors that depend on the step's number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Factors {
    /// `lr / (1 - β_1^t)`.
    step_size: f32,
    /// `1 / √(1 - β_2^t)`.
    root_correction: f32,
}

impl Factors {
    /// For the step with number `t`, counted from 1.
    pub(super) fn new(lr: f64, t: u64) -> Self {
        let t = t as f64;
        let (one, two) = (1.0 - BETA_1.powf(t), 1.0 - BETA_2.powf(t));
        Self { step_size: (lr / one) as f32, root_correction: (1.0 / two.sqrt()) as f32 }
    }
}

vector_fn! {
    /// One step on parameters `p` with moments `m`, `v`; `g` is the gradient. All of one length, a multiple of 8.
    pub(super) fn step<'a, I>(
        p: &'a mut [f32],
        m: &'a mut [f32],
        v: &'a mut [f32],
        g: &'a [f32],
        factors: Factors,
    ) -> () {
        let whole = p.len() / I::Wide::LANES * I::Wide::LANES;
        let ((p, p_rest), (m, m_rest)) = (p.split_at_mut(whole), m.split_at_mut(whole));
        let ((v, v_rest), (g, g_rest)) = (v.split_at_mut(whole), g.split_at(whole));
        step_lanes::<I::Wide>(p, m, v, g, factors);
        step_lanes::<I::Half>(p_rest, m_rest, v_rest, g_rest, factors);
    }
}

#[inline(always)]
fn step_lanes<V: Lanes>(p: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], factors: Factors) {
    let keep_1 = V::splat((1.0 - BETA_1) as f32);
    let (beta_2, keep_2) = (V::splat(BETA_2 as f32), V::splat((1.0 - BETA_2) as f32));
    let (root, eps) = (V::splat(factors.root_correction), V::splat(EPS));
    let size = V::splat(factors.step_size);
    let rows = p.chunks_exact_mut(V::LANES).zip(m.chunks_exact_mut(V::LANES));
    for (((p, m), v), g) in rows.zip(v.chunks_exact_mut(V::LANES)).zip(g.chunks_exact(V::LANES)) {
        let g = V::load(g);
        let old = V::load(m);
        // m = m + (1 - β_1) (g - m);  v = β_2 v + (1 - β_2) g²
        let moment = g.sub(old).fma(keep_1, old);
        let square = V::load(v).mul(beta_2).add(g.mul(g).mul(keep_2));
        moment.store(m);
        square.store(v);
        // p = p - lr/(1 - β_1^t) m / (√v / √(1 - β_2^t) + eps)
        let denominator = square.sqrt().fma(root, eps);
        V::load(p).sub(size.mul(moment).div(denominator)).store(p);
    }
}
