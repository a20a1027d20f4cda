//! Small dense matrix products on rows that are padded to whole vectors.

use super::simd::{Isa, Lanes, vector_fn};

/// The left factor of a product, and where its entries `(m, k)` lie.
#[derive(Clone, Copy)]
pub(super) enum Left<'a> {
    /// At `m * stride + k`: a matrix.
    Rows { data: &'a [f32], stride: usize },
    /// At `k * stride + m`: the transpose of one.
    Columns { data: &'a [f32], stride: usize },
    /// At `m * row + (k / len) * stride + k % len`: rows of strips that are padded.
    Strips { data: &'a [f32], row: usize, stride: usize, len: usize },
}

impl<'a> Left<'a> {
    /// A matrix whose rows lie `stride` apart.
    pub(super) fn rows(data: &'a [f32], stride: usize) -> Self {
        Left::Rows { data, stride }
    }

    /// The transpose of a matrix whose rows lie `stride` apart.
    pub(super) fn columns(data: &'a [f32], stride: usize) -> Self {
        Left::Columns { data, stride }
    }
}

/// What the sums of a product begin with.
#[derive(Clone, Copy)]
pub(super) enum Start<'a> {
    /// What is there: the product is added to it.
    Old,
    Zeros,
    /// This row, the same for all rows of the product.
    Row(&'a [f32]),
}

vector_fn! {
    /// `C (rows, width) = A (rows, depth) B (depth, width)` and what the sums start with; `width` is a multiple of 8; rows of `B` and `C`
    /// are contiguous.
    /// Sums run over `k` in order, so the result does not depend on how rows are split over calls.
    pub(super) fn add_product<'a, I>(
        c: &'a mut [f32],
        a: Left<'a>,
        b: &'a [f32],
        rows: usize,
        depth: usize,
        width: usize,
        start: Start<'a>,
    ) -> () {
        let b = &b[..depth * width];
        let c = &mut c[..rows * width];
        let mut m = 0;
        while m < rows {
            let c = &mut c[m * width..];
            // A few rows keep the units waiting for one another: the last ones go together, in halves.
            let together = match rows - m {
                left @ 9..16 => left.div_ceil(2),
                left => left.min(8),
            };
            m += match together {
                8 if I::WIDE_REGISTERS => some_rows::<I, 8>(c, a, b, m, depth, width, start),
                7 if I::WIDE_REGISTERS => some_rows::<I, 7>(c, a, b, m, depth, width, start),
                6 if I::WIDE_REGISTERS => some_rows::<I, 6>(c, a, b, m, depth, width, start),
                5 if I::WIDE_REGISTERS => some_rows::<I, 5>(c, a, b, m, depth, width, start),
                4.. => some_rows::<I, 4>(c, a, b, m, depth, width, start),
                3 if I::WIDE_REGISTERS => some_rows::<I, 3>(c, a, b, m, depth, width, start),
                2.. => some_rows::<I, 2>(c, a, b, m, depth, width, start),
                _ => some_rows::<I, 1>(c, a, b, m, depth, width, start),
            }
        }
    }
}

/// `M` rows of the product, from row `m` of `A` on; `c` begins with them. Returns `M`.
#[inline(always)]
fn some_rows<I: Isa, const M: usize>(
    c: &mut [f32],
    a: Left,
    b: &[f32],
    m: usize,
    depth: usize,
    width: usize,
    start: Start,
) -> usize {
    match a {
        Left::Rows { data, stride } => {
            let strips = Strips::<M> { rows: rows_from(&data[m * stride..], stride), stride: 0, len: depth };
            tiles::<I, _, M>(c, strips, b, depth, width, start);
        }
        Left::Strips { data, row, stride, len } => {
            let strips = Strips::<M> { rows: rows_from(&data[m * row..], row), stride, len };
            tiles::<I, _, M>(c, strips, b, depth, width, start);
        }
        Left::Columns { data, stride } => {
            tiles::<I, _, M>(c, Columns { data: &data[m..], stride }, b, depth, width, start)
        }
    }
    M
}

/// The first `M` rows of a matrix, each with all that follows it.
#[inline(always)]
fn rows_from<const M: usize>(data: &[f32], stride: usize) -> [&[f32]; M] {
    let mut rows = [data; M];
    for (m, row) in rows.iter_mut().enumerate() {
        *row = &data[m * stride..];
    }
    rows
}

/// The factors of `M` rows of the product.
trait Factors<const M: usize>: Copy {
    /// Adds `left[m, k] * b[k]` to `sums[m]` for all `k`; `b` are rows `width` apart.
    fn accumulate<V: Lanes, const W: usize>(self, sums: &mut [[V; W]; M], b: &[f32], depth: usize, width: usize);
}

#[derive(Clone, Copy)]
struct Strips<'a, const M: usize> {
    rows: [&'a [f32]; M],
    stride: usize,
    len: usize,
}

#[derive(Clone, Copy)]
struct Columns<'a> {
    data: &'a [f32],
    stride: usize,
}

