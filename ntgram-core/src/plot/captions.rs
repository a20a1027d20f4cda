//! Title and axis labels of a panel.

use plotters::backend::DrawingBackend;
use plotters::style::text_anchor::HPos;

use super::canvas::Canvas;
use super::colors::INK;
use super::font::Font;
use super::geometry::{Rect, px};
use super::space::{LABEL_TEXT, Margins, TITLE_TEXT, text_height};
use crate::error::Result;

/// Title and axis labels; empty ones take no space.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Captions {
    pub(super) title: String,
    pub(super) x_label: String,
    pub(super) y_label: String,
}

const TITLE_GAP: f64 = 6.0;
const LABEL_GAP: f64 = 6.0;

impl Captions {
    /// Margins that hold the captions around a plot of `size`, outside what its ticks need. Titles are no wider than plot, ticks and the label
    /// beside them.
    pub(super) fn margins(&self, font: &Font, size: (f64, f64), ticks: Margins) -> Margins {
        let block = |text: &str, text_size: f64, width: f64, gap: f64| {
            let lines = font.wrap(text, px(text_size), width).len();
            if lines == 0 { 0.0 } else { text_height(lines, px(text_size)) + px(gap) }
        };
        let left = ticks.left + block(&self.y_label, LABEL_TEXT, size.1 + ticks.top + ticks.bottom, LABEL_GAP);
        let outer = left + size.0 + ticks.right;
        Margins {
            left,
            right: ticks.right,
            top: ticks.top + block(&self.title, TITLE_TEXT, outer, TITLE_GAP),
            bottom: ticks.bottom + block(&self.x_label, LABEL_TEXT, outer, LABEL_GAP),
        }
    }

    /// Writes them around `plot`, whose ticks take `ticks`, inside `outer`.
    pub(super) fn draw(
        &self,
        canvas: &mut Canvas<impl DrawingBackend>,
        plot: Rect,
        ticks: Margins,
        outer: Rect,
    ) -> Result<()> {
        let middle = (plot.left + plot.right) / 2.0;
        let beside = self.margins(&canvas.font, (plot.width(), plot.height()), ticks);
        let own = (beside.left + plot.width() + beside.right).min(outer.width());
        let title = canvas.font.wrap(&self.title, px(TITLE_TEXT), own);
        let height = text_height(title.len(), px(TITLE_TEXT));
        let top = plot.top - ticks.top - px(TITLE_GAP) - height;
        write_lines(canvas, &title, px(TITLE_TEXT), (middle, top), outer)?;

        let x_label = canvas.font.wrap(&self.x_label, px(LABEL_TEXT), own);
        write_lines(canvas, &x_label, px(LABEL_TEXT), (middle, plot.bottom + ticks.bottom + px(LABEL_GAP)), outer)?;

        let size = px(LABEL_TEXT);
        let y_label = canvas.font.wrap(&self.y_label, size, outer.height());
        let left = plot.left - ticks.left - px(LABEL_GAP) - text_height(y_label.len(), size);
        for (k, line) in y_label.iter().enumerate() {
            let half = canvas.font.width(line, size) / 2.0;
            let y = inside((plot.top + plot.bottom) / 2.0, half, outer.top, outer.bottom);
            let x = left + size * (Font::CAPITAL + k as f64 * Font::LINE);
            canvas.text_upwards(line, (x, y), size, HPos::Center, INK)?;
        }
        Ok(())
    }
}

/// Writes centred lines below `top`, each moved as far as it must be to lie inside `outer`.
pub(super) fn write_lines(
    canvas: &mut Canvas<impl DrawingBackend>,
    lines: &[String],
    size: f64,
    (middle, top): (f64, f64),
    outer: Rect,
) -> Result<()> {
    for (k, line) in lines.iter().enumerate() {
        let half = canvas.font.width(line, size) / 2.0;
        let x = inside(middle, half, outer.left, outer.right);
        let y = top + size * (Font::CAPITAL + k as f64 * Font::LINE);
        canvas.text(line, (x, y), size, HPos::Center, INK)?;
    }
    Ok(())
}

/// The nearest to `middle` at which a text of twice `half` lies between `from` and `to`.
fn inside(middle: f64, half: f64, from: f64, to: f64) -> f64 {
    if 2.0 * half > to - from { (from + to) / 2.0 } else { middle.clamp(from + half, to - half) }
}

/// The setters of title and axis labels that every panel has.
macro_rules! caption_setters {
    () => {
        /// Title, above; long ones are broken into lines.
        pub fn title(mut self, title: impl ToString) -> Self {
            self.captions.title = title.to_string();
            self
        }

        /// Label of the horizontal axis.
        pub fn x_label(mut self, label: impl ToString) -> Self {
            self.captions.x_label = label.to_string();
            self
        }

        /// Label of the vertical axis.
        pub fn y_label(mut self, label: impl ToString) -> Self {
            self.captions.y_label = label.to_string();
            self
        }
    };
}
pub(super) use caption_setters;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_captions_wrap_and_need_more_room() {
        let font = Font::load().unwrap();
        let captions = |title: &str| Captions { title: title.to_owned(), ..Captions::default() };
        let space = |title| captions(title).margins(&font, (px(200.0), px(100.0)), Margins::default()).top;
        assert_eq!(space(""), 0.0);
        assert!(space("Attention of module 0 to the first token") > space("Attention"));
    }
}
