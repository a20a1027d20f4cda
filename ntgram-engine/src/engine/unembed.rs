//! Unembedding, softmax, loss and their gradients, for 16 pairs side by side: lane `l` of every vector belongs to pair `l`.
//!
//! For a pair with stream `r` and weights `t_k` on the targets (counts, or count times the law's row):
//! `s = softmax(W_U r)`, loss `-Σ_k t_k ln(s_k + ε)`. With `f_k = t_k s_k / (s_k + ε)` and `F = Σ_k f_k`, the gradient by
//! logit `k` is `g_k = F s_k - f_k`. (The original renormalises `s + ε` before the cross-entropy: `ln(1 + Nε)`, nothing in floats.)

use super::BLOCK;
use super::buffer::Buffer;
use super::functions::{LOG2_E, exp2, ln, share};
use super::simd::{Isa, Lanes, vector_fn};

/// What the original adds to every probability before the logarithm.
pub(super) const EPS: f32 = 1e-12;

/// Rows of logits that are computed together: enough that no sum waits for itself.
const ROWS: usize = 5;

/// Terms of a softmax's sum up to this are small: they are summed apart from the others.
const SMALL_TERM: f32 = 0.125;

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
    /// `W_U` for logits of base 2, so that `2^logit` gives the softmax: (bundles of [`ROWS`] rows, d, rows of the bundle).
    w_u: Buffer,
    /// Streams by coordinate, (d, 16).
    pub(super) r: Buffer,
    /// Gradient by stream, (d, 16).
    pub(super) dr: Buffer,
    /// Logits, then `2^logit`, then gradient by logit, (N, 16).
    g: Buffer,
    /// `f_k`, (N, 16).
    f: Buffer,
    /// The sparse targets' `f_k`, in order.
    picked: Vec<f32>,
    /// By lane, what the gradient by logit is still to be multiplied by.
    scale: [f32; BLOCK],
}

impl Scratch {
    pub(super) fn new(shape: Shape) -> Self {
        Self {
            w_u: Buffer::new(shape.n * shape.d),
            r: Buffer::new(shape.d * BLOCK),
            dr: Buffer::new(shape.d * BLOCK),
            g: Buffer::new(shape.n * BLOCK),
            f: Buffer::new(shape.n * BLOCK),
            picked: Vec::new(),
            scale: [1.0; BLOCK],
        }
    }
}

/// Prepares `W_U` for [`softmax`], which then reads it from one end to the other.
pub(super) fn pack(scratch: &mut Scratch, w_u: &[f32], shape: Shape) {
    let rows = w_u.chunks(ROWS * shape.stride).zip(scratch.w_u.chunks_mut(ROWS * shape.d));
    for (w_u, packed) in rows {
        let k = packed.len() / shape.d;
        for (q, row) in w_u.chunks_exact(shape.stride).enumerate() {
            for (to, x) in packed[q..].iter_mut().step_by(k).zip(&row[..shape.d]) {
                *to = x * LOG2_E;
            }
        }
    }
}

/// Copies the block's rows, (16, stride), to `scratch.r`.
pub(super) fn load_streams(scratch: &mut Scratch, rows: &[f32], shape: Shape) {
    for (l, row) in rows.chunks_exact(shape.stride).take(BLOCK).enumerate() {
        for (to, &x) in scratch.r.chunks_exact_mut(BLOCK).zip(row) {
            to[l] = x;
        }
    }
}

/// Copies `scratch.dr` to 16 rows that lie `stride` apart.
pub(super) fn store_gradients(scratch: &Scratch, rows: &mut [f32], stride: usize) {
    for (l, row) in rows.chunks_exact_mut(stride).take(BLOCK).enumerate() {
        for (x, from) in row.iter_mut().zip(scratch.dr.chunks_exact(BLOCK)) {
            *x = from[l];
        }
    }
}

