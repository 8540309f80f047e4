//! Which derived properties a jq filter names. The filter is not parsed here: that is as hostile as running it.

/// What a filter says of the properties of its entity.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct References {
    /// Names that stand right behind `properties`.
    direct: Vec<String>,
    /// Whether `properties` stands somewhere without a name behind it.
    open: bool,
}

const KEY: &str = "properties";

impl References {
    pub(super) fn read(filter: &str) -> Self {
        let mut found = Self {
            direct: Vec::new(),
            open: false,
        };
        for (at, _) in filter.match_indices(KEY) {
            let after = filter.get(at + KEY.len()..).unwrap_or_default();
            if continues(filter.get(..at).unwrap_or_default().chars().next_back())
                || continues(after.chars().next())
            {
                continue;
            }
            match name_behind(after) {
                Some(name) => found.direct.push(name),
                None => found.open = true,
            }
        }
        found
    }

    /// Whether the filter may read a property. A filter that takes all properties in hand reads those whose name
    /// stands anywhere in it, but for the one that it makes itself.
    pub(super) fn reads(&self, filter: &str, property: &str, own: &str) -> bool {
        self.direct.iter().any(|name| name == property)
            || (self.open && property != own && stands_in(filter, property))
    }
}

fn continues(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_alphanumeric() || c == '_')
}

/// The name in `.name`, `."name"`, `["name"]` or `.["name"]`, a `?` or a closing quote before it left out.
fn name_behind(text: &str) -> Option<String> {
    // `."properties"` and `["properties"]` end with more than the word.
    let text = text.strip_prefix('"').unwrap_or(text).trim_start();
    let text = text.strip_prefix(']').unwrap_or(text).trim_start();
    let text = text.strip_prefix('?').unwrap_or(text).trim_start();
    let dotted = text.strip_prefix('.');
    let text = dotted.unwrap_or(text).trim_start();
    let quoted = match text.strip_prefix('[') {
        Some(inner) => inner.trim_start().strip_prefix('"'),
        None => dotted.and(text.strip_prefix('"')),
    };
    if let Some(quoted) = quoted {
        let (name, _) = quoted.split_once('"')?;
        return (!name.contains('\\')).then(|| name.to_owned());
    }
    dotted?;
    let end = text
        .find(|c: char| !continues(Some(c)))
        .unwrap_or(text.len());
    let name = text.get(..end)?;
    (!name.is_empty()).then(|| name.to_owned())
}

fn stands_in(filter: &str, name: &str) -> bool {
    filter.match_indices(name).any(|(at, found)| {
        let before = filter.get(..at).and_then(|text| text.chars().next_back());
        let after = filter
            .get(at + found.len()..)
            .and_then(|text| text.chars().next());
        !continues(before) && !continues(after)
    })
}

/// Whether a filter may look at the clock.
pub(super) fn is_timely(filter: &str) -> bool {
    ["now", "localtime", "strflocaltime"]
        .iter()
        .any(|word| stands_in(filter, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(filter: &str, property: &str) -> bool {
        References::read(filter).reads(filter, property, "own")
    }

    #[test]
    fn names_right_behind_the_properties_are_read_and_no_others() {
        for filter in [
            ".properties.cost",
            ". | .properties | .cost",
            ".properties?.cost",
            ".properties.\"cost\"",
            ".properties[\"cost\"]",
            ".[\"properties\"].cost",
            ".\"properties\".[ \"cost\" ]",
            ".properties as {cost: $c} | $c",
            ".properties as $p | $p.cost",
            "[.properties[]] | map(.cost)",
            ".properties | to_entries | map(select(.key == \"cost\"))",
        ] {
            assert!(reads(filter, "cost"), "{filter}");
        }
        for filter in [
            ".properties.costs",
            ".cost",
            ".properties.other.cost",
            ".relations.cost",
            ".my_properties | .cost",
            ".properties.a + .properties[\"b\"]",
        ] {
            assert!(!reads(filter, "cost"), "{filter}");
        }
    }

    #[test]
    fn a_filter_that_takes_all_properties_does_not_read_its_own_result() {
        let filter = ".properties | to_entries | {own: length}";
        assert!(!reads(filter, "own"));
        assert!(reads(".properties.own", "own"));
    }

    #[test]
    fn a_filter_that_looks_at_the_clock_is_known() {
        assert!(is_timely("(now - (.createdAt | fromdate)) / 86400"));
        assert!(!is_timely(".properties.known"));
    }
}
