//! Tables: polars data frames that show as HTML in a notebook and are written to CSV and Parquet.

use std::fmt;
use std::fs::File;
use std::path::Path;

pub use polars::df;
use polars::prelude::{
    AnyValue, BooleanChunked, Column, CsvReadOptions, CsvWriter, DataFrame, ParquetReader, ParquetWriter, PolarsError,
    SerReader, SerWriter,
};

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

    /// Reads a CSV file with a header, such as one that `ntgram-sweep gather` has written.
    ///
    /// # Errors
    /// The file cannot be read, or is no CSV.
    pub fn read_csv(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| Error::io("read", path, e))?;
        // a column's kind is decided by all its values
        let reader = CsvReadOptions::default().with_infer_schema_length(None).into_reader_with_file_handle(file);
        reader.finish().map(Self::new).map_err(|e| Error::file(path, "CSV table", &e.to_string()))
    }

    /// Reads a Parquet file.
    ///
    /// # Errors
    /// The file cannot be read, or is no Parquet.
    pub fn read_parquet(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| Error::io("read", path, e))?;
        let read = ParquetReader::new(file).finish();
        read.map(Self::new).map_err(|e| Error::file(path, "Parquet table", &e.to_string()))
    }

    /// The numbers of a column, NaN where there is none.
    ///
    /// ```
    /// use ntgram_core::prelude::*;
    /// # fn main() -> Result<()> {
    /// let table = Table::from_rows([row!["N" => 10, "loss" => 0.25], row!["N" => 100, "loss" => 1.5]])?;
    /// assert_eq!(table.numbers("N")?, [10.0, 100.0]);
    /// assert_eq!(table.only("N", 100)?.numbers("loss")?, [1.5]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// There is no such column, or it has other values than numbers.
    pub fn numbers(&self, column: &str) -> Result<Vec<f64>> {
        let column = self.column(column)?;
        if !column.dtype().is_primitive_numeric() {
            let value = format!("{:?}, which has {}", column.name(), column.dtype());
            return Err(Error::argument("column", value, "its values must be numbers"));
        }
        let value = |row| column.get(row).ok().and_then(|value| value.extract::<f64>()).unwrap_or(f64::NAN);
        Ok((0..column.len()).map(value).collect())
    }

    /// The rows that have this value in a column; whole and real numbers are compared by what they are worth.
    ///
    /// # Errors
    /// There is no such column.
    pub fn only(&self, column: &str, value: impl Into<Value>) -> Result<Self> {
        let (column, value) = (self.column(column)?, value.into());
        let is = |row| {
            let found = column.get(row).unwrap_or(AnyValue::Null);
            match (&value, found) {
                (Value::Text(text), AnyValue::String(found)) => text == found,
                (Value::Text(text), AnyValue::StringOwned(found)) => *text == *found,
                (Value::Flag(flag), AnyValue::Boolean(found)) => *flag == found,
                (Value::Number(number), found) => found.extract::<f64>() == Some(*number),
                (Value::Whole(whole), found) => found.extract::<f64>() == Some(*whole as f64),
                _ => false,
            }
        };
        let mask: BooleanChunked = (0..column.len()).map(is).collect();
        self.frame.filter(&mask).map(Self::new).map_err(refused)
    }

    fn column(&self, name: &str) -> Result<&Column> {
        self.frame.column(name).map_err(|_| {
            let names: Vec<&str> = self.frame.get_column_names().into_iter().map(|name| name.as_str()).collect();
            Error::argument("column", format!("{name:?}"), format!("the table has {}", names.join(", ")))
        })
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
pub(crate) fn refused(error: PolarsError) -> Error {
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
        let folder = tempfile::tempdir().unwrap();
        let (csv, parquet) = (folder.path().join("new/t.csv"), folder.path().join("t.parquet"));
        table().write_csv(&csv).unwrap();
        table().write_parquet(&parquet).unwrap();
        assert!(Table::read_csv(&csv).unwrap().frame().equals_missing(table().frame()));
        assert!(Table::read_parquet(&parquet).unwrap().frame().equals_missing(table().frame()));
        assert!(Table::read_parquet(&csv).is_err() && Table::read_csv(folder.path().join("none")).is_err());
    }

    #[test]
    fn rows_and_columns_are_found_by_their_values() {
        let table = table();
        let numbers = table.numbers("n").unwrap();
        assert!(numbers[0] == 3.0 && numbers[1].is_nan());
        assert_eq!(table.only("name", "c&d").unwrap().numbers("loss").unwrap(), [2.5]);
        assert_eq!(table.only("n", 3).unwrap().numbers("loss").unwrap(), [0.0446969961]);
        assert_eq!(table.only("loss", 2.5).unwrap().frame().height(), 1);
        assert_eq!(table.only("name", 3).unwrap().frame().height(), 0);
        let refused = table.numbers("losses").unwrap_err().to_string();
        assert!(refused.contains("name, loss, n"), "{refused}");
        assert!(table.numbers("name").is_err() && table.only("x", 1).is_err());
    }

    #[test]
    fn a_file_that_cannot_be_written_names_its_path() {
        let folder = tempfile::tempdir().unwrap();
        let error = table().write_csv(folder.path()).unwrap_err();
        assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    }
}
