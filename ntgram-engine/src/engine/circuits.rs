//! The QK and OV circuits of a group of heads as matrices, for all of them at once, and the way back to `W_Q, W_K, W_V, W_O`.
//!
//! For every head: `QK[e, c] = Σ_t W_Q[t, e] W_K[t, c] / √d_head`, so that a score is `x_queryᵀ QK x_key`; and
//! `OV[e, c] = Σ_t W_V[t, e] W_O[c, t]`, so that a head writes `OVᵀ x` of a token it sees. `t` runs over the head's coordinates.

use super::buffer::Buffer;
use super::layout::{HeadGroup, Layout};
use super::simd::{Isa, Lanes, vector_fn};

/// One circuit matrix in the layouts that the products need.
#[derive(Debug)]
pub(super) struct Circuit {
    /// `[e, c, h]`, heads padded: (d, d heads_padded). On the way back, once the tables are filled, its gradient takes its place.
    pub(super) heads_last: Buffer,
    /// `[e, h, c]`, `c` padded: (d, heads stride); empty where nobody asks for it.
    pub(super) coordinates_last: Buffer,
    /// `[c, h, e]`, `e` padded: (d heads, stride); likewise.
    pub(super) transposed: Buffer,
}

/// Which layouts a circuit has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum For {
    /// Tables by head, both ways.
    ByHead,
    /// Tables by coordinate.
    ByCoordinate,
    /// Tables that are by head on the way forward and by coordinate on the way back, or the other way round.
    Both,
}

impl Circuit {
    pub(super) fn new(layout: &Layout, tables: For) -> Self {
        let &Layout { d_module: d, stride_module: stride, heads, heads_padded, .. } = layout;
        Self {
            heads_last: Buffer::new(d * d * heads_padded),
            coordinates_last: Buffer::new(if tables == For::ByHead { 0 } else { d * heads * stride }),
            transposed: Buffer::new(if tables == For::Both { d * heads * stride } else { 0 }),
        }
    }

    /// Fills the other layouts from `heads_last`.
    fn spread(&mut self, layout: &Layout) {
        let &Layout { d_module: d, stride_module: stride, heads, heads_padded, .. } = layout;
        for (e, row) in self.heads_last.chunks_exact(d * heads_padded).enumerate() {
            let columns = row.chunks_exact(heads_padded).zip(self.transposed.chunks_exact_mut(heads * stride));
            for (column, transposed) in columns {
                for (&x, strip) in column.iter().zip(transposed.chunks_exact_mut(stride)) {
                    strip[e] = x;
                }
            }
        }
        let rows =
            self.heads_last.chunks_exact(d * heads_padded).zip(self.coordinates_last.chunks_exact_mut(heads * stride));
        for (row, by_coordinate) in rows {
            for (c, column) in row.chunks_exact(heads_padded).enumerate() {
                for (&x, strip) in column.iter().zip(by_coordinate.chunks_exact_mut(stride)) {
                    strip[c] = x;
                }
            }
        }
    }

    /// Puts a gradient `[e, h, c]` into the place of `heads_last`.
    pub(super) fn take_gradient(&mut self, layout: &Layout, by_coordinate: &[f32]) {
        let &Layout { d_module: d, stride_module: stride, heads, heads_padded, .. } = layout;
        let rows = self.heads_last.chunks_exact_mut(d * heads_padded).zip(by_coordinate.chunks_exact(heads * stride));
        for (row, by_coordinate) in rows {
            for (c, column) in row.chunks_exact_mut(heads_padded).enumerate() {
                for (x, strip) in column.iter_mut().zip(by_coordinate.chunks_exact(stride)) {
                    *x = strip[c];
                }
            }
        }
    }
}

/// A matrix for every head: entry `(i, j)` is the strip of heads number `i * row + j * column`.
#[derive(Clone, Copy)]
struct Steps {
    row: usize,
    column: usize,
}

