//! Which files of a crate import which, read from the sources with re-exports resolved.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Item, UseTree};

/// A module's path within its crate.
type Module = Vec<String>;

/// The files of a crate.
pub struct Crate {
    /// By path within the source folder.
    pub files: BTreeMap<String, File>,
    modules: BTreeMap<Module, Names>,
}

/// What is known of a file.
pub struct File {
    pub path: PathBuf,
    /// Macros and calls that print or exit.
    pub prints: Vec<String>,
    module: Module,
    imports: Vec<Module>,
    /// Whether it only declares and re-exports modules.
    is_facade: bool,
}

/// The names that a module has.
#[derive(Default)]
struct Names {
    file: String,
    defined: BTreeSet<String>,
    children: BTreeSet<String>,
    /// By name the absolute path that it stands for.
    reexports: BTreeMap<String, Module>,
    globs: Vec<Module>,
}

impl Crate {
    /// Reads all files below a source folder.
    pub fn read(folder: &Path) -> Self {
        let mut found = Self {
            files: BTreeMap::new(),
            modules: BTreeMap::new(),
        };
        let mut paths = Vec::new();
        list(folder, &mut paths);
        for path in paths {
            let relative = path.strip_prefix(folder).unwrap();
            let mut module: Module = relative
                .with_extension("")
                .iter()
                .map(|part| part.to_string_lossy().into_owned())
                .collect();
            if module
                .last()
                .is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str()))
            {
                module.pop();
            }
            let name = relative.display().to_string();
            found.add(&path, name, module);
        }
        found
    }

    fn add(&mut self, path: &Path, name: String, module: Module) {
        let text = std::fs::read_to_string(path).unwrap();
        let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut reader = Reader {
            file: &name,
            modules: &mut self.modules,
            module: module.clone(),
            imports: Vec::new(),
            prints: Vec::new(),
        };
        reader.modules.entry(module.clone()).or_default().file = name.clone();
        reader.visit_file(&syntax);
        let (imports, prints) = (reader.imports, reader.prints);
        let is_facade = syntax
            .items
            .iter()
            .all(|item| matches!(item, Item::Mod(_) | Item::Use(_)));
        self.files.insert(
            name,
            File {
                path: path.into(),
                prints,
                module,
                imports,
                is_facade,
            },
        );
    }

    /// The file in which the thing at an absolute path is defined.
    fn resolve(&self, path: &[String], depth: usize) -> Option<&str> {
        let mut module: Module = Vec::new();
        for (index, part) in path.iter().enumerate() {
            let names = self.modules.get(&module)?;
            if names.children.contains(part) {
                module.push(part.clone());
                continue;
            }
            if names.defined.contains(part) {
                return Some(&names.file);
            }
            // A re-export of a re-export of … of itself would never end.
            if depth > 20 {
                return None;
            }
            let rest = &path[index + 1..];
            let through = |target: &Module, with_name: bool| {
                let mut whole = target.clone();
                if with_name {
                    whole.push(part.clone());
                }
                whole.extend_from_slice(rest);
                self.resolve(&whole, depth + 1)
            };
            if let Some(target) = names.reexports.get(part) {
                return through(target, false);
            }
            return names.globs.iter().find_map(|target| through(target, true));
        }
        // A module by itself: what is used of it is another path.
        None
    }

    /// The files that a file imports from.
    fn imports(&self, file: &File) -> BTreeSet<&str> {
        if file.is_facade {
            return BTreeSet::new();
        }
        let own = &self.modules[&file.module].file;
        file.imports
            .iter()
            .filter_map(|path| self.resolve(path, 0))
            .filter(|target| target != own)
            .collect()
    }

    /// The groups of files that import each other, directly or through others.
    pub fn circles(&self) -> Vec<Vec<String>> {
        let reach: BTreeMap<&str, BTreeSet<String>> = self
            .files
            .keys()
            .map(|name| (name.as_str(), self.reachable_from(name)))
            .collect();
        let mut circles: Vec<Vec<String>> = Vec::new();
        for name in self.files.keys() {
            let mut circle: Vec<String> = reach[name.as_str()]
                .iter()
                .filter(|other| *other != name && reach[other.as_str()].contains(name))
                .cloned()
                .collect();
            if !circle.is_empty() {
                circle.push(name.clone());
                circle.sort();
                if !circles.contains(&circle) {
                    circles.push(circle);
                }
            }
        }
        circles
    }

    /// Some files and all that they import, directly or through others.
    pub fn reachable(&self, starts: &[&str]) -> BTreeSet<String> {
        let mut all: BTreeSet<String> = starts.iter().map(|start| (*start).to_owned()).collect();
        for start in starts {
            all.extend(self.reachable_from(start));
        }
        all
    }

    fn reachable_from(&self, start: &str) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        let mut next = vec![start.to_owned()];
        while let Some(name) = next.pop() {
            for target in self.imports(&self.files[&name]) {
                if all.insert(target.to_owned()) {
                    next.push(target.to_owned());
                }
            }
        }
        all
    }
}

