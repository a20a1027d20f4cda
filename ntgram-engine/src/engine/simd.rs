//! Vectors of 8 and 16 floats: AVX-512 or AVX2 with FMA, chosen at run time; WebAssembly's, if compiled for it; plain arrays elsewhere.
//!
//! A [`Job`] is written once, generic over an [`Isa`]; [`dispatch`] chooses the one that the processor has.

#[cfg(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128")))]
mod pair;
#[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
mod plain;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

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
    /// `other` where either is NaN.
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

/// The widest instruction set that this processor has. Where WebAssembly's vectors are compiled for, they are sure: plain arrays would only
/// make the module larger, and are there for the tests alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Simd128,
    #[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
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
        let compiled_for = [
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Level::Simd128,
            #[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
            Level::Plain,
        ];
        levels.extend(compiled_for.map(Detected));
        levels
    }

    /// The widest level.
    pub(super) fn best() -> Detected {
        Self::all()[0]
    }
}

/// The vector instructions that this processor's trainings use: `AVX-512`, `AVX2`, `WebAssembly SIMD`, or `plain`. The first two give the
/// same numbers to the last bit.
pub fn instructions() -> &'static str {
    match Detected::best().0 {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => "AVX-512",
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => "AVX2",
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        Level::Simd128 => "WebAssembly SIMD",
        #[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
        Level::Plain => "plain",
    }
}

/// Runs `job` compiled for the instruction set `on`.
pub(super) fn dispatch<J: Job>(on: Detected, job: J) -> J::Output {
    match on.0 {
        // A `Detected` is made by `Detected::all` only, after a look at the processor.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => x86::Avx512::call(job),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => x86::Avx2::call(job),
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        Level::Simd128 => wasm::Simd128::call(job),
        #[cfg(any(test, not(all(target_arch = "wasm32", target_feature = "simd128"))))]
        Level::Plain => plain::PlainIsa::call(job),
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
