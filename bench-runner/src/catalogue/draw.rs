//! From an entry and what it needs to charts and tables.

use super::{Drawing, Entry, Size, tables};
use crate::figure::{self, Axis, Chart, Curve, Grid, Metric, Point, Series};
use crate::probe::{Landscape, Path, StepCost};
use crate::problem::{FunctionConfig, ProblemConfig};
use crate::report::Table;
use crate::spec::ProblemEntry;
use crate::store::{ProblemInfo, Results};

/// What an entry is drawn from.
#[derive(Debug, Clone)]
pub enum Measured {
    /// The results of its suites, in their order.
    Results(Vec<Results>),
    /// For each problem its entry and the paths of the optimizers.
    Paths(Vec<(ProblemEntry, Vec<Path>)>),
    /// The problem's title and the loss around the network.
    Landscape(String, Landscape),
    /// The counted cost of steps, for each method at each size.
    Costs(Vec<StepCosts>),
}

impl Measured {
    /// What limits the meaning of what is drawn from it.
    pub fn caveats(&self) -> Vec<String> {
        match self {
            Self::Results(sets) => sets.iter().flat_map(|set| set.caveats.clone()).collect(),
            Self::Paths(_) | Self::Landscape(..) | Self::Costs(_) => Vec::new(),
        }
    }
}

/// The counted steps of one method.
#[derive(Debug, Clone, PartialEq)]
pub struct StepCosts {
    /// The method.
    pub label: String,
    /// The size (dimension or history) and the cost there.
    pub at: Vec<(u64, StepCost)>,
    /// The dimension of each, by which passes are multiplied.
    pub dimension: Vec<u64>,
}

/// One file of an entry, but for its format.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// The stem of its files.
    pub name: String,
    /// What it holds.
    pub content: PieceContent,
}

/// A chart or a table.
#[derive(Debug, Clone, PartialEq)]
pub enum PieceContent {
    /// A chart, named as the piece.
    Chart(Chart),
    /// A table and its caption.
    Table(Table, String),
}

impl Entry {
    /// The charts and tables of this entry; empty when the data hold nothing to show, as when no
    /// problem has a target.
    pub fn pieces(&self, measured: &Measured) -> Vec<Piece> {
        match measured {
            Measured::Results(sets) => self.of_results(sets),
            Measured::Paths(problems) => {
                let charts = problems.iter().filter_map(|(problem, paths)| {
                    Some((stem(&problem.label), paths_chart(problem, paths)?))
                });
                self.charts(charts.collect())
            }
            Measured::Landscape(title, landscape) => {
                let grid = Grid {
                    x: landscape.places.clone(),
                    y: landscape.places.clone(),
                    values: landscape.values.clone(),
                };
                let chart = figure::surface("", title, "training loss", grid);
                self.charts(vec![(String::new(), chart)])
            }
            Measured::Costs(costs) => match self.draw {
                Drawing::StepCost { against } => {
                    let chart = cost_chart(&self.about, against, costs);
                    self.charts(vec![(String::new(), chart)])
                }
                _ => self.table(tables::complexity(costs)),
            },
        }
    }

    fn of_results(&self, sets: &[Results]) -> Vec<Piece> {
        let Some(results) = sets.first() else {
            return Vec::new();
        };
        let per_problem =
            |results: &Results, chart: &dyn Fn(&Results, &ProblemInfo) -> Option<Chart>| {
                results
                    .problems
                    .iter()
                    .filter_map(|problem| Some((stem(&problem.label), chart(results, problem)?)))
                    .collect::<Vec<_>>()
            };
        let single = |chart: Option<Chart>| {
            chart
                .map(|chart| (String::new(), chart))
                .into_iter()
                .collect()
        };
        let charts = match &self.draw {
            Drawing::Curves {
                metrics,
                axis,
                problems,
                optimizers,
            } => {
                let results = results.narrowed(problems, optimizers);
                per_problem(&results, &|results, problem| match metrics.as_slice() {
                    [metric] => measured(results, problem, *metric)
                        .then(|| figure::convergence(results, problem, *axis, *metric)),
                    metrics => figure::side_by_side(results, problem, metrics, *axis),
                })
            }
            Drawing::Panels {
                metric,
                axis,
                problems,
                optimizers,
            } => {
                let results = results.narrowed(problems, optimizers);
                let shown: Vec<&ProblemInfo> = results
                    .problems
                    .iter()
                    .filter(|problem| measured(&results, problem, *metric))
                    .collect();
                single(
                    (!shown.is_empty())
                        .then(|| figure::problems_side_by_side(&results, &shown, *axis, *metric)),
                )
            }
            Drawing::Arms {
                metric,
                axis,
                optimizers,
            } => {
                let sets: Vec<Results> = sets
                    .iter()
                    .map(|set| set.narrowed(&[], optimizers))
                    .collect();
                arms(&sets, *axis, *metric)
            }
            Drawing::ToTarget {} => per_problem(results, &figure::evaluations_to_target),
            Drawing::RunTimeDistribution {} => single(figure::run_time_distribution(results)),
            Drawing::PerformanceProfile {} => single(figure::performance_profile(results)),
            Drawing::RankingMap { method } => single(figure::ranking_map(results, method)),
            Drawing::FaultRanks {} => single(figure::fault_ranks(results)),
            Drawing::FaultEffects { method, rival } => {
                let charts = figure::fault_effects(results, method, rival).into_iter();
                charts
                    .map(|chart| {
                        (
                            chart.name.trim_start_matches("fault-effects-").to_owned(),
                            chart,
                        )
                    })
                    .collect()
            }
            Drawing::Sensitivity {} => per_problem(results, &figure::sensitivity),
            Drawing::AccuracyTable {} => return self.table(tables::accuracy(results)),
            Drawing::StepCost { .. }
            | Drawing::Paths { .. }
            | Drawing::Landscape { .. }
            | Drawing::ComplexityTable {} => Vec::new(),
        };
        self.charts(charts)
    }

