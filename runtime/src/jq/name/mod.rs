//! Another name for a key of what a filter reads, put into the filter's text.
//!
//! The filter is read as jq reads it and followed as far as it is known what it works on; only what surely is the key
//! gets the new name. A filter that may name the key in any other way is refused instead. A name that is put together
//! while the filter runs is beyond this.

mod edit;
mod shape;
#[cfg(test)]
mod tests;
mod walk;

use std::num::NonZeroUsize;

use jaq_core::load::lex::Lexer;
use jaq_core::load::parse::Parser;
use tokio::sync::oneshot;

pub use shape::Shape;

use walk::Walk;

/// Stack for each byte of a filter: hostile text nests once per byte, and a level takes some kilobytes where nothing is
/// optimized.
const STACK_PER_BYTE: usize = 16 * 1024;

/// Stack for what does not nest.
const STACK: usize = 2 * 1024 * 1024;

/// Bytes of a filter that is followed. Those that are stored are shorter.
const MAX_BYTES: usize = 40_000;

/// Why a filter cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfollowed {
    /// It may name the key there; the first character is 1.
    #[error("mentions it at character {0} in a way that cannot be followed")]
    Mention(NonZeroUsize),
    /// It is no jq, or too much of it.
    #[error("cannot be read")]
    Unreadable,
}

/// Renames in filters, on a stack that none of them can exhaust. There is one only on such a stack.
#[derive(Debug)]
pub struct Renamer {
    /// Bytes of the longest filter for which the stack suffices.
    room: usize,
}

/// Runs what renames in filters on a thread of its own: whatever they are like, they take no other stack.
///
/// `longest` is the length of the longest of them in bytes. `None` where no such thread is to be had.
pub async fn apart<T: Send + 'static>(
    longest: usize,
    work: impl FnOnce(&Renamer) -> T + Send + 'static,
) -> Option<T> {
    let room = longest.min(MAX_BYTES);
    let (sender, receiver) = oneshot::channel();
    std::thread::Builder::new()
        .name("jq-name".to_owned())
        .stack_size(STACK + room * STACK_PER_BYTE)
        .spawn(move || drop(sender.send(work(&Renamer { room }))))
        .ok()?;
    receiver.await.ok()
}

impl Renamer {
    /// Gives the key `from` another name in a filter that works on `input`.
    ///
    /// # Errors
    /// Where the filter may name the key, and it is not certain that it does.
    pub fn rename(
        &self,
        filter: &str,
        input: &Shape,
        from: &str,
        to: &str,
    ) -> Result<String, Unfollowed> {
        // An escape may spell any name.
        if !filter.contains(from) && !filter.contains('\\') {
            return Ok(filter.to_owned());
        }
        if filter.len() > self.room {
            return Err(Unfollowed::Unreadable);
        }
        follow(filter, input, from, to)
    }
}

fn follow(filter: &str, input: &Shape, from: &str, to: &str) -> Result<String, Unfollowed> {
    let tokens = Lexer::new(filter)
        .lex()
        .map_err(|_| Unfollowed::Unreadable)?;
    let term = Parser::new(&tokens)
        .parse(Parser::term)
        .map_err(|_| Unfollowed::Unreadable)?;
    let mut walk = Walk::new(filter, from);
    walk.term(&term, input);
    if walk.escapes {
        walk.unfollowed.append(&mut walk.literals);
    }
    if let Some(at) = walk.unfollowed.iter().min() {
        let before = filter.get(..*at).unwrap_or_default().chars().count();
        return Err(Unfollowed::Mention(
            NonZeroUsize::MIN.saturating_add(before),
        ));
    }
    Ok(walk.rewritten(to))
}
