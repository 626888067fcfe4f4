//! Running experiments.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use bench_data::Library;
use candle_core::Device;

use super::event::{Event, Observer};
use super::options::{Options, unwritable};
use super::prepared::{Made, Sweep};
use super::stage::{Stage, in_stages};
use crate::error::{Error, Result};
use crate::problem::Environment;
use crate::replay::Recorded;
use crate::run::{Cell, CellId, Checkpoint, RunRecord, plan, run};
use crate::spec::{ExecutorConfig, Experiment, OptimizerEntry, ProblemEntry};
use crate::store::{CellStore, Circumstances, Manifest, Origin, Results};
use crate::sweep::{
    self, Attempts, Demand, Distributed, Distribution, Estimate, Probing, Resources, execute,
    models,
};

/// Runs experiments in one way, and tells somebody.
pub struct Session<'a> {
    pub(super) options: Options,
    pub(super) environments: Vec<Environment>,
    /// The kind of device and the model, for origins.
    model: String,
    /// Whether an evaluation here tells how long one will take in a run.
    timed: bool,
    store: CellStore,
    observe: Observer<'a>,
    interrupted: &'a AtomicBool,
}

impl<'a> Session<'a> {
    /// A session that makes runs here, on the devices of its options. When `interrupted` becomes true, runs
    /// under way stop at their next step and the rest is not started.
    ///
    /// # Errors
    /// When a device is not there or cannot be used.
    pub fn open(
        options: Options,
        library: Library,
        observe: Observer<'a>,
        interrupted: &'a AtomicBool,
    ) -> Result<Self> {
        let devices = options.device.open()?;
        let model = models(&options.device, &devices)?;
        let devices = (devices, model);
        Ok(Self::new(
            options,
            library,
            devices,
            true,
            observe,
            interrupted,
        ))
    }

    /// A session that plans runs for others: it needs none of the devices that the runs will use.
    pub fn planning(
        options: Options,
        library: Library,
        observe: Observer<'a>,
        interrupted: &'a AtomicBool,
    ) -> Self {
        let timed = options.device.is_cpu();
        // Which model a run will find is not known here: the plan's runs have the address of any.
        let devices = (vec![Device::Cpu], options.device.to_string());
        Self::new(options, library, devices, timed, observe, interrupted)
    }

    fn new(
        options: Options,
        library: Library,
        (devices, model): (Vec<Device>, String),
        timed: bool,
        observe: Observer<'a>,
        interrupted: &'a AtomicBool,
    ) -> Self {
        let library = Arc::new(library);
        let environment = |device| Environment {
            library: Arc::clone(&library),
            device,
        };
        Self {
            environments: devices.into_iter().map(environment).collect(),
            model,
            timed,
            store: CellStore::new(&options.store),
            observe,
            interrupted,
            options,
        }
    }

    /// Where problems are built: the first device.
    pub fn environment(&self) -> &Environment {
        &self.environments[0]
    }

