//! Trials of settings, and the choice among them.

use std::collections::BTreeMap;

use bench_stats::median_or_infinite;
use serde_json::Value;

use crate::optimizer::OptimizerConfig;
use crate::run::{Outcome, RunRecord};
use crate::spec::{Experiment, JudgedBy, OptimizerEntry, Trial, Tuning, check_settings};
use crate::store::{Choice, TuningSummary};

/// A search for settings: what every optimizer tries on every problem.
///
/// A list of numbers grows until the best of them has neighbours on both sides, which is what shows that
/// it is the best and not the end of the list. Optimizers whose best is not at an end then try as many
/// further settings, between the best and its neighbours: nobody's choice is from more trials.
pub struct Search<'e> {
    experiment: &'e Experiment,
    tuning: &'e Tuning,
    tried: Vec<Tried<'e>>,
}

/// What an optimizer tries on a problem.
struct Tried<'e> {
    entry: &'e OptimizerEntry,
    problem: &'e str,
    trials: Vec<Trial>,
}

impl<'e> Search<'e> {
    /// The search of an experiment, with the trials that its file names. `None` where nothing is tuned.
    pub fn new(experiment: &'e Experiment) -> Option<Self> {
        let tuning = experiment.tuning.as_ref()?;
        let mut tried = Vec::new();
        for entry in &experiment.optimizers {
            for problem in &experiment.problems {
                if entry.applies_to(&problem.label) {
                    tried.push(Tried {
                        entry,
                        problem: &problem.label,
                        trials: entry.trials.clone(),
                    });
                }
            }
        }
        Some(Self {
            experiment,
            tuning,
            tried,
        })
    }

    /// The experiment whose runs are the trials: labels are `optimizer/setting`. Where trials are judged
    /// by the test loss, held-out training data stand in the test set's place.
    pub fn trials(&self) -> Experiment {
        let mut trials = self.experiment.clone();
        trials.name = format!("{}-tuning", self.experiment.name);
        trials.description = format!(
            "Trials from which the settings of `{}` are chosen, judged by {}.",
            self.experiment.name,
            match self.tuning.by {
                JudgedBy::Loss => "the final loss",
                JudgedBy::TestLoss => "the final loss on held-out training data",
            }
        );
        trials.seeds = self.tuning.seeds.clone();
        trials.tuning = None;
        trials.stability = None;
        for problem in &mut trials.problems {
            let share = self.tuning.validation;
            if let Some(config) = share.and_then(|share| problem.config.held_out(share)) {
                problem.config = config;
            }
        }
        trials.optimizers.clear();
        for entry in &self.experiment.optimizers {
            let of_entry = |tried: &&Tried<'_>| std::ptr::eq(tried.entry, entry);
            let mut entries: Vec<OptimizerEntry> = Vec::new();
            for tried in self.tried.iter().filter(of_entry) {
                for trial in &tried.trials {
                    let label = trial_label(&entry.label, &trial.setting);
                    let same = entries
                        .iter_mut()
                        .find(|known| known.label == label && known.config == trial.config);
                    match same {
                        Some(known) => known.problems.push(tried.problem.into()),
                        None => entries.push(OptimizerEntry {
                            label,
                            problems: vec![tried.problem.into()],
                            stream: entry.stream,
                            perturbation: entry.perturbation,
                            trials: Vec::new(),
                            config: trial.config.clone(),
                        }),
                    }
                }
            }
            let everywhere = self.tried.iter().filter(of_entry).count();
            for mut trial in entries {
                // What is tried on all problems says no more than the entry does.
                if trial.problems.len() == everywhere {
                    trial.problems = entry.problems.clone();
                }
                trials.optimizers.push(trial);
            }
        }
        trials
    }

