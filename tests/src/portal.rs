//! A portal as a process of its own, on a port and in a folder of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::{Mutex, PoisonError, Weak};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::Client;
use crate::guest::{Guest, plugins_dir};
use crate::program::{Ended, Program};

/// A running portal; it ends, and its folder goes, when this is dropped.
#[derive(Debug)]
pub struct Portal {
    program: Program,
    folder: TempDir,
    arguments: Vec<String>,
    process: Mutex<Option<Child>>,
    url: String,
    client_id: String,
    client_secret: String,
    admin: Client,
}

impl Portal {
    /// Starts a portal in an empty folder.
    pub fn start(program: &Path) -> Self {
        Self::start_with(program, &[])
    }

    /// Starts a portal in an empty folder with further arguments of `serve`.
    pub fn start_with(program: &Path, arguments: &[&str]) -> Self {
        Self::start_among(program, arguments, &[])
    }

    /// Starts a portal in an empty folder with further arguments of `serve`, among variables of the environment.
    pub fn start_among(program: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = Program::new(program, folder.path().join("home"));
        let program = variables
            .iter()
            .fold(program, |program, (name, value)| program.with(name, value));
        Self::launch(program, folder, "serve", arguments)
    }

    /// Starts a portal in an empty folder with further arguments of `serve`, on a machine that trusts the authority of
    /// `fixtures/tls` and no other.
    pub fn start_trusting(program: &Path, arguments: &[&str], authority: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = Program::new(program, folder.path().join("home"))
            .with("SSL_CERT_FILE", authority)
            .without("SSL_CERT_DIR");
        Self::launch(program, folder, "serve", arguments)
    }

    /// Starts the demo, as `cargo run -- demo` does, with the plugins of this project. They are compiled below
    /// `target_dir`: the target folder of the tests is in use.
    pub fn demo(program: &Path, target_dir: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program =
            Program::new(program, folder.path().join("home")).with("CARGO_TARGET_DIR", target_dir);
        let plugins = plugins_dir();
        let plugins = plugins.to_str().expect("a path in UTF-8");
        Self::launch(program, folder, "demo", &["--plugins", plugins])
    }

    fn launch(
        program: Program,
        folder: TempDir,
        command: &'static str,
        arguments: &[&str],
    ) -> Self {
        let mut all = vec![command.to_owned()];
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let arguments = all;
        let (process, said) = spawn(&program, folder.path(), &arguments);
        let credential = said
            .iter()
            .find(|line| line["event"] == "credential")
            .expect("the first start prints a credential");
        let text = |name: &str| credential[name].as_str().expect("a text").to_owned();
        let (client_id, client_secret) = (text("clientId"), text("clientSecret"));
        let url = url_of(&said);
        let admin = Client::log_in(&url, &client_id, &client_secret);
        Self {
            program,
            folder,
            arguments,
            process: Mutex::new(Some(process)),
            url,
            client_id,
            client_secret,
            admin,
        }
    }

