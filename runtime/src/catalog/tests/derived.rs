use super::*;

/// Domains hold systems, systems hold services; services use each other.
fn blueprints() -> Vec<Value> {
    vec![
        json!({
            "identifier": "Domain", "title": "Domain",
            "schema": { "properties": { "budget": { "type": "number" } } },
            "aggregationProperties": {
                "services": { "title": "Services", "target": "Service", "calculationSpec": { "calculationBy": "entities", "func": "count" } },
                "critical": {
                    "target": "Service",
                    "calculationSpec": { "calculationBy": "property", "func": "sum", "property": "cost" },
                    "query": { "combinator": "and", "rules": [{ "property": "tier", "operator": "=", "value": 1 }] },
                },
            },
        }),
        json!({
            "identifier": "System", "title": "System", "schema": {},
            "relations": { "domain": { "target": "Domain" } },
            "mirrorProperties": { "siblings": { "title": "Siblings", "path": "domain.services" } },
        }),
        json!({
            "identifier": "Service", "title": "Service",
            "schema": { "properties": { "tier": { "type": "number" }, "cost": { "type": "number" } } },
            "relations": { "system": { "target": "System" }, "uses": { "target": "Service", "many": true } },
            "mirrorProperties": {
                "domainTitle": { "title": "Domain", "path": "system.domain.$title" },
                "usedTiers": { "title": "Tiers", "path": "uses.tier" },
                "all": { "path": "system.siblings" },
            },
            "aggregationProperties": {
                "users": {
                    "target": "Service",
                    "calculationSpec": { "calculationBy": "entities", "func": "count" },
                    "pathFilter": [{ "path": ["uses"], "fromBlueprint": "Service" }],
                },
                "usedCost": {
                    "target": "Service",
                    "calculationSpec": { "calculationBy": "property", "func": "max", "property": "cost" },
                    "pathFilter": [{ "path": ["uses"] }],
                },
            },
        }),
    ]
}

impl Fixture {
    pub(super) async fn deriving(blueprints: Vec<Value>) -> Self {
        let fixture = Self::new();
        fixture.catalog.deriver().spawn().await;
        fixture.apply(blueprints, vec![]).await.unwrap();
        fixture
    }

    /// Everything that has been queued is derived, however long that takes.
    pub(super) async fn settle(&self) {
        loop {
            self.catalog.deriver().settle(true).await.unwrap();
            let state = self.catalog.deriver().state(&self.actor).await.unwrap();
            if state.queue.waiting + state.queue.background == 0 {
                return;
            }
        }
    }

    pub(super) async fn property(&self, blueprint: &str, entity: &str, name: &str) -> Value {
        self.settle().await;
        let entity = self.entity(blueprint, entity).await.unwrap();
        entity["properties"][name].clone()
    }
}

async fn shop() -> Fixture {
    let fixture = Fixture::deriving(blueprints()).await;
    let entities = [
        ("Domain", json!({ "identifier": "shop", "title": "Shop" })),
        (
            "System",
            json!({ "identifier": "cart", "relations": { "domain": "shop" } }),
        ),
        (
            "Service",
            json!({ "identifier": "api", "properties": { "tier": 1, "cost": 5 }, "relations": { "system": "cart" } }),
        ),
        (
            "Service",
            json!({ "identifier": "web", "properties": { "tier": 2, "cost": 7 }, "relations": { "system": "cart", "uses": ["api"] } }),
        ),
    ];
    for (blueprint, entity) in entities {
        fixture.put(blueprint, entity).await.unwrap();
    }
    fixture
}

#[tokio::test]
async fn mirrors_follow_paths_of_any_depth_and_every_change_on_them() {
    let fixture = shop().await;
    let title = async || fixture.property("Service", "api", "domainTitle").await;
    assert_eq!(title().await, json!("Shop"));
    let named = json!({ "identifier": "shop", "title": "The shop" });
    fixture
        .write("Domain", named, WriteMode::Merge)
        .await
        .unwrap();
    assert_eq!(title().await, json!("The shop"));
    fixture
        .put("Domain", json!({ "identifier": "lab", "title": "Lab" }))
        .await
        .unwrap();
    let moved = json!({ "identifier": "cart", "relations": { "domain": "lab" } });
    fixture
        .write("System", moved, WriteMode::Merge)
        .await
        .unwrap();
    assert_eq!(title().await, json!("Lab"));
    fixture
        .delete("Domain", "lab", Dependents::Keep)
        .await
        .unwrap();
    assert_eq!(title().await, Value::Null);
}

