//! Reading `reference/*.json`, and the ten cells' laws, models and data as the notebook draws them.
#![allow(dead_code)]

use ntgram_core::prelude::*;
use serde_json::Value;

/// The reference numbers of one cell.
pub fn reference(cell: u32) -> Value {
    let path = format!("{}/tests/reference/c{cell}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A list of numbers.
pub fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}")).iter().map(|x| x.as_f64().unwrap()).collect()
}

/// Compares values with a summary (first 12 and last 6 entries, sum, sum of squares): entries within `tolerance`, relative to
/// their size where that is above 1; sums within `tolerance` times the number of entries.
pub fn assert_summary(what: &str, summary: &Value, values: &[f32], tolerance: f64) {
    let size: usize = floats_or(&summary["shape"]).iter().map(|&n| n as usize).product();
    assert_eq!(values.len(), size, "{what}: number of values");
    let close = |a: f64, b: f64, place: &str| {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{what}, {place}: {a} is not {b}");
    };
    let (head, tail) = (floats(&summary["head"]), floats(&summary["tail"]));
    for (k, &expected) in head.iter().enumerate() {
        close(values[k].into(), expected, &format!("entry {k}"));
    }
    for (k, &expected) in tail.iter().enumerate() {
        close(values[size - tail.len() + k].into(), expected, &format!("entry {} from the end", tail.len() - k));
    }
    let sums = [("sum", values.iter().map(|&v| f64::from(v)).sum::<f64>())]
        .into_iter()
        .chain([("sumsq", values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>())]);
    for (name, sum) in sums {
        let expected = summary[name].as_f64().unwrap();
        let scale = expected.abs().max((size as f64).sqrt());
        assert!((sum - expected).abs() <= 10.0 * tolerance * scale, "{what}, {name}: {sum} is not {expected}");
    }
}

fn floats_or(value: &Value) -> Vec<f64> {
    value.as_array().map(|_| floats(value)).unwrap_or_default()
}

/// A tensor's values, row-major.
pub fn values(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.detach().contiguous().view([-1]).to_kind(Kind::Float)).unwrap()
}

/// Asserts `a` within a relative tolerance of `b`.
pub fn assert_close(what: &str, a: f64, b: f64, relative: f64) {
    assert!(
        (a - b).abs() <= relative * b.abs(),
        "{what}: {a} is not {b} (relative error {:e})",
        (a - b).abs() / b.abs()
    );
}

/// What a float32 loss is worth before the entropy is taken off: its own last bits, and those of the probability it is the logarithm of,
/// which matter where that is almost 1.
pub fn last_bits(loss: f64) -> f64 {
    f64::from(f32::EPSILON) * (4.0 * loss + 0.5)
}

/// Either model, for tests that go through both.
pub enum Either {
    Transformer(Box<Transformer>),
    LowRank(LowRank),
}

impl Either {
    pub fn params(&self) -> &ntgram_core::models::Parameters {
        match self {
            Either::Transformer(model) => model.params(),
            Either::LowRank(model) => model.params(),
        }
    }

    pub fn params_mut(&mut self) -> &mut ntgram_core::models::Parameters {
        match self {
            Either::Transformer(model) => model.params_mut(),
            Either::LowRank(model) => model.params_mut(),
        }
    }

    pub fn train(&mut self, data: &Data, options: &TrainOptions) -> Result<History> {
        match self {
            Either::Transformer(model) => train(&mut **model, data, options),
            Either::LowRank(model) => train(model, data, options),
        }
    }

    pub fn transformer(self) -> Transformer {
        match self {
            Either::Transformer(model) => *model,
            Either::LowRank(_) => panic!("not a Transformer"),
        }
    }

    pub fn low_rank(self) -> LowRank {
        match self {
            Either::LowRank(model) => model,
            Either::Transformer(_) => panic!("not a low-rank model"),
        }
    }
}

/// One training of the notebook, ready to start: what `reference/cN.json` calls `{name}.data`, `.init`, `.train`, `.final`.
pub struct Run {
    pub cell: u32,
    pub name: &'static str,
    pub model: Either,
    pub data: std::rc::Rc<Data>,
    pub options: TrainOptions,
}

impl Run {
    pub fn law(&self) -> &Law {
        match &self.model {
            Either::Transformer(model) => model.law(),
            Either::LowRank(model) => model.law(),
        }
    }
}

fn options(lr: f64, next_token: bool, seed: u64) -> TrainOptions {
    let options = TrainOptions::lr(lr).seed(seed).quiet();
    if next_token { options } else { options.full_divergence() }
}

const NO_RESIDUAL: Skips = Skips { res_connection: true, pos_qk: false, emb_qk: false, pos_ov: false, emb_ov: false };

fn config(d: usize, n: usize, para: usize, skips: Skips) -> TransformerConfig {
    TransformerConfig { d_model: d, n_vocab: n, n_modules: para, skips, ..Default::default() }
}

