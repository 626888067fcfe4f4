//! Sets of images from files: parquet, IDX, and folders of image files.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::catalogue::Columns;
use crate::decode::{Shape, decode_into};
use crate::parquet::{ColumnKind, ParquetFile};
use crate::progress::Task;
use crate::{Error, ImageSet, Result};

/// What the images of a set must be.
pub(crate) struct Expected<'a> {
    pub(crate) columns: &'a Columns,
    pub(crate) shape: Shape,
    pub(crate) resize: Option<usize>,
    pub(crate) classes: &'a [String],
    pub(crate) pixel_max: u8,
    /// Told of each image that is decoded.
    pub(crate) progress: &'a dyn Task,
}

impl Expected<'_> {
    fn size(&self) -> usize {
        self.shape.0 * self.shape.1 * self.shape.2
    }

    /// Zeros for the pixels of `count` images.
    fn room(&self, name: &str, count: usize) -> Result<Vec<u8>> {
        let mut pixels = Vec::new();
        let bytes = count.saturating_mul(self.size());
        pixels.try_reserve_exact(bytes).map_err(|_| {
            let gigabytes = bytes as f64 / 1e9;
            let problem = format!(
                "{gigabytes:.0} GB do not fit into memory; a set of this size can only be streamed"
            );
            Error::malformed(name, problem)
        })?;
        pixels.resize(bytes, 0);
        Ok(pixels)
    }

    /// Decodes one image of a parquet file.
    fn decode(
        &self,
        file: &ParquetFile,
        column: &str,
        row: usize,
        encoded: &[u8],
        target: &mut [u8],
    ) -> Result<()> {
        decode_into(encoded, self.shape, self.resize, target)
            .map_err(|problem| Error::malformed_row(file.name(), row as u64, Some(column), problem))
    }
}

/// Images and labels of parquet files, decoded in parallel row group by row group.
///
/// # Errors
/// Names file, row and column at fault.
pub(crate) fn from_parquet(files: &[ParquetFile], expected: &Expected) -> Result<ImageSet> {
    let rows: usize = files.iter().map(ParquetFile::rows).sum();
    let name = files.first().map(ParquetFile::name).unwrap_or_default();
    if rows == 0 {
        return Err(Error::malformed(
            name,
            "no rows: expected at least one image",
        ));
    }
    let size = expected.size();
    let mut pixels = expected.room(&name, rows)?;
    let mut labels = Vec::with_capacity(rows);
    let mut rest = pixels.as_mut_slice();
    for file in files {
        let image = file.find(ColumnKind::Image, expected.columns.image.as_deref())?;
        let label = file.find(ColumnKind::Label, expected.columns.label.as_deref())?;
        for (first, count) in file.row_groups() {
            let frame = file.read(&[&image, &label], first, count)?;
            read_labels(
                file,
                &frame,
                &label,
                first,
                expected.classes.len(),
                &mut labels,
            )?;
            let bytes = file.bytes(&frame, &image)?;
            let encoded: Vec<&[u8]> = bytes.iter().map(Option::unwrap_or_default).collect();
            let (group, after) = rest.split_at_mut(encoded.len() * size);
            rest = after;
            first_failure(
                group
                    .par_chunks_exact_mut(size)
                    .zip(&encoded)
                    .enumerate()
                    .map(|(row, (target, encoded))| {
                        expected.progress.advance(1);
                        expected.decode(file, &image, first + row, encoded, target)
                    }),
            )?;
        }
    }
    let classes = expected.classes.to_vec();
    ImageSet::new(
        &name,
        pixels,
        labels,
        expected.shape,
        classes,
        expected.pixel_max,
    )
}

