//! Documents of several kinds in one transaction, and the approval of a plugin together with what it ships.

use serde_json::Value;

use super::App;
use super::prune::{Named, Prune, Settlement};
use crate::action::{self, parse_action};
use crate::catalog::{self, Applied, Placed, parse_blueprint, parse_scorecard};
use crate::model::{
    Action, Actor, Approval, Blueprint, BlueprintId, EntityDraft, PluginName, PluginVersion,
    Scorecard, SourceName, Violation,
};
use crate::plugin::ReviewError;
use crate::store;

/// Documents to be put in place together.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// In any order; they may point at each other.
    pub blueprints: Vec<Placed<Blueprint>>,
    /// In any order; they may point at each other.
    pub entities: Vec<Placed<(BlueprintId, EntityDraft)>>,
    /// Entities that ask for something by a query, see [`catalog::asks`]: for what is there before all of the documents.
    pub queried: Vec<Placed<(BlueprintId, Value)>>,
    /// In any order.
    pub scorecards: Vec<Placed<Scorecard>>,
    /// In any order.
    pub actions: Vec<Placed<Action>>,
    /// Where they are kept. They belong to it from then on.
    pub source: Option<SourceName>,
    /// That what the source has no document for any more is to be deleted. Without a source it means nothing.
    pub prune: Option<Prune>,
}

/// Whether an apply is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyMode {
    /// Keep what was written.
    Commit,
    /// Check everything, report, and change nothing.
    DryRun,
}

