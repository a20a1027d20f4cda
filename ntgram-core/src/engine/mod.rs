//! Training in circuit space: hand-derived gradients on plain slices, no tensors.
//!
//! Covers trigrams with a window of 3 ([`supports`]): position 1 alone is scored, so a batch is a set of pairs of tokens, each with
//! the targets that followed it. Exact: the same gradients as autograd's up to rounding. How it is split:
//!
//! - `contexts` numbers the pairs that occur and groups each batch by pair; `feed` shuffles the samples, ahead of the steps;
//! - `circuits` and `attention` are the Transformer's layers, as tables over tokens (`rows`); `mlp` and `layer_norm` likewise;
//! - `unembed` and `loss` are the scores, softmax, loss and their gradients, 16 pairs side by side;
//! - `transformer` and `low_rank` put them together for a *part*: a range of the contexts. Parts are worked on by any number of threads;
//!   the parts, and the order in which their gradients are added, depend on the problem only, so the result does not depend on the threads;
//! - `adam` is the optimiser, `deferred` the same where most rows of a table have no gradient; `simd` the vectors, chosen for the processor
//!   at run time.
//!
//! Nothing here is random, and nothing fails after [`Trainer::new`].
//!
//! One visible difference from autograd: the positional embedding of position 2, which no loss depends on, stays bit for bit where it
//! was. Autograd gives it the rounding noise of a gradient that cancels, and Adam makes steps of full size of it.

mod adam;
mod attention;
mod circuits;
mod contexts;
mod deferred;
mod feed;
mod gemm;
mod layer_norm;
mod layout;
mod loss;
mod low_rank;
mod math;
mod mlp;
mod pool;
mod rows;
mod simd;
#[cfg(test)]
mod tests;
mod transformer;
mod unembed;

use crate::error::{Error, Result};
use crate::models::config::{Freeze, LowRankConfig, ParamSpec, TransformerConfig};
use adam::Factors;
use contexts::Contexts;
use deferred::Deferred;
use feed::{By, Feed};
use layout::Layout;
use low_rank::Kept;
use math::Buffer;
use pool::Pool;
use simd::{Detected, Isa, Job, dispatch};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use unembed::{Shape, Tally};

/// The model that is trained.
#[derive(Debug, Clone, Copy)]
pub enum Model<'a> {
    /// Attention-only Transformer, with or without MLPs.
    Transformer(&'a TransformerConfig),
    /// Context table times unembedding.
    LowRank(&'a LowRankConfig),
}

impl Model<'_> {
    fn n_vocab(self) -> usize {
        match self {
            Model::Transformer(c) => c.n_vocab,
            Model::LowRank(c) => c.n_vocab,
        }
    }

    fn parameters(self) -> Vec<ParamSpec> {
        match self {
            Model::Transformer(c) => c.parameters(),
            Model::LowRank(c) => c.parameters(),
        }
    }
}

/// What is trained, on what, and how.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    /// The model's sizes.
    pub model: Model<'a>,
    /// What is not trained.
    pub freeze: Freeze,
    /// The law's last table `pi_2 (N, N, N)`, row-major: `pi_2[x_0, x_1, k]`.
    pub law: &'a [f32],
    /// Entropy of the law (nats), subtracted from the reported loss.
    pub entropy: f64,
    /// The sequences, `(M, 3)` row-major, all below the vocabulary's size (not checked again here).
    pub tokens: &'a [u16],
    /// Training visits the rows of `tokens` in the order that `randperm` gives after this seed; `None`: as they lie.
    pub shuffle: Option<u64>,
    /// Samples of a batch; the last batch takes what is left.
    pub batch_size: usize,
    /// Next-token loss, or else full divergence to the law.
    pub next_token: bool,
    /// Adam's learning rate.
    pub lr: f64,
    /// Threads to work with, at least 1. The result does not depend on it.
    pub threads: usize,
}

/// Adam's moments, in the order of the model's parameter list; 0 where a parameter is frozen.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamState {
    /// First moments.
    pub m: Vec<f32>,
    /// Second moments.
    pub v: Vec<f32>,
    /// Steps done so far.
    pub steps: u64,
}

/// What one step reports of its batch, before the step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepOutcome {
    /// Mean loss minus the law's entropy, nats.
    pub loss: f64,
    /// Share of samples whose next token has the largest logit.
    pub accuracy: f64,
}

