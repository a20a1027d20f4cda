//! The rows that a position's tables have: one for each token, or only for those of the batch where they are few.

/// No row.
const NONE: u32 = u32::MAX;

/// Pairs of a batch for each token below which it pays to look which tokens occur.
const BATCH_ROWS_BELOW: usize = 2;

/// The tokens at one position of a part's contexts, and which of them have a row.
#[derive(Debug)]
pub(super) struct TokenRows {
    /// The tokens that have a row, by row.
    pub(super) tokens: Vec<u16>,
    /// Row of each pair of the batch.
    pub(super) of_pair: Vec<u32>,
    /// Most rows that there can be.
    pub(super) capacity: usize,
    /// Whether every batch has rows for its own tokens only.
    of_batch: bool,
    /// Row of each token, or [`NONE`].
    row: Vec<u32>,
    /// Row of each context, or its token if rows are those of a batch.
    of_context: Vec<u16>,
}

impl TokenRows {
    /// `of_context`: the token of each context, below `n_vocab`; batches of at most `pairs` contexts.
    pub(super) fn new(of_context: &[u16], n_vocab: usize, pairs: usize) -> Self {
        let mut row = vec![NONE; n_vocab];
        of_context.iter().for_each(|&token| row[token as usize] = 0);
        let mut tokens: Vec<u16> = (0..n_vocab as u16).filter(|&token| row[token as usize] != NONE).collect();
        let capacity = tokens.len().min(pairs);
        let of_batch = pairs < BATCH_ROWS_BELOW * tokens.len();
        if of_batch {
            row.fill(NONE);
            tokens.clear();
        } else {
            (0..).zip(&tokens).for_each(|(r, &token)| row[token as usize] = r);
        }
        let place = |&token: &u16| if of_batch { token } else { row[token as usize] as u16 };
        let of_context = of_context.iter().map(place).collect();
        Self { tokens, of_pair: Vec::new(), capacity, of_batch, row, of_context }
    }

    /// Gives each of the pairs (contexts) its row.
    pub(super) fn fill(&mut self, pairs: &[u32]) {
        self.of_pair.clear();
        let of_context = pairs.iter().map(|&p| self.of_context[p as usize]);
        if !self.of_batch {
            return self.of_pair.extend(of_context.map(u32::from));
        }
        self.tokens.drain(..).for_each(|token| self.row[token as usize] = NONE);
        for token in of_context {
            let row = &mut self.row[token as usize];
            if *row == NONE {
                *row = self.tokens.len() as u32;
                self.tokens.push(token);
            }
            self.of_pair.push(*row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_has_the_row_of_its_token() {
        let of_context = [7, 2, 2, 5, 7, 9];
        for (pairs, capacity) in [(100, 4), (3, 3)] {
            let mut rows = TokenRows::new(&of_context, 10, pairs);
            assert_eq!(rows.capacity, capacity);
            for pairs in [&[0, 2, 5][..], &[1, 2], &[], &[3, 4, 5]] {
                rows.fill(pairs);
                let tokens: Vec<u16> = rows.of_pair.iter().map(|&row| rows.tokens[row as usize]).collect();
                assert_eq!(tokens, pairs.iter().map(|&p| of_context[p as usize]).collect::<Vec<_>>());
                assert!(rows.tokens.len() <= capacity);
            }
        }
    }
}