/// Why a plugin version was not approved.
#[derive(Debug, thiserror::Error)]
pub enum ApproveError {
    /// The decision itself was refused.
    #[error(transparent)]
    Review(#[from] ReviewError),
    /// A document that the package ships was refused, and with it all of its documents.
    #[error("apply the documents of the package")]
    Documents(#[source] action::Error),
}

/// How the transaction of an apply ends without being kept.
enum Undo {
    DryRun(Box<Applied>),
    Refused(action::Error),
}

impl From<store::Error> for Undo {
    fn from(error: store::Error) -> Self {
        Self::Refused(error.into())
    }
}

impl App {
    /// Puts documents in place in one transaction: all of them, or none.
    pub async fn apply(
        &self,
        actor: &Actor,
        documents: Documents,
        mode: ApplyMode,
    ) -> Result<Applied, action::Error> {
        for Placed { at, value } in &documents.actions {
            let checked = self.actions.check(value).await;
            checked.map_err(|error| placed(error, at))?;
        }
        self.put(actor, documents, mode).await
    }

    /// As [`Self::apply`], without what is asked of plugins.
    async fn put(
        &self,
        actor: &Actor,
        mut documents: Documents,
        mode: ApplyMode,
    ) -> Result<Applied, action::Error> {
        let queried = std::mem::take(&mut documents.queried);
        let found = self
            .catalog
            .read_queried(actor, &documents.blueprints, queried);
        documents.entities.extend(found.await?);
        for Placed { at, value } in &documents.blueprints {
            let checked = self.catalog.check_calculations(value).await;
            checked.map_err(|error| placed(error.into(), at))?;
        }
        let (catalog, actions) = self.parts();
        let actor = actor.clone();
        let outcome = self
            .store
            .write(move |tx| {
                let named = Named::read(&documents);
                let mut applied = catalog
                    .apply_in(tx, &actor, documents.blueprints, documents.entities)
                    .map_err(|error| Undo::Refused(error.into()))?;
                catalog
                    .apply_scorecards_in(tx, &actor, &documents.scorecards, &mut applied)
                    .map_err(|error| Undo::Refused(error.into()))?;
                for Placed { at, value } in documents.actions {
                    actions
                        .apply_in(tx, &actor, value, &mut applied)
                        .map_err(|error| Undo::Refused(placed(error, &at)))?;
                }
                if let Some(source) = &documents.source {
                    let settlement = Settlement {
                        catalog: &catalog,
                        actions: &actions,
                        actor: &actor,
                        source,
                        prune: documents.prune.as_ref(),
                    };
                    settlement
                        .settle(tx, &named, &mut applied)
                        .map_err(Undo::Refused)?;
                }
                match mode {
                    ApplyMode::Commit => Ok(applied),
                    ApplyMode::DryRun => Err(Undo::DryRun(Box::new(applied))),
                }
            })
            .await;
        match outcome {
            Ok(applied) => Ok(applied),
            Err(Undo::DryRun(applied)) => Ok(*applied),
            Err(Undo::Refused(error)) => Err(error),
        }
    }

    /// Lets a plugin version run, and puts the blueprints and actions that it ships in place.
    pub async fn approve_plugin(
        &self,
        actor: &Actor,
        name: &PluginName,
        version: &semver::Version,
        approval: Approval,
    ) -> Result<PluginVersion, ApproveError> {
        let documents = self.shipped_documents(name, version).await?;
        // Whether the actions fit their plugin can be asked only once it is active; all else is known before.
        self.put(actor, documents.clone(), ApplyMode::DryRun)
            .await
            .map_err(ApproveError::Documents)?;
        let approved = self.plugins.approve(actor, name, version, approval).await?;
        self.apply(actor, documents, ApplyMode::Commit)
            .await
            .map_err(ApproveError::Documents)?;
        Ok(approved)
    }

    /// Lets an earlier version of a plugin serve again, and puts the documents that it ships in place again; refused
    /// where another version than `from` is active.
    pub async fn roll_back_plugin(
        &self,
        actor: &Actor,
        name: &PluginName,
        version: Option<&semver::Version>,
        from: Option<&semver::Version>,
        reason: &str,
    ) -> Result<PluginVersion, ApproveError> {
        let target = self
            .plugins
            .find_roll_back(name, version, from)
            .await?
            .version;
        let documents = self.shipped_documents(name, &target).await?;
        self.put(actor, documents.clone(), ApplyMode::DryRun)
            .await
            .map_err(ApproveError::Documents)?;
        // By name: had another decision come between, then this one is refused or is what was looked at.
        let active = self
            .plugins
            .roll_back(actor, name, Some(&target), from, reason)
            .await?;
        self.apply(actor, documents, ApplyMode::Commit)
            .await
            .map_err(ApproveError::Documents)?;
        Ok(active)
    }

    async fn shipped_documents(
        &self,
        name: &PluginName,
        version: &semver::Version,
    ) -> Result<Documents, ApproveError> {
        let mut documents = Documents::default();
        for (path, value) in self.plugins.find_resources(name, version).await? {
            match path.split_once('/') {
                Some(("blueprints", _)) => {
                    let blueprint = parse_blueprint(value).map_err(action::Error::from);
                    let blueprint = blueprint.map_err(ApproveError::Documents)?;
                    documents.blueprints.push(blueprint.into());
                }
                Some(("scorecards", _)) => {
                    let blueprint = value.get("blueprint").and_then(Value::as_str);
                    let Some(Ok(blueprint)) = blueprint.map(BlueprintId::parse) else {
                        return Err(refused(&path, "a scorecard names its `blueprint`"));
                    };
                    let scorecard = parse_scorecard(value, &blueprint).map_err(action::Error::from);
                    let scorecard = scorecard.map_err(ApproveError::Documents)?;
                    documents.scorecards.push(scorecard.into());
                }
                Some(("actions", _)) => {
                    let action = parse_action(value).map_err(ApproveError::Documents)?;
                    documents.actions.push(action.into());
                }
                _ => {
                    return Err(refused(
                        &path,
                        "this version knows blueprints/, scorecards/ and actions/ only",
                    ));
                }
            }
        }
        Ok(documents)
    }
}

/// An error about one document, with its place before the paths.
fn placed(error: action::Error, at: &str) -> action::Error {
    let before = |violations: Vec<Violation>| {
        let violations = violations.into_iter().map(|violation| Violation {
            path: format!("{at}{}", violation.path),
            ..violation
        });
        violations.collect()
    };
    match error {
        action::Error::Invalid {
            subject,
            violations,
        } => action::Error::Invalid {
            violations: before(violations),
            subject,
        },
        action::Error::Catalog(catalog::Error::Invalid {
            subject,
            violations,
        }) => action::Error::Catalog(catalog::Error::Invalid {
            violations: before(violations),
            subject,
        }),
        other => other,
    }
}

fn refused(path: &str, message: &str) -> ApproveError {
    ApproveError::Documents(action::Error::Invalid {
        subject: format!("document `{path}` of the package"),
        violations: vec![Violation::new("", "document", message)],
    })
}
