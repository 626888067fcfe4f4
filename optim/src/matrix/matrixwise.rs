//! The optimizer that every method on matrices is: one evaluation, then an update of each parameter
//! as a whole, with Adam for those that the method leaves to it.

use std::fmt::Debug;

use candle_core::Tensor;
use rayon::prelude::*;
use serde::Serialize;

use crate::check;
use crate::error::{Error, Result};
use crate::first_order::{Adam, AdamConfig, GroupSettings, Groups, ParameterGroup, gradient_step};
use crate::kernels;
use crate::kernels::number::{largest, state_dtype};
use crate::objective::Oracle;
use crate::optimizer::Optimizer;
use crate::params::{Gradient, Parameters};
use crate::record::{Phase, Step, VectorPasses};
use crate::schedule::Schedule;
use crate::state::State;

/// A method that updates each parameter as a whole, given by its settings.
pub(super) trait MatrixMethod: Serialize + Sync {
    /// The kind of optimizer in a [`State`].
    const KIND: &'static str;
    /// What is kept of one parameter.
    type Memory: Memory;

    /// How the learning rate changes with the steps.
    fn schedule(&self) -> &Schedule;

    /// Whether the method takes a parameter; Adam takes the others.
    fn takes(&self, name: &str, dims: &[usize]) -> bool {
        let _ = (name, dims);
        true
    }

    /// The settings of Adam for the others, of a method that leaves some.
    fn adam(&self) -> Option<AdamConfig> {
        None
    }

    /// What is kept of `parameter` before its first update, in the arithmetic's dtype.
    fn start(&self, parameter: &Tensor) -> candle_core::Result<Self::Memory>;

    /// The new value of `parameter`, which may have overflowed its type, and replaces what is kept.
    /// The gradient is finite; `updates` tells how many updates the parameter has had.
    fn update(
        &self,
        updates: u64,
        learning_rate: f64,
        weight_decay: f64,
        parameter: &Tensor,
        gradient: &Tensor,
        memory: &mut Self::Memory,
    ) -> Result<Tensor>;

    /// Elements that an update of a parameter of this shape, after so many updates, reads and writes.
    fn elements(&self, updates: u64, dims: &[usize]) -> VectorPasses;
}

/// The tensors kept of one parameter.
pub(super) trait Memory: Clone + Debug + Send {
    /// All tensors, with the names that tell them apart in a [`State`].
    fn tensors(&mut self) -> Vec<(String, &mut Tensor)>;
}

/// A parameter that the method takes.
#[derive(Debug)]
struct Taken<M> {
    /// Its place among all parameters.
    index: usize,
    updates: u64,
    memory: M,
}

/// The parameters that the method leaves to Adam.
#[derive(Debug)]
struct Others {
    adam: Adam,
    /// Their places among all parameters.
    indices: Vec<usize>,
    /// Adam's rate as a multiple of the method's.
    rate_ratio: f64,
}

/// An optimizer with an update of each parameter as a whole, such as [`Muon`](crate::Muon), with
/// settings `C`.
///
/// A parameter whose gradient has a component that is not finite stays as it is, and so does what is
/// kept of it. Its other components may depend on every component of the gradient.
#[derive(Debug)]
#[expect(private_bounds, reason = "methods are those of this crate")]
pub struct Matrixwise<C: MatrixMethod> {
    config: C,
    parameters: Parameters,
    groups: Groups,
    taken: Vec<Taken<C::Memory>>,
    others: Option<Others>,
    /// The rate that the schedule's factors multiply.
    learning_rate: f64,
    steps: u64,
    /// Elements read and written, those by Adam excluded.
    elements: VectorPasses,
}

