//! The program as a person or a script meets it.

mod common;

use std::process::{Command, Stdio};

use common::{expect, program, run, small_plan, text};
use ntgram_engine::prelude::*;
use ntgram_sweep::Plan;

/// The columns of a CSV, by name.
fn column(csv: &str, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let at = reader.headers().unwrap().iter().position(|head| head == name).unwrap_or_else(|| panic!("{name}: {csv}"));
    reader.records().map(|row| row.unwrap()[at].to_owned()).collect()
}

fn numbers(csv: &str, name: &str) -> Vec<f64> {
    column(csv, name).iter().map(|cell| cell.parse().unwrap()).collect()
}

#[test]
fn tables_have_what_the_trainings_came_to() {
    let folder = tempfile::tempdir().unwrap();
    let plan_file = small_plan(folder.path(), 2, 3);
    let (plan, to) = (text(&plan_file), folder.path().join("results"));
    let [tasks, points] = ["tables/tasks.csv", "tables/points.csv"].map(|name| folder.path().join(name));
    expect(0, &["run", plan, "--to", text(&to)]);
    expect(0, &["gather", plan, "--to", text(&to), "--tasks", text(&tasks), "--points", text(&points)]);
    let [tasks, points] = [tasks, points].map(|path| std::fs::read_to_string(path).unwrap());
    assert_eq!(expect(0, &["gather", plan, "--to", text(&to)]), points);

    // each row, trained here from the plan's words alone: one stream through all models and epochs
    let mut rng = TorchRng::new(5);
    let law = power_unif_law(&[1.0; 3], &[8, 8, 1], 8, &mut rng).unwrap();
    let data = generate_data(64, 32, &law, 3, &mut rng).unwrap();
    let mut rng = TorchRng::new(5);
    let (mut accuracies, mut losses) = (vec![], vec![]);
    for d_model in [2, 3] {
        for n_modules in [1, 1, 3, 3] {
            let config = TransformerConfig { d_model, n_modules, n_vocab: 8, norm: Norm::None, ..Default::default() };
            let model = ModelConfig::Transformer(&config);
            let mut values = model.initial_values(&mut rng).unwrap();
            let options = TrainOptions::lr(0.01).epochs(3).rng(rng).quiet();
            let task = ntgram_engine::train::Task::new(model, Freeze::default(), &law, &data, &options).unwrap();
            let history = train_values(&task, &mut values).unwrap();
            accuracies.push(history.tail_accuracy());
            losses.push(history.tail_loss());
            rng = history.rng();
        }
    }
    assert_eq!(numbers(&tasks, "accuracy"), accuracies);
    assert_eq!(numbers(&tasks, "loss"), losses);
    assert_eq!(numbers(&tasks, "d"), [2.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0]);
    assert_eq!(column(&tasks, "table")[3..5], ["small_2", "small_3"]);
    assert_eq!(numbers(&tasks, "repetition"), [0.0, 1.0].repeat(4));
    assert_eq!(numbers(&tasks, "steps"), [96.0; 8]);
    assert_eq!(numbers(&points, "count"), [2.0; 4]);
    for (k, (mean, error)) in numbers(&points, "loss").into_iter().zip(numbers(&points, "loss_se")).enumerate() {
        let (a, b) = (losses[2 * k], losses[2 * k + 1]);
        assert!((mean - (a + b) / 2.0).abs() < 1e-15 && (error - (a - b).abs() / 2.0).abs() < 1e-15, "point {k}");
    }
    // the same table from another run, and from the tasks in parts
    let again = folder.path().join("again");
    expect(0, &["task", plan, "--parts", "3", "--part", "2", "--to", text(&again)]);
    expect(3, &["gather", plan, "--to", text(&again)]);
    expect(0, &["run", plan, "--to", text(&again), "--jobs", "1"]);
    assert_eq!(expect(0, &["gather", plan, "--to", text(&again)]), points);
}

#[test]
fn a_training_that_diverges_is_a_result() {
    let folder = tempfile::tempdir().unwrap();
    let plan_file = small_plan(folder.path(), 1, 2);
    let wild = std::fs::read_to_string(&plan_file).unwrap().replace("lr = 0.01", "lr = 1e18");
    std::fs::write(&plan_file, wild).unwrap();
    let (plan, to) = (text(&plan_file), folder.path().join("results"));
    let said = expect(0, &["run", plan, "--to", text(&to)]);
    assert!(said.contains("4 of them diverged"), "{said}");
    let points = expect(0, &["gather", plan, "--to", text(&to)]);
    assert_eq!(column(&points, "accuracy"), ["", ""]);
    assert_eq!(numbers(&points, "diverged"), [2.0, 2.0]);
    assert!(expect(0, &["run", plan, "--to", text(&to)]).contains(": 0 computed now"));
}

