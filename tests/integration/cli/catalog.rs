//! `goldenpath catalog …`: the catalog as files, from folder to portal and back.

use std::collections::BTreeMap;
use std::path::Path;

use goldenpath_tests::generator::{Generator, Kind};
use goldenpath_tests::{LoadSettings, Portal, load};
use serde_json::json;

use super::write;
use crate::program;

/// Every file below a folder, with what it holds.
#[expect(clippy::disallowed_methods, reason = "the test's own files")]
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(place) = open.pop() {
        for entry in place.read_dir().expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path
                    .strip_prefix(folder)
                    .expect("below it")
                    .display()
                    .to_string();
                found.insert(name, std::fs::read_to_string(&path).expect("a text"));
            }
        }
    }
    found
}

fn project(below: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(below);
    path.to_str().expect("a path in UTF-8").to_owned()
}

#[test]
fn an_apply_says_what_it_would_do_what_it_did_and_what_was_done_already() {
    let portal = Portal::start(program());
    let folder = portal.folder().join("catalog");
    // The two blueprints point at each other, and so do the entities.
    for (one, other) in [("Component", "API"), ("API", "Component")] {
        write(
            &folder.join(format!("blueprints/{one}.json")),
            format!(
                r#"{{"identifier": "{one}", "title": "{one}", "schema": {{}}, "relations": {{"other": {{"target": "{other}"}}}}}}"#
            ),
        );
    }
    write(
        &folder.join("entities/API/all.yaml"),
        "identifier: cart-api\nrelations:\n  other: cart\n---\nidentifier: second-api\n",
    );
    write(
        &folder.join("entities/Component/cart.json"),
        r#"{"identifier": "cart", "relations": {"other": "cart-api"}}"#,
    );
    let apply = |more: &[&str]| {
        let arguments = [&["catalog", "apply", "catalog"], more].concat();
        portal.cli(&arguments).with_code(0).stdout
    };
    let planned = apply(&["--dry-run"]);
    assert!(planned.contains("would create blueprint API"), "{planned}");
    assert!(
        planned.contains("nothing was changed: 5 created"),
        "{planned}"
    );
    portal.admin().get("/v1/blueprints/API").with_status(404);

    let done = apply(&[]);
    assert!(done.contains("created entity API/second-api"), "{done}");
    assert!(
        done.ends_with("5 created, 0 updated, 0 unchanged\n"),
        "{done}"
    );
    let cart = portal
        .admin()
        .get("/v1/blueprints/Component/entities/cart")
        .with_status(200)
        .json();
    assert_eq!(cart["entity"]["relations"]["other"], "cart-api", "{cart}");

    let again = apply(&[]);
    assert_eq!(again, "0 created, 0 updated, 5 unchanged\n");
    let last = portal
        .cli(&["catalog", "apply", "catalog", "--json"])
        .with_code(0)
        .json();
    let unchanged = last["applied"]["unchanged"].as_array().map(Vec::len);
    assert_eq!(unchanged, Some(5), "{last}");
}

#[test]
fn an_export_is_byte_for_byte_the_same_after_a_round_through_another_portal() {
    let (one, other) = (Portal::start(program()), Portal::start(program()));
    one.cli(&["catalog", "apply", &project("runtime/demo")])
        .with_code(0);
    let strange = json!({"documents": [
        {"source": "x", "kind": "entity", "value": {"identifier": "a/../b", "blueprint": "Domain", "title": "no"}},
        {"source": "x", "kind": "entity", "value": {"identifier": "ORDERS", "blueprint": "Domain", "title": "1.0"}},
        {"source": "x", "kind": "entity", "value": {"identifier": "ö".repeat(999), "blueprint": "Domain", "title": "a\nb: c"}},
    ]});
    one.admin()
        .post("/v1/catalog/apply", &strange)
        .with_status(200);
    for format in ["json", "yaml"] {
        one.cli(&["catalog", "export", format, "--format", format])
            .with_code(0);
        let first = files(&one.folder().join(format));
        assert_eq!(first.len(), 22, "{:?}", first.keys());
        let folder = one.folder().join(format);
        let folder = folder.to_str().expect("a path in UTF-8");
        one.cli(&["catalog", "diff", folder]).with_code(0);
        other.cli(&["catalog", "apply", folder]).with_code(0);
        other
            .cli(&["catalog", "export", format, "--format", format])
            .with_code(0);
        assert_eq!(first, files(&other.folder().join(format)));
    }
}

