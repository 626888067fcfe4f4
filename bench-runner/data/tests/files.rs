//! From files of every layout to images, rows and text; and files that are not as they should be.

use std::path::Path;
use std::sync::Arc;

use crate::support::files::{encode, idx, image_frame, parquet_bytes, picture, png, write_parquet};
use crate::support::hub::{COMMIT, StandInHub};
use bench_data::{
    Augmentation, Catalogue, Hub, HubOptions, Library, Silent, SparseSet, State, StreamOptions,
    sha256,
};
use candle_core::{DType, Device, Tensor};
use image::ImageFormat;
use polars::prelude::*;

const IMAGES: &str = r#"
[set]
title = "A test set"
layout = "image-parquet"
path = "."
files.train = [{ path = "train.parquet" }]
files.test = [{ path = "test.parquet" }]
shape = [3, 4, 4]
classes = ["a", "b"]
licence = "none"
citation = "none"
"#;

fn library(folder: &Path, catalogue: &str) -> Library {
    library_at(folder, catalogue, "http://127.0.0.1:1")
}

/// A library that has decoded nothing yet.
fn reopened(library: &Library) -> Library {
    Library::new(library.catalogue().clone(), library.hub().clone())
}

fn library_at(folder: &Path, catalogue: &str, endpoint: &str) -> Library {
    std::fs::write(folder.join("datasets.toml"), catalogue).unwrap();
    let catalogue = Catalogue::built_in()
        .unwrap()
        .with_file(&folder.join("datasets.toml"))
        .unwrap();
    let options = HubOptions {
        endpoint: endpoint.into(),
        cache: folder.join("cache"),
        attempts: 1,
        progress: Arc::new(Silent),
        offline: false,
        token: None,
        ..HubOptions::from_env()
    };
    Library::new(catalogue, Hub::new(options))
}

/// A train part of `rows` images in groups of three, and a test part of two.
fn images(folder: &Path, rows: u8) -> Library {
    let frame = |rows: u8| {
        let images: Vec<_> = (0..rows).map(png).collect();
        let labels: Vec<_> = (0..rows).map(|i| Some(i64::from(i) % 2)).collect();
        image_frame(&images, &labels)
    };
    write_parquet(&folder.join("train.parquet"), &mut frame(rows), 3);
    write_parquet(&folder.join("test.parquet"), &mut frame(2), 3);
    library(folder, IMAGES)
}

fn first_channel(images: &Tensor) -> Vec<f32> {
    let first = images
        .narrow(1, 0, 1)
        .unwrap()
        .narrow(2, 0, 1)
        .unwrap()
        .narrow(3, 0, 1)
        .unwrap();
    first.flatten_all().unwrap().to_vec1().unwrap()
}

#[test]
fn parquet_images_come_out_channels_first() {
    let folder = tempfile::tempdir().unwrap();
    let sets = images(folder.path(), 7).images("set").unwrap();
    assert_eq!(sets.train.labels(), [0, 1, 0, 1, 0, 1, 0]);
    let expected: Vec<u8> = [5; 16]
        .into_iter()
        .chain((0..16).map(|i| i % 4 * 16))
        .chain((0..16).map(|i| i / 4 * 16))
        .collect();
    assert_eq!(sets.train.pixels(5), expected);
}

#[test]
fn a_set_from_the_hub_equals_the_set_from_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let local = images(folder.path(), 7).images("set").unwrap();
    let server = StandInHub::start();
    let mut catalogue = IMAGES.replace(
        "path = \".\"",
        &format!("repository = \"owner/set\"\nrevision = \"{COMMIT}\""),
    );
    for part in ["train", "test"] {
        let bytes = std::fs::read(folder.path().join(format!("{part}.parquet"))).unwrap();
        let pinned = format!(
            "{{ path = \"{part}.parquet\", bytes = {}, sha256 = \"{}\" }}",
            bytes.len(),
            sha256(&bytes)
        );
        catalogue = catalogue.replace(&format!("{{ path = \"{part}.parquet\" }}"), &pinned);
        server.add("owner/set", &format!("{part}.parquet"), bytes);
    }
    let library = library_at(folder.path(), &catalogue, &server.endpoint);
    assert_eq!(library.images("set").unwrap(), local);
    let entry = library.catalogue().get("set").unwrap();
    let files = entry.files.as_ref().unwrap();
    for (_, files) in files.iter() {
        for file in files {
            let state = library.hub().verify(&entry.location, file).unwrap();
            assert_eq!(state, State::Verified);
        }
    }
    let train = &files.train[0];
    let path = library.hub().path(&entry.location, train).unwrap();
    std::fs::write(std::fs::canonicalize(path).unwrap(), b"damaged").unwrap();
    let state = library.hub().verify(&entry.location, train).unwrap();
    assert!(matches!(state, State::Damaged { .. }), "{state:?}");
    assert_eq!(library.images("set").unwrap(), local);
}

