//! `man`: the manual, a page for each command.

use std::io::Write;
use std::path::Path;

use bench_experiment::Error;

use super::terminal::print;
use crate::error::Result;

/// Writes the pages into a folder, and says which to read first.
///
/// # Errors
/// When the folder cannot be written.
pub fn write(command: clap::Command, folder: &Path, out: &mut impl Write) -> Result<()> {
    let name = command.get_name().to_owned();
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command, folder))
        .map_err(Error::io("write", folder))?;
    let first = folder.join(format!("{name}.1"));
    print(out, &format!("Read: man {}\n", first.display()))
}
