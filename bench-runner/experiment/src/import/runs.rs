//! From a table to runs: what the columns mean, and the checks that every value passes before any is used.

use std::collections::BTreeMap;
use std::path::Path;

use bench_data::sha256;
use bench_data::suggestion::suggestion;
use optim::Counts;

use super::error::ImportError;
use super::table::Table;
use crate::run::{CellId, CurvePoint, Outcome, RunRecord};
use crate::spec::{Experiment, IMPORTED, check_text};
use crate::store::{ImportedFrom, OptimizerInfo, Results};

/// A column of a table of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Whether a table must have it.
    pub required: bool,
    kind: Kind,
}

/// What a column may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A name.
    Text,
    /// A whole number.
    Number,
    /// A whole number that never falls along a run.
    Count,
    /// A number from 0 that never falls along a run.
    Time,
    /// A number.
    Real,
    /// A number from 0.
    Size,
    /// A number from 0 to 1.
    Share,
}

const fn column(name: &'static str, required: bool, kind: Kind) -> Column {
    Column {
        name,
        required,
        kind,
    }
}

/// The columns that are known, in the order in which a row is checked.
pub const COLUMNS: [Column; 17] = [
    column("problem", true, Kind::Text),
    column("optimizer", false, Kind::Text),
    column("seed", true, Kind::Number),
    column("evaluations", true, Kind::Count),
    column("loss_evaluations", false, Kind::Count),
    column("sample_gradients", false, Kind::Count),
    column("step", false, Kind::Count),
    column("epoch", false, Kind::Time),
    column("seconds", false, Kind::Time),
    column("loss", true, Kind::Real),
    column("test_loss", false, Kind::Real),
    column("accuracy", false, Kind::Share),
    column("word_perplexity", false, Kind::Size),
    column("relative_l2", false, Kind::Size),
    column("largest_error", false, Kind::Size),
    column("gradient_norm", false, Kind::Size),
    column("outcome", false, Kind::Text),
];

/// The name that `evaluations` has in `results.parquet`.
const OTHER_NAME: [&str; 2] = ["gradient_evaluations", "evaluations"];

/// The most that a count may be; sums of a few fit into 64 bits, and each is a number of f64.
const LARGEST_COUNT: u64 = 1 << 53;

/// What runs are imported into.
#[derive(Debug)]
pub struct Destination<'a> {
    suite: &'a str,
    problems: Vec<Problem<'a>>,
}

#[derive(Debug)]
struct Problem<'a> {
    label: &'a str,
    budget: u64,
    has_accuracy: bool,
}

impl<'a> From<&'a Results> for Destination<'a> {
    fn from(results: &'a Results) -> Self {
        let problems = results.problems.iter().map(|problem| Problem {
            label: &problem.label,
            budget: problem.budget,
            has_accuracy: problem.has_accuracy,
        });
        Self {
            suite: &results.suite,
            problems: problems.collect(),
        }
    }
}

impl<'a> From<&'a Experiment> for Destination<'a> {
    fn from(experiment: &'a Experiment) -> Self {
        let problems = experiment.problems.iter().map(|entry| Problem {
            label: &entry.label,
            budget: entry.budget,
            has_accuracy: entry.config.has_accuracy(),
        });
        Self {
            suite: &experiment.name,
            problems: problems.collect(),
        }
    }
}

/// What is imported, and what it is called.
#[derive(Debug, Clone, Copy)]
pub struct Import<'a> {
    /// The table, `.csv` or `.parquet`.
    pub file: &'a Path,
    /// The optimizer's name; of several in the table, what stands before their names. Without it the table's own
    /// names are taken.
    pub label: Option<&'a str>,
    /// Its settings in words.
    pub note: Option<&'a str>,
}

