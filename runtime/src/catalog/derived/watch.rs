//! Turns what derived values read into whom a change concerns.

use std::collections::HashMap;

use super::graph::{Begin, MirrorPlan, Plan, Watch};
use super::resolve::{Schema, aggregation_fields};
use super::walk::{Edge, Hop, Walk};
use crate::model::{BlueprintId, Subject};
use crate::store::BlueprintKey;

/// What makes a watch look up.
enum Trigger {
    Field(String),
    Relation(String, Begin),
}

/// Fills in the watches of all plans.
pub(super) fn watch(schema: &Schema, plans: &mut [(BlueprintId, Plan)]) {
    let mut found: Vec<(BlueprintKey, Trigger, Watch)> = Vec::new();
    for (id, plan) in plans.iter() {
        if schema.get(id).is_none() {
            continue;
        }
        for mirror in &plan.mirrors {
            watch_mirror(plan, mirror, &mut found);
        }
        for aggregation in &plan.aggregations {
            let about = |walk: Walk| Watch {
                owner: plan.key,
                aggregation: Some(aggregation.name.clone()),
                walk,
            };
            for gather in &aggregation.gathers {
                let back = turn(gather, plan.key);
                for name in aggregation_fields(aggregation) {
                    found.push((
                        aggregation.target,
                        Trigger::Field(name),
                        about(back.clone()),
                    ));
                }
                for subject in aggregation.conditions.iter().flat_map(|one| one.subjects()) {
                    if let Subject::Relation(name) = subject {
                        let trigger = Trigger::Relation(name.clone(), Begin::Entity);
                        found.push((aggregation.target, trigger, about(back.clone())));
                    }
                }
                match gather {
                    Walk::Flood {
                        edges, backwards, ..
                    } => {
                        for edge in edges {
                            found.push((
                                edge.source,
                                trigger(edge, *backwards),
                                about(back.clone()),
                            ));
                        }
                    }
                    Walk::Steps(hops) => {
                        for (index, hop) in hops.iter().enumerate() {
                            let before = hops.get(..index).unwrap_or_default();
                            let trigger = trigger(&hop.edge, hop.backwards);
                            found.push((hop.edge.source, trigger, about(Walk::back(before))));
                        }
                    }
                }
            }
        }
    }
    let places: HashMap<BlueprintKey, usize> = plans
        .iter()
        .enumerate()
        .map(|(index, (_, plan))| (plan.key, index))
        .collect();
    for (at, trigger, watch) in found {
        let plan = places.get(&at).and_then(|index| plans.get_mut(*index));
        if let Some((_, plan)) = plan {
            plan.add_watch(trigger, watch);
        }
    }
}

/// A change of a relation concerns whoever reaches it. Where it is followed forwards, that is found from the entity
/// that has it; where backwards, from what it leads to, and what it led to.
fn trigger(edge: &Edge, backwards: bool) -> Trigger {
    let begin = match backwards {
        true => Begin::Targets,
        false => Begin::Entity,
    };
    Trigger::Relation(edge.relation.clone(), begin)
}

fn watch_mirror(plan: &Plan, mirror: &MirrorPlan, found: &mut Vec<(BlueprintKey, Trigger, Watch)>) {
    let about = |hops: &[Hop]| Watch {
        owner: plan.key,
        aggregation: None,
        walk: Walk::back(hops),
    };
    for (index, hop) in mirror.hops.iter().enumerate() {
        let before = mirror.hops.get(..index).unwrap_or_default();
        let trigger = trigger(&hop.edge, false);
        found.push((hop.edge.source, trigger, about(before)));
    }
    if let Some(last) = mirror.hops.last() {
        let trigger = Trigger::Field(mirror.field.as_str().to_owned());
        found.push((last.edge.target, trigger, about(&mirror.hops)));
    }
}

/// The way back from what a walk gathers to the entities of the blueprint that gathers it.
fn turn(gather: &Walk, owner: BlueprintKey) -> Walk {
    match gather {
        Walk::Steps(hops) => Walk::back(hops),
        Walk::Flood {
            edges, backwards, ..
        } => Walk::Flood {
            edges: edges.clone(),
            backwards: !backwards,
            collect: owner,
        },
    }
}

impl Plan {
    fn add_watch(&mut self, trigger: Trigger, watch: Watch) {
        let known = self.watches.iter().position(|known| *known == watch);
        let index = known.unwrap_or_else(|| {
            self.watches.push(watch);
            self.watches.len() - 1
        });
        match trigger {
            Trigger::Field(name) => {
                let indices = self.by_field.entry(name).or_default();
                if !indices.contains(&index) {
                    indices.push(index);
                }
            }
            Trigger::Relation(name, begin) => {
                let indices = self.by_relation.entry(name).or_default();
                if !indices.contains(&(begin, index)) {
                    indices.push((begin, index));
                }
            }
        }
    }
}
