//! Claims: each gate passes what is right and fails what is planted, and the command line around them.

use std::fs;
use std::path::Path;

use bench_analysis::claims::{Claim, ClaimValue, Claims, Judgement, Verdict, judge_together};
use bench_data::Library;
use bench_experiment::optimizer::OptimizerConfig;
use bench_experiment::probe::{Build, Evidence, Relation};
use bench_experiment::problem::Environment;
use bench_experiment::run::{CellId, CurvePoint, Outcome, RunRecord, plan};
use bench_experiment::spec::{Experiment, Suite};
use bench_experiment::store::{CellStore, Results};
use bench_stats::{Bootstrap, exponent};
use candle_core::Tensor;
use optim::{
    Criterion, FuseConfig, FusePvConfig, Gradient, LbfgsConfig, Objective, Optimizer, Oracle,
    Parameters, Phase, Step, VectorPasses, state::State,
};

use crate::program;

fn claims() -> Claims {
    Claims::built_in().unwrap()
}

fn claim(id: &str) -> Claim {
    claims().select(&[id.into()]).unwrap()[0].clone()
}

/// The judgement on optimizers that `build` makes, and on a suite's results.
fn judged(claim: &Claim, build: Build<'_>, results: Option<&Results>) -> Judgement {
    let environment = Environment {
        library: Library::from_env(None, std::sync::Arc::new(bench_data::Silent))
            .unwrap()
            .into(),
        device: candle_core::Device::Cpu,
    };
    let level = claims().level(claim);
    let measured = match results {
        Some(results) => ClaimValue::of_results(&claim.evidence, results, level),
        None => ClaimValue::of(claim.evidence.observe(build, &environment).unwrap(), level),
    };
    judgement(claim, measured.unwrap())
}

/// The judgement on a claim by itself.
fn judgement(claim: &Claim, measured: ClaimValue) -> Judgement {
    let mut judged = judge_together(&[(claim, measured)], 0).unwrap();
    judged.remove(0)
}

fn shipped(config: &OptimizerConfig, parameters: &Parameters) -> optim::Result<Box<dyn Optimizer>> {
    config.build(parameters)
}

/// That the gate of a claim passes the shipped optimizers, and turns red for those that `build` makes.
fn turns_red(id: &str, build: Build<'_>) {
    let gate = claim(id);
    let right = judged(&gate, &shipped, None);
    let passed = match gate.evidence.is_bound() {
        true => Verdict::ConsistentWith,
        false => Verdict::Reproduced,
    };
    assert_eq!(right.verdict, passed, "{id}: {right:?}");
    assert_eq!(right.moved, None, "{id}");
    let wrong = judged(&gate, build, None);
    assert_eq!(wrong.verdict, Verdict::NotReproduced, "{id}: {wrong:?}");
    assert!(wrong.moved.is_some_and(|moved| moved.starts_with(id)));
}

/// What is wrong with an optimizer.
#[derive(Debug, Clone, Copy)]
enum Defect {
    /// It moves, and holds, this many times as much as it says.
    Factor(u64),
    /// Its newest pair is longer by this share than the products that were taken with it.
    Pair(f64),
    /// One number that it keeps for its recursion is larger by this share.
    Product(usize, f64),
    /// Every tenth evaluation is not counted.
    Uncounted,
    /// Each step makes one evaluation too many.
    Superfluous,
}

/// An optimizer with a defect.
struct Defective {
    inner: Box<dyn Optimizer>,
    defect: Defect,
    evaluations: u64,
    last: Option<(f64, Gradient)>,
}

impl Defective {
    fn boxed(
        defect: Defect,
        config: &OptimizerConfig,
        parameters: &Parameters,
    ) -> optim::Result<Box<dyn Optimizer>> {
        Ok(Box::new(Self {
            inner: config.build(parameters)?,
            defect,
            evaluations: 0,
            last: None,
        }))
    }

    fn spoil(&mut self, change: impl FnOnce(&mut State) -> candle_core::Result<()>) {
        let mut state = self.inner.state().unwrap();
        change(&mut state).unwrap();
        self.inner.restore(&state).unwrap();
    }
}

/// An objective that answers one question in ten with its last answer, behind the meter's back.
struct Uncounted<'a, 'b> {
    oracle: &'a mut Oracle<'b>,
    evaluations: &'a mut u64,
    last: &'a mut Option<(f64, Gradient)>,
}

impl Objective for Uncounted<'_, '_> {
    fn loss(&mut self) -> optim::Result<f64> {
        self.oracle.loss()
    }

    fn loss_and_gradient(&mut self) -> optim::Result<(f64, Gradient)> {
        *self.evaluations += 1;
        match self.last {
            Some(last) if self.evaluations.is_multiple_of(10) => Ok(last.clone()),
            _ => Ok(self.last.insert(self.oracle.loss_and_gradient()?).clone()),
        }
    }

    fn trial(&mut self) -> optim::Result<(f64, Gradient)> {
        *self.evaluations += 1;
        match self.last {
            Some(last) if self.evaluations.is_multiple_of(10) => Ok(last.clone()),
            _ => Ok(self.last.insert(self.oracle.trial()?).clone()),
        }
    }

