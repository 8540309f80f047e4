//! `goldenpath catalog export`: the catalog as files, in the layout that an apply reads.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use clap::ValueEnum;
use serde_json::{Value, json};

use super::super::client::{Client, segment, text};
use super::super::exit::{Exit, Failure};
use super::super::output::Output;
use super::name::Names;
use crate::catalog::{MAX_DOCUMENTS, write_document};
use crate::config::Connection;

/// Says that a folder was written by an export, which a later one may replace.
const MARK: &str = ".goldenpath-export";

const MARK_TEXT: &str = "\
Written by `goldenpath catalog export`. A later export into this folder replaces blueprints/, actions/, scorecards/
and entities/.
";

/// Where files are written until all are there.
const STAGE: &str = ".goldenpath-export-new";

/// Where the files of an earlier export are until they are gone.
const OLD: &str = ".goldenpath-export-old";

/// What an export writes, one folder for each kind.
const FOLDERS: &[&str] = &["blueprints", "actions", "scorecards", "entities"];

/// Bytes of one line: a document may be as large as a body.
const MAX_LINE: u64 = 16 * 1024 * 1024;

const AFTER_HELP: &str = "\
Writes one consistent state: blueprints/ID, actions/ID, scorecards/BLUEPRINT/ID and entities/BLUEPRINT/ID, keys in order,
without anything that only the portal knows (times, authors, derived values). The same catalog gives the same bytes, and applying them changes
nothing. What a file name cannot hold is written as %XX, as in URLs.

The folder has to be empty or an earlier export, which is replaced when everything is there.

Examples:
  goldenpath catalog export ./catalog
  goldenpath catalog export ./teams --blueprint _team --format yaml";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct ExportArguments {
    /// The folder to write, made where missing
    path: PathBuf,

    /// Only this blueprint and its entities; may be given several times
    #[arg(long, value_name = "ID")]
    blueprint: Vec<String>,

    /// The format of the files
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,

    #[command(flatten)]
    connection: Connection,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Json,
    Yaml,
}

pub(super) fn run(arguments: &ExportArguments, output: &Output) -> Result<Exit, Failure> {
    let client = Client::new(&arguments.connection)?;
    let target = Target::open(&arguments.path)?;
    let mut path = "/v1/catalog/export".to_owned();
    for (index, blueprint) in arguments.blueprint.iter().enumerate() {
        let mark = if index == 0 { '?' } else { '&' };
        path.push_str(&format!("{mark}blueprint={}", segment(blueprint)));
    }
    let lines = client.open(&path, &[("accept", "application/x-ndjson")])?;
    let (documents, partial) = target.fill(lines, arguments.format)?;
    if partial {
        output.note("note: entities that you may not see are left out; applying this with --prune would take them for deleted");
    }
    target.settle()?;
    if documents > MAX_DOCUMENTS as u64 {
        output.note(&format!(
            "note: one apply takes at most {MAX_DOCUMENTS} documents; to move a catalog of this size use backup and restore"
        ));
    }
    let place = arguments.path.display();
    let answer = json!({"ok": true, "documents": documents, "path": arguments.path});
    output.result(&answer, |output| {
        output.line(&format!("wrote {documents} documents to {place}"));
    });
    Ok(Exit::Done)
}

/// The folder that is written.
struct Target {
    dir: Dir,
    stage: Dir,
    shown: String,
}

