//! Sizes, parameters, models, their forward pass and their files.

use ntgram_core::models::{LowRankConfig, MAX_VALUES, ModelConfig, ParamSpec, n_values};
use ntgram_core::prelude::*;

use super::calls::Calls;
use super::inputs::{HUGE, law, low_rank, of_paper, tensors, texts, transformer, unwritable};

crate::groups! {
    "TransformerConfig::check, TransformerConfig::has_mlp, TransformerConfig::parameters, TransformerConfig::weights, TransformerConfig::of_paper, TransformerConfig::d_module, TransformerConfig::compresses, TransformerWeights::map" => transformer_sizes,
    "LowRankConfig::check, LowRankConfig::n_contexts, LowRankConfig::parameters, LowRankConfig::weights, LowRankWeights::map" => low_rank_sizes,
    "ModelConfig::check, ModelConfig::check_sizes, ModelConfig::context_window, ModelConfig::initial_values, ModelConfig::n_vocab, ModelConfig::parameters" => sizes_of_either,
    "ParamSpec::len, ParamSpec::is_empty, ParamSpec::init_bound, ParamSpec::is_frozen, n_values, Skips::all_meaningful" => specs,
    "Transformer::new, Transformer::config, Transformer::weights, Transformer::w_e, Transformer::w_pos, Transformer::w_u, Transformer::w_qkv, Transformer::w_o, Transformer::w_c, Transformer::w_d" => transformers,
    "LowRank::new, LowRank::from_config, LowRank::config, LowRank::weights, LowRank::w_e, LowRank::w_u, LowRank::contexts_in_law_order, LowRank::divergence" => low_ranks,
    "Transformer::forward, Transformer::forward_with_activations, LowRank::forward, LowRank::context_rows" => forward,
    "Activations::layer, Activations as NamedTensors, LayerActivations::module_out" => activations,
    "Parameters::set, Parameters::set_flat" => setting,
    "Parameters::specs, Parameters::tensors, Parameters::iter, Parameters::to_flat, Parameters::device, Parameters as NamedTensors, NamedTensors::get, NamedTensors::names" => reading,
    "Model::law, Model::params, Model::params_mut, Model::freeze, Model::frozen, Model::sizes, Model::to_device, Transformer as Model, LowRank as Model" => either_model,
    "Transformer::save, Transformer::load, LowRank::save, LowRank::load" => files,
    "divergence" => divergences,
}

/// Sizes that no Transformer has, with the arguments to blame.
fn bad_transformers() -> Vec<(TransformerConfig, &'static str)> {
    let usual = TransformerConfig { n_vocab: 5, ..Default::default() };
    let mut bad = vec![
        (TransformerConfig { n_heads: 3, ..usual.clone() }, "n_heads"),
        (TransformerConfig { d_model: 1_000_000, ..usual.clone() }, "config"),
        (TransformerConfig { d_inner: Some(4), n_heads: 5, ..usual.clone() }, "n_heads"),
        (TransformerConfig { d_inner: Some(1_000_000), ..usual.clone() }, "config"),
        // few values each, but more of them than a list can name
        (TransformerConfig { d_model: 1, n_layers: 1 << 27, ..usual.clone() }, "config"),
        (TransformerConfig { d_model: 1, n_modules: 1 << 27, ..usual.clone() }, "config"),
        (TransformerConfig { d_model: 1, width: 1, depth: 1 << 28, ..usual.clone() }, "config"),
        (
            TransformerConfig { skips: Skips { pos_qk: true, emb_qk: true, ..Default::default() }, ..usual.clone() },
            "skips",
        ),
        (
            TransformerConfig { skips: Skips { pos_ov: true, emb_ov: true, ..Default::default() }, ..usual.clone() },
            "skips",
        ),
    ];
    for size in HUGE.into_iter().chain([0]) {
        let blamed = |name| if size == 0 { name } else { "config" };
        bad.push((TransformerConfig { d_model: size, ..usual.clone() }, blamed("d_model")));
        bad.push((TransformerConfig { n_vocab: size, ..usual.clone() }, blamed("n_vocab")));
        bad.push((TransformerConfig { n_layers: size, ..usual.clone() }, blamed("n_layers")));
        bad.push((TransformerConfig { n_modules: size, ..usual.clone() }, blamed("n_modules")));
        bad.push((TransformerConfig { n_heads: size, ..usual.clone() }, "n_heads"));
        bad.push((TransformerConfig { d_inner: Some(size), ..usual.clone() }, blamed("d_inner")));
        bad.push((TransformerConfig::of_paper(5, 5, size), blamed("d_inner")));
        bad.push((TransformerConfig::of_paper(5, size, 5), blamed("d_model")));
        bad.push((TransformerConfig::of_paper(size, 5, 5), blamed("n_vocab")));
        bad.push((TransformerConfig { context_window: size, ..usual.clone() }, blamed("context_window")));
        if size > 0 {
            bad.push((TransformerConfig { width: size, depth: size, ..usual.clone() }, "config"));
            bad.push((TransformerConfig { width: 1, depth: size, ..usual.clone() }, "config"));
            bad.push((TransformerConfig { width: size, depth: 1, ..usual.clone() }, "config"));
        }
    }
    bad
}

