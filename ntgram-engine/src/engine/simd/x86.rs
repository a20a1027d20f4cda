//! AVX-512, and AVX2 with FMA. The one file of the crate with `unsafe`: vector instructions.
//!
//! The types here are private to `simd`: the only way to their functions is through `dispatch`.
#![allow(unsafe_code)]

use super::pair::Pair;
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
fn on_avx512<J: Job>(job: J) -> J::Output {
    job.run::<Avx512>()
}

#[inline(never)]
#[target_feature(enable = "avx2,fma")]
fn on_avx2<J: Job>(job: J) -> J::Output {
    job.run::<Avx2>()
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
