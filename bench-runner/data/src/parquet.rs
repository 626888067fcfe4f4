//! Parquet files read one row group at a time, so that memory does not grow with the file.

use std::fs::File;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use polars::io::mmap::MmapBytesReader;
use polars::io::parquet::metadata::FileMetadataRef;
use polars::io::parquet::read::ParallelStrategy;
use polars::prelude::{
    BinaryChunked, DataFrame, DataType, ParquetReader, PolarsResult, Schema, SchemaExt, SerReader,
    StringChunked, UInt32Chunked,
};

use crate::{Error, Result, guarded};

/// A parquet file whose metadata has been read.
#[derive(Debug)]
pub(crate) struct ParquetFile {
    source: Source,
    schema: Schema,
    metadata: FileMetadataRef,
}

#[derive(Debug, Clone)]
enum Source {
    Path(PathBuf),
    Embedded {
        name: &'static str,
        bytes: &'static [u8],
    },
}

impl Source {
    fn name(&self) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::Embedded { name, .. } => (*name).into(),
        }
    }

    fn reader(&self) -> Result<ParquetReader<Box<dyn MmapBytesReader>>> {
        let reader: Box<dyn MmapBytesReader> = match self {
            Self::Path(path) => Box::new(File::open(path).map_err(Error::io("open", path))?),
            Self::Embedded { bytes, .. } => Box::new(Cursor::new(*bytes)),
        };
        Ok(ParquetReader::new(reader))
    }
}

/// What a column holds, found by its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    /// Encoded images or raw pixels: binary, or a struct with a binary field.
    Image,
    /// Class labels: integers.
    Label,
    /// Text: strings.
    Text,
}

impl ColumnKind {
    fn matches(self, data_type: &DataType) -> bool {
        match self {
            Self::Image => match data_type {
                DataType::Binary => true,
                DataType::Struct(fields) => fields.iter().any(|f| f.dtype() == &DataType::Binary),
                _ => false,
            },
            Self::Label => data_type.is_integer(),
            Self::Text => data_type == &DataType::String,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Image => "images (binary, or struct with binary `bytes`)",
            Self::Label => "labels (integers)",
            Self::Text => "text (strings)",
        }
    }
}

