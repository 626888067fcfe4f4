//! The catalogue of datasets: `datasets.toml` and the users' own files of the same form.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};
use toml::Spanned;

use crate::{Error, Normalisation, Result, schema};

const BUILT_IN: &str = include_str!("../../../datasets.toml");

/// The most that a catalogue can ask for; each is far beyond all published sets, and small enough that a slip
/// of the pen cannot exhaust the memory.
const MAX_SHARDS: usize = 100_000;
const MAX_CLASSES: usize = 1 << 20;
const MAX_FEATURES: usize = 1 << 28;
const MAX_SIDE: usize = 1 << 14;
/// The longest name of a dataset, which also names files.
const MAX_NAME: usize = 64;

/// How the files of a dataset are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Part of the binary.
    Embedded,
    /// Parquet with encoded images (PNG, JPEG) and integer labels.
    ImageParquet,
    /// A pair of IDX files per part, images first, then labels; gzipped or not.
    Idx,
    /// A folder per part with a folder of image files per class; only with `path`.
    ImageFolder,
    /// Parquet with a column of strings. Each is a line: of several, those that do not end one get a line
    /// break, empty ones too, so that words never run together and WikiText has as many lines as published.
    TextParquet,
    /// Plain UTF-8 text; a line break is added between files where the first does not end with one.
    Text,
    /// Sparse rows `label index:value …`, indices from 1.
    Libsvm,
}

/// What a dataset holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Labelled images.
    Images,
    /// Text.
    Text,
    /// Labelled sparse rows.
    Sparse,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Images => "images",
            Self::Text => "text",
            Self::Sparse => "sparse rows",
        })
    }
}

/// Where the files of a dataset come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// The binary itself.
    Embedded,
    /// A dataset repository of the Hugging Face hub at one commit.
    Hub {
        /// `owner/name`.
        repository: String,
        /// The commit, 40 hexadecimal digits.
        revision: String,
    },
    /// A model repository of the hub at one commit.
    Model {
        /// `owner/name`.
        repository: String,
        /// The commit, 40 hexadecimal digits.
        revision: String,
    },
    /// Files below a web address.
    Url(String),
    /// Files below a local folder.
    Path(PathBuf),
}

/// One file of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Its path in the repository or folder, with `/`.
    pub path: String,
    /// Its size, where known.
    pub bytes: Option<u64>,
    /// Its SHA-256; `None` when unpinned.
    pub sha256: Option<String>,
}

/// The names of columns; `None` finds them by type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// The column of images.
    pub image: Option<String>,
    /// The column of labels.
    pub label: Option<String>,
    /// The column of text.
    pub text: Option<String>,
}

/// One value per part of a dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts<T> {
    /// The part that optimizers see.
    pub train: T,
    /// The part that settings are chosen by, where the dataset defines one.
    #[serde(default)]
    pub validation: Option<T>,
    /// The part that results are reported on.
    pub test: T,
}

impl<T> Parts<T> {
    /// The parts that exist, with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &T)> {
        let validation = self.validation.as_ref().map(|part| ("validation", part));
        [("train", &self.train)]
            .into_iter()
            .chain(validation)
            .chain([("test", &self.test)])
    }
}

/// One dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The name that experiments use.
    pub name: String,
    /// The name that reports use.
    pub title: String,
    /// How its files are laid out.
    pub layout: Layout,
    /// Where they come from.
    pub location: Location,
    /// Whether the hub asks for an account that has accepted the terms.
    pub gated: bool,
    /// The files of each part; `None` for embedded data.
    pub files: Option<Parts<Vec<FileEntry>>>,
    /// The names of its columns.
    pub columns: Columns,
    /// Channels, height and width of its images.
    pub shape: Option<[usize; 3]>,
    /// For images that differ in size: the length that the shorter side is scaled to before the centre is
    /// taken.
    pub resize: Option<usize>,
    /// The classes' names, in the order of the labels.
    pub classes: Vec<String>,
    /// How many features sparse rows have.
    pub features: Option<usize>,
    /// How many rows each part must have.
    pub rows: Option<Parts<usize>>,
    /// How pixel values are normalised.
    pub normalisation: Option<Normalisation>,
    /// The terms of use.
    pub licence: String,
    /// Whom to cite.
    pub citation: String,
    /// What else a user must know.
    pub note: Option<String>,
}

impl Entry {
    /// The files of all parts, with the parts' names.
    pub fn every_file(&self) -> impl Iterator<Item = (&'static str, &FileEntry)> {
        let parts = self.files.iter().flat_map(Parts::iter);
        parts.flat_map(|(part, files)| files.iter().map(move |file| (part, file)))
    }

