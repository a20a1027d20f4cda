//! Options, tasks, trainings of either engine, histories and snapshots.

use std::sync::atomic::AtomicUsize;

use ntgram_core::models::{LowRankConfig, ModelConfig};
use ntgram_core::ntgram_engine::train::{Adam, Run, StepOutcome, Task, Watch, drive, side_by_side, train_values};
use ntgram_core::prelude::*;

use super::calls::Calls;
use super::inputs::{HUGE, ODD, law, low_rank, of_paper, texts, transformer};

crate::groups! {
    "TrainOptions::lr, TrainOptions::seed, TrainOptions::full_divergence, TrainOptions::snapshots, TrainOptions::quiet, TrainOptions::epochs, TrainOptions::schedule, TrainOptions::rng, TrainOptions::rate, TrainOptions::steps_on, TrainOptions::check, instructions, TrainOptions::first_rng, stream_words, Snapshots::every, Snapshots::of" => options,
    "train, Training::new" => trainings,
    "" => windows_and_orders,
    "" => epochs,
    "train_all, train_each, train_lot" => lots,
    "Task::new, Task::model, Task::freeze, Task::law, Task::data, Task::options, Task::steps, Task::epochs, Task::engine, Task::refused_by_circuit_engine" => tasks,
    "Task::circuit_trainer, Trainer::step, Trainer::params, Trainer::finish, Trainer::loss_and_gradients, Trainer as Run, train_values" => the_circuit_engine,
    "drive, side_by_side, Run::engine, Run::step, Run::values, Run::n_values, Run::finish" => runs,
    "History::tail_loss, History::tail_accuracy, History::mean_loss_of_last, History::original_tail, History::original_accuracy, History::loss_by_epoch, History::accuracy_by_epoch, History::rng, History::steps_per_second" => histories,
    "Snapshot::names, Snapshot::values, Snapshot as NamedTensors" => kept,
}

fn data(batch: usize, batches: usize) -> Data {
    generate_data(batch, batches, &law(5, 3), 3, &mut TorchRng::new(4)).unwrap()
}

fn quiet() -> TrainOptions {
    TrainOptions::default().quiet()
}

/// Options that no training follows, with the arguments to blame.
fn bad_options() -> Vec<(TrainOptions, &'static str)> {
    let adam = |change: &dyn Fn(&mut Adam)| {
        let len = low_rank().params().to_flat().len();
        let mut adam = Adam { m: vec![0.0; len], v: vec![0.0; len], steps: 3 };
        change(&mut adam);
        TrainOptions { adam: Some(adam), ..quiet() }
    };
    let mut bad = vec![
        (TrainOptions { threads: Some(0), ..quiet() }, "threads"),
        (TrainOptions { max_batches: Some(0), ..quiet() }, "max_batches"),
        (quiet().snapshots(Snapshots::every(0)), "every"),
        (adam(&|adam| adam.m.truncate(3)), "adam"),
        (adam(&|adam| adam.v.push(0.0)), "adam"),
        (adam(&|adam| adam.m[2] = f32::NAN), "adam"),
        (adam(&|adam| adam.v[2] = f32::INFINITY), "adam"),
        (adam(&|adam| adam.v[2] = -1e-9), "adam"),
        (adam(&|adam| adam.steps = u64::MAX), "adam"),
        (adam(&|adam| adam.steps = 1 << 41), "adam"),
    ];
    for lr in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, -1.0] {
        bad.push((TrainOptions::lr(lr).quiet(), "lr"));
    }
    for epochs in HUGE.into_iter().chain([0, (1 << 24) + 1]) {
        bad.push((quiet().epochs(epochs), "epochs"));
    }
    for to in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -5e-324] {
        bad.push((quiet().schedule(Schedule::Linear { to }), "schedule"));
    }
    for lr in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
        bad.push((TrainOptions::lr(lr).quiet().epochs(2).schedule(Schedule::Linear { to: 1e-3 }), "lr"));
        bad.push((quiet().epochs(2).schedule(Schedule::Rates(vec![1e-3, lr])), "schedule"));
    }
    for count in [0, 1, 3, 1_000_000] {
        bad.push((quiet().epochs(2).schedule(Schedule::Rates(vec![1e-3; count])), "schedule"));
    }
    for name in texts() {
        bad.push((quiet().snapshots(Snapshots::every(1).of(&name)), "parameters"));
    }
    bad
}

