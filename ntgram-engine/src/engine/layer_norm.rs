//! Layer norm without scale or shift, on rows padded with zeros: `h = (x - mean) / (std + 1e-10)`, population std.
//!
//! In double precision: where the numbers of a row are almost equal it divides by almost nothing, and rounding errors of single
//! precision would not cancel as they must (with `d = 2` the gradient is exactly zero). It is far from being a hot spot.

const EPS: f64 = 1e-10;

/// Normalises each row of `x` (rows, stride) into `h`; `scales` gets `(1 / (std + 1e-10), 1 / (d std))` of each row, the second
/// 0 where std is 0, as autograd has it. The first `d` coordinates of a row count, the rest is padding.
pub(super) fn forward(x: &[f32], h: &mut [f32], scales: &mut [[f64; 2]], stride: usize, d: usize) {
    for ((x, h), scales) in x.chunks_exact(stride).zip(h.chunks_exact_mut(stride)).zip(scales) {
        let mean = x[..d].iter().map(|&x| f64::from(x)).sum::<f64>() / d as f64;
        let squares = x[..d].iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>();
        let std = (squares / d as f64).sqrt();
        for (h, &x) in h[..d].iter_mut().zip(x) {
            *h = ((f64::from(x) - mean) / (std + EPS)) as f32;
        }
        *scales = [1.0 / (std + EPS), if std > 0.0 { 1.0 / (d as f64 * std) } else { 0.0 }];
    }
}

/// Adds to `dx` the gradient by `x`, from `dh`, the gradient by `h`.
pub(super) fn backward(dx: &mut [f32], dh: &[f32], h: &[f32], scales: &[[f64; 2]], stride: usize, d: usize) {
    let rows = dx.chunks_exact_mut(stride).zip(dh.chunks_exact(stride)).zip(h.chunks_exact(stride));
    for (((dx, dh), h), &[over_std, over_d_std]) in rows.zip(scales) {
        // h = c / (std + 1e-10), c = x - mean, std = √(Σ c² / d)
        let (dh, h) = (&dh[..d], &h[..d]);
        let mean = dh.iter().map(|&dh| f64::from(dh)).sum::<f64>() / d as f64;
        let along = dh.iter().zip(h).map(|(&dh, &h)| f64::from(dh) * f64::from(h)).sum::<f64>() * over_d_std;
        // dc = dh / (std + 1e-10) - h (dh·h) / (d std);  Σ h = 0, so its mean is that of the first term
        for ((dx, &dh), &h) in dx.iter_mut().zip(dh).zip(h) {
            *dx += ((f64::from(dh) - mean) * over_std - f64::from(h) * along) as f32;
        }
    }
}
