//! The straight line through points, by least squares, and how well it is known.

use std::fmt;

use super::quantile::Known;
use super::scaled::{Scaled, times_power};
use super::{least, most};
use crate::error::{Error, Result};
use crate::numbers::{Small, aligned, down_to, short};

/// Least number of points: two lie on a line whatever they are.
const LEAST: usize = 3;
/// Points of a [`FitBand`].
const POINTS: usize = 101;
/// The level of the intervals that a fit's text has, and how the text names it.
pub(super) const LEVEL: f64 = 0.95;
const LEVEL_TEXT: &str = "95 %";

/// The straight line `y = a + b x` nearest to points, by [`line_fit`] or [`line_fit_weighted`].
///
/// Its text, which a cell shows, has the slope and the intercept, each with its interval of 95 %.
#[derive(Debug, Clone, PartialEq)]
pub struct LineFit {
    /// `b`.
    pub slope: f64,
    /// Standard error of the slope.
    pub slope_error: f64,
    /// `a`, the line's height at `x = 0`.
    pub intercept: f64,
    /// Standard error of the intercept.
    pub intercept_error: f64,
    /// `x̄`, the mean of the points' `x`, weighted where the points are.
    pub x_mean: f64,
    /// `ȳ`, the line's height at `x̄`.
    pub y_mean: f64,
    /// Standard error of the height at `x̄`. It and the slope's are independent.
    pub y_mean_error: f64,
    /// `n − 2` for `n` points.
    pub degrees_of_freedom: usize,
    /// `χ² = Σ ((y − a − b x) / σ)²` of a weighted fit, None of another. For points that lie on a line but for their errors it is about
    /// the degrees of freedom.
    pub chi_squared: Option<f64>,
}

/// A fit and its confidence band: what a figure draws.
#[derive(Debug, Clone, PartialEq)]
pub struct FitBand {
    /// Points along the horizontal axis, equally far apart (of a power law: on a logarithmic axis).
    pub xs: Vec<f64>,
    /// The fit at each.
    pub ys: Vec<f64>,
    /// Lower end of the confidence interval at each.
    pub low: Vec<f64>,
    /// Upper end.
    pub high: Vec<f64>,
}

/// The line through points by ordinary least squares:
///
/// ```text
/// b = Σ (x − x̄)(y − ȳ) / Σ (x − x̄)²        a = ȳ − b x̄        s² = Σ (y − a − b x)² / (n − 2)
/// se(b)² = s² / Σ (x − x̄)²                  se(a + b x)² = s² (1 / n + (x − x̄)² / Σ (x − x̄)²)
/// ```
///
/// Intervals are `estimate ± t se`, with Student's t of `n − 2` degrees of freedom: exact where the points scatter about a line
/// independently, all with the same normal distribution. That they scatter equally is assumed, how much is taken from them.
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// let fit = line_fit(&[1.0, 2.0, 3.0, 4.0], &[1.1, 1.9, 3.2, 3.8])?;
/// assert_eq!(fit.to_string(), "slope 0.94 (95 % 0.55 to 1.33), intercept 0.2 (95 % -0.9 to 1.2)");
/// let (low, high) = fit.slope_interval(0.9)?;
/// assert!(0.55 < low && low < fit.slope && fit.slope < high && high < 1.33);
/// assert!((fit.predict(5.0) - 4.85).abs() < 1e-12);
/// # Ok(()) }
/// ```
///
/// # Errors
/// Fewer than three points, another number of `y` than of `x`, values that are not finite, all `x` equal; a line that no finite number
/// describes.
pub fn line_fit(xs: &[f64], ys: &[f64]) -> Result<LineFit> {
    fit(xs, ys, None)
}

/// The line through points whose standard errors `σ` are known, such as means over repetitions, by least squares with the weights
/// `w = 1 / σ²`:
///
/// ```text
/// x̄ = Σ w x / Σ w        ȳ = Σ w y / Σ w        b = Σ w (x − x̄)(y − ȳ) / Σ w (x − x̄)²        a = ȳ − b x̄
/// se(b)² = 1 / Σ w (x − x̄)²                     se(a + b x)² = 1 / Σ w + (x − x̄)² / Σ w (x − x̄)²
/// ```
///
/// Intervals are `estimate ± z se`, with the normal distribution's z: the errors are taken as they are given, and not from how the points
/// scatter about the line. So where the points do not lie on a line, the intervals say too little: [`chi_squared`](LineFit::chi_squared)
/// is then far above the degrees of freedom. Fewer than some ten repetitions know their standard error badly; the intervals do not
/// account for that.
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// let fit = line_fit_weighted(&[1.0, 2.0, 3.0], &[1.1, 1.9, 3.2], &[0.1, 0.1, 0.2])?;
/// let text = "slope 0.97 (95 % 0.77 to 1.16), intercept 0.08 (95 % -0.27 to 0.43), χ² 2.78 with 1 degree of freedom";
/// assert_eq!(fit.to_string(), text);
/// # Ok(()) }
/// ```
///
/// # Errors
/// As [`line_fit`]; and another number of `errors` than of points, errors that are not above 0, or that differ so much that all but one
/// point have no weight.
pub fn line_fit_weighted(xs: &[f64], ys: &[f64], errors: &[f64]) -> Result<LineFit> {
    fit(xs, ys, Some(errors))
}

