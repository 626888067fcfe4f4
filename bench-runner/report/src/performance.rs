//! Tables of the measurements that `scripts/performance.py` keeps: ours beside other ways, as ratios.

use std::collections::BTreeMap;
use std::path::Path;

use bench_stats::quantile;

use crate::error::{Error, Result};
use crate::number::short;
use crate::table::Table;

/// A line of `measurements.tsv`.
struct Measurement {
    round: u32,
    /// Whether our program printed it; its ways other than `ours` are bounds, as the time that moving the bytes takes.
    by_us: bool,
    row: String,
    way: String,
    value: f64,
}

/// The table of one measure of a benchmark, from the folder that holds `measurements.tsv`: for each row our median over
/// the rounds, and for each other way its median and the median, least and largest of the ratios, round by round. Where
/// PyTorch has several ways, the last column is the ratio to the fastest in each round.
///
/// # Errors
/// Where the file cannot be read, has a line of another form, or lacks the measure.
pub(crate) fn table(folder: &Path, benchmark: &str, measure: &str) -> Result<Table> {
    let measurements = read(folder, benchmark, measure)?;
    let mut rows: Vec<&str> = Vec::new();
    let mut ways: Vec<(&str, bool)> = Vec::new();
    for Measurement {
        row, way, by_us, ..
    } in &measurements
    {
        if !rows.contains(&row.as_str()) {
            rows.push(row);
        }
        if way != OURS && !ways.contains(&(way, *by_us)) {
            ways.push((way, *by_us));
        }
    }
    let several = ways.iter().filter(|(_, by_us)| !by_us).count() > 1;
    let unit = match measure {
        "memory" => ", MiB",
        "evaluations" => "",
        "outside" => ", %",
        "jobs" => ", ×",
        _ => ", ms",
    };
    let mut headers = vec![benchmark.replace('_', " "), format!("ours{unit}")];
    for (way, _) in &ways {
        headers.extend([format!("{way}{unit}"), format!("ours / {way}")]);
    }
    if several {
        headers.push("ours / fastest of PyTorch".to_owned());
    }
    let rows = rows.into_iter().map(|row| {
        let values = |wanted: &str, by_us: bool| -> BTreeMap<u32, f64> {
            let of_way = measurements
                .iter()
                .filter(|found| found.row == row && found.way == wanted && found.by_us == by_us);
            of_way.map(|found| (found.round, found.value)).collect()
        };
        let ours = values(OURS, true);
        let mut cells = vec![row.to_owned(), median(ours.values())];
        let mut fastest: BTreeMap<u32, f64> = BTreeMap::new();
        for &(way, by_us) in &ways {
            let theirs = values(way, by_us);
            cells.extend([median(theirs.values()), ratios(&ours, &theirs)]);
            for (&round, &value) in theirs.iter().filter(|_| !by_us) {
                let least = fastest.entry(round).or_insert(value);
                *least = least.min(value);
            }
        }
        if several {
            cells.push(ratios(&ours, &fastest));
        }
        cells
    });
    let rows = rows.collect();
    Ok(Table { headers, rows })
}

/// The way that is ours.
const OURS: &str = "ours";

fn read(folder: &Path, benchmark: &str, measure: &str) -> Result<Vec<Measurement>> {
    let path = folder.join("measurements.tsv");
    let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    let wrong = |line: usize| Error::Measurements {
        path: path.clone(),
        reason: format!(
            "line {line} is no measurement: benchmark, round, side, row, measure, way and value"
        ),
    };
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [of, round, side, row, what, way, value] = cells[..] else {
            return Err(wrong(index + 1));
        };
        if (of, what) != (benchmark, measure) {
            continue;
        }
        let (Ok(round), Ok(value)) = (round.parse(), value.parse()) else {
            return Err(wrong(index + 1));
        };
        found.push(Measurement {
            round,
            by_us: side == OURS,
            row: row.to_owned(),
            way: way.to_owned(),
            value,
        });
    }
    if found.is_empty() {
        let reason = format!("it holds no `{measure}` of `{benchmark}`");
        return Err(Error::Measurements { path, reason });
    }
    Ok(found)
}

fn median<'a>(values: impl Iterator<Item = &'a f64>) -> String {
    let values: Vec<f64> = values.copied().collect();
    short(quantile(&values, 0.5))
}

/// The ratios round by round: their median, and the least and largest where there are several.
fn ratios(ours: &BTreeMap<u32, f64>, theirs: &BTreeMap<u32, f64>) -> String {
    let both = ours
        .iter()
        .filter_map(|(round, ours)| Some(ours / theirs.get(round)?));
    let ratios: Vec<f64> = both.collect();
    match ratios[..] {
        [] => "–".to_owned(),
        [one] => format!("{one:.2}"),
        _ => {
            let [least, middle, most] = [0.0, 0.5, 1.0].map(|level| quantile(&ratios, level));
            format!("{middle:.2} ({least:.2}–{most:.2})")
        }
    }
}