fn list(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            list(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    paths.sort();
}

/// Collects the names and imports of one file.
struct Reader<'a> {
    file: &'a str,
    modules: &'a mut BTreeMap<Module, Names>,
    module: Module,
    imports: Vec<Module>,
    prints: Vec<String>,
}

impl Reader<'_> {
    fn names(&mut self) -> &mut Names {
        self.modules.entry(self.module.clone()).or_default()
    }

    /// The absolute path within the crate, if it is one.
    fn absolute(&mut self, path: &[String]) -> Option<Module> {
        let mut parts = path.iter();
        let mut absolute = match path.first()?.as_str() {
            "crate" => {
                parts.next();
                Vec::new()
            }
            "self" => {
                parts.next();
                self.module.clone()
            }
            "super" => self.module.clone(),
            first => {
                let names = self.modules.get(&self.module)?;
                if names.children.contains(first) {
                    self.module.clone()
                } else {
                    // A name that was imported stands for what it was imported from.
                    let target = names.reexports.get(first)?;
                    parts.next();
                    target.clone()
                }
            }
        };
        for part in parts {
            if part == "super" {
                absolute.pop();
            } else {
                absolute.push(part.clone());
            }
        }
        Some(absolute)
    }

    fn use_tree(&mut self, tree: &UseTree, before: &mut Vec<String>) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.use_tree(&path.tree, before);
                before.pop();
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.use_tree(tree, before);
                }
            }
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                if name == "self" {
                    let alias = before.last().cloned().unwrap_or_default();
                    self.import(before.clone(), alias);
                } else {
                    let mut path = before.clone();
                    path.push(name.clone());
                    self.import(path, name);
                }
            }
            UseTree::Rename(rename) => {
                let mut path = before.clone();
                if rename.ident != "self" {
                    path.push(rename.ident.to_string());
                }
                self.import(path, rename.rename.to_string());
            }
            UseTree::Glob(_) => {
                if let Some(absolute) = self.absolute(before) {
                    self.names().globs.push(absolute.clone());
                    self.imports.push(absolute);
                }
            }
        }
    }

    fn import(&mut self, path: Vec<String>, alias: String) {
        if let Some(absolute) = self.absolute(&path) {
            self.names().reexports.insert(alias, absolute.clone());
            self.imports.push(absolute);
        }
    }
}

/// Whether an item is compiled for tests alone.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test"))
    })
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_file(&mut self, file: &'ast syn::File) {
        // Names first: what is imported may be declared below.
        for item in &file.items {
            self.declare(item);
        }
        visit::visit_file(self, file);
    }

    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            _ => &Vec::new(),
        };
        if !is_test(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let Some((_, items)) = &item.content else {
            return;
        };
        self.module.push(item.ident.to_string());
        let file = self.file.to_owned();
        self.names().file = file;
        for item in items {
            self.declare(item);
        }
        for item in items {
            self.visit_item(item);
        }
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.use_tree(&item.tree, &mut Vec::new());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if parts.ends_with(&["process".into(), "exit".into()]) {
            self.prints.push("process::exit".into());
        }
        if parts.len() > 1
            && let Some(absolute) = self.absolute(&parts)
        {
            self.imports.push(absolute);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let name = call.path.segments.last().map(|last| last.ident.to_string());
        let name = name.unwrap_or_default();
        if ["print", "println", "eprint", "eprintln", "dbg"].contains(&name.as_str()) {
            self.prints.push(name);
        }
        // What a macro is given is mostly expressions; where it is, its paths count too.
        let parser = syn::punctuated::Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated;
        if let Ok(arguments) = call.parse_body_with(parser) {
            for argument in &arguments {
                // Expressions live as long as this call, so that a visitor of their own is needed.
                let mut paths = Paths::default();
                paths.visit_expr(argument);
                for parts in paths.found {
                    if let Some(absolute) = self.absolute(&parts) {
                        self.imports.push(absolute);
                    }
                }
            }
        }
        visit::visit_macro(self, call);
    }
}

/// The paths of several parts in an expression.
#[derive(Default)]
struct Paths {
    found: Vec<Vec<String>>,
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            let segments = path.segments.iter();
            let parts = segments.map(|segment| segment.ident.to_string());
            self.found.push(parts.collect());
        }
        visit::visit_path(self, path);
    }
}

impl Reader<'_> {
    /// Notes what an item defines.
    fn declare(&mut self, item: &Item) {
        let defined = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            Item::Mod(item) => {
                if !is_test(&item.attrs) {
                    let child = item.ident.to_string();
                    self.names().children.insert(child);
                }
                return;
            }
            Item::Macro(item) => match &item.ident {
                Some(ident) => ident,
                None => return,
            },
            _ => return,
        };
        let defined = defined.to_string();
        self.names().defined.insert(defined);
    }
}