/// The first `per_class` images of each class, and how many images each class has. No others are decoded, so
/// that sets of any size can be looked at.
///
/// # Errors
/// Names file, row and column at fault.
pub(crate) fn first_of_each_class(
    files: &[ParquetFile],
    expected: &Expected,
    per_class: usize,
) -> Result<(ImageSet, Vec<usize>)> {
    let mut counts = vec![0; expected.classes.len()];
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    let mut target = vec![0; expected.size()];
    for file in files {
        let image = file.find(ColumnKind::Image, expected.columns.image.as_deref())?;
        let label = file.find(ColumnKind::Label, expected.columns.label.as_deref())?;
        for (first, count) in file.row_groups() {
            let frame = file.read(&[&label], first, count)?;
            let mut found = Vec::with_capacity(count);
            read_labels(file, &frame, &label, first, counts.len(), &mut found)?;
            let mut wanted = Vec::new();
            for (row, &label) in found.iter().enumerate() {
                let seen = &mut counts[label as usize];
                *seen += 1;
                if *seen <= per_class {
                    wanted.push(row);
                }
            }
            if wanted.is_empty() {
                continue;
            }
            let frame = file.read(&[&image], first, count)?;
            let bytes = file.bytes(&frame, &image)?;
            for row in wanted {
                let encoded = bytes.get(row).unwrap_or_default();
                expected.decode(file, &image, first + row, encoded, &mut target)?;
                pixels.extend_from_slice(&target);
                labels.push(found[row]);
            }
        }
    }
    let name = files.first().map(ParquetFile::name).unwrap_or_default();
    let classes = expected.classes.to_vec();
    let set = ImageSet::new(
        &name,
        pixels,
        labels,
        expected.shape,
        classes,
        expected.pixel_max,
    )?;
    Ok((set, counts))
}

/// Appends the labels of one frame.
///
/// # Errors
/// When one is missing or out of range.
pub(crate) fn read_labels(
    file: &ParquetFile,
    frame: &polars::prelude::DataFrame,
    column: &str,
    first: usize,
    classes: usize,
    labels: &mut Vec<u32>,
) -> Result<()> {
    for (row, label) in file.labels(frame, column)?.iter().enumerate() {
        match label {
            Some(label) if (label as usize) < classes => labels.push(label),
            label => {
                let found = label.map_or("missing or negative".into(), |label| label.to_string());
                return Err(Error::malformed_row(
                    file.name(),
                    (first + row) as u64,
                    Some(column),
                    format!("the label is {found}, expected 0 to {}", classes - 1),
                ));
            }
        }
    }
    Ok(())
}

/// Runs all and gives the failure of the lowest index, so that the message is the same on any number of
/// threads.
fn first_failure(results: impl IndexedParallelIterator<Item = Result<()>>) -> Result<()> {
    match results
        .filter_map(|result| result.err())
        .find_first(|_| true)
    {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// A pair of IDX files, images and labels, gzipped or not (Y. LeCun's format of MNIST).
///
/// # Errors
/// Names the file at fault.
pub(crate) fn from_idx(images: &Path, labels: &Path, expected: &Expected) -> Result<ImageSet> {
    let (channels, height, width) = expected.shape;
    let (dims, pixels) = read_idx(images)?;
    let wanted = if channels == 1 {
        vec![height, width]
    } else {
        vec![channels, height, width]
    };
    if dims.len() != wanted.len() + 1 || dims[1..] != wanted[..] {
        return Err(Error::malformed(
            images.display().to_string(),
            format!("dimensions {dims:?}, expected [n, {height}, {width}]"),
        ));
    }
    let (label_dims, label_bytes) = read_idx(labels)?;
    if label_dims != dims[..1] {
        return Err(Error::malformed(
            labels.display().to_string(),
            format!(
                "dimensions {label_dims:?}, expected [{}] as there are images",
                dims[0]
            ),
        ));
    }
    let label_values = label_bytes.into_iter().map(u32::from).collect();
    ImageSet::new(
        &labels.display().to_string(),
        pixels,
        label_values,
        expected.shape,
        expected.classes.to_vec(),
        expected.pixel_max,
    )
}

fn read_idx(path: &Path) -> Result<(Vec<usize>, Vec<u8>)> {
    let mut bytes = fs::read(path).map_err(Error::io("read", path))?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(bytes.as_slice())
            .read_to_end(&mut unpacked)
            .map_err(|error| {
                Error::malformed(path.display().to_string(), format!("damaged gzip: {error}"))
            })?;
        bytes = unpacked;
    }
    let wrong = |problem: String| Error::malformed(path.display().to_string(), problem);
    let &[0, 0, 8, count] = bytes.get(..4).unwrap_or_default() else {
        return Err(wrong(
            "not an IDX file of bytes: expected it to begin with 00 00 08".into(),
        ));
    };
    let header = 4 + 4 * usize::from(count);
    let dims: Vec<usize> = bytes
        .get(4..header)
        .ok_or_else(|| wrong("the header is cut off".into()))?
        .chunks_exact(4)
        .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize)
        .collect();
    let size = dims
        .iter()
        .try_fold(1usize, |size, &dim| size.checked_mul(dim));
    if size != Some(bytes.len() - header) {
        return Err(wrong(format!(
            "{} bytes after the header, expected {dims:?}",
            bytes.len() - header
        )));
    }
    bytes.drain(..header);
    Ok((dims, bytes))
}

