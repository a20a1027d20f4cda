//! The contexts of a data set, and the grouping of each batch by context.
//!
//! A context is a pair of tokens (first, second) = (x_0, x_1); x_2 is the target. Contexts that occur anywhere in the data are
//! numbered by second token, then by first, so that a range of them touches few second tokens.

use super::simd::{Detected, Isa, Job, dispatch};
use std::ops::Range;

/// Pairs side by side in one vector of the unembedding.
pub(super) const BLOCK: usize = 16;

/// Every context of a data set.
#[derive(Debug)]
pub(super) struct Contexts {
    /// x_0 of each context.
    pub(super) first: Vec<u16>,
    /// x_1 of each context; ascending.
    pub(super) second: Vec<u16>,
    /// Bits that a target takes in a key.
    pub(super) target_bits: u32,
    /// Vocabulary size `N`.
    pub(super) n_vocab: usize,
    /// Whether a key is the sample's place in [`Groups::table`].
    pub(super) direct: bool,
}

/// Every sample as a number: `context << target_bits | target`, or its place in the one part's table of fixed pairs. Half as long where that is enough: passing over them in random
/// order is what takes time, less so the smaller they are.
#[derive(Debug)]
pub(super) enum Keys {
    Short(Vec<u16>),
    Long(Vec<u32>),
}

impl Contexts {
    /// The contexts and keys of `tokens (M, 3)`, all below `n_vocab`; `keep(a, b)`: whether to list the context (a, b) even if it
    /// does not occur. Where there can be no more than two contexts a sample of `batch_size`, all are listed. `one_part`: whether all
    /// are worked on as one range.
    pub(super) fn new(
        tokens: &[u16],
        n_vocab: usize,
        batch_size: usize,
        one_part: bool,
        threads: usize,
        keep: impl Fn(usize, usize) -> bool,
    ) -> (Self, Keys) {
        let target_bits = n_vocab.next_power_of_two().trailing_zeros();
        let triples = tokens.as_chunks::<3>().0;
        let place = |a: u16, b: u16| b as usize * n_vocab + a as usize;
        let few = few_pairs(n_vocab * n_vocab, n_vocab, batch_size);
        if few && one_part {
            let all = 0..(n_vocab * n_vocab) as u16;
            let (first, second) = all.map(|c| (c % n_vocab as u16, c / n_vocab as u16)).unzip();
            let keys = shared_out(triples, threads, |keys, triples| {
                dispatch(Detected::best(), DirectKeys { keys, triples, n_vocab: n_vocab as u16 });
            });
            return (Self { first, second, target_bits, n_vocab, direct: true }, Keys::Short(keys));
        }
        let mut ids =
            if few { vec![1; n_vocab * n_vocab] } else { occurring(triples, n_vocab * n_vocab, threads, place) };
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for b in 0..n_vocab as u16 {
            for a in 0..n_vocab as u16 {
                let id = &mut ids[place(a, b)];
                if *id == 1 || keep(a as usize, b as usize) {
                    *id = first.len() as u32;
                    first.push(a);
                    second.push(b);
                }
            }
        }
        let key = |&[a, b, target]: &[u16; 3]| ids[place(a, b)] << target_bits | target as u32;
        let keys = if first.len() << target_bits <= 1 << 16 {
            let fill =
                |keys: &mut [u16], triples: &[_]| keys.iter_mut().zip(triples).for_each(|(to, t)| *to = key(t) as u16);
            Keys::Short(shared_out(triples, threads, fill))
        } else {
            let fill = |keys: &mut [u32], triples: &[_]| keys.iter_mut().zip(triples).for_each(|(to, t)| *to = key(t));
            Keys::Long(shared_out(triples, threads, fill))
        };
        (Self { first, second, target_bits, n_vocab, direct: false }, keys)
    }

    /// Number of contexts.
    pub(super) fn len(&self) -> usize {
        self.first.len()
    }

