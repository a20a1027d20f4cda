//! The engine's mathematics in its plainest form: one sample at a time, in double precision, every operation on a tape that
//! gives the gradient. What the rest of the engine computes is compared with this; who reads the rest finds here what it means.
//!
//! Of a sequence `x_0 … x_(T-1)` the positions `n − 2 … T − 2` are scored, `n` the law's order: each predicts the next token. The
//! low-rank model has a row of a table for each context, the `n − 1` tokens up to the scored position, the oldest of them first:
//!
//! ```text
//! logits = W_U W_E[Σ_j x_j N^j]
//! ```
//!
//! The Transformer has a stream `r_t` at every position `t`, which starts as `W_E[x_t]`. A layer writes, for each head of each
//! module, and then its MLP:
//!
//! ```text
//! h_t     = W_C norm(r_t)
//! qk_in_t = s_embQK h_t + s_posQK P_t        ov_in_t = s_embOV h_t + s_posOV P_t
//! a_ts    = softmax over s ≤ t of  (W_Q qk_in_t)·(W_K qk_in_s) / √d_head
//! r_t     = s_res r_t + W_D Σ_heads W_O Σ_s a_ts W_V ov_in_s
//! r_t     = r_t + W_out GELU(… GELU(W_1 norm(r_t) + b_1) …)
//! logits  = W_U r_t
//! ```
//!
//! The factors `s` are 0 for what [`Skips`](crate::models::Skips) leaves out, else 1; `norm` is a layer norm or nothing; `W_C` and
//! `W_D` are not there where nothing is compressed.

use super::{Loss, Problem};
use crate::models::{
    LinearWeights, LowRankConfig, LowRankWeights, ModelConfig, ModuleWeights, Norm, TransformerConfig,
    TransformerWeights,
};
use std::cell::RefCell;

/// What a batch's loss is, and its gradient.
pub(super) struct Reference {
    /// Mean loss, the law's entropy taken off; nats.
    pub(super) loss: f64,
    /// Share of scored positions whose target has the largest logit.
    pub(super) accuracy: f64,
    /// Gradient by every parameter, in the order of the model's list.
    pub(super) gradient: Vec<f64>,
}

/// Loss, accuracy and gradient of a batch: the sequences `rows` of the problem's.
pub(super) fn reference(problem: &Problem, params: &[f32], rows: &[u32]) -> Reference {
    let mut total = Reference { loss: 0.0, accuracy: 0.0, gradient: vec![0.0; params.len()] };
    let mut size = 0.0;
    // one for all of them: its memory, asked for again and again, would take longer than the rest
    let (tape, mut derivatives) = (Tape::default(), Vec::new());
    for &row in rows {
        let sequence = &problem.tokens[row as usize * problem.window..][..problem.window];
        tape.0.borrow_mut().clear();
        let leaves: Row = params.iter().map(|&x| tape.leaf(x as f64)).collect();
        let context = problem.order - 1;
        let scored = context.max(1) - 1..problem.window - 1;
        let losses = scored.map(|t| {
            let logits = logits(problem, &leaves, &sequence[..=t]);
            let largest = logits.iter().map(|z| z.value).fold(f64::MIN, f64::max);
            let target = sequence[t + 1] as usize;
            total.accuracy += (logits.iter().position(|z| z.value == largest) == Some(target)) as u8 as f64;
            size += 1.0;
            loss(problem, &logits, largest, &sequence[t + 1 - context..=t], target)
        });
        let loss = sum(losses.collect::<Vec<_>>());
        total.loss += loss.value;
        tape.gradient(loss, &mut derivatives);
        total.gradient.iter_mut().zip(&derivatives).for_each(|(sum, x)| *sum += x);
    }
    total.gradient.iter_mut().for_each(|x| *x /= size);
    Reference { loss: total.loss / size - problem.entropy, accuracy: total.accuracy / size, ..total }
}

/// Loss of one scored position. The original adds 1e-12 to every probability before the logarithm.
fn loss<'t>(problem: &Problem, logits: &[Var<'t>], largest: f64, context: &[u16], target: usize) -> Var<'t> {
    let powers: Row = logits.iter().map(|z| z.plus(-largest).exp()).collect();
    let total = sum(powers.iter().copied());
    let p: Row = powers.iter().map(|&power| (power / total).plus(1e-12)).collect();
    let n = logits.len();
    match problem.loss {
        Loss::NextToken => p[target].ln().times(-1.0) + sum(p.iter().copied()).ln(),
        Loss::FullDivergence => {
            let row = context.iter().fold(0, |row, &x| row * n + x as usize);
            let law = &problem.law[row * n..][..n];
            sum(p.iter().zip(law).map(|(p, &pi)| p.ln().times(-(pi as f64))))
        }
    }
}

