//! The first values of tensors, drawn on the host so that a seed means the same on every device,
//! and the scopes that give each tensor its name.

use std::cell::RefCell;
use std::rc::Rc;

use candle_core::{DType, Device, Shape, Tensor, Var};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal, Uniform};

use crate::precision::upcast_dtype;
use crate::{Error, Result, Tensors};

/// A rule for a tensor's first values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// One value everywhere.
    Constant(f64),
    /// Uniform on `[-bound, bound]`.
    Uniform {
        /// Half the width of the interval.
        bound: f64,
    },
    /// Normal around zero.
    Normal {
        /// The standard deviation.
        std: f64,
    },
}

impl Init {
    /// Kaiming (He et al. 2015) normal for ReLU networks: variance `2 / fan`.
    pub fn kaiming_normal(fan: usize) -> Self {
        Self::Normal {
            std: (2.0 / fan as f64).sqrt(),
        }
    }

    /// What PyTorch gives linear and convolution layers: uniform with bound `1 / sqrt(fan_in)`
    /// (Kaiming uniform with a = sqrt 5).
    pub fn fan_in_uniform(fan_in: usize) -> Self {
        Self::Uniform {
            bound: 1.0 / (fan_in as f64).sqrt(),
        }
    }

    /// Xavier (Glorot and Bengio 2010) uniform: bound `sqrt(6 / (fan_in + fan_out))`.
    pub fn xavier_uniform(fan_in: usize, fan_out: usize) -> Self {
        Self::Uniform {
            bound: (6.0 / (fan_in + fan_out) as f64).sqrt(),
        }
    }
}

/// Creates a model's tensors under hierarchical names such as `layer1.0.conv1.weight`.
///
/// Each tensor draws from its own random stream, which its name selects. So its first values do not
/// depend on the order in which tensors are created. A clone adds to the same collection.
///
/// ```
/// use candle_core::{DType, Device};
/// use models::{Init, Scope};
///
/// # fn main() -> models::Result<()> {
/// let root = Scope::new(42, DType::F32, &Device::Cpu);
/// let weight = root.child("fc").parameter("weight", (10, 64), Init::fan_in_uniform(64))?;
/// assert_eq!(weight.dims(), [10, 64]);
/// assert_eq!(root.into_tensors().parameters[0].0, "fc.weight");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Scope {
    prefix: String,
    seed: Option<u64>,
    dtype: DType,
    device: Device,
    tensors: Rc<RefCell<Tensors>>,
}

impl Scope {
    /// The root scope of a model whose tensors have `dtype` and live on `device`.
    pub fn new(seed: u64, dtype: DType, device: &Device) -> Self {
        Self {
            seed: Some(seed),
            ..Self::blank(dtype, device)
        }
    }

    /// The root scope of a model whose tensors are all zero, whatever their rule says: for asking what shapes it has,
    /// without drawing millions of values.
    pub fn blank(dtype: DType, device: &Device) -> Self {
        Self {
            prefix: String::new(),
            seed: None,
            dtype,
            device: device.clone(),
            tensors: Rc::default(),
        }
    }

    /// The scope `name` inside this one.
    pub fn child(&self, name: impl std::fmt::Display) -> Self {
        Self {
            prefix: self.name(&name.to_string()) + ".",
            ..self.clone()
        }
    }

    /// The dtype of the tensors.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// The device of the tensors.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The random stream of this scope's name.
    pub(crate) fn stream(&self) -> u64 {
        stream(&self.prefix)
    }

    /// Creates a trainable parameter.
    ///
    /// # Errors
    /// When the name is taken or the device refuses the tensor.
    pub fn parameter(&self, name: &str, shape: impl Into<Shape>, init: Init) -> Result<Var> {
        let var = self.create(name, &shape.into(), init, self.dtype)?;
        let entry = (self.name(name), var.clone());
        self.tensors.borrow_mut().parameters.push(entry);
        Ok(var)
    }

    /// Creates a buffer, which no optimizer moves. It is in f32 where the scope's tensors are in
    /// half precision.
    ///
    /// # Errors
    /// As [`Scope::parameter`].
    pub fn buffer(&self, name: &str, shape: impl Into<Shape>, init: Init) -> Result<Var> {
        let var = self.create(name, &shape.into(), init, upcast_dtype(self.dtype))?;
        let entry = (self.name(name), var.clone());
        self.tensors.borrow_mut().buffers.push(entry);
        Ok(var)
    }

    /// The parameters created in this scope so far.
    pub(crate) fn parameters(&self) -> Vec<Var> {
        let tensors = self.tensors.borrow();
        let all = tensors.parameters.iter();
        let own = all.filter(|(name, _)| name.starts_with(&self.prefix));
        own.map(|(_, var)| var.clone()).collect()
    }

    /// All tensors created under the root so far, sorted by name.
    pub fn into_tensors(self) -> Tensors {
        let mut tensors = self.tensors.borrow().clone();
        tensors.parameters.sort_by(|a, b| a.0.cmp(&b.0));
        tensors.buffers.sort_by(|a, b| a.0.cmp(&b.0));
        tensors
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn create(&self, name: &str, shape: &Shape, init: Init, dtype: DType) -> Result<Var> {
        let name = self.name(name);
        let tensors = self.tensors.borrow();
        let mut taken = tensors.parameters.iter().chain(&tensors.buffers);
        if taken.any(|(other, _)| *other == name) {
            return Err(Error::DuplicateTensor { name });
        }
        let Some(seed) = self.seed else {
            return Ok(Var::zeros(shape, dtype, &self.device)?);
        };
        let count = shape.elem_count();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream(&name));
        let values: Vec<f64> = match init {
            Init::Constant(value) => vec![value; count],
            Init::Uniform { bound } => {
                let uniform =
                    Uniform::new_inclusive(-bound, bound).map_err(|_| setting("bound", bound))?;
                uniform.sample_iter(&mut rng).take(count).collect()
            }
            Init::Normal { std } => {
                let normal = Normal::new(0.0, std).map_err(|_| setting("std", std))?;
                normal.sample_iter(&mut rng).take(count).collect()
            }
        };
        let host = Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?;
        Ok(Var::from_tensor(&host.to_device(&self.device)?)?)
    }
}

/// The random stream of a tensor: the FNV-1a hash of its name.
fn stream(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn setting(name: &'static str, value: f64) -> Error {
    Error::Setting {
        name,
        value: value.to_string(),
        expected: "a finite number that is not negative".into(),
    }
}
