//! The space around a plot: sizes of text and ticks, margins, and where a panel goes.

use super::font::Font;
use super::geometry::Rect;

/// Text sizes, in CSS pixels per em.
pub(super) const TICK_TEXT: f64 = 12.0;
pub(super) const LABEL_TEXT: f64 = 13.5;
pub(super) const TITLE_TEXT: f64 = 15.0;

/// Length of a tick, and the gap between it and its label, in CSS pixels.
pub(super) const TICK: f64 = 4.0;
pub(super) const TICK_GAP: f64 = 4.0;

/// Space around a plot, in device pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Margins {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Margins {
    /// The larger of the two on every side.
    pub(super) fn union(self, other: Margins) -> Margins {
        Margins {
            left: self.left.max(other.left),
            right: self.right.max(other.right),
            top: self.top.max(other.top),
            bottom: self.bottom.max(other.bottom),
        }
    }

    pub(super) fn rounded_up(self) -> Margins {
        Margins { left: self.left.ceil(), right: self.right.ceil(), top: self.top.ceil(), bottom: self.bottom.ceil() }
    }
}

/// Where a panel is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slot {
    /// For the plot itself.
    pub(super) plot: Rect,
    /// For the plot and everything around it.
    pub(super) outer: Rect,
}

/// Height of `lines` lines of text from the top of a capital to just below the last baseline's descenders.
pub(super) fn text_height(lines: usize, size: f64) -> f64 {
    if lines == 0 { 0.0 } else { size * ((lines - 1) as f64 * Font::LINE + Font::CAPITAL + 0.22) }
}
