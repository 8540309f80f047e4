//! From JSON to Rust types, with the place of what does not fit.
//!
//! The JSON library's own errors print whatever value they met, floating point numbers too: that code alone is a
//! tenth of a small component. These name the kind of the value and its place, which also says more.

use std::fmt::{self, Display};

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Expected,
    IntoDeserializer as _,
};
use serde::de::{MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use crate::Violation;

/// Reads JSON text as a type.
pub(crate) fn from_slice<T: DeserializeOwned>(text: &[u8]) -> Result<T, Misfit> {
    let value: Value =
        serde_json::from_slice(text).map_err(|error| Misfit::new("json", error.to_string()))?;
    from_value(&value)
}

/// Reads a JSON value as a type.
pub(crate) fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, Misfit> {
    T::deserialize(Node(value))
}

/// The first place where a value does not fit its type.
#[derive(Debug)]
pub(crate) struct Misfit {
    path: String,
    rule: &'static str,
    message: String,
}

impl Misfit {
    fn new(rule: &'static str, message: String) -> Self {
        Self {
            path: String::new(),
            rule,
            message,
        }
    }

    /// The same, seen from one level further out.
    fn below(mut self, step: &str) -> Self {
        let step = step.replace('~', "~0").replace('/', "~1");
        self.path.insert_str(0, &step);
        self.path.insert(0, '/');
        self
    }
}

impl From<Misfit> for Violation {
    fn from(misfit: Misfit) -> Self {
        Self {
            path: misfit.path,
            rule: misfit.rule.to_owned(),
            message: misfit.message,
        }
    }
}

impl Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            f.write_str(&self.path)?;
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: Display>(message: T) -> Self {
        Self::new("value", message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(
            "type",
            format!("this must be {expected}, not {}", kind(&found)),
        )
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new("value", format!("this {} must be {expected}", kind(&found)))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(
            "length",
            format!("this has {length} elements and must be {expected}"),
        )
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        Self::new(
            "enum",
            format!("`{found}` is none of `{}`", known.join("`, `")),
        )
    }

    fn unknown_field(found: &str, known: &'static [&'static str]) -> Self {
        Self::new(
            "additionalProperties",
            format!("there is no `{found}`; there is `{}`", known.join("`, `")),
        )
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new("required", format!("`{field}` is required"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new("json", format!("`{field}` is there twice"))
    }
}

fn kind(found: &Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Char(_) | Unexpected::Str(_) => "a string",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Bytes(_) | Unexpected::Seq => "a list",
        Unexpected::Map | Unexpected::NewtypeStruct => "an object",
        _ => "this kind of value",
    }
}

/// One value that is being read.
#[derive(Clone, Copy)]
struct Node<'de>(&'de Value);

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(value), _) => visitor.visit_u64(value),
                (None, Some(value)) => visitor.visit_i64(value),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(values) => visitor.visit_seq(Elements { values, at: 0 }),
            Value::Object(members) => visitor.visit_map(Members {
                members: members.into_iter(),
                current: None,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(Variant { name, data: None }),
            Value::Object(members) => match one_member(members) {
                Some((name, data)) => visitor.visit_enum(Variant {
                    name,
                    data: Some(data),
                }),
                None => Err(Misfit::new(
                    "enum",
                    "this must be an object with one key".to_owned(),
                )),
            },
            _ => Err(Misfit::new(
                "enum",
                "this must be a string, or an object with one key".to_owned(),
            )),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_unit()
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Bool(value) => visitor.visit_bool(*value),
            other => Err(unexpected(other, &visitor)),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::String(text) => visitor.visit_borrowed_str(text),
            other => Err(unexpected(other, &visitor)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Array(values) => visitor.visit_seq(Elements { values, at: 0 }),
            other => Err(unexpected(other, &visitor)),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Object(members) => visitor.visit_map(Members {
                members: members.into_iter(),
                current: None,
            }),
            other => Err(unexpected(other, &visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_map(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_string(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_string(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
    }
}

/// The error of a value that is of another kind than the type wants.
fn unexpected(value: &Value, expected: &dyn Expected) -> Misfit {
    let found = match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(value) => Unexpected::Bool(*value),
        Value::Number(_) => Unexpected::Unsigned(0),
        Value::String(text) => Unexpected::Str(text),
        Value::Array(_) => Unexpected::Seq,
        Value::Object(_) => Unexpected::Map,
    };
    de::Error::invalid_type(found, expected)
}

fn one_member(members: &Map<String, Value>) -> Option<(&String, &Value)> {
    let mut members = members.into_iter();
    members.next().filter(|_| members.next().is_none())
}

struct Elements<'de> {
    values: &'de [Value],
    at: usize,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Misfit> {
        let Some(value) = self.values.get(self.at) else {
            return Ok(None);
        };
        let read = seed
            .deserialize(Node(value))
            .map_err(|misfit| misfit.below(&self.at.to_string()));
        self.at += 1;
        read.map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.values.len().saturating_sub(self.at))
    }
}

struct Members<'de> {
    members: serde_json::map::Iter<'de>,
    current: Option<(&'de str, &'de Value)>,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Misfit> {
        self.current = self
            .members
            .next()
            .map(|(name, value)| (name.as_str(), value));
        let Some((name, _)) = self.current else {
            return Ok(None);
        };
        seed.deserialize(BorrowedStrDeserializer::new(name))
            .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let (name, value) = self.current.take().unwrap_or(("", &Value::Null));
        seed.deserialize(Node(value))
            .map_err(|misfit| misfit.below(name))
    }
}

struct Variant<'de> {
    name: &'de str,
    data: Option<&'de Value>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Misfit;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Misfit> {
        seed.deserialize(self.name.into_deserializer())
            .map(|name| (name, self))
    }
}