#[test]
fn a_diff_tells_by_its_exit_code_whether_anything_would_change() {
    let portal = Portal::start(program());
    let file = portal.folder().join("catalog/entities/Service/cart.yaml");
    write(
        &portal.folder().join("catalog/blueprints/service.yaml"),
        "identifier: Service\ntitle: Service\nschema:\n  properties:\n    language: {type: string, enum: [go, rust]}\n",
    );
    write(&file, "identifier: cart\nproperties:\n  language: go\n");
    let diff = |code| portal.cli(&["catalog", "diff", "catalog"]).with_code(code);
    assert!(
        diff(1)
            .stdout
            .contains("+ entity Service/cart (catalog/entities/Service/cart.yaml)")
    );
    portal
        .cli(&["catalog", "apply", "catalog", "--source", "here"])
        .with_code(0);
    diff(0);
    write(&file, "identifier: cart\nproperties:\n  language: rust\n");
    let told = diff(1).stdout;
    assert!(
        told.contains("/properties/language: \"go\" → \"rust\""),
        "{told}"
    );
    let told = portal
        .cli(&["catalog", "diff", "catalog", "--json"])
        .with_code(1)
        .json();
    assert_eq!(told["documents"][1]["change"], "updated");
    assert_eq!(told["documents"][1]["fields"][0]["before"], "go");
    write(&file, "identifier: cart\nproperties:\n  language: cobol\n");
    let told = diff(2).stderr;
    assert!(
        told.contains("catalog/entities/Service/cart.yaml:3: /properties/language"),
        "{told}"
    );
    // Without an answer there is none to the question either.
    portal.kill();
    diff(2);
}

#[test]
fn a_prune_is_shown_and_agreed_to_first() {
    let portal = Portal::start(program());
    write(
        &portal.folder().join("catalog/blueprints/service.yaml"),
        "identifier: Service\ntitle: Service\nschema: {properties: {}}\n",
    );
    write(
        &portal.folder().join("catalog/entities/Service/all.yaml"),
        "identifier: a\n---\nidentifier: b\n",
    );
    portal
        .cli(&["catalog", "apply", "catalog", "--source", "here"])
        .with_code(0);
    write(
        &portal.folder().join("catalog/entities/Service/all.yaml"),
        "identifier: a\n",
    );
    let prune = ["catalog", "apply", "catalog", "--source", "here", "--prune"];
    let told = portal.cli(&prune).with_code(2).stderr;
    assert!(
        told.contains("delete entity Service/b") && told.contains("--yes"),
        "{told}"
    );
    portal
        .admin()
        .get("/v1/blueprints/Service/entities/b")
        .with_status(200);
    portal.cli(&[&prune[..], &["--yes"]].concat()).with_code(0);
    portal
        .admin()
        .get("/v1/blueprints/Service/entities/b")
        .with_status(404);
    portal
        .cli(&["catalog", "apply", "catalog", "--prune"])
        .with_code(2);
}

#[test]
fn files_of_backstage_are_read_as_they_are() {
    let portal = Portal::start(program());
    let shop = project("tests/fixtures/backstage");
    let refused = portal.cli(&["catalog", "apply", &shop]).with_code(1).stderr;
    assert!(
        refused.contains("missing: blueprint `Component`"),
        "{refused}"
    );
    assert!(refused.contains("Location is skipped"), "{refused}");
    portal
        .cli(&["catalog", "apply", &shop, "--with-blueprints"])
        .with_code(0);
    let find = |path: &str| {
        let path = format!("/v1/blueprints/{path}");
        portal.admin().get(&path).with_status(200).json()["entity"].clone()
    };
    let basket = find("Component/entities/basket");
    assert_eq!(basket["team"], json!(["shop-core"]));
    assert_eq!(
        basket["relations"]["consumesApis"],
        json!(["prices/price-api"])
    );
    assert_eq!(basket["relations"]["dependsOn"], json!(["money"]));
    assert_eq!(
        find("Component/entities/basket-jobs")["properties"]["owner"],
        "grace@example.com"
    );
    assert_eq!(
        find("_team/entities/shop-core")["relations"]["parent"],
        "engineering"
    );
    assert_eq!(find("_user/entities/linus")["team"], json!(["shop-core"]));
    portal.cli(&["catalog", "diff", &shop]).with_code(0);
}

