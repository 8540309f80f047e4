//! The form of an action as it is for one person, one entity and what was filled in so far.
//!
//! Some of what a form says may be worked out by jq (`{"jqQuery": "…"}`), which reads `.form`, `.entity` and `.user`. What
//! a client shows is worked out here once more when a run is started: a client may be any program.

mod condition;
mod evaluate;
mod filter;
mod order;

use serde_json::{Map, Value};

pub use evaluate::{EvaluatedForm, EvaluatedInput};
pub(super) use evaluate::{Filled, Reading};
pub(super) use filter::{
    COMPUTED, MAX_FILTER_BYTES, filters, is_computed, longest_filter, without_computed,
};
pub(super) use order::levels;

use super::input::check_size;
use super::{Actions, Error};
use crate::model::{ActionId, Actor, EntityId, Violation};

impl Actions {
    /// The form of an action as somebody sees it who has filled in a part of it.
    ///
    /// # Errors
    /// There is no such action, it is not theirs to see, its plugin's form is not known, or what was filled in is too
    /// large.
    pub async fn fill_in_form(
        &self,
        person: &Actor,
        id: &ActionId,
        given: Map<String, Value>,
        entity: Option<EntityId>,
    ) -> Result<EvaluatedForm, Error> {
        let definition = self.find_visible(person, id).await?.value;
        let invalid = |violation| Error::Invalid {
            subject: format!("the form of action `{id}`"),
            violations: vec![violation],
        };
        let form = self
            .find_form(&definition)
            .await
            .map_err(|error| invalid(Violation::new("", "plugin", error.to_string())))?;
        if let Some(violation) = check_size(&given) {
            return Err(invalid(violation));
        }
        let filled = Filled {
            person,
            definition: &definition,
            form: &form,
            entity: entity.as_ref(),
        };
        let mut done = self
            .evaluate_form(&mut Reading::new(self, filled), given)
            .await?;
        // Without an entity the form is shown as for one of which nothing is known.
        if entity.is_some() {
            match self
                .check_subject(person, &definition, entity.as_ref())
                .await?
            {
                Some(violation) => done.violations.push(violation),
                None => done.violations.extend(self.check_condition(filled).await?),
            }
        }
        Ok(done)
    }
}
