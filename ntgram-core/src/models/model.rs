//! What both models have in common: a law, named parameters, what is frozen. `train` and everything that takes either model takes
//! `&mut dyn Model` or `&dyn Model`.

use ntgram_engine::models::{ModelConfig, Place};
use tch::{Device, Tensor};

use super::params::{Parameters, at};
use super::{Freeze, Law};
use crate::error::Result;
use crate::rng::TorchRng;

/// What a model consists of besides its sizes.
#[derive(Debug, Clone)]
pub struct State {
    pub(super) law: Law,
    pub(super) params: Parameters,
    pub(super) freeze: Freeze,
}

impl State {
    /// Checks that `config` can learn the law, and draws the initial values.
    pub(super) fn init(config: ModelConfig, law: &Law, rng: &mut TorchRng) -> Result<Self> {
        config.check(law)?;
        Ok(Self::new(law.clone(), Parameters::from_flat(config.parameters(), &config.initial_values(rng)?)))
    }

    /// The weight at a place, as a copy: changing it changes no model.
    pub(super) fn copy(&self, place: &Place) -> Tensor {
        at(place, self.params.tensors()).detach().copy()
    }

    pub(super) fn new(law: Law, params: Parameters) -> Self {
        Self { law, params, freeze: Freeze::default() }
    }
}

mod sealed {
    /// Keeps [`Model`](super::Model) to this crate's models.
    pub trait Sealed {}
    impl Sealed for crate::models::Transformer {}
    impl Sealed for crate::models::LowRank {}
}

/// Either model, a [`Transformer`](super::Transformer) or a [`LowRank`](super::LowRank).
pub trait Model: sealed::Sealed + std::fmt::Debug + Send {
    #[doc(hidden)]
    fn state(&self) -> &State;
    #[doc(hidden)]
    fn state_mut(&mut self) -> &mut State;

    /// The model's sizes.
    fn sizes(&self) -> ModelConfig<'_>;

    /// Logits `(B, S, N)` of the model's forward pass on other parameters, given in the order of its list: what autograd differentiates.
    /// `tokens (B, S)` int64, checked.
    #[doc(hidden)]
    fn logits_of(&self, params: &[Tensor], tokens: &Tensor) -> Tensor;

    /// The law the model is trained on.
    fn law(&self) -> &Law {
        &self.state().law
    }

    /// Named parameters.
    fn params(&self) -> &Parameters {
        &self.state().params
    }

    /// Named parameters, to change them.
    fn params_mut(&mut self) -> &mut Parameters {
        &mut self.state_mut().params
    }

    /// Chooses what training leaves as it is; replaces an earlier choice.
    fn freeze(&mut self, freeze: Freeze) {
        self.state_mut().freeze = freeze;
    }

    /// What training leaves as it is.
    fn frozen(&self) -> Freeze {
        self.state().freeze
    }

    /// Moves the parameters to a device.
    ///
    /// # Errors
    /// The device is not there, or too small; the model stays where it was.
    fn to_device(&mut self, device: Device) -> Result<()> {
        self.state_mut().params.move_to(device)
    }
}
