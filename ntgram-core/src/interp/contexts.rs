//! What a model of either kind makes of every context of its law: logits, and whether the right token wins.

use tch::{Kind, Tensor};

use super::linear::{check_pairs, cosine_similarity, matrix, sides};
use crate::error::{Error, Result};
use crate::laws::Law;
use crate::models::{Model, ModelConfig};
use crate::tensors::values;

/// The most likely next token of every context, `(N^(n-1),)` int64, in the order of the law's table (oldest token slowest); the first of
/// equally likely ones.
pub fn right_tokens(law: &Law) -> Tensor {
    crate::models::last_table(law).argmax(-1, false)
}

/// A model's logits of every context, `(N^(n-1), N)`, rows in the order of the law's table, each less its mean: what a softmax sees. The one
/// context of a law of order 1 is empty; a model reads token 0 in its place.
///
/// They take as much memory as the law's last table: the model reads some contexts at a time.
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// let pi = last_position_law(&[4, 4], 4, 0.0, 0.9, &mut TorchRng::new(1))?;
/// let model = LowRank::new(2, 4, 3, &pi, &mut TorchRng::new(2))?;
/// assert_eq!(context_logits(&model).size(), [16, 4]);
/// assert!((divergence(&context_logits(&model), &pi)? - model.divergence()?).abs() < 1e-6);
/// # Ok(()) }
/// ```
pub fn context_logits(model: &dyn Model) -> Tensor {
    let (n, length) = (model.law().n_vocab(), model.law().order() - 1);
    let count = model.law().last_table().len() / n;
    let read = length.max(1);
    let token =
        |row: usize, place: usize| if length == 0 { 0 } else { (row / n.pow((length - 1 - place) as u32) % n) as i64 };
    let params = model.params();
    let at_a_time = (MOST_NUMBERS / numbers_of_a_context(model.sizes(), read)).max(1);
    let part = |first: usize| {
        let rows = first..count.min(first + at_a_time);
        let tokens: Vec<i64> = rows.clone().flat_map(|row| (0..read).map(move |place| token(row, place))).collect();
        let tokens = Tensor::from_slice(&tokens).view([rows.len() as i64, read as i64]).to_device(params.device());
        let logits = model.logits_of(params.tensors(), &tokens).select(1, read as i64 - 1);
        &logits - logits.mean_dim(-1, true, None)
    };
    tch::no_grad(|| Tensor::cat(&(0..count).step_by(at_a_time).map(part).collect::<Vec<_>>(), 0))
}

/// Numbers that a forward pass holds at once, about: 256 MiB of float32.
const MOST_NUMBERS: usize = 1 << 26;

/// Numbers that a forward pass holds for one context of so many tokens, about.
fn numbers_of_a_context(sizes: ModelConfig, length: usize) -> usize {
    let (modules, stream) = match sizes {
        ModelConfig::Transformer(config) => {
            let attention = length.saturating_mul(config.n_heads).saturating_add(4 * config.d_module());
            (config.n_modules.saturating_mul(attention), 4 * config.d_model + config.width)
        }
        ModelConfig::LowRank(config) => (0, config.d_model),
    };
    length.saturating_mul(modules.saturating_add(stream + 2 * sizes.n_vocab()))
}

/// In how many contexts the model finds the law's right token more likely than any other; never where its logits are no numbers.
pub fn told_apart(model: &dyn Model) -> usize {
    let logits = context_logits(model);
    let right = right_tokens(model.law()).view([-1, 1]).to_device(logits.device());
    let not_below = logits.ge_tensor(&logits.gather(1, &right, false)).sum_dim_intlist(-1, false, Kind::Int64);
    not_below.eq(1).sum(Kind::Int64).int64_value(&[]) as usize
}

/// The cosine with the best of the wrong tokens, for each row of `a (M, d)`; `next`: `M` right tokens, rows of `w_u (N, d)`. The cosine
/// with the right one is [`alignment`](super::alignment). NaN for a row of zeros, which has no direction; such a token is no one's best.
///
/// # Errors
/// As [`cosine_similarity`]; not one token below `N` for each row of `a`; a single token.
pub fn best_wrong_cosine(a: &Tensor, w_u: &Tensor, next: &Tensor) -> Result<Vec<f64>> {
    super::alignment(a, w_u, next)?; // checks
    if sides(&matrix("w_u", w_u)?).0 < 2 {
        return Err(Error::argument("w_u", "of one row", "there must be a wrong token"));
    }
    let cosines = cosine_similarity(a, w_u)?;
    let next = next.reshape([-1, 1]).to_kind(Kind::Int64).to_device(cosines.device());
    // the wrong one is found as the most opposite of the others is, with the sign turned
    let best = least_of_numbers(&-cosines.scatter_value(1, &next, f64::NAN))?;
    Ok(best.into_iter().map(|cosine| -cosine).collect())
}

