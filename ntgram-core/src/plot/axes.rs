//! The axes of line plots and bar charts: scales, grid lines, ticks and their labels.

use plotters::backend::DrawingBackend;
use plotters::style::text_anchor::HPos;

use super::canvas::Canvas;
use super::colors::{AXIS, GRID, INK};
use super::font::Font;
use super::geometry::{Rect, px};
use super::labels::{Shown, height_below, tick, write_below};
use super::space::{Margins, TICK, TICK_GAP, TICK_TEXT, text_height};
use super::ticks;
use crate::error::Result;

/// Values to places along an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    lo: f64,
    hi: f64,
    log: bool,
}

impl Scale {
    /// From `lo` to `hi`; both positive where it is logarithmic.
    pub(super) fn new((lo, hi): (f64, f64), log: bool) -> Self {
        Self { lo, hi, log }
    }

    /// The scale of these values (without NaN and infinities, on a logarithmic scale those above 0) with `margin` times
    /// their extent left free on both sides. 0 to 1 (1 to 10) without any.
    pub(super) fn around(values: impl Iterator<Item = f64>, margin: f64, log: bool) -> Self {
        let usable = values.filter(|v| v.is_finite() && (!log || *v > 0.0));
        let to_place = |v: f64| match log {
            true => v.max(f64::MIN_POSITIVE).log10(),
            false => v.clamp(f64::MIN / 8.0, f64::MAX / 8.0),
        };
        let (lo, hi) =
            usable.map(to_place).fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
        let (lo, hi) = match lo < hi {
            true => (lo - margin * (hi - lo), hi + margin * (hi - lo)),
            false if lo > hi => (0.0, 1.0),
            // all the same
            false => {
                // not for a power of ten, nor for 0 and numbers whose tenth is 0
                let pad = if log || lo.abs() < f64::MIN_POSITIVE { 0.5 } else { 0.1 * lo.abs() };
                (lo - pad, lo + pad)
            }
        };
        // the margin around the largest and the least number is beyond what a number can be
        let back = |v: f64| if log { 10f64.powf(v).clamp(f64::MIN_POSITIVE, f64::MAX) } else { v };
        Self { lo: back(lo), hi: back(hi), log }
    }

    /// The part above 0.
    pub(super) fn above_zero(self) -> Self {
        Self { lo: 0.0, ..self }
    }

    /// The part below 0.
    pub(super) fn below_zero(self) -> Self {
        Self { hi: 0.0, ..self }
    }

    /// 0 at the low end, 1 at the high end; not finite where `v` has no place.
    pub(super) fn place(&self, v: f64) -> f64 {
        match self.log {
            true => (v.ln() - self.lo.ln()) / (self.hi.ln() - self.lo.ln()),
            false => (v - self.lo) / (self.hi - self.lo),
        }
    }

    pub(super) fn ticks(&self, most: usize, finest: f64) -> Vec<(f64, String)> {
        match self.log {
            true => ticks::logarithmic(self.lo, self.hi, most),
            false => ticks::linear(self.lo, self.hi, most, finest),
        }
    }
}

/// What stands along the horizontal axis: places between 0 and 1, and their labels.
pub(super) struct Below {
    pub(super) places: Vec<f64>,
    pub(super) shown: Shown,
    /// Where small ticks stand.
    minor: Vec<f64>,
}

impl Below {
    /// Numbers, as many as fit into `width`.
    pub(super) fn numbers(font: &Font, scale: &Scale, width: f64, finest: f64) -> Self {
        let mut most = ((width / px(60.0)) as usize).clamp(2, 8);
        loop {
            let ticks = scale.ticks(most, finest);
            let widest = font.widest(ticks.iter().map(|t| t.1.as_str()), px(TICK_TEXT));
            if most == 1 || ticks.len() as f64 * (widest + px(12.0)) <= width + widest {
                let minor = match scale.log {
                    true => ticks::logarithmic_minor(scale.lo, scale.hi).into_iter().map(|v| scale.place(v)).collect(),
                    false => vec![],
                };
                let ticks = if scale.log { apart(font, scale, width, ticks) } else { ticks };
                let places = ticks.iter().map(|t| scale.place(t.0)).collect();
                let labels = ticks.into_iter().map(|t| t.1).enumerate().collect();
                return Self { places, shown: Shown { labels, upwards: false }, minor };
            }
            most -= 1;
        }
    }

