//! The engine against its reference, and what holds for any training.

use super::reference::{Reference, reference};
use super::simd::Detected;
use super::*;
use crate::models::{LowRankConfig, Norm, Skips, TransformerConfig};
use crate::rng::TorchRng;
use proptest::prelude::*;

/// A small generator: only variety matters here.
fn numbers(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Random parameters, law and data for `n` tokens; `sparse`: most of the law is 0.
fn draw(seed: u64, n_params: usize, n: usize, samples: usize, sparse: bool) -> (Vec<f32>, Vec<f32>, Vec<u16>) {
    draw_ngrams(seed, n_params, n, (3, 3), samples, sparse)
}

/// The same for a law of another order and sequences of another length.
fn draw_ngrams(
    seed: u64,
    n_params: usize,
    n: usize,
    (order, window): (usize, usize),
    samples: usize,
    sparse: bool,
) -> (Vec<f32>, Vec<f32>, Vec<u16>) {
    let mut u = numbers(seed);
    let params = (0..n_params).map(|_| (1.6 * u() - 0.8) as f32).collect();
    let mut law: Vec<f32> =
        (0..n.pow(order as u32)).map(|_| if sparse && u() < 0.9 { 0.0 } else { u() as f32 + 0.01 }).collect();
    for row in law.chunks_mut(n) {
        row[0] += 0.01;
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|p| *p /= sum);
    }
    let tokens = (0..window * samples).map(|_| (u() * n as f64) as u16).collect();
    (params, law, tokens)
}

/// Next-token training in the order of the data; what a test varies it puts in the place of this.
pub(super) fn simple<'a>(model: ModelConfig<'a>, law: &'a [f32], tokens: &'a [u16], batch_size: usize) -> Problem<'a> {
    Problem {
        model,
        freeze: Freeze::default(),
        order: 3,
        law,
        entropy: 0.0,
        window: 3,
        tokens,
        epochs: &[Epoch { shuffle: None, lr: 1e-2 }],
        batch_size,
        loss: Loss::NextToken,
        threads: 1,
    }
}

/// Every parameter, or its neighbour among the floats.
fn moved_by_a_bit(params: &[f32], seed: u64) -> Vec<f32> {
    let mut u = numbers(seed);
    params.iter().map(|x| if u() < 0.5 { x.next_up() } else { x.next_down() }).collect()
}

fn loss_of(next_token: bool) -> Loss {
    if next_token { Loss::NextToken } else { Loss::FullDivergence }
}

fn compare(model: ModelConfig, freeze: Freeze, loss: Loss, sparse: bool, batch_size: usize, seed: u64) {
    compare_ngrams(model, (3, 3), freeze, loss, sparse, batch_size, seed);
}

