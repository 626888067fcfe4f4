//! How a result set came about: command, code, machine and data.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use bench_data::atomic;
use bench_data::sha256;
use serde::{Deserialize, Serialize};

use super::origin::CODE_SOURCES;
use super::parquet::SCHEMA_VERSION;
use super::processor::{description, gives_these_numbers};
use crate::error::{Error, Result};
use crate::optimizer::OptimizerConfig;
use crate::spec::Experiment;

/// Everything about a sweep that its numbers may depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of this file's layout and of `results.parquet`.
    pub schema_version: u32,
    /// The command line.
    pub command: Vec<String>,
    /// Version of bench-runner.
    pub version: String,
    /// The git revision of the source tree it was built from, with `-dirty` when files differ; empty when unknown, or when
    /// sources were written after the program.
    pub git_revision: String,
    /// SHA-256 of `Cargo.lock` at build time.
    pub lock_file_sha256: String,
    /// Versions of the Rust compiler and of key libraries.
    pub versions: BTreeMap<String, String>,
    /// The processor's model name and its vector features.
    pub cpu: String,
    /// The operating system and C library.
    pub system: String,
    /// Memory in GiB.
    pub memory_gib: f64,
    /// The device that trained.
    pub device: String,
    /// Threads in all.
    pub threads: usize,
    /// Runs at the same time.
    pub jobs: usize,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// SHA-256 of each dataset used.
    pub data_sha256: BTreeMap<String, String>,
    /// When it started, RFC 3339, UTC.
    pub started: String,
    /// How long it took, in seconds, reports included.
    pub wall_seconds: f64,
    /// The experiment file as it was run, after defaults were filled in.
    pub experiment: String,
    /// Whether all planned runs are in the results.
    pub complete: bool,
}

/// What only the command knows of a sweep.
pub struct Circumstances<'a> {
    /// The command line.
    pub command: Vec<String>,
    /// The experiment that was run.
    pub experiment: &'a Experiment,
    /// Threads in all.
    pub threads: usize,
    /// Runs at the same time.
    pub jobs: usize,
    /// The device's name.
    pub device: &'a str,
    /// SHA-256 of each dataset.
    pub data_sha256: BTreeMap<String, String>,
    /// When it started.
    pub started: SystemTime,
}

impl Manifest {
    /// Describes a sweep on this machine; wall time and completeness are filled in at its end.
    ///
    /// # Errors
    /// When the experiment cannot be written as TOML.
    pub fn new(circumstances: Circumstances<'_>) -> Result<Self> {
        Ok(Self {
            schema_version: SCHEMA_VERSION,
            command: circumstances.command,
            version: env!("CARGO_PKG_VERSION").into(),
            git_revision: git_revision(),
            lock_file_sha256: sha256(LOCK_FILE.as_bytes()),
            versions: versions(),
            cpu: cpu(),
            system: system(),
            memory_gib: memory_gib(),
            device: circumstances.device.into(),
            threads: circumstances.threads,
            jobs: circumstances.jobs,
            seeds: circumstances.experiment.seeds.clone(),
            data_sha256: circumstances.data_sha256,
            started: humantime::format_rfc3339_seconds(circumstances.started).to_string(),
            wall_seconds: 0.0,
            experiment: circumstances.experiment.to_toml()?,
            complete: false,
        })
    }

    /// The manifest of several sweeps as one, the first one's where they cannot be added up.
    pub fn joined(manifests: Vec<Self>) -> Option<Self> {
        let mut manifests = manifests.into_iter();
        let mut joined = manifests.next()?;
        for mut other in manifests {
            joined.command.push(";".into());
            joined.command.append(&mut other.command);
            joined.seeds.append(&mut other.seeds);
            joined.data_sha256.append(&mut other.data_sha256);
            joined.wall_seconds += other.wall_seconds;
            joined.experiment = format!("{}\n{}", joined.experiment, other.experiment);
            joined.complete &= other.complete;
        }
        joined.seeds.sort_unstable();
        joined.seeds.dedup();
        Some(joined)
    }

