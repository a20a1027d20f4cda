//! A training as the page has it: started from a seed, advanced a few steps at a time, its law and learning rate changed on the way.

use nalgebra::DMatrix;
use ntgram_engine::data::{Data, sample_data};
use ntgram_engine::engine::Trainer;
use ntgram_engine::laws::{Law, entropy};
use ntgram_engine::models::Freeze;
use ntgram_engine::rng::TorchRng;
use ntgram_engine::train::{Adam, Loss, Task, TrainOptions};
use ntgram_engine::{Error, Result};
use serde::Serialize;

use crate::geometry::{Vectors, balanced};
use crate::logits::{logits, unembedding};
use crate::settings::{ORDER, Settings, Sizes, check_p};

/// What must not be.
const OVER: &str = "no error has ended this session";
/// Sequences of a batch, as in the lesson.
const BATCH: usize = 512;
/// Batches of the first pass, as in the lesson: up to there the numbers are the lesson's.
pub(crate) const FIRST_PASS: usize = 5000;
/// Batches of every later pass: few, so that they are drawn within a frame.
const LATER_PASS: usize = 500;

/// One training. After an error of [`Session::advance`] it is over: nothing more may be asked of it.
///
/// The order of draws is the lesson's: the law from a generator of its own, then from a second one the data of the first pass, the initial
/// values, and, pass by pass, the data of what follows. `data` is kept for the next session, which may start from the same.
pub struct Session {
    settings: Settings,
    sizes: Sizes,
    law: Law,
    data: FirstPass,
    rng: TorchRng,
    /// None after an error of `advance` only.
    trainer: Option<Trainer>,
    passes: u64,
    steps: u64,
}

/// The data of the first pass, the generator behind it, and for which tokens, `p` and seed they are.
#[derive(Clone)]
struct FirstPass {
    of: (usize, f64, u64),
    law: Law,
    data: std::rc::Rc<Data>,
    rng: TorchRng,
}

impl FirstPass {
    fn draw(settings: &Settings) -> Result<Self> {
        let law = settings.law()?;
        let mut rng = TorchRng::new(settings.seed);
        let data = std::rc::Rc::new(sample_data(BATCH, FIRST_PASS, &law, ORDER, &mut rng)?);
        Ok(Self { of: Self::key(settings), law, data, rng })
    }

    fn key(settings: &Settings) -> (usize, f64, u64) {
        (settings.tokens, settings.p, settings.seed)
    }
}

/// What the page draws.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct View {
    /// Of which model and law.
    pub of: Settings,
    /// Steps done.
    pub step: u64,
    /// Loss of each batch since the last view, before its step: an estimate of the divergence, nats.
    pub losses: Vec<f64>,
    /// Mean divergence of the model from the law over all contexts, nats.
    pub divergence: f64,
    /// Entropy of the law, nats.
    pub entropy: f64,
    /// The likely next token of each context, `(N, N)`, the first token slowest.
    pub likely: Vec<usize>,
    /// The model's most likely one.
    pub guessed: Vec<usize>,
    /// The unembedding as training has made it.
    pub trained: Vectors,
    /// The one that the logits determine.
    pub balanced: Vectors,
}

impl View {
    /// In how many contexts the likely token is the model's most likely one.
    pub fn right(&self) -> usize {
        self.likely.iter().zip(&self.guessed).filter(|(likely, guessed)| likely == guessed).count()
    }
}

impl Session {
    /// A new model, not trained yet. `before`: an earlier session, whose data are used again if they are the same.
    ///
    /// # Errors
    /// Settings out of range.
    pub fn start(settings: Settings, before: Option<Self>) -> Result<Self> {
        settings.check()?;
        let kept = before.map(|session| session.data).filter(|data| data.of == FirstPass::key(&settings));
        let data = kept.map_or_else(|| FirstPass::draw(&settings), Ok)?;
        let sizes = settings.sizes();
        let mut rng = data.rng.clone();
        let values = sizes.config().initial_values(&mut rng)?;
        let trainer = trainer(&sizes, &data.law, &data.data, settings.lr, 0, values, None)?;
        Ok(Self { settings, sizes, law: data.law.clone(), data, rng, trainer: Some(trainer), passes: 0, steps: 0 })
    }

