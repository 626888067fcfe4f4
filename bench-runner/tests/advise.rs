//! The decision table on made-up results of known costs, and what `advise` answers.

use std::collections::BTreeSet;
use std::path::Path;

use bench_analysis::decision::{Accuracy, Batch, DecisionTable, Group, Kind, Situation};
use bench_experiment::problem::ProblemConfig;
use bench_experiment::run::CurvePoint;
use bench_experiment::spec::Suite;
use bench_experiment::store::{ProblemInfo, Results};
use bench_report::Advice;

use crate::program::bench_runner;
use crate::synthetic;

/// Results of two problems for each of these batch sizes of 1,000 samples: the loss falls by a digit in so many
/// evaluations of Adam and of L-BFGS.
fn results(batches: &[(usize, [u64; 2])]) -> Results {
    let mut results = synthetic::results(1);
    let template = results.problems[0].clone();
    results.problems.clear();
    results.records.clear();
    for (batch, speeds) in batches {
        for number in 0..2 {
            let label = format!("sum/{batch}/{number}");
            let config: ProblemConfig = toml::from_str(&format!(
                "kind = \"finite-sum\"\nloss = \"least-squares\"\nsamples = 1000\ndimension = 10\n\
                 condition = 1000.0\nbatch_size = {batch}"
            ))
            .unwrap();
            results.problems.push(ProblemInfo {
                label: label.clone(),
                budget: 4000,
                config,
                ..template.clone()
            });
            for (method, speed) in ["adam", "lbfgs"].into_iter().zip(speeds) {
                for seed in 0..3 {
                    let mut run = synthetic::run(&label, method, seed, 1);
                    let loss = |evaluations: u64| 10f64.powf(-(evaluations as f64) / *speed as f64);
                    let points = (0..=4000).step_by(10);
                    let point = |at| CurvePoint {
                        step: at,
                        epoch: at as f64 * *batch as f64 / 1000.0,
                        ..CurvePoint::of_loss(at, loss(at))
                    };
                    run.curve = points.map(point).collect();
                    results.records.push(run);
                }
            }
        }
    }
    results
}

#[test]
fn the_table_takes_the_cheapest_and_is_judged_elsewhere() {
    let methods = ["adam", "lbfgs"].map(str::to_owned);
    let table = DecisionTable::fit(
        &[results(&[(10, [100, 200]), (1000, [400, 100])])],
        &methods,
    );
    let situation = |batch, accuracy| Situation {
        kind: Kind::Sum {
            interpolating: false,
            ill_conditioned: true,
        },
        batch,
        accuracy,
    };
    for accuracy in Accuracy::ALL {
        assert_eq!(table.choice(situation(Batch::Small, accuracy)), Some(0));
        assert_eq!(table.choice(situation(Batch::Full, accuracy)), Some(1));
        assert_eq!(table.choice(situation(Batch::Large, accuracy)), None);
    }
    for decision in &table.decisions {
        assert_eq!(decision.problems, 2);
        let expected = match decision.situation.batch {
            Batch::Full => [4.0, 1.0],
            _ => [1.0, 2.0],
        };
        for (found, expected) in decision.factors.iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < 0.03, "{decision:?}");
        }
    }

    // Elsewhere Adam is the cheaper one on full batches too; batches of 500 the table does not know.
    let elsewhere = results(&[(10, [100, 200]), (1000, [100, 400]), (500, [100, 200])]);
    let judged = table.judge(&[elsewhere]).unwrap();
    assert!(judged.iter().all(|judged| judged.group == Group::Sums));
    let found: Vec<(&str, usize, f64)> = judged
        .iter()
        .map(|judged| (judged.policy.as_str(), judged.problems, judged.right[0]))
        .collect();
    assert_eq!(
        found,
        [("table", 4, 0.5), ("adam", 4, 1.0), ("lbfgs", 4, 0.0)]
    );
    // Half of the problems at 1, half at 4 times the cost.
    assert!((judged[0].factor[0] - 2.0).abs() < 0.05, "{judged:?}");
}

