//! The contexts of a data set: which occur, and their numbers.
//!
//! A context is a pair of tokens (first, second) = (x_0, x_1); x_2 is the target. Contexts are numbered by second token,
//! then by first: a range of them touches few second tokens.

use super::Problem;
use super::keys::Keys;
use std::ops::Range;

/// Every context that a training works on.
#[derive(Debug)]
pub(super) struct Contexts {
    /// x_0 of each context.
    pub(super) first: Vec<u16>,
    /// x_1 of each context; ascending.
    pub(super) second: Vec<u16>,
    /// Vocabulary size `N`.
    pub(super) n_vocab: usize,
    /// Bits that a target takes in a key of [`KeyKind::ContextAndTarget`].
    pub(super) target_bits: u32,
    /// What the samples' keys say.
    pub(super) key_kind: KeyKind,
}

/// What the key of a sample is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum KeyKind {
    /// `context << target_bits | target`.
    ContextAndTarget,
    /// The sample's place in [`BatchPairs::table`](super::batch_pairs::BatchPairs::table), where one part has all contexts.
    TablePlace,
}

/// Where a range of contexts may end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum SplitAt {
    /// After any context.
    AnyContext,
    /// Between two second tokens.
    SecondTokens,
}

impl Contexts {
    /// The contexts and keys of the problem's samples. Contexts that do not occur are left out, but where [`all_are_pairs`] all are
    /// kept; `keep(a, b)`: whether to keep the context (a, b) in any case.
    pub(super) fn new(problem: &Problem, n_parts: usize, keep: impl Fn(usize, usize) -> bool) -> (Self, Keys) {
        let n_vocab = problem.model.n_vocab();
        let n_contexts = n_vocab * n_vocab;
        let target_bits = n_vocab.next_power_of_two().trailing_zeros();
        let threads = problem.threads.max(1);
        let triples = problem.tokens.as_chunks::<3>().0;
        let all = all_are_pairs(n_contexts, n_vocab, problem.batch_size);
        if all && n_parts <= 1 {
            let every = 0..n_contexts as u16;
            let (first, second) = every.map(|c| (c % n_vocab as u16, c / n_vocab as u16)).unzip();
            let keys = Keys::table_places(triples, n_vocab, threads);
            return (Self { first, second, n_vocab, target_bits, key_kind: KeyKind::TablePlace }, keys);
        }
        let place = |a: u16, b: u16| b as usize * n_vocab + a as usize;
        // 1 for each context that is kept, then its number.
        let mut numbers = if all { vec![1; n_contexts] } else { occurring(triples, n_contexts, threads, place) };
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for b in 0..n_vocab as u16 {
            for a in 0..n_vocab as u16 {
                let number = &mut numbers[place(a, b)];
                if *number == 1 || keep(a as usize, b as usize) {
                    *number = first.len() as u32;
                    first.push(a);
                    second.push(b);
                }
            }
        }
        let key = |&[a, b, target]: &[u16; 3]| numbers[place(a, b)] << target_bits | target as u32;
        let keys = Keys::new(triples, first.len() << target_bits, threads, key);
        (Self { first, second, n_vocab, target_bits, key_kind: KeyKind::ContextAndTarget }, keys)
    }

    /// Number of contexts.
    pub(super) fn len(&self) -> usize {
        self.first.len()
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
            let boundary = at == SplitAt::AnyContext || c + 1 == self.len() || self.second[c] != self.second[c + 1];
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
        let every = keys.len().div_ceil(WEIGHED_SAMPLES).max(1);
        (0..keys.len()).step_by(every).for_each(|i| weights[(keys.get(i) >> self.target_bits) as usize] += 1);
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

/// 1 for each of the `n_contexts` that occurs in `triples`, else 0.
fn occurring(
    triples: &[[u16; 3]],
    n_contexts: usize,
    threads: usize,
    place: impl Fn(u16, u16) -> usize + Sync,
) -> Vec<u32> {
    let search = |triples: &[[u16; 3]]| {
        let (mut seen, mut missing) = (vec![0; n_contexts], n_contexts);
        for &[a, b, _] in triples {
            let seen = &mut seen[place(a, b)];
            missing -= (*seen == 0) as usize;
            *seen = 1;
            if missing == 0 {
                break;
            }
        }
        seen
    };
    std::thread::scope(|scope| {
        let mut shares = triples.chunks(triples.len().div_ceil(threads).max(1));
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
