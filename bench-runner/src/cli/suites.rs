//! Results of built-in suites for commands that need several: each is made or read once.

use std::collections::{BTreeMap, BTreeSet};

use bench_analysis::stability::SuiteStability;
use bench_experiment::session::Session;
use bench_experiment::spec::{Experiment, Scale, Stability, Suite};
use bench_experiment::store::Results;

use crate::error::{Error, Result};

/// The results of a suite, or why there are none.
#[derive(Debug, Clone)]
pub enum OfSuite {
    /// The results.
    Known(Box<Results>),
    /// Why they are not there.
    Missing(String),
}

/// Results of suites: known, or completed through the store when first asked for.
pub struct Suites<'a> {
    /// Who makes them; `None` where the known results are all there are to be.
    pub session: Option<&'a Session<'a>>,
    /// How much of each suite is run.
    pub scale: Scale,
    /// By suite.
    pub known: BTreeMap<String, OfSuite>,
}

impl Suites<'_> {
    /// The results of a suite, at the scale that its name tells if it tells one; or, in words, why there
    /// are none.
    ///
    /// # Errors
    /// Whatever ends the command; missing data do not.
    pub fn results(&mut self, suite: &str) -> Result<&OfSuite> {
        let scale = self.scale;
        self.results_of(suite, || experiment(suite, scale))
    }

    /// Repeats the runs of some pairs of problem and optimizer of a suite, by label, from perturbed starts, and keeps what comes of
    /// it with the suite's results. Where these have repetitions already, nothing is done.
    ///
    /// # Errors
    /// Whatever ends the command.
    pub fn perturb(
        &mut self,
        suite: &str,
        cells: &BTreeSet<(String, String)>,
        stability: Stability,
    ) -> Result<()> {
        if let (Some(session), Some(OfSuite::Known(results))) =
            (self.session, self.known.get_mut(suite))
            && results.stability.is_none()
            && !cells.is_empty()
        {
            let mut experiment = experiment(suite, self.scale)?.of_cells(cells);
            experiment.stability = Some(stability);
            results.stability = session.suite(experiment)?.results.stability;
        }
        Ok(())
    }

    /// The results that are known by a name, or else those of an experiment.
    ///
    /// # Errors
    /// As [`results`](Self::results).
    pub fn results_of(
        &mut self,
        name: &str,
        experiment: impl FnOnce() -> bench_experiment::Result<Experiment>,
    ) -> Result<&OfSuite> {
        if !self.known.contains_key(name) {
            let made = match self.session {
                None => OfSuite::Missing(format!(
                    "needs results of the suite `{name}`, which --from does not name"
                )),
                Some(session) => match session.suite(experiment()?).map_err(Error::from) {
                    Ok(made) => OfSuite::Known(Box::new(made.results)),
                    Err(error) if error.is_missing_data() => {
                        OfSuite::Missing(format!("suite `{name}`: {error}"))
                    }
                    Err(error) => return Err(error),
                },
            };
            self.known.insert(name.into(), made);
        }
        Ok(&self.known[name])
    }

    /// What repetitions from perturbed starts found, of the suites that have any.
    pub fn stability(&self) -> Vec<SuiteStability> {
        let known = self.known.values();
        let stability = known.filter_map(|suite| match suite {
            OfSuite::Known(results) => SuiteStability::of(results),
            OfSuite::Missing(_) => None,
        });
        stability.collect()
    }
}

/// A suite, at the scale that its name tells if it tells one.
fn experiment(suite: &str, scale: Scale) -> bench_experiment::Result<Experiment> {
    let scale = match Scale::of_name(suite) {
        Scale::Full => scale,
        told => told,
    };
    let suite = Suite::find(Scale::suite_of(suite))?;
    Ok(suite.experiment()?.scaled(scale))
}
