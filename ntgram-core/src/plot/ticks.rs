//! Where ticks go and how numbers are written.

/// Round numbers inside `[lo, hi]`, about `most` of them and at least two, in steps of 1, 2, 2.5 or 5 times a power of ten,
/// and, unless `finest` is 0, in whole multiples of it. With their labels.
pub(super) fn linear(lo: f64, hi: f64, most: usize, finest: f64) -> Vec<(f64, String)> {
    let rough = ((hi - lo) / most.max(1) as f64).max(finest);
    if !(rough > 0.0 && rough.is_finite()) {
        return Vec::new();
    }
    let power = 10f64.powf(rough.log10().floor());
    let allowed = |step: f64| step >= rough * 0.999 && (finest == 0.0 || (step / finest).fract() == 0.0);
    let step = [1.0, 2.0, 2.5, 5.0].map(|m| m * power).into_iter().find(|step| allowed(*step)).unwrap_or(10.0 * power);
    let slack = 1e-9 * (hi - lo) / step;
    let (first, last) = ((lo / step - slack).ceil(), (hi / step + slack).floor());
    let count = (last - first + 1.0).clamp(0.0, 1000.0) as usize;
    if count < 2 && most < 20 && step > finest {
        return linear(lo, hi, most + 1, finest);
    }
    // + 0.0 turns -0 into 0
    let values: Vec<f64> = (0..count).map(|k| (first + k as f64) * step + 0.0).collect();
    let labels = labels(&values, step);
    values.into_iter().zip(labels).collect()
}

/// Powers of ten inside `[lo, hi]` (both positive), every second, third … where there are more than `most`; over less than
/// two decades 1, 2 and 5 times them, and over still less round numbers.
pub(super) fn logarithmic(lo: f64, hi: f64, most: usize) -> Vec<(f64, String)> {
    let (first, last) = ((lo.log10() - 1e-9).ceil() as i32, (hi.log10() + 1e-9).floor() as i32);
    let decades = (last - first + 1).max(0) as usize;
    if decades >= 3 {
        let every = decades.div_ceil(most.max(2));
        return (first..=last).step_by(every).map(|p| (ten(p), power_of_ten(p))).collect();
    }
    let inside = |v: f64| v.is_finite() && (lo * (1.0 - 1e-9)..=hi * (1.0 + 1e-9)).contains(&v);
    let values: Vec<f64> =
        (first - 1..=last + 1).flat_map(|p| [1.0, 2.0, 5.0].map(|m| m * ten(p))).filter(|v| inside(*v)).collect();
    if values.len() < 3 {
        return linear(lo, hi, most, 0.0);
    }
    values.into_iter().map(|v| (v, labels(&[v], v)[0].clone())).collect()
}

/// 2, 3 … 9 times the powers of ten inside `[lo, hi]`: the small ticks of a logarithmic axis.
pub(super) fn logarithmic_minor(lo: f64, hi: f64) -> Vec<f64> {
    let (first, last) = (lo.log10().floor() as i32, hi.log10().ceil() as i32);
    if last - first > 12 {
        return Vec::new();
    }
    (first..=last).flat_map(|p| (2..10).map(move |m| f64::from(m) * ten(p))).filter(|v| (lo..=hi).contains(v)).collect()
}

/// The numbers with as many decimals as multiples of `step` need; very large and very small ones as 2e5, 1.5e−6.
fn labels(values: &[f64], step: f64) -> Vec<String> {
    let largest = values.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    if largest != 0.0 && !(1e-3..1e6).contains(&largest) {
        let top = largest.log10().floor();
        let digits = (top - step.log10().floor() + 1.0).clamp(0.0, 15.0) as usize;
        let write = |v: &f64| match *v {
            0.0 => "0".to_owned(),
            v => scientific(v, digits),
        };
        return values.iter().map(write).collect();
    }
    let first = (-(step * 1.0001).log10().floor()).clamp(0.0, 15.0);
    // 2.5 has a digit more than 1, 2 and 5
    let scaled = step * 10f64.powf(first);
    let decimals = first as usize + usize::from((scaled - scaled.round()).abs() > 1e-6);
    values.iter().map(|v| typeset(&format!("{v:.decimals$}"))).collect()
}

