//! Adam's constants and state, shared by both engines.

/// Decay of the first moment.
pub(crate) const BETA_1: f64 = 0.9;
/// Decay of the second moment.
pub(crate) const BETA_2: f64 = 0.999;
/// Added to the root of the second moment.
pub(crate) const EPS: f64 = 1e-8;

/// The optimiser's state: first and second moments of the trained (not frozen) parameters, one after the other in the model's
/// order, and the steps taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Adam {
    /// First moments.
    pub m: Vec<f32>,
    /// Second moments.
    pub v: Vec<f32>,
    /// Steps taken so far.
    pub steps: u64,
}

impl Adam {
    /// A fresh state for that many trained values.
    pub(crate) fn new(trained: usize) -> Self {
        Self { m: vec![0.0; trained], v: vec![0.0; trained], steps: 0 }
    }
}
