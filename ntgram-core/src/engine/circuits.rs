//! The QK and OV circuits of one layer as matrices, for all heads at once, and the way back to `W_Q, W_K, W_V, W_O`.
//!
//! For every head: `QK[e, c] = Σ_t W_Q[t, e] W_K[t, c] / √d_head`, so that a score is `x_queryᵀ QK x_key`; and
//! `OV[e, c] = Σ_t W_V[t, e] W_O[c, t]`, so that a head writes `OVᵀ x` of a token it sees. `t` runs over the head's coordinates.

use super::layout::Layout;
use super::math::Buffer;
use super::simd::{Isa, Lanes, vector_fn};

/// One circuit matrix in the three layouts that the products need.
#[derive(Debug)]
pub(super) struct Circuit {
    /// `[e, c, h]`, heads padded: (d, d lanes).
    pub(super) by_head_lane: Buffer,
    /// `[e, h, c]`, `c` padded: (d, heads stride).
    pub(super) by_coordinate_lane: Buffer,
    /// `[c, h, e]`, `e` padded: (d heads, stride).
    pub(super) transposed: Buffer,
    /// Gradient, like `by_head_lane`.
    pub(super) gradient: Buffer,
}

impl Circuit {
    pub(super) fn new(layout: &Layout) -> Self {
        let &Layout { d, stride, heads, lanes, .. } = layout;
        Self {
            by_head_lane: Buffer::new(d * d * lanes),
            by_coordinate_lane: Buffer::new(d * heads * stride),
            transposed: Buffer::new(d * heads * stride),
            gradient: Buffer::new(d * d * lanes),
        }
    }

    /// Fills the other layouts from `by_head_lane`.
    fn spread(&mut self, layout: &Layout) {
        let &Layout { d, stride, heads, lanes, .. } = layout;
        let rows =
            self.by_head_lane.chunks_exact(d * lanes).zip(self.by_coordinate_lane.chunks_exact_mut(heads * stride));
        for (e, (row, by_coordinate)) in rows.enumerate() {
            let columns = row.chunks_exact(lanes).zip(self.transposed.chunks_exact_mut(heads * stride));
            for (c, (column, transposed)) in columns.enumerate() {
                let strips = by_coordinate.chunks_exact_mut(stride).zip(transposed.chunks_exact_mut(stride));
                for (&x, (by_coordinate, transposed)) in column.iter().zip(strips) {
                    by_coordinate[c] = x;
                    transposed[e] = x;
                }
            }
        }
    }
}

vector_fn! {
    /// `matrix[e, c] = factor Σ_t left[t, e] right[t, c]` by head; `left` and `right` are `(t, e)` and `(t, c)` with the given strides (in
    /// units of one strip of heads).
    fn compose<'a, I>(
        circuit: &'a mut Circuit,
        layout: &'a Layout,
        left: &'a [f32],
        right: &'a [f32],
        right_steps: [usize; 2],
        factor: f32,
    ) -> () {
        let &Layout { d, lanes, d_head, .. } = layout;
        let factor = I::Half::splat(factor);
        for (e, row) in circuit.by_head_lane.chunks_exact_mut(d * lanes).enumerate() {
            for (c, strip) in row.chunks_exact_mut(lanes).enumerate() {
                for (v, to) in strip.chunks_exact_mut(I::Half::LANES).enumerate() {
                    let mut sum = I::Half::zero();
                    for t in 0..d_head {
                        let l = I::Half::load(&left[(t * d + e) * lanes + v * I::Half::LANES..]);
                        let r = I::Half::load(&right[(t * right_steps[0] + c * right_steps[1]) * lanes + v * I::Half::LANES..]);
                        sum = l.fma(r, sum);
                    }
                    sum.mul(factor).store(to);
                }
            }
        }
        circuit.spread(layout);
    }
}

vector_fn! {
    /// From the gradient by `matrix` (see [`compose`]) to those by `left` and `right`, added.
    fn decompose<'a, I>(
        circuit: &'a Circuit,
        layout: &'a Layout,
        lefts: (&'a [f32], &'a mut [f32]),
        rights: (&'a [f32], &'a mut [f32]),
        right_steps: [usize; 2],
        factor: f32,
    ) -> () {
        let &Layout { d, lanes, d_head, .. } = layout;
        let ((left, d_left), (right, d_right)) = (lefts, rights);
        let factor = I::Half::splat(factor);
        for v in (0..lanes).step_by(I::Half::LANES) {
            for t in 0..d_head {
                for e in 0..d {
                    // matrix[e, c] = factor Σ_t left[t, e] right[t, c]
                    let at_left = (t * d + e) * lanes + v;
                    let l = I::Half::load(&left[at_left..]).mul(factor);
                    let mut sum = I::Half::zero();
                    for (c, g) in circuit.gradient[e * d * lanes..][..d * lanes].chunks_exact(lanes).enumerate() {
                        let at_right = (t * right_steps[0] + c * right_steps[1]) * lanes + v;
                        let g = I::Half::load(&g[v..]);
                        sum = g.fma(I::Half::load(&right[at_right..]), sum);
                        let to = &mut d_right[at_right..];
                        g.fma(l, I::Half::load(to)).store(to);
                    }
                    let to = &mut d_left[at_left..];
                    sum.fma(factor, I::Half::load(to)).store(to);
                }
            }
        }
    }
}

/// Both circuits of layer `layer`, from the parameters.
pub(super) fn forward<I: Isa>(qk: &mut Circuit, ov: &mut Circuit, layout: &Layout, params: &[f32], layer: usize) {
    let slots = &layout.layers[layer];
    let scale = 1.0 / (layout.d_head as f32).sqrt();
    compose::<I>(qk, layout, &params[slots.w_q.clone()], &params[slots.w_k.clone()], [layout.d, 1], scale);
    compose::<I>(ov, layout, &params[slots.w_v.clone()], &params[slots.w_o.clone()], [1, layout.d_head], 1.0);
}

/// From the circuits' gradients to the parameters', added.
pub(super) fn backward<I: Isa>(
    qk: &Circuit,
    ov: &Circuit,
    layout: &Layout,
    params: &[f32],
    grad: &mut [f32],
    layer: usize,
) {
    let slots = &layout.layers[layer];
    let scale = 1.0 / (layout.d_head as f32).sqrt();
    // The four weights of a layer lie one after another.
    let (d_q, rest) = grad[slots.w_q.start..slots.w_o.end].split_at_mut(slots.w_q.len());
    let (d_k, rest) = rest.split_at_mut(slots.w_k.len());
    let (d_v, d_o) = rest.split_at_mut(slots.w_v.len());
    let (q, k) = (&params[slots.w_q.clone()], &params[slots.w_k.clone()]);
    decompose::<I>(qk, layout, (q, d_q), (k, d_k), [layout.d, 1], scale);
    let (v, o) = (&params[slots.w_v.clone()], &params[slots.w_o.clone()]);
    decompose::<I>(ov, layout, (v, d_v), (o, d_o), [1, layout.d_head], 1.0);
}
