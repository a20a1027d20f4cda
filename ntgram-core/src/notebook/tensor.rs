//! Tensors: kind, shape, values in aligned columns; of large ones the values' range and the ends.

use tch::{Device, Kind, Tensor};

use super::{Show, Shown};
use crate::error::Result;
use crate::listing::{self, CUT, Column, escape};
use crate::numbers::{Small, aligned, short};
use crate::tensors::is_plain;
use crate::torch::Torch;

/// Rows, columns and matrices shown before they are cut in the middle.
const ROWS: usize = 20;
const COLUMNS: usize = 12;
const MATRICES: usize = 4;

impl Show for Tensor {
    fn shown(&self) -> Result<Shown> {
        if !self.defined() {
            return Ok(Shown::plain("Tensor without values"));
        }
        let kind = self.f_kind().torch()?;
        let shape = self.size();
        let mut heading = format!("Tensor {shape:?}, {kind:?}");
        if self.device() != Device::Cpu {
            heading += &format!(", {:?}", self.device());
        }
        let Some(values) = values(self, kind)? else {
            return Ok(Shown::plain(&heading));
        };
        if values.is_empty() {
            return Ok(Shown::plain(&heading));
        }
        let matrices = Matrices::new(&shape);
        if matrices.cut() && kind != Kind::Bool {
            heading += &format!("; {}", statistics(&values));
        }
        let mut html = format!("<div>{}</div>", escape(&heading));
        let mut text = heading;
        for (name, columns) in matrices.columns(&values, kind) {
            if !name.is_empty() {
                html += &format!("\n<div>{name}</div>");
                text += &format!("\n\n{name}");
            }
            html += &format!("\n{}", listing::to_html(&columns));
            text += &format!("\n{}", listing::to_text(&columns));
        }
        Ok(Shown::html_and_text(html, text))
    }
}

/// All values, row-major; `None` for complex and other kinds that are no plain numbers.
fn values(tensor: &Tensor, kind: Kind) -> Result<Option<Vec<f64>>> {
    if is_plain(kind) { crate::tensors::values(tensor).map(Some) } else { Ok(None) }
}

fn statistics(values: &[f64]) -> String {
    let finite: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
    let other = values.len() - finite.len();
    let (least, largest) =
        finite.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), x| (lo.min(*x), hi.max(*x)));
    let mean = finite.iter().sum::<f64>() / finite.len() as f64;
    let range = format!("min {}, max {}, mean {}", short(least), short(largest), short(mean));
    match (finite.len(), other) {
        (0, _) => "no finite value".to_owned(),
        (_, 0) => range,
        (_, other) => format!("{range}, {other} not finite"),
    }
}

/// A tensor's shape as matrices below one another: the last two sizes are rows and columns.
struct Matrices {
    outer: Vec<usize>,
    rows: usize,
    columns: usize,
    /// Whether rows and columns have numbers to name them.
    dimensions: usize,
}

impl Matrices {
    fn new(shape: &[i64]) -> Self {
        let size = |back: usize| shape.len().checked_sub(back).map_or(1, |place| shape[place] as usize);
        let outer = shape[..shape.len().saturating_sub(2)].iter().map(|&size| size as usize).collect();
        Self { outer, rows: size(2), columns: size(1), dimensions: shape.len() }
    }

    fn count(&self) -> usize {
        self.outer.iter().product()
    }

    fn cut(&self) -> bool {
        self.rows > ROWS || self.columns > COLUMNS || self.count() > MATRICES
    }

