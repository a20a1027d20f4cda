//! The loss of the scored nodes of a tree, 16 at a time; the arithmetic itself is in `unembed`.

use super::super::BLOCK;
use super::super::law_rows::LawRows;
use super::super::simd::Isa;
use super::super::unembed::{self, Scratch, Shape, Tally};
use super::tree::Tree;

/// Everything that the loss needs.
#[derive(Debug)]
pub(super) struct TreeLoss {
    shape: Shape,
    /// For the full divergence: all rows of the law. Else outputs are compared with the tokens that followed.
    law: Option<LawRows>,
    scratch: Scratch,
    /// Of a block of nodes: `16 token + lane` of what followed, and how often.
    followed: Vec<u32>,
    counts: Vec<f32>,
}

impl TreeLoss {
    /// `law`: `None` for the next-token loss, else the last table `(N^(n-1), N)`.
    pub(super) fn new(shape: Shape, law: Option<&[f32]>) -> Self {
        let law = law.map(|table| LawRows::new(shape.n, table.chunks_exact(shape.n)));
        Self { shape, law, scratch: Scratch::new(shape), followed: Vec::new(), counts: Vec::new() }
    }

    /// To be called before the trees of a batch.
    pub(super) fn begin(&mut self, w_u: &[f32]) {
        unembed::pack(&mut self.scratch, w_u, self.shape);
    }

    /// Loss of the tree's nodes from level `first` on, whose streams are `rows` (nodes, stride) with room for whole blocks; puts
    /// their gradients in their place, and adds to `dw_u`. `factor` is one over the scored positions of the batch.
    pub(super) fn of<I: Isa>(
        &mut self,
        tree: &Tree,
        first: usize,
        rows: &mut [f32],
        (w_u, dw_u): (&[f32], &mut [f32]),
        factor: f32,
    ) -> Tally {
        let mut total = Tally::default();
        let count = tree.rows_from(first).len();
        let stride = self.shape.stride;
        let mut targets = tree.levels[first..].iter().enumerate().flat_map(|(l, level)| {
            let start = tree.rows(first + l).start - tree.rows(first).start;
            level.targets.iter().map(move |target| (start + target.node as usize, *target))
        });
        let mut next = targets.next();
        let mut nodes = tree.levels[first..].iter().flat_map(|level| {
            level.law_rows.iter().zip(&level.counts).map(|(&row, &count)| (row as usize, count as f32))
        });
        rows[count * stride..count.next_multiple_of(BLOCK) * stride].fill(0.0);
        for (block, rows) in rows.chunks_mut(BLOCK * stride).take(count.div_ceil(BLOCK)).enumerate() {
            self.followed.clear();
            self.counts.clear();
            while let Some((node, target)) = next.filter(|(node, _)| *node < (block + 1) * BLOCK) {
                self.followed.push(target.token * BLOCK as u32 + (node % BLOCK) as u32);
                self.counts.push(target.count);
                next = targets.next();
            }
            unembed::load_streams(&mut self.scratch, rows, self.shape);
            let (argmax, over_sum) = unembed::softmax::<I>(&mut self.scratch, None, self.shape);
            let nodes = nodes.by_ref().take(BLOCK);
            let loss = match &mut self.law {
                None => {
                    let (followed, counts) = (&self.followed, &self.counts);
                    unembed::sparse_targets::<I>(&mut self.scratch, followed, Some(counts), &over_sum, factor)
                }
                Some(law) => law.compare::<I>(&mut self.scratch, nodes, &over_sum, factor),
            };
            let followed = self.followed.iter().zip(&self.counts);
            let hits = followed.filter(|(at, _)| **at / BLOCK as u32 == argmax[**at as usize % BLOCK] as u32);
            // Of a logit that is NaN the logarithm would make a number.
            let sound = over_sum.iter().all(|x| x.is_finite());
            let loss = if sound { loss } else { f64::NAN };
            total.add(Tally { loss, correct: hits.map(|(_, &count)| f64::from(count)).sum() });
            unembed::backward::<I>(&mut self.scratch, w_u, dw_u, rows, self.shape);
            unembed::store_gradients(&self.scratch, rows, stride);
        }
        total
    }
}
