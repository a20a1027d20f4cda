//! Several things in one cell, in order.

use super::{Show, Shown};
use crate::error::Result;
use crate::plot::{Figure, Slider};
use crate::table::Table;

/// Figures, tables, sliders and text below one another: one HTML output, and for readers that show none one PNG file of all figures
/// and the plain text of the rest. What cannot be drawn leaves its message in its place.
///
/// ```
/// use ntgram_core::prelude::*;
/// # fn main() -> Result<()> {
/// let map = Heatmap::new(&[0.0, 1.0], 1, 2)?;
/// let table = Table::from_rows([row!["d" => 2, "loss" => 0.5], row!["d" => 3, "loss" => 0.25]])?;
/// let page = Page::new().text("Two dimensions, then three:").table(table).figure(map.figure());
/// assert!(page.shown()?.text().starts_with("Two dimensions"));
/// # Ok(()) }
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Page {
    shown: Shown,
}

impl Page {
    /// An empty page.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds text, line by line as it is.
    pub fn text(self, text: &str) -> Self {
        Self { shown: self.shown.then(Shown::plain(text)) }
    }

    /// Adds a figure, or one plot.
    pub fn figure(self, figure: impl Into<Figure>) -> Self {
        self.show(&figure.into())
    }

    /// Adds a table.
    pub fn table(self, table: impl Into<Table>) -> Self {
        self.show(&table.into())
    }

    /// Adds a slider.
    pub fn slider(self, slider: Slider) -> Self {
        self.show(&slider)
    }

    /// Adds whatever shows itself as a cell's last expression: a model, a law, a history, a tensor, a number.
    pub fn show<T: Show + ?Sized>(self, value: &T) -> Self {
        let new = value.shown().unwrap_or_else(|error| Shown::error(&error));
        Self { shown: self.shown.then(new) }
    }
}

impl Show for Page {
    fn shown(&self) -> Result<Shown> {
        Ok(self.shown.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::{Heatmap, display_heatmaps};
    use crate::table::df;

    fn map() -> Heatmap {
        Heatmap::new(&[0.0, 1.0], 1, 2).unwrap()
    }

    #[test]
    fn everything_comes_in_its_order() {
        let slider = display_heatmaps(vec![map(), map()]).unwrap();
        let page = Page::new().text("first & foremost").figure(map()).table(df!["k" => [7i64]].unwrap()).slider(slider);
        let html = page.shown().unwrap().html();
        let place = |what: &str| html.find(what).unwrap_or_else(|| panic!("{what} in {html}"));
        let places = [place("first &amp; foremost"), place("<img "), place("<table"), place("ntgram-slider")];
        assert!(places.is_sorted(), "{places:?}");
        let text = page.shown().unwrap().text();
        assert!(text.starts_with("first & foremost") && text.contains('7'), "{text}");
    }

    #[test]
    fn the_picture_is_all_figures_below_one_another() {
        let size = |png: &[u8]| {
            let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
            (side(16), side(20))
        };
        let one = size(&map().figure().to_png().unwrap());
        let page = Page::new().figure(map()).text("between").figure(map());
        assert_eq!(size(&page.shown().unwrap().png().unwrap().unwrap()), (one.0, 2 * one.1));
    }

    #[test]
    fn what_cannot_be_drawn_leaves_its_message_in_its_place() {
        let page = Page::new().text("before").figure(map().range(2.0, 1.0)).text("after");
        let text = page.shown().unwrap().text();
        assert!(text.starts_with("before") && text.contains("`range` is (2, 1)") && text.ends_with("after"), "{text}");
    }
}
