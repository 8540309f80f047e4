//! Packages that must not come in, or that end at their very start.

use goldenpath_tests::{Evidence, Guest, Portal, Reply, component, guests_dir};
use serde_json::{Value, json};

use super::{TIGHT, assert_greets, portal};
use crate::{guest_target, hello, misbehaving_component, plugin_component, program};

/// Sends bytes as a package.
fn install(portal: &Portal, package: Vec<u8>) -> Reply {
    let headers = [("content-type", "application/wasm")];
    portal
        .admin()
        .send("POST", "/v1/plugins", &headers, package)
}

fn assert_refused(reply: &Reply, hint: &str) {
    assert_eq!(reply.status, 422, "{}", reply.text());
    reply.error();
    assert!(reply.text().contains(hint), "{}", reply.text());
}

/// The same component as if it were built for another version of the contract, such as `@0.9.0`.
pub(super) fn built_for(other: &[u8; 6], bytes: &[u8]) -> Vec<u8> {
    let mut patched = bytes.to_vec();
    let (name, version) = (b"goldenpath:plugin/", b"@0.1.3");
    for at in 0..patched.len() {
        let rest = &mut patched[at..];
        if !rest.starts_with(name) {
            continue;
        }
        let most = rest.len().min(48);
        let found = rest[..most]
            .windows(version.len())
            .position(|window| window == version);
        if let Some(found) = found {
            rest[found..found + version.len()].copy_from_slice(other);
        }
    }
    assert_ne!(patched, bytes, "the component names the contract");
    patched
}

#[test]
pub(crate) fn a_file_that_is_no_component_is_refused() -> Evidence {
    let portal = portal();
    assert_refused(
        &install(&portal, b"#!/bin/sh\necho hello\n".to_vec()),
        "component",
    );
    assert_greets(portal.admin());
    Evidence::fired("A script was sent").seen("422")
}

#[test]
pub(crate) fn a_core_module_is_refused_as_one() -> Evidence {
    let module = b"\0asm\x01\0\0\0".to_vec();
    assert_refused(&install(&portal(), module), "core WebAssembly module");
    Evidence::fired("The module was sent").seen("422")
}

#[test]
fn a_cut_off_package_is_refused() {
    let package = hello().package();
    let portal = portal();
    for keep in [8, package.len() / 2, package.len() - 1] {
        assert_refused(&install(&portal, package[..keep].to_vec()), "");
    }
}

#[test]
fn the_same_package_again_is_no_new_version() {
    let portal = Portal::start(program());
    let package = hello().with_version("7.0.0").package();
    let first = install(&portal, package.clone()).with_status(201).json();
    let again = install(&portal, package).with_status(200).json();
    assert_eq!(again["plugin"]["digest"], first["plugin"]["digest"]);
}

#[test]
fn a_component_without_a_manifest_is_refused() {
    assert_refused(&install(&portal(), plugin_component("hello")), "manifest");
}

#[test]
pub(crate) fn a_component_for_another_version_of_the_contract_is_refused() -> Evidence {
    let package = built_for(b"@0.9.0", &hello().package());
    assert_refused(&install(&portal(), package), "0.9");
    Evidence::fired("The package was sent").seen("422 with the version")
}

#[test]
fn a_component_for_an_older_patch_of_the_contract_runs_as_ever() {
    let portal = Portal::start(program());
    let component = built_for(b"@0.1.0", &plugin_component("hello"));
    let description = Guest::describe(&component);
    portal.install(&Guest::new("hello", component, &description).with_action("hello"));
    assert_greets(portal.admin());
}

#[test]
pub(crate) fn a_component_that_imports_sockets_is_refused() -> Evidence {
    let component = component(&guest_target(), &guests_dir(), Some("opens_sockets"));
    let description = one_action("opens-sockets");
    let guest = Guest::new("sockets", component, &description).with_action("opens-sockets");
    let refused = guest
        .try_package()
        .expect_err("it is refused when it is built already");
    assert!(refused.to_string().contains("wasi:sockets"), "{refused}");
    Evidence::fired("The component imports sockets").seen("refused with `wasi:sockets`")
}

