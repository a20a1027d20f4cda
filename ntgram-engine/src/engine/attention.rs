//! Attention of the second token over both tokens of a pair, for all heads of a group at once.
//!
//! Position 0 has one row for each distinct first token (`a`), position 1 one for each distinct second token, or one for each pair
//! after the first layer (`b`). For a pair (a, b) and every head `h`, with the circuits QK and OV:
//!
//! ```text
//! u[b] = QKᵀ qk_in1[b]                               o0[a] = OVᵀ ov_in0[a],  o1[b] = OVᵀ ov_in1[b]
//! α    = sigmoid(u[b]·qk_in0[a] - u[b]·qk_in1[b])    the weight of the first token
//! r    = s_res x1[b] + Σ_h α o0[a] + (1 - α) o1[b]
//! ```
//!
//! Rows of position 1 are worked on a chunk at a time, with all pairs that have them: `u`, `o1` and the gradient by `u` are needed for no
//! longer. The gradient by `o1` is kept to the end: by the OV circuit, what comes from `o0` is added first.
//!
//! `qk_in`, `ov_in` are the inputs of the QK and OV circuits. Tables come in two layouts: `(row, c, h)` with heads padded, for
//! sums over coordinates, and `(row, h, c)` with coordinates padded, for sums over heads.

use super::buffer::Buffer;
use super::circuits::Circuit;
use super::functions::sigmoid;
use super::gemm::{Left, Start, add_product};
use super::layout::{KNOWN_SIZES, Layout, padded};
use super::simd::{Isa, Lanes, vector_fn};
use std::ops::Range;

/// Coordinates whose sums over a run fit into registers.
const SUMS: usize = 5;

/// Rows of position 1 in a chunk.
#[cfg(not(test))]
const CHUNK: usize = 64;

/// A few, so that a small batch has many chunks.
#[cfg(test)]
const CHUNK: usize = 5;

/// The tables of a group of heads and their gradients. Each table has one layout on the way forward and the other on the way
/// back.
#[derive(Debug)]
pub(super) struct Tables {
    /// `u[b]` of a chunk: forward (rows, d, heads_padded), backward (rows, heads, stride).
    u: Buffer,
    /// `o0[a]`, and `o1[b]` of a chunk: forward (rows, heads, stride), backward (rows, d, heads_padded).
    pub(super) o0: Buffer,
    o1: Buffer,
    /// Gradients by `u` of a chunk, by `o0`, and by `o1` of all rows, (rows, d, heads_padded).
    du: Buffer,
    pub(super) d_o0: Buffer,
    d_o1: Buffer,
    /// Gradient by each score of a chunk's pairs, (pairs, heads_padded).
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
    pub(super) qk_in: &'a [f32],
    pub(super) ov_in: &'a [f32],
    pub(super) rows: usize,
}

impl<'a> Inputs<'a> {
    /// Those of a chunk.
    fn of(self, chunk: &Chunk, stride: usize) -> Self {
        let start = chunk.rows.start * stride;
        Self { qk_in: &self.qk_in[start..], ov_in: &self.ov_in[start..], rows: chunk.rows.len() }
    }
}

/// Gradients by [`Inputs`].
pub(super) struct InputGradients<'a> {
    pub(super) d_qk_in: &'a mut [f32],
    pub(super) d_ov_in: &'a mut [f32],
}

/// The rows that each pair of a batch, or of a chunk, has at position 0 and 1. Rows of position 1 ascend.
#[derive(Clone, Copy)]
pub(super) struct PairRows<'a> {
    first: &'a [u32],
    second: &'a [u32],
    /// The first row of position 1 that is worked on.
    start: usize,
}

/// Rows of position 1, and the pairs that have them.
#[derive(Debug, Clone, PartialEq)]
struct Chunk {
    rows: Range<usize>,
    pairs: Range<usize>,
}

impl<'a> PairRows<'a> {
    /// Of a whole batch.
    pub(super) fn new(first: &'a [u32], second: &'a [u32]) -> Self {
        Self { first, second, start: 0 }
    }

