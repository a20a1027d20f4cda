//! `randperm` step by step: what comes first is known long before the rest is shuffled.

use super::TorchRng;
use super::mt19937::temper;

/// Words drawn at a time.
const AHEAD: usize = 128;

/// `randperm` under way, applied to any list instead of `0..n`: Fisher and Yates' shuffle from the front.
#[derive(Debug, Clone)]
pub(crate) struct Permutation {
    rng: TorchRng,
    /// Places that have their final item.
    done: usize,
}

impl Permutation {
    pub(crate) fn new(rng: TorchRng) -> Self {
        Self { rng, done: 0 }
    }

    /// The generator after the words drawn so far.
    pub(crate) fn into_rng(self) -> TorchRng {
        self.rng
    }

    /// Goes on until the first `to` places of `items` have their final items. `items` must be the same list, and shorter than
    /// 2^32, in every call.
    pub(crate) fn advance<T>(&mut self, items: &mut [T], to: usize) {
        let len = items.len();
        // The last item has only one place to go to: no word is drawn for it.
        let to = to.min(len.saturating_sub(1));
        let mut words = [0; AHEAD];
        while self.done < to {
            let count = AHEAD.min(to - self.done);
            let words = &mut words[..count];
            self.rng.fill_raw(words);
            words.iter_mut().for_each(|word| *word = temper(*word));
            // One loop for the division and the exchange: while one waits for memory, the next divides.
            let mut rest = &mut items[self.done..];
            for word in words {
                let place = *word % rest.len() as u32;
                rest.swap(0, place as usize);
                rest = &mut rest[1..];
            }
            self.done += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_randperm_in_whatever_portions() {
        for n in [0usize, 1, 2, 63, 64, 65, 1000] {
            let whole = TorchRng::new(8).randperm(n as u32).unwrap();
            let mut items: Vec<u16> = (0..n as u16).collect();
            let mut permutation = Permutation::new(TorchRng::new(8));
            for to in [0, 1, 1, n / 3, n / 2 + 1, n] {
                permutation.advance(&mut items, to);
                assert!(whole.iter().zip(&items).take(to).all(|(a, b)| *a == u32::from(*b)), "{to} of {n}");
            }
            // The original's loop, word for word.
            let (mut rng, mut plain) = (TorchRng::new(8), (0..n as u32).collect::<Vec<_>>());
            for i in 0..n.saturating_sub(1) {
                let j = i + rng.next_word() as usize % (n - i);
                plain.swap(i, j);
            }
            assert_eq!(whole, plain);
            assert_eq!(permutation.into_rng().next_word(), rng.next_word());
        }
    }
}
