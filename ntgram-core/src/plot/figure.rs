//! Panels laid out in a grid, drawn as PNG or SVG, shown or saved.

use std::path::Path;

use super::canvas::{Canvas, Rect, SCALE, px};
use super::colors::WHITE;
use super::font::Font;
use super::panel::{Captions, Margins, Slot, text_height, write_lines};
use super::{BarChart, Heatmap, LinePlot, Plane, png};
use crate::error::{Error, Result};
use crate::files::write_whole;

/// One plot of a [`Figure`].
#[derive(Clone, PartialEq)]
pub enum Panel {
    /// A matrix as coloured cells.
    Heatmap(Heatmap),
    /// Curves.
    Line(LinePlot),
    /// Bars.
    Bars(BarChart),
    /// Vectors in the plane.
    Plane(Plane),
}

/// Every plot can be a panel, and a figure of its own.
macro_rules! plots {
    ($($plot:ident => $panel:ident),*) => {$(
        impl From<$plot> for Panel {
            fn from(plot: $plot) -> Self {
                Self::$panel(plot)
            }
        }

        impl From<$plot> for Figure {
            fn from(plot: $plot) -> Self {
                plot.figure()
            }
        }
    )*};
}
plots!(Heatmap => Heatmap, LinePlot => Line, BarChart => Bars, Plane => Plane);

impl Panel {
    /// A figure of this panel alone.
    pub fn figure(self) -> Figure {
        Figure::new(self)
    }

    /// This panel without its title.
    pub(super) fn untitled(self) -> Self {
        match self {
            Panel::Heatmap(plot) => plot.title("").into(),
            Panel::Line(plot) => plot.title("").into(),
            Panel::Bars(plot) => plot.title("").into(),
            Panel::Plane(plot) => plot.title("").into(),
        }
    }

    pub(super) fn captions(&self) -> &Captions {
        match self {
            Panel::Heatmap(plot) => plot.captions(),
            Panel::Line(plot) => plot.captions(),
            Panel::Bars(plot) => plot.captions(),
            Panel::Plane(plot) => plot.captions(),
        }
    }

    fn check(&self) -> Result<()> {
        match self {
            Panel::Heatmap(plot) => plot.check(),
            Panel::Line(plot) => plot.check(),
            Panel::Bars(plot) => plot.check(),
            Panel::Plane(plot) => plot.check(),
        }
    }

    /// The plot's size, in device pixels, if the figure's is free; in a grid of `columns` columns.
    fn free_size(&self, font: &Font, columns: usize) -> (f64, f64) {
        match (self, columns) {
            (Panel::Heatmap(plot), _) => plot.free_size(font, columns),
            (Panel::Plane(plot), _) => plot.free_size(columns),
            (_, 1) => (px(580.0), px(340.0)),
            (_, 2) => (px(410.0), px(280.0)),
            (_, 3) => (px(200.0), px(165.0)),
            _ => (px(125.0), px(120.0)),
        }
    }

    /// Space that ticks need around a plot of this size, and all that ticks and captions need.
    fn margins(&self, font: &Font, size: (f64, f64), columns: usize) -> Margins {
        let ticks = match self {
            Panel::Heatmap(plot) => plot.ticks(font, size, columns),
            Panel::Line(plot) => plot.ticks(font, size),
            Panel::Bars(plot) => plot.ticks(font, size),
            Panel::Plane(plot) => plot.ticks(font, size),
        };
        self.captions().margins(font, size, ticks)
    }

    fn draw(&self, canvas: &mut Canvas, slot: Slot, columns: usize) -> Result<()> {
        match self {
            Panel::Heatmap(plot) => plot.draw(canvas, slot, columns),
            Panel::Line(plot) => plot.draw(canvas, slot),
            Panel::Bars(plot) => plot.draw(canvas, slot),
            Panel::Plane(plot) => plot.draw(canvas, slot),
        }
    }
}

/// A grid of panels, filled row by row, with an optional title over all of them.
///
/// Nothing is drawn until the figure is turned into PNG or SVG; that is also when the settings of its panels are checked.
/// PNG figures have two pixels for each CSS pixel.
///
/// ```
/// use ntgram_core::plot::{Color, Figure, Heatmap, LinePlot};
///
/// # fn main() -> ntgram_core::Result<()> {
/// let map = Heatmap::new(&[0.0, 0.5, 0.25, 1.0], 2, 2)?.range(0.0, 1.0).title("Attention");
/// let loss = LinePlot::new().line("trained", &[2.0, 1.2, 0.9]).hline("random", 2.3, Color::Red).y_label("Loss (nats)");
/// let figure = Figure::grid(2, vec![map.into(), loss.into()]);
/// assert!(figure.to_png()?.starts_with(b"\x89PNG"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq)]
pub struct Figure {
    panels: Vec<Panel>,
    columns: usize,
    title: String,
    size: Option<(u32, u32)>,
}

