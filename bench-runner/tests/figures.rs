//! The catalogue's figures and the committed reports, from the outside; probes against runs.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::AtomicBool;

use crate::program;
use crate::synthetic;
use bench_data::Library;
use bench_experiment::probe;
use bench_experiment::problem::Environment;
use bench_experiment::run::{Outcome, run};
use bench_experiment::spec::{Experiment, Suite};
use bench_experiment::store::{Circumstances, Manifest, Records, Results, read, write};
use bench_report::Report;
use bench_report::catalogue::FigureCatalogue;
use candle_core::Device;
use polars::prelude::{KeyValueMetadata, ParquetReader, ParquetWriter, SerReader};

fn bench_runner(folder: &Path, arguments: &[&str]) -> Output {
    program::bench_runner(folder, arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Results of the built-in suite `quick`, made up.
fn quick() -> Results {
    Results {
        suite: "quick".into(),
        ..synthetic::results(3)
    }
}

/// Writes a report's folder as `ablation` leaves it.
fn folder_of(results: &Results, folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    write(&folder.join("results.parquet"), results).unwrap();
    synthetic::manifest(3)
        .write(&folder.join("manifest.json"))
        .unwrap();
}

fn environment() -> Environment {
    Environment {
        library: Library::from_env(None, std::sync::Arc::new(bench_data::Silent))
            .unwrap()
            .into(),
        device: Device::Cpu,
    }
}

#[test]
fn figures_are_drawn_from_given_results_and_always_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    folder_of(&quick(), &path.join("quick"));
    for out in ["a", "b"] {
        let output = bench_runner(path, &["figures", "--from", "quick", "--out", out]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let names: Vec<_> = std::fs::read_dir(path.join("a"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    // Four kinds on 3 problems, one on a single problem, two over all: 15 charts in 3 formats. A table
    // in 3, and the page.
    assert_eq!(names.len(), 49, "{names:?}");
    for name in &names {
        let files = ["a", "b"].map(|out| std::fs::read(path.join(out).join(name)).unwrap());
        assert!(files[0] == files[1], "{name:?} differs");
    }
    let page = std::fs::read_to_string(path.join("a/index.html")).unwrap();
    for id in ["loss-evaluations", "performance-profile", "accuracy-digits"] {
        assert!(page.contains(&format!("<h2 id=\"figure-{id}\">")), "{id}");
    }
    let table = std::fs::read_to_string(path.join("a/accuracy-digits.md")).unwrap();
    assert_eq!(table.lines().count(), 2 + synthetic::OPTIMIZERS.len());
}

#[test]
fn format_size_and_id_choose_what_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    folder_of(&quick(), &path.join("quick"));
    let arguments = [
        "figures",
        "performance-profile",
        "--from",
        "quick/results.parquet",
        "--format",
        "svg",
        "--size",
        "700x420",
        "--out",
        "out",
    ];
    let output = bench_runner(path, &arguments);
    assert_eq!(
        text(&output.stdout),
        "out/selection.html\nout/performance-profile.svg\n",
        "{}",
        text(&output.stderr)
    );
    let svg = std::fs::read_to_string(path.join("out/performance-profile.svg")).unwrap();
    assert!(svg.contains("width=\"700\" height=\"420\""));
}

#[test]
fn wrong_use_and_missing_data_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    folder_of(&quick(), &path.join("quick"));
    std::fs::write(
        path.join("bad.toml"),
        "[[figure]]\nid = \"x\"\nabot = \"y\"\n",
    )
    .unwrap();
    let empty = Results {
        records: Records::default(),
        ..quick()
    };
    folder_of(&empty, &path.join("empty"));
    let cases: &[(&[&str], i32, &str)] = &[
        (&["figures", "path"], 2, "did you mean `paths`?"),
        (
            &["figures", "paths", "--size", "10"],
            2,
            "for example 640x400",
        ),
        (&["figures", "--format", "gif"], 2, "svg, png, pdf"),
        (
            &["figures", "--catalogue", "bad.toml"],
            3,
            "unknown field `abot`",
        ),
        (&["figures", "--from", "nowhere"], 4, "nowhere"),
        (&["figures", "--check", "qick"], 2, "did you mean `quick`?"),
        (
            &["figures", "ranking-map", "--from", "quick"],
            6,
            "needs results of the suite `noise`",
        ),
        (
            &["figures", "loss-evaluations", "--from", "empty"],
            6,
            "hold nothing to show",
        ),
        (
            &[
                "figures",
                "loss-evaluations",
                "--from",
                "quick",
                "--size",
                "100x100",
            ],
            4,
            "needs at least",
        ),
        (&["report", "nowhere"], 4, "nowhere"),
    ];
    for (arguments, code, reason) in cases {
        let output = bench_runner(path, arguments);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {said}");
        assert!(said.contains(reason), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    }
}

#[test]
fn unusual_result_files_give_a_page_or_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let none = Results {
        records: Records::default(),
        ..synthetic::results(1)
    };
    let mut diverged = synthetic::results(2);
    for run in &mut diverged.records {
        run.outcome = Outcome::Diverged {
            step: 1,
            value: "inf".into(),
        };
    }
    let one_seed = synthetic::results(1);
    for (name, results, expected) in [
        ("none", none, "No runs."),
        ("one-seed", one_seed, "Lines are single runs."),
        ("diverged", diverged, "12 of 12 runs diverged or failed"),
    ] {
        folder_of(&results, &path.join(name));
        let output = bench_runner(path, &["report", name]);
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        let page = std::fs::read_to_string(path.join(name).join("index.html")).unwrap();
        assert!(page.contains(expected), "{name}");
    }

    // A column that is missing is named, whichever it is.
    let whole = path.join("one-seed/results.parquet");
    for column in ["loss", "seed", "phase", "criterion"] {
        let file = std::fs::File::open(&whole).unwrap();
        let mut reader = ParquetReader::new(file);
        let metadata = reader
            .get_metadata()
            .unwrap()
            .key_value_metadata()
            .clone()
            .unwrap();
        let pairs: Vec<(String, String)> = metadata
            .iter()
            .filter(|pair| pair.key == "fuse-results")
            .map(|pair| {
                (
                    pair.key.to_string(),
                    pair.value.clone().unwrap().to_string(),
                )
            })
            .collect();
        let mut frame = reader.finish().unwrap().drop(column).unwrap();
        folder_of(&synthetic::results(1), &path.join("missing"));
        let file = std::fs::File::create(path.join("missing/results.parquet")).unwrap();
        ParquetWriter::new(file)
            .with_key_value_metadata(Some(KeyValueMetadata::from_static(pairs)))
            .finish(&mut frame)
            .unwrap();
        for command in ["report", "figures --from"] {
            let mut arguments: Vec<&str> = command.split(' ').collect();
            arguments.push("missing");
            let output = bench_runner(path, &arguments);
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(4), "{command}: {said}");
            assert!(
                said.contains(&format!("column `{column}` is missing")),
                "{said}"
            );
            assert!(said.contains("missing/results.parquet"), "{said}");
        }
    }
}

#[test]
fn a_committed_report_can_be_made_from_a_report_of_another_build() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let results = quick();
    folder_of(&results, &path.join("made"));
    let manifest = synthetic::manifest(3);
    manifest.write(&path.join("made/manifest.json")).unwrap();
    let arguments = ["figures", "quick", "--reference", "--from", "made"];
    let output = bench_runner(path, &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let committed = path.join("reports/reference/quick");
    let (from, to) = (path.join("made"), &committed);
    let bytes = [from.as_path(), to].map(|it| std::fs::read(it.join("results.parquet")).unwrap());
    assert_eq!(bytes[0], bytes[1]);
    let kept = Manifest::read(&committed.join("manifest.json")).unwrap();
    assert_eq!(kept.git_revision, manifest.git_revision);
    assert_eq!(kept.wall_seconds, manifest.wall_seconds);
    assert!(committed.join("summary.md").is_file());

    // A report that no committed one is made of.
    let other = Results {
        suite: "mine".into(),
        ..results
    };
    folder_of(&other, &path.join("made"));
    let output = bench_runner(path, &arguments);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("these are results of `mine`"));
}

#[test]
fn check_finds_a_changed_drawing_and_a_changed_result() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let results = quick();
    // Results are judged only where the reference is of a processor like this one.
    let here = Manifest::new(Circumstances {
        command: Vec::new(),
        experiment: &Suite::find("quick").unwrap().experiment().unwrap(),
        threads: 1,
        jobs: 1,
        device: "cpu",
        data_sha256: std::collections::BTreeMap::new(),
        started: std::time::SystemTime::now(),
    })
    .unwrap();
    let manifest = Manifest {
        cpu: here.cpu,
        ..synthetic::manifest(3)
    };
    let committed = path.join("reports/reference/quick");
    folder_of(&results, &committed);
    manifest.write(&committed.join("manifest.json")).unwrap();
    for (name, bytes) in Report::new(&results, &manifest).small_files().unwrap() {
        let file = committed.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
    let check = |again: &Results| {
        folder_of(again, &path.join("again"));
        let output = bench_runner(path, &["figures", "quick", "--check", "--from", "again"]);
        (
            output.status.code(),
            text(&output.stdout) + &text(&output.stderr),
        )
    };
    let (code, said) = check(&results);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("54 runs identical but for times"), "{said}");

    // Within the tolerance, other numbers are other but right; beyond it they are named.
    let scaled = |factor: f64| {
        let mut other = results.clone();
        let point = other.records.iter_mut().flat_map(|run| &mut run.curve);
        point.for_each(|point| point.loss *= factor);
        other
    };
    let (code, said) = check(&scaled(1.5));
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("0 runs identical but for times, 54 different"),
        "{said}"
    );
    let (code, said) = check(&scaled(100.0));
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("mnist-mlp") && said.contains("loss"),
        "{said}"
    );
    let mut fewer = results.clone();
    fewer.records.pop();
    let (code, said) = check(&fewer);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("1 in one set only"), "{said}");

    // A drawing that is not what the results give.
    let figure = committed.join("figures/mnist-mlp-loss-evaluations.svg");
    let svg = std::fs::read_to_string(&figure).unwrap();
    std::fs::write(&figure, svg.replace("500", "501")).unwrap();
    let (code, said) = check(&results);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("mnist-mlp-loss-evaluations.svg: differs"),
        "{said}"
    );
    std::fs::remove_file(&figure).unwrap();
    let (_, said) = check(&results);
    assert!(
        said.contains("mnist-mlp-loss-evaluations.svg: is missing"),
        "{said}"
    );
}

