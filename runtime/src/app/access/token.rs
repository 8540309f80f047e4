//! Signed tokens: who, until when, and by which secret.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::{AccessError, AccessToken, hs256};
use crate::model::{PrincipalKind, Role, Timestamp};
use crate::store::Credential;

/// How long a token is good for.
const LIFETIME_SECONDS: u64 = 3 * 60 * 60;

/// Longest token that is looked at; ours have some 400 bytes.
const LONGEST_TOKEN: usize = 4096;

pub(super) struct Tokens {
    signing: EncodingKey,
    verifying: DecodingKey,
    rules: Validation,
}

/// What a token says. Name, role and `isMachine` are for clients to read; the portal looks them up.
#[derive(Serialize, Deserialize)]
pub(super) struct Claims {
    /// The client id.
    pub(super) sub: String,
    /// Which secret it was given for.
    pub(super) key: String,
    iat: u64,
    exp: u64,
    #[serde(rename = "isMachine")]
    is_machine: bool,
    name: String,
    role: Role,
}

impl Tokens {
    pub(super) fn new(key: &[u8]) -> Self {
        hs256::install();
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_required_spec_claims(&["exp", "sub"]);
        // Both clocks are this machine's.
        rules.leeway = 0;
        Self {
            signing: EncodingKey::from_secret(key),
            verifying: DecodingKey::from_secret(key),
            rules,
        }
    }

    pub(super) fn sign(&self, credential: &Credential) -> Result<AccessToken, AccessError> {
        let now = Timestamp::now().0.unsigned_abs() / 1000;
        let principal = &credential.principal;
        let claims = Claims {
            sub: principal.client_id.clone(),
            key: credential.secret_id.clone(),
            iat: now,
            exp: now + LIFETIME_SECONDS,
            is_machine: principal.kind == PrincipalKind::App,
            name: principal.name.clone(),
            role: principal.role,
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing)
            .map_err(|error| AccessError::Crypto(error.into()))?;
        Ok(AccessToken {
            token,
            expires_in_seconds: LIFETIME_SECONDS,
        })
    }

    pub(super) fn verify(&self, token: &str) -> Result<Claims, AccessError> {
        if token.len() > LONGEST_TOKEN {
            return Err(AccessError::Unauthorized);
        }
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.verifying, &self.rules);
        decoded
            .map(|decoded| decoded.claims)
            .map_err(|_| AccessError::Unauthorized)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn token_that_is_outdated_unsigned_or_of_another_key_is_refused() {
        let key = b"0123456789abcdef0123456789abcdef";
        let tokens = Tokens::new(key);
        let now = Timestamp::now().0.unsigned_abs() / 1000;
        let token = |exp: u64, key: &[u8]| {
            let claims = json!({
                "sub": "gp_x", "key": "k", "iat": 0, "exp": exp, "isMachine": true, "name": "x", "role": "admin",
            });
            let signing = EncodingKey::from_secret(key);
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &signing).unwrap()
        };
        // The same claims under another header, signed with the right key.
        let under = |header: &[u8]| {
            let signed = token(now + 60, key);
            let claims = signed.split('.').nth(1).unwrap();
            let signed = format!("{}.{claims}", data_encoding::BASE64URL_NOPAD.encode(header));
            let signing = EncodingKey::from_secret(key);
            let signature =
                jsonwebtoken::crypto::sign(signed.as_bytes(), &signing, Algorithm::HS256).unwrap();
            format!("{signed}.{signature}")
        };
        assert_eq!(tokens.verify(&token(now + 60, key)).unwrap().sub, "gp_x");
        let own = br#"{"alg":"HS256","typ":"JWT"}"#;
        assert_eq!(tokens.verify(&under(own)).unwrap().sub, "gp_x");
        let none = under(br#"{"alg":"none","typ":"JWT"}"#);
        let unsigned = format!("{}.", none.rsplit_once('.').unwrap().0);
        for bad in [
            token(now - 1, key),
            token(now + 60, b"another"),
            under(br#"{"alg":"HS512","typ":"JWT"}"#),
            under(br#"{"alg":"RS256","typ":"JWT"}"#),
            none,
            unsigned,
            "x".repeat(LONGEST_TOKEN + 1),
        ] {
            assert!(
                matches!(tokens.verify(&bad), Err(AccessError::Unauthorized)),
                "{bad}"
            );
        }
    }
}
