//! `goldenpath restore`: a backup into an empty data folder.

use std::io::BufReader;
use std::path::PathBuf;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde_json::json;

use super::exit::{Exit, Failure, chain};
use super::output::Output;
use super::serve::block_on;
use crate::app::{self, RestoreError};

const AFTER_HELP: &str = "\
Every checksum is compared before anything is put in place; whatever goes wrong, the folder stays as empty as it was.
The restored portal has the keys of the old one: its users come in with the credentials and tokens that they have. Do
not let both serve the same people.";

/// What `restore` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct RestoreArguments {
    /// File that `goldenpath backup` wrote
    archive: PathBuf,

    /// Data folder: empty, or made where it is missing
    #[arg(long, value_name = "DIR", env = "GOLDENPATH_DATA")]
    data: PathBuf,
}

pub(super) fn run(arguments: &RestoreArguments, output: &Output) -> Result<Exit, Failure> {
    let file = &arguments.archive;
    let opened = match (file.parent(), file.file_name()) {
        (Some(parent), Some(name)) => {
            let parent = if parent.as_os_str().is_empty() {
                std::path::Path::new(".")
            } else {
                parent
            };
            Dir::open_ambient_dir(parent, ambient_authority()).and_then(|dir| dir.open(name))
        }
        _ => Err(std::io::ErrorKind::NotFound.into()),
    };
    let opened = opened
        .map_err(|error| Failure::usage(format!("open `{}`: {}", file.display(), chain(&error))))?;
    let archive = BufReader::with_capacity(1 << 20, opened);
    let manifest = block_on(async {
        let restored = app::restore(archive, &arguments.data).await;
        restored.map_err(|error| match &error {
            RestoreError::NotEmpty { .. } => Failure::new(Exit::Conflict, chain(&error)),
            RestoreError::Folder(_) => Failure::usage(chain(&error)),
            _ => Failure::failed(chain(&error)),
        })
    })?;
    let shown = json!({"data": arguments.data.display().to_string(), "manifest": manifest});
    output.result(&shown, |output| {
        output.line(&format!(
            "{} is the portal as of {}; start it with `goldenpath serve --data {}`",
            arguments.data.display(),
            manifest.taken_at,
            arguments.data.display()
        ));
    });
    Ok(Exit::Done)
}
