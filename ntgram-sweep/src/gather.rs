//! Tables of results: one row a task, and one row a point.

use ntgram_engine::{Error, Result};

use crate::plan::Plan;
use crate::result::{Outcome, Tails};
use crate::store::{State, Store};
use crate::task::Task;

/// One cell of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// A name.
    Text(String),
    /// A count.
    Whole(usize),
    /// A measure; none where there is nothing to measure.
    Number(Option<f64>),
}

/// A table with names for its columns; all its rows are as long.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
}

/// Tasks and what a store has for them.
#[derive(Debug)]
pub struct Gathered<'a> {
    /// The tasks, and their states.
    pub states: Vec<(&'a Task, State)>,
    /// The [digest](Plan::digest) of the plan that they are a part of.
    pub plan: &'a str,
}

/// What to gather beside what the plan decides: it differs from run to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Timings {
    /// Nothing: the same plan gives the same table, wherever and in whatever order it was computed.
    #[default]
    Without,
    /// Seconds of each task, and the instructions of its processor.
    With,
}

/// Reads what `store` has for a plan's tasks.
///
/// # Errors
/// A file cannot be read.
pub fn gather<'a>(plan: &'a Plan, store: &Store) -> Result<Gathered<'a>> {
    let state = |task| Ok((task, store.state(task)?));
    Ok(Gathered { states: plan.tasks().iter().map(state).collect::<Result<_>>()?, plan: plan.digest() })
}

impl Gathered<'_> {
    /// How many tasks have a result, of this version or another.
    pub fn done(&self) -> usize {
        self.states.iter().filter(|(_, state)| outcome(state).is_some()).count()
    }

    /// One row for each task that has a result: its place in the plan, its axes, its measures. Losses in nats.
    pub fn tasks(&self, timings: Timings) -> Rows {
        let axes = self.axes();
        let mut columns = head(["index", "experiment", "table"]);
        columns.extend(axes.clone());
        columns.extend(head(["repetition", "parameters", "steps"]));
        columns.extend(head(MEASURES));
        columns.extend(head(["unif_loss", "version", "key", "plan"]));
        if timings == Timings::With {
            columns.extend(head(["seconds", "instructions"]));
        }
        let rows = self.states.iter().filter_map(|(task, state)| {
            let outcome = outcome(state)?;
            let (State::Done(result) | State::OtherVersion(result)) = state else { return None };
            let mut row = vec![Cell::Whole(task.index), text(&task.experiment), text(&task.table)];
            row.extend(axes.iter().map(|axis| Cell::Number(task.axis(axis))));
            row.extend([task.repetition, outcome.parameters, outcome.steps].map(Cell::Whole));
            row.extend(measures(outcome).map(Cell::Number));
            row.push(Cell::Number(Some(outcome.unif_loss)));
            row.extend([result.version.as_str(), &result.key, self.plan].map(text));
            if timings == Timings::With {
                row.extend([Cell::Number(Some(outcome.seconds)), text(&result.instructions)]);
            }
            Some(row)
        });
        let rows = rows.collect();
        Rows { columns, rows }
    }

    /// One row for each point, over the repetitions that have a result: the mean of each measure, its standard error (the root of the
    /// unbiased variance over the count; none where there is but one), how many were counted, and how many diverged, which have no measure.
    pub fn points(&self) -> Rows {
        let axes = self.axes();
        let mut columns = head(["experiment", "table"]);
        columns.extend(axes.clone());
        columns.extend(head(["parameters", "steps", "count", "diverged"]));
        columns.extend(MEASURES.iter().flat_map(|name| [(*name).to_owned(), format!("{name}_se")]));
        columns.extend(head(["unif_loss", "plan"]));
        let mut points: Vec<(&Task, Vec<&Outcome>)> = vec![];
        for (task, state) in &self.states {
            let Some(outcome) = outcome(state) else { continue };
            // the repetitions of a point follow one another
            match points.last_mut() {
                Some((first, outcomes)) if same_point(first, task) => outcomes.push(outcome),
                _ => points.push((task, vec![outcome])),
            }
        }
        let row = |(task, outcomes): (&Task, Vec<&Outcome>)| {
            let ended = outcomes.iter().filter(|outcome| outcome.tails.is_some()).count();
            let mut row = vec![text(&task.experiment), text(&task.table)];
            row.extend(axes.iter().map(|axis| Cell::Number(task.axis(axis))));
            row.extend([outcomes[0].parameters, task.training.steps(), ended, outcomes.len() - ended].map(Cell::Whole));
            for k in 0..MEASURES.len() {
                let values: Vec<f64> = outcomes.iter().filter_map(|outcome| measures(outcome)[k]).collect();
                let (mean, error) = mean_and_error(&values);
                row.extend([Cell::Number(mean), Cell::Number(error)]);
            }
            row.push(Cell::Number(
                mean_and_error(&outcomes.iter().map(|outcome| outcome.unif_loss).collect::<Vec<_>>()).0,
            ));
            row.push(text(self.plan));
            row
        };
        Rows { columns, rows: points.into_iter().map(row).collect() }
    }

    /// All axes, in the order in which they come.
    fn axes(&self) -> Vec<String> {
        let mut names: Vec<String> = vec![];
        for (name, _) in self.states.iter().flat_map(|(task, _)| &task.axes) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }
}

