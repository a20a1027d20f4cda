//! What a notebook cell shows. The only module that knows the kernel's markers: a cell's last expression is shown by its
//! `evcxr_display`, and so is what [`show`] gets.

use evcxr_runtime::mime_type;

use crate::error::Result;
use crate::plot::Figure;
use crate::table::Table;

/// Shows a figure in the running cell: as `image/png`, and for JupyterLab as an HTML element that says how large the picture is on
/// the page (a PNG file has two pixels for each of the page's). A kernel keeps one picture a cell: several plots belong in one
/// [`Figure::grid`].
///
/// # Errors
/// The figure cannot be drawn.
pub fn show(figure: &Figure) -> Result<()> {
    let (png, html) = (figure.to_png()?, figure.to_html()?);
    mime_type("image/png").bytes(&png);
    mime_type("text/html").text(html);
    Ok(())
}

impl Figure {
    /// Shows the figure when it is a cell's last expression.
    pub fn evcxr_display(&self) {
        if let Err(error) = show(self) {
            eprintln!("{error}");
        }
    }
}

impl Table {
    /// Shows the table when it is a cell's last expression: HTML, and text for readers that show none.
    pub fn evcxr_display(&self) {
        mime_type("text/html").text(self.to_html());
        mime_type("text/plain").text(self.to_string());
    }
}
