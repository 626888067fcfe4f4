//! Models as data: a description that configuration files hold, and the model it stands for.

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::dense::{LinearClassifierConfig, LogisticConfig, MlpConfig};
use crate::language::GptConfig;
use crate::vision::{DenseNetConfig, LeNetConfig, ResNetConfig, ResNetVariant};
use crate::{Error, Model, Result, Scope, Summary};

/// The description of a model: its `kind`, and the settings of that kind, each with a default.
/// Unknown settings are refused.
///
/// ```
/// use candle_core::{DType, Device};
/// use models::ModelSpec;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let spec: ModelSpec = serde_json::from_str(r#"{ "kind": "mlp", "hidden": [128] }"#)?;
/// let model = spec.build(0, DType::F32, &Device::Cpu)?;
/// assert_eq!(model.tensors().parameter_count(), 785 * 128 + 129 * 10);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ModelSpec {
    /// One affine map.
    Linear(LinearClassifierConfig),
    /// One affine map with a sigmoid.
    Logistic(LogisticConfig),
    /// A multilayer perceptron.
    Mlp(MlpConfig),
    /// The small convolutional network of LeCun et al. 1998.
    #[serde(rename = "lenet")]
    LeNet(LeNetConfig),
    /// A residual network.
    #[serde(rename = "resnet")]
    ResNet(ResNetConfig),
    /// A densely connected network.
    #[serde(rename = "densenet")]
    DenseNet(DenseNetConfig),
    /// GPT-2.
    Gpt(GptConfig),
}

impl ModelSpec {
    /// The values of `kind`, with what they are.
    pub const KINDS: &[(&str, &str)] = &[
        ("linear", "logistic regression: one affine map"),
        (
            "logistic",
            "one affine map with a sigmoid on its outputs, as the paper's authors write it",
        ),
        ("mlp", "multilayer perceptron"),
        ("lenet", "LeNet-5: two convolutions, three affine maps"),
        (
            "resnet",
            "residual network: CIFAR's (depth 8, 14, 20, …), ImageNet's 18, or the paper's",
        ),
        ("densenet", "densely connected network"),
        ("gpt", "GPT-2, from nano to its published sizes"),
    ];
}

/// Parameters of a model, at most: what 80 GB hold in f64.
const MOST_PARAMETERS: f64 = 1e10;

impl ModelSpec {
    /// The sizes that the data decide, by their names in a file: `inputs`, `in_channels`, `size`, `classes` and
    /// `vocabulary`, as far as the kind has them.
    pub fn sizes_of_data(&mut self) -> Vec<(&'static str, &mut usize)> {
        match self {
            Self::Linear(config) => {
                vec![
                    ("inputs", &mut config.inputs),
                    ("classes", &mut config.classes),
                ]
            }
            Self::Logistic(config) => {
                vec![
                    ("inputs", &mut config.inputs),
                    ("classes", &mut config.classes),
                ]
            }
            Self::Mlp(config) => {
                vec![
                    ("inputs", &mut config.inputs),
                    ("classes", &mut config.classes),
                ]
            }
            Self::LeNet(config) => vec![
                ("size", &mut config.size),
                ("in_channels", &mut config.in_channels),
                ("classes", &mut config.classes),
            ],
            Self::ResNet(config) => {
                vec![
                    ("in_channels", &mut config.in_channels),
                    ("classes", &mut config.classes),
                ]
            }
            Self::DenseNet(config) => {
                vec![
                    ("in_channels", &mut config.in_channels),
                    ("classes", &mut config.classes),
                ]
            }
            Self::Gpt(config) => vec![("vocabulary", &mut config.vocabulary)],
        }
    }

    /// The number of the model's parameters, from its settings alone: nothing is built. In f64, as the
    /// product of sizes may be beyond any integer; exact up to 2⁵³.
    ///
    /// # Errors
    /// When there is no such model.
    pub fn parameter_count(&self) -> Result<f64> {
        Ok(match self {
            Self::Linear(config) => config.parameter_count(),
            Self::Logistic(config) => config.parameter_count(),
            Self::Mlp(config) => config.parameter_count(),
            Self::LeNet(config) => config.parameter_count(),
            Self::ResNet(config) => config.parameter_count()?,
            Self::DenseNet(config) => config.parameter_count(),
            Self::Gpt(config) => config.parameter_count(),
        })
    }

