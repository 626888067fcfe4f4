//! Figures and reports of synthetic results.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::special;
use crate::synthetic;
use bench_analysis::{Quantity, curve};
use bench_experiment::run::{Outcome, RunRecord};
use bench_experiment::spec::JudgedBy;
use bench_experiment::store::{Choice, TuningSummary};
use bench_experiment::store::{Manifest, OptimizerInfo, Records, Results};
use bench_report::figure::{
    self, AxisScale, Chart, Curve, Effect, Format, Grid, Panel, Point, Series,
};
use bench_report::{Finding, Report, terminal_table};
use optim::Phase;

/// Every file below `folder` with its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            for (name, bytes) in files(&path) {
                found.insert(name, bytes);
            }
        } else {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            found.insert(name, std::fs::read(&path).unwrap());
        }
    }
    found
}

/// A function on `steps + 1` places per axis.
fn sampled(x: [f64; 2], y: [f64; 2], steps: usize, f: impl Fn(f64, f64) -> f64) -> Grid {
    let places = |[low, high]: [f64; 2]| -> Vec<f64> {
        let place = |i| low + (high - low) * i as f64 / steps as f64;
        (0..=steps).map(place).collect()
    };
    let (x, y) = (places(x), places(y));
    let row = |&y: &f64| x.iter().map(|&x| f(x, y)).collect();
    let values = y.iter().map(row).collect();
    Grid { x, y, values }
}

/// Writes the whole report.
fn write(
    folder: &Path,
    results: &Results,
    manifest: &Manifest,
) -> bench_report::Result<Vec<PathBuf>> {
    Report::new(results, manifest).write(folder)
}

fn curves(chart: &Chart) -> &figure::Curves {
    match &chart.panels[0] {
        Panel::Curves(curves) => curves,
        other => panic!("not a panel of curves: {other:?}"),
    }
}

fn first_problem(results: &Results) -> Chart {
    figure::convergence(
        results,
        &results.problems[0],
        Quantity::GradientEvaluations,
        Quantity::Loss,
    )
}

