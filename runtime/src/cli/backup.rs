//! `goldenpath backup`: everything that a server holds, in one file.

use std::io::{self, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use serde_json::json;

use super::client::Client;
use super::exit::{Exit, Failure, chain};
use super::output::Output;
use crate::app::{Manifest, verify_archive};
use crate::config::Connection;

const AFTER_HELP: &str = "\
The file holds all that the portal holds: the key that signs tokens, the hashes of all secrets, the catalog and its
history, plugins and what they keep. It is written for you alone (mode 0600); keep it as you keep the data folder.
Files that plugins wrote (files/ in the data folder) are not part of it.

  goldenpath backup portal.tar
  goldenpath restore portal.tar --data ./portal";

/// What `backup` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct BackupArguments {
    /// File to write; it must not exist
    file: PathBuf,

    #[command(flatten)]
    connection: Connection,
}

pub(super) fn run(arguments: &BackupArguments, output: &Output) -> Result<Exit, Failure> {
    let file = &arguments.file;
    let client = Client::new(&arguments.connection)?;
    let target = Target::open(file)?;
    let manifest = fetch(&client, &target);
    let manifest = match manifest {
        Ok(manifest) => manifest,
        Err(failure) => {
            // Half a backup is worse than none. If it cannot be removed either, it still has its other name.
            drop(target.folder.remove_file(&target.partial));
            return Err(failure);
        }
    };
    target.finish()?;
    output.note("the file holds the portal's keys: keep it as you keep the data folder");
    let shown = json!({"file": file.display().to_string(), "manifest": manifest});
    output.result(&shown, |output| {
        output.line(&format!(
            "{} as of {}, audit log up to {}",
            file.display(),
            manifest.taken_at,
            manifest.newest_audit
        ));
    });
    Ok(Exit::Done)
}

fn fetch(client: &Client, target: &Target) -> Result<Manifest, Failure> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(0o600);
    let broken = |error: io::Error| Failure::of("receive the backup", &error);
    let mut received = client.download("/v1/backup")?;
    let mut file = target
        .folder
        .open_with(&target.partial, &options)
        .map_err(|error| target.failed(&error))?
        .into_std();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = received.read(&mut buffer).map_err(broken)?;
        if read == 0 {
            break;
        }
        file.write_all(buffer.get(..read).unwrap_or_default())
            .map_err(|error| target.failed(&error))?;
    }
    file.sync_all().map_err(|error| target.failed(&error))?;
    io::Seek::rewind(&mut file).map_err(|error| target.failed(&error))?;
    // What was not read back was not backed up.
    verify_archive(BufReader::new(file)).map_err(|error| Failure::failed(chain(&error)))
}

/// Where the file goes, under another name until it is whole.
struct Target {
    folder: Dir,
    name: std::ffi::OsString,
    partial: std::ffi::OsString,
    path: PathBuf,
}

impl Target {
    fn open(path: &Path) -> Result<Self, Failure> {
        let name = path
            .file_name()
            .ok_or_else(|| Failure::usage(format!("`{}` names no file", path.display())))?;
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let folder = Dir::open_ambient_dir(parent, ambient_authority()).map_err(|error| {
            Failure::usage(format!("open `{}`: {}", parent.display(), chain(&error)))
        })?;
        if folder.symlink_metadata(name).is_ok() {
            return Err(Failure::usage(format!(
                "`{}` exists already; choose another name, a backup replaces nothing",
                path.display()
            )));
        }
        let mut partial = name.to_owned();
        partial.push(".partial");
        Ok(Self {
            folder,
            name: name.to_owned(),
            partial,
            path: path.to_owned(),
        })
    }

    fn finish(&self) -> Result<(), Failure> {
        // A link fails where the name has been taken meanwhile; a rename would replace.
        let linked = self
            .folder
            .hard_link(&self.partial, &self.folder, &self.name)
            .and_then(|()| self.folder.remove_file(&self.partial));
        linked.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::of(format!("write `{}`", self.path.display()), error)
    }
}
