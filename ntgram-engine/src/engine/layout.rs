//! Where the Transformer's parameters lie inside the engine.
//!
//! Rows of embeddings are padded to `stride`, a multiple of 8. Attention weights have heads last: the heads of all modules of a
//! layer lie side by side, padded to `heads_padded`, so that one vector operation serves 8 of them. Many large heads are divided
//! into groups, which are worked on one after another. MLP weights are transposed, (in, out padded). Padding is zero and stays
//! zero: its gradient is zero.

use super::part::SharedLayout;
use crate::models::{Compression, Freeze, LinearWeights, ModuleWeights, Place, TransformerConfig, TransformerWeights};
use std::ops::Range;

/// Vectors of this many floats are the unit of padding.
pub(super) const PAD: usize = 8;

/// And of this many, where tables lie by coordinate.
pub(super) const WIDE_PAD: usize = 16;

/// Whether loops are compiled for known sizes beside those for any: not in a page, where every kilobyte is sent.
pub(super) const KNOWN_SIZES: bool = !cfg!(target_arch = "wasm32");

/// Floats of a circuit (d_h, d_h, heads) that are worked on at a time: two circuits in all their layouts fit into a processor's
/// second cache.
const CIRCUIT_LEN: usize = 1 << 15;

/// What a part has of each layer: two circuits, each in three layouts, and three tables with their gradients.
const CIRCUIT_LAYOUTS: usize = 6;
const TABLES: usize = 6;

/// How tables of attention lie: what is side by side in a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tables {
    /// (row, c, h), heads padded.
    ByHead,
    /// (row, h, c), coordinates padded.
    ByCoordinate,
}

impl Tables {
    /// Those that waste less of the vectors. Sums over the lanes, which tables by coordinate need, count for a part of a vector.
    fn best(d_module: usize, heads: usize) -> Self {
        let by_coordinate = heads * (d_module.next_multiple_of(WIDE_PAD) + WIDE_PAD / 4);
        if d_module * padded(heads) > by_coordinate { Tables::ByCoordinate } else { Tables::ByHead }
    }
}

/// Where the attention weights of a group of heads lie; `h` is one of the heads, of any module.
#[derive(Debug, Clone)]
pub(super) struct HeadGroup {
    /// `W_Q[t, e]` of head `h` at `(t d_h + e) heads_padded + h`.
    pub(super) w_q: Range<usize>,
    /// `W_K[t, e]`, likewise.
    pub(super) w_k: Range<usize>,
    /// `W_V[t, e]`, likewise.
    pub(super) w_v: Range<usize>,
    /// `W_O[c, t]` of head `h` at `(c d_head + t) heads_padded + h`.
    pub(super) w_o: Range<usize>,
}

/// Where one linear map of an MLP lies.
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

/// Offsets of everything, and the way from the model's list.
#[derive(Debug)]
pub(super) struct Layout {
    /// `d`, and `d` rounded up to whole vectors.
    pub(super) d: usize,
    pub(super) stride: usize,
    /// Size `d_h` of the attention modules, and that rounded up.
    pub(super) d_module: usize,
    pub(super) stride_module: usize,
    /// How the tables of the prefixes' attention lie.
    pub(super) tables: Tables,
    /// Heads of a group, and the same rounded up to whole vectors. A layer's last group may have fewer heads: the weights of
    /// those that it lacks are zero.
    pub(super) heads: usize,
    pub(super) heads_padded: usize,
    /// Coordinates of one head.
    pub(super) d_head: usize,
    pub(super) n_vocab: usize,
    /// `W_E (N, stride)`.
    pub(super) w_e: Range<usize>,
    /// `P (T, stride_module)`.
    pub(super) pos: Range<usize>,
    /// For each layer, its groups of heads.
    pub(super) layers: Vec<Vec<HeadGroup>>,
    /// `W_C` and `W_D`, where the model has them.
    pub(super) compression: Option<Compression<LinearSlots>>,
    /// For each layer, its MLP's maps; empty where there is none.
    pub(super) mlps: Vec<Vec<LinearSlots>>,
    /// `W_U (N, stride)`.
    pub(super) w_u: Range<usize>,
    /// Number of floats.
    pub(super) len: usize,
    /// What training moves.
    trained: Vec<Range<usize>>,
    /// Where the model's list has every weight.
    list: TransformerWeights<Place>,
}

/// Rounds up to whole vectors.
pub(super) fn padded(len: usize) -> usize {
    len.next_multiple_of(PAD)
}

