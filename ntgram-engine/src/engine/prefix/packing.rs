//! Sequences as a few 32-bit words, the first token highest: words compare as the sequences do.

/// How many bits a token takes, and how many tokens a word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packing {
    bits: u32,
    per_word: usize,
    window: usize,
}

impl Packing {
    /// For sequences of `window` tokens below `n_vocab`.
    pub(super) fn new(n_vocab: usize, window: usize) -> Self {
        let bits = n_vocab.next_power_of_two().trailing_zeros().max(1);
        Self { bits, per_word: (u32::BITS / bits) as usize, window }
    }

    /// Words of a sequence.
    pub(super) fn words(&self) -> usize {
        self.window.div_ceil(self.per_word)
    }

    /// One more than the largest word.
    pub(super) fn end(&self) -> u64 {
        1 << (self.per_word.min(self.window) as u32 * self.bits)
    }

    /// The first token of a sequence whose first word this is, or would be.
    pub(super) fn first_token(&self, word: u64) -> usize {
        (word >> (self.bits as usize * (self.per_word.min(self.window) - 1))) as usize
    }

    /// The tokens of each word.
    fn tokens_of_words(self) -> impl Iterator<Item = usize> {
        (0..self.window).step_by(self.per_word).map(move |start| self.per_word.min(self.window - start))
    }

    /// Writes a sequence's words.
    pub(super) fn pack(&self, words: &mut [u32], sequence: &[u16]) {
        let tokens = sequence.chunks(self.per_word);
        for (word, tokens) in words.iter_mut().zip(tokens) {
            *word = tokens.iter().fold(0, |word, &token| word << self.bits | u32::from(token));
        }
    }

    /// Writes a sequence's tokens.
    #[inline(always)]
    pub(super) fn unpack(&self, words: &[u32], tokens: &mut [u32]) {
        let mask = (1 << self.bits) - 1;
        let mut tokens = tokens.iter_mut();
        for (count, &word) in self.tokens_of_words().zip(words) {
            for k in (0..count as u32).rev() {
                let Some(token) = tokens.next() else { return };
                *token = word >> (k * self.bits) & mask;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_come_back_and_compare_as_they_do() {
        for (n_vocab, window) in [(2, 5), (10, 4), (10, 8), (30, 16), (100, 3), (65_536, 3), (1, 40), (33_000, 2)] {
            let packing = Packing::new(n_vocab, window);
            let sequence =
                |seed: usize| (0..window).map(|t| ((seed * 7919 + t * t * 31) % n_vocab) as u16).collect::<Vec<_>>();
            let pack = |sequence: &[u16]| {
                let mut words = vec![0; packing.words()];
                packing.pack(&mut words, sequence);
                assert!(words.iter().all(|&word| u64::from(word) < packing.end()));
                words
            };
            for a in 0..40 {
                let mut tokens = vec![0; window];
                packing.unpack(&pack(&sequence(a)), &mut tokens);
                assert!(tokens.iter().zip(sequence(a)).all(|(&x, y)| x == u32::from(y)));
                for b in 0..40 {
                    assert_eq!(pack(&sequence(a)).cmp(&pack(&sequence(b))), sequence(a).cmp(&sequence(b)));
                }
            }
        }
    }
}