impl Target {
    fn open(path: &std::path::Path) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        let failed = |error: &std::io::Error| Failure::of(format!("write into `{shown}`"), error);
        Dir::create_ambient_dir_all(path, ambient_authority()).map_err(|error| failed(&error))?;
        let dir =
            Dir::open_ambient_dir(path, ambient_authority()).map_err(|error| failed(&error))?;
        if !dir.exists(MARK)
            && dir
                .entries()
                .map_err(|error| failed(&error))?
                .next()
                .is_some()
        {
            return Err(Failure::usage(format!(
                "`{shown}` is neither empty nor an earlier export; name another folder"
            )));
        }
        // Before anything else: whatever ends this early leaves a folder that the next export takes.
        dir.write(MARK, MARK_TEXT).map_err(|error| failed(&error))?;
        for leftover in [STAGE, OLD] {
            if dir.exists(leftover) {
                dir.remove_dir_all(leftover)
                    .map_err(|error| failed(&error))?;
            }
        }
        dir.create_dir(STAGE).map_err(|error| failed(&error))?;
        let stage = dir.open_dir(STAGE).map_err(|error| failed(&error))?;
        Ok(Self { dir, stage, shown })
    }

    /// Writes a file for each line as it comes; how many, and whether something was left out.
    fn fill(
        &self,
        mut lines: BufReader<impl Read>,
        format: Format,
    ) -> Result<(u64, bool), Failure> {
        let mut folders = Folders::default();
        let mut documents = 0;
        loop {
            let mut line = Vec::new();
            let read = lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
            read.map_err(|error| Failure::of("read the export", &error))?;
            if line.last() != Some(&b'\n') {
                return Err(Failure::failed(
                    "the export broke off; the server's log says why, and the folder is as it was",
                ));
            }
            let line: Value = serde_json::from_slice(&line)
                .map_err(|error| Failure::of("read a line of the export", &error))?;
            if line.get("end") == Some(&Value::Bool(true)) {
                let told = line.get("documents").and_then(Value::as_u64);
                if told != Some(documents) {
                    return Err(Failure::failed(
                        "the export is not whole; the folder is as it was",
                    ));
                }
                let partial = line.get("partial") == Some(&Value::Bool(true));
                return Ok((documents, partial));
            }
            if let Some(value) = line.get("value") {
                self.write(&mut folders, &text(&line, "/kind"), value, format)?;
                documents += 1;
            }
        }
    }

    fn write(
        &self,
        folders: &mut Folders,
        kind: &str,
        value: &Value,
        format: Format,
    ) -> Result<(), Failure> {
        let folder = match kind {
            "blueprint" => "blueprints".to_owned(),
            "action" => "actions".to_owned(),
            "entity" | "scorecard" => {
                let blueprint = text(value, "/blueprint");
                format!("{}/{}", home(kind), folders.of_blueprint(kind, blueprint))
            }
            other => {
                return Err(Failure::failed(format!(
                    "the server exports documents of kind `{other}`, which this program does not know; use one of the same version"
                )));
            }
        };
        let failed =
            |error: &std::io::Error| Failure::of(format!("write into `{}`", self.shown), error);
        let (dir, names) = folders
            .enter(&self.stage, folder)
            .map_err(|error| failed(&error))?;
        let ending = match format {
            Format::Json => "json",
            Format::Yaml => "yaml",
        };
        let identifier = text(value, "/identifier");
        let name = format!("{}.{ending}", names.name(&identifier));
        // Where the kind of a document is told by its folder, the text is read as it will be.
        let place = match kind {
            "entity" | "scorecard" => format!("{}/x/{name}", home(kind)),
            _ => format!("{kind}s/{name}"),
        };
        let document = write_document(&place, value).ok_or_else(|| {
            Failure::failed(format!(
                "{kind} `{identifier}` cannot be written so that it is read back as it is"
            ))
        })?;
        dir.write(&name, document).map_err(|error| failed(&error))
    }

    /// Puts what was written in place of what an earlier export wrote.
    fn settle(&self) -> Result<(), Failure> {
        let put = || {
            self.dir.create_dir(OLD)?;
            let old = self.dir.open_dir(OLD)?;
            for folder in FOLDERS {
                if self.dir.exists(folder) {
                    self.dir.rename(folder, &old, folder)?;
                }
                if self.stage.exists(folder) {
                    self.stage.rename(folder, &self.dir, folder)?;
                }
            }
            self.dir.remove_dir_all(OLD)?;
            self.dir.remove_dir_all(STAGE)
        };
        put().map_err(|error| Failure::of(format!("write into `{}`", self.shown), &error))
    }
}

