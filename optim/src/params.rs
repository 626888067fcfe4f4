//! The parameters of a model, an ordered, named set of variables taken as one vector, and the
//! gradient that belongs to it.

use std::collections::{HashMap, HashSet};

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Storage, Tensor, Var};

use crate::error::{Error, Result};
use crate::kernels;

/// An ordered, named set of variables of one dtype on one device.
///
/// The order is the names' lexical order, so it is the same in every process, whatever container
/// the variables come from. Cloning is cheap and shares the variables.
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::Parameters;
///
/// # fn main() -> optim::Result<()> {
/// let weight = Var::new(&[[1f64, 2.0], [3.0, 4.0]], &Device::Cpu)?;
/// let bias = Var::new(&[0f64, 0.0], &Device::Cpu)?;
/// let parameters = Parameters::new([("weight", weight), ("bias", bias)])?;
/// assert_eq!(parameters.names(), ["bias", "weight"]);
/// assert_eq!(parameters.element_count(), 6);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Parameters {
    names: Vec<String>,
    vars: Vec<Var>,
}

impl Parameters {
    /// Collects named variables, sorted by name.
    ///
    /// # Errors
    /// When the set is empty, a name repeats, two variables share memory, dtypes or devices differ,
    /// or the dtype is none of f32, f64, bf16 and f16.
    pub fn new<N: Into<String>>(named: impl IntoIterator<Item = (N, Var)>) -> Result<Self> {
        let mut named: Vec<(String, Var)> = named
            .into_iter()
            .map(|(name, var)| (name.into(), var))
            .collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        let Some((_, first)) = named.first() else {
            return Err(Error::EmptyParameters);
        };
        let (dtype, device) = (first.dtype(), first.device().clone());
        for pair in named.windows(2) {
            if pair[0].0 == pair[1].0 {
                return Err(Error::DuplicateParameter {
                    name: pair[0].0.clone(),
                });
            }
        }
        if !matches!(dtype, DType::F32 | DType::F64 | DType::BF16 | DType::F16) {
            return Err(Error::Mismatch {
                name: named[0].0.clone(),
                property: "dtype",
                found: dtype.as_str().into(),
                expected: "f32, f64, bf16 or f16".into(),
            });
        }
        let mut memory = HashMap::new();
        for (name, var) in &named {
            if let Some(first) = memory.insert(memory_of(var), name) {
                return Err(Error::SharedParameter {
                    first: first.clone(),
                    second: name.clone(),
                });
            }
            if var.dtype() != dtype {
                return Err(Error::Mismatch {
                    name: name.clone(),
                    property: "dtype",
                    found: var.dtype().as_str().into(),
                    expected: format!("{} as in the other parameters", dtype.as_str()),
                });
            }
            if !var.device().same_device(&device) {
                return Err(Error::Mismatch {
                    name: name.clone(),
                    property: "device",
                    found: format!("{:?}", var.device().location()),
                    expected: format!("{:?} as for the other parameters", device.location()),
                });
            }
        }
        let (names, vars) = named.into_iter().unzip();
        Ok(Self { names, vars })
    }

    /// The names, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The variables, in the order of the names.
    pub fn vars(&self) -> &[Var] {
        &self.vars
    }