    fn end_trials(&mut self, accepted: Option<usize>) -> optim::Result<()> {
        self.oracle.end_trials(accepted)
    }
}

impl Optimizer for Defective {
    fn step(&mut self, oracle: &mut Oracle<'_>) -> optim::Result<Step> {
        match self.defect {
            Defect::Uncounted => {
                let mut objective = Uncounted {
                    oracle,
                    evaluations: &mut self.evaluations,
                    last: &mut self.last,
                };
                let mut meter = optim::Meter::new();
                return self
                    .inner
                    .step(&mut Oracle::new(&mut objective, &mut meter));
            }
            Defect::Superfluous => {
                oracle.loss()?;
            }
            Defect::Pair(share) => self.spoil(|state| {
                let newest = format!("pair.{}", pairs(state).saturating_sub(1));
                if let Some(pair) = state.tensors.get_mut(&newest) {
                    *pair = (&*pair * (1.0 + share))?;
                }
                Ok(())
            }),
            Defect::Product(index, share) => self.spoil(|state| {
                if pairs(state) > 0 {
                    let products = state.tensors.get_mut("products").unwrap();
                    let mut numbers = products.to_vec1::<f64>()?;
                    numbers[index] *= 1.0 + share;
                    *products = Tensor::new(numbers, products.device())?;
                }
                Ok(())
            }),
            Defect::Factor(_) => {}
        }
        self.inner.step(oracle)
    }

    fn start_epoch(&mut self, epoch: u64) {
        self.inner.start_epoch(epoch);
    }

    fn parameters(&self) -> &Parameters {
        self.inner.parameters()
    }

