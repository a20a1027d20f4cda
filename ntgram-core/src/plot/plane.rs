//! Vectors in the plane, as arrows from the origin, with equal scales on both axes.

use super::canvas::{Anchor, Canvas, Point, Rect, px};
use super::colors::{self, AXIS, Color, GRID, INK, Rgb, WHITE};
use super::font::Font;
use super::panel::{
    Captions, Labels, Margins, Slot, TICK, TICK_GAP, TICK_TEXT, caption_setters, text_height, tick, write_below,
};
use super::ticks;
use crate::error::{Error, Result};

/// Vectors in the plane, as arrows from the origin, each with its label at the tip. On request the polygon of the outermost tips
/// (their convex hull), and clouds of dots behind the arrows.
///
/// One unit is equally long on both axes, and the origin is in the middle. Without [`colors`](Self::colors) every arrow has a hue of its
/// own, in order around the colour wheel.
///
/// Settings are checked when the figure is drawn.
#[derive(Clone, PartialEq)]
pub struct Plane {
    tips: Vec<(f64, f64)>,
    labels: Labels,
    colors: Option<Vec<Color>>,
    clouds: Vec<Cloud>,
    polygon: bool,
    reach: Option<f64>,
    captions: Captions,
}

/// Dots of one colour.
#[derive(Debug, Clone, PartialEq)]
struct Cloud {
    xs: Vec<f64>,
    ys: Vec<f64>,
    color: Color,
}

/// How far the axes reach beyond the longest arrow, for its label.
const ROOM: f64 = 1.22;
/// Lengths in CSS pixels: an arrow's width, its head's length and width, a dot's width, the gap between a tip and its label's middle.
const SHAFT: f64 = 1.8;
const HEAD: f64 = 9.0;
const HEAD_WIDTH: f64 = 8.0;
const DOT: f64 = 4.5;
const AWAY: f64 = 11.0;
const HULL: Rgb = (150, 150, 150);

impl Plane {
    /// Arrows to the points `(xs[i], ys[i])`, labelled with their indices.
    ///
    /// # Errors
    /// No points, not as many `ys` as `xs`, or a coordinate that is not a finite number.
    pub fn new(xs: &[f64], ys: &[f64]) -> Result<Self> {
        check_points(xs, ys)?;
        if xs.is_empty() {
            return Err(Error::argument("xs", "empty", "there must be at least one vector"));
        }
        Ok(Self {
            tips: xs.iter().copied().zip(ys.iter().copied()).collect(),
            labels: Labels::default(),
            colors: None,
            clouds: Vec::new(),
            polygon: false,
            reach: None,
            captions: Captions::default(),
        })
    }

    caption_setters!();

    /// Labels of all arrows.
    pub fn labels(mut self, labels: &[&str]) -> Self {
        self.labels.set(labels);
        self
    }

    /// Label of one arrow, in place of its index.
    pub fn label(mut self, arrow: usize, label: &str) -> Self {
        self.labels.marked.insert(arrow, label.to_owned());
        self
    }

    /// Colours of all arrows.
    pub fn colors(mut self, colors: &[Color]) -> Self {
        self.colors = Some(colors.to_vec());
        self
    }

    /// Shows the convex hull of the tips: the polygon whose corners are the outermost ones.
    pub fn polygon(mut self) -> Self {
        self.polygon = true;
        self
    }

    /// Dots at `(xs[i], ys[i])`, behind the arrows; may be called several times. A dot outside the axes is not drawn.
    pub fn dots(mut self, xs: &[f64], ys: &[f64], color: Color) -> Self {
        self.clouds.push(Cloud { xs: xs.to_vec(), ys: ys.to_vec(), color });
        self
    }

    /// How far both axes reach from the origin, at least; without, as far as arrows and dots do.
    pub fn reach(mut self, reach: f64) -> Self {
        self.reach = Some(reach);
        self
    }