impl Layout {
    pub(super) fn new(config: &TransformerConfig, freeze: &Freeze, tables: Option<Tables>) -> Self {
        let list = config.weights();
        let (d, d_module, n_vocab) = (config.d_model, config.d_module(), config.n_vocab);
        let all_heads = config.n_modules * config.n_heads;
        // Pairs keep their circuits in several layouts.
        let most = if tables.is_some() { CIRCUIT_LEN } else { 4 * CIRCUIT_LEN };
        let n_groups = all_heads.div_ceil((most / (d_module * d_module) / PAD * PAD).max(PAD));
        let tables = tables.unwrap_or_else(|| Tables::best(d_module, all_heads));
        let stride_module = match tables {
            Tables::ByHead => padded(d_module),
            Tables::ByCoordinate => d_module.next_multiple_of(WIDE_PAD),
        };
        // Modules read the stream itself where it is not compressed.
        let stride = if config.compresses() { padded(d) } else { stride_module };
        let heads = all_heads.div_ceil(n_groups);
        let (heads_padded, d_head) = (padded(heads), d_module / config.n_heads);
        let mut len = 0;
        let mut take = |size: usize| {
            len += size;
            len - size..len
        };
        let w_e = take(n_vocab * stride);
        let pos = take(config.context_window * stride_module);
        let mut group = |_| {
            let [w_q, w_k, w_v, w_o] = std::array::from_fn(|_| take(d_module * d_head * heads_padded));
            HeadGroup { w_q, w_k, w_v, w_o }
        };
        let layers = list.layers.iter().map(|_| (0..n_groups).map(&mut group).collect()).collect();
        let mut map = |weight: &Place, bias: Option<&Place>, stride: usize| {
            let n_out = weight.rows.len();
            let n_in = weight.flat.len() / n_out;
            let (weight, bias) = (take(n_in * stride), take(bias.map_or(0, |_| stride)));
            LinearSlots { n_in, n_out, stride, weight, bias }
        };
        let compression = list
            .compression
            .as_ref()
            .map(|c| Compression { w_c: map(&c.w_c, None, stride_module), w_d: map(&c.w_d, None, stride) });
        // Hidden units are padded for themselves, what is added to the stream as the stream is.
        let mut map = |list: &LinearWeights<Place>| {
            let stride = if list.bias.is_some() { padded(list.weight.rows.len()) } else { stride };
            map(&list.weight, list.bias.as_ref(), stride)
        };
        let mlps = list.layers.iter().map(|layer| layer.mlp.iter().map(&mut map).collect()).collect();
        let w_u = take(n_vocab * stride);
        let trained = Vec::new();
        let mut new = Self {
            d,
            stride,
            d_module,
            stride_module,
            tables,
            heads,
            heads_padded,
            d_head,
            n_vocab,
            w_e,
            pos,
            layers,
            compression,
            mlps,
            w_u,
            len,
            trained,
            list,
        };
        new.trained = new.trained_with(freeze);
        new
    }

    /// What training moves.
    fn trained_with(&self, freeze: &Freeze) -> Vec<Range<usize>> {
        let mut trained: Vec<Range<usize>> = Vec::new();
        let mut train = |range: Range<usize>, frozen: bool| match trained.last_mut() {
            _ if frozen || range.is_empty() => {}
            Some(last) if last.end == range.start => last.end = range.end,
            _ => trained.push(range),
        };
        train(self.w_e.clone(), freeze.e);
        train(self.pos.clone(), freeze.pos);
        for group in self.layers.iter().flatten() {
            train(group.w_q.start..group.w_v.end, freeze.qkv);
            train(group.w_o.clone(), freeze.o);
        }
        if let Some(Compression { w_c, w_d }) = &self.compression {
            train(w_c.weight.clone(), freeze.qkv);
            train(w_d.weight.clone(), freeze.o);
        }
        for map in self.mlps.iter().flatten() {
            train(map.weight.start..map.bias.end, false);
        }
        train(self.w_u.clone(), freeze.u);
        trained
    }

    /// About the floats that a part needs for itself, with `rows` tokens at either position: gradient, circuits and tables. The tables
    /// are counted for every layer and whole, which is too much (`attention` shares them, and cuts some). The number of parts is decided
    /// by this, and of that the last bits of every training depend: so it stays.
    pub(super) fn part_len(&self, rows: usize) -> usize {
        let row = self.d_module * self.heads_padded;
        self.len + self.layers.len() * (CIRCUIT_LAYOUTS * self.d_module * row + TABLES * rows * row)
    }

