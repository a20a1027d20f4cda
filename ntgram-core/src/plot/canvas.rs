//! What panels draw on: rectangles, strokes, polygons and text, through any of plotters' back ends.

use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontDesc, FontFamily, FontStyle, FontTransform, RGBAColor, RGBColor, ShapeStyle};

use super::colors::Rgb;
use super::font::{Font, run_size};
use super::geometry::{Point, Rect, px};
use super::script::{LOWERED, runs};
use super::smooth::{STEPS, Smooth};
use super::svg;
use crate::error::{Error, Result};

/// One figure in the making, on a back end whose coordinates are [`STEPS`] to a device pixel.
pub(super) struct Canvas<B> {
    backend: B,
    pub(super) font: Font,
    /// Elements of an SVG document that plotters cannot write; none on a bitmap.
    images: Option<String>,
}

impl<'a> Canvas<Smooth<'a>> {
    /// A bitmap, three bytes a pixel; `pixels` must hold `size`.
    pub(super) fn bitmap(pixels: &'a mut [u8], size: (u32, u32)) -> Result<Self> {
        let backend = Smooth::new(pixels, size, Font::load()?).map_err(refused)?;
        Ok(Self { backend, font: Font::load()?, images: None })
    }
}

impl<'a> Canvas<SVGBackend<'a>> {
    /// What plotters writes of an SVG document, to the end of `drawn`; [`svg::document`] makes it whole.
    pub(super) fn svg(drawn: &'a mut String, size: (u32, u32)) -> Result<Self> {
        let backend = SVGBackend::with_string(drawn, (size.0 * STEPS as u32, size.1 * STEPS as u32));
        Ok(Self { backend, font: Font::load()?, images: Some(String::new()) })
    }
}

impl<B: DrawingBackend> Canvas<B> {
    /// Ends the drawing. Returns the images of an SVG document.
    pub(super) fn finish(mut self) -> Result<String> {
        self.backend.present().map_err(refused)?;
        Ok(self.images.unwrap_or_default())
    }

    /// Whether many cells are better drawn as one [`image`](Self::image).
    pub(super) fn takes_images(&self) -> bool {
        self.images.is_some()
    }

    /// Puts an image of `size` pixels, three bytes each, below all else, stretched to `rect` without smoothing; only where
    /// [`takes_images`](Self::takes_images).
    pub(super) fn image(&mut self, pixels: &[u8], size: (u32, u32), rect: Rect) -> Result<()> {
        let image = svg::image(pixels, size, rect)?;
        self.images.get_or_insert_default().push_str(&image);
        Ok(())
    }

    /// Fills a rectangle; its edges are moved to whole pixels.
    pub(super) fn fill(&mut self, rect: Rect, color: Rgb) -> Result<()> {
        self.fill_mixed(rect, color, 1.0)
    }

    /// Fills a rectangle with `opacity` between 0 (nothing) and 1.
    pub(super) fn fill_mixed(&mut self, rect: Rect, color: Rgb, opacity: f64) -> Result<()> {
        let (from, to) = ((rect.left.round(), rect.top.round()), (rect.right.round(), rect.bottom.round()));
        if from.0 >= to.0 || from.1 >= to.1 {
            return Ok(());
        }
        self.backend.draw_rect(steps(from), steps(to), &rgba(color, opacity), true).map_err(refused)
    }

    /// Draws the outline of `rect`, `width` wide, inside its edges.
    pub(super) fn outline(&mut self, rect: Rect, width: f64, color: Rgb) -> Result<()> {
        self.fill(Rect { bottom: rect.top + width, ..rect }, color)?;
        self.fill(Rect { top: rect.bottom - width, ..rect }, color)?;
        self.fill(Rect { right: rect.left + width, ..rect }, color)?;
        self.fill(Rect { left: rect.right - width, ..rect }, color)
    }

    /// Draws a line through `points`, `width` wide. One point gives a dot.
    pub(super) fn stroke(&mut self, points: &[Point], width: f64, color: Rgb) -> Result<()> {
        let color = rgba(color, 1.0);
        match points {
            [] => Ok(()),
            &[point] => {
                let radius = (width / 2.0 * f64::from(STEPS)).round() as u32;
                self.backend.draw_circle(steps(point), radius, &color, true).map_err(refused)
            }
            _ => {
                let style = ShapeStyle::from(color).stroke_width((width * f64::from(STEPS)).round() as u32);
                self.backend.draw_path(points.iter().copied().map(steps), &style).map_err(refused)
            }
        }
    }

    /// Draws a dashed horizontal line at `y`, at whole pixels.
    pub(super) fn dashes(&mut self, (from, to): (f64, f64), y: f64, color: Rgb) -> Result<()> {
        let (dash, gap, half) = (px(6.0), px(3.5), px(0.75));
        let mut left = from;
        while left < to {
            let rect = Rect { left, right: (left + dash).min(to), top: y.round() - half, bottom: y.round() + half };
            self.fill(rect, color)?;
            left += dash + gap;
        }
        Ok(())
    }

