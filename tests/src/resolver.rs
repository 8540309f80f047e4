//! A DNS server on loopback, over UDP and TCP, that says what the test wants, also what no honest server would say.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A question as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The name, without a dot at its end.
    pub name: String,
    /// Whether the newer kind of addresses is asked for.
    pub v6: bool,
    /// Whether it came over TCP.
    pub tcp: bool,
    /// How often the same was asked before, the same way.
    pub before: usize,
}

/// What to say.
#[derive(Clone, Debug)]
pub enum Said {
    /// These addresses, those of the kind that was asked for, to be kept for no time at all.
    Addresses(Vec<IpAddr>),
    /// That the name stands for another one, which has these.
    Alias(&'static str, Vec<IpAddr>),
    /// Over UDP that it does not fit; over TCP these.
    Cut(Vec<IpAddr>),
    /// The answer to another question first, with these addresses, then that to the one that was asked.
    Forged(Vec<IpAddr>, Vec<IpAddr>),
    /// A refusal with this code.
    Code(u8),
    /// Bytes that are no answer, behind a header that says that they are.
    Garbage,
    /// Nothing.
    Silence,
}

/// A running server; it stops when this is dropped.
#[derive(Debug)]
pub struct Resolver {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    stopped: Arc<AtomicBool>,
}

type Answer = dyn Fn(&Asked) -> Said + Send + Sync;

impl Resolver {
    /// Starts on a free port of loopback.
    pub fn start(answer: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Self {
        let (udp, tcp) = sockets();
        let address = udp.local_addr().expect("its address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let answer: Arc<Answer> = Arc::new(answer);
        let (kept, stop, said) = (
            Arc::clone(&asked),
            Arc::clone(&stopped),
            Arc::clone(&answer),
        );
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = udp.recv_from(&mut buffer) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                for message in replies(&buffer[..length], false, &kept, &*said) {
                    let _ = udp.send_to(&message, from);
                }
            }
        });
        let (kept, stop) = (Arc::clone(&asked), Arc::clone(&stopped));
        std::thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                // A client that breaks off is what some tests are about.
                let _ = serve(stream, &kept, &*answer);
            }
        });
        Self {
            address,
            asked,
            stopped,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked about a name so far.
    pub fn asked(&self, name: &str) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let about = asked.iter().filter(|asked| asked.name == name);
        about.cloned().collect()
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the threads.
        let _ = TcpStream::connect(self.address);
        let waker = UdpSocket::bind("127.0.0.1:0");
        let _ = waker.and_then(|socket| socket.send_to(&[0], self.address));
    }
}

/// The same port for both ways.
fn sockets() -> (UdpSocket, TcpListener) {
    (0..64)
        .find_map(|_| {
            let udp = UdpSocket::bind("127.0.0.1:0").ok()?;
            let tcp = TcpListener::bind(udp.local_addr().ok()?).ok()?;
            Some((udp, tcp))
        })
        .expect("a port that is free both ways")
}

fn serve(mut stream: TcpStream, kept: &Mutex<Vec<Asked>>, answer: &Answer) -> std::io::Result<()> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut question)?;
    for message in replies(&question, true, kept, answer) {
        let length = u16::try_from(message.len()).map_err(std::io::Error::other)?;
        stream.write_all(&length.to_be_bytes())?;
        stream.write_all(&message)?;
    }
    Ok(())
}

/// The messages that answer a question, in order.
fn replies(question: &[u8], tcp: bool, kept: &Mutex<Vec<Asked>>, answer: &Answer) -> Vec<Vec<u8>> {
    let Some((name, v6)) = read(question) else {
        return Vec::new();
    };
    let asked = {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |other: &&Asked| other.name == name && other.v6 == v6 && other.tcp == tcp;
        let before = kept.iter().filter(same).count();
        let asked = Asked {
            name,
            v6,
            tcp,
            before,
        };
        kept.push(asked.clone());
        asked
    };
    let plain = |addresses: &[IpAddr]| reply(question, 0, None, addresses, v6);
    match answer(&asked) {
        Said::Addresses(addresses) => vec![plain(&addresses)],
        Said::Alias(name, addresses) => vec![reply(question, 0, Some(name), &addresses, v6)],
        Said::Cut(_) if !tcp => vec![reply(question, TRUNCATED, None, &[], v6)],
        Said::Cut(addresses) => vec![plain(&addresses)],
        Said::Forged(others, own) => {
            let mut forged = plain(&others);
            forged[0] ^= 0xff;
            vec![forged, plain(&own)]
        }
        Said::Code(code) => vec![reply(question, code.into(), None, &[], v6)],
        Said::Garbage => {
            let mut message = plain(&[]);
            // As many records as can be said, and a name that refers to itself.
            message[6..8].fill(0xff);
            let at = u8::try_from(message.len()).unwrap_or(0);
            message.extend([0xc0, at]);
            vec![message]
        }
        Said::Silence => Vec::new(),
    }
}

const TRUNCATED: u16 = 1 << 9;

/// Name and kind of a question.
fn read(message: &[u8]) -> Option<(String, bool)> {
    let mut labels = Vec::new();
    let mut rest = message.get(12..)?;
    loop {
        let (length, after) = rest.split_first()?;
        let (label, after) = after.split_at_checked((*length).into())?;
        rest = after;
        if label.is_empty() {
            break;
        }
        labels.push(String::from_utf8_lossy(label).into_owned());
    }
    Some((labels.join("."), rest.get(..2)? == [0, 28]))
}

fn reply(
    question: &[u8],
    flags: u16,
    alias: Option<&str>,
    addresses: &[IpAddr],
    v6: bool,
) -> Vec<u8> {
    let mut message = question.to_vec();
    message[2..4].copy_from_slice(&(0x8180 | flags).to_be_bytes());
    // The name that was asked for stands at byte 12.
    let mut owner = vec![0xc0, 12];
    let mut records = Vec::new();
    if let Some(name) = alias {
        let mut other = Vec::new();
        for label in name.split('.') {
            other.push(u8::try_from(label.len()).unwrap_or(0));
            other.extend_from_slice(label.as_bytes());
        }
        other.push(0);
        records.push((owner, 5_u16, other.clone()));
        owner = other;
    }
    for address in addresses {
        match address {
            IpAddr::V4(address) if !v6 => {
                records.push((owner.clone(), 1, address.octets().to_vec()));
            }
            IpAddr::V6(address) if v6 => {
                records.push((owner.clone(), 28, address.octets().to_vec()));
            }
            _ => {}
        }
    }
    let count = u16::try_from(records.len()).unwrap_or(u16::MAX);
    message[6..8].copy_from_slice(&count.to_be_bytes());
    for (owner, kind, data) in records {
        message.extend(owner);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1, 0, 0, 0, 0]);
        message.extend(u16::try_from(data.len()).unwrap_or(0).to_be_bytes());
        message.extend(data);
    }
    message
}
