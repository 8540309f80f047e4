//! An action as a type: what `#[action]` implements and the component exports.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Context, Failure};

/// One function of a plugin; implemented by [`#[action]`](macro@crate::action), seldom by hand.
pub trait Action {
    /// The typed input; the host checks the JSON against its schema before the plugin is called.
    type Input: DeserializeOwned + JsonSchema;
    /// The typed output; the host checks the JSON against its schema afterwards.
    type Output: Serialize + JsonSchema;
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
    pub input_schema: schemars::Schema,
    /// JSON Schema (draft 2020-12) of its output.
    pub output_schema: schemars::Schema,
}

/// Describes one action, as `goldenpath plugin build` embeds it: a test can pin what a form will show.
///
/// ```
/// use goldenpath_sdk::prelude::*;
///
/// #[input]
/// struct Restart {
///     /// Which component to restart.
///     #[entity("Component")]
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
    // Everything in place: a form is drawn from one property's schema without following references.
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    Description {
        name: A::NAME,
        description: A::DESCRIPTION,
        input_schema: settings
            .clone()
            .for_deserialize()
            .into_generator()
            .into_root_schema_for::<A::Input>(),
        output_schema: settings
            .for_serialize()
            .into_generator()
            .into_root_schema_for::<A::Output>(),
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;
    use serde_json::json;

    /// A runtime.
    #[input]
    #[derive(Default)]
    enum Language {
        #[default]
        Rust,
        TypeScript,
    }

    #[input]
    struct Everything {
        /// Name of the service.
        #[schemars(regex(pattern = r"^[a-z]+$"), length(min = 3, max = 40))]
        name: String,
        /// Where it belongs.
        #[entity("System")]
        system: String,
        #[serde(default)]
        language: Language,
        #[schemars(range(min = 1, max = 9))]
        replicas: u8,
        note: Option<String>,
    }

    #[output]
    struct Done {
        /// How many.
        count: u64,
    }

    /// Does everything.
    ///
    /// And more.
    #[action]
    fn do_everything(input: Everything) -> Result<Done, Failure> {
        let Everything {
            name,
            system,
            language: _,
            replicas,
            note,
        } = input;
        let count = name.len() + system.len() + note.map_or(0, |note| note.len());
        Ok(Done {
            count: count as u64 + u64::from(replicas),
        })
    }

    #[test]
    fn input_schema_carries_doc_comments_and_constraints() {
        let described = crate::describe::<do_everything>();
        assert_eq!(
            (described.name, described.description),
            ("do-everything", "Does everything.\n\nAnd more.")
        );
        assert_eq!(
            described.input_schema.as_value(),
            &json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "title": "Everything",
                "type": "object",
                "properties": {
                    "name": {"description": "Name of the service.", "type": "string", "minLength": 3, "maxLength": 40, "pattern": "^[a-z]+$"},
                    "system": {"description": "Where it belongs.", "type": "string", "format": "entity", "blueprint": "System"},
                    "language": {"description": "A runtime.", "type": "string", "enum": ["rust", "type-script"], "default": "rust"},
                    "replicas": {"type": "integer", "format": "uint8", "minimum": 1, "maximum": 9},
                    "note": {"type": ["string", "null"]},
                },
                "additionalProperties": false,
                "required": ["name", "system", "replicas"],
            })
        );
    }

    #[test]
    fn unknown_input_fields_are_refused() {
        let input = json!({"name": "abc", "system": "Cart", "replicas": 1, "nam": 1});
        assert!(serde_json::from_value::<Everything>(input).is_err());
    }
}
