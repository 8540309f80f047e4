mod control;
mod person;
mod taken;

pub(super) use taken::run;

use futures_util::FutureExt as _;
use serde_json::{Map, Value, json};

use super::*;
use crate::catalog::{Applied, WriteOptions, parse_blueprint, parse_draft};
use crate::model::{
    ActionId, Actor, BlueprintId, EntityId, EventBody, Origin, Role, Run, RunEnd, RunFilter,
    RunMove, RunState, Timestamp, WriteMode,
};
use crate::plugin::PluginSettings;
use crate::store;

/// A store, and the engine on it; no plugin is installed.
pub(super) struct House {
    folder: tempfile::TempDir,
    pub(super) actions: Actions,
}

impl House {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let actions = open(&folder);
        let house = Self { folder, actions };
        house.fill().await;
        house
    }

    async fn fill(&self) {
        let (catalog, admin) = (&self.actions.inner.catalog, Actor::system());
        let system = parse_blueprint(json!({
            "identifier": "System",
            "title": "System",
            "schema": { "properties": { "tier": { "type": "string" } }, "required": [] },
        }))
        .unwrap();
        catalog.create_blueprint(&admin, system).await.unwrap();
        let cart = parse_draft(
            json!({ "identifier": "Cart", "title": "The cart", "properties": { "tier": "gold" } }),
        )
        .unwrap();
        let blueprint = BlueprintId::parse("System").unwrap();
        catalog
            .write_entity(
                &admin,
                &blueprint,
                cart,
                WriteMode::Create,
                WriteOptions::default(),
            )
            .await
            .unwrap();
    }

    /// The same data folder, opened by a new process.
    async fn restart(self) -> Self {
        let Self { folder, actions } = self;
        drop(actions);
        // Its last tasks may still be letting the folder go.
        while Store::open(folder.path()).is_err() {
            tokio::task::yield_now().await;
        }
        let actions = open(&folder);
        Self { folder, actions }
    }

    pub(super) async fn save(&self, change: impl FnOnce(&mut Value)) {
        let mut document = json!({
            "identifier": "greet",
            "trigger": {
                "type": "self-service",
                "operation": "CREATE",
                "userInputs": {
                    "properties": {
                        "name": { "type": "string", "minLength": 2, "pattern": "^[a-z]+$" },
                        "language": { "type": "string", "enum": ["en", "de"], "default": "en" },
                        "system": { "type": "string", "format": "entity", "blueprint": "System" },
                        "mail": { "type": "string", "format": "email" },
                    },
                    "required": ["name"],
                },
            },
            "invocationMethod": { "type": "PLUGIN", "plugin": "nobody", "action": "greet" },
        });
        change(&mut document);
        self.actions
            .create(&Actor::system(), parse_action(document).unwrap())
            .await
            .unwrap();
    }

    pub(super) async fn start(&self, properties: Value) -> Result<Run, Error> {
        self.start_on(properties, None).await
    }

    async fn start_on(&self, properties: Value, entity: Option<&str>) -> Result<Run, Error> {
        let Value::Object(properties) = properties else {
            panic!("inputs are an object")
        };
        let entity = entity.map(|entity| EntityId::parse(entity).unwrap());
        self.actions
            .start(
                &ada(),
                &ActionId::parse("greet").unwrap(),
                properties,
                entity,
            )
            .await
    }

    /// The paths of the rules that a start breaks.
    async fn refusal(&self, properties: Value, entity: Option<&str>) -> Vec<String> {
        match self.start_on(properties, entity).await {
            Err(Error::Invalid { violations, .. }) => violations
                .into_iter()
                .map(|violation| violation.path)
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    async fn ended(&self, run: &Run) -> Run {
        let mut seen = 0;
        loop {
            let run = self.actions.find_run(&ada(), &run.id).await.unwrap();
            if run.state.is_terminal() {
                return run;
            }
            seen = self.actions.wait_for_change(&run.id, seen).await;
        }
    }

    async fn states(&self, run: &Run) -> Vec<RunState> {
        let events = self.actions.list_events(&run.id, 0, 100).await.unwrap();
        let sequences: Vec<u64> = events.iter().map(|event| event.sequence).collect();
        assert_eq!(sequences, (1..=events.len() as u64).collect::<Vec<_>>());
        let state = |body| match body {
            EventBody::State { state, .. } => Some(state),
            _ => None,
        };
        events
            .into_iter()
            .filter_map(|event| state(event.body))
            .collect()
    }
}

fn open(folder: &tempfile::TempDir) -> Actions {
    let store = Store::open(folder.path()).unwrap();
    let catalog = Catalog::new(store.clone());
    let settings = PluginSettings {
        data_dir: folder.path().to_owned(),
        egress: crate::plugin::EgressSettings::default(),
        ceiling: Vec::new(),
        upgrades: crate::model::UpgradePolicy::Activate,
        four_eyes: false,
        own_listener: None,
        compiler: None,
    };
    let plugins = PluginHost::new(store.clone(), catalog.clone(), settings).unwrap();
    let jq = Jq::new("/nowhere/goldenpath".into(), Vec::new());
    let settings = ActionSettings {
        workers: 2,
        plugin_runs: None,
        queue_limit: 100,
        grace: Duration::from_secs(5),
    };
    Actions::new(store, catalog, plugins, jq, settings)
}

fn ada() -> Actor {
    Actor {
        name: "ada@example.com".to_owned(),
        role: Role::Developer,
        teams: Vec::new(),
        origin: Origin::Api,
        run: None,
        client: None,
        bound: false,
    }
}

#[tokio::test]
async fn a_run_reaches_one_terminal_state_and_tells_every_state_in_order() {
    let house = House::new().await;
    house.save(|_| {}).await;
    let waiting = house.start(json!({ "name": "ada" })).await.unwrap();
    assert_eq!(waiting.state, RunState::Queued);
    house.actions.spawn().await.unwrap();
    let direct = house.start(json!({ "name": "bob" })).await.unwrap();
    for run in [&waiting, &direct] {
        let ended = house.ended(run).await;
        assert_eq!(ended.state, RunState::Failed);
        assert_eq!(ended.failure.unwrap().code, "plugin_not_active");
        assert_eq!(ended.attempts, 1);
        assert_eq!(
            house.states(run).await,
            [RunState::Queued, RunState::Running, RunState::Failed]
        );
    }
    let audit = house
        .actions
        .inner
        .store
        .read(|tx| tx.list_audit(None, 100))
        .await
        .unwrap();
    let of_runs = audit
        .iter()
        .filter(|row| row.resource == "run" && row.run_id.is_some())
        .count();
    assert_eq!(of_runs, 6, "each is accepted, taken and ended");
    house.actions.shutdown().await;
}

#[tokio::test]
async fn inputs_get_their_defaults_and_every_broken_rule_is_named() {
    let house = House::new().await;
    house.save(|_| {}).await;
    let run = house
        .start(json!({ "name": "ada", "system": "Cart", "mail": "a@example.com" }))
        .await
        .unwrap();
    assert_eq!(
        Value::Object(run.properties),
        json!({ "name": "ada", "system": "Cart", "mail": "a@example.com", "language": "en" })
    );
    assert_eq!(house.refusal(json!({}), None).await, ["/properties/name"]);
    assert_eq!(
        house
            .refusal(
                json!({ "name": "A", "language": "fr", "mail": "nobody", "size": 1 }),
                None
            )
            .await,
        [
            "/properties/size",
            "/properties/name",
            "/properties/name",
            "/properties/language",
            "/properties/mail"
        ]
    );
    assert_eq!(
        house
            .refusal(json!({ "name": "ada", "system": "Nobody" }), None)
            .await,
        ["/properties/system"]
    );
    assert_eq!(
        house
            .refusal(json!({ "name": "ada", "system": 5 }), None)
            .await,
        ["/properties/system"]
    );
    assert_eq!(
        house.refusal(json!({ "name": "ada" }), Some("Cart")).await,
        ["/entity"]
    );
    assert_eq!(
        house
            .refusal(json!({ "name": "a".repeat(2_000_000) }), None)
            .await,
        ["/properties"]
    );
    let listed = house
        .actions
        .list_runs(
            &Actor::system(),
            RunFilter {
                limit: 10,
                ..RunFilter::default()
            },
        )
        .await;
    assert_eq!(listed.unwrap().len(), 1);
}

#[tokio::test]
async fn an_action_on_an_entity_needs_one_that_is_there() {
    let house = House::new().await;
    house
        .save(|action| {
            action["trigger"]["operation"] = json!("DAY-2");
            action["trigger"]["blueprintIdentifier"] = json!("System");
        })
        .await;
    assert_eq!(
        house.refusal(json!({ "name": "ada" }), None).await,
        ["/entity"]
    );
    assert_eq!(
        house
            .refusal(json!({ "name": "ada" }), Some("Nobody"))
            .await,
        ["/entity"]
    );
    let run = house
        .start_on(json!({ "name": "ada" }), Some("Cart"))
        .await
        .unwrap();
    assert_eq!(run.blueprint, Some(BlueprintId::parse("System").unwrap()));
    let shown = house.actions.find_subject(&run).await.unwrap().unwrap();
    assert_eq!(shown["properties"]["tier"], "gold");
}

#[tokio::test]
async fn templates_read_inputs_entities_and_who_asked() {
    let house = House::new().await;
    house
        .save(|action| {
            action["trigger"]["operation"] = json!("DAY-2");
            action["trigger"]["blueprintIdentifier"] = json!("System");
            action["invocationMethod"]["inputs"] = json!({
                "greeting": "Hello {{ .inputs.name }} of {{ .inputs.system.title }}!",
                "system": "{{ .inputs.system.identifier }}",
                "properties": "{{ .entity.properties }}",
                "by": "{{ .trigger.by.user.email }}",
                "run": "{{ .run.id }}",
                "action": "{{ .action.identifier }}",
                "nothing": "{{ .inputs.nobody.there }}",
                "fixed": [1, true],
            });
        })
        .await;
    let run = house
        .start_on(json!({ "name": "ada", "system": "Cart" }), Some("Cart"))
        .await
        .unwrap();
    let definition = house.actions.find_saved(&run.action).await.unwrap().value;
    let subject = house.actions.find_subject(&run).await.unwrap();
    let input = house
        .actions
        .render(&run, &definition, subject.as_ref())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        input,
        json!({
            "greeting": "Hello ada of The cart!",
            "system": "Cart",
            "properties": { "tier": "gold" },
            "by": "ada@example.com",
            "run": run.id,
            "action": "greet",
            "nothing": null,
            "fixed": [1, true],
        })
    );
}

