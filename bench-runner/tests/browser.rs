//! The HTML report and the page of a sweep in a browser; skipped on machines without Node.js or Chromium.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::Served;
use crate::serve::experiment;
use crate::synthetic;
use bench_experiment::run::RunRecord;
use bench_experiment::store::Results;
use bench_report::Report;

/// The first of `names` that is on the search path.
fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .find(|file| file.is_file())
}

/// Node.js and a browser, if they are there.
fn node_and_chromium() -> Option<[PathBuf; 2]> {
    let browsers = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ];
    let found = program(&["node"]).zip(program(&browsers));
    if found.is_none() {
        eprintln!("skipped: needs node and one of {}", browsers.join(", "));
    }
    found.map(Into::into)
}

/// Runs a script on a page; its checks must pass. With `SCREENSHOTS` in the environment it leaves pictures there.
fn check([node, chromium]: [PathBuf; 2], script: &str, page: impl AsRef<std::ffi::OsStr>) {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
    let output = Command::new(node)
        .arg(scripts.join(script))
        .arg(chromium)
        .arg(page)
        .args(std::env::var_os("SCREENSHOTS"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}

#[test]
fn the_page_of_a_sweep_shows_it_while_it_runs() {
    let Some(programs) = node_and_chromium() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    // Long enough for a browser to start meanwhile.
    let short = experiment();
    let experiment = short.replace("budget = 600000", "budget = 4000000");
    assert_ne!(experiment, short);
    std::fs::write(folder.path().join("tiny.toml"), experiment).unwrap();
    let served = Served::start(folder.path(), &["tiny.toml", "--jobs", "1"]);
    check(programs, "live.mjs", &served.address);
}

#[test]
fn the_page_reacts_to_its_reader() {
    let Some(programs) = node_and_chromium() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (mut results, manifest) = (synthetic::results(5), synthetic::manifest(5));
    // A method that never switched on one problem.
    let adam = |seed: u64, results: &Results| {
        let mut runs = results.runs("mnist-mlp", "adam");
        runs.find(|run| run.cell.seed == seed).unwrap().clone()
    };
    for index in 0..results.records.len() {
        let cell = results.records[index].cell.clone();
        if cell.problem == "mnist-mlp" && cell.optimizer == "fuse-pv/loss-decrease" {
            results.records[index] = RunRecord {
                cell: cell.clone(),
                ..adam(cell.seed, &results)
            };
        }
    }
    // Rounded it would be another one.
    results.problems[0].target = Some(2.345e-6);
    Report::new(&results, &manifest)
        .write(folder.path())
        .unwrap();
    check(programs, "report.mjs", folder.path().join("index.html"));
}