impl From<Panel> for Figure {
    fn from(panel: Panel) -> Self {
        Self::new(panel)
    }
}

/// Lengths in CSS pixels: around the figure, between panels, below the figure's title; and the title's size.
const AROUND: f64 = 10.0;
const BETWEEN: f64 = 18.0;
const TITLE_GAP: f64 = 14.0;
const TITLE_TEXT: f64 = 17.0;
/// Smallest side of a plot and largest area of a figure, in CSS pixels.
const SMALLEST: f64 = 30.0;
const LARGEST: f64 = 2e7;

/// A drawn figure: three bytes for each device pixel, from the top left.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bitmap {
    pub(super) pixels: Vec<u8>,
    pub(super) size: (u32, u32),
}

impl Bitmap {
    pub(super) fn to_png(&self) -> Result<Vec<u8>> {
        png::encode(&self.pixels, self.size)
    }

    /// With white to the right and below, so that it has this size (which is not smaller).
    pub(super) fn padded(self, size: (u32, u32)) -> Self {
        if size == self.size {
            return self;
        }
        let mut pixels = vec![255; 3 * size.0 as usize * size.1 as usize];
        let row = 3 * self.size.0 as usize;
        for (to, from) in pixels.chunks_exact_mut(3 * size.0 as usize).zip(self.pixels.chunks_exact(row)) {
            to[..row].copy_from_slice(from);
        }
        Self { pixels, size }
    }

    /// The part at `left`, `top` of this width and height.
    pub(super) fn cut(&self, [left, top, width, height]: [u32; 4]) -> Self {
        let rows = self.pixels.chunks_exact(3 * self.size.0 as usize).skip(top as usize).take(height as usize);
        let part = |row: &[u8]| row[3 * left as usize..3 * (left + width) as usize].to_vec();
        Self { pixels: rows.flat_map(part).collect(), size: (width, height) }
    }
}

/// Where everything goes, in device pixels.
struct Layout {
    size: (u32, u32),
    title: Vec<String>,
    slots: Vec<Slot>,
}

impl Figure {
    /// A figure of one panel.
    pub fn new(panel: Panel) -> Self {
        Self::grid(1, vec![panel])
    }

    /// A figure of these panels, `columns` side by side.
    pub fn grid(columns: usize, panels: Vec<Panel>) -> Self {
        Self { panels, columns, title: String::new(), size: None }
    }

    /// Title over all panels.
    pub fn title(mut self, title: &str) -> Self {
        self.title = title.to_owned();
        self
    }

    /// Width and height in CSS pixels; without, they follow from the panels.
    pub fn with_size(mut self, width: u32, height: u32) -> Self {
        self.size = Some((width, height));
        self
    }

    /// Width and height in CSS pixels, as [`to_png`](Self::to_png) and [`to_svg`](Self::to_svg) will draw it.
    ///
    /// # Errors
    /// As for [`to_png`](Self::to_png).
    pub fn size(&self) -> Result<(u32, u32)> {
        let (width, height) = self.layout(&Font::load()?)?.size;
        Ok((width / SCALE, height / SCALE))
    }

    /// The figure as a PNG file, two pixels for each CSS pixel.
    ///
    /// # Errors
    /// No panels or columns; a size that is too small for the panels or too large; settings of a panel that do not fit its data (a
    /// wrong number of labels, a range that is none, a curve without a finite number).
    pub fn to_png(&self) -> Result<Vec<u8>> {
        self.bitmap()?.to_png()
    }

    /// The figure's pixels.
    pub(super) fn bitmap(&self) -> Result<Bitmap> {
        let layout = self.layout(&Font::load()?)?;
        let mut pixels = vec![255; 3 * layout.size.0 as usize * layout.size.1 as usize];
        self.draw(Canvas::bitmap(&mut pixels, layout.size)?, &layout)?;
        Ok(Bitmap { pixels, size: layout.size })
    }

    /// The figure as an HTML element: the PNG file inside an `<img>` of the figure's size in CSS pixels, or of the page's width
    /// where that is less. A notebook that gets the bare PNG file shows it twice as large.
    ///
    /// # Errors
    /// As for [`to_png`](Self::to_png).
    pub fn to_html(&self) -> Result<String> {
        Ok(self.to_png_and_html()?.1)
    }

    /// [`to_png`](Self::to_png) and [`to_html`](Self::to_html), drawn once.
    pub(crate) fn to_png_and_html(&self) -> Result<(Vec<u8>, String)> {
        let bitmap = self.bitmap()?;
        let (width, height) = (bitmap.size.0 / SCALE, bitmap.size.1 / SCALE);
        let png = bitmap.to_png()?;
        let size = format!("width=\"{width}\" height=\"{height}\" style=\"max-width:100%;height:auto\"");
        let html = format!("<img {size} src=\"{}\">", png::data_url(&png));
        Ok((png, html))
    }

