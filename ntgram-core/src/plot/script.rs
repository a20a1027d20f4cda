//! Subscripts: `W_U`, `D_i`, `x_{t-1}` as a letter and a small, lowered index.

/// A stretch of text of one height.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Run {
    pub(super) text: String,
    pub(super) subscript: bool,
}

/// A subscript's size, and how far it is lowered, in em of the text around it.
pub(super) const SMALL: f64 = 0.72;
pub(super) const LOWERED: f64 = 0.16;

/// The text in runs. An index follows a single letter and `_`: one character that no further letter, digit or `_` follows, or whatever
/// stands in braces. Names such as `res_after_attn` have none.
pub(super) fn runs(text: &str) -> Vec<Run> {
    let chars: Vec<char> = text.chars().collect();
    let of_a_word = |k: usize| chars.get(k).is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_');
    // for each place the next brace that closes, looked for once
    let mut closing = vec![None; chars.len() + 1];
    for at in (0..chars.len()).rev() {
        closing[at] = if chars[at] == '}' { Some(at) } else { closing[at + 1] };
    }
    let mut runs: Vec<Run> = Vec::new();
    let mut plain = String::new();
    let mut k = 0;
    while k < chars.len() {
        let after_letter = k > 0 && chars[k - 1].is_alphabetic() && (k < 2 || !of_a_word(k - 2));
        let end = match chars.get(k + 1) {
            Some('{') if after_letter && chars[k] == '_' => closing[k + 2],
            Some(c) if after_letter && chars[k] == '_' && c.is_alphanumeric() && !of_a_word(k + 2) => Some(k + 1),
            _ => None,
        };
        let Some(end) = end else {
            plain.push(chars[k]);
            k += 1;
            continue;
        };
        let index: String = chars[k + 1..=end].iter().filter(|c| !matches!(c, '{' | '}')).collect();
        runs.push(Run { text: std::mem::take(&mut plain), subscript: false });
        runs.push(Run { text: index, subscript: true });
        k = end + 1;
    }
    if !plain.is_empty() || runs.is_empty() {
        runs.push(Run { text: plain, subscript: false });
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Subscripts in square brackets.
    fn marked(text: &str) -> String {
        let mark = |run: &Run| if run.subscript { format!("[{}]", run.text) } else { run.text.clone() };
        runs(text).iter().map(mark).collect()
    }

    #[test]
    fn single_letters_have_indices_and_names_have_none() {
        assert_eq!(marked("W_U W_Uᵀ, low rank"), "W[U] W[U]ᵀ, low rank");
        assert_eq!(marked("(W_E + P)(W_E + P)ᵀ"), "(W[E] + P)(W[E] + P)ᵀ");
        assert_eq!(marked("Length ‖W_i‖"), "Length ‖W[i]‖");
        assert_eq!(marked("x_{t-1} and D_i"), "x[t-1] and D[i]");
        for plain in ["res_after_attn", "para_0_layer_0", "a_bc", "W_", "_U", "", "x_{open", "snake_case_x"] {
            assert_eq!(marked(plain), plain);
        }
    }
}