fn options(calls: &mut Calls) {
    for x in ODD {
        calls.right(format!("lr({x})"), || {
            let options = TrainOptions::lr(x).seed(u64::MAX).full_divergence().quiet();
            Ok(options.lr.to_bits() == x.to_bits()
                && options.seed == u64::MAX
                && options.loss == Loss::FullDivergence
                && !options.progress)
        });
    }
    for count in HUGE.into_iter().chain([0]) {
        calls.right(format!("epochs({count})"), || {
            let options = quiet().epochs(count).schedule(Schedule::Linear { to: 0.0 });
            let rates = HUGE.map(|epoch| options.rate(epoch)).iter().all(|rate| *rate <= 1e-3 || rate.is_nan());
            let model = low_rank();
            let words = model.params().to_flat().len() as u128 + 4 * count as u128;
            Ok(rates
                && options.steps_on(&data(2, 3)) == count.saturating_mul(3)
                && TrainOptions { max_batches: Some(2), ..options }.steps_on(&data(2, 3))
                    == if count == 0 { 0 } else { 2 }
                && u128::from(stream_words(model.sizes(), count)) == words.min(u64::MAX.into()))
        });
        calls.right(format!("rate({count})"), || {
            let rates = [vec![], vec![2.0]].map(|rates| quiet().schedule(Schedule::Rates(rates)).rate(count));
            Ok(rates == [1e-3, if count == 0 { 2.0 } else { 1e-3 }] && quiet().rate(count) == 1e-3)
        });
    }
    for x in ODD {
        calls.either(format!("check of lr {x}"), "lr", || {
            let checked = TrainOptions::lr(x).quiet().check();
            Ok(checked.is_ok() == (x.is_finite() && x > 0.0) && checked.map(|()| true)?)
        });
    }
    calls.right("instructions", || Ok(!ntgram_core::ntgram_engine::engine::instructions().is_empty()));
    calls.refused("check of no epochs", "epochs", || quiet().epochs(0).check());
    calls.refused("check of no threads", "threads", || TrainOptions { threads: Some(0), ..quiet() }.check());
    calls.refused("check of no batches", "max_batches", || TrainOptions { max_batches: Some(0), ..quiet() }.check());
    calls.right("words of sizes that no model has", || {
        let config = TransformerConfig::of_paper(usize::MAX, usize::MAX, usize::MAX);
        Ok(stream_words(ModelConfig::Transformer(&config), 1) == 4)
    });
    calls.right("a stream from anywhere", || {
        let mut rng = TorchRng::new(u64::MAX);
        rng.skip(u64::MAX);
        let options = quiet().seed(5).rng(rng.clone());
        Ok(options.first_rng() == rng && quiet().seed(5).first_rng() == TorchRng::new(5))
    });
    for every in HUGE.into_iter().chain([0]) {
        calls.right(format!("every({every})"), || {
            let snapshots = texts().iter().fold(Snapshots::every(every), |snapshots, name| snapshots.of(name));
            Ok(quiet().snapshots(snapshots.clone()).snapshots == Some(snapshots))
        });
    }
}

