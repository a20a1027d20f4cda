//! Where the modules of a trained Transformer look: for each a map from the raw embeddings, as the original notebook draws it, and the
//! exact one below. Entry (a, b) is the weight on the first token when the pair is (b, a).
//!
//! ```sh
//! cargo run --example attention_maps -- maps.png
//! ```
//!
//! Without a name the picture goes into the folder for temporary files.

use ntgram_core::prelude::*;

fn main() -> Result<()> {
    let path = std::env::args_os().nth(1).map_or_else(|| std::env::temp_dir().join("ntgram-maps.png"), Into::into);

    // Two modules and no residual connection: what is known of the pair, the attention has brought.
    let mut rng = TorchRng::new(2222);
    let pi = power_unif_law(&[1.0; 3], &[10, 5, 1], 10, &mut rng)?;
    let skips = Skips { res_connection: true, ..Default::default() };
    let config = TransformerConfig { d_model: 5, n_vocab: 10, n_modules: 2, skips, ..Default::default() };
    let mut model = Transformer::new(&config, &pi, &mut rng)?;
    let data = generate_data(512, 4000, &pi, 3, &mut rng)?;
    let history = train(&mut model, &data, &TrainOptions::default().seed(2222))?;
    println!("Divergence {:.4} nats", history.tail_loss());

    let (mut approximate, mut exact) = (vec![], vec![]);
    for module in 0..2 {
        let map = attention_map(&model, 0, module)?;
        let true_map = exact_attention_map(&model, 0, module, 0)?;
        let apart = most(&values(&(&map - &true_map).abs())?);
        println!("Module {module}: the two maps differ by {apart:.2} at most");
        approximate.push(attention_heatmap(&map, &format!("Module {module}, raw embeddings"))?);
        exact.push(attention_heatmap(&true_map, &format!("Module {module}, exact"))?);
    }
    Figure::grid(2).with_all(approximate).with_all(exact).title("Attention to the first token").save(&path)?;
    println!("Saved to {}", path.display());
    Ok(())
}
