//! Which method to take, by what is known of a problem beforehand: a table fitted on some problems and judged on others.

use std::fmt;

use bench_experiment::problem::ProblemConfig;
use bench_experiment::store::{ProblemInfo, Results};
use bench_stats::{mean, student_t};
use serde::{Deserialize, Serialize};

use crate::equivalence::EQUIVALENCE;
use crate::error::Result;
use crate::ladder::{self, RUNGS, ladder};
use crate::pairs::{best_of, methods};

/// A run that misses a target costs this many times its budget, as in the penalised average runtime of algorithm
/// selection (PAR2; Bischl et al. 2016, ASlib).
const PENALTY: f64 = 2.0;

/// Which part of the samples a step sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Batch {
    /// Less than 1/32 of them.
    Small,
    /// From 1/32 to 1/8.
    Medium,
    /// From 1/8 on, but not all.
    Large,
    /// All of them.
    Full,
}

impl Batch {
    /// All, ascending.
    pub const ALL: [Self; 4] = [Self::Small, Self::Medium, Self::Large, Self::Full];

    /// The one that a share of the samples, above 0 and at most 1, belongs to.
    pub fn of_share(share: f64) -> Self {
        match share {
            share if share >= 1.0 => Self::Full,
            share if share >= 0.125 => Self::Large,
            share if share >= 0.031_25 => Self::Medium,
            _ => Self::Small,
        }
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Small => "below 1/32",
            Self::Medium => "1/32 to 1/8",
            Self::Large => "1/8 or more",
            Self::Full => "all",
        })
    }
}

/// How far the loss is to come down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accuracy {
    /// To no less than 10⁻³ of the gap between the start and the lowest loss.
    Rough,
    /// From 10⁻³ to 10⁻⁵ of it.
    Middle,
    /// To less than 10⁻⁵ of it.
    Fine,
}

impl Accuracy {
    /// All, from rough to fine.
    pub const ALL: [Self; 3] = [Self::Rough, Self::Middle, Self::Fine];

    /// The one that a number of digits belongs to.
    pub fn of_digits(digits: f64) -> Self {
        match digits {
            digits if digits <= 3.0 => Self::Rough,
            digits if digits <= 5.0 => Self::Middle,
            _ => Self::Fine,
        }
    }
}

impl fmt::Display for Accuracy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rough => "1 to 3 digits",
            Self::Middle => "3 to 5 digits",
            Self::Fine => "5 to 8 digits",
        })
    }
}

/// What is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Kind {
    /// A convex loss, the mean over samples, of which this is known.
    Sum {
        /// Whether one point fits all samples, so that the gradient's noise ends at the minimum.
        interpolating: bool,
        /// Whether the condition number is above 100.
        ill_conditioned: bool,
    },
    /// A linear classifier.
    LinearClassifier,
    /// A network that classifies.
    Classifier,
    /// A smooth network on a least-squares loss, without mini-batches.
    Regression,
    /// A physics-informed network, on all its points.
    Physics,
}

impl Kind {
    /// The names that [`name`](Self::name) gives.
    pub const NAMES: [&str; 5] = [
        "sum",
        "linear-classifier",
        "classifier",
        "regression",
        "physics",
    ];

