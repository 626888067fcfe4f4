//! A network, an equation and points: the loss that training minimizes, and the error it is judged by.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use candle_core::{DType, Device, Tensor};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::equation::{Condition, Domain, Edge, Equation};
use super::features::{Features, Inputs};
use super::jet::{Ansatz, Derivative, Jet, Orders, Point};
use super::kernel::{Batch, real::Real};
use super::network::{Network, NetworkConfig};
use super::points::PointsConfig;
use crate::{Error, Result, Scope, Tensors};

/// The settings of a physics-informed network, but for its equation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PinnConfig {
    /// The network.
    pub network: NetworkConfig,
    /// The points.
    pub points: PointsConfig,
    /// The weight of each loss term, `residual` or the name of a condition; 1 where none is given.
    pub weights: BTreeMap<String, f64>,
    /// Whether the equation's [ansatz](Equation::ansatz) meets the conditions, so that they are no terms
    /// of the loss.
    pub hard_constraints: bool,
}

impl PinnConfig {
    /// Whether the settings are right, and fit `equation`.
    ///
    /// # Errors
    /// Naming the setting at fault.
    pub fn check(&self, equation: &dyn Equation) -> Result<()> {
        equation.check()?;
        let orders = equation.orders();
        if orders.x > 2 || orders.t > 2 {
            let orders = format!("{}, {}", orders.x, orders.t);
            return Err(Error::setting(
                "equation.orders",
                orders,
                "0, 1 or 2 for x and t",
            ));
        }
        self.network.check()?;
        self.points.check()?;
        let Domain { x, t } = equation.domain();
        for (name, [low, high]) in [("equation.domain.x", x), ("equation.domain.t", t)] {
            if !(low < high && (high - low).is_finite()) {
                let interval = format!("{low} to {high}");
                return Err(Error::setting(name, interval, "a finite interval"));
            }
        }
        if self.hard_constraints && equation.ansatz([x[0], t[0]]).is_none() {
            return Err(no_ansatz([x[0], t[0]]));
        }
        let names: Vec<&str> = std::iter::once(RESIDUAL)
            .chain(
                self.conditions(equation)
                    .iter()
                    .map(|condition| condition.name),
            )
            .collect();
        for (name, weight) in &self.weights {
            if !names.contains(&name.as_str()) {
                let expected = format!("one of {}", names.join(", "));
                return Err(Error::setting("weights", name, expected));
            }
            if !(*weight >= 0.0 && weight.is_finite()) {
                let value = format!("{{ {name} = {weight} }}");
                return Err(Error::setting(
                    "weights",
                    value,
                    "finite numbers of at least 0",
                ));
            }
        }
        Ok(())
    }

    /// Creates the network's parameters in `scope`, and draws the residual points and random frequencies
    /// from `rng`.
    ///
    /// # Errors
    /// As [`PinnConfig::check`]; when the scope's dtype is neither f32 nor f64 or its device refuses.
    pub fn build(
        &self,
        equation: Arc<dyn Equation>,
        scope: &Scope,
        rng: &mut impl Rng,
    ) -> Result<Pinn> {
        self.check(&*equation)?;
        let domain = equation.domain();
        let points = self.points.draw(&domain, rng);
        let length = domain.x[1] - domain.x[0];
        let features = self.network.features.build(length, rng);
        let network = self.network.build(features, scope)?;
        let mut pinn = Pinn {
            config: self.clone(),
            equation,
            network,
            device: scope.device().clone(),
            terms: Vec::new(),
            measured: OnceLock::new(),
        };
        pinn.terms.push(pinn.residual_term(points)?);
        for condition in self.conditions(&*pinn.equation) {
            pinn.terms.push(pinn.condition_term(&condition)?);
        }
        Ok(pinn)
    }

    /// The conditions that are terms of the loss.
    fn conditions(&self, equation: &dyn Equation) -> Vec<Condition> {
        let is_periodic = matches!(self.network.features, Features::Periodic { .. });
        let mut conditions = equation.conditions();
        conditions.retain(|condition| match condition.edge {
            Edge::Periodic => !is_periodic,
            _ => !self.hard_constraints,
        });
        conditions
    }
}

/// Hard constraints where the equation offers none.
fn no_ansatz([x, t]: Point) -> Error {
    let expected = format!("false, as the equation has no ansatz at x = {x}, t = {t}");
    Error::setting("hard_constraints", true, expected)
}

