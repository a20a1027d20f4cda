//! Rows of the residual stream, and what a layer's circuits read of them.

use super::buffer::Buffer;
use super::layer_norm;
use super::layout::Layout;
use super::linear::{self, Rows};
use super::simd::{Isa, Lanes, vector_fn};
use crate::models::{Norm, Skips, TransformerConfig};
use std::ops::Range;

/// The stream before a layer, its norm, what the layer's modules see of that, and what the circuits read; (rows, stride) each,
/// what the modules see and read (rows, stride_module).
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) x: Buffer,
    /// `norm(x)`; empty where there is no norm.
    h: Buffer,
    scales: Vec<[f64; 2]>,
    /// `W_C norm(x)`; empty where nothing is compressed.
    compressed: Buffer,
    pub(super) qk_in: Buffer,
    pub(super) ov_in: Buffer,
    /// Gradients by `qk_in` and `ov_in`.
    pub(super) d_qk_in: Buffer,
    pub(super) d_ov_in: Buffer,
    /// Gradient by `norm(x)`, and the matrix that it needs; empty where nothing is compressed.
    dh: Buffer,
    weight: Buffer,
}

/// Rows of one position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) position: usize,
    pub(super) rows: Range<usize>,
}

impl Stream {
    /// For at most `rows` rows.
    pub(super) fn new(rows: usize, layout: &Layout, flags: &Flags) -> Self {
        let table = |stride: usize| Buffer::new(rows * stride);
        let &Layout { stride, stride_module, .. } = layout;
        let with_norm = flags.norm == Norm::Layer;
        let of_compression = if flags.compresses { rows } else { 0 };
        Self {
            x: table(stride),
            h: Buffer::new(if with_norm { rows * stride } else { 0 }),
            scales: vec![[0.0; 2]; if with_norm { rows } else { 0 }],
            compressed: Buffer::new(of_compression * stride_module),
            qk_in: table(stride_module),
            ov_in: table(stride_module),
            d_qk_in: table(stride_module),
            d_ov_in: table(stride_module),
            dh: Buffer::new(of_compression * stride),
            weight: match &layout.compression {
                Some(c) if flags.compresses => linear::untransposed(&c.w_c),
                _ => Buffer::new(0),
            },
        }
    }

    /// `qk_in` and `ov_in` from `x` and the positions' rows of `P`. Spans lie one after another, from row 0.
    pub(super) fn inputs<I: Isa>(&mut self, spans: &[Span], params: &[f32], layout: &Layout, flags: &Flags) {
        let &Layout { d, stride, stride_module, .. } = layout;
        let rows = spans.last().map_or(0, |span| span.rows.end);
        let x = &self.x[..rows * stride];
        if flags.norm == Norm::Layer {
            layer_norm::forward(x, &mut self.h, &mut self.scales, stride, d);
        }
        let h = if flags.norm == Norm::Layer { &self.h } else { &self.x };
        let seen = match &layout.compression {
            Some(c) if flags.compresses => {
                linear::forward::<I>(
                    &c.w_c,
                    params,
                    Rows { data: h, stride, count: rows },
                    &mut self.compressed,
                    false,
                );
                &self.compressed
            }
            _ => h,
        };
        let pos = &params[layout.pos.clone()];
        for Span { position, rows } in spans {
            let pos = &pos[position * stride_module..][..stride_module];
            let rows = rows.start * stride_module..rows.end * stride_module;
            mix_inputs::<I>(&mut self.qk_in[rows.clone()], &seen[rows.clone()], pos, [flags.emb_qk, flags.pos_qk]);
            mix_inputs::<I>(&mut self.ov_in[rows.clone()], &seen[rows], pos, [flags.emb_ov, flags.pos_ov]);
        }
    }

