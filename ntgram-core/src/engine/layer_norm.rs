//! Layer norm without scale or shift, on rows padded with zeros: `h = (x - mean) / (std + 1e-10)`, population std.

use super::simd::{Lanes, vector_fn};

const EPS: f32 = 1e-10;

vector_fn! {
    /// Normalises each row of `x` (rows, stride) into `h`; `scales` gets `(1 / (std + 1e-10), 1 / (d std))` of each row, the second
    /// 0 where std is 0, as autograd has it. `mask (stride)` is 1 on the `d` real coordinates, else 0.
    pub(super) fn forward<'a, I>(
        x: &'a [f32],
        h: &'a mut [f32],
        scales: &'a mut [[f32; 2]],
        mask: &'a [f32],
        d: usize,
    ) -> () {
        let stride = mask.len();
        let over_d = 1.0 / d as f32;
        for ((x, h), scales) in x.chunks_exact(stride).zip(h.chunks_exact_mut(stride)).zip(scales) {
            let mut sum = I::Half::zero();
            for x in x.chunks_exact(I::Half::LANES) {
                sum = sum.add(I::Half::load(x));
            }
            let mean = I::Half::splat(sum.sum() * over_d);
            let mut squares = I::Half::zero();
            for ((x, h), mask) in x.chunks_exact(I::Half::LANES).zip(h.chunks_exact_mut(I::Half::LANES)).zip(mask.chunks_exact(I::Half::LANES)) {
                let centred = I::Half::load(x).sub(mean).mul(I::Half::load(mask));
                squares = centred.fma(centred, squares);
                centred.store(h);
            }
            let std = (squares.sum() * over_d).sqrt();
            let over_std = 1.0 / (std + EPS);
            for h in h.chunks_exact_mut(I::Half::LANES) {
                I::Half::load(h).mul(I::Half::splat(over_std)).store(h);
            }
            *scales = [over_std, if std > 0.0 { over_d / std } else { 0.0 }];
        }
    }
}

vector_fn! {
    /// Adds to `dx` the gradient by `x`, from `dh`, the gradient by `h`.
    pub(super) fn backward<'a, I>(
        dx: &'a mut [f32],
        dh: &'a [f32],
        h: &'a [f32],
        scales: &'a [[f32; 2]],
        mask: &'a [f32],
        d: usize,
    ) -> () {
        let stride = mask.len();
        let over_d = 1.0 / d as f32;
        let rows = dx.chunks_exact_mut(stride).zip(dh.chunks_exact(stride)).zip(h.chunks_exact(stride));
        for (((dx, dh), h), &[over_std, over_d_std]) in rows.zip(scales) {
            // h = c / (std + 1e-10), c = x - mean, std = √(Σ c² / d)
            let (mut along, mut sum) = (I::Half::zero(), I::Half::zero());
            for (dh, h) in dh.chunks_exact(I::Half::LANES).zip(h.chunks_exact(I::Half::LANES)) {
                along = I::Half::load(dh).fma(I::Half::load(h), along);
                sum = sum.add(I::Half::load(dh));
            }
            // dc = dh / (std + 1e-10) - h (dh·h) / (d std);  Σ h = 0, so its mean is that of the first term
            let (mean, along) = (I::Half::splat(sum.sum() * over_d * over_std), I::Half::splat(along.sum() * over_d_std));
            let chunks = dx.chunks_exact_mut(I::Half::LANES).zip(dh.chunks_exact(I::Half::LANES)).zip(h.chunks_exact(I::Half::LANES));
            for (((dx, dh), h), mask) in chunks.zip(mask.chunks_exact(I::Half::LANES)) {
                // Not fused: both roundings must cancel where d = 1.
                let dc = I::Half::load(dh).mul(I::Half::splat(over_std)).sub(mean);
                let dc = dc.minus_product(I::Half::load(h), along);
                dc.fma(I::Half::load(mask), I::Half::load(dx)).store(dx);
            }
        }
    }
}
