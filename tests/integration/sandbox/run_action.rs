//! Guests that start other actions, and how far they get.

use goldenpath_tests::{Client, Evidence, Guest, Portal, component, guests_dir};
use serde_json::{Value, json};

use crate::{guest_target, hello, program};

/// The links of a chain, each an action of the same function.
const CHAIN: [&str; 6] = ["a1", "a2", "a3", "a4", "a5", "a6"];

const SECRET: &str = "hunter2-hunter2-hunter2";

fn starter() -> Guest {
    let component = component(&guest_target(), &guests_dir(), Some("starts_actions"));
    let description = Guest::describe(&component);
    let names = CHAIN.iter().chain(&["hello", "starts", "gone", "denied"]);
    let manifest: String = names
        .map(|name| {
            format!(
                "[[capabilities.run-action]]\naction = \"{name}\"\nreason = \"to be started\"\n"
            )
        })
        .collect();
    Guest::new("starter", component, &description)
        .with_manifest(&manifest)
        .with_manifest("[[capabilities.secret]]\nname = \"key\"\nreason = \"to be handed on\"")
        .with_action("starts")
}

/// A portal with `hello`, and the starter under the names of its chain; `run-action denied` was denied to it.
fn portal() -> Portal {
    let portal = Portal::start(program());
    portal.install(&hello());
    let secret = json!({"value": SECRET});
    portal
        .admin()
        .send_json("PUT", "/v1/secrets/SIGNING_KEY", &[], &secret)
        .with_status(201);
    let approval = json!({"deny": ["run-action denied"], "secrets": {"key": "SIGNING_KEY"}});
    portal.install_with(&starter(), approval);
    for name in CHAIN {
        let action = json!({
            "identifier": name,
            "trigger": {"type": "self-service", "operation": "CREATE"},
            "invocationMethod": {"type": "PLUGIN", "plugin": "starter", "action": "starts"},
        });
        portal.admin().post("/v1/actions", &action).with_status(201);
    }
    portal
}

fn start(client: &Client, input: &Value) -> Value {
    let run = client.run("starts", input);
    assert_eq!(run["status"], "SUCCESS", "{run}");
    run
}

/// A run once it has ended.
fn ended(client: &Client, id: &Value) -> Value {
    let id = id.as_str().expect("an identifier");
    // The stream ends with the run.
    client.events(id, None).for_each(drop);
    let run = client.get(&format!("/v1/actions/runs/{id}"));
    run.with_status(200).json()["run"].clone()
}

fn denials(portal: &Portal, run: &Value) -> Vec<String> {
    let log = portal.admin().get("/v1/audit-log?action=DENY");
    let log = log.with_status(200).json();
    let rows = log["audits"].as_array().expect("rows").clone();
    let of_run = |row: &String| row.contains(run["id"].as_str().expect("an id"));
    rows.iter()
        .map(ToString::to_string)
        .filter(of_run)
        .collect()
}

#[test]
pub(crate) fn a_started_run_is_one_of_the_person_who_asked_and_says_where_it_comes_from() -> Evidence
{
    let portal = portal();
    let ada = portal.user("ada@example.com", "developer");
    let run = start(&ada, &json!({"chain": ["hello"]}));
    assert_eq!(run["output"]["known"], true, "{run}");
    let child = ended(&ada, &run["output"]["runs"][0]);
    assert_eq!(child["output"]["greeting"], "Hello, Ada!", "{child}");
    assert_eq!(child["createdBy"], "ada@example.com");
    assert_eq!(child["parentRun"], run["id"]);
    assert_eq!(run["parentRun"], Value::Null);
    let log = portal.admin().get("/v1/audit-log?action=CREATE&limit=1000");
    let log = log.with_status(200).json();
    let rows = log["audits"].as_array().expect("rows");
    let id = child["id"].as_str().expect("an id");
    let row = rows.iter().map(ToString::to_string);
    let row = row.filter(|row| row.contains(id)).collect::<String>();
    for part in [
        "startedBy",
        "starter",
        "digest",
        "onBehalfOf",
        "ada@example.com",
    ] {
        assert!(row.contains(part), "{part}: {row}");
    }
    Evidence::fired("A developer's run started another")
        .seen("the developer's own, named with plugin, digest and the run that started it")
}

#[test]
pub(crate) fn an_action_without_a_line_is_denied_and_audited() -> Evidence {
    let portal = portal();
    for (name, line) in [
        ("denied", "run-action denied"),
        ("no name", "run-action ACTION"),
    ] {
        let run = start(portal.admin(), &json!({ "chain": [name] }));
        assert_eq!(run["output"]["error"], "denied", "{run}");
        let message = run["output"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(&format!("`{line}`")), "{message}");
        let denied = denials(&portal, &run);
        assert!(denied.len() == 1 && denied[0].contains(line), "{denied:?}");
    }
    let listed = portal
        .admin()
        .get("/v1/actions/runs")
        .with_status(200)
        .json();
    assert_eq!(listed["runs"].as_array().map(Vec::len), Some(2), "{listed}");
    Evidence::fired("An action whose line was denied and one that is no name were started")
        .seen("`denied` with the line, audited")
        .seen("no run but those of the guest")
}

#[test]
fn a_secret_is_not_handed_on_to_a_run_that_knows_of_none() {
    let portal = portal();
    let run = start(portal.admin(), &json!({"chain": ["hello"], "tell": "key"}));
    assert_eq!(run["output"]["error"], "denied", "{run}");
    let message = run["output"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("holds secret `key`"), "{message}");
    assert_eq!(denials(&portal, &run).len(), 1);
    for path in ["/v1/audit-log?limit=1000", "/v1/actions/runs"] {
        let told = portal.admin().get(path).with_status(200).text();
        assert!(!told.contains("hunter2"), "{path}: {told}");
    }
}

