//! Panels laid out in a grid, drawn as PNG or SVG, shown or saved.

use std::path::Path;

use plotters::backend::DrawingBackend;

use super::bars::BarChart;
use super::bitmap::Bitmap;
use super::canvas::Canvas;
use super::captions::write_lines;
use super::font::Font;
use super::geometry::{Rect, SCALE, px};
use super::heatmap::Heatmap;
use super::layout::{AROUND, Grid, Layout, TITLE_TEXT};
use super::line::LinePlot;
use super::panel::Panel;
use super::plane::Plane;
use super::{png, svg};
use crate::error::{Error, Result};
use crate::files::write_whole;

/// A grid of plots, filled row by row, with an optional title over all of them.
///
/// Nothing is drawn until the figure is turned into PNG or SVG; that is also when the settings of its plots are checked.
/// PNG figures have two pixels for each CSS pixel.
///
/// Text is in the built-in DejaVu Sans, so that a picture is the same on every machine. What it has not, such as Chinese, Japanese, Korean
/// and emoji, is drawn in PNG pictures with the coarse pixels of GNU Unifont, which the crate has with it, too; emoji in one colour, and
/// Arabic and Hebrew from left to right with their letters apart. [`to_svg`](Self::to_svg) leaves text to the viewer's fonts, which set
/// all of it well as a rule, and so does the name of a [`Slider`](super::Slider)'s frame.
///
/// ```
/// use ntgram_core::plot::{Color, Figure, Heatmap, LinePlot};
///
/// # fn main() -> ntgram_core::Result<()> {
/// let map = Heatmap::new(&[0.0, 0.5, 0.25, 1.0], 2, 2)?.range(0.0, 1.0).title("Attention");
/// let loss = LinePlot::new().line("trained", &[2.0, 1.2, 0.9]).hline("random", 2.3, Color::Red).y_label("Loss (nats)");
/// let figure = Figure::grid(2).with(map).with(loss);
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

/// Every plot can be a figure of its own.
macro_rules! plots {
    ($($plot:ident),*) => {$(
        impl $plot {
            /// A figure of this plot alone.
            pub fn figure(self) -> Figure {
                Figure::new(self)
            }
        }

        impl From<$plot> for Figure {
            fn from(plot: $plot) -> Self {
                Self::new(plot)
            }
        }
    )*};
}
plots!(Panel, Heatmap, LinePlot, BarChart, Plane);

impl Figure {
    /// A figure of one plot.
    pub fn new(plot: impl Into<Panel>) -> Self {
        Self::grid(1).with(plot)
    }

    /// A grid of `columns` plots side by side, empty yet: [`with`](Self::with), [`with_all`](Self::with_all) and
    /// [`push`](Self::push) fill it. With fewer plots than columns, it has as many columns as plots.
    pub fn grid(columns: usize) -> Self {
        Self { panels: Vec::new(), columns, title: String::new(), size: None }
    }

    /// With one plot more: a [`Heatmap`], [`LinePlot`], [`BarChart`], [`Plane`] or [`Panel`].
    pub fn with(mut self, plot: impl Into<Panel>) -> Self {
        self.push(plot);
        self
    }

    /// With several plots more, of one kind or as [`Panel`]s.
    ///
    /// ```
    /// use ntgram_core::plot::{BarChart, Figure, Heatmap};
    ///
    /// # fn main() -> ntgram_core::Result<()> {
    /// let maps = vec![Heatmap::new(&[0.0, 1.0], 1, 2)?; 3];
    /// let figure = Figure::grid(2).with_all(maps).with(BarChart::new(&[1.0])?);
    /// # figure.to_svg()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_all(mut self, plots: impl IntoIterator<Item = impl Into<Panel>>) -> Self {
        self.panels.extend(plots.into_iter().map(Into::into));
        self
    }

    /// Adds one plot, as in a loop.
    ///
    /// ```
    /// use ntgram_core::plot::{Figure, LinePlot};
    ///
    /// # fn main() -> ntgram_core::Result<()> {
    /// let mut grid = Figure::grid(3);
    /// for power in 1..=5 {
    ///     let ys: Vec<f64> = (0..10).map(|x| f64::from(x).powi(power)).collect();
    ///     grid.push(LinePlot::new().line("", &ys).title(format!("x^{power}")));
    /// }
    /// # grid.to_svg()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn push(&mut self, plot: impl Into<Panel>) {
        self.panels.push(plot.into());
    }

    /// Title over all plots.
    pub fn title(mut self, title: impl ToString) -> Self {
        self.title = title.to_string();
        self
    }

    /// The title over all plots.
    pub(super) fn name(&self) -> &str {
        &self.title
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
        let (width, height) = self.layout()?.size;
        Ok((width / SCALE, height / SCALE))
    }

    /// The figure as a PNG file, two pixels for each CSS pixel.
    ///
    /// # Errors
    /// No plots or columns; a size that is too small for the plots or too large; settings of a plot that do not fit its data (a
    /// wrong number of labels, a range that is none, a curve without a finite number).
    pub fn to_png(&self) -> Result<Vec<u8>> {
        self.bitmap()?.to_png()
    }

    /// The figure's pixels.
    pub(super) fn bitmap(&self) -> Result<Bitmap> {
        let layout = self.layout()?;
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
        let layout = self.layout()?;
        let mut drawn = String::new();
        let images = self.draw(Canvas::svg(&mut drawn, layout.size)?, &layout)?;
        Ok(svg::document(layout.size, &images, &drawn))
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

    /// Draws on a white canvas; returns its images.
    fn draw(&self, mut canvas: Canvas<impl DrawingBackend>, layout: &Layout) -> Result<String> {
        let (right, bottom) = (f64::from(layout.size.0), f64::from(layout.size.1));
        let all = Rect { left: 0.0, top: 0.0, right, bottom };
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

    fn layout(&self) -> Result<Layout> {
        self.check()?;
        let (panels, columns) = (&self.panels, self.used_columns());
        Grid { panels, columns, title: &self.title, size: self.size }.layout(&Font::load()?)
    }

    fn check(&self) -> Result<()> {
        if self.columns == 0 {
            return Err(Error::argument("columns", 0, "it must be at least 1"));
        }
        if self.panels.is_empty() {
            return Err(Error::argument(
                "panels",
                "empty",
                "a figure needs at least one plot: add it by `.with(plot)`",
            ));
        }
        if let Some((width, height)) = self.size
            && (width == 0 || height == 0)
        {
            return Err(Error::argument("size", format!("{width} × {height}"), "both must be at least 1"));
        }
        self.panels.iter().try_for_each(Panel::check)
    }
}
