//! Shampoo with its step's size grafted from RMSProp.

use candle_core::{Result as CandleResult, Tensor};
use serde::{Deserialize, Serialize};

use super::eigenbasis::inverse_root;
use super::matrixwise::{MatrixMethod, Matrixwise, Memory};
use super::modes::{bounded, grams, multiplied};
use crate::check;
use crate::error::Result;
use crate::first_order::ParameterGroup;
use crate::kernels;
use crate::kernels::number::{finite_or_zero_tensor, largest};
use crate::params::Parameters;
use crate::record::VectorPasses;
use crate::schedule::Schedule;

/// Settings of [`Shampoo`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShampooConfig {
    /// The learning rate α > 0.
    pub learning_rate: f64,
    /// How the learning rate changes with the steps.
    #[serde(skip_serializing_if = "Schedule::is_constant")]
    pub schedule: Schedule,
    /// The momentum β1 in [0, 1).
    pub beta1: f64,
    /// The decay rate β2 in [0, 1) of the preconditioners and of RMSProp's second moment.
    pub beta2: f64,
    /// Whether to look ahead along the momentum (Nesterov).
    pub nesterov: bool,
    /// The term ε ≥ 0 that bounds RMSProp's denominator from below.
    pub epsilon: f64,
    /// What the preconditioners begin with, as a multiple ≥ 0 of the unit matrix.
    pub matrix_epsilon: f64,
    /// The strength λ ≥ 0 of weight decay, apart from the gradient.
    pub weight_decay: f64,
    /// The update, counted from 1, from which on Shampoo acts; RMSProp with momentum before.
    pub start: u64,
    /// The updates, at least 1, from one computation of the roots to the next.
    pub frequency: u64,
    /// The largest dimension, at least 1; a parameter with a larger one gets no preconditioner.
    pub largest_dimension: usize,
    /// Parameters with other settings.
    pub groups: Vec<ParameterGroup>,
}

impl Default for ShampooConfig {
    fn default() -> Self {
        Self {
            learning_rate: 1e-3,
            schedule: Schedule::default(),
            beta1: 0.9,
            beta2: 0.999,
            nesterov: true,
            epsilon: 1e-10,
            matrix_epsilon: 1e-6,
            weight_decay: 0.0,
            start: 25,
            frequency: 20,
            largest_dimension: 8192,
            groups: Vec::new(),
        }
    }
}

impl ShampooConfig {
    /// The settings for a run with a budget of `evaluations`, shares of which become numbers of
    /// steps.
    #[must_use]
    pub fn with_budget(mut self, evaluations: u64) -> Self {
        self.schedule = self.schedule.with_budget(evaluations);
        self
    }

    /// An optimizer of `parameters` with these settings.
    ///
    /// # Errors
    /// When a setting is out of range or a group's pattern matches no parameter.
    pub fn build(self, parameters: &Parameters) -> Result<Shampoo> {
        check::decay_rate("beta1", self.beta1)?;
        check::decay_rate("beta2", self.beta2)?;
        check::non_negative("epsilon", self.epsilon)?;
        check::non_negative("matrix_epsilon", self.matrix_epsilon)?;
        check::that(self.start > 0, "start", self.start, "at least 1")?;
        check::that(
            self.frequency > 0,
            "frequency",
            self.frequency,
            "at least 1",
        )?;
        let largest = self.largest_dimension;
        check::that(largest > 0, "largest_dimension", largest, "at least 1")?;
        self.schedule.check()?;
        let (rate, decay) = (self.learning_rate, self.weight_decay);
        let groups = self.groups.clone();
        Matrixwise::new(self, rate, decay, &groups, parameters)
    }

    /// Whether a parameter of this shape gets preconditioners.
    fn preconditions(&self, dims: &[usize]) -> bool {
        dims.len() > 1 && dims.iter().all(|&size| size <= self.largest_dimension)
    }
}

