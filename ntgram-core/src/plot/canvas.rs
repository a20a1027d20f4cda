//! What panels draw on: rectangles, strokes and text on one of plotters' two back ends, a bitmap or an SVG document.
//!
//! Coordinates are device pixels, [`SCALE`] to a CSS pixel, y growing downwards. On the bitmap, strokes and glyphs are
//! turned into coverage here: plotters rounds both to whole pixels.

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontDesc, FontFamily, FontStyle, FontTransform, RGBAColor, RGBColor, ShapeStyle};

use super::colors::Rgb;
use super::font::Font;
use super::png;
use crate::error::{Error, Result};

/// Device pixels per CSS pixel: figures are sharp on high-resolution displays.
pub(super) const SCALE: u32 = 2;

/// Device pixels of a length in CSS pixels.
pub(super) fn px(css: f64) -> f64 {
    css * f64::from(SCALE)
}

/// A point, in device pixels.
pub(super) type Point = (f64, f64);

/// A rectangle, in device pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Rect {
    pub(super) fn width(&self) -> f64 {
        self.right - self.left
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom - self.top
    }

    pub(super) fn contains(&self, (x, y): Point) -> bool {
        (self.left..=self.right).contains(&x) && (self.top..=self.bottom).contains(&y)
    }

    /// The part of the segment from `a` to `b` that lies inside, if any (Liang and Barsky).
    pub(super) fn clip(&self, a: Point, b: Point) -> Option<(Point, Point)> {
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let (mut from, mut to) = (0.0f64, 1.0f64);
        // each border: the segment is inside where t * step <= room
        for (step, room) in
            [(-dx, a.0 - self.left), (dx, self.right - a.0), (-dy, a.1 - self.top), (dy, self.bottom - a.1)]
        {
            if step < 0.0 {
                from = from.max(room / step);
            } else if step > 0.0 {
                to = to.min(room / step);
            } else if room < 0.0 {
                return None;
            }
        }
        // an end that lies inside stays exactly where it is
        let start = if from > 0.0 { (a.0 + from * dx, a.1 + from * dy) } else { a };
        let end = if to < 1.0 { (a.0 + to * dx, a.1 + to * dy) } else { b };
        (from <= to).then_some((start, end))
    }
}

/// Which end of a text lies at its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    /// Where a text of this width starts, relative to its position.
    fn shift(self, width: f64) -> f64 {
        match self {
            Anchor::Start => 0.0,
            Anchor::Middle => -width / 2.0,
            Anchor::End => -width,
        }
    }
}

enum Surface<'a> {
    Bitmap(BitMapBackend<'a>),
    Svg(SVGBackend<'a>),
}

/// One figure in the making.
pub(super) struct Canvas<'a> {
    surface: Surface<'a>,
    /// Elements of an SVG document that plotters cannot write.
    images: Vec<String>,
    pub(super) font: Font,
}

impl<'a> Canvas<'a> {
    /// A bitmap, three bytes a pixel; `pixels` must hold exactly `size`.
    pub(super) fn bitmap(pixels: &'a mut [u8], size: (u32, u32)) -> Result<Self> {
        let bitmap = BitMapBackend::with_buffer_and_format(pixels, size).map_err(refused)?;
        Ok(Self { surface: Surface::Bitmap(bitmap), images: Vec::new(), font: Font::load()? })
    }

    /// An SVG document, written to the end of `document`.
    pub(super) fn svg(document: &'a mut String, size: (u32, u32)) -> Result<Self> {
        let surface = Surface::Svg(SVGBackend::with_string(document, size));
        Ok(Self { surface, images: Vec::new(), font: Font::load()? })
    }

    /// Ends the drawing. Returns the images of an SVG document, which belong right above its background.
    pub(super) fn finish(mut self) -> Result<Vec<String>> {
        match &mut self.surface {
            Surface::Bitmap(bitmap) => bitmap.present().map_err(refused)?,
            Surface::Svg(svg) => svg.present().map_err(refused)?,
        }
        Ok(self.images)
    }

    pub(super) fn is_svg(&self) -> bool {
        matches!(self.surface, Surface::Svg(_))
    }

    /// Puts an image of `size` pixels, three bytes each, into an SVG document, stretched to `rect` without smoothing.
    pub(super) fn image(&mut self, pixels: &[u8], size: (u32, u32), rect: Rect) -> Result<()> {
        let url = png::data_url(&png::encode(pixels, size)?);
        let (x, y, width, height) = (rect.left, rect.top, rect.width(), rect.height());
        self.images.push(format!(
            "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" \
             style=\"image-rendering:pixelated\" href=\"{url}\"/>\n"
        ));
        Ok(())
    }

