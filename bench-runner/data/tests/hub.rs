//! Downloads from a stand-in hub, with every fault it knows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::support::hub::{COMMIT, Fault, StandInHub};
use bench_data::{FileEntry, Hub, HubOptions, Location, Silent, State, sha256};

const REPOSITORY: &str = "owner/set";
const FILE: &str = "data/train.bin";

struct Setup {
    server: StandInHub,
    cache: tempfile::TempDir,
    body: Vec<u8>,
}

impl Setup {
    /// A file large enough for the redirect.
    fn new() -> Self {
        let server = StandInHub::start();
        let body: Vec<u8> = (0..300_000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        server.add(REPOSITORY, FILE, body.clone());
        Self {
            server,
            cache: tempfile::tempdir().unwrap(),
            body,
        }
    }

    fn hub(&self) -> Hub {
        self.hub_with(|_| {})
    }

    fn hub_with(&self, change: impl FnOnce(&mut HubOptions)) -> Hub {
        let mut options = HubOptions {
            endpoint: self.server.endpoint.clone(),
            cache: self.cache.path().to_path_buf(),
            token: None,
            offline: false,
            attempts: 3,
            backoff: Duration::from_millis(1),
            timeout: Duration::from_millis(300),
            progress: Arc::new(Silent),
        };
        change(&mut options);
        Hub::new(options)
    }

    fn pinned(&self) -> FileEntry {
        FileEntry {
            path: FILE.into(),
            bytes: Some(self.body.len() as u64),
            sha256: Some(sha256(&self.body)),
        }
    }

    fn fetch(&self) -> bench_data::Result<PathBuf> {
        self.hub().fetch(&location(), &self.pinned())
    }

    fn assert_right(&self, path: &Path) {
        assert!(
            std::fs::read(path).unwrap() == self.body,
            "{} differs",
            path.display()
        );
    }

    fn file_requests(&self) -> usize {
        self.server
            .requests()
            .iter()
            .filter(|r| r.redirected)
            .count()
    }
}

fn location() -> Location {
    Location::Hub {
        repository: REPOSITORY.into(),
        revision: COMMIT.into(),
    }
}

fn unpinned(path: &str) -> FileEntry {
    FileEntry {
        path: path.into(),
        bytes: None,
        sha256: None,
    }
}

#[test]
fn a_file_is_fetched_once_and_then_comes_from_the_cache() {
    let setup = Setup::new();
    let path = setup.fetch().unwrap();
    setup.assert_right(&path);
    let snapshot = format!("datasets--owner--set/snapshots/{COMMIT}/{FILE}");
    assert_eq!(path, setup.cache.path().join(snapshot));
    let before = setup.server.requests().len();
    assert_eq!(setup.fetch().unwrap(), path);
    let offline = setup.hub_with(|o| o.offline = true);
    assert_eq!(offline.fetch(&location(), &setup.pinned()).unwrap(), path);
    assert_eq!(setup.server.requests().len(), before);
}

#[test]
fn faults_that_pass_end_in_the_right_file() {
    let pause = Duration::from_millis(1);
    for faults in [
        vec![Fault::Status(500, ""), Fault::Status(503, "")],
        vec![Fault::Status(429, "Retry-After: 0\r\n")],
        vec![
            Fault::Cut(1000),
            Fault::Cut(100_000),
            Fault::Cut(1),
            Fault::Cut(70_000),
        ],
        vec![Fault::Cut(0)],
        vec![Fault::Trickle(10_000, pause)],
        vec![Fault::Stall(Duration::from_millis(600))],
        vec![Fault::Short(17)],
        vec![Fault::Flip(123_456)],
        vec![Fault::Cut(50_000), Fault::NoRange],
        vec![Fault::Cut(50_000), Fault::Flip(10)],
    ] {
        let setup = Setup::new();
        setup.server.fail(faults.clone());
        let path = setup
            .fetch()
            .unwrap_or_else(|error| panic!("{faults:?}: {error}"));
        setup.assert_right(&path);
    }
}

#[test]
fn a_busy_server_is_left_alone_for_as_long_as_it_asks() {
    let setup = Setup::new();
    setup
        .server
        .fail([Fault::Status(429, "Retry-After: 1\r\n")]);
    setup.assert_right(&setup.fetch().unwrap());
    let times: Vec<_> = setup
        .server
        .requests()
        .iter()
        .filter(|request| request.redirected)
        .map(|request| request.at)
        .collect();
    // Without the header, the wait would be a millisecond.
    assert!(times[1] - times[0] >= Duration::from_secs(1));
}

#[test]
fn a_cut_download_resumes_where_it_ended_even_in_another_run() {
    let setup = Setup::new();
    setup.server.fail([
        Fault::Cut(120_000),
        Fault::Status(500, ""),
        Fault::Status(500, ""),
        Fault::Status(500, ""),
    ]);
    let error = setup.fetch().unwrap_err().to_string();
    assert!(error.contains("the server failed (500"), "{error}");
    assert!(error.contains("the next run resumes there"), "{error}");
    let snapshot = setup
        .cache
        .path()
        .join(format!("datasets--owner--set/snapshots/{COMMIT}/{FILE}"));
    assert!(!snapshot.exists(), "nothing half-written may be visible");
    setup.assert_right(&setup.fetch().unwrap());
    let last = setup.server.requests().pop().unwrap();
    assert_eq!(last.range.as_deref(), Some("bytes=120000-"));
}

#[test]
fn faults_that_stay_end_in_an_error_that_says_what_to_do() {
    let always = |fault: Fault| vec![fault; 6];
    for (faults, says) in [
        (
            always(Fault::Status(500, "")),
            vec!["the server failed (500", "gave up after 3 attempts"],
        ),
        (
            always(Fault::Status(429, "Retry-After: 0\r\n")),
            vec!["the server is busy (429"],
        ),
        (
            always(Fault::Status(403, "")),
            vec!["access denied (403", "HF_TOKEN"],
        ),
        (
            always(Fault::Status(418, "")),
            vec!["unexpected answer (418"],
        ),
        (
            always(Fault::Cut(0)),
            vec!["the connection ended after 0 of 300000 bytes"],
        ),
        (
            always(Fault::Short(5)),
            vec!["offers 299995 bytes, expected 300000"],
        ),
        (
            always(Fault::Flip(3)),
            vec!["the SHA-256 of what arrived is", "nothing of it was kept"],
        ),
        (
            always(Fault::Page("text/html; charset=utf-8")),
            vec!["a web page, not data", "HF_ENDPOINT"],
        ),
        (
            always(Fault::Page("application/octet-stream")),
            vec!["offers 41 bytes, expected 300000"],
        ),
    ] {
        let setup = Setup::new();
        setup.server.fail(faults);
        let error = setup.fetch().unwrap_err().to_string();
        for part in says {
            assert!(error.contains(part), "{error}");
        }
        assert!(error.contains(FILE), "{error}");
        assert_eq!(
            setup.hub().verify(&location(), &setup.pinned()).unwrap(),
            State::Missing
        );
    }
}

#[test]
fn a_missing_file_and_a_silent_server_are_named() {
    let setup = Setup::new();
    let error = setup
        .hub()
        .fetch(&location(), &unpinned("data/none.bin"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("none.bin: no such file (404"), "{error}");
    let hub = setup.hub_with(|o| o.endpoint = "http://127.0.0.1:1".into());
    let error = hub
        .fetch(&location(), &setup.pinned())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("127.0.0.1:1") && error.contains("gave up after 3"),
        "{error}"
    );
}

#[test]
fn gated_data_needs_the_token_and_only_the_hub_sees_it() {
    let setup = Setup::new();
    setup.server.require_token("hf_secret");
    let error = setup.fetch().unwrap_err().to_string();
    assert!(error.contains("access denied (401"), "{error}");
    assert!(error.contains("set HF_TOKEN"), "{error}");
    let hub = setup.hub_with(|o| o.token = Some("hf_secret".into()));
    setup.assert_right(&hub.fetch(&location(), &setup.pinned()).unwrap());
    for request in setup.server.requests().iter().filter(|r| r.redirected) {
        assert_eq!(
            request.authorization, None,
            "the token went to another host"
        );
    }
}

#[test]
fn an_unpinned_file_is_held_to_what_was_downloaded_first() {
    let setup = Setup::new();
    let file = unpinned(FILE);
    let path = setup.hub().fetch(&location(), &file).unwrap();
    let lock = std::fs::read_to_string(setup.cache.path().join("datasets.lock.toml")).unwrap();
    assert!(lock.contains(&sha256(&setup.body)), "{lock}");
    std::fs::remove_file(std::fs::canonicalize(&path).unwrap()).unwrap();
    let mut changed = setup.body.clone();
    changed[0] ^= 1;
    setup.server.add(REPOSITORY, FILE, changed);
    let error = setup
        .hub()
        .fetch(&location(), &file)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("differs from the one that was pinned"),
        "{error}"
    );
}

