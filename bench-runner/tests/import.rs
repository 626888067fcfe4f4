//! Runs of other programs: shown beside ours and marked wherever they are, kept apart from ours, and checked before
//! anything is done.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use bench_analysis::overall::reference;
use bench_experiment::import::{COLUMNS, Destination, Import};
use bench_experiment::spec::Suite;
use bench_experiment::store::{Results, read, read_imported, read_with_imported};
use polars::prelude::{Column, DataFrame, ParquetWriter};

use crate::mutate::mutate;
use crate::program;

/// What `scripts/write_import.py` writes.
const TABLE: &str = include_str!("golden/import.csv");

fn call(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = program::bench_runner(folder, arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    (output.status.code(), said)
}

fn succeeds(folder: &Path, arguments: &[&str]) {
    let (code, said) = call(folder, arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {said}");
}

/// A report of ours on two problems, in `report`.
fn ours(folder: &Path) {
    let part = "ablation quick --problems rosenbrock-2d,beale --optimizers adam,fuse-pv/epoch --seeds 2 --quiet";
    let mut arguments: Vec<&str> = part.split(' ').collect();
    arguments.extend(["--store", "store", "--out", "report"]);
    succeeds(folder, &arguments);
}

/// The runs of a table on problems of `quick`.
fn imported(folder: &Path, name: &str, content: &[u8]) -> Result<Results, String> {
    let file = folder.join(name);
    std::fs::write(&file, content).unwrap();
    let experiment = Suite::find("quick").unwrap().experiment().unwrap();
    let import = Import {
        file: &file,
        label: None,
        note: None,
    };
    let runs = import.read(&Destination::from(&experiment));
    runs.map_err(|error| {
        error
            .to_string()
            .replace(&format!("{}/", folder.display()), "")
    })
}

fn files(folder: &Path, all: &mut BTreeSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, all),
            false => drop(all.insert(path)),
        }
    }
}

#[test]
fn imported_runs_are_shown_beside_ours_marked_and_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    ours(path);
    let results = path.join("report/results.parquet");
    let before = std::fs::read(&results).unwrap();
    let mut stored = BTreeSet::new();
    files(&path.join("store"), &mut stored);
    std::fs::write(path.join("runs.csv"), TABLE).unwrap();
    let import = [
        "import",
        "runs.csv",
        "--into",
        "report",
        "--note",
        "heavy ball",
        "--label",
    ];
    // Under Adam's name it is still not the Adam that others are compared with.
    for label in ["momentum", "adam", "momentum"] {
        succeeds(path, &[import.as_slice(), &[label]].concat());
    }

    // Ours are what they were, on disk and in the store.
    assert_eq!(std::fs::read(&results).unwrap(), before);
    let mut still = BTreeSet::new();
    files(&path.join("store"), &mut still);
    assert_eq!(still, stored);

    let shown = read_with_imported(&results).unwrap();
    let labels: Vec<&str> = shown
        .optimizers
        .iter()
        .map(|own| own.label.as_str())
        .collect();
    assert_eq!(
        labels,
        [
            "adam",
            "fuse-pv/epoch",
            "imported/adam",
            "imported/momentum"
        ]
    );
    assert_eq!(reference(&shown), Some("adam"));
    let others = shown.optimizers[1..].iter().map(|own| own.label.clone());
    assert_eq!(
        reference(&shown.narrowed(&[], &others.collect::<Vec<_>>())),
        None
    );
    assert_eq!(
        shown.records.len(),
        read(&results).unwrap().records.len() + 6
    );
    let run = shown
        .runs("rosenbrock-2d", "imported/momentum")
        .nth(1)
        .unwrap();
    assert_eq!((run.cell.seed, run.curve.len()), (1, 61));
    assert_eq!(run.counts.gradient_evaluations, 600);
    assert_eq!(run.curve[60].loss, 0.3155074346008899);
    assert!(run.seconds > 0.0 && run.curve[60].epoch.is_nan());

    // Tables, figures and lists have the marked name, and none has the bare one.
    for name in [
        "index.html",
        "summary.md",
        "summary.tex",
        "summary.csv",
        "runs.csv",
        "figures/rosenbrock-2d-loss-evaluations.svg",
    ] {
        let text = std::fs::read_to_string(path.join("report").join(name)).unwrap();
        assert!(text.contains("imported/momentum"), "{name}");
        assert!(
            !text.replace("imported/momentum", "").contains("momentum,"),
            "{name}"
        );
    }
    let summary = std::fs::read_to_string(path.join("report/summary.md")).unwrap();
    let note =
        "imported/momentum: runs of another program (heavy ball; read from runs.csv (SHA-256 ";
    assert!(summary.contains(note), "{summary}");
    // What nobody counted is left empty: steps, epochs, digest.
    let runs = std::fs::read_to_string(path.join("report/runs.csv")).unwrap();
    let own = runs
        .lines()
        .find(|line| line.contains("imported/momentum,1,"));
    let cells: Vec<&str> = own.unwrap().split(',').collect();
    assert_eq!(
        cells[..7],
        [
            "rosenbrock-2d",
            "imported/momentum",
            "1",
            "completed",
            "imported",
            "",
            ""
        ]
    );
    assert_eq!(cells.last(), Some(&""));

    // They stay when the sweep is run again, and go with the report into others.
    ours(path);
    let summary = std::fs::read_to_string(path.join("report/summary.md")).unwrap();
    assert!(summary.contains("| imported/momentum |"));
    succeeds(path, &["report", "report", "--out", "other"]);
    let other = read_imported(&path.join("other/results.parquet")).unwrap();
    assert_eq!(other.unwrap().records.len(), 6);
}