    fn learning_rate(&self) -> f64 {
        self.inner.learning_rate()
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> optim::Result<()> {
        self.inner.set_learning_rate(learning_rate)
    }

    fn phase(&self) -> Phase {
        self.inner.phase()
    }

    fn state_elements(&self) -> u64 {
        match self.defect {
            Defect::Factor(factor) => factor * self.inner.state_elements(),
            _ => self.inner.state_elements(),
        }
    }

    fn vector_passes(&self) -> VectorPasses {
        let passes = self.inner.vector_passes();
        match self.defect {
            Defect::Factor(factor) => VectorPasses {
                reads: factor * passes.reads,
                writes: factor * passes.writes,
            },
            _ => passes,
        }
    }

    fn state(&self) -> optim::Result<State> {
        self.inner.state()
    }

    fn restore(&mut self, state: &State) -> optim::Result<()> {
        self.inner.restore(state)
    }
}

fn pairs(state: &State) -> usize {
    let names = state.tensors.keys();
    names.filter(|name| name.starts_with("pair.")).count()
}

#[test]
fn a_defect_in_the_two_loop_recursion_turns_the_gate_red() {
    for defect in [
        // The vectors that are added up are not those that the products were taken with.
        Defect::Pair(0.001),
        Defect::Pair(-2.0),
        // Of the oldest pair: sᵀy, which both loops divide by, and yᵀy, which the second adds up.
        Defect::Product(1, 0.001),
        Defect::Product(2, 0.001),
    ] {
        turns_red("lbfgs-direction", &|config, parameters| {
            Defective::boxed(defect, config, parameters)
        });
    }
}

#[test]
fn a_defect_in_the_switch_criterion_turns_the_gate_red() {
    let build = |defect: fn(Criterion) -> Criterion| {
        move |config: &OptimizerConfig, parameters: &Parameters| {
            let mut fuse = config.downcast::<FusePvConfig>().unwrap().clone();
            fuse.criterion = defect(fuse.criterion);
            OptimizerConfig::from(fuse).build(parameters)
        }
    };
    let defects: [fn(Criterion) -> Criterion; 4] = [
        // > in place of ≥.
        |criterion| match criterion {
            Criterion::Epoch(epoch) => Criterion::Epoch(epoch + 1),
            other => other,
        },
        // The first norm forgotten.
        |criterion| match criterion {
            Criterion::GradNorm { threshold, .. } => Criterion::GradNorm {
                threshold,
                relative: false,
            },
            other => other,
        },
        // A biased average: the sum over n losses divided by n + 1, as the authors' epoch loss is.
        |criterion| match criterion {
            Criterion::LossLevel { threshold } => Criterion::LossLevel {
                threshold: threshold * 11.0 / 10.0,
            },
            other => other,
        },
        // The same of the earlier mean a only: (a' - b)/a' < r with a' = a·n/(n + 1) says (a - b)/a < r', and
        // 1 - r' = (1 - r)·n/(n + 1).
        |criterion| match criterion {
            Criterion::LossDecrease {
                window,
                min_relative_decrease,
            } => {
                let n = window as f64;
                Criterion::LossDecrease {
                    window,
                    min_relative_decrease: 1.0 - (1.0 - min_relative_decrease) * n / (n + 1.0),
                }
            }
            other => other,
        },
    ];
    for defect in defects {
        turns_red("fuse-pv-switch", &build(defect));
    }
}

#[test]
fn a_miscount_turns_the_gates_red() {
    let factor_of_d = |config: &OptimizerConfig, parameters: &Parameters| {
        let d = parameters.element_count() as u64;
        Defective::boxed(Defect::Factor(d), config, parameters)
    };
    let factor_of_m = |config: &OptimizerConfig, parameters: &Parameters| {
        let lbfgs = config.downcast::<LbfgsConfig>();
        let m = lbfgs.map_or(2, |config| config.history_size as u64);
        Defective::boxed(Defect::Factor(m), config, parameters)
    };
    let uncounted = |config: &OptimizerConfig, parameters: &Parameters| {
        Defective::boxed(Defect::Uncounted, config, parameters)
    };
    turns_red("adam-step-cost", &factor_of_d);
    turns_red("lbfgs-step-cost", &factor_of_d);
    turns_red("lbfgs-passes-per-pair", &factor_of_m);
    turns_red("lbfgs-memory", &factor_of_m);
    turns_red("adam-memory", &factor_of_m);
    turns_red("adam-evaluations", &uncounted);
}

#[test]
fn a_count_off_by_one_in_a_thousand_has_moved() {
    let gate = claim("adam-step-cost");
    assert!(judgement(&gate, ClaimValue::Exact(1.001)).moved.is_some());
}

#[test]
fn fuse_that_is_not_its_limit_turns_the_gates_red() {
    let blended = |config: &OptimizerConfig, parameters: &Parameters| {
        let Some(mut fuse) = config.downcast::<FuseConfig>().cloned() else {
            return config.build(parameters);
        };
        if let optim::Theta::Constant(theta) = &mut fuse.theta {
            *theta = 0.5 + 0.499_999 * (2.0 * *theta - 1.0);
        }
        OptimizerConfig::from(fuse).build(parameters)
    };
    turns_red("theta-1-is-adam", &blended);
    turns_red("theta-0-is-lbfgs", &blended);
}

#[test]
fn an_evaluation_too_many_per_batch_turns_the_gate_red() {
    turns_red("evaluations-per-batch", &|config, parameters| {
        Defective::boxed(Defect::Superfluous, config, parameters)
    });
}

#[test]
fn pairs_spoiled_by_noise_break_linear_convergence() {
    let mut gate = claim("lbfgs-linear-rate");
    for (spoilt, expected) in [
        (0.0, Verdict::ConsistentWith),
        (0.5, Verdict::NotReproduced),
    ] {
        gate.evidence = Evidence::LogLinearity {
            conditions: vec![10.0, 100.0],
            noise: spoilt,
        };
        assert_eq!(judged(&gate, &shipped, None).verdict, expected);
    }
}

#[test]
fn without_noise_every_exponent_that_needs_it_is_another() {
    let mut planted = 0;
    for mut gate in claims().claims {
        let Evidence::EvaluationsExponent { noise, .. } = &mut gate.evidence else {
            continue;
        };
        if *noise == 0.0 {
            continue;
        }
        *noise = 0.0;
        planted += 1;
        let wrong = judged(&gate, &shipped, None);
        println!(
            "{} without noise: {} {}",
            gate.id, wrong.measured, wrong.within
        );
        assert_eq!(wrong.verdict, Verdict::NotReproduced, "{wrong:?}");
        assert!(wrong.moved.is_some());
    }
    assert_eq!(planted, 5);
}

#[test]
fn a_dearer_iteration_turns_the_gates_of_cost_red() {
    for (id, kind) in [
        ("cost-below-lbfgs-functions", "fuse-pv"),
        ("cost-above-adam-functions", "adam"),
    ] {
        turns_red(id, &|config, parameters| {
            if config.kind() == kind {
                Defective::boxed(Defect::Factor(100), config, parameters)
            } else {
                config.build(parameters)
            }
        });
    }
}

/// Numbers spread like the costs of 10 seeds: e^z, z evenly over ±0.2.
fn spread(seed: u64) -> f64 {
    (0.4 * (seed as f64 / 9.0 - 0.5)).exp()
}

#[test]
fn a_planted_exponent_is_judged_by_the_band() {
    let bootstrap = Bootstrap {
        level: 0.95,
        ..Bootstrap::default()
    };
    let sizes = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0];
    for (id, right, wrong) in [
        ("sgd-strongly-convex", 1.2, 2.0),
        ("sgd-strongly-convex", 1.2, 0.5),
        ("adam-strongly-convex", 1.5, 2.5),
        ("adam-strongly-convex", 1.5, 0.3),
        ("sgd-convex", 2.0, 2.7),
        ("sgd-convex", 2.0, 1.0),
        ("lbfgs-condition", 0.5, 1.5),
        ("sgd-non-convex", 3.6, 5.0),
        ("sgd-non-convex", 3.6, 2.0),
        ("adam-non-convex", 3.6, 5.0),
        ("adam-non-convex", 3.6, 2.0),
        ("fuse-pv-after-switch", 0.1, 0.5),
    ] {
        let gate = claim(id);
        let edge = gate.band.unwrap()[1];
        for (planted, expected) in [
            (right, Verdict::ConsistentWith),
            (wrong, Verdict::NotReproduced),
            (edge, Verdict::Inconclusive),
        ] {
            let costs = sizes.map(|size: f64| {
                let cost = |seed| 100.0 * size.powf(planted) * spread(seed);
                (0..10).map(cost).collect::<Vec<f64>>()
            });
            let fit = exponent(&sizes, &costs, &bootstrap).unwrap();
            assert_eq!(
                gate.judge(&fit.into(), None),
                expected,
                "{id}: {planted} {fit:?}"
            );
        }
    }
}