    /// What is trained, in a word.
    pub fn name(self) -> &'static str {
        let index = match self {
            Self::Sum { .. } => 0,
            Self::LinearClassifier => 1,
            Self::Classifier => 2,
            Self::Regression => 3,
            Self::Physics => 4,
        };
        Self::NAMES[index]
    }

    /// What is trained in a problem of these settings; `None` where the table has no such problems.
    pub fn of(problem: &ProblemConfig) -> Option<Self> {
        let settings = serde_json::to_value(problem).ok()?;
        let text = |at: &str| settings.pointer(at).and_then(serde_json::Value::as_str);
        match text("/kind")? {
            "finite-sum" => Some(Self::Sum {
                interpolating: settings["interpolating"].as_bool().unwrap_or(false),
                ill_conditioned: settings["condition"].as_f64()? > 100.0,
            }),
            "classification" if text("/model/kind") == Some("linear") => {
                Some(Self::LinearClassifier)
            }
            "classification" => Some(Self::Classifier),
            "least-squares" => Some(Self::Regression),
            "pinn" => Some(Self::Physics),
            _ => None,
        }
    }

    /// The group of kinds that are judged together.
    pub fn group(self) -> Group {
        match self {
            Self::Sum { .. } => Group::Sums,
            Self::LinearClassifier | Self::Classifier => Group::Classifiers,
            Self::Regression => Group::Regression,
            Self::Physics => Group::Physics,
        }
    }
}

/// Kinds that are judged together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// Convex sums.
    Sums,
    /// Classifiers, the linear ones included.
    Classifiers,
    /// Smooth networks on a least-squares loss.
    Regression,
    /// Physics-informed networks.
    Physics,
}

impl Group {
    /// All.
    pub const ALL: [Self; 4] = [
        Self::Sums,
        Self::Classifiers,
        Self::Regression,
        Self::Physics,
    ];
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sums => "convex sums",
            Self::Classifiers => "classifiers",
            Self::Regression => "regression networks",
            Self::Physics => "physics-informed networks",
        })
    }
}

/// What is known before the first run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Situation {
    /// What is trained.
    pub kind: Kind,
    /// Which part of the samples a step sees.
    pub batch: Batch,
    /// How far the loss is to come down.
    pub accuracy: Accuracy,
}

/// One problem and one target of its ladder: what the methods cost there.
#[derive(Debug, Clone)]
struct Case {
    suite: String,
    problem: String,
    situation: Situation,
    /// For each method ln(its cost / the lowest cost of any), with the cost a mean over seeds in which a miss counts as
    /// [`PENALTY`] budgets.
    regrets: Vec<f64>,
}

/// What a decision table says of one situation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// The situation.
    pub situation: Situation,
    /// The problems that it rests on.
    pub problems: usize,
    /// For each method of the table, how many times the cost of the best it takes: a geometric mean over problems and
    /// targets.
    pub factors: Vec<f64>,
}

impl Decision {
    /// The number of the method of the least factor, the first of equal ones; `None` without methods.
    pub fn choice(&self) -> Option<usize> {
        let factor = |method: usize| self.factors[method];
        (0..self.factors.len()).min_by(|&a, &b| factor(a).total_cmp(&factor(b)))
    }
}

/// The method with the least factor in each situation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionTable {
    /// The methods that it decides between.
    pub methods: Vec<String>,
    /// The situations, ascending.
    pub decisions: Vec<Decision>,
}

/// How a way to choose a method did on problems that it was not fitted on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// The kinds of problem.
    pub group: Group,
    /// The suites that the problems are from.
    pub suites: Vec<String>,
    /// The way: `table`, or a method that is always taken.
    pub policy: String,
    /// The problems it was judged on.
    pub problems: usize,
    /// The share of right choices, within 10 % of the cheapest method: the mean over problems, and the ends of its 95 %
    /// interval over problems (Student's).
    pub right: [f64; 3],
    /// How many times the cost of the cheapest method it took: the geometric mean over problems and its interval.
    pub factor: [f64; 3],
}

impl DecisionTable {
    /// Fits the table between these methods on all problems of some suites whose situation is known. Each method is
    /// represented on a problem by the trial that is best over the problem's targets.
    pub fn fit(suites: &[Results], methods: &[String]) -> Self {
        let cases = cases(suites, methods);
        let mut situations: Vec<Situation> = cases.iter().map(|case| case.situation).collect();
        situations.sort();
        situations.dedup();
        let decisions = situations.into_iter().map(|situation| {
            let here: Vec<&Case> = cases.iter().filter(|c| c.situation == situation).collect();
            let factor = |method| mean_of(here.iter().map(|case| case.regrets[method])).exp();
            let mut problems: Vec<&str> = here.iter().map(|case| case.problem.as_str()).collect();
            problems.dedup();
            Decision {
                situation,
                problems: problems.len(),
                factors: (0..methods.len()).map(factor).collect(),
            }
        });
        Self {
            methods: methods.to_vec(),
            decisions: decisions.collect(),
        }
    }

