//! Where the panels of a figure go.

use super::font::Font;
use super::geometry::{Rect, SCALE, px};
use super::panel::Panel;
use super::space::{Margins, Slot, text_height};
use crate::error::{Error, Result};

/// Lengths in CSS pixels: around the figure, between panels, below the figure's title; and the title's size.
pub(super) const AROUND: f64 = 10.0;
const BETWEEN: f64 = 18.0;
const TITLE_GAP: f64 = 14.0;
pub(super) const TITLE_TEXT: f64 = 17.0;
/// Smallest side of a plot and largest area of a figure, in CSS pixels.
const SMALLEST: f64 = 30.0;
const LARGEST: f64 = 2e7;

/// What is laid out.
#[derive(Clone, Copy)]
pub(super) struct Grid<'a> {
    /// At least one.
    pub(super) panels: &'a [Panel],
    /// At least 1, and no more than there are panels.
    pub(super) columns: usize,
    pub(super) title: &'a str,
    /// Width and height in CSS pixels, if they are given.
    pub(super) size: Option<(u32, u32)>,
}

/// Where everything goes, in device pixels.
pub(super) struct Layout {
    pub(super) size: (u32, u32),
    pub(super) title: Vec<String>,
    pub(super) slots: Vec<Slot>,
}

impl Grid<'_> {
    /// Plots of one grid column are equally wide and left-aligned, those of one row equally high and on one line.
    pub(super) fn layout(&self, font: &Font) -> Result<Layout> {
        let columns = self.columns;
        let free: Vec<(f64, f64)> = self.panels.iter().map(|panel| panel.free_size(font, columns)).collect();
        let mut widths = largest(&free, columns, |k| k % columns, |size| size.0);
        let mut heights = largest(&free, self.panels.len().div_ceil(columns), |k| k / columns, |size| size.1);
        // labels depend on the size, and a given size of the figure leaves to the plots what labels do not take
        let mut frame = self.frame(font, &widths, &heights);
        if let Some((width, height)) = self.size {
            for _ in 0..2 {
                let taken = (frame.size.0 - widths.iter().sum::<f64>(), frame.size.1 - heights.iter().sum::<f64>());
                share(&mut widths, px(width.into()) - taken.0);
                share(&mut heights, px(height.into()) - taken.1);
                if widths.iter().chain(&heights).any(|side| *side < px(SMALLEST)) {
                    let least = |taken: f64, count: usize| (taken / px(1.0) + count as f64 * SMALLEST).ceil();
                    let (w, h) = (least(taken.0, widths.len()), least(taken.1, heights.len()));
                    let expected = format!("the labels leave no room for the plots: it must be at least {w} × {h}");
                    return Err(Error::argument("size", format!("{width} × {height}"), expected));
                }
                frame = self.frame(font, &widths, &heights);
            }
            frame.size = (px(width.into()), px(height.into()));
        }
        let css = |side: f64| (side / px(1.0)).ceil();
        if css(frame.size.0) * css(frame.size.1) > LARGEST {
            let value = format!("{} × {}", css(frame.size.0), css(frame.size.1));
            return Err(Error::argument("size", value, format!("a figure has at most {LARGEST:.0} pixels")));
        }
        let size = (css(frame.size.0) as u32 * SCALE, css(frame.size.1) as u32 * SCALE);
        let slots = (0..self.panels.len()).map(|k| frame.slot(k / columns, k % columns, &widths, &heights)).collect();
        Ok(Layout { size, title: frame.title, slots })
    }

    fn frame(&self, font: &Font, widths: &[f64], heights: &[f64]) -> Frame {
        let columns = widths.len();
        let mut frame = Frame {
            size: (0.0, 0.0),
            title: Vec::new(),
            columns: vec![Margins::default(); columns],
            rows: vec![Margins::default(); heights.len()],
            top: px(AROUND),
        };
        for (k, panel) in self.panels.iter().enumerate() {
            let (row, column) = (k / columns, k % columns);
            let margins = panel.margins(font, (widths[column], heights[row]), columns).rounded_up();
            frame.columns[column] = frame.columns[column].union(margins);
            frame.rows[row] = frame.rows[row].union(margins);
        }
        let gaps = |count: usize| 2.0 * px(AROUND) + (count - 1) as f64 * px(BETWEEN);
        let taken = |all: &[Margins], side: fn(&Margins) -> f64| all.iter().map(side).sum::<f64>();
        let width = gaps(columns) + widths.iter().sum::<f64>() + taken(&frame.columns, |m| m.left + m.right);
        let height = gaps(heights.len()) + heights.iter().sum::<f64>() + taken(&frame.rows, |m| m.top + m.bottom);
        let title = font.wrap(self.title, px(TITLE_TEXT), width - 2.0 * px(AROUND));
        let title_height = match title.len() {
            0 => 0.0,
            lines => (text_height(lines, px(TITLE_TEXT)) + px(TITLE_GAP)).ceil(),
        };
        Frame { size: (width, height + title_height), title, top: frame.top + title_height, ..frame }
    }
}

/// Margins of all columns and rows of the grid.
struct Frame {
    size: (f64, f64),
    title: Vec<String>,
    /// Of these, left and right count.
    columns: Vec<Margins>,
    /// Of these, top and bottom count.
    rows: Vec<Margins>,
    /// Where the first row's margins begin.
    top: f64,
}

impl Frame {
    fn slot(&self, row: usize, column: usize, widths: &[f64], heights: &[f64]) -> Slot {
        let before = |k: usize, sides: &[f64], margins: &[Margins], margin: fn(&Margins) -> f64| {
            sides[..k].iter().sum::<f64>() + margins[..k].iter().map(margin).sum::<f64>() + k as f64 * px(BETWEEN)
        };
        let left = px(AROUND) + before(column, widths, &self.columns, |m| m.left + m.right);
        let top = self.top + before(row, heights, &self.rows, |m| m.top + m.bottom);
        let (x, y) = (self.columns[column], self.rows[row]);
        let plot = Rect {
            left: left + x.left,
            right: left + x.left + widths[column],
            top: top + y.top,
            bottom: top + y.top + heights[row],
        };
        let outer = Rect { left, right: plot.right + x.right, top, bottom: plot.bottom + y.bottom };
        Slot { plot, outer }
    }
}

/// The largest side in each of `count` groups.
fn largest(
    sizes: &[(f64, f64)],
    count: usize,
    group: impl Fn(usize) -> usize,
    side: impl Fn(&(f64, f64)) -> f64,
) -> Vec<f64> {
    let mut sides = vec![0.0f64; count];
    for (k, size) in sizes.iter().enumerate() {
        let place = &mut sides[group(k)];
        *place = place.max(side(size).ceil());
    }
    sides
}

/// Scales `sides` so that together they fill `room`, in whole pixels.
fn share(sides: &mut [f64], room: f64) {
    let factor = room / sides.iter().sum::<f64>();
    sides.iter_mut().for_each(|side| *side = (*side * factor + 1e-6).floor());
}
