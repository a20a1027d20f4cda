//! A few threads that wait for work between steps: briefly in a loop, then asleep.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// Turns of the waiting loop before a worker sleeps or the caller gives up its time slice; some tens of microseconds.
const TURNS: usize = 4_000;

#[derive(Debug, Default)]
struct Gate {
    /// Number of the task at hand.
    task: AtomicUsize,
    /// Workers that have not finished it.
    pending: AtomicUsize,
    stop: AtomicBool,
}

/// Workers that all run one function, each with its own number, whenever [`Pool::run`] is called.
#[derive(Debug)]
pub(super) struct Pool {
    gate: Arc<Gate>,
    workers: Vec<JoinHandle<()>>,
}

/// Reports a worker as finished even when its work panics (the caller then finds a poisoned lock).
struct Finished<'a>(&'a Gate);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Ordering::Release);
    }
}

impl Pool {
    /// `workers` threads; worker `k` calls `work(k)` with `k` from 1.
    pub(super) fn new(workers: usize, work: impl Fn(usize) + Clone + Send + 'static) -> std::io::Result<Self> {
        let gate = Arc::new(Gate::default());
        let mut pool = Self { gate: Arc::clone(&gate), workers: Vec::with_capacity(workers) };
        for k in 1..=workers {
            let (gate, work) = (Arc::clone(&gate), work.clone());
            let thread = std::thread::Builder::new().name(format!("engine-{k}")).spawn(move || {
                let mut done = 0;
                loop {
                    let mut turns = 0;
                    while gate.task.load(Ordering::Acquire) == done {
                        if gate.stop.load(Ordering::Relaxed) {
                            return;
                        }
                        turns += 1;
                        if turns < TURNS { std::hint::spin_loop() } else { std::thread::park() }
                    }
                    done += 1;
                    let _finished = Finished(&gate);
                    work(k);
                }
            })?;
            pool.workers.push(thread);
        }
        Ok(pool)
    }

    /// Runs the workers' function once on each, and `mine` meanwhile; returns when all have finished.
    pub(super) fn run(&self, mine: impl FnOnce()) {
        self.gate.pending.store(self.workers.len(), Ordering::Relaxed);
        self.gate.task.fetch_add(1, Ordering::Release);
        for worker in &self.workers {
            worker.thread().unpark();
        }
        mine();
        let mut turns = 0;
        while self.gate.pending.load(Ordering::Acquire) > 0 {
            turns += 1;
            if turns < TURNS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.gate.stop.store(true, Ordering::Relaxed);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A worker that panicked has been reported by `run`'s caller already.
            let _ = worker.join();
        }
    }
}
