//! Reads server-sent events as they come, within bounds.

use std::io::{self, BufRead, Read as _};

/// The server bounds a log line far below this; a longer line is no event of ours.
const MAX_LINE_BYTES: u64 = 1024 * 1024;

/// One event with data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ServerEvent {
    /// The last id that the stream named; empty before the first.
    pub(super) id: String,
    pub(super) event: String,
    pub(super) data: String,
}

/// The events of one stream.
pub(super) struct ServerEvents<R> {
    reader: R,
    last_id: String,
}

impl<R: BufRead> ServerEvents<R> {
    /// Continues after an id that an earlier stream named.
    pub(super) fn new(reader: R, last_id: String) -> Self {
        Self { reader, last_id }
    }

    /// The next event; `None` at the end of the stream. An event that the stream breaks off in is not one.
    pub(super) fn next(&mut self) -> io::Result<Option<ServerEvent>> {
        let mut event = ServerEvent::default();
        let mut has_data = false;
        while let Some(line) = self.line()? {
            if line.is_empty() {
                if has_data {
                    event.id.clone_from(&self.last_id);
                    return Ok(Some(event));
                }
                event = ServerEvent::default();
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" => value.clone_into(&mut self.last_id),
                "event" => value.clone_into(&mut event.event),
                "data" => {
                    if has_data {
                        event.data.push('\n');
                    }
                    if event.data.len() as u64 + value.len() as u64 > MAX_LINE_BYTES {
                        return Err(io::Error::new(
                            io::ErrorKind::InvalidData,
                            "an event is too long",
                        ));
                    }
                    event.data.push_str(value);
                    has_data = true;
                }
                // A comment has an empty field name; all else is for other clients.
                _ => {}
            }
        }
        Ok(None)
    }

    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        let read = (&mut self.reader)
            .take(MAX_LINE_BYTES)
            .read_line(&mut line)?;
        if read == 0 {
            return Ok(None);
        }
        if !line.ends_with('\n') {
            let long = read as u64 == MAX_LINE_BYTES;
            return if long {
                Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a line is too long",
                ))
            } else {
                Ok(None)
            };
        }
        line.truncate(line.trim_end_matches(['\n', '\r']).len());
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<ServerEvent> {
        let mut events = ServerEvents::new(text.as_bytes(), String::new());
        std::iter::from_fn(|| events.next().unwrap()).collect()
    }

    fn event(id: &str, event: &str, data: &str) -> ServerEvent {
        ServerEvent {
            id: id.to_owned(),
            event: event.to_owned(),
            data: data.to_owned(),
        }
    }

    #[test]
    fn nothing_one_and_several_events_are_read() {
        assert_eq!(read(""), []);
        assert_eq!(
            read("id: 1\nevent: log\ndata: {}\n\n"),
            [event("1", "log", "{}")]
        );
        assert_eq!(
            read(": hello\r\n\r\nid:2\r\nevent:log\r\ndata:a\r\ndata: b\r\n\r\ndata: c\n\n"),
            [event("2", "log", "a\nb"), event("2", "", "c")]
        );
    }

    #[test]
    fn an_event_that_breaks_off_is_not_one() {
        assert_eq!(
            read("id: 1\ndata: a\n\nid: 2\ndata: b"),
            [event("1", "", "a")]
        );
        assert_eq!(
            read("id: 1\ndata: a\n\nid: 2\ndata: b\n"),
            [event("1", "", "a")]
        );
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let text = "x".repeat(2 << 20);
        assert!(
            ServerEvents::new(text.as_bytes(), String::new())
                .next()
                .is_err()
        );
    }
}