/// The folder of all documents of a kind that belongs to a blueprint.
fn home(kind: &str) -> &'static str {
    match kind {
        "scorecard" => "scorecards",
        _ => "entities",
    }
}

/// The folders that were written to so far.
#[derive(Default)]
struct Folders {
    blueprints: HashMap<&'static str, Names>,
    /// The blueprint whose entities or scorecards are being written, where they are at home, and its folder there.
    blueprint: Option<(&'static str, String, String)>,
    /// The folder that is open, and the names in it. Documents come folder by folder.
    open: Option<(String, Dir, Names)>,
}

impl Folders {
    /// The folder of a blueprint's entities or scorecards.
    fn of_blueprint(&mut self, kind: &str, blueprint: String) -> String {
        let home = home(kind);
        match &self.blueprint {
            Some((at, known, folder)) if *at == home && *known == blueprint => folder.clone(),
            _ => {
                let folder = self.blueprints.entry(home).or_default().name(&blueprint);
                self.blueprint = Some((home, blueprint, folder.clone()));
                folder
            }
        }
    }

    fn enter(&mut self, stage: &Dir, folder: String) -> std::io::Result<(&Dir, &mut Names)> {
        if self
            .open
            .as_ref()
            .is_none_or(|(known, ..)| *known != folder)
        {
            stage.create_dir_all(&folder)?;
            let dir = stage.open_dir(&folder)?;
            self.open = Some((folder, dir, Names::default()));
        }
        match &mut self.open {
            Some((_, dir, names)) => Ok((dir, names)),
            None => Err(std::io::ErrorKind::NotFound.into()),
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "a test looks at files as any other program would"
)]
mod tests {
    use super::*;

    fn fill(path: &std::path::Path, lines: &str) -> Result<u64, Failure> {
        let target = Target::open(path)?;
        let (documents, _) = target.fill(BufReader::new(lines.as_bytes()), Format::Json)?;
        target.settle()?;
        Ok(documents)
    }

    const ONE: &str = "{\"ok\":true}\n\
        {\"kind\":\"blueprint\",\"value\":{\"identifier\":\"a/b\",\"title\":\"A\",\"schema\":{}}}\n\
        {\"kind\":\"entity\",\"value\":{\"identifier\":\"..x\",\"blueprint\":\"a/b\"}}\n\
        {\"end\":true,\"documents\":2}\n";

    #[test]
    fn a_later_export_replaces_an_earlier_one_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/catalog");
        assert_eq!(fill(&path, ONE).unwrap(), 2);
        let entity = path.join("entities/a%2Fb/%2E.x.json");
        let text = std::fs::read_to_string(&entity).unwrap();
        assert_eq!(
            text,
            "{\n  \"identifier\": \"..x\",\n  \"blueprint\": \"a/b\"\n}\n"
        );
        std::fs::write(path.join("README.md"), "mine").unwrap();
        assert_eq!(
            fill(&path, "{\"ok\":true}\n{\"end\":true,\"documents\":0}\n").unwrap(),
            0
        );
        assert!(!entity.exists() && !path.join("blueprints").exists());
        assert!(path.join("README.md").exists() && !path.join(STAGE).exists());
    }

    #[test]
    fn an_export_that_breaks_off_leaves_the_folder_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("catalog");
        fill(&path, ONE).unwrap();
        for broken in [
            "{\"ok\":true}\n",
            "{\"ok\":true}\n{\"end\":true,\"documents\":7}\n",
            "{\"ok\":true}\n{\"kind\":\"scroll\",\"value\":{}}\n",
            "no JSON\n",
        ] {
            assert!(fill(&path, broken).is_err());
            assert!(path.join("entities/a%2Fb/%2E.x.json").exists());
        }
        assert!(fill(&path, ONE).is_ok());
    }

    #[test]
    fn a_folder_with_anything_else_in_it_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("precious"), "mine").unwrap();
        assert_eq!(fill(folder.path(), ONE).unwrap_err().exit, Exit::Usage);
        assert!(!folder.path().join(MARK).exists());
    }
}
