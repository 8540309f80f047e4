//! Many entities in one transaction.

use super::*;

async fn bulk(
    fixture: &Fixture,
    entities: Vec<Value>,
    mode: WriteMode,
    options: WriteOptions,
) -> Vec<Result<Written, BatchError>> {
    fixture
        .catalog
        .write_entities(&fixture.actor, &id("Service"), entities, mode, options)
        .await
        .unwrap()
}

fn service(identifier: &str, uses: &[&str]) -> Value {
    json!({
        "identifier": identifier, "properties": { "language": "go" },
        "relations": { "system": "Cart", "uses": uses },
    })
}

fn written(outcomes: &[Result<Written, BatchError>]) -> Vec<(&str, bool)> {
    outcomes
        .iter()
        .map(|outcome| match outcome {
            Ok(written) => (written.entity.value.identifier.as_str(), written.created),
            Err(error) => panic!("{error:?}"),
        })
        .collect()
}

#[tokio::test]
async fn entities_of_a_batch_may_point_at_each_other_in_any_order() {
    let fixture = Fixture::with_services().await;
    let chain: Vec<_> = (0..500)
        .map(|number| {
            let next = format!("s{}", number + 1);
            service(&format!("s{number}"), &[next.as_str()])
        })
        .chain([service("s500", &["s500"])])
        .collect();
    let options = WriteOptions::default();
    let outcomes = bulk(&fixture, chain, WriteMode::Create, options).await;
    assert_eq!(written(&outcomes)[7], ("s7", true));
    assert_eq!(outcomes.len(), 501);
    let first = fixture.entity("Service", "s0").await.unwrap();
    assert_eq!(first["relations"]["uses"], json!(["s1"]));
    let last = fixture.entity("Service", "s500").await.unwrap();
    assert_eq!(last["relations"]["uses"], json!(["s500"]));
}

#[tokio::test]
async fn entities_of_a_batch_may_point_at_each_other_in_a_circle() {
    let fixture = Fixture::with_services().await;
    let circle = vec![
        service("a", &["b"]),
        service("b", &["c", "b"]),
        service("c", &["a", "d"]),
        service("d", &[]),
    ];
    let options = WriteOptions::default();
    for (mode, created) in [(WriteMode::Create, true), (WriteMode::Replace, false)] {
        let outcomes = bulk(&fixture, circle.clone(), mode, options).await;
        let expected: Vec<_> = ["a", "b", "c", "d"].map(|name| (name, created)).to_vec();
        assert_eq!(written(&outcomes), expected);
    }
    for (from, to) in [
        ("a", json!(["b"])),
        ("b", json!(["c", "b"])),
        ("c", json!(["a", "d"])),
    ] {
        let entity = fixture.entity("Service", from).await.unwrap();
        assert_eq!(entity["relations"]["uses"], to);
    }
}

#[tokio::test]
async fn who_relies_on_a_refused_entity_of_the_batch_is_refused_as_well() {
    let fixture = Fixture::with_services().await;
    let entities = vec![
        service("a", &["b"]),
        service("b", &["c", "a"]),
        service("c", &["nobody"]),
        service("alone", &[]),
    ];
    let options = WriteOptions::default();
    let outcomes = bulk(&fixture, entities.clone(), WriteMode::Create, options).await;
    let told = |outcomes: &[Result<Written, BatchError>]| -> Vec<String> {
        let tell = |outcome: &Result<Written, BatchError>| match outcome {
            Ok(written) => written.entity.value.identifier.to_string(),
            Err(refused) => refused.error.to_string(),
        };
        outcomes.iter().map(tell).collect()
    };
    assert_eq!(
        told(&outcomes),
        [
            "entity `b` of blueprint `Service` does not exist",
            "entity `c` of blueprint `Service` does not exist",
            "entity `nobody` of blueprint `Service` does not exist",
            "alone"
        ]
    );
    assert_eq!(fixture.entity("Service", "a").await, None);
    // Where what is missing is made, the refused entity is made as it would be for anybody else: with its name only.
    let options = WriteOptions {
        create_missing_targets: true,
        ..options
    };
    let mut entities = entities;
    entities[2]["properties"]["language"] = json!("latin");
    let outcomes = bulk(&fixture, entities, WriteMode::Replace, options).await;
    assert_eq!(
        told(&outcomes),
        [
            "a",
            "b",
            "entity `c` of blueprint `Service` breaks 1 rule(s)",
            "alone"
        ]
    );
    let made = fixture.entity("Service", "c").await.unwrap();
    assert_eq!(made["properties"], json!({}));
}

