//! Unembedding, softmax, loss and their gradients, for 16 pairs side by side: lane `l` of every vector belongs to pair `l`.
//!
//! For a pair with stream `r` and weights `t_k` on the targets (counts, or count times the law's row):
//! `s = softmax(W_U r)`, loss `-Σ_k t_k ln(s_k + ε)`. With `f_k = t_k s_k / (s_k + ε)` and `F = Σ_k f_k`, the gradient by
//! logit `k` is `g_k = F s_k - f_k`. (The original renormalises `s + ε` before the cross-entropy: `ln(1 + Nε)`, nothing in floats.)

use super::contexts::BLOCK;
use super::math::{LOG2_E, exp2, ln};
use super::simd::{Lanes, vector_fn};

/// What the original adds to every probability before the logarithm.
pub(super) const EPS: f32 = 1e-12;

/// Sizes of `W_U (N, d)` with rows `stride` apart, `stride` a multiple of 8.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) n: usize,
    pub(super) d: usize,
    pub(super) stride: usize,
}

/// Sums over pairs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// Loss times samples.
    pub(super) loss: f64,
    /// Samples whose target has the largest logit.
    pub(super) correct: f64,
}

impl Tally {
    pub(super) fn add(&mut self, other: Tally) {
        self.loss += other.loss;
        self.correct += other.correct;
    }
}

/// Room for one block.
#[derive(Debug)]
pub(super) struct Scratch {
    /// Streams by coordinate, (d, 16): in logits of base 2, so that `2^x` gives the softmax.
    pub(super) r: super::math::Buffer,
    /// Gradient by stream, (d, 16).
    pub(super) dr: super::math::Buffer,
    /// Logits, then `2^logit`, then gradient by logit, (N, 16).
    g: super::math::Buffer,
    /// `f_k`, (N, 16).
    f: super::math::Buffer,
    /// The sparse targets' `f_k`, in order.
    picked: Vec<f32>,
}

impl Scratch {
    pub(super) fn new(shape: Shape) -> Self {
        use super::math::Buffer;
        Self {
            r: Buffer::new(shape.d * BLOCK),
            dr: Buffer::new(shape.d * BLOCK),
            g: Buffer::new(shape.n * BLOCK),
            f: Buffer::new(shape.n * BLOCK),
            picked: Vec::new(),
        }
    }
}

/// Copies the block's rows, (16, stride), to `scratch.r`.
pub(super) fn load_streams(scratch: &mut Scratch, rows: &[f32], shape: Shape) {
    for (l, row) in rows.chunks_exact(shape.stride).take(BLOCK).enumerate() {
        for (to, x) in scratch.r.chunks_exact_mut(BLOCK).zip(row) {
            to[l] = x * LOG2_E;
        }
    }
}

/// Copies the block's streams by coordinate, (d, 16), to `scratch.r`.
pub(super) fn load_lanes(scratch: &mut Scratch, lanes: &[f32]) {
    for (to, x) in scratch.r.iter_mut().zip(lanes) {
        *to = x * LOG2_E;
    }
}

/// Copies `scratch.dr` to rows, (16, stride).
pub(super) fn store_gradients(scratch: &Scratch, rows: &mut [f32], shape: Shape) {
    for (l, row) in rows.chunks_exact_mut(shape.stride).take(BLOCK).enumerate() {
        for (x, from) in row.iter_mut().zip(scratch.dr.chunks_exact(BLOCK)) {
            *x = from[l];
        }
    }
}

vector_fn! {
    /// Leaves `2^(logit - max)` in `scratch.g`; returns, by lane, the argmax (first on a tie) and one over the sum.
    pub(super) fn softmax<'a, I>(
        scratch: &'a mut Scratch,
        w_u: &'a [f32],
        shape: Shape,
    ) -> ([f32; BLOCK], [f32; BLOCK]) {
        let (r, g) = (&scratch.r[..shape.d * BLOCK], &mut scratch.g[..shape.n * BLOCK]);
        let (mut best, mut argmax) = (I::Wide::splat(f32::NEG_INFINITY), I::Wide::zero());
        let mut k = 0;
        for (g, w_u) in g.chunks_mut(4 * BLOCK).zip(w_u.chunks(4 * shape.stride)) {
            let rows = g.len() / BLOCK;
            match rows {
                4 => logits::<I::Wide, 4>(g, w_u, r, shape.stride),
                3 => logits::<I::Wide, 3>(g, w_u, r, shape.stride),
                2 => logits::<I::Wide, 2>(g, w_u, r, shape.stride),
                _ => logits::<I::Wide, 1>(g, w_u, r, shape.stride),
            }
            for row in g.chunks_exact(BLOCK) {
                let z = I::Wide::load(row);
                argmax = z.where_greater(best, I::Wide::splat(k as f32), argmax);
                best = z.where_greater(best, z, best);
                k += 1;
            }
        }
        // Small terms are summed apart: added one by one to a sum near 1 they would round away, all in one direction, and a
        // model that is almost sure would learn too slowly.
        let (mut small, mut large) = (I::Wide::zero(), I::Wide::zero());
        for row in g.chunks_exact_mut(BLOCK) {
            let e = exp2(I::Wide::load(row).sub(best));
            e.store(row);
            let small_part = e.where_greater(I::Wide::splat(0.125), I::Wide::zero(), e);
            small = small.add(small_part);
            large = large.add(e.sub(small_part));
        }
        let sum = large.add(small);
        let (mut index, mut over_sum) = ([0.0; BLOCK], [0.0; BLOCK]);
        argmax.store(&mut index);
        I::Wide::splat(1.0).div(sum).store(&mut over_sum);
        (index, over_sum)
    }
}

