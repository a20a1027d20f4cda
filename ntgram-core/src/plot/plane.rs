//! Vectors in the plane, as arrows from the origin, with equal scales on both axes.

use plotters::backend::DrawingBackend;

use super::arrows::{draw_arrow, draw_labels};
use super::canvas::Canvas;
use super::captions::{Captions, caption_setters};
use super::colors::{self, Color, LINE, WHITE};
use super::font::Font;
use super::geometry::{Point, px};
use super::hull::convex_hull;
use super::labels::Labels;
use super::space::{Margins, Slot};
use super::view::View;
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
    edges: Vec<(usize, usize, Color)>,
    axes: bool,
    /// By how much what is shown was turned, if it was.
    degrees: f64,
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
/// Their labels must find room beside each other.
const MOST_ARROWS: usize = 2000;
/// A dot's width, in CSS pixels.
const DOT: f64 = 4.5;

impl Plane {
    /// Arrows to the points `(xs[i], ys[i])`, labelled with their indices.
    ///
    /// # Errors
    /// No points or more than 2000, not as many `ys` as `xs`, or a coordinate that is not a finite number.
    pub fn new(xs: &[f64], ys: &[f64]) -> Result<Self> {
        check_points(xs, ys)?;
        if xs.is_empty() {
            return Err(Error::argument("xs", "empty", "there must be at least one vector"));
        }
        if xs.len() > MOST_ARROWS {
            let expected = format!("a plane shows up to {MOST_ARROWS} arrows; `dots` takes any number");
            return Err(Error::argument("xs", format!("{} values", xs.len()), expected));
        }
        Ok(Self {
            tips: xs.iter().copied().zip(ys.iter().copied()).collect(),
            labels: Labels::default(),
            colors: None,
            clouds: Vec::new(),
            polygon: false,
            edges: Vec::new(),
            axes: true,
            degrees: 0.0,
            reach: None,
            captions: Captions::default(),
        })
    }

    caption_setters!();

    /// Labels of all arrows: texts or numbers. Arrows whose tips nearly coincide share a label, "0, 3, 7".
    pub fn labels(mut self, labels: impl IntoIterator<Item = impl ToString>) -> Self {
        self.labels.set(labels);
        self
    }

    /// Label of one arrow, in place of its index.
    pub fn label(mut self, arrow: usize, label: impl ToString) -> Self {
        self.labels.mark(arrow, label);
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

    /// A line between the tips of two arrows.
    pub(super) fn edge(mut self, from: usize, to: usize, color: Color) -> Self {
        self.edges.push((from, to, color));
        self
    }

    /// Arrows to points that are known to be finite, seen from so many degrees, without axes, grid and frame.
    pub(super) fn bare(xs: &[f64], ys: &[f64], degrees: f64) -> Self {
        let tips = xs.iter().copied().zip(ys.iter().copied()).collect();
        let captions = Captions::default();
        let (labels, colors, clouds, edges) = (Labels::default(), None, Vec::new(), Vec::new());
        Self { tips, labels, colors, clouds, polygon: false, edges, axes: false, degrees, reach: None, captions }
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
        if !self.degrees.is_finite() {
            return Err(Error::argument("degrees", self.degrees, "it must be a finite number"));
        }
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
            // there are no numbers beside it
            _ if !self.axes => 190.0,
            _ => 125.0,
        });
        (side, side)
    }

    /// Where values lie in a plot of this size.
    fn view(&self, font: &Font, size: (f64, f64)) -> View {
        let reach = self.reach.unwrap_or_else(|| {
            let tips = self.tips.iter().map(|tip| ROOM * tip.0.abs().max(tip.1.abs()));
            let dots = self.clouds.iter().flat_map(|cloud| cloud.xs.iter().chain(&cloud.ys)).map(|v| 1.05 * v.abs());
            let furthest = tips.chain(dots).fold(0.0, f64::max).min(f64::MAX / 8.0);
            if furthest > 0.0 { furthest } else { 1.0 }
        });
        View::new(font, reach, size)
    }

    pub(super) fn ticks(&self, font: &Font, size: (f64, f64)) -> Margins {
        if !self.axes {
            return Margins::default();
        }
        self.view(font, size).margins(font)
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<impl DrawingBackend>, slot: Slot) -> Result<()> {
        let plot = slot.plot;
        let view = self.view(&canvas.font, (plot.width(), plot.height()));
        let origin = ((plot.left + plot.right) / 2.0, (plot.top + plot.bottom) / 2.0);
        let at = |point: (f64, f64)| {
            let (right, down) = view.place(point);
            (origin.0 + right, origin.1 + down)
        };

        if self.axes {
            view.draw(canvas, plot)?;
        }
        if self.polygon {
            let hull: Vec<Point> = self.corners().into_iter().map(|k| at(self.tips[k])).collect();
            canvas.polygon(&plot.clip_polygon(&hull), LINE, 0.13)?;
            for (from, to) in hull.iter().zip(hull.iter().cycle().skip(1)) {
                if let Some((from, to)) = plot.clip(*from, *to) {
                    canvas.stroke(&[from, to], px(1.2), LINE)?;
                }
            }
        }
        for (from, to, color) in &self.edges {
            canvas.stroke(&[at(self.tips[*from]), at(self.tips[*to])], px(1.4), color.rgb())?;
        }
        for cloud in &self.clouds {
            let color = colors::mix(cloud.color.rgb(), WHITE, 0.35);
            for point in cloud.xs.iter().zip(&cloud.ys).map(|(x, y)| at((*x, *y))) {
                if plot.contains(point) {
                    canvas.stroke(&[point], px(DOT), color)?;
                }
            }
        }
        let hue = |k: usize| self.colors.as_ref().map_or_else(|| Color::hue(k, self.tips.len()), |colors| colors[k]);
        for (k, tip) in self.tips.iter().enumerate() {
            draw_arrow(canvas, plot, origin, at(*tip), hue(k).rgb())?;
        }
        let labels = self.tips.iter().enumerate().map(|(k, tip)| (at(*tip), self.labels.text(k)));
        draw_labels(canvas, plot, origin, labels)?;
        let ticks = self.ticks(&canvas.font, (plot.width(), plot.height()));
        self.captions.draw(canvas, plot, ticks, slot.outer)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axes_reach_beyond_the_longest_arrow() {
        let font = Font::load().unwrap();
        let unit = |plane: &Plane| plane.view(&font, (600.0, 400.0)).unit;
        let plane = Plane::new(&[1.0, 0.0], &[0.0, -2.0]).unwrap();
        assert!((unit(&plane) - 200.0 / (2.0 * ROOM)).abs() < 1e-9, "{}", unit(&plane));
        assert_eq!(unit(&plane.reach(4.0)), 50.0);
        assert_eq!(unit(&Plane::new(&[0.0], &[0.0]).unwrap()), 200.0, "nothing to fit: one unit");
    }
}