#[tokio::test]
async fn a_mirror_over_a_relation_to_many_is_a_list() {
    let fixture = shop().await;
    assert_eq!(
        fixture.property("Service", "web", "usedTiers").await,
        json!([1])
    );
    assert_eq!(
        fixture.property("Service", "api", "usedTiers").await,
        json!([])
    );
    let more = json!({ "identifier": "web", "relations": { "uses": ["web", "api"] } });
    fixture
        .write("Service", more, WriteMode::Merge)
        .await
        .unwrap();
    assert_eq!(
        fixture.property("Service", "web", "usedTiers").await,
        json!([2, 1])
    );
}

#[tokio::test]
async fn aggregations_reach_over_other_blueprints_and_see_every_change() {
    let fixture = shop().await;
    let of_shop = async |name: &str| fixture.property("Domain", "shop", name).await;
    assert_eq!(of_shop("services").await, json!(2));
    assert_eq!(of_shop("critical").await, json!(5));
    let promoted = json!({ "identifier": "web", "properties": { "tier": 1 } });
    fixture
        .write("Service", promoted, WriteMode::Merge)
        .await
        .unwrap();
    assert_eq!(of_shop("critical").await, json!(12));
    fixture
        .delete("Service", "api", Dependents::Keep)
        .await
        .unwrap();
    assert_eq!(of_shop("services").await, json!(1));
    assert_eq!(of_shop("critical").await, json!(7));
    fixture
        .delete("System", "cart", Dependents::Delete)
        .await
        .unwrap();
    assert_eq!(of_shop("services").await, json!(0));
    assert_eq!(of_shop("critical").await, json!(0));
}

#[tokio::test]
async fn a_path_filter_takes_one_way_and_no_other() {
    let fixture = shop().await;
    assert_eq!(fixture.property("Service", "api", "users").await, json!(1));
    assert_eq!(fixture.property("Service", "web", "users").await, json!(0));
    assert_eq!(
        fixture.property("Service", "web", "usedCost").await,
        json!(5)
    );
    assert_eq!(
        fixture.property("Service", "api", "usedCost").await,
        Value::Null
    );
    let dearer = json!({ "identifier": "api", "properties": { "cost": 50 } });
    fixture
        .write("Service", dearer, WriteMode::Merge)
        .await
        .unwrap();
    assert_eq!(
        fixture.property("Service", "web", "usedCost").await,
        json!(50)
    );
    let cleared = json!({ "identifier": "web", "relations": { "uses": [] } });
    fixture
        .write("Service", cleared, WriteMode::Merge)
        .await
        .unwrap();
    assert_eq!(fixture.property("Service", "api", "users").await, json!(0));
}

#[tokio::test]
async fn a_chain_of_derived_values_settles() {
    let fixture = shop().await;
    // Service counts into its domain, the domain's count is mirrored by the system, and that by each service.
    assert_eq!(fixture.property("Service", "api", "all").await, json!(2));
    fixture
        .put(
            "Service",
            json!({ "identifier": "job", "relations": { "system": "cart" } }),
        )
        .await
        .unwrap();
    for service in ["api", "web", "job"] {
        assert_eq!(
            fixture.property("Service", service, "all").await,
            json!(3),
            "{service}"
        );
    }
}

