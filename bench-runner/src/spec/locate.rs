//! TOML with positions: tables that are taken apart piece by piece, every error with file, line and
//! column.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::error::suggestion;

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

    /// Takes `kind`, which must be one of the known kinds.
    pub(super) fn kind(&mut self, known: &[(&str, &str)]) -> Result<String, SpecError> {
        let known: Vec<String> = known.iter().map(|(kind, _)| kind.to_string()).collect();
        let here = self.error_at("kind", "");
        let kind: String = self.required("kind")?;
        if known.contains(&kind) {
            return Ok(kind);
        }
        Err(SpecError {
            message: format!("unknown kind `{kind}`{}", suggestion(&known, &kind)),
            ..here
        })
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

    /// The rest of the table as `T`, which must refuse unknown keys.
    pub(super) fn rest<T: DeserializeOwned>(&mut self) -> Result<T, SpecError> {
        let entries = std::mem::take(&mut self.entries);
        let value = Spanned::new(self.span(), DeValue::Table(entries));
        T::deserialize(ValueDeserializer::from(value))
            .map_err(|error| self.source.toml_error(&error, self.span()))
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
