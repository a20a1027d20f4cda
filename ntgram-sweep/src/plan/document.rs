//! The text of a plan, and where in it a key stands.

use std::path::{Path, PathBuf};

use ntgram_engine::Error;
use toml::de::{DeTable, DeValue};

/// A plan's text and where it came from.
pub(super) struct Document<'a> {
    pub path: PathBuf,
    text: &'a str,
    tree: DeTable<'a>,
}

impl<'a> Document<'a> {
    pub fn parse(text: &'a str, path: &Path) -> Result<Self, Error> {
        let refuse = |e: toml::de::Error| {
            let at = e.span().map_or(1, |span| line_at(text, span.start));
            Error::file(path, PLAN, &format!("line {at}: {}", e.message()))
        };
        let tree = DeTable::parse(text).map_err(refuse)?.into_inner();
        Ok(Self { path: path.to_owned(), text, tree })
    }

    /// What is wrong at `keys`, such as `["law", "nb_tokens"]`, of the experiment at place `k` or of what it takes from the defaults;
    /// without `k`: of the whole plan.
    pub fn refuse(&self, k: Option<usize>, keys: &[String], reason: &str) -> Error {
        let line = self.line(k, keys);
        let of = k.and_then(|k| self.name(k)).map_or(String::new(), |name| format!(" of experiment {name:?}"));
        let key = if keys.is_empty() { String::new() } else { format!(", `{}`{of}", keys.join(".")) };
        Error::file(&self.path, PLAN, &format!("line {line}{key}: {reason}"))
    }

    fn name(&self, k: usize) -> Option<&str> {
        let (experiment, _) = self.experiment(k)?;
        experiment.get("name")?.get_ref().as_str()
    }

    /// The experiment at place `k` and where its text starts.
    fn experiment(&self, k: usize) -> Option<(&DeTable<'a>, usize)> {
        let experiment = self.tree.get("experiment")?.get_ref().as_array()?.get(k)?;
        Some((experiment.get_ref().as_table()?, experiment.span().start))
    }

    /// The line of the last of `keys` that is there: in the experiment, else in the defaults.
    fn line(&self, k: Option<usize>, keys: &[String]) -> usize {
        let (tables, start) = match k.and_then(|k| self.experiment(k)) {
            Some((experiment, start)) => {
                (vec![Some(experiment), self.tree.get("defaults").and_then(|d| d.get_ref().as_table())], start)
            }
            None => (vec![Some(&self.tree)], 0),
        };
        let found = tables.into_iter().flatten().filter_map(|table| find(table, keys)).max_by_key(|(depth, _)| *depth);
        line_at(self.text, found.map_or(start, |(_, at)| at))
    }
}

const PLAN: &str = "plan";

/// How many of `keys` are there, and where the last of them starts.
fn find(table: &DeTable, keys: &[String]) -> Option<(usize, usize)> {
    let (key, rest) = keys.split_first()?;
    let (name, value) = table.get_key_value(key.as_str())?;
    let deeper = match value.get_ref() {
        DeValue::Table(inner) => find(inner, rest),
        DeValue::Array(list) => {
            let place = rest.first().and_then(|place| place.parse::<usize>().ok());
            place.and_then(|place| list.get(place)).map(|entry| (1, entry.span().start))
        }
        _ => None,
    };
    Some(deeper.map_or((1, name.span().start), |(depth, at)| (depth + 1, at)))
}

/// Line of a byte, from 1.
fn line_at(text: &str, byte: usize) -> usize {
    1 + text.as_bytes()[..byte.min(text.len())].iter().filter(|b| **b == b'\n').count()
}
