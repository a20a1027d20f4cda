//! A layer's MLP on rows of the stream: `x + W_out GELU(… GELU(W_1 norm(x) + b_1) …)`, GELU exact.

use super::BLOCK;
use super::buffer::Buffer;
use super::functions::normal;
use super::layer_norm;
use super::layout::LinearSlots;
use super::linear::{self, Rows};
use super::simd::{Isa, Lanes, vector_fn};
use crate::models::Norm;
use std::ops::Range;

/// Bytes of the widest activations that are worked on at a time: with slopes and gradients they stay in a processor's second cache, beside
/// the weights.
const BLOCK_BYTES: usize = 1 << 17;

/// Stored activations of one MLP on rows of one table, which are worked on in blocks.
#[derive(Debug)]
pub(super) struct Mlp {
    norm: Norm,
    /// Rows of the last forward pass, and most rows of a block.
    rows: usize,
    block: usize,
    /// `norm(x)` (rows, stride), and the scales of a layer norm.
    h: Buffer,
    scales: Vec<[f64; 2]>,
    /// For each map but the last: the slope of its GELU, and what GELU makes of its output.
    slope: Vec<Buffer>,
    after: Vec<Buffer>,
    /// Gradients by the input and output of the map at hand, of a block.
    d_in: Buffer,
    d_out: Buffer,
    /// The maps' weights, not transposed.
    weights: Vec<Buffer>,
}

/// Most rows of a block.
fn rows_of_block(maps: &[LinearSlots], rows: usize, stride: usize) -> usize {
    let bytes = widest(maps, stride) * size_of::<f32>();
    (BLOCK_BYTES / bytes).next_multiple_of(BLOCK).min(rows.max(1))
}

/// Floats of a row of the widest input or output.
fn widest(maps: &[LinearSlots], stride: usize) -> usize {
    maps.iter().map(|map| map.stride).fold(stride, usize::max)
}

impl Mlp {
    /// For at most `rows` rows.
    pub(super) fn new(maps: &[LinearSlots], rows: usize, stride: usize, norm: Norm) -> Self {
        let rows = if maps.is_empty() { 0 } else { rows };
        let block = rows_of_block(maps, rows, stride);
        let gradient = || Buffer::new(block.min(rows) * widest(maps, stride));
        let hidden = || maps.iter().take(maps.len().saturating_sub(1)).map(|m| Buffer::new(rows * m.stride)).collect();
        Self {
            norm,
            rows,
            block,
            h: Buffer::new(rows * stride),
            scales: vec![[0.0; 2]; if norm == Norm::Layer { rows } else { 0 }],
            slope: hidden(),
            after: hidden(),
            d_in: gradient(),
            d_out: gradient(),
            weights: maps.iter().map(linear::untransposed).collect(),
        }
    }

    /// About the floats that it takes for `rows` rows. A float, since sizes that no memory holds are asked for, too.
    pub(super) fn len(maps: &[LinearSlots], rows: usize, stride: usize) -> f64 {
        let gradients = (2 * rows_of_block(maps, rows, stride)) as f64 * widest(maps, stride) as f64;
        let hidden: f64 = maps.iter().rev().skip(1).map(|map| 2.0 * map.stride as f64).sum();
        let weights: f64 = maps.iter().map(|map| map.n_in as f64 * map.stride as f64).sum();
        rows as f64 * (stride as f64 + hidden) + gradients + weights
    }

    /// Before the passes of a step: what they need of the parameters.
    pub(super) fn begin(&mut self, maps: &[LinearSlots], params: &[f32], stride: usize) {
        let strides = std::iter::once(stride).chain(maps.iter().map(|map| map.stride));
        for ((map, stride), weight) in maps.iter().zip(strides).zip(&mut self.weights) {
            linear::untranspose(map, params, stride, weight);
        }
    }

