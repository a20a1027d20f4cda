//! A model's weights by their names: one view of the ordered list, through which everything reads it. Built from the list once
//! ([`TransformerConfig::weights`], [`LowRankConfig::weights`]) with the places of the weights, and mapped from there to slices, tensors or
//! places in another layout.

use std::ops::Range;

use super::low_rank::LowRankConfig;
use super::parameters::{ParamKind, ParamSpec};
use super::transformer::TransformerConfig;

/// Where a weight lies in a model's parameter list. `W_Q`, `W_K` and `W_V` are rows of one parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Place of its parameter in the list.
    pub parameter: usize,
    /// Its rows of that parameter (of a bias: its entries).
    pub rows: Range<usize>,
    /// Its values in the flat list of all parameters' values.
    pub flat: Range<usize>,
}

/// Weights of a Transformer; `T` is what there is of each: a [`Place`], a slice, a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransformerWeights<T> {
    /// Word embedding `W_E (N, d)`.
    pub w_e: T,
    /// Positional embedding `P (T, d_h)`.
    pub w_pos: T,
    /// One entry a layer.
    pub layers: Vec<LayerWeights<T>>,
    /// `W_C (d_h, d)` and `W_D (d, d_h)`, from the stream to the attention modules and back, of all modules and layers; `None` where
    /// [`d_inner`](TransformerConfig::d_inner) is.
    pub compression: Option<Compression<T>>,
    /// Unembedding `W_U (N, d)`.
    pub w_u: T,
}

/// The way from the residual stream to the attention modules, and back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compression<T> {
    /// `W_C (d_h, d)`: modules read `W_C h`.
    pub w_c: T,
    /// `W_D (d, d_h)`: the stream gets `W_D a`.
    pub w_d: T,
}

/// Weights of one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerWeights<T> {
    /// Attention modules side by side.
    pub modules: Vec<ModuleWeights<T>>,
    /// The MLP's linear maps, from its input to its output; empty where there is no MLP.
    pub mlp: Vec<LinearWeights<T>>,
}

/// Weights of one attention module, `(out, in)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleWeights<T> {
    /// All three in-projections as they are stored, `[W_Q; W_K; W_V] (3d_h, d_h)`.
    pub in_proj: T,
    /// Queries, `W_Q (d_h, d_h)`.
    pub w_q: T,
    /// Keys, `W_K (d_h, d_h)`.
    pub w_k: T,
    /// Values, `W_V (d_h, d_h)`.
    pub w_v: T,
    /// Output projection, `W_O (d_h, d_h)`.
    pub w_o: T,
}

/// Weights of one linear map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinearWeights<T> {
    /// `(out, in)`.
    pub weight: T,
    /// `(out,)`; the last map of an MLP has none.
    pub bias: Option<T>,
}

/// Weights of a low-rank model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LowRankWeights<T> {
    /// Context table `W_E (N^(n-1), d)`.
    pub w_e: T,
    /// Unembedding `W_U (N, d)`.
    pub w_u: T,
}

impl<T> TransformerWeights<T> {
    /// The same view of what `f` makes of each weight.
    pub fn map<U>(&self, mut f: impl FnMut(&T) -> U) -> TransformerWeights<U> {
        let module = |m: &ModuleWeights<T>, f: &mut dyn FnMut(&T) -> U| ModuleWeights {
            in_proj: f(&m.in_proj),
            w_q: f(&m.w_q),
            w_k: f(&m.w_k),
            w_v: f(&m.w_v),
            w_o: f(&m.w_o),
        };
        let linear = |l: &LinearWeights<T>, f: &mut dyn FnMut(&T) -> U| LinearWeights {
            weight: f(&l.weight),
            bias: l.bias.as_ref().map(f),
        };
        TransformerWeights {
            w_e: f(&self.w_e),
            w_pos: f(&self.w_pos),
            layers: self
                .layers
                .iter()
                .map(|layer| LayerWeights {
                    modules: layer.modules.iter().map(|m| module(m, &mut f)).collect(),
                    mlp: layer.mlp.iter().map(|l| linear(l, &mut f)).collect(),
                })
                .collect(),
            compression: self.compression.as_ref().map(|c| Compression { w_c: f(&c.w_c), w_d: f(&c.w_d) }),
            w_u: f(&self.w_u),
        }
    }
}

impl<T> LowRankWeights<T> {
    /// The same view of what `f` makes of each weight.
    pub fn map<U>(&self, mut f: impl FnMut(&T) -> U) -> LowRankWeights<U> {
        LowRankWeights { w_e: f(&self.w_e), w_u: f(&self.w_u) }
    }
}

/// Goes through a list of parameters in its order.
struct Walk<'a> {
    list: &'a [ParamSpec],
    next: usize,
    flat: usize,
}

impl Walk<'_> {
    /// The place of the next parameter, which must be of this kind.
    fn take(&mut self, kind: ParamKind) -> Place {
        let spec = self.list.get(self.next).expect("sizes that `check` accepts have all parameters");
        assert_eq!(spec.kind, kind, "the list's order: {}", spec.name);
        let place = Place { parameter: self.next, rows: 0..spec.shape[0], flat: self.flat..self.flat + spec.len() };
        (self.next, self.flat) = (self.next + 1, place.flat.end);
        place
    }
}

