//! Keeps the secrets that were attached or read in a run out of what the run says.
//!
//! A server may send back what it was sent, and a guest may hand that on, or a secret that it was granted to read: as it
//! is, or in one of the forms that programs write bytes in. Found are whole forms, parts of one that a text begins or ends
//! with, of [`EDGE`] characters and more, and texts that are a part of one, of [`LINE`]. What a guest turns around is not
//! found, nor a part from the middle of a form that stands within a text.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use serde_json::Value;
use zeroize::Zeroizing;

use super::edges::Edges;
use super::form::{EDGE, Form, LINE, forms};
use crate::model::Violation;

/// What stands where a secret was.
const MASK: &str = "***";

/// The secrets attached or read so far in one run.
#[derive(Default)]
pub struct Redactor {
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    /// Every form of every secret, sorted by its bytes.
    forms: Vec<Form>,
    /// Absent before the first secret.
    search: Option<Search>,
}

struct Search {
    whole: AhoCorasick,
    /// Where none of them occurs there is no form, and no part of one at the edge of a text.
    edges: Edges,
}

impl Redactor {
    /// Hides a secret from now on, known by the name that the manifest gives it.
    pub fn add(&self, name: &str, secret: &str) {
        self.add_parts(name, secret, std::iter::empty());
    }

    /// Hides a secret that the guest itself holds, and may use in parts: its lines, what stands behind their `=`, and the
    /// texts in it where it is JSON. Each of those is hidden by itself.
    pub(in crate::plugin) fn add_text(&self, name: &str, secret: &str) {
        let mut texts = Vec::new();
        if let Ok(value) = serde_json::from_str(secret) {
            take_texts(value, &mut texts);
        }
        let texts: Vec<_> = texts.into_iter().map(Zeroizing::new).collect();
        let texts = texts
            .iter()
            .flat_map(|text| text.lines().chain([text.as_str()]));
        let values = secret.lines().filter_map(|line| line.split_once('='));
        let values = values.map(|(_, value)| value.trim().trim_matches(['"', '\'']));
        let parts = secret.lines().chain(texts).map(str::trim).chain(values);
        self.add_parts(name, secret, parts.filter(|part| part.len() >= LINE));
    }

    fn add_parts<'a>(&self, name: &str, secret: &'a str, parts: impl Iterator<Item = &'a str>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.forms.len();
        let name: Arc<str> = name.into();
        for part in std::iter::once(secret).chain(parts) {
            let forms = forms(part.as_bytes()).into_iter();
            let long = forms.filter(|bytes| bytes.len() > EDGE);
            known.forms.extend(long.map(|bytes| Form {
                bytes,
                name: Arc::clone(&name),
            }));
        }
        known
            .forms
            .sort_unstable_by(|a, b| a.bytes.as_slice().cmp(b.bytes.as_slice()));
        known
            .forms
            .dedup_by(|a, b| a.bytes.as_slice() == b.bytes.as_slice());
        if known.forms.len() == before {
            return;
        }
        let edges = Edges::of(&known.forms);
        let whole = searched(known.forms.iter().map(|form| form.bytes.as_slice()));
        known.search = whole.map(|whole| Search { whole, edges });
    }

    /// A text without secrets.
    pub fn clean<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let Some(search) = &known.search else {
            return Cow::Borrowed(text);
        };
        // A form that was broken into lines: each of those in the middle is of it from end to end.
        if search.edges.is_within(text.trim().as_bytes(), &known.forms) {
            return Cow::Owned(MASK.to_owned());
        }
        // Most of what is said has nothing to do with a secret, and this is all that it costs.
        if !search.edges.occur_in(text.as_bytes(), &known.forms) {
            return Cow::Borrowed(text);
        }
        let whole = search.whole.find_iter(text);
        let mut found: Vec<Range<usize>> = whole.map(|m| m.range()).collect();
        found.extend(
            known
                .forms
                .iter()
                .filter_map(|form| head(text, &form.bytes)),
        );
        found.extend(
            known
                .forms
                .iter()
                .filter_map(|form| tail(text, &form.bytes)),
        );
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        found.sort_unstable_by_key(|range| range.start);
        let mut clean = String::with_capacity(text.len());
        let mut done = 0;
        for range in found {
            if range.start >= done {
                clean.push_str(text.get(done..range.start).unwrap_or_default());
                clean.push_str(MASK);
            }
            done = done.max(range.end);
        }
        clean.push_str(text.get(done..).unwrap_or_default());
        Cow::Owned(clean)
    }

    /// Whether there is nothing to hide yet.
    pub fn is_empty(&self) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.search.is_none()
    }

    /// The name of a secret that bytes hold whole, in any of its forms.
    pub fn find(&self, bytes: &[u8]) -> Option<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let found = known.search.as_ref()?.whole.find(bytes)?;
        let form = known.forms.get(found.pattern().as_usize())?;
        Some(form.name.to_string())
    }

    /// A JSON value without secrets, in keys, strings and numbers.
    pub fn clean_value(&self, value: Value) -> Value {
        match value {
            Value::Null | Value::Bool(_) => value,
            Value::Number(number) => {
                let text = number.to_string();
                match self.clean(&text) {
                    Cow::Borrowed(_) => Value::Number(number),
                    Cow::Owned(clean) => Value::String(clean),
                }
            }
            Value::String(text) => Value::String(self.clean(&text).into_owned()),
            Value::Array(items) => Value::Array(
                items
                    .into_iter()
                    .map(|item| self.clean_value(item))
                    .collect(),
            ),
            Value::Object(members) => {
                let members = members.into_iter();
                let clean = members
                    .map(|(key, value)| (self.clean(&key).into_owned(), self.clean_value(value)));
                Value::Object(clean.collect())
            }
        }
    }

    /// Broken rules without secrets.
    pub(in crate::plugin) fn clean_violations(&self, violations: Vec<Violation>) -> Vec<Violation> {
        let clean = |text: &str| self.clean(text).into_owned();
        violations
            .into_iter()
            .map(|v| Violation::new(clean(&v.path), &clean(&v.rule), clean(&v.message)))
            .collect()
    }
}

