//! Training through tch's autograd: any model, any window, any device. The readable oracle for the fast engine.

use ntgram_engine::laws::entropy;
use ntgram_engine::train::{Run, StepOutcome, Task};
use tch::{Device, Kind, Tensor};

use super::loss::Scored;
use super::{Adam, Engine, TrainOptions};
use crate::data::Data;
use crate::models::Model;
use crate::rng::TorchRng;

/// Adam's decays and the term added to the root of the second moment: PyTorch's defaults.
const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPS: f64 = 1e-8;

/// A training in progress. All trained parameters are one flat leaf, split into named views for each forward pass: one
/// gradient and one optimiser step for all.
pub(super) struct Autograd<'a> {
    model: &'a dyn Model,
    data: &'a Data,
    options: &'a TrainOptions,
    /// Where the next epoch's order comes from.
    rng: TorchRng,
    /// The order of the epoch under way.
    order: Vec<u32>,
    scored: Scored,
    entropy: f64,
    device: Device,
    /// Every parameter in the model's order: frozen ones whole, trained ones `None` with their place in `leaf`.
    frozen: Vec<Option<Tensor>>,
    shapes: Vec<Vec<i64>>,
    leaf: Tensor,
    sizes: Vec<i64>,
    m: Tensor,
    v: Tensor,
    steps_before: u64,
}

impl<'a> Autograd<'a> {
    pub(super) fn new(model: &'a dyn Model, task: &Task<'a>) -> Self {
        let (data, options) = (task.data(), task.options());
        let device = model.params().device();
        let freeze = model.frozen();
        let (mut frozen, mut shapes, mut trained, mut sizes) = (vec![], vec![], vec![], vec![]);
        let (mut m, mut v, mut at) = (vec![], vec![], 0);
        for (spec, tensor) in model.params().specs().iter().zip(model.params().tensors()) {
            shapes.push(tensor.size());
            if spec.is_frozen(&freeze) {
                frozen.push(Some(tensor.detach()));
            } else {
                frozen.push(None);
                sizes.push(spec.len() as i64);
                trained.push(tensor.detach().reshape([-1]));
                for (to, from) in [
                    (&mut m, options.adam.as_ref().map(|adam| &adam.m)),
                    (&mut v, options.adam.as_ref().map(|adam| &adam.v)),
                ] {
                    match from {
                        Some(from) => to.extend_from_slice(&from[at..at + spec.len()]),
                        None => to.resize(to.len() + spec.len(), 0.0),
                    }
                }
            }
            at += spec.len();
        }
        let leaf = Tensor::cat(&trained, 0).set_requires_grad(true);
        let flat = |values: &[f32]| Tensor::from_slice(values).to_device(device);
        let mut rng = options.first_rng();
        Self {
            model,
            data,
            options,
            order: data.next_shuffle(&mut rng),
            rng,
            scored: Scored::new(model.law(), data, options.loss, device),
            entropy: entropy(model.law()),
            device,
            frozen,
            shapes,
            m: flat(&m),
            v: flat(&v),
            steps_before: options.adam.as_ref().map_or(0, |adam| adam.steps),
            leaf,
            sizes,
        }
    }

    /// The same training in double precision: what rounding does to float32 shows against it.
    #[cfg(test)]
    pub(super) fn in_double(mut self) -> Self {
        let double = |tensor: &Tensor| tensor.detach().to_kind(Kind::Double);
        self.leaf = double(&self.leaf).set_requires_grad(true);
        self.frozen = self.frozen.iter().map(|tensor| tensor.as_ref().map(double)).collect();
        self
    }

    /// Every parameter in the model's order, trained ones as views of the leaf.
    fn params(&self) -> Vec<Tensor> {
        let mut trained = self.leaf.split_with_sizes(&self.sizes[..], 0).into_iter();
        let named = self.frozen.iter().zip(&self.shapes);
        named
            .map(|(frozen, shape)| match frozen {
                Some(tensor) => tensor.shallow_clone(),
                None => trained.next().expect("one part for each trained parameter").view(&shape[..]),
            })
            .collect()
    }

