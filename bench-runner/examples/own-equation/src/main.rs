//! `bench-runner` with a differential equation of one's own: a wave that travels and fades.
//! `docs/pinn.md` points to it.

use std::f64::consts::PI;
use std::process::ExitCode;
use std::sync::Arc;

use bench_experiment::problem::{
    Draw, Environment, PhysicsProblem, Precision, Problem, ProblemSettings,
};
use bench_experiment::settings::{Invalid, Kind};
use bench_runner::Registry;
use models::physics::{
    Condition, Derivative, Domain, Edge, Equation, Jet, NetworkConfig, Orders, PinnConfig, Point,
    PointsConfig, Residual,
};
use serde::{Deserialize, Serialize};

/// u_t + u_x + k u = 0 on (0, 2) × (0, 1) with u(x, 0) = sin πx; u = e^{−kt} sin π(x − t).
#[derive(Debug, Clone, Copy)]
struct Fading {
    k: f64,
}

impl Fading {
    fn exact(self, [x, t]: Point) -> f64 {
        (-self.k * t).exp() * (PI * (x - t)).sin()
    }
}

impl Equation for Fading {
    fn domain(&self) -> Domain {
        Domain {
            x: [0.0, 2.0],
            t: [0.0, 1.0],
        }
    }

    /// First derivatives by x and by t.
    fn orders(&self) -> Orders {
        Orders { x: 1, t: 1 }
    }

    /// What vanishes, and its derivatives by u, u_x and u_t.
    fn residual(&self, _: Point, u: &Jet) -> Residual {
        Residual {
            value: u.t + u.x + self.k * u.u,
            by: Jet {
                u: self.k,
                x: 1.0,
                t: 1.0,
                ..Jet::default()
            },
        }
    }

    /// Names that begin with `initial` count as initial conditions, others as boundary conditions.
    fn conditions(&self) -> Vec<Condition> {
        let own = *self;
        let value = move |at: Point| own.exact(at);
        vec![
            Condition::new("initial", Edge::Start, Derivative::Value, value),
            Condition::new("inflow", Edge::Left, Derivative::Value, value),
        ]
    }

    /// Errors are measured where it is known.
    fn solution(&self, points: &[Point]) -> Option<Vec<f64>> {
        Some(points.iter().map(|at| self.exact(*at)).collect())
    }
}

/// The problem in an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FadingConfig {
    rate: f64,
    #[serde(default)]
    network: NetworkConfig,
    #[serde(default)]
    collocation: PointsConfig,
}

impl FadingConfig {
    fn equation(&self) -> Fading {
        Fading { k: self.rate }
    }

    fn pinn(&self) -> PinnConfig {
        PinnConfig {
            network: self.network.clone(),
            points: self.collocation.clone(),
            ..PinnConfig::default()
        }
    }
}

impl Kind for FadingConfig {
    const NAME: &'static str = "fading";
    const ABOUT: &'static str = "a physics-informed network on a wave that travels and fades";
}

impl ProblemSettings for FadingConfig {
    fn check(&self) -> Result<(), Invalid> {
        if !(self.rate >= 0.0 && self.rate.is_finite()) {
            let reason = "a finite number of at least 0 is needed";
            return Err(Invalid::value("rate", self.rate, reason));
        }
        let checked = self.pinn().check(&self.equation());
        checked.map_err(|error| Invalid::new("network", error))
    }

    fn build(
        &self,
        draw: Draw<'_>,
        environment: &Environment,
    ) -> bench_experiment::Result<Box<dyn Problem>> {
        Ok(Box::new(PhysicsProblem::new(
            Arc::new(self.equation()),
            &self.pinn(),
            None,
            Precision::F32,
            draw.seed,
            &environment.device,
        )?))
    }

    fn title(&self) -> String {
        format!("A wave that fades at the rate {}", self.rate)
    }

    fn loss_name(&self) -> &'static str {
        "mean squares of residual and conditions"
    }
}

fn main() -> ExitCode {
    let mut registry = Registry::built_in();
    registry.problem::<FadingConfig>();
    bench_runner::main(registry)
}
