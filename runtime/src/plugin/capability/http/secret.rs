//! Secrets that the host puts into a header of a request, on its way out of the house.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use wasmtime_wasi_http::DEFAULT_FORBIDDEN_HEADERS;
use zeroize::Zeroizing;

use super::OVERRIDES;
use crate::model::SecretName;
use crate::plugin::secret::{SecretError, Secrets};

/// The longest secret that a header takes. Each of its forms fits into one line of a log, where it is searched for.
const LONGEST: usize = 2 << 10;

/// The longest text around a secret.
const FORMAT_BYTES: usize = 200;

/// Where a secret stands in a format.
const PLACE: &str = "{}";

/// How a secret is attached, as the manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attachment {
    /// The header, in lower case.
    pub(crate) header: HeaderName,
    /// The header's value, with `{}` for the secret.
    pub(crate) format: String,
}

/// A secret of the manifest that a reviewer bound to a stored one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BoundSecret {
    /// Its name in the manifest.
    pub(crate) name: String,
    /// Its name in the store.
    pub(crate) stored: SecretName,
    /// Where it goes.
    pub(crate) attachment: Attachment,
}

/// A header to attach, and what must not be said any more.
pub(super) struct Opened {
    pub(super) header: (HeaderName, HeaderValue),
    pub(super) secret: Zeroizing<String>,
}

/// What was missing, and the sentence about it.
pub(super) struct Unattached {
    pub(super) missing: String,
    pub(super) message: String,
}

impl Attachment {
    /// Reads what the manifest says.
    pub(crate) fn parse(header: &str, format: &str) -> Result<Self, String> {
        let name = HeaderName::from_lowercase(header.as_bytes())
            .map_err(|_| "write the name of a header, in lower case".to_owned())?;
        if is_framing(&name) {
            return Err(format!(
                "`{name}` is the host's own; a secret cannot stand in it"
            ));
        }
        let printable = format.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        if !printable || format.len() > FORMAT_BYTES || format.matches(PLACE).count() != 1 {
            return Err(format!(
                "write at most {FORMAT_BYTES} printable ASCII characters with one `{PLACE}` for the secret"
            ));
        }
        Ok(Self {
            header: name,
            format: format.to_owned(),
        })
    }
}

/// Whether a header says where a request goes or where it ends.
fn is_framing(name: &HeaderName) -> bool {
    DEFAULT_FORBIDDEN_HEADERS.contains(name)
        || OVERRIDES.contains(&name.as_str())
        || *name == hyper::header::CONTENT_LENGTH
}

impl BoundSecret {
    /// Opens the secret for one request with these headers.
    pub(super) async fn open(
        &self,
        given: &HeaderMap,
        secrets: Option<&Secrets>,
    ) -> Result<Opened, Unattached> {
        let Self {
            name,
            stored,
            attachment,
        } = self;
        let header = &attachment.header;
        if given.contains_key(header) {
            return Err(Unattached {
                missing: format!("header {header} beside secret {name}"),
                message: format!(
                    "a request was refused: it sets `{header}`, which the host sets from secret `{name}`; leave it out"
                ),
            });
        }
        let unusable = |message: String| Unattached {
            missing: format!("secret {name}, stored as {stored}"),
            message: format!("a request was refused: {message}"),
        };
        let unset = || {
            unusable(format!(
                "secret `{name}` is not set; ask an administrator to set it"
            ))
        };
        let value = match secrets {
            None => return Err(unset()),
            Some(secrets) => secrets.reveal(stored).await.map_err(|error| match error {
                SecretError::NotFound(_) => unset(),
                error => {
                    tracing::error!(%error, secret = %stored, "a secret could not be opened");
                    unusable(format!(
                        "secret `{name}` cannot be opened; ask an administrator to set it again"
                    ))
                }
            })?,
        };
        let text = value.expose();
        let whole = Zeroizing::new(attachment.format.replacen(PLACE, text, 1));
        let header_value = HeaderValue::from_str(&whole).ok();
        let Some(mut value) = header_value.filter(|_| text.len() <= LONGEST) else {
            return Err(unusable(format!(
                "secret `{name}` cannot stand in a header: it has more than {LONGEST} bytes, or others than printable ASCII"
            )));
        };
        value.set_sensitive(true);
        Ok(Opened {
            header: (header.clone(), value),
            secret: Zeroizing::new(text.to_owned()),
        })
    }
}
