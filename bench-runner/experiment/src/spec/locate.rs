//! TOML with positions: tables that are taken apart piece by piece, every error with file, line and
//! column.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::Range;
use std::path::{Path, PathBuf};

use bench_data::suggestion::suggestion;
use serde::de::{Deserialize, DeserializeOwned};
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::settings::TAG;

/// What is wrong with an experiment file, and where.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}:{line}:{column}: {message}", .file.display())]
pub struct SpecError {
    /// The file, or `<name>` for a built-in suite.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What is wrong, with the key, and what would be right.
    pub message: String,
}

/// A TOML document being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
}

/// One table of a document, whose entries are taken out as they are understood.
pub(super) struct Table<'a> {
    source: Source<'a>,
    span: Range<usize>,
    entries: DeTable<'a>,
}

/// Where the values of a table stand, for errors found once they are understood.
pub(super) struct Places<'a> {
    source: Source<'a>,
    table: Range<usize>,
    values: BTreeMap<String, Range<usize>>,
}

impl Places<'_> {
    /// An error at a key, or for `a.b` at `a`; at the table where that key is not given.
    pub(super) fn error(&self, key: &str, message: String) -> SpecError {
        let first = key.split('.').next().unwrap_or(key);
        let span = self.values.get(first).unwrap_or(&self.table);
        self.source.error(span.clone(), message)
    }
}

impl<'a> Source<'a> {
    pub(super) fn parse(self) -> Result<Table<'a>, SpecError> {
        let table = DeTable::parse(self.text).map_err(|error| self.toml_error(&error, 0..0))?;
        Ok(Table {
            source: self,
            span: 0..0,
            entries: table.into_inner(),
        })
    }

    pub(super) fn error(self, span: Range<usize>, message: impl Into<String>) -> SpecError {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        SpecError {
            file: self.file.to_path_buf(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.into(),
        }
    }

    fn toml_error(self, error: &toml::de::Error, fallback: Range<usize>) -> SpecError {
        self.error(
            error.span().unwrap_or(fallback),
            with_suggestion(error.message()),
        )
    }
}

impl<'a> Table<'a> {
    /// Where the table stands.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// An error at the table.
    pub(super) fn error(&self, message: impl Into<String>) -> SpecError {
        self.source.error(self.span(), message)
    }

    /// An error at the value of `key`, or at the table when the key is not there.
    pub(super) fn error_at(&self, key: &str, message: impl Into<String>) -> SpecError {
        let span = self.entries.get(key).map_or(self.span(), Spanned::span);
        self.source.error(span, message)
    }

    /// Takes a value that may be missing.
    pub(super) fn optional<T: DeserializeOwned>(
        &mut self,
        key: &str,
    ) -> Result<Option<T>, SpecError> {
        let Some(value) = self.entries.remove(key) else {
            return Ok(None);
        };
        let span = value.span();
        T::deserialize(ValueDeserializer::from(value))
            .map(Some)
            .map_err(|error| {
                let error = self.source.toml_error(&error, span);
                SpecError {
                    message: format!("`{key}`: {}", error.message),
                    ..error
                }
            })
    }

    /// Takes a value that must be there.
    pub(super) fn required<T: DeserializeOwned>(&mut self, key: &str) -> Result<T, SpecError> {
        self.optional(key)?
            .ok_or_else(|| self.error(format!("`{key}` is missing")))
    }

    /// Takes `kind`, which must name one of the kinds that `find` knows.
    pub(super) fn kind<K, E: Display>(
        &mut self,
        find: impl FnOnce(&str) -> Result<K, E>,
    ) -> Result<K, SpecError> {
        let here = self.error_at(TAG, "");
        let kind: String = self.required(TAG)?;
        find(&kind).map_err(|error| SpecError {
            message: error.to_string(),
            ..here
        })
    }

