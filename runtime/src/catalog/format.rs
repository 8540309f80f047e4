//! What a property's `format` promises of its values.

use std::sync::LazyLock;

use jsonschema::{Draft, ValidationOptions, Validator};
use serde_json::Value;

use super::document::is_yaml;
use crate::model::{BlueprintId, EntityId};

/// Characters of the name of a team.
const MAX_TEAM: usize = 1_000;

/// A format, and the type of property that it belongs to.
struct Format {
    name: &'static str,
    of: &'static str,
    /// Whether a text is of the format; absent where any is, or where JSON Schema knows the format itself.
    check: Option<fn(&str) -> bool>,
}

const fn text(name: &'static str, check: Option<fn(&str) -> bool>) -> Format {
    Format {
        name,
        of: "string",
        check,
    }
}

const FORMATS: &[Format] = &[
    text("date-time", None),
    text("url", Some(is_url)),
    text("email", None),
    text("idn-email", Some(is_email)),
    text("ipv4", None),
    text("ipv6", None),
    text("markdown", None),
    text("yaml", Some(is_yaml)),
    text("user", Some(is_email)),
    text("team", Some(is_team)),
    text("blueprints", Some(is_blueprint)),
    text("entity", Some(is_entity)),
    text("timer", Some(is_date_time)),
    text("proto", None),
    Format {
        name: LABELED_URL,
        of: "object",
        check: None,
    },
];

/// The format of an object that is a link with a label.
pub(super) const LABELED_URL: &str = "labeled-url";

/// The type of property that a format belongs to, if there is such a format.
pub(super) fn type_of(format: &str) -> Option<&'static str> {
    let known = FORMATS.iter().find(|known| known.name == format);
    known.map(|known| known.of)
}

/// The names of all formats, for messages.
pub(super) fn names() -> String {
    let names: Vec<_> = FORMATS.iter().map(|format| format.name).collect();
    names.join(", ")
}

/// Teaches a validator the formats that JSON Schema does not know, or knows otherwise.
pub(super) fn with_formats(options: ValidationOptions<'_>) -> ValidationOptions<'_> {
    FORMATS
        .iter()
        .fold(options, |options, format| match format.check {
            Some(check) => options.with_format(format.name, check),
            None => options,
        })
}

/// An absolute URL with a host. Letters beyond ASCII are fine, spaces are not.
fn is_url(text: &str) -> bool {
    static IRI: LazyLock<Option<Validator>> = LazyLock::new(|| of_json_schema("iri"));
    let has_host = text.split_once("://").is_some_and(|(scheme, rest)| {
        !scheme.is_empty() && !rest.is_empty() && !rest.starts_with(['/', '?', '#', ':'])
    });
    has_host && is_valid(&IRI, text)
}

/// A point in time, as `date-time` has it: when a timer runs out.
fn is_date_time(text: &str) -> bool {
    static DATE_TIME: LazyLock<Option<Validator>> = LazyLock::new(|| of_json_schema("date-time"));
    is_valid(&DATE_TIME, text)
}

fn of_json_schema(format: &str) -> Option<Validator> {
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .should_validate_formats(true)
        .build(&serde_json::json!({ "format": format }))
        .ok()
}

fn is_valid(validator: &Option<Validator>, text: &str) -> bool {
    let value = Value::String(text.to_owned());
    validator
        .as_ref()
        .is_some_and(|validator| validator.is_valid(&value))
}

/// An e-mail address with any letters: a local part, one `@`, a domain of non-empty labels.
pub(super) fn is_email(text: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"@<>()[],;:\\\"".contains(c);
    text.chars().count() <= 254
        && text.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty()
                && local.chars().all(plain)
                && domain.split('.').all(|label| {
                    !label.is_empty()
                        && !label.starts_with('-')
                        && !label.ends_with('-')
                        && label.chars().all(|c| c.is_alphanumeric() || c == '-')
                })
        })
}