    /// Adds the trials that the `records` of those so far ask for; whether there are any.
    pub fn extend(&mut self, records: &[RunRecord]) -> bool {
        let seeds = self.tuning.seeds.len();
        let by = self.tuning.by;
        let mut added = false;
        for tried in &mut self.tried {
            if tried.are_made(records, seeds) {
                let further = tried.beyond(records, by, self.tuning.extensions);
                added |= !further.is_empty();
                tried.trials.extend(further);
            }
        }
        for problem in &self.experiment.problems {
            let here = |tried: &&mut Tried<'_>| tried.problem == problem.label;
            let counts = self.tried.iter_mut().filter(here);
            let most = counts.map(|tried| tried.trials.len()).max().unwrap_or(0);
            for tried in self.tried.iter_mut().filter(here) {
                let missing = most - tried.trials.len();
                if missing > 0 && tried.are_made(records, seeds) {
                    let mut further = tried.between(records, by);
                    further.truncate(missing);
                    added |= !further.is_empty();
                    tried.trials.extend(further);
                }
            }
        }
        added
    }

    /// The experiment with the settings that did best in the trials' `records`, and how they were chosen.
    pub fn chosen(&self, records: &[RunRecord]) -> (Experiment, TuningSummary) {
        let mut tuned = Experiment {
            tuning: None,
            optimizers: Vec::new(),
            ..self.experiment.clone()
        };
        let mut choices = Vec::new();
        for tried in &self.tried {
            let losses = tried.losses(records, self.tuning.by);
            let Some(best) = best(&losses).and_then(|index| tried.trials.get(index)) else {
                continue;
            };
            choices.push(Choice {
                problem: tried.problem.into(),
                optimizer: tried.entry.label.clone(),
                setting: best.setting.clone(),
                at_edge: tried.at_edge(best),
                trials: tried
                    .trials
                    .iter()
                    .zip(&losses)
                    .map(|(trial, loss)| {
                        let finite = Some(*loss).filter(|loss| loss.is_finite());
                        (trial.setting.clone(), finite)
                    })
                    .collect(),
            });
            tuned.optimizers.push(OptimizerEntry {
                problems: vec![tried.problem.into()],
                trials: Vec::new(),
                config: best.config.clone(),
                ..tried.entry.clone()
            });
        }
        let summary = TuningSummary {
            by: self.tuning.by,
            runs: records.len(),
            evaluations: records
                .iter()
                .map(|record| record.counts.evaluations())
                .sum(),
            seconds: records.iter().map(|record| record.seconds).sum(),
            choices,
        };
        (tuned, summary)
    }
}

