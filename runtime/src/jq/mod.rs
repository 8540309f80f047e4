//! jq, in worker processes of its own: a filter can neither hang nor crash nor read the portal.
//!
//! A filter is hostile code: two lines of it can take all memory, all time or all stack, and the language itself can
//! read the environment and stop the process. So it never runs here. A worker is this same program, started with a
//! hidden argument, without environment and without any file but two pipes; it limits itself and is killed when a
//! batch takes too long.

mod frame;
pub mod name;
mod path;
mod pool;
pub mod worker;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use frame::Purpose;
use pool::Pool;

/// Inputs and filters of one batch in bytes, all together.
const MAX_BATCH_BYTES: usize = 32 * 1024 * 1024;

/// How long all attempts at the expressions of one call may take together.
const TOTAL_TIME: Duration = Duration::from_secs(10);

/// Expressions of one batch.
const MAX_EXPRESSIONS: usize = 10_000;

/// Evaluates jq filters. Clones share the workers.
#[derive(Clone, Debug)]
pub struct Jq {
    pool: Arc<Pool>,
}

/// One filter and what it reads. Expressions that share an input share its transport as well.
#[derive(Clone, Debug)]
pub struct Expression {
    /// The jq filter.
    pub filter: String,
    /// What `.` is.
    pub input: Arc<Value>,
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JqError {
    /// It is not jq, or uses what is not available here.
    #[error("{0}")]
    Syntax(String),
    /// It ended with an error of its own.
    #[error("{0}")]
    Failed(String),
    /// Its input or its result is beyond what is handed over.
    #[error("{0}")]
    TooLarge(String),
    /// It took too long.
    #[error("it did not finish in time")]
    Deadline,
    /// It used up its memory or its stack.
    #[error("it used up the memory or stack that it may use")]
    Crashed,
    /// No worker could be started; the expression may be sound.
    #[error("no worker process could be started: {0}")]
    Unavailable(String),
}

impl Jq {
    /// Uses workers that are started with a program and arguments; none is started before there is work for it.
    pub fn new(program: PathBuf, arguments: Vec<OsString>) -> Self {
        Self {
            pool: Arc::new(Pool::new(program, arguments)),
        }
    }

    /// Uses this same program as the worker.
    ///
    /// # Errors
    /// The system does not tell where the program is.
    pub fn of_this_program() -> std::io::Result<Self> {
        Ok(Self::new(
            std::env::current_exe()?,
            vec![worker::ARGUMENT.into()],
        ))
    }

    /// The first value of each expression, in order; `null` where it has none.
    ///
    /// When a batch has to be killed, the expressions without a value so far are tried one by one, so that only the
    /// bad ones fail.
    pub async fn eval(&self, batch: Vec<Expression>) -> Vec<Result<Value, JqError>> {
        self.eval_within(batch, TOTAL_TIME).await
    }

    /// As [`Self::eval`], where all attempts together may take so long.
    pub async fn eval_within(
        &self,
        batch: Vec<Expression>,
        total: Duration,
    ) -> Vec<Result<Value, JqError>> {
        let results = batch
            .iter()
            .map(|expression| path::eval(&expression.filter, &expression.input))
            .collect();
        self.complete(Purpose::Evaluate, &batch, results, total)
            .await
    }

    /// Whether each filter is jq and uses only what is available, without running it.
    pub async fn check(&self, filters: Vec<String>) -> Vec<Result<(), JqError>> {
        let nothing = Arc::new(Value::Null);
        let batch: Vec<Expression> = filters
            .into_iter()
            .map(|filter| Expression {
                filter,
                input: Arc::clone(&nothing),
            })
            .collect();
        let known =
            |expression: &Expression| path::is_plain(&expression.filter).then_some(Ok(Value::Null));
        let results = batch.iter().map(known).collect();
        let results = self
            .complete(Purpose::Compile, &batch, results, TOTAL_TIME)
            .await;
        results.into_iter().map(|result| result.map(drop)).collect()
    }

    /// Sends what has no result yet to the workers.
    async fn complete(
        &self,
        purpose: Purpose,
        batch: &[Expression],
        mut results: Vec<Option<Result<Value, JqError>>>,
        total: Duration,
    ) -> Vec<Result<Value, JqError>> {
        let rest: Vec<usize> = results
            .iter()
            .enumerate()
            .filter(|(_, result)| result.is_none())
            .map(|(index, _)| index)
            .collect();
        if rest.len() > MAX_EXPRESSIONS {
            let refused =
                JqError::TooLarge(format!("a batch may have {MAX_EXPRESSIONS} expressions"));
            results
                .iter_mut()
                .for_each(|result| *result = Some(Err(refused.clone())));
        } else if !rest.is_empty() {
            self.pool
                .eval(purpose, batch, &rest, &mut results, total)
                .await;
        }
        results
            .into_iter()
            .map(|result| result.unwrap_or(Err(JqError::Crashed)))
            .collect()
    }
}