fn fit(xs: &[f64], ys: &[f64], errors: Option<&[f64]>) -> Result<LineFit> {
    check(xs, ys, errors)?;
    let count = xs.len() as f64;
    // the point with the least error is the origin, so that differences to it are exact
    let sigma = |k: usize| errors.map_or(1.0, |errors| errors[k]);
    let best = (0..xs.len()).min_by(|a, b| sigma(*a).total_cmp(&sigma(*b))).unwrap_or(0);
    let (u, v) = (Scaled::around(xs, best), Scaled::around(ys, best));
    let weights: Vec<f64> = (0..xs.len()).map(|k| (sigma(best) / sigma(k)).powi(2)).collect();

    let total: f64 = weights.iter().sum();
    let weighted = |values: &[f64]| weights.iter().zip(values).map(|(w, value)| w * value).sum::<f64>();
    let (u_mean, v_mean) = (weighted(&u.values) / total, weighted(&v.values) / total);
    let du: Vec<f64> = u.values.iter().map(|u| u - u_mean).collect();
    let dv: Vec<f64> = v.values.iter().map(|v| v - v_mean).collect();
    let products = |a: &[f64], b: &[f64]| weighted(&a.iter().zip(b).map(|(a, b)| a * b).collect::<Vec<_>>());
    let spread = products(&du, &du);
    if spread <= 0.0 {
        let (value, expected) = ("of very different sizes", "all points but one have no weight beside it");
        return Err(Error::argument("errors", value, expected));
    }
    let steep = products(&du, &dv) / spread;
    let residuals: Vec<f64> = du.iter().zip(&dv).map(|(u, v)| v - steep * u).collect();

    let slope = times_power(steep * v.size / u.size, v.power - u.power);
    let degrees_of_freedom = xs.len() - 2;
    let (slope_error, y_mean_error, chi_squared) = match errors {
        None => {
            let scatter = (products(&residuals, &residuals) / degrees_of_freedom as f64).sqrt() * v.size;
            let slope_error = times_power(scatter / spread.sqrt() / u.size, v.power - u.power);
            (slope_error, times_power(scatter / count.sqrt(), v.power), None)
        }
        Some(errors) => {
            let slope_error = times_power(errors[best] / spread.sqrt() / u.size, -u.power);
            let ratio = |(residual, error): (&f64, &f64)| times_power(residual * v.size, v.power) / error;
            let chi_squared = residuals.iter().zip(errors).map(ratio).map(|ratio| ratio * ratio).sum();
            (slope_error, errors[best] / total.sqrt(), Some(chi_squared))
        }
    };
    let line = LineFit {
        slope,
        slope_error,
        intercept: 0.0,
        intercept_error: 0.0,
        x_mean: u.back(u_mean),
        y_mean: v.back(v_mean),
        y_mean_error,
        degrees_of_freedom,
        chi_squared,
    };
    let line = LineFit { intercept: line.predict(0.0), intercept_error: line.error_at(0.0), ..line };
    let numbers = [slope, slope_error, line.intercept, line.intercept_error, line.x_mean, line.y_mean, y_mean_error];
    if !numbers.iter().all(|number| number.is_finite()) {
        let expected = "their line's slope or intercept is too large for a number";
        return Err(Error::argument("ys", format!("from {:e} to {:e}", least(ys), most(ys)), expected));
    }
    Ok(line)
}

fn check(xs: &[f64], ys: &[f64], errors: Option<&[f64]>) -> Result<()> {
    if xs.len() < LEAST {
        return Err(Error::argument("xs", format!("{} values", xs.len()), format!("a fit needs at least {LEAST}")));
    }
    for (name, list) in [("xs", Some(xs)), ("ys", Some(ys)), ("errors", errors)] {
        let Some(list) = list else { continue };
        if list.len() != xs.len() {
            let expected = format!("there must be as many as `xs`, {}", xs.len());
            return Err(Error::argument(name, format!("{} values", list.len()), expected));
        }
        if let Some(value) = list.iter().find(|value| !value.is_finite()) {
            return Err(Error::argument(name, value, "every value must be a finite number"));
        }
    }
    if xs.iter().all(|x| *x == xs[0]) {
        return Err(Error::argument("xs", format!("{} everywhere", xs[0]), "a line needs two different values"));
    }
    match errors.and_then(|errors| errors.iter().find(|error| **error <= 0.0)) {
        Some(error) => Err(Error::argument("errors", error, "every standard error must be above 0")),
        None => Ok(()),
    }
}

impl LineFit {
    /// The line's height at `x`.
    pub fn predict(&self, x: f64) -> f64 {
        self.y_mean + self.slope * (x - self.x_mean)
    }

