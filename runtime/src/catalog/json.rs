//! JSON from people and programs: bounded depth, no key twice, and an error that shows the place.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::schema::MAX_DEPTH;

/// Why a text is not JSON that the portal takes, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {kind}")]
pub struct JsonError {
    /// Line, the first one is 1.
    pub line: usize,
    /// Column in characters, the first one is 1.
    pub column: usize,
    /// What is wrong there.
    pub kind: JsonErrorKind,
}

/// What is wrong at one place of a JSON text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonErrorKind {
    /// A quotation mark as word processors write it.
    #[error("`{0}` (U+{code:04X}) is a typographic quotation mark; use the plain `\"` (U+0022)", code = u32::from(*.0))]
    TypographicQuote(char),
    /// Lists and objects within each other beyond what anything needs.
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// An object names a key twice; which one was meant, nobody knows.
    #[error("the key `{0}` stands twice in one object; remove one")]
    DuplicateKey(String),
    /// The bytes are no text.
    #[error("not UTF-8; save the file in that encoding")]
    Encoding,
    /// Anything else against the grammar.
    #[error("{0}")]
    Syntax(String),
}

/// Parses one JSON document.
///
/// # Errors
/// The first fault, with line and column.
pub fn parse_json(bytes: &[u8]) -> Result<Value, JsonError> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Err(at(bytes, error.valid_up_to(), JsonErrorKind::Encoding)),
    };
    let suspect = scan(text)?;
    let duplicate = Cell::new(None);
    let mut parser = serde_json::Deserializer::from_str(text);
    let parsed = Strict {
        duplicate: &duplicate,
    }
    .deserialize(&mut parser);
    parsed
        .and_then(|value| parser.end().map(|()| value))
        .map_err(|error| {
            let offset = offset_of(bytes, error.line(), error.column());
            if let Some(key) = duplicate.take() {
                return at(bytes, offset, JsonErrorKind::DuplicateKey(key));
            }
            // A string that begins with a plain mark and ends with a typographic one runs on to the end of its line.
            if let Some((quote, quote_offset)) = suspect
                && quote_offset <= offset
                && !bytes
                    .get(quote_offset..offset)
                    .unwrap_or_default()
                    .contains(&b'\n')
            {
                return at(bytes, quote_offset, JsonErrorKind::TypographicQuote(quote));
            }
            let place = format!(" at line {} column {}", error.line(), error.column());
            let told = error.to_string();
            let told = told.strip_suffix(&place).unwrap_or(&told);
            at(
                bytes,
                offset,
                JsonErrorKind::Syntax(super::schema::shorten(told)),
            )
        })
}

/// Finds, before any recursion, what the parser could not explain. Gives back the last typographic quotation mark
/// that stands within a string before the first line break within a string: it may have been meant to end it.
fn scan(text: &str) -> Result<Option<(char, usize)>, JsonError> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut suspect = None;
    for (offset, c) in text.char_indices() {
        if in_string {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => in_string = false,
                // Not allowed within a string: from here on, what is inside and what outside is a guess.
                '\n' => return Ok(suspect),
                _ if is_typographic(c) => suspect = Some((c, offset)),
                _ => {}
            }
            continue;
        }
        match c {
            '"' => in_string = true,
            '[' | '{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(at(text.as_bytes(), offset, JsonErrorKind::TooDeep));
                }
            }
            ']' | '}' => depth = depth.saturating_sub(1),
            _ if is_typographic(c) => {
                return Err(at(
                    text.as_bytes(),
                    offset,
                    JsonErrorKind::TypographicQuote(c),
                ));
            }
            _ => {}
        }
    }
    Ok(suspect)
}

pub(super) fn is_typographic(c: char) -> bool {
    matches!(
        c,
        '“' | '”' | '„' | '‟' | '‘' | '’' | '‚' | '‛' | '«' | '»' | '‹' | '›' | '＂'
    )
}

/// An error at a byte offset.
fn at(bytes: &[u8], offset: usize, kind: JsonErrorKind) -> JsonError {
    let before = bytes.get(..offset).unwrap_or(bytes);
    let line_start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = String::from_utf8_lossy(before.get(line_start..).unwrap_or_default())
        .chars()
        .count()
        + 1;
    JsonError { line, column, kind }
}

