mod queue;

use serde_json::{Map, json};

use super::*;
use crate::model::{Claim, RUN_TRANSITIONS, RunCause, RunEnd, RunMove, StartKey};
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
        retry_of: None,
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
        .write(move |tx| {
            let wanted = RunMove {
                links: Some(vec!["https://example.com".to_owned()]),
                ..RunMove::end(token, end)
            };
            tx.move_run(&id, &wanted)
        })
        .await
        .unwrap()
        .map(|moved| moved.run)
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

/// Its token is the newest one until the next claim, and the table has ways to an end from every state in which a run waits.
#[tokio::test]
async fn an_attempt_that_is_over_has_no_say_in_a_run_that_waits() {
    let (_folder, store) = open();
    for (number, cause) in [RunCause::HandOver, RunCause::Retry, RunCause::Sleep]
        .into_iter()
        .enumerate()
    {
        let run = insert(&store, "ada", &format!("r_{number}"), "hello").await;
        let token = claim(&store, 1).await.remove(0).token;
        let (waiting, late, found) = store
            .write(move |tx| {
                let left = RunMove::of_attempt(token, cause);
                let waiting = tx.move_run(&run.id, &left)?.unwrap().run;
                let late: Result<Vec<_>, Error> = RunCause::ALL
                    .into_iter()
                    .map(|cause| tx.move_run(&run.id, &RunMove::of_attempt(token, cause)))
                    .collect();
                let found = tx.find_run(&run.id)?.unwrap();
                // Out of the way of the next one.
                tx.move_run(&run.id, &RunMove::by(RunCause::Cancel))?;
                Ok::<_, Error>((waiting, late?, found))
            })
            .await
            .unwrap();
        assert!(late.iter().all(Option::is_none), "{late:?}");
        assert_eq!(found, waiting);
    }
}

/// Every cause, from every state: the store moves a run exactly where the table has a line, and one row at most.
#[tokio::test]
async fn a_run_moves_by_the_lines_of_the_table_and_no_other() {
    let (_folder, store) = open();
    for (number, from) in RunState::ALL.into_iter().enumerate() {
        for (count, cause) in RunCause::ALL.into_iter().enumerate() {
            let run = insert(&store, "ada", &format!("r_{number}x{count}"), "hello").await;
            let id = run.id.clone();
            let moved = store
                .write(move |tx| {
                    let put = "UPDATE run SET state = ?2 WHERE id = ?1";
                    tx.connection.execute(put, [id.as_str(), from.as_str()])?;
                    tx.move_run(&id, &RunMove::by(cause))
                })
                .await
                .unwrap();
            let expected = RUN_TRANSITIONS
                .iter()
                .find(|line| line.from == from && line.cause == cause);
            assert_eq!(
                moved.as_ref().map(|moved| (moved.from, moved.run.state)),
                expected.map(|line| (from, line.to)),
                "{from:?} by {cause:?}"
            );
            if let Some(moved) = moved {
                assert_eq!(moved.run.ended_at.is_some(), moved.run.state.is_terminal());
            }
        }
    }
}

#[tokio::test]
async fn what_a_run_slept_does_not_count_against_its_timeout() {
    let (_folder, store) = open();
    let mut new = new("r_1", "hello");
    new.definition.engine = Some(serde_json::from_value(json!({ "timeout": "10s" })).unwrap());
    let accepted = store
        .write(move |tx| tx.insert_run(&Actor::system(), &new, None))
        .await;
    accepted.unwrap();
    let claim = claim(&store, 1).await.remove(0);
    let deadline = claim.run.deadline_at.unwrap();
    let id = claim.run.id.clone();
    let (slept, woken) = store
        .write(move |tx| {
            let sleep = RunMove {
                due_at: Some(Timestamp(1)),
                ..RunMove::of_attempt(claim.token, RunCause::Sleep)
            };
            let slept = tx.move_run(&id, &sleep)?.unwrap().run;
            tx.connection.execute(
                "UPDATE run SET updated_at = updated_at - 5000 WHERE id = ?1",
                [id.as_str()],
            )?;
            let woken = tx.move_run(&id, &RunMove::by(RunCause::Wake))?.unwrap().run;
            Ok::<_, Error>((slept, woken))
        })
        .await
        .unwrap();
    assert_eq!(slept.deadline_at, Some(deadline));
    assert_eq!(woken.deadline_at, Some(Timestamp(deadline.0 + 5_000)));
    assert_eq!(woken.state, RunState::Queued);
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

#[tokio::test]
async fn a_key_is_kept_for_a_day_for_whoever_sent_it_and_that_action() {
    let (_folder, store) = open();
    let run = insert(&store, "ada", "r_1", "hello").await;
    let key = |name: &str| {
        let properties = Map::from_iter([("name".to_owned(), json!(name))]);
        StartKey::of_start("k", &properties, None).unwrap()
    };
    let (kept, asked) = (run.clone(), key("Ada"));
    let put = store.write(move |tx| Ok::<_, Error>((tx.now, tx.insert_start_key(&kept, &asked)?)));
    let (now, ()) = put.await.unwrap();
    let find = async |caller: &'static str, name: &str, action: &str, later: i64| {
        let (action, key) = (ActionId::parse(action).unwrap(), key(name));
        let at = Timestamp(now.0 + later);
        let found = store.read(move |tx| tx.find_asked(caller, &action, &key, at));
        let found: Result<Option<Asked>, Error> = found.await;
        found.unwrap().map(|asked| (asked.run.id, asked.is_same))
    };
    const DAY: i64 = 24 * 60 * 60 * 1_000;
    assert_eq!(
        find("ada", "Ada", "hello", DAY - 1).await,
        Some((run.id.clone(), true))
    );
    assert_eq!(find("ada", "Bob", "hello", 0).await, Some((run.id, false)));
    assert_eq!(find("ada", "Ada", "hello", DAY).await, None);
    assert_eq!(find("bob", "Ada", "hello", 0).await, None);
    assert_eq!(find("ada", "Ada", "bye", 0).await, None);
}