/// Made-up results of a suite: the cost to the target, and the final loss, of each run.
fn planted(suite: &str, outcome: impl Fn(&CellId) -> (u64, f64)) -> Results {
    let experiment: Experiment = Suite::find(suite).unwrap().experiment().unwrap();
    let records = plan(&experiment)
        .iter()
        .map(|cell| {
            let id = cell.id();
            let (cost, loss) = outcome(&id);
            record(id, cost, loss)
        })
        .collect();
    let dimensions = vec![10; experiment.problems.len()];
    Results::new(&experiment, &dimensions, records)
}

/// A run that begins at a loss of 10 and ends at `loss` after `cost` evaluations, in its second phase.
fn record(cell: CellId, cost: u64, loss: f64) -> RunRecord {
    let end = CurvePoint {
        phase: Phase::SecondOrder,
        ..CurvePoint::of_loss(cost, loss)
    };
    RunRecord {
        cell,
        outcome: Outcome::Completed {
            reason: "planted".into(),
        },
        counts: optim::Counts::default(),
        seconds: 0.0,
        pairs: optim::PairCounts::default(),
        switches: Vec::new(),
        curve: vec![CurvePoint::of_loss(0, 10.0), end],
    }
}

/// Results of `noise` in which FUSE-PV wins on the first `won` of 40 problems.
fn winning(won: usize) -> Results {
    let experiment = Suite::find("noise").unwrap().experiment().unwrap();
    let labels: Vec<String> = experiment.problems.into_iter().map(|p| p.label).collect();
    assert_eq!(labels.len(), 40);
    planted("noise", |cell| {
        let wins = labels[..won].contains(&cell.problem);
        let cost = match (cell.optimizer.starts_with("fuse-pv"), wins) {
            (true, true) => 50,
            (true, false) => 200,
            (false, _) => 100,
        };
        (cost, 0.0)
    })
}

#[test]
fn planted_wins_are_judged_by_their_interval() {
    let gate = claim("headline-adam");
    for (won, expected) in [
        (40, Verdict::Reproduced),
        (32, Verdict::Reproduced),
        (20, Verdict::Inconclusive),
        (8, Verdict::NotReproduced),
        (0, Verdict::NotReproduced),
    ] {
        let judged = judged(&gate, &shipped, Some(&winning(won)));
        assert_eq!(judged.verdict, expected, "{won} of 40: {judged:?}");
    }
}

#[test]
fn a_planted_standing_against_all_others_is_counted() {
    let mut labels: Vec<String> = winning(0).problems.into_iter().map(|p| p.label).collect();
    labels.sort();
    // Of 40 problems the method is ahead of both on 10, between them on 20, and behind one on 10.
    let results = planted("noise", |cell| {
        let index = labels.iter().position(|label| *label == cell.problem);
        let cost = match (cell.optimizer.split('/').next(), index.unwrap()) {
            (Some("fuse-pv"), 0..10) => 50,
            (Some("fuse-pv"), 10..30) => 105,
            (Some("fuse-pv"), _) => 150,
            (Some("adam"), _) => 100,
            _ => 200,
        };
        (cost, 0.0)
    });
    let share = |relation| {
        let evidence = Evidence::AgainstAll {
            suite: "noise".into(),
            method: "fuse-pv".into(),
            others: vec!["adam".into(), "lbfgs".into()],
            relation,
            within: Vec::new(),
        };
        match ClaimValue::of_results(&evidence, &results, 0.95).unwrap() {
            ClaimValue::Estimated { estimate, .. } => estimate,
            other => panic!("{other:?}"),
        }
    };
    let (ahead, not_behind) = (share(Relation::Ahead), share(Relation::NotBehind));
    assert_eq!([ahead.value, not_behind.value], [0.25, 0.75]);
    // scipy 1.17.1: binomtest(10, 40).proportion_ci(0.95, "exact").
    let interval = ahead.interval;
    assert!((interval.low - 0.12691).abs() < 1e-5 && (interval.high - 0.41196).abs() < 1e-5);
}

#[test]
fn a_trial_s_whole_label_names_it_alone() {
    let mut gate = claim("headline-adam");
    let trials = winning(0).optimizers.into_iter().map(|own| own.label);
    let dear: Vec<String> = trials
        .filter(|label| label.starts_with("fuse-pv"))
        .collect();
    // One trial of the method is cheap, and the others are dear.
    let results = planted("noise", |cell| match cell.optimizer.as_str() {
        label if label == dear[0] => (50, 0.0),
        label if dear.iter().any(|own| own == label) => (200, 0.0),
        _ => (100, 0.0),
    });
    for (label, share) in [(None, 1.0), (Some(&dear[0]), 1.0), (Some(&dear[1]), 0.0)] {
        if let (Some(label), Evidence::Wins { method, .. }) = (label, &mut gate.evidence) {
            method.clone_from(label);
        }
        let value = judged(&gate, &shipped, Some(&results)).value;
        assert_eq!(value, Some(share), "{label:?}");
    }
}