/// Two batches of two epochs: loss, accuracy and every gradient before each step are the reference's.
fn compare_ngrams(
    model: ModelConfig,
    (order, window): (usize, usize),
    freeze: Freeze,
    loss: Loss,
    sparse: bool,
    batch_size: usize,
    seed: u64,
) {
    let (n, list) = (model.n_vocab(), model.parameters());
    let total = list.iter().map(|p| p.len()).sum();
    let samples = batch_size + batch_size.min(3);
    let epochs = [(seed, 1e-2), (seed ^ 5, 3e-3)].map(|(seed, lr)| Epoch { shuffle: Some(seed), lr });
    let slack = if matches!(model, ModelConfig::Transformer(c) if c.d_model == 1) { 1e-3 } else { 1e-5 };
    let (mut params, law, tokens) = draw_ngrams(seed, total, n, (order, window), samples, sparse);
    if let ModelConfig::Transformer(c) = model {
        // Rows with nearly equal coordinates would leave a layer norm's gradient to rounding.
        params[..n * c.d_model].iter_mut().enumerate().for_each(|(i, x)| *x += (i % c.d_model % 3) as f32 - 1.0);
        if c.norm == Norm::None {
            // Without a norm each layer cubes what it reads: numbers that grow leave the gradient to rounding, too.
            params.iter_mut().for_each(|x| *x *= 0.5);
        }
    }
    let simple = simple(model, &law, &tokens, batch_size);
    let problem = Problem { freeze, entropy: 0.25, epochs: &epochs, loss, order, window, ..simple };
    let orders = [seed, seed ^ 5].map(|seed| TorchRng::new(seed).randperm(samples as u32).unwrap());
    for (level, parts) in Detected::all().into_iter().flat_map(|level| [(level, 1), (level, 3)]) {
        let mut trainer = Trainer::with(&problem, params.clone(), None, level, parts).unwrap();
        // Two batches: what the first leaves behind must not show in the second, which is smaller.
        let batches = |order| [0..batch_size, batch_size..samples].map(|range| (order, range));
        for (order, range) in orders.iter().flat_map(batches) {
            let before = trainer.params();
            let batch = &order[range];
            let want = reference(&problem, &before, batch);
            let Reference { loss: want_loss, accuracy: want_accuracy, gradient: want } = want;
            let (outcome, got) = trainer.loss_and_gradients().unwrap();
            // Where numbers almost cancel, rounding counts for more: as much as that of the parameters does, in the worst of some draws.
            let moved = std::cell::OnceCell::new();
            let moved = || {
                moved.get_or_init(|| {
                    let neighbours = (0..4).map(|k| moved_by_a_bit(&before, seed ^ k));
                    neighbours.map(|params| reference(&problem, &params, batch)).collect::<Vec<_>>()
                })
            };
            let (error, bound) = ((outcome.loss - want_loss).abs(), 1e-5 * (1.0 + want_loss.abs()));
            let rounding = || moved().iter().map(|m| (m.loss - want_loss).abs()).fold(0.0, f64::max);
            assert!(
                error < bound || error < bound + 2.0 * rounding(),
                "{level:?} {parts} {model:?} {window}: {} {want_loss} {bound} {}",
                outcome.loss,
                rounding()
            );
            assert!((outcome.accuracy - want_accuracy).abs() < 1e-9, "{} {want_accuracy}", outcome.accuracy);
            let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
            let whole = norm(&mut want.iter().copied());
            let mut at = 0;
            for spec in &list {
                let range = at..at + spec.len();
                at = range.end;
                let size = norm(&mut want[range.clone()].iter().copied());
                let error = norm(&mut range.clone().map(|i| got[i] as f64 - want[i]));
                // Of one coordinate a layer norm leaves nothing.
                let bound = 2e-5 * size + slack * whole + 2e-6;
                let differs = |m: &Reference| norm(&mut range.clone().map(|i| m.gradient[i] - want[i]));
                let rounding = || moved().iter().map(differs).fold(0.0, f64::max);
                assert!(
                    error <= bound || error <= bound + 2.0 * rounding(),
                    "{level:?} {}: {error} of {size} ({whole})",
                    spec.name
                );
            }
            assert_eq!(trainer.step(), Some(outcome));
            let (after, state) = (trainer.params(), trainer.adam());
            let mut at = 0;
            for spec in &list {
                let range = at..at + spec.len();
                at = range.end;
                if spec.is_frozen(&freeze) {
                    assert_eq!(after[range.clone()], before[range.clone()], "{} is frozen", spec.name);
                    assert!(state.m[range.clone()].iter().chain(&state.v[range]).all(|&x| x == 0.0));
                }
            }
        }
        assert_eq!(trainer.step(), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn transformer_gradients_are_exact(
        (d_model, n_heads) in prop::sample::select(vec![(1, 1), (8, 4), (3, 3), (4, 2), (5, 1), (6, 2), (7, 1), (9, 3), (10, 1), (5, 5)]),
        n_vocab in 2usize..8, n_layers in 1usize..4, width in 0usize..4, depth in 0usize..3, n_modules in 1usize..4,
        skips in prop::sample::select(Skips::all_meaningful()), freeze_bits in 0u8..32,
        next_token: bool, sparse: bool, batch_size in 1usize..24, seed: u64,
    ) {
        let config = TransformerConfig {
            d_model, n_vocab, n_layers, width, depth, n_modules, n_heads, skips, ..Default::default()
        };
        let bit = |k: u8| freeze_bits >> k & 1 == 1;
        let freeze =
            Freeze { e: bit(0), pos: bit(1), qkv: bit(2), o: bit(3), u: bit(4) };
        compare(ModelConfig::Transformer(&config), freeze, loss_of(next_token), sparse, batch_size, seed);
    }

    #[test]
    fn low_rank_gradients_are_exact(
        d_model in 1usize..18, n_vocab in 2usize..13, e: bool, u: bool,
        next_token: bool, sparse: bool, batch_size in 1usize..40, seed: u64,
    ) {
        let config = LowRankConfig { d_model, n_vocab, ..Default::default() };
        let freeze = Freeze { e, u, ..Freeze::default() };
        compare(ModelConfig::LowRank(&config), freeze, loss_of(next_token), sparse, batch_size, seed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn transformer_gradients_are_exact_for_any_order_window_and_size(
        (n_heads, sizes) in prop::sample::select(vec![
            (1, (3, None)), (2, (4, None)), (5, (5, None)), (1, (3, Some(5))), (2, (7, Some(4))), (3, (3, Some(3))), (1, (5, Some(1))),
        ]),
        layer_norm: bool, n_vocab in 2usize..7, (n_layers, width, depth) in (1usize..4, 0usize..4, 0usize..3),
        n_modules in 1usize..4, order in 1usize..5, longer in 0usize..4,
        skips in prop::sample::select(Skips::all_meaningful()), freeze_bits in 0u8..32,
        next_token: bool, sparse: bool, batch_size in 1usize..24, seed: u64,
    ) {
        let window = (order + longer).max(2);
        let (d_model, d_inner) = sizes;
        let norm = if layer_norm { Norm::Layer } else { Norm::None };
        let config = TransformerConfig {
            d_model, d_inner, norm, n_vocab, n_layers, width, depth, n_modules, n_heads, skips, context_window: window + longer % 2,
            ..Default::default()
        };
        let bit = |k: u8| freeze_bits >> k & 1 == 1;
        let freeze = Freeze { e: bit(0), pos: bit(1), qkv: bit(2), o: bit(3), u: bit(4) };
        let loss = loss_of(next_token);
        compare_ngrams(ModelConfig::Transformer(&config), (order, window), freeze, loss, sparse, batch_size, seed);
    }

    #[test]
    fn low_rank_gradients_are_exact_for_any_order_and_window(
        d_model in 1usize..12, n_vocab in 2usize..6, order in 1usize..6, longer in 0usize..4, e: bool, u: bool,
        next_token: bool, sparse: bool, batch_size in 1usize..30, seed: u64,
    ) {
        let window = (order + longer).max(2);
        let config = LowRankConfig { d_model, n_vocab, context_window: window, order, ..Default::default() };
        let freeze = Freeze { e, u, ..Freeze::default() };
        let loss = loss_of(next_token);
        compare_ngrams(ModelConfig::LowRank(&config), (order, window), freeze, loss, sparse, batch_size, seed);
    }
}

/// The same through `prefix` where pairs alone are worked on, in small modules that have loops of their own, and in large ones.
#[test]
fn known_and_large_sizes_of_modules() {
    let sizes = [
        (5, Some(10), 5, 1, 1, 0),
        (9, Some(10), 12, 1, 2, 0),
        (9, Some(10), 20, 2, 1, 0),
        (6, Some(5), 5, 1, 1, 5),
        (33, None, 2, 1, 2, 0),
        (40, None, 3, 4, 1, 17),
        (7, Some(64), 1, 2, 1, 0),
        (7, Some(31), 3, 1, 2, 0),
        (6, Some(16), 1, 1, 3, 8),
    ];
    let compare = |(d_model, d_inner, n_modules, n_heads, n_layers, width)| {
        let depth = (width > 0).into();
        let config = TransformerConfig {
            d_model,
            d_inner,
            n_modules,
            n_heads,
            n_layers,
            width,
            depth,
            n_vocab: 6,
            context_window: 5,
            ..Default::default()
        };
        for (next_token, window) in [(true, 5), (false, 4)] {
            let loss = loss_of(next_token);
            compare_ngrams(ModelConfig::Transformer(&config), (3, window), Freeze::default(), loss, false, 20, 5);
        }
    };
    // side by side: one after the other they take longer than all other tests
    std::thread::scope(|scope| {
        for size in sizes {
            scope.spawn(move || compare(size));
        }
    });
}

/// Three layers of three coordinates, where one draw of neighbours moves the gradient a tenth as far as the next.
#[test]
fn rounding_is_judged_by_several_draws() {
    let skips = Skips { res_connection: true, emb_ov: true, ..Skips::default() };
    let config = TransformerConfig {
        d_model: 3,
        n_heads: 3,
        n_vocab: 3,
        n_layers: 3,
        n_modules: 3,
        width: 3,
        depth: 1,
        skips,
        ..Default::default()
    };
    let freeze = Freeze { e: true, pos: false, qkv: true, o: true, u: false };
    compare(ModelConfig::Transformer(&config), freeze, Loss::FullDivergence, false, 6, 8525169687446643764);
}

/// More heads than one vector or one group, more coordinates than one vector, and the sizes for which there are loops of their own.
#[test]
fn many_heads_and_coordinates() {
    for (d_model, n_modules, n_heads, n_vocab, n_layers, width, batch_size) in [
        (11, 11, 1, 40, 2, 9, 30),
        (40, 3, 8, 7, 2, 3, 4),
        (5, 5, 1, 10, 1, 0, 30),
        (5, 20, 1, 10, 1, 0, 30),
        (10, 5, 1, 30, 1, 0, 30),
        (10, 10, 1, 30, 1, 0, 30),
        (17, 3, 1, 20, 1, 0, 30),
    ] {
        let config =
            TransformerConfig { d_model, n_vocab, n_modules, n_heads, n_layers, width, depth: 1, ..Default::default() };
        for next_token in [true, false] {
            compare(ModelConfig::Transformer(&config), Freeze::default(), loss_of(next_token), false, batch_size, 5);
        }
    }
}

#[test]
fn adam_follows_its_definition_and_goes_on_from_a_saved_state() {
    let config = LowRankConfig { d_model: 3, n_vocab: 4, ..Default::default() };
    let (params, law, tokens) = draw(7, 16 * 3 + 4 * 3, 4, 80, false);
    // With 5 samples rows without gradient are moved when they are needed, with 10 all rows in every step.
    for (batch_size, half) in [(5, 8), (10, 4)] {
        let problem = simple(ModelConfig::LowRank(&config), &law, &tokens, batch_size);
        let mut trainer = Trainer::new(&problem, params.clone(), None).unwrap();
        let (mut p, mut m, mut v) = (params.iter().map(|&x| x as f64).collect::<Vec<_>>(), [0.0; 60], [0.0; 60]);
        for t in 1..=2 * half {
            let (_, grad) = trainer.loss_and_gradients().unwrap();
            trainer.step().unwrap();
            for (i, &g) in grad.iter().enumerate() {
                m[i] = 0.9 * m[i] + 0.1 * g as f64;
                v[i] = 0.999 * v[i] + 0.001 * (g as f64).powi(2);
                let root = (v[i] / (1.0 - 0.999f64.powi(t))).sqrt();
                p[i] -= 1e-2 * m[i] / (1.0 - 0.9f64.powi(t)) / (root + 1e-8);
            }
            let AdamState { m: got_m, v: got_v, .. } = trainer.adam();
            for (i, got) in trainer.params().into_iter().enumerate() {
                assert!((got as f64 - p[i]).abs() < 2e-6, "step {t}: {got} {}", p[i]);
                assert!((got_m[i] as f64 - m[i]).abs() < 1e-6, "step {t}: {} {}", got_m[i], m[i]);
                assert!((got_v[i] as f64 - v[i]).abs() < 1e-6 * v[i].max(1e-12), "step {t}: {} {}", got_v[i], v[i]);
            }
        }
        // Half the batches, then the others from the saved state.
        let (start, rest) = tokens.split_at(tokens.len() / 2);
        let mut first = Trainer::new(&Problem { tokens: start, ..problem }, params.clone(), None).unwrap();
        while first.step().is_some() {}
        let (middle, state) = first.finish();
        assert_eq!(state.steps, half as u64);
        let mut second = Trainer::new(&Problem { tokens: rest, ..problem }, middle, Some(&state)).unwrap();
        while second.step().is_some() {}
        let (whole, parts) = ((trainer.params(), trainer.adam()), (second.params(), second.adam()));
        if batch_size == 10 {
            assert_eq!(parts, whole);
        } else {
            // Rows that were brought up to date in between are rounded in between.
            assert!(parts.0.iter().zip(&whole.0).all(|(x, y)| (x - y).abs() < 2.5e-7), "{parts:?} {whole:?}");
        }
        assert_eq!(trainer.finish(), whole);
    }
}

#[test]
#[cfg_attr(target_family = "wasm", ignore = "there are no threads")]
fn threads_change_nothing() {
    let config = TransformerConfig { d_model: 6, n_vocab: 30, n_modules: 3, ..Default::default() };
    let low_rank = LowRankConfig { d_model: 6, n_vocab: 30, ..Default::default() };
    let longer = TransformerConfig { n_vocab: 6, n_layers: 2, context_window: 5, ..config.clone() };
    let large = TransformerConfig { d_model: 33, width: 9, depth: 1, ..longer.clone() };
    let low_rank_longer = LowRankConfig { n_vocab: 6, context_window: 5, ..low_rank };
    for (model, window) in [
        (ModelConfig::Transformer(&config), 3),
        (ModelConfig::LowRank(&low_rank), 3),
        (ModelConfig::Transformer(&longer), 5),
        (ModelConfig::Transformer(&large), 5),
        (ModelConfig::LowRank(&low_rank_longer), 5),
    ] {
        let total = model.parameters().iter().map(|p| p.len()).sum();
        let (params, law, tokens) = draw_ngrams(3, total, model.n_vocab(), (3, window), 900, false);
        let run = |threads| {
            let problem = Problem { threads, window, ..simple(model, &law, &tokens, 90) };
            let mut trainer = Trainer::with(&problem, params.clone(), None, Detected::best(), 4).unwrap();
            let mut outcomes = Vec::new();
            while let Some(outcome) = trainer.step() {
                outcomes.push(outcome);
            }
            (outcomes, trainer.params(), trainer.adam())
        };
        let alone = run(1);
        assert_eq!(alone.0.len(), 10);
        for threads in [2, 3, 8] {
            assert!(run(threads) == alone, "{threads} threads");
        }
    }
}

/// Vectors of 8 and of 16 floats add in the same order.
#[test]
fn avx2_and_avx512_agree_bit_for_bit() {
    let levels: Vec<Detected> =
        Detected::all().into_iter().filter(|level| format!("{level:?}").contains("Avx")).collect();
    let base = TransformerConfig { n_vocab: 7, context_window: 5, ..Default::default() };
    for (d_model, n_modules, n_layers, width) in
        [(5, 5, 1, 0), (10, 16, 2, 0), (10, 20, 1, 17), (36, 2, 2, 0), (50, 3, 1, 0)]
    {
        let config = TransformerConfig { d_model, n_modules, n_layers, width, depth: 1, ..base.clone() };
        let model = ModelConfig::Transformer(&config);
        let total = model.parameters().iter().map(|p| p.len()).sum();
        let (params, law, tokens) = draw_ngrams(3, total, 7, (3, 5), 200, false);
        let run = |&level: &Detected| {
            let problem = Problem { window: 5, ..simple(model, &law, &tokens, 50) };
            let mut trainer = Trainer::with(&problem, params.clone(), None, level, 2).unwrap();
            while trainer.step().is_some() {}
            trainer.params()
        };
        let results: Vec<Vec<f32>> = levels.iter().map(run).collect();
        assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "d {d_model}, H {n_modules}");
    }
}

#[test]
fn extreme_logits_stay_finite() {
    let config = LowRankConfig { d_model: 2, n_vocab: 5, ..Default::default() };
    let (mut params, law, tokens) = draw(9, 25 * 2 + 5 * 2, 5, 60, false);
    params.iter_mut().enumerate().for_each(|(i, p)| *p *= if i % 3 == 0 { 1e3 } else { 1e-3 });
    for next_token in [true, false] {
        let problem = Problem { loss: loss_of(next_token), ..simple(ModelConfig::LowRank(&config), &law, &tokens, 20) };
        let mut trainer = Trainer::new(&problem, params.clone(), None).unwrap();
        while let Some(outcome) = trainer.step() {
            assert!(outcome.loss.is_finite() && outcome.loss >= 0.0 && outcome.loss < 28.0, "{outcome:?}");
        }
        assert!(trainer.params().iter().all(|x| x.is_finite()));
    }
}

#[test]
fn a_nan_parameter_shows_in_the_loss() {
    let low_rank = LowRankConfig { d_model: 5, n_vocab: 4, ..Default::default() };
    let many = LowRankConfig { n_vocab: 30, ..low_rank };
    let transformer = TransformerConfig { d_model: 5, n_vocab: 6, ..Default::default() };
    for model in [ModelConfig::LowRank(&low_rank), ModelConfig::LowRank(&many), ModelConfig::Transformer(&transformer)]
    {
        let (n, total) = (model.n_vocab(), model.parameters().iter().map(|p| p.len()).sum());
        let (params, law, tokens) = draw(11, total, n, 60, false);
        for (level, next_token) in Detected::all().into_iter().flat_map(|level| [(level, true), (level, false)]) {
            let problem = Problem {
                loss: loss_of(next_token),
                epochs: &[Epoch { shuffle: None, lr: 1e-3 }],
                ..simple(model, &law, &tokens, 60)
            };
            // Of the unembedding, and of the first context or token in the data.
            let first = match model {
                ModelConfig::LowRank(_) => (tokens[0] as usize + n * tokens[1] as usize) * 5,
                ModelConfig::Transformer(_) => tokens[0] as usize * 5,
            };
            for at in [total - 1, first] {
                let mut broken = params.clone();
                broken[at] = f32::NAN;
                let outcome = Trainer::with(&problem, broken, None, level, 1).unwrap().step().unwrap();
                assert!(outcome.loss.is_nan(), "{level:?} {model:?} {at}: {}", outcome.loss);
            }
        }
    }
}
