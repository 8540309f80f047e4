//! `goldenpath plugin test`: the built plugin in the host that serves runs, against cases in files.

mod case;
mod compare;
mod exchange;
mod perform;
mod record;
mod replay;
mod report;
mod server;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::super::exit::{Exit, Failure};
use super::super::output::Output;
use super::super::serve::block_on;
use super::build::build;
use super::inspect::read;
use crate::app::Trials;
use crate::plugin::Inspection;
use case::Case;
use record::Sources;
use report::Report;

/// Where the cases of a project are, below its folder.
const CASES: &str = "tests/exchanges";

/// Cases of one project: each sets up a portal of its own.
const MAX_CASES: usize = 500;

const AFTER_HELP: &str = "\
A case is a YAML file in tests/exchanges: what the plugin is given, what servers answer it, and what has to come of it.
The plugin runs with a grant of exactly what plugin.toml asks for, in a portal that is thrown away afterwards; no request
leaves this machine. plugin-sdk/README.md has an example of every part.

With --record requests go to the endpoints and with the secrets that are named, and what is answered takes the place of
the exchanges in the file. None of those secrets is written, neither what the host attaches nor where an answer repeats
it; what a server itself gives out, a new token for example, is: read the file before it is committed.

Exit codes: 0 every case passed, 1 one did not or the plugin does not build, 2 there is no case or one cannot be read.

Examples:
  goldenpath plugin test
  goldenpath plugin test --case greets-by-name
  goldenpath plugin test --record --case lists --endpoint github=https://api.github.com --secret token=@GITHUB_TOKEN
  goldenpath plugin test greeter-0.1.0.wasm --cases greeter/tests/exchanges --json";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct TestArguments {
    /// Folder of the plugin, which is built first, or a package that was built
    #[arg(default_value = ".", value_name = "DIR|FILE.wasm")]
    plugin: PathBuf,

    /// Folder of the cases [default: tests/exchanges in the plugin's folder; for a package, in the current one]
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,

    /// Only the case of this name, which is its file's without the ending; may be repeated
    #[arg(long = "case", value_name = "NAME")]
    named: Vec<String>,

    /// Ask real endpoints, and write what they answer into the cases
    #[arg(long)]
    record: bool,

    /// Where an endpoint of plugin.toml is, to record from; may be repeated
    #[arg(long = "endpoint", value_name = "NAME=URL", requires = "record")]
    endpoints: Vec<String>,

    /// Environment variable that holds a secret of plugin.toml, to record with; may be repeated
    #[arg(long = "secret", value_name = "NAME=@VARIABLE", requires = "record")]
    secrets: Vec<String>,
}

pub(super) fn run(arguments: &TestArguments, output: &Output) -> Result<Exit, Failure> {
    let is_folder = arguments.plugin.is_dir();
    let beside = if is_folder {
        arguments.plugin.join(CASES)
    } else {
        PathBuf::from(CASES)
    };
    // Before minutes of building.
    let cases = find_cases(
        arguments.cases.as_deref().unwrap_or(&beside),
        &arguments.named,
    )?;
    let (package, inspection) = if is_folder {
        let built = build(&arguments.plugin, None, output)?;
        (built.package, built.inspection)
    } else {
        read(&arguments.plugin)?
    };
    let sources = arguments
        .record
        .then(|| Sources::read(&arguments.endpoints, &arguments.secrets, &inspection))
        .transpose()?
        .map(Arc::new);
    let report = block_on(try_all(
        package,
        &inspection,
        cases,
        sources.as_ref(),
        output,
    ))?;
    output.result(&report.to_json(&inspection), |output| report.sum_up(output));
    Ok(if report.passed() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

async fn try_all(
    package: Vec<u8>,
    inspection: &Inspection,
    cases: Vec<Case>,
    sources: Option<&Arc<Sources>>,
    output: &Output,
) -> Result<Report, Failure> {
    let mut trials =
        Trials::new(package).map_err(|error| Failure::of("prepare the tests", &error))?;
    let mut report = Report::default();
    for case in cases {
        let outcome = perform::perform(&mut trials, inspection, &case, sources).await?;
        if !output.is_json() {
            outcome.show(output);
        }
        report.add(outcome);
    }
    Ok(report)
}

/// The cases of a folder by name, or those of them that were asked for.
fn find_cases(folder: &Path, named: &[String]) -> Result<Vec<Case>, Failure> {
    let reading = |error| {
        Failure::usage(format!(
            "read the cases in `{}`: {error}; a case is a file such as {CASES}/greets-by-name.yaml",
            folder.display()
        ))
    };
    let dir = Dir::open_ambient_dir(folder, ambient_authority()).map_err(reading)?;
    let mut files = BTreeSet::new();
    for entry in dir.entries().map_err(reading)? {
        let name = entry.map_err(reading)?.file_name();
        let name = name.to_string_lossy().into_owned();
        if case::name_of(&name).is_some() {
            files.insert(name);
        }
    }
    let all: Vec<&str> = files
        .iter()
        .filter_map(|file| case::name_of(file))
        .collect();
    if let Some(unknown) = named.iter().find(|name| !all.contains(&name.as_str())) {
        return Err(Failure::usage(format!(
            "there is no case `{unknown}` in `{}`; there are: {}",
            folder.display(),
            all.join(", ")
        )));
    }
    if files.is_empty() || files.len() > MAX_CASES {
        return Err(Failure::usage(format!(
            "`{}` has {} cases; 1 to {MAX_CASES} are tried",
            folder.display(),
            files.len()
        )));
    }
    let wanted = |file: &&String| {
        let name = case::name_of(file).unwrap_or_default();
        named.is_empty() || named.iter().any(|wanted| wanted == name)
    };
    let chosen = files.iter().filter(wanted);
    chosen.map(|file| Case::read(&dir, folder, file)).collect()
}
