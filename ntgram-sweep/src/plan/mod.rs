//! Plans: the TOML files that say what to train, and the tasks that they come to.

mod axis;
mod document;
mod file;
mod number;

use std::collections::HashMap;
use std::path::Path;

use ntgram_engine::models::{Freeze, LowRankConfig, Skips, TransformerConfig};
use ntgram_engine::train::Schedule;
use ntgram_engine::{Error, Result};

use crate::task::Task;
use crate::training::{DataSpec, LawSpec, ModelSpec, Shuffle, Start, Training};
use axis::Axis;
use document::Document;
use file::Experiment;
use number::{Number, Values, is_name};

/// A checked plan: all its tasks, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    tasks: Vec<Task>,
    digest: String,
}

/// Most tasks of a plan.
const MOST_TASKS: usize = 1 << 22;

impl Plan {
    /// Reads a plan from its file.
    ///
    /// # Errors
    /// The file cannot be read, or something in it cannot be run: the message names the line and the key. Nothing is trained before all of
    /// it is checked.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
        Self::of(&text, path)
    }

    /// A plan from its text.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(text: &str) -> Result<Self> {
        Self::of(text, Path::new("the text"))
    }

    fn of(text: &str, path: &Path) -> Result<Self> {
        let document = Document::parse(text, path)?;
        let experiments = file::experiments(&document, text)?;
        let mut tasks = vec![];
        let mut streams: HashMap<String, (u64, u64)> = HashMap::new();
        for (k, (experiment, axes)) in experiments.iter().enumerate() {
            let reader = Reader { document: &document, k };
            if let Some(earlier) = experiments[..k].iter().position(|(other, _)| other.name == experiment.name) {
                let reason = format!("experiment {} has this name, too", earlier + 1);
                return Err(reader.refuse(&["name"], reason));
            }
            reader.tasks(experiment, axes, &mut streams, &mut tasks)?;
        }
        let digest = crate::training::digest(tasks.iter().map(Task::key).collect::<Vec<_>>().join("\n").as_bytes());
        Ok(Self { tasks, digest: digest[..32].to_owned() })
    }

    /// All tasks, in the order of the plan: the axis written last goes fastest, and the repetitions of a point follow one another.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// A digest of what all its tasks train: 32 hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The plan with the tasks of these experiments or tables only. They keep their numbers and their places in the stream.
    ///
    /// # Errors
    /// A name that no experiment and no table has; the message lists those there are.
    pub fn only<S: AsRef<str>>(&self, names: &[S]) -> Result<Self> {
        if let Some(unknown) = names.iter().find(|name| !self.tasks.iter().any(|task| task.is_of(name.as_ref()))) {
            let mut known: Vec<&str> = vec![];
            for name in self.tasks.iter().flat_map(|task| [task.experiment.as_str(), &task.table]) {
                if !known.contains(&name) {
                    known.push(name);
                }
            }
            let expected = format!("the plan has {}", known.join(", "));
            return Err(Error::argument("only", format!("{:?}", unknown.as_ref()), expected));
        }
        let chosen = |task: &&Task| names.iter().any(|name| task.is_of(name.as_ref()));
        Ok(Self { tasks: self.tasks.iter().filter(chosen).cloned().collect(), digest: self.digest.clone() })
    }
}

/// Reads one experiment, the one at place `k`.
struct Reader<'a> {
    document: &'a Document<'a>,
    k: usize,
}

