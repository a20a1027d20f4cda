//! The forward pass for every context at once, in double precision: the reading side of the models that the engine trains. The formulas
//! are those of `engine::reference`, without skips, MLP or several layers.

use nalgebra::{DMatrix, DVector, RowDVector};
use ntgram_engine::models::{LowRankConfig, ModuleWeights, Place, TransformerConfig};

use crate::settings::Sizes;

/// The unembedding `W_U (N, d)` of these values, which are in the order of the model's list.
pub(crate) fn unembedding(sizes: &Sizes, values: &[f32]) -> DMatrix<f64> {
    let (place, d) = match sizes {
        Sizes::LowRank(config) => (config.weights().w_u, config.d_model),
        Sizes::Transformer(config) => (config.weights().w_u, config.d_model),
    };
    matrix(values, &place, d)
}

/// Logits `(N², N)`; the context of tokens `a`, `b` has row `a N + b`.
pub(crate) fn logits(sizes: &Sizes, values: &[f32]) -> DMatrix<f64> {
    let contexts = match sizes {
        Sizes::LowRank(config) => low_rank(config, values),
        Sizes::Transformer(config) => transformer(config, values),
    };
    contexts * unembedding(sizes, values).transpose()
}

/// A low-rank model's vectors of the contexts, `(N², d)`. Its table has `x_0 + N x_1`.
fn low_rank(config: &LowRankConfig, values: &[f32]) -> DMatrix<f64> {
    let n = config.n_vocab;
    let table = matrix(values, &config.weights().w_e, config.d_model);
    DMatrix::from_fn(n * n, config.d_model, |row, k| table[(row / n + n * (row % n), k)])
}

/// A Transformer's stream at position 1 after its layer, `(N², d)`.
fn transformer(config: &TransformerConfig, values: &[f32]) -> DMatrix<f64> {
    let (n, d) = (config.n_vocab, config.d_model);
    let weights = config.weights();
    let embedding = matrix(values, &weights.w_e, d);
    let positions = matrix(values, &weights.w_pos, d);
    // h_t + P_t for every token at either position, (N, d)
    let normed = layer_norm(&embedding);
    let seen = [0, 1].map(|t| {
        let position = positions.row(t).into_owned();
        DMatrix::from_rows(&normed.row_iter().map(|row| row + &position).collect::<Vec<_>>())
    });
    let mut stream = DMatrix::from_fn(n * n, d, |row, k| embedding[(row % n, k)]);
    for module in &weights.layers[0].modules {
        let head = Head::new(module, values, &seen);
        for (context, mut row) in stream.row_iter_mut().enumerate() {
            row += head.written(context / n, context % n);
        }
    }
    stream
}

/// What one module computes of each token at either position.
struct Head {
    /// `W_Q qk_in_1 / √d`, `(N, d)`.
    queries: DMatrix<f64>,
    /// `W_K qk_in_t`.
    keys: [DMatrix<f64>; 2],
    /// `W_O W_V ov_in_t`.
    writes: [DMatrix<f64>; 2],
}

impl Head {
    fn new(module: &ModuleWeights<Place>, values: &[f32], seen: &[DMatrix<f64>; 2]) -> Self {
        let d = seen[0].ncols();
        let transposed = |place| matrix(values, place, d).transpose();
        let (w_q, w_k) = (transposed(&module.w_q), transposed(&module.w_k));
        let ov = transposed(&module.w_v) * transposed(&module.w_o);
        Self {
            queries: &seen[1] * w_q / (d as f64).sqrt(),
            keys: [&seen[0] * &w_k, &seen[1] * w_k],
            writes: [&seen[0] * &ov, &seen[1] * ov],
        }
    }

    /// `Σ_s a_1s W_O W_V ov_in_s` for tokens `a` and `b`.
    fn written(&self, a: usize, b: usize) -> RowDVector<f64> {
        let query = self.queries.row(b);
        let scores = [query.dot(&self.keys[0].row(a)), query.dot(&self.keys[1].row(b))];
        let on_first = 1.0 / (1.0 + (scores[1] - scores[0]).exp());
        self.writes[0].row(a) * on_first + self.writes[1].row(b) * (1.0 - on_first)
    }
}

/// Layer norm of each row, without affine part: `(x − mean) / (std + 1e-10)`.
fn layer_norm(x: &DMatrix<f64>) -> DMatrix<f64> {
    let mut y = x.clone();
    for mut row in y.row_iter_mut() {
        let mean = row.mean();
        row.add_scalar_mut(-mean);
        let std = row.norm() / (row.len() as f64).sqrt();
        row /= std + 1e-10;
    }
    y
}

/// The values of one weight as a matrix of `columns` columns.
fn matrix(values: &[f32], place: &Place, columns: usize) -> DMatrix<f64> {
    let own: DVector<f64> =
        DVector::from_iterator(place.flat.len(), values[place.flat.clone()].iter().map(|x| (*x).into()));
    DMatrix::from_row_slice(own.len() / columns, columns, own.as_slice())
}
