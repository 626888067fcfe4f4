//! The summary for the terminal.

use bench_analysis::summary::{Row, Spread, summarize};
use bench_analysis::{Quantity, curve};
use bench_experiment::run::RunRecord;
use bench_experiment::store::{ProblemInfo, Results};

use crate::contents::is_thinned;
use crate::headline::Headline;
use crate::table::Table;
use crate::{number, summary};

/// Characters of a sparkline.
const SPARK: usize = 8;

/// The summary in lines of at most `width` characters: unless there are many problems, for each of them and each
/// optimizer the median final loss, accuracy, perplexity per word, evaluations to the target, runs that reached it and
/// that held it to their end, runs that diverged, and the median loss over gradient evaluations as a sparkline; then
/// the leaderboard and the answer in words.
pub fn terminal_table(results: &Results, width: usize) -> String {
    let rows = summarize(results);
    let headline = Headline::new(results, &rows);
    let mut text = if is_thinned(results) {
        let count = results.problems.len();
        format!("The report has a table for each of the {count} problems.\n")
    } else {
        let problems = results.problems.iter();
        let texts = problems.map(|problem| problem_lines(results, problem, &rows, width));
        texts.collect::<Vec<_>>().join("\n")
    };
    // The answer comes last, where it stays in view.
    let lines = |text: &str| -> String {
        let lines = wrapped(text, width).into_iter();
        lines.map(|line| line + "\n").collect()
    };
    text += &format!("\n{}", lines(&headline.title()));
    if headline.is_comparison() {
        text += &summary::leaderboard(&headline).plain(width);
    }
    for sentence in headline.sentences() {
        text += &lines(&sentence);
    }
    for caveat in &results.caveats {
        text += &lines(&format!("Note: {caveat}"));
    }
    text
}

/// The part of [`terminal_table`] on one problem.
pub(super) fn problem_text(results: &Results, problem: &ProblemInfo, width: usize) -> String {
    problem_lines(results, problem, &summarize(results), width)
}

fn problem_lines(results: &Results, problem: &ProblemInfo, rows: &[Row], width: usize) -> String {
    let goal = format!("{}. {}", problem.title, summary::goal(problem));
    let lines = wrapped(&goal, width).into_iter().map(|line| line + "\n");
    lines.collect::<String>() + &table(results, problem, rows).plain(width)
}

fn table(results: &Results, problem: &ProblemInfo, rows: &[Row]) -> Table {
    let mut headers = vec!["optimizer", "final loss"];
    if problem.has_accuracy {
        headers.push("accuracy");
    }
    let measured = summary::measured(rows, problem);
    headers.extend(measured.iter().map(|column| column.short_title));
    if problem.target.is_some() {
        headers.extend(["to target", "reached", "held"]);
    }
    headers.push("diverged");
    let has_stability = summary::has_stability(rows, problem);
    if has_stability {
        headers.push("stable");
    }
    headers.push("curve");
    let median = |spread: Option<Spread>, number: fn(f64) -> String| {
        spread.map_or_else(|| "–".to_owned(), |spread| number(spread.median))
    };
    let curves: Vec<Vec<f64>> = rows
        .iter()
        .filter(|row| row.problem == problem.label)
        .map(|row| loss_curve(results, row))
        .collect();
    let positive = || {
        curves
            .iter()
            .flatten()
            .copied()
            .filter(|y| *y > 0.0 && y.is_finite())
    };
    let low = positive().fold(f64::INFINITY, f64::min);
    // A curve that diverges must not flatten the others.
    let start = curves
        .iter()
        .filter_map(|curve| curve.first().copied())
        .fold(0.0, f64::max);
    let high = positive().fold(0.0, f64::max).min(10.0 * start);
    let rows = rows
        .iter()
        .filter(|row| row.problem == problem.label)
        .zip(&curves)
        .map(|(row, curve)| {
            let mut cells = vec![row.optimizer.clone(), median(row.loss, number::short)];
            if problem.has_accuracy {
                cells.push(median(row.accuracy, number::percent));
            }
            for column in &measured {
                cells.push(median((column.of)(row), number::short));
            }
            if problem.target.is_some() {
                cells.push(median(row.to_target, number::whole));
                cells.push(format!("{}/{}", row.reached, row.runs));
                cells.push(format!("{}/{}", row.held, row.runs));
            }
            cells.push(summary::unfinished(row));
            if has_stability {
                cells.push(summary::stable(row));
            }
            cells.push(sparkline(curve, low, high));
            cells
        })
        .collect();
    Table {
        headers: headers.into_iter().map(str::to_owned).collect(),
        rows,
    }
}

/// The median loss at [`SPARK`] evenly spaced measurements.
fn loss_curve(results: &Results, row: &Row) -> Vec<f64> {
    let runs: Vec<&RunRecord> = results.runs(&row.problem, &row.optimizer).collect();
    curve::summarize(&runs, Quantity::GradientEvaluations, Quantity::Loss, SPARK)
        .into_iter()
        .map(|at| at.median)
        .collect()
}

/// The values as blocks of eight heights, on a log scale from `low` to `high`;
/// `!` stands for a value that is not finite.
fn sparkline(values: &[f64], low: f64, high: f64) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    values
        .iter()
        .map(|&y| {
            if !y.is_finite() {
                return '!';
            }
            let height = match y {
                _ if low >= high => 0.5,
                y if y > 0.0 => (y / low).ln() / (high / low).ln(),
                _ => 0.0,
            };
            BLOCKS[((height * 7.0).round() as usize).min(7)]
        })
        .collect()
}

/// Breaks `text` between words into lines of at most `width` characters.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparklines_span_the_common_range() {
        assert_eq!(
            sparkline(&[1e4, 1e2, 1.0, f64::INFINITY, 0.0], 1.0, 1e4),
            "█▅▁!▁"
        );
        assert_eq!(sparkline(&[3.0, 3.0], 3.0, 3.0), "▅▅");
    }
}