    /// The chunks of a batch's `rows` rows of position 1; without rows an empty one.
    fn chunks(self, rows: usize) -> impl Iterator<Item = Chunk> + 'a {
        let mut pairs = 0;
        (0..rows.max(1)).step_by(CHUNK).map(move |start| {
            let (end, first) = (rows.min(start + CHUNK), pairs);
            pairs =
                if end == rows { self.second.len() } else { self.second.partition_point(|&row| (row as usize) < end) };
            Chunk { rows: start..end, pairs: first..pairs }
        })
    }

    /// The pairs of a chunk.
    fn of(self, Chunk { rows, pairs }: &Chunk) -> Self {
        Self { first: &self.first[pairs.clone()], second: &self.second[pairs.clone()], start: rows.start }
    }

    /// The first run of pairs at or after `start` with the same second row: (row, counted from the first here; end).
    #[inline(always)]
    fn run(&self, start: usize) -> (usize, usize) {
        let row = self.second[start];
        let len = self.second[start..].iter().take_while(|&&r| r == row).count();
        (row as usize - self.start, start + len)
    }
}

impl Tables {
    /// Room for `rows0`, `rows1` rows and `pairs` pairs.
    pub(super) fn new(layout: &Layout, rows0: usize, rows1: usize, pairs: usize) -> Self {
        let &Layout { d, stride, heads, heads_padded, .. } = layout;
        let table = |rows: usize| Buffer::new(rows * (d * heads_padded).max(heads * stride));
        let gradient = |rows: usize| Buffer::new(rows * d * heads_padded);
        let of_chunk = rows1.min(CHUNK);
        Self {
            u: table(of_chunk),
            o0: table(rows0),
            o1: table(of_chunk),
            du: gradient(of_chunk),
            d_o0: gradient(rows0),
            d_o1: gradient(rows1),
            d_score: Buffer::new(pairs * heads_padded),
        }
    }
}

/// Attention of every pair: its weights into `alpha` (pairs, heads_padded), what the heads write into `r` (pairs, stride).
#[expect(clippy::too_many_arguments, reason = "operands and results of one formula")]
#[inline(always)]
pub(super) fn forward<I: Isa>(
    tables: &mut Tables,
    layout: &Layout,
    qk: &Circuit,
    ov: &Circuit,
    pairs: PairRows,
    at0: Inputs,
    at1: Inputs,
    alpha: &mut [f32],
    onto: Onto,
    r: &mut [f32],
) {
    let &Layout { stride, heads_padded, .. } = layout;
    fill_table::<I>(&mut tables.o0, layout, at0.ov_in, &ov.coordinates_last, at0.rows);
    for chunk in pairs.chunks(at1.rows) {
        let at1 = at1.of(&chunk, stride);
        fill_table::<I>(&mut tables.u, layout, at1.qk_in, &qk.heads_last, at1.rows);
        fill_table::<I>(&mut tables.o1, layout, at1.ov_in, &ov.coordinates_last, at1.rows);
        let alpha = &mut alpha[chunk.pairs.start * heads_padded..chunk.pairs.end * heads_padded];
        let r = &mut r[chunk.pairs.start * stride..chunk.pairs.end * stride];
        let onto = match onto {
            Onto::Stream(x) => Onto::Stream(&x[chunk.rows.start * stride..chunk.rows.end * stride]),
            _ => onto,
        };
        attend::<I>(tables, layout, pairs.of(&chunk), at0, at1, alpha, onto, r);
    }
}

