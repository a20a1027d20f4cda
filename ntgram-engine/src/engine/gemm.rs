//! Small dense matrix products on rows that are padded to whole vectors.

use super::simd::{Lanes, vector_fn};

/// The left factor of a product: entry `(m, k)` lies at `m * row + (k / inner) * outer + k % inner`.
///
/// With `inner = outer = 1` and `row` the row length it is a plain matrix; with `row = 1, outer = row length`, its transpose.
#[derive(Clone, Copy)]
pub(super) struct Left<'a> {
    pub(super) data: &'a [f32],
    pub(super) row: usize,
    pub(super) outer: usize,
    pub(super) inner: usize,
}

impl<'a> Left<'a> {
    /// A matrix whose rows lie `stride` apart.
    pub(super) fn rows(data: &'a [f32], stride: usize) -> Self {
        Self { data, row: stride, outer: 1, inner: 1 }
    }

    /// The transpose of a matrix whose rows lie `stride` apart.
    pub(super) fn columns(data: &'a [f32], stride: usize) -> Self {
        Self { data, row: 1, outer: stride, inner: 1 }
    }
}

vector_fn! {
    /// `C (rows, width) += A (rows, depth) B (depth, width)`, or without the old `C` where `afresh`; `width` is a multiple of 8; rows of
    /// `B` and `C` are contiguous.
    /// Sums run over `k` in order, so the result does not depend on how rows are split over calls.
    pub(super) fn add_product<'a, I>(
        c: &'a mut [f32],
        a: Left<'a>,
        b: &'a [f32],
        rows: usize,
        depth: usize,
        width: usize,
        afresh: bool,
    ) -> () {
        let mut m = 0;
        while m < rows {
            let left = Left { data: &a.data[m * a.row..], ..a };
            let c = &mut c[m * width..];
            let wide = I::WIDE_REGISTERS && width.is_multiple_of(I::Wide::LANES);
            match (rows - m, wide) {
                (1, true) => tile_rows::<I::Wide, 1>(c, left, b, depth, width, afresh),
                (2, true) => tile_rows::<I::Wide, 2>(c, left, b, depth, width, afresh),
                (3, true) => tile_rows::<I::Wide, 3>(c, left, b, depth, width, afresh),
                (_, true) => tile_rows::<I::Wide, 4>(c, left, b, depth, width, afresh),
                (1, false) => tile_rows::<I::Half, 1>(c, left, b, depth, width, afresh),
                (2, false) => tile_rows::<I::Half, 2>(c, left, b, depth, width, afresh),
                (3, false) => tile_rows::<I::Half, 3>(c, left, b, depth, width, afresh),
                (_, false) => tile_rows::<I::Half, 4>(c, left, b, depth, width, afresh),
            }
            m += 4;
        }
    }
}

#[inline(always)]
fn tile_rows<V: Lanes, const M: usize>(c: &mut [f32], a: Left, b: &[f32], depth: usize, width: usize, afresh: bool) {
    let mut n = 0;
    while n + 2 * V::LANES <= width {
        tile::<V, M, 2>(c, a, b, depth, width, n, afresh);
        n += 2 * V::LANES;
    }
    if n < width {
        tile::<V, M, 1>(c, a, b, depth, width, n, afresh);
    }
}

#[inline(always)]
fn tile<V: Lanes, const M: usize, const W: usize>(
    c: &mut [f32],
    a: Left,
    b: &[f32],
    depth: usize,
    width: usize,
    n: usize,
    afresh: bool,
) {
    let mut sums: [[V; W]; M] = [[V::zero(); W]; M];
    for (m, sums) in sums.iter_mut().enumerate() {
        let row = &c[m * width + n..][..W * V::LANES];
        for (w, sum) in sums.iter_mut().enumerate() {
            if !afresh {
                *sum = V::load(&row[w * V::LANES..]);
            }
        }
    }
    let (mut outer, mut inner) = (0, 0);
    for row in b.chunks_exact(width).take(depth) {
        let at = outer + inner;
        inner += 1;
        if inner == a.inner {
            inner = 0;
            outer += a.outer;
        }
        let row = &row[n..][..W * V::LANES];
        let mut right = [V::zero(); W];
        for (w, x) in right.iter_mut().enumerate() {
            *x = V::load(&row[w * V::LANES..]);
        }
        for (m, sums) in sums.iter_mut().enumerate() {
            let factor = V::splat(a.data[m * a.row + at]);
            for (sum, &x) in sums.iter_mut().zip(&right) {
                *sum = factor.fma(x, *sum);
            }
        }
    }
    for (m, sums) in sums.iter().enumerate() {
        let row = &mut c[m * width + n..][..W * V::LANES];
        for (w, sum) in sums.iter().enumerate() {
            sum.store(&mut row[w * V::LANES..]);
        }
    }
}
