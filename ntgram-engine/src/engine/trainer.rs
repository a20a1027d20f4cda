//! A training: the parts of its batches, threads to work on them, and Adam's steps.

use super::adam::Factors;
use super::buffer::Buffer;
use super::deferred::Deferred;
use super::division::part_count;
use super::feed::{By, Feed};
use super::part::{Lists, OwnRows, Part, Prepared, Quantity, RowInputs, SharedLayout};
use super::pool::Pool;
use super::shared::{Briefing, Command, Shared, TalliedPart, Update, locked, read, write};
use super::simd::{Detected, dispatch};
use super::unembed::Tally;
use super::{AdamState, Problem, StepOutcome, low_rank, prefix, transformer};
use crate::error::{Error, Result};
use crate::models::ModelConfig;
use std::sync::{Arc, Mutex, RwLock};

/// A training under way: [`Trainer::step`] until there is no batch left, [`Trainer::params`] at any time, [`Trainer::finish`].
#[derive(Debug)]
pub struct Trainer {
    shared: Arc<Shared>,
    pool: Option<Pool>,
    layout: Arc<dyn SharedLayout>,
    own_rows: OwnRows,
    /// Where parts own rows, the model's list as it was given: contexts that never occur stay as they are. Else empty.
    initial: Vec<f32>,
    /// Length of the model's list.
    n_values: usize,
    /// Moments of the shared parameters. Their gradient is in the first part.
    m: Buffer,
    v: Buffer,
    entropy: f64,
    /// Scored positions for each word of the keys.
    samples_per_word: f64,
    /// Learning rate of each epoch, and its steps.
    rates: Vec<f64>,
    epoch_len: u64,
    /// Steps of this training, and with those before it that it goes on from.
    done: u64,
    steps: u64,
}

impl Trainer {
    /// Prepares a training from `params`, in the order of the model's parameter list. `adam`: moments to go on from.
    ///
    /// # Errors
    /// No thread can be started.
    pub(crate) fn new(problem: &Problem, params: Vec<f32>, adam: Option<&AdamState>) -> Result<Self> {
        Self::with(problem, params, adam, Detected::best(), part_count(problem))
    }

    /// [`Trainer::new`] for a checked problem, on given instructions and with a given number of parts.
    pub(super) fn with(
        problem: &Problem,
        params: Vec<f32>,
        adam: Option<&AdamState>,
        level: Detected,
        n_parts: usize,
    ) -> Result<Self> {
        let lists = Lists { params: &params, adam };
        let n_values = params.len();
        let prepared = match problem.model {
            ModelConfig::Transformer(config) if transformer::takes(problem, config) => {
                transformer::prepare(problem, config, n_parts)
            }
            ModelConfig::Transformer(config) => prefix::prepare(problem, config, n_parts),
            ModelConfig::LowRank(config) => low_rank::prepare(problem, config, lists, n_parts),
        };
        let shared_params = prepared.pack(Some(&params));
        // Before there are moments, the list is given back where nobody needs it: a large one is never there beside them.
        let initial = Some(params).filter(|_| prepared.own_rows != OwnRows::None).unwrap_or_default();
        let [m, v] = [adam.map(|adam| &adam.m[..]), adam.map(|adam| &adam.v[..])].map(|list| prepared.pack(list));
        let Prepared { contexts, keys, parts, layout, own_rows } = prepared;
        let samples_per_word = problem.scored() as f64 / keys.per_sample as f64;
        let epoch_len = keys.len().div_ceil(problem.batch_size) as u64;
        let feed = Feed::new(keys, problem.epochs, problem.batch_size, By::one_of(problem.threads, parts.len()));
        let steps = adam.map_or(0, |state| state.steps);
        let tallied = |part| Mutex::new(TalliedPart { part, tally: Tally::default() });
        let rates: Vec<f64> = problem.epochs.iter().map(|epoch| epoch.lr).collect();
        let deferred = Deferred::new(rates[0], steps);
        let shared = Arc::new(Shared {
            level,
            contexts,
            params: RwLock::new(shared_params),
            parts: parts.into_iter().map(tallied).collect(),
            feed: Mutex::new(feed),
            briefing: RwLock::new(Briefing { command: Command::CatchUp, portion: Vec::new(), deferred }),
        });
        let pool = start_pool(&shared, problem.threads)?;
        let entropy = problem.entropy;
        Ok(Self {
            shared,
            pool,
            layout,
            own_rows,
            initial,
            n_values,
            m,
            v,
            entropy,
            samples_per_word,
            rates,
            epoch_len,
            done: 0,
            steps,
        })
    }

    /// One Adam step on the next batch; `None` when every sequence has been visited.
    pub fn step(&mut self) -> Option<StepOutcome> {
        let factors = Factors::new(self.rate(self.done), self.steps + 1);
        let outcome = self.run_batch(self.own_rows.are_trained().then_some(factors))?;
        (self.done, self.steps) = (self.done + 1, self.steps + 1);
        if self.own_rows == OwnRows::WhenNeeded {
            self.defer();
        }
        let mut params = write(&self.shared.params);
        let (m, v, trained) = (&mut self.m, &mut self.v, self.layout.trained());
        let first = &mut *locked(&self.shared.parts[0]);
        let grad = first.part.shared_gradient();
        dispatch(self.shared.level, Update { params: &mut params, m, v, grad, trained, factors });
        locked(&self.shared.feed).advance();
        Some(outcome)
    }

    /// The learning rate of a step of this training.
    fn rate(&self, step: u64) -> f64 {
        self.rates[((step / self.epoch_len) as usize).min(self.rates.len() - 1)]
    }

