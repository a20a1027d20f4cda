//! Tables: polars data frames that show as HTML in a notebook and are written to CSV and Parquet.

use std::fmt;
use std::path::Path;

pub use polars::df;
use polars::prelude::{AnyValue, Column, CsvWriter, DataFrame, ParquetWriter, PolarsError, SerWriter};

use crate::error::{Error, Result};
use crate::files::write_whole;
use crate::listing::{self, CUT, Kind};
use crate::numbers::{self, Small};

/// Rows and columns shown before a table is cut in the middle, and characters of a cell.
const SHOWN: usize = 20;
const LONGEST: usize = 500;

/// A polars data frame with a notebook's display.
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// let table = Table::from_rows([row!["N" => 10, "loss" => 0.25], row!["N" => 100, "loss" => 1.5]])?;
/// assert!(table.to_html().contains(">0.25</td>") && table.to_html().contains(">1.50</td>"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Table {
    frame: DataFrame,
}

impl Table {
    /// Wraps a data frame.
    pub fn new(frame: DataFrame) -> Self {
        Self { frame }
    }

    /// A table from its rows, each made by [`row!`](crate::row): all with the same columns in the same order, each column with values of
    /// one kind.
    ///
    /// # Errors
    /// No rows, two columns of one name, or a row with other columns or other kinds of values than the first.
    pub fn from_rows(rows: impl IntoIterator<Item = Row>) -> Result<Self> {
        let rows: Vec<Row> = rows.into_iter().collect();
        let Some(first) = rows.first() else {
            return Err(Error::argument("rows", "empty", "a table has at least one row"));
        };
        let shape = |row: &Row| row.0.iter().map(|(name, value)| (name.clone(), value.kind())).collect::<Vec<_>>();
        let expected = shape(first);
        if let Some(k) = rows.iter().position(|row| shape(row) != expected) {
            let columns: Vec<String> = expected.iter().map(|(name, kind)| format!("{name} ({kind})")).collect();
            let value = format!("a list whose row {k} differs");
            return Err(Error::argument("rows", value, format!("all rows must have {}", columns.join(", "))));
        }
        let mut names = std::collections::BTreeSet::new();
        if let Some((name, _)) = expected.iter().find(|(name, _)| !names.insert(name)) {
            return Err(Error::argument(
                "rows",
                format!("with two columns {name:?}"),
                "each column has a name of its own",
            ));
        }
        let column = |c: usize| {
            let name = expected[c].0.as_str().into();
            let values = rows.iter().map(|row| &row.0[c].1);
            match &rows[0].0[c].1 {
                Value::Number(_) => Column::new(name, values.map(Value::number).collect::<Vec<_>>()),
                Value::Whole(_) => Column::new(name, values.map(Value::whole).collect::<Vec<_>>()),
                Value::Flag(_) => Column::new(name, values.map(Value::flag).collect::<Vec<_>>()),
                Value::Text(_) => Column::new(name, values.map(Value::text).collect::<Vec<_>>()),
            }
        };
        let frame = DataFrame::new(rows.len(), (0..expected.len()).map(column).collect());
        Ok(Self::new(frame.map_err(refused)?))
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
        CsvWriter::new(&mut bytes).finish(&mut self.frame.clone()).map_err(refused)?;
        write_whole(path.as_ref(), &bytes)
    }

    /// Writes a Parquet file. Missing folders are made; a file that cannot be written whole is not there.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_parquet(&self, path: impl AsRef<Path>) -> Result<()> {
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes).finish(&mut self.frame.clone()).map_err(refused)?;
        write_whole(path.as_ref(), &bytes)
    }

    /// An HTML table: numbers to the right with their points in one line, text escaped. Of more than 20 rows or columns the first
    /// and last ten are shown, of a cell's text up to 500 characters.
    pub fn to_html(&self) -> String {
        frame_html(&self.frame)
    }
}

/// One row of a [`Table`]: names of columns and their values. [`row!`](crate::row) makes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row(Vec<(String, Value)>);

impl Row {
    /// A row from its columns.
    pub fn new(columns: Vec<(String, Value)>) -> Self {
        Self(columns)
    }
}

/// One row of a [`Table`]: `row!["N" => 10, "loss" => history.tail_loss(), "engine" => "autograd"]`.
#[macro_export]
macro_rules! row {
    ($($name:expr => $value:expr),* $(,)?) => {
        $crate::table::Row::new(vec![$(($name.to_string(), $crate::table::Value::from($value))),*])
    };
}
pub use row;

/// A value of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A real number.
    Number(f64),
    /// A whole number.
    Whole(i64),
    /// True or false.
    Flag(bool),
    /// Text.
    Text(String),
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Value::Number(_) => "a number",
            Value::Whole(_) => "a whole number",
            Value::Flag(_) => "true or false",
            Value::Text(_) => "text",
        }
    }

    fn number(&self) -> Option<f64> {
        if let Value::Number(x) = self { Some(*x) } else { None }
    }

    fn whole(&self) -> Option<i64> {
        if let Value::Whole(x) = self { Some(*x) } else { None }
    }

    fn flag(&self) -> Option<bool> {
        if let Value::Flag(x) = self { Some(*x) } else { None }
    }

    fn text(&self) -> Option<&str> {
        if let Value::Text(x) = self { Some(x) } else { None }
    }
}