/// From `dr` (pairs, stride), the gradient by the stream after attention, to those by the circuits (overwritten, in the place of
/// `heads_last`), by the inputs (added) and by the stream before attention (overwritten). To `tables.d_o0` is added: it holds what
/// position 0 itself has of its heads' outputs.
#[expect(clippy::too_many_arguments, reason = "the forward pass's operands and their gradients")]
#[inline(always)]
pub(super) fn backward<I: Isa>(
    tables: &mut Tables,
    layout: &Layout,
    qk: &mut Circuit,
    ov: &mut Circuit,
    pairs: PairRows,
    at0: Inputs,
    at1: Inputs,
    alpha: &[f32],
    dr: &[f32],
    grad0: &mut InputGradients,
    grad1: &mut InputGradients,
    mut dx1: Option<&mut [f32]>,
) {
    let &Layout { d, stride, heads_padded, .. } = layout;
    let table = d * heads_padded;
    fill_table::<I>(&mut tables.o0, layout, at0.ov_in, &ov.heads_last, at0.rows);
    for chunk in pairs.chunks(at1.rows) {
        let at1 = at1.of(&chunk, stride);
        let rows = chunk.rows.start * stride..chunk.rows.end * stride;
        let d_qk_in1 = &mut grad1.d_qk_in[rows.clone()];
        fill_table::<I>(&mut tables.u, layout, at1.qk_in, &qk.coordinates_last, at1.rows);
        fill_table::<I>(&mut tables.o1, layout, at1.ov_in, &ov.heads_last, at1.rows);
        attend_backward::<I>(
            tables,
            layout,
            pairs.of(&chunk),
            at0,
            at1,
            &alpha[chunk.pairs.start * heads_padded..chunk.pairs.end * heads_padded],
            &dr[chunk.pairs.start * stride..chunk.pairs.end * stride],
            grad0.d_qk_in,
            d_qk_in1,
            dx1.as_deref_mut().map(|dx1| &mut dx1[rows]),
        );
        // u = QKᵀ qk_in1
        let start = if chunk.rows.start == 0 { Start::Zeros } else { Start::Old };
        let left = Left::columns(at1.qk_in, stride);
        add_product::<I>(&mut qk.heads_last, left, &tables.du, d, at1.rows, table, start);
        add_by_input::<I>(d_qk_in1, layout, &tables.du, &qk.transposed, at1.rows);
    }
    // o0 = OVᵀ ov_in0, o1 = OVᵀ ov_in1
    add_product::<I>(
        &mut ov.heads_last,
        Left::columns(at0.ov_in, stride),
        &tables.d_o0,
        d,
        at0.rows,
        table,
        Start::Zeros,
    );
    add_product::<I>(
        &mut ov.heads_last,
        Left::columns(at1.ov_in, stride),
        &tables.d_o1,
        d,
        at1.rows,
        table,
        Start::Old,
    );
    add_by_input::<I>(grad0.d_ov_in, layout, &tables.d_o0, &ov.transposed, at0.rows);
    add_by_input::<I>(grad1.d_ov_in, layout, &tables.d_o1, &ov.transposed, at1.rows);
}

/// Calls `$run::<V, C, D, H>($arguments)`. `V`, `C` are the vectors for heads and coordinates. `D`, `H` are the values of `d`
/// and `heads_padded` where they are small, or else 0. Sizes that the compiler knows make the inner loops straight lines
/// without checks.
macro_rules! with_sizes {
    ($isa:ident, $layout:expr, $run:ident($($argument:expr),* $(,)?)) => {
        match ($layout.d, $layout.heads_padded) {
            // The lesson's, in its page too.
            (5, 8) => $run::<$isa::Half, $isa::Half, 5, 8>($($argument),*),
            (5, 24) if KNOWN_SIZES => $run::<$isa::Half, $isa::Half, 5, 24>($($argument),*),
            (10, 8) if KNOWN_SIZES => $run::<$isa::Half, $isa::Wide, 10, 8>($($argument),*),
            (10, 16) if KNOWN_SIZES => $run::<$isa::Wide, $isa::Wide, 10, 16>($($argument),*),
            _ => $run::<$isa::Half, $isa::Half, 0, 0>($($argument),*),
        }
    };
}

/// `d`, the same padded, and `heads_padded`: as the compiler knows them, where that is not 0.
#[inline(always)]
fn sizes<const D: usize, const H: usize>(layout: &Layout) -> (usize, usize, usize) {
    let d = if D > 0 { D } else { layout.d };
    (d, padded(d), if H > 0 { H } else { layout.heads_padded })
}