/// Sizes that no low-rank model has.
fn bad_low_ranks() -> Vec<(LowRankConfig, &'static str)> {
    let usual = LowRankConfig { d_model: 2, n_vocab: 5, context_window: 3, order: 3, ..Default::default() };
    let mut bad = vec![(LowRankConfig { context_window: 2, ..usual.clone() }, "context_window")];
    for size in HUGE.into_iter().chain([0]) {
        let blamed = |name| if size == 0 { name } else { "config" };
        bad.push((LowRankConfig { d_model: size, ..usual.clone() }, blamed("d_model")));
        bad.push((LowRankConfig { n_vocab: size, ..usual.clone() }, blamed("n_vocab")));
        bad.push((LowRankConfig { order: size, context_window: size, ..usual.clone() }, blamed("order")));
    }
    bad
}

fn transformer_sizes(calls: &mut Calls) {
    for (config, blamed) in bad_transformers() {
        calls.refused(format!("check of {config:?}"), blamed, || config.check());
        calls.right(format!("{config:?}"), || {
            config.has_mlp();
            let d_h = config.d_inner.unwrap_or(config.d_model);
            assert!(config.d_module() == d_h && config.compresses() == (d_h != config.d_model));
            Ok(config.parameters().is_empty()) // as it says of sizes that `check` refuses
        });
        calls.panics(format!("weights of {config:?}"), "sizes", || config.weights());
    }
    calls.right("the paper's", || {
        let config = TransformerConfig::of_paper(5, 4, 6);
        Ok(config.compresses() && config.d_module() == 6 && !TransformerConfig::of_paper(5, 4, 4).compresses())
    });
    let width_alone = TransformerConfig { width: usize::MAX, depth: 0, ..Default::default() };
    calls.right("no MLP", || {
        Ok(!width_alone.has_mlp() && width_alone.check().is_ok() && width_alone.parameters().len() == 5)
    });
    calls.right("places of all", || {
        let config = transformer().config().clone();
        let mut places = 0;
        config.weights().map(|_| places += 1);
        // two embeddings and the unembedding; five of each module; two weights and a bias of each MLP
        Ok(places == 3 + 2 * (2 * 5 + 3) && config.parameters().len() == 3 + 2 * (2 * 2 + 3))
    });
    calls.right("many small layers", || {
        Ok(TransformerConfig { d_model: 1, n_layers: 10_000, ..Default::default() }.weights().layers.len() == 10_000)
    });
}