#[test]
fn committed_reports_name_the_command_that_makes_them_anywhere() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reports/reference");
    let catalogue = FigureCatalogue::built_in().unwrap();
    let reference = &catalogue.reference;
    for suite in reference.with_results().chain(&reference.summaries) {
        let manifest = Manifest::read(&folder.join(suite).join("manifest.json")).unwrap();
        assert_eq!(
            manifest.command,
            ["bench-runner", "figures", suite, "--reference"]
        );
    }
}

#[test]
fn experiment_files_of_committed_reports_are_read_by_the_report_s_name() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut reference = FigureCatalogue::built_in().unwrap().reference;
    assert!(!reference.files.is_empty());
    for file in &mut reference.files {
        file.path = project.join(&file.path);
    }
    for file in &reference.files {
        assert_eq!(reference.experiment(&file.name).unwrap().name, file.name);
    }
    // The scale is a part of the name.
    let experiment = reference.files[0]
        .name
        .trim_end_matches("-medium")
        .to_owned();
    reference.files[0].name = "demo-small".into();
    let said = reference.experiment("demo-small").unwrap_err().to_string();
    assert!(
        said.contains("`reference.file.name` = demo-small"),
        "{said}"
    );
    assert!(
        said.contains(&format!("has `{experiment}-small`")),
        "{said}"
    );
    reference.files[0].path = project.join("reports/none.toml");
    let said = reference.experiment("demo-small").unwrap_err().to_string();
    assert!(said.contains("none.toml"), "{said}");
}

