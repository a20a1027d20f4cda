"""The stop button, and cells that fail: what ends, what is left, and what Jupyter is told."""

import json
import os
import queue
import re
import subprocess
import sys
import time

import nbformat
import pytest
from conftest import CELL_0, REPOSITORY, Kernel, write_notebook

# A training of minutes: 300 000 steps.
SETTING = """
let config = TransformerConfig { d_model: 10, n_vocab: 50, n_modules: 10, ..Default::default() };
let mut rng = TorchRng::new(1);
let pi = last_position_law(&[50, 50], 50, 0.0, 0.95, &mut rng)?;
let data = generate_data(8, 300_000, &pi, 3, &mut rng)?;
let mut model = Transformer::new(&config, &pi, &mut rng)?;
let mut models = (2..7).map(|d| LowRank::new(d, 50, 3, &pi, &mut rng)).collect::<Result<Vec<_>>>()?;
let options = TrainOptions { progress: false, ..Default::default() };
let kept = vec![1, 2, 3];
"""


# ---- the stop button


@pytest.fixture(scope="module")
def setting():
    """A kernel with `SETTING`, for all tests that must leave its variables alive."""
    running = Kernel()
    running.run(CELL_0)
    running.run(SETTING)
    yield running
    assert running.run("kept.len()") == "3", "a variable was lost"
    running.close()


@pytest.mark.parametrize("engine", ["Circuit", "Autograd"])
def test_the_stop_button_ends_a_training_and_keeps_everything(setting, engine):
    before = setting.run('println!("{:?}", model.w_u().sum(Kind::Double));')
    code = (
        f"let options_{engine} = TrainOptions {{ engine: Some(Engine::{engine}), ..Default::default() }};"
        f'println!("begun"); let history = train(&mut model, &data, &options_{engine})?;'
    )
    text, seconds = setting.stop(code, after="step ")  # a progress line
    assert seconds < 5, "a step takes milliseconds"
    (step,) = re.findall(r"stopped at step (\d+) of 300000\n", text)
    assert 1 < int(step) < 300_000
    assert setting.run(
        'println!("{} {} {}", history.stopped, history.loss.len(), history.adam.steps);'
    ).split() == ["true", step, step]
    assert setting.run('println!("{:?}", model.w_u().sum(Kind::Double));') != before

    # the next cell is not stopped, and goes on where this one ended
    text = setting.run(
        f"let more = TrainOptions {{ adam: Some(history.adam.clone()), max_batches: Some(30), ..options_{engine}.clone() }};"
        "let history = train(&mut model, &data, &more)?;"
        'println!("{} {} {}", history.stopped, history.loss.len(), history.adam.steps);'
    )
    assert "stopped at" not in text
    assert text.split()[-3:] == ["false", "30", str(int(step) + 30)]


def test_the_stop_button_ends_a_lot_of_trainings(setting):
    code = (
        'println!("begun"); let histories = train_lot(models.iter_mut()'
        ".map(|model| Training::new(model, &data, options.clone())).collect())?;"
    )
    request = setting.send(code)
    setting.outputs(request, until="begun")
    time.sleep(0.2)  # one training takes a second
    setting.manager.interrupt_kernel()
    text, errors = setting.outputs(request)
    assert not errors
    (first, last) = map(int, re.search(r"stopped 5 of 5 trainings, at steps (\d+) to (\d+)", text).groups())
    steps = [int(n) for n in setting.run('for h in &histories { println!("{}", h.loss.len()); };').split()]
    assert len(steps) == 5 and (min(steps), max(steps)) == (first, last)
    assert first == 1, "those that had not begun make one step"
    assert 1 < last < 300_000


def test_users_ask_the_same_flag_and_it_holds_until_the_cell_ends(setting):
    code = """
let mut rounds = 0u64;
while !interrupted() {
    if rounds == 0 { println!("begun"); }
    rounds += 1;
}
let after = train(&mut model, &data, &options)?;
let stayed = interrupted();
"""
    text, seconds = setting.stop(code, after="begun")
    assert seconds < 5 and "stopped at step 1 of 300000" in text
    assert setting.run('println!("{} {stayed} {}", rounds > 0, interrupted());').split() == ["true", "true", "false"]


def test_an_interrupt_between_cells_does_nothing(setting):
    setting.run("interrupted()")  # from now on the process listens
    for _ in range(3):  # within two seconds, too
        setting.manager.interrupt_kernel()
        time.sleep(0.3)
    short = "train(&mut model, &data, &TrainOptions { max_batches: Some(50), ..options.clone() })?.stopped"
    assert setting.run(f"let cut = {short};\ncut") == "false"
    assert setting.run("interrupted()") == "false"