#[test]
fn runs_can_be_imported_before_ours_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("runs.csv"), TABLE).unwrap();
    succeeds(
        path,
        &[
            "import", "runs.csv", "--label", "momentum", "--into", "quick",
        ],
    );
    let waiting = read_imported(&path.join("reports/quick/results.parquet")).unwrap();
    assert_eq!(waiting.unwrap().records.len(), 3);
    // A damaged file is found before any run is made.
    std::fs::write(path.join("reports/quick/imported.parquet"), "PAR1").unwrap();
    let (code, said) = call(path, &["ablation", "quick", "--out", "reports/quick"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(
        said.contains("imported.parquet") && !path.join("reports/store").exists(),
        "{said}"
    );
}

#[test]
fn what_cannot_be_right_is_named_by_file_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let error = |text: &str| imported(folder.path(), "t.csv", text.as_bytes()).unwrap_err();
    let head = "problem,optimizer,seed,evaluations,loss";
    let of = |more: &str, rows: &[&str]| error(&format!("{head}{more}\n{}\n", rows.join("\n")));
    let is =
        |said: String, expected: &str| assert!(said.starts_with(expected), "{said}\n{expected}");
    let lacks = "problem,optimizer,evaluations,loss\nbeale,a,0,1\n";
    is(
        error(lacks),
        "t.csv: column `seed` is missing; needed are problem, seed, evaluations, loss",
    );
    is(
        of(",test_los", &["beale,a,0,0,1,1"]),
        "t.csv: unknown column `test_los`; did you mean `test_loss`?",
    );
    is(
        of(",loss", &["beale,a,0,0,1,1"]),
        "t.csv: column `loss` is there twice",
    );
    is(error(head), "t.csv: there are no rows");
    is(
        of("", &["beale,a,0,0,1", "beale,a,0,5"]),
        "t.csv, line 3: 4 values, but the header names 5 columns",
    );
    is(
        of("", &["baele,a,0,0,1"]),
        "t.csv, line 2, column `problem`: `quick` has no problem `baele`; did you mean `beale`?",
    );
    is(
        of("", &["beale,,0,0,1"]),
        "t.csv, line 2, column `optimizer`: which optimizer made this run?",
    );
    is(
        of("", &["beale,a,-1,0,1"]),
        "t.csv, line 2, column `seed`: `-1`: a whole number from 0",
    );
    is(
        of("", &["beale,a,0,0,1", "beale,a,0,5,NaN"]),
        "t.csv, line 3, column `loss`: `NaN`: a finite number is needed",
    );
    is(
        of("", &["beale,a,0,0,1", "beale,a,0,5,inf"]),
        "t.csv, line 3, column `loss`: `inf`: a finite number is needed",
    );
    is(
        of("", &["beale,a,0,0,"]),
        "t.csv, line 2, column `loss`: is empty, and is needed in every row",
    );
    is(
        of("", &["beale,a,0,0,low"]),
        "t.csv, line 2, column `loss`: `low`: a number is needed",
    );
    let falling = [
        "beale,a,0,0,1",
        "beale,b,0,9,1",
        "beale,a,0,5,1",
        "beale,a,0,4,1",
    ];
    is(
        of("", &falling),
        "t.csv, line 5, column `evaluations`: 4 after 5 in the row before of this run: more",
    );
    is(
        of("", &["beale,a,0,5,1", "beale,a,0,5,1"]),
        "t.csv, line 3, column `evaluations`: 5 after 5",
    );
    is(
        of("", &["beale,a,0,601,1"]),
        "t.csv, line 2, column `evaluations`: 601 evaluations, but the budget of `beale` is 600",
    );
    let timed = ["beale,a,0,0,1,0.5", "beale,a,0,1,1,0.25"];
    is(
        of(",seconds", &timed),
        "t.csv, line 3, column `seconds`: 0.25 after 0.5 in the row before of this run: no less",
    );
    let some = ["beale,a,0,0,1,0.5", "beale,a,0,1,1,"];
    is(
        of(",seconds", &some),
        "t.csv, line 3, column `seconds`: is told in some rows of this run only",
    );
    is(
        of(",accuracy", &["mlp-digits,a,0,0,1,93"]),
        "t.csv, line 2, column `accuracy`: `93`: a share from 0 to 1",
    );
    is(
        of(",accuracy", &["beale,a,0,0,1,0.5"]),
        "t.csv, line 2, column `accuracy`: `beale` has no accuracy",
    );
    is(
        of(",outcome", &["beale,a,0,0,1,failed"]),
        "t.csv, line 2, column `outcome`: `failed`: `completed` or `diverged`",
    );
    let ends = ["beale,a,0,0,1,completed", "beale,a,0,1,1,diverged"];
    is(
        of(",outcome", &ends),
        "t.csv, line 3, column `outcome`: another outcome than in the run's rows before",
    );
    let wrong = imported(folder.path(), "t.json", b"{}").unwrap_err();
    is(
        wrong,
        "t.json: the file's name must end with .csv or .parquet",
    );
    let latin = imported(
        folder.path(),
        "t.csv",
        b"problem,seed,evaluations,loss\nb\xe9ale,0,0,1\n",
    )
    .unwrap_err();
    is(latin, "t.csv: line 2: this is no text in UTF-8");

    // Nothing is written, and our own files cannot take the mark.
    let path = folder.path();
    std::fs::write(path.join("t.csv"), format!("{head}\nbeale,a,0,0,x\n")).unwrap();
    let (code, said) = call(path, &["import", "t.csv", "--into", "quick"]);
    assert_eq!(code, Some(6), "{said}");
    assert!(!path.join("reports").exists());
    let own = "name = \"x\"\nseeds = 1\n[[problem]]\nlabel = \"b\"\nkind = \"function\"\nfunction = \"beale\"\n\
               budget = 40\n[[optimizer]]\nlabel = \"imported/adam\"\nkind = \"adam\"\n";
    std::fs::write(path.join("own.toml"), own).unwrap();
    let (code, said) = call(path, &["ablation", "own.toml"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("own.toml:9:9") && said.contains("marks the runs of other programs"),
        "{said}"
    );
}

#[test]
fn several_optimizers_interleaved_rows_and_runs_that_diverged_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let rows = "problem,optimizer,seed,gradient_evaluations,loss,outcome\n\
                beale,b,0,0,2.0,\nbeale,a,1,0,2.0,diverged\nbeale,b,0,10,1.0,\nbeale,a,1,10,9.0,diverged\n\
                beale,a,0,0.0,2.0,completed\n";
    let read = imported(folder.path(), "t.csv", rows.as_bytes()).unwrap();
    let labels: Vec<&str> = read
        .optimizers
        .iter()
        .map(|own| own.label.as_str())
        .collect();
    assert_eq!(labels, ["imported/b", "imported/a"]);
    let ends: Vec<(&str, u64, &str, usize)> = read
        .records
        .iter()
        .map(|run| {
            (
                run.cell.optimizer.as_str(),
                run.cell.seed,
                run.outcome.label(),
                run.curve.len(),
            )
        })
        .collect();
    let expected = [
        ("imported/b", 0, "completed", 2),
        ("imported/a", 0, "completed", 1),
        ("imported/a", 1, "diverged", 2),
    ];
    assert_eq!(ends, expected);
}