#[test]
fn the_committed_reports_are_small_and_what_their_results_give() {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reports/reference");
    let mut total = 0;
    let catalogue = FigureCatalogue::built_in().unwrap();
    for suite in catalogue.reference.with_results() {
        let folder = reference.join(suite);
        let results = read(&folder.join("results.parquet")).unwrap();
        let manifest = Manifest::read(&folder.join("manifest.json")).unwrap();
        assert!(results.suite == *suite && manifest.complete);
        for (name, bytes) in Report::new(&results, &manifest).small_files().unwrap() {
            let path = folder.join(&name);
            if std::env::var_os("UPDATE_REFERENCE").is_some() {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, &bytes).unwrap();
            }
            assert!(
                std::fs::read(&path).is_ok_and(|committed| committed == bytes),
                "{suite}/{}: draw it from its results with UPDATE_REFERENCE=1, or make it anew with \
                 `bench-runner figures --reference`",
                name.display()
            );
            total += bytes.len();
        }
        for name in ["results.parquet", "manifest.json"] {
            total += std::fs::metadata(folder.join(name)).unwrap().len() as usize;
        }
    }
    assert!(total <= 9 << 20, "{total} bytes");
}

#[cfg(target_os = "linux")]
#[test]
fn open_hands_the_page_to_the_desktop() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    folder_of(&quick(), &path.join("quick"));
    // A desktop that writes down what it is asked to open.
    let opener = path.join("bin/xdg-open");
    std::fs::create_dir(path.join("bin")).unwrap();
    std::fs::write(&opener, "#!/bin/sh\necho \"$1\" > opened\n").unwrap();
    std::fs::set_permissions(&opener, std::fs::Permissions::from_mode(0o755)).unwrap();
    let open = |search_path: &str| {
        Command::new(env!("CARGO_BIN_EXE_bench-runner"))
            .args(["report", "quick", "--open"])
            .current_dir(path)
            .env("PATH", search_path)
            .output()
            .unwrap()
    };
    let output = open(&format!("{}:/usr/bin:/bin", path.join("bin").display()));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let opened = || std::fs::read_to_string(path.join("opened")).unwrap_or_default();
    for _ in 0..200 {
        if opened().ends_with('\n') {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(25));
    }
    assert_eq!(opened(), "quick/index.html\n");
    // Without a desktop the report is there all the same, and the error says what could not be done.
    let output = open("");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cannot open quick/index.html in a browser"));
}

