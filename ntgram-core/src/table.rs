//! Tables: polars data frames that show as HTML in a notebook and are written to CSV and Parquet.

use std::fmt::{self, Write as _};
use std::path::Path;

pub use polars::df;
use polars::prelude::{AnyValue, CsvWriter, DataFrame, ParquetWriter, SerWriter};

use crate::error::{Result, write_whole};

/// Rows shown before a long table is cut in the middle.
const SHOWN_ROWS: usize = 20;

/// A polars data frame with a notebook's display.
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// let table = Table::new(df!["N" => [10i64, 100], "loss" => [0.25, 1.5]]?);
/// assert!(table.to_html().contains("<td style=\"text-align:right\">0.25</td>"));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Table {
    frame: DataFrame,
}

impl Table {
    /// Wraps a data frame.
    pub fn new(frame: DataFrame) -> Self {
        Self { frame }
    }

    /// The data frame, for everything polars can do.
    pub fn frame(&self) -> &DataFrame {
        &self.frame
    }

    /// Writes a CSV file with a header. Missing folders are made; a file that cannot be written whole is not there.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_csv(&self, path: impl AsRef<Path>) -> Result<()> {
        let mut bytes = Vec::new();
        CsvWriter::new(&mut bytes).finish(&mut self.frame.clone())?;
        write_whole(path.as_ref(), &bytes)
    }

    /// Writes a Parquet file. Missing folders are made; a file that cannot be written whole is not there.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_parquet(&self, path: impl AsRef<Path>) -> Result<()> {
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes).finish(&mut self.frame.clone())?;
        write_whole(path.as_ref(), &bytes)
    }

    /// An HTML table: numbers to the right, text escaped, tables of more than 20 rows cut in the middle.
    pub fn to_html(&self) -> String {
        let columns = self.frame.columns();
        let cell = |tag: &str, numeric: bool, text: &str| {
            let align = if numeric { "right" } else { "left" };
            format!("<{tag} style=\"text-align:{align}\">{}</{tag}>", escape(text))
        };
        let numeric: Vec<bool> = columns.iter().map(|c| c.dtype().is_primitive_numeric()).collect();
        let mut html = String::from("<table>\n<thead><tr>");
        for (column, &numeric) in columns.iter().zip(&numeric) {
            html += &cell("th", numeric, column.name());
        }
        html += "</tr></thead>\n<tbody>\n";
        for row in self.shown_rows() {
            html += "<tr>";
            for (column, &numeric) in columns.iter().zip(&numeric) {
                let text = row
                    .map_or_else(|| "⋯".to_owned(), |row| column.get(row).map_or_else(|_| String::new(), value_text));
                html += &cell("td", numeric, &text);
            }
            html += "</tr>\n";
        }
        let _ = write!(html, "</tbody>\n</table>\n<p>{} rows × {} columns</p>", self.frame.height(), columns.len());
        html
    }

    /// Indices of the rows to show; `None` stands for the rows left out.
    fn shown_rows(&self) -> Vec<Option<usize>> {
        let rows = self.frame.height();
        if rows <= SHOWN_ROWS {
            return (0..rows).map(Some).collect();
        }
        let half = SHOWN_ROWS / 2;
        (0..half).map(Some).chain([None]).chain((rows - half..rows).map(Some)).collect()
    }
}

impl From<DataFrame> for Table {
    fn from(frame: DataFrame) -> Self {
        Self::new(frame)
    }
}

impl fmt::Display for Table {
    /// polars' own text form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.frame.fmt(f)
    }
}

/// A cell's text: text without quotes, floats with six significant digits, the rest as polars prints it.
fn value_text(value: AnyValue) -> String {
    match value {
        AnyValue::String(text) => text.to_owned(),
        AnyValue::StringOwned(text) => text.to_string(),
        AnyValue::Null => "–".to_owned(),
        AnyValue::Float64(x) => significant(x),
        AnyValue::Float32(x) => significant(f64::from(x)),
        other => other.to_string(),
    }
}

/// Six significant digits, without trailing zeros; an exponent for very small and very large numbers.
fn significant(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return x.to_string();
    }
    let rounded: f64 = format!("{x:.5e}").parse().unwrap_or(x);
    if (1e-4..1e7).contains(&rounded.abs()) { rounded.to_string() } else { format!("{rounded:e}") }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let frame = df!["name" => ["a<b", "c&d"], "loss" => [0.0446969961, 6.0839e-5], "n" => [3i64, 100]];
        Table::new(frame.unwrap())
    }

    #[test]
    fn html_escapes_text_and_aligns_numbers() {
        let html = table().to_html();
        assert!(html.contains("<td style=\"text-align:left\">a&lt;b</td>"));
        assert!(html.contains("<td style=\"text-align:right\">0.044697</td>"));
        assert!(html.contains("<td style=\"text-align:right\">6.0839e-5</td>"));
        assert!(html.contains("2 rows × 3 columns"));
    }

    #[test]
    fn long_tables_are_cut_in_the_middle() {
        let numbers: Vec<i64> = (0..1000).collect();
        let html = Table::new(df!["k" => numbers].unwrap()).to_html();
        assert!(html.contains(">9<") && html.contains(">⋯<") && html.contains(">990<"));
        assert!(!html.contains(">10<") && !html.contains(">989<"));
    }

    #[test]
    fn csv_and_parquet_come_back() {
        use polars::prelude::{CsvReader, ParquetReader, SerReader};
        let folder = tempfile::tempdir().unwrap();
        let (csv, parquet) = (folder.path().join("new/t.csv"), folder.path().join("t.parquet"));
        table().write_csv(&csv).unwrap();
        table().write_parquet(&parquet).unwrap();
        let from_csv = CsvReader::new(std::fs::File::open(&csv).unwrap()).finish().unwrap();
        let from_parquet = ParquetReader::new(std::fs::File::open(&parquet).unwrap()).finish().unwrap();
        assert!(from_csv.equals(table().frame()));
        assert!(from_parquet.equals(table().frame()));
    }

    #[test]
    fn a_file_that_cannot_be_written_names_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let error = table().write_csv(folder.path()).unwrap_err();
        assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    }
}
