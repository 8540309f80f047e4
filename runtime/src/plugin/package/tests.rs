use super::*;

pub(in crate::plugin) const TOML: &str = "[plugin]\nname = \"demo\"\nversion = \"1.0.0\"\n[[actions]]\nname = \"go\"\neffects = \"none\"\n";

fn schemas() -> Value {
    serde_json::json!({
        "sdk": "test 0",
        "actions": [{ "name": "go", "description": "", "inputSchema": {"type": "object"}, "outputSchema": {} }],
    })
}

/// An empty component that claims to import and export some interfaces.
fn component(imports: &[&str], exports: &[&str]) -> Vec<u8> {
    use wasm_encoder::{
        Component, ComponentExportKind, ComponentExportSection, ComponentImportSection,
        ComponentInstanceSection, ComponentTypeRef, ComponentTypeSection, InstanceType,
    };
    let mut component = Component::new();
    let mut types = ComponentTypeSection::new();
    types.instance(&InstanceType::new());
    component.section(&types);
    let mut section = ComponentImportSection::new();
    for name in imports {
        section.import(*name, ComponentTypeRef::Instance(0));
    }
    component.section(&section);
    let mut instances = ComponentInstanceSection::new();
    instances.export_items(std::iter::empty::<(&str, ComponentExportKind, u32)>());
    component.section(&instances);
    let mut section = ComponentExportSection::new();
    for name in exports {
        let instance = u32::try_from(imports.len()).unwrap();
        section.export(*name, ComponentExportKind::Instance, instance, None);
    }
    component.section(&section);
    component.finish()
}

pub(in crate::plugin) fn plugin(imports: &[&str]) -> Vec<u8> {
    component(
        imports,
        &[
            "goldenpath:plugin/descriptor@0.1.0",
            "goldenpath:plugin/action@0.1.0",
        ],
    )
}

pub(in crate::plugin) fn build(component: &[u8], manifest: &str) -> Result<Vec<u8>, InstallError> {
    assemble(
        component,
        manifest,
        &schemas(),
        "# Demo\n",
        &BTreeMap::new(),
    )
}

fn refusal(outcome: Result<impl std::fmt::Debug, InstallError>) -> String {
    outcome.unwrap_err().to_string()
}

#[test]
fn package_carries_everything_that_a_reviewer_needs() {
    let resources = BTreeMap::from([(
        "actions/go.json".to_owned(),
        r#"{"identifier":"go"}"#.to_owned(),
    )]);
    let bytes = assemble(
        &plugin(&["wasi:io/streams@0.2.6"]),
        TOML,
        &schemas(),
        "# Demo\n",
        &resources,
    )
    .unwrap();
    let again = assemble(
        &plugin(&["wasi:io/streams@0.2.6"]),
        TOML,
        &schemas(),
        "# Demo\n",
        &resources,
    )
    .unwrap();
    assert_eq!(bytes, again, "the same parts give the same digest");
    let package = Package::read(&bytes).unwrap();
    assert_eq!(package.digest, Digest::of(&bytes));
    assert_eq!(package.manifest_hash, Digest::of(TOML.as_bytes()));
    assert_eq!(package.manifest.name.as_str(), "demo");
    assert_eq!(package.readme, "# Demo\n");
    assert_eq!(package.imports, ["wasi:io/streams@0.2.6"]);
    assert_eq!(
        package.exports,
        [
            "goldenpath:plugin/action@0.1.0",
            "goldenpath:plugin/descriptor@0.1.0"
        ]
    );
    assert_eq!(package.resources["actions/go.json"]["identifier"], "go");
    assert!(package.findings.is_empty());
}

#[test]
fn what_is_no_component_is_refused_by_what_it_is() {
    let cases: [(&[u8], &str); 8] = [
        (b"", "empty"),
        (b"(component)", "text"),
        (b"(module (func))", "text"),
        (b"#!/bin/sh\n", "text"),
        (b"\x7fELF\x02\x01\x01", "precompiled"),
        (b"\x1f\x8b\x08\x00\xff\xfe", "not WebAssembly"),
        (b"\0asm\x01\0\0\0", "core WebAssembly module"),
        (b"\0asm", "cut off"),
    ];
    for (bytes, word) in cases {
        let message = refusal(Package::read(bytes));
        assert!(message.contains(word), "{message}");
    }
    assert!(refusal(Package::read(&vec![0; MAX_BYTES + 1])).contains("at most"));
}

#[test]
fn package_that_is_cut_off_is_refused() {
    let component = plugin(&[]);
    let bytes = build(&component, TOML).unwrap();
    // Without its last section, the README, a package is whole all the same.
    let readme = b"# Demo\n".len() + README.len() + 3;
    for length in (8..bytes.len()).filter(|length| *length != bytes.len() - readme) {
        assert!(
            Package::read(&bytes[..length]).is_err(),
            "{length} of {} bytes",
            bytes.len()
        );
    }
}

#[test]
fn component_without_manifest_is_refused() {
    assert!(refusal(Package::read(&plugin(&[]))).contains("no embedded manifest"));
}