fn low_rank_sizes(calls: &mut Calls) {
    for (config, blamed) in bad_low_ranks() {
        calls.refused(format!("check of {config:?}"), blamed, || config.check());
        calls.right(format!("{config:?}"), || {
            let exact = u32::try_from(config.order.saturating_sub(1)).ok().and_then(|e| config.n_vocab.checked_pow(e));
            Ok(config.n_contexts() == exact.unwrap_or(usize::MAX) && config.parameters().is_empty())
        });
        calls.panics(format!("weights of {config:?}"), "sizes", || config.weights());
    }
    calls.right("one token, any order", || {
        let config = LowRankConfig {
            d_model: 1,
            n_vocab: 1,
            context_window: usize::MAX,
            order: usize::MAX,
            ..Default::default()
        };
        config.check()?;
        let mut places = 0;
        config.weights().map(|_| places += 1);
        Ok(config.n_contexts() == 1 && places == 2)
    });
}

fn sizes_of_either(calls: &mut Calls) {
    let pi = law(5, 3);
    let transformers = bad_transformers();
    let low_ranks = bad_low_ranks();
    let bad = transformers.iter().map(|(config, blamed)| (ModelConfig::Transformer(config), *blamed));
    for (config, blamed) in bad.chain(low_ranks.iter().map(|(config, blamed)| (ModelConfig::LowRank(config), *blamed)))
    {
        calls.refused(format!("check of {config:?}"), blamed, || config.check(&pi));
        calls.refused(format!("check_sizes of {config:?}"), blamed, || config.check_sizes());
        calls.refused(format!("initial_values of {config:?}"), blamed, || config.initial_values(&mut TorchRng::new(1)));
        calls.right(format!("{config:?}"), || {
            let (same_n, same_t) = match config {
                ModelConfig::Transformer(config) => (config.n_vocab, config.context_window),
                ModelConfig::LowRank(config) => (config.n_vocab, config.context_window),
            };
            Ok(config.n_vocab() == same_n && config.context_window() == same_t && config.parameters().is_empty())
        });
    }
    let small = TransformerConfig { n_vocab: 4, ..Default::default() };
    calls.refused("another vocabulary", "n_vocab", || ModelConfig::Transformer(&small).check(&pi));
    let short = TransformerConfig { n_vocab: 5, context_window: 2, ..Default::default() };
    calls.refused("a short window", "context_window", || ModelConfig::Transformer(&short).check(&pi));
    let other = LowRankConfig { d_model: 2, n_vocab: 5, context_window: 3, order: 2, ..Default::default() };
    calls.refused("another order", "order", || ModelConfig::LowRank(&other).check(&pi));
}

fn specs(calls: &mut Calls) {
    let list = transformer().config().parameters();
    for shape in [vec![usize::MAX, 2], vec![usize::MAX; 3], vec![0, usize::MAX], vec![], vec![0], vec![3, 0]] {
        let mut spec = list[2].clone();
        spec.shape = shape.clone();
        calls.right(format!("{shape:?}"), || {
            let exact = shape.iter().try_fold(1usize, |len, &side| len.checked_mul(side));
            let zero = shape.contains(&0);
            let wanted = if zero { 0 } else { exact.unwrap_or(usize::MAX) };
            let twice: &[ParamSpec] = &[spec.clone(), spec.clone()];
            let bound = spec.init_bound();
            Ok(spec.len() == wanted
                && spec.is_empty() == zero
                && n_values(twice) == wanted.saturating_mul(2)
                && !bound.is_nan())
        });
    }
    calls.right("frozen", || {
        let all = Freeze { e: true, pos: true, qkv: true, o: true, u: true };
        Ok(list.iter().filter(|spec| !spec.is_frozen(&all)).count() == 6 && n_values(&[]) == 0)
    });
    calls.right("mixes of skips", || Ok(Skips::all_meaningful().len() == 18));
}

