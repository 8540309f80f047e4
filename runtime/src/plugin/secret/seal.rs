//! XChaCha20-Poly1305 under one key. A nonce of 24 random bytes does not repeat, however many secrets are set; the name
//! is authenticated along, so that what was sealed under one name does not open under another.

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::model::SecretKey;

/// The form of sealed bytes: this version, then the nonce, then the ciphertext with its tag.
const VERSION: u8 = 1;

const NONCE_BYTES: usize = 24;

/// What something is sealed as.
#[derive(Clone, Copy, Debug)]
pub(super) enum Label<'a> {
    /// The secret of a name.
    Secret(&'a str),
    /// Nothing: that it opens shows that the key is the right one.
    KeyCheck,
}

impl Label<'_> {
    fn text(self) -> String {
        match self {
            Self::Secret(name) => format!("goldenpath secret {name}"),
            Self::KeyCheck => "goldenpath key check".to_owned(),
        }
    }
}

/// Seals bytes. Fails only where the operating system has no randomness.
pub(super) fn seal(
    key: &SecretKey,
    label: Label<'_>,
    plain: &[u8],
) -> Result<Vec<u8>, getrandom::Error> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce)?;
    let aad = label.text();
    let payload = Payload {
        msg: plain,
        aad: aad.as_bytes(),
    };
    let ciphertext = XChaCha20Poly1305::new(key.expose().into())
        .encrypt(&XNonce::from(nonce), payload)
        // Only for more than 256 GiB.
        .map_err(|_| getrandom::Error::UNEXPECTED)?;
    Ok([&[VERSION], nonce.as_slice(), ciphertext.as_slice()].concat())
}

/// Opens what was sealed; absent where the key, the label or a single bit is another.
pub(super) fn open(key: &SecretKey, label: Label<'_>, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (version, rest) = sealed.split_first()?;
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>()?;
    if *version != VERSION {
        return None;
    }
    let aad = label.text();
    let payload = Payload {
        msg: ciphertext,
        aad: aad.as_bytes(),
    };
    XChaCha20Poly1305::new(key.expose().into())
        .decrypt(&XNonce::from(*nonce), payload)
        .ok()
        .map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_name_and_bytes_open_what_was_sealed() {
        let (key, other) = (SecretKey::new([1; 32]), SecretKey::new([2; 32]));
        let sealed = seal(&key, Label::Secret("a"), b"hunter2-hunter2").unwrap();
        let opened = open(&key, Label::Secret("a"), &sealed).unwrap();
        assert_eq!(opened.as_slice(), b"hunter2-hunter2");
        assert!(open(&other, Label::Secret("a"), &sealed).is_none());
        assert!(open(&key, Label::Secret("b"), &sealed).is_none());
        assert!(open(&key, Label::KeyCheck, &sealed).is_none());
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(
                open(&key, Label::Secret("a"), &changed).is_none(),
                "{place}"
            );
            assert!(
                open(&key, Label::Secret("a"), &sealed[..place]).is_none(),
                "{place}"
            );
        }
    }

    #[test]
    fn the_same_secret_never_looks_the_same_twice() {
        let key = SecretKey::new([1; 32]);
        let seal = || seal(&key, Label::Secret("a"), b"hunter2-hunter2").unwrap();
        assert_ne!(seal(), seal());
    }
}
