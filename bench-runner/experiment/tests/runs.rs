//! When a run ends, and what it counts.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bench_data::{Library, Silent};
use bench_experiment::problem::Environment;
use bench_experiment::run::{Outcome, RunRecord, plan, run, start};
use bench_experiment::spec::Experiment;
use candle_core::Device;
use optim::{Meter, Oracle};

/// An experiment with one problem and one optimizer.
fn experiment(problem: &str, optimizer: &str) -> Experiment {
    let text = format!(
        "name = 'one'\nseeds = 1\n[[problem]]\nlabel = 'p'\n{problem}\n[[optimizer]]\n{optimizer}\n"
    );
    Experiment::parse(&text, Path::new("one.toml")).unwrap()
}

fn environment() -> Environment {
    Environment {
        library: Library::from_env(None, Arc::new(Silent)).unwrap().into(),
        device: Device::Cpu,
    }
}

/// The first run of an experiment with one problem and one optimizer.
fn only(problem: &str, optimizer: &str) -> RunRecord {
    let experiment = experiment(problem, optimizer);
    let cell = plan(&experiment)[0];
    let never = AtomicBool::new(false);
    run(
        cell.problem,
        cell.optimizer,
        cell.seed,
        &environment(),
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

/// Every first-order kind runs on a noisy function, with settings of its own.
#[test]
fn every_first_order_kind_descends() {
    let rosenbrock =
        "kind = 'function'\nfunction = 'rosenbrock'\ndimension = 6\nnoise = 0.01\nbudget = 400";
    for optimizer in [
        "kind = 'sgd'\nlearning_rate = 0.0005\nmomentum = 0.9\nnesterov = true\n\
         schedule = { kind = 'one-cycle', warm_up = { budget = 0.3 }, steps = { budget = 1.0 } }",
        "kind = 'adam'\nlearning_rate = 0.02",
        "kind = 'nadamw'\nlearning_rate = 0.02\nlook_ahead = 'constant'",
        "kind = 'nadamw'\nlearning_rate = 0.02\nlook_ahead = { growing = 0.01 }",
        "kind = 'lion'\nlearning_rate = 0.005",
        "kind = 'schedule-free-adamw'\nlearning_rate = 0.05",
        "kind = 'prodigy'\nd_coef = 2.0",
        "kind = 'swats'\nlearning_rate = 0.02\nrelative_tolerance = 0.01",
        "kind = 'muon'\nadam = { learning_rate = 0.02 }",
        "kind = 'shampoo'\nlearning_rate = 0.02",
        "kind = 'soap'\nlearning_rate = 0.02\nprecondition_vectors = true",
    ] {
        let record = only(rosenbrock, optimizer);
        let (start, end) = (record.curve[0].loss, record.last().unwrap().loss);
        assert!(
            matches!(record.outcome, Outcome::Completed { .. }) && end < 0.2 * start,
            "{optimizer}: {start} to {end}: {:?}",
            record.outcome
        );
    }
}

/// Schedule-Free AdamW is measured at its average, wherever it trains; and measuring changes nothing.
#[test]
fn a_method_that_averages_is_measured_at_the_average() {
    let problem = |budget: u64, points: u64| {
        format!(
            "kind = 'quadratic'\ndimension = 8\ncondition = 10.0\nbudget = {budget}\npoints = {points}\n\
             resolution = 1.0"
        )
    };
    let settings =
        "kind = 'schedule-free-adamw'\nlearning_rate = 0.3\nbeta1 = 0.5\nstep_power = 2.0";
    let record = only(&problem(12, 12), settings);
    assert_eq!(record.curve.len(), 13);
    // The same steps by hand.
    let experiment = experiment(&problem(12, 12), settings);
    let cell = plan(&experiment)[0];
    let (mut built, mut optimizer) =
        start(cell.problem, cell.optimizer, cell.seed, &environment()).unwrap();
    let mut meter = Meter::new();
    let mut apart = 0;
    for point in &record.curve[1..] {
        let mut objective = built.objective(point.step - 1).unwrap();
        optimizer
            .step(&mut Oracle::new(objective.as_mut(), &mut meter))
            .unwrap();
        drop(objective);
        let training = built.parameters().snapshot().unwrap();
        let here = built.measure().unwrap().loss;
        let average = optimizer.evaluation_parameters().unwrap().unwrap();
        built.parameters().restore(&average).unwrap();
        let loss = built.measure().unwrap().loss;
        built.parameters().restore(&training).unwrap();
        assert_eq!(loss.to_bits(), point.loss.to_bits(), "step {}", point.step);
        apart += u64::from((here - loss).abs() > 1e-6 * loss);
    }
    assert!(
        apart > 8,
        "{apart} of 12 points differ from the parameters'"
    );
    // Fewer measurements leave the others as they are.
    let rarely = only(&problem(12, 2), settings);
    assert!(rarely.curve.len() < 13);
    for point in &rarely.curve {
        let same = &record.curve[usize::try_from(point.step).unwrap()];
        assert_eq!(same.loss.to_bits(), point.loss.to_bits());
    }
}