    /// Goes on with another law (of the same likely tokens) and learning rate; the model and the optimiser's state stay. The next steps are
    /// on new data.
    ///
    /// # Errors
    /// Numbers out of range; nothing is changed then.
    pub fn change(&mut self, p: f64, lr: f64) -> Result<()> {
        check_p(p)?;
        if !(lr.is_finite() && lr > 0.0) {
            return Err(Error::argument("lr", lr, "it must be a positive number"));
        }
        (self.settings.p, self.settings.lr) = (p, lr);
        self.law = self.settings.law()?;
        self.next_pass()
    }

    /// Makes `steps` steps, and returns the loss of each batch before its step.
    ///
    /// # Errors
    /// The training diverged.
    pub fn advance(&mut self, steps: usize) -> Result<Vec<f64>> {
        let mut losses = Vec::with_capacity(steps);
        while losses.len() < steps {
            let Some(outcome) = self.trainer.as_mut().expect(OVER).step() else {
                self.next_pass()?;
                continue;
            };
            self.steps += 1;
            if !outcome.loss.is_finite() {
                let expected = "the training diverged: try a smaller one";
                return Err(Error::argument("lr", self.settings.lr, expected));
            }
            losses.push(outcome.loss);
        }
        Ok(losses)
    }

    /// Draws the data of the next pass, in the order that `passes` seeds.
    fn next_pass(&mut self) -> Result<()> {
        let data = sample_data(BATCH, LATER_PASS, &self.law, ORDER, &mut self.rng)?;
        self.passes += 1;
        let lr = self.settings.lr;
        let (values, adam) = self.trainer.take().expect(OVER).finish();
        self.trainer = Some(trainer(&self.sizes, &self.law, &data, lr, self.passes, values, Some(adam))?);
        Ok(())
    }

    /// What there is to see now; `losses`: those of the steps before.
    pub fn view(&self, losses: Vec<f64>) -> View {
        let values = self.values();
        let w_u = unembedding(&self.sizes, &values);
        let logits = logits(&self.sizes, &values);
        View {
            of: self.settings.clone(),
            step: self.steps,
            losses,
            divergence: divergence(&self.law, &logits),
            entropy: entropy(&self.law),
            likely: self.law.last_table().chunks(self.settings.tokens).map(|row| most(row.iter().copied())).collect(),
            guessed: logits.row_iter().map(|row| most(row.iter().map(|x| *x as f32))).collect(),
            trained: Vectors::new(&w_u),
            balanced: Vectors::new(&balanced(&logits, &w_u)),
        }
    }

    /// The parameters now, in the order of the model's list.
    pub fn values(&self) -> Vec<f32> {
        self.trainer.as_ref().expect(OVER).params()
    }
}

/// A training by the engine, from `values`.
fn trainer(
    sizes: &Sizes,
    law: &Law,
    data: &Data,
    lr: f64,
    seed: u64,
    values: Vec<f32>,
    adam: Option<Adam>,
) -> Result<Trainer> {
    let options = TrainOptions { lr, seed, adam, loss: Loss::FullDivergence, threads: Some(1), ..Default::default() };
    Task::new(sizes.config(), Freeze::default(), law, data, &options)?.circuit_trainer(values)
}

/// Place of the largest number, the first of several.
fn most(row: impl Iterator<Item = f32>) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (k, x) in row.enumerate() {
        if x > best.1 {
            best = (k, x);
        }
    }
    best.0
}

/// Mean over all contexts of `KL(π ‖ softmax logits)`, nats; every probability is positive.
fn divergence(law: &Law, logits: &DMatrix<f64>) -> f64 {
    let rows = law.last_table().chunks(law.n_vocab()).zip(logits.row_iter());
    let kl = |(pi, row): (&[f32], nalgebra::RowDVector<f64>)| {
        let largest = row.max();
        let log_sum = largest + row.iter().map(|z| (z - largest).exp()).sum::<f64>().ln();
        pi.iter().zip(row.iter()).map(|(pi, z)| f64::from(*pi) * (f64::from(*pi).ln() - z + log_sum)).sum::<f64>()
    };
    rows.map(|(pi, row)| kl((pi, row.into_owned()))).sum::<f64>() / logits.nrows() as f64
}
