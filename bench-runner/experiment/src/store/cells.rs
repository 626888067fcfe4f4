//! One file per run, under an address made of all that its numbers depend on: a sweep that is run
//! again computes only what is missing, and one that was killed goes on where it stood.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bench_data::atomic;
use serde::{Deserialize, Serialize};

use super::origin::{CODE, FORMAT, Origin};
use crate::error::{Error, Result};
use crate::run::RunRecord;

/// The folder of the states of runs under way.
const CHECKPOINTS: &str = "checkpoints";

/// A stored run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredRun {
    /// What it depends on.
    pub origin: Origin,
    /// What came out.
    pub record: RunRecord,
}

impl StoredRun {
    /// Whether this program would make the same run again.
    pub fn is_current(&self) -> bool {
        self.origin.code == CODE && self.origin.format == FORMAT
    }
}

/// A folder of runs. Many processes may write to it at the same time: files appear whole, and equal
/// addresses hold equal runs.
#[derive(Debug, Clone)]
pub struct CellStore {
    folder: PathBuf,
}

impl CellStore {
    /// The store in a folder, which is created when the first run is saved.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, address: &str) -> PathBuf {
        self.folder
            .join(&address[..2])
            .join(format!("{address}.cbor"))
    }

    /// The run of an origin. A damaged file counts as missing: it will be written anew.
    pub fn load(&self, origin: &Origin) -> Option<RunRecord> {
        let stored = read(&self.path(&origin.address())).ok()?;
        (stored.origin == *origin).then_some(stored.record)
    }

    /// The run at an address, whoever made it. A damaged file counts as missing.
    pub fn at(&self, address: &str) -> Option<RunRecord> {
        let stored = read(&self.path(address)).ok()?;
        (stored.origin.address() == address).then_some(stored.record)
    }

    /// Checks that runs can be kept, before any is made.
    ///
    /// # Errors
    /// When the folder cannot be created or written to.
    pub fn writable(&self) -> Result<()> {
        let probe = self.folder.join("00").join(atomic::unique("probe"));
        write(&probe, b"probe")?;
        fs::remove_file(&probe).map_err(Error::io("remove", &probe))
    }

    /// Keeps a run, unless it failed or was interrupted: these are tried again.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, origin: &Origin, record: &RunRecord) -> Result<()> {
        if !record.outcome.is_final() {
            return Ok(());
        }
        let stored = StoredRun {
            origin: origin.clone(),
            record: record.clone(),
        };
        let path = self.path(&origin.address());
        let mut bytes = Vec::new();
        ciborium::into_writer(&stored, &mut bytes).map_err(|error| Error::Unwritable {
            what: record.cell.to_string(),
            source: error.into(),
        })?;
        write(&path, &bytes)?;
        // The run is complete: nothing goes on from its checkpoint.
        let _ = fs::remove_file(self.checkpoint(&origin.address()));
        Ok(())
    }

    /// Where a run of this address keeps its state while it is under way.
    pub fn checkpoint(&self, address: &str) -> PathBuf {
        self.folder
            .join(CHECKPOINTS)
            .join(format!("{address}.safetensors"))
    }

    /// All readable runs by address, and the files that are not runs.
    ///
    /// # Errors
    /// When a folder cannot be listed.
    pub fn runs(&self) -> Result<(BTreeMap<String, StoredRun>, Vec<PathBuf>)> {
        let (mut runs, mut damaged) = (BTreeMap::new(), Vec::new());
        let is_runs = |folder: &PathBuf| !folder.ends_with(CHECKPOINTS);
        for folder in list(&self.folder)?.into_iter().filter(is_runs) {
            for path in list(&folder)? {
                let address = path.file_stem().unwrap_or_default().to_string_lossy();
                match read(&path) {
                    Ok(run) if run.origin.address() == address => {
                        runs.insert(address.into_owned(), run);
                    }
                    _ => damaged.push(path.clone()),
                }
            }
        }
        Ok((runs, damaged))
    }

    /// Removes the runs of other code, files that are not runs, and the states of runs that nobody
    /// has gone on with for 30 days; returns how many.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn collect_garbage(&self) -> Result<usize> {
        let (runs, mut stale) = self.runs()?;
        stale.extend(
            runs.iter()
                .filter(|(_, run)| !run.is_current())
                .map(|(address, _)| self.path(address)),
        );
        stale.extend(
            list(&self.folder.join(CHECKPOINTS))?
                .into_iter()
                .filter(is_old),
        );
        for path in &stale {
            fs::remove_file(path).map_err(Error::io("remove", path))?;
        }
        Ok(stale.len())
    }

    /// Copies the runs of `other` that are missing here; returns how many.
    ///
    /// # Errors
    /// When a file cannot be written, or the stores hold different numbers for one address.
    pub fn merge(&self, other: &Self) -> Result<usize> {
        let (mine, _) = self.runs()?;
        let (theirs, _) = other.runs()?;
        for (address, run) in &theirs {
            if mine
                .get(address)
                .is_some_and(|own| own.record.digest() != run.record.digest())
            {
                return Err(Error::StoresDiffer {
                    first: self.path(address),
                    second: other.path(address),
                });
            }
        }
        let mut copied = 0;
        for address in theirs.keys().filter(|address| !mine.contains_key(*address)) {
            let path = other.path(address);
            let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
            write(&self.path(address), &bytes)?;
            copied += 1;
        }
        Ok(copied)
    }
}

