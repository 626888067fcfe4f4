//! A forest plot: each optimizer against the reference, with its interval.

use bench_analysis::summary::Overview;
use bench_experiment::store::Results;

use super::chart::{AxisScale, Chart, Coordinate, Interval, Intervals, Panel};
use super::convergence::styles_of;
use crate::number;

/// The name of the forest plot.
pub const FOREST: &str = "forest";

/// A width that is read on a phone too.
const WIDTH: u32 = 480;
/// The height of a row, and of what is around the rows.
const HEIGHTS: [u32; 2] = [24, 120];

/// The evaluations that each optimizer of `places` needs for the same losses, as multiples of those of the `reference`:
/// medians over problems with their exact intervals. `None` where none has an interval.
pub fn forest(results: &Results, reference: &str, places: &[&Overview]) -> Option<Chart> {
    let styles = styles_of(results);
    let style = |label: &str| {
        let own = results.optimizers.iter().position(|own| own.label == label);
        own.map_or(0, |index| styles[index])
    };
    let rows: Vec<Interval> = places
        .iter()
        .filter_map(|own| {
            let cost = own.overall.against.as_ref()?.cost?;
            Some(Interval {
                label: own.optimizer.clone(),
                style: style(&own.optimizer),
                estimate: Some(cost.value).filter(|value| !value.is_nan()),
                low: cost.interval.low,
                high: cost.interval.high,
            })
        })
        .collect();
    let level = places.iter().find_map(|own| {
        let cost = own.overall.against.as_ref()?.cost?;
        Some(100.0 * cost.interval.level)
    })?;
    let said: Vec<String> = rows
        .iter()
        .map(|row| {
            let [value, low, high] =
                [row.estimate.unwrap_or(f64::NAN), row.low, row.high].map(number::short);
            format!("{} {value} [{low}, {high}]", row.label)
        })
        .collect();
    let [row, rest] = HEIGHTS;
    Some(Chart {
        name: FOREST.to_owned(),
        title: format!("Evaluations for the same losses, {reference} = 1"),
        caption: format!(
            "Each optimizer’s evaluations for the same losses as a multiple of those of {reference}: the median over \
             problems with its exact interval ({level:.1} %). Left of the dashed line is faster; an interval that \
             crosses it leaves open who is faster."
        ),
        alt: format!(
            "Forest plot of evaluations relative to {reference}: {}.",
            said.join(", ")
        ),
        size: Some([WIDTH, row * rows.len().max(3) as u32 + rest]),
        panels: vec![Panel::Intervals(Intervals {
            title: String::new(),
            // The title says of whose evaluations.
            x: Coordinate::new("ratio of evaluations".to_owned(), AxisScale::Log),
            rows,
            neutral: Some(1.0),
        })],
    })
}
