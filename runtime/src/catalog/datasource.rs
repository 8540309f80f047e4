//! What a program has written: integrations ask for it to find what they no longer know of.

use indexmap::IndexMap;

use super::{Catalog, Error, entity, permission};
use crate::model::{Actor, BlueprintId, EntityId, RelationValue, Timestamp};
use crate::store::EntityKey;

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
                let more = keys.len() > query.limit;
                let page = keys.get(..query.limit).unwrap_or(&keys);
                let mark = page.last().copied().filter(|_| more);
                let hidden = permission::find_hidden(tx, &kinds, &actor)?;
                let page = tx.list_shown(page.to_vec(), &hidden)?;
                let mut of_blueprint: IndexMap<BlueprintId, Vec<EntityKey>> = IndexMap::new();
                for (key, blueprint) in tx.list_blueprint_ids_of(&page)? {
                    of_blueprint.entry(blueprint).or_default().push(key);
                }
                let mut found = Vec::with_capacity(page.len());
                for (blueprint, keys) in of_blueprint {
                    let kind = kinds.load(tx, &blueprint)?;
                    found.extend(entity::find_by_key(tx, &kind, &keys)?);
                }
                found.sort_by_key(|(key, _)| *key);
                let entities = found.into_iter().map(|(_, found)| {
                    let entity = found.entity.value;
                    DatasourceEntity {
                        identifier: entity.identifier,
                        blueprint: entity.blueprint,
                        relations: entity.relations,
                    }
                });
                Ok((entities.collect(), mark.map(EntityKey::as_number)))
            })
            .await
    }
}
