//! Whose packages may be here at all, whatever they ask for: trusted signers, how many of them it takes, and what is
//! forbidden by name. All of it is the operator's word, in the host's settings.

mod host;
mod revoked;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::{Value, json};

use super::package::Package;
use super::signature::{PublicKey, Signed};
use crate::model::{Digest, Provenance, SignatureMark, SignatureVerdict, Timestamp};
pub use revoked::{Revoked, RevokedChange};

/// The signers that an operator trusts. The default trusts nobody, and asks for nobody.
#[derive(Clone, Debug, Default)]
pub struct TrustPolicy {
    /// One signer may have several keys, the old and the new one; a key has one signer.
    keys: BTreeMap<PublicKey, Signer>,
    required: usize,
}

#[derive(Clone, Debug)]
struct Signer {
    name: String,
    /// What is installed from then on, this key does not speak for.
    until: Option<Timestamp>,
}

/// Why a package may not be here, or not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// It has a signature that is of other bytes, or forged.
    #[error(
        "the signature of key {key} is not of this package ({digest}); it was changed after it was signed"
    )]
    WrongDigest {
        /// Whose key it claims to be.
        key: Digest,
        /// Digest of what should have been signed.
        digest: Digest,
    },
    /// Nobody signed it.
    #[error("the package has no signature; this host asks for {required}, of {known}")]
    Unsigned {
        /// How many signers it takes.
        required: usize,
        /// Who may be one.
        known: String,
    },
    /// Too few of those who signed it count.
    #[error(
        "the package has signatures of {counted} trusted signer(s); this host asks for {required}, of {known}{uncounted}"
    )]
    TooFew {
        /// How many signers it takes.
        required: usize,
        /// How many there are.
        counted: usize,
        /// Who may be one.
        known: String,
        /// For each signature that does not count, why.
        uncounted: Uncounted,
    },
    /// The operator forbade it by its digest, or a key that signed it, whoever else did.
    #[error("{0} is on this host's revocation list")]
    Revoked(Digest),
}

/// Signatures that do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncounted(Vec<SignatureMark>);

impl std::fmt::Display for Uncounted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for mark in &self.0 {
            write!(f, "; {mark}")?;
        }
        Ok(())
    }
}

impl TrustPolicy {
    /// Reads the settings: keys as `name=BASE64` or `name=BASE64 until 2027-01-31T00:00:00Z`, and how many signers it
    /// takes.
    ///
    /// # Errors
    /// The text says which entry is not understood, or why nothing could ever be installed.
    pub fn parse(texts: &[String], required: usize) -> Result<Self, String> {
        let mut keys: BTreeMap<PublicKey, Signer> = BTreeMap::new();
        for text in texts {
            let (key, signer) = entry(text.trim()).map_err(|why| format!("`{text}`: {why}"))?;
            if let Some(before) = keys.insert(key, signer) {
                // It would be two signers with one key.
                return Err(format!("`{text}`: that key is `{}`'s already", before.name));
            }
        }
        let policy = Self { keys, required };
        let names = policy.names().len();
        if required > names {
            return Err(format!(
                "`plugin-signatures-required` is {required}, and `plugin-trusted-keys` names {names} signer(s): nothing could be installed"
            ));
        }
        Ok(policy)
    }

    /// All of it as JSON, in one order: it is part of what an approval is bound to.
    pub(super) fn texts(&self) -> Value {
        let keys: BTreeMap<String, Value> = self
            .keys
            .iter()
            .map(|(key, signer)| (key.to_string(), json!([signer.name, signer.until])))
            .collect();
        json!({ "keys": keys, "required": self.required })
    }

    /// What each signature of a package is worth. `at` is when the package came in.
    pub(super) fn judge(&self, signed: &Signed, at: Timestamp, revoked: &Revoked) -> Provenance {
        let mut seen = BTreeSet::new();
        let signatures = signed.signatures.iter().map(|signature| {
            let (key, id) = (signature.key, signature.key.id());
            let signer = self.keys.get(&key);
            let expired = |signer: &Signer| signer.until.is_some_and(|until| at >= until);
            let verdict = match signer {
                _ if !signature.is_valid => SignatureVerdict::WrongDigest,
                _ if !seen.insert(key) => SignatureVerdict::Repeated,
                _ if revoked.holds(id) => SignatureVerdict::RevokedKey,
                None => SignatureVerdict::UnknownKey,
                Some(signer) if expired(signer) => SignatureVerdict::Expired,
                Some(_) => SignatureVerdict::Trusted,
            };
            SignatureMark {
                key: id,
                signer: signer.map(|signer| signer.name.clone()),
                verdict,
            }
        });
        let signatures: Vec<SignatureMark> = signatures.collect();
        let trusted = signatures
            .iter()
            .filter(|mark| mark.verdict == SignatureVerdict::Trusted);
        let signers: BTreeSet<String> = trusted.filter_map(|mark| mark.signer.clone()).collect();
        Provenance {
            signed_digest: signed.digest,
            signatures,
            signers,
            required: self.required,
        }
    }

