//! A linear map on rows, `y = W x + b`, and the way back. The weight lies transposed, (in, out padded).

use super::buffer::Buffer;
use super::gemm::{Left, Start, add_product};
use super::layout::{LinearSlots, WIDE_PAD};
use super::simd::{Isa, Lanes, vector_fn};

/// What rows are read from or written to: `rows` of them, `stride` apart.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) data: &'a [f32],
    pub(super) stride: usize,
    pub(super) count: usize,
}

/// `y (rows, map.stride) = W x + b`, or added to `y` with `add` (there is no bias then).
pub(super) fn forward<I: Isa>(map: &LinearSlots, params: &[f32], x: Rows, y: &mut [f32], add: bool) {
    let y = &mut y[..x.count * map.stride];
    let start = if !map.bias.is_empty() {
        Start::Row(&params[map.bias.clone()])
    } else if add {
        Start::Old
    } else {
        Start::Zeros
    };
    add_product::<I>(
        y,
        Left::rows(x.data, x.stride),
        &params[map.weight.clone()],
        x.count,
        map.n_in,
        map.stride,
        start,
    );
}

/// Room for a map's weight that is not transposed, (out, in padded).
pub(super) fn untransposed(map: &LinearSlots) -> Buffer {
    Buffer::new(map.n_out * map.n_in.next_multiple_of(WIDE_PAD))
}

/// Rows and columns of a matrix that are transposed at a time: what is read and what is written stay in the first cache.
const TILE: usize = 16;

/// Writes the map's weight, not transposed, (out, `stride`), to `room`; beyond its inputs are zeros.
pub(super) fn untranspose(map: &LinearSlots, params: &[f32], stride: usize, room: &mut [f32]) {
    let weight = &mut room[..map.n_out * stride];
    if map.n_in < stride {
        weight.chunks_exact_mut(stride).for_each(|row| row[map.n_in..].fill(0.0));
    }
    let from = &params[map.weight.clone()];
    for first in (0..map.n_in).step_by(TILE) {
        let inputs = first..map.n_in.min(first + TILE);
        for (tile, rows) in weight.chunks_mut(TILE * stride).enumerate() {
            for i in inputs.clone() {
                let row = &from[i * map.stride + tile * TILE..];
                for (to, x) in rows.chunks_exact_mut(stride).zip(row) {
                    to[i] = *x;
                }
            }
        }
    }
}

/// From `dy (rows, map.stride)` to the gradient by `x`, into `dx (rows, x.stride)`; adds the parameters' to `grad`. `weight` is what
/// [`untranspose`] made for `x.stride`.
pub(super) fn backward<I: Isa>(
    map: &LinearSlots,
    weight: &[f32],
    grad: &mut [f32],
    x: Rows,
    dy: &[f32],
    dx: &mut [f32],
) {
    let Rows { data, stride, count } = x;
    let dy = &dy[..count * map.stride];
    // y = W x + b
    add_product::<I>(
        &mut grad[map.weight.clone()],
        Left::columns(data, stride),
        dy,
        map.n_in,
        count,
        map.stride,
        Start::Old,
    );
    if !map.bias.is_empty() {
        add_rows::<I>(&mut grad[map.bias.clone()], dy);
    }
    let weight = &weight[..map.n_out * stride];
    add_product::<I>(
        &mut dx[..count * stride],
        Left::rows(dy, map.stride),
        weight,
        count,
        map.n_out,
        stride,
        Start::Zeros,
    );
}

vector_fn! {
    /// Adds to `sum` rows as long as itself, one after another.
    fn add_rows<'a, I>(sum: &'a mut [f32], rows: &'a [f32]) -> () {
        for row in rows.chunks_exact(sum.len()) {
            for (sum, x) in sum.chunks_exact_mut(I::Half::LANES).zip(row.chunks_exact(I::Half::LANES)) {
                I::Half::load(sum).add(I::Half::load(x)).store(sum);
            }
        }
    }
}
