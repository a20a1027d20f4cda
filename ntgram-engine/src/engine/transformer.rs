//! One part of a Transformer's batch: forward, loss and every gradient.

use super::attention::{self, InputGradients, Inputs, Onto, Pairs, Tables};
use super::circuits::{self, Circuit};
use super::contexts::{BLOCK, Contexts, Groups};
use super::layer_norm;
use super::layout::Layout;
use super::loss::Loss;
use super::math::Buffer;
use super::mlp::Mlp;
use super::rows::Rows;
use super::simd::{Isa, Lanes, vector_fn};
use super::unembed::{Shape, Tally};
use crate::models::Skips;
use std::ops::Range;
use std::sync::Arc;

/// The stream at one position, its layer norm, and what the circuits read of it; (rows, stride) each.
#[derive(Debug)]
struct Stream {
    x: Buffer,
    h: Buffer,
    scales: Vec<[f64; 2]>,
    f: Buffer,
    g: Buffer,
    /// Gradients by `f` and `g`.
    df: Buffer,
    dg: Buffer,
}

impl Stream {
    fn new(rows: usize, stride: usize) -> Self {
        let table = || Buffer::new(rows * stride);
        Self { x: table(), h: table(), scales: vec![[0.0; 2]; rows], f: table(), g: table(), df: table(), dg: table() }
    }

    /// `h = ln(x)`, `f` and `g` from it and the position's row `pos` of `P`.
    fn inputs<I: Isa>(&mut self, rows: usize, pos: &[f32], flags: &Flags, stride: usize, d: usize) {
        let len = rows * stride;
        layer_norm::forward(&self.x[..len], &mut self.h, &mut self.scales, stride, d);
        mix_inputs::<I>(&mut self.f[..len], &self.h, pos, [flags.emb_qk, flags.pos_qk]);
        mix_inputs::<I>(&mut self.g[..len], &self.h, pos, [flags.emb_ov, flags.pos_ov]);
    }

    /// From `df`, `dg` to the gradients by `x` (added) and by `pos` (added).
    fn inputs_backward<I: Isa>(
        &mut self,
        rows: usize,
        dx: &mut [f32],
        d_pos: &mut [f32],
        flags: &Flags,
        stride: usize,
        d: usize,
    ) {
        let len = rows * stride;
        mix_backward::<I>(&mut self.df[..len], &self.dg[..len], d_pos, flags);
        layer_norm::backward(&mut dx[..len], &self.df[..len], &self.h[..len], &self.scales, stride, d);
    }
}

vector_fn! {
    /// Rows of a circuit's inputs, `h` and `pos` each times its factor.
    fn mix_inputs<'a, I>(rows: &'a mut [f32], h: &'a [f32], pos: &'a [f32], factors: [f32; 2]) -> () {
        let (emb, on_pos) = (I::Half::splat(factors[0]), I::Half::splat(factors[1]));
        for (row, h) in rows.chunks_exact_mut(pos.len()).zip(h.chunks_exact(pos.len())) {
            let chunks = row.chunks_exact_mut(I::Half::LANES).zip(h.chunks_exact(I::Half::LANES));
            for ((to, h), pos) in chunks.zip(pos.chunks_exact(I::Half::LANES)) {
                // f = h s_embQK + P s_posQK;  g = h s_embOV + P s_posOV
                I::Half::load(h).fma(emb, I::Half::load(pos).mul(on_pos)).store(to);
            }
        }
    }
}

vector_fn! {
    /// From rows of gradients by `f` and `g` to those by `h` (in the place of `df`) and by `pos` (added).
    fn mix_backward<'a, I>(df: &'a mut [f32], dg: &'a [f32], d_pos: &'a mut [f32], flags: &'a Flags) -> () {
        let stride = d_pos.len();
        for w in (0..stride).step_by(I::Half::LANES) {
            let (mut qk, mut ov) = (I::Half::zero(), I::Half::zero());
            for (df, dg) in df.chunks_exact_mut(stride).zip(dg.chunks_exact(stride)) {
                // f = h s_embQK + P s_posQK;  g = h s_embOV + P s_posOV
                let (f, g) = (I::Half::load(&df[w..]), I::Half::load(&dg[w..]));
                qk = qk.add(f);
                ov = ov.add(g);
                f.mul(I::Half::splat(flags.emb_qk)).add(g.mul(I::Half::splat(flags.emb_ov))).store(&mut df[w..]);
            }
            let sum = qk.fma(I::Half::splat(flags.pos_qk), ov.mul(I::Half::splat(flags.pos_ov)));
            I::Half::load(&d_pos[w..]).add(sum).store(&mut d_pos[w..]);
        }
    }
}

/// The terms that are kept, as factors.
#[derive(Debug)]
struct Flags {
    residual: bool,
    pos_qk: f32,
    emb_qk: f32,
    pos_ov: f32,
    emb_ov: f32,
}

impl From<Skips> for Flags {
    fn from(skips: Skips) -> Self {
        let kept = |skipped: bool| if skipped { 0.0 } else { 1.0 };
        Self {
            residual: !skips.res_connection,
            pos_qk: kept(skips.pos_qk),
            emb_qk: kept(skips.emb_qk),
            pos_ov: kept(skips.pos_ov),
            emb_ov: kept(skips.emb_ov),
        }
    }
}

