//! An installed version of a plugin.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{PluginName, Timestamp};

/// SHA-256 of some bytes, written `sha256:` and 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Hashes bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 64 hex digits alone, for file names.
    pub fn hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }

    /// Reads the written form.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = data_encoding::HEXLOWER.decode(text.strip_prefix("sha256:")?.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("a digest is `sha256:` and 64 hex digits"))
    }
}

/// Where an installed version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PluginState {
    /// Waits for a reviewer; runs nothing.
    Pending,
    /// Serves runs.
    Active,
    /// Approved once, replaced by another version.
    Superseded,
    /// Refused by a reviewer.
    Rejected,
    /// Approved once, forbidden since.
    Revoked,
}

/// One installed version of a plugin, as lists show it.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginVersion {
    /// Name in the manifest.
    #[serde(skip)]
    #[schema(ignore)]
    pub name: PluginName,
    /// Title in the manifest.
    #[serde(skip)]
    #[schema(ignore)]
    pub title: String,
    /// Version in the manifest.
    #[schema(value_type = String)]
    pub version: semver::Version,
    /// Hash of the whole file.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Hash of the manifest alone.
    #[schema(value_type = String)]
    pub manifest_hash: Digest,
    /// Where it stands.
    pub state: PluginState,
    /// When it was installed.
    #[schema(value_type = String, format = DateTime)]
    pub installed_at: Timestamp,
    /// Who installed it.
    pub installed_by: String,
}
