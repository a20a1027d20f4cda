//! Sixteen normals from sixteen uniforms, bit for bit as PyTorch's vectorised kernel (AVX2 and later) computes them: Cephes'
//! single-precision logarithm, sine and cosine, with fused multiply-adds where that kernel has them.

/// `log x` for a normal `x` in (0, 1].
fn log(x: f32) -> f32 {
    // x = m 2^e, √½ ≤ m < √2
    let bits = x.to_bits();
    let mut exponent = (bits >> 23) as i32 - 126;
    let mut m = f32::from_bits((bits & 0x007f_ffff) | 0x3f00_0000);
    if m < std::f32::consts::FRAC_1_SQRT_2 {
        exponent -= 1;
        m = (m - 1.0) + m;
    } else {
        m -= 1.0;
    }
    let e = exponent as f32;
    const POLYNOMIAL: [f32; 9] = [
        7.037_683_6e-2,
        -1.151_461e-1,
        1.167_699_84e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_4e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ];
    let tail = POLYNOMIAL[1..].iter().fold(POLYNOMIAL[0], |y, c| y.mul_add(m, *c)) * m;
    let square = m * m;
    // log 2 in two parts: 0.693359375 − 2.12194440e-4
    let y = tail.mul_add(square, e * -2.121_944_4e-4);
    let y = square.mul_add(-0.5, y);
    e.mul_add(0.693_359_4, m + y)
}

/// `(cos x, sin x)` for `x ≥ 0`.
fn cos_sin(x: f32) -> (f32, f32) {
    // Octant, rounded up to even; x is reduced to [-π/4, π/4] by π/4 in three parts.
    let octant = ((x * 1.273_239_5) as i32 + 1) & !1;
    let y = octant as f32;
    let x = y.mul_add(-0.785_156_25, x);
    let x = y.mul_add(-2.418_756_5e-4, x);
    let x = y.mul_add(-3.774_895e-8, x);
    let z = x * x;
    let cos = 2.443_315_7e-5f32.mul_add(z, -1.388_731_6e-3).mul_add(z, 4.166_664_6e-2) * z;
    let cos = cos.mul_add(z, -(z * 0.5)) + 1.0;
    let sin = (-1.951_529_6e-4f32).mul_add(z, 8.332_161e-3).mul_add(z, -1.666_665_5e-1) * z;
    let sin = sin.mul_add(x, x);
    match octant & 7 {
        0 => (cos, sin),
        2 => (-sin, cos),
        4 => (-cos, -sin),
        _ => (sin, -cos),
    }
}

/// Box–Muller on 16 uniforms of [0, 1): entries `k` and `k + 8` make normals `k` and `k + 8`.
pub(super) fn box_muller_16(block: &mut [f32]) {
    let (first, second) = block.split_at_mut(8);
    for (a, b) in first.iter_mut().zip(second) {
        let radius = (-2.0 * log(1.0 - *a)).sqrt();
        let (cos, sin) = cos_sin(std::f32::consts::TAU * *b);
        (*a, *b) = (radius * cos, radius * sin);
    }
}