fn transformers(calls: &mut Calls) {
    let pi = law(5, 3);
    for (config, blamed) in bad_transformers() {
        calls.refused(format!("{config:?}"), blamed, || Transformer::new(&config, &pi, &mut TorchRng::new(1)));
    }
    let window = MAX_VALUES / 5;
    calls.refused("one position too many", "config", || {
        Transformer::new(
            &TransformerConfig { n_vocab: 5, context_window: window, ..Default::default() },
            &pi,
            &mut TorchRng::new(1),
        )
    });
    let model = transformer();
    for at in HUGE.into_iter().chain([2]) {
        calls.refused(format!("w_qkv({at}, 0)"), "layer", || model.w_qkv(at, 0));
        calls.refused(format!("w_qkv(0, {at})"), "module", || model.w_qkv(0, at));
        calls.refused(format!("w_o({at}, 0)"), "layer", || model.w_o(at, 0));
        calls.refused(format!("w_o(0, {at})"), "module", || model.w_o(0, at));
    }
    for config in [TransformerConfig::of_paper(5, 1, 1), TransformerConfig::of_paper(5, 1, 1 << 11)] {
        calls.right(format!("{config:?}"), || {
            let model = Transformer::new(&config, &pi, &mut TorchRng::new(1))?;
            let d_h = config.d_module() as i64;
            let logits = model.forward(&Tensor::from_slice(&[4i64, 0, 4]).view([1, 3]))?;
            Ok(model.w_c().map(|w| w.size()) == Some(vec![d_h, 1])
                && model.w_d().map(|w| w.size()) == Some(vec![1, d_h])
                && model.w_pos().size() == [3, d_h]
                && values(&logits)?.iter().all(|x| x.is_finite()))
        });
    }
    calls.right("no compression", || Ok(model.w_c().is_none() && model.w_d().is_none()));
    calls.right("changed copies change no compression", || {
        let model = of_paper();
        let before = model.params().to_flat();
        for mut copy in [model.w_c(), model.w_d()].into_iter().flatten() {
            copy *= f64::NAN;
        }
        Ok(model.params().to_flat() == before)
    });
    calls.right("changed copies change no model", || {
        let before = model.params().to_flat();
        let weights = model.weights();
        for mut copy in [
            model.w_e(),
            model.w_pos(),
            model.w_u(),
            model.w_o(1, 1)?,
            model.w_qkv(1, 1)?[2].shallow_clone(),
            weights.w_u.shallow_clone(),
        ] {
            copy *= f64::NAN;
        }
        Ok(model.params().to_flat() == before && model.config().n_layers == 2)
    });
}

fn low_ranks(calls: &mut Calls) {
    let pi = law(5, 3);
    let new = |d, n, t, law: &Law| LowRank::new(d, n, t, law, &mut TorchRng::new(1));
    for size in HUGE.into_iter().chain([0]) {
        calls.refused(format!("d = {size}"), "d_model|config", || new(size, 5, 3, &pi));
        calls.refused(format!("N = {size}"), "n_vocab|config", || new(2, size, 3, &pi));
    }
    calls.refused("a short window", "context_window", || new(2, 5, 2, &pi));
    for (config, blamed) in bad_low_ranks() {
        calls.refused(format!("{config:?}"), blamed, || LowRank::from_config(&config, &pi, &mut TorchRng::new(1)));
    }
    for order in [1, 2, 4] {
        let config = LowRankConfig { d_model: 2, n_vocab: 5, context_window: 9, order, center_logits: false };
        calls.refused(format!("order {order}"), "order", || LowRank::from_config(&config, &pi, &mut TorchRng::new(1)));
    }
    calls.right("any long window", || Ok(new(2, 5, usize::MAX, &pi)?.config().context_window == usize::MAX));
    for order in [1, 2, 100] {
        let one = Law::new(1, vec![vec![1.0]; order]).unwrap();
        calls.right(format!("one token, order {order}"), || {
            let model = new(3, 1, order, &one)?;
            Ok(model.divergence()?.abs() < 1e-9
                && model.contexts_in_law_order().size() == [1]
                && model.w_e().size() == [1, 3])
        });
    }
    calls.right("changed copies change no model", || {
        let model = low_rank();
        let before = model.params().to_flat();
        for mut copy in [model.w_e(), model.w_u(), model.weights().w_e] {
            copy *= f64::NAN;
        }
        Ok(model.params().to_flat() == before && model.divergence()?.is_finite())
    });
}

