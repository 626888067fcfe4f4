//! What only whole processes show: several that share a cache, and how much memory one takes. The data
//! are synthetic.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::support::files::{image_frame, write_parquet_as};
use crate::support::hub::{COMMIT, Fault, StandInHub};
use bench_data::{
    Augmentation, BatchOrder, Catalogue, FileEntry, Hub, HubOptions, Library, Location, Silent,
    StreamOptions, Tokenizer, Vocabulary, moby_dick, sha256,
};
use candle_core::{DType, Device, Tensor};
use polars::prelude::ParquetCompression;

const TASK: &str = "DATA_PROCESS_TASK";
const FOLDER: &str = "DATA_PROCESS_FOLDER";
const ENDPOINT: &str = "DATA_PROCESS_ENDPOINT";

/// A process of its own that does a task of [`child`].
fn task(name: &str, folder: &Path, endpoint: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "processes::child", "--nocapture"])
        .env(TASK, name)
        .env(FOLDER, folder)
        .env(ENDPOINT, endpoint)
        .stdout(Stdio::piped());
    command
}

fn start(name: &str, folder: &Path, endpoint: &str) -> Child {
    task(name, folder, endpoint).spawn().unwrap()
}

/// What the process says after `key=`.
fn answer(child: Child, key: &str) -> String {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let found = text.split_once(&format!("{key}=")).unwrap().1;
    found.split_whitespace().next().unwrap().into()
}

/// The other process's side of the tests below; nothing when it is not asked for a task.
#[test]
fn child() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let folder = std::path::PathBuf::from(std::env::var_os(FOLDER).unwrap());
    if task == "environment" {
        let library = Library::from_env(Some(&folder.join("datasets.toml")), Arc::new(Silent));
        match library.and_then(|library| library.sparse("rows")) {
            Ok(rows) => println!(
                "{} rows, {} features",
                rows.train.len(),
                rows.train.features()
            ),
            Err(error) => println!("{error}"),
        }
        return;
    }
    let hub = Hub::new(HubOptions {
        endpoint: std::env::var(ENDPOINT).unwrap(),
        cache: folder.join("cache"),
        token: None,
        offline: false,
        attempts: 3,
        backoff: Duration::from_millis(1),
        timeout: Duration::from_secs(20),
        most_bytes: u64::MAX,
        progress: Arc::new(Silent),
    });
    if task == "fetch" {
        let path = hub.fetch(&location(), &file()).unwrap();
        println!("sha256={}", sha256(&std::fs::read(path).unwrap()));
        return;
    }
    let catalogue = Catalogue::built_in()
        .unwrap()
        .with_file(&folder.join("datasets.toml"))
        .unwrap();
    let library = Library::new(catalogue, hub);
    let before = status("RssAnon");
    match task.as_str() {
        "draw" => {
            let augmentation = Augmentation {
                flip: true,
                crop_padding: 2,
                random_resized_crop: false,
            };
            let set = library.images("set").unwrap().train;
            let order = BatchOrder::new(1, set.len(), 64, true).unwrap().epoch(2);
            let mut drawn = Vec::new();
            for index in 0..order.len() {
                let indices = order.batch(index);
                let batch =
                    set.augmented_batch(&indices, &augmentation, (1, 2), &Device::Cpu, DType::F32);
                drawn.extend(bytes(&batch.unwrap()));
            }
            let options = StreamOptions {
                augmentation,
                shuffle_window: 50,
                ..StreamOptions::new(1, 2, 64)
            };
            for batch in library
                .stream("set", "train", options, &Device::Cpu)
                .unwrap()
            {
                drawn.extend(bytes(&batch.unwrap()));
            }
            println!("sha256={}", sha256(&drawn));
        }
        "load" => {
            let set = library.images("set").unwrap();
            println!("held={}", status("RssAnon") - before);
            assert_eq!((set.train.len(), set.test.len()), (50_000, 10_000));
        }
        "stream" => {
            let options = StreamOptions {
                drop_last: false,
                ..StreamOptions::new(0, 0, 64)
            };
            let batches = library.stream("set", "train", options, &Device::Cpu);
            let images = batches
                .unwrap()
                .map(|batch| batch.unwrap().0.dim(0).unwrap());
            println!("images={} peak={}", images.sum::<usize>(), status("VmHWM"));
        }
        _ => {
            let path = folder.join("tokenizer.json");
            let tokens = library.tokens("set", &Tokenizer::File { path }).unwrap();
            println!(
                "tokens={} peak={}",
                tokens.parts.train.len(),
                status("VmHWM")
            );
        }
    }
}