#[test]
fn what_does_not_fit_its_action_is_told_rule_by_rule() {
    let portal = portal();
    let gone = start(portal.admin(), &json!({"chain": ["gone"]}));
    assert_eq!(gone["output"]["error"], "not_found", "{gone}");
    let entity = start(portal.admin(), &json!({"chain": ["hello"], "entity": "x"}));
    assert_eq!(entity["output"]["error"], "invalid", "{entity}");
    let message = entity["output"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("/entity"), "{message}");
}

#[test]
pub(crate) fn what_a_person_may_not_see_no_plugin_starts_a_run_about_for_them() -> Evidence {
    let portal = portal();
    let admin = portal.admin();
    let blueprint = json!({
        "identifier": "Hidden",
        "title": "Hidden",
        "schema": {"properties": {}, "required": []},
    });
    admin.post("/v1/blueprints", &blueprint).with_status(201);
    let path = "/v1/blueprints/Hidden/entities";
    admin
        .post(path, &json!({"identifier": "x"}))
        .with_status(201);
    let permissions = json!({"entities": {"read": {"roles": ["admin"]}}});
    let path = "/v1/blueprints/Hidden/permissions";
    admin
        .send_json("PATCH", path, &[], &permissions)
        .with_status(200);
    let action = json!({
        "identifier": "gone",
        "trigger": {"type": "self-service", "operation": "DAY-2", "blueprintIdentifier": "Hidden"},
        "invocationMethod": {"type": "PLUGIN", "plugin": "starter", "action": "starts"},
    });
    admin.post("/v1/actions", &action).with_status(201);
    let wanted = json!({"chain": ["gone"], "entity": "x"});
    let run = start(&portal.user("ada@example.com", "developer"), &wanted);
    assert_eq!(run["output"]["error"], "forbidden", "{run}");
    let denied = denials(&portal, &run);
    assert!(
        denied.len() == 1
            && denied[0].contains(r#""missing":"run-action gone""#)
            && denied[0].contains(r#""person":"ada@example.com""#),
        "{denied:?}"
    );
    let run = start(admin, &wanted);
    assert_eq!(run["output"]["error"], Value::Null, "{run}");
    Evidence::fired("A developer's run started one about an entity that is hidden from them")
        .seen("`forbidden` and audited")
        .seen("an administrator's went on")
}

#[test]
pub(crate) fn a_chain_ends_at_its_depth_and_never_goes_in_a_circle() -> Evidence {
    let portal = portal();
    let admin = portal.admin();
    let mut run = start(admin, &json!({ "chain": CHAIN }));
    let mut depth = 0;
    while let Some(next) = run["output"]["runs"]
        .as_array()
        .and_then(|runs| runs.first())
    {
        run = ended(admin, next);
        depth += 1;
    }
    assert_eq!(
        (depth, &run["output"]["error"]),
        (4, &json!("refused")),
        "{run}"
    );
    let denied = denials(&portal, &run);
    assert!(
        denied.len() == 1 && denied[0].contains(r#""missing":"run-action a5""#),
        "{denied:?}"
    );

    let run = start(admin, &json!({"chain": ["starts"]}));
    assert_eq!(run["output"]["error"], "refused", "at once: {run}");
    let run = start(admin, &json!({"chain": ["a1", "a2", "a1"]}));
    let run = ended(admin, &run["output"]["runs"][0]);
    let run = ended(admin, &run["output"]["runs"][0]);
    assert_eq!(
        run["output"]["error"], "refused",
        "by way of another: {run}"
    );
    Evidence::fired("A chain of six, and two circles were started")
        .seen("`refused` below the fourth and audited")
        .seen("`refused` where an action would run within itself")
}

#[test]
pub(crate) fn a_flood_ends_at_its_number() -> Evidence {
    let portal = portal();
    let run = start(portal.admin(), &json!({"chain": ["a1"], "times": 60}));
    assert_eq!(
        run["output"]["runs"].as_array().map(Vec::len),
        Some(50),
        "{run}"
    );
    assert_eq!(run["output"]["error"], "refused", "{run}");
    Evidence::fired("Sixty runs were started").seen("fifty began, then `refused`")
}

#[test]
pub(crate) fn only_runs_that_the_call_itself_started_can_be_asked_about() -> Evidence {
    let portal = portal();
    let other = portal.admin().run("hello", &json!({"name": "Ada"}));
    let run = start(portal.admin(), &json!({"chain": [], "ask": other["id"]}));
    assert_eq!(run["output"]["error"], "not_found", "{run}");
    Evidence::fired("The run was another's").seen("`not_found`")
}

#[test]
fn a_ceiling_without_actions_refuses_the_approval() {
    let portal = Portal::start_with(program(), &["--plugin-ceiling", "no run-action"]);
    let wasm = [("content-type", "application/wasm")];
    let package = starter().package();
    portal
        .admin()
        .send("POST", "/v1/plugins", &wasm, package)
        .with_status(201);
    let secret = json!({"value": SECRET});
    let put = portal
        .admin()
        .send_json("PUT", "/v1/secrets/SIGNING_KEY", &[], &secret);
    put.with_status(201);
    let terms = json!({"secrets": {"key": "SIGNING_KEY"}});
    let refused = portal.admin().approve("starter", "1.0.0", terms);
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(
        refused.text().contains("start action `hello`"),
        "{}",
        refused.text()
    );
}
