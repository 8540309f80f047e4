//! Secrets that plugins use without seeing them: set by administrators, sealed on disk, opened when a request needs them.

mod edges;
mod form;
mod key;
mod redact;
mod seal;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

pub use key::SecretKeyError;
pub use redact::Redactor;

use self::seal::Label;
use super::grant::Grant;
use crate::model::{
    Actor, AuditEntry, PluginState, SecretKey, SecretMark, SecretName, SecretUsage, SecretUse,
    SecretValue, Verb,
};
use crate::store::{self, KEY_FILE, ReadTx, SealedSecret, Store, StoredPlugin};

/// The setting that opens with the right key and no other.
const KEY_CHECK: &str = "secret-key-check";

/// Secrets of one installation.
const MOST: u64 = 1_000;

/// Users of a secret that a refusal names.
const SHOWN: usize = 5;

/// The secrets of an installation. Clones share it.
#[derive(Clone, Debug)]
pub struct Secrets {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    folder: PathBuf,
    /// Empty until the first secret is set, where nobody has brought a key.
    key: OnceCell<SecretKey>,
}

/// Why a secret was not set, opened or deleted.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// No such secret.
    #[error("secret `{0}` does not exist")]
    NotFound(SecretName),
    /// There is no room for one more.
    #[error("there are {MOST} secrets already; delete one that nothing uses")]
    TooMany,
    /// It is not what was sealed under its name.
    #[error("secret `{0}` is damaged; set it again")]
    Damaged(SecretName),
    /// Versions of plugins could not do without it.
    #[error("{} use it: {}; delete it with `force` all the same, and what they ask of it is denied", .0.len(), listed(.0))]
    InUse(Vec<SecretUse>),
    /// The operating system has no randomness.
    #[error("seal the secret")]
    Random(#[source] getrandom::Error),
    /// The key cannot be made.
    #[error(transparent)]
    Key(#[from] SecretKeyError),
    /// The store failed.
    #[error("store the secret")]
    Store(#[from] store::Error),
}

impl Secrets {
    /// The secrets of a data folder. `given` is the key where a setting brings it; then the key file is not looked at.
    ///
    /// # Errors
    /// There are secrets, and the key is not the one that they were sealed with or is missing. Nothing is changed.
    pub async fn open(
        store: Store,
        folder: &Path,
        given: Option<SecretKey>,
    ) -> Result<Self, SecretKeyError> {
        let file = folder.join(KEY_FILE);
        let (from, key) = match given {
            Some(key) => ("GOLDENPATH_SECRET_KEY".to_owned(), Some(key)),
            None => (format!("`{}`", file.display()), key::read(folder)?),
        };
        let (check, any) = store
            .read(|tx| {
                let any = tx.count_secrets()? > 0;
                Ok::<_, store::Error>((tx.find_setting(KEY_CHECK)?, any))
            })
            .await?;
        if any {
            let Some(key) = &key else {
                return Err(SecretKeyError::Missing { file });
            };
            let is_right =
                check.is_some_and(|check| seal::open(key, Label::KeyCheck, &check).is_some());
            if !is_right {
                return Err(SecretKeyError::Wrong { from, file });
            }
        }
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                folder: folder.to_owned(),
                key: OnceCell::new_with(key),
            }),
        })
    }

    /// Sets a secret, be it new or another value of an old one. Says whether it is new.
    ///
    /// # Errors
    /// There are too many, or the disk refuses.
    pub async fn set(
        &self,
        actor: &Actor,
        name: SecretName,
        value: SecretValue,
    ) -> Result<(SecretMark, bool), SecretError> {
        let key = self.key().await?;
        let sealed = seal::seal(key, Label::Secret(name.as_str()), value.expose().as_bytes());
        let sealed = sealed.map_err(SecretError::Random)?;
        let check = seal::seal(key, Label::KeyCheck, b"").map_err(SecretError::Random)?;
        let actor = actor.clone();
        self.inner
            .store
            .write(move |tx| {
                let count = tx.count_secrets()?;
                if count == 0 {
                    // No secret is sealed with what was the key before.
                    tx.put_setting(KEY_CHECK, &check)?;
                }
                let before = tx.find_secret(&name)?.map(|found| found.mark);
                if before.is_none() && count >= MOST {
                    return Err(SecretError::TooMany);
                }
                let (created_at, created_by) = match &before {
                    Some(mark) => (mark.created_at, mark.created_by.clone()),
                    None => (tx.now, actor.name.clone()),
                };
                let mark = SecretMark {
                    name,
                    created_at,
                    created_by,
                    updated_at: tx.now,
                    updated_by: actor.name.clone(),
                };
                let secret = SealedSecret { mark, sealed };
                tx.put_secret(&secret)?;
                let mark = secret.mark;
                let is_new = before.is_none();
                tx.insert_audit(&AuditEntry {
                    actor: &actor,
                    verb: if is_new { Verb::Create } else { Verb::Update },
                    resource: "secret",
                    identifier: mark.name.to_string(),
                    before: before.map(|mark| json!(mark)),
                    after: Some(json!(mark)),
                })?;
                Ok((mark, is_new))
            })
            .await
    }

    /// Every secret, by name; never what it is.
    ///
    /// # Errors
    /// The store failed.
    pub async fn list(&self) -> Result<Vec<SecretUsage>, SecretError> {
        let read = |tx: &ReadTx<'_>| {
            let mut uses = uses(tx)?;
            let secrets = tx.list_secrets()?.into_iter().map(|mark| SecretUsage {
                used_by: uses.remove(mark.name.as_str()).unwrap_or_default(),
                mark,
            });
            Ok(secrets.collect())
        };
        self.inner.store.read(read).await
    }

    /// The secret itself.
    ///
    /// # Errors
    /// There is no such secret, or it cannot be opened.
    pub(super) async fn reveal(&self, name: &SecretName) -> Result<SecretValue, SecretError> {
        let (wanted, key) = (name.clone(), self.inner.key.get());
        let found: Result<_, store::Error> = self
            .inner
            .store
            .read(move |tx| tx.find_secret(&wanted))
            .await;
        let Some((found, key)) = found?.zip(key) else {
            return Err(SecretError::NotFound(name.clone()));
        };
        let label = Label::Secret(name.as_str());
        let opened = seal::open(key, label, &found.sealed)
            .and_then(|bytes| std::str::from_utf8(&bytes).ok().map(str::to_owned));
        opened
            .and_then(|text| SecretValue::parse(Zeroizing::new(text)).ok())
            .ok_or_else(|| SecretError::Damaged(name.clone()))
    }

    /// Deletes a secret; one that a grant uses only with `force`.
    ///
    /// # Errors
    /// There is no such secret, or it is used.
    pub async fn delete(
        &self,
        actor: &Actor,
        name: SecretName,
        force: bool,
    ) -> Result<(), SecretError> {
        let actor = actor.clone();
        self.inner
            .store
            .write(move |tx| {
                let Some(found) = tx.find_secret(&name)? else {
                    return Err(SecretError::NotFound(name));
                };
                let used_by = uses(tx)?.remove(name.as_str()).unwrap_or_default();
                if !force && !used_by.is_empty() {
                    return Err(SecretError::InUse(used_by));
                }
                tx.delete_secret(&name)?;
                tx.insert_audit(&AuditEntry {
                    actor: &actor,
                    verb: Verb::Delete,
                    resource: "secret",
                    identifier: name.to_string(),
                    before: Some(json!(SecretUsage {
                        mark: found.mark,
                        used_by,
                    })),
                    after: None,
                })?;
                Ok(())
            })
            .await
    }

    /// The key; made up and kept where there is none yet.
    async fn key(&self) -> Result<&SecretKey, SecretKeyError> {
        let make = || async {
            let folder = self.inner.folder.clone();
            let made = tokio::task::spawn_blocking(move || key::make(&folder)).await;
            made.map_err(|_| store::Error::Panicked)?
        };
        self.inner.key.get_or_try_init(make).await
    }
}

/// Which versions may use which secret: those that run, or could without another approval.
fn uses(tx: &ReadTx<'_>) -> Result<BTreeMap<String, Vec<SecretUse>>, store::Error> {
    let mut uses: BTreeMap<String, Vec<SecretUse>> = BTreeMap::new();
    for StoredPlugin { version, grant } in tx.list_plugins(None)? {
        if !matches!(version.state, PluginState::Active | PluginState::Superseded) {
            continue;
        }
        // A grant that cannot be read allows nothing.
        let grant: Option<Grant> = grant.and_then(|text| serde_json::from_str(&text).ok());
        let stored: BTreeSet<String> = grant
            .map(|grant| grant.secrets.into_values().collect())
            .unwrap_or_default();
        for name in stored {
            uses.entry(name).or_default().push(SecretUse {
                plugin: version.name.clone(),
                version: version.version.clone(),
            });
        }
    }
    Ok(uses)
}

fn listed(uses: &[SecretUse]) -> String {
    let shown = uses.iter().take(SHOWN);
    let shown: Vec<_> = shown
        .map(|one| format!("`{}` {}", one.plugin, one.version))
        .collect();
    shown.join(", ")
}
