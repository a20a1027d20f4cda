//! Initial weights, data, batch order and losses of the notebook's trainings against PyTorch's.

mod common;

use common::{Run, assert_summary, floats, last_bits, reference, runs, values};
use ntgram_core::models::Parameters;
use ntgram_core::prelude::*;

fn assert_params(run: &str, which: &serde_json::Value, params: &Parameters, tolerance: f64) {
    let expected = which.as_object().unwrap();
    assert_eq!(expected.len(), params.specs().len(), "{run}: number of parameters");
    for (name, tensor) in params.iter() {
        assert_summary(&format!("{run}, {name}"), &expected[name], &values(tensor), tolerance);
    }
}

/// Initial weights to 1e-6; the first batch, row for row; the first 20 losses to 1e-5 (and the last bits of the float
/// that the entropy is taken off: cell 9's law, and so its losses, have the last digits of the processor's SVD).
fn starts_as_pytorch(cell: u32, engine: Engine) {
    let reference = reference(cell);
    for run in runs(cell) {
        let entropy = entropy(run.law());
        let Run { name, mut model, data, options, .. } = run;
        let what = format!("cell {cell}, {name}");
        assert_params(&what, &reference[format!("{name}.init")], model.params(), 1e-6);
        let expected = &reference[format!("{name}.train")];
        let order = data.shuffle(options.seed);
        for (k, row) in expected["first_batch_rows"].as_array().unwrap().iter().enumerate() {
            let row: Vec<u16> = floats(row).iter().map(|&t| t as u16).collect();
            assert_eq!(data.sequence(order[k] as usize).unwrap(), row, "{what}, row {k} of the first batch");
        }
        let losses = floats(&expected["loss_first"]);
        let options = TrainOptions { engine: Some(engine), max_batches: Some(losses.len()), ..options };
        let history = model.train(&data, &options).unwrap();
        for (k, (&loss, &expected)) in history.loss.iter().zip(&losses).enumerate() {
            let most = 1e-5 * expected.abs() + last_bits(expected + entropy);
            assert!((loss - expected).abs() <= most, "{what}, loss {k}: {loss} is not {expected} within {most:e}");
        }
    }
}

#[test]
fn cell_1_starts_as_pytorch() {
    starts_as_pytorch(1, Engine::Autograd);
}
#[test]
fn cell_2_starts_as_pytorch() {
    starts_as_pytorch(2, Engine::Autograd);
}
#[test]
fn cell_3_starts_as_pytorch() {
    starts_as_pytorch(3, Engine::Autograd);
}
#[test]
fn cell_4_starts_as_pytorch() {
    starts_as_pytorch(4, Engine::Autograd);
}
#[test]
fn cell_5_starts_as_pytorch() {
    starts_as_pytorch(5, Engine::Autograd);
}
#[test]
fn cell_6_starts_as_pytorch() {
    starts_as_pytorch(6, Engine::Autograd);
}
#[test]
fn cell_7_starts_as_pytorch() {
    starts_as_pytorch(7, Engine::Autograd);
}
#[test]
fn cell_9_starts_as_pytorch() {
    starts_as_pytorch(9, Engine::Autograd);
}
