//! Adam as PyTorch does it: β = (0.9, 0.999), eps = 1e-8 outside the root, no decay, dense.
//!
//! Dense: what has no gradient moves too, by its moments. `deferred` is the same for rows that have a gradient now and then.

use super::simd::{Lanes, vector_fn};

pub(super) const BETA_1: f64 = 0.9;
pub(super) const BETA_2: f64 = 0.999;
pub(super) const EPS: f64 = 1e-8;

/// What one step needs beside the state: factors that depend on the step's number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Factors {
    /// `1 / (size √(1 - β_2^t))`, where `size = lr / (1 - β_1^t)`.
    root: f32,
    /// `1e-8 / size`.
    eps: f32,
}

/// `1 - β_1^t` and `1 - β_2^t`: what the moments of step `t`, counted from 1, are divided by, as they began at zero.
pub(super) fn corrections(t: u64) -> [f64; 2] {
    [BETA_1, BETA_2].map(|beta| 1.0 - beta.powf(t as f64))
}

impl Factors {
    /// For the step with number `t`, counted from 1.
    pub(super) fn new(lr: f64, t: u64) -> Self {
        let [one, two] = corrections(t);
        let size = lr / one;
        // Infinity times a moment of 0 would be NaN.
        Self { root: (1.0 / (size * two.sqrt())).min(f32::MAX as f64) as f32, eps: (EPS / size) as f32 }
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
    let rows = p.chunks_exact_mut(V::LANES).zip(m.chunks_exact_mut(V::LANES));
    for (((p, m), v), g) in rows.zip(v.chunks_exact_mut(V::LANES)).zip(g.chunks_exact(V::LANES)) {
        let (p_new, m_new, v_new) = step_vector(V::load(p), V::load(m), V::load(v), V::load(g), factors);
        m_new.store(m);
        v_new.store(v);
        p_new.store(p);
    }
}

/// One step on a vector of parameters: these and their moments.
#[inline(always)]
pub(super) fn step_vector<V: Lanes>(p: V, m: V, v: V, g: V, factors: Factors) -> (V, V, V) {
    // m = m + (1 - β_1) (g - m);  v = β_2 v + (1 - β_2) g²
    let m = g.sub(m).fma(V::splat((1.0 - BETA_1) as f32), m);
    let v = v.mul(V::splat(BETA_2 as f32)).add(g.mul(g).mul(V::splat((1.0 - BETA_2) as f32)));
    // p = p - size m / (√v / √(1 - β_2^t) + eps)
    let denominator = v.sqrt().fma(V::splat(factors.root), V::splat(factors.eps));
    (p.sub(m.div(denominator)), m, v)
}

#[cfg(test)]
mod tests {
    use super::super::simd::{Detected, Isa, Job, dispatch};
    use super::*;

    struct Step<'a>([&'a mut [f32]; 3], &'a [f32], f64);

    impl Job for Step<'_> {
        type Output = ();
        #[inline(always)]
        fn run<I: Isa>(self) {
            let [p, m, v] = self.0;
            step::<I>(p, m, v, self.1, Factors::new(self.2, 1));
        }
    }

    #[test]
    fn extremes_stay_finite() {
        let gradients = [0.0, 1e-45, -1e-30, 1e-9, -1.0, 1e15, -1e25, f32::MAX].repeat(3);
        for level in Detected::all() {
            for lr in [1e-300, 1e-30, 1e-3, 10.0] {
                let (mut p, mut m, mut v) = ([1.0; 24], [0.0; 24], [0.0; 24]);
                dispatch(level, Step([&mut p, &mut m, &mut v], &gradients, lr));
                for (&p, &g) in p.iter().zip(&gradients) {
                    assert!(p.is_finite(), "{p} {g} {lr}");
                    if g.abs() < 1e15 {
                        // The first step is of size lr, against the gradient, but where that is small beside eps.
                        let want = 1.0 - lr * g as f64 / ((g as f64).abs() + EPS);
                        assert!((p as f64 - want).abs() <= 2e-7 * (1.0 + lr), "{p} {want} {g} {lr}");
                    }
                }
            }
        }
    }
}
