//! A few threads that help with the parts of a step, and wait between steps: briefly in a loop, then asleep.
//!
//! Parts are claimed one by one, by the caller too: a worker that the system does not let run costs nothing but its help.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// Turns of the waiting loop before a worker sleeps or the caller gives up its time slice; some tens of microseconds.
const TURNS: usize = 2_000;

#[derive(Debug)]
struct Gate {
    /// Number of the task in the upper half, the next part to claim in the lower.
    claims: AtomicU64,
    /// Parts of the task that are finished.
    finished: AtomicUsize,
    parts: usize,
    stop: AtomicBool,
}

/// Counts a part as finished even when its work panics (the caller then finds a poisoned lock).
struct Finished<'a>(&'a Gate);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        self.0.finished.fetch_add(1, Ordering::Release);
    }
}

impl Gate {
    /// Works on parts until none is left to claim; returns the number of the task.
    fn help(&self, work: impl Fn(usize)) -> u64 {
        loop {
            let claim = self.claims.fetch_add(1, Ordering::AcqRel);
            let part = (claim & u32::MAX as u64) as usize;
            if part >= self.parts {
                return claim >> 32;
            }
            let _finished = Finished(self);
            work(part);
        }
    }
}

/// Workers that all run one function on the parts of a task, whenever [`Pool::run`] is called.
#[derive(Debug)]
pub(super) struct Pool {
    gate: Arc<Gate>,
    workers: Vec<JoinHandle<()>>,
}

impl Pool {
    /// `workers` threads; `work(k)` works on part `k` of `parts`.
    pub(super) fn new(
        workers: usize,
        parts: usize,
        work: impl Fn(usize) + Clone + Send + 'static,
    ) -> std::io::Result<Self> {
        let gate = Gate {
            claims: AtomicU64::new(parts as u64),
            finished: AtomicUsize::new(parts),
            parts,
            stop: AtomicBool::new(false),
        };
        let mut pool = Self { gate: Arc::new(gate), workers: Vec::with_capacity(workers) };
        for k in 1..=workers {
            let (gate, work) = (Arc::clone(&pool.gate), work.clone());
            let thread = std::thread::Builder::new().name(format!("engine-{k}")).spawn(move || {
                let (mut task, mut turns) = (0, 0);
                while !gate.stop.load(Ordering::Acquire) {
                    if gate.claims.load(Ordering::Acquire) >> 32 != task {
                        task = gate.help(&work);
                        turns = 0;
                    } else if turns < TURNS {
                        std::hint::spin_loop();
                        turns += 1;
                    } else {
                        std::thread::park();
                    }
                }
            })?;
            pool.workers.push(thread);
        }
        Ok(pool)
    }

    /// Starts a task, works on its parts with the workers, and returns when all parts are finished.
    pub(super) fn run(&self, work: impl Fn(usize)) {
        let gate = &*self.gate;
        gate.finished.store(0, Ordering::Relaxed);
        let task = (gate.claims.load(Ordering::Relaxed) >> 32) + 1;
        gate.claims.store(task << 32, Ordering::Release);
        for worker in &self.workers {
            worker.thread().unpark();
        }
        gate.help(work);
        let mut turns = 0;
        while gate.finished.load(Ordering::Acquire) < gate.parts {
            turns += 1;
            if turns < TURNS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.gate.stop.store(true, Ordering::Release);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A worker that panicked has been reported by `run`'s caller already.
            let _ = worker.join();
        }
    }
}
