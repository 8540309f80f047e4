//! JSON Schemas of the types that `#[input]` and `#[output]` are put on.
//!
//! Own code in place of a general library: the component carries it, and with it would carry half its size again
//! for schemas that no form can show. The texts are made by the macros, here they are only put together.

use std::collections::{BTreeMap, HashMap};

/// Types within types; only one that holds itself goes deeper.
const MAX_DEPTH: u32 = 32;

/// A type with a JSON Schema (draft 2020-12); implemented by `#[input]` and `#[output]`, for numbers, text, lists,
/// maps and options, and for any JSON, [`serde_json::Value`].
///
/// By hand it is needed only for a type with a serializer of its own:
///
/// ```
/// use goldenpath_sdk::{Keywords, Schema};
///
/// struct Version(u8, u8);
///
/// impl Schema for Version {
///     fn describe(schema: &mut Keywords) {
///         schema.set("type", r#""string""#);
///         schema.set("pattern", r#""^[0-9]+[.][0-9]+$""#);
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an input or output, or a part of one",
    label = "no JSON Schema is known for this type",
    note = "put `#[input]` or `#[output]` on a type of your own; of others, texts, numbers, `bool`, `Option`, `Vec`, maps \
            with `String` keys and `serde_json::Value` have a schema"
)]
pub trait Schema {
    /// Whether a field of this type may be left out.
    const OPTIONAL: bool = false;
    /// What a form of this type is called, as JSON text.
    const TITLE: &'static str = r#""""#;

    /// Sets the keywords.
    fn describe(schema: &mut Keywords);
}

