//! A linear map on rows, `y = W x + b`, and the way back. The weight lies transposed, (in, out padded).

use super::buffer::Buffer;
use super::gemm::{Left, add_product};
use super::layout::{LinearSlots, WIDE_PAD};
use super::simd::Isa;

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
    if !map.bias.is_empty() {
        for row in y.chunks_exact_mut(map.stride) {
            row.copy_from_slice(&params[map.bias.clone()]);
        }
    }
    let afresh = map.bias.is_empty() && !add;
    add_product::<I>(
        y,
        Left::rows(x.data, x.stride),
        &params[map.weight.clone()],
        x.count,
        map.n_in,
        map.stride,
        afresh,
    );
}

/// Room for a map's weight that is not transposed, (out, in padded).
pub(super) fn untransposed(maps: &[&LinearSlots]) -> Buffer {
    Buffer::new(maps.iter().map(|m| m.n_out * m.n_in.next_multiple_of(WIDE_PAD)).max().unwrap_or(0))
}

/// From `dy (rows, map.stride)` to the gradient by `x`, into `dx (rows, x.stride)`; adds the parameters' to `grad`.
pub(super) fn backward<I: Isa>(
    map: &LinearSlots,
    params: &[f32],
    grad: &mut [f32],
    x: Rows,
    dy: &[f32],
    dx: &mut [f32],
    room: &mut Buffer,
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
        false,
    );
    if !map.bias.is_empty() {
        let bias = &mut grad[map.bias.clone()];
        for row in dy.chunks_exact(map.stride) {
            for (b, x) in bias.iter_mut().zip(row) {
                *b += x;
            }
        }
    }
    let weight = &mut room[..map.n_out * stride];
    weight.fill(0.0);
    for (i, row) in params[map.weight.clone()].chunks_exact(map.stride).enumerate() {
        for (to, x) in weight.chunks_exact_mut(stride).zip(row) {
            to[i] = *x;
        }
    }
    add_product::<I>(&mut dx[..count * stride], Left::rows(dy, map.stride), weight, count, map.n_out, stride, true);
}
