//! `goldenpath doctor`: whether a data folder is whole.

use std::path::PathBuf;

use serde_json::json;

use super::exit::{Exit, Failure, chain};
use super::output::Output;
use crate::app::{AuditMark, check_folder};

const AFTER_HELP: &str = "\
Looks at the rights of the files, every page and reference of both databases, the whole chain of the audit log, the
documents and the plugin packages, and changes nothing. The last line names the newest row of the audit log: note it
down elsewhere and give it to a later check, which then also finds a log that was written anew from beginning to end.

Exit codes: 0 healthy, 1 something is wrong, 2 cannot be checked.";

/// What `doctor` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct DoctorArguments {
    /// Data folder of the portal
    #[arg(
        long,
        env = "GOLDENPATH_DATA",
        value_name = "DIR",
        default_value = "goldenpath-data"
    )]
    data: PathBuf,

    /// A row of the audit log that was noted down earlier; may be repeated
    #[arg(long, value_name = "SEQUENCE:HASH")]
    audit: Vec<AuditMark>,
}

pub(super) fn run(arguments: &DoctorArguments, output: &Output) -> Result<Exit, Failure> {
    let checkup = check_folder(&arguments.data, &arguments.audit)
        .map_err(|error| Failure::usage(chain(&error)))?;
    let healthy = checkup.is_healthy();
    let newest = checkup.newest_audit.map(|mark| mark.to_string());
    if output.is_json() {
        output.json(&json!({"ok": healthy, "areas": checkup.areas, "newestAudit": newest}));
    } else {
        for area in &checkup.areas {
            let verdict = if area.problems.is_empty() {
                "ok"
            } else {
                "WRONG"
            };
            output.line(&format!("{:<20} {verdict:<6} {}", area.name, area.seen));
            for problem in &area.problems {
                output.line(&format!("  {problem}"));
            }
        }
        if let Some(newest) = newest {
            output.line(&format!("newest audit row: {newest}"));
        }
    }
    Ok(if healthy { Exit::Done } else { Exit::Failed })
}