/// All texts of a JSON value but the names of members.
fn take_texts(value: Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.into_iter().for_each(|item| take_texts(item, texts)),
        Value::Object(members) => members
            .into_iter()
            .for_each(|(_, value)| take_texts(value, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Forms are few and can be long: the automaton that takes the least memory for them. It cannot be too large for them.
fn searched<'a>(forms: impl Iterator<Item = &'a [u8]>) -> Option<AhoCorasick> {
    AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .build(forms)
        .inspect_err(|error| tracing::error!(%error, "secrets cannot be searched for"))
        .ok()
}

/// Where a text begins with the end of a form. Forms are ASCII: what matches is whole characters.
fn head(text: &str, form: &[u8]) -> Option<Range<usize>> {
    let longest = form.len().min(text.len());
    (EDGE..=longest)
        .rev()
        .find(|length| {
            form.get(form.len() - length..)
                .is_some_and(|end| text.as_bytes().starts_with(end))
        })
        .map(|length| 0..length)
}

/// Where a text ends with the beginning of a form.
fn tail(text: &str, form: &[u8]) -> Option<Range<usize>> {
    let longest = form.len().min(text.len());
    (EDGE..=longest)
        .rev()
        .find(|length| {
            form.get(..*length)
                .is_some_and(|start| text.as_bytes().ends_with(start))
        })
        .map(|length| text.len() - length..text.len())
}

#[cfg(test)]
mod tests {
    use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
    use serde_json::json;

    use super::*;

    const SECRET: &str = "s3cr3t/+?$& \"quoted\" >>>end";

    fn redactor() -> Redactor {
        let redactor = Redactor::default();
        redactor.add("token", SECRET);
        redactor
    }

    #[test]
    fn every_form_is_hidden_whatever_stands_around_it() {
        let redactor = redactor();
        let bytes = SECRET.as_bytes();
        let json = json!(SECRET).to_string();
        let mut shown = vec![
            SECRET.to_owned(),
            json.trim_matches('"').to_owned(),
            HEXLOWER.encode(bytes),
            HEXUPPER.encode(bytes),
            "s3cr3t%2F%2B%3F%24%26%20%22quoted%22%20%3E%3E%3Eend".to_owned(),
            "s3cr3t%2f%2b%3f%24%26%20%22quoted%22%20%3e%3e%3eend".to_owned(),
            "s3cr3t%2F%2B%3F%24%26+%22quoted%22+%3E%3E%3Eend".to_owned(),
        ];
        for form in shown.drain(..) {
            assert_eq!(redactor.clean(&form), MASK, "{form}");
            assert_eq!(
                redactor.clean(&format!("a {form} é {form}.")),
                "a *** é ***."
            );
        }
    }

    #[test]
    fn base64_of_a_text_with_the_secret_in_it_is_hidden_at_every_place() {
        let redactor = redactor();
        for before in 0..9 {
            for after in 0..4 {
                let text = format!("{}{SECRET}{}", "x".repeat(before), "y".repeat(after));
                for base64 in [&BASE64, &BASE64URL, &BASE64_NOPAD, &BASE64URL_NOPAD] {
                    let encoded = base64.encode(text.as_bytes());
                    let clean = redactor.clean(&encoded);
                    assert!(clean.contains(MASK), "{before} {after}: {clean}");
                    // Of the secret, one digit at each end at most, which others have a part in.
                    let most = (before + after) * 8 / 6 + 2 + MASK.len() + 4;
                    assert!(clean.len() <= most, "{before} {after}: {clean}");
                }
            }
        }
    }

    #[test]
    fn a_secret_that_is_cut_in_two_is_hidden_on_both_sides() {
        let redactor = redactor();
        for cut in EDGE..SECRET.len() - EDGE {
            let (one, other) = SECRET.split_at(cut);
            assert_eq!(redactor.clean(&format!("it is {one}")), "it is ***");
            assert_eq!(redactor.clean(&format!("{other}, it is")), "***, it is");
        }
    }

    /// The first look lets through whatever the second would find, and nothing else.
    #[test]
    fn what_only_looks_like_a_secret_is_told_at_the_first_look() {
        let redactor = redactor();
        let known = redactor.known.read().unwrap();
        let edges = &known.search.as_ref().unwrap().edges;
        let occur = |text: &str| edges.occur_in(text.as_bytes(), &known.forms);
        for cut in 0..=SECRET.len() {
            let (one, other) = SECRET.split_at(cut);
            assert!(occur(&format!("x{SECRET}{one}")));
            assert_eq!(occur(&format!("x{one}")), one.len() >= EDGE, "{one}");
            assert_eq!(occur(&format!("{other}x")), other.len() >= EDGE, "{other}");
            let whole = one == SECRET;
            assert_eq!(occur(&format!("x{one}x")), whole, "{one}");
            assert_eq!(occur(&format!("x{other}x")), other == SECRET, "{other}");
        }
    }

    #[test]
    fn each_line_of_a_secret_that_a_guest_holds_is_hidden_by_itself() {
        let redactor = Redactor::default();
        let key = "-----BEGIN KEY-----\r\n  bGluZSBvbmU-\nc2Vjb25kIGxpbmU\nend\n";
        redactor.add_text("key", key);
        assert_eq!(redactor.clean(key), MASK);
        assert_eq!(redactor.clean("1: c2Vjb25kIGxpbmU."), "1: ***.");
        assert_eq!(redactor.clean("bGluZSBvbmU-"), MASK);
        assert_eq!(redactor.clean("the end"), "the end");
        let hex = HEXLOWER.encode(b"c2Vjb25kIGxpbmU");
        assert_eq!(redactor.clean(&hex), MASK);
    }

    #[test]
    fn a_form_that_is_broken_into_lines_is_hidden_line_by_line() {
        let redactor = Redactor::default();
        let secret: String = (0..300_u32)
            .map(|n| char::from(b'!' + (n * 7 % 90) as u8))
            .collect();
        redactor.add("token", &secret);
        let base64 = data_encoding::BASE64.encode(secret.as_bytes());
        for width in [60, 64, 76] {
            for line in base64
                .as_bytes()
                .chunks(width)
                .filter(|line| line.len() >= LINE)
            {
                let line = std::str::from_utf8(line).unwrap();
                assert_eq!(redactor.clean(&format!("  {line}")).trim(), MASK, "{line}");
            }
        }
        assert_eq!(redactor.clean("nothing of it"), "nothing of it");
    }

    #[test]
    fn what_a_document_that_is_a_secret_says_is_hidden_by_itself() {
        let redactor = Redactor::default();
        let account = r#"{"user": "deploy", "keys": ["first-of-keys\nsecond-of-keys"]}"#;
        redactor.add_text("account", account);
        redactor.add_text("env", "USER=deploy\nPASSWORD=\"correct-horse\"\n");
        assert_eq!(redactor.clean("it is second-of-keys."), "it is ***.");
        let said = "with correct-horse, as deploy";
        assert_eq!(redactor.clean(said), "with ***, as deploy");
    }

    #[test]
    fn what_is_no_secret_stays_as_it_is() {
        let redactor = redactor();
        for text in ["", "s3c", "s3cr3t is what it is not", "größe", "***"] {
            assert_eq!(redactor.clean(text), text);
            assert!(matches!(redactor.clean(text), Cow::Borrowed(_)), "{text}");
        }
        assert_eq!(Redactor::default().clean(SECRET), SECRET);
        let bytes = [b"\xff", SECRET.as_bytes()].concat();
        assert_eq!(redactor.find(&bytes).as_deref(), Some("token"));
        assert_eq!(redactor.find(b"s3cr3t\xff"), None);
    }

    #[test]
    fn keys_strings_and_numbers_of_json_are_searched() {
        let redactor = Redactor::default();
        redactor.add("token", "1234567890");
        let value = json!({"a1234567890": [1234567890_u64, "x1234567890", 12, null, true]});
        let clean = redactor.clean_value(value);
        assert_eq!(clean, json!({"a***": ["***", "x***", 12, null, true]}));
    }
}