/// The name of the equation's own term.
const RESIDUAL: &str = "residual";

/// A physics-informed network: u(x, t) with the loss
/// Σ weight · mean square, over the equation's residual and its conditions.
///
/// On the CPU the loss and its gradient come from fused kernels, with the same bits for every number of
/// threads; elsewhere from tensor operations.
///
/// ```
/// use std::sync::Arc;
///
/// use candle_core::{DType, Device};
/// use models::Scope;
/// use models::physics::{Convection, PinnConfig};
/// use rand::SeedableRng;
/// use rand_chacha::ChaCha8Rng;
///
/// # fn main() -> models::Result<()> {
/// let mut config = PinnConfig::default();
/// config.network.width = 10;
/// config.points.residual = 100;
/// let equation = Arc::new(Convection { speed: 1.0 });
/// let scope = Scope::new(0, DType::F64, &Device::Cpu);
/// let pinn = config.build(equation, &scope, &mut ChaCha8Rng::seed_from_u64(0))?;
/// let (loss, gradient) = pinn.loss_and_gradient()?;
/// assert_eq!(loss.parts.len(), 3);
/// assert_eq!(gradient.len(), pinn.tensors().parameters.len());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Pinn {
    config: PinnConfig,
    equation: Arc<dyn Equation>,
    network: Network,
    device: Device,
    terms: Vec<Term>,
    /// The points of the error and the solution there.
    measured: OnceLock<(Vec<Point>, Option<Vec<f64>>)>,
}

/// The value of the loss.
#[derive(Debug, Clone, PartialEq)]
pub struct PinnLoss {
    /// The weighted sum of the parts.
    pub total: f64,
    /// The equation's residual first, then the conditions.
    pub parts: Vec<LossPart>,
}

/// One term of the loss.
#[derive(Debug, Clone, PartialEq)]
pub struct LossPart {
    /// `residual`, or the condition's name.
    pub name: &'static str,
    /// The mean square, without its weight.
    pub mean_square: f64,
    /// Its weight in the total.
    pub weight: f64,
}

/// How far u is from the solution u* on the grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SolutionError {
    /// ‖u − u*‖₂ / ‖u*‖₂.
    pub relative_l2: f64,
    /// max |u − u*|.
    pub largest: f64,
}

impl Pinn {
    /// The network's parameters.
    pub fn tensors(&self) -> &Tensors {
        &self.network.tensors
    }

    /// The equation.
    pub fn equation(&self) -> &dyn Equation {
        &*self.equation
    }

    /// The points where the residual is taken.
    pub fn residual_points(&self) -> &[Point] {
        &self.terms[0].points
    }

    /// Draws the residual points anew.
    ///
    /// # Errors
    /// When the constraints are hard and the equation has no ansatz at a point.
    pub fn resample(&mut self, rng: &mut impl Rng) -> Result<()> {
        let points = self.config.points.draw(&self.equation.domain(), rng);
        self.terms[0] = self.residual_term(points)?;
        Ok(())
    }

    /// The loss at the current parameters. What is not finite is a value, not an error.
    ///
    /// # Errors
    /// When the device refuses a tensor operation.
    pub fn loss(&self) -> Result<PinnLoss> {
        Ok(self.evaluate_loss(false)?.0)
    }

    /// The loss, and its gradient by each of the [parameters](Pinn::tensors), in their order.
    ///
    /// # Errors
    /// As [`Pinn::loss`].
    pub fn loss_and_gradient(&self) -> Result<(PinnLoss, Vec<Tensor>)> {
        self.evaluate_loss(true)
    }

    /// u at each point.
    ///
    /// # Errors
    /// As [`Pinn::loss`].
    pub fn evaluate(&self, points: &[Point]) -> Result<Vec<f64>> {
        let inputs = self.network.features.inputs(points);
        let mut values = match (self.is_fused(), self.network.dtype()) {
            (true, DType::F32) => self.network.pack::<f32>()?.values(&inputs),
            (true, _) => self.network.pack::<f64>()?.values(&inputs),
            (false, _) => {
                let features = self.features(&inputs, Orders::VALUE)?;
                let output = self.network.forward(&features, Orders::VALUE)?;
                host(&output)?
            }
        };
        if self.config.hard_constraints {
            for (value, point) in values.iter_mut().zip(points) {
                if let Some(ansatz) = self.equation.ansatz(*point) {
                    *value = ansatz.offset.u + ansatz.factor.u * *value;
                }
            }
        }
        Ok(values)
    }

