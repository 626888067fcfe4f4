//! Completions as a shell has them, and the manual.

use std::path::Path;
use std::process::Command;

use crate::program;

/// What bash offers for the last of these words.
fn offered(words: &[&str], folder: &Path) -> Vec<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_bench-runner"));
    let path = format!(
        "{}:{}",
        program.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let script = r#"source <(bench-runner completions bash)
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _clap_complete_bench_runner "$1" "${!#}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let output = Command::new("bash")
        .args(["-c", script, "bash", "bench-runner"])
        .args(words)
        .env("PATH", path)
        .current_dir(folder)
        .output()
        .unwrap();
    let offered = String::from_utf8(output.stdout).unwrap();
    let mut offered: Vec<String> = offered.lines().map(|line| line.trim().into()).collect();
    offered.sort();
    offered
}

#[test]
fn bash_is_offered_suites_files_problems_optimizers_and_ids() {
    let folder = tempfile::tempdir().unwrap();
    let init = program::bench_runner(folder.path(), &["init", "mine.toml"]).output();
    assert!(init.unwrap().status.success());
    let offered = |words: &[&str]| offered(words, folder.path());
    assert_eq!(offered(&["abl"]), ["ablation"]);
    assert_eq!(offered(&["ablation", "p"]), ["paper", "pinn"]);
    assert_eq!(offered(&["ablation", "mi"]), ["mine.toml"]);
    assert_eq!(offered(&["ablation", "--scale", "t"]), ["tiny"]);
    assert_eq!(
        offered(&["run", "quick", "rosenbrock-20"]),
        ["rosenbrock-20d"]
    );
    assert_eq!(offered(&["run", "mine.toml", "rosen"]), ["rosenbrock"]);
    assert_eq!(
        offered(&["ablation", "quick", "--optimizers", "sgd,lb"]),
        ["sgd,lbfgs"]
    );
    assert!(offered(&["ablation", "--problems", "cnn"]).contains(&"cnn-usps".into()));
    assert_eq!(offered(&["data", "info", "tiny-s"]), ["tiny-shakespeare"]);
    assert_eq!(offered(&["figures", "cost-dim"]), ["cost-dimension"]);
    assert_eq!(offered(&["claims", "headline-a"]), ["headline-adam"]);
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let output = program::bench_runner(folder.path(), &["man", "man1"]).output();
    let said = String::from_utf8(output.unwrap().stdout).unwrap();
    assert_eq!(said.trim(), "Read: man man1/bench-runner.1");
    for (page, says) in [
        ("bench-runner.1", "Ablations over the switch criteria"),
        ("bench-runner-ablation.1", "dry\\-run"),
        ("bench-runner-data-fetch.1", "Download datasets"),
    ] {
        let text = std::fs::read_to_string(folder.path().join("man1").join(page)).unwrap();
        assert!(
            text.starts_with(".ie") || text.starts_with(".TH"),
            "{page}: {text}"
        );
        assert!(text.contains(says), "{page}");
    }
}
