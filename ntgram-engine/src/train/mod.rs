//! Training on flat parameters: options, what a training leaves behind, and the loop that drives the steps of any engine.

mod history;
mod lot;
mod options;
mod progress;
mod run;
mod snapshot;
mod task;

pub use crate::engine::{AdamState as Adam, Loss, StepOutcome};
pub use history::History;
pub use lot::side_by_side;
pub use options::{Engine, Schedule, Snapshots, TrainOptions, stream_words};
pub use run::{Run, Watch, drive, train_values};
pub use snapshot::Snapshot;
pub use task::Task;
