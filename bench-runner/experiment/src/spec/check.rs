//! The rules that span several tables of an experiment file.

use std::collections::BTreeMap;

use bench_data::suggestion::suggestion;

use super::experiment::{Experiment, OptimizerEntry, ProblemEntry, method};
use super::locate::{SpecError, Table};

/// Runs of an experiment, at most.
const MOST_RUNS: usize = 1_000_000;
/// Letters in an experiment's name, at most.
const LONGEST_NAME: usize = 100;

/// Whether the tables of an experiment fit together.
pub(super) fn check(experiment: &Experiment, root: &Table<'_>) -> Result<(), SpecError> {
    let valid_name = |name: &str| {
        (1..=LONGEST_NAME).contains(&name.len())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            && !name.starts_with('.')
    };
    if !valid_name(&experiment.name) {
        return Err(root.error(format!(
            "`name` = \"{}\": use up to {LONGEST_NAME} letters, digits, `-`, `_` and `.`; it names the report's folder",
            experiment.name
        )));
    }
    countable(experiment, root)?;
    fair(experiment, root)?;
    for (scale, cut) in &experiment.scales {
        let problems = experiment.problems.iter().map(|it| &it.label);
        let optimizers = experiment.optimizers.iter().map(|it| &it.label);
        for (what, kept, known) in [
            ("problem", &cut.problems, problems.collect::<Vec<_>>()),
            ("optimizer", &cut.optimizers, optimizers.collect()),
        ] {
            if let Some(label) = kept.iter().find(|label| !known.contains(label)) {
                let reason = format!("`scale.{scale}`: no {what} is called `{label}`");
                return Err(root.error(reason));
            }
        }
    }
    for problem in &experiment.problems {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in experiment.optimizers_for(&problem.label) {
            *counts.entry(&entry.label).or_default() += 1;
        }
        if let Some(entry) = experiment
            .optimizers_for(&problem.label)
            .find(|entry| entry.config.needs_overlap() && !problem.config.has_overlap())
        {
            return Err(root.error(format!(
                        "`{}` takes its curvature pairs from samples that batches share, and those of `{}` share none: \
                         give the problem an `order = {{ overlap = … }}`, or the optimizer other `pairs`",
                        entry.label, problem.label
                    )));
        }
        if let Some(entry) = experiment
            .optimizers_for(&problem.label)
            .find(|entry| entry.config.chooses_batches() && !problem.config.joins_batches())
        {
            return Err(root.error(format!(
                "`{}` chooses the size of its batches, and those of `{}` cannot grow: take a `finite-sum` or a \
                 `classification` without overlap and faults, or leave `sample_test` \
                 and `switch_batch` out",
                entry.label, problem.label
            )));
        }
        twice(experiment, problem).map_err(|message| root.error(message))?;
        if counts.is_empty() {
            return Err(root.error(format!("no optimizer applies to `{}`", problem.label)));
        }
        if let Some((label, _)) = counts.iter().find(|(_, count)| **count > 1) {
            return Err(root.error(format!(
                "two `{label}` optimizers apply to `{}`: labels must be unique per problem",
                problem.label
            )));
        }
    }
    Ok(())
}

/// Whether all problems that the optimizers of a file are for are in it.
pub(super) fn named(experiment: &Experiment, mut root: Table<'_>) -> Result<(), SpecError> {
    let labels = experiment.problems.iter().map(|it| it.label.clone());
    let labels: Vec<String> = labels.collect();
    for mut table in root.tables("optimizer")? {
        let here = table.error_at("problems", "");
        let named: Vec<String> = table.optional("problems")?.unwrap_or_default();
        if let Some(label) = named.iter().find(|label| !labels.contains(label)) {
            return Err(SpecError {
                message: format!(
                    "`problems`: no problem is called `{label}`{}",
                    suggestion(&labels, label)
                ),
                ..here
            });
        }
    }
    Ok(())
}

