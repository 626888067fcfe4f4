//! Checks against recorded results, for the terminal.

use bench_analysis::reference::{Comparison, Outside};
use bench_analysis::replayed::Replayed;

use crate::number;
use crate::table::Table;

/// What a comparison of recomputed results with committed ones found: in words, and a table of what is outside
/// its tolerance.
pub fn check_text(comparison: &Comparison) -> String {
    let mut text = format!(
        "{} runs identical but for times, {} different, {} in one set only; {} of {} medians \
         within their tolerance\n",
        comparison.identical,
        comparison.different,
        comparison.missing,
        comparison.values - comparison.outside.len(),
        comparison.values
    );
    if !comparison.outside.is_empty() {
        let headers = ["problem", "optimizer", "column", "committed", "recomputed"];
        let rows = comparison.outside.iter().map(|median| {
            let mut row = vec![median.problem.clone(), median.optimizer.clone()];
            row.extend(cells(&median.outside));
            row
        });
        let table = Table {
            headers: headers.map(str::to_owned).to_vec(),
            rows: rows.collect(),
        };
        text += &table.plain(100);
    }
    text
}

/// What a run made again shows.
pub fn replay_text(replayed: &Replayed) -> String {
    let verdict = match (
        replayed.is_identical(),
        replayed.same_processor,
        replayed.outside.is_empty(),
    ) {
        (true, ..) => "the same, bit for bit, but for times",
        (false, true, true) => {
            "not the same bits, though within the tolerances; the processor has the same vector instructions"
        }
        (false, false, true) => {
            "within the tolerances; the record is of a processor with other vector instructions"
        }
        (false, _, false) => "outside the tolerances",
    };
    let outside = replayed.outside.iter().map(|outside| {
        let [column, before, after] = cells(outside);
        format!("  {column}: recorded {before}, now {after}\n")
    });
    format!(
        "recorded {}\nnow      {}\n{verdict}\n{}",
        replayed.recorded,
        replayed.again,
        outside.collect::<String>()
    )
}

fn cells(outside: &Outside) -> [String; 3] {
    let text = |value: Option<f64>| value.map_or_else(|| "–".into(), number::short);
    [
        outside.quantity.column().to_owned(),
        text(outside.before),
        text(outside.after),
    ]
}
