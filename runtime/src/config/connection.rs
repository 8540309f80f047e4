//! Which server the client commands talk to, and as whom: flags, then environment, then the credentials file.

use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt as _, OpenOptions, OpenOptionsExt as _};
use serde::{Deserialize, Serialize};

use super::value::Secret;

/// Where `serve` listens by default.
const DEFAULT_URL: &str = "http://127.0.0.1:4000";

/// A credentials file is four lines.
const MAX_CREDENTIALS_BYTES: u64 = 64 * 1024;

/// How a client command finds its server.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Server")]
pub struct Connection {
    /// URL of the server [default: the one of the credentials file, else `http://127.0.0.1:4000`]
    #[arg(long, env = "GOLDENPATH_URL", value_name = "URL")]
    pub url: Option<String>,

    /// Client id of the credential
    #[arg(long, env = "GOLDENPATH_CLIENT_ID", value_name = "ID")]
    pub client_id: Option<String>,

    /// Client secret; prefer the variable or `goldenpath login`, since others on the machine can read flags
    #[arg(
        long,
        env = "GOLDENPATH_CLIENT_SECRET",
        value_name = "SECRET",
        hide_env_values = true
    )]
    pub client_secret: Option<Secret>,

    /// Credentials file to use in place of ~/.config/goldenpath/credentials
    #[arg(long, env = "GOLDENPATH_CREDENTIALS", value_name = "FILE")]
    pub credentials: Option<PathBuf>,

    /// PEM file with the certificate authorities to trust, instead of the public ones
    #[arg(long, env = "GOLDENPATH_CA_CERT", value_name = "FILE")]
    pub ca_cert: Option<PathBuf>,

    /// Send credentials over plain HTTP to a server that is not on this machine
    #[arg(long, env = "GOLDENPATH_ALLOW_PLAINTEXT", value_parser = clap::builder::BoolishValueParser::new())]
    pub allow_plaintext: bool,
}

/// What a credentials file holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Credentials {
    /// The server that the credential is for; it is sent nowhere else.
    pub url: String,
    /// Public half.
    pub client_id: String,
    /// Secret half.
    pub client_secret: Secret,
    /// Certificate authorities to trust.
    #[serde(default)]
    pub ca_cert: Option<PathBuf>,
}

/// A server and who we are there.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Without a slash at its end.
    pub url: String,
    /// Public half of the credential.
    pub client_id: String,
    /// Secret half.
    pub client_secret: Secret,
    /// Certificate authorities to trust.
    pub ca_cert: Option<PathBuf>,
}

/// Why it is not known where to go, or as whom.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The credentials file cannot be read or written.
    #[error("use credentials file `{}`", file.display())]
    File {
        /// The file.
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Others can read the secret in it.
    #[error("credentials file `{0}` can be read by others on this machine; make it private: chmod 600 {0}", file.display())]
    Exposed {
        /// The file.
        file: PathBuf,
    },
    /// It is not what `login` writes.
    #[error("credentials file `{}`, line {line}: {message}; write it anew with `goldenpath login`", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// The text says what is missing and what to do.
    #[error("{0}")]
    Missing(String),
}

impl Connection {
    /// Finds the server and the credential.
    pub fn resolve(&self) -> Result<Endpoint, ConnectionError> {
        let file = self.credentials_file();
        let stored = match &file {
            Some(file) => Credentials::read(file, self.credentials.is_some())?,
            None => None,
        };
        self.resolve_with(stored)
    }

    fn resolve_with(&self, stored: Option<Credentials>) -> Result<Endpoint, ConnectionError> {
        let stored_url = stored.as_ref().map(|stored| stored.url.as_str());
        let url = self.url.as_deref().or(stored_url).unwrap_or(DEFAULT_URL);
        let url = check_url(url, self.allow_plaintext)?;
        let given = match (&self.client_id, &self.client_secret) {
            (Some(id), Some(secret)) => Some((id.clone(), secret.clone(), None)),
            (None, None) => None,
            _ => {
                return Err(ConnectionError::Missing(
                    "a credential is a client id and a client secret; only one of them was given"
                        .to_owned(),
                ));
            }
        };
        // A secret goes to the server that it is for, and to no other that a flag or variable may name.
        let stored = stored
            .filter(|stored| stored.url.trim_end_matches('/') == url)
            .map(|stored| (stored.client_id, stored.client_secret, stored.ca_cert));
        let (client_id, client_secret, ca_cert) = given.or(stored).ok_or_else(|| {
            ConnectionError::Missing(format!(
                "no credential for {url}; use `goldenpath login --url {url}`, or set GOLDENPATH_CLIENT_ID and \
                 GOLDENPATH_CLIENT_SECRET"
            ))
        })?;
        Ok(Endpoint {
            url,
            client_id,
            client_secret,
            ca_cert: self.ca_cert.clone().or(ca_cert),
        })
    }