/// Whether the engine can train `model` on sequences of `sequence_len` tokens from a law of order `law_order`.
pub fn supports(model: Model, sequence_len: usize, law_order: usize) -> bool {
    let sizes_fit = match model {
        Model::Transformer(c) => c.check().is_ok() && c.context_window == 3,
        Model::LowRank(c) => c.check().is_ok() && c.context_window == 3 && c.order == 3,
    };
    // A context and a target share 32 bits.
    let keys_fit = model.n_vocab() <= 1024;
    sizes_fit && keys_fit && sequence_len == 3 && law_order == 3
}

/// A range of contexts and all that is needed to work on it.
#[derive(Debug)]
enum Part {
    Transformer(Box<transformer::Part>),
    LowRank(Box<low_rank::Part>),
}

impl Part {
    /// Gradient by the parameters that all parts read.
    fn shared_gradient(&mut self) -> &mut Buffer {
        match self {
            Part::Transformer(part) => &mut part.grad,
            Part::LowRank(part) => &mut part.grad,
        }
    }
}

/// What is to be done.
#[derive(Debug)]
struct Command {
    /// Samples (keys), and which of them are the batch; if none, rows of low-rank parts are brought up to date.
    block: Vec<u32>,
    batch: Range<usize>,
    /// Whether low-rank parts move their rows.
    adam: Option<Factors>,
    /// How rows without gradient moved in the steps before.
    deferred: Deferred,
}

/// What all threads see.
#[derive(Debug)]
struct Shared {
    level: Detected,
    contexts: Contexts,
    /// Parameters that all parts read, in the engine's layout: all of a Transformer's, `W_U` of a low-rank model.
    params: RwLock<Buffer>,
    parts: Vec<Mutex<(Part, Tally)>>,
    feed: Mutex<Feed>,
    command: RwLock<Command>,
}

/// One step of one part.
struct PartStep<'a> {
    part: &'a mut Part,
    params: &'a [f32],
    contexts: &'a Contexts,
    command: &'a Command,
}

impl Job for PartStep<'_> {
    type Output = Tally;
    #[inline(always)]
    fn run<I: Isa>(self) -> Tally {
        let Command { block, batch, adam, deferred } = self.command;
        let batch = &block[batch.clone()];
        match self.part {
            Part::Transformer(part) => part.gradient::<I>(self.params, self.contexts, batch),
            Part::LowRank(part) if batch.is_empty() => {
                part.catch_up::<I>(deferred);
                Tally::default()
            }
            Part::LowRank(part) => part.step::<I>(self.params, self.contexts, batch, deferred, *adam),
        }
    }
}

/// Reads a row of a low-rank part.
struct ReadRow<'a> {
    part: &'a mut low_rank::Part,
    local: usize,
    what: Kept,
    deferred: &'a Deferred,
    row: &'a mut [f32],
}

impl Job for ReadRow<'_> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        self.part.row::<I>(self.local, self.what, self.deferred, self.row);
    }
}

/// Adam on the shared parameters.
struct Update<'a> {
    params: &'a mut [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
    grad: &'a [f32],
    trained: &'a [Range<usize>],
    factors: Factors,
}

impl Job for Update<'_> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        for range in self.trained {
            let [p, m, v] = [&mut *self.params, &mut *self.m, &mut *self.v].map(|x| &mut x[range.clone()]);
            adam::step::<I>(p, m, v, &self.grad[range.clone()], self.factors);
        }
    }
}

/// A lock's value; a thread that panicked while holding it ends this one too.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no worker panics")
}

impl Shared {
    /// Works on part `k`, or, after the last, on the next batch's order.
    fn work(&self, k: usize) {
        if k == self.parts.len() {
            return locked(&self.feed).prepare();
        }
        let command = &*self.command.read().expect("no worker panics");
        let params = self.params.read().expect("no worker panics");
        let (part, tally) = &mut *locked(&self.parts[k]);
        *tally = dispatch(self.level, PartStep { part, params: &params, contexts: &self.contexts, command });
    }
}

