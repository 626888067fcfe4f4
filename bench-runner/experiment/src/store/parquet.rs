//! `results.parquet`: one row per curve point, and what belongs to the whole set as file metadata.
//!
//! The columns are described in `docs/results.md`; a column that goes or changes its meaning raises
//! [`SCHEMA_VERSION`]. Where a column that came later is missing, its values are null.

use std::io::Cursor;
use std::path::Path;

use bench_data::{atomic, guarded};
use polars::prelude::{
    Column, DataFrame, KeyValueMetadata, ParallelStrategy, ParquetReader, ParquetWriter, SerReader,
};
use serde::{Deserialize, Serialize};

use super::results::Results;
use crate::error::{Error, Result, Source};
use crate::run::{CurvePoint, RunRecord};

/// The version of the layout of `results.parquet` and `manifest.json`.
pub const SCHEMA_VERSION: u32 = 2;

/// The metadata key that holds everything but the curves, as JSON.
const METADATA_KEY: &str = "fuse-results";

/// A result set without its curves, and the layout's version.
#[derive(Serialize, Deserialize)]
struct Header {
    schema_version: u32,
    results: Results,
}

/// Writes a result set.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, results: &Results) -> Result<()> {
    let bytes = encode(results).map_err(|source| Error::Unwritable {
        what: path.display().to_string(),
        source,
    })?;
    atomic::write(path, &bytes).map_err(Error::io("write", path))
}

/// The bytes of `results.parquet`.
fn encode(results: &Results) -> Result<Vec<u8>, Source> {
    let mut header = Header {
        schema_version: SCHEMA_VERSION,
        results: results.clone(),
    };
    for record in &mut header.results.records {
        record.curve.clear();
    }
    let header = serde_json::to_string(&header)?;
    let mut frame = frame(&results.records)?;
    let metadata = KeyValueMetadata::from_static(vec![(METADATA_KEY.to_string(), header)]);
    let mut bytes = Vec::new();
    ParquetWriter::new(&mut bytes)
        .with_key_value_metadata(Some(metadata))
        .finish(&mut frame)?;
    Ok(bytes)
}

/// Reads a result set.
///
/// # Errors
/// When the file cannot be read, is no result set, or is of a newer layout.
pub fn read(path: &Path) -> Result<Results> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    // The library asserts on some damaged files, which is damage as any other.
    guarded(|| decode(bytes))
        .unwrap_or_else(|| Err("its structure is damaged".into()))
        .map_err(Error::damaged(path))
}

/// The results in the bytes of `results.parquet`.
fn decode(bytes: Vec<u8>) -> Result<Results, Source> {
    let mut reader = ParquetReader::new(Cursor::new(bytes));
    let header = reader
        .get_metadata()?
        .key_value_metadata()
        .iter()
        .flatten()
        .find(|pair| pair.key == METADATA_KEY)
        .and_then(|pair| pair.value.clone())
        .ok_or_else(|| format!("no metadata `{METADATA_KEY}`: not a result set"))?;
    let version: serde_json::Value = serde_json::from_str(&header)?;
    if version["schema_version"] != SCHEMA_VERSION {
        return Err(format!(
            "layout version {}, but this program reads version {SCHEMA_VERSION}",
            version["schema_version"]
        )
        .into());
    }
    let header: Header = serde_json::from_value(version)?;
    // On this thread alone, where a panic is caught.
    let frame = reader.read_parallel(ParallelStrategy::None).finish()?;
    let mut results = header.results;
    fill_curves(&mut results.records, &frame)?;
    Ok(results)
}

/// The columns of all curves, in the order of the records.
fn frame(records: &[RunRecord]) -> polars::prelude::PolarsResult<DataFrame> {
    let rows: Vec<(&RunRecord, &CurvePoint)> = records
        .iter()
        .flat_map(|record| record.curve.iter().map(move |point| (record, point)))
        .collect();
    macro_rules! column {
        ($name:literal, $value:expr) => {
            Column::new($name.into(), rows.iter().map($value).collect::<Vec<_>>())
        };
    }
    DataFrame::new(
        rows.len(),
        vec![
            column!("problem", |(r, _)| r.cell.problem.as_str()),
            column!("optimizer", |(r, _)| r.cell.optimizer.as_str()),
            column!("seed", |(r, _)| r.cell.seed),
            column!("outcome", |(r, _)| r.outcome.label()),
            column!("step", |(_, p)| p.step),
            column!("epoch", |(_, p)| p.epoch),
            column!("gradient_evaluations", |(_, p)| p.gradient_evaluations),
            column!("loss_evaluations", |(_, p)| p.loss_evaluations),
            column!("sample_gradients", |(_, p)| p.sample_gradients),
            column!("seconds", |(_, p)| p.seconds),
            column!("loss", |(_, p)| p.loss),
            column!("running_loss", |(_, p)| p.running_loss),
            column!("test_loss", |(_, p)| p.test_loss),
            column!("accuracy", |(_, p)| p.accuracy),
            column!("running_accuracy", |(_, p)| p.running_accuracy),
            column!("word_perplexity", |(_, p)| p.word_perplexity),
            column!("residual_loss", |(_, p)| p.residual_loss),
            column!("initial_loss", |(_, p)| p.initial_loss),
            column!("boundary_loss", |(_, p)| p.boundary_loss),
            column!("relative_l2", |(_, p)| p.relative_l2),
            column!("largest_error", |(_, p)| p.largest_error),
            column!("gradient_norm", |(_, p)| p.gradient_norm),
            column!("criterion", |(_, p)| p.criterion),
            column!("threshold", |(_, p)| p.threshold),
            column!("phase", |(_, p)| match p.phase {
                optim::Phase::FirstOrder => "first-order",
                optim::Phase::SecondOrder => "second-order",
            }),
        ],
    )
}