#[tokio::test]
async fn a_new_definition_is_made_for_the_entities_that_are_there() {
    let fixture = shop().await;
    let patch = json!({ "mirrorProperties": { "budget": { "path": "system.domain.budget" } } });
    fixture.patch("Service", patch).await.unwrap();
    let budget = json!({ "identifier": "shop", "properties": { "budget": 9 } });
    fixture
        .write("Domain", budget, WriteMode::Merge)
        .await
        .unwrap();
    assert_eq!(fixture.property("Service", "api", "budget").await, json!(9));
    fixture
        .patch("Service", json!({ "mirrorProperties": null }))
        .await
        .unwrap();
    fixture.settle().await;
    let entity = fixture.entity("Service", "api").await.unwrap();
    assert!(entity["properties"].get("budget").is_none(), "{entity}");
}

#[tokio::test]
async fn what_a_restart_finds_in_the_queue_is_taken_up() {
    // Nobody works yet: all of this stays in the queue.
    let fixture = Fixture::new();
    fixture.apply(blueprints(), vec![]).await.unwrap();
    fixture
        .put("Domain", json!({ "identifier": "shop" }))
        .await
        .unwrap();
    fixture
        .put(
            "System",
            json!({ "identifier": "cart", "relations": { "domain": "shop" } }),
        )
        .await
        .unwrap();
    for name in ["a", "b", "c"] {
        let service = json!({ "identifier": name, "relations": { "system": "cart" } });
        fixture.put("Service", service).await.unwrap();
    }
    let state = fixture
        .catalog
        .deriver()
        .state(&fixture.actor)
        .await
        .unwrap();
    assert!(state.queue.waiting > 0 && state.queue.oldest.is_some());
    let Fixture {
        catalog,
        store,
        actor,
        _folder,
    } = fixture;
    drop((catalog, store));
    let store = Store::open(_folder.path()).unwrap();
    let fixture = Fixture {
        catalog: open_catalog(&store),
        store,
        actor,
        _folder,
    };
    assert_eq!(
        fixture
            .catalog
            .deriver()
            .state(&fixture.actor)
            .await
            .unwrap()
            .queue,
        state.queue
    );
    fixture.catalog.deriver().spawn().await;
    assert_eq!(
        fixture.property("Domain", "shop", "services").await,
        json!(3)
    );
    assert_eq!(fixture.property("Service", "a", "all").await, json!(3));
    fixture.catalog.deriver().shutdown().await;
}

#[tokio::test]
async fn a_change_that_concerns_very_many_entities_reaches_all_of_them() {
    let fixture = shop().await;
    let services = (0..2_500).map(|number| {
        json!({ "blueprint": "Service", "identifier": format!("s{number}"), "relations": { "system": "cart" } })
    });
    fixture.apply(vec![], services.collect()).await.unwrap();
    let named = json!({ "identifier": "shop", "title": "The shop" });
    fixture
        .write("Domain", named, WriteMode::Merge)
        .await
        .unwrap();
    fixture.settle().await;
    let services = fixture
        .catalog
        .list_entities(&id("Service"), None, 10_000)
        .await
        .unwrap();
    assert_eq!(services.len(), 2_502);
    for service in services {
        let properties = service.value.properties;
        assert_eq!(properties["domainTitle"], json!("The shop"));
        assert_eq!(properties["all"], json!(2_502));
    }
}

#[tokio::test]
async fn a_derived_property_cannot_be_written() {
    let fixture = shop().await;
    let written = json!({ "identifier": "api", "properties": { "domainTitle": "Mine" } });
    let refused = fixture.write("Service", written, WriteMode::Merge).await;
    assert_eq!(
        violations(refused),
        pairs(&[("/properties/domainTitle", "readOnly")])
    );
}

async fn refusal(fixture: &Fixture, blueprint: &str, patch: Value) -> Vec<(String, String)> {
    violations(fixture.patch(blueprint, patch).await)
}

