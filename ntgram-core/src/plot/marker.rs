//! What stands at a point of a series.

use std::f64::consts::TAU;

use plotters::backend::DrawingBackend;

use super::canvas::Canvas;
use super::colors::Rgb;
use super::geometry::{Point, px};
use crate::error::Result;

/// What stands at each point of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// A filled circle, what series have that name no other.
    Dot,
    /// A circle whose inside is left free: around a dot of another series both are seen.
    Ring,
    /// A filled square.
    Square,
    /// A filled square on its corner.
    Diamond,
    /// A filled triangle that points upwards.
    Triangle,
    /// Two crossing strokes.
    Cross,
}

/// Width of the strokes of rings and crosses, in CSS pixels.
const STROKE: f64 = 1.4;
/// Corners of a ring's circles.
const CORNERS: usize = 32;

impl Marker {
    /// Draws it around a point, as heavy as a dot of this diameter.
    pub(super) fn draw(
        self,
        canvas: &mut Canvas<impl DrawingBackend>,
        point: Point,
        diameter: f64,
        color: Rgb,
    ) -> Result<()> {
        if self == Marker::Dot {
            return canvas.stroke(&[point], diameter, color);
        }
        let corners: Vec<Point> =
            self.corners(diameter / 2.0).into_iter().map(|(x, y)| (point.0 + x, point.1 + y)).collect();
        canvas.polygon(&corners, color, 1.0)
    }

    /// Its outline around the origin.
    fn corners(self, radius: f64) -> Vec<Point> {
        let around = |reach: f64, count: usize, from: f64| {
            (0..=count).map(move |k| {
                let (sin, cos) = (from + TAU * k as f64 / count as f64).sin_cos();
                (reach * cos, reach * sin)
            })
        };
        // corners of regular polygons, from the top on
        let regular = |reach: f64, count: usize, from: f64| around(reach * radius, count, from).skip(1).collect();
        let top = -TAU / 4.0;
        match self {
            Marker::Dot => regular(1.0, CORNERS, top),
            Marker::Square => regular(1.25, 4, TAU / 8.0),
            Marker::Diamond => regular(1.4, 4, top),
            Marker::Triangle => regular(1.5, 3, top),
            // the outer circle, and back along the inner one
            Marker::Ring => {
                let (outer, inner) = (1.5 * radius, (1.5 * radius - px(STROKE)).max(0.5 * radius));
                let back = around(inner, CORNERS, top).collect::<Vec<_>>().into_iter().rev();
                around(outer, CORNERS, top).chain(back).collect()
            }
            Marker::Cross => {
                let (arm, half) = (1.3 * radius, px(STROKE) / 2.0);
                let upright = [(-half, -arm), (half, -arm), (half, -half), (arm, -half), (arm, half), (half, half)];
                let opposite = upright.map(|(x, y)| (-x, -y));
                // a plus sign, turned by an eighth
                let turned = |(x, y): Point| ((x - y) / 2f64.sqrt(), (x + y) / 2f64.sqrt());
                upright.into_iter().chain(opposite).map(turned).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_about_as_heavy_as_a_dot_and_lie_around_their_point() {
        let radius = px(2.75);
        for marker in [Marker::Dot, Marker::Ring, Marker::Square, Marker::Diamond, Marker::Triangle, Marker::Cross] {
            let corners = marker.corners(radius);
            let next = corners.iter().cycle().skip(1);
            let area: f64 = corners.iter().zip(next).map(|(a, b)| (a.0 * b.1 - b.0 * a.1) / 2.0).sum();
            let share = area.abs() / (TAU / 2.0 * radius * radius);
            assert!((0.7..1.4).contains(&share), "{marker:?}: {share}");
            let (x, y) = corners.iter().fold((0.0, 0.0), |sum, corner| (sum.0 + corner.0, sum.1 + corner.1));
            assert!(x.abs() < 1e-9 && (marker == Marker::Ring || y.abs() < 1e-9), "{marker:?}: {x} {y}");
            assert!(corners.iter().all(|corner| corner.0.hypot(corner.1) < 1.6 * radius), "{marker:?}");
        }
    }
}
