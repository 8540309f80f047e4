use super::*;

fn circular() -> Vec<Value> {
    let blueprint = |identifier: &str, other: &str| {
        json!({
            "identifier": identifier, "title": identifier,
            "schema": { "properties": { "type": { "type": "string", "enum": ["x", "y"] } } },
            "relations": { "other": { "target": other, "required": true } },
        })
    };
    vec![blueprint("Component", "API"), blueprint("API", "Component")]
}

fn pair() -> Vec<Value> {
    vec![
        json!({ "identifier": "a", "blueprint": "API", "relations": { "other": "c" } }),
        json!({ "identifier": "c", "blueprint": "Component", "relations": { "other": "a" } }),
    ]
}

#[tokio::test]
async fn circular_blueprints_and_mutual_entities_go_in_at_once() {
    let fixture = Fixture::new();
    let applied = fixture.apply(circular(), pair()).await.unwrap();
    assert_eq!(
        applied.created,
        [
            "blueprint Component",
            "blueprint API",
            "entity API/a",
            "entity Component/c"
        ]
    );
    assert_eq!(
        fixture.entity("API", "a").await.unwrap()["relations"]["other"],
        json!("c")
    );
    let rows = fixture.audit().await.len();
    let again = fixture.apply(circular(), pair()).await.unwrap();
    assert_eq!(
        (
            again.created.len(),
            again.updated.len(),
            again.unchanged.len()
        ),
        (0, 0, 4)
    );
    assert_eq!(fixture.audit().await.len(), rows);
    let mut changed = pair();
    changed[1]["title"] = json!("C");
    assert_eq!(
        fixture.apply(vec![], changed).await.unwrap().updated,
        ["entity Component/c"]
    );
}

#[tokio::test]
async fn every_fault_of_every_document_is_told_and_nothing_stays() {
    let fixture = Fixture::new();
    let entities = vec![
        json!({ "identifier": "a", "blueprint": "API", "properties": { "type": "z" }, "relations": { "other": "c" } }),
        json!({ "identifier": "c", "blueprint": "Component", "relations": { "other": "gone" } }),
        json!({ "identifier": "c", "blueprint": "Component", "relations": { "other": "a" } }),
        json!({ "identifier": "d", "blueprint": "Nothing" }),
        json!({ "identifier": "e", "blueprint": "API", "properties": { "type": 1 }, "relations": { "other": "gone" } }),
        json!({ "identifier": "f", "blueprint": "Component", "relations": { "other": "e" } }),
        json!({ "blueprint": "API" }),
    ];
    let outcome = fixture.apply(circular(), entities).await;
    let Err(Error::Invalid {
        violations: told,
        subject,
    }) = &outcome
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(subject, "the apply");
    assert!(
        told.iter()
            .any(|v| v.message.starts_with("entity `a` of blueprint `API`: ")),
        "{told:?}"
    );
    let mut found = violations(outcome);
    found.sort();
    assert_eq!(
        found,
        pairs(&[
            ("/0/properties/type", "enum"),
            ("/1/relations/other", "relation"),
            ("/2/identifier", "unique"),
            ("/3/blueprint", "relation"),
            ("/4/properties/type", "enum"),
            ("/4/properties/type", "type"),
            ("/4/relations/other", "relation"),
            ("/6/identifier", "required"),
        ])
    );
    assert!(fixture.catalog.list_blueprints().await.unwrap().is_empty());
    assert!(fixture.audit().await.is_empty());
}

#[tokio::test]
async fn a_wrong_blueprint_stops_all() {
    let fixture = Fixture::new();
    let mut blueprints = circular();
    blueprints[0]["relations"]["other"]["target"] = json!("Gone");
    blueprints[1]["schema"]["properties"]["type"]["type"] = json!("text");
    blueprints.push(json!({ "identifier": "Ok", "title": "Ok", "schema": {} }));
    let outcome = fixture.apply(blueprints, pair()).await;
    assert_eq!(
        violations(outcome),
        pairs(&[
            ("/relations/other/target", "relation"),
            ("/schema/properties/type/type", "type")
        ])
    );
    assert!(fixture.catalog.list_blueprints().await.unwrap().is_empty());
}

#[tokio::test]
async fn too_many_documents_are_refused() {
    let fixture = Fixture::new();
    let entities = vec![json!({ "identifier": "a", "blueprint": "A" }); MAX_DOCUMENTS + 1];
    assert_eq!(
        violations(fixture.apply(vec![], entities).await),
        pairs(&[("", "maxItems")])
    );
}

#[tokio::test]
async fn a_schema_from_an_undone_transaction_is_forgotten() {
    let fixture = Fixture::new();
    let blueprint = |choice: &str| json!({ "identifier": "A", "title": "A", "schema": { "properties": { "p": { "type": "string", "enum": [choice] } } } });
    let entity = |choice: &str| json!({ "identifier": "a", "blueprint": "A", "properties": { "p": choice } });
    assert!(
        fixture
            .apply(vec![blueprint("x")], vec![entity("x"), entity("x")])
            .await
            .is_err()
    );
    fixture
        .apply(vec![blueprint("y")], vec![entity("y")])
        .await
        .unwrap();
    assert_eq!(
        violations(fixture.put("A", entity("x")).await),
        pairs(&[("/properties/p", "enum")])
    );
}
