//! What may happen to a sweep: nothing is lost, and what is broken is computed again.
#![cfg(unix)]

mod common;

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{expect, files, program, results, run, small_plan, text};
use ntgram_engine::prelude::TorchRng;

/// A plan, and its results as one undisturbed process computes them.
fn undisturbed(folder: &Path, points: usize, epochs: usize) -> (String, Vec<(std::path::PathBuf, String)>) {
    let plan = text(&small_plan(folder, points, epochs)).to_owned();
    let whole = folder.join("whole");
    expect(0, &["run", &plan, "--to", text(&whole), "--jobs", "1"]);
    (plan, results(&whole))
}

#[test]
fn results_do_not_depend_on_jobs_order_or_parts() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, expected) = undisturbed(folder.path(), 3, 3);
    assert_eq!(expected.len(), 12);
    let to = |name: &str| folder.path().join(name);
    expect(0, &["run", &plan, "--to", text(&to("three")), "--jobs", "3"]);
    assert!(results(&to("three")) == expected, "three jobs");
    for index in ["11", "3-5", "0", "1-2", "6-10"] {
        expect(0, &["task", &plan, index, "--to", text(&to("backwards"))]);
    }
    assert!(results(&to("backwards")) == expected, "one by one");
    for part in [4, 0, 2, 1, 3] {
        let part = part.to_string();
        let status = program()
            .args(["task", &plan, "--parts", "5", "--to", text(&to("parts"))])
            .env("SLURM_ARRAY_TASK_ID", part)
            .stdout(Stdio::null())
            .status();
        assert!(status.unwrap().success());
    }
    assert!(results(&to("parts")) == expected, "in parts");
}

#[test]
fn a_process_that_is_killed_loses_no_finished_task() {
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let (plan, expected) = undisturbed(folder.path(), 3, 200);
    let one_task = started.elapsed() / expected.len() as u32;
    let to = folder.path().join("killed");
    let (mut rng, mut kills) = (TorchRng::new(1), 0);
    for attempt in 0.. {
        let before: Vec<_> =
            if to.exists() { results(&to).into_iter().filter(|(p, _)| is_result(p)).collect() } else { vec![] };
        let mut child =
            program().args(["run", &plan, "--to", text(&to), "--jobs", "2"]).stdout(Stdio::null()).spawn().unwrap();
        // before the first task's end, or after that of some: it gets on, and is often killed
        std::thread::sleep(one_task.mul_f32(rng.uniform(0.0, 4.0)));
        child.kill().unwrap(); // SIGKILL
        let status = child.wait().unwrap();
        let after = results(&to);
        for found in &before {
            assert!(after.contains(found), "{:?} was there before attempt {attempt}", found.0);
        }
        for (path, content) in after.iter().filter(|(path, _)| is_result(path)) {
            assert!(expected.iter().any(|(name, whole)| name == path && whole == content), "{path:?} is not whole");
        }
        if status.success() {
            break;
        }
        kills += 1;
        assert!(attempt < 500, "it never comes to its end");
    }
    assert!(kills > 0);
    expect(0, &["run", &plan, "--to", text(&to)]);
    let found: Vec<_> = results(&to).into_iter().filter(|(path, _)| is_result(path)).collect();
    assert!(found == expected);
    println!("killed {kills} times");
}

fn is_result(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    name.ends_with(".json") && !name.starts_with('.')
}

#[test]
fn ctrl_c_ends_after_the_step_and_the_same_command_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let plan = text(&small_plan(folder.path(), 2, 20_000)).to_owned();
    let to = folder.path().join("results");
    let child = program()
        .args(["run", &plan, "--to", text(&to), "--jobs", "2"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // its claims are there once it trains
    let patience = Instant::now();
    while !to.exists() || files(&to).is_empty() {
        assert!(patience.elapsed() < Duration::from_secs(60), "nothing begins");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(300));
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
    let pressed = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(pressed.elapsed() < Duration::from_secs(20), "it went on for {:?}", pressed.elapsed());
    assert_eq!(output.status.code(), Some(130));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the same command goes on"));
    assert!(files(&to).iter().all(|path| is_result(path)), "claims or parts are left: {:?}", files(&to));
    expect(3, &["list", &plan, "--to", text(&to)]);
}

#[test]
fn two_processes_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, expected) = undisturbed(folder.path(), 4, 500);
    let to = folder.path().join("shared");
    let start = || {
        let words = ["run", &plan, "--to", text(&to), "--jobs", "2"];
        program().args(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let both = [start(), start()].map(|child| child.wait_with_output().unwrap());
    let mut computed = 0;
    for output in &both {
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.starts_with("16 of 16 trainings have a result"), "{said}");
        let count = said.split(": ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        computed += count.parse::<usize>().unwrap();
    }
    assert_eq!(computed, 16, "no task is computed twice");
    assert!(results(&to) == expected);
}

#[test]
fn a_file_that_was_damaged_is_recognised_and_computed_again() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, expected) = undisturbed(folder.path(), 1, 1);
    let to = folder.path().join("whole");
    let file = files(&to)[0].clone();
    let whole = std::fs::read(&file).unwrap();
    let list = || expect(3, &["list", &plan, "--to", text(&to)]);
    // cut short anywhere
    for length in [0, 1, whole.len() / 2, whole.len() - 2, whole.len() - 1] {
        std::fs::write(&file, &whole[..length]).unwrap();
        assert!(list().contains("3 done, 0 missing, 1 broken"), "{length} bytes: {}", list());
    }
    // one bit of any byte
    let mut rng = TorchRng::new(2);
    for at in (0..whole.len()).step_by(whole.len() / 60) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (rng.next_word() % 8);
        assert!(ntgram_sweep::result::TaskResult::from_bytes(&bytes).is_err(), "byte {at}");
    }
    assert!(ntgram_sweep::result::TaskResult::from_bytes(&whole).is_ok());
    // another task's result under its name
    let other = files(&to)[1].clone();
    std::fs::copy(&other, &file).unwrap();
    assert!(list().contains("1 broken") && list().contains("another training"));
    // more than there was
    std::fs::write(&file, [&whole[..], b" "].concat()).unwrap();
    assert!(list().contains("1 broken"));
    let said = expect(0, &["run", &plan, "--to", text(&to)]);
    assert!(said.contains(": 1 computed now"), "{said}");
    assert!(results(&to) == expected);
}