#[test]
fn paths_end_where_the_minimum_is() {
    let functions = Suite::find("functions").unwrap().experiment().unwrap();
    let lbfgs = functions
        .optimizers
        .iter()
        .find(|entry| entry.label == "lbfgs")
        .unwrap();
    let fuse = "fuse-pv/epoch/learning_rate=0.01";
    let fuse = functions
        .optimizers
        .iter()
        .find(|entry| entry.label == fuse)
        .unwrap();
    // Minimizers as published with the functions.
    for (label, start, minimizer) in [
        ("booth", (-5.0, -5.0), (1.0, 3.0)),
        ("beale", (1.0, 1.0), (3.0, 0.5)),
    ] {
        let problem = functions
            .problems
            .iter()
            .find(|entry| entry.label == label)
            .unwrap();
        for optimizer in [lbfgs, fuse] {
            let paths = probe::paths(problem, &[optimizer], 0, &environment()).unwrap();
            let path = &paths.paths[0];
            assert_eq!(path.points[0], start, "{label}");
            let end = path.points.last().unwrap();
            let miss = (end.0 - minimizer.0).hypot(end.1 - minimizer.1);
            assert!(miss < 1e-4, "{label}: {end:?}");
            // Epoch 5 of 20 steps each.
            let switch = (optimizer.label != "lbfgs").then_some(100);
            assert_eq!(path.switch, switch, "{label} × {}", optimizer.label);
        }
    }
    let wide = functions
        .problems
        .iter()
        .find(|entry| entry.label.contains("=20"))
        .unwrap();
    let error = probe::paths(wide, &[lbfgs], 0, &environment()).unwrap_err();
    assert!(error.to_string().contains("2 variables only"), "{error}");
}

#[test]
fn the_middle_of_a_landscape_is_where_the_run_ended() {
    let text = r#"
name = "tiny"
seeds = 1
problem = [{ label = "mlp", kind = "classification", data = "digits", batch_size = 64, budget = 20, points = 2, measure_train = 128, model = { kind = "mlp", inputs = 64, hidden = [8], classes = 10 } }]
optimizer = [{ kind = "adam", learning_rate = 0.01 }]
"#;
    let tiny = Experiment::parse(text, Path::new("tiny.toml")).unwrap();
    let (problem, optimizer) = (&tiny.problems[0], &tiny.optimizers[0]);
    let environment = environment();
    let interrupted = AtomicBool::new(false);
    let record = run(
        problem,
        optimizer,
        0,
        &environment,
        None,
        &interrupted,
        &mut |_| (),
    );
    let landscape = probe::landscape(problem, optimizer, 0, &environment, 0.5, 4).unwrap();
    assert_eq!(landscape.x, [-0.5, -0.25, 0.0, 0.25, 0.5]);
    assert_eq!(landscape.values[2][2], record.last().unwrap().loss);
    let distinct: std::collections::BTreeSet<u64> = landscape
        .values
        .iter()
        .flatten()
        .map(|loss| loss.to_bits())
        .collect();
    assert_eq!(distinct.len(), 25);
}

