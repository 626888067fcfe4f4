//! Which runs of a plan are under way, and which failed and why: one small file per run, in a folder
//! beside the plan, gone when the run is in the store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::share::Shard;
use crate::error::{Error, Result};
use crate::run::CellId;

/// A run that was begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Which run.
    pub cell: CellId,
    /// The share that it belongs to.
    pub shard: String,
    /// The machine.
    pub host: String,
    /// The process there.
    pub process: u32,
    /// When it began or failed, RFC 3339, UTC.
    pub since: String,
    /// Whether it was under way. A failure before that, for want of a device or of data, is the machine's.
    pub begun: bool,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

impl Attempt {
    /// The attempt that this process makes at a run, from now on.
    pub fn now(cell: CellId, shard: Shard, begun: bool, failure: Option<String>) -> Self {
        Self {
            cell,
            shard: shard.to_string(),
            host: host(),
            process: std::process::id(),
            since: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            begun,
            failure,
        }
    }

    /// The index of the share that it belongs to.
    pub fn shard_index(&self) -> Option<usize> {
        self.shard.parse().ok().map(|shard: Shard| shard.index)
    }
}

/// The attempts at a plan's runs, by address.
#[derive(Debug, Clone)]
pub struct Attempts {
    folder: PathBuf,
}

impl Attempts {
    /// Those of a plan.
    pub fn beside(plan: &Path) -> Self {
        Self {
            folder: plan.with_file_name("attempts"),
        }
    }

    /// Where they are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, address: &str) -> PathBuf {
        self.folder.join(address).with_extension("json")
    }

    /// Writes down an attempt, in place of any before. Who reads it half written leaves it out, and it
    /// may be lost with the machine: only results must not be.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn record(&self, address: &str, attempt: &Attempt) -> Result<()> {
        let path = self.path(address);
        let text = serde_json::to_vec(attempt).map_err(std::io::Error::other);
        text.and_then(|text| {
            std::fs::create_dir_all(&self.folder)?;
            std::fs::write(&path, text)
        })
        .map_err(Error::io("write", &path))
    }

    /// Forgets the attempt at a run, because it is done or was stopped.
    pub fn forget(&self, address: &str) {
        // A file that stays is harmless: the store is asked first.
        let _ = std::fs::remove_file(self.path(address));
    }

    /// Forgets all attempts, of this plan or one before it in the same place.
    pub fn forget_all(&self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }

    /// All attempts, by address; files that cannot be read are left out.
    pub fn all(&self) -> BTreeMap<String, Attempt> {
        let files = std::fs::read_dir(&self.folder).into_iter().flatten();
        files
            .flatten()
            .filter_map(|file| {
                let path = file.path();
                let attempt = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
                Some((path.file_stem()?.to_str()?.to_string(), attempt))
            })
            .collect()
    }
}

/// This machine's name, as the scheduler knows it.
fn host() -> String {
    std::env::var("SLURMD_NODENAME")
        .or_else(|_| std::fs::read_to_string("/proc/sys/kernel/hostname"))
        .or_else(|_| std::env::var("HOSTNAME"))
        .map_or_else(|_| "unknown".into(), |name| name.trim().into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_there_until_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let attempts = Attempts::beside(&folder.path().join("plan.json"));
        assert!(attempts.all().is_empty());
        let cell = CellId {
            problem: "booth".into(),
            optimizer: "adam".into(),
            seed: 3,
        };
        let shard = "1/4".parse().unwrap();
        let attempt = Attempt::now(cell.clone(), shard, true, None);
        assert_eq!(attempt.shard_index(), Some(1));
        assert!(!attempt.host.is_empty());
        attempts.record("aa", &attempt).unwrap();
        let failed = Attempt::now(cell, shard, true, Some("out of memory".into()));
        attempts.record("bb", &failed).unwrap();
        let all = attempts.all();
        assert_eq!(all.len(), 2);
        assert_eq!(all["bb"], failed);
        attempts.forget("aa");
        attempts.forget("cc");
        assert_eq!(attempts.all().len(), 1);
    }
}
