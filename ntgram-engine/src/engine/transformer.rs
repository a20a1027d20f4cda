//! The Transformer on trigrams in windows of 3, over pairs of tokens: one part of its batch, with forward pass, loss and every gradient;
//! and what a training starts from.

use super::attention::{self, InputGradients, Inputs, Onto, PairRows, Tables};
use super::batch_pairs::BatchPairs;
use super::buffer::Buffer;
use super::circuits::{self, Circuit, For};
use super::contexts::{Contexts, SplitAt};
use super::division::shuffle_share;
use super::layout::{Layout, Tables as TableLayout};
use super::loss::BatchLoss;
use super::mlp::Mlp;
use super::part::{self, OwnRows, Part, Prepared, StepInputs, StepOn};
use super::simd::{Detected, Isa};
use super::stream::{Flags, Span, Stream};
use super::token_rows::TokenRows;
use super::unembed::{Shape, Tally};
use super::{BLOCK, Problem};
use crate::models::TransformerConfig;
use std::ops::Range;
use std::sync::Arc;

/// Largest vocabulary: a row of a table is a token in 16 bits, a context and a target share 32.
const MOST_TOKENS: usize = 1024;

/// Size of modules from which on `prefix` is faster, and floats of a circuit of all heads up to which it takes as little memory.
const LARGE_MODULE: usize = 32;
const LARGE_CIRCUIT: usize = 1 << 16;

/// Whether pairs of tokens are all that there is to work on, in small modules. `prefix` could do it, too: what is here takes a third of
/// the time at N 10, d 5, H 5, B 512, four sevenths at N 100, d 10, H 5, B 1024, and 9 tenths of it at N 50, d 10, H 20, B 256; at N 200,
/// d 50, H 11, B 1024 it would take 1.2 times as long (`examples/family.rs` measures).
pub(super) fn takes(problem: &Problem, config: &TransformerConfig) -> bool {
    let pairs = problem.window == 3 && problem.order == 3;
    let circuit = config.n_modules.saturating_mul(config.n_heads).saturating_mul(config.d_model * config.d_model);
    let small = config.d_model < LARGE_MODULE || circuit > LARGE_CIRCUIT;
    pairs && !config.compresses() && config.n_vocab <= MOST_TOKENS && small
}

/// What a training of a Transformer starts from: all parameters are shared.
pub(super) fn prepare(problem: &Problem, config: &TransformerConfig, n_parts: usize) -> Prepared {
    let layout = Arc::new(Layout::new(config, &problem.freeze, Some(TableLayout::ByHead)));
    let (contexts, keys) = Contexts::new(problem, n_parts, |_| false);
    let ranges = contexts.split(&keys, n_parts, shuffle_share(problem.model), SplitAt::LastTokens);
    let part = |range| -> Box<dyn Part> {
        Box::new(TransformerPart::new(problem, Arc::clone(&layout), config, &contexts, range))
    };
    let parts = ranges.into_iter().map(part).collect();
    Prepared { contexts, keys, parts, layout, own_rows: OwnRows::None }
}

/// One layer.
#[derive(Debug)]
struct Layer {
    /// Of the group of heads that was worked on last.
    qk: Circuit,
    ov: Circuit,
    /// Weight of the first token in each pair, (pairs, heads_padded), for each group of heads.
    alphas: Vec<Buffer>,
    /// Position 0: one row for each first token. Position 1: for each second token, or pair.
    at0: Stream,
    at1: Stream,
    mlp0: Mlp,
    mlp1: Mlp,
}

/// How many rows layer `layer` has at either position, and which of them each pair of the batch has.
fn rows_and_pairs<'a>(
    layer: usize,
    rows0: &'a TokenRows,
    rows1: &'a TokenRows,
    itself: &'a [u32],
) -> ([usize; 2], PairRows<'a>) {
    let first = &rows0.of_pair[..];
    let (at1, second) =
        if layer == 0 { (rows1.tokens.len(), &rows1.of_pair[..]) } else { (first.len(), &itself[..first.len()]) };
    ([rows0.tokens.len(), at1], PairRows::new(first, second))
}