    /// Tokens of batch `k` of the epoch under way, `(B, S)`.
    fn batch(&self, k: usize) -> Tensor {
        let (size, window) = (self.data.batch_size(), self.data.context_window());
        let rows = &self.order[k * size..(k + 1) * size];
        let sequence = |&row: &u32| &self.data.tokens()[row as usize * window..(row as usize + 1) * window];
        let tokens: Vec<i64> = rows.iter().flat_map(sequence).map(|&token| i64::from(token)).collect();
        Tensor::from_slice(&tokens).view([size as i64, window as i64]).to_device(self.device)
    }

    /// Loss (nats, entropy taken off), accuracy and gradient of the trained parameters on batch `k` of the epoch under way.
    pub(super) fn loss_and_gradient(&self, k: usize) -> (StepOutcome, Tensor) {
        let tokens = self.batch(k);
        let logits = self.model.logits_of(&self.params(), &tokens);
        let (loss, accuracy) = self.scored.loss_and_accuracy(&logits, &tokens);
        // a loss that no trained parameter enters (a positional embedding that is skipped) has no graph to walk
        let gradient = match loss.requires_grad() {
            true => Tensor::run_backward(&[&loss], &[&self.leaf], false, false).remove(0),
            false => self.leaf.zeros_like(),
        };
        let outcome = StepOutcome { loss: loss.double_value(&[]) - self.entropy, accuracy: accuracy.double_value(&[]) };
        (outcome, gradient)
    }

    /// Copies one value for each trained one to its place among all values.
    fn spread(&self, trained: &Tensor, list: &mut [f32]) {
        let mut values = vec![0f32; trained.numel()];
        trained.detach().to_device(Device::Cpu).to_kind(Kind::Float).copy_data(&mut values, trained.numel());
        let (mut at, mut trained_at) = (0, 0);
        for (frozen, shape) in self.frozen.iter().zip(&self.shapes) {
            let len = shape.iter().product::<i64>() as usize;
            if frozen.is_none() {
                list[at..at + len].copy_from_slice(&values[trained_at..trained_at + len]);
                trained_at += len;
            }
            at += len;
        }
    }
}

impl Run for Autograd<'_> {
    fn engine(&self) -> Engine {
        Engine::Autograd
    }

    /// One optimiser step on batch `k` (Adam as PyTorch computes it).
    fn step(&mut self, k: usize) -> StepOutcome {
        let (epoch, batch) = (k / self.data.num_batch(), k % self.data.num_batch());
        if batch == 0 && epoch > 0 {
            self.order = self.data.next_shuffle(&mut self.rng);
        }
        let (outcome, gradient) = self.loss_and_gradient(batch);
        let lr = self.options.rate(epoch);
        let t = (self.steps_before + k as u64 + 1) as f64;
        let (bias_1, bias_2) = (1.0 - BETA_1.powf(t), 1.0 - BETA_2.powf(t));
        tch::no_grad(|| {
            self.m *= BETA_1;
            self.m += &gradient * (1.0 - BETA_1);
            self.v *= BETA_2;
            self.v += gradient.square() * (1.0 - BETA_2);
            let denominator = self.v.sqrt() / bias_2.sqrt() + EPS;
            self.leaf -= &self.m / denominator * (lr / bias_1);
        });
        outcome
    }

    fn values(&self) -> Vec<f32> {
        let mut values = self.model.params().to_flat();
        self.spread(&self.leaf, &mut values);
        values
    }

    fn finish(self: Box<Self>, steps: usize) -> (Vec<f32>, Adam) {
        let values = self.values();
        let (mut m, mut v) = (vec![0.0; values.len()], vec![0.0; values.len()]);
        self.spread(&self.m, &mut m);
        self.spread(&self.v, &mut v);
        (values, Adam { m, v, steps: self.steps_before + steps as u64 })
    }
}
