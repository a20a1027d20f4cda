//! What all panels share: captions, the space around the plot, and labels along an axis.

use std::collections::BTreeMap;

use super::canvas::{Anchor, Canvas, Rect, px};
use super::colors::{AXIS, INK};
use super::font::Font;
use crate::error::{Error, Result};

/// Text sizes, in CSS pixels per em.
pub(super) const TICK_TEXT: f64 = 12.0;
pub(super) const LABEL_TEXT: f64 = 13.5;
pub(super) const TITLE_TEXT: f64 = 15.0;

/// Length of a tick, and the gap between it and its label, in CSS pixels.
pub(super) const TICK: f64 = 4.0;
pub(super) const TICK_GAP: f64 = 4.0;

/// Title and axis labels; empty ones take no space.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Captions {
    pub(super) title: String,
    pub(super) x_label: String,
    pub(super) y_label: String,
}

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
}

/// Where a panel is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slot {
    /// For the plot itself.
    pub(super) plot: Rect,
    /// For the plot and everything around it.
    pub(super) outer: Rect,
}

const TITLE_GAP: f64 = 6.0;
const LABEL_GAP: f64 = 6.0;

/// Height of `lines` lines of text from the top of a capital to just below the last baseline's descenders.
pub(super) fn text_height(lines: usize, size: f64) -> f64 {
    if lines == 0 { 0.0 } else { size * ((lines - 1) as f64 * Font::LINE + Font::CAPITAL + 0.22) }
}

impl Captions {
    /// Margins that hold the captions around a plot of `size`, outside what its ticks need.
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
    pub(super) fn draw(&self, canvas: &mut Canvas, plot: Rect, ticks: Margins, outer: Rect) -> Result<()> {
        let middle = (plot.left + plot.right) / 2.0;
        let title = canvas.font.wrap(&self.title, px(TITLE_TEXT), outer.width());
        let height = text_height(title.len(), px(TITLE_TEXT));
        let top = plot.top - ticks.top - px(TITLE_GAP) - height;
        write_lines(canvas, &title, px(TITLE_TEXT), (middle, top), outer)?;

        let x_label = canvas.font.wrap(&self.x_label, px(LABEL_TEXT), outer.width());
        write_lines(canvas, &x_label, px(LABEL_TEXT), (middle, plot.bottom + ticks.bottom + px(LABEL_GAP)), outer)?;

        let size = px(LABEL_TEXT);
        let y_label = canvas.font.wrap(&self.y_label, size, outer.height());
        let left = plot.left - ticks.left - px(LABEL_GAP) - text_height(y_label.len(), size);
        for (k, line) in y_label.iter().enumerate() {
            let half = canvas.font.width(line, size) / 2.0;
            let y = inside((plot.top + plot.bottom) / 2.0, half, outer.top, outer.bottom);
            let x = left + size * (Font::CAPITAL + k as f64 * Font::LINE);
            canvas.text_upwards(line, (x, y), size, Anchor::Middle, INK)?;
        }
        Ok(())
    }
}

/// Writes centred lines below `top`, each moved as far as it must be to lie inside `outer`.
pub(super) fn write_lines(
    canvas: &mut Canvas,
    lines: &[String],
    size: f64,
    (middle, top): (f64, f64),
    outer: Rect,
) -> Result<()> {
    for (k, line) in lines.iter().enumerate() {
        let half = canvas.font.width(line, size) / 2.0;
        let x = inside(middle, half, outer.left, outer.right);
        let y = top + size * (Font::CAPITAL + k as f64 * Font::LINE);
        canvas.text(line, (x, y), size, Anchor::Middle, INK)?;
    }
    Ok(())
}

/// The nearest to `middle` at which a text of twice `half` lies between `from` and `to`.
fn inside(middle: f64, half: f64, from: f64, to: f64) -> f64 {
    if 2.0 * half > to - from { (from + to) / 2.0 } else { middle.clamp(from + half, to - half) }
}

/// Labels of rows, columns or bars: given ones or indices, and single ones that replace them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Labels {
    /// One label each; none: indices from 0.
    pub(super) all: Option<Vec<String>>,
    /// Labels that are shown before all others.
    pub(super) marked: BTreeMap<usize, String>,
}

/// The labels that are shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shown {
    /// Index and text.
    pub(super) labels: Vec<(usize, String)>,
    /// Whether they read upwards.
    pub(super) upwards: bool,
}

/// Longest label beside a row, and below a column when it reads upwards, in CSS pixels.
const LONGEST: f64 = 200.0;

