//! Every sample of a data set as one small number, its key; [`KeyKind`](super::contexts::KeyKind) says what it means.
//!
//! The samples are visited in random order, so that most visits wait for memory: less so the smaller a key is.

use super::BLOCK;
use super::simd::{Detected, Isa, Job, dispatch};

/// The key of every sample; half as long where 16 bits are enough.
#[derive(Debug)]
pub(super) enum Keys {
    Short(Vec<u16>),
    Long(Vec<u32>),
}

impl Keys {
    /// The keys that `key` gives, all below `end`.
    pub(super) fn new(
        triples: &[[u16; 3]],
        end: usize,
        threads: usize,
        key: impl Fn(&[u16; 3]) -> u32 + Copy + Send,
    ) -> Self {
        if end <= 1 << u16::BITS {
            let fill = move |keys: &mut [u16], triples: &[_]| {
                keys.iter_mut().zip(triples).for_each(|(to, t)| *to = key(t) as u16)
            };
            Keys::Short(fill_shares(triples, threads, fill))
        } else {
            let fill =
                move |keys: &mut [u32], triples: &[_]| keys.iter_mut().zip(triples).for_each(|(to, t)| *to = key(t));
            Keys::Long(fill_shares(triples, threads, fill))
        }
    }

    /// Each sample's place in the table of counts of all `n_vocab * n_vocab` contexts.
    pub(super) fn table_places(triples: &[[u16; 3]], n_vocab: usize, threads: usize) -> Self {
        Keys::Short(fill_shares(triples, threads, |keys, triples| {
            dispatch(Detected::best(), TablePlaces { keys, triples, n_vocab: n_vocab as u16 });
        }))
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Keys::Short(keys) => keys.len(),
            Keys::Long(keys) => keys.len(),
        }
    }

    pub(super) fn get(&self, i: usize) -> u32 {
        match self {
            Keys::Short(keys) => keys[i].into(),
            Keys::Long(keys) => keys[i],
        }
    }
}

/// Each sample's place by (block of contexts, target, context in block).
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

/// A key for every sample, filled in by `fill` on `threads` threads.
fn fill_shares<K: Copy + Default + Send>(
    triples: &[[u16; 3]],
    threads: usize,
    fill: impl Fn(&mut [K], &[[u16; 3]]) + Copy + Send,
) -> Vec<K> {
    let mut keys = vec![K::default(); triples.len()];
    let share = triples.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let mut shares = keys.chunks_mut(share).zip(triples.chunks(share));
        let mine = shares.next();
        for (keys, triples) in shares {
            scope.spawn(move || fill(keys, triples));
        }
        mine.into_iter().for_each(|(keys, triples)| fill(keys, triples));
    });
    keys
}
