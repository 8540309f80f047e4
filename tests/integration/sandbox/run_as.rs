//! Confused deputies: a person of few rights, a plugin of many, and whose count.

use goldenpath_tests::{Client, Evidence, Guest, Portal};
use serde_json::{Value, json};

use crate::{misbehaving_component, program};

const MANIFEST: &str = r#"
[[capabilities.catalog]]
blueprint = "Secret"
access = ["read", "upsert", "delete"]
reason = "to have more than its user"

[[capabilities.files]]
name = "box"
access = "read"
reason = "imported, never called"
"#;

/// A portal whose plugin may write `Secret`, by two actions: one with its own rights, one with those of who asks.
fn portal() -> Portal {
    let portal = Portal::start(program());
    let blueprint = json!({
        "identifier": "Secret",
        "title": "Secret",
        "schema": {"properties": {}, "required": []},
    });
    portal
        .admin()
        .post("/v1/blueprints", &blueprint)
        .with_status(201);
    let component = misbehaving_component();
    let description = Guest::describe(&component);
    let guest = Guest::new("deputy", component, &description)
        .with_manifest(MANIFEST)
        .with_action("writes-undeclared-blueprint");
    portal.install(&guest);
    for (name, run_as) in [("by-itself", "action"), ("for-me", "user")] {
        let action = json!({
            "identifier": name,
            "trigger": {"type": "self-service", "operation": "CREATE"},
            "invocationMethod": {
                "type": "PLUGIN",
                "plugin": "deputy",
                "action": "writes-undeclared-blueprint",
            },
            "engine": {"runAs": run_as},
        });
        portal.admin().post("/v1/actions", &action).with_status(201);
    }
    portal
}

fn entity(portal: &Portal) -> u16 {
    let path = "/v1/blueprints/Secret/entities/mine";
    portal.admin().get(path).status
}

fn denied(run: &Value) -> String {
    assert_eq!(run["failure"]["code"], "denied", "{run}");
    run["failure"]["message"].to_string()
}

#[test]
pub(crate) fn an_action_may_do_what_its_user_may_not_and_both_are_named() -> Evidence {
    let portal = portal();
    let ada: Client = portal.user("ada@example.com", "developer");
    let by_hand = json!({"identifier": "mine"});
    let path = "/v1/blueprints/Secret/entities";
    ada.post(path, &by_hand).with_status(403);
    let run = ada.run("by-itself", &json!({}));
    assert_eq!(run["status"], "SUCCESS", "{run}");
    assert_eq!(entity(&portal), 200);
    let log = portal.admin().get("/v1/audit-log?limit=1000").json();
    let rows = log["audits"].as_array().expect("rows");
    let id = run["id"].as_str().expect("an id");
    let of_run = rows.iter().map(ToString::to_string);
    let of_run: Vec<String> = of_run.filter(|row| row.contains(id)).collect();
    let write = of_run.iter().find(|row| row.contains("\"mine\""));
    let write = write.expect("the write is told");
    assert!(
        write.contains("ada@example.com") && write.contains("PLUGIN"),
        "{write}"
    );
    let said = of_run.iter().any(|row| row.contains("runAs"));
    assert!(said, "{of_run:?}");
    Evidence::fired("A developer, refused by hand, ran an action with rights of its own")
        .seen("written, and the audit names both and `runAs`")
}

#[test]
pub(crate) fn an_action_that_runs_as_its_user_does_nothing_that_they_may_not() -> Evidence {
    let portal = portal();
    let ada = portal.user("ada@example.com", "developer");
    let run = ada.run("for-me", &json!({}));
    let message = denied(&run);
    for part in [
        "`catalog upsert Secret`",
        "`ada@example.com`",
        "developer",
        "catalog:write",
        "runAs: user",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(entity(&portal), 404);
    let log = portal.admin().get("/v1/audit-log?action=DENY").json();
    let rows = log["audits"].as_array().expect("rows").clone();
    let id = run["id"].as_str().expect("an id");
    let of_run: Vec<&Value> = rows
        .iter()
        .filter(|row| row.to_string().contains(id))
        .collect();
    let [row] = of_run[..] else {
        panic!("{rows:?}")
    };
    let said = row.to_string();
    for part in [
        r#""missing":"catalog upsert Secret""#,
        r#""person":"ada@example.com""#,
        "catalog:write",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let used = portal.admin().get("/v1/plugins/deputy/usage");
    let used = used.with_status(200).json();
    let text = used.to_string();
    assert!(
        text.contains(r#""denied":[]"#),
        "no line would help: {text}"
    );

    let engineer = portal.user("grace@example.com", "platform-engineer");
    assert_eq!(engineer.run("for-me", &json!({}))["status"], "SUCCESS");
    assert_eq!(entity(&portal), 200);
    Evidence::fired("A developer ran a plugin of wide grants as themselves")
        .seen("`denied` with the missing right, audited")
        .seen("a platform engineer's run wrote")
}

#[test]
pub(crate) fn the_permissions_of_a_blueprint_bind_an_action_that_runs_as_its_user() -> Evidence {
    let portal = portal();
    let permissions = json!({"entities": {"register": {"roles": ["admin"]}}});
    portal
        .admin()
        .send_json(
            "PATCH",
            "/v1/blueprints/Secret/permissions",
            &[],
            &permissions,
        )
        .with_status(200);
    let engineer = portal.user("grace@example.com", "platform-engineer");
    let message = denied(&engineer.run("for-me", &json!({})));
    assert!(
        message.contains("`register` of the permissions of the blueprint"),
        "{message}"
    );
    assert_eq!(entity(&portal), 404);
    let run = engineer.run("by-itself", &json!({}));
    assert_eq!(run["status"], "SUCCESS", "{run}");
    Evidence::fired("The blueprint was kept to administrators")
        .seen("`denied` for an engineer by name of the permission")
}
