//! Ties the definitions of all blueprints together, and finds those that cannot be carried out.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::super::schema::join;
use super::super::scorecard::Card;
use super::conditions::Conditions;
use super::graph::{
    AggregationPlan, CalculationPlan, CardPlan, Graph, MirrorPlan, Plan, card_field, subject_field,
};
use super::order::{self, Node};
use super::parse::{self, AGGREGATIONS, CALCULATIONS, MIRRORS};
use super::reference::{self, References};
use super::walk::{Edge, Hop, Walk};
use super::watch;
use crate::model::{
    Aggregation, Blueprint, BlueprintId, Calculation, DerivedProperties, Field, Figure, Function,
    Meta, Mirror, PropertyType, RelationPath, Subject, Violation,
};
use crate::store::BlueprintKey;

/// Mirrors of mirrors that are followed to find a type; only a cycle is longer.
const MAX_MIRRORED: usize = 50;

/// One blueprint while it is being tied to the others.
pub(super) struct Entry {
    pub(super) key: BlueprintKey,
    pub(super) blueprint: Blueprint,
    derived: DerivedProperties,
    faults: Vec<Violation>,
}

/// All blueprints while they are being tied together.
pub(super) struct Schema {
    entries: HashMap<BlueprintId, Entry>,
}

/// Ties everything together. What cannot be carried out is left out and told in the graph's faults.
pub(super) fn build(
    blueprints: Vec<(BlueprintKey, Blueprint)>,
    mut cards: HashMap<BlueprintKey, Vec<Arc<Card>>>,
) -> Graph {
    let mut schema = Schema {
        entries: HashMap::with_capacity(blueprints.len()),
    };
    let mut order = Vec::with_capacity(blueprints.len());
    for (key, blueprint) in blueprints {
        let (derived, faults) = parse::parse(&blueprint);
        let id = blueprint.identifier.clone();
        order.push(id.clone());
        let entry = Entry {
            key,
            blueprint,
            derived,
            faults,
        };
        schema.entries.insert(id, entry);
    }
    let mut plans: Vec<(BlueprintId, Plan)> = Vec::new();
    let mut faults: HashMap<BlueprintId, Vec<Violation>> = HashMap::new();
    for id in &order {
        let Some(entry) = schema.entries.get(id) else {
            continue;
        };
        let mut found = entry.faults.clone();
        let plan = schema.plan(
            entry,
            cards.remove(&entry.key).unwrap_or_default(),
            &mut found,
        );
        if !found.is_empty() {
            faults.insert(id.clone(), found);
        }
        plans.push((id.clone(), plan));
    }
    let cyclic = order::sort(&mut plans);
    for (node, message) in cyclic {
        let path = match schema.entries.get(&node.blueprint) {
            Some(entry) => entry.pointer(&node.field),
            None => String::new(),
        };
        let violation = Violation::new(path, "cycle", message);
        faults.entry(node.blueprint).or_default().push(violation);
    }
    watch::watch(&schema, &mut plans);
    let keys = plans
        .iter()
        .map(|(id, plan)| (id.clone(), plan.key))
        .collect();
    let plans = plans
        .into_iter()
        .map(|(_, plan)| (plan.key, Arc::new(plan)));
    Graph {
        plans: plans.collect(),
        keys,
        faults,
    }
}

impl Entry {
    fn is_derived(&self, name: &str) -> bool {
        self.derived.names().any(|known| known == name)
    }

    /// Where the definition of a derived property stands in the document.
    fn pointer(&self, name: &str) -> String {
        let key = [
            (MIRRORS, self.derived.mirrors.contains_key(name)),
            (CALCULATIONS, self.derived.calculations.contains_key(name)),
            (AGGREGATIONS, self.derived.aggregations.contains_key(name)),
        ];
        let key = key.iter().find(|(_, holds)| *holds);
        key.map_or_else(String::new, |(key, _)| join(&join("", key), name))
    }
}

impl Schema {
    pub(super) fn get(&self, id: &BlueprintId) -> Option<&Entry> {
        self.entries.get(id)
    }

    fn by_key(&self, key: BlueprintKey) -> Option<&Entry> {
        self.entries.values().find(|entry| entry.key == key)
    }

