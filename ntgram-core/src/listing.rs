//! Rows and columns of text as an HTML table and as aligned plain text: how tables, models, laws and tensors list things.
//!
//! Colours and fonts are the page's own, so that a table reads on a light and on a dark one; what matters (alignment, no line breaks
//! inside numbers, digits of one width) is said in each element, since readers that strip styles keep those.

/// What stands for rows or columns that are left out.
pub(crate) const CUT: &str = "⋯";

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Names of the rows.
    Names,
    /// Text, to the left.
    Text,
    /// Numbers, to the right.
    Numbers,
}

/// One column; all columns of a listing have equally many cells.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) kind: Kind,
    pub(crate) head: String,
    pub(crate) cells: Vec<String>,
}

impl Column {
    pub(crate) fn new(kind: Kind, head: &str, cells: Vec<String>) -> Self {
        Self { kind, head: head.to_owned(), cells }
    }
}

/// Indices of the rows or columns to show of `count`, at most `most` or so; `None` stands for those left out of the middle.
pub(crate) fn shown(count: usize, most: usize) -> Vec<Option<usize>> {
    if count <= most {
        return (0..count).map(Some).collect();
    }
    let half = most / 2;
    (0..half).map(Some).chain([None]).chain((count - half..count).map(Some)).collect()
}

/// A text of up to `most` characters; of a longer one its start and its end.
pub(crate) fn cut(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    let half = most / 2;
    let start: String = text.chars().take(half).collect();
    let end: String = text.chars().skip(count - half).collect();
    format!("{start} {CUT} {end} ({count} characters)")
}

/// Whether a text has spaces that HTML leaves out unless it is told to keep them.
fn is_spaced(text: &str) -> bool {
    text.trim() != text || text.contains("  ") || text.contains(['\n', '\t'])
}

/// The columns as an HTML table.
pub(crate) fn to_html(columns: &[Column]) -> String {
    let cell = |column: &Column, head: bool, text: &str| {
        let tag = if head || column.kind == Kind::Names { "th" } else { "td" };
        let style = match column.kind {
            Kind::Numbers | Kind::Names => "text-align:right;white-space:nowrap",
            // a page would join what is apart
            Kind::Text if is_spaced(text) => "text-align:left;white-space:pre-wrap",
            Kind::Text => "text-align:left",
        };
        format!("<{tag} style=\"{style}\">{}</{tag}>", escape(text))
    };
    let row = |texts: &dyn Fn(&Column) -> String| {
        let cells: String = columns.iter().map(texts).collect();
        format!("<tr>{cells}</tr>")
    };
    let rows = columns.first().map_or(0, |column| column.cells.len());
    let mut html = String::from("<table cellpadding=\"4\" style=\"font-variant-numeric:tabular-nums\">\n<thead>");
    html += &row(&|column| cell(column, true, &column.head));
    html += "</thead>\n<tbody>\n";
    for k in 0..rows {
        html += &row(&|column| cell(column, false, &column.cells[k]));
        html.push('\n');
    }
    html + "</tbody>\n</table>"
}

/// The columns as text, each as wide as its longest cell. Headers that are all empty take no line.
pub(crate) fn to_text(columns: &[Column]) -> String {
    let rows = columns.first().map_or(0, |column| column.cells.len());
    let headed = columns.iter().any(|column| !column.head.is_empty());
    let mut lines = vec![String::new(); rows + usize::from(headed)];
    for (place, column) in columns.iter().enumerate() {
        let texts = headed.then_some(&column.head).into_iter().chain(&column.cells);
        let width = texts.clone().map(|text| text.chars().count()).max().unwrap_or(0);
        for (line, text) in lines.iter_mut().zip(texts) {
            if place > 0 {
                line.push_str("  ");
            }
            match column.kind {
                Kind::Text => line.push_str(&format!("{text:<width$}")),
                Kind::Names | Kind::Numbers => line.push_str(&format!("{text:>width$}")),
            }
        }
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

/// Text as it stands in an HTML element or attribute.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<Column> {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        vec![
            Column::new(Kind::Names, "", texts(&["0", "10"])),
            Column::new(Kind::Text, "name", texts(&["a<b", "\"c\" & 'd'"])),
            Column::new(Kind::Numbers, "loss", texts(&["0.25", "-1.50"])),
        ]
    }

    #[test]
    fn html_escapes_all_text_and_puts_numbers_to_the_right() {
        let html = to_html(&columns());
        assert!(html.contains("<td style=\"text-align:left\">a&lt;b</td>"), "{html}");
        assert!(html.contains("&quot;c&quot; &amp; &#39;d&#39;"), "{html}");
        assert!(html.contains("<td style=\"text-align:right;white-space:nowrap\">-1.50</td>"), "{html}");
        assert!(html.contains("<th style=\"text-align:right;white-space:nowrap\">10</th>"), "{html}");
        assert_eq!(html.matches("<tr>").count(), 3);
        let spaced =
            to_html(&[Column::new(Kind::Text, "a", vec!["x  y".to_owned(), " z".to_owned(), "x y".to_owned()])]);
        assert_eq!(spaced.matches("white-space:pre-wrap").count(), 2, "{spaced}");
    }

    #[test]
    fn text_is_aligned_and_without_spaces_at_the_end() {
        assert_eq!(to_text(&columns()), "    name        loss\n 0  a<b         0.25\n10  \"c\" & 'd'  -1.50");
        let unnamed: Vec<Column> =
            columns().into_iter().map(|column| Column { head: String::new(), ..column }).collect();
        assert_eq!(to_text(&unnamed).lines().count(), 2);
        assert_eq!(to_text(&[]), "");
    }

    #[test]
    fn what_is_left_out_is_left_out_of_the_middle() {
        assert_eq!(shown(3, 3), [Some(0), Some(1), Some(2)]);
        assert_eq!(shown(9, 4), [Some(0), Some(1), None, Some(7), Some(8)]);
        assert_eq!(shown(0, 4), []);
        assert_eq!(cut("abcé", 4), "abcé");
        assert_eq!(cut("abcdé", 4), "ab ⋯ dé (5 characters)");
    }
}