    /// `x` (rows, stride), in place.
    pub(super) fn forward<I: Isa>(
        &mut self,
        maps: &[LinearSlots],
        params: &[f32],
        x: &mut [f32],
        rows: usize,
        stride: usize,
        d: usize,
    ) {
        self.rows = rows;
        let x = &mut x[..rows * stride];
        match self.norm {
            Norm::Layer => layer_norm::forward(x, &mut self.h, &mut self.scales, stride, d),
            Norm::None => self.h[..x.len()].copy_from_slice(x),
        }
        for (block, x) in x.chunks_mut(self.block * stride).enumerate() {
            let first = block * self.block;
            let rows = first..first + x.len() / stride;
            for (k, map) in maps.iter().enumerate() {
                let (done, todo) = self.after.split_at_mut(k);
                let input = input(&maps[..k], &self.h, done, &rows, stride);
                let Some(after) = todo.first_mut() else {
                    // x + W_out z
                    linear::forward::<I>(map, params, input, x, true);
                    break;
                };
                let of_block = rows.start * map.stride..rows.end * map.stride;
                let after = &mut after[of_block.clone()];
                linear::forward::<I>(map, params, input, after, false);
                gelu::<I>(after, &mut self.slope[k][of_block]);
            }
        }
    }

    /// From `dx`, the gradient by the output, to that by the input, in place; adds the parameters' to `grad`.
    pub(super) fn backward<I: Isa>(
        &mut self,
        maps: &[LinearSlots],
        grad: &mut [f32],
        dx: &mut [f32],
        stride: usize,
        d: usize,
    ) {
        for (block, dx) in dx[..self.rows * stride].chunks_mut(self.block * stride).enumerate() {
            let first = block * self.block;
            let rows = first..first + dx.len() / stride;
            self.d_out[..dx.len()].copy_from_slice(dx);
            for (k, map) in maps.iter().enumerate().rev() {
                let input = input(&maps[..k], &self.h, &self.after, &rows, stride);
                linear::backward::<I>(map, &self.weights[k], grad, input, &self.d_out, &mut self.d_in);
                if k > 0 {
                    let of_block = rows.start * input.stride..rows.end * input.stride;
                    multiply::<I>(&mut self.d_in[..of_block.len()], &self.slope[k - 1][of_block]);
                }
                std::mem::swap(&mut self.d_in, &mut self.d_out);
            }
            let (h, dh) = (&self.h[first * stride..], &self.d_out[..dx.len()]);
            match self.norm {
                Norm::Layer => layer_norm::backward(dx, dh, h, &self.scales[first..], stride, d),
                Norm::None => dx.iter_mut().zip(dh).for_each(|(dx, x)| *dx += x),
            }
        }
    }
}

/// What the map behind `maps` reads in `rows`: the last one's activations, or `h`.
fn input<'a>(maps: &[LinearSlots], h: &'a [f32], after: &'a [Buffer], rows: &Range<usize>, stride: usize) -> Rows<'a> {
    let (data, stride) = match maps.last() {
        Some(map) => (&*after[maps.len() - 1], map.stride),
        None => (h, stride),
    };
    Rows { data: &data[rows.start * stride..], stride, count: rows.len() }
}

vector_fn! {
    /// `z = GELU(y) = y Φ(y)` in the place of `y`, and its slope `dz/dy = Φ(y) + y φ(y)`.
    fn gelu<'a, I>(y: &'a mut [f32], slope: &'a mut [f32]) -> () {
        let len = y.len() / I::Wide::LANES * I::Wide::LANES;
        let ((wide, half), (wide_slope, half_slope)) = (y.split_at_mut(len), slope.split_at_mut(len));
        gelu_vectors::<I::Wide>(wide, wide_slope);
        gelu_vectors::<I::Half>(half, half_slope);
    }
}

#[inline(always)]
fn gelu_vectors<V: Lanes>(y: &mut [f32], slope: &mut [f32]) {
    for (y, slope) in y.chunks_exact_mut(V::LANES).zip(slope.chunks_exact_mut(V::LANES)) {
        let x = V::load(y);
        let (cdf, density) = normal(x);
        x.mul(cdf).store(y);
        x.fma(density, cdf).store(slope);
    }
}

vector_fn! {
    /// `x` times `factors`, in place.
    fn multiply<'a, I>(x: &'a mut [f32], factors: &'a [f32]) -> () {
        for (x, factor) in x.chunks_exact_mut(I::Half::LANES).zip(factors.chunks_exact(I::Half::LANES)) {
            I::Half::load(x).mul(I::Half::load(factor)).store(x);
        }
    }
}
