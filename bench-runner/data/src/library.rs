//! Datasets by name: fetched, verified, decoded, and checked against the catalogue.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Device;

use crate::catalogue::{Catalogue, Entry, FileEntry, Kind, Layout, Location, Parts};
use crate::hash::Hasher;
use crate::images::{Expected, first_of_each_class, from_folder, from_idx, from_parquet};
use crate::parquet::{ColumnKind, ParquetFile};
use crate::progress::{Progress, Silent, Task, Unit};
use crate::stream::{ImageStream, Source, StreamOptions};
use crate::{
    Bpe, Error, Hub, HubOptions, ImageSet, Normalisation, Result, SparseSet, Splits, TokenSet,
    Tokenizer, Tokens, Vocabulary, embedded,
};

/// The catalogue with access to its files.
///
/// ```
/// # fn main() -> bench_data::Result<()> {
/// use bench_data::{Catalogue, Hub, Library};
///
/// let library = Library::new(Catalogue::built_in()?, Hub::from_env());
/// let digits = library.images("digits")?;
/// assert_eq!(digits.train.classes().len(), 10);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Library {
    catalogue: Catalogue,
    hub: Hub,
    /// Decoded images, shared by all runs of a sweep.
    images: Mutex<BTreeMap<String, Splits<ImageSet>>>,
}

impl Library {
    /// A catalogue's datasets, fetched through `hub`.
    pub fn new(catalogue: Catalogue, hub: Hub) -> Self {
        Self {
            catalogue,
            hub,
            images: Mutex::default(),
        }
    }

    /// The built-in catalogue, with the datasets of a user's file where given, and the environment's hub;
    /// `progress` is told how far long work is.
    ///
    /// # Errors
    /// When the file is not valid.
    pub fn from_env(file: Option<&Path>, progress: Arc<dyn Progress>) -> Result<Self> {
        let catalogue = Catalogue::built_in()?;
        let catalogue = match file {
            Some(file) => catalogue.with_file(file)?,
            None => catalogue,
        };
        let options = HubOptions {
            progress,
            ..HubOptions::from_env()
        };
        Ok(Self::new(catalogue, Hub::new(options)))
    }

    /// The catalogue.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The access to files.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Whether a dataset needs no fetching: whether it is embedded, or all its files are in the cache or in
    /// their folder. What is in them is not looked at. What is not in the catalogue is not fetched either.
    pub fn is_here(&self, name: &str) -> bool {
        let Ok(entry) = self.catalogue.get(name) else {
            return true;
        };
        entry.every_file().all(|(_, file)| {
            let path = self.hub.path(&entry.location, file);
            path.is_some_and(|path| path.exists())
        })
    }

    fn entry(&self, name: &str, kind: Kind) -> Result<&Entry> {
        let entry = self.catalogue.get(name)?;
        if entry.kind() == kind {
            return Ok(entry);
        }
        Err(Error::WrongKind {
            name: name.into(),
            found: entry.kind().to_string(),
            expected: kind.to_string(),
        })
    }

    /// Fetches all files of a dataset; `None` for embedded data.
    ///
    /// # Errors
    /// As [`Hub::fetch`].
    pub fn fetch(&self, name: &str) -> Result<Option<Parts<Vec<PathBuf>>>> {
        let entry = self.catalogue.get(name)?;
        let Some(files) = &entry.files else {
            return Ok(None);
        };
        let fetch = |files: &Vec<FileEntry>| -> Result<Vec<PathBuf>> {
            match (&entry.location, entry.layout) {
                (Location::Path(folder), Layout::ImageFolder) => {
                    Ok(files.iter().map(|file| folder.join(&file.path)).collect())
                }
                _ => files
                    .iter()
                    .map(|file| self.hub.fetch(&entry.location, file))
                    .collect(),
            }
        };
        Ok(Some(Parts {
            train: fetch(&files.train)?,
            validation: files.validation.as_ref().map(fetch).transpose()?,
            test: fetch(&files.test)?,
        }))
    }

