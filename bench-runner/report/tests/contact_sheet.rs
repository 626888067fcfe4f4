//! The contact sheet of a dataset.
#![allow(clippy::unwrap_used)]

use bench_report::contact_sheet;

#[test]
fn a_contact_sheet_is_a_png_of_all_classes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sheet.png");
    let digits = bench_data::digits().unwrap().train;
    contact_sheet(&digits, &digits.class_counts(), 5, &path).unwrap();
    let sheet = image::open(&path).unwrap().into_rgb8();
    // A margin of 8, names of 220, and for each of 5 samples and 10 classes a tile of 48 and a gap of 4.
    assert_eq!(sheet.dimensions(), (2 * 8 + 220 + 5 * 52, 2 * 8 + 10 * 52));
    let of_class = |class: u32| digits.labels().iter().position(|label| *label == class);
    let first = digits.pixels(of_class(3).unwrap());
    // The middle of its pixel in row 4 and column 3, each 6 wide.
    let at = sheet
        .get_pixel(8 + 220 + 3 * 6 + 2, 8 + 3 * 52 + 4 * 6 + 2)
        .0;
    let value = (u32::from(first[4 * 8 + 3]) * 255 / 16) as u8;
    assert_eq!(at, [value; 3]);
    let is_dark = |x, y| sheet.get_pixel(x, y).0[0] < 128;
    assert!(
        (8..220).any(|x| (8..60).any(|y| is_dark(x, y))),
        "the names are drawn"
    );
}
