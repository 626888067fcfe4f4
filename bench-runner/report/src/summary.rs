//! The tables of a report.

use bench_analysis::overall::{Against, Lead};
use bench_analysis::summary::{Row, Spread};
use bench_analysis::switching::Effect;
use bench_experiment::spec::JudgedBy;
use bench_experiment::store::{ProblemInfo, Results, TuningSummary};
use bench_stats::Estimate;

use crate::headline::Headline;
use crate::number;
use crate::table::Table;

/// A median with its interval.
fn spread_text(spread: Spread, number: fn(f64) -> String) -> String {
    match spread.interval {
        Some(interval) if interval.low == interval.high => number(spread.median),
        Some(interval) => format!(
            "{} [{}, {}]",
            number(spread.median),
            number(interval.low),
            number(interval.high)
        ),
        None => number(spread.median),
    }
}

/// An estimate with its interval.
fn estimate_text(estimate: Option<Estimate>, number: fn(f64) -> String) -> String {
    estimate.map_or_else(
        || "–".to_owned(),
        |Estimate { value, interval }| {
            let [low, high] = [interval.low, interval.high].map(number);
            format!("{} [{low}, {high}]", number(value))
        },
    )
}

/// Two decimals, without the sign of a zero.
fn hundredths(value: f64) -> String {
    format!("{:.2}", if value.abs() < 0.005 { 0.0 } else { value })
}

/// What stands in a cell of what is not there.
fn or_dash<T>(value: Option<T>, text: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), text)
}

/// The methods in the order of the main measure, with what is needed to judge them.
pub(super) fn leaderboard(headline: &Headline<'_>) -> Table {
    let reference = headline.reference.unwrap_or("no Adam");
    let headers = [
        "optimizer".to_owned(),
        format!("evaluations / {reference}"),
        "won / tied / lost".to_owned(),
        "sure?".to_owned(),
        "p".to_owned(),
        "digits gained".to_owned(),
        "time per evaluation".to_owned(),
        "diverged or failed".to_owned(),
    ];
    let rows = headline.places().into_iter().map(|own| {
        let against = own.overall.against.as_ref();
        vec![
            own.optimizer.clone(),
            match (against, headline.reference) {
                (None, Some(_)) => "1".to_owned(),
                _ => estimate_text(against.and_then(|own| own.cost), number::short),
            },
            or_dash(against, |own| own.tally.to_string()),
            or_dash(against, |own| lead(own.lead()).to_owned()),
            or_dash(against.and_then(|own| own.sign_p_value), number::short),
            estimate_text(own.overall.digits, hundredths),
            or_dash(against, |own| number::short(own.seconds)),
            format!("{}/{}", own.lost, own.runs),
        ]
    });
    Table {
        rows: rows.collect(),
        headers: headers.to_vec(),
    }
}

fn lead(lead: Lead) -> &'static str {
    match lead {
        Lead::TooFew => "too few",
        Lead::Unsure => "not sure",
        Lead::Ahead => "ahead",
        Lead::Level => "level",
        Lead::Behind => "behind",
    }
}

/// What switches of phase did; `None` where no optimizer can switch.
pub(super) fn switching(headline: &Headline<'_>) -> Option<Table> {
    let reference = headline.reference.unwrap_or("no Adam");
    let headers = [
        "optimizer".to_owned(),
        "runs that switched".to_owned(),
        "at, % of the evaluations".to_owned(),
        format!("lower / equal / higher loss than {reference} where it did"),
        format!("final loss / {reference} where it did"),
        "runs equal to one without a switch".to_owned(),
    ];
    let rows = headline.switching.iter().map(|own| {
        let effect: Option<&Effect> = own.effect.as_ref();
        vec![
            own.optimizer.clone(),
            format!("{}/{}", own.switched, own.runs),
            number::short(100.0 * own.at),
            or_dash(effect, |own| {
                let [lower, equal, higher] = own.problems;
                format!("{lower} / {equal} / {higher}")
            }),
            estimate_text(effect.and_then(|own| own.ratio), number::short),
            own.unswitched.to_string(),
        ]
    });
    (!headline.switching.is_empty()).then(|| Table {
        rows: rows.collect(),
        headers: headers.to_vec(),
    })
}

