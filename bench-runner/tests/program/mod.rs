//! The program from the outside: calls, and what they leave.

use std::path::Path;
use std::process::Command;

use bench_experiment::store::{Results, read};

/// A call in a folder, with a cache for data of its own there.
pub fn bench_runner(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bench-runner"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("HF_HOME", folder.join("hub"));
    command
}

/// The results in a report's folder, without times.
pub fn results(folder: &Path, report: &str) -> Results {
    let mut results = read(&folder.join(report).join("results.parquet")).unwrap();
    for record in &mut results.records {
        *record = record.without_times();
    }
    results
}