/// The trainings of a cell, in the notebook's order, each with the model and data that its draws give.
pub fn runs(cell: u32) -> Vec<Run> {
    let run = |name, model, data: &std::rc::Rc<Data>, options| Run { cell, name, model, data: data.clone(), options };
    let transformer = |config: &TransformerConfig, pi: &Law, rng: &mut TorchRng| {
        Either::Transformer(Box::new(Transformer::new(config, pi, rng).unwrap()))
    };
    let low_rank = |d, n, pi: &Law, rng: &mut TorchRng| Either::LowRank(LowRank::new(d, n, 3, pi, rng).unwrap());
    let data = |b, k, pi: &Law, rng: &mut TorchRng| std::rc::Rc::new(generate_data(b, k, pi, 3, rng).unwrap());
    match cell {
        1 => {
            let mut rng = TorchRng::new(2222);
            let pi = power_unif_law(&[1.0; 3], &[40, 40, 1], 100, &mut rng).unwrap();
            let first = data(1024, 5000, &pi, &mut rng);
            let config = config(10, 100, 5, Skips::default());
            let full = transformer(&config, &pi, &mut rng);
            let mut rng = TorchRng::after_training(0);
            let next = transformer(&config, &pi, &mut rng);
            let mut rng = TorchRng::after_training(0);
            let low = low_rank(10, 100, &pi, &mut rng);
            let second = data(1024, 4000, &pi, &mut rng);
            vec![
                run("full_divergence", full, &first, options(1e-3, false, 0)),
                run("next_token", next, &first, options(1e-3, true, 0)),
                run("low_rank", low, &second, options(1e-3, true, 0)),
            ]
        }
        2 => {
            let mut rng = TorchRng::new(666);
            let pi = power_unif_law(&[1.0; 3], &[10, 10, 1], 10, &mut rng).unwrap();
            let data = data(1024, 5000, &pi, &mut rng);
            let config = config(5, 10, 20, Skips::default());
            let freezers = [
                Freeze { e: true, qkv: true, u: true, ..Default::default() },
                Freeze { o: true, ..Default::default() },
            ];
            let mut runs = vec![];
            for (freeze, name) in freezers.into_iter().zip(["freeze0", "freeze1"]) {
                let mut model = Transformer::new(&config, &pi, &mut rng).unwrap();
                model.freeze(freeze);
                runs.push(run(name, Either::Transformer(Box::new(model)), &data, options(1e-3, true, 0)));
                rng = TorchRng::after_training(0);
            }
            runs
        }
        3 => {
            let mut rng = TorchRng::new(2222);
            let pi = power_unif_law(&[0.9, 0.9, 0.6], &[100; 3], 100, &mut rng).unwrap();
            let data = data(512, 3000, &pi, &mut rng);
            let low = low_rank(10, 100, &pi, &mut rng);
            let mut rng = TorchRng::after_training(0);
            let full = transformer(&config(10, 100, 5, Skips::default()), &pi, &mut rng);
            vec![
                run("low_rank", low, &data, options(1e-3, true, 0)),
                run("transformer", full, &data, options(1e-3, true, 0)),
            ]
        }
        4 => {
            let mut rng = TorchRng::new(666);
            let pi = power_unif_law(&[1.0; 3], &[40, 40, 1], 100, &mut rng).unwrap();
            let data = data(1024, 5000, &pi, &mut rng);
            let with = |skips| transformer(&config(10, 100, 10, skips), &pi, &mut TorchRng::new(333));
            vec![
                run("skip_res_False", with(Skips::default()), &data, options(1e-3, true, 0)),
                run("skip_res_True", with(NO_RESIDUAL), &data, options(1e-3, true, 0)),
            ]
        }
        5 => {
            let mut rng = TorchRng::new(666);
            let pi = power_unif_law(&[1.0; 3], &[10, 10, 1], 100, &mut rng).unwrap();
            let model = transformer(&config(10, 100, 3, NO_RESIDUAL), &pi, &mut rng);
            let data = data(1024, 5000, &pi, &mut rng);
            vec![run("m", model, &data, options(1e-3, true, 0))]
        }
        6 => {
            let mut rng = TorchRng::new(2222);
            let pi = power_unif_law(&[1.0; 3], &[10, 5, 1], 10, &mut rng).unwrap();
            let model = transformer(&config(5, 10, 2, NO_RESIDUAL), &pi, &mut rng);
            let data = data(512, 4000, &pi, &mut rng);
            vec![run("m", model, &data, options(1e-3, true, 2222))]
        }
        7 => {
            let mut rng = TorchRng::new(2108);
            let pi = last_position_law(&[10, 10], 10, 0.0, 0.95, &mut rng).unwrap();
            let low = low_rank(5, 10, &pi, &mut rng);
            let data = data(512, 5000, &pi, &mut rng);
            let mut rng = TorchRng::after_training(0);
            let full = transformer(&config(5, 10, 5, Skips::default()), &pi, &mut rng);
            vec![
                run("low_rank", low, &data, options(1e-3, true, 0)),
                run("transformer", full, &data, options(1e-3, true, 0)),
            ]
        }
        9 => {
            let mut rng = TorchRng::new(66);
            let pi = almost_rank_d(&[10, 10], 10, 6, &Default::default(), &mut rng).unwrap();
            let model = low_rank(5, 10, &pi, &mut rng);
            let data = data(1024, 5000, &pi, &mut rng);
            vec![run("low_rank", model, &data, options(5e-4, true, 0))]
        }
        _ => panic!("cell {cell} has no single trainings"),
    }
}
