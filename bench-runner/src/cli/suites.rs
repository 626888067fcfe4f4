//! Results of built-in suites for commands that need several: each is made or read once.

use std::collections::BTreeMap;
use std::path::Path;

use super::ablation;
use crate::data::Library;
use crate::spec::Scale;
use crate::store::Results;
use crate::{Error, Result};

/// Results of suites: known, or completed through the store when first asked for.
pub(super) struct Suites<'a> {
    pub store: &'a Path,
    pub threads: Option<u16>,
    pub scale: Scale,
    pub library: &'a dyn Fn() -> Result<Library>,
    /// By suite the results, or why its data are not there.
    pub known: BTreeMap<String, Result<Results, String>>,
    /// Whether the known results are all there are to be.
    pub only_known: bool,
}

impl Suites<'_> {
    /// The results of a suite; or, in words, why there are none.
    ///
    /// # Errors
    /// Whatever ends the command; missing data do not.
    pub fn results(&mut self, suite: &str) -> Result<Result<Results, String>> {
        if let Some(known) = self.known.get(suite) {
            return Ok(known.clone());
        }
        if self.only_known {
            return Ok(Err(format!(
                "needs results of the suite `{suite}`, which --from does not name"
            )));
        }
        let library = (self.library)();
        let completed = library.and_then(|library| {
            ablation::complete(suite, self.store, self.threads, self.scale, library)
        });
        let results = or_reason(completed)?
            .map(|(results, _)| results)
            .map_err(|reason| format!("suite `{suite}`: {reason}"));
        self.known.insert(suite.into(), results.clone());
        Ok(results)
    }
}

/// Missing data as words, since they concern only what needs them; other errors as they are.
pub(super) fn or_reason<T>(result: Result<T>) -> Result<Result<T, String>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Error::Data(error)) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}
