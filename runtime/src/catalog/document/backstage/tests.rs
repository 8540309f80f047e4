use serde_json::json;

use super::super::parse_documents;
use super::*;

const FILE: &str = "\
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: cart-service
  title: Cart service
  description: Keeps what people mean to buy
  annotations: {example.com/repository: shop/cart}
  tags: [go, http]
  links: [{url: https://example.com/runbook, title: Runbook}]
spec:
  type: service
  lifecycle: production
  owner: group:default/Team-Orders
  system: cart
  providesApis: [cart-api]
  consumesApis: [shop/prices]
  dependsOn: [resource:cart-db, component:default/currency]
  subcomponentOf: component:shop
---
apiVersion: backstage.io/v1alpha1
kind: Resource
metadata: {name: cart-db}
spec: {type: database, owner: user:ada, dependencyOf: [component:currency]}
---
apiVersion: backstage.io/v1beta1
kind: Component
metadata: {name: currency, namespace: default}
spec: {type: library, lifecycle: production, owner: team-orders}
---
apiVersion: backstage.io/v1alpha1
kind: API
metadata: {name: prices, namespace: shop}
spec: {type: openapi, lifecycle: production, owner: team-orders, definition: 'openapi: 3.1.0'}
---
apiVersion: backstage.io/v1alpha1
kind: System
metadata: {name: cart}
spec: {owner: team-orders, domain: orders}
---
apiVersion: backstage.io/v1alpha1
kind: Domain
metadata: {name: orders}
spec: {owner: team-orders}
---
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: team-orders}
spec: {type: team, profile: {displayName: Orders}, children: [team-cart], members: [bob]}
---
apiVersion: backstage.io/v1alpha1
kind: Group
metadata: {name: team-cart}
spec: {type: team, children: []}
---
apiVersion: backstage.io/v1alpha1
kind: User
metadata: {name: ada}
spec: {profile: {displayName: Ada, email: ada@example.com}, memberOf: [team-orders]}
---
apiVersion: backstage.io/v1alpha1
kind: User
metadata: {name: bob}
spec: {profile: {displayName: Bob}, memberOf: []}
---
apiVersion: backstage.io/v1alpha1
kind: Location
metadata: {name: more}
spec: {targets: [./other.yaml]}
";

fn converted(text: &str) -> Result<Converted, Vec<DocumentError>> {
    convert_backstage(parse_documents("catalog-info.yaml", text.as_bytes()).unwrap())
}

fn refusals(text: &str) -> Vec<String> {
    let errors = converted(text).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn every_kind_becomes_an_entity_of_its_blueprint() {
    let converted = converted(FILE).unwrap();
    let values: Vec<&Value> = converted.documents.iter().map(|one| &one.value).collect();
    assert_eq!(
        *values[0],
        json!({
            "blueprint": "Component", "identifier": "cart-service", "title": "Cart service", "team": ["team-orders"],
            "properties": {
                "description": "Keeps what people mean to buy", "tags": ["go", "http"],
                "annotations": {"example.com/repository": "shop/cart"},
                "links": [{"url": "https://example.com/runbook", "title": "Runbook"}],
                "type": "service", "lifecycle": "production",
            },
            "relations": {
                "system": "cart", "providesApis": ["cart-api"], "consumesApis": ["shop/prices"],
                "dependsOn": ["currency"], "dependsOnResources": ["cart-db"], "subcomponentOf": "shop",
            },
        })
    );
    let kinds: Vec<_> = values
        .iter()
        .map(|one| one["blueprint"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "Component",
            "Resource",
            "Component",
            "API",
            "System",
            "Domain",
            "_team",
            "_team",
            "_user",
            "_user"
        ]
    );
    assert_eq!(values[3]["identifier"], "shop/prices");
    assert_eq!(values[3]["properties"]["definition"], "openapi: 3.1.0");
    assert_eq!(values[4]["relations"]["domain"], "orders");
    assert_eq!(converted.notes.len(), 1);
    assert!(
        converted.notes[0].contains("document 11"),
        "{:?}",
        converted.notes
    );
    assert!(converted.documents.iter().all(|one| one.from_backstage));
}

#[test]
fn what_is_said_from_the_other_end_is_turned_around() {
    let converted = converted(FILE).unwrap();
    let of = |id: &str| {
        let found = converted
            .documents
            .iter()
            .find(|one| one.value["identifier"] == id);
        found.unwrap().value.clone()
    };
    assert_eq!(
        of("currency")["relations"]["dependsOnResources"],
        json!(["cart-db"])
    );
    assert_eq!(of("team-cart")["relations"]["parent"], "team-orders");
    assert_eq!(of("bob")["team"], json!(["team-orders"]));
    // People are called by their address, wherever they are named.
    assert_eq!(of("ada@example.com")["title"], "Ada");
    assert_eq!(of("cart-db")["properties"]["owner"], "ada@example.com");
}

#[test]
fn what_cannot_be_kept_is_said() {
    let told = converted(
        "apiVersion: backstage.io/v1alpha1\nkind: API\nmetadata: {name: a, cost: 7}\n\
         spec: {definition: {$text: ./a.yaml}, sla: gold, owner: x}\n---\n\
         apiVersion: backstage.io/v1alpha1\nkind: Template\nmetadata: {name: b}\n---\n\
         apiVersion: backstage.io/v1alpha1\nkind: Resource\nmetadata: {name: c}\nspec: {dependencyOf: [component:gone]}\n",
    )
    .unwrap();
    for part in [
        "`metadata.cost`",
        "`spec.definition`",
        "`spec.sla`",
        "`Template`",
        "`gone`",
    ] {
        assert!(
            told.notes.iter().any(|note| note.contains(part)),
            "{part}: {:?}",
            told.notes
        );
    }
}

#[test]
fn every_fault_of_every_descriptor_is_told() {
    let told = refusals(
        "apiVersion: backstage.io/v2\nkind: API\nmetadata: {name: a}\n---\n\
         apiVersion: backstage.io/v1alpha1\nkind: API\nmetadata: {}\n---\n\
         apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: c}\n\
         spec: {system: 'component:x', dependsOn: [noKind], consumesApis: ['a/b/c', 7], owner: 'location:z'}\n",
    );
    for (index, part) in [
        "/apiVersion",
        "/metadata/name",
        "/spec/system: `component:default/x`",
        "/spec/dependsOn: \"noKind\" has to name its kind",
        "/spec/consumesApis: \"a/b/c\"",
        "/spec/consumesApis: must be a reference",
        "/spec/owner: `location:default/z` is a location",
    ]
    .iter()
    .enumerate()
    {
        assert!(told[index].contains(part), "{part}: {told:?}");
    }
}

#[test]
fn a_place_in_the_entity_leads_back_to_the_descriptor() {
    for (here, there) in [
        ("/identifier", "/metadata/name"),
        ("/properties/tags/1", "/metadata/tags/1"),
        ("/properties/lifecycle", "/spec/lifecycle"),
        ("/properties/email", "/spec/profile/email"),
        ("/relations/consumesApis/0", "/spec/consumesApis/0"),
        ("/relations/dependsOnResources/0", "/spec/dependsOn"),
        ("/team/0", "/spec/owner"),
        ("", ""),
    ] {
        assert_eq!(origin(here), there);
    }
}

#[test]
fn what_the_blueprints_lack_is_named_and_made() {
    let documents = converted(FILE).unwrap().documents;
    let lacking = find_lacking(&documents, &[]).unwrap();
    assert_eq!(lacking.blueprints.len(), 7);
    assert!(lacking.missing.contains(&"blueprint `API`".to_owned()));
    for blueprint in &lacking.blueprints {
        let parsed = crate::catalog::parse_blueprint(blueprint.clone()).unwrap();
        assert_eq!(crate::catalog::blueprint::check(&parsed), []);
    }
    // With those in the catalog nothing is missing.
    let none = find_lacking(&documents, &lacking.blueprints).unwrap();
    assert!(
        none.missing.is_empty() && none.blueprints.is_empty(),
        "{none:?}"
    );
    // What is there stays, and gets what it lacks.
    let mut stored = lacking.blueprints.clone();
    let component = stored
        .iter_mut()
        .find(|one| one["identifier"] == "Component")
        .unwrap();
    *component = json!({
        "identifier": "Component", "title": "Mine",
        "schema": {"properties": {"type": {"type": "string", "enum": ["service", "library"]}}},
    });
    let some = find_lacking(&documents, &stored).unwrap();
    assert_eq!(some.blueprints.len(), 1);
    assert_eq!(some.blueprints[0]["title"], "Mine");
    assert!(some.blueprints[0]["schema"]["properties"]["type"]["enum"].is_array());
    assert!(
        some.blueprints[0]["relations"]["consumesApis"]["many"]
            .as_bool()
            .unwrap()
    );
    assert!(
        some.missing
            .contains(&"property `lifecycle` of blueprint `Component`".to_owned()),
        "{:?}",
        some.missing
    );
}