/// Columns of a task's measures.
const MEASURES: [&str; 4] = ["accuracy", "original_accuracy", "loss", "original_loss"];

fn measures(outcome: &Outcome) -> [Option<f64>; 4] {
    let of = |measure: fn(&Tails) -> f64| outcome.tails.as_ref().map(measure);
    [of(|t| t.accuracy), of(|t| t.original_accuracy), of(|t| t.loss), of(|t| t.original_loss)]
}

fn outcome(state: &State) -> Option<&Outcome> {
    match state {
        State::Done(result) | State::OtherVersion(result) => Some(&result.outcome),
        State::Broken(_) | State::Missing => None,
    }
}

fn same_point(a: &Task, b: &Task) -> bool {
    a.experiment == b.experiment && a.table == b.table && a.axes == b.axes
}

fn mean_and_error(values: &[f64]) -> (Option<f64>, Option<f64>) {
    if values.is_empty() {
        return (None, None);
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (Some(mean), (values.len() > 1).then(|| (squares / (count - 1.0) / count).sqrt()))
}

fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

fn head<const K: usize>(names: [&str; K]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}

impl Rows {
    /// The table as CSV: a line of names, then a line a row; what there is not is empty. Numbers have as many digits as tell them from all
    /// others.
    ///
    /// # Errors
    /// Never, but for a lack of memory.
    pub fn to_csv(&self) -> Result<String> {
        let mut writer = csv::Writer::from_writer(vec![]);
        let other = |e: csv::Error| Error::other(format!("csv: {e}"));
        writer.write_record(&self.columns).map_err(other)?;
        for row in &self.rows {
            writer.write_record(row.iter().map(Cell::to_text)).map_err(other)?;
        }
        let bytes = writer.into_inner().map_err(|e| Error::other(format!("csv: {e}")))?;
        Ok(String::from_utf8(bytes).expect("made of text"))
    }
}

impl Cell {
    fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Whole(whole) => whole.to_string(),
            Self::Number(number) => number.map_or(String::new(), |number| number.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_standard_errors_by_hand() {
        let (mean, error) = mean_and_error(&[1.0, 2.0, 6.0]);
        assert_eq!(mean, Some(3.0));
        // squares 4 + 1 + 9 = 14, variance 7, over 3
        assert!((error.unwrap() - (7.0f64 / 3.0).sqrt()).abs() < 1e-15);
        assert_eq!(mean_and_error(&[0.5]), (Some(0.5), None));
        assert_eq!(mean_and_error(&[]), (None, None));
    }
}
