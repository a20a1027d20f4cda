//! Power laws through points: straight lines through their logarithms.

use std::fmt;

use super::fit::{FitBand, LEVEL, LineFit, line_fit, line_fit_weighted, with_interval};
use crate::error::{Error, Result};

/// The power law `y = c x^p` nearest to points, by [`power_law_fit`] or [`power_law_fit_weighted`].
///
/// Its text, which a cell shows, has the exponent and the coefficient, each with its interval of 95 %.
#[derive(Debug, Clone, PartialEq)]
pub struct PowerLawFit {
    /// `p`.
    pub exponent: f64,
    /// Standard error of the exponent.
    pub exponent_error: f64,
    /// `c`, the curve's height at `x = 1`.
    pub coefficient: f64,
    /// The line `ln y = ln c + p ln x`, of natural logarithms.
    pub line: LineFit,
}

/// The power law through points: [`line_fit`] of `ln y` over `ln x`, whose slope is the exponent. Intervals are exact where the points
/// scatter about the curve by factors, independently and all by as much: what is the same error in per cent.
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// // what accuracy a model of some sizes reaches
/// let fit = power_law_fit(&[4.0, 6.0, 8.0, 12.0, 16.0], &[0.033, 0.071, 0.131, 0.287, 0.505])?;
/// assert_eq!(fit.to_string(), "exponent 1.976 (95 % 1.921 to 2.031), coefficient 0.00211 (95 % 0.00188 to 0.00238)");
/// assert!((fit.predict(8.0) - 0.128).abs() < 0.001);
/// # Ok(()) }
/// ```
///
/// # Errors
/// As [`line_fit`]; and values that are not above 0.
pub fn power_law_fit(xs: &[f64], ys: &[f64]) -> Result<PowerLawFit> {
    let (log_xs, log_ys) = logarithms(xs, ys)?;
    PowerLawFit::of(line_fit(&log_xs, &log_ys)?)
}

/// The power law through points whose standard errors `σ` are known: [`line_fit_weighted`] of `ln y` over `ln x` with the errors `σ / y`,
/// which holds where they are small beside `y`.
///
/// # Errors
/// As [`line_fit_weighted`]; and values that are not above 0.
pub fn power_law_fit_weighted(xs: &[f64], ys: &[f64], errors: &[f64]) -> Result<PowerLawFit> {
    let (log_xs, log_ys) = logarithms(xs, ys)?;
    // too few or too many errors stay so, and are refused by their number
    let relative: Vec<f64> =
        errors.iter().enumerate().map(|(k, error)| error / ys.get(k).copied().unwrap_or(1.0)).collect();
    if let Some(k) = (0..relative.len()).find(|&k| errors[k].is_finite() && errors[k] > 0.0 && !in_range(relative[k])) {
        let expected = "an error over its `ys` must be a number above 0";
        return Err(Error::argument("errors", format!("{:e} at {k}", errors[k]), expected));
    }
    PowerLawFit::of(line_fit_weighted(&log_xs, &log_ys, &relative)?)
}

fn in_range(x: f64) -> bool {
    x.is_finite() && x > 0.0
}

fn logarithms(xs: &[f64], ys: &[f64]) -> Result<(Vec<f64>, Vec<f64>)> {
    for (name, list) in [("xs", xs), ("ys", ys)] {
        if let Some(value) = list.iter().find(|value| !in_range(**value)) {
            return Err(Error::argument(name, value, "a power law needs finite numbers above 0"));
        }
    }
    let of = |list: &[f64]| list.iter().map(|value| value.ln()).collect();
    Ok((of(xs), of(ys)))
}

impl PowerLawFit {
    fn of(line: LineFit) -> Result<Self> {
        let coefficient = line.intercept.exp();
        if !in_range(coefficient) {
            let expected = "the curve's height at x = 1 is too large or small for a number";
            return Err(Error::argument(
                "xs",
                format!("far from 1: the height there is e^{}", line.intercept),
                expected,
            ));
        }
        Ok(Self { exponent: line.slope, exponent_error: line.slope_error, coefficient, line })
    }

    /// The curve's height at `x`; NaN below 0.
    pub fn predict(&self, x: f64) -> f64 {
        self.line.predict(x.ln()).exp()
    }

    /// The interval that holds the exponent with probability `level`, such as 0.95.
    ///
    /// # Errors
    /// A level that does not lie between 0 and 1.
    pub fn exponent_interval(&self, level: f64) -> Result<(f64, f64)> {
        self.line.slope_interval(level)
    }

    /// The interval that holds the coefficient with probability `level`.
    ///
    /// # Errors
    /// As [`exponent_interval`](Self::exponent_interval).
    pub fn coefficient_interval(&self, level: f64) -> Result<(f64, f64)> {
        self.line.intercept_interval(level).map(raised)
    }

    /// The interval that holds the curve's height at `x` with probability `level`. It is about the curve, not about a further point.
    ///
    /// # Errors
    /// As [`exponent_interval`](Self::exponent_interval).
    pub fn interval_at(&self, x: f64, level: f64) -> Result<(f64, f64)> {
        self.line.interval_at(x.ln(), level).map(raised)
    }

    /// The curve from one `x` to another with its confidence intervals, at each `x` as [`interval_at`](Self::interval_at) has it.
    ///
    /// # Errors
    /// Ends that are not above 0, not finite or not in their order; and as [`exponent_interval`](Self::exponent_interval).
    pub fn band(&self, from: f64, to: f64, level: f64) -> Result<FitBand> {
        if !(in_range(from) && in_range(to) && from.ln() < to.ln()) {
            let expected = "both ends must be finite numbers above 0, the first below the second";
            return Err(Error::argument("from", format!("{from} with `to` {to}"), expected));
        }
        let logarithms = self.line.band(from.ln(), to.ln(), level)?;
        let of = |list: Vec<f64>| list.into_iter().map(f64::exp).collect();
        let FitBand { xs, ys, low, high } = logarithms;
        Ok(FitBand { xs: of(xs), ys: of(ys), low: of(low), high: of(high) })
    }
}

fn raised((low, high): (f64, f64)) -> (f64, f64) {
    (low.exp(), high.exp())
}

impl fmt::Display for PowerLawFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exponent = with_interval(self.exponent, self.exponent_interval(LEVEL));
        let coefficient = with_interval(self.coefficient, self.coefficient_interval(LEVEL));
        write!(f, "exponent {exponent}, coefficient {coefficient}{}", self.line.agreement())
    }
}
