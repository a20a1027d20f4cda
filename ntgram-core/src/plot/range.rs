//! Ends of an axis or of a colour scale.

use crate::error::{Error, Result};

/// An error unless both are finite and `lo < hi`.
pub(super) fn check(argument: &'static str, (lo, hi): (f64, f64)) -> Result<()> {
    if lo < hi && (hi - lo).is_finite() {
        return Ok(());
    }
    Err(Error::argument(argument, format!("({lo}, {hi})"), "both ends must be finite, the first below the second"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_ranges_that_are_none() {
        for range in [(1.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY), (f64::MIN, f64::MAX)] {
            assert!(check("range", range).is_err(), "{range:?}");
        }
        assert!(check("range", (-1.0, 1.0)).is_ok());
    }
}
