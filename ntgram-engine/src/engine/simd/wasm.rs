//! WebAssembly's vectors of 128 bits. Chosen when the crate is compiled: a module with such instructions does not load where there are none.
//!
//! No fused product and sum: WebAssembly has only "relaxed" ones, which may round differently in every browser.

use super::pair::Pair;
use super::{Isa, Job, Lanes};
use std::arch::wasm32::*;

pub(super) struct Simd128;

impl Isa for Simd128 {
    type Half = Pair<F4>;
    type Wide = Pair<Pair<F4>>;
    const WIDE_REGISTERS: bool = false;
    #[inline(never)]
    fn call<J: Job>(job: J) -> J::Output {
        job.run::<Self>()
    }
}

/// 4 floats in one register.
#[derive(Clone, Copy)]
pub(super) struct F4(v128);

impl Lanes for F4 {
    const LANES: usize = 4;
    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self(f32x4_splat(x))
    }
    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        // The compiler makes one load of the four.
        let from = &from[..4];
        Self(f32x4(from[0], from[1], from[2], from[3]))
    }
    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        let to = &mut to[..4];
        to[0] = f32x4_extract_lane::<0>(self.0);
        to[1] = f32x4_extract_lane::<1>(self.0);
        to[2] = f32x4_extract_lane::<2>(self.0);
        to[3] = f32x4_extract_lane::<3>(self.0);
    }
    #[inline(always)]
    fn load_some(from: &[f32]) -> Self {
        match *from {
            [] => Self::zero(),
            [a] => Self(f32x4(a, 0.0, 0.0, 0.0)),
            [a, b] => Self(f32x4(a, b, 0.0, 0.0)),
            [a, b, c] => Self(f32x4(a, b, c, 0.0)),
            _ => Self::load(from),
        }
    }
    #[inline(always)]
    fn store_some(self, to: &mut [f32]) {
        if to.len() >= 4 {
            return self.store(to);
        }
        let lanes = [f32x4_extract_lane::<0>(self.0), f32x4_extract_lane::<1>(self.0), f32x4_extract_lane::<2>(self.0)];
        to.iter_mut().zip(lanes).for_each(|(to, x)| *to = x);
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(f32x4_add(self.0, other.0))
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(f32x4_sub(self.0, other.0))
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(f32x4_mul(self.0, other.0))
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        Self(f32x4_div(self.0, other.0))
    }
    #[inline(always)]
    fn fma(self, factor: Self, term: Self) -> Self {
        self.mul(factor).add(term)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // `pmax(a, b)` is `b` where `a < b`, else `a`: it is the first one where either is NaN.
        Self(f32x4_pmax(other.0, self.0))
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(f32x4_sqrt(self.0))
    }
    #[inline(always)]
    fn round(self) -> Self {
        Self(f32x4_nearest(self.0))
    }
    #[inline(always)]
    fn scale(self, n: Self) -> Self {
        // 1.5 * 2^23: its last bits are zeros, those of the sum the integer's. Moved up they are added to the exponent.
        let exponent = f32x4_add(n.0, f32x4_splat(12_582_912.0));
        Self(i32x4_add(self.0, i32x4_shl(exponent, 23)))
    }
    #[inline(always)]
    fn where_greater(self, other: Self, yes: Self, no: Self) -> Self {
        Self(v128_bitselect(yes.0, no.0, f32x4_gt(self.0, other.0)))
    }
    #[inline(always)]
    fn add_where_greater(self, x: Self, bound: Self) -> Self {
        self.add(Self(v128_and(x.0, f32x4_gt(x.0, bound.0))))
    }
    #[inline(always)]
    fn add_unless_greater(self, x: Self, bound: Self) -> Self {
        self.add(Self(v128_andnot(x.0, f32x4_gt(x.0, bound.0))))
    }
    #[inline(always)]
    fn split(self) -> (Self, Self) {
        let exponent = i32x4_sub(u32x4_shr(self.0, 23), i32x4_splat(127));
        let fraction = v128_and(self.0, i32x4_splat(0x007f_ffff));
        let mantissa = v128_or(fraction, i32x4_splat(0x3f80_0000));
        (Self(f32x4_convert_i32x4(exponent)), Self(mantissa))
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        let two = f32x4_add(self.0, i32x4_shuffle::<2, 3, 2, 3>(self.0, self.0));
        f32x4_extract_lane::<0>(two) + f32x4_extract_lane::<1>(two)
    }
}