/// A PNG's width and height, from its header.
fn png_size(bytes: &[u8]) -> (u32, u32) {
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[test]
fn a_report_is_complete_and_always_the_same() {
    let (results, manifest) = (synthetic::results(3), synthetic::manifest(3));
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    for folder in &folders {
        let paths = write(folder.path(), &results, &manifest).unwrap();
        assert!(paths.iter().all(|path| path.is_file()));
        assert_eq!(paths[0].file_name().unwrap(), "index.html");
        assert_eq!(files(folder.path()).len(), paths.len());
    }
    let [first, second] = folders.map(|folder| files(folder.path()));
    for (name, bytes) in &first {
        assert_eq!(bytes, &second[name], "{name} differs between two writes");
    }
    for problem in &results.problems {
        for axis in Quantity::AXES {
            for extension in ["svg", "png", "pdf"] {
                let name = format!("{}-loss-{}.{extension}", problem.label, axis.name());
                // Functions are no means over samples.
                let drawn = axis != Quantity::SampleGradients || problem.has_accuracy;
                assert_eq!(first.contains_key(&name), drawn, "{name}");
            }
        }
    }
}

#[test]
fn the_page_needs_no_network_and_escapes_its_input() {
    let mut results = synthetic::results(2);
    results.description = "</script><script>alert(1)</script>".into();
    results.optimizers[0].settings = "</script> & <b>".into();
    let folder = tempfile::tempdir().unwrap();
    let findings = [Finding {
        claim: "A <claim>".into(),
        verdict: "holds".into(),
        evidence: "made up".into(),
    }];
    let manifest = synthetic::manifest(2);
    Report {
        findings: &findings,
        ..Report::new(&results, &manifest)
    }
    .write(folder.path())
    .unwrap();
    let page = std::fs::read_to_string(folder.path().join("index.html")).unwrap();
    // Parts of the page itself may be named.
    let elsewhere = page.replace("url(#", "");
    for outside in ["src=\"http", "href=\"http", "@import", "url("] {
        assert!(
            !elsewhere.contains(outside),
            "the page loads something: {outside}"
        );
    }
    assert!(!page.contains("<script>alert"));
    assert!(page.contains("A &lt;claim&gt;"));
    // The two scripts of the page, and one block of data per problem and two in common.
    assert_eq!(
        page.matches("</script>").count(),
        results.problems.len() + 4
    );
}

/// A curve that measures these losses, in the second-order phase from a place on.
fn measured(optimizer: &str, seed: u64, losses: &[f64], second_from: usize) -> RunRecord {
    let mut run = synthetic::run("rosenbrock-20d", optimizer, seed, losses.len() as u64 - 1);
    for (index, (point, &loss)) in run.curve.iter_mut().zip(losses).enumerate() {
        point.loss = loss;
        point.gradient_evaluations = 10 * index as u64;
        point.phase = match index >= second_from {
            true => Phase::SecondOrder,
            false => Phase::FirstOrder,
        };
    }
    run
}

#[test]
fn reports_say_when_targets_were_reached_in_which_phase_and_whether_they_held() {
    let mut results = synthetic::results(1);
    results.problems.truncate(1);
    results.problems[0].target = Some(0.5);
    results
        .optimizers
        .retain(|own| own.label == "fuse-pv/epoch");
    let label = "fuse-pv/epoch";
    results.records = vec![
        // Reached before the switch, and lost after it.
        measured(label, 0, &[4.0, 0.25, 3.0, 2.0], 2),
        // Reached after the switch, and held.
        measured(label, 1, &[4.0, 3.0, 0.5, 0.125], 2),
        // Reached before the switch, lost, and reached again.
        measured(label, 2, &[4.0, 0.25, 3.0, 0.25], 2),
        // Never reached.
        measured(label, 3, &[4.0, 3.0, 2.0, 1.0], 2),
    ]
    .into();
    let rows = bench_analysis::summary::summarize(&results);
    let row = &rows[0];
    assert_eq!((row.runs, row.reached, row.held), (4, 3, 2));
    assert_eq!(row.reached_by_phase, Some([2, 1]));
    // Final losses 0.125, 0.25, 1, 2; lowest ones 0.125, 0.25, 0.25, 1; costs 10, 10, 20, ∞.
    assert_eq!(row.loss.unwrap().median, 0.625);
    assert_eq!(row.lowest_loss.unwrap().median, 0.25);
    assert_eq!(row.to_target.unwrap().median, 15.0);

    let files = Report::new(&results, &synthetic::manifest(4))
        .files()
        .unwrap();
    let text = |name: &str| {
        let mut files = files.iter();
        let (_, bytes) = files.find(|(path, _)| path == Path::new(name)).unwrap();
        String::from_utf8(bytes.clone()).unwrap()
    };
    let columns = |text: &str, names: [&str; 4]| -> Vec<Vec<String>> {
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
        let at = names.map(|name| rows[0].iter().position(|own| *own == name).unwrap());
        let cells = |row: &Vec<&str>| at.iter().map(|&at| row[at].to_owned()).collect();
        rows[1..].iter().map(cells).collect()
    };
    let own = [
        "lowest_loss",
        "evaluations_to_target",
        "phase_at_target",
        "held_target",
    ];
    assert_eq!(
        columns(&text("runs.csv"), own),
        [
            ["0.25", "10", "first-order", "false"],
            ["0.125", "20", "second-order", "true"],
            ["0.25", "10", "first-order", "true"],
            ["1", "", "", "false"],
        ]
    );
    let summed = [
        "reached_target",
        "reached_first_order",
        "reached_second_order",
        "held_target",
    ];
    assert_eq!(
        columns(&text("summary.csv"), summed),
        [["3", "2", "1", "2"]]
    );
    let page = text("index.html").replace("&#x2f;", "/");
    for page in [text("summary.md"), text("summary.tex"), page] {
        for part in ["by phase", "held", "lowest loss", "2 + 1", "3/4", "2/4"] {
            assert!(page.contains(part), "{part} is missing");
        }
    }
    let terminal = terminal_table(&results, 100);
    for part in ["reached", "held", "3/4", "2/4"] {
        assert!(terminal.contains(part), "{part} is missing: {terminal}");
    }
}

#[test]
fn figures_state_targets_in_full_and_ends_as_the_tables_do() {
    let mut results = synthetic::results(3);
    results.problems[0].target = Some(2.7);
    results.problems[1].target = Some(0.012345);
    let charts = |index: usize| {
        let problem = &results.problems[index];
        let axis = Quantity::GradientEvaluations;
        let chart = figure::convergence(&results, problem, axis, Quantity::Loss);
        let steps = figure::evaluations_to_target(&results, problem).unwrap();
        (chart, steps)
    };
    for (index, text) in [(0, "2.70"), (1, "0.012345")] {
        let (chart, steps) = charts(index);
        assert_eq!(curves(&chart).references[0].label, format!("target {text}"));
        assert!(chart.svg().unwrap().contains(&format!("target {text}")));
        assert!(
            format!("{} {}", steps.title, steps.caption).contains(text),
            "{steps:?}"
        );
    }
    // SGD diverges on the quadratic: two of three runs, so that its median is ∞ everywhere.
    let (chart, _) = charts(1);
    let rows = bench_analysis::summary::summarize(&results);
    let row = rows
        .iter()
        .find(|row| row.problem == "quadratic-k1e4" && row.optimizer == "sgd");
    assert_eq!(row.unwrap().loss.unwrap().median, f64::INFINITY);
    assert!(chart.alt.contains("sgd ∞"), "{}", chart.alt);
    // The diamonds of the switches lie on the lines, straight between two points of the log axis.
    let (chart, _) = charts(0);
    let mut marks = 0;
    for series in &curves(&chart).series {
        for mark in &series.marks {
            let after = series
                .points
                .iter()
                .position(|point| point.x >= mark.x)
                .unwrap();
            let (a, b) = (series.points[after.max(1) - 1], series.points[after.max(1)]);
            let share = (mark.x - a.x) / (b.x - a.x);
            let height = a.y.powf(1.0 - share) * b.y.powf(share);
            assert!(
                (mark.y / height - 1.0).abs() < 1e-9,
                "{}: {mark:?}",
                series.label
            );
            marks += 1;
        }
    }
    assert_eq!(marks, 3);
}

#[test]
fn the_names_of_files_are_known_before_they_are_made() {
    let (results, manifest) = (synthetic::results(2), synthetic::manifest(2));
    let report = Report::new(&results, &manifest);
    let made: Vec<PathBuf> = report
        .files()
        .unwrap()
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert_eq!(report.names(), made);
}

#[test]
fn texts() {
    let results = synthetic::results(5);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &results, &synthetic::manifest(5)).unwrap();
    let files = files(folder.path());
    let text = |name: &str| String::from_utf8(files[name].clone()).unwrap();
    insta::assert_snapshot!("summary.md", text("summary.md"));
    insta::assert_snapshot!("summary.tex", text("summary.tex"));
    insta::assert_snapshot!("summary.csv", text("summary.csv"));
    insta::assert_snapshot!("terminal", terminal_table(&results, 80));
}