#[test]
fn malformed_parquet_names_file_row_and_column() {
    type Change = fn(&mut DataFrame);
    let relabel = |frame: &mut DataFrame, value: Option<i64>| {
        let labels: Vec<Option<i64>> = (0..7)
            .map(|i| if i == 4 { value } else { Some(0) })
            .collect();
        frame
            .replace("label", Series::new("label".into(), labels).into())
            .unwrap();
    };
    let cases: Vec<(Box<dyn Fn(&mut DataFrame)>, &str)> = vec![
        (
            Box::new(move |f| relabel(f, Some(2))),
            "row 4 column `label`: the label is 2, expected 0 to 1",
        ),
        (
            Box::new(move |f| relabel(f, Some(-1))),
            "row 4 column `label`: the label is missing, negative or beyond 32 bits",
        ),
        (
            Box::new(move |f| relabel(f, None)),
            "row 4 column `label`: the label is missing",
        ),
        (
            Box::new((|f| *f = f.drop("label").unwrap()) as Change),
            "expected one column of labels",
        ),
        (
            Box::new((|f| *f = f.drop("image").unwrap()) as Change),
            "the file has `label` (i64)",
        ),
        (Box::new((|f| *f = f.head(Some(0))) as Change), "no rows"),
    ];
    for (change, says) in cases {
        let folder = tempfile::tempdir().unwrap();
        let library = images(folder.path(), 7);
        let encoded: Vec<_> = (0..7).map(png).collect();
        let mut frame = image_frame(&encoded, &[Some(0); 7]);
        change(&mut frame);
        write_parquet(&folder.path().join("train.parquet"), &mut frame, 3);
        let error = library.images("set").unwrap_err().to_string();
        assert!(
            error.contains(says) && error.contains("train.parquet"),
            "{error}"
        );
    }
}

#[test]
fn damaged_images_name_file_row_and_column() {
    let truncated = png(3)[..60].to_vec();
    let large = encode(&picture(5, 4, 0), ImageFormat::Png);
    let jpeg = encode(&picture(4, 4, 0), ImageFormat::Jpeg);
    let cut = |bytes: usize| jpeg[..jpeg.len() - bytes].to_vec();
    for (bytes, says) in [
        (truncated, "not a readable PNG or JPEG image"),
        (cut(1), "its end is missing"),
        (cut(9), "its end is missing"),
        (cut(jpeg.len() - 30), "not a readable PNG or JPEG image"),
        (
            b"no image at all".to_vec(),
            "not a readable PNG or JPEG image",
        ),
        (Vec::new(), "the bytes are empty"),
        (large, "4 rows of 5 pixels, expected 4 of 4"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let library = images(folder.path(), 7);
        let mut encoded: Vec<_> = (0..7).map(png).collect();
        encoded[5] = bytes;
        let mut frame = image_frame(&encoded, &[Some(0); 7]);
        write_parquet(&folder.path().join("train.parquet"), &mut frame, 3);
        let error = library.images("set").unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        assert!(
            error.contains("train.parquet row 5 column `image`"),
            "{error}"
        );
        let mut stream = library
            .stream("set", "train", StreamOptions::in_order(7), &Device::Cpu)
            .unwrap();
        let error = stream.next().unwrap().unwrap_err().to_string();
        assert!(error.contains("row 5") && error.contains(says), "{error}");
        assert!(stream.next().is_none());
    }
}

#[test]
fn damaged_parquet_is_an_error_never_a_panic() {
    let encoded: Vec<_> = (0..7).map(png).collect();
    let good = parquet_bytes(&mut image_frame(&encoded, &[Some(0); 7]));
    let folder = tempfile::tempdir().unwrap();
    let library = images(folder.path(), 7);
    let mut variants: Vec<Vec<u8>> = [0, 3, 12, good.len() / 2, good.len() - 1]
        .iter()
        .map(|&n| good[..n].to_vec())
        .collect();
    // Every byte of the footer, and some of the pages.
    let positions = (good.len() - 700..good.len()).chain((4..good.len() - 700).step_by(37));
    variants.extend(positions.map(|at| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x55;
        bytes
    }));
    for bytes in variants {
        std::fs::write(folder.path().join("train.parquet"), bytes).unwrap();
        // A change may hit what nobody reads; then the set still loads.
        if let Err(error) = library.images("set") {
            assert!(error.to_string().contains("train.parquet"), "{error}");
        }
    }
}

