//! Mean and extremes of a list, as cells print them.

/// Mean; NaN of an empty list.
pub fn mean(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let sum: f64 = values.iter().sum();
    // a sum of very large numbers may be none where their mean is
    if sum.is_infinite() { values.iter().map(|value| value / count).sum() } else { sum / count }
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
        assert!(mean(&[]).is_nan() && least(&[]).is_nan() && most(&[]).is_nan());
        for list in [[f64::NAN, 1.0, 2.0], [1.0, f64::NAN, 2.0], [1.0, 2.0, f64::NAN]] {
            assert!(least(&list).is_nan() && most(&list).is_nan(), "{list:?}");
        }
    }
}
