//! What is run in this process: its flags, and the sweep with its reports.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bench_data::Catalogue;
use bench_experiment::memory;
use bench_experiment::session::{Made, Options, Session, Stage};
use bench_experiment::spec::{Experiment, Scale, Selection};
use bench_experiment::store::read_imported;
use clap::Args;

use super::complete;
use super::input::{experiment, scale};
use super::options::{CHECKPOINT_SECONDS, MOST_THREADS, perturbations};
use super::publish::{none_failed, publish};
use super::store::DEFAULT as DEFAULT_STORE;
use super::terminal::cores;
use crate::error::{Error, Result};

/// The flags of every command that runs a suite here.
#[derive(Debug, Args)]
pub struct Local {
    /// Where the report goes [default: reports/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Run only problems whose label matches one of these patterns, such as `mlp*`
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', add = complete::problems())]
    problems: Vec<String>,
    /// Run only optimizers whose label matches one of these patterns, such as `fuse-pv/*`
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', add = complete::optimizers())]
    optimizers: Vec<String>,
    /// Run seeds 0 to N-1 instead of the experiment's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: Option<u64>,
    /// Repeat the first seed's runs from N starts that differ by rounding only
    #[arg(long, value_name = "N")]
    perturbations: Option<u64>,
    /// How much of the experiment is run; its report says so
    #[arg(long, value_parser = scale(), default_value = "full")]
    scale: Scale,
    /// Threads in all [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MOST_THREADS))]
    pub threads: Option<u16>,
    /// Runs at the same time; threads are divided among them [default: as many as threads]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MOST_THREADS))]
    pub jobs: Option<u16>,
    /// Memory that runs may take together, in GiB [default: 90 % of what is free, where that is known]
    #[arg(long, value_name = "GIB", value_parser = gibibytes)]
    memory_limit: Option<f64>,
    /// Where tensors live: cpu, cuda[:N] or metal[:N]; runs are spread over cuda:0,1 or cuda:all
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Where runs are kept, so that none is made twice
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STORE)]
    store: PathBuf,
    /// Seconds between checkpoints of each run under way, from which it goes on after a stop; 0 for none
    #[arg(long, value_name = "SECONDS", default_value_t = CHECKPOINT_SECONDS)]
    checkpoint: u64,
    /// Make all runs anew, whatever is stored
    #[arg(long)]
    pub fresh: bool,
    /// Replace the report that is there even by a less complete one, which otherwise goes to its folder `partial`
    #[arg(long)]
    pub replace: bool,
    /// No progress, no table
    #[arg(long, short)]
    pub quiet: bool,
}

/// A size in GiB.
fn gibibytes(text: &str) -> std::result::Result<f64, &'static str> {
    match text.parse() {
        Ok(size) if f64::is_finite(size) && size > 0.0 => Ok(size),
        _ => Err("a number above 0 is needed"),
    }
}

impl Local {
    /// What is to be run of a suite or an experiment file.
    ///
    /// # Errors
    /// When there is no such suite or file, or the flags do not fit it.
    pub fn experiment(&self, name: &str, catalogue: &Catalogue) -> Result<Experiment> {
        let selection = Selection::new(&self.problems, &self.optimizers)?;
        let scaled = experiment(name, catalogue)?.scaled(self.scale);
        let mut experiment = seeded(scaled.selected(&selection)?, self.seeds)?;
        if let Some(count) = self.perturbations {
            experiment.stability = Some(perturbations(count)?);
        }
        Ok(experiment)
    }

