//! Strange input and strange places: nothing is lost, nothing is silently wrong, nothing panics.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bench_experiment::run::Outcome;
use bench_experiment::store::{Results, read, write};
use bench_report::{Report, terminal_table};

use crate::program;
use crate::synthetic;

/// A function, and a network with classes of the digits.
const EXPERIMENT: &str = r#"
name = "strange"
seeds = 2

[[problem]]
label = "booth"
kind = "function"
function = "booth"
budget = 40
points = 4

[[problem]]
label = "mlp"
kind = "classification"
data = "digits"
model = { kind = "mlp", inputs = 64, hidden = [8], classes = 10 }
batch_size = 64
measure_train = 64
measure_test = 64
budget = 8
points = 2

[[optimizer]]
kind = "adam"
"#;

fn call(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command.output().unwrap();
    let said = String::from_utf8_lossy(&stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    (status.code(), said)
}

fn bench_runner(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    call(&mut program::bench_runner(folder, arguments))
}

fn complete_runs(folder: &Path) -> usize {
    let results = read(&folder.join("results.parquet")).unwrap();
    let records = results.records.iter();
    records.filter(|run| run.outcome.is_final()).count()
}

#[test]
fn garbage_is_collected_in_stores_only() {
    let folder = tempfile::tempdir().unwrap();
    let thesis = folder.path().join("h/docs/thesis.txt");
    std::fs::create_dir_all(thesis.parent().unwrap()).unwrap();
    std::fs::write(&thesis, "x").unwrap();
    let (code, said) = bench_runner(folder.path(), &["store", "gc", "h"]);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("h is not a store"), "{said}");
    assert!(thesis.exists());
}

#[test]
fn a_report_is_replaced_by_a_less_complete_one_on_request_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let ablation = |experiment: &str, more: &[&str]| {
        std::fs::write(path.join("strange.toml"), experiment).unwrap();
        let mut arguments = vec!["ablation", "strange.toml", "--out", "out", "--quiet"];
        arguments.extend(more);
        bench_runner(path, &arguments)
    };
    let out = path.join("out");
    assert_eq!(ablation(EXPERIMENT, &[]).0, Some(0));
    assert_eq!(complete_runs(&out), 4);
    // A network that does not fit its data: its runs fail, and the others go on.
    let misfit = EXPERIMENT.replace("inputs = 64", "inputs = 63");
    let (code, said) = ablation(&misfit, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("2 complete runs of 4 goes to out/partial"),
        "{said}"
    );
    assert_eq!(complete_runs(&out), 4);
    let partial = read(&out.join("partial/results.parquet")).unwrap();
    for run in &partial.records {
        let failed = matches!(run.outcome, Outcome::Failed { .. });
        assert_eq!(failed, run.cell.problem == "mlp", "{run:?}");
    }
    // A whole report replaces it, whatever it is of; and so does a request.
    let note = out.join("partial/note.txt");
    std::fs::write(&note, "mine").unwrap();
    assert_eq!(ablation(EXPERIMENT, &["--seeds", "1"]).0, Some(0));
    assert_eq!(complete_runs(&out), 2);
    // Of the partial report nothing is left, of other files everything.
    let left: Vec<_> = std::fs::read_dir(out.join("partial")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    std::fs::remove_file(&note).unwrap();
    assert_eq!(ablation(EXPERIMENT, &[]).0, Some(0));
    assert_eq!(ablation(&misfit, &[]).0, Some(1));
    assert!(out.join("partial/results.parquet").exists());
    assert_eq!(ablation(EXPERIMENT, &[]).0, Some(0));
    assert!(!out.join("partial").exists());
    assert_eq!(ablation(&misfit, &["--replace"]).0, Some(1));
    assert_eq!(complete_runs(&out), 2);
}

/// All files of a folder and those below it, without those of writers that were killed.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_none_or(|extension| extension != "tmp") {
            let bytes = std::fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

