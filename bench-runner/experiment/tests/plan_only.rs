//! Plans that are made without data: what the catalogue foresees is what building the problems tells.

use std::sync::Arc;

use bench_data::Library;
use bench_experiment::problem::{Draw, Environment};
use bench_experiment::spec::SUITES;
use candle_core::Device;

#[test]
fn what_the_catalogue_foresees_is_what_the_problem_has() {
    let library = Library::from_env(None, Arc::new(bench_data::Silent)).unwrap();
    let environment = Environment {
        library: Arc::new(library),
        device: Device::Cpu,
    };
    let draw = Draw {
        seed: 0,
        optimizer: "",
    };
    let embedded = ["digits".to_owned(), "moby-dick".to_owned()];
    let (mut with_epochs, mut texts) = (0, 0);
    for suite in SUITES {
        for entry in suite.experiment().unwrap().problems {
            let data = entry.config.data();
            if data.is_empty() || !data.iter().all(|name| embedded.contains(name)) {
                continue;
            }
            let catalogue = environment.library.catalogue();
            // Other kinds read the digits, too, and are built in no time.
            let Some(work) = entry.config.work(catalogue).unwrap() else {
                continue;
            };
            let problem = entry.config.build(draw, &environment).unwrap();
            let label = format!("{} of {}", entry.label, suite.name);
            let parameters = problem.parameters().element_count() as u64;
            assert_eq!(work.parameters, parameters, "{label}");
            match work.steps_per_epoch {
                Some(steps) => {
                    assert_eq!(steps, problem.steps_per_epoch(), "{label}");
                    with_epochs += 1;
                }
                None => texts += 1,
            }
            let forward = work.evaluation / 3;
            assert!(forward > 0 && work.measurement >= forward, "{label}");
        }
    }
    assert!(with_epochs > 10 && texts > 1);
}
