//! Fits against SciPy's numbers, closed forms, invariances, and the share of confidence intervals that hold the truth.

use proptest::prelude::*;

use super::*;
use crate::error::{Error, Result};
use crate::rng::TorchRng;

const XS: [f64; 7] = [1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0];
const YS: [f64; 7] = [0.9, 2.3, 2.7, 5.4, 7.9, 13.6, 20.2];
const ERRORS: [f64; 7] = [0.1, 0.2, 0.1, 0.3, 0.2, 0.5, 0.4];

fn near(got: f64, expected: f64) {
    assert!((got - expected).abs() <= 1e-12 * expected.abs(), "{got} is not {expected}");
}

/// `stats.linregress(XS, YS)` and `stats.t.ppf(0.975, 5)`; at 30 by the inverse of the 2 × 2 matrix. SciPy 1.17.1.
#[test]
fn a_line_has_scipys_numbers() {
    let fit = line_fit(&XS, &YS).unwrap();
    near(fit.slope, 0.9736938588450961);
    near(fit.slope_error, 0.027095965345634496);
    near(fit.intercept, 0.19917506874427282);
    near(fit.intercept_error, 0.27346413293217703);
    near(fit.predict(30.0), 29.409990834097155);
    near(fit.error_at(30.0), 0.6340522058946555);
    let (low, high) = fit.slope_interval(0.95).unwrap();
    near(low, 0.904041462508577);
    near(high, 1.043346255181615);
    assert_eq!((fit.degrees_of_freedom, fit.chi_squared), (5, None));
}

/// `np.polyfit(XS, YS, 1, w=1 / ERRORS, cov="unscaled")` and `stats.norm.ppf(0.975)`.
#[test]
fn a_weighted_line_has_numpys_numbers() {
    let fit = line_fit_weighted(&XS, &YS, &ERRORS).unwrap();
    near(fit.slope, 0.9862866053548152);
    near(fit.slope_error, 0.016905817124093808);
    near(fit.intercept, -0.07726609801801837);
    near(fit.intercept_error, 0.08216603271400927);
    near(fit.chi_squared.unwrap(), 15.008764513047668);
    near(fit.predict(30.0), 29.511332062626437);
    near(fit.error_at(30.0), 0.4558618752558873);
    let (low, high) = fit.slope_interval(0.95).unwrap();
    near(low, 0.9531518126623708);
    near(high, 1.0194213980472595);
}

/// `stats.linregress(np.log(XS), np.log(YS))`.
#[test]
fn a_power_law_has_scipys_numbers() {
    let fit = power_law_fit(&XS, &YS).unwrap();
    near(fit.exponent, 1.0111609242546684);
    near(fit.exponent_error, 0.03831682624720907);
    near(fit.coefficient, 0.9824315688607377);
    near(fit.predict(1.0), fit.coefficient);
    // errors of as many per cent everywhere weigh alike
    let tenths = YS.map(|y| 0.1 * y);
    let weighted = power_law_fit_weighted(&XS, &YS, &tenths).unwrap();
    near(weighted.exponent, fit.exponent);
    let logs = XS.map(f64::ln);
    let spread: f64 = logs.iter().map(|x| (x - mean(&logs)).powi(2)).sum();
    near(weighted.exponent_error, 0.1 / spread.sqrt());
    let (low, high) = fit.exponent_interval(0.95).unwrap();
    assert!(low < fit.exponent && fit.exponent < high);
}

#[test]
fn points_on_a_line_are_fitted_exactly() {
    let fit = line_fit(&[0.0, 1.0, 2.0, 4.0], &[3.0, 5.0, 7.0, 11.0]).unwrap();
    assert_eq!((fit.slope, fit.intercept, fit.slope_error, fit.intercept_error), (2.0, 3.0, 0.0, 0.0));
    assert_eq!(fit.slope_interval(0.95).unwrap(), (2.0, 2.0));
    assert_eq!(fit.to_string(), "slope 2 (95 % 2 to 2), intercept 3 (95 % 3 to 3)");
    let law = power_law_fit(&[1.0, 2.0, 4.0, 8.0], &[3.0, 12.0, 48.0, 192.0]).unwrap();
    assert!((law.exponent - 2.0).abs() < 1e-14 && (law.coefficient - 3.0).abs() < 1e-13 && law.exponent_error < 1e-14);
}

