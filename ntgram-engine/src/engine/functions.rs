//! Elementary functions on vectors, each good to a few units in the last place.

use super::simd::Lanes;

/// `log2(e)`.
pub(super) const LOG2_E: f32 = std::f32::consts::LOG2_E;

/// Polynomial with `coefficients` from the highest power down.
#[inline(always)]
fn polynomial<V: Lanes>(x: V, coefficients: &[f32]) -> V {
    let mut y = V::splat(coefficients[0]);
    for &c in &coefficients[1..] {
        y = y.fma(x, V::splat(c));
    }
    y
}

/// `2^x` for `x <= 127`; below -100 it stays at `2^-100`, so that products with factors not too small are normal numbers, too (see
/// [`share`]). Relative error below 1e-7.
#[inline(always)]
pub(super) fn exp2<V: Lanes>(x: V) -> V {
    // In this order NaN stays NaN.
    let x = V::splat(-100.0).max(x);
    let n = x.round();
    // Minimax polynomial for 2^f, |f| <= 1/2, relative error 1.9e-9.
    const C: [f32; 7] =
        [1.534_581_2e-4, 1.339_993_1e-3, 9.618_489e-3, 5.550_328_8e-2, 2.402_264_7e-1, std::f32::consts::LN_2, 1.0];
    polynomial(x.sub(n), &C).scale(n)
}

/// What is not worth a thing beside 1 in single precision, and far enough from the smallest normal number that products with it are normal.
const NOTHING: f32 = 1.0 / (1u128 << 64) as f32;

/// `x`, a share of 1, or 0 where it is less than 2^-64. What goes on with so small a number ends in subnormal ones, for which a processor
/// takes a hundred times as long: a training whose attention has made up its mind would slow down to a tenth.
#[inline(always)]
pub(super) fn share<V: Lanes>(x: V) -> V {
    // In this order NaN stays NaN.
    V::splat(NOTHING).where_greater(x, V::zero(), x)
}

/// Natural logarithm of a positive normal number.
#[inline(always)]
pub(super) fn ln<V: Lanes>(x: V) -> V {
    let (e, m) = x.split();
    // Move the mantissa from [1, 2) to [1/√2, √2), so that ln x near 0 loses nothing.
    let bound = V::splat(std::f32::consts::SQRT_2);
    let e = m.where_greater(bound, e.add(V::splat(1.0)), e);
    let m = m.where_greater(bound, m.mul(V::splat(0.5)), m);
    // ln m = 2 atanh s = 2s (1 + s²/3 + s⁴/5 + …), s = (m-1)/(m+1), |s| < 0.172
    let one = V::splat(1.0);
    let s = m.sub(one).div(m.add(one));
    let series = polynomial(s.mul(s), &[2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0, 2.0]);
    // ln 2 in two parts: the first has few bits, so that its product with e is exact.
    let tail = e.mul(V::splat(-2.121_944_4e-4));
    e.fma(V::splat(0.693_359_4), series.fma(s, tail))
}

/// Logistic function `1 / (1 + e^-x)`, 0 where that is less than 2^-64.
#[inline(always)]
pub(super) fn sigmoid<V: Lanes>(x: V) -> V {
    let one = V::splat(1.0);
    let limit = V::splat(126.0);
    let y = V::zero().sub(limit).max(x.mul(V::splat(-LOG2_E)));
    let y = y.where_greater(limit, limit, y);
    share(one.div(one.add(exp2(y))))
}

/// `Φ(x)` and `φ(x)`, distribution and density of the standard normal law: `GELU(x) = x Φ(x)`. 0 where they are less than 2^-64.
#[inline(always)]
pub(super) fn normal<V: Lanes>(x: V) -> (V, V) {
    let zero = V::zero();
    let y = x.max(zero.sub(x)).mul(V::splat(std::f32::consts::FRAC_1_SQRT_2));
    // erfc(y) = t e^(-y² + Q(t)), t = 1/(1 + y/2); Q fitted for 0 <= y <= 14.7, error 4.7e-9.
    let t = V::splat(1.0).div(y.fma(V::splat(0.5), V::splat(1.0)));
    const Q: [f32; 12] = [
        -0.119_525_23,
        0.626_325_85,
        -1.214_837_2,
        0.842_999_76,
        0.341_251_82,
        -0.721_824_05,
        0.252_034_96,
        -0.225_862_18,
        0.113_641_98,
        0.371_027_01,
        1.000_288_3,
        -1.265_521,
    ];
    let square = y.mul(y);
    let log2_e = V::splat(LOG2_E);
    let half_erfc = share(t.mul(V::splat(0.5)).mul(exp2(polynomial(t, &Q).sub(square).mul(log2_e))));
    let density = share(exp2(zero.sub(square).mul(log2_e)).mul(V::splat(0.398_942_3)));
    (x.where_greater(zero, V::splat(1.0).sub(half_erfc), half_erfc), density)
}

