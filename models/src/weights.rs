//! Weights files in the safetensors format, with the names of torchvision and Hugging Face.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use candle_core::safetensors::{BufferedSafetensors, save};
use candle_core::{DType, Device, Tensor, Var};

use crate::{Error, Result, Tensors};

/// The prefix of all names of a GPT-2; files of the model without its head leave it out.
const TRANSFORMER: &str = "transformer.";
/// The weight of a GPT-2's head, and the embedding that it is tied to.
const TIED: (&str, &str) = ("lm_head.weight", "transformer.wte.weight");

impl Tensors {
    /// Writes parameters and buffers to a safetensors file. Equal tensors give equal bytes.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save_safetensors(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let tensors: BTreeMap<&str, Tensor> = self
            .all()
            .map(|(name, var)| Ok((name, var.to_device(&Device::Cpu)?)))
            .collect::<Result<_>>()?;
        save(&tensors.into_iter().collect(), path).map_err(|error| unusable(path, error))
    }

    /// Sets parameters and buffers from a safetensors file, converted to the dtype and device of
    /// each. Nothing is set unless the file fits as a whole.
    ///
    /// Public weights of torchvision's residual networks and of Hugging Face's GPT-2 load by name.
    /// For GPT-2, the prefix `transformer.` may be missing; the head stands for the embedding that it
    /// is tied to where that is missing, and must equal it where it is not. What no formula reads is passed over: the counters `num_batches_tracked`
    /// and the attention masks `attn.bias` and `attn.masked_bias`.
    ///
    /// ```
    /// use candle_core::{DType, Device};
    /// use models::ModelSpec;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("model.safetensors");
    /// let spec: ModelSpec = serde_json::from_str(r#"{ "kind": "mlp" }"#)?;
    /// let trained = spec.build(0, DType::F32, &Device::Cpu)?;
    /// trained.tensors().save_safetensors(&path)?;
    /// let other = spec.build(1, DType::F32, &Device::Cpu)?;
    /// other.tensors().load_safetensors(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be read, and [`Error::Weights`], which lists all
    /// missing, unexpected and mis-shaped tensors, when it does not fit.
    pub fn load_safetensors(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| unusable(path, error))?;
        let file = BufferedSafetensors::new(bytes).map_err(|error| unusable(path, error))?;
        let weights = Weights::new(&file, self);
        let differences = weights.differences(self)?;
        if !differences.is_empty() {
            return Err(Error::Weights {
                path: path.to_owned(),
                difference: differences.join("; "),
            });
        }
        for (name, var) in self.all() {
            let tensor = weights.load(name)?.to_dtype(var.dtype())?;
            var.set(&tensor.to_device(var.device())?)?;
        }
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = (&str, &Var)> {
        let all = self.parameters.iter().chain(&self.buffers);
        all.map(|(name, var)| (name.as_str(), var))
    }
}

/// A file's tensors under the model's names.
struct Weights<'a> {
    file: &'a BufferedSafetensors,
    /// From the model's name to the file's name and shape.
    entries: BTreeMap<String, (String, Vec<usize>)>,
}

impl<'a> Weights<'a> {
    fn new(file: &'a BufferedSafetensors, model: &Tensors) -> Self {
        let entries = file.tensors();
        let prefixed = |name: &str| name.starts_with(TRANSFORMER);
        let bare = model.all().all(|(name, _)| prefixed(name))
            && !entries.iter().any(|(name, _)| prefixed(name));
        let full = |name: &str| match bare && name != TIED.0 {
            true => format!("{TRANSFORMER}{name}"),
            false => name.to_owned(),
        };
        let has_embedding = entries.iter().any(|(name, _)| full(name) == TIED.1);
        let is_tied = model.all().any(|(name, _)| name == TIED.1);
        let rename = |name: &str| match name == TIED.0 && is_tied && !has_embedding {
            true => TIED.1.to_owned(),
            false => full(name),
        };
        let entries = entries
            .into_iter()
            .map(|(name, view)| (rename(&name), (name, view.shape().to_vec())))
            .collect();
        Self { file, entries }
    }

    fn load(&self, name: &str) -> Result<Tensor> {
        let (name, _) = &self.entries[name];
        Ok(self.file.load(name, &Device::Cpu)?)
    }

    /// The differences between the file's tensors and the model's, in words.
    fn differences(&self, model: &Tensors) -> Result<Vec<String>> {
        let mut missing = Vec::new();
        let mut misshaped = Vec::new();
        let mut known = BTreeSet::new();
        for (name, var) in model.all() {
            known.insert(name);
            match self.entries.get(name) {
                None => missing.push(name.to_owned()),
                Some((_, shape)) if shape != var.dims() => {
                    misshaped.push(format!("{name} {shape:?}, not {:?}", var.dims()));
                }
                Some(_) => {}
            }
        }
        let mut unexpected = Vec::new();
        for name in self.entries.keys().map(String::as_str) {
            if !(known.contains(name) || unread(name) || self.is_tied_head(name, &known)?) {
                unexpected.push(name.to_owned());
            }
        }
        let lists = [
            ("missing", missing),
            ("unexpected", unexpected),
            ("mis-shaped", misshaped),
        ];
        let lists = lists.into_iter().filter(|(_, names)| !names.is_empty());
        Ok(lists
            .map(|(what, names)| format!("{what}: {}", names.join(", ")))
            .collect())
    }

    fn is_tied_head(&self, name: &str, known: &BTreeSet<&str>) -> Result<bool> {
        let (head, embedding) = TIED;
        if name != head || !known.contains(embedding) || !self.entries.contains_key(embedding) {
            return Ok(false);
        }
        let values = |name| -> Result<Vec<f64>> {
            let flat = self.load(name)?.flatten_all()?;
            Ok(flat.to_dtype(DType::F64)?.to_vec1()?)
        };
        Ok(values(head)? == values(embedding)?)
    }
}

/// Whether a tensor in a public file has no influence on the model's output.
fn unread(name: &str) -> bool {
    [".num_batches_tracked", ".attn.bias", ".attn.masked_bias"]
        .iter()
        .any(|suffix| name.ends_with(suffix))
}

fn unusable(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::File {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
