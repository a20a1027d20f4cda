//! The laws of the original notebook, draw for draw. Where float32 rounding decides which token is sampled later (softmax, sums,
//! powers, the decomposition), the arithmetic is libtorch's own.

use tch::{Kind, Tensor};

use ntgram_engine::laws::{Law, check_prefix, prefix_tables};

use crate::error::{Error, Result};
use crate::rng::TorchRng;
use crate::tensors::{RandomTensor, check_decomposition};
use crate::torch::Torch;

/// What [`gen_d_law`] makes of its directions. The defaults are the original's, where it has them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DirectionsOptions {
    /// Directions along the axes (the first columns of the identity), or else random ones.
    pub axis_aligned: bool,
    /// Coefficient `k` is multiplied by `feature_importance^k`.
    pub feature_importance: f64,
    /// All log-probabilities are multiplied by this: the smaller, the flatter the law.
    pub flat_coef: f64,
}

impl Default for DirectionsOptions {
    /// Random directions, `feature_importance = 1`, `flat_coef = 0.1`.
    fn default() -> Self {
        Self { axis_aligned: false, feature_importance: 1.0, flat_coef: 0.1 }
    }
}

/// Most numbers that the directions of [`gen_d_law`] are chosen from: 1 GiB.
const MOST_IN_DIRECTIONS: usize = 1 << 28;

/// Most contexts of an axis-aligned [`almost_rank_d`]: its decomposition takes 256 MiB then.
const MOST_ALIGNED_CONTEXTS: usize = 1 << 13;

/// What [`almost_rank_d`] makes of its directions. The defaults are the original's, where it has them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AlmostRankOptions {
    /// Right singular vectors along the axes, or else random ones.
    pub axis_aligned: bool,
    /// Singular value of the first `d` directions.
    pub eig_high: f64,
    /// Singular value of the others.
    pub eig_low: f64,
}

impl Default for AlmostRankOptions {
    /// Random directions, `eig_high = 1`, `eig_low = 0.1`.
    fn default() -> Self {
        Self { axis_aligned: false, eig_high: 1.0, eig_low: 0.1 }
    }
}

/// Sparse contexts, then a last token whose law is peaked on the first `d` tokens: each row is
/// `softmax(randn(N) · mask · g)`, with `mask` 1 on the first `d` entries and `g[k] = feature_importance^k`
/// (the original's default: 1).
///
/// # Errors
/// A count of 0 or above `n_vocab`, `d` of 0 or above `n_vocab`, a `feature_importance` whose powers are not finite, or a law too
/// large to store.
pub fn first_position_law(
    nb_tokens: &[usize],
    n_vocab: usize,
    d: usize,
    feature_importance: f64,
    rng: &mut TorchRng,
) -> Result<Law> {
    check_prefix(nb_tokens, n_vocab, 1)?;
    check_rank(d, n_vocab)?;
    let importance = powers("feature_importance", feature_importance, n_vocab)?;
    let mut tables = prefix_tables(nb_tokens, n_vocab, 1, rng)?;
    let contexts = n_vocab.pow(nb_tokens.len() as u32);
    let mut scores = Vec::with_capacity(contexts * n_vocab);
    for _ in 0..contexts {
        let normals = rng.randn(n_vocab)?;
        scores.extend(normals.iter().zip(&importance).enumerate().map(|(k, (z, g))| if k < d { z * g } else { 0.0 }));
    }
    tables.push(softmax_rows(&Tensor::from_slice(&scores), n_vocab, "feature_importance", feature_importance)?);
    Law::new(n_vocab, tables)
}