    /// Whether the model is of a size that can be built.
    ///
    /// # Errors
    /// When it has more than 10¹⁰ parameters, or there is no such model.
    pub fn check_size(&self) -> Result<()> {
        let count = self.parameter_count()?;
        match count <= MOST_PARAMETERS {
            true => Ok(()),
            false => Err(Error::setting(
                "parameters",
                format!("{count:.2e}"),
                format!("at most {MOST_PARAMETERS:e}, from smaller sizes of the model"),
            )),
        }
    }

    /// Builds the model with first values drawn from `seed`.
    ///
    /// # Errors
    /// When a setting is out of its range, the model has [too many](Self::check_size) parameters, or the
    /// device refuses a tensor.
    pub fn build(&self, seed: u64, dtype: DType, device: &Device) -> Result<Box<dyn Model>> {
        self.build_in(&Scope::new(seed, dtype, device))
    }

    fn build_in(&self, scope: &Scope) -> Result<Box<dyn Model>> {
        self.check_size()?;
        Ok(match self {
            Self::Linear(config) => Box::new(config.build(scope)?),
            Self::Logistic(config) => Box::new(config.build(scope)?),
            Self::Mlp(config) => Box::new(config.build(scope)?),
            Self::LeNet(config) => Box::new(config.build(scope)?),
            Self::ResNet(config) => Box::new(config.build(scope)?),
            Self::DenseNet(config) => Box::new(config.build(scope)?),
            Self::Gpt(config) => Box::new(config.build(scope)?),
        })
    }

    /// The model's layers with their shapes, parameters and multiply-adds for one input: a sequence
    /// of the whole context, an image of ImageNet's usual 224×224 or of CIFAR's 32×32 where the
    /// network takes any size. [`ModelSpec::describe_for`] describes it for another input.
    ///
    /// # Errors
    /// As [`ModelSpec::build`].
    pub fn describe(&self) -> Result<Summary> {
        let images = |channels, size| ([1, channels, size, size].to_vec(), DType::F32);
        let (shape, dtype) = match self {
            Self::Linear(config) => (vec![1, config.inputs], DType::F32),
            Self::Logistic(config) => (vec![1, config.inputs], DType::F32),
            Self::Mlp(config) => (vec![1, config.inputs], DType::F32),
            Self::LeNet(config) => images(config.in_channels, config.size),
            Self::ResNet(config) => match config.variant {
                ResNetVariant::ImageNet => images(config.in_channels, 224),
                ResNetVariant::Cifar | ResNetVariant::Fuse => images(config.in_channels, 32),
            },
            Self::DenseNet(config) => images(config.in_channels, 32),
            Self::Gpt(config) => (vec![1, config.context], DType::U32),
        };
        self.describe_for(&Tensor::zeros(shape, dtype, &Device::Cpu)?)
    }

    /// The model's layers with their shapes, parameters and multiply-adds for `input`, on the CPU.
    ///
    /// # Errors
    /// As [`ModelSpec::build`], and when the input does not fit.
    pub fn describe_for(&self, input: &Tensor) -> Result<Summary> {
        let model = self.build_in(&Scope::blank(DType::F32, &Device::Cpu))?;
        Summary::new(&*model, input)
    }

    /// A title for people, for example `MLP 784-64-32-10`.
    pub fn title(&self) -> String {
        match self {
            Self::Linear(_) => "Logistic regression".into(),
            Self::Logistic(_) => "Logistic regression with a sigmoid on the logits".into(),
            Self::Mlp(config) => {
                let widths = [config.inputs]
                    .into_iter()
                    .chain(config.hidden.iter().copied());
                let widths: Vec<String> = widths
                    .chain([config.classes])
                    .map(|width| width.to_string())
                    .collect();
                format!("MLP {}", widths.join("-"))
            }
            Self::LeNet(_) => "LeNet".into(),
            Self::ResNet(config) => format!("ResNet-{} of width {}", config.depth, config.width),
            Self::DenseNet(config) => format!("DenseNet-{}", config.depth),
            Self::Gpt(config) => format!("GPT of {} layers, width {}", config.layers, config.width),
        }
    }
}