#[expect(private_bounds, reason = "methods are those of this crate")]
impl<C: MatrixMethod> Matrixwise<C> {
    /// An optimizer of `parameters`; the caller has checked the settings of its own method.
    ///
    /// # Errors
    /// When learning rate, weight decay or a setting of a group or of Adam is out of range, a group's
    /// pattern matches no parameter, or memory is short.
    pub(super) fn new(
        config: C,
        learning_rate: f64,
        weight_decay: f64,
        groups: &[ParameterGroup],
        parameters: &Parameters,
    ) -> Result<Self> {
        check::positive("learning_rate", learning_rate)?;
        let groups = Groups::new(groups, weight_decay, parameters)?;
        let (mut taken, mut indices, mut named) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (name, var)) in parameters.iter().enumerate() {
            if config.takes(name, var.dims()) {
                let values = var
                    .as_detached_tensor()
                    .to_dtype(state_dtype(var.dtype()))?;
                let memory = config.start(&values)?;
                taken.push(Taken {
                    index,
                    updates: 0,
                    memory,
                });
            } else {
                indices.push(index);
                named.push((name, var.clone()));
            }
        }
        let others = match config.adam() {
            Some(adam) if !indices.is_empty() => Some(Others {
                rate_ratio: adam.learning_rate / learning_rate,
                adam: adam.build(&Parameters::new(named)?)?,
                indices,
            }),
            _ => None,
        };
        Ok(Self {
            config,
            parameters: parameters.clone(),
            groups,
            taken,
            others,
            learning_rate,
            steps: 0,
            elements: VectorPasses::default(),
        })
    }

    /// The settings that this optimizer was built with.
    pub fn config(&self) -> &C {
        &self.config
    }

    /// Makes one update from `gradient` without evaluating the objective; returns the gradient's
    /// Euclidean norm. A parameter whose gradient is not finite stays as it is, of those that Adam
    /// takes its component.
    ///
    /// # Errors
    /// When the gradient does not fit the parameters.
    pub fn update(&mut self, gradient: &Gradient) -> Result<f64> {
        gradient.check_fits(&self.parameters)?;
        let (rate, norm) = (self.learning_rate(), gradient.norm()?);
        let (config, groups, vars) = (&self.config, &self.groups, self.parameters.vars());
        let step = |taken: &mut Taken<C::Memory>| -> Result<VectorPasses> {
            let group: GroupSettings = groups.settings()[groups.of_parameter()[taken.index]];
            let rate = (rate * group.learning_rate_factor).min(f64::MAX);
            let var = &vars[taken.index];
            let gradient = &gradient.tensors()[taken.index];
            if !norm.is_finite() && !kernels::norm(std::slice::from_ref(gradient))?.is_finite() {
                return Ok(VectorPasses::default());
            }
            let dtype = state_dtype(var.dtype());
            let parameter = var.as_detached_tensor().to_dtype(dtype)?;
            let new = config.update(
                taken.updates,
                rate,
                group.weight_decay,
                &parameter,
                &gradient.to_dtype(dtype)?,
                &mut taken.memory,
            )?;
            let limit = largest(var.dtype());
            var.set(&new.clamp(-limit, limit)?.to_dtype(var.dtype())?)?;
            let passes = config.elements(taken.updates, var.dims());
            taken.updates += 1;
            Ok(passes)
        };
        // Products of small matrices do not fill several threads: the matrices are shared out instead.
        let on_cpu = vars.iter().all(|var| var.device().is_cpu());
        let elements: Vec<VectorPasses> = if on_cpu {
            self.taken.par_iter_mut().map(step).collect::<Result<_>>()?
        } else {
            self.taken.iter_mut().map(step).collect::<Result<_>>()?
        };
        elements
            .into_iter()
            .for_each(|passes| self.elements += passes);
        if let Some(others) = &mut self.others {
            let own = others.indices.iter();
            let own = own.map(|&index| gradient.tensors()[index].clone());
            let adam = &mut others.adam;
            let own = Gradient::new(adam.parameters(), own.collect())?;
            adam.set_learning_rate((rate * others.rate_ratio).min(f64::MAX))?;
            adam.update(&own)?;
        }
        self.steps += 1;
        Ok(norm)
    }
}

impl<C: MatrixMethod> Optimizer for Matrixwise<C> {
    fn step(&mut self, oracle: &mut Oracle<'_>) -> Result<Step> {
        let (step, _) = gradient_step(oracle, |gradient| self.update(gradient))?;
        Ok(step)
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The learning rate of the next step.
    fn learning_rate(&self) -> f64 {
        self.learning_rate * self.config.schedule().factor(self.steps)
    }

    /// Sets the learning rate that the schedule's factors multiply; Adam's keeps its ratio to it.
    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        check::non_negative("learning_rate", learning_rate)?;
        self.learning_rate = learning_rate;
        Ok(())
    }