#[test]
pub(crate) fn an_import_without_a_line_is_refused() -> Evidence {
    let component = misbehaving_component();
    let description = Guest::describe(&component);
    let guest = Guest::new("undeclared", component, &description).with_action("panics");
    let refused = guest
        .try_package()
        .expect_err("its manifest has no line at all");
    assert!(
        refused.to_string().contains("capabilities.catalog"),
        "{refused}"
    );
    Evidence::fired("The component imports the catalog").seen("refused with the missing table")
}

#[test]
fn a_manifest_that_asks_what_the_host_does_not_know_is_refused() {
    for (manifest, key) in [
        (
            "[capabilities.teleport]\nreason = \"be elsewhere\"",
            "teleport",
        ),
        ("[limits]\nmemory = \"64MiB\"\nluck = 7", "luck"),
        ("[limits]\nmemory = \"64MiB\"\nmemory = \"32MiB\"", "memory"),
    ] {
        let component = plugin_component("hello");
        let description = Guest::describe(&component);
        let refused = Guest::new("asks", component, &description)
            .with_action("hello")
            .with_manifest(manifest)
            .try_package()
            .expect_err("the key is unknown or twice there");
        let text = refused.to_string();
        assert!(text.contains(key) && text.contains("line"), "{text}");
    }
}

#[test]
pub(crate) fn a_package_made_by_hand_is_held_to_the_same_rules() -> Evidence {
    let portal = portal();
    let component = plugin_component("hello");
    let description = Guest::describe(&component);
    let by_hand = |manifest: &str| {
        Guest::new("by-hand", component.clone(), &description)
            .with_action("hello")
            .with_manifest(manifest)
            .unchecked_package()
    };
    for (manifest, hints) in [
        (
            "[capabilities.teleport]\nreason = \"be elsewhere\"",
            ["teleport", "line 9"],
        ),
        (
            "[limits]\nmemory = \"64MiB\"\nluck = 7",
            ["luck", "line 11"],
        ),
        (
            "[limits]\nmemory = \"64MiB\"\nmemory = \"32MiB\"",
            ["memory", "line 11"],
        ),
        ("[limits]\nmemory = \"64TiB\"", ["64TiB", "line 10"]),
    ] {
        let reply = install(&portal, by_hand(manifest));
        for hint in hints {
            assert_refused(&reply, hint);
        }
        assert_eq!(reply.error(), "invalid_manifest");
    }
    let known = portal.admin().get("/v1/plugins/by-hand");
    assert_eq!(known.status, 404, "nothing of it stays: {}", known.text());
    assert_greets(portal.admin());
    goldenpath::plugin::inspect(&by_hand("")).expect("without the odd key it is a package");
    Evidence::fired("Four manifests were sent past the tools")
        .seen("`invalid_manifest` with key and line")
}

#[test]
pub(crate) fn other_bytes_under_a_version_that_exists_are_refused() -> Evidence {
    let portal = Portal::start(program());
    portal.install(&hello());
    let other = hello().with_manifest("[limits]\nlog = \"1KiB\"").package();
    let reply = install(&portal, other).with_status(409);
    reply.error();
    Evidence::fired("Other bytes were sent").seen("409")
}

#[test]
fn a_guest_that_loops_at_its_start_is_ended_when_it_is_built() {
    let component = component(&guest_target(), &guests_dir(), Some("loops_at_start"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let ended = runtime
        .block_on(goldenpath::plugin::describe(component))
        .expect_err("it never says what it is");
    assert_eq!(ended.code(), "cpu_budget", "{ended}");
}

#[test]
pub(crate) fn a_guest_that_loops_at_its_start_ends_its_run() -> Evidence {
    let portal = Portal::start(program());
    let component = component(&guest_target(), &guests_dir(), Some("loops_at_start"));
    let limits = TIGHT.split("[[").next().expect("the limits");
    portal.install(
        &Guest::new("starts", component, &one_action("loops-at-start"))
            .with_manifest(limits)
            .with_action("loops-at-start"),
    );
    portal.install(&hello());
    let run = portal.admin().run("loops-at-start", &json!({}));
    assert_eq!(run["failure"]["code"], "cpu_budget", "{run}");
    assert_greets(portal.admin());
    Evidence::fired("The run began").seen("`cpu_budget`")
}

/// What a component that cannot say it would have said.
fn one_action(name: &str) -> Value {
    let schema = json!({"type": "object"});
    json!({
        "sdk": "by hand",
        "actions": [{"name": name, "description": "", "inputSchema": schema, "outputSchema": schema}],
    })
}
