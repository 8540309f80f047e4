//! Finds the entities for which a query holds: page by page, over one blueprint or all of them.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;

use super::bind::{Asker, Bound, bind, depends_on_asker};
use super::compile::Compiler;
use super::evaluate::{Subjects, evaluate, of_scorecard};
use super::plan::Plan;
use super::text;
use crate::catalog::kind::{Kind, Kinds};
use crate::catalog::{Error, Values, context, entity, permission};
use crate::model::{
    Actor, BlueprintId, Combinator, Compare, Entity, EntityJson, Meta, Operand, Operator, Query,
    RelationValue, Rule, Stamped, Subject, Test, Timestamp, Walk,
};
use crate::store::{self, Cursor, EntityKey, EntityRow, Hidden, ReadTx};

/// What one query may cost.
#[derive(Clone, Copy, Debug)]
pub struct SearchLimits {
    /// How long it may take to find one page.
    pub time: Duration,
    /// Entities that may be looked at one by one for one page.
    pub rows: usize,
}

impl Default for SearchLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(3),
            rows: 200_000,
        }
    }
}

/// A search for entities.
#[derive(Clone, Debug)]
pub struct Search {
    /// What has to hold for them.
    pub query: Query,
    /// Their blueprint; absent: any.
    pub blueprint: Option<BlueprintId>,
    /// Words that have to stand in them, in any order; absent: none.
    pub text: Option<String>,
    /// Those behind this place; absent: from the beginning.
    pub after: Option<Cursor>,
    /// At most so many.
    pub limit: usize,
    /// Whether to tell how they are found, too.
    pub explain: bool,
    /// Whether to leave out blueprints that would take too long instead of refusing.
    pub partial: bool,
}

/// A page of what was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The entities, by blueprint and then in the order in which they were made.
    pub entities: Vec<EntityJson>,
    /// The blueprints of the entities, in order.
    pub matching: Vec<BlueprintId>,
    /// Where the next page begins; absent on the last.
    pub next: Option<Cursor>,
    /// How each blueprint was searched, where that was asked for.
    pub plans: Vec<Value>,
    /// Blueprints that were left out because they would have taken too long.
    pub failed: Vec<BlueprintId>,
}

/// What was found in one blueprint.
struct PageOf {
    /// In order, at most one more than there is room for.
    keys: Vec<EntityKey>,
    /// Those that there is room for.
    entities: Vec<EntityJson>,
    plan: Option<Value>,
}

/// The surroundings of one search.
pub(in crate::catalog) struct Searcher<'a, 'tx> {
    pub(super) tx: &'a ReadTx<'tx>,
    pub(super) compiler: Compiler<'a, 'tx>,
    query: Bound,
    limits: SearchLimits,
    /// What whoever asks may not find.
    hidden: Rc<Hidden>,
    seen: std::cell::Cell<usize>,
    /// The entities that have the words that are searched for, in order.
    texts: Option<Vec<EntityKey>>,
}

impl<'a, 'tx> Searcher<'a, 'tx> {
    pub(in crate::catalog) fn new(
        tx: &'a ReadTx<'tx>,
        kinds: &'a Kinds,
        actor: &Actor,
        query: &Query,
        limits: SearchLimits,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let asker = match depends_on_asker(query) {
            true => context::asker(tx, kinds, actor, now)?,
            false => Asker::nobody(now),
        };
        let hidden = Rc::new(permission::find_hidden(tx, kinds, actor)?);
        Ok(Self {
            tx,
            compiler: Compiler::new(tx, kinds, Rc::clone(&hidden)),
            hidden,
            query: bind(query, &asker),
            limits,
            seen: std::cell::Cell::new(0),
            texts: None,
        })
    }

    /// The blueprints to search, in the order of their keys.
    pub(super) fn kinds(&self, only: Option<&BlueprintId>) -> Result<Vec<Kind>, Error> {
        if let Some(id) = only {
            let kind = self.compiler.kinds.load(self.tx, id)?;
            if self.hidden.whole.contains(&kind.key) {
                return Err(permission::refuse_all(id));
            }
            return Ok(vec![kind]);
        }
        let rows = self.tx.list_blueprints()?;
        let kinds: Result<Vec<_>, _> = rows
            .into_iter()
            .map(|row| self.compiler.kinds.ready(&row))
            .collect();
        let mut kinds = kinds?;
        kinds.retain(|kind| !self.hidden.whole.contains(&kind.key));
        kinds.sort_unstable_by_key(|kind| kind.key);
        Ok(kinds)
    }

    /// Searches only among the entities that have all of some words.
    pub(in crate::catalog) fn with_text(mut self, text: Option<&str>) -> Result<Self, Error> {
        self.texts = text
            .map(|text| text::keys(self.tx, text, &self.hidden))
            .transpose()?;
        Ok(self)
    }

    pub(super) fn plan(&self, kind: &Kind) -> Result<Plan, Error> {
        let mut plan = if self.hidden.owned.contains(&kind.key) {
            Plan::new(&self.compiler, &self.of_teams(), kind)?
        } else {
            Plan::new(&self.compiler, &self.query, kind)?
        };
        if let Some(keys) = &self.texts {
            plan.among(keys);
        }
        Ok(plan)
    }

