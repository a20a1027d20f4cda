//! Trains a small Transformer on a trigram law, saves it, and loads it again.
//!
//! ```sh
//! cargo run --example train -- model.safetensors
//! ```
//!
//! Without a name the model goes into the folder for temporary files.

use ntgram_core::prelude::*;

fn main() -> Result<()> {
    let path =
        std::env::args_os().nth(1).map_or_else(|| std::env::temp_dir().join("ntgram-model.safetensors"), Into::into);

    // A law: ten tokens. In each of the 100 contexts one token is certain to come next.
    let mut rng = TorchRng::new(666); // torch.manual_seed(666)
    let pi = power_unif_law(&[1.0; 3], &[10, 10, 1], 10, &mut rng)?;
    println!("Entropy {:.3} nats; knowing nothing costs {:.3}", entropy(&pi), pi.log_n_minus_entropy());

    // Data: 3000 batches of 512 sequences.
    let data = generate_data(512, 3000, &pi, 3, &mut rng)?;

    // A model: ten tokens in five dimensions, ten attention modules side by side.
    let config = TransformerConfig { d_model: 5, n_vocab: 10, n_modules: 10, ..Default::default() };
    let mut model = Transformer::new(&config, &pi, &mut rng)?;

    let history = train(&mut model, &data, &TrainOptions::lr(3e-3))?;
    println!("Divergence {:.4} nats, {:.0} % right", history.tail_loss(), 100.0 * history.tail_accuracy());

    // A file is a whole model: sizes and law are in it too.
    model.save(&path)?;
    let loaded = Transformer::load(&path)?;
    assert_eq!(loaded.params().to_flat(), model.params().to_flat());
    println!("Saved to {}", path.display());
    Ok(())
}