    /// The file that `login` writes and the other commands read.
    pub fn credentials_file(&self) -> Option<PathBuf> {
        let usual = || super::user_folder().map(|folder| folder.join("credentials"));
        self.credentials.clone().or_else(usual)
    }

    /// As [`Self::resolve`], without what a credentials file holds: that is about to be written anew.
    pub fn resolve_given(&self) -> Result<Endpoint, ConnectionError> {
        self.resolve_with(None)
    }
}

impl Credentials {
    fn read(file: &Path, must_exist: bool) -> Result<Option<Self>, ConnectionError> {
        let text = match read_private(file) {
            Err(ConnectionError::File { source, .. })
                if source.kind() == io::ErrorKind::NotFound && !must_exist =>
            {
                return Ok(None);
            }
            read => read?,
        };
        match super::parse_toml(&text) {
            Ok(credentials) => Ok(Some(credentials)),
            Err((line, message)) => Err(ConnectionError::Malformed {
                file: file.to_owned(),
                line,
                message,
            }),
        }
    }

    /// Writes the file so that only its owner can read it, all at once.
    pub fn write(&self, file: &Path) -> Result<(), ConnectionError> {
        #[derive(Serialize)]
        #[serde(rename_all = "kebab-case")]
        struct Shown<'a> {
            url: &'a str,
            client_id: &'a str,
            client_secret: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            ca_cert: Option<&'a Path>,
        }
        let shown = Shown {
            url: &self.url,
            client_id: &self.client_id,
            client_secret: self.client_secret.expose(),
            ca_cert: self.ca_cert.as_deref(),
        };
        let text = toml::to_string(&shown).map_err(|error| ConnectionError::File {
            file: file.to_owned(),
            source: io::Error::other(error),
        })?;
        write_private(file, &text)
    }
}

/// Reads a small file with a secret in it; refuses one that others can read.
pub(crate) fn read_private(file: &Path) -> Result<String, ConnectionError> {
    let failed = |source| ConnectionError::File {
        file: file.to_owned(),
        source,
    };
    let opened = cap_std::fs::File::open_ambient(file, ambient_authority()).map_err(failed)?;
    let opened = opened.into_std();
    // Asked of the opened file, so that nobody can swap it in between.
    let mode = opened.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(ConnectionError::Exposed {
            file: file.to_owned(),
        });
    }
    let mut text = String::new();
    opened
        .take(MAX_CREDENTIALS_BYTES)
        .read_to_string(&mut text)
        .map_err(failed)?;
    Ok(text)
}

/// Writes a small file that only its owner can read, all at once.
pub(crate) fn write_private(file: &Path, text: &str) -> Result<(), ConnectionError> {
    try_write_private(file, text).map_err(|source| ConnectionError::File {
        file: file.to_owned(),
        source,
    })
}

/// Writes a file that only its owner can read, where there is none; what is there stays as it is.
pub(crate) fn create_private(file: &Path, text: &str) -> io::Result<()> {
    let (dir, name) = place_of(file)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut opened = dir.open_with(name, &options)?;
    let written = opened
        .write_all(text.as_bytes())
        .and_then(|()| opened.sync_all());
    if written.is_err() {
        // It is ours, and a part of it helps nobody.
        drop(dir.remove_file(name));
    }
    written
}

fn place_of(file: &Path) -> io::Result<(Dir, &OsStr)> {
    let (Some(parent), Some(name)) = (file.parent(), file.file_name()) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it names no file",
        ));
    };
    Ok((open_private_dir(parent)?, name))
}

