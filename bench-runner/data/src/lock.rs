//! `datasets.lock.toml` in the cache: the hash of every file as it was first downloaded or last verified.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::{Error, Result, atomic};

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
            Err(error) if error.kind() == ErrorKind::NotFound => {
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

    /// Records one file, whatever other processes record meanwhile. In a cache that cannot be written nothing is
    /// recorded, and the file is hashed anew each time.
    pub(crate) fn set(&self, key: &str, record: Record) -> Result<()> {
        match self.write(key, record) {
            Err(Error::Io { source, .. }) if is_read_only(&source) => Ok(()),
            written => written,
        }
    }

    fn write(&self, key: &str, record: Record) -> Result<()> {
        let guard = exclusive(&self.guard)?;
        let mut records = self.read()?;
        records.insert(key.into(), record);
        let text = toml::to_string(&records).map_err(|error| {
            Error::malformed(self.path.display().to_string(), error.to_string())
        })?;
        let written = atomic::write(&self.path, text.as_bytes());
        drop(guard);
        written.map_err(Error::io("write", &self.path))
    }
}

/// Whether a refusal says that nothing can be written there.
fn is_read_only(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
    )
}

/// Waits until no other process holds the lock at `path`. The lock ends with the returned file; `None` where
/// the file system has no locks (Lustre without `flock`), and nobody can be kept out.
///
/// # Errors
/// When the file cannot be made.
pub(crate) fn exclusive(path: &Path) -> Result<Option<File>> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    remove_link(path)?;
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(Error::io("create", path))?;
    Ok(file.lock().is_ok().then_some(file))
}

/// Removes a symbolic link, so that nothing is written through it.
///
/// # Errors
/// When it cannot be removed.
pub(crate) fn remove_link(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => fs::remove_file(path).map_err(Error::io("remove", path)),
        _ => Ok(()),
    }
}
