//! Holds changed definitions against all others, and has made again what depends on them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::cause::{Cause, Dirty, Rank};
use super::graph::{Graph, Plan};
use super::parse::{AGGREGATIONS, MIRRORS};
use super::walk::{Hop, Walk};
use crate::catalog::kind::Kinds;
use crate::catalog::schema::join;
use crate::catalog::{Error, permission};
use crate::model::{Actor, BlueprintId, Violation};
use crate::store::{BlueprintKey, WriteTx};

/// The definitions as they were before a change of blueprints.
pub(in crate::catalog) struct Before(Arc<Graph>);

impl Before {
    pub(in crate::catalog) fn of(tx: &WriteTx<'_>) -> Result<Self, Error> {
        Graph::load(tx).map(Self)
    }

    /// What is wrong now that some blueprints are changed, added or gone: all of theirs, and of others what was right
    /// before.
    pub(in crate::catalog) fn faults(
        &self,
        tx: &WriteTx<'_>,
        changed: &[BlueprintId],
    ) -> Result<Vec<(BlueprintId, Vec<Violation>)>, Error> {
        let after = Graph::load(tx)?;
        let mut found = Vec::new();
        for (id, violations) in &after.faults {
            let new: Vec<Violation> = match changed.contains(id) {
                true => violations.clone(),
                false => {
                    let before = self.0.faults.get(id).map(Vec::as_slice).unwrap_or_default();
                    let new = violations.iter().filter(|one| !before.contains(one));
                    new.cloned().collect()
                }
            };
            if !new.is_empty() {
                found.push((id.clone(), new));
            }
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }

    /// Definitions, new or changed, whoever's blueprint they are in, that lead to what somebody may not see: whoever
    /// reads the derived values would see it all the same.
    pub(in crate::catalog) fn out_of_sight(
        &self,
        tx: &WriteTx<'_>,
        actor: &Actor,
    ) -> Result<Vec<(BlueprintId, Vec<Violation>)>, Error> {
        let hidden = permission::find_hidden(tx, &Kinds::default(), actor)?;
        if hidden.is_nothing() {
            return Ok(Vec::new());
        }
        let after = Graph::load(tx)?;
        let is_hidden =
            |key: &BlueprintKey| hidden.whole.contains(key) || hidden.owned.contains(key);
        let mut found = Vec::new();
        for plan in after.plans.values() {
            let was = self.0.plans.get(&plan.key);
            let mut violations = Vec::new();
            let mut tell = |kind: &str, name: &str, part: &str, key: BlueprintKey| {
                let blueprint = after.plans.get(&key);
                let blueprint = blueprint.map(|plan| plan.blueprint.identifier.as_str());
                let message = format!(
                    "leads to blueprint `{}`, of which you may not see every entity; ask an administrator",
                    blueprint.unwrap_or_default()
                );
                let path = join(&join(&join("", kind), name), part);
                violations.push(Violation::new(path, "permission", message));
            };
            for mirror in &plan.mirrors {
                if was.is_some_and(|was| was.mirrors.contains(mirror)) {
                    continue;
                }
                let mut ends = mirror.hops.iter().map(Hop::end);
                if let Some(key) = ends.find(is_hidden) {
                    tell(MIRRORS, &mirror.name, "path", key);
                }
            }
            for aggregation in &plan.aggregations {
                if was.is_some_and(|was| was.aggregations.contains(aggregation)) {
                    continue;
                }
                if is_hidden(&aggregation.target) {
                    tell(
                        AGGREGATIONS,
                        &aggregation.name,
                        "target",
                        aggregation.target,
                    );
                    continue;
                }
                let mut ends = aggregation.gathers.iter().flat_map(Walk::ends);
                if let Some(key) = ends.find(is_hidden) {
                    // Without a filter, it goes every way there is.
                    tell(AGGREGATIONS, &aggregation.name, "pathFilter", key);
                }
            }
            if !violations.is_empty() {
                found.push((plan.blueprint.identifier.clone(), violations));
            }
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(found)
    }

    /// As [`Self::faults`], for the change of a single blueprint, which is refused where there are any.
    pub(in crate::catalog) fn refuse(
        &self,
        tx: &WriteTx<'_>,
        id: &BlueprintId,
    ) -> Result<(), Error> {
        told(id, self.faults(tx, std::slice::from_ref(id))?)
    }

    /// As [`Self::refuse`], also where it would show what whoever changes the blueprint may not see.
    pub(in crate::catalog) fn refuse_for(
        &self,
        tx: &WriteTx<'_>,
        actor: &Actor,
        id: &BlueprintId,
    ) -> Result<(), Error> {
        let mut faults = self.faults(tx, std::slice::from_ref(id))?;
        faults.extend(self.out_of_sight(tx, actor)?);
        told(id, faults)
    }

    /// What of other blueprints needs what is gone.
    pub(in crate::catalog) fn needs(&self, tx: &WriteTx<'_>) -> Result<Option<String>, Error> {
        let faults = self.faults(tx, &[])?;
        let mut violations = faults.iter().flat_map(|(other, found)| {
            found
                .iter()
                .map(move |violation| elsewhere(other, violation).message)
        });
        Ok(violations.next())
    }

    /// Queues every blueprint that derives other values than before, or in another way.
    pub(in crate::catalog) fn queue(&self, tx: &WriteTx<'_>) -> Result<(), Error> {
        let after = Graph::load(tx)?;
        let mut keys: BTreeSet<_> = after.plans.keys().copied().collect();
        keys.retain(|key| {
            let is = after.plans.get(key);
            let was = self.0.plans.get(key);
            match (was, is) {
                (Some(was), Some(is)) => !is_same(was, is),
                (None, Some(is)) => is.derives(),
                _ => false,
            }
        });
        keys.extend(self.losers(&after));
        for key in keys {
            let cause = Cause {
                dirty: Dirty::all(),
                ..Cause::default()
            };
            let rank = Rank {
                background: true,
                origin: None,
            };
            cause.queue(tx, key, rank)?;
        }
        Ok(())
    }
}

impl Before {
    /// Blueprints whose values are made of properties or relations that are gone, from the entities too: without a
    /// change of each.
    fn losers(&self, after: &Graph) -> Vec<BlueprintKey> {
        let mut found = Vec::new();
        for (key, was) in &self.0.plans {
            let Some(is) = after.plans.get(key) else {
                continue;
            };
            let lost = lost(was, is);
            let fields = lost
                .iter()
                .filter_map(|name| was.by_field.get(*name))
                .flatten();
            let relations = lost
                .iter()
                .filter_map(|name| was.by_relation.get(*name))
                .flatten();
            let watches = fields.chain(relations.map(|(_, watch)| watch));
            let owners = watches
                .filter_map(|watch| was.watches.get(*watch))
                .map(|watch| watch.owner);
            found.extend(owners.filter(|owner| after.plans.contains_key(owner)));
        }
        found
    }
}

/// The properties and relations that a blueprint no longer has, and the properties that it no longer derives.
fn lost<'a>(was: &'a Plan, is: &Plan) -> Vec<&'a String> {
    let (before, after) = (&was.blueprint, &is.blueprint);
    let properties = before.schema.properties.keys();
    let relations = before.relations.keys();
    properties
        .filter(|name| !after.schema.properties.contains_key(*name))
        .chain(relations.filter(|name| !after.relations.contains_key(*name)))
        .chain(was.names.iter().filter(|name| !is.names.contains(name)))
        .collect()
}

