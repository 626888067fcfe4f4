//! The experiment file that `init` writes: it runs, and so does everything that is off in it.

use std::path::Path;

use bench_experiment::run::plan;
use bench_experiment::spec::Experiment;

use crate::program;

fn call(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = program::bench_runner(folder, arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn the_file_runs_and_is_never_written_over_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    assert_eq!(call(path, &["init"]), (Some(0), String::new()));
    let file = path.join("experiment.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let (code, said) = call(path, &["init", "experiment.toml"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("experiment.toml is there already"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    let (code, said) = call(path, &["init", "nowhere/mine.toml"]);
    assert_eq!(code, Some(4), "{said}");

    let run = [
        "ablation",
        "experiment.toml",
        "--quiet",
        "--store",
        "store",
        "--out",
        "out",
    ];
    assert_eq!(call(path, &run), (Some(0), String::new()));
    let results = program::results(path, "out");
    assert_eq!(results.records.len(), 2 * 3 * 3);
    assert!(results.records.iter().all(|run| run.outcome.is_final()));
}

#[test]
fn what_is_off_in_the_file_is_valid_too() {
    let text = include_str!("../src/cli/init.toml");
    let off = |line: &&str| line.starts_with('#') && !line.starts_with("# ");
    let all: Vec<&str> = text
        .lines()
        .map(|line| if off(&line) { &line[1..] } else { line })
        .collect();
    let experiment = Experiment::parse(&all.join("\n"), Path::new("all.toml")).unwrap();
    assert_eq!(experiment.problems.len(), 4);
    assert_eq!(experiment.tuning.as_ref().unwrap().seeds, [100, 101]);
    assert!(
        experiment
            .optimizers
            .iter()
            .all(|entry| entry.trials.len() == 3)
    );
    assert!(experiment.stability.is_some() && experiment.scales.len() == 1);
    assert!(!plan(&experiment).is_empty());
}