    fn phase(&self) -> Phase {
        Phase::FirstOrder
    }

    fn state_elements(&self) -> u64 {
        let of_matrices = self.taken.iter().map(|taken| {
            let mut memory = taken.memory.clone();
            let tensors = memory.tensors().into_iter();
            tensors
                .map(|(_, tensor)| tensor.elem_count() as u64)
                .sum::<u64>()
        });
        let others = self.others.as_ref();
        let of_adam = others.map_or(0, |others| others.adam.state_elements());
        of_matrices.sum::<u64>() + of_adam
    }

    /// Elements read and written over the dimension, rounded up: methods on matrices take a part of
    /// the parameters, and their matrices have other sizes.
    fn vector_passes(&self) -> VectorPasses {
        let mut elements = self.elements;
        if let Some(Others { adam, .. }) = &self.others {
            let d = adam.parameters().element_count() as u64;
            let passes = adam.vector_passes();
            elements += VectorPasses {
                reads: d * passes.reads,
                writes: d * passes.writes,
            };
        }
        let d = self.parameters.element_count().max(1) as u64;
        VectorPasses {
            reads: elements.reads.div_ceil(d),
            writes: elements.writes.div_ceil(d),
        }
    }

    fn state(&self) -> Result<State> {
        let mut state = State::new(C::KIND, &self.parameters);
        state.set_config(&self.config)?;
        state.set_float("learning_rate", self.learning_rate);
        state.set("steps", self.steps)?;
        state.set("elements", self.elements)?;
        let updates: Vec<u64> = self.taken.iter().map(|taken| taken.updates).collect();
        state.set("updates", updates)?;
        for taken in &self.taken {
            let parameter = &self.parameters.names()[taken.index];
            let mut memory = taken.memory.clone();
            for (name, tensor) in memory.tensors() {
                let key = format!("{name}.{parameter}");
                state.tensors.insert(key, tensor.clone());
            }
        }
        if let Some(Others { adam, .. }) = &self.others {
            state.nest("adam", adam.state()?);
        }
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        state.check(C::KIND, &self.parameters)?;
        state.check_config(&self.config)?;
        let learning_rate = state.float("learning_rate")?;
        let (steps, elements) = (state.get("steps")?, state.get("elements")?);
        let updates: Vec<u64> = state.get("updates")?;
        if updates.len() != self.taken.len() {
            return Err(Error::Checkpoint(format!(
                "it has {} matrices, this optimizer {}",
                updates.len(),
                self.taken.len()
            )));
        }
        // All tensors are read before the first is replaced: a bad state changes nothing.
        let mut memories = Vec::with_capacity(self.taken.len());
        for taken in &self.taken {
            let parameter = &self.parameters.names()[taken.index];
            let mut memory = taken.memory.clone();
            for (name, tensor) in memory.tensors() {
                let key = format!("{name}.{parameter}");
                let missing = || Error::Checkpoint(format!("tensor `{key}` is missing"));
                let found = state.tensors.get(&key).ok_or_else(missing)?;
                if found.shape() != tensor.shape() {
                    return Err(Error::Checkpoint(format!(
                        "tensor `{key}` has shape {:?}, expected {:?}",
                        found.dims(),
                        tensor.dims()
                    )));
                }
                *tensor = found
                    .to_dtype(tensor.dtype())?
                    .to_device(tensor.device())?
                    .contiguous()?;
            }
            memories.push(memory);
        }
        if let Some(Others { adam, .. }) = &mut self.others {
            adam.restore(&state.nested("adam")?)?;
        }
        for ((taken, memory), updates) in self.taken.iter_mut().zip(memories).zip(updates) {
            (taken.memory, taken.updates) = (memory, updates);
        }
        (self.learning_rate, self.steps, self.elements) = (learning_rate, steps, elements);
        Ok(())
    }
}
