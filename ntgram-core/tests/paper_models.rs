//! The models of *Memorization in Attention-only Transformers* (Dana, Pydi, Chevaleyre, 2025): the same `Transformer` without layer norm, with
//! modules of their own size, with logits as they are. The forward pass is compared with a plain computation of its equation, one number
//! at a time in double precision; what looks inside a model must agree with the forward pass.

use ntgram_core::prelude::*;

/// Pairwise different primes (an MLP's width, layers, modules, batch and positions are too), so that a mixed-up axis shows.
const N: usize = 13;
const D: usize = 7;
const D_H: usize = 5;
const T: usize = 11;

fn law(seed: u64) -> Law {
    power_unif_law(&[1.0, 0.9, 0.7], &[N; 3], N, &mut TorchRng::new(seed)).unwrap()
}

fn model(config: &TransformerConfig) -> Transformer {
    Transformer::new(config, &law(1), &mut TorchRng::new(2)).unwrap()
}

fn config(norm: Norm, d_inner: Option<usize>) -> TransformerConfig {
    TransformerConfig {
        d_model: D,
        n_vocab: N,
        n_layers: 2,
        n_modules: 3,
        context_window: T,
        norm,
        d_inner,
        center_logits: false,
        ..Default::default()
    }
}

/// Every kind of model: with and without layer norm; no compression, one into fewer or more dimensions, one that is not used.
fn kinds() -> Vec<TransformerConfig> {
    let sizes = [None, Some(D_H), Some(2 * D_H), Some(D)];
    [Norm::Layer, Norm::None].into_iter().flat_map(|norm| sizes.map(|d_inner| config(norm, d_inner))).collect()
}

/// Two sequences of three tokens, the last token of the vocabulary among them.
fn tokens() -> Tensor {
    Tensor::from_slice(&[12i64, 0, 5, 3, 3, 7]).view([2, 3])
}

fn largest(x: &Tensor) -> f64 {
    x.abs().max().double_value(&[])
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    largest(&(a - b))
}

// ---- the equation, number by number ------------------------------------------------------------------------------------------------

type Vector = Vec<f64>;

/// A matrix by rows.
struct Matrix(Vec<Vector>);

impl Matrix {
    fn of(tensor: &Tensor) -> Self {
        let columns = *tensor.size().last().unwrap() as usize;
        Self(values(tensor).unwrap().chunks(columns).map(<[f64]>::to_vec).collect())
    }

    /// `W x`.
    fn times(&self, x: &[f64]) -> Vector {
        self.0.iter().map(|row| row.iter().zip(x).map(|(w, x)| w * x).sum()).collect()
    }
}

fn sum(a: &[f64], b: &[f64]) -> Vector {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// The error function by its series, for the exact GELU.
fn erf(x: f64) -> f64 {
    let (mut term, mut total) = (x, x);
    for n in 1..200 {
        term *= -x * x / f64::from(n);
        total += term / f64::from(2 * n + 1);
    }
    total * 2.0 / std::f64::consts::PI.sqrt()
}

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + erf(x / 2f64.sqrt()))
}

fn norm(x: &[f64], norm: Norm) -> Vector {
    if norm == Norm::None {
        return x.to_vec();
    }
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let deviation = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64).sqrt();
    x.iter().map(|x| (x - mean) / (deviation + 1e-10)).collect()
}