/// One layer.
#[derive(Debug)]
struct Layer {
    /// Of a group of heads, the last that was worked on.
    qk: Circuit,
    ov: Circuit,
    tables: Tables,
    /// Weight of the first token in each pair, (pairs, lanes), for each group of heads.
    alphas: Vec<Buffer>,
    /// Position 0: one row for each first token. Position 1: for each second token, or pair.
    at0: Stream,
    at1: Stream,
    mlp0: Mlp,
    mlp1: Mlp,
}

/// How many rows layer `layer` has at either position, and which of them each pair of the batch has.
fn rows_and_pairs<'a>(layer: usize, rows0: &'a Rows, rows1: &'a Rows, itself: &'a [u32]) -> ([usize; 2], Pairs<'a>) {
    let first = &rows0.of_pair[..];
    let (at1, second) =
        if layer == 0 { (rows1.tokens.len(), &rows1.of_pair[..]) } else { (first.len(), &itself[..first.len()]) };
    ([rows0.tokens.len(), at1], Pairs { first, second })
}

/// A range of the contexts, with all that the Transformer needs to work on it.
#[derive(Debug)]
pub(super) struct Part {
    layout: Arc<Layout>,
    flags: Flags,
    groups: Groups,
    loss: Loss,
    layers: Vec<Layer>,
    /// Rows of the tables at position 0, and at position 1 before the first layer; after it, position 1 has one row a pair.
    rows0: Rows,
    rows1: Rows,
    itself: Vec<u32>,
    /// The stream after the last layer, then its gradient, (pairs, stride), and room for the gradient by a layer's input.
    stream: Buffer,
    next: Buffer,
    /// Gradient by the stream at position 0, before and after a layer.
    d0: Buffer,
    next0: Buffer,
    /// Gradient by every parameter, in the engine's layout.
    pub(super) grad: Buffer,
}

impl Part {
    pub(super) fn new(
        layout: Arc<Layout>,
        skips: Skips,
        contexts: &Contexts,
        range: Range<usize>,
        batch_size: usize,
        law: Option<&[f32]>,
    ) -> Self {
        let (d, stride, n) = (layout.d, layout.stride, layout.n_vocab);
        let groups = Groups::new(contexts, range.clone(), batch_size);
        let loss = Loss::new(Shape { n, d, stride }, contexts, range.clone(), groups.fixed, law);
        let pairs = groups.capacity();
        let mut rows0 = Rows::new(&contexts.first[range.clone()], n, pairs);
        let mut rows1 = Rows::new(&contexts.second[range], n, pairs);
        if groups.fixed {
            rows0.fill(&groups.pairs);
            rows1.fill(&groups.pairs);
        }
        let capacity1 = |layer: usize| if layer == 0 { rows1.capacity } else { pairs };
        let layers = (0..layout.layers.len())
            .map(|layer| Layer {
                qk: Circuit::new(&layout),
                ov: Circuit::new(&layout),
                tables: Tables::new(&layout, rows0.capacity, capacity1(layer), pairs),
                alphas: layout.layers[layer].iter().map(|_| Buffer::new(pairs * layout.lanes)).collect(),
                at0: Stream::new(rows0.capacity, stride),
                at1: Stream::new(capacity1(layer), stride),
                mlp0: Mlp::new(&layout.mlps[layer], rows0.capacity, stride),
                mlp1: Mlp::new(&layout.mlps[layer], pairs, stride),
            })
            .collect();
        let widest = pairs.max(rows1.capacity) * stride;
        let grad = Buffer::new(layout.len);
        Self {
            flags: skips.into(),
            itself: (0..pairs as u32).collect(),
            stream: Buffer::new(widest),
            next: Buffer::new(widest),
            d0: Buffer::new(rows0.capacity * stride),
            next0: Buffer::new(rows0.capacity * stride),
            layout,
            groups,
            loss,
            layers,
            rows0,
            rows1,
            grad,
        }
    }

    /// Frees everything: there will be no further step.
    pub(super) fn release(&mut self) {
        self.layers.clear();
        self.grad = Buffer::new(0);
    }

