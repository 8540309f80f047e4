//! A length of time as people write it: `500ms`, `30s`, `5m`, `2h`, `5d`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("ms", 1),
    ("m", 60_000),
    ("s", 1_000),
];

/// The longest: a year.
const MOST: u64 = 365 * 86_400_000;

/// A length of time in whole milliseconds, at most 365 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pause(u64);

/// Why a text is no length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is a number and a unit, such as `500ms`, `30s`, `5m`, `2h` or `5d`, and 365 days at most"
)]
pub struct PauseError;

impl Pause {
    /// So many milliseconds; the longest where that is more.
    pub fn from_millis(millis: u64) -> Self {
        Self(millis.min(MOST))
    }

    /// In milliseconds.
    pub fn as_millis(self) -> u64 {
        self.0
    }
}

impl FromStr for Pause {
    type Err = PauseError;

    fn from_str(text: &str) -> Result<Self, PauseError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let factor = UNITS
            .into_iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, factor)| factor)
            .ok_or(PauseError)?;
        let number: u64 = number.parse().map_err(|_| PauseError)?;
        let millis = number.checked_mul(factor).ok_or(PauseError)?;
        (millis <= MOST).then_some(Self(millis)).ok_or(PauseError)
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS
            .into_iter()
            .filter(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor))
            .max_by_key(|(_, factor)| *factor);
        match whole {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}s", self.0),
        }
    }
}

impl Serialize for Pause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pause {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_read_back_as_it_was_written() {
        for text in ["1ms", "1500ms", "30s", "5m", "2h", "5d", "0s"] {
            assert_eq!(text.parse::<Pause>().unwrap().to_string(), text);
        }
        assert_eq!("120s".parse::<Pause>().unwrap().to_string(), "2m");
    }

    #[test]
    fn what_is_no_length_is_refused() {
        for text in [
            "",
            "5",
            "m",
            "-1s",
            "1.5h",
            "5 m",
            "366d",
            "99999999999999999999s",
            "1w",
        ] {
            assert_eq!(text.parse::<Pause>(), Err(PauseError), "{text}");
        }
    }
}