    /// The distance from the equation's solution on the whole grid with its edges; none where the
    /// solution is not known. The first call computes the solution.
    ///
    /// # Errors
    /// As [`Pinn::loss`]; when the equation gives too few or too many values.
    pub fn error(&self) -> Result<Option<SolutionError>> {
        let (points, solution) = self.measured.get_or_init(|| {
            let points = self.config.points.measured(&self.equation.domain());
            let solution = self.equation.solution(&points);
            (points, solution)
        });
        let Some(solution) = solution else {
            return Ok(None);
        };
        if solution.len() != points.len() {
            let expected = format!("a value for each of {} points", points.len());
            return Err(Error::setting(
                "equation.solution",
                solution.len(),
                expected,
            ));
        }
        let (mut distance, mut size, mut largest) = (0.0, 0.0, 0.0);
        for (value, exact) in self.evaluate(points)?.iter().zip(solution) {
            let difference = value - exact;
            distance += difference * difference;
            size += exact * exact;
            // Unlike `f64::max`, this lets NaN pass.
            if !(difference.abs() <= largest) {
                largest = difference.abs();
            }
        }
        Ok(Some(SolutionError {
            relative_l2: (distance / size).sqrt(),
            largest,
        }))
    }

    fn is_fused(&self) -> bool {
        self.device.is_cpu()
    }

    fn evaluate_loss(&self, gradient: bool) -> Result<(PinnLoss, Vec<Tensor>)> {
        match (self.is_fused(), self.network.dtype()) {
            (true, DType::F32) => self.by_kernels::<f32>(gradient),
            (true, _) => self.by_kernels::<f64>(gradient),
            (false, _) => self.by_tensors(gradient),
        }
    }

    fn by_kernels<T: Real>(&self, gradient: bool) -> Result<(PinnLoss, Vec<Tensor>)> {
        let network = self.network.pack::<T>()?;
        let heads: Vec<_> = self
            .terms
            .iter()
            .map(|term| {
                |range: Range<usize>, output: &mut [f64]| {
                    term.squares(&*self.equation, range, output)
                }
            })
            .collect();
        let batches: Vec<Batch> = self
            .terms
            .iter()
            .zip(&heads)
            .map(|(term, squares)| Batch {
                inputs: &term.inputs,
                orders: term.orders,
                places: term.places,
                count: term.count(),
                squares,
            })
            .collect();
        let sums = network.evaluate(&batches, gradient);
        let mut by_var = HashMap::new();
        if let Some(gradient) = &sums.gradient {
            let layers = network.unpack(gradient).into_iter();
            for ((weight, bias), vars) in layers.zip(&self.network.layers) {
                for (elements, var) in [(weight, &vars.0), (bias, &vars.1)] {
                    let tensor = Tensor::from_vec(elements, var.shape(), &self.device)?;
                    by_var.insert(var.id(), tensor);
                }
            }
        }
        let parameters = self.network.tensors.parameters.iter();
        let gradient = parameters.filter_map(|(_, var)| by_var.remove(&var.id()));
        Ok((self.total(&sums.squares), gradient.collect()))
    }

    /// The same by tensor operations: the residuals and their derivatives are computed on the host, as
    /// in the kernels, and Candle's backward pass goes on from there.
    fn by_tensors(&self, gradient: bool) -> Result<(PinnLoss, Vec<Tensor>)> {
        let mut squares = Vec::with_capacity(self.terms.len());
        let mut seeded = Vec::new();
        for term in &self.terms {
            let features = match term.features.get() {
                Some(features) => features,
                None => {
                    let features = self.features(&term.inputs, term.orders)?;
                    term.features.get_or_init(|| features)
                }
            };
            let output = self.network.forward(features, term.orders)?;
            let mut seeds = host(&output)?;
            squares.push(term.squares(&*self.equation, 0..term.count(), &mut seeds));
            let seeds = Tensor::from_vec(seeds, output.shape(), &Device::Cpu)?
                .to_dtype(output.dtype())?
                .to_device(&self.device)?;
            seeded.push((output * seeds)?.sum_all()?);
        }
        let loss = self.total(&squares);
        if !gradient {
            return Ok((loss, Vec::new()));
        }
        let store = Tensor::stack(&seeded, 0)?.sum_all()?.backward()?;
        let parameters = self.network.tensors.parameters.iter();
        let gradient = parameters.map(|(_, var)| match store.get(var) {
            Some(gradient) => Ok(gradient.contiguous()?),
            None => Ok(var.zeros_like()?),
        });
        Ok((loss, gradient.collect::<Result<_>>()?))
    }

