//! What a run says while it runs: the `log` interface, and the lines that a guest prints.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use hyper::body::Bytes;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::model::{EventBody, LogLevel};
use crate::plugin::EventSink;
use crate::plugin::bindings::log;
use crate::plugin::budget::render_size;
use crate::plugin::instance::Guest;
use crate::plugin::secret::Redactor;

/// The longest line; a longer one is cut into several.
const LINE_BYTES: usize = 8 << 10;

/// What a line costs beside its text: a million empty lines are not free on disk either.
const EVENT_BYTES: u64 = 16;

/// Bytes that a guest may hand over in one write to stdout or stderr.
const STREAM_PERMIT: usize = 64 << 10;

/// The longest link; browsers go no further.
const URL_BYTES: usize = 2_048;

/// The longest title of a link or progress mark.
const TITLE_CHARS: usize = 500;

/// Collects everything that a call says, within its budget.
pub(crate) struct LogBook {
    sink: Arc<dyn EventSink>,
    budget: u64,
    redactor: Arc<Redactor>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used: u64,
    truncated: bool,
    /// Unfinished lines.
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// Which of the two streams a program prints to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    /// What a program has to say.
    Stdout,
    /// What went wrong in it.
    Stderr,
}

impl LogBook {
    /// A book with a budget of bytes.
    pub(crate) fn new(sink: Arc<dyn EventSink>, budget: u64) -> Arc<Self> {
        Arc::new(Self {
            sink,
            budget,
            redactor: Arc::default(),
            state: Mutex::default(),
        })
    }

    /// What no line shows.
    pub(crate) fn redactor(&self) -> &Arc<Redactor> {
        &self.redactor
    }

    /// One stream that a program prints to.
    pub(crate) fn channel(self: &Arc<Self>, channel: Channel) -> Printed {
        Printed {
            book: Arc::clone(self),
            channel,
        }
    }

    /// Bytes of the budget that were taken; all of them where more were wanted.
    pub(crate) fn spent(&self) -> u64 {
        let state = self.lock();
        if state.truncated {
            self.budget
        } else {
            state.used
        }
    }

    /// Writes the lines that the program did not end.
    pub(crate) fn finish(&self) {
        let mut state = self.lock();
        for channel in [Channel::Stdout, Channel::Stderr] {
            let rest = std::mem::take(state.pending(channel));
            if !rest.is_empty() {
                self.line(&mut state, channel.level(), &String::from_utf8_lossy(&rest));
            }
        }
    }

    /// Writes one message, a line for each of its lines.
    pub(crate) fn write(&self, level: LogLevel, message: &str) {
        let mut state = self.lock();
        for line in message.split('\n') {
            let mut rest = line.strip_suffix('\r').unwrap_or(line);
            loop {
                let (head, tail) = rest.split_at(rest.floor_char_boundary(LINE_BYTES));
                self.line(&mut state, level, head);
                if tail.is_empty() {
                    break;
                }
                rest = tail;
            }
            if state.truncated {
                return;
            }
        }
    }

    fn print(&self, channel: Channel, mut bytes: &[u8]) {
        let mut state = self.lock();
        while !bytes.is_empty() && !state.truncated {
            let pending = state.pending(channel);
            let room = LINE_BYTES.saturating_sub(pending.len());
            let (head, rest) = bytes.split_at(room.min(bytes.len()));
            if let Some(end) = head.iter().position(|byte| *byte == b'\n') {
                let (line, rest) = bytes.split_at(end);
                pending.extend_from_slice(line);
                if pending.last() == Some(&b'\r') {
                    pending.pop();
                }
                let line = std::mem::take(pending);
                bytes = rest.get(1..).unwrap_or_default();
                self.line(&mut state, channel.level(), &String::from_utf8_lossy(&line));
                continue;
            }
            pending.extend_from_slice(head);
            bytes = rest;
            if pending.len() >= LINE_BYTES {
                let keep = pending.split_off(whole_characters(pending));
                let line = std::mem::replace(pending, keep);
                self.line(&mut state, channel.level(), &String::from_utf8_lossy(&line));
            }
        }
    }

