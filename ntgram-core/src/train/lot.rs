//! Independent trainings side by side: the notebook's loops over configurations and repetitions, in one call.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::progress::Pace;
use super::{History, TrainOptions, check, choose, steps, train_model};
use crate::data::Data;
use crate::error::Result;
use crate::models::ModelMut;

/// One training of a lot: what [`train`](super::train) takes.
#[derive(Debug)]
pub struct Training<'a> {
    /// The model to train.
    pub model: ModelMut<'a>,
    /// Its data.
    pub data: &'a Data,
    /// Its options. Each training runs on one thread; the lot has one progress line, shown if the first training asks for it.
    pub options: TrainOptions,
}

impl<'a> Training<'a> {
    /// A training of either model.
    pub fn new(model: impl Into<ModelMut<'a>>, data: &'a Data, options: TrainOptions) -> Self {
        Self { model: model.into(), data, options }
    }
}

/// Trains all models, each on its own thread as cores come free, and returns their histories in the order given. Each result is
/// the one that [`train`](super::train) gives alone, whatever the threads' timing: nothing is shared.
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// let pi = last_position_law(&[10, 10], 10, 0.0, 0.95, &mut TorchRng::new(1))?;
/// let data = generate_data(256, 20, &pi, 3, &mut TorchRng::new(2))?;
/// let mut models = (0..4).map(|k| LowRank::new(2 + k, 10, 3, &pi, &mut TorchRng::new(3))).collect::<Result<Vec<_>>>()?;
/// let options = TrainOptions { progress: false, ..Default::default() };
/// let histories = train_all(models.iter_mut().map(|m| Training::new(m, &data, options.clone())).collect())?;
/// assert_eq!(histories.len(), 4);
/// # Ok(()) }
/// ```
///
/// The notebook's stop button ends those that run after their current step and gives each of the others one step; a line says how
/// many were stopped and where (`stopped` of each history).
///
/// # Errors
/// Any training that [`train`](super::train) would refuse: nothing is done then. If a loss diverges, the error of the first such
/// training; all others are run to their end, and their models are trained.
pub fn train_all(trainings: Vec<Training<'_>>) -> Result<Vec<History>> {
    for training in &trainings {
        check(&training.model, training.data, &training.options)?;
        choose(&training.model, training.data, &training.options)?;
    }
    let count = trainings.len();
    let shown = trainings.first().is_some_and(|training| training.options.progress);
    let total = trainings.iter().map(|training| steps(training.data, &training.options)).sum();
    let (done, done_steps) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let places: Vec<Mutex<Option<Result<History>>>> = (0..count).map(|_| Mutex::new(None)).collect();
    let jobs = Mutex::new(trainings.into_iter().zip(&places));
    let work = || {
        let next = || jobs.lock().expect("taking a job does not panic").next();
        while let Some((training, place)) = next() {
            let options = TrainOptions { threads: Some(1), progress: false, ..training.options };
            let result = train_model(training.model, training.data, &options, Some(&done_steps));
            *place.lock().expect("one thread a place") = Some(result);
            done.fetch_add(1, Ordering::Relaxed);
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(count);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
        if shown {
            report((&done, count), (&done_steps, total));
        }
    });
    let results = places.into_iter().map(|place| place.into_inner().expect("one thread a place"));
    let results: Vec<_> = results.map(|result| result.expect("all jobs are done")).collect();
    let stopped = results.iter().flatten().filter(|history| history.stopped).map(|history| history.loss.len());
    if let (Some(first), Some(last)) = (stopped.clone().min(), stopped.clone().max()) {
        println!("stopped {} of {count} trainings, at steps {first} to {last}", stopped.count());
    }
    results.into_iter().collect()
}

/// Prints how many of the trainings are done, until all are.
fn report((done, count): (&AtomicUsize, usize), (done_steps, total): (&AtomicUsize, usize)) {
    let started = Instant::now();
    let mut pace = Pace::new(total);
    loop {
        let (finished, made) = (done.load(Ordering::Relaxed), done_steps.load(Ordering::Relaxed));
        let elapsed = started.elapsed();
        if finished == count {
            let seconds = elapsed.as_secs_f64();
            println!("{count} trainings in {seconds:.1} s, {:.0} it/s", made as f64 / seconds.max(1e-9));
            return;
        }
        if let Some(place) = pace.due(elapsed, made) {
            println!("{finished} of {count} trainings, {:.0} it/s, {:.0} s left", place.rate, place.left);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
