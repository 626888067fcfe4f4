//! When a run ends, and what it counts.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bench_data::{Library, Silent};
use bench_experiment::problem::Environment;
use bench_experiment::run::{Outcome, RunRecord, plan, run};
use bench_experiment::spec::Experiment;
use candle_core::Device;

/// The first run of an experiment with one problem and one optimizer.
fn only(problem: &str, optimizer: &str) -> RunRecord {
    let text = format!(
        "name = 'one'\nseeds = 1\n[[problem]]\nlabel = 'p'\n{problem}\n[[optimizer]]\n{optimizer}\n"
    );
    let experiment = Experiment::parse(&text, Path::new("one.toml")).unwrap();
    let cell = plan(&experiment)[0];
    let environment = Environment {
        library: Library::from_env(None, Arc::new(Silent)).unwrap().into(),
        device: Device::Cpu,
    };
    let never = AtomicBool::new(false);
    run(
        cell.problem,
        cell.optimizer,
        cell.seed,
        &environment,
        None,
        &never,
        &mut |_| {},
    )
}

#[test]
fn a_run_that_starts_at_a_huge_loss_may_descend() {
    let chebyquad =
        "kind = 'mgh'\nfunction = 'chebyquad'\ndimension = 10\nstart = 100\nbudget = 300";
    let record = only(chebyquad, "kind = 'lbfgs'");
    let (start, end) = (record.curve[0].loss, record.last().unwrap().loss);
    assert!(start > 1e30, "{start}");
    assert!(
        matches!(record.outcome, Outcome::Completed { .. }) && end < 1e-6 * start,
        "{start} to {end}: {:?}",
        record.outcome
    );
}

#[test]
fn a_loss_that_grows_beyond_all_bounds_ends_the_run() {
    for start in ["start = 1", "start = 100"] {
        let problem = format!(
            "kind = 'mgh'\nfunction = 'variably-dimensioned'\ndimension = 10\n{start}\nbudget = 300"
        );
        let record = only(&problem, "kind = 'sgd'\nlearning_rate = 1.0");
        assert!(
            matches!(record.outcome, Outcome::Diverged { step, .. } if step < 20),
            "{start}: {:?}",
            record.outcome
        );
    }
}

#[test]
fn sample_gradients_are_evaluations_times_the_samples_of_each_batch() {
    let digits = "kind = 'classification'\ndata = 'digits'\nbatch_size = 512\nbudget = 7\npoints = 7\n\
        order = { drop_last = false }\nmodel = { kind = 'linear', inputs = 64, classes = 10 }";
    let record = only(digits, "kind = 'adam'");
    let counted: Vec<u64> = record
        .curve
        .iter()
        .filter_map(|point| point.sample_gradients)
        .collect();
    // 1438 samples: the third batch of an epoch has 414.
    let batches = [512, 512, 414, 512, 512, 414, 512];
    let sums = batches.iter().scan(0, |sum, batch| {
        *sum += batch;
        Some(*sum)
    });
    let expected: Vec<u64> = [0].into_iter().chain(sums).collect();
    assert_eq!(counted, expected);
    // Results from before the count existed are the same results.
    let mut older = record.clone();
    for point in &mut older.curve {
        point.sample_gradients = None;
    }
    assert_eq!(older.digest(), record.digest());

    let switched = "kind = 'fuse-pv'\ncriterion = { step = 2 }";
    let record = only(&digits.replace("budget = 7", "budget = 20"), switched);
    assert_eq!(record.switches[0].sample_gradients, Some(1024));

    let function = "kind = 'function'\nfunction = 'beale'\nbudget = 50";
    let record = only(function, "kind = 'adam'");
    assert!(
        record
            .curve
            .iter()
            .all(|point| point.sample_gradients.is_none())
    );
}