/// `K` rows of logits.
#[inline(always)]
fn logits<W: Lanes, const K: usize>(g: &mut [f32], w_u: &[f32], r: &[f32], stride: usize) {
    let w_u = &w_u[..K * stride];
    let mut z = [W::zero(); K];
    for (i, r) in r.chunks_exact(BLOCK).enumerate() {
        let r = W::load(r);
        for (q, z) in z.iter_mut().enumerate() {
            *z = W::splat(w_u[q * stride + i]).fma(r, *z);
        }
    }
    for (z, row) in z.iter().zip(g.chunks_exact_mut(BLOCK)) {
        z.store(row);
    }
}

vector_fn! {
    /// From `2^logit` to gradient by logit, in place, times `factor` (one over the batch size). `weights (N, 16)`, each lane's
    /// times `counts`. Returns the loss.
    pub(super) fn dense_targets<'a, I>(
        scratch: &'a mut Scratch,
        weights: &'a [f32],
        counts: &'a [f32],
        over_sum: &'a [f32; BLOCK],
        factor: f32,
    ) -> f64 {
        let (counts, over_sum) = (I::Wide::load(counts), I::Wide::load(over_sum));
        let (mut loss, mut total) = (I::Wide::zero(), I::Wide::zero());
        let rows = scratch.g.chunks_exact_mut(BLOCK).zip(scratch.f.chunks_exact_mut(BLOCK));
        for ((g, f), t) in rows.zip(weights.chunks_exact(BLOCK)) {
            let s = I::Wide::load(g).mul(over_sum);
            let t = I::Wide::load(t).mul(counts);
            let q = s.add(I::Wide::splat(EPS));
            let picked = t.mul(s).div(q);
            loss = loss.minus_product(t, ln(q));
            total = total.add(picked);
            s.store(g);
            picked.store(f);
        }
        let factor = I::Wide::splat(factor);
        let total = total.mul(factor);
        for (g, f) in scratch.g.chunks_exact_mut(BLOCK).zip(scratch.f.chunks_exact(BLOCK)) {
            // g_k = F s_k - f_k
            I::Wide::load(g).mul(total).minus_product(I::Wide::load(f), factor).store(g);
        }
        loss.sum() as f64
    }
}

vector_fn! {
    /// Like [`dense_targets`], for a few targets `(16 k + lane, weight)`.
    pub(super) fn sparse_targets<'a, I>(
        scratch: &'a mut Scratch,
        targets: &'a [(u32, f32)],
        over_sum: &'a [f32; BLOCK],
        factor: f32,
    ) -> f64 {
        let g = &mut scratch.g[..];
        let mut total = [0.0f32; BLOCK];
        let mut loss = I::Wide::zero();
        scratch.picked.clear();
        for targets in targets.chunks(BLOCK) {
            let (mut q_row, mut t_row) = ([1.0f32; BLOCK], [0.0f32; BLOCK]);
            for ((&(at, t), q_to), t_to) in targets.iter().zip(&mut q_row).zip(&mut t_row) {
                let l = at as usize % BLOCK;
                let s = g[at as usize] * over_sum[l];
                let q = s + EPS;
                let picked = t * s / q;
                total[l] += picked;
                scratch.picked.push(picked);
                (*q_to, *t_to) = (q, t);
            }
            loss = loss.minus_product(I::Wide::load(&t_row), ln(I::Wide::load(&q_row)));
        }
        let total = I::Wide::load(&total).mul(I::Wide::load(over_sum)).mul(I::Wide::splat(factor));
        for g in g.chunks_exact_mut(BLOCK) {
            I::Wide::load(g).mul(total).store(g);
        }
        for (&(at, _), picked) in targets.iter().zip(&scratch.picked) {
            g[at as usize] -= picked * factor;
        }
        loss.sum() as f64
    }
}

vector_fn! {
    /// `dr = W_Uᵀ g` by lane, into `scratch.dr`, and `dW_U += g rᵀ`; `rows (16, stride)` holds the streams.
    pub(super) fn backward<'a, I>(
        scratch: &'a mut Scratch,
        w_u: &'a [f32],
        dw_u: &'a mut [f32],
        rows: &'a [f32],
        shape: Shape,
    ) -> () {
        let g = &scratch.g[..shape.n * BLOCK];
        // logits = W_U r
        stream_gradients::<I::Wide>(&mut scratch.dr, w_u, g, shape);
        let mut i = 0;
        while i < shape.stride {
            if shape.stride - i >= I::Wide::LANES {
                weight_gradient::<I::Wide>(dw_u, g, rows, i, shape.stride);
                i += I::Wide::LANES;
            } else {
                weight_gradient::<I::Half>(dw_u, g, rows, i, shape.stride);
                i += I::Half::LANES;
            }
        }
    }
}

