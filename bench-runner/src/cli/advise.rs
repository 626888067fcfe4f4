//! `advise`: which method to take, by what is known of a problem.

use std::io::Write;
use std::path::{Path, PathBuf};

use bench_analysis::decision::{Accuracy, Batch, DecisionTable, Kind};
use bench_data::Library;
use bench_experiment::probe::Geometry;
use bench_experiment::session::Session;
use bench_experiment::spec::{Experiment, method};
use bench_experiment::store::Results;
use bench_report::{Advice, Known, geometry, write_files};
use clap::Parser;

use super::input::{experiment, reports};
use super::options::MOST_THREADS;
use super::session::with_session;
use super::store::DEFAULT as DEFAULT_STORE;
use super::terminal::print;
use crate::error::{Error, Result};

/// The advice of this build, as `--renew` wrote it.
const BUILT_IN: &str = include_str!("../../../reports/reference/advice/advice.json");

/// Where it is committed.
const WRITTEN_TO: &str = "reports/reference/advice";

/// The suites that the table is fitted on.
const FITTED_ON: [&str; 2] = ["map", "auto"];

/// The suites that it is judged on: they share no problem with the others, but `batch` and `held-out` have the data of some.
const JUDGED_ON: [&str; 4] = ["contest", "batch", "smooth", "held-out"];

/// The methods that it decides between: those that all of them have.
const METHODS: [&str; 6] = [
    "adam",
    "adam/cut at 10 %",
    "adam/cosine",
    "fuse-pv/at 10 %",
    "lbfgs",
    "fuse-contest",
];

#[derive(Debug, Parser)]
pub struct Advise {
    /// Measure a problem of this suite or experiment file: its noise and its curvature, where its first optimizer
    /// comes to. What flags say goes before what is measured
    #[arg(
        long,
        value_name = "SUITE|FILE.toml",
        requires = "problem",
        conflicts_with = "renew"
    )]
    measure: Option<String>,
    /// The problem's label
    #[arg(long, value_name = "LABEL", requires = "measure")]
    problem: Option<String>,
    /// Evaluations of loss and gradient for measuring, most of them by the optimizer on its way
    #[arg(
        long,
        value_name = "N",
        requires = "measure",
        default_value_t = 4 * Geometry::EVALUATIONS,
        value_parser = clap::value_parser!(u64).range(Geometry::EVALUATIONS..)
    )]
    evaluations: u64,
    /// What is trained
    #[arg(long, value_name = "KIND", value_parser = Kind::NAMES)]
    kind: Option<String>,
    /// The share of all samples that a step sees, above 0; 1 for all of them
    #[arg(long, value_name = "SHARE", value_parser = share)]
    batch_share: Option<f64>,
    /// Of a convex sum: whether the model can fit all samples
    #[arg(long, value_name = "BOOL")]
    interpolating: Option<bool>,
    /// Of a convex sum: the condition number of the loss near its minimum, at least 1
    #[arg(long, value_name = "NUMBER", value_parser = condition)]
    condition: Option<f64>,
    /// How many digits the loss is to come down towards its lowest value, above 0
    #[arg(long, value_name = "DIGITS", value_parser = digits)]
    digits: Option<f64>,
    /// Fit and judge the table again from its suites, which takes an hour or more, and write it
    #[arg(
        long,
        group = "judging",
        conflicts_with_all = ["kind", "batch_share", "interpolating", "condition", "digits"]
    )]
    renew: bool,
    /// Judge the table on the problems of these suites or experiment files; kinds of problem that they do not have stay as
    /// they were judged
    #[arg(
        long,
        value_name = "SUITE|FILE.toml",
        num_args = 1..,
        group = "judging",
        conflicts_with_all = ["renew", "measure", "kind", "batch_share", "interpolating", "condition", "digits"]
    )]
    judge: Vec<String>,
    /// With --renew and --judge, take suites from these results, reports' folders or results.parquet, and run the others
    #[arg(long, value_name = "RESULTS", requires = "judging")]
    from: Vec<PathBuf>,
    /// Where --renew and --judge write [default: reports/reference/advice, and nowhere]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Where runs are kept, so that none is made twice
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STORE)]
    store: PathBuf,
    /// Threads in all, for --renew and --judge [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MOST_THREADS))]
    pub threads: Option<u16>,
}

/// Answers from the built-in table, or makes it again.
///
/// # Errors
/// When the suites cannot be run or the files not written.
pub fn advise(options: &Advise, library: Library, out: &mut impl Write) -> Result<()> {
    if options.renew {
        return with_session(&options.store, options.threads, library, |session| {
            renew(options, session)
        });
    }
    let advice = Advice::read(BUILT_IN)?;
    if !options.judge.is_empty() {
        return with_session(&options.store, options.threads, library, |session| {
            judge(options, advice, session, out)
        });
    }
    let measured = match (&options.measure, &options.problem) {
        (Some(file), Some(problem)) => Some(measure(options, file, problem, library, out)?),
        _ => None,
    };
    let found = measured.as_ref().map(|(found, _)| found);
    let kind = options.kind.as_deref();
    let kind = kind.or(measured.as_ref().and_then(|(_, kind)| kind.map(Kind::name)));
    let batch_share = options
        .batch_share
        .or(found.map(|found| 1.0 / found.steps_per_epoch as f64));
    // The table asks for the condition number of sums only.
    let condition = found.map(|found| found.condition);
    let condition = condition.filter(|_| kind.is_none_or(|kind| kind == Kind::NAMES[0]));
    let condition = options.condition.or(condition);
    let known = Known {
        kind: Kind::NAMES.into_iter().find(|name| kind == Some(name)),
        batch: batch_share.map(Batch::of_share),
        interpolating: options.interpolating,
        ill_conditioned: condition.map(|condition| condition > 100.0),
        accuracy: options.digits.map(Accuracy::of_digits),
    };
    print(out, &advice.answer(&known))
}