/// The keywords of one schema, in the order in which they were first set.
#[derive(Debug, Default)]
pub struct Keywords {
    pairs: Vec<(&'static str, String)>,
    items: Option<Box<Keywords>>,
    properties: Vec<(&'static str, Keywords)>,
    required: Vec<&'static str>,
    object: bool,
    depth: u32,
}

impl Keywords {
    /// Sets a keyword to a value, which is JSON text; one that is set already gets the new value.
    pub fn set(&mut self, keyword: &'static str, json: impl Into<String>) {
        match self.pairs.iter_mut().find(|(known, _)| *known == keyword) {
            Some((_, value)) => *value = json.into(),
            None => self.pairs.push((keyword, json.into())),
        }
    }

    fn inner<T: Schema>(&self) -> Self {
        assert!(
            self.depth < MAX_DEPTH,
            "an input or output type holds itself, which no form can show"
        );
        let mut inner = Self {
            depth: self.depth + 1,
            ..Self::default()
        };
        T::describe(&mut inner);
        inner
    }

    /// Where keywords on single values go: for a list, to its elements.
    fn element(&mut self) -> &mut Self {
        if self.items.is_none() {
            return self;
        }
        self.items.get_or_insert_default().element()
    }

    fn allow_null(&mut self) {
        for (keyword, json) in &mut self.pairs {
            if *keyword == "type" && json.starts_with('"') {
                *json = format!(r#"[{json},"null"]"#);
            }
            if *keyword == "enum" && json.ends_with(']') {
                json.insert_str(json.len() - 1, ",null");
            }
        }
    }

    fn write(&self, out: &mut String) {
        out.push('{');
        for (keyword, json) in &self.pairs {
            write_key(out, keyword);
            out.push_str(json);
        }
        if let Some(items) = &self.items {
            write_key(out, "items");
            items.write(out);
        }
        if self.object {
            write_key(out, "properties");
            out.push('{');
            for (name, schema) in &self.properties {
                separate(out);
                out.push_str(name);
                out.push(':');
                schema.write(out);
            }
            out.push('}');
            write_key(out, "required");
            out.push('[');
            out.push_str(&self.required.join(","));
            out.push(']');
        }
        out.push('}');
    }
}

fn write_key(out: &mut String, keyword: &str) {
    separate(out);
    out.push('"');
    out.push_str(keyword);
    out.push_str("\":");
}

fn separate(out: &mut String) {
    if !out.ends_with(['{', '[']) {
        out.push(',');
    }
}

/// One field of a struct, as the macros write it: every text is JSON.
#[doc(hidden)]
#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    pub required: bool,
    pub default: Option<String>,
    pub own: &'static [(&'static str, &'static str)],
    pub element: &'static [(&'static str, &'static str)],
}

#[doc(hidden)]
impl Keywords {
    pub fn object(&mut self) {
        self.set("type", r#""object""#);
        self.object = true;
    }

    pub fn field<T: Schema>(&mut self, field: Field) {
        let inner = self.inner::<T>();
        self.push(field, inner);
    }

    fn push(&mut self, field: Field, mut inner: Self) {
        for (keyword, json) in field.own {
            inner.set(keyword, *json);
        }
        for (keyword, json) in field.element {
            inner.element().set(keyword, *json);
        }
        if let Some(default) = field.default {
            inner.set("default", default);
        }
        if field.required {
            self.required.push(field.name);
        }
        self.properties.push((field.name, inner));
    }
}

/// The JSON text of a field's default.
#[doc(hidden)]
pub fn default_text<T: serde::Serialize>(value: &T) -> Option<String> {
    serde_json::to_string(value).ok()
}

/// The schema of an action's whole input or output.
pub(crate) fn text<T: Schema>() -> String {
    let mut schema = Keywords::default();
    schema.set(
        "$schema",
        r#""https://json-schema.org/draft/2020-12/schema""#,
    );
    schema.set("title", T::TITLE);
    T::describe(&mut schema);
    let mut out = String::new();
    schema.write(&mut out);
    out
}

macro_rules! plain {
    ($($type:ty => $($keyword:literal: $json:expr),*;)*) => {
        $(impl Schema for $type {
            fn describe(schema: &mut Keywords) {
                $(schema.set($keyword, $json);)*
            }
        })*
    };
}

plain! {
    String => "type": r#""string""#;
    char => "type": r#""string""#, "minLength": "1", "maxLength": "1";
    bool => "type": r#""boolean""#;
    f32 => "type": r#""number""#;
    f64 => "type": r#""number""#;
    i64 => "type": r#""integer""#;
    i32 => "type": r#""integer""#, "minimum": "-2147483648", "maximum": "2147483647";
    i16 => "type": r#""integer""#, "minimum": "-32768", "maximum": "32767";
    i8 => "type": r#""integer""#, "minimum": "-128", "maximum": "127";
    u64 => "type": r#""integer""#, "minimum": "0";
    usize => "type": r#""integer""#, "minimum": "0";
    u32 => "type": r#""integer""#, "minimum": "0", "maximum": "4294967295";
    u16 => "type": r#""integer""#, "minimum": "0", "maximum": "65535";
    u8 => "type": r#""integer""#, "minimum": "0", "maximum": "255";
    serde_json::Map<String, serde_json::Value> => "type": r#""object""#;
}

/// Any JSON at all: no keyword.
impl Schema for serde_json::Value {
    fn describe(_: &mut Keywords) {}
}

impl<T: Schema> Schema for Option<T> {
    const OPTIONAL: bool = true;
    const TITLE: &'static str = T::TITLE;

    fn describe(schema: &mut Keywords) {
        T::describe(schema);
        schema.allow_null();
    }
}

impl<T: Schema> Schema for Box<T> {
    const OPTIONAL: bool = T::OPTIONAL;
    const TITLE: &'static str = T::TITLE;

    fn describe(schema: &mut Keywords) {
        // Counted as a step, so that a type that holds itself in a box is found out.
        let depth = schema.depth;
        schema.depth += 1;
        assert!(
            depth < MAX_DEPTH,
            "an input or output type holds itself, which no form can show"
        );
        T::describe(schema);
        schema.depth = depth;
    }
}

impl<T: Schema> Schema for Vec<T> {
    fn describe(schema: &mut Keywords) {
        schema.set("type", r#""array""#);
        schema.items = Some(Box::new(schema.inner::<T>()));
    }
}

impl<T: Schema> Schema for BTreeMap<String, T> {
    fn describe(schema: &mut Keywords) {
        schema.set("type", r#""object""#);
        let mut values = String::new();
        schema.inner::<T>().write(&mut values);
        schema.set("additionalProperties", values);
    }
}

impl<T: Schema, S> Schema for HashMap<String, T, S> {
    fn describe(schema: &mut Keywords) {
        BTreeMap::<String, T>::describe(schema);
    }
}