#[tokio::test]
async fn a_template_that_fails_ends_the_run_and_names_its_place() {
    let house = House::new().await;
    house
        .save(|action| {
            action["invocationMethod"]["inputs"] = json!({ "a": ["{{ .inputs.name.first }}"] })
        })
        .await;
    house.actions.spawn().await.unwrap();
    let run = house.start(json!({ "name": "ada" })).await.unwrap();
    let failure = house.ended(&run).await.failure.unwrap();
    assert_eq!(failure.code, "template_error");
    assert!(
        failure
            .message
            .contains("`.inputs.name.first` at `/invocationMethod/inputs/a/0`"),
        "{}",
        failure.message
    );
}

#[tokio::test]
async fn a_developer_sees_only_their_own_runs() {
    let house = House::new().await;
    house.save(|_| {}).await;
    let run = house.start(json!({ "name": "ada" })).await.unwrap();
    let bob = Actor {
        name: "bob@example.com".to_owned(),
        ..ada()
    };
    let reviewer = Actor {
        role: Role::Reviewer,
        ..bob.clone()
    };
    let all = RunFilter {
        limit: 10,
        ..RunFilter::default()
    };
    let of_ada = RunFilter {
        created_by: Some(ada().name),
        ..all.clone()
    };
    assert!(matches!(
        house.actions.find_run(&bob, &run.id).await,
        Err(Error::NotFound(_))
    ));
    assert!(
        house
            .actions
            .list_runs(&bob, all.clone())
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        house
            .actions
            .list_runs(&bob, of_ada)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        house
            .actions
            .list_runs(&ada(), all.clone())
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        house.actions.list_runs(&reviewer, all).await.unwrap().len(),
        1
    );
    assert!(house.actions.find_run(&reviewer, &run.id).await.is_ok());
}

