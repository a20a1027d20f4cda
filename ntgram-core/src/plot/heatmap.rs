//! A matrix as coloured cells, with a colour bar.

use super::canvas::{Anchor, Canvas, Rect, px};
use super::colors::{self, AXIS, INK, MISSING, Rgb};
use super::font::Font;
use super::panel::{
    Captions, Labels, Margins, Shown, Slot, TICK, TICK_GAP, TICK_TEXT, caption_setters, check_range, height_below,
    text_height, tick, write_below,
};
use super::ticks;
use crate::error::{Error, Result};

/// A matrix as a grid of coloured cells, row 0 on top.
///
/// By default the colours go from dark (the smallest value) to light (the largest), and rows and columns are labelled with their
/// indices. Cells that are NaN are grey; infinite ones have the colour of their end of the range. Every cell is
/// a whole number of pixels wide and high; of a matrix with more rows or columns than there are pixels, each
/// pixel shows a mean.
///
/// Settings are checked when the figure is drawn.
#[derive(Clone, PartialEq)]
pub struct Heatmap {
    values: Vec<f64>,
    rows: usize,
    cols: usize,
    captions: Captions,
    row_labels: Labels,
    col_labels: Labels,
    range: Option<(f64, f64)>,
    diverging: bool,
    annotated: bool,
}

/// Side of the largest heatmap drawn cell by cell, in device pixels.
const LARGEST: usize = 1600;
/// In an SVG document, more cells than so many become one embedded image.
const IMAGE: usize = 2500;
const BAR_GAP: f64 = 10.0;
const BAR_WIDTH: f64 = 15.0;

/// The cells as they are drawn.
struct Grid {
    /// Values of one drawn cell: `block × block`, 1 unless the matrix is very large.
    block: usize,
    /// Drawn rows and columns.
    rows: usize,
    cols: usize,
    /// Width and height of a drawn cell, in device pixels.
    cell: (usize, usize),
}

impl Grid {
    fn size(&self) -> (f64, f64) {
        ((self.cols * self.cell.0) as f64, (self.rows * self.cell.1) as f64)
    }

    /// Width and height that one value takes.
    fn pitch(&self) -> (f64, f64) {
        (self.cell.0 as f64 / self.block as f64, self.cell.1 as f64 / self.block as f64)
    }
}

impl Heatmap {
    /// A heatmap of the `rows × cols` matrix whose rows follow one another in `values`.
    ///
    /// # Errors
    /// No rows or columns, or not `rows · cols` values.
    pub fn new(values: &[f64], rows: usize, cols: usize) -> Result<Self> {
        for (argument, size) in [("rows", rows), ("cols", cols)] {
            if size == 0 {
                return Err(Error::argument(argument, size, "it must be at least 1"));
            }
        }
        if rows.checked_mul(cols) != Some(values.len()) {
            let expected = format!("it must hold rows · cols = {rows} · {cols} values");
            return Err(Error::argument("values", format!("{} values", values.len()), expected));
        }
        Ok(Self {
            values: values.to_vec(),
            rows,
            cols,
            captions: Captions::default(),
            row_labels: Labels::default(),
            col_labels: Labels::default(),
            range: None,
            diverging: false,
            annotated: false,
        })
    }

    caption_setters!();

    /// Labels of all rows, from the top.
    pub fn row_labels(mut self, labels: &[&str]) -> Self {
        self.row_labels.set(labels);
        self
    }

    /// Labels of all columns, from the left.
    pub fn col_labels(mut self, labels: &[&str]) -> Self {
        self.col_labels.set(labels);
        self
    }

    /// Label of one row, in place of its index. Where labels are too close, this one stays.
    pub fn row_label(mut self, row: usize, label: &str) -> Self {
        self.row_labels.marked.insert(row, label.to_owned());
        self
    }

    /// Label of one column, in place of its index. Where labels are too close, this one stays.
    pub fn col_label(mut self, col: usize, label: &str) -> Self {
        self.col_labels.marked.insert(col, label.to_owned());
        self
    }

    /// The values of the first and the last colour, instead of the smallest and the largest value.
    pub fn range(mut self, lo: f64, hi: f64) -> Self {
        self.range = Some((lo, hi));
        self
    }

    /// Blue below 0, white at 0, red above; equally far to both sides unless [`range`](Self::range) says otherwise.
    pub fn diverging(mut self) -> Self {
        self.diverging = true;
        self
    }

