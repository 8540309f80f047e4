//! What goes through a worker's pipes: frames of a length and so many bytes.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::JqError;

/// One result in bytes of JSON.
pub(super) const MAX_RESULT_BYTES: usize = 1024 * 1024;

/// One frame on the way to the worker.
pub(super) const MAX_REQUEST_BYTES: usize = super::MAX_BATCH_BYTES;

/// What becomes of the filters of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Purpose {
    /// Each gives its first value.
    #[default]
    Evaluate,
    /// Each is compiled and gives `null`.
    Compile,
}

/// Announces a batch; its inputs follow, a frame each.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Batch {
    /// What is asked.
    pub(super) purpose: Purpose,
    /// How many frames of input follow.
    pub(super) inputs: usize,
    /// Filter, and which input it reads.
    pub(super) expressions: Vec<(String, usize)>,
}

/// First byte of an answer: what its other bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A JSON value.
    Value = 0,
    /// The message of [`JqError::Syntax`].
    Syntax = 1,
    /// The message of [`JqError::Failed`].
    Failed = 2,
    /// The message of [`JqError::TooLarge`].
    TooLarge = 3,
}

impl Answer {
    /// Reads the answer of a worker. `None` where a worker does not answer as one.
    pub(super) fn decode(frame: &[u8]) -> Option<Result<&[u8], JqError>> {
        let (kind, rest) = frame.split_first()?;
        let message = || String::from_utf8_lossy(rest).into_owned();
        Some(match kind {
            0 => Ok(rest),
            1 => Err(JqError::Syntax(message())),
            2 => Err(JqError::Failed(message())),
            3 => Err(JqError::TooLarge(message())),
            _ => return None,
        })
    }
}

/// Writes one answer.
pub(super) fn write_answer(to: &mut impl Write, answer: Answer, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len() + 1).map_err(io::Error::other)?;
    to.write_all(&length.to_be_bytes())?;
    to.write_all(&[answer as u8])?;
    to.write_all(bytes)?;
    to.flush()
}

/// Reads one frame; `None` at the end of the stream.
pub(super) fn read(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_REQUEST_BYTES {
        return Err(io::Error::other("a frame is too long"));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}