    /// What it says of a situation; `None` where nothing is known of it.
    pub fn decision(&self, situation: Situation) -> Option<&Decision> {
        let mut decisions = self.decisions.iter();
        decisions.find(|decision| decision.situation == situation)
    }

    /// The number of the method to take in a situation; `None` where nothing is known of it.
    pub fn choice(&self, situation: Situation) -> Option<usize> {
        self.decision(situation)?.choice()
    }

    /// Judges the table on the problems of other suites, for each group of kinds, beside always taking one of its
    /// methods.
    ///
    /// # Errors
    /// With a single problem of a group whose situation the table knows.
    pub fn judge(&self, suites: &[Results]) -> Result<Vec<Judged>> {
        let mut cases = cases(suites, &self.methods);
        cases.retain(|case| self.choice(case.situation).is_some());
        let table = |case: &Case| {
            self.choice(case.situation)
                .map_or(f64::NAN, |method| case.regrets[method])
        };
        let mut policies = Vec::new();
        for group in Group::ALL {
            let own = cases.iter().filter(|c| c.situation.kind.group() == group);
            let own: Vec<Case> = own.cloned().collect();
            if own.is_empty() {
                continue;
            }
            policies.push(judged(group, "table", &own, &table)?);
            for (method, name) in self.methods.iter().enumerate() {
                policies.push(judged(group, name, &own, &|case| case.regrets[method])?);
            }
        }
        Ok(policies)
    }
}

/// The cases of some suites.
fn cases(suites: &[Results], wanted: &[String]) -> Vec<Case> {
    suites
        .iter()
        .flat_map(|results| of_suite(results, wanted))
        .collect()
}

/// The situations of the problems of a suite and what these methods cost there; targets that none reaches are left out.
fn of_suite(results: &Results, wanted: &[String]) -> Vec<Case> {
    let methods = methods(results);
    let mut cases = Vec::new();
    for problem in &results.problems {
        let known = Kind::of(&problem.config).zip(batch(results, problem));
        let Some(((kind, batch), targets)) = known.zip(ladder(results, &problem.label)) else {
            continue;
        };
        let penalised: Option<Vec<Vec<f64>>> = wanted
            .iter()
            .map(|name| {
                let (_, trials) = methods.iter().find(|(method, _)| method == name)?;
                let trial = best_of(results, problem, trials, &targets)?;
                let runs = ladder::costs(results, &problem.label, trial, &targets);
                let at = |rung: usize| {
                    mean_of(runs.iter().map(|(_, costs)| penalty(costs[rung], problem)))
                };
                Some((0..RUNGS).map(at).collect())
            })
            .collect();
        let Some(penalised) = penalised else {
            continue;
        };
        for rung in 0..RUNGS {
            let costs: Vec<f64> = penalised.iter().map(|costs| costs[rung]).collect();
            let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
            if least >= PENALTY * problem.budget as f64 {
                continue;
            }
            cases.push(Case {
                suite: problem.suite.clone(),
                problem: format!("{}/{}", problem.suite, problem.label),
                situation: Situation {
                    kind,
                    batch,
                    accuracy: Accuracy::of_digits(ladder::digits(rung)),
                },
                regrets: costs.into_iter().map(|cost| (cost / least).ln()).collect(),
            });
        }
    }
    cases
}