/// Logits of the last of these tokens; `leaves`: the parameters, in the order of the model's list.
fn logits<'t>(problem: &Problem, leaves: &[Var<'t>], tokens: &[u16]) -> Row<'t> {
    match problem.model {
        ModelConfig::LowRank(config) => {
            let context = &tokens[tokens.len() + 1 - problem.order..];
            low_rank_logits(config, config.weights().map(|place| &leaves[place.flat.clone()]), context)
        }
        ModelConfig::Transformer(config) => {
            transformer_logits(config, config.weights().map(|place| &leaves[place.flat.clone()]), tokens)
        }
    }
}

fn low_rank_logits<'t>(config: &LowRankConfig, weights: LowRankWeights<&[Var<'t>]>, context: &[u16]) -> Row<'t> {
    let k = context.iter().rev().fold(0, |k, &x| k * config.n_vocab + x as usize);
    linear(weights.w_u, row(weights.w_e, k, config.d_model))
}

fn transformer_logits<'t>(
    config: &TransformerConfig,
    weights: TransformerWeights<&[Var<'t>]>,
    tokens: &[u16],
) -> Row<'t> {
    let skips = &config.skips;
    let kept = |skipped: bool| if skipped { 0.0 } else { 1.0 };
    let compression = weights.compression.as_ref().filter(|_| config.compresses());
    let mut streams: Vec<Row> = tokens.iter().map(|&x| row(weights.w_e, x as usize, config.d_model).to_vec()).collect();
    for layer in &weights.layers {
        // What a circuit reads at each position.
        let inputs = |emb: f64, pos: f64| -> Vec<Row<'t>> {
            let read = |(t, stream): (usize, &Row<'t>)| {
                let h = norm(config, stream);
                let h = compression.map_or_else(|| h.clone(), |c| linear(c.w_c, &h));
                let p = row(weights.w_pos, t, config.d_module());
                h.iter().zip(p).map(|(h, p)| h.times(emb) + p.times(pos)).collect()
            };
            streams.iter().enumerate().map(read).collect()
        };
        let qk_in = inputs(kept(skips.emb_qk), kept(skips.pos_qk));
        let ov_in = inputs(kept(skips.emb_ov), kept(skips.pos_ov));
        let residual = kept(skips.res_connection);
        streams = (0..streams.len())
            .map(|t| {
                let mut next: Row = streams[t].iter().map(|x| x.times(residual)).collect();
                let modules = layer.modules.iter().map(|module| attention(config, module, t, &qk_in, &ov_in));
                let written = modules.reduce(|mut all, one| {
                    add(&mut all, &one);
                    all
                });
                let written = written.expect("there is a module");
                add(&mut next, &compression.map_or_else(|| written.clone(), |c| linear(c.w_d, &written)));
                if !layer.mlp.is_empty() {
                    let written = mlp(config, &layer.mlp, &next);
                    add(&mut next, &written);
                }
                next
            })
            .collect();
    }
    linear(weights.w_u, streams.last().expect("there is a token"))
}

/// What a module writes at position `t`, which sees the positions up to itself.
fn attention<'t>(
    config: &TransformerConfig,
    module: &ModuleWeights<&[Var<'t>]>,
    t: usize,
    qk_in: &[Row<'t>],
    ov_in: &[Row<'t>],
) -> Row<'t> {
    let d_head = config.d_module() / config.n_heads;
    let mut mixed = Vec::new();
    for head in 0..config.n_heads {
        let of_head = |w: &[Var<'t>], x: &Row<'t>| linear(w, x)[head * d_head..][..d_head].to_vec();
        let query = of_head(module.w_q, &qk_in[t]);
        let score = |s: usize| dot(&query, &of_head(module.w_k, &qk_in[s])).times(1.0 / (d_head as f64).sqrt());
        let powers: Row = (0..=t).map(|s| score(s).exp()).collect();
        let total = sum(powers.iter().copied());
        let values: Vec<Row> = (0..=t).map(|s| of_head(module.w_v, &ov_in[s])).collect();
        mixed.extend((0..d_head).map(|i| sum((0..=t).map(|s| powers[s] / total * values[s][i]))));
    }
    linear(module.w_o, &mixed)
}

/// What an MLP writes to the stream `x`. Its maps but the last have a bias, and a GELU behind them.
fn mlp<'t>(config: &TransformerConfig, maps: &[LinearWeights<&[Var<'t>]>], x: &[Var<'t>]) -> Row<'t> {
    maps.iter().fold(norm(config, x), |z, map| {
        let y = linear(map.weight, &z);
        match map.bias {
            Some(bias) => y.iter().zip(bias).map(|(&y, &b)| (y + b).gelu()).collect(),
            None => y,
        }
    })
}

/// Layer norm without scale or shift, or nothing.
fn norm<'t>(config: &TransformerConfig, x: &[Var<'t>]) -> Row<'t> {
    if config.norm == Norm::None {
        return x.to_vec();
    }
    let d = x.len() as f64;
    let mean = sum(x.iter().copied()).times(1.0 / d);
    let centred: Row = x.iter().map(|&x| x + mean.times(-1.0)).collect();
    let std = dot(&centred, &centred).times(1.0 / d).sqrt().plus(1e-10);
    centred.into_iter().map(|c| c / std).collect()
}

