//! Where settings are read from: the environment and files that the operator named.

use std::ffi::OsString;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use serde::de::DeserializeOwned;

use super::{ConfigError, Settings};

/// A config file is a page of text; more is a mistake in the path.
const MAX_CONFIG_BYTES: u64 = 1024 * 1024;

/// A variable of the environment, for the few things that are not settings: home folder, colour, cargo's own folders.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub(crate) fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Folder of this user's own settings, where the environment names one.
pub(crate) fn user_folder() -> Option<PathBuf> {
    let base = environment("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| environment("HOME").map(|home| PathBuf::from(home).join(".config")))?;
    Some(base.join("goldenpath"))
}

/// Reads a file that the operator named, wherever it is; at most `limit` bytes.
pub(crate) fn read_file(file: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let opened = cap_std::fs::File::open_ambient(file, ambient_authority())?;
    opened.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {limit} bytes"),
        ));
    }
    Ok(bytes)
}

pub(super) fn read_settings(file: &Path) -> Result<Settings, ConfigError> {
    let failed = |source| ConfigError::Read {
        file: file.to_owned(),
        source,
    };
    let bytes = read_file(file, MAX_CONFIG_BYTES).map_err(failed)?;
    let text = String::from_utf8(bytes)
        .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    parse_toml(&text).map_err(|(line, message)| ConfigError::File {
        file: file.to_owned(),
        line,
        message,
    })
}

pub(super) fn parse_toml<T: DeserializeOwned>(text: &str) -> Result<T, (usize, String)> {
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or_default();
        (before.matches('\n').count() + 1, error.message().to_owned())
    })
}