#[test]
fn what_is_trained_is_told_by_a_problem_s_settings() {
    let kinds = |suite: &str| -> BTreeSet<&str> {
        let experiment = Suite::find(suite).unwrap().experiment().unwrap();
        let problems = experiment.problems.iter();
        let kinds = problems.filter_map(|problem| Kind::of(&problem.config));
        kinds.map(Kind::name).collect()
    };
    for (suite, expected) in [
        ("map", &["sum"][..]),
        ("batch", &["classifier", "linear-classifier"]),
        ("smooth", &["regression"]),
        ("pinn", &["physics"]),
        ("functions", &[]),
    ] {
        assert_eq!(kinds(suite), BTreeSet::from_iter(expected.iter().copied()));
    }
}

#[test]
fn a_run_that_misses_counts_as_two_budgets() {
    // Adam comes down by 4 digits of 8 within the budget, L-BFGS by all in an eighth of it.
    let results = results(&[(1000, [1000, 50])]);
    let table = DecisionTable::fit(&[results], &["adam", "lbfgs"].map(str::to_owned));
    let fine = table
        .decisions
        .iter()
        .find(|d| d.situation.accuracy == Accuracy::Fine);
    // The targets of 5.7 to 8 digits: 8,000 evaluations over 50 for each digit; all are missed by Adam.
    let exponents = (6..10).map(|rung| 1.0 + 7.0 * f64::from(rung) / 9.0);
    let logs: Vec<f64> = exponents
        .filter(|e| *e > 5.0)
        .map(|e| (8000.0 / (50.0 * e)).ln())
        .collect();
    let expected = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
    let found = fine.unwrap().factors[0];
    assert!((found / expected - 1.0).abs() < 0.03, "{found} {expected}");
}

#[test]
fn the_committed_advice_is_shown_as_it_is() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reports/reference/advice");
    let json = std::fs::read_to_string(folder.join("advice.json")).unwrap();
    for (name, bytes) in Advice::read(&json).unwrap().files().unwrap() {
        let path = folder.join(&name);
        if std::env::var_os("UPDATE_REFERENCE").is_some() {
            std::fs::write(&path, &bytes).unwrap();
        }
        assert!(
            std::fs::read(&path).is_ok_and(|committed| committed == bytes),
            "{}: write it from advice.json with UPDATE_REFERENCE=1, or make it anew with `bench-runner advise --renew`",
            name.display()
        );
    }
}

#[test]
fn advice_names_a_method_what_it_depends_on_and_how_far_to_trust_it() {
    let folder = tempfile::tempdir().unwrap();
    let answer = |arguments: &[&str]| {
        let output = bench_runner(folder.path(), &[&["advise"], arguments].concat())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}");
        text
    };
    let all = [
        "--batch-share",
        "1",
        "--condition",
        "1e4",
        "--interpolating",
        "true",
        "--digits",
        "6",
    ];
    let told = answer(&all);
    assert!(
        told.starts_with("Take lbfgs: over 1 situation it costs "),
        "{told}"
    );
    assert!(!told.contains("It depends"), "{told}");
    assert!(
        told.contains("on which nothing was fitted, the table is within 10 %"),
        "{told}"
    );
    // What is known of sums only leaves no other kind.
    assert!(!answer(&["--condition", "1e4"]).contains("network"));
    let network = answer(&["--kind", "classifier", "--batch-share", "0.05"]);
    assert!(!network.contains("sum"), "{network}");
    assert!(network.contains(" classifiers"), "{network}");
    let untold = answer(&[]);
    assert!(
        untold.contains("It depends on what you did not say."),
        "{untold}"
    );
    for (flag, value) in [
        ("--batch-share", "0"),
        ("--condition", "0.5"),
        ("--digits", "NaN"),
    ] {
        let output = bench_runner(folder.path(), &["advise", flag, value])
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains("expected a "), "{error}");
    }
}