#[tokio::test]
async fn after_a_restart_nobody_guesses_about_an_interrupted_run_and_queued_ones_go_on() {
    let house = House::new().await;
    house.save(|_| {}).await;
    let interrupted = house.start(json!({ "name": "ada" })).await.unwrap();
    let queued = house.start(json!({ "name": "bob" })).await.unwrap();
    let claims = house
        .actions
        .inner
        .store
        .write(|tx| tx.claim_next("an earlier life", 1))
        .await;
    let claims: Result<Vec<crate::model::Claim>, store::Error> = claims;
    let stale = claims.unwrap().remove(0);

    let house = house.restart().await;
    house.actions.spawn().await.unwrap();
    let ended = house.ended(&interrupted).await;
    // Of a plugin that cannot be asked the worst is assumed.
    assert_eq!(ended.failure.unwrap().code, "outcome_unknown");
    assert_eq!(
        house.ended(&queued).await.failure.unwrap().code,
        "plugin_not_active"
    );
    assert_eq!(
        house.states(&interrupted).await.last(),
        Some(&RunState::OutcomeUnknown)
    );

    let late = RunMove::end(stale.token, RunEnd::Succeeded(json!("too late")));
    let moved = house.actions.move_run(None, &interrupted.id, late, None);
    assert_eq!(moved.await.unwrap(), None);
    assert_eq!(
        house.ended(&interrupted).await.state,
        RunState::OutcomeUnknown
    );
}

