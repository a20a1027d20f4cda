//! The contexts of a data set: which occur, and their numbers.
//!
//! A context is what a law of order `n` conditions on, the `n − 1` tokens up to a scored position; the token after it is the
//! target. Its *table row* is `Σ_j x_j N^j`, the oldest token fastest: its row in a low-rank model's table. Contexts are numbered
//! by table row, that is by their last token first: a range of them touches few last tokens.

use super::Problem;
use super::keys::Keys;
use std::ops::Range;

/// Every context that a training works on.
#[derive(Debug)]
pub(super) struct Contexts {
    /// Table row of each context; ascending.
    pub(super) rows: Vec<u32>,
    /// Vocabulary size `N`.
    pub(super) n_vocab: usize,
    /// Tokens of a context, `n − 1`.
    pub(super) len_of_one: usize,
    /// Bits that a target takes in a key of [`KeyKind::ContextAndTarget`].
    pub(super) target_bits: u32,
    /// What the samples' keys say.
    pub(super) key_kind: KeyKind,
}

/// What the keys of a sample are: one for each scored position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum KeyKind {
    /// `context << target_bits | target`.
    ContextAndTarget,
    /// Two words, `context` and `target`, where both do not fit into one.
    TwoWords,
    /// The place in [`BatchPairs::table`](super::batch_pairs::BatchPairs::table), where one part has all contexts.
    TablePlace,
}

/// Where a range of contexts may end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum SplitAt {
    /// After any context.
    AnyContext,
    /// Between two last tokens.
    LastTokens,
}

impl Contexts {
    /// The contexts and keys of the problem's samples. Contexts that do not occur are left out, but where [`all_are_pairs`] all are
    /// kept; `keep(row)`: whether to keep the context with this table row in any case.
    pub(super) fn new(problem: &Problem, n_parts: usize, keep: impl Fn(usize) -> bool) -> (Self, Keys) {
        let n_vocab = problem.model.n_vocab();
        let scored = Scored::new(problem);
        let n_contexts = n_vocab.pow(scored.len_of_one as u32);
        let target_bits = n_vocab.next_power_of_two().trailing_zeros();
        let threads = problem.threads.max(1);
        let sequences = (problem.tokens, problem.window);
        let all = all_are_pairs(n_contexts, n_vocab, problem.batch_size * scored.count());
        let mut new = Self {
            rows: Vec::new(),
            n_vocab,
            len_of_one: scored.len_of_one,
            target_bits,
            key_kind: KeyKind::TablePlace,
        };
        if all && n_parts <= 1 && problem.window == 3 && problem.order == 3 {
            new.rows = (0..n_contexts as u32).collect();
            let keys = Keys::table_places(problem.tokens, n_vocab, threads);
            return (new, keys);
        }
        // 1 for each context that is kept, then its number.
        let mut numbers = if all { vec![1; n_contexts] } else { scored.occurring(problem.tokens, n_contexts, threads) };
        for (row, number) in numbers.iter_mut().enumerate() {
            if *number == 1 || keep(row) {
                *number = new.rows.len() as u32;
                new.rows.push(row as u32);
            }
        }
        let end = (new.rows.len() as u64) << target_bits;
        let keys = if end <= 1 << u32::BITS {
            new.key_kind = KeyKind::ContextAndTarget;
            Keys::new(sequences, (scored.count(), end), threads, |words, sequence| {
                let keys = scored.of(sequence).map(|(row, target)| numbers[row] << target_bits | target);
                words.iter_mut().zip(keys).for_each(|(word, key)| *word = key);
            })
        } else {
            new.key_kind = KeyKind::TwoWords;
            Keys::new(sequences, (2 * scored.count(), end), threads, |words, sequence| {
                let pairs = words.as_chunks_mut::<2>().0.iter_mut();
                pairs.zip(scored.of(sequence)).for_each(|(word, (row, target))| *word = [numbers[row], target]);
            })
        };
        (new, keys)
    }

    /// Scored positions that these keys are of.
    pub(super) fn samples(&self, keys: &[u32]) -> usize {
        if self.key_kind == KeyKind::TwoWords { keys.len() / 2 } else { keys.len() }
    }

    /// Number of contexts.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The last token of context `c`.
    pub(super) fn last_token(&self, c: usize) -> usize {
        self.rows[c] as usize / self.n_vocab.pow(self.len_of_one.saturating_sub(1) as u32)
    }

    /// The row of the law's last table, the oldest token slowest, that context `c` has.
    pub(super) fn law_row(&self, c: usize) -> usize {
        let mut rest = self.rows[c] as usize;
        (0..self.len_of_one).fold(0, |row, _| {
            let token = rest % self.n_vocab;
            rest /= self.n_vocab;
            row * self.n_vocab + token
        })
    }

    /// The context of the word `i` of the keys.
    fn of_word(&self, keys: &Keys, i: usize) -> usize {
        match self.key_kind {
            KeyKind::TwoWords => keys.word(i / 2 * 2) as usize,
            _ => (keys.word(i) >> self.target_bits) as usize,
        }
    }