    /// The first of these flags that is given, if any is: what only shows a report takes none.
    pub fn first_given(&self) -> Option<&'static str> {
        let given = [
            ("out", self.out.is_some()),
            ("problems", !self.problems.is_empty()),
            ("optimizers", !self.optimizers.is_empty()),
            ("seeds", self.seeds.is_some()),
            ("perturbations", self.perturbations.is_some()),
            ("scale", self.scale != Scale::Full),
            ("threads", self.threads.is_some()),
            ("jobs", self.jobs.is_some()),
            ("memory-limit", self.memory_limit.is_some()),
            ("device", self.device != "cpu"),
            ("store", self.store != Path::new(DEFAULT_STORE)),
            ("checkpoint", self.checkpoint != CHECKPOINT_SECONDS),
            ("fresh", self.fresh),
            ("replace", self.replace),
            ("quiet", self.quiet),
        ];
        let first = given.into_iter().find(|(_, given)| *given);
        first.map(|(flag, _)| flag)
    }

    /// The folder of an experiment's report.
    pub fn folder(&self, experiment: &Experiment) -> PathBuf {
        let usual = || Path::new("reports").join(&experiment.name);
        self.out.clone().unwrap_or_else(usual)
    }

    /// Bytes of the host's memory that runs may take together; what they take of a GPU's is not counted.
    fn memory(&self) -> Option<u64> {
        let asked = |size| (size * f64::from(1 << 30)) as u64;
        self.memory_limit.map(asked).or_else(memory::budget)
    }

    /// How the session works.
    ///
    /// # Errors
    /// When there is no such kind of device.
    pub fn session(&self) -> Result<Options> {
        Ok(Options {
            command: std::env::args().collect(),
            device: self.device.parse()?,
            threads: self.threads.map_or_else(cores, usize::from),
            jobs: self.jobs.map(usize::from),
            memory: self.memory(),
            store: self.store.clone(),
            checkpoint: (self.checkpoint > 0).then(|| Duration::from_secs(self.checkpoint)),
            fresh: self.fresh,
            plan_only: false,
        })
    }

    /// Makes what the store lacks of all stages, with a report of each that [has one](is_reported); `published` is
    /// told the folder of each.
    ///
    /// # Errors
    /// Whatever ends the sweep, runs that failed included, and as `published`.
    pub fn complete(
        &self,
        session: &Session<'_>,
        experiment: &Experiment,
        folder: &Path,
        out: &mut impl Write,
        published: &dyn Fn(&Path) -> Result<()>,
    ) -> Result<()> {
        // What cannot be shown beside the runs is better known before they are made.
        read_imported(&folder.join("results.parquet"))?;
        let mut counts = Counts::default();
        let mut started = Instant::now();
        session.complete(experiment, &mut |stage, made| -> Result<()> {
            let folder = stage_folder(folder, stage);
            counts.take_note(&folder, &made);
            if !is_reported(stage) {
                return Ok(());
            }
            let folder = publish(&folder, made, started, self.replace, self.quiet, out)?;
            started = Instant::now();
            published(&folder)
        })?;
        counts.none_failed()
    }
}

/// The experiment with the first seeds, if the user says how many.
fn seeded(mut experiment: Experiment, seeds: Option<u64>) -> Result<Experiment> {
    let Some(count) = seeds else {
        return Ok(experiment);
    };
    experiment.seeds = (0..count).collect();
    let chosen_by = experiment.tuning.iter().flat_map(|tuning| &tuning.seeds);
    match chosen_by.into_iter().find(|seed| **seed < count) {
        Some(seed) => Err(Error::Flag {
            flag: "seeds".into(),
            value: count.to_string(),
            reason: format!("settings are chosen by seed {seed}: use {seed} or fewer"),
        }),
        None => Ok(experiment),
    }
}

/// Runs, and those of them that failed, of each stage by its folder. A round of trials has those of the
/// rounds before it.
#[derive(Default)]
pub struct Counts(BTreeMap<PathBuf, (usize, usize)>);

impl Counts {
    /// Takes note of what came of a stage, whose report is in `folder`.
    pub fn take_note(&mut self, folder: &Path, made: &Made) {
        let counts = (made.failed(), made.results.records.len());
        self.0.insert(folder.into(), counts);
    }

    /// That no run of any stage failed.
    ///
    /// # Errors
    /// How many did.
    pub fn none_failed(&self) -> Result<()> {
        let stages = self.0.values();
        let (failed, total) = stages.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        none_failed(failed, total)
    }
}

/// Whether a stage has a report of its own. Repetitions have none: what they say is in that of the runs which they
/// repeat, and to compare them with each other would take far longer than to make them.
pub fn is_reported(stage: &Stage) -> bool {
    !matches!(stage, Stage::Perturbations(_))
}

/// The folder of a stage's report, and of its plan.
pub fn stage_folder(folder: &Path, stage: &Stage) -> PathBuf {
    match stage {
        Stage::Trials => folder.join("tuning"),
        Stage::Perturbations(_) => folder.join("stability"),
        Stage::Comparison(..) => folder.into(),
    }
}