    /// Fills a rectangle; its edges are moved to whole pixels.
    pub(super) fn fill(&mut self, rect: Rect, color: Rgb) -> Result<()> {
        self.fill_mixed(rect, color, 1.0)
    }

    /// Fills a rectangle with `opacity` between 0 (nothing) and 1.
    pub(super) fn fill_mixed(&mut self, rect: Rect, color: Rgb, opacity: f64) -> Result<()> {
        let (from, to) = (whole(rect.left, rect.top), whole(rect.right, rect.bottom));
        if from.0 >= to.0 || from.1 >= to.1 {
            return Ok(());
        }
        let style = ShapeStyle { color: rgba(color, opacity), filled: true, stroke_width: 0 };
        match &mut self.surface {
            Surface::Bitmap(bitmap) => bitmap.draw_rect(from, to, &style, true).map_err(refused),
            Surface::Svg(svg) => svg.draw_rect(from, to, &style, true).map_err(refused),
        }
    }

    /// Draws the outline of `rect`, `width` wide, inside its edges.
    pub(super) fn outline(&mut self, rect: Rect, width: f64, color: Rgb) -> Result<()> {
        self.fill(Rect { bottom: rect.top + width, ..rect }, color)?;
        self.fill(Rect { top: rect.bottom - width, ..rect }, color)?;
        self.fill(Rect { right: rect.left + width, ..rect }, color)?;
        self.fill(Rect { left: rect.right - width, ..rect }, color)
    }

    /// Draws a line through `points`, `width` wide with round joins and ends. One point gives a dot.
    pub(super) fn stroke(&mut self, points: &[Point], width: f64, color: Rgb) -> Result<()> {
        match &mut self.surface {
            Surface::Bitmap(bitmap) => stroke_bitmap(bitmap, points, width, color),
            Surface::Svg(svg) => {
                let style = ShapeStyle { color: rgba(color, 1.0), filled: false, stroke_width: width.round() as u32 };
                match points {
                    [] => Ok(()),
                    &[(x, y)] => {
                        let dot = ShapeStyle { filled: true, ..style };
                        svg.draw_circle(whole(x, y), (width / 2.0).round() as u32, &dot, true).map_err(refused)
                    }
                    _ => svg.draw_path(points.iter().map(|&(x, y)| whole(x, y)), &style).map_err(refused),
                }
            }
        }
    }

    /// Fills a polygon given by its corners in order, with `opacity` between 0 and 1.
    pub(super) fn polygon(&mut self, corners: &[Point], color: Rgb, opacity: f64) -> Result<()> {
        if corners.len() < 3 {
            return Ok(());
        }
        match &mut self.surface {
            Surface::Bitmap(bitmap) => polygon_bitmap(bitmap, corners, color, opacity),
            Surface::Svg(svg) => {
                let corners: Vec<_> = corners.iter().map(|&(x, y)| whole(x, y)).collect();
                svg.fill_polygon(corners, &rgba(color, opacity)).map_err(refused)
            }
        }
    }

    /// Writes one line of text; `(x, y)` lies on its baseline, at the end that `anchor` names. `size` is in pixels per em.
    pub(super) fn text(&mut self, text: &str, (x, y): Point, size: f64, anchor: Anchor, color: Rgb) -> Result<()> {
        self.write(text, (x, y), size, anchor, color, false)
    }

    /// Like [`text`](Self::text), reading upwards: the baseline is the vertical line at `x`.
    pub(super) fn text_upwards(
        &mut self,
        text: &str,
        (x, y): Point,
        size: f64,
        anchor: Anchor,
        color: Rgb,
    ) -> Result<()> {
        self.write(text, (x, y), size, anchor, color, true)
    }

