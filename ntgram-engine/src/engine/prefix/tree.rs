//! The distinct prefixes of a batch's sequences, as a tree: a node of level `p` is a prefix of `p + 1` tokens.
//!
//! The sequences come sorted. Equal prefixes are then runs, and a level's nodes are made in order. So are the targets of a node:
//! the tokens that follow it.

use super::packing::Packing;
use super::token_table::TokenTable;
use crate::engine::stream::Span;
use std::ops::Range;

/// What a tree is made for.
#[derive(Debug, Clone)]
pub(super) struct TreeShape {
    pub(super) packing: Packing,
    pub(super) n_vocab: usize,
    /// Tokens of a sequence, `T`. The last is a target only: levels are `0 .. T - 1`.
    pub(super) window: usize,
    /// The first scored level; all from here on are.
    pub(super) first: usize,
    /// Tokens that the law conditions on, where the loss compares with its rows.
    pub(super) law_context: Option<usize>,
    /// Whether there is a layer after the first: its rows are nodes.
    pub(super) deep: bool,
}

/// The nodes of one level.
#[derive(Debug, Default)]
pub(super) struct Level {
    /// The last token of each node.
    pub(super) tokens: Vec<u32>,
    /// Samples of each.
    pub(super) counts: Vec<u32>,
    /// For each node the rows of its `p + 1` tokens in the token table, where the first layer needs its query.
    pub(super) table_keys: Vec<u32>,
    /// For each node itself and its ancestors as rows, where layers after the first need them; while the tree grows, as numbers
    /// in their levels.
    pub(super) node_keys: Vec<u32>,
    /// For each node its row of the law, where the loss needs it.
    pub(super) law_rows: Vec<u32>,
    /// What followed the nodes: ascending by node, then by token.
    pub(super) targets: Vec<Target>,
}

/// A token that followed a node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Target {
    /// Number of the node in its level.
    pub(super) node: u32,
    pub(super) token: u32,
    /// How many samples.
    pub(super) count: f32,
}

/// A tree of as many sequences as fit.
#[derive(Debug)]
pub(super) struct Tree {
    shape: TreeShape,
    pub(super) levels: Vec<Level>,
    /// The rows of each level: a position's.
    pub(super) spans: Vec<Span>,
    /// The sequence that was added last, its nodes and its rows of the token table.
    tokens: Vec<u32>,
    nodes: Vec<u32>,
    table_rows: Vec<u32>,
    next_tokens: Vec<u32>,
}

impl Tree {
    pub(super) fn new(shape: TreeShape) -> Self {
        let levels = (1..shape.window).map(|_| Level::default()).collect();
        let [tokens, nodes, table_rows, next_tokens] = std::array::from_fn(|_| vec![0; shape.window]);
        Self { shape, levels, spans: Vec::new(), tokens, nodes, table_rows, next_tokens }
    }

    /// The tree of the first of `sequences` (sorted, as words) that have at most `capacity` nodes; returns how many they are.
    pub(super) fn grow<'a>(
        &mut self,
        sequences: impl Iterator<Item = &'a [u32]>,
        table: &TokenTable,
        capacity: usize,
    ) -> usize {
        for level in &mut self.levels {
            level.tokens.clear();
            level.counts.clear();
            level.table_keys.clear();
            level.node_keys.clear();
            level.law_rows.clear();
            level.targets.clear();
        }
        let depth = self.levels.len();
        let (mut taken, mut size) = (0, 0);
        for words in sequences {
            self.shape.packing.unpack(words, &mut self.next_tokens);
            let same = match taken {
                0 => 0,
                _ => self.tokens.iter().zip(&self.next_tokens).take_while(|(a, b)| a == b).count(),
            };
            size += depth.saturating_sub(same);
            if size > capacity && taken > 0 {
                break;
            }
            std::mem::swap(&mut self.tokens, &mut self.next_tokens);
            self.add(same, table);
            taken += 1;
        }
        self.number_rows();
        taken
    }

    /// Adds `self.tokens`, of which the first `same` are those of the sequence before.
    fn add(&mut self, same: usize, table: &TokenTable) {
        let Self { shape, levels, tokens, nodes, table_rows, .. } = self;
        for (p, level) in levels.iter_mut().enumerate() {
            if p >= same {
                nodes[p] = level.tokens.len() as u32;
                level.tokens.push(tokens[p]);
                level.counts.push(0);
                table_rows[p] = table.row(p, tokens[p]);
                if shape.deep || p >= shape.first {
                    level.table_keys.extend_from_slice(&table_rows[..=p]);
                }
                if shape.deep {
                    level.node_keys.extend_from_slice(&nodes[..=p]);
                }
                if let (Some(context), true) = (shape.law_context, p >= shape.first) {
                    let context = &tokens[p + 1 - context..=p];
                    level.law_rows.push(context.iter().fold(0, |row, token| row * shape.n_vocab as u32 + token));
                }
            }
            *level.counts.last_mut().expect("there is a node") += 1;
            if p >= shape.first {
                match level.targets.last_mut() {
                    Some(target) if same >= p + 2 => target.count += 1.0,
                    _ => level.targets.push(Target { node: nodes[p], token: tokens[p + 1], count: 1.0 }),
                }
            }
        }
    }

    /// Gives every node its row: levels lie one after another.
    fn number_rows(&mut self) {
        self.spans.clear();
        let mut start = 0;
        for (position, level) in self.levels.iter().enumerate() {
            let end = start + level.tokens.len();
            self.spans.push(Span { position, rows: start..end });
            start = end;
        }
        for (p, level) in self.levels.iter_mut().enumerate() {
            for keys in level.node_keys.chunks_exact_mut(p + 1) {
                keys.iter_mut().zip(&self.spans).for_each(|(key, span)| *key += span.rows.start as u32);
            }
        }
    }

    /// The rows of a level.
    pub(super) fn rows(&self, level: usize) -> Range<usize> {
        self.spans[level].rows.clone()
    }

    /// The rows of the levels from `first` on.
    pub(super) fn rows_from(&self, first: usize) -> Range<usize> {
        self.rows(first).start..self.rows(self.levels.len() - 1).end
    }
}
