//! A training: the parts of its batches, threads to work on them, and Adam's steps.

use super::adam::Factors;
use super::contexts::Contexts;
use super::deferred::Deferred;
use super::feed::{By, Feed};
use super::layout::{self, Layout};
use super::low_rank::{self, Kept};
use super::math::Buffer;
use super::pool::Pool;
use super::shared::{Command, Part, ReadRow, Shared, Update, locked};
use super::simd::{Detected, dispatch};
use super::unembed::{Shape, Tally};
use super::{AdamState, Loss, Problem, StepOutcome, transformer};
use crate::error::{Error, Result};
use crate::models::ModelConfig;
use std::ops::Range;
use std::sync::{Arc, Mutex, RwLock};

/// How the canonical parameter list lies in the engine.
#[derive(Debug)]
enum Place {
    Transformer(Arc<Layout>),
    /// `defers`: whether rows are trained, and move when they are needed.
    LowRank {
        shape: Shape,
        rows_frozen: bool,
        defers: bool,
    },
}

/// A training under way.
#[derive(Debug)]
pub struct Trainer {
    shared: Arc<Shared>,
    pool: Option<Pool>,
    place: Place,
    /// A low-rank model's list as it was given: contexts that never occur stay as they are. Empty for a Transformer, where all is trained.
    initial: Vec<f32>,
    /// Moments of the shared parameters. Their gradient is in the first part.
    m: Buffer,
    v: Buffer,
    /// What of the shared parameters is trained.
    trained: Vec<Range<usize>>,
    entropy: f64,
    lr: f64,
    steps: u64,
}

/// About the work on one sample, in multiplications by a parameter.
fn sample_work(model: ModelConfig) -> usize {
    match model {
        ModelConfig::Transformer(c) => c.n_vocab * c.d_model * (1 + c.n_layers * c.n_modules / 4),
        ModelConfig::LowRank(c) => c.n_vocab * c.d_model,
    }
}

/// Memory that a training may take whatever the size of its parameters and data, in bytes.
const SMALL_MEMORY: usize = 16 << 20;