#[test]
fn a_report_that_is_killed_while_it_is_written_leaves_whole_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let fill = |seeds: u64| {
        let out = path.join("out");
        std::fs::create_dir_all(&out).unwrap();
        write(&out.join("results.parquet"), &synthetic::results(seeds)).unwrap();
        synthetic::manifest(seeds)
            .write(&out.join("manifest.json"))
            .unwrap();
    };
    let report = || program::bench_runner(path, &["report", "out"]);
    let made = |seeds: u64| {
        fill(seeds);
        let started = std::time::Instant::now();
        assert_eq!(call(&mut report()).0, Some(0));
        (files(&path.join("out")), started.elapsed())
    };
    // Every file is that of the report before or of the one being written, at every moment.
    let (before, _) = made(2);
    let (after, whole) = made(3);
    assert_eq!(before.len(), after.len());
    assert_eq!(made(2).0, before);
    fill(3);
    const KILLS: u32 = 12;
    let mut mixed = 0;
    for kill in 1..=KILLS {
        let mut writer = report().stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * kill / KILLS);
        writer.kill().unwrap();
        writer.wait().unwrap();
        let found = files(&path.join("out"));
        assert_eq!(found.len(), after.len(), "kill {kill}");
        for (path, bytes) in &found {
            let known = [&before[path], &after[path]];
            assert!(known.contains(&bytes), "kill {kill}: {}", path.display());
        }
        mixed += u32::from(found != after);
    }
    eprintln!("{KILLS} kills, {mixed} before the report's end");
    assert_eq!(made(3).0, after);
}

#[test]
fn figures_that_draw_nothing_leave_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut results = Results {
        suite: "quick".into(),
        ..synthetic::results(2)
    };
    let figures = |id: Option<&str>, results: &Results| {
        write(&path.join("results.parquet"), results).unwrap();
        let mut arguments = vec!["figures", "--from", "results.parquet", "--format", "svg"];
        arguments.extend(id);
        arguments.extend(["--out", "figures"]);
        bench_runner(path, &arguments).0
    };
    assert_eq!(figures(None, &results), Some(0));
    let page = std::fs::read(path.join("figures/index.html")).unwrap();
    // One figure by name does not take the place of all.
    assert_eq!(figures(Some("performance-profile"), &results), Some(0));
    let named = std::fs::read_to_string(path.join("figures/selection.html")).unwrap();
    assert_eq!(named.matches("<h2 id=\"figure-").count(), 1);
    assert_eq!(
        std::fs::read(path.join("figures/index.html")).unwrap(),
        page
    );
    for problem in &mut results.problems {
        problem.target = None;
    }
    assert_eq!(figures(Some("to-target"), &results), Some(6));
    results.problems.clear();
    results.records.clear();
    assert_eq!(figures(None, &results), Some(6));
    assert_eq!(
        std::fs::read(path.join("figures/index.html")).unwrap(),
        page
    );
}

#[test]
fn the_environment_does_not_reach_results() {
    // Labels that the network has no class for: an error of Candle's, with a backtrace where asked for.
    let experiment = EXPERIMENT.replace("classes = 10", "classes = 9");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::write(path.join("strange.toml"), experiment).unwrap();
    let made = |out: &str, backtrace: &str| {
        let arguments = [
            "ablation",
            "strange.toml",
            "--quiet",
            "--fresh",
            "--out",
            out,
        ];
        let mut command = program::bench_runner(path, &arguments);
        let (code, said) = call(command.env("RUST_BACKTRACE", backtrace));
        assert_eq!(code, Some(1), "{said}");
        program::results(path, out)
    };
    let plain = made("plain", "0");
    assert_eq!(plain, made("traced", "full"));
    let failed = plain.records.iter().any(|run| match &run.outcome {
        Outcome::Failed { reason } => !reason.is_empty(),
        _ => false,
    });
    assert!(failed, "{plain:?}");
}

#[test]
fn arguments_that_no_file_could_hold_are_refused_before_anything_is_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for (arguments, says) in [
        (
            vec!["ablation", "--out", "a\ntouch x"],
            "control characters",
        ),
        (vec!["ablation", "--threads", "65535"], "1024"),
        (vec!["ablation", "--jobs", "65535"], "1024"),
    ] {
        let (code, said) = bench_runner(path, &arguments);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(says), "{said}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let name = std::ffi::OsStr::from_bytes(b"a\xffb");
        let mut command = program::bench_runner(path, &["ablation", "--out"]);
        let (code, said) = call(command.arg(name));
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("not UTF-8"), "{said}");
    }
    assert_eq!(std::fs::read_dir(path).unwrap().count(), 0);
}