    /// The figure as an SVG document. Text stays text, in the viewer's DejaVu Sans, Verdana or default sans-serif font.
    ///
    /// # Errors
    /// As for [`to_png`](Self::to_png).
    pub fn to_svg(&self) -> Result<String> {
        let layout = self.layout(&Font::load()?)?;
        let mut document = String::new();
        let images = self.draw(Canvas::svg(&mut document, layout.size)?, &layout)?.concat();
        // drawn in device pixels, shown in CSS pixels; no seams between cells, but thin lines must not vanish
        let (width, height) = layout.size;
        let size = |w: u32, h: u32| format!("width=\"{w}\" height=\"{h}\"");
        let thin = ["1", "2", "3"].map(|n| format!("rect[width=\"{n}\"],rect[height=\"{n}\"]")).join(",");
        let style = format!(
            "<style>rect{{shape-rendering:crispEdges}}{thin}{{shape-rendering:auto}}polyline{{stroke-linejoin:round}}</style>\n"
        );
        let document = document.replacen(&size(width, height), &size(width / SCALE, height / SCALE), 1);
        // images right above the background, which is the first thing drawn
        let document = document.replacen("/>\n", &format!("/>\n{images}"), 1);
        Ok(document.replacen(">\n", &format!(">\n{style}"), 1))
    }

    /// Writes the figure to a file, as PNG or SVG by the ending of its name. A missing folder is made. The file is there
    /// in full or is left as it was.
    ///
    /// # Errors
    /// Another ending; a file that cannot be written; and as for [`to_png`](Self::to_png).
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        let bytes = match ending.to_str() {
            Some("png") => self.to_png()?,
            Some("svg") => self.to_svg()?.into_bytes(),
            _ => {
                let expected = "its name must end in .png or .svg";
                return Err(Error::argument("path", path.display(), expected));
            }
        };
        write_whole(path, &bytes)
    }

    fn draw(&self, mut canvas: Canvas, layout: &Layout) -> Result<Vec<String>> {
        let (right, bottom) = (f64::from(layout.size.0), f64::from(layout.size.1));
        let all = Rect { left: 0.0, top: 0.0, right, bottom };
        canvas.fill(all, WHITE)?;
        write_lines(&mut canvas, &layout.title, px(TITLE_TEXT), (right / 2.0, px(AROUND)), all)?;
        for (panel, slot) in self.panels.iter().zip(&layout.slots) {
            panel.draw(&mut canvas, *slot, self.used_columns())?;
        }
        canvas.finish()
    }

    #[cfg(test)]
    pub(super) fn panels(&self) -> &[Panel] {
        &self.panels
    }

    fn used_columns(&self) -> usize {
        self.columns.min(self.panels.len())
    }

    fn check(&self) -> Result<()> {
        if self.columns == 0 {
            return Err(Error::argument("columns", 0, "it must be at least 1"));
        }
        if self.panels.is_empty() {
            return Err(Error::argument("panels", "empty", "a figure needs at least one panel"));
        }
        if let Some((width, height)) = self.size
            && (width == 0 || height == 0)
        {
            return Err(Error::argument("size", format!("{width} × {height}"), "both must be at least 1"));
        }
        self.panels.iter().try_for_each(Panel::check)
    }

    /// Plots of one grid column are equally wide and left-aligned, those of one row equally high and on one line.
    fn layout(&self, font: &Font) -> Result<Layout> {
        self.check()?;
        let columns = self.used_columns();
        let free: Vec<(f64, f64)> = self.panels.iter().map(|panel| panel.free_size(font, columns)).collect();
        let mut widths = largest(&free, columns, |k| k % columns, |size| size.0);
        let mut heights = largest(&free, self.panels.len().div_ceil(columns), |k| k / columns, |size| size.1);
        // labels depend on the size, and a given size of the figure leaves to the plots what labels do not take
        let mut frame = self.frame(font, &widths, &heights);
        if let Some((width, height)) = self.size {
            for _ in 0..2 {
                let taken = (frame.size.0 - widths.iter().sum::<f64>(), frame.size.1 - heights.iter().sum::<f64>());
                share(&mut widths, px(width.into()) - taken.0);
                share(&mut heights, px(height.into()) - taken.1);
                if widths.iter().chain(&heights).any(|side| *side < px(SMALLEST)) {
                    let least = |taken: f64, count: usize| (taken / px(1.0) + count as f64 * SMALLEST).ceil();
                    let (w, h) = (least(taken.0, widths.len()), least(taken.1, heights.len()));
                    let expected = format!("the labels leave no room for the plots: it must be at least {w} × {h}");
                    return Err(Error::argument("size", format!("{width} × {height}"), expected));
                }
                frame = self.frame(font, &widths, &heights);
            }
            frame.size = (px(width.into()), px(height.into()));
        }
        let css = |side: f64| (side / px(1.0)).ceil();
        if css(frame.size.0) * css(frame.size.1) > LARGEST {
            let value = format!("{} × {}", css(frame.size.0), css(frame.size.1));
            return Err(Error::argument("size", value, format!("a figure has at most {LARGEST:.0} pixels")));
        }
        let size = (css(frame.size.0) as u32 * SCALE, css(frame.size.1) as u32 * SCALE);
        let slots = (0..self.panels.len()).map(|k| frame.slot(k / columns, k % columns, &widths, &heights)).collect();
        Ok(Layout { size, title: frame.title, slots })
    }

    fn frame(&self, font: &Font, widths: &[f64], heights: &[f64]) -> Frame {
        let columns = widths.len();
        let mut frame = Frame {
            size: (0.0, 0.0),
            title: Vec::new(),
            columns: vec![Margins::default(); columns],
            rows: vec![Margins::default(); heights.len()],
            top: px(AROUND),
        };
        for (k, panel) in self.panels.iter().enumerate() {
            let (row, column) = (k / columns, k % columns);
            let margins = panel.margins(font, (widths[column], heights[row]), columns).rounded_up();
            frame.columns[column] = frame.columns[column].union(margins);
            frame.rows[row] = frame.rows[row].union(margins);
        }
        let gaps = |count: usize| 2.0 * px(AROUND) + (count - 1) as f64 * px(BETWEEN);
        let taken = |all: &[Margins], side: fn(&Margins) -> f64| all.iter().map(side).sum::<f64>();
        let width = gaps(columns) + widths.iter().sum::<f64>() + taken(&frame.columns, |m| m.left + m.right);
        let height = gaps(heights.len()) + heights.iter().sum::<f64>() + taken(&frame.rows, |m| m.top + m.bottom);
        let title = font.wrap(&self.title, px(TITLE_TEXT), width - 2.0 * px(AROUND));
        let title_height = match title.len() {
            0 => 0.0,
            lines => (text_height(lines, px(TITLE_TEXT)) + px(TITLE_GAP)).ceil(),
        };
        Frame { size: (width, height + title_height), title, top: frame.top + title_height, ..frame }
    }
}

