//! Plans: what tasks they come to, and what is refused.

use ntgram_engine::models::{Norm, TransformerConfig};
use ntgram_engine::prelude::*;
use ntgram_sweep::training::{LawSpec, ModelSpec, Shuffle, Start, Training};
use ntgram_sweep::{Plan, Task};

/// The plans of the repository.
fn plan(name: &str) -> Plan {
    Plan::read(format!("{}/../plans/{name}.toml", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn of_table<'a>(plan: &'a Plan, table: &str) -> Vec<&'a Task> {
    plan.tasks().iter().filter(|task| task.table == table).collect()
}

fn transformer(task: &Task) -> &TransformerConfig {
    match &task.training.model {
        ModelSpec::Transformer(config) => config,
        ModelSpec::LowRank(_) => panic!("{} is a low-rank model", task.title()),
    }
}

/// Rows of a table: its tasks' axes, once each.
fn rows(tasks: &[&Task], axes: &[&str]) -> Vec<Vec<f64>> {
    let mut rows: Vec<Vec<f64>> =
        tasks.iter().map(|t| axes.iter().map(|axis| t.axis(axis).unwrap()).collect()).collect();
    rows.dedup();
    rows
}

#[test]
fn the_papers_plan_has_its_tables() {
    let plan = plan("paper");
    let mut tables: Vec<&str> = plan.tasks().iter().map(|task| task.table.as_str()).collect();
    tables.sort();
    tables.dedup();
    assert_eq!(tables.len(), 34);
    assert_eq!(plan.tasks().len(), 1285);
    let steps: usize = plan.tasks().iter().map(|task| task.training.steps()).sum();
    assert!((8.75e6..8.85e6).contains(&(steps as f64)), "{steps}");

    // the published tables have the same rows
    let published =
        std::fs::read_to_string(format!("{}/../notebooks/data/published.csv", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let mut count = 0;
    for line in published.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let [n, d, d_head, para, width] = [1, 2, 3, 4, 5].map(|k| cells[k].parse::<usize>().unwrap());
        let mlp = cells[0].ends_with("_mlp");
        let fits = |task: &&&Task| {
            let config = transformer(task);
            (config.n_vocab, config.d_model, config.d_module()) == (n, d, d_head)
                && if mlp {
                    task.axis("p") == Some(para as f64)
                } else {
                    (config.n_modules, config.width) == (para, width)
                }
        };
        let found = of_table(&plan, cells[0]).iter().filter(fits).count();
        assert_eq!(found, if cells[0] == "exp_6" { 20 } else { 5 }, "{line}");
        count += 1;
    }
    assert_eq!(count, 239);
}

#[test]
fn the_papers_models_data_and_rates_are_those_of_its_tables() {
    let plan = plan("paper");
    let first = |table: &str| of_table(&plan, table)[0].clone();
    let sizes = |task: &Task| {
        let Training { data, epochs, .. } = &task.training;
        (data.batch_size, data.num_batch, *epochs, transformer(task).n_layers)
    };
    let rates = |task: &Task| {
        let options = task.training.options();
        [0, 63].map(|epoch| options.rate(epoch))
    };
    let law = (0.1f64 * 0.1, 0.1 * (0.1 + (0.005 - 0.1) * 63.0 / 64.0));
    for (table, expected, (from, to)) in [
        ("exp_1_3", (256, 64, 64, 1), law),
        ("exp_5_7_att", (1024, 256, 64, 1), law),
        ("exp_5_7_mlp", (1024, 256, 64, 1), (0.01, 0.1 * (0.1 + (0.001 - 0.1) * 63.0 / 64.0))),
        ("exp_2_dim", (1024, 64, 64, 1), law),
        ("exp_5_40_dim", (1024, 64, 64, 1), (0.01, 0.1 * (0.1 + (0.001 - 0.1) * 63.0 / 64.0))),
        ("exp_2_depth", (512, 128, 64, 3), (0.0025, 0.0025)),
    ] {
        let task = first(table);
        assert_eq!(sizes(&task), expected, "{table}");
        let [first, last] = rates(&task);
        assert!((first - from).abs() < 1e-15 && (last - to).abs() < 1e-15, "{table}: {first}, {last}");
        let config = transformer(&task);
        assert_eq!((config.norm, config.center_logits, config.n_heads), (Norm::None, false, 1));
    }
    assert_eq!(rows(&of_table(&plan, "exp_5_10_mlp"), &["width"])[..2], [vec![0.0], vec![100.0]]);
    let LawSpec::PowerUnif { alphas, nb_tokens, seed, .. } = &first("exp_6").training.law;
    assert_eq!((&alphas[..], &nb_tokens[..], *seed), (&[1.0; 3][..], &[10, 10, 1][..], 2222));
}

/// A task's place in the stream is where training all those before it would have left it.
#[test]
fn places_in_the_stream_are_computed() {
    let text = r#"
        [[experiment]]
        name = "first"
        axes = { H = [1, 2] }
        repetitions = 2
        stream = { seed = 7, name = "one" }
        law = { kind = "power_unif", n_vocab = 5, alphas = [1, 1, 1], nb_tokens = [5, 5, 1], seed = 3 }
        data = { batch_size = 16, num_batch = 4, context_window = 3 }
        model = { kind = "transformer", d_model = 3, n_modules = "H", norm = "none", d_inner = 2 }
        training = { lr = 0.01, epochs = 3 }
        [[experiment]]
        name = "second"
        stream = { seed = 7, name = "one" }
        law = { kind = "power_unif", n_vocab = 5, alphas = [1, 1, 1], nb_tokens = [5, 5, 1], seed = 3 }
        data = { batch_size = 16, num_batch = 4, context_window = 3 }
        model = { kind = "low_rank", d_model = 2 }
        training = { lr = 0.01 }
    "#;
    let plan = Plan::parse(text).unwrap();
    assert_eq!(plan.tasks().len(), 5);
    let mut rng = TorchRng::new(3);
    let law = power_unif_law(&[1.0; 3], &[5, 5, 1], 5, &mut rng).unwrap();
    let data = generate_data(16, 4, &law, 3, &mut rng).unwrap();
    let mut running = TorchRng::new(7);
    for task in plan.tasks() {
        let Start::Seed { seed, skip } = task.training.init else { panic!("{:?}", task.training.init) };
        let mut place = TorchRng::new(seed);
        place.skip(skip);
        assert!(place == running, "{}", task.title());
        assert_eq!(task.training.shuffle, Shuffle::AfterInit);
        let model = task.training.model.config();
        let mut values = model.initial_values(&mut running).unwrap();
        let options = task.training.options().rng(running);
        let checked = ntgram_engine::train::Task::new(model, Freeze::default(), &law, &data, &options).unwrap();
        running = train_values(&checked, &mut values).unwrap().rng();
    }
}

const SMALL: &str = r#"
[defaults]
law = { kind = "power_unif", n_vocab = 5, alphas = [1, 1, 1], nb_tokens = [5, 5, 1], seed = 3 }
data = { batch_size = 16, num_batch = 4, context_window = 3 }
training = { lr = 0.01 }

[[experiment]]
name = "small"
axes = { d = [2, 3], H = "d + 1" }
repetitions = 2
init = { seed = "10 * d + repetition" }
shuffle = { seed = "repetition" }
model = { kind = "transformer", d_model = "d", n_modules = "H" }
"#;

#[test]
fn seeds_may_be_expressions_of_the_repetition() {
    let plan = Plan::parse(SMALL).unwrap();
    let places: Vec<_> = plan.tasks().iter().map(|task| (task.training.init, task.training.shuffle)).collect();
    let place = |seed, shuffle| (Start::Seed { seed, skip: 0 }, Shuffle::Seed(shuffle));
    assert_eq!(places, [place(20, 0), place(21, 1), place(30, 0), place(31, 1)]);
    assert_eq!(plan.tasks()[3].axes, [("d".to_owned(), 3.0), ("H".to_owned(), 4.0)]);
    assert_eq!(transformer(&plan.tasks()[3]).n_modules, 4);
}

#[test]
fn a_key_is_of_everything_that_decides_a_result_and_of_nothing_else() {
    let keys = |text: &str| Plan::parse(text).unwrap().tasks().iter().map(|t| t.key().to_owned()).collect::<Vec<_>>();
    let own = keys(SMALL);
    let mut distinct = own.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), own.len());
    // names and the order of things decide nothing
    assert_eq!(keys(&SMALL.replace("\"small\"", "\"other\"")), own);
    assert_eq!(keys(&SMALL.replace("num_batch = 4, context_window = 3", "context_window = 3, num_batch = 4")), own);
    assert_eq!(keys(&SMALL.replace("lr = 0.01", "lr = 1e-2, loss = \"next_token\", epochs = 1")), own);
    // everything else does
    for (from, to) in [
        ("n_vocab = 5", "n_vocab = 6"),
        ("alphas = [1, 1, 1]", "alphas = [1, 0.9, 1]"),
        ("nb_tokens = [5, 5, 1]", "nb_tokens = [5, 5, 2]"),
        ("seed = 3", "seed = 4"),
        ("batch_size = 16", "batch_size = 17"),
        ("num_batch = 4", "num_batch = 5"),
        ("context_window = 3", "context_window = 4"),
        ("context_window = 3", "context_window = 3, seed = 3"),
        ("lr = 0.01", "lr = 0.02"),
        ("lr = 0.01", "lr = 0.01, epochs = 2"),
        ("lr = 0.01", "lr = 0.01, loss = \"full_divergence\""),
        ("lr = 0.01", "lr = 0.01, schedule = { linear = { to = 0.001 } }"),
        ("lr = 0.01", "lr = 0.01, schedule = { rates = [0.02] }"),
        ("lr = 0.01", "lr = 0.01, max_batches = 3"),
        ("10 * d + repetition", "11 * d + repetition"),
        ("10 * d + repetition\"", "10 * d + repetition\", skip = 1"),
        ("seed = \"repetition\"", "seed = 9"),
        ("n_modules = \"H\"", "n_modules = 1"),
        ("n_modules = \"H\"", "n_modules = \"H\", norm = \"none\""),
        ("n_modules = \"H\"", "n_modules = \"H\", d_inner = 1"),
        ("n_modules = \"H\"", "n_modules = \"H\", width = 3"),
        ("n_modules = \"H\"", "n_modules = \"H\", n_layers = 2"),
        ("n_modules = \"H\"", "n_modules = \"H\", center_logits = false"),
        ("n_modules = \"H\"", "n_modules = \"H\", skips = [\"res_connection\"]"),
        ("n_modules = \"H\"", "n_modules = \"H\", freeze = [\"e\"]"),
        ("kind = \"transformer\", d_model = \"d\", n_modules = \"H\"", "kind = \"low_rank\", d_model = \"d\""),
    ] {
        assert!(SMALL.contains(from), "{from}");
        let other = keys(&SMALL.replace(from, to));
        assert_eq!(other.len(), own.len());
        let changed = other.iter().filter(|key| !own.contains(key)).count();
        assert!(changed > 0, "{to}: no key changes");
        let by_repetition = to.contains("seed = 9");
        assert!(by_repetition || changed == own.len(), "{to}: {changed} of {} keys change", own.len());
    }
}

