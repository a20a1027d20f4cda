//! Numbers of any size as numbers up to 1, whose squares and sums are numbers, too.

/// A list without NaN and infinities: value `k` is `origin + values[k] · size · 2^power`.
pub(super) struct Scaled {
    /// Differences to one of the list's values, the largest of which is 1 or −1, or all 0.
    pub(super) values: Vec<f64>,
    /// The origin, over `2^power`.
    origin: f64,
    pub(super) size: f64,
    pub(super) power: i32,
}

impl Scaled {
    /// Differences to value `origin` of a list.
    pub(super) fn around(list: &[f64], origin: usize) -> Self {
        let largest = list.iter().fold(0.0f64, |largest, x| largest.max(x.abs()));
        let power = if largest > 0.0 { largest.log2().floor() as i32 } else { 0 };
        let small: Vec<f64> = list.iter().map(|x| times_power(*x, -power)).collect();
        // exact for numbers that are close together
        let away: Vec<f64> = small.iter().map(|x| x - small[origin]).collect();
        let size = away.iter().fold(0.0f64, |size, x| size.max(x.abs()));
        let size = if size > 0.0 { size } else { 1.0 };
        Self { values: away.into_iter().map(|x| x / size).collect(), origin: small[origin], size, power }
    }

    /// The number that a scaled one stands for.
    pub(super) fn back(&self, value: f64) -> f64 {
        times_power(self.origin + value * self.size, self.power)
    }
}

/// `x · 2^power`, also where the power alone is beyond what a number can be.
pub(super) fn times_power(x: f64, power: i32) -> f64 {
    const STEP: i32 = 1000;
    let (mut x, mut left) = (x, power);
    while left.abs() > STEP {
        x *= 2f64.powi(STEP * left.signum());
        left -= STEP * left.signum();
    }
    x * 2f64.powi(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_size_come_back() {
        for list in [[1.0, 2.0, -3.0], [f64::MAX, f64::MIN, 0.0], [5e-324, 1e-323, -2e-323], [7.0; 3], [0.0; 3]] {
            for origin in 0..3 {
                let scaled = Scaled::around(&list, origin);
                assert!(scaled.values.iter().all(|x| x.abs() <= 1.0) && scaled.values[origin] == 0.0);
                for (value, x) in scaled.values.iter().zip(list) {
                    let error = (scaled.back(*value) / 2.0 - x / 2.0).abs();
                    assert!(error <= 1e-16 * 1f64.max(scaled.size) * times_power(1.0, scaled.power), "{list:?}");
                }
            }
        }
        let close = Scaled::around(&[1.0, 1.0 + f64::EPSILON], 0);
        assert_eq!((close.values[1], close.size), (1.0, f64::EPSILON));
    }

    #[test]
    fn powers_beyond_a_number_are_taken_in_steps() {
        assert_eq!(times_power(5e-324, 1074), 1.0);
        assert_eq!(times_power(1.5, -1), 0.75);
        assert_eq!(times_power(times_power(1.25, -1022), 2044), 1.25 * 2f64.powi(1022));
        assert_eq!((times_power(1.0, 5000), times_power(1.0, -5000)), (f64::INFINITY, 0.0));
    }
}