    /// Reads the parts of a dataset. `read` gets the files of a part, and a function that refuses a number of
    /// rows other than the catalogue's.
    fn load<T>(
        &self,
        entry: &Entry,
        read: impl Fn(&[PathBuf], &Counted<'_>) -> Result<T>,
    ) -> Result<Splits<T>> {
        let files = self
            .fetch(&entry.name)?
            .ok_or_else(|| Error::setting("layout", "embedded", "a dataset that has files"))?;
        let part = |name: &str, files: &Vec<PathBuf>, expected: Option<usize>| -> Result<T> {
            read(files, &|rows| match expected {
                Some(expected) if expected != rows => {
                    let file = files.first().map(|file| file.display().to_string());
                    let problem = format!(
                        "the {name} part of `{}` has {rows} rows, expected {expected}",
                        entry.name
                    );
                    Err(Error::malformed(file.unwrap_or_default(), problem))
                }
                _ => Ok(()),
            })
        };
        let expected = entry.rows.as_ref();
        Ok(Splits {
            train: part("train", &files.train, expected.map(|r| r.train))?,
            validation: match &files.validation {
                Some(files) => Some(part(
                    "validation",
                    files,
                    expected.and_then(|r| r.validation),
                )?),
                None => None,
            },
            test: part("test", &files.test, expected.map(|r| r.test))?,
        })
    }

    /// Labelled images in memory, one byte per pixel value; decoded once and shared from then on.
    ///
    /// # Errors
    /// When the dataset is unknown, holds no images, cannot be had, or a file is damaged.
    pub fn images(&self, name: &str) -> Result<Splits<ImageSet>> {
        // Held while decoding: runs that start together wait for one decoding instead of making their own.
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = images.get(name) {
            return Ok(set.clone());
        }
        let set = self.decode_images(name)?;
        images.insert(name.into(), set.clone());
        Ok(set)
    }

    fn decode_images(&self, name: &str) -> Result<Splits<ImageSet>> {
        let entry = self.entry(name, Kind::Images)?;
        if entry.layout == Layout::Embedded {
            let digits = embedded::digits()?;
            return Ok(Splits {
                train: digits.train.with_normalisation(normalisation(entry))?,
                validation: None,
                test: digits.test.with_normalisation(normalisation(entry))?,
            });
        }
        let title = format!("decoding {name}");
        let task = self.progress().start(&title, Unit::Images, None);
        self.load(entry, |files, count| {
            let expected = expected(entry, count, &*task);
            let set = match (entry.layout, files) {
                (Layout::Idx, [images, labels]) => from_idx(images, labels, &expected),
                (Layout::ImageFolder, [folder]) => from_folder(folder, &expected),
                (_, files) => from_parquet(&open(files)?, &expected),
            }?;
            set.with_normalisation(normalisation(entry))
        })
    }

    /// The first `per_class` training images of each class, and how many each class has; of sets in parquet,
    /// only these are decoded.
    ///
    /// # Errors
    /// As [`images`](Self::images).
    pub fn first_of_each_class(
        &self,
        name: &str,
        per_class: usize,
    ) -> Result<(ImageSet, Vec<usize>)> {
        let entry = self.entry(name, Kind::Images)?;
        match (entry.layout, self.fetch(name)?) {
            (Layout::ImageParquet, Some(files)) => {
                let expected = expected(entry, &|_| Ok(()), &Silent);
                first_of_each_class(&open(&files.train)?, &expected, per_class)
            }
            _ => {
                let train = self.images(name)?.train;
                let counts = train.class_counts();
                Ok((train, counts))
            }
        }
    }

    /// Who is told how far long work is.
    fn progress(&self) -> &dyn Progress {
        &*self.hub.options().progress
    }

    /// One epoch of one part (`train`, `validation` or `test`) of a set in parquet, in constant memory.
    ///
    /// # Errors
    /// When the dataset is unknown, has another layout, or cannot be had. Damage within files is an error of
    /// the stream's items.
    pub fn stream(
        &self,
        name: &str,
        part: &str,
        options: StreamOptions,
        device: &Device,
    ) -> Result<ImageStream> {
        let entry = self.entry(name, Kind::Images)?;
        let files = match (entry.layout, self.fetch(name)?) {
            (Layout::ImageParquet, Some(files)) => files,
            _ => {
                return Err(Error::WrongKind {
                    name: name.into(),
                    found: "no parquet files".into(),
                    expected: "images in parquet, which can be streamed".into(),
                });
            }
        };
        let found = files
            .iter()
            .find(|(name, _)| *name == part)
            .map(|(_, files)| files.clone());
        let source = Source {
            files: found
                .ok_or_else(|| Error::setting("part", part, "a part that the dataset has"))?,
            columns: entry.columns.clone(),
            shape: shape(entry),
            resize: entry.resize,
            classes: entry.classes.len(),
            normalisation: normalisation(entry),
        };
        ImageStream::new(source, options, device)
    }

    /// Labelled sparse rows.
    ///
    /// # Errors
    /// When the dataset is unknown, holds no sparse rows, cannot be had, or a file is damaged.
    pub fn sparse(&self, name: &str) -> Result<Splits<SparseSet>> {
        let entry = self.entry(name, Kind::Sparse)?;
        let features = entry.features.unwrap_or_default();
        self.load(entry, |files, count| match files {
            [file] => {
                let set = SparseSet::read(file, features)?;
                count(set.len()).map(|()| set)
            }
            _ => Err(Error::setting(
                "files",
                files.len(),
                "one file in each part",
            )),
        })
    }

    /// Text in memory.
    ///
    /// # Errors
    /// When the dataset is unknown, holds no text, cannot be had, or a file is damaged.
    pub fn text(&self, name: &str) -> Result<Splits<String>> {
        let entry = self.entry(name, Kind::Text)?;
        if entry.layout == Layout::Embedded {
            return embedded::moby_dick();
        }
        self.load(entry, |files, _| {
            let mut text = String::new();
            for_each_text(entry, files, &mut |piece| {
                text.push_str(piece);
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(text)
        })
    }

    /// The first `count` lines of the training part that hold more than white space; no more is read.
    ///
    /// # Errors
    /// When the dataset is unknown, holds no text, cannot be had, or what is read of it is damaged.
    pub fn first_lines(&self, name: &str, count: usize) -> Result<Vec<String>> {
        let entry = self.entry(name, Kind::Text)?;
        let mut lines = Vec::new();
        let mut add = |piece: &str| {
            let filled = piece.lines().filter(|line| !line.trim().is_empty());
            lines.extend(filled.map(str::to_owned).take(count - lines.len()));
            Ok(if lines.len() < count {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            })
        };
        match self.fetch(name)? {
            None => drop(add(&embedded::moby_dick()?.train)?),
            Some(files) => for_each_text(entry, &files.train, &mut add)?,
        }
        Ok(lines)
    }
}

impl Library {
    /// The vocabulary that `tokenizer` names, for a dataset of text.
    ///
    /// # Errors
    /// As [`Library::text`], and when the vocabulary's own files cannot be had or are damaged.
    pub fn vocabulary(&self, name: &str, tokenizer: &Tokenizer) -> Result<Vocabulary> {
        match tokenizer {
            Tokenizer::Bytes => Ok(Vocabulary::Bytes),
            Tokenizer::Characters => {
                let mut characters = std::collections::BTreeSet::new();
                self.each_part(name, "collecting characters of", |_, feed| {
                    feed(&mut |text| {
                        characters.extend(text.chars());
                        Ok(())
                    })
                })?;
                Ok(Vocabulary::Characters(characters.into_iter().collect()))
            }
            Tokenizer::Gpt2 {
                folder: Some(folder),
            } => Vocabulary::gpt2(&folder.join("vocab.json"), &folder.join("merges.txt")),
            Tokenizer::Gpt2 { folder: None } => {
                let location = Location::Model {
                    repository: "openai-community/gpt2".into(),
                    revision: "607a30d783dfa663caf39e06633721c8d4cfcd7e".into(),
                };
                let file = |path: &str, bytes, sha256: &str| {
                    let entry = FileEntry {
                        path: path.into(),
                        bytes: Some(bytes),
                        sha256: Some(sha256.into()),
                    };
                    self.hub.fetch(&location, &entry)
                };
                Vocabulary::gpt2(
                    &file("vocab.json", 1_042_301, GPT2_VOCABULARY)?,
                    &file("merges.txt", 456_318, GPT2_MERGES)?,
                )
            }
            Tokenizer::File { path } => Vocabulary::from_file(path),
            Tokenizer::Bpe { size } => {
                let path = self.derived().join(format!(
                    "bpe-{size}-{}.sealed",
                    &self.corpus_sha256(name)?[..16]
                ));
                if let Some(kept) = Bpe::kept(&path) {
                    return Ok(Vocabulary::Bpe(kept));
                }
                let vocabulary = Vocabulary::train_bpe(&self.text(name)?.train, *size)?;
                if let Vocabulary::Bpe(bpe) = &vocabulary {
                    // A cache that cannot be written costs time, never the run.
                    let _ = bpe.keep(&path);
                }
                Ok(vocabulary)
            }
        }
    }

    /// The tokens of a dataset of text, encoded once in constant memory and then mapped from the cache; in
    /// memory where the cache cannot be written.
    ///
    /// # Errors
    /// As [`Library::vocabulary`].
    pub fn tokens(&self, name: &str, tokenizer: &Tokenizer) -> Result<TokenSet> {
        let vocabulary = self.vocabulary(name, tokenizer)?;
        let corpus = self.corpus_sha256(name)?;
        let key = format!("{}-{}", &corpus[..16], &vocabulary.sha256()[..16]);
        let folder = self.derived();
        let mut parts = Vec::new();
        self.each_part(name, "tokenising", |part, feed| {
            let path = folder.join(format!("{key}-{part}.tokens"));
            if let Some(tokens) = Tokens::map(&path) {
                parts.push((part, tokens));
                return Ok(());
            }
            let mapped = match Tokens::write(&path, &vocabulary, |sink| feed(sink)) {
                Ok(()) => Tokens::map(&path),
                // Read-only, or full.
                Err(Error::Io { path: at, .. }) if at == path => None,
                Err(error) => return Err(error),
            };
            let tokens = match mapped {
                Some(tokens) => tokens,
                None => Tokens::encode(&vocabulary, |sink| feed(sink))?,
            };
            parts.push((part, tokens));
            Ok(())
        })?;
        let mut take = |wanted: &str| {
            let at = parts.iter().position(|(part, _)| *part == wanted)?;
            Some(parts.swap_remove(at).1)
        };
        let missing = || Error::malformed(name, "no train and test parts");
        Ok(TokenSet {
            parts: Splits {
                train: take("train").ok_or_else(missing)?,
                validation: take("validation"),
                test: take("test").ok_or_else(missing)?,
            },
            vocabulary,
        })
    }

    /// Where what is made from datasets is kept.
    fn derived(&self) -> PathBuf {
        self.hub.options().cache.join("bench-runner")
    }

    /// The SHA-256 of the text of all parts.
    ///
    /// # Errors
    /// As [`Library::text`].
    pub fn corpus_sha256(&self, name: &str) -> Result<String> {
        let mut hasher = Hasher::new();
        self.each_part(name, "hashing", |part, feed| {
            hasher.update(part.as_bytes());
            feed(&mut |text| {
                hasher.update(text.as_bytes());
                Ok(())
            })
        })?;
        Ok(hasher.finish())
    }

    /// Calls `each` for each part of a text with a function that hands over the part's text piece by piece;
    /// `doing` tells the user what for.
    fn each_part(
        &self,
        name: &str,
        doing: &str,
        mut each: impl FnMut(&'static str, &mut Feed<'_>) -> Result<()>,
    ) -> Result<()> {
        let entry = self.entry(name, Kind::Text)?;
        match self.fetch(name)? {
            None => {
                let text = embedded::moby_dick()?;
                let validation = text.validation.iter().map(|text| ("validation", text));
                for (part, text) in [("train", &text.train)]
                    .into_iter()
                    .chain(validation)
                    .chain([("test", &text.test)])
                {
                    each(part, &mut |sink| sink(text))?;
                }
            }
            Some(files) => {
                for (part, files) in files.iter() {
                    let title = format!("{doing} {name}, {part}");
                    let task = self.progress().start(&title, Unit::Bytes, None);
                    each(part, &mut |sink| {
                        for_each_text(entry, files, &mut |text| {
                            task.advance(text.len() as u64);
                            sink(text).map(ControlFlow::Continue)
                        })
                    })?;
                }
            }
        }
        Ok(())
    }
}

const GPT2_VOCABULARY: &str = "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783";
const GPT2_MERGES: &str = "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5";

/// Refuses a number of rows other than the catalogue's.
type Counted<'a> = dyn Fn(usize) -> Result<()> + Sync + 'a;

/// Hands a text piece by piece to what it is given.
type Feed<'a> = dyn FnMut(&mut dyn FnMut(&str) -> Result<()>) -> Result<()> + 'a;

/// Hands over the text of files piece by piece, in constant memory, until `each` breaks off.
///
/// # Errors
/// When a file is damaged or has no text, and whatever `each` answers.
pub(crate) fn for_each_text(
    entry: &Entry,
    files: &[PathBuf],
    each: &mut dyn FnMut(&str) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let mut lines = Lines {
        bytes: 0,
        pieces: 0,
        open: false,
        each,
    };
    for path in files {
        if entry.layout == Layout::Text {
            if lines.close()?.is_break() || plain_text(path, &mut lines)?.is_break() {
                return Ok(());
            }
            continue;
        }
        let file = ParquetFile::open(path)?;
        let column = file.find(ColumnKind::Text, entry.columns.text.as_deref())?;
        for (first, rows) in file.row_groups() {
            let frame = file.read(&[&column], first, rows)?;
            for text in file.strings(&frame, &column)?.iter().flatten() {
                if lines.close()?.is_break() || lines.hand(text)?.is_break() {
                    return Ok(());
                }
            }
        }
    }
    let Lines { bytes, pieces, .. } = lines;
    if bytes > 0 && pieces > 1 && entry.layout == Layout::TextParquet && lines.close()?.is_break() {
        return Ok(());
    }
    if bytes == 0 {
        let file = files
            .first()
            .map(|f| f.display().to_string())
            .unwrap_or_default();
        return Err(Error::malformed(
            file,
            "no text: expected at least one character",
        ));
    }
    Ok(())
}

/// Hands over pieces of text, and keeps those apart that are lines of their own.
struct Lines<'a> {
    bytes: usize,
    pieces: usize,
    /// Whether the last piece was handed over without a line break at its end.
    open: bool,
    each: &'a mut dyn FnMut(&str) -> Result<ControlFlow<()>>,
}

impl Lines<'_> {
    fn hand(&mut self, text: &str) -> Result<ControlFlow<()>> {
        self.bytes += text.len();
        self.pieces += 1;
        self.open = !text.ends_with('\n');
        (self.each)(text)
    }

    /// Ends the line that the last piece left open.
    fn close(&mut self) -> Result<ControlFlow<()>> {
        if !std::mem::take(&mut self.open) {
            return Ok(ControlFlow::Continue(()));
        }
        (self.each)("\n")
    }
}

fn plain_text(path: &Path, lines: &mut Lines) -> Result<ControlFlow<()>> {
    use std::io::BufRead;
    let file = std::fs::File::open(path).map_err(Error::io("open", path))?;
    let mut reader = std::io::BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = reader
            .read_until(b'\n', &mut line)
            .map_err(Error::io("read", path))?;
        if read == 0 {
            break;
        }
        let text = std::str::from_utf8(&line).map_err(|error| {
            let problem = format!("not UTF-8 text: {error}");
            Error::malformed_row(path.display().to_string(), number, None, problem)
        })?;
        if lines.hand(text)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn open(files: &[PathBuf]) -> Result<Vec<ParquetFile>> {
    files.iter().map(|file| ParquetFile::open(file)).collect()
}

fn expected<'a>(entry: &'a Entry, count: &'a Counted<'a>, progress: &'a dyn Task) -> Expected<'a> {
    Expected {
        columns: &entry.columns,
        shape: shape(entry),
        resize: entry.resize,
        classes: &entry.classes,
        pixel_max: u8::MAX,
        count,
        progress,
    }
}

fn shape(entry: &Entry) -> (usize, usize, usize) {
    let [channels, height, width] = entry.shape.unwrap_or_default();
    (channels, height, width)
}

fn normalisation(entry: &Entry) -> Normalisation {
    let channels = shape(entry).0;
    entry
        .normalisation
        .clone()
        .unwrap_or_else(|| Normalisation::unit(channels))
}
