//! Attention of the second token over both tokens of a pair, for all heads of a group at once.
//!
//! Position 0 has one row for each distinct first token (`a`), position 1 one for each distinct second token, or one for each pair
//! after the first layer (`b`). For a pair (a, b) and every head `h`, with the circuits QK and OV:
//!
//! ```text
//! u[b] = QKᵀ f1[b]                           o0[a] = OVᵀ g0[a],  o1[b] = OVᵀ g1[b]
//! α    = sigmoid(u[b]·f0[a] - u[b]·f1[b])    the weight of the first token
//! r    = s_res x1[b] + Σ_h α o0[a] + (1 - α) o1[b]
//! ```
//!
//! `f`, `g` are the inputs of the QK and OV circuits. Tables come in two layouts: `(row, c, h)` with heads padded to vectors, for sums
//! over coordinates, and `(row, h, c)` with coordinates padded, for sums over heads.

use super::circuits::Circuit;
use super::gemm::{Left, add_product};
use super::layout::{Layout, padded};
use super::math::{Buffer, sigmoid};
use super::simd::{Isa, Lanes, vector_fn};

/// The tables of a group of heads and their gradients. Each table is needed in one layout on the way forward and in the other on the way back.
#[derive(Debug)]
pub(super) struct Tables {
    /// `u[b]`: forward (rows 1, d, lanes), backward (rows 1, heads, stride).
    u: Buffer,
    /// `o0[a]`, `o1[b]`: forward (rows, heads, stride), backward (rows, d, lanes).
    pub(super) o0: Buffer,
    o1: Buffer,
    /// Gradients by `u`, `o0`, `o1`, (rows, d, lanes).
    du: Buffer,
    pub(super) d_o0: Buffer,
    d_o1: Buffer,
    /// Gradient by each pair's score, (pairs, lanes).
    d_score: Buffer,
}

/// What the heads' outputs are added to.
#[derive(Clone, Copy)]
pub(super) enum Onto<'a> {
    Nothing,
    /// The stream before attention, (rows 1, stride).
    Stream(&'a [f32]),
    /// The outputs of the heads before.
    Heads,
}

/// Inputs of a layer's circuits at one position, (rows, stride) each.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    pub(super) f: &'a [f32],
    pub(super) g: &'a [f32],
    pub(super) rows: usize,
}

/// Gradients by [`Inputs`].
pub(super) struct InputGradients<'a> {
    pub(super) df: &'a mut [f32],
    pub(super) dg: &'a mut [f32],
}

impl InputGradients<'_> {
    pub(super) fn reborrow(&mut self) -> InputGradients<'_> {
        InputGradients { df: self.df, dg: self.dg }
    }
}

/// The pairs of a batch: rows of position 0 and 1. Rows of position 1 ascend.
#[derive(Clone, Copy)]
pub(super) struct Pairs<'a> {
    pub(super) first: &'a [u32],
    pub(super) second: &'a [u32],
}

impl Pairs<'_> {
    /// The first run of pairs at or after `start` with the same second row: (row, end).
    #[inline(always)]
    fn run(&self, start: usize) -> (usize, usize) {
        let row = self.second[start];
        let len = self.second[start..].iter().take_while(|&&r| r == row).count();
        (row as usize, start + len)
    }
}

impl Tables {
    /// Room for `rows0`, `rows1` rows and `pairs` pairs.
    pub(super) fn new(layout: &Layout, rows0: usize, rows1: usize, pairs: usize) -> Self {
        let &Layout { d, stride, heads, lanes, .. } = layout;
        let table = |rows: usize| Buffer::new(rows * (d * lanes).max(heads * stride));
        let gradient = |rows: usize| Buffer::new(rows * d * lanes);
        Self {
            u: table(rows1),
            o0: table(rows0),
            o1: table(rows1),
            du: gradient(rows1),
            d_o0: gradient(rows0),
            d_o1: gradient(rows1),
            d_score: Buffer::new(pairs * lanes),
        }
    }
}

/// Fills the tables for the way forward.
pub(super) fn fill<I: Isa>(tables: &mut Tables, layout: &Layout, qk: &Circuit, ov: &Circuit, at0: Inputs, at1: Inputs) {
    fill_table::<I>(&mut tables.u, layout, at1.f, &qk.by_head_lane, at1.rows);
    fill_table::<I>(&mut tables.o0, layout, at0.g, &ov.by_coordinate_lane, at0.rows);
    fill_table::<I>(&mut tables.o1, layout, at1.g, &ov.by_coordinate_lane, at1.rows);
}

