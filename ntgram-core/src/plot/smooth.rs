//! plotters' bitmap back end with smooth edges and evenly set text, as a back end around it.
//!
//! What [`BitMapBackend`] itself does well (whole pixels, rectangles, blending) it does. What it cannot, and why this is here:
//!
//! - Its lines that are wider than a pixel have their corners at whole pixels, and only two of their four sides are smooth: curves are
//!   jagged, and their width changes from piece to piece. Here the share of each pixel that a shape covers decides.
//! - Its text puts each letter at a whole pixel and ignores the letter's own left edge, so that letters stand unevenly and accents beside
//!   their letter ([`Font`]).
//!
//! Shares are computed by the rasteriser that ab_glyph draws letters with: exact areas, and no further crate.

use std::f64::consts::PI;

use ab_glyph_rasterizer::{Rasterizer, point};
use plotters::backend::DrawingBackend;
use plotters_backend::text_anchor::HPos;
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind, FontTransform};
use plotters_bitmap::{BitMapBackend, BitMapBackendError};

use super::font::Font;
use super::geometry::{Point, Rect};

/// Steps of plotters' coordinates, which are whole numbers, to a device pixel.
pub(super) const STEPS: i32 = 8;

/// Shares below this are rounding errors of the rasteriser; no channel of 255 shows them.
const LEAST_SHARE: f32 = 1e-3;

type Drawn = Result<(), DrawingErrorKind<BitMapBackendError>>;

/// A bitmap, three bytes a pixel. Coordinates are [`STEPS`] to a pixel.
pub(super) struct Smooth<'a> {
    bitmap: BitMapBackend<'a>,
    font: Font,
    /// For each pixel, of the line that is drawn, the largest share of it that a piece covers; 0 between lines. Kept, since making it anew
    /// takes longer than most lines.
    largest: Vec<f32>,
}

impl<'a> Smooth<'a> {
    /// `pixels` must hold `size`.
    pub(super) fn new(pixels: &'a mut [u8], size: (u32, u32), font: Font) -> Result<Self, BitMapBackendError> {
        let bitmap = BitMapBackend::with_buffer_and_format(pixels, size)?;
        Ok(Self { bitmap, font, largest: vec![0.0; size.0 as usize * size.1 as usize] })
    }

    /// Fills a polygon that does not cross itself.
    fn fill(&mut self, corners: &[Point], ink: BackendColor) -> Drawn {
        let mut covered = Vec::new();
        self.cover(corners, |at, share| covered.push((at, share)));
        covered.into_iter().try_for_each(|(at, share)| self.bitmap.draw_pixel(at, ink.mix(share.into())))
    }

    /// Draws a line through `points`, with round joints and ends.
    fn stroke(&mut self, points: &[Point], width: f64, ink: BackendColor) -> Drawn {
        let size = self.bitmap.get_size();
        let radius = width / 2.0;
        let near = area(size).grown(radius);
        // of all pieces the largest share, so that neither joints nor crossings are darker
        let mut largest = std::mem::take(&mut self.largest);
        let mut covered = Vec::new();
        for (a, b) in points.windows(2).filter_map(|pair| near.clip(pair[0], pair[1])) {
            for (a, b) in short(a, b) {
                self.cover(&rounded(a, b, radius), |at, share| {
                    let place = &mut largest[at.1 as usize * size.0 as usize + at.0 as usize];
                    if *place == 0.0 {
                        covered.push(at);
                    }
                    *place = place.max(share);
                });
            }
        }
        let mut take = |at: (i32, i32)| std::mem::take(&mut largest[at.1 as usize * size.0 as usize + at.0 as usize]);
        let shares: Vec<((i32, i32), f32)> = covered.into_iter().map(|at| (at, take(at))).collect();
        self.largest = largest;
        shares.into_iter().try_for_each(|(at, share)| self.bitmap.draw_pixel(at, ink.mix(share.into())))
    }

    /// Calls `pixel` with every pixel that the polygon covers, and the share of it, up to 1.
    fn cover(&self, corners: &[Point], mut pixel: impl FnMut((i32, i32), f32)) {
        let corners = area(self.bitmap.get_size()).clip_polygon(corners);
        let ends = |value: fn(&Point) -> f64| {
            let values = corners.iter().map(value);
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
        };
        let ((left, right), (top, bottom)) = (ends(|p| p.0), ends(|p| p.1));
        if corners.is_empty() {
            return;
        }
        let (left, top) = (left.floor(), top.floor());
        // one column more: the rasteriser writes there, with a share of 0, what lies on the right edge
        let mut shape = Rasterizer::new((right.ceil() - left) as usize + 1, (bottom.ceil() - top) as usize);
        let place = |p: &Point| point((p.0 - left) as f32, (p.1 - top) as f32);
        for (a, b) in corners.iter().zip(corners.iter().cycle().skip(1)) {
            shape.draw_line(place(a), place(b));
        }
        shape.for_each_pixel_2d(|x, y, share| {
            if share > LEAST_SHARE {
                pixel((left as i32 + x as i32, top as i32 + y as i32), share.min(1.0));
            }
        });
    }
}

