//! The public functions of a crate, read from its sources: what `use` and `mod` make reachable, and what types, traits and macros of the
//! reachable ones define.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::{Attribute, ImplItem, Item, TraitItem, Type, UseTree, Visibility};

/// One module: its items, and its modules by name.
struct Module {
    items: Vec<Item>,
    children: BTreeMap<String, Module>,
}

/// Everything public of the crate whose `lib.rs` is in this folder: `function`, `Type::method`, `Trait::method`, `Type as Trait` and
/// `macro!::method`.
pub fn public_functions(folder: &Path) -> BTreeSet<String> {
    let root = module(parse(&folder.join("lib.rs")), folder);
    let mut found = Found::default();
    found.reach(&root, &[], &root);
    let (types, traits) = (found.types.clone(), found.traits.clone());
    found.methods(&root, &types, &traits);
    found.names
}

fn parse(path: &Path) -> Vec<Item> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display())).items
}

/// A module with its children, which lie in `folder`.
fn module(items: Vec<Item>, folder: &Path) -> Module {
    let mut children = BTreeMap::new();
    for item in &items {
        let Item::Mod(child) = item else { continue };
        if is_test(&child.attrs) {
            continue;
        }
        let name = child.ident.to_string();
        let (inner, below) = (folder.join(&name), folder.join(format!("{name}.rs")));
        let items = match &child.content {
            Some((_, items)) => items.clone(),
            None => parse(&if below.exists() { below } else { inner.join("mod.rs") }),
        };
        children.insert(name, module(items, &inner));
    }
    Module { items, children }
}

fn is_test(attributes: &[Attribute]) -> bool {
    let list = |a: &Attribute| a.meta.require_list().map(|list| list.tokens.to_string()).unwrap_or_default();
    attributes
        .iter()
        .any(|a| a.path().is_ident("cfg") && list(a).split([' ', '(', ')', ',']).any(|word| word == "test"))
}

fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|a| {
        a.path().is_ident("doc") && a.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "hidden")
    })
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

#[derive(Default)]
struct Found {
    names: BTreeSet<String>,
    types: BTreeSet<String>,
    traits: BTreeSet<String>,
    modules: BTreeSet<Vec<String>>,
}

impl Found {
    /// A public module: all its public items.
    fn reach(&mut self, root: &Module, path: &[String], here: &Module) {
        if !self.modules.insert(path.to_vec()) {
            return;
        }
        for item in &here.items {
            self.item(root, path, here, item, None);
        }
    }

    /// A public item, or one that a `use` names.
    fn item(&mut self, root: &Module, path: &[String], here: &Module, item: &Item, wanted: Option<&str>) {
        let is = |name: &syn::Ident| wanted.is_none_or(|wanted| name == wanted);
        match item {
            Item::Fn(f) if is_public(&f.vis) && is(&f.sig.ident) && !is_hidden(&f.attrs) => {
                self.names.insert(f.sig.ident.to_string());
            }
            Item::Struct(s) if is_public(&s.vis) && is(&s.ident) => {
                self.types.insert(s.ident.to_string());
            }
            Item::Enum(e) if is_public(&e.vis) && is(&e.ident) => {
                self.types.insert(e.ident.to_string());
            }
            Item::Trait(t) if is_public(&t.vis) && is(&t.ident) => {
                self.traits.insert(t.ident.to_string());
            }
            Item::Mod(m) if is_public(&m.vis) && is(&m.ident) && !is_test(&m.attrs) => {
                let name = m.ident.to_string();
                if let Some(child) = here.children.get(&name) {
                    self.reach(root, &[path, &[name]].concat(), child);
                }
            }
            Item::Use(u) if is_public(&u.vis) => {
                for (segments, name) in flat(&u.tree, &[]) {
                    if wanted.is_none_or(|wanted| name.as_deref().is_none_or(|name| name == wanted)) {
                        self.used(root, path, &segments, name.as_deref());
                    }
                }
            }
            _ => {}
        }
    }