    /// Names and variables, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Var)> {
        self.names.iter().map(String::as_str).zip(&self.vars)
    }

    /// How many variables there are.
    pub fn len(&self) -> usize {
        self.vars.len()
    }

    /// Always false: an empty set cannot be built.
    pub fn is_empty(&self) -> bool {
        self.vars.is_empty()
    }

    /// The dimension d of the parameter vector: the number of elements of all variables.
    pub fn element_count(&self) -> usize {
        self.vars.iter().map(|var| var.elem_count()).sum()
    }

    /// The variables' common dtype.
    pub fn dtype(&self) -> DType {
        self.vars[0].dtype()
    }

    /// The variables' common device.
    pub fn device(&self) -> &Device {
        self.vars[0].device()
    }

    /// A copy of the current values, which later updates do not touch.
    ///
    /// # Errors
    /// When Candle cannot copy a tensor.
    pub fn snapshot(&self) -> Result<Vec<Tensor>> {
        self.vars
            .iter()
            .map(|var| Ok(var.as_detached_tensor().copy()?))
            .collect()
    }

    /// Sets all values to those of a [`snapshot`](Self::snapshot).
    ///
    /// # Errors
    /// When the number of tensors or a shape differs.
    pub fn restore(&self, values: &[Tensor]) -> Result<()> {
        self.check_aligned(values)?;
        for (var, value) in self.vars.iter().zip(values) {
            var.set(value)?;
        }
        Ok(())
    }

    /// The gradient of a scalar loss: runs the backward pass and picks out the parameters'
    /// gradients.
    ///
    /// # Errors
    /// When the backward pass fails or does not reach a parameter.
    pub fn backward(&self, loss: &Tensor) -> Result<Gradient> {
        self.gradient(&loss.backward()?)
    }

    /// The parameters' gradients in `store`, detached and contiguous.
    ///
    /// # Errors
    /// [`Error::MissingGradient`] when a parameter has none.
    pub fn gradient(&self, store: &GradStore) -> Result<Gradient> {
        let tensors = self
            .iter()
            .map(|(name, var)| {
                store
                    .get(var.as_tensor())
                    .cloned()
                    .ok_or_else(|| Error::MissingGradient { name: name.into() })
            })
            .collect::<Result<Vec<_>>>()?;
        Gradient::new(self, tensors)
    }

    /// Whether `tensors` has one tensor per variable, each of its shape.
    ///
    /// # Errors
    /// [`Error::Mismatch`] naming the first variable that differs.
    pub fn check_aligned(&self, tensors: &[Tensor]) -> Result<()> {
        for (i, (name, var)) in self.iter().enumerate() {
            let found = tensors.get(i).map(Tensor::shape);
            if found != Some(var.shape()) {
                return Err(Error::Mismatch {
                    name: name.into(),
                    property: "shape",
                    found: found.map_or("missing".into(), |shape| format!("{shape:?}")),
                    expected: format!("{:?}", var.shape()),
                });
            }
        }
        if tensors.len() > self.len() {
            return Err(Error::Mismatch {
                name: self.names[self.len() - 1].clone(),
                property: "shape",
                found: format!("{} tensors", tensors.len()),
                expected: format!("{} tensors", self.len()),
            });
        }
        Ok(())
    }
}

/// A vector in parameter space: one detached, contiguous tensor per parameter, in the order of
/// [`Parameters`].
#[derive(Debug, Clone)]
pub struct Gradient {
    tensors: Vec<Tensor>,
}

impl Gradient {
    /// Wraps tensors that match `parameters` one by one.
    ///
    /// # Errors
    /// When the number of tensors, a shape, a dtype or a device differs.
    pub fn new(parameters: &Parameters, tensors: Vec<Tensor>) -> Result<Self> {
        parameters.check_aligned(&tensors)?;
        let variables: HashSet<_> = parameters.vars().iter().map(|var| memory_of(var)).collect();
        let tensors = tensors
            .iter()
            .map(|tensor| {
                let tensor = tensor.detach().contiguous()?;
                // A gradient must not change while the variables are updated in place.
                if variables.contains(&memory_of(&tensor)) {
                    return Ok(tensor.copy()?);
                }
                Ok(tensor)
            })
            .collect::<Result<Vec<_>>>()?;
        let gradient = Self { tensors };
        gradient.check_fits(parameters)?;
        Ok(gradient)
    }

    /// Wraps tensors of the parameters' shapes in the dtype of optimizer state, which
    /// half-precision parameters do not share.
    pub(crate) fn of_state(tensors: Vec<Tensor>) -> Self {
        Self { tensors }
    }

    /// `f` of every tensor, shape and dtype unchanged.
    pub(crate) fn map(
        &self,
        f: impl FnMut(&Tensor) -> candle_core::Result<Tensor>,
    ) -> Result<Self> {
        let tensors = self.tensors.iter().map(f);
        Ok(Self {
            tensors: tensors.collect::<candle_core::Result<_>>()?,
        })
    }

    /// The tensors, in parameter order.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The Euclidean norm, summed in f64 on the CPU and on CUDA devices, and in f32 elsewhere.
    ///
    /// # Errors
    /// When Candle cannot sum.
    pub fn norm(&self) -> Result<f64> {
        Ok(kernels::norm(&self.tensors)?)
    }

    /// Whether the gradient has the shapes, the dtype and the device of `parameters`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] naming the first parameter that differs.
    pub fn check_fits(&self, parameters: &Parameters) -> Result<()> {
        parameters.check_aligned(&self.tensors)?;
        for ((name, var), tensor) in parameters.iter().zip(&self.tensors) {
            if tensor.dtype() != var.dtype() {
                return Err(Error::Mismatch {
                    name: name.into(),
                    property: "dtype of the gradient",
                    found: tensor.dtype().as_str().into(),
                    expected: var.dtype().as_str().into(),
                });
            }
            if !tensor.device().same_device(var.device()) {
                return Err(Error::Mismatch {
                    name: name.into(),
                    property: "device of the gradient",
                    found: format!("{:?}", tensor.device().location()),
                    expected: format!("{:?}", var.device().location()),
                });
            }
        }
        Ok(())
    }
}

/// The address of a tensor's memory: equal for tensors that share it.
fn memory_of(tensor: &Tensor) -> *const Storage {
    std::ptr::from_ref(&*tensor.storage_and_layout().0)
}