#[tokio::test]
async fn an_entity_of_the_batch_is_never_made_for_another_one_first() {
    let fixture = Fixture::with_services().await;
    let options = WriteOptions {
        create_missing_targets: true,
        ..WriteOptions::default()
    };
    let entities = vec![
        service("a", &["b", "new"]),
        service("b", &["a"]),
        service("c", &["d"]),
        service("d", &[]),
    ];
    let outcomes = bulk(&fixture, entities, WriteMode::Create, options).await;
    assert_eq!(
        written(&outcomes),
        [("a", true), ("b", true), ("c", true), ("d", true)]
    );
    for name in ["a", "b", "c", "d"] {
        let entity = fixture.entity("Service", name).await.unwrap();
        assert_eq!(entity["properties"]["language"], json!("go"), "{name}");
    }
    assert!(fixture.entity("Service", "new").await.is_some());
}

#[tokio::test]
async fn an_entity_that_is_named_again_after_a_refusal_is_not_made_for_another_one_either() {
    let fixture = Fixture::with_services().await;
    let options = WriteOptions {
        create_missing_targets: true,
        ..WriteOptions::default()
    };
    let mut refused = service("a", &[]);
    refused["properties"]["language"] = json!("latin");
    let entities = vec![refused, service("b", &["a"]), service("a", &[])];
    let outcomes = bulk(&fixture, entities, WriteMode::Create, options).await;
    assert!(outcomes[0].is_err());
    assert_eq!(written(&outcomes[1..]), [("b", true), ("a", true)]);
    let entity = fixture.entity("Service", "a").await.unwrap();
    assert_eq!(entity["properties"]["language"], json!("go"));
}

#[tokio::test]
async fn what_is_refused_leaves_the_rest_alone_and_nothing_behind() {
    let fixture = Fixture::with_services().await;
    let rows = fixture.audit().await.len();
    let mut entities = vec![
        service("good", &[]),
        json!({ "identifier": "bad" }),
        service("lost", &["nobody"]),
        json!(["no entity"]),
        json!({ "properties": { "language": "go" }, "relations": { "system": "Cart" } }),
        service("good", &[]),
    ];
    // Asks for targets to be made, and then breaks a rule: none of them may be left behind.
    entities.push(json!({
        "identifier": "half", "properties": { "language": "go" },
        "relations": { "system": "New", "uses": ["also-new"], "spare": ["wrong"] },
    }));
    let options = WriteOptions::default();
    let outcomes = bulk(&fixture, entities, WriteMode::Create, options).await;
    let told: Vec<_> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Ok(_) => ("written", String::new()),
            Err(BatchError { identifier, error }) => {
                let word = match error {
                    Error::Invalid { .. } => "invalid",
                    Error::NotFound(_) => "missing",
                    Error::Conflict { code, .. } => code,
                    other => panic!("{other:?}"),
                };
                (word, identifier.clone())
            }
        })
        .collect();
    let pair = |word, identifier: &str| (word, identifier.to_owned());
    assert_eq!(
        told,
        [
            pair("written", ""),
            pair("invalid", "bad"),
            pair("missing", "lost"),
            pair("invalid", "unknown"),
            pair("written", ""),
            pair("already_exists", "good"),
            pair("invalid", "half"),
        ]
    );
    assert_eq!(
        fixture
            .catalog
            .count_entities(&id("Service"))
            .await
            .unwrap(),
        2
    );
    assert_eq!(
        fixture.catalog.count_entities(&id("System")).await.unwrap(),
        1
    );
    assert_eq!(fixture.audit().await.len(), rows + 2);
}

#[tokio::test]
async fn a_batch_that_names_an_entity_twice_writes_the_later_state() {
    let fixture = Fixture::with_services().await;
    let mut second = service("a", &[]);
    second["properties"]["tier"] = json!(2);
    let third = json!({ "identifier": "a", "title": "A" });
    let options = WriteOptions::default();
    let both = vec![service("a", &[]), second, third];
    let outcomes = bulk(&fixture, both, WriteMode::Merge, options).await;
    assert_eq!(
        written(&outcomes),
        [("a", true), ("a", false), ("a", false)]
    );
    let entity = fixture.entity("Service", "a").await.unwrap();
    assert_eq!(
        (&entity["title"], &entity["properties"]["tier"]),
        (&json!("A"), &json!(2))
    );
}

#[tokio::test]
async fn a_dry_run_of_a_batch_changes_nothing() {
    let fixture = Fixture::with_services().await;
    let rows = fixture.audit().await.len();
    let options = WriteOptions {
        validation_only: true,
        create_missing_targets: true,
    };
    let entities = vec![service("a", &["new"]), json!({ "identifier": "b" })];
    let outcomes = bulk(&fixture, entities, WriteMode::Replace, options).await;
    assert!(outcomes[0].is_ok() && outcomes[1].is_err());
    assert_eq!(fixture.audit().await.len(), rows);
    assert_eq!(fixture.entity("Service", "new").await, None);
}

