//! Contents that public reports found odd: what Python reads comes out the same here, and what would
//! exhaust the memory or say nothing is refused.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use crate::support::files::{encode, idx, image_frame, parquet_bytes, picture};
use bench_data::{Catalogue, Hub, HubOptions, ImageSet, Library, Result, Silent};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use image::{DynamicImage, GrayImage, ImageFormat};
use polars::prelude::*;

/// A dataset `set` whose parts are both the files at `paths`.
fn entry(layout: &str, paths: &[&str], shape: [usize; 3], more: &str) -> String {
    let files: Vec<_> = paths
        .iter()
        .map(|p| format!("{{ path = \"{p}\" }}"))
        .collect();
    let files = files.join(", ");
    format!(
        "[set]\ntitle = \"A set\"\nlayout = \"{layout}\"\npath = \".\"\nfiles.train = [{files}]\nfiles.test = [{files}]\nshape = {shape:?}\nclasses = [\"cat\", \"dog\"]\nlicence = \"\"\ncitation = \"\"\n{more}"
    )
}

fn catalogue(folder: &Path, text: &str) -> Result<Catalogue> {
    let path = folder.join("datasets.toml");
    std::fs::write(&path, text).unwrap();
    Catalogue::built_in()?.with_file(&path)
}

fn train(folder: &Path, text: &str) -> Result<ImageSet> {
    let hub = Hub::new(HubOptions {
        cache: folder.join("cache"),
        offline: true,
        progress: Arc::new(Silent),
        ..HubOptions::from_env()
    });
    Ok(Library::new(catalogue(folder, text)?, hub)
        .images("set")?
        .train)
}

/// The images of a parquet file with one row per encoded image, or why there are none.
fn decoded(images: &[Vec<u8>], shape: [usize; 3], more: &str) -> Result<ImageSet> {
    let mut frame = image_frame(images, &vec![Some(1); images.len()]);
    framed(&mut frame, shape, more)
}

fn framed(frame: &mut DataFrame, shape: [usize; 3], more: &str) -> Result<ImageSet> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p"), parquet_bytes(frame)).unwrap();
    train(folder.path(), &entry("image-parquet", &["p"], shape, more))
}

