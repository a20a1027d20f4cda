//! N-gram laws, their data, and a training engine for small attention-only Transformers and low-rank models. Slices, never tensors: this
//! crate needs neither libtorch nor Python, and compiles for WebAssembly too. The models as tensors, autograd, interpretation, figures and
//! the notebook are above, in `ntgram-core`, which re-exports all of this.
//!
//! ```
//! use ntgram_engine::prelude::*;
//! # fn main() -> Result<()> {
//! let mut rng = TorchRng::new(2222); // torch.manual_seed(2222)
//! let pi = power_unif_law(&[1.0, 1.0, 1.0], &[10, 10, 1], 10, &mut rng)?;
//! let config = TransformerConfig { d_model: 5, n_vocab: 10, n_modules: 5, ..Default::default() };
//! let model = ModelConfig::Transformer(&config);
//! let mut values = model.initial_values(&mut rng)?;
//! let data = generate_data(512, 200, &pi, 3, &mut rng)?;
//! let options = TrainOptions::default().quiet();
//! let task = Task::new(model, Freeze::default(), &pi, &data, &options)?;
//! let history = train_values(&task, &mut values)?;
//! assert!(history.tail_loss() < history.loss[0]);
//! # Ok(()) }
//! ```
//!
//! # Letters
//!
//! | letter | meaning | name in code |
//! |---|---|---|
//! | `B` | batch size | `batch_size` |
//! | `T` | context window; `S ≤ T` positions of one input | `context_window` |
//! | `N` | vocabulary size | `n_vocab` |
//! | `d` | embedding dimension | `d_model` |
//! | `L` | layers | `n_layers` |
//! | `H` | attention modules side by side in a layer (the original's `para`) | `n_modules` |
//! | `d_h` | size of a module: `d`, unless the stream is compressed for the modules | `d_inner`, `d_module()` |
//! | `m`, `e = d_h/m` | heads inside a module, and their size | `n_heads` |
//! | `n` | order of the n-gram law | `order` |
//! | `π_i` | the law's table for token `i`, `(N,)*(i+1)` | `Law::table` |
//! | `E` | epochs: passes over the data | `epochs` |
//!
//! Losses, entropies and divergences are in nats.
//!
//! # Modules
//!
//! One direction: `error ← rng ← laws ← {data, models} ← engine ← train`; `files` beside them.

pub mod data;
pub mod engine;
pub mod error;
#[cfg(not(target_family = "wasm"))]
pub mod files;
pub mod laws;
pub mod models;
pub mod prelude;
pub mod rng;
pub mod train;

pub use error::{Error, Result};
pub use rand;

/// The README's code, compiled with the documentation's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
