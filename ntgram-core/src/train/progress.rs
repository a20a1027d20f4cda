//! Progress lines for a notebook: whole lines (a kernel cannot overwrite one), at most one a second and twenty in all.

use std::time::{Duration, Instant};

const LINES: u32 = 20;
const PAUSE: Duration = Duration::from_secs(1);

/// Prints how far a training is, if asked to.
pub(super) struct Progress {
    shown: bool,
    total: usize,
    started: Instant,
    next: Duration,
    /// A look at the clock every so many steps.
    stride: usize,
}

impl Progress {
    pub(super) fn new(shown: bool, total: usize) -> Self {
        Self { shown, total, started: Instant::now(), next: PAUSE, stride: 1 }
    }

    /// Called after each step.
    pub(super) fn tick(&mut self, done: usize, loss: f64) {
        if !self.shown || !done.is_multiple_of(self.stride) {
            return;
        }
        let elapsed = self.started.elapsed();
        let rate = done as f64 / elapsed.as_secs_f64().max(1e-9);
        self.stride = ((rate / 100.0) as usize).max(1);
        if elapsed < self.next || done >= self.total {
            return;
        }
        let left = (self.total - done) as f64 / rate;
        println!("step {done} of {}, divergence {loss:.4}, {rate:.0} it/s, {left:.0} s left", self.total);
        let whole = Duration::from_secs_f64(self.total as f64 / rate);
        self.next = elapsed + PAUSE.max(whole / LINES);
    }

    /// Called at the end; returns the seconds it took.
    pub(super) fn finish(self, done: usize, engine: super::Engine) -> f64 {
        let seconds = self.started.elapsed().as_secs_f64();
        if self.shown {
            println!("{done} steps in {seconds:.2} s, {:.0} it/s ({engine})", done as f64 / seconds);
        }
        seconds
    }
}
