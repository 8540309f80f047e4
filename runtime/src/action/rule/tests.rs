use serde_json::json;

use super::*;

fn hello() -> Value {
    json!({
        "identifier": "hello",
        "title": "Say hello",
        "trigger": {
            "type": "self-service",
            "operation": "CREATE",
            "userInputs": {
                "properties": { "name": { "type": "string", "minLength": 1, "default": "you" } },
                "required": ["name"],
                "order": ["name"]
            }
        },
        "invocationMethod": {
            "type": "PLUGIN",
            "plugin": "hello",
            "version": "1.2.0",
            "action": "hello",
            "inputs": { "name": "{{ .inputs.name }}" }
        },
        "publish": true
    })
}

/// The paths of the rules that a document breaks, once a value is put at a pointer.
fn broken(pointer: &str, value: Value) -> Vec<String> {
    let mut document = hello();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap()[key] = value;
    match parse_action(document) {
        Ok(_) => Vec::new(),
        Err(Error::Invalid { violations, .. }) => violations
            .into_iter()
            .map(|violation| violation.path)
            .collect(),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_sound_action_is_read_and_written_as_it_came() {
    let mut document = hello();
    document["future"] = json!({ "kept": [1, 2] });
    document["trigger"]["actionCardButtonText"] = json!("Go");
    document["invocationMethod"]["note"] = json!("kept too");
    let action = parse_action(document.clone()).unwrap();
    assert_eq!(serde_json::to_value(&action).unwrap(), document);
}

#[test]
fn every_broken_rule_is_named_with_its_place() {
    let Err(Error::Invalid {
        subject,
        violations,
    }) = parse_action(json!({
        "identifier": "a b",
        "trigger": {
            "type": "self-service",
            "operation": "DAY-2",
            "userInputs": {
                "properties": {
                    "size": { "type": "int" },
                    "system": { "type": "string", "format": "entity" },
                    "when": { "type": "string", "format": "tomorrow" },
                    "a/b": { "type": "string" }
                },
                "required": ["nobody"]
            }
        },
        "invocationMethod": { "type": "PLUGIN", "plugin": "Hello", "version": "latest" }
    }))
    else {
        panic!("it is not sound")
    };
    let paths: Vec<&str> = violations
        .iter()
        .map(|violation| violation.path.as_str())
        .collect();
    assert_eq!(subject, "action `a b`");
    assert_eq!(
        paths,
        [
            "/identifier",
            "/trigger/blueprintIdentifier",
            "/trigger/userInputs/properties/size/type",
            "/trigger/userInputs/properties/system/blueprint",
            "/trigger/userInputs/properties/when/format",
            "/trigger/userInputs/properties/a~1b",
            "/trigger/userInputs/required/0",
            "/invocationMethod/plugin",
            "/invocationMethod/version",
            "/invocationMethod/action",
        ]
    );
}

#[test]
fn what_cannot_be_honoured_is_refused_instead_of_ignored() {
    assert_eq!(
        broken("/requiredApproval", json!(true)),
        ["/requiredApproval"]
    );
    assert_eq!(
        broken("/requiredApproval", json!({ "type": "ANY" })),
        ["/requiredApproval"]
    );
    assert_eq!(broken("/requiredApproval", json!(false)), [""; 0]);
    assert_eq!(
        broken("/engine", json!({ "concurrency": 5, "runAs": "root" })),
        ["/engine/concurrency", "/engine/runAs"]
    );
    assert_eq!(broken("/engine", json!({ "runAs": "user" })), [""; 0]);
    assert_eq!(broken("/engine", json!(null)), [""; 0]);
    assert_eq!(
        broken("/trigger/engine", json!({ "runAs": "user" })),
        ["/trigger/engine"]
    );
    assert_eq!(
        broken(
            "/trigger/condition",
            json!({ "type": "SEARCH", "rules": [] })
        ),
        ["/trigger/condition"]
    );
    assert_eq!(
        broken("/trigger/type", json!("automation")),
        ["/trigger/type"]
    );
    assert_eq!(
        broken("/invocationMethod/type", json!("WEBHOOK")),
        ["/invocationMethod/type"]
    );
    let name = "/trigger/userInputs/properties/name";
    assert_eq!(
        broken(&format!("{name}/encryption"), json!("aes256-gcm")),
        [format!("{name}/encryption")]
    );
    assert_eq!(
        broken(
            &format!("{name}/default"),
            json!({ "jqQuery": ".user.email" })
        ),
        [format!("{name}/default/jqQuery")]
    );
    assert_eq!(
        broken("/invocationMethod/inputs/name", json!("{{ .secrets.X }}")),
        ["/invocationMethod/inputs/name"]
    );
    for place in [
        "/title",
        "/invocationMethod/note",
        &format!("{name}/default"),
    ] {
        assert_eq!(broken(place, json!("a {{ .secrets.X }}")), [place]);
    }
}

#[test]
fn identifier_runs_is_refused_because_it_is_a_route() {
    assert_eq!(broken("/identifier", json!("runs")), ["/identifier"]);
}

#[test]
fn a_form_that_is_no_usable_schema_is_refused() {
    let name = "/trigger/userInputs/properties/name";
    assert_eq!(
        broken(&format!("{name}/pattern"), json!("(")),
        [format!("{name}/pattern")]
    );
    assert_eq!(
        broken(&format!("{name}/$ref"), json!("https://example.com/schema")),
        [format!("{name}/$ref")]
    );
    assert!(!broken(&format!("{name}/minLength"), json!("one")).is_empty());
    // A pattern that needs backtracking, which a linear engine does not have.
    assert!(!broken(&format!("{name}/pattern"), json!("(a+)\\1$")).is_empty());
}

#[test]
fn hostile_documents_end_in_a_bounded_answer() {
    assert_eq!(broken("/description", json!("x".repeat(300_000))), [""]);
    let names: Vec<String> = (0..5_000).map(|n| format!("n{n}")).collect();
    assert!(broken("/trigger/userInputs/required", json!(names)).len() <= MAX_VIOLATIONS);
    assert!(matches!(
        parse_action(json!([])),
        Err(Error::Invalid { .. })
    ));
    assert!(matches!(
        parse_action(json!(null)),
        Err(Error::Invalid { .. })
    ));
}