#[test]
fn a_catalog_of_services_goes_in_and_comes_out_whole() {
    let portal = Portal::start(program());
    let catalog = project("tests/fixtures/catalog");
    portal.cli(&["catalog", "apply", &catalog]).with_code(0);
    portal.cli(&["catalog", "diff", &catalog]).with_code(0);
    portal
        .cli(&["catalog", "export", "out", "--format", "yaml"])
        .with_code(0);
    portal.cli(&["catalog", "diff", "out"]).with_code(0);
    assert_eq!(files(&portal.folder().join("out")).len(), 20);
}

#[test]
fn a_generated_catalog_is_taken_whole() {
    let portal = Portal::start(program());
    let generator = Generator::new(1, 1_000);
    let settings = LoadSettings {
        batch: 100,
        connections: 2,
    };
    let loaded = load(
        portal.admin(),
        &generator,
        &generator.blueprints(),
        settings,
    );
    assert_eq!(loaded.entities, generator.count());
    let path = format!(
        "/v1/blueprints/Component/entities/{}",
        generator.identifier(Kind::Service, 7)
    );
    let service = portal.admin().get(&path).with_status(200).json();
    assert_eq!(
        service["entity"]["properties"],
        generator.entity(Kind::Service, 7)["properties"]
    );
}

#[test]
fn scorecards_are_applied_exported_and_pruned_with_the_rest() {
    let portal = Portal::start(program());
    write(
        &portal.folder().join("catalog/blueprints/service.yaml"),
        "identifier: Service\ntitle: Service\nschema:\n  properties:\n    owner: {type: string}\n",
    );
    let card = portal
        .folder()
        .join("catalog/scorecards/Service/ready.yaml");
    let rule = |property: &str| {
        format!(
            "identifier: ready\ntitle: Ready\nrules:\n  - identifier: owned\n    title: Has an owner\n    level: Bronze\n    query:\n      combinator: and\n      conditions:\n        - {{property: {property}, operator: isNotEmpty}}\n"
        )
    };
    write(&card, rule("onwer"));
    let apply = ["catalog", "apply", "catalog", "--source", "here"];
    let told = portal.cli(&apply).with_code(1).stderr;
    assert!(
        told.contains("catalog/scorecards/Service/ready.yaml") && told.contains("`onwer`"),
        "{told}"
    );
    write(&card, rule("owner"));
    write(
        &portal.folder().join("catalog/entities/Service/all.yaml"),
        "identifier: cart\nproperties:\n  owner: ada\n",
    );
    let done = portal.cli(&apply).with_code(0).stdout;
    assert!(done.contains("created scorecard Service/ready"), "{done}");
    let cart = portal
        .admin()
        .get("/v1/blueprints/Service/entities/cart")
        .with_status(200)
        .json();
    assert_eq!(cart["entity"]["scorecards"]["ready"]["level"], "Gold");
    portal.cli(&["catalog", "diff", "catalog"]).with_code(0);
    portal.cli(&["catalog", "export", "out"]).with_code(0);
    assert!(files(&portal.folder().join("out")).contains_key("scorecards/Service/ready.json"));
    portal.cli(&["catalog", "diff", "out"]).with_code(0);

    #[expect(clippy::disallowed_methods, reason = "the test's own files")]
    std::fs::remove_file(&card).expect("it was written");
    portal
        .cli(&[&apply[..], &["--prune", "--yes"]].concat())
        .with_code(0);
    portal
        .admin()
        .get("/v1/blueprints/Service/scorecards/ready")
        .with_status(404);
    let cart = portal
        .admin()
        .get("/v1/blueprints/Service/entities/cart")
        .with_status(200)
        .json();
    assert!(cart["entity"].get("scorecards").is_none(), "{cart}");
}
