//! Figures from plain slices and labels: heatmaps, curves, bars, vectors, grids of them and sliders over them, as PNG, SVG and HTML.
//!
//! Nothing here knows tensors, models or notebooks. plotters draws, on a bitmap or into an SVG document; layout, ticks, labels
//! and text are this module's own, because cells must lie on whole pixels, labels must never overlap, and text must look the same on
//! every machine.
//!
//! Each line's modules use those of the lines above, or of the same line to the left, never the other way:
//!
//! ```text
//! geometry, colors, ticks, range            lengths and rectangles; colours; where ticks go; ends of axes
//! script, unifont, font, png, bitmap        subscripts; the built-in fonts; PNG files; pixels
//! smooth, svg, canvas                       what plotters' back ends lack; what plots draw on
//! space, captions, labels                   margins; titles; labels along an axis
//! axes, marker, trace, legend               parts of line plots
//! cells, hull, view, arrows                 parts of other plots
//! heatmap, line, bars, plane, solid         the plots
//! panel, layout, figure, slider             any plot; where plots go; grids of plots; one plot after another
//! ```

mod arrows;
mod axes;
mod bars;
mod bitmap;
mod canvas;
mod captions;
mod cells;
mod colors;
mod figure;
mod font;
mod geometry;
mod heatmap;
mod hull;
mod labels;
mod layout;
mod legend;
mod line;
mod marker;
mod panel;
mod plane;
mod png;
mod range;
mod script;
mod slider;
mod smooth;
mod solid;
mod space;
mod svg;
#[cfg(test)]
mod tests;
mod ticks;
mod trace;
mod unifont;
mod view;

pub use bars::BarChart;
pub use colors::Color;
pub use figure::Figure;
pub use heatmap::Heatmap;
pub use line::LinePlot;
pub use marker::Marker;
pub use panel::Panel;
pub use plane::Plane;
pub(crate) use png::stacked;
pub use slider::{Slider, display_heatmaps};
pub use solid::Solid;
