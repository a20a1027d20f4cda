//! Times the training steps of one configuration: `steps low|tr N d H B STEPS circuit|autograd [THREADS]` prints steps per second,
//! preparation of the batches included. `make bench` calls it.
//!
//! Data are uniform random tokens, as the peers' are: the most distinct contexts a batch can hold.

use ntgram_core::prelude::*;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = "steps low|tr N d H B STEPS circuit|autograd [THREADS]";
    let number = |k: usize| -> usize { arguments.get(k).and_then(|text| text.parse().ok()).expect(usage) };
    let (n_vocab, d_model, parallel_heads, batch_size, steps) = (number(1), number(2), number(3), number(4), number(5));
    let engine = match arguments.get(6).map(String::as_str) {
        Some("circuit") => Engine::Circuit,
        Some("autograd") => Engine::Autograd,
        _ => panic!("{usage}"),
    };
    let threads = arguments.get(7).map(|_| number(7));

    let mut rng = TorchRng::new(0);
    let pi = power_unif_law(&[1.0; 3], &[n_vocab; 3], n_vocab, &mut rng)?;
    let data = sample_data(batch_size, steps, &pi, 3, &mut rng)?;
    let options = TrainOptions { engine: Some(engine), threads, progress: false, ..Default::default() };
    let history = if arguments[0] == "low" {
        train(&mut LowRank::new(d_model, n_vocab, 3, &pi, &mut rng)?, &data, &options)?
    } else {
        let config = TransformerConfig { d_model, n_vocab, parallel_heads, ..Default::default() };
        train(&mut Transformer::new(&config, &pi, &mut rng)?, &data, &options)?
    };
    println!("{}", history.steps_per_second());
    Ok(())
}
