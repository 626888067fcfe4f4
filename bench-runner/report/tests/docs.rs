//! Documentation that is made of the code and of committed results (`UPDATE_DOCS=1 cargo test -p bench-report --test
//! docs` writes it), and documentation that names tests.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

use bench_report::renewed;

#[test]
fn passages_are_what_the_committed_results_give() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let documents = [
        "README.md",
        "docs/arms.md",
        "docs/pinn.md",
        "reports/findings.md",
        "reports/performance.md",
        "reports/reproduce.md",
    ];
    for name in documents {
        let path = root.join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("<!-- generated: "), "{name}");
        let right = renewed(&text, &root.join("reports/reference"))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, right).unwrap();
        } else {
            assert!(
                text == right,
                "{name} is not what results give: UPDATE_DOCS=1 cargo test -p bench-report --test docs"
            );
        }
    }
}

#[test]
fn committed_verdicts_are_of_the_committed_claims() {
    let reports = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../reports");
    let mut families = 0;
    for entry in std::fs::read_dir(&reports).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if let Some(family) = name
            .strip_suffix(".toml")
            .filter(|n| n.starts_with("claims"))
        {
            let digest = bench_data::sha256(&std::fs::read(&path).unwrap());
            let table = reports.join("reference").join(family).join("claims.md");
            let table = std::fs::read_to_string(table).unwrap();
            assert!(
                table.contains(&format!("Claims file: SHA-256 {digest}.")),
                "{name} has changed since its verdicts were written: judge it again"
            );
            families += 1;
        }
    }
    assert!(families > 1, "{families}");
}

/// Adds the names of all tests in the sources of a folder.
fn add_tests(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            add_tests(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            for after in text.split("#[test]").skip(1) {
                let name = after
                    .split("fn ")
                    .nth(1)
                    .and_then(|rest| rest.split('(').next());
                names.extend(name.map(str::to_owned));
            }
        }
    }
}

#[test]
fn every_promise_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut known = BTreeSet::new();
    for folder in ["optim", "models", "bench-runner"] {
        add_tests(&root.join(folder), &mut known);
    }
    let text = std::fs::read_to_string(root.join("docs/robustness.md")).unwrap();
    let mut promises = 0;
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, id, _, tests, _] = cells[..] else {
            panic!("{line}");
        };
        let (section, number) = id.split_at(id.len().min(1));
        let Ok(number) = number.parse::<u32>() else {
            continue;
        };
        promises += 1;
        assert_eq!(number, promises, "{section}");
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{id} names no test");
        if !names.contains(&"cargo deny") {
            let missing: Vec<_> = names
                .iter()
                .filter(|name| !known.contains(**name))
                .collect();
            assert!(missing.is_empty(), "{id}: no tests called {missing:?}");
        }
    }
    assert_eq!(promises, 27);
}
