//! Curves, points with error bars and bands over a common horizontal axis, with horizontal baselines and a legend.

use plotters::backend::DrawingBackend;

use super::axes::{Axes, Below, Scale};
use super::canvas::Canvas;
use super::captions::{Captions, caption_setters};
use super::colors::{Color, Rgb};
use super::font::Font;
use super::geometry::{Point, Rect, px};
use super::legend::{Entry, Legend, Mark, Settled, Stroke};
use super::marker::Marker;
use super::range;
use super::space::{Margins, Slot};
use super::trace::{Bar, areas, dashes, pieces, rises, spans};
use crate::error::{Error, Result};

/// Curves, points and bands, each with a name for the legend, and horizontal baselines.
///
/// A value that is NaN or infinite (on a logarithmic axis also one that is not above 0) leaves a gap. Curves of a few
/// points have a dot at each. Of long ones, every pixel column shows the whole span of the values in it.
///
/// [`color`](Self::color), [`marker`](Self::marker), [`error_bars`](Self::error_bars) and [`dashed`](Self::dashed) are about what was added
/// last:
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// let (heads, accuracy, error) = ([1.0, 2.0, 4.0, 8.0], [0.11, 0.20, 0.42, 0.79], [0.01, 0.02, 0.02, 0.03]);
/// let plot = LinePlot::new().log_x().log_y().x_label("H").y_label("Accuracy");
/// let plot = plot.dots_xy("ours", &heads, &accuracy).error_bars(&error);
/// let plot = plot.dots_xy("published", &[2.0, 8.0], &[0.21, 0.77]).marker(Marker::Ring).color(Color::Black);
/// let plot = plot.line_xy("bound", &[1.0, 8.0], &[0.13, 1.0]).dashed().color(Color::Grey);
/// assert!(plot.figure().to_svg()?.contains("published"));
/// # Ok(()) }
/// ```
///
/// Settings are checked when the figure is drawn.
#[derive(Clone, Default, PartialEq)]
pub struct LinePlot {
    series: Vec<Series>,
    baselines: Vec<Baseline>,
    captions: Captions,
    y_range: Option<(f64, f64)>,
    log_x: bool,
    log_y: bool,
    /// What was set where the last series has no such thing, or there was none.
    misplaced: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq)]
struct Series {
    name: String,
    /// None: 0, 1, 2 …
    xs: Option<Vec<f64>>,
    ys: Vec<f64>,
    kind: Kind,
    color: Option<Color>,
    marker: Option<Marker>,
    /// How far error bars reach from `ys` to both sides.
    errors: Option<Vec<f64>>,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Line(Stroke),
    /// Markers that no line joins.
    Dots,
    /// The area between `ys` and these.
    Band(Vec<f64>),
}

/// A series as it is drawn.
#[derive(Default)]
struct Drawn {
    pieces: Vec<Vec<Point>>,
    dots: Vec<Point>,
    bars: Vec<Bar>,
    areas: Vec<Vec<Point>>,
    /// Width of its line.
    width: f64,
}

impl Series {
    fn new(name: impl ToString, xs: Option<&[f64]>, ys: &[f64], kind: Kind) -> Self {
        let (name, xs, ys) = (name.to_string(), xs.map(<[f64]>::to_vec), ys.to_vec());
        Self { name, xs, ys, kind, color: None, marker: None, errors: None }
    }

    fn has_points(&self) -> bool {
        !matches!(self.kind, Kind::Band(_))
    }

    fn x(&self, k: usize) -> f64 {
        self.xs.as_ref().map_or(k as f64, |xs| xs[k])
    }

