//! `figures`: the figures and tables of the catalogue, and the committed reports.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::slice;
use std::time::Instant;

use bench_data::Library;
use bench_experiment::optimizer::OptimizerConfig;
use bench_experiment::probe;
use bench_experiment::session::{Made, Session};
use bench_experiment::spec::{Experiment, Scale, Suite};
use bench_experiment::store::{self, Manifest};
use bench_report::catalogue::{
    CostAxis, Drawing, FigureCatalogue, FigureEntry, FigureSource, Need, StepCosts,
};
use bench_report::figure::Format;
use bench_report::{Drawn, Report, check_text, gallery, write_files};
use clap::{Parser, ValueEnum};

use super::complete;
use super::input::{reports, results_file, scale};
use super::options::MOST_THREADS;
use super::publish::{destination, retire_partial};
use super::session::with_session;
use super::store::DEFAULT as DEFAULT_STORE;
use super::suites::{OfSuite, Suites};
use super::terminal::{open, print, spinner};
use crate::error::{Error, Result};

/// Where the committed reports are.
const REFERENCE: &str = "reports/reference";
/// The page of all figures.
const GALLERY: &str = "index.html";
/// The page of figures that were named: the page of all stays as it is.
const SELECTION: &str = "selection.html";

#[derive(Debug, Parser)]
pub struct Figures {
    /// Figures and tables, or, with --check and --reference, suites [default: all]
    #[arg(value_name = "ID", add = complete::figures())]
    ids: Vec<String>,
    /// File formats of figures
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["svg", "png", "pdf"])]
    format: Vec<FileFormat>,
    /// Width and height of figures in CSS pixels [default: what each needs]
    #[arg(long, value_name = "WxH", value_parser = size)]
    size: Option<[u32; 2]>,
    /// Draw from these results, reports' folders or results.parquet, and run nothing; with --reference, folders of reports that are
    /// taken as they are
    #[arg(long, value_name = "RESULTS")]
    from: Vec<PathBuf>,
    /// Where the files go, with index.html, or selection.html of figures that are named [default: reports/figures]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Another catalogue than the built-in reports/figures.toml
    #[arg(long, value_name = "FILE")]
    catalogue: Option<PathBuf>,
    /// List the ids, and make nothing
    #[arg(long, conflicts_with_all = ["check", "reference"])]
    list: bool,
    /// Make the committed reports in reports/reference anew
    #[arg(long, conflicts_with = "check")]
    reference: bool,
    /// Compare the committed reports with what is drawn and computed now
    #[arg(long)]
    check: bool,
    /// How much of the suites is run; the page of the figures says so
    #[arg(long, value_parser = scale(), default_value = "small", conflicts_with_all = ["check", "reference"])]
    scale: Scale,
    /// With --reference, replace a committed report even by a less complete one
    #[arg(long, requires = "reference")]
    replace: bool,
    /// Open the page of the figures in the browser
    #[arg(long)]
    open: bool,
    /// Where runs are kept, so that none is made twice
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STORE)]
    store: PathBuf,
    /// Threads in all [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MOST_THREADS))]
    pub threads: Option<u16>,
}

/// A file format by its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FileFormat {
    Svg,
    Png,
    Pdf,
}

impl From<FileFormat> for Format {
    fn from(format: FileFormat) -> Self {
        match format {
            FileFormat::Svg => Self::Svg,
            FileFormat::Png => Self::Png,
            FileFormat::Pdf => Self::Pdf,
        }
    }
}

fn size(text: &str) -> Result<[u32; 2], &'static str> {
    let sides = text.split_once('x').and_then(|(width, height)| {
        Some([width.parse::<u32>().ok()?, height.parse::<u32>().ok()?])
    });
    match sides {
        Some(sides) if sides.iter().all(|side| (100..=10_000).contains(side)) => Ok(sides),
        _ => Err("width and height from 100 to 10000, for example 640x400"),
    }
}

/// Makes figures, or makes or checks the committed reports.
///
/// # Errors
/// Whatever ends the command.
pub fn figures(options: &Figures, library: Library, out: &mut impl Write) -> Result<()> {
    let catalogue = match &options.catalogue {
        Some(path) => FigureCatalogue::read(path)?,
        None => FigureCatalogue::built_in()?,
    };
    if options.list {
        let entries = catalogue.select(&options.ids)?;
        let width = entries
            .iter()
            .map(|entry| entry.id.len())
            .max()
            .unwrap_or(0);
        let line = |entry: &&FigureEntry| format!("{:<width$}  {}\n", entry.id, entry.about);
        return print(out, &entries.iter().map(line).collect::<String>());
    }
    with_session(&options.store, options.threads, library, |session| {
        if options.reference || options.check {
            reference(options, &catalogue, session, out)
        } else {
            drawn(options, &catalogue, session, out)
        }
    })
}

