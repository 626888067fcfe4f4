//! Finite sums that the runs of this process share: a sum is drawn and its minimum found once, not for
//! each seed and optimizer.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use bench_data::Library;
use parking_lot::Mutex;

use super::source::{Known, Source};
use crate::error::Result;

/// Bytes of samples that are kept. The sums used last stay.
const KEPT: usize = 256 << 20;

struct SharedSource {
    source: Source,
    library: Weak<Library>,
    /// Empty while the first run that needs it makes it; the others wait.
    known: Arc<Mutex<Option<Arc<Known>>>>,
}

static ENTRIES: Mutex<VecDeque<SharedSource>> = Mutex::new(VecDeque::new());

/// What is made of a source, if need be now.
///
/// # Errors
/// When the data is missing or does not fit.
pub(super) fn known(source: &Source, library: &Arc<Library>) -> Result<Arc<Known>> {
    let place = place(source, library);
    let mut known = place.lock();
    if let Some(known) = &*known {
        return Ok(known.clone());
    }
    let made = Arc::new(source.make(library)?);
    *known = Some(made.clone());
    Ok(made)
}

/// Where the sum of a source is kept, the last of all from now on.
fn place(source: &Source, library: &Arc<Library>) -> Arc<Mutex<Option<Arc<Known>>>> {
    let mut entries = ENTRIES.lock();
    let library = Arc::downgrade(library);
    let found = entries
        .iter()
        .position(|entry| entry.source == *source && entry.library.ptr_eq(&library));
    let entry = found
        .and_then(|index| entries.remove(index))
        .unwrap_or_else(|| SharedSource {
            source: source.clone(),
            library,
            known: Arc::default(),
        });
    let known = entry.known.clone();
    entries.push_back(entry);
    // One that is being made counts nothing yet.
    let bytes = |entry: &SharedSource| {
        let known = entry.known.try_lock();
        known.and_then(|known| Some(known.as_ref()?.sum.rows.bytes()))
    };
    let mut kept: usize = entries.iter().filter_map(bytes).sum();
    while kept > KEPT && entries.len() > 1 {
        let oldest = entries.pop_front();
        kept -= oldest.as_ref().and_then(bytes).unwrap_or_default();
    }
    known
}