/// All rows of either position.
fn spans(rows0: usize, rows1: usize) -> [Span; 2] {
    [Span { position: 0, rows: 0..rows0 }, Span { position: 1, rows: 0..rows1 }]
}

/// A range of the contexts, with all that the Transformer needs to work on it.
#[derive(Debug)]
struct TransformerPart {
    layout: Arc<Layout>,
    flags: Flags,
    batch: BatchPairs,
    loss: BatchLoss,
    layers: Vec<Layer>,
    /// Of the layer, and its group of heads, that is worked on.
    tables: Tables,
    /// Rows of the tables at position 0, and at position 1 before the first layer; after it, position 1 has one row a pair.
    rows0: TokenRows,
    rows1: TokenRows,
    /// `0, 1, 2, …`: each pair's own row.
    itself: Vec<u32>,
    /// The stream after the last layer, then its gradient, (pairs, stride), and room for the gradient by a layer's input.
    stream: Buffer,
    next: Buffer,
    /// Gradient by the stream at position 0, before and after a layer.
    d0: Buffer,
    next0: Buffer,
    /// Gradient by every parameter, in the engine's layout.
    grad: Buffer,
}

impl TransformerPart {
    fn new(
        problem: &Problem,
        layout: Arc<Layout>,
        config: &TransformerConfig,
        contexts: &Contexts,
        range: Range<usize>,
    ) -> Self {
        let (d, stride, n) = (layout.d, layout.stride, layout.n_vocab);
        let batch = BatchPairs::new(contexts, range.clone(), problem.batch_size);
        let shape = Shape { n, d, stride };
        let loss = BatchLoss::new(shape, contexts, range.clone(), batch.fixed, problem.compared_law());
        let pairs = batch.capacity();
        let tokens = |of: &dyn Fn(usize) -> usize| {
            range.clone().map(|c| of(contexts.rows[c] as usize) as u16).collect::<Vec<_>>()
        };
        let mut rows0 = TokenRows::new(&tokens(&|row| row % n), n, pairs);
        let mut rows1 = TokenRows::new(&tokens(&|row| row / n), n, pairs);
        if batch.fixed {
            rows0.fill(&batch.pairs);
            rows1.fill(&batch.pairs);
        }
        let flags = Flags::from(config);
        let capacity1 = |layer: usize| if layer == 0 { rows1.capacity } else { pairs };
        let n_layers = layout.layers.len();
        let most1 = (0..n_layers).map(capacity1).max().unwrap_or(0);
        let tables = Tables::new(&layout, rows0.capacity, most1, pairs);
        let layers = (0..n_layers)
            .map(|layer| Layer {
                qk: Circuit::new(&layout, For::Both),
                ov: Circuit::new(&layout, For::Both),
                alphas: layout.layers[layer].iter().map(|_| Buffer::new(pairs * layout.heads_padded)).collect(),
                at0: Stream::new(rows0.capacity, &layout, &flags),
                at1: Stream::new(capacity1(layer), &layout, &flags),
                mlp0: Mlp::new(&layout.mlps[layer], rows0.capacity, stride, flags.norm),
                mlp1: Mlp::new(&layout.mlps[layer], pairs, stride, flags.norm),
            })
            .collect();
        let widest = pairs.max(rows1.capacity) * stride;
        let grad = Buffer::new(layout.len);
        Self {
            flags,
            itself: (0..pairs as u32).collect(),
            stream: Buffer::new(widest),
            next: Buffer::new(widest),
            d0: Buffer::new(rows0.capacity * stride),
            next0: Buffer::new(rows0.capacity * stride),
            layout,
            batch,
            loss,
            layers,
            tables,
            rows0,
            rows1,
            grad,
        }
    }

    /// Loss and gradient (into `self.grad`) of the samples `keys`, each divided by the batch size.
    fn gradient<I: Isa>(&mut self, params: &[f32], contexts: &Contexts, keys: &[u32]) -> Tally {
        let factor = 1.0 / keys.len() as f32;
        self.batch.fill(contexts, keys);
        if !self.batch.fixed {
            self.rows0.fill(&self.batch.pairs);
            self.rows1.fill(&self.batch.pairs);
        }
        self.grad.fill(0.0);
        self.forward::<I>(params);
        let tally = self.unembed::<I>(params, factor);
        self.backward::<I>(params);
        tally
    }

