//! Optimizer state as named tensors and metadata, in memory and on disk.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::{Device, Tensor};
use safetensors::SafeTensors;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::params::Parameters;

/// The file format's name and version, in the header of every file.
const FORMAT: &str = "optim-state";
const VERSION: u32 = 1;

/// Everything an optimizer needs to continue bit for bit.
///
/// The parameters' own values are not part of it unless put there with
/// [`insert_parameters`](Self::insert_parameters), which makes a file a complete checkpoint.
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{AdamConfig, Optimizer, Parameters, state::State};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let x = Var::new(&[3f64], &Device::Cpu)?;
/// let parameters = Parameters::new([("x", x)])?;
/// let mut adam = AdamConfig::default().build(&parameters)?;
/// let path = std::env::temp_dir().join(format!("adam-{}.safetensors", std::process::id()));
///
/// let mut state = adam.state()?;
/// state.insert_parameters(&parameters)?;
/// state.save(&path)?;
///
/// let state = State::load(&path)?;
/// state.restore_parameters(&parameters)?;
/// adam.restore(&state)?;
/// # std::fs::remove_file(path)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct State {
    /// The optimizer's kind, for example `adam`.
    pub kind: String,
    /// Scalars: counters, last losses, records. A JSON object.
    pub metadata: Value,
    /// Vectors: moments, curvature pairs.
    pub tensors: BTreeMap<String, Tensor>,
}

impl State {
    /// A state of an optimizer of `kind`, which records the names, shapes and dtype of
    /// `parameters`.
    pub fn new(kind: &str, parameters: &Parameters) -> Self {
        let shapes: Vec<Value> = parameters
            .iter()
            .map(|(name, var)| json!([name, var.dims()]))
            .collect();
        Self {
            kind: kind.into(),
            metadata: json!({
                "dtype": parameters.dtype().as_str(),
                "parameters": shapes,
            }),
            tensors: BTreeMap::new(),
        }
    }

    /// Whether this is the state of an optimizer of `kind` over `parameters`.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] with the first difference.
    pub fn check(&self, kind: &str, parameters: &Parameters) -> Result<()> {
        if self.kind != kind {
            return Err(Error::Checkpoint(format!(
                "it is of optimizer `{}`, not `{kind}`",
                self.kind
            )));
        }
        let expected = Self::new(kind, parameters);
        let dtype: String = self.get("dtype")?;
        if dtype != parameters.dtype().as_str() {
            return Err(Error::Checkpoint(format!(
                "its parameters are {dtype}, the model's are {}",
                parameters.dtype().as_str()
            )));
        }
        let theirs: Vec<(String, Vec<usize>)> = self.get("parameters")?;
        let ours: Vec<(String, Vec<usize>)> = expected.get("parameters")?;
        for (theirs, ours) in theirs.iter().zip(&ours) {
            if theirs.0 != ours.0 {
                return Err(Error::Checkpoint(format!(
                    "it has parameter `{}` where the model has `{}`",
                    theirs.0, ours.0
                )));
            }
            if theirs.1 != ours.1 {
                return Err(Error::Checkpoint(format!(
                    "parameter `{}` has shape {:?} in it, {:?} in the model",
                    ours.0, theirs.1, ours.1
                )));
            }
        }
        match (theirs.get(ours.len()), ours.get(theirs.len())) {
            (Some((extra, _)), _) => Err(Error::Checkpoint(format!(
                "it has parameter `{extra}`, which the model lacks"
            ))),
            (_, Some((missing, _))) => Err(Error::Checkpoint(format!(
                "it lacks the model's parameter `{missing}`"
            ))),
            _ => Ok(()),
        }
    }

    /// Records the optimizer's settings.
    ///
    /// # Errors
    /// When `config` cannot be written as JSON.
    pub fn set_config(&mut self, config: &impl Serialize) -> Result<()> {
        let config = to_json(config)?;
        // As text, so that reading cannot change the last digit of a number.
        self.set("config", config.to_string())
    }

