//! Names of properties and relations within jq text.

/// Gives `.properties.from` and `.properties["from"]` (or `.relations…`) another name, wherever they stand outside of
/// texts and comments; what is put into a text by `\(…)` is outside of it. Names that are put together while the filter
/// runs, and `.properties` that goes elsewhere first, are beyond this.
pub(super) fn rename(text: &str, within: &str, from: &str, to: &str) -> String {
    let mut renamed = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_text = false;
    // For each `\(` that is open, the parentheses that are open in it.
    let mut open: Vec<usize> = Vec::new();
    while let Some(c) = rest.chars().next() {
        let found = (!in_text).then(|| match_at(&renamed, rest, within, from, to));
        if let Some((length, replacement)) = found.flatten() {
            renamed.push_str(&replacement);
            rest = rest.get(length..).unwrap_or_default();
            continue;
        }
        let mut length = c.len_utf8();
        match (in_text, c) {
            (true, '\\') => {
                let escaped = rest.chars().nth(1);
                length += escaped.map_or(0, char::len_utf8);
                if escaped == Some('(') {
                    open.push(0);
                    in_text = false;
                }
            }
            (_, '"') => in_text = !in_text,
            (false, '#') => length = rest.find('\n').unwrap_or(rest.len()),
            (false, '(') => {
                if let Some(depth) = open.last_mut() {
                    *depth += 1;
                }
            }
            (false, ')') => match open.last_mut() {
                Some(0) => {
                    open.pop();
                    in_text = true;
                }
                Some(depth) => *depth -= 1,
                None => {}
            },
            _ => {}
        }
        let (done, left) = rest.split_at_checked(length).unwrap_or((rest, ""));
        renamed.push_str(done);
        rest = left;
    }
    renamed
}

/// The use of the name that a text begins with: its length, and what takes its place.
fn match_at(
    before: &str,
    text: &str,
    within: &str,
    from: &str,
    to: &str,
) -> Option<(usize, String)> {
    let behind = text.strip_prefix('.')?.strip_prefix(within)?;
    // `..properties` and `.x.properties` mean other things than the entity's own.
    if before.ends_with(|c: char| c.is_alphanumeric() || "._]\"".contains(c)) {
        return None;
    }
    let step = |name: &str| {
        if is_plain(name) {
            format!(".{within}.{name}")
        } else {
            format!(".{within}[\"{name}\"]")
        }
    };
    let quoted = format!("[\"{from}\"]");
    for access in [quoted.clone(), format!(".{quoted}"), format!(".\"{from}\"")] {
        if behind.starts_with(&access) {
            return Some((1 + within.len() + access.len(), step(to)));
        }
    }
    let left = behind.strip_prefix('.')?.strip_prefix(from)?;
    let ends = !left.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    (is_plain(from) && ends).then(|| (2 + within.len() + from.len(), step(to)))
}

/// Whether a name may stand behind a dot as it is.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::rename;

    #[test]
    fn only_uses_of_the_name_are_renamed() {
        for (text, renamed) in [
            (".properties.tier", ".properties.level"),
            (".properties.tier + 1", ".properties.level + 1"),
            (
                "if .properties.tier>1 then .properties[\"tier\"] else .properties.\"tier\" end",
                "if .properties.level>1 then .properties.level else .properties.level end",
            ),
            (".properties.tiers", ".properties.tiers"),
            (".properties.tier_two", ".properties.tier_two"),
            ("\".properties.tier\"", "\".properties.tier\""),
            (
                "\"a \\\" .properties.tier\" + .properties.tier",
                "\"a \\\" .properties.tier\" + .properties.level",
            ),
            (".x.properties.tier", ".x.properties.tier"),
            (".relations.tier", ".relations.tier"),
            (
                "\"größe\" + .properties.tier",
                "\"größe\" + .properties.level",
            ),
            ("\"open .properties.tier", "\"open .properties.tier"),
            (
                r#""t-\(.properties.tier) \((1) + .properties.tier)" + .properties.tier"#,
                r#""t-\(.properties.level) \((1) + .properties.level)" + .properties.level"#,
            ),
            (
                r#""\("in \(.properties.tier)") .properties.tier""#,
                r#""\("in \(.properties.level)") .properties.tier""#,
            ),
            (
                "1 # \" .properties.tier\n+ .properties.tier",
                "1 # \" .properties.tier\n+ .properties.level",
            ),
        ] {
            assert_eq!(
                rename(text, "properties", "tier", "level"),
                renamed,
                "{text}"
            );
        }
        assert_eq!(
            rename(".relations.a | .relations[\"a\"]", "relations", "a", "b-c"),
            ".relations[\"b-c\"] | .relations[\"b-c\"]"
        );
        assert_eq!(
            rename(
                ".properties[\"a-b\"] - .properties.a-b",
                "properties",
                "a-b",
                "c"
            ),
            ".properties.c - .properties.a-b"
        );
    }
}
