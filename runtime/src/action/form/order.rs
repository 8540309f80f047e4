//! Which inputs of a form have to be known before which others.

use indexmap::IndexMap;
use serde_json::Value;

/// Inputs of which each needs the one before. At every step jq runs once.
const MAX_LEVELS: usize = 10;

/// Why the inputs of a form have no order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::action) struct Unordered {
    /// An input that is a part of it.
    pub(in crate::action) input: String,
    /// What is wrong, in words.
    pub(in crate::action) message: String,
}

/// The names of the inputs, each level of them needing nothing but the levels before.
///
/// # Errors
/// An input needs itself, or they need each other too deeply.
pub(in crate::action) fn levels(
    properties: &IndexMap<String, Value>,
) -> Result<Vec<Vec<&str>>, Unordered> {
    let mut levels: Vec<Vec<&str>> = Vec::new();
    let mut level_of: IndexMap<&str, usize> = IndexMap::new();
    let mut waiting: Vec<&str> = properties.keys().map(String::as_str).collect();
    while !waiting.is_empty() {
        let is_ready = |name: &&str| {
            let mut needed = needs(properties, name);
            needed.all(|needed| level_of.contains_key(needed) || !properties.contains_key(needed))
        };
        let (ready, rest): (Vec<&str>, Vec<&str>) = waiting.into_iter().partition(is_ready);
        let refused = if ready.is_empty() {
            Some("by `dependsOn` this input needs itself, or others that need each other")
        } else if levels.len() == MAX_LEVELS {
            Some("inputs may depend on each other ten levels deep")
        } else {
            None
        };
        if let Some(message) = refused {
            let input = rest.first().or(ready.first()).copied().unwrap_or_default();
            return Err(Unordered {
                input: input.to_owned(),
                message: message.to_owned(),
            });
        }
        for name in &ready {
            level_of.insert(*name, levels.len());
        }
        levels.push(ready);
        waiting = rest;
    }
    Ok(levels)
}

fn needs<'a>(properties: &'a IndexMap<String, Value>, name: &str) -> impl Iterator<Item = &'a str> {
    properties
        .get(name)
        .and_then(|input| input.get("dependsOn"))
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form(inputs: &[(&str, &[&str])]) -> IndexMap<String, Value> {
        let input = |(name, on): &(&str, &[&str])| ((*name).to_owned(), json!({ "dependsOn": on }));
        inputs.iter().map(input).collect()
    }

    #[test]
    fn inputs_come_after_those_that_they_need() {
        let form = form(&[("c", &["b", "a"]), ("a", &[]), ("b", &["a"]), ("d", &[])]);
        let expected: Vec<Vec<&str>> = vec![vec!["a", "d"], vec!["b"], vec!["c"]];
        assert_eq!(levels(&form).unwrap(), expected);
    }

    #[test]
    fn what_goes_in_circles_or_too_deep_is_refused() {
        assert_eq!(levels(&form(&[("a", &["a"])])).unwrap_err().input, "a");
        let circle = form(&[("x", &[]), ("a", &["b"]), ("b", &["a"])]);
        assert_eq!(levels(&circle).unwrap_err().input, "a");
        let names: Vec<String> = (0..12).map(|n| format!("n{n}")).collect();
        let chain: IndexMap<String, Value> = names
            .iter()
            .enumerate()
            .map(|(n, name)| {
                let on: Vec<&String> = n.checked_sub(1).map(|n| &names[n]).into_iter().collect();
                (name.clone(), json!({ "dependsOn": on }))
            })
            .collect();
        assert_eq!(levels(&chain).unwrap_err().input, "n11");
    }
}
