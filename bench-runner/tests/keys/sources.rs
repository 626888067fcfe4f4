//! Types in Rust sources, with what their doc comments and serde attributes say of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::punctuated::Punctuated;
use syn::{
    Attribute, Expr, ExprLit, Field, Fields, GenericArgument, Item, Lit, Meta, PathArguments, Token,
};

/// A type with the file that it is from.
pub struct Type {
    pub name: String,
    file: PathBuf,
    item: Item,
}

/// All types of some folders that are read from files.
pub struct Sources(Vec<Type>);

/// A key of a table.
pub struct Key {
    pub key: String,
    pub of: syn::Type,
    pub meaning: String,
    /// Of a choice, what it is by default.
    pub default: Option<String>,
}

impl Sources {
    pub fn read(folders: &[PathBuf]) -> Self {
        let mut types = Vec::new();
        for folder in folders {
            add_types(folder, &mut types);
        }
        Self(types)
    }

    /// The type with a name that is nearest to a file: names are unique within a folder, not within all.
    pub fn find(&self, name: &str, from: &Path) -> Option<&Type> {
        let common = |file: &Path| {
            file.components()
                .zip(from.components())
                .take_while(|(a, b)| a == b)
                .count()
        };
        let named = self.0.iter().filter(|known| known.name == name);
        named.max_by_key(|known| {
            (
                common(&known.file),
                std::cmp::Reverse(known.file.components().count()),
            )
        })
    }

    /// The heading of a type: its name, with its folder where there are several.
    fn heading(&self, of: &Type) -> String {
        match self.0.iter().filter(|known| known.name == of.name).count() {
            1 => of.name.clone(),
            _ => {
                let mut folders = of.file.iter().rev().skip(1);
                let folder = folders.find(|folder| *folder != "src").unwrap();
                format!("{} ({})", of.name, folder.to_string_lossy())
            }
        }
    }

    pub fn by_heading(&self, heading: &str) -> &Type {
        self.0
            .iter()
            .find(|known| self.heading(known) == heading)
            .unwrap()
    }

    /// The keys of a struct; those of a flattened field are among them.
    pub fn fields(&self, of: &Type) -> Vec<Key> {
        match &of.item {
            Item::Struct(item) => self.keys(&item.fields, of),
            _ => Vec::new(),
        }
    }

    fn keys(&self, fields: &Fields, of: &Type) -> Vec<Key> {
        let mut keys = Vec::new();
        for field in fields.iter().filter(|field| field.ident.is_some()) {
            let serde = serde(&field.attrs);
            let inner = || self.find(&last(&field.ty)?.ident.to_string(), &of.file);
            match inner() {
                _ if serde.contains_key("skip") => {}
                Some(inner) if serde.contains_key("flatten") => keys.extend(self.fields(inner)),
                inner => keys.push(Key {
                    key: serde.get("rename").cloned().unwrap_or_else(|| name(field)),
                    of: field.ty.clone(),
                    meaning: meaning(&field.attrs),
                    default: inner.and_then(default),
                }),
            }
        }
        keys
    }

    /// A type in words; tables and choices link to their section, and are noted as wanted.
    pub fn words(
        &self,
        of: &syn::Type,
        within: &Type,
        kinds: &BTreeMap<&str, &str>,
        wanted: &mut BTreeSet<String>,
    ) -> String {
        if let syn::Type::Array(array) = of {
            let Expr::Lit(ExprLit {
                lit: Lit::Int(length),
                ..
            }) = &array.len
            else {
                return "a list".into();
            };
            let inner = self.words(&array.elem, within, kinds, wanted);
            return format!("{length} × {inner}");
        }
        let Some(last) = last(of) else {
            return "a value".into();
        };
        let mut inner = || match &last.arguments {
            PathArguments::AngleBracketed(arguments) => match arguments.args.last() {
                Some(GenericArgument::Type(inner)) => self.words(inner, within, kinds, wanted),
                _ => "a value".into(),
            },
            _ => "a value".into(),
        };
        let name = last.ident.to_string();
        match name.as_str() {
            "f64" | "f32" => "number".into(),
            "bool" => "`true`, `false`".into(),
            "usize" | "u64" | "u32" | "u16" => "whole number".into(),
            "String" | "PathBuf" => "text".into(),
            "Option" | "Box" => inner(),
            "Vec" => format!("list of: {}", inner()),
            "BTreeMap" => format!("table of: {}", inner()),
            _ => match (kinds.get(name.as_str()), self.find(&name, &within.file)) {
                (Some(kind), _) => format!("[`{kind}`](#{kind})"),
                (None, Some(_)) if name == "ModelSpec" => "[a model](#models)".into(),
                (None, Some(of)) => {
                    let heading = self.heading(of);
                    let anchor = heading
                        .to_lowercase()
                        .replace(' ', "-")
                        .replace(['(', ')'], "");
                    wanted.insert(heading.clone());
                    format!("[{heading}](#{anchor})")
                }
                (None, None) => format!("`{name}`"),
            },
        }
    }