#[test]
fn columns_of_other_names_are_found_by_type() {
    let folder = tempfile::tempdir().unwrap();
    let library = images(folder.path(), 7);
    let encoded: Vec<_> = (0..7).map(png).collect();
    let mut frame = image_frame(&encoded, &[Some(1); 7]);
    frame.rename("image", "picture".into()).unwrap();
    frame.rename("label", "digit".into()).unwrap();
    write_parquet(&folder.path().join("train.parquet"), &mut frame, 3);
    assert_eq!(library.images("set").unwrap().train.labels(), [1; 7]);
    let mut damaged = image_frame(&vec![b"no image".to_vec(); 7], &[Some(1); 7]);
    damaged.rename("image", "picture".into()).unwrap();
    write_parquet(&folder.path().join("train.parquet"), &mut damaged, 3);
    let options = StreamOptions::in_order(7);
    let mut stream = library
        .stream("set", "train", options, &Device::Cpu)
        .unwrap();
    let error = stream.next().unwrap().unwrap_err().to_string();
    assert!(error.contains("column `picture`"), "{error}");
    let other = Series::new("other".into(), vec![0i32; 7]);
    frame.with_column(other.into()).unwrap();
    write_parquet(&folder.path().join("train.parquet"), &mut frame, 3);
    let error = reopened(&library).images("set").unwrap_err().to_string();
    assert!(error.contains("`digit` (i64), `other` (i32)"), "{error}");
}

#[test]
fn a_stream_visits_every_image_once_and_resumes() {
    let folder = tempfile::tempdir().unwrap();
    let library = images(folder.path(), 50);
    let batches = |options: StreamOptions| -> Vec<Vec<f32>> {
        let stream = library
            .stream("set", "train", options, &Device::Cpu)
            .unwrap();
        stream
            .map(|batch| first_channel(&batch.unwrap().0))
            .collect()
    };
    let in_order = batches(StreamOptions::in_order(8));
    let expected: Vec<f32> = (0..50).map(|i| i as f32 / 255.0).collect();
    assert_eq!(in_order.concat(), expected);
    let options = StreamOptions {
        shuffle_window: 10,
        drop_last: false,
        ..StreamOptions::new(3, 1, 8)
    };
    let shuffled = batches(options.clone());
    assert_ne!(shuffled.concat(), expected);
    let mut sorted = shuffled.concat();
    sorted.sort_by(f32::total_cmp);
    assert_eq!(sorted, expected);
    assert_eq!(batches(options.clone()), shuffled);
    assert_eq!(
        batches(StreamOptions {
            skip: 4,
            ..options.clone()
        }),
        shuffled[4..]
    );
    assert_ne!(
        batches(StreamOptions {
            epoch: 2,
            ..options
        }),
        shuffled
    );
}

#[test]
fn a_stream_can_be_dropped_early() {
    let folder = tempfile::tempdir().unwrap();
    let library = images(folder.path(), 50);
    let mut stream = library
        .stream("set", "train", StreamOptions::new(0, 0, 2), &Device::Cpu)
        .unwrap();
    assert!(stream.next().is_some());
    drop(stream);
}

