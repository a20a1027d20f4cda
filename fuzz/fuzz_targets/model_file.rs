//! Model files that libFuzzer comes up with: whatever is in them, both readers take a whole model or refuse the file in one line, as in
//! the hostile run of `ntgram-core`. It starts from a file of each kind, which it writes into the corpus' folder.

#![no_main]

#[path = "../../ntgram-core/tests/hostile/inputs.rs"]
#[allow(dead_code)] // the hostile run uses the others
mod inputs;
#[path = "../../ntgram-core/tests/hostile/readers.rs"]
mod readers;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

/// The one file that all inputs are written to, of this process alone.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    folder.join(format!("ntgram-fuzz-{}", std::process::id()))
});

/// Writes a file of each kind into the corpus, the first folder that the command line names.
fn seed() {
    if let Some(corpus) = std::env::args().skip(1).map(PathBuf::from).find(|path| path.is_dir()) {
        readers::save_whole(&corpus).expect("the corpus can be written");
    }
}

fuzz_target!(init: seed(), |bytes: &[u8]| {
    std::fs::write(&*FILE, bytes).expect("there is room for a small file");
    let answer = readers::read(&FILE);
    std::fs::remove_file(&*FILE).ok();
    if let Err(wrong) = answer {
        panic!("{wrong}");
    }
});
