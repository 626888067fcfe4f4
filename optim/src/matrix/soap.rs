//! SOAP: Adam in the eigenbases of Shampoo's preconditioner.

use candle_core::{Result as CandleResult, Tensor};
use serde::{Deserialize, Serialize};

use super::eigenbasis::{eigenvectors, iterated};
use super::matrixwise::{MatrixMethod, Matrixwise, Memory};
use super::modes::{bounded, grams, multiplied};
use crate::check;
use crate::error::Result;
use crate::first_order::ParameterGroup;
use crate::kernels::number::finite_or_zero_tensor;
use crate::params::Parameters;
use crate::record::VectorPasses;
use crate::schedule::Schedule;

/// Settings of [`Soap`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SoapConfig {
    /// The learning rate α > 0.
    pub learning_rate: f64,
    /// How the learning rate changes with the steps.
    #[serde(skip_serializing_if = "Schedule::is_constant")]
    pub schedule: Schedule,
    /// The decay rate β1 in [0, 1) of the first moment.
    pub beta1: f64,
    /// The decay rate β2 in [0, 1) of the second moment.
    pub beta2: f64,
    /// The decay rate β in [0, 1) of the preconditioner; β2 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preconditioner_beta: Option<f64>,
    /// The term ε ≥ 0 that bounds the denominator from below, beside the uncorrected second moment.
    pub epsilon: f64,
    /// Whether to correct the moments' bias.
    pub bias_correction: bool,
    /// The strength λ ≥ 0 of weight decay, apart from the gradient.
    pub weight_decay: f64,
    /// The updates, at least 1, from one change of the bases to the next.
    pub frequency: u64,
    /// The largest dimension that gets a basis, at least 1.
    pub largest_dimension: usize,
    /// Whether parameters of one dimension get a basis too.
    pub precondition_vectors: bool,
    /// Parameters with other settings.
    pub groups: Vec<ParameterGroup>,
}

impl Default for SoapConfig {
    fn default() -> Self {
        Self {
            learning_rate: 3e-3,
            schedule: Schedule::default(),
            beta1: 0.95,
            beta2: 0.95,
            preconditioner_beta: None,
            epsilon: 1e-8,
            bias_correction: true,
            weight_decay: 1e-2,
            frequency: 10,
            largest_dimension: 10_000,
            precondition_vectors: false,
            groups: Vec::new(),
        }
    }
}