    /// The arrows whose tips are the corners of their convex hull, counter-clockwise from the leftmost.
    pub fn corners(&self) -> Vec<usize> {
        convex_hull(&self.tips)
    }

    /// Number of arrows.
    pub fn len(&self) -> usize {
        self.tips.len()
    }

    /// Whether there are none (never, for a plane that was made).
    pub fn is_empty(&self) -> bool {
        self.tips.is_empty()
    }

    pub(super) fn captions(&self) -> &Captions {
        &self.captions
    }

    pub(super) fn check(&self) -> Result<()> {
        self.labels.check("labels", self.tips.len())?;
        if let Some(colors) = self.colors.as_ref().filter(|colors| colors.len() != self.tips.len()) {
            let expected = format!("there must be one for each, {}", self.tips.len());
            return Err(Error::argument("colors", format!("{} colours", colors.len()), expected));
        }
        self.clouds.iter().try_for_each(|cloud| check_points(&cloud.xs, &cloud.ys))?;
        match self.reach {
            Some(reach) if !(reach > 0.0 && reach.is_finite()) => {
                Err(Error::argument("reach", reach, "it must be a finite number above 0"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn free_size(&self, columns: usize) -> (f64, f64) {
        let side = px(match columns {
            1 => 400.0,
            2 => 300.0,
            3 => 200.0,
            _ => 125.0,
        });
        (side, side)
    }

    /// Where values lie in a plot of this size.
    fn view(&self, (width, height): (f64, f64)) -> View {
        let reach = self.reach.unwrap_or_else(|| {
            let tips = self.tips.iter().map(|tip| ROOM * tip.0.abs().max(tip.1.abs()));
            let dots = self.clouds.iter().flat_map(|cloud| cloud.xs.iter().chain(&cloud.ys)).map(|v| 1.05 * v.abs());
            let furthest = tips.chain(dots).fold(0.0, f64::max).min(f64::MAX / 8.0);
            if furthest > 0.0 { furthest } else { 1.0 }
        });
        View { unit: width.min(height) / (2.0 * reach), size: (width, height) }
    }

    pub(super) fn ticks(&self, font: &Font, size: (f64, f64)) -> Margins {
        let view = self.view(size);
        let widest = font.widest(view.ticks(view.size.1).iter().map(|t| t.1.as_str()), px(TICK_TEXT));
        Margins {
            left: px(TICK + TICK_GAP) + widest,
            right: px(3.0),
            top: text_height(1, px(TICK_TEXT)) / 2.0,
            bottom: px(TICK + TICK_GAP) + text_height(1, px(TICK_TEXT)),
        }
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, slot: Slot) -> Result<()> {
        let plot = slot.plot;
        let view = self.view((plot.width(), plot.height()));
        let origin = ((plot.left + plot.right) / 2.0, (plot.top + plot.bottom) / 2.0);
        let at = |(x, y): (f64, f64)| (origin.0 + x * view.unit, origin.1 - y * view.unit);

        draw_axes(canvas, plot, &view, origin)?;
        if self.polygon {
            let hull: Vec<Point> = self.corners().into_iter().map(|k| at(self.tips[k])).collect();
            canvas.polygon(&clipped_polygon(plot, &hull), HULL, 0.13)?;
            let around: Vec<Point> = hull.iter().chain(hull.first()).copied().collect();
            clipped_stroke(canvas, plot, &around, px(1.2), HULL)?;
        }
        for cloud in &self.clouds {
            let color = colors::mix(cloud.color.rgb(), WHITE, 0.35);
            for point in cloud.xs.iter().zip(&cloud.ys).map(|(x, y)| at((*x, *y))) {
                if plot.contains(point) {
                    canvas.stroke(&[point], px(DOT), color)?;
                }
            }
        }
        let hues = self.colors.clone().unwrap_or_else(|| (0..self.tips.len()).map(|k| self.hue(k)).collect());
        for (tip, color) in self.tips.iter().zip(&hues) {
            draw_arrow(canvas, plot, origin, at(*tip), color.rgb())?;
        }
        self.draw_labels(canvas, plot, origin, &at)?;
        let ticks = self.ticks(&canvas.font, (plot.width(), plot.height()));
        self.captions.draw(canvas, plot, ticks, slot.outer)
    }

    fn hue(&self, arrow: usize) -> Color {
        Color::hue(arrow, self.tips.len())
    }

    /// Each label beyond its tip, further out where an earlier one is in the way.
    fn draw_labels(&self, canvas: &mut Canvas, plot: Rect, origin: Point, at: &dyn Fn(Point) -> Point) -> Result<()> {
        let size = px(TICK_TEXT);
        let mut taken: Vec<Rect> = Vec::new();
        for (k, tip) in self.tips.iter().enumerate() {
            let text = self.labels.text(k);
            let (half, high) = (canvas.font.width(&text, size) / 2.0 + px(1.0), size * Font::CAPITAL / 2.0 + px(1.0));
            // where the arrow ends or leaves the plot
            let end = plot.clip(origin, at(*tip)).map_or(origin, |(_, end)| end);
            let (dx, dy) = (end.0 - origin.0, end.1 - origin.1);
            let length = dx.hypot(dy);
            let (ux, uy) = if length > 0.0 { (dx / length, dy / length) } else { (0.0, -1.0) };
            let place = |step: f64| {
                let away = px(AWAY) + step * 2.0 * high + (half - high).max(0.0) * ux.abs();
                let (x, y) = (end.0 + ux * away, end.1 + uy * away);
                Rect { left: x - half, right: x + half, top: y - high, bottom: y + high }
            };
            let clear = |rect: &Rect| taken.iter().all(|other| !overlap(rect, other));
            let rect = (0..5).map(|step| moved_into(plot, place(f64::from(step)))).find(clear);
            let rect = rect.unwrap_or_else(|| moved_into(plot, place(0.0)));
            canvas.fill_mixed(rect, WHITE, 0.75)?;
            let baseline = ((rect.left + rect.right) / 2.0, rect.bottom - px(1.0));
            canvas.text(&text, baseline, size, Anchor::Middle, INK)?;
            taken.push(rect);
        }
        Ok(())
    }
}

/// Device pixels of one unit, and of the plot.
struct View {
    unit: f64,
    size: (f64, f64),
}

impl View {
    /// Ticks along a side of this length: the same step on both sides.
    fn ticks(&self, side: f64) -> Vec<(f64, String)> {
        let (shorter, half) = (self.size.0.min(self.size.1), side / self.unit / 2.0);
        let most = ((shorter / px(50.0)) as usize).clamp(2, 8) as f64 * side / shorter;
        ticks::linear(-half, half, most.round() as usize, 0.0)
    }
}

fn draw_axes(canvas: &mut Canvas, plot: Rect, view: &View, origin: Point) -> Result<()> {
    let (across, down) = (view.ticks(plot.width()), view.ticks(plot.height()));
    let half = |value: f64| if value == 0.0 { px(0.75) } else { px(0.5) };
    let color = |value: f64| if value == 0.0 { HULL } else { GRID };
    // the axes through the origin above all other lines
    let sorted = |ticks: &[(f64, String)]| {
        let (zero, others): (Vec<f64>, Vec<f64>) = ticks.iter().map(|t| t.0).partition(|value| *value == 0.0);
        [others, zero].concat()
    };
    for zero in [false, true] {
        for value in sorted(&across).into_iter().filter(|value| (*value == 0.0) == zero) {
            let x = (origin.0 + value * view.unit).round();
            canvas.fill(Rect { left: x - half(value), right: x + half(value), ..plot }, color(value))?;
        }
        for value in sorted(&down).into_iter().filter(|value| (*value == 0.0) == zero) {
            let y = (origin.1 - value * view.unit).round();
            canvas.fill(Rect { top: y - half(value), bottom: y + half(value), ..plot }, color(value))?;
        }
    }
    canvas.outline(plot, px(1.0), AXIS)?;
    for (value, text) in &across {
        let x = origin.0 + value * view.unit;
        tick(canvas, (x, plot.bottom), (x, plot.bottom + px(TICK)))?;
        write_below(canvas, text, x, plot.bottom, false)?;
    }
    for (value, text) in &down {
        let y = origin.1 - value * view.unit;
        tick(canvas, (plot.left - px(TICK), y), (plot.left, y))?;
        let place = (plot.left - px(TICK + TICK_GAP), y + px(TICK_TEXT) * Font::CAPITAL / 2.0);
        canvas.text(text, place, px(TICK_TEXT), Anchor::End, INK)?;
    }
    Ok(())
}

/// The part of a convex polygon that lies inside (Sutherland and Hodgman).
fn clipped_polygon(plot: Rect, corners: &[Point]) -> Vec<Point> {
    // how far inside each of the four sides a point is
    let sides: [&dyn Fn(Point) -> f64; 4] =
        [&|p| p.0 - plot.left, &|p| plot.right - p.0, &|p| p.1 - plot.top, &|p| plot.bottom - p.1];
    sides.iter().fold(corners.to_vec(), |corners, room| {
        let mut kept = Vec::new();
        for (&a, &b) in corners.iter().zip(corners.iter().cycle().skip(1)) {
            let (of_a, of_b) = (room(a), room(b));
            if of_a >= 0.0 {
                kept.push(a);
            }
            if (of_a >= 0.0) != (of_b >= 0.0) {
                let t = of_a / (of_a - of_b);
                kept.push((a.0 + t * (b.0 - a.0), a.1 + t * (b.1 - a.1)));
            }
        }
        kept
    })
}

fn clipped_stroke(canvas: &mut Canvas, plot: Rect, points: &[Point], width: f64, color: Rgb) -> Result<()> {
    for pair in points.windows(2) {
        if let Some((from, to)) = plot.clip(pair[0], pair[1]) {
            canvas.stroke(&[from, to], width, color)?;
        }
    }
    Ok(())
}

/// An arrow with a filled head; one shorter than its head is a dot, and of one that leaves the plot only the shaft is seen.
fn draw_arrow(canvas: &mut Canvas, plot: Rect, from: Point, to: Point, color: Rgb) -> Result<()> {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy);
    if length < px(HEAD) {
        return canvas.stroke(&[to], px(DOT), color);
    }
    let (ux, uy) = (dx / length, dy / length);
    let back = |by: f64, aside: f64| (to.0 - ux * by - uy * aside, to.1 - uy * by + ux * aside);
    if !plot.contains(to) {
        return clipped_stroke(canvas, plot, &[from, to], px(SHAFT), color);
    }
    canvas.stroke(&[from, back(px(0.7 * HEAD), 0.0)], px(SHAFT), color)?;
    let half = px(HEAD_WIDTH / 2.0);
    canvas.polygon(&[to, back(px(HEAD), half), back(px(0.75 * HEAD), 0.0), back(px(HEAD), -half)], color, 1.0)
}

/// `rect`, moved as far as it must be to lie inside the frame of `plot`; at its left and top where it is larger.
fn moved_into(plot: Rect, rect: Rect) -> Rect {
    let shift = |low: f64, high: f64, from: f64, to: f64| {
        let back = (to - px(2.0) - high).min(0.0);
        back + (from + px(2.0) - low - back).max(0.0)
    };
    let dx = shift(rect.left, rect.right, plot.left, plot.right);
    let dy = shift(rect.top, rect.bottom, plot.top, plot.bottom);
    Rect { left: rect.left + dx, right: rect.right + dx, top: rect.top + dy, bottom: rect.bottom + dy }
}

fn overlap(a: &Rect, b: &Rect) -> bool {
    a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom
}

fn check_points(xs: &[f64], ys: &[f64]) -> Result<()> {
    if xs.len() != ys.len() {
        let expected = format!("there must be as many as `xs`, {}", xs.len());
        return Err(Error::argument("ys", format!("{} values", ys.len()), expected));
    }
    for (argument, values) in [("xs", xs), ("ys", ys)] {
        if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
            return Err(Error::argument(argument, format!("a list with {bad}"), "every coordinate must be finite"));
        }
    }
    Ok(())
}

/// Indices of the corners of the convex hull, counter-clockwise (Andrew's monotone chain); points on its edges are left out.
fn convex_hull(points: &[(f64, f64)]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    let compare = |a: &usize, b: &usize| {
        let (a, b) = (points[*a], points[*b]);
        a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
    };
    order.sort_by(compare);
    order.dedup_by(|a, b| points[*a] == points[*b]);
    if order.len() < 3 {
        return order;
    }
    let left_turn = |a: usize, b: usize, c: usize| {
        let ((ax, ay), (bx, by), (cx, cy)) = (points[a], points[b], points[c]);
        (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) > 0.0
    };
    let half = |order: &mut dyn Iterator<Item = usize>| {
        let mut chain: Vec<usize> = Vec::new();
        for k in order {
            while chain.len() >= 2 && !left_turn(chain[chain.len() - 2], chain[chain.len() - 1], k) {
                chain.pop();
            }
            chain.push(k);
        }
        // the last point begins the other half
        chain.pop();
        chain
    };
    let mut hull = half(&mut order.iter().copied());
    hull.extend(half(&mut order.iter().rev().copied()));
    hull
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hull_has_the_outermost_points_in_order() {
        let square = [(0.0, 0.0), (1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (0.5, 0.2), (-1.0, -1.0), (0.0, 1.0)];
        assert_eq!(convex_hull(&square), [5, 2, 1, 3]);
        assert_eq!(convex_hull(&[(2.0, 2.0)]), [0]);
        assert_eq!(convex_hull(&[(2.0, 2.0), (1.0, 0.0), (2.0, 2.0)]), [1, 0]);
        // all on one line: its two ends
        assert_eq!(convex_hull(&[(0.0, 0.0), (2.0, 2.0), (1.0, 1.0)]), [0, 1]);
    }

    #[test]
    fn polygons_are_cut_off_at_the_plots_edges() {
        let plot = Rect { left: 0.0, top: 0.0, right: 10.0, bottom: 10.0 };
        let inside = [(1.0, 1.0), (9.0, 1.0), (5.0, 9.0)];
        assert_eq!(clipped_polygon(plot, &inside), inside);
        assert_eq!(clipped_polygon(plot, &[(5.0, 2.0), (15.0, 2.0), (15.0, 8.0), (5.0, 8.0)]).len(), 4);
        let around = clipped_polygon(plot, &[(-90.0, -90.0), (90.0, -90.0), (90.0, 90.0), (-90.0, 90.0)]);
        assert!(around.iter().all(|p| plot.contains(*p)) && around.len() == 4, "{around:?}");
        assert_eq!(clipped_polygon(plot, &[(11.0, 1.0), (12.0, 1.0), (11.0, 2.0)]), []);
    }

    #[test]
    fn one_unit_is_equally_long_on_both_axes() {
        let plane = Plane::new(&[1.0, 0.0], &[0.0, -2.0]).unwrap();
        let view = plane.view((600.0, 400.0));
        assert!((view.unit - 200.0 / (2.0 * ROOM)).abs() < 1e-9, "{}", view.unit);
        let step = |side: f64| {
            let ticks = view.ticks(side);
            ticks[1].0 - ticks[0].0
        };
        assert_eq!(step(600.0), step(400.0));
        assert_eq!(plane.clone().reach(4.0).view((600.0, 400.0)).unit, 50.0);
        assert_eq!(Plane::new(&[0.0], &[0.0]).unwrap().view((10.0, 10.0)).unit, 5.0, "nothing to fit: one unit");
    }
}
