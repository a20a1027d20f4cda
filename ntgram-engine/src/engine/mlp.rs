//! A layer's MLP on rows of the stream: `x + W_out GELU(… GELU(W_1 ln(x) + b_1) …)`, GELU exact.

use super::buffer::Buffer;
use super::functions::normal;
use super::gemm::{Left, add_product};
use super::layer_norm;
use super::layout::{LinearSlots, padded};
use super::simd::{Isa, Lanes, vector_fn};

/// Stored activations of one MLP at one position.
#[derive(Debug)]
pub(super) struct Mlp {
    rows: usize,
    /// `ln(x)` (rows, stride) and its scales.
    h: Buffer,
    scales: Vec<[f64; 2]>,
    /// For each map but the last: its output before and after GELU.
    before: Vec<Buffer>,
    after: Vec<Buffer>,
    /// Gradients by the input and output of the map at hand.
    d_in: Buffer,
    d_out: Buffer,
    /// The map's weight, not transposed, rows padded: (out, in padded).
    weight: Buffer,
}

impl Mlp {
    /// For at most `rows` rows.
    pub(super) fn new(maps: &[LinearSlots], rows: usize, stride: usize) -> Self {
        let widest = maps.iter().map(|m| m.stride).max().unwrap_or(0).max(stride);
        let hidden = || maps.iter().take(maps.len().saturating_sub(1)).map(|m| Buffer::new(rows * m.stride)).collect();
        Self {
            rows,
            h: Buffer::new(rows * stride),
            scales: vec![[0.0; 2]; rows],
            before: hidden(),
            after: hidden(),
            d_in: Buffer::new(rows * widest),
            d_out: Buffer::new(rows * widest),
            weight: Buffer::new(maps.iter().map(|m| m.n_out * padded(m.n_in)).max().unwrap_or(0)),
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
        layer_norm::forward(&x[..rows * stride], &mut self.h, &mut self.scales, stride, d);
        for (k, map) in maps.iter().enumerate() {
            let weight = &params[map.weight.clone()];
            let (done, todo) = self.after.split_at_mut(k);
            let (input, input_stride): (&[f32], _) = match done.last() {
                Some(input) => (input, maps[k - 1].stride),
                None => (&self.h, stride),
            };
            let left = Left::rows(input, input_stride);
            if k + 1 == maps.len() {
                // x + W_out z
                add_product::<I>(x, left, weight, rows, map.n_in, map.stride, false);
                return;
            }
            let before = &mut self.before[k][..rows * map.stride];
            for row in before.chunks_exact_mut(map.stride) {
                row.copy_from_slice(&params[map.bias.clone()]);
            }
            add_product::<I>(before, left, weight, rows, map.n_in, map.stride, false);
            gelu::<I>(before, &mut todo[0]);
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
        let rows = self.rows;
        self.d_out[..rows * stride].copy_from_slice(&dx[..rows * stride]);
        for (k, map) in maps.iter().enumerate().rev() {
            let (input, input_stride): (&[f32], _) =
                if k == 0 { (&self.h, stride) } else { (&self.after[k - 1], maps[k - 1].stride) };
            let d_out = &self.d_out[..rows * map.stride];
            // out = W in + b
            let left = Left::columns(input, input_stride);
            add_product::<I>(&mut grad[map.weight.clone()], left, d_out, map.n_in, rows, map.stride, false);
            if !map.bias.is_empty() {
                let bias = &mut grad[map.bias.clone()];
                for row in d_out.chunks_exact(map.stride) {
                    for (b, x) in bias.iter_mut().zip(row) {
                        *b += x;
                    }
                }
            }
            let weight = &mut self.weight[..map.n_out * input_stride];
            weight.fill(0.0);
            for (i, row) in params[map.weight.clone()].chunks_exact(map.stride).enumerate() {
                for (to, x) in weight.chunks_exact_mut(input_stride).zip(row) {
                    to[i] = *x;
                }
            }
            let d_in = &mut self.d_in[..rows * input_stride];
            add_product::<I>(d_in, Left::rows(d_out, map.stride), weight, rows, map.n_out, input_stride, true);
            if k > 0 {
                gelu_backward::<I>(d_in, &self.before[k - 1]);
            }
            std::mem::swap(&mut self.d_in, &mut self.d_out);
        }
        layer_norm::backward(&mut dx[..rows * stride], &self.d_out[..rows * stride], &self.h, &self.scales, stride, d);
    }
}

vector_fn! {
    /// `z = GELU(y) = y Φ(y)`.
    fn gelu<'a, I>(y: &'a [f32], z: &'a mut [f32]) -> () {
        for (y, z) in y.chunks_exact(I::Half::LANES).zip(z.chunks_exact_mut(I::Half::LANES)) {
            let y = I::Half::load(y);
            y.mul(normal(y).0).store(z);
        }
    }
}

vector_fn! {
    /// From the gradient by `z = y Φ(y)` to that by `y`, in place: `dz/dy = Φ(y) + y φ(y)`.
    fn gelu_backward<'a, I>(dz: &'a mut [f32], y: &'a [f32]) -> () {
        for (dz, y) in dz.chunks_exact_mut(I::Half::LANES).zip(y.chunks_exact(I::Half::LANES)) {
            let y = I::Half::load(y);
            let (cdf, density) = normal(y);
            I::Half::load(dz).mul(y.fma(density, cdf)).store(dz);
        }
    }
}