    /// Splits the contexts into at most `n_parts` ranges with about as many samples each. The last gets fewer: its thread shuffles
    /// too, which takes `shuffle_share` of the time that all samples take.
    pub(super) fn split(&self, keys: &Keys, n_parts: usize, shuffle_share: f64, at: SplitAt) -> Vec<Range<usize>> {
        if n_parts <= 1 {
            return std::iter::once(0..self.len()).collect();
        }
        let weights = self.weigh(keys);
        let total = weights.iter().sum::<usize>() as f64 * (1.0 + shuffle_share);
        let mut ranges = Vec::new();
        let (mut start, mut sum) = (0, 0);
        for (c, weight) in weights.into_iter().enumerate() {
            sum += weight;
            let boundary =
                at == SplitAt::AnyContext || c + 1 == self.len() || self.last_token(c) != self.last_token(c + 1);
            if boundary && (sum * n_parts) as f64 >= total * (ranges.len() + 1) as f64 && ranges.len() + 1 < n_parts {
                ranges.push(start..c + 1);
                start = c + 1;
            }
        }
        ranges.push(start..self.len());
        ranges.retain(|r| !r.is_empty());
        ranges
    }

    /// Samples of each context, counted in some [`WEIGHED_SAMPLES`] that lie evenly in the data.
    fn weigh(&self, keys: &Keys) -> Vec<usize> {
        let mut weights = vec![0usize; self.len()];
        let words = keys.len() * keys.per_sample;
        let every = words.div_ceil(WEIGHED_SAMPLES).max(1);
        (0..words).step_by(every).for_each(|i| weights[self.of_word(keys, i)] += 1);
        weights
    }
}

/// Samples that are enough to weigh the contexts.
const WEIGHED_SAMPLES: usize = 1 << 16;

/// Contexts for each sample of a batch up to which it costs less to work on all of them than to find those that occur.
const CONTEXTS_PER_SAMPLE: usize = 2;

/// Counts in a table by context and target, likewise. With the padding to blocks a place in it fits 16 bits.
const MOST_COUNTS: usize = 1 << 14;

/// Whether there are so few contexts that every batch works on all of them, whether they occur in it or not.
pub(super) fn all_are_pairs(n_contexts: usize, n_vocab: usize, batch_size: usize) -> bool {
    n_contexts <= batch_size.saturating_mul(CONTEXTS_PER_SAMPLE) && n_contexts * n_vocab <= MOST_COUNTS
}

/// The scored positions of a sequence, `n − 2 … T − 2`.
#[derive(Debug, Clone, Copy)]
struct Scored {
    /// Tokens of a context.
    len_of_one: usize,
    n_vocab: usize,
    window: usize,
    /// `N^(n-2)`: what the last token of a context counts.
    last: usize,
}

impl Scored {
    fn new(problem: &Problem) -> Self {
        let (n_vocab, len_of_one) = (problem.model.n_vocab(), problem.order - 1);
        let last = n_vocab.pow(len_of_one.saturating_sub(1) as u32);
        Self { len_of_one, n_vocab, window: problem.window, last }
    }

    /// How many there are.
    fn count(&self) -> usize {
        self.window - self.len_of_one.max(1)
    }

    /// Table row and target of each.
    fn of(self, sequence: &[u16]) -> impl Iterator<Item = (usize, u32)> {
        let first = self.len_of_one.max(1);
        let row = move |row: usize, token: u16| match self.len_of_one {
            0 => 0,
            // The oldest token leaves at the low end.
            _ => row / self.n_vocab + token as usize * self.last,
        };
        let mut now = sequence[..first - 1].iter().fold(0, |now, &token| row(now, token));
        (first..self.window).map(move |t| {
            now = row(now, sequence[t - 1]);
            (now, sequence[t].into())
        })
    }

    /// 1 for each of the `n_contexts` that occurs, else 0.
    fn occurring(self, tokens: &[u16], n_contexts: usize, threads: usize) -> Vec<u32> {
        let search = |tokens: &[u16]| {
            let (mut seen, mut missing) = (vec![0; n_contexts], n_contexts);
            for sequence in tokens.chunks_exact(self.window) {
                for (row, _) in self.of(sequence) {
                    let seen = &mut seen[row];
                    missing -= (*seen == 0) as usize;
                    *seen = 1;
                }
                if missing == 0 {
                    break;
                }
            }
            seen
        };
        if threads <= 1 {
            return search(tokens);
        }
        std::thread::scope(|scope| {
            let share = (tokens.len() / self.window).div_ceil(threads).max(1) * self.window;
            let mut shares = tokens.chunks(share);
            let mine = shares.next().unwrap_or_default();
            let theirs: Vec<_> = shares.map(|share| scope.spawn(|| search(share))).collect();
            let mut seen = search(mine);
            for share in theirs {
                let found = share.join().expect("the search does not panic");
                seen.iter_mut().zip(found).for_each(|(seen, found)| *seen |= found);
            }
            seen
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_of_every_scored_position_by_hand() {
        let scored = |order: usize, window| Scored {
            len_of_one: order - 1,
            n_vocab: 10,
            window,
            last: 10usize.pow(order.saturating_sub(2) as u32),
        };
        let of = |order, sequence: &[u16]| scored(order, sequence.len()).of(sequence).collect::<Vec<_>>();
        assert_eq!(of(3, &[1, 2, 3, 4, 5]), [(21, 3), (32, 4), (43, 5)]);
        assert_eq!(of(2, &[1, 2, 3]), [(1, 2), (2, 3)]);
        assert_eq!(of(1, &[1, 2, 3]), [(0, 2), (0, 3)]);
        assert_eq!(of(4, &[1, 2, 3, 4]), [(321, 4)]);
        let contexts = Contexts {
            rows: vec![21, 321],
            n_vocab: 10,
            len_of_one: 3,
            target_bits: 4,
            key_kind: KeyKind::ContextAndTarget,
        };
        assert_eq!((contexts.law_row(1), contexts.last_token(1)), (123, 3));
    }
}
