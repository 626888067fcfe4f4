//! JSON Schemas of what types read, found by asking the code that reads: a deserializer goes down one path at a time,
//! as serde leads it, and notes what is wanted at the path's end. So keys and types of a schema are those of the code,
//! without a second list beside it, whatever crate a type is from.

use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, MapDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};
use serde_json::{Map, Value, json};

/// As deep as keys are followed; what is below may be anything.
const DEEPEST: usize = 5;

/// The schema of a type's TOML or JSON. What a type reads by looking at it first, such as one of several forms without
/// a name, is left open: any value is valid there, and the code that reads it judges. Of tables that are told apart by
/// a key, the names and keys are known and the types of their values open.
///
/// ```
/// # use serde::Deserialize;
/// #[derive(Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Settings {
///     rate: f64,
///     steps: Option<u64>,
/// }
/// let schema = bench_data::schema::of::<Settings>();
/// assert_eq!(schema["properties"]["rate"]["type"], "number");
/// assert_eq!(schema["properties"]["steps"]["type"], "integer");
/// assert_eq!(schema["additionalProperties"], false);
/// ```
pub fn of<T: DeserializeOwned>() -> Value {
    at(&|probe| T::deserialize(probe).err(), &[])
}

/// A step from a value into one that it holds.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    /// The value of a key.
    Key(&'static str),
    /// The value of a variant that is named, as `{ variant = value }`.
    Variant(&'static str),
    /// An element of a list.
    Element,
}

/// What a type wants at the end of a path.
#[derive(Debug, Clone)]
enum Wanted {
    /// A value of a kind that JSON Schema names.
    Typed(&'static str),
    /// A table with these keys.
    Keys(&'static [&'static str]),
    /// One of these variants.
    Variants(&'static [&'static str]),
    /// A variant that is a name alone.
    Name,
    /// A list.
    List,
    /// A list of so many values.
    Tuple(usize),
    /// A value that is looked at before it is known what it is.
    Any,
    /// The key by which tables are told apart.
    Tag(&'static str),
}

/// Why reading stopped: the answer to a question, or an error of the type that reads.
#[derive(Debug)]
struct Stopped(Option<Wanted>);

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Stopped {}

impl serde::de::Error for Stopped {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(None)
    }

    fn missing_field(field: &'static str) -> Self {
        Self(Some(Wanted::Tag(field)))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(Some(Wanted::Variants(expected)))
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self(Some(Wanted::Keys(expected)))
    }
}

/// A value that asks what is wanted of it.
#[derive(Clone, Copy)]
struct Probe<'p> {
    path: &'p [Step],
    /// A table of texts for a type that looks at a value first; without one the question is whether it does.
    bait: Option<&'p [(&'static str, &'static str)]>,
}

