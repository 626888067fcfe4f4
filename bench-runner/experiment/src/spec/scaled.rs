//! An experiment cut to a smaller scale.

use std::fmt;

use super::experiment::Experiment;
use super::scale::{Cut, Scale};
use super::stability::Stability;

impl Experiment {
    /// The experiment at a smaller scale: its name and its caveats say what was cut.
    #[must_use]
    pub fn scaled(mut self, scale: Scale) -> Self {
        if scale == Scale::Full {
            return self;
        }
        let cut = self.scales.remove(&scale);
        let cut = cut.unwrap_or_else(|| Cut::usual(scale));
        // The others may name problems that go.
        self.scales.clear();
        let mut changes = Vec::new();
        let mut note = |what: &str, from: &dyn fmt::Display, to: &dyn fmt::Display| {
            let change = format!("{what} {from} → {to}");
            if !changes.contains(&change) {
                changes.push(change);
            }
        };
        if let Some(seeds) = cut.seeds.filter(|seeds| *seeds < self.seeds.len()) {
            note("seeds", &self.seeds.len(), &seeds);
            self.seeds.truncate(seeds);
        }
        if let Some(stability) = &mut self.stability
            && scale == Scale::Tiny
            && stability.perturbations > Stability::FEWEST
        {
            note(
                "perturbations",
                &stability.perturbations,
                &Stability::FEWEST,
            );
            stability.perturbations = Stability::FEWEST;
        }
        if !cut.problems.is_empty() && cut.problems.len() < self.problems.len() {
            note("problems", &self.problems.len(), &cut.problems.len());
            self.problems
                .retain(|problem| cut.problems.contains(&problem.label));
        }
        if !cut.optimizers.is_empty() {
            let labels = self.optimizer_labels().len();
            self.optimizers
                .retain(|entry| cut.optimizers.contains(&entry.label));
            note("optimizers", &labels, &self.optimizer_labels().len());
        }
        let mut share = 1.0f64;
        for problem in &mut self.problems {
            if let (Some(most), Some(epochs)) = (cut.epochs, problem.epochs)
                && most < epochs
            {
                note("epochs", &epochs, &most);
                problem.epochs = Some(most);
                share = share.min(most as f64 / epochs as f64);
            }
            if let Some(most) = cut.budget.filter(|most| *most < problem.budget) {
                // A run that is limited by epochs is cut by epochs alone.
                if problem.epochs.is_none() {
                    note("evaluations", &problem.budget, &most);
                    problem.budget = most;
                }
            }
            problem.points = problem.points.min(problem.budget);
            if let Some(most) = cut.samples
                && let Some((samples, config)) = problem.config.sampled(most)
                && samples.is_none_or(|samples| most < samples)
            {
                let from = samples.map_or("all".into(), |samples| samples.to_string());
                note("training samples", &from, &most);
                problem.config = config;
            }
        }
        for entry in &mut self.optimizers {
            if let Some(config) = entry.config.with_epochs(share) {
                entry.config = config;
            }
        }
        self.optimizers.retain(|entry| {
            let mut problems = self.problems.iter();
            problems.any(|problem| entry.applies_to(&problem.label))
        });
        self.name = scale.name_of(&self.name);
        let caveat = if changes.is_empty() {
            format!("At the {scale} scale, which cuts nothing.")
        } else {
            format!("Cut to the {scale} scale: {}.", changes.join(", "))
        };
        self.caveats.insert(0, caveat);
        self
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::spec::SUITES;

    #[test]
    fn every_suite_at_every_scale_is_a_valid_experiment_that_says_so() {
        for suite in SUITES {
            for (scale, _) in Scale::ALL {
                let experiment = suite.experiment().unwrap();
                let scaled = experiment.scaled(scale);
                let text = toml::to_string(&scaled).unwrap();
                let read = Experiment::parse(&text, Path::new("scaled.toml"));
                let read = read.unwrap_or_else(|error| panic!("{} {scale}: {error}", suite.name));
                assert_eq!(read, scaled, "{} {scale}", suite.name);
                let says_so = scaled
                    .caveats
                    .first()
                    .is_some_and(|c| c.contains(&format!("{scale} scale")));
                assert_eq!(says_so, scale != Scale::Full, "{} {scale}", suite.name);
                assert_eq!(Scale::suite_of(&scaled.name), suite.name);
            }
        }
    }

    #[test]
    fn a_scale_keeps_the_problems_and_optimizers_that_it_names() {
        let text = |problem: &str, optimizer: &str| {
            format!(
                "name = 'cut'\nseeds = 1\n\
                 scale = {{ small = {{ problems = ['{problem}'], optimizers = ['{optimizer}'] }} }}\n\
                 problem = [\n\
                 {{ label = 'booth', kind = 'function', function = 'booth', budget = 50 }},\n\
                 {{ label = 'beale', kind = 'function', function = 'beale', budget = 50 }}]\n\
                 optimizer = [{{ kind = 'adam' }}, {{ kind = 'lbfgs' }}]\n"
            )
        };
        let parse = |problem, optimizer| {
            Experiment::parse(&text(problem, optimizer), Path::new("cut.toml"))
        };
        let cut = parse("beale", "lbfgs").unwrap().scaled(Scale::Small);
        assert_eq!(
            (cut.problems.len(), cut.optimizer_labels()),
            (1, vec!["lbfgs"])
        );
        assert_eq!(
            cut.caveats[0],
            "Cut to the small scale: problems 2 → 1, optimizers 2 → 1."
        );
        for (problem, optimizer, missing) in [
            ("bale", "adam", "no problem is called `bale`"),
            ("beale", "adams", "no optimizer is called `adams`"),
        ] {
            let error = parse(problem, optimizer).unwrap_err().to_string();
            assert!(error.contains(missing), "{error}");
        }
    }
}
