//! The legend of a line plot: inside where it hides nothing, else above.

use plotters::backend::DrawingBackend;
use plotters::style::text_anchor::HPos;

use super::canvas::Canvas;
use super::colors::{INK, Rgb, WHITE};
use super::font::Font;
use super::geometry::{Point, Rect, px};
use super::marker::Marker;
use super::space::TICK_TEXT;
use super::trace::Bar;
use crate::error::Result;

/// One line of the legend.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) color: Rgb,
    pub(super) mark: Mark,
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stroke {
    Whole,
    Dashed,
}

/// What stands for a curve, points or a band in the legend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mark {
    pub(super) stroke: Option<Stroke>,
    pub(super) marker: Option<Marker>,
    /// Whether its points have error bars.
    pub(super) bar: bool,
    /// Opacity of a band's area; 0 of what is none.
    pub(super) area: f64,
}

impl Mark {
    /// Of a baseline.
    pub(super) const DASHES: Self = Self { stroke: Some(Stroke::Dashed), marker: None, bar: false, area: 0.0 };
}

/// Entries in columns.
pub(super) struct Legend {
    entries: Vec<Entry>,
    /// Entries below one another.
    rows: usize,
    /// Width of a column.
    width: f64,
}

const SWATCH: f64 = 22.0;
const GAP: f64 = 7.0;
const PADDING: f64 = 7.0;
/// Distance from the edges of the plot.
const AWAY: f64 = 8.0;
const LINE: f64 = TICK_TEXT * 1.45;
/// Distance from the plot of a legend above it.
const ABOVE: f64 = 8.0;
const BORDER: Rgb = (204, 204, 204);

impl Legend {
    /// A legend of the entries that have a name, in as many columns as the plot's height asks for.
    pub(super) fn new(font: &Font, entries: Vec<Entry>, plot: Rect) -> Self {
        let mut entries: Vec<Entry> = entries.into_iter().filter(|e| !e.name.is_empty()).collect();
        let most = ((plot.height() - 2.0 * px(AWAY + PADDING)) / px(LINE)).max(1.0) as usize;
        let columns = entries.len().div_ceil(most).max(1);
        let around =
            2.0 * px(AWAY + PADDING) + columns as f64 * px(SWATCH + GAP) + (columns - 1) as f64 * px(2.0 * GAP);
        let room = (plot.width() - around) / columns as f64;
        for entry in &mut entries {
            entry.name = font.cut(&entry.name, px(TICK_TEXT), room);
        }
        let width = px(SWATCH + GAP) + font.widest(entries.iter().map(|e| e.name.as_str()), px(TICK_TEXT));
        let rows = entries.len().div_ceil(columns).max(1);
        Self { entries, rows, width }
    }

    /// The same entries in as few rows as the plot's width allows: what fits above it.
    fn flat(self, plot: Rect) -> Self {
        let column = self.width + px(2.0 * GAP);
        let columns = ((plot.width() - 2.0 * px(PADDING) + px(2.0 * GAP)) / column).max(1.0) as usize;
        Self { rows: self.entries.len().div_ceil(columns).max(1), ..self }
    }

    /// Where it goes: inside the plot, if some place there hides nothing of `curves` or the plot is very small, else above it.
    pub(super) fn settle(self, plot: Rect, curves: &[Vec<Point>]) -> Settled {
        let (inside, hidden) = self.place(plot, curves);
        // of a plot hardly larger than its legend, nothing would be left
        let small = self.size().1 > plot.height() / 2.0;
        if self.entries.is_empty() || hidden == 0.0 || small {
            return Settled { legend: self, place: inside, above: 0.0 };
        }
        let legend = self.flat(plot);
        let (width, height) = legend.size();
        let left = (plot.left + plot.right - width) / 2.0;
        let bottom = plot.top - px(ABOVE);
        let place = Rect { left, right: left + width, top: bottom - height, bottom };
        Settled { legend, place, above: height + px(ABOVE) }
    }

    fn size(&self) -> (f64, f64) {
        let columns = self.entries.len().div_ceil(self.rows) as f64;
        let width = columns * self.width + (columns - 1.0) * px(2.0 * GAP) + 2.0 * px(PADDING);
        (width.ceil(), (self.rows as f64 * px(LINE) + 2.0 * px(PADDING) - px(LINE - TICK_TEXT)).ceil())
    }

    /// The place inside `plot` that hides the least of `curves`, a corner if it hides no more than others; and how much it hides.
    fn place(&self, plot: Rect, curves: &[Vec<Point>]) -> (Rect, f64) {
        let (width, height) = self.size();
        let across = [plot.right - px(AWAY) - width, plot.left + px(AWAY), (plot.left + plot.right - width) / 2.0];
        let (top, bottom) = (plot.top + px(AWAY), plot.bottom - px(AWAY) - height);
        let down = [0.0, 1.0, 0.5, 0.25, 0.75].map(|share| top + share * (bottom - top));
        let places = down
            .into_iter()
            .flat_map(|top| across.map(|left| (left.round(), top.round())))
            .map(|(left, top)| Rect { left, top, right: left + width, bottom: top + height });
        let hidden = |place: &Rect| {
            let reach = place.grown(px(3.0));
            let length = |pair: &[Point]| {
                reach.clip(pair[0], pair[1]).map_or(0.0, |(a, b)| (b.0 - a.0).hypot(b.1 - a.1).max(1.0))
            };
            curves
                .iter()
                .map(|curve| match curve[..] {
                    [point] => f64::from(u8::from(reach.contains(point))) * px(6.0),
                    _ => curve.windows(2).map(length).sum(),
                })
                .sum::<f64>()
        };
        let mut best = (f64::INFINITY, plot);
        for place in places {
            let cost = hidden(&place);
            if cost < best.0 {
                best = (cost, place);
            }
        }
        (best.1, best.0)
    }
}

