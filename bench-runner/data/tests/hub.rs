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
            most_bytes: u64::MAX,
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
        vec![Fault::Packed],
        vec![Fault::Cut(50_000), Fault::Packed],
        vec![Fault::Unframed(100_000)],
        vec![Fault::Endless],
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
    for status in [429, 503] {
        let setup = Setup::new();
        let busy = Fault::Status(status, "Retry-After: 1\r\n");
        setup.server.fail([busy]);
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
            always(Fault::Endless),
            vec!["the server sends more than the 300000 bytes"],
        ),
        (
            always(Fault::Trickle(1, Duration::from_millis(20))),
            vec!["bytes arrived within 1.2 seconds", "gave up after 3"],
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

fn blobs(setup: &Setup) -> PathBuf {
    setup.cache.path().join("datasets--owner--set/blobs")
}

#[test]
#[cfg(unix)]
fn nothing_outside_the_cache_is_removed_or_written() {
    use std::os::unix::fs::symlink;
    let outside = tempfile::tempdir().unwrap();
    let theirs = outside.path().join("thesis.bin");
    let unharmed = || assert_eq!(std::fs::read(&theirs).unwrap(), b"theirs");
    std::fs::write(&theirs, b"theirs").unwrap();

    // The file itself is a link to another's file.
    let setup = Setup::new();
    let pointer = setup.fetch().unwrap();
    std::fs::remove_file(&pointer).unwrap();
    symlink(&theirs, &pointer).unwrap();
    setup.assert_right(&setup.fetch().unwrap());
    unharmed();

    // What arrives would go through a link.
    let setup = Setup::new();
    std::fs::create_dir_all(blobs(&setup)).unwrap();
    let key = format!("datasets/{REPOSITORY}@{COMMIT}/{FILE}");
    let partial = format!("{}.incomplete", sha256(key.as_bytes()));
    symlink(&theirs, blobs(&setup).join(partial)).unwrap();
    setup.assert_right(&setup.fetch().unwrap());
    unharmed();

    // A folder of the cache is a link.
    for folder in ["datasets--owner--set", "datasets--owner--set/snapshots"] {
        let setup = Setup::new();
        let link = setup.cache.path().join(folder);
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(outside.path(), &link).unwrap();
        let error = setup.fetch().unwrap_err().to_string();
        assert!(error.contains("leads out of the cache"), "{error}");
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
        unharmed();
    }
}

#[test]
#[cfg(unix)]
fn a_cache_can_be_moved() {
    let setup = Setup::new();
    let pointer = setup.fetch().unwrap();
    let target = std::fs::read_link(&pointer).unwrap();
    // Up from `snapshots/COMMIT/data`.
    let relative = format!("../../../blobs/{}", sha256(&setup.body));
    assert_eq!(target, Path::new(&relative));
    let elsewhere = tempfile::tempdir().unwrap();
    let moved = elsewhere.path().join("cache");
    std::fs::rename(setup.cache.path(), &moved).unwrap();
    let offline = setup.hub_with(|options| {
        options.offline = true;
        options.cache = moved;
    });
    setup.assert_right(&offline.fetch(&location(), &setup.pinned()).unwrap());
}

#[test]
#[cfg(unix)]
fn absolute_links_of_a_copied_cache_are_healed() {
    let setup = Setup::new();
    let pointer = setup.fetch().unwrap();
    let name = sha256(&setup.body);
    // As an earlier version, or a copying program, made it where the cache was first.
    let first = Path::new("/nowhere/cache/blobs").join(&name);
    std::fs::remove_file(&pointer).unwrap();
    std::os::unix::fs::symlink(first, &pointer).unwrap();
    let offline = setup.hub_with(|options| options.offline = true);
    setup.assert_right(&offline.fetch(&location(), &setup.pinned()).unwrap());
    let relative = format!("../../../blobs/{name}");
    assert_eq!(std::fs::read_link(&pointer).unwrap(), Path::new(&relative));
    // A link to a file that no blob stands for stays, whatever it is.
    let other = setup.cache.path().join("other");
    std::fs::remove_file(&pointer).unwrap();
    std::os::unix::fs::symlink(&other, &pointer).unwrap();
    offline.fetch(&location(), &setup.pinned()).unwrap_err();
    assert_eq!(std::fs::read_link(&pointer).unwrap(), other);
}

#[test]
fn names_reach_the_server_as_they_are() {
    let setup = Setup::new();
    // The decoys are what the names would be without encoding.
    for decoy in ["data/c", "q", "100A"] {
        setup.server.add(REPOSITORY, decoy, b"decoy".to_vec());
    }
    // RFC 3986, section 2.1.
    for (name, encoded) in [
        ("data/c#.txt", "data/c%23.txt"),
        ("q?x.txt", "q%3Fx.txt"),
        ("100%41 ž.txt", "100%2541%20%C5%BE.txt"),
    ] {
        let body = format!("what {name} holds").into_bytes();
        setup.server.add(REPOSITORY, encoded, body.clone());
        let path = setup.hub().fetch(&location(), &unpinned(name)).unwrap();
        assert_eq!(std::fs::read(path).unwrap(), body);
    }
    setup.server.add_at("/base/a%23b".into(), b"web".to_vec());
    let base = Location::Url(format!("{}/base", setup.server.endpoint));
    let path = setup.hub().fetch(&base, &unpinned("a#b")).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), b"web");
}

