//! `store`: the runs that are kept.

use std::io::Write;
use std::path::PathBuf;

use bench_experiment::store::CellStore;
use clap::Subcommand;

use super::terminal::print;
use crate::error::Result;

/// Where runs are kept.
pub const DEFAULT: &str = "reports/store";

#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// List the runs
    List {
        /// The store
        #[arg(default_value = DEFAULT)]
        store: PathBuf,
    },
    /// Remove runs made by other code than this program's, and damaged files
    Gc {
        /// The store
        #[arg(default_value = DEFAULT)]
        store: PathBuf,
    },
    /// Copy into a store the runs of another that it lacks
    #[command(after_help = "Example:\n  bench-runner store merge reports/store /mnt/cluster/store")]
    Merge {
        /// The store that grows
        into: PathBuf,
        /// The other
        from: PathBuf,
    },
    /// Runs that only one store has, or that differ
    Diff {
        /// A store
        first: PathBuf,
        /// The other
        second: PathBuf,
    },
}

/// Runs one of the commands.
///
/// # Errors
/// When a store cannot be read or written, or two contradict each other.
pub fn run(command: &StoreCommand, out: &mut impl Write) -> Result<()> {
    let text = match command {
        StoreCommand::List { store } => list(&CellStore::new(store))?,
        StoreCommand::Gc { store } => {
            let removed = CellStore::new(store).collect_garbage()?;
            format!("removed {removed} files\n")
        }
        StoreCommand::Merge { into, from } => {
            let copied = CellStore::new(into).merge(&CellStore::new(from))?;
            format!("copied {copied} runs\n")
        }
        StoreCommand::Diff { first, second } => {
            diff(&CellStore::new(first), &CellStore::new(second))?
        }
    };
    print(out, &text)
}

fn list(store: &CellStore) -> Result<String> {
    let (runs, damaged) = store.runs()?;
    let mut text = String::new();
    for (address, run) in &runs {
        let age = if run.is_current() {
            ""
        } else {
            "  (other code)"
        };
        text += &format!(
            "{}  {:<9}  {}{age}\n",
            &address[..12],
            run.record.outcome.label(),
            run.record.cell
        );
    }
    for path in &damaged {
        text += &format!("damaged, or of another version: {}\n", path.display());
    }
    let current = runs.values().filter(|run| run.is_current()).count();
    text += &format!(
        "{}: {} runs, {current} of them by this program's code\n",
        store.folder().display(),
        runs.len()
    );
    Ok(text)
}

fn diff(first: &CellStore, second: &CellStore) -> Result<String> {
    let (ours, _) = first.runs()?;
    let (theirs, _) = second.runs()?;
    let mut text = String::new();
    let mut equal = 0;
    for (address, run) in &ours {
        let reading = match theirs.get(address) {
            Some(other) if other.record.digest() == run.record.digest() => {
                equal += 1;
                continue;
            }
            Some(_) => "differs",
            None => "only in the first",
        };
        text += &format!("{}  {}: {reading}\n", &address[..12], run.record.cell);
    }
    for (address, run) in theirs
        .iter()
        .filter(|(address, _)| !ours.contains_key(*address))
    {
        text += &format!(
            "{}  {}: only in the second\n",
            &address[..12],
            run.record.cell
        );
    }
    Ok(text + &format!("{equal} equal runs\n"))
}
