//! A fit: its numbers with their confidence intervals.

use super::{Show, Shown};
use crate::error::Result;
use crate::statistics::{LineFit, PowerLawFit};

impl Show for LineFit {
    fn shown(&self) -> Result<Shown> {
        Ok(Shown::plain(&self.to_string()))
    }
}

impl Show for PowerLawFit {
    fn shown(&self) -> Result<Shown> {
        Ok(Shown::plain(&self.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::{line_fit, power_law_fit};

    #[test]
    fn a_fit_is_its_text() {
        let line = line_fit(&[1.0, 2.0, 3.0], &[2.0, 4.1, 6.0]).unwrap();
        assert_eq!(line.shown().unwrap().text(), line.to_string());
        let law = power_law_fit(&[1.0, 2.0, 4.0], &[2.0, 4.1, 8.0]);
        let text = law.shown().unwrap().text();
        assert!(text.starts_with("exponent 1.00 (95 % ") && text.contains(", coefficient 2.0"), "{text}");
    }
}
