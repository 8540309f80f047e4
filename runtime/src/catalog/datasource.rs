//! What a program has written: integrations ask for it to find what they no longer know of.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::kind::Kind;
use super::{Catalog, Error, entity, permission};
use crate::model::{Actor, BlueprintId, EntityId, RelationValue, Timestamp};
use crate::store::{EntityKey, MAX_PROGRAMS};

/// Entities whose edges are read at once.
const AT_ONCE: usize = 1_000;

/// Which entities are meant.
#[derive(Clone, Debug, Default)]
pub struct DatasourceQuery {
    /// How the program's name begins.
    pub prefix: String,
    /// How it ends.
    pub suffix: String,
    /// Only those last changed before.
    pub before: Option<Timestamp>,
    /// Only those behind this mark.
    pub from: Option<i64>,
    /// At most that many.
    pub limit: usize,
}

/// An entity, as far as its writer needs it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct DatasourceEntity {
    /// Unique within its blueprint.
    #[schema(value_type = String)]
    pub identifier: EntityId,
    /// Its blueprint.
    #[schema(value_type = String)]
    pub blueprint: BlueprintId,
    /// Where it points.
    #[schema(value_type = Object)]
    pub relations: IndexMap<String, RelationValue>,
}

impl Catalog {
    /// Entities that a program wrote last and that somebody may see, in the order in which they were made, and the mark
    /// to read on from. A page may be shorter than asked for and still not be the last.
    ///
    /// # Errors
    /// [`Error::TooExpensive`] where too many programs are meant.
    pub async fn list_of_datasource(
        &self,
        actor: &Actor,
        query: DatasourceQuery,
    ) -> Result<(Vec<DatasourceEntity>, Option<i64>), Error> {
        let (kinds, actor) = (self.kinds.clone(), actor.clone());
        self.store
            .read(move |tx| {
                let before = query.before.map(|before| before.0);
                let (prefix, suffix) = (&query.prefix, &query.suffix);
                let keys = tx.list_entities_of_datasource(
                    prefix,
                    suffix,
                    before,
                    query.from,
                    query.limit.saturating_add(1),
                )?;
                let Some(keys) = keys else {
                    return Err(Error::TooExpensive(format!(
                        "the names of more than {MAX_PROGRAMS} programs begin so; name more of the beginning"
                    )));
                };
                let more = keys.len() > query.limit;
                let page = keys.get(..query.limit).unwrap_or(&keys);
                let mark = page.last().copied().filter(|_| more);
                let hidden = permission::find_hidden(tx, &kinds, &actor)?;
                let mut page = tx.list_shown(page.to_vec(), &hidden)?;
                page.sort_unstable();
                // Of the entities only what is told is read: all of them may be a large part of the catalog.
                let mut known: HashMap<BlueprintId, Kind> = HashMap::new();
                let mut entities = Vec::with_capacity(page.len());
                for some in page.chunks(AT_ONCE) {
                    let mut targets = tx.list_targets(some)?;
                    for (key, blueprint, identifier) in tx.list_names_of(some)? {
                        let kind = match known.get(&blueprint) {
                            Some(kind) => kind.clone(),
                            None => {
                                let kind = kinds.load(tx, &blueprint)?;
                                known.insert(blueprint.clone(), kind.clone());
                                kind
                            }
                        };
                        entities.push(DatasourceEntity {
                            identifier,
                            blueprint,
                            relations: entity::relations_of(&kind, key, &mut targets),
                        });
                    }
                }
                Ok((entities, mark.map(EntityKey::as_number)))
            })
            .await
    }
}
