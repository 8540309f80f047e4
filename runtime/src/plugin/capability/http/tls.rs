//! Whose servers are believed to be who they say: what this machine trusts, and the operator's own authorities.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use wasmtime_wasi_http::Error;

use super::url::Host;

/// Makes connections secret, and sure of who is at their other end.
#[derive(Default)]
pub(super) struct Tls {
    authorities: Vec<CertificateDer<'static>>,
    settings: OnceCell<Arc<rustls::ClientConfig>>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// A connection, encrypted or not.
pub(super) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

pub(super) type Stream = Box<dyn Connection>;

impl Tls {
    /// Trusts these authorities as well, from the text of a PEM file.
    pub(super) fn trusting(pem: Option<&[u8]>) -> Result<Self, String> {
        let Some(pem) = pem else {
            return Ok(Self::default());
        };
        let mut roots = RootCertStore::empty();
        let mut authorities = Vec::new();
        for (index, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
            let certificate = certificate.map_err(|error| error.to_string())?;
            // Else a certificate that nothing can be made of would be missed at the first request only.
            roots
                .add(certificate.clone())
                .map_err(|error| format!("certificate {}: {error}", index + 1))?;
            authorities.push(certificate);
        }
        if authorities.is_empty() {
            return Err("there is no certificate in it".to_owned());
        }
        Ok(Self {
            authorities,
            ..Self::default()
        })
    }

    /// Speaks TLS over a connection to a host that has to prove its name.
    pub(super) async fn secure(&self, host: &Host, stream: TcpStream) -> Result<Stream, Error> {
        let name = host.server_name().ok_or(Error::HttpRequestUriInvalid)?;
        let settings = self
            .settings
            .get_or_try_init(|| load(self.authorities.clone()))
            .await?;
        let stream = TlsConnector::from(Arc::clone(settings))
            .connect(name, stream)
            .await
            .map_err(Error::Tls)?;
        Ok(Box::new(stream))
    }
}

/// Trusts what this machine trusts, so that a company's own authorities work, and those given.
async fn load(
    authorities: Vec<CertificateDer<'static>>,
) -> Result<Arc<rustls::ClientConfig>, Error> {
    let load = || {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        roots.add_parsable_certificates(authorities);
        if roots.is_empty() {
            tracing::error!(errors = ?found.errors, "this machine has no trusted certificates: plugins cannot use https");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions();
        versions
            .map(|builder| Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
    };
    match tokio::task::spawn_blocking(load).await {
        Ok(Ok(settings)) => Ok(settings),
        _ => Err(Error::ConfigurationError),
    }
}