fn trainings(calls: &mut Calls) {
    for engine in [None, Some(Engine::Circuit), Some(Engine::Autograd)] {
        for (options, blamed) in bad_options() {
            let options = TrainOptions { engine, ..options };
            let what: String = format!("{options:?}").chars().take(300).collect();
            calls.refused(what, blamed, || {
                let mut model = low_rank();
                let before = model.params().to_flat();
                let refused = train(&mut model, &data(4, 2), &options);
                assert_eq!(model.params().to_flat(), before, "a refused training changes nothing");
                refused
            });
        }
        for lr in [f64::MIN_POSITIVE, 1e-300, 1e-30, 1e10, 1e30, 1e300, f64::MAX] {
            calls.either(format!("{engine:?}, lr {lr:e}"), "diverged|lr", || {
                let mut model = low_rank();
                let history = train(&mut model, &data(4, 6), &TrainOptions { engine, ..TrainOptions::lr(lr).quiet() })?;
                let finite = model.params().to_flat().iter().all(|x| x.is_finite());
                Ok(finite && history.loss.iter().all(|x| x.is_finite()) && history.loss.len() == 6)
            });
        }
        for size in HUGE {
            calls.right(format!("{engine:?}, {size} threads, batches and steps between snapshots"), || {
                let options = TrainOptions {
                    engine,
                    threads: Some(size),
                    max_batches: Some(size),
                    ..quiet().snapshots(Snapshots::every(size))
                };
                Ok(train(&mut transformer(), &data(4, 3), &options)?.snapshots.len() == 2)
            });
        }
        for seed in [0, u64::MAX] {
            calls.right(format!("{engine:?}, seed {seed}, one sequence"), || {
                Ok(train(&mut transformer(), &data(1, 1), &TrainOptions { engine, ..quiet().seed(seed) })?.loss.len()
                    == 1)
            });
        }
        calls.refused(format!("{engine:?}: the data of another law"), "data", || {
            let pi = law(5, 2);
            train(
                &mut low_rank(),
                &generate_data(2, 2, &pi, 3, &mut TorchRng::new(1))?,
                &TrainOptions { engine, ..quiet() },
            )
        });
        calls.refused(format!("{engine:?}: all frozen"), "freeze", || {
            let mut model = low_rank();
            model.freeze(Freeze { e: true, u: true, ..Default::default() });
            train(&mut model, &data(2, 2), &TrainOptions { engine, ..quiet() })
        });
        calls.either(format!("{engine:?}: weights of 1e38"), "diverged|model", || {
            let mut model = low_rank();
            let len = model.params().to_flat().len();
            model.params_mut().set_flat(&vec![1e38; len])?;
            let history = train(&mut model, &data(2, 2), &TrainOptions { engine, ..quiet() })?;
            Ok(history.loss.iter().all(|x| x.is_finite()))
        });
        calls.refused(format!("{engine:?}: a model that diverged"), "diverged|model", || {
            let mut model = low_rank();
            for _ in 0..2 {
                // the second time it is refused as it is
                train(&mut model, &data(4, 6), &TrainOptions { engine, ..TrainOptions::lr(1e38).quiet() }).ok();
            }
            train(&mut model, &data(4, 6), &TrainOptions { engine, ..quiet() })
        });
        let one = Law::new(1, vec![vec![1.0]; 3]).unwrap();
        calls.right(format!("{engine:?}: one token, one dimension"), || {
            let data = generate_data(2, 3, &one, 3, &mut TorchRng::new(1))?;
            let config = TransformerConfig { d_model: 1, n_vocab: 1, ..Default::default() };
            let mut model = Transformer::new(&config, &one, &mut TorchRng::new(1))?;
            let history = train(&mut model, &data, &TrainOptions { engine, ..quiet() })?;
            Ok(history.loss.iter().all(|x| x.abs() < 1e-6) && history.accuracy == [1.0; 3])
        });
    }
    for order in [1, 2, 4] {
        let pi = law(3, order);
        for window in [order, 5] {
            calls.either(format!("order {order}, window {window}"), "data|context_window", || {
                let data = generate_data(4, 3, &pi, window, &mut TorchRng::new(1))?;
                let mut model = LowRank::new(2, 3, window, &pi, &mut TorchRng::new(1))?;
                let mut lot = [Training::new(&mut model, &data, quiet())];
                let Training { model, data, options } = &mut lot[0];
                Ok(train(*model, data, options)?.loss.iter().all(|x| x.is_finite()))
            });
        }
    }
}

/// Both engines' losses of a training: finite, and the same.
fn both(model: &dyn Fn() -> Result<Box<dyn Model>>, data: &Data, options: &TrainOptions) -> Result<bool> {
    let [circuit, autograd] = [Engine::Circuit, Engine::Autograd].map(|engine| {
        Ok::<_, Error>(train(&mut *model()?, data, &TrainOptions { engine: Some(engine), ..options.clone() })?.loss)
    });
    let (circuit, autograd) = (circuit?, autograd?);
    let near = circuit.iter().zip(&autograd).all(|(a, b)| (a - b).abs() < 1e-4 * b.abs().max(1.0));
    Ok(near && circuit.len() == options.steps_on(data) && autograd.len() == circuit.len())
}

