//! A part of an experiment: some of its problems and optimizers.

use std::collections::BTreeSet;

use glob::Pattern;

use super::experiment::Experiment;
use super::scale::PART;
use crate::error::{Error, Result};
use crate::settings::Invalid;

/// Which problems and optimizers of an experiment are run: those of which a pattern matches the label. In a
/// pattern `*` stands for any letters, `?` for one, `[ab]` for one of these. Without patterns all are run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    problems: Vec<Pattern>,
    optimizers: Vec<Pattern>,
}

impl Selection {
    /// The selection of labels that match these patterns.
    ///
    /// # Errors
    /// Naming a pattern that is none.
    pub fn new(problems: &[String], optimizers: &[String]) -> Result<Self> {
        let patterns = |key: &str, texts: &[String]| -> Result<Vec<Pattern>> {
            let parse = |text: &String| {
                let refused = |error: glob::PatternError| {
                    Error::Setting(Invalid::value(key, text, error.msg.to_owned()))
                };
                Pattern::new(text).map_err(refused)
            };
            texts.iter().map(parse).collect()
        };
        Ok(Self {
            problems: patterns("problems", problems)?,
            optimizers: patterns("optimizers", optimizers)?,
        })
    }

    /// Whether all are run.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

/// The patterns, where each matches one of the labels.
fn check(what: &'static str, patterns: &[Pattern], labels: &[String]) -> Result<()> {
    let matches = |pattern: &&Pattern| labels.iter().any(|label| pattern.matches(label));
    match patterns.iter().find(|pattern| !matches(pattern)) {
        Some(pattern) => Err(Error::unknown(what, pattern.as_str(), labels.iter())),
        None => Ok(()),
    }
}

fn is_selected(patterns: &[Pattern], label: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(label))
}

impl Experiment {
    /// A part of the experiment; its name and its caveats say so.
    ///
    /// # Errors
    /// When a pattern matches nothing, or no optimizer is left for the problems.
    pub fn selected(mut self, selection: &Selection) -> Result<Self> {
        if selection.is_all() {
            return Ok(self);
        }
        let problems: Vec<String> = self.problems.iter().map(|it| it.label.clone()).collect();
        let optimizers: Vec<String> = self.optimizers.iter().map(|it| it.label.clone()).collect();
        check("problem", &selection.problems, &problems)?;
        check("optimizer", &selection.optimizers, &optimizers)?;
        self.problems
            .retain(|problem| is_selected(&selection.problems, &problem.label));
        let left = &self.problems;
        self.optimizers.retain(|optimizer| {
            is_selected(&selection.optimizers, &optimizer.label)
                && left
                    .iter()
                    .any(|problem| optimizer.applies_to(&problem.label))
        });
        if self.optimizers.is_empty() {
            let reason = "none of these optimizers is run on any of these problems";
            return Err(Error::Setting(Invalid::new("optimizers", reason)));
        }
        for optimizer in &mut self.optimizers {
            optimizer
                .problems
                .retain(|label| left.iter().any(|problem| problem.label == *label));
        }
        // They may name problems that went.
        self.scales.clear();
        let parts = [
            ("problems", left.len(), problems.len()),
            ("optimizers", self.optimizers.len(), optimizers.len()),
        ];
        let parts = parts.iter().filter(|(_, own, all)| own < all);
        let parts: Vec<String> = parts
            .map(|(what, own, all)| format!("{own} of {all} {what}"))
            .collect();
        if !parts.is_empty() {
            self.caveats.insert(
                0,
                format!("A part of `{}`: {}.", self.name, parts.join(", ")),
            );
            self.name += PART;
        }
        Ok(self)
    }

    /// The part whose runs belong to these pairs of problem and optimizer, by label. Where settings are still to be chosen, all of
    /// it: what is tried for one optimizer depends on the others.
    #[must_use]
    pub fn of_cells(mut self, cells: &BTreeSet<(String, String)>) -> Self {
        if self.tuning.is_some() {
            return self;
        }
        self.problems
            .retain(|problem| cells.iter().any(|(label, _)| *label == problem.label));
        for entry in &mut self.optimizers {
            // Entries for different problems may share a label.
            let own = cells
                .iter()
                .filter(|(problem, label)| *label == entry.label && entry.applies_to(problem));
            entry.problems = own.map(|(problem, _)| problem.clone()).collect();
        }
        // To name no problem would mean all of them.
        self.optimizers.retain(|entry| !entry.problems.is_empty());
        self.scales.clear();
        self
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::spec::Suite;

    fn selected(suite: &str, problems: &[&str], optimizers: &[&str]) -> Result<Experiment> {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let (problems, optimizers): (Vec<_>, Vec<_>) = (owned(problems), owned(optimizers));
        let experiment = Suite::find(suite).unwrap().experiment().unwrap();
        experiment.selected(&Selection::new(&problems, &optimizers)?)
    }

    #[test]
    fn a_part_is_a_valid_experiment_that_says_so() {
        let part = selected("pinn", &["wave*", "convection-10"], &["lbfgs*", "adam"]).unwrap();
        let labels: Vec<&str> = part.problems.iter().map(|it| it.label.as_str()).collect();
        assert_eq!(
            labels,
            [
                "convection-10",
                "wave/width=50",
                "wave/width=100",
                "wave/width=200",
                "wave-f64"
            ]
        );
        assert_eq!(part.optimizers.len(), 3);
        assert_eq!(part.name, "pinn-part");
        assert_eq!(
            part.caveats[0],
            "A part of `pinn`: 5 of 11 problems, 3 of 9 optimizers."
        );
        let text = toml::to_string(&part).unwrap();
        assert_eq!(
            Experiment::parse(&text, Path::new("part.toml")).unwrap(),
            part
        );
        let all = selected("quick", &["*"], &[]).unwrap();
        assert_eq!((all.name.as_str(), all.problems.len()), ("quick", 8));
    }

    #[test]
    fn a_part_has_the_cells_that_are_asked_for_and_no_others() {
        // Two of its optimizers share a label, each for problems of its own.
        let suite = Suite::find("quick").unwrap().experiment().unwrap();
        let pairs = |experiment: &Experiment| -> Vec<(String, String)> {
            let cells = crate::run::plan(experiment).into_iter();
            let label = |cell: crate::run::Cell<'_>| {
                (cell.problem.label.clone(), cell.optimizer.label.clone())
            };
            cells.map(label).collect()
        };
        let all: BTreeSet<(String, String)> = pairs(&suite).into_iter().collect();
        let cells: BTreeSet<(String, String)> = all.into_iter().step_by(3).collect();
        let made = pairs(&suite.clone().of_cells(&cells));
        assert_eq!(made.len(), cells.len() * suite.seeds.len());
        assert_eq!(made.into_iter().collect::<BTreeSet<_>>(), cells);
        assert!(suite.of_cells(&BTreeSet::new()).optimizers.is_empty());
    }

    #[test]
    fn what_selects_nothing_is_named() {
        let said = |problems: &[&str], optimizers: &[&str]| {
            selected("pinn", problems, optimizers)
                .unwrap_err()
                .to_string()
        };
        assert!(said(&["wave/width=51"], &[]).contains("did you mean `wave/width=50`?"));
        assert!(said(&[], &["sgd*"]).starts_with("unknown optimizer `sgd*`"));
        let pattern = said(&["a[b"], &[]);
        assert!(
            pattern.contains("problems") && pattern.contains("a[b"),
            "{pattern}"
        );
        assert!(said(&["wave-f64"], &["adam"]).contains("none of these optimizers"));
    }
}
