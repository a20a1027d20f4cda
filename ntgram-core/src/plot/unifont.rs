//! Characters that the built-in font has not: Chinese, Japanese, Korean, emoji and the other scripts, from GNU Unifont.
//!
//! Its glyphs are 16 pixels high and 8 or 16 wide, coarse but whole: a title can be read on a machine without any font. Every pixel
//! becomes a square of the text's size, so that the share of each pixel of the picture is exact.

use std::sync::{LazyLock, Mutex, PoisonError};

use unifont_bitmap::Unifont;

/// Rows of a glyph, and how many of them lie above the baseline.
const ROWS: usize = 16;
const ABOVE: usize = 14;

/// A glyph's rows from the top; the leftmost pixel is the highest of `columns` bits.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pixels {
    rows: [u16; ROWS],
    columns: usize,
}

/// The glyph of `c`; `None` if Unifont has none.
pub(super) fn glyph(c: char) -> Option<Pixels> {
    static MISSING: LazyLock<Pixels> = LazyLock::new(|| read(char::REPLACEMENT_CHARACTER));
    let found = read(c);
    (c == char::REPLACEMENT_CHARACTER || found != *MISSING).then_some(found)
}

/// The glyph of `c`, or that of the replacement character.
fn read(c: char) -> Pixels {
    // pages of 256 characters, unpacked when the first of them is asked for
    static FONT: LazyLock<Mutex<Unifont>> = LazyLock::new(|| Mutex::new(Unifont::open()));
    let mut font = FONT.lock().unwrap_or_else(PoisonError::into_inner);
    let bitmap = font.load_bitmap(c.into());
    let columns = if bitmap.is_wide() { 16 } else { 8 };
    let mut rows = [0; ROWS];
    for (row, bytes) in rows.iter_mut().zip(bitmap.get_bytes().chunks_exact(columns / 8)) {
        *row = bytes.iter().fold(0, |bits, &byte| bits << 8 | u16::from(byte));
    }
    Pixels { rows, columns }
}

impl Pixels {
    /// How far the pen moves, in em.
    pub(super) fn advance(&self) -> f32 {
        self.columns as f32 / ROWS as f32
    }

    /// Calls `pixel(x, y, share)` for the pixels of the picture that the glyph covers at this size, its baseline starting at (`pen`, 0).
    pub(super) fn draw(&self, size: f64, pen: f64, mut pixel: impl FnMut(i32, i32, f32)) {
        let step = size / ROWS as f64;
        let (top, width, height) = (-(ABOVE as f64) * step, self.columns as f64 * step, size);
        for y in top.floor() as i32..(top + height).ceil() as i32 {
            for x in pen.floor() as i32..(pen + width).ceil() as i32 {
                let mut share = 0.0;
                for (row, down) in overlaps(f64::from(y) - top, step, ROWS) {
                    for (column, across) in overlaps(f64::from(x) - pen, step, self.columns) {
                        share += down * across * f64::from(self.rows[row] >> (self.columns - 1 - column) & 1);
                    }
                }
                if share > 0.0 {
                    pixel(x, y, share as f32);
                }
            }
        }
    }
}

/// The steps that the stretch from `start` to `start + 1` meets, of `count` steps from 0 on, each with the length they share.
fn overlaps(start: f64, step: f64, count: usize) -> impl Iterator<Item = (usize, f64)> {
    let first = (start / step).floor().max(0.0) as usize;
    let end = (((start + 1.0) / step).ceil().max(0.0) as usize).min(count);
    (first..end).map(move |k| {
        let (from, to) = (k as f64 * step, (k + 1) as f64 * step);
        (k, (to.min(start + 1.0) - from.max(start)).max(0.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_scripts_and_emoji_and_says_what_it_lacks() {
        for c in "語かカ한文字注意力🦀🎉अع".chars() {
            assert!(glyph(c).is_some(), "{c}");
        }
        // for private use
        assert_eq!(glyph('\u{10fffd}'), None);
        assert!(glyph('\u{fffd}').is_some());
    }

    #[test]
    fn one_is_as_it_is_drawn_there() {
        // 一 is one stroke across: a row or two of the sixteen
        let one = glyph('一').unwrap();
        assert_eq!(one.advance(), 1.0);
        let inked: Vec<_> = (0..ROWS).filter(|&row| one.rows[row] != 0).collect();
        assert!(inked.len() <= 2 && (5..10).contains(&inked[0]), "{one:?}");
        assert_eq!(glyph('ア').unwrap().advance(), 1.0);
        assert_eq!(glyph('ｱ').unwrap().advance(), 0.5);
    }

    #[test]
    fn ink_is_the_glyphs_share_of_its_square_at_any_size_and_place() {
        let glyph = glyph('語').unwrap();
        let bits: u32 = glyph.rows.iter().map(|row| row.count_ones()).sum();
        for (size, pen) in [(16.0, 0.0), (16.0, 3.25), (27.3, 0.6), (9.0, -2.5), (64.0, 10.0)] {
            let mut ink = 0.0;
            glyph.draw(size, pen, |x, y, share| {
                assert!(share <= 1.0 + 1e-6);
                assert!(f64::from(x) > pen - 1.0 && f64::from(x) < pen + size && f64::from(y) < size * 2.0 / 16.0);
                ink += f64::from(share);
            });
            let expected = f64::from(bits) * (size / 16.0).powi(2);
            assert!((ink - expected).abs() < 1e-3 * expected, "{size} {pen}: {ink} {expected}");
        }
    }
}
