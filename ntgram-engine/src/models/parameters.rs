//! The one ordered list of a model's named parameters: shapes, what is frozen, and initial values as PyTorch draws them.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::rng::TorchRng;

/// Groups of parameters that training leaves as they are (`true` = frozen). One flag covers every
/// module of every layer; the MLP is always trained. `LowRank` reads
/// `e` and `u` only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Freeze {
    /// Word embedding `W_E`.
    #[doc(alias = "freeze_e")]
    pub e: bool,
    /// Positional embedding `P`.
    #[doc(alias = "freeze_pos")]
    pub pos: bool,
    /// Query, key and value projections `W_Q`, `W_K`, `W_V`, and `W_C`, which compresses what they read.
    #[doc(alias = "freeze_qkv")]
    pub qkv: bool,
    /// Output projections `W_O`, and `W_D`, which decompresses what they write.
    #[doc(alias = "freeze_o")]
    pub o: bool,
    /// Unembedding `W_U`.
    #[doc(alias = "freeze_u")]
    pub u: bool,
}

/// What a parameter is, for freezing and for its initial distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// Word embedding, or the context table of a low-rank model.
    WordEmb,
    /// Positional embedding.
    PosEmb,
    /// Stacked `[W_Q; W_K; W_V]`.
    InProj,
    /// `W_O`.
    OutProj,
    /// `W_C`, from the stream to the attention modules.
    Compress,
    /// `W_D`, from the attention modules to the stream.
    Decompress,
    /// Weight or bias of an MLP.
    Mlp,
    /// Unembedding.
    Unemb,
}

/// One named parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParamSpec {
    /// Name, as PyTorch's `state_dict` of the original has it.
    pub name: String,
    /// Shape, row-major; weights are `(out, in)`.
    pub shape: Vec<usize>,
    /// What it is.
    pub kind: ParamKind,
    /// Fan-in `in` of the linear layer it belongs to: its initial values lie in `±1/√in`
    /// (in-projections: Xavier-uniform over the stacked shape instead).
    pub fan_in: usize,
}

impl ParamSpec {
    pub(super) fn new(name: String, shape: &[usize], kind: ParamKind) -> Self {
        Self { name, shape: shape.to_vec(), kind, fan_in: shape[shape.len() - 1] }
    }

    /// Number of values; `usize::MAX` where there are more.
    pub fn len(&self) -> usize {
        match self.shape.contains(&0) {
            true => 0,
            false => self.shape.iter().fold(1, |len, &side| len.saturating_mul(side)),
        }
    }

    /// Whether there are no values (never, for a checked configuration).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Half-width `a` of the initial uniform distribution `U(-a, a)`.
    pub fn init_bound(&self) -> f64 {
        match self.kind {
            // Xavier-uniform over (3d_h, d_h): a = √(6 / (d_h + 3d_h))
            ParamKind::InProj => (6.0 / self.shape.iter().fold(0.0, |sum, &side| sum + side as f64)).sqrt(),
            _ => 1.0 / (self.fan_in as f64).sqrt(),
        }
    }

    /// Whether training leaves it as it is.
    pub fn is_frozen(&self, freeze: &Freeze) -> bool {
        match self.kind {
            ParamKind::WordEmb => freeze.e,
            ParamKind::PosEmb => freeze.pos,
            ParamKind::InProj | ParamKind::Compress => freeze.qkv,
            ParamKind::OutProj | ParamKind::Decompress => freeze.o,
            ParamKind::Unemb => freeze.u,
            ParamKind::Mlp => false,
        }
    }
}

/// Most values that a model may have: 4 GiB of float32, of which training needs some four times as much.
pub const MAX_VALUES: usize = 1 << 30;

/// Most parameters that a model may have: each has a name, a shape and a tensor of its own.
const MAX_PARAMETERS: usize = 1 << 20;

/// Number of values of all parameters; `usize::MAX` where there are more.
pub fn n_values(list: &[ParamSpec]) -> usize {
    list.iter().fold(0, |sum, spec| sum.saturating_add(spec.len()))
}

/// Refuses sizes that make more than [`MAX_VALUES`] values, before anything is counted out or allocated. `total` adds them up in a type in
/// which no product of them can overflow; `parameters` counts what they belong to.
pub(super) fn check_total(sizes: &str, total: f64, parameters: f64) -> Result<()> {
    for (count, most, of) in [(total, MAX_VALUES, "values"), (parameters, MAX_PARAMETERS, "parameters")] {
        if count > most as f64 {
            let expected = format!("it would have {count:.2e} {of}, and at most {most} are possible");
            return Err(Error::argument("config", sizes, expected));
        }
    }
    Ok(())
}

/// The values of all parameters of a model's list ([`ModelConfig::initial_values`](super::ModelConfig::initial_values)).
pub(super) fn initial_values(list: &[ParamSpec], rng: &mut TorchRng) -> Result<Vec<f32>> {
    let mut values = Vec::with_capacity(n_values(list));
    let draw =
        |spec: &ParamSpec, rng: &mut TorchRng| rng.uniform_vec(spec.len(), -spec.init_bound(), spec.init_bound());
    let mut k = 0;
    while k < list.len() {
        if list[k].kind == ParamKind::InProj {
            let out_proj = draw(&list[k + 1], rng)?;
            values.extend(draw(&list[k], rng)?);
            values.extend(out_proj);
            k += 2;
        } else {
            values.extend(draw(&list[k], rng)?);
            k += 1;
        }
    }
    Ok(values)
}
