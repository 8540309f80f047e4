//! Places in a filter's text, and the text with another name in them.

use super::walk::Walk;

impl Walk<'_> {
    /// Where a part of the filter stands in it.
    pub(super) fn place(&self, part: &str) -> Option<usize> {
        let at = part
            .as_ptr()
            .addr()
            .checked_sub(self.filter.as_ptr().addr())?;
        let found = self.filter.get(at..)?.get(..part.len())?;
        (found == part).then_some(at)
    }

    pub(super) fn is_quoted(&self, at: usize) -> bool {
        self.filter
            .get(..at)
            .is_some_and(|before| before.ends_with('"'))
    }

    /// The filter with the new name.
    pub(super) fn rewritten(&self, to: &str) -> String {
        let plain = if is_plain(to) {
            to.to_owned()
        } else {
            serde_json::Value::from(to).to_string()
        };
        let found = self.found.iter().map(|at| (*at, false));
        let mut places: Vec<_> = found
            .chain(self.shorthand.iter().map(|at| (*at, true)))
            .collect();
        places.sort_unstable();
        places.dedup();
        let mut rewritten = String::with_capacity(self.filter.len());
        let mut done = 0;
        for (at, is_shorthand) in places {
            rewritten.push_str(self.filter.get(done..at).unwrap_or_default());
            if is_shorthand {
                rewritten.push_str(self.from);
                rewritten.push_str(": .");
            }
            rewritten.push_str(if self.is_quoted(at) {
                plain.trim_matches('"')
            } else {
                &plain
            });
            done = at + self.from.len();
        }
        rewritten.push_str(self.filter.get(done..).unwrap_or_default());
        rewritten
    }
}

/// Whether a name may stand behind a dot as it is.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
}