    /// From the parameters to `self.stream`.
    fn forward<I: Isa>(&mut self, params: &[f32]) {
        let layout = &*self.layout;
        let (d, stride, heads) = (layout.d, layout.stride, layout.heads);
        let n_pairs = self.rows0.of_pair.len();
        let w_e = &params[layout.w_e.clone()];
        let Layer { at0, at1, .. } = &mut self.layers[0];
        for (x, tokens) in [(&mut at0.x, &self.rows0.tokens), (&mut at1.x, &self.rows1.tokens)] {
            for (row, &token) in x.chunks_exact_mut(stride).zip(tokens) {
                row.copy_from_slice(&w_e[token as usize * stride..][..stride]);
            }
        }
        for l in 0..self.layers.len() {
            let (before, after) = self.layers.split_at_mut(l + 1);
            let Layer { qk, ov, alphas, at0, at1, mlp0, mlp1 } = &mut before[l];
            let tables = &mut self.tables;
            let ([rows0, rows1], pairs) = rows_and_pairs(l, &self.rows0, &self.rows1, &self.itself);
            let [span0, span1] = spans(rows0, rows1);
            at0.inputs::<I>(&[span0], params, layout, &self.flags);
            at1.inputs::<I>(&[span1], params, layout, &self.flags);
            let in0 = Inputs { qk_in: &at0.qk_in, ov_in: &at0.ov_in, rows: rows0 };
            let in1 = Inputs { qk_in: &at1.qk_in, ov_in: &at1.ov_in, rows: rows1 };
            // The stream after this layer, at position 0 only where another layer follows.
            let (next0, next1) = match after.first_mut() {
                Some(next) => (&mut next.at0.x[..rows0 * stride], &mut next.at1.x),
                None => (&mut [][..], &mut self.stream),
            };
            // Position 0 sees itself only: x = s_res x + Σ_h o0
            if self.flags.residual {
                next0.iter_mut().zip(&*at0.x).for_each(|(to, x)| *to = *x);
            } else {
                next0.fill(0.0);
            }
            let mut onto = if self.flags.residual { Onto::Stream(&at1.x) } else { Onto::Nothing };
            for (group, alpha) in layout.layers[l].iter().zip(alphas) {
                circuits::forward::<I>(qk, ov, layout, group, params);
                attention::forward::<I>(tables, layout, qk, ov, pairs, in0, in1, alpha, onto, next1);
                onto = Onto::Heads;
                for (to, o0) in next0.chunks_exact_mut(stride).zip(tables.o0.chunks_exact(heads * stride)) {
                    for o0 in o0.chunks_exact(stride) {
                        to.iter_mut().zip(o0).for_each(|(to, x)| *to += x);
                    }
                }
            }
            let maps = &layout.mlps[l];
            if !maps.is_empty() {
                mlp1.begin(maps, params, stride);
                mlp1.forward::<I>(maps, params, next1, n_pairs, stride, d);
                if !next0.is_empty() {
                    mlp0.begin(maps, params, stride);
                    mlp0.forward::<I>(maps, params, next0, rows0, stride, d);
                }
            }
        }
    }

    /// From `self.stream` to the loss; replaces the stream by its gradient.
    fn unembed<I: Isa>(&mut self, params: &[f32], factor: f32) -> Tally {
        let layout = &*self.layout;
        let w_u = &params[layout.w_u.clone()];
        let dw_u = &mut self.grad[layout.w_u.clone()];
        self.loss.begin(w_u);
        let mut total = Tally::default();
        let blocks = self.rows0.of_pair.len().div_ceil(BLOCK);
        for (block, rows) in self.stream.chunks_exact_mut(BLOCK * layout.stride).take(blocks).enumerate() {
            total.add(self.loss.block::<I>(&self.batch, block, w_u, dw_u, rows, factor));
            self.loss.stream_gradients(rows, layout.stride);
        }
        total
    }