fn windows_and_orders(calls: &mut Calls) {
    let uniform = |n: usize| Law::new(n, vec![vec![1.0 / n as f32; n]]);
    for order in [1, 2, 4, 6] {
        for window in [order.max(2), 7, 33] {
            for loss in [Loss::NextToken, Loss::FullDivergence] {
                let (pi, options) = (law(3, order), TrainOptions { loss, ..quiet() });
                let draw = || generate_data(4, 3, &pi, window, &mut TorchRng::new(1));
                calls.right(format!("low rank, order {order}, window {window}, {loss:?}"), || {
                    let model =
                        || Ok(Box::new(LowRank::new(2, 3, window, &pi, &mut TorchRng::new(1))?) as Box<dyn Model>);
                    both(&model, &draw()?, &options)
                });
                for paper in [false, true] {
                    let sizes = if paper { of_paper() } else { transformer() }.config().clone();
                    let config = TransformerConfig { n_vocab: 3, context_window: window, ..sizes };
                    calls.right(format!("paper: {paper}, order {order}, window {window}, {loss:?}"), || {
                        let model =
                            || Ok(Box::new(Transformer::new(&config, &pi, &mut TorchRng::new(1))?) as Box<dyn Model>);
                        both(&model, &draw()?, &options)
                    });
                }
            }
        }
    }
    for (n, window) in [(1, 2), (1, 40), (1, 3), (2, 33), (1 << 16, 2), (1 << 16, 3), (1 << 16, 5), ((1 << 15) + 1, 4)]
    {
        let config =
            TransformerConfig { d_model: 2, n_vocab: n, n_layers: 2, context_window: window, ..Default::default() };
        for paper in [false, true] {
            let d_inner = paper.then_some(3);
            let norm = if paper { Norm::None } else { Norm::Layer };
            let config = TransformerConfig { d_inner, norm, ..config.clone() };
            calls.right(format!("N = {n}, window {window}, paper: {paper}"), || {
                let pi = uniform(n)?;
                // both ends of the vocabulary, in every place
                let tokens = (0..6 * window).map(|k| if k * k % 7 < 3 { n - 1 } else { k % 2 % n } as u16).collect();
                let data = Data::from_sequences(Sequences::new(tokens, window)?, 2, &pi)?;
                let model = || Ok(Box::new(Transformer::new(&config, &pi, &mut TorchRng::new(1))?) as Box<dyn Model>);
                let low = || Ok(Box::new(LowRank::new(2, n, window, &pi, &mut TorchRng::new(1))?) as Box<dyn Model>);
                Ok(both(&model, &data, &quiet())? && both(&low, &data, &quiet().full_divergence())?)
            });
        }
    }
    // more memory than there is: refused, or trained
    let huge = |window, n_modules, n_heads, d_inner| TransformerConfig {
        d_model: 2,
        n_vocab: 2,
        context_window: window,
        n_modules,
        n_heads,
        d_inner: Some(d_inner),
        ..Default::default()
    };
    for engine in [None, Some(Engine::Circuit), Some(Engine::Autograd)] {
        for config in [
            huge(100_000, 1, 1, 1),
            huge(5_000_000, 1, 1, 1),
            huge(20_000, 8, 1, 1),
            huge(4_000, 1, 256, 256),
            huge(3, 1, 2048, 2048),
            huge(3, 1, 1, 512),
            huge(3, 20_000, 1, 1),
            huge(64, 1_000, 8, 8),
        ] {
            calls.either(format!("{engine:?}, {config:?}"), "engine|data", || {
                let pi = uniform(2)?;
                let data = sample_data(2, 1, &pi, config.context_window, &mut TorchRng::new(1))?;
                let mut model = Transformer::new(&config, &pi, &mut TorchRng::new(1))?;
                let history = train(&mut model, &data, &TrainOptions { engine, ..quiet() })?;
                Ok(history.loss.len() == 1 && history.loss[0].is_finite())
            });
        }
    }
}