def test_a_stop_does_not_reach_what_an_earlier_cell_left_in_a_variable(setting):
    setting.run("let asks: Box<dyn Fn() -> bool> = Box::new(|| interrupted());")
    text, _ = setting.stop('println!("begun"); while !asks() {}\nprintln!("ended");', after="begun")
    assert "ended" in text
    assert setting.run("asks()") == "false"


def test_a_second_interrupt_kills_an_endless_cell_and_the_kernel_goes_on(start):
    running = start()
    running.run("let kept = 1; pub fn double(n: i32) -> i32 { 2 * n }")
    request = running.send('println!("begun"); loop { std::hint::spin_loop() }')
    running.outputs(request, until="begun")
    running.manager.interrupt_kernel()
    time.sleep(3)
    running.manager.interrupt_kernel()  # too late to be the second one
    with pytest.raises(queue.Empty):  # no message comes: the cell still runs
        running.client.get_iopub_msg(timeout=1)
    running.manager.interrupt_kernel()
    text, errors = running.outputs(request)
    assert len(errors) == 1 and "SIGKILL" in errors[0]
    assert running.manager.is_alive()
    assert running.run("double(21)") == "42"
    assert "kept" in running.outputs(running.send("kept"))[1][0], "variables are gone, as in any evcxr"

    # one that waits instead of computing is killed as well
    request = running.send('println!("begun"); std::thread::sleep(std::time::Duration::from_secs(600));')
    running.outputs(request, until="begun")
    running.manager.interrupt_kernel()
    time.sleep(0.5)
    running.manager.interrupt_kernel()
    assert "SIGKILL" in running.outputs(request)[1][0]
    assert running.run("double(4)") == "8"


@pytest.mark.parametrize(
    "waits",
    [
        "std::io::stdin().read_line(&mut String::new())?;",
        'use std::io::Read; std::fs::File::open("/dev/stdin")?.read(&mut [0u8; 10])?;',
        'std::process::Command::new("sleep").arg("601").status()?;',  # it has the cell's output open
        'let mut child = std::process::Command::new("sh").args(["-c", "(sleep 601 &) ; cat"]).stdin(std::process::Stdio::piped())'
        ".spawn()?; let input = child.stdin.take(); child.wait()?; drop(input);",
        "std::thread::scope(|s| { s.spawn(|| loop { std::thread::park() }); });",
    ],
)
def test_two_interrupts_end_a_cell_that_waits_for_anything(start, waits):
    running = start()
    request = running.send(f'println!("begun"); {waits}')
    running.outputs(request, until="begun")
    time.sleep(0.3)
    begun = time.monotonic()
    for _ in range(2):
        running.manager.interrupt_kernel()
        time.sleep(0.5)
    assert "SIGKILL" in running.outputs(request)[1][0]
    assert time.monotonic() - begun < 5
    assert running.run("6 * 7") == "42"
    assert "sleep 601" not in subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, text=True).stdout


def test_interrupts_while_a_cell_is_compiled_break_nothing(setting):
    code = "let slow = [" + ", ".join(f"format!(\"{{}}\", {k})" for k in range(60)) + "];\nslow.len()"
    request = setting.send(code)
    for _ in range(4):
        time.sleep(0.1)
        setting.manager.interrupt_kernel()
    text, errors = setting.outputs(request)
    assert not errors and text == "60"


# ---- cells that fail


@pytest.mark.parametrize(
    "failing",
    [
        "let lost = 1; LowRank::new(0, 50, 3, &pi, &mut rng)?;",
        'let lost = 1; panic!("on purpose");',
        'let lost = 1; { let kept = &kept; if kept.len() == 3 { panic!("with variables in use"); } }',
    ],
)
def test_earlier_variables_survive_a_failing_cell(setting, failing):
    setting.run("let mut changed = vec![1];")
    assert setting.outputs(setting.send("changed.push(2); " + failing))[1]
    assert setting.run("(kept.len(), changed.len(), data.num_batch())") == "(3, 2, 300000)"
    assert setting.outputs(setting.send("lost"))[1], "what the failing cell defined is not there"


@pytest.mark.parametrize(
    ("failing", "reason"),
    [
        ('"x".parse::<i32>()?;', "invalid digit found in string"),
        ('Err::<(), _>("two\\nlines")?;', "two\nlines"),
        ('panic!("on purpose, {}", 1 + 1);', "panicked: on purpose, 2"),
        ("assert_eq!(1 + 1, 3);", "panicked: assertion `left == right` failed\n  left: 2\n right: 3"),
        ('print!("half a line"); assert!(kept.is_empty(), "not empty");', "panicked: not empty"),
        ('print!("half a line"); "x".parse::<i32>()?;', "invalid digit found in string"),
        ("vec![0u8][kept.len()]", "panicked: index out of bounds: the len is 1 but the index is 3"),
        ("std::panic::panic_any(kept.len());", "panicked: "),
        ("LowRank::new(0, 50, 3, &pi, &mut rng)?;", "`d_model` is 0"),
        ("let shown = LowRank::new(0, 50, 3, &pi, &mut rng)?;\nshown", "`d_model` is 0"),
    ],
)
def test_a_cell_that_fails_is_an_error_for_jupyter(setting, failing, reason):
    request = setting.send(failing)
    text, errors = setting.outputs(request)
    assert len(errors) == 1 and errors[0].startswith(reason), errors
    assert setting.reply(request) == "error"
    assert text == ("half a line\n" if "half a line" in failing else "")
    assert setting.run("kept.len()") == "3"