impl Labels {
    pub(super) fn set(&mut self, labels: &[&str]) {
        self.all = Some(labels.iter().map(|&label| label.to_owned()).collect());
    }

    /// An error where there is not one label for each of `count`, or one for something that is not there.
    pub(super) fn check(&self, argument: &'static str, count: usize) -> Result<()> {
        if let Some(all) = self.all.as_ref().filter(|all| all.len() != count) {
            let expected = format!("there must be one for each, {count}");
            return Err(Error::argument(argument, format!("{} labels", all.len()), expected));
        }
        match self.marked.last_key_value() {
            Some((&index, label)) if index >= count => {
                let expected = format!("the last index is {}", count.saturating_sub(1));
                Err(Error::argument(argument, format!("{label:?} at {index}"), expected))
            }
            _ => Ok(()),
        }
    }

    /// The label of one of them.
    pub(super) fn text(&self, index: usize) -> String {
        let given = self.marked.get(&index).or_else(|| self.all.as_ref().and_then(|all| all.get(index)));
        given.cloned().unwrap_or_else(|| index.to_string())
    }

    /// What to show beside `count` rows that are `pitch` high.
    pub(super) fn down(&self, font: &Font, count: usize, pitch: f64) -> Shown {
        let text = |index: usize| font.cut(&self.text(index), px(TICK_TEXT), px(LONGEST));
        let labels = self.thin(count, pitch, |_| px(TICK_TEXT) * 1.15, &text);
        Shown { labels, upwards: false }
    }

    /// What to show below `count` columns that are `pitch` wide: words that would overlap read upwards.
    pub(super) fn along(&self, font: &Font, count: usize, pitch: f64) -> Shown {
        let level = |index: usize| font.width(&self.text(index), px(TICK_TEXT)) + px(7.0);
        let words = self.all.is_some() || !self.marked.is_empty();
        // the widest label fits, or no word has to be left out
        let fits = !words || (0..count).all(|index| level(index) <= pitch);
        if fits {
            let labels = self.thin(count, pitch, level, &|index| self.text(index));
            return Shown { labels, upwards: false };
        }
        let shown = self.down(font, count, pitch);
        Shown { upwards: true, ..shown }
    }

    /// The marked labels, then as many of the others, in equal steps, as leave none overlapping.
    fn thin(
        &self,
        count: usize,
        pitch: f64,
        extent: impl Fn(usize) -> f64,
        text: &dyn Fn(usize) -> String,
    ) -> Vec<(usize, String)> {
        let clear = |a: usize, b: usize| a.abs_diff(b) as f64 * pitch >= (extent(a) + extent(b)) / 2.0 - 1e-6 && a != b;
        let mut kept: Vec<usize> = Vec::new();
        for &index in self.marked.keys() {
            if kept.last().is_none_or(|&last| clear(last, index)) {
                kept.push(index);
            }
        }
        let apart = |step: usize| (step..count).step_by(step).all(|index| clear(index - step, index));
        let step = match self.all {
            Some(_) => (1..count).find(|&step| apart(step)),
            None => {
                let round = |k: u32| [1, 2, 5].map(|m| m * 10usize.pow(k));
                (0..18).flat_map(round).take_while(|&step| step < count).find(|&step| apart(step))
            }
        };
        let marked = kept.clone();
        let others = (0..count).step_by(step.unwrap_or(count.max(1)));
        kept.extend(others.filter(|&index| marked.iter().all(|&m| clear(m, index))));
        kept.sort_unstable();
        kept.into_iter().map(|index| (index, text(index))).collect()
    }
}

/// Height that labels below columns need, ticks included.
pub(super) fn height_below(font: &Font, shown: &Shown) -> f64 {
    let text = match shown.upwards {
        true => font.widest(shown.labels.iter().map(|l| l.1.as_str()), px(TICK_TEXT)),
        false => text_height(1, px(TICK_TEXT)),
    };
    px(TICK + TICK_GAP) + text
}

/// A tick: a horizontal or vertical line, one CSS pixel wide, whose middle lies at `from` and `to`.
pub(super) fn tick(canvas: &mut Canvas, from: (f64, f64), to: (f64, f64)) -> Result<()> {
    let half = px(0.5);
    let rect = match from.1 == to.1 {
        true => Rect { left: from.0, right: to.0, top: from.1.round() - half, bottom: from.1.round() + half },
        false => Rect { left: from.0.round() - half, right: from.0.round() + half, top: from.1, bottom: to.1 },
    };
    canvas.fill(rect, AXIS)
}

