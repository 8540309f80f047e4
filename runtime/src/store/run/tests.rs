use serde_json::{Map, json};

use super::*;
use crate::store::Store;

fn open() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

fn new(id: &str, action: &str) -> NewRun {
    let definition = json!({
        "identifier": action,
        "trigger": { "type": "self-service", "operation": "CREATE" },
        "invocationMethod": { "type": "PLUGIN", "plugin": "hello", "action": "hello" }
    });
    NewRun {
        id: RunId::parse(id).unwrap(),
        definition: serde_json::from_value(definition).unwrap(),
        blueprint: None,
        entity: None,
        properties: Map::from_iter([("name".to_owned(), json!("Ada"))]),
        origin: None,
    }
}

async fn insert(store: &Store, by: &str, id: &str, action: &str) -> Run {
    let (actor, new) = (
        Actor {
            name: by.to_owned(),
            ..Actor::system()
        },
        new(id, action),
    );
    store
        .write(move |tx| tx.insert_run(&actor, &new, None))
        .await
        .unwrap()
}

async fn claim(store: &Store, limit: usize) -> Vec<Claim> {
    store
        .write(move |tx| tx.claim_next("worker", limit))
        .await
        .unwrap()
}

async fn finish(store: &Store, claim: &Claim, end: RunEnd) -> Option<Run> {
    let (id, token) = (claim.run.id.clone(), claim.token);
    store
        .write(move |tx| tx.finish_run(&id, token, &end, &["https://example.com".to_owned()]))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_run_is_queued_claimed_once_and_ended_once() {
    let (_folder, store) = open();
    let accepted = insert(&store, "ada", "r_1", "hello").await;
    insert(&store, "ada", "r_2", "hello").await;
    let id = accepted.id.clone();
    assert_eq!(
        store.read(move |tx| tx.find_run(&id)).await.unwrap(),
        Some(accepted)
    );

    let claims = claim(&store, 1).await;
    assert_eq!(claims.len(), 1);
    assert_eq!(claims[0].run.id.as_str(), "r_1");
    assert_eq!(claims[0].run.state, RunState::Running);
    assert_eq!(claims[0].run.attempts, 1);
    assert_eq!(claims[0].definition.identifier.as_str(), "hello");
    assert_eq!(claim(&store, 9).await.len(), 1);
    assert!(claim(&store, 9).await.is_empty());

    let ended = finish(
        &store,
        &claims[0],
        RunEnd::Succeeded(json!({ "greeting": "hi" })),
    )
    .await
    .unwrap();
    assert_eq!(ended.state, RunState::Succeeded);
    assert_eq!(ended.output, Some(json!({ "greeting": "hi" })));
    assert_eq!(ended.links, ["https://example.com"]);
    assert!(ended.ended_at.is_some());
    assert_eq!(
        finish(&store, &claims[0], RunEnd::failed("late", "too late")).await,
        None
    );
    let id = ended.id.clone();
    assert_eq!(
        store.read(move |tx| tx.find_run(&id)).await.unwrap(),
        Some(ended)
    );
}

#[tokio::test]
async fn a_stale_token_cannot_end_a_run() {
    let (_folder, store) = open();
    insert(&store, "ada", "r_1", "hello").await;
    let mut claims = claim(&store, 1).await;
    claims[0].token += 1;
    assert_eq!(
        finish(&store, &claims[0], RunEnd::failed("stale", "not mine")).await,
        None
    );
    claims[0].token -= 2;
    assert_eq!(
        finish(&store, &claims[0], RunEnd::failed("stale", "not mine")).await,
        None
    );
    let running = store.read(|tx| tx.list_running(10)).await.unwrap();
    assert_eq!(running.len(), 1);
    assert_eq!(running[0].1, claims[0].token + 1);
}

#[tokio::test]
async fn runs_are_listed_newest_first_through_every_filter() {
    let (_folder, store) = open();
    for (by, id, action) in [
        ("ada", "r_1", "hello"),
        ("bob", "r_2", "hello"),
        ("ada", "r_3", "bye"),
        ("ada", "r_4", "hello"),
    ] {
        insert(&store, by, id, action).await;
    }
    let first = claim(&store, 1).await.remove(0);
    finish(&store, &first, RunEnd::failed("x", "y"))
        .await
        .unwrap();
    let list = async |filter: RunFilter| {
        let runs = store.read(move |tx| tx.list_runs(&filter)).await.unwrap();
        runs.into_iter()
            .map(|run| run.id.to_string())
            .collect::<Vec<_>>()
    };
    let all = RunFilter {
        limit: 100,
        ..RunFilter::default()
    };
    let id = |text: &str| Some(RunId::parse(text).unwrap());
    assert_eq!(list(all.clone()).await, ["r_4", "r_3", "r_2", "r_1"]);
    assert_eq!(
        list(RunFilter {
            limit: 2,
            ..all.clone()
        })
        .await,
        ["r_4", "r_3"]
    );
    assert_eq!(
        list(RunFilter {
            before: id("r_3"),
            ..all.clone()
        })
        .await,
        ["r_2", "r_1"]
    );
    assert!(
        list(RunFilter {
            before: id("r_9"),
            ..all.clone()
        })
        .await
        .is_empty()
    );
    assert_eq!(
        list(RunFilter {
            created_by: Some("bob".to_owned()),
            ..all.clone()
        })
        .await,
        ["r_2"]
    );
    assert_eq!(
        list(RunFilter {
            active: Some(false),
            ..all.clone()
        })
        .await,
        ["r_1"]
    );
    assert_eq!(
        list(RunFilter {
            active: Some(true),
            ..all.clone()
        })
        .await,
        ["r_4", "r_3", "r_2"]
    );
    let bye = ActionId::parse("bye").unwrap();
    assert_eq!(
        list(RunFilter {
            action: Some(bye),
            ..all.clone()
        })
        .await,
        ["r_3"]
    );
    let nobody = Some(EntityId::parse("nobody").unwrap());
    assert!(
        list(RunFilter {
            entity: nobody,
            ..all
        })
        .await
        .is_empty()
    );
}