    /// Where the values stand that are still in the table.
    pub(super) fn places(&self) -> Places<'a> {
        let spans = self.entries.iter();
        Places {
            source: self.source,
            table: self.span(),
            values: spans
                .map(|(key, value)| (key.get_ref().to_string(), value.span()))
                .collect(),
        }
    }

    /// The keys of a table inside this one, which stays; none where there is no such table.
    pub(super) fn keys_of(&self, key: &str) -> BTreeSet<String> {
        let value = self.entries.get(key).map(Spanned::get_ref);
        let keys = value.and_then(DeValue::as_table).into_iter().flatten();
        keys.map(|(key, _)| key.get_ref().to_string()).collect()
    }

    /// Takes an array of tables; an absent key is an empty array.
    pub(super) fn tables(&mut self, key: &str) -> Result<Vec<Table<'a>>, SpecError> {
        let Some(value) = self.entries.remove(key) else {
            return Ok(Vec::new());
        };
        let span = value.span();
        let DeValue::Array(array) = value.into_inner() else {
            return Err(self.source.error(
                span,
                format!("`{key}` must be an array of tables: [[{key}]]"),
            ));
        };
        array
            .into_iter()
            .map(|value| {
                let span = value.span();
                match value.into_inner() {
                    DeValue::Table(entries) => Ok(Table {
                        source: self.source,
                        span,
                        entries,
                    }),
                    _ => Err(self
                        .source
                        .error(span, format!("each `{key}` must be a table"))),
                }
            })
            .collect()
    }

    /// The tables that `grid` makes of this one, their values appended to the label.
    pub(super) fn expand_grid(mut self) -> Result<Vec<Table<'a>>, SpecError> {
        let Some(variants) = self.variants("grid")? else {
            return Ok(vec![self]);
        };
        variants
            .into_iter()
            .map(|(mut table, suffix)| {
                let label: Option<String> = table.optional("label")?;
                let label = match label {
                    Some(label) => label,
                    None => table.clone_of("kind")?,
                };
                let value = DeValue::String(format!("{label}/{suffix}").into());
                table.entries.insert(
                    Spanned::new(table.span.clone(), "label".into()),
                    Spanned::new(table.span.clone(), value),
                );
                Ok(table)
            })
            .collect()
    }

    /// The tables that the lists under `key` make of this one, if it has that key: one per combination of
    /// values, the last list varying fastest, each with its values as text. A list's name is that of a
    /// setting of the table, or of one inside it as in `adam.learning_rate`.
    pub(super) fn variants(
        &mut self,
        key: &str,
    ) -> Result<Option<Vec<(Table<'a>, String)>>, SpecError> {
        let Some(grid) = self.entries.remove(key) else {
            return Ok(None);
        };
        let span = grid.span();
        let DeValue::Table(grid) = grid.into_inner() else {
            return Err(self.source.error(
                span,
                format!(
                    "`{key}` must be a table of lists, such as {{ learning_rate = [0.1, 0.01] }}"
                ),
            ));
        };
        let mut lists: Vec<_> = grid.into_iter().collect();
        lists.sort_by_key(|(name, _)| name.span().start);
        let combinations = lists.iter().try_fold(1_usize, |product, (_, values)| {
            let count = values.get_ref().as_array().map_or(1, |values| values.len());
            product.checked_mul(count)
        });
        if combinations.is_none_or(|count| count > MOST_VARIANTS) {
            let message = format!(
                "`{key}`: its lists make more than {MOST_VARIANTS} combinations, the most that are possible"
            );
            return Err(self.source.error(span, message));
        }
        let mut variants = vec![(self.entries.clone(), String::new())];
        for (key_of_list, values) in lists {
            let span = values.span();
            let name = key_of_list.get_ref().as_ref();
            let values = match values.into_inner() {
                DeValue::Array(values) if !values.is_empty() => values,
                _ => {
                    let message = format!("`{key}`: `{name}` must be a list of at least one value");
                    return Err(self.source.error(span, message));
                }
            };
            let mut next = Vec::new();
            for (entries, suffix) in &variants {
                for value in &values {
                    let shown = toml::Value::deserialize(ValueDeserializer::from(value.clone()))
                        .map_err(|error| self.source.toml_error(&error, value.span()))?;
                    let short = name.rsplit('.').next().unwrap_or(name);
                    let mut entries = entries.clone();
                    insert(&mut entries, name, value.clone()).map_err(|part| {
                        let message = format!("`{key}`: `{name}`: `{part}` is not a table");
                        self.source.error(key_of_list.span(), message)
                    })?;
                    let slash = if suffix.is_empty() { "" } else { "/" };
                    let shown = shown.to_string().replace('"', "");
                    next.push((entries, format!("{suffix}{slash}{short}={shown}")));
                }
            }
            variants = next;
        }
        let table = |entries| Table {
            source: self.source,
            span: self.span.clone(),
            entries,
        };
        Ok(Some(
            variants
                .into_iter()
                .map(|(entries, values)| (table(entries), values))
                .collect(),
        ))
    }

    /// Takes a table that may be missing.
    pub(super) fn table(&mut self, key: &str) -> Result<Option<Table<'a>>, SpecError> {
        let Some(value) = self.entries.remove(key) else {
            return Ok(None);
        };
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(entries) => Ok(Some(Table {
                source: self.source,
                span,
                entries,
            })),
            _ => Err(self.source.error(span, format!("`{key}` must be a table"))),
        }
    }

    /// A text that stays in the table.
    fn clone_of(&self, key: &str) -> Result<String, SpecError> {
        let value = self
            .entries
            .get(key)
            .and_then(|value| value.get_ref().as_str());
        value
            .map(str::to_string)
            .ok_or_else(|| self.error(format!("`{key}` is missing")))
    }

    /// The rest of the table, as `read` understands it, which must refuse unknown keys.
    pub(super) fn read<T>(
        &mut self,
        read: impl Fn(ValueDeserializer<'a>) -> Result<T, toml::de::Error>,
    ) -> Result<T, SpecError> {
        let entries = std::mem::take(&mut self.entries);
        let read = |entries| {
            let value = Spanned::new(self.span(), DeValue::Table(entries));
            read(ValueDeserializer::from(value))
        };
        read(entries.clone()).map_err(|error| {
            let message = error.message();
            let fails = |entries| read(entries).is_err_and(|other| other.message() == message);
            let span = error.span().unwrap_or(self.span());
            let (span, path) = culprit(&entries, span, &fails);
            let located = self.source.error(span, with_suggestion(message));
            match path.is_empty() {
                true => located,
                false => SpecError {
                    message: format!("`{}`: {}", path.join("."), located.message),
                    ..located
                },
            }
        })
    }

    /// Refuses whatever is left, naming the first key and the known one nearest to it.
    pub(super) fn finish(self, known: &[&str]) -> Result<(), SpecError> {
        let Some((key, _)) = self.entries.iter().min_by_key(|(key, _)| key.span().start) else {
            return Ok(());
        };
        let known: Vec<String> = known.iter().map(ToString::to_string).collect();
        let name = key.get_ref().as_ref();
        Err(self.source.error(
            key.span(),
            format!("unknown key `{name}`{}", suggestion(&known, name)),
        ))
    }
}