    /// Standard error of the line's height at `x`.
    pub fn error_at(&self, x: f64) -> f64 {
        self.y_mean_error.hypot(self.slope_error * (x - self.x_mean))
    }

    /// The interval that holds the slope with probability `level`, such as 0.95.
    ///
    /// # Errors
    /// A level that does not lie between 0 and 1.
    pub fn slope_interval(&self, level: f64) -> Result<(f64, f64)> {
        self.interval(self.slope, self.slope_error, level)
    }

    /// The interval that holds the intercept with probability `level`.
    ///
    /// # Errors
    /// As [`slope_interval`](Self::slope_interval).
    pub fn intercept_interval(&self, level: f64) -> Result<(f64, f64)> {
        self.interval(self.intercept, self.intercept_error, level)
    }

    /// The interval that holds the line's height at `x` with probability `level`. It is about the line, not about a further point.
    ///
    /// # Errors
    /// As [`slope_interval`](Self::slope_interval).
    pub fn interval_at(&self, x: f64, level: f64) -> Result<(f64, f64)> {
        self.interval(self.predict(x), self.error_at(x), level)
    }

    /// The line from one `x` to another with its confidence intervals, at each `x` as [`interval_at`](Self::interval_at) has it.
    ///
    /// ```
    /// use ntgram_core::prelude::*;
    /// # fn main() -> Result<()> {
    /// let (x, y) = ([1.0, 2.0, 3.0, 4.0], [1.1, 1.9, 3.2, 3.8]);
    /// let band = line_fit(&x, &y)?.band(0.0, 5.0, 0.95)?;
    /// let plot = LinePlot::new().dots_xy("measured", &x, &y).color(Color::Blue);
    /// let plot = plot.line_xy("fit", &band.xs, &band.ys).color(Color::Blue);
    /// let plot = plot.band("95 %", &band.xs, &band.low, &band.high).color(Color::Blue);
    /// # plot.figure().to_svg()?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Ends that are not finite, not in their order, or so far away that heights are no finite numbers; and as
    /// [`slope_interval`](Self::slope_interval).
    pub fn band(&self, from: f64, to: f64, level: f64) -> Result<FitBand> {
        if !from.is_finite() || !(to - from).is_finite() || from >= to {
            let expected = "both ends must be finite, the first below the second";
            return Err(Error::argument("from", format!("{from} with `to` {to}"), expected));
        }
        let last = (POINTS - 1) as f64;
        let xs: Vec<f64> = (0..POINTS).map(|k| from + (to - from) * (k as f64 / last)).collect();
        let reach = self.reach(level)?;
        let ends =
            |x: &f64| (self.predict(*x) - reach * self.error_at(*x), self.predict(*x) + reach * self.error_at(*x));
        let (low, high): (Vec<f64>, Vec<f64>) = xs.iter().map(ends).unzip();
        if !low.iter().chain(&high).all(|end| end.is_finite()) {
            let expected = "the line's height there is too large for a number";
            return Err(Error::argument("from", format!("{from} with `to` {to}"), expected));
        }
        Ok(FitBand { ys: xs.iter().map(|x| self.predict(*x)).collect(), xs, low, high })
    }

    fn interval(&self, estimate: f64, error: f64, level: f64) -> Result<(f64, f64)> {
        let reach = self.reach(level)? * error;
        Ok((estimate - reach, estimate + reach))
    }

    /// How many standard errors an interval reaches to both sides.
    fn reach(&self, level: f64) -> Result<f64> {
        match self.chi_squared {
            None => Known::FromScatter(self.degrees_of_freedom).reach(level),
            Some(_) => Known::Beforehand.reach(level),
        }
    }
}

impl fmt::Display for LineFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slope = with_interval(self.slope, self.slope_interval(LEVEL));
        let intercept = with_interval(self.intercept, self.intercept_interval(LEVEL));
        write!(f, "slope {slope}, intercept {intercept}{}", self.agreement())
    }
}

impl LineFit {
    /// ", χ² 2.78 with 1 degree of freedom" of a weighted fit.
    pub(super) fn agreement(&self) -> String {
        let Some(chi_squared) = self.chi_squared else { return String::new() };
        let (freedom, ending) = (self.degrees_of_freedom, if self.degrees_of_freedom == 1 { "" } else { "s" });
        format!(", χ² {} with {freedom} degree{ending} of freedom", aligned(&[chi_squared], 3, Small::Exact).remove(0))
    }
}

/// "0.94 (95 % 0.55 to 1.33)", with two digits of what the interval reaches to both sides; the number alone where there is no interval.
pub(super) fn with_interval(estimate: f64, interval: Result<(f64, f64)>) -> String {
    let Ok((low, high)) = interval else { return short(estimate) };
    let (all, reach) = ([estimate, low, high], high / 2.0 - low / 2.0);
    let texts = match reach > 0.0 && reach.is_finite() {
        true => down_to(&all, reach.log10().floor() as i32 - 1),
        false => aligned(&all, 6, Small::Exact),
    };
    format!("{} ({LEVEL_TEXT} {} to {})", texts[0], texts[1], texts[2])
}