/// Puts the rows of `frame` into the records they belong to.
fn fill_curves(records: &mut [RunRecord], frame: &DataFrame) -> Result<(), Source> {
    let column = |name: &str| {
        frame
            .column(name)
            .map_err(|_| format!("column `{name}` is missing"))
    };
    let wrong = |name: &str| format!("column `{name}` has another type than expected");
    let text = |name: &str| -> Result<Vec<String>, Source> {
        let column = column(name)?;
        let values = column.str().map_err(|_| wrong(name))?;
        Ok(values
            .iter()
            .map(|v| v.unwrap_or_default().into())
            .collect())
    };
    let counts = |name: &str| -> Result<Vec<u64>, Source> {
        let column = column(name)?;
        let values = column.u64().map_err(|_| wrong(name))?;
        Ok(values.iter().map(Option::unwrap_or_default).collect())
    };
    let real = |name: &str| -> Result<Vec<Option<f64>>, Source> {
        let column = column(name)?;
        let values = column.f64().map_err(|_| wrong(name))?;
        Ok(values.iter().collect())
    };
    let (problem, optimizer, seed) = (text("problem")?, text("optimizer")?, counts("seed")?);
    // Columns that came later are not in every file.
    let later = |name: &str| match frame.column(name) {
        Ok(_) => real(name),
        Err(_) => Ok(vec![None; frame.height()]),
    };
    let (step, epoch, seconds) = (counts("step")?, real("epoch")?, real("seconds")?);
    let gradients = counts("gradient_evaluations")?;
    let losses = counts("loss_evaluations")?;
    // Younger than the layout: files without it are read too.
    let samples: Vec<Option<u64>> = match frame.column("sample_gradients") {
        Ok(column) => {
            let values = column.u64().map_err(|_| wrong("sample_gradients"))?;
            values.iter().collect()
        }
        Err(_) => Vec::new(),
    };
    let (loss, test_loss) = (real("loss")?, real("test_loss")?);
    let (accuracy, gradient_norm) = (real("accuracy")?, real("gradient_norm")?);
    let word_perplexity = real("word_perplexity")?;
    let (running_loss, running_accuracy) = (later("running_loss")?, later("running_accuracy")?);
    let (residual_loss, initial_loss) = (later("residual_loss")?, later("initial_loss")?);
    let boundary_loss = later("boundary_loss")?;
    let (relative_l2, largest_error) = (later("relative_l2")?, later("largest_error")?);
    let (criterion, threshold) = (real("criterion")?, real("threshold")?);
    let phase = text("phase")?;
    let mut records = records.iter_mut();
    let mut current = records.next();
    for row in 0..frame.height() {
        // Rows stand in the order of the records; a record without points has none.
        while let Some(record) = &current {
            let cell = &record.cell;
            if (cell.problem.as_str(), cell.optimizer.as_str(), cell.seed)
                == (problem[row].as_str(), optimizer[row].as_str(), seed[row])
            {
                break;
            }
            current = records.next();
        }
        let Some(record) = &mut current else {
            return Err(format!("row {row} belongs to no run").into());
        };
        record.curve.push(CurvePoint {
            step: step[row],
            epoch: epoch[row].unwrap_or(f64::NAN),
            gradient_evaluations: gradients[row],
            loss_evaluations: losses[row],
            sample_gradients: samples.get(row).copied().flatten(),
            seconds: seconds[row].unwrap_or(f64::NAN),
            loss: loss[row].unwrap_or(f64::NAN),
            test_loss: test_loss[row],
            accuracy: accuracy[row],
            word_perplexity: word_perplexity[row],
            running_loss: running_loss[row],
            running_accuracy: running_accuracy[row],
            residual_loss: residual_loss[row],
            initial_loss: initial_loss[row],
            boundary_loss: boundary_loss[row],
            relative_l2: relative_l2[row],
            largest_error: largest_error[row],
            gradient_norm: gradient_norm[row],
            criterion: criterion[row],
            threshold: threshold[row],
            phase: match phase[row].as_str() {
                "second-order" => optim::Phase::SecondOrder,
                _ => optim::Phase::FirstOrder,
            },
        });
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::run::{CellId, Outcome};

    #[test]
    fn files_from_before_sample_gradients_are_read() {
        let cell = CellId {
            problem: "p".into(),
            optimizer: "o".into(),
            seed: 3,
        };
        let mut record = RunRecord::new(cell, Outcome::Interrupted);
        record.curve.push(CurvePoint {
            sample_gradients: Some(64),
            ..CurvePoint::of_loss(2, 0.25)
        });
        let mut frame = frame(std::slice::from_ref(&record)).unwrap();
        let mut read = [record.clone()];
        read[0].curve.clear();
        fill_curves(&mut read, &frame).unwrap();
        assert_eq!(read[0], record);

        frame.drop_in_place("sample_gradients").unwrap();
        read[0].curve.clear();
        fill_curves(&mut read, &frame).unwrap();
        record.curve[0].sample_gradients = None;
        assert_eq!(read[0], record);
    }
}
