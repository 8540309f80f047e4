//! What other blueprints make of the entities of one: whoever reads theirs reads that, too.

use super::graph::{Graph, Plan};
use super::walk::{Hop, Walk};
use crate::catalog::{Catalog, Error, blueprint};
use crate::model::BlueprintId;
use crate::store::BlueprintKey;

/// A derived property of another blueprint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, utoipa::ToSchema)]
pub struct DerivedElsewhere {
    /// The blueprint that derives it.
    #[schema(value_type = String)]
    pub blueprint: BlueprintId,
    /// Its name there.
    pub property: String,
}

impl Catalog {
    /// The mirrors and aggregations of other blueprints that lead to a blueprint or over it. Who may not read its
    /// entities reads all the same what these make of them.
    pub async fn list_derived_elsewhere(
        &self,
        id: &BlueprintId,
    ) -> Result<Vec<DerivedElsewhere>, Error> {
        let id = id.clone();
        self.store
            .read(move |tx| {
                let key = blueprint::find(tx, &id)?.key;
                let graph = Graph::load(tx)?;
                let others = graph.plans.values().filter(|plan| plan.key != key);
                let mut found: Vec<_> = others
                    .flat_map(|plan| {
                        names(plan, key).map(|name| DerivedElsewhere {
                            blueprint: plan.blueprint.identifier.clone(),
                            property: name.to_owned(),
                        })
                    })
                    .collect();
                found.sort();
                Ok(found)
            })
            .await
    }
}

fn names(plan: &Plan, key: BlueprintKey) -> impl Iterator<Item = &str> {
    let mirrors = plan.mirrors.iter().filter(move |mirror| {
        let mut ends = mirror.hops.iter().map(Hop::end);
        ends.any(|end| end == key)
    });
    let aggregations = plan.aggregations.iter().filter(move |aggregation| {
        let mut ends = aggregation.gathers.iter().flat_map(Walk::ends);
        aggregation.target == key || ends.any(|end| end == key)
    });
    let mirrors = mirrors.map(|mirror| mirror.name.as_str());
    mirrors.chain(aggregations.map(|aggregation| aggregation.name.as_str()))
}