vector_fn! {
    /// From streams `r (d, 16)` by coordinate, or those in the scratch (`None`), to `2^(logit - max)` in `scratch.g`. Returns, by
    /// lane, the argmax (first on a tie) and one over the sum.
    pub(super) fn softmax<'a, I>(scratch: &'a mut Scratch, r: Option<&'a [f32]>, shape: Shape) -> ([f32; BLOCK], [f32; BLOCK]) {
        let r = r.unwrap_or(&scratch.r);
        let (mut best, mut argmax, mut first) = (I::Wide::splat(f32::NEG_INFINITY), I::Wide::zero(), I::Wide::zero());
        let bundles = scratch.g[..shape.n * BLOCK].chunks_mut(ROWS * BLOCK).zip(scratch.w_u.chunks(ROWS * shape.d));
        for (g, w_u) in bundles {
            let (top, at) = match g.len() / BLOCK {
                5 => logits::<I::Wide, 5>(g, w_u, r),
                4 => logits::<I::Wide, 4>(g, w_u, r),
                3 => logits::<I::Wide, 3>(g, w_u, r),
                2 => logits::<I::Wide, 2>(g, w_u, r),
                _ => logits::<I::Wide, 1>(g, w_u, r),
            };
            argmax = top.where_greater(best, at.add(first), argmax);
            best = top.max(best);
            first = first.add(I::Wide::splat(ROWS as f32));
        }
        let g = &mut scratch.g[..shape.n * BLOCK];
        // Added one by one to a sum near 1 the small terms would round away, all in one direction: a model that is almost sure
        // would learn too slowly.
        let (mut small, mut large) = (I::Wide::zero(), I::Wide::zero());
        for row in g.chunks_exact_mut(BLOCK) {
            let e = share(exp2(I::Wide::load(row).sub(best)));
            e.store(row);
            let bound = I::Wide::splat(SMALL_TERM);
            large = large.add_where_greater(e, bound);
            small = small.add_unless_greater(e, bound);
        }
        let sum = large.add(small);
        let (mut index, mut over_sum) = ([0.0; BLOCK], [0.0; BLOCK]);
        argmax.store(&mut index);
        I::Wide::splat(1.0).div(sum).store(&mut over_sum);
        (index, over_sum)
    }
}

/// `K` rows of logits; returns, by lane, the largest and where it is (first on a tie).
#[inline(always)]
fn logits<W: Lanes, const K: usize>(g: &mut [f32], w_u: &[f32], r: &[f32]) -> (W, W) {
    let mut z = [W::zero(); K];
    for (w_u, r) in w_u.as_chunks::<K>().0.iter().zip(r.as_chunks::<BLOCK>().0) {
        let r = W::load(r);
        for (z, &w_u) in z.iter_mut().zip(w_u) {
            *z = W::splat(w_u).fma(r, *z);
        }
    }
    let (mut top, mut at) = (z[0], W::zero());
    for (k, (&z, row)) in z.iter().zip(g.as_chunks_mut::<BLOCK>().0).enumerate() {
        z.store(row);
        at = z.where_greater(top, W::splat(k as f32), at);
        top = z.max(top);
    }
    (top, at)
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
        scratch.scale = [1.0; BLOCK];
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
    /// Like [`dense_targets`], for a few targets `16 k + lane`. `weights`: one each, or `None`: all are 1. A factor that a whole
    /// lane has in common is left in `scratch.scale`, to be multiplied later.
    pub(super) fn sparse_targets<'a, I>(
        scratch: &'a mut Scratch,
        targets: &'a [u32],
        weights: Option<&'a [f32]>,
        over_sum: &'a [f32; BLOCK],
        factor: f32,
    ) -> f64 {
        let g = &mut scratch.g[..];
        let mut total = [0.0f32; BLOCK];
        let mut loss = I::Wide::zero();
        scratch.picked.resize(targets.len().next_multiple_of(BLOCK), 0.0);
        for (c, (targets, picked)) in targets.chunks(BLOCK).zip(scratch.picked.chunks_exact_mut(BLOCK)).enumerate() {
            let (mut s_row, mut t_row) = ([1.0f32; BLOCK], [0.0f32; BLOCK]);
            match weights {
                Some(weights) => t_row[..targets.len()].copy_from_slice(&weights[c * BLOCK..][..targets.len()]),
                None => t_row[..targets.len()].fill(1.0),
            }
            for (&at, s) in targets.iter().zip(&mut s_row) {
                *s = g[at as usize] * over_sum[at as usize % BLOCK];
            }
            let (s, t) = (I::Wide::load(&s_row), I::Wide::load(&t_row));
            let q = s.add(I::Wide::splat(EPS));
            t.mul(s).div(q).store(picked);
            loss = loss.minus_product(t, ln(q));
            for (&at, picked) in targets.iter().zip(picked) {
                total[at as usize % BLOCK] += *picked;
            }
        }
        // g_k = F s_k - f_k = (F / sum) (2^logit - f_k sum / F)
        let scale = I::Wide::load(&total).mul(I::Wide::load(over_sum));
        let zero = I::Wide::zero();
        let mut over_scale = [0.0; BLOCK];
        scale.where_greater(zero, I::Wide::splat(1.0).div(scale), zero).store(&mut over_scale);
        scale.mul(I::Wide::splat(factor)).store(&mut scratch.scale);
        for (&at, picked) in targets.iter().zip(&scratch.picked) {
            g[at as usize] -= picked * over_scale[at as usize % BLOCK];
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
        stream_gradients::<I>(&mut scratch.dr, w_u, g, shape);
        let scale = I::Wide::load(&scratch.scale);
        for dr in scratch.dr.chunks_exact_mut(BLOCK) {
            I::Wide::load(dr).mul(scale).store(dr);
        }
        let mut i = 0;
        while i < shape.stride {
            if shape.stride - i >= I::Wide::LANES {
                weight_gradient::<I::Wide>(dw_u, g, rows, &scratch.scale, i, shape.stride);
                i += I::Wide::LANES;
            } else {
                weight_gradient::<I::Half>(dw_u, g, rows, &scratch.scale, i, shape.stride);
                i += I::Half::LANES;
            }
        }
    }
}

