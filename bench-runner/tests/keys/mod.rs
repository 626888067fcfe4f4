//! The reference of keys, `docs/keys.md`: made of the types that read experiment files, of what these say when they
//! are asked, and of the built-in suites (`UPDATE_DOCS=1 cargo test -p bench-runner --test integration keys` writes it).

mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bench_experiment::optimizer::OptimizerConfig;
use bench_experiment::problem::{MODELS, ProblemConfig};
use bench_experiment::registry::KindEntry;
use bench_experiment::settings::{Configured, Settings};
use bench_experiment::spec::SUITES;
use serde_json::Value as Json;
use sources::{Sources, Type};

const INTRODUCTION: &str = "# Keys of experiment files

<!-- Written by `UPDATE_DOCS=1 cargo test -p bench-runner --test integration keys`: edit the doc comments of the types instead. -->

All kinds of problems, optimizers and models with their keys. Default: what holds where the key is left out; of the settings of another kind, what differs from
that kind's own defaults; a dash where nothing does. Example: from the built-in suites. What an experiment file has around them is in [experiments.md](experiments.md); `bench-runner schema experiment` gives the same keys to
editors.
";

/// Keys that every problem or optimizer has beside its own: `docs/experiments.md` explains them.
const SHARED: &[&str] = &[
    "label",
    "budget",
    "points",
    "resolution",
    "epochs",
    "seconds",
    "target",
    "grid",
    "problems",
    "stream",
    "perturbation",
    "search",
    "trials",
    "kind",
];

#[test]
fn the_reference_of_keys_is_that_of_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let sources = Sources::read(&[
        root.join("optim/src"),
        root.join("models/src"),
        root.join("bench-runner/data/src"),
        root.join("bench-runner/experiment/src"),
    ]);
    let right = Reference::of(&sources).text();
    let path = root.join("docs/keys.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &right).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == right,
        "docs/keys.md is not what the code gives: UPDATE_DOCS=1 cargo test -p bench-runner --test integration keys"
    );
}

/// A kind to be shown: its type, what it is, and its keys' defaults and examples.
struct Shown<'s> {
    name: String,
    about: String,
    of: &'s Type,
    defaults: BTreeMap<String, Default>,
    examples: BTreeMap<String, String>,
}

/// What holds where a key is left out.
enum Default {
    Value(Json),
    Required,
}

struct Reference<'s> {
    sources: &'s Sources,
    problems: Vec<Shown<'s>>,
    optimizers: Vec<Shown<'s>>,
    models: Vec<Shown<'s>>,
}

impl<'s> Reference<'s> {
    fn of(sources: &'s Sources) -> Self {
        let suites = || {
            SUITES
                .iter()
                .map(|suite| toml::from_str::<toml::Table>(suite.text).unwrap())
        };
        let entries = |key: &'static str| -> Vec<toml::Table> {
            let entries = suites().flat_map(move |suite| suite[key].as_array().unwrap().clone());
            entries
                .map(|entry| first_of_grid(entry.as_table().unwrap().clone()))
                .collect()
        };
        let problems = entries("problem");
        let models: Vec<toml::Table> = problems
            .iter()
            .filter_map(|problem| Some(problem.get("model")?.as_table()?.clone()))
            .collect();
        let model = |(name, about): &(&str, &str)| {
            let examples = examples(&models, name);
            let minimal = serde_json::json!({ "kind": name });
            let model: models::ModelSpec = serde_json::from_value(minimal).unwrap();
            let debug = format!("{model:?}");
            let named = debug.split(['(', ' ']).nth(1).unwrap();
            Shown {
                name: (*name).into(),
                about: (*about).into(),
                of: sources
                    .find(named, Path::new("models/src/spec.rs"))
                    .unwrap(),
                defaults: values(&model),
                examples,
            }
        };
        Self {
            sources,
            problems: kinds(ProblemConfig::kinds(), &problems, sources),
            optimizers: kinds(OptimizerConfig::kinds(), &entries("optimizer"), sources),
            models: MODELS.iter().map(model).collect(),
        }
    }

    fn text(&self) -> String {
        let mut text = INTRODUCTION.to_owned();
        let mut wanted = BTreeSet::new();
        let kinds: BTreeMap<&str, &str> = (self.problems.iter())
            .chain(&self.optimizers)
            .chain(&self.models)
            .map(|shown| (shown.of.name.as_str(), shown.name.as_str()))
            .collect();
        let sections = [
            ("Problems", &self.problems),
            ("Optimizers", &self.optimizers),
            ("Models", &self.models),
        ];
        for (title, shown) in sections {
            text += &format!("\n## {title}\n");
            for shown in shown {
                let about = capital(shown.about.trim_end_matches(':'));
                text += &format!("\n### `{}`\n\n{about}.\n", shown.name);
                let fields = self.sources.fields(shown.of);
                if fields.is_empty() {
                    continue;
                }
                text += "\n| key | type | default | meaning | example |\n|---|---|---|---|---|\n";
                for field in fields {
                    let or_dash = |known: &BTreeMap<String, String>| {
                        known
                            .get(&field.key)
                            .map_or("–".into(), |value| format!("`{}`", cell(value)))
                    };
                    let words = self.sources.words(&field.of, shown.of, &kinds, &mut wanted);
                    let default = match shown.defaults.get(&field.key) {
                        None => field.default.clone().map(|value| format!("`{value}`")),
                        Some(Default::Required) => Some("required".into()),
                        Some(Default::Value(value)) => {
                            let nested = self.optimizers.iter();
                            let nested = nested
                                .filter(|nested| words == format!("[`{0}`](#{0})", nested.name));
                            match nested.fold(value.clone(), beyond) {
                                Json::Object(own) if own.is_empty() && words.starts_with("[`") => {
                                    None
                                }
                                value => Some(format!("`{}`", cell(&text_of(&value)))),
                            }
                        }
                    };
                    let default = default.unwrap_or_else(|| "–".into());
                    text += &format!(
                        "| `{}` | {} | {default} | {} | {} |\n",
                        field.key,
                        words,
                        cell(&field.meaning),
                        or_dash(&shown.examples),
                    );
                }
            }
        }
        text += "\n## Values\n\nTables and choices that keys above have as values.\n";
        let mut done = BTreeSet::new();
        while let Some(next) = wanted.iter().find(|name| !done.contains(*name)).cloned() {
            let of = self.sources.by_heading(&next);
            done.insert(next);
            // Those that it names are wanted too; the text is made when all are known, in their order.
            self.sources.value(of, &kinds, &mut wanted);
        }
        for heading in done {
            text += &self
                .sources
                .value(self.sources.by_heading(&heading), &kinds, &mut wanted);
        }
        text
    }
}

