//! The forms in which programs write the bytes of a secret.

use std::sync::Arc;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use zeroize::Zeroizing;

/// A part of a secret that ends or begins a text, and is at least this long, is hidden too: a long line is cut into
/// several, and so can a guest cut it.
pub(super) const EDGE: usize = 4;

/// The shortest line of a secret that is hidden by itself; a shorter one is found in any log.
pub(super) const LINE: usize = 8;

/// One way in which a secret, or a line of one, can stand in a text.
pub(super) struct Form {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// The secret's name.
    pub(super) name: Arc<str>,
}

/// The forms that programs write bytes in.
pub(super) fn forms(secret: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut forms = vec![secret.to_vec()];
    forms.push(HEXLOWER.encode(secret).into_bytes());
    forms.push(HEXUPPER.encode(secret).into_bytes());
    // What stands before it decides how its bits fall into the digits: three ways. The digits at either end, which
    // others have a part in, are left out, so that it is found whatever stands around it.
    for before in 0..3 {
        let padded = Zeroizing::new([vec![0; before], secret.to_vec()].concat());
        for base64 in [&BASE64_NOPAD, &BASE64URL_NOPAD] {
            let digits = Zeroizing::new(base64.encode(&padded).into_bytes());
            let (first, end) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
            forms.push(digits.get(first..end).unwrap_or_default().to_vec());
        }
    }
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let marks = |byte: u8| unreserved(byte) || b"!*'()".contains(&byte);
    for upper in [true, false] {
        forms.push(percent(secret, upper, false, unreserved));
        forms.push(percent(secret, upper, true, unreserved));
        forms.push(percent(secret, upper, false, marks));
        forms.push(percent(secret, upper, false, |_| false));
    }
    // As a string of JSON.
    let json = serde_json::Value::String(String::from_utf8_lossy(secret).into_owned()).to_string();
    forms.push(json.trim_matches('"').as_bytes().to_vec());
    forms.into_iter().map(Zeroizing::new).collect()
}

/// URL-encoded, but for the bytes that stay; as forms do it, a space is a plus.
fn percent(secret: &[u8], upper: bool, plus: bool, stays: impl Fn(u8) -> bool) -> Vec<u8> {
    let hex = if upper { &HEXUPPER } else { &HEXLOWER };
    let mut encoded = Vec::with_capacity(secret.len() * 3);
    for &byte in secret {
        match byte {
            b' ' if plus => encoded.push(b'+'),
            byte if stays(byte) => encoded.push(byte),
            byte => {
                encoded.push(b'%');
                encoded.extend_from_slice(hex.encode(&[byte]).as_bytes());
            }
        }
    }
    encoded
}