#[cfg(test)]
mod tests {
    use super::super::simd::{Detected, Isa, Job, dispatch};
    use super::*;

    struct Apply<'a>(&'a [f32; 16], &'static str);

    impl Job for Apply<'_> {
        type Output = ([f32; 16], [f32; 16]);
        #[inline(always)]
        fn run<I: Isa>(self) -> Self::Output {
            let eval_wide = apply::<I::Wide>(self.0, self.1);
            let mut half = [0.0; 16];
            half[..8].copy_from_slice(&apply::<I::Half>(&self.0[..8], self.1)[..8]);
            half[8..].copy_from_slice(&apply::<I::Half>(&self.0[8..], self.1)[..8]);
            (eval_wide, half)
        }
    }

    #[inline(always)]
    fn apply<V: Lanes>(x: &[f32], function: &str) -> [f32; 16] {
        let x = V::load(x);
        let y = match function {
            "exp2" => exp2(x),
            "ln" => ln(x),
            "sigmoid" => sigmoid(x),
            "Phi" => normal(x).0,
            "phi" => normal(x).1,
            _ => V::splat(x.sum()),
        };
        let mut out = [0.0; 16];
        y.store(&mut out);
        out
    }

    /// Φ by the trapezoidal rule on its density, which converges faster than any power.
    fn cdf(x: f64) -> f64 {
        let h = 1e-3;
        let density = |t: f64| (-t * t / 2.0).exp() / std::f64::consts::TAU.sqrt();
        let steps = ((x + 12.0) / h) as usize;
        let step = (x + 12.0) / steps as f64;
        ((0..=steps).map(|k| density(-12.0 + step * k as f64)).sum::<f64>() - density(x) / 2.0) * step
    }

    fn check(function: &'static str, inputs: impl Fn(usize) -> f64, exact: impl Fn(f64) -> f64, tolerance: f64) {
        for level in Detected::all() {
            for block in 0..64 {
                let x: [f32; 16] = std::array::from_fn(|l| inputs(16 * block + l) as f32);
                let (wide, half) = dispatch(level, Apply(&x, function));
                for (l, &x) in x.iter().enumerate() {
                    let want = exact(x as f64);
                    for got in [wide[l], half[l]] {
                        let error = (got as f64 - want).abs() / want.abs();
                        assert!(error <= tolerance, "{level:?} {function}({x}) = {got}, not {want}");
                    }
                }
            }
        }
    }

    #[test]
    fn functions_agree_with_double_precision() {
        check("exp2", |k| -99.9 + 0.13 * k as f64, f64::exp2, 3e-7);
        check("exp2", |k| -1e-3 * k as f64, f64::exp2, 3e-7);
        check("ln", |k| 1e-12 * (k as f64 / 37.0).exp(), f64::ln, 3e-7);
        check("ln", |k| 0.5003 + 1e-3 * k as f64, f64::ln, 3e-7);
        check("sigmoid", |k| (k as f64 - 350.0) / 8.0, |x| 1.0 / (1.0 + (-x).exp()), 5e-6);
        check("Phi", |k| (k as f64 - 300.3) / 128.0, cdf, 3e-6);
        check("phi", |k| (k as f64 - 500.3) / 128.0, |x| (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt(), 3e-6);
    }

    /// No value of theirs is subnormal, nor so small that products with it soon are.
    #[test]
    fn shares_are_nothing_or_normal() {
        for level in Detected::all() {
            for function in ["sigmoid", "Phi", "phi"] {
                for block in 0..200 {
                    let x: [f32; 16] = std::array::from_fn(|l| -0.03 * (16 * block + l) as f32);
                    let (wide, half) = dispatch(level, Apply(&x, function));
                    for (y, x) in wide.iter().chain(&half).zip(x.iter().chain(&x)) {
                        assert!(*y == 0.0 || *y >= NOTHING, "{level:?} {function}({x}) = {y:e}");
                    }
                }
            }
        }
    }

    #[test]
    fn extremes_stay_finite() {
        for level in Detected::all() {
            let x = [-1e9, -1000.0, -200.0, -127.0, 0.0, 200.0, 1000.0, 1e9, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
            let (wide, _) = dispatch(level, Apply(&x, "sigmoid"));
            assert!(wide.iter().all(|p| (0.0..=1.0).contains(p)), "{wide:?}");
            assert_eq!(wide[4], 0.5);
            assert!(wide[7] == 1.0 && wide[0] < 1e-37);
        }
    }
}