impl Place {
    /// The `k`-th of three equal parts, one below the other.
    fn third(&self, k: usize) -> Self {
        let part = |range: &Range<usize>| {
            let len = range.len() / 3;
            range.start + k * len..range.start + (k + 1) * len
        };
        Self { parameter: self.parameter, rows: part(&self.rows), flat: part(&self.flat) }
    }
}

impl TransformerConfig {
    /// The place of every weight in [`parameters`](Self::parameters).
    ///
    /// ```
    /// use ntgram_engine::models::TransformerConfig;
    /// let config = TransformerConfig { n_modules: 2, ..Default::default() };
    /// let w_k = &config.weights().layers[0].modules[1].w_k;
    /// assert_eq!(config.parameters()[w_k.parameter].name, "attn_seq.0.1.in_proj_weight");
    /// assert_eq!(w_k.rows, 5..10); // below W_Q's five rows
    /// ```
    ///
    /// # Panics
    /// On sizes that [`check`](Self::check) refuses.
    pub fn weights(&self) -> TransformerWeights<Place> {
        let list = self.parameters();
        let mut walk = Walk { list: &list, next: 0, flat: 0 };
        let (w_e, w_pos) = (walk.take(ParamKind::WordEmb), walk.take(ParamKind::PosEmb));
        let mut module = |_| {
            let (in_proj, w_o) = (walk.take(ParamKind::InProj), walk.take(ParamKind::OutProj));
            let [w_q, w_k, w_v] = [0, 1, 2].map(|k| in_proj.third(k));
            ModuleWeights { in_proj, w_q, w_k, w_v, w_o }
        };
        let modules: Vec<Vec<_>> = (0..self.n_layers).map(|_| (0..self.n_modules).map(&mut module).collect()).collect();
        let compression = self
            .d_inner
            .map(|_| Compression { w_c: walk.take(ParamKind::Compress), w_d: walk.take(ParamKind::Decompress) });
        let maps = if self.has_mlp() { self.depth + 1 } else { 0 };
        let mut linear = |k: usize| LinearWeights {
            weight: walk.take(ParamKind::Mlp),
            bias: (k < self.depth).then(|| walk.take(ParamKind::Mlp)),
        };
        let mut layer = |modules| LayerWeights { modules, mlp: (0..maps).map(&mut linear).collect() };
        let layers = modules.into_iter().map(&mut layer).collect();
        TransformerWeights { w_e, w_pos, layers, compression, w_u: walk.take(ParamKind::Unemb) }
    }
}

impl LowRankConfig {
    /// The place of both weights in [`parameters`](Self::parameters).
    ///
    /// # Panics
    /// On sizes that [`check`](Self::check) refuses.
    pub fn weights(&self) -> LowRankWeights<Place> {
        let list = self.parameters();
        let mut walk = Walk { list: &list, next: 0, flat: 0 };
        LowRankWeights { w_e: walk.take(ParamKind::WordEmb), w_u: walk.take(ParamKind::Unemb) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_the_list_is_in_one_weight_and_under_its_name() {
        let config = TransformerConfig {
            d_model: 3,
            n_vocab: 7,
            n_layers: 2,
            width: 5,
            depth: 2,
            n_modules: 2,
            ..Default::default()
        };
        let list = config.parameters();
        let mut seen = vec![0; list.iter().map(ParamSpec::len).sum()];
        let weights = config.weights();
        weights.map(|place| place.flat.clone().for_each(|i| seen[i] += 1));
        let in_projections = 2 * 2 * 3 * 3 * 3;
        assert_eq!(seen.iter().filter(|&&times| times == 2).count(), in_projections, "as a whole and in its parts");
        assert!(seen.iter().all(|&times| times == 1 || times == 2));
        let name = |place: &Place| &list[place.parameter].name;
        assert_eq!(name(&weights.w_u), "unemb.weight");
        let layer = &weights.layers[1];
        assert_eq!(name(&layer.modules[0].w_o), "attn_seq.1.0.out_proj.weight");
        assert_eq!(name(layer.mlp[1].bias.as_ref().unwrap()), "mlp_seq.1.2.bias");
        assert_eq!((name(&layer.mlp[2].weight), &layer.mlp[2].bias), (&"mlp_seq.1.4.weight".to_owned(), &None));
        assert_eq!(layer.modules[0].w_v.rows, 6..9);
        let paper = TransformerConfig { d_inner: Some(3), d_model: 5, ..config };
        let (list, weights) = (paper.parameters(), paper.weights());
        let compression = weights.compression.unwrap();
        for (place, name, shape) in [
            (&compression.w_c, "linear_compress.weight", [3, 5]),
            (&compression.w_d, "linear_decompress.weight", [5, 3]),
            (&weights.w_pos, "pos_emb.weight", [3, 3]),
            (&weights.layers[0].modules[0].in_proj, "attn_seq.0.0.in_proj_weight", [9, 3]),
        ] {
            assert_eq!((&*list[place.parameter].name, &*list[place.parameter].shape), (name, &shape[..]));
        }
        let low = LowRankConfig { d_model: 3, n_vocab: 5, ..Default::default() }.weights();
        assert_eq!((low.w_e.flat, low.w_u.flat), (0..75, 75..90));
    }
}