fn bytes((images, labels): &(Tensor, Tensor)) -> Vec<u8> {
    let images = images.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let labels = labels.to_vec1::<u32>().unwrap();
    let images = images.iter().flat_map(|value| value.to_le_bytes());
    images
        .chain(labels.iter().flat_map(|label| label.to_le_bytes()))
        .collect()
}

/// A field of this process's status, in bytes.
fn status(field: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(field));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<usize>().ok());
    kibibytes.unwrap_or_default() * 1024
}

fn location() -> Location {
    Location::Hub {
        repository: "owner/set".into(),
        revision: COMMIT.into(),
    }
}

fn body() -> Vec<u8> {
    noise(1, 400_000)
}

fn file() -> FileEntry {
    let body = body();
    FileEntry {
        path: "data/train.bin".into(),
        bytes: Some(body.len() as u64),
        sha256: Some(sha256(&body)),
    }
}

/// Bytes that do not compress and begin as no image does.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::once(0)
        .chain(std::iter::repeat_with(&mut next))
        .take(length)
        .collect()
}

#[test]
fn two_processes_that_fetch_the_same_file_make_one_download() {
    let folder = tempfile::tempdir().unwrap();
    let server = StandInHub::start();
    server.add("owner/set", "data/train.bin", body());
    // Long enough for both to ask while the download is under way.
    server.fail([Fault::Trickle(10_000, Duration::from_millis(20))]);
    let children = [(); 2].map(|()| start("fetch", folder.path(), &server.endpoint));
    for child in children {
        assert_eq!(answer(child, "sha256"), sha256(&body()));
    }
    let downloads = server.requests().iter().filter(|r| r.redirected).count();
    assert_eq!(downloads, 1);
}

