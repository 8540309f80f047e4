//! Signatures in a package, and what they are of.
//!
//! A signature is a custom section of the component, `goldenpath:signature`: the byte 1, the 32 bytes of an Ed25519
//! public key, and the 64 bytes of its signature. Such sections are the last ones of a file. What is signed is a context
//! string and the digest, in its written form, of all bytes before the first of them, so that signatures can be added without making the
//! others worthless. The digest by which a version is known stays that of the whole file.

use std::borrow::Cow;
use std::fmt;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use wasm_encoder::{ComponentSection as _, CustomSection};
use wasmparser::BinaryReader;

use super::error::InstallError;
use super::package::unusable;
use crate::model::Digest;

const SECTION: &str = "goldenpath:signature";

/// What is signed begins with this, so that a signature for anything else is none for a package.
const CONTEXT: &[u8] = b"goldenpath plugin signature v1\n";

/// The form of a section; another one would be of a later version.
const FORM: u8 = 1;

/// Nobody asks for more signers, and each costs a check.
const MAX_SIGNATURES: usize = 16;

/// Magic bytes and version of a component.
const PREAMBLE: usize = 8;

/// What stands before the 32 bytes of a private key in its usual form, PKCS #8.
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A key that signatures are checked with. Written in base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Reads the written form.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = data_encoding::BASE64.decode(text.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// The short name of the key: the digest of its bytes.
    pub fn id(&self) -> Digest {
        Digest::of(&self.0)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::BASE64.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A key that signs. Never shown.
pub struct SigningKey(Ed25519KeyPair);

/// Why a text is no key that signs; what is in it is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no Ed25519 private key in PEM, as `goldenpath plugin keygen` makes them")]
pub struct KeyError;

impl SigningKey {
    /// A new key, with its text.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn generate() -> Result<(Self, String), getrandom::Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        let document = [&PKCS8[..], &seed].concat();
        let body = data_encoding::BASE64.encode(&document);
        let text = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        // What was just put together in its own form is read.
        let key = Self::parse(&text).map_err(|_| getrandom::Error::UNEXPECTED)?;
        Ok((key, text))
    }

    /// Reads the text of a key.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let body = text
            .trim()
            .strip_prefix("-----BEGIN PRIVATE KEY-----")
            .and_then(|rest| rest.strip_suffix("-----END PRIVATE KEY-----"));
        let body: String = body.ok_or(KeyError)?.split_whitespace().collect();
        let document = data_encoding::BASE64.decode(body.as_bytes());
        let document = document.map_err(|_| KeyError)?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&document);
        Ok(Self(pair.map_err(|_| KeyError)?))
    }

    /// The key that others check with.
    pub fn public(&self) -> PublicKey {
        let bytes = self.0.public_key().as_ref();
        // Ed25519 has keys of one length.
        PublicKey(bytes.try_into().unwrap_or_default())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public())
    }
}

/// One signature of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    /// Who claims to have signed.
    pub(crate) key: PublicKey,
    /// Whether the signature is by that key and of these bytes.
    pub(crate) is_valid: bool,
}

/// What was signed, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    /// Hash of the file up to its signatures; that of the whole file where it has none.
    pub(crate) digest: Digest,
    /// In the order of the file.
    pub(crate) signatures: Vec<Signature>,
}

impl Signed {
    /// Reads and checks the signatures of a component file, whoever's they are.
    pub(super) fn read(package: &[u8]) -> Result<Self, InstallError> {
        let (content, sections) = split(package)?;
        let digest = Digest::of(content);
        let message = message(digest);
        let signatures = sections.into_iter().map(|data| {
            let parts = data
                .split_first()
                .filter(|(form, _)| **form == FORM)
                .and_then(|(_, rest)| rest.split_first_chunk::<32>())
                .filter(|(_, signature)| signature.len() == 64);
            let (key, signature) = parts.ok_or_else(|| {
                unusable(format!(
                    "section `{SECTION}` has a form that this host does not know"
                ))
            })?;
            let checked = UnparsedPublicKey::new(&ED25519, key).verify(&message, signature);
            Ok(Signature {
                key: PublicKey(*key),
                is_valid: checked.is_ok(),
            })
        });
        Ok(Self {
            digest,
            signatures: signatures.collect::<Result<_, InstallError>>()?,
        })
    }
}

/// Adds a signature to a package.
pub(super) fn sign(package: &[u8], key: &SigningKey) -> Result<Vec<u8>, InstallError> {
    let signed = Signed::read(package)?;
    let public = key.public();
    if signed.signatures.iter().any(|of| of.key == public) {
        return Err(unusable(format!(
            "the package has a signature of key {} already",
            public.id()
        )));
    }
    let signature = key.0.sign(&message(signed.digest));
    let data = [&[FORM], &public.0[..], signature.as_ref()].concat();
    let mut package = package.to_vec();
    CustomSection {
        name: Cow::Borrowed(SECTION),
        data: Cow::Borrowed(&data),
    }
    .append_to_component(&mut package);
    // One more than is read must not be written either.
    Signed::read(&package)?;
    Ok(package)
}

fn message(digest: Digest) -> Vec<u8> {
    [CONTEXT, digest.to_string().as_bytes()].concat()
}

