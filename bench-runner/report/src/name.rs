//! Names of files and anchors made of labels: unique within a result set, and of bounded length.

use std::collections::{BTreeMap, BTreeSet};

use bench_data::sha256;
use bench_experiment::store::Results;

/// Letters of a label in a name; the file systems in use take 255 bytes, and what a chart shows is
/// appended.
const LONGEST: usize = 120;

/// Names for labels. A label of letters, digits, dots and dashes is its own name, and other signs become
/// dashes. Labels that would then share a name, and long ones, get a part of their SHA-256 appended.
#[derive(Debug, Clone)]
pub struct Names(BTreeMap<String, String>);

impl Names {
    /// Names for these labels.
    pub fn new<'a>(labels: impl IntoIterator<Item = &'a str>) -> Self {
        let labels: BTreeSet<&str> = labels.into_iter().collect();
        // Some file systems do not tell capitals from small letters.
        let key = |name: &str| name.to_ascii_lowercase();
        let mut wanted: BTreeMap<String, usize> = BTreeMap::new();
        for label in &labels {
            *wanted.entry(key(&stem(label))).or_default() += 1;
        }
        let fits =
            |name: &str| !name.is_empty() && name.len() <= LONGEST && wanted[&key(name)] == 1;
        let mut names = BTreeMap::new();
        let mut others = Vec::new();
        for label in labels {
            match stem(label) {
                name if fits(&name) => drop(names.insert(label.to_owned(), name)),
                name => others.push((label, name)),
            }
        }
        let mut taken: BTreeSet<String> = names.values().map(|name| key(name)).collect();
        for (label, name) in others {
            let digest = sha256(label.as_bytes());
            let beginning: String = name.chars().take(LONGEST).collect();
            // More digits of the hash, in the case that somebody calls a problem by such a name.
            let mut free = (8..=digest.len())
                .map(|digits| format!("{beginning}-{}", &digest[..digits]))
                .filter(|name| !taken.contains(&key(name)));
            let name = free.next().unwrap_or(digest);
            taken.insert(key(&name));
            names.insert(label.to_owned(), name);
        }
        Self(names)
    }

    /// Names for the problems of a result set.
    pub fn of_problems(results: &Results) -> Self {
        Self::new(
            results
                .problems
                .iter()
                .map(|problem| problem.label.as_str()),
        )
    }

    /// The name of a label; one that is not of the set is named by its signs alone.
    pub fn name(&self, label: &str) -> String {
        self.0.get(label).cloned().unwrap_or_else(|| stem(label))
    }
}

/// The name of a problem of a result set.
pub(super) fn of_problem(results: &Results, label: &str) -> String {
    Names::of_problems(results).name(label)
}

/// A label's letters, digits, dots and dashes, with dashes for all other signs; it begins with no dot.
fn stem(label: &str) -> String {
    let usable = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let sign = |(index, c): (usize, char)| match c {
        '.' if index > 0 => c,
        c if usable(c) => c,
        _ => '-',
    };
    label.chars().enumerate().map(sign).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(labels: &[&str]) -> Vec<String> {
        let names = Names::new(labels.iter().copied());
        labels.iter().map(|label| names.name(label)).collect()
    }

    #[test]
    fn ordinary_labels_are_their_own_names() {
        assert_eq!(
            names(&["mlp-digits", "rosenbrock/dimension=2", "a_b", "v1.5"]),
            ["mlp-digits", "rosenbrock-dimension-2", "a-b", "v1.5"]
        );
    }

    #[test]
    fn names_are_unique_and_of_bounded_length() {
        let long = "x".repeat(300);
        let longer = "x".repeat(301);
        let of_a_b = format!("a-b-{}", &sha256(b"a b")[..8]);
        let labels = [
            "a b",
            "a_b",
            "a,b",
            "A b",
            "数据",
            "данные",
            "данных",
            "..",
            ".",
            "",
            "/",
            &long,
            &longer,
            &of_a_b,
            "common",
        ];
        let names = names(&labels);
        let different: BTreeSet<String> = names.iter().map(|name| name.to_lowercase()).collect();
        assert_eq!(different.len(), labels.len(), "{names:?}");
        for name in &names {
            let usable = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
            assert!(name.chars().all(usable) && !name.starts_with('.'), "{name}");
            assert!((1..=LONGEST + 65).contains(&name.len()), "{name}");
        }
    }
}