/// What one sequence's forward pass gives: logits `(S, N)`, and what each module of each layer adds, `[layer][module] (S, d)`.
fn plain(model: &Transformer, tokens: &[usize]) -> (Vec<Vector>, Vec<Vec<Vec<Vector>>>) {
    let (c, get) = (model.config(), |name: String| Matrix::of(&model.params().get(&name).unwrap()));
    let d_h = c.d_inner.unwrap_or(c.d_model);
    let through =
        (d_h != c.d_model).then(|| ["compress", "decompress"].map(|part| get(format!("linear_{part}.weight"))));
    let kept = |x: &[f64], skipped: bool| x.iter().map(|x| if skipped { 0.0 } else { *x }).collect::<Vector>();
    let (w_e, pos, w_u) = (get("word_emb.weight".into()), get("pos_emb.weight".into()), get("unemb.weight".into()));
    let mut res: Vec<Vector> = tokens.iter().map(|&token| w_e.0[token].clone()).collect();
    let mut added = vec![];
    for layer in 0..c.n_layers {
        let read = |x: &Vector| {
            let h = norm(x, c.norm);
            through.as_ref().map_or_else(|| h.clone(), |[w_c, _]| w_c.times(&h))
        };
        let read: Vec<Vector> = res.iter().map(read).collect();
        let input = |emb, at| -> Vec<Vector> {
            read.iter().zip(&pos.0).map(|(c, p)| sum(&kept(c, emb), &kept(p, at))).collect()
        };
        let (qk, ov) = (input(c.skips.emb_qk, c.skips.pos_qk), input(c.skips.emb_ov, c.skips.pos_ov));
        let mut modules = vec![];
        for module in 0..c.n_modules {
            let stacked = get(format!("attn_seq.{layer}.{module}.in_proj_weight")).0;
            let [w_q, w_k, w_v] = [0, 1, 2].map(|k| Matrix(stacked[k * d_h..(k + 1) * d_h].to_vec()));
            let w_o = get(format!("attn_seq.{layer}.{module}.out_proj.weight"));
            let e = d_h / c.n_heads;
            let out = (0..tokens.len()).map(|query| {
                let mut z = vec![];
                for head in 0..c.n_heads {
                    let own = |x: Vector| x[head * e..(head + 1) * e].to_vec();
                    let q = own(w_q.times(&qk[query]));
                    let score = |key: usize| {
                        q.iter().zip(own(w_k.times(&qk[key]))).map(|(q, k)| q * k).sum::<f64>() / (e as f64).sqrt()
                    };
                    let weights: Vector = (0..=query).map(|key| score(key).exp()).collect();
                    let total: f64 = weights.iter().sum();
                    let mut mixed = vec![0.0; e];
                    for (key, weight) in weights.iter().enumerate() {
                        let v: Vector = own(w_v.times(&ov[key])).iter().map(|v| v * weight / total).collect();
                        mixed = sum(&mixed, &v);
                    }
                    z.extend(mixed);
                }
                let a = w_o.times(&z);
                through.as_ref().map_or_else(|| a.clone(), |[_, w_d]| w_d.times(&a))
            });
            modules.push(out.collect::<Vec<Vector>>());
        }
        for (position, stream) in res.iter_mut().enumerate() {
            let before = kept(stream, c.skips.res_connection);
            *stream = modules.iter().fold(before, |total, module| sum(&total, &module[position]));
            if c.width * c.depth > 0 {
                let map = |k: usize, x: &[f64]| get(format!("mlp_seq.{layer}.{}.weight", 2 * k)).times(x);
                let mut x = norm(stream, c.norm);
                for k in 0..c.depth {
                    let bias =
                        values(&model.params().get(&format!("mlp_seq.{layer}.{}.bias", 2 * k)).unwrap()).unwrap();
                    x = sum(&map(k, &x), &bias).into_iter().map(gelu).collect();
                }
                *stream = sum(stream, &map(c.depth, &x));
            }
        }
        added.push(modules);
    }
    (res.iter().map(|x| w_u.times(x)).collect(), added)
}

