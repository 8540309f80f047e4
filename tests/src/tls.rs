//! A web server on loopback that speaks TLS, with whatever certificate the test wants it to show.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\narrived";

/// A running server; it stops when this is dropped.
#[derive(Debug)]
pub struct TlsServer {
    address: SocketAddr,
    tried: Arc<AtomicUsize>,
    received: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
}

impl TlsServer {
    /// Starts on a free port of loopback, with a chain and its key from PEM files.
    pub fn start(chain: &Path, key: &Path) -> Self {
        let settings = Arc::new(settings(chain, key));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let server = Self {
            address,
            tried: Arc::default(),
            received: Arc::default(),
            stopped: Arc::default(),
        };
        let (tried, received, stopped) = (
            Arc::clone(&server.tried),
            Arc::clone(&server.received),
            Arc::clone(&server.stopped),
        );
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                tried.fetch_add(1, Ordering::Relaxed);
                // A client that does not believe it is what some tests are about.
                if serve(stream, Arc::clone(&settings)).is_ok() {
                    received.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        server
    }

    /// Its URL by name, without a path.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// How many connections it had.
    pub fn tried(&self) -> usize {
        self.tried.load(Ordering::Relaxed)
    }

    /// How many requests it answered.
    pub fn received(&self) -> usize {
        self.received.load(Ordering::Relaxed)
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn settings(chain: &Path, key: &Path) -> ServerConfig {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(chain)
        .expect("the chain can be read")
        .collect();
    let key = PrivateKeyDer::from_pem_file(key).expect("the key can be read");
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the usual versions")
        .with_no_client_auth()
        .with_single_cert(chain.expect("a chain"), key)
        .expect("a chain and its key")
}

fn serve(stream: TcpStream, settings: Arc<ServerConfig>) -> std::io::Result<()> {
    let connection = ServerConnection::new(settings).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    stream.write_all(ANSWER)?;
    stream.conn.send_close_notify();
    stream.flush()
}