fn forward(calls: &mut Calls) {
    let (model, low) = (transformer(), low_rank());
    let long = Law::new(2, vec![vec![0.5; 2]]).unwrap();
    for (window, n_modules, n_heads) in
        [(100_000, 1, 1), (10_000_000, 1, 1), (40_000, 4, 1), (10_000, 1, 64), (3, 1, 64)]
    {
        calls.either(format!("a window of {window}, {n_modules} modules, {n_heads} heads"), "tokens", || {
            let config = TransformerConfig {
                d_model: n_heads,
                n_vocab: 2,
                context_window: window,
                n_modules,
                n_heads,
                ..Default::default()
            };
            let model = Transformer::new(&config, &long, &mut TorchRng::new(1))?;
            let tokens = Tensor::zeros([1, window as i64], (Kind::Int64, Device::Cpu));
            Ok(values(&model.forward(&tokens)?)?.iter().all(|x| x.is_finite()))
        });
    }
    calls.either("LowRank: more logits than memory holds", "tokens", || {
        let wide = Law::new(1 << 16, vec![vec![1.0 / 65536.0; 1 << 16]])?;
        let model = LowRank::new(1, 1 << 16, 1 << 20, &wide, &mut TorchRng::new(1))?;
        Ok(model.forward(&Tensor::zeros([1, 1 << 20], (Kind::Int64, Device::Cpu)))?.numel() == 1 << 36)
    });
    let good = |tokens: &Tensor| {
        let list = values(tokens).unwrap();
        tokens.size().len() == 2
            && tokens.size()[1] <= 3
            && list.iter().all(|&t| (0.0..5.0).contains(&t) && t.fract() == 0.0)
    };
    let finite = |logits: Tensor, tokens: &Tensor| {
        let wanted = [tokens.size(), vec![5]].concat();
        good(tokens) && logits.size() == wanted && values(&logits).unwrap().iter().all(|x| x.is_finite())
    };
    let mut odd = tensors();
    let tokens = |list: &[i64], rows: i64| Tensor::from_slice(list).view([rows, -1]);
    odd.extend([
        ("tokens".to_owned(), tokens(&[0, 1, 4, 3], 2)),
        ("one token".to_owned(), tokens(&[4], 1)),
        ("as int8".to_owned(), tokens(&[4, 0, 1], 1).to_kind(Kind::Int8)),
        ("transposed tokens".to_owned(), tokens(&[0, 1, 2, 3, 4, 0], 2).transpose(0, 1)),
        ("expanded tokens".to_owned(), tokens(&[3], 1).expand([7, 3], false)),
        ("a negative token".to_owned(), tokens(&[0, -1], 1)),
        ("too large a token".to_owned(), tokens(&[0, 5], 1)),
        ("the largest token".to_owned(), tokens(&[i64::MAX], 1)),
        ("the least token".to_owned(), tokens(&[i64::MIN], 1)),
        ("too many positions".to_owned(), tokens(&[0, 1, 2, 3], 1)),
    ]);
    for (name, tokens) in &odd {
        calls.either(format!("Transformer: {name}"), "tokens", || Ok(finite(model.forward(tokens)?, tokens)));
        calls.either(format!("activations: {name}"), "tokens", || {
            Ok(finite(model.forward_with_activations(tokens)?.logits, tokens))
        });
        calls.either(format!("LowRank: {name}"), "tokens", || Ok(finite(low.forward(tokens)?, tokens)));
        calls.either(format!("context_rows: {name}"), "tokens", || {
            let rows = values(&low.context_rows(tokens)?)?;
            Ok(good(tokens)
                && rows.len() as i64 == tokens.size()[0]
                && rows.iter().all(|&row| (0.0..25.0).contains(&row)))
        });
    }
    let module: &dyn tch::nn::Module = &model;
    calls.panics("nn::Module with a token too large", "index out of range", || module.forward(&tokens(&[7], 1)));
}