#[test]
fn the_terminal_table_keeps_its_width() {
    let results = synthetic::results(2);
    for width in [30, 60, 80, 200] {
        for line in terminal_table(&results, width).lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
}

#[test]
fn a_chart_in_full() {
    let mut results = synthetic::results(2);
    results.optimizers.truncate(2);
    insta::assert_snapshot!("convergence.svg", first_problem(&results).svg().unwrap());
}

#[test]
fn files_have_embedded_fonts_and_the_size_asked_for() {
    let chart = first_problem(&synthetic::results(2));
    let svg = chart.svg().unwrap();
    assert!(
        svg.contains(">gradient evaluations</text>"),
        "text is not text"
    );
    assert!(svg.contains("<desc>Line chart of function value"));
    let attribute = |name: &str| -> f64 {
        let (_, rest) = svg.split_once(&format!(" {name}=\"")).unwrap();
        rest.split_once('"').unwrap().0.parse().unwrap()
    };
    let (width, height) = png_size(&chart.render(Format::Png).unwrap());
    assert_eq!(f64::from(width), (2.5 * attribute("width")).round());
    assert_eq!(f64::from(height), (2.5 * attribute("height")).round());
    let pdf = chart.render(Format::Pdf).unwrap();
    assert!(pdf.starts_with(b"%PDF"));
    let contains = |needle: &[u8]| pdf.windows(needle.len()).any(|window| window == needle);
    assert!(contains(b"/FontFile"), "the font is not embedded");
}

#[test]
fn medians_and_quartiles_of_known_curves() {
    // Three constant runs at 1, 10 and 100, all measured at 0 and 100.
    let mut runs: Vec<RunRecord> = (0..3)
        .map(|seed| synthetic::run("p", "adam", seed, 1))
        .collect();
    for (run, value) in runs.iter_mut().zip([1.0, 10.0, 100.0]) {
        for point in &mut run.curve {
            point.loss = value;
        }
    }
    let summary = |runs: &[RunRecord]| {
        let runs: Vec<&RunRecord> = runs.iter().collect();
        curve::summarize(&runs, Quantity::GradientEvaluations, Quantity::Loss, 100)
    };
    for at in summary(&runs) {
        assert_eq!((at.low, at.median, at.high), (5.5, 10.0, 55.0));
    }
    // A run that diverged is worse than all others after its last measurement; one that ended early
    // by its own choice keeps its value.
    runs[0].curve.truncate(1);
    let end = |runs: &[RunRecord]| *summary(runs).last().unwrap();
    assert_eq!(end(&runs).median, 10.0);
    runs[0].outcome = Outcome::Diverged {
        step: 1,
        value: "NaN".into(),
    };
    assert_eq!(end(&runs).median, 100.0);
    assert_eq!(end(&runs).high, f64::INFINITY);
    runs[0].outcome = Outcome::Interrupted;
    assert_eq!(end(&runs).median, 55.0);
}

#[test]
fn values_between_measurements_lie_on_a_straight_line_in_the_logarithm() {
    let mut runs = [
        synthetic::run("p", "adam", 0, 2),
        synthetic::run("p", "adam", 1, 1),
    ];
    let values = [[1e4, 1e2, 1.0].as_slice(), &[1e4, 1.0]];
    for (run, values) in runs.iter_mut().zip(values) {
        for (point, &value) in run.curve.iter_mut().zip(values) {
            point.loss = value;
        }
    }
    let runs: Vec<&RunRecord> = runs.iter().collect();
    let summary = curve::summarize(&runs, Quantity::GradientEvaluations, Quantity::Loss, 100);
    assert_eq!(summary.len(), 3);
    assert!((summary[1].median - 1e2).abs() < 1e-9, "{:?}", summary[1]);
}

#[test]
fn unusual_results_are_drawn_too() {
    let none = Results {
        records: Records::default(),
        ..synthetic::results(1)
    };
    let one_seed = synthetic::results(1);
    let mut diverged = synthetic::results(2);
    for run in &mut diverged.records {
        run.curve.truncate(1);
        run.outcome = Outcome::Diverged {
            step: 1,
            value: "inf".into(),
        };
    }
    let mut negative = synthetic::results(2);
    for point in negative.records.iter_mut().flat_map(|run| &mut run.curve) {
        point.loss -= 50.0;
    }
    let mut empty_curves = synthetic::results(2);
    empty_curves
        .records
        .iter_mut()
        .for_each(|run| run.curve.clear());
    let mut huge = synthetic::results(2);
    for (i, point) in huge
        .records
        .iter_mut()
        .flat_map(|run| &mut run.curve)
        .enumerate()
    {
        point.loss = if i % 2 == 0 { 1e-300 } else { 1e300 };
    }
    let mut not_a_number = synthetic::results(2);
    for point in not_a_number
        .records
        .iter_mut()
        .flat_map(|run| &mut run.curve)
    {
        point.loss = f64::NAN;
    }
    let nothing = Results {
        problems: Vec::new(),
        optimizers: Vec::new(),
        records: Records::default(),
        ..synthetic::results(1)
    };
    for (name, results) in [
        ("no runs", none),
        ("one seed", one_seed),
        ("all diverged", diverged),
        ("negative losses", negative),
        ("empty curves", empty_curves),
        ("huge range", huge),
        ("not a number", not_a_number),
        ("nothing", nothing),
    ] {
        let mut results = results;
        results.problems.truncate(1);
        let folder = tempfile::tempdir().unwrap();
        let written = write(folder.path(), &results, &synthetic::manifest(2));
        assert!(written.is_ok(), "{name}: {written:?}");
        let _ = terminal_table(&results, 80);
        for problem in &results.problems {
            let chart = figure::convergence(
                &results,
                problem,
                Quantity::GradientEvaluations,
                Quantity::Loss,
            );
            assert!(!chart.caption.is_empty() && !chart.alt.is_empty());
            if ["no runs", "empty curves", "not a number"].contains(&name) {
                assert!(chart.svg().unwrap().contains("no data to show"), "{name}");
            }
            if name == "negative losses" {
                assert_eq!(curves(&chart).y.scale, AxisScale::Linear);
            }
        }
    }
}

#[test]
fn many_series_get_a_legend_below() {
    let chart = |count: usize| {
        let mut chart = first_problem(&synthetic::results(1));
        let Panel::Curves(panel) = &mut chart.panels[0] else {
            unreachable!()
        };
        panel.series = (0..count)
            .map(|i| Series::new(format!("series {i}"), i, panel.series[0].points.clone()))
            .collect();
        chart.svg().unwrap()
    };
    for count in [1, 14, 15, 40] {
        let svg = chart(count);
        for i in 0..count {
            assert_eq!(svg.matches(&format!(">series {i}</text>")).count(), 1);
        }
    }
}

#[test]
fn many_curves_become_a_panel_for_each_family() {
    let mut results = synthetic::results(1);
    let template = results.optimizers[0].clone();
    for family in ["late", "epoch"] {
        for at in [1, 2, 5, 10] {
            let label = format!("{family}-{at}");
            let problem = &results.problems[0].label;
            results.records.push(synthetic::run(problem, &label, 0, 50));
            results.optimizers.push(OptimizerInfo {
                label,
                ..template.clone()
            });
        }
    }
    let chart = first_problem(&results);
    let panels: Vec<&figure::Curves> = chart
        .panels
        .iter()
        .map(|panel| match panel {
            Panel::Curves(curves) => curves,
            _ => unreachable!(),
        })
        .collect();
    let shown = panels.iter().map(|panel| {
        let counts = (panel.series.len(), panel.context.len());
        (panel.title.as_str(), counts)
    });
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            ("fuse-pv", (3, 11)),
            ("late", (4, 10)),
            ("epoch", (4, 10)),
            ("others", (3, 11))
        ]
    );
    let svg = chart.svg().unwrap();
    // The grey curves of a panel are one path.
    assert_eq!(svg.matches("#C4C4C4").count(), 4);
    assert_eq!(svg.matches(">epoch-10</text>").count(), 1);
}