/// The golden table as Parquet.
fn as_parquet() -> Vec<u8> {
    let rows: Vec<Vec<&str>> = TABLE
        .lines()
        .skip(1)
        .map(|row| row.split(',').collect())
        .collect();
    let reals = |at: usize| {
        rows.iter()
            .map(|row| row[at].parse().unwrap())
            .collect::<Vec<f64>>()
    };
    let counts = |at: usize| {
        rows.iter()
            .map(|row| row[at].parse().unwrap())
            .collect::<Vec<i64>>()
    };
    let texts: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    let columns = vec![
        Column::new("problem".into(), texts),
        Column::new("optimizer".into(), vec!["momentum"; rows.len()]),
        Column::new("seed".into(), counts(1)),
        Column::new("evaluations".into(), counts(2)),
        Column::new("loss".into(), reals(3)),
        Column::new("seconds".into(), reals(4)),
    ];
    let mut frame = DataFrame::new(rows.len(), columns).unwrap();
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes).finish(&mut frame).unwrap();
    bytes
}

#[test]
fn a_table_in_parquet_gives_the_same_runs_and_damage_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let parquet = as_parquet();
    let read = imported(folder.path(), "t.parquet", &parquet).unwrap();
    let named = TABLE.replace("rosenbrock-2d,", "rosenbrock-2d,momentum,");
    let named = named.replacen("problem,", "problem,optimizer,", 1);
    let mut of_csv = imported(folder.path(), "t.csv", named.as_bytes()).unwrap();
    assert_eq!(read.records.len(), 3);
    for (own, other) in read.records.iter().zip(&mut of_csv.records) {
        // NaN equals nothing, itself included.
        let points = own.curve.iter().zip(&other.curve);
        assert!(
            points
                .clone()
                .all(|(own, other)| own.epoch.is_nan() && other.epoch.is_nan())
        );
        assert!(
            own.cell == other.cell && own.counts == other.counts && own.seconds == other.seconds
        );
        for (own, other) in points {
            assert_eq!(
                (own.gradient_evaluations, own.loss),
                (other.gradient_evaluations, other.loss)
            );
            assert_eq!(own.seconds, other.seconds);
        }
    }
    for (name, whole, cases) in [
        ("t.parquet", parquet, 300),
        ("t.csv", named.into_bytes(), 300),
    ] {
        mutate(cases, &whole, |bytes| {
            imported(folder.path(), name, bytes).map(drop)
        });
    }
}