/// Sparse contexts, each followed by one right token of probability `p`; every other token has `(1 − p)/(N − 1)`. The
/// right token is drawn for each context with weights `(1 − j/N)^k`, `j = 0 … N − 1`.
///
/// # Errors
/// A count of 0 or above `n_vocab`, `n_vocab` below 2, `k` for which a weight is not finite, `p` outside [0, 1], or a law too large
/// to store.
pub fn last_position_law(nb_tokens: &[usize], n_vocab: usize, k: f64, p: f64, rng: &mut TorchRng) -> Result<Law> {
    check_prefix(nb_tokens, n_vocab, 1)?;
    if n_vocab < 2 {
        return Err(Error::argument("n_vocab", n_vocab, "there must be at least 2 tokens"));
    }
    if !(0.0..=1.0).contains(&p) {
        return Err(Error::argument("p", p, "it must be between 0 and 1"));
    }
    let j = Tensor::f_arange(n_vocab as i64, (Kind::Float, tch::Device::Cpu)).torch()?;
    let weights = ((j / n_vocab as f64) * -1.0 + 1.0).f_pow_tensor_scalar(k).torch()?;
    let weights = values(&(&weights / weights.f_sum(Kind::Float).torch()?))?;
    if weights.iter().any(|w| !w.is_finite()) {
        return Err(Error::argument("k", k, "the weights (1 - j/N)^k must be finite"));
    }
    let mut tables = prefix_tables(nb_tokens, n_vocab, 1, rng)?;
    let contexts = n_vocab.pow(nb_tokens.len() as u32);
    let mut table = vec![((1.0 - p) / (n_vocab - 1) as f64) as f32; contexts * n_vocab];
    for row in table.chunks_exact_mut(n_vocab) {
        row[rng.multinomial_one(&weights)? as usize] = p as f32;
    }
    tables.push(table);
    Law::new(n_vocab, tables)
}

/// Sparse contexts, then a last token whose log-law has rank `d` (plus one fixed direction, the bias): each row is
/// `softmax(flat_coef · (W z + bias))`, `z = randn(d) · feature_importance^k`. `W` (`(N, d)` float32, returned beside the law)
/// is the first `d` columns of the identity (`axis_aligned`) or of `randn(N, N)`. The bias (`N`) is that of a new PyTorch linear
/// layer, whose weight is drawn too. The original's order of arguments, with what it names last in `options`.
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// let aligned = DirectionsOptions { axis_aligned: true, ..Default::default() };
/// let (pi, w) = gen_d_law(&[10, 10], 10, 6, &aligned, &mut TorchRng::new(666))?;
/// assert_eq!((pi.order(), w.size()), (3, vec![10, 6]));
/// # Ok(()) }
/// ```
///
/// # Errors
/// As [`first_position_law`], a `flat_coef` that is not finite, and a vocabulary whose directions do not fit in memory.
pub fn gen_d_law(
    nb_tokens: &[usize],
    n_vocab: usize,
    d: usize,
    options: &DirectionsOptions,
    rng: &mut TorchRng,
) -> Result<(Law, Tensor)> {
    let &DirectionsOptions { axis_aligned, feature_importance, flat_coef } = options;
    check_prefix(nb_tokens, n_vocab, 1)?;
    check_rank(d, n_vocab)?;
    check_finite("flat_coef", flat_coef)?;
    let importance = powers("feature_importance", feature_importance, d)?;
    let side = if axis_aligned { d } else { n_vocab };
    if n_vocab * side > MOST_IN_DIRECTIONS {
        let expected = format!("{n_vocab} × {side} numbers for the directions do not fit in memory");
        return Err(Error::argument("n_vocab", n_vocab, expected));
    }
    let mut tables = prefix_tables(nb_tokens, n_vocab, 1, rng)?;

    let bound = 1.0 / (d as f64).sqrt();
    rng.uniform_vec(n_vocab * d, -bound, bound)?; // the layer's own weight, replaced below
    let bias = Tensor::from_slice(&rng.uniform_vec(n_vocab, -bound, bound)?);
    let w = match axis_aligned {
        true => Tensor::f_eye_m(n_vocab as i64, d as i64, (Kind::Float, tch::Device::Cpu)).torch()?,
        false => rng.randn_tensor(&[n_vocab, n_vocab])?.f_narrow(1, 0, d as i64).torch()?,
    }; // (N, d)

    let contexts = n_vocab.pow(nb_tokens.len() as u32);
    let mut scores = Vec::with_capacity(contexts);
    for _ in 0..contexts {
        let z: Vec<f32> = rng.randn(d)?.iter().zip(&importance).map(|(z, g)| z * g).collect();
        scores.push(Tensor::from_slice(&z).f_linear(&w, Some(&bias)).torch()? * flat_coef);
    }
    tables.push(softmax_rows(&Tensor::f_stack(&scores, 0).torch()?, n_vocab, "flat_coef", flat_coef)?);
    Ok((Law::new(n_vocab, tables)?, w.f_contiguous().torch()?))
}

