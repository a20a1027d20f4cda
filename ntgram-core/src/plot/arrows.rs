//! Arrows from the origin, and labels at their tips.

use plotters::backend::DrawingBackend;
use plotters::style::text_anchor::HPos;

use super::canvas::Canvas;
use super::colors::{INK, Rgb, WHITE};
use super::font::Font;
use super::geometry::{Point, Rect, px};
use super::space::TICK_TEXT;
use crate::error::Result;

/// Lengths in CSS pixels: an arrow's width, its head's length and width, the width of a dot in its place.
const SHAFT: f64 = 1.8;
const HEAD: f64 = 9.0;
const HEAD_WIDTH: f64 = 8.0;
const DOT: f64 = 4.5;
/// The gap between a tip and its label's middle, and how near tips share one label.
const AWAY: f64 = 11.0;
const SHARED: f64 = 3.0;

/// An arrow with a filled head; one shorter than its head is a dot, and of one that leaves the plot only the shaft is seen.
pub(super) fn draw_arrow(
    canvas: &mut Canvas<impl DrawingBackend>,
    plot: Rect,
    from: Point,
    to: Point,
    color: Rgb,
) -> Result<()> {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy);
    if length < px(HEAD) {
        return canvas.stroke(&[to], px(DOT), color);
    }
    if !plot.contains(to) {
        return match plot.clip(from, to) {
            Some((from, to)) => canvas.stroke(&[from, to], px(SHAFT), color),
            None => Ok(()),
        };
    }
    let (ux, uy) = (dx / length, dy / length);
    let back = |by: f64, aside: f64| (to.0 - ux * by - uy * aside, to.1 - uy * by + ux * aside);
    canvas.stroke(&[from, back(px(0.7 * HEAD), 0.0)], px(SHAFT), color)?;
    let half = px(HEAD_WIDTH / 2.0);
    canvas.polygon(&[to, back(px(HEAD), half), back(px(0.75 * HEAD), 0.0), back(px(HEAD), -half)], color, 1.0)
}

/// The labels of arrows, each a tip and its text. Tips that nearly coincide share one: "0, 3, 7".
pub(super) fn draw_labels(
    canvas: &mut Canvas<impl DrawingBackend>,
    plot: Rect,
    origin: Point,
    arrows: impl Iterator<Item = (Point, String)>,
) -> Result<()> {
    let size = px(TICK_TEXT);
    let frame = plot.grown(-px(2.0));
    let mut taken: Vec<Rect> = Vec::new();
    for (end, text) in shared(plot, origin, arrows) {
        let text = canvas.font.cut(&text, size, frame.width() - px(2.0));
        let (half, high) = (canvas.font.width(&text, size) / 2.0 + px(1.0), size * Font::CAPITAL / 2.0 + px(1.0));
        let (dx, dy) = (end.0 - origin.0, end.1 - origin.1);
        let length = dx.hypot(dy);
        let (ux, uy) = if length > 0.0 { (dx / length, dy / length) } else { (0.0, -1.0) };
        // beyond the tip, further out where an earlier label is in the way
        let place = |step: f64| {
            // so far that the label's box, or where it is wide its nearer edge, ends before the tip
            let beside = px(AWAY) + (half - high).max(0.0) * ux.abs();
            let edge = px(AWAY) + (half / ux.abs()).min(high / uy.abs());
            let away = beside.min(edge) + step * 2.0 * high;
            let (x, y) = (end.0 + ux * away, end.1 + uy * away);
            Rect { left: x - half, right: x + half, top: y - high, bottom: y + high }.moved_into(&frame)
        };
        let clear = |rect: &Rect| taken.iter().all(|other| !rect.overlaps(other));
        let free = (0..5).map(|step| place(f64::from(step))).find(clear);
        let rect = free.unwrap_or_else(|| place(0.0));
        canvas.fill_mixed(rect, WHITE, 0.75)?;
        let baseline = ((rect.left + rect.right) / 2.0, rect.bottom - px(1.0));
        canvas.text(&text, baseline, size, HPos::Center, INK)?;
        taken.extend(free);
    }
    Ok(())
}

/// Where arrows end or leave the plot, and the texts of all that do so there.
fn shared(plot: Rect, origin: Point, arrows: impl Iterator<Item = (Point, String)>) -> Vec<(Point, String)> {
    let mut ends: Vec<(Point, String)> = Vec::new();
    for (tip, text) in arrows {
        let end = plot.clip(origin, tip).map_or(origin, |(_, end)| end);
        match ends.iter_mut().find(|(other, _)| (other.0 - end.0).hypot(other.1 - end.1) < px(SHARED)) {
            Some((_, texts)) => *texts += &format!(", {text}"),
            None => ends.push((end, text)),
        }
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tips_that_nearly_coincide_share_a_label() {
        let plot = Rect { left: 0.0, top: 0.0, right: 100.0, bottom: 100.0 };
        let tips = [(70.0, 50.0), (20.0, 20.0), (71.0, 50.0), (900.0, 50.0), (70.0, 51.0), (1200.0, 51.0)];
        let arrows = tips.into_iter().enumerate().map(|(k, tip)| (tip, k.to_string()));
        let texts: Vec<String> = shared(plot, (50.0, 50.0), arrows).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["0, 2, 4", "1", "3, 5"]);
    }
}
