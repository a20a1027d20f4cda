//! Lengths, points and rectangles of a figure, in device pixels, y growing downwards.

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

    pub(super) fn overlaps(&self, other: &Rect) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    /// With `by` more on every side.
    pub(super) fn grown(&self, by: f64) -> Rect {
        Rect { left: self.left - by, top: self.top - by, right: self.right + by, bottom: self.bottom + by }
    }

    /// Moved as far as it must be to lie inside `frame`; at its left and top where it is larger.
    pub(super) fn moved_into(&self, frame: &Rect) -> Rect {
        let shift = |low: f64, high: f64, from: f64, to: f64| {
            let back = (to - high).min(0.0);
            back + (from - low - back).max(0.0)
        };
        let dx = shift(self.left, self.right, frame.left, frame.right);
        let dy = shift(self.top, self.bottom, frame.top, frame.bottom);
        Rect { left: self.left + dx, right: self.right + dx, top: self.top + dy, bottom: self.bottom + dy }
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

    /// The part of a polygon that lies inside (Sutherland and Hodgman).
    pub(super) fn clip_polygon(&self, corners: &[Point]) -> Vec<Point> {
        if corners.iter().all(|p| self.contains(*p)) {
            return corners.to_vec();
        }
        // how far inside each of the four sides a point is
        let sides: [&dyn Fn(Point) -> f64; 4] =
            [&|p| p.0 - self.left, &|p| self.right - p.0, &|p| p.1 - self.top, &|p| self.bottom - p.1];
        sides.iter().fold(corners.to_vec(), |corners, room| {
            let mut kept = Vec::new();
            for (&a, &b) in corners.iter().zip(corners.iter().cycle().skip(1)) {
                let (of_a, of_b) = (room(a), room(b));
                if of_a >= 0.0 {
                    kept.push(a);
                }
                if (of_a >= 0.0) != (of_b >= 0.0) {
                    let t = of_a / (of_a - of_b);
                    kept.push((a.0 + t * (b.0 - a.0), a.1 + t * (b.1 - a.1)));
                }
            }
            kept
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_segments_to_the_rectangle() {
        let rect = Rect { left: 0.0, top: 0.0, right: 10.0, bottom: 5.0 };
        assert_eq!(rect.clip((-5.0, 2.0), (15.0, 2.0)), Some(((0.0, 2.0), (10.0, 2.0))));
        assert_eq!(rect.clip((1.0, 1.0), (2.0, 2.0)), Some(((1.0, 1.0), (2.0, 2.0))));
        assert_eq!(rect.clip((-5.0, 6.0), (15.0, 6.0)), None);
        assert_eq!(rect.clip((-1.0, 4.0), (1.0, 8.0)), None);
    }

    #[test]
    fn polygons_are_cut_off_at_the_rectangles_edges() {
        let rect = Rect { left: 0.0, top: 0.0, right: 10.0, bottom: 10.0 };
        let inside = [(1.0, 1.0), (9.0, 1.0), (5.0, 9.0)];
        assert_eq!(rect.clip_polygon(&inside), inside);
        assert_eq!(rect.clip_polygon(&[(5.0, 2.0), (15.0, 2.0), (15.0, 8.0), (5.0, 8.0)]).len(), 4);
        let around = rect.clip_polygon(&[(-90.0, -90.0), (90.0, -90.0), (90.0, 90.0), (-90.0, 90.0)]);
        assert!(around.iter().all(|p| rect.contains(*p)) && around.len() == 4, "{around:?}");
        assert_eq!(rect.clip_polygon(&[(11.0, 1.0), (12.0, 1.0), (11.0, 2.0)]), []);
    }

    #[test]
    fn moves_as_little_as_it_must() {
        let frame = Rect { left: 0.0, top: 0.0, right: 10.0, bottom: 10.0 };
        let at = |left: f64, top: f64, side: f64| Rect { left, top, right: left + side, bottom: top + side };
        assert_eq!(at(3.0, 4.0, 2.0).moved_into(&frame), at(3.0, 4.0, 2.0));
        assert_eq!(at(-3.0, 9.0, 2.0).moved_into(&frame), at(0.0, 8.0, 2.0));
        assert_eq!(at(5.0, 5.0, 12.0).moved_into(&frame), at(0.0, 0.0, 12.0));
    }
}
