//! What is different between two versions of a document, field by field.

use serde::Serialize;
use serde_json::Value;

use super::schema::join;

/// Fields of one document that are told apart; beyond them its changed part is told as one.
const MAX_FIELDS: usize = 1_000;

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Difference {
    /// JSON pointer to the field.
    pub path: String,
    /// Its value before; absent where it was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// Its value after; absent where it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// Compares two versions of a document. Objects are compared key by key in whatever order, all else as a whole: the
/// place of a value in a list is a part of what the list says.
pub fn find_differences(before: &Value, after: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", before, after, &mut found);
    if found.len() > MAX_FIELDS {
        found = vec![Difference {
            path: String::new(),
            before: Some(before.clone()),
            after: Some(after.clone()),
        }];
    }
    found
}

fn compare(at: &str, before: &Value, after: &Value, found: &mut Vec<Difference>) {
    if before == after || found.len() > MAX_FIELDS {
        return;
    }
    let (Value::Object(was), Value::Object(is)) = (before, after) else {
        found.push(Difference {
            path: at.to_owned(),
            before: Some(before.clone()),
            after: Some(after.clone()),
        });
        return;
    };
    for (key, value) in was {
        let path = join(at, key);
        match is.get(key) {
            Some(other) => compare(&path, value, other, found),
            None => found.push(Difference {
                path,
                before: Some(value.clone()),
                after: None,
            }),
        }
    }
    for (key, value) in is.iter().filter(|(key, _)| !was.contains_key(*key)) {
        found.push(Difference {
            path: join(at, key),
            before: None,
            after: Some(value.clone()),
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_field_is_told_with_its_pointer() {
        let before = json!({"title": "A", "properties": {"a/b": 1, "tags": ["x"], "old": true}});
        let after =
            json!({"properties": {"tags": ["x", "y"], "a/b": 1, "new": null}, "title": "B"});
        let found = find_differences(&before, &after);
        let paths: Vec<&str> = found.iter().map(|one| one.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "/title",
                "/properties/tags",
                "/properties/old",
                "/properties/new"
            ]
        );
        assert_eq!(found[1].after, Some(json!(["x", "y"])));
        assert_eq!(
            (&found[2].before, &found[2].after),
            (&Some(json!(true)), &None)
        );
        assert_eq!(
            (&found[3].before, &found[3].after),
            (&None, &Some(json!(null)))
        );
    }

    #[test]
    fn the_order_of_keys_says_nothing() {
        let one = json!({"a": 1, "b": {"c": 2, "d": 3}});
        let other = json!({"b": {"d": 3, "c": 2}, "a": 1});
        assert_eq!(find_differences(&one, &other), []);
    }

    #[test]
    fn a_document_that_changed_everywhere_is_told_as_one() {
        let many = |word: &str| {
            let fields = (0..2_000).map(|n| (n.to_string(), json!(word)));
            Value::Object(fields.collect())
        };
        let found = find_differences(&many("a"), &many("b"));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].path, "");
    }
}
