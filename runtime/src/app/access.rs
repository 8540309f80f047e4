//! Who may come in: credentials, tokens, failed logins.

use std::net::IpAddr;

use crate::model::{Actor, Principal, PrincipalKind, Role};
use crate::store::{self, Store};

/// Credentials and tokens. Clones share it.
#[derive(Clone, Debug)]
pub struct Access {
    store: Store,
}

/// Somebody who is to get a credential.
#[derive(Clone, Debug)]
pub struct NewPrincipal {
    pub kind: PrincipalKind,
    pub name: String,
    pub role: Role,
    pub teams: Vec<String>,
}

/// A signed token and how long it is good for.
#[derive(Clone, Debug)]
pub struct AccessToken {
    pub token: String,
    pub expires_in_seconds: u64,
}

/// Why somebody may not come in.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Unknown client, wrong secret, bad or outdated token: never says which.
    #[error("the credentials are not valid")]
    Unauthorized,
    /// Too many failed logins from that address.
    #[error("too many failed logins from this address; try again in {retry_after_seconds} s")]
    TooManyFailures { retry_after_seconds: u64 },
    /// A user or app of that name exists.
    #[error("{0} exists already")]
    Exists(String),
    /// There is no such user or app.
    #[error("{0} does not exist")]
    NotFound(String),
    /// The store failed.
    #[error("read the credentials")]
    Store(#[from] store::Error),
}

impl Access {
    /// Makes a credential; the secret is returned this once and never again.
    pub async fn create(
        &self,
        actor: &Actor,
        new: NewPrincipal,
    ) -> Result<(Principal, String), AccessError> {
        todo!()
    }

    pub async fn list(&self, kind: PrincipalKind) -> Result<Vec<Principal>, AccessError> {
        todo!()
    }

    /// Removes a credential; its tokens stop working at once.
    pub async fn delete(
        &self,
        actor: &Actor,
        kind: PrincipalKind,
        name: &str,
    ) -> Result<(), AccessError> {
        todo!()
    }

    pub async fn issue_token(
        &self,
        client_id: &str,
        client_secret: &str,
        address: IpAddr,
    ) -> Result<AccessToken, AccessError> {
        todo!()
    }

    pub async fn authenticate(&self, token: &str) -> Result<Actor, AccessError> {
        todo!()
    }
}
