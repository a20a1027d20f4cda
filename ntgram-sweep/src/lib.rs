//! Sweeps: many trainings, planned in a file, run on all cores of one machine or on a cluster, and gathered into one table.
//!
//! A [`Plan`] is a TOML file that a person writes; `docs/sweeps.md` of the repository says what may stand in it. Each of its [`Task`]s is one
//! training, independent of all others: its place in PyTorch's random stream is computed. A [`Store`] is a folder with one small file a
//! result, named by a digest of everything that decides it. [`sweep()`] computes what is missing; [`gather`](mod@gather) makes the tables.
//!
//! ```
//! use ntgram_sweep::{Options, Plan, Store, sweep};
//! # fn main() -> ntgram_engine::Result<()> {
//! let plan = Plan::parse(
//!     r#"
//!     [[experiment]]
//!     name = "heads"
//!     axes = { H = [1, 2] }
//!     repetitions = 3
//!     stream = { seed = 2222 }
//!     law = { kind = "power_unif", n_vocab = 6, alphas = [1, 1, 1], nb_tokens = [6, 6, 1], seed = 2222 }
//!     data = { batch_size = 32, num_batch = 8, context_window = 3 }
//!     model = { kind = "transformer", d_model = 3, n_modules = "H" }
//!     training = { lr = 0.01, epochs = 2 }
//!     "#,
//! )?;
//! # let folder = std::env::temp_dir().join(format!("ntgram-sweep-doc-{}", std::process::id()));
//! let store = Store::create(&folder)?;
//! let summary = sweep(plan.tasks(), &store, &Options::default(), &mut |_| ())?;
//! assert_eq!((summary.done, summary.total), (6, 6));
//! # std::fs::remove_dir_all(folder).unwrap();
//! # Ok(()) }
//! ```

pub mod gather;
mod material;
pub mod plan;
pub mod result;
pub mod run;
pub mod store;
pub mod submit;
pub mod task;
pub mod training;

pub use plan::Plan;
pub use run::{Options, Progress, Summary, sweep};
pub use store::{State, Store};
pub use task::Task;
