//! The comparison of two result sets, for the terminal.

use bench_analysis::comparison::Comparison;

use crate::number::short;
use crate::table::Table;

/// A comparison of result sets with these names, as text.
pub fn comparison_text([first, second]: [&str; 2], comparison: &Comparison) -> String {
    let mut text = format!(
        "{first} and {second}: {} runs in both, {} only in the first, {} only in the second\n",
        comparison.matched, comparison.only_first, comparison.only_second,
    );
    if comparison.changes.is_empty() {
        return text;
    }
    let headers = [
        "problem",
        "optimizer",
        "seeds",
        "first",
        "second",
        "same",
        "p",
        "reading",
    ];
    let rows = comparison.changes.iter().map(|change| {
        vec![
            change.problem.clone(),
            change.optimizer.clone(),
            change.seeds.to_string(),
            short(change.first),
            short(change.second),
            format!("{}/{}", change.identical, change.seeds),
            change.p_value.map_or_else(|| "–".into(), short),
            change.reading().into(),
        ]
    });
    let table = Table {
        headers: headers.map(str::to_string).to_vec(),
        rows: rows.collect(),
    };
    text += "Median final losses; `same` counts runs equal in every measured point but for times; p: \
             two-sided sign test over seeds, Holm-corrected.\n\n";
    text + &table.plain(100)
}
