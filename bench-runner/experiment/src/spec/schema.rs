//! The JSON Schema of experiment files, made of the registered kinds and of the code that reads the tables.

use std::collections::BTreeMap;

use bench_data::schema;
use serde_json::{Value, json};

use super::executor::ExecutorConfig;
use super::experiment::Experiment;
use super::scale::{Cut, Scale};
use super::stability::Stability;
use super::tuning::JudgedBy;
use crate::optimizer::OptimizerConfig;
use crate::problem::ProblemConfig;
use crate::registry::KindEntry;
use crate::settings::TAG;

impl Experiment {
    /// The JSON Schema of experiment files, with the kinds that are registered. A file that it refuses is refused by
    /// [`parse`](Self::parse) too; what spans several keys is left to that.
    pub fn schema() -> Value {
        let number = || json!({ "type": "number" });
        let whole = |least: u64| json!({ "type": "integer", "minimum": least });
        let text = || json!({ "type": "string" });
        let texts = || json!({ "type": "array", "items": text() });
        let lists = || json!({ "type": "object", "additionalProperties": { "type": "array" } });
        let seeds = || json!({ "anyOf": [whole(1), { "type": "array", "items": whole(0) }] });
        let cut = schema::of::<Cut>();
        let problem = json!({
            "label": text(), "budget": whole(1), "points": whole(1), "epochs": whole(1), "resolution": number(),
            "seconds": number(), "target": number(), "grid": lists(),
        });
        let optimizer = json!({
            "label": text(), "problems": texts(), "stream": whole(0), "perturbation": whole(0), "grid": lists(),
            "search": lists(), "trials": { "type": "array", "items": { "type": "object" } },
        });
        let tuning = json!({
            "seeds": seeds(), "by": schema::of::<JudgedBy>(), "validation": number(), "extensions": whole(0),
        });
        let cuts: BTreeMap<&str, &Value> = Scale::CUT.map(|scale| (scale.name(), &cut)).into();
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": "Experiment file of bench-runner",
            "type": "object",
            "required": ["name", "seeds", "problem", "optimizer"],
            "additionalProperties": false,
            "properties": {
                "name": text(),
                "description": text(),
                "caveats": texts(),
                "seeds": seeds(),
                "tuning": {
                    "type": "object", "properties": tuning, "required": ["seeds"], "additionalProperties": false,
                },
                "stability": schema::of::<Stability>(),
                "scale": {
                    "type": "object", "properties": cuts, "additionalProperties": false,
                },
                "problem": { "type": "array", "minItems": 1, "items": one_of(ProblemConfig::kinds(), &problem) },
                "optimizer": { "type": "array", "minItems": 1, "items": one_of(OptimizerConfig::kinds(), &optimizer) },
                "executor": schema::of::<ExecutorConfig>(),
            },
        })
    }
}

/// A table of one of these kinds, which has the keys that all share beside its own.
fn one_of<S: ?Sized>(kinds: &[KindEntry<S>], shared: &Value) -> Value {
    let of_kind = |kind: &KindEntry<S>| {
        let mut schema = kind.schema();
        schema["description"] = json!(kind.about);
        schema["required"] = json!([TAG]);
        let shared = shared.as_object().into_iter().flatten();
        let tag = (TAG.to_owned(), json!({ "const": kind.name }));
        if let Some(properties) = schema["properties"].as_object_mut() {
            properties.extend(shared.map(|(key, value)| (key.clone(), value.clone())));
            properties.extend([tag]);
        }
        schema
    };
    json!({ "oneOf": kinds.iter().map(of_kind).collect::<Vec<_>>() })
}
