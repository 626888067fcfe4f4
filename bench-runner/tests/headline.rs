//! What reports answer first: who is ahead, whether that is sure, and what the switch did. The runs are made so that
//! costs are known: each halving of the exponent costs the same number of evaluations.

use bench_analysis::overall::{Lead, overall, reference};
use bench_analysis::summary::{overview, summarize};
use bench_analysis::switching::{switching, unswitched_of};
use bench_experiment::run::{CurvePoint, Outcome, RunRecord, SwitchPoint};
use bench_experiment::store::{OptimizerInfo, Results};
use bench_report::Report;
use optim::Phase;

use crate::synthetic;

/// A run that gains a digit in every `stride` evaluations, eight in all.
fn run(problem: &str, optimizer: &str, stride: u64) -> RunRecord {
    let point = |k: i32| CurvePoint::of_loss(stride * k as u64, 10f64.powi(-k));
    let mut run = synthetic::run(problem, optimizer, 0, 2);
    run.outcome = Outcome::Completed {
        reason: "made up".into(),
    };
    run.curve = (0..=8).map(point).collect();
    run.counts.gradient_evaluations = 8 * stride;
    run.seconds = 8.0 * stride as f64;
    run.switches.clear();
    run
}

/// Results of these optimizers with their strides on each problem, the optimizers' settings those of the synthetic
/// optimizer of the name's beginning.
fn results(strides: &[(&str, &[u64])]) -> Results {
    let mut results = synthetic::results(1);
    let problem = results.problems[0].clone();
    let known = std::mem::take(&mut results.optimizers);
    results.problems.clear();
    results.records.clear();
    for index in 0..strides[0].1.len() {
        let mut problem = problem.clone();
        problem.label = format!("problem-{index}");
        for (optimizer, strides) in strides {
            let record = run(&problem.label, optimizer, strides[index]);
            results.records.push(record);
        }
        results.problems.push(problem);
    }
    for (label, _) in strides {
        let own = known.iter().find(|own| label.starts_with(&own.label));
        results.optimizers.push(OptimizerInfo {
            label: (*label).into(),
            ..own.unwrap_or(&known[0]).clone()
        });
    }
    results
}

fn lead(results: &Results, optimizer: &str) -> Lead {
    let all = overall(results);
    let own = all.iter().find(|own| own.optimizer == optimizer).unwrap();
    own.against.as_ref().unwrap().lead()
}

/// The sentences of the summary.
fn said(results: &Results) -> String {
    let manifest = synthetic::manifest(1);
    let files = Report::new(results, &manifest).small_files().unwrap();
    let (_, bytes) = files
        .iter()
        .find(|(name, _)| name.ends_with("summary.md"))
        .unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    text.split("\n| optimizer").next().unwrap().to_owned()
}

