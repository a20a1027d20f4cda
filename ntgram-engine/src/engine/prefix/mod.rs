//! The Transformer in prefix space: any window, any order, any of its configurations.
//!
//! With causal attention the state at a position depends on the tokens up to it. So the rows that are worked on are not a batch's
//! samples but its distinct prefixes, and before the first attention its distinct tokens at each position: `token_table`. The
//! prefixes of a batch's sorted sequences are a tree (`tree`): a node's ancestors are what it attends to. The first layer reads
//! its queries, keys and values from tables over tokens; each later one makes them for each node. A large tree is worked on in
//! pieces that fit the processor's cache, one after another, forward and back.
//!
//! `sizes`: how much of all that. `packing`: sequences as words that sort. `heads`, `attend`: attention of one layer. `loss`: of the
//! scored nodes.

mod attend;
mod by_coordinate;
mod by_head;
mod heads;
mod loss;
mod packing;
mod sizes;
mod token_table;
mod tree;

use super::buffer::Buffer;
use super::contexts::{Contexts, KeyKind};
use super::keys::Keys as SampleKeys;
use super::layout::Layout;
use super::linear::{self, Rows};
use super::mlp::Mlp;
use super::part::{self, OwnRows, Part, Prepared, StepInputs, StepOn};
use super::simd::{Detected, Isa};
use super::stream::{Flags, Stream};
use super::unembed::{Shape, Tally};
use super::{BLOCK, Problem};
use crate::models::TransformerConfig;
use attend::Keys;
use heads::{Heads, TableGradients};
use loss::TreeLoss;
use packing::Packing;
pub(super) use sizes::{Sizes, refused};
use std::ops::Range;
use std::sync::Arc;
use token_table::TokenTable;
use tree::{Tree, TreeShape};

/// What a training starts from: all parameters are shared.
pub(super) fn prepare(problem: &Problem, config: &TransformerConfig, n_parts: usize) -> Prepared {
    let sizes = Sizes::new(problem, config);
    let packing = sizes.packing;
    let sequences = (problem.tokens, problem.window);
    let keys = SampleKeys::new(sequences, (packing.words(), packing.end()), problem.threads, |words, sequence| {
        packing.pack(words, sequence);
    });
    let ranges = split(&keys, n_parts);
    let part = |range| -> Box<dyn Part> { Box::new(PrefixPart::new(problem, config, &sizes, range)) };
    let parts = ranges.into_iter().map(part).collect();
    let contexts = Contexts {
        rows: Vec::new(),
        n_vocab: config.n_vocab,
        len_of_one: problem.order - 1,
        target_bits: 0,
        key_kind: KeyKind::ContextAndTarget,
    };
    Prepared { contexts, keys, parts, layout: sizes.layout, own_rows: OwnRows::None }
}

/// Samples that are looked at to split the sequences.
const WEIGHED_SAMPLES: usize = 1 << 16;

/// Ranges of the first word of a sequence with about as many samples each.
fn split(keys: &SampleKeys, n_parts: usize) -> Vec<Range<u64>> {
    let every = keys.len().div_ceil(WEIGHED_SAMPLES).max(1);
    let mut words: Vec<u32> = (0..keys.len()).step_by(every).map(|i| keys.word(i * keys.per_sample)).collect();
    words.sort_unstable();
    let mut ends: Vec<u64> = (1..n_parts).map(|k| words[k * words.len() / n_parts].into()).collect();
    ends.push(1 << u32::BITS);
    ends.dedup();
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(ends.iter().copied()).map(|(start, end)| start..end).filter(|range| !range.is_empty()).collect()
}