impl Tried<'_> {
    /// The runs of a trial.
    fn runs<'r>(
        &self,
        records: &'r [RunRecord],
        trial: &Trial,
    ) -> impl Iterator<Item = &'r RunRecord> {
        let label = trial_label(&self.entry.label, &trial.setting);
        records.iter().filter(move |record| {
            record.cell.problem == self.problem && record.cell.optimizer == label
        })
    }

    /// Whether all runs of all trials are there.
    fn are_made(&self, records: &[RunRecord], seeds: usize) -> bool {
        let mut trials = self.trials.iter();
        trials.all(|trial| self.runs(records, trial).count() == seeds)
    }

    /// What each trial is judged by: the median over seeds of the final loss; a run that did not complete
    /// counts as infinite.
    fn losses(&self, records: &[RunRecord], by: JudgedBy) -> Vec<f64> {
        let loss = |record: &RunRecord| match (&record.outcome, record.last(), by) {
            (Outcome::Completed { .. }, Some(point), JudgedBy::TestLoss) => {
                point.test_loss.unwrap_or(point.loss)
            }
            (Outcome::Completed { .. }, Some(point), JudgedBy::Loss) => point.loss,
            _ => f64::INFINITY,
        };
        let trials = self.trials.iter();
        trials
            .map(|trial| {
                let losses: Vec<f64> = self.runs(records, trial).map(loss).collect();
                median_or_infinite(&losses)
            })
            .collect()
    }

    /// The best trial, if any ended with a loss.
    fn best(&self, records: &[RunRecord], by: JudgedBy) -> Option<&Trial> {
        let losses = self.losses(records, by);
        let best = best(&losses).filter(|&index| losses[index].is_finite())?;
        self.trials.get(best)
    }

    /// The numbers that are searched, by their keys, each with the values of all trials in ascending order:
    /// positive settings that every trial has and that differ between some.
    fn axes(&self) -> BTreeMap<String, Vec<f64>> {
        let mut axes: Option<BTreeMap<String, Vec<f64>>> = None;
        for trial in &self.trials {
            let mut own = numbers(&trial.config);
            axes = Some(match axes {
                None => own.into_iter().map(|(key, it)| (key, vec![it])).collect(),
                Some(known) => known
                    .into_iter()
                    .filter_map(|(key, mut values)| {
                        values.push(own.remove(&key)?);
                        Some((key, values))
                    })
                    .collect(),
            });
        }
        let mut axes = axes.unwrap_or_default();
        for values in axes.values_mut() {
            values.sort_by(f64::total_cmp);
            values.dedup();
        }
        axes.retain(|_, values| values.len() > 1 && values[0] > 0.0);
        axes
    }

    /// The keys of the numbers of which a trial has the least or the greatest that was tried.
    fn at_edge(&self, trial: &Trial) -> Vec<String> {
        let own = numbers(&trial.config);
        let axes = self.axes().into_iter();
        axes.filter(|(key, values)| {
            let ends = [values.first(), values.last()];
            own.get(key)
                .is_some_and(|value| ends.contains(&Some(value)))
        })
        .map(|(key, _)| key)
        .collect()
    }

    /// The trials beyond the ends at which the best one stands, at most `extensions` values beyond each end
    /// of the file's list.
    fn beyond(&self, records: &[RunRecord], by: JudgedBy, extensions: u64) -> Vec<Trial> {
        let Some(best) = self.best(records, by) else {
            return Vec::new();
        };
        let own = numbers(&best.config);
        let given: Vec<_> = self
            .entry
            .trials
            .iter()
            .map(|it| numbers(&it.config))
            .collect();
        let mut further = Vec::new();
        for (key, values) in self.axes() {
            let Some(&value) = own.get(&key) else {
                continue;
            };
            let given = || {
                given
                    .iter()
                    .filter_map(|numbers| numbers.get(&key).copied())
            };
            let least = given().fold(f64::INFINITY, f64::min);
            let greatest = given().fold(0.0, f64::max);
            let beyond = |is_beyond: &dyn Fn(f64) -> bool| {
                (values.iter().filter(|value| is_beyond(**value)).count() as u64) < extensions
            };
            if value == values[0] && beyond(&|value| value < least) {
                further.extend(self.with(best, &key, next(values.iter().rev())));
            }
            if Some(&value) == values.last() && beyond(&|value| value > greatest) {
                further.extend(self.with(best, &key, next(values.iter())));
            }
        }
        further
    }

    /// The trials halfway, in ratio, between the best one and its neighbours.
    fn between(&self, records: &[RunRecord], by: JudgedBy) -> Vec<Trial> {
        let Some(best) = self.best(records, by) else {
            return Vec::new();
        };
        let own = numbers(&best.config);
        let mut further = Vec::new();
        for (key, values) in self.axes() {
            let Some(&value) = own.get(&key) else {
                continue;
            };
            let below = values.iter().rev().find(|other| **other < value);
            let above = values.iter().find(|other| **other > value);
            for neighbour in [below, above].into_iter().flatten() {
                let middle = rounded((value * neighbour).sqrt());
                further.extend(self.with(best, &key, middle));
            }
        }
        further
    }

    /// A trial with another number at a key; `None` where the settings cannot have it, or it has been
    /// tried.
    fn with(&self, trial: &Trial, key: &str, value: f64) -> Option<Trial> {
        let mut json = serde_json::to_value(&trial.config).ok()?;
        let pointer = format!("/{}", key.replace('.', "/"));
        let place = json.pointer_mut(&pointer)?;
        let before = std::mem::replace(place, value.into());
        let config: OptimizerConfig = serde_json::from_value(json).ok()?;
        check_settings(&config).ok()?;
        if self.trials.iter().any(|other| other.config == config) {
            return None;
        }
        let name = key.rsplit('.').next().unwrap_or(key);
        let part = |value: f64| format!("{name}={}", toml::Value::Float(value));
        let (old, new) = (part(before.as_f64()?), part(value));
        let mut parts: Vec<&str> = trial.setting.split('/').collect();
        match parts.iter_mut().find(|part| **part == old) {
            Some(part) => *part = &new,
            None => parts.push(&new),
        }
        let setting = parts.join("/");
        let known = self.trials.iter().any(|other| other.setting == setting);
        (!known).then_some(Trial { setting, config })
    }
}