/// Sparse contexts, then a last token whose log-law is near rank `d`: row softmax of `U diag(eig) Vh`, where `U S Vh` is the
/// decomposition of `randn(N^(n-1), N)` and `eig` is `eig_high` for the first `d` directions and `eig_low` after. `Vh` is
/// the identity if `axis_aligned`; the law then depends on the signs of the left singular vectors, which are LAPACK's choice. The
/// original's order of arguments, with what it names last in `options`.
///
/// # Errors
/// As [`first_position_law`], no `nb_tokens`, more than 8192 contexts where `axis_aligned` (the full decomposition is quadratic in
/// them) or otherwise a decomposition that takes minutes, and an `eig_high` or `eig_low` that is not finite.
pub fn almost_rank_d(
    nb_tokens: &[usize],
    n_vocab: usize,
    d: usize,
    options: &AlmostRankOptions,
    rng: &mut TorchRng,
) -> Result<Law> {
    let &AlmostRankOptions { axis_aligned, eig_high, eig_low } = options;
    check_prefix(nb_tokens, n_vocab, 1)?;
    if nb_tokens.is_empty() {
        return Err(Error::argument("nb_tokens", "empty", "the last token must have a context"));
    }
    check_rank(d, n_vocab)?;
    check_finite("eig_high", eig_high)?;
    check_finite("eig_low", eig_low)?;
    let contexts = n_vocab.pow(nb_tokens.len() as u32);
    if axis_aligned && contexts > MOST_ALIGNED_CONTEXTS {
        let expected =
            format!("the full decomposition of {contexts} contexts is too large: up to {MOST_ALIGNED_CONTEXTS}");
        return Err(Error::argument("axis_aligned", true, expected));
    }
    let value = format!("{n_vocab}, with {contexts} contexts");
    check_decomposition("n_vocab", value, contexts, if axis_aligned { contexts } else { n_vocab })?;
    let mut tables = prefix_tables(nb_tokens, n_vocab, 1, rng)?;
    let noise = rng.randn_tensor(&[contexts, n_vocab])?;
    // Signs of singular vectors may differ between the two decompositions, and the original takes the full one's, U (M, M). Where Vh is
    // theirs too the signs cancel, and the thin one, U (M, N), gives the same law.
    let (u, _, v) = noise.f_svd(!axis_aligned, true).torch()?;
    let u = u.f_narrow(1, 0, n_vocab as i64).torch()?; // (M, N)
    let eig: Vec<f32> = (0..n_vocab).map(|k| (if k < d { eig_high } else { eig_low }) as f32).collect();
    let vh = if axis_aligned { identity(n_vocab) } else { v.f_tr().torch()? };
    let scores = (u * Tensor::from_slice(&eig)).f_matmul(&vh).torch()?;
    tables.push(softmax_rows(&scores, n_vocab, "eig_high", eig_high)?);
    Law::new(n_vocab, tables)
}

/// `base^k` for `k < len`, in float32.
fn powers(argument: &'static str, base: f64, len: usize) -> Result<Vec<f32>> {
    let powers: Vec<f32> = (0..len).map(|k| base.powf(k as f64) as f32).collect();
    if powers.iter().any(|p| !p.is_finite()) {
        return Err(Error::argument(argument, base, format!("its powers up to {} must be finite", len - 1)));
    }
    Ok(powers)
}

/// Row softmax of `scores` (`contexts × N` entries); `argument` is to blame if they are not finite.
fn softmax_rows(scores: &Tensor, n_vocab: usize, argument: &'static str, value: f64) -> Result<Vec<f32>> {
    let table = values(&scores.f_view([-1, n_vocab as i64]).torch()?.f_softmax(-1, Kind::Float).torch()?)?;
    if table.iter().any(|p| p.is_nan()) {
        return Err(Error::argument(argument, value, "the log-probabilities that it makes must be finite"));
    }
    Ok(table)
}

/// The entries of a float32 tensor, row-major.
fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    Vec::<f32>::try_from(tensor.f_contiguous().torch()?.f_view(-1).torch()?).torch()
}

/// The `N × N` identity.
fn identity(n_vocab: usize) -> Tensor {
    Tensor::eye(n_vocab as i64, (Kind::Float, tch::Device::Cpu))
}

fn check_rank(d: usize, n_vocab: usize) -> Result<()> {
    if d == 0 || d > n_vocab {
        return Err(Error::argument("d", d, format!("it must be between 1 and `n_vocab`, {n_vocab}")));
    }
    Ok(())
}

