//! Finds entities by the words in them, the best first.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use super::words::{self, Correction, MAX_QUERY};
use crate::catalog::kind::Kinds;
use crate::catalog::{Error, Values, entity, permission};
use crate::model::{Actor, BlueprintId, EntityJson, Violation};
use crate::store::{BlueprintKey, EntityKey, Hidden, Place, ReadTx, Word};

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
    let mut found = candidates(tx, &words, only, &hidden)?;
    let cut = found.len() > MAX_RANKED;
    found.truncate(MAX_RANKED);
    let ranked = rank(tx, &words, &found)?;
    let page: Vec<EntityKey> = ranked
        .iter()
        .skip(search.offset)
        .take(search.limit)
        .copied()
        .collect();
    Ok(TextFound {
        hits: load(tx, kinds, &page, &words)?,
        total: ranked.len(),
        cut,
        corrections,
    })
}

/// The entities that are put in order, and one more where there are too many: those first that are called so.
fn candidates(
    tx: &ReadTx<'_>,
    words: &[Word],
    only: Option<BlueprintKey>,
    hidden: &Hidden,
) -> Result<Vec<EntityKey>, Error> {
    // Words that are only begun are many, and the index reads all of them before it gives the first entity. They are
    // asked for only where the words as they are leave room.
    let whole: Vec<Word> = words.iter().map(Word::whole).collect();
    let mut found: Vec<EntityKey> = Vec::new();
    let mut known = HashSet::new();
    for place in [Place::Name, Place::Anywhere] {
        let more = tx.list_texts(&whole, place, only, hidden, MAX_RANKED + 1)?;
        found.extend(more.into_iter().filter(|key| known.insert(*key)));
        if found.len() > MAX_RANKED {
            return Ok(found);
        }
    }
    if words.iter().any(|word| word.beginning) {
        let words = spell_out(tx, words)?;
        let more = tx.list_texts(&words, Place::Anywhere, only, hidden, MAX_RANKED + 1)?;
        found.extend(more.into_iter().filter(|key| known.insert(*key)));
    }
    Ok(found)
}

fn spell_out(tx: &ReadTx<'_>, words: &[Word]) -> Result<Vec<Word>, Error> {
    words
        .iter()
        .map(|word| words::spell_out(tx, word))
        .collect()
}

/// Puts entities in order, the best first: those whose titles and identifiers have most of the words, of these the
/// ones with the shortest titles, and equals as they were made.
fn rank(tx: &ReadTx<'_>, words: &[Word], found: &[EntityKey]) -> Result<Vec<EntityKey>, Error> {
    let mut keys = found.to_vec();
    // Rows that stand together are read together.
    keys.sort_unstable();
    let mut ranked = Vec::with_capacity(keys.len());
    tx.visit_names(&keys, |key, title, identifier| {
        let score = words::score(title, identifier, words);
        ranked.push((Reverse(score), words::count(title), key));
    })?;
    ranked.sort_unstable();
    Ok(ranked.into_iter().map(|(_, _, key)| key).collect())
}

/// The entities with all of some words, by key.
pub(super) fn keys(tx: &ReadTx<'_>, text: &str, hidden: &Hidden) -> Result<Vec<EntityKey>, Error> {
    let mut words = asked(text, "/text")?;
    words::correct(tx, &mut words, hidden)?;
    let words = spell_out(tx, &words)?;
    let keys = tx.list_texts(&words, Place::Anywhere, None, hidden, MAX_FILTER + 1)?;
    if keys.len() > MAX_FILTER {
        return Err(Error::TooExpensive(format!(
            "more than {MAX_FILTER} entities have these words; search for rarer ones"
        )));
    }
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