fn activations(calls: &mut Calls) {
    let activations = transformer().forward_with_activations(&Tensor::from_slice(&[0i64, 1, 2]).view([1, 3])).unwrap();
    for at in HUGE.into_iter().chain([2]) {
        calls.refused(format!("layer({at})"), "layer", || activations.layer(at).map(drop));
        calls.refused(format!("module_out({at})"), "module", || activations.layer(0)?.module_out(at));
        calls.refused(format!("para_{at}_layer_0"), "name", || activations.get(&format!("para_{at}_layer_0")));
        calls.refused(format!("mlp_{at}"), "name", || activations.get(&format!("mlp_{at}")));
    }
    for name in
        texts().into_iter().chain(["para_0_layer_".into(), "para__layer_0".into(), "mlp_-1".into(), "res_1".into()])
    {
        let what: String = name.chars().take(20).collect();
        calls.refused(format!("get({what:?})"), "name", || activations.get(&name));
    }
    calls.right("all names", || Ok(activations.names().iter().all(|name| activations.get(name).is_ok())));
}

fn setting(calls: &mut Calls) {
    for (name, tensor) in tensors() {
        calls.either(format!("set: {name}"), "values", || {
            let mut model = LowRank::new(2, 4, 2, &law(4, 2), &mut TorchRng::new(1))?;
            model.params_mut().set("unemb.weight", &tensor)?;
            let (now, wanted) = (values(&model.w_u())?, values(&tensor)?);
            let rounded: Vec<f64> = wanted.iter().map(|&x| f64::from(x as f32)).collect();
            Ok(now == rounded && !name.starts_with("Complex") && now.iter().all(|x| x.is_finite()))
        });
    }
    for name in texts() {
        let what: String = name.chars().take(20).collect();
        calls.refused(format!("set {what:?}"), "name", || {
            low_rank().params_mut().set(&name, &Tensor::zeros([5, 2], (Kind::Float, Device::Cpu)))
        });
    }
    let flat = low_rank().params().to_flat();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        calls.refused(format!("set_flat with {bad}"), "flat", || {
            let mut model = low_rank();
            let mut flat = flat.clone();
            flat[7] = bad;
            model.params_mut().set_flat(&flat)
        });
    }
    for len in [0, 1, flat.len() - 1, flat.len() + 1] {
        calls.refused(format!("set_flat of {len}"), "flat", || low_rank().params_mut().set_flat(&vec![0.0; len]));
    }
    for size in [1e20, f32::MAX] {
        calls.refused(format!("divergence with weights of {size:e}"), "model", || {
            let mut model = low_rank();
            model.params_mut().set_flat(&vec![size; flat.len()])?;
            model.divergence()
        });
    }
    calls.right("set_flat of the largest numbers", || {
        let mut model = low_rank();
        model.params_mut().set_flat(&vec![f32::MAX; flat.len()])?;
        Ok(model.params().to_flat() == vec![f32::MAX; flat.len()])
    });
}

fn reading(calls: &mut Calls) {
    let model = transformer();
    let params = model.params();
    for name in texts() {
        let what: String = name.chars().take(20).collect();
        calls.refused(format!("get({what:?})"), "name", || params.get(&name));
    }
    calls.right("all of them", || {
        let names = params.names();
        let same = params.iter().all(|(name, tensor)| params.get(name).unwrap() == *tensor);
        let count = params.specs().len();
        Ok(names.len() == count
            && params.tensors().len() == count
            && same
            && params.to_flat().len() == n_values(params.specs())
            && params.device() == Device::Cpu)
    });
}

fn either_model(calls: &mut Calls) {
    for device in [Device::Cuda(0), Device::Cuda(usize::MAX), Device::Cuda(1000), Device::Mps, Device::Vulkan] {
        let models: [Box<dyn Model>; 2] = [Box::new(transformer()), Box::new(low_rank())];
        for mut model in models {
            calls.either(format!("{:?} to {device:?}", model.sizes()), "device", || {
                let moved = model.to_device(device);
                assert_eq!(model.params().device(), if moved.is_ok() { device } else { Device::Cpu });
                moved.map(|()| true)
            });
        }
    }
    calls.right("to where it is", || {
        let mut model = low_rank();
        model.to_device(Device::Cpu)?;
        let all = Freeze { e: true, pos: true, qkv: true, o: true, u: true };
        model.freeze(all);
        model.params_mut().set("unemb.weight", &Tensor::zeros([5, 2], (Kind::Float, Device::Cpu)))?;
        Ok(model.frozen() == all && model.law().order() == 3 && model.sizes().n_vocab() == 5)
    });
}

