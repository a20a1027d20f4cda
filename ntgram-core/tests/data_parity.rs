//! Sampled data and shuffled batches: the notebook's, against PyTorch's numbers in `reference/`, and laws of other shapes
//! against the original's calls made through libtorch.

use ntgram_core::data::{Data, generate_data};
use ntgram_core::laws::{Law, almost_rank_d, last_position_law, power_unif_law};
use ntgram_core::models::{LowRankConfig, TransformerConfig};
use ntgram_core::rng::TorchRng;
use serde_json::Value;
use tch::{Kind, Tensor};

fn reference(cell: usize) -> Value {
    let path = format!("{}/tests/reference/c{cell}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn integers(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|x| x.as_u64().unwrap()).collect()
}

/// First rows and column sums of the data, and the first rows of the first batch of training run `run`.
fn assert_data(data: &Data, train_seed: u64, cell: usize, run: &str) {
    assert_almost_data(data, train_seed, cell, run, 0);
}

/// [`assert_data`], with column sums that may differ as much as `draws` draws can make them. For laws that a singular value
/// decomposition made: their last digits depend on the processor that libtorch runs on, and now and then one of millions of draws.
fn assert_almost_data(data: &Data, train_seed: u64, cell: usize, run: &str, draws: u64) {
    let file = reference(cell);
    let rows = |sequences: std::slice::Chunks<'_, u16>| -> Vec<Vec<u64>> {
        sequences.take(6).map(|s| s.iter().map(|t| u64::from(*t)).collect()).collect()
    };
    let expected = |value: &Value| -> Vec<Vec<u64>> { value.as_array().unwrap().iter().map(integers).collect() };
    let summary = &file[format!("{run}.data")];
    assert_eq!(rows(data.tokens().chunks(3)), expected(&summary["rows"]), "cell {cell}, {run}: rows");
    let largest = draws * (data.n_vocab() as u64 - 1);
    for (got, want) in data.column_sums().into_iter().zip(integers(&summary["colsum"])) {
        assert!(got.abs_diff(want) <= largest, "cell {cell}, {run}: column sum {got}, not {want}");
    }
    let batch = data.batches(train_seed).next().unwrap();
    let first = &file[format!("{run}.train")]["first_batch_rows"];
    assert_eq!(rows(batch.chunks(3)), expected(first), "cell {cell}, {run}: first batch");
}

fn skip_transformer(rng: &mut TorchRng, d_model: usize, n_vocab: usize, n_modules: usize) {
    let config = TransformerConfig { d_model, n_vocab, n_modules, ..TransformerConfig::default() };
    rng.skip(config.parameters().iter().map(|p| p.len() as u64).sum());
}

fn skip_low_rank(rng: &mut TorchRng, d_model: usize, n_vocab: usize) {
    let config = LowRankConfig { d_model, n_vocab, ..Default::default() };
    rng.skip(config.parameters().iter().map(|p| p.len() as u64).sum());
}

#[test]
fn cell_1() {
    let mut rng = TorchRng::new(2222);
    let law = power_unif_law(&[1.0; 3], &[40, 40, 1], 100, &mut rng).unwrap();
    let data = generate_data(1024, 5000, &law, 3, &mut rng).unwrap();
    assert_data(&data, 0, 1, "full_divergence");
    assert_data(&data, 0, 1, "next_token");
    // the second training ends at seed 0; then the low-rank model, then its own data
    let mut rng = TorchRng::after_training(0);
    skip_low_rank(&mut rng, 10, 100);
    assert_data(&generate_data(1024, 4000, &law, 3, &mut rng).unwrap(), 0, 1, "low_rank");
}

#[test]
fn cells_2_to_4() {
    #[allow(clippy::type_complexity)]
    let settings: [(usize, u64, usize, [f64; 3], [usize; 3], [usize; 2], &str); 3] = [
        (2, 666, 10, [1.0; 3], [10, 10, 1], [1024, 5000], "freeze0"),
        (3, 2222, 100, [0.9, 0.9, 0.6], [100; 3], [512, 3000], "low_rank"),
        (4, 666, 100, [1.0; 3], [40, 40, 1], [1024, 5000], "skip_res_True"),
    ];
    for (cell, seed, n_vocab, alphas, nb_tokens, [batch_size, num_batch], run) in settings {
        let mut rng = TorchRng::new(seed);
        let law = power_unif_law(&alphas, &nb_tokens, n_vocab, &mut rng).unwrap();
        assert_data(&generate_data(batch_size, num_batch, &law, 3, &mut rng).unwrap(), 0, cell, run);
    }
}