fn assert_is_the_equation(model: &Transformer) {
    let activations = model.forward_with_activations(&tokens()).unwrap();
    let rows: Vec<usize> = values(&tokens()).unwrap().into_iter().map(|token| token as usize).collect();
    let near = |what: &str, got: &Tensor, expected: &[Vector]| {
        let (got, expected) = (values(got).unwrap(), expected.concat());
        assert_eq!(got.len(), expected.len(), "{what} of {:?}", model.config());
        for (got, expected) in got.iter().zip(&expected) {
            let difference = (got - expected).abs();
            assert!(difference < 2e-5 * expected.abs().max(1.0), "{what}: {got}, {expected}, {:?}", model.config());
        }
    };
    let plain: Vec<_> = rows.chunks(3).map(|sequence| plain(model, sequence)).collect();
    for (sequence, (logits, added)) in plain.iter().enumerate() {
        for (layer, modules) in added.iter().enumerate() {
            for (module, added) in modules.iter().enumerate() {
                let got = activations.layers[layer].module_out(module).unwrap().get(sequence as i64);
                near(&format!("module {module} of layer {layer}"), &got, added);
            }
        }
        if !model.config().center_logits {
            near("logits", &activations.logits.get(sequence as i64), logits);
        }
    }
    if model.config().center_logits {
        let all: Vec<Vector> = plain.into_iter().flat_map(|(logits, _)| logits).collect();
        let mean = all.concat().iter().sum::<f64>() / (all.len() * N) as f64;
        let centred: Vec<Vector> = all.iter().map(|row| row.iter().map(|x| x - mean).collect()).collect();
        near("logits less their mean", &activations.logits, &centred);
    }
}

#[test]
fn the_forward_pass_is_its_equation() {
    for kind in kinds() {
        let with_mlp = TransformerConfig { width: 17, depth: 2, ..kind.clone() };
        let paper_mlp = TransformerConfig { width: 17, depth: 1, center_logits: true, ..kind.clone() };
        // as many heads as there are dimensions in a module, and two where that is possible
        let heads = TransformerConfig { n_heads: kind.d_module(), ..kind.clone() };
        let two = (kind.d_module() % 2 == 0).then(|| TransformerConfig { n_heads: 2, ..kind.clone() });
        for config in [kind, with_mlp, paper_mlp, heads].into_iter().chain(two) {
            assert_is_the_equation(&model(&config));
        }
    }
}

#[test]
fn every_meaningful_skip_leaves_its_term_out() {
    for skips in Skips::all_meaningful() {
        assert_is_the_equation(&model(&TransformerConfig {
            skips,
            width: 3,
            depth: 1,
            ..config(Norm::None, Some(D_H))
        }));
        assert_is_the_equation(&model(&TransformerConfig { skips, ..config(Norm::Layer, Some(D_H)) }));
    }
}

// ---- what looks inside ---------------------------------------------------------------------------------------------------------------

#[test]
fn weights_activations_and_maps_have_their_documented_shapes() {
    let model = model(&TransformerConfig { width: 17, depth: 1, ..config(Norm::None, Some(D_H)) });
    let [n, d, d_h, t] = [N, D, D_H, T].map(|size| size as i64);
    assert_eq!((model.w_c().unwrap().size(), model.w_d().unwrap().size()), (vec![d_h, d], vec![d, d_h]));
    assert_eq!((model.w_e().size(), model.w_pos().size(), model.w_u().size()), (vec![n, d], vec![t, d_h], vec![n, d]));
    assert!(model.w_qkv(1, 2).unwrap().iter().all(|w| w.size() == [d_h, d_h]));
    assert_eq!(model.w_o(1, 2).unwrap().size(), [d_h, d_h]);
    assert_eq!(model.weights().compression.unwrap().w_c, model.w_c().unwrap());
    let activations = model.forward_with_activations(&tokens()).unwrap();
    for (name, size) in [
        ("res_0", vec![2, 3, d]),
        ("pos", vec![3, d_h]),
        ("para_2_layer_1", vec![2, 3, d]),
        ("res_after_attn_layer_0", vec![2, 3, d]),
        ("mlp_1", vec![2, 3, d]),
        ("logits", vec![2, 3, n]),
    ] {
        assert_eq!(activations.get(name).unwrap().size(), size, "{name}");
    }
    assert_eq!(activations.layers[0].attention_pattern.size(), [3, 1, 2, 3, 3]);
    assert_eq!(gather_w_o(&model).size(), [2 * 3 * d_h, d_h]);
    for map in [attention_map(&model, 1, 2), exact_attention_map(&model, 1, 2, 0)] {
        assert_eq!(map.unwrap().size(), [n, n]);
    }
    for circuit in [qk_circuit(&model, 1, 2, 0), ov_circuit(&model, 1, 2, 0)] {
        assert_eq!(circuit.unwrap().size(), [d, d]);
    }
    assert_eq!(superposition(&model.w_u()).unwrap().norms.len(), N);
    let none = self::model(&config(Norm::None, None));
    assert!(none.w_c().is_none() && none.w_d().is_none() && none.weights().compression.is_none());
}

