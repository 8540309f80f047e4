//! The loop of a worker process: takes its own powers away, then evaluates batches until its input ends.

use std::collections::HashMap;
use std::io::{self, Write};
use std::process::ExitCode;

use jaq_core::load::parse::Def;
use jaq_core::load::{Arena, Error as LoadError, File, Loader, import};
use jaq_core::native::Fun;
use jaq_core::{Compiler, Ctx, Filter, Vars, data::JustLut};
use jaq_json::{Val, read, write};
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};

use super::frame::{self, Answer, Batch, MAX_RESULT_BYTES, Purpose};

/// The hidden argument that makes this program a worker.
pub const ARGUMENT: &str = "jq-worker";

/// Heap and stacks. A context and its results are a few megabytes.
const MAX_DATA_BYTES: u64 = 192 * 1024 * 1024;

/// Address space, which holds the program's own file as well; a debug build of it is large.
const MAX_ADDRESS_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// Processor time of a worker's whole life. The parent replaces it long before; this is for when there is none left.
const MAX_CPU_SECONDS: u64 = 150;

/// Stack of the thread that evaluates: enough for honest recursion, and its overflow ends the worker alone.
const STACK_BYTES: usize = 32 * 1024 * 1024;

/// Compiled filters that a worker keeps; a portal's actions use the same few again and again.
const MAX_COMPILED: usize = 64;

/// Length of an error's text. A filter can raise any value as an error.
const MAX_MESSAGE_BYTES: usize = 400;

/// Definitions that would reach out of the filter, or end or litter the worker.
const REMOVED_DEFINITIONS: [&str; 4] = ["debug", "stderr", "halt", "halt_error"];

/// Native filters of the same kind.
const REMOVED_NATIVES: [&str; 6] = [
    "env",
    "halt",
    "debug_empty",
    "stderr_empty",
    "input",
    "inputs",
];

type Data = JustLut<Val>;

/// Evaluates batches from standard input until it ends.
pub fn main() -> ExitCode {
    if confine().is_err() {
        // Without its limits a worker must not work; the parent reports that it cannot start one.
        return ExitCode::FAILURE;
    }
    let thread = std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(|| {
            // Threads are processes to the kernel: none is needed any more.
            limit(Resource::Nproc, 0)?;
            serve()
        });
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn confine() -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    // The two pipes stay open; nothing else can be opened.
    limit(Resource::Nofile, 0)?;
    limit(Resource::Cpu, MAX_CPU_SECONDS)?;
    limit(Resource::As, MAX_ADDRESS_BYTES)?;
    limit(Resource::Data, MAX_DATA_BYTES)
}

fn limit(resource: Resource, most: u64) -> io::Result<()> {
    Ok(setrlimit(
        resource,
        Rlimit {
            current: Some(most),
            maximum: Some(most),
        },
    )?)
}

fn serve() -> io::Result<()> {
    let mut requests = io::stdin().lock();
    let mut answers = io::stdout().lock();
    let mut library = Library::new();
    while let Some(header) = frame::read(&mut requests)? {
        let batch: Batch = serde_json::from_slice(&header)?;
        let mut inputs = Vec::new();
        for _ in 0..batch.inputs {
            let bytes = frame::read(&mut requests)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            inputs.push(read::parse_single(&bytes).map_err(io::Error::other)?);
        }
        for (filter, index) in &batch.expressions {
            let input = inputs
                .get(*index)
                .cloned()
                .ok_or(io::ErrorKind::InvalidData)?;
            let answer = match batch.purpose {
                Purpose::Evaluate => library.eval(filter, input),
                Purpose::Compile => library.ready(filter).map(|_| b"null".to_vec()),
            };
            match answer {
                Ok(json) => frame::write_answer(&mut answers, Answer::Value, &json)?,
                Err((kind, message)) => {
                    frame::write_answer(&mut answers, kind, shorten(&message).as_bytes())?
                }
            }
        }
    }
    Ok(())
}

/// The language without what reaches out of a filter, and the filters that were compiled with it.
struct Library {
    definitions: Vec<Def<&'static str>>,
    compiled: HashMap<String, Filter<Data>>,
}

