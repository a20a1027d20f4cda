//! Curves over a common horizontal axis, with horizontal baselines and a legend.

use super::axes::{Axes, Below, Scale};
use plotters::backend::DrawingBackend;

use super::canvas::Canvas;
use super::captions::{Captions, caption_setters};
use super::colors::{Color, Rgb};
use super::font::Font;
use super::geometry::{Point, Rect, px};
use super::legend::{Entry, Legend, Mark, Settled};
use super::range;
use super::space::{Margins, Slot};
use crate::error::{Error, Result};

/// Curves and dots, each with a name for the legend, and horizontal baselines.
///
/// A value that is NaN or infinite (on a logarithmic axis also one that is not above 0) leaves a gap. Curves of a few
/// points have a dot at each. Of long ones, every pixel column shows the whole span of the values in it.
///
/// Settings are checked when the figure is drawn.
#[derive(Clone, Default, PartialEq)]
pub struct LinePlot {
    series: Vec<Series>,
    baselines: Vec<Baseline>,
    captions: Captions,
    y_range: Option<(f64, f64)>,
    log_y: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Series {
    name: String,
    /// None: 0, 1, 2 …
    xs: Option<Vec<f64>>,
    ys: Vec<f64>,
    color: Option<Color>,
    /// Dots that no line joins.
    dots: bool,
}

/// A series as it is drawn.
struct Drawn {
    pieces: Vec<Vec<Point>>,
    dots: Vec<Point>,
    /// Width of its line.
    width: f64,
}

impl Series {
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

impl LinePlot {
    /// A plot without curves.
    pub fn new() -> Self {
        Self::default()
    }

    caption_setters!();

    /// Adds a curve through `(0, ys[0])`, `(1, ys[1])` … An empty name keeps it out of the legend.
    pub fn line(mut self, name: impl ToString, ys: &[f64]) -> Self {
        self.series.push(Series { name: name.to_string(), xs: None, ys: ys.to_vec(), color: None, dots: false });
        self
    }

    /// Adds dots at `(0, ys[0])`, `(1, ys[1])` …, which no line joins: for values whose order means nothing.
    pub fn dots(mut self, name: impl ToString, ys: &[f64]) -> Self {
        self.series.push(Series { name: name.to_string(), xs: None, ys: ys.to_vec(), color: None, dots: true });
        self
    }

    /// Adds dots at `(xs[0], ys[0])`, `(xs[1], ys[1])` …
    pub fn dots_xy(mut self, name: impl ToString, xs: &[f64], ys: &[f64]) -> Self {
        let xs = Some(xs.to_vec());
        self.series.push(Series { name: name.to_string(), xs, ys: ys.to_vec(), color: None, dots: true });
        self
    }

    /// Adds a curve through `(xs[0], ys[0])`, `(xs[1], ys[1])` …
    pub fn line_xy(mut self, name: impl ToString, xs: &[f64], ys: &[f64]) -> Self {
        self.series.push(Series {
            name: name.to_string(),
            xs: Some(xs.to_vec()),
            ys: ys.to_vec(),
            color: None,
            dots: false,
        });
        self
    }

