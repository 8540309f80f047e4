//! Secrets: made up, hashed and compared, never on an async thread and never too many at once.

use std::sync::Arc;

use argon2::password_hash::{self, PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::AccessError;

/// Longest secret that is looked at, in bytes.
pub(super) const LONGEST: usize = 1024;

/// Hashes at the same time: each takes 19 MiB and a core.
const AT_ONCE: usize = 2;

/// Logins that may wait for their turn; at some 20 ms each the last one waits a second or two.
const WAITING: usize = 128;

/// What OWASP recommends for argon2id where memory is dear: 19 MiB, two passes, one lane.
const PARAMS: (u32, u32, u32) = (19 * 1024, 2, 1);

/// Hashes secrets and compares them.
pub(super) struct Secrets {
    argon2: Argon2<'static>,
    /// What an unknown client's secret is checked against, so that the answer takes as long as for a known one.
    dummy: String,
    turns: Arc<Semaphore>,
    places: Semaphore,
}

/// The right to hash now.
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
}

impl Secrets {
    pub(super) fn new() -> Result<Self, AccessError> {
        let (memory, passes, lanes) = PARAMS;
        let params = Params::new(memory, passes, lanes, None).map_err(crypto)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        Ok(Self {
            argon2,
            dummy: hash_of_nobody()?,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            places: Semaphore::new(WAITING),
        })
    }

    /// Waits until a hash may be computed, or says at once that too many wait already.
    pub(super) async fn wait_for_turn(&self) -> Result<Turn, AccessError> {
        let _place = self.places.try_acquire().map_err(|_| AccessError::Busy)?;
        let permit = Arc::clone(&self.turns).acquire_owned().await;
        Ok(Turn {
            _permit: permit.map_err(|_| AccessError::Busy)?,
        })
    }

    /// Hashes a secret, for the store.
    pub(super) async fn hash(&self, secret: String) -> Result<String, AccessError> {
        let turn = self.wait_for_turn().await?;
        let argon2 = self.argon2.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            hash(&argon2, &secret)
        });
        done.await.map_err(crypto)?
    }

    /// Whether a secret is the one that was hashed. `None` stands for a client that does not exist.
    pub(super) async fn verify(
        &self,
        hash: Option<String>,
        secret: String,
    ) -> Result<bool, AccessError> {
        let turn = self.wait_for_turn().await?;
        self.verify_in_turn(turn, hash, secret).await
    }

    /// As [`Self::verify`], for a caller that has waited already.
    pub(super) async fn verify_in_turn(
        &self,
        turn: Turn,
        hash: Option<String>,
        secret: String,
    ) -> Result<bool, AccessError> {
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.dummy.clone());
        let argon2 = self.argon2.clone();
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let hash = PasswordHash::new(&hash).map_err(crypto)?;
            let looked_at = secret
                .as_bytes()
                .get(..LONGEST)
                .unwrap_or(secret.as_bytes());
            let same = match argon2.verify_password(looked_at, &hash) {
                Ok(()) => true,
                Err(password_hash::Error::PasswordInvalid) => false,
                Err(error) => return Err(crypto(error)),
            };
            Ok(same && secret.len() <= LONGEST)
        });
        Ok(done.await.map_err(crypto)?? && known)
    }
}

fn hash(argon2: &Argon2<'_>, secret: &str) -> Result<String, AccessError> {
    let hash = argon2.hash_password_with_salt(secret.as_bytes(), &random::<16>()?);
    let hash: PasswordHash = hash.map_err(crypto)?;
    Ok(hash.to_string())
}

/// Looks like the hash of a secret and costs as much to check, but not to make: a start does not wait for it, and no
/// secret has it.
fn hash_of_nobody() -> Result<String, AccessError> {
    let (memory, passes, lanes) = PARAMS;
    let version = u32::from(Version::V0x13);
    let salt = data_encoding::BASE64_NOPAD.encode(&random::<16>()?);
    let output = data_encoding::BASE64_NOPAD.encode(&random::<{ Params::DEFAULT_OUTPUT_LEN }>()?);
    Ok(format!(
        "$argon2id$v={version}$m={memory},t={passes},p={lanes}${salt}${output}"
    ))
}

/// Bytes from the operating system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], AccessError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(crypto)?;
    Ok(bytes)
}

/// `N` random bytes as text that needs no quoting anywhere.
pub(super) fn random_text<const N: usize>() -> Result<String, AccessError> {
    // Base 32 without padding: one double click selects it, and no shell or URL changes it.
    let mut text = data_encoding::BASE32_NOPAD.encode(&random::<N>()?);
    text.make_ascii_lowercase();
    Ok(text)
}

fn crypto(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> AccessError {
    AccessError::Crypto(error.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn unknown_client_is_checked_against_a_hash_of_the_same_cost() {
        let secrets = Secrets::new().unwrap();
        let known = secrets.hash("secret".to_owned()).await.unwrap();
        let (known, nobody) = (
            PasswordHash::new(&known).unwrap(),
            PasswordHash::new(&secrets.dummy).unwrap(),
        );
        assert_eq!(known.algorithm, nobody.algorithm);
        assert_eq!(known.version, nobody.version);
        assert_eq!(known.params, nobody.params);
        let lengths = |hash: &PasswordHash| {
            let salt = hash.salt.as_ref().map(|salt| salt.len());
            (salt, hash.hash.as_ref().map(|output| output.len()))
        };
        assert_eq!(lengths(&known), lengths(&nobody));
        assert!(!secrets.verify(None, "secret".to_owned()).await.unwrap());
    }
}
