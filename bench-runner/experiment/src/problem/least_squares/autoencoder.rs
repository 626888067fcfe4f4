//! Images through a narrow code.

use bench_data::{ImageSet, Normalisation};
use candle_core::{DType, Device};
use models::dense::AutoencoderConfig;
use models::{Model, Scope};
use serde::{Deserialize, Serialize};

use super::curves::{SIDE, curves};
use super::fit::Fit;
use super::samples::{Matrix, Samples, check_widths, listed};
use crate::error::Result;
use crate::problem::traits::Environment;
use crate::settings::Invalid;

/// A deep autoencoder of images (Hinton and Salakhutdinov 2006; Martens 2010), with tanh units and a
/// linear code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoencoderTask {
    /// The images.
    pub images: Images,
    /// Units of each hidden layer before the code; after it they come in reverse.
    pub hidden: Vec<usize>,
    /// Numbers in the code.
    pub code: usize,
    /// Images that are fitted.
    pub samples: usize,
}

/// Images to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Images {
    /// Drawn Bézier curves, 16×16.
    Curves,
    /// UCI optical digits, 8×8, with its test images.
    Digits,
}

/// The digits' name in the catalogue.
const DIGITS: &str = "digits";

impl Images {
    fn pixels(self) -> usize {
        match self {
            Self::Curves => SIDE * SIDE,
            Self::Digits => 64,
        }
    }
}

impl AutoencoderTask {
    fn config(&self) -> AutoencoderConfig {
        AutoencoderConfig {
            inputs: self.images.pixels(),
            hidden: self.hidden.clone(),
            code: self.code,
        }
    }
}

impl Fit for AutoencoderTask {
    fn check(&self) -> Result<(), Invalid> {
        if self.code == 0 {
            return Err(Invalid::value("code", 0, "at least 1 is needed"));
        }
        check_widths("hidden", &self.config().widths(), self.samples)
    }

    fn title(&self) -> String {
        let images = match self.images {
            Images::Curves => "curves",
            Images::Digits => "digits",
        };
        let widths = listed(&self.config().widths());
        format!("Autoencoder {widths} of {} {images}", self.samples)
    }

    fn model(&self, scope: &Scope) -> models::Result<Box<dyn Model>> {
        Ok(Box::new(self.config().build(scope)?))
    }

    fn inputs(&self) -> usize {
        self.images.pixels()
    }

    fn samples(&self, environment: &Environment) -> Result<(Samples, Option<Samples>)> {
        let both = |images: Matrix| Samples {
            inputs: images.clone(),
            targets: images,
        };
        match self.images {
            Images::Curves => Ok((both(curves(self.samples)), None)),
            Images::Digits => {
                let digits = environment.library.images(DIGITS)?;
                let count = digits.train.len();
                if self.samples > count {
                    let key = "task.autoencoder.samples";
                    let reason = format!("there are {count} training images");
                    return Err(Invalid::value(key, self.samples, reason).into());
                }
                let train = digits.train.sample(self.samples, 0)?;
                Ok((both(pixels(train)?), Some(both(pixels(digits.test)?))))
            }
        }
    }

    fn data(&self) -> Option<&'static str> {
        (self.images == Images::Digits).then_some(DIGITS)
    }
}

/// All images with pixels from 0 to 1, one per row.
fn pixels(images: ImageSet) -> Result<Matrix> {
    let images = images.with_normalisation(Normalisation::unit(1))?;
    let indices: Vec<u32> = (0..images.len() as u32).collect();
    let (pixels, _) = images.batch(&indices, &Device::Cpu, DType::F64)?;
    Ok(Matrix {
        values: pixels.flatten_all()?.to_vec1()?,
        columns: pixels.elem_count() / images.len(),
    })
}
