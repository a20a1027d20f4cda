//! The view of a [`Plane`](super::Plane): one unit equally long on both axes, the origin in the middle, grid lines and ticks.

use plotters::backend::DrawingBackend;
use plotters::style::text_anchor::HPos;

use super::canvas::Canvas;
use super::colors::{AXIS, GRID, INK, LINE};
use super::font::Font;
use super::geometry::{Point, Rect, px};
use super::labels::{tick, write_below};
use super::space::{Margins, TICK, TICK_GAP, TICK_TEXT, text_height};
use super::ticks;
use crate::error::Result;

/// Pixels from the origin that are more than any plot has, and no very large number.
const FAR: f64 = 1e8;

/// The values that a plot of a size shows.
pub(super) struct View {
    /// Device pixels of one unit.
    pub(super) unit: f64,
    size: (f64, f64),
    /// About how many ticks the shorter side has.
    most: usize,
}

impl View {
    /// All values up to `reach` from the origin, on both axes, and more on the longer side.
    pub(super) fn new(font: &Font, reach: f64, size: (f64, f64)) -> Self {
        let shorter = size.0.min(size.1);
        // a unit is a number of pixels, so the reach cannot be as small as numbers can
        let unit = shorter / 2.0 / reach.max(1e-300);
        let mut view = Self { unit, size, most: ((shorter / px(50.0)) as usize).clamp(2, 8) };
        while view.most > 1 && !view.has_room(font) {
            view.most -= 1;
        }
        view
    }

    /// Where a point lies, in device pixels from the origin, to the right and down; one very far away, in its direction.
    pub(super) fn place(&self, (x, y): (f64, f64)) -> Point {
        let (far, most) = (x.abs().max(y.abs()), FAR / self.unit);
        let (x, y) = if far > most { (x / far * most, y / far * most) } else { (x, y) };
        (x * self.unit, -y * self.unit)
    }

    /// Ticks along a side of this length: the same step on both sides.
    pub(super) fn ticks(&self, side: f64) -> Vec<(f64, String)> {
        let (shorter, half) = (self.size.0.min(self.size.1), side / self.unit / 2.0);
        let most = self.most as f64 * side / shorter;
        ticks::linear(-half, half, most.round() as usize, 0.0)
    }

    /// Whether the labels below the plot stand apart.
    fn has_room(&self, font: &Font) -> bool {
        let half = |tick: &(f64, String)| font.width(&tick.1, px(TICK_TEXT)) / 2.0 + px(2.0);
        let apart = |pair: &[(f64, String)]| (pair[1].0 - pair[0].0) * self.unit >= half(&pair[0]) + half(&pair[1]);
        self.ticks(self.size.0).windows(2).all(apart)
    }

    /// What ticks and their labels need around the plot.
    pub(super) fn margins(&self, font: &Font) -> Margins {
        let width = |tick: &(f64, String)| font.width(&tick.1, px(TICK_TEXT));
        let beside = self.ticks(self.size.1).iter().map(width).fold(0.0, f64::max);
        // how far the labels below reach beyond both ends of the plot
        let reach = |tick: &(f64, String)| tick.0.abs() * self.unit + width(tick) / 2.0 - self.size.0 / 2.0;
        let over = self.ticks(self.size.0).iter().map(reach).fold(0.0, f64::max);
        Margins {
            left: over.max(px(TICK + TICK_GAP) + beside),
            right: over.max(px(3.0)),
            top: text_height(1, px(TICK_TEXT)) / 2.0,
            bottom: px(TICK + TICK_GAP) + text_height(1, px(TICK_TEXT)),
        }
    }

    /// Draws grid lines, the axes above them, a frame, ticks and labels.
    pub(super) fn draw(&self, canvas: &mut Canvas<impl DrawingBackend>, plot: Rect) -> Result<()> {
        let (across, down) = (self.ticks(plot.width()), self.ticks(plot.height()));
        let (middle, center) = ((plot.left + plot.right) / 2.0, (plot.top + plot.bottom) / 2.0);
        let (x, y) = (|value: f64| middle + value * self.unit, |value: f64| center - value * self.unit);
        for (axes, half, color) in [(false, px(0.5), GRID), (true, px(0.75), LINE)] {
            for x in across.iter().filter(|tick| (tick.0 == 0.0) == axes).map(|tick| x(tick.0).round()) {
                canvas.fill(Rect { left: x - half, right: x + half, ..plot }, color)?;
            }
            for y in down.iter().filter(|tick| (tick.0 == 0.0) == axes).map(|tick| y(tick.0).round()) {
                canvas.fill(Rect { top: y - half, bottom: y + half, ..plot }, color)?;
            }
        }
        canvas.outline(plot, px(1.0), AXIS)?;
        for (value, text) in &across {
            tick(canvas, (x(*value), plot.bottom), (x(*value), plot.bottom + px(TICK)))?;
            write_below(canvas, text, x(*value), plot.bottom, false)?;
        }
        for (value, text) in &down {
            tick(canvas, (plot.left - px(TICK), y(*value)), (plot.left, y(*value)))?;
            let place = (plot.left - px(TICK + TICK_GAP), y(*value) + px(TICK_TEXT) * Font::CAPITAL / 2.0);
            canvas.text(text, place, px(TICK_TEXT), HPos::Right, INK)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_have_the_same_step() {
        let view = View::new(&Font::load().unwrap(), 2.0, (600.0, 400.0));
        let step = |side: f64| {
            let ticks = view.ticks(side);
            ticks[1].0 - ticks[0].0
        };
        assert_eq!((view.unit, step(600.0)), (100.0, step(400.0)));
    }

    #[test]
    fn far_points_keep_their_direction() {
        let view = View::new(&Font::load().unwrap(), 1e-300, (400.0, 400.0));
        let (x, y) = view.place((1e-300, 0.5e-300));
        assert!((x - 200.0).abs() < 1e-9 && (y + 100.0).abs() < 1e-9, "{x} {y}");
        let (x, y) = view.place((-f64::MAX, f64::MAX / 2.0));
        assert!((x + FAR).abs() < 1.0 && (y + FAR / 2.0).abs() < 1.0, "{x} {y}");
    }

    #[test]
    fn labels_below_stand_apart_however_wide_they_are() {
        let font = Font::load().unwrap();
        for reach in [1.0, 8e303, 1.2345e-7, 123_456.0, 5e-324, f64::MAX / 8.0] {
            let view = View::new(&font, reach, (400.0, 400.0));
            assert!(view.has_room(&font), "{reach}: {:?}", view.ticks(400.0));
        }
    }
}
