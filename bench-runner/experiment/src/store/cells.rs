//! One file per run, under an address made of all that its numbers depend on: a sweep that is run
//! again computes only what is missing, and one that was killed goes on where it stood.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use bench_data::atomic;
use bench_data::sealed::{seal, unseal};
use serde::{Deserialize, Serialize};

use super::origin::{CODE, FORMAT, Origin};
use crate::error::{Error, Result};
use crate::run::RunRecord;

/// The folder of the states of runs under way.
const CHECKPOINTS: &str = "checkpoints";

/// The file that makes a folder a store.
const MARKER: &str = "bench-runner-store";

/// What the marker says to whoever opens it.
const MARKER_TEXT: &str =
    "Runs of bench-runner, a file each; `bench-runner store list` lists them.\n";

/// Letters of an address: a SHA-256 in hexadecimal.
const ADDRESS: usize = 64;
/// Letters that make a temporary file's name unique, as [`atomic::unique`] makes it.
const UNIQUE: usize = 16;

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

    /// Marks the folder as a store, which is created where it is missing.
    fn mark(&self) -> Result<()> {
        let marker = self.folder.join(MARKER);
        match marker.exists() {
            true => Ok(()),
            false => write(&marker, MARKER_TEXT.as_bytes()),
        }
    }

    /// Checks that runs can be kept, before any is made.
    ///
    /// # Errors
    /// When the folder cannot be created or written to.
    pub fn writable(&self) -> Result<()> {
        self.mark()?;
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
        self.mark()?;
        write(&path, &seal(&bytes))?;
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

    /// All readable runs by address, and the files that should be runs and are not. Files under names
    /// that a store does not make are passed over.
    ///
    /// # Errors
    /// When a folder cannot be listed.
    pub fn runs(&self) -> Result<(BTreeMap<String, StoredRun>, Vec<PathBuf>)> {
        let (mut runs, mut damaged) = (BTreeMap::new(), Vec::new());
        for file in self.files()?.filter(|file| file.kind == FileKind::Run) {
            match read(&file.path) {
                Ok(run) if run.origin.address() == file.address => {
                    runs.insert(file.address, run);
                }
                _ => damaged.push(file.path),
            }
        }
        Ok((runs, damaged))
    }

    /// Removes the runs of other code, files that should be runs and are not, and the states and
    /// temporary files that nobody has gone on with for 30 days; returns how many. What is not a
    /// store's stays, and so does what a sweep at the same time may be writing.
    ///
    /// # Errors
    /// When the folder is not a store, or a file cannot be removed.
    pub fn collect_garbage(&self) -> Result<usize> {
        if let Some(foreign) = self.foreign()? {
            return Err(Error::NotAStore {
                folder: self.folder.clone(),
                foreign,
            });
        }
        let (runs, mut stale) = self.runs()?;
        stale.extend(
            runs.iter()
                .filter(|(_, run)| !run.is_current())
                .map(|(address, _)| self.path(address)),
        );
        let unfinished = self.files()?.filter(|file| file.kind != FileKind::Run);
        stale.extend(unfinished.map(|file| file.path).filter(is_old));
        let mut removed = 0;
        for path in &stale {
            match fs::remove_file(path) {
                Ok(()) => removed += 1,
                // Somebody else was faster.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("remove", path)(error)),
            }
        }
        Ok(removed)
    }

    /// What makes the folder no store: an entry that a store does not make, unless there is a marker.
    fn foreign(&self) -> Result<Option<PathBuf>> {
        if self.folder.join(MARKER).is_file() {
            return Ok(None);
        }
        let own =
            |path: &PathBuf| is_folder(path) && (is_of_runs(path) || path.ends_with(CHECKPOINTS));
        Ok(list(&self.folder)?.into_iter().find(|path| !own(path)))
    }

    /// The files under names that a store makes, in order. Links are not followed.
    fn files(&self) -> Result<impl Iterator<Item = StoreFile>> {
        let mut files = Vec::new();
        for folder in list(&self.folder)?.into_iter().filter(is_folder) {
            let kinds: &[FileKind] = match () {
                () if folder.ends_with(CHECKPOINTS) => &[FileKind::State, FileKind::Temporary],
                () if is_of_runs(&folder) => &[FileKind::Run, FileKind::Temporary],
                () => continue,
            };
            let own = |path| StoreFile::of(path).filter(|file| kinds.contains(&file.kind));
            files.extend(list(&folder)?.into_iter().filter_map(own));
        }
        Ok(files.into_iter())
    }

    /// Copies the runs of `other` that are missing here; returns how many.
    ///
    /// # Errors
    /// When a file cannot be written, or the stores hold different numbers for one address.
    pub fn merge(&self, other: &Self) -> Result<usize> {
        let (mine, _) = self.runs()?;
        let (theirs, _) = other.runs()?;
        self.mark()?;
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

/// What a file in a store is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileKind {
    /// A run.
    Run,
    /// The state of a run under way.
    State,
    /// What a writer has not finished, or has left when it was killed.
    Temporary,
}

/// A file under a name that a store makes.
struct StoreFile {
    path: PathBuf,
    kind: FileKind,
    /// The address in its name; of a probe, none.
    address: String,
}

impl StoreFile {
    /// The file at a path in one of a store's folders, if its name is one that a store makes:
    /// `ADDRESS.cbor`, `ADDRESS.safetensors`, `ADDRESS.UNIQUE.tmp`, `UNIQUE.probe`, `UNIQUE.UNIQUE.tmp`,
    /// or `ADDRESS.safetensors.PROCESS-NUMBER.partial`, as `optim` writes states.
    fn of(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let parts: Vec<&str> = name.split('.').collect();
        let address = |text: &str| is_hex(text, ADDRESS);
        let unique = |text: &str| is_hex(text, UNIQUE);
        let kind = match parts.as_slice() {
            [run, "cbor"] if address(run) && is_in_its_folder(&path, run) => FileKind::Run,
            [run, "safetensors"] if address(run) => FileKind::State,
            [run, own, "tmp"] if (address(run) || unique(run)) && unique(own) => {
                FileKind::Temporary
            }
            [own, "probe"] if unique(own) => FileKind::Temporary,
            [run, "safetensors", own, "partial"] if address(run) && is_process(own) => {
                FileKind::Temporary
            }
            _ => return None,
        };
        let address = parts[0].to_owned();
        fs::symlink_metadata(&path).ok()?.is_file().then_some(Self {
            path,
            kind,
            address,
        })
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    let digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    text.len() == length && text.chars().all(digit)
}

/// Whether a text is two numbers joined by a dash.
fn is_process(text: &str) -> bool {
    let number = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
    text.split_once('-')
        .is_some_and(|(process, count)| number(process) && number(count))
}

/// Whether a run stands in the folder that is named by the beginning of its address.
fn is_in_its_folder(path: &Path, address: &str) -> bool {
    path.parent()
        .is_some_and(|folder| folder.ends_with(&address[..2]))
}

/// Whether a folder's name is one of those that runs are divided among.
fn is_of_runs(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| is_hex(name, 2))
}

fn is_folder(path: &PathBuf) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Writes a file atomically; of several writers the last one wins, on whatever machines they are.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    atomic::write(path, bytes).map_err(Error::io("write", path))
}

