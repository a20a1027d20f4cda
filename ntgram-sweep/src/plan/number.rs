//! A number of a plan: written out, or as an expression of other values.

use exmex::Express;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

/// Values by name, those of axes written first coming first.
pub(super) type Values = [(String, f64)];

/// A number, or the text of an expression such as `2 * d * (p - 1)`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Number {
    Value(f64),
    Expression(String),
}

/// Whole numbers up to here are exact as doubles.
const EXACT: f64 = (1u64 << 53) as f64;

impl Number {
    pub fn of(value: &toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::Integer(whole) if whole.unsigned_abs() > 1 << 53 => {
                Err(format!("{whole} is too large: whole numbers go up to 2^53"))
            }
            toml::Value::Integer(whole) => Ok(Self::Value(*whole as f64)),
            toml::Value::Float(value) => Ok(Self::Value(*value)),
            toml::Value::String(text) => Ok(Self::Expression(text.clone())),
            other => Err(format!("{other} is no number: write one, or an expression in quotes, such as \"2 * d\"")),
        }
    }

    /// Its value among `values`.
    pub fn evaluate(&self, values: &Values) -> Result<f64, String> {
        let text = match self {
            Self::Value(value) => return finite(*value, ""),
            Self::Expression(text) => text,
        };
        let expression = parsed(text).map_err(|reason| format!("{text:?} is no expression: {reason}"))?;
        let find = |name: &String| {
            let found = values.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
            let known: Vec<&str> = values.iter().map(|(name, _)| name.as_str()).collect();
            found.ok_or_else(|| format!("{text:?} has the name `{name}`, and known here are: {}", known.join(", ")))
        };
        let arguments = expression.var_names().iter().map(find).collect::<Result<Vec<f64>, _>>()?;
        let value = expression.eval(&arguments).map_err(|e| format!("{text:?} cannot be computed: {e}"))?;
        finite(value, &format!("{text:?}{}", at(values)))
    }

    /// Its value, which must be a whole number of at least 0.
    pub fn whole(&self, values: &Values) -> Result<u64, String> {
        let value = self.evaluate(values)?;
        if value >= 0.0 && value.fract() == 0.0 && value <= EXACT {
            return Ok(value as u64);
        }
        let what = match self {
            Self::Value(_) => value.to_string(),
            Self::Expression(text) => format!("{text:?} is {value}{}", at(values)),
        };
        Err(format!("{what}, and it must be a whole number, 0 or more"))
    }
}

fn finite(value: f64, what: &str) -> Result<f64, String> {
    if value.is_finite() { Ok(value) } else { Err(format!("{what} is {value}: no finite number").trim().to_owned()) }
}

/// ` where d = 3, H = 6`; nothing where there are no values.
fn at(values: &Values) -> String {
    let list: Vec<String> = values.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    if list.is_empty() { String::new() } else { format!(" where {}", list.join(", ")) }
}

fn parsed(text: &str) -> Result<exmex::FlatEx<f64>, String> {
    exmex::parse::<f64>(text).map_err(|e| e.to_string())
}

/// Whether a name can stand in an expression for a value: not so `PI`, `sin` or `2d`.
pub(super) fn is_name(name: &str) -> bool {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    plain && !name.starts_with(|c: char| c.is_ascii_digit()) && parsed(name).is_ok_and(|e| e.var_names() == [name])
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(&toml::Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluated(text: &str, values: &[(&str, f64)]) -> Result<f64, String> {
        let values: Vec<(String, f64)> = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        Number::Expression(text.to_owned()).evaluate(&values)
    }

    #[test]
    fn expressions_have_the_usual_order_of_operations() {
        let values = [("d", 7.0), ("p", 6.0)];
        assert_eq!(evaluated("2 * d * (p - 1)", &values), Ok(70.0));
        assert_eq!(evaluated("d", &values), Ok(7.0));
        assert_eq!(evaluated("2 + 3 * d^2 / 7", &values), Ok(23.0));
        assert_eq!(evaluated("-d + 0.5", &values), Ok(-6.5));
        assert_eq!(evaluated("floor(d / 2)", &values), Ok(3.0));
    }

    #[test]
    fn what_is_no_number_is_refused_by_its_text() {
        for (text, part) in [
            ("2 d", "no expression"),
            ("d +", "no expression"),
            ("", "no expression"),
            ("e_1", "known here are: d"),
            ("1 / (d - 7)", "no finite number"),
        ] {
            let refused = evaluated(text, &[("d", 7.0)]).unwrap_err();
            assert!(refused.contains(part) && refused.contains(&format!("{text:?}")), "{text:?}: {refused}");
        }
    }

    #[test]
    fn sizes_are_whole() {
        let whole = |text: &str| Number::Expression(text.into()).whole(&[("d".to_owned(), 3.0)]);
        assert_eq!(whole("2 * d"), Ok(6));
        assert_eq!(
            whole("d / 2").unwrap_err(),
            "\"d / 2\" is 1.5 where d = 3, and it must be a whole number, 0 or more"
        );
        assert!(whole("d - 4").is_err() && whole("1e300").is_err());
    }

    #[test]
    fn names_stand_for_values() {
        assert!(["d", "d_head", "H", "x2"].into_iter().all(is_name));
        assert!(!["PI", "sin", "2d", "", "a b", "a-b", "é"].into_iter().any(is_name));
    }
}
