//! Packages for the portal under test: components compiled once for all tests, each time with the manifest and the
//! actions that a test wants around them.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

const TARGET: &str = "wasm32-wasip2";

/// A plugin for one test.
#[derive(Clone, Debug)]
pub struct Guest {
    name: String,
    component: Vec<u8>,
    description: Value,
    manifest: String,
    actions: Vec<Value>,
}

impl Guest {
    /// A plugin of this name over a component, with a description such as [`Guest::describe`] gives.
    pub fn new(name: &str, component: Vec<u8>, description: &Value) -> Self {
        Self {
            name: name.to_owned(),
            component,
            description: description.clone(),
            manifest: format!(
                "[plugin]\nname = \"{name}\"\nversion = \"1.0.0\"\ntitle = \"{name}\"\ndescription = \"For a test\"\n"
            ),
            actions: Vec::new(),
        }
    }

    /// What a component says of itself.
    pub fn describe(component: &[u8]) -> Value {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime
            .block_on(goldenpath::plugin::describe(component.to_vec()))
            .expect("the component describes itself")
    }

    /// The same as another version.
    #[must_use]
    pub fn with_version(mut self, version: &str) -> Self {
        let (old, new) = ("version = \"1.0.0\"", format!("version = \"{version}\""));
        self.manifest = self.manifest.replacen(old, &new, 1);
        self
    }

    /// Adds TOML to its manifest.
    #[must_use]
    pub fn with_manifest(mut self, toml: &str) -> Self {
        self.manifest.push_str(toml);
        self.manifest.push('\n');
        self
    }

    /// Adds one of the component's functions under its own name, and an action of the portal that calls it.
    #[must_use]
    pub fn with_action(self, function: &str) -> Self {
        self.with_action_as(function, function)
    }

    /// The same under another name: no two plugins have the same action.
    #[must_use]
    pub fn with_action_as(self, function: &str, identifier: &str) -> Self {
        self.with_engine(function, identifier, "none", &json!({}))
    }

    /// The same for a function with other `effects`, by an action whose `engine` says more.
    #[must_use]
    pub fn with_engine(
        mut self,
        function: &str,
        identifier: &str,
        effects: &str,
        engine: &Value,
    ) -> Self {
        self.manifest.push_str(&format!(
            "[[actions]]\nname = \"{function}\"\neffects = \"{effects}\"\n"
        ));
        self.actions.push(json!({
            "identifier": identifier,
            "title": identifier,
            "trigger": {"type": "self-service", "operation": "CREATE"},
            "invocationMethod": {"type": "PLUGIN", "plugin": self.name, "action": function},
            "engine": engine,
        }));
        self
    }

    /// The package as a file's bytes.
    #[track_caller]
    pub fn package(&self) -> Vec<u8> {
        self.try_package().unwrap_or_else(|e| panic!("{e}"))
    }

    /// The package as somebody makes it who leaves out every check: a component with sections appended.
    pub fn unchecked_package(&self) -> Vec<u8> {
        let mut package = self.component.clone();
        for (name, data) in [
            ("goldenpath:manifest", self.manifest.clone()),
            ("goldenpath:schemas", self.described().to_string()),
        ] {
            let mut section = Vec::new();
            put_length(&mut section, name.len());
            section.extend_from_slice(name.as_bytes());
            section.extend_from_slice(data.as_bytes());
            // Zero is what says that a section is a custom one.
            package.push(0);
            put_length(&mut package, section.len());
            package.extend_from_slice(&section);
        }
        package
    }

    /// What the component says of the functions that the manifest has.
    fn described(&self) -> Value {
        let wanted = |action: &Value| {
            let calls = |own: &Value| own["invocationMethod"]["action"] == action["name"];
            self.actions.iter().any(calls)
        };
        let mut description = self.description.clone();
        if let Some(actions) = description["actions"].as_array_mut() {
            actions.retain(wanted);
        }
        description
    }

    /// The package, or why there is none.
    ///
    /// # Errors
    /// The parts do not fit together.
    pub fn try_package(&self) -> Result<Vec<u8>, goldenpath::plugin::InstallError> {
        let resources: BTreeMap<String, String> = self
            .actions
            .iter()
            .map(|action| {
                let name = action["identifier"].as_str().unwrap_or_default();
                (format!("actions/{name}.json"), action.to_string())
            })
            .collect();
        goldenpath::plugin::assemble(
            &self.component,
            &self.manifest,
            &self.described(),
            "",
            &resources,
        )
    }
}

/// Appends a length as WebAssembly writes it: seven bits in a byte, the lowest first.
fn put_length(bytes: &mut Vec<u8>, mut length: usize) {
    loop {
        let low = u8::try_from(length & 0x7f).unwrap_or(0);
        length >>= 7;
        if length == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

/// The folder of the misbehaving guests.
pub fn guests_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("guests")
}

/// The folder of the first-party plugins.
pub fn plugins_dir() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests
        .parent()
        .expect("the project's folder")
        .join("plugins")
}

/// What this process has compiled, by package and example.
type Components = HashMap<(PathBuf, Option<String>), Vec<u8>>;

/// A component of one of the project's packages: its library, or one of its examples.
///
/// Compiled at most once in a process, and by cargo only where its source changed, in a target folder of its own: the
/// one of the tests is in use.
pub fn component(target_dir: &Path, package: &Path, example: Option<&str>) -> Vec<u8> {
    static BUILT: Mutex<Option<Components>> = Mutex::new(None);
    // One build at a time: cargo would make the others wait anyway.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (package.to_owned(), example.map(str::to_owned));
    built
        .get_or_insert_with(HashMap::new)
        .entry(key)
        .or_insert_with(|| compile(target_dir, package, example))
        .clone()
}

#[expect(
    clippy::disallowed_methods,
    reason = "guests are compiled as `plugin build` does it, and read back"
)]
fn compile(target_dir: &Path, package: &Path, example: Option<&str>) -> Vec<u8> {
    install_target(package);
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--release", "--locked", "--target", TARGET])
        .args(["--message-format=json", "--quiet"])
        .args(["--config", "profile.release.opt-level=\"s\""])
        .args(["--config", "profile.release.panic=\"abort\""])
        .arg("--manifest-path")
        .arg(package.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", target_dir)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .current_dir(package);
    match example {
        Some(example) => cargo.args(["--example", example]),
        None => cargo.arg("--lib"),
    };
    let done = cargo
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(done.status.success(), "{} compiles", package.display());
    let manifest = package.join("Cargo.toml");
    let messages = String::from_utf8_lossy(&done.stdout);
    let wasm = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| {
            message["manifest_path"].as_str().map(Path::new) == Some(&manifest)
                && example.is_none_or(|example| message["target"]["name"] == example)
        })
        .filter_map(|message| {
            let files = message["filenames"].as_array()?;
            let mut files = files.iter().filter_map(Value::as_str);
            files
                .find(|file| file.ends_with(".wasm"))
                .map(str::to_owned)
        })
        .next_back();
    let wasm = wasm.unwrap_or_else(|| panic!("{} is a component", package.display()));
    std::fs::read(wasm).expect("cargo says where the component is")
}

/// The project's own step, as `plugin build` takes it.
#[expect(
    clippy::disallowed_methods,
    reason = "the tests take the same step as the product"
)]
fn install_target(folder: &Path) {
    let script = plugins_dir().join("../runtime/src/cli/plugin/install-wasm-target.sh");
    let status = Command::new("sh")
        .arg(script)
        .current_dir(folder)
        .stdin(Stdio::null())
        .status()
        .expect("sh runs");
    assert!(status.success(), "the target {TARGET} is installed");
}