/// `v` as "1.5e−6", without trailing zeros.
fn scientific(v: f64, digits: usize) -> String {
    let text = format!("{v:.digits$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    typeset(&format!("{mantissa}e{exponent}"))
}

/// How the numbers in a heatmap's cells are written: with about three digits, and with more where all are so near to one another
/// that they would read alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum CellNumbers {
    /// With so many decimals.
    Plain(usize),
    /// As 1.5e−6, with so many digits after the point.
    Scientific(usize),
}

impl CellNumbers {
    /// How these values are written.
    pub(super) fn of(values: &[f64]) -> Self {
        let finite = values.iter().copied().filter(|v| v.is_finite());
        let (lo, hi) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
        let largest = lo.abs().max(hi.abs());
        if lo > hi || largest == 0.0 {
            return Self::Plain(2);
        }
        // powers of ten: of the first digit, and of the last one that is written
        let first = largest.log10().floor() as i32;
        let small_or_large = !(0.01..1e5).contains(&largest);
        let usual = if small_or_large { first - 1 } else { (first - 2).clamp(-2, 0) };
        // halves, because the difference may be more than a number can be
        let half = hi / 2.0 - lo / 2.0;
        // whole numbers have no decimals that matter
        let whole = values.iter().all(|v| v.fract() == 0.0 || !v.is_finite());
        let usual = if whole && !small_or_large { usual.max(0) } else { usual };
        let alike = half > 0.0 && 2.5 * ten(usual) > half;
        let last = if alike { usual.min((half.log10() + 2f64.log10()).floor() as i32 - 1) } else { usual };
        // doubles have no more than 16 digits
        let last = last.max(if alike && whole { 0 } else { first - 15 });
        match first {
            0..15 if last <= 0 => Self::Plain(-last as usize),
            _ if small_or_large => Self::Scientific((first - last) as usize),
            _ => Self::Plain(-last as usize),
        }
    }

    pub(super) fn write(self, v: f64) -> String {
        match self {
            _ if v.is_nan() => String::new(),
            _ if v.is_infinite() => if v > 0.0 { "∞" } else { "−∞" }.to_owned(),
            Self::Scientific(digits) => scientific(v, digits),
            Self::Plain(decimals) => typeset(&format!("{v:.decimals$}")),
        }
    }
}

/// A typographic minus sign, and none before a zero.
fn typeset(number: &str) -> String {
    match number.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| matches!(c, '0' | '.')) => rest.to_owned(),
        _ => number.replace('-', "−"),
    }
}

/// 10 to the `exponent`, also where that is less than the least normal number.
fn ten(exponent: i32) -> f64 {
    10f64.powf(exponent.into())
}

