//! Whether some lines allow nothing beyond others, and if they do, one concrete act as the proof.
//!
//! The grammar is small enough to decide this without a solver. A line stands for all acts of one form; a few of them,
//! made of names that no other line knows, stand for all the rest: whatever line allows those allows every act of that
//! form. The tests hold both answers against what the sandbox itself lets through.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;

use super::http::PathPattern;
use super::line::Line;
use super::{Capability, CatalogAccess, FilesAccess, Place};
use crate::model::{ActionId, BlueprintId};
use crate::plugin::budget::Budget;

/// One thing that a guest does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Reads an entity.
    Read(BlueprintId),
    /// Writes an entity.
    Write {
        /// Of which blueprint.
        blueprint: BlueprintId,
        /// With these properties.
        properties: Vec<String>,
        /// And clears all others.
        replaces: bool,
    },
    /// Deletes an entity.
    Delete(BlueprintId),
    /// Looks at the real time.
    TellTime,
    /// Uses a folder.
    Files {
        /// Which.
        folder: String,
        /// For what.
        access: FilesAccess,
        /// With so many bytes in it.
        bytes: u64,
        /// In so many files.
        files: u64,
    },
    /// Sends a request.
    Send {
        /// Its method.
        method: String,
        /// Where to.
        to: Place,
        /// Its path.
        path: Vec<String>,
        /// The keys of its query.
        query: Vec<String>,
        /// The secret that is attached.
        secret: Option<String>,
        /// Whether it ends at an inside address.
        inside: bool,
    },
    /// Draws a random number.
    DrawRandom,
    /// Starts a run.
    RunAction(ActionId),
    /// Reads a secret.
    ReadSecret(String),
    /// Keeps a value.
    Keep,
    /// Uses so much of a budget.
    Spend(Budget, u64),
}

/// A line that allows more than it may, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excess {
    /// The line.
    pub(crate) line: Line,
    /// Something that it allows and no line of the other side does.
    pub(crate) deed: Deed,
}

/// Lines that others are held against, however often, with what they name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Maximum {
    lines: Vec<Line>,
    known: Known,
}

impl Maximum {
    /// Adds a line.
    pub(crate) fn take(&mut self, line: Line) {
        self.known.take(&line);
        self.lines.push(line);
    }

    /// Its lines, as they were added.
    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Whether a line allows nothing beyond it.
    pub(crate) fn holds(&self, line: &Line) -> bool {
        self.excess(line).is_none()
    }

    /// Every line of a request that allows what no line of this does; none where all of it is within.
    pub(crate) fn beyond(&self, request: &[Line]) -> Vec<Excess> {
        let request = request.iter();
        request.filter_map(|line| self.excess(line)).collect()
    }

    fn excess(&self, line: &Line) -> Option<Excess> {
        let refused = |deed: &Deed| !self.lines.iter().any(|line| line.allows(deed));
        let deed = self.known.samples(line).into_iter().find(refused)?;
        let line = line.clone();
        Some(Excess { line, deed })
    }
}

impl FromIterator<Line> for Maximum {
    fn from_iter<I: IntoIterator<Item = Line>>(lines: I) -> Self {
        let mut maximum = Self::default();
        lines.into_iter().for_each(|line| maximum.take(line));
        maximum
    }
}

impl Line {
    /// Whether this line by itself allows an act.
    pub(crate) fn allows(&self, deed: &Deed) -> bool {
        match (self, deed) {
            (Self::Limit(budget, most), Deed::Spend(spent, amount)) => {
                budget == spent && amount <= most
            }
            (Self::Capability(capability), deed) => capability.allows(deed),
            (Self::Limit(..), _) => false,
        }
    }
}

