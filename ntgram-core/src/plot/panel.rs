//! One plot of a figure, of any kind: what figures ask of all of them.

use plotters::backend::DrawingBackend;

use super::bars::BarChart;
use super::canvas::Canvas;
use super::captions::Captions;
use super::font::Font;
use super::geometry::px;
use super::heatmap::Heatmap;
use super::line::LinePlot;
use super::plane::Plane;
use super::space::{Margins, Slot};
use crate::error::Result;

/// One plot of a [`Figure`](super::Figure): any of them, where one type is asked for.
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

/// Every plot can be a panel.
macro_rules! panels {
    ($($plot:ident => $panel:ident),*) => {$(
        impl From<$plot> for Panel {
            fn from(plot: $plot) -> Self {
                Self::$panel(plot)
            }
        }
    )*};
}
panels!(Heatmap => Heatmap, LinePlot => Line, BarChart => Bars, Plane => Plane);

impl Panel {
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

    pub(super) fn check(&self) -> Result<()> {
        match self {
            Panel::Heatmap(plot) => plot.check(),
            Panel::Line(plot) => plot.check(),
            Panel::Bars(plot) => plot.check(),
            Panel::Plane(plot) => plot.check(),
        }
    }

    /// The plot's size, in device pixels, if the figure's is free; in a grid of `columns` columns.
    pub(super) fn free_size(&self, font: &Font, columns: usize) -> (f64, f64) {
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
    pub(super) fn margins(&self, font: &Font, size: (f64, f64), columns: usize) -> Margins {
        let ticks = match self {
            Panel::Heatmap(plot) => plot.ticks(font, size, columns),
            Panel::Line(plot) => plot.ticks(font, size),
            Panel::Bars(plot) => plot.ticks(font, size),
            Panel::Plane(plot) => plot.ticks(font, size),
        };
        // cells are whole pixels: a map may be narrower than its place
        let drawn = match self {
            Panel::Heatmap(plot) => (plot.drawn_width(font, size, columns), size.1),
            _ => size,
        };
        self.captions().margins(font, drawn, ticks)
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<impl DrawingBackend>, slot: Slot, columns: usize) -> Result<()> {
        match self {
            Panel::Heatmap(plot) => plot.draw(canvas, slot, columns),
            Panel::Line(plot) => plot.draw(canvas, slot),
            Panel::Bars(plot) => plot.draw(canvas, slot),
            Panel::Plane(plot) => plot.draw(canvas, slot),
        }
    }
}
