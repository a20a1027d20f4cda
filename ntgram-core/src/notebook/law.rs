//! Laws: order, vocabulary, entropy, what the rows of each table look like, and the last table of small ones as a picture.

use super::{Show, Shown};
use crate::error::Result;
use crate::laws::{Law, entropy};
use crate::listing::{self, CUT, Column, Kind};
use crate::numbers::{Small, aligned, short};
use crate::plot::{Figure, Heatmap};

/// Tables listed before the list is cut in the middle.
const SHOWN: usize = 20;
/// Most rows and columns of a table that is drawn.
const DRAWN: (usize, usize) = (150, 50);

impl Show for Law {
    fn shown(&self) -> Result<Shown> {
        let heading = format!(
            "order {}, N = {}; entropy of the last token {} nats (log N = {})",
            self.order(),
            self.n_vocab(),
            short(entropy(self)),
            short((self.n_vocab() as f64).ln()),
        );
        let columns = tables(self);
        let html = format!("<div><b>Law</b>: {heading}</div>\n{}", listing::to_html(&columns));
        let text = Shown::html_and_text(html, format!("Law: {heading}\n\n{}", listing::to_text(&columns)));
        match figure(self)? {
            Some(figure) => Ok(text.then(figure.shown()?)),
            None => Ok(text),
        }
    }
}

/// What one row, a distribution of the next token, looks like.
struct Row {
    possible: usize,
    largest: f64,
    entropy: f64,
}

impl Row {
    fn new(row: &[f32]) -> Self {
        let positive = || row.iter().filter(|p| **p > 0.0).map(|p| f64::from(*p));
        let entropy = -positive().map(|p| p * p.ln()).sum::<f64>();
        // + 0.0 turns -0 into 0
        Self { possible: positive().count(), largest: positive().fold(0.0, f64::max), entropy: entropy.max(0.0) + 0.0 }
    }
}

/// One line for each table: its contexts, and over its rows the possible tokens, the likeliest token's probability and the entropy,
/// from the least to the largest.
fn tables(law: &Law) -> Vec<Column> {
    let places = listing::shown(law.order(), SHOWN);
    let rows: Vec<Vec<Row>> = places
        .iter()
        .filter_map(|i| law.table((*i)?))
        .map(|table| table.chunks_exact(law.n_vocab()).map(Row::new).collect())
        .collect();
    let span = |value: &dyn Fn(&Row) -> f64| {
        let ends: Vec<f64> = rows
            .iter()
            .flat_map(|rows| {
                let values = || rows.iter().map(value);
                [values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max)]
            })
            .collect();
        let texts = aligned(&ends, 4, Small::Rounded);
        texts.chunks_exact(2).map(|ends| if ends[0] == ends[1] { ends[0].clone() } else { ends.join(" – ") }).collect()
    };
    let cells = |mut shown: Vec<String>| {
        if let Some(place) = places.iter().position(Option::is_none) {
            shown.insert(place, CUT.to_owned());
        }
        shown
    };
    let name = |i: usize| match i {
        0 => "x_0".to_owned(),
        1 => "x_1 after x_0".to_owned(),
        6.. => format!("x_{i} after x_0 … x_{}", i - 1),
        _ => format!("x_{i} after {}", (0..i).map(|k| format!("x_{k}")).collect::<Vec<_>>().join(" ")),
    };
    vec![
        Column::new(Kind::Text, "table", cells(places.iter().flatten().map(|&i| name(i)).collect())),
        Column::new(Kind::Numbers, "contexts", cells(rows.iter().map(|rows| rows.len().to_string()).collect())),
        Column::new(Kind::Numbers, "possible tokens", cells(span(&|row| row.possible as f64))),
        Column::new(Kind::Numbers, "likeliest token", cells(span(&|row| row.largest))),
        Column::new(Kind::Numbers, "entropy (nats)", cells(span(&|row| row.entropy))),
    ]
}

/// The rows of the last table, if they are few: the token that follows each context.
fn figure(law: &Law) -> Result<Option<Figure>> {
    let (n, table) = (law.n_vocab(), law.last_table());
    let (rows, last) = (table.len() / n, law.order() - 1);
    if rows > DRAWN.0 || n > DRAWN.1 {
        return Ok(None);
    }
    let values: Vec<f64> = table.iter().map(|p| f64::from(*p)).collect();
    let context = |row: usize| {
        let token = |place: usize| (row / n.pow((last - 1 - place) as u32) % n).to_string();
        (0..last).map(token).collect::<Vec<_>>().join(" ")
    };
    let contexts = (0..rows).map(context);
    let label: String = (0..last).map(|k| format!(" x_{k}")).collect();
    let map = Heatmap::new(&values, rows, n)?
        .range(0.0, 1.0)
        .row_labels(contexts)
        .x_label(format!("Next token x_{last}"))
        .y_label(format!("Context{label}"))
        .title("Probability of the next token");
    Ok(Some(map.figure()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn law() -> Law {
        Law::new(2, vec![vec![0.5, 0.5], vec![1.0, 0.0, 0.25, 0.75]]).unwrap()
    }

    #[test]
    fn a_law_tells_what_its_rows_look_like() {
        let text = law().shown().unwrap().text();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(
            text.starts_with("Law: order 2, N = 2; entropy of the last token 0.281168 nats (log N = 0.693147)"),
            "{text}"
        );
        assert_eq!(lines[3], ["x_0", "1", "2", "0.50", "0.6931"], "{text}");
        assert_eq!(
            lines[4][..],
            ["x_1", "after", "x_0", "2", "1", "–", "2", "0.75", "–", "1.00", "0.0000", "–", "0.5623"]
        );
    }

    #[test]
    fn small_laws_are_drawn_and_large_ones_are_not() {
        assert!(law().shown().unwrap().png().unwrap().is_some());
        let one = Law::new(3, vec![vec![0.2, 0.3, 0.5]]).unwrap();
        assert!(one.shown().unwrap().png().unwrap().is_some());
        let uniform = |n: usize| Law::new(n, vec![vec![1.0 / n as f32; n], vec![1.0 / n as f32; n * n]]).unwrap();
        assert!(uniform(100).shown().unwrap().png().unwrap().is_none());
    }
}