/// A folder with a folder of image files per class, named as the classes are.
///
/// # Errors
/// Names the file or folder at fault.
pub(crate) fn from_folder(folder: &Path, expected: &Expected) -> Result<ImageSet> {
    let entries = |path: &Path| -> Result<Vec<PathBuf>> {
        let listed = fs::read_dir(path).map_err(Error::io("list", path))?;
        let mut paths = listed
            .map(|entry| entry.map(|e| e.path()))
            .collect::<std::io::Result<Vec<_>>>()
            .map_err(Error::io("list", path))?;
        paths.retain(|p| {
            !p.file_name()
                .is_some_and(|n| n.as_encoded_bytes().starts_with(b"."))
        });
        paths.sort();
        Ok(paths)
    };
    let name_of = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned());
    for class in entries(folder)? {
        if !name_of(&class).is_some_and(|name| expected.classes.contains(&name)) {
            return Err(Error::malformed(
                class.display().to_string(),
                format!(
                    "no class of this name: expected {}",
                    expected.classes.join(", ")
                ),
            ));
        }
    }
    let mut files = Vec::new();
    for (label, class) in expected.classes.iter().enumerate() {
        let class_folder = folder.join(class);
        if class_folder.is_dir() {
            files.extend(
                entries(&class_folder)?
                    .into_iter()
                    .map(|path| (label as u32, path)),
            );
        }
    }
    let size = expected.size();
    let mut pixels = expected.room(&folder.display().to_string(), files.len())?;
    first_failure(
        pixels
            .par_chunks_exact_mut(size)
            .zip(&files)
            .map(|(target, (_, path))| {
                expected.progress.advance(1);
                let bytes = fs::read(path).map_err(Error::io("read", path))?;
                decode_into(&bytes, expected.shape, expected.resize, target)
                    .map_err(|problem| Error::malformed(path.display().to_string(), problem))
            }),
    )?;
    let labels = files.iter().map(|(label, _)| *label).collect();
    ImageSet::new(
        &folder.display().to_string(),
        pixels,
        labels,
        expected.shape,
        expected.classes.to_vec(),
        expected.pixel_max,
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    #[test]
    fn a_set_that_does_not_fit_into_memory_is_refused() {
        let expected = Expected {
            columns: &Columns::default(),
            shape: (3, 224, 224),
            resize: None,
            classes: &[],
            pixel_max: u8::MAX,
            progress: &Silent,
        };
        let error = expected.room("set", usize::MAX).unwrap_err().to_string();
        assert!(
            error.contains("set: ") && error.contains("can only be streamed"),
            "{error}"
        );
        assert_eq!(expected.room("set", 2).unwrap().len(), 2 * 3 * 224 * 224);
    }
}
