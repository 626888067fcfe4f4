//! The tables of the catalogue.

use bench_analysis::accuracy::{Accuracy, accuracies};
use bench_experiment::store::Results;

use super::source::StepCosts;
use crate::number;
use crate::table::Table;

/// The last test accuracies on each problem that has them: mean and population variance over seeds, as
/// the authors of FUSE report them, then what the seeds support: Student's interval for the mean and
/// the distribution-free one for the median, at 95 % or as near as the number of seeds allows. Runs
/// that diverged or failed count as 0.
pub(super) fn accuracy(results: &Results) -> Table {
    let headers = [
        "problem",
        "optimizer",
        "seeds",
        "mean",
        "variance (points²)",
        "mean, 95 % interval",
        "median, interval",
    ];
    let range = |low: f64, high: f64| format!("[{low:.2}, {high:.2}]");
    let row = |accuracy: Accuracy<'_>| {
        let mean = accuracy.mean_interval.map_or_else(
            || "–".to_owned(),
            |interval| range(interval.low, interval.high),
        );
        let median = accuracy.median_interval.map_or_else(
            || format!("{:.2}", accuracy.median),
            |estimate| {
                format!(
                    "{:.2} {} at {:.0} %",
                    estimate.value,
                    range(estimate.interval.low, estimate.interval.high),
                    100.0 * estimate.interval.level
                )
            },
        );
        vec![
            accuracy.problem.title.clone(),
            accuracy.optimizer.to_owned(),
            accuracy.seeds.to_string(),
            format!("{:.2} %", accuracy.mean),
            number::short(accuracy.variance),
            mean,
            median,
        ]
    };
    let rows = accuracies(results).into_iter().map(row).collect();
    Table {
        headers: headers.map(str::to_owned).to_vec(),
        rows,
    }
}

/// What a step costs, counted, beside the rates that are known. Each method's last counted size is
/// shown.
pub(super) fn complexity(costs: &[StepCosts]) -> Table {
    let headers = [
        "method",
        "evaluations a step",
        "vector passes a step",
        "vectors held",
        "known rate, and for what",
    ];
    let rows = costs
        .iter()
        .filter_map(|costs| {
            let (_, cost) = costs.at.last()?;
            Some(vec![
                costs.label.clone(),
                format!("{:.2}", cost.evaluations),
                format!("{:.1}", cost.passes),
                format!("{:.1}", cost.state),
                known_rate(&costs.label).to_owned(),
            ])
        })
        .collect();
    Table {
        headers: headers.map(str::to_owned).to_vec(),
        rows,
    }
}

/// Published rates; the theorem on FUSE-PV is not available to us.
fn known_rate(method: &str) -> &'static str {
    match method {
        "SGD" => {
            "eps^-4 gradients to a gradient norm of eps, non-convex, optimal for any method with noisy \
             gradients (Arjevani et al., arXiv 1912.02365)"
        }
        "Adam" => {
            "squared gradient norm O(d ln N / N^(1/2)) after N steps, non-convex (Défossez et al., arXiv \
             2003.02395)"
        }
        "L-BFGS" => {
            "R-linear, strongly convex, full batch (Liu and Nocedal 1989); with mini-batches to a noise floor"
        }
        "FUSE-PV before the switch" => "Adam's",
        "FUSE-PV after the switch" => {
            "L-BFGS's; that the whole is below SGD's and Adam's is the paper's claim (arXiv 2503.04204)"
        }
        _ => "–",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::StepCosts;
    use bench_experiment::probe::StepCost;

    #[test]
    fn the_last_size_of_each_method_is_shown() {
        let cost = |passes: f64| StepCost {
            passes,
            evaluations: 1.0,
            state: 2.0,
            mean_state: 2.0,
        };
        let table = complexity(&[StepCosts {
            label: "Adam".into(),
            at: vec![(10, cost(1.0)), (20, cost(7.0))],
            dimension: vec![10, 20],
        }]);
        assert_eq!(table.rows[0][..4], ["Adam", "1.00", "7.0", "2.0"]);
    }
}