    fn plan(&self, entry: &Entry, cards: Vec<Arc<Card>>, found: &mut Vec<Violation>) -> Plan {
        let mut plan = Plan {
            key: entry.key,
            blueprint: entry.blueprint.clone(),
            names: document_order(entry),
            mirrors: Vec::new(),
            aggregations: Vec::new(),
            calculations: Vec::new(),
            cards: Vec::new(),
            watches: Vec::new(),
            by_field: HashMap::new(),
            by_relation: HashMap::new(),
        };
        for (name, mirror) in &entry.derived.mirrors {
            match self.mirror(entry, name, mirror) {
                Ok(mirror) => plan.mirrors.push(mirror),
                Err(message) => {
                    let at = join(&join(&join("", MIRRORS), name), "path");
                    found.push(Violation::new(at, "path", message));
                }
            }
        }
        for (name, calculation) in &entry.derived.calculations {
            plan.calculations
                .push(self.calculation(entry, name, calculation));
        }
        for (name, aggregation) in &entry.derived.aggregations {
            let before = found.len();
            let at = join(&join("", AGGREGATIONS), name);
            let planned = self.aggregation(entry, name, aggregation, &at, found);
            plan.aggregations
                .extend(planned.filter(|_| found.len() == before));
        }
        plan.cards = cards
            .into_iter()
            .map(|card| CardPlan {
                cheap: self.is_cheap(entry, &card),
                card,
            })
            .collect();
        plan
    }

    /// The edge of a relation.
    pub(super) fn edge(
        &self,
        entry: &Entry,
        relation: &str,
    ) -> Result<(Edge, &Entry, bool), String> {
        let blueprint = &entry.blueprint;
        let Some(definition) = blueprint.relations.get(relation) else {
            let known: Vec<&str> = blueprint
                .relations
                .keys()
                .map(String::as_str)
                .take(20)
                .collect();
            return Err(format!(
                "`{}` is not a relation of blueprint `{}`; it has {}",
                super::super::schema::shorten(relation),
                blueprint.identifier,
                if known.is_empty() {
                    "none".to_owned()
                } else {
                    known.join(", ")
                },
            ));
        };
        let Some(target) = self.get(&definition.target) else {
            return Err(format!("blueprint `{}` does not exist", definition.target));
        };
        let edge = Edge {
            source: entry.key,
            relation: relation.to_owned(),
            target: target.key,
        };
        Ok((edge, target, definition.many))
    }

    fn mirror(&self, entry: &Entry, name: &str, mirror: &Mirror) -> Result<MirrorPlan, String> {
        let (mut at, mut many) = (entry, false);
        let mut hops = Vec::with_capacity(mirror.relations.len());
        for relation in &mirror.relations {
            let (edge, target, leads_to_many) = self.edge(at, relation)?;
            hops.push(Hop {
                edge,
                backwards: false,
            });
            many |= leads_to_many;
            at = target;
        }
        let derived = match &mirror.field {
            Field::Meta(_) => false,
            Field::Property(property) => {
                let own = at.blueprint.schema.properties.contains_key(property);
                if !own && !at.is_derived(property) {
                    return Err(format!(
                        "`{}` is not a property of blueprint `{}`, to which `{}` leads; meta-properties begin with `$`",
                        super::super::schema::shorten(property),
                        at.blueprint.identifier,
                        mirror.relations.join("."),
                    ));
                }
                !own
            }
        };
        Ok(MirrorPlan {
            name: name.to_owned(),
            hops,
            field: mirror.field.clone(),
            derived,
            many,
        })
    }

    fn calculation(&self, entry: &Entry, name: &str, calculation: &Calculation) -> CalculationPlan {
        let references = References::read(&calculation.filter);
        let names = entry.derived.names();
        let sees = names.filter(|other| references.reads(&calculation.filter, other, name));
        CalculationPlan {
            name: name.to_owned(),
            filter: calculation.filter.clone(),
            kind: calculation.kind,
            sees: sees.map(str::to_owned).collect(),
            round: 0,
            timely: reference::is_timely(&calculation.filter),
        }
    }