fn check_finite(argument: &'static str, value: f64) -> Result<()> {
    if !(value as f32).is_finite() {
        return Err(Error::argument(argument, value, "it must be a finite float32 number"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use ntgram_engine::laws::{entropy, power_unif_law};

    use super::*;

    fn directions(axis_aligned: bool, feature_importance: f64, flat_coef: f64) -> DirectionsOptions {
        DirectionsOptions { axis_aligned, feature_importance, flat_coef }
    }

    fn rank(axis_aligned: bool, eig_high: f64, eig_low: f64) -> AlmostRankOptions {
        AlmostRankOptions { axis_aligned, eig_high, eig_low }
    }

    /// Every law of this file on one setting.
    fn all_laws(counts: &[usize], n: usize, d: usize, rng: &mut TorchRng) -> Vec<Law> {
        vec![
            first_position_law(counts, n, d, 0.9, rng).unwrap(),
            last_position_law(counts, n, 1.5, 0.7, rng).unwrap(),
            gen_d_law(counts, n, d, &directions(true, 0.9, 0.1), rng).unwrap().0,
            gen_d_law(counts, n, d, &directions(false, 1.0, 2.0), rng).unwrap().0,
            almost_rank_d(counts, n, d, &rank(false, 1.0, 0.1), rng).unwrap(),
            almost_rank_d(counts, n, d, &rank(true, 3.0, 0.0), rng).unwrap(),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn rows_are_distributions_on_as_many_tokens_as_asked(n in 2usize..18, seed: u64, picks in prop::collection::vec(0usize..100, 1..3)) {
            let counts: Vec<usize> = picks.iter().map(|c| c % n + 1).collect();
            for law in all_laws(&counts, n, picks[0] % n + 1, &mut TorchRng::new(seed)) {
                prop_assert!(law.order() >= counts.len() && law.order() <= counts.len() + 1);
                for i in 0..law.order() {
                    for row in law.table(i).unwrap().chunks(n) {
                        prop_assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                        if let Some(count) = counts.get(i) {
                            prop_assert_eq!(row.iter().filter(|p| **p > 0.0).count(), *count);
                        }
                    }
                }
                let entropy = entropy(&law);
                prop_assert!(entropy >= 0.0 && entropy <= (n as f64).ln() + 1e-6, "entropy {}", entropy);
            }
        }
    }

    #[test]
    fn first_position_law_is_flat_beyond_d() {
        let law = first_position_law(&[3, 2], 7, 3, 0.5, &mut TorchRng::new(1)).unwrap();
        for row in law.last_table().chunks(7) {
            assert!(row[3..].iter().all(|p| *p == row[3]), "{row:?}");
            assert!(row[..3].iter().all(|p| *p != row[3]), "{row:?}");
        }
    }

    #[test]
    fn last_position_law_prefers_early_tokens() {
        let law = last_position_law(&[11, 11], 11, 4.0, 0.95, &mut TorchRng::new(1)).unwrap();
        let right = law.last_table().chunks(11).map(|row| row.iter().position(|p| *p == 0.95).unwrap());
        let right: Vec<usize> = right.collect();
        assert!(right.iter().filter(|k| **k < 3).count() > 121 / 2, "{right:?}");
    }

    #[test]
    fn directions_are_the_matrix_of_the_log_law() {
        // log-probabilities minus the bias lie in the span of W: with d = 1, differences of two rows are multiples of W
        let (law, w) = gen_d_law(&[5], 5, 1, &directions(false, 1.0, 0.5), &mut TorchRng::new(4)).unwrap();
        let w = crate::tensors::values(&w).unwrap();
        let logs: Vec<f64> = law.last_table().iter().map(|p| f64::from(p.ln())).collect();
        let difference: Vec<f64> = (0..5).map(|k| logs[k] - logs[5 + k]).collect();
        let slope = (difference[1] - difference[0]) / (w[1] - w[0]);
        for k in 1..5 {
            let expected = slope * (w[k] - w[0]);
            assert!((difference[k] - difference[0] - expected).abs() < 1e-4, "token {k}");
        }
    }

    #[test]
    fn aligned_laws_have_the_signs_of_the_full_decomposition() {
        // Where the thin decomposition's signs differ (on some processors, seen for 27 of 300 seeds at N = 14), so would its law.
        let n = 14;
        for seed in 0..40 {
            let mut rng = TorchRng::new(seed);
            let law = almost_rank_d(&[n, n], n, 5, &rank(true, 2.0, 0.05), &mut TorchRng::new(seed)).unwrap();
            prefix_tables(&[n, n], n, 1, &mut rng).unwrap();
            let noise = rng.randn_tensor(&[n * n, n]).unwrap();
            let eig: Vec<f32> = (0..n).map(|k| if k < 5 { 2.0 } else { 0.05 }).collect();
            let u = noise.svd(false, true).0.narrow(1, 0, n as i64);
            let full = values(&(u * Tensor::from_slice(&eig)).softmax(-1, Kind::Float)).unwrap();
            assert!(law.last_table().iter().zip(&full).all(|(a, b)| (a - b).abs() < 1e-6), "seed {seed}");
        }
    }

    #[test]
    fn bad_arguments_are_named() {
        let rng = &mut TorchRng::new(0);
        let cases: Vec<(&str, Result<Law>)> = vec![
            ("n_vocab", power_unif_law(&[1.0], &[1], 0, rng)),
            ("n_vocab", power_unif_law(&[1.0], &[1], 70_000, rng)),
            ("nb_tokens", power_unif_law(&[1.0, 1.0], &[1, 0], 10, rng)),
            ("nb_tokens", power_unif_law(&[1.0, 1.0], &[1, 11], 10, rng)),
            ("nb_tokens", power_unif_law(&[1.0; 12], &[10; 12], 10, rng)),
            ("nb_tokens", power_unif_law(&[1.0; 40], &[2; 40], 1000, rng)),
            ("alphas", power_unif_law(&[1.0], &[1, 1], 10, rng)),
            ("alphas", power_unif_law(&[], &[], 10, rng)),
            ("alphas", power_unif_law(&[f64::NAN], &[3], 10, rng)),
            ("alphas", power_unif_law(&[f64::INFINITY], &[3], 10, rng)),
            ("alphas", power_unif_law(&[1e30], &[3], 10, rng)),
            ("alphas", power_unif_law(&[-0.5], &[3], 10, rng)),
            ("d", first_position_law(&[3], 10, 0, 1.0, rng)),
            ("d", first_position_law(&[3], 10, 11, 1.0, rng)),
            ("feature_importance", first_position_law(&[3], 10, 5, f64::NAN, rng)),
            ("feature_importance", first_position_law(&[3], 10, 5, 1e5, rng)),
            ("n_vocab", last_position_law(&[1], 1, 0.0, 0.5, rng)),
            ("p", last_position_law(&[3], 10, 0.0, 1.5, rng)),
            ("p", last_position_law(&[3], 10, 0.0, f64::NAN, rng)),
            ("k", last_position_law(&[3], 10, f64::NAN, 0.5, rng)),
            ("k", last_position_law(&[3], 10, -100.0, 0.5, rng)),
            ("d", gen_d_law(&[3], 10, 11, &directions(true, 1.0, 0.1), rng).map(|(law, _)| law)),
            ("flat_coef", gen_d_law(&[3], 10, 5, &directions(true, 1.0, f64::NAN), rng).map(|(law, _)| law)),
            ("flat_coef", gen_d_law(&[3], 10, 5, &directions(true, 1.0, 1e39), rng).map(|(law, _)| law)),
            ("axis_aligned", almost_rank_d(&[3, 3], 100, 5, &rank(true, 1.0, 0.1), rng)),
            ("nb_tokens", almost_rank_d(&[], 10, 5, &rank(true, 1.0, 0.1), rng)),
            ("eig_high", almost_rank_d(&[3], 10, 5, &rank(true, f64::INFINITY, 0.1), rng)),
            ("eig_low", almost_rank_d(&[3], 10, 5, &rank(true, 1.0, f64::NAN), rng)),
        ];
        for (i, (name, result)) in cases.into_iter().enumerate() {
            match result {
                Err(Error::Argument { argument, .. }) => assert_eq!(argument, name, "case {i}"),
                other => panic!("case {i} ({name}): {other:?}"),
            }
        }
        assert_eq!(rng.next_word(), TorchRng::new(0).next_word(), "a refused call draws nothing");
    }

    #[test]
    fn a_vocabulary_of_one_token_works() {
        let rng = &mut TorchRng::new(0);
        assert_eq!(power_unif_law(&[1.0, 0.5], &[1, 1], 1, rng).unwrap().last_table(), [1.0]);
        assert_eq!(almost_rank_d(&[1, 1], 1, 1, &AlmostRankOptions::default(), rng).unwrap().last_table(), [1.0]);
    }
}
