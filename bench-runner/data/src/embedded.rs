//! The data that is part of the binary: UCI optical digits and Moby-Dick (sources and licences in
//! `assets/README.md`).

use crate::catalogue::Columns;
use crate::images::{Expected, from_parquet};
use crate::parquet::{ColumnKind, ParquetFile};
use crate::progress::Silent;
use crate::{Error, ImageSet, Result, Splits};

const DIGITS: &[u8] = include_bytes!("../assets/digits.parquet");
const MOBY_DICK: &[u8] = include_bytes!("../assets/moby_dick.parquet");

/// UCI optical digits: 1797 images, 1×8×8, values 0 to 16, 10 classes.
///
/// The data defines no split, so ours is: of each class a fifth, drawn with seed 0, to test (359
/// images), the others to train (1438). Pixel values are scaled to [0, 1].
///
/// ```
/// let digits = bench_data::digits().unwrap();
/// assert_eq!((digits.train.len(), digits.test.len()), (1438, 359));
/// assert_eq!(digits.train.shape(), (1, 8, 8));
/// ```
///
/// # Errors
/// When the binary is damaged.
pub fn digits() -> Result<Splits<ImageSet>> {
    let file = ParquetFile::embedded("embedded digits.parquet", DIGITS)?;
    let classes: Vec<String> = (0..10).map(|digit| digit.to_string()).collect();
    let expected = Expected {
        columns: &Columns::default(),
        shape: (1, 8, 8),
        resize: None,
        classes: &classes,
        pixel_max: 16,
        count: &|_| Ok(()),
        progress: &Silent,
    };
    let all = from_parquet(&[file], &expected)?;
    let (train, test) = all.stratified_split(0.2, 0)?;
    Ok(Splits {
        train: all.select(&train)?,
        validation: None,
        test: all.select(&test)?,
    })
}

/// Moby-Dick: 135 chapters, 1.19 million characters, 81 different ones.
///
/// The parts are consecutive chapters: the first that make up 90 % of the text to train, the next
/// 5 % to validate, the rest to test.
///
/// ```
/// let text = bench_data::moby_dick().unwrap();
/// assert!(text.train.starts_with("CHAPTER 1. Loomings.\n\nCall me Ishmael."));
/// assert!(text.test.contains("rolled on as it rolled five thousand years ago"));
/// ```
///
/// # Errors
/// When the binary is damaged.
pub fn moby_dick() -> Result<Splits<String>> {
    let file = ParquetFile::embedded("embedded moby_dick.parquet", MOBY_DICK)?;
    let column = file.find(ColumnKind::Text, Some("text"))?;
    let frame = file.read(&[&column], 0, file.rows())?;
    let chapters = file.strings(&frame, &column)?;
    let total: usize = chapters.iter().flatten().map(str::len).sum();
    if total == 0 {
        return Err(Error::malformed(file.name(), "no text"));
    }
    let (mut train, mut validation, mut test) = (String::new(), String::new(), String::new());
    let mut before = 0;
    for chapter in chapters.iter().flatten() {
        let part = match before * 20 / total {
            0..18 => &mut train,
            18 => &mut validation,
            _ => &mut test,
        };
        part.push_str(chapter);
        before += chapter.len();
    }
    Ok(Splits {
        train,
        validation: Some(validation),
        test,
    })
}
