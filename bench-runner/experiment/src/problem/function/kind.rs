//! Test functions and quadratics as kinds of problems.

use super::config::{FunctionConfig, QuadraticConfig, check_noise};
use super::list::FUNCTIONS;
use super::problem::FunctionProblem;
use crate::error::Result;
use crate::problem::traits::{Draw, Environment, Plane, Problem, ProblemSettings};
use crate::settings::{Invalid, Kind};

impl Kind for FunctionConfig {
    const NAME: &'static str = "function";
    const ABOUT: &'static str = "a test function, with optional gradient noise:";

    fn members() -> Vec<(String, String)> {
        FUNCTIONS
            .iter()
            .map(|function| (function.name.to_owned(), function.title.to_owned()))
            .collect()
    }
}

impl ProblemSettings for FunctionConfig {
    fn check(&self) -> Result<(), Invalid> {
        self.resolve().map(|_| ())
    }

    fn build(&self, draw: Draw<'_>, environment: &Environment) -> Result<Box<dyn Problem>> {
        let problem = FunctionProblem::new(self, draw.seed, &environment.device)?;
        Ok(Box::new(problem))
    }

    fn title(&self) -> String {
        let title = FUNCTIONS
            .iter()
            .find(|function| function.name == self.function)
            .map_or(self.function.as_str(), |function| function.title);
        format!("{title}, {}-D{}", self.dimension, noise_title(self.noise))
    }

    fn loss_name(&self) -> &'static str {
        LOSS
    }

    fn plane(&self) -> Option<Plane> {
        let function = self.resolve().ok().filter(|_| self.dimension == 2)?;
        let start = (function.start)(2);
        Some(Plane {
            start: [start[0], start[1]],
            value: Box::new(|x| (function.evaluate)(&x, &mut [0.0, 0.0])),
        })
    }
}

impl Kind for QuadraticConfig {
    const NAME: &'static str = "quadratic";
    const ABOUT: &'static str =
        "convex quadratic with a chosen condition number and gradient noise";
}

impl ProblemSettings for QuadraticConfig {
    fn check(&self) -> Result<(), Invalid> {
        if self.dimension == 0 {
            return Err(Invalid::value("dimension", 0, "at least 1 is needed"));
        }
        if !(self.condition >= 1.0 && self.condition.is_finite()) {
            return Err(Invalid::value(
                "condition",
                self.condition,
                "a finite number of at least 1 is needed",
            ));
        }
        check_noise(self.noise, self.steps_per_epoch)
    }

    fn build(&self, draw: Draw<'_>, environment: &Environment) -> Result<Box<dyn Problem>> {
        let problem = FunctionProblem::quadratic(self, draw.seed, &environment.device)?;
        Ok(Box::new(problem))
    }

    fn title(&self) -> String {
        format!(
            "Quadratic, {}-D, condition number {:e}{}",
            self.dimension,
            self.condition,
            noise_title(self.noise)
        )
    }

    fn loss_name(&self) -> &'static str {
        LOSS
    }
}

/// What the loss of a function with a known minimum is.
const LOSS: &str = "f(x) − f*";

fn noise_title(noise: f64) -> String {
    if noise == 0.0 {
        String::new()
    } else {
        format!(", gradient noise σ = {noise}")
    }
}