#[test]
fn the_share_at_target_is_that_of_the_runs() {
    let results = synthetic::results(4);
    let problem = &results.problems[2];
    let chart = figure::evaluations_to_target(&results, problem).unwrap();
    for series in &curves(&chart).series {
        let runs: Vec<&RunRecord> = results.runs(&problem.label, &series.label).collect();
        let reached = runs
            .iter()
            .filter(|run| run.evaluations_to(problem.target.unwrap()).is_some())
            .count();
        let last = series.points.last().unwrap();
        assert_eq!(
            last.y,
            reached as f64 / runs.len() as f64,
            "{}",
            series.label
        );
    }
}

/// One chart of each kind that is not made of results.
fn other_charts() -> Vec<Chart> {
    let curve = |label: &str, slope: f64| Curve {
        label: label.into(),
        values: (0..6)
            .map(|i| {
                let x = 10f64.powi(i);
                let y = 1e-6 * x.powf(slope);
                (x, y, Some([0.8 * y, 1.3 * y]))
            })
            .collect(),
    };
    let rosenbrock = |x: f64, y: f64| (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2);
    let path = (0..40)
        .map(|i| {
            let x = -1.2 + 2.2 * f64::from(i) / 39.0;
            Point { x, y: x * x }
        })
        .collect();
    let effects: Vec<Effect> = (1..=16)
        .map(|i| {
            let estimate = (f64::from(i) - 6.0) / 4.0;
            Effect {
                label: format!("S{i} a discrepancy"),
                estimate: (i != 15).then_some(estimate),
                interval: [estimate - 0.6, estimate + 0.6],
            }
        })
        .collect();
    vec![
        figure::effects(
            "effects",
            "Effects (synthetic)",
            "change of test accuracy (points)",
            &effects,
        ),
        figure::cost(
            "cost",
            "Cost of a step (synthetic)",
            "dimension d",
            "time per step (s)",
            &[curve("adam", 1.0), curve("lbfgs", 1.0)],
        ),
        figure::trajectories(
            "trajectories",
            "Rosenbrock function (synthetic path)",
            sampled([-2.0, 2.0], [-1.0, 3.0], 80, rosenbrock),
            vec![Series::new("valley", 0, path)],
        ),
        figure::surface(
            "surface",
            "Loss surface (synthetic)",
            "loss",
            sampled([-1.0, 1.0], [-1.0, 1.0], 30, |x, y| {
                x * x + 2.0 * y * y + 0.3 * (6.0 * x).sin()
            }),
        ),
        figure::fields(
            "fields",
            "Convection (synthetic)",
            vec![
                (
                    "solution".into(),
                    sampled([0.0, 1.0], [0.0, 6.0], 12, |t, x| (x - t).sin()),
                ),
                (
                    "a method".into(),
                    sampled([0.0, 1.0], [0.0, 6.0], 12, |t, x| 1.2 * (x - 2.0 * t).sin()),
                ),
            ],
        ),
    ]
}

