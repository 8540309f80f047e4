//! Another name for a part of a blueprint, in the catalog and in the actions that read it.

use super::App;
use crate::action::{self, ActionsRenamed, Forms, longest_template};
use crate::catalog::{RenameDraft, RenamePlan, Renamed, Renaming};
use crate::jq::name;
use crate::model::{Actor, Blueprint, BlueprintId, Stamped};
use crate::store;

/// How often a renaming is thought through again because something else was changed meanwhile.
const TRIES: usize = 5;

/// A renaming that has been thought through but not carried out.
struct Plan {
    catalog: RenamePlan,
    actions: ActionsRenamed,
}

impl App {
    /// Gives a part of a blueprint another name in one transaction with everything that refers to it.
    ///
    /// # Errors
    /// A conflict where a filter or a template may refer to it in a way that cannot be followed, or where blueprints or
    /// actions are changed all the time meanwhile.
    pub async fn rename_in_blueprint(
        &self,
        actor: &Actor,
        id: &BlueprintId,
        what: Renamed,
        from: &str,
        to: &str,
    ) -> Result<Stamped<Blueprint>, action::Error> {
        let renaming = Renaming {
            blueprint: id.clone(),
            what,
            from: from.to_owned(),
            to: to.to_owned(),
        };
        for _ in 0..TRIES {
            let forms = self.actions.find_forms().await?;
            let plan = self.plan_rename(renaming.clone(), forms).await?;
            if let Some(renamed) = self.carry_out_rename(actor, plan).await? {
                return Ok(renamed);
            }
        }
        Err(action::Error::Conflict {
            code: "changed",
            message: format!(
                "`{from}` of blueprint `{id}` is not renamed: blueprints or actions were changed at the same time; try again"
            ),
        })
    }

    /// Thinks a renaming through on a snapshot, apart from the writer thread, which everybody waits for.
    async fn plan_rename(&self, renaming: Renaming, forms: Forms) -> Result<Plan, action::Error> {
        let actions = self.actions.clone();
        let snapshot = self.store.read({
            let renaming = renaming.clone();
            move |tx| {
                let draft = RenameDraft::read(tx, renaming)?;
                Ok::<_, action::Error>((draft, actions.list_in(tx)?, tx.list_action_permissions()?))
            }
        });
        let (draft, actions, permissions) = snapshot.await?;
        let longest = draft
            .longest_filter()
            .max(longest_template(&actions, &permissions));
        let planned = name::apart(longest, move |renamer| {
            Ok(Plan {
                catalog: draft.follow(renamer)?,
                actions: ActionsRenamed::follow(&renaming, actions, permissions, &forms, renamer)?,
            })
        });
        planned.await.ok_or(store::Error::Panicked)?
    }

    /// Carries out what was thought through. `None` where that no longer holds.
    async fn carry_out_rename(
        &self,
        actor: &Actor,
        plan: Plan,
    ) -> Result<Option<Stamped<Blueprint>>, action::Error> {
        let actor = actor.clone();
        self.store
            .write(move |tx| {
                if !plan.catalog.still_holds(tx)? || !plan.actions.still_holds(tx)? {
                    return Ok(None);
                }
                let renamed = plan.catalog.carry_out(tx, &actor)?;
                plan.actions.carry_out(tx, &actor)?;
                Ok(Some(renamed))
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::action::parse_action;
    use crate::catalog::{Applied, parse_blueprint};
    use crate::config::{Config, Settings};

    async fn save_action(app: &App, tier: &str) {
        let action = json!({
            "identifier": "scale", "title": "Scale",
            "trigger": { "type": "self-service", "operation": "DAY-2", "blueprintIdentifier": "Service", "userInputs": { "properties": {} } },
            "invocationMethod": { "type": "PLUGIN", "plugin": "scaler", "action": "scale", "inputs": { "tier": tier } },
        });
        let action = parse_action(action).unwrap();
        let (actions, actor) = (app.actions.clone(), Actor::system());
        let saved = app
            .store
            .write(move |tx| actions.apply_in(tx, &actor, action, &mut Applied::default()));
        saved.await.unwrap();
    }

    #[tokio::test]
    async fn what_was_thought_through_is_not_carried_out_after_a_change_of_what_it_was_about() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            data: Some(folder.path().to_owned()),
            ..Settings::default()
        };
        let config = Config::load(None, settings).unwrap();
        let app = App::open(&config, None).await.unwrap();
        let actor = Actor::system();
        let service = json!({
            "identifier": "Service", "title": "Service",
            "schema": { "properties": { "tier": { "type": "number" } } },
        });
        let service = parse_blueprint(service).unwrap();
        app.catalog.create_blueprint(&actor, service).await.unwrap();
        save_action(&app, "{{ .entity.properties.tier }}").await;
        let renaming = Renaming {
            blueprint: BlueprintId::parse("Service").unwrap(),
            what: Renamed::Property,
            from: "tier".to_owned(),
            to: "level".to_owned(),
        };
        let plan = async || {
            let plan = app.plan_rename(renaming.clone(), Forms::default()).await;
            plan.unwrap()
        };

        let older = plan().await;
        let Value::Object(title) = json!({ "title": "A service" }) else {
            return;
        };
        let id = &renaming.blueprint;
        app.catalog
            .patch_blueprint(&actor, id, title)
            .await
            .unwrap();
        assert_eq!(app.carry_out_rename(&actor, older).await.unwrap(), None);

        let older = plan().await;
        save_action(&app, "{{ .entity.properties.tier + 1 }}").await;
        assert_eq!(app.carry_out_rename(&actor, older).await.unwrap(), None);

        let renamed = app
            .rename_in_blueprint(&actor, id, Renamed::Property, "tier", "level")
            .await
            .unwrap();
        assert!(renamed.value.schema.properties.contains_key("level"));
        let actions = app.actions.list().await.unwrap();
        let shown = serde_json::to_value(&actions[0].value).unwrap();
        assert_eq!(
            shown["invocationMethod"]["inputs"]["tier"],
            json!("{{ .entity.properties.level + 1 }}")
        );
    }
}
