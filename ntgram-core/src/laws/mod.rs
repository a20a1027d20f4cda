//! The laws of the original notebook. Tables, entropy and the laws without libtorch's arithmetic are `ntgram-engine`'s
//! ([`ntgram_engine::laws`]) and re-exported here; the others are made in this module.

mod generators;

pub use generators::{
    AlmostRankOptions, DirectionsOptions, almost_rank_d, first_position_law, gen_d_law, last_position_law,
};
pub use ntgram_engine::laws::*;
