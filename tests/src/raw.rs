//! A server on loopback that speaks to each connection as the test wants, in whatever bytes.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A running server; it stops when this is dropped.
#[derive(Debug)]
pub struct RawServer {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
}

impl RawServer {
    /// Starts on a free port of loopback. What is to be said is said after the head of a request; an error, such as that
    /// the client has had enough, ends the connection.
    pub fn start(
        speak: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let server = Self {
            address: listener.local_addr().expect("its address"),
            asked: Arc::default(),
            stopped: Arc::default(),
        };
        let (asked, stopped) = (Arc::clone(&server.asked), Arc::clone(&server.stopped));
        let speak = Arc::new(speak);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (asked, speak) = (Arc::clone(&asked), Arc::clone(&speak));
                std::thread::spawn(move || {
                    if read_head(&mut stream).is_ok() {
                        asked.fetch_add(1, Ordering::Relaxed);
                        let _ = speak(&mut stream);
                    }
                });
            }
        });
        server
    }

    /// Its URL, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many requests it has had.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn read_head(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(())
}