fn try_write_private(file: &Path, text: &str) -> io::Result<()> {
    let (dir, name) = place_of(file)?;
    let mut fresh = name.to_owned();
    fresh.push(".new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut opened = dir.open_with(&fresh, &options)?;
    // A file left over from an interrupted write keeps its old mode otherwise.
    let private = std::fs::Permissions::from_mode(0o600);
    opened.set_permissions(cap_std::fs::Permissions::from_std(private))?;
    opened.write_all(text.as_bytes())?;
    opened.sync_all()?;
    dir.rename(&fresh, &dir, name)
}

/// Opens a folder, making it for its owner alone where it is missing.
fn open_private_dir(path: &Path) -> io::Result<Dir> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    match Dir::open_ambient_dir(path, ambient_authority()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let parent = open_private_dir(parent)?;
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    parent.create_dir_with(name, &builder)?;
    parent.open_dir(name)
}

/// Takes a URL as people write it; refuses to send secrets in clear text across a network.
fn check_url(text: &str, allow_plaintext: bool) -> Result<String, ConnectionError> {
    let url = text.trim_end_matches('/');
    let refused = || {
        ConnectionError::Missing(format!(
            "`{text}` is not the URL of a server; it looks like https://portal.example.com"
        ))
    };
    let (scheme, authority) = url.split_once("://").ok_or_else(refused)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-:[]_".contains(c);
    if authority.is_empty() || !authority.chars().all(plain) {
        return Err(refused());
    }
    match scheme {
        "https" => {}
        "http" if allow_plaintext || is_loopback(authority) => {}
        "http" => {
            return Err(ConnectionError::Missing(format!(
                "refuse to send a credential to {url} in clear text; use https://, or --allow-plaintext if nobody \
                 can listen on the way"
            )));
        }
        _ => return Err(refused()),
    }
    Ok(url.to_owned())
}

/// Whether `host` or `host:port` is this machine.
pub(crate) fn is_loopback(authority: &str) -> bool {
    let host = match authority
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((host, _)) => host,
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Credentials {
        Credentials {
            url: "https://portal.example.com".to_owned(),
            client_id: "stored".to_owned(),
            client_secret: Secret::new("stored-secret".to_owned()),
            ca_cert: None,
        }
    }

    fn given(url: Option<&str>, credential: Option<(&str, &str)>) -> Connection {
        Connection {
            url: url.map(str::to_owned),
            client_id: credential.map(|(id, _)| id.to_owned()),
            client_secret: credential.map(|(_, secret)| Secret::new(secret.to_owned())),
            ..Connection::default()
        }
    }

    #[test]
    fn flags_win_over_the_file() {
        let endpoint = given(None, None).resolve_with(Some(stored())).unwrap();
        assert_eq!(endpoint.url, "https://portal.example.com");
        assert_eq!(endpoint.client_id, "stored");
        let endpoint = given(Some("http://127.0.0.1:1/"), Some(("me", "s")))
            .resolve_with(Some(stored()))
            .unwrap();
        assert_eq!(
            (endpoint.url.as_str(), endpoint.client_id.as_str()),
            ("http://127.0.0.1:1", "me")
        );
    }

    #[test]
    fn a_stored_secret_goes_to_its_own_server_only() {
        let refused = given(Some("https://other.example.com"), None)
            .resolve_with(Some(stored()))
            .unwrap_err();
        assert!(
            refused
                .to_string()
                .contains("no credential for https://other.example.com")
        );
    }

    #[test]
    fn clear_text_stays_on_this_machine() {
        for url in [
            "http://127.0.0.1:4000",
            "http://localhost",
            "http://[::1]:4000",
            "https://a.example",
        ] {
            assert!(check_url(url, false).is_ok(), "{url}");
        }
        for url in [
            "http://a.example",
            "http://127.0.0.1.example",
            "ftp://a",
            "a.example",
            "https://u@a",
            "https://a/b",
        ] {
            assert!(check_url(url, false).is_err(), "{url}");
        }
        assert!(check_url("http://a.example", true).is_ok());
    }

    #[test]
    fn the_file_is_private_and_comes_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a/b/credentials");
        stored().write(&file).unwrap();
        stored().write(&file).unwrap();
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let back = Credentials::read(&file, true).unwrap().unwrap();
        assert_eq!(back.client_secret.expose(), "stored-secret");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials");
        stored().write(&file).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            Credentials::read(&file, true),
            Err(ConnectionError::Exposed { .. })
        ));
    }

    #[test]
    fn a_missing_file_matters_only_when_it_was_named() {
        let file = Path::new("/nonexistent/credentials");
        assert!(Credentials::read(file, false).unwrap().is_none());
        assert!(Credentials::read(file, true).is_err());
    }
}
