//! Sweeps in a cell: the trainings of a plan, and their results as tables. What is computed, and how, is `ntgram-sweep`'s; its program does
//! the same in a terminal and on a cluster.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ntgram_sweep::gather::{Cell, Rows, Timings, gather};
use ntgram_sweep::{Options, Progress, Store};
use polars::prelude::{Column, DataFrame};

pub use ntgram_sweep::Plan;

use crate::error::Result;
use crate::interrupt::interrupted;
use crate::table::{Table, refused};

/// Where [`sweep`] keeps results, seen from the notebook.
const FOLDER: &str = "results/sweeps";

/// The results of a plan, as far as they are there.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// One row a point: means over the repetitions, their standard errors, how many were counted. Losses in nats.
    pub points: Table,
    /// One row a training.
    pub tasks: Table,
    /// Trainings that have a result.
    pub done: usize,
    /// All trainings of the plan.
    pub total: usize,
    /// The folder of the results.
    pub folder: PathBuf,
}

/// Computes what is missing of a plan's trainings, on all cores, and gathers the results: what `ntgram-sweep run` and `ntgram-sweep gather` do,
/// with a few lines of progress. Results are kept in `results/sweeps` and are there the next time, whatever cell or program computed them.
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # std::env::set_current_dir(&folder).unwrap();
/// let plan = Plan::parse(
///     r#"
///     [[experiment]]
///     name = "heads"
///     axes = { H = [1, 2] }
///     repetitions = 3
///     stream = { seed = 2222 }
///     law = { kind = "power_unif", n_vocab = 6, alphas = [1, 1, 1], nb_tokens = [6, 6, 1], seed = 2222 }
///     data = { batch_size = 32, num_batch = 8, context_window = 3 }
///     model = { kind = "transformer", d_model = 3, n_modules = "H" }
///     training = { lr = 0.01, epochs = 2 }
///     "#,
/// )?;
/// let heads = sweep(&plan)?;
/// assert_eq!(heads.points.numbers("H")?, [1.0, 2.0]);
/// assert_eq!(heads.points.numbers("count")?, [3.0, 3.0]);
/// # Ok(()) }
/// ```
///
/// The notebook's stop button ends it after the running steps: the trainings that are finished are kept, and the same cell goes on from there.
///
/// # Errors
/// A result cannot be written or read, or the engine refuses a training.
pub fn sweep(plan: &Plan) -> Result<Sweep> {
    sweep_to(plan, FOLDER)
}

/// [`sweep`] with another folder for the results, such as one that a cluster has filled.
///
/// # Errors
/// As [`sweep`].
pub fn sweep_to(plan: &Plan, folder: impl AsRef<Path>) -> Result<Sweep> {
    let store = Store::create(folder)?;
    let mut lines = Lines::new();
    let options = Options { stop: &interrupted, ..Options::default() };
    let summary = ntgram_sweep::sweep(plan.tasks(), &store, &options, &mut |progress| lines.tell(progress))?;
    if let Some((title, error)) = summary.failed.into_iter().next() {
        return Err(crate::error::Error::other(format!("{title}: {error}")));
    }
    let (done, total) = (summary.done, summary.total);
    let stopped = if summary.stopped { ", stopped: run the cell again to go on" } else { "" };
    println!("{done} of {total} trainings, {} of them now, in {:.1} s{stopped}", summary.computed, summary.seconds);
    let gathered = gather(plan, &store)?;
    let [points, tasks] = [gathered.points(), gathered.tasks(Timings::With)].map(|rows| table(&rows));
    Ok(Sweep { points: points?, tasks: tasks?, done, total, folder: store.folder().to_owned() })
}

/// Gathered rows as a table.
fn table(rows: &Rows) -> Result<Table> {
    let column = |(k, name): (usize, &String)| {
        let cells = || rows.rows.iter().map(|row| &row[k]);
        let name = name.as_str().into();
        match cells().next() {
            Some(Cell::Text(_)) => {
                let text = |cell: &Cell| if let Cell::Text(text) = cell { text.clone() } else { String::new() };
                Column::new(name, cells().map(text).collect::<Vec<_>>())
            }
            Some(Cell::Whole(_)) => {
                let whole = |cell: &Cell| if let Cell::Whole(whole) = cell { *whole as u64 } else { 0 };
                Column::new(name, cells().map(whole).collect::<Vec<_>>())
            }
            _ => {
                let number = |cell: &Cell| if let Cell::Number(number) = cell { *number } else { None };
                Column::new(name, cells().map(number).collect::<Vec<_>>())
            }
        }
    };
    let columns = rows.columns.iter().enumerate().map(column).collect();
    Ok(Table::new(DataFrame::new(rows.rows.len(), columns).map_err(refused)?))
}

/// Lines of progress: a kernel cannot overwrite one, so there are few.
struct Lines {
    due: Duration,
    left: u32,
}

impl Lines {
    fn new() -> Self {
        Self { due: Duration::from_secs(1), left: 20 }
    }

    fn tell(&mut self, progress: &Progress) {
        let Progress { done, total, steps, elapsed, left } = *progress;
        if elapsed < self.due || self.left == 0 || done == total {
            return;
        }
        let rate = steps as f64 / elapsed.as_secs_f64();
        let more = left.map_or(String::new(), |left| format!(", {:.0} s left", left.as_secs_f64()));
        println!("{done} of {total} trainings, {rate:.0} it/s{more}");
        self.due = elapsed + (left.unwrap_or_default() / self.left).max(Duration::from_secs(1));
        self.left -= 1;
    }
}
