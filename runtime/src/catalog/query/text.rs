//! Finds entities by the words in them, the best first.

use std::collections::HashMap;

use super::words::{self, Correction, MAX_QUERY};
use crate::catalog::kind::Kinds;
use crate::catalog::{Error, Values, entity, permission};
use crate::model::{Actor, BlueprintId, EntityJson, Violation};
use crate::store::{EntityKey, Hidden, ReadTx, Word};

/// Entities that are put in order; more hits than that say that the words are too common.
const MAX_RANKED: usize = 2_000;

/// Entities that words may leave where they are one rule among others.
const MAX_FILTER: usize = 50_000;

/// One entity that was found by words.
#[derive(Clone, Debug)]
pub struct TextHit {
    /// The entity.
    pub entity: EntityJson,
    /// The parts of it in which the words stand: `title`, `identifier`, `properties.x`.
    pub matched: Vec<String>,
}

/// What was found by words.
#[derive(Clone, Debug, Default)]
pub struct TextFound {
    /// The best first.
    pub hits: Vec<TextHit>,
    /// How many there are in all, as far as they were ranked.
    pub total: usize,
    /// Whether there were more than are ranked.
    pub cut: bool,
    /// Words that nobody uses, and what was searched for instead.
    pub corrections: Vec<Correction>,
}

/// A search by words.
#[derive(Clone, Debug)]
pub struct TextSearch {
    /// What to look for.
    pub text: String,
    /// Only entities of this blueprint.
    pub blueprint: Option<BlueprintId>,
    /// So many of the best are left out.
    pub offset: usize,
    /// At most so many.
    pub limit: usize,
}

/// Finds entities by words, the best first.
pub(in crate::catalog) fn find(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    actor: &Actor,
    search: &TextSearch,
) -> Result<TextFound, Error> {
    let hidden = permission::find_hidden(tx, kinds, actor)?;
    let only = match &search.blueprint {
        Some(id) => Some(kinds.load(tx, id)?.key),
        None => None,
    };
    if let (Some(key), Some(id)) = (only, &search.blueprint)
        && hidden.whole.contains(&key)
    {
        return Err(permission::refuse_all(id));
    }
    let mut words = asked(&search.text, "/q")?;
    let corrections = words::correct(tx, &mut words, &hidden)?;
    let mut ranked = tx.list_texts(&words, only, &hidden, MAX_RANKED + 1)?;
    let cut = ranked.len() > MAX_RANKED;
    ranked.truncate(MAX_RANKED);
    // The smaller the better; equals in the order in which they were made.
    ranked.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    let page: Vec<EntityKey> = ranked
        .iter()
        .skip(search.offset)
        .take(search.limit)
        .map(|(key, _)| *key)
        .collect();
    Ok(TextFound {
        hits: load(tx, kinds, &page, &words)?,
        total: ranked.len(),
        cut,
        corrections,
    })
}

/// The entities with all of some words, by key.
pub(super) fn keys(tx: &ReadTx<'_>, text: &str, hidden: &Hidden) -> Result<Vec<EntityKey>, Error> {
    let mut words = asked(text, "/text")?;
    words::correct(tx, &mut words, hidden)?;
    let found = tx.list_texts(&words, None, hidden, MAX_FILTER + 1)?;
    if found.len() > MAX_FILTER {
        return Err(Error::TooExpensive(format!(
            "more than {MAX_FILTER} entities have these words; search for rarer ones"
        )));
    }
    let mut keys: Vec<_> = found.into_iter().map(|(key, _)| key).collect();
    keys.sort_unstable();
    Ok(keys)
}

fn asked(text: &str, path: &str) -> Result<Vec<Word>, Error> {
    let refuse = |rule: &str, message: String| Error::Invalid {
        subject: "the search".to_owned(),
        violations: vec![Violation::new(path, rule, message)],
    };
    if text.chars().count() > MAX_QUERY {
        return Err(refuse(
            "maxLength",
            format!("must have at most {MAX_QUERY} characters"),
        ));
    }
    let words = words::asked(text);
    if words.is_empty() {
        return Err(refuse(
            "minLength",
            "must have at least one word of letters or digits".to_owned(),
        ));
    }
    Ok(words)
}

fn load(
    tx: &ReadTx<'_>,
    kinds: &Kinds,
    page: &[EntityKey],
    words: &[Word],
) -> Result<Vec<TextHit>, Error> {
    let mut by_blueprint: HashMap<_, Vec<EntityKey>> = HashMap::new();
    for (key, blueprint) in tx.list_blueprints_of(page)? {
        by_blueprint.entry(blueprint).or_default().push(key);
    }
    let mut found = HashMap::with_capacity(page.len());
    for row in tx.list_blueprints()? {
        let Some(mut keys) = by_blueprint.remove(&row.key) else {
            continue;
        };
        keys.sort_unstable();
        let kind = kinds.ready(&row)?;
        entity::visit(tx, &kind, &keys, Values::All, |key, entity| {
            let hit = TextHit {
                entity: entity.write()?,
                matched: words::matched(entity, words)?,
            };
            found.insert(key, hit);
            Ok(())
        })?;
    }
    Ok(page.iter().filter_map(|key| found.remove(key)).collect())
}