impl Import<'_> {
    /// Reads and checks the whole table. The runs carry labels that begin with [`IMPORTED`]; the set has no
    /// problems of its own.
    ///
    /// # Errors
    /// With file, line and column of the first value that cannot be right.
    pub fn read(&self, into: &Destination<'_>) -> Result<Results, ImportError> {
        let table = Table::read(self.file)?;
        let rows = Rows::new(&table)?;
        let labels = self.labels(&rows)?;
        let mut runs: BTreeMap<(usize, usize, u64), Run> = BTreeMap::new();
        for row in 0..table.rows() {
            let problem = rows.problem(row, into)?;
            let name = rows.text(row, "optimizer");
            let optimizer = labels.iter().position(|(own, _)| *own == name);
            let seed = rows.count(row, "seed")?.unwrap_or_default();
            let point = rows.point(row, &into.problems[problem])?;
            let key = (problem, optimizer.unwrap_or_default(), seed);
            let run = runs.entry(key).or_default();
            if let Some((last, _)) = run.points.last() {
                rows.follows(row, *last)?;
            }
            let outcome = rows.has_diverged(row)?;
            if !run.points.is_empty() && outcome != run.has_diverged {
                let reason =
                    "another outcome than in the run's rows before: all of a run say the same";
                return Err(table.error_in(row, Some("outcome"), reason));
            }
            run.has_diverged = outcome;
            run.points.push((row, point));
        }
        let from = ImportedFrom {
            file: self
                .file
                .file_name()
                .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            sha256: sha256(&table.bytes),
        };
        let told = self
            .note
            .map_or_else(String::new, |note| format!("{note}; "));
        let settings = format!("{told}read from {} (SHA-256 {})", from.file, from.sha256);
        Ok(Results {
            suite: into.suite.to_owned(),
            description: String::new(),
            caveats: Vec::new(),
            tuning: None,
            stability: None,
            problems: Vec::new(),
            optimizers: labels
                .iter()
                .map(|(_, label)| OptimizerInfo {
                    label: label.clone(),
                    settings: settings.clone(),
                    variants: Vec::new(),
                    imported: vec![from.clone()],
                })
                .collect(),
            records: runs
                .into_iter()
                .map(|((problem, optimizer, seed), run)| {
                    let problem = into.problems[problem].label.to_owned();
                    run.record(CellId {
                        problem,
                        optimizer: labels[optimizer].1.clone(),
                        seed,
                    })
                })
                .collect(),
        })
    }

    /// The names in the table, in the order in which they come, each with the label of its runs.
    fn labels<'t>(&self, rows: &Rows<'t>) -> Result<Vec<(Option<&'t str>, String)>, ImportError> {
        let mut names: Vec<(usize, Option<&str>)> = Vec::new();
        for row in 0..rows.table.rows() {
            let name = rows.text(row, "optimizer");
            if !names.iter().any(|(_, known)| *known == name) {
                names.push((row, name));
            }
        }
        if let Some((row, _)) = names.iter().find(|(_, name)| name.is_none())
            && (names.len() > 1 || self.label.is_none())
        {
            let reason = "which optimizer made this run? Name it here, or all of them by --label";
            return Err(rows.table.error_in(*row, Some("optimizer"), reason));
        }
        let several = names.len() > 1;
        let labelled = |(row, name): (usize, Option<&'t str>)| {
            let label = match (self.label, name) {
                (Some(label), Some(name)) if several => format!("{label}/{name}"),
                (Some(label), _) => label.to_owned(),
                (None, name) => name.unwrap_or_default().to_owned(),
            };
            check_text(&label).map_err(|reason| match self.label {
                Some(_) => rows.table.error(format!("its label: {reason}")),
                None => rows.table.error_in(row, Some("optimizer"), reason),
            })?;
            Ok((name, format!("{IMPORTED}{label}")))
        };
        names.into_iter().map(labelled).collect()
    }
}

/// A run as it grows: its points, each with its row.
#[derive(Default)]
struct Run {
    has_diverged: bool,
    points: Vec<(usize, CurvePoint)>,
}