    fn line(&self, state: &mut State, level: LogLevel, text: &str) {
        let message = escape(&self.redactor.clean(text));
        let cost = message.len() as u64;
        self.emit(state, cost, EventBody::Log { level, message });
    }

    fn emit(&self, state: &mut State, cost: u64, event: EventBody) {
        if state.truncated {
            return;
        }
        let used = state.used.saturating_add(cost).saturating_add(EVENT_BYTES);
        if used <= self.budget {
            state.used = used;
            self.sink.emit(event);
            return;
        }
        state.truncated = true;
        let budget = render_size(self.budget);
        let message = format!(
            "the log ends here: its budget of {budget} (`limits.log`) is used up; the run goes on"
        );
        self.sink.emit(EventBody::Log {
            level: LogLevel::Warn,
            message,
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn pending(&mut self, channel: Channel) -> &mut Vec<u8> {
        match channel {
            Channel::Stdout => &mut self.stdout,
            Channel::Stderr => &mut self.stderr,
        }
    }
}

impl Channel {
    fn level(self) -> LogLevel {
        match self {
            Self::Stdout => LogLevel::Info,
            Self::Stderr => LogLevel::Warn,
        }
    }
}

/// Where to cut bytes so that the last character stays whole; all of them where they are no text anyway.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    }
}

/// Makes a text harmless to terminals and readers: control characters, and those that turn the direction of text, are
/// written out. Tabs stay.
pub(crate) fn escape(text: &str) -> String {
    let harmful = |c: char| {
        (c.is_control() && c != '\t')
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if !text.contains(harmful) {
        return text.to_owned();
    }
    let mut clean = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if harmful(c) {
            clean.extend(c.escape_unicode());
        } else {
            clean.push(c);
        }
    }
    clean
}

fn cut(text: &str) -> String {
    escape(&text.chars().take(TITLE_CHARS).collect::<String>())
}

impl log::Host for Guest {
    async fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Trace => LogLevel::Trace,
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        self.book.write(level, &message);
        Ok(())
    }

    async fn progress(
        &mut self,
        done: u64,
        total: Option<u64>,
        message: String,
    ) -> wasmtime::Result<()> {
        let message = cut(&self.book.redactor.clean(&message));
        let cost = message.len() as u64;
        self.book.emit(
            &mut self.book.lock(),
            cost,
            EventBody::Progress {
                done,
                total,
                message,
            },
        );
        Ok(())
    }

    async fn link(&mut self, url: String, title: String) -> wasmtime::Result<()> {
        let url = self.book.redactor.clean(&url).into_owned();
        if !is_web_link(&url) {
            let shown: String = url.chars().take(100).collect();
            let message = format!(
                "link `{shown}` was dropped: a link is an absolute http or https URL of at most {URL_BYTES} bytes"
            );
            self.book.write(LogLevel::Warn, &message);
            return Ok(());
        }
        let title = cut(&self.book.redactor.clean(&title));
        let cost = (url.len() + title.len()) as u64;
        self.book
            .emit(&mut self.book.lock(), cost, EventBody::Link { url, title });
        Ok(())
    }
}

/// Whether a reader may be offered the text as a link: any other scheme could run code in a browser.
fn is_web_link(url: &str) -> bool {
    let scheme = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let plain = url.len() <= URL_BYTES
        && url
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b));
    plain
        && scheme
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['))
}

/// Stdout or stderr of a guest.
#[derive(Clone)]
pub(crate) struct Printed {
    book: Arc<LogBook>,
    channel: Channel,
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Printed {
    async fn ready(&mut self) {}
}

impl OutputStream for Printed {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.book.print(self.channel, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(STREAM_PERMIT)
    }
}

impl tokio::io::AsyncWrite for Printed {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.book.print(self.channel, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<(LogLevel, String)>>);