#[test]
fn damaged_results_are_named_without_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let results = synthetic::results(1);
    let file = path.join("results.parquet");
    write(&file, &results).unwrap();
    let whole = std::fs::read(&file).unwrap();
    let mut refused = 0;
    for place in (0..whole.len()).step_by(whole.len() / 400) {
        let mut damaged = whole.clone();
        damaged[place] ^= 0xff;
        std::fs::write(&file, &damaged).unwrap();
        match read(&file) {
            Ok(_) => {}
            Err(error) => {
                refused += 1;
                assert!(error.to_string().contains("results.parquet"), "{error}");
            }
        }
    }
    assert!(refused > 100, "{refused} were refused");
    for end in [0, 4, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&file, &whole[..end]).unwrap();
        let (code, said) = bench_runner(path, &["compare", ".", "."]);
        assert_eq!(code, Some(4), "{said}");
        assert!(said.contains("results.parquet"), "{said}");
    }
}

/// Made-up results whose problems have these labels.
fn labelled(labels: [&str; 3]) -> Results {
    let mut results = synthetic::results(2);
    let old: Vec<String> = results.problems.iter().map(|p| p.label.clone()).collect();
    for (problem, label) in results.problems.iter_mut().zip(labels) {
        problem.label = label.into();
    }
    for run in &mut results.records {
        let index = old.iter().position(|label| *label == run.cell.problem);
        run.cell.problem = labels[index.unwrap()].into();
    }
    results
}

#[test]
fn labels_that_differ_in_odd_signs_only_keep_their_own_files_and_anchors() {
    let manifest = synthetic::manifest(2);
    let of = |labels| {
        let results = labelled(labels);
        let files = Report::new(&results, &manifest).files().unwrap();
        let text = |name: &str| {
            let (_, bytes) = files
                .iter()
                .find(|(path, _)| path == Path::new(name))
                .unwrap();
            String::from_utf8(bytes.clone()).unwrap()
        };
        let names: BTreeSet<_> = files.iter().map(|(path, _)| path.clone()).collect();
        assert_eq!(names.len(), files.len());
        (names.len(), text("index.html"), text("summary.tex"))
    };
    let (ordinary, ..) = of(["a", "b", "c"]);
    let (odd, page, latex) = of(["a b", "a_b", "a,b"]);
    assert_eq!(odd, ordinary);
    for (text, mark) in [(&page, "<h2 id=\""), (&latex, "\\label{")] {
        let marks: Vec<&str> = text.split(mark).skip(1).collect();
        let ends = |mark: &&str| mark.split(['"', '}']).next().map(str::to_owned);
        let different: BTreeSet<Option<String>> = marks.iter().map(ends).collect();
        assert_eq!(different.len(), marks.len());
    }
}

#[test]
fn labels_cannot_break_the_page_or_the_terminal() {
    let results = labelled(["<!--<script>", "common", "\u{1b}[31mred"]);
    let files = Report::new(&results, &synthetic::manifest(2))
        .files()
        .unwrap();
    let page = String::from_utf8(files[0].1.clone()).unwrap();
    assert!(!page.contains("<!--"));
    assert_eq!(page.matches("id=\"common\"").count(), 1);
    for data in page.split("type=\"application/json\"").skip(1) {
        let data = data
            .split_once('>')
            .unwrap()
            .1
            .split_once("</script>")
            .unwrap()
            .0;
        assert!(!data.contains('<'));
        assert!(serde_json::from_str::<serde_json::Value>(data).is_ok());
    }
    let (_, summary) = files
        .iter()
        .find(|(path, _)| path == Path::new("summary.md"))
        .unwrap();
    assert!(!String::from_utf8_lossy(summary).contains("<!--"));
    assert!(!terminal_table(&results, 80).is_empty());

    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("results.parquet"), &results).unwrap();
    let output = program::bench_runner(folder.path(), &["compare", ".", "."])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("[31mred") && !text.contains('\u{1b}'),
        "{text}"
    );
}