    /// Labels of `count` equal steps of the axis, each in the middle of its step.
    pub(super) fn steps(shown: Shown, count: usize) -> Self {
        let places = shown.labels.iter().map(|l| (l.0 as f64 + 0.5) / count as f64).collect();
        Self { places, shown, minor: vec![] }
    }
}

/// Of the ticks of a logarithmic axis, whose distances differ, those whose labels stand apart: powers of ten before others.
fn apart(font: &Font, scale: &Scale, width: f64, ticks: Vec<(f64, String)>) -> Vec<(f64, String)> {
    let reach = |tick: &(f64, String)| {
        let (middle, half) = (scale.place(tick.0) * width, font.width(&tick.1, px(TICK_TEXT)) / 2.0 + px(4.0));
        (middle - half, middle + half)
    };
    let is_power = |tick: &(f64, String)| (tick.0.log10() - tick.0.log10().round()).abs() < 1e-9;
    let mut kept: Vec<(f64, String)> = Vec::new();
    let (powers, others): (Vec<_>, Vec<_>) = ticks.into_iter().partition(is_power);
    for tick in powers.into_iter().chain(others) {
        let own = reach(&tick);
        if kept.iter().map(reach).all(|other| own.1 <= other.0 || other.1 <= own.0) {
            kept.push(tick);
        }
    }
    kept.sort_by(|a, b| a.0.total_cmp(&b.0));
    kept
}

/// Both axes of one plot.
pub(super) struct Axes {
    pub(super) y: Scale,
    pub(super) below: Below,
}

impl Axes {
    fn y_ticks(&self, height: f64) -> Vec<(f64, String)> {
        self.y.ticks(((height / px(36.0)) as usize).clamp(2, 9), 0.0)
    }

    /// What ticks and labels need around a plot of `size`.
    pub(super) fn margins(&self, font: &Font, size: (f64, f64)) -> Margins {
        let numbers = self.y_ticks(size.1);
        let text = |label: &str| font.width(label, px(TICK_TEXT));
        // how far labels reach beyond the ends of the horizontal axis
        let mut over = (0.0f64, 0.0f64);
        for (place, (_, label)) in self.below.places.iter().zip(&self.below.shown.labels) {
            let half = if self.below.shown.upwards { 0.0 } else { text(label) / 2.0 };
            over = (over.0.max(half - place * size.0), over.1.max(half - (1.0 - place) * size.0));
        }
        let left = px(TICK + TICK_GAP) + font.widest(numbers.iter().map(|t| t.1.as_str()), px(TICK_TEXT));
        Margins {
            left: left.max(over.0),
            right: over.1.max(px(3.0)),
            top: text_height(1, px(TICK_TEXT)) / 2.0,
            bottom: height_below(font, &self.below.shown),
        }
    }

    /// Grid lines, which everything else covers.
    pub(super) fn draw_grid(&self, canvas: &mut Canvas<impl DrawingBackend>, plot: Rect) -> Result<()> {
        for (value, _) in self.y_ticks(plot.height()) {
            let y = self.y_pixel(value, plot).round();
            canvas.fill(Rect { top: y - px(0.5), bottom: y + px(0.5), ..plot }, GRID)?;
        }
        Ok(())
    }

    /// Spines, ticks and labels.
    pub(super) fn draw(&self, canvas: &mut Canvas<impl DrawingBackend>, plot: Rect) -> Result<()> {
        let width = px(1.0);
        canvas.fill(Rect { left: plot.left - width, right: plot.left, bottom: plot.bottom + width, ..plot }, AXIS)?;
        canvas.fill(Rect { top: plot.bottom, bottom: plot.bottom + width, ..plot }, AXIS)?;
        for (value, text) in self.y_ticks(plot.height()) {
            let y = self.y_pixel(value, plot);
            tick(canvas, (plot.left - px(TICK), y), (plot.left - width, y))?;
            let at = (plot.left - px(TICK + TICK_GAP), y + px(TICK_TEXT) * Font::CAPITAL / 2.0);
            canvas.text(&text, at, px(TICK_TEXT), HPos::Right, INK)?;
        }
        if self.y.log {
            for value in ticks::logarithmic_minor(self.y.lo, self.y.hi) {
                let y = self.y_pixel(value, plot);
                tick(canvas, (plot.left - px(TICK / 2.0), y), (plot.left - width, y))?;
            }
        }
        for place in &self.below.minor {
            let x = plot.left + place * plot.width();
            tick(canvas, (x, plot.bottom + width), (x, plot.bottom + px(TICK / 2.0)))?;
        }
        for (place, (_, text)) in self.below.places.iter().zip(&self.below.shown.labels) {
            let x = plot.left + place * plot.width();
            tick(canvas, (x, plot.bottom + width), (x, plot.bottom + px(TICK)))?;
            write_below(canvas, text, x, plot.bottom, self.below.shown.upwards)?;
        }
        Ok(())
    }