    /// Each shown matrix's name (empty for the only one) and its columns.
    fn columns(&self, values: &[f64], kind: Kind) -> Vec<(String, Vec<Column>)> {
        let (rows, columns) = (listing::shown(self.rows, ROWS), listing::shown(self.columns, COLUMNS));
        let matrices = listing::shown(self.count(), MATRICES);
        let at = |matrix: usize, row: usize, column: usize| (matrix * self.rows + row) * self.columns + column;
        let all = matrices.iter().flatten().flat_map(|&matrix| {
            let places =
                columns.iter().flatten().flat_map(|&column| rows.iter().flatten().map(move |&row| (row, column)));
            places.map(move |(row, column)| (matrix, row, column))
        });
        let seen: Vec<f64> = all.map(|(matrix, row, column)| values[at(matrix, row, column)]).collect();
        // one form for all, so that they compare
        let mut written = match kind {
            Kind::Bool => seen.iter().map(|&x| (x != 0.0).to_string()).collect(),
            Kind::Half | Kind::Float | Kind::Double | Kind::BFloat16 => aligned(&seen, 4, Small::Rounded),
            _ => seen.iter().map(f64::to_string).collect(),
        }
        .into_iter();
        let name = |place: &Option<usize>| place.map_or_else(|| CUT.to_owned(), |place| place.to_string());
        let mut one = || {
            let mut list = vec![];
            if self.dimensions > 1 {
                list.push(Column::new(listing::Kind::Names, "", rows.iter().map(name).collect()));
            }
            for column in &columns {
                let cell = |row: &Option<usize>| match (row, column) {
                    (Some(_), Some(_)) => written.next().unwrap_or_default(),
                    _ => CUT.to_owned(),
                };
                let head = if self.dimensions > 0 { name(column) } else { String::new() };
                list.push(Column::new(listing::Kind::Numbers, &head, rows.iter().map(cell).collect()));
            }
            list
        };
        matrices
            .iter()
            .map(|matrix| match matrix {
                Some(_) if self.outer.is_empty() => (String::new(), one()),
                Some(matrix) => (self.name(*matrix), one()),
                None => (CUT.to_owned(), vec![]),
            })
            .collect()
    }

    /// `[1, 0, :, :]`.
    fn name(&self, mut matrix: usize) -> String {
        let mut index = vec![":".to_owned(); 2];
        for size in self.outer.iter().rev() {
            index.insert(0, (matrix % size).to_string());
            matrix /= size;
        }
        format!("[{}]", index.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(tensor: &Tensor) -> String {
        tensor.shown().unwrap().text()
    }

    #[test]
    fn a_small_matrix_shows_all_its_values_in_line() {
        let matrix = Tensor::from_slice(&[1.0f32, -0.25, 1e-9, 12.5]).view([2, 2]);
        assert_eq!(text(&matrix), "Tensor [2, 2], Float\n      0      1\n0  1.00  -0.25\n1  0.00  12.50");
    }

    #[test]
    fn other_kinds_and_shapes_show_too() {
        assert_eq!(text(&Tensor::from(7i64)), "Tensor [], Int64\n7");
        assert_eq!(text(&Tensor::from_slice(&[3i64, -10])), "Tensor [2], Int64\n0    1\n3  -10");
        assert_eq!(text(&Tensor::from_slice(&[true, false])), "Tensor [2], Bool\n   0      1\ntrue  false");
        assert_eq!(text(&Tensor::zeros([0, 3], tch::kind::FLOAT_CPU)), "Tensor [0, 3], Float");
        assert_eq!(text(&Tensor::new()), "Tensor without values");
        assert_eq!(text(&Tensor::zeros([2], (Kind::ComplexFloat, Device::Cpu))), "Tensor [2], ComplexFloat");
        let half = text(&Tensor::from_slice(&[0.5f32]).to_kind(Kind::Half));
        assert!(half.ends_with("0.5"), "{half}");
    }

    #[test]
    fn a_large_one_shows_its_range_and_its_ends() {
        let all = text(&Tensor::arange(5000, tch::kind::FLOAT_CPU).view([100, 50]));
        assert!(all.starts_with("Tensor [100, 50], Float; min 0, max 4999, mean 2499.5\n"), "{all}");
        assert_eq!(all.lines().count(), 1 + 1 + 21);
        assert!(all.contains("4999") && all.contains(CUT) && !all.contains(" 2500 "), "{all}");
    }

    #[test]
    fn more_dimensions_are_matrices_with_their_places() {
        let cube = text(&Tensor::arange(12, tch::kind::INT64_CPU).view([2, 3, 2]));
        assert!(cube.contains("[1, :, :]\n    0   1\n0   6   7\n1   8   9\n2  10  11"), "{cube}");
        let many = text(&Tensor::zeros([5, 2, 2, 2], tch::kind::FLOAT_CPU));
        assert!(many.contains("[0, 1, :, :]") && many.contains("[4, 1, :, :]") && many.contains("\n\n⋯"), "{many}");
    }

    #[test]
    fn what_is_not_finite_is_counted() {
        let values = Tensor::from_slice(&[f32::NAN, 1.0, f32::INFINITY]).repeat([10]);
        assert!(text(&values).contains("min 1, max 1, mean 1, 20 not finite"), "{}", text(&values));
    }
}