#[tokio::test]
async fn every_rule_of_a_definition_is_told_with_its_place() {
    let fixture = shop().await;
    let count = || json!({ "calculationBy": "entities", "func": "count" });
    let aggregation = |spec: Value| json!({ "aggregationProperties": { "a": { "target": "Service", "calculationSpec": spec } } });
    let mirror = |path: &str| json!({ "mirrorProperties": { "m": { "path": path } } });
    for (blueprint, patch, expected) in [
        (
            "Service",
            mirror("system"),
            ("/mirrorProperties/m/path", "path"),
        ),
        (
            "Service",
            mirror("system.nothing.$title"),
            ("/mirrorProperties/m/path", "path"),
        ),
        (
            "Service",
            mirror("system.domain.nothing"),
            ("/mirrorProperties/m/path", "path"),
        ),
        (
            "Service",
            mirror("system.domain.$nothing"),
            ("/mirrorProperties/m/path", "path"),
        ),
        (
            "Service",
            json!({ "mirrorProperties": { "tier": { "path": "system.$title" } } }),
            ("/mirrorProperties/tier", "unique"),
        ),
        (
            "Service",
            json!({ "mirrorProperties": [] }),
            ("/mirrorProperties", "type"),
        ),
        (
            "Service",
            json!({ "mirrorProperties": { "m n": { "path": "system.$title" } } }),
            ("/mirrorProperties/m n", "identifier"),
        ),
        (
            "Domain",
            aggregation(json!({ "calculationBy": "nobody", "func": "count" })),
            (
                "/aggregationProperties/a/calculationSpec/calculationBy",
                "enum",
            ),
        ),
        (
            "Domain",
            aggregation(json!({ "calculationBy": "entities", "func": "sum" })),
            ("/aggregationProperties/a/calculationSpec/func", "enum"),
        ),
        (
            "Domain",
            aggregation(
                json!({ "calculationBy": "entities", "func": "average", "averageOf": "year" }),
            ),
            ("/aggregationProperties/a/calculationSpec/averageOf", "enum"),
        ),
        (
            "Domain",
            aggregation(
                json!({ "calculationBy": "entities", "func": "average", "averageOf": "day", "measureTimeBy": "tier" }),
            ),
            (
                "/aggregationProperties/a/calculationSpec/measureTimeBy",
                "property",
            ),
        ),
        (
            "Domain",
            aggregation(
                json!({ "calculationBy": "property", "func": "sum", "property": "domainTitle" }),
            ),
            (
                "/aggregationProperties/a/calculationSpec/property",
                "property",
            ),
        ),
        (
            "Domain",
            aggregation(
                json!({ "calculationBy": "property", "func": "sum", "property": "nothing" }),
            ),
            (
                "/aggregationProperties/a/calculationSpec/property",
                "property",
            ),
        ),
        (
            "Domain",
            json!({ "aggregationProperties": { "a": { "target": "Nothing", "calculationSpec": count() } } }),
            ("/aggregationProperties/a/target", "relation"),
        ),
        (
            "Domain",
            json!({ "aggregationProperties": { "a": { "target": "Service", "calculationSpec": count(), "pathFilter": [{ "path": ["system"], "fromBlueprint": "Service" }] } } }),
            ("/aggregationProperties/a/pathFilter/0/path", "path"),
        ),
        (
            "Domain",
            json!({ "aggregationProperties": { "a": { "target": "Service", "calculationSpec": count(), "query": { "combinator": "and", "rules": [{ "property": "tier", "operator": "~", "value": 1 }] } } } }),
            ("/aggregationProperties/a/query/rules/0/operator", "enum"),
        ),
        (
            "Domain",
            json!({ "calculationProperties": { "c": { "type": "text", "calculation": ".title" } } }),
            ("/calculationProperties/c/type", "enum"),
        ),
        (
            "Domain",
            json!({ "calculationProperties": { "c": { "type": "string", "calculation": ".title", "colorized": true, "colors": { "x": "mauve" } } } }),
            ("/calculationProperties/c/colors/x", "enum"),
        ),
    ] {
        let found = refusal(&fixture, blueprint, patch.clone()).await;
        assert_eq!(found, pairs(&[expected]), "{patch}");
    }
}

