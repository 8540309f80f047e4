//! What a value is in the index.

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, Value as Sql, ValueRef};
use serde_json::Value;

use crate::model::Scalar;

/// Bytes of a text that the index keeps; longer ones are found by their beginning and then looked at.
const MAX_TEXT: usize = 200;

/// Elements of one list that the index keeps. A list with more is marked, and what it holds is looked at instead.
const MAX_ELEMENTS: usize = 1_000;

/// First byte of a blob: a yes or no.
const BOOLEAN: u8 = 1;

/// First byte of a blob: an instant.
const INSTANT: u8 = 2;

/// A blob of this byte alone: a value that has more to it than the rows show, such as an object.
const OPAQUE: u8 = 3;

/// A blob of this byte alone: a list that was too long to keep.
pub(super) const CUT: u8 = 4;

/// A scalar as the index keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexValue(pub(in crate::store) Sql);

impl IndexValue {
    /// The row of a scalar.
    pub fn of(scalar: &Scalar<'_>) -> Self {
        Self(Key::of(scalar).to_owned())
    }

    /// Whether the row stands for this value and no other: a long text shares its beginning with others.
    pub fn is_exact(scalar: &Scalar<'_>) -> bool {
        // A cut text keeps at least so many bytes, as no character has more than four.
        !matches!(scalar, Scalar::Text(text) if text.len() > MAX_TEXT - 4)
    }

    /// What is in the index, as JSON. `None` where the row does not say it all.
    pub fn to_json(&self) -> Option<Value> {
        match &self.0 {
            Sql::Integer(number) => Some(Value::from(*number)),
            Sql::Real(number) => Some(Value::from(*number)),
            Sql::Text(text) if text.len() <= MAX_TEXT - 4 => Some(Value::from(text.as_str())),
            Sql::Blob(bytes) => match bytes.as_slice() {
                [BOOLEAN, yes] => Some(Value::from(*yes == 1)),
                _ => None,
            },
            _ => None,
        }
    }
}

/// A stretch of the index. An end that is absent is the end of the kind of the other.
#[derive(Clone, Debug, PartialEq)]
pub enum Span {
    /// One value.
    Point(IndexValue),
    /// Everything from one value to another of the same kind.
    Range {
        /// The lower end, and whether it belongs to it.
        from: (IndexValue, bool),
        /// The upper end, and whether it belongs to it.
        to: (IndexValue, bool),
    },
    /// Everything but the empty text.
    Present,
}

impl Span {
    /// From a scalar on to the end of its kind, or from the beginning of the kind to it.
    pub fn between(
        from: Option<(&Scalar<'_>, bool)>,
        to: Option<(&Scalar<'_>, bool)>,
    ) -> Option<Self> {
        let kind = from.or(to)?.0;
        let (least, most) = match kind {
            Scalar::Integer(_) | Scalar::Real(_) => {
                (Sql::Real(f64::NEG_INFINITY), Sql::Text(String::new()))
            }
            Scalar::Text(_) => (Sql::Text(String::new()), Sql::Blob(Vec::new())),
            Scalar::Boolean(_) => (Sql::Blob(vec![BOOLEAN]), Sql::Blob(vec![INSTANT])),
            Scalar::Instant(_) => (Sql::Blob(vec![INSTANT]), Sql::Blob(vec![OPAQUE])),
        };
        // A cut text stands for several: its own row always belongs to the stretch.
        let end = |end: Option<(&Scalar<'_>, bool)>, open: (Sql, bool)| match end {
            Some((scalar, closed)) => (
                IndexValue::of(scalar),
                closed || !IndexValue::is_exact(scalar),
            ),
            None => (IndexValue(open.0), open.1),
        };
        Some(Self::Range {
            from: end(from, (least, true)),
            to: end(to, (most, false)),
        })
    }

    /// The texts that begin so. `None` where instants may begin so too, which are not kept as texts.
    pub fn beginning(prefix: &str) -> Option<Self> {
        let first = prefix.bytes().next()?;
        if first.is_ascii_digit() || prefix.len() > MAX_TEXT - 4 {
            return None;
        }
        let to = match after(prefix) {
            Some(text) => Sql::Text(text),
            None => Sql::Blob(Vec::new()),
        };
        Some(Self::Range {
            from: (IndexValue(Sql::Text(prefix.to_owned())), true),
            to: (IndexValue(to), false),
        })
    }
}

/// The first text after all that begin so.
fn after(prefix: &str) -> Option<String> {
    let mut rest: Vec<char> = prefix.chars().collect();
    while let Some(last) = rest.pop() {
        // Between the two lie numbers that are no characters.
        let next = if last == '\u{D7FF}' {
            Some('\u{E000}')
        } else {
            char::from_u32(u32::from(last) + 1)
        };
        if let Some(next) = next {
            rest.push(next);
            return Some(rest.into_iter().collect());
        }
    }
    None
}

/// A row's value, borrowed from the entity that is being written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Key<'a> {
    Integer(i64),
    Real(f64),
    Text(&'a str),
    Blob([u8; 9], usize),
}

impl<'a> Key<'a> {
    pub(super) fn of(scalar: &Scalar<'a>) -> Self {
        match *scalar {
            Scalar::Integer(number) => Self::Integer(number),
            Scalar::Real(number) => Self::Real(number),
            Scalar::Text(text) => Self::Text(
                text.get(..text.floor_char_boundary(MAX_TEXT))
                    .unwrap_or(text),
            ),
            Scalar::Boolean(yes) => Self::Blob([BOOLEAN, u8::from(yes), 0, 0, 0, 0, 0, 0, 0], 2),
            Scalar::Instant(microseconds) => {
                let [a, b, c, d, e, f, g, h] = (microseconds ^ i64::MIN).to_be_bytes();
                Self::Blob([INSTANT, a, b, c, d, e, f, g, h], 9)
            }
        }
    }

    pub(super) fn mark(kind: u8) -> Self {
        Self::Blob([kind, 0, 0, 0, 0, 0, 0, 0, 0], 1)
    }

    fn to_owned(self) -> Sql {
        match self {
            Self::Integer(number) => Sql::Integer(number),
            Self::Real(number) => Sql::Real(number),
            Self::Text(text) => Sql::Text(text.to_owned()),
            Self::Blob(bytes, length) => {
                Sql::Blob(bytes.get(..length).unwrap_or_default().to_vec())
            }
        }
    }

    /// The rows of a value.
    pub(super) fn rows(value: Option<&'a Value>) -> Vec<Self> {
        let Some(value) = value else {
            return Vec::new();
        };
        if let Some(scalar) = Scalar::of(value) {
            return vec![Self::of(&scalar)];
        }
        match value {
            Value::Array(list) if list.len() > MAX_ELEMENTS => vec![Self::mark(CUT)],
            Value::Array(list) => {
                let mut rows: Vec<_> = list
                    .iter()
                    .filter_map(Scalar::of)
                    .map(|scalar| Self::of(&scalar))
                    .collect();
                // A list is not empty even where none of its elements says so.
                if rows.len() < list.len() || rows.contains(&Self::Text("")) {
                    rows.push(Self::mark(OPAQUE));
                }
                rows
            }
            Value::Object(fields) if !fields.is_empty() => vec![Self::mark(OPAQUE)],
            _ => Vec::new(),
        }
    }
}

impl ToSql for Key<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes, length) => ValueRef::Blob(bytes.get(..*length).unwrap_or_default()),
        }))
    }
}
