//! Asks a person at a terminal for what nobody who looks on may see.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// Whether there is a person to ask.
pub(super) fn is_interactive() -> bool {
    io::stdin().is_terminal()
}

/// Reads one line of at most so many bytes, with its end, that is not shown while it is typed.
pub(super) fn read_hidden_line(most: u64) -> io::Result<Zeroizing<String>> {
    let _hidden = Hidden::start()?;
    let mut line = Zeroizing::new(String::new());
    io::stdin().lock().take(most).read_line(&mut line)?;
    Ok(line)
}

/// A terminal that does not show what is typed, until this is dropped. A shell does the same after a program that was
/// ended meanwhile.
struct Hidden {
    before: Termios,
}

impl Hidden {
    fn start() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        // The end of the line is shown, so that what is said next stands on its own.
        silent.local_modes.insert(LocalModes::ECHONL);
        // What was typed before the question was meant for something else.
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self { before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // Nothing is left to try where the terminal is gone.
        tcsetattr(io::stdin(), OptionalActions::Now, &self.before).ok();
    }
}
