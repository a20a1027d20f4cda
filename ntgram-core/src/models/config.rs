//! What a model is, as plain numbers: sizes, skipped terms, frozen groups, and the one ordered list of
//! named parameters. No tensors here; the fast engine reads the same list.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Terms of the forward pass that are left out (`true` = left out), as in the original's `skips`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Skips {
    /// Leave out the residual connection around the attention.
    pub skip_res_connection: bool,
    /// Leave the positional embedding out of queries and keys.
    pub skip_pos_qk: bool,
    /// Leave the token's residual stream out of queries and keys.
    pub skip_emb_qk: bool,
    /// Leave the positional embedding out of values.
    pub skip_pos_ov: bool,
    /// Leave the token's residual stream out of values.
    pub skip_emb_ov: bool,
}

impl Skips {
    /// All 32 mixes, in the order of the original's nested loops (the residual connection outermost),
    /// without those that leave the QK or the OV circuit nothing to work on.
    pub fn all_meaningful() -> Vec<Skips> {
        (0..32u8)
            .map(|bits| {
                let bit = |k: u8| bits >> (4 - k) & 1 == 1;
                Skips {
                    skip_res_connection: bit(0),
                    skip_pos_qk: bit(1),
                    skip_emb_qk: bit(2),
                    skip_pos_ov: bit(3),
                    skip_emb_ov: bit(4),
                }
            })
            .filter(|s| s.check().is_ok())
            .collect()
    }

    pub(crate) fn check(&self) -> Result<()> {
        for (skipped, circuit) in [
            (self.skip_pos_qk && self.skip_emb_qk, "skip_pos_qk and skip_emb_qk"),
            (self.skip_pos_ov && self.skip_emb_ov, "skip_pos_ov and skip_emb_ov"),
        ] {
            if skipped {
                let expected = format!("at most one of {circuit} may be true: the circuit needs an input");
                return Err(Error::argument("skips", format!("{self:?}"), expected));
            }
        }
        Ok(())
    }
}

/// Groups of parameters that training leaves as they are (`true` = frozen). One flag covers every
/// module of every layer; the MLP is always trained. [`LowRank`](crate::models::LowRank) reads
/// `freeze_e` and `freeze_u` only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Freeze {
    /// Word embedding `W_E`.
    pub freeze_e: bool,
    /// Positional embedding `P`.
    pub freeze_pos: bool,
    /// Query, key and value projections `W_Q`, `W_K`, `W_V`.
    pub freeze_qkv: bool,
    /// Output projections `W_O`.
    pub freeze_o: bool,
    /// Unembedding `W_U`.
    pub freeze_u: bool,
}

/// Sizes of a [`Transformer`](crate::models::Transformer).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransformerConfig {
    /// Embedding dimension `d`.
    pub d_model: usize,
    /// Vocabulary size `N`.
    pub n_vocab: usize,
    /// Layers `L`.
    pub n_layers: usize,
    /// Hidden width of each layer's MLP; 0 means no MLP.
    pub width: usize,
    /// Hidden layers of each MLP; 0 means no MLP.
    pub depth: usize,
    /// Attention modules side by side in each layer, `H` (the original's `para`).
    pub parallel_heads: usize,
    /// Heads inside each module; divides `d_model`.
    pub n_heads: usize,
    /// Context window `T`: the longest sequence, and the rows of the positional embedding.
    pub context_window: usize,
    /// Terms left out of the forward pass.
    pub skips: Skips,
}

impl Default for TransformerConfig {
    /// One layer of one single-head module, no MLP, for trigrams: `N = 10`, `d = 5`, `T = 3`.
    fn default() -> Self {
        Self {
            d_model: 5,
            n_vocab: 10,
            n_layers: 1,
            width: 0,
            depth: 0,
            parallel_heads: 1,
            n_heads: 1,
            context_window: 3,
            skips: Skips::default(),
        }
    }
}

/// Sizes of a [`LowRank`](crate::models::LowRank) model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LowRankConfig {
    /// Embedding dimension `d`: the rank of the log-probabilities.
    pub d_model: usize,
    /// Vocabulary size `N`.
    pub n_vocab: usize,
    /// Context window `T`: the longest sequence.
    pub context_window: usize,
    /// Order `n` of the law: the context table has `N^(n-1)` rows.
    pub order: usize,
}

/// What a parameter is, for freezing and for its initial distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamKind {
    /// Word embedding, or the context table of a low-rank model.
    WordEmb,
    /// Positional embedding.
    PosEmb,
    /// Stacked `[W_Q; W_K; W_V]`.
    InProj,
    /// `W_O`.
    OutProj,
    /// Weight or bias of an MLP.
    Mlp,
    /// Unembedding.
    Unemb,
}

/// One named parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamSpec {
    /// Name, as PyTorch's `state_dict` of the original has it.
    pub name: String,
    /// Shape, row-major; weights are `(out, in)`.
    pub shape: Vec<usize>,
    /// What it is.
    pub kind: ParamKind,
    /// Fan-in `in` of the linear layer it belongs to: its initial values lie in `±1/√in`
    /// (in-projections: Xavier-uniform over the stacked shape instead).
    pub fan_in: usize,
}