impl Run {
    fn record(self, cell: CellId) -> RunRecord {
        let curve: Vec<CurvePoint> = self.points.into_iter().map(|(_, point)| point).collect();
        let last = curve.last().copied();
        let last = last.unwrap_or_else(|| CurvePoint::of_loss(0, f64::NAN));
        let outcome = match self.has_diverged {
            false => Outcome::Completed {
                reason: "imported".into(),
            },
            true => Outcome::Diverged {
                step: last.step,
                value: format!("{} (imported)", last.loss),
            },
        };
        RunRecord {
            counts: Counts {
                loss_evaluations: last.loss_evaluations,
                gradient_evaluations: last.gradient_evaluations,
            },
            seconds: last.seconds,
            curve,
            ..RunRecord::new(cell, outcome)
        }
    }
}

/// The rows of a table whose columns are known.
struct Rows<'t> {
    table: &'t Table,
    /// Where each of [`COLUMNS`] stands.
    places: Vec<Option<usize>>,
}

impl<'t> Rows<'t> {
    /// Finds the columns.
    fn new(table: &'t Table) -> Result<Self, ImportError> {
        let known = || COLUMNS.iter().map(|column| column.name.to_owned());
        let mut places = vec![None; COLUMNS.len()];
        for (at, name) in table.columns.iter().enumerate() {
            let [theirs, ours] = OTHER_NAME;
            let name = if name == theirs { ours } else { name.as_str() };
            let Some(index) = COLUMNS.iter().position(|column| column.name == name) else {
                let known: Vec<String> = known().collect();
                let hint = suggestion(&known, name);
                return Err(table.error(format!("unknown column `{name}`{hint}")));
            };
            if places[index].replace(at).is_some() {
                return Err(table.error(format!("column `{name}` is there twice")));
            }
        }
        let mut missing = COLUMNS.iter().zip(&places);
        if let Some((column, _)) = missing.find(|(column, at)| column.required && at.is_none()) {
            let required = COLUMNS.iter().filter(|column| column.required);
            let required: Vec<&str> = required.map(|column| column.name).collect();
            return Err(table.error(format!(
                "column `{}` is missing; needed are {}",
                column.name,
                required.join(", ")
            )));
        }
        Ok(Self { table, places })
    }