fn epochs(calls: &mut Calls) {
    let data = data(4, 2);
    let model = || Ok(Box::new(low_rank()) as Box<dyn Model>);
    let most = 1 << 24;
    let few = |options: TrainOptions| TrainOptions { max_batches: Some(5), ..options };
    for schedule in [
        Schedule::Constant,
        Schedule::Linear { to: 0.0 },
        Schedule::Linear { to: 1e-3 },
        Schedule::Linear { to: 5e-324 },
        Schedule::Rates(vec![1e-4; most]),
    ] {
        let what = format!("{schedule:?}").chars().take(40).collect::<String>();
        calls.right(format!("the most epochs, few batches, {what}"), || {
            both(&model, &data, &few(quiet().epochs(most).schedule(schedule)))
        });
    }
    calls.right("many epochs of one batch", || {
        let options = quiet().epochs(3000).schedule(Schedule::Linear { to: 0.0 });
        let one = generate_data(4, 1, &law(5, 3), 3, &mut TorchRng::new(4))?;
        let history = train(&mut low_rank(), &one, &options)?;
        Ok(history.loss_by_epoch() == history.loss && history.lr_by_epoch.len() == 3000)
    });
    for engine in [Engine::Circuit, Engine::Autograd] {
        for rates in [vec![f64::MAX; 2], vec![1e-300, f64::MAX], vec![f64::MIN_POSITIVE, 5e-324], vec![1e38, 1e-38]] {
            calls.either(format!("{engine:?}, {rates:?}"), "diverged|schedule|lr", || {
                let options =
                    TrainOptions { engine: Some(engine), ..quiet().epochs(2).schedule(Schedule::Rates(rates)) };
                let mut model = low_rank();
                let history = train(&mut model, &data, &options)?;
                let finite = model.params().to_flat().iter().all(|x| x.is_finite());
                Ok(finite && history.loss.len() == 4 && history.loss.iter().all(|x| x.is_finite()))
            });
        }
    }
    let len = low_rank().params().to_flat().len();
    for steps in [0, (1 << 31) - 2, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 40] {
        calls.right(format!("going on after {steps} steps"), || {
            let adam = Some(Adam { m: vec![1e-3; len], v: vec![1e-4; len], steps });
            both(&model, &data, &TrainOptions { adam, ..TrainOptions::lr(0.1).quiet().epochs(3) })
        });
    }
    calls.right("a stream that runs on", || {
        let mut rng = TorchRng::new(u64::MAX);
        rng.skip(u64::MAX);
        let history = train(&mut low_rank(), &data, &few(quiet().epochs(most).rng(rng.clone())))?;
        rng.skip(4 * 3);
        Ok(history.rng() == rng && history.lr_by_epoch.len() == 3)
    });
}

fn lots(calls: &mut Calls) {
    calls.right("no trainings", || {
        Ok(train_lot(vec![])?.is_empty() && train_all::<LowRank>(&mut [], &data(1, 1), &quiet())?.is_empty())
    });
    for (options, blamed) in bad_options() {
        let what: String = format!("{options:?}").chars().take(300).collect();
        calls.refused(what, blamed, || {
            let mut models = [low_rank(), low_rank()];
            let before = models[0].params().to_flat();
            let data = data(4, 2);
            let [first, second] = &mut models;
            let refused =
                train_lot(vec![Training::new(first, &data, quiet()), Training::new(second, &data, options.clone())]);
            assert_eq!(models[0].params().to_flat(), before, "nothing is trained where one is refused");
            refused
        });
    }
    calls.right("one diverges, and the others' histories are there", || {
        let (mut first, mut second, mut third) = (low_rank(), low_rank(), low_rank());
        let data = data(4, 6);
        let alone = train(&mut third, &data, &quiet())?.loss;
        let mut results = train_each(vec![
            Training::new(&mut first, &data, TrainOptions::lr(1e38).quiet()),
            Training::new(&mut second, &data, quiet()),
        ])?;
        let kept = results.pop().unwrap()?;
        Ok(kept.loss == alone && matches!(results[0], Err(Error::Diverged { .. })) && train_each(vec![])?.is_empty())
    });
    calls.refused("one diverges", "diverged", || {
        let mut models = [low_rank(), low_rank()];
        let len = models[1].params().to_flat().len();
        models[1].params_mut().set_flat(&vec![1e38; len])?;
        train_all(&mut models, &data(4, 6), &TrainOptions::lr(1e38).quiet())
    });
}