/// Measures a problem where the first of its optimizers comes to, and says what it found.
fn measure(
    options: &Advise,
    file: &str,
    problem: &str,
    library: Library,
    out: &mut impl Write,
) -> Result<(Geometry, Option<Kind>)> {
    let experiment = experiment(file, library.catalogue())?;
    let problem = experiment.problem(problem)?;
    let Some(optimizer) = experiment.optimizers_for(&problem.label).next() else {
        return Err(bench_experiment::Error::Unfit {
            problem: problem.label.clone(),
            needs: "measuring it needs an optimizer that comes to a point",
        }
        .into());
    };
    let warm_up = options.evaluations - Geometry::EVALUATIONS;
    let found = with_session(&options.store, options.threads, library, |session| {
        let environment = session.environment();
        Ok(Geometry::after(problem, optimizer, warm_up, environment)?)
    })?;
    let kind = Kind::of(&problem.config);
    let (problem, optimizer) = (&problem.label, &optimizer.label);
    let place = format!("{problem}, after {warm_up} evaluations of {optimizer} (seed 0):");
    let note = match (kind, &options.kind) {
        (None, None) => "The table has no such problems. It is asked for a convex sum like it.\n",
        _ => "",
    };
    print(out, &format!("{place}\n{}{note}\n", geometry(&found)))?;
    Ok((found, kind))
}

/// Fits and judges the table, and writes it.
fn renew(options: &Advise, session: &Session<'_>) -> Result<()> {
    let suites = FITTED_ON.iter().chain(&JUDGED_ON);
    let suites: Vec<String> = suites.map(ToString::to_string).collect();
    let mut fitted_on = results(options, session, experiments(session, &suites)?)?;
    let judged_on = fitted_on.split_off(FITTED_ON.len());
    let table = DecisionTable::fit(&fitted_on, &METHODS.map(str::to_owned));
    let judged = table.judge(&judged_on)?;
    let advice = Advice {
        fitted_on: FITTED_ON.map(str::to_owned).to_vec(),
        table,
        judged,
    };
    let out = options.out.as_deref();
    write_files(out.unwrap_or(Path::new(WRITTEN_TO)), advice.files()?)?;
    Ok(())
}

/// Judges the table on other problems, says how it did, and writes that where it is asked to.
fn judge(
    options: &Advise,
    mut advice: Advice,
    session: &Session<'_>,
    out: &mut impl Write,
) -> Result<()> {
    let unfit = |value: &str| Error::Flag {
        flag: "judge".to_owned(),
        value: value.to_owned(),
        reason: format!(
            "no problem is in a situation that the table knows and has runs of all its methods, {}",
            advice.table.methods.join(", ")
        ),
    };
    let experiments = experiments(session, &options.judge)?;
    for (name, experiment) in options.judge.iter().zip(&experiments) {
        let labels = experiment.optimizer_labels();
        let own: Vec<String> = labels.into_iter().map(method).collect();
        // Before any run.
        if !advice
            .table
            .methods
            .iter()
            .all(|wanted| own.contains(wanted))
        {
            return Err(unfit(name));
        }
    }
    let judged = advice
        .table
        .judge(&results(options, session, experiments)?)?;
    if judged.is_empty() {
        return Err(unfit(&options.judge.join(" ")));
    }
    advice.extend(judged);
    if let Some(folder) = &options.out {
        write_files(folder, advice.files()?)?;
    }
    print(out, &advice.judgement().markdown())
}

/// Suites by name, and experiment files.
fn experiments(session: &Session<'_>, names: &[String]) -> Result<Vec<Experiment>> {
    let catalogue = session.environment().library.catalogue();
    let experiments = names.iter().map(|name| experiment(name, catalogue));
    experiments.collect()
}

/// The results of these experiments: those that `--from` names, or else completed ones.
fn results(
    options: &Advise,
    session: &Session<'_>,
    experiments: Vec<Experiment>,
) -> Result<Vec<Results>> {
    let names: Vec<&str> = experiments.iter().map(|own| own.name.as_str()).collect();
    let mut known = reports(&options.from, &names)?;
    let results = experiments
        .into_iter()
        .map(|own| match known.remove(&own.name) {
            Some(results) => Ok(results),
            None => Ok(session.suite(own)?.results),
        });
    results.collect()
}

fn share(text: &str) -> std::result::Result<f64, String> {
    number(text, "a share above 0 and at most 1", |share| {
        share > 0.0 && share <= 1.0
    })
}

fn condition(text: &str) -> std::result::Result<f64, String> {
    number(text, "a number of at least 1", |condition| condition >= 1.0)
}

fn digits(text: &str) -> std::result::Result<f64, String> {
    number(text, "a number above 0", |digits| digits > 0.0)
}

fn number(text: &str, right: &str, fits: impl Fn(f64) -> bool) -> std::result::Result<f64, String> {
    let number = text.parse().ok().filter(|number| fits(*number));
    number.ok_or_else(|| format!("expected {right}"))
}