/// The heading of the overview in Markdown.
pub(super) const OVERVIEW: &str = "## All problems";

/// The overview of the optimizers over all problems.
pub(super) fn overview(headline: &Headline<'_>) -> Table {
    let reference = headline.reference.unwrap_or("no Adam");
    let headers = [
        "optimizer".to_owned(),
        "digits gained".to_owned(),
        format!("won / tied / lost against {reference}"),
        format!("probability of a lower loss than {reference}"),
        format!("final loss / that of {reference}"),
        "p".to_owned(),
        "mean rank by final loss".to_owned(),
        "problems".to_owned(),
        "lowest loss on".to_owned(),
        "runs that reached the target".to_owned(),
        "runs at the target at their end".to_owned(),
        "runs that diverged or failed".to_owned(),
        "training time (s)".to_owned(),
    ];
    let rows = headline.overview.iter().map(|own| {
        let against: Option<&Against> = own.overall.against.as_ref();
        vec![
            own.optimizer.clone(),
            estimate_text(own.overall.digits, hundredths),
            or_dash(against, |own| own.tally.to_string()),
            estimate_text(against.and_then(|own| own.improvement), hundredths),
            estimate_text(against.and_then(|own| own.ratio), number::short),
            or_dash(against.and_then(|own| own.p_value), number::short),
            format!("{:.2}", own.mean_rank),
            own.problems.to_string(),
            own.best.to_string(),
            format!("{}/{}", own.reached, own.with_target),
            format!("{}/{}", own.held, own.with_target),
            format!("{}/{}", own.lost, own.runs),
            number::short(own.seconds),
        ]
    });
    Table {
        rows: rows.collect(),
        headers: headers.to_vec(),
    }
}

/// What is measured on some problems only: a column, with its name where there is less room.
pub(super) struct Measured {
    pub(super) title: &'static str,
    pub(super) short_title: &'static str,
    pub(super) of: fn(&Row) -> Option<Spread>,
}

const MEASURED: [Measured; 2] = [
    Measured {
        title: "perplexity per word",
        short_title: "per word",
        of: |row| row.word_perplexity,
    },
    Measured {
        title: "relative L2 error",
        short_title: "L2 error",
        of: |row| row.relative_l2,
    },
];

/// What any optimizer has measured on `problem`.
pub(super) fn measured(rows: &[Row], problem: &ProblemInfo) -> Vec<&'static Measured> {
    let own = || rows.iter().filter(|row| row.problem == problem.label);
    MEASURED
        .iter()
        .filter(|column| own().any(|row| (column.of)(row).is_some()))
        .collect()
}

/// What counts as solved, in words.
pub(super) fn goal(problem: &ProblemInfo) -> String {
    let budget = number::whole(problem.budget as f64);
    match problem.target {
        Some(target) => format!(
            "Target: a loss of at most {}. Budget: {budget} evaluations.",
            number::exact(target)
        ),
        None => format!("No target. Budget: {budget} evaluations."),
    }
}