fn grey(width: u32, height: u32) -> GrayImage {
    GrayImage::from_fn(width, height, |x, y| image::Luma([(16 * x + y) as u8]))
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// A PNG of 8 bits a pixel with a palette (PNG specification, 11.2).
fn palette_png(image: &GrayImage, palette: &[[u8; 3]]) -> Vec<u8> {
    let (width, height) = image.dimensions();
    let mut rows = Vec::new();
    for row in image.as_raw().chunks(width as usize) {
        rows.push(0);
        rows.extend_from_slice(row);
    }
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(&rows).unwrap();
    let header = [
        &width.to_be_bytes()[..],
        &height.to_be_bytes(),
        &[8, 3, 0, 0, 0],
    ]
    .concat();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [
        (b"IHDR", header),
        (b"PLTE", palette.concat()),
        (b"IDAT", zlib.finish().unwrap()),
        (b"IEND", Vec::new()),
    ] {
        let mut sum = flate2::Crc::new();
        sum.update(kind);
        sum.update(&data);
        png.extend((data.len() as u32).to_be_bytes());
        png.extend(kind);
        png.extend(data);
        png.extend(sum.sum().to_be_bytes());
    }
    png
}

#[test]
fn labels_of_every_integer_type_are_read() {
    let images = vec![encode(&picture(4, 4, 1), ImageFormat::Png); 3];
    let labels = [
        Series::new("label".into(), [0i8, 1, 1]),
        Series::new("label".into(), [0i16, 1, 1]),
        Series::new("label".into(), [0i32, 1, 1]),
        Series::new("label".into(), [0i64, 1, 1]),
        Series::new("label".into(), [0u8, 1, 1]),
        Series::new("label".into(), [0u16, 1, 1]),
        Series::new("label".into(), [0u32, 1, 1]),
        Series::new("label".into(), [0u64, 1, 1]),
    ];
    for label in labels {
        let kind = label.dtype().clone();
        let mut frame = image_frame(&images, &[Some(0); 3]);
        frame.replace("label", label.into()).unwrap();
        let set = framed(&mut frame, [3, 4, 4], "");
        assert_eq!(set.unwrap().labels(), [0, 1, 1], "{kind}");
    }
}

#[test]
fn the_field_named_bytes_is_the_image() {
    let image = encode(&picture(4, 4, 7), ImageFormat::Png);
    let fields = ["thumbnail", "bytes"].map(|name| {
        let bytes: &[u8] = if name == "bytes" { &image } else { b"no" };
        Series::new(name.into(), vec![bytes])
    });
    let column = StructChunked::from_series("image".into(), 1, fields.iter()).unwrap();
    let mut frame = image_frame(&[Vec::new()], &[Some(0)]);
    frame.replace("image", column.into_series().into()).unwrap();
    let set = framed(&mut frame, [3, 4, 4], "").unwrap();
    assert_eq!(set.pixels(0)[0], 7);
}

#[test]
fn raw_pixels_may_begin_like_any_format() {
    for start in [
        &b"BM"[..],
        b"P5",
        b"GIF89a",
        b"\0\0\x01\0",
        b"II*\0",
        b"RIFF....WEBP",
        b"\xff\xd8\xff",
    ] {
        let mut pixels = vec![9; 64];
        pixels[..start.len()].copy_from_slice(start);
        let set = decoded(&[pixels.clone()], [1, 8, 8], "").unwrap();
        assert_eq!(set.pixels(0), pixels);
    }
}

#[test]
fn a_palette_of_greys_is_grey() {
    let image = grey(8, 8);
    let greys: Vec<[u8; 3]> = (0..=255).map(|value| [255 - value; 3]).collect();
    let set = decoded(&[palette_png(&image, &greys)], [1, 8, 8], "").unwrap();
    let expected: Vec<u8> = image.as_raw().iter().map(|value| 255 - value).collect();
    assert_eq!(set.pixels(0), expected);
    let mut colours = greys;
    colours[0] = [1, 2, 3];
    let error = decoded(&[palette_png(&image, &colours)], [1, 8, 8], "").unwrap_err();
    assert!(error.to_string().contains("a colour image, expected grey"));
}

/// A JPEG whose left half is black and whose right half is white, 32 wide and 16 high.
fn halves() -> Vec<u8> {
    let value = |x: u32| image::Luma([if x < 16 { 0 } else { 255 }]);
    let image = GrayImage::from_fn(32, 16, |x, _| value(x));
    encode(&DynamicImage::ImageLuma8(image), ImageFormat::Jpeg)
}

#[test]
fn a_photograph_is_turned_as_its_camera_says() {
    // Exif 2.3, 4.6.4: tag 0x0112 (a short), here 6: row 0 is the right side, so a quarter turn clockwise.
    let mut exif =
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
    let length = (exif.len() as u16 + 2).to_be_bytes();
    let mut jpeg = halves();
    exif.splice(0..0, [0xff, 0xe1, length[0], length[1]]);
    jpeg.splice(2..2, exif);
    let set = decoded(&[jpeg], [1, 32, 16], "").unwrap();
    let pixels = set.pixels(0);
    assert!(
        pixels[..16 * 16].iter().all(|&value| value < 30),
        "black above"
    );
    assert!(
        pixels[16 * 16..].iter().all(|&value| value > 225),
        "white below"
    );
}

#[test]
fn what_follows_a_jpegs_end_is_ignored_and_a_missing_end_is_not() {
    let jpeg = halves();
    let expected = decoded(std::slice::from_ref(&jpeg), [1, 16, 32], "").unwrap();
    for tail in [
        &[0; 50][..],
        b"\0\0\xff\xda\0\x08trailer",
        b"\xff\xd8\xff\xe0",
    ] {
        let found = decoded(&[[&jpeg, tail].concat()], [1, 16, 32], "").unwrap();
        assert_eq!(found, expected);
    }
    // The end of a thumbnail within a segment is not the image's.
    let mut cut = jpeg[..jpeg.len() - 2].to_vec();
    cut.splice(2..2, *b"\xff\xe2\0\x04\xff\xd9");
    let error = decoded(&[cut], [1, 16, 32], "").unwrap_err().to_string();
    assert!(error.contains("its end is missing"), "{error}");
}

#[test]
fn images_that_claim_too_many_pixels_are_refused_undecoded() {
    let mut jpeg = halves();
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    // Height and width, after marker, length and precision.
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x75, 0x30, 0x75, 0x30]);
    for more in ["", "resize = 64\n"] {
        let error = decoded(&[jpeg.clone()], [1, 16, 32], more).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("30000×30000 pixels, expected at most"),
            "{error}"
        );
    }
    let thread = encode(&DynamicImage::ImageLuma8(grey(30_000, 1)), ImageFormat::Png);
    let error = decoded(&[thread], [1, 16, 32], "resize = 64\n").unwrap_err();
    assert!(
        error.to_string().contains("too long to be scaled"),
        "{error}"
    );
}

