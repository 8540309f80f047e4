//! One value that can be compared and put in order.

use std::cmp::Ordering;

use serde_json::Value;

/// Characters of the longest text that may be an instant; the fraction of a second takes the most.
const MAX_INSTANT: usize = 40;

/// A number, a text, a yes or no, or an instant. Values of different kinds are never equal and have no order.
///
/// A text in the form of RFC 3339, or a date alone, counts as an instant in microseconds: the same instant is equal in
/// whatever offset it is written.
#[derive(Clone, Copy, Debug)]
pub enum Scalar<'a> {
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Real(f64),
    /// A text.
    Text(&'a str),
    /// A yes or no.
    Boolean(bool),
    /// Microseconds since the Unix epoch.
    Instant(i64),
}

impl<'a> Scalar<'a> {
    /// The scalar of a JSON value; none for `null`, lists and objects.
    pub fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Null | Value::Array(_) | Value::Object(_) => None,
            Value::Bool(yes) => Some(Self::Boolean(*yes)),
            Value::Number(number) => match number.as_i64() {
                Some(integer) => Some(Self::Integer(integer)),
                None => number.as_f64().map(Self::real),
            },
            Value::String(text) => Some(Self::of_text(text)),
        }
    }

    /// As [`Self::of`], where a text is never an instant.
    pub fn plain(value: &'a Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::Text(text)),
            other => Self::of(other),
        }
    }

    /// The scalar of a text.
    pub fn of_text(text: &'a str) -> Self {
        instant(text).map_or(Self::Text(text), Self::Instant)
    }

    /// A number is whole however it is written.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "within 2^53 whole numbers are exact in both"
    )]
    fn real(number: f64) -> Self {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if number.fract() == 0.0 && number.abs() <= EXACT {
            Self::Integer(number as i64)
        } else {
            Self::Real(number)
        }
    }

    /// The order of two values of one kind.
    pub fn compare(&self, other: &Scalar<'_>) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(a), Scalar::Integer(b)) | (Self::Instant(a), Scalar::Instant(b)) => {
                Some(a.cmp(b))
            }
            (Self::Real(a), Scalar::Real(b)) => a.partial_cmp(b),
            (Self::Integer(a), Scalar::Real(b)) => Some(compare_mixed(*a, *b)),
            (Self::Real(a), Scalar::Integer(b)) => Some(compare_mixed(*b, *a).reverse()),
            (Self::Text(a), Scalar::Text(b)) => Some(a.cmp(b)),
            (Self::Boolean(a), Scalar::Boolean(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}

impl PartialEq for Scalar<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.compare(other) == Some(Ordering::Equal)
    }
}

/// Compares as numbers, where turning one into the kind of the other would lose digits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the bounds are checked before"
)]
fn compare_mixed(integer: i64, real: f64) -> Ordering {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if real >= BEYOND {
        return Ordering::Less;
    }
    if real < -BEYOND {
        return Ordering::Greater;
    }
    let whole = real.trunc() as i64;
    integer.cmp(&whole).then_with(|| {
        0.0_f64
            .partial_cmp(&real.fract())
            .unwrap_or(Ordering::Equal)
    })
}

/// Microseconds of a text that is an instant or a date.
fn instant(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let at = |index: usize| bytes.get(index).copied();
    // Nearly every text fails here, after four bytes.
    if !at(0)?.is_ascii_digit() || at(4)? != b'-' || at(7)? != b'-' || bytes.len() > MAX_INSTANT {
        return None;
    }
    if bytes.len() == 10 {
        let date: jiff::civil::Date = text.parse().ok()?;
        return Some(
            date.to_zoned(jiff::tz::TimeZone::UTC)
                .ok()?
                .timestamp()
                .as_microsecond(),
        );
    }
    let zone = matches!(at(bytes.len() - 1)?, b'Z' | b'z')
        || (bytes.len() > 6 && matches!(at(bytes.len() - 6)?, b'+' | b'-'));
    if !matches!(at(10)?, b'T' | b't') || !zone {
        return None;
    }
    let instant: jiff::Timestamp = text.parse().ok()?;
    Some(instant.as_microsecond())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn compare(a: &Value, b: &Value) -> Option<Ordering> {
        Scalar::of(a).unwrap().compare(&Scalar::of(b).unwrap())
    }

    #[test]
    fn numbers_are_equal_however_they_are_written() {
        assert_eq!(compare(&json!(1), &json!(1.0)), Some(Ordering::Equal));
        assert_eq!(compare(&json!(-0.0), &json!(0)), Some(Ordering::Equal));
        assert_eq!(compare(&json!(1), &json!(1.5)), Some(Ordering::Less));
        assert_eq!(compare(&json!(-1.5), &json!(-1)), Some(Ordering::Less));
        assert_eq!(
            compare(&json!(u64::MAX), &json!(i64::MAX)),
            Some(Ordering::Greater)
        );
        assert_eq!(
            compare(
                &json!(9_007_199_254_740_993_i64),
                &json!(9_007_199_254_740_992.0)
            ),
            Some(Ordering::Greater)
        );
    }

    #[test]
    fn instants_are_equal_in_whatever_offset_they_are_written() {
        let noon = json!("2026-02-03T12:00:00Z");
        for same in [
            "2026-02-03T13:00:00+01:00",
            "2026-02-03T12:00:00.000Z",
            "2026-02-03t12:00:00z",
        ] {
            assert_eq!(
                compare(&noon, &json!(same)),
                Some(Ordering::Equal),
                "{same}"
            );
        }
        assert_eq!(compare(&json!("2026-02-03"), &noon), Some(Ordering::Less));
        for text in [
            "2026-02-03T12:00:00",
            "2026-02-31",
            "2026-02-03 or so",
            "1234-5678-90",
            "2026-02-03T12:00:00Z[UTC]",
        ] {
            assert!(matches!(Scalar::of_text(text), Scalar::Text(_)), "{text}");
        }
    }

    #[test]
    fn values_of_different_kinds_have_no_order() {
        for (a, b) in [
            (json!("1"), json!(1)),
            (json!(true), json!(1)),
            (json!("true"), json!(true)),
            (json!("2026-02-03"), json!("a")),
        ] {
            assert_eq!(compare(&a, &b), None, "{a} {b}");
        }
        for none in [json!(null), json!([1]), json!({})] {
            assert!(Scalar::of(&none).is_none());
        }
    }
}