    fn charts(&self, charts: Vec<(String, Chart)>) -> Vec<Piece> {
        let alone = charts.len() == 1;
        charts
            .into_iter()
            .map(|(suffix, chart)| {
                let name = if alone || suffix.is_empty() {
                    self.id.clone()
                } else {
                    format!("{}-{suffix}", self.id)
                };
                Piece {
                    name: name.clone(),
                    content: PieceContent::Chart(Chart { name, ..chart }),
                }
            })
            .collect()
    }

    fn table(&self, table: Table) -> Vec<Piece> {
        if table.rows.is_empty() {
            return Vec::new();
        }
        vec![Piece {
            name: self.id.clone(),
            content: PieceContent::Table(table, self.about.clone()),
        }]
    }
}

fn stem(label: &str) -> String {
    figure::file_stem(label)
}

fn measured(results: &Results, problem: &ProblemInfo, metric: Metric) -> bool {
    results
        .records
        .iter()
        .filter(|run| run.cell.problem == problem.label)
        .any(|run| run.curve.iter().any(|point| metric.of(point).is_some()))
}

/// For each problem label that all sets have, the curves of each set in a panel of its own.
fn arms(sets: &[Results], axis: Axis, metric: Metric) -> Vec<(String, Chart)> {
    let Some(first) = sets.first() else {
        return Vec::new();
    };
    let Some(joined) = Results::joined(sets.to_vec()) else {
        return Vec::new();
    };
    let labels = first.problems.iter().map(|problem| problem.label.as_str());
    labels
        .filter_map(|label| {
            let panels: Vec<&ProblemInfo> = sets
                .iter()
                .filter_map(|set| {
                    let name = format!("{}/{label}", set.suite);
                    joined.problems.iter().find(|problem| problem.label == name)
                })
                .collect();
            (panels.len() == sets.len()).then(|| {
                (
                    stem(label),
                    figure::problems_side_by_side(&joined, &panels, axis, metric),
                )
            })
        })
        .collect()
}

fn paths_chart(problem: &ProblemEntry, paths: &[Path]) -> Option<Chart> {
    let ProblemConfig::Function(config) = &problem.config else {
        return None;
    };
    let grid = surroundings(config, paths)?;
    let series = paths
        .iter()
        .enumerate()
        .map(|(style, path)| {
            let points: Vec<Point> = path.points.iter().map(|&(x, y)| Point { x, y }).collect();
            Series {
                marks: path
                    .switch
                    .and_then(|at| points.get(at).copied())
                    .into_iter()
                    .collect(),
                ..Series::new(&path.optimizer, style, points)
            }
        })
        .collect();
    Some(figure::trajectories(
        "",
        &problem.config.title(),
        grid,
        series,
    ))
}

/// The function's values around the paths: their bounding box with a margin, not more than ten times
/// the distance that the nearest half of the iterates keeps from the start.
fn surroundings(config: &FunctionConfig, paths: &[Path]) -> Option<Grid> {
    const STEPS: usize = 120;
    const MARGIN: f64 = 0.2;
    let function = config.resolve().ok()?;
    let start = (function.start)(2);
    let axis = |pick: &dyn Fn(&(f64, f64)) -> f64, start: f64| {
        let values: Vec<f64> = paths
            .iter()
            .flat_map(|path| path.points.iter().map(pick))
            .filter(|value| value.is_finite())
            .collect();
        let distances: Vec<f64> = values.iter().map(|value| (value - start).abs()).collect();
        let reach = 10.0 * crate::stats::median(&distances).max(0.1);
        let inside = values
            .iter()
            .filter(|value| (*value - start).abs() <= reach);
        let (low, high) = inside.fold((start, start), |(low, high), &value| {
            (low.min(value), high.max(value))
        });
        let margin = (MARGIN * (high - low)).max(0.2);
        [low - margin, high + margin]
    };
    let (x, y) = (
        axis(&|point| point.0, start[0]),
        axis(&|point| point.1, start[1]),
    );
    Some(Grid::sample(x, y, STEPS, |x, y| {
        (function.evaluate)(&[x, y], &mut [0.0, 0.0])
    }))
}

fn cost_chart(title: &str, against: Size, costs: &[StepCosts]) -> Chart {
    let curves: Vec<Curve> = costs
        .iter()
        .map(|costs| Curve {
            label: costs.label.clone(),
            values: costs
                .at
                .iter()
                .zip(&costs.dimension)
                .map(|(&(size, cost), &dimension)| match against {
                    Size::Dimension => (size as f64, cost.passes * dimension as f64, None),
                    Size::History => (size as f64, cost.passes, None),
                })
                .collect(),
        })
        .collect();
    let (size, unit) = match against {
        Size::Dimension => ("dimension d", "elements read and written"),
        Size::History => ("pairs held m", "passes over vectors of length d"),
    };
    figure::cost("", title, size, unit, &curves)
}