    /// Splits the contexts into at most `parts` ranges with about as many samples each, but fewer in the last, whose thread has `beside` times
    /// the work on all of them to do beside it; with `whole_runs`, only between two second tokens.
    pub(super) fn split(&self, keys: &Keys, parts: usize, beside: f64, whole_runs: bool) -> Vec<Range<usize>> {
        if parts <= 1 {
            return std::iter::once(0..self.len()).collect();
        }
        // Every so many samples: enough to weigh the contexts, wherever they lie.
        let mut weight = vec![0usize; self.len()];
        let every = keys.len().div_ceil(1 << 16);
        (0..keys.len()).step_by(every.max(1)).for_each(|i| weight[(keys.get(i) >> self.target_bits) as usize] += 1);
        let total = weight.iter().sum::<usize>() as f64 * (1.0 + beside);
        let mut ranges = Vec::new();
        let (mut start, mut sum) = (0, 0);
        for (c, weight) in weight.into_iter().enumerate() {
            sum += weight;
            let boundary = !whole_runs || c + 1 == self.len() || self.second[c] != self.second[c + 1];
            if boundary && (sum * parts) as f64 >= total * (ranges.len() + 1) as f64 && ranges.len() + 1 < parts {
                ranges.push(start..c + 1);
                start = c + 1;
            }
        }
        ranges.push(start..self.len());
        ranges.retain(|r| !r.is_empty());
        ranges
    }
}

impl Keys {
    pub(super) fn len(&self) -> usize {
        match self {
            Keys::Short(keys) => keys.len(),
            Keys::Long(keys) => keys.len(),
        }
    }

    fn get(&self, i: usize) -> u32 {
        match self {
            Keys::Short(keys) => keys[i].into(),
            Keys::Long(keys) => keys[i],
        }
    }
}

/// Each sample's place in the table of fixed pairs, by (block of contexts, target, context in block).
struct DirectKeys<'a> {
    keys: &'a mut [u16],
    triples: &'a [[u16; 3]],
    n_vocab: u16,
}

impl Job for DirectKeys<'_> {
    type Output = ();
    #[inline(always)]
    fn run<I: Isa>(self) {
        let (n, block) = (self.n_vocab, BLOCK as u16);
        for (key, &[a, b, target]) in self.keys.iter_mut().zip(self.triples) {
            // `few_pairs` keeps this below 2^16.
            let context = b.wrapping_mul(n).wrapping_add(a);
            let row = (context / block).wrapping_mul(n).wrapping_add(target);
            *key = row.wrapping_mul(block).wrapping_add(context % block);
        }
    }
}

