//! Independent trainings side by side, with one progress line for all.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::progress::Pace;

/// Runs every job on a thread of its own as cores come free, and returns what they return, in the order given. Each gets the counter of
/// the steps of all, which are `total_steps`; `shown`: with progress lines.
pub fn side_by_side<T: Send, J: FnOnce(&AtomicUsize) -> T + Send>(
    jobs: Vec<J>,
    total_steps: usize,
    shown: bool,
) -> Vec<T> {
    let count = jobs.len();
    let (done, done_steps) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let places: Vec<Mutex<Option<T>>> = (0..count).map(|_| Mutex::new(None)).collect();
    let jobs = Mutex::new(jobs.into_iter().zip(&places));
    let work = || {
        let next = || jobs.lock().expect("taking a job does not panic").next();
        while let Some((job, place)) = next() {
            let result = job(&done_steps);
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
            report((&done, count), (&done_steps, total_steps));
        }
    });
    let results = places.into_iter().map(|place| place.into_inner().expect("one thread a place"));
    results.map(|result| result.expect("all jobs are done")).collect()
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