/// Draws the figures that are asked for, and what they lack.
fn drawn(
    options: &Figures,
    catalogue: &FigureCatalogue,
    session: &Session<'_>,
    out: &mut impl Write,
) -> Result<()> {
    let entries = catalogue.select(&options.ids)?;
    let folder = options
        .out
        .clone()
        .unwrap_or_else(|| "reports/figures".into());
    let mut suites = suites(options, session)?;
    let mut pages = Vec::new();
    let mut skipped = 0;
    for entry in entries {
        let reason = match measured(options, entry, &mut suites, session)? {
            Drawable::From(measured) => match entry.pieces(&measured) {
                pieces if pieces.is_empty() => "its results hold nothing to show".to_owned(),
                pieces => {
                    pages.push(Drawn {
                        entry,
                        pieces,
                        caveats: measured.caveats(),
                    });
                    continue;
                }
            },
            Drawable::Not(reason) => reason,
        };
        if !options.from.is_empty() && options.ids.is_empty() {
            continue;
        }
        skipped += 1;
        print(out, &format!("skipped {}: {reason}\n", entry.id))?;
    }
    if pages.is_empty() {
        // The page and the figures that may be there stay.
        return Err(match options.ids.is_empty() {
            true => Error::NothingDrawn,
            false => Error::FiguresSkipped { skipped },
        });
    }
    let formats: Vec<Format> = options.format.iter().map(|&format| format.into()).collect();
    // The page that shows them comes first.
    let page = match options.ids.is_empty() {
        true => GALLERY,
        false => SELECTION,
    };
    let files = gallery(page, &pages, &formats, options.size)?;
    let written = write_files(&folder, files)?;
    for path in &written {
        print(out, &format!("{}\n", path.display()))?;
    }
    if !options.ids.is_empty() && skipped > 0 {
        return Err(Error::FiguresSkipped { skipped });
    }
    if options.open
        && let Some(page) = written.first()
    {
        open(page)?;
    }
    Ok(())
}

/// The results of suites: those that `--from` names, or else completed ones.
fn suites<'a>(options: &Figures, session: &'a Session<'a>) -> Result<Suites<'a>> {
    let mut known = BTreeMap::new();
    for path in &options.from {
        let results = store::read_with_imported(&results_file(path))?;
        // A suite at a smaller scale stands for the suite, and so does a part of it.
        let suite = Scale::suite_of(&results.suite).to_owned();
        known.insert(suite, OfSuite::Known(Box::new(results)));
    }
    Ok(Suites {
        session: options.from.is_empty().then_some(session),
        scale: options.scale,
        known,
    })
}

/// What an entry is drawn from, or why it cannot be drawn.
enum Drawable {
    From(FigureSource),
    Not(String),
}

/// Makes, reads or computes what an entry is drawn from.
fn measured(
    options: &Figures,
    entry: &FigureEntry,
    suites: &mut Suites<'_>,
    session: &Session<'_>,
) -> Result<Drawable> {
    match entry.need() {
        Need::Results => {
            let mut sets = Vec::new();
            for suite in &entry.suites {
                match suites.results(suite)? {
                    OfSuite::Known(results) => sets.push((**results).clone()),
                    OfSuite::Missing(reason) => return Ok(Drawable::Not(reason.clone())),
                }
            }
            Ok(Drawable::From(FigureSource::Results(sets)))
        }
        // With results given, nothing is computed but what is named.
        Need::Probe if !options.from.is_empty() && options.ids.is_empty() => Ok(Drawable::Not(
            "it is computed, not drawn from results".into(),
        )),
        Need::Probe => {
            let spinner = spinner(&format!("computing {}", entry.id));
            let measured = computed(entry, options.scale, session);
            spinner.finish_and_clear();
            match measured {
                Ok(measured) => Ok(Drawable::From(measured)),
                Err(error) if error.is_missing_data() => Ok(Drawable::Not(error.to_string())),
                Err(error) => Err(error),
            }
        }
    }
}

