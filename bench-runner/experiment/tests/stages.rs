//! What the stages of an experiment make: trials that go on until the best is between others, repetitions
//! from perturbed starts, and a comparison with shares of its budget and a placebo.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use bench_data::Library;
use bench_experiment::run::RunRecord;
use bench_experiment::session::{Made, Options, Session, Stage};
use bench_experiment::spec::Experiment;
use bench_experiment::store::CellStore;
use optim::Phase;

const EXPERIMENT: &str = r#"
name = "stages"
seeds = 2
tuning = { seeds = [100, 101], extensions = 3 }
stability = { perturbations = 3 }

[[problem]]
label = "rosenbrock"
kind = "function"
function = "rosenbrock"
dimension = 4
steps_per_epoch = 10
budget = 80
points = 80

# The epochs end a run before its budget does.
[[problem]]
label = "epochs"
kind = "function"
function = "rosenbrock"
dimension = 4
steps_per_epoch = 10
budget = 1000
epochs = 6
points = 60

[[optimizer]]
kind = "adam"
search = { learning_rate = [1e-6, 1e-5, 1e-4] }

[[optimizer]]
label = "adam (placebo)"
kind = "adam"
stream = 1
search = { learning_rate = [1e-6, 1e-5, 1e-4] }

[[optimizer]]
kind = "fuse-pv"
criterion = { budget = 0.25 }
search = { "adam.learning_rate" = [1e-3, 1e-2, 1e-1] }

[[optimizer]]
label = "adam/cut"
kind = "adam"
schedule = { kind = "multi-step", at = [{ budget = 0.25 }], factor = 0.0 }
search = { learning_rate = [1e-6, 1e-5, 1e-4] }
"#;

/// One thread, and a store in `folder`.
fn options(folder: &Path) -> Options {
    Options {
        command: Vec::new(),
        device: "cpu".parse().unwrap(),
        threads: 1,
        jobs: None,
        memory: None,
        store: folder.into(),
        checkpoint: None,
        fresh: false,
        plan_only: false,
    }
}

fn library() -> Library {
    Library::from_env(None, std::sync::Arc::new(bench_data::Silent)).unwrap()
}

/// Runs the experiment with a store in `folder`; each stage with what came of it.
fn stages(folder: &Path) -> Vec<(Stage, Made)> {
    let experiment = Experiment::parse(EXPERIMENT, Path::new("stages.toml")).unwrap();
    let interrupted = AtomicBool::new(false);
    let session = Session::open(options(folder), library(), &|_| {}, &interrupted).unwrap();
    let mut stages = Vec::new();
    session
        .complete(&experiment, &mut |stage,
                                     made|
         -> Result<
            (),
            bench_experiment::Error,
        > {
            stages.push((stage.clone(), made));
            Ok(())
        })
        .unwrap();
    stages
}

#[test]
fn an_experiment_passes_through_its_stages() {
    let folder = tempfile::tempdir().unwrap();
    let stages = stages(folder.path());
    let names: Vec<&str> = stages
        .iter()
        .map(|(stage, _)| match stage {
            Stage::Trials => "trials",
            Stage::Perturbations(_) => "perturbations",
            Stage::Comparison(..) => "comparison",
        })
        .collect();
    assert!(names.iter().filter(|name| **name == "trials").count() > 1);
    assert!(names.ends_with(&["trials", "perturbations", "comparison"]));

    // Adam gains by every tenfold rate up to the end; all have tried as many.
    let results = &stages.last().unwrap().1.results;
    let choices = &results.tuning.as_ref().unwrap().choices;
    let adam = &choices[0];
    assert!(adam.trials.len() > 3, "{adam:?}");
    let on_same = choices.iter().filter(|it| it.problem == adam.problem);
    let counts: Vec<usize> = on_same.map(|it| it.trials.len()).collect();
    assert_eq!(counts, [adam.trials.len(); 4]);

    // The runs of the placebo are others than Adam's, of one seed, and so are their addresses.
    let run = |problem, optimizer, seed| -> &RunRecord {
        let mut runs = results.runs(problem, optimizer);
        runs.find(|run| run.cell.seed == seed).unwrap()
    };
    let losses = |optimizer| [0, 1].map(|seed| run("rosenbrock", optimizer, seed).curve[0].loss);
    let [adam, placebo] = ["adam", "adam (placebo)"].map(losses);
    assert!(adam.iter().all(|loss| !placebo.contains(loss)));

    // A quarter of 80 evaluations, and of 6 epochs of 10 steps.
    for (problem, switch) in [("rosenbrock", 20), ("epochs", 15)] {
        let switches = &run(problem, "fuse-pv", 0).switches;
        assert_eq!(
            (switches[0].step, switches[0].to),
            (switch, Phase::SecondOrder)
        );
        // From there on the rate is 0: the loss stays.
        let cut = &run(problem, "adam/cut", 0).curve;
        let at = |step: u64| cut.iter().find(|point| point.step == step).unwrap().loss;
        assert_ne!(at(switch - 1), at(switch));
        assert_eq!(at(switch), at(switch + 5));
    }

    // Three repetitions of each of four optimizers on two problems, close to the run that they repeat.
    let stability = results.stability.as_ref().unwrap();
    assert_eq!((stability.runs, stability.cells.len()), (24, 8));
    for cell in &stability.cells {
        let whole = run(&cell.problem, &cell.optimizer, cell.seed).final_loss();
        assert_eq!((cell.seed, cell.losses.len()), (0, 3));
        for loss in cell.losses.iter().flatten() {
            assert!(
                (loss - whole).abs() <= 1e-3 * whole.abs() + 1e-9,
                "{cell:?} {whole}"
            );
        }
    }
    let adam = &stability.cells[0].losses;
    assert!(adam.iter().any(|loss| *loss != adam[0]), "{adam:?}");

    // Each is a run of its own in the store.
    let stored = CellStore::new(folder.path()).runs().unwrap().0.len();
    let trials = stages.iter().rfind(|it| it.0 == Stage::Trials).unwrap();
    let trials = trials.1.planned;
    assert_eq!(stored, trials + 24 + 16);
}

#[test]
fn sizes_that_an_experiment_leaves_out_are_those_of_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"
name = "sizes"
seeds = 1

[[problem]]
label = "digits"
kind = "classification"
data = "digits"
batch_size = 64
budget = 2
points = 1
model = { kind = "linear" }

[[optimizer]]
kind = "adam"
"#;
    let experiment = Experiment::parse(text, Path::new("sizes.toml")).unwrap();
    let interrupted = AtomicBool::new(false);
    let session = Session::open(options(folder.path()), library(), &|_| {}, &interrupted).unwrap();
    let made = session.suite(experiment).unwrap();
    // 64 pixels and 10 classes.
    assert_eq!(
        (made.failed(), made.results.problems[0].dimension),
        (0, 650)
    );
}
