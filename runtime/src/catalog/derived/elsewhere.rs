//! What other blueprints make of the entities of one: whoever reads theirs reads that, too.

use std::collections::{HashMap, HashSet};

use super::graph::{Graph, Plan, card_field};
use super::resolve::reads;
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
    /// The derived properties of other blueprints that are made of the entities of one, or of their relations: the
    /// mirrors and aggregations that lead to it or over it, and whatever is made of those. Who may not read its entities
    /// reads all the same what these make of them.
    pub async fn list_derived_elsewhere(
        &self,
        id: &BlueprintId,
    ) -> Result<Vec<DerivedElsewhere>, Error> {
        let id = id.clone();
        self.store
            .read(move |tx| {
                let key = blueprint::find(tx, &id)?.key;
                let graph = Graph::load(tx)?;
                let mut found: Vec<_> = made_of(&graph, key)
                    .into_iter()
                    .filter_map(|(owner, property)| {
                        let plan = graph.plan(owner)?;
                        plan.names.contains(&property).then(|| DerivedElsewhere {
                            blueprint: plan.blueprint.identifier.clone(),
                            property,
                        })
                    })
                    .collect();
                found.sort();
                Ok(found)
            })
            .await
    }
}

/// A field of a blueprint: a derived property, or a scorecard as [`card_field`] gives it.
type Place = (BlueprintKey, String);

/// What other blueprints make of one, at first hand or at any other.
fn made_of(graph: &Graph, key: BlueprintKey) -> HashSet<Place> {
    let mut users: HashMap<Place, Vec<Place>> = HashMap::new();
    let mut waiting: Vec<Place> = Vec::new();
    for plan in graph.plans.values().filter(|plan| plan.key != key) {
        waiting.extend(names(plan, key).map(|name| (plan.key, name.to_owned())));
        // A value may come by way of a scorecard, too.
        let cards = plan.cards.iter();
        let cards = cards.map(|card| card_field(&card.card.identifier));
        for field in plan.names.iter().cloned().chain(cards) {
            for read in reads(plan, &field) {
                let of_read = users.entry(read).or_default();
                of_read.push((plan.key, field.clone()));
            }
        }
    }
    let mut found = HashSet::new();
    while let Some(place) = waiting.pop() {
        if !found.contains(&place) {
            waiting.extend(users.get(&place).into_iter().flatten().cloned());
            found.insert(place);
        }
    }
    found
}

/// The mirrors and aggregations of a blueprint that lead to another one or over it.
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
