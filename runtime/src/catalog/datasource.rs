//! What a program has written: integrations ask for it to find what they no longer know of.

use indexmap::IndexMap;

use super::{Catalog, Error, entity};
use crate::model::{BlueprintId, EntityId, RelationValue, Timestamp};
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
    /// Entities that a program wrote last, in the order in which they were made, and the mark to read on from.
    pub async fn list_of_datasource(
        &self,
        query: DatasourceQuery,
    ) -> Result<(Vec<DatasourceEntity>, Option<i64>), Error> {
        let kinds = self.kinds.clone();
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
                let mut of_blueprint: IndexMap<BlueprintId, Vec<EntityKey>> = IndexMap::new();
                for (key, blueprint) in tx.list_blueprint_ids_of(page)? {
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
