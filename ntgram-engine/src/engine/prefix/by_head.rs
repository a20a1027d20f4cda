//! Attention with heads in the lanes of a vector: tables are (row, c, h), heads padded.

use super::super::layout::{KNOWN_SIZES, Layout, PAD};
use super::super::simd::{Lanes, vector_fn};
use super::attend::{Gradients, Keys, Read, softmax, softmax_backward};

/// Calls `$run::<V, D, H>($arguments)`. `D`, `H` are the values of `d_module` and `heads_padded` where they are those of a known
/// case, or else 0: sizes that the compiler knows make the inner loops straight lines without checks.
macro_rules! with_sizes {
    ($isa:ident, $layout:expr, $run:ident($($argument:expr),* $(,)?)) => {
        match ($layout.d_module, $layout.heads_padded) {
            (5, 8) if KNOWN_SIZES => $run::<$isa::Half, 5, 8>($($argument),*),
            (10, 8) if KNOWN_SIZES => $run::<$isa::Half, 10, 8>($($argument),*),
            (10, 16) if KNOWN_SIZES => $run::<$isa::Wide, 10, 16>($($argument),*),
            (10, 24) if KNOWN_SIZES => $run::<$isa::Half, 10, 24>($($argument),*),
            (_, heads) if heads % 16 == 0 => $run::<$isa::Wide, 0, 0>($($argument),*),
            _ => $run::<$isa::Half, 0, 0>($($argument),*),
        }
    };
}

/// `d_module`, the same padded, and `heads_padded`: as the compiler knows them, where that is not 0.
#[inline(always)]
fn sizes<const D: usize, const H: usize>(layout: &Layout) -> (usize, usize, usize) {
    if D > 0 { (D, D.next_multiple_of(PAD), H) } else { (layout.d_module, layout.stride_module, layout.heads_padded) }
}

vector_fn! {
    /// Attention of all queries: its weights into `alpha` (queries, keys, heads_padded), what the heads write into `r` (queries,
    /// stride_module), or added to it where not `afresh`.
    pub(super) fn attend<'a, I>(
        layout: &'a Layout,
        keys: Keys<'a>,
        read: Read<'a>,
        alpha: &'a mut [f32],
        r: &'a mut [f32],
        afresh: bool,
    ) -> () {
        with_sizes!(I, layout, attend_queries(layout, keys, read, alpha, r, afresh));
    }
}

#[inline(always)]
fn attend_queries<V: Lanes, const D: usize, const H: usize>(
    layout: &Layout,
    keys: Keys,
    read: Read,
    alpha: &mut [f32],
    r: &mut [f32],
    afresh: bool,
) {
    let (d, stride, heads) = sizes::<D, H>(layout);
    let size = d * heads;
    let count = keys.count;
    let queries = keys.rows.chunks_exact(count).zip(alpha.chunks_exact_mut(count * heads));
    for ((keys, alpha), r) in queries.zip(r.chunks_exact_mut(stride)) {
        let u = &read.u[(keys[count - 1] as usize - read.u_start) * size..][..size];
        for v in (0..heads).step_by(V::LANES) {
            // score_j = u·qk_in[key_j]
            let mut most = V::splat(f32::NEG_INFINITY);
            let mut j = 0;
            while j < count {
                let (keys, alpha) = (&keys[j..], &mut alpha[j * heads..]);
                j += match count - j {
                    4.. => scores::<V, 4>(u, keys, read.qk_in, alpha, &mut most, [d, stride, heads, v]),
                    3 => scores::<V, 3>(u, keys, read.qk_in, alpha, &mut most, [d, stride, heads, v]),
                    2 => scores::<V, 2>(u, keys, read.qk_in, alpha, &mut most, [d, stride, heads, v]),
                    _ => scores::<V, 1>(u, keys, read.qk_in, alpha, &mut most, [d, stride, heads, v]),
                };
            }
            softmax(alpha, most, heads, v);
        }
        // r = Σ_h Σ_j α_j o[key_j]
        let mut c = 0;
        while c < d {
            let r = &mut r[c..];
            c += match d - c {
                5.. if d % 5 == 0 => mix::<V, 5>(alpha, keys, read.o, r, afresh, [c, size, heads]),
                4.. => mix::<V, 4>(alpha, keys, read.o, r, afresh, [c, size, heads]),
                3 => mix::<V, 3>(alpha, keys, read.o, r, afresh, [c, size, heads]),
                2 => mix::<V, 2>(alpha, keys, read.o, r, afresh, [c, size, heads]),
                _ => mix::<V, 1>(alpha, keys, read.o, r, afresh, [c, size, heads]),
            };
        }
    }
}

