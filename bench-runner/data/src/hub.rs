//! Files from the Hugging Face hub or a web address: downloaded once, verified, kept in the hub's cache.
//!
//! hf-hub decides where the cache lies and what is in it, so files that Python's client fetched are found and
//! the other way round. It neither resumes nor checks what it downloads, so the bytes are fetched here: by
//! range, with retries, hashed on arrival, and given their final name only when they are right.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use hf_hub::HFClientSync;
use reqwest::StatusCode;
use reqwest::blocking::{Client, Response};
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, RANGE, RETRY_AFTER};

use crate::catalogue::{FileEntry, Location};
use crate::hash::{Hasher, sha256, sha256_file};
use crate::lock::{LockFile, Record};
use crate::progress::{Progress, Silent, Task, Unit};
use crate::{Error, Result};

/// The longest wait that a server can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// How to reach the hub.
#[derive(Debug, Clone)]
pub struct HubOptions {
    /// The hub's address.
    pub endpoint: String,
    /// The cache folder.
    pub cache: PathBuf,
    /// The access token, for gated data.
    pub token: Option<String>,
    /// Whether to use only what the cache has.
    pub offline: bool,
    /// How often in a row a request may fail without progress.
    pub attempts: u32,
    /// The wait after the first failure; it doubles with each further one.
    pub backoff: Duration,
    /// How long to wait for a connection, an answer or further bytes.
    pub timeout: Duration,
    /// Who is told how far downloads and decoding are.
    pub progress: Arc<dyn Progress>,
}

impl HubOptions {
    /// The settings of the environment, as the hub's other clients read them: `HF_ENDPOINT`, `HF_HOME`,
    /// `HF_HUB_CACHE`, `HF_TOKEN` (or the file `token` in `HF_HOME`), `HF_HUB_OFFLINE`.
    ///
    /// # Errors
    /// When hf-hub refuses the settings.
    pub fn from_env() -> Result<Self> {
        let client = hf_hub::HFClient::new().map_err(|error| {
            Error::setting(
                "HF_ENDPOINT",
                std::env::var("HF_ENDPOINT").unwrap_or_default(),
                format!("the address of a hub ({error})"),
            )
        })?;
        let cache = client.cache_dir().to_path_buf();
        let variable = |name| {
            std::env::var(name)
                .ok()
                .filter(|value| !value.trim().is_empty())
        };
        let token = variable("HF_TOKEN").or_else(|| {
            let file = match (variable("HF_TOKEN_PATH"), variable("HF_HOME")) {
                (Some(path), _) => PathBuf::from(path),
                (None, Some(home)) => Path::new(&home).join("token"),
                (None, None) => cache.parent()?.join("token"),
            };
            fs::read_to_string(file).ok()
        });
        Ok(Self {
            endpoint: client.endpoint().trim_end_matches('/').into(),
            cache,
            token: token.map(|token| token.trim().into()),
            offline: variable("HF_HUB_OFFLINE").is_some_and(|value| {
                ["1", "on", "yes", "true"].contains(&value.to_lowercase().as_str())
            }),
            attempts: 6,
            backoff: Duration::from_secs(1),
            timeout: Duration::from_secs(30),
            progress: Arc::new(Silent),
        })
    }
}

/// Access to datasets' files.
#[derive(Debug, Clone)]
pub struct Hub {
    options: HubOptions,
    client: OnceLock<Client>,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Present, with the pinned or recorded hash.
    Verified,
    /// Present, with no hash to compare with; its hash is now recorded.
    Recorded,
    /// Not in the cache.
    Missing,
    /// Present, but not what it should be.
    Damaged {
        /// What is wrong.
        problem: String,
    },
}

/// Why an attempt to download ended early.
enum Failure {
    /// Another attempt may succeed, after a wait that the server may have asked for.
    Transient {
        problem: String,
        wait: Option<Duration>,
    },
    /// No attempt will succeed.
    Final(Error),
}

/// One file to be had: where from, where to, and what it must be.
struct Target<'a> {
    file: &'a FileEntry,
    url: String,
    /// `datasets/owner/name@revision/path`: its key in the lock file.
    key: String,
    folder: PathBuf,
    pointer: PathBuf,
    hub: bool,
}

