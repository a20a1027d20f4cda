//! The loss of the scored nodes of a tree, 16 at a time; the arithmetic itself is in `unembed`.

use super::super::BLOCK;
use super::super::simd::Isa;
use super::super::unembed::{self, Scratch, Shape, Tally};
use super::tree::{Level, Tree};
use crate::engine::buffer::Buffer;

/// A law of which fewer than one entry in so many is not zero is kept as a list of those.
const SPARSE: usize = 8;

/// What a node's output is compared with.
#[derive(Debug)]
enum Compared {
    /// Next-token loss: the tokens that followed.
    Targets,
    /// Full divergence: the law's rows, (contexts, N).
    Rows(Vec<f32>),
    /// Full divergence, rows mostly zero: `entries[starts[row]..starts[row + 1]]`.
    Entries { starts: Vec<u32>, entries: Vec<(u32, f32)> },
}

/// Everything that the loss needs.
#[derive(Debug)]
pub(super) struct TreeLoss {
    shape: Shape,
    compared: Compared,
    scratch: Scratch,
    /// Of a block of nodes: `16 token + lane` of what followed, and how often.
    followed: Vec<u32>,
    counts: Vec<f32>,
    /// Samples of each node of a block, and the law's rows: all of them, (N, 16), or the entries that are not zero.
    samples: [f32; BLOCK],
    weights: Buffer,
    entries: Vec<u32>,
    entry_weights: Vec<f32>,
}

impl TreeLoss {
    /// `law`: `None` for the next-token loss, else the last table `(N^(n-1), N)`.
    pub(super) fn new(shape: Shape, law: Option<&[f32]>) -> Self {
        let compared = match law {
            None => Compared::Targets,
            Some(table) if table.iter().filter(|&&p| p != 0.0).count() * SPARSE > table.len() => {
                Compared::Rows(table.to_vec())
            }
            Some(table) => {
                let (mut starts, mut entries) = (vec![0], Vec::new());
                for row in table.chunks_exact(shape.n) {
                    entries.extend((0..).zip(row).filter(|(_, p)| **p != 0.0).map(|(k, &p)| (k, p)));
                    starts.push(entries.len() as u32);
                }
                Compared::Entries { starts, entries }
            }
        };
        let weights = Buffer::new(if matches!(compared, Compared::Rows(_)) { shape.n * BLOCK } else { 0 });
        let scratch = Scratch::new(shape);
        let (followed, counts, entries, entry_weights) = Default::default();
        Self { shape, compared, scratch, followed, counts, samples: [0.0; BLOCK], weights, entries, entry_weights }
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
        let mut nodes = tree.levels[first..].iter().flat_map(|level| (0..level.tokens.len()).map(move |i| (level, i)));
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
            let loss = self.compare::<I>(nodes.by_ref().take(BLOCK), &over_sum, factor);
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

    /// From a block's softmax to the gradient by its logits; `nodes` are up to 16 of their levels. Returns the loss.
    fn compare<'a, I: Isa>(
        &mut self,
        nodes: impl Iterator<Item = (&'a Level, usize)>,
        over_sum: &[f32; BLOCK],
        factor: f32,
    ) -> f64 {
        let scratch = &mut self.scratch;
        match &self.compared {
            Compared::Targets => {
                nodes.for_each(drop);
                unembed::sparse_targets::<I>(scratch, &self.followed, Some(&self.counts), over_sum, factor)
            }
            Compared::Rows(law) => {
                self.samples.fill(0.0);
                for (lane, (level, i)) in nodes.enumerate() {
                    self.samples[lane] = level.counts[i] as f32;
                    let row = &law[level.law_rows[i] as usize * self.shape.n..][..self.shape.n];
                    for (to, &x) in self.weights.chunks_exact_mut(BLOCK).zip(row) {
                        to[lane] = x;
                    }
                }
                unembed::dense_targets::<I>(scratch, &self.weights, &self.samples, over_sum, factor)
            }
            Compared::Entries { starts, entries } => {
                self.entries.clear();
                self.entry_weights.clear();
                for (lane, (level, i)) in nodes.enumerate() {
                    let row = level.law_rows[i] as usize;
                    let entries = &entries[starts[row] as usize..starts[row + 1] as usize];
                    let samples = level.counts[i] as f32;
                    self.entries.extend(entries.iter().map(|(k, _)| k * BLOCK as u32 + lane as u32));
                    self.entry_weights.extend(entries.iter().map(|(_, p)| p * samples));
                }
                unembed::sparse_targets::<I>(scratch, &self.entries, Some(&self.entry_weights), over_sum, factor)
            }
        }
    }
}
