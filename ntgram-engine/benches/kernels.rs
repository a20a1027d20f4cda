//! How long the engine's steps and the making of their data take. `cargo bench -p ntgram-engine` measures, with `-- --test` each
//! is run once.

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use ntgram_engine::engine::Trainer;
use ntgram_engine::prelude::*;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Batches of a training; after them it begins again.
const BATCHES: usize = 1000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    steps(&mut criterion);
    samples(&mut criterion);
    criterion.final_summary();
}

/// One step of a training on one thread: next-token loss, nothing frozen.
fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("step");
    for (n_vocab, d_model, batch_size) in [(10, 5, 512), (100, 10, 1024)] {
        let config = LowRankConfig { d_model, n_vocab, ..Default::default() };
        let name = format!("low rank, N {n_vocab}, d {d_model}, B {batch_size}");
        step(&mut group, &name, ModelConfig::LowRank(&config), batch_size);
    }
    for (n_vocab, d_model, n_modules, batch_size) in [(10, 5, 5, 512), (100, 10, 5, 1024), (100, 10, 10, 1024)] {
        let config = TransformerConfig { d_model, n_vocab, n_modules, ..Default::default() };
        let name = format!("Transformer, N {n_vocab}, d {d_model}, H {n_modules}, B {batch_size}");
        step(&mut group, &name, ModelConfig::Transformer(&config), batch_size);
    }
    group.finish();
}

fn step(group: &mut BenchmarkGroup<WallTime>, name: &str, model: ModelConfig, batch_size: usize) {
    let law = law(model.n_vocab());
    let data = sample_data(batch_size, BATCHES, &law, 3, &mut TorchRng::new(1)).expect("the sizes are right");
    let options = TrainOptions { threads: Some(1), ..TrainOptions::default().quiet() };
    let task = Task::new(model, Freeze::default(), &law, &data, &options).expect("the sizes are right");
    let values = model.initial_values(&mut TorchRng::new(2)).expect("the sizes are right");
    let begin = || task.circuit_trainer(values.clone()).expect("the engine trains trigrams");
    group.throughput(Throughput::Elements(batch_size as u64));
    group.bench_function(name, |bencher| {
        let mut trainer = begin();
        bencher.iter_custom(|count| {
            let (mut spent, mut left) = (Duration::ZERO, count);
            while left > 0 {
                let started = Instant::now();
                left -= run(&mut trainer, left);
                spent += started.elapsed();
                if left > 0 {
                    trainer = begin();
                }
            }
            spent
        });
    });
}

/// Up to `most` steps; returns how many there were.
fn run(trainer: &mut Trainer, most: u64) -> u64 {
    (0..most).take_while(|_| black_box(trainer.step()).is_some()).count() as u64
}

/// Drawing sequences from a law, and the order in which training visits them.
fn samples(criterion: &mut Criterion) {
    const ROWS: usize = 1 << 16;
    let mut group = criterion.benchmark_group("samples");
    group.throughput(Throughput::Elements(ROWS as u64));
    for n_vocab in [10, 100] {
        let law = law(n_vocab);
        group.bench_function(format!("sample_data, N {n_vocab}"), |bencher| {
            let mut rng = TorchRng::new(1);
            bencher.iter(|| sample_data(1 << 10, ROWS >> 10, &law, 3, &mut rng));
        });
        group.bench_function(format!("generate_data, N {n_vocab}"), |bencher| {
            let mut rng = TorchRng::new(1);
            bencher.iter(|| generate_data(1 << 10, ROWS >> 10, &law, 3, &mut rng));
        });
    }
    let data = sample_data(1 << 10, ROWS >> 10, &law(10), 3, &mut TorchRng::new(1)).expect("the sizes are right");
    group.bench_function("shuffle", |bencher| bencher.iter(|| data.shuffle(black_box(3))));
    group.finish();
}

/// The law that all follow: any token may come after any two, the likeliest ten times as often as the rarest.
fn law(n_vocab: usize) -> Law {
    let alpha = 0.1f64.powf(1.0 / n_vocab as f64);
    power_unif_law(&[1.0, 1.0, alpha], &[n_vocab; 3], n_vocab, &mut TorchRng::new(3)).expect("the sizes are right")
}
