//! Arrays of floats, for processors without known vector instructions.

use super::{Isa, Job, Lanes};

pub(super) struct PlainIsa;

impl Isa for PlainIsa {
    type Half = Plain<8>;
    type Wide = Plain<16>;
    const WIDE_REGISTERS: bool = false;
    #[inline(never)]
    fn call<J: Job>(job: J) -> J::Output {
        job.run::<Self>()
    }
}

/// `N` floats in an array, for processors without known vector instructions.
#[derive(Clone, Copy)]
pub(super) struct Plain<const N: usize>([f32; N]);

impl<const N: usize> Plain<N> {
    #[inline(always)]
    fn map2(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|l| f(self.0[l], other.0[l])))
    }
}

impl<const N: usize> Lanes for Plain<N> {
    const LANES: usize = N;
    #[inline(always)]
    fn splat(x: f32) -> Self {
        Self([x; N])
    }
    #[inline(always)]
    fn load(from: &[f32]) -> Self {
        let from = &from[..N];
        Self(std::array::from_fn(|l| from[l]))
    }
    #[inline(always)]
    fn store(self, to: &mut [f32]) {
        to[..N].copy_from_slice(&self.0);
    }
    #[inline(always)]
    fn load_some(from: &[f32]) -> Self {
        Self(std::array::from_fn(|l| from.get(l).copied().unwrap_or(0.0)))
    }
    #[inline(always)]
    fn store_some(self, to: &mut [f32]) {
        to.iter_mut().zip(self.0).for_each(|(to, x)| *to = x);
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.map2(other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.map2(other, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.map2(other, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.map2(other, |a, b| a / b)
    }
    #[inline(always)]
    fn fma(self, factor: Self, term: Self) -> Self {
        // `mul_add` is a library call where the processor may lack the instruction.
        if cfg!(target_arch = "aarch64") {
            Self(std::array::from_fn(|l| self.0[l].mul_add(factor.0[l], term.0[l])))
        } else {
            self.mul(factor).add(term)
        }
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.map2(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        Self(self.0.map(f32::sqrt))
    }
    #[inline(always)]
    fn round(self) -> Self {
        // 1.5 * 2^23: adding it leaves no bits for a fraction. For |x| < 2^22.
        Self(self.0.map(|x| (x + 12_582_912.0) - 12_582_912.0))
    }
    #[inline(always)]
    fn scale(self, n: Self) -> Self {
        self.map2(n, |x, n| x * f32::from_bits(((n as i32).wrapping_add(127) as u32) << 23))
    }
    #[inline(always)]
    fn where_greater(self, other: Self, yes: Self, no: Self) -> Self {
        Self(std::array::from_fn(|l| if self.0[l] > other.0[l] { yes.0[l] } else { no.0[l] }))
    }
    #[inline(always)]
    fn split(self) -> (Self, Self) {
        let exponent = self.0.map(|x| ((x.to_bits() >> 23) as i32).wrapping_sub(127) as f32);
        let mantissa = self.0.map(|x| f32::from_bits(x.to_bits() & 0x007f_ffff | 0x3f80_0000));
        (Self(exponent), Self(mantissa))
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        self.0.iter().sum()
    }
}
