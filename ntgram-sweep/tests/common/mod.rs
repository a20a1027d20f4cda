//! What several test files share.
#![allow(dead_code, reason = "each file uses a part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program.
pub fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_ntgram-sweep"));
    program.env_remove("HQ_TASK_ID").env_remove("SLURM_ARRAY_TASK_ID");
    program
}

/// A plan of `points` times four trainings of some `steps` steps each; its file in `folder`.
pub fn small_plan(folder: &Path, points: usize, epochs: usize) -> PathBuf {
    let text = format!(
        r#"
        [[experiment]]
        name = "small"
        table = "small_{{d}}"
        axes = {{ d = {{ from = 2, to = {} }}, H = [1, 3] }}
        repetitions = 2
        stream = {{ seed = 5 }}
        law = {{ kind = "power_unif", n_vocab = 8, alphas = [1, 1, 1], nb_tokens = [8, 8, 1], seed = 5 }}
        data = {{ batch_size = 64, num_batch = 32, context_window = 3 }}
        model = {{ kind = "transformer", d_model = "d", n_modules = "H", norm = "none" }}
        training = {{ lr = 0.01, epochs = {epochs} }}
        "#,
        points + 1
    );
    let path = folder.join("plan.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// Runs the program with these words and waits for its end.
pub fn run(words: &[&str]) -> Output {
    program().args(words).output().unwrap()
}

/// The same, which must end with this code; returns what it printed to standard output.
pub fn expect(code: i32, words: &[&str]) -> String {
    let output = run(words);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{words:?}\n{out}\n{err}");
    out.into_owned()
}

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// The results of a folder, by name, without what differs from run to run: seconds and the seal over them.
pub fn results(folder: &Path) -> Vec<(PathBuf, String)> {
    let result = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().filter(|line| !line.contains("\"seconds\"") && !line.contains("\"seal\""));
        (path.strip_prefix(folder).unwrap().to_owned(), lines.collect::<Vec<_>>().join("\n"))
    };
    files(folder).into_iter().map(result).collect()
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
