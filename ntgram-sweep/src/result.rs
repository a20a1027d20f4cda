//! What a training came to, and the file that keeps it.

use ntgram_engine::engine::instructions;
use ntgram_engine::train::{Engine, History};
use serde::{Deserialize, Serialize};

use crate::training::{Training, digest};

/// The version that results are written with.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A result, with all that tells what it is the result of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskResult {
    /// The [key](Training::key) of the training.
    pub key: String,
    /// The version of the program that computed it.
    pub version: String,
    /// The engine.
    pub engine: String,
    /// The vector instructions that it used: results are the same to the last bit on processors that have the same.
    pub instructions: String,
    /// What was trained.
    pub training: Training,
    /// What it came to.
    pub outcome: Outcome,
}

/// What a training came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Steps that were made.
    pub steps: usize,
    /// Seconds that they took, on one thread.
    pub seconds: f64,
    /// Parameters of the model.
    pub parameters: usize,
    /// Divergence of the uniform guess, `log N − H`, nats.
    pub unif_loss: f64,
    /// The measures at its end; `None` where it diverged: a loss or a parameter was no longer finite.
    pub tails: Option<Tails>,
    /// Mean loss of each epoch, nats; of a training that diverged, as far as they are finite.
    pub loss_by_epoch: Vec<f64>,
    /// Mean accuracy of each epoch.
    pub accuracy_by_epoch: Vec<f64>,
}

/// Means over the end of a training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tails {
    /// Mean accuracy of the last 100 batches.
    pub accuracy: f64,
    /// The paper's: the mean over the 100 batches before the last ([`History::original_accuracy`]).
    pub original_accuracy: f64,
    /// Mean loss of the last 100 batches, nats.
    pub loss: f64,
    /// The notebook's: 99 values over 100 ([`History::original_tail`]).
    pub original_loss: f64,
}

impl Tails {
    /// Of a training that came to its end.
    pub fn of(history: &History) -> Self {
        Self {
            accuracy: history.tail_accuracy(),
            original_accuracy: history.original_accuracy(),
            loss: history.tail_loss(),
            original_loss: history.original_tail(100),
        }
    }
}

/// The file of a result: the result, and a digest of its JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    seal: String,
    result: TaskResult,
}

impl TaskResult {
    /// A result of this program.
    pub fn new(training: &Training, outcome: Outcome) -> Self {
        Self {
            key: training.key(),
            version: VERSION.to_owned(),
            engine: Engine::Circuit.to_string(),
            instructions: instructions().to_owned(),
            training: training.clone(),
            outcome,
        }
    }

    /// The bytes of its file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let seal = digest(&serde_json::to_vec(self).expect("finite numbers have a JSON"));
        let mut bytes = serde_json::to_vec_pretty(&Sealed { seal, result: self.clone() }).expect("as above");
        bytes.push(b'\n');
        bytes
    }

    /// The result in a file's bytes, if they are all as they were written; else what is wrong with them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let sealed: Sealed = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        // every byte counts: the file must be what would be written for this result
        if sealed.result.to_bytes() != bytes {
            return Err("its content is not what its seal says".to_owned());
        }
        if sealed.result.training.key() != sealed.result.key {
            return Err("its key is not that of its training".to_owned());
        }
        Ok(sealed.result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    /// Every number of a result must come back as it was, to the last bit.
    #[test]
    fn results_come_back_as_they_were_written() {
        let plan = Plan::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../plans/paper.toml")).unwrap();
        let mut rng = ntgram_engine::rng::TorchRng::new(4);
        for task in plan.tasks().iter().step_by(40) {
            let mut number = || f64::from_bits(rng.draw64() >> 2);
            let tails =
                Tails { accuracy: number(), original_accuracy: number(), loss: number(), original_loss: number() };
            let outcome = Outcome {
                steps: 3,
                seconds: number(),
                parameters: 7,
                unif_loss: number(),
                tails: Some(tails),
                loss_by_epoch: (0..100).map(|_| number()).collect(),
                accuracy_by_epoch: vec![],
            };
            let result = TaskResult::new(&task.training, outcome);
            assert_eq!(TaskResult::from_bytes(&result.to_bytes()), Ok(result));
        }
    }
}
