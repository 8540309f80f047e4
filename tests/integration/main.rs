//! Everything that crosses a door: HTTP, the command line, the sandbox's edge, the SDK's promises, the house's rules.

#![expect(
    clippy::indexing_slicing,
    reason = "a test that meets an answer of another shape has failed, and says so by its panic"
)]

mod api;
mod attack;
mod cli;
mod engine;
mod engine_kill;
mod four_eyes;
#[cfg(feature = "remove-knobs")]
mod knob;
mod manifest;
mod readme;
mod review;
mod sandbox;
mod sdk;
mod steps;
mod supply;
mod tidy;

use std::path::{Path, PathBuf};

use goldenpath_tests::{Guest, component, guests_dir, plugins_dir};

/// The program under test.
fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_goldenpath-under-test"))
}

/// Where guests are compiled: beside the tests' own target folder, which cargo holds.
fn guest_target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests")
}

/// The path of a file in `fixtures/tls`.
fn tls_fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tls");
    let file = folder.join(name);
    file.to_str().expect("a path in UTF-8").to_owned()
}

/// The component of the misbehaving guests.
fn misbehaving_component() -> Vec<u8> {
    component(&guest_target(), &guests_dir(), None)
}

/// The component of a first-party plugin.
fn plugin_component(name: &str) -> Vec<u8> {
    component(&guest_target(), &plugins_dir().join(name), None)
}

/// The `hello` plugin under its own name, with its action.
fn hello() -> Guest {
    let component = plugin_component("hello");
    let description = Guest::describe(&component);
    Guest::new("hello", component, &description).with_action("hello")
}