vector_fn! {
    /// [`forward`] of a chunk, from its tables.
    fn attend<'a, I>(
        tables: &'a Tables,
        layout: &'a Layout,
        pairs: PairRows<'a>,
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
fn attend_pairs<V: Lanes, C: Lanes, const D: usize, const H: usize>(
    tables: &Tables,
    layout: &Layout,
    pairs: PairRows,
    [at0, at1]: [Inputs; 2],
    alpha: &mut [f32],
    onto: Onto,
    r: &mut [f32],
) {
    let (d, stride, heads_padded) = sizes::<D, H>(layout);
    let (table, by_head) = (d * heads_padded, layout.heads * stride);
    let mut start = 0;
    while start < pairs.first.len() {
        let (b, end) = pairs.run(start);
        let u = &tables.u[b * table..][..table];
        let o1 = &tables.o1[b * by_head..][..by_head];
        let qk_in1 = &at1.qk_in[b * stride..][..d];
        let x1 = if let Onto::Stream(x) = onto { Some(&x[b * stride..][..stride]) } else { None };
        let alphas = alpha[start * heads_padded..end * heads_padded].chunks_exact_mut(heads_padded);
        let streams = r[start * stride..end * stride].chunks_exact_mut(stride);
        for ((&a, alpha), r) in pairs.first[start..end].iter().zip(alphas).zip(streams) {
            let qk_in0 = &at0.qk_in[a as usize * stride..][..d];
            // α = sigmoid(u·qk_in0 - u·qk_in1)
            for v in (0..heads_padded).step_by(V::LANES) {
                let mut score = V::zero();
                for c in 0..d {
                    score = V::load(&u[c * heads_padded + v..]).fma(V::splat(qk_in0[c] - qk_in1[c]), score);
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
    /// [`backward`] of a chunk, to the gradients by the tables (overwritten, but `d_o0` is added to), by the stream before attention
    /// (overwritten), and to a part of those by the inputs (added).
    fn attend_backward<'a, I>(
        tables: &'a mut Tables,
        layout: &'a Layout,
        pairs: PairRows<'a>,
        at0: Inputs<'a>,
        at1: Inputs<'a>,
        alpha: &'a [f32],
        dr: &'a [f32],
        d_qk_in0: &'a mut [f32],
        d_qk_in1: &'a mut [f32],
        dx1: Option<&'a mut [f32]>,
    ) -> () {
        with_sizes!(I, layout, attend_pairs_backward(tables, layout, pairs, [at0, at1], alpha, dr, d_qk_in0, d_qk_in1, dx1));
    }
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the forward pass's operands and their gradients")]
fn attend_pairs_backward<V: Lanes, C: Lanes, const D: usize, const H: usize>(
    tables: &mut Tables,
    layout: &Layout,
    pairs: PairRows,
    [at0, at1]: [Inputs; 2],
    alpha: &[f32],
    dr: &[f32],
    d_qk_in0: &mut [f32],
    d_qk_in1: &mut [f32],
    mut dx1: Option<&mut [f32]>,
) {
    let (d, stride, heads_padded) = sizes::<D, H>(layout);
    let (table, by_head) = (d * heads_padded, layout.heads * stride);
    tables.du[..at1.rows * table].fill(0.0);
    tables.d_o1[pairs.start * table..][..at1.rows * table].fill(0.0);
    let one = V::splat(1.0);
    let mut start = 0;
    while start < pairs.first.len() {
        let (b, end) = pairs.run(start);
        let first = &pairs.first[start..end];
        let dr = &dr[start * stride..end * stride];
        let alphas = &alpha[start * heads_padded..end * heads_padded];
        let d_scores = &mut tables.d_score[start * heads_padded..end * heads_padded];
        let o1 = &tables.o1[b * table..][..table];
        let u_by_head = &tables.u[b * by_head..][..by_head];
        let qk_in1 = &at1.qk_in[b * stride..][..d];
        let d_qk_in1 = &mut d_qk_in1[b * stride..][..stride];
        let rows = first.iter().zip(dr.chunks_exact(stride));
        let strips = alphas.chunks_exact(heads_padded).zip(d_scores.chunks_exact_mut(heads_padded));
        for ((&a, dr), (alpha, d_score)) in rows.zip(strips) {
            let a = a as usize;
            let o0 = &tables.o0[a * table..][..table];
            let d_o0 = &mut tables.d_o0[a * table..][..table];
            for v in (0..heads_padded).step_by(V::LANES) {
                // r = … + α o0 + (1 - α) o1
                let alpha = V::load(&alpha[v..]);
                let mut d_alpha = V::zero();
                for c in 0..d {
                    let (at, dr) = (c * heads_padded + v, V::splat(dr[c]));
                    d_alpha = V::load(&o0[at..]).sub(V::load(&o1[at..])).fma(dr, d_alpha);
                    alpha.fma(dr, V::load(&d_o0[at..])).store(&mut d_o0[at..]);
                }
                // α = sigmoid(score)
                alpha.mul(one.sub(alpha)).mul(d_alpha).store(&mut d_score[v..]);
            }
            // score = u·(qk_in0 - qk_in1)
            let d_qk_in0 = &mut d_qk_in0[a * stride..][..stride];
            for w in (0..stride).step_by(C::LANES) {
                let mut sum = C::zero();
                for (u, &ds) in u_by_head.chunks_exact(stride).zip(&*d_score) {
                    sum = C::splat(ds).fma(C::load(&u[w..]), sum);
                }
                C::load(&d_qk_in0[w..]).add(sum).store(&mut d_qk_in0[w..]);
                C::load(&d_qk_in1[w..]).sub(sum).store(&mut d_qk_in1[w..]);
            }
        }
        // What belongs to the second token is summed over the run in registers, some coordinates at a time.
        let du = &mut tables.du[b * table..][..table];
        let d_o1 = &mut tables.d_o1[(pairs.start + b) * table..][..table];
        for v in (0..heads_padded).step_by(V::LANES) {
            let mut c = 0;
            while c + SUMS <= d {
                sum_run::<V, SUMS>(
                    first,
                    at0.qk_in,
                    qk_in1,
                    dr,
                    alphas,
                    d_scores,
                    [c, v, stride, heads_padded],
                    du,
                    d_o1,
                );
                c += SUMS;
            }
            while c < d {
                sum_run::<V, 1>(first, at0.qk_in, qk_in1, dr, alphas, d_scores, [c, v, stride, heads_padded], du, d_o1);
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
    qk_in0: &[f32],
    qk_in1: &[f32],
    dr: &[f32],
    alphas: &[f32],
    d_scores: &[f32],
    [c, v, stride, heads_padded]: [usize; 4],
    du: &mut [f32],
    d_o1: &mut [f32],
) {
    let qk_in1 = &qk_in1[c..][..K];
    let (mut sum_u, mut sum_o) = ([V::zero(); K], [V::zero(); K]);
    let strips = alphas.chunks_exact(heads_padded).zip(d_scores.chunks_exact(heads_padded));
    for ((&a, dr), (alpha, ds)) in first.iter().zip(dr.chunks_exact(stride)).zip(strips) {
        let (qk_in0, dr) = (&qk_in0[a as usize * stride + c..][..K], &dr[c..][..K]);
        let (rest, ds) = (V::splat(1.0).sub(V::load(&alpha[v..])), V::load(&ds[v..]));
        for k in 0..K {
            // score = u·(qk_in0 - qk_in1);  r = … + (1 - α) o1
            sum_u[k] = ds.fma(V::splat(qk_in0[k] - qk_in1[k]), sum_u[k]);
            sum_o[k] = rest.fma(V::splat(dr[k]), sum_o[k]);
        }
    }
    for k in 0..K {
        sum_u[k].store(&mut du[(c + k) * heads_padded + v..]);
        sum_o[k].store(&mut d_o1[(c + k) * heads_padded + v..]);
    }
}

/// `table = x matrix`: rows of inputs (rows, stride) by a circuit (d, width).
fn fill_table<I: Isa>(table: &mut [f32], layout: &Layout, x: &[f32], matrix: &[f32], rows: usize) {
    let width = matrix.len() / layout.d;
    add_product::<I>(table, Left::rows(x, layout.stride), matrix, rows, layout.d, width, Start::Zeros);
}

/// Adds to `dx` (rows, stride) the gradient by a table's inputs, from the table's `dt` and the circuit transposed.
fn add_by_input<I: Isa>(dx: &mut [f32], layout: &Layout, dt: &[f32], transposed: &[f32], rows: usize) {
    let &Layout { d, stride, heads, heads_padded, .. } = layout;
    let left = Left::Strips { data: dt, row: d * heads_padded, stride: heads_padded, len: heads };
    add_product::<I>(dx, left, transposed, rows, d * heads, stride, Start::Old);
}