    fn write(&mut self, text: &str, (x, y): Point, size: f64, anchor: Anchor, color: Rgb, upwards: bool) -> Result<()> {
        // control characters have no glyph, and XML forbids most of them
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        match &mut self.surface {
            Surface::Bitmap(bitmap) => {
                let shift = anchor.shift(self.font.width(&text, size)).round();
                let start = if upwards { whole(x, y - shift) } else { whole(x + shift, y) };
                let mut done = Ok(());
                self.font.draw(&text, size, |dx, dy, coverage| {
                    let at = if upwards { (start.0 + dy, start.1 - dx) } else { (start.0 + dx, start.1 + dy) };
                    if done.is_ok() {
                        let ink = rgba(color, f64::from(coverage)).to_backend_color();
                        done = bitmap.draw_pixel(at, ink);
                    }
                });
                done.map_err(refused)
            }
            Surface::Svg(svg) => {
                let horizontal = match anchor {
                    Anchor::Start => HPos::Left,
                    Anchor::Middle => HPos::Center,
                    Anchor::End => HPos::Right,
                };
                // plotters writes text centred at y with its baseline half an x-height (0.547 em) lower, and divides sizes by 1.24
                let up = 0.5 * 0.547 * size;
                let (at, turn) = match upwards {
                    true => (whole(x - up, y), FontTransform::Rotate270),
                    false => (whole(x, y - up), FontTransform::None),
                };
                let font = FontDesc::new(FontFamily::Name(Font::FAMILY), 1.24 * size, FontStyle::Normal);
                let style = font.transform(turn).color(&rgba(color, 1.0)).pos(Pos::new(horizontal, VPos::Center));
                svg.draw_text(&text, &style, at).map_err(refused)
            }
        }
    }
}

fn refused(e: impl std::fmt::Display) -> Error {
    Error::other(format!("figure: {e}"))
}

fn rgba((r, g, b): Rgb, opacity: f64) -> RGBAColor {
    RGBColor(r, g, b).mix(opacity)
}

fn whole(x: f64, y: f64) -> (i32, i32) {
    (x.round() as i32, y.round() as i32)
}

/// Covers each pixel by its distance from the nearest segment, so that neither joins nor crossings are painted twice.
fn stroke_bitmap(bitmap: &mut BitMapBackend, points: &[Point], width: f64, color: Rgb) -> Result<()> {
    let (wide, high) = bitmap.get_size();
    let reach = width / 2.0 + 0.5;
    let span = |values: &dyn Fn(&Point) -> f64, limit: u32| {
        let low = points.iter().map(values).fold(f64::INFINITY, f64::min) - reach;
        let high = points.iter().map(values).fold(f64::NEG_INFINITY, f64::max) + reach;
        (low.floor().max(0.0) as usize, (high.ceil() + 1.0).clamp(0.0, f64::from(limit)) as usize)
    };
    let ((left, right), (top, bottom)) = (span(&|p| p.0, wide), span(&|p| p.1, high));
    if left >= right || top >= bottom {
        return Ok(());
    }
    let columns = right - left;
    let mut coverage = vec![0.0f32; columns * (bottom - top)];
    let mut cover = |(ax, ay): Point, (bx, by): Point| {
        let (dx, dy) = (bx - ax, by - ay);
        let length = dx * dx + dy * dy;
        // the share of the segment, 0 to 1, that lies nearest to a point
        let nearest = |x: f64, y: f64| match length > 0.0 {
            true => (((x - ax) * dx + (y - ay) * dy) / length).clamp(0.0, 1.0),
            false => 0.0,
        };
        let rows = (ay.min(by) - reach).max(top as f64) as usize..((ay.max(by) + reach).ceil() as usize).min(bottom);
        for row in rows {
            let y = row as f64 + 0.5;
            // only where the segment comes within reach of this row
            let (mut from, mut to) = (ax.min(bx), ax.max(bx));
            if dy.abs() > 2.0 * reach && dx != 0.0 {
                let at = |y: f64| ax + ((y - ay) / dy).clamp(0.0, 1.0) * dx;
                let slack = reach * (1.0 + (dx / dy).abs());
                (from, to) = (at(y - slack).min(at(y + slack)), at(y - slack).max(at(y + slack)));
            }
            let first = (from - reach).max(left as f64) as usize;
            let last = ((to + reach).ceil() as usize).min(right);
            for column in first..last {
                let x = column as f64 + 0.5;
                let t = nearest(x, y);
                let distance = (x - ax - t * dx).hypot(y - ay - t * dy);
                let covered = (reach - distance).clamp(0.0, 1.0) as f32;
                let cell = &mut coverage[(row - top) * columns + column - left];
                *cell = cell.max(covered);
            }
        }
    };
    match points {
        &[point] => cover(point, point),
        _ => points.windows(2).for_each(|pair| cover(pair[0], pair[1])),
    }
    for (k, &covered) in coverage.iter().enumerate().filter(|(_, covered)| **covered > 0.0) {
        let at = ((left + k % columns) as i32, (top + k / columns) as i32);
        bitmap.draw_pixel(at, rgba(color, f64::from(covered)).to_backend_color()).map_err(refused)?;
    }
    Ok(())
}