/// For each row of `w (N, d)` the cosine with the other row that lies most nearly opposite: −1 where tokens come in antipodal pairs. NaN for
/// a row of zeros, which has no direction, and which is opposite to none.
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// let w = Tensor::from_slice(&[1f32, 0.0, -2.0, 0.0, 0.0, 1.0]).view([3, 2]);
/// assert_eq!(most_opposite(&w)?, [-1.0, -1.0, 0.0]);
/// # Ok(()) }
/// ```
///
/// # Errors
/// Not a matrix of finite real numbers, a single row, or too many for a matrix of their pairs.
pub fn most_opposite(w: &Tensor) -> Result<Vec<f64>> {
    let w = matrix("w", w)?;
    let (rows, _) = sides(&w);
    check_pairs("w", rows, rows)?;
    if rows < 2 {
        return Err(Error::argument("w", "of one row", "there must be another one"));
    }
    least_of_numbers(&cosine_similarity(&w, &w)?.fill_diagonal_(f64::NAN, false))
}

/// The least number of each row, those that are none left out; NaN where all are.
fn least_of_numbers(rows: &Tensor) -> Result<Vec<f64>> {
    let least = rows.nan_to_num(f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY).amin(&[1i64][..], false);
    Ok(values(&least)?.into_iter().map(|least| if least.is_finite() { least } else { f64::NAN }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::laws::last_position_law;
    use crate::models::{LowRank, Transformer, TransformerConfig};
    use crate::rng::TorchRng;

    fn law() -> Law {
        last_position_law(&[5, 5], 5, 0.0, 0.9, &mut TorchRng::new(7)).unwrap()
    }

    #[test]
    fn logits_are_those_of_the_forward_pass_in_the_laws_order() {
        let law = law();
        let low = LowRank::new(3, 5, 3, &law, &mut TorchRng::new(1)).unwrap();
        let config = TransformerConfig { d_model: 4, n_vocab: 5, n_modules: 2, ..Default::default() };
        let transformer = Transformer::new(&config, &law, &mut TorchRng::new(2)).unwrap();
        let tokens = Tensor::from_slice(&[3i64, 1]).view([1, 2]); // row 3·5 + 1
        for (all, one) in [
            (context_logits(&low), low.forward(&tokens).unwrap()),
            (context_logits(&transformer), transformer.forward(&tokens).unwrap()),
        ] {
            assert_eq!(all.size(), [25, 5]);
            let one = one.get(0).get(1);
            let apart = (all.get(16) - (&one - one.mean(None))).abs().max().double_value(&[]);
            assert!(apart < 1e-6, "{apart}");
        }
    }

    #[test]
    fn right_tokens_are_the_laws_and_a_model_that_copies_it_tells_all_apart() {
        let law = law();
        let right = values(&right_tokens(&law)).unwrap();
        for (context, token) in right.iter().enumerate() {
            let row = law.row(&[(context / 5) as u16, (context % 5) as u16]).unwrap();
            assert!(row.iter().all(|p| *p <= row[*token as usize]));
        }
        let mut model = LowRank::new(5, 5, 3, &law, &mut TorchRng::new(1)).unwrap();
        assert!(told_apart(&model) < 25);
        // W_U the unit matrix, W_E the law: its rows are in another order
        let order = model.contexts_in_law_order();
        let w_e = crate::models::last_table(&law).index_select(0, &order.argsort(0, false));
        let names: Vec<String> = model.params().specs().iter().map(|spec| spec.name.clone()).collect();
        let unit = Tensor::eye(5, (Kind::Float, tch::Device::Cpu));
        model.params_mut().set(&names[0], &w_e).unwrap();
        model.params_mut().set(&names[1], &unit).unwrap();
        assert_eq!(told_apart(&model), 25);
    }

    #[test]
    fn the_best_wrong_token_is_the_nearest_of_the_others() {
        let w_u = Tensor::from_slice(&[1f32, 0.0, 0.0, 1.0, -1.0, 0.0]).view([3, 2]);
        let a = Tensor::from_slice(&[2f32, 0.0, 3.0, 4.0]).view([2, 2]);
        let got = best_wrong_cosine(&a, &w_u, &Tensor::from_slice(&[0i64, 1])).unwrap();
        assert!((got[0] - 0.0).abs() < 1e-6 && (got[1] - 0.6).abs() < 1e-6, "{got:?}");
        assert!(best_wrong_cosine(&a, &w_u, &Tensor::from_slice(&[0i64, 3])).is_err());
    }
}
