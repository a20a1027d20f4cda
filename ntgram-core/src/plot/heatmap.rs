//! A matrix as coloured cells, with a colour bar.

use plotters::backend::DrawingBackend;
use plotters::style::text_anchor::HPos;

use super::canvas::Canvas;
use super::captions::{Captions, caption_setters};
use super::cells::Cells;
use super::colors::{self, AXIS, INK, MISSING, Rgb};
use super::font::Font;
use super::geometry::{Rect, px};
use super::labels::{Labels, Shown, height_below, tick, write_below};
use super::range;
use super::space::{Margins, Slot, TICK, TICK_GAP, TICK_TEXT, text_height};
use super::ticks::{self, CellNumbers};
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
    boundary: Option<f64>,
}

/// Side of the largest heatmap drawn cell by cell, in device pixels.
const LARGEST: usize = 1600;
/// In an SVG document, more cells than so many become one embedded image.
const IMAGE: usize = 2500;
/// Ticks of a colour bar that is high enough for them.
const FEWEST: usize = 5;
const BAR_GAP: f64 = 10.0;
const BAR_WIDTH: f64 = 15.0;

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
            boundary: None,
        })
    }

    caption_setters!();

    /// Labels of all rows, from the top: texts or numbers.
    ///
    /// ```
    /// use ntgram_core::plot::Heatmap;
    ///
    /// # fn main() -> ntgram_core::Result<()> {
    /// let sizes = [0.5, 0.9];
    /// Heatmap::new(&[0.0; 6], 2, 3)?.row_labels(&sizes).col_labels(["a", "b", "c"]);
    /// Heatmap::new(&[0.0; 6], 2, 3)?.row_labels((0..2).map(|k| format!("Head {k}"))).col_labels(2..=4);
    /// # Ok(())
    /// # }
    /// ```
    pub fn row_labels(mut self, labels: impl IntoIterator<Item = impl ToString>) -> Self {
        self.row_labels.set(labels);
        self
    }

    /// Labels of all columns, from the left: texts or numbers.
    pub fn col_labels(mut self, labels: impl IntoIterator<Item = impl ToString>) -> Self {
        self.col_labels.set(labels);
        self
    }

    /// Label of one row, in place of its index. Where labels are too close, this one stays.
    pub fn row_label(mut self, row: usize, label: impl ToString) -> Self {
        self.row_labels.mark(row, label);
        self
    }

    /// Label of one column, in place of its index. Where labels are too close, this one stays.
    pub fn col_label(mut self, col: usize, label: impl ToString) -> Self {
        self.col_labels.mark(col, label);
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

    /// Draws a line between cells of at least this value and their neighbours below it. Where each pixel shows a mean of values, the means
    /// count.
    pub fn boundary(mut self, level: f64) -> Self {
        self.boundary = Some(level);
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
        if self.boundary.is_some_and(f64::is_nan) {
            return Err(Error::argument("boundary", f64::NAN, "it must be a number"));
        }
        self.range.map_or(Ok(()), |range| range::check("range", range))
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
        let numbers = CellNumbers::of(&self.values);
        let texts: Vec<String> = self.values.iter().map(|&v| numbers.write(v)).collect();
        font.widest(texts.iter().map(String::as_str), px(TICK_TEXT))
    }

    pub(super) fn free_size(&self, font: &Font, columns: usize) -> (f64, f64) {
        let cell = self.free_cell(font, columns);
        let limit = |count: usize, cell: f64| (count as f64 * cell).min(LARGEST as f64);
        self.fit(font, (limit(self.cols, cell.0), limit(self.rows, cell.1)), columns).size()
    }

    /// The cells that fill `size`, in a grid of `columns` columns.
    fn fit(&self, font: &Font, size: (f64, f64), columns: usize) -> Cells {
        Cells::fit((self.rows, self.cols), size, self.free_cell(font, columns))
    }

    /// How wide it is drawn in a place of this size.
    pub(super) fn drawn_width(&self, font: &Font, size: (f64, f64), columns: usize) -> f64 {
        self.fit(font, size, columns).size().0
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
        let some = ((height / px(36.0)) as usize).clamp(2, 8);
        let room = (height / px(1.3 * TICK_TEXT)) as usize;
        // round steps may leave fewer than asked for
        let enough = (some..=2 * FEWEST).map(|most| ticks::linear(lo, hi, most, 0.0)).find(|t| t.len() >= FEWEST);
        enough.filter(|ticks| ticks.len() <= room.max(FEWEST)).unwrap_or_else(|| ticks::linear(lo, hi, some, 0.0))
    }

    fn shown(&self, font: &Font, cells: &Cells) -> (Shown, Shown) {
        let pitch = cells.pitch();
        (self.row_labels.down(font, self.rows, pitch.1), self.col_labels.along(font, self.cols, pitch.0))
    }

    pub(super) fn ticks(&self, font: &Font, size: (f64, f64), columns: usize) -> Margins {
        let cells = self.fit(font, size, columns);
        let (rows, cols) = self.shown(font, &cells);
        let widest = |labels: &[(usize, String)]| font.widest(labels.iter().map(|l| l.1.as_str()), px(TICK_TEXT));
        let bar = self.bar_ticks(cells.size().1);
        let numbers = font.widest(bar.iter().map(|t| t.1.as_str()), px(TICK_TEXT));
        Margins {
            left: px(TICK + TICK_GAP) + widest(&rows.labels),
            right: px(BAR_GAP + BAR_WIDTH + TICK + TICK_GAP) + numbers,
            // half of a number of the colour bar may stand out
            top: text_height(1, px(TICK_TEXT)) / 2.0,
            bottom: height_below(font, &cols),
        }
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<impl DrawingBackend>, slot: Slot, columns: usize) -> Result<()> {
        let room = (slot.plot.width(), slot.plot.height());
        let cells = self.fit(&canvas.font, room, columns);
        let size = cells.size();
        let left = (slot.plot.left + (room.0 - size.0) / 2.0).round();
        // at the top: titles of one row of panels stay on one line
        let top = slot.plot.top;
        let plot = Rect { left, top, right: left + size.0, bottom: top + size.1 };

        canvas.outline(plot.grown(1.0), 1.0, AXIS)?;
        self.draw_cells(canvas, plot, &cells)?;
        if let Some(level) = self.boundary {
            self.draw_boundary(canvas, plot, &cells, level)?;
        }
        if self.annotated {
            self.draw_annotations(canvas, plot, &cells)?;
        }
        self.draw_labels(canvas, plot, &cells)?;
        self.draw_bar(canvas, plot)?;
        let ticks = self.ticks(&canvas.font, room, columns);
        self.captions.draw(canvas, plot, ticks, slot.outer)
    }

    fn draw_cells(&self, canvas: &mut Canvas<impl DrawingBackend>, plot: Rect, cells: &Cells) -> Result<()> {
        let limits = self.limits();
        if cells.rows * cells.cols > IMAGE && canvas.takes_images() {
            let cell = |k: usize| self.color(self.drawn_value(cells.block, k / cells.cols, k % cells.cols), limits);
            let pixels: Vec<u8> = (0..cells.rows * cells.cols).map(cell).flat_map(|(r, g, b)| [r, g, b]).collect();
            return canvas.image(&pixels, (cells.cols as u32, cells.rows as u32), plot);
        }
        for row in 0..cells.rows {
            let top = plot.top + (row * cells.cell.1) as f64;
            // a pixel further than the cells reach, which the next ones cover: no seams are left between them, at any scale
            let bottom = (top + cells.cell.1 as f64 + 1.0).min(plot.bottom);
            let color = |col: usize| self.color(self.drawn_value(cells.block, row, col), limits);
            let mut from = 0;
            let mut current = color(0);
            // neighbours of one colour in one go
            for col in 1..=cells.cols {
                let next = (col < cells.cols).then(|| color(col));
                if next != Some(current) {
                    let edge = |col: usize| plot.left + (col * cells.cell.0) as f64;
                    let right = (edge(col) + 1.0).min(plot.right);
                    canvas.fill(Rect { left: edge(from), right, top, bottom }, current)?;
                    from = col;
                    current = next.unwrap_or(current);
                }
            }
        }
        Ok(())
    }

    fn draw_boundary(
        &self,
        canvas: &mut Canvas<impl DrawingBackend>,
        plot: Rect,
        cells: &Cells,
        level: f64,
    ) -> Result<()> {
        let half = px(1.25);
        let (rows, cols) = (cells.rows, cells.cols);
        let above: Vec<bool> =
            (0..rows * cols).map(|k| self.drawn_value(cells.block, k / cols, k % cols) >= level).collect();
        let edge = |k: usize, cell: usize| (k * cell) as f64;
        // neighbours in one go
        for col in 1..cols {
            let differs = |row: usize| above[row * cols + col - 1] != above[row * cols + col];
            let x = plot.left + edge(col, cells.cell.0);
            for (from, to) in stretches(rows, &differs) {
                let top = (plot.top + edge(from, cells.cell.1) - half).max(plot.top);
                let bottom = (plot.top + edge(to, cells.cell.1) + half).min(plot.bottom);
                canvas.fill(Rect { left: x - half, right: x + half, top, bottom }, INK)?;
            }
        }
        for row in 1..rows {
            let differs = |col: usize| above[(row - 1) * cols + col] != above[row * cols + col];
            let y = plot.top + edge(row, cells.cell.1);
            for (from, to) in stretches(cols, &differs) {
                let left = (plot.left + edge(from, cells.cell.0) - half).max(plot.left);
                let right = (plot.left + edge(to, cells.cell.0) + half).min(plot.right);
                canvas.fill(Rect { left, right, top: y - half, bottom: y + half }, INK)?;
            }
        }
        Ok(())
    }

    fn draw_annotations(&self, canvas: &mut Canvas<impl DrawingBackend>, plot: Rect, cells: &Cells) -> Result<()> {
        let (size, numbers, limits) = (px(TICK_TEXT), CellNumbers::of(&self.values), self.limits());
        let (width, height) = (cells.cell.0 as f64, cells.cell.1 as f64);
        let room = (self.widest_annotation(&canvas.font) + px(2.0), size * Font::LINE);
        if cells.block > 1 || room.0 > width || room.1 > height {
            return Ok(());
        }
        for (k, &value) in self.values.iter().enumerate() {
            let (row, col) = ((k / self.cols) as f64, (k % self.cols) as f64);
            let at = (plot.left + (col + 0.5) * width, plot.top + (row + 0.5) * height + size * Font::CAPITAL / 2.0);
            let ink = if colors::is_light(self.color(value, limits)) { INK } else { colors::WHITE };
            canvas.text(&numbers.write(value), at, size, HPos::Center, ink)?;
        }
        Ok(())
    }

    fn draw_labels(&self, canvas: &mut Canvas<impl DrawingBackend>, plot: Rect, cells: &Cells) -> Result<()> {
        let (rows, cols) = self.shown(&canvas.font, cells);
        let (pitch, half) = (cells.pitch(), px(TICK_TEXT) * Font::CAPITAL / 2.0);
        for (row, text) in &rows.labels {
            let y = plot.top + (*row as f64 + 0.5) * pitch.1;
            tick(canvas, (plot.left - px(TICK), y), (plot.left - 1.0, y))?;
            let at = (plot.left - px(TICK + TICK_GAP), y + half);
            canvas.text(text, at, px(TICK_TEXT), HPos::Right, INK)?;
        }
        for (col, text) in &cols.labels {
            let x = plot.left + (*col as f64 + 0.5) * pitch.0;
            tick(canvas, (x, plot.bottom + 1.0), (x, plot.bottom + px(TICK)))?;
            write_below(canvas, text, x, plot.bottom, cols.upwards)?;
        }
        Ok(())
    }

    fn draw_bar(&self, canvas: &mut Canvas<impl DrawingBackend>, plot: Rect) -> Result<()> {
        let limits = self.limits();
        let left = plot.right + px(BAR_GAP);
        let bar = Rect { left, right: left + px(BAR_WIDTH), ..plot };
        canvas.outline(bar.grown(1.0), 1.0, AXIS)?;
        let bands = (plot.height() as usize).clamp(1, 256);
        let edge = |k: usize| (plot.bottom - plot.height() * k as f64 / bands as f64).round();
        for k in 0..bands {
            let value = limits.0 + (limits.1 - limits.0) * (k as f64 + 0.5) / bands as f64;
            // a pixel further, which the next one covers: no seam is left between them
            let top = (edge(k + 1) - 1.0).max(bar.top);
            canvas.fill(Rect { top, bottom: edge(k), ..bar }, self.color(value, limits))?;
        }
        for (value, text) in self.bar_ticks(plot.height()) {
            let y = plot.bottom - (value - limits.0) / (limits.1 - limits.0) * plot.height();
            tick(canvas, (bar.right + 1.0, y), (bar.right + px(TICK), y))?;
            let at = (bar.right + px(TICK + TICK_GAP), y + px(TICK_TEXT) * Font::CAPITAL / 2.0);
            canvas.text(&text, at, px(TICK_TEXT), HPos::Left, INK)?;
        }
        Ok(())
    }
}

/// Where a condition holds without a break, from which place to before which.
fn stretches(count: usize, holds: &dyn Fn(usize) -> bool) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for k in (0..count).filter(|k| holds(*k)) {
        match found.last_mut() {
            Some(last) if last.1 == k => last.1 = k + 1,
            _ => found.push((k, k + 1)),
        }
    }
    found
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