impl<const M: usize> Factors<M> for Strips<'_, M> {
    #[inline(always)]
    fn accumulate<V: Lanes, const W: usize>(self, sums: &mut [[V; W]; M], b: &[f32], depth: usize, width: usize) {
        let Self { rows, stride, len } = self;
        for strip in 0..depth / len {
            let mut strips = rows;
            for row in &mut strips {
                *row = &row[strip * stride..][..len];
            }
            let mut at = strip * len * width;
            for k in 0..len {
                let right = load_row::<V, W>(&b[at..]);
                at += width;
                for (sums, strip) in sums.iter_mut().zip(&strips) {
                    add_product_of(sums, strip[k], &right);
                }
            }
        }
    }
}

impl<const M: usize> Factors<M> for Columns<'_> {
    #[inline(always)]
    fn accumulate<V: Lanes, const W: usize>(self, sums: &mut [[V; W]; M], b: &[f32], depth: usize, width: usize) {
        let Self { data, stride } = self;
        let mut at = 0;
        for k in 0..depth {
            let right = load_row::<V, W>(&b[at..]);
            at += width;
            for (sums, &factor) in sums.iter_mut().zip(&data[k * stride..][..M]) {
                add_product_of(sums, factor, &right);
            }
        }
    }
}

#[inline(always)]
fn load_row<V: Lanes, const W: usize>(row: &[f32]) -> [V; W] {
    let row = &row[..W * V::LANES];
    let mut vectors = [V::zero(); W];
    for (w, x) in vectors.iter_mut().enumerate() {
        *x = V::load(&row[w * V::LANES..]);
    }
    vectors
}

#[inline(always)]
fn add_product_of<V: Lanes, const W: usize>(sums: &mut [V; W], factor: f32, row: &[V; W]) {
    let factor = V::splat(factor);
    for (sum, &x) in sums.iter_mut().zip(row) {
        *sum = factor.fma(x, *sum);
    }
}

/// All columns of `M` rows: two wide vectors at a time, then one, then half of one.
#[inline(always)]
fn tiles<I: Isa, F: Factors<M>, const M: usize>(
    c: &mut [f32],
    a: F,
    b: &[f32],
    depth: usize,
    width: usize,
    start: Start,
) {
    let mut n = 0;
    if I::WIDE_REGISTERS {
        while n + 2 * I::Wide::LANES <= width {
            tile::<I::Wide, F, M, 2>(c, a, b, depth, width, n, start);
            n += 2 * I::Wide::LANES;
        }
        if n + I::Wide::LANES <= width {
            tile::<I::Wide, F, M, 1>(c, a, b, depth, width, n, start);
            n += I::Wide::LANES;
        }
    }
    while n + 2 * I::Half::LANES <= width {
        tile::<I::Half, F, M, 2>(c, a, b, depth, width, n, start);
        n += 2 * I::Half::LANES;
    }
    if n < width {
        tile::<I::Half, F, M, 1>(c, a, b, depth, width, n, start);
    }
}