#[test]
fn a_method_that_wins_everywhere_is_ahead_for_sure() {
    let results = results(&[("adam", &[10; 8]), ("lbfgs", &[5; 8])]);
    let all = overall(&results);
    let against = all[1].against.as_ref().unwrap();
    let cost = against.cost.unwrap();
    assert!((cost.value - 0.5).abs() < 1e-12 && (cost.interval.high - 0.5).abs() < 1e-12);
    // scipy.stats.binomtest(8, 8).pvalue
    assert_eq!(against.sign_p_value, Some(0.0078125));
    assert!((against.seconds - 1.0).abs() < 1e-12);
    assert_eq!(lead(&results, "lbfgs"), Lead::Ahead);
    let text = said(&results);
    assert!(
        text.starts_with("# synthetic: 2 optimizers on 8 problems, 1 seed\n"),
        "{text}"
    );
    for part in [
        "lbfgs is ahead of adam: for the same losses it needed 0.500 times the evaluations (95 % interval 0.500 to 0.500; ",
        "8 problems: 8 won, 0 tied, 0 lost; p = 0.00781, corrected for 1 comparison). This is sure.",
        "An evaluation takes lbfgs as long as adam; no run of either diverged or failed.",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn nothing_is_claimed_from_few_problems() {
    for count in [1, 5] {
        let results = results(&[("adam", &[10; 8][..count]), ("lbfgs", &[5; 8][..count])]);
        assert_eq!(lead(&results, "lbfgs"), Lead::TooFew);
        let text = said(&results);
        let start = format!("Too few problems to say which optimizer is better: {count} problem");
        assert!(text.contains(&start) && !text.contains("ahead"), "{text}");
    }
}

#[test]
fn a_network_with_faults_is_no_other_problem() {
    let mut faults = results(&[("adam", &[10; 8]), ("lbfgs", &[5; 8])]);
    let names = ["S3", "S4", "S5", "S6", "S7", "S8"];
    for (index, problem) in faults.problems.iter_mut().enumerate() {
        let faults: &[&str] = if index == 0 || index == 7 {
            &[]
        } else {
            &names[index - 1..index]
        };
        problem.config = synthetic::classifier(if index < 7 { faults } else { &names });
        problem.label = format!("network/{index}");
    }
    for run in faults.records.iter_mut() {
        run.cell.problem = run.cell.problem.replace("problem-", "network/");
    }
    assert_eq!(lead(&faults, "lbfgs"), Lead::TooFew);
    assert!(said(&faults).contains("1 problem can be compared with adam"));
}

#[test]
fn what_the_interval_leaves_open_is_not_sure() {
    // Five of eight: the exact interval reaches from the smallest to the largest ratio.
    let open = results(&[("adam", &[10; 8]), ("lbfgs", &[5, 5, 5, 5, 5, 20, 20, 20])]);
    assert_eq!(lead(&open, "lbfgs"), Lead::Unsure);
    assert!(
        said(&open).contains("Not sure: lbfgs comes first"),
        "{}",
        said(&open)
    );
    let tied = results(&[("adam", &[10; 8]), ("lbfgs", &[5, 5, 5, 5, 20, 20, 20, 20])]);
    assert!(said(&tied).contains("Nobody is surely ahead of adam. The nearest, lbfgs, is tied"));
    let same = results(&[("adam", &[10; 8]), ("lbfgs", &[10; 8])]);
    assert_eq!(lead(&same, "lbfgs"), Lead::Level);
    assert!(said(&same).contains("Nobody is ahead of adam. lbfgs is level with it"));
    let behind = results(&[("adam", &[10; 8]), ("lbfgs", &[20; 8])]);
    assert_eq!(lead(&behind, "lbfgs"), Lead::Behind);
    assert!(said(&behind).contains("adam is surely ahead: the next, lbfgs, needed 2.00"));
}

#[test]
fn among_many_rivals_a_lead_must_be_clearer() {
    let labels = ["adam", "lbfgs", "a", "b", "c", "d", "e", "f"];
    let strides: Vec<(&str, &[u64])> = labels
        .iter()
        .map(|label| {
            (
                *label,
                if *label == "adam" {
                    &[10; 8][..]
                } else {
                    &[5; 8][..]
                },
            )
        })
        .collect();
    // Seven comparisons: Holm makes 0.0547 of 0.0078.
    assert_eq!(lead(&results(&strides), "lbfgs"), Lead::Unsure);
    assert_eq!(lead(&results(&strides[..7]), "lbfgs"), Lead::Ahead);
}

#[test]
fn the_reference_is_the_best_tuned_adam_or_none() {
    let trials = results(&[
        ("sgd/learning_rate=0.1", &[5; 8]),
        ("adam/learning_rate=0.1", &[10; 8]),
        ("adam/learning_rate=0.01", &[10; 8]),
        ("lbfgs", &[3; 8]),
    ]);
    assert_eq!(reference(&trials), Some("adam/learning_rate=0.1"));
    let mut tuned = trials.clone();
    // The first trial now ends at its third digit.
    for run in tuned.records.iter_mut() {
        if run.cell.optimizer == "adam/learning_rate=0.1" {
            run.curve.truncate(4);
        }
    }
    assert_eq!(reference(&tuned), Some("adam/learning_rate=0.01"));
    // Of another name, but Adam.
    let named = results(&[("sgd", &[5; 8]), ("adam (placebo)", &[10; 8])]);
    assert_eq!(reference(&named), Some("adam (placebo)"));
    let without = results(&[("sgd", &[5; 8]), ("lbfgs", &[10; 8])]);
    assert_eq!(reference(&without), None);
    assert!(overall(&without).iter().all(|own| own.against.is_none()));
    let text = said(&without);
    assert!(
        text.contains("There is no Adam to compare with. sgd gained the most digits"),
        "{text}"
    );
}

#[test]
fn the_leaderboard_has_one_trial_of_each_method_fastest_first() {
    let mut all = results(&[
        ("sgd", &[20; 8]),
        ("adam/learning_rate=0.1", &[10; 8]),
        ("adam/learning_rate=0.01", &[10; 8]),
        ("lbfgs", &[5; 8]),
    ]);
    for run in all.records.iter_mut() {
        if run.cell.optimizer == "adam/learning_rate=0.1" {
            run.curve.truncate(4);
        }
    }
    let overview = overview(&all, &summarize(&all));
    let places = bench_analysis::leaderboard::leaderboard(&all, &overview);
    let labels: Vec<&str> = places.iter().map(|own| own.optimizer.as_str()).collect();
    assert_eq!(labels, ["lbfgs", "adam/learning_rate=0.01", "sgd"]);
}

#[test]
fn runs_that_never_switched_are_their_first_phase() {
    let mut all = results(&[("adam", &[10; 8]), ("fuse-pv/epoch", &[10; 8])]);
    let is = |all: &Results, problem: &str| {
        unswitched_of(all, problem, "fuse-pv/epoch").map(ToOwned::to_owned)
    };
    assert_eq!(is(&all, "problem-0").as_deref(), Some("adam"));
    assert_eq!(unswitched_of(&all, "problem-0", "adam"), None);
    let files = Report::new(&all, &synthetic::manifest(1))
        .small_files()
        .unwrap();
    let text: String = files
        .iter()
        .filter(|(name, _)| name.ends_with("summary.md"))
        .map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
        .collect();
    assert_eq!(text.matches("never: is adam").count(), 8);
    assert!(
        text.contains("fuse-pv/epoch never switched: its curve is that of adam and is not drawn.")
    );
    // On one problem a loss differs in its last bit, on six runs switch and end at half of Adam's loss.
    for (index, run) in all
        .records
        .iter_mut()
        .filter(|run| run.cell.optimizer != "adam")
        .enumerate()
    {
        let last = run.curve.last_mut().unwrap();
        match index {
            0 => last.loss = f64::from_bits(last.loss.to_bits() + 1),
            1 => {}
            _ => {
                last.loss *= 0.5;
                run.switches.push(SwitchPoint {
                    step: 4,
                    epoch: 0.0,
                    gradient_evaluations: run.counts.gradient_evaluations / 4,
                    sample_gradients: None,
                    seconds: 0.0,
                    to: Phase::SecondOrder,
                });
            }
        }
    }
    assert_eq!([is(&all, "problem-0"), is(&all, "problem-2")], [None, None]);
    let own = &switching(&all, Some("adam"))[0];
    assert_eq!((own.runs, own.switched, own.unswitched), (8, 6, 1));
    // Of the evaluations that the runs made, which are far fewer than the budget.
    assert_eq!(own.at, 0.25);
    let effect = own.effect.as_ref().unwrap();
    assert_eq!(effect.problems, [6, 0, 0]);
    assert!((effect.ratio.unwrap().value - 0.5).abs() < 1e-12);
    assert!(said(&all).contains(
        "switched in 6 of 8 runs, in the median after 25.0 % of their evaluations. Where it did"
    ));
}
