//! The attention of one layer: circuits and tables of all its groups of heads, forward and back.

use super::super::buffer::Buffer;
use super::super::circuits::{self, Circuit, For};
use super::super::gemm::{Left, Start, add_product, add_products_of_rows};
use super::super::layout::{Layout, Tables};
use super::super::simd::Isa;
use super::super::stream::Stream;
use super::attend::{self, Gradients, Keys, Read};
use super::by_head;
use std::ops::Range;

/// One layer's attention.
///
/// In a batch: [`Heads::begin`]; then, for each set of rows, [`Heads::fill`], [`Heads::attend`] on each level,
/// [`Heads::attend_backward`] on each level, [`Heads::fill_backward`]; [`Heads::end`].
#[derive(Debug)]
pub(super) struct Heads {
    layer: usize,
    groups: Vec<Group>,
}

/// A group of heads.
#[derive(Debug)]
struct Group {
    qk: Circuit,
    ov: Circuit,
    /// Gradients by the circuits, as the tables lie: (d, width).
    d_qk: Buffer,
    d_ov: Buffer,
    /// Of the rows that ask, and of all.
    u: Buffer,
    o: Buffer,
    /// Weights of all queries, level after level.
    alpha: Buffer,
}

/// Gradients by the tables of a group.
#[derive(Debug)]
pub(super) struct TableGradients {
    du: Buffer,
    d_o: Buffer,
    d_key: Buffer,
    /// Of a query's scores.
    d_scores: Buffer,
}

/// Floats of a row of a table.
pub(super) fn table_width(layout: &Layout) -> usize {
    match layout.tables {
        Tables::ByHead => layout.d_module * layout.heads_padded,
        Tables::ByCoordinate => layout.heads * layout.stride_module,
    }
}

/// Floats of a row of the gradient by keys.
pub(super) fn key_width(layout: &Layout) -> usize {
    match layout.tables {
        Tables::ByHead => table_width(layout),
        Tables::ByCoordinate => layout.stride_module,
    }
}

/// A circuit as the tables lie.
fn matrix<'a>(layout: &Layout, circuit: &'a Circuit) -> &'a [f32] {
    match layout.tables {
        Tables::ByHead => &circuit.heads_last,
        Tables::ByCoordinate => &circuit.coordinates_last,
    }
}

impl TableGradients {
    /// For at most `rows` rows, and queries with at most `keys` keys.
    pub(super) fn new(layout: &Layout, rows: usize, keys: usize) -> Self {
        let table = |width: usize| Buffer::new(rows * width);
        let (width, key_width) = (table_width(layout), key_width(layout));
        let d_scores = Buffer::new(keys * layout.heads_padded);
        Self { du: table(width), d_o: table(width), d_key: table(key_width), d_scores }
    }

    /// Zeros for `rows` rows, of which those from `asking` on ask.
    pub(super) fn clear(&mut self, layout: &Layout, rows: usize, asking: usize) {
        let width = table_width(layout);
        self.du[..(rows - asking) * width].fill(0.0);
        self.d_o[..rows * width].fill(0.0);
        self.d_key[..rows * key_width(layout)].fill(0.0);
    }
}

impl Heads {
    /// For at most `rows` rows and weights of `weights` queries and keys.
    pub(super) fn new(layout: &Layout, layer: usize, rows: usize, weights: usize) -> Self {
        let size = table_width(layout);
        let tables = match layout.tables {
            Tables::ByHead => For::ByHead,
            Tables::ByCoordinate => For::ByCoordinate,
        };
        let group = |_| Group {
            qk: Circuit::new(layout, tables),
            ov: Circuit::new(layout, tables),
            d_qk: Buffer::new(layout.d_module * size),
            d_ov: Buffer::new(layout.d_module * size),
            u: Buffer::new(rows * size),
            o: Buffer::new(rows * size),
            alpha: Buffer::new(weights * layout.heads_padded),
        };
        Self { layer, groups: layout.layers[layer].iter().map(group).collect() }
    }

    /// Number of groups.
    pub(super) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Makes the circuits.
    pub(super) fn begin<I: Isa>(&mut self, layout: &Layout, params: &[f32]) {
        for (group, slots) in self.groups.iter_mut().zip(&layout.layers[self.layer]) {
            circuits::forward::<I>(&mut group.qk, &mut group.ov, layout, slots, params);
            group.d_qk.fill(0.0);
            group.d_ov.fill(0.0);
        }
    }

