//! `docs/python.md`, run as one notebook; skipped where Python lacks what it needs.

use std::path::Path;
use std::process::Command;

#[test]
fn every_python_block_of_the_document_runs() {
    let needed = "import matplotlib, pandas, polars, pyarrow, tensorboard, torch";
    let check = Command::new("python3").args(["-c", needed]).output();
    if !check.is_ok_and(|output| output.status.success()) {
        eprintln!(
            "skipped: needs python3 with pandas, pyarrow, polars, matplotlib, tensorboard and torch"
        );
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("../docs/python.md")).unwrap();
    let blocks = text.split("```python\n").skip(1);
    let blocks: Vec<&str> = blocks
        .filter_map(|block| block.split("```").next())
        .collect();
    assert_eq!(blocks.len(), 8);
    let folder = tempfile::tempdir().unwrap();
    let scripts = folder.path().join("bench-runner/scripts");
    std::fs::create_dir_all(&scripts).unwrap();
    let script = "write_import.py";
    std::fs::copy(root.join("scripts").join(script), scripts.join(script)).unwrap();
    std::fs::write(folder.path().join("notebook.py"), blocks.join("\n")).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_bench-runner"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let others = std::env::split_paths(&path);
    let all = program.parent().map(Into::into).into_iter().chain(others);
    let output = Command::new("python3")
        .arg("notebook.py")
        .current_dir(folder.path())
        .env("PATH", std::env::join_paths(all).unwrap())
        .env("MPLBACKEND", "agg")
        .output()
        .unwrap();
    let [said, wrong] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{said}{wrong}");
    assert!(said.contains("61 points in both"), "{said}");
    // One of TensorBoard's files for each run.
    let runs = folder.path().join("tensorboard/rosenbrock-2d/lbfgs");
    assert_eq!(std::fs::read_dir(runs).unwrap().count(), 3);
}
