//! Keys of a query, where a line lists which may be sent.

use std::collections::BTreeSet;

/// Keys that one line can list.
pub(crate) const QUERY_KEYS: usize = 64;

/// Longest key that a line can list.
const KEY_BYTES: usize = 64;

/// Whether a line can list a key. Only characters that need no encoding: every server reads those alike.
pub(crate) fn is_query_key(text: &str) -> bool {
    (1..=KEY_BYTES).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

/// A query whose keys are known, in the form in which it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Keyed {
    pub(super) keys: BTreeSet<String>,
    pub(super) text: String,
}

/// Finds the keys. What one server could split in another way than the next is refused, not mended.
pub(super) fn keyed(query: &str) -> Result<Keyed, &'static str> {
    let (mut keys, mut text) = (BTreeSet::new(), String::with_capacity(query.len()));
    if query.contains(';') {
        return Err("its query has a `;`, which some servers take for a `&`: encode it");
    }
    for piece in query.split('&') {
        let (key, value) = match piece.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (piece, None),
        };
        let key = super::url::canonical(key)
            .ok()
            .filter(|key| is_query_key(key))
            .ok_or("its query has a key that no line can list")?;
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(&key);
        if let Some(value) = value {
            text.push('=');
            text.push_str(value);
        }
        keys.insert(key);
    }
    Ok(Keyed { keys, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_and_written_one_way() {
        let keyed = keyed("p%61ge=2&q=a%26b=c&page=3&flag").unwrap();
        assert_eq!(
            keyed.keys.into_iter().collect::<Vec<_>>(),
            ["flag", "page", "q"]
        );
        assert_eq!(keyed.text, "page=2&q=a%26b=c&page=3&flag");
    }

    #[test]
    fn queries_that_two_servers_could_split_differently_are_refused() {
        for odd in [
            "", "a=1&", "a=1&&b=2", "a=1;b=2", "a+b=1", "a%20b=1", "a%3Db=1", "a[b]=1", "a%=1",
            "=1",
        ] {
            assert!(keyed(odd).is_err(), "{odd}");
        }
    }
}
