//! Physics-informed networks in experiment files: u(x, t) is trained on a differential equation and its
//! conditions, and judged by its distance from the solution.

use std::collections::BTreeMap;
use std::sync::Arc;

use bench_stats::random::{Stream, stream};
use candle_core::{Device, Tensor};
use models::Scope;
use models::physics::{
    Equation, EquationConfig, NetworkConfig, Pinn, PinnConfig, PinnLoss, PointsConfig,
};
use optim::{Gradient, Objective, Parameters};
use serde::{Deserialize, Serialize};

use super::precision::Precision;
use super::traits::{Draw, Environment, Measurement, Problem, ProblemSettings};
use crate::error::Result;
use crate::settings::{Invalid, Kind};

/// A physics-informed network in an experiment file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhysicsConfig {
    /// The equation with its coefficients.
    pub equation: EquationConfig,
    /// The network.
    #[serde(default)]
    pub network: NetworkConfig,
    /// The collocation points: where the residual is taken, and where conditions hold.
    #[serde(default)]
    pub collocation: PointsConfig,
    /// Steps after which the residual points are drawn anew; by default they stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resample_every: Option<u64>,
    /// The weight of each part of the loss, `residual` or the name of a condition; 1 where none is given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, f64>,
    /// Whether the form of u meets the conditions, so that they are no parts of the loss.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hard_constraints: bool,
    /// The number format of parameters and gradients; means over points are in f64.
    #[serde(default, skip_serializing_if = "Precision::is_f32")]
    pub precision: Precision,
}

impl PhysicsConfig {
    fn pinn(&self) -> PinnConfig {
        PinnConfig {
            network: self.network.clone(),
            points: self.collocation.clone(),
            weights: self.weights.clone(),
            hard_constraints: self.hard_constraints,
        }
    }
}

impl Kind for PhysicsConfig {
    const NAME: &'static str = "pinn";
    const ABOUT: &'static str = "a physics-informed network on a differential equation:";

    fn members() -> Vec<(String, String)> {
        EquationConfig::ALL
            .map(|(name, title)| (name.into(), title.into()))
            .to_vec()
    }
}

impl ProblemSettings for PhysicsConfig {
    fn check(&self) -> Result<(), Invalid> {
        let equation = self.equation.build();
        equation
            .check()
            .map_err(|error| invalid("equation.", error))?;
        self.pinn()
            .check(&*equation)
            .map_err(|error| invalid("", error))?;
        if self.resample_every == Some(0) {
            let reason = "at least 1 is needed; leave it out to keep the points";
            return Err(Invalid::value("resample_every", 0, reason));
        }
        match self.precision {
            Precision::F32 | Precision::F64 => Ok(()),
            Precision::Bf16 => Err(Invalid::value("precision", "bf16", "use f32 or f64")),
        }
    }

    fn build(&self, draw: Draw<'_>, environment: &Environment) -> Result<Box<dyn Problem>> {
        Ok(Box::new(PhysicsProblem::new(
            self.equation.build(),
            &self.pinn(),
            self.resample_every,
            self.precision,
            draw.seed,
            &environment.device,
        )?))
    }

    fn title(&self) -> String {
        let NetworkConfig { width, depth, .. } = self.network;
        let points = self.collocation.residual;
        let title = format!("{}, {depth} × {width}, {points} points", self.equation);
        let title = match self.resample_every {
            Some(1) => format!("{title} drawn anew at every step"),
            Some(steps) => format!("{title} drawn anew every {steps} steps"),
            None => title,
        };
        self.precision.title(title)
    }

    fn loss_name(&self) -> &'static str {
        "mean squares of residual and conditions"
    }

    fn sampled(&self, most: usize) -> Option<(Option<usize>, super::ProblemConfig)> {
        let mut limited = self.clone();
        limited.collocation.residual = self.collocation.residual.min(most);
        Some((Some(self.collocation.residual), limited.into()))
    }
}