impl Capability {
    fn allows(&self, deed: &Deed) -> bool {
        match (self, deed) {
            (
                Self::Catalog {
                    access, blueprint, ..
                },
                Deed::Read(on),
            ) => *access == CatalogAccess::Read && blueprint == on,
            (
                Self::Catalog {
                    access, blueprint, ..
                },
                Deed::Delete(on),
            ) => *access == CatalogAccess::Delete && blueprint == on,
            (
                Self::Catalog {
                    access,
                    blueprint,
                    properties,
                },
                Deed::Write {
                    blueprint: on,
                    properties: written,
                    replaces,
                },
            ) => {
                let all_listed = properties.as_ref().is_none_or(|listed| {
                    // What a replacement leaves out is cleared: that is a write of every property.
                    !replaces && written.iter().all(|name| listed.contains(name))
                });
                *access == CatalogAccess::Upsert && blueprint == on && all_listed
            }
            (
                Self::Files {
                    access: granted,
                    folder,
                    max_bytes,
                    max_files,
                },
                Deed::Files {
                    folder: used,
                    access,
                    bytes,
                    files,
                },
            ) => folder == used && access <= granted && bytes <= max_bytes && files <= max_files,
            (
                Self::Http {
                    method,
                    to,
                    path,
                    query,
                    secret,
                    private,
                },
                Deed::Send {
                    method: sent,
                    to: there,
                    path: target,
                    query: keys,
                    secret: attached,
                    inside,
                },
            ) => {
                method == sent
                    && to == there
                    && path.matches(target)
                    && query
                        .as_ref()
                        .is_none_or(|listed| keys.iter().all(|key| listed.contains(key)))
                    && secret == attached
                    && (*private || !inside)
            }
            (Self::RunAction { action }, Deed::RunAction(wanted)) => action == wanted,
            (Self::Secret { name }, Deed::ReadSecret(wanted)) => name == wanted,
            (Self::Clock, Deed::TellTime)
            | (Self::Random, Deed::DrawRandom)
            | (Self::State, Deed::Keep) => true,
            _ => false,
        }
    }
}

/// What the lines of a maximum name, so that other names can be told from all of them.
#[derive(Clone, Debug, Default)]
struct Known {
    segments: BTreeSet<String>,
    keys: BTreeSet<String>,
    /// Segments of the longest pattern.
    longest: usize,
}

impl Known {
    fn take(&mut self, line: &Line) {
        if let Line::Capability(Capability::Http { path, query, .. }) = line {
            self.segments.extend(path.segments().iter().cloned());
            self.keys.extend(query.iter().flatten().cloned());
            self.longest = self.longest.max(path.segments().len());
        }
    }

    /// Acts that a line allows, which stand for all that it allows: where a maximum has a line for each of these, it
    /// has one for every act.
    fn samples(&self, line: &Line) -> Vec<Deed> {
        let one = |deed| vec![deed];
        let capability = match line {
            Line::Limit(budget, most) => return one(Deed::Spend(*budget, *most)),
            Line::Capability(capability) => capability.clone(),
        };
        match capability {
            Capability::Catalog {
                access: CatalogAccess::Read,
                blueprint,
                ..
            } => one(Deed::Read(blueprint)),
            Capability::Catalog {
                access: CatalogAccess::Delete,
                blueprint,
                ..
            } => one(Deed::Delete(blueprint)),
            Capability::Catalog {
                access: CatalogAccess::Upsert,
                blueprint,
                properties,
            } => one(Deed::Write {
                blueprint,
                replaces: properties.is_none(),
                properties: properties.unwrap_or_default(),
            }),
            Capability::Clock => one(Deed::TellTime),
            Capability::Files {
                access,
                folder,
                max_bytes,
                max_files,
            } => one(Deed::Files {
                folder,
                access,
                bytes: max_bytes,
                files: max_files,
            }),
            Capability::Http {
                method,
                to,
                path,
                query,
                secret,
                private,
            } => {
                let query = query.unwrap_or_else(|| vec![stranger("q", &self.keys)]);
                // Behind an endpoint's URL there may be nothing; behind an origin there is a slash at least.
                let is_path =
                    |path: &Vec<String>| !path.is_empty() || matches!(to, Place::Endpoint(_));
                let paths = self.paths(&path).into_iter().filter(is_path);
                let send = |path| Deed::Send {
                    method: method.clone(),
                    to: to.clone(),
                    path,
                    query: query.clone(),
                    secret: secret.clone(),
                    inside: private,
                };
                paths.map(send).collect()
            }
            Capability::Random => one(Deed::DrawRandom),
            Capability::RunAction { action } => one(Deed::RunAction(action)),
            Capability::Secret { name } => one(Deed::ReadSecret(name)),
            Capability::State => one(Deed::Keep),
        }
    }