    /// The query, of those entities alone that a team of whoever asks owns.
    fn of_teams(&self) -> Bound {
        let owned = Compare {
            subject: Subject::Meta(Meta::Team),
            test: Test {
                operator: Operator::ContainsAny,
                operand: Operand::Value(Value::from(self.hidden.teams.as_slice())),
                negated: false,
            },
        };
        Bound(Query {
            combinator: Combinator::And,
            rules: vec![Rule::Compare(owned), Rule::Group(self.query.0.clone())],
        })
    }

    /// A page of the entities for which the query holds.
    pub(in crate::catalog) fn find(&self, search: &Search) -> Result<Found, Error> {
        let mut found = Found::default();
        // One more than asked for shows whether there is a next page.
        let mut last = None;
        for kind in self.kinds(search.blueprint.as_ref())? {
            let after = match search.after {
                Some(cursor) if kind.key < cursor.blueprint => continue,
                Some(cursor) if kind.key == cursor.blueprint => Some(cursor.entity),
                _ => None,
            };
            let room = search.limit - found.entities.len();
            let page = match self.page_of(&kind, after, room, search.explain) {
                Err(Error::TooExpensive(_) | Error::Store(store::Error::TooLong))
                    if search.partial =>
                {
                    found.failed.push(kind.blueprint().identifier.clone());
                    continue;
                }
                page => page?,
            };
            found.plans.extend(page.plan);
            if !page.entities.is_empty() {
                found.matching.push(kind.blueprint().identifier.clone());
            }
            found.entities.extend(page.entities);
            if page.keys.len() > room {
                found.next = last_of(&kind, page.keys.get(..room)).or(last);
                return Ok(found);
            }
            last = last_of(&kind, Some(&page.keys)).or(last);
        }
        Ok(found)
    }

    fn page_of(
        &self,
        kind: &Kind,
        after: Option<EntityKey>,
        room: usize,
        explain: bool,
    ) -> Result<PageOf, Error> {
        let plan = self.plan(kind)?;
        let explained = explain.then(|| plan.explain(self.tx)).transpose()?;
        let keys = self.page(&plan, after, room + 1)?;
        let shown = keys.get(..room).unwrap_or(&keys);
        Ok(PageOf {
            entities: entity::show_all(self.tx, kind, shown, Values::All)?,
            keys,
            plan: explained,
        })
    }

