//! Keeps secrets out of what a guest writes: what would hold one is refused, since a silent change of data is worse.

use serde_json::Value;

use crate::plugin::bindings::types::Denial;
use crate::plugin::instance::Guest;
use crate::plugin::secret::Redactor;

/// What one write remembers for the next one to the same file: no form of a secret is longer, of which a guest may hold
/// eight KiB, with three characters for each byte.
pub(super) const TAIL_BYTES: usize = 24 << 10;

impl Guest {
    /// Refuses a write of texts that hold a secret of this call; `place` says where to, without anything of the guest's
    /// choosing that was not granted.
    pub(super) async fn refuse_secrets<'a>(
        &mut self,
        place: &str,
        texts: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<Denial> {
        let redactor = self.book.redactor();
        let found = texts.into_iter().find_map(|text| redactor.find(text));
        self.refuse_secret(place, found).await
    }

    /// Refuses a write that was found to hold a secret.
    pub(super) async fn refuse_secret(
        &mut self,
        place: &str,
        found: Option<String>,
    ) -> Option<Denial> {
        let name = found?;
        let missing = format!("secret {name} written to {place}, which no grant can allow");
        let message =
            format!("a write to {place} was refused: it holds secret `{name}`; leave it out");
        Some(self.prohibit(missing, message).await)
    }
}

/// The secret that a JSON value holds in a key, a string or a number.
pub(super) fn find_in(redactor: &Redactor, value: &Value) -> Option<String> {
    let find = |text: &str| redactor.find(text.as_bytes());
    match value {
        Value::Null | Value::Bool(_) => None,
        Value::Number(number) => find(&number.to_string()),
        Value::String(text) => find(text),
        Value::Array(items) => items.iter().find_map(|item| find_in(redactor, item)),
        Value::Object(members) => find_in_members(redactor, members),
    }
}

/// The secret that members hold, in a name or a value.
pub(super) fn find_in_members<'a>(
    redactor: &Redactor,
    members: impl IntoIterator<Item = (&'a String, &'a Value)>,
) -> Option<String> {
    members.into_iter().find_map(|(name, value)| {
        let in_name = redactor.find(name.as_bytes());
        in_name.or_else(|| find_in(redactor, value))
    })
}

/// The secret that a piece of a file holds, or completes. Gives back what the next piece has to know.
pub(super) fn find_across(
    redactor: &Redactor,
    tail: &[u8],
    bytes: &[u8],
) -> (Option<String>, Vec<u8>) {
    // What a guest knows of a secret it was told after the first one was attached.
    if redactor.is_empty() {
        return (None, Vec::new());
    }
    let head = bytes.get(..bytes.len().min(TAIL_BYTES)).unwrap_or_default();
    let seam = [tail, head].concat();
    let found = redactor.find(&seam).or_else(|| redactor.find(bytes));
    let end = if bytes.len() >= TAIL_BYTES {
        bytes
    } else {
        &seam
    };
    let kept = end.get(end.len().saturating_sub(TAIL_BYTES)..);
    (found, kept.unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redactor() -> Redactor {
        let redactor = Redactor::default();
        redactor.add("token", "hunter2-hunter2");
        redactor
    }

    #[test]
    fn a_secret_in_a_value_is_found_by_its_name_wherever_it_stands() {
        let redactor = redactor();
        for value in [
            json!("is hunter2-hunter2."),
            json!({"a": [1, {"hunter2-hunter2": null}]}),
            json!({"a": "68756e746572322d68756e74657232"}),
        ] {
            assert_eq!(
                find_in(&redactor, &value).as_deref(),
                Some("token"),
                "{value}"
            );
        }
        assert_eq!(
            find_in(&redactor, &json!({"a": ["hunter2", 2, true]})),
            None
        );
    }

    #[test]
    fn a_secret_is_found_wherever_a_file_is_cut_between_two_writes_or_more() {
        let redactor = redactor();
        let text = b"x hunter2-hunter2 y";
        for size in 1..text.len() {
            let (mut tail, mut found) = (Vec::new(), None);
            for piece in text.chunks(size) {
                let (here, kept) = find_across(&redactor, &tail, piece);
                tail = kept;
                found = found.or(here);
            }
            assert_eq!(found.as_deref(), Some("token"), "{size}");
        }
        let long = vec![b'x'; 3 * TAIL_BYTES];
        let (found, tail) = find_across(&redactor, b"", &[&long[..], b"hunter2-"].concat());
        assert_eq!((found, tail.len()), (None, TAIL_BYTES));
        let (found, _) = find_across(&redactor, &tail, b"hunter2");
        assert_eq!(found.as_deref(), Some("token"));
    }
}
