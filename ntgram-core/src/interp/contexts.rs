//! What a model of either kind makes of every context of its law: logits, and whether the right token wins.

use tch::{Kind, Tensor};

use super::linear::{cosine_similarity, matrix, sides};
use crate::error::{Error, Result};
use crate::laws::Law;
use crate::models::Model;
use crate::tensors::values;

/// The most likely next token of every context, `(N^(n-1),)` int64, in the order of the law's table (oldest token slowest).
pub fn right_tokens(law: &Law) -> Tensor {
    crate::models::last_table(law).argmax(-1, false)
}

/// A model's logits of every context, `(N^(n-1), N)`, rows in the order of the law's table, each less its mean: what a softmax sees.
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
    // Where a law has no contexts, the model still reads a token.
    let (n, length) = (model.law().n_vocab(), model.law().order().saturating_sub(1).max(1));
    let count = n.pow(length as u32);
    let token = |row: usize, place: usize| (row / n.pow((length - 1 - place) as u32) % n) as i64;
    let tokens: Vec<i64> = (0..count).flat_map(|row| (0..length).map(move |place| token(row, place))).collect();
    let params = model.params();
    let tokens = Tensor::from_slice(&tokens).view([count as i64, length as i64]).to_device(params.device());
    tch::no_grad(|| {
        let logits = model.logits_of(params.tensors(), &tokens).select(1, length as i64 - 1);
        &logits - logits.mean_dim(-1, true, None)
    })
}

/// In how many contexts the model finds the law's right token most likely.
pub fn told_apart(model: &dyn Model) -> usize {
    let right = right_tokens(model.law());
    let winners = context_logits(model).argmax(-1, false).to_device(right.device());
    winners.eq_tensor(&right).sum(Kind::Int64).int64_value(&[]) as usize
}

/// The cosine with the best of the wrong tokens, for each row of `a (M, d)`; `next`: `M` right tokens, rows of `w_u (N, d)`. The cosine
/// with the right one is [`alignment`](super::alignment).
///
/// # Errors
/// As [`cosine_similarity`]; not one token below `N` for each row of `a`; a single token.
pub fn best_wrong_cosine(a: &Tensor, w_u: &Tensor, next: &Tensor) -> Result<Vec<f64>> {
    super::alignment(a, w_u, next)?; // checks
    if sides(&matrix("w_u", w_u)?).0 < 2 {
        return Err(Error::argument("w_u", "of one row", "there must be a wrong token"));
    }
    let next = next.view([-1, 1]).to_kind(Kind::Int64);
    values(&cosine_similarity(a, w_u)?.scatter_value(1, &next, f64::NEG_INFINITY).amax(&[1i64][..], false))
}

/// For each row of `w (N, d)` the cosine with the row that lies most nearly opposite: −1 where tokens come in antipodal pairs.
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
/// Not a matrix.
pub fn most_opposite(w: &Tensor) -> Result<Vec<f64>> {
    values(&cosine_similarity(w, w)?.amin(&[1i64][..], false))
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
