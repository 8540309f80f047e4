//! Asking the catalog, on a snapshot of its own and within limits.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::query::{
    Aggregation, Found, Search, SearchLimits, Searcher, TextFound, TextSearch, aggregate,
    find_text, within,
};
use super::{Catalog, Error, ReadScope, derived, index, permission};
use crate::model::{Actor, BlueprintId, Entity, EntityId, Query, Stamped, Timestamp};

/// What mirrors of titles show, by entity.
pub type Identified = HashMap<(BlueprintId, EntityId), Vec<(String, Value)>>;

impl Catalog {
    /// The same catalog, with other limits on what a query may cost.
    #[must_use]
    pub fn with_search_limits(mut self, limits: SearchLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Takes entities into the indexes that an older version wrote. Quick where there are none, and taken up again
    /// where it was broken off.
    pub async fn catch_up(&self) -> Result<(), Error> {
        loop {
            let kinds = self.kinds.clone();
            if !self
                .store
                .write(move |tx| index::catch_up(tx, &kinds))
                .await?
            {
                return Ok(());
            }
        }
    }

    /// A page of the entities for which a query holds.
    ///
    /// # Errors
    /// [`Error::TooExpensive`] where finding them would take too long.
    pub async fn search(
        &self,
        actor: &Actor,
        search: Search,
        now: Timestamp,
    ) -> Result<Found, Error> {
        let (kinds, limits, actor) = (self.kinds.clone(), self.limits, actor.clone());
        self.store
            .read(move |tx| {
                within(tx, limits, || {
                    Searcher::new(tx, &kinds, &actor, &search.query, limits, now)?
                        .with_text(search.text.as_deref())?
                        .find(&search)
                })
            })
            .await
    }

    /// How many entities a query holds for, by blueprint; those without any are left out.
    ///
    /// # Errors
    /// [`Error::TooExpensive`] where counting them would take too long.
    pub async fn count(
        &self,
        actor: &Actor,
        query: Query,
        blueprint: Option<BlueprintId>,
        now: Timestamp,
    ) -> Result<Vec<(BlueprintId, u64)>, Error> {
        let (kinds, limits, actor) = (self.kinds.clone(), self.limits, actor.clone());
        self.store
            .read(move |tx| {
                within(tx, limits, || {
                    let searcher = Searcher::new(tx, &kinds, &actor, &query, limits, now)?;
                    searcher.count_all(blueprint.as_ref())
                })
            })
            .await
    }

    /// The entities that have all of some words, the best first.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there are no words, [`Error::TooExpensive`] where finding them would take too long.
    pub async fn search_text(&self, actor: &Actor, search: TextSearch) -> Result<TextFound, Error> {
        let (kinds, limits, actor) = (self.kinds.clone(), self.limits, actor.clone());
        self.store
            .read(move |tx| within(tx, limits, || find_text(tx, &kinds, &actor, &search)))
            .await
    }

    /// What is known of many entities together.
    ///
    /// # Errors
    /// [`Error::TooExpensive`] where working it out would take too long.
    pub async fn aggregate(
        &self,
        actor: &Actor,
        wanted: Aggregation,
        now: Timestamp,
    ) -> Result<Value, Error> {
        let (kinds, limits, actor) = (self.kinds.clone(), self.limits, actor.clone());
        self.store
            .read(move |tx| {
                within(tx, limits, || {
                    let searcher = Searcher::new(tx, &kinds, &actor, &wanted.query, limits, now)?;
                    aggregate(&searcher, &wanted)
                })
            })
            .await
    }

    /// Titles of what some entities point at, as far as somebody may see it: by blueprint of the entity, relation and
    /// identifier of the target.
    pub async fn titles_of_targets(
        &self,
        actor: &Actor,
        entities: &[Stamped<Entity>],
    ) -> Result<HashMap<(BlueprintId, String, String), Option<String>>, Error> {
        let mut wanted = HashSet::new();
        for Stamped { value, .. } in entities {
            for (name, to) in &value.relations {
                for id in to.targets() {
                    wanted.insert((value.blueprint.clone(), name.clone(), id.clone()));
                }
            }
        }
        let (kinds, actor) = (self.kinds.clone(), actor.clone());
        self.store
            .read(move |tx| {
                let mut titles = HashMap::with_capacity(wanted.len());
                for (blueprint, name, id) in wanted {
                    let kind = kinds.load(tx, &blueprint)?;
                    let Some(definition) = kind.blueprint().relations.get(&name) else {
                        continue;
                    };
                    let target = kinds.load(tx, &definition.target)?;
                    let title = match ReadScope::of(&actor, &target) {
                        ReadScope::All => tx.find_title(target.key, &id)?,
                        ReadScope::Nothing => None,
                        scope @ ReadScope::Owned => tx
                            .find_entity(target.key, &id)?
                            .filter(|row| scope.includes(&actor, &row.team))
                            .and_then(|row| row.title),
                    };
                    titles.insert((blueprint, name, id.into()), title);
                }
                Ok(titles)
            })
            .await
    }

    /// Who has the titles that mirrors of some entities show, as far as somebody may see them: by blueprint and
    /// identifier of the entity, the name of each such mirror and `{identifier, title}`.
    pub async fn identify_mirrors(
        &self,
        actor: &Actor,
        entities: &[Stamped<Entity>],
    ) -> Result<Identified, Error> {
        let mut wanted: HashMap<BlueprintId, Vec<EntityId>> = HashMap::new();
        for Stamped { value, .. } in entities {
            let ids = wanted.entry(value.blueprint.clone()).or_default();
            ids.push(value.identifier.clone());
        }
        let (kinds, actor) = (self.kinds.clone(), actor.clone());
        self.store
            .read(move |tx| {
                let hidden = permission::find_hidden(tx, &kinds, &actor)?;
                let mut found = Identified::new();
                for (blueprint, ids) in wanted {
                    let kind = kinds.load(tx, &blueprint)?;
                    let mut names = HashMap::with_capacity(ids.len());
                    for id in ids {
                        if let Some(key) = tx.find_entity_key(kind.key, &id)? {
                            names.insert(key, id);
                        }
                    }
                    let keys: Vec<_> = names.keys().copied().collect();
                    for (key, mirror, value) in derived::identify(tx, &blueprint, &keys, &hidden)? {
                        if let Some(id) = names.get(&key) {
                            let place = (blueprint.clone(), id.clone());
                            found.entry(place).or_default().push((mirror, value));
                        }
                    }
                }
                Ok(found)
            })
            .await
    }
}