#[test]
fn the_python_script_writes_the_committed_table() {
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/write_import.py");
    let text = std::fs::read_to_string(&script).unwrap();
    assert!(text.lines().count() <= 40, "a script to be copied is short");
    let Ok(output) = Command::new("python3")
        .arg(script)
        .arg("runs.csv")
        .current_dir(folder.path())
        .output()
    else {
        eprintln!("skipped: needs python3");
        return;
    };
    assert!(output.status.success(), "{output:?}");
    let written = std::fs::read_to_string(folder.path().join("runs.csv")).unwrap();
    // The last column is time. Python's math is the C library's, whose last digits may differ.
    let rows = |text: &str| -> Vec<Vec<String>> {
        let rows = text
            .lines()
            .map(|row| row.split(',').take(4).map(str::to_owned).collect());
        rows.collect()
    };
    let (written, golden) = (rows(&written), rows(TABLE));
    assert_eq!(written.len(), golden.len());
    for (own, other) in written.iter().zip(&golden) {
        assert_eq!(own[..3], other[..3]);
        if let (Ok(own), Ok(other)) = (own[3].parse::<f64>(), other[3].parse::<f64>()) {
            assert!((own - other).abs() <= 1e-6 * other, "{own} {other}");
        }
    }
}

#[test]
fn the_document_has_every_column() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/importing.md");
    let text = std::fs::read_to_string(path).unwrap();
    for column in COLUMNS {
        let needed = if column.required { "yes" } else { "" };
        let row = text
            .lines()
            .find(|line| line.starts_with(&format!("| `{}` |", column.name)));
        let row = row.unwrap_or_else(|| panic!("`{}` is not in docs/importing.md", column.name));
        assert_eq!(row.split('|').nth(2).map(str::trim), Some(needed), "{row}");
    }
}
