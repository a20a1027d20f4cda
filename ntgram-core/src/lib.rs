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
//! let history = train(&mut model, &data, &TrainOptions::default().quiet())?;
//! println!("{:.3} nats above the law's entropy", history.tail_loss());
//! let w_u = gram(&model.w_u())?; // which tokens share directions
//! heatmap(&w_u)?.diverging().title("W_U W_Uᵀ").figure().save(std::env::temp_dir().join("w_u.png"))?;
//! # Ok(()) }
//! ```
//!
//! # Crates and modules
//!
//! [`data`], [`error`] and [`rng`], the laws' tables, the models' sizes and the training engine are of `ntgram-engine`, which knows slices
//! only; this crate re-exports them and adds what needs tensors. The letters used in shapes (`B`, `T`, `N`, `d`, `H`, …) are explained there
//! ([`ntgram_engine`]). One direction: `{laws, models} ← train`; `models ← interp`; `plot` knows slices only; `figures`, `table` and
//! `notebook` on top.
//!
//! # Names
//!
//! | here | TransformerLens | the original notebook |
//! |---|---|---|
//! | module (`H` of them side by side), `n_modules` | – (one multi-head layer) | `para`, `parallel_heads`, "head" |
//! | head (inside a module), `n_heads` | `n_heads` | `nb_head` |
//! | `d_model`, `n_vocab`, `n_layers`, `context_window` | `d_model`, `d_vocab`, `n_layers`, `n_ctx` | `d`, `N`, `nb_layers`, `context_window` |
//! | `w_e`, `w_pos`, `w_u (N, d)` | `W_E`, `W_pos`, `W_U` (`(d, N)`) | `word_emb`, `pos_emb`, `unemb` |
//! | `w_q`, `w_k`, `w_v`, `w_o` of [`weights`](models::Transformer::weights) | `W_Q`, `W_K`, `W_V`, `W_O` | `in_proj_weight`, `out_proj.weight` |
//! | `w_c`, `w_d`; `d_inner` | – ; `d_head` times `n_heads` | `linear_compress`, `linear_decompress`; `d_head` (in the paper's code) |
//! | [`Activations`](models::Activations) | activation cache | `computations` (`out_computation=True`) |
//! | `res_0`, `res_after_attn`, `res_after_mlp` | `hook_resid_pre`, `hook_resid_mid`, `hook_resid_post` | the same |
//! | `attention_pattern` | `hook_pattern` | – |
//! | `attn_out` (of each module) | `hook_attn_out` (of the layer), `hook_result` (of each head) | `para_{j}_layer_{i}` |
//! | [`Attribution`](interp::Attribution), [`back_track`](interp::back_track) | direct logit attribution | `back_track` |
//! | [`qk_circuit`](interp::qk_circuit), [`ov_circuit`](interp::ov_circuit) | `QK`, `OV` (`FactoredMatrix`) | – |
//! | [`divergence`](models::divergence) | – | `compute_div` |
//! | [`Loss::FullDivergence`](train::Loss) | – | `next_token=False` |
//! | [`TrainOptions::epochs`](train::TrainOptions::epochs), [`Schedule`](train::Schedule) | – | `epochs`, `lr` and `lr_low` (in the paper's code) |

pub(crate) mod cell;
pub mod exercise;
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
pub mod statistics;
pub mod sweep;
pub mod table;
pub mod tensors;
mod torch;
pub mod toy;
pub mod train;

pub use ntgram_engine;
pub use ntgram_engine::{Error, Result, data, error, files, rng};
pub use polars;
pub use rand;
pub use tch;

/// The README's code, compiled with the documentation's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The repository's README, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct RepositoryReadme;