/// Computes what results do not hold: paths, landscapes, solutions, counted steps.
fn computed(entry: &FigureEntry, scale: Scale, session: &Session<'_>) -> Result<FigureSource> {
    let environment = session.environment();
    let experiment = || -> Result<Experiment> {
        let suite = entry.suites.first().map_or("", String::as_str);
        let suite = Suite::find(suite)?;
        let experiment = suite.experiment()?;
        Ok(experiment.scaled(scale))
    };
    match &entry.draw {
        Drawing::Paths {
            problems,
            optimizers,
        } => {
            let experiment = experiment()?;
            let seed = experiment.seeds[0];
            let paths = problems.iter().map(|label| {
                let problem = experiment.problem(label)?;
                let optimizers = optimizers
                    .iter()
                    .map(|label| experiment.optimizer(&problem.label, label))
                    .collect::<bench_experiment::Result<Vec<_>>>()?;
                Ok(probe::paths(problem, &optimizers, seed, environment)?)
            });
            Ok(FigureSource::Paths(paths.collect::<Result<_>>()?))
        }
        Drawing::Landscape {
            problem: label,
            optimizer: trained_by,
            radius,
            steps,
        } => {
            let experiment = experiment()?;
            let problem = experiment.problem(label)?;
            let optimizer = experiment.optimizer(label, trained_by)?;
            let seed = experiment.seeds[0];
            let landscape =
                probe::landscape(problem, optimizer, seed, environment, *radius, *steps)?;
            let title = format!("{} after {trained_by}", problem.config.title());
            Ok(FigureSource::Landscape(title, landscape))
        }
        Drawing::Solutions {
            problem: label,
            optimizers,
            steps,
        } => {
            let experiment = experiment()?;
            let problem = experiment.problem(label)?;
            let optimizers = optimizers
                .iter()
                .map(|trained_by| experiment.optimizer(label, trained_by))
                .collect::<bench_experiment::Result<Vec<_>>>()?;
            let seed = experiment.seeds[0];
            let solutions = probe::solutions(problem, &optimizers, seed, environment, *steps)?;
            Ok(FigureSource::Solutions(solutions))
        }
        Drawing::StepCost { against } => costs(*against).map(FigureSource::Costs),
        _ => costs(CostAxis::Dimension).map(FigureSource::Costs),
    }
}

/// The counted cost of a step of each method, over the dimension at 10 pairs, or over the pairs held at
/// 1,000 variables.
fn costs(against: CostAxis) -> Result<Vec<StepCosts>> {
    const DIMENSIONS: [u64; 6] = [10, 30, 100, 300, 1000, 3000];
    const PAIRS: [u64; 6] = [1, 3, 10, 20, 50, 100];
    const VARIABLES: u64 = 1000;
    let lbfgs = |history_size: usize| optim::LbfgsConfig {
        history_size,
        max_iter: 4,
        max_eval: Some(5),
        ..optim::LbfgsConfig::default()
    };
    let fuse = |criterion, history_size| {
        OptimizerConfig::from(optim::FusePvConfig {
            criterion,
            lbfgs: lbfgs(history_size),
            ..optim::FusePvConfig::default()
        })
    };
    let methods = |pairs: usize| {
        [
            ("SGD", optim::SgdConfig::default().into()),
            ("Adam", optim::AdamConfig::default().into()),
            ("L-BFGS", lbfgs(pairs).into()),
            (
                "FUSE-PV before the switch",
                fuse(optim::Criterion::Never, pairs),
            ),
            (
                "FUSE-PV after the switch",
                fuse(optim::Criterion::Immediately, pairs),
            ),
        ]
    };
    let sizes = match against {
        CostAxis::Dimension => DIMENSIONS,
        CostAxis::History => PAIRS,
    };
    let mut all: Vec<StepCosts> = Vec::new();
    for size in sizes {
        let (dimension, pairs) = match against {
            CostAxis::Dimension => (size, 10),
            CostAxis::History => (VARIABLES, size as usize),
        };
        for (index, (label, config)) in methods(pairs).into_iter().enumerate() {
            let cost = probe::step_cost(&config, dimension as usize)?;
            if all.len() <= index {
                all.push(StepCosts {
                    label: label.into(),
                    at: Vec::new(),
                    dimension: Vec::new(),
                });
            }
            all[index].at.push((size, cost));
            all[index].dimension.push(dimension);
        }
    }
    Ok(all)
}

