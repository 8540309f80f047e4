//! Who may come in: credentials, tokens, failed logins.

mod failures;
mod hs256;
mod people;
mod rule;
mod secret;
mod token;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use serde_json::json;

use crate::catalog::{self, Catalog};
use crate::model::{
    Actor, AuditEntry, Origin, Principal, PrincipalKind, Role, Timestamp, Verb, Violation,
};
use crate::store::{self, Credential, Store, WriteTx};

pub use people::{PrincipalChange, Team, TeamChange, WrittenUser};

use failures::Failures;
use rule::{check_given, check_new, check_teams, distinct};
use secret::Secrets;
use token::Tokens;

/// The setting that holds the key of all tokens, so that they outlive a restart.
const TOKEN_KEY: &str = "token-key";

/// Name of the administrator that the environment of the server names.
const BOOTSTRAP: &str = "bootstrap";

/// Name of the administrator that is made up for an empty data folder.
const FIRST: &str = "administrator";

/// Credentials and tokens. Clones share it.
#[derive(Clone)]
pub struct Access {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    catalog: Catalog,
    secrets: Secrets,
    tokens: Tokens,
    failures: Mutex<Failures>,
    /// Every credential by client id, as in the store: this process is the only one that writes it, so a check of a
    /// token needs no query.
    live: RwLock<HashMap<String, Arc<Credential>>>,
}

/// How many failed logins an address may still have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginQuota {
    /// In one period.
    pub limit: u32,
    /// In what is left of this one.
    pub remaining: u32,
    /// How long a period is, in seconds.
    pub period_seconds: u64,
    /// How long this one still is, in seconds; 0 where none has begun.
    pub reset_seconds: u64,
}

/// Somebody who is to get a credential.
#[derive(Clone, Debug)]
pub struct NewPrincipal {
    /// Person or program.
    pub kind: PrincipalKind,
    /// E-mail address of a user, name of an app.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Identifiers of their teams.
    pub teams: Vec<String>,
}

/// A signed token and how long it is good for.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// The token, for the `Authorization` header.
    pub token: String,
    /// Seconds from now.
    pub expires_in_seconds: u64,
}

