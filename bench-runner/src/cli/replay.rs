//! `claims --replay`: one recorded run, made again and compared.

use std::io::Write;
use std::path::Path;

use bench_analysis::replayed::Replayed;
use bench_data::Library;
use bench_experiment::Recorded;
use bench_experiment::run::CurvePoint;
use bench_experiment::session::{Event, Options, Session};
use bench_experiment::store::CellStore;
use bench_report::catalogue::FigureCatalogue;
use bench_report::replay_text;

use super::options::options;
use super::progress::Monitor;
use super::terminal::{interruptible, print, spinner};
use crate::error::{Error, Result};

/// Makes the run again that `id` names, of a report's folder or else of the store.
///
/// # Errors
/// When there is no such run, it cannot be made, or its record is not confirmed.
pub fn replay(
    id: &str,
    report: Option<&Path>,
    store: &Path,
    library: Library,
    out: &mut impl Write,
) -> Result<()> {
    let recorded = match report {
        Some(folder) => Recorded::in_report(folder, id)?,
        None => Recorded::in_store(&CellStore::new(store), id)?,
    };
    let tolerances = FigureCatalogue::built_in()?.reference.tolerance;
    let cell = recorded.record.cell.to_string();
    let spinner = spinner(&cell);
    let show = |point: &CurvePoint| spinner.set_message(format!("{cell}: step {}", point.step));
    let monitor = Monitor::of_points(true, &show);
    let observe = |event: Event<'_>| monitor.observe(event);
    let options = Options {
        device: recorded.device.parse()?,
        ..options(store, None)
    };
    let session = Session::open(options, library, &observe, interruptible())?;
    let again = session.replay(&recorded);
    spinner.finish_and_clear();
    let replayed = Replayed::new(
        &recorded.record,
        &again?,
        recorded.same_processor(),
        &tolerances,
    );
    print(out, &format!("{cell}\n{}", replay_text(&replayed)))?;
    if replayed.holds() {
        return Ok(());
    }
    Err(Error::ReplayDiffers { run: cell })
}