    impl EventSink for Kept {
        fn emit(&self, event: EventBody) {
            if let EventBody::Log { level, message } = event {
                self.0.lock().unwrap().push((level, message));
            }
        }
    }

    fn book(budget: u64) -> (Arc<Kept>, Arc<LogBook>) {
        let kept = Arc::new(Kept::default());
        (Arc::clone(&kept), LogBook::new(kept, budget))
    }

    fn lines(kept: &Kept) -> Vec<String> {
        kept.0
            .lock()
            .unwrap()
            .iter()
            .map(|(_, line)| line.clone())
            .collect()
    }

    #[test]
    fn printed_bytes_become_whole_lines() {
        let (kept, book) = book(1 << 20);
        for part in ["one\ntw", "o\r\n\nthr", "ee"] {
            book.print(Channel::Stdout, part.as_bytes());
        }
        book.print(Channel::Stderr, b"bad \xff byte\n");
        book.finish();
        assert_eq!(
            lines(&kept),
            ["one", "two", "", "bad \u{fffd} byte", "three"]
        );
        assert_eq!(kept.0.lock().unwrap()[3].0, LogLevel::Warn);
    }

    #[test]
    fn terminal_escapes_and_direction_marks_are_written_out() {
        let (kept, book) = book(1 << 20);
        book.write(LogLevel::Info, "a\u{1b}[31mred\0\u{202e}x\tz");
        assert_eq!(lines(&kept), ["a\\u{1b}[31mred\\u{0}\\u{202e}x\tz"]);
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let (kept, book) = book(1 << 20);
        book.print(Channel::Stdout, "é".repeat(LINE_BYTES).as_bytes());
        book.write(LogLevel::Info, &"é".repeat(LINE_BYTES));
        book.finish();
        assert_eq!(lines(&kept).len(), 4);
        assert!(
            lines(&kept)
                .iter()
                .all(|line| line.len() <= LINE_BYTES && line.chars().all(|c| c == 'é'))
        );
    }

    #[test]
    fn a_secret_is_hidden_however_it_is_cut_into_writes_and_lines() {
        let (kept, book) = book(1 << 20);
        book.redactor().add("token", "hunter2-hunter2-hunter2");
        for part in ["it is hun", "ter2-hunter2-", "hunter2.\n"] {
            book.print(Channel::Stdout, part.as_bytes());
        }
        book.write(LogLevel::Info, "it is hunter2-hunt");
        book.write(LogLevel::Info, "er2-hunter2.");
        let long = format!("{}hunter2-hunter2-hunter2", " ".repeat(LINE_BYTES - 10));
        book.print(Channel::Stdout, long.as_bytes());
        book.write(LogLevel::Info, &long);
        book.finish();
        let lines = lines(&kept);
        assert_eq!(lines[..3], ["it is ***.", "it is ***", "***."]);
        assert_eq!(lines.len(), 7);
        assert!(lines.iter().all(|line| !line.contains("unt")), "{lines:?}");
    }

    #[test]
    fn flood_ends_with_one_marker() {
        let (kept, book) = book(1_000);
        for _ in 0..10_000 {
            book.print(Channel::Stdout, b"\n");
            book.write(LogLevel::Info, "more");
        }
        book.finish();
        let lines = lines(&kept);
        assert!(lines.len() < 70, "{}", lines.len());
        assert_eq!(
            lines
                .iter()
                .filter(|line| line.contains("limits.log"))
                .count(),
            1
        );
        assert!(lines.last().unwrap().contains("limits.log"));
    }

    #[test]
    fn only_web_links_are_offered() {
        assert!(is_web_link("https://example.com/a?b=c#d"));
        assert!(is_web_link("http://[::1]:80/"));
        for odd in [
            "javascript:alert(1)",
            "https:///x",
            "https://a b",
            "file:///etc/passwd",
            "//x",
            "https://\u{202e}x",
            "https://x\"y",
        ] {
            assert!(!is_web_link(odd), "{odd}");
        }
    }
}
