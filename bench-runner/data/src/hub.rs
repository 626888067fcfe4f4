//! Files from the Hugging Face hub or a web address: downloaded once, verified, kept in the hub's cache.
//!
//! hf-hub says where the cache lies, and the layout is its own and that of Python's client, so each finds what
//! the others fetched. It neither resumes nor checks what it downloads, so the bytes are fetched here: by
//! range, with retries, and given their final name only when the file that was written is right.
//!
//! Nothing outside the cache is written or removed, whatever symbolic links lie in it.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use flate2::read::MultiGzDecoder;
use reqwest::blocking::{Client, Response};
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_RANGE, RANGE,
    RETRY_AFTER, TRANSFER_ENCODING,
};
use reqwest::{StatusCode, Url, Version};

use crate::catalogue::{FileEntry, Location};
use crate::hash::{sha256, sha256_file};
use crate::lock::{LockFile, Record, exclusive, remove_link};
use crate::progress::{Progress, Silent, Task, Unit};
use crate::{Error, Result, atomic};

/// The longest wait that a server can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// A server that sends fewer bytes than this within [`SLOW_TIMEOUTS`] timeouts is as good as silent, and an
/// attempt that brings fewer is none that succeeded in part.
const LEAST_BYTES: u64 = 4096;
const SLOW_TIMEOUTS: u32 = 4;

/// Where the hub is when nothing else is said.
const HUB: &str = "https://huggingface.co";

/// How to reach the hub. What may hold secrets (token, address) is never shown.
#[derive(Clone)]
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
    /// How large a file may be whose size neither catalogue nor server tells.
    pub most_bytes: u64,
    /// Who is told how far downloads and decoding are.
    pub progress: Arc<dyn Progress>,
}

impl HubOptions {
    /// The settings of the environment, as Python's client reads them: `HF_ENDPOINT`, `HF_HOME`,
    /// `HF_HUB_CACHE`, `HF_TOKEN` (or the file that `HF_TOKEN_PATH` names, or `token` in `HF_HOME`),
    /// `HF_HUB_DISABLE_IMPLICIT_TOKEN`, `HF_HUB_OFFLINE`. Address and token are judged when a file has to be
    /// fetched: a run that needs none is not stopped by them.
    pub fn from_env() -> Self {
        let variable = |name| {
            std::env::var(name)
                .ok()
                .filter(|value| !value.trim().is_empty())
        };
        let on = |name| {
            variable(name).is_some_and(|value| {
                ["1", "on", "yes", "true"].contains(&value.to_lowercase().as_str())
            })
        };
        let token_file = variable("HF_TOKEN_PATH")
            .map_or_else(|| hf_hub::hf_home().join("token"), PathBuf::from);
        let token = variable("HF_TOKEN")
            .or_else(|| variable("HUGGING_FACE_HUB_TOKEN"))
            .or_else(|| fs::read_to_string(token_file).ok())
            .map(|token| token.trim().to_owned())
            .filter(|token| !token.is_empty() && !on("HF_HUB_DISABLE_IMPLICIT_TOKEN"));
        Self {
            endpoint: variable("HF_ENDPOINT").unwrap_or_else(|| HUB.into()),
            cache: hf_hub::resolve_cache_dir(),
            token,
            offline: on("HF_HUB_OFFLINE"),
            attempts: 6,
            backoff: Duration::from_secs(1),
            timeout: Duration::from_secs(30),
            most_bytes: 16 << 30,
            progress: Arc::new(Silent),
        }
    }
}

impl std::fmt::Debug for HubOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HubOptions")
            .field("endpoint", &shown(&self.endpoint))
            .field("cache", &self.cache)
            .field("token", &self.token.as_ref().map(|_| "not shown"))
            .field("offline", &self.offline)
            .field("attempts", &self.attempts)
            .field("backoff", &self.backoff)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// An address without what may be secret in it: user name, password and query.
fn shown(address: &str) -> String {
    let Ok(mut url) = Url::parse(address) else {
        return "an address that cannot be read".into();
    };
    let secret = !url.username().is_empty() || url.password().is_some() || url.query().is_some();
    if !secret {
        return address.into();
    }
    // Addresses that cannot have a user name have none to remove.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.as_str().trim_end_matches('/').into()
}

