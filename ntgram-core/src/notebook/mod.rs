//! What a notebook cell shows: the last expression of a cell, what [`show`] gets, and [`Page`]s of several things.
//!
//! The only module that knows the kernel's markers. A kernel keeps one output of each kind (HTML, picture, text) for a cell, the
//! last one, and sends them together when the cell ends; so each is sent with all that the cell has shown before it.

mod data;
mod explore;
mod fit;
mod frame;
mod history;
mod law;
mod model;
mod page;
mod shown;
mod tensor;
mod values;

use std::fmt;
use std::sync::Mutex;

pub use explore::explore;
pub use page::Page;
pub use shown::Shown;

use crate::cell;
use crate::error::{Error, Result};
use crate::plot::{BarChart, Figure, Heatmap, LinePlot, Panel, Plane, Slider};
use crate::table::Table;

/// What shows itself in a notebook: the value of a cell's last expression, if it has no semicolon.
pub trait Show {
    /// What there is to see.
    ///
    /// # Errors
    /// It cannot be drawn or computed.
    fn shown(&self) -> Result<Shown>;

    /// Shows it; the kernel calls this. An error leaves its message in the value's place, and the cell goes on.
    fn evcxr_display(&self) {
        if let Err(error) = show(self) {
            let _ = add(Shown::error(&error));
        }
    }
}

/// A cell's number and what it has shown so far. All cells share this: another number means a new cell, which has shown nothing.
static CELL: Mutex<(u64, Shown)> = Mutex::new((0, Shown::nothing()));

/// Shows a value in the running cell, below what the cell has shown before: figures as pictures, tables as HTML and as text, models,
/// laws, histories and tensors in brief, everything else as `{:?}` prints it. It is seen when the cell has ended.
///
/// # Errors
/// The value cannot be drawn or computed; nothing of it is shown then.
pub fn show<T: Show + ?Sized>(value: &T) -> Result<()> {
    add(value.shown()?)
}

/// Adds to what the cell shows.
fn add(new: Shown) -> Result<()> {
    let mut cell = CELL.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (number, before) = std::mem::take(&mut *cell);
    let running = cell::number();
    let all = if number == running { before.then(new) } else { new };
    *cell = (running, all);
    cell.1.send()
}

impl Show for Figure {
    fn shown(&self) -> Result<Shown> {
        let (png, html) = self.to_png_and_html()?;
        Ok(Shown::picture(png, html))
    }
}

/// A panel alone shows itself as a figure.
macro_rules! show_as_figure {
    ($($panel:ty),*) => {$(
        impl Show for $panel {
            fn shown(&self) -> Result<Shown> {
                Figure::from(self.clone()).shown()
            }
        }
    )*};
}
show_as_figure!(Panel, Heatmap, LinePlot, BarChart, Plane);

impl Show for Slider {
    fn shown(&self) -> Result<Shown> {
        let (png, stills) = self.stills().to_png_and_html()?;
        Ok(Shown::picture(png, self.html_with(&stills)?))
    }
}

impl Show for Shown {
    fn shown(&self) -> Result<Shown> {
        Ok(self.clone())
    }
}

/// What is made to be seen is seen by `{:?}` too, in a cell: a last expression that uses up a variable, such as
/// `Page::new().figure(figure)`, does not compile with the kernel's call of `evcxr_display`, and the kernel prints it with `{:?}` instead.
macro_rules! debug_shows {
    ($($type:ident),*) => {$(
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&debug(stringify!($type), self))
            }
        }
    )*};
}
debug_shows!(Figure, Panel, Heatmap, LinePlot, BarChart, Plane, Slider, Table, Page, Shown);

/// The value's text, or its type's name where it has none. In a cell it is shown as well.
fn debug(name: &str, value: &dyn Show) -> String {
    let text = match value.shown() {
        Ok(new) => {
            let text = new.text();
            match if cell::in_notebook() { add(new) } else { Ok(()) } {
                Ok(()) => text,
                Err(error) => error.to_string(),
            }
        }
        Err(error) => error.to_string(),
    };
    if text.is_empty() { name.to_owned() } else { text }
}

/// A result without its `?`: the value, or the error's message.
impl<T: Show> Show for Result<T, Error> {
    fn shown(&self) -> Result<Shown> {
        match self {
            Ok(value) => value.shown(),
            Err(error) => Ok(Shown::error(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_one_picture_and_its_element() {
        let figure = Heatmap::new(&[1.0], 1, 1).unwrap().figure();
        let shown = figure.shown().unwrap();
        assert_eq!(shown.png().unwrap(), Some(figure.to_png().unwrap()));
        assert_eq!(shown.html(), figure.to_html().unwrap());
        assert_eq!(shown.text(), "");
    }

    #[test]
    fn a_slider_has_its_stills_as_the_picture() {
        let slider = crate::plot::display_heatmaps(vec![Heatmap::new(&[1.0], 1, 1).unwrap(); 2]).unwrap();
        let shown = slider.shown().unwrap();
        assert_eq!(shown.png().unwrap(), Some(slider.to_png().unwrap()));
        assert_eq!(shown.html(), slider.to_html().unwrap());
    }

    #[test]
    fn debug_is_short_and_the_text_of_what_has_one() {
        let figure = Heatmap::new(&[1.0], 1, 1).unwrap().figure();
        assert_eq!(format!("{figure:?}"), "Figure");
        assert_eq!(format!("{:?}", Page::new().text("as it is").figure(figure)), "as it is");
        assert!(format!("{:?}", Heatmap::new(&[1.0], 1, 1).unwrap().range(1.0, 0.0)).starts_with("`range` is (1, 0)"));
    }

    #[test]
    fn an_error_is_an_error_and_a_result_with_one_its_message() {
        let wrong = || Heatmap::new(&[1.0], 1, 1).unwrap().range(1.0, 0.0);
        assert!(wrong().shown().is_err());
        let refused: Result<Figure> = Err(wrong().figure().to_png().unwrap_err());
        assert!(refused.shown().unwrap().text().starts_with("`range` is (1, 0)"));
    }
}
