//! Vectors of 8 and 16 floats, chosen at run time: AVX-512, AVX2 with FMA, or plain arrays elsewhere.
//!
//! The one file of the crate with `unsafe`: vector instructions. A [`Job`] is written once, generic over
//! an [`Isa`]; [`dispatch`] chooses the one that the processor has.
#![allow(unsafe_code)]

/// A set of instructions: the vector types that a [`Job`] works with.
pub(super) trait Isa {
    /// 8 floats.
    type Half: Lanes;
    /// 16 floats.
    type Wide: Lanes;
    /// Whether 16 floats are one register.
    const WIDE_REGISTERS: bool;
    /// Runs `job` in a function of its own, compiled for this instruction set.
    fn call<J: Job>(job: J) -> J::Output;
}

/// Defines a function that is compiled for the instruction set `I`. Its body may use vectors; what it calls with vectors in hand is
/// `#[inline(always)]`. (A function of its own for each stage: one that held everything would take minutes to compile.)
macro_rules! vector_fn {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<'a, $isa:ident>($($arg:ident: $type:ty),* $(,)?) -> $out:ty $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments, reason = "operands and results of one formula")]
        $vis fn $name<'a, $isa: $crate::engine::simd::Isa>($($arg: $type),*) -> $out {
            struct Arguments<'a> {
                $($arg: $type,)*
                _lifetime: std::marker::PhantomData<&'a ()>,
            }
            impl<'a> $crate::engine::simd::Job for Arguments<'a> {
                type Output = $out;
                #[inline(always)]
                fn run<$isa: $crate::engine::simd::Isa>(self) -> $out {
                    let Self { $($arg,)* .. } = self;
                    $body
                }
            }
            $isa::call(Arguments { $($arg,)* _lifetime: std::marker::PhantomData })
        }
    };
}
pub(super) use vector_fn;

/// `LANES` floats side by side; every operation works lane by lane.
pub(super) trait Lanes: Copy {
    /// Number of floats.
    const LANES: usize;
    /// `x` in every lane.
    fn splat(x: f32) -> Self;
    /// The first `LANES` values of `from`; panics if there are fewer.
    fn load(from: &[f32]) -> Self;
    /// Writes the first `LANES` values of `to`; panics if there are fewer.
    fn store(self, to: &mut [f32]);
    /// All of `from`, or its first `LANES` values, and zeros.
    fn load_some(from: &[f32]) -> Self;
    /// Writes all of `to`, or its first `LANES` values.
    fn store_some(self, to: &mut [f32]);
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    /// `self * factor + term`.
    fn fma(self, factor: Self, term: Self) -> Self;
    /// `other` where either is no number.
    fn max(self, other: Self) -> Self;
    fn sqrt(self) -> Self;
    /// To the nearest integer.
    fn round(self) -> Self;
    /// `self * 2^n`, `n` integral in -126..=127, `self` and the result positive and normal.
    fn scale(self, n: Self) -> Self;
    /// `yes` where `self > other`, else `no`.
    fn where_greater(self, other: Self, yes: Self, no: Self) -> Self;
    /// Adds `x` where `x > bound`.
    #[inline(always)]
    fn add_where_greater(self, x: Self, bound: Self) -> Self {
        self.add(x.where_greater(bound, x, Self::zero()))
    }
    /// Adds `x` but where `x > bound`.
    #[inline(always)]
    fn add_unless_greater(self, x: Self, bound: Self) -> Self {
        self.add(x.where_greater(bound, Self::zero(), x))
    }
    /// `(e, m)` with `self = m * 2^e`, `1 <= m < 2`; for positive normal numbers.
    fn split(self) -> (Self, Self);
    /// Sum of the lanes.
    fn sum(self) -> f32;

    #[inline(always)]
    fn zero() -> Self {
        Self::splat(0.0)
    }
    /// `self - factor * other`.
    #[inline(always)]
    fn minus_product(self, factor: Self, other: Self) -> Self {
        Self::zero().sub(factor).fma(other, self)
    }
}

/// Work that [`dispatch`] runs on vectors.
pub(super) trait Job {
    /// What it returns.
    type Output;
    /// Does the work. To be marked `#[inline(always)]`.
    fn run<I: Isa>(self) -> Self::Output;
}

/// The widest instruction set that this processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Plain,
}

/// A [`Level`] that this processor is known to have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Detected(Level);