    fn text(&self, row: usize, name: &str) -> Option<&'t str> {
        let index = COLUMNS.iter().position(|column| column.name == name)?;
        self.table.cell(row, self.places[index])
    }

    /// What stands in a row of a column; an error where it must not be empty.
    fn value(&self, row: usize, name: &str) -> Result<Option<(&'t str, Kind)>, ImportError> {
        let text = self.text(row, name);
        let column = COLUMNS.iter().find(|column| column.name == name);
        match (text, column) {
            (None, Some(column)) if column.required => {
                Err(self.wrong(row, name, "is empty, and is needed in every row"))
            }
            (text, column) => Ok(text.zip(column.map(|column| column.kind))),
        }
    }

    fn wrong(&self, row: usize, name: &str, reason: impl Into<String>) -> ImportError {
        self.table.error_in(row, Some(name), reason)
    }

    fn problem(&self, row: usize, into: &Destination<'_>) -> Result<usize, ImportError> {
        let name = self.value(row, "problem")?.map_or("", |(text, _)| text);
        let mut problems = into.problems.iter();
        problems
            .position(|problem| problem.label == name)
            .ok_or_else(|| {
                let known = into.problems.iter().map(|problem| problem.label.to_owned());
                let hint = suggestion(&known.collect::<Vec<_>>(), name);
                let suite = into.suite;
                self.wrong(
                    row,
                    "problem",
                    format!("`{suite}` has no problem `{name}`{hint}"),
                )
            })
    }

    /// A whole number.
    fn count(&self, row: usize, name: &str) -> Result<Option<u64>, ImportError> {
        let Some((text, _)) = self.value(row, name)? else {
            return Ok(None);
        };
        // Where values are missing, pandas writes whole numbers as 3.0.
        let whole = |real: f64| (real.fract() == 0.0 && real >= 0.0).then_some(real as u64);
        let count = text.parse::<u64>().ok();
        let count = count.or_else(|| whole(text.parse().ok()?));
        match count.filter(|count| *count <= LARGEST_COUNT) {
            Some(count) => Ok(Some(count)),
            None => {
                let reason =
                    format!("`{text}`: a whole number from 0 to {LARGEST_COUNT} is needed");
                Err(self.wrong(row, name, reason))
            }
        }
    }

    /// A number that is finite and what its column may hold.
    fn real(&self, row: usize, name: &str) -> Result<Option<f64>, ImportError> {
        let Some((text, kind)) = self.value(row, name)? else {
            return Ok(None);
        };
        let needed = match (kind, text.parse::<f64>()) {
            (_, Err(_)) => "a number is needed",
            (_, Ok(value)) if !value.is_finite() => {
                "a finite number is needed; of a run that diverged, end with the last finite loss and put `diverged` \
                 into the column `outcome` of all its rows"
            }
            (Kind::Share, Ok(value)) if !(0.0..=1.0).contains(&value) => {
                "a share from 0 to 1 is needed, no per cent"
            }
            (Kind::Time | Kind::Size, Ok(value)) if value < 0.0 => {
                "a number that is not below 0 is needed"
            }
            (_, Ok(value)) => return Ok(Some(value)),
        };
        Err(self.wrong(row, name, format!("`{text}`: {needed}")))
    }

    fn has_diverged(&self, row: usize) -> Result<bool, ImportError> {
        match self.text(row, "outcome") {
            None | Some("completed") => Ok(false),
            Some("diverged") => Ok(true),
            Some(other) => {
                let reason = format!("`{other}`: `completed` or `diverged` is needed");
                Err(self.wrong(row, "outcome", reason))
            }
        }
    }

    /// The measurement in a row. What is not told is NaN, or 0 where it is a count.
    fn point(&self, row: usize, problem: &Problem<'_>) -> Result<CurvePoint, ImportError> {
        let evaluations = self.count(row, "evaluations")?.unwrap_or_default();
        let alone = self.count(row, "loss_evaluations")?.unwrap_or_default();
        let (spent, budget) = (evaluations + alone, problem.budget);
        if spent > budget {
            let reason = format!(
                "{spent} evaluations, but the budget of `{}` is {budget}: end the run there",
                problem.label
            );
            return Err(self.wrong(row, "evaluations", reason));
        }
        let accuracy = self.real(row, "accuracy")?;
        if accuracy.is_some() && !problem.has_accuracy {
            let reason = format!("`{}` has no accuracy: leave it empty", problem.label);
            return Err(self.wrong(row, "accuracy", reason));
        }
        Ok(CurvePoint {
            loss_evaluations: alone,
            sample_gradients: self.count(row, "sample_gradients")?,
            step: self.count(row, "step")?.unwrap_or_default(),
            epoch: self.real(row, "epoch")?.unwrap_or(f64::NAN),
            seconds: self.real(row, "seconds")?.unwrap_or(f64::NAN),
            test_loss: self.real(row, "test_loss")?,
            accuracy,
            word_perplexity: self.real(row, "word_perplexity")?,
            relative_l2: self.real(row, "relative_l2")?,
            largest_error: self.real(row, "largest_error")?,
            gradient_norm: self.real(row, "gradient_norm")?,
            ..CurvePoint::of_loss(evaluations, self.real(row, "loss")?.unwrap_or(f64::NAN))
        })
    }

    /// Whether a row comes after another of its run: evaluations grow, and what is counted or timed does not fall and
    /// is told in every row or in none.
    fn follows(&self, row: usize, before: usize) -> Result<(), ImportError> {
        let counted = COLUMNS
            .iter()
            .filter(|column| matches!(column.kind, Kind::Count | Kind::Time));
        for column in counted {
            let name = column.name;
            let [own, other] = [self.real(row, name)?, self.real(before, name)?];
            let (own, other) = match (own, other) {
                (Some(own), Some(other)) => (own, other),
                (None, None) => continue,
                _ => {
                    let reason = "is told in some rows of this run only: fill in all, or none";
                    return Err(self.wrong(row, name, reason));
                }
            };
            if own < other || (own == other && column.required) {
                let needed = if column.required { "more" } else { "no less" };
                let reason = format!(
                    "{own} after {other} in the row before of this run: {needed} than that is needed"
                );
                return Err(self.wrong(row, name, reason));
            }
        }
        Ok(())
    }
}