#[test]
fn images_of_any_size_are_scaled_where_the_catalogue_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let sized: Vec<_> = [(9, 6), (6, 20), (30, 30)]
        .iter()
        .map(|&(w, h)| encode(&picture(w, h, 77), ImageFormat::Png))
        .collect();
    let mut frame = image_frame(&sized, &[Some(0), Some(1), Some(0)]);
    for part in ["train", "test"] {
        write_parquet(
            &folder.path().join(format!("{part}.parquet")),
            &mut frame,
            3,
        );
    }
    let library = library(
        folder.path(),
        &IMAGES.replace("shape =", "resize = 5\nshape ="),
    );
    let set = library.images("set").unwrap().train;
    assert!((0..3).all(|i| set.pixels(i)[..16] == [77; 16]));
    let options = StreamOptions {
        augmentation: Augmentation {
            random_resized_crop: true,
            flip: true,
            crop_padding: 0,
        },
        ..StreamOptions::new(0, 0, 3)
    };
    let draw = |epoch| {
        let options = StreamOptions {
            epoch,
            ..options.clone()
        };
        let (images, _) = library
            .stream("set", "train", options, &Device::Cpu)
            .unwrap()
            .next()
            .unwrap()
            .unwrap();
        assert!(
            first_channel(&images)
                .iter()
                .all(|v| (v - 77.0 / 255.0).abs() < 1e-6)
        );
        images.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    assert_eq!(draw(0), draw(0));
    assert_ne!(draw(0), draw(1));
}

#[test]
fn augmentation_is_a_function_of_seed_epoch_and_image() {
    let folder = tempfile::tempdir().unwrap();
    let set = images(folder.path(), 20).images("set").unwrap().train;
    let augmentation = Augmentation {
        flip: true,
        crop_padding: 1,
        random_resized_crop: false,
    };
    let draw = |indices: &[u32], epoch| {
        let (images, _) = set
            .augmented_batch(indices, &augmentation, (5, epoch), &Device::Cpu, DType::F64)
            .unwrap();
        images.flatten_from(1).unwrap().to_vec2::<f64>().unwrap()
    };
    let whole = draw(&(0..20).collect::<Vec<_>>(), 0);
    assert_eq!(draw(&[7, 3], 0), [whole[7].clone(), whole[3].clone()]);
    assert_ne!(draw(&[7, 3], 1), [whole[7].clone(), whole[3].clone()]);
    // Each value is one of the image's own, or the padding's zero; about half of the images are flipped.
    let flipped = (0..20).filter(|&i| {
        let row = &whole[i][16 + 4..16 + 8];
        row.iter()
            .filter(|v| **v > 0.0)
            .collect::<Vec<_>>()
            .windows(2)
            .any(|pair| pair[0] > pair[1])
    });
    assert!((3..=17).contains(&flipped.count()));
    let none = set
        .augmented_batch(
            &[4],
            &Augmentation::default(),
            (0, 0),
            &Device::Cpu,
            DType::F32,
        )
        .unwrap()
        .0;
    let plain = set.batch(&[4], &Device::Cpu, DType::F32).unwrap().0;
    assert_eq!(
        none.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
        plain.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    );
}

#[test]
fn idx_folders_and_candle_types() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = r#"
[idx]
title = "IDX"
layout = "idx"
path = "."
files.train = [{ path = "images" }, { path = "labels" }]
files.test = [{ path = "images" }, { path = "labels" }]
shape = [1, 2, 2]
classes = 3
licence = "none"
citation = "none"