#[test]
fn only_problems_within_count() {
    let mut gate = claim("headline-adam");
    let Evidence::Wins { within, .. } = &mut gate.evidence else {
        panic!("{gate:?}");
    };
    let labels: Vec<String> = winning(0).problems.into_iter().map(|p| p.label).collect();
    let part = labels[0].split('/').find(|part| part.starts_with("noise="));
    let part = part.unwrap().to_owned();
    *within = vec![part.clone()];
    let inside = |label: &String| label.split('/').any(|p| p == part);
    assert_eq!(labels.iter().filter(|label| inside(label)).count(), 8);
    let results = planted("noise", |cell| {
        let wins = cell.optimizer.starts_with("fuse-pv") && inside(&cell.problem);
        (if wins { 50 } else { 100 }, 0.0)
    });
    assert_eq!(judged(&gate, &shipped, Some(&results)).value, Some(1.0));
}

#[test]
fn a_planted_difference_of_losses_is_judged_by_its_interval() {
    let gate = claim("epoch-beats-gradient-norm");
    for (leads, expected) in [
        (0..5, Verdict::Reproduced),
        (0..3, Verdict::Inconclusive),
        (0..0, Verdict::NotReproduced),
    ] {
        // The lead is smaller than the spread between seeds: pairs tell it.
        let results = planted("criteria", |cell| {
            let lead = if leads.contains(&cell.seed) {
                0.01
            } else {
                -0.01
            };
            let own = if cell.optimizer == "epoch-5" {
                lead
            } else {
                0.0
            };
            (100, 2.0 + 0.1 * cell.seed as f64 - own)
        });
        let judged = judged(&gate, &shipped, Some(&results));
        assert_eq!(judged.verdict, expected, "{leads:?}: {judged:?}");
        // 4 problems with 5 seeds.
        let detectable = judged.detectable.unwrap();
        assert_eq!(detectable.pairs, 20);
        let probability = detectable.probability.unwrap();
        assert!((0.5..1.0).contains(&probability), "{probability}");
    }
    let same = planted("criteria", |_| (100, 2.0));
    assert_eq!(
        judged(&gate, &shipped, Some(&same)).verdict,
        Verdict::Inconclusive
    );
}

/// The headline as a confirmatory claim.
fn confirmatory() -> Claim {
    Claim {
        confirmatory: true,
        ..claim("headline-adam")
    }
}

#[test]
fn confirmatory_claims_are_judged_together() {
    let gate = confirmatory();
    let value = |won| ClaimValue::of_results(&gate.evidence, &winning(won), 0.95).unwrap();
    let verdict = |judged: Judgement| (judged.verdict, judged.p_value.unwrap());
    // Alone, 28 of 40 have p = 0.0166 (scipy 1.17.1: binomtest(28, 40).pvalue); among five Holm's factor is 5.
    let alone = judge_together(&[(&gate, value(28))], 1).unwrap().remove(0);
    let (found, p_value) = verdict(alone);
    assert_eq!(found, Verdict::Reproduced);
    assert!((p_value - 0.01659).abs() < 1e-5, "{p_value}");
    let among = judge_together(&[(&gate, value(28))], 5).unwrap().remove(0);
    let (found, p_value) = verdict(among);
    assert_eq!(found, Verdict::Inconclusive);
    assert!((p_value - 5.0 * 0.01659).abs() < 5e-5, "{p_value}");
    // Beside one that is sure, it is the second of two.
    let pair = [(&gate, value(28)), (&gate, value(40))];
    let found = judge_together(&pair, 2).unwrap();
    assert!(
        found.iter().all(|j| j.verdict == Verdict::Reproduced),
        "{found:?}"
    );
}

#[test]
fn ties_count_for_nobody() {
    // FUSE-PV is Adam until its switch: on most problems the targets fall before.
    let gate = claim("headline-adam");
    let shared = |ties: usize| {
        let mut results = winning(40 - ties);
        let labels: Vec<String> = results.problems.iter().map(|p| p.label.clone()).collect();
        for run in &mut results.records {
            if labels[40 - ties..].contains(&run.cell.problem) {
                let last = run.curve.last_mut().unwrap();
                last.gradient_evaluations = 100;
                last.phase = Phase::FirstOrder;
            }
        }
        judged(&gate, &shipped, Some(&results))
    };
    let some = shared(16);
    assert_eq!(some.value, Some(1.0));
    assert!(
        some.within
            .contains("24 won, 16 tied (16 in the shared first phase), 0 lost"),
        "{}",
        some.within
    );
    let all = shared(40);
    assert_eq!(all.verdict, Verdict::Inconclusive);
    assert!(
        all.measured.contains("all 40 problems are ties"),
        "{}",
        all.measured
    );
}

