//! Tells the library which compiler built it, for the manifest, and a hash of all code that its runs'
//! numbers depend on, for the store.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use sha2::{Digest, Sha256};

/// Where a run's numbers come from: a change anywhere else cannot change them.
const SOURCES: &[&str] = &[
    "../../Cargo.lock",
    "../../datasets.toml",
    "../../models/build.rs",
    "../../models/src",
    "../../optim/build.rs",
    "../../optim/src",
    "../data/src",
    "../functions/src",
    "../stats/src/location.rs",
    "../stats/src/random.rs",
    "src/error.rs",
    "src/optimizer",
    "src/problem",
    "src/registry.rs",
    "src/run",
    "src/settings.rs",
    "src/spec",
];

/// Cargo features that change which code computes.
const FEATURES: &[&str] = &["ACCELERATE", "CUDA", "CUDNN", "METAL", "MKL"];

fn main() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let version = Command::new(rustc).arg("--version").output();
    let version = version
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_default();
    println!("cargo::rustc-env=RUSTC_VERSION={}", version.trim());
    println!("cargo::rerun-if-changed=build.rs");

    let mut files = Vec::new();
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
        collect(Path::new(source), &mut files);
    }
    files.sort();
    let mut hash = Sha256::new();
    hash.update(version.trim());
    for feature in FEATURES {
        let on = std::env::var_os(format!("CARGO_FEATURE_{feature}")).is_some();
        hash.update([u8::from(on)]);
    }
    for file in &files {
        let text = content(file);
        hash.update(file.to_string_lossy().as_bytes());
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    let digest: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    println!("cargo::rustc-env=CODE_SHA256={digest}");
    let names: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    println!("cargo::rustc-env=CODE_SOURCES={}", names.join(";"));
}

/// Adds a file, or all files below a folder.
fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    match std::fs::read_dir(path) {
        Ok(entries) => entries
            .flatten()
            .for_each(|entry| collect(&entry.path(), files)),
        Err(_) => files.push(path.into()),
    }
}

/// What of a file can change numbers: of Rust its tokens, without documentation and tests; of others all.
fn content(file: &Path) -> Vec<u8> {
    let bytes = std::fs::read(file).unwrap_or_default();
    if file.extension().is_none_or(|extension| extension != "rs") {
        return bytes;
    }
    let text = String::from_utf8_lossy(&bytes);
    // What is no Rust does not compile either; its bytes are as good as any.
    TokenStream::from_str(&text).map_or(bytes.clone(), |tokens| {
        let mut kept = String::new();
        code(tokens, &mut kept);
        kept.into_bytes()
    })
}

/// Writes the tokens one by one, but for `#[doc …]` and for what `#[cfg(test)]` stands before.
fn code(tokens: TokenStream, kept: &mut String) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if let (TokenTree::Punct(punct), Some(TokenTree::Group(group))) = (&token, tokens.peek())
            && punct.as_char() == '#'
            && group.delimiter() == Delimiter::Bracket
        {
            let attribute = group.stream().to_string();
            if attribute.starts_with("doc ") || attribute.starts_with("doc=") {
                tokens.next();
                continue;
            }
            if attribute.replace(' ', "") == "cfg(test)" {
                skip_item(&mut tokens);
                continue;
            }
        }
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                kept.push_str(open);
                code(group.stream(), kept);
                kept.push_str(close);
            }
            other => {
                kept.push_str(&other.to_string());
                kept.push(' ');
            }
        }
    }
}

/// Skips an item, up to its body or its semicolon.
fn skip_item(tokens: &mut impl Iterator<Item = TokenTree>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return,
            TokenTree::Punct(punct) if punct.as_char() == ';' => return,
            _ => {}
        }
    }
}