    /// The section of a type that keys have as a value.
    pub fn value(
        &self,
        of: &Type,
        kinds: &BTreeMap<&str, &str>,
        wanted: &mut BTreeSet<String>,
    ) -> String {
        let mut text = format!("\n### {}\n", self.heading(of));
        match &of.item {
            Item::Struct(item) => {
                text += &format!("\n{}\n", meaning(&item.attrs));
                let keys = self.keys(&item.fields, of);
                if !keys.is_empty() {
                    text += "\n| key | type | meaning |\n|---|---|---|\n";
                }
                for key in keys {
                    let words = self.words(&key.of, of, kinds, wanted);
                    text += &format!(
                        "| `{}` | {words} | {} |\n",
                        key.key,
                        super::cell(&key.meaning)
                    );
                }
            }
            Item::Enum(item) => {
                text += &format!(
                    "\n{}\n\n| value | meaning |\n|---|---|\n",
                    meaning(&item.attrs)
                );
                let serde_of_all = serde(&item.attrs);
                for variant in &item.variants {
                    let own = serde(&variant.attrs);
                    let ident = variant.ident.to_string();
                    let renamed = own.get("rename").cloned();
                    let name =
                        renamed.unwrap_or_else(|| cased(&ident, serde_of_all.get("rename_all")));
                    let mut says = meaning(&variant.attrs);
                    let keys = self.keys(&variant.fields, of);
                    for key in &keys {
                        let words = self.words(&key.of, of, kinds, wanted);
                        says += &format!(" `{}` ({words}): {}", key.key, key.meaning);
                    }
                    let tagged = serde_of_all
                        .get("tag")
                        .map(|tag| format!("{tag} = \"{name}\""));
                    let listed: Vec<&str> = keys.iter().map(|key| key.key.as_str()).collect();
                    let listed = listed
                        .iter()
                        .map(|key| format!("{key} = …"))
                        .collect::<Vec<_>>();
                    let form = match (&variant.fields, tagged) {
                        (Fields::Unnamed(inner), _) if serde_of_all.contains_key("untagged") => {
                            let words = self.words(&inner.unnamed[0].ty, of, kinds, wanted);
                            text += &format!("| {words} | {} |\n", super::cell(&says));
                            continue;
                        }
                        (Fields::Unnamed(inner), Some(tag)) => {
                            let words = self.words(&inner.unnamed[0].ty, of, kinds, wanted);
                            says += &format!(" Beside it the keys of {words}.");
                            format!("{{ {tag}, … }}")
                        }
                        (_, Some(tag)) => {
                            format!("{{ {} }}", [vec![tag], listed].concat().join(", "))
                        }
                        (Fields::Unit, None) => format!("\"{name}\""),
                        (Fields::Named(_), None) if serde_of_all.contains_key("untagged") => {
                            format!("{{ {} }}", listed.join(", "))
                        }
                        (Fields::Named(_), None) => {
                            format!("{{ {name} = {{ {} }} }}", listed.join(", "))
                        }
                        (Fields::Unnamed(inner), None) => {
                            let words = self.words(&inner.unnamed[0].ty, of, kinds, wanted);
                            says += &format!(" Its value: {words}.");
                            format!("{{ {name} = … }}")
                        }
                    };
                    text += &format!("| `{form}` | {} |\n", super::cell(&says));
                }
            }
            _ => {}
        }
        text
    }
}