    /// Whether a package may be here.
    pub(super) fn admit(
        &self,
        package: &Package,
        at: Timestamp,
        revoked: &Revoked,
    ) -> Result<Provenance, Distrust> {
        let found = self.judge(&package.signed, at, revoked);
        let named = [package.digest, found.signed_digest];
        if let Some(digest) = named.into_iter().find(|digest| revoked.holds(*digest)) {
            return Err(Distrust::Revoked(digest));
        }
        let of = |verdict| {
            found
                .signatures
                .iter()
                .find(move |mark| mark.verdict == verdict)
        };
        if let Some(mark) = of(SignatureVerdict::WrongDigest) {
            return Err(Distrust::WrongDigest {
                key: mark.key,
                digest: found.signed_digest,
            });
        }
        // Who has that key made the package, or passed it on. Others who signed it do not make up for that.
        if let Some(mark) = of(SignatureVerdict::RevokedKey) {
            return Err(Distrust::Revoked(mark.key));
        }
        let (required, counted) = (self.required, found.signers.len());
        if counted >= required {
            return Ok(found);
        }
        let known: Vec<&str> = self.names().into_iter().collect();
        let known = known.join(", ");
        if found.signatures.is_empty() {
            return Err(Distrust::Unsigned { required, known });
        }
        let mut uncounted = found.signatures;
        uncounted.retain(|mark| mark.verdict != SignatureVerdict::Trusted);
        Err(Distrust::TooFew {
            required,
            counted,
            known,
            uncounted: Uncounted(uncounted),
        })
    }

    /// Whose a key is.
    pub(super) fn signer(&self, key: &PublicKey) -> Option<&str> {
        self.keys.get(key).map(|signer| signer.name.as_str())
    }

    fn names(&self) -> BTreeSet<&str> {
        self.keys
            .values()
            .map(|signer| signer.name.as_str())
            .collect()
    }
}

fn entry(text: &str) -> Result<(PublicKey, Signer), &'static str> {
    let form =
        "write `name=KEY` or `name=KEY until 2027-01-31T00:00:00Z`, with the public key in base64";
    let (name, rest) = text.split_once('=').ok_or(form)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    if !(1..=64).contains(&name.len()) || !name.chars().all(plain) {
        return Err("a signer's name has up to 64 letters, digits, `-`, `_`, `.` and `@`");
    }
    let (key, until) = match rest.split_once(" until ") {
        Some((key, until)) => (key, Some(until.trim().parse().map_err(|_| form)?)),
        None => (rest, None),
    };
    let key = PublicKey::parse(key.trim()).ok_or(form)?;
    let signer = Signer {
        name: name.to_owned(),
        until,
    };
    Ok((key, signer))
}

/// The policy of a running host, and the list that can be read again while it runs. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Trust {
    policy: Arc<TrustPolicy>,
    revoked: Arc<RwLock<Arc<Revoked>>>,
}

impl Trust {
    pub(super) fn new(policy: TrustPolicy, revoked: Revoked) -> Self {
        Self {
            policy: Arc::new(policy),
            revoked: Arc::new(RwLock::new(Arc::new(revoked))),
        }
    }

    pub(super) fn policy(&self) -> &TrustPolicy {
        &self.policy
    }

    /// The list as it is now.
    pub(super) fn revoked(&self) -> Arc<Revoked> {
        let held = self.revoked.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&held)
    }

    /// Puts another list in place; the one before.
    pub(super) fn replace(&self, revoked: Arc<Revoked>) -> Arc<Revoked> {
        let mut held = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *held, revoked)
    }

    /// Whether a package that came in at some time may be here.
    pub(super) fn admit(&self, package: &Package, at: Timestamp) -> Result<Provenance, Distrust> {
        self.policy.admit(package, at, &self.revoked())
    }

    /// What is known of the signatures of a package, whether or not it may be here.
    pub(super) fn judge(&self, package: &Package, at: Timestamp) -> Provenance {
        self.policy.judge(&package.signed, at, &self.revoked())
    }
}

#[cfg(test)]
mod tests;
