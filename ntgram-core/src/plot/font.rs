//! The fonts of every figure, in the crate, so that a figure looks the same on any machine: DejaVu Sans, and [`unifont`] for what it
//! has not. Measures text, breaks it into lines, and turns it into coverage, pixel by pixel.
//!
//! plotters' own text drawing puts every glyph at a whole pixel and ignores its side bearings; letters then stand
//! unevenly and accents beside their letter.

use ab_glyph::{Font as _, FontRef, Glyph, GlyphId, PxScale, ScaleFont, point};
use unicode_linebreak::linebreaks;

use super::script::{self, runs};
use super::unifont;
use crate::error::{Error, Result};

/// Sizes are in pixels per em throughout.
pub(super) struct Font(FontRef<'static>);

/// A glyph at its place, relative to the start of the baseline.
enum Placed {
    Outline(Glyph),
    Pixels(unifont::Pixels, f64),
}

impl Font {
    /// Family list for SVG, where the viewer draws the text: fonts of the same widths first.
    pub(super) const FAMILY: &'static str = "DejaVu Sans, Bitstream Vera Sans, Verdana, sans-serif";
    /// plotters' text sizes, in em: the height of a line of a common font.
    pub(super) const PLOTTERS_EM: f64 = 1.24;
    /// The baseline's distance from the line's top, in em, where plotters is told the place of the top.
    pub(super) const TOP: f64 = 0.76;
    /// Height of a capital, in em.
    pub(super) const CAPITAL: f64 = 0.729;
    /// Distance between two baselines, in em.
    pub(super) const LINE: f64 = 1.25;

    /// Reads the tables of the built-in font: microseconds, nothing is copied.
    pub(super) fn load() -> Result<Self> {
        FontRef::try_from_slice(include_bytes!("../../assets/DejaVuSans.ttf"))
            .map(Self)
            .map_err(|e| Error::other(format!("figure: the built-in font: {e}")))
    }

    fn scale(&self, size: f64) -> PxScale {
        let units_per_em = self.0.units_per_em().unwrap_or(2048.0);
        PxScale::from(size as f32 * self.0.height_unscaled() / units_per_em)
    }

    /// Width of one line, subscripts included ([`runs`]).
    pub(super) fn width(&self, text: &str, size: f64) -> f64 {
        if !text.contains('_') {
            return self.place(text, size, |_| ());
        }
        let wide = |run: &script::Run| self.place(&run.text, run_size(size, run.subscript), |_| ());
        runs(text).iter().map(wide).sum()
    }

    /// Width of the widest of `texts`; 0 without any.
    pub(super) fn widest<'a>(&self, texts: impl Iterator<Item = &'a str>, size: f64) -> f64 {
        texts.map(|text| self.width(text, size)).fold(0.0, f64::max)
    }

    /// Hands every glyph to `each`; returns the line's width.
    fn place(&self, text: &str, size: f64, mut each: impl FnMut(Placed)) -> f64 {
        let scale = self.scale(size);
        let font = self.0.as_scaled(scale);
        let mut pen = 0.0f32;
        let mut previous: Option<(GlyphId, f32)> = None;
        for c in text.chars().filter(|c| !is_ignorable(*c)) {
            let id = font.glyph_id(c);
            if let (0, Some(glyph)) = (id.0, unifont::glyph(c)) {
                let start = pen;
                pen += glyph.advance() * size as f32;
                each(Placed::Pixels(glyph, start.into()));
                previous = None;
                continue;
            }
            if let (true, Some((base, start))) = (is_combining(c), previous) {
                each(Placed::Outline(self.accent(id, scale, base, start)));
                continue;
            }
            if let Some((before, _)) = previous {
                pen += font.kern(before, id);
            }
            each(Placed::Outline(id.with_scale_and_position(scale, point(pen, 0.0))));
            previous = Some((id, pen));
            pen += font.h_advance(id);
        }
        f64::from(pen)
    }

    /// A combining mark, centred over the letter before it and raised over capitals.
    fn accent(&self, id: GlyphId, scale: PxScale, base: GlyphId, start: f32) -> Glyph {
        let ink = |id: GlyphId| {
            let glyph = id.with_scale_and_position(scale, point(0.0, 0.0));
            self.0.outline_glyph(glyph).map(|outline| outline.px_bounds())
        };
        let (Some(mark), Some(letter)) = (ink(id), ink(base)) else {
            return id.with_scale_and_position(scale, point(start, 0.0));
        };
        let x = start + (letter.min.x + letter.max.x - mark.min.x - mark.max.x) / 2.0;
        let gap = 0.01 * self.0.as_scaled(scale).height();
        // y grows downwards: a mark above must end before the letter's top; marks below stay where they are
        let y = if mark.max.y < 0.0 { (letter.min.y - gap - mark.max.y).min(0.0) } else { 0.0 };
        id.with_scale_and_position(scale, point(x, y))
    }

    /// Calls `pixel(x, y, coverage)` for the pixels of one line whose baseline starts at (0, 0); y grows downwards.
    pub(super) fn draw(&self, text: &str, size: f64, mut pixel: impl FnMut(i32, i32, f32)) {
        let mut glyphs = Vec::with_capacity(text.len());
        self.place(text, size, |glyph| glyphs.push(glyph));
        for glyph in glyphs {
            match glyph {
                Placed::Outline(glyph) => {
                    let Some(outline) = self.0.outline_glyph(glyph) else { continue };
                    let corner = outline.px_bounds().min;
                    outline
                        .draw(|x, y, coverage| pixel(corner.x as i32 + x as i32, corner.y as i32 + y as i32, coverage));
                }
                Placed::Pixels(glyph, pen) => glyph.draw(size, pen, &mut pixel),
            }
        }
    }

    /// Breaks `text` at its line ends and, where a line would be wider than `width`, between [`pieces`](Self::pieces), into lines of
    /// similar widths, up to eight; a word that is wider still is cut, and so is the rest of a long text, with "…".
    pub(super) fn wrap(&self, text: &str, size: f64, width: f64) -> Vec<String> {
        let mut lines = self.fill(text, size, width);
        if lines.len() > MOST_LINES {
            lines.truncate(MOST_LINES);
            let last = lines.pop().unwrap_or_default();
            lines.push(self.cut(&format!("{last} …"), size, width));
        }
        // as narrow as the same number of lines can be, to a hundredth
        let (mut narrow, mut wide) = (0.0, width);
        while lines.len() > 1 && wide - narrow > 0.01 * width {
            let middle = (narrow + wide) / 2.0;
            let candidate = self.fill(text, size, middle);
            let fits = candidate.len() == lines.len() && candidate.iter().all(|line| self.width(line, size) <= middle);
            if fits {
                (lines, wide) = (candidate, middle);
            } else {
                narrow = middle;
            }
        }
        lines.iter().map(|line| self.cut(line, size, width)).collect()
    }

    /// Lines with as many pieces each as `width` holds, and at least one.
    fn fill(&self, text: &str, size: f64, width: f64) -> Vec<String> {
        let mut lines = Vec::new();
        for paragraph in text.lines() {
            let (mut line, mut used) = (String::new(), 0.0);
            for (space, piece) in self.pieces(paragraph) {
                let before = line.len();
                if before > 0 {
                    line.push_str(space);
                }
                line.push_str(piece);
                // as wide as its pieces, but for braces around a subscript with a space in it: what seems too wide is measured whole
                used += self.width(&line[before..], size);
                if before > 0 && used > width {
                    used = self.width(&line, size);
                }
                if before > 0 && used > width {
                    line.truncate(before);
                    lines.push(std::mem::replace(&mut line, piece.to_owned()));
                    used = self.width(piece, size);
                }
                if lines.len() > MOST_LINES {
                    return lines;
                }
            }
            if !line.is_empty() {
                lines.push(line);
            }
        }
        lines
    }

    /// What a line may be broken into, each with what parts it from the one before: words; and of words in scripts without spaces what
    /// Unicode's rules for line ends part, beside characters that the built-in font has not.
    fn pieces<'a>(&self, paragraph: &'a str) -> impl Iterator<Item = (&'static str, &'a str)> {
        let foreign = |c: Option<char>| c.is_some_and(|c| !c.is_ascii() && self.0.glyph_id(c).0 == 0);
        let parts = move |word: &'a str| {
            let mut start = 0;
            let ends = linebreaks(word).map(|(end, _)| end);
            let ends = ends.filter(move |&end| {
                let (before, after) = word.split_at(end);
                after.is_empty() || foreign(before.chars().next_back()) || foreign(after.chars().next())
            });
            ends.map(move |end| {
                let part = (if start == 0 { " " } else { "" }, &word[start..end]);
                start = end;
                part
            })
        };
        paragraph.split_whitespace().flat_map(parts)
    }

    /// `text`, or as much of its start as fits into `width` together with "…".
    pub(super) fn cut(&self, text: &str, size: f64, width: f64) -> String {
        if self.width(text, size) <= width {
            return text.to_owned();
        }
        // more characters than fit, also where they stand closer together than their own widths say; then fewer until they do
        let (mut short, mut used) = (String::new(), 0.0);
        for c in text.chars() {
            used += self.width(c.encode_utf8(&mut [0; 4]), size);
            if used > 2.0 * width + size {
                break;
            }
            short.push(c);
        }
        while short.pop().is_some() {
            let candidate = format!("{}…", short.trim_end());
            if self.width(&candidate, size) <= width {
                return candidate;
            }
        }
        String::new()
    }

    /// Whether the font has a glyph for every character.
    #[cfg(test)]
    pub(super) fn has_all(&self, text: &str) -> bool {
        text.chars().all(|c| self.0.glyph_id(c).0 != 0)
    }
}

