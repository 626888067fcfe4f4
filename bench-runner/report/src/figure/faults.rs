//! What each discrepancy of the authors' code does to the comparison of one method with another.

use bench_analysis::effects::fault_effects as estimated;
use bench_experiment::store::Results;

use super::chart::Chart;
use super::comparison::{Effect, effects};
use crate::discrepancy::DISCREPANCIES;

/// The effect of each of S1 to S16 on `method`'s standing against `rival`, one chart per network. Those that
/// the results do not tell apart have no estimate. Empty when no problem has faults.
pub fn fault_effects(results: &Results, method: &str, rival: &str) -> Vec<Chart> {
    let ids = DISCREPANCIES.map(|discrepancy| discrepancy.id);
    estimated(results, &ids, method, rival)
        .into_iter()
        .map(|network| {
            let rows: Vec<Effect> = DISCREPANCIES
                .iter()
                .zip(&network.effects)
                .map(|(discrepancy, effect)| Effect {
                    label: format!("{} {}", discrepancy.id, discrepancy.name),
                    estimate: effect.estimate,
                    interval: effect.interval,
                })
                .collect();
            let mut chart = effects(
                &format!("fault-effects-{}", network.network),
                &format!(
                    "Effect of each fault on {method} against {rival}, {}",
                    network.network
                ),
                "change of log₁₀ of the loss ratio",
                &rows,
            );
            let seeds = network.seeds;
            let level = network.level.map_or(String::new(), |level| {
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
