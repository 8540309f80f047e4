//! Names of properties and relations within jq text.

/// Gives `.properties.from` and `.properties["from"]` (or `.relations…`) another name, wherever they stand outside of
/// strings. Names that are put together while the text runs are beyond this; nobody can follow those.
pub(super) fn rename(text: &str, within: &str, from: &str, to: &str) -> String {
    let mut renamed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some((length, replacement)) = match_at(&renamed, rest, within, from, to) {
            renamed.push_str(&replacement);
            rest = rest.get(length..).unwrap_or_default();
            continue;
        }
        let length = if c == '"' {
            string_length(rest)
        } else {
            c.len_utf8()
        };
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

/// Bytes of the string that a text begins with, its quotation marks included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (offset, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return offset + 1,
            _ => {}
        }
    }
    text.len()
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