#[inline(always)]
fn tile<V: Lanes, F: Factors<M>, const M: usize, const W: usize>(
    c: &mut [f32],
    a: F,
    b: &[f32],
    depth: usize,
    width: usize,
    n: usize,
    start: Start,
) {
    let mut sums: [[V; W]; M] = [[V::zero(); W]; M];
    match start {
        Start::Old => {
            for (m, sums) in sums.iter_mut().enumerate() {
                *sums = load_row::<V, W>(&c[m * width + n..]);
            }
        }
        Start::Zeros => {}
        Start::Row(row) => sums = [load_row::<V, W>(&row[n..]); M],
    }
    if depth > 0 {
        a.accumulate(&mut sums, &b[n..], depth, width);
    }
    for (m, sums) in sums.iter().enumerate() {
        let row = &mut c[m * width + n..][..W * V::LANES];
        for (w, sum) in sums.iter().enumerate() {
            sum.store(&mut row[w * V::LANES..]);
        }
    }
}

vector_fn! {
    /// `C[m, n] += A[m]·B[n]` for the rows of `A` (rows, width) and `B` (columns, width), whose length is a multiple of 8; rows of `C` lie
    /// `stride` apart. Sums run over the lanes of a wide vector, then over these.
    pub(super) fn add_products_of_rows<'a, I>(
        c: (&'a mut [f32], usize),
        a: &'a [f32],
        b: &'a [f32],
        rows: usize,
        columns: usize,
        width: usize,
    ) -> () {
        let (c, stride) = c;
        let (a, b) = (&a[..rows * width], &b[..columns * width]);
        let mut m = 0;
        while m < rows {
            let (c, a) = (&mut c[m * stride..], &a[m * width..]);
            m += match rows - m {
                4.. if I::WIDE_REGISTERS => dot_rows::<I, 4>(c, a, b, columns, width, stride),
                2.. => dot_rows::<I, 2>(c, a, b, columns, width, stride),
                _ => dot_rows::<I, 1>(c, a, b, columns, width, stride),
            };
        }
    }
}

/// The first `M` rows of it; returns `M`.
#[inline(always)]
fn dot_rows<I: Isa, const M: usize>(
    c: &mut [f32],
    a: &[f32],
    b: &[f32],
    columns: usize,
    width: usize,
    stride: usize,
) -> usize {
    let mut n = 0;
    while n < columns {
        let (c, b) = (&mut c[n..], &b[n * width..]);
        n += match columns - n {
            4.. if I::WIDE_REGISTERS => dot_tile::<I, M, 4>(c, a, b, width, stride),
            2.. => dot_tile::<I, M, 2>(c, a, b, width, stride),
            _ => dot_tile::<I, M, 1>(c, a, b, width, stride),
        };
    }
    M
}

/// The first `M` rows and `N` columns of it; returns `N`.
#[inline(always)]
fn dot_tile<I: Isa, const M: usize, const N: usize>(
    c: &mut [f32],
    a: &[f32],
    b: &[f32],
    width: usize,
    stride: usize,
) -> usize {
    let (mut left, mut right) = ([a; M], [b; N]);
    for (m, row) in left.iter_mut().enumerate() {
        *row = &a[m * width..][..width];
    }
    for (n, row) in right.iter_mut().enumerate() {
        *row = &b[n * width..][..width];
    }
    let mut sums = [[I::Wide::zero(); N]; M];
    let whole = width / I::Wide::LANES * I::Wide::LANES;
    let mut k = 0;
    while k < whole {
        add_lanes_at(&mut sums, &left, &right, k);
        k += I::Wide::LANES;
    }
    let mut rest = [[I::Half::zero(); N]; M];
    if whole < width {
        add_lanes_at(&mut rest, &left, &right, whole);
    }
    for (m, (sums, rest)) in sums.iter().zip(&rest).enumerate() {
        for (c, (sum, rest)) in c[m * stride..][..N].iter_mut().zip(sums.iter().zip(rest)) {
            *c += sum.sum() + rest.sum();
        }
    }
    N
}