#[test]
fn codes_tell_scripts_what_happened() {
    let folder = tempfile::tempdir().unwrap();
    let plan_file = small_plan(folder.path(), 1, 1);
    let (plan, to) = (text(&plan_file), folder.path().join("results"));
    let to = text(&to);
    let said = |words: &[&str], code: i32| {
        let output = run(words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
    };
    assert!(said(&["list", plan], 0).contains("4 trainings, 128 steps"));
    assert!(said(&["list", plan, "--to", to], 1).contains("cannot read"));
    assert!(said(&["task", plan, "7", "--to", to], 1).contains("numbers 0 to 3"));
    assert!(said(&["task", plan, "--to", to], 2).contains("INDEX"));
    assert!(said(&["task", plan, "3-1", "--to", to], 2).contains("above"));
    assert!(said(&["task", plan, "--parts", "2", "--to", to], 1).contains("HQ_TASK_ID"));
    assert!(said(&["task", plan, "--parts", "2", "--part", "2", "--to", to], 1).contains("from 0 to 1"));
    assert!(said(&["task", plan, "--parts", "0", "--part", "0", "--to", to], 2).contains("0"));
    assert!(said(&["task", plan, "1", "--to", to], 0).contains("1 of 1 trainings"));
    assert!(said(&["list", plan, "--to", to, "--all"], 3).contains("1 done, 3 missing, 0 broken"));
    assert!(said(&["run", plan, "--to", to, "--jobs", "0"], 1).contains("`jobs` is 0"));
    assert!(said(&["run", plan, "--to", to, "--only", "large"], 1).contains("small_2"));
    assert!(said(&["run", plan, "--to", to, "--only", "small_2"], 0).contains("4 of 4 trainings"));
    assert!(said(&["run", "nowhere.toml", "--to", to], 1).contains("nowhere.toml"));
    assert!(said(&["fly"], 2).contains("fly"));
    assert!(said(&["submit", plan, "--on", "hq", "--to", to, "--seconds", "0"], 1).contains("`seconds` is 0"));
    for words in
        [&["--help"][..], &["run", "--help"], &["task", "--help"], &["gather", "--help"], &["submit", "--help"]]
    {
        assert!(said(words, 0).len() > 300);
    }
    // a reader that has seen enough
    let mut child = program().args(["list", plan]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn scripts_for_a_cluster_are_what_a_shell_takes() {
    let folder = tempfile::tempdir().unwrap();
    let odd = folder.path().join("it's a folder");
    std::fs::create_dir(&odd).unwrap();
    let plan_file = small_plan(&odd, 2, 1);
    let plan = text(&plan_file);
    let to = odd.join("results");
    let script =
        expect(0, &["submit", plan, "--on", "slurm", "--to", text(&to), "--seconds", "0.0002", "--only", "small_2"]);
    let checked = Command::new("bash").args(["-n", "-c", &script]).status().unwrap();
    assert!(checked.success(), "{script}");
    let array = script.lines().find_map(|line| line.strip_prefix("#SBATCH --array=0-")).unwrap();
    let last: usize = array.parse().unwrap();
    assert!(last > 0, "{script}");
    for part in 0..=last {
        let status = Command::new("sh")
            .args(["-c", &script])
            .env("SLURM_ARRAY_TASK_ID", part.to_string())
            .stdout(Stdio::null())
            .status();
        assert!(status.unwrap().success(), "{script}");
    }
    expect(0, &["gather", plan, "--to", text(&to), "--only", "small_2"]);
    let line = expect(0, &["submit", plan, "--on", "hq", "--to", text(&to)]);
    assert!(line.starts_with("hq submit ") && line.contains("--array 0-0 ") && line.contains("'\\''"), "{line}");
    // `--run` hands it over
    let shim = folder.path().join("sbatch");
    std::fs::write(&shim, format!("#!/bin/sh\ncat > '{}'\n", folder.path().join("script").display())).unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&shim, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let words =
        ["submit", plan, "--on", "slurm", "--to", text(&to), "--seconds", "0.0002", "--only", "small_2", "--run"];
    assert!(program().args(words).env("PATH", path).status().unwrap().success());
    assert_eq!(std::fs::read_to_string(folder.path().join("script")).unwrap(), script);
}

/// One file that runs on any node: beside the system's libc it loads nothing.
#[cfg(target_os = "linux")]
#[test]
fn the_program_needs_nothing_but_libc() {
    let listed = Command::new("ldd").arg(env!("CARGO_BIN_EXE_ntgram-sweep")).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let known = ["linux-vdso", "libc.so", "libm.so", "libgcc_s.so", "ld-linux", "libpthread", "libdl", "librt"];
    for line in listed.lines() {
        assert!(known.iter().any(|name| line.contains(name)), "{line}");
    }
    assert!(listed.contains("libc.so"), "{listed}");
}

/// The text of the crate's plans and the library agree with the program.
#[test]
fn the_library_reads_the_plans_that_the_program_reads() {
    let folder = tempfile::tempdir().unwrap();
    let plan_file = small_plan(folder.path(), 2, 1);
    let plan = Plan::read(&plan_file).unwrap();
    let listed = expect(0, &["list", text(&plan_file)]);
    for task in plan.tasks() {
        assert!(listed.contains(&format!("{}  {}", task.key(), task.title())), "{listed}");
    }
}
