//! An entity as conditions see it: with what is derived from it.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::super::query::Subjects;
use crate::model::{Entity, Meta, Stamp, Subject};

/// An entity with its derived values.
#[derive(Clone, Copy)]
pub(in crate::catalog) struct Facts<'a> {
    pub(in crate::catalog) entity: &'a Entity,
    /// Absent while the entity is being written.
    pub(in crate::catalog) stamp: Option<&'a Stamp>,
    pub(in crate::catalog) properties: &'a Map<String, Value>,
    pub(in crate::catalog) scorecards: &'a Map<String, Value>,
}

impl Subjects for Facts<'_> {
    fn find(&self, subject: &Subject) -> Option<Cow<'_, Value>> {
        match subject {
            Subject::Property(name) => {
                let own = self.entity.properties.get(name);
                own.or_else(|| self.properties.get(name)).map(Cow::Borrowed)
            }
            Subject::Relation(name) => {
                let value = self.entity.relations.get(name)?;
                serde_json::to_value(value).ok().map(Cow::Owned)
            }
            Subject::Meta(meta) => self.meta(*meta).map(Cow::Owned),
            Subject::Scorecard { scorecard, rule } => {
                let card = self.scorecards.get(scorecard)?;
                let Some(rule) = rule else {
                    return card.get("level").map(Cow::Borrowed);
                };
                let rules = card.get("rules")?.as_array()?;
                let mut named = rules.iter().filter(|one| {
                    one.get("identifier").and_then(Value::as_str) == Some(rule.as_str())
                });
                named.next()?.get("status").map(Cow::Borrowed)
            }
            Subject::Constant(_) | Subject::Context(_) => None,
        }
    }
}

impl Facts<'_> {
    fn meta(&self, meta: Meta) -> Option<Value> {
        let entity = self.entity;
        let text = |text: &str| Some(Value::String(text.to_owned()));
        match meta {
            Meta::Identifier => text(entity.identifier.as_str()),
            Meta::Title => text(entity.title.as_deref()?),
            Meta::Team => Some(Value::from(entity.team.clone())),
            Meta::Icon => text(entity.icon.as_deref()?),
            Meta::Blueprint => text(entity.blueprint.as_str()),
            Meta::CreatedAt => text(&self.stamp?.created_at.to_string()),
            Meta::UpdatedAt => text(&self.stamp?.updated_at.to_string()),
            Meta::CreatedBy => text(&self.stamp?.created_by),
            Meta::UpdatedBy => text(&self.stamp?.updated_by),
            Meta::Datasource => text(self.stamp?.datasource.as_deref()?),
        }
    }
}