    /// What it holds.
    pub fn kind(&self) -> Kind {
        match self.layout {
            Layout::Embedded if self.shape.is_none() => Kind::Text,
            Layout::Embedded | Layout::ImageParquet | Layout::Idx | Layout::ImageFolder => {
                Kind::Images
            }
            Layout::TextParquet | Layout::Text => Kind::Text,
            Layout::Libsvm => Kind::Sparse,
        }
    }
}

/// The datasets that can be named.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    entries: BTreeMap<String, Entry>,
}

impl Catalogue {
    /// The JSON Schema of catalogues.
    pub fn schema() -> Value {
        json!({ "type": "object", "additionalProperties": schema::of::<RawEntry>() })
    }

    /// The datasets of the project's `datasets.toml`.
    ///
    /// ```
    /// # fn main() -> bench_data::Result<()> {
    /// let catalogue = bench_data::Catalogue::built_in()?;
    /// assert_eq!(catalogue.get("cifar10")?.shape, Some([3, 32, 32]));
    /// let error = catalogue.get("cifar-10").unwrap_err().to_string();
    /// assert!(error.contains("did you mean `cifar10`?"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the binary's copy is not valid.
    pub fn built_in() -> Result<Self> {
        let entries = parse("datasets.toml", BUILT_IN, Path::new(""))?;
        Ok(Self { entries })
    }

    /// Adds the datasets of a user's file; a name that exists already is replaced. Relative paths count
    /// from the file's folder.
    ///
    /// # Errors
    /// When the file cannot be read or is not valid; names file, line and key.
    pub fn with_file(mut self, path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        self.entries
            .extend(parse(&path.display().to_string(), &text, folder)?);
        Ok(self)
    }

    /// All datasets, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// One dataset.
    ///
    /// # Errors
    /// [`Error::UnknownDataset`] with the nearest name.
    pub fn get(&self, name: &str) -> Result<&Entry> {
        self.entries.get(name).ok_or_else(|| Error::UnknownDataset {
            name: name.into(),
            nearest: nearest(name, self.entries.keys().map(String::as_str)),
        })
    }
}

fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    known
        .into_iter()
        .map(|other| (strsim::jaro_winkler(name, other), other))
        .filter(|(similarity, _)| *similarity > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, other)| other.into())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    title: String,
    layout: Layout,
    repository: Option<String>,
    revision: Option<String>,
    url: Option<String>,
    path: Option<PathBuf>,
    #[serde(default)]
    gated: bool,
    files: Option<Parts<Vec<RawFile>>>,
    #[serde(default)]
    columns: Columns,
    shape: Option<[usize; 3]>,
    resize: Option<usize>,
    classes: Option<RawClasses>,
    features: Option<usize>,
    rows: Option<Parts<usize>>,
    mean: Option<Vec<f64>>,
    std: Option<Vec<f64>>,
    licence: String,
    citation: String,
    note: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    path: String,
    shards: Option<usize>,
    bytes: Option<u64>,
    #[serde(default = "unpinned")]
    sha256: String,
}

fn unpinned() -> String {
    "unpinned".into()
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a number of classes or a list of their names"
)]
enum RawClasses {
    Count(usize),
    Names(Vec<String>),
}

fn parse(file: &str, text: &str, folder: &Path) -> Result<BTreeMap<String, Entry>> {
    let raw: BTreeMap<String, Spanned<RawEntry>> = toml::from_str(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        Error::Catalogue {
            file: file.into(),
            line: line_at(text, span.start),
            problem: explain(error.message()),
        }
    })?;
    raw.into_iter()
        .map(|(name, spanned)| {
            let span = spanned.span();
            let entry = check(&name, spanned.into_inner(), folder);
            let entry = entry.map_err(|(key, problem)| Error::Catalogue {
                file: file.into(),
                line: line_of_key(text, &name, span, key),
                problem: format!("dataset `{name}`, key `{key}`: {problem}"),
            })?;
            Ok((name, entry))
        })
        .collect()
}

fn line_at(text: &str, position: usize) -> usize {
    1 + text.bytes().take(position).filter(|&b| b == b'\n').count()
}

/// The line of `key` in the table `name`, or of the table where the key is missing.
fn line_of_key(text: &str, name: &str, table: Range<usize>, key: &str) -> usize {
    let header = format!("[{name}]");
    let start = text
        .lines()
        .position(|line| line.trim() == header)
        .unwrap_or(line_at(text, table.start) - 1);
    text.lines()
        .enumerate()
        .skip(start + 1)
        .take_while(|(_, line)| !line.starts_with('['))
        .find(|(_, line)| {
            line.strip_prefix(key)
                .is_some_and(|rest| rest.trim_start().starts_with(['=', '.']))
        })
        .map_or(start, |(line, _)| line)
        + 1
}

