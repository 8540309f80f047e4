//! Where in a file a value stands.

use serde_saphyr::granit_parser::{Event, Parser};

use super::super::schema::MAX_DEPTH;

/// The line of what a JSON pointer names in a document of a file, the first one is 1; of its nearest parent that is
/// there, where it is not there itself.
///
/// JSON is read as the YAML that it is. What cannot be told, for the text is not that either or uses aliases on the
/// way, is not told.
pub fn locate(text: &str, document: usize, pointer: &str) -> Option<usize> {
    let steps: Vec<String> = pointer
        .split('/')
        .skip(1)
        .map(|step| step.replace("~1", "/").replace("~0", "~"))
        .collect();
    let mut walk = Walk {
        steps: &steps,
        matched: 0,
        open: Vec::new(),
        line: None,
    };
    let (mut number, mut inside) = (0, false);
    let mut events = Parser::new_from_str(text);
    while let Some(Ok((event, span))) = events.next_event() {
        match event {
            Event::DocumentStart(..) => inside = number == document,
            Event::DocumentEnd if inside => break,
            Event::DocumentEnd => number += 1,
            event if inside && !walk.take(&event, span.start.line()) => break,
            _ => {}
        }
    }
    walk.line
}

/// A list or an object that the walk is in.
struct Open {
    /// How many steps of the pointer lead to it; `None` where it is beside the way.
    matched: Option<usize>,
    /// Whether the next scalar is a key.
    key: Option<bool>,
    /// How many members of a list were seen.
    count: usize,
    /// Whether the member that comes next is the one that the pointer goes on with.
    next: bool,
}

struct Walk<'a> {
    steps: &'a [String],
    matched: usize,
    open: Vec<Open>,
    line: Option<usize>,
}

impl Walk<'_> {
    /// Takes one event in; false once nothing better can come.
    fn take(&mut self, event: &Event<'_>, line: usize) -> bool {
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                let matched = self.enter(line);
                if self.open.len() > MAX_DEPTH {
                    return false;
                }
                let key = matches!(event, Event::MappingStart(..)).then_some(true);
                self.open.push(Open {
                    matched,
                    key,
                    count: 0,
                    next: false,
                });
            }
            Event::MappingEnd | Event::SequenceEnd => {
                let closed = self.open.pop();
                // Whatever leads further lies behind.
                if closed.is_some_and(|closed| closed.matched.is_some()) {
                    return false;
                }
            }
            Event::Scalar(text, ..) => {
                let is_key = self.open.last().is_some_and(|open| open.key == Some(true));
                if is_key {
                    let steps = self.steps;
                    if let Some(open) = self.open.last_mut() {
                        open.key = Some(false);
                        open.next = open
                            .matched
                            .and_then(|matched| steps.get(matched))
                            .is_some_and(|step| **step == **text);
                        if open.next {
                            self.line = Some(line);
                        }
                    }
                } else {
                    self.enter(line);
                }
            }
            Event::Alias(..) => {
                self.enter(line);
            }
            _ => {}
        }
        self.matched < self.steps.len() || self.line.is_none()
    }

    /// A value begins: how many steps lead to it, if it is on the way.
    fn enter(&mut self, line: usize) -> Option<usize> {
        let Some(open) = self.open.last_mut() else {
            // The document itself.
            self.line = Some(line);
            return Some(0);
        };
        let on_the_way = match open.key {
            Some(_) => {
                open.key = Some(true);
                std::mem::take(&mut open.next)
            }
            None => {
                let index = open.count.to_string();
                open.count += 1;
                open.matched
                    .and_then(|matched| self.steps.get(matched))
                    .is_some_and(|step| *step == index)
            }
        };
        let matched = open.matched.filter(|_| on_the_way)? + 1;
        // A key has told its line already; its value may begin on the next.
        if open.key.is_none() {
            self.line = Some(line);
        }
        self.matched = matched;
        Some(matched)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "\
identifier: a
properties:
  tags:
    - one
    - two
  deep:
    x/y: 1
---
identifier: b
relations: {system: cart, others: [p,
  q]}
";

    #[test]
    fn a_pointer_leads_to_its_line_in_the_right_document() {
        let at = |document, pointer| locate(YAML, document, pointer);
        assert_eq!(at(0, ""), Some(1));
        assert_eq!(at(0, "/identifier"), Some(1));
        assert_eq!(at(0, "/properties/tags"), Some(3));
        assert_eq!(at(0, "/properties/tags/1"), Some(5));
        assert_eq!(at(0, "/properties/deep/x~1y"), Some(7));
        assert_eq!(at(1, ""), Some(9));
        assert_eq!(at(1, "/relations/system"), Some(10));
        assert_eq!(at(1, "/relations/others/1"), Some(11));
    }

    #[test]
    fn what_is_missing_is_at_the_nearest_parent() {
        assert_eq!(locate(YAML, 0, "/properties/language"), Some(2));
        assert_eq!(locate(YAML, 0, "/properties/tags/7"), Some(3));
        assert_eq!(locate(YAML, 1, "/title"), Some(9));
        assert_eq!(locate(YAML, 2, ""), None);
    }

    #[test]
    fn json_is_looked_into_just_so() {
        let json = "{\n \"a\": [1,\n  {\"b\": \"x\"}],\n \"c\": 2\n}";
        assert_eq!(locate(json, 0, "/a/1/b"), Some(3));
        assert_eq!(locate(json, 0, "/c"), Some(4));
        assert_eq!(locate("\u{1}", 0, "/a"), None);
    }

    #[test]
    fn hostile_depth_is_given_up() {
        let deep = "[".repeat(100_000);
        // What matters is that it comes back.
        assert!(locate(&deep, 0, "/0/0/0/x").is_none_or(|line| line == 1));
    }
}
