//! The methods of a suite in the order of its main measure: the evaluations that they need for the same losses, next to
//! those of the reference.

use bench_experiment::store::Results;

use crate::overall::best_tuned;
use crate::pairs::methods;
use crate::summary::Overview;

/// One optimizer for each method, the [best-tuned](best_tuned) of its trials, the method that needs the fewest
/// evaluations first; the reference needs as many as itself. Equal ones, and all where nothing is compared, are in the
/// order of the digits gained.
pub fn leaderboard<'a>(results: &Results, all: &'a [Overview]) -> Vec<&'a Overview> {
    let of_method = |trials: &[_]| {
        let label = best_tuned(results, trials)?;
        all.iter().find(|own| own.optimizer == label)
    };
    let methods = methods(results);
    let mut places: Vec<&Overview> = methods
        .iter()
        .filter_map(|(_, trials)| of_method(trials))
        .collect();
    let cost = |own: &Overview| match &own.overall.against {
        None => 1.0,
        Some(against) => against.cost.map_or(f64::INFINITY, |cost| cost.value),
    };
    let digits = |own: &Overview| own.overall.digits.map_or(0.0, |digits| digits.value);
    places.sort_by(|a, b| {
        let by_cost = cost(a).total_cmp(&cost(b));
        by_cost.then(digits(b).total_cmp(&digits(a)))
    });
    places
}