/// A legend with its place.
pub(super) struct Settled {
    legend: Legend,
    place: Rect,
    /// What it takes of the space above the plot.
    pub(super) above: f64,
}

impl Settled {
    pub(super) fn draw(&self, canvas: &mut Canvas<impl DrawingBackend>) -> Result<()> {
        let (legend, place) = (&self.legend, self.place);
        if legend.entries.is_empty() {
            return Ok(());
        }
        canvas.fill_mixed(place, WHITE, 0.88)?;
        canvas.outline(place, px(0.5), BORDER)?;
        for (k, entry) in legend.entries.iter().enumerate() {
            let left = place.left + px(PADDING) + (k / legend.rows) as f64 * (legend.width + px(2.0 * GAP));
            let middle = place.top + px(PADDING) + (k % legend.rows) as f64 * px(LINE) + px(TICK_TEXT) / 2.0;
            let swatch = (left, left + px(SWATCH));
            let (mark, center) = (entry.mark, (swatch.0 + swatch.1) / 2.0);
            let (top, bottom) = (middle - px(TICK_TEXT) / 2.0, middle + px(TICK_TEXT) / 2.0);
            if mark.area > 0.0 {
                canvas.fill_mixed(Rect { left: swatch.0, right: swatch.1, top, bottom }, entry.color, mark.area)?;
            }
            if mark.bar {
                Bar { x: center, top, bottom, ends: (true, true) }.draw(canvas, entry.color)?;
            }
            match mark.stroke {
                Some(Stroke::Dashed) => canvas.dashes(swatch, middle, entry.color)?,
                Some(Stroke::Whole) => {
                    canvas.stroke(&[(swatch.0, middle), (swatch.1, middle)], px(2.0), entry.color)?;
                }
                None => {}
            }
            if let Some(marker) = mark.marker {
                marker.draw(canvas, (center, middle), px(6.0), entry.color)?;
            }
            let at = (swatch.1 + px(GAP), middle + px(TICK_TEXT) * Font::CAPITAL / 2.0);
            canvas.text(&entry.name, at, px(TICK_TEXT), HPos::Left, INK)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLOT: Rect = Rect { left: 0.0, top: 0.0, right: 800.0, bottom: 500.0 };

    fn legend(names: &[&str]) -> Legend {
        let mark = Mark { stroke: Some(Stroke::Whole), marker: None, bar: false, area: 0.0 };
        let entry = |name: &&str| Entry { name: (*name).to_owned(), color: INK, mark };
        Legend::new(&Font::load().unwrap(), names.iter().map(entry).collect(), PLOT)
    }

    #[test]
    fn goes_to_the_empty_corner() {
        let falling = vec![(0.0, 0.0), (80.0, 450.0), (800.0, 490.0)];
        let rising = vec![(0.0, 490.0), (700.0, 400.0), (800.0, 0.0)];
        let named = legend(&["loss"]);
        let place = named.place(PLOT, &[falling]).0;
        assert!(place.left > 400.0 && place.top < 50.0, "{place:?}");
        let place = named.place(PLOT, &[rising]).0;
        assert!(place.right < 400.0 && place.top < 50.0, "{place:?}");
    }

    #[test]
    fn stands_above_where_every_place_hides_something() {
        let zigzag = |step: usize| {
            (0..=step).map(|k| (800.0 * k as f64 / step as f64, if k % 2 == 0 { 0.0 } else { 500.0 })).collect()
        };
        let free = legend(&["loss"]).settle(PLOT, &[zigzag(1)]);
        assert!(free.above == 0.0 && PLOT.contains((free.place.left, free.place.top)), "{:?}", free.place);
        let crowded = legend(&["loss", "accuracy"]).settle(PLOT, &[zigzag(60)]);
        assert!(crowded.above > 0.0 && crowded.place.bottom < PLOT.top && crowded.place.right <= PLOT.right);
        assert_eq!(crowded.legend.rows, 1, "side by side");
        let many: Vec<&str> = vec!["a rather long name of a curve"; 9];
        let stacked = legend(&many).settle(PLOT, &[zigzag(60)]);
        assert!(stacked.legend.rows > 1 && stacked.place.left >= 0.0 && stacked.place.right <= PLOT.right);
    }

    #[test]
    fn lies_inside_however_many_and_long_the_names_are() {
        let long = "a very long name ".repeat(20);
        let many: Vec<&str> = (0..40).map(|_| "curve").collect();
        for names in [vec![long.as_str()], many] {
            let place = legend(&names).place(PLOT, &[]).0;
            assert!(place.left >= 0.0 && place.right <= 800.0 && place.bottom <= 500.0, "{place:?}");
        }
        assert!(legend(&["", ""]).entries.is_empty());
    }
}