    /// Loss and gradient (into `self.grad`) of the samples `batch` (keys), each divided by the batch size.
    pub(super) fn gradient<I: Isa>(&mut self, params: &[f32], contexts: &Contexts, batch: &[u32]) -> Tally {
        let factor = 1.0 / batch.len() as f32;
        self.groups.fill(contexts, batch);
        if !self.groups.fixed {
            self.rows0.fill(&self.groups.pairs);
            self.rows1.fill(&self.groups.pairs);
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
        let (w_e, pos) = (&params[layout.w_e.clone()], &params[layout.pos.clone()]);
        let Layer { at0, at1, .. } = &mut self.layers[0];
        for (x, tokens) in [(&mut at0.x, &self.rows0.tokens), (&mut at1.x, &self.rows1.tokens)] {
            for (row, &token) in x.chunks_exact_mut(stride).zip(tokens) {
                row.copy_from_slice(&w_e[token as usize * stride..][..stride]);
            }
        }
        for l in 0..self.layers.len() {
            let (before, after) = self.layers.split_at_mut(l + 1);
            let Layer { qk, ov, tables, alphas, at0, at1, mlp0, mlp1 } = &mut before[l];
            let ([rows0, rows1], pairs) = rows_and_pairs(l, &self.rows0, &self.rows1, &self.itself);
            at0.inputs::<I>(rows0, &pos[..stride], &self.flags, stride, d);
            at1.inputs::<I>(rows1, &pos[stride..2 * stride], &self.flags, stride, d);
            let in0 = Inputs { f: &at0.f, g: &at0.g, rows: rows0 };
            let in1 = Inputs { f: &at1.f, g: &at1.g, rows: rows1 };
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
            for (slots, alpha) in layout.layers[l].iter().zip(alphas) {
                circuits::forward::<I>(qk, ov, layout, slots, params);
                attention::fill::<I>(tables, layout, qk, ov, in0, in1);
                attention::attend::<I>(tables, layout, pairs, in0, in1, alpha, onto, next1);
                onto = Onto::Heads;
                for (to, o0) in next0.chunks_exact_mut(stride).zip(tables.o0.chunks_exact(heads * stride)) {
                    for o0 in o0.chunks_exact(stride) {
                        to.iter_mut().zip(o0).for_each(|(to, x)| *to += x);
                    }
                }
            }
            let maps = &layout.mlps[l];
            if !maps.is_empty() {
                mlp1.forward::<I>(maps, params, next1, n_pairs, stride, d);
                if !next0.is_empty() {
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
            total.add(self.loss.block::<I>(&self.groups, block, w_u, dw_u, rows, factor));
            self.loss.stream_gradients(rows, layout.stride);
        }
        total
    }

    /// From the gradient by `self.stream` to every parameter's.
    fn backward<I: Isa>(&mut self, params: &[f32]) {
        let layout = &*self.layout;
        let (d, stride, lanes) = (layout.d, layout.stride, layout.lanes);
        let last = self.layers.len() - 1;
        for (l, layer) in self.layers.iter_mut().enumerate().rev() {
            let Layer { qk, ov, tables, alphas, at0, at1, mlp0, mlp1 } = layer;
            let ([rows0, rows1], pairs) = rows_and_pairs(l, &self.rows0, &self.rows1, &self.itself);
            let maps = &layout.mlps[l];
            if !maps.is_empty() {
                mlp1.backward::<I>(maps, params, &mut self.grad, &mut self.stream, stride, d);
                if l < last {
                    mlp0.backward::<I>(maps, params, &mut self.grad, &mut self.d0, stride, d);
                }
            }
            self.next0.fill(0.0);
            self.next.fill(0.0);
            if l < last && self.flags.residual {
                self.next0.copy_from_slice(&self.d0);
            }
            for (gradient, rows) in
                [(&mut at0.df, rows0), (&mut at0.dg, rows0), (&mut at1.df, rows1), (&mut at1.dg, rows1)]
            {
                gradient[..rows * stride].fill(0.0);
            }
            let in0 = Inputs { f: &at0.f, g: &at0.g, rows: rows0 };
            let in1 = Inputs { f: &at1.f, g: &at1.g, rows: rows1 };
            let mut grad0 = InputGradients { df: &mut at0.df, dg: &mut at0.dg };
            let mut grad1 = InputGradients { df: &mut at1.df, dg: &mut at1.dg };
            let mut dx1 = self.flags.residual.then_some(&mut *self.next);
            let groups = &layout.layers[l];
            for (slots, alpha) in groups.iter().zip(alphas) {
                if groups.len() > 1 {
                    circuits::forward::<I>(qk, ov, layout, slots, params);
                }
                if l < last {
                    // At position 0: x = s_res x + Σ_h o0
                    for (strip, dx) in
                        tables.d_o0.chunks_exact_mut(lanes).zip(self.d0.chunks_exact(stride).flat_map(|r| &r[..d]))
                    {
                        strip.fill(*dx);
                    }
                } else {
                    tables.d_o0[..rows0 * d * lanes].fill(0.0);
                }
                attention::fill_backward::<I>(tables, layout, qk, ov, in0, in1);
                attention::attend_backward::<I>(
                    tables,
                    layout,
                    pairs,
                    in0,
                    in1,
                    alpha,
                    &self.stream,
                    grad0.reborrow(),
                    grad1.reborrow(),
                    dx1.take(),
                );
                attention::backward::<I>(tables, layout, qk, ov, in0, in1, &mut grad0, &mut grad1);
                circuits::backward::<I>(qk, ov, layout, slots, params, &mut self.grad);
            }
            let (d_pos0, rest) = self.grad[layout.pos.clone()].split_at_mut(stride);
            let d_pos1 = &mut rest[..stride];
            at0.inputs_backward::<I>(rows0, &mut self.next0, d_pos0, &self.flags, stride, d);
            at1.inputs_backward::<I>(rows1, &mut self.next, d_pos1, &self.flags, stride, d);
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