    /// The features' channels `[channels, points, features]` on the device.
    fn features(&self, inputs: &Inputs, orders: Orders) -> Result<Tensor> {
        let shape = (orders.channels(), inputs.len(), self.network.features.len());
        let mut rows = vec![0f64; shape.0 * shape.1 * shape.2];
        inputs.write(0..inputs.len(), orders, 0, inputs.len(), &mut rows);
        let host = Tensor::from_vec(rows, shape, &Device::Cpu)?;
        Ok(host
            .to_dtype(self.network.dtype())?
            .to_device(&self.device)?)
    }

    fn total(&self, squares: &[f64]) -> PinnLoss {
        let parts: Vec<LossPart> = self
            .terms
            .iter()
            .zip(squares)
            .map(|(term, squares)| LossPart {
                name: term.name,
                mean_square: squares / term.count() as f64,
                weight: term.weight,
            })
            .collect();
        PinnLoss {
            total: parts
                .iter()
                .map(|part| part.weight * part.mean_square)
                .sum(),
            parts,
        }
    }

    fn residual_term(&self, points: Vec<Point>) -> Result<Term> {
        let orders = self.equation.orders();
        self.term(RESIDUAL, points, 1, orders, What::Equation)
    }

    fn condition_term(&self, condition: &Condition) -> Result<Term> {
        let domain = self.equation.domain();
        let mut points = self.config.points.edge(&domain, condition.edge);
        let is_periodic = condition.edge == Edge::Periodic;
        let values = match is_periodic {
            true => vec![0.0; points.len()],
            false => points
                .iter()
                .map(|point| (condition.value)(*point))
                .collect(),
        };
        if is_periodic {
            points.extend(self.config.points.edge(&domain, Edge::Right));
        }
        let of = condition.of;
        let places = if is_periodic { 2 } else { 1 };
        let what = What::Condition { of, values };
        self.term(condition.name, points, places, of.orders(), what)
    }

    fn term(
        &self,
        name: &'static str,
        points: Vec<Point>,
        places: usize,
        orders: Orders,
        what: What,
    ) -> Result<Term> {
        let ansatz = match self.config.hard_constraints {
            true => points
                .iter()
                .map(|point| {
                    self.equation
                        .ansatz(*point)
                        .ok_or_else(|| no_ansatz(*point))
                })
                .collect::<Result<_>>()?,
            false => Vec::new(),
        };
        Ok(Term {
            name,
            weight: self.config.weights.get(name).copied().unwrap_or(1.0),
            orders,
            places,
            inputs: self.network.features.inputs(&points),
            features: OnceLock::new(),
            ansatz,
            points,
            what,
        })
    }
}

/// A term of the loss with its points.
#[derive(Debug)]
struct Term {
    name: &'static str,
    weight: f64,
    orders: Orders,
    /// How many points a residual looks at.
    places: usize,
    /// Place by place.
    points: Vec<Point>,
    inputs: Inputs,
    /// The features on the device, for tensor operations.
    features: OnceLock<Tensor>,
    /// The hard constraint at each point; empty where there is none.
    ansatz: Vec<Ansatz>,
    what: What,
}

#[derive(Debug)]
enum What {
    /// The equation's residual.
    Equation,
    /// A derivative minus its value; with two places, the first one's derivative minus the second one's.
    Condition { of: Derivative, values: Vec<f64> },
}

impl Term {
    /// The number of residuals.
    fn count(&self) -> usize {
        self.points.len() / self.places
    }