    /// Fills the tables: `o` of the first `rows` rows, `u` of those from `asking` on.
    pub(super) fn fill<I: Isa>(&mut self, layout: &Layout, stream: &Stream, rows: usize, asking: usize) {
        let &Layout { d_module: d, stride_module: stride, .. } = layout;
        let width = table_width(layout);
        for Group { qk, ov, u, o, .. } in &mut self.groups {
            // u = QKᵀ qk_in, o = OVᵀ ov_in
            let left = Left::rows(&stream.qk_in[asking * stride..], stride);
            add_product::<I>(u, left, matrix(layout, qk), rows - asking, d, width, Start::Zeros);
            add_product::<I>(o, Left::rows(&stream.ov_in, stride), matrix(layout, ov), rows, d, width, Start::Zeros);
        }
    }

    /// What all heads write for the queries of a level, into `r` (queries, stride_module). `weights`: where theirs are kept.
    pub(super) fn attend<I: Isa>(
        &mut self,
        layout: &Layout,
        keys: Keys,
        stream: &Stream,
        asking: usize,
        weights: Range<usize>,
        r: &mut [f32],
    ) {
        let heads = layout.heads_padded;
        for (k, Group { u, o, alpha, .. }) in self.groups.iter_mut().enumerate() {
            let read = Read { u, u_start: asking, qk_in: &stream.qk_in, o };
            let alpha = &mut alpha[weights.start * heads..weights.end * heads];
            attend::attend::<I>(layout, keys, read, alpha, r, k == 0);
        }
    }

    /// From the gradient by what [`Heads::attend`] wrote to those by the tables of group `k`, added.
    #[expect(clippy::too_many_arguments, reason = "the forward pass's operands and their gradients")]
    pub(super) fn attend_backward<I: Isa>(
        &mut self,
        layout: &Layout,
        k: usize,
        keys: Keys,
        stream: &Stream,
        asking: usize,
        weights: Range<usize>,
        dr: &[f32],
        gradients: &mut TableGradients,
    ) {
        let heads = layout.heads_padded;
        let Group { u, o, alpha, .. } = &self.groups[k];
        let read = Read { u, u_start: asking, qk_in: &stream.qk_in, o };
        let alpha = &alpha[weights.start * heads..weights.end * heads];
        let TableGradients { du, d_o, d_key, d_scores } = gradients;
        attend::attend_backward::<I>(layout, keys, read, alpha, dr, Gradients { du, d_key, d_o }, d_scores);
    }

    /// From the gradients by the tables of group `k` to those by its circuits (added) and by the stream's inputs (added).
    pub(super) fn fill_backward<I: Isa>(
        &mut self,
        layout: &Layout,
        k: usize,
        stream: &mut Stream,
        rows: usize,
        asking: usize,
        gradients: &TableGradients,
    ) {
        let &Layout { d_module: d, stride_module: stride, .. } = layout;
        let width = table_width(layout);
        let Group { qk, ov, d_qk, d_ov, .. } = &mut self.groups[k];
        let TableGradients { du, d_o, d_key, .. } = gradients;
        let asked = rows - asking;
        // u = QKᵀ qk_in
        let (of_asking, d_of_asking) = (&stream.qk_in[asking * stride..], &mut stream.d_qk_in[asking * stride..]);
        add_product::<I>(d_qk, Left::columns(of_asking, stride), du, d, asked, width, Start::Old);
        add_products_of_rows::<I>((d_of_asking, stride), du, matrix(layout, qk), asked, d, width);
        let d_qk_in = &mut stream.d_qk_in[..rows * stride];
        match layout.tables {
            Tables::ByHead => by_head::add_over_heads::<I>(layout, d_qk_in, d_key),
            Tables::ByCoordinate => d_qk_in.iter_mut().zip(&**d_key).for_each(|(to, x)| *to += x),
        }
        // o = OVᵀ ov_in
        add_product::<I>(d_ov, Left::columns(&stream.ov_in, stride), d_o, d, rows, width, Start::Old);
        add_products_of_rows::<I>((&mut stream.d_ov_in, stride), d_o, matrix(layout, ov), rows, d, width);
    }

    /// From the circuits' gradients to the parameters', added.
    pub(super) fn end<I: Isa>(&mut self, layout: &Layout, params: &[f32], grad: &mut [f32]) {
        for (group, slots) in self.groups.iter_mut().zip(&layout.layers[self.layer]) {
            for (circuit, gradient) in [(&mut group.qk, &mut group.d_qk), (&mut group.ov, &mut group.d_ov)] {
                match layout.tables {
                    Tables::ByHead => std::mem::swap(&mut circuit.heads_last, gradient),
                    Tables::ByCoordinate => circuit.take_gradient(layout, gradient),
                }
            }
            circuits::backward::<I>(&group.qk, &group.ov, layout, slots, params, grad);
        }
    }
}