/// What is signed, and the data of the signatures after it.
fn split(package: &[u8]) -> Result<(&[u8], Vec<&[u8]>), InstallError> {
    let broken = |e: wasmparser::BinaryReaderError| {
        unusable(format!(
            "the component is damaged or cut off at byte {}: {}",
            e.offset(),
            e.message()
        ))
    };
    let mut reader = BinaryReader::new(package, 0);
    reader.read_bytes(PREAMBLE).map_err(broken)?;
    let (mut signatures, mut end) = (Vec::new(), None);
    while !reader.eof() {
        let start = package.len().saturating_sub(reader.bytes_remaining());
        let id = reader.read_u8().map_err(broken)?;
        let body = reader.read_reader().map_err(broken)?;
        match data(id, body) {
            Some(_) if signatures.len() == MAX_SIGNATURES => {
                return Err(unusable(format!(
                    "the package has more than {MAX_SIGNATURES} signatures"
                )));
            }
            Some(data) => {
                signatures.push(data);
                end.get_or_insert(start);
            }
            // It would be of no effect on the signatures, and could be on everything else.
            None if end.is_some() => {
                return Err(unusable(
                    "the component goes on after its signatures; they are its last sections",
                ));
            }
            None => {}
        }
    }
    let content = package.get(..end.unwrap_or(package.len()));
    Ok((content.unwrap_or_default(), signatures))
}

/// What a section holds, where it is a signature.
fn data<'a>(id: u8, mut body: BinaryReader<'a>) -> Option<&'a [u8]> {
    if id != 0 || body.read_string().ok()? != SECTION {
        return None;
    }
    let rest = body.bytes_remaining();
    body.read_bytes(rest).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::package::Package;
    use crate::plugin::package::tests::{TOML, build, plugin};

    fn key() -> SigningKey {
        SigningKey::generate().unwrap().0
    }

    fn package() -> Vec<u8> {
        build(&plugin(&[]), TOML).unwrap()
    }

    fn validity(package: &[u8]) -> Vec<bool> {
        let signed = Signed::read(package).unwrap();
        signed.signatures.iter().map(|of| of.is_valid).collect()
    }

    #[test]
    fn each_signature_is_of_the_package_without_any() {
        let (alice, bob) = (key(), key());
        let plain = package();
        let one = sign(&plain, &alice).unwrap();
        let two = sign(&one, &bob).unwrap();
        let signed = Signed::read(&two).unwrap();
        assert_eq!(signed.digest, Digest::of(&plain));
        let keys: Vec<_> = signed.signatures.iter().map(|of| of.key).collect();
        assert_eq!(keys, [alice.public(), bob.public()]);
        assert_eq!(validity(&two), [true, true]);
        // The version is known by the whole file; nothing else of it changes.
        let (read, before) = (Package::read(&two).unwrap(), Package::read(&plain).unwrap());
        assert_eq!(read.digest, Digest::of(&two));
        assert_eq!(read.manifest_hash, before.manifest_hash);
        let again = sign(&two, &alice).unwrap_err().to_string();
        assert!(again.contains("already"), "{again}");
    }

    #[test]
    fn signature_of_other_bytes_or_of_another_key_is_not_valid() {
        let alice = key();
        let signed = sign(&package(), &alice).unwrap();
        let other = build(&plugin(&[]), &TOML.replace("1.0.0", "1.0.1")).unwrap();
        let section = &signed[package().len()..];
        let moved = [&other[..], section].concat();
        assert_eq!(validity(&moved), [false]);
        let mut forged = signed.clone();
        let at = forged.len() - 64 - 32;
        forged[at..at + 32].copy_from_slice(&key().public().0);
        assert_eq!(validity(&forged), [false]);
    }

    #[test]
    fn signatures_in_an_odd_form_or_place_are_refused() {
        let signed = sign(&package(), &key()).unwrap();
        let section = signed[package().len()..].to_vec();
        let mut other_form = signed.clone();
        other_form[signed.len() - 97] = 2;
        let followed = [&signed[..], &[0, 2, 1, b'x'][..]].concat();
        let many = [&package()[..], &section.repeat(MAX_SIGNATURES + 1)].concat();
        for (bytes, part) in [
            (&other_form[..], "does not know"),
            (&followed, "last sections"),
            (&many, "more than 16"),
            (&signed[..signed.len() - 1], "cut off"),
        ] {
            let refused = Package::read(bytes).unwrap_err().to_string();
            assert!(refused.contains(part), "`{part}`: {refused}");
        }
    }

    #[test]
    fn key_is_read_back_from_its_text_and_shows_only_its_public_half() {
        let (key, text) = SigningKey::generate().unwrap();
        assert_eq!(SigningKey::parse(&text).unwrap().public(), key.public());
        let public = key.public().to_string();
        assert_eq!(PublicKey::parse(&public), Some(key.public()));
        assert_eq!(format!("{key:?}"), format!("SigningKey({public})"));
        for odd in [
            "",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
            &public,
        ] {
            assert!(SigningKey::parse(odd).is_err(), "{odd}");
        }
        assert!(PublicKey::parse("AAAA").is_none());
    }

    #[test]
    fn key_of_another_tool_is_read() {
        // RFC 8032, section 7.1, test 1, as the usual tools write it.
        let text = "-----BEGIN PRIVATE KEY-----\n\
            MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
            -----END PRIVATE KEY-----\n";
        let key = SigningKey::parse(text).unwrap();
        assert_eq!(
            data_encoding::HEXLOWER.encode(&key.public().0),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
    }
}
