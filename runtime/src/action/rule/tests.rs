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
        broken("/engine", json!({ "concurrency": 0, "runAs": "root" })),
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
        broken(&format!("{name}/title"), json!({ "jqQuery": "1" })),
        [format!("{name}/title/jqQuery")]
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

#[test]
fn what_is_worked_out_is_written_in_one_way_and_in_its_place() {
    let name = "/trigger/userInputs/properties/name";
    for key in [
        "default",
        "visible",
        "disabled",
        "enum",
        "pattern",
        "minLength",
    ] {
        let place = format!("{name}/{key}");
        assert_eq!(broken(&place, json!({ "jqQuery": ".user.email" })), [""; 0]);
        assert!(!broken(&place, json!({ "jqQuery": 1 })).is_empty(), "{key}");
        assert!(
            !broken(&place, json!({ "jqQuery": "" })).is_empty(),
            "{key}"
        );
    }
    assert_eq!(
        broken(&format!("{name}/visible"), json!("yes")),
        [format!("{name}/visible")]
    );
    let required = "/trigger/userInputs/required";
    assert_eq!(broken(required, json!({ "jqQuery": "[]" })), [""; 0]);
    assert_eq!(
        broken(required, json!({ "jqQuery": "[]", "else": 1 })),
        [required]
    );
    let long = json!({ "jqQuery": "1".repeat(10_000) });
    assert_eq!(broken(required, long), [required]);
}

#[test]
fn inputs_that_need_each_other_are_refused() {
    let name = "/trigger/userInputs/properties/name";
    let on = format!("{name}/dependsOn");
    assert_eq!(broken(&on, json!(["name"])), std::slice::from_ref(&on));
    assert_eq!(broken(&on, json!(["nobody"])), [format!("{on}/0")]);
    assert_eq!(broken(&on, json!([])), [""; 0]);
}

#[test]
fn data_sets_sorts_titles_and_conditions_are_read_when_the_action_is_saved() {
    let name = "/trigger/userInputs/properties/name";
    let rules = json!({ "combinator": "and", "rules": [] });
    let dataset = format!("{name}/dataset");
    // It is no entity.
    assert_eq!(
        broken(&dataset, rules.clone()),
        std::slice::from_ref(&dataset)
    );
    let entity = |dataset: Value| json!({ "type": "string", "format": "entity", "blueprint": "System", "dataset": dataset });
    assert_eq!(broken(name, entity(rules)), [""; 0]);
    assert_eq!(broken(name, entity(json!({ "rules": [{}] }))).len(), 1);
    let sort = format!("{name}/sort");
    assert_eq!(
        broken(&sort, json!({ "property": "$title", "order": "ASC" })),
        [""; 0]
    );
    assert_eq!(
        broken(&sort, json!({ "property": "$title", "order": "up" })),
        [format!("{sort}/order")]
    );
    let titles = "/trigger/userInputs/titles";
    assert_eq!(
        broken(titles, json!({ "t": { "title": "T", "visible": true } })),
        [""; 0]
    );
    assert_eq!(
        broken(
            titles,
            json!({ "t": { "title": "T".repeat(141), "visible": 1 } })
        ),
        [format!("{titles}/t/title"), format!("{titles}/t/visible")]
    );
    let mut document = hello();
    document["trigger"]["operation"] = json!("DAY-2");
    document["trigger"]["blueprintIdentifier"] = json!("System");
    document["trigger"]["condition"] =
        json!({ "type": "SEARCH", "combinator": "and", "rules": [] });
    parse_action(document.clone()).unwrap();
    document["trigger"]["condition"] = json!({ "type": "JQ", "rules": 1 });
    assert!(parse_action(document).is_err());
}
