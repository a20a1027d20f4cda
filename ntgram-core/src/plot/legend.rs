//! The legend of a line plot: inside, where it hides least.

use plotters::backend::DrawingBackend;
use plotters::style::text_anchor::HPos;

use super::canvas::Canvas;
use super::colors::{INK, Rgb, WHITE};
use super::font::Font;
use super::geometry::{Point, Rect, px};
use super::space::TICK_TEXT;
use crate::error::Result;

/// One line of the legend.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) color: Rgb,
    pub(super) dashed: bool,
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

    fn size(&self) -> (f64, f64) {
        let columns = self.entries.len().div_ceil(self.rows) as f64;
        let width = columns * self.width + (columns - 1.0) * px(2.0 * GAP) + 2.0 * px(PADDING);
        (width.ceil(), (self.rows as f64 * px(LINE) + 2.0 * px(PADDING) - px(LINE - TICK_TEXT)).ceil())
    }

    /// The place inside `plot` that hides the least of `curves`: a corner if it hides no more than others.
    fn place(&self, plot: Rect, curves: &[Vec<Point>]) -> Rect {
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
        best.1
    }

    pub(super) fn draw(
        &self,
        canvas: &mut Canvas<impl DrawingBackend>,
        plot: Rect,
        curves: &[Vec<Point>],
    ) -> Result<()> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let place = self.place(plot, curves);
        canvas.fill_mixed(place, WHITE, 0.88)?;
        canvas.outline(place, px(0.5), BORDER)?;
        for (k, entry) in self.entries.iter().enumerate() {
            let left = place.left + px(PADDING) + (k / self.rows) as f64 * (self.width + px(2.0 * GAP));
            let middle = place.top + px(PADDING) + (k % self.rows) as f64 * px(LINE) + px(TICK_TEXT) / 2.0;
            let swatch = (left, left + px(SWATCH));
            match entry.dashed {
                true => canvas.dashes(swatch, middle, entry.color)?,
                false => canvas.stroke(&[(swatch.0, middle), (swatch.1, middle)], px(2.0), entry.color)?,
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
        let entry = |name: &&str| Entry { name: (*name).to_owned(), color: INK, dashed: false };
        Legend::new(&Font::load().unwrap(), names.iter().map(entry).collect(), PLOT)
    }

    #[test]
    fn goes_to_the_empty_corner() {
        let falling = vec![(0.0, 0.0), (80.0, 450.0), (800.0, 490.0)];
        let rising = vec![(0.0, 490.0), (700.0, 400.0), (800.0, 0.0)];
        let named = legend(&["loss"]);
        let place = named.place(PLOT, &[falling]);
        assert!(place.left > 400.0 && place.top < 50.0, "{place:?}");
        let place = named.place(PLOT, &[rising]);
        assert!(place.right < 400.0 && place.top < 50.0, "{place:?}");
    }

    #[test]
    fn lies_inside_however_many_and_long_the_names_are() {
        let long = "a very long name ".repeat(20);
        let many: Vec<&str> = (0..40).map(|_| "curve").collect();
        for names in [vec![long.as_str()], many] {
            let place = legend(&names).place(PLOT, &[]);
            assert!(place.left >= 0.0 && place.right <= 800.0 && place.bottom <= 500.0, "{place:?}");
        }
        assert!(legend(&["", ""]).entries.is_empty());
    }
}
