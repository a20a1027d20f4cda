//! What cells print of lists of numbers: mean, standard error, extremes, and lines through points.
//!
//! Plain slices in, plain numbers out; nothing here draws.

mod fit;
#[cfg(test)]
mod fit_tests;
mod power;
mod quantile;
mod scaled;

pub use fit::{FitBand, LineFit, line_fit, line_fit_weighted};
pub use power::{PowerLawFit, power_law_fit, power_law_fit_weighted};

use scaled::{Scaled, times_power};

/// Mean; NaN of an empty list.
pub fn mean(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let sum: f64 = values.iter().sum();
    // a sum of very large numbers may be none where their mean is
    if sum.is_infinite() { values.iter().map(|value| value / count).sum() } else { sum / count }
}

/// Standard error of the mean of `n` values drawn independently: `s / √n` with `s² = Σ (x − x̄)² / (n − 1)`. NaN of fewer than two values,
/// and where one of them is not finite.
///
/// ```
/// use ntgram_core::prelude::*;
///
/// let accuracies = [0.50, 0.52, 0.54];
/// assert_eq!(format!("{:.3} ± {:.3}", mean(&accuracies), standard_error(&accuracies)), "0.520 ± 0.012");
/// ```
pub fn standard_error(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    if count < 2.0 || !values.iter().all(|value| value.is_finite()) {
        return f64::NAN;
    }
    let scaled = Scaled::around(values, 0);
    let center = mean(&scaled.values);
    let squares: f64 = scaled.values.iter().map(|value| (value - center).powi(2)).sum();
    times_power(scaled.size * (squares / (count - 1.0) / count).sqrt(), scaled.power)
}

/// The least value; NaN if one is, or if there is none.
pub fn least(values: &[f64]) -> f64 {
    values.iter().copied().reduce(|a, b| if a.is_nan() || a < b { a } else { b }).unwrap_or(f64::NAN)
}

/// The largest value; NaN if one is, or if there is none.
pub fn most(values: &[f64]) -> f64 {
    values.iter().copied().reduce(|a, b| if a.is_nan() || a > b { a } else { b }).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_list() {
        let list = [2.0, -1.0, 5.0];
        assert_eq!((mean(&list), least(&list), most(&list)), (2.0, -1.0, 5.0));
        // deviations 0, −3, 3: s² = 9, s / √3
        assert!((standard_error(&list) - 3.0 / 3f64.sqrt()).abs() < 1e-15);
        assert!(mean(&[]).is_nan() && least(&[]).is_nan() && most(&[]).is_nan() && standard_error(&[]).is_nan());
        for list in [[f64::NAN, 1.0, 2.0], [1.0, f64::NAN, 2.0], [1.0, 2.0, f64::NAN]] {
            assert!(least(&list).is_nan() && most(&list).is_nan() && standard_error(&list).is_nan(), "{list:?}");
        }
    }

    #[test]
    fn standard_errors_of_any_size() {
        assert!(standard_error(&[1.0]).is_nan() && standard_error(&[f64::INFINITY, 1.0, 2.0]).is_nan());
        assert_eq!(standard_error(&[0.1; 7]), 0.0);
        for size in [1e-300, 1.0, 1e300] {
            let got = standard_error(&[size, 2.0 * size, 3.0 * size, 6.0 * size]);
            // s² = 14 / 3 size²
            assert!((got / (size * (14.0f64 / 3.0 / 4.0).sqrt()) - 1.0).abs() < 1e-14, "{size}: {got}");
        }
        // s of a and −a is a √2
        assert!((standard_error(&[f64::MAX, f64::MIN]) / f64::MAX - 1.0).abs() < 1e-15);
    }
}