impl ParquetFile {
    /// Opens a file and reads its metadata.
    ///
    /// # Errors
    /// When it cannot be read or is not parquet.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Self::from_source(Source::Path(path.to_path_buf()))
    }

    /// Reads the metadata of a file that is part of the binary.
    ///
    /// # Errors
    /// When it is not parquet.
    pub(crate) fn embedded(name: &'static str, bytes: &'static [u8]) -> Result<Self> {
        Self::from_source(Source::Embedded { name, bytes })
    }

    fn from_source(source: Source) -> Result<Self> {
        let mut reader = source.reader()?;
        let (schema, metadata) = reading(&source.name(), || {
            let schema = Schema::from_arrow_schema(reader.schema()?.as_ref());
            Ok((schema, reader.get_metadata()?.clone()))
        })?;
        // What the file says of itself is checked before anything is made of it: samples are numbered by u32.
        let mut total = 0usize;
        for group in &metadata.row_groups {
            total = total.saturating_add(group.num_rows());
        }
        if u32::try_from(total).is_err() {
            return Err(Error::malformed(
                source.name(),
                format!("{total} rows, expected at most {}", u32::MAX),
            ));
        }
        Ok(Self {
            source,
            schema,
            metadata,
        })
    }

    /// The file's name, for errors.
    pub(crate) fn name(&self) -> String {
        self.source.name()
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.row_groups().map(|(_, rows)| rows).sum()
    }

    /// The row groups: first row and number of rows of each.
    pub(crate) fn row_groups(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.metadata.row_groups.iter().scan(0, |first, group| {
            let rows = group.num_rows();
            *first += rows;
            Some((*first - rows, rows))
        })
    }

    /// The columns and their types, in words.
    pub(crate) fn columns(&self) -> String {
        let columns: Vec<String> = self
            .schema
            .iter()
            .map(|(name, data_type)| format!("`{name}` ({data_type})"))
            .collect();
        columns.join(", ")
    }

    /// The column that holds `kind`: the one named `wanted`, or the only one of that type.
    ///
    /// # Errors
    /// When there is none, or several without the wanted name; lists the columns found.
    pub(crate) fn find(&self, kind: ColumnKind, wanted: Option<&str>) -> Result<String> {
        let candidates: Vec<&str> = self
            .schema
            .iter()
            .filter(|(_, data_type)| kind.matches(data_type))
            .map(|(name, _)| name.as_str())
            .collect();
        if let Some(wanted) = wanted.filter(|name| candidates.contains(name)) {
            return Ok(wanted.into());
        }
        if let [only] = candidates[..] {
            return Ok(only.into());
        }
        let wanted = wanted.map(|n| format!(" named `{n}`")).unwrap_or_default();
        Err(Error::malformed(
            self.name(),
            format!(
                "expected one column of {}{wanted}; the file has {}",
                kind.words(),
                self.columns()
            ),
        ))
    }

    /// Some columns of `rows` rows from row `first` on.
    ///
    /// # Errors
    /// When the file is damaged.
    pub(crate) fn read(&self, columns: &[&str], first: usize, rows: usize) -> Result<DataFrame> {
        // Of the strategies, only this one leaves out the row groups before the slice: the others decompress
        // them too, so that reading group after group would take quadratic time.
        let mut reader = self
            .source
            .reader()?
            .with_columns(Some(columns.iter().map(|c| (*c).into()).collect()))
            .with_slice(Some((first, rows)))
            .read_parallel(ParallelStrategy::RowGroups);
        reader.set_metadata(self.metadata.clone());
        let place = columns.join("`, `");
        let frame = reading(&self.name(), || reader.finish()).map_err(|error| match error {
            Error::Malformed { file, problem, .. } => {
                Error::malformed_row(file, first as u64, Some(&place), problem)
            }
            other => other,
        })?;
        if frame.height() != rows {
            let found = frame.height();
            return Err(Error::malformed_row(
                self.name(),
                first as u64,
                Some(&place),
                format!("{found} rows from here on, expected {rows}"),
            ));
        }
        Ok(frame)
    }

    /// The bytes of an image column of a frame read from this file.
    ///
    /// # Errors
    /// When the column has another type.
    pub(crate) fn bytes(&self, frame: &DataFrame, column: &str) -> Result<BinaryChunked> {
        let binary = || -> PolarsResult<BinaryChunked> {
            let column = frame.column(column)?;
            if let Ok(binary) = column.binary() {
                return Ok(binary.clone());
            }
            let fields = column.struct_()?.fields_as_series();
            let mut binary = fields.iter().filter(|f| f.dtype() == &DataType::Binary);
            // Hugging Face's name for an image's encoded form, where there are several (thumbnails).
            let named = binary.clone().find(|field| field.name() == "bytes");
            match named.or_else(|| binary.next()) {
                Some(field) => field.binary().cloned(),
                None => column.binary().cloned(),
            }
        };
        binary().map_err(|error| self.column_error(column, &error))
    }

    /// The labels of a frame read from this file, as u32.
    ///
    /// # Errors
    /// When a value does not fit.
    pub(crate) fn labels(&self, frame: &DataFrame, column: &str) -> Result<UInt32Chunked> {
        let labels = || -> PolarsResult<UInt32Chunked> {
            let cast = frame.column(column)?.cast(&DataType::UInt32)?;
            cast.u32().cloned()
        };
        labels().map_err(|error| self.column_error(column, &error))
    }

    /// The strings of a frame read from this file.
    ///
    /// # Errors
    /// When the column has another type.
    pub(crate) fn strings(&self, frame: &DataFrame, column: &str) -> Result<StringChunked> {
        let strings = || -> PolarsResult<StringChunked> { frame.column(column)?.str().cloned() };
        strings().map_err(|error| self.column_error(column, &error))
    }

    fn column_error(&self, column: &str, error: &polars::error::PolarsError) -> Error {
        Error::Malformed {
            file: self.name(),
            row: None,
            column: Some(column.into()),
            problem: error.to_string(),
        }
    }
}

/// Runs a read and names the file in its error. The parquet reader asserts on some damaged files; such a
/// panic is the same finding as an error.
fn reading<T>(file: &str, read: impl FnOnce() -> PolarsResult<T>) -> Result<T> {
    let problem = match guarded(read) {
        Some(Ok(value)) => return Ok(value),
        Some(Err(error)) => error.to_string(),
        None => "its structure is damaged".into(),
    };
    Err(Error::malformed(
        file,
        format!("not a readable parquet file: {problem}"),
    ))
}
