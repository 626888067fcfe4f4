//! A run's state in a file, from which it goes on bit for bit after a stop of any kind.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use bench_data::sha256;
use candle_core::{Device, Tensor};
use optim::Optimizer;
use optim::state::State;
use safetensors::View;

use super::cell::CellId;
use super::state::RunState;
use crate::error::{Error, Result};
use crate::problem::Problem;

/// Where a run keeps its state, and how often.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The file, a safetensors file of `optim`'s states. It belongs to one origin: nothing in it is
    /// compared with the run's settings but by the optimizer.
    pub path: PathBuf,
    /// The time between two writes.
    pub interval: Duration,
}

/// The part of a checkpoint that is the problem's.
const PROBLEM: &str = "problem/";
/// The tensor that holds [`RunState`], in CBOR: JSON need not keep the last digit of a number.
const RUN: &str = "progress";
/// The metadata entry with the SHA-256 of all others and of the tensors.
const CHECKSUM: &str = "sha256";

/// The SHA-256 of everything in a state: a line for the kind, the metadata and each tensor.
fn checksum(state: &State) -> Result<String> {
    let mut lines = format!("{}\n{}\n", state.kind, state.metadata);
    for (name, tensor) in &state.tensors {
        let tensor = tensor.to_device(&Device::Cpu)?;
        let bytes = sha256(&View::data(&&tensor));
        lines += &format!("{name} {:?} {:?} {bytes}\n", tensor.dtype(), tensor.dims());
    }
    Ok(sha256(lines.as_bytes()))
}

impl Checkpoint {
    /// Writes the states of a problem, its optimizer and their run.
    pub(super) fn write(
        &self,
        problem: &dyn Problem,
        optimizer: &dyn Optimizer,
        run: &RunState,
    ) -> Result<()> {
        let mut state = optimizer.state()?;
        state.insert_parameters(optimizer.parameters())?;
        for (name, tensor) in problem.state()? {
            state.tensors.insert(format!("{PROBLEM}{name}"), tensor);
        }
        let mut bytes = Vec::new();
        ciborium::into_writer(run, &mut bytes).map_err(|error| Error::Unwritable {
            what: format!("the state of {}", run.record.cell),
            source: error.into(),
        })?;
        let length = bytes.len();
        let run = Tensor::from_vec(bytes, length, &Device::Cpu)?;
        state.tensors.insert(RUN.into(), run);
        let checksum = checksum(&state)?;
        state.set(CHECKSUM, checksum)?;
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        }
        Ok(state.save(&self.path)?)
    }

    /// Puts a problem and its optimizer where the file says, and returns the state of their run; `None`
    /// where there is no file.
    pub(super) fn read(
        &self,
        cell: &CellId,
        problem: &mut dyn Problem,
        optimizer: &mut dyn Optimizer,
    ) -> Result<Option<RunState>> {
        if !self.path.exists() {
            return Ok(None);
        }
        let damaged = |reason: String| Error::damaged(&self.path)(reason);
        let mut state = State::load(&self.path)?;
        let recorded: String = state.get(CHECKSUM)?;
        if let Some(metadata) = state.metadata.as_object_mut() {
            metadata.remove(CHECKSUM);
        }
        if checksum(&state)? != recorded {
            return Err(damaged("its checksum is not that of its content".into()));
        }
        let run = state
            .tensors
            .remove(RUN)
            .ok_or_else(|| damaged(format!("no tensor `{RUN}`")))?;
        let run: RunState = ciborium::from_reader(run.to_vec1::<u8>()?.as_slice())
            .map_err(Error::damaged(&self.path))?;
        if run.record.cell != *cell {
            return Err(damaged(format!("it is of {}", run.record.cell)));
        }
        let of_problem = state
            .tensors
            .iter()
            .filter_map(|(name, tensor)| Some((name.strip_prefix(PROBLEM)?.into(), tensor.clone())))
            .collect();
        optimizer.restore(&state)?;
        state.restore_parameters(optimizer.parameters())?;
        problem.restore(&of_problem)?;
        Ok(Some(run))
    }
}
