//! Times the training steps of one configuration: `steps low|tr N d H B STEPS circuit|autograd [THREADS]` prints the most memory that the
//! training took beside model and data (bytes; Linux only, else NaN), the size of parameters and Adam's moments, the size of the data, and
//! steps per second, preparation of the batches included. `make bench` calls it.
//!
//! Data are uniform random tokens, as the peers' are: the most distinct contexts a batch can hold.

use ntgram_core::prelude::*;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = "steps low|tr N d H B STEPS circuit|autograd [THREADS]";
    let number = |k: usize| -> usize { arguments.get(k).and_then(|text| text.parse().ok()).expect(usage) };
    let (n_vocab, d_model, n_modules, batch_size, steps) = (number(1), number(2), number(3), number(4), number(5));
    let engine = match arguments.get(6).map(String::as_str) {
        Some("circuit") => Engine::Circuit,
        Some("autograd") => Engine::Autograd,
        _ => panic!("{usage}"),
    };
    let threads = arguments.get(7).map(|_| number(7));

    let mut rng = TorchRng::new(0);
    let pi = power_unif_law(&[1.0; 3], &[n_vocab; 3], n_vocab, &mut rng)?;
    entropy(&pi); // the law keeps it
    let data = sample_data(batch_size, steps, &pi, 3, &mut rng)?;
    let options = TrainOptions { engine: Some(engine), threads, progress: false, ..Default::default() };
    let (history, grown) = if arguments[0] == "low" {
        let mut model = LowRank::new(d_model, n_vocab, 3, &pi, &mut rng)?;
        let before = resident("VmRSS:");
        (train(&mut model, &data, &options)?, resident("VmHWM:") - before)
    } else {
        let config = TransformerConfig { d_model, n_vocab, n_modules, ..Default::default() };
        let mut model = Transformer::new(&config, &pi, &mut rng)?;
        let before = resident("VmRSS:");
        (train(&mut model, &data, &options)?, resident("VmHWM:") - before)
    };
    let state = 3 * size_of::<f32>() * history.adam.m.len();
    println!("{grown} {state} {} {}", size_of_val(data.tokens()), history.steps_per_second());
    Ok(())
}

/// The process's memory now (`VmRSS:`, which also starts a new count of the peak) or at its peak (`VmHWM:`), in bytes.
fn resident(which: &str) -> f64 {
    if which == "VmRSS:" {
        let _ = std::fs::write("/proc/self/clear_refs", "5");
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found =
        status.lines().find_map(|line| line.strip_prefix(which)).and_then(|rest| rest.split_whitespace().next());
    found.and_then(|kb| kb.parse::<f64>().ok()).map_or(f64::NAN, |kb| kb * 1024.0)
}