/// Fills the tables for the way back.
pub(super) fn fill_backward<I: Isa>(
    tables: &mut Tables,
    layout: &Layout,
    qk: &Circuit,
    ov: &Circuit,
    at0: Inputs,
    at1: Inputs,
) {
    fill_table::<I>(&mut tables.u, layout, at1.f, &qk.by_coordinate_lane, at1.rows);
    fill_table::<I>(&mut tables.o0, layout, at0.g, &ov.by_head_lane, at0.rows);
    fill_table::<I>(&mut tables.o1, layout, at1.g, &ov.by_head_lane, at1.rows);
}

/// Calls `$run::<V, C, D, L>($arguments)`: `V`, `C` the vectors for heads and coordinates, `D`, `L` the values of `d` and `lanes`, known to the
/// compiler for small sizes, or else 0. Known sizes make the inner loops straight lines without checks.
macro_rules! with_sizes {
    ($isa:ident, $layout:expr, $run:ident($($argument:expr),* $(,)?)) => {
        match ($layout.d, $layout.lanes) {
            (5, 8) => $run::<$isa::Half, $isa::Half, 5, 8>($($argument),*),
            (5, 24) => $run::<$isa::Half, $isa::Half, 5, 24>($($argument),*),
            (10, 8) => $run::<$isa::Half, $isa::Wide, 10, 8>($($argument),*),
            (10, 16) => $run::<$isa::Wide, $isa::Wide, 10, 16>($($argument),*),
            _ => $run::<$isa::Half, $isa::Half, 0, 0>($($argument),*),
        }
    };
}

/// Sizes: those known to the compiler, where they are not 0.
#[inline(always)]
fn sizes<const D: usize, const L: usize>(layout: &Layout) -> (usize, usize, usize) {
    let d = if D > 0 { D } else { layout.d };
    (d, padded(d), if L > 0 { L } else { layout.lanes })
}

vector_fn! {
    /// Attention of every pair: its weights into `alpha` (pairs, lanes), what the heads write into `r` (pairs, stride).
    pub(super) fn attend<'a, I>(
        tables: &'a Tables,
        layout: &'a Layout,
        pairs: Pairs<'a>,
        at0: Inputs<'a>,
        at1: Inputs<'a>,
        alpha: &'a mut [f32],
        onto: Onto<'a>,
        r: &'a mut [f32],
    ) -> () {
        with_sizes!(I, layout, attend_pairs(tables, layout, pairs, [at0, at1], alpha, onto, r));
    }
}

#[inline(always)]
fn attend_pairs<V: Lanes, C: Lanes, const D: usize, const L: usize>(
    tables: &Tables,
    layout: &Layout,
    pairs: Pairs,
    [at0, at1]: [Inputs; 2],
    alpha: &mut [f32],
    onto: Onto,
    r: &mut [f32],
) {
    let (d, stride, lanes) = sizes::<D, L>(layout);
    let (table, by_head) = (d * lanes, layout.heads * stride);
    let mut start = 0;
    while start < pairs.first.len() {
        let (b, end) = pairs.run(start);
        let u = &tables.u[b * table..][..table];
        let o1 = &tables.o1[b * by_head..][..by_head];
        let f1 = &at1.f[b * stride..][..d];
        let x1 = if let Onto::Stream(x) = onto { Some(&x[b * stride..][..stride]) } else { None };
        let alphas = alpha[start * lanes..end * lanes].chunks_exact_mut(lanes);
        let streams = r[start * stride..end * stride].chunks_exact_mut(stride);
        for ((&a, alpha), r) in pairs.first[start..end].iter().zip(alphas).zip(streams) {
            let f0 = &at0.f[a as usize * stride..][..d];
            // α = sigmoid(u·f0 - u·f1)
            for v in (0..lanes).step_by(V::LANES) {
                let mut score = V::zero();
                for c in 0..d {
                    score = V::load(&u[c * lanes + v..]).fma(V::splat(f0[c] - f1[c]), score);
                }
                sigmoid(score).store(&mut alpha[v..]);
            }
            // r = s_res x1 + Σ_h o1 + α (o0 - o1)
            let o0 = &tables.o0[a as usize * by_head..][..by_head];
            for w in (0..stride).step_by(C::LANES) {
                let mut sum = match (x1, onto) {
                    (Some(x1), _) => C::load(&x1[w..]),
                    (None, Onto::Heads) => C::load(&r[w..]),
                    (None, _) => C::zero(),
                };
                for ((o0, o1), &alpha) in o0.chunks_exact(stride).zip(o1.chunks_exact(stride)).zip(&*alpha) {
                    let o1 = C::load(&o1[w..]);
                    sum = C::splat(alpha).fma(C::load(&o0[w..]).sub(o1), sum.add(o1));
                }
                sum.store(&mut r[w..]);
            }
        }
        start = end;
    }
}