/// Names the setting at fault as experiment files do; `place` stands before it.
fn invalid(place: &str, error: models::Error) -> Invalid {
    match error {
        models::Error::Setting {
            name,
            value,
            expected,
        } => {
            // An experiment file's `points` are those of the curve.
            let key = match name.strip_prefix("points.") {
                Some(key) => format!("collocation.{key}"),
                None => format!("{place}{name}"),
            };
            Invalid::value(key, value, format!("expected {expected}"))
        }
        other => Invalid::new("equation", other),
    }
}

/// A physics-informed network being trained.
///
/// The loss that is measured is that of the residual points that the run began with, also where they are
/// drawn anew.
#[derive(Debug)]
pub struct PhysicsProblem {
    pinn: Pinn,
    parameters: Parameters,
    resample_every: Option<u64>,
    /// Which draw of residual points the network has now.
    drawn: u64,
    /// The part that was not finite when the loss was last evaluated.
    not_finite: Option<&'static str>,
    seed: u64,
}

impl PhysicsProblem {
    /// Initialises the network and draws the points. With `resample_every` the residual points are drawn
    /// anew after so many steps.
    ///
    /// # Errors
    /// When a setting is not right, the number format is neither f32 nor f64, or the device refuses.
    pub fn new(
        equation: Arc<dyn Equation>,
        config: &PinnConfig,
        resample_every: Option<u64>,
        precision: Precision,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let scope = Scope::new(seed, precision.dtype(), device);
        let pinn = config.build(equation, &scope, &mut stream(seed, Stream::Data, 0))?;
        Ok(Self {
            parameters: Parameters::new(pinn.tensors().parameters.clone())?,
            pinn,
            resample_every,
            drawn: 0,
            not_finite: None,
            seed,
        })
    }

    /// The loss; remembers which part is not finite.
    fn judge(&mut self, loss: &PinnLoss) -> f64 {
        let mut parts = loss.parts.iter();
        let bad = parts.find(|part| !part.mean_square.is_finite());
        self.not_finite = bad.map(|part| part.name);
        loss.total
    }

    /// Takes residual points of another draw, unless the network has them.
    fn draw(&mut self, number: u64) -> Result<()> {
        if self.drawn != number {
            let mut generator = stream(self.seed, Stream::Data, number);
            self.pinn.resample(&mut generator)?;
            self.drawn = number;
        }
        Ok(())
    }
}

impl Problem for PhysicsProblem {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Each step sees all points.
    fn steps_per_epoch(&self) -> u64 {
        1
    }

    fn is_deterministic(&self) -> bool {
        self.resample_every.is_none()
    }

    fn samples(&self, _step: u64) -> Option<u64> {
        Some(self.pinn.residual_points().len() as u64)
    }

    fn objective(&mut self, step: u64) -> Result<Box<dyn Objective + '_>> {
        if let Some(steps) = self.resample_every {
            self.draw(step / steps)?;
        }
        Ok(Box::new(Residuals(self)))
    }

    fn pinn(&self) -> Option<&Pinn> {
        Some(&self.pinn)
    }

    fn part_not_finite(&self) -> Option<&str> {
        self.not_finite
    }

    fn measure(&mut self) -> Result<Measurement> {
        self.draw(0)?;
        let loss = self.pinn.loss()?;
        self.judge(&loss);
        let part = |wanted: Part| {
            let parts = loss.parts.iter();
            let own = parts.filter(|part| Part::of(part.name) == wanted);
            own.map(|part| part.weight * part.mean_square)
                .reduce(|sum, part| sum + part)
        };
        let error = self.pinn.error()?;
        Ok(Measurement {
            residual_loss: part(Part::Residual),
            initial_loss: part(Part::Initial),
            boundary_loss: part(Part::Boundary),
            relative_l2: error.map(|error| error.relative_l2),
            largest_error: error.map(|error| error.largest),
            ..Measurement::of_loss(loss.total)
        })
    }
}

/// A part of the loss as it is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Residual,
    Initial,
    Boundary,
}

