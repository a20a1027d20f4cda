//! Parameters as they were on the way: how something changes while a model trains.

use tch::Tensor;

use crate::error::{Error, Result};
use crate::models::Parameters;

/// Which parameters to keep while training, and how often.
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// let mut rng = TorchRng::new(1);
/// let pi = last_position_law(&[10, 10], 10, 0.0, 0.95, &mut rng)?;
/// let mut model = LowRank::new(5, 10, 3, &pi, &mut rng)?;
/// let data = generate_data(64, 40, &pi, 3, &mut rng)?;
/// let snapshots = Some(Snapshots { every: 20, parameters: vec!["unemb.weight".into()] });
/// let history = train(&mut model, &data, &TrainOptions { snapshots, progress: false, ..Default::default() })?;
/// fn frame(s: &Snapshot) -> Result<Heatmap> {
///     diverging_heatmap(&gram(&s.get("unemb.weight")?)?, &format!("step {}", s.step))
/// }
/// let frames = history.snapshots.iter().map(frame).collect::<Result<Vec<_>>>()?;
/// assert_eq!(frames.len(), 3); // before the first step, after 20 and after 40
/// let slider = display_heatmaps(frames)?; // a cell's last expression shows it
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshots {
    /// One after every so many steps, one before the first step and one at the end.
    pub every: usize,
    /// Names of the parameters, as in [`Parameters`]; none: all of them. Each snapshot holds their values in full.
    pub parameters: Vec<String>,
}

impl Snapshots {
    /// The interval and the names must be usable.
    pub(super) fn check(&self, params: &Parameters) -> Result<()> {
        if self.every == 0 {
            return Err(Error::argument("every", 0, "snapshots are taken after every so many steps: at least 1"));
        }
        let names: Vec<&str> = params.iter().map(|(name, _)| name).collect();
        match self.parameters.iter().find(|name| !names.contains(&name.as_str())) {
            None => Ok(()),
            Some(unknown) => {
                let expected = format!("the model has {}", names.join(", "));
                Err(Error::argument("parameters", format!("{unknown:?}"), expected))
            }
        }
    }
}

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
    shape: Vec<i64>,
    values: Vec<f32>,
}

impl Snapshot {
    /// The parameter's values at that step, in its shape, float32 on the CPU.
    ///
    /// # Errors
    /// The snapshot does not hold it; the message lists what it holds.
    pub fn get(&self, name: &str) -> Result<Tensor> {
        match self.parameters.iter().find(|kept| kept.name == name) {
            Some(kept) => Ok(Tensor::from_slice(&kept.values).f_view(&kept.shape[..])?),
            None => {
                let expected = format!("the snapshot holds {}", self.names().join(", "));
                Err(Error::argument("name", format!("{name:?}"), expected))
            }
        }
    }

    /// Names of the parameters it holds, in the model's order.
    pub fn names(&self) -> Vec<&str> {
        self.parameters.iter().map(|kept| kept.name.as_str()).collect()
    }
}

/// Takes the snapshots of one training.
pub(super) struct Taker {
    every: usize,
    /// Name, shape and place in the flat list of values.
    chosen: Vec<(String, Vec<i64>, std::ops::Range<usize>)>,
    taken: Vec<Snapshot>,
}

impl Taker {
    /// For checked options; without them it takes none.
    pub(super) fn new(options: Option<&Snapshots>, params: &Parameters) -> Self {
        let mut chosen = vec![];
        let mut at = 0;
        for (name, tensor) in params.iter() {
            let place = at..at + tensor.numel();
            at = place.end;
            if options.is_some_and(|o| o.parameters.is_empty() || o.parameters.iter().any(|wanted| wanted == name)) {
                chosen.push((name.to_owned(), tensor.size(), place));
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
        let keep = |(name, shape, place): &(String, Vec<i64>, std::ops::Range<usize>)| Kept {
            name: name.clone(),
            shape: shape.clone(),
            values: flat[place.clone()].to_vec(),
        };
        self.taken.push(Snapshot { step, parameters: self.chosen.iter().map(keep).collect() });
    }
}
