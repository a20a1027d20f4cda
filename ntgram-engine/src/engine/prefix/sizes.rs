//! How much there is to work on, and what it takes: counted before it is taken.

use super::super::Problem;
use super::super::layout::Layout;
use super::super::mlp::Mlp;
use super::heads::{key_width, table_width};
use super::packing::Packing;
use crate::models::TransformerConfig;
use std::sync::Arc;

/// Bytes that a piece of a tree may take: all that is read and written for it stays in a processor's second cache.
#[cfg(not(test))]
const PIECE_BYTES: usize = 1 << 20;

/// Nodes that a piece has at least, where the batch has as many.
#[cfg(not(test))]
const LEAST_NODES: usize = 64;

/// Pieces of a few nodes, so that a small batch has many.
#[cfg(test)]
const PIECE_BYTES: usize = 1;
#[cfg(test)]
const LEAST_NODES: usize = 5;

/// How much of what there is in a training.
#[derive(Debug)]
pub(in crate::engine) struct Sizes {
    pub(super) layout: Arc<Layout>,
    pub(super) packing: Packing,
    /// Sequences in all, and most of a batch.
    sequences: usize,
    pub(super) samples: usize,
    /// Positions that are worked on, `T − 1`.
    pub(super) depth: usize,
    /// Epochs that shuffle anew.
    reorders: bool,
    /// Most nodes of a piece, and most rows of the token table.
    pub(super) nodes: usize,
    pub(super) table_rows: usize,
}

impl Sizes {
    pub(in crate::engine) fn new(problem: &Problem, config: &TransformerConfig) -> Self {
        let layout = Arc::new(Layout::new(config, &problem.freeze, None));
        let depth = problem.window - 1;
        let sequences = problem.tokens.len() / problem.window;
        let samples = problem.batch_size.min(sequences);
        let packing = Packing::new(config.n_vocab, problem.window);
        let in_cache = (PIECE_BYTES / node_bytes(&layout, problem.window)).max(LEAST_NODES).max(depth);
        let nodes = in_cache.min(samples.saturating_mul(depth));
        let table_rows = depth * config.n_vocab.min(samples);
        let reorders = problem.epochs.len() > 1;
        Self { layout, packing, sequences, samples, depth, reorders, nodes, table_rows }
    }

    /// Of the parameters as they lie here.
    pub(in crate::engine) fn model_bytes(&self) -> usize {
        size_of::<f32>() * self.layout.len
    }

    /// Of the keys and the order of the sequences.
    pub(in crate::engine) fn keys_bytes(&self) -> usize {
        let words = self.packing.words();
        let word = if self.packing.end() <= 1 << u16::BITS { size_of::<u16>() } else { size_of::<u32>() };
        let order = if self.reorders { size_of::<u32>() } else { 0 };
        self.sequences * (words * word + order)
    }

    /// About what a part takes for itself. A float, since sizes that no memory holds are asked for, too.
    pub(in crate::engine) fn part_bytes(&self) -> f64 {
        let Self { layout, depth, .. } = self;
        let layers = layout.layers.len() as f64;
        let groups = layout.layers[0].len() as f64;
        let [nodes, rows, depth, heads, d, stride, stride_module, width, keys] = [
            self.nodes,
            self.table_rows,
            *depth,
            layout.heads_padded,
            layout.d_module,
            layout.stride,
            layout.stride_module,
            table_width(layout),
            key_width(layout),
        ]
        .map(|size| size as f64);
        let later = if layers > 1.0 { 1.0 } else { 0.0 };
        let circuits = layers * groups * 2.0 * d * (d * heads + 2.0 * width);
        let tables = groups * rows * (4.0 * width + keys)
            + nodes * (2.0 * groups * (layers - 1.0) * width)
            + later * nodes * (2.0 * width + keys);
        let weights = layers * groups * nodes * depth * heads;
        let streams = (rows + (layers - 1.0) * nodes) * (2.0 * stride + 4.0 * stride_module)
            + nodes * (2.0 * stride + (layers + 1.0) * stride_module);
        let mlps: f64 = layout.mlps.iter().map(|maps| Mlp::len(maps, self.nodes, layout.stride)).sum();
        4.0 * (layout.len as f64 + circuits + tables + weights + streams + mlps)
    }
}

/// Memory that a part may take whatever the size of the model, and how many times its parameters where those are large; in bytes.
const MOST_BYTES: f64 = (1u64 << 31) as f64;
const MOST_TIMES: f64 = 16.0;

/// Why it cannot train the model; `None` if it can.
pub(in crate::engine) fn refused(problem: &Problem, config: &TransformerConfig) -> Option<String> {
    let sizes = Sizes::new(problem, config);
    let (bytes, model) = (sizes.part_bytes(), sizes.model_bytes() as f64);
    (bytes > MOST_BYTES.max(MOST_TIMES * model)).then(|| {
        let gib = |bytes: f64| bytes / (1u64 << 30) as f64;
        format!("its circuits and tables would take {:.1} GiB beside {:.1} GiB of parameters", gib(bytes), gib(model))
    })
}

/// About the bytes that a node takes.
fn node_bytes(layout: &Layout, window: usize) -> usize {
    let &Layout { stride, stride_module, heads_padded, .. } = layout;
    let groups: usize = layout.layers.iter().map(Vec::len).sum();
    let layers = layout.layers.len();
    let (table, keys) = if layers > 1 { (table_width(layout), key_width(layout)) } else { (0, 0) };
    let mlps: usize = layout.mlps.iter().flatten().map(|map| 2 * map.stride).sum();
    let streams = layers * (2 * stride + 4 * stride_module) + 4 * stride;
    size_of::<f32>() * (2 * groups * table + 2 * table + keys + streams + mlps + groups * window / 2 * heads_padded)
}