#[test]
fn the_environment_says_where_hub_cache_and_token_are() {
    let folder = tempfile::tempdir().unwrap();
    let server = StandInHub::start();
    server.require_token("hf_secret");
    let catalogue = folder.path().join("datasets.toml");
    let mut text = format!(
        "[rows]\ntitle = \"Rows\"\nlayout = \"libsvm\"\nrepository = \"owner/rows\"\nrevision = \"{COMMIT}\"\nfeatures = 2\nlicence = \"\"\ncitation = \"\"\n"
    );
    for part in ["train", "test"] {
        server.add("owner/rows", part, b"+1 1:1\n-1 2:1\n".to_vec());
        text += &format!("files.{part} = [{{ path = \"{part}\" }}]\n");
    }
    std::fs::write(&catalogue, text).unwrap();
    let run = |name: &str, variables: &[(&str, &str)]| {
        let output = task(name, folder.path(), "")
            .env_remove("HF_TOKEN")
            .env_remove("HF_HUB_CACHE")
            .env("HF_HOME", folder.path().join("home"))
            .env("HF_ENDPOINT", &server.endpoint)
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let said = run("environment", &[]);
    assert!(
        said.contains("access denied (401") && said.contains("set HF_TOKEN"),
        "{said}"
    );
    let said = run("environment", &[("HF_HUB_OFFLINE", "1")]);
    assert!(said.contains("HF_HUB_OFFLINE is set"), "{said}");
    // A token beside another cache is another's: Python's client does not take it either.
    let other = folder.path().join("other");
    std::fs::create_dir_all(&other).unwrap();
    std::fs::write(other.join("token"), "hf_secret\n").unwrap();
    let (token, cache) = (other.join("token"), other.join("hub"));
    let path = ("HF_TOKEN_PATH", token.to_str().unwrap());
    let cache = ("HF_HUB_CACHE", cache.to_str().unwrap());
    for variables in [
        vec![cache],
        vec![path, ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")],
    ] {
        let said = run("environment", &variables);
        assert!(said.contains("access denied (401"), "{said}");
    }
    let said = run("environment", &[path, cache]);
    assert!(said.contains("2 rows, 2 features"), "{said}");
    let said = run("environment", &[("HF_TOKEN", "hf_secret")]);
    assert!(said.contains("2 rows, 2 features"), "{said}");
    let cached = folder.path().join("home/hub/datasets--owner--rows");
    assert!(cached.is_dir(), "{said}");
    let requests = server.requests().len();
    let said = run("environment", &[("HF_HUB_OFFLINE", "1")]);
    assert!(said.contains("2 rows, 2 features"), "{said}");
    assert_eq!(server.requests().len(), requests);
}

#[test]
fn a_killed_process_leaves_nothing_that_is_taken_for_data() {
    let folder = tempfile::tempdir().unwrap();
    let server = StandInHub::start();
    server.add("owner/set", "data/train.bin", body());
    server.fail([Fault::Trickle(10_000, Duration::from_millis(20))]);
    let mut first = start("fetch", folder.path(), &server.endpoint);
    let blobs = folder.path().join("cache/datasets--owner--set/blobs");
    let arrived = || -> u64 {
        let files = std::fs::read_dir(&blobs).into_iter().flatten().flatten();
        files
            .map(|file| file.metadata().map_or(0, |m| m.len()))
            .sum()
    };
    while arrived() < 50_000 {
        std::thread::sleep(Duration::from_millis(5));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(
        !folder
            .path()
            .join("cache/datasets--owner--set/snapshots")
            .exists()
    );
    let second = start("fetch", folder.path(), &server.endpoint);
    assert_eq!(answer(second, "sha256"), sha256(&body()));
    let last = server.requests().pop().unwrap();
    assert!(last.range.is_some(), "what had arrived was asked for again");
}

/// A catalogue whose train part is one file so many times over, and the file: `rows` images of raw pixels.
fn images(folder: &Path, shape: [usize; 3], rows: usize, repeats: usize) {
    let size = shape.iter().product();
    let pixels: Vec<Vec<u8>> = (0..rows).map(|row| noise(row as u64, size)).collect();
    let mut frame = image_frame(&pixels, &vec![Some(1); rows]);
    let path = folder.join("part.parquet");
    write_parquet_as(&path, &mut frame, 100, ParquetCompression::Uncompressed);
    let part = "{ path = \"part.parquet\" }";
    let text = format!(
        "[set]\ntitle = \"Synthetic\"\nlayout = \"image-parquet\"\npath = \".\"\nfiles.train = [{}]\nfiles.test = [{part}]\nshape = {shape:?}\nclasses = 2\nlicence = \"\"\ncitation = \"\"\n",
        vec![part; repeats].join(", ")
    );
    std::fs::write(folder.join("datasets.toml"), text).unwrap();
}

#[test]
fn batches_do_not_depend_on_the_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path(), [3, 32, 32], 500, 2);
    let drawn = ["1", "4"].map(|threads| {
        let child = task("draw", folder.path(), "")
            .env("RAYON_NUM_THREADS", threads)
            .spawn();
        answer(child.unwrap(), "sha256")
    });
    assert_eq!(drawn[0], drawn[1]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_set_of_the_size_of_cifar10_takes_its_raw_bytes() {
    let folder = tempfile::tempdir().unwrap();
    images(folder.path(), [3, 32, 32], 10_000, 5);
    let held: f64 = answer(start("load", folder.path(), ""), "held")
        .parse()
        .unwrap();
    let raw = 60_000.0 * 3072.0;
    println!("{:.3} times the raw bytes", held / raw);
    assert!(held >= raw && held <= 1.1 * raw, "{held}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_stream_takes_the_same_memory_for_any_number_of_shards() {
    let folder = tempfile::tempdir().unwrap();
    let mut peaks = Vec::new();
    for shards in [7, 21] {
        images(folder.path(), [3, 224, 224], 400, shards);
        let child = start("stream", folder.path(), "");
        peaks.push(answer(child, "peak").parse::<usize>().unwrap());
    }
    println!("peaks: {peaks:?} bytes");
    let shard = 400 * 3 * 224 * 224;
    assert!(
        21 * shard > 1 << 30,
        "the larger set is larger than the bound"
    );
    assert!(peaks[1] < 1 << 30, "{peaks:?}");
    assert!(peaks[1] < peaks[0] + shard, "{peaks:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn text_of_any_length_becomes_tokens_in_the_same_memory() {
    let folder = tempfile::tempdir().unwrap();
    let text = moby_dick().unwrap();
    let Vocabulary::Bpe(bpe) = Vocabulary::train_bpe(&text.test, 400).unwrap() else {
        unreachable!()
    };
    bpe.save(&folder.path().join("tokenizer.json")).unwrap();
    std::fs::write(folder.path().join("text"), &text.train).unwrap();
    let mut peaks = Vec::new();
    for repeats in [8, 40] {
        let catalogue = format!(
            "[set]\ntitle = \"T\"\nlayout = \"text\"\npath = \".\"\nfiles.train = [{}]\nfiles.test = [{{ path = \"text\" }}]\nlicence = \"\"\ncitation = \"\"\n",
            vec!["{ path = \"text\" }"; repeats].join(", ")
        );
        std::fs::write(folder.path().join("datasets.toml"), catalogue).unwrap();
        let child = start("tokenise", folder.path(), "");
        peaks.push(answer(child, "peak").parse::<usize>().unwrap());
    }
    println!("peaks: {peaks:?} bytes");
    // The longer text alone is larger by more than that, and its tokens as much again.
    assert!(32 * text.train.len() > 32 << 20);
    assert!(peaks[1] < peaks[0] + (16 << 20), "{peaks:?}");
}
