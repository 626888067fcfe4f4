//! Sets of images from files: parquet, IDX, and folders of image files.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::catalogue::Columns;
use crate::decode::{Shape, decode_into};
use crate::parquet::{ColumnKind, ParquetFile};
use crate::progress::Task;
use crate::{Error, ImageSet, Result, guarded};

/// What the images of a set must be.
pub(crate) struct Expected<'a> {
    pub(crate) columns: &'a Columns,
    pub(crate) shape: Shape,
    pub(crate) resize: Option<usize>,
    pub(crate) classes: &'a [String],
    pub(crate) pixel_max: u8,
    /// Refuses a number of images that the catalogue does not give, before any is read.
    pub(crate) count: &'a (dyn Fn(usize) -> Result<()> + Sync),
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
    (expected.count)(rows)?;
    // The labels come first: reading them shows that there are as many rows as the files say.
    let mut labels = Vec::new();
    for file in files {
        let label = file.find(ColumnKind::Label, expected.columns.label.as_deref())?;
        file.find(ColumnKind::Image, expected.columns.image.as_deref())?;
        for (first, count) in file.row_groups() {
            let frame = file.read(&[&label], first, count)?;
            let classes = expected.classes.len();
            read_labels(file, &frame, &label, first, classes, &mut labels)?;
        }
    }
    let size = expected.size();
    let mut pixels = expected.room(&name, labels.len())?;
    let mut rest = pixels.as_mut_slice();
    for file in files {
        let image = file.find(ColumnKind::Image, expected.columns.image.as_deref())?;
        for (first, count) in file.row_groups() {
            let frame = file.read(&[&image], first, count)?;
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
                let found = label.map_or("missing, negative or beyond 32 bits".into(), |label| {
                    label.to_string()
                });
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

/// A pair of IDX files, images and labels, gzipped (in one member or several) or not (Y. LeCun's format of
/// MNIST).
///
/// # Errors
/// Names the file at fault.
pub(crate) fn from_idx(images: &Path, labels: &Path, expected: &Expected) -> Result<ImageSet> {
    let (channels, height, width) = expected.shape;
    let wanted = if channels == 1 {
        vec![height, width]
    } else {
        vec![channels, height, width]
    };
    let mut image_file = IdxFile::open(images)?;
    let dims = image_file.dims.clone();
    if dims.len() != wanted.len() + 1 || dims[1..] != wanted[..] {
        return Err(Error::malformed(
            images.display().to_string(),
            format!("dimensions {dims:?}, expected [n, {height}, {width}]"),
        ));
    }
    (expected.count)(dims[0])?;
    let mut label_file = IdxFile::open(labels)?;
    if label_file.dims != dims[..1] {
        return Err(Error::malformed(
            labels.display().to_string(),
            format!(
                "dimensions {:?}, expected [{}] as there are images",
                label_file.dims, dims[0]
            ),
        ));
    }
    let label_bytes = label_file.values()?;
    let pixels = image_file.values()?;
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

/// An IDX file whose header has been read.
struct IdxFile {
    path: PathBuf,
    content: Box<dyn Read>,
    dims: Vec<usize>,
    packed: bool,
}

impl IdxFile {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let mut file = BufReader::new(file);
        let packed = file
            .fill_buf()
            .map_err(Error::io("read", path))?
            .starts_with(&[0x1f, 0x8b]);
        let mut idx = Self {
            path: path.to_path_buf(),
            content: if packed {
                Box::new(flate2::bufread::MultiGzDecoder::new(file))
            } else {
                Box::new(file)
            },
            dims: Vec::new(),
            packed,
        };
        let &[0, 0, 8, count] = idx.read(4)?.as_slice() else {
            return Err(idx.wrong("not an IDX file of bytes: expected it to begin with 00 00 08"));
        };
        let sizes = idx.read(4 * u64::from(count))?;
        if sizes.len() != 4 * usize::from(count) {
            return Err(idx.wrong("the header is cut off"));
        }
        let sizes = sizes.chunks_exact(4);
        idx.dims = sizes
            .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize)
            .collect();
        Ok(idx)
    }

    fn wrong(&self, problem: impl Into<String>) -> Error {
        Error::malformed(self.path.display().to_string(), problem)
    }

    /// Up to `count` bytes; memory grows with what there is, never with what the header claims.
    fn read(&mut self, count: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let content = &mut self.content;
        match guarded(|| content.take(count).read_to_end(&mut bytes)) {
            Some(Ok(_)) => Ok(bytes),
            Some(Err(error)) if !self.packed => Err(Error::io("read", &self.path)(error)),
            Some(Err(error)) => Err(self.wrong(format!("damaged gzip: {error}"))),
            None => Err(self.wrong("damaged gzip")),
        }
    }

    /// The bytes after the header: as many as the dimensions say, and no more.
    fn values(&mut self) -> Result<Vec<u8>> {
        let dims = self.dims.iter().map(|&dim| dim as u64);
        let size = dims.fold(1u64, u64::saturating_mul);
        let bytes = self.read(size.saturating_add(1))?;
        if bytes.len() as u64 == size {
            return Ok(bytes);
        }
        let more = if bytes.len() as u64 > size {
            "more than "
        } else {
            ""
        };
        let found = bytes.len() as u64 - u64::from(!more.is_empty());
        Err(self.wrong(format!(
            "{more}{found} bytes after the header, expected {:?}",
            self.dims
        )))
    }
}

/// A folder with a folder of image files per class, named as the classes are; each class has images.
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
        let images = entries(&folder.join(class))?;
        if images.is_empty() {
            return Err(Error::malformed(
                folder.join(class).display().to_string(),
                "no images of this class: expected at least one",
            ));
        }
        files.extend(images.into_iter().map(|path| (label as u32, path)));
    }
    (expected.count)(files.len())?;
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
            count: &|_| Ok(()),
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