vector_fn! {
    /// From `dr` (pairs, stride), the gradient by the stream after attention, to the tables' (overwritten, `d_o0` added to), and to part of
    /// those by the inputs (added) and by the stream before it (overwritten).
    pub(super) fn attend_backward<'a, I>(
        tables: &'a mut Tables,
        layout: &'a Layout,
        pairs: Pairs<'a>,
        at0: Inputs<'a>,
        at1: Inputs<'a>,
        alpha: &'a [f32],
        dr: &'a [f32],
        grad0: InputGradients<'a>,
        grad1: InputGradients<'a>,
        dx1: Option<&'a mut [f32]>,
    ) -> () {
        with_sizes!(I, layout, attend_pairs_backward(tables, layout, pairs, [at0, at1], alpha, dr, grad0.df, grad1.df, dx1));
    }
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the forward pass's operands and their gradients")]
fn attend_pairs_backward<V: Lanes, C: Lanes, const D: usize, const L: usize>(
    tables: &mut Tables,
    layout: &Layout,
    pairs: Pairs,
    [at0, at1]: [Inputs; 2],
    alpha: &[f32],
    dr: &[f32],
    df0: &mut [f32],
    df1: &mut [f32],
    mut dx1: Option<&mut [f32]>,
) {
    let (d, stride, lanes) = sizes::<D, L>(layout);
    let (table, by_head) = (d * lanes, layout.heads * stride);
    tables.du[..at1.rows * table].fill(0.0);
    tables.d_o1[..at1.rows * table].fill(0.0);
    let one = V::splat(1.0);
    let mut start = 0;
    while start < pairs.first.len() {
        let (b, end) = pairs.run(start);
        let first = &pairs.first[start..end];
        let dr = &dr[start * stride..end * stride];
        let alphas = &alpha[start * lanes..end * lanes];
        let d_scores = &mut tables.d_score[start * lanes..end * lanes];
        let o1 = &tables.o1[b * table..][..table];
        let u_by_head = &tables.u[b * by_head..][..by_head];
        let f1 = &at1.f[b * stride..][..d];
        let df1 = &mut df1[b * stride..][..stride];
        let rows = first.iter().zip(dr.chunks_exact(stride));
        let strips = alphas.chunks_exact(lanes).zip(d_scores.chunks_exact_mut(lanes));
        for ((&a, dr), (alpha, d_score)) in rows.zip(strips) {
            let a = a as usize;
            let o0 = &tables.o0[a * table..][..table];
            let d_o0 = &mut tables.d_o0[a * table..][..table];
            for v in (0..lanes).step_by(V::LANES) {
                // r = … + α o0 + (1 - α) o1
                let alpha = V::load(&alpha[v..]);
                let mut d_alpha = V::zero();
                for c in 0..d {
                    let (at, dr) = (c * lanes + v, V::splat(dr[c]));
                    d_alpha = V::load(&o0[at..]).sub(V::load(&o1[at..])).fma(dr, d_alpha);
                    alpha.fma(dr, V::load(&d_o0[at..])).store(&mut d_o0[at..]);
                }
                // α = sigmoid(score)
                alpha.mul(one.sub(alpha)).mul(d_alpha).store(&mut d_score[v..]);
            }
            // score = u·(f0 - f1)
            let df0 = &mut df0[a * stride..][..stride];
            for w in (0..stride).step_by(C::LANES) {
                let mut sum = C::zero();
                for (u, &ds) in u_by_head.chunks_exact(stride).zip(&*d_score) {
                    sum = C::splat(ds).fma(C::load(&u[w..]), sum);
                }
                C::load(&df0[w..]).add(sum).store(&mut df0[w..]);
                C::load(&df1[w..]).sub(sum).store(&mut df1[w..]);
            }
        }
        // What belongs to the second token is summed over the run in registers, 5 coordinates at a time.
        let du = &mut tables.du[b * table..][..table];
        let d_o1 = &mut tables.d_o1[b * table..][..table];
        for v in (0..lanes).step_by(V::LANES) {
            let mut c = 0;
            while c + 5 <= d {
                sum_run::<V, 5>(first, at0.f, f1, dr, alphas, d_scores, [c, v, stride, lanes], du, d_o1);
                c += 5;
            }
            while c < d {
                sum_run::<V, 1>(first, at0.f, f1, dr, alphas, d_scores, [c, v, stride, lanes], du, d_o1);
                c += 1;
            }
        }
        if let Some(dx1) = &mut dx1 {
            // r = s_res x1 + …
            let to = &mut dx1[b * stride..][..stride];
            for w in (0..stride).step_by(C::LANES) {
                let mut sum = C::zero();
                for dr in dr.chunks_exact(stride) {
                    sum = sum.add(C::load(&dr[w..]));
                }
                sum.store(&mut to[w..]);
            }
        }
        start = end;
    }
}