/// The address of what lies at `path` below `base`, each part percent-encoded.
fn address<'a>(base: &str, path: impl IntoIterator<Item = &'a str>) -> Option<Url> {
    let mut url = Url::parse(base).ok()?;
    if !["http", "https"].contains(&url.scheme()) {
        return None;
    }
    url.path_segments_mut().ok()?.pop_if_empty().extend(path);
    Some(url)
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
    /// Where it is; `None` when the hub's address is none.
    address: Option<Url>,
    /// The address for people, without secrets.
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
    pub fn from_env() -> Self {
        Self::new(HubOptions::from_env())
    }

    /// The hub's address, without what may be secret in it.
    pub fn endpoint(&self) -> String {
        shown(&self.options.endpoint)
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
        let Some(target) = self.target(location, file) else {
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
        self.inside(&target)?;
        let lock = format!("{}.lock", sha256(target.key.as_bytes()));
        let guard = exclusive(&self.options.cache.join(".locks").join(lock))?;
        // Another process may have fetched it while this one waited.
        match self.state(&target, &records, false)? {
            State::Verified | State::Recorded => return Ok(target.pointer),
            State::Missing => {}
            State::Damaged { .. } => self.remove(&target.pointer)?,
        }
        self.download(&target, &records, guard.is_some())?;
        drop(guard);
        Ok(target.pointer)
    }

    /// Compares a file in the cache with the pinned or recorded hash, byte by byte.
    ///
    /// # Errors
    /// When the cache cannot be read.
    pub fn verify(&self, location: &Location, file: &FileEntry) -> Result<State> {
        match self.target(location, file) {
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
    pub fn path(&self, location: &Location, file: &FileEntry) -> Option<PathBuf> {
        match (self.target(location, file), location) {
            (Some(target), _) => Some(target.pointer),
            (None, Location::Path(folder)) => Some(folder.join(&file.path)),
            (None, _) => None,
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

    fn target<'a>(&self, location: &Location, file: &'a FileEntry) -> Option<Target<'a>> {
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
                let below = format!("{route}{repository}/resolve/{revision}/{}", file.path);
                Some(Target {
                    file,
                    address: address(&options.endpoint, below.split('/')),
                    url: format!("{}/{below}", self.endpoint().trim_end_matches('/')),
                    key: format!("{route}{repository}@{revision}/{}", file.path),
                    pointer: folder.join("snapshots").join(revision).join(&file.path),
                    folder,
                    hub: true,
                })
            }
            Location::Url(base) => {
                let folder = cache.join(format!("urls--{}", &sha256(base.as_bytes())[..16]));
                let url = format!("{}/{}", shown(base), file.path);
                Some(Target {
                    file,
                    address: address(base, file.path.split('/')),
                    key: url.clone(),
                    url,
                    pointer: folder.join("snapshots").join("main").join(&file.path),
                    folder,
                    hub: false,
                })
            }
            Location::Path(_) | Location::Embedded => None,
        }
    }

    /// Turns an absolute link, as in caches that were made elsewhere, into a relative one, where its blob is in
    /// the same cache. Where that cannot be written, the link stays as it is.
    fn heal(&self, target: &Target) {
        let blob = fs::read_link(&target.pointer)
            .ok()
            .filter(|to| to.is_absolute())
            .and_then(|to| Some(target.folder.join("blobs").join(to.file_name()?)));
        if let Some(blob) = blob.filter(|blob| blob.is_file())
            && self.inside(target).is_ok()
        {
            let _ = point(&target.pointer, &target.folder, &blob, link);
        }
    }

    fn state(&self, target: &Target, records: &LockFile, thorough: bool) -> Result<State> {
        self.heal(target);
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

    /// Refuses to write where a symbolic link leads out of the cache.
    fn inside(&self, target: &Target) -> Result<()> {
        let cache = &self.options.cache;
        fs::create_dir_all(cache).map_err(Error::io("create", cache))?;
        let root = fs::canonicalize(cache).map_err(Error::io("find", cache))?;
        let pointers = target
            .pointer
            .parent()
            .unwrap_or(cache.as_path())
            .to_path_buf();
        for folder in [pointers, target.folder.join("blobs"), cache.join(".locks")] {
            let nearest = folder
                .ancestors()
                .find_map(|folder| fs::canonicalize(folder).ok());
            if let Some(existing) = nearest.filter(|existing| !existing.starts_with(&root)) {
                return Err(Error::malformed(
                    folder.display().to_string(),
                    format!(
                        "leads out of the cache to {}: expected a folder within {}, where alone files are written and removed",
                        existing.display(),
                        cache.display()
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Removes a damaged file: the pointer, and, where it lies within the cache, what it points to.
    fn remove(&self, pointer: &Path) -> Result<()> {
        let link = fs::symlink_metadata(pointer).is_ok_and(|found| found.is_symlink());
        if link
            && let Ok(blob) = fs::canonicalize(pointer)
            && let Ok(root) = fs::canonicalize(&self.options.cache)
            && blob.starts_with(root)
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

    /// What is said of a file that could not be had.
    fn refused(target: &Target, problem: impl Into<String>, advice: impl Into<String>) -> Error {
        Error::Download {
            url: target.url.clone(),
            problem: problem.into(),
            advice: advice.into(),
        }
    }

    /// Fetches a file into the cache. Without a lock, what arrives has a name that no other process uses.
    fn download(&self, target: &Target, records: &LockFile, locked: bool) -> Result<()> {
        let Some(address) = &target.address else {
            return Err(Error::setting(
                if target.hub { "HF_ENDPOINT" } else { "url" },
                &target.url,
                format!("an address, such as {HUB}"),
            ));
        };
        let blobs = target.folder.join("blobs");
        fs::create_dir_all(&blobs).map_err(Error::io("create", &blobs))?;
        let name = sha256(target.key.as_bytes());
        let partial_path = blobs.join(if locked {
            format!("{name}.incomplete")
        } else {
            atomic::unique("incomplete")
        });
        let expected = match &target.file.sha256 {
            Some(pinned) => Some(pinned.clone()),
            None => records.get(&target.key)?.map(|record| record.sha256),
        };
        let arrived = self.arrive(target, address, &partial_path, expected.as_deref());
        if arrived.is_err() && !locked {
            // Nobody would know it again.
            let _ = fs::remove_file(&partial_path);
        }
        let record = arrived?;
        let blob = blobs.join(&record.sha256);
        fs::rename(&partial_path, &blob).map_err(Error::io("rename", &partial_path))?;
        // The mark of what the partial file was a part of is of no more use.
        let _ = fs::remove_file(tag_path(&partial_path));
        point(&target.pointer, &target.folder, &blob, link)?;
        records.set(&target.key, record)
    }

    /// Brings all bytes to the file at `partial_path`, in as many attempts as it takes, and says what it then
    /// holds.
    fn arrive(
        &self,
        target: &Target,
        address: &Url,
        partial_path: &Path,
        expected: Option<&str>,
    ) -> Result<Record> {
        let task = self
            .options
            .progress
            .start(&target.file.path, Unit::Bytes, target.file.bytes);
        let mut failures = 0;
        let mut wrong = 0;
        loop {
            let mut partial = Partial::open(partial_path)?;
            let before = partial.len;
            let result = self
                .attempt(target, address, &mut partial, expected.is_some(), &*task)
                .and_then(|()| partial.finish().map_err(Failure::Final))
                .and_then(|record| {
                    let hash = &record.sha256;
                    let problem = match expected {
                        Some(expected) if expected != hash => Some(format!(
                            "the SHA-256 of what arrived is {hash}, expected {expected}"
                        )),
                        Some(_) => None,
                        None => plausible(partial_path, &target.file.path).err(),
                    };
                    match problem {
                        None => Ok(record),
                        Some(problem) => {
                            wrong += 1;
                            partial.restart().map_err(Failure::Final)?;
                            Err(transient(problem))
                        }
                    }
                });
            let (problem, wait) = match result {
                Ok(record) => return Ok(record),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Transient { problem, wait }) => (problem, wait),
            };
            failures = if partial.len >= before.saturating_add(LEAST_BYTES) {
                1
            } else {
                failures + 1
            };
            if wrong == 2 || failures >= self.options.attempts {
                let advice = if wrong == 2 {
                    "nothing of it was kept; the file on the server differs from the one that was pinned, or something on the way changes it".into()
                } else {
                    format!(
                        "gave up after {failures} attempts; what arrived is kept, and the next run resumes there"
                    )
                };
                return Err(Self::refused(target, problem, advice));
            }
            let backoff = self.options.backoff * 2u32.saturating_pow((failures - 1).min(16));
            let wait = wait.unwrap_or(backoff).min(LONGEST_WAIT);
            task.note(&format!("{problem}; trying again"));
            std::thread::sleep(wait);
        }
    }

    /// One request for all bytes that are still missing. `sure` says that the hash of the whole is known.
    fn attempt(
        &self,
        target: &Target,
        address: &Url,
        partial: &mut Partial,
        sure: bool,
        task: &dyn Task,
    ) -> std::result::Result<(), Failure> {
        let expected = target.file.bytes;
        // Without a hash, only the server's mark tells whether the rest belongs to what is here.
        let unmarked = !sure && partial.tag.is_none();
        if unmarked || expected.is_some_and(|bytes| partial.len > bytes) {
            partial.restart().map_err(Failure::Final)?;
        }
        if expected == Some(partial.len) {
            return Ok(());
        }
        let response = self.request(target, address, partial)?;
        let body = self.accept(target, &response, partial)?;
        if let (Some(total), Some(expected)) = (body.total, expected)
            && total != expected
        {
            return Err(transient(format!(
                "the server offers {total} bytes, expected {expected}"
            )));
        }
        if body.total.is_none() && expected.is_none() && !body.framed && !sure {
            return Err(Failure::Final(Self::refused(
                target,
                "the server does not say how long the file is, so that a part of it would pass for the whole",
                "pin `bytes` or `sha256` in the catalogue",
            )));
        }
        task.reached(partial.len, body.total);
        let whole = body.total.or(expected);
        if !body.packed {
            return self.receive(target, response, partial, whole, task);
        }
        let received = self.receive(target, MultiGzDecoder::new(response), partial, whole, task);
        if received.is_err() {
            // Ranges of a packed body count other bytes than the file has.
            partial.restart().map_err(Failure::Final)?;
        }
        received
    }

    fn request(
        &self,
        target: &Target,
        address: &Url,
        partial: &Partial,
    ) -> std::result::Result<Response, Failure> {
        let client = self.client().map_err(Failure::Final)?;
        let mut request = client
            .get(address.clone())
            .header(ACCEPT_ENCODING, "identity");
        if partial.len > 0 {
            request = request.header(RANGE, format!("bytes={}-", partial.len));
            if let Some(tag) = &partial.tag {
                request = request.header(IF_RANGE, tag);
            }
        }
        if let Some(token) = self.options.token.as_ref().filter(|_| target.hub) {
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(Failure::Final(Error::setting(
                    "HF_TOKEN",
                    "(not shown)",
                    "a token without spaces, line breaks and characters other than ASCII",
                )));
            }
            request = request.bearer_auth(token);
        }
        request
            .send()
            .map_err(|error| transient(causes(&error.without_url())))
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
                url: self.endpoint(),
                problem: causes(&error.without_url()),
                advice: "check the proxy settings of the environment".into(),
            })?;
        Ok(self.client.get_or_init(|| client))
    }

    /// Checks an answer's head, and brings the partial file to where its body begins.
    fn accept(
        &self,
        target: &Target,
        response: &Response,
        partial: &mut Partial,
    ) -> std::result::Result<Body, Failure> {
        let header = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let asked_to_wait = || header(RETRY_AFTER).and_then(|value| retry_after(value, Utc::now()));
        let status = response.status();
        let refuse = |problem: String, advice: &str| {
            Err(Failure::Final(Self::refused(target, problem, advice)))
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
                    wait: asked_to_wait(),
                });
            }
            status if status.is_server_error() => {
                return Err(Failure::Transient {
                    problem: format!("the server failed ({status})"),
                    wait: asked_to_wait(),
                });
            }
            status => return refuse(format!("unexpected answer ({status})"), "check the address"),
        }
        if header(CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html")) {
            return refuse(
                "the answer is a web page, not data".into(),
                "a proxy or log-in page may stand between; check HF_ENDPOINT and the network",
            );
        }
        let encoding = header(CONTENT_ENCODING).unwrap_or("identity");
        let packed = match encoding.to_ascii_lowercase().as_str() {
            "identity" | "" => false,
            // Servers that know files by their names call those that are gzip anyway so.
            "gzip" | "x-gzip" => !target.file.path.ends_with(".gz"),
            _ => {
                return refuse(
                    format!("the server packs the file as `{encoding}`, which was not asked for"),
                    "check the address, and what stands between",
                );
            }
        };
        // A weak mark may be the same for other bytes.
        let tag = header(ETAG)
            .filter(|tag| tag.starts_with('"'))
            .map(str::to_owned);
        if packed && status != StatusCode::OK {
            partial.restart().map_err(Failure::Final)?;
            return Err(transient("the server sent a part of a packed file".into()));
        }
        if status == StatusCode::OK {
            // The server ignores ranges, has another file by now, or none was asked for.
            partial.restart().map_err(Failure::Final)?;
            partial.mark(tag).map_err(Failure::Final)?;
            let chunked = header(TRANSFER_ENCODING).is_some_and(|value| value.contains("chunked"));
            return Ok(Body {
                total: response.content_length().filter(|_| !packed),
                framed: packed || chunked || response.version() >= Version::HTTP_2,
                packed,
            });
        }
        let range = header(CONTENT_RANGE).and_then(|value| {
            let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
            let first: u64 = range.split_once('-')?.0.parse().ok()?;
            Some((first, total.parse::<u64>().ok()))
        });
        let same = tag.is_none() || partial.tag.is_none() || tag == partial.tag;
        let problem = match range {
            _ if !same => "the file on the server has changed",
            Some((first, total)) if first == partial.len => {
                return Ok(Body {
                    total,
                    framed: true,
                    packed: false,
                });
            }
            _ => "the server sent another range than asked for",
        };
        partial.restart().map_err(Failure::Final)?;
        Err(transient(problem.into()))
    }

    /// Takes in a body, up to the size that is known or may be, as long as it does not arrive too slowly.
    fn receive(
        &self,
        target: &Target,
        mut body: impl Read,
        partial: &mut Partial,
        total: Option<u64>,
        task: &dyn Task,
    ) -> std::result::Result<(), Failure> {
        let mut buffer = vec![0; 1 << 16];
        let of = total.map_or(String::new(), |total| format!(" of {total}"));
        let cut = |received: u64, cause: String| {
            transient(format!(
                "the connection ended after {received}{of} bytes{cause}"
            ))
        };
        let window = self.options.timeout * SLOW_TIMEOUTS;
        let (mut since, mut then) = (Instant::now(), partial.len);
        loop {
            let read = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(cut(partial.len, format!(": {}", causes(&error)))),
            };
            if let Some(total) = total.filter(|total| partial.len + read as u64 > *total) {
                partial.restart().map_err(Failure::Final)?;
                return Err(transient(format!(
                    "the server sends more than the {total} bytes that were expected"
                )));
            }
            let most = self.options.most_bytes;
            if total.is_none() && partial.len + read as u64 > most {
                partial.restart().map_err(Failure::Final)?;
                return Err(Failure::Final(Self::refused(
                    target,
                    format!(
                        "the server sends more than {most} bytes without saying how many there are"
                    ),
                    "pin `bytes` in the catalogue, if the file is as large as that",
                )));
            }
            partial.append(&buffer[..read]).map_err(Failure::Final)?;
            task.reached(partial.len, total);
            if since.elapsed() >= window {
                let arrived = partial.len - then;
                if arrived < LEAST_BYTES {
                    let seconds = window.as_secs_f64();
                    return Err(transient(format!(
                        "only {arrived} bytes arrived within {seconds} seconds"
                    )));
                }
                (since, then) = (Instant::now(), partial.len);
            }
        }
        match total {
            Some(total) if partial.len < total => Err(cut(partial.len, String::new())),
            _ => Ok(()),
        }
    }
}

/// What is known of an answer's body before it is read.
struct Body {
    /// The size of the whole file, where the server tells it.
    total: Option<u64>,
    /// Whether the body's end can be told from a broken connection.
    framed: bool,
    /// Whether it is gzip although that was not asked for.
    packed: bool,
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

/// A download in the making.
struct Partial {
    file: File,
    path: PathBuf,
    len: u64,
    /// The server's mark (`ETag`) of the file that this is a part of.
    tag: Option<String>,
}

/// Where the mark of a partial file is kept.
fn tag_path(partial: &Path) -> PathBuf {
    partial.with_extension("etag")
}

impl Partial {
    fn open(path: &Path) -> Result<Self> {
        remove_link(path)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(Error::io("open", path))?;
        let len = file
            .seek(SeekFrom::End(0))
            .map_err(Error::io("read", path))?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
            len,
            tag: fs::read_to_string(tag_path(path)).ok(),
        })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(Error::io("write", &self.path))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Remembers what this is a part of, for another run as well.
    fn mark(&mut self, tag: Option<String>) -> Result<()> {
        let path = tag_path(&self.path);
        if let Some(tag) = &tag {
            atomic::write(&path, tag.as_bytes()).map_err(Error::io("write", &path))?;
        }
        self.tag = tag;
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .map_err(Error::io("write", &self.path))?;
        match fs::remove_file(tag_path(&self.path)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("remove", tag_path(&self.path))(error));
            }
            _ => self.tag = None,
        }
        self.len = 0;
        Ok(())
    }

    /// What the file holds now. It is the file that is hashed, not what was received: another process may have
    /// written to it. The time is taken before, so that later changes are seen.
    fn finish(&mut self) -> Result<Record> {
        self.file
            .sync_all()
            .map_err(Error::io("write", &self.path))?;
        let found = fs::metadata(&self.path).map_err(Error::io("find", &self.path))?;
        Ok(Record::describe(&found, sha256_file(&self.path)?))
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

/// Makes `pointer` lead to `blob`, in one step that other processes see whole. Where `link` cannot make
/// symbolic links, the blob itself takes the pointer's place, as with Python's client.
fn point(
    pointer: &Path,
    repository: &Path,
    blob: &Path,
    link: impl Fn(&Path, &Path) -> std::io::Result<()>,
) -> Result<()> {
    let folder = pointer.parent().unwrap_or(repository);
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    // Relative, so that a cache can be copied.
    let below = folder.strip_prefix(repository).unwrap_or(folder);
    let target: PathBuf = below
        .components()
        .map(|_| Component::ParentDir)
        .chain(blob.strip_prefix(repository).unwrap_or(blob).components())
        .collect();
    let temporary = folder.join(atomic::unique("link"));
    let source = match link(&target, &temporary) {
        Ok(()) => temporary.as_path(),
        Err(_) => blob,
    };
    fs::rename(source, pointer).map_err(Error::io("create", pointer))
}

#[cfg(unix)]
fn link(target: &Path, pointer: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, pointer)
}