    /// After a step: rows without gradient have it to make up for.
    fn defer(&self) {
        let mut briefing = write(&self.shared.briefing);
        briefing.deferred.add_step();
        let (rate, next) = (self.rate(self.done - 1), self.rate(self.done));
        if briefing.deferred.is_full() || next != rate {
            briefing.command = Command::CatchUp;
            drop(briefing);
            self.run_parts();
            write(&self.shared.briefing).deferred = Deferred::new(next, self.steps);
        }
    }

    /// The next batch's outcome and gradients in the order of the model's parameter list, without a step (frozen parameters' too).
    pub fn loss_and_gradients(&mut self) -> Option<(StepOutcome, Vec<f32>)> {
        let outcome = self.run_batch(None)?;
        let shared = locked(&self.shared.parts[0]).part.shared_gradient().to_vec();
        let contexts = &self.shared.contexts;
        let gradients = self.collect(self.zeros(), &shared, |part, list| part.write_row_gradients(contexts, list));
        Some((outcome, gradients))
    }

    /// How many parameters there are.
    pub(crate) fn n_values(&self) -> usize {
        self.n_values
    }

    /// The parameters, in the order of the model's parameter list.
    pub fn params(&self) -> Vec<f32> {
        self.collect_all(self.initial.clone(), &read(&self.shared.params), Quantity::Parameter)
    }

    /// Adam's state, to go on from.
    #[cfg(test)]
    pub fn adam(&self) -> AdamState {
        let m = self.collect_all(self.zeros(), &self.m, Quantity::FirstMoment);
        let v = self.collect_all(self.zeros(), &self.v, Quantity::SecondMoment);
        AdamState { m, v, steps: self.steps }
    }

    /// The parameters and Adam's state at the end. What it reads is given back to the system as soon as it is read, so that a large
    /// table is never there twice.
    pub fn finish(mut self) -> (Vec<f32>, AdamState) {
        let initial = std::mem::take(&mut self.initial);
        let len = initial.len();
        let for_parts = |action: &dyn Fn(&mut dyn Part)| {
            self.shared.parts.iter().for_each(|part| action(&mut *locked(part).part));
        };
        let taken = |buffer: &mut Buffer| std::mem::replace(buffer, Buffer::new(0));
        for_parts(&|part| part.end_steps());
        let shared = taken(&mut write(&self.shared.params));
        let params = self.collect_all(initial, &shared, Quantity::Parameter);
        drop(shared);
        for_parts(&|part| part.release(Quantity::Parameter));
        let shared = taken(&mut self.m);
        let m = self.collect_all(vec![0.0; len], &shared, Quantity::FirstMoment);
        drop(shared);
        for_parts(&|part| part.release(Quantity::FirstMoment));
        let v = self.collect_all(vec![0.0; len], &self.v, Quantity::SecondMoment);
        (params, AdamState { m, v, steps: self.steps })
    }

    /// Runs all parts on the next batch and adds their gradients, in order, into the first part's; `None` when there is no batch
    /// left.
    fn run_batch(&self, rows_step: Option<Factors>) -> Option<StepOutcome> {
        let size = {
            let briefing = &mut *write(&self.shared.briefing);
            let batch = locked(&self.shared.feed).batch(&mut briefing.portion)?;
            let size = batch.len() as f64 * self.samples_per_word;
            briefing.command = Command::Step { batch, rows_step };
            size
        };
        self.run_parts();
        let (first, others) = self.shared.parts.split_first().expect("there is a part");
        let TalliedPart { part: first, tally } = &mut *locked(first);
        let (sums, mut total) = (first.shared_gradient(), *tally);
        for other in others {
            let TalliedPart { part, tally } = &mut *locked(other);
            total.add(*tally);
            for (sum, x) in sums.iter_mut().zip(&**part.shared_gradient()) {
                *sum += x;
            }
        }
        Some(StepOutcome { loss: total.loss / size - self.entropy, accuracy: total.correct / size })
    }

    /// Lets all parts do what is commanded.
    fn run_parts(&self) {
        match &self.pool {
            Some(pool) => pool.run(|part| self.shared.work(part)),
            None => (0..self.shared.parts.len()).for_each(|part| self.shared.work(part)),
        }
    }

    /// [`Trainer::collect`] of parameters or moments, up to date.
    fn collect_all(&self, list: Vec<f32>, shared: &[f32], what: Quantity) -> Vec<f32> {
        let briefing = read(&self.shared.briefing);
        let from = RowInputs { contexts: &self.shared.contexts, deferred: &briefing.deferred };
        self.collect(list, shared, |part, list| part.write_rows(self.shared.level, what, from, list))
    }

    /// A list in the model's order, from the shared values and the rows that parts own, which `write_rows` writes. What neither has
    /// stays as it is in `list`: the rows of contexts that never occur.
    fn collect(&self, mut list: Vec<f32>, shared: &[f32], write_rows: impl Fn(&mut dyn Part, &mut [f32])) -> Vec<f32> {
        for part in &self.shared.parts {
            write_rows(&mut *locked(part).part, &mut list);
        }
        self.layout.unpack(shared, &mut list);
        list
    }

    /// What [`Trainer::collect`] starts from where contexts that never occur have zeros.
    fn zeros(&self) -> Vec<f32> {
        vec![0.0; self.initial.len()]
    }
}

/// Threads that help with the parts, and with the order of the samples; none where one is enough.
fn start_pool(shared: &Arc<Shared>, threads: usize) -> Result<Option<Pool>> {
    let n_parts = shared.parts.len();
    let workers = threads.min(n_parts).saturating_sub(1);
    if workers == 0 {
        return Ok(None);
    }
    let theirs = Arc::clone(shared);
    let pool = Pool::new(workers, n_parts + 1, move |part| theirs.work(part));
    let refused = |e| Error::argument("threads", threads, format!("no thread could be started: {e}"));
    Ok(Some(pool.map_err(refused)?))
}