#[tokio::test]
async fn the_terminal_event_is_told_even_when_the_log_lost_it() {
    let house = House::new().await;
    house.save(|_| {}).await;
    let run = house.start(json!({ "name": "ada" })).await.unwrap();
    let (id, store) = (run.id.clone(), &house.actions.inner.store);
    let claim = store
        .write(|tx| tx.claim_next("worker", 1))
        .await
        .map(|mut claims| claims.remove(0));
    let claim: Result<crate::model::Claim, store::Error> = claim;
    let token = claim.unwrap().token;
    let end = RunMove::end(token, RunEnd::Succeeded(json!({})));
    let finished: Result<_, store::Error> = store.write(move |tx| tx.move_run(&id, &end)).await;
    assert!(finished.unwrap().is_some());
    // A client that had seen more than the log still holds learns the end all the same.
    let late = house.actions.list_events(&run.id, 40, 100).await.unwrap();
    assert_eq!(late.len(), 1);
    assert_eq!(late[0].sequence, 41);
    assert_eq!(late[0].body, EventBody::entered(RunState::Succeeded));
    assert_eq!(house.states(&run).await.last(), Some(&RunState::Succeeded));
}

#[tokio::test]
async fn a_stopped_engine_accepts_runs_and_begins_none() {
    let house = House::new().await;
    house.save(|_| {}).await;
    house.actions.spawn().await.unwrap();
    house.actions.shutdown().await;
    let run = house.start(json!({ "name": "ada" })).await.unwrap();
    assert_eq!(run.state, RunState::Queued);
    let house = house.restart().await;
    house.actions.spawn().await.unwrap();
    assert!(house.ended(&run).await.state.is_terminal());
}

#[tokio::test]
async fn actions_are_saved_replaced_and_deleted_with_an_audit_row_each() {
    let house = House::new().await;
    house.save(|_| {}).await;
    let (actions, admin) = (&house.actions, Actor::system());
    let id = ActionId::parse("greet").unwrap();
    let mut action = actions.find(&id).await.unwrap().value;
    assert!(matches!(
        actions.create(&admin, action.clone()).await,
        Err(Error::Conflict {
            code: "already_exists",
            ..
        })
    ));
    action.title = Some("Greet".to_owned());
    actions.replace(&admin, &id, action.clone()).await.unwrap();
    // What changes nothing is no change.
    actions.replace(&admin, &id, action.clone()).await.unwrap();
    let other = ActionId::parse("other").unwrap();
    assert!(matches!(
        actions.replace(&admin, &other, action.clone()).await,
        Err(Error::Invalid { .. })
    ));
    let applied = actions.clone();
    let again = action.clone();
    let applied: Result<_, Error> = actions
        .inner
        .store
        .write(move |tx| {
            let mut told = Applied::default();
            applied.apply_in(tx, &Actor::system(), again, &mut told)?;
            Ok(told)
        })
        .await;
    assert_eq!(applied.unwrap().unchanged, ["action greet"]);
    actions.delete(&admin, &id).await.unwrap();
    assert!(matches!(
        actions.delete(&admin, &id).await,
        Err(Error::NotFound(_))
    ));
    assert!(matches!(
        actions.start(&ada(), &id, Map::new(), None).await,
        Err(Error::NotFound(_))
    ));
    let audit = actions
        .inner
        .store
        .read(|tx| tx.list_audit(None, 100))
        .await
        .unwrap();
    assert_eq!(
        audit.iter().filter(|row| row.resource == "action").count(),
        3
    );
}

#[tokio::test]
async fn an_action_on_an_unknown_blueprint_is_refused() {
    let house = House::new().await;
    let action = parse_action(json!({
        "identifier": "x",
        "trigger": { "type": "self-service", "operation": "DAY-2", "blueprintIdentifier": "Nobody" },
        "invocationMethod": { "type": "PLUGIN", "plugin": "hello", "action": "hello" },
    }))
    .unwrap();
    let Err(Error::Invalid { violations, .. }) =
        house.actions.create(&Actor::system(), action).await
    else {
        panic!("it must be refused")
    };
    assert_eq!(violations[0].path, "/trigger/blueprintIdentifier");
}

#[tokio::test]
async fn who_waits_for_a_run_is_woken_by_it_and_not_by_others() {
    let house = House::new().await;
    house.save(|_| {}).await;
    let run = house.start(json!({ "name": "ada" })).await.unwrap();
    let other = house.start(json!({ "name": "bob" })).await.unwrap();
    let seen = house.actions.wait_for_change(&run.id, 0).await;
    let waiting = house.actions.wait_for_change(&run.id, seen);
    tokio::pin!(waiting);
    house.actions.inner.events.publish(&other.id);
    assert!(waiting.as_mut().now_or_never().is_none());
    house.actions.inner.events.publish(&run.id);
    assert!(waiting.await > seen);
}