impl DrawingBackend for Smooth<'_> {
    type ErrorType = BitMapBackendError;

    fn get_size(&self) -> (u32, u32) {
        let (width, height) = self.bitmap.get_size();
        (width * STEPS as u32, height * STEPS as u32)
    }

    fn ensure_prepared(&mut self) -> Drawn {
        self.bitmap.ensure_prepared()
    }

    fn present(&mut self) -> Drawn {
        self.bitmap.present()
    }

    fn draw_pixel(&mut self, at: BackendCoord, ink: BackendColor) -> Drawn {
        self.bitmap.draw_pixel(whole(pixels(at)), ink)
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Drawn {
        self.draw_path([from, to], style)
    }

    /// A filled rectangle has its edges at whole pixels.
    fn draw_rect<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S, fill: bool) -> Drawn {
        match fill {
            true => self.bitmap.draw_rect(whole(pixels(from)), whole(pixels(to)), style, true),
            false => self.draw_path([from, (to.0, from.1), to, (from.0, to.1), from], style),
        }
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Drawn {
        let points: Vec<Point> = path.into_iter().map(pixels).collect();
        self.stroke(&points, f64::from(style.stroke_width()) / f64::from(STEPS), style.color())
    }

    fn draw_circle<S: BackendStyle>(&mut self, center: BackendCoord, radius: u32, style: &S, fill: bool) -> Drawn {
        let center = pixels(center);
        let mut circle = rounded(center, center, f64::from(radius) / f64::from(STEPS));
        if fill {
            return self.fill(&circle, style.color());
        }
        circle.extend(circle.first().copied());
        self.stroke(&circle, f64::from(style.stroke_width()) / f64::from(STEPS), style.color())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, corners: I, style: &S) -> Drawn {
        let corners: Vec<Point> = corners.into_iter().map(pixels).collect();
        self.fill(&corners, style.color())
    }

    /// One line whose top, as [`Font::TOP`] has it, lies at `at`: level, or turned to read upwards.
    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, at: BackendCoord) -> Drawn {
        let size = style.size() / (Font::PLOTTERS_EM * f64::from(STEPS));
        let (x, y) = pixels(at);
        let before = match style.anchor().h_pos {
            HPos::Left => 0.0,
            HPos::Center => (self.font.width(text, size) / 2.0).round(),
            HPos::Right => self.font.width(text, size).round(),
        };
        let upwards = matches!(style.transform(), FontTransform::Rotate270);
        let down = Font::TOP * size;
        let start = whole(if upwards { (x + down, y + before) } else { (x - before, y + down) });
        let mut done = Ok(());
        self.font.draw(text, size, |dx, dy, share| {
            let at = if upwards { (start.0 + dy, start.1 - dx) } else { (start.0 + dx, start.1 + dy) };
            if done.is_ok() {
                done = self.bitmap.draw_pixel(at, style.color().mix(f64::from(share)));
            }
        });
        done
    }
}

/// The place in pixels of a place in steps.
fn pixels((x, y): BackendCoord) -> Point {
    (f64::from(x) / f64::from(STEPS), f64::from(y) / f64::from(STEPS))
}

fn whole((x, y): Point) -> (i32, i32) {
    (x.round() as i32, y.round() as i32)
}

fn area((width, height): (u32, u32)) -> Rect {
    Rect { left: 0.0, top: 0.0, right: width.into(), bottom: height.into() }
}

/// The segment in pieces around which rectangles are small: only what lies in those is looked at.
fn short(a: Point, b: Point) -> impl Iterator<Item = (Point, Point)> {
    const SIDE: f64 = 32.0;
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let count = (dx.abs().min(dy.abs()) / SIDE).ceil().max(1.0);
    let at = move |k: usize| (a.0 + dx * k as f64 / count, a.1 + dy * k as f64 / count);
    (0..count as usize).map(move |k| (at(k), at(k + 1)))
}

/// What lies within `radius` of a segment, as a polygon; of a point, a circle.
fn rounded(a: Point, b: Point, radius: f64) -> Vec<Point> {
    let along = (b.1 - a.1).atan2(b.0 - a.0);
    // the polygon's sides are nowhere further than a tenth of a pixel from the circle
    let corners = 4 + (3.0 * radius.sqrt()) as usize;
    let half = |center: Point, from: f64| {
        (0..=corners).map(move |k| {
            let (sin, cos) = (from + PI * k as f64 / corners as f64).sin_cos();
            (center.0 + radius * cos, center.1 + radius * sin)
        })
    };
    half(b, along - PI / 2.0).chain(half(a, along + PI / 2.0)).collect()
}
