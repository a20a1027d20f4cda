//! Attention of the second token over both tokens of a pair, for all heads of a layer at once.
//!
//! Position 0 has one row for each distinct first token (`a`), position 1 one for each distinct second token, or one for each pair
//! after the first layer (`b`). For a pair (a, b) and every head `h`, with the circuits QK and OV:
//!
//!     u[b] = QKᵀ f1[b]                           o0[a] = OVᵀ g0[a],  o1[b] = OVᵀ g1[b]
//!     α    = sigmoid(u[b]·f0[a] - u[b]·f1[b])    the weight of the first token
//!     r    = s_res x1[b] + Σ_h α o0[a] + (1 - α) o1[b]
//!
//! `f`, `g` are the inputs of the QK and OV circuits. Tables come in two layouts: `(row, c, h)` with heads padded to vectors, for sums
//! over coordinates, and `(row, h, c)` with coordinates padded, for sums over heads.

use super::circuits::Circuit;
use super::gemm::{Left, add_product};
use super::layout::Layout;
use super::math::{Buffer, sigmoid};
use super::simd::{Isa, Lanes, vector_fn};

/// A layer's tables and their gradients.
#[derive(Debug)]
pub(super) struct Tables {
    /// `u[b]`, (rows 1, d, lanes) and (rows 1, heads, stride).
    u: Buffer,
    u_by_head: Buffer,
    /// `o0[a]`, (rows 0, d, lanes) and (rows 0, heads, stride).
    o0: Buffer,
    pub(super) o0_by_head: Buffer,
    /// `o1[b]`, likewise over rows 1.
    o1: Buffer,
    o1_by_head: Buffer,
    /// Gradients by `u`, `o0`, `o1`, in the first layout.
    du: Buffer,
    pub(super) d_o0: Buffer,
    d_o1: Buffer,
    /// `α` of each pair, then its gradient by score, (pairs, lanes).
    alpha: Buffer,
    d_score: Buffer,
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
        let table = |rows: usize| Buffer::new(rows * d * lanes);
        let by_head = |rows: usize| Buffer::new(rows * heads * stride);
        Self {
            u: table(rows1),
            u_by_head: by_head(rows1),
            o0: table(rows0),
            o0_by_head: by_head(rows0),
            o1: table(rows1),
            o1_by_head: by_head(rows1),
            du: table(rows1),
            d_o0: table(rows0),
            d_o1: table(rows1),
            alpha: Buffer::new(pairs * lanes),
            d_score: Buffer::new(pairs * lanes),
        }
    }
}

/// Fills the tables.
pub(super) fn fill<I: Isa>(tables: &mut Tables, layout: &Layout, qk: &Circuit, ov: &Circuit, at0: Inputs, at1: Inputs) {
    fill_table::<I>(&mut tables.u, layout, at1.f, &qk.by_head_lane, at1.rows);
    fill_table::<I>(&mut tables.u_by_head, layout, at1.f, &qk.by_coordinate_lane, at1.rows);
    fill_table::<I>(&mut tables.o0, layout, at0.g, &ov.by_head_lane, at0.rows);
    fill_table::<I>(&mut tables.o0_by_head, layout, at0.g, &ov.by_coordinate_lane, at0.rows);
    fill_table::<I>(&mut tables.o1, layout, at1.g, &ov.by_head_lane, at1.rows);
    fill_table::<I>(&mut tables.o1_by_head, layout, at1.g, &ov.by_coordinate_lane, at1.rows);
}

