//! What a training leaves behind besides the weights.

use super::{Adam, Engine, Snapshot};
use crate::rng::TorchRng;

/// Losses and accuracies of every batch of one training.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// For each batch the loss less the law's entropy: an estimate of the divergence from the law, nats. Taken before the step.
    pub loss: Vec<f64>,
    /// For each batch the share of scored positions whose most likely token is the next token. Taken before the step.
    pub accuracy: Vec<f64>,
    /// Which engine computed it.
    pub engine: Engine,
    /// Wall-clock seconds of the steps.
    pub seconds: f64,
    /// Seed of the shuffle it was trained with.
    pub seed: u64,
    /// The optimiser's state at the end, to go on from (`TrainOptions::adam`).
    pub adam: Adam,
    /// Parameters on the way, if [`TrainOptions::snapshots`](super::TrainOptions::snapshots) asked for them: before the first step, after
    /// every so many, and at the end.
    pub snapshots: Vec<Snapshot>,
    /// Whether the stop button ended it before its last batch (`interrupted` of `ntgram-core`).
    pub stopped: bool,
}

impl History {
    /// Mean loss of the last 100 batches (all, if there are fewer), nats.
    pub fn tail_loss(&self) -> f64 {
        mean_of_last(&self.loss, 100)
    }

    /// Mean accuracy of the last 100 batches (all, if there are fewer).
    pub fn tail_accuracy(&self) -> f64 {
        mean_of_last(&self.accuracy, 100)
    }

    /// Mean loss of the last `count` batches, nats.
    pub fn mean_loss_of_last(&self, count: usize) -> f64 {
        mean_of_last(&self.loss, count)
    }

    /// The original's tail, `sum(loss[-count:-1])/count`: the last batch is left out of the sum but not of the count, which makes
    /// it low by one part in `count`. For comparison with its published figures only.
    pub fn original_tail(&self, count: usize) -> f64 {
        let last = self.loss.len().saturating_sub(1);
        let first = self.loss.len().saturating_sub(count);
        self.loss[first.min(last)..last].iter().sum::<f64>() / count as f64
    }

    /// PyTorch's generator as the original's `train` leaves it: seeded with the training's seed, then the two 64-bit draws of its data
    /// loader. What the original draws next, without a seed of its own, comes from here.
    ///
    /// ```
    /// use ntgram_engine::prelude::*;
    /// # fn main() -> Result<()> {
    /// # let pi = power_unif_law(&[1.0; 3], &[5; 3], 5, &mut TorchRng::new(1))?;
    /// # let data = generate_data(64, 5, &pi, 3, &mut TorchRng::new(2))?;
    /// # let config = LowRankConfig { d_model: 2, n_vocab: 5, ..Default::default() };
    /// # let mut values = ModelConfig::LowRank(&config).initial_values(&mut TorchRng::new(3))?;
    /// # let options = TrainOptions::default().quiet();
    /// # let task = Task::new(ModelConfig::LowRank(&config), Freeze::default(), &pi, &data, &options)?;
    /// let history = train_values(&task, &mut values)?;
    /// let mut rng = history.rng();
    /// let more_data = generate_data(64, 5, &pi, 3, &mut rng)?; // as if one global stream ran on
    /// # Ok(()) }
    /// ```
    pub fn rng(&self) -> TorchRng {
        TorchRng::after_training(self.seed)
    }

    /// Steps per second.
    pub fn steps_per_second(&self) -> f64 {
        self.loss.len() as f64 / self.seconds
    }
}

fn mean_of_last(values: &[f64], count: usize) -> f64 {
    let tail = &values[values.len().saturating_sub(count)..];
    tail.iter().sum::<f64>() / tail.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(loss: Vec<f64>) -> History {
        let accuracy = vec![1.0; loss.len()];
        History {
            loss,
            accuracy,
            engine: Engine::Autograd,
            seconds: 2.0,
            seed: 0,
            adam: Adam { m: vec![], v: vec![], steps: 0 },
            snapshots: vec![],
            stopped: false,
        }
    }

    #[test]
    fn tails_are_the_true_mean_and_the_originals_99_over_100() {
        let history = history((0..200).map(f64::from).collect());
        assert_eq!(history.tail_loss(), 149.5);
        assert_eq!(history.original_tail(100), (100..199).sum::<i32>() as f64 / 100.0);
        assert_eq!(history.original_tail(10), (190..199).sum::<i32>() as f64 / 10.0);
        assert_eq!(history.steps_per_second(), 100.0);
    }

    #[test]
    fn tails_of_short_histories_use_what_there_is() {
        let history = history(vec![1.0, 2.0]);
        assert_eq!(history.tail_loss(), 1.5);
        assert_eq!(history.original_tail(100), 0.01);
    }
}