#[test]
fn charts_of_every_kind_survive_their_own_serialisation_and_every_format() {
    let results = synthetic::results(2);
    let diverging = &results.problems[1];
    let curves = figure::convergence(&results, diverging, Quantity::Seconds, Quantity::Loss);
    let noise = special::noise_grid();
    let faults = special::faults();
    let others = [
        figure::ranking_map(&noise, "fuse-pv").unwrap(),
        figure::sensitivity(&noise, &noise.problems[0]).unwrap(),
        figure::fault_ranks(&faults).unwrap(),
        figure::run_time_distribution(&results).unwrap(),
        figure::fault_effects(&faults, "fuse-pv/as-shipped", "adam").remove(0),
        curves,
    ];
    for chart in other_charts().into_iter().chain(others) {
        let text = serde_json::to_string(&chart).unwrap();
        let back: Chart = serde_json::from_str(&text).unwrap();
        assert_eq!(back, chart);
        for format in [Format::Svg, Format::Png, Format::Pdf] {
            let same = chart.render(format).unwrap() == back.render(format).unwrap();
            assert!(same, "{} as {}", chart.name, format.extension());
        }
    }
}

fn heat(panel: &Panel) -> &figure::Heat {
    match panel {
        Panel::Heat(heat) => heat,
        other => panic!("not a table of cells: {other:?}"),
    }
}

