//! What each discrepancy of the authors' code does to the comparison of one method with another.

use bench_experiment::run::RunRecord;
use bench_experiment::store::{ProblemInfo, Results};
use bench_stats::{median, median_interval};
use optim::{EvaluationLimit, FusePvConfig, PairSource, Policy};

use crate::counted;
use crate::ranking::by_network;

/// The estimated effect of one discrepancy.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// The discrepancy: S1 to S16.
    pub id: &'static str,
    /// The effect; `None` where the results do not tell it.
    pub estimate: Option<f64>,
    /// The ends of its interval.
    pub interval: [f64; 2],
}

/// The effects of all discrepancies on one network.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkEffects {
    /// The network.
    pub network: String,
    /// The effects, in order.
    pub effects: Vec<Effect>,
    /// Seeds over which they are estimated.
    pub seeds: usize,
    /// The confidence level of the intervals; `None` without any estimate.
    pub level: Option<f64>,
}

/// The effect of each of `ids` (S1 to S16) on `method`'s standing against `rival`, for each network: the
/// change of log₁₀(loss of `method` / loss of `rival`) when the fault is turned on alone, paired by seed.
/// Empty when no problem has faults.
pub fn fault_effects(
    results: &Results,
    ids: &[&'static str],
    method: &str,
    rival: &str,
) -> Vec<NetworkEffects> {
    by_network(results)
        .iter()
        .map(|(network, problems)| {
            let plain = problems[0].1;
            let compared = Compared {
                results,
                rival,
                plain,
            };
            let effects: Vec<Effect> = ids
                .iter()
                .map(|&id| {
                    let problem = problems.iter().find(|(faults, _)| faults == id);
                    let changes = match (id, problem) {
                        (_, Some((_, faulty))) => compared.between(faulty, plain, method),
                        ("S11", None) => compared.epochs_instead_of_evaluations(method),
                        (id, None) => compared.variant(id, method),
                    };
                    effect(id, &changes)
                })
                .collect();
            let seeds = compared.seeds().len();
            let level = effects.iter().find_map(|effect| effect.estimate).map(|_| {
                median_interval(&vec![0.0; seeds.max(2)], 0.95)
                    .map_or(0.0, |estimate| estimate.interval.level)
            });
            NetworkEffects {
                network: network.clone(),
                effects,
                seeds,
                level,
            }
        })
        .collect()
}

fn effect(id: &'static str, changes: &[f64]) -> Effect {
    let finite: Vec<f64> = changes
        .iter()
        .copied()
        .filter(|change| change.is_finite())
        .collect();
    if finite.is_empty() || finite.len() < changes.len() {
        return Effect {
            id,
            estimate: None,
            interval: [0.0, 0.0],
        };
    }
    let median = median(&finite);
    let interval = median_interval(&finite, 0.95).map_or([median; 2], |estimate| {
        [estimate.interval.low, estimate.interval.high]
    });
    Effect {
        id,
        estimate: Some(median),
        interval,
    }
}

/// One network's runs, and whom a method is compared with.
struct Compared<'a> {
    results: &'a Results,
    rival: &'a str,
    plain: &'a ProblemInfo,
}

impl<'a> Compared<'a> {
    fn seeds(&self) -> Vec<u64> {
        self.results
            .runs(&self.plain.label, self.rival)
            .map(|run| run.cell.seed)
            .collect()
    }

    fn run(&self, problem: &ProblemInfo, optimizer: &str, seed: u64) -> Option<&'a RunRecord> {
        let mut runs = self.results.runs(&problem.label, optimizer);
        runs.find(|run| run.cell.seed == seed)
    }

    /// log₁₀ of the ratio of final losses.
    fn ratio(&self, problem: &ProblemInfo, method: &str, seed: u64) -> f64 {
        let loss = |optimizer: &str| {
            self.run(problem, optimizer, seed)
                .map_or(f64::NAN, counted::final_loss)
        };
        (loss(method) / loss(self.rival)).log10()
    }

    /// The change of the ratio from `plain` to `faulty`, for each seed.
    fn between(&self, faulty: &ProblemInfo, plain: &ProblemInfo, method: &str) -> Vec<f64> {
        let change = |seed: u64| self.ratio(faulty, method, seed) - self.ratio(plain, method, seed);
        self.seeds().into_iter().map(change).collect()
    }

    /// The change from the variant of `method` without discrepancy `id` to the one with it; none
    /// when there are no two variants that differ by it.
    fn variant(&self, id: &str, method: &str) -> Vec<f64> {
        let Some(own) = self.config(method) else {
            return Vec::new();
        };
        let differs = |other: &FusePvConfig| match id {
            "S1" => other.lbfgs == own.lbfgs && other.criterion != own.criterion,
            "S10" => {
                let mut same = other.clone();
                same.lbfgs.pairs = own.lbfgs.pairs;
                same == *own && other.lbfgs.pairs != own.lbfgs.pairs
            }
            "S16" => {
                let mut same = other.clone();
                same.lbfgs.evaluation_limit = own.lbfgs.evaluation_limit;
                same == *own && other.lbfgs.evaluation_limit != own.lbfgs.evaluation_limit
            }
            _ => false,
        };
        let has = |config: &FusePvConfig| match id {
            "S1" => matches!(config.policy, Policy::Reversible { .. }),
            "S10" => config.lbfgs.pairs == PairSource::Carried,
            _ => config.lbfgs.evaluation_limit == EvaluationLimit::Torch25,
        };
        let labels = self
            .results
            .optimizers
            .iter()
            .map(|optimizer| &optimizer.label);
        let Some((other, config)) = labels
            .filter_map(|label| Some((label, self.config(label)?)))
            .find(|(_, config)| differs(config))
        else {
            return Vec::new();
        };
        let (with, without) = match (has(own), has(config)) {
            (true, false) => (method, other.as_str()),
            (false, true) => (other.as_str(), method),
            _ => return Vec::new(),
        };
        let change =
            |seed: u64| self.ratio(self.plain, with, seed) - self.ratio(self.plain, without, seed);
        self.seeds().into_iter().map(change).collect()
    }

    fn config(&self, label: &str) -> Option<&'a FusePvConfig> {
        let optimizer = self.results.optimizers.iter().find(|o| o.label == label)?;
        optimizer.config(&self.plain.label)?.downcast()
    }

    /// The ratio at the end of equal epochs, less the ratio when `method` has made as many evaluations
    /// as the rival made in all.
    fn epochs_instead_of_evaluations(&self, method: &str) -> Vec<f64> {
        let change = |seed: u64| -> Option<f64> {
            let own = self.run(self.plain, method, seed)?;
            let rival = self.run(self.plain, self.rival, seed)?;
            let spent = rival.last()?.gradient_evaluations;
            let mut before = own.curve.iter().rev();
            let equal = before
                .find(|point| point.gradient_evaluations <= spent)?
                .loss;
            Some((counted::final_loss(own) / equal).log10())
        };
        self.seeds()
            .into_iter()
            .map(|seed| change(seed).unwrap_or(f64::NAN))
            .collect()
    }
}
