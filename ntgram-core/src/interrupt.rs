//! The stop button of a notebook: whether it was pressed while this cell runs. What asks is [`train`](crate::train::train) at each
//! step, and any loop of the user's through [`interrupted`].
//!
//! The kernel's launcher (`setup/kernel.py`) has Jupyter send SIGINT to the kernel and all its processes, and starts them with that
//! signal ignored. Here the process that runs the cells starts to listen, so the signal ends nothing and no variable is lost. Any
//! other program that uses this crate does not listen: Ctrl-C ends it, as it should.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use signal_hook::consts::SIGINT;
use signal_hook::iterator::Signals;

use crate::cell;

/// The cell in which the button was pressed last; 0: in none yet.
static STOPPED: AtomicU64 = AtomicU64::new(0);

/// Whether the stop button was pressed since this cell started. Ask it in a loop of your own to end the loop and keep its results;
/// once it is `true` it stays so until the cell ends, so every later training of the cell stops too. The next cell starts anew.
///
/// ```
/// use ntgram_core::prelude::*;
/// let mut found = vec![];
/// for n in 2u64.. {
///     if (2..n).all(|k| n % k > 0) {
///         found.push(n);
///     }
///     if interrupted() || found.len() == 100 {
///         break;
///     }
/// }
/// assert_eq!(found.last(), Some(&541));
/// ```
///
/// Outside a notebook it is always `false`.
pub fn interrupted() -> bool {
    listen();
    let stopped = STOPPED.load(Ordering::Relaxed);
    if stopped == 0 {
        return false; // as a rule: nothing but one load for each step of a training
    }
    let in_this_cell = stopped == cell::number();
    if !in_this_cell {
        let _ = STOPPED.compare_exchange(stopped, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
    in_this_cell
}

/// Starts, once, a thread that waits for the signal. A thread and not a signal handler, since it reads a file. Before that the button
/// has no effect, so what takes long calls this first.
pub(crate) fn listen() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        if !cell::in_notebook() {
            return;
        }
        // Without the thread the button has no effect; that is no reason to fail.
        let Ok(mut signals) = Signals::new([SIGINT]) else { return };
        let wait = move || signals.forever().for_each(|_| STOPPED.store(cell::number(), Ordering::Relaxed));
        let _ = std::thread::Builder::new().name("stop button".into()).spawn(wait);
    });
}