    /// A portal that tests which leave nothing behind share while they run at the same time.
    pub fn shared(program: &Path, set_up: impl FnOnce(&Self)) -> Arc<Self> {
        static SHARED: Mutex<Weak<Portal>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        // Not for ever: a portal that no test holds is a process that nobody would end.
        shared.upgrade().unwrap_or_else(|| {
            let portal = Arc::new(Self::start(program));
            set_up(&portal);
            *shared = Arc::downgrade(&portal);
            portal
        })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A folder for the test's own files, gone with the portal.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The administrator.
    pub fn admin(&self) -> &Client {
        &self.admin
    }

    /// Somebody new with a role.
    pub fn user(&self, email: &str, role: &str) -> Client {
        let reply = self
            .admin
            .post(
                "/v1/users",
                &json!({"email": email, "role": role, "teams": []}),
            )
            .with_status(201)
            .json();
        let find = |name: &str| {
            let anywhere = [&reply[name], &reply["user"][name]];
            anywhere
                .into_iter()
                .find_map(Value::as_str)
                .expect("a credential")
                .to_owned()
        };
        Client::log_in(&self.url, &find("clientId"), &find("clientSecret"))
    }

    /// Runs a command as the administrator.
    pub fn cli(&self, arguments: &[&str]) -> Ended {
        self.program
            .clone()
            .with("GOLDENPATH_URL", &self.url)
            .with("GOLDENPATH_CLIENT_ID", &self.client_id)
            .with("GOLDENPATH_CLIENT_SECRET", &self.client_secret)
            .run_in(self.folder.path(), arguments)
    }

    /// Runs a command as the administrator, with something on its standard input.
    pub fn cli_reading(&self, arguments: &[&str], input: &str) -> Ended {
        self.program
            .clone()
            .with("GOLDENPATH_URL", &self.url)
            .with("GOLDENPATH_CLIENT_ID", &self.client_id)
            .with("GOLDENPATH_CLIENT_SECRET", &self.client_secret)
            .run_reading(arguments, input)
    }

    /// Installs a package and allows it all that it asks for.
    pub fn install(&self, guest: &Guest) {
        self.install_bound(guest, &json!({}));
    }

    /// As [`Portal::install`], but for some lines.
    pub fn install_denying(&self, guest: &Guest, lines: &[&str]) {
        self.install_with(guest, json!({ "deny": lines }));
    }

    /// As [`Portal::install`], with its endpoints bound.
    pub fn install_bound(&self, guest: &Guest, bindings: &Value) {
        self.install_with(guest, json!({ "bindings": bindings }));
    }

    /// As [`Portal::install`], with a decision of one's own: what it leaves out is as the package was read.
    pub fn install_with(&self, guest: &Guest, approval: Value) {
        let headers = [("content-type", "application/wasm")];
        let installed = self
            .admin
            .send("POST", "/v1/plugins", &headers, guest.package());
        // 200 where it is there already.
        let status = if installed.status == 200 { 200 } else { 201 };
        let installed = installed.with_status(status).json();
        let plugin = &installed["plugin"];
        if plugin["state"] == "active" {
            return;
        }
        let text = |key: &str| plugin[key].as_str().expect("a text");
        let (name, version) = (text("name"), text("version"));
        self.admin.approve(name, version, approval).with_status(200);
    }

    /// Ends the process as a power cut would.
    pub fn kill(&self) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut child) = process.take() {
            child.kill().expect("the portal can be killed");
            child.wait().expect("the portal ends");
        }
    }

    /// Kills the process where it still lives and starts another over the same folder.
    pub fn restart(&mut self) {
        self.start_again();
        self.admin = Client::log_in(&self.url, &self.client_id, &self.client_secret);
    }

    /// The same, but from now on with the command `serve`, and without a new login of the administrator: it returns as
    /// soon as the portal listens.
    pub fn serve(&mut self) {
        self.arguments = vec!["serve".to_owned()];
        self.start_again();
    }

    fn start_again(&mut self) {
        self.kill();
        let (process, said) = spawn(&self.program, self.folder.path(), &self.arguments);
        self.url = url_of(&said);
        self.process = Mutex::new(Some(process));
    }

    /// Restores a backup of this portal into a folder of its own and serves it, with the credentials of this one.
    pub fn restored(&self, backup: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        let data = data.to_str().expect("a path in UTF-8");
        self.program
            .run(["restore", backup, "--data", data])
            .with_code(0);
        let arguments = vec!["serve".to_owned()];
        let (process, said) = spawn(&self.program, folder.path(), &arguments);
        let url = url_of(&said);
        let admin = Client::log_in(&url, &self.client_id, &self.client_secret);
        Self {
            program: self.program.clone(),
            folder,
            arguments,
            process: Mutex::new(Some(process)),
            url,
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.clone(),
            admin,
        }
    }

    /// The process's id, while there is one.
    pub fn process_id(&self) -> Option<u32> {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_ref().map(Child::id)
    }

    /// What the process said on stderr so far.
    pub fn log(&self) -> String {
        read(&self.folder.path().join("stderr"))
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts the process and reads what it says up to the address where it listens.
#[expect(
    clippy::zombie_processes,
    reason = "the portal that is returned waits for it; without one the test has failed and ends"
)]
fn spawn(program: &Program, folder: &Path, arguments: &[String]) -> (Child, Vec<Value>) {
    let errors = folder.join("stderr");
    let mut command = program.command(arguments);
    if !arguments.iter().any(|argument| argument == "--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    let mut process = command
        .args(["--json", "--data"])
        .arg(folder.join("data"))
        .stdout(Stdio::piped())
        .stderr(create(&errors))
        .spawn()
        .expect("the portal starts");
    let stdout = process.stdout.take().expect("its stdout is a pipe");
    let mut lines = BufReader::new(stdout);
    let mut said = Vec::new();
    loop {
        let mut line = String::new();
        let read_bytes = lines.read_line(&mut line).expect("its stdout can be read");
        assert!(read_bytes > 0, "the portal ended: {}", read(&errors));
        let value: Value = serde_json::from_str(&line).expect("with --json it says JSON");
        let listens = value["event"] == "listening";
        said.push(value);
        if listens {
            drain(lines);
            return (process, said);
        }
    }
}

/// A full pipe would stop the portal.
fn drain(mut lines: BufReader<ChildStdout>) {
    std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
}

fn url_of(said: &[Value]) -> String {
    let last = said.last().expect("it said where it listens");
    last["url"].as_str().expect("a URL").to_owned()
}

#[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
fn create(file: &Path) -> std::fs::File {
    std::fs::File::create(file).expect("a file for its stderr")
}

#[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}
