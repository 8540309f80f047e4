//! Documents as text: what is read back is what was written.

use serde_json::Value;

use super::{Format, parse_documents};

/// The text of a file that holds one document, in the format that its name says.
///
/// # Errors
/// Nothing, if the text would be read as something else: a file like that would be worse than none.
pub fn write_document(path: &str, value: &Value) -> Option<String> {
    let mut json = serde_json::to_string_pretty(value).ok()?;
    json.push('\n');
    match Format::of(path)? {
        Format::Json => Some(json),
        Format::Yaml => {
            let reads_back = |text: &String| {
                let read = parse_documents(path, text.as_bytes());
                read.is_ok_and(|read| matches!(read.as_slice(), [one] if one.value == *value))
            };
            let yaml = serde_saphyr::to_string(value).ok();
            // JSON is YAML too, and leaves less to interpret.
            yaml.into_iter().chain(Some(json)).find(reads_back)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;

    fn check(text: &str, value: &Value) {
        assert!(text.ends_with('\n'), "{text:?}");
        let read = parse_documents("entities/A/x.yaml", text.as_bytes()).unwrap();
        assert_eq!(read[0].value, *value);
    }

    #[test]
    fn yaml_keeps_what_looks_like_something_else() {
        let words = [
            "no",
            "yes",
            "on",
            "null",
            "~",
            "1",
            "1.0",
            "1e3",
            "0x10",
            "0o7",
            ".inf",
            "2026-01-01",
            "12:30",
            "",
            " a",
            "a ",
            "a: b",
            "a #b",
            "- a",
            "? a",
            "%a",
            "@a",
            "`a`",
            "!a",
            "&a",
            "*a",
            "{a}",
            "[a]",
            "|",
            ">",
            "a\nb",
            "a\nb\n",
            "a\n\n",
            "\na",
            "\ta",
            "a\tb",
            "'",
            "\"",
            "\\",
            "---",
            "...",
            "\u{7f}",
            "\u{85}",
            "\u{2028}",
            "\u{feff}",
            "\u{0}",
            "<<",
            "=",
            "💡",
            "“so”",
        ];
        for word in words {
            let value = json!({
                "identifier": "x", "blueprint": "A", "title": word,
                "properties": {"list": [word, [word], {"a": word}], "n": 1.0, "big": 18446744073709551615_u64, "e": 1e300},
            });
            check(
                &write_document("entities/A/x.yaml", &value).unwrap(),
                &value,
            );
        }
    }

    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>()
                .prop_filter("is JSON", |n| n.is_finite())
                .prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[ -~\n]{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::vec((any::<String>(), inner), 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_back(inner in anything()) {
            let value = json!({"identifier": "x", "blueprint": "A", "properties": {"p": inner}});
            for path in ["entities/A/x.json", "entities/A/x.yaml"] {
                let text = write_document(path, &value).unwrap();
                let read = parse_documents(path, text.as_bytes()).unwrap();
                prop_assert_eq!(&read[0].value, &value);
            }
        }
    }
}