impl Hub {
    /// Access with given settings; connects only when a file is needed.
    pub fn new(options: HubOptions) -> Self {
        Self {
            options,
            client: OnceLock::new(),
        }
    }

    /// Access with the settings of the environment.
    ///
    /// # Errors
    /// As [`HubOptions::from_env`].
    pub fn from_env() -> Result<Self> {
        Ok(Self::new(HubOptions::from_env()?))
    }

    /// The settings.
    pub fn options(&self) -> &HubOptions {
        &self.options
    }

    fn lock_file(&self) -> LockFile {
        LockFile::new(&self.options.cache)
    }

    /// The local path of a file: from the cache, where it is verified again whenever it has changed,
    /// else downloaded.
    ///
    /// # Errors
    /// When it cannot be had, or is not what the catalogue or the lock file says.
    pub fn fetch(&self, location: &Location, file: &FileEntry) -> Result<PathBuf> {
        let Some(target) = self.target(location, file)? else {
            return self.local(location, file);
        };
        let records = self.lock_file();
        let damage = match self.state(&target, &records, false)? {
            State::Verified | State::Recorded => return Ok(target.pointer),
            State::Missing => None,
            State::Damaged { problem } => Some(problem),
        };
        if self.options.offline {
            let problem = damage
                .unwrap_or_else(|| format!("not in the cache {}", self.options.cache.display()));
            return Err(Error::Download {
                url: target.url,
                problem,
                advice: "HF_HUB_OFFLINE is set: unset it, or run `bench-runner data fetch` where there is a network and copy the cache".into(),
            });
        }
        let guard = self.exclusive(&target)?;
        // Another process may have fetched it while this one waited.
        match self.state(&target, &records, false)? {
            State::Verified | State::Recorded => return Ok(target.pointer),
            State::Missing => {}
            State::Damaged { .. } => remove(&target.pointer)?,
        }
        self.download(&target, &records)?;
        drop(guard);
        Ok(target.pointer)
    }

