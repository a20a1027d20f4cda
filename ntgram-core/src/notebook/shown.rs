//! What there is to see of a value, in the three forms that readers of notebooks know: HTML, a picture, text.

use std::fmt::Display;

use evcxr_runtime::mime_type;

use crate::error::Result;
use crate::listing::{cut, escape};
use crate::plot::stacked;

/// Between two things in one HTML output. `setup/notebook.py` parts a committed notebook's outputs here.
const NEXT: &str = "\n<!-- ntgram: next -->\n";

/// Characters of a text, and of a value as the language prints it, before the middle is left out.
const LONGEST_TEXT: usize = 100_000;
const LONGEST_VALUE: usize = 20_000;

/// One thing to see, or several below one another.
#[derive(Clone, Default, PartialEq)]
pub struct Shown {
    /// One element for each thing.
    html: Vec<String>,
    /// PNG files, for readers that show no HTML.
    pictures: Vec<Vec<u8>>,
    /// Plain text of what is no picture, for readers that show neither.
    texts: Vec<String>,
    /// Whether there is more to see than plain text.
    rich: bool,
}

impl Shown {
    /// Nothing yet.
    pub const fn nothing() -> Self {
        Self { html: Vec::new(), pictures: Vec::new(), texts: Vec::new(), rich: false }
    }

    /// A PNG file, and the element that shows it.
    pub(crate) fn picture(png: Vec<u8>, html: String) -> Self {
        Self { html: vec![html], pictures: vec![png], texts: vec![], rich: true }
    }

    /// An element and its plain text.
    pub(crate) fn html_and_text(html: String, text: String) -> Self {
        Self { html: vec![html], pictures: vec![], texts: vec![text], rich: true }
    }

    /// Plain text, line by line as it is; of more than 100,000 characters the first and the last.
    pub fn plain(text: &str) -> Self {
        let text = &cut(text, LONGEST_TEXT);
        let html = format!("<div style=\"white-space:pre-wrap\">{}</div>", escape(text));
        Self { rich: false, ..Self::html_and_text(html, text.to_owned()) }
    }

    /// A value as the language prints it.
    pub(crate) fn value(text: String) -> Self {
        let text = cut(&text, LONGEST_VALUE);
        let html = format!("<pre style=\"margin:0\">{}</pre>", escape(&text));
        Self { rich: false, ..Self::html_and_text(html, text) }
    }

    /// A message in place of what could not be shown.
    pub(crate) fn error(error: &dyn Display) -> Self {
        let text = error.to_string();
        let style = "color:var(--jp-error-color1,#b00020);white-space:pre-wrap";
        Self::html_and_text(format!("<div style=\"{style}\">{}</div>", escape(&text)), text)
    }

    /// This, and `next` below it.
    pub fn then(mut self, next: Shown) -> Self {
        self.html.extend(next.html);
        self.pictures.extend(next.pictures);
        self.texts.extend(next.texts);
        self.rich |= next.rich;
        self
    }

    /// All of it as HTML (plain text too).
    pub fn html(&self) -> String {
        match &self.html[..] {
            [one] => one.clone(),
            all => {
                let element = |html: &String| format!("<div style=\"margin:0 0 10px\">{html}</div>");
                all.iter().map(element).collect::<Vec<_>>().join(NEXT)
            }
        }
    }

    /// Its pictures as one PNG file, below one another; none, if it has none.
    ///
    /// # Errors
    /// They are too large together.
    pub fn png(&self) -> Result<Option<Vec<u8>>> {
        match &self.pictures[..] {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            all => stacked(all).map(Some),
        }
    }

    /// What is no picture, as plain text.
    pub fn text(&self) -> String {
        self.texts.join("\n\n")
    }

    /// Sends it to the page.
    pub(super) fn send(&self) -> Result<()> {
        if let Some(png) = self.png()? {
            mime_type("image/png").bytes(&png);
        }
        if self.rich {
            mime_type("text/html").text(self.html());
        }
        if !self.texts.is_empty() {
            mime_type("text/plain").text(self.text());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_in_order_and_apart() {
        let both = Shown::plain("a < b").then(Shown::nothing()).then(Shown::plain("c"));
        assert_eq!(both.text(), "a < b\n\nc");
        let html = both.html();
        let parts: Vec<&str> = html.split(NEXT).collect();
        assert_eq!(parts.len(), 2);
        assert!(parts[0].contains("a &lt; b") && parts[1].contains(">c<"), "{html}");
        assert_eq!(both.png().unwrap(), None);
    }

    #[test]
    fn one_thing_is_sent_as_it_is() {
        let one = Shown::html_and_text("<b>1</b>".to_owned(), "1".to_owned());
        assert_eq!((one.html(), one.text()), ("<b>1</b>".to_owned(), "1".to_owned()));
    }
}