#[test]
fn points_may_have_any_size_and_lie_close_together() {
    for (of_x, of_y) in [(1.0, 1e300), (1e-300, 1.0), (1e300, 1e300), (1e-160, 1e-160), (1e300, 1e-8)] {
        let (xs, ys) = (XS.map(|x| x * of_x), YS.map(|y| y * of_y));
        let (fit, plain) = (line_fit(&xs, &ys).unwrap(), line_fit(&XS, &YS).unwrap());
        near(fit.slope, plain.slope * (of_y / of_x));
        near(fit.slope_error, plain.slope_error * (of_y / of_x));
        near(fit.intercept, plain.intercept * of_y);
    }
    // the years' last digits count
    let years = XS.map(|x| 2e9 + x / 1024.0);
    near(line_fit(&years, &YS).unwrap().slope, 1024.0 * line_fit(&XS, &YS).unwrap().slope);
    // a height of 7 everywhere
    let level = line_fit(&XS, &[7.0; 7]).unwrap();
    assert_eq!((level.slope, level.intercept, level.slope_error), (0.0, 7.0, 0.0));
}

#[test]
fn weights_are_those_of_repeated_points() {
    // a point with a third of the variance counts as three
    let once = line_fit_weighted(&[1.0, 2.0, 4.0], &[1.0, 3.0, 4.0], &[1.0, (1.0f64 / 3.0).sqrt(), 1.0]).unwrap();
    let thrice = line_fit_weighted(&[1.0, 2.0, 2.0, 2.0, 4.0], &[1.0, 3.0, 3.0, 3.0, 4.0], &[1.0; 5]).unwrap();
    for (a, b) in [
        (once.slope, thrice.slope),
        (once.slope_error, thrice.slope_error),
        (once.intercept, thrice.intercept),
        (once.intercept_error, thrice.intercept_error),
        (once.chi_squared.unwrap(), thrice.chi_squared.unwrap()),
    ] {
        near(a, b);
    }
}

#[test]
fn bands_are_narrowest_in_the_middle() {
    let fit = line_fit(&XS, &YS).unwrap();
    let band = fit.band(0.0, 20.0, 0.9).unwrap();
    assert_eq!((band.xs[0], band.xs[50], band.xs[100], band.xs.len()), (0.0, 10.0, 20.0, 101));
    let width: Vec<f64> = band.low.iter().zip(&band.high).map(|(low, high)| high - low).collect();
    let narrowest = (0..101).min_by(|a, b| width[*a].total_cmp(&width[*b])).unwrap();
    assert!((band.xs[narrowest] - mean(&XS)).abs() <= 0.1, "{}", band.xs[narrowest]);
    assert_eq!((band.low[0], band.high[0]), fit.intercept_interval(0.9).unwrap());
    // equal factors apart, and around a straight line of logarithms
    let law = power_law_fit(&XS, &YS).unwrap();
    let band = law.band(1.0, 100.0, 0.9).unwrap();
    near(band.xs[50], 10.0);
    near(band.ys[50].powi(2), band.ys[0] * band.ys[100]);
    let (low, high) = law.interval_at(10.0, 0.9).unwrap();
    near(band.low[50], low);
    near(band.high[50], high);
}

/// Of 2000 samples of points about a known line, the share whose interval of 95 % holds what `holds` asks for.
fn coverage(seed: u64, holds: impl Fn(&[f64]) -> Result<bool>) -> f64 {
    let mut rng = TorchRng::new(seed);
    let held = (0..2000).filter(|_| {
        let noise: Vec<f64> = rng.randn(XS.len()).unwrap().into_iter().map(f64::from).collect();
        holds(&noise).unwrap()
    });
    held.count() as f64 / 2000.0
}

/// About 95 %: the count is binomial, so that this is four of its standard deviations, 0.0049.
fn is_95_percent(share: f64) {
    assert!((share - 0.95).abs() < 0.02, "{share}");
}

