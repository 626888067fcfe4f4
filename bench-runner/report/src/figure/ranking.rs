//! Which method is ahead, and where: ranks over noise and condition, and under each fault.

use bench_analysis::ranking::{by_network, rank_maps, ranks_by_loss};
use bench_experiment::store::Results;

use super::axis::tick_label;
use super::chart::{Chart, Heat, HeatCell, Panel};

/// The rank of `method` over gradient noise (rows) and condition number (columns), a panel for each
/// dimension. `None` when there are no such problems, or no such method.
pub fn ranking_map(results: &Results, method: &str) -> Option<Chart> {
    let all = rank_maps(results, method)?;
    let ranks = || all.maps.iter().flat_map(|map| map.ranks.iter().flatten());
    let first = ranks().filter(|rank| **rank == Some(1.0)).count();
    let ranked = ranks().filter(|rank| rank.is_some()).count();
    let panels = all
        .maps
        .iter()
        .map(|map| {
            Panel::Heat(Heat {
                title: format!("{} dimensions", map.dimension),
                x_label: "condition number κ".to_owned(),
                y_label: "noise σ".to_owned(),
                columns: names(&all.conditions),
                rows: names(&all.noises),
                cells: map
                    .ranks
                    .iter()
                    .map(|row| row.iter().copied().map(rank_cell).collect())
                    .collect(),
                value_label: "rank".to_owned(),
                bounds: [1.0, all.methods.max(2) as f64],
            })
        })
        .collect();
    Some(Chart {
        name: "ranking-map".to_owned(),
        title: format!("Rank of {method} on quadratics"),
        caption: format!(
            "Rank of {method} among {} methods by the median number of gradient evaluations to the target; \
             where these are equal, as where none reaches it, by the median final loss. 1, the palest, is \
             best. Each method is represented by its best trial on each problem. σ is the size of the \
             gradient noise, κ the condition number.",
            all.methods
        ),
        alt: format!(
            "Tables of ranks over noise and condition number. {method} is first in {} of {} cells.",
            first, ranked
        ),
        panels,
        size: None,
    })
}

/// The ranks of all optimizers by their median reported loss, without faults and under each set of
/// faults, a panel for each network. `None` when no problem has faults.
pub fn fault_ranks(results: &Results) -> Option<Chart> {
    let groups = by_network(results);
    if groups.is_empty() {
        return None;
    }
    let count = results.optimizers.len();
    let panels = groups
        .iter()
        .map(|(network, problems)| {
            let ranks: Vec<Vec<f64>> = problems
                .iter()
                .map(|(_, problem)| ranks_by_loss(results, problem))
                .collect();
            Panel::Heat(Heat {
                title: network.clone(),
                x_label: "faults on".to_owned(),
                y_label: "optimizer".to_owned(),
                columns: problems.iter().map(|(faults, _)| faults.clone()).collect(),
                rows: results.optimizers.iter().map(|o| o.label.clone()).collect(),
                cells: (0..count)
                    .map(|row| {
                        ranks
                            .iter()
                            .map(|ranks| rank_cell(Some(ranks[row])))
                            .collect()
                    })
                    .collect(),
                value_label: "rank".to_owned(),
                bounds: [1.0, count.max(2) as f64],
            })
        })
        .collect();
    Some(Chart {
        name: "fault-ranks".to_owned(),
        title: "Ranks under each fault of the authors' script".to_owned(),
        caption: "Rank by the median final loss as the script would report it, 1 is best, equal losses share \
                  the mean of their ranks; without faults, with one at a time, and with all of S3 to S8."
            .to_owned(),
        alt: format!(
            "Tables of the ranks of {count} optimizers under each fault, for {}.",
            groups.iter().map(|(network, _)| network.as_str()).collect::<Vec<_>>().join(" and ")
        ),
        panels,
        size: None,
    })
}

fn rank_cell(rank: Option<f64>) -> HeatCell {
    HeatCell {
        value: rank,
        text: rank.map_or_else(
            || "–".to_owned(),
            |rank| tick_label(rank, if rank.fract() == 0.0 { 1.0 } else { 0.1 }),
        ),
    }
}

fn names(values: &[f64]) -> Vec<String> {
    values
        .iter()
        .map(|&value| tick_label(value, value))
        .collect()
}
