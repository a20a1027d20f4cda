//! Running what is missing on all cores.

use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ntgram_engine::rng::TorchRng;
use ntgram_engine::train::{self, Watch, drive};
use ntgram_engine::{Error, Result};

use crate::material::Materials;
use crate::result::{Outcome, Tails, TaskResult};
use crate::store::{State, Store};
use crate::task::Task;
use crate::training::{Shuffle, Start, Training};

/// How to run.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Trainings side by side, each on one core; `None`: as many as there are cores. No result depends on it.
    pub jobs: Option<usize>,
    /// Asked after each step of each training: whether to end there. What has not come to its end is not kept.
    pub stop: &'a (dyn Fn() -> bool + Sync),
    /// Whether results by another version of the program are computed again.
    pub renew: bool,
}

impl Default for Options<'_> {
    /// On all cores, to the end, with other versions' results as they are.
    fn default() -> Self {
        Self { jobs: None, stop: &|| false, renew: false }
    }
}

/// How far a sweep is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Trainings that have a result.
    pub done: usize,
    /// All trainings.
    pub total: usize,
    /// Steps that this sweep has made.
    pub steps: usize,
    /// Time since it began.
    pub elapsed: Duration,
    /// Time that is left if the rest goes as what was done so far; `None` while nothing is known.
    pub left: Option<Duration>,
}

/// What a sweep has done.
#[derive(Debug)]
pub struct Summary {
    /// Trainings that have a result now.
    pub done: usize,
    /// All trainings.
    pub total: usize,
    /// Those that this sweep computed.
    pub computed: usize,
    /// Those of them that diverged: that is their result.
    pub diverged: usize,
    /// Results by another version of the program that were left as they are.
    pub other_version: usize,
    /// Steps made.
    pub steps: usize,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Whether `stop` ended it.
    pub stopped: bool,
    /// Trainings that the engine refused or whose result could not be read, by title.
    pub failed: Vec<(String, Error)>,
}

/// Computes the results that `store` lacks, side by side, and writes each as soon as it is there. `report` is called some ten times a second,
/// from this thread.
///
/// Other processes may work on the same store: a training is computed by one of them, and all wait for all.
///
/// # Errors
/// A result cannot be written: the others end after their current step, and what was finished before is kept. `jobs` is 0.
pub fn sweep(tasks: &[Task], store: &Store, options: &Options, report: &mut dyn FnMut(&Progress)) -> Result<Summary> {
    if options.jobs == Some(0) {
        return Err(Error::argument("jobs", 0, "it must be at least 1"));
    }
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let started = Instant::now();
    let mut known = HashSet::new();
    let (mut pending, mut done, mut other_version, mut failed) = (VecDeque::new(), 0, 0, vec![]);
    for task in tasks.iter().filter(|task| known.insert(task.key())) {
        match store.state(task) {
            Ok(State::Done(_)) => done += 1,
            Ok(State::OtherVersion(_)) if !options.renew => {
                other_version += 1;
                done += 1;
            }
            Ok(_) => pending.push_back(task),
            Err(error) => failed.push((task.title(), error)),
        }
    }
    let jobs = options.jobs.unwrap_or_else(cores).min(pending.len());
    let lot = Lot {
        store,
        options,
        materials: Materials::new(jobs + 2),
        work: pending.iter().map(|task| task.training.work()).sum(),
        pending: Mutex::new(pending),
        running: (0..jobs).map(|_| Running::default()).collect(),
        finished: Mutex::new(Finished { failed, ..Finished::default() }),
        done: AtomicUsize::new(done),
        steps: AtomicUsize::new(0),
        stopped: AtomicBool::new(false),
    };
    let total = known.len();
    std::thread::scope(|scope| {
        let threads: Vec<_> = lot.running.iter().map(|running| scope.spawn(|| lot.work_on(running))).collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            report(&lot.progress(total, started.elapsed()));
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    report(&lot.progress(total, started.elapsed()));
    let finished = lot.finished.into_inner().expect("counting does not panic");
    if let Some(error) = finished.unwritten {
        return Err(error);
    }
    Ok(Summary {
        done: lot.done.into_inner(),
        total,
        computed: finished.computed,
        diverged: finished.diverged,
        other_version,
        steps: lot.steps.into_inner(),
        seconds: started.elapsed().as_secs_f64(),
        stopped: lot.stopped.into_inner(),
        failed: finished.failed,
    })
}

/// What all threads of a sweep share.
struct Lot<'a> {
    store: &'a Store,
    options: &'a Options<'a>,
    materials: Materials,
    /// Of all tasks that were missing.
    work: f64,
    pending: Mutex<VecDeque<&'a Task>>,
    running: Vec<Running>,
    finished: Mutex<Finished>,
    done: AtomicUsize,
    /// Of trainings that have ended.
    steps: AtomicUsize,
    stopped: AtomicBool,
}

/// The training of one thread.
#[derive(Default)]
struct Running {
    steps: AtomicUsize,
    /// The work of a step.
    per_step: AtomicUsize,
}

#[derive(Default)]
struct Finished {
    computed: usize,
    diverged: usize,
    work: f64,
    failed: Vec<(String, Error)>,
    /// Why a result could not be written.
    unwritten: Option<Error>,
}

/// How long to wait for tasks that other processes work on.
const PATIENCE: Duration = Duration::from_millis(100);

impl<'a> Lot<'a> {
    fn stop(&self) -> bool {
        let stop = self.stopped.load(Ordering::Relaxed) || (self.options.stop)();
        if stop {
            self.stopped.store(true, Ordering::Relaxed);
        }
        stop
    }

    fn finished(&self) -> std::sync::MutexGuard<'_, Finished> {
        self.finished.lock().expect("counting does not panic")
    }

    /// Takes tasks until none is left. Those that another process works on are put at the end.
    fn work_on(&self, running: &Running) {
        let next = || self.pending.lock().expect("taking a task does not panic").pop_front();
        let mut refused = 0;
        while let Some(task) = next() {
            if self.stop() {
                return;
            }
            match self.attempt(task, running) {
                Ok(true) => refused = 0,
                Ok(false) => {
                    let left = {
                        let mut pending = self.pending.lock().expect("as above");
                        pending.push_back(task);
                        pending.len()
                    };
                    refused += 1;
                    if refused >= left {
                        std::thread::sleep(PATIENCE);
                        refused = 0;
                    }
                }
                Err(Failure::Task(error)) => {
                    self.finished().failed.push((task.title(), error));
                }
                Err(Failure::Store(error)) => {
                    self.stopped.store(true, Ordering::Relaxed);
                    self.finished().unwritten.get_or_insert(error);
                }
            }
            running.steps.store(0, Ordering::Relaxed);
        }
    }

    /// Computes one task; `false` where another process has it.
    fn attempt(&self, task: &Task, running: &Running) -> Result<bool, Failure> {
        let Some(_claim) = self.store.claim(task.key()).map_err(Failure::Store)? else { return Ok(false) };
        match self.store.state(task).map_err(Failure::Task)? {
            State::Done(_) => {} // by another process since we looked
            State::OtherVersion(_) if !self.options.renew => {}
            _ => {
                running
                    .per_step
                    .store((task.training.work() / task.training.steps() as f64) as usize, Ordering::Relaxed);
                let stop = || self.stop();
                let watch = Watch { stop: &stop, steps: Some(&running.steps) };
                let outcome = train(&task.training, &self.materials, watch).map_err(Failure::Task)?;
                self.steps.fetch_add(running.steps.swap(0, Ordering::Relaxed), Ordering::Relaxed);
                let Some(outcome) = outcome else { return Ok(true) }; // stopped
                let diverged = outcome.tails.is_none();
                self.store.put(&TaskResult::new(&task.training, outcome)).map_err(Failure::Store)?;
                let mut finished = self.finished();
                finished.computed += 1;
                finished.diverged += usize::from(diverged);
            }
        }
        self.finished().work += task.training.work();
        self.done.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }

    fn progress(&self, total: usize, elapsed: Duration) -> Progress {
        let mut steps = self.steps.load(Ordering::Relaxed);
        let mut work = self.finished().work;
        for running in &self.running {
            let made = running.steps.load(Ordering::Relaxed);
            steps += made;
            work += made as f64 * running.per_step.load(Ordering::Relaxed) as f64;
        }
        let known = work > 0.0 && elapsed > Duration::from_secs(1);
        let left = known.then(|| elapsed.mul_f64(((self.work - work) / work).max(0.0)));
        Progress { done: self.done.load(Ordering::Relaxed), total, steps, elapsed, left }
    }
}