/// Margins of all columns and rows of the grid.
struct Frame {
    size: (f64, f64),
    title: Vec<String>,
    /// Of these, left and right count.
    columns: Vec<Margins>,
    /// Of these, top and bottom count.
    rows: Vec<Margins>,
    /// Where the first row's margins begin.
    top: f64,
}

impl Frame {
    fn slot(&self, row: usize, column: usize, widths: &[f64], heights: &[f64]) -> Slot {
        let before = |k: usize, sides: &[f64], margins: &[Margins], margin: fn(&Margins) -> f64| {
            sides[..k].iter().sum::<f64>() + margins[..k].iter().map(margin).sum::<f64>() + k as f64 * px(BETWEEN)
        };
        let left = px(AROUND) + before(column, widths, &self.columns, |m| m.left + m.right);
        let top = self.top + before(row, heights, &self.rows, |m| m.top + m.bottom);
        let (x, y) = (self.columns[column], self.rows[row]);
        let plot = Rect {
            left: left + x.left,
            right: left + x.left + widths[column],
            top: top + y.top,
            bottom: top + y.top + heights[row],
        };
        let outer = Rect { left, right: plot.right + x.right, top, bottom: plot.bottom + y.bottom };
        Slot { plot, outer }
    }
}

impl Margins {
    fn rounded_up(self) -> Self {
        Self { left: self.left.ceil(), right: self.right.ceil(), top: self.top.ceil(), bottom: self.bottom.ceil() }
    }
}

/// The largest side in each of `count` groups.
fn largest(
    sizes: &[(f64, f64)],
    count: usize,
    group: impl Fn(usize) -> usize,
    side: impl Fn(&(f64, f64)) -> f64,
) -> Vec<f64> {
    let mut sides = vec![0.0f64; count];
    for (k, size) in sizes.iter().enumerate() {
        let place = &mut sides[group(k)];
        *place = place.max(side(size).ceil());
    }
    sides
}

/// Scales `sides` so that together they fill `room`, in whole pixels.
fn share(sides: &mut [f64], room: f64) {
    let factor = room / sides.iter().sum::<f64>();
    sides.iter_mut().for_each(|side| *side = (*side * factor + 1e-6).floor());
}
