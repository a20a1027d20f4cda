//! The notebook's laws against PyTorch's numbers in `reference/` (see its README).

use ntgram_core::laws::{
    DirectionsOptions, Law, almost_rank_d, entropy, gen_d_law, generate_each, last_position_law, power_unif_law,
};
use ntgram_core::rng::TorchRng;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

fn reference(cell: usize) -> Value {
    let path = format!("{}/tests/reference/c{cell}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// Shape, first 12 and last 6 entries to 1e-6 relative (the file has seven digits), sums to 1e-6 relative.
fn assert_law(law: &Law, summary: &Value, what: &str) {
    let tables = summary["laws"].as_array().unwrap();
    assert_eq!(law.order(), tables.len(), "{what}");
    let close =
        |a: f64, b: f64, part: &str| assert!((a - b).abs() <= 1e-6 * b.abs(), "{what}, {part}: {a}, torch's {b}");
    for (i, expected) in tables.iter().enumerate() {
        let table: Vec<f64> = law.table(i).unwrap().iter().map(|p| f64::from(*p)).collect();
        assert_eq!(numbers(&expected["shape"]), vec![law.n_vocab() as f64; i + 1], "{what}");
        let (head, tail) = (numbers(&expected["head"]), numbers(&expected["tail"]));
        head.iter().zip(&table).for_each(|(b, a)| close(*a, *b, "head"));
        tail.iter().rev().zip(table.iter().rev()).for_each(|(b, a)| close(*a, *b, "tail"));
        close(table.iter().sum(), expected["sum"].as_f64().unwrap(), "sum");
        close(table.iter().map(|p| p * p).sum(), expected["sumsq"].as_f64().unwrap(), "sum of squares");
    }
    let expected = summary["entropy"].as_f64().unwrap();
    assert!((entropy(law) - expected).abs() <= 1e-6, "{what}, entropy: {}, torch's {expected}", entropy(law));
}

#[test]
fn power_unif_laws_of_cells_1_to_6() {
    #[allow(clippy::type_complexity)]
    let settings: [(usize, u64, usize, [f64; 3], [usize; 3]); 6] = [
        (1, 2222, 100, [1.0; 3], [40, 40, 1]),
        (2, 666, 10, [1.0; 3], [10, 10, 1]),
        (3, 2222, 100, [0.9, 0.9, 0.6], [100; 3]),
        (4, 666, 100, [1.0; 3], [40, 40, 1]),
        (5, 666, 100, [1.0; 3], [10, 10, 1]),
        (6, 2222, 10, [1.0; 3], [10, 5, 1]),
    ];
    for (cell, seed, n_vocab, alphas, nb_tokens) in settings {
        let law = power_unif_law(&alphas, &nb_tokens, n_vocab, &mut TorchRng::new(seed)).unwrap();
        assert_law(&law, &reference(cell)["law"], &format!("cell {cell}"));
    }
}

#[test]
fn last_position_law_of_cell_7() {
    let law = last_position_law(&[10, 10], 10, 0.0, 0.95, &mut TorchRng::new(2108)).unwrap();
    assert_law(&law, &reference(7)["law"], "cell 7");
    // the cell's examples: the right token of each of the 100 contexts
    let examples = generate_each(&law, 0.1 / 100.0).unwrap();
    assert_eq!(examples.rows(), 100);
    assert_eq!(examples.tokens()[..15], [8, 1, 0, 7, 2, 0, 8, 2, 0, 1, 4, 0, 6, 6, 0]);
}

#[test]
fn examples_of_cell_6() {
    let law = power_unif_law(&[1.0; 3], &[10, 5, 1], 10, &mut TorchRng::new(2222)).unwrap();
    let ours = generate_each(&law, 1e-10).unwrap();
    let rows: Vec<Vec<f64>> = ours.iter().map(|s| s.iter().map(|t| f64::from(*t)).collect()).collect();
    let torch = |part: &str| -> Vec<Vec<f64>> {
        reference(6)["examples"][part].as_array().unwrap().iter().map(numbers).collect()
    };
    assert_eq!(ours.rows(), 50);
    assert_eq!(rows[..12], torch("first"));
    assert_eq!(rows[47..], torch("last"));
}

#[test]
fn gen_d_laws_of_cell_8() {
    let dims = &reference(8)["dims"];
    let law = |d, axis_aligned, rng: &mut TorchRng| {
        gen_d_law(&[10, 10], 10, d, &DirectionsOptions { axis_aligned, ..Default::default() }, rng).unwrap()
    };
    // Each block of three trainings ends at seed 3 (d + 1), and the random baseline after it draws 30 (10, 5) normals.
    let (first, w) = law(5, true, &mut TorchRng::new(666));
    assert_law(&first, &dims["5"]["axis_aligned.law"], "d = 5, aligned");
    assert_eq!(w, Tensor::eye(10, (Kind::Float, Device::Cpu)).narrow(1, 0, 5), "first columns of the identity");
    let (second, w) = law(5, false, &mut TorchRng::after_training(18));
    assert_law(&second, &dims["5"]["non_axis_aligned.law"], "d = 5, not aligned");
    assert_eq!(w.size(), [10, 5]);
    let mut rng = TorchRng::after_training(30);
    (0..30).for_each(|_| drop(rng.randn(50).unwrap()));
    assert_law(&law(10, true, &mut rng).0, &dims["10"]["axis_aligned.law"], "d = 10, aligned");
    let mut rng = TorchRng::after_training(33);
    assert_law(&law(10, false, &mut rng).0, &dims["10"]["non_axis_aligned.law"], "d = 10, not aligned");
}

#[test]
fn almost_rank_d_law_of_cell_9() {
    let law = almost_rank_d(&[10, 10], 10, 6, &Default::default(), &mut TorchRng::new(66)).unwrap();
    assert_law(&law, &reference(9)["law"], "cell 9");
}

/// `power_unif_law` adds its powers up as libtorch does, to the last bit: a row of every length, with steep and flat powers.
#[test]
fn sums_of_powers_are_libtorchs_bit_for_bit() {
    for n_vocab in (1..300).chain([511, 512, 513, 1000, 2047, 4096, 10_000, 32_000]) {
        for alpha in [0.999, 0.9, 0.6, 1.001] {
            let powers: Vec<f32> = (0..n_vocab).map(|k| f64::powf(alpha, k as f64) as f32).collect();
            let tensor = Tensor::from_slice(&powers);
            let Ok(base) = Vec::<f32>::try_from(&tensor / tensor.sum(Kind::Float)) else { panic!("a list") };
            let Ok(law) = power_unif_law(&[alpha], &[n_vocab], n_vocab, &mut TorchRng::new(1)) else {
                assert!(base.iter().any(|x| !x.is_finite()), "alpha {alpha}, N {n_vocab}");
                continue;
            };
            let order = TorchRng::new(1).randperm(n_vocab as u32).unwrap();
            let expected: Vec<f32> = order.iter().map(|&j| base[j as usize]).collect();
            assert_eq!(law.last_table(), expected, "alpha {alpha}, N {n_vocab}");
        }
    }
}