vector_fn! {
    /// [`backward`] for streams `r (d, 16)` by coordinate, gradient `dr (d, 16)` likewise: `dW_U += g rᵀ` by lane, `dw_u (N, d, 16)`.
    /// What is to be added over lanes is added once for all blocks, by [`add_lanes`].
    pub(super) fn backward_by_lane<'a, I>(
        scratch: &'a mut Scratch,
        w_u: &'a [f32],
        dw_u: &'a mut [f32],
        r: &'a [f32],
        dr: &'a mut [f32],
        shape: Shape,
    ) -> () {
        let g = &scratch.g[..shape.n * BLOCK];
        stream_gradients::<I::Wide>(dr, w_u, g, shape);
        for (g, dw_u) in g.chunks_exact(BLOCK).zip(dw_u.chunks_exact_mut(shape.d * BLOCK)) {
            let g = I::Wide::load(g);
            for (dw_u, r) in dw_u.chunks_exact_mut(BLOCK).zip(r.chunks_exact(BLOCK)) {
                g.fma(I::Wide::load(r), I::Wide::load(dw_u)).store(dw_u);
            }
        }
    }
}

vector_fn! {
    /// Adds `by_lane (N, d, 16)` over its lanes, into `dw_u` (N, stride).
    pub(super) fn add_lanes<'a, I>(dw_u: &'a mut [f32], by_lane: &'a [f32], shape: Shape) -> () {
        for (dw_u, by_lane) in dw_u.chunks_exact_mut(shape.stride).zip(by_lane.chunks_exact(shape.d * BLOCK)) {
            for (x, lanes) in dw_u.iter_mut().zip(by_lane.chunks_exact(BLOCK)) {
                *x = I::Wide::load(lanes).sum();
            }
        }
    }
}

/// All coordinates of `dr = W_Uᵀ g`, by lane.
#[inline(always)]
fn stream_gradients<W: Lanes>(dr: &mut [f32], w_u: &[f32], g: &[f32], shape: Shape) {
    let mut i = 0;
    for dr in dr[..shape.d * BLOCK].chunks_mut(5 * BLOCK) {
        let w_u = &w_u[i..];
        match dr.len() / BLOCK {
            5 => stream_gradient::<W, 5>(dr, w_u, g, shape.stride),
            4 => stream_gradient::<W, 4>(dr, w_u, g, shape.stride),
            3 => stream_gradient::<W, 3>(dr, w_u, g, shape.stride),
            2 => stream_gradient::<W, 2>(dr, w_u, g, shape.stride),
            _ => stream_gradient::<W, 1>(dr, w_u, g, shape.stride),
        }
        i += 5;
    }
}

/// `D` coordinates of `dr`.
#[inline(always)]
fn stream_gradient<W: Lanes, const D: usize>(dr: &mut [f32], w_u: &[f32], g: &[f32], stride: usize) {
    let mut sums = [W::zero(); D];
    for (g, w_u) in g.chunks_exact(BLOCK).zip(w_u.chunks(stride)) {
        let (g, w_u) = (W::load(g), &w_u[..D]);
        for (sum, &w) in sums.iter_mut().zip(w_u) {
            *sum = W::splat(w).fma(g, *sum);
        }
    }
    for (sum, dr) in sums.iter().zip(dr.chunks_exact_mut(BLOCK)) {
        sum.store(dr);
    }
}

/// Columns `i..` of `dW_U`, one vector of them.
#[inline(always)]
fn weight_gradient<V: Lanes>(dw_u: &mut [f32], g: &[f32], rows: &[f32], i: usize, stride: usize) {
    for (g, dw_u) in g.chunks(4 * BLOCK).zip(dw_u.chunks_mut(4 * stride)) {
        match g.len() / BLOCK {
            4 => weight_rows::<V, 4>(dw_u, g, rows, i, stride),
            3 => weight_rows::<V, 3>(dw_u, g, rows, i, stride),
            2 => weight_rows::<V, 2>(dw_u, g, rows, i, stride),
            _ => weight_rows::<V, 1>(dw_u, g, rows, i, stride),
        }
    }
}

#[inline(always)]
fn weight_rows<V: Lanes, const K: usize>(dw_u: &mut [f32], g: &[f32], rows: &[f32], i: usize, stride: usize) {
    let g = &g[..K * BLOCK];
    let mut sums = [V::zero(); K];
    for (q, sum) in sums.iter_mut().enumerate() {
        *sum = V::load(&dw_u[q * stride + i..]);
    }
    for (l, row) in rows.chunks_exact(stride).take(BLOCK).enumerate() {
        let r = V::load(&row[i..]);
        for (q, sum) in sums.iter_mut().enumerate() {
            *sum = V::splat(g[q * BLOCK + l]).fma(r, *sum);
        }
    }
    for (q, sum) in sums.iter().enumerate() {
        sum.store(&mut dw_u[q * stride + i..]);
    }
}
