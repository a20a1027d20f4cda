//! What a training leaves behind besides the weights.

use super::{Adam, Engine, Snapshot};
use crate::rng::TorchRng;

/// Losses and accuracies of every batch of one training, in all its epochs.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// For each batch the loss less the law's entropy: an estimate of the divergence from the law, nats. Taken before the step.
    pub loss: Vec<f64>,
    /// For each batch the share of scored positions whose most likely token is the next token. Taken before the step.
    pub accuracy: Vec<f64>,
    /// Batches of each epoch; the last epoch that was begun may have fewer.
    pub batches_per_epoch: usize,
    /// Adam's learning rate in each epoch that was begun.
    pub lr_by_epoch: Vec<f64>,
    /// Which engine computed it.
    pub engine: Engine,
    /// Wall-clock seconds of the steps.
    pub seconds: f64,
    /// PyTorch's generator as the training leaves it.
    pub rng: TorchRng,
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

    /// Mean loss of each epoch that was begun, over its batches so far, nats.
    pub fn loss_by_epoch(&self) -> Vec<f64> {
        self.mean_by_epoch(&self.loss)
    }

    /// Mean accuracy of each epoch that was begun, over its batches so far.
    ///
    /// ```
    /// use ntgram_engine::prelude::*;
    /// # fn main() -> Result<()> {
    /// # let pi = power_unif_law(&[1.0; 3], &[5, 5, 1], 5, &mut TorchRng::new(1))?;
    /// # let data = generate_data(64, 5, &pi, 3, &mut TorchRng::new(2))?;
    /// # let config = LowRankConfig { d_model: 2, n_vocab: 5, ..Default::default() };
    /// # let mut values = ModelConfig::LowRank(&config).initial_values(&mut TorchRng::new(3))?;
    /// # let options = TrainOptions::lr(0.1).quiet();
    /// # let task = Task::new(ModelConfig::LowRank(&config), Freeze::default(), &pi, &data, &options)?;
    /// let history = train_values(&task, &mut values)?;
    /// assert_eq!(history.accuracy_by_epoch(), [history.tail_accuracy()]); // one epoch of five batches
    /// # Ok(()) }
    /// ```
    pub fn accuracy_by_epoch(&self) -> Vec<f64> {
        self.mean_by_epoch(&self.accuracy)
    }

    fn mean_by_epoch(&self, of_batches: &[f64]) -> Vec<f64> {
        of_batches.chunks(self.batches_per_epoch.max(1)).map(|epoch| mean_of_last(epoch, epoch.len())).collect()
    }

    /// The paper's accuracy of a training, `sum(accuracy[-101:-1])/100`: the mean over the 100 batches before the last. Of a training of 100
    /// batches or fewer, what there is before the last is divided by 100 too.
    pub fn original_accuracy(&self) -> f64 {
        let last = self.accuracy.len().saturating_sub(1);
        self.accuracy[last.saturating_sub(100)..last].iter().sum::<f64>() / 100.0
    }

    /// The original's tail, `sum(loss[-count:-1])/count`: the last batch is left out of the sum but not of the count, which makes
    /// it low by one part in `count`. For comparison with its published figures only.
    pub fn original_tail(&self, count: usize) -> f64 {
        let last = self.loss.len().saturating_sub(1);
        let first = self.loss.len().saturating_sub(count);
        self.loss[first.min(last)..last].iter().sum::<f64>() / count as f64
    }

    /// PyTorch's generator as the original's `train` leaves it, a copy: seeded with the training's seed (or as the training's options gave
    /// it), then the two 64-bit draws of the data loader for each epoch that was begun. What the original draws next, without a seed of its
    /// own, comes from here.
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
        self.rng.clone()
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
            batches_per_epoch: 80,
            lr_by_epoch: vec![],
            engine: Engine::Autograd,
            seconds: 2.0,
            rng: TorchRng::new(0),
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
    fn epochs_are_told_apart() {
        let mut history = history((0..200).map(f64::from).collect());
        history.accuracy = history.loss.iter().map(|k| k / 1000.0).collect();
        // batches 0 to 79, 80 to 159, and the 40 of an epoch that was stopped
        assert_eq!(history.loss_by_epoch(), [39.5, 119.5, 179.5]);
        let near = |got: f64, expected: f64| assert!((got - expected).abs() < 1e-12, "{got}, {expected}");
        history.accuracy_by_epoch().iter().zip([0.0395, 0.1195, 0.1795]).for_each(|(&got, mean)| near(got, mean));
        // batches 99 to 198
        near(history.original_accuracy(), 0.1485);
        history.accuracy = vec![0.5; 3];
        near(history.original_accuracy(), 0.01);
    }

    #[test]
    fn tails_of_short_histories_use_what_there_is() {
        let history = history(vec![1.0, 2.0]);
        assert_eq!(history.tail_loss(), 1.5);
        assert_eq!(history.original_tail(100), 0.01);
    }
}