/// Whether no method has the same run on a problem twice, and no two methods have the same runs, which would tie whatever
/// they are. They may share some: the trials of one are then a choice from those of others.
fn twice(experiment: &Experiment, problem: &ProblemEntry) -> Result<(), String> {
    // There the label makes a difference.
    if problem.config.depends_on_optimizer() {
        return Ok(());
    }
    let same = |one: &OptimizerEntry, other: &OptimizerEntry| {
        (one.stream, one.perturbation) == (other.stream, other.perturbation)
            && one.config == other.config
            && one.trials == other.trials
    };
    // Neither has a run twice.
    let equal = |one: &[&OptimizerEntry], other: &[&OptimizerEntry]| {
        let has = |entry: &&OptimizerEntry| other.iter().any(|other| same(entry, other));
        one.len() == other.len() && one.iter().all(has)
    };
    let refused = |one: &OptimizerEntry, other: &OptimizerEntry| {
        Err(format!(
            "`{}` and `{}` are the same runs of `{}`: give one of them a `stream` of its own",
            one.label, other.label, problem.label
        ))
    };
    let mut methods: BTreeMap<String, Vec<&OptimizerEntry>> = BTreeMap::new();
    for entry in experiment.optimizers_for(&problem.label) {
        let trials = methods.entry(method(&entry.label)).or_default();
        if let Some(other) = trials.iter().find(|other| same(entry, other)) {
            return refused(other, entry);
        }
        trials.push(entry);
    }
    let methods: Vec<Vec<&OptimizerEntry>> = methods.into_values().collect();
    for (index, one) in methods.iter().enumerate() {
        let mut others = methods[..index].iter();
        if let Some(other) = others.find(|other| equal(one, other)) {
            return refused(other[0], one[0]);
        }
    }
    Ok(())
}

/// Whether the runs are few enough to be planned, in the comparison and in the trials before it.
fn countable(experiment: &Experiment, root: &Table<'_>) -> Result<(), SpecError> {
    let pairs = experiment.problems.iter().map(|problem| {
        let entries = experiment.optimizers_for(&problem.label);
        let sizes = entries.map(|entry| (1, entry.trials.len()));
        sizes.fold((0, 0), |(entries, trials), (entry, own)| {
            (entries + entry, trials + own)
        })
    });
    let (entries, trials) = pairs.fold((0_usize, 0_usize), |(entries, trials), (entry, own)| {
        (entries + entry, trials + own)
    });
    let tuning = experiment.tuning.as_ref();
    for (count, seeds) in [
        (entries, experiment.seeds.len()),
        (trials, tuning.map_or(0, |tuning| tuning.seeds.len())),
    ] {
        let runs = count.saturating_mul(seeds);
        if runs > MOST_RUNS {
            return Err(root.error(format!(
                "{count} settings of optimizers on problems, each with {seeds} seeds, are {runs} runs: \
                 at most {MOST_RUNS} are possible"
            )));
        }
    }
    Ok(())
}

/// The rules that make a choice of settings fair.
fn fair(experiment: &Experiment, root: &Table<'_>) -> Result<(), SpecError> {
    let searched = |entry: &&OptimizerEntry| !entry.trials.is_empty();
    let Some(tuning) = &experiment.tuning else {
        return match experiment.optimizers.iter().find(searched) {
            Some(entry) => Err(root.error(format!(
                "`{}` has a `search`, but there is no [tuning] to choose by",
                entry.label
            ))),
            None => Ok(()),
        };
    };
    if let Some(seed) = tuning
        .seeds
        .iter()
        .find(|seed| experiment.seeds.contains(seed))
    {
        return Err(root.error(format!(
            "seed {seed} is in `seeds` and in `tuning.seeds`: results would be reported on the seeds that chose them"
        )));
    }
    let mut counts = experiment.optimizers.iter().map(|entry| entry.trials.len());
    let first = counts.next().unwrap_or_default();
    for (entry, count) in experiment.optimizers.iter().skip(1).zip(counts) {
        if count != first {
            return Err(root.error(format!(
                "`{}` searches {count} settings and `{}` {first}: with [tuning] every optimizer needs as many",
                entry.label, experiment.optimizers[0].label
            )));
        }
    }
    if first == 0 {
        return Err(root.error("[tuning] needs a `search` table in every [[optimizer]]"));
    }
    Ok(())
}