enum Failure {
    /// Of one training; the others go on.
    Task(Error),
    /// Of the folder: nothing can go on.
    Store(Error),
}

/// One training; `None` if it was stopped.
fn train(training: &Training, materials: &Materials, watch: Watch) -> Result<Option<Outcome>> {
    let material = materials.of(training)?;
    let law = material.data.law();
    let mut rng = match training.init {
        Start::Seed { seed, skip } => {
            let mut rng = TorchRng::new(seed);
            rng.skip(skip);
            rng
        }
        Start::AfterData => material.after.clone(),
    };
    let model = training.model.config();
    let values = model.initial_values(&mut rng)?;
    let mut options = training.options();
    options.rng = Some(match training.shuffle {
        Shuffle::Seed(seed) => TorchRng::new(seed),
        Shuffle::AfterInit => rng,
    });
    let parameters = values.len();
    let started = Instant::now();
    let task = train::Task::new(model, training.freeze, law, &material.data, &options)?;
    let run = task.circuit_trainer(values)?;
    let trained = drive(&task, Box::new(run), &mut vec![], watch);
    let seconds = started.elapsed().as_secs_f64();
    let about = |steps, tails, [loss_by_epoch, accuracy_by_epoch]: [Vec<f64>; 2]| Outcome {
        steps,
        seconds,
        parameters,
        unif_loss: law.log_n_minus_entropy(),
        tails,
        loss_by_epoch,
        accuracy_by_epoch,
    };
    match trained {
        Ok(history) if history.stopped => Ok(None),
        Ok(history) => {
            let by_epoch = [history.loss_by_epoch(), history.accuracy_by_epoch()];
            Ok(Some(about(history.loss.len(), Some(Tails::of(&history)), by_epoch)))
        }
        Err(Error::Diverged { loss, accuracy, .. }) => {
            let steps = loss.len();
            let by_epoch = [loss, accuracy].map(|list| finite_epochs(&list, material.data.num_batch()));
            Ok(Some(about(steps, None, by_epoch)))
        }
        Err(error) => Err(error),
    }
}

/// Means of whole epochs, up to the first that is not finite.
fn finite_epochs(of_batches: &[f64], batches_per_epoch: usize) -> Vec<f64> {
    let mean = |epoch: &[f64]| epoch.iter().sum::<f64>() / epoch.len() as f64;
    of_batches.chunks_exact(batches_per_epoch).map(mean).take_while(|mean| mean.is_finite()).collect()
}