const TRUTH: (f64, f64) = (1.5, -0.7);

#[test]
fn intervals_of_95_percent_hold_the_truth_95_times_in_a_hundred() {
    let (a, b) = TRUTH;
    // of five points: the normal distribution's intervals would hold it only 87 times
    let few = |noise: &[f64]| {
        let ys: Vec<f64> = XS.iter().zip(noise).map(|(x, e)| a + b * x + 3.0 * e).collect();
        line_fit(&XS[..5], &ys[..5])
    };
    let within = |(low, high): (f64, f64), truth: f64| low <= truth && truth <= high;
    is_95_percent(coverage(1, |noise| Ok(within(few(noise)?.slope_interval(0.95)?, b))));
    is_95_percent(coverage(2, |noise| Ok(within(few(noise)?.intercept_interval(0.95)?, a))));
    is_95_percent(coverage(3, |noise| Ok(within(few(noise)?.interval_at(20.0, 0.95)?, a + b * 20.0))));
    let known = |noise: &[f64]| {
        let ys: Vec<f64> = (0..7).map(|k| a + b * XS[k] + ERRORS[k] * noise[k]).collect();
        line_fit_weighted(&XS, &ys, &ERRORS)
    };
    is_95_percent(coverage(4, |noise| Ok(within(known(noise)?.slope_interval(0.95)?, b))));
    is_95_percent(coverage(5, |noise| Ok(within(known(noise)?.interval_at(4.0, 0.95)?, a + b * 4.0))));
    // χ² is about the degrees of freedom, 5; it is below its quantile of 95 %, 11.0705, in 95 of 100
    is_95_percent(coverage(6, |noise| Ok(known(noise)?.chi_squared.unwrap() < 11.0705)));
    let law = |noise: &[f64]| {
        let ys: Vec<f64> = (0..7).map(|k| 0.02 * XS[k].powi(2) * (0.2 * noise[k]).exp()).collect();
        power_law_fit(&XS, &ys)
    };
    is_95_percent(coverage(7, |noise| Ok(within(law(noise)?.exponent_interval(0.95)?, 2.0))));
    is_95_percent(coverage(8, |noise| Ok(within(law(noise)?.coefficient_interval(0.95)?, 0.02))));
    let small = |noise: &[f64]| {
        let ys: Vec<f64> = (0..7).map(|k| XS[k].powi(2) * (1.0 + 0.01 * ERRORS[k] * noise[k])).collect();
        let errors: Vec<f64> = (0..7).map(|k| XS[k].powi(2) * 0.01 * ERRORS[k]).collect();
        power_law_fit_weighted(&XS, &ys, &errors)
    };
    is_95_percent(coverage(9, |noise| Ok(within(small(noise)?.exponent_interval(0.95)?, 2.0))));
}

#[test]
fn coverage_would_tell_a_wrong_interval() {
    // intervals of 90 %, or from the normal distribution where the scatter is known from five points only
    let few = |noise: &[f64]| {
        let ys: Vec<f64> = XS.iter().zip(noise).map(|(x, e)| TRUTH.0 + TRUTH.1 * x + e).collect();
        line_fit(&XS[..5], &ys[..5])
    };
    let ninety = coverage(1, |noise| {
        let (low, high) = few(noise)?.slope_interval(0.9)?;
        Ok(low <= TRUTH.1 && TRUTH.1 <= high)
    });
    let normal = coverage(1, |noise| {
        let fit = few(noise)?;
        Ok((fit.slope - TRUTH.1).abs() <= 1.96 * fit.slope_error)
    });
    assert!((ninety - 0.9).abs() < 0.03 && normal < 0.9, "{ninety} {normal}");
}

