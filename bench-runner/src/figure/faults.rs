//! What each discrepancy of the authors' code does to the comparison of one method with another.

use optim::{EvaluationLimit, FusePvConfig, PairSource, Policy};

use super::chart::Chart;
use super::comparison::{Effect, effects};
use super::ranking::by_network;
use crate::discrepancy::DISCREPANCIES;
use crate::run::RunRecord;
use crate::spec::OptimizerConfig;
use crate::stats;
use crate::store::{ProblemInfo, Results};

/// The effect of each of S1 to S16 on `method`'s standing against `rival`, one chart per network: the
/// change of log₁₀(loss of `method` / loss of `rival`) when the fault is turned on alone, paired by
/// seed. Those that the results do not tell apart have no estimate. Empty when no problem has faults.
pub fn fault_effects(results: &Results, method: &str, rival: &str) -> Vec<Chart> {
    by_network(results)
        .iter()
        .map(|(network, problems)| {
            let plain = problems[0].1;
            let compared = Compared {
                results,
                rival,
                plain,
            };
            let rows: Vec<Effect> = DISCREPANCIES
                .iter()
                .map(|discrepancy| {
                    let problem = problems.iter().find(|(faults, _)| faults == discrepancy.id);
                    let changes = match (discrepancy.id, problem) {
                        (_, Some((_, faulty))) => compared.between(faulty, plain, method),
                        ("S11", None) => compared.epochs_instead_of_evaluations(method),
                        (id, None) => compared.variant(id, method),
                    };
                    effect(format!("{} {}", discrepancy.id, discrepancy.name), &changes)
                })
                .collect();
            let mut chart = effects(
                &format!("fault-effects-{network}"),
                &format!("Effect of each fault on {method} against {rival}, {network}"),
                "change of log₁₀ of the loss ratio",
                &rows,
            );
            let seeds = compared.seeds().len();
            let level = rows.iter().find_map(|row| row.estimate).map_or(String::new(), |_| {
                let level = stats::median_interval(&vec![0.0; seeds.max(2)], 0.95)
                    .map_or(0.0, |estimate| estimate.interval.level);
                format!(" at {:.0} % ({seeds} seeds)", 100.0 * level)
            });
            chart.caption = format!(
                "Change of log₁₀(reported loss of {method} / that of {rival}) when one fault is turned on, \
                 paired by seed: below zero the fault favours {method}. Median with the distribution-free \
                 interval{level}; one that crosses the dashed line is compatible with no effect. S1, S10 and \
                 S16 are compared through variants of {method}, S11 as equal epochs against equal \
                 evaluations; S3 concerns the accuracy only. No estimate: not told apart here, see the \
                 page of discrepancies."
            );
            chart
        })
        .collect()
}

fn effect(label: String, changes: &[f64]) -> Effect {
    let finite: Vec<f64> = changes
        .iter()
        .copied()
        .filter(|change| change.is_finite())
        .collect();
    if finite.is_empty() || finite.len() < changes.len() {
        return Effect {
            label,
            estimate: None,
            interval: [0.0, 0.0],
        };
    }
    let median = stats::median(&finite);
    let interval = stats::median_interval(&finite, 0.95).map_or([median; 2], |estimate| {
        [estimate.interval.low, estimate.interval.high]
    });
    Effect {
        label,
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
        self.results.records.iter().find(|run| {
            run.cell.problem == problem.label
                && run.cell.optimizer == optimizer
                && run.cell.seed == seed
        })
    }

    /// log₁₀ of the ratio of final losses.
    fn ratio(&self, problem: &ProblemInfo, method: &str, seed: u64) -> f64 {
        let loss = |optimizer: &str| {
            self.run(problem, optimizer, seed)
                .map_or(f64::NAN, RunRecord::final_loss)
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
        match optimizer.config(&self.plain.label)? {
            OptimizerConfig::FusePv(config) => Some(config),
            _ => None,
        }
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
            Some((own.final_loss() / equal).log10())
        };
        self.seeds()
            .into_iter()
            .map(|seed| change(seed).unwrap_or(f64::NAN))
            .collect()
    }
}