    /// Compares a file in the cache with the pinned or recorded hash, byte by byte.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn verify(&self, location: &Location, file: &FileEntry) -> Result<State> {
        match self.target(location, file)? {
            Some(target) => self.state(&target, &self.lock_file(), true),
            None => match self.local(location, file) {
                Ok(_) => Ok(State::Verified),
                Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                    Ok(State::Missing)
                }
                Err(Error::Malformed { problem, .. }) => Ok(State::Damaged { problem }),
                Err(error) => Err(error),
            },
        }
    }

    /// Where a file lies once it is fetched; `None` for embedded data.
    ///
    /// # Errors
    /// When a setting makes no address.
    pub fn path(&self, location: &Location, file: &FileEntry) -> Result<Option<PathBuf>> {
        match (self.target(location, file)?, location) {
            (Some(target), _) => Ok(Some(target.pointer)),
            (None, Location::Path(folder)) => Ok(Some(folder.join(&file.path))),
            (None, _) => Ok(None),
        }
    }

    /// A file of a user's own folder, checked against what the catalogue says of it.
    fn local(&self, location: &Location, file: &FileEntry) -> Result<PathBuf> {
        let Location::Path(folder) = location else {
            return Err(Error::setting(
                "location",
                "embedded",
                "a dataset that has files",
            ));
        };
        let path = folder.join(&file.path);
        let found = fs::metadata(&path).map_err(Error::io("find", &path))?;
        if let Some(bytes) = file.bytes.filter(|bytes| *bytes != found.len()) {
            return Err(Error::malformed(
                path.display().to_string(),
                format!("{} bytes, expected {bytes}", found.len()),
            ));
        }
        if let Some(expected) = &file.sha256 {
            let hash = sha256_file(&path)?;
            if hash != *expected {
                return Err(Error::malformed(
                    path.display().to_string(),
                    format!("its SHA-256 is {hash}, expected {expected}"),
                ));
            }
        }
        Ok(path)
    }

    fn target<'a>(&self, location: &Location, file: &'a FileEntry) -> Result<Option<Target<'a>>> {
        let Self { options, .. } = self;
        let cache = &options.cache;
        match location {
            Location::Hub {
                repository,
                revision,
            }
            | Location::Model {
                repository,
                revision,
            } => {
                let dataset = matches!(location, Location::Hub { .. });
                let (plural, route) = if dataset {
                    ("datasets", "datasets/")
                } else {
                    ("models", "")
                };
                let folder = cache.join(format!("{plural}--{}", repository.replace('/', "--")));
                Ok(Some(Target {
                    file,
                    url: format!(
                        "{}/{route}{repository}/resolve/{revision}/{}",
                        options.endpoint, file.path
                    ),
                    key: format!("{route}{repository}@{revision}/{}", file.path),
                    pointer: self
                        .cached(dataset, repository, revision, &file.path)
                        .unwrap_or_else(|| {
                            folder.join("snapshots").join(revision).join(&file.path)
                        }),
                    folder,
                    hub: true,
                }))
            }
            Location::Url(base) => {
                let folder = cache.join(format!("urls--{}", &sha256(base.as_bytes())[..16]));
                Ok(Some(Target {
                    file,
                    url: format!("{base}/{}", file.path),
                    key: format!("{base}/{}", file.path),
                    pointer: folder.join("snapshots").join("main").join(&file.path),
                    folder,
                    hub: false,
                }))
            }
            Location::Path(_) | Location::Embedded => Ok(None),
        }
    }

    /// The file in the cache, as hf-hub finds it.
    fn cached(
        &self,
        dataset: bool,
        repository: &str,
        revision: &str,
        path: &str,
    ) -> Option<PathBuf> {
        let (owner, name) = repository.split_once('/')?;
        let client = hf_hub::HFClient::builder()
            .endpoint(&self.options.endpoint)
            .cache_dir(&self.options.cache)
            .build()
            .ok()?;
        let client = HFClientSync::from_inner(client).ok()?;
        macro_rules! lookup {
            ($repository:expr) => {
                $repository
                    .download_file()
                    .filename(path)
                    .revision(revision)
                    .local_files_only(true)
                    .send()
                    .ok()
            };
        }
        // The two repositories are of different types.
        if dataset {
            lookup!(client.dataset(owner, name))
        } else {
            lookup!(client.model(owner, name))
        }
    }

    fn state(&self, target: &Target, records: &LockFile, thorough: bool) -> Result<State> {
        let Ok(found) = fs::metadata(&target.pointer) else {
            return Ok(State::Missing);
        };
        let recorded = records.get(&target.key)?;
        let expected = target
            .file
            .sha256
            .clone()
            .or_else(|| recorded.as_ref().map(|record| record.sha256.clone()));
        let now = Record::describe(&found, expected.clone().unwrap_or_default());
        if !thorough && recorded.as_ref() == Some(&now) {
            return Ok(State::Verified);
        }
        if let Some(bytes) = target.file.bytes.filter(|bytes| *bytes != found.len()) {
            return Ok(State::Damaged {
                problem: format!("{} bytes, expected {bytes}", found.len()),
            });
        }
        let hash = sha256_file(&target.pointer)?;
        match expected {
            Some(expected) if expected != hash => Ok(State::Damaged {
                problem: format!("its SHA-256 is {hash}, expected {expected}"),
            }),
            expected => {
                if expected.is_none()
                    && let Err(problem) = plausible(&target.pointer, &target.file.path)
                {
                    return Ok(State::Damaged { problem });
                }
                records.set(&target.key, Record::describe(&found, hash))?;
                Ok(if expected.is_some() {
                    State::Verified
                } else {
                    State::Recorded
                })
            }
        }
    }

    /// Waits until no other process fetches the same file. The lock ends with the returned file.
    fn exclusive(&self, target: &Target) -> Result<File> {
        let folder = self.options.cache.join(".locks");
        fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        let path = folder.join(format!("{}.lock", sha256(target.key.as_bytes())));
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        file.lock().map_err(Error::io("lock", &path))?;
        Ok(file)
    }

    fn download(&self, target: &Target, records: &LockFile) -> Result<()> {
        let blobs = target.folder.join("blobs");
        fs::create_dir_all(&blobs).map_err(Error::io("create", &blobs))?;
        let partial_path = blobs.join(format!("{}.incomplete", sha256(target.key.as_bytes())));
        let expected = match &target.file.sha256 {
            Some(pinned) => Some(pinned.clone()),
            None => records.get(&target.key)?.map(|record| record.sha256),
        };
        let task = self
            .options
            .progress
            .start(&target.file.path, Unit::Bytes, target.file.bytes);
        let mut failures = 0;
        let mut wrong = 0;
        let hash = loop {
            let mut partial = Partial::open(&partial_path)?;
            let before = partial.len;
            let result = self.attempt(target, &mut partial, &*task).and_then(|()| {
                partial
                    .file
                    .sync_all()
                    .map_err(Error::io("write", &partial_path))
                    .map_err(Failure::Final)?;
                let hash = std::mem::replace(&mut partial.hasher, Hasher::new()).finish();
                let problem = match &expected {
                    Some(expected) if *expected != hash => Some(format!(
                        "the SHA-256 of what arrived is {hash}, expected {expected}"
                    )),
                    Some(_) => None,
                    None => plausible(&partial_path, &target.file.path).err(),
                };
                match problem {
                    None => Ok(hash),
                    Some(problem) => {
                        wrong += 1;
                        partial.restart().map_err(Failure::Final)?;
                        Err(Failure::Transient {
                            problem,
                            wait: None,
                        })
                    }
                }
            });
            let (problem, wait) = match result {
                Ok(hash) => break hash,
                Err(Failure::Final(error)) => {
                    return Err(error);
                }
                Err(Failure::Transient { problem, wait }) => (problem, wait),
            };
            failures = if partial.len > before {
                1
            } else {
                failures + 1
            };
            if wrong == 2 || failures >= self.options.attempts {
                return Err(Error::Download {
                    url: target.url.clone(),
                    problem,
                    advice: if wrong == 2 {
                        "nothing of it was kept; the file on the server differs from the one that was pinned, or something on the way changes it".into()
                    } else {
                        format!(
                            "gave up after {failures} attempts; what arrived is kept, and the next run resumes there"
                        )
                    },
                });
            }
            let backoff = self.options.backoff * 2u32.saturating_pow((failures - 1).min(16));
            let wait = wait.unwrap_or(backoff).min(LONGEST_WAIT);
            task.note(&format!("{problem}; trying again"));
            std::thread::sleep(wait);
        };
        let blob = blobs.join(&hash);
        fs::rename(&partial_path, &blob).map_err(Error::io("rename", &partial_path))?;
        point(&target.pointer, &blob)?;
        let found = fs::metadata(&target.pointer).map_err(Error::io("find", &target.pointer))?;
        records.set(&target.key, Record::describe(&found, hash))
    }

    /// One request for all bytes that are still missing.
    fn attempt(
        &self,
        target: &Target,
        partial: &mut Partial,
        task: &dyn Task,
    ) -> std::result::Result<(), Failure> {
        let expected = target.file.bytes;
        if expected.is_some_and(|bytes| partial.len > bytes) {
            partial.restart().map_err(Failure::Final)?;
        }
        if expected == Some(partial.len) {
            return Ok(());
        }
        let response = self.request(target, partial.len)?;
        let total = self.accept(target, &response, partial)?;
        if let (Some(total), Some(expected)) = (total, expected)
            && total != expected
        {
            return Err(transient(format!(
                "the server offers {total} bytes, expected {expected}"
            )));
        }
        task.reached(partial.len, total);
        self.receive(response, partial, total.or(expected), task)
    }

    fn request(&self, target: &Target, from: u64) -> std::result::Result<Response, Failure> {
        let mut request = self.client().map_err(Failure::Final)?.get(&target.url);
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        if let Some(token) = self.options.token.as_ref().filter(|_| target.hub) {
            request = request.bearer_auth(token);
        }
        request.send().map_err(|error| transient(causes(&error)))
    }

    fn client(&self) -> Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::builder()
            .timeout(self.options.timeout)
            .connect_timeout(self.options.timeout)
            .user_agent(concat!("bench-runner/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::Download {
                url: self.options.endpoint.clone(),
                problem: causes(&error),
                advice: "check the proxy settings of the environment".into(),
            })?;
        Ok(self.client.get_or_init(|| client))
    }

    /// Checks an answer's head, brings the partial file to where its body begins, and gives the size of the
    /// whole file where the server tells it.
    fn accept(
        &self,
        target: &Target,
        response: &Response,
        partial: &mut Partial,
    ) -> std::result::Result<Option<u64>, Failure> {
        let header = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let status = response.status();
        let refuse = |problem: String, advice: &str| {
            Err(Failure::Final(Error::Download {
                url: target.url.clone(),
                problem,
                advice: advice.into(),
            }))
        };
        match status {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return refuse(
                    format!("access denied ({status})"),
                    if self.options.token.is_some() {
                        "the token in HF_TOKEN has no access: accept the dataset's terms on its page with the same account, and check that the token may read gated repositories"
                    } else {
                        "accept the dataset's terms on its page at the hub, make a token at huggingface.co/settings/tokens, and set HF_TOKEN to it"
                    },
                );
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                return refuse(
                    format!("no such file ({status})"),
                    "check repository, revision and path in the catalogue; a private repository needs HF_TOKEN",
                );
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                partial.restart().map_err(Failure::Final)?;
                return Err(transient(format!(
                    "the partial file does not fit ({status})"
                )));
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                return Err(Failure::Transient {
                    problem: format!("the server is busy ({status})"),
                    wait: header(RETRY_AFTER).and_then(|value| retry_after(value, Utc::now())),
                });
            }
            status if status.is_server_error() => {
                return Err(transient(format!("the server failed ({status})")));
            }
            status => return refuse(format!("unexpected answer ({status})"), "check the address"),
        }
        if header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html")) {
            return refuse(
                "the answer is a web page, not data".into(),
                "a proxy or log-in page may stand between; check HF_ENDPOINT and the network",
            );
        }
        if status == StatusCode::OK {
            // The server ignores ranges, or none was asked for.
            partial.restart().map_err(Failure::Final)?;
            return Ok(response.content_length());
        }
        let range = header(CONTENT_RANGE).and_then(|value| {
            let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
            let first: u64 = range.split_once('-')?.0.parse().ok()?;
            Some((first, total.parse::<u64>().ok()))
        });
        match range {
            Some((first, total)) if first == partial.len => Ok(total),
            _ => {
                partial.restart().map_err(Failure::Final)?;
                Err(transient(
                    "the server sent another range than asked for".into(),
                ))
            }
        }
    }

    fn receive(
        &self,
        mut response: Response,
        partial: &mut Partial,
        total: Option<u64>,
        task: &dyn Task,
    ) -> std::result::Result<(), Failure> {
        let mut buffer = vec![0; 1 << 16];
        let cut = |received: u64, cause: String| {
            let total = total
                .map(|total| format!(" of {total}"))
                .unwrap_or_default();
            transient(format!(
                "the connection ended after {received}{total} bytes{cause}"
            ))
        };
        loop {
            match response.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => partial.append(&buffer[..read]).map_err(Failure::Final)?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(cut(partial.len, format!(": {}", causes(&error)))),
            }
            task.reached(partial.len, total);
        }
        match total {
            Some(total) if partial.len < total => Err(cut(partial.len, String::new())),
            Some(total) if partial.len > total => {
                let len = partial.len;
                partial.restart().map_err(Failure::Final)?;
                Err(transient(format!("{len} bytes arrived, expected {total}")))
            }
            _ => Ok(()),
        }
    }
}