/// Gradients by `u` and `o1` of a run's second token, `K` coordinates from `c` and the heads of the vector at `v`.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "one loop of the function above")]
fn sum_run<V: Lanes, const K: usize>(
    first: &[u32],
    f0: &[f32],
    f1: &[f32],
    dr: &[f32],
    alphas: &[f32],
    d_scores: &[f32],
    [c, v, stride, lanes]: [usize; 4],
    du: &mut [f32],
    d_o1: &mut [f32],
) {
    let f1 = &f1[c..][..K];
    let (mut sum_u, mut sum_o) = ([V::zero(); K], [V::zero(); K]);
    let strips = alphas.chunks_exact(lanes).zip(d_scores.chunks_exact(lanes));
    for ((&a, dr), (alpha, ds)) in first.iter().zip(dr.chunks_exact(stride)).zip(strips) {
        let (f0, dr) = (&f0[a as usize * stride + c..][..K], &dr[c..][..K]);
        let (rest, ds) = (V::splat(1.0).sub(V::load(&alpha[v..])), V::load(&ds[v..]));
        for k in 0..K {
            // score = u·(f0 - f1);  r = … + (1 - α) o1
            sum_u[k] = ds.fma(V::splat(f0[k] - f1[k]), sum_u[k]);
            sum_o[k] = rest.fma(V::splat(dr[k]), sum_o[k]);
        }
    }
    for k in 0..K {
        sum_u[k].store(&mut du[(c + k) * lanes + v..]);
        sum_o[k].store(&mut d_o1[(c + k) * lanes + v..]);
    }
}

/// From the tables' gradients to the circuits' (overwritten) and the inputs' (added).
#[expect(clippy::too_many_arguments, reason = "the forward pass's operands and their gradients")]
pub(super) fn backward<I: Isa>(
    tables: &mut Tables,
    layout: &Layout,
    qk: &mut Circuit,
    ov: &mut Circuit,
    at0: Inputs,
    at1: Inputs,
    grad0: &mut InputGradients,
    grad1: &mut InputGradients,
) {
    let &Layout { d, stride, lanes, .. } = layout;
    let table = d * lanes;
    // u = QKᵀ f1
    add_product::<I>(&mut qk.by_head_lane, Left::columns(at1.f, stride), &tables.du, d, at1.rows, table, true);
    add_by_input::<I>(grad1.df, layout, &tables.du, &qk.transposed, at1.rows);
    // o0 = OVᵀ g0, o1 = OVᵀ g1
    add_product::<I>(&mut ov.by_head_lane, Left::columns(at0.g, stride), &tables.d_o0, d, at0.rows, table, true);
    add_product::<I>(&mut ov.by_head_lane, Left::columns(at1.g, stride), &tables.d_o1, d, at1.rows, table, false);
    add_by_input::<I>(grad0.dg, layout, &tables.d_o0, &ov.transposed, at0.rows);
    add_by_input::<I>(grad1.dg, layout, &tables.d_o1, &ov.transposed, at1.rows);
}

/// `table = x matrix`: rows of inputs (rows, stride) by a circuit (d, width).
fn fill_table<I: Isa>(table: &mut [f32], layout: &Layout, x: &[f32], matrix: &[f32], rows: usize) {
    let width = matrix.len() / layout.d;
    add_product::<I>(table, Left::rows(x, layout.stride), matrix, rows, layout.d, width, true);
}

/// Adds to `dx` (rows, stride) the gradient by a table's inputs, from the table's `dt` and the circuit transposed.
fn add_by_input<I: Isa>(dx: &mut [f32], layout: &Layout, dt: &[f32], transposed: &[f32], rows: usize) {
    let &Layout { d, stride, heads, lanes, .. } = layout;
    let left = Left { data: dt, row: d * lanes, outer: lanes, inner: heads };
    add_product::<I>(dx, left, transposed, rows, d * heads, stride, false);
}
