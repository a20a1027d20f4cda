//! Vectors in space: a solid whose corners they are, seen from a chosen side. Turned step by step, it makes a [`Slider`](super::Slider).

use super::captions::{Captions, caption_setters};
use super::colors::Color;
use super::hull::{Edge, hull_edges};
use super::plane::Plane;
use crate::error::{Error, Result};

/// Vectors in space, as arrows from the origin, and the edges of their convex hull.
///
/// Up is the first vector; the second points to the viewer when the solid is not turned. Faces that lie in one plane, to 15°, are one face.
/// Edges and arrows at the back are lighter.
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// let octahedron = Solid::new(&[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])?;
/// assert_eq!(octahedron.edges(), 12);
/// let turning = Slider::new((0..12).map(|k| octahedron.seen_from(30.0 * k as f64)))?;
/// assert_eq!(turning.len(), 12);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Solid {
    /// In the solid's own axes and at a size near 1: the first vector is `(0, 0, z)`.
    tips: Vec<[f64; 3]>,
    edges: Vec<Edge>,
    captions: Captions,
}

/// Degrees by which the viewer looks down.
const ABOVE: f64 = 18.0;
/// Each triple of them may be a face.
const MOST_POINTS: usize = 200;

impl Solid {
    /// Arrows to these points, labelled with their indices.
    ///
    /// # Errors
    /// No points or more than 200, or a coordinate that is not a finite number.
    pub fn new(points: &[[f64; 3]]) -> Result<Self> {
        if points.is_empty() {
            return Err(Error::argument("points", "empty", "there must be at least one vector"));
        }
        if let Some(bad) = points.iter().flatten().find(|v| !v.is_finite()) {
            return Err(Error::argument("points", format!("a list with {bad}"), "every coordinate must be finite"));
        }
        if points.len() > MOST_POINTS {
            let expected = format!("a solid shows up to {MOST_POINTS} vectors");
            return Err(Error::argument("points", format!("{} vectors", points.len()), expected));
        }
        let tips = upright(&at_unit_size(points));
        let edges = hull_edges(&tips);
        Ok(Self { tips, edges, captions: Captions::default() })
    }

    caption_setters!();

    /// Number of edges of the convex hull.
    pub fn edges(&self) -> usize {
        self.edges.len()
    }

    /// The solid turned by so many degrees around the first vector, as a plot without axes. An angle that is no finite number is refused
    /// when the plot is drawn.
    pub fn seen_from(&self, degrees: f64) -> Plane {
        let angle = if degrees.is_finite() { degrees.to_radians() } else { 0.0 };
        let ((sin, cos), (down, level)) = (angle.sin_cos(), ABOVE.to_radians().sin_cos());
        // to the right, up, and towards the viewer
        let turned = |[x, y, z]: [f64; 3]| {
            let (right, near) = (cos * y - sin * x, cos * x + sin * y);
            [right, level * z - down * near, level * near + down * z]
        };
        let seen: Vec<[f64; 3]> = self.tips.iter().map(|tip| turned(*tip)).collect();
        let axis = |k: usize| seen.iter().map(|tip| tip[k]).collect::<Vec<_>>();
        let count = seen.len();
        let longest = self.tips.iter().map(|tip| length(*tip)).fold(0.0, f64::max);
        let hues: Vec<Color> = (0..count)
            .map(|k| {
                let hue = Color::hue(k, count);
                if seen[k][2] < -1e-6 * longest { hue.lighter(0.5) } else { hue }
            })
            .collect();
        let mut plane =
            Plane::bare(&axis(0), &axis(1), degrees).colors(&hues).reach(1.2 * longest.max(f64::MIN_POSITIVE));
        for edge in &self.edges {
            let front = edge.normals.iter().any(|normal| turned(*normal)[2] > 0.0);
            plane = plane.edge(edge.from, edge.to, if front { Color::Black } else { Color::Grey.lighter(0.45) });
        }
        plane.title(&self.captions.title).x_label(&self.captions.x_label).y_label(&self.captions.y_label)
    }
}