/// Lines of a title or a label, before the rest is left out.
const MOST_LINES: usize = 8;

/// The size of a run in text of this size.
pub(super) fn run_size(size: f64, subscript: bool) -> f64 {
    if subscript { script::SMALL * size } else { size }
}

fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{20d0}'..='\u{20ff}')
}

/// Characters that tell how others are drawn or joined, and are not seen themselves: emoji have them.
fn is_ignorable(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_characters_of_formulas() {
        let font = Font::load().unwrap();
        assert!(font.has_all("W_U W_Uᵀ αβγλπσ ‖·‖₂ x² 10⁻¹² Ŵ ŵ − × ≤ ≥ … √ Σ ∞ → é"));
        assert!(font.has_all("W\u{302}"));
    }

    #[test]
    fn capital_height_is_that_of_the_font() {
        let font = Font::load().unwrap();
        let mut top = 0;
        font.draw("H", 1000.0, |_, y, coverage| {
            if coverage > 0.5 {
                top = top.min(y);
            }
        });
        assert!((f64::from(-top) - 1000.0 * Font::CAPITAL).abs() <= 2.0, "{top}");
    }

    #[test]
    fn width_grows_with_size_and_text_and_is_0_without_text() {
        let font = Font::load().unwrap();
        assert_eq!(font.width("", 20.0), 0.0);
        let one = font.width("loss", 20.0);
        assert!((font.width("loss", 40.0) / one - 2.0).abs() < 1e-3);
        assert!(font.width("losses", 20.0) > one);
        // DejaVu Sans: l 0.278 em, o 0.612, s 0.521
        assert!((one / 20.0 - (0.278 + 0.612 + 2.0 * 0.521)).abs() < 0.01, "{one}");
    }

    #[test]
    fn an_accent_adds_no_width_and_stands_over_its_letter() {
        let font = Font::load().unwrap();
        assert_eq!(font.width("W\u{302}x", 30.0), font.width("Wx", 30.0));
        let top_and_middle = |text: &str| {
            let (mut top, mut sum, mut weight) = (0, 0.0, 0.0);
            font.draw(text, 100.0, |x, y, c| {
                if y < -78 {
                    top = top.min(y);
                    sum += f64::from(x) * f64::from(c);
                    weight += f64::from(c);
                }
            });
            (top, sum / weight)
        };
        let ((composed, middle), (combined, combined_middle)) = (top_and_middle("Ŵ"), top_and_middle("W\u{302}"));
        assert!((composed - combined).abs() <= 6, "{composed} {combined}");
        assert!((middle - combined_middle).abs() <= 2.0, "{middle} {combined_middle}");
    }

    #[test]
    fn wraps_at_spaces_and_cuts_long_words() {
        let font = Font::load().unwrap();
        let text = "Attention of module 0 to the first token";
        let width = font.width("Attention of module 0", 20.0) + 1.0;
        assert_eq!(font.wrap(text, 20.0, width), ["Attention of module", "0 to the first token"]);
        assert_eq!(
            font.wrap("one two three four five", 20.0, font.width("one two three four", 20.0)),
            ["one two three", "four five"]
        );
        assert_eq!(font.wrap("a\nb", 20.0, 1e3), ["a", "b"]);
        let cut = font.wrap("Donaudampfschifffahrt", 20.0, 100.0);
        assert!(cut.len() == 1 && cut[0].ends_with('…') && font.width(&cut[0], 20.0) <= 100.0, "{cut:?}");
        assert_eq!(font.wrap("word", 20.0, 0.0), [""]);
        let long = font.wrap(&"word ".repeat(1000), 20.0, 100.0);
        assert!(long.len() == MOST_LINES && long[MOST_LINES - 1].ends_with('…'), "{long:?}");
    }

    #[test]
    fn what_the_font_has_not_is_pixels_and_what_is_not_seen_has_no_width() {
        let font = Font::load().unwrap();
        // wide characters are an em, narrow ones half of it
        assert_eq!(font.width("注意力", 20.0), 60.0);
        assert_eq!(font.width("🦀", 20.0), 20.0);
        assert_eq!(font.width("ｱ", 20.0), 10.0);
        assert_eq!(font.width("a語b", 20.0), font.width("a", 20.0) + 20.0 + font.width("b", 20.0));
        let ink = |text: &str| {
            let mut pixels = Vec::new();
            font.draw(text, 32.0, |x, y, share| pixels.push((x, y, share)));
            pixels
        };
        assert_ne!(ink("注"), ink("意"));
        assert_ne!(ink("注"), ink("\u{10fffd}"), "no box");
        assert_eq!(ink("❤\u{fe0f}"), ink("❤"));
        assert_eq!(font.width("👩\u{200d}🔬", 20.0), 40.0);
    }

    #[test]
    fn scripts_without_spaces_are_broken_where_unicode_allows_it() {
        let font = Font::load().unwrap();
        let wrapped = |text: &str, em: f64| font.wrap(text, 20.0, 20.0 * em);
        assert_eq!(wrapped("损失函数与训练步数", 5.0), ["损失函数与", "训练步数"]);
        // no line begins with a full stop, or ends with an opening bracket
        assert_eq!(wrapped("あいう。えお", 3.0), ["あい", "う。", "えお"]);
        assert_eq!(wrapped("あい「うえ」", 3.0), ["あい", "「う", "え」"]);
        // words of letters stay whole beside them, n-grams too
        assert_eq!(wrapped("語の n-gram モデル", 4.5), ["語の", "n-gram", "モデル"]);
        assert_eq!(font.wrap("n-gram laws", 20.0, font.width("n-gram", 20.0)), ["n-gram", "laws"]);
        let long = wrapped(&"語".repeat(1000), 10.0);
        assert!(long.len() == MOST_LINES && long[MOST_LINES - 1].ends_with('…'), "{long:?}");
    }

    #[test]
    fn cuts_off_as_little_as_it_must() {
        let font = Font::load().unwrap();
        for text in ["a label that is cut", "To AVATAR Ŵ W\u{302}W\u{302}W\u{302}", "lllllll", "      x"] {
            for width in (0..250).map(f64::from) {
                let cut = font.cut(text, 20.0, width);
                assert!(font.width(&cut, 20.0) <= width, "{cut}");
                let Some(kept) = cut.strip_suffix('…') else { continue };
                // one character more does not fit
                let more: String = text.chars().take(kept.chars().count() + 1).collect();
                let wider = format!("{}…", more.trim_end());
                assert!(wider == cut || more == text || font.width(&wider, 20.0) > width, "{cut} {wider} {width}");
            }
        }
    }

    #[test]
    fn long_words_take_no_time() {
        let font = Font::load().unwrap();
        let started = std::time::Instant::now();
        let word = "m".repeat(100_000);
        assert!(font.wrap(&word, 20.0, 300.0)[0].starts_with("mmm"));
        for words in ["語", "語 ", "語\n"] {
            let lines = font.wrap(&words.repeat(100_000), 8.0, 16_000.0);
            assert!(lines.len() == MOST_LINES && lines[0].starts_with('語'));
        }
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }
}
