//! The worker processes: started on demand, kept warm, killed when they take too long.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::frame::{Answer, Batch, MAX_RESULT_BYTES, Purpose};
use super::{Expression, JqError, MAX_BATCH_BYTES};

/// Workers at once: filters are small, and two of them keep a slow one from holding up all others.
const WORKERS: usize = 2;

/// How long one batch may take. Honest filters take microseconds.
const BATCH_TIME: Duration = Duration::from_secs(2);

/// Batches after which a worker is replaced, well before the processor time that it allows itself is used up.
const BATCHES: u32 = 50;

type Results = [Option<Result<Value, JqError>>];

#[derive(Debug)]
pub(super) struct Pool {
    program: PathBuf,
    arguments: Vec<OsString>,
    idle: Mutex<Vec<Worker>>,
    permits: Semaphore,
}

/// One child process. Dropping it kills it.
#[derive(Debug)]
struct Worker {
    _child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    batches: u32,
}

impl Pool {
    pub(super) fn new(program: PathBuf, arguments: Vec<OsString>) -> Self {
        Self {
            program,
            arguments,
            idle: Mutex::default(),
            permits: Semaphore::new(WORKERS),
        }
    }

    /// Fills in the results of the picked expressions.
    pub(super) async fn eval(
        &self,
        purpose: Purpose,
        batch: &[Expression],
        picks: &[usize],
        results: &mut Results,
        total: Duration,
    ) {
        let Ok(_permit) = self.permits.acquire().await else {
            return;
        };
        let deadline = Instant::now() + total;
        let warm = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        // Where it is lost, somebody in there is bad, or it had died while idle: each of the others gets its own try.
        let mut worker = self
            .attempt(purpose, warm, batch, picks, results)
            .await
            .ok();
        for pick in picks {
            if answered(results, *pick) {
                continue;
            }
            let error = if Instant::now() > deadline {
                Some(JqError::Deadline)
            } else {
                match self
                    .attempt(purpose, worker.take(), batch, &[*pick], results)
                    .await
                {
                    Ok(alive) => {
                        worker = Some(alive);
                        None
                    }
                    Err(error) => Some(error),
                }
            };
            if let (Some(error), Some(result @ None)) = (error, results.get_mut(*pick)) {
                *result = Some(Err(error));
            }
        }
        if let Some(worker) = worker.filter(|worker| worker.batches < BATCHES) {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(worker);
        }
    }

    /// Sends the picked expressions through one worker. An `Err` means that the worker is gone; the results that it
    /// gave before stay.
    async fn attempt(
        &self,
        purpose: Purpose,
        worker: Option<Worker>,
        batch: &[Expression],
        picks: &[usize],
        results: &mut Results,
    ) -> Result<Worker, JqError> {
        let request = match encode(purpose, batch, picks) {
            Ok(request) => request,
            Err(error) if picks.len() == 1 => return Err(error),
            // Together they are too much; one by one they may not be.
            Err(_) => return self.worker(worker),
        };
        let mut worker = self.worker(worker)?;
        worker.batches += 1;
        let deadline = Instant::now() + BATCH_TIME;
        let exchange = timeout_at(deadline, worker.exchange(&request, picks, results)).await;
        match exchange {
            Ok(Ok(())) => Ok(worker),
            Ok(Err(_)) => Err(JqError::Crashed),
            Err(_) => Err(JqError::Deadline),
        }
    }

    fn worker(&self, warm: Option<Worker>) -> Result<Worker, JqError> {
        match warm {
            Some(worker) => Ok(worker),
            None => self
                .start()
                .map_err(|error| JqError::Unavailable(error.to_string())),
        }
    }

    fn start(&self) -> std::io::Result<Worker> {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let missing = || std::io::Error::other("the worker has no pipes");
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        Ok(Worker {
            _child: child,
            stdin,
            stdout,
            batches: 0,
        })
    }
}

impl Worker {
    async fn exchange(
        &mut self,
        request: &[u8],
        picks: &[usize],
        results: &mut Results,
    ) -> std::io::Result<()> {
        // The worker reads all of a batch before it answers, so neither side waits for the other to read.
        self.stdin.write_all(request).await?;
        self.stdin.flush().await?;
        for pick in picks {
            let length = self.stdout.read_u32().await? as usize;
            if length > MAX_RESULT_BYTES + 1 {
                return Err(std::io::Error::other("an answer is too long"));
            }
            let mut frame = vec![0; length];
            self.stdout.read_exact(&mut frame).await?;
            let answer =
                Answer::decode(&frame).ok_or_else(|| std::io::Error::other("not an answer"))?;
            let value = answer.and_then(|bytes| {
                serde_json::from_slice(bytes).map_err(|_| {
                    JqError::Failed(
                        "the result is no JSON value, or it is nested too deep".to_owned(),
                    )
                })
            });
            if let Some(result) = results.get_mut(*pick) {
                *result = Some(value);
            }
        }
        Ok(())
    }
}

fn answered(results: &Results, pick: usize) -> bool {
    results.get(pick).is_none_or(Option::is_some)
}

/// The frames of a batch: the filters, then each distinct input once.
fn encode(purpose: Purpose, batch: &[Expression], picks: &[usize]) -> Result<Vec<u8>, JqError> {
    let mut inputs: Vec<&Arc<Value>> = Vec::new();
    let mut known: HashMap<*const Value, usize> = HashMap::new();
    let mut expressions = Vec::new();
    for expression in picks.iter().filter_map(|pick| batch.get(*pick)) {
        let index = *known
            .entry(Arc::as_ptr(&expression.input))
            .or_insert_with(|| {
                inputs.push(&expression.input);
                inputs.len() - 1
            });
        expressions.push((expression.filter.clone(), index));
    }
    let too_large = || {
        JqError::TooLarge(format!(
            "its input has more than {MAX_BATCH_BYTES} bytes of JSON"
        ))
    };
    let mut request = Vec::new();
    push(
        &mut request,
        &Batch {
            purpose,
            inputs: inputs.len(),
            expressions,
        },
    )
    .ok_or_else(too_large)?;
    for input in inputs {
        push(&mut request, input.as_ref()).ok_or_else(too_large)?;
    }
    Ok(request)
}

fn push(request: &mut Vec<u8>, value: &impl serde::Serialize) -> Option<()> {
    let bytes = serde_json::to_vec(value).ok()?;
    if request.len() + bytes.len() > MAX_BATCH_BYTES {
        return None;
    }
    request.extend(u32::try_from(bytes.len()).ok()?.to_be_bytes());
    request.extend(bytes);
    Some(())
}
