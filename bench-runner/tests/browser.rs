//! The HTML report in a browser; skipped on machines without Node.js or Chromium.

use std::path::{Path, PathBuf};
use std::process::Command;

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

#[test]
fn the_page_reacts_to_its_reader() {
    let browsers = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ];
    let (Some(node), Some(chromium)) = (program(&["node"]), program(&browsers)) else {
        eprintln!("skipped: needs node and one of {}", browsers.join(", "));
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
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/report.mjs");
    let output = Command::new(node)
        .arg(script)
        .arg(chromium)
        .arg(folder.path().join("index.html"))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}
