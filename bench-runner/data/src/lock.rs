//! `datasets.lock.toml` in the cache: the hash of every file as it was first downloaded or last verified.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::atomic::write_atomic;
use crate::{Error, Result};

/// What is known of a file. While size and time stay the same, it need not be hashed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// Its SHA-256.
    pub(crate) sha256: String,
    /// Its size.
    pub(crate) bytes: u64,
    /// When it was last changed, in nanoseconds since 1970.
    pub(crate) modified: u64,
}

impl Record {
    pub(crate) fn describe(found: &Metadata, sha256: String) -> Self {
        let modified = found
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .map_or(0, |time| time.as_nanos() as u64);
        Self {
            sha256,
            bytes: found.len(),
            modified,
        }
    }
}

/// The lock file of a cache.
pub(crate) struct LockFile {
    path: PathBuf,
    guard: PathBuf,
}

impl LockFile {
    pub(crate) fn new(cache: &Path) -> Self {
        Self {
            path: cache.join("datasets.lock.toml"),
            guard: cache.join(".locks").join("datasets.lock"),
        }
    }

    pub(crate) fn get(&self, key: &str) -> Result<Option<Record>> {
        Ok(self.read()?.remove(key))
    }

    fn read(&self) -> Result<BTreeMap<String, Record>> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(BTreeMap::new());
            }
            Err(error) => return Err(Error::io("read", &self.path)(error)),
        };
        toml::from_str(&text).map_err(|error| {
            Error::malformed(
                self.path.display().to_string(),
                format!(
                    "{}; delete the file, and hashes are recorded anew",
                    error.message()
                ),
            )
        })
    }

    /// Records one file, whatever other processes record meanwhile.
    pub(crate) fn set(&self, key: &str, record: Record) -> Result<()> {
        let folder = self.guard.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let guard = File::create(&self.guard).map_err(Error::io("create", &self.guard))?;
        guard.lock().map_err(Error::io("lock", &self.guard))?;
        let mut records = self.read()?;
        records.insert(key.into(), record);
        let text = toml::to_string(&records).map_err(|error| {
            Error::malformed(self.path.display().to_string(), error.to_string())
        })?;
        let refused = |error| Error::io("write", &self.path)(error);
        write_atomic(&self.path, refused, |file| {
            file.write_all(text.as_bytes()).map_err(refused)
        })
    }
}
