//! Documentation that is made of the code and of committed results: `UPDATE_DOCS=1 cargo test -p bench-report --test
//! docs` writes it.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use bench_report::renewed;

#[test]
fn passages_are_what_the_committed_results_give() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let documents = ["README.md", "docs/arms.md", "reports/findings.md"];
    for name in documents {
        let path = root.join(name);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("<!-- generated: "), "{name}");
        let right = renewed(&text, &root.join("reports/reference"))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, right).unwrap();
        } else {
            assert!(
                text == right,
                "{name} is not what results give: UPDATE_DOCS=1 cargo test -p bench-report --test docs"
            );
        }
    }
}
