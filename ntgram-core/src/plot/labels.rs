//! Labels of rows, columns, bars or arrows, which of them are shown along an axis, and its ticks.

use std::collections::BTreeMap;

use plotters::backend::DrawingBackend;
use plotters::style::text_anchor::HPos;

use super::canvas::Canvas;
use super::colors::{AXIS, INK};
use super::font::Font;
use super::geometry::{Rect, px};
use super::space::{TICK, TICK_GAP, TICK_TEXT, text_height};
use crate::error::{Error, Result};

/// Labels of rows, columns or bars: given ones or indices, and single ones that replace them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Labels {
    /// One label each; none: indices from 0.
    all: Option<Vec<String>>,
    /// Labels that are shown before all others.
    marked: BTreeMap<usize, String>,
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
    pub(super) fn set(&mut self, labels: impl IntoIterator<Item = impl ToString>) {
        self.all = Some(labels.into_iter().map(|label| label.to_string()).collect());
    }

    /// One label in place of what stands there.
    pub(super) fn mark(&mut self, index: usize, label: impl ToString) {
        self.marked.insert(index, label.to_string());
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
pub(super) fn tick(canvas: &mut Canvas<impl DrawingBackend>, from: (f64, f64), to: (f64, f64)) -> Result<()> {
    let half = px(0.5);
    let rect = match from.1 == to.1 {
        true => Rect { left: from.0, right: to.0, top: from.1.round() - half, bottom: from.1.round() + half },
        false => Rect { left: from.0.round() - half, right: from.0.round() + half, top: from.1, bottom: to.1 },
    };
    canvas.fill(rect, AXIS)
}

/// Writes a tick's label below `bottom`, level and centred at `x` or reading upwards.
pub(super) fn write_below(
    canvas: &mut Canvas<impl DrawingBackend>,
    text: &str,
    x: f64,
    bottom: f64,
    upwards: bool,
) -> Result<()> {
    let (top, capital) = (bottom + px(TICK + TICK_GAP), px(TICK_TEXT) * Font::CAPITAL);
    match upwards {
        true => canvas.text_upwards(text, (x + capital / 2.0, top), px(TICK_TEXT), HPos::Right, INK),
        false => canvas.text(text, (x, top + capital), px(TICK_TEXT), HPos::Center, INK),
    }
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
        labels.mark(6, "Best");
        let shown = labels.down(&font, 100, px(3.5));
        assert!(shown.labels.contains(&(6, "Best".to_owned())));
        assert!(!indices(&shown).contains(&5) && indices(&shown).contains(&10) && indices(&shown).contains(&0));
    }

    #[test]
    fn words_that_do_not_fit_read_upwards() {
        let font = Font::load().unwrap();
        let mut labels = Labels::default();
        labels.set(["Head 0", "Head 1", "Both"]);
        assert!(!labels.along(&font, 3, px(60.0)).upwards);
        let narrow = labels.along(&font, 3, px(20.0));
        assert!(narrow.upwards && narrow.labels.len() == 3);
    }

    #[test]
    fn refuses_wrong_numbers_of_labels() {
        let mut labels = Labels::default();
        assert!(labels.check("row_labels", 3).is_ok());
        labels.set(["a", "b"]);
        let message = labels.check("row_labels", 3).unwrap_err().to_string();
        assert!(message.contains("row_labels") && message.contains("2 labels") && message.contains('3'), "{message}");
        let mut labels = Labels::default();
        labels.mark(3, "x");
        assert!(labels.check("row_labels", 3).is_err() && labels.check("row_labels", 4).is_ok());
    }
}
