//! Inputs with their targets.

use candle_core::{DType, Device, Tensor};

use crate::settings::Invalid;

/// Rows of numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Matrix {
    /// One row after another.
    pub(super) values: Vec<f64>,
    pub(super) columns: usize,
}

impl Matrix {
    /// The number of rows.
    pub(super) fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    pub(super) fn tensor(&self, dtype: DType, device: &Device) -> candle_core::Result<Tensor> {
        let shape = (self.rows(), self.columns);
        Tensor::from_slice(&self.values, shape, &Device::Cpu)?
            .to_dtype(dtype)?
            .to_device(device)
    }

    /// One column of mean 0 and variance 1, so that a network which says nothing has the loss ½.
    pub(super) fn standardised(mut values: Vec<f64>) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let square = |value: &f64| (value - mean) * (value - mean);
        let deviation = (values.iter().map(square).sum::<f64>() / count).sqrt();
        // Equal values have no deviation.
        let scale = if deviation > 0.0 { deviation } else { 1.0 };
        for value in &mut values {
            *value = (*value - mean) / scale;
        }
        Self { values, columns: 1 }
    }
}

/// What a model is fitted to: a row of inputs and a row of targets for each sample.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Samples {
    pub(super) inputs: Matrix,
    pub(super) targets: Matrix,
}

/// The most numbers that a pass through a network holds of one layer, and its most weights.
const MOST_NUMBERS: usize = 100_000_000;

/// Whether layers of these widths can be held for so many samples; `hidden` is the key that gives the
/// widths between the first and the last.
pub(super) fn check_widths(hidden: &str, widths: &[usize], samples: usize) -> Result<(), Invalid> {
    if samples == 0 {
        return Err(Invalid::value("samples", 0, "at least 1 is needed"));
    }
    if widths.contains(&0) {
        let reason = "at least 1 unit is needed in each layer";
        return Err(Invalid::value(hidden, 0, reason));
    }
    let too_many = |a: usize, b: usize| a.saturating_mul(b) > MOST_NUMBERS;
    if let Some(pair) = widths.windows(2).find(|pair| too_many(pair[0], pair[1])) {
        let reason = format!(
            "{} × {} weights; at most {MOST_NUMBERS} are possible",
            pair[0], pair[1]
        );
        return Err(Invalid::new(hidden, reason));
    }
    match widths.iter().find(|width| too_many(**width, samples)) {
        Some(width) => {
            let most = MOST_NUMBERS / width;
            let reason = format!("with a layer of {width} units, at most {most} are possible");
            Err(Invalid::value("samples", samples, reason))
        }
        None => Ok(()),
    }
}

/// Widths as titles have them, for example `2-20-20-1`.
pub(super) fn listed(widths: &[usize]) -> String {
    let widths: Vec<String> = widths.iter().map(usize::to_string).collect();
    widths.join("-")
}
