//! The comparison of two result sets, for the terminal.

use bench_analysis::comparison::Comparison;
use bench_stats::Interval;

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
    let percent = |level: f64| format!("{:.0} %", 100.0 * level);
    let within = |interval: Option<Interval>| {
        interval.map_or_else(String::new, |interval| {
            let [low, high] = [interval.low, interval.high].map(short);
            format!(" [{low}, {high}] at {}", percent(interval.level))
        })
    };
    let p_value = |p: Option<f64>| p.map_or_else(|| "–".into(), short);
    let overall = comparison.overall.iter().map(|own| {
        vec![
            own.optimizer.clone(),
            own.problems.to_string(),
            own.ratio.map_or_else(
                || "–".into(),
                |ratio| format!("{}{}", short(ratio.value), within(Some(ratio.interval))),
            ),
            p_value(own.p_value),
            own.reading(),
        ]
    });
    let overall = Table {
        headers: ["optimizer", "problems", "second / first", "p", "reading"]
            .map(str::to_string)
            .to_vec(),
        rows: overall.collect(),
    };
    text += "Over problems: geometric mean ratio of final losses; p: two-sided sign-flip test over problems, \
             Holm-corrected.\n\n";
    text += &overall.plain(100);
    let rows = comparison.changes.iter().map(|change| {
        vec![
            change.problem.clone(),
            change.optimizer.clone(),
            change.seeds.to_string(),
            short(change.first),
            short(change.second),
            format!("{}{}", short(change.ratio), within(change.interval)),
            format!("{}/{}", change.identical, change.seeds),
            p_value(change.p_value),
            change.reading(),
        ]
    });
    let table = Table {
        headers: [
            "problem",
            "optimizer",
            "seeds",
            "first",
            "second",
            "second / first",
            "same",
            "p",
            "reading",
        ]
        .map(str::to_string)
        .to_vec(),
        rows: rows.collect(),
    };
    text += "\nProblem by problem: median final losses and the median of their ratios over seeds; `same` counts runs \
             equal in every measured point but for times; p: two-sided sign test over seeds, Holm-corrected.\n\n";
    text + &table.plain(120)
}