#[test]
fn opposite_problems_are_not_pooled() {
    let gate = claim("accelerated-images");
    let results = planted("criteria", |cell| {
        let lead = match (cell.problem.as_str(), cell.optimizer.as_str()) {
            ("logistic-digits", "epoch-5") => -0.1,
            ("mlp-digits", "epoch-5") => 0.1,
            _ => 0.0,
        };
        (100, 1.0 + lead)
    });
    let judged = judged(&gate, &shipped, Some(&results));
    assert_eq!(judged.verdict, Verdict::Inconclusive);
    assert_eq!(
        judged.measured,
        "it depends on the problem: won on logistic-digits 5 of 5, mlp-digits 0 of 5"
    );
}

/// The claims about physics-informed networks, on losses that end a factor apart: seeds differ by as much as
/// the methods, but in the same way.
#[test]
fn planted_ratios_are_judged_by_their_interval() {
    let text = include_str!("../../reports/claims-pinn.toml");
    let claims = Claims::parse(text, Path::new("reports/claims-pinn.toml")).unwrap();
    let gate = claims.select(&["reaction-loss".into()]).unwrap()[0].clone();
    let level = claims.level(&gate);
    assert_eq!(level, 1.0 - 0.05 / 9.0);
    let verdict = |factor: f64, unlike: f64| {
        let results = planted("pinn", |cell| {
            let of_seed = 10f64.powi(cell.seed as i32);
            let own = match cell.optimizer.as_str() {
                "adam" => 1.0,
                "lbfgs" => 2.0,
                _ if cell.seed == 4 => factor * unlike,
                _ => factor * 1.01f64.powi(cell.seed as i32),
            };
            (10, 1e-6 * of_seed * own)
        });
        let measured = ClaimValue::of_results(&gate.evidence, &results, level).unwrap();
        let judged = judge_together(&[(&gate, measured)], claims.confirmatory()).unwrap();
        (judged[0].verdict, judged[0].value.unwrap())
    };
    let (lower, value) = verdict(0.1, 1.0);
    assert_eq!(lower, Verdict::Reproduced);
    assert!((value + 1.0).abs() < 0.02, "{value}");
    assert_eq!(verdict(10.0, 1.0).0, Verdict::NotReproduced);
    assert_eq!(verdict(0.9, 3.0).0, Verdict::Inconclusive);
}

#[test]
fn claims_files_that_cannot_be_judged_are_refused() {
    let text = |evidence: &str| {
        format!(
            "[[claim]]\nid = \"a\"\nstatement = \"\"\nsource = \"ours\"\nrule = \"\"\nband = [0.0, 1.0]\n\
             expected = \"reproduced\"\nevidence = {evidence}\n"
        )
    };
    for (evidence, complaint) in [
        ("{ kind = \"differing-bits\", theta = 2 }", "`theta`"),
        (
            "{ kind = \"misjudged-steps\", criteria = [] }",
            "`criteria`",
        ),
        (
            "{ kind = \"misjudged-steps\", criteria = [\"never\"] }",
            "`criteria`",
        ),
        ("{ kind = \"vectors-per-pair\", more = 1 }", "more"),
        // One problem; four problems with five seeds can decide, two of them with one part of a label, none.
        (
            "{ kind = \"wins\", suite = \"moby-dick\", method = \"fuse-pv\", other = \"adam\" }",
            "no outcome of 1 problems of `moby-dick` can decide it",
        ),
        (
            "{ kind = \"wins\", suite = \"noise\", method = \"fuse-pv\", other = \"adam\", within = [\"no\"] }",
            "no outcome of 0 problems of `noise`",
        ),
        (
            "{ kind = \"wins\", suite = \"noize\", method = \"fuse-pv\", other = \"adam\" }",
            "noise",
        ),
        (
            "{ kind = \"wins\", suite = \"noise\", method = \"fuse-pvv\", other = \"adam\" }",
            "unknown method `fuse-pvv`; did you mean `fuse-pv`?",
        ),
        (
            "{ kind = \"against-all\", suite = \"auto\", method = \"adam\", others = [\"lbgfs\"], relation = \"ahead\" }",
            "unknown method `lbgfs`",
        ),
        (
            "{ kind = \"log-linearity\", conditions = [10.0, nan] }",
            "condition",
        ),
        (
            "{ kind = \"log-linearity\", conditions = [10.0], noise = -1.0 }",
            "noise",
        ),
        (
            "{ kind = \"condition-exponent\", optimizer = { kind = \"lbfgs\" }, dimension = 1000000000000, \
             conditions = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0], target = 1e-6 }",
            "`dimension` = 1000000000000",
        ),
        (
            "{ kind = \"evaluations-exponent\", optimizer = { kind = \"sgd\" }, class = \"convex\", noise = 1.0, \
             targets = [1.0, 0.5, 0.25, 0.125, 0.0625, 0.025] }",
            "`targets`",
        ),
        (
            "{ kind = \"evaluations-exponent\", optimizer = { kind = \"sgd\" }, class = \"convex\", noise = 1.0, \
             targets = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0] }",
            "descending",
        ),
        (
            "{ kind = \"cost-ratio\", optimizer = { kind = \"sgd\" }, other = { kind = \"adam\" }, suite = \"quick\", \
             problem = \"mlp-digit\", steps = 1 }",
            "mlp-digits",
        ),
        (
            "{ kind = \"final-ratio\", suite = \"pinn\", quantity = \"los\", method = \"a\", others = [\"b\"] }",
            "`quantity`",
        ),
        (
            "{ kind = \"final-ratio\", suite = \"pinn\", quantity = \"loss\", method = \"a\", others = [] }",
            "`others`",
        ),
        (
            "{ kind = \"against-all\", suite = \"auto\", method = \"a\", others = [], relation = \"ahead\" }",
            "`others`",
        ),
        (
            "{ kind = \"against-all\", suite = \"auto\", method = \"a\", others = [\"b\"], relation = \"first\" }",
            "`not-behind`",
        ),
    ] {
        let error = Claims::parse(&text(evidence), Path::new("mine.toml")).unwrap_err();
        assert!(matches!(
            error,
            bench_analysis::Error::Syntax { .. } | bench_analysis::Error::Claim { .. }
        ));
        let error = error.to_string();
        assert!(
            error.contains("mine.toml") && error.contains(complaint),
            "{error}"
        );
    }
}