/// Shampoo: the gradient between inverse roots of running means of G·Gᵀ and Gᵀ·G, with the size of
/// RMSProp's step.
///
/// At update t from 1, with gradient G; L and R begin with a multiple of the unit matrix:
///
/// ```text
/// V ← β2·V + (1 - β2)·G²,  A = G / (√V + ε)
/// L ← β2·L + (1 - β2)·G·Gᵀ,  R ← β2·R + (1 - β2)·Gᵀ·G
/// P = L^(-1/4)·G·R^(-1/4),  P ← P·‖A‖/‖P‖                 roots of every `frequency` updates
/// W ← (1 - αλ)·W
/// M ← β1·M + P,  N ← β1·N + A
/// W ← W - α·(β1·M + P)                                    without Nesterov, W - α·M
/// ```
///
/// Before update `start`, N and A take the places of M and P in the last line. A parameter of k
/// dimensions has k preconditioners and the roots -1/(2k); one of a single dimension has none, and P =
/// A. Until the roots are first computed they are unit matrices.
///
/// Eigenvalues are computed on the host in f64, one matrix after the other. The passes leave these
/// factorisations out.
///
/// Sources: Gupta, Koren & Singer, "Shampoo" (arXiv 1802.09568); Anil et al., "Scalable Second Order
/// Optimization for Deep Learning" (arXiv 2002.09018), whose form this is; grafting: Agarwal et al.
/// (arXiv 2002.11803).
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{Loss, Meter, Optimizer, Oracle, Parameters, ShampooConfig};
///
/// # fn main() -> optim::Result<()> {
/// let weight = Var::new(&[[3f64, 1.0], [1.0, -2.0]], &Device::Cpu)?;
/// let parameters = Parameters::new([("weight", weight.clone())])?;
/// let config = ShampooConfig {
///     learning_rate: 0.01,
///     beta2: 0.9,
///     start: 5,
///     frequency: 5,
///     ..ShampooConfig::default()
/// };
/// let mut shampoo = config.build(&parameters)?;
/// let mut meter = Meter::new();
/// for _ in 0..100 {
///     let mut objective = Loss::new(&parameters, || weight.sqr()?.sum_all());
///     shampoo.step(&mut Oracle::new(&mut objective, &mut meter))?;
/// }
/// assert!(weight.sqr()?.sum_all()?.to_scalar::<f64>()? < 1.0);
/// # Ok(())
/// # }
/// ```
pub type Shampoo = Matrixwise<ShampooConfig>;

/// The second moment, both momenta, and for each dimension its preconditioner.
#[derive(Debug, Clone)]
pub struct ShampooMemory {
    v: Tensor,
    momentum: Tensor,
    grafted: Tensor,
    preconditioners: Vec<Preconditioner>,
}

#[derive(Debug, Clone)]
struct Preconditioner {
    mean: Tensor,
    root: Tensor,
}

impl Memory for ShampooMemory {
    fn tensors(&mut self) -> Vec<(String, &mut Tensor)> {
        let mut tensors = vec![
            ("v".into(), &mut self.v),
            ("momentum".into(), &mut self.momentum),
            ("grafted".into(), &mut self.grafted),
        ];
        for (dimension, preconditioner) in self.preconditioners.iter_mut().enumerate() {
            tensors.push((format!("mean{dimension}"), &mut preconditioner.mean));
            tensors.push((format!("root{dimension}"), &mut preconditioner.root));
        }
        tensors
    }
}

impl ShampooMemory {
    /// The gradient between the roots, with the norm of `size`; that itself where there are no roots.
    fn direction(&self, gradient: &Tensor, size: &Tensor) -> Result<Tensor> {
        if self.preconditioners.is_empty() {
            return Ok(size.clone());
        }
        let roots = self.preconditioners.iter().map(|p| Some(&p.root));
        let direction = finite_or_zero_tensor(&multiplied(gradient, roots)?)?;
        let norm = |tensor: &Tensor| kernels::norm(std::slice::from_ref(tensor));
        let scale = norm(size)? / (norm(&direction)? + 1e-16);
        Ok(finite_or_zero_tensor(&(direction * scale)?)?)
    }
}