impl<'de> Variant<'de> {
    fn read<T>(self, read: impl FnOnce(Node<'de>) -> Result<T, Misfit>) -> Result<T, Misfit> {
        match self.data {
            Some(data) => read(Node(data)).map_err(|misfit| misfit.below(self.name)),
            None => Err(Misfit::new(
                "enum",
                format!("`{}` must be an object with that key", self.name),
            )),
        }
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Misfit;

    fn unit_variant(self) -> Result<(), Misfit> {
        match self.data {
            None | Some(Value::Null) => Ok(()),
            Some(_) => Err(Misfit::new(
                "enum",
                format!("`{}` stands alone, as a string", self.name),
            )),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Misfit> {
        self.read(|data| seed.deserialize(data))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Misfit> {
        self.read(|data| data.deserialize_any(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.read(|data| data.deserialize_any(visitor))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        inner: Vec<Inner>,
        note: Option<String>,
        #[serde(default)]
        labels: BTreeMap<String, f64>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        count: u8,
        shape: Shape,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Shape {
        Dot,
        Circle(f32),
        Box { width: i16, height: i16 },
        Line(i8, i8),
    }

    fn misfit(value: Value) -> (String, String) {
        let violation = Violation::from(from_value::<Outer>(&value).unwrap_err());
        (violation.path, violation.rule)
    }

    #[test]
    fn values_become_types() {
        let value = json!({
            "inner": [
                {"count": 1, "shape": "dot"},
                {"count": 2, "shape": {"circle": 1.5}},
                {"count": 3, "shape": {"box": {"width": -1, "height": 2}}},
                {"count": 4, "shape": {"line": [1, -1]}},
            ],
            "note": null,
            "labels": {"a": 1, "b": 0.5},
        });
        let shapes = from_value::<Outer>(&value)
            .unwrap()
            .inner
            .into_iter()
            .map(|inner| inner.shape);
        let expected = [
            Shape::Dot,
            Shape::Circle(1.5),
            Shape::Box {
                width: -1,
                height: 2,
            },
            Shape::Line(1, -1),
        ];
        assert_eq!(shapes.collect::<Vec<_>>(), expected);
        assert_eq!(
            from_value::<Outer>(&value).unwrap(),
            serde_json::from_value(value).unwrap()
        );
    }

    #[test]
    fn misfits_name_their_place_and_rule() {
        for (value, path, rule) in [
            (json!([]), "", "type"),
            (json!({}), "", "required"),
            (json!({"inner": [], "nots": ""}), "", "additionalProperties"),
            (json!({"inner": [], "note": 1}), "/note", "type"),
            (
                json!({"inner": [], "labels": {"a/b~c": "x"}}),
                "/labels/a~1b~0c",
                "type",
            ),
            (
                json!({"inner": [{"count": 256, "shape": "dot"}]}),
                "/inner/0/count",
                "value",
            ),
            (
                json!({"inner": [{"count": 1, "shape": "dash"}]}),
                "/inner/0/shape",
                "enum",
            ),
            (
                json!({"inner": [{"count": 1, "shape": {"circle": "x"}}]}),
                "/inner/0/shape/circle",
                "type",
            ),
            (
                json!({"inner": [{"count": 1, "shape": {"circle": 1, "dot": 1}}]}),
                "/inner/0/shape",
                "enum",
            ),
        ] {
            assert_eq!(
                misfit(value.clone()),
                (path.to_owned(), rule.to_owned()),
                "{value}"
            );
        }
    }

    #[test]
    fn text_that_is_not_json_is_a_misfit() {
        assert_eq!(
            Violation::from(from_slice::<Outer>(b"{").unwrap_err()).rule,
            "json"
        );
    }
}