#[test]
fn a_compression_of_the_models_own_size_is_drawn_but_not_used() {
    let config = config(Norm::None, Some(D));
    let mut model = model(&config);
    let before = model.forward(&tokens()).unwrap();
    let inside = |model: &Transformer| {
        let circuits = [qk_circuit(model, 0, 1, 0), ov_circuit(model, 0, 1, 0), attention_map(model, 0, 1)];
        circuits.map(|circuit| circuit.unwrap())
    };
    let seen = inside(&model);
    // the words of the stream are taken: what is drawn next differs from a model without such matrices
    let without = self::model(&TransformerConfig { d_inner: None, ..config.clone() });
    assert_eq!(model.w_o(1, 2).unwrap(), without.w_o(1, 2).unwrap());
    assert_ne!(model.w_u(), without.w_u());
    for name in ["linear_compress.weight", "linear_decompress.weight"] {
        model.params_mut().set(name, &Tensor::full([D as i64, D as i64], 3.5, tch::kind::FLOAT_CPU)).unwrap();
    }
    assert_eq!(model.forward(&tokens()).unwrap(), before);
    assert_eq!(inside(&model), seen);
    let data = generate_data(32, 4, &law(1), T, &mut TorchRng::new(3)).unwrap();
    train(&mut model, &data, &TrainOptions::lr(0.01).quiet()).unwrap();
    assert!(model.w_c().unwrap().eq(3.5).all().int64_value(&[]) == 1, "no step moves what is not used");
    assert_ne!(model.forward(&tokens()).unwrap(), before);
}

#[test]
fn scores_and_what_a_head_adds_go_through_the_compression() {
    for kind in kinds() {
        let two_heads = kind.d_module() % 2 == 0;
        let config = TransformerConfig { n_layers: 1, n_heads: if two_heads { 2 } else { 1 }, ..kind };
        let model = model(&config);
        let head = config.n_heads - 1;
        let h = if config.norm == Norm::Layer { layer_norm(&model.w_e()).unwrap() } else { model.w_e() };
        // embeddings by the circuits between tokens; positions, which come in behind W_C, by hand
        let e = (config.d_module() / config.n_heads) as i64;
        let own = |w: &Tensor| w.narrow(0, head as i64 * e, e); // (e, d_h)
        let [w_q, w_k, _] = model.w_qkv(0, 2).unwrap();
        let w_c = if config.compresses() { model.w_c() } else { None };
        let read = w_c.map_or_else(|| h.shallow_clone(), |w_c| h.matmul(&w_c.transpose(0, 1)));
        let u = |position: i64| (&read + model.w_pos().get(position)).matmul(&own(&w_q).transpose(0, 1)); // queries
        let k = |position: i64| (&read + model.w_pos().get(position)).matmul(&own(&w_k).transpose(0, 1));
        let scale = (e as f64).sqrt();
        let score = u(1).matmul(&k(0).transpose(0, 1)) / scale;
        let to_itself = (u(1) * k(1)).sum_dim_intlist(-1, true, None) / scale;
        let expected = (&score - to_itself).sigmoid();
        let exact = exact_attention_map(&model, 0, 2, head).unwrap();
        assert!(largest_difference(&exact, &expected) < 1e-5, "{config:?}");
        // without positions the score is the circuit's
        let mut bare = model.clone();
        bare.params_mut().set("pos_emb.weight", &model.w_pos().zeros_like()).unwrap();
        let qk = h.matmul(&qk_circuit(&bare, 0, 2, head).unwrap()).matmul(&h.transpose(0, 1));
        let tokens_score =
            read.matmul(&own(&w_q).transpose(0, 1)).matmul(&own(&w_k)).matmul(&read.transpose(0, 1)) / scale;
        assert!(largest_difference(&qk, &tokens_score) < 1e-5 * largest(&qk).max(1.0), "{config:?}");
        assert!(largest_difference(&qk, &full_qk_circuit(&bare, 2, head).unwrap()) < 1e-6 * largest(&qk).max(1.0));
        // a position that sees itself alone: each head adds its circuit's, the module their sum
        let single = Tensor::from_slice(&[3i64]).view([1, 1]);
        let added = bare.forward_with_activations(&single).unwrap().layers[0].module_out(2).unwrap().view([-1]);
        let ov = (0..config.n_heads).map(|head| ov_circuit(&bare, 0, 2, head).unwrap());
        let ov = ov.reduce(|total, head| total + head).unwrap();
        assert!(largest_difference(&ov.matmul(&h.get(3)), &added) < 1e-5 * largest(&added).max(1.0), "{config:?}");
        let to_logits = full_ov_circuit(&bare, 2, head).unwrap(); // (N, N)
        let expected = model.w_u().matmul(&ov_circuit(&bare, 0, 2, head).unwrap()).matmul(&h.get(3));
        assert!(largest_difference(&to_logits.select(1, 3), &expected) < 1e-5 * largest(&expected).max(1.0));
    }
}

