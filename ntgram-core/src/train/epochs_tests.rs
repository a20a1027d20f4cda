//! Several epochs: they are single passes one after the other, at each epoch's rate, from one stream; by every engine that takes them.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::autograd::Autograd;
use super::{
    Adam, Engine, History, Loss, Schedule, Snapshots, TrainOptions, Training, stream_words, task, train, train_all,
    train_lot,
};
use crate::data::{Data, generate_data};
use crate::error::Error;
use crate::laws::{Law, power_unif_law};
use crate::models::{LowRank, Model, Transformer, TransformerConfig};
use crate::rng::TorchRng;
use ntgram_engine::train::{Run, Watch, drive};

const N: usize = 11;
/// Batches of an epoch.
const BATCHES: usize = 7;

fn law() -> Law {
    power_unif_law(&[1.0, 1.0, 1.0], &[N, N, 1], N, &mut TorchRng::new(1)).unwrap()
}

fn data() -> Data {
    generate_data(32, BATCHES, &law(), 3, &mut TorchRng::new(2)).unwrap()
}

fn paper() -> TransformerConfig {
    TransformerConfig { n_modules: 2, ..TransformerConfig::of_paper(N, 5, 3) }
}

fn transformer() -> Transformer {
    Transformer::new(&paper(), &law(), &mut TorchRng::new(3)).unwrap()
}

/// The notebook's model, which the circuit engine knows too, the paper's, and a table.
fn models() -> Vec<Box<dyn Model>> {
    let notebook = TransformerConfig { d_model: 5, n_vocab: N, n_modules: 2, ..Default::default() };
    vec![
        Box::new(Transformer::new(&notebook, &law(), &mut TorchRng::new(3)).unwrap()),
        Box::new(transformer()),
        Box::new(LowRank::new(3, N, 3, &law(), &mut TorchRng::new(3)).unwrap()),
    ]
}

/// The engines that take a training, autograd first.
fn engines(model: &dyn Model, data: &Data, options: &TrainOptions) -> Vec<Engine> {
    let circuit = task(model, data, options).unwrap().refused_by_circuit_engine().is_none();
    if circuit { vec![Engine::Autograd, Engine::Circuit] } else { vec![Engine::Autograd] }
}

/// One training of each model by each engine that takes it, from the same weights; `f` gets a way to train and the model.
fn for_each_engine(options: &TrainOptions, mut f: impl FnMut(&mut dyn Model, &dyn Fn(TrainOptions) -> TrainOptions)) {
    let data = data();
    for mut model in models() {
        let weights = model.params().to_flat();
        for engine in engines(&*model, &data, options) {
            model.params_mut().set_flat(&weights).unwrap();
            f(&mut *model, &|options| TrainOptions { engine: Some(engine), ..options.quiet() });
        }
    }
}

/// The same training as one call and as a call an epoch: to the bit by autograd, to rounding otherwise (a step's bits may depend on what
/// the engine prepares).
fn assert_same(whole: &History, parts: &[History], values: [Vec<f32>; 2]) {
    let exact = whole.engine == Engine::Autograd;
    let near = |a: f64, b: f64| if exact { a == b } else { (a - b).abs() <= 1e-5 * b.abs().max(1.0) };
    let joined = |of: fn(&History) -> &Vec<f64>| parts.iter().flat_map(of).copied().collect::<Vec<_>>();
    for (whole, parts) in [(&whole.loss, joined(|h| &h.loss)), (&whole.accuracy, joined(|h| &h.accuracy))] {
        assert_eq!(whole.len(), parts.len());
        assert!(whole.iter().zip(&parts).all(|(a, b)| near(*a, *b)), "{whole:?}, {parts:?}");
    }
    assert_eq!(whole.lr_by_epoch, joined(|h| &h.lr_by_epoch));
    assert_eq!(whole.loss_by_epoch().len(), parts.len());
    for (epoch, part) in whole.loss_by_epoch().into_iter().zip(parts) {
        assert!(near(epoch, part.mean_loss_of_last(usize::MAX)));
    }
    let last = &parts[parts.len() - 1];
    assert!(whole.rng == last.rng && whole.adam.steps == last.adam.steps);
    let [values, others] = values;
    assert!(values.iter().zip(&others).all(|(a, b)| near((*a).into(), (*b).into())));
}