    /// From `d_qk_in`, `d_ov_in` to the gradients by `x` (added to `dx`) and by the parameters (added to `grad`).
    pub(super) fn inputs_backward<I: Isa>(
        &mut self,
        spans: &[Span],
        params: &[f32],
        dx: &mut [f32],
        grad: &mut [f32],
        layout: &Layout,
        flags: &Flags,
    ) {
        let &Layout { d, stride, stride_module, .. } = layout;
        let count = spans.last().map_or(0, |span| span.rows.end);
        for Span { position, rows } in spans {
            let d_pos = &mut grad[layout.pos.clone()][position * stride_module..][..stride_module];
            let rows = rows.start * stride_module..rows.end * stride_module;
            mix_backward::<I>(&mut self.d_qk_in[rows.clone()], &self.d_ov_in[rows], d_pos, flags);
        }
        let h = if flags.norm == Norm::Layer { &self.h } else { &self.x };
        let dh = match &layout.compression {
            Some(c) if flags.compresses => {
                let x = Rows { data: h, stride, count };
                linear::untranspose(&c.w_c, params, stride, &mut self.weight);
                linear::backward::<I>(&c.w_c, &self.weight, grad, x, &self.d_qk_in, &mut self.dh);
                &self.dh
            }
            _ => &self.d_qk_in,
        };
        let (dx, dh) = (&mut dx[..count * stride], &dh[..count * stride]);
        match flags.norm {
            Norm::Layer => layer_norm::backward(dx, dh, h, &self.scales, stride, d),
            Norm::None => dx.iter_mut().zip(dh).for_each(|(dx, x)| *dx += x),
        }
    }
}

vector_fn! {
    /// Rows of a circuit's inputs, `h` and `pos` each times its factor.
    fn mix_inputs<'a, I>(rows: &'a mut [f32], h: &'a [f32], pos: &'a [f32], factors: [f32; 2]) -> () {
        let (emb, on_pos) = (I::Half::splat(factors[0]), I::Half::splat(factors[1]));
        for (row, h) in rows.chunks_exact_mut(pos.len()).zip(h.chunks_exact(pos.len())) {
            let chunks = row.chunks_exact_mut(I::Half::LANES).zip(h.chunks_exact(I::Half::LANES));
            for ((to, h), pos) in chunks.zip(pos.chunks_exact(I::Half::LANES)) {
                // qk_in = h s_embQK + P s_posQK;  ov_in = h s_embOV + P s_posOV
                I::Half::load(h).fma(emb, I::Half::load(pos).mul(on_pos)).store(to);
            }
        }
    }
}

vector_fn! {
    /// From rows of gradients by `qk_in` and `ov_in` to those by `h` (in the place of `d_qk_in`) and by `pos` (added).
    fn mix_backward<'a, I>(d_qk_in: &'a mut [f32], d_ov_in: &'a [f32], d_pos: &'a mut [f32], flags: &'a Flags) -> () {
        let stride = d_pos.len();
        for w in (0..stride).step_by(I::Half::LANES) {
            let (mut qk_sum, mut ov_sum) = (I::Half::zero(), I::Half::zero());
            for (d_qk_in, d_ov_in) in d_qk_in.chunks_exact_mut(stride).zip(d_ov_in.chunks_exact(stride)) {
                // qk_in = h s_embQK + P s_posQK;  ov_in = h s_embOV + P s_posOV
                let (qk, ov) = (I::Half::load(&d_qk_in[w..]), I::Half::load(&d_ov_in[w..]));
                qk_sum = qk_sum.add(qk);
                ov_sum = ov_sum.add(ov);
                let dh = qk.mul(I::Half::splat(flags.emb_qk)).add(ov.mul(I::Half::splat(flags.emb_ov)));
                dh.store(&mut d_qk_in[w..]);
            }
            let sum = qk_sum.fma(I::Half::splat(flags.pos_qk), ov_sum.mul(I::Half::splat(flags.pos_ov)));
            I::Half::load(&d_pos[w..]).add(sum).store(&mut d_pos[w..]);
        }
    }
}

/// What the forward pass does, and the terms that are kept, as factors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flags {
    pub(super) norm: Norm,
    pub(super) compresses: bool,
    pub(super) residual: bool,
    pos_qk: f32,
    emb_qk: f32,
    pos_ov: f32,
    emb_ov: f32,
}

impl From<&TransformerConfig> for Flags {
    fn from(config: &TransformerConfig) -> Self {
        let kept = |skipped: bool| if skipped { 0.0 } else { 1.0 };
        let Skips { res_connection, pos_qk, emb_qk, pos_ov, emb_ov } = config.skips;
        Self {
            norm: config.norm,
            compresses: config.compresses(),
            residual: !res_connection,
            pos_qk: kept(pos_qk),
            emb_qk: kept(emb_qk),
            pos_ov: kept(pos_ov),
            emb_ov: kept(emb_ov),
        }
    }
}