/// The original's formula with the weights from the right as stored. With none of them changed by a transposition, it is the exact map
/// where there is no layer norm.
#[test]
fn the_originals_map_is_exact_for_symmetric_weights_without_layer_norm() {
    for d_inner in [None, Some(D_H), Some(D)] {
        let mut model = model(&config(Norm::None, d_inner));
        let size = model.config().d_module() as i64;
        let symmetric = |w: &Tensor| (w + w.transpose(0, 1)) / 2;
        let [w_q, w_k, w_v] = model.w_qkv(0, 1).unwrap();
        let all = Tensor::cat(&[symmetric(&w_q), symmetric(&w_k), w_v], 0);
        assert_eq!(all.size(), [3 * size, size]);
        model.params_mut().set("attn_seq.0.1.in_proj_weight", &all).unwrap();
        let (theirs, exact) = (attention_map(&model, 0, 1).unwrap(), exact_attention_map(&model, 0, 1, 0).unwrap());
        assert!(largest_difference(&theirs, &exact) < 1e-5, "{d_inner:?}");
        let other = attention_map(&model, 0, 2).unwrap();
        assert!(largest_difference(&other, &exact_attention_map(&model, 0, 2, 0).unwrap()) > 1e-3, "{d_inner:?}");
    }
}

#[test]
fn attribution_adds_up_to_the_stream() {
    for kind in kinds() {
        let model = model(&kind);
        let attribution = back_track(&model, &tokens(), 2).unwrap();
        let activations = model.forward_with_activations(&tokens()).unwrap();
        let mean = activations.logits.select(1, 1).mean_dim(-1, false, None); // (M,)
        for layer in 0..2 {
            // each module's and the stream's term has the mean taken off
            let modules = (&attribution.modules()[layer] + &mean).sum_dim_intlist(0, false, None);
            let sum = modules + &attribution.res()[layer];
            assert!(largest_difference(&sum, &attribution.res_after_attn()[layer]) < 1e-4, "{kind:?}");
        }
        // without an MLP the stream after the last attention is what is unembedded
        let last = (&attribution.res_after_attn()[1] + &mean).transpose(0, 1); // (M, N)
        let logits = activations.logits.select(1, 1);
        let differences = |x: &Tensor| x - x.mean_dim(-1, true, None);
        assert!(largest_difference(&differences(&last), &differences(&logits)) < 1e-4, "{kind:?}");
        assert!(attribution.margins(1, 2, Method::Solo).unwrap().iter().all(|margin| margin.is_finite()));
    }
}

#[test]
fn positions_are_seen_through_the_unembedding_only_where_they_are_of_the_stream() {
    for kind in kinds() {
        let model = model(&kind);
        let basis = new_computation_basis(&model, &tokens()).unwrap();
        assert_eq!(basis.names().contains(&"pos".to_owned()), !kind.compresses(), "{kind:?}");
        let seen = basis.get("para_1_layer_1").unwrap(); // (B, S, N)
        let out = model.forward_with_activations(&tokens()).unwrap().get("para_1_layer_1").unwrap();
        assert!(largest_difference(&seen.matmul(&model.w_u()), &out) < 1e-4, "{kind:?}");
    }
}

