//! Where the Transformer's parameters lie inside the engine.
//!
//! Rows of embeddings are padded to `stride`, a multiple of 8. Attention weights have heads last: the heads of all modules of a layer
//! side by side, padded to `lanes`, so that one vector operation serves 8 heads; where they are many and large, in groups that are worked
//! on one after another. MLP weights are transposed, (in, out padded). Padding is zero and stays zero: its gradient is zero.

use crate::models::{Freeze, TransformerConfig};
use std::ops::Range;

/// Vectors of this many floats are the unit of padding.
pub(super) const PAD: usize = 8;

/// Floats of a circuit (d, d, heads) that are worked on at a time: two circuits in all their layouts fit into a processor's second cache.
const CIRCUIT_LEN: usize = 1 << 15;

/// The attention weights of a group of heads; `h` is one of them, of any module.
#[derive(Debug, Clone)]
pub(super) struct GroupSlots {
    /// `W_Q[t, e]` of head `h` at `(t d + e) lanes + h`.
    pub(super) w_q: Range<usize>,
    /// `W_K[t, e]`, likewise.
    pub(super) w_k: Range<usize>,
    /// `W_V[t, e]`, likewise.
    pub(super) w_v: Range<usize>,
    /// `W_O[c, t]` of head `h` at `(c d_head + t) lanes + h`.
    pub(super) w_o: Range<usize>,
}

/// One linear map of an MLP.
#[derive(Debug, Clone)]
pub(super) struct LinearSlots {
    /// Inputs and outputs.
    pub(super) n_in: usize,
    pub(super) n_out: usize,
    /// Outputs, padded.
    pub(super) stride: usize,
    /// Transposed weight (n_in, stride).
    pub(super) weight: Range<usize>,
    /// Bias (stride), empty where there is none.
    pub(super) bias: Range<usize>,
}

/// Offsets of everything, and the way from the canonical list.
#[derive(Debug)]
pub(super) struct Layout {
    /// `d`, and `d` rounded up to whole vectors.
    pub(super) d: usize,
    pub(super) stride: usize,
    /// Heads of a group, and the same rounded up to whole vectors. A layer's last group may have fewer: the others' weights are zero.
    pub(super) heads: usize,
    pub(super) lanes: usize,
    /// Modules of a layer.
    modules: usize,
    /// Coordinates of one head.
    pub(super) d_head: usize,
    pub(super) n_vocab: usize,
    /// `W_E (N, stride)`.
    pub(super) w_e: Range<usize>,
    /// `P (T, stride)`.
    pub(super) pos: Range<usize>,
    /// For each layer, its groups of heads.
    pub(super) layers: Vec<Vec<GroupSlots>>,
    /// For each layer, its MLP's maps; empty where there is none.
    pub(super) mlps: Vec<Vec<LinearSlots>>,
    /// `W_U (N, stride)`.
    pub(super) w_u: Range<usize>,
    /// Number of floats, and how many of them are parameters.
    pub(super) len: usize,
    n_params: usize,
    /// What training moves.
    pub(super) trained: Vec<Range<usize>>,
}

/// Rounds up to whole vectors.
pub(super) fn padded(len: usize) -> usize {
    len.next_multiple_of(PAD)
}

impl Layout {
    pub(super) fn new(config: &TransformerConfig, freeze: &Freeze) -> Self {
        let (d, n_vocab) = (config.d_model, config.n_vocab);
        let (stride, all_heads) = (padded(d), config.n_modules * config.n_heads);
        let groups = all_heads.div_ceil((CIRCUIT_LEN / (d * d) / PAD * PAD).max(PAD));
        let heads = all_heads.div_ceil(groups);
        let (lanes, d_head) = (padded(heads), d / config.n_heads);
        let mut len = 0;
        let mut take = |size: usize| {
            len += size;
            len - size..len
        };
        let w_e = take(n_vocab * stride);
        let pos = take(config.context_window * stride);
        let layers: Vec<_> = (0..config.n_layers)
            .map(|_| {
                let group = |_| {
                    let [w_q, w_k, w_v, w_o] = std::array::from_fn(|_| take(d * d_head * lanes));
                    GroupSlots { w_q, w_k, w_v, w_o }
                };
                (0..groups).map(group).collect::<Vec<_>>()
            })
            .collect();
        let mut mlps = vec![Vec::new(); config.n_layers];
        if config.has_mlp() {
            for mlp in &mut mlps {
                for k in 0..=config.depth {
                    let n_in = if k == 0 { d } else { config.width };
                    let n_out = if k == config.depth { d } else { config.width };
                    let stride = padded(n_out);
                    let bias_len = if k == config.depth { 0 } else { stride };
                    mlp.push(LinearSlots { n_in, n_out, stride, weight: take(n_in * stride), bias: take(bias_len) });
                }
            }
        }
        let w_u = take(n_vocab * stride);

        let mut trained: Vec<Range<usize>> = Vec::new();
        let mut train = |range: Range<usize>, frozen: bool| match trained.last_mut() {
            _ if frozen || range.is_empty() => {}
            Some(last) if last.end == range.start => last.end = range.end,
            _ => trained.push(range),
        };
        train(w_e.clone(), freeze.e);
        train(pos.clone(), freeze.pos);
        for group in layers.iter().flatten() {
            train(group.w_q.start..group.w_v.end, freeze.qkv);
            train(group.w_o.clone(), freeze.o);
        }
        for map in mlps.iter().flatten() {
            train(map.weight.start..map.bias.end, false);
        }
        train(w_u.clone(), freeze.u);
        let (modules, n_params) = (config.n_modules, config.parameters().iter().map(|p| p.len()).sum());
        Self { d, stride, heads, lanes, modules, d_head, n_vocab, w_e, pos, layers, mlps, w_u, len, n_params, trained }
    }

