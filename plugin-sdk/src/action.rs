//! An action as a type: what `#[action]` implements and the component exports.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Context, Failure, Schema, schema};

/// One function of a plugin; implemented by [`#[action]`](macro@crate::action), seldom by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an action",
    label = "not an action",
    note = "put `#[action]` on the function of that name"
)]
pub trait Action {
    /// The typed input; the host checks the JSON against its schema before the plugin is called.
    type Input: DeserializeOwned + Schema;
    /// The typed output; the host checks the JSON against its schema afterwards.
    type Output: Serialize + Schema;
    /// How it fails.
    type Error: Into<Failure>;
    /// Its name, as in `plugin.toml`.
    const NAME: &'static str;
    /// What it does, for people: the function's doc comment.
    const DESCRIPTION: &'static str;

    /// Carries it out.
    ///
    /// # Errors
    /// With whatever the author of the action foresaw.
    fn run(input: Self::Input, ctx: &Context) -> Result<Self::Output, Self::Error>;
}

/// What the package says of one action.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Its name, as in `plugin.toml`.
    pub name: &'static str,
    /// What it does, for people.
    pub description: &'static str,
    /// JSON Schema (draft 2020-12) of its input.
    pub input_schema: Value,
    /// JSON Schema (draft 2020-12) of its output.
    pub output_schema: Value,
}

/// Describes one action, as `goldenpath plugin build` embeds it: a test can pin what a form will show.
///
/// ```
/// use goldenpath_sdk::prelude::*;
///
/// #[input]
/// struct Restart {
///     /// Which component to restart.
///     #[field(entity = "Component")]
///     component: String,
/// }
///
/// #[output]
/// struct Restarted {}
///
/// /// Restarts a component.
/// #[action]
/// fn restart(_input: Restart) -> Result<Restarted, Failure> {
///     Ok(Restarted {})
/// }
///
/// let described = goldenpath_sdk::describe::<restart>();
/// assert_eq!(described.name, "restart");
/// assert_eq!(described.input_schema.pointer("/properties/component/blueprint").unwrap(), "Component");
/// ```
pub fn describe<A: Action>() -> Description {
    // The macros write the text: it is JSON, or the plugin does not get through its first test.
    let read = |text: String| serde_json::from_str(&text).unwrap_or(Value::String(text));
    Description {
        name: A::NAME,
        description: A::DESCRIPTION,
        input_schema: read(schema::text::<A::Input>()),
        output_schema: read(schema::text::<A::Output>()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::prelude::*;
    use serde_json::json;

    /// A runtime.
    #[input]
    #[derive(Default)]
    enum Language {
        #[default]
        Rust,
        TypeScript,
        #[serde(rename = "c++")]
        Cpp,
    }

    #[input]
    #[serde(rename_all = "camelCase")]
    struct Everything {
        /// Name of the "service".
        #[field(title = "Name", pattern = r"^[a-z\d]+$", length = 3..=40)]
        name: String,
        /// Where it belongs.
        #[field(entity = "System")]
        home_system: String,
        #[serde(default)]
        language: Language,
        #[field(range = 1..)]
        replicas: u8,
        #[field(range = -0.5..=1.0)]
        share: f64,
        note: Option<String>,
        fallback: Option<Language>,
        #[serde(default = "two", rename = "TRIES")]
        tries: u32,
        #[field(entity = "API", items = ..=9)]
        apis: Vec<String>,
        labels: BTreeMap<String, bool>,
        limits: Limits,
    }

    #[input]
    struct Limits {
        any: serde_json::Value,
    }

    fn two() -> u32 {
        2
    }

    #[output]
    struct Done {
        /// How many.
        count: Option<u64>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        names: Vec<String>,
    }

    /// Does everything.
    ///
    /// And more.
    #[action]
    fn do_everything(input: Everything) -> Result<Done, Failure> {
        let sum = f64::from(input.replicas) + input.share + f64::from(input.tries);
        let names = [
            input.name,
            input.home_system,
            format!("{sum} {:?}", (input.language, input.fallback, input.labels)),
        ];
        Ok(Done {
            count: input.note.map(|_| 1),
            names: [input.apis, names.into(), vec![input.limits.any.to_string()]].concat(),
        })
    }

    #[test]
    fn input_schema_carries_doc_comments_and_constraints() {
        let described = crate::describe::<do_everything>();
        assert_eq!(
            (described.name, described.description),
            ("do-everything", "Does everything.\n\nAnd more.")
        );
        let language = json!(["rust", "type-script", "c++"]);
        assert_eq!(
            described.input_schema,
            json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "title": "Everything",
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "name": {"type": "string", "description": "Name of the \"service\".", "title": "Name", "pattern": "^[a-z\\d]+$", "minLength": 3, "maxLength": 40},
                    "homeSystem": {"type": "string", "description": "Where it belongs.", "format": "entity", "blueprint": "System"},
                    "language": {"description": "A runtime.", "type": "string", "enum": language, "default": "rust"},
                    "replicas": {"type": "integer", "minimum": 1, "maximum": 255},
                    "share": {"type": "number", "minimum": -0.5, "maximum": 1.0},
                    "note": {"type": ["string", "null"]},
                    "fallback": {"description": "A runtime.", "type": ["string", "null"], "enum": ["rust", "type-script", "c++", null]},
                    "TRIES": {"type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32, "default": 2},
                    "apis": {"type": "array", "maxItems": 9, "items": {"type": "string", "format": "entity", "blueprint": "API"}},
                    "labels": {"type": "object", "additionalProperties": {"type": "boolean"}},
                    "limits": {"type": "object", "additionalProperties": false, "properties": {"any": {}}, "required": ["any"]},
                },
                "required": ["name", "homeSystem", "replicas", "share", "apis", "labels", "limits"],
            })
        );
    }

    #[test]
    fn output_schema_names_what_is_always_there() {
        assert_eq!(
            crate::describe::<do_everything>().output_schema,
            json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "title": "Done",
                "type": "object",
                "properties": {
                    "count": {"type": ["integer", "null"], "minimum": 0, "description": "How many."},
                    "names": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["count"],
            })
        );
    }

    #[test]
    fn fields_keep_the_order_of_the_source() {
        let text = crate::schema::text::<Done>();
        assert!(
            text.find("count").unwrap() < text.find("names").unwrap(),
            "{text}"
        );
    }

    #[test]
    fn unknown_input_fields_are_refused() {
        assert!(serde_json::from_value::<Limits>(json!({"any": 1, "more": 2})).is_err());
        assert!(serde_json::from_value::<Limits>(json!({"any": 1})).is_ok());
    }

    #[test]
    #[should_panic(expected = "holds itself")]
    fn types_that_hold_themselves_are_refused() {
        #[input]
        struct Tree {
            children: Vec<Tree>,
        }
        let leaf = Tree {
            children: Vec::new(),
        };
        assert!(leaf.children.is_empty());
        crate::schema::text::<Tree>();
    }
}
