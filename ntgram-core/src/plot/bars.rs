//! Bars above and below zero.

use super::axes::{Axes, Below, Scale};
use plotters::backend::DrawingBackend;

use super::canvas::Canvas;
use super::captions::{Captions, caption_setters};
use super::colors::{AXIS, Color};
use super::font::Font;
use super::geometry::{Rect, px};
use super::labels::Labels;
use super::range;
use super::space::{Margins, Slot};
use crate::error::{Error, Result};

/// One bar for each value, from a line at zero. A value that is NaN or infinite has no bar.
///
/// Settings are checked when the figure is drawn.
#[derive(Clone, PartialEq)]
pub struct BarChart {
    values: Vec<f64>,
    captions: Captions,
    labels: Labels,
    positive: Color,
    negative: Color,
    y_range: Option<(f64, f64)>,
}

impl BarChart {
    /// A bar chart of these values, labelled with their indices.
    ///
    /// # Errors
    /// No values, or none that is a finite number.
    pub fn new(values: &[f64]) -> Result<Self> {
        if !values.iter().any(|v| v.is_finite()) {
            let expected = "it must hold at least one finite number";
            return Err(Error::argument("values", format!("{} values", values.len()), expected));
        }
        Ok(Self {
            values: values.to_vec(),
            captions: Captions::default(),
            labels: Labels::default(),
            positive: Color::Blue,
            negative: Color::Blue,
            y_range: None,
        })
    }

    caption_setters!();

    /// Labels of all bars: texts or numbers.
    pub fn labels(mut self, labels: impl IntoIterator<Item = impl ToString>) -> Self {
        self.labels.set(labels);
        self
    }

    /// Label of one bar, in place of its index. Where labels are too close, this one stays.
    pub fn label(mut self, bar: usize, label: impl ToString) -> Self {
        self.labels.mark(bar, label);
        self
    }

    /// With the largest bar first, and no labels: their indices would mean nothing.
    pub fn sorted(mut self) -> Self {
        self.values.sort_by(|a, b| b.total_cmp(a));
        self.labels.set(vec![""; self.values.len()]);
        self
    }

    /// Colour of all bars.
    pub fn color(self, color: Color) -> Self {
        self.sign_colors(color, color)
    }

    /// Colours of the bars above and below zero.
    pub fn sign_colors(mut self, positive: Color, negative: Color) -> Self {
        (self.positive, self.negative) = (positive, negative);
        self
    }

    /// Ends of the vertical axis.
    pub fn y_range(mut self, lo: f64, hi: f64) -> Self {
        self.y_range = Some((lo, hi));
        self
    }

    pub(super) fn captions(&self) -> &Captions {
        &self.captions
    }

    pub(super) fn check(&self) -> Result<()> {
        self.labels.check("labels", self.values.len())?;
        self.y_range.map_or(Ok(()), |range| range::check("y_range", range))
    }

    fn axes(&self, font: &Font, width: f64) -> Axes {
        let count = self.values.len();
        let below = Below::steps(self.labels.along(font, count, width / count as f64), count);
        let with_zero = || self.values.iter().copied().chain([0.0]);
        let y = match self.y_range {
            Some(range) => Scale::new(range, false),
            // bars end at the line at zero where all have one sign
            None => {
                let free = Scale::around(with_zero(), 0.05, false);
                let sign = |s: f64| with_zero().any(|v| v.is_finite() && v * s > 0.0);
                match (sign(-1.0), sign(1.0)) {
                    (false, true) => free.above_zero(),
                    (true, false) => free.below_zero(),
                    _ => free,
                }
            }
        };
        Axes { y, below }
    }

    pub(super) fn ticks(&self, font: &Font, size: (f64, f64)) -> Margins {
        self.axes(font, size.0).margins(font, size)
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<impl DrawingBackend>, slot: Slot) -> Result<()> {
        let plot = slot.plot;
        let axes = self.axes(&canvas.font, plot.width());
        axes.draw_grid(canvas, plot)?;
        let inside = |value: f64| axes.y_pixel(value, plot).clamp(plot.top, plot.bottom).round();
        let pitch = plot.width() / self.values.len() as f64;
        for (k, &value) in self.values.iter().enumerate().filter(|(_, v)| v.is_finite()) {
            // all bars equally wide, and at least one pixel
            let width = (0.8 * pitch).round().max(1.0);
            let left = (plot.left + (k as f64 + 0.5) * pitch - width / 2.0).round();
            let color = if value >= 0.0 { self.positive } else { self.negative };
            let (zero, end) = (inside(0.0), inside(value));
            let bar = Rect { left, right: left + width, top: zero.min(end), bottom: zero.max(end) };
            canvas.fill(bar, color.rgb())?;
        }
        let zero = axes.y.place(0.0);
        if zero > 0.0 && zero < 1.0 {
            let y = inside(0.0);
            canvas.fill(Rect { top: y - px(0.5), bottom: y + px(0.5), ..plot }, AXIS)?;
        }
        axes.draw(canvas, plot)?;
        let ticks = self.ticks(&canvas.font, (plot.width(), plot.height()));
        self.captions.draw(canvas, plot, ticks, slot.outer)
    }
}