macro_rules! value_from {
    ($($kind:ident: $($from:ty),*;)*) => {$($(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Value::$kind(value.into())
            }
        }
    )*)*};
}
value_from!(Number: f64, f32; Whole: i64, i32, u32, u16, u8; Flag: bool; Text: String, &str;);

impl From<usize> for Value {
    /// Saturates at 2^63 − 1.
    fn from(value: usize) -> Self {
        Value::Whole(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

/// What polars refused.
fn refused(error: PolarsError) -> Error {
    Error::other(format!("table: {error}"))
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

/// A data frame as an HTML table.
pub(crate) fn frame_html(frame: &DataFrame) -> String {
    let rows = listing::shown(frame.height(), SHOWN);
    let columns: Vec<_> = listing::shown(frame.width(), SHOWN)
        .into_iter()
        .map(|place| match place {
            Some(place) => column(&frame.columns()[place], &rows),
            None => listing::Column::new(Kind::Text, CUT, vec![CUT.to_owned(); rows.len()]),
        })
        .collect();
    let size = format!("{} rows × {} columns", frame.height(), frame.width());
    format!("{}\n<p>{size}</p>", listing::to_html(&columns))
}

/// The shown rows of one column: floats with six significant digits and their points in one line, text without quotes, the rest
/// as polars prints it.
fn column(column: &Column, rows: &[Option<usize>]) -> listing::Column {
    let value = |row: usize| column.get(row).unwrap_or(AnyValue::Null);
    let float = |row: usize| match value(row) {
        AnyValue::Float64(x) => Some(x),
        AnyValue::Float32(x) => Some(shortest(x)),
        _ => None,
    };
    let floats: Vec<f64> = rows.iter().flatten().filter_map(|&row| float(row)).collect();
    let mut written = numbers::aligned(&floats, 6, Small::Exact).into_iter();
    let text = |row: &Option<usize>| match row {
        None => CUT.to_owned(),
        Some(row) if float(*row).is_some() => written.next().unwrap_or_default(),
        Some(row) => match value(*row) {
            AnyValue::String(text) => listing::cut(text, LONGEST),
            AnyValue::StringOwned(text) => listing::cut(&text, LONGEST),
            AnyValue::Null => "–".to_owned(),
            other => listing::cut(&other.to_string(), LONGEST),
        },
    };
    let cells = rows.iter().map(text).collect();
    let kind = if column.dtype().is_primitive_numeric() { Kind::Numbers } else { Kind::Text };
    listing::Column::new(kind, &listing::cut(column.name(), LONGEST), cells)
}

/// A float32 with the digits that it has itself: 0.1, not 0.10000000149.
fn shortest(x: f32) -> f64 {
    x.to_string().parse().unwrap_or(f64::from(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let frame = df!["name" => ["a<b", "c&d"], "loss" => [0.0446969961, 2.5], "n" => [Some(3i64), None]];
        Table::new(frame.unwrap())
    }

    #[test]
    fn html_escapes_text_and_aligns_numbers() {
        let html = table().to_html();
        assert!(html.contains("<td style=\"text-align:left\">a&lt;b</td>"), "{html}");
        let number = |text: &str| format!("<td style=\"text-align:right;white-space:nowrap\">{text}</td>");
        for text in ["0.044697", "2.500000", "3", "–"] {
            assert!(html.contains(&number(text)), "{text} in {html}");
        }
        assert!(html.contains("2 rows × 3 columns"));
    }

    #[test]
    fn float32_shows_its_own_digits() {
        let html = Table::new(df!["p" => [0.1f32, 0.95]].unwrap()).to_html();
        assert!(html.contains(">0.10<") && html.contains(">0.95<"), "{html}");
    }

    #[test]
    fn wide_tables_are_cut_in_the_middle() {
        let columns = (0..30).map(|k| Column::new(format!("c{k}").into(), [k])).collect();
        let html = Table::new(DataFrame::new(1, columns).unwrap()).to_html();
        assert!(html.contains(">c9<") && html.contains(">c20<") && !html.contains(">c10<"), "{html}");
        assert!(html.contains("1 rows × 30 columns"), "{html}");
    }

    #[test]
    fn an_empty_table_has_its_header() {
        let html = Table::new(df!["k" => Vec::<i64>::new()].unwrap()).to_html();
        assert!(html.contains(">k<") && html.contains("0 rows × 1 columns"), "{html}");
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
        assert!(from_csv.equals_missing(table().frame()));
        assert!(from_parquet.equals_missing(table().frame()));
    }

    #[test]
    fn a_file_that_cannot_be_written_names_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let error = table().write_csv(folder.path()).unwrap_err();
        assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    }
}