    /// Colour of the curve added last.
    pub fn color(mut self, color: Color) -> Self {
        if let Some(series) = self.series.last_mut() {
            series.color = Some(color);
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

    /// Makes the vertical axis logarithmic.
    pub fn log_y(mut self) -> Self {
        self.log_y = true;
        self
    }

    pub(super) fn captions(&self) -> &Captions {
        &self.captions
    }

    pub(super) fn check(&self) -> Result<()> {
        for series in &self.series {
            let named = |what: String| match series.name.as_str() {
                "" => what,
                name => format!("{what} in {name:?}"),
            };
            if let Some(xs) = &series.xs {
                if xs.len() != series.ys.len() {
                    let expected = format!("there must be as many as `ys`, {}", series.ys.len());
                    return Err(Error::argument("xs", named(format!("{} values", xs.len())), expected));
                }
                if let Some(x) = xs.iter().find(|x| !x.is_finite()) {
                    return Err(Error::argument("xs", named(x.to_string()), "every x must be a finite number"));
                }
            }
            if !series.ys.iter().any(|&y| self.usable(y)) {
                let value = named(format!("{} values", series.ys.len()));
                return Err(Error::argument("ys", value, format!("it must hold at least one {}", self.wanted())));
            }
        }
        if self.series.is_empty() {
            return Err(Error::argument("series", "empty", "a line plot needs at least one curve"));
        }
        for baseline in &self.baselines {
            if !self.usable(baseline.y) {
                let expected = format!("a baseline needs a {}", self.wanted());
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

    fn usable(&self, y: f64) -> bool {
        y.is_finite() && (!self.log_y || y > 0.0)
    }

    fn wanted(&self) -> &'static str {
        if self.log_y { "finite number above 0 (the axis is logarithmic)" } else { "finite number" }
    }

    fn x_scale(&self) -> Scale {
        let xs = self.series.iter().flat_map(Series::all_x);
        Scale::around(xs, 0.02, false)
    }

    fn axes(&self, font: &Font, width: f64) -> Axes {
        let whole = self.series.iter().flat_map(Series::all_x).all(|x| x.fract() == 0.0);
        let finest = if whole { 1.0 } else { 0.0 };
        let ys = || self.series.iter().flat_map(|s| &s.ys).copied();
        let y = match self.y_range {
            Some(range) => Scale::new(range, self.log_y),
            None => Scale::around(ys().chain(self.baselines.iter().map(|b| b.y)), 0.05, self.log_y),
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

    /// Every series as lines and dots inside the plot.
    fn drawn(&self, plot: Rect, axes: &Axes) -> Vec<Drawn> {
        let x = self.x_scale();
        let at = |x_value: f64, y: f64| -> Option<Point> {
            let place = |scale: &Scale, value: f64| scale.place(value).clamp(-FAR, FAR);
            let (across, up) = (place(&x, x_value), place(&axes.y, y));
            self.usable(y).then_some((plot.left + across * plot.width(), plot.bottom - up * plot.height()))
        };
        let draw = |series: &Series| {
            let points: Vec<Option<Point>> = (0..series.ys.len()).map(|k| at(series.x(k), series.ys[k])).collect();
            let dense = series.ys.len() as f64 > 2.0 * plot.width();
            let points = if dense && !series.dots { spans(&points) } else { points };
            let pieces = if series.dots { vec![] } else { pieces(&points, plot) };
            let dotted = series.dots || series.ys.len() <= DOTTED;
            let dots = points.into_iter().flatten().filter(|p| dotted && plot.contains(*p)).collect();
            Drawn { pieces, dots, width: if dense { px(1.0) } else { px(1.6) } }
        };
        self.series.iter().map(draw).collect()
    }

    fn legend(&self, font: &Font, plot: Rect, axes: &Axes, drawn: &[Drawn]) -> Settled {
        let curve = |(series, color): (&Series, Rgb)| {
            let mark = if series.dots { Mark::Dots } else { Mark::Line };
            Entry { name: series.name.clone(), color, mark }
        };
        let mut entries: Vec<Entry> = self.series.iter().zip(self.colors()).map(curve).collect();
        let mut hidden: Vec<Vec<Point>> = Vec::new();
        for series in drawn {
            hidden.extend(series.pieces.iter().cloned());
            hidden.extend(series.dots.iter().map(|dot| vec![*dot]));
        }
        for baseline in &self.baselines {
            let y = axes.y_pixel(baseline.y, plot);
            if (plot.top..=plot.bottom).contains(&y) {
                hidden.push(vec![(plot.left, y), (plot.right, y)]);
            }
            entries.push(Entry { name: baseline.name.clone(), color: baseline.color.rgb(), mark: Mark::Dashes });
        }
        Legend::new(font, entries, plot).settle(plot, &hidden)
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<impl DrawingBackend>, slot: Slot) -> Result<()> {
        let plot = slot.plot;
        let axes = self.axes(&canvas.font, plot.width());
        axes.draw_grid(canvas, plot)?;
        let drawn = self.drawn(plot, &axes);
        for ((series, drawn), color) in self.series.iter().zip(&drawn).zip(self.colors()) {
            for piece in &drawn.pieces {
                // a single point between gaps is a dot
                canvas.stroke(piece, if piece.len() == 1 { 2.0 * drawn.width } else { drawn.width }, color)?;
            }
            let dot = if series.dots && series.ys.len() > DOTTED { px(4.0) } else { px(5.5) };
            for point in &drawn.dots {
                canvas.stroke(&[*point], dot, color)?;
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

/// Of the points of each pixel column the first, the lowest, the highest and the last, in their order; points
/// that do not go from left to right are left as they are.
fn spans(points: &[Option<Point>]) -> Vec<Option<Point>> {
    let mut known = points.iter().flatten();
    let mut previous = known.next().map_or(0.0, |p| p.0);
    if !known.all(|p| std::mem::replace(&mut previous, p.0) <= p.0) {
        return points.to_vec();
    }
    let mut kept = Vec::new();
    let column = |p: &Option<Point>| p.map(|p| p.0.floor());
    for group in points.chunk_by(|a, b| column(a) == column(b)) {
        // a run of gaps is one gap
        let height = |k: &usize| group[*k].map_or(0.0, |p| p.1);
        let order = |a: &usize, b: &usize| height(a).total_cmp(&height(b));
        let (low, high) = ((0..group.len()).min_by(order), (0..group.len()).max_by(order));
        let mut picked = [Some(0), low, high, Some(group.len() - 1)].map(|k| k.unwrap_or(0)).to_vec();
        picked.sort_unstable();
        picked.dedup();
        kept.extend(picked.into_iter().map(|k| group[k]));
    }
    kept
}

/// The runs of points between gaps, cut off where they leave the plot.
fn pieces(points: &[Option<Point>], plot: Rect) -> Vec<Vec<Point>> {
    let mut pieces: Vec<Vec<Point>> = Vec::new();
    for run in points.split(Option::is_none) {
        let run: Vec<Point> = run.iter().flatten().copied().collect();
        if let [point] = run[..] {
            if plot.contains(point) {
                pieces.push(vec![point]);
            }
            continue;
        }
        let mut end = None;
        for pair in run.windows(2) {
            let Some((from, to)) = plot.clip(pair[0], pair[1]) else {
                end = None;
                continue;
            };
            match pieces.last_mut() {
                Some(piece) if end == Some(from) => piece.push(to),
                _ => pieces.push(vec![from, to]),
            }
            end = Some(to);
        }
    }
    pieces
}
