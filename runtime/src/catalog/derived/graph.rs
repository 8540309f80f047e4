//! What depends on what: the derived values of all blueprints, how each is made, and whom a change concerns.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::super::scorecard::Card;
use super::conditions::Conditions;
use super::walk::{Hop, Walk};
use crate::catalog::Error;
use crate::model::{Blueprint, BlueprintId, Field, Figure, PropertyType, Subject, Violation};
use crate::store::{self, BlueprintKey, ReadTx};

/// Graphs kept ready: that of the writer, and those of readers that began before a change.
const KEPT: usize = 4;

/// The graphs that were used lately, by the number that every change of a blueprint or a scorecard draws anew. It is
/// random, so that neither an undone change nor another data folder is ever mistaken for this one.
static READY: LazyLock<Mutex<Ready>> = LazyLock::new(Mutex::default);

type Ready = Vec<(i64, Arc<Graph>)>;

/// The derived values of all blueprints.
#[derive(Debug, Default)]
pub(in crate::catalog) struct Graph {
    pub(super) plans: HashMap<BlueprintKey, Arc<Plan>>,
    pub(super) keys: HashMap<BlueprintId, BlueprintKey>,
    /// What is wrong with definitions, by the blueprint that has them; such a definition is not carried out.
    pub(in crate::catalog) faults: HashMap<BlueprintId, Vec<Violation>>,
}

/// How the derived values of one blueprint are made.
#[derive(Debug)]
pub(in crate::catalog) struct Plan {
    pub(super) key: BlueprintKey,
    pub(super) blueprint: Blueprint,
    /// Every derived property, in the order of the document.
    pub(in crate::catalog) names: Vec<String>,
    pub(super) mirrors: Vec<MirrorPlan>,
    pub(super) aggregations: Vec<AggregationPlan>,
    /// In an order in which each sees what it needs; see [`CalculationPlan::round`].
    pub(super) calculations: Vec<CalculationPlan>,
    pub(super) cards: Vec<CardPlan>,
    /// Whom a change of one of these entities concerns.
    pub(super) watches: Vec<Watch>,
    /// By the name of a field, or of a scorecard as [`card_field`] gives it.
    pub(super) by_field: HashMap<String, Vec<usize>>,
    pub(super) by_relation: HashMap<String, Vec<(Begin, usize)>>,
}

/// How a mirror is made.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MirrorPlan {
    pub(super) name: String,
    pub(super) hops: Vec<Hop>,
    pub(super) field: Field,
    /// Whether the field is a derived one of the entities at the end.
    pub(super) derived: bool,
    /// Whether it is a list because a relation on the way leads to many.
    pub(super) many: bool,
}

/// How an aggregation is made.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AggregationPlan {
    pub(super) name: String,
    pub(super) target: BlueprintKey,
    pub(super) figure: Figure,
    pub(super) conditions: Option<Conditions>,
    /// From the entity to those that are taken together.
    pub(super) gathers: Vec<Walk>,
    /// Derived properties of the target that it reads.
    pub(super) reads_derived: bool,
}

/// How a calculation is made.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CalculationPlan {
    pub(super) name: String,
    pub(super) filter: String,
    pub(super) kind: PropertyType,
    /// The derived properties that the filter names, which are all that it sees of them.
    pub(super) sees: Vec<String>,
    /// Filters of one round do not see each other.
    pub(super) round: usize,
    /// Whether the filter looks at the clock.
    pub(super) timely: bool,
}

/// How a scorecard is evaluated.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CardPlan {
    pub(super) card: Arc<Card>,
    /// Whether it looks at nothing that takes longer than the write of an entity may.
    pub(super) cheap: bool,
}

/// Whose values have to be made again.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Watch {
    pub(super) owner: BlueprintKey,
    /// The aggregation that it is about; absent: the mirrors.
    pub(super) aggregation: Option<String>,
    /// From where it begins to the entities of the owner.
    pub(super) walk: Walk,
}

/// Where the walk of a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Begin {
    /// At the changed entity.
    Entity,
    /// At what its relation has lost or gained.
    Targets,
}

/// What a scorecard is called among the fields.
pub(super) fn card_field(identifier: &str) -> String {
    // No property has a space in its name.
    format!("scorecard {identifier}")
}

