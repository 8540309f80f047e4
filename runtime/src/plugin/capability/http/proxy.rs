//! The way out through a proxy, where the operator names one. It is told the address that was checked, never the name:
//! what it would look up itself nobody has checked.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wasmtime_wasi_http::Error;

/// The longest head of a proxy's answer.
const HEAD_BYTES: usize = 8 << 10;

/// A connection to an address by way of a proxy.
pub(super) async fn tunnel(proxy: SocketAddr, to: SocketAddr) -> Result<TcpStream, Error> {
    let mut stream = TcpStream::connect(proxy).await.map_err(Error::Connect)?;
    let ask = format!("CONNECT {to} HTTP/1.1\r\nhost: {to}\r\n\r\n");
    let asked = stream.write_all(ask.as_bytes()).await;
    asked.map_err(Error::Connect)?;
    let head = head(&mut stream).await?;
    if is_success(&head) {
        Ok(stream)
    } else {
        Err(Error::DestinationUnavailable)
    }
}

/// An answer up to its empty line, and not one byte more: what follows is the destination's.
async fn head(stream: &mut TcpStream) -> Result<Vec<u8>, Error> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_BYTES {
            return Err(Error::HttpResponseHeaderSectionSize(None));
        }
        head.push(stream.read_u8().await.map_err(Error::Connect)?);
    }
    Ok(head)
}

fn is_success(head: &[u8]) -> bool {
    let status = head
        .strip_prefix(b"HTTP/1.1 ")
        .or_else(|| head.strip_prefix(b"HTTP/1.0 "));
    matches!(
        status,
        Some([b'2', b'0'..=b'9', b'0'..=b'9', b' ' | b'\r', ..])
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_success_opens_a_tunnel() {
        for head in [
            "HTTP/1.1 200 Connection established\r\n\r\n",
            "HTTP/1.0 299\r\n\r\n",
        ] {
            assert!(is_success(head.as_bytes()), "{head}");
        }
        for head in [
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 302 Found\r\n\r\n",
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "HTTP/1.1 2000 \r\n\r\n",
            "200 OK\r\n\r\n",
            "\r\n\r\n",
        ] {
            assert!(!is_success(head.as_bytes()), "{head}");
        }
    }
}
