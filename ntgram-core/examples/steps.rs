//! Times the training steps of one configuration, for `make bench`:
//!
//! ```sh
//! steps circuit|autograd model=low_rank|notebook|paper n_vocab=10 d_model=5 batch_size=512 n_modules=5 window=3 order=3 d_inner=5 \
//!     n_layers=1 width=0 steps=5000
//! ```
//!
//! It prints the most memory that the training took beside model and data (bytes; Linux only, else NaN), the size of parameters and
//! Adam's moments, the size of the data, and steps per second, preparation of the batches included.
//!
//! Data are uniform random tokens, as the peers' are: the most distinct contexts a batch can hold. For the paper's models the last token
//! is certain: their law has entropy 0.

use ntgram_core::prelude::*;
use std::collections::HashMap;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: HashMap<&str, &str> = arguments.iter().filter_map(|word| word.split_once('=')).collect();
    let word = |name: &str| *words.get(name).unwrap_or_else(|| panic!("{name}=… is missing"));
    let number = |name: &str| word(name).parse::<usize>().unwrap_or_else(|_| panic!("{name}=… must be a number"));
    let engine = match arguments.first().map(String::as_str) {
        Some("circuit") => Engine::Circuit,
        Some("autograd") => Engine::Autograd,
        _ => panic!("the first word must be circuit or autograd"),
    };
    let (kind, n_vocab, d_model) = (word("model"), number("n_vocab"), number("d_model"));
    let (order, window) = (number("order"), number("window"));

    let mut rng = TorchRng::new(0);
    let mut followers = vec![n_vocab; order];
    if kind == "paper" {
        followers[order - 1] = 1;
    }
    let pi = power_unif_law(&vec![1.0; order], &followers, n_vocab, &mut rng)?;
    entropy(&pi); // the law keeps it
    let data = sample_data(number("batch_size"), number("steps"), &pi, window, &mut rng)?;
    let of_kind = match kind {
        "low_rank" => {
            let mut model = LowRank::new(d_model, n_vocab, window, &pi, &mut rng)?;
            return time(&mut model, &data, engine);
        }
        "notebook" => TransformerConfig { d_model, n_vocab, ..Default::default() },
        "paper" => TransformerConfig::of_paper(n_vocab, d_model, number("d_inner")),
        _ => panic!("model=… must be low_rank, notebook or paper"),
    };
    let width = number("width");
    let config = TransformerConfig {
        n_modules: number("n_modules"),
        n_layers: number("n_layers"),
        context_window: window,
        width,
        depth: (width > 0).into(),
        ..of_kind
    };
    time(&mut Transformer::new(&config, &pi, &mut rng)?, &data, engine)
}

fn time(model: &mut dyn Model, data: &Data, engine: Engine) -> Result<()> {
    let options = TrainOptions { engine: Some(engine), ..Default::default() }.quiet();
    let before = resident("VmRSS:");
    let history = train(model, data, &options)?;
    let grown = resident("VmHWM:") - before;
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
