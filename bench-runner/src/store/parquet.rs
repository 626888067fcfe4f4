//! `results.parquet`: one row per curve point, and what belongs to the whole set as file metadata.
//!
//! The columns are described in `docs/results.md`; a change of columns or of their meaning raises
//! [`SCHEMA_VERSION`].

use std::fs::File;
use std::path::Path;

use polars::prelude::{
    Column, DataFrame, KeyValueMetadata, ParquetReader, ParquetWriter, SerReader,
};
use serde::{Deserialize, Serialize};

use super::Results;
use crate::run::{CurvePoint, RunRecord};
use crate::{Error, Result};

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
    let failed = |reason: String| Error::Output {
        path: path.into(),
        reason,
    };
    let mut header = Header {
        schema_version: SCHEMA_VERSION,
        results: results.clone(),
    };
    for record in &mut header.results.records {
        record.curve.clear();
    }
    let header = serde_json::to_string(&header).map_err(|error| failed(error.to_string()))?;
    let mut frame = frame(results).map_err(|error| failed(error.to_string()))?;
    let metadata = KeyValueMetadata::from_static(vec![(METADATA_KEY.to_string(), header)]);
    let file = File::create(path).map_err(|error| failed(error.to_string()))?;
    ParquetWriter::new(file)
        .with_key_value_metadata(Some(metadata))
        .finish(&mut frame)
        .map_err(|error| failed(error.to_string()))?;
    Ok(())
}

/// Reads a result set.
///
/// # Errors
/// When the file cannot be read, is no result set, or is of a newer layout.
pub fn read(path: &Path) -> Result<Results> {
    let failed = |reason: String| Error::Input {
        path: path.into(),
        reason,
    };
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let mut reader = ParquetReader::new(std::io::Cursor::new(bytes));
    let header = reader
        .get_metadata()
        .map_err(|error| failed(error.to_string()))?
        .key_value_metadata()
        .iter()
        .flatten()
        .find(|pair| pair.key == METADATA_KEY)
        .and_then(|pair| pair.value.clone())
        .ok_or_else(|| failed(format!("no metadata `{METADATA_KEY}`: not a result set")))?;
    let version: serde_json::Value =
        serde_json::from_str(&header).map_err(|error| failed(error.to_string()))?;
    if version["schema_version"] != SCHEMA_VERSION {
        return Err(failed(format!(
            "layout version {}, but this program reads version {SCHEMA_VERSION}",
            version["schema_version"]
        )));
    }
    let header: Header =
        serde_json::from_value(version).map_err(|error| failed(error.to_string()))?;
    let frame = reader.finish().map_err(|error| failed(error.to_string()))?;
    let mut results = header.results;
    fill_curves(&mut results.records, &frame).map_err(failed)?;
    Ok(results)
}

/// The columns of all curves, in the order of the records.
fn frame(results: &Results) -> polars::prelude::PolarsResult<DataFrame> {
    let rows: Vec<(&RunRecord, &CurvePoint)> = results
        .records
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
            column!("seconds", |(_, p)| p.seconds),
            column!("loss", |(_, p)| p.loss),
            column!("test_loss", |(_, p)| p.test_loss),
            column!("accuracy", |(_, p)| p.accuracy),
            column!("word_perplexity", |(_, p)| p.word_perplexity),
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
fn fill_curves(records: &mut [RunRecord], frame: &DataFrame) -> Result<(), String> {
    let column = |name: &str| {
        frame
            .column(name)
            .map_err(|_| format!("column `{name}` is missing"))
    };
    let wrong = |name: &str| format!("column `{name}` has another type than expected");
    let text = |name: &str| -> Result<Vec<String>, String> {
        let column = column(name)?;
        let values = column.str().map_err(|_| wrong(name))?;
        Ok(values
            .iter()
            .map(|v| v.unwrap_or_default().into())
            .collect())
    };
    let whole = |name: &str| -> Result<Vec<u64>, String> {
        let column = column(name)?;
        let values = column.u64().map_err(|_| wrong(name))?;
        Ok(values.iter().map(Option::unwrap_or_default).collect())
    };
    let real = |name: &str| -> Result<Vec<Option<f64>>, String> {
        let column = column(name)?;
        let values = column.f64().map_err(|_| wrong(name))?;
        Ok(values.iter().collect())
    };
    let (problem, optimizer, seed) = (text("problem")?, text("optimizer")?, whole("seed")?);
    let (step, epoch, seconds) = (whole("step")?, real("epoch")?, real("seconds")?);
    let gradients = whole("gradient_evaluations")?;
    let losses = whole("loss_evaluations")?;
    let (loss, test_loss) = (real("loss")?, real("test_loss")?);
    let (accuracy, gradient_norm) = (real("accuracy")?, real("gradient_norm")?);
    let word_perplexity = real("word_perplexity")?;
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
            return Err(format!("row {row} belongs to no run"));
        };
        record.curve.push(CurvePoint {
            step: step[row],
            epoch: epoch[row].unwrap_or(f64::NAN),
            gradient_evaluations: gradients[row],
            loss_evaluations: losses[row],
            seconds: seconds[row].unwrap_or(f64::NAN),
            loss: loss[row].unwrap_or(f64::NAN),
            test_loss: test_loss[row],
            accuracy: accuracy[row],
            word_perplexity: word_perplexity[row],
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