/// Writes a file atomically; of several writers the last one wins, on whatever machines they are.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    atomic::write(path, bytes).map_err(Error::io("write", path))
}

/// Days after which the state of a run under way is garbage.
const CHECKPOINT_DAYS: u64 = 30;

fn is_old(path: &PathBuf) -> bool {
    let age = fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .map(|time| time.elapsed().unwrap_or_default());
    age.is_ok_and(|age| age.as_secs() > CHECKPOINT_DAYS * 24 * 3600)
}

fn read(path: &Path) -> Result<StoredRun> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    ciborium::from_reader(bytes.as_slice()).map_err(Error::damaged(path))
}

/// The entries of a folder, in order; none if it does not exist.
fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::io("list", folder))?,
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::run::{CellId, Outcome, plan};
    use crate::spec::Experiment;

    const EXPERIMENT: &str = r#"
name = "demo"
seeds = 2
problem = [{ label = "booth", kind = "function", function = "booth", budget = 40 }]
optimizer = [{ kind = "adam" }, { label = "fast", kind = "adam", learning_rate = 0.1 }]
"#;

    fn record(seed: u64) -> RunRecord {
        RunRecord {
            cell: CellId {
                problem: "booth".into(),
                optimizer: "adam".into(),
                seed,
            },
            outcome: Outcome::Completed {
                reason: "budget spent".into(),
            },
            counts: optim::Counts::default(),
            seconds: 0.1 + seed as f64,
            pairs: optim::PairCounts::default(),
            switches: Vec::new(),
            curve: vec![crate::run::CurvePoint {
                step: 3,
                epoch: 0.3,
                gradient_evaluations: 3,
                loss_evaluations: 0,
                seconds: 0.1,
                loss: 1.0 / 3.0,
                test_loss: Some(f64::INFINITY),
                accuracy: None,
                word_perplexity: Some(81.5),
                gradient_norm: Some(1e-300),
                criterion: Some(f64::INFINITY),
                threshold: Some(1.0),
                phase: optim::Phase::FirstOrder,
            }],
        }
    }

    fn origins() -> Vec<Origin> {
        let experiment = Experiment::parse(EXPERIMENT, Path::new("demo.toml")).unwrap();
        plan(&experiment)
            .iter()
            .map(|cell| Origin::new(cell, "cpu", &BTreeMap::new()).unwrap())
            .collect()
    }

    #[test]
    fn a_run_comes_back_as_it_was_and_only_under_its_own_address() {
        let folder = tempfile::tempdir().unwrap();
        let store = CellStore::new(folder.path());
        let origins = origins();
        assert_eq!(store.load(&origins[0]), None);
        store.save(&origins[0], &record(0)).unwrap();
        assert_eq!(store.load(&origins[0]), Some(record(0)));
        for other in &origins[1..] {
            assert_eq!(store.load(other), None);
        }
    }

    #[test]
    fn failed_and_interrupted_runs_are_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = CellStore::new(folder.path());
        let origin = &origins()[0];
        for outcome in [
            Outcome::Interrupted,
            Outcome::Failed {
                reason: "no memory".into(),
            },
        ] {
            let run = RunRecord {
                outcome,
                ..record(0)
            };
            store.save(origin, &run).unwrap();
            assert_eq!(store.load(origin), None);
        }
    }

    #[test]
    fn damaged_and_foreign_files_count_as_missing_and_are_collected() {
        let folder = tempfile::tempdir().unwrap();
        let store = CellStore::new(folder.path());
        let origins = origins();
        for origin in &origins {
            store.save(origin, &record(0)).unwrap();
        }
        let path = store.path(&origins[0].address());
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert_eq!(store.load(&origins[0]), None);
        fs::copy(store.path(&origins[1].address()), &path).unwrap();
        assert_eq!(store.load(&origins[0]), None);
        let mut old = origins[2].clone();
        old.code = "older".into();
        store.save(&old, &record(0)).unwrap();
        assert_eq!(store.collect_garbage().unwrap(), 2);
        assert_eq!(store.runs().unwrap().0.len(), origins.len() - 1);
    }

    #[test]
    fn stores_merge_unless_they_contradict_each_other() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [a, b] = folders
            .each_ref()
            .map(|folder| CellStore::new(folder.path()));
        let origins = origins();
        a.save(&origins[0], &record(0)).unwrap();
        b.save(
            &origins[0],
            &RunRecord {
                seconds: 9.0,
                ..record(0)
            },
        )
        .unwrap();
        b.save(&origins[1], &record(1)).unwrap();
        assert_eq!(a.merge(&b).unwrap(), 1);
        assert_eq!(a.load(&origins[1]), Some(record(1)));
        let mut other = record(0);
        other.curve[0].loss = 2.0;
        b.save(&origins[0], &other).unwrap();
        assert!(matches!(a.merge(&b), Err(Error::StoresDiffer { .. })));
    }
}
