//! When a run ends, and what it counts.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bench_data::{Library, Silent};
use bench_experiment::problem::Environment;
use bench_experiment::run::{Outcome, RunRecord, advance, plan, run, start};
use bench_experiment::spec::Experiment;
use candle_core::Device;
use optim::{Meter, Oracle, Phase};

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

/// Least squares in batches of 20, 32 of them an epoch.
const SUM: &str = "kind = 'finite-sum'\nloss = 'least-squares'\nsamples = 640\ndimension = 5\n\
    condition = 10.0\nbatch_size = 20\nbudget = 2000\npoints = 2000";

/// Evaluations, samples of the batch and batches taken so far after each step of the first run, made
/// by hand.
fn steps(optimizer: &str) -> Vec<(u64, u64, u64)> {
    let experiment = experiment(SUM, optimizer);
    let cell = plan(&experiment)[0];
    let (mut problem, mut optimizer) =
        start(cell.problem, cell.optimizer, cell.seed, &environment()).unwrap();
    let mut meter = Meter::with_budget(2000);
    let (mut next, mut made) = (0, Vec::new());
    while meter.remaining() > 0 {
        let (_, batches) = advance(problem.as_mut(), optimizer.as_mut(), next, &mut meter).unwrap();
        assert_eq!(batches.start, next);
        next = batches.end;
        let samples = 20 * (batches.end - batches.start);
        made.push((meter.counts().evaluations(), samples, next));
    }
    made
}

/// Whether a record counts what the steps made by hand cost.
fn assert_counted(record: &RunRecord, steps: &[(u64, u64, u64)]) {
    assert!(
        matches!(record.outcome, Outcome::Completed { .. }),
        "{:?}",
        record.outcome
    );
    let mut seen = 0;
    for point in &record.curve[1..] {
        let (evaluations, _, next) = steps[usize::try_from(point.step).unwrap() - 1];
        assert_eq!(
            point.gradient_evaluations + point.loss_evaluations,
            evaluations
        );
        // An evaluation counts once for each batch of 20.
        assert_eq!(point.sample_gradients, Some(20 * evaluations));
        assert_eq!(point.epoch, next as f64 / 32.0);
        seen += 1;
    }
    // The last step may not pay for all batches that it joins.
    let last = record.last().unwrap();
    let joined = steps.last().unwrap().1 / 20;
    let spent = last.gradient_evaluations + last.loss_evaluations;
    assert!((2000..2000 + joined).contains(&spent), "{spent}");
    assert!(seen > 20, "{seen} points");
}

#[test]
fn batches_grow_by_the_test_and_their_samples_are_counted() {
    let optimizer = "kind = 'lbfgs'\nmax_iter = 1\nline_search = 'armijo'\npairs = 'full-overlap'\n\
        sample_test = 0.9";
    let steps = steps(optimizer);
    let sizes: Vec<u64> = steps.iter().map(|(_, samples, _)| *samples).collect();
    assert_eq!(sizes[0], 20);
    // Never smaller than before, unless the epoch has no more.
    let mut largest = 20;
    for (_, samples, end) in &steps {
        assert!(*samples >= largest || end % 32 == 0, "{sizes:?}");
        largest = largest.max(*samples);
    }
    assert!(sizes.iter().max() >= Some(&80), "{sizes:?}");
    assert_counted(&only(SUM, optimizer), &steps);
    // As without the test where every batch is large enough.
    let lenient = optimizer.replace("0.9", "1e9");
    let sizes: Vec<u64> = self::steps(&lenient).iter().map(|step| step.1).collect();
    assert!(sizes.iter().all(|size| *size == 20), "{sizes:?}");
}

