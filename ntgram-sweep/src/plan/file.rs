//! What may stand in a plan: the keys of its file.

use ntgram_engine::Error;
use ntgram_engine::engine::Loss;
use ntgram_engine::models::Norm;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::axis::Axis;
use super::document::Document;
use super::number::Number;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// What the plan is for; nothing reads it.
    #[serde(default, rename = "about")]
    pub _about: Option<String>,
    /// Keys that every experiment has unless it has its own.
    #[serde(default)]
    pub defaults: Table,
    pub experiment: Vec<Table>,
}

/// One experiment, its defaults filled in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Experiment {
    pub name: String,
    pub table: Option<String>,
    #[serde(default)]
    pub axes: toml::map::Map<String, Value>,
    pub repetitions: Option<Number>,
    pub stream: Option<Stream>,
    pub init: Option<Init>,
    pub shuffle: Option<Seeded>,
    pub law: Law,
    pub data: Data,
    pub model: Model,
    pub training: Training,
}

/// One stream for all trainings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stream {
    pub seed: Number,
    /// Experiments with streams of one name go on in one another's.
    pub name: Option<String>,
}

/// A place of its own for each training's initial values.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Init {
    pub seed: Option<Number>,
    pub skip: Option<Number>,
    #[serde(default)]
    pub after_data: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seeded {
    pub seed: Number,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Law {
    PowerUnif { n_vocab: Number, alphas: Vec<Number>, nb_tokens: Vec<Number>, seed: Number },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Data {
    pub batch_size: Number,
    pub num_batch: Number,
    pub context_window: Number,
    pub seed: Option<Number>,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Model {
    Transformer {
        d_model: Number,
        d_inner: Option<Number>,
        n_layers: Option<Number>,
        n_modules: Option<Number>,
        n_heads: Option<Number>,
        width: Option<Number>,
        depth: Option<Number>,
        norm: Option<NormName>,
        center_logits: Option<bool>,
        #[serde(default)]
        skips: Vec<String>,
        #[serde(default)]
        freeze: Vec<String>,
    },
    LowRank {
        d_model: Number,
        center_logits: Option<bool>,
        #[serde(default)]
        freeze: Vec<String>,
    },
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(super) enum NormName {
    Layer,
    None,
}

impl From<NormName> for Norm {
    fn from(name: NormName) -> Self {
        match name {
            NormName::Layer => Norm::Layer,
            NormName::None => Norm::None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Training {
    pub lr: Number,
    pub epochs: Option<Number>,
    pub schedule: Option<Schedule>,
    pub loss: Option<LossName>,
    pub max_batches: Option<Number>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Schedule {
    Linear { to: Number },
    Rates(Vec<Number>),
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(super) enum LossName {
    NextToken,
    FullDivergence,
}

impl From<LossName> for Loss {
    fn from(name: LossName) -> Self {
        match name {
            LossName::NextToken => Loss::NextToken,
            LossName::FullDivergence => Loss::FullDivergence,
        }
    }
}

/// An experiment and its axes, in the order in which they are written.
pub(super) type WithAxes = (Experiment, Vec<(String, Axis)>);

/// The experiments with their defaults and axes.
pub(super) fn experiments(document: &Document, text: &str) -> Result<Vec<WithAxes>, Error> {
    let whole: Table = text.parse().map_err(|e: toml::de::Error| document.refuse(None, &[], e.message()))?;
    let file: File = typed(document, None, Value::Table(whole))?;
    if file.experiment.is_empty() {
        return Err(document.refuse(None, &[], "a plan has at least one [[experiment]]"));
    }
    let read = |(k, own): (usize, Table)| {
        let mut defaults = file.defaults.clone();
        // one says where all trainings' draws come from, the other where each one's do
        for (key, others) in [("stream", &["init", "shuffle"][..]), ("init", &["stream"])] {
            if own.contains_key(key) {
                others.iter().for_each(|other| drop(defaults.remove(*other)));
            }
        }
        let merged = merged(defaults, own);
        let experiment: Experiment = typed(document, Some(k), Value::Table(merged))?;
        let axis = |(name, value): (&String, &Value)| {
            let axis = Axis::deserialize(value.clone())
                .map_err(|e: toml::de::Error| document.refuse(Some(k), &["axes".into(), name.clone()], e.message()))?;
            Ok((name.clone(), axis))
        };
        let axes = experiment.axes.iter().map(axis).collect::<Result<_, Error>>()?;
        Ok((experiment, axes))
    };
    file.experiment.clone().into_iter().enumerate().map(read).collect()
}

/// Reads a value into its type; an error names the key and its line.
fn typed<T: DeserializeOwned>(document: &Document, k: Option<usize>, value: Value) -> Result<T, Error> {
    serde_path_to_error::deserialize(value).map_err(|e| {
        let mut keys = vec![];
        for segment in e.path().iter() {
            use serde_path_to_error::Segment;
            match segment {
                Segment::Seq { index } => keys.push(index.to_string()),
                Segment::Map { key } => keys.push(key.clone()),
                Segment::Enum { .. } | Segment::Unknown => {}
            }
        }
        let message = e.inner().message().to_owned();
        // of an unknown key the message knows the name
        if let Some(unknown) = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next())
            && keys.last().map(String::as_str) != Some(unknown)
        {
            keys.push(unknown.to_owned());
        }
        document.refuse(k, &keys, &message)
    })
}

/// `own` with what it lacks from `defaults`, table by table. A table of another `kind` than the default's takes nothing from it.
fn merged(mut defaults: Table, own: Table) -> Table {
    for (key, value) in own {
        let value = match (defaults.remove(&key), value) {
            (Some(Value::Table(default)), Value::Table(own)) if key != "axes" && same_kind(&default, &own) => {
                Value::Table(merged(default, own))
            }
            (_, value) => value,
        };
        defaults.insert(key, value);
    }
    defaults
}

fn same_kind(default: &Table, own: &Table) -> bool {
    own.get("kind").is_none_or(|kind| default.get("kind") == Some(kind))
}