#[test]
fn the_ranking_map_compares_the_best_trials_of_methods() {
    let results = special::noise_grid();
    let chart = figure::ranking_map(&results, "fuse-pv").unwrap();
    // One panel for each dimension; rows are noise, columns condition numbers.
    assert_eq!(chart.panels.len(), 2);
    let panel = heat(&chart.panels[0]);
    assert_eq!((panel.rows.len(), panel.columns.len()), (2, 2));
    let ranks: Vec<Vec<Option<f64>>> = panel
        .cells
        .iter()
        .map(|row| row.iter().map(|cell| cell.value).collect())
        .collect();
    // Without noise FUSE-PV's better trial is ahead, with noise behind; at κ = 10 and noise both end at
    // the same loss.
    assert_eq!(ranks, [[Some(1.0), Some(1.0)], [Some(1.5), Some(2.0)]]);
    assert!(figure::ranking_map(&results, "lbfgs").is_none());
    assert!(figure::ranking_map(&special::faults(), "adam").is_none());
}

#[test]
fn sensitivity_has_a_point_for_each_rate_and_none_where_runs_diverged() {
    let mut results = special::noise_grid();
    let problem = results.problems[0].clone();
    let chart = figure::sensitivity(&results, &problem).unwrap();
    let adam = &curves(&chart).series[0];
    assert_eq!(adam.label, "adam");
    let points: Vec<(f64, f64)> = adam.points.iter().map(|point| (point.x, point.y)).collect();
    assert_eq!(points, [(0.01, 0.2), (0.1, 0.3)]);
    for run in &mut results.records {
        if run.cell.optimizer == "adam/learning_rate=0.1" {
            run.outcome = Outcome::Diverged {
                step: 1,
                value: "inf".into(),
            };
        }
    }
    let chart = figure::sensitivity(&results, &problem).unwrap();
    assert_eq!(curves(&chart).series[0].points[1].y, f64::INFINITY);
}