fn power_of_ten(exponent: i32) -> String {
    let raised = |c| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        c => char::from_u32('⁰' as u32 + (c as u32 - '0' as u32)).unwrap_or(c),
    };
    format!("10{}", exponent.to_string().chars().map(raised).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(ticks: &[(f64, String)]) -> Vec<&str> {
        ticks.iter().map(|t| t.1.as_str()).collect()
    }

    #[test]
    fn steps_are_round_and_inside() {
        assert_eq!(text(&linear(0.0, 1.0, 6, 0.0)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(text(&linear(-0.1, 1.1, 7, 0.0)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(text(&linear(5.0, 10.0, 20, 1.0)), ["5", "6", "7", "8", "9", "10"]);
        assert_eq!(text(&linear(-3.2, 3.2, 5, 0.0)), ["−2", "0", "2"]);
        assert_eq!(text(&linear(0.0, 1.0, 4, 0.0)), ["0.00", "0.25", "0.50", "0.75", "1.00"]);
        assert_eq!(text(&linear(0.0, 10.0, 4, 1.0)), ["0", "5", "10"]);
        assert_eq!(text(&linear(-3.0, 9.0, 2, 0.0)), ["0", "5"]);
        assert_eq!(text(&linear(0.0, 5000.0, 6, 1.0)), ["0", "1000", "2000", "3000", "4000", "5000"]);
        assert_eq!(text(&linear(0.0, 3e-5, 3, 0.0)), ["0", "1e−5", "2e−5", "3e−5"]);
        assert_eq!(text(&linear(0.0, 4e6, 4, 0.0)), ["0", "1e6", "2e6", "3e6", "4e6"]);
        assert_eq!(text(&linear(0.03, 0.07, 4, 0.0)), ["0.03", "0.04", "0.05", "0.06", "0.07"]);
    }

    #[test]
    fn labels_of_one_axis_differ() {
        for (lo, hi) in [(0.0, 1e-7), (1e6, 1e6 + 4.0), (-2.5, 7.5), (0.998, 1.002), (1e12, 1e12 + 64.0)] {
            let ticks = linear(lo, hi, 6, 0.0);
            assert!(ticks.len() >= 2, "{lo} {hi}");
            assert!(ticks.windows(2).all(|w| w[0].1 != w[1].1), "{ticks:?}");
        }
        assert!(linear(1.0, 1.0, 5, 0.0).is_empty());
        assert!(linear(0.0, f64::INFINITY, 5, 0.0).is_empty());
    }

    #[test]
    fn decades_have_powers() {
        assert_eq!(text(&logarithmic(1e-4, 2.0, 6)), ["10⁻⁴", "10⁻³", "10⁻²", "10⁻¹", "10⁰"]);
        assert_eq!(text(&logarithmic(1e-12, 1.0, 5)), ["10⁻¹²", "10⁻⁹", "10⁻⁶", "10⁻³", "10⁰"]);
        assert_eq!(text(&logarithmic(0.04, 1.5, 6)), ["0.05", "0.1", "0.2", "0.5", "1"]);
        assert_eq!(text(&logarithmic(1.1, 1.9, 4)), ["1.2", "1.4", "1.6", "1.8"]);
        assert_eq!(logarithmic_minor(1.0, 10.0), [2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
    }

    #[test]
    fn cells_have_about_three_digits() {
        let written = |values: &[f64]| values.iter().map(|v| CellNumbers::of(values).write(*v)).collect::<Vec<_>>();
        assert_eq!(written(&[-0.123, -0.001, 1.0, f64::NEG_INFINITY]), ["−0.12", "0.00", "1.00", "−∞"]);
        assert_eq!(written(&[123.4, 200.0, f64::NAN, 0.0]), ["123", "200", "", "0"]);
        assert_eq!(written(&[12.34, -3.0]), ["12.3", "−3.0"]);
        assert_eq!(written(&[7.0, 0.0, -3.0]), ["7", "0", "−3"]);
        assert_eq!(written(&[1.23e-6, -2e-6]), ["1.2e−6", "−2e−6"]);
        assert_eq!(written(&[2e5, 1.26e7]), ["2e5", "1.3e7"]);
        assert_eq!(written(&[0.0, 0.0]), ["0.00", "0.00"]);
        assert_eq!(written(&[f64::MAX, f64::MIN]), ["1.8e308", "−1.8e308"]);
    }

    #[test]
    fn cells_that_lie_close_together_differ() {
        for (base, step) in [(1e9, 1.0), (1.0, 1e-6), (1e-5, 1e-12), (-3e20, 1e12), (5.0, 0.001)] {
            let values: Vec<f64> = (0..9).map(|k| base + step * f64::from(k)).collect();
            let texts: Vec<String> = values.iter().map(|v| CellNumbers::of(&values).write(*v)).collect();
            assert!(texts.windows(2).all(|pair| pair[0] != pair[1]), "{texts:?}");
        }
        let near: Vec<f64> = (0..3).map(|k| 1e9 + f64::from(k)).collect();
        assert_eq!(CellNumbers::of(&near).write(1e9 + 1.0), "1000000001");
    }
}
