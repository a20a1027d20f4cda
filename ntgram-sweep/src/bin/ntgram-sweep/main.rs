//! The program `ntgram-sweep`.

mod arguments;
mod display;

use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser;
use ntgram_engine::{Error, Result, files::write_whole};
use ntgram_sweep::gather::{Timings, gather};
use ntgram_sweep::submit::{ARRAY_VARIABLES, Array, System, part, parts};
use ntgram_sweep::{Options, Plan, State, Store, Summary, Task, sweep};

use arguments::{Arguments, Do, On, Selection};

/// What a script is told; `--help` says the same.
const DONE: u8 = 0;
const REFUSED: u8 = 1;
const INCOMPLETE: u8 = 3;
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match carry_out(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("ntgram-sweep: {error}");
            ExitCode::from(REFUSED)
        }
    }
}

fn carry_out(arguments: Arguments) -> Result<u8> {
    match arguments.command {
        Do::Run { selection, to, jobs, renew } => {
            let plan = selected(&selection)?;
            run(plan.tasks(), &to, jobs, renew)
        }
        Do::Task { selection, indices, parts, part: k, to, jobs } => {
            let plan = selected(&selection)?;
            let tasks = match parts {
                Some(parts) => part(plan.tasks(), which_part(k, parts.get())?, parts.get()),
                None => chosen(&plan, &indices)?,
            };
            run(&tasks, &to, Some(jobs), false)
        }
        Do::List { selection, to, all } => list(&selected(&selection)?, to.as_deref(), all),
        Do::Gather { selection, to, tasks, points, timings } => {
            let plan = selected(&selection)?;
            let store = Store::open(&to)?;
            let gathered = gather(&plan, &store)?;
            let timings = if timings { Timings::With } else { Timings::Without };
            if tasks.is_none() && points.is_none() {
                print(&gathered.points().to_csv()?)?;
            }
            if let Some(path) = tasks {
                write_whole(&path, gathered.tasks(timings).to_csv()?.as_bytes())?;
            }
            if let Some(path) = points {
                write_whole(&path, gathered.points().to_csv()?.as_bytes())?;
            }
            let (done, total) = (gathered.done(), plan.tasks().len());
            if done < total {
                eprintln!(
                    "ntgram-sweep: {} of {total} trainings have no result yet: the tables lack them",
                    total - done
                );
                return Ok(INCOMPLETE);
            }
            Ok(DONE)
        }
        Do::Submit { selection, on, to, seconds, run } => {
            let plan = selected(&selection)?;
            let store = Store::create(&to)?;
            let absolute = |path: &Path| std::path::absolute(path).map_err(|e| Error::io("find", path, e));
            let program = std::env::current_exe().map_err(|e| Error::io("find", Path::new("this program"), e))?;
            if !(seconds.is_finite() && seconds > 0.0) {
                return Err(Error::argument("seconds", seconds, "it must be a positive number"));
            }
            let array = Array {
                program: &program,
                plan: &absolute(&selection.plan)?,
                folder: &absolute(store.folder())?,
                only: &selection.only,
                parts: parts(plan.tasks(), seconds),
            };
            let system = match on {
                On::Hq => System::Hq,
                On::Slurm => System::Slurm,
            };
            submit(&array.text(system), system, run)
        }
    }
}

fn selected(selection: &Selection) -> Result<Plan> {
    let plan = Plan::read(&selection.plan)?;
    if selection.only.is_empty() { Ok(plan) } else { plan.only(&selection.only) }
}

/// The tasks of numbers and ranges of numbers.
fn chosen(plan: &Plan, ranges: &[arguments::Range]) -> Result<Vec<Task>> {
    let mut tasks = vec![];
    for range in ranges {
        for index in range.first..=range.last {
            let found = plan.tasks().binary_search_by_key(&index, |task| task.index);
            let Ok(at) = found else {
                let expected = match (plan.tasks().first(), plan.tasks().last()) {
                    (Some(first), Some(last)) => {
                        format!("the tasks have the numbers {} to {}", first.index, last.index)
                    }
                    _ => "there are no tasks".to_owned(),
                };
                return Err(Error::argument("index", index, expected));
            };
            tasks.push(plan.tasks()[at].clone());
        }
    }
    Ok(tasks)
}