fn trial_label(optimizer: &str, setting: &str) -> String {
    format!("{optimizer}/{setting}")
}

/// The least of some losses; the first of equals, so that the order of the search decides.
fn best(losses: &[f64]) -> Option<usize> {
    (0..losses.len()).min_by(|&a, &b| losses[a].total_cmp(&losses[b]))
}

/// The settings that are written as numbers with a point, by their keys, `a.b` of tables in tables.
fn numbers(config: &OptimizerConfig) -> BTreeMap<String, f64> {
    fn collect(key: &str, value: &Value, numbers: &mut BTreeMap<String, f64>) {
        match value {
            Value::Object(table) => {
                for (inner, value) in table {
                    let dot = if key.is_empty() { "" } else { "." };
                    collect(&format!("{key}{dot}{inner}"), value, numbers);
                }
            }
            Value::Number(number) if number.is_f64() => {
                numbers.extend(number.as_f64().map(|number| (key.to_owned(), number)));
            }
            _ => {}
        }
    }
    let mut found = BTreeMap::new();
    // Settings that have no form in JSON could not be stored either.
    let json = serde_json::to_value(config).unwrap_or_default();
    collect("", &json, &mut found);
    found
}

/// The value that goes on where a list of at least two ends. The last ratio but one repeats, so that 1, 3,
/// 10 and 30 are followed by 100.
fn next<'v>(values: impl DoubleEndedIterator<Item = &'v f64>) -> f64 {
    let mut last = values.rev().copied();
    rounded(match (last.next(), last.next(), last.next()) {
        (Some(first), Some(second), Some(third)) => second * (first / third),
        (Some(first), Some(second), None) => first * (first / second),
        _ => f64::NAN,
    })
}

/// A number to six digits: what is tried is what labels show.
fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::run::{CurvePoint, plan};

    const TUNED: &str = r#"
name = "demo"
seeds = 2
tuning = { seeds = [100, 101], extensions = 2 }
problem = [{ label = "booth", kind = "function", function = "booth", budget = 40 }]

[[optimizer]]
kind = "adam"
search = { learning_rate = [0.01, 0.03, 0.1] }

[[optimizer]]
kind = "sgd"
search = { learning_rate = [0.01, 0.03, 0.1] }

