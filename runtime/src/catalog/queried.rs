//! Documents of entities that say by a query what they are, where they point or who owns them.

use std::collections::HashMap;

use serde_json::Value;

use super::apply::check_count;
use super::draft::parse_draft;
use super::entity::{self, Lookup};
use super::schema::shorten;
use super::{Catalog, Error, Placed, blueprint};
use crate::model::{Actor, Blueprint, BlueprintId, EntityDraft, Violation};

/// Violations that are told of all documents together.
const MAX_VIOLATIONS: usize = 1_000;

/// Whether the document of an entity asks for anything by a query.
pub fn asks(document: &Value) -> bool {
    entity::asks(document)
}

impl Catalog {
    /// Reads entities of which each asks for something by a query. It is looked for among what is there before any of
    /// them, with the eyes of whoever writes, and in limited time for all of them.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every query that finds nothing, or too much, and every part that has the wrong shape; each
    /// path begins with its document's place.
    pub async fn read_queried(
        &self,
        actor: &Actor,
        blueprints: &[Placed<Blueprint>],
        documents: Vec<Placed<(BlueprintId, Value)>>,
    ) -> Result<Vec<Placed<(BlueprintId, EntityDraft)>>, Error> {
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        // Each of them costs a search; what is too much is refused before.
        check_count(documents.len())?;
        let (kinds, actor, limits) = (self.kinds.clone(), actor.clone(), self.limits);
        // Those that come along with the entities say where their relations lead.
        let wanted = |id: &BlueprintId| documents.iter().any(|document| document.value.0 == *id);
        let coming: Vec<Blueprint> = blueprints
            .iter()
            .map(|blueprint| &blueprint.value)
            .filter(|blueprint| wanted(&blueprint.identifier))
            .cloned()
            .collect();
        self.store
            .read(move |tx| {
                let mut lookup = Lookup::new(tx, &kinds, &actor, limits);
                let mut violations = Vec::new();
                let mut read = Vec::with_capacity(documents.len());
                let mut definitions: HashMap<BlueprintId, Blueprint> = coming
                    .into_iter()
                    .map(|coming| (coming.identifier.clone(), coming))
                    .collect();
                for Placed { at, value } in documents {
                    if violations.len() >= MAX_VIOLATIONS {
                        break;
                    }
                    let (id, mut body) = value;
                    if !definitions.contains_key(&id)
                        && let Some(row) = tx.find_blueprint(&id)?
                    {
                        definitions.insert(id.clone(), blueprint::read(&row)?.value);
                    }
                    let Some(definition) = definitions.get(&id) else {
                        let message =
                            format!("blueprint `{id}` does not exist, here or in the catalog");
                        let path = format!("{at}/blueprint");
                        violations.push(Violation::new(path, "relation", message));
                        continue;
                    };
                    let named = body.get("identifier").and_then(Value::as_str);
                    let subject = match named {
                        Some(named) => format!("entity `{}` of blueprint `{id}`", shorten(named)),
                        None => format!("entity of blueprint `{id}`"),
                    };
                    let mut found = lookup.fill_in_or_tell(definition, &mut body)?;
                    match parse_draft(body) {
                        Ok(draft) => read.push(Placed {
                            at: at.clone(),
                            value: (id, draft),
                        }),
                        Err(Error::Invalid { violations, .. }) => found.extend(violations),
                        Err(error) => return Err(error),
                    }
                    violations.extend(found.into_iter().map(|violation| Violation {
                        path: format!("{at}{}", violation.path),
                        message: format!("{subject}: {}", violation.message),
                        ..violation
                    }));
                }
                if violations.is_empty() {
                    return Ok(read);
                }
                violations.truncate(MAX_VIOLATIONS);
                Err(Error::Invalid {
                    subject: "the apply".to_owned(),
                    violations,
                })
            })
            .await
    }
}
