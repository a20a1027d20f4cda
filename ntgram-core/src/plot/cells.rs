//! How a matrix is divided into the cells that are drawn: whole pixels each, and one for many values where there are more than pixels.

/// The cells as they are drawn.
pub(super) struct Cells {
    /// Values of one drawn cell: `block × block`, 1 unless the matrix is very large.
    pub(super) block: usize,
    /// Drawn rows and columns.
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// Width and height of a drawn cell, in device pixels.
    pub(super) cell: (usize, usize),
}

impl Cells {
    /// The cells of a `rows × cols` matrix that fill `size` best, in the shape of a `free` cell: one of a figure whose size is free.
    pub(super) fn fit((rows, cols): (usize, usize), size: (f64, f64), free: (f64, f64)) -> Self {
        let per_cell = (size.0 / (cols as f64 * free.0)).min(size.1 / (rows as f64 * free.1));
        let fits = |count: usize, room: f64| count.div_ceil(room.max(1.0) as usize);
        let block = fits(cols, size.0).max(fits(rows, size.1));
        let (rows, cols) = (rows.div_ceil(block), cols.div_ceil(block));
        let cell = |free: f64, room: f64, count: usize| {
            let wanted = (free * per_cell * block as f64 + 1e-6).floor().max(1.0);
            wanted.min((room / count as f64).floor().max(1.0)) as usize
        };
        Self { block, rows, cols, cell: (cell(free.0, size.0, cols), cell(free.1, size.1, rows)) }
    }

    /// Width and height of all of them.
    pub(super) fn size(&self) -> (f64, f64) {
        ((self.cols * self.cell.0) as f64, (self.rows * self.cell.1) as f64)
    }

    /// Width and height that one value takes.
    pub(super) fn pitch(&self) -> (f64, f64) {
        (self.cell.0 as f64 / self.block as f64, self.cell.1 as f64 / self.block as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_fill_the_room_and_keep_their_shape() {
        let cells = Cells::fit((10, 10), (400.0, 600.0), (80.0, 80.0));
        assert_eq!((cells.block, cells.cell, cells.size()), (1, (40, 40), (400.0, 400.0)));
        let wide = Cells::fit((4, 10), (400.0, 600.0), (30.0, 60.0));
        assert_eq!(wide.cell, (40, 80));
    }

    #[test]
    fn a_cell_holds_many_values_where_there_are_more_than_pixels() {
        let cells = Cells::fit((7, 2500), (1000.0, 1000.0), (1.0, 1.0));
        assert_eq!((cells.block, cells.rows, cells.cols, cells.cell), (3, 3, 834, (1, 1)));
        assert!((cells.pitch().0 - 1.0 / 3.0).abs() < 1e-12);
    }
}