/// Writes a tick's label below `bottom`, level and centred at `x` or reading upwards.
pub(super) fn write_below(canvas: &mut Canvas, text: &str, x: f64, bottom: f64, upwards: bool) -> Result<()> {
    let (top, capital) = (bottom + px(TICK + TICK_GAP), px(TICK_TEXT) * Font::CAPITAL);
    match upwards {
        true => canvas.text_upwards(text, (x + capital / 2.0, top), px(TICK_TEXT), Anchor::End, INK),
        false => canvas.text(text, (x, top + capital), px(TICK_TEXT), Anchor::Middle, INK),
    }
}

/// The setters of title and axis labels that every panel has.
macro_rules! caption_setters {
    () => {
        /// Title, above; long ones are broken into lines.
        pub fn title(mut self, title: &str) -> Self {
            self.captions.title = title.to_owned();
            self
        }

        /// Label of the horizontal axis.
        pub fn x_label(mut self, label: &str) -> Self {
            self.captions.x_label = label.to_owned();
            self
        }

        /// Label of the vertical axis.
        pub fn y_label(mut self, label: &str) -> Self {
            self.captions.y_label = label.to_owned();
            self
        }

        /// A figure of this panel alone.
        pub fn figure(self) -> $crate::plot::Figure {
            $crate::plot::Figure::new(self.into())
        }
    };
}
pub(super) use caption_setters;

/// An error unless both are finite and `lo < hi`.
pub(super) fn check_range(argument: &'static str, (lo, hi): (f64, f64)) -> Result<()> {
    if lo < hi && (hi - lo).is_finite() {
        return Ok(());
    }
    Err(Error::argument(argument, format!("({lo}, {hi})"), "both ends must be finite, the first below the second"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn indices(shown: &Shown) -> Vec<usize> {
        shown.labels.iter().map(|l| l.0).collect()
    }

    #[test]
    fn indices_are_thinned_in_round_steps() {
        let font = Font::load().unwrap();
        let labels = Labels::default();
        assert_eq!(indices(&labels.down(&font, 4, px(20.0))), [0, 1, 2, 3]);
        assert_eq!(indices(&labels.down(&font, 100, px(3.5))), (0..100).step_by(5).collect::<Vec<_>>());
        assert_eq!(indices(&labels.down(&font, 3, 0.01)), [0]);
        assert_eq!(indices(&labels.along(&font, 1, 1.0)), [0]);
    }

    #[test]
    fn marked_labels_are_kept_and_others_make_room() {
        let font = Font::load().unwrap();
        let mut labels = Labels::default();
        labels.marked.insert(6, "Best".to_owned());
        let shown = labels.down(&font, 100, px(3.5));
        assert!(shown.labels.contains(&(6, "Best".to_owned())));
        assert!(!indices(&shown).contains(&5) && indices(&shown).contains(&10) && indices(&shown).contains(&0));
    }

    #[test]
    fn words_that_do_not_fit_read_upwards() {
        let font = Font::load().unwrap();
        let mut labels = Labels::default();
        labels.set(&["Head 0", "Head 1", "Both"]);
        assert!(!labels.along(&font, 3, px(60.0)).upwards);
        let narrow = labels.along(&font, 3, px(20.0));
        assert!(narrow.upwards && narrow.labels.len() == 3);
    }

    #[test]
    fn refuses_wrong_numbers_of_labels() {
        let mut labels = Labels::default();
        assert!(labels.check("row_labels", 3).is_ok());
        labels.set(&["a", "b"]);
        let message = labels.check("row_labels", 3).unwrap_err().to_string();
        assert!(message.contains("row_labels") && message.contains("2 labels") && message.contains('3'), "{message}");
        let mut labels = Labels::default();
        labels.marked.insert(3, "x".to_owned());
        assert!(labels.check("row_labels", 3).is_err() && labels.check("row_labels", 4).is_ok());
    }

    #[test]
    fn long_captions_wrap_and_need_more_room() {
        let font = Font::load().unwrap();
        let captions = |title: &str| Captions { title: title.to_owned(), ..Captions::default() };
        let space = |title| captions(title).margins(&font, (px(200.0), px(100.0)), Margins::default()).top;
        assert_eq!(space(""), 0.0);
        assert!(space("Attention of module 0 to the first token") > space("Attention"));
    }

    #[test]
    fn refuses_ranges_that_are_none() {
        for range in [(1.0, 1.0), (2.0, 1.0), (f64::NAN, 1.0), (0.0, f64::INFINITY), (f64::MIN, f64::MAX)] {
            assert!(check_range("range", range).is_err(), "{range:?}");
        }
        assert!(check_range("range", (-1.0, 1.0)).is_ok());
    }
}