#[tokio::test]
async fn batches_that_race_over_the_same_entities_lose_no_update() {
    let fixture = Fixture::with_services().await;
    let options = WriteOptions::default();
    bulk(
        &fixture,
        vec![service("a", &[])],
        WriteMode::Create,
        options,
    )
    .await;
    let writes = (0..40).map(|number| {
        let property = if number % 2 == 0 {
            json!({ "tier": number + 1 })
        } else {
            json!({ "site": format!("https://example.com/{number}") })
        };
        let entity = json!({ "identifier": "a", "properties": property });
        bulk(&fixture, vec![entity], WriteMode::Merge, options)
    });
    futures_util::future::join_all(writes).await;
    let entity = fixture.entity("Service", "a").await.unwrap();
    assert!(entity["properties"]["tier"].is_number());
    assert!(entity["properties"]["site"].is_string());
    assert_eq!(entity["properties"]["language"], json!("go"));
    // Each row of the log begins where the one before ended: nobody wrote over what they had not seen.
    let rows = fixture.audit().await;
    let mut rows: Vec<_> = rows
        .iter()
        .filter(|row| row.identifier == "Service/a")
        .collect();
    rows.reverse();
    for pair in rows.windows(2) {
        assert_eq!(pair[0].after, pair[1].before);
    }
}

#[tokio::test]
async fn many_are_deleted_at_once_and_those_that_must_stay_are_told() {
    let fixture = Fixture::with_services().await;
    for identifier in ["a", "b"] {
        fixture.service(identifier).await;
    }
    fixture
        .put("System", json!({ "identifier": "Shop" }))
        .await
        .unwrap();
    let delete = |blueprint: &'static str, ids: &[&str], dependents| {
        let ids = ids.iter().map(|text| entity_id(text)).collect();
        let fixture = &fixture;
        async move {
            fixture
                .catalog
                .delete_entities(&fixture.actor, &id(blueprint), ids, dependents)
                .await
        }
    };
    let outcomes = delete("System", &["Cart", "Nowhere", "Shop"], Dependents::Keep)
        .await
        .unwrap();
    let told: Vec<_> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Ok(id) => (id.as_str(), "gone"),
            Err(refused) => match refused.error {
                Error::Conflict { code, .. } => (refused.identifier.as_str(), code),
                ref other => panic!("{other:?}"),
            },
        })
        .collect();
    assert_eq!(told, [("Cart", "has_dependents"), ("Shop", "gone")]);
    let outcomes = delete("System", &["Cart"], Dependents::Delete)
        .await
        .unwrap();
    assert_eq!(outcomes.len(), 1);
    assert_eq!(
        fixture
            .catalog
            .count_entities(&id("Service"))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        missing(delete("Nothing", &["a"], Dependents::Keep).await),
        "blueprint `Nothing`"
    );
}

#[tokio::test]
async fn deletions_of_one_request_share_what_they_may_take_along() {
    let fixture = Fixture::with_services().await;
    for hub in ["h1", "h2", "h3"] {
        fixture.service(hub).await;
        for number in 0..3 {
            let entity = json!({ "identifier": format!("{hub}-{number}"), "properties": { "language": "go" },
                                 "relations": { "system": "Cart", "spare": hub } });
            fixture.put("Service", entity).await.unwrap();
        }
    }
    fixture.service("alone").await;
    for dependents in [Dependents::Keep, Dependents::Delete] {
        let (kinds, actor) = (fixture.catalog.kinds.clone(), fixture.actor.clone());
        let ids = ["h1", "h2", "h3", "alone"].map(entity_id).to_vec();
        let undone = fixture.store.write(move |tx| {
            let outcomes = crate::catalog::entity::delete_many(
                tx,
                &kinds,
                &actor,
                &id("Service"),
                ids,
                dependents,
                5,
            );
            // What one kind of deletion did is not there for the other.
            Err::<(), _>(Undone(outcomes))
        });
        let outcomes: Vec<_> = undone
            .await
            .err()
            .unwrap()
            .0
            .unwrap()
            .into_iter()
            .map(|outcome| outcome.map_err(|refused| (refused.identifier, refused.error)))
            .collect();
        let [Ok(_), Err((second, why)), Err((third, _)), Ok(_)] = outcomes.as_slice() else {
            panic!("{outcomes:?}")
        };
        assert_eq!((second.as_str(), third.as_str()), ("h2", "h3"));
        let Error::Conflict { code, message } = why else {
            panic!("{why:?}")
        };
        assert_eq!(*code, "has_dependents");
        assert!(
            message.contains("delete fewer entities at a time"),
            "{message}"
        );
    }
}

/// Ends a transaction without a trace, and tells what it would have done.
struct Undone(Result<Vec<Result<EntityId, BatchError>>, Error>);

impl From<crate::store::Error> for Undone {
    fn from(error: crate::store::Error) -> Self {
        Self(Err(error.into()))
    }
}