/// 1 for each of the `contexts` that occurs in `triples`, else 0.
fn occurring(
    triples: &[[u16; 3]],
    contexts: usize,
    threads: usize,
    place: impl Fn(u16, u16) -> usize + Sync,
) -> Vec<u32> {
    let search = |triples: &[[u16; 3]]| {
        let (mut seen, mut missing) = (vec![0; contexts], contexts);
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
        let mut shares = triples.chunks(triples.len().div_ceil(threads.max(1)).max(1));
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

/// A key for every row, filled in by `fill` on `threads` threads.
fn shared_out<K: Copy + Default + Send>(
    rows: &[[u16; 3]],
    threads: usize,
    fill: impl Fn(&mut [K], &[[u16; 3]]) + Copy + Send,
) -> Vec<K> {
    let mut keys = vec![K::default(); rows.len()];
    let share = rows.len().div_ceil(threads.max(1)).max(1);
    std::thread::scope(|scope| {
        let mut shares = keys.chunks_mut(share).zip(rows.chunks(share));
        let mine = shares.next();
        for (keys, rows) in shares {
            scope.spawn(move || fill(keys, rows));
        }
        mine.into_iter().for_each(|(keys, rows)| fill(keys, rows));
    });
    keys
}

/// Whether so few contexts that working on all of them in every batch costs less than finding those that occur in it.
fn few_pairs(contexts: usize, n_vocab: usize, batch_size: usize) -> bool {
    contexts <= batch_size.saturating_mul(2) && contexts * n_vocab <= 1 << 14
}

/// One batch's samples in a range of contexts, grouped. A *pair* is a context that is worked on in this batch.
#[derive(Debug)]
pub(super) struct Groups {
    /// The contexts of this part.
    range: Range<usize>,
    /// Whether every context of the range is a pair in every batch, so that the list of pairs never changes.
    pub(super) fixed: bool,
    /// The pairs: context minus `range.start`, ascending.
    pub(super) pairs: Vec<u32>,
    /// Samples of each pair, padded with zeros to whole blocks.
    pub(super) counts: Vec<f32>,
    /// Fixed pairs: samples by (block of pairs, target, pair in block).
    pub(super) table: Vec<f32>,
    /// Listed pairs: `16 target + pair % 16` of every sample, sorted by pair.
    targets: Vec<u16>,
    /// Listed pairs: where the targets of each block of pairs begin, and end.
    starts: Vec<u32>,
    /// Listed pairs: the batch's samples in this part.
    samples: Vec<u32>,
    /// Listed pairs: samples, then next free place in `targets` and, in the highest bits, the pair's lane, by context; zeros between batches.
    cursor: Vec<u32>,
    /// Listed pairs: a bit for each context that occurs; zeros between batches.
    seen: Vec<u64>,
}

/// Bits of a cursor that are a place.
const PLACE_BITS: u32 = 28;

/// Samples that a batch may have.
pub(crate) const MOST_SAMPLES: usize = (1 << PLACE_BITS) - 1;

impl Groups {
    /// For batches of `batch_size` samples over `contexts`; `range` is what this part works on.
    pub(super) fn new(contexts: &Contexts, range: Range<usize>, batch_size: usize) -> Self {
        let len = range.len();
        let fixed = few_pairs(len, contexts.n_vocab, batch_size);
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
            seen: vec![0; if fixed { 0 } else { len.div_ceil(64) }],
        }
    }

    /// The most pairs that a batch can have, rounded up to whole blocks.
    pub(super) fn capacity(&self) -> usize {
        self.counts.len()
    }

    /// Groups the samples `keys` of a batch.
    pub(super) fn fill(&mut self, contexts: &Contexts, keys: &[u32]) {
        if self.fixed { self.fill_table(contexts, keys) } else { self.fill_lists(contexts, keys) }
    }

    /// Fixed pairs.
    fn fill_table(&mut self, contexts: &Contexts, keys: &[u32]) {
        self.table.fill(0.0);
        if contexts.direct {
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
        let (bits, mask) = (contexts.target_bits, (1u32 << contexts.target_bits) - 1);
        let (start, len) = (self.range.start as u32, self.range.len() as u32);
        // Samples of other parts are written over: no branch that the processor could guess wrong.
        self.samples.resize(keys.len() + 1, 0);
        let mut n_samples = 0;
        for &key in keys {
            let context = (key >> bits).wrapping_sub(start);
            self.samples[n_samples] = context << bits | key & mask;
            n_samples += (context < len) as usize;
        }
        let samples = &self.samples[..n_samples];
        for sample in samples {
            let context = (sample >> bits) as usize;
            self.cursor[context] += 1;
            self.seen[context / 64] |= 1 << (context % 64);
        }
        self.pairs.clear();
        self.starts.clear();
        self.counts.fill(0.0);
        let mut placed = 0;
        for (base, seen) in (0..).step_by(64).zip(&mut self.seen) {
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
        for sample in samples {
            let cursor = &mut self.cursor[(sample >> bits) as usize];
            let place = *cursor & ((1 << PLACE_BITS) - 1);
            self.targets[place as usize] = (sample & mask) as u16 * BLOCK as u16 + (*cursor >> PLACE_BITS) as u16;
            *cursor += 1;
        }
        for &context in &self.pairs {
            self.cursor[context as usize] = 0;
        }
    }

    /// Listed pairs: `16 target + lane` of every sample of a block of pairs.
    pub(super) fn targets_of(&self, block: usize) -> &[u16] {
        &self.targets[self.starts[block] as usize..self.starts[block + 1] as usize]
    }
}
