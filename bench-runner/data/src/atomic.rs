//! Atomic file writes: a reader sees all of a file or none of it.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::Path;

/// Writes a file under a name of its own and then renames it to `path`, whose folder is made where it is
/// missing: readers see all of the file or none, whatever other processes write and whenever one dies.
///
/// # Errors
/// What `write` answers, and what the system refuses, as `refused` puts it.
pub fn write_atomic<E>(
    path: &Path,
    refused: impl Fn(io::Error) -> E,
    write: impl FnOnce(&mut File) -> Result<(), E>,
) -> Result<(), E> {
    fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(&refused)?;
    let temporary = path.with_extension(unique("tmp"));
    let mut file = File::create_new(&temporary).map_err(&refused)?;
    let written = write(&mut file)
        .and_then(|()| file.sync_all().map_err(&refused))
        .and_then(|()| fs::rename(&temporary, path).map_err(&refused));
    if written.is_err() {
        // What is left of a full disk's file is of no use; its removal may fail as well.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// As [`write_atomic`], of bytes.
///
/// # Errors
/// What the system refuses.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_atomic(path, |error| error, |file| file.write_all(bytes))
}

/// A file extension that no other call gives, in this process or another, here or on another machine.
pub fn unique(extension: &str) -> String {
    // Its keys are the operating system's random numbers, and no two states share them.
    format!("{:016x}.{extension}", RandomState::new().hash_one(()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_finished_leaves_the_old_one_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/file.txt");
        let write = |text: &str, result: io::Result<()>| {
            write_atomic(
                &path,
                |error| error,
                |file| {
                    file.write_all(text.as_bytes())?;
                    result
                },
            )
        };
        write("first", Ok(())).unwrap();
        write("second", Err(io::Error::other("full"))).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        write("third", Ok(())).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "third");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