    /// What a `pub use` in the module at `path` names: in this crate, or not ours.
    fn used(&mut self, root: &Module, path: &[String], segments: &[String], name: Option<&str>) {
        let mut at: Vec<String> = match segments.first().map(String::as_str) {
            Some("crate") => vec![],
            Some("self") => path.to_vec(),
            Some("super") => path[..path.len() - 1].to_vec(),
            Some(first) if find(root, path).is_some_and(|here| here.children.contains_key(first)) => {
                [path, &[first.to_owned()]].concat()
            }
            _ => return, // another crate, or a macro
        };
        at.extend(segments.iter().skip(1).cloned());
        let Some(target) = find(root, &at) else { return };
        for item in &target.items {
            self.item(root, &at, target, item, name);
        }
    }

    /// Methods of the public types and traits, wherever they are defined, and those that macros write.
    fn methods(&mut self, here: &Module, types: &BTreeSet<String>, traits: &BTreeSet<String>) {
        for item in &here.items {
            match item {
                Item::Impl(block) if !is_test(&block.attrs) => {
                    let Some(name) = type_name(&block.self_ty) else { continue };
                    match &block.trait_ {
                        None if types.contains(&name) => {
                            for item in &block.items {
                                if let ImplItem::Fn(f) = item
                                    && is_public(&f.vis)
                                    && !is_hidden(&f.attrs)
                                    && !is_test(&f.attrs)
                                {
                                    self.names.insert(format!("{name}::{}", f.sig.ident));
                                }
                            }
                        }
                        Some((_, path, _)) => {
                            let of = path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
                            if traits.contains(&of) {
                                self.names.insert(format!("{name} as {of}"));
                            }
                        }
                        None => {}
                    }
                }
                Item::Trait(t) if traits.contains(&t.ident.to_string()) => {
                    for item in &t.items {
                        if let TraitItem::Fn(f) = item
                            && !is_hidden(&f.attrs)
                        {
                            self.names.insert(format!("{}::{}", t.ident, f.sig.ident));
                        }
                    }
                }
                Item::Macro(m) => {
                    if let Some(name) = &m.ident {
                        let text = m.mac.tokens.to_string();
                        for after in text.split("pub fn ").skip(1) {
                            let method: String =
                                after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                            self.names.insert(format!("{name}!::{method}"));
                        }
                    }
                }
                _ => {}
            }
        }
        here.children.values().for_each(|child| self.methods(child, types, traits));
    }
}

fn find<'a>(root: &'a Module, path: &[String]) -> Option<&'a Module> {
    path.iter().try_fold(root, |here, name| here.children.get(name))
}

fn type_name(of: &Type) -> Option<String> {
    match of {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        Type::Slice(_) => Some("[T]".to_owned()),
        Type::Array(_) => Some("[T; N]".to_owned()),
        Type::Tuple(_) => Some("()".to_owned()),
        _ => None,
    }
}

/// The paths of a `use`, each with its last name, or none for `*`.
fn flat(tree: &UseTree, before: &[String]) -> Vec<(Vec<String>, Option<String>)> {
    match tree {
        UseTree::Path(path) => flat(&path.tree, &[before, &[path.ident.to_string()]].concat()),
        UseTree::Name(name) => vec![(before.to_vec(), Some(name.ident.to_string()))],
        UseTree::Rename(rename) => vec![(before.to_vec(), Some(rename.ident.to_string()))],
        UseTree::Glob(_) => vec![(before.to_vec(), None)],
        UseTree::Group(group) => group.items.iter().flat_map(|tree| flat(tree, before)).collect(),
    }
}

/// The folders of both crates' sources, where both are there.
pub fn sources() -> Option<[PathBuf; 2]> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [here.join("../ntgram-engine/src"), here.join("src")];
    folders.iter().all(|folder| folder.is_dir()).then_some(folders)
}