    fn all_x(&self) -> impl Iterator<Item = f64> {
        (0..self.ys.len()).map(|k| self.x(k))
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Baseline {
    name: String,
    y: f64,
    color: Color,
}

/// Points further outside than so many times the plot's size are drawn towards there: pixels are no such large numbers.
const FAR: f64 = 1e6;
/// Curves of at most so many points get dots.
const DOTTED: usize = 25;
/// How far below its point an error bar still counts for a logarithmic axis.
const DECADE: f64 = 0.1;
/// How strong the colour of a band is, from 0 to 1.
const BAND: f64 = 0.2;
/// Lengths of a dashed curve's dashes and of what is free between them, in CSS pixels, from middle to middle of their round ends.
const DASHES: (f64, f64) = (4.8, 4.4);

impl LinePlot {
    /// A plot without curves.
    pub fn new() -> Self {
        Self::default()
    }

    caption_setters!();

    /// Adds a curve through `(0, ys[0])`, `(1, ys[1])` … An empty name keeps it out of the legend.
    pub fn line(self, name: impl ToString, ys: &[f64]) -> Self {
        self.with(Series::new(name, None, ys, Kind::Line(Stroke::Whole)))
    }

    /// Adds dots at `(0, ys[0])`, `(1, ys[1])` …, which no line joins: for values whose order means nothing.
    pub fn dots(self, name: impl ToString, ys: &[f64]) -> Self {
        self.with(Series::new(name, None, ys, Kind::Dots))
    }

    /// Adds dots at `(xs[0], ys[0])`, `(xs[1], ys[1])` …
    pub fn dots_xy(self, name: impl ToString, xs: &[f64], ys: &[f64]) -> Self {
        self.with(Series::new(name, Some(xs), ys, Kind::Dots))
    }

    /// Adds a curve through `(xs[0], ys[0])`, `(xs[1], ys[1])` …
    pub fn line_xy(self, name: impl ToString, xs: &[f64], ys: &[f64]) -> Self {
        self.with(Series::new(name, Some(xs), ys, Kind::Line(Stroke::Whole)))
    }

    /// Adds a shaded area between `lows` and `highs` over rising `xs`, below all curves: a confidence band. On a logarithmic axis a low end
    /// that is not above 0 is at the bottom.
    pub fn band(self, name: impl ToString, xs: &[f64], lows: &[f64], highs: &[f64]) -> Self {
        self.with(Series::new(name, Some(xs), highs, Kind::Band(lows.to_vec())))
    }

    fn with(mut self, series: Series) -> Self {
        self.series.push(series);
        self
    }

    /// Colour of the curve, points or band added last.
    pub fn color(mut self, color: Color) -> Self {
        if let Some(series) = self.series.last_mut() {
            series.color = Some(color);
        }
        self
    }

    /// What stands at each point of the curve or points added last.
    pub fn marker(self, marker: Marker) -> Self {
        self.of_last("marker", |series| {
            series.marker = Some(marker);
            series.has_points()
        })
    }

    /// Vertical error bars of the curve or points added last, from `ys[k] − errors[k]` to `ys[k] + errors[k]`. NaN and infinity give none.
    /// What of a bar lies outside the axes is cut off: a logarithmic axis goes on for no more than a decade below a point for the sake of
    /// its bar.
    pub fn error_bars(self, errors: &[f64]) -> Self {
        self.of_last("errors", |series| {
            series.errors = Some(errors.to_vec());
            series.has_points()
        })
    }

    /// Makes the curve added last a dashed one.
    pub fn dashed(self) -> Self {
        self.of_last("dashed", |series| match &mut series.kind {
            Kind::Line(stroke) => {
                *stroke = Stroke::Dashed;
                true
            }
            Kind::Dots | Kind::Band(_) => false,
        })
    }

    /// `set` says whether what was added last has what it sets.
    fn of_last(mut self, what: &'static str, set: impl FnOnce(&mut Series) -> bool) -> Self {
        if !self.series.last_mut().is_some_and(set) {
            self.misplaced = Some(what);
        }
        self
    }

    /// Adds a dashed horizontal line at `y`.
    pub fn hline(mut self, name: impl ToString, y: f64, color: Color) -> Self {
        self.baselines.push(Baseline { name: name.to_string(), y, color });
        self
    }

    /// Ends of the vertical axis.
    pub fn y_range(mut self, lo: f64, hi: f64) -> Self {
        self.y_range = Some((lo, hi));
        self
    }

    /// Makes the horizontal axis logarithmic.
    pub fn log_x(mut self) -> Self {
        self.log_x = true;
        self
    }

    /// Makes the vertical axis logarithmic.
    pub fn log_y(mut self) -> Self {
        self.log_y = true;
        self
    }

    pub(super) fn captions(&self) -> &Captions {
        &self.captions
    }

    pub(super) fn check(&self) -> Result<()> {
        if let Some(what) = self.misplaced {
            let expected = "it is set right behind the curve (or, but for dashes, the points) that it is of";
            return Err(Error::argument(what, "set where nothing has it", expected));
        }
        for series in &self.series {
            self.check_series(series)?;
        }
        if self.series.is_empty() {
            return Err(Error::argument("series", "empty", "a line plot needs at least one curve"));
        }
        for baseline in &self.baselines {
            if !usable(baseline.y, self.log_y) {
                let expected = format!("a baseline needs a {}", wanted(self.log_y));
                return Err(Error::argument("y", format!("{} in {:?}", baseline.y, baseline.name), expected));
            }
        }
        let Some(range) = self.y_range else { return Ok(()) };
        range::check("y_range", range)?;
        if self.log_y && range.0 <= 0.0 {
            let expected = "a logarithmic axis begins above 0";
            return Err(Error::argument("y_range", format!("({}, {})", range.0, range.1), expected));
        }
        Ok(())
    }

    fn check_series(&self, series: &Series) -> Result<()> {
        let named = |what: String| match series.name.as_str() {
            "" => what,
            name => format!("{what} in {name:?}"),
        };
        let count = series.ys.len();
        let band = !series.has_points();
        let ys = if band { "highs" } else { "ys" };
        let same_number = |argument, list: &[f64]| match list.len() == count {
            true => Ok(()),
            false => {
                let expected = format!("there must be as many as `{ys}`, {count}");
                Err(Error::argument(argument, named(format!("{} values", list.len())), expected))
            }
        };
        if let Some(xs) = &series.xs {
            same_number("xs", xs)?;
            if let Some(x) = xs.iter().find(|x| !x.is_finite()) {
                return Err(Error::argument("xs", named(x.to_string()), "every x must be a finite number"));
            }
            if band && !rises(xs.iter().copied()) {
                return Err(Error::argument("xs", named("not in order".to_owned()), "those of a band must rise"));
            }
        }
        if !series.ys.iter().any(|&y| usable(y, self.log_y)) {
            let value = named(format!("{count} values"));
            return Err(Error::argument(ys, value, format!("it must hold at least one {}", wanted(self.log_y))));
        }
        if !(0..count).any(|k| usable(series.x(k), self.log_x) && usable(series.ys[k], self.log_y)) {
            let value = named(format!("{count} values"));
            let expected = format!("it must hold at least one {} that has a y", wanted(self.log_x));
            return Err(Error::argument("xs", value, expected));
        }
        if let Kind::Band(lows) = &series.kind {
            same_number("lows", lows)?;
            if !(0..count).any(|k| self.ends(series, lows, k).is_some()) {
                let expected = "it must hold at least one finite number beside one of `highs`";
                return Err(Error::argument("lows", named(format!("{count} values")), expected));
            }
        }
        if let Some(errors) = &series.errors {
            same_number("errors", errors)?;
            if let Some(error) = errors.iter().find(|error| **error < 0.0) {
                return Err(Error::argument("errors", named(error.to_string()), "no error is below 0"));
            }
        }
        Ok(())
    }

    /// The ends of a band at its place `k`, the lower first; None where it has a gap.
    fn ends(&self, series: &Series, lows: &[f64], k: usize) -> Option<(f64, f64)> {
        let (low, high) = (lows[k].min(series.ys[k]), lows[k].max(series.ys[k]));
        let both = lows[k].is_finite() && series.ys[k].is_finite();
        (both && usable(high, self.log_y) && usable(series.x(k), self.log_x)).then_some((low, high))
    }

    /// All heights that the vertical axis should show.
    fn heights(&self, series: &Series) -> Vec<f64> {
        let placed = (0..series.ys.len()).filter(|&k| usable(series.x(k), self.log_x));
        match (&series.kind, &series.errors) {
            (Kind::Band(lows), _) => {
                placed.filter_map(|k| self.ends(series, lows, k)).flat_map(|(low, high)| [low, high]).collect()
            }
            (_, None) => placed.map(|k| series.ys[k]).collect(),
            (_, Some(errors)) => {
                let ends = |k: usize| {
                    let (y, error) = (series.ys[k], errors[k]);
                    let low = if self.log_y { (y - error).max(y * DECADE) } else { y - error };
                    [y, low, y + error]
                };
                placed.filter(|&k| usable(series.ys[k], self.log_y)).flat_map(ends).collect()
            }
        }
    }

    fn x_scale(&self) -> Scale {
        let xs = self.series.iter().flat_map(Series::all_x);
        Scale::around(xs, 0.02, self.log_x)
    }

    fn axes(&self, font: &Font, width: f64) -> Axes {
        let whole = self.series.iter().flat_map(Series::all_x).all(|x| x.fract() == 0.0);
        let finest = if whole { 1.0 } else { 0.0 };
        let ys = self.series.iter().flat_map(|series| self.heights(series));
        let y = match self.y_range {
            Some(range) => Scale::new(range, self.log_y),
            None => Scale::around(ys.chain(self.baselines.iter().map(|b| b.y)), 0.05, self.log_y),
        };
        Axes { y, below: Below::numbers(font, &self.x_scale(), width, finest) }
    }

    /// The colours of the curves: their own, else the first of the palette that nothing else has.
    fn colors(&self) -> Vec<Rgb> {
        let own = self.series.iter().filter_map(|s| s.color).chain(self.baselines.iter().map(|b| b.color));
        let taken: Vec<Rgb> = own.map(Color::rgb).collect();
        let free: Vec<Rgb> = Color::PALETTE.iter().map(|c| c.rgb()).filter(|c| !taken.contains(c)).collect();
        let palette = if free.is_empty() { Color::PALETTE.map(Color::rgb).to_vec() } else { free };
        let mut next = palette.iter().copied().cycle();
        let mut color = |series: &Series| series.color.map(Color::rgb).or_else(|| next.next()).unwrap_or_default();
        self.series.iter().map(&mut color).collect()
    }

    pub(super) fn ticks(&self, font: &Font, size: (f64, f64)) -> Margins {
        let axes = self.axes(font, size.0);
        let plot = Rect { left: 0.0, top: 0.0, right: size.0, bottom: size.1 };
        let above = self.legend(font, plot, &axes, &self.drawn(plot, &axes)).above;
        let margins = axes.margins(font, size);
        Margins { top: margins.top.max(above), ..margins }
    }

    /// Every series as what is seen of it inside the plot.
    fn drawn(&self, plot: Rect, axes: &Axes) -> Vec<Drawn> {
        let x_scale = self.x_scale();
        let place = |scale: &Scale, value: f64| scale.place(value).clamp(-FAR, FAR);
        let across = |x: f64| plot.left + place(&x_scale, x) * plot.width();
        // what a logarithmic axis has no place for is far below
        let up = |y: f64| match usable(y, self.log_y) {
            true => plot.bottom - place(&axes.y, y) * plot.height(),
            false => plot.bottom + FAR * plot.height(),
        };
        let draw = |series: &Series| {
            let count = series.ys.len();
            let x_of = |k: usize| Some(series.x(k)).filter(|x| usable(*x, self.log_x)).map(across);
            if let Kind::Band(lows) = &series.kind {
                let ends = |k| Some((x_of(k)?, self.ends(series, lows, k)?));
                let band: Vec<_> = (0..count).map(|k| ends(k).map(|(x, (low, high))| (x, up(high), up(low)))).collect();
                return Drawn { areas: areas(&band, plot), ..Drawn::default() };
            }
            let point = |k: usize| Some((x_of(k)?, up(Some(series.ys[k]).filter(|y| usable(*y, self.log_y))?)));
            let points: Vec<Option<Point>> = (0..count).map(point).collect();
            let error = |k: usize| series.errors.as_ref().map(|errors| errors[k]).filter(|error| error.is_finite());
            let bar = |k: usize| {
                let ((x, _), error) = (points[k]?, error(k)?);
                let (top, bottom) = ((series.ys[k] + error).min(f64::MAX), (series.ys[k] - error).max(f64::MIN));
                Bar::inside(plot, x, up(top), up(bottom))
            };
            let bars = (0..count).filter_map(bar).collect();
            let dots = series.kind == Kind::Dots;
            let dense = count as f64 > 2.0 * plot.width();
            let points = if dense && !dots { spans(&points) } else { points };
            let pieces = if dots { vec![] } else { pieces(&points, plot) };
            let dotted = dots || series.marker.is_some() || count <= DOTTED && series.kind == Kind::Line(Stroke::Whole);
            let dots = points.into_iter().flatten().filter(|p| dotted && plot.contains(*p)).collect();
            Drawn { pieces, dots, bars, areas: vec![], width: if dense { px(1.0) } else { px(1.6) } }
        };
        self.series.iter().map(draw).collect()
    }

    fn legend(&self, font: &Font, plot: Rect, axes: &Axes, drawn: &[Drawn]) -> Settled {
        let curve = |(series, color): (&Series, Rgb)| {
            let (stroke, marker) = match series.kind {
                Kind::Line(stroke) => (Some(stroke), series.marker),
                Kind::Dots => (None, Some(series.marker.unwrap_or(Marker::Dot))),
                Kind::Band(_) => (None, None),
            };
            let area = if let Kind::Band(_) = series.kind { BAND } else { 0.0 };
            let mark = Mark { stroke, marker, bar: series.errors.is_some(), area };
            Entry { name: series.name.clone(), color, mark }
        };
        let mut entries: Vec<Entry> = self.series.iter().zip(self.colors()).map(curve).collect();
        let mut hidden: Vec<Vec<Point>> = Vec::new();
        for series in drawn {
            hidden.extend(series.pieces.iter().cloned());
            hidden.extend(series.dots.iter().map(|dot| vec![*dot]));
            hidden.extend(series.bars.iter().map(|bar| vec![(bar.x, bar.top), (bar.x, bar.bottom)]));
            hidden.extend(series.areas.iter().cloned());
        }
        for baseline in &self.baselines {
            let y = axes.y_pixel(baseline.y, plot);
            if (plot.top..=plot.bottom).contains(&y) {
                hidden.push(vec![(plot.left, y), (plot.right, y)]);
            }
            entries.push(Entry { name: baseline.name.clone(), color: baseline.color.rgb(), mark: Mark::DASHES });
        }
        Legend::new(font, entries, plot).settle(plot, &hidden)
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<impl DrawingBackend>, slot: Slot) -> Result<()> {
        let plot = slot.plot;
        let axes = self.axes(&canvas.font, plot.width());
        axes.draw_grid(canvas, plot)?;
        let drawn = self.drawn(plot, &axes);
        let all = || self.series.iter().zip(&drawn).zip(self.colors());
        for ((_, drawn), color) in all() {
            for area in &drawn.areas {
                canvas.polygon(area, color, BAND)?;
            }
        }
        for ((series, drawn), color) in all() {
            for bar in &drawn.bars {
                bar.draw(canvas, color)?;
            }
            for piece in &drawn.pieces {
                match piece.len() {
                    // a single point between gaps is a dot
                    1 => canvas.stroke(piece, 2.0 * drawn.width, color)?,
                    _ if series.kind == Kind::Line(Stroke::Dashed) => {
                        for dash in dashes(piece, px(DASHES.0), px(DASHES.1)) {
                            canvas.stroke(&dash, drawn.width, color)?;
                        }
                    }
                    _ => canvas.stroke(piece, drawn.width, color)?,
                }
            }
            let many = series.kind == Kind::Dots && series.ys.len() > DOTTED;
            for point in &drawn.dots {
                let marker = series.marker.unwrap_or(Marker::Dot);
                marker.draw(canvas, *point, if many { px(4.0) } else { px(5.5) }, color)?;
            }
        }
        for baseline in &self.baselines {
            let y = axes.y_pixel(baseline.y, plot);
            if (plot.top..=plot.bottom).contains(&y) {
                canvas.dashes((plot.left, plot.right), y, baseline.color.rgb())?;
            }
        }
        axes.draw(canvas, plot)?;
        self.legend(&canvas.font, plot, &axes, &drawn).draw(canvas)?;
        let ticks = self.ticks(&canvas.font, (plot.width(), plot.height()));
        self.captions.draw(canvas, plot, ticks, slot.outer)
    }
}

/// Whether an axis has a place for a value.
fn usable(value: f64, log: bool) -> bool {
    value.is_finite() && (!log || value > 0.0)
}

fn wanted(log: bool) -> &'static str {
    if log { "finite number above 0 (the axis is logarithmic)" } else { "finite number" }
}