#[test]
fn solutions_are_those_of_the_runs_beside_the_closed_form() {
    let text = r#"
name = "tiny"
seeds = 1
problem = [{ label = "heat", kind = "pinn", equation = { kind = "heat", diffusivity = 0.4 }, network = { width = 10 }, collocation = { residual = 100 }, budget = 150, points = 2 }]
optimizer = [{ kind = "adam", learning_rate = 0.01 }, { kind = "lbfgs" }]
"#;
    let tiny = Experiment::parse(text, Path::new("tiny.toml")).unwrap();
    let problem = &tiny.problems[0];
    let optimizers: Vec<_> = tiny.optimizers.iter().collect();
    let environment = environment();
    let drawn = probe::solutions(problem, &optimizers, 0, &environment, 50).unwrap();
    let exact = drawn.exact.unwrap();
    assert_eq!((exact.x.len(), exact.y.len()), (51, 51));
    let (j, i) = (20, 10);
    let (t, x) = (exact.x[i], exact.y[j]);
    let pi = std::f64::consts::PI;
    let right = (-0.4 * pi * pi * t).exp() * (pi * x).sin();
    assert!((exact.values[j][i] - right).abs() < 1e-12);
    for ((label, found), optimizer) in drawn.found.iter().zip(&optimizers) {
        assert_eq!(*label, optimizer.label);
        let interrupted = AtomicBool::new(false);
        let record = run(
            problem,
            optimizer,
            0,
            &environment,
            None,
            &interrupted,
            &mut |_| (),
        );
        // The same function on another grid.
        let (mut distance, mut size) = (0.0, 0.0);
        for (found, exact) in found.values.iter().zip(&exact.values) {
            for (found, exact) in found.iter().zip(exact) {
                distance += (found - exact).powi(2);
                size += exact.powi(2);
            }
        }
        let here = f64::sqrt(distance / size);
        let measured = record.last().unwrap().relative_l2.unwrap();
        assert!((here / measured - 1.0).abs() < 0.05, "{here} {measured}");
    }
    let functions = Suite::find("functions").unwrap().experiment().unwrap();
    let error = probe::solutions(&functions.problems[0], &optimizers, 0, &environment, 5);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("physics-informed networks only"), "{error}");
}

#[test]
fn what_the_criterion_saw_is_kept_and_comes_back_from_the_file() {
    let quick = Suite::find("quick").unwrap().experiment().unwrap();
    let problem = quick
        .problems
        .iter()
        .find(|entry| entry.label == "beale")
        .unwrap();
    let label = "fuse-pv/grad-norm";
    let fuse = quick
        .optimizers
        .iter()
        .find(|entry| entry.label == label)
        .unwrap();
    let interrupted = AtomicBool::new(false);
    let record = run(
        problem,
        fuse,
        0,
        &environment(),
        None,
        &interrupted,
        &mut |_| (),
    );
    let switch = record.switches[0].step;
    // Before the first step there is no norm to judge.
    let first = record.curve[2];
    for point in &record.curve[2..] {
        // Asked before each step until the switch, and not after it. It judges the gradient norm of the
        // step before, relative to the first.
        let asked = point.step <= switch + 1;
        assert_eq!(point.criterion.is_some(), asked, "step {}", point.step);
        assert_eq!(point.threshold, asked.then_some(0.1));
    }
    assert!(first.criterion.unwrap() > 0.1);
    assert!(record.pairs.stored > 0);
    let folder = tempfile::tempdir().unwrap();
    let mut results = synthetic::results(1);
    results.problems[0].label = "beale".into();
    results.records = vec![record].into();
    let file = folder.path().join("results.parquet");
    write(&file, &results).unwrap();
    assert_eq!(read(&file).unwrap(), results);
}
