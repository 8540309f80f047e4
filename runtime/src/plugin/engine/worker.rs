//! Compiling in a process of its own. How much work a component makes the compiler do is the component's choice, and
//! neither time nor memory of a thread can be taken back; a process can be ended.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::{build, summary};

/// The hidden argument that makes this program a compiler.
pub const ARGUMENT: &str = "compile-component";

/// The longest that a component may take. One of a megabyte takes seconds, with a compiler that is itself not
/// optimised.
const LONGEST: Duration = Duration::from_secs(300);

/// Memory that the compiler may use. The largest packages need a good part of it.
const MAX_DATA_BYTES: u64 = 3 << 30;

/// Compiled code that is taken over; what a component becomes is some times larger than the component.
const MAX_CODE_BYTES: u64 = 512 << 20;

/// Of the compiler's reason for a refusal.
const MAX_REASON_BYTES: u64 = 4 << 10;

/// How to start a compiler.
#[derive(Clone, Debug)]
pub struct CompilerProgram {
    program: PathBuf,
    arguments: Vec<OsString>,
    longest: Duration,
}

impl CompilerProgram {
    /// This program, which knows [`ARGUMENT`].
    pub fn new(program: PathBuf) -> Self {
        Self {
            program,
            arguments: vec![OsString::from(ARGUMENT)],
            longest: LONGEST,
        }
    }

    /// Compiles a component to the code of this version's engine. Dropping the future ends the compiler.
    pub(super) async fn compile(&self, component: &[u8]) -> Result<Vec<u8>, String> {
        match tokio::time::timeout(self.longest, self.run(component)).await {
            Ok(Ok(compiled)) => compiled,
            Ok(Err(error)) => Err(format!("the compiler could not be used: {error}")),
            Err(_) => Err(format!(
                "compiling the component takes longer than {} s; make it smaller",
                self.longest.as_secs()
            )),
        }
    }

    async fn run(&self, component: &[u8]) -> io::Result<Result<Vec<u8>, String>> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let send = async {
            // A compiler that has read enough to refuse closes the pipe: its reason says more.
            drop(stdin.write_all(component).await);
            drop(stdin);
        };
        let (mut code, mut reason) = (Vec::new(), Vec::new());
        // One byte more than is taken over, so that the excess is seen.
        let mut stdout = stdout.take(MAX_CODE_BYTES + 1);
        let mut stderr = stderr.take(MAX_REASON_BYTES);
        let ((), read, _) = tokio::join!(
            send,
            stdout.read_to_end(&mut code),
            stderr.read_to_end(&mut reason)
        );
        read?;
        if code.len() as u64 > MAX_CODE_BYTES {
            return Ok(Err(format!(
                "the component compiles to more than {MAX_CODE_BYTES} bytes; make it smaller"
            )));
        }
        let status = child.wait().await?;
        if status.success() {
            return Ok(Ok(code));
        }
        let reason = String::from_utf8_lossy(&reason).trim().to_owned();
        Ok(Err(match status.code() {
            // It said why, and ended by itself.
            Some(1) if !reason.is_empty() => reason,
            _ => format!(
                "compiling the component takes more than {} GiB of memory or {} s of processor time, or breaks the \
                 compiler ({status}); make it smaller",
                MAX_DATA_BYTES >> 30,
                LONGEST.as_secs()
            ),
        }))
    }
}

/// Compiles what comes from standard input to standard output.
pub fn main() -> ExitCode {
    match compile() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // Where nobody reads it any more, nobody needs it.
            drop(io::stderr().write_all(reason.as_bytes()));
            ExitCode::FAILURE
        }
    }
}

fn compile() -> Result<(), String> {
    // Without its limits it must not work.
    confine().map_err(|error| format!("the compiler could not be limited: {error}"))?;
    let mut component = Vec::new();
    io::stdin()
        .lock()
        .read_to_end(&mut component)
        .map_err(|error| error.to_string())?;
    let engine = build(false).map_err(|error| summary(&error))?;
    let code = engine
        .precompile_component(&component)
        .map_err(|error| summary(&error))?;
    io::stdout()
        .lock()
        .write_all(&code)
        .map_err(|error| error.to_string())
}

fn confine() -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Cpu, LONGEST.as_secs()),
        (Resource::Data, MAX_DATA_BYTES),
    ] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, longest: Duration) -> CompilerProgram {
        CompilerProgram {
            program: PathBuf::from("/bin/sh"),
            arguments: vec!["-c".into(), script.into()],
            longest,
        }
    }

    #[tokio::test]
    async fn a_compiler_that_does_not_end_is_ended() {
        let forever = shell("sleep 3600", Duration::from_millis(50));
        let refused = forever.compile(b"component").await.unwrap_err();
        assert!(refused.contains("longer than"), "{refused}");
    }

    #[test]
    fn what_the_compiler_makes_runs_in_the_pool_of_the_portal() {
        let code = build(false)
            .unwrap()
            .precompile_component(b"\0asm\x0d\0\x01\0")
            .unwrap();
        let pooled = build(true).unwrap();
        crate::plugin::engine::run_compiled(&pooled, &code).unwrap();
    }

    #[tokio::test]
    async fn a_refusal_comes_with_the_compilers_reason_and_a_crash_with_the_limits() {
        let soon = Duration::from_secs(60);
        let refused = shell("echo 'no such import' >&2; exit 1", soon);
        assert_eq!(
            refused.compile(b"component").await.unwrap_err(),
            "no such import"
        );
        let crashed = shell("echo noise >&2; kill -SEGV $$", soon);
        let crashed = crashed.compile(b"component").await.unwrap_err();
        assert!(crashed.contains("3 GiB of memory"), "{crashed}");
        // A large component that is not read to its end is no reason to hang.
        let hasty = shell("exec <&-; echo code", soon);
        let code = hasty.compile(&vec![0; 1 << 20]).await.unwrap();
        assert_eq!(code, b"code\n");
        let absent = CompilerProgram::new(PathBuf::from("/nowhere/goldenpath"));
        let absent = absent.compile(b"component").await.unwrap_err();
        assert!(absent.contains("could not be used"), "{absent}");
    }
}
