//! The order in which derived values are made, and the cycles that have none.

use std::collections::{HashMap, HashSet};

use super::graph::{Plan, card_field};
use super::resolve::reads;
use crate::model::BlueprintId;
use crate::store::BlueprintKey;

/// One derived value of one blueprint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) blueprint: BlueprintId,
    pub(super) field: String,
}

type Place = (BlueprintKey, String);

/// Orders the calculations, and takes out of the plans whatever would need itself. Gives back what was taken out, each
/// with a sentence that names the cycle.
pub(super) fn sort(plans: &mut [(BlueprintId, Plan)]) -> Vec<(Node, String)> {
    let ids: HashMap<BlueprintKey, BlueprintId> = plans
        .iter()
        .map(|(id, plan)| (plan.key, id.clone()))
        .collect();
    let mut edges: HashMap<Place, Vec<Place>> = HashMap::new();
    for (_, plan) in plans.iter() {
        let cards = plan
            .cards
            .iter()
            .map(|card| card_field(&card.card.identifier));
        let names = plan.names.iter().cloned().chain(cards);
        for name in names {
            edges.insert((plan.key, name.clone()), reads(plan, &name));
        }
    }
    let mut search = Search {
        edges: &edges,
        done: HashMap::new(),
        way: Vec::new(),
        cycles: Vec::new(),
    };
    let mut places: Vec<&Place> = edges.keys().collect();
    places.sort();
    for place in places {
        search.visit(place);
    }
    let Search {
        done: rounds,
        cycles,
        ..
    } = search;
    let node = |(key, field): &Place| {
        let blueprint = ids.get(key).cloned()?;
        let field = field.clone();
        Some(Node { blueprint, field })
    };
    let mut found = Vec::new();
    let mut cyclic: HashSet<Place> = HashSet::new();
    for cycle in &cycles {
        let around = cycle.iter().chain(cycle.first()).filter_map(node);
        let named: Vec<String> = around.map(|node| node.named()).collect();
        let message = format!(
            "depends on itself: {}; take one of these out of the others",
            named.join(" → ")
        );
        for place in cycle {
            if cyclic.insert(place.clone()) {
                found.extend(node(place).map(|node| (node, message.clone())));
            }
        }
    }
    for (_, plan) in plans.iter_mut() {
        let key = plan.key;
        let stays = |name: &str| !cyclic.contains(&(key, name.to_owned()));
        plan.mirrors.retain(|one| stays(&one.name));
        plan.aggregations.retain(|one| stays(&one.name));
        plan.calculations.retain(|one| stays(&one.name));
        plan.cards
            .retain(|one| stays(&card_field(&one.card.identifier)));
        for calculation in &mut plan.calculations {
            let round = rounds.get(&(key, calculation.name.clone()));
            calculation.round = round.copied().unwrap_or(0);
        }
        plan.calculations.sort_by_key(|one| one.round);
    }
    found
}

struct Search<'a> {
    edges: &'a HashMap<Place, Vec<Place>>,
    /// How deep each place stands above what is not derived.
    done: HashMap<Place, usize>,
    way: Vec<Place>,
    cycles: Vec<Vec<Place>>,
}

impl Search<'_> {
    /// Walks down with a stack of its own: chains may be as long as there are definitions.
    fn visit(&mut self, start: &Place) {
        let mut stack = vec![(start.clone(), 0)];
        while let Some((place, next)) = stack.pop() {
            if next == 0 {
                if self.done.contains_key(&place) {
                    continue;
                }
                self.way.push(place.clone());
            }
            let reads = self
                .edges
                .get(&place)
                .map(Vec::as_slice)
                .unwrap_or_default();
            if let Some(read) = reads.get(next) {
                stack.push((place.clone(), next + 1));
                if let Some(at) = self.way.iter().position(|known| known == read) {
                    self.cycles
                        .push(self.way.iter().skip(at).cloned().collect());
                } else if self.edges.contains_key(read) && !self.done.contains_key(read) {
                    stack.push((read.clone(), 0));
                }
                continue;
            }
            let below = reads.iter().filter_map(|read| self.done.get(read)).max();
            let round = below.map_or(0, |below| below + 1);
            self.done.insert(place, round);
            self.way.pop();
        }
    }
}
