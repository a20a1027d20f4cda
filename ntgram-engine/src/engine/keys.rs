//! Every sample of a data set as a few small numbers, its keys; [`KeyKind`](super::contexts::KeyKind) says what they mean.
//!
//! The samples are visited in random order, so that most visits wait for memory: less so the smaller a key is.

use super::BLOCK;
use super::simd::{Detected, Isa, Job, dispatch};

/// The keys of every sample, one sample's after another's.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) words: Words,
    /// Words of a sample.
    pub(super) per_sample: usize,
}

/// Half as long where 16 bits are enough.
#[derive(Debug)]
pub(super) enum Words {
    Short(Vec<u16>),
    Long(Vec<u32>),
}

impl Keys {
    /// `fill(words, sequence)` writes the `per_sample` words of a sequence of `window` tokens, all below `end`.
    pub(super) fn new(
        (tokens, window): (&[u16], usize),
        (per_sample, end): (usize, u64),
        threads: usize,
        fill: impl Fn(&mut [u32], &[u16]) + Copy + Send,
    ) -> Self {
        let words = if end <= 1 << u16::BITS {
            let fill = move |keys: &mut [u16], tokens: &[u16]| {
                let mut words = vec![0; per_sample];
                for (keys, sequence) in keys.chunks_exact_mut(per_sample).zip(tokens.chunks_exact(window)) {
                    fill(&mut words, sequence);
                    keys.iter_mut().zip(&words).for_each(|(key, &word)| *key = word as u16);
                }
            };
            Words::Short(fill_shares((tokens, window), per_sample, threads, fill))
        } else {
            let fill = move |keys: &mut [u32], tokens: &[u16]| {
                let sequences = keys.chunks_exact_mut(per_sample).zip(tokens.chunks_exact(window));
                sequences.for_each(|(words, sequence)| fill(words, sequence));
            };
            Words::Long(fill_shares((tokens, window), per_sample, threads, fill))
        };
        Self { words, per_sample }
    }

    /// Each sample's place in the table of counts of all `n_vocab * n_vocab` contexts, for sequences of three tokens.
    pub(super) fn table_places(tokens: &[u16], n_vocab: usize, threads: usize) -> Self {
        let fill = |keys: &mut [u16], tokens: &[u16]| {
            let triples = tokens.as_chunks::<3>().0;
            dispatch(Detected::best(), TablePlaces { keys, triples, n_vocab: n_vocab as u16 });
        };
        Self { words: Words::Short(fill_shares((tokens, 3), 1, threads, fill)), per_sample: 1 }
    }

    /// Number of samples.
    pub(super) fn len(&self) -> usize {
        let words = match &self.words {
            Words::Short(words) => words.len(),
            Words::Long(words) => words.len(),
        };
        words / self.per_sample
    }

    /// Word `i`, counted over all samples.
    pub(super) fn word(&self, i: usize) -> u32 {
        match &self.words {
            Words::Short(words) => words[i].into(),
            Words::Long(words) => words[i],
        }
    }
}

/// Fills a sample's place by (block of contexts, target, context in block).
struct TablePlaces<'a> {
    keys: &'a mut [u16],
    triples: &'a [[u16; 3]],
    n_vocab: u16,
}

impl Job for TablePlaces<'_> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let (n, block) = (self.n_vocab, BLOCK as u16);
        for (key, &[a, b, target]) in self.keys.iter_mut().zip(self.triples) {
            // `all_are_pairs` keeps this below 2^16.
            let context = b.wrapping_mul(n).wrapping_add(a);
            let row = (context / block).wrapping_mul(n).wrapping_add(target);
            *key = row.wrapping_mul(block).wrapping_add(context % block);
        }
    }
}

/// `per_sample` keys for every sequence, filled in by `fill` on `threads` threads.
fn fill_shares<K: Copy + Default + Send>(
    (tokens, window): (&[u16], usize),
    per_sample: usize,
    threads: usize,
    fill: impl Fn(&mut [K], &[u16]) + Copy + Send,
) -> Vec<K> {
    let samples = tokens.len() / window;
    let mut keys = vec![K::default(); samples * per_sample];
    let share = samples.div_ceil(threads).max(1);
    if threads <= 1 {
        fill(&mut keys, tokens);
        return keys;
    }
    std::thread::scope(|scope| {
        let mut shares = keys.chunks_mut(share * per_sample).zip(tokens.chunks(share * window));
        let mine = shares.next();
        for (keys, tokens) in shares {
            scope.spawn(move || fill(keys, tokens));
        }
        mine.into_iter().for_each(|(keys, tokens)| fill(keys, tokens));
    });
    keys
}
