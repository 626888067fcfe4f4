//! Files of a report, written atomically.

use std::path::{Path, PathBuf};

use bench_data::atomic;

use crate::error::{Error, Result};

/// Writes files into a folder, which is made where it is missing, and returns their paths.
///
/// # Errors
/// When a file cannot be written.
pub fn write_files(folder: &Path, files: Vec<(PathBuf, Vec<u8>)>) -> Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for (name, bytes) in files {
        let path = folder.join(name);
        atomic::write(&path, &bytes).map_err(Error::io("write", &path))?;
        written.push(path);
    }
    Ok(written)
}
