//! The only place that prints. What servers, plugins and files say is escaped: it may not drive the terminal.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _};

use serde::Serialize;
use serde_json::Value;

use super::exit::Failure;
use crate::config;

/// In which form results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Prints results to stdout, and all else to stderr.
#[derive(Clone, Debug)]
pub(super) struct Output {
    format: Format,
    colour: bool,
}

/// How a line is coloured, where colour is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tint {
    Good,
    Bad,
    Faint,
}

impl Output {
    pub(super) fn new(format: Format) -> Self {
        let colour = format == Format::Text
            && config::environment("NO_COLOR").is_none()
            && io::stdout().is_terminal();
        Self { format, colour }
    }

    pub(super) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether logs on stderr may be coloured.
    pub(super) fn colours_logs(&self) -> bool {
        config::environment("NO_COLOR").is_none() && io::stderr().is_terminal()
    }

    /// One line of the result.
    pub(super) fn line(&self, text: &str) {
        print(io::stdout(), &clean(text));
    }

    /// One line of the result, coloured where colour is wanted.
    pub(super) fn tinted(&self, tint: Tint, text: &str) {
        let code = match tint {
            Tint::Good => 32,
            Tint::Bad => 31,
            Tint::Faint => 2,
        };
        let text = clean(text);
        if self.colour {
            print(io::stdout(), &format!("\u{1b}[{code}m{text}\u{1b}[0m"));
        } else {
            print(io::stdout(), &text);
        }
    }

    /// Several lines as they stand, each escaped by itself.
    pub(super) fn block(&self, text: &str) {
        for line in text.lines() {
            self.line(line);
        }
    }

    /// What is being done: not a part of the result, so it goes to stderr.
    pub(super) fn note(&self, text: &str) {
        print(io::stderr(), &clean(text));
    }

    /// The result as one line of JSON.
    pub(super) fn json(&self, value: &impl Serialize) {
        match serde_json::to_string(value) {
            Ok(text) => print(io::stdout(), &clean_json(&text)),
            Err(error) => self.note(&format!("print the result as JSON: {error}")),
        }
    }

    /// The result: JSON as it is, or whatever `text` prints of it.
    pub(super) fn result(&self, value: &Value, text: impl FnOnce(&Self)) {
        match self.format {
            Format::Json => self.json(value),
            Format::Text => text(self),
        }
    }

    /// Rows in aligned columns under a heading.
    pub(super) fn table(&self, heading: &[&str], rows: &[Vec<String>]) {
        let cleaned: Vec<Vec<String>> =
            std::iter::once(heading.iter().map(|cell| (*cell).to_owned()).collect())
                .chain(
                    rows.iter()
                        .map(|row| row.iter().map(|cell| clean(cell)).collect()),
                )
                .collect();
        let width = |column: usize| {
            cleaned
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..heading.len()).map(width).collect();
        for row in &cleaned {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let _ = write!(line, "{cell:width$}  ");
            }
            print(io::stdout(), line.trim_end());
        }
    }

    /// Why the command did not do what was asked.
    pub(super) fn failure(&self, failure: &Failure) {
        if self.is_json() {
            print(io::stderr(), &clean_json(&failure.to_json().to_string()));
            return;
        }
        let mut lines = failure.message.lines();
        print(
            io::stderr(),
            &format!("error: {}", clean(lines.next().unwrap_or_default())),
        );
        for line in lines {
            print(io::stderr(), &clean(line));
        }
        for detail in &failure.details {
            print(io::stderr(), &format!("  {}", clean(detail)));
        }
    }
}

fn print(mut to: impl io::Write, text: &str) {
    // Whoever reads may have gone away (`| head`); there is nobody left to tell.
    drop(writeln!(to, "{text}").and_then(|()| to.flush()));
}

/// Whether a character could move the cursor, change colours, reorder what stands beside it, or is not seen at all.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The text with every character that a terminal could act on written out.
pub(super) fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\t' {
            cleaned.push_str("    ");
        } else if is_unsafe(c) {
            cleaned.extend(c.escape_default());
        } else {
            cleaned.push(c);
        }
    }
    cleaned
}

/// JSON that means the same, with every such character escaped; they occur only within its strings.
fn clean_json(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            let _ = write!(cleaned, "\\u{:04x}", u32::from(c));
        } else {
            cleaned.push(c);
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_could_act_on_is_written_out() {
        assert_eq!(
            clean("a\u{1b}[31mb\u{9b}c\rd\n"),
            "a\\u{1b}[31mb\\u{9b}c\\rd\\n"
        );
        assert_eq!(clean("x\u{202e}y"), "x\\u{202e}y");
        assert_eq!(
            clean("a\u{61c}b\u{2060}\u{2064}"),
            "a\\u{61c}b\\u{2060}\\u{2064}"
        );
        assert_eq!(clean("grün ✓"), "grün ✓");
    }

    #[test]
    fn escaped_json_means_the_same() {
        let value = serde_json::json!({"a": "\u{9b}31m\u{202e}"});
        let text = clean_json(&value.to_string());
        assert!(text.is_ascii());
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