fn tasks(calls: &mut Calls) {
    let (pi, data) = (law(5, 3), data(4, 2));
    let low = low_rank();
    for (options, blamed) in bad_options() {
        let what: String = format!("{options:?}").chars().take(300).collect();
        calls.refused(what, blamed, || Task::new(low.sizes(), Freeze::default(), &pi, &data, &options).map(drop));
    }
    for size in HUGE {
        let config = LowRankConfig { d_model: size, n_vocab: 5, context_window: 3, order: 3, ..Default::default() };
        calls.refused(format!("d = {size}"), "config", || {
            Task::new(ModelConfig::LowRank(&config), Freeze::default(), &pi, &data, &quiet()).map(drop)
        });
    }
    calls.right("a task", || {
        let options = TrainOptions { max_batches: Some(usize::MAX), ..quiet() };
        let task = Task::new(low.sizes(), Freeze::default(), &pi, &data, &options)?;
        let reads = task.steps() == 2
            && task.epochs() == 1
            && task.law() == &pi
            && task.data() == &data
            && task.freeze() == Freeze::default()
            && task.options() == &options;
        let engine =
            task.engine(None)? == Engine::Circuit && task.engine(Some("x".repeat(100_000)))? == Engine::Autograd;
        Ok(reads && engine && task.refused_by_circuit_engine().is_none() && task.model().n_vocab() == 5)
    });
    calls.right("the most epochs", || {
        let options = quiet().epochs(1 << 24);
        let some = TrainOptions { max_batches: Some(3), ..options.clone() };
        let new = |options| Task::new(low.sizes(), Freeze::default(), &pi, &data, options);
        let counts = [&options, &some].map(|options| new(options).map(|task| (task.steps(), task.epochs())));
        let [all, some] = counts;
        Ok((all?, some?) == ((1 << 25, 1 << 24), (3, 2)))
    });
    calls.refused("an engine that cannot", "engine", || {
        let options = TrainOptions { engine: Some(Engine::Circuit), ..quiet() };
        Task::new(low.sizes(), Freeze::default(), &pi, &data, &options)?.engine(Some("no".into()))
    });
}

fn the_circuit_engine(calls: &mut Calls) {
    let (pi, data, options) = (law(5, 3), data(4, 2), quiet());
    let low = low_rank();
    let task = Task::new(low.sizes(), Freeze::default(), &pi, &data, &options).unwrap();
    let flat = low.params().to_flat();
    for len in [0, 1, flat.len() - 1, flat.len() + 1] {
        calls.refused(format!("{len} values"), "values", || task.circuit_trainer(vec![0.0; len]).map(drop));
        calls.refused(format!("training of {len} values"), "values", || train_values(&task, &mut vec![0.0; len]));
    }
    for bad in [f32::NAN, f32::INFINITY, 1e38] {
        calls.either(format!("values of {bad}"), "values|diverged", || {
            let mut values = vec![bad; flat.len()];
            Ok(train_values(&task, &mut values)?.loss.iter().all(|x| x.is_finite()))
        });
    }
    calls.right("no batch is left", || {
        let mut trainer = task.circuit_trainer(flat.clone())?;
        let made = (0..5).filter(|_| trainer.step().is_some()).count();
        let none = trainer.loss_and_gradients().is_none();
        let params = trainer.params();
        let (last, adam) = trainer.finish();
        Ok(made == 2 && none && params == last && adam.steps == 2)
    });
    let none: Box<dyn Fn() -> StepOutcome> = Box::new(|| {
        let mut run: Box<dyn Run> = Box::new(task.circuit_trainer(flat.clone()).unwrap());
        (0..3).map(|k| run.step(k)).last().unwrap()
    });
    calls.panics("a step beyond the last batch", "as many steps as batches", none);
    let longer = TransformerConfig { n_vocab: 5, context_window: 70_000, ..Default::default() };
    calls.refused("more memory than it takes", "engine", || {
        let data = sample_data(2, 1, &pi, 70_000, &mut TorchRng::new(1))?;
        Task::new(ModelConfig::Transformer(&longer), Freeze::default(), &pi, &data, &options)?
            .circuit_trainer(vec![])
            .map(drop)
    });
}

/// A run that answers anything.
struct Odd {
    values: Vec<f32>,
    last: Vec<f32>,
    loss: f64,
}

impl Run for Odd {
    fn engine(&self) -> Engine {
        Engine::Autograd
    }
    fn step(&mut self, _: usize) -> StepOutcome {
        StepOutcome { loss: self.loss, accuracy: f64::NAN }
    }
    fn values(&self) -> Vec<f32> {
        self.values.clone()
    }
    fn finish(self: Box<Self>, steps: usize) -> (Vec<f32>, Adam) {
        (self.last, Adam { m: vec![], v: vec![], steps: steps as u64 })
    }
}

