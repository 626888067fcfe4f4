//! Muon: a momentum whose singular values are brought near 1.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::matrixwise::{MatrixMethod, Matrixwise, Memory};
use super::newton_schulz::orthogonalized;
use crate::check;
use crate::error::Result;
use crate::first_order::{AdamConfig, ParameterGroup, WeightDecay, matches};
use crate::kernels::number::{finite_or_zero_tensor, square_limit};
use crate::params::Parameters;
use crate::record::VectorPasses;
use crate::schedule::Schedule;

/// Settings of [`Muon`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MuonConfig {
    /// The learning rate α > 0 of matrices.
    pub learning_rate: f64,
    /// How the learning rates, Adam's too, change with the steps.
    #[serde(skip_serializing_if = "Schedule::is_constant")]
    pub schedule: Schedule,
    /// The momentum μ in [0, 1).
    pub momentum: f64,
    /// How the gradient enters the momentum.
    pub momentum_kind: Momentum,
    /// Whether to look ahead along the momentum (Nesterov).
    pub nesterov: bool,
    /// The strength λ ≥ 0 of the matrices' weight decay, apart from the gradient.
    pub weight_decay: f64,
    /// Iterations of Newton and Schulz, from 1 to 99.
    pub iterations: u64,
    /// The coefficients a, b and c of the iteration.
    pub coefficients: [f64; 3],
    /// The least norm ε ≥ 0 that a momentum is divided by.
    pub epsilon: f64,
    /// How the learning rate depends on a matrix's shape.
    pub rate_scale: RateScale,
    /// Name patterns, with `*` for any run of characters, of matrices that are left to Adam:
    /// embeddings and the last layer, as a rule.
    pub excluded: Vec<String>,
    /// Adam for vectors and scalars and the excluded matrices. Its learning rate keeps its ratio to
    /// Muon's.
    pub adam: AdamConfig,
    /// Matrices with other settings.
    pub groups: Vec<ParameterGroup>,
}

/// How the gradient g enters the momentum B. Both give the same steps but for ε: the direction of a
/// step does not depend on the momentum's size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Momentum {
    /// B ← μ·B + (1 - μ)·g; ahead, μ·B + (1 - μ)·g: PyTorch's form.
    #[default]
    Average,
    /// B ← μ·B + g; ahead, μ·B + g: the form of Jordan's text.
    Sum,
}

/// The factor of a matrix's learning rate, by its numbers of rows and columns. The first dimension
/// counts rows, all others together count columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateScale {
    /// √max(1, rows/columns): Jordan's, PyTorch's `original`.
    #[default]
    Original,
    /// 0.2·√max(rows, columns), so that steps have the size of AdamW's and its learning rate fits:
    /// Liu et al. (arXiv 2502.16982), PyTorch's `match_rms_adamw`.
    MatchAdamw,
    /// √(rows/columns): Bernstein's, PyTorch's `spectral_unclamped`.
    Spectral,
}

impl RateScale {
    fn factor(self, rows: usize, columns: usize) -> f64 {
        let (rows, columns) = (rows as f64, columns as f64);
        match self {
            Self::Original => (rows / columns).max(1.0).sqrt(),
            Self::MatchAdamw => 0.2 * rows.max(columns).sqrt(),
            Self::Spectral => (rows / columns).sqrt(),
        }
    }
}

impl Default for MuonConfig {
    fn default() -> Self {
        Self {
            learning_rate: 0.02,
            schedule: Schedule::default(),
            momentum: 0.95,
            momentum_kind: Momentum::default(),
            nesterov: true,
            weight_decay: 0.0,
            iterations: 5,
            coefficients: [3.4445, -4.7750, 2.0315],
            epsilon: 1e-7,
            rate_scale: RateScale::default(),
            excluded: Vec::new(),
            adam: AdamConfig {
                learning_rate: 3e-4,
                beta2: 0.95,
                epsilon: 1e-10,
                weight_decay_kind: WeightDecay::Decoupled,
                ..AdamConfig::default()
            },
            groups: Vec::new(),
        }
    }
}

impl MuonConfig {
    /// The settings for a run with a budget of `evaluations`, shares of which become numbers of
    /// steps.
    #[must_use]
    pub fn with_budget(mut self, evaluations: u64) -> Self {
        self.schedule = self.schedule.with_budget(evaluations);
        self.adam = self.adam.with_budget(evaluations);
        self
    }

    /// An optimizer of `parameters` with these settings.
    ///
    /// # Errors
    /// When a setting is out of range or a pattern matches no parameter.
    pub fn build(self, parameters: &Parameters) -> Result<Muon> {
        check::decay_rate("momentum", self.momentum)?;
        let accepted = (1..100).contains(&self.iterations);
        check::that(accepted, "iterations", self.iterations, "1 to 99")?;
        for coefficient in self.coefficients {
            let expected = "finite numbers";
            check::that(
                coefficient.is_finite(),
                "coefficients",
                coefficient,
                expected,
            )?;
        }
        check::non_negative("epsilon", self.epsilon)?;
        for pattern in &self.excluded {
            let used = parameters.names().iter().any(|name| matches(pattern, name));
            let expected = "a pattern that matches the name of at least one parameter";
            check::that(used, "excluded", pattern, expected)?;
        }
        self.schedule.check()?;
        let (rate, decay) = (self.learning_rate, self.weight_decay);
        let groups = self.groups.clone();
        Matrixwise::new(self, rate, decay, &groups, parameters)
    }
}