vector_fn! {
    /// Attention of every pair: the stream after it into `r` (pairs, stride). `x1`: the stream before it, kept if `keep`.
    pub(super) fn attend<'a, I>(
        tables: &'a mut Tables,
        layout: &'a Layout,
        pairs: Pairs<'a>,
        at0: Inputs<'a>,
        at1: Inputs<'a>,
        x1: Option<&'a [f32]>,
        r: &'a mut [f32],
    ) -> () {
        let &Layout { d, stride, heads, lanes, .. } = layout;
        let (table, by_head) = (d * lanes, heads * stride);
        let mut start = 0;
        while start < pairs.first.len() {
            let (b, end) = pairs.run(start);
            let u = &tables.u[b * table..][..table];
            let o1 = &tables.o1_by_head[b * by_head..][..by_head];
            let f1 = &at1.f[b * stride..][..d];
            for (p, &a) in (start..).zip(&pairs.first[start..end]) {
                let f0 = &at0.f[a as usize * stride..][..d];
                // α = sigmoid(u·f0 - u·f1)
                let alpha = &mut tables.alpha[p * lanes..][..lanes];
                for (v, alpha) in alpha.chunks_exact_mut(I::Half::LANES).enumerate() {
                    let mut score = I::Half::zero();
                    for ((u, x0), x1) in u.chunks_exact(lanes).zip(f0).zip(f1) {
                        score = I::Half::load(&u[v * I::Half::LANES..]).fma(I::Half::splat(x0 - x1), score);
                    }
                    sigmoid(score).store(alpha);
                }
                // r = s_res x1 + Σ_h o1 + α (o0 - o1)
                let o0 = &tables.o0_by_head[a as usize * by_head..][..by_head];
                for (w, r) in r[p * stride..][..stride].chunks_exact_mut(I::Half::LANES).enumerate() {
                    let w = w * I::Half::LANES;
                    let mut sum = x1.map_or(I::Half::zero(), |x| I::Half::load(&x[b * stride + w..]));
                    for ((o0, o1), &alpha) in o0.chunks_exact(stride).zip(o1.chunks_exact(stride)).zip(&*alpha) {
                        let o1 = I::Half::load(&o1[w..]);
                        sum = I::Half::splat(alpha).fma(I::Half::load(&o0[w..]).sub(o1), sum.add(o1));
                    }
                    sum.store(r);
                }
            }
            start = end;
        }
    }
}

vector_fn! {
    /// From `dr` (pairs, stride), the gradient by the stream after attention, to the tables', and to part of those by the inputs and by
    /// the stream before it; these are overwritten, `d_o0` is added to.
    pub(super) fn attend_backward<'a, I>(
        tables: &'a mut Tables,
        layout: &'a Layout,
        pairs: Pairs<'a>,
        at0: Inputs<'a>,
        at1: Inputs<'a>,
        dr: &'a [f32],
        grad0: InputGradients<'a>,
        grad1: InputGradients<'a>,
        dx1: Option<&'a mut [f32]>,
    ) -> () {
        let mut dx1 = dx1;
        let &Layout { d, stride, heads, lanes, .. } = layout;
        let (table, by_head) = (d * lanes, heads * stride);
        tables.du[..at1.rows * table].fill(0.0);
        tables.d_o1[..at1.rows * table].fill(0.0);
        grad0.df[..at0.rows * stride].fill(0.0);
        grad1.df[..at1.rows * stride].fill(0.0);
        let mut start = 0;
        while start < pairs.first.len() {
            let (b, end) = pairs.run(start);
            let o1 = &tables.o1[b * table..][..table];
            let u_by_head = &tables.u_by_head[b * by_head..][..by_head];
            let f1 = &at1.f[b * stride..][..stride];
            let du = &mut tables.du[b * table..][..table];
            let d_o1 = &mut tables.d_o1[b * table..][..table];
            let df1 = &mut grad1.df[b * stride..][..stride];
            for (p, &a) in (start..end).zip(&pairs.first[start..end]) {
                let a = a as usize;
                let dr = &dr[p * stride..][..stride];
                let o0 = &tables.o0[a * table..][..table];
                let d_o0 = &mut tables.d_o0[a * table..][..table];
                let f0 = &at0.f[a * stride..][..stride];
                let alpha = &tables.alpha[p * lanes..][..lanes];
                let d_score = &mut tables.d_score[p * lanes..][..lanes];
                for v in (0..lanes).step_by(I::Half::LANES) {
                    // r = … + α (o0 - o1)
                    let alpha = I::Half::load(&alpha[v..]);
                    let mut d_alpha = I::Half::zero();
                    for ((o0, o1), &dr) in o0.chunks_exact(lanes).zip(o1.chunks_exact(lanes)).zip(dr) {
                        d_alpha = I::Half::load(&o0[v..]).sub(I::Half::load(&o1[v..])).fma(I::Half::splat(dr), d_alpha);
                    }
                    // α = sigmoid(score)
                    let ds = alpha.mul(I::Half::splat(1.0).sub(alpha)).mul(d_alpha);
                    ds.store(&mut d_score[v..]);
                    let rest = I::Half::splat(1.0).sub(alpha);
                    let strips = d_o0.chunks_exact_mut(lanes).zip(d_o1.chunks_exact_mut(lanes)).zip(du.chunks_exact_mut(lanes));
                    for ((((d_o0, d_o1), du), &dr), (x0, x1)) in strips.zip(dr).zip(f0.iter().zip(f1)) {
                        // r = … + α o0 + (1 - α) o1;  score = u·(f0 - f1)
                        let (d_o0, d_o1, du) = (&mut d_o0[v..], &mut d_o1[v..], &mut du[v..]);
                        alpha.fma(I::Half::splat(dr), I::Half::load(d_o0)).store(d_o0);
                        rest.fma(I::Half::splat(dr), I::Half::load(d_o1)).store(d_o1);
                        ds.fma(I::Half::splat(x0 - x1), I::Half::load(du)).store(du);
                    }
                }
                // score = u·(f0 - f1)
                let df0 = &mut grad0.df[a * stride..][..stride];
                for w in (0..stride).step_by(I::Half::LANES) {
                    let mut sum = I::Half::zero();
                    for (u, &ds) in u_by_head.chunks_exact(stride).zip(&*d_score) {
                        sum = I::Half::splat(ds).fma(I::Half::load(&u[w..]), sum);
                    }
                    I::Half::load(&df0[w..]).add(sum).store(&mut df0[w..]);
                    I::Half::load(&df1[w..]).sub(sum).store(&mut df1[w..]);
                }
            }
            if let Some(dx1) = &mut dx1 {
                // r = s_res x1 + …
                let to = &mut dx1[b * stride..][..stride];
                to.fill(0.0);
                for dr in dr[start * stride..end * stride].chunks_exact(stride) {
                    for (to, dr) in to.iter_mut().zip(dr) {
                        *to += dr;
                    }
                }
            }
            start = end;
        }
    }
}