    pub(super) fn y_pixel(&self, value: f64, plot: Rect) -> f64 {
        plot.bottom - self.y.place(value) * plot.height()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_place_values() {
        let scale = Scale::new((2.0, 6.0), false);
        assert_eq!([2.0, 3.0, 6.0].map(|v| scale.place(v)), [0.0, 0.25, 1.0]);
        let log = Scale::new((0.1, 1000.0), true);
        assert!((log.place(1.0) - 0.25).abs() < 1e-12 && !log.place(0.0).is_finite() && log.place(-1.0).is_nan());
    }

    #[test]
    fn scales_around_nothing_and_around_one_value_have_an_extent() {
        for (values, log) in
            [(vec![], false), (vec![], true), (vec![0.0], false), (vec![3.0; 2], false), (vec![3.0], true)]
        {
            let scale = Scale::around(values.iter().copied(), 0.05, log);
            assert!(scale.lo < scale.hi, "{values:?}: {scale:?}");
        }
        let huge = Scale::around([f64::MIN, f64::MAX].into_iter(), 0.05, false);
        assert!((huge.hi - huge.lo).is_finite());
        for ends in [[1.0, 1e295], [5e-324, 1.0], [5e-324, f64::MAX], [f64::MAX; 2], [5e-324; 2]] {
            let scale = Scale::around(ends.into_iter(), 0.05, true);
            assert!(0.0 < scale.lo && scale.lo < scale.hi && scale.hi.is_finite(), "{ends:?}: {scale:?}");
            let ticks = scale.ticks(8, 0.0);
            assert!((1..=9).contains(&ticks.len()), "{ends:?}: {ticks:?}");
            assert!(ticks.iter().all(|t| (-1e-9..=1.0 + 1e-9).contains(&scale.place(t.0))), "{ends:?}: {ticks:?}");
        }
        let skips = Scale::around([f64::NAN, 1.0, f64::INFINITY, 2.0].into_iter(), 0.0, false);
        assert_eq!((skips.lo, skips.hi), (1.0, 2.0));
    }

    #[test]
    fn logarithmic_numbers_have_powers_of_ten_first_and_small_ticks_between() {
        let font = Font::load().unwrap();
        let texts = |ends, width| {
            let below = Below::numbers(&font, &Scale::new(ends, true), px(width), 1.0);
            (below.shown.labels.into_iter().map(|l| l.1).collect::<Vec<_>>(), below.minor.len())
        };
        assert_eq!(texts((1.0, 40.0), 400.0).0, ["1", "2", "5", "10", "20"]);
        assert_eq!(texts((1.0, 1000.0), 400.0), (["10⁰", "10¹", "10²", "10³"].map(str::to_owned).to_vec(), 24));
        let narrow = texts((0.01, 0.8), 90.0).0;
        assert!(narrow.starts_with(&["0.01".to_owned()]) && narrow.contains(&"0.1".to_owned()), "{narrow:?}");
        assert!(texts((3.0, 4.0), 400.0).0.len() > 2);
    }

    #[test]
    fn numbers_below_never_overlap() {
        let font = Font::load().unwrap();
        let linear = [1.0, 5.0, 5000.0, 123_456.0, 3e-9].map(|hi| Scale::new((0.0, hi), false));
        let ends = [(1.0, 5000.0), (0.001, 0.09), (1e-300, 1e300), (9990.0, 10_010.0), (0.7, 30.0), (4.0, 20.0)];
        for scale in linear.into_iter().chain(ends.map(|ends| Scale::new(ends, true))) {
            for width in [60.0, 200.0, 900.0] {
                let below = Below::numbers(&font, &scale, width, 0.0);
                for (pair, labels) in below.places.windows(2).zip(below.shown.labels.windows(2)) {
                    let room = (pair[1] - pair[0]) * width;
                    let half = |k: usize| font.width(&labels[k].1, px(TICK_TEXT)) / 2.0;
                    assert!(
                        half(0) + half(1) < room || below.places.len() <= 2 && !scale.log,
                        "{scale:?} {width}: {labels:?}"
                    );
                }
            }
        }
    }
}