/// Adds the nearest known key to the message about an unknown one.
fn explain(message: &str) -> String {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match names[..] {
        [unknown, ref known @ ..] if message.starts_with("unknown ") => {
            match nearest(unknown, known.iter().copied()) {
                Some(name) => format!("{message}; did you mean `{name}`?"),
                None => message.into(),
            }
        }
        _ => message.into(),
    }
}

type Checked<T> = std::result::Result<T, (&'static str, String)>;

fn check(name: &str, raw: RawEntry, folder: &Path) -> Checked<Entry> {
    if !file_name(name) || name.chars().count() > MAX_NAME {
        return Err((
            "name",
            format!(
                "expected at most {MAX_NAME} letters, digits, `-`, `_` and `.`, beginning with a letter or digit"
            ),
        ));
    }
    let location = location(&raw, folder)?;
    let layout = raw.layout;
    if (layout == Layout::Embedded) && !["digits", "moby-dick"].contains(&name) {
        return Err((
            "layout",
            "only `digits` and `moby-dick` are embedded".into(),
        ));
    }
    if layout == Layout::ImageFolder && !matches!(location, Location::Path(_)) {
        return Err(("layout", "an image folder needs a local `path`".into()));
    }
    let files = match (raw.files, layout) {
        (None, Layout::Embedded) => None,
        (None, _) => {
            return Err((
                "files",
                "missing: expected `files.train` and `files.test`".into(),
            ));
        }
        (Some(_), Layout::Embedded) => return Err(("files", "embedded data has no files".into())),
        (Some(files), _) => Some(Parts {
            train: expand(files.train, layout)?,
            validation: files.validation.map(|f| expand(f, layout)).transpose()?,
            test: expand(files.test, layout)?,
        }),
    };
    let classes = match raw.classes {
        None => Vec::new(),
        Some(RawClasses::Count(count)) if count > MAX_CLASSES => {
            return Err(("classes", format!("expected at most {MAX_CLASSES} classes")));
        }
        Some(RawClasses::Count(count)) => (0..count).map(|class| class.to_string()).collect(),
        Some(RawClasses::Names(names)) => names,
    };
    let entry = Entry {
        name: name.into(),
        title: raw.title,
        layout,
        location,
        gated: raw.gated,
        files,
        columns: raw.columns,
        shape: raw.shape,
        resize: raw.resize,
        classes,
        features: raw.features,
        rows: raw.rows,
        normalisation: None,
        licence: raw.licence,
        citation: raw.citation,
        note: raw.note,
    };
    let images = entry.kind() == Kind::Images;
    if images && entry.shape.is_none() {
        return Err((
            "shape",
            "missing: expected [channels, height, width]".into(),
        ));
    }
    if let Some([channels, height, width]) = entry.shape {
        if ![1, 3].contains(&channels) || height == 0 || width == 0 || height.max(width) > MAX_SIDE
        {
            return Err((
                "shape",
                format!(
                    "expected [channels, height, width] with 1 or 3 channels and 1 to {MAX_SIDE} pixels a side"
                ),
            ));
        }
        if entry
            .resize
            .is_some_and(|side| !(height.max(width)..=MAX_SIDE).contains(&side))
        {
            return Err((
                "resize",
                format!("expected at least height and width, and at most {MAX_SIDE}"),
            ));
        }
    }
    if let Some((part, rows)) = entry
        .rows
        .iter()
        .flat_map(Parts::iter)
        .find(|(_, rows)| **rows == 0 || u32::try_from(**rows).is_err())
    {
        return Err((
            "rows",
            format!("{part} = {rows}: expected 1 to {}", u32::MAX),
        ));
    }
    if layout == Layout::ImageFolder {
        let mut seen = BTreeSet::new();
        let wrong = entry.classes.iter().find(|class| {
            let plain = Path::new(class).components().count() == 1
                && Path::new(class)
                    .file_name()
                    .is_some_and(|n| n == class.as_str());
            !plain || !seen.insert(*class)
        });
        if let Some(class) = wrong {
            return Err((
                "classes",
                format!("`{class}`: expected the name of a folder, each once"),
            ));
        }
    }
    if images && entry.classes.len() < 2 {
        return Err(("classes", "expected at least two classes".into()));
    }
    if entry.kind() == Kind::Sparse
        && !entry
            .features
            .is_some_and(|n| (1..=MAX_FEATURES).contains(&n))
    {
        return Err((
            "features",
            format!("expected the number of features, 1 to {MAX_FEATURES}"),
        ));
    }
    let normalisation = match (raw.mean, raw.std, entry.shape) {
        (None, None, _) => None,
        (Some(mean), Some(std), Some([channels, ..])) => {
            if mean.len() != channels || mean.iter().any(|m| !m.is_finite()) {
                return Err(("mean", format!("expected {channels} finite numbers")));
            }
            if std.len() != channels || std.iter().any(|s| !s.is_finite() || *s <= 0.0) {
                return Err(("std", format!("expected {channels} numbers above 0")));
            }
            Some(Normalisation { mean, std })
        }
        (None, ..) => return Err(("std", "needs `mean` beside it".into())),
        (_, None, _) => return Err(("mean", "needs `std` beside it".into())),
        (_, _, None) => return Err(("mean", "only images are normalised".into())),
    };
    Ok(Entry {
        normalisation,
        ..entry
    })
}

fn location(raw: &RawEntry, folder: &Path) -> Checked<Location> {
    let embedded = raw.layout == Layout::Embedded;
    match (&raw.repository, &raw.url, &raw.path) {
        (None, None, None) if embedded => Ok(Location::Embedded),
        (Some(repository), None, None) if !embedded => {
            let parts: Vec<&str> = repository.split('/').collect();
            if parts.len() != 2 || parts.iter().any(|part| !plain(part)) {
                return Err(("repository", "expected `owner/name`".into()));
            }
            let revision = raw.revision.clone().unwrap_or_default();
            if !hexadecimal(&revision, 40) {
                return Err((
                    "revision",
                    "expected a commit, 40 hexadecimal digits, so that the data cannot change".into(),
                ));
            }
            Ok(Location::Hub {
                repository: repository.clone(),
                revision,
            })
        }
        (None, Some(url), None) if !embedded => {
            let whole = Url::parse(url).is_ok_and(|url| ["http", "https"].contains(&url.scheme()));
            if !whole {
                return Err(("url", "expected an address that starts with https://".into()));
            }
            Ok(Location::Url(url.trim_end_matches('/').into()))
        }
        (None, None, Some(path)) if !embedded => Ok(Location::Path(folder.join(path))),
        _ => Err((
            "repository",
            "expected exactly one of `repository` (with `revision`), `url` and `path`; none for embedded data".into(),
        )),
    }
}

fn plain(part: &str) -> bool {
    !part.is_empty()
        && !part.starts_with('.')
        && part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// Whether a name can be that of a file, in any language's letters.
fn file_name(name: &str) -> bool {
    name.starts_with(char::is_alphanumeric)
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || "-_.".contains(c))
}

fn hexadecimal(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A relative path as its parts, joined by `/`; `None` when it leads upwards or elsewhere, or has characters
/// that no name should have.
fn plain_path(path: &str) -> Option<String> {
    let parts = Path::new(path).components().map(|part| match part {
        Component::Normal(part) => part.to_str(),
        _ => None,
    });
    let parts = parts.collect::<Option<Vec<&str>>>()?;
    let plain =
        !parts.is_empty() && !path.contains(['\\', '\0']) && !path.contains(char::is_control);
    plain.then(|| parts.join("/"))
}

fn expand(files: Vec<RawFile>, layout: Layout) -> Checked<Vec<FileEntry>> {
    let mut entries = Vec::new();
    for file in files {
        let path = plain_path(&file.path).ok_or_else(|| {
            let path = file.path.escape_debug();
            let problem = format!("path `{path}`: expected a relative path without `..`");
            ("files", problem)
        })?;
        let sha256 = match file.sha256.as_str() {
            "unpinned" => None,
            hash if hexadecimal(hash, 64) => Some(hash.to_ascii_lowercase()),
            _ => {
                return Err((
                    "files",
                    format!(
                        "sha256 of `{}`: expected 64 hexadecimal digits or \"unpinned\"",
                        file.path
                    ),
                ));
            }
        };
        match file.shards {
            None => entries.push(FileEntry {
                path,
                bytes: file.bytes,
                sha256,
            }),
            Some(shards) => {
                if !path.contains("{shard}") || sha256.is_some() || file.bytes.is_some() {
                    return Err((
                        "files",
                        "`shards` needs `{shard}` in the path, and takes neither bytes nor sha256"
                            .into(),
                    ));
                }
                if shards > MAX_SHARDS {
                    let problem = format!("shards = {shards}: expected at most {MAX_SHARDS}");
                    return Err(("files", problem));
                }
                entries.extend((0..shards).map(|shard| FileEntry {
                    path: path.replace("{shard}", &format!("{shard:05}")),
                    bytes: None,
                    sha256: None,
                }));
            }
        }
    }
    match (entries.len(), layout) {
        (0, _) => Err(("files", "expected at least one file in each part".into())),
        (n, Layout::Idx) if n != 2 => Err((
            "files",
            "expected two IDX files in each part: images, then labels".into(),
        )),
        (n, Layout::ImageFolder) if n != 1 => {
            Err(("files", "expected one folder in each part".into()))
        }
        _ => Ok(entries),
    }
}