    /// Whether the recorded settings are `config`'s.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] with the first setting that differs.
    pub fn check_config(&self, config: &impl Serialize) -> Result<()> {
        let recorded: String = self.get("config")?;
        let current = to_json(config)?.to_string();
        if recorded == current {
            return Ok(());
        }
        let parse = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        let (recorded, current) = (parse(&recorded), parse(&current));
        let (path, recorded, current) = first_difference("config", &recorded, &current);
        Err(Error::Checkpoint(format!(
            "{path} is {recorded} in it, {current} in this optimizer"
        )))
    }

    /// Sets a metadata entry. For floating-point numbers see [`set_float`](Self::set_float).
    ///
    /// # Errors
    /// When `value` cannot be written as JSON.
    pub fn set(&mut self, key: &str, value: impl Serialize) -> Result<()> {
        self.metadata[key] = to_json(&value)?;
        Ok(())
    }

    /// A metadata entry.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when it is missing or of another type.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<T> {
        let value = self.metadata.get(key).unwrap_or(&Value::Null);
        T::deserialize(value)
            .map_err(|error| Error::Checkpoint(format!("metadata entry `{key}`: {error}")))
    }

    /// Sets a number so that [`float`](Self::float) returns it bit for bit, non-finite ones
    /// included, which JSON numbers do not promise.
    pub fn set_float(&mut self, key: &str, value: f64) {
        self.metadata[key] = Value::String(value.to_string());
    }

    /// A number set by [`set_float`](Self::set_float).
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when it is missing or not a number.
    pub fn float(&self, key: &str) -> Result<f64> {
        let text: String = self.get(key)?;
        text.parse().map_err(|_| {
            Error::Checkpoint(format!("metadata entry `{key}`: `{text}` is no number"))
        })
    }

    /// A number set by [`set_float`](Self::set_float), if it was.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when it is not a number.
    pub(crate) fn optional_float(&self, key: &str) -> Result<Option<f64>> {
        let is_set = self.metadata.get(key).is_some();
        is_set.then(|| self.float(key)).transpose()
    }

    /// Stores a vector of parameter space, one tensor per parameter, as `{name}.{parameter}`.
    pub fn set_vector(&mut self, name: &str, parameters: &Parameters, tensors: Vec<Tensor>) {
        for (parameter, tensor) in parameters.names().iter().zip(tensors) {
            self.tensors.insert(format!("{name}.{parameter}"), tensor);
        }
    }

    /// The vector stored as `name`, on the parameters' device.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when a tensor is missing or has another shape than its parameter; when the
    /// device refuses memory.
    pub fn vector(&self, name: &str, parameters: &Parameters) -> Result<Vec<Tensor>> {
        let tensors = parameters.iter().map(|(parameter, var)| {
            let key = format!("{name}.{parameter}");
            let tensor = self
                .tensors
                .get(&key)
                .ok_or_else(|| Error::Checkpoint(format!("tensor `{key}` is missing")))?;
            if tensor.shape() != var.shape() {
                return Err(Error::Checkpoint(format!(
                    "tensor `{key}` has shape {:?}, its parameter {:?}",
                    tensor.dims(),
                    var.dims()
                )));
            }
            Ok(tensor.to_device(parameters.device())?)
        });
        tensors.collect()
    }

    /// Stores the parameters' current values too.
    ///
    /// # Errors
    /// When Candle cannot copy a tensor.
    pub fn insert_parameters(&mut self, parameters: &Parameters) -> Result<()> {
        self.set_vector("parameter", parameters, parameters.snapshot()?);
        Ok(())
    }

    /// Sets the parameters to the values stored by [`insert_parameters`](Self::insert_parameters).
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when the values are of other parameters or missing.
    pub fn restore_parameters(&self, parameters: &Parameters) -> Result<()> {
        self.check(&self.kind, parameters)?;
        parameters.restore(&self.vector("parameter", parameters)?)
    }

    /// Stores the state of a part of this optimizer under `name`.
    pub fn nest(&mut self, name: &str, part: State) {
        self.metadata[name] = json!({ "kind": part.kind, "metadata": part.metadata });
        for (key, tensor) in part.tensors {
            self.tensors.insert(format!("{name}/{key}"), tensor);
        }
    }

    /// The state stored under `name` by [`nest`](Self::nest).
    ///
    /// # Errors
    /// [`Error::Checkpoint`] when there is none.
    pub fn nested(&self, name: &str) -> Result<State> {
        #[derive(serde::Deserialize)]
        struct Part {
            kind: String,
            metadata: Value,
        }
        let Part { kind, metadata } = self.get(name)?;
        let prefix = format!("{name}/");
        let tensors = self.tensors.iter().filter_map(|(key, tensor)| {
            let key = key.strip_prefix(&prefix)?;
            Some((key.to_owned(), tensor.clone()))
        });
        Ok(State {
            kind,
            metadata,
            tensors: tensors.collect(),
        })
    }

    /// Writes the state to a safetensors file, atomically: no reader finds a part of it.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be written; an earlier file at `path` is then unharmed.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let header = HashMap::from([
            ("format".to_owned(), FORMAT.to_owned()),
            ("version".to_owned(), VERSION.to_string()),
            ("kind".to_owned(), self.kind.clone()),
            ("metadata".to_owned(), self.metadata.to_string()),
        ]);
        let tensors = self
            .tensors
            .iter()
            .map(|(name, tensor)| Ok((name, tensor.to_device(&Device::Cpu)?.contiguous()?)))
            .collect::<Result<Vec<_>>>()?;
        let bytes = safetensors::serialize(tensors, Some(header))
            .map_err(|error| file_error(path, error))?;
        write_atomically(path, &bytes).map_err(|error| file_error(path, error))
    }

    /// Reads a state written by [`save`](Self::save). The tensors are on the CPU.
    ///
    /// # Errors
    /// [`Error::File`] when the file is missing or of a newer format, [`Error::NotAState`] when it is
    /// truncated or another kind of file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|error| file_error(path, error))?;
        let (_, header) =
            SafeTensors::read_metadata(&bytes).map_err(|error| not_a_state(path, error))?;
        let header = header.metadata().clone().unwrap_or_default();
        let entry = |key: &str| {
            let missing = || not_a_state(path, format!("its header has no `{key}`"));
            header.get(key).ok_or_else(missing)
        };
        if entry("format")? != FORMAT {
            let reason = format!("its format is `{}`", entry("format")?);
            return Err(not_a_state(path, reason));
        }
        let version = entry("version")?;
        match version.parse::<u32>() {
            Ok(VERSION) => (),
            Ok(newer) if newer > VERSION => {
                return Err(file_error(
                    path,
                    format!(
                        "format version {newer} is newer than {VERSION}, the newest known here"
                    ),
                ));
            }
            _ => return Err(not_a_state(path, format!("format version `{version}`"))),
        }
        let metadata = serde_json::from_str(entry("metadata")?)
            .map_err(|error| not_a_state(path, format!("its metadata: {error}")))?;
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
            .map_err(|error| not_a_state(path, error))?;
        Ok(Self {
            kind: entry("kind")?.clone(),
            metadata,
            tensors: tensors.into_iter().collect(),
        })
    }
}

