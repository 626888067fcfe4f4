//! A run's state in a file, from which it goes on bit for bit after a stop of any kind.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use candle_core::{Device, Tensor};
use optim::state::State;

use super::{Progress, Training};
use crate::{Error, Result};

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
/// The tensor that holds [`Progress`], in CBOR: JSON need not keep the last digit of a number.
const PROGRESS: &str = "progress";

impl Checkpoint {
    /// Writes the state. A run that cannot be kept goes on: what it risks is a longer way back.
    pub(super) fn keep(&self, training: &Training<'_>) {
        if let Err(error) = self.write(training) {
            eprintln!("{}: no checkpoint: {error}", training.progress.record.cell);
        }
    }

    /// Puts a training where the file says; whether it did. Without a usable file the run begins at its
    /// start.
    pub(super) fn resume(&self, training: &mut Training<'_>) -> bool {
        if !self.path.exists() {
            return false;
        }
        let read = self.read(training);
        if let Err(error) = &read {
            eprintln!(
                "{}: checkpoint not used: {error}",
                training.progress.record.cell
            );
        }
        read.is_ok()
    }

    fn write(&self, training: &Training<'_>) -> Result<()> {
        let failed = |error: std::io::Error| Error::Output {
            path: self.path.clone(),
            reason: error.to_string(),
        };
        let mut state = training.optimizer.state()?;
        state.insert_parameters(training.optimizer.parameters())?;
        for (name, tensor) in training.problem.state()? {
            state.tensors.insert(format!("{PROBLEM}{name}"), tensor);
        }
        let mut bytes = Vec::new();
        ciborium::into_writer(&*training.progress, &mut bytes)
            .map_err(|error| failed(std::io::Error::other(error)))?;
        let length = bytes.len();
        let progress = Tensor::from_vec(bytes, length, &Device::Cpu)?;
        state.tensors.insert(PROGRESS.into(), progress);
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        Ok(state.save(&self.path)?)
    }

    fn read(&self, training: &mut Training<'_>) -> Result<()> {
        let damaged = |reason: String| Error::Input {
            path: self.path.clone(),
            reason,
        };
        let mut state = State::load(&self.path)?;
        let progress = state
            .tensors
            .remove(PROGRESS)
            .ok_or_else(|| damaged(format!("no tensor `{PROGRESS}`")))?;
        let progress: Progress = ciborium::from_reader(progress.to_vec1::<u8>()?.as_slice())
            .map_err(|error| damaged(error.to_string()))?;
        if progress.record.cell != training.progress.record.cell {
            return Err(damaged(format!("it is of {}", progress.record.cell)));
        }
        let problem = state
            .tensors
            .iter()
            .filter_map(|(name, tensor)| Some((name.strip_prefix(PROBLEM)?.into(), tensor.clone())))
            .collect();
        training.optimizer.restore(&state)?;
        state.restore_parameters(training.optimizer.parameters())?;
        training.problem.restore(&problem)?;
        training.meter = training.meter.resume(progress.record.counts);
        *training.progress = progress;
        Ok(())
    }
}