fn is_team(text: &str) -> bool {
    (1..=MAX_TEAM).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

fn is_blueprint(text: &str) -> bool {
    BlueprintId::parse(text).is_ok()
}

fn is_entity(text: &str) -> bool {
    EntityId::parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::schema::Schema;
    use super::*;

    fn takes(format: &str, value: &Value) -> bool {
        let schema = json!({ "type": type_of(format).unwrap(), "format": format });
        super::super::blueprint::property::compile(&schema)
            .unwrap()
            .check(value, "")
            .is_empty()
    }

    #[test]
    fn every_format_takes_its_own_and_refuses_the_rest() {
        let long_yaml = format!("a: {}", "x".repeat(100_000));
        #[rustfmt::skip]
        let table: &[(&str, &[&str], &[&str])] = &[
            ("date-time", &["2026-02-03T04:05:06Z", "2026-02-03T04:05:06.789+01:00"], &["", "2026-02-31T04:05:06Z", "2026-02-03", "soon"]),
            ("timer", &["2026-02-03T04:05:06Z"], &["", "2026-02-31T04:05:06Z", "60s"]),
            ("url", &["https://example.com/größe?x=1", "ftp://a", "postgres://db:5432/x"], &["", "example.com", "https://", "https:///x", "https://a b", "javascript:alert(1)"]),
            ("email", &["ann@example.com"], &["", "ann", "@b", "a@"]),
            ("idn-email", &["änn@größe.example"], &["", "a@b@c", "@b", "a@", "a@.b", "a b@c.d", "a@-b.c"]),
            ("user", &["ann@example.com"], &["", "ann", "a b@c.d"]),
            ("ipv4", &["10.0.0.1"], &["", "10.0.0.256", "10.0.0", "::1"]),
            ("ipv6", &["::1", "2001:db8::8a2e:370:7334"], &["", ":1", "10.0.0.1", "g::1"]),
            ("markdown", &["", "# Title\n\n* a", "<b>"], &[]),
            ("proto", &["", "message A { string b = 1; }"], &[]),
            ("yaml", &["", "a: 1\nb: [x, y]", "---\na: 1\n---\nb: 2\n", &long_yaml], &["a: [1", "a: b: c", "&a [*a, *b]"]),
            ("team", &["payments", "Größe & Co"], &["", "a\u{0}b"]),
            ("blueprints", &["Service", "_team"], &["", "a b", ".."]),
            ("entity", &["cart", "a=b"], &["", "a b", ".."]),
        ];
        for (format, good, bad) in table {
            for text in *good {
                assert!(takes(format, &json!(text)), "{format} takes {text:?}");
            }
            for text in *bad {
                assert!(!takes(format, &json!(text)), "{format} refuses {text:?}");
            }
            for other in [json!(1), json!(true), json!(["x"]), json!({}), json!(null)] {
                assert!(!takes(format, &other), "{format} refuses {other}");
            }
            let list = json!({ "type": "array", "items": { "type": "string", "format": format } });
            let list = super::super::blueprint::property::compile(&list).unwrap();
            for text in *bad {
                let found = list.check(&json!([text]), "/p");
                assert_eq!(found[0].path, "/p/0", "{format} refuses {text:?} in a list");
            }
            assert!(list.check(&json!([]), "").is_empty());
            assert!(list.check(&json!(good), "").is_empty());
        }
        assert_eq!(table.len() + 1, FORMATS.len());
    }

    #[test]
    fn a_labeled_url_is_a_link_with_a_label() {
        let good = json!({ "url": "https://example.com", "displayText": "Here" });
        assert!(takes(LABELED_URL, &good));
        assert!(takes(LABELED_URL, &json!({ "url": "https://example.com" })));
        for bad in [
            json!({}),
            json!({ "displayText": "Here" }),
            json!({ "url": "example" }),
            json!({ "url": "" }),
            json!({ "url": null }),
            json!({ "url": "https://example.com", "displayText": 1 }),
            json!("https://example.com"),
            json!(null),
        ] {
            assert!(!takes(LABELED_URL, &bad), "{bad}");
        }
        let list =
            json!({ "type": "array", "items": { "type": "object", "format": "labeled-url" } });
        let list = super::super::blueprint::property::compile(&list).unwrap();
        assert_eq!(list.check(&json!([good, {}]), "/p")[0].path, "/p/1");
    }

    #[test]
    fn hostile_yaml_costs_no_more_than_its_length() {
        let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (name, before) in "bcdefghij".chars().zip("abcdefghi".chars()) {
            let line = format!(
                "{name}: &{name} [{}]\n",
                vec![format!("*{before}"); 9].join(", ")
            );
            bomb.push_str(&line);
        }
        assert!(!is_yaml(&bomb));
        assert!(!is_yaml(&"[".repeat(1_000)));
        let schema = Schema::compile(&json!({ "type": "string", "format": "yaml" })).unwrap();
        assert_eq!(schema.check(&json!(bomb), "").len(), 1);
    }
}
