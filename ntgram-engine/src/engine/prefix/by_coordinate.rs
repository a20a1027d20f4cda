//! Attention with coordinates in the lanes of a vector: tables are (row, h, c), coordinates padded.

use super::super::layout::{KNOWN_SIZES, Layout};
use super::super::simd::{Lanes, vector_fn};
use super::attend::{Gradients, Keys, Read, softmax, softmax_backward};

vector_fn! {
    /// As `attend::attend`.
    pub(super) fn attend<'a, I>(
        layout: &'a Layout,
        keys: Keys<'a>,
        read: Read<'a>,
        alpha: &'a mut [f32],
        r: &'a mut [f32],
        afresh: bool,
    ) -> () {
        match layout.stride_module {
            16 if KNOWN_SIZES => attend_queries::<I::Half, I::Wide, 1>(layout, keys, read, alpha, r, afresh),
            32 if KNOWN_SIZES => attend_queries::<I::Half, I::Wide, 2>(layout, keys, read, alpha, r, afresh),
            64 if KNOWN_SIZES => attend_queries::<I::Half, I::Wide, 4>(layout, keys, read, alpha, r, afresh),
            _ => attend_queries::<I::Half, I::Wide, 0>(layout, keys, read, alpha, r, afresh),
        }
    }
}

/// Vectors of a row: as the compiler knows them, where that is not 0.
#[inline(always)]
fn sizes<C: Lanes, const W: usize>(layout: &Layout) -> (usize, usize) {
    let stride = if W > 0 { W * C::LANES } else { layout.stride_module };
    (stride, layout.heads * stride)
}

#[inline(always)]
fn attend_queries<V: Lanes, C: Lanes, const W: usize>(
    layout: &Layout,
    keys: Keys,
    read: Read,
    alpha: &mut [f32],
    r: &mut [f32],
    afresh: bool,
) {
    let (stride, size) = sizes::<C, W>(layout);
    let (count, heads) = (keys.count, layout.heads_padded);
    let queries = keys.rows.chunks_exact(count).zip(alpha.chunks_exact_mut(count * heads));
    for ((keys, alpha), r) in queries.zip(r.chunks_exact_mut(stride)) {
        let u = &read.u[(keys[count - 1] as usize - read.u_start) * size..][..size];
        // score_j = u·qk_in[key_j]
        for (&key, scores) in keys.iter().zip(alpha.chunks_exact_mut(heads)) {
            let key = &read.qk_in[key as usize * stride..][..stride];
            products::<C>(u, key, scores, stride);
        }
        for v in (0..heads).step_by(V::LANES) {
            let mut most = V::splat(f32::NEG_INFINITY);
            // In this order NaN stays NaN.
            alpha.chunks_exact(heads).for_each(|scores| most = most.max(V::load(&scores[v..])));
            softmax(alpha, most, heads, v);
        }
        // r = Σ_h Σ_j α_j o[key_j]
        for w in (0..stride).step_by(C::LANES) {
            let mut sums = [C::zero(); 2];
            for (&key, alpha) in keys.iter().zip(alpha.chunks_exact(heads)) {
                let o = &read.o[key as usize * size..][..size];
                for (h, (o, &alpha)) in o.chunks_exact(stride).zip(alpha).enumerate() {
                    sums[h % 2] = C::load(&o[w..]).fma(C::splat(alpha), sums[h % 2]);
                }
            }
            let sum = sums[0].add(sums[1]);
            if afresh { sum } else { C::load(&r[w..]).add(sum) }.store(&mut r[w..]);
        }
    }
}

/// For each head the product of its row (stride) of `table` with `x`.
#[inline(always)]
fn products<C: Lanes>(table: &[f32], x: &[f32], to: &mut [f32], stride: usize) {
    for (row, to) in table.chunks_exact(stride).zip(to) {
        let mut sum = C::zero();
        for w in (0..stride).step_by(C::LANES) {
            sum = C::load(&row[w..]).fma(C::load(&x[w..]), sum);
        }
        *to = sum.sum();
    }
}