/// The byte offset of a place that the parser tells as line and byte column.
fn offset_of(bytes: &[u8], line: usize, column: usize) -> usize {
    let mut start = 0;
    for _ in 1..line {
        let rest = bytes.get(start..).unwrap_or_default();
        let Some(newline) = rest.iter().position(|byte| *byte == b'\n') else {
            break;
        };
        start += newline + 1;
    }
    // Column 0 is the line break itself, which the parser counts to the line after it.
    (start + column).saturating_sub(1).min(bytes.len())
}

/// Builds a value and refuses a key that its object has already.
#[derive(Clone, Copy)]
struct Strict<'a> {
    duplicate: &'a Cell<Option<String>>,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if fields.contains_key(&key) {
                let error = A::Error::custom("duplicate key");
                self.duplicate.set(Some(key.chars().take(100).collect()));
                return Err(error);
            }
            fields.insert(key, entries.next_value_seed(self)?);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn refused(text: &str) -> JsonError {
        parse_json(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_typographic_quote_is_named_with_its_place_and_what_to_use() {
        let error = refused("{\n “identifier”: 1}");
        assert_eq!((error.line, error.column), (2, 2));
        assert_eq!(error.kind, JsonErrorKind::TypographicQuote('“'));
        assert_eq!(
            error.to_string(),
            "line 2, column 2: `“` (U+201C) is a typographic quotation mark; use the plain `\"` (U+0022)"
        );
        for quote in "“”„‟‘’«»".chars() {
            assert_eq!(
                refused(&format!("[{quote}")).kind,
                JsonErrorKind::TypographicQuote(quote)
            );
        }
    }

    #[test]
    fn a_string_that_ends_in_a_typographic_quote_is_understood_too() {
        let error = refused("{\n \"größe\": \"abc”,\n \"x\": 1\n}");
        assert_eq!(
            (error.line, error.column, error.kind),
            (2, 15, JsonErrorKind::TypographicQuote('”'))
        );
        let error = refused("{\"a”: 1}");
        assert_eq!(
            (error.column, error.kind),
            (4, JsonErrorKind::TypographicQuote('”'))
        );
    }

    #[test]
    fn a_typographic_quote_within_a_string_is_text() {
        assert_eq!(
            parse_json("\"“so” he said \\\" «x»\"".as_bytes()).unwrap(),
            json!("“so” he said \" «x»")
        );
        let error = refused("{\"a\": \"“so”\",\n \"b\": }");
        assert!(matches!(error.kind, JsonErrorKind::Syntax(_)), "{error}");
    }

    #[test]
    fn hostile_depth_is_refused_without_recursion() {
        let error = refused(&"[".repeat(100_000));
        assert_eq!(
            (error.column, error.kind),
            (MAX_DEPTH + 1, JsonErrorKind::TooDeep)
        );
        assert_eq!(
            refused(&"{\"a\":".repeat(100_000)).kind,
            JsonErrorKind::TooDeep
        );
        let deepest = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        assert!(parse_json(deepest.as_bytes()).is_ok());
        assert!(parse_json(format!("\"{}\"", "[".repeat(1_000)).as_bytes()).is_ok());
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        let error = refused("{\"a\": 1,\n \"b\": {\"x\": 1, \"x\": 2}}");
        assert_eq!(
            (error.line, error.kind),
            (2, JsonErrorKind::DuplicateKey("x".to_owned()))
        );
    }

    #[test]
    fn a_syntax_error_tells_its_place_once() {
        let error = refused("{\n  \"a\": tru\n}");
        assert_eq!(error.line, 2);
        assert!(!error.kind.to_string().contains("line"), "{error}");
        assert!(matches!(refused("").kind, JsonErrorKind::Syntax(_)));
        assert!(matches!(refused("{} {}").kind, JsonErrorKind::Syntax(_)));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let error = parse_json(b"{\"a\":\n\"\xff\"}").unwrap_err();
        assert_eq!(
            (error.line, error.column, error.kind),
            (2, 2, JsonErrorKind::Encoding)
        );
        assert_eq!(parse_json(b"\xEF\xBB\xBF[]").unwrap(), json!([]));
    }

    proptest! {
        #[test]
        fn it_takes_what_the_plain_parser_takes_and_gives_the_same(text in "[\\[\\]{}\",:a0 \\\\\n.-]{0,40}") {
            let plain: Option<Value> = serde_json::from_str(&text).ok();
            match (parse_json(text.as_bytes()), plain) {
                (Ok(ours), plain) => prop_assert_eq!(Some(ours), plain),
                (Err(_), None) => {}
                (Err(error), Some(_)) => prop_assert!(matches!(error.kind, JsonErrorKind::DuplicateKey(_))),
            }
        }
    }
}