impl SoapConfig {
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
    pub fn build(self, parameters: &Parameters) -> Result<Soap> {
        check::decay_rate("beta1", self.beta1)?;
        check::decay_rate("beta2", self.beta2)?;
        check::decay_rate("preconditioner_beta", self.preconditioner_beta())?;
        check::non_negative("epsilon", self.epsilon)?;
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

    fn preconditioner_beta(&self) -> f64 {
        self.preconditioner_beta.unwrap_or(self.beta2)
    }

    /// Which dimensions of a parameter get a basis.
    fn has_basis(&self, dims: &[usize]) -> Vec<bool> {
        let any = dims.len() > 1 || self.precondition_vectors;
        let fits = |&size: &usize| any && size <= self.largest_dimension;
        dims.iter().map(fits).collect()
    }
}

/// SOAP: Adam in a basis that changes slowly, the eigenvectors of running means of G·Gᵀ and Gᵀ·G.
///
/// At a matrix's update t from 1, with gradient G; its very first gradient makes the bases and moves
/// nothing:
///
/// ```text
/// M ← β1·M + (1 - β1)·G
/// V ← β2·V + (1 - β2)·(Q_Lᵀ·G·Q_R)²                      elementwise square
/// N = Q_L·(Q_Lᵀ·M·Q_R / (√V + ε))·Q_Rᵀ
/// W ← (1 - αλ)·(W - α·√(1 - β2ᵗ)/(1 - β1ᵗ)·N)
/// L ← β·L + (1 - β)·G·Gᵀ,  R ← β·R + (1 - β)·Gᵀ·G
/// ```
///
/// Every `frequency` updates, Q_L and Q_R are brought nearer the eigenvectors of L and R by one step
/// of orthogonal iteration, Q ← qr(L·Q), after their columns, and V's entries with them, are
/// ordered by the eigenvalues they stand for. Parameters of more dimensions get a basis for each;
/// those of one get none, nor do dimensions larger than `largest_dimension`: Adam as it is.
///
/// Eigenvectors and QR are computed on the host in f64, one after the other.
///
/// Cost: beside the products, every `frequency` updates an n×n factorisation for each dimension n,
/// which the passes leave out.
///
/// Source: Vyas et al., "SOAP: Improving and Stabilizing Shampoo using Adam" (arXiv 2409.11321).
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{Loss, Meter, Optimizer, Oracle, Parameters, SoapConfig};
///
/// # fn main() -> optim::Result<()> {
/// let weight = Var::new(&[[3f64, 1.0], [1.0, -2.0]], &Device::Cpu)?;
/// let parameters = Parameters::new([("weight", weight.clone())])?;
/// let config = SoapConfig { learning_rate: 0.1, ..SoapConfig::default() };
/// let mut soap = config.build(&parameters)?;
/// let mut meter = Meter::new();
/// for _ in 0..100 {
///     let mut objective = Loss::new(&parameters, || weight.sqr()?.sum_all());
///     soap.step(&mut Oracle::new(&mut objective, &mut meter))?;
/// }
/// assert!(weight.sqr()?.sum_all()?.to_scalar::<f64>()? < 1.0);
/// # Ok(())
/// # }
/// ```
pub type Soap = Matrixwise<SoapConfig>;

/// Moments, and for each dimension the running mean and its basis, which is zero before the first
/// gradient.
#[derive(Debug, Clone)]
pub struct SoapMemory {
    m: Tensor,
    v: Tensor,
    bases: Vec<Option<Basis>>,
}

#[derive(Debug, Clone)]
struct Basis {
    mean: Tensor,
    vectors: Tensor,
}

impl Memory for SoapMemory {
    fn tensors(&mut self) -> Vec<(String, &mut Tensor)> {
        let mut tensors = vec![("m".into(), &mut self.m), ("v".into(), &mut self.v)];
        for (dimension, basis) in self.bases.iter_mut().enumerate() {
            if let Some(basis) = basis {
                tensors.push((format!("mean{dimension}"), &mut basis.mean));
                tensors.push((format!("basis{dimension}"), &mut basis.vectors));
            }
        }
        tensors
    }
}

impl SoapMemory {
    /// `tensor` in the bases.
    fn projected(&self, tensor: &Tensor) -> CandleResult<Tensor> {
        let bases = self.bases.iter().map(Option::as_ref);
        multiplied(tensor, bases.map(|basis| Some(&basis?.vectors)))
    }

    /// What is `tensor` in the bases.
    fn projected_back(&self, tensor: &Tensor) -> CandleResult<Tensor> {
        let bases = self.bases.iter().map(Option::as_ref);
        let bases = bases.map(|basis| basis.map(|basis| basis.vectors.t()).transpose());
        let bases = bases.collect::<CandleResult<Vec<_>>>()?;
        multiplied(tensor, bases.iter().map(Option::as_ref))
    }

    /// Takes `gradient` into the running means.
    fn observe(&mut self, gradient: &Tensor, rate: f64) -> CandleResult<()> {
        let products = grams(gradient, self.bases.iter().map(Option::is_some))?;
        for (basis, product) in self.bases.iter_mut().zip(products) {
            if let (Some(basis), Some(product)) = (basis, product) {
                basis.mean = (&basis.mean + ((product - &basis.mean)? * rate)?)?;
            }
        }
        Ok(())
    }

