//! What a package says that it was built from.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The parts that a package was built from, as it says itself: the host can show and compare it, but not prove it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Sbom {
    /// What built it, for example `rustc`; by name.
    pub tools: Vec<SbomTool>,
    /// What it was built from, itself left out; by name and version.
    pub components: Vec<SbomComponent>,
}

/// A program that took part in the build.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct SbomTool {
    /// Its name.
    pub name: String,
    /// Its version, in its own form.
    pub version: String,
}

/// A library that went into the package.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct SbomComponent {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Package URL, for example `pkg:cargo/serde@1.0.228`.
    pub purl: Option<String>,
    /// Licence expression of its author.
    pub license: Option<String>,
    /// SHA-256 of the archive that it came in, where it came in one.
    pub checksum: Option<String>,
    /// Where it came from, where that is known.
    pub origin: Option<SbomOrigin>,
    /// Whether its code is in the package, or only ran while that was built.
    pub scope: SbomScope,
}

/// Where the source of a library came from.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum SbomOrigin {
    /// A registry, whose archives have checksums.
    Registry,
    /// A repository at some commit.
    Git,
    /// The folder of the build, or one beside it.
    Path,
}

/// What part a library had in a package.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum SbomScope {
    /// Its code is in the package.
    Required,
    /// Its code ran during the build: a macro, a build script, and what those need.
    Excluded,
}

impl SbomOrigin {
    /// The word in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Git => "git",
            Self::Path => "path",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Registry, Self::Git, Self::Path];
        all.into_iter().find(|origin| origin.as_str() == text)
    }
}

/// In one line, for people: how many parts there are, and what built them.
impl fmt::Display for Sbom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |scope| {
            let of = self.components.iter();
            of.filter(|component| component.scope == scope).count()
        };
        match count(SbomScope::Required) {
            1 => f.write_str("1 dependency")?,
            several => write!(f, "{several} dependencies")?,
        }
        match count(SbomScope::Excluded) {
            0 => {}
            build => write!(f, ", {build} more for the build")?,
        }
        for (number, tool) in self.tools.iter().enumerate() {
            let before = if number == 0 { "; built by " } else { ", " };
            write!(f, "{before}{} {}", tool.name, tool.version)?;
        }
        f.write_str(" (as it says itself)")
    }
}
