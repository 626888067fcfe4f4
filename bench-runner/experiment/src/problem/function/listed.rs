//! What the kinds share whose settings name a function of a list.

use std::cell::RefCell;

use bench_functions::{Function, TestFunction, find};
use candle_core::Device;

use super::invalid::invalid;
use super::problem::FunctionProblem;
use super::steps::{Steps, check_size};
use crate::error::Result;
use crate::problem::start::shifted;
use crate::problem::traits::{Draw, Environment, Plane, Problem, ProblemSettings};
use crate::settings::{Invalid, Kind};

/// Settings that name a function of a list. They are those of a problem with that.
pub trait Listed: Kind {
    /// What the list is called where functions of several are compared.
    const GROUP: &'static str;

    /// The list.
    const FUNCTIONS: &'static [&'static TestFunction];

    /// The name.
    fn name(&self) -> &str;

    /// The dimension; none where it is left to a function that has only one.
    fn dimension(&self) -> Option<usize>;

    /// The instance.
    fn instance(&self) -> u64 {
        1
    }

    /// How steps see the function.
    fn steps(&self) -> Steps;

    /// Whether the settings can be used that other kinds do not have.
    ///
    /// # Errors
    /// The first that cannot.
    fn check_own(&self) -> Result<(), Invalid> {
        Ok(())
    }

    /// Where runs of a seed start.
    fn start(&self, function: &Function, seed: u64) -> Vec<f64> {
        shifted(function.start.clone(), seed)
    }

    /// What the title says of settings that other kinds do not have.
    fn title_of_own(&self) -> String {
        String::new()
    }
}

impl<L: Listed> ProblemSettings for L {
    fn check(&self) -> Result<(), Invalid> {
        resolve(self)?;
        self.check_own()?;
        self.steps().check()
    }

    fn build(&self, draw: Draw<'_>, environment: &Environment) -> Result<Box<dyn Problem>> {
        Ok(Box::new(problem(self, draw.seed, &environment.device)?))
    }

    fn title(&self) -> String {
        let title = find(L::FUNCTIONS, self.name()).map_or(self.name(), |function| function.title);
        let dimension = resolve(self).map(|(_, dimension)| dimension);
        let dimension = dimension.ok().or(self.dimension()).unwrap_or_default();
        let own = self.title_of_own();
        format!("{title}, {dimension}-D{own}{}", self.steps().title())
    }

    fn loss_name(&self) -> &'static str {
        match function(self) {
            Ok(function) if function.minimum().is_none() => "f(x), of which no minimum is known",
            _ => ABOVE_MINIMUM,
        }
    }

    fn group(&self) -> Option<String> {
        let function = find(L::FUNCTIONS, self.name()).ok()?;
        Some(match function.group {
            Some(group) => format!("{}: {}", L::GROUP, group.title()),
            None => L::GROUP.to_owned(),
        })
    }

    fn plane(&self) -> Option<Plane> {
        let function = function(self).ok().filter(|f| f.dimension() == 2)?;
        let start = self.start(&function, 0);
        let function = RefCell::new(function);
        Some(Plane {
            start: [start[0], start[1]],
            value: Box::new(move |x| function.borrow_mut().evaluate(&x, &mut [0.0, 0.0])),
        })
    }
}

/// What the loss of a function with a known minimum is.
pub(super) const ABOVE_MINIMUM: &str = "f(x) − f*";

/// Names and titles for lists.
pub(super) fn members<L: Listed>() -> Vec<(String, String)> {
    L::FUNCTIONS
        .iter()
        .map(|function| {
            let note = if function.gradient_vanishes {
                "; its gradient is 0 almost everywhere"
            } else {
                ""
            };
            let title = format!("{}{note}", function.title);
            (function.name.to_owned(), title)
        })
        .collect()
}

/// The problem of a seed.
pub(super) fn problem<L: Listed>(
    settings: &L,
    seed: u64,
    device: &Device,
) -> Result<FunctionProblem> {
    let function = function(settings)?;
    let start = settings.start(&function, seed);
    FunctionProblem::new(function, start, settings.steps(), seed, device)
}

