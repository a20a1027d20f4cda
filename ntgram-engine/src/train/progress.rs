//! Progress lines for a notebook: whole lines (a kernel cannot overwrite one), at most one a second and twenty in all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Lines in all, with the one at the end.
const LINES: u32 = 20;
const PAUSE: Duration = Duration::from_secs(1);

/// When lines are due, for work of a known size at an unknown speed.
pub(super) struct Pace {
    total: usize,
    next: Duration,
    lines_left: u32,
    /// Time and steps at the last line.
    last: (Duration, usize),
}

/// Where the work is.
pub(super) struct Place {
    /// Steps per second since the last line.
    pub(super) rate: f64,
    /// Seconds left, if it goes on like that.
    pub(super) left: f64,
}

impl Pace {
    pub(super) fn new(total: usize) -> Self {
        Self { total, next: PAUSE, lines_left: LINES - 1, last: (Duration::ZERO, 0) }
    }

    /// Says where the work is if a line is due, `elapsed` after its start with `done` steps done.
    pub(super) fn due(&mut self, elapsed: Duration, done: usize) -> Option<Place> {
        if elapsed < self.next || self.lines_left == 0 || done <= self.last.1 || done >= self.total {
            return None;
        }
        let rate = (done - self.last.1) as f64 / (elapsed - self.last.0).as_secs_f64();
        let left = (self.total - done) as f64 / rate;
        self.last = (elapsed, done);
        self.lines_left -= 1;
        // the rest of the lines over the rest of the time
        let pause = Duration::try_from_secs_f64(left / f64::from(self.lines_left + 1)).unwrap_or(Duration::MAX);
        self.next = elapsed.saturating_add(pause.max(PAUSE));
        Some(Place { rate, left })
    }
}

/// Prints how far a training is, if asked to.
pub(super) struct Progress<'a> {
    shown: bool,
    pace: Pace,
    batches_per_epoch: usize,
    started: Instant,
    /// A look at the clock every so many steps.
    stride: usize,
    /// Steps of all trainings of a lot.
    lot: Option<&'a AtomicUsize>,
}

impl<'a> Progress<'a> {
    /// Of one training, of so many steps in all and so many in each epoch; `lot` counts the steps of several.
    pub(super) fn new(shown: bool, (total, batches_per_epoch): (usize, usize), lot: Option<&'a AtomicUsize>) -> Self {
        Self { shown, pace: Pace::new(total), batches_per_epoch, started: Instant::now(), stride: 1, lot }
    }

    /// Called after each step.
    pub(super) fn tick(&mut self, done: usize, loss: f64) {
        if let Some(lot) = self.lot {
            lot.fetch_add(1, Ordering::Relaxed);
        }
        if !self.shown || !done.is_multiple_of(self.stride) {
            return;
        }
        let elapsed = self.started.elapsed();
        self.stride = ((done as f64 / elapsed.as_secs_f64().max(1e-9) / 100.0) as usize).max(1);
        if let Some(place) = self.pace.due(elapsed, done) {
            println!("{}", line(done, (self.pace.total, self.batches_per_epoch), loss, &place));
        }
    }

    /// Called at the end; returns the seconds it took.
    pub(super) fn finish(self, done: usize, engine: super::Engine) -> f64 {
        let seconds = self.started.elapsed().as_secs_f64();
        if self.shown {
            let plural = if done == 1 { "" } else { "s" };
            println!("{done} step{plural} in {seconds:.2} s, {:.0} it/s ({engine})", done as f64 / seconds);
        }
        seconds
    }
}

/// After `done` steps, at least 1; the epoch is named where there are several.
fn line(done: usize, (total, batches_per_epoch): (usize, usize), loss: f64, place: &Place) -> String {
    let epoch = if total > batches_per_epoch {
        format!("epoch {} of {}, ", done.div_ceil(batches_per_epoch), total.div_ceil(batches_per_epoch))
    } else {
        String::new()
    };
    format!("{epoch}step {done} of {total}, divergence {loss:.4}, {:.0} it/s, {:.0} s left", place.rate, place.left)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When lines come, in seconds, for `total` steps at this many steps per second at each time; looked at 100 times a second.
    fn times(total: usize, speed: impl Fn(f64) -> f64) -> Vec<f64> {
        let (mut pace, mut lines, mut done, mut looks) = (Pace::new(total), vec![], 0.0, 0u64);
        while done < total as f64 {
            looks += 1;
            let now = Duration::from_millis(10 * looks);
            done += 0.01 * speed(now.as_secs_f64());
            if pace.due(now, done as usize).is_some() {
                lines.push(now.as_secs_f64());
            }
        }
        lines
    }

    fn assert_rare(lines: &[f64]) {
        assert!(lines.len() < 20, "{} lines and the last", lines.len());
        assert!(lines.iter().zip(&lines[1..]).all(|(a, b)| b - a >= 1.0), "{lines:?}");
        assert!(lines.first().is_none_or(|first| *first >= 1.0), "{lines:?}");
    }

    #[test]
    fn short_work_has_a_line_a_second_and_less_than_a_second_none() {
        assert_eq!(times(900, |_| 1000.0), [0.0; 0]);
        let lines = times(5500, |_| 1000.0);
        assert_rare(&lines);
        assert_eq!(lines, [1.0, 2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn long_work_has_its_lines_over_all_of_its_time() {
        let lines = times(100_000, |_| 10.0);
        assert_rare(&lines);
        assert!(lines.len() >= 18 && lines[lines.len() - 1] > 9000.0, "{lines:?}");
    }

    #[test]
    fn work_that_changes_its_speed_keeps_to_the_same_bounds() {
        let slower = times(20_000, |now| if now < 10.0 { 1000.0 } else { 10.0 });
        assert_rare(&slower);
        assert!(slower[slower.len() - 1] > 500.0, "{slower:?}");
        let faster = times(20_000, |now| if now < 10.0 { 10.0 } else { 1000.0 });
        assert_rare(&faster);
        assert!(!faster.is_empty());
    }

    #[test]
    fn a_line_says_speed_and_time_left() {
        let place = Pace::new(4000).due(Duration::from_secs(2), 1000).unwrap();
        let text = "step 1000 of 4000, divergence 0.2500, 500 it/s, 6 s left";
        assert_eq!(line(1000, (4000, 4000), 0.25, &place), text);
        assert_eq!(line(1000, (4000, 500), 0.25, &place), format!("epoch 2 of 8, {text}"));
        assert!(line(1001, (4000, 500), 0.25, &place).starts_with("epoch 3 of 8, step 1001 of 4000, "));
    }
}