impl Reader<'_> {
    fn refuse(&self, keys: &[&str], reason: impl AsRef<str>) -> Error {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        self.document.refuse(Some(self.k), &keys, reason.as_ref())
    }

    /// Adds the experiment's tasks to `tasks`; `streams`: seeds of named streams, and how far each is.
    fn tasks(
        &self,
        experiment: &Experiment,
        axes: &[(String, Axis)],
        streams: &mut HashMap<String, (u64, u64)>,
        tasks: &mut Vec<Task>,
    ) -> Result<()> {
        if let Some((bad, _)) = axes.iter().find(|(name, _)| !is_name(name) || name == REPETITION) {
            let reason = "an axis is named by a letter and then letters, digits or _, other than what expressions have \
                          already (such as PI, sin or repetition)";
            return Err(self.refuse(&["axes", bad], reason));
        }
        let repetitions = match &experiment.repetitions {
            Some(number) => self.whole(&["repetitions"], number, &[])?,
            None => 1,
        };
        if repetitions == 0 {
            return Err(self.refuse(&["repetitions"], "0, and it must be at least 1"));
        }
        let points = self.points(axes)?;
        if points.len().saturating_mul(repetitions).saturating_add(tasks.len()) > MOST_TASKS {
            return Err(self.refuse(&["axes"], format!("more than {MOST_TASKS} trainings")));
        }
        let mut running = match (&experiment.stream, &experiment.init) {
            (Some(stream), None) => Some(self.stream(stream, streams)?),
            (None, Some(_)) => None,
            (Some(_), Some(_)) => return Err(self.refuse(&["init"], "there is a `stream`, too: choose one")),
            (None, None) => {
                let reason = "it has neither `stream = { seed = … }`, one stream for all trainings, nor `init = { seed = … }`, which may \
                              be an expression of `repetition`";
                return Err(self.refuse(&["name"], reason));
            }
        };
        if let (Some(_), Some(_)) = (&running, &experiment.shuffle) {
            return Err(self.refuse(&["shuffle"], "the `stream` has the shuffles, too: leave it out"));
        }
        for point in points {
            let table = self.named(experiment, &point)?;
            for repetition in 0..repetitions {
                let mut values = point.clone();
                values.push((REPETITION.to_owned(), repetition as f64));
                let (init, shuffle) = match &running {
                    Some((seed, skip)) => (Start::Seed { seed: *seed, skip: *skip }, Shuffle::AfterInit),
                    None => self.own_places(experiment, &values)?,
                };
                let training = self.training(experiment, &values, init, shuffle)?;
                if let Some((_, skip)) = &mut running {
                    *skip = skip.saturating_add(training.words());
                }
                let names = (experiment.name.clone(), table.clone());
                tasks.push(Task::new(tasks.len(), names, point.clone(), repetition, training));
            }
        }
        if let (Some(place), Some(Some(name))) = (running, experiment.stream.as_ref().map(|stream| &stream.name)) {
            streams.insert(name.clone(), place);
        }
        Ok(())
    }

    /// The seed of the experiment's stream, and how far it is.
    fn stream(&self, stream: &file::Stream, streams: &HashMap<String, (u64, u64)>) -> Result<(u64, u64)> {
        let seed = self.whole(&["stream", "seed"], &stream.seed, &[])? as u64;
        match stream.name.as_ref().and_then(|name| streams.get(name)) {
            Some((first, _)) if *first != seed => {
                Err(self
                    .refuse(&["stream", "seed"], format!("{seed}, and the stream of this name has the seed {first}")))
            }
            Some(place) => Ok(*place),
            None => Ok((seed, 0)),
        }
    }

    /// All combinations of the axes' values.
    fn points(&self, axes: &[(String, Axis)]) -> Result<Vec<Vec<(String, f64)>>> {
        let mut points: Vec<Vec<(String, f64)>> = vec![vec![]];
        for (name, axis) in axes {
            let mut longer = vec![];
            for point in &points {
                let values = axis.values(point).map_err(|reason| self.refuse(&["axes", name], reason))?;
                if longer.len().saturating_add(values.len()) > MOST_TASKS {
                    return Err(self.refuse(&["axes", name], format!("more than {MOST_TASKS} points")));
                }
                longer.extend(values.into_iter().map(|value| {
                    let mut next = point.clone();
                    next.push((name.clone(), value));
                    next
                }));
            }
            points = longer;
        }
        Ok(points)
    }

    /// The table's name at a point: `exp_1_{d}` with d's value.
    fn named(&self, experiment: &Experiment, point: &Values) -> Result<String> {
        let pattern = experiment.table.as_ref().unwrap_or(&experiment.name);
        let (mut name, mut rest) = (String::new(), pattern.as_str());
        while let Some((before, after)) = rest.split_once('{') {
            let (axis, after) = after
                .split_once('}')
                .ok_or_else(|| self.refuse(&["table"], format!("{pattern:?} has a `{{` without its `}}`")))?;
            let value = point.iter().find(|(known, _)| known == axis).map(|(_, value)| value);
            let value =
                value.ok_or_else(|| self.refuse(&["table"], format!("{pattern:?}: there is no axis `{axis}`")))?;
            name += &format!("{before}{value}");
            rest = after;
        }
        name += rest;
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if name.is_empty() || !name.chars().all(plain) {
            let key = if experiment.table.is_some() { "table" } else { "name" };
            return Err(
                self.refuse(&[key], format!("{name:?}, and a name has ASCII letters, digits, `_`, `-` and `.` only"))
            );
        }
        Ok(name)
    }

    /// Where a training's initial values and shuffles come from, where they are its own.
    fn own_places(&self, experiment: &Experiment, values: &Values) -> Result<(Start, Shuffle)> {
        let init = experiment.init.as_ref().expect("the caller has seen it");
        let init = match (&init.seed, init.after_data) {
            (Some(seed), false) => {
                let skip = init.skip.as_ref().map_or(Ok(0), |skip| self.whole(&["init", "skip"], skip, values))?;
                Start::Seed { seed: self.whole(&["init", "seed"], seed, values)? as u64, skip: skip as u64 }
            }
            (None, true) if init.skip.is_none() => Start::AfterData,
            _ => {
                let reason = "it has a `seed` (and a `skip`, if some words of its stream are to be passed over), or `after_data = true`";
                return Err(self.refuse(&["init"], reason));
            }
        };
        let shuffle = match &experiment.shuffle {
            Some(shuffle) => self.whole(&["shuffle", "seed"], &shuffle.seed, values)? as u64,
            None => 0,
        };
        Ok((init, Shuffle::Seed(shuffle)))
    }

    fn whole(&self, keys: &[&str], number: &Number, values: &Values) -> Result<usize> {
        number.whole(values).map(|value| value as usize).map_err(|reason| self.refuse(keys, reason))
    }

    fn number(&self, keys: &[&str], number: &Number, values: &Values) -> Result<f64> {
        number.evaluate(values).map_err(|reason| self.refuse(keys, reason))
    }

    /// One training, checked.
    fn training(&self, experiment: &Experiment, values: &Values, init: Start, shuffle: Shuffle) -> Result<Training> {
        let law = self.law(&experiment.law, values)?;
        let data = self.data(&experiment.data, values)?;
        let (model, freeze) = self.model(&experiment.model, values, &law, &data)?;
        let file::Training { lr, epochs, schedule, loss, max_batches } = &experiment.training;
        let optional = |key: &str, number: &Option<Number>| {
            number.as_ref().map(|number| self.whole(&["training", key], number, values)).transpose()
        };
        let schedule = match schedule {
            None => Schedule::Constant,
            Some(file::Schedule::Linear { to }) => {
                Schedule::Linear { to: self.number(&["training", "schedule", "linear", "to"], to, values)? }
            }
            Some(file::Schedule::Rates(rates)) => {
                let rate = |rate| self.number(&["training", "schedule", "rates"], rate, values);
                Schedule::Rates(rates.iter().map(rate).collect::<Result<_>>()?)
            }
        };
        let training = Training {
            law,
            data,
            model,
            freeze,
            init,
            shuffle,
            epochs: optional("epochs", epochs)?.unwrap_or(1),
            lr: self.number(&["training", "lr"], lr, values)?,
            schedule,
            loss: loss.map_or_else(Default::default, Into::into),
            max_batches: optional("max_batches", max_batches)?,
        };
        training.check().map_err(|e| self.refused_by_engine(e, values))?;
        Ok(training)
    }

    /// What the engine refuses, at the key that it is about.
    fn refused_by_engine(&self, error: Error, values: &Values) -> Error {
        let Error::Argument { argument, .. } = &error else { return error };
        let keys: &[&str] = match *argument {
            "n_vocab" => &["law", "n_vocab"],
            "alphas" => &["law", "alphas"],
            "nb_tokens" => &["law", "nb_tokens"],
            "batch_size" => &["data", "batch_size"],
            "num_batch" | "batch_size * num_batch" => &["data", "num_batch"],
            "context_window" => &["data", "context_window"],
            "d_model" | "d_inner" | "n_layers" | "n_modules" | "n_heads" | "skips" | "freeze" => &["model", argument],
            "config" => &["model"],
            "lr" | "epochs" | "schedule" | "max_batches" => &["training", argument],
            _ => &["name"],
        };
        let at: Vec<String> = values.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        self.refuse(keys, format!("{error} (where {})", at.join(", ")))
    }

    fn law(&self, law: &file::Law, values: &Values) -> Result<LawSpec> {
        let file::Law::PowerUnif { n_vocab, alphas, nb_tokens, seed } = law;
        let whole = |key, number: &Number| self.whole(&["law", key], number, values);
        Ok(LawSpec::PowerUnif {
            n_vocab: whole("n_vocab", n_vocab)?,
            alphas: alphas.iter().map(|alpha| self.number(&["law", "alphas"], alpha, values)).collect::<Result<_>>()?,
            nb_tokens: nb_tokens.iter().map(|count| whole("nb_tokens", count)).collect::<Result<_>>()?,
            seed: whole("seed", seed)? as u64,
        })
    }

    fn data(&self, data: &file::Data, values: &Values) -> Result<DataSpec> {
        let whole = |key, number: &Number| self.whole(&["data", key], number, values);
        Ok(DataSpec {
            batch_size: whole("batch_size", &data.batch_size)?,
            num_batch: whole("num_batch", &data.num_batch)?,
            context_window: whole("context_window", &data.context_window)?,
            seed: data.seed.as_ref().map(|seed| whole("seed", seed).map(|seed| seed as u64)).transpose()?,
        })
    }

    fn model(
        &self,
        model: &file::Model,
        values: &Values,
        law: &LawSpec,
        data: &DataSpec,
    ) -> Result<(ModelSpec, Freeze)> {
        let whole = |key: &str, number: &Number| self.whole(&["model", key], number, values);
        let or = |key: &str, number: &Option<Number>, default| number.as_ref().map_or(Ok(default), |n| whole(key, n));
        let (n_vocab, context_window) = (law.n_vocab(), data.context_window);
        match model {
            file::Model::Transformer {
                d_model,
                d_inner,
                n_layers,
                n_modules,
                n_heads,
                width,
                depth,
                norm,
                center_logits,
                skips,
                freeze,
            } => {
                let width = or("width", width, 0)?;
                let config = TransformerConfig {
                    d_model: whole("d_model", d_model)?,
                    n_vocab,
                    n_layers: or("n_layers", n_layers, 1)?,
                    width,
                    depth: or("depth", depth, usize::from(width > 0))?,
                    n_modules: or("n_modules", n_modules, 1)?,
                    n_heads: or("n_heads", n_heads, 1)?,
                    context_window,
                    skips: self.skips(skips)?,
                    norm: norm.map_or_else(Default::default, Into::into),
                    d_inner: d_inner.as_ref().map(|d_inner| whole("d_inner", d_inner)).transpose()?,
                    center_logits: center_logits.unwrap_or(true),
                };
                Ok((ModelSpec::Transformer(config), self.freeze(freeze)?))
            }
            file::Model::LowRank { d_model, center_logits, freeze } => {
                let config = LowRankConfig {
                    d_model: whole("d_model", d_model)?,
                    n_vocab,
                    context_window,
                    order: law.order(),
                    center_logits: center_logits.unwrap_or(true),
                };
                Ok((ModelSpec::LowRank(config), self.freeze(freeze)?))
            }
        }
    }

    fn skips(&self, names: &[String]) -> Result<Skips> {
        let mut skips = Skips::default();
        let Skips { res_connection, pos_qk, emb_qk, pos_ov, emb_ov } = &mut skips;
        let terms = [
            ("res_connection", res_connection),
            ("pos_qk", pos_qk),
            ("emb_qk", emb_qk),
            ("pos_ov", pos_ov),
            ("emb_ov", emb_ov),
        ];
        self.set(names, terms, ("skips", "terms"))?;
        Ok(skips)
    }

    fn freeze(&self, names: &[String]) -> Result<Freeze> {
        let mut freeze = Freeze::default();
        let Freeze { e, pos, qkv, o, u } = &mut freeze;
        let groups = [("e", e), ("pos", pos), ("qkv", qkv), ("o", o), ("u", u)];
        self.set(names, groups, ("freeze", "groups of parameters"))?;
        Ok(freeze)
    }

    /// Sets the flags of these names, of which every one must be known; `what` they are called where one is not.
    fn set<const K: usize>(
        &self,
        names: &[String],
        mut flags: [(&str, &mut bool); K],
        (key, what): (&str, &str),
    ) -> Result<()> {
        for name in names {
            let Some((_, flag)) = flags.iter_mut().find(|(known, _)| known == name) else {
                let known = flags.map(|(known, _)| known).join(", ");
                return Err(self.refuse(&["model", key], format!("{name:?}, and {what} are {known}")));
            };
            **flag = true;
        }
        Ok(())
    }
}

/// The name of the number of the repetition in expressions.
const REPETITION: &str = "repetition";