[folder]
title = "Folder"
layout = "image-folder"
path = "."
files.train = [{ path = "tree" }]
files.test = [{ path = "tree" }]
shape = [3, 4, 4]
classes = ["cat", "dog"]
licence = "none"
citation = "none"
"#;
    let library = library(folder.path(), catalogue);
    let write = |name: &str, bytes: Vec<u8>| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    write("images", idx(&[3, 2, 2], &(0..12).collect::<Vec<u8>>()));
    write("labels", idx(&[3], &[2, 0, 1]));
    let sets = library.images("idx").unwrap();
    assert_eq!(
        (sets.train.pixels(1), sets.train.labels()),
        (&[4u8, 5, 6, 7][..], &[2u32, 0, 1][..])
    );
    let candle = sets.to_candle(&Device::Cpu).unwrap();
    assert_eq!(
        (candle.train_images.dims(), candle.labels),
        (&[3, 1, 2, 2][..], 3)
    );
    for (bytes, says) in [
        (idx(&[2], &[0, 1]), "dimensions [2], expected [3]"),
        (idx(&[3], &[0, 1]), "2 bytes after the header, expected [3]"),
        (
            idx(&[3], &[0, 1, 3]),
            "row 2 column `label`: label 3 is out of range",
        ),
        (vec![0, 0, 8], "not an IDX file"),
        (vec![0x1f, 0x8b, 8, 0], "damaged gzip"),
    ] {
        write("labels", bytes);
        let error = reopened(&library).images("idx").unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("labels"), "{error}");
    }
    write("tree/dog/1.png", png(9));
    write("tree/cat/2.png", png(8));
    let jpeg = encode(&picture(4, 4, 128), ImageFormat::Jpeg);
    write("tree/cat/3.jpg", jpeg);
    let set = library.images("folder").unwrap().train;
    assert_eq!((set.labels(), set.pixels(2)[0]), (&[0u32, 0, 1][..], 9));
    write("tree/cow/1.png", png(9));
    let error = reopened(&library).images("folder").unwrap_err().to_string();
    assert!(
        error.contains("cow: no class of this name: expected cat, dog"),
        "{error}"
    );
}

