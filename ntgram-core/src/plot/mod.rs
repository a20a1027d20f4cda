//! Figures from plain slices and labels: heatmaps, curves, bars, vectors, grids of them and sliders over them, as PNG, SVG and HTML.
//!
//! Nothing here knows tensors, models or notebooks. plotters supplies the bitmap and the SVG document
//! (`canvas`); layout, ticks, labels and text are this module's own, because cells must lie on whole pixels, labels must
//! never overlap, and text must look the same on every machine.

mod axes;
mod bars;
mod canvas;
mod colors;
mod figure;
mod font;
mod heatmap;
mod legend;
mod line;
mod panel;
mod plane;
mod png;
mod slider;
#[cfg(test)]
mod tests;
mod ticks;

pub use bars::BarChart;
pub use colors::Color;
pub use figure::{Figure, Panel};
pub use heatmap::Heatmap;
pub use line::LinePlot;
pub use plane::Plane;
pub(crate) use png::stacked;
pub use slider::{Slider, display_heatmaps};
