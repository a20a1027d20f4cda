//! Exercises of a lesson: a check that fails until the reader's code is right, and says why, without ending the cell.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::error::Result;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every statement holds.
    Right,
    /// The code still holds a `todo!()`.
    Todo,
    /// A statement does not hold, or the code fails: which, and how.
    Wrong(String),
}

thread_local! {
    /// Checks that run on this thread, one inside the other: its panics print nothing meanwhile.
    static RUNNING: Cell<usize> = const { Cell::new(0) };
}

/// Runs code whose panics print nothing.
fn quietly<T>(code: impl FnOnce() -> T) -> std::thread::Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if RUNNING.get() == 0 {
                usual(panic);
            }
        }));
    });
    RUNNING.set(RUNNING.get() + 1);
    let result = catch_unwind(AssertUnwindSafe(code));
    RUNNING.set(RUNNING.get() - 1);
    result
}

/// Runs the reader's code and tells whether each statement about it holds, in one printed line. The cell goes on either way, so that a
/// notebook runs from top to bottom while its exercises are open.
///
/// ```
/// use ntgram_core::prelude::*;
/// fn double(x: f64) -> f64 {
///     todo!()
/// }
/// let verdict = check(|| Ok(vec![("twice 3 is 6", double(3.0) == 6.0)]));
/// assert_eq!(verdict, Verdict::Todo);
/// ```
pub fn check(statements: impl FnOnce() -> Result<Vec<(&'static str, bool)>>) -> Verdict {
    let verdict = judge(statements);
    match &verdict {
        Verdict::Right => println!("✓ Right."),
        Verdict::Todo => println!("✗ Not done yet: put your code in the place of todo!()."),
        Verdict::Wrong(reason) => println!("✗ Not yet: {reason}"),
    }
    verdict
}

fn judge(statements: impl FnOnce() -> Result<Vec<(&'static str, bool)>>) -> Verdict {
    match quietly(statements) {
        Ok(Ok(statements)) => match statements.iter().find(|statement| !statement.1) {
            None if statements.is_empty() => Verdict::Wrong("nothing was checked".to_owned()),
            None => Verdict::Right,
            Some((statement, _)) => Verdict::Wrong(in_one_line(&format!("it should hold that {statement}"))),
        },
        Ok(Err(error)) => Verdict::Wrong(in_one_line(&format!("it returns an error: {error}"))),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            if text.starts_with("not yet implemented") {
                Verdict::Todo
            } else {
                Verdict::Wrong(in_one_line(&format!("it panics: {text}")))
            }
        }
    }
}

/// Longest reason, in characters.
const LONGEST: usize = 500;

/// The start of a text, without line breaks and what else a terminal may obey.
fn in_one_line(text: &str) -> String {
    let words = text.split_whitespace().map(|word| word.chars().filter(|c| !c.is_control()).collect::<String>());
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn a_check_fails_until_everything_is_right() {
        assert_eq!(check(|| Ok(vec![("a", true), ("b", true)])), Verdict::Right);
        assert_eq!(check(|| Ok(vec![("a", true), ("b", false)])), Verdict::Wrong("it should hold that b".to_owned()));
        assert_eq!(check(|| Ok(vec![])), Verdict::Wrong("nothing was checked".to_owned()));
        assert!(
            matches!(check(|| Err(Error::argument("x", 0, "more"))), Verdict::Wrong(why) if why.contains("`x` is 0"))
        );
    }

    #[test]
    fn a_check_inside_a_check_and_a_reason_of_many_lines() {
        let inner = || check(|| panic!("no"));
        let outer = check(|| Ok(vec![("the inner one fails", inner() == Verdict::Wrong("it panics: no".to_owned()))]));
        assert_eq!(outer, Verdict::Right);
        let Verdict::Wrong(reason) = check(|| panic!("left: 1\n right: {}", "2 ".repeat(10_000))) else { panic!() };
        assert!(reason.starts_with("it panics: left: 1 right: 2 2") && reason.chars().count() == LONGEST + 2);
    }

    #[test]
    fn a_stub_is_not_done_and_a_panic_is_wrong() {
        let stub = || -> f64 { todo!() };
        let named = || -> f64 { todo!("count them") };
        assert_eq!(check(|| Ok(vec![("it is 1", stub() == 1.0)])), Verdict::Todo);
        assert_eq!(check(|| Ok(vec![("it is 1", named() == 1.0)])), Verdict::Todo);
        let list: Vec<f64> = vec![];
        let place = list.len() + 3;
        assert!(
            matches!(check(|| Ok(vec![("it is 1", list[place] == 1.0)])), Verdict::Wrong(why) if why.contains("index"))
        );
    }
}
