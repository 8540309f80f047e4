//! A server of axum and wasmtime and nothing else, as a process of its own: what a portal could not be smaller than.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::bare::BareHost;

/// The argument that makes this program the server; the answer follows, and then the compiled component where one is
/// to be called.
pub(crate) const ARGUMENT: &str = "bare-server";

/// The route that answers, to a POST after it has read the body.
pub(crate) const ANSWER: &str = "/answer";

/// The route that calls the plugin, and then answers.
pub(crate) const CALL: &str = "/call";

/// A running server; it ends when this is dropped.
pub(crate) struct BareServer {
    process: Child,
    url: String,
}

impl BareServer {
    /// Starts one; it returns as soon as that listens.
    pub(crate) fn start(compiled: &Path, answer: &Path) -> Self {
        Self::launch(&[answer, compiled])
    }

    /// Starts one that only answers, without wasmtime.
    pub(crate) fn answering(answer: &Path) -> Self {
        Self::launch(&[answer])
    }

    #[expect(clippy::disallowed_methods, reason = "the process is what is measured")]
    fn launch(files: &[&Path]) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg(ARGUMENT)
            .args(files)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        let stdout = process.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut url).unwrap();
        let url = url.trim().to_owned();
        Self { process, url }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for BareServer {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

struct Bare {
    host: Option<BareHost>,
    answer: Value,
}

/// Serves until it is killed.
#[expect(clippy::print_stdout, reason = "where it listens")]
#[expect(clippy::disallowed_methods, reason = "a file of the benchmark's own")]
pub(crate) fn serve(answer: &Path, compiled: Option<&Path>) {
    let answer = serde_json::from_slice(&std::fs::read(answer).unwrap()).unwrap();
    let bare = Arc::new(Bare {
        host: compiled.map(BareHost::load),
        answer,
    });
    let router = Router::new()
        .route("/health", get(|| async { Json(json!({"ok": true})) }))
        .route(ANSWER, post(say).get(tell))
        .route(CALL, post(call))
        .with_state(bare);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("http://{}", listener.local_addr().unwrap());
        axum::serve(listener, router).await.unwrap();
    });
}

async fn say(State(bare): State<Arc<Bare>>, Json(body): Json<Value>) -> Json<Value> {
    std::hint::black_box(body);
    Json(bare.answer.clone())
}

async fn tell(State(bare): State<Arc<Bare>>) -> Json<Value> {
    Json(bare.answer.clone())
}

async fn call(State(bare): State<Arc<Bare>>, Json(body): Json<Value>) -> Json<Value> {
    let input = body["properties"].to_string();
    let output = bare.host.as_ref().unwrap().call("hello", &input).await;
    let mut answer = bare.answer.clone();
    answer["run"]["output"] = serde_json::from_str(&output).unwrap();
    Json(answer)
}
