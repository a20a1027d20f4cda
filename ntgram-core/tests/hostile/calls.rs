//! Calls with hostile arguments, one after the other in a child process, and what counts as an answer.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ntgram_core::prelude::*;

/// One call in how many characters its error may be told.
const LONGEST_MESSAGE: usize = 2000;

/// The calls of one group. The process that runs them prints a line before each and one after it; when a call ends the process, a new one
/// goes on behind it.
pub struct Calls {
    /// The first call to make: those before were made by earlier processes.
    first: usize,
    next: usize,
}

impl Calls {
    /// For a process that begins with this call.
    pub fn from(first: usize) -> Self {
        Self { first, next: 0 }
    }

    /// Makes the next call, if it is this process's; its answer is right or a reason why not.
    fn make(&mut self, what: &dyn Display, call: impl FnOnce() -> std::result::Result<(), String>) {
        let number = self.next;
        self.next += 1;
        if number < self.first {
            return;
        }
        let what = what.to_string().replace('\n', " ");
        println!("\nbegin {number} {what}");
        let answer =
            catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(format!("panic: {}", text(&*panic))));
        match answer {
            Ok(()) => println!("\nright {number}"),
            Err(reason) => println!("\nwrong {number} {}", reason.replace('\n', " ⏎ ")),
        }
    }

    /// The call must be refused, by an error that names one of these arguments ("a|b"), or a path.
    pub fn refused<T>(&mut self, what: impl Display, arguments: &str, call: impl FnOnce() -> Result<T>) {
        self.make(&what, || match call() {
            Ok(_) => Err("it was accepted".to_owned()),
            Err(error) => clear(&error, arguments),
        });
    }

    /// The call must return a right value.
    pub fn right(&mut self, what: impl Display, call: impl FnOnce() -> Result<bool>) {
        self.make(&what, || match call() {
            Ok(true) => Ok(()),
            Ok(false) => Err("silently wrong".to_owned()),
            Err(error) => Err(format!("refused: {error}")),
        });
    }

    /// The call must return a right value, or be refused by an error that names one of these arguments.
    pub fn either(&mut self, what: impl Display, arguments: &str, call: impl FnOnce() -> Result<bool>) {
        self.make(&what, || match call() {
            Ok(true) => Ok(()),
            Ok(false) => Err("silently wrong".to_owned()),
            Err(error) => clear(&error, arguments),
        });
    }

    /// The call must panic, as its documentation says, with this in the message: what cannot return an error.
    pub fn panics<T>(&mut self, what: impl Display, message: &str, call: impl FnOnce() -> T) {
        self.make(&what, || match catch_unwind(AssertUnwindSafe(call)) {
            Ok(_) => Err("it was accepted".to_owned()),
            Err(panic) if text(&*panic).contains(message) => Ok(()),
            Err(panic) => Err(format!("another panic: {}", text(&*panic))),
        });
    }
}

fn text(panic: &(dyn std::any::Any + Send)) -> String {
    let fixed = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    fixed.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// An error is clear if it names the argument, in one line that a cell can show.
fn clear(error: &Error, arguments: &str) -> std::result::Result<(), String> {
    let message = error.to_string();
    let named = match error {
        Error::Argument { argument, .. } => arguments.split('|').any(|name| name == *argument),
        Error::Io { .. } | Error::File { .. } => arguments.split('|').any(|name| name == "path"),
        Error::Diverged { .. } => arguments.split('|').any(|name| name == "diverged"),
        _ => false,
    };
    match message {
        _ if !named => Err(format!("the error does not name {arguments}: {message}")),
        _ if message.contains('\n') => Err(format!("an error of several lines: {message}")),
        _ if message.len() > LONGEST_MESSAGE => Err(format!("an error of {} bytes", message.len())),
        _ => Ok(()),
    }
}
