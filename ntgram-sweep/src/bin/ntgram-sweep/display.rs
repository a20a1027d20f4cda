//! How far a sweep is, on the terminal: a bar, or lines where there is none.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use ntgram_sweep::Progress;

pub struct Display {
    /// On a terminal.
    bar: Option<ProgressBar>,
    /// When the next line is due, elsewhere.
    due: Duration,
}

const EVERY: Duration = Duration::from_secs(10);

impl Display {
    pub fn new() -> Self {
        let style = "{bar:30} {pos}/{len} trainings  {msg}";
        let style = ProgressStyle::with_template(style).expect("the template is right");
        let bar = std::io::stderr()
            .is_terminal()
            .then(|| ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr()).with_style(style));
        Self { bar, due: EVERY }
    }

    pub fn show(&mut self, progress: &Progress) {
        let Progress { done, total, elapsed, .. } = *progress;
        match &self.bar {
            Some(bar) => {
                bar.set_length(total as u64);
                bar.set_position(done as u64);
                bar.set_message(said(progress));
            }
            None if elapsed >= self.due => {
                eprintln!("{done} of {total} trainings, {}", said(progress));
                self.due = elapsed + EVERY;
            }
            None => {}
        }
    }

    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `5300 steps/s, 3 minutes left`.
fn said(progress: &Progress) -> String {
    let rate = progress.steps as f64 / progress.elapsed.as_secs_f64().max(1e-9);
    let left = progress.left.map_or(String::new(), |left| format!(", {} left", HumanDuration(left)));
    format!("{rate:.0} steps/s{left}")
}