/// Which part this call is: as said, or as the system that runs the array says.
fn which_part(said: Option<usize>, parts: usize) -> Result<usize> {
    let variable = || ARRAY_VARIABLES.iter().find_map(|name| std::env::var(name).ok());
    let part = match said {
        Some(part) => part,
        None => {
            let Some(text) = variable() else {
                let expected = format!("with `--parts` it must be said, or stand in {}", ARRAY_VARIABLES.join(" or "));
                return Err(Error::argument("part", "missing", expected));
            };
            text.parse().map_err(|_| Error::argument("part", format!("{text:?}"), "it must be a number"))?
        }
    };
    ntgram_engine::error::check_index("part", part, parts)?;
    Ok(part)
}

fn run(tasks: &[Task], folder: &Path, jobs: Option<usize>, renew: bool) -> Result<u8> {
    let store = Store::create(folder)?;
    let stop = stop_on_signals()?;
    let options = Options { jobs, stop: &|| stop.load(Ordering::Relaxed), renew };
    let mut display = display::Display::new();
    let summary = sweep(tasks, &store, &options, &mut |progress| display.show(progress))?;
    display.end();
    Ok(report(&summary, folder))
}

/// Set by Ctrl-C (or SIGTERM): trainings end after their step. The second time the program ends at once.
fn stop_on_signals() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        let register = || {
            signal_hook::flag::register_conditional_shutdown(signal, INTERRUPTED.into(), stop.clone())?;
            signal_hook::flag::register(signal, stop.clone())
        };
        register().map_err(|e| Error::other(format!("signals cannot be waited for: {e}")))?;
    }
    Ok(stop)
}

fn report(summary: &Summary, folder: &Path) -> u8 {
    let Summary { done, total, computed, diverged, other_version, steps, seconds, stopped, failed } = summary;
    let rate = *steps as f64 / seconds.max(1e-9);
    println!(
        "{done} of {total} trainings have a result in {}: {computed} computed now, {steps} steps in {seconds:.1} s ({rate:.0} a second)",
        folder.display()
    );
    if *diverged > 0 {
        println!("{diverged} of them diverged");
    }
    if *other_version > 0 {
        println!("{other_version} results are of another version of this program; `--renew` computes them again");
    }
    for (title, error) in failed {
        eprintln!("ntgram-sweep: {title}: {error}");
    }
    if *stopped {
        eprintln!("ntgram-sweep: stopped; the same command goes on from here");
        return INTERRUPTED;
    }
    if done < total { INCOMPLETE } else { DONE }
}

fn list(plan: &Plan, folder: Option<&Path>, all: bool) -> Result<u8> {
    let store = folder.map(Store::open).transpose()?;
    let mut counts = [("done", 0), ("missing", 0), ("broken", 0), ("of another version", 0)];
    let mut text = String::new();
    for task in plan.tasks() {
        let (k, more) = match store.as_ref().map(|store| store.state(task)).transpose()? {
            Some(State::Done(_)) => (0, String::new()),
            None | Some(State::Missing) => (1, String::new()),
            Some(State::Broken(reason)) => (2, format!(": {reason}")),
            Some(State::OtherVersion(result)) => (3, format!(": {}", result.version)),
        };
        counts[k].1 += 1;
        if all || k == 2 || store.is_none() {
            let state = if store.is_some() { format!("  {}{more}", counts[k].0) } else { String::new() };
            text += &format!("{:6}  {}  {}{state}\n", task.index, task.key(), task.title());
        }
    }
    let total = plan.tasks().len();
    match store {
        None => {
            text += &format!(
                "{total} trainings, {} steps\n",
                plan.tasks().iter().map(|task| task.training.steps()).sum::<usize>()
            )
        }
        Some(_) => {
            let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
            text += &format!("{total} trainings: {}\n", counts.join(", "));
        }
    }
    print(&text)?;
    Ok(if folder.is_some() && counts[0].1 + counts[3].1 < total { INCOMPLETE } else { DONE })
}

/// Prints the command or script, or starts it.
fn submit(text: &str, system: System, run: bool) -> Result<u8> {
    if !run {
        print(text)?;
        return Ok(DONE);
    }
    let (program, arguments): (&str, &[&str]) = match system {
        System::Hq => ("sh", &["-c", text]),
        System::Slurm => ("sbatch", &[]),
    };
    let other = |e: std::io::Error| Error::other(format!("{program} cannot be run: {e}"));
    let input = if system == System::Slurm { Stdio::piped() } else { Stdio::null() };
    let mut child = Command::new(program).args(arguments).stdin(input).spawn().map_err(other)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes()).map_err(other)?;
    }
    let status = child.wait().map_err(other)?;
    if status.success() { Ok(DONE) } else { Err(Error::other(format!("the submission failed ({status}):\n{text}"))) }
}

/// To standard output; a reader that has seen enough is no error.
fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io("write", Path::new("standard output"), e))
        }
        _ => Ok(()),
    }
}
