//! polars tables.

use polars::prelude::DataFrame;

use super::{Show, Shown};
use crate::error::Result;
use crate::table::{Table, frame_html};

impl Show for DataFrame {
    fn shown(&self) -> Result<Shown> {
        Ok(Shown::html_and_text(frame_html(self), self.to_string()))
    }
}

impl Show for Table {
    fn shown(&self) -> Result<Shown> {
        self.frame().shown()
    }
}