type Row<'t> = Vec<Var<'t>>;

fn row<'a, 't>(table: &'a [Var<'t>], k: usize, d: usize) -> &'a [Var<'t>] {
    &table[k * d..][..d]
}

fn add<'t>(to: &mut [Var<'t>], x: &[Var<'t>]) {
    to.iter_mut().zip(x).for_each(|(to, &x)| *to = *to + x);
}

fn sum<'t>(terms: impl IntoIterator<Item = Var<'t>>) -> Var<'t> {
    terms.into_iter().reduce(|a, b| a + b).expect("at least one term")
}

fn dot<'t>(a: &[Var<'t>], b: &[Var<'t>]) -> Var<'t> {
    sum(a.iter().zip(b).map(|(&a, &b)| a * b))
}

/// `W x`, `W` (out, in) row-major.
fn linear<'t>(w: &[Var<'t>], x: &[Var<'t>]) -> Row<'t> {
    w.chunks(x.len()).map(|row| dot(row, x)).collect()
}

/// A value and how it came about.
#[derive(Clone, Copy)]
struct Var<'t> {
    tape: &'t Tape,
    at: usize,
    value: f64,
}

/// For each value, up to two values that it was made from, with derivatives.
#[derive(Default)]
struct Tape(RefCell<Vec<[(usize, f64); 2]>>);

impl Tape {
    /// A new value; `parents`: what it was made from, with the derivatives by them.
    fn push(&self, value: f64, parents: [(usize, f64); 2]) -> Var<'_> {
        self.0.borrow_mut().push(parents);
        Var { tape: self, at: self.0.borrow().len() - 1, value }
    }

    /// A value that was made from none.
    fn leaf(&self, value: f64) -> Var<'_> {
        self.push(value, [(0, 0.0); 2])
    }

    /// Writes the derivatives of a value by every value on the tape.
    fn gradient(&self, of: Var, grad: &mut Vec<f64>) {
        let nodes = self.0.borrow();
        grad.clear();
        grad.resize(nodes.len(), 0.0);
        grad[of.at] = 1.0;
        for at in (0..=of.at).rev() {
            for (parent, slope) in nodes[at] {
                if slope != 0.0 {
                    grad[parent] += grad[at] * slope;
                }
            }
        }
    }
}

impl<'t> Var<'t> {
    /// A function of this value, and its derivative there.
    fn map(self, value: f64, slope: f64) -> Self {
        self.tape.push(value, [(self.at, slope), (0, 0.0)])
    }
    fn exp(self) -> Self {
        self.map(self.value.exp(), self.value.exp())
    }
    fn ln(self) -> Self {
        self.map(self.value.ln(), 1.0 / self.value)
    }
    fn sqrt(self) -> Self {
        let root = self.value.sqrt();
        self.map(root, if root > 0.0 { 0.5 / root } else { 0.0 })
    }
    fn gelu(self) -> Self {
        let x = self.value;
        let (cdf, density) = (0.5 * (1.0 + erf(x / 2f64.sqrt())), (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt());
        self.map(x * cdf, cdf + x * density)
    }
    fn plus(self, c: f64) -> Self {
        self.map(self.value + c, 1.0)
    }
    fn times(self, c: f64) -> Self {
        self.map(self.value * c, c)
    }
}

impl std::ops::Add for Var<'_> {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        self.tape.push(self.value + o.value, [(self.at, 1.0), (o.at, 1.0)])
    }
}
impl std::ops::Mul for Var<'_> {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        self.tape.push(self.value * o.value, [(self.at, o.value), (o.at, self.value)])
    }
}
impl std::ops::Div for Var<'_> {
    type Output = Self;
    fn div(self, o: Self) -> Self {
        let y = self.value / o.value;
        self.tape.push(y, [(self.at, 1.0 / o.value), (o.at, -y / o.value)])
    }
}

/// Taylor series of erf, or the continued fraction of `1 − erf` where the series' terms would cancel.
fn erf(x: f64) -> f64 {
    let pi = std::f64::consts::PI;
    if x.abs() > 2.5 {
        let fraction = (1..200).rev().fold(x.abs(), |rest, k| x.abs() + f64::from(k) / 2.0 / rest);
        return x.signum() * (1.0 - (-x * x).exp() / fraction / pi.sqrt());
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= -x * x / n as f64;
        sum += term / (2 * n + 1) as f64;
    }
    sum * 2.0 / pi.sqrt()
}

#[test]
fn erf_agrees_with_tables() {
    for (x, want) in [
        (0.5, 0.520_499_877_813_046_5),
        (1.0, 0.842_700_792_949_714_9),
        (2.0, 0.995_322_265_018_952_7),
        (2.49, 0.999_570_712_132_266_1),
        (3.0, 0.999_977_909_503_001_4),
        (-4.0, -0.999_999_984_582_742_1),
        (30.0, 1.0),
    ] {
        assert!((erf(x) - want).abs() < 1e-14, "{x}: {} {want}", erf(x));
    }
}
