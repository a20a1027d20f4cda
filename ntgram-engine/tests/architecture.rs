//! ARCHITECTURE.md's table of modules is what the sources do: every `crate::` path of all crates is one that it allows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// For each crate its modules in the table's order, each with the modules that it may use.
type Table = BTreeMap<String, Vec<(String, BTreeSet<String>)>>;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A published package has one crate only, and no table.
fn in_the_repository() -> bool {
    repository().join("ntgram-core/Cargo.toml").exists()
}

/// Columns end where two blanks are: the module, what it may use (none: many blanks), what it is.
fn table() -> Table {
    let text = std::fs::read_to_string(repository().join("ARCHITECTURE.md")).unwrap();
    let block =
        text.split("```modules\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of modules");
    let mut table = Table::new();
    let mut of_crate = String::new();
    for line in block.lines().filter(|line| !line.is_empty()) {
        let Some(row) = line.strip_prefix("  ") else {
            of_crate = line.to_owned();
            continue;
        };
        let (module, rest) = row.split_at(row.find(' ').unwrap_or(row.len()));
        // what it uses begins in the twelfth column; nothing there: it uses nothing
        let uses = if rest.len() < 12 || row[11..].starts_with(' ') { "" } else { rest.trim_start() };
        let uses = uses.split("  ").next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        table.entry(of_crate.clone()).or_default().push((module.to_owned(), uses));
    }
    table
}

/// Every source file below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}

/// The modules of the crate, or of the crate below it, that a source names by a path: `crate::laws::Law`, `crate::{Error, laws::Law}`.
fn named(source: &str) -> BTreeSet<String> {
    let code: Vec<&str> = source.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let code = code.join("\n");
    let mut found = BTreeSet::new();
    for (before, prefix) in [("crate::", "crate::"), ("ntgram_engine::", "ntgram_engine::")] {
        for (at, _) in code.match_indices(before) {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
                continue;
            }
            let rest = &code[at + prefix.len()..];
            let paths = match rest.strip_prefix('{') {
                Some(list) => list.split('}').next().unwrap_or_default().split(',').collect(),
                None => vec![rest],
            };
            for path in paths {
                let name: String = path.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if name.starts_with(|c: char| c.is_lowercase()) {
                    found.insert(name);
                }
            }
        }
    }
    found
}

#[test]
fn every_module_uses_what_the_table_allows_and_nothing_else() {
    if !in_the_repository() {
        return;
    }
    for (name, modules) in table() {
        let root = repository().join(&name).join("src");
        let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for file in sources(&root) {
            let relative = file.strip_prefix(&root).unwrap().with_extension("");
            let module = relative.iter().next().unwrap().to_str().unwrap().to_owned();
            if module == "lib" {
                continue;
            }
            let mut names = named(&std::fs::read_to_string(&file).unwrap());
            names.remove(&module);
            used.entry(module).or_default().extend(names);
        }
        let allowed: BTreeMap<String, BTreeSet<String>> = modules.iter().cloned().collect();
        assert_eq!(used.keys().collect::<Vec<_>>(), allowed.keys().collect::<Vec<_>>(), "modules of {name}");
        for (module, uses) in &used {
            assert_eq!(uses, &allowed[module], "what {name}::{module} uses, and what ARCHITECTURE.md says");
        }
    }
}

#[test]
fn the_table_points_one_way() {
    if !in_the_repository() {
        return;
    }
    let table = table();
    assert_eq!(table.keys().collect::<Vec<_>>(), ["ntgram-core", "ntgram-engine", "ntgram-sweep", "ntgram-web"]);
    let engine: BTreeSet<String> = table["ntgram-engine"].iter().map(|(module, _)| module.clone()).collect();
    for (name, modules) in &table {
        let mut above = if name == "ntgram-engine" { BTreeSet::new() } else { engine.clone() };
        for (module, uses) in modules {
            assert!(uses.is_subset(&above), "{name}::{module} uses only what stands above it: {uses:?}");
            above.insert(module.clone());
        }
    }
}

#[test]
fn paths_are_found_in_every_form() {
    let source = "use crate::laws::Law;\nuse crate::{Error, data, rng::TorchRng};\n// crate::plot\nlet x = ntgram_engine::train::f();\n\
                  macro_crate::other(); $crate::table::Row; crate::Result";
    let names: Vec<String> = named(source).into_iter().collect();
    assert_eq!(names, ["data", "laws", "rng", "train"]);
}