#[test]
fn texts_have_two_digits_of_what_the_interval_reaches() {
    let text = |slope: f64, error: f64| {
        let fit = line_fit(&XS, &YS).unwrap();
        let fit = LineFit { slope, slope_error: error / 1.959964, chi_squared: Some(12.345), ..fit };
        fit.to_string().split(", intercept").next().unwrap().to_owned()
    };
    assert_eq!(text(0.0123456, 0.0004), "slope 0.01235 (95 % 0.01195 to 0.01275)");
    assert_eq!(text(-2.0, 0.5), "slope -2.00 (95 % -2.50 to -1.50)");
    assert_eq!(text(1234.4, 20.0), "slope 1234 (95 % 1214 to 1254)");
    assert_eq!(text(0.0, 3e-9), "slope 0 (95 % -3.0e-9 to 3.0e-9)");
    let weighted = line_fit_weighted(&XS, &YS, &ERRORS).unwrap().to_string();
    assert!(weighted.ends_with(" with 5 degrees of freedom") && weighted.contains(", χ² "), "{weighted}");
}

#[test]
fn wrong_arguments_are_named() {
    let (xs, ys) = ([1.0, 2.0, 3.0], [1.0, 2.0, 2.5]);
    let fit = line_fit(&xs, &ys).unwrap();
    let law = power_law_fit(&xs, &ys).unwrap();
    let weighted = |errors: &[f64]| line_fit_weighted(&xs, &ys, errors).map(drop);
    let cases: Vec<(&str, Result<()>)> = vec![
        ("xs", line_fit(&[1.0, 2.0], &[1.0, 2.0]).map(drop)),
        ("xs", line_fit(&[1.0; 3], &ys).map(drop)),
        ("xs", line_fit(&[1.0, f64::NAN, 2.0], &ys).map(drop)),
        ("ys", line_fit(&xs, &[1.0, 2.0]).map(drop)),
        ("ys", line_fit(&xs, &[1.0, f64::INFINITY, 2.0]).map(drop)),
        // the slope would be 1e600
        ("ys", line_fit(&[0.0, 1e-300, 2e-300], &[0.0, 1e300, 2e300]).map(drop)),
        ("errors", weighted(&[1.0, 2.0])),
        ("errors", weighted(&[1.0, 0.0, 1.0])),
        ("errors", weighted(&[1.0, -1.0, 1.0])),
        ("errors", weighted(&[1.0, f64::NAN, 1.0])),
        ("errors", weighted(&[1e-200, 1.0, 1.0])),
        ("xs", power_law_fit(&[0.0, 1.0, 2.0], &ys).map(drop)),
        ("ys", power_law_fit(&xs, &[1.0, -1.0, 2.0]).map(drop)),
        ("xs", power_law_fit(&[1.0], &[1.0]).map(drop)),
        ("errors", power_law_fit_weighted(&xs, &ys, &[1.0, 1.0]).map(drop)),
        ("errors", power_law_fit_weighted(&xs, &ys, &[1.0, 1.0, 0.0]).map(drop)),
        ("level", fit.slope_interval(95.0).map(drop)),
        ("level", fit.intercept_interval(0.0).map(drop)),
        ("level", law.exponent_interval(f64::NAN).map(drop)),
        ("level", law.interval_at(1.0, 1.0).map(drop)),
        ("from", fit.band(1.0, 1.0, 0.95).map(drop)),
        ("from", fit.band(f64::MIN, f64::MAX, 0.95).map(drop)),
        ("from", fit.band(0.0, f64::MAX, 0.95).map(drop)),
        ("from", law.band(0.0, 1.0, 0.95).map(drop)),
        ("level", law.band(1.0, 2.0, 2.0).map(drop)),
    ];
    for (k, (name, result)) in cases.into_iter().enumerate() {
        match result {
            Err(Error::Argument { argument, .. }) => assert_eq!(argument, name, "case {k}"),
            other => panic!("case {k}, {name}: {other:?}"),
        }
    }
}

