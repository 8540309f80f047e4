//! How an action ends without doing what was asked.

use std::borrow::Cow;
use std::fmt;

/// A call that this plugin version was not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The canonical capability line that would allow the call, as it has to stand in `plugin.toml`.
    pub missing: String,
    /// One sentence for a person: what was refused and how to ask for it.
    pub message: String,
}

/// One place where a value breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// JSON pointer into the checked value, for example `/properties/type`; empty for the value itself.
    pub path: String,
    /// The rule that was broken, for example `enum`, `required`, `pattern`.
    pub rule: String,
    /// One sentence for a person.
    pub message: String,
}

/// How an action ends without doing what was asked: a code for programs and a sentence for people.
///
/// Every error of this crate's wrappers turns into one with `?`; the code is then the error's own, for example
/// `denied`, `not_found`, `conflict`, `invalid`, `unavailable`.
///
/// ```
/// use goldenpath_sdk::Failure;
///
/// let failure = Failure::new("service_exists", "the service `orders` exists already");
/// assert_eq!(failure.code(), "service_exists");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    code: Cow<'static, str>,
    message: String,
    violations: Vec<Violation>,
}

impl Failure {
    /// A failure of the author's own; `code` is one `snake_case` word that a program can act on.
    pub fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            violations: Vec::new(),
        }
    }

    /// The input does not fit, in a way that a schema cannot say; the code is `invalid_input`.
    ///
    /// ```
    /// use goldenpath_sdk::{Failure, Violation};
    ///
    /// let (from, to) = (9, 3);
    /// let failure = Failure::invalid_input(vec![Violation {
    ///     path: "/to".to_owned(),
    ///     rule: "order".to_owned(),
    ///     message: format!("`to` ({to}) is before `from` ({from})"),
    /// }]);
    /// assert_eq!(failure.code(), "invalid_input");
    /// ```
    pub fn invalid_input(violations: Vec<Violation>) -> Self {
        Self {
            code: Cow::Borrowed(INVALID_INPUT),
            message: "the input does not fit".to_owned(),
            violations,
        }
    }

    /// The `snake_case` word for programs.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The sentence for the person who asked.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where the input, or an entity, breaks its rules; empty for any other failure.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// What an `invalid` error of the catalog becomes: the message tells every violation.
    pub(crate) fn invalid(message: String, violations: Vec<Violation>) -> Self {
        Self {
            code: Cow::Borrowed("invalid"),
            message,
            violations,
        }
    }

    #[cfg(target_arch = "wasm32")]
    pub(crate) fn into_parts(self) -> (String, String, Vec<Violation>) {
        (self.code.into_owned(), self.message, self.violations)
    }
}

/// Code of an input that does not fit; the contract has a case of its own for it.
pub(crate) const INVALID_INPUT: &str = "invalid_input";

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        f.write_str(": ")?;
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// Code `io`: from the standard library's traits on [`files::Reader`](crate::files::Reader) and
/// [`files::Writer`](crate::files::Writer).
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new("io", error.to_string())
    }
}

/// Code `invalid_json`: a value that does not fit its Rust type.
impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::new("invalid_json", error.to_string())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            f.write_str(&self.path)?;
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

/// All violations in one line.
pub(crate) fn join(violations: &[Violation]) -> String {
    violations
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}
