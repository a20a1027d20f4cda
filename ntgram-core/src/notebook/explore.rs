//! The live page in a cell.

use std::fmt::Display;
use std::path::Path;

use super::Shown;
use crate::error::{Error, Result};
use crate::listing::escape;

/// Where the page lies; the project's kernel sets it.
const VARIABLE: &str = "NTGRAM_PAGE";
/// Height of the frame until the page has measured itself, in CSS pixels.
const HEIGHT: usize = 1150;

/// The live page as a cell's last expression: the lesson's models train under sliders, in the browser. It needs no kernel once it is shown,
/// and is part of the saved notebook.
///
/// The set-up builds the page; this reads it from the file that the variable `NTGRAM_PAGE` names.
///
/// # Errors
/// The page is not there: the message says what builds it.
pub fn explore() -> Result<Shown> {
    match std::env::var_os(VARIABLE) {
        Some(path) => read(Path::new(&path)),
        None => {
            let expected =
                "it must name the live page, which `make site` builds (the kernel \"Rust (ntgram)\" sets it)";
            Err(Error::argument(VARIABLE, "not set", expected))
        }
    }
}

/// The page in a frame of its own, whose styles and scripts stay apart from the notebook's.
fn read(path: &Path) -> Result<Shown> {
    let refused = |reason: &dyn Display| {
        Error::file(path, "live page", &format!("{reason}: `make site` in the repository builds it"))
    };
    // a device or a pipe may have no end
    if !std::fs::metadata(path).map_err(|error| refused(&error))?.is_file() {
        return Err(refused(&"it is no file"));
    }
    let page = std::fs::read_to_string(path).map_err(|error| refused(&error))?;
    if page.trim().is_empty() {
        return Err(refused(&"it is empty"));
    }
    let html = format!(
        "<iframe class=\"ntgram-live\" title=\"Superposition, live\" style=\"display:block;width:100%;height:{HEIGHT}px;border:0\" srcdoc=\"{}\"></iframe>",
        escape(&page)
    );
    let text =
        "The live page: it is seen where a notebook's HTML and scripts are, in JupyterLab and in exported pages.";
    Ok(Shown::html_and_text(html, text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_in_the_frame_and_escaped() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "<p title=\"a & b\">").unwrap();
        let shown = read(file.path()).unwrap();
        assert!(shown.html().contains("srcdoc=\"&lt;p title=&quot;a &amp; b&quot;&gt;\""), "{}", shown.html());
        assert!(shown.text().starts_with("The live page"));
    }

    #[test]
    fn a_missing_page_names_what_builds_it() {
        let error = read(Path::new("/nowhere/page.html")).unwrap_err().to_string();
        assert!(
            error.contains("/nowhere/page.html is not a usable live page") && error.contains("`make site`"),
            "{error}"
        );
        if std::env::var_os(VARIABLE).is_none() {
            assert!(explore().unwrap_err().to_string().contains("`make site`"));
        }
    }
}
