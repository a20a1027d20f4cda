//! The convex hull of points in the plane, and in space.

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

/// An edge of a solid: its ends, and the outward normals (of length 1) of the faces that meet there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) normals: Vec<[f64; 3]>,
}

/// Cosine of the angle to which faces count as one: 15°.
const FLAT: f64 = 0.966;

/// The edges of the convex hull of points in space; none where all lie in one plane. Every triple of points is tried: for tens of points.
pub(super) fn hull_edges(points: &[[f64; 3]]) -> Vec<Edge> {
    let minus = |a: [f64; 3], b: [f64; 3]| [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
    let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let cross =
        |a: [f64; 3], b: [f64; 3]| [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
    let size = points.iter().flatten().fold(0.0f64, |m, v| m.max(v.abs()));
    let n = points.len();
    let mut edges: Vec<Edge> = Vec::new();
    for i in 0..n {
        for j in i + 1..n {
            for k in j + 1..n {
                let normal = cross(minus(points[j], points[i]), minus(points[k], points[i]));
                let length = dot(normal, normal).sqrt();
                if length < 1e-9 * size * size {
                    continue;
                }
                let heights = points.iter().map(|p| dot(minus(*p, points[i]), normal) / length);
                let (low, high) = heights.fold((0.0f64, 0.0f64), |(low, high), h| (low.min(h), high.max(h)));
                let near = 1e-6 * size;
                // a face has all other points on one side; points of one plane only have no inside
                let outward = match (low > -near, high < near) {
                    (false, true) => 1.0,
                    (true, false) => -1.0,
                    _ => continue,
                };
                let normal = normal.map(|v| outward * v / length);
                for (from, to) in [(i, j), (i, k), (j, k)] {
                    match edges.iter_mut().find(|edge| (edge.from, edge.to) == (from, to)) {
                        Some(edge) if edge.normals.iter().any(|other| dot(*other, normal) > FLAT) => {}
                        Some(edge) => edge.normals.push(normal),
                        None => edges.push(Edge { from, to, normals: vec![normal] }),
                    }
                }
            }
        }
    }
    // a line between triangles of one face is no edge
    edges.retain(|edge| edge.normals.len() > 1);
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solids_have_the_edges_that_euler_counts() {
        let cube: Vec<[f64; 3]> =
            (0..8).map(|k| [k & 1, k >> 1 & 1, k >> 2].map(|bit| 2.0 * f64::from(bit) - 1.0)).collect();
        assert_eq!(hull_edges(&cube).len(), 12, "no diagonals of its square faces");
        let mut octahedron = vec![];
        for axis in 0..3 {
            for sign in [1.0, -1.0] {
                octahedron.push(std::array::from_fn(|k| if k == axis { sign } else { 0.0 }));
            }
        }
        let edges = hull_edges(&octahedron);
        assert_eq!(edges.len(), 12);
        for edge in &edges {
            assert_eq!(edge.normals.len(), 2);
            assert!(
                edge.normals.iter().all(|n| n.iter().zip(octahedron[edge.from]).map(|(a, b)| a * b).sum::<f64>() > 0.5),
                "outward"
            );
        }
        octahedron.push([0.0; 3]);
        assert_eq!(hull_edges(&octahedron).len(), 12, "a point inside changes nothing");
        assert_eq!(hull_edges(&octahedron[..3]), [], "a plane has no inside");
    }

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