    /// The next entities of one blueprint, at most `limit`.
    fn page(
        &self,
        plan: &Plan,
        mut after: Option<EntityKey>,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Error> {
        if plan.is_empty() {
            return Ok(Vec::new());
        }
        if plan.exact {
            return Ok(self.tx.list_matching_keys(plan.matching(), after, limit)?);
        }
        let mut found = Vec::new();
        while found.len() < limit {
            let size = ((limit - found.len()) * 2).clamp(64, 512);
            let rows = self.tx.list_matching(plan.matching(), after, size)?;
            let is_last = rows.len() < size;
            after = rows.last().map(|row| row.key).or(after);
            self.spend(rows.len())?;
            self.keep(plan, rows, limit, &mut found)?;
            if is_last {
                break;
            }
        }
        Ok(found.into_iter().map(|(key, _)| key).collect())
    }

    /// Completes rows and keeps those for which the query holds.
    fn keep(
        &self,
        plan: &Plan,
        rows: Vec<EntityRow>,
        limit: usize,
        found: &mut Vec<(EntityKey, Stamped<Entity>)>,
    ) -> Result<(), Error> {
        let keys: Vec<_> = rows.iter().map(|row| row.key).collect();
        let entities = entity::complete_all(self.tx, plan.kind(), rows, Values::All)?;
        for (key, entity) in keys.into_iter().zip(entities) {
            if found.len() >= limit {
                break;
            }
            if plan.exact || self.holds(plan, key, &entity)? {
                found.push((key, entity));
            }
        }
        Ok(())
    }

    fn holds(&self, plan: &Plan, key: EntityKey, entity: &Stamped<Entity>) -> Result<bool, Error> {
        let candidate = Candidate {
            key,
            entity,
            searcher: self,
            kind: plan.kind(),
            failed: std::cell::Cell::new(None),
        };
        let holds = evaluate(&plan.query, &candidate);
        match candidate.failed.take() {
            Some(error) => Err(error),
            None => Ok(holds),
        }
    }

    /// Counts rows that were looked at one by one.
    pub(super) fn spend(&self, rows: usize) -> Result<(), Error> {
        self.seen.set(self.seen.get() + rows);
        if self.seen.get() <= self.limits.rows {
            return Ok(());
        }
        Err(Error::TooExpensive(format!(
            "the query would look at more than {} entities one by one; add a rule that compares a property, `$identifier` or a relation by `=` or `in`, or name a blueprint",
            self.limits.rows
        )))
    }

    /// How many entities of a blueprint the query holds for.
    pub(super) fn count(&self, plan: &Plan) -> Result<u64, Error> {
        if plan.is_empty() {
            return Ok(0);
        }
        if plan.exact {
            return Ok(self.tx.count_matching(plan.matching())?);
        }
        let mut count = 0;
        self.each(plan, |_, _| {
            count += 1;
            Ok(())
        })?;
        Ok(count)
    }

    /// How many entities of each blueprint the query holds for; those without any are left out.
    pub(in crate::catalog) fn count_all(
        &self,
        only: Option<&BlueprintId>,
    ) -> Result<Vec<(BlueprintId, u64)>, Error> {
        let mut counts = Vec::new();
        for kind in self.kinds(only)? {
            let count = self.count(&self.plan(&kind)?)?;
            if count > 0 {
                counts.push((kind.blueprint().identifier.clone(), count));
            }
        }
        Ok(counts)
    }

    /// Visits every entity of a blueprint for which the query holds.
    pub(super) fn each(
        &self,
        plan: &Plan,
        mut visit: impl FnMut(EntityKey, Stamped<Entity>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        const BATCH: usize = 1_000;
        if plan.is_empty() {
            return Ok(());
        }
        let mut after = None;
        loop {
            let rows = self.tx.list_matching(plan.matching(), after, BATCH)?;
            let is_last = rows.len() < BATCH;
            after = rows.last().map(|row| row.key);
            self.spend(rows.len())?;
            let mut found = Vec::with_capacity(rows.len());
            self.keep(plan, rows, BATCH, &mut found)?;
            for (key, entity) in found {
                visit(key, entity)?;
            }
            if is_last {
                return Ok(());
            }
        }
    }
}

/// The place behind the last of some entities of a blueprint.
fn last_of(kind: &Kind, keys: Option<&[EntityKey]>) -> Option<Cursor> {
    let entity = keys?.last().copied()?;
    Some(Cursor {
        blueprint: kind.key,
        entity,
    })
}

/// Does the reading of a search within its time, and says what to do where that was not enough.
pub(in crate::catalog) fn within<T>(
    tx: &ReadTx<'_>,
    limits: SearchLimits,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    match tx.within(limits.time, work) {
        Err(Error::Store(store::Error::TooLong)) => Err(Error::TooExpensive(format!(
            "the query takes longer than {} ms; add a rule that compares a property, `$identifier` or a relation by `=` or `in`, or name a blueprint",
            limits.time.as_millis()
        ))),
        outcome => outcome,
    }
}

/// An entity that may be one of those.
struct Candidate<'a, 's, 'tx> {
    key: EntityKey,
    entity: &'a Stamped<Entity>,
    searcher: &'a Searcher<'s, 'tx>,
    kind: &'a Kind,
    failed: std::cell::Cell<Option<Error>>,
}

impl Subjects for Candidate<'_, '_, '_> {
    fn find(&self, subject: &Subject) -> Option<Cow<'_, Value>> {
        value_of(self.entity, subject)
    }

    fn is_reached(&self, walk: &Walk) -> bool {
        let reached: Result<Rc<Vec<EntityKey>>, Error> =
            self.searcher.compiler.reached(walk, self.kind);
        match reached {
            Ok(keys) => keys.binary_search(&self.key).is_ok(),
            Err(error) => {
                self.failed.set(Some(error));
                false
            }
        }
    }
}

/// A value of an entity.
pub(super) fn value_of<'a>(
    entity: &'a Stamped<Entity>,
    subject: &Subject,
) -> Option<Cow<'a, Value>> {
    let Stamped { value, stamp } = entity;
    let text = |text: &str| Some(Cow::Owned(Value::from(text)));
    match subject {
        Subject::Property(name) => value.properties.get(name).map(Cow::Borrowed),
        Subject::Relation(name) => value.relations.get(name).map(|to| match to {
            RelationValue::None => Cow::Owned(Value::Null),
            RelationValue::One(id) => Cow::Owned(Value::from(id.as_str())),
            RelationValue::Many(ids) => Cow::Owned(ids.iter().map(|id| id.as_str()).collect()),
        }),
        Subject::Meta(meta) => match meta {
            Meta::Identifier => text(value.identifier.as_str()),
            Meta::Title => value.title.as_deref().and_then(text),
            Meta::Icon => value.icon.as_deref().and_then(text),
            Meta::Team => Some(Cow::Owned(value.team.iter().map(String::as_str).collect())),
            Meta::Blueprint => text(value.blueprint.as_str()),
            Meta::CreatedAt => text(&stamp.created_at.to_string()),
            Meta::UpdatedAt => text(&stamp.updated_at.to_string()),
            Meta::CreatedBy => text(&stamp.created_by),
            Meta::UpdatedBy => text(&stamp.updated_by),
            Meta::Datasource => stamp.datasource.as_deref().and_then(text),
        },
        Subject::Scorecard { scorecard, rule } => {
            let card = value.scorecards.get(scorecard)?;
            of_scorecard(card, rule.as_deref()).map(Cow::Borrowed)
        }
        Subject::Constant(_) | Subject::Context(_) => None,
    }
}