    /// The runs of an experiment, those that are stored among them. Building the problems here also finds
    /// missing data before anything is run.
    ///
    /// # Errors
    /// When data is missing.
    pub fn prepare<'e>(&self, experiment: &'e Experiment) -> Result<Sweep<'e>> {
        let started = SystemTime::now();
        let cells = plan(experiment);
        let library = &self.environment().library;
        let brief = self.options.plan_only;
        let known = |name: &str| !brief || library.is_here(name);
        let data_sha256 = data_sha256(&experiment.problems, library, &known)?;
        let origins: Vec<Origin> = cells
            .iter()
            .map(|cell| Origin::new(cell, &self.model, &data_sha256))
            .collect::<Result<_>>()?;
        let records: Vec<Option<RunRecord>> = cells
            .iter()
            .zip(&origins)
            .map(|(cell, origin)| self.stored(cell, origin))
            .collect();
        let missing: Vec<usize> = (0..cells.len())
            .filter(|&index| records[index].is_none())
            .collect();
        let of_missing: Vec<Cell<'_>> = missing.iter().map(|&index| cells[index]).collect();
        let jobs = self.options.jobs.unwrap_or(self.options.threads);
        let jobs = jobs.min(missing.len().max(1));
        let probing = Probing {
            threads: self.options.threads / jobs,
            timed: self.timed,
            brief,
        };
        let estimate = Estimate::new(experiment, &of_missing, self.environment(), probing)?;
        Ok(Sweep {
            experiment,
            resources: Resources {
                threads: self.options.threads,
                jobs,
                memory: self.options.memory,
            },
            cells,
            origins,
            records,
            missing,
            estimate,
            data_sha256,
            started,
        })
    }

    /// The stored run of a cell, under the cell's own labels.
    fn stored(&self, cell: &Cell<'_>, origin: &Origin) -> Option<RunRecord> {
        if self.options.fresh {
            return None;
        }
        let mut record = self.store.load(origin)?;
        record.cell = cell.id();
        Some(record)
    }

    /// Makes the runs that a sweep lacks.
    ///
    /// # Errors
    /// When the store cannot be written to. Runs that fail or are interrupted are recorded as such.
    pub fn run(&self, mut sweep: Sweep<'_>, stage: Stage) -> Result<Made> {
        (self.observe)(Event::Planned(&sweep));
        if !sweep.missing.is_empty() {
            self.store.writable().map_err(unwritable)?;
        }
        let mut manifest = Manifest::new(Circumstances {
            command: self.options.command.clone(),
            experiment: sweep.experiment,
            threads: sweep.resources.threads,
            jobs: sweep.resources.jobs,
            device: &self.options.device.to_string(),
            data_sha256: sweep.data_sha256.clone(),
            started: sweep.started,
        })?;
        let cells = sweep.missing_cells();
        let demands: Vec<Demand> = cells
            .iter()
            .map(|cell| sweep.estimate.demand(cell))
            .collect();
        let origin = |index: usize| &sweep.origins[sweep.missing[index]];
        let observe = |index: usize, event: sweep::Event<'_>| {
            self.tell(&cells[index].id(), demands[index], event);
            if let sweep::Event::Finished(record) = event
                && let Err(error) = self.store.save(origin(index), record)
            {
                (self.observe)(Event::NotStored(&record.cell, &error));
            }
        };
        let checkpoint = |index: usize| {
            self.options.checkpoint.map(|interval| Checkpoint {
                path: self.store.checkpoint(&origin(index).address()),
                interval,
            })
        };
        let made = execute(
            &cells,
            &demands,
            sweep.resources,
            &self.environments,
            &checkpoint,
            &observe,
            self.interrupted,
        );
        (self.observe)(Event::Ended);
        for (index, record) in std::mem::take(&mut sweep.missing).into_iter().zip(made?) {
            sweep.records[index] = record;
        }
        let planned = sweep.cells.len();
        let records = sweep.records.into_iter().flatten().collect();
        let mut results = Results::new(sweep.experiment, &sweep.estimate.dimensions(), records);
        results.tuning = stage.tuning();
        results.stability = stage.stability();
        manifest.complete = true;
        let mut made = Made {
            results,
            manifest,
            planned,
        };
        made.manifest.complete = made.done() == planned;
        Ok(made)
    }

    pub(super) fn tell(&self, cell: &CellId, demand: Demand, event: sweep::Event<'_>) {
        (self.observe)(match event {
            sweep::Event::Started => Event::Started(cell),
            sweep::Event::Run(event) => Event::Run(cell, event),
            sweep::Event::Finished(record) => Event::Finished(record, demand),
        });
    }

    /// Makes what an experiment lacks, in its stages; `made` is given what came of each, interrupted or not.
    ///
    /// # Errors
    /// When a stage cannot be run or was interrupted, or as `made`.
    pub fn complete<E: From<Error>>(
        &self,
        experiment: &Experiment,
        made: &mut dyn FnMut(&Stage, Made) -> Result<(), E>,
    ) -> Result<(), E> {
        in_stages(experiment, &mut |experiment, stage| {
            let came = self.run(self.prepare(experiment)?, stage.clone())?;
            let (done, total) = (came.done(), came.planned);
            let records = came.results.records.to_vec();
            made(&stage, came)?;
            if done < total {
                return Err(Error::Interrupted { done, total }.into());
            }
            Ok(Some(records))
        })
    }

    /// The results of an experiment, for instance a built-in suite or a part of one. Sizes of networks that it leaves out are
    /// those of the data; problems whose data are missing are left out.
    ///
    /// # Errors
    /// As [`complete`](Self::complete), and missing data where no problem has its own. Runs that failed
    /// are in the results.
    pub fn suite(&self, experiment: Experiment) -> Result<Made> {
        let mut experiment = experiment.with_sizes_of_data(self.environment().library.catalogue());
        let suite = &experiment.name.clone();
        let mut kept = Vec::new();
        let mut missing = None;
        for problem in std::mem::take(&mut experiment.problems) {
            match data_sha256([&problem], &self.environment().library, &|_| true) {
                Ok(_) => kept.push(problem),
                Err(error @ Error::Data(_)) => {
                    (self.observe)(Event::LeftOut(suite, &problem, &error));
                    missing.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        if let (true, Some(error)) = (kept.is_empty(), missing) {
            return Err(error);
        }
        experiment.problems = kept;
        experiment.scales.clear();
        let mut last = None;
        self.complete(&experiment, &mut |_, made| -> Result<()> {
            last = Some(made);
            Ok(())
        })?;
        let made = last.ok_or(Error::Interrupted { done: 0, total: 0 })?;
        let failed = made.failed();
        if failed > 0 {
            (self.observe)(Event::SomeFailed(suite, failed, made.planned));
        }
        Ok(made)
    }

    /// Makes one run, whatever is stored, and keeps nothing.
    pub fn one(&self, problem: &ProblemEntry, optimizer: &OptimizerEntry, seed: u64) -> RunRecord {
        let cell = CellId::new(problem, optimizer, seed);
        run(
            problem,
            optimizer,
            seed,
            self.environment(),
            None,
            self.interrupted,
            &mut |event| (self.observe)(Event::Run(&cell, event)),
        )
    }

    /// Makes a recorded run again.
    ///
    /// # Errors
    /// As [`Recorded::replay`].
    pub fn replay(&self, recorded: &Recorded) -> Result<RunRecord> {
        let cell = &recorded.record.cell;
        recorded.replay(self.environment(), self.interrupted, &mut |event| {
            (self.observe)(Event::Run(cell, event));
        })
    }

    /// A sweep whose runs others make, with what is known of them so far: trials and repetitions that failed
    /// elsewhere are filled in, since the comparison goes on without them.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare).
    pub fn prepare_distributed<'e>(
        &self,
        experiment: &'e Experiment,
        stage: &Stage,
        folder: &Path,
    ) -> Result<Sweep<'e>> {
        let mut sweep = self.prepare(experiment)?;
        if stage.is_preparation() {
            let attempts = Attempts::beside(&folder.join(sweep::PLAN));
            let failed = sweep.fill_in_failures(&attempts);
            if failed > 0 {
                (self.observe)(Event::PreparationFailed(failed, attempts.folder()));
            }
        }
        Ok(sweep)
    }

    /// Writes down what a sweep lacks, for others to run, and submits it where the executor is a scheduler.
    ///
    /// # Errors
    /// When a file cannot be written or the scheduler refuses.
    pub fn distribute(
        &self,
        sweep: &Sweep<'_>,
        stage: Stage,
        executor: &ExecutorConfig,
        datasets: Option<&Path>,
        folder: &Path,
    ) -> Result<Distributed> {
        let demand = |cell| sweep.estimate.demand(cell);
        Distribution {
            experiment: sweep.experiment,
            cells: &sweep.cells,
            origins: &sweep.origins,
            demands: &sweep.cells.iter().map(demand).collect::<Vec<_>>(),
            missing: &sweep.missing,
            dimensions: sweep.estimate.dimensions(),
            executor,
            device: &self.options.device.to_string(),
            data_sha256: sweep.data_sha256.clone(),
            datasets,
            store: &self.options.store,
            folder,
            tuning: stage.tuning(),
            stability: stage.stability(),
        }
        .write()
    }
}

/// The SHA-256 of every dataset that some problems use, of those that are `known`.
fn data_sha256<'p>(
    problems: impl IntoIterator<Item = &'p ProblemEntry>,
    library: &Library,
    known: &dyn Fn(&str) -> bool,
) -> Result<BTreeMap<String, String>> {
    let mut hashes = BTreeMap::new();
    for entry in problems {
        for name in entry.config.data() {
            if hashes.contains_key(&name) || !known(&name) {
                continue;
            }
            let hash = entry.config.data_sha256(&name, library)?;
            hashes.insert(name, hash);
        }
    }
    Ok(hashes)
}