    /// The place of each parameter, in the order of `TransformerConfig::parameters`.
    fn places(&self) -> impl Iterator<Item = usize> {
        let &Layout { d, stride, heads, lanes, d_head, modules, .. } = self;
        let rows = move |slot: &Range<usize>| slot.clone().step_by(stride).flat_map(move |row| row..row + d);
        let n_heads = d / d_head;
        let attention = self.layers.iter().flat_map(move |groups| {
            (0..modules).flat_map(move |module| {
                // A row or column of the module's matrices: the weights of its group, its head there, and its coordinate of the head.
                let head = move |row: usize| {
                    let h = module * n_heads + row / d_head;
                    (&groups[h / heads], h % heads, row % d_head)
                };
                let starts: [fn(&GroupSlots) -> usize; 3] = [|g| g.w_q.start, |g| g.w_k.start, |g| g.w_v.start];
                let qkv = starts.into_iter().flat_map(move |start| {
                    (0..d).flat_map(move |row| {
                        let (group, h, t) = head(row);
                        (0..d).map(move |e| start(group) + (t * d + e) * lanes + h)
                    })
                });
                let o = (0..d).flat_map(move |c| {
                    (0..d).map(move |column| {
                        let (group, h, t) = head(column);
                        group.w_o.start + (c * d_head + t) * lanes + h
                    })
                });
                qkv.chain(o)
            })
        });
        let mlps = self.mlps.iter().flatten().flat_map(|map| {
            let weight =
                (0..map.n_out).flat_map(move |out| (0..map.n_in).map(move |i| map.weight.start + i * map.stride + out));
            weight.chain(map.bias.clone().take(map.n_out))
        });
        rows(&self.w_e).chain(rows(&self.pos)).chain(attention).chain(mlps).chain(rows(&self.w_u))
    }

    /// About the floats that a part needs for itself, with `rows` tokens at either position: gradient, circuits and tables.
    pub(super) fn part_len(&self, rows: usize) -> usize {
        let table = self.d * self.lanes;
        self.len + self.layers.len() * (6 * self.d * table + 6 * rows * table)
    }

    /// From the canonical list to the engine's places.
    pub(super) fn pack(&self, canonical: &[f32], packed: &mut [f32]) {
        for (place, &x) in self.places().zip(canonical) {
            packed[place] = x;
        }
    }

    /// From the engine's places to the canonical list.
    pub(super) fn unpack(&self, packed: &[f32]) -> Vec<f32> {
        let mut canonical = Vec::with_capacity(self.n_params);
        canonical.extend(self.places().map(|place| packed[place]));
        canonical
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_has_its_own_place() {
        // The second has its heads in groups of 12, 12 and 11.
        for (d_model, n_modules, n_heads, groups) in [(6, 5, 2, 1), (42, 5, 7, 3)] {
            let config = TransformerConfig {
                d_model,
                n_vocab: 7,
                n_layers: 2,
                width: 3,
                depth: 2,
                n_modules,
                n_heads,
                ..Default::default()
            };
            let layout = Layout::new(&config, &Freeze::default());
            assert_eq!(layout.layers[1].len(), groups);
            let total: usize = config.parameters().iter().map(|p| p.len()).sum();
            assert_eq!(layout.places().count(), total);
            let canonical: Vec<f32> = (1..=total).map(|k| k as f32).collect();
            let mut packed = vec![0.0; layout.len];
            layout.pack(&canonical, &mut packed);
            assert_eq!(packed.iter().filter(|&&x| x != 0.0).count(), total);
            assert_eq!(layout.unpack(&packed), canonical);
        }
    }
}
