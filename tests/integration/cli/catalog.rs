//! `goldenpath catalog apply`, from files to the catalog.

use goldenpath_tests::Portal;

use super::write;
use crate::program;

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
