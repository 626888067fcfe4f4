//! `bench-runner` with an optimizer and a problem of one's own: sign descent, and a sum of squares.
//! `docs/extending.md` goes through it.

use std::process::ExitCode;

use bench_experiment::optimizer::OptimizerSettings;
use bench_experiment::problem::{Draw, Environment, Measurement, Problem, ProblemSettings};
use bench_experiment::settings::{Invalid, Kind};
use bench_runner::Registry;
use candle_core::{Tensor, Var};
use optim::state::State;
use optim::{
    Loss, Objective, Optimizer, Oracle, Parameters, Phase, Step, StopReason, VectorPasses,
};
use serde::{Deserialize, Serialize};

/// Sign descent in an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignDescentConfig {
    learning_rate: f64,
}

/// x ← x − α sign(∇f(x)).
struct SignDescent {
    learning_rate: f64,
    parameters: Parameters,
    steps: u64,
}

impl Kind for SignDescentConfig {
    const NAME: &'static str = "sign-descent";
    const ABOUT: &'static str = "steps of one length along the gradient's signs";
}

impl OptimizerSettings for SignDescentConfig {
    fn build(&self, parameters: &Parameters) -> optim::Result<Box<dyn Optimizer>> {
        let mut optimizer = SignDescent {
            learning_rate: 0.0,
            parameters: parameters.clone(),
            steps: 0,
        };
        optimizer.set_learning_rate(self.learning_rate)?;
        Ok(Box::new(optimizer))
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn vectors(&self) -> u64 {
        0
    }
}

impl Optimizer for SignDescent {
    fn step(&mut self, oracle: &mut Oracle<'_>) -> optim::Result<Step> {
        let (loss, gradient) = oracle.loss_and_gradient()?;
        for (var, gradient) in self.parameters.vars().iter().zip(gradient.tensors()) {
            let x = var.as_detached_tensor();
            var.set(&(x - (gradient.sign()? * self.learning_rate)?)?)?;
        }
        self.steps += 1;
        Ok(Step {
            loss,
            final_loss: None,
            gradient_norm: gradient.norm()?,
            phase: Phase::FirstOrder,
            iterations: 1,
            stop: StopReason::Updated,
        })
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> optim::Result<()> {
        self.learning_rate = learning_rate;
        Ok(())
    }

    fn phase(&self) -> Phase {
        Phase::FirstOrder
    }

    fn state_elements(&self) -> u64 {
        0
    }

    fn vector_passes(&self) -> VectorPasses {
        VectorPasses {
            reads: 2 * self.steps,
            writes: self.steps,
        }
    }

    fn state(&self) -> optim::Result<State> {
        let mut state = State::new(SignDescentConfig::NAME, &self.parameters);
        state.set("steps", self.steps)?;
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> optim::Result<()> {
        state.check(SignDescentConfig::NAME, &self.parameters)?;
        self.steps = state.get("steps")?;
        Ok(())
    }
}

/// A sum of squares in an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SquaresConfig {
    dimension: usize,
}

/// f(x) = Σ xᵢ², from (1 + seed, …, 1 + seed).
struct Squares(Parameters);

impl Kind for SquaresConfig {
    const NAME: &'static str = "squares";
    const ABOUT: &'static str = "a sum of squares";
}

impl ProblemSettings for SquaresConfig {
    fn check(&self) -> Result<(), Invalid> {
        match self.dimension {
            1..=1_000_000 => Ok(()),
            other => Err(Invalid::value(
                "dimension",
                other,
                "1 to 1,000,000 are possible",
            )),
        }
    }

    fn build(
        &self,
        draw: Draw<'_>,
        environment: &Environment,
    ) -> bench_experiment::Result<Box<dyn Problem>> {
        let start = vec![1.0 + draw.seed as f64; self.dimension];
        let x = Tensor::from_vec(start, self.dimension, &environment.device)?;
        let parameters = Parameters::new([("x", Var::from_tensor(&x)?)])?;
        Ok(Box::new(Squares(parameters)))
    }

    fn title(&self) -> String {
        format!("Sum of squares, {}-D", self.dimension)
    }

    fn loss_name(&self) -> &'static str {
        "f(x)"
    }
}

impl Problem for Squares {
    fn parameters(&self) -> &Parameters {
        &self.0
    }

    fn steps_per_epoch(&self) -> u64 {
        10
    }

    fn is_deterministic(&self) -> bool {
        true
    }

    fn objective(&mut self, _step: u64) -> bench_experiment::Result<Box<dyn Objective + '_>> {
        let x = self.0.vars()[0].as_tensor().clone();
        Ok(Box::new(Loss::new(&self.0, move || x.sqr()?.sum_all())))
    }

    fn measure(&mut self) -> bench_experiment::Result<Measurement> {
        Ok(Measurement::of_loss(self.objective(0)?.loss()?))
    }
}

fn main() -> ExitCode {
    let mut registry = Registry::built_in();
    registry.optimizer::<SignDescentConfig>();
    registry.problem::<SquaresConfig>();
    bench_runner::main(registry)
}