/// The wait that a `Retry-After` header asks for: seconds, or a date in HTTP's form
/// ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#field.retry-after)).
fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let then = DateTime::parse_from_rfc2822(value).ok()?;
    Some((then.to_utc() - now).to_std().unwrap_or_default())
}

fn transient(problem: String) -> Failure {
    Failure::Transient {
        problem,
        wait: None,
    }
}

/// An error and what caused it, in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// A download in the making, hashed as it grows.
struct Partial {
    file: File,
    path: PathBuf,
    len: u64,
    hasher: Hasher,
}

impl Partial {
    fn open(path: &Path) -> Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(Error::io("open", path))?;
        let mut hasher = Hasher::new();
        let mut len = 0;
        let mut buffer = vec![0; 1 << 18];
        loop {
            let read = file.read(&mut buffer).map_err(Error::io("read", path))?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            len += read as u64;
        }
        Ok(Self {
            file,
            path: path.to_path_buf(),
            len,
            hasher,
        })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(Error::io("write", &self.path))?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .map_err(Error::io("write", &self.path))?;
        self.hasher = Hasher::new();
        self.len = 0;
        Ok(())
    }
}

/// Whether a file with no pinned hash begins and ends as its kind does, so that an error page is never
/// recorded as data.
fn plausible(path: &Path, name: &str) -> std::result::Result<(), String> {
    let ends = || -> std::io::Result<(Vec<u8>, Vec<u8>)> {
        let mut file = File::open(path)?;
        let mut head = Vec::new();
        Read::by_ref(&mut file).take(64).read_to_end(&mut head)?;
        let tail_len = file.metadata()?.len().min(4);
        file.seek(SeekFrom::End(-(tail_len as i64)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        Ok((head, tail))
    };
    let (head, tail) = ends().map_err(|error| error.to_string())?;
    let page = head.trim_ascii_start().to_ascii_lowercase();
    if head.is_empty() {
        Err("the file is empty".into())
    } else if page.starts_with(b"<!doctype html") || page.starts_with(b"<html") {
        Err("the file is a web page, not data".into())
    } else if name.ends_with(".parquet") && !(head.starts_with(b"PAR1") && tail == b"PAR1") {
        Err("the file does not begin and end as parquet does".into())
    } else if name.ends_with(".gz") && !head.starts_with(&[0x1f, 0x8b]) {
        Err("the file does not begin as gzip does".into())
    } else {
        Ok(())
    }
}

/// Removes a damaged file: the pointer, and what it points to.
fn remove(pointer: &Path) -> Result<()> {
    if let Ok(blob) = fs::canonicalize(pointer)
        && blob != pointer
    {
        fs::remove_file(&blob).map_err(Error::io("remove", &blob))?;
    }
    match fs::remove_file(pointer) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove", pointer)(error))
        }
        _ => Ok(()),
    }
}