vector_fn! {
    /// For every head `c[i, j] = factor Σ_k a[i, k] b[k, j]`, with `add` onto the old `c`; `sizes` are those of i, j and k.
    fn product<'a, I>(
        c: (&'a mut [f32], Steps),
        a: (&'a [f32], Steps),
        b: (&'a [f32], Steps),
        sizes: [usize; 3],
        heads_padded: usize,
        factor: f32,
        add: bool,
    ) -> () {
        if heads_padded.is_multiple_of(I::Wide::LANES) {
            tiles::<I, I::Wide>(c, a, b, sizes, heads_padded, factor, add);
        } else {
            tiles::<I, I::Half>(c, a, b, sizes, heads_padded, factor, add);
        }
    }
}

/// The product, tile by tile.
#[inline(always)]
fn tiles<I: Isa, V: Lanes>(
    c: (&mut [f32], Steps),
    a: (&[f32], Steps),
    b: (&[f32], Steps),
    [rows, columns, depth]: [usize; 3],
    heads_padded: usize,
    factor: f32,
    add: bool,
) {
    for v in (0..heads_padded).step_by(V::LANES) {
        let mut i = 0;
        while i < rows {
            let height = if rows - i >= 4 { 4 } else { 1 };
            let mut j = 0;
            while j < columns {
                let at = [i, j, v];
                let (c, sizes) = ((&mut *c.0, c.1), [depth, heads_padded]);
                j += match (height, columns - j) {
                    (4, 4..) if I::WIDE_REGISTERS => tile::<V, 4, 4>(c, a, b, at, sizes, factor, add),
                    (4, 2..) => tile::<V, 4, 2>(c, a, b, at, sizes, factor, add),
                    (4, _) => tile::<V, 4, 1>(c, a, b, at, sizes, factor, add),
                    (_, 4..) => tile::<V, 1, 4>(c, a, b, at, sizes, factor, add),
                    (_, _) => tile::<V, 1, 1>(c, a, b, at, sizes, factor, add),
                };
            }
            i += height;
        }
    }
}

/// `H` rows and `W` columns of a product, for the heads of one vector; returns `W`.
#[inline(always)]
fn tile<V: Lanes, const H: usize, const W: usize>(
    c: (&mut [f32], Steps),
    a: (&[f32], Steps),
    b: (&[f32], Steps),
    [i, j, v]: [usize; 3],
    [depth, heads_padded]: [usize; 2],
    factor: f32,
    add: bool,
) -> usize {
    let mut sums = [[V::zero(); W]; H];
    let (mut left, mut right) = ([a.0; H], [b.0; W]);
    for (h, strip) in left.iter_mut().enumerate() {
        *strip = &a.0[(i + h) * a.1.row * heads_padded + v..];
    }
    for (w, strip) in right.iter_mut().enumerate() {
        *strip = &b.0[(j + w) * b.1.column * heads_padded + v..];
    }
    let (left_step, right_step) = (a.1.column * heads_padded, b.1.row * heads_padded);
    for k in 0..depth {
        let mut vectors = [V::zero(); W];
        for (vector, strip) in vectors.iter_mut().zip(&right) {
            *vector = V::load(&strip[k * right_step..]);
        }
        for (sums, strip) in sums.iter_mut().zip(&left) {
            let x = V::load(&strip[k * left_step..]);
            for (sum, &vector) in sums.iter_mut().zip(&vectors) {
                *sum = x.fma(vector, *sum);
            }
        }
    }
    let factor = V::splat(factor);
    for (h, sums) in sums.iter().enumerate() {
        for (w, sum) in sums.iter().enumerate() {
            let to = &mut c.0[((i + h) * c.1.row + (j + w) * c.1.column) * heads_padded + v..];
            let old = if add { V::load(to) } else { V::zero() };
            sum.fma(factor, old).store(to);
        }
    }
    W
}

/// `matrix[e, c] = factor Σ_t left[t, e] right[t, c]` by head; `left` is `(t, e)`, `right` lies as `right_steps` says.
fn compose<I: Isa>(
    circuit: &mut Circuit,
    layout: &Layout,
    left: &[f32],
    (right, right_steps): (&[f32], Steps),
    factor: f32,
) {
    let &Layout { d_module: d, heads_padded, d_head, .. } = layout;
    let left = (left, Steps { row: 1, column: d });
    let matrix = (&mut *circuit.heads_last, Steps { row: d, column: 1 });
    product::<I>(matrix, left, (right, right_steps), [d, d, d_head], heads_padded, factor, false);
    circuit.spread(layout);
}

/// From the gradient by `matrix` (see [`compose`]), now in its place, to those by `left` and `right`, added.
fn decompose<I: Isa>(
    circuit: &Circuit,
    layout: &Layout,
    (left, d_left): (&[f32], &mut [f32]),
    (right, d_right, right_steps): (&[f32], &mut [f32], Steps),
    factor: f32,
) {
    let &Layout { d_module: d, heads_padded, d_head, .. } = layout;
    let by_row = Steps { row: d, column: 1 };
    let transposed = Steps { row: 1, column: d };
    // d_left[t, e] = factor Σ_c right[t, c] matrix[e, c];  d_right[t, c] = factor Σ_e left[t, e] matrix[e, c]
    let matrix = &*circuit.heads_last;
    let sizes = [d_head, d, d];
    product::<I>((d_left, by_row), (right, right_steps), (matrix, transposed), sizes, heads_padded, factor, true);
    product::<I>((d_right, right_steps), (left, by_row), (matrix, by_row), sizes, heads_padded, factor, true);
}

/// How `W_K[t, c]` and `W_O[c, t]` lie, by `t` and `c`.
fn right_steps(layout: &Layout) -> [Steps; 2] {
    [Steps { row: layout.d_module, column: 1 }, Steps { row: 1, column: layout.d_head }]
}

/// Both circuits of a group of heads, from the parameters.
pub(super) fn forward<I: Isa>(qk: &mut Circuit, ov: &mut Circuit, layout: &Layout, group: &HeadGroup, params: &[f32]) {
    let scale = 1.0 / (layout.d_head as f32).sqrt();
    let [of_k, of_o] = right_steps(layout);
    compose::<I>(qk, layout, &params[group.w_q.clone()], (&params[group.w_k.clone()], of_k), scale);
    compose::<I>(ov, layout, &params[group.w_v.clone()], (&params[group.w_o.clone()], of_o), 1.0);
}

/// From the circuits' gradients to the parameters', added.
pub(super) fn backward<I: Isa>(
    qk: &Circuit,
    ov: &Circuit,
    layout: &Layout,
    group: &HeadGroup,
    params: &[f32],
    grad: &mut [f32],
) {
    let scale = 1.0 / (layout.d_head as f32).sqrt();
    // The four weights of a group lie one after another.
    let (d_q, rest) = grad[group.w_q.start..group.w_o.end].split_at_mut(group.w_q.len());
    let (d_k, rest) = rest.split_at_mut(group.w_k.len());
    let (d_v, d_o) = rest.split_at_mut(group.w_v.len());
    let (q, k) = (&params[group.w_q.clone()], &params[group.w_k.clone()]);
    let [of_k, of_o] = right_steps(layout);
    decompose::<I>(qk, layout, (q, d_q), (k, d_k, of_k), scale);
    let (v, o) = (&params[group.w_v.clone()], &params[group.w_o.clone()]);
    decompose::<I>(ov, layout, (v, d_v), (o, d_o, of_o), 1.0);
}