    /// A path for every length up to one more than any pattern knows, and the same with a slash at the end: behind that
    /// only `**` goes on, and that goes on for ever.
    fn paths(&self, pattern: &PathPattern) -> Vec<Vec<String>> {
        let any = stranger("x", &self.segments);
        let fixed = pattern.segments().iter();
        let fixed: Vec<String> = fixed
            .map(|segment| match segment.as_str() {
                "*" => any.clone(),
                literal => literal.to_owned(),
            })
            .collect();
        let mut paths = vec![fixed.clone()];
        if pattern.is_open() {
            let more = self.longest.saturating_sub(fixed.len()) + 1;
            for length in 1..=more {
                let longer = |last: &str| {
                    let between = std::iter::repeat_n(any.clone(), length - 1);
                    let path = fixed.iter().cloned().chain(between);
                    path.chain([last.to_owned()]).collect()
                };
                paths.extend([longer(&any), longer("")]);
            }
        }
        paths
    }
}

/// A name that is none of these.
fn stranger(beginning: &str, known: &BTreeSet<String>) -> String {
    let numbered = (0..=known.len()).map(|number| format!("{beginning}{number}"));
    std::iter::once(beginning.to_owned())
        .chain(numbered)
        .find(|name| !known.contains(name))
        .unwrap_or_default()
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` allows to {}", self.line, self.deed)
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(blueprint) => write!(f, "read a `{blueprint}`"),
            Self::Write {
                blueprint,
                replaces: true,
                ..
            } => write!(f, "write any property of a `{blueprint}`"),
            Self::Write {
                blueprint,
                properties,
                ..
            } => write!(f, "write `{}` of a `{blueprint}`", properties.join("`, `")),
            Self::Delete(blueprint) => write!(f, "delete a `{blueprint}`"),
            Self::TellTime => f.write_str("tell the time"),
            Self::Files {
                folder,
                access,
                bytes,
                files,
            } => {
                let verb = match access {
                    FilesAccess::Read => "read",
                    FilesAccess::ReadWrite => "write",
                };
                write!(
                    f,
                    "{verb} folder `{folder}` up to {bytes} bytes in {files} files"
                )
            }
            Self::Send {
                method,
                to,
                path,
                query,
                secret,
                inside,
            } => {
                write!(f, "send `{method} {to}")?;
                path.iter()
                    .try_for_each(|segment| write!(f, "/{segment}"))?;
                for (index, key) in query.iter().enumerate() {
                    write!(f, "{}{key}=", if index == 0 { '?' } else { '&' })?;
                }
                f.write_str("`")?;
                if let Some(secret) = secret {
                    write!(f, " with `{secret}`")?;
                }
                f.write_str(if *inside { " to an inside address" } else { "" })
            }
            Self::DrawRandom => f.write_str("draw random numbers"),
            Self::RunAction(action) => write!(f, "start action `{action}`"),
            Self::ReadSecret(name) => write!(f, "read secret `{name}`"),
            Self::Keep => f.write_str("keep values between runs"),
            Self::Spend(budget, amount) => {
                write!(f, "use {} of `{}`", budget.render(*amount), budget.key())
            }
        }
    }
}
