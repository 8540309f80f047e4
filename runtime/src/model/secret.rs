//! Secrets that plugins use without seeing them. In plain text they are only in the types here, which cannot be printed
//! and are wiped when they are done with.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{PluginName, SecretName, Timestamp};

/// The shortest secret: what is shorter is found in any log, and hiding it there would make the log unreadable.
const SHORTEST: usize = 8;

/// The longest secret: a key or a certificate with room to spare.
const LONGEST: usize = 64 << 10;

/// The key that all secrets of an installation are sealed with.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<[u8; 32]>);

impl SecretKey {
    /// Wraps the bytes of a key.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads the written form, 64 hexadecimal digits with nothing but space around them.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().as_bytes();
        let decoded = data_encoding::HEXLOWER_PERMISSIVE.decode(text).ok()?;
        let decoded = Zeroizing::new(decoded);
        decoded.as_slice().try_into().ok().map(Self::new)
    }

    /// The written form.
    pub fn render(&self) -> Zeroizing<String> {
        Zeroizing::new(data_encoding::HEXLOWER.encode(self.0.as_slice()))
    }

    /// The bytes, for the cipher.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A secret in plain text.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(Zeroizing<String>);

impl SecretValue {
    /// Takes a text over; it comes back neither here nor in the refusal.
    pub fn parse(text: Zeroizing<String>) -> Result<Self, &'static str> {
        match text.len() {
            0..SHORTEST => {
                Err("a secret has at least 8 bytes; a shorter one could not be kept out of logs")
            }
            SHORTEST..=LONGEST => Ok(Self(text)),
            _ => Err("a secret has at most 64 KiB"),
        }
    }

    /// The text itself, for the places that need it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for SecretValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Read as any value first: serde's own refusals quote what they refuse.
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => {
                Self::parse(Zeroizing::new(text)).map_err(serde::de::Error::custom)
            }
            _ => Err(serde::de::Error::custom("a secret is a string")),
        }
    }
}

/// All that there is to say of a secret without telling it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretMark {
    /// Its name.
    #[schema(value_type = String)]
    pub name: SecretName,
    /// When the name was first set.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: String,
    /// When the value was last set.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// By whom.
    pub updated_by: String,
}

/// A version of a plugin whose grant binds a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SecretUse {
    /// Name of the plugin.
    #[schema(value_type = String)]
    pub plugin: PluginName,
    /// The version.
    #[schema(value_type = String)]
    pub version: semver::Version,
}

/// A secret and who uses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretUsage {
    /// The secret.
    #[serde(flatten)]
    pub mark: SecretMark,
    /// Versions that run, or could without another approval.
    pub used_by: Vec<SecretUse>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_back_and_no_other_text_is_one() {
        let key = SecretKey::new([7; 32]);
        let read = SecretKey::parse(&format!("{}\n", *key.render())).unwrap();
        assert_eq!(read.expose(), key.expose());
        for odd in ["", "07", &"07".repeat(33), &"0g".repeat(32)] {
            assert!(SecretKey::parse(odd).is_none(), "{odd}");
        }
    }

    #[test]
    fn neither_secrets_nor_refusals_of_them_show_the_text() {
        let value = |text: &str| serde_json::from_str::<SecretValue>(text);
        assert_eq!(
            format!("{:?}", value(r#""hunter2-hunter2""#).unwrap()),
            "***"
        );
        assert_eq!(format!("{:?}", SecretKey::new([7; 32])), "***");
        for odd in [r#""hunter2""#, "12345678", r#"["hunter2-hunter2"]"#] {
            let refusal = value(odd).unwrap_err().to_string();
            assert!(
                !refusal.contains("hunter2") && !refusal.contains("1234"),
                "{refusal}"
            );
        }
        assert!(value(&format!("{:?}", "x".repeat(LONGEST))).is_ok());
        assert!(value(&format!("{:?}", "x".repeat(LONGEST + 1))).is_err());
    }
}
