//! What must hold for every model, without reference numbers: causality, freezing, files, refusals.

use ntgram_core::prelude::*;
use ntgram_core::tch::nn::Module;
use proptest::prelude::*;

fn law(n_vocab: usize, seed: u64) -> Law {
    power_unif_law(&[1.0, 0.9, 0.7], &[n_vocab, n_vocab, n_vocab], n_vocab, &mut TorchRng::new(seed)).unwrap()
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

/// What the notebook's model does, and what else there is: another norm, modules of another size, both.
const KINDS: [(Norm, Option<usize>); 5] =
    [(Norm::Layer, None), (Norm::None, None), (Norm::Layer, Some(4)), (Norm::None, Some(10)), (Norm::None, Some(6))];

/// The notebook's. Pairwise different sizes, so that a mixed-up axis shows.
fn transformer(skips: Skips, seed: u64) -> Transformer {
    transformer_of(KINDS[0], skips, seed)
}

fn transformer_of((norm, d_inner): (Norm, Option<usize>), skips: Skips, seed: u64) -> Transformer {
    let config = TransformerConfig {
        d_model: 6,
        n_vocab: 7,
        n_layers: 2,
        width: 11,
        depth: 2,
        n_modules: 3,
        n_heads: 2,
        context_window: 5,
        skips,
        norm,
        d_inner,
        ..Default::default()
    };
    Transformer::new(&config, &law(7, seed), &mut TorchRng::new(seed)).unwrap()
}

fn tokens(rows: &[[i64; 5]]) -> Tensor {
    Tensor::from_slice(&rows.concat()).view([-1, 5])
}

/// Logits are defined up to one scalar, the mean over the batch, which later tokens do change: compare differences of logits.
fn centred(logits: &Tensor) -> Tensor {
    logits - logits.mean_dim(-1, true, None)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_later_token_changes_no_earlier_output(
        seed in 0u64..1000, row in prop::array::uniform5(0i64..7), position in 1usize..5, token in 0i64..7, which in 0usize..18,
        kind in 0usize..5,
    ) {
        let all = Skips::all_meaningful();
        let model = transformer_of(KINDS[kind], all[which % all.len()], seed);
        let mut changed = row;
        changed[position] = token;
        let a = centred(&model.forward(&tokens(&[row])).unwrap()).narrow(1, 0, position as i64);
        let b = centred(&model.forward(&tokens(&[changed])).unwrap()).narrow(1, 0, position as i64);
        prop_assert!(largest_difference(&a, &b) < 1e-5);
    }

    #[test]
    fn layer_norm_does_not_see_shift_or_scale(
        row in prop::array::uniform8(-10f32..10.0), shift in -5f32..5.0, scale in 0.1f32..10.0,
    ) {
        let x = Tensor::from_slice(&row).view([1, 8]);
        prop_assume!(x.std(false).double_value(&[]) > 0.1);
        let y = layer_norm(&x).unwrap();
        let moved = layer_norm(&(&x * f64::from(scale) + f64::from(shift))).unwrap();
        prop_assert!(largest_difference(&y, &moved) < 1e-3);
        prop_assert!((y.square().mean(None).double_value(&[]) - 1.0).abs() < 1e-4);
    }

    #[test]
    fn training_leaves_frozen_tensors_bit_identical(seed in 0u64..100, bits in 0u8..32, kind in 0usize..5) {
        let bit = |k: u8| bits >> k & 1 == 1;
        let freeze =
            Freeze { e: bit(0), pos: bit(1), qkv: bit(2), o: bit(3), u: bit(4) };
        let mut model = transformer_of(KINDS[kind], Skips::default(), seed);
        let unused = model.config().d_inner.is_some() && !model.config().compresses();
        let before = model.params().clone();
        model.freeze(freeze);
        let mut rng = TorchRng::new(seed);
        let data = generate_data(16, 3, &law(7, seed), 5, &mut rng).unwrap();
        train(&mut model, &data, &TrainOptions { progress: false, ..Default::default() }).unwrap();
        for ((name, old), (spec, new)) in before.iter().zip(model.params().specs().iter().zip(model.params().tensors())) {
            let same = old.eq_tensor(new).all().int64_value(&[]) == 1;
            let unused = unused && name.starts_with("linear_");
            prop_assert_eq!(same, spec.is_frozen(&freeze) || unused, "{}", name);
        }
    }

    #[test]
    fn a_saved_model_comes_back_whole(seed in 0u64..1000) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let model = transformer(Skips { pos_qk: true, ..Default::default() }, seed);
        model.save(&path).unwrap();
        let loaded = Transformer::load(&path).unwrap();
        prop_assert_eq!(model.config(), loaded.config());
        prop_assert_eq!(model.law(), loaded.law());
        for ((name, a), (_, b)) in model.params().iter().zip(loaded.params().iter()) {
            prop_assert!(a.eq_tensor(b).all().int64_value(&[]) == 1, "{}", name);
        }
        prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn activations_have_their_documented_shapes_and_names() {
    let model = transformer(Skips::default(), 1);
    let activations = model.forward_with_activations(&tokens(&[[0, 1, 2, 3, 4], [6, 5, 4, 3, 2]])).unwrap();
    assert_eq!(activations.get("res_0").unwrap().size(), [2, 5, 6]);
    assert_eq!(activations.get("pos").unwrap().size(), [5, 6]);
    assert_eq!(activations.get("para_2_layer_1").unwrap().size(), [2, 5, 6]);
    assert_eq!(activations.get("res_after_attn_layer_0").unwrap().size(), [2, 5, 6]);
    assert_eq!(activations.get("mlp_1").unwrap().size(), [2, 5, 6]);
    assert_eq!(activations.get("logits").unwrap().size(), [2, 5, 7]);
    assert_eq!(activations.layers[0].attention_pattern.size(), [3, 2, 2, 5, 5]);
    for key in activations.names() {
        assert!(activations.get(&key).is_ok(), "{key}");
    }
    for wrong in ["res_1", "para_3_layer_0", "para_0_layer_2", "mlp_", "x"] {
        assert!(activations.get(wrong).unwrap_err().to_string().contains("res_after_mlp_layer_1"), "{wrong}");
    }
    let sum = activations.layers[0].attn_out.sum_dim_intlist(0, false, None) + &activations.res_0;
    assert!(largest_difference(&sum, &activations.layers[0].res_after_attn) < 1e-5);
}

#[test]
fn module_trait_and_forward_agree_and_logits_have_mean_zero() {
    let model = transformer(Skips::default(), 2);
    let input = tokens(&[[0, 1, 2, 3, 4]]);
    let logits = Transformer::forward(&model, &input).unwrap();
    assert_eq!(largest_difference(&logits, &Module::forward(&model, &input)), 0.0);
    assert!(logits.mean(None).double_value(&[]).abs() < 1e-6);
}

#[test]
fn low_rank_contexts_have_the_older_token_fastest() {
    let pi = law(4, 3);
    let model = LowRank::new(3, 4, 3, &pi, &mut TorchRng::new(3)).unwrap();
    let rows = model.context_rows(&Tensor::from_slice(&[1i64, 2, 0, 3, 0, 0]).view([2, 3])).unwrap();
    assert_eq!(Vec::<i64>::try_from(rows).unwrap(), [1 + 4 * 2, 3]);
    // row x_0·N + x_1 of the law belongs to row x_0 + N·x_1 of the model
    let order = Vec::<i64>::try_from(model.contexts_in_law_order()).unwrap();
    assert_eq!(order[4 + 2], 1 + 4 * 2);
    let logits = model.forward(&Tensor::from_slice(&[1i64, 2]).view([1, 2])).unwrap();
    let row = model.w_e().get(9).unsqueeze(0).matmul(&model.w_u().transpose(0, 1));
    assert!(largest_difference(&centred(&row), &centred(&logits.select(1, 1))) < 1e-6);
}

#[test]
fn closed_form_divergence_is_the_expected_loss() {
    let pi = law(5, 4);
    let model = LowRank::new(2, 5, 3, &pi, &mut TorchRng::new(4)).unwrap();
    let pairs: Vec<i64> = (0..25).flat_map(|k| [k / 5, k % 5]).collect();
    let log_q =
        model.forward(&Tensor::from_slice(&pairs).view([25, 2])).unwrap().select(1, 1).log_softmax(-1, Kind::Double);
    let pi_2 = Tensor::from_slice(pi.last_table()).view([25, 5]).to_kind(Kind::Double);
    let kl = (&pi_2 * (pi_2.log() - log_q)).sum_dim_intlist(-1, false, None).mean(None).double_value(&[]);
    assert!((model.divergence().unwrap() - kl).abs() < 1e-6, "{kl}");
}

#[test]
fn training_goes_on_where_it_stopped() {
    let pi = law(7, 5);
    let data = generate_data(32, 20, &pi, 5, &mut TorchRng::new(5)).unwrap();
    let half = Data::from_sequences(data.head(32 * 10), 32, &pi).unwrap();
    let options = TrainOptions { progress: false, engine: Some(Engine::Autograd), ..Default::default() };
    let mut model = transformer(Skips::default(), 5);
    let first = train(&mut model, &half, &options).unwrap();
    assert_eq!(first.adam.steps, 10);
    let second = train(&mut model, &half, &TrainOptions { adam: Some(first.adam.clone()), ..options.clone() }).unwrap();
    assert_eq!(second.adam.steps, 20);
    let mut other = transformer(Skips::default(), 5);
    train(&mut other, &half, &options).unwrap();
    let afresh = train(&mut other, &half, &options).unwrap();
    assert_eq!(second.loss[0], afresh.loss[0], "same weights at the start");
    assert_ne!(second.loss[2], afresh.loss[2], "another state of the optimiser");
}

#[test]
fn a_diverging_training_says_where_and_keeps_its_history() {
    let pi = law(7, 6);
    let data = generate_data(32, 200, &pi, 5, &mut TorchRng::new(6)).unwrap();
    let mut model = transformer(Skips::default(), 6);
    let options = TrainOptions { lr: 1e30, progress: false, ..Default::default() };
    match train(&mut model, &data, &options) {
        Err(Error::Diverged { step, parameter, loss, accuracy }) => {
            assert!(loss.len() == step + 1 && accuracy.len() == step + 1 && !loss[step].is_finite());
            assert!(model.params().get(&parameter).is_ok(), "{parameter}");
        }
        other => panic!("{other:?}"),
    }
    // What is left is not trained on, nor saved.
    let refused = train(&mut model, &data, &TrainOptions::default().quiet()).unwrap_err().to_string();
    assert!(refused.starts_with("`model` is one with NaN or infinite values in `"), "{refused}");
    let path = tempfile::tempdir().unwrap().path().join("model");
    assert!(model.save(&path).unwrap_err().to_string().starts_with("`model` is one with"));
    assert!(!path.exists());
}

/// Every refusal names the argument.
#[test]
fn bad_input_is_refused_by_name() {
    let pi = law(7, 7);
    let mut rng = TorchRng::new(7);
    let small = TransformerConfig { d_model: 6, n_vocab: 7, ..Default::default() };
    let model = Transformer::new(&small, &pi, &mut rng).unwrap();
    let data = generate_data(8, 2, &pi, 3, &mut rng).unwrap();
    let check = |argument: &str, result: Result<()>| match result {
        Err(Error::Argument { argument: named, .. }) => assert_eq!(named, argument),
        other => panic!("{argument}: {other:?}"),
    };
    let build = |config: TransformerConfig| Transformer::new(&config, &pi, &mut TorchRng::new(0)).map(drop);
    check("d_model", build(TransformerConfig { d_model: 0, ..small.clone() }));
    check("n_heads", build(TransformerConfig { n_heads: 4, ..small.clone() }));
    check("n_modules", build(TransformerConfig { n_modules: 0, ..small.clone() }));
    check("n_vocab", build(TransformerConfig { n_vocab: 8, ..small.clone() }));
    check("context_window", build(TransformerConfig { context_window: 2, ..small.clone() }));
    let no_ov = Skips { pos_ov: true, emb_ov: true, ..Default::default() };
    check("skips", build(TransformerConfig { skips: no_ov, ..small.clone() }));
    check("d_model", LowRank::new(0, 7, 3, &pi, &mut rng).map(drop));
    check("context_window", LowRank::new(2, 7, 2, &pi, &mut rng).map(drop));
    check("tokens", model.forward(&Tensor::from_slice(&[0i64, 7]).view([1, 2])).map(drop));
    check("tokens", model.forward(&Tensor::from_slice(&[0i64, -1]).view([1, 2])).map(drop));
    check("tokens", model.forward(&Tensor::from_slice(&[0.5f32, 1.0]).view([1, 2])).map(drop));
    check("tokens", model.forward(&Tensor::from_slice(&[0i64, 1])).map(drop));
    check("tokens", model.forward(&Tensor::from_slice(&[0i64; 4]).view([1, 4])).map(drop));
    let fit = |options: TrainOptions| {
        let mut model = Transformer::new(&small, &pi, &mut TorchRng::new(0)).unwrap();
        train(&mut model, &data, &TrainOptions { progress: false, ..options }).map(drop)
    };
    check("lr", fit(TrainOptions { lr: 0.0, ..Default::default() }));
    check("lr", fit(TrainOptions { lr: f64::NAN, ..Default::default() }));
    check("max_batches", fit(TrainOptions { max_batches: Some(0), ..Default::default() }));
    let wide = generate_data(8, 2, &law(8, 1), 3, &mut TorchRng::new(1)).unwrap();
    let mut narrow = Transformer::new(&small, &pi, &mut TorchRng::new(0)).unwrap();
    check("data", train(&mut narrow, &wide, &TrainOptions::default()).map(drop));
    let all = Freeze { e: true, pos: true, qkv: true, o: true, u: true };
    narrow.freeze(all);
    check("freeze", train(&mut narrow, &data, &TrainOptions::default()).map(drop));
    check("layer", attention_map(&model, 1, 0).map(drop));
    check("module", exact_attention_map(&model, 0, 1, 0).map(drop));
    check("head", qk_circuit(&model, 0, 0, 1).map(drop));
    let pair = Tensor::from_slice(&[0i64, 1, 2]).view([1, 3]);
    check("seq_target", back_track(&model, &pair, 3).map(drop));
}

#[test]
fn files_that_are_no_models_are_refused_with_their_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    assert!(Transformer::load(&path).unwrap_err().to_string().contains("model.safetensors"));
    std::fs::write(&path, b"not a model").unwrap();
    assert!(matches!(Transformer::load(&path), Err(Error::File { .. })));
    let pi = law(4, 8);
    LowRank::new(2, 4, 3, &pi, &mut TorchRng::new(8)).unwrap().save(&path).unwrap();
    let error = Transformer::load(&path).unwrap_err().to_string();
    assert!(error.contains("it holds LowRank, not Transformer"), "{error}");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();
    assert!(matches!(LowRank::load(&path), Err(Error::File { .. })));
}

#[test]
fn exact_attention_is_the_circuit_formula_in_the_first_layer() {
    let pi = law(7, 9);
    let config = TransformerConfig { d_model: 6, n_vocab: 7, n_heads: 2, n_modules: 2, ..Default::default() };
    let model = Transformer::new(&config, &pi, &mut TorchRng::new(9)).unwrap();
    let qk = qk_circuit(&model, 0, 1, 1).unwrap();
    let h = layer_norm(&model.w_e()).unwrap();
    let (u_0, u_1) = (&h + model.w_pos().get(0), &h + model.w_pos().get(1));
    let score = u_1.matmul(&qk).matmul(&u_0.transpose(0, 1));
    let own = (u_1.matmul(&qk) * &u_1).sum_dim_intlist(-1, true, None);
    let expected = (score - own).sigmoid();
    assert!(largest_difference(&exact_attention_map(&model, 0, 1, 1).unwrap(), &expected) < 1e-5);
}

#[test]
fn ov_circuit_gives_what_a_head_adds() {
    let pi = law(7, 10);
    let config = TransformerConfig { d_model: 6, n_vocab: 7, ..Default::default() };
    let model = Transformer::new(&config, &pi, &mut TorchRng::new(10)).unwrap();
    let single = Tensor::from_slice(&[3i64]).view([1, 1]); // one position attends to itself alone
    let out = model.forward_with_activations(&single).unwrap().layers[0].module_out(0).unwrap().view([6]);
    let input = layer_norm(&model.w_e()).unwrap().get(3) + model.w_pos().get(0);
    assert!(largest_difference(&ov_circuit(&model, 0, 0, 0).unwrap().matmul(&input), &out) < 1e-5);
}
