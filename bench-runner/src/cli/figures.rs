//! `figures`: the figures and tables of the catalogue, and the committed reports.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};

use super::suites::{Suites, or_reason};
use super::{ablation, print, results_file, spinner, write_files};
use crate::catalogue::{Catalogue, Drawing, Entry, Measured, Need, Size, StepCosts};
use crate::data::Library;
use crate::figure::Format;
use crate::problem::Environment;
use crate::report::{self, Drawn, Report};
use crate::spec::{Experiment, OptimizerConfig, Scale, Suite};
use crate::store::Manifest;
use crate::{Error, Result, probe, spec};

/// Where the committed reports are.
const REFERENCE: &str = "reports/reference";

#[derive(Debug, Parser)]
pub(super) struct Figures {
    /// Figures and tables, or, with --check and --reference, suites [default: all]
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// File formats of figures
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["svg", "png", "pdf"])]
    format: Vec<FileFormat>,
    /// Width and height of figures in CSS pixels [default: what each needs]
    #[arg(long, value_name = "WxH", value_parser = size)]
    size: Option<[u32; 2]>,
    /// Draw from these results, reports' folders or results.parquet, and run nothing
    #[arg(long, value_name = "RESULTS")]
    from: Vec<PathBuf>,
    /// Where the files go [default: reports/figures]
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
    #[arg(long, value_enum, default_value_t = Scale::Small, conflicts_with_all = ["check", "reference"])]
    scale: Scale,
    /// Open the page of the figures in the browser
    #[arg(long)]
    open: bool,
    /// Where runs are kept, so that none is made twice
    #[arg(long, value_name = "DIR", default_value = super::store::DEFAULT)]
    store: PathBuf,
    /// Threads in all [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) threads: Option<u16>,
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

fn size(text: &str) -> Result<[u32; 2], String> {
    let sides = text.split_once('x').and_then(|(width, height)| {
        Some([width.parse::<u32>().ok()?, height.parse::<u32>().ok()?])
    });
    match sides {
        Some(sides) if sides.iter().all(|side| (100..=10_000).contains(side)) => Ok(sides),
        _ => Err("width and height from 100 to 10000, for example 640x400".into()),
    }
}

/// Makes figures, or makes or checks the committed reports.
///
/// # Errors
/// Whatever ends the command.
pub(super) fn figures(
    options: &Figures,
    library: &dyn Fn() -> Result<Library>,
    out: &mut impl Write,
) -> Result<()> {
    let catalogue = match &options.catalogue {
        Some(path) => Catalogue::read(path)?,
        None => Catalogue::built_in()?,
    };
    if options.reference || options.check {
        return reference(options, &catalogue, library, out);
    }
    let entries = catalogue.select(&options.ids)?;
    if options.list {
        let width = entries
            .iter()
            .map(|entry| entry.id.len())
            .max()
            .unwrap_or(0);
        let line = |entry: &&Entry| format!("{:<width$}  {}\n", entry.id, entry.about);
        return print(out, &entries.iter().map(line).collect::<String>());
    }
    let folder = options
        .out
        .clone()
        .unwrap_or_else(|| "reports/figures".into());
    let mut suites = suites(options, library)?;
    let mut pages = Vec::new();
    let mut skipped = 0;
    for entry in entries {
        let reason = match measured(options, entry, &mut suites, library)? {
            Ok(measured) => match entry.pieces(&measured) {
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
            Err(reason) => reason,
        };
        if !options.from.is_empty() && options.ids.is_empty() {
            continue;
        }
        skipped += 1;
        print(out, &format!("skipped {}: {reason}\n", entry.id))?;
    }
    let formats: Vec<Format> = options.format.iter().map(|&format| format.into()).collect();
    // The page that shows them comes first.
    let files = report::gallery(&pages, &formats, options.size)?;
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
        super::open(page)?;
    }
    Ok(())
}

/// The results of suites: those that `--from` names, or else completed ones.
fn suites<'a>(
    options: &'a Figures,
    library: &'a dyn Fn() -> Result<Library>,
) -> Result<Suites<'a>> {
    let mut known = BTreeMap::new();
    for path in &options.from {
        let results = crate::store::read(&results_file(path))?;
        // A suite at a smaller scale stands for the suite.
        known.insert(Scale::suite_of(&results.suite).into(), Ok(results));
    }
    Ok(Suites {
        store: &options.store,
        threads: options.threads,
        scale: options.scale,
        library,
        known,
        only_known: !options.from.is_empty(),
    })
}

/// What an entry is drawn from.
fn measured(
    options: &Figures,
    entry: &Entry,
    suites: &mut Suites<'_>,
    library: &dyn Fn() -> Result<Library>,
) -> Result<Result<Measured, String>> {
    match entry.need() {
        Need::Results => {
            let mut sets = Vec::new();
            for suite in &entry.suites {
                match suites.results(suite)? {
                    Ok(results) => sets.push(results),
                    Err(reason) => return Ok(Err(reason)),
                }
            }
            Ok(Ok(Measured::Results(sets)))
        }
        // With results given, nothing is computed but what is named.
        Need::Probe if !options.from.is_empty() && options.ids.is_empty() => {
            Ok(Err("it is computed, not drawn from results".into()))
        }
        Need::Probe => {
            let spinner = spinner(&format!("computing {}", entry.id));
            let measured = probe(entry, library);
            spinner.finish_and_clear();
            or_reason(measured)
        }
    }
}