#[test]
fn idx_files_are_read_as_far_as_header_and_catalogue_say() {
    let folder = tempfile::tempdir().unwrap();
    let images = idx(&[3, 2, 2], &(0..12).collect::<Vec<u8>>());
    let labels = idx(&[3], &[0, 1, 0]);
    let read = |images: Vec<u8>, labels: Vec<u8>, more: &str| {
        std::fs::write(folder.path().join("i"), images).unwrap();
        std::fs::write(folder.path().join("l"), labels).unwrap();
        train(folder.path(), &entry("idx", &["i", "l"], [1, 2, 2], more))
    };
    let expected = read(images.clone(), labels.clone(), "").unwrap();
    let members = [packed(&images[..9]), packed(&images[9..])].concat();
    assert_eq!(read(members, packed(&labels), "").unwrap(), expected);
    let bomb = packed(&[images.clone(), vec![0; 100 << 20]].concat());
    let error = read(bomb, labels.clone(), "").unwrap_err().to_string();
    assert!(error.contains("i: more than 12 bytes"), "{error}");
    let claims = packed(&idx(&[u32::MAX, 2, 2], &[0; 8]));
    let rows = "rows = { train = 3, test = 3 }\n";
    let error = read(claims.clone(), labels.clone(), rows).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("has 4294967295 rows, expected 3"), "{error}");
    let error = read(claims, labels, "").unwrap_err().to_string();
    assert!(error.contains("expected [4294967295]"), "{error}");
    let dims = idx(&[u32::MAX; 255], &[]);
    read(dims, idx(&[3], &[]), "").unwrap_err();
}

#[test]
fn a_class_without_images_is_an_error() {
    let image = encode(&picture(4, 4, 1), ImageFormat::Png);
    let text = entry("image-folder", &["tree"], [3, 4, 4], "");
    type Change = fn(&Path);
    let cases: [(&str, Change); 3] = [
        ("dog", |dog| std::fs::remove_dir_all(dog).unwrap()),
        ("dog: no images of this class", |dog| {
            std::fs::remove_file(dog.join("1.png")).unwrap();
        }),
        ("dog", |dog| {
            std::fs::remove_dir_all(dog).unwrap();
            std::fs::write(dog, "a file").unwrap();
        }),
    ];
    for (says, change) in cases {
        let folder = tempfile::tempdir().unwrap();
        for class in ["cat", "dog"] {
            let class = folder.path().join("tree").join(class);
            std::fs::create_dir_all(&class).unwrap();
            std::fs::write(class.join("1.png"), &image).unwrap();
        }
        assert_eq!(train(folder.path(), &text).unwrap().labels(), [0, 1]);
        change(&folder.path().join("tree/dog"));
        let error = train(folder.path(), &text).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_catalogue_asks_for_nothing_impossible() {
    let folder = tempfile::tempdir().unwrap();
    let good = entry("image-parquet", &["p"], [3, 4, 4], "");
    let folders = entry("image-folder", &["p"], [3, 4, 4], "");
    let huge = "1000000000000000";
    let classes = "classes = [\"cat\", \"dog\"]";
    for (text, says) in [
        (good.replace("[set]", "[\"../../x\"]"), "key `name`"),
        (good.replace("[set]", "[\"a/b\"]"), "key `name`"),
        (good.replace("[set]", "[\".hidden\"]"), "key `name`"),
        (
            good.replace("[set]", &format!("[{}]", "x".repeat(300))),
            "key `name`",
        ),
        (
            good.replace(
                "path = \"p\"",
                &format!("path = \"{{shard}}\", shards = {huge}"),
            ),
            "key `files`: shards = 1000000000000000: expected at most",
        ),
        (
            good.replace(classes, &format!("classes = {huge}")),
            "key `classes`: expected at most",
        ),
        (
            good.replace("[3, 4, 4]", &format!("[3, 4, {huge}]")),
            "key `shape`",
        ),
        (format!("{good}resize = {huge}\n"), "key `resize`"),
        (
            format!("{good}rows = {{ train = {huge}, test = 1 }}\n"),
            "key `rows`: train = 1000000000000000",
        ),
        (
            good.replace("image-parquet", "libsvm") + &format!("features = {huge}\n"),
            "key `features`",
        ),
        (good.replace("\"p\"", "\"a\\u0007b\""), "key `files`"),
        (
            folders.replace("\"dog\"", "\"../dog\""),
            "key `classes`: `../dog`",
        ),
        (
            folders.replace("\"dog\"", "\"cat\""),
            "key `classes`: `cat`",
        ),
    ] {
        let error = catalogue(folder.path(), &text).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    assert!(catalogue(folder.path(), &good).is_ok());
}
