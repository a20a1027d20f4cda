//! Every public function of both crates with hostile arguments. A call must return the right value, or an error that names the argument:
//! one that panics, ends its process, hangs, takes all memory or returns something wrong is a failure.
//!
//! Calls are made in processes of their own, with bounds of time and memory: a process makes the calls of a group one by one, and when a
//! call ends it another process goes on behind that call. Which functions are public is read from the sources: one without a group fails.

mod calls;
mod data;
mod figures;
mod inputs;
mod interp;
mod laws;
mod lesson;
mod models;
mod mutated;
mod readers;
mod shown;
mod surface;
mod train;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use calls::Calls;

/// Calls that belong together, and the public functions that they call.
pub struct Group {
    name: &'static str,
    covers: &'static str,
    calls: fn(&mut Calls),
}

/// The groups of a file: `"what they cover" => function`.
#[macro_export]
macro_rules! groups {
    ($($covers:literal => $name:ident),* $(,)?) => {
        pub const GROUPS: &[$crate::Group] = &[$($crate::Group { name: stringify!($name), covers: $covers, calls: $name }),*];
    };
}

/// Each file's groups.
const FILES: [(&str, &[Group]); 9] = [
    ("laws", laws::GROUPS),
    ("data", data::GROUPS),
    ("models", models::GROUPS),
    ("mutated", mutated::GROUPS),
    ("train", train::GROUPS),
    ("interp", interp::GROUPS),
    ("figures", figures::GROUPS),
    ("shown", shown::GROUPS),
    ("lesson", lesson::GROUPS),
];

/// One call may take so long,
const CALL: Duration = Duration::from_secs(30);
/// all of them together so long, and a process may map so much memory.
const ALL: Duration = Duration::from_secs(420);
const KIBIBYTES: u64 = 6 << 20;

/// The variable that tells a process its group and its first call: "name 3".
const WHAT: &str = "NTGRAM_HOSTILE";

fn all_groups() -> impl Iterator<Item = &'static Group> {
    FILES.iter().flat_map(|(_, groups)| groups.iter())
}

#[test]
#[ignore = "runs in processes that the test below starts"]
fn calls_of_one_group() {
    let Ok(what) = std::env::var(WHAT) else { return };
    let (name, first) = what.rsplit_once(' ').expect("a group and a number");
    let group = all_groups().chain(FAULTS).find(|group| group.name == name).expect("a group of that name");
    std::panic::set_hook(Box::new(|_| {}));
    (group.calls)(&mut Calls::from(first.parse().expect("a number")));
    println!("\nend");
}

#[test]
fn no_call_panics_aborts_hangs_or_lies() {
    let started = Instant::now();
    let todo = Mutex::new(all_groups());
    let tally = Mutex::new((0, Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let next = || todo.lock().unwrap().next();
                while let Some(group) = next() {
                    let (made, wrong) = run(group, CALL, started);
                    let mut tally = tally.lock().unwrap();
                    tally.0 += made;
                    tally.1.extend(wrong.into_iter().map(|wrong| format!("{}: {wrong}", group.name)));
                }
            });
        }
    });
    let (made, wrong) = tally.into_inner().unwrap();
    let seconds = started.elapsed().as_secs();
    println!("{made} calls of {} groups in {seconds} s, {} of them wrong", all_groups().count(), wrong.len());
    assert!(wrong.is_empty(), "{} of {made} calls are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(started.elapsed() < ALL, "the calls took {seconds} s");
}