/// Scores of `J` keys for the heads of one vector, and the largest so far; returns `J`.
#[inline(always)]
fn scores<V: Lanes, const J: usize>(
    u: &[f32],
    keys: &[u32],
    qk_in: &[f32],
    to: &mut [f32],
    most: &mut V,
    [d, stride, heads, v]: [usize; 4],
) -> usize {
    let mut rows = [qk_in; J];
    for (row, &key) in rows.iter_mut().zip(keys) {
        *row = &qk_in[key as usize * stride..][..d];
    }
    let mut sums = [V::zero(); J];
    for c in 0..d {
        let u = V::load(&u[c * heads + v..]);
        for (sum, row) in sums.iter_mut().zip(&rows) {
            *sum = u.fma(V::splat(row[c]), *sum);
        }
    }
    for (sum, to) in sums.iter().zip(to.chunks_exact_mut(heads)) {
        // In this order NaN stays NaN.
        *most = most.max(*sum);
        sum.store(&mut to[v..]);
    }
    J
}

/// `C` coordinates, from `c` on, of what all heads write; returns `C`.
#[inline(always)]
fn mix<V: Lanes, const C: usize>(
    alpha: &[f32],
    keys: &[u32],
    o: &[f32],
    r: &mut [f32],
    afresh: bool,
    [c, size, heads]: [usize; 3],
) -> usize {
    let mut sums = [V::zero(); C];
    for (&key, alpha) in keys.iter().zip(alpha.chunks_exact(heads)) {
        let o = &o[key as usize * size..][..size];
        for v in (0..heads).step_by(V::LANES) {
            let alpha = V::load(&alpha[v..]);
            for (k, sum) in sums.iter_mut().enumerate() {
                *sum = V::load(&o[(c + k) * heads + v..]).fma(alpha, *sum);
            }
        }
    }
    for (sum, r) in sums.iter().zip(r) {
        *r = if afresh { sum.sum() } else { *r + sum.sum() };
    }
    C
}

vector_fn! {
    /// From `dr` (queries, stride_module), the gradient by `r`, to those by all that was read. `room`: (keys, heads_padded).
    pub(super) fn attend_backward<'a, I>(
        layout: &'a Layout,
        keys: Keys<'a>,
        read: Read<'a>,
        alpha: &'a [f32],
        dr: &'a [f32],
        gradients: Gradients<'a>,
        room: &'a mut [f32],
    ) -> () {
        with_sizes!(I, layout, attend_queries_backward(layout, keys, read, alpha, dr, gradients, room));
    }
}

#[inline(always)]
fn attend_queries_backward<V: Lanes, const D: usize, const H: usize>(
    layout: &Layout,
    keys: Keys,
    read: Read,
    alpha: &[f32],
    dr: &[f32],
    gradients: Gradients,
    room: &mut [f32],
) {
    let (d, stride, heads) = sizes::<D, H>(layout);
    let size = d * heads;
    let count = keys.count;
    let d_scores = &mut room[..count * heads];
    let queries = keys.rows.chunks_exact(count).zip(alpha.chunks_exact(count * heads));
    for ((keys, alpha), dr) in queries.zip(dr.chunks_exact(stride)) {
        let dr = &dr[..d];
        let own = (keys[count - 1] as usize - read.u_start) * size;
        let u = &read.u[own..][..size];
        for v in (0..heads).step_by(V::LANES) {
            // r = Σ_h Σ_j α_j o[key_j]
            let mut total = V::zero();
            let mut j = 0;
            while j < count {
                let (keys, alpha, to) = (&keys[j..], &alpha[j * heads..], &mut d_scores[j * heads..]);
                j += match count - j {
                    4.. => d_alphas::<V, 4>(dr, keys, read.o, alpha, to, &mut total, [size, heads, v]),
                    3 => d_alphas::<V, 3>(dr, keys, read.o, alpha, to, &mut total, [size, heads, v]),
                    2 => d_alphas::<V, 2>(dr, keys, read.o, alpha, to, &mut total, [size, heads, v]),
                    _ => d_alphas::<V, 1>(dr, keys, read.o, alpha, to, &mut total, [size, heads, v]),
                };
            }
            softmax_backward(alpha, d_scores, total, heads, v);
        }
        // score_j = u·qk_in[key_j]
        for ((&key, alpha), d_score) in keys.iter().zip(alpha.chunks_exact(heads)).zip(d_scores.chunks_exact(heads)) {
            let at = key as usize * size;
            let (d_o, d_key) = (&mut gradients.d_o[at..][..size], &mut gradients.d_key[at..][..size]);
            for v in (0..heads).step_by(V::LANES) {
                let (alpha, d_score) = (V::load(&alpha[v..]), V::load(&d_score[v..]));
                for (c, &dr) in dr.iter().enumerate() {
                    let at = c * heads + v;
                    alpha.fma(V::splat(dr), V::load(&d_o[at..])).store(&mut d_o[at..]);
                    d_score.fma(V::load(&u[at..]), V::load(&d_key[at..])).store(&mut d_key[at..]);
                }
            }
        }
        let du = &mut gradients.du[own..][..size];
        for v in (0..heads).step_by(V::LANES) {
            let mut c = 0;
            while c < d {
                let du = &mut du[c * heads + v..];
                c += match d - c {
                    5.. if d % 5 == 0 => d_query::<V, 5>(d_scores, keys, read.qk_in, du, [c, stride, heads, v]),
                    4.. => d_query::<V, 4>(d_scores, keys, read.qk_in, du, [c, stride, heads, v]),
                    3 => d_query::<V, 3>(d_scores, keys, read.qk_in, du, [c, stride, heads, v]),
                    2 => d_query::<V, 2>(d_scores, keys, read.qk_in, du, [c, stride, heads, v]),
                    _ => d_query::<V, 1>(d_scores, keys, read.qk_in, du, [c, stride, heads, v]),
                };
            }
        }
    }
}