/// Refuses the change of a blueprint for what is wrong with it, or with others because of it.
fn told(id: &BlueprintId, faults: Vec<(BlueprintId, Vec<Violation>)>) -> Result<(), Error> {
    if faults.is_empty() {
        return Ok(());
    }
    let violations = faults.into_iter().flat_map(|(other, violations)| {
        let own = other == *id;
        violations.into_iter().map(move |violation| match own {
            true => violation,
            false => elsewhere(&other, &violation),
        })
    });
    Err(Error::Invalid {
        subject: format!("blueprint `{id}`"),
        violations: violations.collect(),
    })
}

/// A fault of another blueprint, as it is told to whoever causes it.
fn elsewhere(other: &BlueprintId, violation: &Violation) -> Violation {
    let message = format!(
        "blueprint `{other}` needs it: its `{}` {}; change that first",
        violation.path, violation.message
    );
    Violation::new("", "in_use", message)
}

/// Whether two plans make the same of the same entities. What a blueprint no longer has goes from its entities without
/// a change of each; what is made of them has to be made again.
fn is_same(was: &Plan, is: &Plan) -> bool {
    was.names == is.names
        && was.mirrors == is.mirrors
        && was.aggregations == is.aggregations
        && was.calculations == is.calculations
        && was.cards == is.cards
        && (!is.derives() || lost(was, is).is_empty())
}