fn kinds<'s, S: ?Sized + Settings>(
    kinds: &'static [KindEntry<S>],
    entries: &[toml::Table],
    sources: &'s Sources,
) -> Vec<Shown<'s>> {
    let shown = |kind: &'static KindEntry<S>| {
        let read = |table: &toml::Table| -> Option<Configured<S>> {
            let text = toml::Value::Table(table.clone()).to_string();
            kind.read(toml::de::ValueDeserializer::parse(&text).unwrap())
                .ok()
        };
        let keys = kind.schema()["properties"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        let own = |entry: &toml::Table| -> toml::Table {
            let own = entry.iter().filter(|(key, _)| keys.contains_key(*key));
            own.map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        };
        // The empty table where that will do, else the first use of the kind in a suite.
        let uses = entries
            .iter()
            .filter(|entry| entry["kind"].as_str() == Some(kind.name))
            .map(own);
        let mut tables = [toml::Table::new()].into_iter().chain(uses);
        let (table, settings) = tables
            .find_map(|table| read(&table).map(|settings| (table, settings)))
            .unwrap_or_else(|| panic!("no suite has a use of `{}` that can be read", kind.name));
        let mut defaults = values(&settings);
        for key in table.keys() {
            let mut without = table.clone();
            without.remove(key);
            match read(&without) {
                None => defaults.insert(key.clone(), Default::Required),
                Some(settings) => match values(&settings).remove(key) {
                    Some(default) => defaults.insert(key.clone(), default),
                    None => defaults.remove(key),
                },
            };
        }
        let debug = format!("{settings:?}");
        let named = debug.split([' ', '(']).next().unwrap();
        let of = sources
            .find(named, Path::new("bench-runner/experiment/src"))
            .unwrap();
        let shown: BTreeSet<String> = sources
            .fields(of)
            .into_iter()
            .map(|field| field.key)
            .collect();
        let read: BTreeSet<String> = keys
            .keys()
            .filter(|key| !SHARED.contains(&key.as_str()) || shown.contains(*key))
            .cloned()
            .collect();
        assert_eq!(
            shown, read,
            "the keys of `{}` in the sources, and those that it reads",
            kind.name
        );
        Shown {
            name: kind.name.into(),
            about: kind.about.into(),
            of,
            defaults,
            examples: examples(entries, kind.name),
        }
    };
    kinds.iter().map(shown).collect()
}

/// The first entry of a grid; an entry without one as it is.
fn first_of_grid(mut entry: toml::Table) -> toml::Table {
    if let Some(toml::Value::Table(grid)) = entry.remove("grid") {
        for (key, values) in grid {
            entry.entry(key).or_insert(values[0].clone());
        }
    }
    entry
}

/// The first short value of each key in the entries of a kind.
fn examples(entries: &[toml::Table], kind: &str) -> BTreeMap<String, String> {
    let mut examples = BTreeMap::new();
    for entry in entries
        .iter()
        .filter(|entry| entry["kind"].as_str() == Some(kind))
    {
        for (key, value) in entry {
            let value = value.to_string();
            if value.chars().count() <= 60 {
                examples.entry(key.clone()).or_insert(value);
            }
        }
    }
    examples
}

/// What settings hold; those that are null hold nothing.
fn values(settings: &impl serde::Serialize) -> BTreeMap<String, Default> {
    let value = serde_json::to_value(settings).unwrap();
    let entries = value.as_object().unwrap().clone().into_iter();
    entries
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (key, Default::Value(value)))
        .collect()
}

/// What a table of settings has that the defaults of its kind have not.
fn beyond(value: Json, kind: &Shown<'_>) -> Json {
    let mut own = present(&value);
    if let Json::Object(entries) = &mut own {
        entries.retain(|key, value| {
            !matches!(kind.defaults.get(key), Some(Default::Value(default)) if default == value)
        });
    }
    own
}

/// A value as TOML.
fn text_of(value: &Json) -> String {
    match value.as_f64() {
        Some(number) if number != 0.0 && number.abs() < 1e-3 => format!("{number:e}"),
        _ => toml::Value::try_from(present(value)).unwrap().to_string(),
    }
}

/// A value without what is null in it, which TOML has no word for.
fn present(value: &Json) -> Json {
    match value {
        Json::Object(entries) => {
            let entries = entries.iter().filter(|(_, value)| !value.is_null());
            Json::Object(
                entries
                    .map(|(key, value)| (key.clone(), present(value)))
                    .collect(),
            )
        }
        other => other.clone(),
    }
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn capital(text: &str) -> String {
    let mut signs = text.chars();
    signs.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(signs).collect()
    })
}
