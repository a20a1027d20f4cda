//! N-gram laws, small attention-only Transformers trained on them, and tools to look inside: the experiments of a Python notebook,
//! in Rust, with the same numbers at the same seeds.
//!
//! Start with [`prelude`]:
//!
//! ```
//! use ntgram_core::prelude::*;
//! # fn main() -> Result<()> {
//! let mut rng = TorchRng::new(2108); // torch.manual_seed(2108)
//! let pi = last_position_law(&[10, 10], 10, 0.0, 0.95, &mut rng)?;
//! let mut model = LowRank::new(5, 10, 3, &pi, &mut rng)?;
//! let data = generate_data(512, 100, &pi, 3, &mut rng)?;
//! let history = train(&mut model, &data, &TrainOptions { progress: false, ..Default::default() })?;
//! println!("{:.3} nats above the law's entropy", history.tail_loss());
//! let w_u = gram(&model.w_u())?; // which tokens share directions
//! heatmap(&w_u)?.diverging().title("W_U W_Uᵀ").figure().save(std::env::temp_dir().join("w_u.png"))?;
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
//! | `H` | attention modules side by side in a layer (the original's `para`) | `parallel_heads` |
//! | `m`, `e = d/m` | heads inside a module, and their size | `n_heads` |
//! | `n` | order of the n-gram law | `order` |
//! | `π_i` | the law's table for token `i`, `(N,)*(i+1)` | `Law::table` |
//!
//! Losses, entropies and divergences are in nats.
//!
//! # Modules
//!
//! One direction: `error ← rng ← laws ← data`; `laws ← models`; `{data, models} ← train`; `models ← interp`; `plot` knows slices only;
//! `figures`, `table` and `notebook` on top.

pub(crate) mod cell;
pub mod data;
pub(crate) mod engine;
pub mod error;
pub mod figures;
pub mod interp;
pub mod interrupt;
pub mod laws;
mod listing;
pub mod models;
pub mod notebook;
mod numbers;
pub mod plot;
pub mod prelude;
pub mod rng;
pub mod table;
pub mod train;

pub use error::{Error, Result};
pub use polars;
pub use rand;
pub use tch;

/// The README's code, compiled with the documentation's examples.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
