//! Settings of a kind: what stands behind the `kind` of a problem or an optimizer in an experiment
//! file, whatever its type is.

use std::any::Any;
use std::fmt::{self, Debug};
use std::ops::Deref;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Invalid {
    /// The key.
    pub key: String,
    /// Its value, where that says more than the reason.
    pub value: Option<String>,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl Invalid {
    /// A key whose reason names the value by itself.
    pub fn new(key: impl Into<String>, reason: impl ToString) -> Self {
        Self {
            key: key.into(),
            value: None,
            reason: reason.to_string(),
        }
    }

    /// A key with its value.
    pub fn value(key: impl Into<String>, value: impl ToString, reason: impl ToString) -> Self {
        Self {
            value: Some(value.to_string()),
            ..Self::new(key, reason)
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "`{}` = {value}: {}", self.key, self.reason),
            None => write!(f, "`{}`: {}", self.key, self.reason),
        }
    }
}

/// What all settings can do. Every type with these traits has it.
pub trait Settings: Debug + erased_serde::Serialize + Any + Send + Sync {
    /// The settings as a type that can be asked which it is.
    fn as_any(&self) -> &dyn Any;

    /// Whether `other` is of the same type and equal.
    fn equals(&self, other: &dyn Any) -> bool;
}

impl<T: Debug + PartialEq + Serialize + Any + Send + Sync> Settings for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}

/// A type of settings with the name that experiment files give it.
pub trait Kind: Settings + DeserializeOwned {
    /// The name: the value of `kind`.
    const NAME: &'static str;

    /// What it is, in a line of `bench-runner list`.
    const ABOUT: &'static str;

    /// What its settings choose from by name, with titles, for `bench-runner list`.
    fn members() -> Vec<(String, String)> {
        Vec::new()
    }
}

/// Settings and the name of their kind; `S` is a trait that they have. Copies share the settings.
pub struct Configured<S: ?Sized> {
    kind: &'static str,
    settings: Arc<S>,
}

impl<S: ?Sized> Configured<S> {
    /// Settings of the kind `K`.
    pub(crate) fn of<K: Kind>(settings: Arc<S>) -> Self {
        Self {
            kind: K::NAME,
            settings,
        }
    }

    /// The kind, as experiment files name it.
    pub fn kind(&self) -> &'static str {
        self.kind
    }
}

impl<S: ?Sized + Settings> Configured<S> {
    /// The settings, if they are of this type.
    pub fn downcast<T: 'static>(&self) -> Option<&T> {
        self.settings.as_any().downcast_ref()
    }

    /// The value of a key, as JSON; `None` where the settings have no such key or leave it out.
    pub fn setting(&self, key: &str) -> Option<serde_json::Value> {
        serde_json::to_value(self).ok()?.get(key).cloned()
    }

    /// All settings that are written down, in one line: the kind, and the others as TOML.
    pub fn line(&self) -> String {
        let table = match toml::Value::try_from(self) {
            Ok(toml::Value::Table(table)) => table,
            _ => toml::Table::new(),
        };
        let others = table
            .iter()
            .filter(|(key, value)| *key != TAG && !value.as_array().is_some_and(Vec::is_empty))
            .map(|(key, value)| format!("{key} = {value}"));
        let parts: Vec<String> = [self.kind.to_owned()].into_iter().chain(others).collect();
        parts.join(", ")
    }
}

impl<S: ?Sized> Deref for Configured<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.settings
    }
}

impl<S: ?Sized> Clone for Configured<S> {
    fn clone(&self) -> Self {
        Self {
            kind: self.kind,
            settings: Arc::clone(&self.settings),
        }
    }
}

impl<S: ?Sized + Debug> Debug for Configured<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

impl<S: ?Sized + Settings> PartialEq for Configured<S> {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.settings.equals(other.settings.as_any())
    }
}

/// The key that names the kind.
pub(crate) const TAG: &str = "kind";

/// As experiment files have it: `kind`, and the settings beside it.
impl<S: ?Sized + Settings> Serialize for Configured<S> {
    fn serialize<W: Serializer>(&self, serializer: W) -> Result<W::Ok, W::Error> {
        #[derive(Serialize)]
        struct Tagged<'a> {
            kind: &'a str,
            #[serde(flatten)]
            settings: &'a dyn erased_serde::Serialize,
        }
        let tagged = Tagged {
            kind: self.kind,
            settings: &ErasedSettings(&*self.settings),
        };
        tagged.serialize(serializer)
    }
}

/// Settings behind a reference, as something that can be serialised.
struct ErasedSettings<'a, S: ?Sized>(&'a S);

impl<S: ?Sized + Settings> Serialize for ErasedSettings<'_, S> {
    fn serialize<W: Serializer>(&self, serializer: W) -> Result<W::Ok, W::Error> {
        erased_serde::serialize(self.0, serializer)
    }
}
