//! Mutated files of every format that comes from elsewhere: each is read, or refused by an error; none ends in
//! a panic. The cases follow from a fixed seed.

use std::path::Path;
use std::sync::Arc;

use crate::support::files::{encode, idx, image_frame, parquet_bytes, picture, png};
use crate::support::mutate::mutate;
use bench_data::{Catalogue, Hub, HubOptions, Library, Result, Silent, SparseSet, Vocabulary};
use image::ImageFormat;
use polars::prelude::*;

fn library(folder: &Path, text: &str) -> Result<Library> {
    let path = folder.join("datasets.toml");
    std::fs::write(&path, text).unwrap();
    let hub = Hub::new(HubOptions {
        cache: folder.join("cache"),
        offline: true,
        progress: Arc::new(Silent),
        ..HubOptions::from_env()
    });
    Ok(Library::new(Catalogue::built_in()?.with_file(&path)?, hub))
}

fn entry(layout: &str, files: &str, more: &str) -> String {
    format!(
        "[set]\ntitle = \"A set\"\nlayout = \"{layout}\"\npath = \".\"\nfiles.train = [{files}]\nfiles.test = [{files}]\nlicence = \"\"\ncitation = \"\"\n{more}"
    )
}

const SHAPE: &str = "shape = [3, 4, 4]\nclasses = 2\n";

fn images() -> DataFrame {
    image_frame(&[png(1), png(2), png(3)], &[Some(0), Some(1), Some(0)])
}

#[test]
fn parquet_of_images() {
    let folder = tempfile::tempdir().unwrap();
    let text = entry("image-parquet", "{ path = \"p\" }", SHAPE);
    mutate(100, &parquet_bytes(&mut images()), |bytes| {
        std::fs::write(folder.path().join("p"), bytes).unwrap();
        library(folder.path(), &text)?.images("set").map(drop)
    });
}

#[test]
fn parquet_of_text() {
    let folder = tempfile::tempdir().unwrap();
    let text = Series::new("text".into(), ["one line\n", "another", "a third one"]);
    let mut frame = DataFrame::new(3, vec![text.into()]).unwrap();
    let text = entry("text-parquet", "{ path = \"p\" }", "");
    mutate(100, &parquet_bytes(&mut frame), |bytes| {
        std::fs::write(folder.path().join("p"), bytes).unwrap();
        library(folder.path(), &text)?.text("set").map(drop)
    });
}

#[test]
fn png_and_jpeg_in_parquet() {
    let folder = tempfile::tempdir().unwrap();
    for (format, more) in [
        (ImageFormat::Png, "resize = 4\n"),
        (ImageFormat::Jpeg, "resize = 5\n"),
        (ImageFormat::Png, ""),
        (ImageFormat::Jpeg, ""),
    ] {
        let text = entry(
            "image-parquet",
            "{ path = \"p\" }",
            &format!("{SHAPE}{more}"),
        );
        mutate(150, &encode(&picture(4, 4, 5), format), |bytes| {
            let mut frame = image_frame(&[bytes.to_vec()], &[Some(0)]);
            std::fs::write(folder.path().join("p"), parquet_bytes(&mut frame)).unwrap();
            library(folder.path(), &text)?.images("set").map(drop)
        });
    }
}

#[test]
fn idx_and_gzip() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let plain = idx(&[2, 2, 2], &[0, 1, 2, 3, 4, 5, 6, 7]);
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(&plain).unwrap();
    let packed = packer.finish().unwrap();
    std::fs::write(folder.path().join("l"), idx(&[2], &[0, 1])).unwrap();
    let files = "{ path = \"i\" }, { path = \"l\" }";
    let text = entry("idx", files, "shape = [1, 2, 2]\nclasses = 2\n");
    for file in [plain, packed] {
        mutate(300, &file, |bytes| {
            std::fs::write(folder.path().join("i"), bytes).unwrap();
            library(folder.path(), &text)?.images("set").map(drop)
        });
    }
}

#[test]
fn libsvm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows");
    mutate(500, b"+1 1:0.5 3:2 4:1e-3\n\n-1 2:7\n+1\n", |bytes| {
        std::fs::write(&path, bytes).unwrap();
        SparseSet::read(&path, 4).map(drop)
    });
}

/// The files of a small encoding: `tokenizer.json`, `vocab.json`, `merges.txt`.
fn encoding(folder: &Path) -> [Vec<u8>; 3] {
    let text = "the whale and the sea and the ship\n".repeat(20);
    let Vocabulary::Bpe(bpe) = Vocabulary::train_bpe(&text, 260).unwrap() else {
        panic!()
    };
    let path = folder.join("tokenizer.json");
    bpe.save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&whole).unwrap();
    let model = &json["model"];
    let mut merges = "#version: 0.2\n".to_string();
    for pair in model["merges"].as_array().unwrap() {
        let [left, right] = [&pair[0], &pair[1]].map(|part| part.as_str().unwrap());
        merges += &format!("{left} {right}\n");
    }
    [whole, model["vocab"].to_string().into(), merges.into()]
}

#[test]
fn tokenizers() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, vocabulary, merges] = encoding(folder.path());
    let at = |name: &str| folder.path().join(name);
    let usable = |found: Result<Vocabulary>| -> Result<()> {
        let found = found?;
        let tokens = found.encode("the sea \u{1}\u{17e}\n")?;
        let size = found.size();
        assert!(tokens.iter().all(|&token| (token as usize) < size));
        Ok(())
    };
    mutate(300, &whole, |bytes| {
        std::fs::write(at("tokenizer.json"), bytes).unwrap();
        usable(Vocabulary::from_file(&at("tokenizer.json")))
    });
    let gpt2 = || usable(Vocabulary::gpt2(&at("vocab.json"), &at("merges.txt")));
    std::fs::write(at("merges.txt"), &merges).unwrap();
    mutate(300, &vocabulary, |bytes| {
        std::fs::write(at("vocab.json"), bytes).unwrap();
        gpt2()
    });
    std::fs::write(at("vocab.json"), &vocabulary).unwrap();
    mutate(300, &merges, |bytes| {
        std::fs::write(at("merges.txt"), bytes).unwrap();
        gpt2()
    });
}

#[test]
fn catalogues() {
    let folder = tempfile::tempdir().unwrap();
    let text = entry(
        "image-parquet",
        "{ path = \"p-{shard}\", shards = 3 }",
        SHAPE,
    ) + "rows = { train = 10, test = 2 }\nmean = [0.5, 0.5, 0.5]\nstd = [1.0, 1, 2e-1]\nresize = 8\n";
    let path = folder.path().join("datasets.toml");
    mutate(1000, text.as_bytes(), |bytes| {
        std::fs::write(&path, bytes).unwrap();
        Catalogue::built_in()?.with_file(&path).map(drop)
    });
}