    /// From the gradient by `self.stream` to every parameter's.
    fn backward<I: Isa>(&mut self, params: &[f32]) {
        let layout = &*self.layout;
        let (d, stride, heads_padded) = (layout.d, layout.stride, layout.heads_padded);
        let last = self.layers.len() - 1;
        for (l, layer) in self.layers.iter_mut().enumerate().rev() {
            let Layer { qk, ov, alphas, at0, at1, mlp0, mlp1 } = layer;
            let tables = &mut self.tables;
            let ([rows0, rows1], pairs) = rows_and_pairs(l, &self.rows0, &self.rows1, &self.itself);
            let maps = &layout.mlps[l];
            if !maps.is_empty() {
                mlp1.backward::<I>(maps, &mut self.grad, &mut self.stream, stride, d);
                if l < last {
                    mlp0.backward::<I>(maps, &mut self.grad, &mut self.d0, stride, d);
                }
            }
            self.next0.fill(0.0);
            self.next.fill(0.0);
            if l < last && self.flags.residual {
                self.next0.copy_from_slice(&self.d0);
            }
            for (at, rows) in [(&mut *at0, rows0), (&mut *at1, rows1)] {
                at.d_qk_in[..rows * stride].fill(0.0);
                at.d_ov_in[..rows * stride].fill(0.0);
            }
            let in0 = Inputs { qk_in: &at0.qk_in, ov_in: &at0.ov_in, rows: rows0 };
            let in1 = Inputs { qk_in: &at1.qk_in, ov_in: &at1.ov_in, rows: rows1 };
            let mut grad0 = InputGradients { d_qk_in: &mut at0.d_qk_in, d_ov_in: &mut at0.d_ov_in };
            let mut grad1 = InputGradients { d_qk_in: &mut at1.d_qk_in, d_ov_in: &mut at1.d_ov_in };
            let mut dx1 = self.flags.residual.then_some(&mut *self.next);
            let groups = &layout.layers[l];
            for (group, alpha) in groups.iter().zip(alphas) {
                if groups.len() > 1 {
                    circuits::forward::<I>(qk, ov, layout, group, params);
                }
                if l < last {
                    // At position 0: x = s_res x + Σ_h o0
                    let coordinates = self.d0.chunks_exact(stride).flat_map(|row| &row[..d]);
                    for (strip, dx) in tables.d_o0.chunks_exact_mut(heads_padded).zip(coordinates) {
                        strip.fill(*dx);
                    }
                } else {
                    tables.d_o0[..rows0 * d * heads_padded].fill(0.0);
                }
                attention::backward::<I>(
                    tables,
                    layout,
                    qk,
                    ov,
                    pairs,
                    in0,
                    in1,
                    alpha,
                    &self.stream,
                    &mut grad0,
                    &mut grad1,
                    dx1.take(),
                );
                circuits::backward::<I>(qk, ov, layout, group, params, &mut self.grad);
            }
            let [span0, span1] = spans(rows0, rows1);
            at0.inputs_backward::<I>(&[span0], params, &mut self.next0, &mut self.grad, layout, &self.flags);
            at1.inputs_backward::<I>(&[span1], params, &mut self.next, &mut self.grad, layout, &self.flags);
            std::mem::swap(&mut self.stream, &mut self.next);
            std::mem::swap(&mut self.d0, &mut self.next0);
        }
        // x = W_E[token]
        let dw_e = &mut self.grad[layout.w_e.clone()];
        for (dx, tokens) in [(&self.d0, &self.rows0.tokens), (&self.stream, &self.rows1.tokens)] {
            for (row, &token) in dx.chunks_exact(stride).zip(tokens) {
                for (to, x) in dw_e[token as usize * stride..][..stride].iter_mut().zip(row) {
                    *to += x;
                }
            }
        }
    }
}

impl StepOn for TransformerPart {
    #[inline(always)]
    fn step_on<I: Isa>(&mut self, inputs: StepInputs) -> Tally {
        self.gradient::<I>(inputs.params, inputs.contexts, inputs.keys)
    }
}

impl Part for TransformerPart {
    fn step(&mut self, level: Detected, inputs: StepInputs) -> Tally {
        part::step(self, level, inputs)
    }

    fn shared_gradient(&mut self) -> &mut Buffer {
        &mut self.grad
    }

    fn end_steps(&mut self) {
        self.layers.clear();
        self.tables = Tables::new(&self.layout, 0, 0, 0);
        self.grad = Buffer::new(0);
    }
}
