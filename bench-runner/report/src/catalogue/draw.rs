//! From an entry and what it needs to charts and tables.

use bench_analysis::{Quantity, counted};
use bench_experiment::probe::{Grid as ProbedGrid, Paths, Solutions};
use bench_experiment::store::{ProblemInfo, Results};

use super::entry::{CostAxis, Drawing, FigureEntry};
use super::source::{FigureSource, Piece, PieceContent, StepCosts};
use super::tables;
use crate::figure::{self, Chart, Curve, Grid, Point, Series};
use crate::name::Names;
use crate::number;
use crate::table::Table;

impl FigureEntry {
    /// The charts and tables of this entry; empty when the data hold nothing to show, as when no
    /// problem has a target.
    pub fn pieces(&self, measured: &FigureSource) -> Vec<Piece> {
        match measured {
            FigureSource::Results(sets) => self.of_results(sets),
            FigureSource::Paths(problems) => {
                let names = Names::new(problems.iter().map(|drawn| drawn.problem.as_str()));
                let charts = problems.iter();
                let charts = charts.map(|drawn| (names.name(&drawn.problem), paths_chart(drawn)));
                self.charts(charts.collect())
            }
            FigureSource::Landscape(title, landscape) => {
                let chart = figure::surface("", title, "training loss", grid(landscape));
                self.charts(vec![(String::new(), chart)])
            }
            FigureSource::Solutions(solutions) => {
                self.charts(vec![(String::new(), solutions_chart(solutions))])
            }
            FigureSource::Costs(costs) => match self.draw {
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
                let names = Names::of_problems(results);
                results
                    .problems
                    .iter()
                    .filter_map(|problem| {
                        Some((names.name(&problem.label), chart(results, problem)?))
                    })
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
                    [metric] => counted::is_measured(results, &problem.label, *metric)
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
                    .filter(|problem| counted::is_measured(&results, &problem.label, *metric))
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
            | Drawing::Solutions { .. }
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

/// For each problem label that all sets have, the curves of each set in a panel of its own.
fn arms(sets: &[Results], axis: Quantity, metric: Quantity) -> Vec<(String, Chart)> {
    let Some(first) = sets.first() else {
        return Vec::new();
    };
    let Some(joined) = Results::joined(sets.to_vec()) else {
        return Vec::new();
    };
    let names = Names::of_problems(first);
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
                    names.name(label),
                    figure::problems_side_by_side(&joined, &panels, axis, metric),
                )
            })
        })
        .collect()
}

fn paths_chart(drawn: &Paths) -> Chart {
    let labels: Vec<&str> = drawn
        .paths
        .iter()
        .map(|path| path.optimizer.as_str())
        .collect();
    let series = drawn
        .paths
        .iter()
        .zip(figure::styles(&labels))
        .map(|(path, style)| {
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
    figure::trajectories("", &drawn.title, grid(&drawn.surroundings), series)
}

fn solutions_chart(drawn: &Solutions) -> Chart {
    let exact = drawn.exact.iter().map(|exact| ("solution", exact));
    let found = drawn.found.iter().map(|(label, u)| (label.as_str(), u));
    let panels = exact.chain(found).map(|(label, u)| (label.into(), grid(u)));
    let budget = number::whole(drawn.budget as f64);
    let title = format!("{}, {budget} evaluations", drawn.title);
    figure::fields("", &title, panels.collect())
}

fn grid(probed: &ProbedGrid) -> Grid {
    Grid {
        x: probed.x.clone(),
        y: probed.y.clone(),
        values: probed.values.clone(),
    }
}

fn cost_chart(title: &str, against: CostAxis, costs: &[StepCosts]) -> Chart {
    let curves: Vec<Curve> = costs
        .iter()
        .map(|costs| Curve {
            label: costs.label.clone(),
            values: costs
                .at
                .iter()
                .zip(&costs.dimension)
                .map(|(&(size, cost), &dimension)| match against {
                    CostAxis::Dimension => (size as f64, cost.passes * dimension as f64, None),
                    CostAxis::History => (size as f64, cost.passes, None),
                })
                .collect(),
        })
        .collect();
    let (size, unit) = match against {
        CostAxis::Dimension => ("dimension d", "elements read and written"),
        CostAxis::History => ("pairs held m", "passes over vectors of length d"),
    };
    figure::cost("", title, size, unit, &curves)
}