fn function<L: Listed>(settings: &L) -> Result<Function, Invalid> {
    let (function, dimension) = resolve(settings)?;
    function
        .build(dimension, settings.instance())
        .map_err(invalid)
}

/// The function that the settings name and its dimension, if the function has that dimension and
/// instance. Builds nothing.
fn resolve<L: Listed>(settings: &L) -> Result<(&'static TestFunction, usize), Invalid> {
    let function = find(L::FUNCTIONS, settings.name()).map_err(invalid)?;
    let defined = function.dimensions;
    let only = Some(defined.min).filter(|only| *only == defined.max);
    let dimension = settings.dimension().or(only).ok_or_else(|| {
        let reason = format!("missing; {} is defined for {defined}", function.name);
        Invalid::new("dimension", reason)
    })?;
    check_size(dimension)?;
    function
        .check(dimension, settings.instance())
        .map_err(invalid)?;
    Ok((function, dimension))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use bench_data::{Library, Silent};

    use super::*;
    use crate::problem::ProblemConfig;

    fn config(settings: &str) -> ProblemConfig {
        toml::from_str(settings).unwrap()
    }

    fn built(config: &ProblemConfig, seed: u64) -> Box<dyn Problem> {
        let environment = Environment {
            library: Library::from_env(None, Arc::new(Silent)).unwrap().into(),
            device: Device::Cpu,
        };
        let optimizer = "adam";
        config
            .build(Draw { seed, optimizer }, &environment)
            .unwrap()
    }

    fn start(problem: &dyn Problem) -> Vec<f64> {
        problem.parameters().vars()[0].to_vec1().unwrap()
    }

    /// Values at the standard starts: sums of the published formulas by hand.
    #[test]
    fn each_kind_is_measured_and_evaluated_at_its_start() {
        for (settings, loss, gradient) in [
            // 100 (1 − 1.44)² + 2.2².
            (
                "kind = 'function'\nfunction = 'rosenbrock'",
                24.2,
                [-215.6, -88.0],
            ),
            // The same function.
            (
                "kind = 'mgh'\nfunction = 'extended-rosenbrock'\ndimension = 2",
                24.2,
                [-215.6, -88.0],
            ),
            // From (−12, 10): 100 (10 − 144)² + 13².
            (
                "kind = 'mgh'\nfunction = 'extended-rosenbrock'\ndimension = 2\nstart = 10",
                1_795_769.0,
                [400.0 * 134.0 * -12.0 - 26.0, -26_800.0],
            ),
            // Σ i xᵢ² from (5, 5).
            (
                "kind = 'scalable'\nfunction = 'sum-squares'\ndimension = 2",
                75.0,
                [10.0, 20.0],
            ),
        ] {
            let config = config(settings);
            config.check().unwrap();
            let mut problem = built(&config, 0);
            let measured = problem.measure().unwrap().loss;
            assert!(
                (measured - loss).abs() <= 1e-12 * loss,
                "{settings}: {measured}"
            );
            let (value, found) = problem.objective(0).unwrap().loss_and_gradient().unwrap();
            assert_eq!(value, measured, "{settings}");
            let found: Vec<f64> = found.tensors()[0].to_vec1().unwrap();
            for (found, right) in found.iter().zip(gradient) {
                assert!(
                    (found - right).abs() <= 1e-12 * right.abs(),
                    "{settings}: {found}"
                );
            }
            assert_eq!(config.loss_name(), ABOVE_MINIMUM);
        }
    }

    #[test]
    fn bbob_starts_are_uniform_and_the_same_for_all_functions() {
        let f1 = config("kind = 'bbob'\nfunction = 'f1'\ndimension = 40");
        let f24 = config("kind = 'bbob'\nfunction = 'f24'\ndimension = 40\ninstance = 7");
        let first = start(&*built(&f1, 3));
        assert_eq!(first, start(&*built(&f24, 3)));
        assert_ne!(first, start(&*built(&f1, 0)));
        assert!(first.iter().all(|x| x.abs() <= 4.0));
        assert!(first.iter().any(|x| *x < -2.0) && first.iter().any(|x| *x > 2.0));
        // The sphere: f − f* = ‖x − x*‖², whose gradient is 2(x − x*).
        let mut problem = built(&f1, 3);
        let loss = problem.measure().unwrap().loss;
        let (_, gradient) = problem.objective(0).unwrap().loss_and_gradient().unwrap();
        let gradient: Vec<f64> = gradient.tensors()[0].to_vec1().unwrap();
        let square: f64 = gradient.iter().map(|g| g * g / 4.0).sum();
        assert!((loss - square).abs() < 1e-9 * square, "{loss} {square}");
    }

    #[test]
    fn seeds_other_than_0_start_near_the_standard_start() {
        let config = config("kind = 'mgh'\nfunction = 'wood'\nstart = 100");
        let standard = start(&*built(&config, 0));
        assert_eq!(standard, [-300.0, -100.0, -300.0, -100.0]);
        let shifts = start(&*built(&config, 5));
        let near = |(a, b): (&f64, &f64)| a != b && (a - b).abs() < 1.0;
        assert!(shifts.iter().zip(&standard).all(near), "{shifts:?}");
    }

    #[test]
    fn functions_of_two_variables_have_a_plane_from_where_seed_0_starts() {
        let plane_of = |settings: &str| {
            let config = config(settings);
            (config.plane(), config)
        };
        for settings in [
            "kind = 'bbob'\nfunction = 'f8'\ndimension = 2",
            "kind = 'mgh'\nfunction = 'beale'\nstart = 10",
            "kind = 'scalable'\nfunction = 'levy'\ndimension = 2",
        ] {
            let (plane, config) = plane_of(settings);
            let plane = plane.unwrap();
            let mut problem = built(&config, 0);
            assert_eq!(start(&*problem), plane.start);
            let loss = problem.objective(0).unwrap().loss().unwrap();
            assert_eq!((plane.value)(plane.start), loss, "{settings}");
        }
        let (plane, _) = plane_of("kind = 'bbob'\nfunction = 'f8'\ndimension = 3");
        assert!(plane.is_none());
    }

    #[test]
    fn without_a_known_minimum_the_loss_is_the_value_and_says_so() {
        let config = config("kind = 'scalable'\nfunction = 'bdqrtic'\ndimension = 7");
        assert_eq!(config.loss_name(), "f(x), of which no minimum is known");
        let mut problem = built(&config, 0);
        let value = problem.objective(0).unwrap().loss().unwrap();
        assert_eq!(problem.measure().unwrap().loss, value);
    }

    #[test]
    fn settings_that_no_function_has_are_refused_with_what_there_is() {
        let messages: Vec<String> = [
            "kind = 'mgh'\nfunction = 'wod'",
            "kind = 'mgh'\nfunction = 'wood'\ndimension = 5",
            "kind = 'mgh'\nfunction = 'watson'",
            "kind = 'mgh'\nfunction = 'watson'\ndimension = 32",
            "kind = 'mgh'\nfunction = 'wood'\nstart = 2",
            "kind = 'mgh'\nfunction = 'wood'\nsteps_per_epoch = 0",
            "kind = 'bbob'\nfunction = 'f25'\ndimension = 2",
            "kind = 'bbob'\nfunction = 'f1'\ndimension = 1",
            "kind = 'bbob'\nfunction = 'f1'\ndimension = 2\ninstance = 0",
            "kind = 'bbob'\nfunction = 'f1'\ndimension = 2\ninstance = 200001",
            "kind = 'bbob'\nfunction = 'f1'\ndimension = 2\nnoise = -1.0",
            "kind = 'scalable'\nfunction = 'grewank'\ndimension = 2",
            "kind = 'scalable'\nfunction = 'extended-powell'\ndimension = 10",
            "kind = 'scalable'\nfunction = 'levy'\ndimension = 100000",
            "kind = 'function'\nfunction = 'ackley'\ndimension = 1000000000000",
            "kind = 'quadratic'\ndimension = 0\ncondition = 10.0",
            "kind = 'quadratic'\ndimension = 10\ncondition = 0.5",
            "kind = 'quadratic'\ndimension = 1000000000000\ncondition = 1.0",
        ]
        .iter()
        .map(|settings| config(settings).check().unwrap_err().to_string())
        .collect();
        insta::assert_snapshot!(messages.join("\n"));
    }
}