#[test]
fn what_cannot_be_run_is_refused_with_line_and_key() {
    for (from, to, line, parts) in [
        ("num_batch = 4", "num_batches = 4", 4, &["data.num_batches", "unknown field"][..]),
        ("axes = { d = [2, 3]", "axes = { d = []", 9, &["axes.d", "empty"]),
        ("axes = { d = [2, 3]", "axes = { d = { from = 3, to = 2 }", 9, &["axes.d", "no value"]),
        ("axes = { d = [2, 3]", "axes = { sin = [2, 3]", 9, &["axes.sin", "named by a letter"]),
        ("H = \"d + 1\"", "H = \"d + x\"", 9, &["axes.H", "`x`"]),
        ("H = \"d + 1\"", "H = \"d - 2\"", 13, &["model.n_modules", "at least 1"]),
        ("n_modules = \"H\"", "n_modules = \"H\", n_heads = 2", 13, &["model.n_heads", "divide"]),
        ("d_model = \"d\"", "d_model = \"d / 2\"", 13, &["model.d_model", "1.5"]),
        ("kind = \"transformer\"", "kind = \"mamba\"", 13, &["model", "mamba", "low_rank"]),
        ("kind = \"transformer\"", "kind = \"low_rank\"", 13, &["model", "n_modules"]),
        ("repetitions = 2", "repetitions = 0", 10, &["repetitions"]),
        ("repetitions = 2", "repetitions = 10_000_000", 9, &["trainings"]),
        ("context_window = 3", "context_window = 2", 4, &["data.context_window", "order"]),
        ("context_window = 3", "context_window = true", 4, &["data.context_window", "no number"]),
        ("lr = 0.01", "lr = -1", 5, &["training.lr", "positive"]),
        ("lr = 0.01", "lr = 0.01, epochs = 0", 5, &["training.epochs"]),
        ("lr = 0.01", "lr = 0.01, loss = \"least\"", 5, &["training.loss", "next_token"]),
        ("lr = 0.01", "lr = 0.01, schedule = { rates = [1, 2] }", 5, &["training.schedule", "each epoch"]),
        ("nb_tokens = [5, 5, 1]", "nb_tokens = [5, 6, 1]", 3, &["law.nb_tokens", "between 1 and"]),
        ("alphas = [1, 1, 1]", "alphas = [1, 1]", 3, &["law.alphas"]),
        ("seed = 3 }", "seed = 3.5 }", 3, &["law.seed", "3.5"]),
        ("seed = 3 }", "}", 3, &["law", "seed"]),
        ("init = {", "stream = { seed = 1 }\ninit = {", 12, &["init", "stream"]),
        ("init = { seed = \"10 * d + repetition\" }\n", "", 8, &["stream", "init"]),
        ("n_modules = \"H\"", "n_modules = \"H\", skips = [\"all\"]", 13, &["model.skips", "res_connection"]),
        ("n_modules = \"H\"", "n_modules = \"H\", width = 1e18", 13, &["model.width"]),
        ("n_modules = \"H\"", "n_modules = 100000000", 13, &["model"]),
        ("name = \"small\"", "name = \"small/../..\"", 8, &["name"]),
        ("name = \"small\"", "name = \"small\"\ntable = \"t_{q}\"", 9, &["table", "`q`"]),
        ("name = \"small\"", "name = ", 8, &[]),
        ("[[experiment]]", "[experiment]", 7, &["experiment"]),
    ] {
        assert!(SMALL.contains(from), "{from}");
        let refused = Plan::parse(&SMALL.replace(from, to)).expect_err(to).to_string();
        assert!(refused.contains(&format!("line {line}")), "{to}: not line {line}: {refused}");
        for part in parts {
            assert!(refused.contains(part), "{to}: no {part:?}: {refused}");
        }
    }
    assert!(Plan::parse("").unwrap_err().to_string().contains("experiment"));
    let twice = format!("{SMALL}{}", SMALL.split_once("[[").map(|(_, rest)| format!("[[{rest}")).unwrap());
    assert!(Plan::parse(&twice).unwrap_err().to_string().contains("has this name, too"));
}

#[test]
fn a_part_of_a_plan_keeps_its_tasks_as_they_are() {
    let plan = plan("paper");
    let part = plan.only(&["exp_6", "exp_1_4"]).unwrap();
    assert_eq!(part.tasks().len(), 6 * 20 + 7 * 5);
    assert!(part.tasks().iter().all(|task| &plan.tasks()[task.index] == task));
    assert_eq!(plan.only(&["exp_1"]).unwrap().tasks().len(), 11 * 7 * 5);
    let refused = plan.only(&["exp_7"]).unwrap_err().to_string();
    assert!(refused.contains("exp_6") && refused.contains("exp_1_13_depth"), "{refused}");
}

#[test]
fn cell_3_has_its_places_in_the_stream() {
    let plan = plan("scaling_laws");
    assert_eq!(plan.tasks()[0].training.init, Start::AfterData);
    let Start::Seed { seed, skip } = plan.tasks()[1].training.init else { panic!() };
    let mut place = TorchRng::new(seed);
    place.skip(skip);
    assert!(place == TorchRng::after_training(0));
}