#[test]
fn epochs_are_single_passes_one_after_the_other() {
    let rates = vec![0.01, 0.02, 0.005];
    let options = TrainOptions::lr(1.0).epochs(3).schedule(Schedule::Rates(rates.clone())).seed(5);
    let data = data();
    for_each_engine(&options, |model, with| {
        let weights = model.params().to_flat();
        let whole = train(model, &data, &with(options.clone())).unwrap();
        let values = model.params().to_flat();
        assert_eq!((whole.loss.len(), whole.batches_per_epoch, &whole.lr_by_epoch), (3 * BATCHES, BATCHES, &rates));
        model.params_mut().set_flat(&weights).unwrap();
        let (mut rng, mut adam, mut parts): (_, Option<Adam>, Vec<History>) = (TorchRng::new(5), None, vec![]);
        for &lr in &rates {
            let options = TrainOptions { adam: adam.take(), ..TrainOptions::lr(lr).rng(rng) };
            parts.push(train(model, &data, &with(options)).unwrap());
            let last = &parts[parts.len() - 1];
            (rng, adam) = (last.rng(), Some(last.adam.clone()));
        }
        assert_same(&whole, &parts, [values, model.params().to_flat()]);
        // each epoch has an order of its own: the same pass again would go on otherwise
        model.params_mut().set_flat(&weights).unwrap();
        let first = train(model, &data, &with(TrainOptions::lr(rates[0]).seed(5))).unwrap();
        let again = TrainOptions { adam: Some(first.adam), ..TrainOptions::lr(rates[1]).seed(5) };
        let again = train(model, &data, &with(again)).unwrap();
        assert_ne!(again.loss[0], whole.loss[BATCHES]);
    });
}

#[test]
fn a_line_of_rates_is_the_list_of_its_rates() {
    let line = TrainOptions::lr(0.01).epochs(4).schedule(Schedule::Linear { to: 0.002 });
    let data = data();
    for_each_engine(&line, |model, with| {
        let weights = model.params().to_flat();
        let mut run = |options: &TrainOptions| {
            model.params_mut().set_flat(&weights).unwrap();
            train(model, &data, &with(options.clone())).unwrap()
        };
        let (drawn, listed) =
            (run(&line), run(&line.clone().schedule(Schedule::Rates(vec![0.01, 0.008, 0.006, 0.004]))));
        assert_eq!((&drawn.loss, &drawn.lr_by_epoch), (&listed.loss, &listed.lr_by_epoch));
        let constant = run(&line.clone().schedule(Schedule::Constant));
        assert_eq!(constant.lr_by_epoch, [0.01; 4]);
        assert_eq!(constant.loss[..BATCHES], drawn.loss[..BATCHES]);
        assert_ne!(constant.loss[BATCHES + 1], drawn.loss[BATCHES + 1]);
    });
}

#[test]
fn the_most_batches_count_over_all_epochs_and_snapshots_too() {
    let options = TrainOptions {
        max_batches: Some(BATCHES + 3),
        snapshots: Some(Snapshots::every(4).of("unemb.weight")),
        ..TrainOptions::lr(0.01).epochs(5).schedule(Schedule::Linear { to: 0.0 }).seed(6)
    };
    let data = data();
    for_each_engine(&options, |model, with| {
        let weights = model.params().to_flat();
        let options = with(options.clone());
        let task = task(model, &data, &options).unwrap();
        assert_eq!((task.steps(), task.epochs()), (BATCHES + 3, 2));
        let history = train(model, &data, &options).unwrap();
        assert!(!history.stopped && history.loss.len() == BATCHES + 3);
        assert_eq!(history.lr_by_epoch, [0.01, 0.008], "of five epochs, whether or not they are begun");
        assert_eq!((history.loss_by_epoch().len(), history.accuracy_by_epoch().len()), (2, 2));
        assert_eq!(history.loss_by_epoch()[1], history.mean_loss_of_last(3));
        assert_eq!(history.snapshots.iter().map(|kept| kept.step).collect::<Vec<_>>(), [0, 4, 8, BATCHES + 3]);
        let mut rng = TorchRng::new(6);
        rng.skip(2 * 4);
        assert!(history.rng == rng, "two epochs were begun");
        // the whole training begins like that
        model.params_mut().set_flat(&weights).unwrap();
        let whole = train(model, &data, &TrainOptions { max_batches: None, snapshots: None, ..options }).unwrap();
        assert_eq!(whole.loss[..BATCHES + 3], history.loss);
        assert_eq!(whole.loss.len(), 5 * BATCHES);
    });
}

/// The paper's experiments: one stream makes and trains one model after the other. Where a model's place in it is, is known without any
/// of the trainings before it.
#[test]
fn a_jump_to_a_training_is_running_all_before_it() {
    let (law, data) = (law(), data());
    let (small, large) = (paper(), TransformerConfig { width: 13, depth: 1, n_layers: 2, ..paper() });
    let mut rng = TorchRng::new(2222);
    let start = rng.clone();
    let options = TrainOptions::lr(0.01).epochs(3).quiet();
    let configs = [&small, &large, &small];
    for config in configs {
        let mut model = Transformer::new(config, &law, &mut rng).unwrap();
        rng = train(&mut model, &data, &options.clone().rng(rng)).unwrap().rng();
    }
    let mut jumped = start;
    jumped.skip(configs.iter().map(|config| stream_words(crate::models::ModelConfig::Transformer(config), 3)).sum());
    assert!(jumped == rng);
    let [there, here] = [&mut rng, &mut jumped].map(|rng| Transformer::new(&large, &law, rng).unwrap());
    assert_eq!(there.params().to_flat(), here.params().to_flat());
}

