//! The page's half that computes: the lesson's models, trained by the engine crate, with what the page draws of them. `page/` is the
//! other half. Compiled to WebAssembly it talks in JSON with the page's worker ([`talk`], `exports`); compiled for this machine it is an
//! ordinary library, which the tests compare with the notebook's numbers.
//!
//! ```
//! use ntgram_web::{Session, Settings};
//! # fn main() -> ntgram_engine::Result<()> {
//! let mut session = Session::start(Settings::default(), None)?; // sections 2 and 3 of the lesson
//! let before = session.view(vec![]);
//! let losses = session.advance(500)?;
//! let after = session.view(losses);
//! assert_eq!((before.right(), after.right()), (11, 100)); // of 100 contexts
//! # Ok(()) }
//! ```
//!
//! Letters as in the engine crate: `N` tokens, `d` dimensions, `H` attention modules. Divergences are in nats.
//!
//! One direction: `settings ← {logits, geometry} ← session ← talk ← exports`.

#[cfg(target_family = "wasm")]
mod exports;
mod geometry;
mod logits;
mod session;
mod settings;
pub mod talk;

pub use geometry::Vectors;
pub use session::{Session, View};
pub use settings::{Model, Settings};