    /// Brings the bases nearer to the eigenvectors of the means.
    fn refine(&mut self) -> CandleResult<()> {
        for (dimension, basis) in self.bases.iter_mut().enumerate() {
            if let Some(basis) = basis {
                let (vectors, order) = iterated(&basis.mean, &basis.vectors)?;
                basis.vectors = vectors;
                let order = Tensor::new(order, self.v.device())?;
                self.v = self.v.index_select(&order, dimension)?;
            }
        }
        Ok(())
    }
}

impl MatrixMethod for SoapConfig {
    const KIND: &'static str = "soap";
    type Memory = SoapMemory;

    fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    fn start(&self, parameter: &Tensor) -> CandleResult<SoapMemory> {
        let sizes = self.has_basis(parameter.dims()).into_iter();
        let bases = sizes.zip(parameter.dims()).map(|(has_basis, &size)| {
            let zeros = || Tensor::zeros((size, size), parameter.dtype(), parameter.device());
            has_basis
                .then(|| {
                    Ok(Basis {
                        mean: zeros()?,
                        vectors: zeros()?,
                    })
                })
                .transpose()
        });
        Ok(SoapMemory {
            m: parameter.zeros_like()?,
            v: parameter.zeros_like()?,
            bases: bases.collect::<CandleResult<_>>()?,
        })
    }

    fn update(
        &self,
        updates: u64,
        learning_rate: f64,
        weight_decay: f64,
        parameter: &Tensor,
        gradient: &Tensor,
        memory: &mut SoapMemory,
    ) -> Result<Tensor> {
        let gradient = bounded(gradient)?;
        let rate = 1.0 - self.preconditioner_beta();
        if updates == 0 {
            memory.observe(&gradient, rate)?;
            for basis in memory.bases.iter_mut().flatten() {
                basis.vectors = eigenvectors(&basis.mean)?;
            }
            return Ok(parameter.clone());
        }
        let t = updates as f64;
        let correction = if self.bias_correction {
            (1.0 - self.beta2.powf(t)).sqrt() / (1.0 - self.beta1.powf(t))
        } else {
            1.0
        };
        let turned = memory.projected(&gradient)?;
        memory.m = (&memory.m + ((&gradient - &memory.m)? * (1.0 - self.beta1))?)?;
        memory.v = (&memory.v + ((turned.sqr()? - &memory.v)? * (1.0 - self.beta2))?)?;
        let denominator = (memory.v.sqrt()? + self.epsilon)?;
        let quotient = (memory.projected(&memory.m)? / denominator)?;
        let direction = memory.projected_back(&finite_or_zero_tensor(&quotient)?)?;
        let step_size = (learning_rate * correction).min(f64::MAX);
        let step = finite_or_zero_tensor(&(direction * step_size)?)?;
        let moved = (parameter - step)?;
        let decay = (learning_rate * weight_decay).min(f64::MAX);
        let new = (&moved - finite_or_zero_tensor(&(&moved * decay)?)?)?;
        memory.observe(&gradient, rate)?;
        if updates.is_multiple_of(self.frequency) {
            memory.refine()?;
        }
        Ok(new)
    }

    fn elements(&self, updates: u64, dims: &[usize]) -> VectorPasses {
        let all = dims.iter().product::<usize>() as u64;
        let sizes = self.has_basis(dims).into_iter().zip(dims);
        let squares = sizes.filter(|(has_basis, _)| *has_basis);
        let squares: Vec<u64> = squares.map(|(_, &size)| (size * size) as u64).collect();
        let (bases, squares) = (squares.len() as u64, squares.iter().sum::<u64>());
        let means = VectorPasses {
            reads: 2 * bases * all + squares,
            writes: squares,
        };
        if updates == 0 {
            return means;
        }
        // Three turns; moments, quotient and step; the means.
        let turns = 3 * bases * all;
        VectorPasses {
            reads: turns + 3 * squares + 8 * all + means.reads,
            writes: turns + 4 * all + means.writes,
        }
    }
}