/// Makes `pointer` lead to `blob`, in one step that other processes see whole.
fn point(pointer: &Path, blob: &Path) -> Result<()> {
    let folder = pointer.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let temporary = folder.join(format!(
        ".{}.{}",
        std::process::id(),
        sha256(pointer.as_os_str().as_encoded_bytes())
    ));
    let _ = fs::remove_file(&temporary);
    link(blob, &temporary).map_err(Error::io("create", &temporary))?;
    fs::rename(&temporary, pointer).map_err(Error::io("create", pointer))
}

#[cfg(unix)]
fn link(blob: &Path, pointer: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(std::path::absolute(blob)?, pointer)
}

/// Symbolic links need privileges on Windows: the hub's clients copy there.
#[cfg(not(unix))]
fn link(blob: &Path, pointer: &Path) -> std::io::Result<()> {
    fs::copy(blob, pointer).map(|_| ())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        // The date is RFC 9110's example.
        let now = DateTime::from_timestamp(941_933_937, 0).unwrap();
        for (value, seconds) in [
            ("120", Some(120.0)),
            (" 0.5", Some(0.5)),
            ("Sun, 07 Nov 1999 00:20:07 GMT", Some(70.0)),
            ("Sat, 06 Nov 1999 00:20:07 GMT", Some(0.0)),
            ("-1", None),
            ("soon", None),
        ] {
            let wait = retry_after(value, now).map(|wait| wait.as_secs_f64());
            assert_eq!(wait, seconds, "{value}");
        }
    }
}