/// The summary of one problem as a table.
pub(super) fn table(rows: &[Row], problem: &ProblemInfo) -> Table {
    let mut headers = vec!["optimizer", "final loss", "lowest loss"];
    if problem.has_accuracy {
        headers.push("test accuracy");
    }
    let measured = measured(rows, problem);
    headers.extend(measured.iter().map(|column| column.title));
    if problem.target.is_some() {
        headers.extend(["evaluations to target", "reached", "by phase", "held"]);
    }
    headers.extend(["gradient evaluations", "time (s)", "diverged"]);
    let has_switches = rows
        .iter()
        .any(|row| row.problem == problem.label && row.switched.is_some());
    if has_switches {
        headers.push("switched");
    }
    let has_stability = has_stability(rows, problem);
    if has_stability {
        headers.push("stable");
    }
    let text = |spread: &Option<Spread>, number: fn(f64) -> String| {
        spread.map_or_else(|| "–".to_owned(), |spread| spread_text(spread, number))
    };
    let rows = rows
        .iter()
        .filter(|row| row.problem == problem.label)
        .map(|row| {
            let mut cells = vec![
                row.optimizer.clone(),
                text(&row.loss, number::short),
                text(&row.lowest_loss, number::short),
            ];
            if problem.has_accuracy {
                cells.push(text(&row.accuracy, number::percent));
            }
            for column in &measured {
                cells.push(text(&(column.of)(row), number::short));
            }
            if problem.target.is_some() {
                cells.push(text(&row.to_target, number::whole));
                cells.push(format!("{}/{}", row.reached, row.runs));
                cells.push(or_dash(row.reached_by_phase, |[first, second]| {
                    format!("{first} + {second}")
                }));
                cells.push(format!("{}/{}", row.held, row.runs));
            }
            cells.push(
                row.evaluations
                    .map_or_else(|| "–".to_owned(), |spread| number::whole(spread.median)),
            );
            cells.push(
                row.seconds
                    .map_or_else(|| "–".to_owned(), |spread| number::short(spread.median)),
            );
            cells.push(unfinished(row));
            if has_switches {
                cells.push(switched(row));
            }
            if has_stability {
                cells.push(stable(row));
            }
            cells
        })
        .collect();
    Table {
        headers: headers.into_iter().map(str::to_owned).collect(),
        rows,
    }
}

/// How many runs switched, or what all of them are as none did.
fn switched(row: &Row) -> String {
    match &row.unswitched_of {
        Some(other) => format!("never: is {other}"),
        None => or_dash(row.switched, |count| format!("{count}/{}", row.runs)),
    }
}

/// Whether runs on `problem` were repeated from starts that differ by rounding.
pub(super) fn has_stability(rows: &[Row], problem: &ProblemInfo) -> bool {
    let mut own = rows.iter().filter(|row| row.problem == problem.label);
    own.any(|row| row.unstable.is_some())
}

/// Whether runs from starts that differ by rounding end no further apart, beyond chance, than those of different seeds.
pub(super) fn stable(row: &Row) -> String {
    match row.unstable {
        Some(true) => "no".into(),
        Some(false) => "yes".into(),
        None => "–".into(),
    }
}

/// The choices of settings: problem, optimizer, what was chosen, how many trials there were, and each of
/// them with what it was judged by. Empty where nothing was chosen.
pub(super) fn choices(results: &Results) -> Vec<[String; 5]> {
    let choices = results.tuning.iter().flat_map(|tuning| &tuning.choices);
    choices
        .map(|choice| {
            let trials: Vec<String> = choice
                .trials
                .iter()
                .map(|(setting, loss)| {
                    format!(
                        "{setting}: {}",
                        number::short(loss.unwrap_or(f64::INFINITY))
                    )
                })
                .collect();
            [
                choice.problem.clone(),
                choice.optimizer.clone(),
                match choice.at_edge.as_slice() {
                    [] => choice.setting.clone(),
                    _ => format!("{}, at the edge", choice.setting),
                },
                choice.trials.len().to_string(),
                trials.join("; "),
            ]
        })
        .collect()
}

/// What choosing the settings took.
pub(super) fn effort(tuning: &TuningSummary) -> String {
    let edges = tuning.choices.iter().filter(|it| !it.at_edge.is_empty());
    let edges = match edges.count() {
        0 => String::new(),
        count => format!(
            " Of {} choices, {count} are at the edge of what was tried: the best may lie beyond.",
            tuning.choices.len()
        ),
    };
    format!(
        "Settings were chosen with seeds of their own, by {}: {} runs, {} evaluations, {} s of training beside those \
         reported.{edges}",
        match tuning.by {
            JudgedBy::Loss => "the final training loss",
            JudgedBy::TestLoss => "the final loss on training data held out for it",
        },
        number::whole(tuning.runs as f64),
        number::whole(tuning.evaluations as f64),
        number::short(tuning.seconds)
    )
}

/// How many runs did not complete, by kind.
pub(super) fn unfinished(row: &Row) -> String {
    let mut text = format!("{}/{}", row.diverged, row.runs);
    if row.failed > 0 {
        text.push_str(&format!(" + {} failed", row.failed));
    }
    if row.interrupted > 0 {
        text.push_str(&format!(" + {} interrupted", row.interrupted));
    }
    text
}
