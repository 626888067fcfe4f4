//! Which kinds of problems and optimizers there are: the built-in ones, and those of whoever uses this
//! library.

use std::sync::OnceLock;

use bench_data::schema;
use bench_data::suggestion::suggestion;
use optim::{
    AdamConfig, AdamSgdConfig, FuseConfig, FuseContestConfig, FusePvConfig, GrowingAdamConfig,
    LbfgsConfig, LionConfig, MomentumLbfgsConfig, MuonConfig, NadamwConfig, ProdigyConfig,
    ScheduleFreeAdamwConfig, SgdConfig, ShampooConfig, SlsConfig, SoapConfig, SwatsConfig,
};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use toml::de::ValueDeserializer;

use crate::optimizer::OptimizerSettings;
use crate::problem::{
    BbobConfig, ClassificationConfig, FiniteSumConfig, FunctionConfig, LanguageConfig,
    LeastSquaresConfig, MghConfig, PhysicsConfig, ProblemSettings, QuadraticConfig, ScalableConfig,
};
use crate::settings::{Configured, Kind, Settings, TAG};

/// A kind, and how its settings are read.
pub struct KindEntry<S: ?Sized> {
    /// The name in experiment files.
    pub name: &'static str,
    /// What it is, in a line.
    pub about: &'static str,
    /// What its settings choose from by name, with titles.
    pub members: Vec<(String, String)>,
    from_toml: fn(ValueDeserializer<'_>) -> Result<Configured<S>, toml::de::Error>,
    from_json: fn(serde_json::Value) -> serde_json::Result<Configured<S>>,
    schema: fn() -> serde_json::Value,
}

impl<S: ?Sized> KindEntry<S> {
    fn of<K>() -> Self
    where
        K: Kind,
        Configured<S>: From<K>,
    {
        Self {
            name: K::NAME,
            about: K::ABOUT,
            members: K::members(),
            from_toml: |value| K::deserialize(value).map(Into::into),
            from_json: |value| serde_json::from_value::<K>(value).map(Into::into),
            schema: schema::of::<K>,
        }
    }

    /// Reads settings, `kind` taken out, from an experiment file.
    ///
    /// # Errors
    /// With the place of an unknown key or a value of another type.
    pub fn read(&self, settings: ValueDeserializer<'_>) -> Result<Configured<S>, toml::de::Error> {
        (self.from_toml)(settings)
    }

    /// The JSON Schema of its settings, `kind` taken out.
    pub fn schema(&self) -> serde_json::Value {
        (self.schema)()
    }
}

/// The kinds that experiment files may name.
pub struct Registry {
    problems: Vec<KindEntry<dyn ProblemSettings>>,
    optimizers: Vec<KindEntry<dyn OptimizerSettings>>,
}

static INSTALLED: OnceLock<Registry> = OnceLock::new();

impl Registry {
    /// The kinds of this library, in the order in which they are listed.
    pub fn built_in() -> Self {
        let mut registry = Self {
            problems: Vec::new(),
            optimizers: Vec::new(),
        };
        registry.problem::<QuadraticConfig>();
        registry.problem::<FiniteSumConfig>();
        registry.problem::<LeastSquaresConfig>();
        registry.problem::<ClassificationConfig>();
        registry.problem::<LanguageConfig>();
        registry.problem::<PhysicsConfig>();
        registry.problem::<FunctionConfig>();
        registry.problem::<MghConfig>();
        registry.problem::<BbobConfig>();
        registry.problem::<ScalableConfig>();
        registry.optimizer::<SgdConfig>();
        registry.optimizer::<AdamConfig>();
        registry.optimizer::<NadamwConfig>();
        registry.optimizer::<LionConfig>();
        registry.optimizer::<ScheduleFreeAdamwConfig>();
        registry.optimizer::<ProdigyConfig>();
        registry.optimizer::<MuonConfig>();
        registry.optimizer::<ShampooConfig>();
        registry.optimizer::<SoapConfig>();
        registry.optimizer::<SwatsConfig>();
        registry.optimizer::<SlsConfig>();
        registry.optimizer::<AdamSgdConfig>();
        registry.optimizer::<GrowingAdamConfig>();
        registry.optimizer::<LbfgsConfig>();
        registry.optimizer::<MomentumLbfgsConfig>();
        registry.optimizer::<FuseConfig>();
        registry.optimizer::<FusePvConfig>();
        registry.optimizer::<FuseContestConfig>();
        registry
    }

