//! The house's rules, checked on the sources: no circle of imports between the files of a crate, no crate that
//! knows one above it, no library that prints, exits or parses flags, and no code that makes numbers and is not
//! part of a stored run's address.

mod graph;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bench_experiment::store::CODE_SOURCES;
use graph::Crate;

/// The crates from the bottom up, each with its folder and the ones below it that it may know.
const FLOORS: &[(&str, &str, &[&str])] = &[
    ("optim", "optim", &[]),
    ("models", "models", &[]),
    ("bench-stats", "bench-runner/stats", &[]),
    ("bench-functions", "bench-runner/functions", &[]),
    ("bench-data", "bench-runner/data", &["bench-stats"]),
    (
        "bench-experiment",
        "bench-runner/experiment",
        &[
            "optim",
            "models",
            "bench-stats",
            "bench-functions",
            "bench-data",
        ],
    ),
    (
        "bench-analysis",
        "bench-runner/analysis",
        &["optim", "bench-stats", "bench-data", "bench-experiment"],
    ),
    (
        "bench-report",
        "bench-runner/report",
        &[
            "optim",
            "bench-stats",
            "bench-data",
            "bench-experiment",
            "bench-analysis",
        ],
    ),
    (
        "bench-runner",
        "bench-runner",
        &[
            "optim",
            "bench-data",
            "bench-experiment",
            "bench-analysis",
            "bench-report",
        ],
    ),
];

/// Packages of the terminal and of pages under way, which only the program may use.
const TERMINAL: &[&str] = &[
    "axum",
    "clap",
    "clap_complete",
    "ctrlc",
    "indicatif",
    "open",
    "tokio",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn no_two_files_import_each_other() {
    for (name, folder, _) in FLOORS {
        let found = Crate::read(&root().join(folder).join("src"));
        assert!(found.files.len() > 1, "{name} was not read");
        let circles = found.circles();
        assert!(circles.is_empty(), "{name}: {circles:#?}");
    }
}

#[test]
fn a_planted_circle_is_found_through_a_re_export() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    file("lib.rs", "mod a;\nmod room;\npub use a::A;");
    file("a.rs", "use crate::room::B;\npub struct A(B);");
    file("room/mod.rs", "mod b;\npub use b::B;");
    file("room/b.rs", "pub struct B;");
    assert!(Crate::read(folder.path()).circles().is_empty());
    file("room/b.rs", "pub struct B(Option<Box<crate::A>>);");
    let circles = Crate::read(folder.path()).circles();
    assert_eq!(circles.len(), 1, "{circles:?}");
    assert_eq!(circles[0], ["a.rs", "room/b.rs"]);
    // A test module may use what it likes.
    file(
        "room/b.rs",
        "pub struct B;\n#[cfg(test)]\nmod tests { use crate::A; }",
    );
    assert!(Crate::read(folder.path()).circles().is_empty());
}

/// The names of the packages that a manifest's `[dependencies]` name.
fn dependencies(folder: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    manifest["dependencies"]
        .as_table()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

#[test]
fn crates_know_only_those_below_them_and_the_terminal_is_the_programs() {
    let own: BTreeSet<&str> = FLOORS.iter().map(|(name, ..)| *name).collect();
    for (name, folder, below) in FLOORS {
        for dependency in dependencies(folder) {
            let allowed = !own.contains(dependency.as_str()) || below.contains(&&*dependency);
            assert!(allowed, "{name} must not depend on {dependency}");
            let terminal = TERMINAL.contains(&dependency.as_str());
            assert!(
                !terminal || *name == "bench-runner",
                "{name} must not depend on {dependency}, which is for the program"
            );
        }
    }
}

#[test]
fn libraries_neither_print_nor_exit() {
    for (name, folder, _) in FLOORS.iter().filter(|(name, ..)| *name != "bench-runner") {
        let found = Crate::read(&root().join(folder).join("src"));
        let mut calls = BTreeMap::new();
        for file in found.files.values() {
            if !file.prints.is_empty() {
                calls.insert(&file.path, &file.prints);
            }
        }
        assert!(calls.is_empty(), "{name}: {calls:?}");
    }
}

/// Files of the experiment floor that a run passes through and that only tell, keep or judge.
const NOT_NUMBERS: &[&str] = &["run/checkpoint.rs"];

#[test]
fn all_code_that_makes_numbers_is_in_the_address_of_a_stored_run() {
    let experiment = root().join("bench-runner/experiment");
    let hashed: BTreeSet<PathBuf> = CODE_SOURCES
        .split(';')
        .map(|file| experiment.join(file).canonicalize().unwrap())
        .collect();
    let is_hashed = |path: &Path| hashed.contains(&path.canonicalize().unwrap());
    let mut missing = Vec::new();
    let src = experiment.join("src");
    let floor = Crate::read(&src);
    let mut starts: Vec<&str> = vec!["run/train.rs"];
    let rooms = ["problem/", "optimizer/"];
    starts.extend(floor.files.keys().filter_map(|file| {
        let inside = rooms.iter().any(|room| file.starts_with(room));
        inside.then_some(file.as_str())
    }));
    for file in floor.reachable(&starts) {
        if !is_hashed(&src.join(&file)) && !NOT_NUMBERS.contains(&file.as_str()) {
            missing.push(file);
        }
    }
    for folder in [
        "optim/src",
        "models/src",
        "bench-runner/functions/src",
        "bench-runner/data/src",
    ] {
        let folder = root().join(folder);
        for file in Crate::read(&folder).files.into_keys() {
            if !is_hashed(&folder.join(&file)) {
                missing.push(file);
            }
        }
    }
    for file in [
        "Cargo.lock",
        "datasets.toml",
        "optim/build.rs",
        "models/build.rs",
    ] {
        if !is_hashed(&root().join(file)) {
            missing.push(file.into());
        }
    }
    assert!(missing.is_empty(), "not hashed: {missing:?}");
}
