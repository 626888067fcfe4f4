//! Data files made for tests: images, parquet in the hub's layout, IDX.
use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageFormat, RgbImage};
use polars::prelude::*;

/// A PNG of 4×4 RGB pixels whose values follow from `seed`.
pub fn png(seed: u8) -> Vec<u8> {
    encode(&picture(4, 4, seed), ImageFormat::Png)
}

/// A picture whose values follow from place and `seed`.
pub fn picture(width: u32, height: u32, seed: u8) -> DynamicImage {
    let pixel = |x: u32, y: u32| image::Rgb([seed, (x * 16) as u8, (y * 16) as u8]);
    RgbImage::from_fn(width, height, pixel).into()
}

pub fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Columns `image` (struct of bytes and path) and `label` (i64), as the hub has them.
pub fn image_frame(images: &[Vec<u8>], labels: &[Option<i64>]) -> DataFrame {
    let bytes: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let fields = [
        Series::new("bytes".into(), bytes),
        Series::new("path".into(), vec![None::<&str>; images.len()]),
    ];
    let image = StructChunked::from_series("image".into(), images.len(), fields.iter()).unwrap();
    let label = Series::new("label".into(), labels);
    DataFrame::new(images.len(), vec![image.into_series().into(), label.into()]).unwrap()
}

pub fn write_parquet(path: &Path, frame: &mut DataFrame, row_group: usize) {
    write_parquet_as(path, frame, row_group, ParquetCompression::default());
}

pub fn write_parquet_as(
    path: &Path,
    frame: &mut DataFrame,
    row_group: usize,
    compression: ParquetCompression,
) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = std::fs::File::create(path).unwrap();
    ParquetWriter::new(file)
        .with_row_group_size(Some(row_group))
        .with_compression(compression)
        .finish(frame)
        .unwrap();
}

pub fn parquet_bytes(frame: &mut DataFrame) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    ParquetWriter::new(&mut bytes).finish(frame).unwrap();
    bytes.into_inner()
}

/// An IDX file of bytes.
pub fn idx(dims: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dims.len() as u8];
    file.extend(dims.iter().flat_map(|dim| dim.to_be_bytes()));
    file.extend_from_slice(bytes);
    file
}
