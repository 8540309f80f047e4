//! Paths as a guest may write them.

use super::Refusal;

/// Longer paths could not be opened everywhere, and nothing good has one.
const PATH_BYTES: usize = 1_024;
/// What file systems allow.
const SEGMENT_BYTES: usize = 255;
/// Folders in folders: the host walks them one by one.
const SEGMENTS: usize = 32;

/// Names of files that are being written begin so; a guest neither sees nor makes such names.
pub(super) const PARTIAL: &str = ".goldenpath-partial-";

/// A path inside a granted folder: plain segments, each one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FilePath {
    segments: Vec<String>,
}

impl FilePath {
    /// Reads the path of something in the folder.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        if text.is_empty() {
            return Err(Refusal::InvalidPath("the path is empty".to_owned()));
        }
        Self::parse_folder(text)
    }

    /// As [`Self::parse`]; the empty path is the granted folder itself.
    pub(super) fn parse_folder(text: &str) -> Result<Self, Refusal> {
        let refuse = |why: &str| Err(Refusal::InvalidPath(why.to_owned()));
        if text.is_empty() {
            return Ok(Self {
                segments: Vec::new(),
            });
        }
        if text.len() > PATH_BYTES {
            return refuse("the path is longer than 1,024 bytes");
        }
        if text.contains(['\0', '\\']) {
            return refuse("the path has a NUL or a backslash in it");
        }
        let segments: Vec<_> = text.split('/').map(str::to_owned).collect();
        if segments.len() > SEGMENTS {
            return refuse("the path has more than 32 segments");
        }
        for segment in &segments {
            match segment.as_str() {
                "" => {
                    return refuse("the path has an empty segment, or begins or ends with a slash");
                }
                "." | ".." => return refuse("the path has a segment `.` or `..`"),
                long if long.len() > SEGMENT_BYTES => {
                    return refuse("a segment is longer than 255 bytes");
                }
                ours if ours.starts_with(PARTIAL) => {
                    return refuse("names that begin like this are the host's own");
                }
                odd if odd.chars().any(char::is_control) => {
                    return refuse("the path has a control character in it");
                }
                _ => {}
            }
        }
        Ok(Self { segments })
    }

    /// The folders on the way and the last name; `None` for the granted folder itself.
    pub(super) fn split(&self) -> Option<(&[String], &str)> {
        self.segments
            .split_last()
            .map(|(name, folders)| (folders, name.as_str()))
    }

    /// Every segment.
    pub(super) fn segments(&self) -> &[String] {
        &self.segments
    }

    /// Whether this is the other path or lies below it.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.segments.starts_with(&other.segments)
    }
}

impl std::fmt::Display for FilePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.segments.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::FilePath;

    #[test]
    fn plain_relative_paths_are_accepted() {
        for path in [
            "a",
            "a/b.txt",
            ".github/workflows/ci.yml",
            "ünï/ço de",
            "..a",
            "a..",
        ] {
            assert_eq!(FilePath::parse(path).unwrap().to_string(), path);
        }
        assert!(FilePath::parse_folder("").unwrap().split().is_none());
    }

    #[test]
    fn paths_that_could_lead_elsewhere_are_refused() {
        let long = "a".repeat(2_000);
        let deep = "a/".repeat(40) + "a";
        let wide = "a".repeat(256);
        for path in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "a/../b",
            "a/./b",
            "a//b",
            "a/",
            "a\0b",
            "a\\..\\b",
            "a\nb",
            &long,
            &deep,
            &wide,
            ".goldenpath-partial-1",
        ] {
            assert!(FilePath::parse(path).is_err(), "{path:?}");
        }
    }
}