/// Makes all calls of a group, in as many processes as it takes: how many they were, and which were wrong.
fn run(group: &Group, limit: Duration, started: Instant) -> (usize, Vec<String>) {
    let (mut made, mut wrong) = (0, Vec::new());
    let mut first = 0;
    loop {
        let folder = tempfile::tempdir().unwrap();
        let mut child = start(group, first, folder.path());
        let (send, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        let reader =
            std::thread::spawn(move || out.lines().map_while(Result::ok).for_each(|line| drop(send.send(line))));
        let mut running: Option<(usize, String)> = None;
        let ended = loop {
            let left = ALL.saturating_sub(started.elapsed());
            match lines.recv_timeout(limit.min(left)) {
                Ok(line) => match line.split_once(' ').unwrap_or((&line, "")) {
                    ("begin", rest) => {
                        let (number, what) = rest.split_once(' ').unwrap_or((rest, ""));
                        made += 1;
                        running = Some((number.parse().unwrap(), what.to_owned()));
                    }
                    ("right", _) => running = None,
                    ("wrong", rest) => {
                        let reason = rest.split_once(' ').map_or("", |(_, reason)| reason);
                        wrong.push(format!("{}: {reason}", running.take().map_or(String::new(), |(_, what)| what)));
                    }
                    ("end", _) => break None,
                    _ => {}
                },
                Err(RecvTimeoutError::Timeout) => break Some("it hangs".to_owned()),
                Err(RecvTimeoutError::Disconnected) => break Some(String::new()),
            }
        };
        let Some(reason) = ended else {
            child.wait().unwrap();
            reader.join().unwrap();
            return (made, wrong);
        };
        let _ = child.kill();
        let status = child.wait().unwrap();
        let mut errors = String::new();
        let _ = child.stderr.take().unwrap().read_to_string(&mut errors);
        let last = errors.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        let reason = if reason.is_empty() { format!("its process ends, {status}: {last}") } else { reason };
        match running {
            Some((number, what)) => {
                wrong.push(format!("{what}: {reason}"));
                first = number + 1;
            }
            None => {
                wrong.push(format!("between calls: {reason}"));
                return (made, wrong);
            }
        }
        if started.elapsed() >= ALL {
            wrong.push("no time is left".to_owned());
            return (made, wrong);
        }
    }
}

/// A process that makes the calls of a group from this one on, in a folder of its own.
fn start(group: &Group, first: usize, folder: &Path) -> Child {
    let program = std::env::current_exe().unwrap();
    let mut command = if cfg!(target_os = "linux") {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -v {KIBIBYTES} && exec \"$0\" \"$@\"")]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.args(["calls_of_one_group", "--exact", "--ignored", "--nocapture"]);
    command.env(WHAT, format!("{} {first}", group.name)).current_dir(folder).env("NTGRAM_PAGE", "page.html");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Every way to be wrong, and one call that is right behind each: what the run itself is tested by.
const FAULTS: &[Group] = &[Group { name: "faults", covers: "", calls: faults }];

fn faults(calls: &mut Calls) {
    use ntgram_core::prelude::*;
    let right = |calls: &mut Calls| calls.right("right", || Ok(true));
    let refused = |argument| move || Err::<bool, _>(Error::argument(argument, 0, "no"));
    calls.right("lies", || Ok(false));
    right(calls);
    calls.right("panics", || panic!("on purpose"));
    right(calls);
    calls.right("aborts", || std::process::abort());
    right(calls);
    calls.right("hangs", || {
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    right(calls);
    if cfg!(target_os = "linux") {
        calls.right("takes all memory", || Ok(vec![1u8; 32 << 30].len() == 1));
    }
    right(calls);
    calls.refused("accepts", "a", || Ok(true));
    calls.refused("names another", "a|b", refused("c"));
    calls.refused("names it", "a|b", refused("b"));
    calls.either("names another, too", "a", refused("b"));
    calls.refused("says nothing", "a", || Err::<bool, _>(Error::other("no")));
}

#[test]
fn every_kind_of_fault_is_found() {
    let (made, wrong) = run(&FAULTS[0], Duration::from_secs(5), Instant::now());
    let on_linux = usize::from(cfg!(target_os = "linux"));
    assert_eq!((made, wrong.len()), (14 + on_linux, 8 + on_linux), "{wrong:#?}");
    let expected =
        ["lies: silently wrong", "panics: panic: on purpose", "aborts: its process ends, signal: 6", "hangs: it hangs"];
    assert!(expected.iter().zip(&wrong).all(|(expected, wrong)| wrong.starts_with(expected)), "{wrong:#?}");
    let names: Vec<&str> = wrong[wrong.len() - 4..].iter().map(|wrong| wrong.split(':').next().unwrap()).collect();
    assert_eq!(names, ["accepts", "names another", "names another, too", "says nothing"]);
}

#[test]
fn every_public_function_has_a_call() {
    let Some(folders) = surface::sources() else { return };
    let public: BTreeSet<String> = folders.iter().flat_map(|folder| surface::public_functions(folder)).collect();
    assert!(public.len() > 250, "{public:?}");
    let mut covered = BTreeMap::new();
    for (file, groups) in FILES {
        let path = format!("{}/tests/hostile/{file}.rs", env!("CARGO_MANIFEST_DIR"));
        let source = std::fs::read_to_string(path).unwrap();
        for group in groups {
            let body =
                source.split(&format!("\nfn {}(", group.name)).nth(1).and_then(|rest| rest.split("\n}\n").next());
            let body = body.unwrap_or_else(|| panic!("{} is a function of {file}.rs", group.name));
            for name in group.covers.split(", ").filter(|name| !name.is_empty()) {
                assert_eq!(covered.insert(name.to_owned(), group.name), None, "{name} is covered twice");
                let called = match name.split_once(" as ") {
                    Some((_, "Show")) => "shown",
                    Some((_, "Run")) => ".step(",
                    Some((_, "Model")) => "_device(",
                    Some((_, "ToTensor")) => "to_tensor",
                    Some((_, "RandomTensor")) => "randn_tensor",
                    Some((_, "NamedTensors")) => "get",
                    Some((of, _)) => of,
                    None => name.rsplit("::").next().unwrap(),
                };
                assert!(body.contains(called), "{} says that it covers {name}, and calls no {called}", group.name);
            }
        }
    }
    let covered: BTreeSet<String> = covered.into_keys().collect();
    let missing: Vec<_> = public.difference(&covered).collect();
    let unknown: Vec<_> = covered.difference(&public).collect();
    assert!(missing.is_empty(), "public functions without a hostile call: {missing:#?}");
    assert!(unknown.is_empty(), "no public functions: {unknown:#?}");
}