/// Why somebody may not come in, or may not be let in.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Unknown client, wrong secret, bad or outdated token: never says which.
    #[error("the credentials are not valid")]
    Unauthorized,
    /// Too many failed logins from that address.
    #[error("too many failed logins from this address; try again in {retry_after_seconds} s")]
    TooManyFailures {
        /// When the address may try again.
        retry_after_seconds: u64,
    },
    /// So many logins wait for their check that one more would only wait too long.
    #[error("too many logins wait for their check; try again in a few seconds")]
    Busy,
    /// A user or app of that name exists.
    #[error("{0} exists already")]
    Exists(String),
    /// There is no such user or app.
    #[error("{0} does not exist")]
    NotFound(String),
    /// Without it nobody could let anybody in any more.
    #[error("{0} is the last administrator; make another one first")]
    LastAdministrator(String),
    /// It breaks rules; all of them are listed.
    #[error("{subject} breaks {} rule(s)", violations.len())]
    Invalid {
        /// The thing that breaks them.
        subject: String,
        /// Every broken rule.
        violations: Vec<Violation>,
    },
    /// The operating system, the hash or the token library refused.
    #[error("make or check a secret")]
    Crypto(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The catalog refused what goes along with it.
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    /// The store failed.
    #[error("read the credentials")]
    Store(#[from] store::Error),
}

impl Access {
    /// Reads the credentials of a store, and makes up the key of its tokens where it has none.
    pub async fn open(store: Store, catalog: Catalog) -> Result<Self, AccessError> {
        let fresh = secret::random::<64>()?;
        let (key, credentials) = store
            .write(move |tx| {
                tx.insert_setting(TOKEN_KEY, &fresh)?;
                let key = tx
                    .find_setting(TOKEN_KEY)?
                    .unwrap_or_else(|| fresh.to_vec());
                Ok::<_, store::Error>((key, tx.list_credentials()?))
            })
            .await?;
        let live = credentials
            .into_iter()
            .map(|credential| (credential.principal.client_id.clone(), Arc::new(credential)))
            .collect();
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                catalog,
                secrets: Secrets::new()?,
                tokens: Tokens::new(&key),
                failures: Mutex::new(Failures::default()),
                live: RwLock::new(live),
            }),
        })
    }

    /// Makes sure that somebody can come in at all.
    ///
    /// With a client id and secret (from the environment) they are an administrator's from now on, whatever they were
    /// before. Without, an empty store gets one administrator, whose client id and secret come back this once.
    pub async fn bootstrap(
        &self,
        given: Option<(String, String)>,
    ) -> Result<Option<(String, String)>, AccessError> {
        self.ensure_people().await?;
        let Some((client_id, secret)) = given else {
            if !self.live().is_empty() {
                return Ok(None);
            }
            let first = NewPrincipal {
                kind: PrincipalKind::App,
                name: FIRST.to_owned(),
                role: Role::Admin,
                teams: Vec::new(),
            };
            let (principal, secret) = self.create(&Actor::system(), first).await?;
            return Ok(Some((principal.client_id, secret)));
        };
        check_given(&client_id, &secret)?;
        let known = self.find_live(&client_id);
        if let Some(known) = &known
            && known.principal.role == Role::Admin
            && self
                .inner
                .secrets
                .verify(Some(known.secret_hash.clone()), secret.clone())
                .await?
        {
            return Ok(None);
        }
        let principal = match known {
            Some(known) => Principal {
                role: Role::Admin,
                ..known.principal.clone()
            },
            None => Principal {
                client_id,
                kind: PrincipalKind::App,
                name: BOOTSTRAP.to_owned(),
                role: Role::Admin,
                teams: Vec::new(),
                created_at: Timestamp::now(),
            },
        };
        let credential = self.credential(principal, secret).await?;
        let replaced = self
            .inner
            .store
            .write({
                let credential = credential.clone();
                move |tx| {
                    let before = tx.find_credential(&credential.principal.name)?;
                    if let Some(before) = &before {
                        tx.delete_credential(&before.principal.client_id)?;
                    }
                    tx.insert_credential(&credential)?;
                    let before = before.map(|before| before.principal);
                    audit(
                        tx,
                        &Actor::system(),
                        before.as_ref(),
                        Some(&credential.principal),
                    )?;
                    Ok::<_, store::Error>(before)
                }
            })
            .await?;
        let mut live = self
            .inner
            .live
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(replaced) = replaced {
            live.remove(&replaced.client_id);
        }
        live.insert(credential.principal.client_id.clone(), Arc::new(credential));
        Ok(None)
    }

    /// Makes a credential; the secret is returned this once and never again.
    pub async fn create(
        &self,
        actor: &Actor,
        new: NewPrincipal,
    ) -> Result<(Principal, String), AccessError> {
        check_new(&new)?;
        let secret = secret::random_text::<32>()?;
        let principal = Principal {
            client_id: format!("gp_{}", secret::random_text::<16>()?),
            kind: new.kind,
            name: new.name,
            role: new.role,
            teams: distinct(new.teams),
            created_at: Timestamp::now(),
        };
        let credential = self.credential(principal.clone(), secret.clone()).await?;
        let stored = credential.clone();
        let (actor, catalog) = (actor.clone(), self.inner.catalog.clone());
        self.inner
            .store
            .write(move |tx| {
                let name = &stored.principal.name;
                if let Some(other) = tx.find_credential(name)? {
                    return Err(AccessError::Exists(subject(other.principal.kind, name)));
                }
                tx.insert_credential(&stored)?;
                audit(tx, &actor, None, Some(&stored.principal))?;
                if stored.principal.kind == PrincipalKind::User {
                    catalog.put_user_in(tx, &actor, &stored.principal)?;
                }
                Ok(())
            })
            .await?;
        let mut live = self
            .inner
            .live
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        live.insert(principal.client_id.clone(), Arc::new(credential));
        Ok((principal, secret))
    }

    /// All users or all apps, by name.
    pub async fn list(&self, kind: PrincipalKind) -> Result<Vec<Principal>, AccessError> {
        let live = self.live();
        let of_kind = live
            .values()
            .filter(|credential| credential.principal.kind == kind);
        let mut found: Vec<_> = of_kind
            .map(|credential| credential.principal.clone())
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Removes a credential; its tokens stop working at once.
    pub async fn delete(
        &self,
        actor: &Actor,
        kind: PrincipalKind,
        name: &str,
    ) -> Result<(), AccessError> {
        let (actor, catalog) = (actor.clone(), self.inner.catalog.clone());
        let name = name.to_owned();
        let removed = self
            .inner
            .store
            .write(move |tx| {
                let found = tx
                    .find_credential(&name)?
                    .map(|credential| credential.principal);
                let Some(principal) = found.filter(|principal| principal.kind == kind) else {
                    return Err(AccessError::NotFound(subject(kind, &name)));
                };
                keep_an_administrator(tx, &principal)?;
                tx.delete_credential(&principal.client_id)?;
                audit(tx, &actor, Some(&principal), None)?;
                if kind == PrincipalKind::User {
                    catalog.remove_user_in(tx, &actor, &name)?;
                }
                Ok(principal)
            })
            .await?;
        self.inner
            .live
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&removed.client_id);
        Ok(())
    }

    /// Checks a client's secret and signs a token for it.
    pub async fn issue_token(
        &self,
        client_id: &str,
        client_secret: &str,
        address: IpAddr,
    ) -> Result<AccessToken, AccessError> {
        self.failures().check(address, Instant::now())?;
        let known = self.find_live(client_id);
        let hash = known
            .as_ref()
            .map(|credential| credential.secret_hash.clone());
        let turn = self.inner.secrets.wait_for_turn().await?;
        // Once more: those that waited in front may have used up what the address is allowed.
        self.failures().check(address, Instant::now())?;
        let matches = self
            .inner
            .secrets
            .verify_in_turn(turn, hash, client_secret.to_owned())
            .await?;
        match known {
            Some(credential) if matches => {
                self.failures().forget(address);
                self.inner.tokens.sign(&credential)
            }
            _ => {
                self.failures().count(address, Instant::now());
                tracing::warn!(client.address = %address, "login refused");
                Err(AccessError::Unauthorized)
            }
        }
    }

    /// How many failed logins an address may still have.
    pub fn login_quota(&self, address: IpAddr) -> LoginQuota {
        self.failures().quota(address, Instant::now())
    }

    /// Who a token was signed for, if they may still come in. Costs one signature check and no query; the role is the
    /// one of now, not the one of when the token was signed.
    pub async fn authenticate(&self, token: &str) -> Result<Actor, AccessError> {
        let claims = self.inner.tokens.verify(token)?;
        let live = self.live();
        let credential = live.get(&claims.sub).ok_or(AccessError::Unauthorized)?;
        if credential.secret_id != claims.key {
            return Err(AccessError::Unauthorized);
        }
        Ok(Actor {
            name: credential.principal.name.clone(),
            role: credential.principal.role,
            teams: credential.principal.teams.clone(),
            origin: Origin::Api,
            run: None,
            client: None,
            bound: false,
        })
    }

    async fn credential(
        &self,
        principal: Principal,
        secret: String,
    ) -> Result<Credential, AccessError> {
        let secret_hash = self.inner.secrets.hash(secret).await?;
        Ok(Credential {
            principal,
            secret_hash,
            secret_id: secret::random_text::<12>()?,
        })
    }

    fn live(&self) -> std::sync::RwLockReadGuard<'_, HashMap<String, Arc<Credential>>> {
        self.inner
            .live
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn find_live(&self, client_id: &str) -> Option<Arc<Credential>> {
        self.live().get(client_id).cloned()
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.inner
            .failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

/// One audit row about a principal, secrets and their hashes left out.
fn audit(
    tx: &WriteTx<'_>,
    actor: &Actor,
    before: Option<&Principal>,
    after: Option<&Principal>,
) -> Result<(), store::Error> {
    let Some(principal) = after.or(before) else {
        return Ok(());
    };
    let verb = match (before, after) {
        (None, _) => Verb::Create,
        (Some(_), Some(_)) => Verb::Update,
        (Some(_), None) => Verb::Delete,
    };
    tx.insert_audit(&AuditEntry {
        actor,
        verb,
        resource: kind_word(principal.kind),
        identifier: principal.name.clone(),
        before: before.map(|principal| json!(principal)),
        after: after.map(|principal| json!(principal)),
    })
}

/// Refuses to take the last administrator away.
fn keep_an_administrator(tx: &WriteTx<'_>, principal: &Principal) -> Result<(), AccessError> {
    if principal.role != Role::Admin {
        return Ok(());
    }
    let all = tx.list_credentials()?;
    let others = all.iter().filter(|other| {
        other.principal.role == Role::Admin && other.principal.client_id != principal.client_id
    });
    if others.count() == 0 {
        let name = subject(principal.kind, &principal.name);
        return Err(AccessError::LastAdministrator(name));
    }
    Ok(())
}

fn kind_word(kind: PrincipalKind) -> &'static str {
    match kind {
        PrincipalKind::User => "user",
        PrincipalKind::App => "app",
    }
}

fn subject(kind: PrincipalKind, name: &str) -> String {
    // A client chooses the name; the message shows only its beginning.
    format!(
        "{} `{}`",
        kind_word(kind),
        name.chars().take(64).collect::<String>()
    )
}