impl MatrixMethod for ShampooConfig {
    const KIND: &'static str = "shampoo";
    type Memory = ShampooMemory;

    fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    fn start(&self, parameter: &Tensor) -> CandleResult<ShampooMemory> {
        let dims = match self.preconditions(parameter.dims()) {
            true => parameter.dims(),
            false => &[],
        };
        let preconditioners = dims.iter().map(|&size| {
            let root = Tensor::eye(size, parameter.dtype(), parameter.device())?;
            Ok(Preconditioner {
                mean: (&root * self.matrix_epsilon)?,
                root,
            })
        });
        Ok(ShampooMemory {
            v: parameter.zeros_like()?,
            momentum: parameter.zeros_like()?,
            grafted: parameter.zeros_like()?,
            preconditioners: preconditioners.collect::<CandleResult<_>>()?,
        })
    }

    fn update(
        &self,
        updates: u64,
        learning_rate: f64,
        weight_decay: f64,
        parameter: &Tensor,
        gradient: &Tensor,
        memory: &mut ShampooMemory,
    ) -> Result<Tensor> {
        let t = updates + 1;
        let gradient = bounded(gradient)?;
        let rate = 1.0 - self.beta2;
        memory.v = (&memory.v + ((gradient.sqr()? - &memory.v)? * rate)?)?;
        let products = grams(&gradient, memory.preconditioners.iter().map(|_| true))?;
        for (preconditioner, product) in memory.preconditioners.iter_mut().zip(products) {
            if let Some(product) = product {
                let mean = &preconditioner.mean;
                preconditioner.mean = (mean + ((product - mean)? * rate)?)?;
            }
        }
        if t.is_multiple_of(self.frequency) {
            let order = 2 * memory.preconditioners.len();
            for preconditioner in &mut memory.preconditioners {
                preconditioner.root = inverse_root(&preconditioner.mean, order)?;
            }
        }
        let size = (&gradient / (memory.v.sqrt()? + self.epsilon)?)?;
        let size = finite_or_zero_tensor(&size)?;
        let direction = memory.direction(&gradient, &size)?;
        let most = largest(parameter.dtype());
        let carried = |momentum: &Tensor, entering: &Tensor| -> CandleResult<Tensor> {
            ((momentum * self.beta1)? + entering)?.clamp(-most, most)
        };
        memory.momentum = carried(&memory.momentum, &direction)?;
        memory.grafted = carried(&memory.grafted, &size)?;
        let (momentum, entering) = match t >= self.start {
            true => (&memory.momentum, &direction),
            false => (&memory.grafted, &size),
        };
        let step = match self.nesterov {
            true => carried(momentum, entering)?,
            false => momentum.clone(),
        };
        let step = finite_or_zero_tensor(&(step * learning_rate)?)?;
        let decay = (learning_rate * weight_decay).min(f64::MAX);
        let decay = finite_or_zero_tensor(&(parameter * decay)?)?;
        Ok((parameter - (decay + step)?)?)
    }

    fn elements(&self, _updates: u64, dims: &[usize]) -> VectorPasses {
        let all = dims.iter().product::<usize>() as u64;
        let look_ahead = u64::from(self.nesterov);
        // Moment, size, momenta and step.
        let mut elements = VectorPasses {
            reads: (10 + 2 * look_ahead) * all,
            writes: (5 + look_ahead) * all,
        };
        if self.preconditions(dims) {
            let count = dims.len() as u64;
            let squares: u64 = dims.iter().map(|&size| (size * size) as u64).sum();
            // Means; the product with the roots; both norms, and the product's size.
            elements += VectorPasses {
                reads: (2 * count * all + squares) + (count * all + squares) + 3 * all,
                writes: squares + count * all + all,
            };
        }
        elements
    }
}