fn points() -> impl Strategy<Value = Vec<(f64, f64, f64)>> {
    let point = (-10.0..10.0, -10.0..10.0, 0.1..2.0);
    prop::collection::vec(point, 3..12).prop_filter("x that differ", |points: &Vec<(f64, f64, f64)>| {
        let xs: Vec<f64> = points.iter().map(|p| p.0).collect();
        most(&xs) - least(&xs) > 0.5
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// In other units, and counted from other origins, it is the same line; and what a fit says does not depend on the order of the points.
    #[test]
    fn lines_do_not_depend_on_units_origins_and_order(
        points in points(),
        units in (0.01..100.0f64, 0.01..100.0f64),
        origins in (-50.0..50.0f64, -50.0..50.0f64),
        turn in 0usize..12,
    ) {
        let of = |part: fn(&(f64, f64, f64)) -> f64| points.iter().map(part).collect::<Vec<f64>>();
        let (xs, ys, errors) = (of(|p| p.0), of(|p| p.1), of(|p| p.2));
        let turned = |list: Vec<f64>| -> Vec<f64> {
            let start = turn % list.len();
            [&list[start..], &list[..start]].concat()
        };
        let other_xs = turned(xs.iter().map(|x| (x - origins.0) * units.0).collect());
        let other_ys = turned(ys.iter().map(|y| (y - origins.1) * units.1).collect());
        let other_errors = turned(errors.iter().map(|e| e * units.1).collect());
        let pairs = [
            (line_fit(&xs, &ys).unwrap(), line_fit(&other_xs, &other_ys).unwrap()),
            (
                line_fit_weighted(&xs, &ys, &errors).unwrap(),
                line_fit_weighted(&other_xs, &other_ys, &other_errors).unwrap(),
            ),
        ];
        for (plain, other) in pairs {
            let close = |a: f64, b: f64, size: f64| (a - b).abs() <= 1e-9 * (size + b.abs());
            let slope_unit = units.1 / units.0;
            prop_assert!(close(other.slope, plain.slope * slope_unit, slope_unit), "{other:?} {plain:?}");
            prop_assert!(close(other.slope_error, plain.slope_error * slope_unit, slope_unit));
            for x in [-3.0, 0.0, 20.0] {
                let there = (x - origins.0) * units.0;
                prop_assert!(close(other.predict(there), (plain.predict(x) - origins.1) * units.1, 100.0 * units.1));
                prop_assert!(close(other.error_at(there), plain.error_at(x) * units.1, 100.0 * units.1));
            }
            if let (Some(a), Some(b)) = (other.chi_squared, plain.chi_squared) {
                prop_assert!(close(a, b, 1.0), "{a} {b}");
            }
            // the sum of squares is least there: a little more or less of either makes it larger
            let sum = |slope: f64, height: f64| -> f64 {
                let weight = |k: usize| if plain.chi_squared.is_some() { errors[k].powi(-2) } else { 1.0 };
                let away = |k: usize| ys[k] - height - slope * (xs[k] - plain.x_mean);
                (0..xs.len()).map(|k| weight(k) * away(k).powi(2)).sum()
            };
            let best = sum(plain.slope, plain.y_mean);
            for step in [-1e-3, 1e-3] {
                prop_assert!(sum(plain.slope + step, plain.y_mean) > best && sum(plain.slope, plain.y_mean + step) > best);
            }
        }
    }

    /// In other units the exponent is the same.
    #[test]
    fn exponents_do_not_depend_on_units(points in points(), units in (0.01..100.0f64, 0.01..100.0f64)) {
        let (xs, ys): (Vec<f64>, Vec<f64>) = points.iter().map(|p| (p.0.exp(), p.1.exp())).unzip();
        let errors: Vec<f64> = points.iter().zip(&ys).map(|(p, y)| 0.1 * p.2 * y).collect();
        let scaled = |list: &[f64], unit: f64| list.iter().map(|x| x * unit).collect::<Vec<_>>();
        let plain = power_law_fit_weighted(&xs, &ys, &errors).unwrap();
        let other = power_law_fit_weighted(&scaled(&xs, units.0), &scaled(&ys, units.1), &scaled(&errors, units.1)).unwrap();
        prop_assert!((plain.exponent - other.exponent).abs() < 1e-9 * (1.0 + plain.exponent.abs()));
        prop_assert!((plain.exponent_error - other.exponent_error).abs() < 1e-9);
        let there = other.predict(units.0 * 3.0) / (units.1 * plain.predict(3.0));
        prop_assert!((there - 1.0).abs() < 1e-8, "{there}");
    }
}
