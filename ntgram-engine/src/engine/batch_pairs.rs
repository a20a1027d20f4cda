//! One batch's samples in a range of contexts, sorted by context.

use super::BLOCK;
use super::contexts::{Contexts, KeyKind, all_are_pairs};
use std::ops::Range;

/// The pairs of a batch, and the targets that followed each. A *pair* is a context that is worked on in this batch.
///
/// Either every context of the range is a pair in every batch (*fixed* pairs, with a table of counts), or the pairs are
/// listed afresh for each batch (*listed* pairs, with the list of their targets).
#[derive(Debug)]
pub(super) struct BatchPairs {
    /// The contexts of this part.
    range: Range<usize>,
    /// Whether the pairs are fixed.
    pub(super) fixed: bool,
    /// The pairs: context minus `range.start`, ascending.
    pub(super) pairs: Vec<u32>,
    /// Samples of each pair, padded with zeros to whole blocks.
    pub(super) counts: Vec<f32>,
    /// Fixed pairs: samples by (block of pairs, target, pair in block).
    pub(super) table: Vec<f32>,
    /// Listed pairs: `16 target + pair % 16` of every sample, sorted by pair.
    targets: Vec<u32>,
    /// Listed pairs: where the targets of each block of pairs begin, and end.
    starts: Vec<u32>,
    /// Listed pairs: context minus `range.start`, and target, of the batch's samples in this part.
    samples: Vec<[u32; 2]>,
    /// Listed pairs, by context: its samples, then the next free place in `targets`, with the pair's lane in the highest bits.
    /// Zeros between batches.
    cursor: Vec<u32>,
    /// Listed pairs: a bit for each context that occurs; zeros between batches.
    seen: Vec<u64>,
}

/// Contexts in a word of `seen`.
const WORD: usize = u64::BITS as usize;

/// Bits of a cursor that are a place; the other four hold a lane.
const PLACE_BITS: u32 = 28;

/// Scored positions that a batch may have.
pub(super) const MOST_POSITIONS: usize = (1 << PLACE_BITS) - 1;

impl BatchPairs {
    /// For batches of `batch_size` scored positions over `contexts`; `range` is what this part works on.
    pub(super) fn new(contexts: &Contexts, range: Range<usize>, batch_size: usize) -> Self {
        let len = range.len();
        let fixed = all_are_pairs(len, contexts.n_vocab, batch_size);
        let blocks = len.min(batch_size.max(if fixed { len } else { 0 })).div_ceil(BLOCK);
        Self {
            range,
            fixed,
            pairs: if fixed { (0..len as u32).collect() } else { Vec::new() },
            counts: vec![0.0; blocks * BLOCK],
            table: if fixed { vec![0.0; blocks * BLOCK * contexts.n_vocab] } else { Vec::new() },
            targets: Vec::new(),
            starts: Vec::new(),
            samples: Vec::new(),
            cursor: vec![0; if fixed { 0 } else { len }],
            seen: vec![0; if fixed { 0 } else { len.div_ceil(WORD) }],
        }
    }

    /// The most pairs that a batch can have, rounded up to whole blocks.
    pub(super) fn capacity(&self) -> usize {
        self.counts.len()
    }

    /// Sorts the samples `keys` of a batch.
    pub(super) fn fill(&mut self, contexts: &Contexts, keys: &[u32]) {
        if self.fixed { self.fill_table(contexts, keys) } else { self.fill_lists(contexts, keys) }
    }

    /// Fixed pairs.
    fn fill_table(&mut self, contexts: &Contexts, keys: &[u32]) {
        self.table.fill(0.0);
        if contexts.key_kind == KeyKind::TablePlace {
            for &key in keys {
                self.table[key as usize] += 1.0;
            }
        } else {
            let (bits, mask) = (contexts.target_bits, (1u32 << contexts.target_bits) - 1);
            let (start, len) = (self.range.start as u32, self.range.len() as u32);
            for &key in keys {
                let context = (key >> bits).wrapping_sub(start);
                if context < len {
                    let row = context / BLOCK as u32 * contexts.n_vocab as u32 + (key & mask);
                    self.table[row as usize * BLOCK + context as usize % BLOCK] += 1.0;
                }
            }
        }
        let blocks = self.table.chunks_exact(BLOCK * contexts.n_vocab);
        for (counts, table) in self.counts.chunks_exact_mut(BLOCK).zip(blocks) {
            let mut sums = [0.0; BLOCK];
            for row in table.as_chunks::<BLOCK>().0 {
                for (sum, x) in sums.iter_mut().zip(row) {
                    *sum += x;
                }
            }
            counts.copy_from_slice(&sums);
        }
    }

    /// Listed pairs.
    fn fill_lists(&mut self, contexts: &Contexts, keys: &[u32]) {
        let n_samples = if contexts.key_kind == KeyKind::TwoWords {
            self.find_samples(keys.as_chunks::<2>().0.iter().copied())
        } else {
            let (bits, mask) = (contexts.target_bits, (1u32 << contexts.target_bits) - 1);
            self.find_samples(keys.iter().map(|key| [key >> bits, key & mask]))
        };
        let samples = &self.samples[..n_samples];
        for &[context, _] in samples {
            let context = context as usize;
            self.cursor[context] += 1;
            self.seen[context / WORD] |= 1 << (context % WORD);
        }
        self.pairs.clear();
        self.starts.clear();
        self.counts.fill(0.0);
        let mut placed = 0;
        for (base, seen) in (0..).step_by(WORD).zip(&mut self.seen) {
            let mut bits = std::mem::take(seen);
            while bits != 0 {
                let context = base + bits.trailing_zeros();
                bits &= bits - 1;
                let pair = self.pairs.len();
                if pair.is_multiple_of(BLOCK) {
                    self.starts.push(placed);
                }
                self.pairs.push(context);
                let cursor = &mut self.cursor[context as usize];
                self.counts[pair] = *cursor as f32;
                placed += std::mem::replace(cursor, placed | ((pair % BLOCK) as u32) << PLACE_BITS);
            }
        }
        self.starts.push(placed);
        self.targets.resize(n_samples, 0);
        for &[context, target] in samples {
            let cursor = &mut self.cursor[context as usize];
            let place = *cursor & ((1 << PLACE_BITS) - 1);
            self.targets[place as usize] = target * BLOCK as u32 + (*cursor >> PLACE_BITS);
            *cursor += 1;
        }
        for &context in &self.pairs {
            self.cursor[context as usize] = 0;
        }
    }

    /// Listed pairs: from a batch's contexts and targets to `self.samples`; returns how many are in this part.
    fn find_samples(&mut self, all: impl ExactSizeIterator<Item = [u32; 2]>) -> usize {
        let (start, len) = (self.range.start as u32, self.range.len() as u32);
        // Samples of other parts are written over: no branch that the processor could guess wrong.
        self.samples.resize(all.len() + 1, [0; 2]);
        let mut n_samples = 0;
        for [context, target] in all {
            let context = context.wrapping_sub(start);
            self.samples[n_samples] = [context, target];
            n_samples += (context < len) as usize;
        }
        n_samples
    }

    /// Listed pairs: `16 target + lane` of every sample of a block of pairs.
    pub(super) fn targets_of(&self, block: usize) -> &[u32] {
        &self.targets[self.starts[block] as usize..self.starts[block + 1] as usize]
    }
}
