//! Documentation that is made of the code: `UPDATE_DOCS=1 cargo test -p bench-report --test docs` writes it.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use bench_report::discrepancy;

const BEGIN: &str = "the test `docs` says how -->\n\n";
const END: &str = "\n<!-- end -->";

#[test]
fn the_table_of_discrepancies_is_the_codes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/arms.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let right = format!("{before}{BEGIN}{}{END}{after}", discrepancy::markdown());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, right).unwrap();
    } else {
        assert_eq!(text, right, "run this test with UPDATE_DOCS=1");
    }
}