#[test]
fn doubled_or_oversized_sections_are_refused() {
    let mut bytes = build(&plugin(&[]), TOML).unwrap();
    assert!(refusal(build(&bytes, TOML)).contains("already"));
    let other = TOML.replace("1.0.0", "9.9.9");
    CustomSection {
        name: MANIFEST.into(),
        data: other.as_bytes().into(),
    }
    .append_to_component(&mut bytes);
    assert!(refusal(Package::read(&bytes)).contains("twice"));
    let readme = "x".repeat(257 << 10);
    let big = assemble(&plugin(&[]), TOML, &schemas(), &readme, &BTreeMap::new());
    assert!(refusal(big).contains("goldenpath:readme"));
}

#[test]
fn sections_of_nested_components_do_not_count() {
    use wasm_encoder::{Component, NestedComponentSection};
    let mut inner = Component::new();
    inner.section(&CustomSection {
        name: MANIFEST.into(),
        data: TOML.as_bytes().into(),
    });
    let mut outer = Component::new();
    outer.section(&NestedComponentSection(&inner));
    assert!(refusal(Package::read(&outer.finish())).contains("no embedded manifest"));
}

#[test]
fn import_without_a_line_is_refused_and_named() {
    for (import, table) in [
        ("goldenpath:plugin/files@0.1.0", "[[capabilities.files]]"),
        (
            "goldenpath:plugin/catalog@0.1.0",
            "[[capabilities.catalog]]",
        ),
        ("goldenpath:plugin/endpoints@0.1.1", "[[capabilities.http]]"),
        (
            "goldenpath:plugin/actions@0.1.2",
            "[[capabilities.run-action]]",
        ),
        ("goldenpath:plugin/secrets@0.1.2", "[[capabilities.secret]]"),
        ("goldenpath:plugin/state@0.1.0", "[capabilities.state]"),
        ("wasi:http/outgoing-handler@0.2.12", "[[capabilities.http]]"),
    ] {
        let message = refusal(build(&plugin(&[import]), TOML));
        assert!(message.contains(table), "{message}");
    }
    assert!(build(&plugin(&["goldenpath:plugin/steps@0.1.3"]), TOML).is_ok());
    let declared = format!("{TOML}[capabilities.state]\nreason = \"count\"\n");
    assert!(build(&plugin(&["goldenpath:plugin/state@0.1.0"]), &declared).is_ok());
}

#[test]
fn unknown_imports_are_refused_by_name() {
    for import in [
        "wasi:sockets/tcp@0.2.0",
        "wasi:keyvalue/store@0.2.0",
        "evil:thing/do@1.0.0",
        "wasi:io/streams@0.3.0",
        "free",
    ] {
        let message = refusal(build(&plugin(&[import]), TOML));
        assert!(message.contains(import), "{message}");
    }
}

#[test]
fn other_contract_version_is_refused_with_both_versions() {
    let message = refusal(build(&plugin(&["goldenpath:plugin/log@0.2.0"]), TOML));
    assert!(
        message.contains("@0.2.0") && message.contains("0.1.x"),
        "{message}"
    );
    let old = component(
        &[],
        &[
            "goldenpath:plugin/descriptor@0.2.0",
            "goldenpath:plugin/action@0.2.0",
        ],
    );
    assert!(refusal(build(&old, TOML)).contains("goldenpath:plugin/action@0.1"));
    assert!(
        build(&plugin(&["goldenpath:plugin/log@0.1.7"]), TOML).is_ok(),
        "a patch only adds"
    );
}

#[test]
fn line_without_an_import_is_a_finding() {
    let declared = format!(
        "{TOML}[capabilities.state]\nreason = \"count\"\n[capabilities.random]\nreason = \"ids\"\n"
    );
    let package = Package::read(&build(&plugin(&[]), &declared).unwrap()).unwrap();
    let messages: Vec<_> = package
        .findings
        .iter()
        .map(|finding| finding.message.as_str())
        .collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(
        messages[0].contains("`state`") && messages[1].contains("`random`"),
        "{messages:?}"
    );
}

#[test]
fn manifest_and_description_have_to_agree() {
    let more = format!("{TOML}[[actions]]\nname = \"stop\"\neffects = \"none\"\n");
    assert!(refusal(build(&plugin(&[]), &more)).contains("`stop`"));
    let renamed = TOML.replace("\"go\"", "\"went\"");
    assert!(refusal(build(&plugin(&[]), &renamed)).contains("`go`"));
}

#[test]
fn schema_that_reaches_outside_is_refused() {
    let mut schemas = schemas();
    schemas["actions"][0]["inputSchema"] =
        serde_json::json!({ "$ref": "https://example.com/schema.json" });
    let refused = assemble(&plugin(&[]), TOML, &schemas, "", &BTreeMap::new());
    assert!(refusal(refused).contains("schema of action `go`"));
}

#[test]
fn documents_outside_the_known_folders_are_refused() {
    for path in [
        "../x.json",
        "other/x.json",
        "actions/../x.json",
        "actions/x.yaml",
        "actions/a/b.json",
    ] {
        let resources = BTreeMap::from([(path.to_owned(), "{}".to_owned())]);
        assert!(
            assemble(&plugin(&[]), TOML, &schemas(), "", &resources).is_err(),
            "{path}"
        );
    }
}
