//! How fast the engine trains the models of the family, without libtorch: one line a configuration, steps a second. For work on the
//! engine; `make bench` measures the same configurations beside JAX.
//!
//! ```sh
//! cargo run --release -p ntgram-engine --example family -- [--threads 1] [--seconds 1.0] [words of a configuration's name]
//! ```

use ntgram_engine::prelude::*;
use std::time::Instant;

/// One configuration.
struct Case {
    name: &'static str,
    model: Model,
    /// Order of the law, tokens of a sequence, samples of a batch.
    order: usize,
    window: usize,
    batch_size: usize,
    /// Tokens that may follow a context: all, or one.
    certain: bool,
}

enum Model {
    Transformer(TransformerConfig),
    LowRank(LowRankConfig),
}

fn notebook(n_vocab: usize, d_model: usize, n_modules: usize, window: usize) -> Model {
    Model::Transformer(TransformerConfig { n_vocab, d_model, n_modules, context_window: window, ..Default::default() })
}

fn paper(n_vocab: usize, d_model: usize, d_inner: usize, n_modules: usize, n_layers: usize, width: usize) -> Model {
    let depth = (width > 0).into();
    let of_paper = TransformerConfig::of_paper(n_vocab, d_model, d_inner);
    Model::Transformer(TransformerConfig { n_modules, n_layers, width, depth, ..of_paper })
}

fn low_rank(order: usize, window: usize) -> Model {
    Model::LowRank(LowRankConfig { order, context_window: window, ..Default::default() })
}

fn cases() -> Vec<Case> {
    let case =
        |name, model, (order, window, batch_size)| Case { name, model, order, window, batch_size, certain: false };
    let of_paper = |name, model, batch_size| Case { name, model, order: 3, window: 3, batch_size, certain: true };
    let two_layers = TransformerConfig {
        n_vocab: 30,
        d_model: 32,
        n_modules: 4,
        n_layers: 2,
        context_window: 16,
        ..Default::default()
    };
    vec![
        case("ln N10 d5 H5 T3 B512", notebook(10, 5, 5, 3), (3, 3, 512)),
        case("ln N10 d5 H5 T4 B512", notebook(10, 5, 5, 4), (3, 4, 512)),
        case("ln N10 d5 H5 T8 B512", notebook(10, 5, 5, 8), (3, 8, 512)),
        case("ln N100 d10 H5 T8 B1024", notebook(100, 10, 5, 8), (3, 8, 1024)),
        case("ln N30 d32 H4 L2 T16 B256", Model::Transformer(two_layers), (3, 16, 256)),
        case("low rank N10 d5 T8 B512", low_rank(3, 8), (3, 8, 512)),
        case("low rank n2 N10 d5 T3 B512", low_rank(2, 3), (2, 3, 512)),
        case("low rank n4 N10 d5 T4 B512", low_rank(4, 4), (4, 4, 512)),
        of_paper("aot N50 d10 dh10 H20 B256", paper(50, 10, 10, 20, 1, 0), 256),
        of_paper("aot N50 d10 dh4 H20 B256", paper(50, 10, 4, 20, 1, 0), 256),
        of_paper("aot N50 d10 dh9 H20 B256", paper(50, 10, 9, 20, 1, 0), 256),
        of_paper("mlp N70 d10 w300 B1024", paper(70, 10, 10, 1, 1, 300), 1024),
        of_paper("mlp N70 d13 w780 B1024", paper(70, 13, 13, 1, 1, 780), 1024),
        of_paper("mlp N200 d60 w1200 B1024", paper(200, 60, 60, 1, 1, 1200), 1024),
        of_paper("mlp N70 d13 w520 L3 B512", paper(70, 13, 13, 1, 3, 520), 512),
        of_paper("aot N200 d50 H11 B1024", paper(200, 50, 50, 11, 1, 0), 1024),
        of_paper("aot N70 d10 H21 L3 B512", paper(70, 10, 10, 21, 3, 0), 512),
    ]
}

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1).collect::<Vec<_>>();
    let mut option = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        let value = args.drain(at..=at + 1).next_back()?;
        Some(value.parse::<f64>().expect("a number"))
    };
    let threads = option("--threads").map(|threads| threads as usize);
    let seconds = option("--seconds").unwrap_or(1.0);
    for case in cases() {
        if args.iter().all(|word| case.name.contains(word)) {
            let (rate, undisturbed) = measure(&case, threads, seconds)?;
            println!("{:30} {rate:10.0} steps/s, {undisturbed:8.1} us a step undisturbed", case.name);
        }
    }
    Ok(())
}

/// Batches of the data; the trainings begin again after them.
const BATCHES: usize = 100;

/// Steps a second, the median of trainings after one to warm up; and microseconds a step took of which a tenth was faster: about what a
/// step takes while no other program disturbs it.
fn measure(case: &Case, threads: Option<usize>, seconds: f64) -> Result<(f64, f64)> {
    let Case { model, order, window, batch_size, .. } = case;
    let model = match model {
        Model::Transformer(config) => ModelConfig::Transformer(config),
        Model::LowRank(config) => ModelConfig::LowRank(config),
    };
    let n = model.n_vocab();
    let mut followers = vec![n; *order];
    if case.certain {
        followers[order - 1] = 1;
    }
    let law = power_unif_law(&vec![1.0; *order], &followers, n, &mut TorchRng::new(1))?;
    let data = sample_data(*batch_size, BATCHES, &law, *window, &mut TorchRng::new(2))?;
    let options = TrainOptions { threads, ..TrainOptions::default().quiet() };
    let task = Task::new(model, Freeze::default(), &law, &data, &options)?;
    let values = model.initial_values(&mut TorchRng::new(3))?;
    let (mut rates, mut times, mut spent) = (vec![], vec![], 0.0);
    let mut warm = false;
    while spent < seconds {
        let mut trainer = task.circuit_trainer(values.clone())?;
        let (started, before) = (Instant::now(), times.len());
        let mut now = started;
        while trainer.step().is_some() {
            let next = Instant::now();
            times.push((next - now).as_secs_f64());
            now = next;
        }
        if warm {
            let elapsed = started.elapsed().as_secs_f64();
            spent += elapsed;
            rates.push((times.len() - before) as f64 / elapsed);
        } else {
            times.clear();
        }
        warm = true;
    }
    rates.sort_by(f64::total_cmp);
    times.sort_by(f64::total_cmp);
    Ok((rates[rates.len() / 2], times[times.len() / 10] * 1e6))
}
