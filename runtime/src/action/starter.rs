//! Runs that plugins start: on behalf of whoever asked for the first of them, and bounded in depth and number.

use futures_util::future::BoxFuture;

use super::run::Whence;
use super::worker::{on_behalf, person_gone};
use super::{Actions, Error};
use crate::catalog;
use crate::model::{Action, Actor, Permission, Run, RunId, RunStatus};
use crate::plugin::{NotStarted, RunStarter, StartRun};
use crate::store::ReadTx;

/// Runs between the one that a person asked for and the last that is started below it. A golden path of golden paths is
/// two deep; what is deeper goes in circles.
const DEPTH: usize = 4;

/// Runs that plugins start below one that a person asked for, in all: with fewer than this a team is told of a release,
/// with more it is a flood.
const RUNS: u64 = 50;

/// Starts runs for the guest of one run.
pub(super) struct Starter {
    actions: Actions,
    run: Run,
}

impl Starter {
    pub(super) fn new(actions: Actions, run: Run) -> Self {
        Self { actions, run }
    }
}

impl RunStarter for Starter {
    fn start(&self, wanted: StartRun) -> BoxFuture<'_, Result<RunId, NotStarted>> {
        Box::pin(async move {
            let person = self.actions.find_person(&self.run).await.map_err(refusal)?;
            let actor = person.ok_or_else(|| NotStarted::Forbidden(person_gone(&self.run)))?;
            permitted(&actor)?;
            let StartRun {
                action,
                properties,
                entity,
                origin,
            } = wanted;
            let whence = Whence {
                origin: Some(origin),
                ..Whence::default()
            };
            let started = self
                .actions
                .start_from(&actor, &action, properties, entity, whence);
            started.await.map(|run| run.id).map_err(refusal)
        })
    }

    fn status(&self, run: RunId) -> BoxFuture<'_, Option<RunStatus>> {
        Box::pin(async move {
            let found = self.actions.find_run(&on_behalf(&self.run), &run).await;
            found
                .ok()
                .filter(|run| run.parent.as_ref() == Some(&self.run.id))
                .map(|run| run.state.status())
        })
    }
}

/// A plugin is no way around what its caller may not do: whoever asked for the run has to be allowed to start this one.
fn permitted(actor: &Actor) -> Result<(), NotStarted> {
    if actor.may(Permission::RunActions) {
        return Ok(());
    }
    Err(NotStarted::Forbidden(format!(
        "role `{}` of `{}` does not include `{}`, which starting an action needs; ask an administrator",
        actor.role.as_str(),
        actor.name,
        Permission::RunActions.as_str()
    )))
}

fn refusal(error: Error) -> NotStarted {
    match error {
        Error::NotFound(what) | Error::Catalog(catalog::Error::NotFound(what)) => {
            NotStarted::NotFound(what)
        }
        Error::Conflict { message, .. }
        | Error::Catalog(catalog::Error::Conflict { message, .. }) => NotStarted::Refused(message),
        Error::Invalid { violations, .. }
        | Error::Catalog(catalog::Error::Invalid { violations, .. }) => {
            NotStarted::Invalid(violations)
        }
        Error::Forbidden { message, .. } | Error::Catalog(catalog::Error::Forbidden(message)) => {
            NotStarted::Forbidden(message)
        }
        Error::QueueFull { .. } => NotStarted::Unavailable,
        error => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a run could not be started for a plugin"
            );
            NotStarted::Unavailable
        }
    }
}

/// Refuses a run that would make its chain too long, go in a circle or be one too many. Answers the first run of the
/// chain.
pub(super) fn check_chain(
    tx: &ReadTx<'_>,
    parent: &RunId,
    definition: &Action,
) -> Result<RunId, Error> {
    let refuse = |message: String| {
        Err(Error::Conflict {
            code: "run_chain",
            message,
        })
    };
    let wanted = &definition.identifier;
    let (mut root, mut next) = (parent.clone(), Some(parent.clone()));
    let mut depth = 0;
    while let Some(id) = next {
        let Some(run) = tx.find_run(&id)? else {
            break;
        };
        depth += 1;
        if run.action == *wanted {
            return refuse(format!(
                "action `{wanted}` is not started once more: run `{id}`, in which this one was started, is of it already"
            ));
        }
        if depth > DEPTH {
            return refuse(format!(
                "action `{wanted}` is not started: runs that start runs go {DEPTH} deep at most"
            ));
        }
        root = id;
        next = run.parent;
    }
    if tx.count_started_below(&root)? >= RUNS {
        return refuse(format!(
            "action `{wanted}` is not started: {RUNS} runs were started below run `{root}` already"
        ));
    }
    Ok(root)
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::super::tests::House;
    use super::*;
    use crate::model::{ActionId, Digest, PluginName, Role, RunOrigin};

    /// What a plugin of the run asks for.
    fn other_of(run: &Run) -> StartRun {
        StartRun {
            action: ActionId::parse("other").unwrap(),
            properties: Map::from_iter([("name".to_owned(), Value::from("bob"))]),
            entity: None,
            origin: RunOrigin {
                parent: run.id.clone(),
                plugin: PluginName::parse("starter").unwrap(),
                digest: Digest::of(b""),
            },
        }
    }

    #[tokio::test]
    async fn a_full_queue_takes_no_runs_of_plugins_either() {
        let house = House::new().await;
        house.save(|_| {}).await;
        let other = |action: &mut Value| action["identifier"] = Value::from("other");
        house.save(other).await;
        let run = house.start(json!({"name": "ada"})).await.unwrap();
        let full = loop {
            if let Err(error) = house.start(json!({"name": "ada"})).await {
                break error;
            }
        };
        assert!(matches!(full, Error::QueueFull { .. }), "{full:?}");
        house.let_in(&run.created_by, Role::Developer).await;
        let starter = Starter::new(house.actions.clone(), run.clone());
        let refused = starter.start(other_of(&run)).await.unwrap_err();
        assert_eq!(refused, NotStarted::Unavailable);
        house.actions.shutdown().await;
    }

    #[tokio::test]
    async fn a_run_that_waited_starts_no_more_than_its_person_may_today() {
        let house = House::new().await;
        house.save(|_| {}).await;
        let run = house.start(json!({"name": "ada"})).await.unwrap();
        let starter = Starter::new(house.actions.clone(), run.clone());
        // There is nobody of that name.
        let refused = starter.start(other_of(&run)).await.unwrap_err();
        assert!(matches!(refused, NotStarted::Forbidden(_)), "{refused:?}");

        house.let_in(&run.created_by, Role::Developer).await;
        let refused = starter.start(other_of(&run)).await.unwrap_err();
        assert!(matches!(refused, NotStarted::NotFound(_)), "{refused:?}");
        house.actions.shutdown().await;
    }
}
