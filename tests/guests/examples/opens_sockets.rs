//! Goes round the contract to the network.

use std::io::Write as _;
use std::net::TcpStream;

use goldenpath_sdk::prelude::*;

/// Nothing to say.
#[input]
pub struct Nothing {}

/// Nothing to answer.
#[output]
pub struct Done {}

/// Connects to somebody.
#[action]
pub fn opens_sockets(_: Nothing) -> Result<Done, Failure> {
    TcpStream::connect("127.0.0.1:9")?.write_all(b"secret")?;
    Ok(Done {})
}

goldenpath_sdk::plugin!(opens_sockets);
