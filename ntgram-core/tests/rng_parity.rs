//! [`TorchRng`] against libtorch's own generator, bit for bit. libtorch's kernels for `uniform_` and `randn` use fused multiply-adds
//! from AVX2 on (every x86-64 CPU of the last ten years); without them the last bit of those values differs.

use ntgram_core::rng::TorchRng;
use tch::{Device, Kind, Tensor};

const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

fn floats(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.flatten(0, -1)).unwrap()
}

fn integers(tensor: &Tensor) -> Vec<i64> {
    Vec::try_from(tensor.flatten(0, -1)).unwrap()
}

fn assert_same_bits(ours: &[f32], torch: &[f32], what: &str) {
    assert_eq!(ours.len(), torch.len(), "{what}");
    for (i, (a, b)) in ours.iter().zip(torch).enumerate() {
        assert_eq!(a.to_bits(), b.to_bits(), "{what}: value {i} is {a}, torch's {b}");
    }
}

fn as_i64(ours: Vec<u32>) -> Vec<i64> {
    ours.into_iter().map(i64::from).collect()
}

/// Rows of skewed weights with zeros, equal weights, and a single positive one.
fn weights(rows: usize, len: usize, rng: &mut TorchRng) -> Vec<f32> {
    let mut all = Vec::new();
    for row in 0..rows {
        match row % 3 {
            0 => all.extend((0..len).map(|_| rng.uniform(0.0, 1.0).powi(8) * f32::from(rng.uniform(0.0, 1.0) > 0.3))),
            1 => all.extend((0..len).map(|k| f32::from(k % 2 == 0))),
            _ => all.extend((0..len).map(|k| f32::from(k == row % len))),
        }
        let start = row * len;
        all[start] += 0.01;
    }
    all
}

/// One test: libtorch's generator is global.
#[test]
fn the_stream_is_torchs() {
    for seed in [0, 666, 2222, (1 << 32) + 5, u64::from(u32::MAX)] {
        tch::manual_seed(seed as i64);
        let mut rng = TorchRng::new(seed);
        for (a, b) in [(0.0, 1.0), (-1.0 / 10f64.sqrt(), 1.0 / 10f64.sqrt()), (-0.1, 0.7)] {
            assert_same_bits(
                &rng.uniform_vec(10_007, a, b).unwrap(),
                &floats(&Tensor::empty([10_007], FLOAT).uniform_(a, b)),
                "uniform_",
            );
        }
        for n in [0, 1, 2, 10, 100, 10_007] {
            assert_eq!(
                as_i64(rng.randperm(n).unwrap()),
                integers(&Tensor::randperm(n.into(), (Kind::Int64, Device::Cpu))),
                "randperm {n}"
            );
        }
        // lengths of both ways to draw normals, odd ones leaving a second normal behind, with other draws in between
        for len in [1, 2, 5, 15, 3, 16, 1, 17, 31, 32, 10, 100, 7, 10_007] {
            assert_same_bits(&rng.randn(len).unwrap(), &floats(&Tensor::randn([len as i64], FLOAT)), "randn");
            assert_eq!(
                rng.random_i64(),
                Tensor::empty([], (Kind::Int64, Device::Cpu)).random_().int64_value(&[]),
                "random_"
            );
        }
        let ours: Vec<f32> = (0..10_007).map(|_| rng.exponential()).collect();
        assert_same_bits(&ours, &floats(&Tensor::empty([10_007], FLOAT).exponential_(1.0)), "exponential_");

        for len in [1, 7, 101] {
            let table = weights(300, len, &mut TorchRng::new(seed + 1));
            let rows = Tensor::from_slice(&table).view([-1, len as i64]);
            let ours = table.chunks(len).map(|row| rng.multinomial_one(row).unwrap()).collect();
            assert_eq!(as_i64(ours), integers(&rows.multinomial(1, false)), "multinomial, rows of {len}");
            let ours = rng.multinomial_with_replacement(&table[..len], 10_007).unwrap();
            assert_eq!(as_i64(ours), integers(&rows.get(0).multinomial(10_007, true)), "multinomial with replacement");
            let ours = rng.multinomial_with_replacement(&table[..len], 1).unwrap();
            assert_eq!(as_i64(ours), integers(&rows.get(0).multinomial(1, true)), "multinomial, one with replacement");
        }
    }

    // a long run, and a skip over as much
    tch::manual_seed(12);
    let mut rng = TorchRng::new(12);
    let mut skipped = rng.clone();
    let len = 9_000_001;
    let torch = floats(&Tensor::empty([len as i64], FLOAT).uniform_(0.0, 1.0));
    assert_same_bits(&rng.uniform_vec(len, 0.0, 1.0).unwrap(), &torch, "long run");
    skipped.skip(len as u64);
    let torch = integers(&Tensor::randperm(100_003, (Kind::Int64, Device::Cpu)));
    assert_eq!(as_i64(rng.randperm(100_003).unwrap()), torch);
    assert_eq!(as_i64(skipped.randperm(100_003).unwrap()), torch);
}
