//! Questions and answers in the form that RFC 1035 gives them. An answer is a stranger's bytes: every step of reading
//! one is bounded.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{MOST_ADDRESSES, Unresolved};

/// Length of what every message begins with.
const HEADER_BYTES: usize = 12;

/// Bits of the header's second field.
const IS_ANSWER: u16 = 1 << 15;
const OPERATION: u16 = 0b1111 << 11;
const IS_TRUNCATED: u16 = 1 << 9;
const ASK_OTHERS: u16 = 1 << 8;
const CODE: u16 = 0b1111;

/// "There is no such name."
const NO_SUCH_NAME: u8 = 3;

const INTERNET: u16 = 1;
const ALIAS: u16 = 5;

/// Names that one name may stand for, one after the other.
const MOST_ALIASES: usize = 16;

/// A name has at most 255 bytes, and so at most this many labels; a reference to an earlier one counts as well.
const MOST_LABELS: usize = 128;

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    V4,
    V6,
}

impl Kind {
    fn number(self) -> u16 {
        match self {
            Self::V4 => 1,
            Self::V6 => 28,
        }
    }

    fn address(self, data: &[u8]) -> Option<IpAddr> {
        match self {
            Self::V4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).into()),
            Self::V6 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).into()),
        }
    }
}

/// A question, ready to be sent.
pub(super) struct Question {
    message: Vec<u8>,
    name: Vec<u8>,
    kind: Kind,
}

/// What a message is to a question.
pub(super) enum Read {
    /// It answers another one, or none.
    Another,
    /// It is the answer.
    Answer(Result<Asked, Unresolved>),
}

/// What came of asking.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// These addresses; possibly none.
    Answered(Vec<IpAddr>),
    /// The answer does not fit: to be asked for over TCP.
    Truncated,
}

impl Question {
    /// A question for a name in lower case whose labels are not empty and have at most 63 bytes each.
    pub(super) fn new(id: u16, name: &str, kind: Kind) -> Self {
        let mut wire = Vec::with_capacity(name.len() + 2);
        for label in name.split('.') {
            wire.push(u8::try_from(label.len()).unwrap_or(0));
            wire.extend_from_slice(label.as_bytes());
        }
        wire.push(0);
        let mut message = Vec::with_capacity(HEADER_BYTES + wire.len() + 4);
        for field in [id, ASK_OTHERS, 1, 0, 0, 0] {
            message.extend_from_slice(&field.to_be_bytes());
        }
        message.extend_from_slice(&wire);
        for field in [kind.number(), INTERNET] {
            message.extend_from_slice(&field.to_be_bytes());
        }
        Self {
            message,
            name: wire,
            kind,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.message
    }

    /// Reads a message as the answer to this question.
    pub(super) fn read(&self, message: &[u8]) -> Read {
        let Some(header) = self.header(message) else {
            return Read::Another;
        };
        Read::Answer(match (header.code, header.truncated) {
            (NO_SUCH_NAME, _) => Err(Unresolved::Unknown),
            (0, true) => Ok(Asked::Truncated),
            (0, false) => self
                .addresses(message, header.answers)
                .map(Asked::Answered)
                .ok_or(Unresolved::Broken),
            (code, _) => Err(Unresolved::Refused(code)),
        })
    }

    /// The header of a message that repeats this question.
    fn header(&self, message: &[u8]) -> Option<Header> {
        let mut reader = Reader { message, at: 0 };
        let (id, flags) = (reader.number()?, reader.number()?);
        let (questions, answers) = (reader.number()?, reader.number()?);
        reader.at = HEADER_BYTES;
        let asked = self.message.get(HEADER_BYTES..)?;
        let repeats = self.message.starts_with(&id.to_be_bytes())
            && flags & IS_ANSWER != 0
            && flags & OPERATION == 0
            && questions == 1
            && reader.take(asked.len())?.eq_ignore_ascii_case(asked);
        repeats.then_some(Header {
            code: u8::try_from(flags & CODE).unwrap_or(u8::MAX),
            truncated: flags & IS_TRUNCATED != 0,
            answers,
        })
    }

    /// The addresses of the name that was asked for, and of those that it stands for.
    fn addresses(&self, message: &[u8], answers: u16) -> Option<Vec<IpAddr>> {
        let mut reader = Reader {
            message,
            at: self.message.len(),
        };
        let (mut aliases, mut found) = (Vec::new(), Vec::new());
        for _ in 0..answers {
            let owner = reader.name()?;
            let (kind, class) = (reader.number()?, reader.number()?);
            // How long it may be kept.
            reader.take(4)?;
            let length = usize::from(reader.number()?);
            let start = reader.at;
            let data = reader.take(length)?;
            if class != INTERNET {
                continue;
            }
            if kind == ALIAS {
                let mut inner = Reader { message, at: start };
                aliases.push((owner, inner.name()?));
            } else if kind == self.kind.number() {
                found.push((owner, self.kind.address(data)?));
            }
            if aliases.len() > MOST_ALIASES || found.len() > MOST_ADDRESSES {
                return None;
            }
        }
        // Each alias leads on once: they may come in any order, and in a circle.
        let mut names = vec![self.name.clone()];
        while let Some(next) = names.last().and_then(|last| {
            let found = aliases.iter().position(|(owner, _)| owner == last)?;
            Some(aliases.swap_remove(found).1)
        }) {
            names.push(next);
        }
        let own = found
            .into_iter()
            .filter(|(owner, _)| names.contains(owner))
            .map(|(_, address)| address);
        Some(own.collect())
    }
}

struct Header {
    code: u8,
    truncated: bool,
    answers: u16,
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.message.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// A name in lower case, written out. What follows it is read next, not what follows a name that it refers to.
    fn name(&mut self) -> Option<Vec<u8>> {
        let mut name = Vec::new();
        let mut after = None;
        for _ in 0..MOST_LABELS {
            let length = *self.take(1)?.first()?;
            match length {
                0 => {
                    name.push(0);
                    self.at = after.unwrap_or(self.at);
                    return (name.len() <= 255).then_some(name);
                }
                1..64 => {
                    name.push(length);
                    name.extend(self.take(length.into())?.to_ascii_lowercase());
                }
                192.. => {
                    let low = *self.take(1)?.first()?;
                    after = after.or(Some(self.at));
                    self.at = usize::from(u16::from_be_bytes([length & 63, low]));
                }
                _ => return None,
            }
        }
        None
    }
}