impl Library {
    fn new() -> Self {
        let definitions = jaq_core::defs()
            .chain(jaq_std::defs())
            .chain(jaq_json::defs())
            .filter(|definition| !REMOVED_DEFINITIONS.contains(&definition.name))
            .collect();
        Self {
            definitions,
            compiled: HashMap::new(),
        }
    }

    /// The filter, compiled now or before.
    fn ready(&mut self, filter: &str) -> Result<&Filter<Data>, (Answer, String)> {
        if !self.compiled.contains_key(filter) {
            let compiled = self
                .compile(filter)
                .map_err(|message| (Answer::Syntax, message))?;
            if self.compiled.len() >= MAX_COMPILED {
                self.compiled.clear();
            }
            self.compiled.insert(filter.to_owned(), compiled);
        }
        self.compiled
            .get(filter)
            .ok_or_else(|| (Answer::Failed, String::new()))
    }

    /// The JSON of the filter's first value, or why there is none.
    fn eval(&mut self, filter: &str, input: Val) -> Result<Vec<u8>, (Answer, String)> {
        let compiled = self.ready(filter)?;
        let context = Ctx::<Data>::new(&compiled.lut, Vars::new([]));
        let first = compiled.id.run((context, input)).next();
        let value = match first {
            None => Val::Null,
            Some(Ok(value)) => value,
            Some(Err(exception)) => {
                let message = match exception.get_err() {
                    Ok(error) => bounded(&error),
                    Err(_) => "the filter ended without a value".to_owned(),
                };
                return Err((Answer::Failed, message));
            }
        };
        let mut json = Bounded {
            bytes: Vec::new(),
            most: MAX_RESULT_BYTES,
        };
        match write::write(&mut json, &write::Pp::default(), 0, &value) {
            Ok(()) => Ok(json.bytes),
            Err(_) => Err((
                Answer::TooLarge,
                format!("the result has more than {MAX_RESULT_BYTES} bytes of JSON"),
            )),
        }
    }

    fn compile(&self, filter: &str) -> Result<Filter<Data>, String> {
        let arena = Arena::default();
        let modules = Loader::new(self.definitions.iter().cloned())
            .load(
                &arena,
                File {
                    code: filter,
                    path: (),
                },
            )
            .map_err(|errors| {
                errors
                    .first()
                    .map_or_else(String::new, |(_, error)| describe(error))
            })?;
        import(&modules, |_| Err(String::new()))
            .map_err(|_| "imports are not available here".to_owned())?;
        Compiler::default()
            .with_funs(natives())
            .compile(modules)
            .map_err(|errors| {
                let undefined = errors.first().and_then(|(_, errors)| errors.first());
                undefined.map_or_else(String::new, |(name, kind)| {
                    format!(
                        "{} `{}` is not defined or not available here",
                        kind.as_str(),
                        shorten(name)
                    )
                })
            })
    }
}

fn natives() -> impl Iterator<Item = Fun<Data>> {
    jaq_core::funs()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs())
        .filter(|(name, _, _)| !REMOVED_NATIVES.contains(name))
}

fn describe(error: &LoadError<&str>) -> String {
    match error {
        LoadError::Io(_) => "imports and includes are not available here".to_owned(),
        LoadError::Lex(errors) => errors
            .first()
            .map_or_else(String::new, |(expected, found)| {
                format!("expected {} at `{}`", expected.as_str(), beginning(found))
            }),
        LoadError::Parse(errors) => errors
            .first()
            .map_or_else(String::new, |(expected, found)| {
                format!("expected {} at `{}`", expected.as_str(), beginning(found))
            }),
    }
}

fn beginning(text: &str) -> String {
    if text.is_empty() {
        "the end".to_owned()
    } else {
        text.chars().take(40).collect()
    }
}

/// A thing's text, its beginning only.
fn bounded(thing: &impl std::fmt::Display) -> String {
    let mut text = Bounded {
        bytes: Vec::new(),
        most: MAX_MESSAGE_BYTES,
    };
    // Ends with an error once it is full; the beginning is what is wanted.
    drop(write!(text, "{thing}"));
    String::from_utf8_lossy(&text.bytes).into_owned()
}

fn shorten(text: &str) -> &str {
    let end = (0..=MAX_MESSAGE_BYTES.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// Takes so many bytes and refuses the next: what a filter makes is as large as it likes.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.most - self.bytes.len();
        if room == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.bytes.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
