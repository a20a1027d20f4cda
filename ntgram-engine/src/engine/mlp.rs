//! A layer's MLP on rows of the stream: `x + W_out GELU(… GELU(W_1 norm(x) + b_1) …)`, GELU exact.

use super::buffer::Buffer;
use super::functions::normal;
use super::layer_norm;
use super::layout::LinearSlots;
use super::linear::{self, Rows};
use super::simd::{Isa, Lanes, vector_fn};
use crate::models::Norm;

/// Stored activations of one MLP on rows of one table.
#[derive(Debug)]
pub(super) struct Mlp {
    norm: Norm,
    rows: usize,
    /// `norm(x)` (rows, stride), and the scales of a layer norm.
    h: Buffer,
    scales: Vec<[f64; 2]>,
    /// For each map but the last: the slope of its GELU, and what GELU makes of its output.
    slope: Vec<Buffer>,
    after: Vec<Buffer>,
    /// Gradients by the input and output of the map at hand.
    d_in: Buffer,
    d_out: Buffer,
    /// The map's weight, not transposed.
    weight: Buffer,
}

impl Mlp {
    /// For at most `rows` rows.
    pub(super) fn new(maps: &[LinearSlots], rows: usize, stride: usize, norm: Norm) -> Self {
        let rows = if maps.is_empty() { 0 } else { rows };
        let widest = maps.iter().map(|m| m.stride).max().unwrap_or(0).max(stride);
        let hidden = || maps.iter().take(maps.len().saturating_sub(1)).map(|m| Buffer::new(rows * m.stride)).collect();
        Self {
            norm,
            rows,
            h: Buffer::new(rows * stride),
            scales: vec![[0.0; 2]; if norm == Norm::Layer { rows } else { 0 }],
            slope: hidden(),
            after: hidden(),
            d_in: Buffer::new(rows * widest),
            d_out: Buffer::new(rows * widest),
            weight: linear::untransposed(&maps.iter().collect::<Vec<_>>()),
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
        for (k, map) in maps.iter().enumerate() {
            let (done, todo) = self.after.split_at_mut(k);
            let input = match done.last() {
                Some(input) => Rows { data: input, stride: maps[k - 1].stride, count: rows },
                None => Rows { data: &self.h, stride, count: rows },
            };
            let Some(after) = todo.first_mut() else {
                // x + W_out z
                return linear::forward::<I>(map, params, input, x, true);
            };
            let after = &mut after[..rows * map.stride];
            linear::forward::<I>(map, params, input, after, false);
            gelu::<I>(after, &mut self.slope[k]);
        }
    }

    /// From `dx`, the gradient by the output, to that by the input, in place; adds the parameters' to `grad`.
    pub(super) fn backward<I: Isa>(
        &mut self,
        maps: &[LinearSlots],
        params: &[f32],
        grad: &mut [f32],
        dx: &mut [f32],
        stride: usize,
        d: usize,
    ) {
        let count = self.rows;
        let dx = &mut dx[..count * stride];
        self.d_out[..dx.len()].copy_from_slice(dx);
        for (k, map) in maps.iter().enumerate().rev() {
            let input = match k.checked_sub(1) {
                Some(before) => Rows { data: &self.after[before], stride: maps[before].stride, count },
                None => Rows { data: &self.h, stride, count },
            };
            linear::backward::<I>(map, params, grad, input, &self.d_out, &mut self.d_in, &mut self.weight);
            if k > 0 {
                multiply::<I>(&mut self.d_in[..count * input.stride], &self.slope[k - 1]);
            }
            std::mem::swap(&mut self.d_in, &mut self.d_out);
        }
        match self.norm {
            Norm::Layer => layer_norm::backward(dx, &self.d_out[..dx.len()], &self.h, &self.scales, stride, d),
            Norm::None => dx.iter_mut().zip(&*self.d_out).for_each(|(dx, x)| *dx += x),
        }
    }
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
