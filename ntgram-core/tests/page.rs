//! The page's numbers are the notebook's: `ntgram-web` beside the lesson's own cells, and beside what this crate computes of their models.

use ntgram_core::prelude::*;
use ntgram_web::{Model as PageModel, Session, Settings, View};

const STEPS: usize = 400;

/// The law of the lesson.
fn law(n_vocab: usize, p: f64, seed: u64) -> Law {
    last_position_law(&[n_vocab, n_vocab], n_vocab, 0.0, p, &mut TorchRng::new(seed)).unwrap()
}

fn options(lr: f64) -> TrainOptions {
    TrainOptions { max_batches: Some(STEPS), ..TrainOptions::lr(lr).full_divergence().quiet() }
}

fn page(settings: &Settings) -> View {
    let mut session = Session::start(settings.clone(), None).unwrap();
    let losses = session.advance(STEPS).unwrap();
    session.view(losses)
}

fn near(a: &[f64], b: &[f64], tolerance: f64) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance)
}

/// The lesson's `balanced`, of logits `(N², N)`.
fn balanced(logits: &Tensor, rank: i64) -> Tensor {
    let f = svd(&(logits - logits.mean_dim(1, true, Kind::Float))).unwrap();
    f.vh.narrow(0, 0, rank).transpose(0, 1) * f.s.narrow(0, 0, rank).sqrt()
}

/// What the page shows of a model with this history, unembedding, divergence and logits.
fn check(view: &View, history: &History, w_u: &Tensor, divergence: f64, logits: &Tensor) {
    // the same engine on the same values: the same bits
    assert_eq!(view.losses, history.loss);
    assert_eq!(view.trained.rows, values(w_u).unwrap());
    assert!((view.divergence - divergence).abs() < 1e-5, "{} {divergence}", view.divergence);
    let guessed: Vec<usize> = values(&logits.argmax(1, false)).unwrap().into_iter().map(|k| k as usize).collect();
    assert_eq!(view.guessed, guessed);
    assert!(near(&view.trained.dimensions, &superposition(w_u).unwrap().dimensions, 1e-9));
    let (n, d) = w_u.size2().unwrap();
    let lessons = balanced(logits, d.min(n - 1));
    let pages = Tensor::from_slice(&view.balanced.rows).view([n, d]);
    let of_pages = values(&gram(&pages).unwrap()).unwrap();
    // libtorch's decomposition is float32's
    assert!(near(&of_pages, &values(&gram(&lessons).unwrap()).unwrap(), 1e-4));
    assert!(near(&view.balanced.dimensions, &superposition(&lessons).unwrap().dimensions, 1e-4));
}

#[test]
fn the_low_rank_model_is_the_lessons() {
    for settings in [
        Settings::default(),
        Settings { tokens: 7, dimensions: 2, p: 0.6, lr: 1e-2, seed: 3, ..Default::default() },
        Settings { tokens: 5, dimensions: 6, ..Default::default() },
    ] {
        let Settings { tokens, dimensions, p, lr, seed, .. } = settings;
        let pi = law(tokens, p, seed);
        let mut rng = TorchRng::new(seed);
        let data = sample_data(512, 5000, &pi, 3, &mut rng).unwrap();
        let mut model = LowRank::new(dimensions, tokens, 3, &pi, &mut rng).unwrap();
        let history = train(&mut model, &data, &options(lr)).unwrap();
        let contexts = model.w_e().index_select(0, &model.contexts_in_law_order());
        let logits = contexts.matmul(&model.w_u().transpose(0, 1));
        let view = page(&settings);
        check(&view, &history, &model.w_u(), model.divergence().unwrap(), &logits);
        assert_eq!(view.entropy, entropy(&pi));
    }
}

#[test]
fn the_transformer_is_the_lessons() {
    for modules in [1, 5] {
        let settings = Settings { model: PageModel::Transformer { modules }, ..Default::default() };
        let pi = law(10, 0.95, 2108);
        let mut rng = TorchRng::new(2108);
        let data = sample_data(512, 5000, &pi, 3, &mut rng).unwrap();
        let config = TransformerConfig { d_model: 5, n_vocab: 10, n_modules: modules, ..Default::default() };
        let mut model = Transformer::new(&config, &pi, &mut rng).unwrap();
        let history = train(&mut model, &data, &options(3e-3)).unwrap();
        let contexts: Vec<i64> = (0..100).flat_map(|c| [c / 10, c % 10]).collect();
        let logits = model.forward(&Tensor::from_slice(&contexts).view([100, 2])).unwrap().select(1, 1);
        let divergence = ntgram_core::models::divergence(&logits, &pi).unwrap();
        check(&page(&settings), &history, &model.w_u(), divergence, &logits);
    }
}
