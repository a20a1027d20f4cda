//! The gathered tables of `notebooks/data`: a sample of their trainings, made again here, has the same numbers.

use ntgram_engine::engine::instructions;
use ntgram_sweep::gather::{Cell, Rows, Timings, gather};
use ntgram_sweep::training::ModelSpec;
use ntgram_sweep::{Options, Plan, Store, Task, sweep};

fn repository(path: &str) -> String {
    format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"))
}

fn place(rows: &Rows, name: &str) -> usize {
    rows.columns.iter().position(|column| column == name).unwrap()
}

fn number(cell: &Cell) -> f64 {
    match cell {
        Cell::Number(Some(number)) => *number,
        other => panic!("{other:?} is no number"),
    }
}

/// Of each table the training with the least work, with an MLP and without, but for those that take long: a few steps of each would not
/// tell.
fn sample(plan: &Plan) -> Vec<Task> {
    let with_mlp = |task: &Task| matches!(&task.training.model, ModelSpec::Transformer(config) if config.width > 0);
    let mut least: Vec<&Task> = vec![];
    for task in plan.tasks() {
        // where tables begin with the same model at the same place of the stream it is one training
        if least.iter().any(|known| known.key() == task.key()) {
            continue;
        }
        match least.iter_mut().find(|known| known.table == task.table && with_mlp(known) == with_mlp(task)) {
            Some(known) if task.training.work() < known.training.work() => *known = task,
            Some(_) => {}
            None => least.push(task),
        }
    }
    least.into_iter().filter(|task| task.training.work() < 5e9).cloned().collect()
}

fn agrees(name: &str) {
    let plan = Plan::read(repository(&format!("plans/{name}.toml"))).unwrap();
    let mut reader = csv::Reader::from_path(repository(&format!("notebooks/data/{name}_tasks.csv"))).unwrap();
    let head = reader.headers().unwrap().clone();
    let at = |name: &str| head.iter().position(|column| column == name).unwrap_or_else(|| panic!("no column {name}"));
    let committed: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert!(committed.iter().all(|row| &row[at("plan")] == plan.digest()), "the table is of another plan");

    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(folder.path()).unwrap();
    let tasks = sample(&plan);
    let known = |task: &&Task| committed.iter().any(|row| &row[at("key")] == task.key());
    let tasks: Vec<Task> = tasks.iter().filter(known).cloned().collect();
    assert!(tasks.len() > 1, "{name}: {} tasks", tasks.len());
    let summary = sweep(&tasks, &store, &Options::default(), &mut |_| ()).unwrap();
    assert_eq!((summary.done, summary.failed.len()), (tasks.len(), 0));

    let gathered = gather(&plan, &store).unwrap().tasks(Timings::Without);
    for row in &gathered.rows {
        let Cell::Text(key) = &row[place(&gathered, "key")] else { panic!("a key is text") };
        let expected = committed.iter().find(|row| &row[at("key")] == key.as_str()).unwrap();
        for measure in ["accuracy", "original_accuracy", "loss", "original_loss"] {
            let (ours, theirs) =
                (number(&row[place(&gathered, measure)]), expected[at(measure)].parse::<f64>().unwrap());
            // elsewhere sums are rounded otherwise, and a long training ends elsewhere within the spread of the repetitions
            let most = if instructions().starts_with("AVX") { 0.0 } else { 0.1 * theirs.abs() };
            assert!((ours - theirs).abs() <= most, "{name}, {key}: {measure} {ours} is not {theirs}");
        }
    }
    println!("{name}: {} trainings again, {} steps", gathered.rows.len(), summary.steps);
}

#[test]
fn the_papers_table_has_the_numbers_of_its_trainings() {
    agrees("paper");
}

#[test]
fn the_table_beyond_the_paper_has_the_numbers_of_its_trainings() {
    agrees("beyond");
}

/// The plan of the notebook's cell 3 has PyTorch's losses.
#[test]
fn cell_3_has_its_numbers() {
    let file = std::fs::read_to_string(repository("ntgram-core/tests/reference/c3.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&file).unwrap();
    let plan = Plan::read(repository("plans/scaling_laws.toml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(folder.path()).unwrap();
    sweep(plan.tasks(), &store, &Options::default(), &mut |_| ()).unwrap();
    let gathered = gather(&plan, &store).unwrap().points();
    for (row, training) in gathered.rows.iter().zip(["low_rank.train", "transformer.train"]) {
        let (ours, theirs) =
            (number(&row[place(&gathered, "loss")]), expected[training]["loss_tail100_mean"].as_f64().unwrap());
        assert!((ours - theirs).abs() < 1e-3 * theirs, "{training}: {ours} is not {theirs}");
    }
    assert_eq!(gathered.rows.len(), 2);
}