/// From the tables' gradients to the circuits' (overwritten) and the inputs' (`df` added to, `dg` overwritten).
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
    qk.gradient.fill(0.0);
    ov.gradient.fill(0.0);
    grad0.dg[..at0.rows * stride].fill(0.0);
    grad1.dg[..at1.rows * stride].fill(0.0);
    // u = QKᵀ f1
    add_product::<I>(&mut qk.gradient, Left::columns(at1.f, stride), &tables.du, d, at1.rows, table);
    add_by_input::<I>(grad1.df, layout, &tables.du, &qk.transposed, at1.rows);
    // o0 = OVᵀ g0, o1 = OVᵀ g1
    add_product::<I>(&mut ov.gradient, Left::columns(at0.g, stride), &tables.d_o0, d, at0.rows, table);
    add_product::<I>(&mut ov.gradient, Left::columns(at1.g, stride), &tables.d_o1, d, at1.rows, table);
    add_by_input::<I>(grad0.dg, layout, &tables.d_o0, &ov.transposed, at0.rows);
    add_by_input::<I>(grad1.dg, layout, &tables.d_o1, &ov.transposed, at1.rows);
}

/// `table = x matrix`: rows of inputs (rows, stride) by a circuit (d, width).
fn fill_table<I: Isa>(table: &mut [f32], layout: &Layout, x: &[f32], matrix: &[f32], rows: usize) {
    let width = matrix.len() / layout.d;
    let table = &mut table[..rows * width];
    table.fill(0.0);
    add_product::<I>(table, Left::rows(x, layout.stride), matrix, rows, layout.d, width);
}

/// Adds to `dx` (rows, stride) the gradient by a table's inputs, from the table's `dt` and the circuit transposed.
fn add_by_input<I: Isa>(dx: &mut [f32], layout: &Layout, dt: &[f32], transposed: &[f32], rows: usize) {
    let &Layout { d, stride, heads, lanes, .. } = layout;
    let left = Left { data: dt, row: d * lanes, outer: lanes, inner: heads };
    add_product::<I>(dx, left, transposed, rows, d * heads, stride);
}
