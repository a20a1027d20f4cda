//! Attention of the nodes of one level over themselves and their ancestors, for all heads of a group at once.
//!
//! A query `i` sees the `K = p + 1` rows `keys[i, 0 … K-1]`, the last of them its own. With the circuits QK and OV every row has
//! `u = QKᵀ qk_in` and `o = OVᵀ ov_in`, and for every head `h`:
//!
//! ```text
//! α_j = softmax_j(u[own]·qk_in[key_j])           r = Σ_h Σ_j α_j o[key_j]
//! ```
//!
//! The lanes of a vector are heads (`by_head`) or coordinates (`by_coordinate`), whichever wastes less of it.

use super::super::functions::{LOG2_E, exp2, share};
use super::super::layout::{Layout, Tables};
use super::super::simd::{Isa, Lanes};
use super::{by_coordinate, by_head};

/// The keys of the queries of one level.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    /// (queries, count).
    pub(super) rows: &'a [u32],
    /// Keys of a query.
    pub(super) count: usize,
}

/// What queries read. Rows are those of the keys; `u` begins with row `u_start`, before which no row asks.
#[derive(Clone, Copy)]
pub(super) struct Read<'a> {
    pub(super) u: &'a [f32],
    pub(super) u_start: usize,
    /// (rows, stride_module).
    pub(super) qk_in: &'a [f32],
    pub(super) o: &'a [f32],
}

/// Gradients by what queries read, all added to.
pub(super) struct Gradients<'a> {
    pub(super) du: &'a mut [f32],
    /// By `qk_in` as it is a key: not yet added over the heads, (rows, c, h), where lanes are heads; else (rows, stride_module).
    pub(super) d_key: &'a mut [f32],
    pub(super) d_o: &'a mut [f32],
}

/// Attention of all queries: its weights into `alpha` (queries, keys, heads_padded), what the heads write into `r` (queries,
/// stride_module), or added to it where not `afresh`.
pub(super) fn attend<I: Isa>(layout: &Layout, keys: Keys, read: Read, alpha: &mut [f32], r: &mut [f32], afresh: bool) {
    match layout.tables {
        Tables::ByHead => by_head::attend::<I>(layout, keys, read, alpha, r, afresh),
        Tables::ByCoordinate => by_coordinate::attend::<I>(layout, keys, read, alpha, r, afresh),
    }
}

/// From `dr` (queries, stride_module), the gradient by `r`, to those by all that was read. `room`: (keys, heads_padded).
pub(super) fn attend_backward<I: Isa>(
    layout: &Layout,
    keys: Keys,
    read: Read,
    alpha: &[f32],
    dr: &[f32],
    gradients: Gradients,
    room: &mut [f32],
) {
    match layout.tables {
        Tables::ByHead => by_head::attend_backward::<I>(layout, keys, read, alpha, dr, gradients, room),
        Tables::ByCoordinate => by_coordinate::attend_backward::<I>(layout, keys, read, alpha, dr, gradients, room),
    }
}

/// `α = softmax(score)` over the keys, for the heads of the vector at `v`; scores are (keys, heads), the largest is `most`.
#[inline(always)]
pub(super) fn softmax<V: Lanes>(scores: &mut [f32], most: V, heads: usize, v: usize) {
    let mut sum = V::zero();
    for score in scores.chunks_exact_mut(heads) {
        let e = exp2(V::load(&score[v..]).sub(most).mul(V::splat(LOG2_E)));
        e.store(&mut score[v..]);
        sum = sum.add(e);
    }
    let over_sum = V::splat(1.0).div(sum);
    for alpha in scores.chunks_exact_mut(heads) {
        share(V::load(&alpha[v..]).mul(over_sum)).store(&mut alpha[v..]);
    }
}

/// From the gradients by the weights to those by the scores, in place: `d_score_j = α_j (dα_j - Σ_i α_i dα_i)`, `total` the sum.
#[inline(always)]
pub(super) fn softmax_backward<V: Lanes>(alpha: &[f32], d_scores: &mut [f32], total: V, heads: usize, v: usize) {
    for (alpha, d_score) in alpha.chunks_exact(heads).zip(d_scores.chunks_exact_mut(heads)) {
        let d_alpha = V::load(&d_score[v..]).sub(total);
        V::load(&alpha[v..]).mul(d_alpha).store(&mut d_score[v..]);
    }
}