impl Part {
    /// What a term of the loss counts as: conditions whose name begins with `initial` are initial ones.
    fn of(term: &str) -> Self {
        if term == "residual" {
            Self::Residual
        } else if term.starts_with("initial") {
            Self::Initial
        } else {
            Self::Boundary
        }
    }
}

/// The loss at the points of a step.
struct Residuals<'a>(&'a mut PhysicsProblem);

impl Objective for Residuals<'_> {
    fn loss(&mut self) -> optim::Result<f64> {
        let loss = self.0.pinn.loss().map_err(failed)?;
        Ok(self.0.judge(&loss))
    }

    fn loss_and_gradient(&mut self) -> optim::Result<(f64, Gradient)> {
        let (loss, gradient): (_, Vec<Tensor>) = self.0.pinn.loss_and_gradient().map_err(failed)?;
        let loss = self.0.judge(&loss);
        Ok((loss, Gradient::new(&self.0.parameters, gradient)?))
    }
}

fn failed(error: models::Error) -> optim::Error {
    match error {
        models::Error::Candle(error) => error.into(),
        other => optim::Error::Objective(Box::new(other)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::AtomicBool;

    use bench_data::{Library, Silent};
    use candle_core::DType;

    use super::*;
    use crate::run::{Outcome, RunRecord, plan, run};
    use crate::spec::Experiment;

    fn config(settings: &str) -> PhysicsConfig {
        toml::from_str(settings).unwrap()
    }

    fn environment() -> Environment {
        Environment {
            library: Library::from_env(None, Arc::new(Silent)).unwrap().into(),
            device: Device::Cpu,
        }
    }

    fn built(settings: &str, seed: u64) -> PhysicsProblem {
        let config = config(settings);
        config.check().unwrap();
        PhysicsProblem::new(
            config.equation.build(),
            &config.pinn(),
            config.resample_every,
            config.precision,
            seed,
            &Device::Cpu,
        )
        .unwrap()
    }

    const SMALL: &str = "equation = { kind = 'wave', speed = 2.0 }\nnetwork = { width = 6, depth = 2 }\n\
        collocation = { residual = 20, grid_x = 7, grid_t = 5 }\n";

    /// Pseudo-random numbers on [-1, 1) by integer arithmetic, as `models/tests/golden/physics.py` makes them.
    fn uniform(stream: usize, count: usize) -> Vec<f64> {
        let number = |i: usize| {
            let mut x = (i + 1000 * stream) as u64 * 2_654_435_761 % (1 << 32);
            x ^= x >> 15;
            x = x * 0x2C1B_3C6D % (1 << 32);
            x ^= x >> 12;
            x as f64 / f64::from(1u32 << 31) - 1.0
        };
        (1..=count).map(number).collect()
    }

    /// The loss's parts and the gradient that PyTorch finds by nested differentiation, through the kind.
    #[test]
    fn losses_and_gradients_are_those_of_pytorch() {
        let golden = include_str!("../../../../models/tests/golden/physics.json");
        let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
        let case = golden["cases"]
            .as_array()
            .unwrap()
            .iter()
            .find(|case| case["equation"] == "wave" && case["hard_constraints"] == false)
            .unwrap();
        let mut problem = built(&format!("{SMALL}precision = 'f64'"), 3);
        for (stream, var) in (1..).zip(problem.parameters.vars()) {
            let scale = match var.dims() {
                [_, inputs] => (3.0 / *inputs as f64).sqrt(),
                _ => 0.2,
            };
            let values = uniform(stream, var.elem_count());
            let values: Vec<f64> = values.into_iter().map(|value| scale * value).collect();
            var.set(&Tensor::from_vec(values, var.dims(), &Device::Cpu).unwrap())
                .unwrap();
        }
        let part = |name: &str| case["parts"][name].as_f64().unwrap();
        let close = |found: f64, expected: f64| (found - expected).abs() <= 1e-10 * expected;
        let measured = problem.measure().unwrap();
        let residual = measured.residual_loss.unwrap();
        let initial = measured.initial_loss.unwrap();
        let boundary = measured.boundary_loss.unwrap();
        assert!(close(residual, part("residual")));
        assert!(close(initial, part("initial") + part("initial_velocity")));
        assert!(close(boundary, part("left") + part("right")));
        assert!(close(measured.loss, residual + initial + boundary));
        let (loss, gradient) = problem.objective(0).unwrap().loss_and_gradient().unwrap();
        assert_eq!(loss, measured.loss);
        for (name, gradient) in problem.parameters.names().iter().zip(gradient.tensors()) {
            let expected = case["gradients"][name].as_array().unwrap();
            let found: Vec<f64> = gradient.flatten_all().unwrap().to_vec1().unwrap();
            for (found, expected) in found.iter().zip(expected) {
                let difference = (found - expected.as_f64().unwrap()).abs();
                assert!(difference < 1e-9, "{name}: {found}, PyTorch has {expected}");
            }
        }
    }

    /// With its parameters at 0 the network is 0: the error is the solution itself.
    #[test]
    fn errors_are_those_of_the_solution_that_is_missed_whole() {
        let mut problem = built(SMALL, 0);
        for var in problem.parameters.vars() {
            var.set(&var.zeros_like().unwrap()).unwrap();
        }
        let measured = problem.measure().unwrap();
        assert_eq!(measured.relative_l2, Some(1.0));
        // sin πx + ½ sin 5πx at x = 1/2, t = 0 is 3/2, and nowhere more.
        assert!((measured.largest_error.unwrap() - 1.5).abs() < 1e-12);
        assert_eq!(measured.residual_loss, Some(0.0));
        assert_eq!(measured.test_loss, None);
    }

    #[test]
    fn seeds_give_points_and_parameters_and_precision_only_rounds() {
        let start = |problem: &PhysicsProblem| {
            let vars = problem.parameters.vars();
            let weight = vars[vars.len() - 1].to_dtype(DType::F64).unwrap();
            let weight: Vec<f64> = weight.flatten_all().unwrap().to_vec1().unwrap();
            (weight, problem.pinn.residual_points().to_vec())
        };
        let some = SMALL.replace("residual = 20", "residual = 9");
        let [first, again, other] = [1, 1, 2].map(|seed| start(&built(&some, seed)));
        assert_eq!(first, again);
        assert_ne!(first.0, other.0);
        assert_ne!(first.1, other.1);
        let mut single = built(SMALL, 1);
        let mut double = built(&format!("{SMALL}precision = 'f64'"), 1);
        assert_eq!(single.pinn.residual_points(), double.pinn.residual_points());
        assert_eq!(single.parameters.dtype(), DType::F32);
        let ratio = single.measure().unwrap().loss / double.measure().unwrap().loss;
        assert!((ratio - 1.0).abs() < 1e-5, "{ratio}");
    }

    #[test]
    fn points_are_drawn_anew_after_so_many_steps_and_measured_where_the_run_began() {
        let settings = format!(
            "{}resample_every = 3",
            SMALL.replace("residual = 20", "residual = 20, placement = 'uniform'")
        );
        let mut problem = built(&settings, 4);
        assert!(!problem.is_deterministic() && built(SMALL, 4).is_deterministic());
        let loss = |problem: &mut PhysicsProblem, step| {
            let mut objective = problem.objective(step).unwrap();
            objective.loss().unwrap()
        };
        let measured = problem.measure().unwrap().loss;
        let losses: Vec<f64> = (0..7).map(|step| loss(&mut problem, step)).collect();
        assert_eq!(losses[..3], [measured; 3]);
        assert_eq!(losses[3..6], [losses[3]; 3]);
        assert!(losses[3] != measured && losses[6] != losses[3]);
        // Neither a measurement nor a return to an earlier step changes what a step sees.
        assert_eq!(problem.measure().unwrap().loss, measured);
        assert_eq!(loss(&mut problem, 4), losses[4]);
    }

    fn error(problem: &str) -> String {
        let text = format!(
            "name = 'x'\nseeds = 1\n[[problem]]\nlabel = 'p'\nkind = 'pinn'\nbudget = 40\n{problem}\n[[optimizer]]\nkind = 'adam'"
        );
        let error = Experiment::parse(&text, Path::new("x.toml")).unwrap_err();
        error.to_string()
    }

    #[test]
    fn settings_that_cannot_be_used_are_refused_with_place_and_key() {
        let wave = "equation = { kind = 'wave', speed = 2.0 }";
        let cases = [
            "".to_owned(),
            "equation = { kind = 'wave' }".into(),
            "equation = { kind = 'wave', velocity = 2.0 }".into(),
            "equation = { kind = 'waves', speed = 2.0 }".into(),
            "equation = { kind = 'wave', speed = nan }".into(),
            "equation = { kind = 'burgers', viscosity = 1e-9 }".into(),
            format!("{wave}\ncollocation = {{ residual = 30000 }}"),
            format!("{wave}\ncollocation = {{ residual = 0 }}"),
            format!("{wave}\ncollocation = {{ placement = 'sobol' }}"),
            format!("{wave}\nnetwork = {{ width = 401 }}"),
            format!("{wave}\nnetwork = {{ depth = 0 }}"),
            format!("{wave}\nnetwork = {{ features = {{ kind = 'periodic', harmonics = 0 }} }}"),
            format!("{wave}\nweights = {{ periodic = 2.0 }}"),
            format!("{wave}\nresample_every = 0"),
            format!("{wave}\nprecision = 'bf16'"),
            format!("{wave}\nwidth = 50"),
        ];
        let messages: Vec<String> = cases.iter().map(|case| error(case)).collect();
        insta::assert_snapshot!(messages.join("\n"));
    }

    fn first_run(settings: &str, optimizer: &str) -> RunRecord {
        let text = format!(
            "name = 'x'\nseeds = 1\n[[problem]]\nlabel = 'p'\nkind = 'pinn'\nbudget = 40\npoints = 4\n{settings}\n[[optimizer]]\n{optimizer}"
        );
        let experiment = Experiment::parse(&text, Path::new("x.toml")).unwrap();
        let cell = plan(&experiment)[0];
        let interrupted = AtomicBool::new(false);
        run(
            cell.problem,
            cell.optimizer,
            0,
            &environment(),
            None,
            &interrupted,
            &mut |_| {},
        )
    }

    #[test]
    fn a_run_that_diverges_says_at_which_step_and_in_which_part() {
        // Weights near the largest f32: their sums overflow, and infinity has no sine.
        let wide = SMALL.replace("width = 6", "width = 50, activation = 'sine'");
        let record = first_run(&wide, "kind = 'adam'\nlearning_rate = 1e38");
        let Outcome::Diverged { step, value } = record.outcome else {
            panic!("{record:?}");
        };
        // The first step is measured, and leads there.
        assert_eq!((step, value.as_str()), (0, "NaN in `residual`"));
    }

    #[test]
    fn every_equation_trains_and_is_measured() {
        for equation in [
            "kind = 'convection', speed = 1.0",
            "kind = 'reaction', rate = 5.0",
            "kind = 'wave', speed = 2.0",
            "kind = 'reaction-diffusion', diffusion = 3.0, rate = 5.0",
            "kind = 'burgers'",
            "kind = 'allen-cahn', diffusion = 0.001, rate = 5.0",
            "kind = 'heat', diffusivity = 0.4",
            "kind = 'poisson'",
        ] {
            let settings = SMALL.replace("kind = 'wave', speed = 2.0", equation);
            let record = first_run(&settings, "kind = 'lbfgs'");
            let (first, last) = (&record.curve[0], record.last().unwrap());
            assert!(last.loss < 0.9 * first.loss, "{equation}: {record:?}");
            assert!(last.relative_l2.unwrap().is_finite(), "{equation}");
            let conditions = last.initial_loss.is_some() || equation.contains("poisson");
            assert!(conditions && last.boundary_loss.is_some(), "{equation}");
        }
        assert_eq!(EquationConfig::ALL.len(), 8);
    }
}