def test_a_failure_without_any_variable_is_an_error_too(start):
    running = start()
    request = running.send('panic!("early");')
    assert running.outputs(request)[1] == ["panicked: early"]
    assert running.reply(request) == "error"


def test_what_a_cell_catches_is_no_failure(setting):
    request = setting.send("let caught = std::panic::catch_unwind(|| panic!()).is_err();\n"
                           "let joined = std::thread::spawn(|| panic!()).join().is_err();\n"
                           "fn parse(text: &str) -> std::result::Result<i32, std::num::ParseIntError> { Ok(text.parse::<i32>()?) }\n"
                           'let asked = parse("x").is_err();\n'
                           "(caught, joined, asked)")  # fmt: skip
    assert setting.outputs(request) == ("(true, true, true)", [])
    assert setting.reply(request) == "ok"


def test_cells_that_wait_behind_a_failed_one_are_not_run(setting):
    """So "Run all" stops, as in other kernels; what is sent later runs."""
    for failing in ('panic!("stop");', "let wrong: usize = true;"):
        requests = [setting.send(code) for code in ("let mut ran = vec![0];", failing, "ran.push(1);", 'println!("{}", ran.len());')]
        assert [setting.reply(request) for request in requests] == ["ok", "error", "aborted", "aborted"]
        assert setting.run("ran.len()") == "1"
    requests = [setting.client.execute(code, stop_on_error=False) for code in ('panic!("go on");', "ran.push(1);")]
    assert [setting.reply(request) for request in requests] == ["error", "ok"]


def test_the_runner_names_a_failed_cell_and_fails(tmp_path):
    book = write_notebook(tmp_path / "my book é.ipynb", 'println!("one");', 'assert!(1 > 2, "not more");', 'println!("three");')
    (tmp_path / "nbformat.py").write_text("raise ImportError")
    done = subprocess.run(["make", "--no-print-directory", "--old-file=setup", "run", f"NOTEBOOK={book}"], cwd=REPOSITORY,
                          env=os.environ | {"PYTHONPATH": str(tmp_path), "LC_ALL": "C"}, capture_output=True)  # fmt: skip
    said = (done.stdout + done.stderr).decode("utf-8")
    assert done.returncode and "cell 1 failed:\npanicked: not more" in said and "three" not in said
    assert "executed notebook" not in said
    executed = REPOSITORY / "results" / book.name
    outputs = [cell.outputs for cell in nbformat.read(executed, as_version=4).cells if cell.cell_type == "code"]
    assert executed.stat().st_mtime == 0, "make executes it anew"
    executed.unlink()
    assert [[out.output_type for out in cell if out.output_type != "stream"] for cell in outputs] == [[], ["error"], []]


def test_a_kernel_that_does_not_start_fails_in_plain_words(tmp_path):
    spec = tmp_path / "jupyter/kernels/ntgram/kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["sh", "-c", "echo no compiler >&2; exit 1"], "display_name": "Rust", "language": "rust"}))
    notebook = write_notebook(tmp_path / "any.ipynb", "1")
    command = [sys.executable, "-Es", "-X", "utf8", REPOSITORY / "setup/notebook.py", notebook, "--to", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"JUPYTER_DATA_DIR": str(tmp_path / "jupyter")})
    said = done.stdout + done.stderr
    assert done.returncode == 1 and "no compiler" in said and "the kernel did not start: Kernel died" in said, said
    assert "Traceback" not in said, said


def test_several_notebooks_run_side_by_side_and_all_fail_if_one_does(tmp_path):
    bad = write_notebook(tmp_path / "bad.ipynb", 'panic!("no");')
    good = write_notebook(tmp_path / "good.ipynb", "std::thread::sleep(std::time::Duration::from_secs(2));", 'println!("é");')
    command = [sys.executable, "-Es", "-X", "utf8", REPOSITORY / "setup/notebook.py", bad, good, "--to", tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert done.returncode == 1, done.stdout
    assert "bad: cell 0 failed:\nbad: panicked: no" in done.stdout and "bad: ntgram: executed notebook" not in done.stdout, done.stdout
    assert "good: ntgram: executed notebook" in done.stdout, done.stdout
    assert nbformat.read(tmp_path / "out/good.ipynb", as_version=4).cells[2].outputs[0].text == "é\n"