#[test]
fn cells_5_to_9() {
    let mut rng = TorchRng::new(666);
    let law = power_unif_law(&[1.0; 3], &[10, 10, 1], 100, &mut rng).unwrap();
    skip_transformer(&mut rng, 10, 100, 3);
    assert_data(&generate_data(1024, 5000, &law, 3, &mut rng).unwrap(), 0, 5, "m");

    let mut rng = TorchRng::new(2222);
    let law = power_unif_law(&[1.0; 3], &[10, 5, 1], 10, &mut rng).unwrap();
    skip_transformer(&mut rng, 5, 10, 2);
    assert_data(&generate_data(512, 4000, &law, 3, &mut rng).unwrap(), 2222, 6, "m");

    let mut rng = TorchRng::new(2108);
    let law = last_position_law(&[10, 10], 10, 0.0, 0.95, &mut rng).unwrap();
    skip_low_rank(&mut rng, 5, 10);
    assert_data(&generate_data(512, 5000, &law, 3, &mut rng).unwrap(), 0, 7, "low_rank");

    let mut rng = TorchRng::new(66);
    let law = almost_rank_d(&[10, 10], 10, 6, &Default::default(), &mut rng).unwrap();
    skip_low_rank(&mut rng, 5, 10);
    assert_almost_data(&generate_data(1024, 5000, &law, 3, &mut rng).unwrap(), 0, 9, "low_rank", 5);
}

/// The original's calls, on libtorch's global generator.
fn torch_data(rows: usize, law: &Law, length: usize) -> Vec<i64> {
    let n = law.n_vocab() as i64;
    let table = |i: usize| Tensor::from_slice(law.table(i).unwrap()).view([-1, n]);
    let mut columns = vec![table(0).get(0).multinomial(rows as i64, true)];
    for t in 1..length {
        let known = t.min(law.order() - 1);
        let context = columns[t - known..]
            .iter()
            .fold(Tensor::zeros([rows as i64], (Kind::Int64, tch::Device::Cpu)), |c, x| c * n + x);
        columns.push(table(known).index_select(0, &context).multinomial(1, false).squeeze_dim(1));
    }
    Vec::try_from(Tensor::stack(&columns, 1).flatten(0, -1)).unwrap()
}

/// A law whose rows mix every kind: skewed with zeros, equal, certain, one token nearly certain.
fn mixed_law(n_vocab: usize, order: usize, rng: &mut TorchRng) -> Law {
    let row = |rng: &mut TorchRng, kind: u32| -> Vec<f32> {
        let mut row: Vec<f32> = match kind % 4 {
            0 => {
                (0..n_vocab).map(|_| rng.uniform(0.0, 1.0).powi(12) * f32::from(rng.uniform(0.0, 1.0) > 0.3)).collect()
            }
            1 => (0..n_vocab).map(|_| f32::from(rng.uniform(0.0, 1.0) > 0.5)).collect(),
            2 => vec![0.0; n_vocab],
            _ => vec![1e-4 / n_vocab as f32; n_vocab],
        };
        row[(rng.next_word() as usize) % n_vocab] += 1.0;
        let sum: f32 = row.iter().sum();
        row.iter().map(|p| p / sum).collect()
    };
    let tables = (0..order).map(|i| (0..n_vocab.pow(i as u32)).flat_map(|c| row(rng, c as u32 + i as u32)).collect());
    Law::new(n_vocab, tables.collect()).unwrap()
}

/// Shapes of pairwise different primes, orders 1 to 4, windows beyond the order, one row, one token. One test: libtorch's
/// generator is global.
#[test]
fn any_law_is_sampled_as_torch_samples_it() {
    let shapes = [
        (1, 1, 2, 5),
        (2, 1, 3, 1009),
        (7, 1, 1, 11),
        (5, 2, 7, 20_011),
        (101, 2, 3, 10_007),
        (31, 3, 5, 10_007),
        (3, 4, 11, 10_007),
        (11, 3, 3, 1),
    ];
    for (i, (n_vocab, order, length, rows)) in shapes.into_iter().enumerate() {
        let law = mixed_law(n_vocab, order, &mut TorchRng::new(i as u64));
        tch::manual_seed(77 + i as i64);
        let mut rng = TorchRng::new(77 + i as u64);
        let ours = generate_data(rows, 1, &law, length, &mut rng).unwrap();
        let ours: Vec<i64> = ours.tokens().iter().map(|t| i64::from(*t)).collect();
        assert!(ours == torch_data(rows, &law, length), "N = {n_vocab}, n = {order}, T = {length}, {rows} rows");
        let next: Vec<f32> =
            Vec::try_from(Tensor::empty([8], (Kind::Float, tch::Device::Cpu)).uniform_(0.0, 1.0)).unwrap();
        assert_eq!(rng.uniform_vec(8, 0.0, 1.0).unwrap(), next, "the generators stand at the same place");
    }
}