#[test]
fn effects_of_faults_are_paired_changes_of_the_loss_ratio() {
    let results = special::faults();
    let charts = figure::fault_effects(&results, "fuse-pv/as-shipped", "adam");
    assert_eq!(charts.len(), 1);
    let Panel::Intervals(panel) = &charts[0].panels[0] else {
        panic!("no intervals");
    };
    assert_eq!(panel.rows.len(), 16);
    let row = |id: &str| {
        let found = |row: &&figure::Interval| row.label.split(' ').next() == Some(id);
        panel.rows.iter().find(found).unwrap()
    };
    let near = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-12;
    // With S6 the ratio is a hundredth of what it is without, on both seeds.
    assert!(near(row("S6").estimate, -2.0), "{:?}", row("S6"));
    // The variant with pairs of one batch has twice the loss: carrying them over halves it.
    assert!(
        near(row("S10").estimate, -(2f64.log10())),
        "{:?}",
        row("S10")
    );
    // After as many evaluations as Adam makes in all, the loss is ten times that of equal epochs.
    assert!(near(row("S11").estimate, -1.0), "{:?}", row("S11"));
    for id in ["S1", "S9", "S13", "S16"] {
        assert_eq!(row(id).estimate, None, "{id}");
    }
    let ranks = figure::fault_ranks(&results).unwrap();
    let panel = heat(&ranks.panels[0]);
    assert_eq!(panel.columns, ["none", "S6"]);
    let adam: Vec<Option<f64>> = panel.cells[0].iter().map(|cell| cell.value).collect();
    assert_eq!(adam, [Some(3.0), Some(3.0)]);
}

#[test]
fn metrics_side_by_side_need_measurements_of_all() {
    let results = synthetic::results(2);
    let chart = |problem: usize| {
        let metrics = [Quantity::Loss, Quantity::Accuracy];
        figure::side_by_side(
            &results,
            &results.problems[problem],
            &metrics,
            Quantity::Epoch,
        )
    };
    assert!(chart(0).is_none());
    assert_eq!(chart(2).unwrap().panels.len(), 2);
}

#[test]
fn a_chart_has_the_size_asked_for_or_says_what_it_needs() {
    let mut chart = first_problem(&synthetic::results(2));
    chart.size = Some([640, 400]);
    let svg = chart.svg().unwrap();
    assert!(svg.contains("width=\"640\" height=\"400\""));
    assert_eq!(png_size(&chart.render(Format::Png).unwrap()), (1600, 1000));
    for mut chart in other_charts() {
        chart.size = Some([900, 700]);
        assert!(
            chart
                .svg()
                .unwrap()
                .contains("width=\"900\" height=\"700\""),
            "{}",
            chart.name
        );
    }
    chart.size = Some([100, 100]);
    let error = chart.svg().unwrap_err().to_string();
    let needed: Vec<u32> = error
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .filter(|&number| number >= 100)
        .collect();
    let [.., width, height] = needed[..] else {
        panic!("{error}");
    };
    chart.size = Some([width, height]);
    assert!(chart.svg().is_ok(), "{error}");
}

#[test]
fn the_embedded_fonts_have_the_signs_of_formulas() {
    let picture = |title: &str| {
        let mut chart = first_problem(&synthetic::results(1));
        chart.title = title.into();
        chart.size = Some([640, 400]);
        chart.render(Format::Png).unwrap()
    };
    // A sign that no font has is drawn as the same box, or not at all.
    let signs = ["", "\u{e000}", "‖", "∇", "⁻", "κ", "₂", "≤", "∞"];
    let pictures: Vec<Vec<u8>> = signs.iter().map(|sign| picture(sign)).collect();
    for i in 2..signs.len() {
        for j in 0..i {
            assert!(
                pictures[i] != pictures[j],
                "`{}` looks like `{}`",
                signs[i],
                signs[j]
            );
        }
    }
}