vector_fn! {
    /// [`backward`] for streams `r (d, 16)` by coordinate, with the gradient `dr (d, 16)` likewise. `dW_U += g rᵀ` stays by lane,
    /// `dw_u (N, d, 16)`: [`add_lanes`] adds over the lanes, once for all blocks.
    pub(super) fn backward_by_lane<'a, I>(
        scratch: &'a mut Scratch,
        w_u: &'a [f32],
        dw_u: &'a mut [f32],
        r: &'a [f32],
        dr: &'a mut [f32],
        shape: Shape,
    ) -> () {
        let g = &scratch.g[..shape.n * BLOCK];
        stream_gradients::<I>(dr, w_u, g, shape);
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
fn stream_gradients<I: Isa>(dr: &mut [f32], w_u: &[f32], g: &[f32], shape: Shape) {
    let mut i = 0;
    while i < shape.d {
        let dr = &mut dr[i * BLOCK..shape.d * BLOCK];
        i += match shape.d - i {
            10.. if I::WIDE_REGISTERS => stream_gradient::<I::Wide, 10>(dr, w_u, g, i, shape.stride),
            5.. => stream_gradient::<I::Wide, 5>(dr, w_u, g, i, shape.stride),
            4 => stream_gradient::<I::Wide, 4>(dr, w_u, g, i, shape.stride),
            3 => stream_gradient::<I::Wide, 3>(dr, w_u, g, i, shape.stride),
            2 => stream_gradient::<I::Wide, 2>(dr, w_u, g, i, shape.stride),
            _ => stream_gradient::<I::Wide, 1>(dr, w_u, g, i, shape.stride),
        };
    }
}

/// `D` coordinates of `dr`, from coordinate `i`; returns `D`.
#[inline(always)]
fn stream_gradient<W: Lanes, const D: usize>(dr: &mut [f32], w_u: &[f32], g: &[f32], i: usize, stride: usize) -> usize {
    let mut sums = [W::zero(); D];
    for (g, w_u) in g.as_chunks::<BLOCK>().0.iter().zip(w_u.chunks_exact(stride)) {
        let (g, w_u) = (W::load(g), &w_u[i..][..D]);
        for (sum, &w) in sums.iter_mut().zip(w_u) {
            *sum = W::splat(w).fma(g, *sum);
        }
    }
    for (sum, dr) in sums.iter().zip(dr.chunks_exact_mut(BLOCK)) {
        sum.store(dr);
    }
    D
}

/// Columns `i..` of `dW_U`, one vector of them.
#[inline(always)]
fn weight_gradient<V: Lanes>(dw_u: &mut [f32], g: &[f32], rows: &[f32], scale: &[f32; BLOCK], i: usize, stride: usize) {
    let mut r = [V::zero(); BLOCK];
    for ((r, row), &scale) in r.iter_mut().zip(rows.chunks_exact(stride)).zip(scale) {
        *r = V::load(&row[i..]).mul(V::splat(scale));
    }
    let (mut g, mut dw_u) = (g.as_chunks::<BLOCK>().0, dw_u);
    while !g.is_empty() {
        let count = match g.len() {
            // As many sums at a time as keep the processor from waiting for one of them.
            8.. if V::LANES == 8 => weight_rows::<V, 8>(dw_u, g, &r, i, stride),
            4.. => weight_rows::<V, 4>(dw_u, g, &r, i, stride),
            _ => weight_rows::<V, 1>(dw_u, g, &r, i, stride),
        };
        (g, dw_u) = (&g[count..], &mut dw_u[count * stride..]);
    }
}

/// `K` rows of it; returns `K`.
#[inline(always)]
fn weight_rows<V: Lanes, const K: usize>(
    dw_u: &mut [f32],
    g: &[[f32; BLOCK]],
    r: &[V; BLOCK],
    i: usize,
    stride: usize,
) -> usize {
    let g = &g[..K];
    let mut sums = [V::zero(); K];
    for (sum, dw_u) in sums.iter_mut().zip(dw_u.chunks_exact(stride)) {
        *sum = V::load(&dw_u[i..]);
    }
    for (l, &r) in r.iter().enumerate() {
        for (sum, g) in sums.iter_mut().zip(g) {
            *sum = V::splat(g[l]).fma(r, *sum);
        }
    }
    for (sum, dw_u) in sums.iter().zip(dw_u.chunks_exact_mut(stride)) {
        sum.store(&mut dw_u[i..]);
    }
    K
}