/// A range of the sequences, with all that the Transformer needs to work on it.
#[derive(Debug)]
struct PrefixPart {
    layout: Arc<Layout>,
    flags: Flags,
    packing: Packing,
    /// The part's sequences are those whose first word is in here.
    range: Range<u64>,
    /// The first scored position.
    first: usize,
    scored: usize,
    /// The most nodes of a piece.
    capacity: usize,
    /// Where the part's sequences are among the batch's keys, sorted.
    sorted: Vec<Sequence>,
    table: TokenTable,
    tree: Tree,
    loss: TreeLoss,
    /// For each layer what it reads: for the first, rows of the token table; then, nodes.
    streams: Vec<Stream>,
    heads: Vec<Heads>,
    /// Gradients by the tables of the first layer's groups, over all pieces; and of one group of a later layer.
    first_gradients: Vec<TableGradients>,
    later_gradients: TableGradients,
    mlps: Vec<Mlp>,
    /// What attention writes, and its gradient: (nodes, stride_module); for a compressed one, the matrix that the way back needs.
    written: Vec<Buffer>,
    d_written: Buffer,
    weight: Buffer,
    /// The stream after a layer, then its gradient, and room for that of the layer before: (nodes, stride).
    top: Buffer,
    below: Buffer,
    /// Gradient by the rows of the token table, (rows, stride).
    d_table: Buffer,
    /// Gradient by every parameter, in the engine's layout.
    grad: Buffer,
}

/// A sequence's first words, or all, and where it is among the keys.
type Sequence = (u64, u32);

impl PrefixPart {
    fn new(problem: &Problem, config: &TransformerConfig, sizes: &Sizes, range: Range<u64>) -> Self {
        let &Sizes { packing, samples, depth, nodes: capacity, table_rows, .. } = sizes;
        let layout = Arc::clone(&sizes.layout);
        let flags = Flags::from(config);
        let n_layers = config.n_layers;
        let first = (problem.order - 1).max(1) - 1;
        let law_context = problem.compared_law().map(|_| problem.order - 1);
        let deep = n_layers > 1;
        let shape = TreeShape { packing, n_vocab: config.n_vocab, window: problem.window, first, law_context, deep };
        let first_tokens =
            packing.first_token(range.start)..(packing.first_token(range.end - 1) + 1).min(config.n_vocab);
        let table = TokenTable::new(config.n_vocab, depth, first_tokens, samples);
        let weights = capacity * depth;
        let rows_of = |layer: usize| if layer == 0 { table_rows } else { capacity };
        let nodes = |stride: usize| Buffer::new(capacity.next_multiple_of(BLOCK) * stride);
        let first_gradients =
            layout.layers[0].iter().map(|_| TableGradients::new(&layout, table_rows, depth)).collect();
        let unembedding = Shape { n: layout.n_vocab, d: layout.d, stride: layout.stride };
        Self {
            flags,
            packing,
            range,
            first,
            scored: problem.scored(),
            capacity,
            sorted: Vec::new(),
            table,
            tree: Tree::new(shape),
            loss: TreeLoss::new(unembedding, problem.compared_law()),
            streams: (0..n_layers).map(|layer| Stream::new(rows_of(layer), &layout, &flags)).collect(),
            heads: (0..n_layers).map(|layer| Heads::new(&layout, layer, rows_of(layer), weights)).collect(),
            first_gradients,
            later_gradients: TableGradients::new(&layout, if deep { capacity } else { 0 }, depth),
            mlps: layout.mlps.iter().map(|maps| Mlp::new(maps, capacity, layout.stride, flags.norm)).collect(),
            written: (0..n_layers).map(|_| nodes(layout.stride_module)).collect(),
            d_written: nodes(layout.stride_module),
            weight: match &layout.compression {
                Some(c) if flags.compresses => linear::untransposed(&c.w_d),
                _ => Buffer::new(0),
            },
            top: nodes(layout.stride),
            below: nodes(layout.stride),
            d_table: Buffer::new(table_rows * layout.stride),
            grad: Buffer::new(layout.len),
            layout,
        }
    }

