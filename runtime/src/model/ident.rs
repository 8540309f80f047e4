//! Identifiers: parsed once at the door, valid for ever after.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a text is not an identifier of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {kind} identifier: {rule}")]
pub struct IdentError {
    kind: &'static str,
    text: String,
    rule: &'static str,
}

/// Defines a newtype over `String` that can only be made by passing its rule.
macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:path, $rule:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the rule and keeps the text as it is.
            pub fn parse(text: impl Into<String>) -> Result<Self, IdentError> {
                let text = text.into();
                if $check(&text) {
                    return Ok(Self(text));
                }
                // A hostile client chooses this length; the message shows only its beginning.
                Err(IdentError { kind: $kind, text: text.chars().take(64).collect(), rule: $rule })
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdentError;
            fn try_from(text: String) -> Result<Self, IdentError> {
                Self::parse(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdentError;
            fn from_str(text: &str) -> Result<Self, IdentError> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

identifier!(
    /// Identifies a blueprint in the whole catalog.
    BlueprintId,
    "blueprint",
    blueprint_rule,
    "use 1 to 100 letters, digits and @ _ . + : \\ / -, not `.` or `..`"
);
identifier!(
    /// Identifies an entity within its blueprint.
    EntityId,
    "entity",
    entity_rule,
    "use 1 to 1000 letters, digits and @ _ . + : \\ / = -, not `.` or `..`"
);
identifier!(
    /// Identifies an action.
    ActionId,
    "action",
    action_rule,
    "use 1 to 100 letters, digits and @ _ . + : = -, not `.` or `..`"
);
identifier!(
    /// Names a plugin, in its manifest and everywhere else.
    PluginName,
    "plugin",
    plugin_rule,
    "use 2 to 63 characters: lower-case letters, digits and -, a letter first"
);
identifier!(
    /// Identifies a run.
    RunId,
    "run",
    run_rule,
    "it is `r_` and 1 to 40 letters and digits"
);
identifier!(
    /// Names where documents of the catalog are kept.
    SourceName,
    "source",
    blueprint_rule,
    "use 1 to 100 letters, digits and @ _ . + : \\ / -, not `.` or `..`"
);
identifier!(
    /// Names a secret in the store.
    SecretName,
    "secret",
    secret_rule,
    "use 1 to 100 letters, digits, - and _"
);

fn portal_rule(text: &str, longest: usize, extra: &str) -> bool {
    let allowed = |c: char| {
        c.is_alphabetic() || c.is_ascii_digit() || "@_.+:-".contains(c) || extra.contains(c)
    };
    !text.is_empty()
        && text.chars().count() <= longest
        && text != "."
        && text != ".."
        && text.chars().all(allowed)
}

fn blueprint_rule(text: &str) -> bool {
    portal_rule(text, 100, "\\/")
}

fn entity_rule(text: &str) -> bool {
    portal_rule(text, 1000, "\\/=")
}

fn action_rule(text: &str) -> bool {
    portal_rule(text, 100, "=")
}

fn plugin_rule(text: &str) -> bool {
    let lower = |c: u8| c.is_ascii_lowercase();
    (2..=63).contains(&text.len())
        && text.bytes().next().is_some_and(lower)
        && text
            .bytes()
            .all(|c| lower(c) || c.is_ascii_digit() || c == b'-')
}

fn secret_rule(text: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    (1..=100).contains(&text.len()) && text.bytes().all(allowed)
}

fn run_rule(text: &str) -> bool {
    text.strip_prefix("r_").is_some_and(|id| {
        (1..=40).contains(&id.len()) && id.bytes().all(|c| c.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_takes_its_own_characters_and_lengths() {
        assert!(BlueprintId::parse("Component").is_ok());
        assert!(BlueprintId::parse("größe/v1").is_ok());
        assert!(BlueprintId::parse("a b").is_err());
        assert!(BlueprintId::parse("").is_err());
        assert!(BlueprintId::parse("..").is_err());
        assert!(BlueprintId::parse("x".repeat(101)).is_err());
        assert!(EntityId::parse("x".repeat(1000)).is_ok());
        assert!(EntityId::parse("a=b").is_ok());
        assert!(ActionId::parse("a/b").is_err());
        assert!(PluginName::parse("scaffold-service").is_ok());
        assert!(PluginName::parse("Scaffold").is_err());
        assert!(RunId::parse("r_abc123").is_ok());
        assert!(RunId::parse("abc123").is_err());
        assert!(SecretName::parse("GITHUB_TOKEN-2").is_ok());
        assert!(SecretName::parse("a.b").is_err());
        assert!(SecretName::parse("größe").is_err());
    }

    #[test]
    fn a_refusal_shows_only_the_beginning_of_a_long_text() {
        let error = BlueprintId::parse(" ".repeat(100_000)).unwrap_err();
        assert!(error.to_string().len() < 300);
    }
}
