//! The SVG document around the one that plotters writes.
//!
//! plotters writes sizes in its own coordinates, no background without a rectangle, sharp line ends, and images only with a crate for many
//! file formats. The outer element says how large the figure is on a page and how lines join and end; background and images lie below
//! what plotters drew.

use super::geometry::{Rect, SCALE};
use super::png;
use super::smooth::STEPS;
use crate::error::Result;

/// The whole document of a figure of `size` device pixels: `images`, and above them what plotters drew.
pub(super) fn document((width, height): (u32, u32), images: &str, drawn: &str) -> String {
    let (across, down) = (width * STEPS as u32, height * STEPS as u32);
    let (width, height) = (width / SCALE, height / SCALE);
    format!(
        "<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {across} {down}\" xmlns=\"http://www.w3.org/2000/svg\" \
         stroke-linejoin=\"round\" stroke-linecap=\"round\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#FFFFFF\"/>\n{images}{drawn}</svg>\n"
    )
}

/// An image of `size` pixels, three bytes each, stretched to `rect` without smoothing.
pub(super) fn image(pixels: &[u8], size: (u32, u32), rect: Rect) -> Result<String> {
    let url = png::data_url(&png::encode(pixels, size)?);
    let [x, y, width, height] = [rect.left, rect.top, rect.width(), rect.height()].map(|v| v * f64::from(STEPS));
    Ok(format!(
        "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" \
         style=\"image-rendering:pixelated\" href=\"{url}\"/>\n"
    ))
}