/// Muon: a momentum made nearly orthogonal, for parameters of two dimensions or more; Adam for the
/// others.
///
/// A parameter of more dimensions is taken as a matrix with a row for each index of the first. With
/// its gradient G:
///
/// ```text
/// B ← μ·B + (1 - μ)·G
/// U = μ·B + (1 - μ)·G                            ahead; without Nesterov, B
/// X = U / max(‖U‖, ε), then five times
/// X ← a·X + (b·A + c·A²)·X,  A = X·Xᵀ            singular values near 1, vectors as they were
/// W ← (1 - αλ)·W - α·s·X                         s from the matrix's shape, see RateScale
/// ```
///
/// The products are in the parameters' arithmetic, f32 or f64, where PyTorch takes them in bf16.
///
/// Cost: an update reads 3 and writes 2 vectors of the matrices' dimension beside the products, each
/// iteration reads X three times and writes it once. The smaller matrices A are counted too.
///
/// Sources: Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024,
/// <https://kellerjordan.github.io/posts/muon/>); Liu et al., "Muon is Scalable for LLM Training"
/// (arXiv 2502.16982).
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{Loss, Meter, MuonConfig, Optimizer, Oracle, Parameters};
///
/// # fn main() -> optim::Result<()> {
/// let weight = Var::new(&[[3f64, 0.0], [0.0, -2.0]], &Device::Cpu)?;
/// let bias = Var::new(&[1f64, 1.0], &Device::Cpu)?;
/// let parameters = Parameters::new([("weight", weight.clone()), ("bias", bias.clone())])?;
/// let mut muon = MuonConfig::default().build(&parameters)?;
/// let mut objective = Loss::new(&parameters, || {
///     weight.sqr()?.sum_all()? + bias.sqr()?.sum_all()?
/// });
/// let mut meter = Meter::new();
/// muon.step(&mut Oracle::new(&mut objective, &mut meter))?;
/// // Both singular values, 3 and 2, have moved by about the learning rate, the bias by Adam's.
/// let weight = weight.to_vec2::<f64>()?;
/// assert!((3.0 - weight[0][0]) / 0.02 > 0.6 && (3.0 - weight[0][0]) / 0.02 < 1.3);
/// assert!((weight[1][1] + 2.0) / 0.02 > 0.6 && (weight[1][1] + 2.0) / 0.02 < 1.3);
/// assert!((bias.to_vec1::<f64>()?[0] - (1.0 - 3e-4)).abs() < 1e-9);
/// # Ok(())
/// # }
/// ```
pub type Muon = Matrixwise<MuonConfig>;

/// The momentum B.
#[derive(Debug, Clone)]
pub struct MuonMemory {
    momentum: Tensor,
}

impl Memory for MuonMemory {
    fn tensors(&mut self) -> Vec<(String, &mut Tensor)> {
        vec![("momentum".into(), &mut self.momentum)]
    }
}

/// Rows and columns of a parameter as a matrix.
fn shape(dims: &[usize]) -> (usize, usize) {
    let rows = dims.first().copied().unwrap_or(1);
    (rows, dims.iter().skip(1).product())
}

impl MatrixMethod for MuonConfig {
    const KIND: &'static str = "muon";
    type Memory = MuonMemory;

    fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    fn takes(&self, name: &str, dims: &[usize]) -> bool {
        dims.len() >= 2 && !self.excluded.iter().any(|pattern| matches(pattern, name))
    }

    fn adam(&self) -> Option<AdamConfig> {
        Some(self.adam.clone())
    }

    fn start(&self, parameter: &Tensor) -> candle_core::Result<MuonMemory> {
        let momentum = parameter.zeros_like()?;
        Ok(MuonMemory { momentum })
    }

    fn update(
        &self,
        _updates: u64,
        learning_rate: f64,
        weight_decay: f64,
        parameter: &Tensor,
        gradient: &Tensor,
        memory: &mut MuonMemory,
    ) -> Result<Tensor> {
        // So that products of rows are finite; the direction hardly changes.
        let limit = square_limit(parameter.dtype());
        let gradient = gradient.clamp(-limit, limit)?;
        let inflow = match self.momentum_kind {
            Momentum::Average => 1.0 - self.momentum,
            Momentum::Sum => 1.0,
        };
        let entering = (gradient * inflow)?;
        let ahead = |momentum: &Tensor| (momentum * self.momentum)? + &entering;
        memory.momentum = ahead(&memory.momentum)?;
        let direction = match self.nesterov {
            true => ahead(&memory.momentum)?,
            false => memory.momentum.clone(),
        };
        let (rows, columns) = shape(parameter.dims());
        let direction = direction.reshape((rows, columns))?;
        let (coefficients, epsilon) = (self.coefficients, self.epsilon);
        let direction = orthogonalized(&direction, coefficients, self.iterations, epsilon)?;
        let direction = direction.reshape(parameter.shape())?;
        let rate = learning_rate * self.rate_scale.factor(rows, columns);
        let decay = learning_rate * weight_decay;
        let step = finite_or_zero_tensor(&(direction * rate.min(f64::MAX))?)?;
        let decayed = (parameter * decay.min(f64::MAX))?;
        Ok((parameter - finite_or_zero_tensor(&(decayed + step)?)?)?)
    }

    fn elements(&self, _updates: u64, dims: &[usize]) -> VectorPasses {
        let (rows, columns) = shape(dims);
        let (all, least) = ((rows * columns) as u64, rows.min(columns) as u64);
        let products = least * least;
        VectorPasses {
            reads: 3 * all + self.iterations * (3 * all + 3 * products),
            writes: 2 * all + self.iterations * (all + 2 * products),
        }
    }
}