/// One exact claim, recorded wrongly, with comments.
const WRONG: &str = "# Mine.
[[claim]]
id = \"memory\" # of Adam
statement = \"Adam stores 3d numbers.\"
source = \"ours\"
rule = \"Counted.\"
evidence = { kind = \"vectors-held\", optimizer = { kind = \"adam\" } }
band = [3.0, 3.0]
exactly = 3.0   # vectors
expected = \"reproduced\" # so far
";

#[test]
fn check_names_what_moved_and_update_records_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine.toml"), WRONG).unwrap();
    let run = |arguments: &[&str]| {
        let arguments = [
            &["claims", "--file", "mine.toml", "--out", "out"],
            arguments,
        ]
        .concat();
        let output = program::bench_runner(folder.path(), &arguments).output();
        let output = output.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), errors)
    };
    let (code, errors) = run(&["--check"]);
    assert_eq!(code, 1, "{errors}");
    assert!(errors.contains("memory: counted 2, recorded 3"), "{errors}");
    assert_eq!(run(&["--check", "--update"]).0, 2);
    assert_eq!(run(&["--update"]).0, 0);
    let text = fs::read_to_string(folder.path().join("mine.toml")).unwrap();
    let expected = WRONG
        .replace("exactly = 3.0 ", "exactly = 2.0 ")
        .replace("expected = \"reproduced\"", "expected = \"not-reproduced\"");
    assert_eq!(text, expected);
    assert_eq!(run(&["--check"]).0, 0);
    assert_eq!(run(&["--check", "memry"]).0, 2);
    let page = fs::read_to_string(folder.path().join("out/index.html")).unwrap();
    assert!(page.contains("Adam stores 3d numbers.") && page.contains("not reproduced"));
}

#[test]
fn the_json_is_what_its_schema_says() {
    let folder = tempfile::tempdir().unwrap();
    let status = program::bench_runner(
        folder.path(),
        &["claims", "adam-memory", "lbfgs-linear-rate", "theorem"],
    )
    .status();
    assert!(status.unwrap().success());
    let read = |path: &Path| -> serde_json::Value {
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    let json = read(&folder.path().join("reports/claims/claims.json"));
    let schema = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../reports/claims.schema.json"));
    conforms(&json, &schema, "claims.json");
    let mut wrong = json.clone();
    wrong["claims"][0]["verdict"] = "perhaps".into();
    let panics = std::panic::catch_unwind(|| conforms(&wrong, &schema, "wrong"));
    assert!(panics.is_err());
}

#[test]
fn claims_can_be_told_which_of_their_runs_come_apart_by_rounding() {
    let folder = tempfile::tempdir().unwrap();
    let claim = r#"
[[claim]]
id = "ends-lower"
statement = "L-BFGS ends lower than Adam on Rosenbrock's function."
source = "ours"
rule = "The mean of log₁₀ of the ratio of final losses is below 0."
evidence = { kind = "final-ratio", suite = "quick-tiny", quantity = "loss", method = "lbfgs", others = ["adam"], within = ["rosenbrock-2d"] }
band = [-40.0, 0.0]
expected = "inconclusive"
"#;
    fs::write(folder.path().join("mine.toml"), claim).unwrap();
    let run = |count: &str| {
        let arguments = ["claims", "--file", "mine.toml", "--perturbations", count];
        let output = program::bench_runner(folder.path(), &arguments).output();
        let output = output.unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(said).unwrap(),
        )
    };
    assert_eq!(run("1").0, 2);
    let (code, said) = run("3");
    assert_eq!(code, 0, "{said}");
    let expected =
        "Stability on `quick-tiny`: 2 pairs of problem and optimizer were repeated, each 3 times";
    assert!(said.contains(expected), "{said}");
    let path = folder.path().join("reports/claims/claims.json");
    let json: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let stability = &json["stability"][0];
    assert_eq!(
        (&stability["suite"], &stability["cells"]),
        (&"quick-tiny".into(), &2.into())
    );
    let page = fs::read_to_string(folder.path().join("reports/claims/index.html")).unwrap();
    assert!(page.contains("Stability on"));
}