#[test]
fn a_training_stopped_in_a_later_epoch_has_the_history_so_far() {
    let (data, model) = (data(), transformer());
    let options = TrainOptions::lr(0.01).epochs(4).seed(7).quiet();
    let run = |most: usize| {
        let task = task(&model, &data, &options).unwrap();
        let (asked, counted) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let stop = || asked.fetch_add(1, Ordering::Relaxed) + 1 == most;
        let run: Box<dyn Run> = Box::new(Autograd::new(&model, &task));
        let mut values = vec![];
        let history = drive(&task, run, &mut values, Watch { stop: &stop, steps: Some(&counted) }).unwrap();
        assert_eq!(counted.into_inner(), history.loss.len());
        history
    };
    let (whole, stopped) = (run(usize::MAX), run(2 * BATCHES + 1));
    assert!(stopped.stopped && !whole.stopped);
    assert_eq!(stopped.loss, whole.loss[..2 * BATCHES + 1]);
    assert_eq!((stopped.loss_by_epoch().len(), stopped.lr_by_epoch.len(), stopped.adam.steps), (3, 3, 15));
    let mut rng = TorchRng::new(7);
    rng.skip(3 * 4);
    assert!(stopped.rng == rng);
}

#[test]
fn a_training_may_diverge_in_a_later_epoch() {
    let data = data();
    let options = TrainOptions::lr(0.01).epochs(3).schedule(Schedule::Rates(vec![0.01, 1e30, 0.01]));
    for_each_engine(&options, |model, with| match train(model, &data, &with(options.clone())) {
        Err(Error::Diverged { step, loss, accuracy, .. }) => {
            assert!((BATCHES..2 * BATCHES).contains(&step), "{step}");
            assert_eq!((loss.len(), accuracy.len()), (step + 1, step + 1));
            assert!(loss[..BATCHES].iter().all(|loss| loss.is_finite()));
        }
        other => panic!("{other:?}"),
    });
}

#[test]
fn a_lot_of_epochs_gives_what_each_gives_alone() {
    let data = data();
    let options = |seed| TrainOptions::lr(0.01).epochs(3).schedule(Schedule::Linear { to: 0.001 }).seed(seed).quiet();
    let seeds = [3, 1, 4];
    let alone = seeds.map(|seed| train(&mut transformer(), &data, &options(seed)).unwrap());
    let mut models = seeds.map(|_| transformer());
    let lot = models.iter_mut().zip(seeds).map(|(model, seed)| Training::new(model, &data, options(seed))).collect();
    for (together, alone) in train_lot(lot).unwrap().iter().zip(&alone) {
        assert_eq!((&together.loss, &together.lr_by_epoch), (&alone.loss, &alone.lr_by_epoch));
        assert!(together.rng == alone.rng);
    }
    let all = train_all(&mut seeds.map(|_| transformer()), &data, &options(3)).unwrap();
    assert!(all.iter().all(|history| history.loss == alone[0].loss));
}

#[test]
fn the_full_divergence_has_epochs_too() {
    let options = TrainOptions { loss: Loss::FullDivergence, ..TrainOptions::lr(0.02).epochs(30) };
    let data = data();
    for_each_engine(&options, |model, with| {
        let by_epoch = train(model, &data, &with(options.clone())).unwrap().loss_by_epoch();
        assert!(by_epoch[29] < 0.8 * by_epoch[0], "{by_epoch:?}");
    });
}

#[test]
fn rates_that_no_training_can_follow_are_refused() {
    let data = data();
    let refused = |options: TrainOptions| {
        let mut model = transformer();
        let before = model.params().to_flat();
        let message = train(&mut model, &data, &options.quiet()).unwrap_err().to_string();
        assert_eq!(model.params().to_flat(), before);
        message
    };
    let rates = |rates: &[f64]| TrainOptions::default().epochs(2).schedule(Schedule::Rates(rates.to_vec()));
    for (options, start) in [
        (TrainOptions::default().epochs(0), "`epochs` is 0, but it must be from 1 to "),
        (TrainOptions::default().epochs(usize::MAX), "`epochs` is 18446744073709551615, but it must be from 1 to "),
        (TrainOptions::lr(0.0).epochs(2), "`lr` is 0, but"),
        (TrainOptions::lr(f64::INFINITY).schedule(Schedule::Linear { to: 0.1 }), "`lr` is inf, but"),
        (TrainOptions::default().schedule(Schedule::Linear { to: -1e-9 }), "`schedule` is Linear { to: -1e-9 }, but"),
        (TrainOptions::default().schedule(Schedule::Linear { to: f64::NAN }), "`schedule` is Linear { to: NaN }, but"),
        (rates(&[0.1]), "`schedule` is a list of 1 rates, but there must be one for each epoch, 2 in all"),
        (rates(&[0.1, 0.0]), "`schedule` is a list with the rate 0, but"),
        (rates(&[f64::NAN, 0.1]), "`schedule` is a list with the rate NaN, but"),
    ] {
        let message = refused(options);
        assert!(message.starts_with(start), "{message}");
    }
    // the rate that a list takes the place of may be anything
    let options = TrainOptions { lr: f64::NAN, ..rates(&[0.1, 0.2]) };
    assert_eq!(train(&mut transformer(), &data, &options.quiet()).unwrap().lr_by_epoch, [0.1, 0.2]);
}