/// Parts of a problem: more than one only where a step is long enough that threads pay, and where the model, its copy and Adam's moments
/// here, the sequences and their keys, and what two parts need take no more than twice the parameters, moments and sequences.
fn part_count(problem: &Problem) -> usize {
    let n = problem.model.n_vocab();
    let pairs = problem.batch_size.min(n.pow(2));
    if pairs * sample_work(problem.model) < 1 << 17 {
        return 1;
    }
    let ModelConfig::Transformer(config) = problem.model else { return 2 };
    let layout = Layout::new(config, &problem.freeze);
    let (state, data) = (3 * size_of::<f32>() * layout.len, size_of_val(problem.tokens));
    let parts = 2 * size_of::<f32>() * layout.part_len(n.min(pairs));
    let taken = state + parts + data * 2 / 3;
    if taken <= SMALL_MEMORY.max(2 * (state + data) - state / 3 - data) { 2 } else { 1 }
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
        let steps = adam.map_or(0, |state| state.steps);
        let threads = problem.threads.max(1);
        let law = (problem.loss == Loss::FullDivergence).then_some(problem.law);
        // Shuffling takes about as long as so many multiplications.
        let beside = (60.0 / sample_work(problem.model) as f64).min(0.2);
        // Parameters, first and second moments; moments start at zero.
        let lists = [Some(&params[..]), adam.map(|a| &a.m[..]), adam.map(|a| &a.v[..])];
        let (contexts, keys, parts, place, [shared, m, v], trained);
        match problem.model {
            ModelConfig::Transformer(config) => {
                let layout = Arc::new(Layout::new(config, &problem.freeze));
                (contexts, keys) =
                    Contexts::new(problem.tokens, config.n_vocab, problem.batch_size, n_parts <= 1, threads, |_, _| {
                        false
                    });
                let new = |range| {
                    transformer::Part::new(Arc::clone(&layout), config.skips, &contexts, range, problem.batch_size, law)
                };
                parts = contexts
                    .split(&keys, n_parts, beside, true)
                    .into_iter()
                    .map(|r| Part::Transformer(Box::new(new(r))))
                    .collect::<Vec<_>>();
                [shared, m, v] = lists.map(|list| {
                    let mut packed = Buffer::new(layout.len);
                    list.into_iter().for_each(|list| layout.pack(list, &mut packed));
                    packed
                });
                trained = layout.trained.clone();
                place = Place::Transformer(layout);
            }
            ModelConfig::LowRank(config) => {
                let (n, d) = (config.n_vocab, config.d_model);
                let shape = Shape { n, d, stride: layout::padded(d) };
                let row = |a: usize, b: usize| (a + n * b) * d..(a + n * b + 1) * d;
                let moves = |a, b| lists[1..].iter().flatten().any(|list| list[row(a, b)].iter().any(|&x| x != 0.0));
                (contexts, keys) = Contexts::new(problem.tokens, n, problem.batch_size, n_parts <= 1, threads, moves);
                parts = contexts
                    .split(&keys, n_parts, beside, false)
                    .into_iter()
                    .map(|range| {
                        let mut part = low_rank::Part::new(shape, &contexts, range.clone(), problem.batch_size, law);
                        for (local, c) in range.enumerate() {
                            let (a, b) = (contexts.first[c] as usize, contexts.second[c] as usize);
                            for (what, list) in Kept::ALL.into_iter().zip(lists) {
                                list.into_iter().for_each(|list| part.set_row(local, what, &list[row(a, b)]));
                            }
                        }
                        Part::LowRank(Box::new(part))
                    })
                    .collect();
                [shared, m, v] = lists.map(|list| {
                    let mut packed = Buffer::new(n * shape.stride);
                    let rows = list.map_or(&[][..], |list| &list[n * n * d..]);
                    for (to, from) in packed.chunks_exact_mut(shape.stride).zip(rows.chunks_exact(d)) {
                        to[..d].copy_from_slice(from);
                    }
                    packed
                });
                trained = (!problem.freeze.u).then_some(0..n * shape.stride).into_iter().collect();
                let rows_frozen = problem.freeze.e;
                let defers = parts.iter().any(|part| matches!(part, Part::LowRank(part) if part.defers()));
                place = Place::LowRank { shape, rows_frozen, defers: defers && !rows_frozen };
            }
        };
        let by = match parts.len() {
            parts if threads > parts => By::Thread,
            1 => By::Demand,
            _ => By::Steps,
        };
        let feed = Feed::new(keys, problem.shuffle, problem.batch_size, by);
        let threads = threads.min(parts.len());
        let shared = Arc::new(Shared {
            level,
            contexts,
            params: RwLock::new(shared),
            parts: parts.into_iter().map(|part| Mutex::new((part, Tally::default()))).collect(),
            feed: Mutex::new(feed),
            command: RwLock::new(Command {
                block: Vec::new(),
                batch: 0..0,
                adam: None,
                deferred: Deferred::new(problem.lr, steps),
            }),
        });
        let pool =
            if threads > 1 {
                let theirs = Arc::clone(&shared);
                let pool = Pool::new(threads - 1, shared.parts.len() + 1, move |part| theirs.work(part));
                Some(pool.map_err(|e| {
                    Error::argument("threads", problem.threads, format!("no thread could be started: {e}"))
                })?)
            } else {
                None
            };
        let initial = if matches!(place, Place::LowRank { .. }) { params } else { Vec::new() };
        Ok(Self { shared, pool, place, initial, m, v, trained, entropy: problem.entropy, lr: problem.lr, steps })
    }

    /// One Adam step on the next batch; `None` when every sequence has been visited.
    pub fn step(&mut self) -> Option<StepOutcome> {
        let factors = Factors::new(self.lr, self.steps + 1);
        let rows_frozen = matches!(self.place, Place::LowRank { rows_frozen: true, .. });
        let outcome = self.work((!rows_frozen).then_some(factors))?;
        self.steps += 1;
        if matches!(self.place, Place::LowRank { defers: true, .. }) {
            self.defer();
        }
        let mut params = self.shared.params.write().expect("no worker panics");
        let (m, v) = (&mut self.m, &mut self.v);
        let first = &mut *locked(&self.shared.parts[0]);
        let grad = first.0.shared_gradient();
        dispatch(self.shared.level, Update { params: &mut params, m, v, grad, trained: &self.trained, factors });
        locked(&self.shared.feed).advance();
        Some(outcome)
    }

    /// After a step: rows without gradient have it to make up for.
    fn defer(&self) {
        let command = || self.shared.command.write().expect("no worker panics");
        command().deferred.add_step();
        if command().deferred.is_full() {
            command().batch = 0..0;
            self.run();
            command().deferred = Deferred::new(self.lr, self.steps);
        }
    }

    /// The next batch's outcome and gradients in the order of the model's parameter list, without a step (frozen parameters' too).
    pub fn loss_and_gradients(&mut self) -> Option<(StepOutcome, Vec<f32>)> {
        let outcome = self.work(None)?;
        let shared = locked(&self.shared.parts[0]).0.shared_gradient().to_vec();
        Some((outcome, self.collect(self.zeros(), &shared, |part, local, row| part.gradient_of(local, row))))
    }

    /// The parameters, in the order of the model's parameter list.
    pub fn params(&self) -> Vec<f32> {
        let shared = self.shared.params.read().expect("no worker panics");
        self.kept(self.initial.clone(), &shared, Kept::Parameter)
    }

    /// Adam's state, to go on from.
    #[cfg(test)]
    pub fn adam(&self) -> AdamState {
        let m = self.kept(self.zeros(), &self.m, Kept::FirstMoment);
        let v = self.kept(self.zeros(), &self.v, Kept::SecondMoment);
        AdamState { m, v, steps: self.steps }
    }

    /// The parameters and Adam's state at the end. What it reads is given back to the system as soon as it is read: a large table is never
    /// there twice.
    pub fn finish(mut self) -> (Vec<f32>, AdamState) {
        let (len, initial) = (self.initial.len(), std::mem::take(&mut self.initial));
        let release = |what| self.shared.parts.iter().for_each(|part| locked(part).0.release(what));
        release(None);
        let taken = |buffer: &mut Buffer| std::mem::replace(buffer, Buffer::new(0));
        let shared = taken(&mut self.shared.params.write().expect("no worker panics"));
        let params = self.kept(initial, &shared, Kept::Parameter);
        drop(shared);
        release(Some(Kept::Parameter));
        let shared = taken(&mut self.m);
        let m = self.kept(vec![0.0; len], &shared, Kept::FirstMoment);
        drop(shared);
        release(Some(Kept::FirstMoment));
        let v = self.kept(vec![0.0; len], &self.v, Kept::SecondMoment);
        (params, AdamState { m, v, steps: self.steps })
    }

    /// [`Trainer::collect`] of parameters or moments, up to date.
    fn kept(&self, list: Vec<f32>, shared: &[f32], what: Kept) -> Vec<f32> {
        let deferred = &self.shared.command.read().expect("no worker panics").deferred;
        self.collect(list, shared, |part, local, row| {
            dispatch(self.shared.level, ReadRow { part, local, what, deferred, row });
        })
    }

    /// What [`Trainer::collect`] starts from where contexts that never occur have zeros.
    fn zeros(&self) -> Vec<f32> {
        vec![0.0; self.initial.len()]
    }

    /// Runs all parts on the next batch and adds their gradients, in order, into the first part's; `None` when there is no batch left.
    fn work(&mut self, adam: Option<Factors>) -> Option<StepOutcome> {
        let size = {
            let command = &mut *self.shared.command.write().expect("no worker panics");
            command.batch = locked(&self.shared.feed).batch(&mut command.block);
            command.adam = adam;
            command.batch.len() as f64
        };
        if size == 0.0 {
            return None;
        }
        self.run();
        let (first, others) = self.shared.parts.split_first().expect("there is a part");
        let (first, tally) = &mut *locked(first);
        let (sums, mut total) = (first.shared_gradient(), *tally);
        for part in others {
            let (part, tally) = &mut *locked(part);
            total.add(*tally);
            for (sum, x) in sums.iter_mut().zip(&**part.shared_gradient()) {
                *sum += x;
            }
        }
        Some(StepOutcome { loss: total.loss / size - self.entropy, accuracy: total.correct / size })
    }

    /// Lets all parts do what is commanded.
    fn run(&self) {
        match &self.pool {
            Some(pool) => pool.run(|part| self.shared.work(part)),
            None => (0..self.shared.parts.len()).for_each(|part| self.shared.work(part)),
        }
    }

    /// A list in the canonical order, from the shared values and, for a low-rank model, the parts' tables; rows of contexts that never
    /// occur are those of `list`. `read`: fills in the row of a part's context.
    fn collect(
        &self,
        mut list: Vec<f32>,
        shared: &[f32],
        read: impl Fn(&mut low_rank::Part, usize, &mut [f32]),
    ) -> Vec<f32> {
        match &self.place {
            Place::Transformer(layout) => layout.unpack(shared),
            Place::LowRank { shape: Shape { n, d, stride }, .. } => {
                for part in &self.shared.parts {
                    let Part::LowRank(part) = &mut locked(part).0 else { continue };
                    for (local, c) in part.range.clone().enumerate() {
                        let (a, b) = (self.shared.contexts.first[c] as usize, self.shared.contexts.second[c] as usize);
                        read(part, local, &mut list[(a + n * b) * d..][..*d]);
                    }
                }
                for (to, from) in list[n * n * d..].chunks_exact_mut(*d).zip(shared.chunks_exact(*stride)) {
                    to.copy_from_slice(&from[..*d]);
                }
                list
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::simple;
    use super::*;
    use crate::models::{LowRankConfig, TransformerConfig};

    #[test]
    fn a_second_part_where_a_step_is_long_and_memory_allows() {
        // N, d, H (0: low rank), samples of a batch, samples in all.
        for (n_vocab, d_model, n_modules, batch_size, samples, parts) in [
            (10, 5, 20, 1024, 5_000_000, 1),
            (100, 10, 0, 1024, 5_000_000, 2),
            (100, 10, 5, 1024, 5_000_000, 2),
            (100, 10, 5, 1024, 10_000, 2),
            (300, 64, 64, 128, 40_000, 1),
            (300, 64, 64, 128, 10_000_000, 2),
        ] {
            let transformer = TransformerConfig { d_model, n_vocab, n_modules, ..Default::default() };
            let low_rank = LowRankConfig { d_model, n_vocab, context_window: 3, order: 3 };
            let model =
                if n_modules == 0 { ModelConfig::LowRank(&low_rank) } else { ModelConfig::Transformer(&transformer) };
            // Only its length is looked at: no memory is touched.
            let tokens = vec![0; 3 * samples];
            let problem = simple(model, &[], &tokens, batch_size);
            assert_eq!(part_count(&problem), parts, "{n_vocab} {d_model} {samples}");
        }
    }
}