vector_fn! {
    /// As `attend::attend_backward`.
    pub(super) fn attend_backward<'a, I>(
        layout: &'a Layout,
        keys: Keys<'a>,
        read: Read<'a>,
        alpha: &'a [f32],
        dr: &'a [f32],
        gradients: Gradients<'a>,
        room: &'a mut [f32],
    ) -> () {
        match layout.stride_module {
            16 if KNOWN_SIZES => attend_queries_backward::<I::Half, I::Wide, 1>(layout, keys, read, alpha, dr, gradients, room),
            32 if KNOWN_SIZES => attend_queries_backward::<I::Half, I::Wide, 2>(layout, keys, read, alpha, dr, gradients, room),
            64 if KNOWN_SIZES => attend_queries_backward::<I::Half, I::Wide, 4>(layout, keys, read, alpha, dr, gradients, room),
            _ => attend_queries_backward::<I::Half, I::Wide, 0>(layout, keys, read, alpha, dr, gradients, room),
        }
    }
}

#[inline(always)]
fn attend_queries_backward<V: Lanes, C: Lanes, const W: usize>(
    layout: &Layout,
    keys: Keys,
    read: Read,
    alpha: &[f32],
    dr: &[f32],
    gradients: Gradients,
    room: &mut [f32],
) {
    let (stride, size) = sizes::<C, W>(layout);
    let (count, heads) = (keys.count, layout.heads_padded);
    let d_scores = &mut room[..count * heads];
    let queries = keys.rows.chunks_exact(count).zip(alpha.chunks_exact(count * heads));
    for ((keys, alpha), dr) in queries.zip(dr.chunks_exact(stride)) {
        let own = (keys[count - 1] as usize - read.u_start) * size;
        let u = &read.u[own..][..size];
        // r = Σ_h Σ_j α_j o[key_j]
        for ((&key, alpha), d_alpha) in keys.iter().zip(alpha.chunks_exact(heads)).zip(d_scores.chunks_exact_mut(heads))
        {
            let at = key as usize * size;
            products::<C>(&read.o[at..][..size], dr, d_alpha, stride);
            for (d_o, &alpha) in gradients.d_o[at..][..size].chunks_exact_mut(stride).zip(alpha) {
                let alpha = C::splat(alpha);
                for w in (0..stride).step_by(C::LANES) {
                    alpha.fma(C::load(&dr[w..]), C::load(&d_o[w..])).store(&mut d_o[w..]);
                }
            }
        }
        for v in (0..heads).step_by(V::LANES) {
            let mut total = V::zero();
            for (alpha, d_alpha) in alpha.chunks_exact(heads).zip(d_scores.chunks_exact(heads)) {
                total = V::load(&alpha[v..]).fma(V::load(&d_alpha[v..]), total);
            }
            softmax_backward(alpha, d_scores, total, heads, v);
        }
        // score_j = u·qk_in[key_j]
        for (&key, d_scores) in keys.iter().zip(d_scores.chunks_exact(heads)) {
            let d_key = &mut gradients.d_key[key as usize * stride..][..stride];
            for w in (0..stride).step_by(C::LANES) {
                let mut sum = C::load(&d_key[w..]);
                for (u, &d_score) in u.chunks_exact(stride).zip(d_scores) {
                    sum = C::splat(d_score).fma(C::load(&u[w..]), sum);
                }
                sum.store(&mut d_key[w..]);
            }
        }
        for (h, du) in gradients.du[own..][..size].chunks_exact_mut(stride).enumerate() {
            for w in (0..stride).step_by(C::LANES) {
                let mut sum = C::load(&du[w..]);
                for (&key, d_scores) in keys.iter().zip(d_scores.chunks_exact(heads)) {
                    let key = C::load(&read.qk_in[key as usize * stride + w..]);
                    sum = C::splat(d_scores[h]).fma(key, sum);
                }
                sum.store(&mut du[w..]);
            }
        }
    }
}
