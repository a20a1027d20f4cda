//! Which cell of a notebook runs. All cells of a kernel share one copy of this crate's statics (setup/bin/cargo): what is to last for
//! one cell only is kept with the cell's number.

/// Whether this process runs a notebook's cells: evcxr sets this variable for it, and for no other.
pub(crate) fn in_notebook() -> bool {
    std::env::var_os("EVCXR_IS_RUNTIME").is_some()
}

/// Number of the running cell, from 1 on: evcxr loads a library `libcode_N` for each cell and keeps them all. Where the system does
/// not list a process's libraries it is always 1; there each cell has its own copy of this crate (`kernel.py`).
pub(crate) fn number() -> u64 {
    let loaded = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let number = |line: &str| line.rsplit_once("libcode_")?.1.split('.').next()?.parse::<u64>().ok();
    1 + loaded.lines().filter_map(number).max().unwrap_or(0)
}