#[test]
fn a_low_rank_model_leaves_its_logits_as_they_are_where_asked() {
    let config = LowRankConfig { d_model: D, n_vocab: N, ..Default::default() };
    let make = |center_logits| {
        let config = LowRankConfig { center_logits, ..config.clone() };
        LowRank::from_config(&config, &law(1), &mut TorchRng::new(4)).unwrap()
    };
    let (mut centred, mut plain) = (make(true), make(false));
    let [a, b] = [&centred, &plain].map(|model| model.forward(&tokens()).unwrap());
    assert!(a.mean(None).double_value(&[]).abs() < 1e-6);
    assert!(largest_difference(&(&b - b.mean(None)), &a) < 1e-6 && largest_difference(&a, &b) > 1e-3);
    let rows = plain.context_rows(&tokens()).unwrap();
    let expected = plain.w_e().index_select(0, &rows).matmul(&plain.w_u().transpose(0, 1));
    assert!(largest_difference(&b.select(1, 1), &expected) < 1e-6);
    let data = generate_data(64, 10, &law(1), 3, &mut TorchRng::new(5)).unwrap();
    let options = TrainOptions { engine: Some(Engine::Autograd), ..TrainOptions::lr(0.01).quiet() };
    let [a, b] = [&mut centred, &mut plain].map(|model| train(model, &data, &options).unwrap().loss);
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5), "the loss does not see the mean");
}

// ---- files ---------------------------------------------------------------------------------------------------------------------------

#[test]
fn every_kind_comes_back_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    for kind in kinds() {
        let model = model(&kind);
        model.save(&path).unwrap();
        let loaded = Transformer::load(&path).unwrap();
        assert_eq!(loaded.config(), &kind);
        assert_eq!(loaded.forward(&tokens()).unwrap(), model.forward(&tokens()).unwrap());
    }
    let config = LowRankConfig { d_model: D, n_vocab: N, center_logits: false, ..Default::default() };
    let low = LowRank::from_config(&config, &law(1), &mut TorchRng::new(4)).unwrap();
    low.save(&path).unwrap();
    assert_eq!(LowRank::load(&path).unwrap().config(), &config);
}

/// A file as this crate wrote it before there was a choice of norm, inner size and mean: without these words in its header.
fn without_the_new_words(bytes: &[u8]) -> Vec<u8> {
    let (length, rest) = bytes.split_at(8);
    let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
    let mut header: serde_json::Value = serde_json::from_slice(&rest[..length]).unwrap();
    let text = header["__metadata__"]["config"].as_str().unwrap();
    let mut config: serde_json::Value = serde_json::from_str(text).unwrap();
    let mut removed = vec![];
    for word in ["norm", "d_inner", "center_logits"] {
        removed.extend(config.as_object_mut().unwrap().remove(word));
    }
    assert!(!removed.is_empty());
    header["__metadata__"]["config"] = config.to_string().into();
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &rest[length..]].concat()
}

#[test]
fn files_of_before_are_the_notebooks_models() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let kind = TransformerConfig { center_logits: true, width: 17, depth: 1, ..config(Norm::Layer, None) };
    let model = model(&kind);
    model.save(&path).unwrap();
    std::fs::write(&path, without_the_new_words(&std::fs::read(&path).unwrap())).unwrap();
    let loaded = Transformer::load(&path).unwrap();
    assert_eq!(loaded.config(), &kind);
    assert_eq!(loaded.forward(&tokens()).unwrap(), model.forward(&tokens()).unwrap());
    let low = LowRank::new(D, N, 3, &law(1), &mut TorchRng::new(4)).unwrap();
    low.save(&path).unwrap();
    std::fs::write(&path, without_the_new_words(&std::fs::read(&path).unwrap())).unwrap();
    assert_eq!(LowRank::load(&path).unwrap().config(), low.config());
}