/// That a value has the type, the keys and the constants of a schema (the part of JSON Schema used here).
fn conforms(value: &serde_json::Value, schema: &serde_json::Value, place: &str) {
    use serde_json::Value;
    if let Some(types) = schema.get("type") {
        let types: Vec<&str> = match types {
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect(),
        };
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_u64() && types.contains(&"integer") => "integer",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        assert!(types.contains(&kind), "{place} is a {kind}, not {types:?}");
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array) {
        assert!(allowed.contains(value), "{place}: {value}");
    }
    if let (Some(object), Some(properties)) = (value.as_object(), schema.get("properties")) {
        let properties = properties.as_object().unwrap();
        let required = schema["required"].as_array().unwrap();
        for key in required {
            assert!(object.contains_key(key.as_str().unwrap()), "{place}: {key}");
        }
        for (key, value) in object {
            let property = properties.get(key);
            conforms(
                value,
                property.unwrap_or_else(|| panic!("{place}: {key} is not in the schema")),
                &format!("{place}/{key}"),
            );
        }
    }
    if let (Some(items), Some(schema)) = (value.as_array(), schema.get("items")) {
        for (index, item) in items.iter().enumerate() {
            conforms(item, schema, &format!("{place}/{index}"));
        }
    }
}

const TINY: &str = r#"
name = "tiny"
seeds = 2
problem = [
  { label = "booth", kind = "function", function = "booth", budget = 40, points = 4 },
  { label = "digits", kind = "classification", data = "digits", batch_size = 64, budget = 12, points = 3, measure_train = 128, model = { kind = "mlp", inputs = 64, hidden = [16], classes = 10 } },
]
optimizer = [{ kind = "adam" }, { kind = "fuse-pv", criterion = { step = 5 } }]
"#;

/// Runs the tiny experiment in a folder; its report is in `tiny`, its store in `store`.
fn tiny() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tiny.toml"), TINY).unwrap();
    let arguments = ["ablation", "tiny.toml", "--out", "tiny", "--store", "store"];
    let status = program::bench_runner(folder.path(), &arguments).status();
    assert!(status.unwrap().success());
    folder
}

fn replay(folder: &Path, id: &str, from: &[&str]) -> (i32, String) {
    let arguments = [&["claims", "--replay", id], from].concat();
    let output = program::bench_runner(folder, &arguments).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn runs_are_replayed_from_the_store_bit_for_bit() {
    let folder = tiny();
    let store = CellStore::new(folder.path().join("store"));
    let (runs, _) = store.runs().unwrap();
    assert_eq!(runs.len(), 8);
    let from = ["--store", "store"];
    for (address, run) in &runs {
        let (code, text) = replay(folder.path(), &address[..12], &from);
        assert_eq!(code, 0, "{text}");
        assert!(text.contains("bit for bit") && text.contains(&run.record.digest()));
    }
    assert_eq!(replay(folder.path(), "no-such-run", &from).0, 2);
    // Every run's address begins with the empty text.
    assert_eq!(replay(folder.path(), "", &from).0, 2);

    // One bit of one loss.
    let (address, run) = runs.iter().next().unwrap();
    let mut altered = run.record.clone();
    let loss = &mut altered.curve[1].loss;
    *loss = f64::from_bits(loss.to_bits() ^ 1);
    store.save(&run.origin, &altered).unwrap();
    let (code, text) = replay(folder.path(), address, &from);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("not the same bits"), "{text}");
}

#[test]
fn runs_are_replayed_from_a_report_and_judged_by_tolerances_on_another_processor() {
    let folder = tiny();
    let report = folder.path().join("tiny");
    let from = ["--from", "tiny"];
    let results = bench_experiment::store::read(&report.join("results.parquet")).unwrap();
    let listed = fs::read_to_string(report.join("runs.csv")).unwrap();
    for run in &results.records {
        assert!(listed.contains(&run.digest()));
        let (code, text) = replay(folder.path(), &run.digest()[..12], &from);
        assert_eq!(code, 0, "{text}");
    }

    let manifest = report.join("manifest.json");
    let mut json: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&manifest).unwrap()).unwrap();
    json["cpu"] = "another processor (some ISA)".into();
    fs::write(&manifest, json.to_string()).unwrap();
    let alter = |factor: f64| {
        let mut results = results.clone();
        let run = &mut results.records[0];
        run.curve.last_mut().unwrap().loss *= factor;
        let id = run.digest();
        bench_experiment::store::write(&report.join("results.parquet"), &results).unwrap();
        replay(folder.path(), &id[..12], &from)
    };
    let (code, text) = alter(1.001);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("other vector instructions"), "{text}");
    let (code, text) = alter(1e9);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("outside the tolerances") && text.contains("loss:"));
}