fn files(calls: &mut Calls) {
    for path in unwritable() {
        calls.refused(format!("Transformer to {path:?}"), "path", || transformer().save(&path));
        calls.refused(format!("LowRank to {path:?}"), "path", || low_rank().save(&path));
    }
    for path in unwritable().into_iter().filter(|path| path != "/dev/full").chain(["not there".into()]) {
        calls.refused(format!("Transformer of {path:?}"), "path", || Transformer::load(&path));
        calls.refused(format!("LowRank of {path:?}"), "path", || LowRank::load(&path));
    }
    for path in ["🦀 数据/é \"'.st", " ", "a/b/../c/m"] {
        calls.right(format!("{path:?}"), || {
            transformer().save(path)?;
            let same = Transformer::load(path)?.params().to_flat() == transformer().params().to_flat();
            low_rank().save(path)?;
            Ok(same && LowRank::load(path)?.divergence()? == low_rank().divergence()?)
        });
    }
    calls.refused("a model of the other kind", "path", || {
        low_rank().save("low")?;
        Transformer::load("low")
    });
    for (name, bytes) in
        [("empty", vec![]), ("zeros", vec![0; 100]), ("ones", vec![0xff; 100]), ("text", b"{\"model\":1}".to_vec())]
    {
        calls.refused(name, "path", || {
            std::fs::write(name, bytes).unwrap();
            LowRank::load(name)
        });
    }
    calls.refused("what never ends", "path", || LowRank::load("/dev/zero"));
    calls.refused("a pipe", "path", || {
        std::process::Command::new("mkfifo").arg("pipe").status().unwrap();
        LowRank::load("pipe")
    });
    calls.refused("a large file that is no model", "path", || {
        std::fs::File::create("sparse").unwrap().set_len(1 << 40).unwrap();
        LowRank::load("sparse")
    });
}

fn divergences(calls: &mut Calls) {
    let pi = law(2, 3); // (4, 2), as the ordinary tensors are
    for (name, f) in tensors() {
        calls.either(&name, "f", || {
            let got = divergence(&f, &pi)?;
            let list = values(&f)?;
            let kl = |row: usize| {
                let (f, p) = (&list[2 * row..2 * row + 2], &pi.last_table()[2 * row..2 * row + 2]);
                let most = f[0].max(f[1]);
                let sum = (f[0] - most).exp() + (f[1] - most).exp();
                (0..2).map(|k| f64::from(p[k]) * (f64::from(p[k]).ln() - (f[k] - most) + sum.ln())).sum::<f64>()
            };
            let wanted = (0..4).map(kl).sum::<f64>() / 4.0;
            Ok((got - wanted).abs() <= 1e-6 * wanted.abs().max(1.0) && !name.starts_with("Complex"))
        });
    }
    let sparse = Law::new(2, vec![vec![1.0, 0.0]]).unwrap();
    calls.right("minus infinity outside the support", || {
        let f = Tensor::from_slice(&[0.0, f64::NEG_INFINITY]).view([1, 2]);
        Ok(divergence(&f, &sparse)? == 0.0)
    });
    calls.either("minus infinity inside it", "f", || {
        let f = Tensor::from_slice(&[f64::NEG_INFINITY, 0.0]).view([1, 2]);
        Ok(divergence(&f, &sparse)? == f64::INFINITY)
    });
    for bad in [f64::NAN, f64::INFINITY] {
        calls.refused(format!("{bad}"), "f", || divergence(&Tensor::from_slice(&[0.0, bad]).view([1, 2]), &sparse));
    }
}
