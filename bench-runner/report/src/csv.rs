//! Tables of numbers for other programs, after RFC 4180: one header line, points as decimal marks.

use bench_analysis::summary::{Row, Spread};
use bench_experiment::run::{Outcome, RunRecord};
use bench_experiment::store::Results;
use optim::Phase;

/// One line per problem and optimizer.
pub(super) fn summary(rows: &[Row]) -> String {
    let mut header: Vec<String> = [
        "problem",
        "optimizer",
        "runs",
        "diverged",
        "failed",
        "interrupted",
        "reached_target",
        "reached_first_order",
        "reached_second_order",
        "held_target",
        "unstable",
    ]
    .map(Into::into)
    .to_vec();
    for quantity in [
        "loss",
        "lowest_loss",
        "accuracy",
        "word_perplexity",
        "relative_l2",
        "largest_error",
        "evaluations_to_target",
        "gradient_evaluations",
        "seconds",
    ] {
        for part in ["median", "low", "high", "level"] {
            header.push(format!("{quantity}_{part}"));
        }
    }
    let mut text = line(&header);
    for row in rows {
        let by_phase = |phase: usize| {
            row.reached_by_phase
                .map_or_else(String::new, |counts| counts[phase].to_string())
        };
        let mut cells = vec![
            row.problem.clone(),
            row.optimizer.clone(),
            row.runs.to_string(),
            row.diverged.to_string(),
            row.failed.to_string(),
            row.interrupted.to_string(),
            row.reached.to_string(),
            by_phase(0),
            by_phase(1),
            row.held.to_string(),
            row.unstable.map_or_else(String::new, |it| it.to_string()),
        ];
        for spread in [
            row.loss,
            row.lowest_loss,
            row.accuracy,
            row.word_perplexity,
            row.relative_l2,
            row.largest_error,
            row.to_target,
            row.evaluations,
            row.seconds,
        ] {
            cells.extend(parts(spread));
        }
        text.push_str(&line(&cells));
    }
    text
}

fn parts(spread: Option<Spread>) -> [String; 4] {
    let interval = spread.and_then(|spread| spread.interval);
    [
        spread.map(|spread| spread.median),
        interval.map(|interval| interval.low),
        interval.map(|interval| interval.high),
        interval.map(|interval| interval.level),
    ]
    .map(optional)
}

/// One line per run. What is not known of an imported run is empty, and so is its digest, since it cannot be made again
/// here.
pub(super) fn runs(results: &Results) -> String {
    let mut text = line(
        &[
            "problem",
            "optimizer",
            "seed",
            "outcome",
            "reason",
            "steps",
            "epochs",
            "gradient_evaluations",
            "loss_evaluations",
            "sample_gradients",
            "seconds",
            "loss",
            "test_loss",
            "accuracy",
            "word_perplexity",
            "residual_loss",
            "initial_loss",
            "boundary_loss",
            "relative_l2",
            "largest_error",
            "switches",
            "first_switch_step",
            "lowest_loss",
            "evaluations_to_target",
            "phase_at_target",
            "held_target",
            "digest",
        ]
        .map(Into::into),
    );
    for run in &results.records {
        let last = run.last();
        let is_imported = results.is_imported(run);
        let made_here = |cell: String| if is_imported { String::new() } else { cell };
        let known = |value: &f64| !(is_imported && value.is_nan());
        let problems = results.problems.iter();
        let target = problems
            .filter(|problem| problem.label == run.cell.problem)
            .find_map(|problem| problem.target);
        let reached = target.and_then(|target| run.first_at(target));
        let reason = match &run.outcome {
            Outcome::Completed { reason } | Outcome::Failed { reason } => reason.clone(),
            Outcome::Diverged { step, value } => format!("loss {value} at step {step}"),
            Outcome::Interrupted => String::new(),
        };
        text.push_str(&line(&[
            run.cell.problem.clone(),
            run.cell.optimizer.clone(),
            run.cell.seed.to_string(),
            run.outcome.label().to_owned(),
            reason,
            steps(run).map_or_else(String::new, |steps| steps.to_string()),
            optional(last.map(|last| last.epoch).filter(known)),
            run.counts.gradient_evaluations.to_string(),
            run.counts.loss_evaluations.to_string(),
            last.and_then(|last| last.sample_gradients)
                .map_or_else(String::new, |count| count.to_string()),
            optional(Some(run.seconds).filter(known)),
            optional(last.map(|last| last.loss)),
            optional(last.and_then(|last| last.test_loss)),
            optional(last.and_then(|last| last.accuracy)),
            optional(last.and_then(|last| last.word_perplexity)),
            optional(last.and_then(|last| last.residual_loss)),
            optional(last.and_then(|last| last.initial_loss)),
            optional(last.and_then(|last| last.boundary_loss)),
            optional(last.and_then(|last| last.relative_l2)),
            optional(last.and_then(|last| last.largest_error)),
            made_here(run.switches.len().to_string()),
            run.switches
                .first()
                .map_or_else(String::new, |switch| switch.step.to_string()),
            optional(run.lowest_loss()),
            reached.map_or_else(String::new, |at| at.gradient_evaluations.to_string()),
            made_here(reached.map_or("", |at| phase(at.phase)).to_owned()),
            target.map_or_else(String::new, |target| run.held(target).to_string()),
            made_here(run.digest()),
        ]));
    }
    text
}

/// The steps of a run; `None` where it measured nothing, or was imported without them.
pub(super) fn steps(run: &RunRecord) -> Option<u64> {
    let last = run.last()?;
    (last.step > 0 || last.gradient_evaluations == 0).then_some(last.step)
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::FirstOrder => "first-order",
        Phase::SecondOrder => "second-order",
    }
}

fn optional(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

pub(super) fn line(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
    format!("{}\n", cells.join(","))
}

/// Whether a spreadsheet would take the cell for a formula. Numbers and intervals may begin with a sign.
fn is_formula(cell: &str) -> bool {
    let of_numbers = |c: char| c.is_ascii_digit() || " .,-[]eE%∞".contains(c);
    cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && !cell.chars().all(of_numbers)
}

fn quoted(cell: &str) -> String {
    if is_formula(cell) {
        // An apostrophe before it makes it text.
        return format!("\"'{}\"", cell.replace('"', "\"\""));
    }
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_made_texts_and_numbers_stay() {
        for formula in [
            "=1+1",
            "+cmd|' /C calc'!A0",
            "-1+cmd|x",
            "@SUM(A1)",
            "-2+3",
            "\t=1",
        ] {
            assert_eq!(line(&[formula.into()]), format!("\"'{formula}\"\n"));
        }
        for number in ["-1.5", "-1e-5", "-∞", "-3.0 [-4.0 -2.0]", "–", "a=b"] {
            assert_eq!(line(&[number.into()]), format!("{number}\n"));
        }
    }

    #[test]
    fn separators_and_quotes_are_quoted() {
        assert_eq!(
            line(&["a,b".into(), "say \"x\"".into(), "plain".into()]),
            "\"a,b\",\"say \"\"x\"\"\",plain\n"
        );
    }
}
