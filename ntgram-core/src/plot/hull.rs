//! The convex hull of points in the plane.

/// Indices of the corners of the convex hull, counter-clockwise (Andrew's monotone chain); points on its edges are left out.
pub(super) fn convex_hull(points: &[(f64, f64)]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    let compare = |a: &usize, b: &usize| {
        let (a, b) = (points[*a], points[*b]);
        a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
    };
    order.sort_by(compare);
    order.dedup_by(|a, b| points[*a] == points[*b]);
    if order.len() < 3 {
        return order;
    }
    let left_turn = |a: usize, b: usize, c: usize| {
        let ((ax, ay), (bx, by), (cx, cy)) = (points[a], points[b], points[c]);
        (bx - ax) * (cy - ay) - (by - ay) * (cx - ax) > 0.0
    };
    let half = |order: &mut dyn Iterator<Item = usize>| {
        let mut chain: Vec<usize> = Vec::new();
        for k in order {
            while chain.len() >= 2 && !left_turn(chain[chain.len() - 2], chain[chain.len() - 1], k) {
                chain.pop();
            }
            chain.push(k);
        }
        // the last point begins the other half
        chain.pop();
        chain
    };
    let mut hull = half(&mut order.iter().copied());
    hull.extend(half(&mut order.iter().rev().copied()));
    hull
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hull_has_the_outermost_points_in_order() {
        let square = [(0.0, 0.0), (1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (0.5, 0.2), (-1.0, -1.0), (0.0, 1.0)];
        assert_eq!(convex_hull(&square), [5, 2, 1, 3]);
        assert_eq!(convex_hull(&[(2.0, 2.0)]), [0]);
        assert_eq!(convex_hull(&[(2.0, 2.0), (1.0, 0.0), (2.0, 2.0)]), [1, 0]);
        // all on one line: its two ends
        assert_eq!(convex_hull(&[(0.0, 0.0), (2.0, 2.0), (1.0, 1.0)]), [0, 1]);
    }
}