#[test]
fn an_unpinned_page_is_never_recorded() {
    let setup = Setup::new();
    setup
        .server
        .add(REPOSITORY, "data/page.bin", b"<html>log in</html>".to_vec());
    setup.server.add(
        REPOSITORY,
        "data/page.parquet",
        b"{\"error\": \"busy\"}".to_vec(),
    );
    for (path, says) in [
        ("data/page.bin", "a web page"),
        ("data/page.parquet", "as parquet does"),
    ] {
        let error = setup
            .hub()
            .fetch(&location(), &unpinned(path))
            .unwrap_err()
            .to_string();
        assert!(error.contains(says), "{error}");
    }
    assert!(!setup.cache.path().join("datasets.lock.toml").exists());
}

#[test]
fn a_damaged_file_is_fetched_again_and_never_used() {
    let setup = Setup::new();
    let path = setup.fetch().unwrap();
    for damage in [b"short".to_vec(), vec![7; setup.body.len()]] {
        std::fs::write(std::fs::canonicalize(&path).unwrap(), damage).unwrap();
        let state = setup.hub().verify(&location(), &setup.pinned()).unwrap();
        assert!(matches!(state, State::Damaged { .. }), "{state:?}");
        let offline = setup.hub_with(|o| o.offline = true);
        let error = offline
            .fetch(&location(), &setup.pinned())
            .unwrap_err()
            .to_string();
        assert!(error.contains("HF_HUB_OFFLINE"), "{error}");
        setup.assert_right(&setup.fetch().unwrap());
        assert_eq!(
            setup.hub().verify(&location(), &setup.pinned()).unwrap(),
            State::Verified
        );
    }
}

#[test]
fn hf_hub_finds_what_was_fetched_here() {
    let setup = Setup::new();
    let path = setup.fetch().unwrap();
    let client = hf_hub::HFClient::builder()
        .cache_dir(setup.cache.path())
        .build_sync()
        .unwrap();
    let found = client
        .dataset("owner", "set")
        .download_file()
        .filename(FILE)
        .revision(COMMIT)
        .local_files_only(true)
        .send()
        .unwrap();
    assert_eq!(found, path);
}

#[test]
fn several_fetches_at_once_make_one_download() {
    let setup = Setup::new();
    setup
        .server
        .fail([Fault::Trickle(20_000, Duration::from_millis(2))]);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| setup.assert_right(&setup.fetch().unwrap()));
        }
    });
    assert_eq!(setup.file_requests(), 1);
}