fn add_types(folder: &Path, types: &mut Vec<Type>) {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            add_types(&path, types);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            for item in syn::parse_file(&text).unwrap().items {
                let (name, attributes) = match &item {
                    Item::Struct(item) => (item.ident.to_string(), &item.attrs),
                    Item::Enum(item) => (item.ident.to_string(), &item.attrs),
                    _ => continue,
                };
                if !is_read(attributes) {
                    continue;
                }
                types.push(Type {
                    name,
                    file: path.clone(),
                    item,
                });
            }
        }
    }
}

/// Whether serde is to read a type.
fn is_read(attributes: &[Attribute]) -> bool {
    let derives = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("derive"));
    derives.into_iter().any(|attribute| {
        let derived =
            attribute.parse_args_with(Punctuated::<syn::Path, Token![,]>::parse_terminated);
        derived
            .unwrap()
            .iter()
            .any(|derived| derived.segments.last().unwrap().ident == "Deserialize")
    })
}

/// The default of an enumeration, as files write it.
fn default(of: &Type) -> Option<String> {
    let Item::Enum(item) = &of.item else {
        return None;
    };
    let default = |variant: &&syn::Variant| {
        variant
            .attrs
            .iter()
            .any(|attribute| attribute.path().is_ident("default"))
    };
    let variant = item.variants.iter().find(default)?;
    let renamed = serde(&variant.attrs).get("rename").cloned();
    let case = serde(&item.attrs);
    let name = renamed.unwrap_or_else(|| cased(&variant.ident.to_string(), case.get("rename_all")));
    Some(format!("\"{name}\""))
}

fn last(of: &syn::Type) -> Option<&syn::PathSegment> {
    match of {
        syn::Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

fn name(field: &Field) -> String {
    field
        .ident
        .as_ref()
        .unwrap()
        .to_string()
        .trim_start_matches("r#")
        .into()
}

/// The first paragraph of a doc comment, with the text of its links alone.
fn meaning(attributes: &[Attribute]) -> String {
    let lines = attributes
        .iter()
        .filter_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
                Expr::Lit(ExprLit {
                    lit: Lit::Str(text),
                    ..
                }) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        });
    let paragraph: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    unlinked(&paragraph.join(" "))
}

/// `[text](target)` and `` [`text`] `` as `text`: what they point to is in the code's documentation.
fn unlinked(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        let Some((inside, after)) = after.split_once(']') else {
            break;
        };
        let target = after
            .strip_prefix('(')
            .and_then(|target| target.split_once(')'));
        let kept = match target {
            Some((target, _)) if target.starts_with("http") => format!("[{inside}]({target})"),
            None if !inside.starts_with('`') => format!("[{inside}]"),
            _ => inside.to_owned(),
        };
        plain += before;
        plain += &kept;
        rest = target.map_or(after, |(_, after)| after);
    }
    plain + rest
}

/// The serde attributes: names with their values, empty for those that have none.
fn serde(attributes: &[Attribute]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for attribute in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde"))
    {
        let entries = attribute
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .unwrap();
        for entry in entries {
            let value = match &entry {
                Meta::NameValue(pair) => match &pair.value {
                    Expr::Lit(ExprLit {
                        lit: Lit::Str(text),
                        ..
                    }) => text.value(),
                    _ => String::new(),
                },
                _ => String::new(),
            };
            found.insert(entry.path().get_ident().unwrap().to_string(), value);
        }
    }
    found
}

/// The name of a variant in the case that serde is told.
fn cased(ident: &str, case: Option<&String>) -> String {
    let between = match case.map(String::as_str) {
        Some("kebab-case") => "-",
        Some("snake_case") => "_",
        Some("lowercase") => "",
        _ => return ident.into(),
    };
    let mut text = String::new();
    for sign in ident.chars() {
        if sign.is_uppercase() && !text.is_empty() {
            text += between;
        }
        text.extend(sign.to_lowercase());
    }
    text
}
