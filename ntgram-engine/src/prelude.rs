//! Everything a program without tensors needs: `use ntgram_engine::prelude::*;`.

pub use crate::data::{Data, generate_data, sample_data};
pub use crate::error::{Error, Result};
pub use crate::laws::{Law, Sequences, entropy, generate_each, power_unif_law};
pub use crate::models::{Freeze, LowRankConfig, ModelConfig, Norm, Skips, TransformerConfig};
pub use crate::rng::TorchRng;
pub use crate::train::{
    Adam, Engine, History, Loss, Schedule, Snapshot, Snapshots, Task, TrainOptions, stream_words, train_values,
};
