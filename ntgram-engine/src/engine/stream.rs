//! The residual stream at one position, and what a layer's circuits read of it.

use super::buffer::Buffer;
use super::layer_norm;
use super::simd::{Isa, Lanes, vector_fn};
use crate::models::Skips;

/// The stream before a layer at one position, its layer norm, and what the circuits read of it; (rows, stride) each.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) x: Buffer,
    h: Buffer,
    scales: Vec<[f64; 2]>,
    pub(super) qk_in: Buffer,
    pub(super) ov_in: Buffer,
    /// Gradients by `qk_in` and `ov_in`.
    pub(super) d_qk_in: Buffer,
    pub(super) d_ov_in: Buffer,
}

impl Stream {
    pub(super) fn new(rows: usize, stride: usize) -> Self {
        let table = || Buffer::new(rows * stride);
        Self {
            x: table(),
            h: table(),
            scales: vec![[0.0; 2]; rows],
            qk_in: table(),
            ov_in: table(),
            d_qk_in: table(),
            d_ov_in: table(),
        }
    }

    /// `h = ln(x)`, then `qk_in` and `ov_in` from it and the position's row `pos` of `P`.
    pub(super) fn inputs<I: Isa>(&mut self, rows: usize, pos: &[f32], flags: &Flags, stride: usize, d: usize) {
        let len = rows * stride;
        layer_norm::forward(&self.x[..len], &mut self.h, &mut self.scales, stride, d);
        mix_inputs::<I>(&mut self.qk_in[..len], &self.h, pos, [flags.emb_qk, flags.pos_qk]);
        mix_inputs::<I>(&mut self.ov_in[..len], &self.h, pos, [flags.emb_ov, flags.pos_ov]);
    }

    /// From `d_qk_in`, `d_ov_in` to the gradients by `x` (added) and by `pos` (added).
    pub(super) fn inputs_backward<I: Isa>(
        &mut self,
        rows: usize,
        dx: &mut [f32],
        d_pos: &mut [f32],
        flags: &Flags,
        stride: usize,
        d: usize,
    ) {
        let len = rows * stride;
        mix_backward::<I>(&mut self.d_qk_in[..len], &self.d_ov_in[..len], d_pos, flags);
        layer_norm::backward(&mut dx[..len], &self.d_qk_in[..len], &self.h[..len], &self.scales, stride, d);
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

/// The terms that are kept, as factors.
#[derive(Debug)]
pub(super) struct Flags {
    pub(super) residual: bool,
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