/// The points with their largest coordinate near 1, by a power of two: the same shape, and no product overflows or vanishes.
fn at_unit_size(points: &[[f64; 3]]) -> Vec<[f64; 3]> {
    let largest = points.iter().flatten().fold(0.0f64, |largest, x| largest.max(x.abs()));
    let exponent = if largest > 0.0 { -largest.log2().floor() as i32 } else { 0 };
    // in two steps: the inverse of the smallest numbers is none
    let factor = |exponent: i32| 2f64.powi(exponent);
    points.iter().map(|p| p.map(|x| x * factor(exponent / 2) * factor(exponent - exponent / 2))).collect()
}

fn length([x, y, z]: [f64; 3]) -> f64 {
    x.hypot(y).hypot(z)
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// The points in axes of their own: z along the first, x along what is across it of the first that is not parallel.
fn upright(points: &[[f64; 3]]) -> Vec<[f64; 3]> {
    let unit = |v: [f64; 3]| (length(v) > 1e-9).then(|| v.map(|x| x / length(v)));
    let across = |v: [f64; 3], axis: [f64; 3]| {
        let along = dot(v, axis);
        [v[0] - along * axis[0], v[1] - along * axis[1], v[2] - along * axis[2]]
    };
    let up = points.iter().find_map(|p| unit(*p)).unwrap_or([0.0, 0.0, 1.0]);
    let spare = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];
    let far = points.iter().map(|p| length(*p)).fold(1e-9, f64::max);
    let sideways = |p: &[f64; 3]| across(*p, up);
    let first = points.iter().map(sideways).find(|v| length(*v) > 0.1 * far);
    let front = first.or_else(|| spare.iter().map(sideways).find(|v| length(*v) > 0.5)).and_then(unit);
    let front = front.unwrap_or([1.0, 0.0, 0.0]);
    let right =
        [up[1] * front[2] - up[2] * front[1], up[2] * front[0] - up[0] * front[2], up[0] * front[1] - up[1] * front[0]];
    points.iter().map(|p| [dot(*p, front), dot(*p, right), dot(*p, up)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_solid_stands_upright_and_keeps_its_shape() {
        let points = [[1.0, 2.0, 2.0], [-2.0, 1.0, 0.5], [0.0, -3.0, 1.0], [1.0, 1.0, -4.0]];
        let tips = upright(&points);
        assert!((tips[0][2] - 3.0).abs() < 1e-12 && tips[0][0].hypot(tips[0][1]) < 1e-12, "{tips:?}");
        for (a, b) in [(0, 1), (1, 2), (2, 3), (3, 3)] {
            assert!((dot(points[a], points[b]) - dot(tips[a], tips[b])).abs() < 1e-12);
        }
    }

    #[test]
    fn the_size_of_a_solid_changes_nothing() {
        let points = [[0.0, 0.0, 1.0], [1.0, 0.0, -0.25], [-0.5, 0.75, -0.25], [-0.5, -0.75, -0.25]];
        let solid = Solid::new(&points).unwrap();
        for exponent in [-1000, -60, 60, 1000] {
            let other = points.map(|p| p.map(|x| x * 2f64.powi(exponent)));
            assert_eq!(Solid::new(&other).unwrap(), solid, "2^{exponent}");
        }
    }

    #[test]
    fn points_on_a_line_and_none_at_all() {
        let line = Solid::new(&[[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]).unwrap();
        assert_eq!(line.edges(), 0);
        assert!(line.seen_from(30.0).figure().to_png().is_ok());
        assert!(Solid::new(&[]).is_err() && Solid::new(&[[f64::NAN, 0.0, 0.0]]).is_err());
    }

    #[test]
    fn a_whole_turn_changes_nothing() {
        let solid = Solid::new(&[[0.0, 0.0, 1.0], [1.0, 0.0, -0.3], [-0.5, 0.8, -0.3], [-0.5, -0.8, -0.3]]).unwrap();
        assert_eq!(solid.edges(), 6);
        let (one, other) = (solid.seen_from(0.0).figure(), solid.seen_from(360.0).figure());
        assert!(one.to_png().unwrap() == other.to_png().unwrap());
        assert!(one.to_png().unwrap() != solid.seen_from(40.0).figure().to_png().unwrap());
    }
}