    /// Whether these optimizers came to the same numbers there as they do on this processor.
    pub fn has_numbers_of_this_processor<'a>(
        &self,
        optimizers: impl IntoIterator<Item = &'a OptimizerConfig>,
    ) -> bool {
        let sets = self.cpu.rsplit_once('(').map(|(_, sets)| sets);
        sets.is_some_and(|sets| gives_these_numbers(sets.trim_end_matches(')'), optimizers))
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::Unwritable {
            what: path.display().to_string(),
            source: error.into(),
        })?;
        atomic::write(path, (text + "\n").as_bytes()).map_err(Error::io("write", path))
    }

    /// Reads it.
    ///
    /// # Errors
    /// When the file cannot be read, is no manifest, or is of another layout.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        let manifest: Self = serde_json::from_str(&text).map_err(Error::damaged(path))?;
        if manifest.schema_version != SCHEMA_VERSION {
            return Err(Error::damaged(path)(format!(
                "layout version {}, but this program reads version {SCHEMA_VERSION}",
                manifest.schema_version
            )));
        }
        Ok(manifest)
    }
}

/// The lock file of this build.
const LOCK_FILE: &str = include_str!("../../../../Cargo.lock");

/// The revision of the source tree, if this program stands beside the one that it was built from.
fn git_revision() -> String {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = CODE_SOURCES.split(';').map(|source| tree.join(source));
    if !std::env::current_exe().is_ok_and(|program| is_newest(&program, sources)) {
        return String::new();
    }
    let git = |arguments: &[&str]| {
        let git = Command::new("git")
            .arg("-C")
            .arg(tree)
            .args(arguments)
            .output();
        let output = git.ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_string())
    };
    match git(&["rev-parse", "HEAD"]) {
        Some(revision) => match git(&["status", "--porcelain"]) {
            Some(changes) if changes.is_empty() => revision,
            _ => revision + "-dirty",
        },
        None => String::new(),
    }
}

/// Whether a file was written after all others, as a program was after the sources it was built from. A tree that has since
/// gone to another revision has newer ones.
fn is_newest(file: &Path, others: impl IntoIterator<Item = PathBuf>) -> bool {
    let written = |path: &Path| path.metadata().and_then(|about| about.modified());
    written(file).is_ok_and(|newest| {
        let mut others = others.into_iter();
        others.all(|other| written(&other).is_ok_and(|before| before <= newest))
    })
}

/// The compiler's version and those of the libraries that results may depend on.
fn versions() -> BTreeMap<String, String> {
    #[derive(Deserialize)]
    struct Lock {
        package: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        version: String,
    }
    let mut versions: BTreeMap<String, String> = toml::from_str::<Lock>(LOCK_FILE)
        .map(|lock| lock.package)
        .unwrap_or_default()
        .into_iter()
        .filter(|package| {
            [
                "candle-core",
                "gemm",
                "plotters",
                "polars",
                "rand_chacha",
                "rayon",
            ]
            .contains(&package.name.as_str())
        })
        .map(|package| (package.name, package.version))
        .collect();
    versions.insert("rustc".into(), env!("RUSTC_VERSION").into());
    versions
}

/// The processor's model and its instruction sets.
fn cpu() -> String {
    let model = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".into());
    format!("{model} ({})", description())
}

fn system() -> String {
    let libc = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let libc = libc
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_default();
    format!("{} {}", std::env::consts::OS, libc.trim())
        .trim()
        .into()
}

fn memory_gib() -> f64 {
    field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok())
        .map_or(0.0, |kib| (kib / 1024.0 / 1024.0 * 10.0).round() / 10.0)
}

/// The value of the first `key: value` line of a file in /proc.
fn field(path: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim().to_string())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_program_older_than_a_source_was_not_built_from_it() {
        let folder = tempfile::tempdir().unwrap();
        let written = |name: &str, second: u64| {
            let path = folder.path().join(name);
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            std::fs::File::create(&path)
                .unwrap()
                .set_modified(time)
                .unwrap();
            path
        };
        let [program, older, newer] = [("program", 20), ("older", 10), ("newer", 30)]
            .map(|(name, second)| written(name, second));
        assert!(is_newest(&program, [older.clone(), program.clone()]));
        assert!(!is_newest(&program, [older.clone(), newer]));
        assert!(!is_newest(&program, [older, folder.path().join("missing")]));
    }
}