    /// Adds a kind of problem; it takes the place of one with the same name.
    pub fn problem<K: Kind + ProblemSettings>(&mut self) {
        self.problems.retain(|entry| entry.name != K::NAME);
        self.problems.push(KindEntry::of::<K>());
    }

    /// Adds a kind of optimizer; it takes the place of one with the same name.
    pub fn optimizer<K: Kind + OptimizerSettings>(&mut self) {
        self.optimizers.retain(|entry| entry.name != K::NAME);
        self.optimizers.push(KindEntry::of::<K>());
    }

    /// Makes these the kinds of this process, for good. Whether it did: it does not once kinds have been
    /// asked for.
    pub fn install(self) -> bool {
        INSTALLED.set(self).is_ok()
    }

    /// The kinds of this process: those installed, or else the built-in ones.
    pub fn get() -> &'static Self {
        INSTALLED.get_or_init(Self::built_in)
    }
}

/// Settings whose kinds are registered.
pub trait Registered: Settings {
    /// The kinds.
    fn entries(registry: &Registry) -> &[KindEntry<Self>];
}

impl Registered for dyn ProblemSettings {
    fn entries(registry: &Registry) -> &[KindEntry<Self>] {
        &registry.problems
    }
}

impl Registered for dyn OptimizerSettings {
    fn entries(registry: &Registry) -> &[KindEntry<Self>] {
        &registry.optimizers
    }
}

impl<S: ?Sized + Registered> Configured<S> {
    /// The registered kinds.
    pub fn kinds() -> &'static [KindEntry<S>] {
        S::entries(Registry::get())
    }

    /// The kind with a name.
    ///
    /// # Errors
    /// In words, with the nearest name.
    pub fn kind_named(name: &str) -> Result<&'static KindEntry<S>, UnknownKind> {
        let found = Self::kinds().iter().find(|entry| entry.name == name);
        found.ok_or_else(|| UnknownKind {
            name: name.into(),
            known: Self::kinds()
                .iter()
                .map(|entry| entry.name.into())
                .collect(),
        })
    }
}

/// A kind that is not registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown kind `{name}`{}", suggestion(.known, .name))]
pub struct UnknownKind {
    /// The name.
    pub name: String,
    /// The kinds that are.
    pub known: Vec<String>,
}

/// From a table with `kind` and the settings beside it.
impl<'de, S: ?Sized + Registered> Deserialize<'de> for Configured<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut settings = serde_json::Map::deserialize(deserializer)?;
        let kind = settings.remove(TAG);
        let kind = kind.as_ref().and_then(serde_json::Value::as_str);
        let kind = kind.ok_or_else(|| D::Error::missing_field(TAG))?;
        let entry = Self::kind_named(kind).map_err(D::Error::custom)?;
        (entry.from_json)(settings.into()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimizer::OptimizerConfig;

    #[test]
    fn settings_come_back_from_json_and_toml_as_they_were() {
        let adam = OptimizerConfig::from(AdamConfig {
            learning_rate: 0.1 + 0.2,
            ..AdamConfig::default()
        });
        let json = serde_json::to_string(&adam).expect("numbers and names have a form in JSON");
        assert!(json.starts_with("{\"kind\":\"adam\",\"learning_rate\":0.30000000000000004"));
        assert_eq!(
            serde_json::from_str::<OptimizerConfig>(&json).ok(),
            Some(adam.clone())
        );
        let toml = toml::to_string(&adam).expect("numbers and names have a form in TOML");
        assert_eq!(toml::from_str::<OptimizerConfig>(&toml).ok(), Some(adam));
    }

    #[test]
    fn a_kind_that_nobody_registered_is_refused_with_the_nearest() {
        let error = toml::from_str::<OptimizerConfig>("kind = \"adm\"").expect_err("no such kind");
        let text = error.to_string();
        assert!(
            text.contains("unknown kind `adm`; did you mean `adam`?"),
            "{text}"
        );
    }
}