#[test]
fn a_plan_that_changes_computes_its_new_tasks_only() {
    let folder = tempfile::tempdir().unwrap();
    let plan = text(&small_plan(folder.path(), 2, 1)).to_owned();
    let to = folder.path().join("results");
    expect(0, &["run", &plan, "--to", text(&to)]);
    let before = files(&to).iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect::<Vec<_>>();
    small_plan(folder.path(), 3, 1);
    let said = expect(0, &["run", &plan, "--to", text(&to)]);
    assert!(said.starts_with("12 of 12 trainings") && said.contains(": 4 computed now"), "{said}");
    for (path, bytes) in before {
        assert_eq!(std::fs::read(path).unwrap(), bytes);
    }
}

#[test]
fn results_of_another_version_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let plan = text(&small_plan(folder.path(), 1, 1)).to_owned();
    let to = folder.path().join("results");
    expect(0, &["run", &plan, "--to", text(&to)]);
    let file = files(&to)[0].clone();
    let mut result = ntgram_sweep::result::TaskResult::from_bytes(&std::fs::read(&file).unwrap()).unwrap();
    result.version = "0.0.1".into();
    std::fs::write(&file, result.to_bytes()).unwrap();
    assert!(
        expect(0, &["list", &plan, "--to", text(&to)]).contains("3 done, 0 missing, 0 broken, 1 of another version")
    );
    assert!(expect(0, &["run", &plan, "--to", text(&to)]).contains("1 results are of another version"));
    assert!(expect(0, &["run", &plan, "--to", text(&to), "--renew"]).contains(": 1 computed now"));
    assert!(expect(0, &["list", &plan, "--to", text(&to)]).contains("4 done"));
}

/// No byte more can be written to files: what a full disk says, but for the name of the error.
#[test]
fn a_full_disk_ends_the_sweep_and_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, expected) = undisturbed(folder.path(), 2, 1);
    let to = folder.path().join("full");
    expect(0, &["task", &plan, "0-2", "--to", text(&to)]);
    let before = files(&to);
    let command =
        format!("trap '' XFSZ; ulimit -f 0; exec {} run {plan} --to {}", env!("CARGO_BIN_EXE_ntgram-sweep"), text(&to));
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write "), "{said}");
    assert_eq!(files(&to), before, "nothing half written is left");
    expect(0, &["run", &plan, "--to", text(&to)]);
    assert!(results(&to) == expected);
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_before_anything_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let plan = text(&small_plan(folder.path(), 1, 1_000_000)).to_owned(); // would take long
    std::fs::write(folder.path().join("file"), b"").unwrap();
    let refused = |output: std::process::Output| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        said
    };
    assert!(refused(run(&["run", &plan, "--to", text(&folder.path().join("file"))])).contains("cannot create"));
    // a read-only folder; permissions do not bind root, so as nobody
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    let copy = folder.path().join("ntgram-sweep");
    std::fs::copy(env!("CARGO_BIN_EXE_ntgram-sweep"), &copy).unwrap();
    mode(folder.path(), 0o755);
    mode(&closed, 0o555);
    let mut command = Command::new(&copy);
    command.args(["run", &plan, "--to", text(&closed)]);
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout.starts_with(b"0\n");
    if is_root {
        command.uid(65534).gid(65534);
    }
    let said = refused(command.output().unwrap());
    assert!(said.contains("cannot write") && said.contains("closed"), "{said}");
    // reading is all that `list` does
    let mut command = Command::new(&copy);
    command.args(["list", &plan, "--to", text(&closed)]);
    if is_root {
        command.uid(65534).gid(65534);
    }
    assert_eq!(command.output().unwrap().status.code(), Some(3));
    mode(&closed, 0o755);
}
