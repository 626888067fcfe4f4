//! `init`: an experiment file to begin with.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use super::terminal::print;
use crate::error::{Error, Result};

/// The file; tests read it, and all that is off in it.
const TEMPLATE: &str = include_str!("init.toml");

/// Writes the file where none is.
///
/// # Errors
/// When there is one already, or it cannot be written.
pub fn init(path: &Path, out: &mut impl Write) -> Result<()> {
    use bench_experiment::Error as Experiment;
    let mut file = File::create_new(path).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Error::Exists { path: path.into() },
        _ => Experiment::io("create", path)(error).into(),
    })?;
    file.write_all(TEMPLATE.as_bytes())
        .map_err(Experiment::io("write", path))?;
    let name = path.display();
    let text = format!(
        "{name}: an experiment that runs in seconds. To run it: bench-runner ablation {name}\n"
    );
    print(out, &text)
}