#[test]
fn a_file_that_changes_meanwhile_is_never_put_together_from_two() {
    for then in [None, Some(Fault::Unconditional)] {
        let setup = Setup::new();
        let fetch = || setup.hub().fetch(&location(), &unpinned(FILE));
        setup.server.fail([Fault::Cut(120_000)]);
        setup.server.fail([(); 3].map(|()| Fault::Status(500, "")));
        fetch().unwrap_err();
        let changed: Vec<u8> = setup.body.iter().map(|byte| !byte).collect();
        setup.server.add(REPOSITORY, FILE, changed.clone());
        setup.server.fail(then);
        assert!(std::fs::read(fetch().unwrap()).unwrap() == changed);
        let asked = setup.server.requests();
        let resumed = |range: &Option<String>| range.as_deref() == Some("bytes=120000-");
        assert!(asked.iter().any(|request| resumed(&request.range)));
    }
}

#[test]
fn a_file_of_unknown_length_is_taken_only_with_a_hash() {
    let setup = Setup::new();
    setup.server.fail([Fault::Unframed(1000)]);
    let error = setup.hub().fetch(&location(), &unpinned(FILE));
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("does not say how long the file is"),
        "{error}"
    );
    let hashed = FileEntry {
        bytes: None,
        ..setup.pinned()
    };
    setup.server.fail([Fault::Unframed(1000)]);
    setup.assert_right(&setup.hub().fetch(&location(), &hashed).unwrap());
}

#[test]
fn no_more_than_the_known_size_is_written() {
    let setup = Setup::new();
    setup.server.fail([(); 3].map(|()| Fault::Endless));
    setup.fetch().unwrap_err();
    let written = std::fs::read_dir(blobs(&setup)).unwrap();
    let bytes: u64 = written.map(|f| f.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes <= setup.body.len() as u64, "{bytes}");
}

#[test]
fn no_more_than_may_be_is_written_of_an_unknown_size() {
    let setup = Setup::new();
    let hub = setup.hub_with(|options| options.most_bytes = 1 << 20);
    setup.server.fail([Fault::EndlessChunks]);
    let error = hub.fetch(&location(), &unpinned(FILE)).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("more than 1048576 bytes"), "{text}");
    assert!(text.contains("pin `bytes`"), "{text}");
    let written = std::fs::read_dir(blobs(&setup)).unwrap();
    let bytes: u64 = written.map(|f| f.unwrap().metadata().unwrap().len()).sum();
    assert_eq!(bytes, 0);
}

#[test]
fn secrets_are_never_shown_and_bad_settings_named_at_once() {
    let setup = Setup::new();
    let fails = |hub: &Hub| hub.fetch(&location(), &setup.pinned()).unwrap_err();
    let secret = setup.hub_with(|options| {
        options.endpoint = "http://someone:pa55word@127.0.0.1:1/?key=s3cret".into();
        options.token = Some("hf_t0ken".into());
    });
    let error = fails(&secret);
    for text in [
        error.to_string(),
        format!("{error:?}"),
        format!("{secret:?}"),
        secret.endpoint(),
    ] {
        for part in ["pa55word", "someone", "s3cret", "hf_t0ken"] {
            assert!(!text.contains(part), "{text}");
        }
    }
    assert_eq!(secret.endpoint(), "http://127.0.0.1:1");
    let token = setup.hub_with(|options| options.token = Some("hf_a\nhf_b".into()));
    let error = fails(&token).to_string();
    assert!(
        error.contains("HF_TOKEN") && !error.contains("hf_a"),
        "{error}"
    );
    let nowhere = setup.hub_with(|options| options.endpoint = "not an address".into());
    let error = fails(&nowhere).to_string();
    assert!(error.contains("HF_ENDPOINT"), "{error}");
    assert!(setup.server.requests().is_empty());
}

#[test]
#[cfg(unix)]
fn a_cache_that_cannot_be_written_is_read() {
    use std::os::unix::fs::PermissionsExt;
    let setup = Setup::new();
    let pointer = setup.fetch().unwrap();
    std::fs::remove_file(setup.cache.path().join("datasets.lock.toml")).unwrap();
    let allow = |mode: u32| {
        for folder in [setup.cache.path().join(".locks"), setup.cache.path().into()] {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    allow(0o555);
    let refused = std::fs::write(setup.cache.path().join("probe"), b"").is_err();
    let found = setup.fetch();
    allow(0o755);
    assert_eq!(found.unwrap(), pointer);
    if !refused {
        eprintln!("not checked: this user may write everywhere");
    }
}