fn runs(calls: &mut Calls) {
    let (pi, data, options) = (law(5, 3), data(4, 2), quiet().snapshots(Snapshots::every(1)));
    let low = low_rank();
    let task = Task::new(low.sizes(), Freeze::default(), &pi, &data, &options).unwrap();
    let len = low.params().to_flat().len();
    for (values, last) in [(0, len), (len, 0), (len + 1, len), (len, len + 1)] {
        for loss in [0.0, f64::NAN] {
            calls.refused(format!("a run with {values} values, then {last}, loss {loss}"), "run", || {
                drive(
                    &task,
                    Box::new(Odd { values: vec![1.0; values], last: vec![1.0; last], loss }),
                    &mut vec![],
                    Watch::default(),
                )
            });
        }
    }
    for loss in ODD {
        calls.either(format!("a loss of {loss}"), "diverged", || {
            let run = Odd { values: vec![1.0; len], last: vec![1.0; len], loss };
            let engine = run.engine();
            let history = drive(&task, Box::new(run), &mut vec![], Watch::default())?;
            Ok(history.loss == [loss; 2] && history.engine == engine)
        });
    }
    calls.refused("values that are no numbers at the end", "diverged", || {
        let mut run = Odd { values: vec![1.0; len], last: vec![f32::NAN; len], loss: 1.0 };
        assert!(run.step(0).loss == 1.0 && Run::values(&run).len() == len && run.n_values() == len);
        drive(&task, Box::new(run), &mut vec![], Watch::default())
    });
    calls.right("an end before the first step", || {
        let (values, adam) = Box::new(Odd { values: vec![], last: vec![2.0], loss: 0.0 }).finish(usize::MAX);
        Ok(values == [2.0] && adam.steps == u64::MAX)
    });
    calls.right("side by side", || {
        let none = side_by_side(Vec::<fn(&AtomicUsize) -> usize>::new(), usize::MAX, false);
        let many: Vec<_> = (0..1000).map(|k| move |_: &AtomicUsize| k).collect();
        Ok(none.is_empty() && side_by_side(many, 0, false) == (0..1000).collect::<Vec<_>>())
    });
}

fn history(loss: Vec<f64>, seconds: f64) -> History {
    let mut history = train(&mut low_rank(), &data(2, 1), &quiet()).unwrap();
    (history.accuracy, history.loss, history.seconds) = (loss.clone(), loss, seconds);
    history
}

fn histories(calls: &mut Calls) {
    for loss in [vec![], vec![f64::NAN], vec![f64::INFINITY, f64::NEG_INFINITY]] {
        let history = history(loss.clone(), 0.0);
        calls.right(format!("{loss:?}"), || Ok(history.tail_loss().is_nan() && history.tail_accuracy().is_nan()));
    }
    let history = history(vec![1.0, 2.0, 6.0], 0.0);
    for count in HUGE {
        calls.right(format!("the last {count}"), || {
            Ok(history.mean_loss_of_last(count) == 3.0 && history.original_tail(count) >= 0.0)
        });
    }
    for batches_per_epoch in HUGE.into_iter().chain([0, 1]) {
        let history = History { batches_per_epoch, ..history.clone() };
        calls.right(format!("epochs of {batches_per_epoch} batches"), || {
            let (loss, accuracy) = (history.loss_by_epoch(), history.accuracy_by_epoch());
            let wanted = if batches_per_epoch > 1 { vec![3.0] } else { vec![1.0, 2.0, 6.0] };
            Ok(loss == wanted && accuracy == wanted && (history.original_accuracy() - 0.03).abs() < 1e-12)
        });
    }
    calls.right("nothing, by epochs", || {
        let empty = History { loss: vec![], accuracy: vec![], ..history.clone() };
        Ok(empty.loss_by_epoch().is_empty() && empty.accuracy_by_epoch().is_empty() && empty.original_accuracy() == 0.0)
    });
    calls.right("the last none", || Ok(history.mean_loss_of_last(0).is_nan() && history.original_tail(0).is_nan()));
    calls.right("in no time", || {
        Ok(history.steps_per_second() == f64::INFINITY
            && history.rng().next_word() == TorchRng::after_training(0).next_word())
    });
}

fn kept(calls: &mut Calls) {
    let options = quiet().snapshots(Snapshots::every(1).of("unemb.weight"));
    let history = train(&mut low_rank(), &data(2, 2), &options).unwrap();
    let snapshot = &history.snapshots[0];
    for name in texts().into_iter().chain(["word_emb.weight".to_owned()]) {
        let what: String = name.chars().take(20).collect();
        calls.refused(format!("values({what:?})"), "name", || snapshot.values(&name).map(|(shape, _)| shape.len()));
        calls.refused(format!("get({what:?})"), "name", || snapshot.get(&name));
    }
    calls.right("what it has", || {
        Ok(snapshot.names() == ["unemb.weight"] && snapshot.get("unemb.weight")?.size() == [5, 2])
    });
}
