//! The layers of a model as one forward pass meets them: output shapes, parameters, multiply-adds.

use std::collections::{HashMap, HashSet};
use std::fmt;

use candle_core::{Tensor, TensorId, Var};
use serde::Serialize;

use crate::layer::trace;
use crate::{Model, Pass, Result};

/// A model's layers, in the order in which a forward pass meets them.
///
/// Listed are layers that have parameters, multiply or pool. Activations, dropout and sums are not.
///
/// ```
/// use models::ModelSpec;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let spec: ModelSpec = serde_json::from_str(r#"{ "kind": "mlp" }"#)?;
/// let summary = spec.describe()?;
/// assert_eq!(summary.parameters(), 52_650);
/// assert_eq!(summary.multiply_adds(), 784 * 64 + 64 * 32 + 32 * 10);
/// println!("{summary}");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The layers.
    pub layers: Vec<LayerSummary>,
}

/// One layer of a [`Summary`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerSummary {
    /// The scope of the layer's parameters, such as `layer1.0.conv1`; empty without parameters.
    pub name: String,
    /// The layer's type.
    pub kind: &'static str,
    /// The shape of its output, with the axis of the batch.
    pub output: Vec<usize>,
    /// The trainable elements that no layer before it has.
    pub parameters: usize,
    /// The multiplications, each with an addition, of its matrix products and convolutions.
    /// Attention counts all pairs of positions, as PyTorch's counter does, though half of them are
    /// skipped.
    pub multiply_adds: u64,
}

impl Summary {
    /// Runs `model` on `input` and lists its layers.
    ///
    /// # Errors
    /// When the input does not fit the model.
    pub fn new(model: &dyn Model, input: &Tensor) -> Result<Self> {
        let (output, records) = trace::traced(|| model.forward(input, Pass::Eval));
        output?;
        let parameters = &model.tensors().parameters;
        let parameters: HashMap<TensorId, &(String, Var)> = parameters
            .iter()
            .map(|parameter| (parameter.1.id(), parameter))
            .collect();
        let mut counted = HashSet::new();
        let layers = records.into_iter().map(|record| {
            let ids = record.parameters.iter();
            let own: Vec<_> = ids.filter_map(|id| parameters.get(id)).collect();
            let name = own.first().map_or("", |(name, _)| name);
            let new = own.iter().filter(|(_, var)| counted.insert(var.id()));
            LayerSummary {
                name: name.rsplit_once('.').map_or("", |(scope, _)| scope).into(),
                kind: record.kind,
                output: record.output,
                parameters: new.map(|(_, var)| var.elem_count()).sum(),
                multiply_adds: record.multiply_adds,
            }
        });
        Ok(Self {
            layers: layers.collect(),
        })
    }

    /// The model's trainable elements.
    pub fn parameters(&self) -> usize {
        self.layers.iter().map(|layer| layer.parameters).sum()
    }

    /// The multiply-adds of one forward pass.
    pub fn multiply_adds(&self) -> u64 {
        self.layers.iter().map(|layer| layer.multiply_adds).sum()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEADING: [&str; 5] = ["layer", "type", "output", "parameters", "multiply-adds"];
        let rows = self.layers.iter().map(|layer| {
            let sizes: Vec<String> = layer.output.iter().map(usize::to_string).collect();
            [
                layer.name.clone(),
                layer.kind.into(),
                sizes.join("×"),
                grouped(layer.parameters as u64),
                grouped(layer.multiply_adds),
            ]
        });
        let total = [
            "total".into(),
            String::new(),
            String::new(),
            grouped(self.parameters() as u64),
            grouped(self.multiply_adds()),
        ];
        let rows: Vec<[String; 5]> = [HEADING.map(String::from)]
            .into_iter()
            .chain(rows)
            .chain([total])
            .collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
        let widths: [usize; 5] = std::array::from_fn(|column| width(column).unwrap_or(0));
        for [name, kind, output, parameters, multiply_adds] in &rows {
            writeln!(
                f,
                "{name:<0$}  {kind:<1$}  {output:<2$}  {parameters:>3$}  {multiply_adds:>4$}",
                widths[0], widths[1], widths[2], widths[3], widths[4],
            )?;
        }
        Ok(())
    }
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