/// Where inside the table at `span` an error is, with its path; there, with no path, where that cannot be said. serde
/// reads tables that a key tells apart through a copy without places, and then knows the table alone. The key without
/// which the error goes away is the one at fault.
fn culprit<'a>(
    entries: &DeTable<'a>,
    span: Range<usize>,
    fails: &dyn Fn(DeTable<'a>) -> bool,
) -> (Range<usize>, Vec<String>) {
    let Some((key, value)) = entries.iter().find(|(_, value)| value.span() == span) else {
        return (span, Vec::new());
    };
    let mut path = vec![key.get_ref().to_string()];
    let mut place = (span, value.get_ref());
    while let DeValue::Table(inner) = place.1 {
        let others = inner.iter().filter(|(key, _)| key.get_ref() != TAG);
        let at_fault = others.into_iter().find(|(key, _)| {
            let mut without = entries.clone();
            remove(&mut without, &path, key.get_ref());
            !fails(without)
        });
        let Some((key, value)) = at_fault else {
            break;
        };
        path.push(key.get_ref().to_string());
        place = (key.span(), value.get_ref());
    }
    match path.len() {
        1 => (place.0, Vec::new()),
        _ => (place.0, path),
    }
}

/// Removes a key of the table at a path.
fn remove(table: &mut DeTable<'_>, path: &[String], key: &str) {
    match path.split_first() {
        None => {
            table.remove(key);
        }
        Some((first, rest)) => {
            if let Some(DeValue::Table(inner)) = table.get_mut(first.as_str()).map(Spanned::get_mut)
            {
                remove(inner, rest, key);
            }
        }
    }
}

/// Combinations that the lists of a grid or a search may make.
const MOST_VARIANTS: usize = 10_000;

/// Puts a value at a dotted path, making tables on the way; or the part of the path that is no table.
fn insert<'a>(
    table: &mut DeTable<'a>,
    path: &str,
    value: Spanned<DeValue<'a>>,
) -> Result<(), String> {
    let span = value.span();
    let Some((first, rest)) = path.split_once('.') else {
        table.insert(Spanned::new(span, path.to_string().into()), value);
        return Ok(());
    };
    let inner = table
        .entry(Spanned::new(span.clone(), first.to_string().into()))
        .or_insert_with(|| Spanned::new(span, DeValue::Table(DeTable::new())));
    match inner.get_mut() {
        DeValue::Table(inner) => insert(inner, rest, value),
        _ => Err(first.into()),
    }
}

/// Adds the nearest expected name to serde's "unknown field" and "unknown variant" messages.
fn with_suggestion(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2).map(str::to_string);
    match names.next() {
        Some(name) if message.starts_with("unknown ") && message.contains(", expected") => {
            let known: Vec<String> = names.collect();
            format!(
                "{}{}",
                message.split(", expected").next().unwrap_or(message),
                suggestion(&known, &name)
            )
        }
        _ => message.to_string(),
    }
}
