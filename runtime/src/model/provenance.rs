//! Who signed a package, and what that is worth here.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::Digest;

/// The signatures of a package, held against whom the host trusts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// Hash of the file without its signatures: what they are of.
    #[schema(value_type = String)]
    pub signed_digest: Digest,
    /// All of them, in the order of the file.
    pub signatures: Vec<SignatureMark>,
    /// The trusted signers among them, each once.
    pub signers: BTreeSet<String>,
    /// How many signers the host asks for.
    pub required: usize,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct SignatureMark {
    /// The key, by the digest of its bytes.
    #[schema(value_type = String)]
    pub key: Digest,
    /// Whose key it is, where the host knows it.
    pub signer: Option<String>,
    /// What it is worth.
    pub verdict: SignatureVerdict,
}

/// What a signature is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignatureVerdict {
    /// It is of this package, by a key that is trusted here.
    Trusted,
    /// It is of this package, by a key that nobody here knows.
    UnknownKey,
    /// It is of this package, by a key that had expired when the package came in.
    Expired,
    /// It is of this package, by a key that the operator revoked.
    RevokedKey,
    /// It is a second one by the same key.
    Repeated,
    /// It is not of this package.
    WrongDigest,
}

impl fmt::Display for SignatureMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(signer) = &self.signer {
            write!(f, "{signer}, ")?;
        }
        write!(f, "key {}: ", self.key)?;
        f.write_str(match self.verdict {
            SignatureVerdict::Trusted => "trusted",
            SignatureVerdict::UnknownKey => "not trusted here",
            SignatureVerdict::Expired => "expired before the package came in",
            SignatureVerdict::RevokedKey => "on the revocation list",
            SignatureVerdict::Repeated => "signed twice, which counts once",
            SignatureVerdict::WrongDigest => "not a signature of this package",
        })
    }
}