/// The cost of a run, at least 1, where a miss counts as [`PENALTY`] budgets.
fn penalty(cost: f64, problem: &ProblemInfo) -> f64 {
    if cost.is_finite() {
        cost.max(1.0)
    } else {
        PENALTY * problem.budget as f64
    }
}

/// Which part of the samples a step sees, as a run tells: the epochs that a step makes.
fn batch(results: &Results, problem: &ProblemInfo) -> Option<Batch> {
    let mut runs = results.runs_on(&problem.label);
    let last = runs.find_map(|run| run.curve.last().filter(|last| last.step > 0))?;
    Some(Batch::of_share(last.epoch / last.step as f64))
}

/// Judges a choice, given as its regret in a case.
fn judged(
    group: Group,
    policy: &str,
    cases: &[Case],
    regret: &dyn Fn(&Case) -> f64,
) -> Result<Judged> {
    let of_problem = |cases: &[Case]| -> (f64, f64) {
        let regrets: Vec<f64> = cases.iter().map(regret).collect();
        let right = regrets.iter().filter(|regret| **regret <= EQUIVALENCE.ln());
        (right.count() as f64 / regrets.len() as f64, mean(&regrets))
    };
    let problems = cases
        .chunk_by(|a, b| a.problem == b.problem)
        .map(of_problem);
    let (shares, regrets): (Vec<f64>, Vec<f64>) = problems.unzip();
    let interval = |values: &[f64]| -> Result<[f64; 3]> {
        let estimate = student_t(values, 0.95)?;
        Ok([
            estimate.value,
            estimate.interval.low,
            estimate.interval.high,
        ])
    };
    let mut suites: Vec<String> = cases.iter().map(|case| case.suite.clone()).collect();
    suites.dedup();
    Ok(Judged {
        group,
        suites,
        policy: policy.to_owned(),
        problems: shares.len(),
        right: interval(&shares)?.map(|share| share.clamp(0.0, 1.0)),
        factor: interval(&regrets)?.map(|regret| regret.max(0.0).exp()),
    })
}

fn mean_of(values: impl Iterator<Item = f64>) -> f64 {
    mean(&values.collect::<Vec<_>>())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_digits_have_their_classes() {
        let classes =
            [1.0 / 64.0, 1.0 / 32.0, 1.0 / 16.0, 1.0 / 8.0, 0.5, 1.0].map(Batch::of_share);
        use Batch::{Full, Large, Medium, Small};
        assert_eq!(classes, [Small, Medium, Medium, Large, Large, Full]);
        let classes = [1.0, 3.0, 3.3, 5.0, 5.1, 8.0].map(Accuracy::of_digits);
        use Accuracy::{Fine, Middle, Rough};
        assert_eq!(classes, [Rough, Rough, Middle, Middle, Fine, Fine]);
    }

    fn case(problem: &str, batch: Batch, regrets: [f64; 2]) -> Case {
        let situation = Situation {
            kind: Kind::Classifier,
            batch,
            accuracy: Accuracy::Rough,
        };
        Case {
            suite: "demo".into(),
            problem: problem.into(),
            situation,
            regrets: regrets.map(f64::ln).to_vec(),
        }
    }

    #[test]
    fn choices_are_judged_by_problem_with_ties_right() {
        // Right in one case of two and in both: 0.75. Logs of factors 0 and ln 4, and 0 and ln 1.05.
        let cases = [
            case("a", Batch::Small, [1.0, 2.0]),
            case("a", Batch::Full, [4.0, 1.0]),
            case("b", Batch::Small, [1.0, 3.0]),
            case("b", Batch::Full, [1.05, 1.0]),
        ];
        let judged = judged(Group::Classifiers, "first", &cases, &|case| case.regrets[0]).unwrap();
        assert_eq!((judged.problems, judged.right[0]), (2, 0.75));
        let factor = (0.25 * (4f64.ln() + 1.05f64.ln())).exp();
        assert!((judged.factor[0] - factor).abs() < 1e-12, "{judged:?}");
    }
}
