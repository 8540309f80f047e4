//! What people do with runs: cancel, resolve, start once more.

use super::*;
use crate::action::Resolution;
use crate::model::{Claim, RunCause};

impl House {
    /// A run that a worker of an earlier life has taken.
    async fn claimed(&self) -> Claim {
        self.start(json!({ "name": "ada" })).await.unwrap();
        let store = &self.actions.inner.store;
        let claims: Result<Vec<Claim>, store::Error> =
            store.write(|tx| tx.claim_next("an earlier life", 1)).await;
        claims.unwrap().remove(0)
    }

    /// A run of which nobody knows what became of it.
    async fn lost(&self) -> Run {
        let claim = self.claimed().await;
        let lost = RunMove::of_attempt(claim.token, RunCause::LoseTrack);
        let moved = self.actions.move_run(None, &claim.run.id, lost, None).await;
        moved.unwrap().unwrap()
    }
}

fn code(refused: Result<impl std::fmt::Debug, Error>) -> &'static str {
    match refused {
        Err(Error::Conflict { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_run_that_waits_is_cancelled_at_once_and_only_once() {
    let house = House::new().await;
    house.save(|_| {}).await;
    let run = house.start(json!({ "name": "ada" })).await.unwrap();
    let cancelled = house.actions.cancel_run(&ada(), &run.id).await.unwrap();
    assert_eq!(cancelled.state, RunState::Cancelled);
    assert_eq!(cancelled.updated_by.as_deref(), Some("ada@example.com"));
    assert_eq!(
        house.states(&run).await,
        [RunState::Queued, RunState::Cancelled]
    );
    let again = house.actions.cancel_run(&ada(), &run.id).await;
    assert_eq!(code(again), "run_ended");
    house.actions.spawn().await.unwrap();
    assert_eq!(house.ended(&run).await.attempts, 0);
}

#[tokio::test]
async fn a_cancel_ends_what_would_go_on_after_the_attempt_and_hides_no_unknown_outcome() {
    let house = House::new().await;
    house.save(|_| {}).await;
    let claim = house.claimed().await;
    let run = claim.run;
    let told = house.actions.cancel_run(&ada(), &run.id).await.unwrap();
    assert_eq!(told.state, RunState::Running);
    assert_eq!(told.cancelled_by.as_deref(), Some("ada@example.com"));

    let on = RunMove::of_attempt(claim.token, RunCause::HandOver);
    let moved = house.actions.move_run(None, &run.id, on, None).await;
    let cancelled = moved.unwrap().unwrap();
    assert_eq!(cancelled.state, RunState::Cancelled);
    assert_eq!(cancelled.updated_by.as_deref(), Some("ada@example.com"));

    // Of this plugin nobody can say whether it may be called twice.
    let lost = house.claimed().await.run;
    house.actions.cancel_run(&ada(), &lost.id).await.unwrap();
    let house = house.restart().await;
    house.actions.spawn().await.unwrap();
    assert_eq!(house.ended(&lost).await.state, RunState::OutcomeUnknown);
}

#[tokio::test]
async fn runs_of_others_are_ended_by_those_who_may_manage_them() {
    let house = House::new().await;
    house.save(|_| {}).await;
    let run = house.start(json!({ "name": "ada" })).await.unwrap();
    let someone = |role| Actor {
        name: "eve@example.com".to_owned(),
        role,
        ..ada()
    };
    let cancel = async |role| house.actions.cancel_run(&someone(role), &run.id).await;
    assert!(matches!(
        cancel(Role::Developer).await,
        Err(Error::NotFound(_))
    ));
    let Err(Error::Forbidden { message, .. }) = cancel(Role::Reviewer).await else {
        panic!("a reviewer may only look")
    };
    assert!(message.contains("runs:manage"), "{message}");
    let allowed = cancel(Role::PlatformEngineer).await;
    assert_eq!(allowed.unwrap().state, RunState::Cancelled);
}

#[tokio::test]
async fn an_unknown_outcome_is_resolved_once_by_a_person_who_looked() {
    let house = House::new().await;
    house.save(|_| {}).await;
    let actions = &house.actions;
    let output = json!({ "repository": "there" });
    let run = house.lost().await;
    assert_eq!(
        code(actions.retry_run(&ada(), &run.id).await),
        "outcome_unknown"
    );
    let done = Resolution::Done(output.clone());
    let (done, again) = actions.resolve_run(&ada(), &run.id, done).await.unwrap();
    assert_eq!(
        (done.state, done.output),
        (RunState::Succeeded, Some(output))
    );
    assert!(again.is_none());
    let twice = actions
        .resolve_run(&ada(), &run.id, Resolution::Abandon)
        .await;
    assert_eq!(code(twice), "outcome_known");

    let run = house.lost().await;
    let (failed, again) = actions
        .resolve_run(&ada(), &run.id, Resolution::Retry)
        .await
        .unwrap();
    assert_eq!(failed.failure.unwrap().code, "retried");
    let again = again.unwrap();
    assert_eq!(again.retry_of.as_ref(), Some(&run.id));
    assert_eq!(again.properties, run.properties);

    // What cannot be done once more stays as it is.
    let run = house.lost().await;
    let greet = ActionId::parse("greet").unwrap();
    let saved = actions.find(&greet).await.unwrap().value;
    actions.delete(&Actor::system(), &greet).await.unwrap();
    let refused = actions
        .resolve_run(&ada(), &run.id, Resolution::Retry)
        .await;
    assert!(matches!(refused, Err(Error::NotFound(_))), "{refused:?}");
    let unmoved = actions.find_run(&ada(), &run.id).await.unwrap();
    assert_eq!(unmoved.state, RunState::OutcomeUnknown);
    actions.create(&Actor::system(), saved).await.unwrap();

    let abandoned = house.lost().await;
    let (abandoned, _) = actions
        .resolve_run(&ada(), &abandoned.id, Resolution::Abandon)
        .await
        .unwrap();
    assert_eq!(abandoned.state, RunState::Failed);
    assert!(actions.retry_run(&ada(), &abandoned.id).await.is_ok());
    let twice = actions.retry_run(&ada(), &abandoned.id).await;
    assert_eq!(code(twice), "already_retried");
}

#[tokio::test]
async fn what_a_hidden_input_had_by_itself_does_not_keep_a_run_from_being_started_once_more() {
    let house = House::new().await;
    house
        .save(|document| {
            document["trigger"]["userInputs"]["properties"]["language"]["visible"] = json!(false);
        })
        .await;
    let refused = house
        .start(json!({ "name": "ada", "language": "de" }))
        .await;
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    let run = house.start(json!({ "name": "ada" })).await.unwrap();
    house.actions.cancel_run(&ada(), &run.id).await.unwrap();
    let again = house.actions.retry_run(&ada(), &run.id).await.unwrap();
    assert_eq!(again.properties, run.properties);
}

#[tokio::test]
async fn a_run_that_waits_for_its_next_attempt_goes_on_when_the_time_has_come() {
    let house = House::new().await;
    house.save(|_| {}).await;
    let claim = house.claimed().await;
    let later = RunMove {
        due_at: Some(Timestamp(1)),
        ..RunMove::of_attempt(claim.token, RunCause::Retry)
    };
    let moved = house.actions.move_run(None, &claim.run.id, later, None);
    assert_eq!(
        moved.await.unwrap().unwrap().state,
        RunState::WaitingForRetry
    );
    house.actions.spawn().await.unwrap();
    let ended = house.ended(&claim.run).await;
    assert_eq!(ended.attempts, 2);
    let states = house.states(&claim.run).await;
    let waited = states
        .iter()
        .skip_while(|state| **state != RunState::WaitingForRetry);
    let after: Vec<RunState> = waited.copied().collect();
    assert_eq!(
        after,
        [
            RunState::WaitingForRetry,
            RunState::Queued,
            RunState::Running,
            RunState::Failed
        ]
    );
}