/// Gradients by the weights of `J` keys for the heads of one vector, and their sum times the weights; returns `J`.
#[inline(always)]
fn d_alphas<V: Lanes, const J: usize>(
    dr: &[f32],
    keys: &[u32],
    o: &[f32],
    alpha: &[f32],
    to: &mut [f32],
    total: &mut V,
    [size, heads, v]: [usize; 3],
) -> usize {
    let mut rows = [o; J];
    for (row, &key) in rows.iter_mut().zip(keys) {
        *row = &o[key as usize * size..][..size];
    }
    let mut sums = [V::zero(); J];
    for (c, &dr) in dr.iter().enumerate() {
        let dr = V::splat(dr);
        for (sum, row) in sums.iter_mut().zip(&rows) {
            *sum = V::load(&row[c * heads + v..]).fma(dr, *sum);
        }
    }
    for ((sum, to), alpha) in sums.iter().zip(to.chunks_exact_mut(heads)).zip(alpha.chunks_exact(heads)) {
        sum.store(&mut to[v..]);
        *total = V::load(&alpha[v..]).fma(*sum, *total);
    }
    J
}

/// `C` coordinates, from `c` on, of the gradient by a query's `u`, added, for the heads of one vector; returns `C`.
#[inline(always)]
fn d_query<V: Lanes, const C: usize>(
    d_scores: &[f32],
    keys: &[u32],
    qk_in: &[f32],
    du: &mut [f32],
    [c, stride, heads, v]: [usize; 4],
) -> usize {
    let mut sums = [V::zero(); C];
    for (&key, d_score) in keys.iter().zip(d_scores.chunks_exact(heads)) {
        let key = &qk_in[key as usize * stride + c..][..C];
        let d_score = V::load(&d_score[v..]);
        for (sum, &x) in sums.iter_mut().zip(key) {
            *sum = d_score.fma(V::splat(x), *sum);
        }
    }
    for (k, sum) in sums.iter().enumerate() {
        let du = &mut du[k * heads..];
        V::load(du).add(*sum).store(du);
    }
    C
}

vector_fn! {
    /// Adds `by_head` (rows, c, h) over the heads, to `to` (rows, stride_module).
    pub(super) fn add_over_heads<'a, I>(layout: &'a Layout, to: &'a mut [f32], by_head: &'a [f32]) -> () {
        let &Layout { d_module, stride_module, heads_padded, .. } = layout;
        let rows = to.chunks_exact_mut(stride_module).zip(by_head.chunks_exact(d_module * heads_padded));
        for (to, by_head) in rows {
            for (to, heads) in to.iter_mut().zip(by_head.chunks_exact(heads_padded)) {
                let mut sum = I::Half::zero();
                for heads in heads.chunks_exact(I::Half::LANES) {
                    sum = sum.add(I::Half::load(heads));
                }
                *to += sum.sum();
            }
        }
    }
}
