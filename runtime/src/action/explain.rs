//! What would come of a start of an action, without starting it.

use serde::Serialize;
use serde_json::{Map, Value};

use super::permission::{Approvers, Asked};
use super::{Actions, Error, Ruling};
use crate::model::{ActionId, ActionRight, Actor, EntityId, Timestamp, Violation};

/// What would come of a start.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Whether the run would be accepted.
    pub starts: bool,
    /// Whether somebody would have to approve it before anything is done.
    pub needs_approval: bool,
    /// Every rule that it was held against, with its verdict.
    pub rules: Vec<Ruling>,
    /// The inputs that the run would have, where they are right.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub properties: Option<Map<String, Value>>,
}

impl Actions {
    /// Holds a start against every rule, and starts nothing.
    ///
    /// # Errors
    /// There is no such action, or something failed that says nothing about the start.
    pub async fn explain(
        &self,
        person: &Actor,
        action: &ActionId,
        properties: Map<String, Value>,
        entity: Option<EntityId>,
    ) -> Result<Explanation, Error> {
        let definition = self.find_saved(action).await?.value;
        let granted = self.find_right(action, ActionRight::Execute).await?;
        let entity = entity.as_ref();
        let mut told = Explanation {
            starts: false,
            needs_approval: needs_approval(definition.extra.get("requiredApproval")),
            rules: Vec::new(),
            properties: None,
        };
        let lists = self.check_lists(person, &definition, &granted, entity);
        let listed = match lists.await {
            Ok(()) => None,
            Err(Error::Forbidden { message, .. }) => Some(message),
            Err(error) => return Err(error),
        };
        let may = listed.is_none();
        let message = listed.unwrap_or_else(|| {
            "the lists of `execute` of the action's permissions include you".to_owned()
        });
        told.rules
            .push(ruling("permissions", "/execute", may, message));
        if !may {
            // What the form and the policy say is for those whom the lists let in.
            return Ok(told);
        }
        let form = match self.find_form(&definition).await {
            Ok(form) => form,
            Err(error) => {
                let path = "/invocationMethod";
                told.rules
                    .push(ruling("plugin", path, false, error.to_string()));
                return Ok(told);
            }
        };
        let checked = self.check_inputs(person, &definition, &form, properties, entity);
        let properties = match checked.await {
            Ok(properties) => properties,
            Err(Error::Invalid { violations, .. }) => {
                let broken =
                    |Violation { path, message, .. }| ruling("inputs", &path, false, message);
                told.rules.extend(violations.into_iter().map(broken));
                if granted.policy.is_some() {
                    let message = "the policy is asked once the inputs are right";
                    let path = "/execute/policy";
                    told.rules
                        .push(ruling("policy", path, false, message.to_owned()));
                }
                return Ok(told);
            }
            Err(error) => return Err(error),
        };
        let message = "the inputs break no rule".to_owned();
        told.rules
            .push(ruling("inputs", "/properties", true, message));
        let asked = Asked {
            person,
            definition: &definition,
            form: &form,
            properties: &properties,
            entity,
            at: Timestamp::now(),
        };
        let allowed = match &granted.policy {
            Some(policy) => {
                let rulings = self.judge_start(policy, asked).await?;
                let allowed = rulings.iter().any(|ruling| ruling.holds);
                told.rules.extend(rulings);
                allowed
            }
            None => true,
        };
        if told.needs_approval {
            told.rules.push(match self.find_approvers(asked).await {
                Ok(approvers) => {
                    let key = match approvers {
                        Approvers::Granted(_) => "/approve",
                        Approvers::Named(_) => "/approve/policy",
                    };
                    let message = format!("the run would wait for the approval of {approvers}");
                    ruling("approval", key, true, message)
                }
                Err(Error::Forbidden { message, .. }) => {
                    ruling("approval", "/approve/policy", false, message)
                }
                Err(error) => return Err(error),
            });
        }
        told.starts = may && allowed;
        told.properties = Some(properties);
        Ok(told)
    }
}

/// Whether an action asks for an approval: by `true`, or by how many have to give it.
fn needs_approval(required: Option<&Value>) -> bool {
    !matches!(required, None | Some(Value::Null | Value::Bool(false)))
}

fn ruling(rule: &'static str, path: &str, holds: bool, message: String) -> Ruling {
    Ruling {
        rule,
        path: path.to_owned(),
        holds,
        message,
    }
}