    /// Writes each value into its cell, where the cells are large enough.
    pub fn annotated(mut self) -> Self {
        self.annotated = true;
        self
    }

    /// Rows and columns.
    pub(super) fn shape(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }

    pub(super) fn captions(&self) -> &Captions {
        &self.captions
    }

    pub(super) fn check(&self) -> Result<()> {
        self.row_labels.check("row_labels", self.rows)?;
        self.col_labels.check("col_labels", self.cols)?;
        self.range.map_or(Ok(()), |range| check_range("range", range))
    }

    /// Values of the first and the last colour.
    pub(super) fn limits(&self) -> (f64, f64) {
        self.range.unwrap_or_else(|| limits(self.extent(), self.diverging))
    }

    /// The range that was set, or the smallest and the largest finite value.
    pub(super) fn extent(&self) -> Option<(f64, f64)> {
        let finite = self.values.iter().copied().filter(|v| v.is_finite());
        // half of the largest number: the difference of the limits must be finite
        let ends = finite.map(|v| v.clamp(f64::MIN / 2.0, f64::MAX / 2.0)).map(|v| (v, v));
        self.range.or_else(|| ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))))
    }

    pub(super) fn is_diverging(&self) -> bool {
        self.diverging
    }

    /// The colour of `value`, where `(lo, hi)` are the limits.
    fn color(&self, value: f64, (lo, hi): (f64, f64)) -> Rgb {
        if value.is_nan() {
            return MISSING;
        }
        match self.diverging {
            true => colors::diverging(0.5 + 0.5 * value / lo.abs().max(hi.abs())),
            false => colors::sequential((value - lo) / (hi - lo)),
        }
    }

    /// Width and height of a cell, in device pixels, if the figure's size is free; in a grid of `columns` columns.
    fn free_cell(&self, font: &Font, columns: usize) -> (f64, f64) {
        let side = px(match columns {
            // multiples of 25, so that 10, 25, 50 and 100 cells fill them; and a row of them fits a page of 960
            1 => 400.0,
            2 => 300.0,
            3 => 200.0,
            _ => 125.0,
        });
        let longest = self.rows.max(self.cols);
        let square = (side / longest as f64).floor().clamp(1.0, px(48.0));
        // a short side is widened: to half the long one's length, but to no cells longer than 80
        let stretched = |count: usize| square.max((0.5 * side / count as f64).min(px(80.0)).floor());
        let mut cell = (stretched(self.cols), stretched(self.rows));
        if self.annotated {
            let width = (self.widest_annotation(font) + px(10.0)).ceil();
            if width * self.cols as f64 <= px(900.0) {
                cell = (cell.0.max(width), cell.1.max(px(2.0 * TICK_TEXT)));
            }
        }
        cell
    }

    fn widest_annotation(&self, font: &Font) -> f64 {
        let largest = self.largest();
        let texts: Vec<String> = self.values.iter().map(|&v| ticks::cell(v, largest)).collect();
        font.widest(texts.iter().map(String::as_str), px(TICK_TEXT))
    }

    fn largest(&self) -> f64 {
        self.values.iter().filter(|v| v.is_finite()).fold(0.0, |m, v| m.max(v.abs()))
    }

    pub(super) fn free_size(&self, font: &Font, columns: usize) -> (f64, f64) {
        let cell = self.free_cell(font, columns);
        let limit = |count: usize, cell: f64| (count as f64 * cell).min(LARGEST as f64);
        self.fit(font, (limit(self.cols, cell.0), limit(self.rows, cell.1)), columns).size()
    }

    /// The cells that fill `size` best, keeping the shape they would have if the size were free.
    fn fit(&self, font: &Font, size: (f64, f64), columns: usize) -> Grid {
        let free = self.free_cell(font, columns);
        let per_cell = (size.0 / (self.cols as f64 * free.0)).min(size.1 / (self.rows as f64 * free.1));
        let fits = |count: usize, room: f64| count.div_ceil(room.max(1.0) as usize);
        let block = fits(self.cols, size.0).max(fits(self.rows, size.1));
        let (rows, cols) = (self.rows.div_ceil(block), self.cols.div_ceil(block));
        let cell = |free: f64, room: f64, count: usize| {
            let wanted = (free * per_cell * block as f64 + 1e-6).floor().max(1.0);
            wanted.min((room / count as f64).floor().max(1.0)) as usize
        };
        Grid { block, rows, cols, cell: (cell(free.0, size.0, cols), cell(free.1, size.1, rows)) }
    }

    /// Mean of the values of one drawn cell, NaN left out.
    fn drawn_value(&self, block: usize, row: usize, col: usize) -> f64 {
        if block == 1 {
            return self.values[row * self.cols + col];
        }
        let (mut sum, mut count) = (0.0, 0.0);
        for r in row * block..self.rows.min((row + 1) * block) {
            for c in col * block..self.cols.min((col + 1) * block) {
                let value = self.values[r * self.cols + c];
                if !value.is_nan() {
                    sum += value;
                    count += 1.0;
                }
            }
        }
        // NaN where there is none
        sum / count
    }

    fn bar_ticks(&self, height: f64) -> Vec<(f64, String)> {
        let (lo, hi) = self.limits();
        ticks::linear(lo, hi, ((height / px(36.0)) as usize).clamp(2, 8), 0.0)
    }

    fn shown(&self, font: &Font, grid: &Grid) -> (Shown, Shown) {
        let pitch = grid.pitch();
        (self.row_labels.down(font, self.rows, pitch.1), self.col_labels.along(font, self.cols, pitch.0))
    }

    pub(super) fn ticks(&self, font: &Font, size: (f64, f64), columns: usize) -> Margins {
        let grid = self.fit(font, size, columns);
        let (rows, cols) = self.shown(font, &grid);
        let widest = |labels: &[(usize, String)]| font.widest(labels.iter().map(|l| l.1.as_str()), px(TICK_TEXT));
        let bar = self.bar_ticks(grid.size().1);
        let numbers = font.widest(bar.iter().map(|t| t.1.as_str()), px(TICK_TEXT));
        Margins {
            left: px(TICK + TICK_GAP) + widest(&rows.labels),
            right: px(BAR_GAP + BAR_WIDTH + TICK + TICK_GAP) + numbers,
            // half of a number of the colour bar may stand out
            top: text_height(1, px(TICK_TEXT)) / 2.0,
            bottom: height_below(font, &cols),
        }
    }

    pub(super) fn draw(&self, canvas: &mut Canvas, slot: Slot, columns: usize) -> Result<()> {
        let room = (slot.plot.width(), slot.plot.height());
        let grid = self.fit(&canvas.font, room, columns);
        let size = grid.size();
        let left = (slot.plot.left + (room.0 - size.0) / 2.0).round();
        // at the top: titles of one row of panels stay on one line
        let top = slot.plot.top;
        let plot = Rect { left, top, right: left + size.0, bottom: top + size.1 };

        canvas.outline(grown(plot), 1.0, AXIS)?;
        self.draw_cells(canvas, plot, &grid)?;
        if self.annotated {
            self.draw_annotations(canvas, plot, &grid)?;
        }
        self.draw_labels(canvas, plot, &grid)?;
        self.draw_bar(canvas, plot)?;
        let ticks = self.ticks(&canvas.font, room, columns);
        self.captions.draw(canvas, plot, ticks, slot.outer)
    }

    fn draw_cells(&self, canvas: &mut Canvas, plot: Rect, grid: &Grid) -> Result<()> {
        let limits = self.limits();
        if grid.rows * grid.cols > IMAGE && canvas.is_svg() {
            let cell = |k: usize| self.color(self.drawn_value(grid.block, k / grid.cols, k % grid.cols), limits);
            let pixels: Vec<u8> = (0..grid.rows * grid.cols).map(cell).flat_map(|(r, g, b)| [r, g, b]).collect();
            return canvas.image(&pixels, (grid.cols as u32, grid.rows as u32), plot);
        }
        for row in 0..grid.rows {
            let top = plot.top + (row * grid.cell.1) as f64;
            let color = |col: usize| self.color(self.drawn_value(grid.block, row, col), limits);
            let mut from = 0;
            let mut current = color(0);
            // neighbours of one colour in one go
            for col in 1..=grid.cols {
                let next = (col < grid.cols).then(|| color(col));
                if next != Some(current) {
                    let edge = |col: usize| plot.left + (col * grid.cell.0) as f64;
                    let rect = Rect { left: edge(from), right: edge(col), top, bottom: top + grid.cell.1 as f64 };
                    canvas.fill(rect, current)?;
                    from = col;
                    current = next.unwrap_or(current);
                }
            }
        }
        Ok(())
    }

    fn draw_annotations(&self, canvas: &mut Canvas, plot: Rect, grid: &Grid) -> Result<()> {
        let (size, largest, limits) = (px(TICK_TEXT), self.largest(), self.limits());
        let (width, height) = (grid.cell.0 as f64, grid.cell.1 as f64);
        let room = (self.widest_annotation(&canvas.font) + px(2.0), size * Font::LINE);
        if grid.block > 1 || room.0 > width || room.1 > height {
            return Ok(());
        }
        for (k, &value) in self.values.iter().enumerate() {
            let (row, col) = ((k / self.cols) as f64, (k % self.cols) as f64);
            let at = (plot.left + (col + 0.5) * width, plot.top + (row + 0.5) * height + size * Font::CAPITAL / 2.0);
            let ink = if colors::is_light(self.color(value, limits)) { INK } else { colors::WHITE };
            canvas.text(&ticks::cell(value, largest), at, size, Anchor::Middle, ink)?;
        }
        Ok(())
    }

    fn draw_labels(&self, canvas: &mut Canvas, plot: Rect, grid: &Grid) -> Result<()> {
        let (rows, cols) = self.shown(&canvas.font, grid);
        let (pitch, half) = (grid.pitch(), px(TICK_TEXT) * Font::CAPITAL / 2.0);
        for (row, text) in &rows.labels {
            let y = plot.top + (*row as f64 + 0.5) * pitch.1;
            tick(canvas, (plot.left - px(TICK), y), (plot.left - 1.0, y))?;
            let at = (plot.left - px(TICK + TICK_GAP), y + half);
            canvas.text(text, at, px(TICK_TEXT), Anchor::End, INK)?;
        }
        for (col, text) in &cols.labels {
            let x = plot.left + (*col as f64 + 0.5) * pitch.0;
            tick(canvas, (x, plot.bottom + 1.0), (x, plot.bottom + px(TICK)))?;
            write_below(canvas, text, x, plot.bottom, cols.upwards)?;
        }
        Ok(())
    }

    fn draw_bar(&self, canvas: &mut Canvas, plot: Rect) -> Result<()> {
        let limits = self.limits();
        let left = plot.right + px(BAR_GAP);
        let bar = Rect { left, right: left + px(BAR_WIDTH), ..plot };
        canvas.outline(grown(bar), 1.0, AXIS)?;
        // at least 4 pixels high: `Figure::to_svg` takes thinner rectangles for lines
        let bands = (plot.height() as usize / 4).clamp(1, 256);
        let edge = |k: usize| (plot.bottom - plot.height() * k as f64 / bands as f64).round();
        for k in 0..bands {
            let value = limits.0 + (limits.1 - limits.0) * (k as f64 + 0.5) / bands as f64;
            canvas.fill(Rect { top: edge(k + 1), bottom: edge(k), ..bar }, self.color(value, limits))?;
        }
        for (value, text) in self.bar_ticks(plot.height()) {
            let y = plot.bottom - (value - limits.0) / (limits.1 - limits.0) * plot.height();
            tick(canvas, (bar.right + 1.0, y), (bar.right + px(TICK), y))?;
            let at = (bar.right + px(TICK + TICK_GAP), y + px(TICK_TEXT) * Font::CAPITAL / 2.0);
            canvas.text(&text, at, px(TICK_TEXT), Anchor::Start, INK)?;
        }
        Ok(())
    }
}

/// Values of the first and the last colour for values from `lo` to `hi`.
pub(super) fn limits(extent: Option<(f64, f64)>, diverging: bool) -> (f64, f64) {
    let Some((lo, hi)) = extent else {
        return if diverging { (-1.0, 1.0) } else { (0.0, 1.0) };
    };
    if diverging {
        let far = lo.abs().max(hi.abs());
        let far = if far > 0.0 { far } else { 1.0 };
        return (-far, far);
    }
    // all the same
    let around = if lo == 0.0 { 0.5 } else { 0.5 * lo.abs() };
    if lo < hi { (lo, hi) } else { (lo - around, lo + around) }
}

/// `rect` with one device pixel more on each side, where its outline goes.
fn grown(rect: Rect) -> Rect {
    Rect { left: rect.left - 1.0, top: rect.top - 1.0, right: rect.right + 1.0, bottom: rect.bottom + 1.0 }
}
