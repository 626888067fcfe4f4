//! `claims --replay`: one recorded run, made again and compared.

use std::io::Write;
use std::path::Path;

use super::{interruptible, print, spinner};
use crate::catalogue::Catalogue;
use crate::claims::Recorded;
use crate::data::Library;
use crate::problem::Environment;
use crate::run::CurvePoint;
use crate::store::CellStore;
use crate::sweep::DeviceSpec;
use crate::{Error, Result};

/// Makes the run again that `id` names, of a report's folder or else of the store.
///
/// # Errors
/// When there is no such run, it cannot be made, or its record is not confirmed.
pub(super) fn replay(
    id: &str,
    report: Option<&Path>,
    store: &Path,
    library: &dyn Fn() -> Result<Library>,
    out: &mut impl Write,
) -> Result<()> {
    let recorded = match report {
        Some(folder) => Recorded::in_report(folder, id)?,
        None => Recorded::in_store(&CellStore::new(store), id)?,
    };
    let environment = Environment {
        library: library()?.into(),
        device: recorded.device.parse::<DeviceSpec>()?.open_one()?,
    };
    let tolerances = Catalogue::built_in()?.reference.tolerance;
    let cell = recorded.record.cell.to_string();
    let spinner = spinner(&cell);
    let replayed = interruptible(|interrupted| {
        let mut show = |point: &CurvePoint| {
            spinner.set_message(format!("{cell}: step {}", point.step));
        };
        recorded.replay(&environment, &tolerances, interrupted, &mut show)
    });
    spinner.finish_and_clear();
    let replayed = replayed?;
    print(out, &format!("{cell}\n{}", replayed.text()))?;
    if replayed.holds() {
        return Ok(());
    }
    Err(Error::ReplayDiffers { run: cell })
}