#[test]
fn libsvm_rows_are_read_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let catalogue = r#"
[rows]
title = "Rows"
layout = "libsvm"
path = "."
files.train = [{ path = "rows" }]
files.test = [{ path = "rows" }]
features = 4
licence = "none"
citation = "none"
"#;
    let library = library(folder.path(), catalogue);
    let path = folder.path().join("rows");
    std::fs::write(&path, "+1 1:0.5 4:2\n\n-1\n").unwrap();
    let set = library.sparse("rows").unwrap().train;
    let (rows, labels) = set.batch(&[1, 0], &Device::Cpu, DType::F64).unwrap();
    assert_eq!(
        rows.to_vec2::<f64>().unwrap(),
        [[0.0; 4], [0.5, 0.0, 0.0, 2.0]]
    );
    assert_eq!(labels.to_vec1::<f64>().unwrap(), [-1.0, 1.0]);
    std::fs::write(&path, "# Two queries\n2 qid:1 1:0.5 # best\n1 qid:2 4:2#\n").unwrap();
    let set = library.sparse("rows").unwrap().train;
    assert_eq!(set.labels(), [2.0, 1.0]);
    assert_eq!(set.row(0), (&[0][..], &[0.5][..]));
    assert_eq!(set.row(1), (&[3][..], &[2.0][..]));
    for (text, says) in [
        (
            "+1 1:1\n+1 5:1\n",
            "rows row 2: index 5 after 0, expected ascending indices from 1 to 4",
        ),
        ("+1 2:1 2:1\n", "row 1: index 2 after 2"),
        ("+1 0:1\n", "index 0 after 0"),
        ("+1 1=1\n", "`1=1`, expected index:value"),
        ("yes 1:1\n", "label `yes`, expected a number"),
        ("\n", "no rows"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = library.sparse("rows").unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_libsvm_row_is_no_longer_than_its_features_allow() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows");
    // Two rows of 4 features in many digits are read; a row without an end is not kept.
    let long = format!("+1 1:0.{}5 4:2\n-1 2:1\n", "0".repeat(100));
    std::fs::write(&path, long).unwrap();
    assert_eq!(SparseSet::read(&path, 4).unwrap().len(), 2);
    std::fs::write(&path, format!("+1 1:2\n-1 {}", "1".repeat(1 << 20))).unwrap();
    let error = SparseSet::read(&path, 4).unwrap_err().to_string();
    assert!(error.contains("row 2: more than 640 letters"), "{error}");
}

#[test]
fn catalogue_errors_name_file_line_and_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    for (from, to, says) in [
        (
            "licence =",
            "license =",
            "mine.toml:10: unknown field `license`",
        ),
        ("licence =", "license =", "did you mean `licence`?"),
        (
            "layout = \"image-parquet\"",
            "layout = \"image-parket\"",
            "did you mean `image-parquet`?",
        ),
        (
            "shape = [3, 4, 4]",
            "shape = [2, 4, 4]",
            "mine.toml:8: dataset `set`, key `shape`: expected [channels, height, width]",
        ),
        (
            "path = \".\"",
            "repository = \"a/b\"\nrevision = \"main\"",
            "mine.toml:6: dataset `set`, key `revision`: expected a commit",
        ),
        (
            "path = \".\"",
            "repository = \"b\"",
            "key `repository`: expected `owner/name`",
        ),
        ("path = \".\"", "", "expected exactly one of `repository`"),
        (
            "\"train.parquet\"",
            "\"../train.parquet\"",
            "expected a relative path without `..`",
        ),
        (
            "\"train.parquet\"",
            "\"t\", sha256 = \"12\"",
            "expected 64 hexadecimal digits or \"unpinned\"",
        ),
        (
            "files.train = [{ path = \"train.parquet\" }]",
            "files.train = []",
            "at least one file in each part",
        ),
        (
            "shape =",
            "mean = [0.5]\nstd = [0.5]\nshape =",
            "mine.toml:8: dataset `set`, key `mean`: expected 3 finite numbers",
        ),
        (
            "classes = [\"a\", \"b\"]",
            "classes = 1",
            "key `classes`: expected at least two classes",
        ),
    ] {
        std::fs::write(&path, IMAGES.replace(from, to)).unwrap();
        let error = Catalogue::built_in()
            .unwrap()
            .with_file(&path)
            .unwrap_err()
            .to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_dataset_is_refused_where_it_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let library = images(folder.path(), 7);
    let error = library.text("set").unwrap_err().to_string();
    assert_eq!(error, "dataset `set` holds images, expected text");
    let counted = IMAGES.replace("shape =", "rows = { train = 8, test = 2 }\nshape =");
    let library = self::library(folder.path(), &counted);
    let error = library.images("set").unwrap_err().to_string();
    assert!(
        error.contains("the train part of `set` has 7 rows, expected 8"),
        "{error}"
    );
}

/// What Fashion-MNIST's and MNIST's authors and users publish: counts, class balance, mean and deviation.
fn check_published(folder: &Path, mean: f64, std: f64, class_counts: [usize; 10]) {
    let file = |stem: &str| {
        let packed = format!("{stem}.gz");
        if folder.join(&packed).exists() {
            packed
        } else {
            stem.into()
        }
    };
    let pair = |part: &str| {
        let (images, labels) = (
            file(&format!("{part}-images-idx3-ubyte")),
            file(&format!("{part}-labels-idx1-ubyte")),
        );
        format!("[{{ path = \"{images}\" }}, {{ path = \"{labels}\" }}]")
    };
    let catalogue = format!(
        "[real]\ntitle = \"Real\"\nlayout = \"idx\"\npath = \"{}\"\nfiles.train = {}\nfiles.test = {}\nshape = [1, 28, 28]\nclasses = 10\nrows = {{ train = 60000, test = 10000 }}\nlicence = \"\"\ncitation = \"\"\n",
        folder.display(),
        pair("train"),
        pair("t10k")
    );
    let scratch = tempfile::tempdir().unwrap();
    let sets = library(scratch.path(), &catalogue).images("real").unwrap();
    assert_eq!(sets.train.class_counts(), class_counts);
    let statistics = sets.train.statistics();
    assert!((statistics.mean[0] - mean).abs() < 5e-5, "{statistics:?}");
    assert!((statistics.std[0] - std).abs() < 5e-5, "{statistics:?}");
}

#[test]
fn fashion_mnist_is_as_published() {
    let folder = Path::new("/usr/share/datasets/fashion-mnist");
    if folder.exists() {
        check_published(folder, 0.2860, 0.3530, [6000; 10]);
    } else {
        eprintln!("not checked: install the Debian package dataset-fashion-mnist");
    }
}

#[test]
fn mnist_is_as_published() {
    if let Some(folder) = std::env::var_os("MNIST_FOLDER") {
        let counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949];
        check_published(Path::new(&folder), 0.1307, 0.3081, counts);
    } else {
        eprintln!("not checked: set MNIST_FOLDER to a folder with MNIST's four IDX files");
    }
}