    fn aggregation(
        &self,
        entry: &Entry,
        name: &str,
        aggregation: &Aggregation,
        at: &str,
        found: &mut Vec<Violation>,
    ) -> Option<AggregationPlan> {
        let Some(target) = self.get(&aggregation.target) else {
            let message = format!("blueprint `{}` does not exist", aggregation.target);
            found.push(Violation::new(join(at, "target"), "relation", message));
            return None;
        };
        let spec = join(at, "calculationSpec");
        let property = match &aggregation.figure {
            Figure::Of(_, property) | Figure::SumPer(_, property) => Some(property),
            Figure::Count | Figure::CountPer(_) => None,
        };
        if let Some(property) = property {
            let message = match self.kind(target, property, 0) {
                Some(PropertyType::Number) => None,
                Some(other) => Some(format!(
                    "is of type {}; it has to be a number",
                    other.as_str()
                )),
                None => Some(format!(
                    "is not a property of blueprint `{}`",
                    aggregation.target
                )),
            };
            if let Some(message) = message {
                let message = format!("`{}` {message}", super::super::schema::shorten(property));
                found.push(Violation::new(join(&spec, "property"), "property", message));
            }
        }
        let instant = match &aggregation.figure {
            Figure::CountPer(pace) | Figure::SumPer(pace, _) => Some(&pace.instant),
            Figure::Count | Figure::Of(..) => None,
        };
        if let Some(instant) = instant
            && !self.is_instant(target, instant)
        {
            let message = format!(
                "`{}` is no instant of blueprint `{}`; use $createdAt, $updatedAt or a property of format date-time",
                super::super::schema::shorten(instant.as_str()),
                aggregation.target
            );
            found.push(Violation::new(
                join(&spec, "measureTimeBy"),
                "property",
                message,
            ));
        }
        let gathers = match &aggregation.path {
            None => self.floods(entry, target),
            Some(path) => match self.path(entry, target, path) {
                Ok(hops) => vec![Walk::Steps(hops)],
                Err(message) => {
                    let at = join(&join(&join(at, "pathFilter"), "0"), "path");
                    found.push(Violation::new(at, "path", message));
                    return None;
                }
            },
        };
        if gathers.is_empty() {
            let message = format!(
                "`{}` is not related to `{}`: no relations lead from one to the other",
                aggregation.target, entry.blueprint.identifier
            );
            found.push(Violation::new(join(at, "target"), "relation", message));
        }
        let conditions = aggregation.query.clone().map(Conditions::new);
        let read = |name: &str| target.is_derived(name);
        let reads_derived = property.is_some_and(|name| read(name))
            || instant.is_some_and(|field| read(field.as_str()))
            || conditions.as_ref().is_some_and(|conditions| {
                conditions
                    .subjects()
                    .into_iter()
                    .any(|subject| match subject {
                        Subject::Property(name) => read(name),
                        Subject::Scorecard { .. } => true,
                        _ => false,
                    })
            });
        Some(AggregationPlan {
            name: name.to_owned(),
            target: target.key,
            figure: aggregation.figure.clone(),
            conditions,
            gathers,
            reads_derived,
        })
    }

    /// The steps of a path filter, as they are taken from the entity to those that are taken together.
    fn path(&self, entry: &Entry, target: &Entry, path: &RelationPath) -> Result<Vec<Hop>, String> {
        let (start, end) = match path.from_target {
            true => (target, entry),
            false => (entry, target),
        };
        let mut at = start;
        let mut hops = Vec::with_capacity(path.relations.len());
        for relation in &path.relations {
            let (edge, next, _) = self.edge(at, relation)?;
            hops.push(Hop {
                edge,
                backwards: false,
            });
            at = next;
        }
        if at.key != end.key {
            return Err(format!(
                "leads to blueprint `{}`; it has to lead to `{}`. `fromBlueprint` with the target says that the path begins there",
                at.blueprint.identifier, end.blueprint.identifier
            ));
        }
        if path.from_target
            && let Walk::Steps(turned) = Walk::back(&hops)
        {
            hops = turned;
        }
        Ok(hops)
    }

    /// Every way from one blueprint to another along relations in one direction: with them, and against them.
    fn floods(&self, entry: &Entry, target: &Entry) -> Vec<Walk> {
        let mut floods = Vec::new();
        for backwards in [false, true] {
            let (from, to) = match backwards {
                true => (target, entry),
                false => (entry, target),
            };
            let edges = self.edges_between(from, to);
            if !edges.is_empty() {
                floods.push(Walk::Flood {
                    edges,
                    backwards,
                    collect: target.key,
                });
            }
        }
        floods
    }

    /// Every relation that lies on a way from one blueprint to another.
    fn edges_between(&self, from: &Entry, to: &Entry) -> Vec<Edge> {
        let all: Vec<Edge> = self
            .entries
            .values()
            .flat_map(|entry| {
                let names = entry.blueprint.relations.keys();
                names.filter_map(|name| self.edge(entry, name).ok().map(|(edge, ..)| edge))
            })
            .collect();
        let reach = |start: BlueprintKey, backwards: bool| {
            let (mut seen, mut queue) = (HashSet::from([start]), VecDeque::from([start]));
            while let Some(at) = queue.pop_front() {
                for edge in &all {
                    let (near, far) = match backwards {
                        true => (edge.target, edge.source),
                        false => (edge.source, edge.target),
                    };
                    if near == at && seen.insert(far) {
                        queue.push_back(far);
                    }
                }
            }
            seen
        };
        let (after, before) = (reach(from.key, false), reach(to.key, true));
        let mut edges: Vec<Edge> = all
            .into_iter()
            .filter(|edge| after.contains(&edge.source) && before.contains(&edge.target))
            .collect();
        edges.sort_by(|a, b| (a.source, &a.relation).cmp(&(b.source, &b.relation)));
        edges
    }