fn to_json(value: &impl Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| Error::Checkpoint(error.to_string()))
}

/// The path of the first entry that differs, and both values.
fn first_difference<'a>(path: &str, a: &'a Value, b: &'a Value) -> (String, &'a Value, &'a Value) {
    const ABSENT: &Value = &Value::Null;
    if let (Value::Object(left), Value::Object(right)) = (a, b) {
        for key in left.keys().chain(right.keys()) {
            let left = left.get(key).unwrap_or(ABSENT);
            let right = right.get(key).unwrap_or(ABSENT);
            if left != right {
                return first_difference(&format!("{path}.{key}"), left, right);
            }
        }
    }
    (path.into(), a, b)
}

fn file_error(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::File {
        path: path.into(),
        source: source.into(),
    }
}

fn not_a_state(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::NotAState {
        path: path.into(),
        source: source.into(),
    }
}

/// Writes a neighbouring file and renames it, so that no reader ever finds a part of one.
fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    static UNIQUE: AtomicU64 = AtomicU64::new(0);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(
        ".{}-{}.partial",
        std::process::id(),
        UNIQUE.fetch_add(1, Ordering::Relaxed)
    ));
    let partial: PathBuf = path.with_file_name(name);
    let written = File::create(&partial)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&partial);
    }
    written
}