    /// Fills a polygon given by its corners in order, with `opacity` between 0 and 1.
    pub(super) fn polygon(&mut self, corners: &[Point], color: Rgb, opacity: f64) -> Result<()> {
        if corners.len() < 3 {
            return Ok(());
        }
        self.backend.fill_polygon(corners.iter().copied().map(steps), &rgba(color, opacity)).map_err(refused)
    }

    /// Writes one line of text; `(x, y)` lies on its baseline, at the end that `anchor` names. `size` is in pixels per em.
    pub(super) fn text(&mut self, text: &str, (x, y): Point, size: f64, anchor: HPos, color: Rgb) -> Result<()> {
        let place = |(pen, lowered): (f64, f64), size: f64| (x + pen, y + lowered - Font::TOP * size);
        self.write_runs(text, size, anchor, &place, color, FontTransform::None)
    }

    /// Like [`text`](Self::text), reading upwards: the baseline is the vertical line at `x`.
    pub(super) fn text_upwards(&mut self, text: &str, (x, y): Point, size: f64, end: HPos, color: Rgb) -> Result<()> {
        let place = |(pen, lowered): (f64, f64), size: f64| (x + lowered - Font::TOP * size, y - pen);
        self.write_runs(text, size, end, &place, color, FontTransform::Rotate270)
    }

    /// Writes text with its subscripts. `place` turns a pen, along the baseline from where the text is anchored and below it, and a size
    /// into the place that the back end is told.
    fn write_runs(
        &mut self,
        text: &str,
        size: f64,
        anchor: HPos,
        place: &dyn Fn((f64, f64), f64) -> Point,
        color: Rgb,
        turn: FontTransform,
    ) -> Result<()> {
        let runs = runs(text);
        if let [run] = &runs[..] {
            return self.write(&run.text, place((0.0, 0.0), size), size, anchor, color, turn);
        }
        let mut pen = match anchor {
            HPos::Left => 0.0,
            HPos::Center => -self.font.width(text, size) / 2.0,
            HPos::Right => -self.font.width(text, size),
        };
        for run in runs {
            let own = run_size(size, run.subscript);
            let lowered = if run.subscript { LOWERED * size } else { 0.0 };
            self.write(&run.text, place((pen, lowered), own), own, HPos::Left, color, turn.clone())?;
            pen += self.font.width(&run.text, own);
        }
        Ok(())
    }

    fn write(&mut self, text: &str, at: Point, size: f64, anchor: HPos, color: Rgb, turn: FontTransform) -> Result<()> {
        // control characters have no glyph, and XML forbids most of them
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        // SVG shows several spaces as one
        let text = text.replace("  ", "\u{a0}\u{a0}");
        let family = FontFamily::Name(Font::FAMILY);
        let font = FontDesc::new(family, Font::PLOTTERS_EM * size * f64::from(STEPS), FontStyle::Normal);
        let style = font.transform(turn).color(&rgba(color, 1.0)).pos(Pos::new(anchor, VPos::Top));
        self.backend.draw_text(&text, &style, steps(at)).map_err(refused)
    }
}

fn refused(e: impl std::fmt::Display) -> Error {
    Error::other(format!("figure: {e}"))
}

fn rgba((r, g, b): Rgb, opacity: f64) -> RGBAColor {
    RGBColor(r, g, b).mix(opacity)
}

/// plotters' coordinates of a point.
fn steps((x, y): Point) -> (i32, i32) {
    let whole = |v: f64| (v * f64::from(STEPS)).round() as i32;
    (whole(x), whole(y))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLACK: Rgb = (0, 0, 0);

    /// Darkness, 0 to 255, of every pixel of a white canvas of this size that `draw` drew on.
    fn ink(size: (u32, u32), draw: impl FnOnce(&mut Canvas<Smooth>) -> Result<()>) -> Vec<Vec<u8>> {
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
    fn upward_text_is_the_horizontal_text_turned() {
        let level = ink((60, 60), |c| c.text("Loss", (5.0, 40.0), 20.0, HPos::Left, BLACK));
        let up = ink((60, 60), |c| c.text_upwards("Loss", (40.0, 54.0), 20.0, HPos::Left, BLACK));
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
        canvas.text("a < b & \u{7}\"c\"   d", (10.0, 20.0), 20.0, HPos::Center, BLACK).unwrap();
        canvas.finish().unwrap();
        assert!(document.contains("a &lt; b &amp; &quot;c&quot;\u{a0}\u{a0} d"), "{document}");
        assert!(document.contains("font-size=\"160\"") && document.trim_end().ends_with("</svg>"), "{document}");
    }
}