    /// For every parameter its place in the model's list, and here.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> {
        let rows = |list: &Place, here: &Range<usize>, (d, stride): (usize, usize)| {
            list.flat.clone().zip(here.clone().step_by(stride).flat_map(move |row| row..row + d))
        };
        let (stream, module) = ((self.d, self.stride), (self.d_module, self.stride_module));
        let attention = self.list.layers.iter().zip(&self.layers).flat_map(move |(list, groups)| {
            list.modules.iter().enumerate().flat_map(move |(m, module)| self.module_places(module, m, groups))
        });
        let mlps = self.list.layers.iter().zip(&self.mlps);
        let mlps = mlps.flat_map(|(list, maps)| list.mlp.iter().zip(maps).flat_map(|(list, map)| map.places(list)));
        let embeddings = rows(&self.list.w_e, &self.w_e, stream).chain(rows(&self.list.w_pos, &self.pos, module));
        let compression = self
            .list
            .compression
            .iter()
            .zip(&self.compression)
            .flat_map(|(list, here)| here.w_c.weight_places(&list.w_c).chain(here.w_d.weight_places(&list.w_d)));
        let w_u = rows(&self.list.w_u, &self.w_u, stream);
        embeddings.chain(attention).chain(compression).chain(mlps).chain(w_u)
    }

    /// [`Layout::places`] of the weights of module `m` of a layer with these groups of heads.
    fn module_places<'a>(
        &'a self,
        list: &'a ModuleWeights<Place>,
        m: usize,
        groups: &'a [HeadGroup],
    ) -> impl Iterator<Item = (usize, usize)> + 'a {
        let &Layout { d_module: d, heads, heads_padded, d_head, .. } = self;
        // Of a row of W_Q, W_K, W_V or a column of W_O: its head's group, the head's number there, its coordinate of the head.
        let head = move |row: usize| {
            let h = m * (d / d_head) + row / d_head;
            (&groups[h / heads], h % heads, row % d_head)
        };
        let starts: [fn(&HeadGroup) -> usize; 3] = [|g| g.w_q.start, |g| g.w_k.start, |g| g.w_v.start];
        let qkv = [&list.w_q, &list.w_k, &list.w_v].into_iter().zip(starts).flat_map(move |(list, start)| {
            let places = (0..d).flat_map(move |row| {
                let (group, h, t) = head(row);
                (0..d).map(move |e| start(group) + (t * d + e) * heads_padded + h)
            });
            list.flat.clone().zip(places)
        });
        let o = (0..d).flat_map(move |c| {
            (0..d).map(move |column| {
                let (group, h, t) = head(column);
                group.w_o.start + (c * d_head + t) * heads_padded + h
            })
        });
        qkv.chain(list.w_o.flat.clone().zip(o))
    }
}

impl LinearSlots {
    /// [`Layout::places`] of this map.
    fn places<'a>(&'a self, list: &'a LinearWeights<Place>) -> impl Iterator<Item = (usize, usize)> + 'a {
        let bias = list.bias.iter().flat_map(|list| list.flat.clone().zip(self.bias.clone()));
        self.weight_places(&list.weight).chain(bias)
    }

    /// The weight's.
    fn weight_places<'a>(&'a self, list: &'a Place) -> impl Iterator<Item = (usize, usize)> + 'a {
        let weight =
            (0..self.n_out).flat_map(move |out| (0..self.n_in).map(move |i| self.weight.start + i * self.stride + out));
        list.flat.clone().zip(weight)
    }
}

impl SharedLayout for Layout {
    fn len(&self) -> usize {
        self.len
    }

    fn trained(&self) -> &[Range<usize>] {
        &self.trained
    }

    fn pack(&self, list: &[f32], packed: &mut [f32]) {
        self.places().for_each(|(at, place)| packed[place] = list[at]);
    }

    fn unpack(&self, packed: &[f32], list: &mut Vec<f32>) {
        list.resize(self.list.w_u.flat.end, 0.0);
        self.places().for_each(|(at, place)| list[at] = packed[place]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_has_its_own_place() {
        // The second has its heads in groups of 12, 12 and 11.
        for (d_model, d_inner, n_modules, n_heads, groups) in
            [(6, None, 5, 2, 1), (42, None, 5, 7, 3), (5, Some(6), 3, 2, 1), (5, Some(5), 1, 5, 1)]
        {
            let config = TransformerConfig {
                d_model,
                d_inner,
                n_vocab: 7,
                n_layers: 2,
                width: 3,
                depth: 2,
                n_modules,
                n_heads,
                ..Default::default()
            };
            let layout = Layout::new(&config, &Freeze::default(), Some(Tables::ByHead));
            assert_eq!(layout.layers[1].len(), groups);
            let total: usize = config.parameters().iter().map(|p| p.len()).sum();
            assert_eq!(layout.places().count(), total);
            let list: Vec<f32> = (1..=total).map(|k| k as f32).collect();
            let mut packed = vec![0.0; layout.len];
            layout.pack(&list, &mut packed);
            assert_eq!(packed.iter().filter(|&&x| x != 0.0).count(), total);
            let mut back = Vec::new();
            layout.unpack(&packed, &mut back);
            assert_eq!(back, list);
        }
    }
}