impl ParamSpec {
    fn new(name: String, shape: &[usize], kind: ParamKind) -> Self {
        Self { name, shape: shape.to_vec(), kind, fan_in: shape[shape.len() - 1] }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no values (never, for a checked configuration).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Half-width `a` of the initial uniform distribution `U(-a, a)`.
    pub fn init_bound(&self) -> f64 {
        match self.kind {
            // Xavier-uniform over (3d, d): a = √(6 / (d + 3d))
            ParamKind::InProj => (6.0 / (self.shape[0] + self.shape[1]) as f64).sqrt(),
            _ => 1.0 / (self.fan_in as f64).sqrt(),
        }
    }

    /// Whether training leaves it as it is.
    pub fn is_frozen(&self, freeze: &Freeze) -> bool {
        match self.kind {
            ParamKind::WordEmb => freeze.freeze_e,
            ParamKind::PosEmb => freeze.freeze_pos,
            ParamKind::InProj => freeze.freeze_qkv,
            ParamKind::OutProj => freeze.freeze_o,
            ParamKind::Unemb => freeze.freeze_u,
            ParamKind::Mlp => false,
        }
    }
}

impl TransformerConfig {
    /// Whether each layer has an MLP.
    pub fn has_mlp(&self) -> bool {
        self.n_layers * self.width * self.depth > 0
    }

    /// Checks sizes and skips.
    ///
    /// # Errors
    /// A size of 0 where there must be something, `n_heads` not dividing `d_model`, or skips that leave
    /// a circuit without input.
    pub fn check(&self) -> Result<()> {
        for (argument, value) in [
            ("d_model", self.d_model),
            ("n_vocab", self.n_vocab),
            ("n_layers", self.n_layers),
            ("parallel_heads", self.parallel_heads),
            ("n_heads", self.n_heads),
            ("context_window", self.context_window),
        ] {
            if value == 0 {
                return Err(Error::argument(argument, value, "it must be at least 1"));
            }
        }
        if !self.d_model.is_multiple_of(self.n_heads) {
            let expected = format!("it must divide `d_model`, which is {}", self.d_model);
            return Err(Error::argument("n_heads", self.n_heads, expected));
        }
        self.skips.check()
    }

    /// Every parameter, in the one order that files, Adam and the fast engine follow:
    /// `word_emb.weight (N,d)`, `pos_emb.weight (T,d)`, then for each layer and module
    /// `attn_seq.{layer}.{module}.in_proj_weight (3d,d)` (rows: Q, K, V) and `….out_proj.weight (d,d)`, then for each
    /// layer's MLP `mlp_seq.{layer}.{k}.weight`/`.bias` (`k` even: the GELUs take the odd places), `unemb.weight (N,d)`.
    pub fn parameters(&self) -> Vec<ParamSpec> {
        let (n, d, t) = (self.n_vocab, self.d_model, self.context_window);
        let mut list = vec![
            ParamSpec::new("word_emb.weight".into(), &[n, d], ParamKind::WordEmb),
            ParamSpec::new("pos_emb.weight".into(), &[t, d], ParamKind::PosEmb),
        ];
        for layer in 0..self.n_layers {
            for module in 0..self.parallel_heads {
                let name = |part| format!("attn_seq.{layer}.{module}.{part}");
                list.push(ParamSpec::new(name("in_proj_weight"), &[3 * d, d], ParamKind::InProj));
                list.push(ParamSpec::new(name("out_proj.weight"), &[d, d], ParamKind::OutProj));
            }
        }
        if self.has_mlp() {
            for layer in 0..self.n_layers {
                let name = |k: usize, part| format!("mlp_seq.{layer}.{}.{part}", 2 * k);
                for k in 0..self.depth {
                    let fan_in = if k == 0 { d } else { self.width };
                    list.push(ParamSpec::new(name(k, "weight"), &[self.width, fan_in], ParamKind::Mlp));
                    let bias = ParamSpec::new(name(k, "bias"), &[self.width], ParamKind::Mlp);
                    list.push(ParamSpec { fan_in, ..bias });
                }
                list.push(ParamSpec::new(name(self.depth, "weight"), &[d, self.width], ParamKind::Mlp));
            }
        }
        list.push(ParamSpec::new("unemb.weight".into(), &[n, d], ParamKind::Unemb));
        list
    }
}

impl LowRankConfig {
    /// Rows of the context table: `N^(n-1)`.
    pub fn n_contexts(&self) -> usize {
        self.n_vocab.pow(self.order as u32 - 1)
    }

    /// Checks sizes.
    ///
    /// # Errors
    /// A size of 0, or a context window shorter than the law.
    pub fn check(&self) -> Result<()> {
        for (argument, value) in [("d_model", self.d_model), ("n_vocab", self.n_vocab), ("order", self.order)] {
            if value == 0 {
                return Err(Error::argument(argument, value, "it must be at least 1"));
            }
        }
        if self.context_window < self.order {
            let expected = format!("it must be at least the order of the law, {}", self.order);
            return Err(Error::argument("context_window", self.context_window, expected));
        }
        Ok(())
    }

    /// Both parameters, in order: `word_emb.weight (N^(n-1), d)` and `unemb.weight (N, d)`.
    pub fn parameters(&self) -> Vec<ParamSpec> {
        vec![
            ParamSpec::new("word_emb.weight".into(), &[self.n_contexts(), self.d_model], ParamKind::WordEmb),
            ParamSpec::new("unemb.weight".into(), &[self.n_vocab, self.d_model], ParamKind::Unemb),
        ]
    }
}