#[tokio::test]
async fn a_value_that_would_need_itself_is_refused_and_the_way_is_named() {
    let fixture = shop().await;
    // Domain counts services that mirror what it counts.
    let patch = json!({ "aggregationProperties": { "services": {
        "query": { "combinator": "and", "rules": [{ "property": "all", "operator": ">", "value": 1 }] },
    } } });
    let Err(Error::Invalid { violations, .. }) = fixture.patch("Domain", patch).await else {
        panic!("refused");
    };
    assert_eq!(violations.len(), 3, "{violations:?}");
    let own: Vec<_> = violations
        .iter()
        .filter(|one| one.rule == "cycle")
        .collect();
    assert_eq!(own.len(), 1);
    assert_eq!(own[0].path, "/aggregationProperties/services");
    for name in [
        "`Domain.services`",
        "`System.siblings`",
        "`Service.all`",
        "→",
    ] {
        assert!(own[0].message.contains(name), "{}", own[0].message);
    }
}

#[tokio::test]
async fn what_others_derive_from_cannot_be_taken_away() {
    let fixture = shop().await;
    let removed = json!({ "schema": { "properties": { "cost": null } } });
    let found = refusal(&fixture, "Service", removed).await;
    assert_eq!(found.len(), 2, "{found:?}");
    let path = "/aggregationProperties/usedCost/calculationSpec/property";
    assert!(found.contains(&(path.to_owned(), "property".to_owned())));
    assert!(found.contains(&(String::new(), "in_use".to_owned())));
    let found = refusal(
        &fixture,
        "System",
        json!({ "relations": { "domain": null } }),
    )
    .await;
    assert!(found.iter().any(|(_, rule)| rule == "in_use"), "{found:?}");
}

#[tokio::test]
async fn a_property_that_goes_takes_what_was_made_of_it_along() {
    let fixture = shop().await;
    assert_eq!(
        fixture.property("Domain", "shop", "critical").await,
        json!(5)
    );
    let removed = json!({ "schema": { "properties": { "tier": null } }, "mirrorProperties": { "usedTiers": null } });
    fixture.patch("Service", removed).await.unwrap();
    assert_eq!(
        fixture.property("Domain", "shop", "critical").await,
        json!(0)
    );
}

#[tokio::test]
async fn blueprints_that_derive_from_each_other_come_in_one_apply() {
    let count = json!({ "calculationBy": "entities", "func": "count" });
    let parent = json!({
        "identifier": "Parent", "title": "Parent", "schema": {},
        "relations": { "favourite": { "target": "Child" } },
        "mirrorProperties": { "name": { "path": "favourite.$title" } },
        "aggregationProperties": { "children": {
            "target": "Child", "calculationSpec": count,
            "pathFilter": [{ "path": ["parent"], "fromBlueprint": "Child" }],
        } },
    });
    let child = json!({
        "identifier": "Child", "title": "Child", "schema": {},
        "relations": { "parent": { "target": "Parent" } },
        "mirrorProperties": { "siblings": { "path": "parent.children" }, "spoilt": { "path": "parent.name" } },
    });
    let fixture = Fixture::deriving(vec![parent, child]).await;
    let entities = vec![
        json!({ "blueprint": "Parent", "identifier": "p", "relations": { "favourite": "c" } }),
        json!({ "blueprint": "Child", "identifier": "c", "title": "C", "relations": { "parent": "p" } }),
    ];
    fixture.apply(vec![], entities).await.unwrap();
    assert_eq!(fixture.property("Child", "c", "siblings").await, json!(1));
    assert_eq!(fixture.property("Child", "c", "spoilt").await, json!("C"));
    assert_eq!(
        conflict(
            fixture
                .catalog
                .delete_blueprint(&fixture.actor, &id("Child"))
                .await
        )
        .0,
        "has_dependents"
    );
}

#[tokio::test]
async fn derived_values_are_neither_audited_nor_a_change() {
    let fixture = shop().await;
    fixture.settle().await;
    let rows = fixture.audit().await;
    for row in &rows {
        let after = row.after.as_ref().map(Value::to_string).unwrap_or_default();
        assert!(!after.contains("\"domainTitle\":\"Shop\""), "{after}");
    }
    let same = json!({ "identifier": "api", "properties": { "tier": 1, "cost": 5 }, "relations": { "system": "cart" } });
    fixture.put("Service", same).await.unwrap();
    assert_eq!(fixture.audit().await.len(), rows.len());
}