/// What conditions look at is called so among the fields; relations and constants are none.
pub(super) fn subject_field(subject: &Subject) -> Option<String> {
    match subject {
        Subject::Property(name) => Some(name.clone()),
        Subject::Meta(meta) => Some(meta.as_str().to_owned()),
        Subject::Scorecard { scorecard, .. } => Some(card_field(scorecard)),
        Subject::Relation(_) | Subject::Context(_) | Subject::Constant(_) => None,
    }
}

impl Graph {
    /// The graph as it is in a transaction.
    pub(in crate::catalog) fn load(tx: &ReadTx<'_>) -> Result<Arc<Self>, Error> {
        let version = tx.find_schema_version()?;
        let mut ready = READY.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, graph)) = ready.iter().find(|(known, _)| *known == version) {
            return Ok(Arc::clone(graph));
        }
        drop(ready);
        let mut blueprints = Vec::new();
        for row in tx.list_blueprints()? {
            let blueprint: Blueprint = serde_json::from_str(&row.document)
                .map_err(|e| store::Error::corrupt("blueprint", e))?;
            blueprints.push((row.key, blueprint));
        }
        let mut cards: HashMap<BlueprintKey, Vec<Arc<Card>>> = HashMap::new();
        for row in tx.list_scorecards(None)? {
            let card = Card::read(&row.document)?;
            cards.entry(row.blueprint).or_default().push(Arc::new(card));
        }
        let graph = Arc::new(super::resolve::build(blueprints, cards));
        ready = READY.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.len() >= KEPT {
            ready.remove(0);
        }
        ready.push((version, Arc::clone(&graph)));
        Ok(graph)
    }

    /// How the derived values of a blueprint are made; `None` for a blueprint that is gone.
    pub(in crate::catalog) fn plan(&self, key: BlueprintKey) -> Option<&Arc<Plan>> {
        self.plans.get(&key)
    }

    /// Why a scorecard cannot be evaluated.
    pub(in crate::catalog) fn scorecard_faults(
        &self,
        blueprint: &BlueprintId,
        identifier: &str,
    ) -> Vec<Violation> {
        let cards = self.plan_of(blueprint).map(|plan| plan.cards.as_slice());
        let known = cards
            .unwrap_or_default()
            .iter()
            .any(|one| one.card.identifier == identifier);
        if known {
            return Vec::new();
        }
        let message = "depends on itself, by way of what it looks at";
        vec![Violation::new("", "cycle", message)]
    }

    /// As [`Self::plan`], by identifier.
    pub(in crate::catalog) fn plan_of(&self, id: &BlueprintId) -> Option<&Arc<Plan>> {
        self.plans.get(self.keys.get(id)?)
    }
}

impl Plan {
    /// Whether its entities have derived values at all.
    pub(in crate::catalog) fn derives(&self) -> bool {
        !self.names.is_empty() || !self.cards.is_empty()
    }

    /// Whether its entities have a property, own or derived.
    pub(in crate::catalog) fn has_property(&self, name: &str) -> bool {
        self.blueprint.schema.properties.contains_key(name)
            || self.names.iter().any(|known| known == name)
    }

    /// Whether its entities have a relation.
    pub(in crate::catalog) fn has_relation(&self, name: &str) -> bool {
        self.blueprint.relations.contains_key(name)
    }

    /// Whether its entities are judged by a scorecard.
    pub(in crate::catalog) fn has_scorecard(&self, identifier: &str) -> bool {
        self.cards
            .iter()
            .any(|one| one.card.identifier == identifier)
    }

    /// Whether some of them take longer than the write of an entity may.
    pub(super) fn is_slow(&self) -> bool {
        !self.aggregations.is_empty()
            || !self.calculations.is_empty()
            || self.cards.iter().any(|card| !card.cheap)
    }

    /// Whether some of them change with nothing but time.
    pub(super) fn is_timely(&self) -> bool {
        let paced = |figure: &Figure| matches!(figure, Figure::CountPer(_) | Figure::SumPer(..));
        self.calculations.iter().any(|one| one.timely)
            || self.aggregations.iter().any(|one| {
                let conditions = one.conditions.as_ref();
                paced(&one.figure) || conditions.is_some_and(Conditions::is_timely)
            })
            || self.cards.iter().any(|one| one.card.is_timely())
    }
}
