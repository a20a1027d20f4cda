//! Axes: what an experiment is repeated over.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::number::{Number, Values};

/// One value that a plan names: a number, an expression of those before it, a list of them, or a range.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Axis {
    One(Number),
    List(Vec<Number>),
    Range { from: Number, to: Number, step: Number },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    from: Number,
    to: Number,
    #[serde(default = "one")]
    step: Number,
}

fn one() -> Number {
    Number::Value(1.0)
}

/// Most values of a range.
const LONGEST: f64 = 1e6;

impl Axis {
    /// Its values among those of the axes before it.
    pub fn values(&self, before: &Values) -> Result<Vec<f64>, String> {
        match self {
            Self::One(number) => Ok(vec![number.evaluate(before)?]),
            Self::List(numbers) if numbers.is_empty() => Err("the list is empty, and there must be a value".into()),
            Self::List(numbers) => numbers.iter().map(|number| number.evaluate(before)).collect(),
            Self::Range { from, to, step } => {
                let [from, to, step] = [from, to, step].map(|number| number.evaluate(before));
                let (from, to, step) = (from?, to?, step?);
                if step <= 0.0 {
                    return Err(format!("`step` is {step}, and it must be above 0"));
                }
                // `to` is meant to be reached where it is a whole number of steps away, up to rounding
                let count = ((to - from) / step + 1e-9).floor() + 1.0;
                if count < 1.0 {
                    return Err(format!("there is no value from {from} to {to}"));
                }
                if count > LONGEST {
                    return Err(format!(
                        "there are {count:e} values from {from} to {to}, and at most {LONGEST:e} are possible"
                    ));
                }
                Ok((0..count as u64).map(|k| from + k as f64 * step).collect())
            }
        }
    }
}

impl<'de> Deserialize<'de> for Axis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::Array(list) => {
                let numbers = list.iter().map(Number::of).collect::<Result<_, _>>();
                numbers.map(Self::List).map_err(D::Error::custom)
            }
            range @ toml::Value::Table(_) => {
                let Range { from, to, step } = range.try_into().map_err(|e: toml::de::Error| {
                    D::Error::custom(format!("{}; a range is {{ from = 1, to = 9, step = 2 }}", e.message()))
                })?;
                Ok(Self::Range { from, to, step })
            }
            other => Number::of(&other).map(Self::One).map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Result<Vec<f64>, String> {
        #[derive(Deserialize)]
        struct Holder {
            axis: Axis,
        }
        let holder: Holder = toml::from_str(&format!("axis = {text}")).map_err(|e| e.to_string())?;
        holder.axis.values(&[("d".to_owned(), 4.0)])
    }

    #[test]
    fn lists_ranges_and_dependent_values() {
        assert_eq!(values("[1, \"2 * d\", 0.5]"), Ok(vec![1.0, 8.0, 0.5]));
        assert_eq!(values("{ from = 1, to = 10, step = 3 }"), Ok(vec![1.0, 4.0, 7.0, 10.0]));
        assert_eq!(values("{ from = 0, to = \"d\" }"), Ok(vec![0.0, 1.0, 2.0, 3.0, 4.0]));
        assert_eq!(values("{ from = 0.1, to = 0.3, step = 0.1 }").unwrap().len(), 3);
        assert_eq!(values("\"d - 1\""), Ok(vec![3.0]));
        assert_eq!(values("7"), Ok(vec![7.0]));
    }

    #[test]
    fn empty_and_endless_axes_are_refused() {
        for (text, part) in [
            ("[]", "empty"),
            ("{ from = 3, to = 2 }", "no value from 3 to 2"),
            ("{ from = 3, to = 9, step = 0 }", "`step` is 0"),
            ("{ from = 0, to = 1e12 }", "at most"),
            ("{ from = 0, until = 3 }", "until"),
            ("true", "no number"),
            ("[1, [2]]", "no number"),
        ] {
            let refused = values(text).unwrap_err();
            assert!(refused.contains(part), "{text}: {refused}");
        }
    }
}
