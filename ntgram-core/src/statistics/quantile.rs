//! How many standard errors an interval reaches to both sides.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use crate::error::{Error, Result};

/// What an estimate's error is known from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Known {
    /// The scatter of the points, with so many degrees of freedom: Student's t.
    FromScatter(usize),
    /// Standard errors that were given: the normal distribution.
    Beforehand,
}

/// From so many degrees of freedom on, Student's t and the normal distribution differ by no more than what statrs computes is off.
const MANY: usize = 10_000_000;

impl Known {
    /// The number `q` of standard errors with `P(−q < error < q) = level`; an error unless `level` lies between 0 and 1.
    pub(super) fn reach(self, level: f64) -> Result<f64> {
        if !(level > 0.0 && level < 1.0) {
            let expected = "it must lie between 0 and 1: 0.95 is 95 %";
            return Err(Error::argument("level", level, expected));
        }
        if self == Self::FromScatter(0) {
            return Err(Error::argument("degrees_of_freedom", 0, "it must be at least 1"));
        }
        // the lower tail: exact also for levels next to 1
        let tail = (1.0 - level) / 2.0;
        let refused = |e: &dyn std::fmt::Display| Error::other(format!("statrs: {e}"));
        match self {
            Self::FromScatter(freedom) if freedom < MANY => {
                let student = StudentsT::new(0.0, 1.0, freedom as f64).map_err(|e| refused(&e))?;
                Ok(where_it_falls_to(tail, |t| student.sf(t)))
            }
            // 0.0 − turns 0 into 0, not into -0
            Self::FromScatter(_) | Self::Beforehand => {
                Ok(0.0 - Normal::new(0.0, 1.0).map_err(|e| refused(&e))?.inverse_cdf(tail))
            }
        }
    }
}

/// Where a function that falls from 1/2 at 0 comes down to `tail`, by halving. (statrs' own inverse for Student's t is an eighth of the true
/// number for one degree of freedom and a level of 1 − 1e-9, and is off in the third digit for a million degrees and a level of 0.5.)
fn where_it_falls_to(tail: f64, function: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while function(high) > tail && high < f64::MAX / 2.0 {
        (low, high) = (high, 2.0 * high);
    }
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return high;
        }
        if function(middle) > tail {
            low = middle;
        } else {
            high = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: [f64; 7] = [0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0 - 1e-9];

    /// `scipy.stats.t.isf((1 - level) / 2, freedom)` and `norm.isf`, SciPy 1.17.1.
    #[test]
    fn reaches_are_scipys() {
        let student = [
            (
                1,
                [
                    0.01570925532366489,
                    1.0000000000000002,
                    6.313751514675045,
                    12.706204736174694,
                    63.656741162871526,
                    636.619248768719,
                    636619790.3724186,
                ],
            ),
            (
                2,
                [
                    0.014142842783549577,
                    0.8164965809277261,
                    2.9199855803537265,
                    4.302652729749462,
                    9.924843200918287,
                    31.599054576443606,
                    31622.777025143325,
                ],
            ),
            (
                5,
                [
                    0.013171984672646872,
                    0.7266868438004226,
                    2.0150483733330247,
                    2.5705818356363146,
                    4.032142983555228,
                    6.868826625881109,
                    113.6550517195027,
                ],
            ),
            (
                30,
                [
                    0.012638348785835288,
                    0.6827556933212927,
                    1.6972608865939576,
                    2.0422724563012378,
                    2.7499956535672254,
                    3.6459586350420214,
                    8.72151123570124,
                ],
            ),
            (
                1000,
                [
                    0.01253660375916971,
                    0.6747351646070093,
                    1.646378817285465,
                    1.9623390808264083,
                    2.580754698065951,
                    3.300282648423913,
                    6.168430252449105,
                ],
            ),
            (
                1_000_000,
                [
                    0.012533472641929257,
                    0.6744899955310875,
                    1.6448551507220412,
                    1.959966356814107,
                    2.5758342201053344,
                    3.290536461248691,
                    6.109468745488251,
                ],
            ),
        ];
        for (freedom, expected) in student {
            for (level, expected) in LEVELS.into_iter().zip(expected) {
                let got = Known::FromScatter(freedom).reach(level).unwrap();
                // where the distribution is about 1/2, its rounding errors are absolute; they grow with the degrees of freedom
                let slack = if freedom > 1000 { 1e-8 } else { 1e-10 } * 1f64.max(expected);
                assert!((got - expected).abs() < slack, "{freedom}, {level}: {got} is not {expected}");
            }
        }
        let normal = [
            0.012533469508069276,
            0.6744897501960817,
            1.6448536269514729,
            1.959963984540054,
            2.5758293035489004,
            3.2905267314918945,
            6.10941020938345,
        ];
        for (level, expected) in LEVELS.into_iter().zip(normal) {
            let got = Known::Beforehand.reach(level).unwrap();
            assert!((got / expected - 1.0).abs() < 1e-10, "{level}: {got} is not {expected}");
        }
    }

    #[test]
    fn any_level_between_0_and_1_has_a_reach() {
        for known in [Known::FromScatter(1), Known::FromScatter(3), Known::FromScatter(usize::MAX), Known::Beforehand] {
            let levels = [5e-324, 1e-9, 0.3, 0.95, 1.0 - 1e-9, 1.0 - f64::EPSILON / 2.0];
            let reaches = levels.map(|level| known.reach(level).unwrap());
            assert!(reaches.iter().all(|reach| *reach >= 0.0 && reach.is_finite()), "{known:?}: {reaches:?}");
            assert!(reaches.windows(2).all(|pair| pair[0] <= pair[1]) && reaches[0] < 1e-7, "{known:?}: {reaches:?}");
            for level in [0.0, 1.0, -0.1, 95.0, f64::NAN] {
                assert!(matches!(known.reach(level), Err(Error::Argument { argument: "level", .. })), "{level}");
            }
        }
        assert!(Known::FromScatter(0).reach(0.95).is_err());
    }
}