    /// As [`Batch::squares`] wants it: the sum of squares over `range`; replaces the network's output by
    /// the derivative of weight · mean square by it.
    fn squares(&self, equation: &dyn Equation, range: Range<usize>, output: &mut [f64]) -> f64 {
        let len = range.len();
        let scale = 2.0 * self.weight / self.count() as f64;
        let mut sum = 0.0;
        for (i, index) in range.enumerate() {
            let at = |place: usize| (place * self.count() + index, place * len + i);
            let read = |place: usize| {
                let (point, column) = at(place);
                let n = Jet::read(self.orders, |c| output[c * self.places * len + column]);
                self.ansatz.get(point).map_or(n, |ansatz| ansatz.apply(&n))
            };
            let (value, by) = match &self.what {
                What::Equation => {
                    let residual = equation.residual(self.points[index], &read(0));
                    (residual.value, residual.by)
                }
                What::Condition { of, values } => {
                    let other = if self.places == 2 {
                        read(1).get(*of)
                    } else {
                        values[index]
                    };
                    (read(0).get(*of) - other, Jet::unit(*of))
                }
            };
            sum += value * value;
            for place in 0..self.places {
                let (point, column) = at(place);
                let sign = if place == 0 { 1.0 } else { -1.0 };
                let by = by.scaled(sign * scale * value);
                let by = self
                    .ansatz
                    .get(point)
                    .map_or(by, |ansatz| ansatz.pull_back(&by));
                by.write(self.orders, |c, value| {
                    output[c * self.places * len + column] = value
                });
            }
        }
        sum
    }
}

/// A tensor's elements in f64 on the host.
fn host(tensor: &Tensor) -> candle_core::Result<Vec<f64>> {
    tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::super::activation::Activation;
    use super::super::equation::{Burgers, Wave};
    use super::*;

    /// The largest difference of the two paths' gradients, relative to the largest element.
    fn distance(config: &PinnConfig, equation: Arc<dyn Equation>, dtype: DType) -> f64 {
        let scope = Scope::new(1, dtype, &Device::Cpu);
        let rng = &mut ChaCha8Rng::seed_from_u64(2);
        let pinn = config.build(equation, &scope, rng).unwrap();
        let (fused, tensors) = match dtype {
            DType::F32 => (pinn.by_kernels::<f32>(true), pinn.by_tensors(true)),
            _ => (pinn.by_kernels::<f64>(true), pinn.by_tensors(true)),
        };
        let ((loss, gradient), (plain_loss, plain_gradient)) = (fused.unwrap(), tensors.unwrap());
        let mut worst = (loss.total / plain_loss.total - 1.0).abs();
        assert_eq!(gradient.len(), plain_gradient.len());
        let elements = |tensors: &[Tensor]| -> Vec<f64> {
            tensors
                .iter()
                .flat_map(|tensor| host(tensor).unwrap())
                .collect()
        };
        let (gradient, plain_gradient) = (elements(&gradient), elements(&plain_gradient));
        let largest = plain_gradient.iter().fold(0.0, |m: f64, g| m.max(g.abs()));
        for (a, b) in gradient.iter().zip(plain_gradient) {
            worst = worst.max((a - b).abs() / largest);
        }
        let alone = pinn.loss().unwrap();
        assert_eq!(alone, loss);
        worst
    }

    #[test]
    fn kernels_agree_with_tensor_operations() {
        for activation in [Activation::Tanh, Activation::Sine, Activation::Gelu] {
            for (width, depth, residual) in [(1, 1, 5), (17, 2, 300), (50, 3, 700), (130, 2, 40)] {
                let mut config = PinnConfig::default();
                config.network.activation = activation;
                (config.network.width, config.network.depth) = (width, depth);
                config.points.residual = residual;
                for equation in [
                    Arc::new(Wave { speed: 2.0 }) as Arc<dyn Equation>,
                    Arc::new(Burgers::default()),
                ] {
                    let double = distance(&config, equation.clone(), DType::F64);
                    assert!(double < 1e-12, "{activation:?} {width}: {double:e}");
                    let single = distance(&config, equation, DType::F32);
                    assert!(single < 3e-5, "{activation:?} {width}: {single:e}");
                }
            }
        }
    }

    #[test]
    fn kernels_agree_with_tensor_operations_for_all_features_and_hard_constraints() {
        for features in [
            Features::Plain,
            Features::Periodic { harmonics: 3 },
            Features::Fourier {
                count: 5,
                scale: 0.7,
            },
        ] {
            for hard_constraints in [false, true] {
                let mut config = PinnConfig::default();
                config.network.features = features;
                config.network.width = 20;
                config.points.residual = 200;
                config.hard_constraints = hard_constraints;
                let distance = distance(&config, Arc::new(Wave { speed: 2.0 }), DType::F64);
                assert!(
                    distance < 1e-12,
                    "{features:?} {hard_constraints}: {distance:e}"
                );
            }
        }
    }
}