[[optimizer]]
label = "adam (placebo)"
kind = "adam"
stream = 1
search = { learning_rate = [0.01, 0.03, 0.1] }
"#;

    /// The records of an experiment whose final losses are what `loss` says of the optimizer's label and
    /// its learning rate.
    fn records(trials: &Experiment, loss: &dyn Fn(&str, f64) -> f64) -> Vec<RunRecord> {
        plan(trials)
            .iter()
            .map(|cell| {
                let rate = cell.optimizer.config.learning_rate();
                let outcome = Outcome::Completed { reason: "".into() };
                let mut record = RunRecord::new(cell.id(), outcome);
                let loss = loss(&cell.optimizer.label, rate);
                record.curve.push(CurvePoint {
                    test_loss: Some(7.0),
                    ..CurvePoint::of_loss(0, loss)
                });
                record
            })
            .collect()
    }

    /// Searches to the end; what was chosen for each optimizer.
    fn searched(text: &str, loss: &dyn Fn(&str, f64) -> f64) -> Vec<Choice> {
        let experiment = Experiment::parse(text, Path::new("demo.toml")).unwrap();
        let mut search = Search::new(&experiment).unwrap();
        loop {
            let records = records(&search.trials(), loss);
            if !search.extend(&records) {
                return search.chosen(&records).1.choices;
            }
        }
    }

    /// How far a rate is from the best one, in powers of ten.
    fn bowl(rate: f64, best: f64) -> f64 {
        (rate / best).log10().powi(2)
    }

    #[test]
    fn lists_grow_until_the_best_is_between_others_and_all_try_as_many() {
        let choices = searched(TUNED, &|label, rate| match label {
            label if label.starts_with("sgd") => bowl(rate, 0.35),
            _ => bowl(rate, 0.025),
        });
        // 0.03, 0.1: 0.3 follows in the pattern 1, 3, 10, and then 1.
        assert_eq!(choices[1].setting, "learning_rate=0.3");
        let sgd: Vec<&str> = choices[1].trials.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(sgd[3..], ["learning_rate=0.3", "learning_rate=1.0"]);
        // The best of Adam had neighbours; its two more trials are between them.
        assert_eq!(choices[0].trials.len(), 5);
        let between = choices[0].trials[3..].iter().map(|(setting, _)| {
            let (_, rate) = setting.split_once('=').unwrap();
            rate.parse::<f64>().unwrap()
        });
        assert!(between.into_iter().all(|rate| (0.01..0.1).contains(&rate)));
        assert_eq!(choices[2].trials, choices[0].trials);
        assert!(choices.iter().all(|choice| choice.at_edge.is_empty()));
    }

    #[test]
    fn a_search_that_may_go_no_further_is_at_the_edge() {
        let choices = searched(TUNED, &|_, rate| 1.0 / rate);
        for choice in &choices {
            assert_eq!(choice.setting, "learning_rate=1.0");
            assert_eq!(choice.at_edge, ["learning_rate"]);
            assert_eq!(choice.trials.len(), 5);
        }
        let choices = searched(TUNED, &|_, rate| rate);
        assert_eq!(choices[0].setting, "learning_rate=0.001");
        assert_eq!(choices[0].at_edge, ["learning_rate"]);
        // What no setting may be ends a search, too: momentum is below 1.
        let text = TUNED.replace(
            "\"sgd\"\nsearch = { learning_rate = [0.01, 0.03, 0.1] }",
            "\"sgd\"\nsearch = { momentum = [0.25, 0.5, 0.9] }",
        );
        let choices = searched(&text, &|label, rate| match label.split_once("momentum=") {
            Some((_, momentum)) => 1.0 - momentum.parse::<f64>().unwrap(),
            None => bowl(rate, 0.03),
        });
        assert_eq!(choices[1].setting, "momentum=0.9");
        assert_eq!(choices[1].at_edge, ["momentum"]);
        assert_eq!(choices[1].trials.len(), 3);
    }

    #[test]
    fn nothing_is_added_where_nothing_is_known() {
        let experiment = Experiment::parse(TUNED, Path::new("demo.toml")).unwrap();
        let mut search = Search::new(&experiment).unwrap();
        assert!(!search.extend(&[]));
        let lost = records(&search.trials(), &|_, _| f64::INFINITY);
        assert!(!search.extend(&lost));
    }

    #[test]
    fn trials_are_judged_by_what_the_file_says() {
        let text = TUNED.replace("extensions = 2", "extensions = 0, by = \"test-loss\"");
        let choices = searched(&text, &|_, rate| 1.0 / rate);
        // All test losses are 7: the first trial is the best.
        assert_eq!(choices[0].setting, "learning_rate=0.01");
        assert_eq!(choices[0].trials[0].1, Some(7.0));
    }

    #[test]
    fn a_list_goes_on_in_its_own_pattern() {
        assert_eq!(next([0.01, 0.03, 0.1].iter()), 0.3);
        assert_eq!(next([0.01, 0.03, 0.1, 0.3].iter()), 1.0);
        assert_eq!(next([0.01, 0.03, 0.1].iter().rev()), 0.003);
        assert_eq!(next([1.0, 2.0].iter()), 4.0);
        assert_eq!(next([1.0, 4.0, 16.0].iter()), 64.0);
    }
}
