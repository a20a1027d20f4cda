//! One training of a plan, with its place in it.

use crate::training::Training;

/// One training of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its number in the plan, from 0.
    pub index: usize,
    /// The experiment that it belongs to.
    pub experiment: String,
    /// The table that its result is a part of.
    pub table: String,
    /// The axes of the experiment and their values here, as they are written in the plan.
    pub axes: Vec<(String, f64)>,
    /// Which repetition, from 0.
    pub repetition: usize,
    /// What is trained.
    pub training: Training,
    key: String,
}

impl Task {
    pub(crate) fn new(
        index: usize,
        (experiment, table): (String, String),
        axes: Vec<(String, f64)>,
        repetition: usize,
        training: Training,
    ) -> Self {
        let key = training.key();
        Self { index, experiment, table, axes, repetition, training, key }
    }

    /// The [key](Training::key) of its training, which names its result.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether `name` is the name of its experiment or of its table.
    pub fn is_of(&self, name: &str) -> bool {
        self.experiment == name || self.table == name
    }

    /// The value of an axis, if the experiment has it.
    pub fn axis(&self, name: &str) -> Option<f64> {
        self.axes.iter().find(|(axis, _)| axis == name).map(|(_, value)| *value)
    }

    /// Its table and where in it: `exp_1_3, d = 3, H = 6, repetition 2`.
    pub fn title(&self) -> String {
        let axes: String = self.axes.iter().map(|(name, value)| format!(", {name} = {value}")).collect();
        format!("{}{axes}, repetition {}", self.table, self.repetition)
    }
}
