//! A series in pixels: its line in pieces and in dashes, its error bars, the areas of a band.

use plotters::backend::DrawingBackend;

use super::canvas::Canvas;
use super::colors::Rgb;
use super::geometry::{Point, Rect, px};
use crate::error::Result;

/// Of the points of each pixel column the first, the lowest, the highest and the last, in their order; points
/// that do not go from left to right are left as they are.
pub(super) fn spans(points: &[Option<Point>]) -> Vec<Option<Point>> {
    if !rises(points.iter().flatten().map(|p| p.0)) {
        return points.to_vec();
    }
    let mut kept = Vec::new();
    let column = |p: &Option<Point>| p.map(|p| p.0.floor());
    for group in points.chunk_by(|a, b| column(a) == column(b)) {
        // a run of gaps is one gap
        let height = |k: &usize| group[*k].map_or(0.0, |p| p.1);
        let order = |a: &usize, b: &usize| height(a).total_cmp(&height(b));
        let (low, high) = ((0..group.len()).min_by(order), (0..group.len()).max_by(order));
        let mut picked = [Some(0), low, high, Some(group.len() - 1)].map(|k| k.unwrap_or(0)).to_vec();
        picked.sort_unstable();
        picked.dedup();
        kept.extend(picked.into_iter().map(|k| group[k]));
    }
    kept
}

/// Whether the values never fall.
pub(super) fn rises(mut values: impl Iterator<Item = f64>) -> bool {
    let mut previous = f64::NEG_INFINITY;
    values.all(|value| std::mem::replace(&mut previous, value) <= value)
}

/// The runs of points between gaps, cut off where they leave the plot.
pub(super) fn pieces(points: &[Option<Point>], plot: Rect) -> Vec<Vec<Point>> {
    let mut pieces: Vec<Vec<Point>> = Vec::new();
    for run in points.split(Option::is_none) {
        let run: Vec<Point> = run.iter().flatten().copied().collect();
        if let [point] = run[..] {
            if plot.contains(point) {
                pieces.push(vec![point]);
            }
            continue;
        }
        let mut end = None;
        for pair in run.windows(2) {
            let Some((from, to)) = plot.clip(pair[0], pair[1]) else {
                end = None;
                continue;
            };
            match pieces.last_mut() {
                Some(piece) if end == Some(from) => piece.push(to),
                _ => pieces.push(vec![from, to]),
            }
            end = Some(to);
        }
    }
    pieces
}

/// Half the length of the strokes at the ends of an error bar, in CSS pixels.
const CAP: f64 = 2.5;

/// An error bar inside the plot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bar {
    pub(super) x: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    /// Whether it ends at the top and at the bottom, and not only at the plot's edge.
    pub(super) ends: (bool, bool),
}

impl Bar {
    /// The part inside the plot of a bar from `top` to `bottom`, if any.
    pub(super) fn inside(plot: Rect, x: f64, top: f64, bottom: f64) -> Option<Self> {
        let ends = (top >= plot.top, bottom <= plot.bottom);
        let bar = Self { x, top: top.max(plot.top), bottom: bottom.min(plot.bottom), ends };
        ((plot.left..=plot.right).contains(&x) && bar.top <= bar.bottom).then_some(bar)
    }

    /// Draws it, with a short stroke across each of its ends.
    pub(super) fn draw(&self, canvas: &mut Canvas<impl DrawingBackend>, color: Rgb) -> Result<()> {
        let (half, x) = (px(0.5), self.x.round());
        canvas.fill(Rect { left: x - half, right: x + half, top: self.top, bottom: self.bottom }, color)?;
        for (y, ends) in [(self.top.round(), self.ends.0), (self.bottom.round(), self.ends.1)] {
            if ends {
                let (left, right) = (x - px(CAP), x + px(CAP));
                canvas.fill(Rect { left, right, top: y - half, bottom: y + half }, color)?;
            }
        }
        Ok(())
    }
}

/// A place of a band: x, and its ends, the upper one first.
pub(super) type Ends = (f64, f64, f64);

/// The areas of a band between its gaps, cut off at the plot's edges. Its places go from left to right.
pub(super) fn areas(band: &[Option<Ends>], plot: Rect) -> Vec<Vec<Point>> {
    let area = |run: &[Option<Ends>]| {
        let mut run: Vec<Ends> = run.iter().flatten().copied().collect();
        if run.len() as f64 > 2.0 * plot.width() {
            // of each pixel column all that it spans
            let column = |ends: &Ends| ends.0.floor();
            let spanned = |group: &[Ends]| {
                let start = (group[0].0, f64::INFINITY, f64::NEG_INFINITY);
                group.iter().fold(start, |all, ends| (all.0, all.1.min(ends.1), all.2.max(ends.2)))
            };
            run = run.chunk_by(|a, b| column(a) == column(b)).map(spanned).collect();
        }
        let upper = run.iter().map(|&(x, upper, _)| (x, upper));
        let lower = run.iter().rev().map(|&(x, _, lower)| (x, lower));
        plot.clip_polygon(&upper.chain(lower).collect::<Vec<_>>())
    };
    band.split(Option::is_none).map(area).filter(|area| area.len() > 2).collect()
}

