//! Data and sequences: how many, and the first of them.

use super::{Show, Shown};
use crate::data::Data;
use crate::error::Result;
use crate::laws::Sequences;
use crate::listing::{self, CUT, Column, Kind};
use crate::numbers::count;

/// Sequences and positions shown before they are cut in the middle.
const ROWS: usize = 12;
const POSITIONS: usize = 12;

impl Show for Data {
    fn shown(&self) -> Result<Shown> {
        let (batches, size) = (count(self.num_batch(), "batch"), count(self.batch_size(), "sequence"));
        let heading = format!("{batches} of {size} of {} tokens, N = {}", self.context_window(), self.n_vocab());
        Ok(listed("Data", &heading, self.sequences()))
    }
}

impl Show for Sequences {
    fn shown(&self) -> Result<Shown> {
        let heading = format!("{} of {} tokens", count(self.rows(), "sequence"), self.length());
        Ok(listed("Sequences", &heading, self))
    }
}

fn listed(name: &str, heading: &str, sequences: &Sequences) -> Shown {
    let rows = listing::shown(sequences.rows(), ROWS);
    let cells = |text: &dyn Fn(usize) -> String| {
        rows.iter().map(|row| row.map_or_else(|| CUT.to_owned(), text)).collect::<Vec<_>>()
    };
    let mut columns = vec![Column::new(Kind::Names, "", cells(&|row| row.to_string()))];
    for position in listing::shown(sequences.length(), POSITIONS) {
        columns.push(match position {
            None => Column::new(Kind::Text, CUT, vec![CUT.to_owned(); rows.len()]),
            Some(t) => {
                let token = |row: usize| sequences.get(row).map_or_else(String::new, |tokens| tokens[t].to_string());
                Column::new(Kind::Numbers, &format!("x_{t}"), cells(&token))
            }
        });
    }
    let html = format!("<div><b>{name}</b>: {heading}</div>\n{}", listing::to_html(&columns));
    Shown::html_and_text(html, format!("{name}: {heading}\n\n{}", listing::to_text(&columns)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::laws::power_unif_law;
    use crate::rng::TorchRng;

    #[test]
    fn a_few_sequences_of_many() {
        let law = power_unif_law(&[1.0; 3], &[4; 3], 4, &mut TorchRng::new(1)).unwrap();
        let data = crate::data::generate_data(100, 500, &law, 20, &mut TorchRng::new(2)).unwrap();
        let text = data.shown().unwrap().text();
        assert!(text.starts_with("Data: 500 batches of 100 sequences of 20 tokens, N = 4\n"), "{text}");
        assert!(text.lines().count() < 20 && text.contains("x_19") && !text.contains("x_9"), "{text}");
        let three = data.head(3).shown().unwrap();
        assert!(three.text().starts_with("Sequences: 3 sequences of 20 tokens\n") && three.text().lines().count() == 6);
        assert!(three.html().contains("<th style"));
    }
}