/// What `machines.toml` tells: a line for each machine, with what was measured there and when.
///
/// # Errors
/// Where the file cannot be read or lacks a key.
pub(crate) fn machines(folder: &Path) -> Result<String> {
    let path = folder.join("machines.toml");
    let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    let benchmarks: BTreeMap<String, Circumstances> =
        toml::from_str(&text).map_err(|error| Error::Measurements {
            path,
            reason: error.to_string(),
        })?;
    let mut machines: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, measured) in &benchmarks {
        let machine = format!(
            "{}, {} cores, {}, {}; Rust {}, PyTorch {}; {} threads",
            measured.processor,
            measured.cores,
            measured.memory,
            measured.system,
            measured.rust,
            measured.torch,
            measured.threads,
        );
        machines.entry(machine).or_default().push(format!(
            "{} on {} (load {} as it began)",
            name.replace('_', " "),
            measured.day,
            measured.load
        ));
    }
    let lines = machines
        .iter()
        .map(|(machine, days)| format!("- {machine}: {}.", days.join(", ")));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// When a benchmark was measured, and on which machine.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Circumstances {
    day: String,
    load: f64,
    processor: String,
    cores: u32,
    memory: String,
    system: String,
    rust: String,
    torch: String,
    threads: u32,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn folder(lines: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("benchmark\tround\tside\trow\tmeasure\tway\tvalue\n{lines}");
        std::fs::write(folder.path().join("measurements.tsv"), text).unwrap();
        folder
    }

    #[test]
    fn ratios_are_taken_round_by_round_and_the_fastest_in_each() {
        let mut lines = String::new();
        for (round, [ours, floor, fused, foreach]) in [
            [2.0, 1.0, 4.0, 8.0],
            [3.0, 1.0, 4.0, 2.0],
            [8.0, 4.0, 8.0, 16.0],
        ]
        .into_iter()
        .enumerate()
        {
            for (side, way, value) in [
                ("ours", "ours", ours),
                ("ours", "floor", floor),
                ("theirs", "fused", fused),
                ("theirs", "foreach", foreach),
            ] {
                lines += &format!("first_order\t{round}\t{side}\tAdam\tupdate\t{way}\t{value}\n");
            }
            lines += &format!("lbfgs\t{round}\tours\tAdam\tupdate\tours\t100\n");
        }
        let table = table(folder(&lines).path(), "first_order", "update").unwrap();
        assert_eq!(
            table.headers,
            [
                "first order",
                "ours, ms",
                "floor, ms",
                "ours / floor",
                "fused, ms",
                "ours / fused",
                "foreach, ms",
                "ours / foreach",
                "ours / fastest of PyTorch"
            ]
        );
        // Our 2, 3 and 8 against 4, 2 and 8, the fastest of both.
        let expected = [
            "Adam",
            "3.00",
            "1.00",
            "2.00 (2.00–3.00)",
            "4.00",
            "0.75 (0.50–1.00)",
            "8.00",
            "0.50 (0.25–1.50)",
            "1.00 (0.50–1.50)",
        ];
        assert_eq!(table.rows, [expected]);
    }

    #[test]
    fn lines_of_another_form_and_missing_measures_are_named() {
        let wrong = folder("lbfgs\tone\tours\t1 M\titeration\tours\t3\n");
        let error = table(wrong.path(), "lbfgs", "iteration")
            .unwrap_err()
            .to_string();
        assert!(error.contains("line 2 is no measurement"), "{error}");
        let error = table(wrong.path(), "lbfgs", "memory")
            .unwrap_err()
            .to_string();
        assert!(error.contains("no `memory` of `lbfgs`"), "{error}");
    }

    #[test]
    fn each_machine_is_told_once_with_what_was_measured_there() {
        let folder = tempfile::tempdir().unwrap();
        let circumstances = |benchmark: &str, processor: &str| {
            format!(
                "[{benchmark}]\nday = \"2026-12-01\"\nload = 0.5\nprocessor = \"{processor}\"\ncores = 2\n\
                 memory = \"24 GiB\"\nsystem = \"Linux\"\nrust = \"1\"\ntorch = \"2\"\nthreads = 2\n"
            )
        };
        let text = ["vision A", "first_order B", "lbfgs A"].map(|both| {
            let (benchmark, processor) = both.split_once(' ').unwrap();
            circumstances(benchmark, processor)
        });
        std::fs::write(folder.path().join("machines.toml"), text.concat()).unwrap();
        let on = "on 2026-12-01 (load 0.5 as it began)";
        let rest = "2 cores, 24 GiB, Linux; Rust 1, PyTorch 2; 2 threads";
        assert_eq!(
            machines(folder.path()).unwrap(),
            format!("- A, {rest}: lbfgs {on}, vision {on}.\n- B, {rest}: first order {on}.")
        );
    }
}