    /// The type of a property, own or derived.
    fn kind(&self, entry: &Entry, name: &str, followed: usize) -> Option<PropertyType> {
        if let Some(schema) = entry.blueprint.schema.properties.get(name) {
            return PropertyType::parse(schema.get("type").and_then(Value::as_str)?);
        }
        if let Some(calculation) = entry.derived.calculations.get(name) {
            return Some(calculation.kind);
        }
        if entry.derived.aggregations.contains_key(name) {
            return Some(PropertyType::Number);
        }
        let mirror = entry.derived.mirrors.get(name)?;
        if followed >= MAX_MIRRORED {
            return None;
        }
        let plan = self.mirror(entry, name, mirror).ok()?;
        if plan.many {
            return Some(PropertyType::Array);
        }
        let end = self.by_key(plan.hops.last()?.edge.target)?;
        match &plan.field {
            Field::Meta(Meta::Team) => Some(PropertyType::Array),
            Field::Meta(_) => Some(PropertyType::String),
            Field::Property(property) => self.kind(end, property, followed + 1),
        }
    }

    fn is_instant(&self, entry: &Entry, field: &Field) -> bool {
        match field {
            Field::Meta(meta) => matches!(meta, Meta::CreatedAt | Meta::UpdatedAt),
            Field::Property(name) => {
                let own = entry.blueprint.schema.properties.get(name);
                let own = own
                    .and_then(|schema| schema.get("format"))
                    .and_then(Value::as_str);
                let calculated = entry.derived.calculations.get(name);
                let format = own.or_else(|| calculated.and_then(|one| one.format.as_deref()));
                format == Some("date-time") || entry.derived.mirrors.contains_key(name)
            }
        }
    }

    /// Whether a scorecard looks only at what is known while its entity is being written.
    fn is_cheap(&self, entry: &Entry, card: &Card) -> bool {
        card.subjects().into_iter().all(|subject| match subject {
            Subject::Property(name) => {
                !entry.derived.calculations.contains_key(name)
                    && !entry.derived.aggregations.contains_key(name)
            }
            // Who wrote it and when stands in the row, which is written after it was looked at.
            Subject::Meta(
                Meta::CreatedAt
                | Meta::CreatedBy
                | Meta::UpdatedAt
                | Meta::UpdatedBy
                | Meta::Datasource,
            ) => false,
            _ => true,
        })
    }
}

/// The names of all derived properties as they stand in the document.
fn document_order(entry: &Entry) -> Vec<String> {
    let known: BTreeSet<&str> = entry.derived.names().collect();
    let mut names = Vec::with_capacity(known.len());
    for (key, definitions) in &entry.blueprint.extra {
        if [MIRRORS, CALCULATIONS, AGGREGATIONS].contains(&key.as_str())
            && let Value::Object(definitions) = definitions
        {
            let defined = definitions
                .keys()
                .filter(|name| known.contains(name.as_str()));
            names.extend(defined.cloned());
        }
    }
    names
}

/// The derived values that a value is made of.
pub(super) fn reads(plan: &Plan, field: &str) -> Vec<(BlueprintKey, String)> {
    let mut found = Vec::new();
    for mirror in plan.mirrors.iter().filter(|one| one.name == field) {
        if let (Some(hop), true) = (mirror.hops.last(), mirror.derived) {
            found.push((hop.edge.target, mirror.field.as_str().to_owned()));
        }
    }
    for calculation in plan.calculations.iter().filter(|one| one.name == field) {
        found.extend(calculation.sees.iter().map(|name| (plan.key, name.clone())));
    }
    for aggregation in plan.aggregations.iter().filter(|one| one.name == field) {
        let fields = aggregation_fields(aggregation);
        found.extend(fields.into_iter().map(|name| (aggregation.target, name)));
    }
    for card in &plan.cards {
        if card_field(&card.card.identifier) == field {
            let subjects = card.card.subjects().into_iter().filter_map(subject_field);
            found.extend(subjects.map(|name| (plan.key, name)));
        }
    }
    found
}

/// The fields of its target that an aggregation reads.
pub(super) fn aggregation_fields(aggregation: &AggregationPlan) -> Vec<String> {
    let mut fields = Vec::new();
    match &aggregation.figure {
        Figure::Count => {}
        Figure::CountPer(pace) => fields.push(pace.instant.as_str().to_owned()),
        Figure::Of(
            Function::Sum | Function::Min | Function::Max | Function::Median | Function::Average,
            property,
        ) => {
            fields.push(property.clone());
        }
        Figure::SumPer(pace, property) => {
            fields.push(pace.instant.as_str().to_owned());
            fields.push(property.clone());
        }
    }
    let conditions = aggregation.conditions.iter();
    fields.extend(
        conditions
            .flat_map(|one| one.subjects())
            .filter_map(subject_field),
    );
    fields
}

impl Node {
    /// In words, as a cycle names it.
    pub(super) fn named(&self) -> String {
        format!("`{}.{}`", self.blueprint, self.field)
    }
}