impl Detected {
    /// Every level that this processor has, widest first.
    pub(super) fn all() -> Vec<Detected> {
        let mut levels = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2 && is_x86_feature_detected!("avx512f") {
                levels.push(Detected(Level::Avx512));
            }
            if avx2 {
                levels.push(Detected(Level::Avx2));
            }
        }
        levels.push(Detected(Level::Plain));
        levels
    }

    /// The widest level.
    pub(super) fn best() -> Detected {
        Self::all()[0]
    }
}

/// Runs `job` compiled for the instruction set `on`.
pub(super) fn dispatch<J: Job>(on: Detected, job: J) -> J::Output {
    match on.0 {
        // SAFETY: a `Detected` is made by `Detected::all` only, after a look at the processor.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { x86::on_avx512(job) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { x86::on_avx2(job) },
        Level::Plain => PlainIsa::call(job),
    }
}

struct PlainIsa;

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

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! The types here are private to `simd`: the only way to their functions is through `dispatch`.
    use super::{Isa, Job, Lanes};
    use std::arch::x86_64::*;

    pub(super) struct Avx512;
    pub(super) struct Avx2;

    impl Isa for Avx512 {
        type Half = F8;
        type Wide = F16;
        const WIDE_REGISTERS: bool = true;
        #[inline(always)]
        fn call<J: Job>(job: J) -> J::Output {
            // SAFETY: as for the types' own functions, below.
            unsafe { on_avx512(job) }
        }
    }

    impl Isa for Avx2 {
        type Half = F8;
        type Wide = Pair<F8>;
        const WIDE_REGISTERS: bool = false;
        #[inline(always)]
        fn call<J: Job>(job: J) -> J::Output {
            // SAFETY: as for the types' own functions, below.
            unsafe { on_avx2(job) }
        }
    }

    #[inline(never)]
    #[target_feature(enable = "avx512f,avx2,fma")]
    pub(super) fn on_avx512<J: Job>(job: J) -> J::Output {
        job.run::<Avx512>()
    }

    #[inline(never)]
    #[target_feature(enable = "avx2,fma")]
    pub(super) fn on_avx2<J: Job>(job: J) -> J::Output {
        job.run::<Avx2>()
    }

    /// Two vectors as one of twice the width.
    #[derive(Clone, Copy)]
    pub(super) struct Pair<V>(V, V);

    impl<V: Lanes> Lanes for Pair<V> {
        const LANES: usize = 2 * V::LANES;
        #[inline(always)]
        fn splat(x: f32) -> Self {
            Self(V::splat(x), V::splat(x))
        }
        #[inline(always)]
        fn load(from: &[f32]) -> Self {
            let from = &from[..2 * V::LANES];
            Self(V::load(from), V::load(&from[V::LANES..]))
        }
        #[inline(always)]
        fn store(self, to: &mut [f32]) {
            let to = &mut to[..2 * V::LANES];
            self.0.store(to);
            self.1.store(&mut to[V::LANES..]);
        }
        #[inline(always)]
        fn load_some(from: &[f32]) -> Self {
            let (a, b) = from.split_at(from.len().min(V::LANES));
            Self(V::load_some(a), V::load_some(b))
        }
        #[inline(always)]
        fn store_some(self, to: &mut [f32]) {
            let (a, b) = to.split_at_mut(to.len().min(V::LANES));
            self.0.store_some(a);
            self.1.store_some(b);
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            Self(self.0.add(other.0), self.1.add(other.1))
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            Self(self.0.sub(other.0), self.1.sub(other.1))
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            Self(self.0.mul(other.0), self.1.mul(other.1))
        }
        #[inline(always)]
        fn div(self, other: Self) -> Self {
            Self(self.0.div(other.0), self.1.div(other.1))
        }
        #[inline(always)]
        fn fma(self, factor: Self, term: Self) -> Self {
            Self(self.0.fma(factor.0, term.0), self.1.fma(factor.1, term.1))
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            Self(self.0.max(other.0), self.1.max(other.1))
        }
        #[inline(always)]
        fn sqrt(self) -> Self {
            Self(self.0.sqrt(), self.1.sqrt())
        }
        #[inline(always)]
        fn round(self) -> Self {
            Self(self.0.round(), self.1.round())
        }
        #[inline(always)]
        fn scale(self, n: Self) -> Self {
            Self(self.0.scale(n.0), self.1.scale(n.1))
        }
        #[inline(always)]
        fn where_greater(self, other: Self, yes: Self, no: Self) -> Self {
            let (a, b) = (self, other);
            Self(a.0.where_greater(b.0, yes.0, no.0), a.1.where_greater(b.1, yes.1, no.1))
        }
        #[inline(always)]
        fn split(self) -> (Self, Self) {
            let ((e0, m0), (e1, m1)) = (self.0.split(), self.1.split());
            (Self(e0, e1), Self(m0, m1))
        }
        #[inline(always)]
        fn sum(self) -> f32 {
            self.0.add(self.1).sum()
        }
    }

    /// 8 floats in one AVX register.
    #[derive(Clone, Copy)]
    pub(super) struct F8(__m256);

    /// 16 floats in one AVX-512 register.
    #[derive(Clone, Copy)]
    pub(super) struct F16(__m512);

    // SAFETY, for every `unsafe` block below: these types are reached through `Avx2` and `Avx512` only, which
    // `dispatch` alone hands out, after the processor was found to have the instructions. Loads and stores
    // are unaligned ones within a slice whose length was checked.

    /// Masks of the first `len` lanes, or of all.
    #[inline(always)]
    fn first_of_16(len: usize) -> __mmask16 {
        ((1u32 << len.min(16)) - 1) as __mmask16
    }

    #[inline(always)]
    fn first_of_8(len: usize) -> __m256i {
        // SAFETY: see above.
        unsafe {
            let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            _mm256_cmpgt_epi32(_mm256_set1_epi32(len.min(8) as i32), lanes)
        }
    }

    impl Lanes for F8 {
        const LANES: usize = 8;
        #[inline(always)]
        fn splat(x: f32) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_set1_ps(x) })
        }
        #[inline(always)]
        fn load(from: &[f32]) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_loadu_ps(from[..8].as_ptr()) })
        }
        #[inline(always)]
        fn store(self, to: &mut [f32]) {
            // SAFETY: see above.
            unsafe { _mm256_storeu_ps(to[..8].as_mut_ptr(), self.0) }
        }
        #[inline(always)]
        fn load_some(from: &[f32]) -> Self {
            // SAFETY: see above; only as many lanes are read as `from` has.
            Self(unsafe { _mm256_maskload_ps(from.as_ptr(), first_of_8(from.len())) })
        }
        #[inline(always)]
        fn store_some(self, to: &mut [f32]) {
            if to.len() >= 8 {
                return self.store(to);
            }
            let mut at = to.as_mut_ptr();
            // SAFETY: see above; 4, 2 and 1 lanes are written as the bits of the length say.
            unsafe {
                let mut rest = _mm256_castps256_ps128(self.0);
                if to.len() & 4 != 0 {
                    _mm_storeu_ps(at, rest);
                    (at, rest) = (at.add(4), _mm256_extractf128_ps::<1>(self.0));
                }
                if to.len() & 2 != 0 {
                    _mm_store_sd(at.cast(), _mm_castps_pd(rest));
                    (at, rest) = (at.add(2), _mm_movehl_ps(rest, rest));
                }
                if to.len() & 1 != 0 {
                    _mm_store_ss(at, rest);
                }
            }
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_sub_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_mul_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn div(self, other: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_div_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn fma(self, factor: Self, term: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_fmadd_ps(self.0, factor.0, term.0) })
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_max_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn sqrt(self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_sqrt_ps(self.0) })
        }
        #[inline(always)]
        fn round(self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0) })
        }
        #[inline(always)]
        fn scale(self, n: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe {
                // 1.5 * 2^23: its last bits are zeros, those of the sum the integer's. Moved up they are added to the exponent.
                let exponent = _mm256_castps_si256(_mm256_add_ps(n.0, _mm256_set1_ps(12_582_912.0)));
                let moved = _mm256_add_epi32(_mm256_castps_si256(self.0), _mm256_slli_epi32::<23>(exponent));
                _mm256_castsi256_ps(moved)
            })
        }
        #[inline(always)]
        fn where_greater(self, other: Self, yes: Self, no: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm256_blendv_ps(no.0, yes.0, _mm256_cmp_ps::<_CMP_GT_OQ>(self.0, other.0)) })
        }
        #[inline(always)]
        fn split(self) -> (Self, Self) {
            // SAFETY: see above.
            unsafe {
                let bits = _mm256_castps_si256(self.0);
                let exponent = _mm256_sub_epi32(_mm256_srli_epi32::<23>(bits), _mm256_set1_epi32(127));
                let fraction = _mm256_and_si256(bits, _mm256_set1_epi32(0x007f_ffff));
                let mantissa = _mm256_or_si256(fraction, _mm256_set1_epi32(0x3f80_0000));
                (Self(_mm256_cvtepi32_ps(exponent)), Self(_mm256_castsi256_ps(mantissa)))
            }
        }
        #[inline(always)]
        fn sum(self) -> f32 {
            // SAFETY: see above.
            unsafe {
                let four = _mm_add_ps(_mm256_castps256_ps128(self.0), _mm256_extractf128_ps::<1>(self.0));
                let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
                _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
            }
        }
    }

    impl Lanes for F16 {
        const LANES: usize = 16;
        #[inline(always)]
        fn splat(x: f32) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_set1_ps(x) })
        }
        #[inline(always)]
        fn load(from: &[f32]) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_loadu_ps(from[..16].as_ptr()) })
        }
        #[inline(always)]
        fn store(self, to: &mut [f32]) {
            // SAFETY: see above.
            unsafe { _mm512_storeu_ps(to[..16].as_mut_ptr(), self.0) }
        }
        #[inline(always)]
        fn load_some(from: &[f32]) -> Self {
            // SAFETY: see above; only as many lanes are read as `from` has.
            Self(unsafe { _mm512_maskz_loadu_ps(first_of_16(from.len()), from.as_ptr()) })
        }
        #[inline(always)]
        fn store_some(self, to: &mut [f32]) {
            // SAFETY: see above; only as many lanes are written as `to` has.
            unsafe { _mm512_mask_storeu_ps(to.as_mut_ptr(), first_of_16(to.len()), self.0) }
        }
        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn sub(self, other: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_sub_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn mul(self, other: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_mul_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn div(self, other: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_div_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn fma(self, factor: Self, term: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, term.0) })
        }
        #[inline(always)]
        fn max(self, other: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_max_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn sqrt(self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_sqrt_ps(self.0) })
        }
        #[inline(always)]
        fn round(self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_roundscale_ps::<0>(self.0) })
        }
        #[inline(always)]
        fn scale(self, n: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_scalef_ps(self.0, n.0) })
        }
        #[inline(always)]
        fn where_greater(self, other: Self, yes: Self, no: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, other.0), no.0, yes.0) })
        }
        #[inline(always)]
        fn add_where_greater(self, x: Self, bound: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_mask_add_ps(self.0, _mm512_cmp_ps_mask::<_CMP_GT_OQ>(x.0, bound.0), self.0, x.0) })
        }
        #[inline(always)]
        fn add_unless_greater(self, x: Self, bound: Self) -> Self {
            // SAFETY: see above.
            Self(unsafe { _mm512_mask_add_ps(self.0, _mm512_cmp_ps_mask::<_CMP_NGT_UQ>(x.0, bound.0), self.0, x.0) })
        }
        #[inline(always)]
        fn split(self) -> (Self, Self) {
            // SAFETY: see above.
            unsafe {
                let mantissa = _mm512_getmant_ps::<_MM_MANT_NORM_1_2, _MM_MANT_SIGN_SRC>(self.0);
                (Self(_mm512_getexp_ps(self.0)), Self(mantissa))
            }
        }
        #[inline(always)]
        fn sum(self) -> f32 {
            // SAFETY: see above.
            unsafe { _mm512_reduce_add_ps(self.0) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct CopySome<'a>(&'a [f32], &'a mut [f32], &'a mut [f32]);

    impl Job for CopySome<'_> {
        type Output = ();
        #[inline(always)]
        fn run<I: Isa>(self) {
            I::Wide::load_some(self.0).store_some(self.1);
            I::Half::load_some(self.0).store_some(self.2);
        }
    }

    struct LoadSome<'a>(&'a [f32]);

    impl Job for LoadSome<'_> {
        type Output = [f32; 16];
        #[inline(always)]
        fn run<I: Isa>(self) -> [f32; 16] {
            let mut all = [1.0; 16];
            I::Wide::load_some(self.0).store(&mut all);
            all
        }
    }

    #[test]
    fn some_lanes_are_read_and_written_and_no_others() {
        let from: Vec<f32> = (1..=20).map(|x| x as f32).collect();
        for (level, len) in Detected::all().into_iter().flat_map(|level| (0..=20).map(move |len| (level, len))) {
            let all = dispatch(level, LoadSome(&from[..len]));
            let want = |l: usize, lanes: usize, rest: f32| if l < len.min(lanes) { from[l] } else { rest };
            (0..16).for_each(|l| assert_eq!(all[l], want(l, 16, 0.0), "{level:?} {len}"));
            let (mut wide, mut half) = ([-1.0; 20], [-1.0; 20]);
            dispatch(level, CopySome(&from, &mut wide[..len], &mut half[..len]));
            for l in 0..20 {
                assert_eq!((wide[l], half[l]), (want(l, 16, -1.0), want(l, 8, -1.0)), "{level:?} {len}");
            }
        }
    }
}