/// Makes the committed reports, or compares them with what is drawn and computed now.
fn reference(
    options: &Figures,
    catalogue: &FigureCatalogue,
    session: &Session<'_>,
    out: &mut impl Write,
) -> Result<()> {
    let reference = &catalogue.reference;
    // Without results there is nothing to compare.
    let summaries = reference.summaries.iter().filter(|_| !options.check);
    let known: Vec<&String> = reference.with_results().chain(summaries).collect();
    if let Some(name) = options.ids.iter().find(|id| !known.contains(id)) {
        return Err(
            bench_experiment::Error::unknown("reference report", name, known.into_iter()).into(),
        );
    }
    let wanted = |suite: &&String| options.ids.is_empty() || options.ids.contains(suite);
    let folder = options.out.clone().unwrap_or_else(|| REFERENCE.into());
    let names: Vec<&str> = known.iter().map(|suite| suite.as_str()).collect();
    let mut checked = options
        .check
        .then(|| suites(options, session))
        .transpose()?;
    let mut given = match &checked {
        Some(_) => BTreeMap::new(),
        None => made_elsewhere(&options.from, &names)?,
    };
    let (mut total, mut differing) = (0, Vec::new());
    for suite in known.into_iter().filter(wanted) {
        total += 1;
        let folder = folder.join(suite);
        if let Some(suites) = &mut checked {
            let (same, text) = check(suites, catalogue, suite, &folder)?;
            print(out, &text)?;
            if !same {
                differing.push(suite.clone());
            }
        } else {
            let started = Instant::now();
            let given = given.remove(suite);
            let is_new = given.is_none();
            let made = match given {
                Some(made) => Ok(made),
                None => session.suite(reference.experiment(suite)?),
            };
            let made = match made.map_err(Error::from) {
                // Of all reports those are made whose data are here.
                Err(error) if error.is_missing_data() && options.ids.is_empty() => {
                    print(out, &format!("{suite}: not made: {error}\n"))?;
                    continue;
                }
                made => made?,
            };
            let failed = made.failed();
            let (results, mut manifest) = (made.results, made.manifest);
            let report = folder;
            let folder = destination(&report, &results, made.planned, options.replace);
            let is_summary = reference.summaries.contains(suite);
            if is_summary && (!manifest.complete || failed == made.planned) {
                let reason = match manifest.complete {
                    true => "all runs failed",
                    false => "runs are missing",
                };
                let text = format!("{suite}: {reason}, so that nothing is written\n");
                print(out, &text)?;
                continue;
            }
            if is_new {
                manifest.wall_seconds = started.elapsed().as_secs_f64();
            }
            // What makes it anywhere: paths of this machine would tell others nothing.
            manifest.command = ["bench-runner", "figures", suite, "--reference"]
                .map(str::to_owned)
                .to_vec();
            let drawn = Report::new(&results, &manifest);
            if is_summary {
                write_files(&folder, drawn.overall_files()?)?;
            } else {
                write_files(&folder, drawn.small_files()?)?;
                store::write(&folder.join("results.parquet"), &results)?;
            }
            manifest.write(&folder.join("manifest.json"))?;
            retire_partial(&report, &results, made.planned)?;
            print(out, &format!("{}\n", folder.display()))?;
        }
    }
    if !differing.is_empty() {
        return Err(Error::ReferenceDiffers { differing, total });
    }
    Ok(())
}

/// What the reports in these folders hold, by suite; each must be of one of these `suites`.
fn made_elsewhere(folders: &[PathBuf], suites: &[&str]) -> Result<BTreeMap<String, Made>> {
    let mut given = BTreeMap::new();
    for folder in folders {
        for (suite, results) in reports(slice::from_ref(folder), suites)? {
            let made = Made {
                planned: results.records.len(),
                results,
                manifest: Manifest::read(&folder.join("manifest.json"))?,
            };
            given.insert(suite, made);
        }
    }
    Ok(given)
}

/// Draws a committed report again from its own results, which must give the same bytes, and compares
/// its results with recomputed ones within the catalogue's tolerances.
fn check(
    suites: &mut Suites<'_>,
    catalogue: &FigureCatalogue,
    suite: &str,
    folder: &Path,
) -> Result<(bool, String)> {
    let results = store::read(&folder.join("results.parquet"))?;
    let manifest = Manifest::read(&folder.join("manifest.json"))?;
    let files = Report::new(&results, &manifest).small_files()?;
    let mut text = String::new();
    let mut same = true;
    for (name, bytes) in &files {
        let path = folder.join(name);
        let verdict = match std::fs::read(&path) {
            Ok(found) if found == *bytes => continue,
            Ok(_) => "differs from what its results give",
            Err(_) => "is missing",
        };
        same = false;
        text += &format!("{}: {verdict}\n", path.display());
    }
    if same {
        text += &format!("{suite}: {} files drawn again, all the same\n", files.len());
    }
    let experiment = || catalogue.reference.experiment(suite);
    let recomputed = match suites.results_of(suite, experiment)? {
        OfSuite::Known(recomputed) => recomputed,
        OfSuite::Missing(reason) => {
            return Ok((false, format!("{text}{suite}: not recomputed: {reason}\n")));
        }
    };
    let comparison = catalogue.reference.compare(&results, recomputed);
    text += &format!("{suite} recomputed: {}", check_text(&comparison));
    // On another architecture sums may be added up in another order; what L-BFGS makes of that has no bound.
    let variants = results.optimizers.iter().flat_map(|it| &it.variants);
    let comparable =
        manifest.has_numbers_of_this_processor(variants.map(|variant| &variant.config));
    if !comparable {
        text += "the reference is of another kind of processor: not judged\n";
    }
    Ok((same && (comparison.holds() || !comparable), text))
}
