//! The stop button as the process that runs a notebook's cells gets it: a signal. (tests/test_kernel.py has it in a real kernel.)

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use ntgram_core::prelude::*;

/// Trainings of either engine, and what is left of them once they are stopped. Run by the test below, in a process of its own.
#[test]
#[ignore = "runs in a process that the other tests start"]
fn trains_until_it_is_stopped() {
    let mut rng = TorchRng::new(1);
    let pi = last_position_law(&[7, 7], 7, 0.0, 0.95, &mut rng).unwrap();
    let data = generate_data(16, 300_000, &pi, 3, &mut rng).unwrap();
    let epoch = generate_data(16, 3000, &pi, 3, &mut rng).unwrap(); // a hundred of them are as many batches
    let mut models: Vec<_> = (2..7).map(|d| LowRank::new(d, 7, 3, &pi, &mut rng).unwrap()).collect();
    let options = TrainOptions::default().quiet();
    assert!(!interrupted()); // the process listens from here on
    println!("\nready"); // the harness has written the test's name without an end of line
    let history =
        train(&mut models[0], &epoch, &TrainOptions { engine: Some(Engine::Autograd), epochs: 100, ..options.clone() })
            .unwrap();
    assert!(history.stopped && interrupted());
    assert!((1..300_000).contains(&history.loss.len()));
    assert_eq!(history.adam.steps, history.loss.len() as u64);
    assert_eq!(history.lr_by_epoch.len(), history.loss.len().div_ceil(3000));

    // the button stays pressed: one step for all that come after
    let before = models[1].w_u();
    let history = train(&mut models[1], &data, &options).unwrap();
    assert!(history.stopped && history.loss.len() == 1 && history.tail_loss().is_finite());
    assert_ne!(models[1].w_u(), before);
    let lot = models.iter_mut().map(|model| Training::new(model, &data, options.clone())).collect();
    assert!(train_lot(lot).unwrap().iter().all(|history| history.stopped && history.loss.len() == 1));

    // a training that has made all its steps was not stopped
    let all = TrainOptions { max_batches: Some(1), ..options };
    assert!(!train(&mut models[0], &data, &all).unwrap().stopped);
}

/// Starts the test above, waits until it trains and sends it SIGINT.
fn interrupt(in_a_notebook: bool) -> (Child, Vec<String>) {
    let program = std::env::current_exe().unwrap();
    let mut command = if cfg!(target_os = "linux") {
        // A shell that starts `make test` in the background has it ignore the signal, and all that it starts.
        let mut command = Command::new("env");
        command.arg("--default-signal=INT").arg(program);
        command
    } else {
        Command::new(program)
    };
    command.args(["trains_until_it_is_stopped", "--exact", "--ignored", "--nocapture"]).stdout(Stdio::piped());
    if in_a_notebook {
        command.env("EVCXR_IS_RUNTIME", "1");
    }
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    assert!(lines.any(|line| line == "ready"));
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    (child, lines.collect())
}

#[test]
fn in_a_notebook_the_signal_ends_trainings_and_nothing_else() {
    let (mut child, lines) = interrupt(true);
    assert!(child.wait().unwrap().success(), "{lines:?}");
    let stopped: Vec<_> = lines.iter().filter(|line| line.starts_with("stopped")).collect();
    assert_eq!(stopped.len(), 3, "{lines:?}");
    assert!(stopped[0].starts_with("stopped at step ") && stopped[0].ends_with(" of 300000"), "{stopped:?}");
    assert_eq!(stopped[1], "stopped at step 1 of 300000");
    assert_eq!(stopped[2], "stopped 5 of 5 trainings, at steps 1 to 1");
}

#[test]
fn elsewhere_the_signal_ends_the_program() {
    let (mut child, _) = interrupt(false);
    assert_eq!(child.wait().unwrap().signal(), Some(2));
}