/// How the canonical parameter list lies in the engine.
#[derive(Debug)]
enum Place {
    Transformer(Arc<Layout>),
    /// `defers`: whether rows move when they are needed.
    LowRank {
        shape: Shape,
        freeze_e: bool,
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
fn sample_work(model: Model) -> usize {
    match model {
        Model::Transformer(c) => c.n_vocab * c.d_model * (1 + c.n_layers * c.parallel_heads / 4),
        Model::LowRank(c) => c.n_vocab * c.d_model,
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
    let Model::Transformer(config) = problem.model else { return 2 };
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
    /// An argument that does not fit the model; [`supports`] says which models are possible. Nothing was done then.
    pub fn new(problem: &Problem, params: Vec<f32>, adam: Option<&AdamState>) -> Result<Self> {
        check(problem, &params, adam)?;
        Self::with(problem, params, adam, Detected::best(), part_count(problem))
    }

    /// [`Trainer::new`] for a checked problem, on given instructions and with a given number of parts.
    fn with(
        problem: &Problem,
        params: Vec<f32>,
        adam: Option<&AdamState>,
        level: Detected,
        n_parts: usize,
    ) -> Result<Self> {
        let steps = adam.map_or(0, |state| state.steps);
        let threads = problem.threads.max(1);
        let law = (!problem.next_token).then_some(problem.law);
        // Shuffling takes about as long as so many multiplications.
        let beside = (60.0 / sample_work(problem.model) as f64).min(0.2);
        // Parameters, first and second moments; moments start at zero.
        let lists = [Some(&params[..]), adam.map(|a| &a.m[..]), adam.map(|a| &a.v[..])];
        let (contexts, keys, parts, place, [shared, m, v], trained);
        match problem.model {
            Model::Transformer(config) => {
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
            Model::LowRank(config) => {
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
                trained = (!problem.freeze.freeze_u).then_some(0..n * shape.stride).into_iter().collect();
                let defers = parts.iter().any(|part| matches!(part, Part::LowRank(part) if part.defers()));
                place = Place::LowRank { shape, freeze_e: problem.freeze.freeze_e, defers };
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
        let frozen_rows = matches!(self.place, Place::LowRank { freeze_e: true, .. });
        let outcome = self.work((!frozen_rows).then_some(factors))?;
        self.steps += 1;
        if matches!(self.place, Place::LowRank { freeze_e: false, defers: true, .. }) {
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
    #[cfg(test)]
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
        for part in &self.shared.parts {
            if let Part::Transformer(part) = &mut locked(part).0 {
                part.release();
            }
        }
        let taken = |buffer: &mut Buffer| std::mem::replace(buffer, Buffer::new(0));
        let shared = taken(&mut self.shared.params.write().expect("no worker panics"));
        let params = self.kept(initial, &shared, Kept::Parameter);
        drop(shared);
        self.release(Kept::Parameter);
        let shared = taken(&mut self.m);
        let m = self.kept(vec![0.0; len], &shared, Kept::FirstMoment);
        drop(shared);
        self.release(Kept::FirstMoment);
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

    /// Frees what has been read of each low-rank part.
    fn release(&self, what: Kept) {
        for part in &self.shared.parts {
            if let Part::LowRank(part) = &mut locked(part).0 {
                part.release(what);
            }
        }
    }

    /// What [`Trainer::collect`] starts from where contexts that never occur have zeros.
    #[cfg(test)]
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

/// Checks that everything fits together.
fn check(problem: &Problem, params: &[f32], adam: Option<&AdamState>) -> Result<()> {
    let n = problem.model.n_vocab();
    if !supports(problem.model, 3, 3) {
        let value = format!("{:?}", problem.model);
        return Err(Error::argument(
            "model",
            value,
            "the engine trains trigrams with a window of 3 and up to 1024 tokens",
        ));
    }
    let total: usize = problem.model.parameters().iter().map(|p| p.len()).sum();
    let lengths =
        [("params", params.len()), ("m", adam.map_or(total, |a| a.m.len())), ("v", adam.map_or(total, |a| a.v.len()))];
    for (name, len) in lengths {
        if len != total {
            return Err(Error::argument(name, format!("of length {len}"), format!("the model has {total} parameters")));
        }
    }
    if problem.law.len() != n * n * n {
        let value = format!("of length {}", problem.law.len());
        return Err(Error::argument("law", value, format!("it must have {n}³ entries")));
    }
    if problem.tokens.is_empty() || !problem.tokens.len().is_multiple_of(3) {
        let value = format!("of length {}", problem.tokens.len());
        return Err(Error::argument("tokens", value, "its length must be a multiple of 3, and not 0"));
    }
    if problem.batch_size == 0 {
        return Err(Error::argument("batch_size", 0, "it must be at least 1"));
    }
    let samples = problem.batch_size.min(problem.tokens.len() / 3);
    if samples > contexts::MOST_SAMPLES {
        let value = format!("{} for {samples} sequences", problem.batch_size);
        let expected = format!("a batch may have up to {} of them", contexts::MOST_SAMPLES);
        return Err(Error::argument("batch_size", value, expected));
    }
    Ok(())
}