/// Computes what results do not hold: paths, landscapes, counted steps.
fn probe(entry: &Entry, library: &dyn Fn() -> Result<Library>) -> Result<Measured> {
    let environment = || -> Result<Environment> {
        Ok(Environment {
            library: library()?.into(),
            device: candle_core::Device::Cpu,
        })
    };
    let experiment = || -> Result<Experiment> {
        let suite = entry.suites.first().map_or("", String::as_str);
        Ok(Suite::find(suite)?.experiment()?)
    };
    match &entry.draw {
        Drawing::Paths {
            problems,
            optimizers,
        } => {
            let (experiment, environment) = (experiment()?, environment()?);
            let paths = problems
                .iter()
                .map(|label| {
                    let problem = experiment.problem(label)?;
                    let paths = optimizers
                        .iter()
                        .map(|label| {
                            let optimizer = experiment.optimizer(&problem.label, label)?;
                            probe::path(problem, optimizer, experiment.seeds[0], &environment)
                        })
                        .collect::<Result<_>>()?;
                    Ok((problem.clone(), paths))
                })
                .collect::<Result<_>>()?;
            Ok(Measured::Paths(paths))
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
                probe::landscape(problem, optimizer, seed, &environment()?, *radius, *steps)?;
            let title = format!("{} after {trained_by}", problem.config.title());
            Ok(Measured::Landscape(title, landscape))
        }
        Drawing::StepCost { against } => costs(*against).map(Measured::Costs),
        _ => costs(Size::Dimension).map(Measured::Costs),
    }
}

/// The counted cost of a step of each method, over the dimension at 10 pairs, or over the pairs held at
/// 1,000 variables.
fn costs(against: Size) -> Result<Vec<StepCosts>> {
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
        OptimizerConfig::FusePv(optim::FusePvConfig {
            criterion,
            lbfgs: lbfgs(history_size),
            ..optim::FusePvConfig::default()
        })
    };
    let methods = |pairs: usize| {
        [
            ("SGD", OptimizerConfig::Sgd(optim::SgdConfig::default())),
            ("Adam", OptimizerConfig::Adam(optim::AdamConfig::default())),
            ("L-BFGS", OptimizerConfig::Lbfgs(lbfgs(pairs))),
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
        Size::Dimension => DIMENSIONS,
        Size::History => PAIRS,
    };
    let mut all: Vec<StepCosts> = Vec::new();
    for size in sizes {
        let (dimension, pairs) = match against {
            Size::Dimension => (size, 10),
            Size::History => (VARIABLES, size as usize),
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
    catalogue: &Catalogue,
    library: &dyn Fn() -> Result<Library>,
    out: &mut impl Write,
) -> Result<()> {
    let known = &catalogue.reference.suites;
    if let Some(name) = options.ids.iter().find(|id| !known.contains(id)) {
        return Err(spec::unknown("reference report", name, known.iter()));
    }
    let wanted = |suite: &&String| options.ids.is_empty() || options.ids.contains(suite);
    let folder = options.out.clone().unwrap_or_else(|| REFERENCE.into());
    let mut suites = suites(options, library)?;
    suites.scale = Scale::Full;
    let (mut total, mut differing) = (0, Vec::new());
    for suite in known.iter().filter(wanted) {
        total += 1;
        let folder = folder.join(suite);
        if options.check {
            let (same, text) = check(&mut suites, catalogue, suite, &folder)?;
            print(out, &text)?;
            if !same {
                differing.push(suite.clone());
            }
        } else {
            let (results, manifest) = ablation::complete(
                suite,
                &options.store,
                options.threads,
                Scale::Full,
                library()?,
            )?;
            write_files(&folder, Report::new(&results, &manifest).small_files()?)?;
            crate::store::write(&folder.join("results.parquet"), &results)?;
            manifest.write(&folder.join("manifest.json"))?;
            print(out, &format!("{}\n", folder.display()))?;
        }
    }
    if !differing.is_empty() {
        return Err(Error::ReferenceDiffers { differing, total });
    }
    Ok(())
}

/// Draws a committed report again from its own results, which must give the same bytes, and compares
/// its results with recomputed ones within the catalogue's tolerances.
fn check(
    suites: &mut Suites<'_>,
    catalogue: &Catalogue,
    suite: &str,
    folder: &Path,
) -> Result<(bool, String)> {
    let results = crate::store::read(&folder.join("results.parquet"))?;
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
    let recomputed = match suites.results(suite)? {
        Ok(recomputed) => recomputed,
        Err(reason) => {
            return Ok((false, format!("{text}{suite}: not recomputed: {reason}\n")));
        }
    };
    let comparison = catalogue.reference.compare(&results, &recomputed);
    text += &format!("{suite} recomputed: {}", comparison.text());
    // Kernels choose by vector instructions, so that sums are added up in another order elsewhere; what
    // L-BFGS makes of that has no bound.
    let comparable = manifest.has_these_instruction_sets();
    if !comparable {
        text += "the reference is of a processor with other vector instructions: not judged\n";
    }
    Ok((same && (comparison.holds() || !comparable), text))
}