/// A line through points in dashes: as long as `dash`, `gap` apart, measured along the line. A line so long that it would have more than
/// [`MOST_DASHES`] goes to and fro until its dashes lie on one another: it stays whole.
pub(super) fn dashes(points: &[Point], dash: f64, gap: f64) -> Vec<Vec<Point>> {
    let length = |a: Point, b: Point| (b.0 - a.0).hypot(b.1 - a.1);
    let total: f64 = points.windows(2).map(|pair| length(pair[0], pair[1])).sum();
    if total / (dash + gap) > MOST_DASHES {
        return vec![points.to_vec()];
    }
    let mut dashes: Vec<Vec<Point>> = points.first().map(|start| vec![*start]).into_iter().collect();
    // what is left of the dash or gap that the line is in
    let (mut inked, mut left) = (true, dash);
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        let mut rest = length(from, to);
        while rest > left {
            let t = left / rest;
            from = (from.0 + t * (to.0 - from.0), from.1 + t * (to.1 - from.1));
            rest -= left;
            match dashes.last_mut() {
                Some(open) if inked => open.push(from),
                _ => dashes.push(vec![from]),
            }
            inked = !inked;
            left = if inked { dash } else { gap };
        }
        left -= rest;
        if let Some(open) = dashes.last_mut().filter(|_| inked) {
            open.push(to);
        }
    }
    dashes
}

/// See [`dashes`].
const MOST_DASHES: f64 = 2000.0;

#[cfg(test)]
mod tests {
    use super::*;

    const PLOT: Rect = Rect { left: 0.0, top: 0.0, right: 100.0, bottom: 50.0 };

    #[test]
    fn bars_end_at_the_edges_of_the_plot() {
        let bar = |x, top, bottom| Bar::inside(PLOT, x, top, bottom);
        assert_eq!(bar(10.0, 5.0, 20.0), Some(Bar { x: 10.0, top: 5.0, bottom: 20.0, ends: (true, true) }));
        assert_eq!(bar(10.0, -5.0, 1e9), Some(Bar { x: 10.0, top: 0.0, bottom: 50.0, ends: (false, false) }));
        assert_eq!((bar(101.0, 5.0, 20.0), bar(10.0, 51.0, 60.0), bar(10.0, -9.0, -5.0)), (None, None, None));
    }

    #[test]
    fn bands_are_cut_at_gaps_and_edges() {
        let band: Vec<Option<Ends>> =
            vec![Some((0.0, 10.0, 20.0)), Some((50.0, 5.0, 30.0)), None, Some((60.0, 1.0, 2.0)), None, None];
        assert_eq!(areas(&band, PLOT), [[(0.0, 10.0), (50.0, 5.0), (50.0, 30.0), (0.0, 20.0)]]);
        let tall = areas(&[Some((0.0, -1e9, 1e9)), Some((200.0, -1e9, 1e9))], PLOT);
        let reach = |of: fn(&Point) -> f64| tall[0].iter().map(of).fold(f64::NEG_INFINITY, f64::max);
        assert_eq!((reach(|p| p.0), reach(|p| p.1), reach(|p| -p.0), reach(|p| -p.1)), (100.0, 50.0, 0.0, 0.0));
        assert_eq!(areas(&[], PLOT), Vec::<Vec<Point>>::new());
    }

    #[test]
    fn dense_bands_keep_their_extremes() {
        let mut band: Vec<Option<Ends>> = (0..10_000).map(|k| Some((f64::from(k) / 100.0, 20.0, 30.0))).collect();
        band[5_050] = Some((50.5, 3.0, 47.0));
        let area = areas(&band, PLOT).remove(0);
        assert_eq!(area.len(), 200);
        assert!(area.contains(&(50.0, 3.0)) && area.contains(&(50.0, 47.0)), "{area:?}");
    }

    #[test]
    fn dashes_follow_the_line_around_its_corners() {
        // 30 to the right, then 40 down
        let line = [(0.0, 0.0), (30.0, 0.0), (30.0, 40.0)];
        let got = dashes(&line, 12.0, 8.0);
        let expected: [&[Point]; 4] = [
            &[(0.0, 0.0), (12.0, 0.0)],
            &[(20.0, 0.0), (30.0, 0.0), (30.0, 2.0)],
            &[(30.0, 10.0), (30.0, 22.0)],
            &[(30.0, 30.0), (30.0, 40.0)],
        ];
        assert_eq!(got, expected);
        assert_eq!(dashes(&[], 1.0, 1.0), Vec::<Vec<Point>>::new());
        assert_eq!(dashes(&[(1.0, 2.0)], 1.0, 1.0), [[(1.0, 2.0)]]);
    }

    #[test]
    fn a_line_whose_dashes_would_lie_on_one_another_stays_whole() {
        let zigzag: Vec<Point> = (0..5000).map(|k| (f64::from(k % 2) * 1000.0, f64::from(k % 3) * 500.0)).collect();
        assert_eq!(dashes(&zigzag, 12.0, 7.0), std::slice::from_ref(&zigzag));
        assert!((1000..2000).contains(&dashes(&zigzag[..25], 12.0, 7.0).len()));
    }
}
