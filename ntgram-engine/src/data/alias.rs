//! Fast sampling with any generator: an alias table (Walker, 1977; Vose, 1991) for every context that comes up, over the
//! tokens that may follow it.

use rand::Rng;

use crate::laws::Law;

/// One slot of a table: below the threshold its own token, else the other.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Slot {
    threshold: u32,
    own: u16,
    other: u16,
}

/// Alias table of one distribution. One 64-bit word a draw (none where there is no choice), good to 2^-32.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AliasTable {
    slots: Vec<Slot>,
}

impl AliasTable {
    /// The table of a row of a law.
    pub(super) fn new(row: &[f32]) -> Self {
        let possible: Vec<(u16, f64)> =
            row.iter().enumerate().filter(|(_, p)| **p > 0.0).map(|(k, p)| (k as u16, f64::from(*p))).collect();
        let total: f64 = possible.iter().map(|(_, p)| p).sum();
        // Every slot holds a mass of 1; tokens with less are topped up by tokens with more.
        let scale = possible.len() as f64 / total;
        let mut mass: Vec<f64> = possible.iter().map(|(_, p)| p * scale).collect();
        let mut slots: Vec<Slot> =
            possible.iter().map(|(token, _)| Slot { threshold: u32::MAX, own: *token, other: *token }).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..mass.len()).partition(|k| mass[*k] < 1.0);
        while let (Some(&few), Some(&many)) = (small.last(), large.last()) {
            small.pop();
            slots[few].threshold = (mass[few] * (1u64 << 32) as f64) as u32;
            slots[few].other = possible[many].0;
            mass[many] -= 1.0 - mass[few];
            if mass[many] < 1.0 {
                large.pop();
                small.push(many);
            }
        }
        Self { slots }
    }

    /// One token.
    #[inline]
    pub(super) fn sample<R: Rng>(&self, rng: &mut R) -> u16 {
        if let [only] = self.slots[..] {
            return only.own;
        }
        let word = rng.next_u64();
        let slot = self.slots[(((word >> 32) * self.slots.len() as u64) >> 32) as usize];
        if (word as u32) < slot.threshold { slot.own } else { slot.other }
    }
}

/// Fills `tokens` (`rows × length`, row-major) with sequences drawn from the law.
pub(super) fn fill<R: Rng>(tokens: &mut [u16], length: usize, law: &Law, rng: &mut R) {
    let n = law.n_vocab();
    let contexts = |i: usize| law.table(i).map_or(0, |table| table.len() / n);
    // tables[i][context], made when the context first comes up
    let mut tables: Vec<Vec<Option<AliasTable>>> = (0..law.order()).map(|i| vec![None; contexts(i)]).collect();
    for sequence in tokens.chunks_exact_mut(length) {
        for t in 0..length {
            let known = t.min(law.order() - 1);
            let context = law.context_index(&sequence[t - known..t]);
            let table = tables[known][context].get_or_insert_with(|| AliasTable::new(law.row_at(known, context)));
            sequence[t] = table.sample(rng);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::TorchRng;

    /// Pearson's statistic of `draws` samples against the row, and the number of possible tokens.
    fn chi_square(row: &[f32], draws: usize, seed: u64) -> (f64, usize) {
        let table = AliasTable::new(row);
        let mut rng = TorchRng::new(seed);
        let mut seen = vec![0usize; row.len()];
        (0..draws).for_each(|_| seen[usize::from(table.sample(&mut rng))] += 1);
        let total: f64 = row.iter().map(|p| f64::from(*p)).sum();
        let mut statistic = 0.0;
        for (count, p) in seen.iter().zip(row) {
            let expected = f64::from(*p) / total * draws as f64;
            if expected == 0.0 {
                assert_eq!(*count, 0, "an impossible token was drawn");
            } else {
                statistic += (*count as f64 - expected).powi(2) / expected;
            }
        }
        (statistic, row.iter().filter(|p| **p > 0.0).count())
    }

    #[test]
    fn frequencies_follow_the_row() {
        let powers: Vec<f32> = (0..20).map(|k| 0.7f32.powi(k)).collect();
        let rows: [&[f32]; 4] = [&[0.25; 4], &[0.0, 0.9, 0.0, 0.1], &[0.05, 0.15, 0.3, 0.5, 0.0], &powers];
        for (i, row) in rows.iter().enumerate() {
            for seed in 0..3 {
                let (statistic, possible) = chi_square(row, 200_000, seed);
                // mean f, variance 2f: five standard deviations
                let freedom = (possible - 1) as f64;
                assert!(statistic < freedom + 5.0 * (2.0 * freedom).sqrt(), "row {i}, seed {seed}: {statistic}");
            }
        }
    }

    #[test]
    fn a_certain_token_takes_no_word() {
        let table = AliasTable::new(&[0.0, 0.0, 1.0]);
        let mut rng = TorchRng::new(3);
        assert_eq!(table.sample(&mut rng), 2);
        assert_eq!(rng.next_word(), TorchRng::new(3).next_word());
    }
}