#[test]
fn the_page_lists_discrepancies_and_answers_the_checklist() {
    let mut results = special::faults();
    results.caveats = vec!["A limit of these results.".into()];
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &results, &synthetic::manifest(2)).unwrap();
    let page = std::fs::read_to_string(folder.path().join("index.html")).unwrap();
    for id in 1..=16 {
        assert!(
            page.contains(&format!("<th scope=\"row\">S{id}</th>")),
            "S{id}"
        );
    }
    assert!(page.contains("on in mlp&#x2f;faults=S6"));
    for item in ["Limitations", "Reproducibility", "Error bars", "Compute"] {
        assert!(page.contains(&format!("<dt>{item}</dt>")), "{item}");
    }
    assert!(page.contains("<dd>A limit of these results.</dd>"));
    assert!(!page.contains("Settings that were chosen"));
    // Filters that could not filter anything are left out.
    assert!(page.contains("<legend>Criteria</legend>"));
    assert!(!page.contains("<legend>Arms</legend>"));
}

#[test]
fn the_page_shows_what_was_tried_and_chosen() {
    let mut results = synthetic::results(2);
    results.tuning = Some(TuningSummary {
        by: JudgedBy::Loss,
        runs: 12,
        evaluations: 3400,
        seconds: 5.0,
        choices: vec![Choice {
            problem: results.problems[0].label.clone(),
            optimizer: "adam".into(),
            setting: "learning_rate=0.01".into(),
            at_edge: vec!["learning_rate".into()],
            trials: vec![
                ("learning_rate=0.01".into(), Some(0.5)),
                ("learning_rate=10".into(), None),
            ],
        }],
    });
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &results, &synthetic::manifest(2)).unwrap();
    let page = std::fs::read_to_string(folder.path().join("index.html")).unwrap();
    assert!(page.contains("12 runs, 3,400 evaluations"));
    assert!(page.contains("learning_rate=0.01: 0.500; learning_rate=10: ∞"));
    let summary = std::fs::read_to_string(folder.path().join("summary.md")).unwrap();
    assert!(summary.contains("12 runs, 3,400 evaluations, 5.00 s"));
    assert!(summary.contains(
        "| learning_rate=0.01, at the edge | 2 | learning_rate=0.01: 0.500; learning_rate=10: ∞ |"
    ));
    // Side by side with another suite, its trials keep their problem.
    let other = synthetic::results(1);
    let joined = Results::joined(vec![results, other]).unwrap();
    let choice = &joined.tuning.unwrap().choices[0];
    assert_eq!(choice.problem, "synthetic/rosenbrock-20d");
}

#[test]
fn several_suites_stand_side_by_side_as_arms() {
    let first = synthetic::results(2);
    let mut second = synthetic::results(2);
    second.suite = "other".into();
    for problem in &mut second.problems {
        problem.suite = "other".into();
    }
    let joined = Results::joined(vec![first.clone(), second]).unwrap();
    assert_eq!(joined.problems.len(), 2 * first.problems.len());
    assert_eq!(joined.optimizers.len(), first.optimizers.len());
    assert_eq!(joined.records.len(), 2 * first.records.len());
    let label = format!("other/{}", first.problems[0].label);
    assert_eq!(joined.runs(&label, "adam").count(), 2);
    assert!(joined.optimizers[0].config(&label).is_some());
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &joined, &synthetic::manifest(2)).unwrap();
    let page = std::fs::read_to_string(folder.path().join("index.html")).unwrap();
    assert!(page.contains("<legend>Arms</legend>"));
}

#[test]
fn a_full_page_of_the_size_of_quick_is_below_five_megabytes() {
    let results = synthetic::results(10);
    assert!(results.records.len() >= 168);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &results, &synthetic::manifest(10)).unwrap();
    let size = std::fs::metadata(folder.path().join("index.html"))
        .unwrap()
        .len();
    assert!(size < 5_000_000, "{size} bytes");
}