    /// Loss and gradient (into `self.grad`) of those samples `keys` that are the part's, divided by all scored positions.
    fn gradient<I: Isa>(&mut self, params: &[f32], keys: &[u32]) -> Tally {
        let words = self.packing.words();
        let factor = 1.0 / (keys.len() / words * self.scored) as f32;
        self.grad.fill(0.0);
        self.sort(keys, words);
        let mut total = Tally::default();
        if self.sorted.is_empty() {
            return total;
        }
        self.begin::<I>(params, keys);
        let mut start = 0;
        while start < self.sorted.len() {
            let sequences = self.sorted[start..].iter().map(|&(_, i)| &keys[i as usize * words..][..words]);
            start += self.tree.grow(sequences, &self.table, self.capacity);
            self.forward::<I>(params);
            let (w_u, dw_u) = (&params[self.layout.w_u.clone()], &mut self.grad[self.layout.w_u.clone()]);
            total.add(self.loss.of::<I>(&self.tree, self.first, &mut self.top, (w_u, dw_u), factor));
            self.backward::<I>(params);
        }
        self.end::<I>(params);
        total
    }

    /// Finds and sorts the part's sequences.
    fn sort(&mut self, keys: &[u32], words: usize) {
        self.sorted.clear();
        let all = self.range == (0..1 << u32::BITS);
        for (i, key) in (0..).zip(keys.chunks_exact(words)) {
            if all || self.range.contains(&key[0].into()) {
                let second = if words > 1 { key[1] } else { 0 };
                self.sorted.push((u64::from(key[0]) << u32::BITS | u64::from(second), i));
            }
        }
        if words <= 2 {
            self.sorted.sort_unstable();
        } else {
            let rest = |i: u32| &keys[i as usize * words + 2..(i as usize + 1) * words];
            self.sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| rest(a.1).cmp(rest(b.1))));
        }
    }

    /// Before the pieces of a batch: circuits, and the first layer's tables.
    fn begin<I: Isa>(&mut self, params: &[f32], keys: &[u32]) {
        let layout = &*self.layout;
        let words = self.packing.words();
        let sequence = |k: usize| &keys[self.sorted[k].1 as usize * words..][..words];
        self.table.fill(self.sorted.len(), |k, tokens| self.packing.unpack(sequence(k), tokens));
        let w_e = &params[layout.w_e.clone()];
        let stream = &mut self.streams[0];
        for (row, &token) in stream.x.chunks_exact_mut(layout.stride).zip(&self.table.tokens) {
            row.copy_from_slice(&w_e[token as usize * layout.stride..][..layout.stride]);
        }
        stream.inputs::<I>(&self.table.spans, params, layout, &self.flags);
        for heads in &mut self.heads {
            heads.begin::<I>(layout, params);
        }
        for (maps, mlp) in layout.mlps.iter().zip(&mut self.mlps) {
            mlp.begin(maps, params, layout.stride);
        }
        let rows = self.table.tokens.len();
        let asking = self.asking_in_table();
        self.heads[0].fill::<I>(layout, &self.streams[0], rows, asking);
        for gradients in &mut self.first_gradients {
            gradients.clear(layout, rows, asking);
        }
        self.loss.begin(&params[layout.w_u.clone()]);
    }

    /// The first row of the token table that asks in the first layer.
    fn asking_in_table(&self) -> usize {
        self.table.spans[self.first_level(0)].rows.start
    }

    /// The first level whose nodes ask in a layer: in the last, the scored ones alone.
    fn first_level(&self, layer: usize) -> usize {
        if layer + 1 == self.layout.layers.len() { self.first } else { 0 }
    }

    /// Calls `attention(level, keys, weights, nodes)` for each level that asks in a layer: what it attends to, where its weights
    /// are, and where its nodes are among those that ask.
    fn for_levels(
        tree: &Tree,
        layer: usize,
        first: usize,
        mut attention: impl FnMut(Keys, Range<usize>, Range<usize>),
    ) {
        let start = tree.rows(first).start;
        let mut weights = 0;
        for (p, level) in tree.levels.iter().enumerate().skip(first) {
            let rows = if layer == 0 { &level.table_keys } else { &level.node_keys };
            let nodes = tree.rows(p);
            let end = weights + rows.len();
            attention(Keys { rows, count: p + 1 }, weights..end, nodes.start - start..nodes.end - start);
            weights = end;
        }
    }

    /// From the tables to `self.top`, the stream of the scored nodes.
    fn forward<I: Isa>(&mut self, params: &[f32]) {
        let layout = Arc::clone(&self.layout);
        let &Layout { d, stride, stride_module, .. } = &*layout;
        let last = layout.layers.len() - 1;
        for l in 0..=last {
            let first = self.first_level(l);
            let (all, nodes) = (self.tree.rows_from(0).len(), self.tree.rows_from(first));
            let asking = if l == 0 { self.asking_in_table() } else { nodes.start };
            if l > 0 {
                self.streams[l].inputs::<I>(&self.tree.spans, params, &layout, &self.flags);
                self.heads[l].fill::<I>(&layout, &self.streams[l], all, asking);
            }
            let (stream, heads, written) = (&self.streams[l], &mut self.heads[l], &mut self.written[l]);
            Self::for_levels(&self.tree, l, first, |keys, weights, nodes| {
                let r = &mut written[nodes.start * stride_module..nodes.end * stride_module];
                heads.attend::<I>(&layout, keys, stream, asking, weights, r);
            });
            // x = s_res x + W_D Σ_h …
            let (before, after) = self.streams.split_at_mut(l + 1);
            let x = match after.first_mut() {
                Some(next) => &mut next.x[..nodes.len() * stride],
                None => &mut self.top[..nodes.len() * stride],
            };
            match (self.flags.residual, l) {
                (false, _) => x.fill(0.0),
                (true, 0) => {
                    let w_e = &params[layout.w_e.clone()];
                    let tokens = self.tree.levels[first..].iter().flat_map(|level| &level.tokens);
                    for (x, &token) in x.chunks_exact_mut(stride).zip(tokens) {
                        x.copy_from_slice(&w_e[token as usize * stride..][..stride]);
                    }
                }
                (true, _) => x.copy_from_slice(&before[l].x[nodes.start * stride..nodes.end * stride]),
            }
            match &layout.compression {
                Some(c) if self.flags.compresses => {
                    let written = Rows { data: written, stride: stride_module, count: nodes.len() };
                    linear::forward::<I>(&c.w_d, params, written, x, true);
                }
                _ => x.iter_mut().zip(&**written).for_each(|(x, r)| *x += r),
            }
            if !layout.mlps[l].is_empty() {
                self.mlps[l].forward::<I>(&layout.mlps[l], params, x, nodes.len(), stride, d);
            }
        }
    }

    /// From the gradient by `self.top` to those by the first layer's tables, the circuits and the other parameters.
    fn backward<I: Isa>(&mut self, params: &[f32]) {
        let layout = Arc::clone(&self.layout);
        let &Layout { d, stride, stride_module, .. } = &*layout;
        let last = layout.layers.len() - 1;
        for l in (0..=last).rev() {
            let first = self.first_level(l);
            let (all, nodes) = (self.tree.rows_from(0).len(), self.tree.rows_from(first));
            let asking = if l == 0 { self.asking_in_table() } else { nodes.start };
            let dx = &mut self.top[..nodes.len() * stride];
            if !layout.mlps[l].is_empty() {
                self.mlps[l].backward::<I>(&layout.mlps[l], &mut self.grad, dx, stride, d);
            }
            // x = s_res x + W_D Σ_h …
            let dr = match &layout.compression {
                Some(c) if self.flags.compresses => {
                    let written = Rows { data: &self.written[l], stride: stride_module, count: nodes.len() };
                    let (grad, dr) = (&mut self.grad, &mut self.d_written);
                    linear::untranspose(&c.w_d, params, stride_module, &mut self.weight);
                    linear::backward::<I>(&c.w_d, &self.weight, grad, written, dx, dr);
                    &**dr
                }
                _ => &*dx,
            };
            if l == 0 {
                for (k, gradients) in self.first_gradients.iter_mut().enumerate() {
                    let (stream, heads) = (&self.streams[0], &mut self.heads[0]);
                    Self::for_levels(&self.tree, 0, first, |keys, weights, nodes| {
                        let dr = &dr[nodes.start * stride_module..nodes.end * stride_module];
                        heads.attend_backward::<I>(&layout, k, keys, stream, asking, weights, dr, gradients);
                    });
                }
                if self.flags.residual {
                    let dw_e = &mut self.grad[layout.w_e.clone()];
                    let tokens = self.tree.levels[first..].iter().flat_map(|level| &level.tokens);
                    for (dx, &token) in self.top.chunks_exact(stride).zip(tokens) {
                        add_row(&mut dw_e[token as usize * stride..][..stride], dx);
                    }
                }
                return;
            }
            let stream = &mut self.streams[l];
            stream.d_qk_in[..all * stride_module].fill(0.0);
            stream.d_ov_in[..all * stride_module].fill(0.0);
            for k in 0..self.heads[l].groups() {
                let gradients = &mut self.later_gradients;
                gradients.clear(&layout, all, asking);
                let heads = &mut self.heads[l];
                Self::for_levels(&self.tree, l, first, |keys, weights, nodes| {
                    let dr = &dr[nodes.start * stride_module..nodes.end * stride_module];
                    heads.attend_backward::<I>(&layout, k, keys, stream, asking, weights, dr, gradients);
                });
                heads.fill_backward::<I>(&layout, k, stream, all, asking, gradients);
            }
            let below = &mut self.below[..all * stride];
            below.fill(0.0);
            if self.flags.residual {
                below[nodes.start * stride..nodes.end * stride].copy_from_slice(dx);
            }
            stream.inputs_backward::<I>(&self.tree.spans, params, below, &mut self.grad, &layout, &self.flags);
            std::mem::swap(&mut self.top, &mut self.below);
        }
    }

    /// After the pieces of a batch: from the gradients by the first layer's tables and all circuits to the parameters'.
    fn end<I: Isa>(&mut self, params: &[f32]) {
        let layout = Arc::clone(&self.layout);
        let &Layout { stride, stride_module, .. } = &*layout;
        let rows = self.table.tokens.len();
        let asking = self.asking_in_table();
        let (stream, heads) = (&mut self.streams[0], &mut self.heads[0]);
        stream.d_qk_in[..rows * stride_module].fill(0.0);
        stream.d_ov_in[..rows * stride_module].fill(0.0);
        for (k, gradients) in self.first_gradients.iter().enumerate() {
            heads.fill_backward::<I>(&layout, k, stream, rows, asking, gradients);
        }
        let dx = &mut self.d_table[..rows * stride];
        dx.fill(0.0);
        stream.inputs_backward::<I>(&self.table.spans, params, dx, &mut self.grad, &layout, &self.flags);
        let dw_e = &mut self.grad[layout.w_e.clone()];
        for (dx, &token) in dx.chunks_exact(stride).zip(&self.table.tokens) {
            add_row(&mut dw_e[token as usize * stride..][..stride], dx);
        }
        for heads in &mut self.heads {
            heads.end::<I>(&layout, params, &mut self.grad);
        }
    }
}

fn add_row(to: &mut [f32], row: &[f32]) {
    to.iter_mut().zip(row).for_each(|(to, x)| *to += x);
}

impl StepOn for PrefixPart {
    #[inline(always)]
    fn step_on<I: Isa>(&mut self, inputs: StepInputs) -> Tally {
        self.gradient::<I>(inputs.params, inputs.keys)
    }
}

impl Part for PrefixPart {
    fn step(&mut self, level: Detected, inputs: StepInputs) -> Tally {
        part::step(self, level, inputs)
    }

    fn shared_gradient(&mut self) -> &mut Buffer {
        &mut self.grad
    }

    fn end_steps(&mut self) {
        self.streams.clear();
        self.heads.clear();
        self.first_gradients.clear();
        self.mlps.clear();
        self.grad = Buffer::new(0);
    }
}
