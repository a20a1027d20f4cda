//! Token sequences of one length, and all those that a law allows.

use super::Law;
use crate::error::{Error, Result};

/// Token sequences of one length, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequences {
    /// `rows × length`, row-major.
    tokens: Vec<u16>,
    /// At least 1.
    length: usize,
}

impl Sequences {
    /// Sequences of `length` tokens each, from all their tokens one after the other.
    ///
    /// # Errors
    /// `length` is 0 or what no memory holds, or `tokens` does not hold whole sequences.
    pub fn new(tokens: Vec<u16>, length: usize) -> Result<Self> {
        if length == 0 || length > isize::MAX as usize {
            return Err(Error::argument("length", length, "a sequence has at least one token, and up to 2^63 − 1"));
        }
        if !tokens.len().is_multiple_of(length) {
            let value = format!("of length {}", tokens.len());
            return Err(Error::argument("tokens", value, format!("it must be whole sequences of {length} tokens")));
        }
        Ok(Self { tokens, length })
    }

    /// All tokens, `(rows, length)`, row-major.
    pub fn tokens(&self) -> &[u16] {
        &self.tokens
    }

    /// Tokens in each sequence.
    pub fn length(&self) -> usize {
        self.length
    }

    pub(crate) fn tokens_mut(&mut self) -> &mut [u16] {
        &mut self.tokens
    }

    /// The first `count` sequences (all, if there are fewer).
    pub fn head(&self, count: usize) -> Self {
        let end = count.min(self.rows()) * self.length;
        Self { tokens: self.tokens[..end].to_vec(), length: self.length }
    }

    /// Number of sequences.
    pub fn rows(&self) -> usize {
        self.tokens.len() / self.length
    }

    /// Sequence `i`, if there is one.
    pub fn get(&self, i: usize) -> Option<&[u16]> {
        if i < self.rows() { Some(&self.tokens[i * self.length..(i + 1) * self.length]) } else { None }
    }

    /// All sequences in order.
    pub fn iter(&self) -> std::slice::ChunksExact<'_, u16> {
        self.tokens.chunks_exact(self.length)
    }
}

/// Most sequences that are listed: half a gigabyte while they are sorted.
const MOST_SEQUENCES: usize = 1 << 25;

/// Every sequence of `n` tokens all of whose prefixes have probability above `eps` (the original's default is 1e-10),
/// ordered by `Σ_j x_j N^j`: `x_0` varies fastest.
///
/// # Errors
/// `eps` is negative or NaN, or leaves more sequences than memory holds.
pub fn generate_each(law: &Law, eps: f64) -> Result<Sequences> {
    if eps.is_nan() || eps < 0.0 {
        return Err(Error::argument("eps", eps, "it must be a number of at least 0"));
    }
    let n = law.n_vocab();
    // Row-major index and probability of every allowed prefix, one token longer each time.
    let mut allowed = vec![(0, 1.0)];
    for table in (0..law.order()).filter_map(|i| law.table(i)) {
        let next = |&(prefix, probability): &(usize, f64)| {
            let row = table[prefix * n..(prefix + 1) * n].iter().enumerate();
            row.map(move |(token, p)| (prefix * n + token, probability * f64::from(*p)))
        };
        let likely = allowed.iter().flat_map(next).filter(|(_, probability)| *probability > eps);
        allowed = likely.take(MOST_SEQUENCES + 1).collect();
        if allowed.len() > MOST_SEQUENCES {
            let expected =
                format!("more than {MOST_SEQUENCES} sequences are likelier, and so many do not fit in memory");
            return Err(Error::argument("eps", eps, expected));
        }
    }
    // The digits of an index in base N in reverse, so that x_0 varies fastest.
    let reversed = |mut index: usize| {
        (0..law.order()).fold(0, |number, _| {
            let digit = index % n;
            index /= n;
            number * n + digit
        })
    };
    allowed.sort_unstable_by_key(|(index, _)| reversed(*index));
    let tokens = allowed.iter().flat_map(|(index, _)| {
        let mut number = reversed(*index);
        (0..law.order()).map(move |_| {
            let token = (number % n) as u16;
            number /= n;
            token
        })
    });
    Ok(Sequences { tokens: tokens.collect(), length: law.order() })
}

#[cfg(test)]
mod tests {
    use super::super::tests::bigram;
    use super::*;

    #[test]
    fn every_sequence_in_order() {
        let sequences = generate_each(&bigram(), 1e-10).unwrap();
        let rows: Vec<&[u16]> = sequences.iter().collect();
        assert_eq!(rows, [[1, 0], [1, 1], [0, 2], [1, 2]]);
        assert_eq!((sequences.rows(), sequences.get(2), sequences.get(4)), (4, Some(&[0, 2][..]), None));
        // the prefix counts too: 1/4 is not above 1/4
        assert_eq!(generate_each(&bigram(), 0.25).unwrap().tokens(), [0, 2]);
        assert_eq!(generate_each(&bigram(), 1.0).unwrap().rows(), 0);
        assert!(generate_each(&bigram(), f64::NAN).is_err());
        assert!(generate_each(&bigram(), -1.0).is_err());
    }

    #[test]
    fn sequences_are_whole() {
        assert!(Sequences::new(vec![1, 2, 3], 2).unwrap_err().to_string().starts_with("`tokens` is of length 3"));
        assert!(Sequences::new(vec![], 0).unwrap_err().to_string().starts_with("`length` is 0"));
        let three = Sequences::new(vec![1, 2, 3, 4, 5, 6], 2).unwrap();
        assert_eq!((three.head(2).tokens(), three.head(9).rows()), (&[1, 2, 3, 4][..], 3));
    }
}