#[test]
fn a_problem_of_ones_own_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.toml");
    let experiment = "name = \"own\"\nseeds = 1\n\
        [[problem]]\nlabel = \"sum [a]\"\nkind = \"finite-sum\"\nloss = \"least-squares\"\nsamples = 1000\n\
        dimension = 10\ncondition = 1000.0\nbatch_size = 50\nbudget = 1000\n\
        [[optimizer]]\nkind = \"adam\"\nlearning_rate = 0.01\n";
    std::fs::write(&file, experiment).unwrap();
    let call = |more: &[&str]| {
        let own = ["advise", "--measure", "own.toml", "--problem", "sum [a]"];
        let mut command = bench_runner(folder.path(), &[&own[..], more].concat());
        command.output().unwrap()
    };
    let output = call(&[
        "--evaluations",
        "200",
        "--digits",
        "6",
        "--interpolating",
        "false",
    ]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(
        told.starts_with("sum [a], after 128 evaluations of adam (seed 0):\n"),
        "{told}"
    );
    assert!(told.contains("A step sees 1/20 of the samples."), "{told}");
    // Everything that the table asks for is known.
    assert!(told.contains("over 1 situation it costs"), "{told}");
    let output = call(&["--evaluations", "10"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let missing = bench_runner(
        folder.path(),
        &["advise", "--measure", "own.toml", "--problem", "sum"],
    );
    let output = { missing }.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("unknown problem `sum`"), "{error}");
}

/// Two sums, and the methods of the table with one small budget.
const SUMS: &str = r#"name = "sums"
seeds = 2

[[problem]]
label = "sum"
kind = "finite-sum"
loss = "least-squares"
samples = 256
dimension = 4
batch_size = 4
budget = 40
grid = { condition = [10.0, 20.0] }

[[optimizer]]
kind = "adam"

[[optimizer]]
label = "adam/cut at 10 %"
kind = "adam"
schedule = { kind = "multi-step", at = [{ budget = 0.1 }], factor = 0.1 }

[[optimizer]]
label = "adam/cosine"
kind = "adam"
schedule = { kind = "cosine", steps = { budget = 1.0 } }

[[optimizer]]
label = "fuse-pv/at 10 %"
kind = "fuse-pv"
criterion = { budget = 0.1 }

[[optimizer]]
kind = "lbfgs"
lr = 0.1

[[optimizer]]
kind = "fuse-contest"
"#;

#[test]
fn a_judgement_on_other_problems_takes_the_place_of_that_on_the_same_kind() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("sums.toml"), SUMS).unwrap();
    let (out, store) = (path("advice"), path("store"));
    let arguments = [
        "advise",
        "--judge",
        "sums.toml",
        "--out",
        &out,
        "--store",
        &store,
    ];
    let ran = bench_runner(folder.path(), &arguments).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(
        told.contains("| convex sums | `sums` | the table | 2 |"),
        "{told}"
    );
    let json = std::fs::read_to_string(path("advice/advice.json")).unwrap();
    let advice = Advice::read(&json).unwrap();
    let committed = include_str!("../../reports/reference/advice/advice.json");
    let committed = Advice::read(committed).unwrap();
    assert_eq!(advice.table, committed.table);
    let (sums, others): (Vec<_>, Vec<_>) = advice
        .judged
        .iter()
        .partition(|judged| judged.group == Group::Sums);
    // The table and six methods.
    assert_eq!(sums.len(), 7);
    for judged in sums {
        assert_eq!(
            (judged.problems, judged.suites.as_slice()),
            (2, &["sums".to_owned()][..])
        );
    }
    assert!(
        others
            .into_iter()
            .eq(committed.judged.iter().filter(|it| it.group != Group::Sums))
    );
    // From a report the same, without a run.
    let report = path("report");
    let arguments = ["ablation", "sums.toml", "--out", &report, "--store", &store];
    let ran = bench_runner(folder.path(), &arguments).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    let arguments = ["advise", "--judge", "sums.toml", "--from", &report];
    let ran = bench_runner(folder.path(), &arguments).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&ran.stdout), told, "{ran:?}");
    let arguments = ["advise", "--judge", "map", "--from", &report];
    let refused = bench_runner(folder.path(), &arguments).output().unwrap();
    let error = String::from_utf8_lossy(&refused.stderr);
    assert!(
        error.contains("these are results of `sums`, expected some of map"),
        "{error}"
    );
    // A table that knows none of the problems says so, and what it needs, before any run.
    let lacking = SUMS.replace("kind = \"fuse-contest\"", "kind = \"sgd\"");
    std::fs::write(path("lacking.toml"), lacking).unwrap();
    let unused = path("unused");
    let arguments = ["advise", "--judge", "lacking.toml", "--store", &unused];
    let refused = bench_runner(folder.path(), &arguments).output().unwrap();
    let error = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{error}");
    assert!(
        error.contains("--judge lacking.toml: no problem is in"),
        "{error}"
    );
    assert!(!Path::new(&unused).exists());
}
