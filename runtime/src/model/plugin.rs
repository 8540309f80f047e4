//! An installed version of a plugin.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Carried, LineRisk, PluginName, Provenance, Sbom, Timestamp};

/// SHA-256 of some bytes, written `sha256:` and 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Hashes bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The hash itself.
    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }

    /// A hash that was kept as [`Self::bytes`].
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 64 hex digits alone, for file names.
    pub fn hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }

    /// Reads the written form.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = data_encoding::HEXLOWER
            .decode(text.strip_prefix("sha256:")?.as_bytes())
            .ok()?;
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
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("a digest is `sha256:` and 64 hex digits"))
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

/// What becomes of a new version that asks for nothing that the active one does not ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpgradePolicy {
    /// It becomes active at once, with what the active one was granted.
    #[default]
    Activate,
    /// It waits for a reviewer, as one that asks for more.
    Review,
}

impl UpgradePolicy {
    /// The word in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Activate => "activate",
            Self::Review => "review",
        }
    }
}

impl std::str::FromStr for UpgradePolicy {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Activate, Self::Review]
            .into_iter()
            .find(|policy| policy.as_str() == text)
            .ok_or("write `activate` or `review`")
    }
}

/// What becomes of the calls that are under way when their version is revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UnderWay {
    /// They may finish.
    #[default]
    Finish,
    /// They are ended.
    Cancel,
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

/// Something about a package that a reviewer should look at; none of them stops an install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Finding {
    /// One `snake_case` word that a program can act on, for example `unused_capability`.
    pub code: String,
    /// One sentence for the reviewer.
    pub message: String,
}

/// What a plugin version asks for, what it was granted, and what its component can reach at all.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapabilityReport {
    /// Hash of the whole file; an approval has to repeat it.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Hash of the manifest alone; an approval has to repeat it.
    #[schema(value_type = String)]
    pub manifest_hash: Digest,
    /// Changes with every decision about any version of the plugin, and with the host's own policy; an approval has to
    /// repeat it.
    #[schema(value_type = String)]
    pub policy_revision: Digest,
    /// Where the version stands.
    pub state: PluginState,
    /// Canonical lines of the manifest, sorted.
    pub requested: Vec<String>,
    /// Canonical lines of the grant, sorted; empty before an approval.
    pub granted: Vec<String>,
    /// Where the endpoints of granted lines are, by name.
    pub bindings: BTreeMap<String, Binding>,
    /// Granted folders that are not at their default, by name.
    pub folders: BTreeMap<String, String>,
    /// Why the author asks, by line.
    pub reasons: BTreeMap<String, String>,
    /// How much harm each line could do that is asked for or granted, budgets aside.
    pub risks: Vec<LineRisk>,
    /// Endpoint name to the URL where it is unless an approval binds it; absent where one has to.
    #[schema(value_type = Object)]
    pub endpoints: BTreeMap<String, Option<String>>,
    /// Secret name to what is done with it: attached by the host wherever a line says `using`, or read by the plugin.
    pub secrets: BTreeMap<String, SecretRequest>,
    /// Interfaces that the component imports, by name.
    pub imports: Vec<String>,
    /// Interfaces that it exports, by name.
    pub exports: Vec<String>,
    /// What it says that it was built from; absent where it says nothing.
    pub sbom: Option<Sbom>,
    /// Who signed it, and who of them is trusted here.
    pub provenance: Provenance,
    /// Documents that it ships, by path; an approval puts them in place.
    pub documents: Vec<String>,
    /// What they say, by path.
    #[schema(value_type = Object)]
    pub shipped: BTreeMap<String, serde_json::Value>,
    /// What an approval has to repeat so that it undoes nothing of what the active version was granted.
    pub carried: Option<Carried>,
    /// What a reviewer should look at.
    pub findings: Vec<Finding>,
}

/// What is done with a secret, and which one it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SecretRequest {
    /// The header that the host puts it into; absent where no line attaches it.
    pub header: Option<String>,
    /// What stands in the header, with `{}` for the secret.
    pub format: Option<String>,
    /// Whether the plugin gets its text.
    pub read: bool,
    /// The stored secret that the grant binds; absent before an approval.
    pub stored: Option<String>,
}

/// What is done with it, for people.
impl fmt::Display for SecretRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(header), Some(format)) = (&self.header, &self.format) {
            write!(f, "goes into header `{header}` as `{format}`")?;
            if self.read {
                f.write_str(", and ")?;
            }
        }
        if self.read {
            f.write_str("is read by the plugin itself")?;
        }
        Ok(())
    }
}

/// Where an endpoint of the manifest really is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Binding {
    /// Base URLs, `https://host[:port][/path]`.
    pub urls: Vec<String>,
    /// Allow private, loopback and link-local addresses; the host's own setting has to allow them too.
    #[serde(default)]
    pub allow_private: bool,
    /// Allow `http://`.
    #[serde(default)]
    pub allow_plaintext: bool,
}

/// A reviewer's decision to let one plugin version run, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approval {
    /// The digest that the reviewer read.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// The manifest hash that the reviewer read.
    #[schema(value_type = String)]
    pub manifest_hash: Digest,
    /// The policy revision that the reviewer read: after any decision about the plugin in between, nothing is allowed.
    #[schema(value_type = String)]
    pub policy_revision: Digest,
    /// Endpoint name to where it is; absent ones take the manifest's default.
    #[serde(default)]
    pub bindings: BTreeMap<String, Binding>,
    /// Folder name to an absolute path; absent ones are made in the data folder.
    #[serde(default)]
    pub folders: BTreeMap<String, String>,
    /// Secret name of the manifest to name in the secret store.
    #[serde(default)]
    pub secrets: BTreeMap<String, String>,
    /// Requested lines that are not granted.
    #[serde(default)]
    pub deny: Vec<String>,
    /// Budgets lower than the manifest's, by its keys: `{"memory": "32MiB"}`.
    #[serde(default)]
    pub limits: BTreeMap<String, String>,
}

impl Approval {
    /// Grants what was requested as it was read, less what was denied or lowered before; each folder, endpoint and
    /// secret where it was, else folders and endpoints at their defaults.
    pub fn of(read: &CapabilityReport) -> Self {
        let mut approval = Self {
            digest: read.digest,
            manifest_hash: read.manifest_hash,
            policy_revision: read.policy_revision,
            bindings: BTreeMap::new(),
            folders: BTreeMap::new(),
            secrets: BTreeMap::new(),
            deny: Vec::new(),
            limits: BTreeMap::new(),
        };
        if let Some(carried) = read.carried.clone() {
            approval.bindings = carried.bindings;
            approval.folders = carried.folders;
            approval.secrets = carried.secrets;
            approval.deny = carried.deny;
            approval.limits = carried.limits;
        }
        approval
    }
}
