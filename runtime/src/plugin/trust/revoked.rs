//! What the operator forbids by name: digests of packages, and keys.

use std::collections::BTreeSet;

use crate::model::Digest;

/// Entries; a list of this length is a mistake in the file's name.
const MAX_ENTRIES: usize = 100_000;

/// What became of the revocation list when it was read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevokedChange {
    /// Entries that are new.
    pub added: usize,
    /// Entries that are gone.
    pub removed: usize,
    /// Entries that it has now.
    pub total: usize,
    /// Calls under way that were ended.
    pub ended: usize,
}

/// Digests of whole files, of what was signed, and of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked(BTreeSet<Digest>);

impl Revoked {
    /// Reads entries, one a line: `sha256:…`, and what it is for after a `#`.
    ///
    /// # Errors
    /// The text names the line: a list that is not understood forbids nothing that it should.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut digests = BTreeSet::new();
        for line in lines {
            let text = line.split('#').next().unwrap_or_default().trim();
            if text.is_empty() {
                continue;
            }
            let digest = Digest::parse(text).ok_or_else(|| {
                let shown: String = text.chars().take(100).collect();
                format!("`{shown}` is no digest; write `sha256:` and 64 hexadecimal digits")
            })?;
            digests.insert(digest);
            if digests.len() > MAX_ENTRIES {
                return Err(format!("it has more than {MAX_ENTRIES} entries"));
            }
        }
        Ok(Self(digests))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many entries another list lacks.
    pub(super) fn count_beyond(&self, other: &Self) -> usize {
        self.0.difference(&other.0).count()
    }

    pub(super) fn holds(&self, digest: Digest) -> bool {
        self.0.contains(&digest)
    }
}