#[test]
fn batches_grow_at_the_switch_and_their_samples_are_counted() {
    let optimizer = "kind = 'fuse-pv'\ncriterion = { step = 7 }\nswitch_batch = 70\n\
        lbfgs = { max_iter = 2, pairs = 'full-overlap' }";
    let steps = steps(optimizer);
    for (index, (_, samples, end)) in steps.iter().enumerate() {
        let expected = match index {
            0..7 => 20,
            // Four batches hold 70 samples; 25 are left of the first epoch, so that one is cut.
            _ if end % 32 == 0 && *samples == 20 => 20,
            _ => 80,
        };
        assert_eq!(*samples, expected, "step {index}");
    }
    // Of the first epoch's 32 batches 7 single ones, 6 times four and one; then eight times four.
    assert_eq!((steps[12].2, steps[13].2, steps[21].2), (31, 32, 64));
    let record = only(SUM, optimizer);
    assert_counted(&record, &steps);
    assert_eq!(record.switches[0].sample_gradients, Some(140));
    assert_eq!(
        (record.switches[0].step, record.switches[0].epoch),
        (7, 7.0 / 32.0)
    );
    // A switch by epochs is seen before the batch is drawn.
    let by_epoch = optimizer.replace("step = 7", "epoch = 1");
    let sizes: Vec<u64> = self::steps(&by_epoch).iter().map(|step| step.1).collect();
    assert_eq!(sizes[30..34], [20, 20, 80, 80]);
}

#[test]
fn adam_s_batches_grow_at_a_fixed_point() {
    let growing = "kind = 'growing-adam'\nat = 7\nsamples = 70";
    let steps = steps(growing);
    let sizes: Vec<u64> = steps.iter().map(|step| step.1).collect();
    assert_eq!(sizes[..9], [20, 20, 20, 20, 20, 20, 20, 80, 80]);
    let record = only(SUM, growing);
    assert_counted(&record, &steps);
    // Until then the steps are Adam's.
    let losses =
        |record: &RunRecord| -> Vec<f64> { record.curve.iter().map(|point| point.loss).collect() };
    let (grown, adam) = (losses(&record), losses(&only(SUM, "kind = 'adam'")));
    assert_eq!(grown[..8], adam[..8]);
    assert!(grown[8] != adam[8]);
    // A share of the budget, as of a switch.
    let steps = self::steps("kind = 'growing-adam'\nat = { budget = 0.1 }\nsamples = 70");
    assert_eq!(steps.iter().position(|step| step.1 > 20), Some(200));
}

#[test]
fn batches_shrink_again_with_adam() {
    // A loss that half of the batches are below.
    let made = |optimizer: &str, count: usize| {
        let experiment = experiment(SUM, optimizer);
        let cell = plan(&experiment)[0];
        let (mut problem, mut built) =
            start(cell.problem, cell.optimizer, cell.seed, &environment()).unwrap();
        let (mut meter, mut next, mut made) = (Meter::new(), 0, Vec::new());
        for _ in 0..count {
            let step = advance(problem.as_mut(), built.as_mut(), next, &mut meter).unwrap();
            next = step.1.end;
            made.push(step);
        }
        made
    };
    let mut losses: Vec<f64> = made("kind = 'adam'", 99)
        .iter()
        .map(|(made, _)| made.loss)
        .collect();
    losses.sort_by(f64::total_cmp);
    let steps = made(
        &format!(
            "kind = 'fuse-pv'\ncriterion = {{ loss-level = {{ threshold = {:?} }} }}\n\
             policy = {{ reversible = {{}} }}\nswitch_batch = 70\nlbfgs = {{ lr = 1e-3, line_search = 'fixed' }}",
            losses[49]
        ),
        200,
    );
    let mut both = [0; 2];
    for (made, batches) in &steps {
        let second = made.phase == Phase::SecondOrder;
        let cut = second && batches.end % 32 == 0;
        assert!(cut || batches.end - batches.start == if second { 4 } else { 1 });
        both[usize::from(second)] += 1;
    }
    let changes = steps
        .windows(2)
        .filter(|pair| pair[0].0.phase != pair[1].0.phase);
    assert!(changes.count() > 5, "{both:?}");
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
        "kind = 'sls'\nlearning_rate = 0.1\nreset = { grow = { factor = 2.0, steps = 10 } }",
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
