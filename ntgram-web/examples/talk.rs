//! The page's engine on this machine: a request a line on stdin, a reply a line on stdout.

use std::io::{BufRead, Write};

fn main() -> std::io::Result<()> {
    let mut talk = ntgram_web::talk::Talk::default();
    for request in std::io::stdin().lock().lines() {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", talk.answer(&request?))?;
        out.flush()?;
    }
    Ok(())
}
