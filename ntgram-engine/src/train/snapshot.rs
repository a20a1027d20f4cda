//! Parameters as they were on the way: how something changes while a model trains.

use super::options::Snapshots;
use crate::error::{Error, Result};
use crate::models::ParamSpec;

/// Chosen parameters after a number of steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Steps done; 0 before the first.
    pub step: usize,
    parameters: Vec<Kept>,
}

#[derive(Debug, Clone, PartialEq)]
struct Kept {
    name: String,
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Snapshot {
    /// The parameter's shape and values at that step.
    ///
    /// # Errors
    /// The snapshot does not hold it; the message lists what it holds.
    pub fn values(&self, name: &str) -> Result<(&[usize], &[f32])> {
        match self.parameters.iter().find(|kept| kept.name == name) {
            Some(kept) => Ok((&kept.shape, &kept.values)),
            None => {
                let expected = format!("the snapshot holds {}", self.names().join(", "));
                Err(Error::argument("name", format!("{name:?}"), expected))
            }
        }
    }

    /// Names of the parameters it holds, in the model's order.
    pub fn names(&self) -> Vec<String> {
        self.parameters.iter().map(|kept| kept.name.clone()).collect()
    }
}

/// Takes the snapshots of one training.
pub(super) struct Taker {
    every: usize,
    /// Name, shape and place in the flat list of values.
    chosen: Vec<(String, Vec<usize>, std::ops::Range<usize>)>,
    taken: Vec<Snapshot>,
}

impl Taker {
    /// For checked options; without them it takes none.
    pub(super) fn new(options: Option<&Snapshots>, list: &[ParamSpec]) -> Self {
        let mut chosen = vec![];
        let mut at = 0;
        for ParamSpec { name, shape, .. } in list {
            let place = at..at + shape.iter().product::<usize>();
            at = place.end;
            if options.is_some_and(|o| o.parameters.is_empty() || o.parameters.iter().any(|wanted| wanted == name)) {
                chosen.push((name.clone(), shape.clone(), place));
            }
        }
        Self { every: options.map_or(usize::MAX, |options| options.every), chosen, taken: vec![] }
    }

    /// Before each step: keeps the parameters if their turn has come after `done` steps. `flat` gives all of them, in order.
    pub(super) fn before_step(&mut self, done: usize, flat: impl FnOnce() -> Vec<f32>) {
        if !self.chosen.is_empty() && done.is_multiple_of(self.every) {
            self.take(done, &flat());
        }
    }

    /// After the last step.
    pub(super) fn finish(mut self, done: usize, flat: impl FnOnce() -> Vec<f32>) -> Vec<Snapshot> {
        if !self.chosen.is_empty() {
            self.take(done, &flat());
        }
        self.taken
    }

    fn take(&mut self, step: usize, flat: &[f32]) {
        let keep = |(name, shape, place): &(String, Vec<usize>, std::ops::Range<usize>)| Kept {
            name: name.clone(),
            shape: shape.clone(),
            values: flat[place.clone()].to_vec(),
        };
        self.taken.push(Snapshot { step, parameters: self.chosen.iter().map(keep).collect() });
    }
}