/// Samples along each side of a pixel that a polygon's edge passes.
const SAMPLES: i32 = 4;

/// Covers each pixel by the share of its samples that lie inside (by the even-odd rule).
fn polygon_bitmap(bitmap: &mut BitMapBackend, corners: &[Point], color: Rgb, opacity: f64) -> Result<()> {
    let (wide, high) = bitmap.get_size();
    let span = |value: fn(&Point) -> f64, limit: u32| {
        let values = corners.iter().map(value);
        let (low, most) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, m), v| (l.min(v), m.max(v)));
        (low.floor().clamp(0.0, f64::from(limit)) as i32, most.ceil().clamp(0.0, f64::from(limit)) as i32)
    };
    let ((left, right), (top, bottom)) = (span(|p| p.0, wide), span(|p| p.1, high));
    let edges = || corners.iter().zip(corners.iter().cycle().skip(1));
    for row in top..bottom {
        let mut inside = vec![0; (right - left).max(0) as usize];
        for sample in 0..SAMPLES {
            let y = f64::from(row) + (f64::from(sample) + 0.5) / f64::from(SAMPLES);
            let crossed = edges().filter(|(a, b)| (a.1 <= y) != (b.1 <= y));
            let mut xs: Vec<f64> = crossed.map(|(a, b)| a.0 + (y - a.1) / (b.1 - a.1) * (b.0 - a.0)).collect();
            xs.sort_by(f64::total_cmp);
            for pair in xs.chunks_exact(2) {
                // samples (k + 1/2)/SAMPLES between the two crossings
                let sample_after = |x: f64| (x * f64::from(SAMPLES) - 0.5).ceil() as i64;
                let (from, to) = (i64::from(left * SAMPLES), i64::from(right * SAMPLES));
                for k in sample_after(pair[0]).max(from)..sample_after(pair[1]).min(to) {
                    inside[((k - from) / i64::from(SAMPLES)) as usize] += 1;
                }
            }
        }
        for (column, &count) in inside.iter().enumerate().filter(|(_, count)| **count > 0) {
            let ink = rgba(color, opacity * f64::from(count) / f64::from(SAMPLES * SAMPLES)).to_backend_color();
            bitmap.draw_pixel((left + column as i32, row), ink).map_err(refused)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLACK: Rgb = (0, 0, 0);

    /// Darkness, 0 to 255, of every pixel of a white canvas of this size that `draw` drew on.
    fn ink(size: (u32, u32), draw: impl FnOnce(&mut Canvas) -> Result<()>) -> Vec<Vec<u8>> {
        let mut pixels = vec![255; (size.0 * size.1 * 3) as usize];
        let mut canvas = Canvas::bitmap(&mut pixels, size).unwrap();
        draw(&mut canvas).unwrap();
        canvas.finish().unwrap();
        let row = |row: &[u8]| row.chunks_exact(3).map(|p| 255 - p[0]).collect();
        pixels.chunks_exact(size.0 as usize * 3).map(row).collect()
    }

    #[test]
    fn fills_exactly_the_pixels_inside() {
        let got = ink((7, 5), |c| c.fill(Rect { left: 2.0, top: 1.0, right: 5.0, bottom: 3.0 }, BLACK));
        for (y, row) in got.iter().enumerate() {
            for (x, &dark) in row.iter().enumerate() {
                assert_eq!(dark == 255, (2..5).contains(&x) && (1..3).contains(&y), "{x} {y}: {dark}");
            }
        }
    }

    #[test]
    fn a_stroke_has_its_width_and_joins_are_not_darker() {
        let points = [(5.0, 10.0), (25.0, 10.0), (5.0, 10.0), (25.0, 10.0)];
        let got = ink((30, 20), |c| c.stroke(&points, 3.0, (128, 128, 128)));
        let column: u32 = got.iter().map(|row| u32::from(row[15])).sum();
        assert!((f64::from(column) / 127.0 - 3.0).abs() < 0.05, "{column}");
        assert!(got.iter().flatten().all(|&dark| dark <= 127));
    }

    #[test]
    fn steep_and_flat_strokes_are_each_others_mirror() {
        let flat = ink((40, 40), |c| c.stroke(&[(3.0, 8.0), (35.0, 21.0)], 2.5, BLACK));
        let steep = ink((40, 40), |c| c.stroke(&[(8.0, 3.0), (21.0, 35.0)], 2.5, BLACK));
        for (y, row) in flat.iter().enumerate() {
            for (x, &dark) in row.iter().enumerate() {
                assert!(dark.abs_diff(steep[x][y]) <= 1, "{x} {y}: {dark} {}", steep[x][y]);
            }
        }
        let total: f64 = flat.iter().flatten().map(|&d| f64::from(d) / 255.0).sum();
        let (length, caps) = (32f64.hypot(13.0), std::f64::consts::PI * 1.25 * 1.25);
        assert!((total / (2.5 * length + caps) - 1.0).abs() < 0.03, "{total}");
    }

    #[test]
    fn a_polygon_has_its_area_and_smooth_edges() {
        // an arrow's head: not convex
        let corners = [(30.3, 10.0), (5.0, 30.7), (12.0, 20.2), (3.5, 8.0)];
        let got = ink((40, 40), |c| c.polygon(&corners, BLACK, 1.0));
        let shoelace = |(a, b): (&Point, &Point)| (a.0 * b.1 - b.0 * a.1) / 2.0;
        let area: f64 = corners.iter().zip(corners.iter().cycle().skip(1)).map(shoelace).sum();
        let total: f64 = got.iter().flatten().map(|&d| f64::from(d) / 255.0).sum();
        assert!((total / area.abs() - 1.0).abs() < 0.02, "{total} {area}");
        assert!(got.iter().flatten().any(|&d| (60..200).contains(&d)));
        // half covered: half as dark
        let pale = ink((40, 40), |c| c.polygon(&corners, BLACK, 0.5));
        assert!(pale.iter().flatten().all(|&d| d <= 128) && pale[12][15] >= 127);
        let outside = [(-9.0, -9.0), (-1.0, -5.0), (-5.0, -1.0)];
        assert!(ink((9, 9), |c| c.polygon(&outside, BLACK, 1.0)).iter().flatten().all(|&d| d == 0));
        let around = [(-50.0, -50.0), (50.0, -50.0), (50.0, 50.0), (-50.0, 50.0)];
        assert!(ink((9, 9), |c| c.polygon(&around, BLACK, 1.0)).iter().flatten().all(|&d| d == 255));
    }

    #[test]
    fn strokes_outside_draw_nothing_and_do_not_fail() {
        let far = [(-500.0, -500.0), (-400.0, 1e9)];
        assert!(ink((9, 9), |c| c.stroke(&far, 3.0, BLACK)).iter().flatten().all(|&d| d == 0));
        assert!(ink((9, 9), |c| c.stroke(&[], 3.0, BLACK)).iter().flatten().all(|&d| d == 0));
    }

    #[test]
    fn clips_segments_to_the_rectangle() {
        let rect = Rect { left: 0.0, top: 0.0, right: 10.0, bottom: 5.0 };
        assert_eq!(rect.clip((-5.0, 2.0), (15.0, 2.0)), Some(((0.0, 2.0), (10.0, 2.0))));
        assert_eq!(rect.clip((1.0, 1.0), (2.0, 2.0)), Some(((1.0, 1.0), (2.0, 2.0))));
        assert_eq!(rect.clip((-5.0, 6.0), (15.0, 6.0)), None);
        assert_eq!(rect.clip((-1.0, 4.0), (1.0, 8.0)), None);
    }

    #[test]
    fn upward_text_is_the_horizontal_text_turned() {
        let level = ink((60, 60), |c| c.text("Loss", (5.0, 40.0), 20.0, Anchor::Start, BLACK));
        let up = ink((60, 60), |c| c.text_upwards("Loss", (40.0, 54.0), 20.0, Anchor::Start, BLACK));
        assert!(level.iter().flatten().any(|&d| d > 200));
        for (y, row) in level.iter().enumerate() {
            for (x, &dark) in row.iter().enumerate() {
                assert_eq!(dark, up[59 - x][y], "{x} {y}");
            }
        }
    }

    #[test]
    fn svg_text_is_escaped_and_without_control_characters() {
        let mut document = String::new();
        let mut canvas = Canvas::svg(&mut document, (100, 50)).unwrap();
        canvas.text("a < b & \u{7}\"c\"", (10.0, 20.0), 20.0, Anchor::Middle, BLACK).unwrap();
        canvas.finish().unwrap();
        assert!(document.contains("a &lt; b &amp; &quot;c&quot;"), "{document}");
        assert!(document.contains("font-size=\"20\"") && document.trim_end().ends_with("</svg>"), "{document}");
    }
}