/// Reads a probe, and says why that stopped.
type Read<'r> = &'r dyn Fn(Probe<'_>) -> Option<Stopped>;

/// Asks with a bait what is wanted at a path.
type Ask<'r> = &'r dyn Fn(Option<&[(&'static str, &'static str)]>) -> Option<Wanted>;

/// A name that no key and no variant has.
const NOBODY: &str = "\u{0}";

/// The schema at a path.
fn at(read: Read<'_>, path: &[Step]) -> Value {
    let ask: Ask<'_> = &|bait| read(Probe { path, bait }).and_then(|stopped| stopped.0);
    let inside = |step: Step| at(read, &[path, &[step]].concat());
    if path.len() > DEEPEST {
        return json!({});
    }
    match ask(None) {
        Some(Wanted::Typed(name)) => json!({ "type": name }),
        Some(Wanted::Keys(keys)) => {
            let value = |key: &&'static str| ((*key).to_owned(), inside(Step::Key(key)));
            table(keys.iter().map(value).collect())
        }
        Some(Wanted::Variants(names)) => any_of(names.iter().map(|name| {
            let value = inside(Step::Variant(name));
            match value.get("const") {
                Some(_) => value,
                None => {
                    let mut named = table(Map::from_iter([((*name).to_owned(), value)]));
                    named["required"] = json!([name]);
                    named
                }
            }
        })),
        Some(Wanted::Name) => match path.last() {
            Some(Step::Variant(name)) => json!({ "const": name }),
            _ => json!({}),
        },
        Some(Wanted::List) => json!({ "type": "array", "items": inside(Step::Element) }),
        Some(Wanted::Tuple(length)) => {
            json!({ "type": "array", "minItems": length, "maxItems": length })
        }
        Some(Wanted::Any) => told_apart(ask).unwrap_or_else(|| json!({})),
        Some(Wanted::Tag(_)) | None => json!({}),
    }
}

/// The schema of tables that a key tells apart, if that is what is read.
fn told_apart(ask: Ask<'_>) -> Option<Value> {
    // The key is what an empty table lacks; a table with an odd name in it tells the names, and one with a name and an
    // odd key the keys.
    let Some(Wanted::Tag(tag)) = ask(Some(&[])) else {
        return None;
    };
    let Some(Wanted::Variants(names)) = ask(Some(&[(tag, NOBODY)])) else {
        return None;
    };
    Some(any_of(names.iter().map(|name| {
        let named = (tag.to_owned(), json!({ "const": name }));
        let mut schema = match ask(Some(&[(tag, *name), (NOBODY, "")])) {
            Some(Wanted::Keys(keys)) => {
                let keys = keys.iter().map(|key| ((*key).to_owned(), json!({})));
                table(keys.chain([named]).collect())
            }
            _ => json!({ "type": "object", "properties": Map::from_iter([named]) }),
        };
        schema["required"] = json!([tag]);
        schema
    })))
}

/// A table with these keys and no others.
fn table(properties: Map<String, Value>) -> Value {
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// One of several schemas.
fn any_of(schemas: impl Iterator<Item = Value>) -> Value {
    let schemas: Vec<Value> = schemas.collect();
    let names: Option<Vec<&Value>> = schemas.iter().map(|schema| schema.get("const")).collect();
    match names {
        Some(names) => json!({ "enum": names }),
        None => json!({ "anyOf": schemas }),
    }
}

impl<'p> Probe<'p> {
    /// The first step of the path, and a value for it; at the end of the path what is wanted is the answer.
    fn step(self, wanted: Wanted) -> Result<(&'p Step, Self), Stopped> {
        match self.path.split_first() {
            None => Err(Stopped(Some(wanted))),
            Some((step, path)) => Ok((step, Self { path, ..self })),
        }
    }

    fn table<'de, V: Visitor<'de>>(
        self,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stopped> {
        let (step, value) = self.step(Wanted::Keys(keys))?;
        match step {
            Step::Key(key) => visitor.visit_map(Only(Some((*key, value)))),
            _ => Err(Stopped(None)),
        }
    }
}

macro_rules! typed {
    ($($method:ident: $name:literal,)*) => {$(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Stopped> {
            Err(Stopped(Some(Wanted::Typed($name))))
        }
    )*};
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Stopped;

    typed! {
        deserialize_bool: "boolean",
        deserialize_i8: "integer",
        deserialize_i16: "integer",
        deserialize_i32: "integer",
        deserialize_i64: "integer",
        deserialize_u8: "integer",
        deserialize_u16: "integer",
        deserialize_u32: "integer",
        deserialize_u64: "integer",
        deserialize_f32: "number",
        deserialize_f64: "number",
        deserialize_char: "string",
        deserialize_str: "string",
        deserialize_string: "string",
        deserialize_map: "object",
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stopped> {
        match (self.path, self.bait) {
            ([], Some(entries)) => visitor.visit_map(MapDeserializer::new(
                entries
                    .iter()
                    .map(|(key, value)| (BorrowedStrDeserializer::new(key), *value)),
            )),
            _ => Err(Stopped(Some(Wanted::Any))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stopped> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Stopped> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stopped> {
        let (_, value) = self.step(Wanted::List)?;
        visitor.visit_seq(One(Some(value)))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, _: V) -> Result<V::Value, Stopped> {
        Err(Stopped(Some(Wanted::Tuple(length))))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        _: V,
    ) -> Result<V::Value, Stopped> {
        Err(Stopped(Some(Wanted::Tuple(length))))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stopped> {
        self.table(keys, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stopped> {
        let (step, value) = self.step(Wanted::Variants(variants))?;
        match step {
            Step::Variant(name) => visitor.visit_enum(Named(name, value)),
            _ => Err(Stopped(None)),
        }
    }

    serde::forward_to_deserialize_any! {
        i128 u128 bytes byte_buf unit unit_struct identifier ignored_any
    }
}

/// A table of one key.
struct Only<'p>(Option<(&'static str, Probe<'p>)>);

impl<'de> MapAccess<'de> for Only<'_> {
    type Error = Stopped;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Stopped> {
        self.0
            .map(|(key, _)| seed.deserialize(key.into_deserializer()))
            .transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stopped> {
        let (_, value) = self.0.take().ok_or(Stopped(None))?;
        seed.deserialize(value)
    }
}

/// A list of one value.
struct One<'p>(Option<Probe<'p>>);

impl<'de> SeqAccess<'de> for One<'_> {
    type Error = Stopped;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Stopped> {
        self.0
            .take()
            .map(|value| seed.deserialize(value))
            .transpose()
    }
}

/// A variant and its value.
struct Named<'p>(&'static str, Probe<'p>);

impl<'de, 'p> EnumAccess<'de> for Named<'p> {
    type Error = Stopped;
    type Variant = Probe<'p>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Probe<'p>), Stopped> {
        let Self(name, value) = self;
        Ok((seed.deserialize(name.into_deserializer())?, value))
    }
}

impl<'de> VariantAccess<'de> for Probe<'_> {
    type Error = Stopped;

    fn unit_variant(self) -> Result<(), Stopped> {
        Err(Stopped(Some(Wanted::Name)))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Stopped> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, _: V) -> Result<V::Value, Stopped> {
        Err(Stopped(Some(Wanted::Tuple(length))))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stopped> {
        self.table(keys, visitor)
    }
}

#[cfg(test)]
#[allow(dead_code)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[serde(rename = "names")]
        list: Vec<String>,
        choice: Choice,
        model: Model,
        either: Either,
        pair: [usize; 2],
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Choice {
        LastOne,
        At(f64),
        Both { left: bool, right: Flag },
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Flag {
        Up,
        Down,
    }

    #[derive(Deserialize)]
    #[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
    enum Model {
        Mlp { hidden: Vec<usize> },
        Linear,
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Count(u64),
        List(Vec<u64>),
    }

    #[test]
    fn a_schema_is_what_the_code_reads() {
        let both = table(Map::from_iter([
            ("left".to_owned(), json!({ "type": "boolean" })),
            ("right".to_owned(), json!({ "enum": ["up", "down"] })),
        ]));
        let named = |name: &str, value: Value| {
            let mut schema = table(Map::from_iter([(name.to_owned(), value)]));
            schema["required"] = json!([name]);
            schema
        };
        let kind = |name: &str, keys: &[&str]| {
            let keys = keys.iter().map(|key| ((*key).to_owned(), json!({})));
            let tag = ("kind".to_owned(), json!({ "const": name }));
            let mut schema = table(keys.chain([tag]).collect());
            schema["required"] = json!(["kind"]);
            schema
        };
        let properties = json!({
            "names": { "type": "array", "items": { "type": "string" } },
            "choice": { "anyOf": [
                { "const": "last-one" },
                named("at", json!({ "type": "number" })),
                named("both", both),
            ] },
            "model": { "anyOf": [
                kind("mlp", &["hidden"]),
                json!({ "type": "object", "properties": { "kind": { "const": "linear" } }, "required": ["kind"] }),
            ] },
            "either": {},
            "pair": { "type": "array", "minItems": 2, "maxItems": 2 },
        });
        let expected =
            json!({ "type": "object", "properties": properties, "additionalProperties": false });
        assert_eq!(of::<Outer>(), expected);
    }
}
