//! Who may approve a run.

use std::collections::BTreeSet;

use serde_json::Value;

use super::describe;
use super::policy::{Asked, path_of};
use crate::action::rule::kind;
use crate::action::{Actions, Error};
use crate::model::{ActionRight, Actor, Grant, Violation};

/// People that one policy may name.
const MAX_NAMED: usize = 1_000;

/// Who may approve a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Approvers {
    /// Whom the lists of the action's permissions name.
    Granted(Grant),
    /// Whom its policy names, by e-mail address, and nobody else.
    Named(BTreeSet<String>),
}

impl Approvers {
    /// Whether somebody is one of them.
    pub fn includes(&self, actor: &Actor) -> bool {
        match self {
            Self::Granted(grant) => grant.includes_apart_from_owners(actor),
            Self::Named(names) => names.contains(&actor.name),
        }
    }
}

impl std::fmt::Display for Approvers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Granted(grant) => f.write_str(&describe(grant)),
            Self::Named(names) => {
                let users = names.iter().cloned().collect();
                f.write_str(&describe(&Grant {
                    users,
                    ..Grant::default()
                }))
            }
        }
    }
}

impl Actions {
    /// Who may approve what was asked for. The policy is asked anew each time: who answers for something today may be
    /// somebody else tomorrow.
    ///
    /// # Errors
    /// [`Error::Forbidden`] where the policy fails, names nobody or something else than people: then nobody may, until
    /// it is corrected.
    pub(in crate::action) async fn find_approvers(
        &self,
        asked: Asked<'_>,
    ) -> Result<Approvers, Error> {
        let action = &asked.definition.identifier;
        let granted = self.find_right(action, ActionRight::Approve).await?;
        let Some(policy) = &granted.policy else {
            return Ok(Approvers::Granted(granted.grant));
        };
        let refuse = |reasons: Vec<Violation>| {
            let first = reasons
                .first()
                .map(Violation::to_string)
                .unwrap_or_default();
            Error::Forbidden {
                message: format!(
                    "nobody may approve runs of action `{action}`, because the policy of `approve` names nobody: {first}; an administrator has to correct it"
                ),
                reasons,
            }
        };
        let values = match self.judge(ActionRight::Approve, policy, asked).await? {
            Ok(values) => values,
            Err(failures) => return Err(refuse(failures)),
        };
        let (named, wrong) = names(&values);
        if wrong.is_empty() && !named.is_empty() {
            return Ok(Approvers::Named(named));
        }
        Err(refuse(wrong))
    }
}

/// The people that conditions name, and what is wrong with what they give.
fn names(values: &[Value]) -> (BTreeSet<String>, Vec<Violation>) {
    let mut named = BTreeSet::new();
    let mut wrong = Vec::new();
    let path = path_of(ActionRight::Approve);
    for (index, value) in values.iter().enumerate() {
        let path = format!("{path}/conditions/{index}");
        let Some(list) = value.as_array().filter(|list| list.len() <= MAX_NAMED) else {
            let message = format!(
                "the condition gives {}, not a list of at most {MAX_NAMED} e-mail addresses",
                kind(value)
            );
            wrong.push(Violation::new(path, "type", message));
            continue;
        };
        for name in list {
            match name.as_str() {
                Some(name) => {
                    named.insert(name.to_owned());
                }
                None => {
                    let message = format!("the list holds {}, not an e-mail address", kind(name));
                    wrong.push(Violation::new(path.clone(), "type", message));
                    break;
                }
            }
        }
    }
    (named, wrong)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_name_people_together_and_anything_else_is_wrong() {
        let (named, wrong) = names(&[json!(["a@x.org"]), json!([]), json!(["b@x.org", "a@x.org"])]);
        assert_eq!(
            named.into_iter().collect::<Vec<_>>(),
            ["a@x.org", "b@x.org"]
        );
        assert!(wrong.is_empty());
        let (_, wrong) = names(&[json!(true), json!([1]), json!(["a@x.org"])]);
        let paths: Vec<_> = wrong.iter().map(|wrong| wrong.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "/approve/policy/conditions/0",
                "/approve/policy/conditions/1"
            ]
        );
    }
}