/// Days after which the state of a run under way, or a temporary file, is garbage.
const UNFINISHED_DAYS: u64 = 30;

fn is_old(path: &PathBuf) -> bool {
    let age = fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .map(|time| time.elapsed().unwrap_or_default());
    age.is_ok_and(|age| age.as_secs() > UNFINISHED_DAYS * 24 * 3600)
}

fn read(path: &Path) -> Result<StoredRun> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    let content = unseal(&bytes).map_err(Error::damaged(path))?;
    ciborium::from_reader(content).map_err(Error::damaged(path))
}

/// The entries of a folder, in order; none if it does not exist.
fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
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
                seconds: 0.1,
                test_loss: Some(f64::INFINITY),
                word_perplexity: Some(81.5),
                residual_loss: Some(1.0 / 7.0),
                boundary_loss: Some(0.0),
                relative_l2: Some(1e-300),
                largest_error: Some(f64::INFINITY),
                gradient_norm: Some(1e-300),
                criterion: Some(f64::INFINITY),
                threshold: Some(1.0),
                ..crate::run::CurvePoint::of_loss(3, 1.0 / 3.0)
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
    fn garbage_is_collected_in_stores_only_and_under_their_own_names_only() {
        let folder = tempfile::tempdir().unwrap();
        let docs = folder.path().join("docs");
        fs::create_dir(&docs).unwrap();
        fs::write(docs.join("thesis.txt"), "x").unwrap();
        let store = CellStore::new(folder.path());
        let refused = store.collect_garbage().unwrap_err();
        assert!(matches!(&refused, Error::NotAStore { foreign, .. } if *foreign == docs));
        let origin = &origins()[0];
        let address = origin.address();
        let runs = folder.path().join(&address[..2]);
        let unique = "0123456789abcdef";
        store.save(origin, &record(0)).unwrap();
        fs::write(runs.join("notes.cbor"), "x").unwrap();
        fs::write(runs.join(format!("{address}.{unique}.tmp")), "half").unwrap();
        let checkpoints = folder.path().join(CHECKPOINTS);
        fs::create_dir(&checkpoints).unwrap();
        fs::write(checkpoints.join("notes.txt"), "x").unwrap();
        let partial = checkpoints.join(format!("{address}.safetensors.12-0.partial"));
        fs::write(&partial, "half").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(&docs, folder.path().join("ab")).unwrap();
        fs::write(docs.join(format!("ab{}.cbor", "0".repeat(62))), "x").unwrap();
        // It is a store now, and a writer may be at work on the temporary files.
        assert_eq!(store.collect_garbage().unwrap(), 0);
        let long_ago = std::time::SystemTime::now()
            - std::time::Duration::from_secs((UNFINISHED_DAYS + 1) * 24 * 3600);
        let file = fs::File::options().append(true).open(&partial).unwrap();
        file.set_modified(long_ago).unwrap();
        assert_eq!(store.collect_garbage().unwrap(), 1);
        assert!(!partial.exists());
    }

    #[test]
    fn a_store_without_a_marker_is_known_by_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let store = CellStore::new(folder.path());
        let [first, second, ..] = &origins()[..] else {
            panic!("too few runs");
        };
        store.save(first, &record(0)).unwrap();
        fs::remove_file(folder.path().join(MARKER)).unwrap();
        fs::write(store.path(&first.address()), "from an older version").unwrap();
        assert_eq!(store.collect_garbage().unwrap(), 1);
        store.save(second, &record(0)).unwrap();
        assert_eq!(store.runs().unwrap().0.len(), 1);
    }

    #[test]
    fn a_flipped_bit_in_a_stored_run_makes_it_missing() {
        let folder = tempfile::tempdir().unwrap();
        let store = CellStore::new(folder.path());
        let origin = &origins()[0];
        store.save(origin, &record(0)).unwrap();
        let path = store.path(&origin.address());
        let whole = fs::read(&path).unwrap();
        for byte in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[byte] ^= 1 << (byte % 8);
            fs::write(&path, flipped).unwrap();
            assert_eq!(store.load(origin), None, "byte {byte}");
        }
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
