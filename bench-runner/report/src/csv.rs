//! Tables of numbers for other programs, after RFC 4180: one header line, points as decimal marks.

use bench_analysis::summary::{Row, Spread};
use bench_experiment::run::Outcome;
use bench_experiment::store::Results;

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
    ]
    .map(Into::into)
    .to_vec();
    for quantity in [
        "loss",
        "accuracy",
        "word_perplexity",
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
        let mut cells = vec![
            row.problem.clone(),
            row.optimizer.clone(),
            row.runs.to_string(),
            row.diverged.to_string(),
            row.failed.to_string(),
            row.interrupted.to_string(),
            row.reached.to_string(),
        ];
        for spread in [
            row.loss,
            row.accuracy,
            row.word_perplexity,
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

/// One line per run.
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
            "seconds",
            "loss",
            "test_loss",
            "accuracy",
            "word_perplexity",
            "switches",
            "first_switch_step",
            "digest",
        ]
        .map(Into::into),
    );
    for run in &results.records {
        let last = run.last();
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
            last.map_or_else(String::new, |last| last.step.to_string()),
            optional(last.map(|last| last.epoch)),
            run.counts.gradient_evaluations.to_string(),
            run.counts.loss_evaluations.to_string(),
            run.seconds.to_string(),
            optional(last.map(|last| last.loss)),
            optional(last.and_then(|last| last.test_loss)),
            optional(last.and_then(|last| last.accuracy)),
            optional(last.and_then(|last| last.word_perplexity)),
            run.switches.len().to_string(),
            run.switches
                .first()
                .map_or_else(String::new, |switch| switch.step.to_string()),
            run.digest(),
        ]));
    }
    text
}

fn optional(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

pub(super) fn line(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
    format!("{}\n", cells.join(","))
}

fn quoted(cell: &str) -> String {
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
    fn separators_and_quotes_are_quoted() {
        assert_eq!(
            line(&["a,b".into(), "say \"x\"".into(), "plain".into()]),
            "\"a,b\",\"say \"\"x\"\"\",plain\n"
        );
    }
}
