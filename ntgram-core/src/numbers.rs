//! Numbers one below the other: with so many decimals that their points stand in one line.

/// Largest number of digits before the point of a number without exponent.
const WHOLE: i32 = 7;

/// How numbers that are small beside others are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Small {
    /// With their own digits: all get an exponent if one needs it.
    Exact,
    /// As far as the others' decimals show them.
    Rounded,
}

/// The numbers as text with up to `digits` significant digits, all with equally many decimals, or all with an exponent where some
/// are very large or very small. Decimals that are 0 in all of them are left out.
pub(crate) fn aligned(values: &[f64], digits: usize, small: Small) -> Vec<String> {
    let sizes = || values.iter().map(|x| rounded(x.abs(), digits)).filter(|x| x.is_finite() && *x > 0.0);
    let (least, largest) = sizes().fold((f64::INFINITY, 0.0f64), |(lo, hi), x| (lo.min(x), hi.max(x)));
    let needed = match small {
        Small::Exact => least,
        Small::Rounded => largest,
    };
    let fixed = largest == 0.0 || (needed >= 1e-4 && exponent(largest) < WHOLE);
    let write = |x: f64, decimals: usize| match (x.is_finite(), fixed || x == 0.0) {
        (false, _) => x.to_string(),
        // + 0.0 turns -0 into 0
        (true, true) => format!("{:.decimals$}", if x == 0.0 { 0.0 } else { x }),
        (true, false) => format!("{x:.decimals$e}"),
    };
    let most = match fixed {
        true if largest == 0.0 => 0,
        true => (digits as i32 - 1 - exponent(needed.min(largest))).clamp(0, digits as i32) as usize,
        false => digits - 1,
    };
    let used = |x: f64| {
        let text = write(x, most);
        let mantissa = text.split('e').next().unwrap_or_default();
        let decimals = mantissa.split_once('.').map_or("", |(_, decimals)| decimals);
        decimals.trim_end_matches('0').len()
    };
    // digits beyond the significant ones of each number are no digits of its own
    let own = |x: f64| if fixed && small == Small::Exact { used(rounded(x, digits)) } else { used(x) };
    let decimals = values.iter().filter(|x| x.is_finite()).map(|&x| own(x)).max().unwrap_or(0);
    values.iter().map(|&x| if x == 0.0 && !fixed { "0".to_owned() } else { write(x, decimals) }).collect()
}

/// The numbers written down to this power of ten, and to no higher one than 1: those of an interval down to what its width leaves. With an
/// exponent, all of them, where the largest is very large or small.
pub(crate) fn down_to(values: &[f64], last: i32) -> Vec<String> {
    let largest = values.iter().map(|x| x.abs()).filter(|x| x.is_finite()).fold(0.0f64, f64::max);
    let first = if largest > 0.0 { exponent(largest) } else { 0 };
    // doubles have no more than 16 digits
    let last = last.clamp(first - 15, first);
    let fixed = largest == 0.0 || largest >= 1e-4 && first < WHOLE;
    let write = |&x: &f64| match (x.is_finite(), fixed || x == 0.0) {
        (false, _) => x.to_string(),
        (true, false) => format!("{x:.*e}", (first - last) as usize),
        (true, true) if !fixed => "0".to_owned(),
        (true, true) => {
            let text = format!("{x:.*}", -last.min(0) as usize);
            // no minus sign before a zero
            let zero = text.chars().all(|c| matches!(c, '-' | '0' | '.'));
            if zero { text.trim_start_matches('-').to_owned() } else { text }
        }
    };
    values.iter().map(write).collect()
}

/// One number with up to six significant digits.
pub(crate) fn short(x: f64) -> String {
    aligned(&[x], 6, Small::Exact).remove(0)
}

/// How many there are of what: "1 step", "2 steps", "2 batches".
pub(crate) fn count(number: usize, what: &str) -> String {
    let plural = if what.ends_with("ch") { "es" } else { "s" };
    format!("{number} {what}{}", if number == 1 { "" } else { plural })
}

/// `x` with so many significant digits.
fn rounded(x: f64, digits: usize) -> f64 {
    let decimals = digits - 1;
    format!("{x:.decimals$e}").parse().unwrap_or(x)
}

/// Power of ten of the first digit.
fn exponent(x: f64) -> i32 {
    x.log10().floor() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_stand_in_one_line() {
        assert_eq!(aligned(&[0.25, 1.5, -12.0], 6, Small::Exact), ["0.25", "1.50", "-12.00"]);
        assert_eq!(aligned(&[3.0, -0.0, 1e6], 6, Small::Exact), ["3", "0", "1000000"]);
        assert_eq!(aligned(&[1.0 / 3.0, 100.0 / 3.0], 6, Small::Exact), ["0.333333", "33.333333"]);
        assert_eq!(aligned(&[0.1 + 0.2, 1.0], 6, Small::Exact), ["0.3", "1.0"]);
    }

    #[test]
    fn very_small_and_very_large_numbers_get_exponents_all_together() {
        assert_eq!(aligned(&[0.0446969961, 6.0839e-5, 0.0], 6, Small::Exact), ["4.4697e-2", "6.0839e-5", "0"]);
        assert_eq!(aligned(&[1.0, 2.5e7], 6, Small::Exact), ["1.0e0", "2.5e7"]);
    }

    #[test]
    fn small_ones_beside_larger_ones_are_rounded_where_that_is_wanted() {
        assert_eq!(aligned(&[0.91234, 3e-9, -0.5], 4, Small::Rounded), ["0.9123", "0.0000", "-0.5000"]);
        assert_eq!(aligned(&[3e-9, 4e-9], 4, Small::Rounded), ["3e-9", "4e-9"]);
    }

    #[test]
    fn numbers_are_written_down_to_a_power_of_ten() {
        assert_eq!(down_to(&[0.0123456, 0.01195, 0.1], -5), ["0.01235", "0.01195", "0.10000"]);
        assert_eq!(down_to(&[1234.4, -0.3, 0.0], 2), ["1234", "0", "0"]);
        assert_eq!(down_to(&[0.0, -3e-9, 4.26e-9], -10), ["0", "-3.0e-9", "4.3e-9"]);
        assert_eq!(down_to(&[2.5e7, 1.0], 6), ["2.5e7", "1.0e0"]);
        assert_eq!(down_to(&[f64::NAN, f64::INFINITY, 0.25], -2), ["NaN", "inf", "0.25"]);
        assert_eq!(down_to(&[0.0, 0.0], -400), ["0.000000000000000", "0.000000000000000"]);
    }

    #[test]
    fn what_is_no_number_is_named() {
        assert_eq!(aligned(&[f64::NAN, f64::INFINITY, 0.5], 6, Small::Exact), ["NaN", "inf", "0.5"]);
        assert_eq!(aligned(&[], 6, Small::Exact), [""; 0]);
        assert_eq!(short(95196.07), "95196.1");
        assert_eq!(short(f64::MAX), "1.79769e308");
    }
}
