//! `Idempotency-Key`: with it a client asks for a run once, however often it has to send that.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{EntityId, RunId};

/// Characters that a key may have.
const LONGEST: usize = 255;

/// A key, and what was asked for with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartKey {
    text: String,
    body: [u8; 32],
}

impl StartKey {
    /// For the start of an action. `None` where the key is empty, too long, or has other characters than visible ones of
    /// ASCII.
    pub fn of_start(
        text: &str,
        properties: &Map<String, Value>,
        entity: Option<&EntityId>,
    ) -> Option<Self> {
        Self::new(text, json!({ "properties": properties, "entity": entity }))
    }

    /// For starting a run once more.
    pub fn of_retry(text: &str, run: &RunId) -> Option<Self> {
        Self::new(text, json!({ "retry": run }))
    }

    fn new(text: &str, mut body: Value) -> Option<Self> {
        let is_key =
            (1..=LONGEST).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        // The order of keys says nothing.
        body.sort_all_objects();
        is_key.then(|| Self {
            text: text.to_owned(),
            body: Sha256::digest(body.to_string()).into(),
        })
    }

    /// The key as it was sent.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// SHA-256 of what is asked for.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str, properties: Value) -> Option<StartKey> {
        StartKey::of_start(text, properties.as_object()?, None)
    }

    #[test]
    fn a_key_is_visible_ascii_of_some_length() {
        let longest = "k".repeat(255);
        for good in [
            "k",
            "8e03978e-40d5-43dd-bc93-6894a57f9324",
            longest.as_str(),
        ] {
            assert!(key(good, json!({})).is_some(), "{good}");
        }
        let longer = "k".repeat(256);
        for bad in ["", "two words", "tab\t", "ümlaut", longer.as_str()] {
            assert!(key(bad, json!({})).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_same_inputs_in_another_order_are_the_same() {
        let ordered = key("k", json!({ "a": { "x": 1, "y": [2] }, "b": null }));
        assert_eq!(
            ordered,
            key("k", json!({ "b": null, "a": { "y": [2], "x": 1 } }))
        );
        assert_ne!(
            ordered,
            key("k", json!({ "a": { "x": 1, "y": [3] }, "b": null }))
        );
    }
}