/// Symbolic links need privileges on Windows.
#[cfg(not(unix))]
fn link(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn where_links_cannot_be_made_the_file_takes_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let repository = folder.path();
        let (blob, pointer) = (
            repository.join("blobs/b"),
            repository.join("snapshots/1/data/f"),
        );
        for (body, old) in [("one", None), ("two", Some("one"))] {
            fs::create_dir_all(repository.join("blobs")).unwrap();
            fs::write(&blob, body).unwrap();
            assert_eq!(fs::read_to_string(&pointer).ok().as_deref(), old);
            let unsupported = |_: &Path, _: &Path| Err(std::io::ErrorKind::Unsupported.into());
            point(&pointer, repository, &blob, unsupported).unwrap();
            assert_eq!(fs::read_to_string(&pointer).unwrap(), body);
            let found = fs::read_dir(pointer.parent().unwrap()).unwrap();
            assert_eq!(found.count(), 1);
        }
    }

    #[test]
    fn one_client_serves_all_files_and_none_is_made_before_one_is_fetched() {
        let folder = tempfile::tempdir().unwrap();
        let hub = Hub::new(HubOptions {
            cache: folder.path().into(),
            offline: true,
            ..HubOptions::from_env()
        });
        let location = Location::Hub {
            repository: "owner/name".into(),
            revision: "main".into(),
        };
        for index in 0..300 {
            let file = FileEntry {
                path: format!("{index}"),
                bytes: None,
                sha256: None,
            };
            hub.fetch(&location, &file).unwrap_err();
        }
        assert!(hub.client.get().is_none());
        let clients = [(); 2].map(|()| hub.client().unwrap());
        assert!(std::ptr::eq(clients[0], clients[1]));
    }

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