#[inline(always)]
fn add_lanes_at<V: Lanes, const M: usize, const N: usize>(
    sums: &mut [[V; N]; M],
    left: &[&[f32]; M],
    right: &[&[f32]; N],
    k: usize,
) {
    let mut vectors = [V::zero(); N];
    for (vector, row) in vectors.iter_mut().zip(right) {
        *vector = V::load(&row[k..]);
    }
    for (sums, row) in sums.iter_mut().zip(left) {
        let x = V::load(&row[k..]);
        for (sum, &vector) in sums.iter_mut().zip(&vectors) {
            *sum = x.fma(vector, *sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::{Detected, Job, dispatch};
    use super::*;

    struct Product<'a>(&'a mut [f32], Left<'a>, &'a [f32], [usize; 3], Start<'a>);

    impl Job for Product<'_> {
        type Output = ();
        #[inline(always)]
        fn run<I: Isa>(self) {
            let [rows, depth, width] = self.3;
            add_product::<I>(self.0, self.1, self.2, rows, depth, width, self.4);
        }
    }

    struct ProductsOfRows<'a>(&'a mut [f32], &'a [f32], &'a [f32], [usize; 4]);

    impl Job for ProductsOfRows<'_> {
        type Output = ();
        #[inline(always)]
        fn run<I: Isa>(self) {
            let [rows, columns, width, stride] = self.3;
            add_products_of_rows::<I>((self.0, stride), self.1, self.2, rows, columns, width);
        }
    }

    #[test]
    fn products_of_rows_are_those_by_hand() {
        let number = |i: usize| (i * 7919 % 23) as f32 - 11.0;
        for (rows, columns, width) in [(0, 3, 8), (1, 1, 8), (3, 5, 16), (9, 7, 24), (8, 4, 40), (6, 10, 32)] {
            let stride = columns + 3;
            let a: Vec<f32> = (0..rows * width).map(number).collect();
            let b: Vec<f32> = (0..columns * width).map(|i| number(i + 5)).collect();
            for level in Detected::all() {
                let mut c = vec![2.0; rows * stride];
                dispatch(level, ProductsOfRows(&mut c, &a, &b, [rows, columns, width, stride]));
                for (i, &got) in c.iter().enumerate() {
                    let (m, n) = (i / stride, i % stride);
                    let product = || (0..width).map(|k| a[m * width + k] * b[n * width + k]).sum::<f32>();
                    let want = if n < columns { 2.0 + product() } else { 2.0 };
                    assert_eq!(got, want, "{level:?} {rows} {columns} {width}");
                }
            }
        }
    }

    #[test]
    fn products_of_all_shapes_are_those_by_hand() {
        // Small whole numbers: every sum is exact.
        let number = |i: usize| (i * 7919 % 23) as f32 - 11.0;
        for rows in (0..=17).chain([25]) {
            for (depth, width) in [(0, 8), (1, 8), (6, 24), (12, 40), (18, 56)] {
                let (stride, padded) = (depth + 3, 5);
                let a: Vec<f32> = (0..(rows + 20) * (stride + 40) * 2).map(number).collect();
                let b: Vec<f32> = (0..depth * width).map(|i| number(i + 5)).collect();
                type Place<'a> = &'a dyn Fn(usize, usize) -> usize;
                let lefts: [(Left, Place); 3] = [
                    (Left::rows(&a, stride), &|m, k| m * stride + k),
                    (Left::columns(&a, rows + 1), &|m, k| k * (rows + 1) + m),
                    (Left::Strips { data: &a, row: depth / 3 * padded, stride: padded, len: 3 }, &|m, k| {
                        m * (depth / 3 * padded) + k / 3 * padded + k % 3
                    }),
                ];
                for (kind, (left, at)) in lefts.into_iter().enumerate() {
                    if kind == 2 && !depth.is_multiple_of(3) {
                        continue;
                    }
                    let first: Vec<f32> = (0..width).map(|n| number(n + 3)).collect();
                    let starts = [Start::Old, Start::Zeros, Start::Row(&first)];
                    for (level, start) in
                        Detected::all().into_iter().flat_map(|level| starts.map(|start| (level, start)))
                    {
                        let mut c = vec![2.0; rows * width];
                        dispatch(level, Product(&mut c, left, &b, [rows, depth, width], start));
                        for (i, &got) in c.iter().enumerate() {
                            let (m, n) = (i / width, i % width);
                            let sum: f32 = (0..depth).map(|k| a[at(m, k)] * b[k * width + n]).sum();
                            let before = match start {
                                Start::Old => 2.0,
                                Start::Zeros => 0.0,
                                Start::Row(row) => row[n],
                            };
                            assert_eq!(got, before + sum, "{level:?} {rows} {depth} {width} {kind}");
                        }
                    }
                }
            }
        }
    }
}
