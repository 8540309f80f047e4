//! Words: how texts are cut into them, and which one was meant where a word is misspelt.

use std::borrow::Cow;
use std::cmp::Reverse;

use serde_json::Value;

use crate::catalog::Error;
use crate::catalog::entity::Shown;
use crate::model::Entity;
use crate::store::{self, Hidden, ReadTx, TextRow, Word};

/// Characters of what somebody may search for.
pub(super) const MAX_QUERY: usize = 200;

/// Words of it; the rest is left out.
const MAX_WORDS: usize = 8;

/// Characters of a word; a longer run of letters is a key or a picture, and nobody searches for it.
const MAX_WORD: usize = 64;

/// Bytes of the text of one entity that are indexed.
const MAX_TEXT: usize = 32 * 1024;

/// Words of the index that are looked at for one misspelt word.
const MAX_SIMILAR: usize = 50_000;

/// Spellings that are tried for one misspelt word.
const MAX_SPELLINGS: usize = 3;

/// Words of the index that are looked for one by one in place of their common beginning.
const MAX_BEGINNINGS: usize = 32;

/// A word that nobody uses, and what was searched for instead.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Correction {
    /// The word as it was given.
    pub from: String,
    /// The words that were meant, the most frequent first.
    pub to: Vec<String>,
}

/// The words of an entity.
pub(in crate::catalog) fn row(entity: &Entity) -> TextRow {
    let mut row = TextRow::default();
    add(&mut row.identifier, entity.identifier.as_str());
    if let Some(title) = &entity.title {
        add(&mut row.title, title);
    }
    for value in entity.properties.values() {
        add_value(&mut row.body, value);
    }
    row
}

fn add_value(to: &mut String, value: &Value) {
    match value {
        Value::String(text) => add(to, text),
        Value::Array(list) => {
            for value in list {
                if let Value::String(text) = value {
                    add(to, text);
                }
            }
        }
        _ => {}
    }
}

/// Adds the words of a text.
fn add(to: &mut String, text: &str) {
    let room = MAX_TEXT.saturating_sub(to.len());
    for word in words_of(text, room) {
        to.push_str(word);
        to.push(' ');
    }
}

/// The words of a text, and the parts of those that are joined by capitals, as far as there is room for them.
fn words_of(text: &str, room: usize) -> impl Iterator<Item = &str> {
    let mut taken = 0;
    let mut fits = move |word: &str, parts: &[&str]| {
        let fits = taken + word.len() <= room;
        taken += word.len() + 1 + parts.iter().map(|part| part.len() + 1).sum::<usize>();
        fits
    };
    runs(text)
        .map(|word| (word, humps(word)))
        .take_while(move |(word, parts)| fits(word, parts))
        .flat_map(|(word, parts)| std::iter::once(word).chain(parts))
}

/// The runs of letters and digits that are short enough to be words.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty() && word.chars().take(MAX_WORD + 1).count() <= MAX_WORD)
}

/// `CartService` is `Cart` and `Service`; nothing where a word has one part only.
fn humps(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut was_lower) = (0, false);
    for (at, c) in word.char_indices() {
        if c.is_uppercase() && was_lower {
            parts.extend(word.get(start..at));
            start = at;
        }
        was_lower = c.is_lowercase() || c.is_ascii_digit();
    }
    if start > 0 {
        parts.extend(word.get(start..));
    }
    parts
}

/// The words that somebody searches for; the last may be only begun.
pub(super) fn asked(text: &str) -> Vec<Word> {
    let text: String = text.chars().take(MAX_QUERY).collect();
    let mut words: Vec<Word> = runs(&text)
        .take(MAX_WORDS)
        .map(|word| Word {
            spellings: vec![word.to_lowercase()],
            beginning: false,
        })
        .collect();
    if let Some(last) = words.last_mut() {
        last.beginning = true;
    }
    words
}

/// Puts all words of the index that begin like one that may be only begun in its place, where they are few: whole words
/// need not be read to their end to be found together with rarer ones.
pub(super) fn spell_out(tx: &ReadTx<'_>, word: &Word) -> Result<Word, Error> {
    let mut spellings = Vec::new();
    for beginning in &word.spellings {
        // The index has letters without their accents.
        if word.beginning && beginning.is_ascii() {
            spellings.extend(tx.list_beginnings(beginning, MAX_BEGINNINGS + 1)?);
        }
    }
    let is_plain = |spelling: &String| spelling.chars().all(char::is_alphanumeric);
    if spellings.is_empty() || spellings.len() > MAX_BEGINNINGS || !spellings.iter().all(is_plain) {
        return Ok(word.clone());
    }
    Ok(Word {
        spellings,
        beginning: false,
    })
}

/// Puts what was meant in place of words that no entity has.
///
/// Only words of entities that are not hidden are there to be meant.
pub(super) fn correct(
    tx: &ReadTx<'_>,
    words: &mut [Word],
    hidden: &Hidden,
) -> Result<Vec<Correction>, Error> {
    let mut corrections = Vec::new();
    for word in words {
        // As it is it is found at once; to find what only begins so takes as long as there is much of it.
        if tx.has_text(&word.whole(), hidden)? || (word.beginning && tx.has_text(word, hidden)?) {
            continue;
        }
        let Some(from) = word.spellings.first().cloned() else {
            continue;
        };
        let to = similar(tx, &from, hidden)?;
        if to.is_empty() {
            continue;
        }
        word.spellings.clone_from(&to);
        word.beginning = false;
        corrections.push(Correction { from, to });
    }
    Ok(corrections)
}

/// Words of the index that are the nearest to a misspelt one. Few people mistype the first two letters: those that
/// begin so are looked at first.
fn similar(tx: &ReadTx<'_>, word: &str, hidden: &Hidden) -> Result<Vec<String>, Error> {
    let length = word.chars().count();
    let most = match length {
        0..=2 => return Ok(Vec::new()),
        3..=4 => 1,
        _ => 2,
    };
    for letters in [2, 1] {
        let beginning: String = word.chars().take(letters).collect();
        let mut near: Vec<(usize, Reverse<u64>, String)> = Vec::new();
        for (term, entities) in tx.list_words(&beginning, MAX_SIMILAR)? {
            if let Some(distance) = distance(word, &term, most) {
                near.push((distance, Reverse(entities), term));
            }
        }
        near.sort_unstable();
        let mut best: Vec<String> = Vec::new();
        let mut nearest = None;
        for (distance, _, term) in near {
            if best.len() >= MAX_SPELLINGS || nearest.is_some_and(|nearest| distance > nearest) {
                break;
            }
            if hidden.is_nothing() || tx.has_text(&whole(&term), hidden)? {
                nearest = Some(distance);
                best.push(term);
            }
        }
        if !best.is_empty() {
            return Ok(best);
        }
    }
    Ok(Vec::new())
}

/// A word as it is spelt, from its beginning to its end.
fn whole(term: &str) -> Word {
    Word {
        spellings: vec![term.to_owned()],
        beginning: false,
    }
}

/// How many letters are missing, added, changed or swapped with their neighbour; `None` where they are more than
/// `most`.
fn distance(a: &str, b: &str, most: usize) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let at =
                |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut least = (at(&last, j) + usize::from(x != y))
                .min(at(&last, j + 1) + 1)
                .min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                least = least.min(at(&before, j - 1) + 1);
            }
            row.push(least);
        }
        if row.iter().min().is_some_and(|least| *least > most) {
            return None;
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|distance| *distance <= most)
}

/// The parts of an entity in which one of the words stands.
pub(super) fn matched(entity: &Shown<'_>, words: &[Word]) -> Result<Vec<String>, Error> {
    let has = |text: &str| {
        words_of(text, MAX_TEXT).any(|found| words.iter().any(|one| fit(found, one) > 0))
    };
    let mut parts = Vec::new();
    if entity.title.is_some_and(has) {
        parts.push("title".to_owned());
    }
    if has(entity.identifier) {
        parts.push("identifier".to_owned());
    }
    let corrupt = |e| store::Error::corrupt("entity", e);
    for (name, value) in entity.properties.iter() {
        let json = value.get();
        let found = match json.as_bytes().first() {
            // What is not escaped is read as it stands.
            Some(b'"') if !json.contains('\\') => has(json.trim_matches('"')),
            Some(b'"') => has(&serde_json::from_str::<String>(json).map_err(corrupt)?),
            Some(b'[') => {
                let list: Vec<Value> = serde_json::from_str(json).map_err(corrupt)?;
                list.iter().filter_map(Value::as_str).any(has)
            }
            _ => false,
        };
        if found {
            parts.push(format!("properties.{name}"));
        }
    }
    Ok(parts)
}

/// How well a word of an entity fits one that is asked for: 2 where it is the same, 1 where it only begins so.
fn fit(found: &str, word: &Word) -> u32 {
    let lower = match found.is_ascii() {
        true => Cow::Borrowed(found),
        false => Cow::Owned(found.to_lowercase()),
    };
    let of_spelling = |wanted: &String| {
        let beginning = lower.as_bytes().get(..wanted.len());
        let begins = beginning.is_some_and(|it| it.eq_ignore_ascii_case(wanted.as_bytes()));
        match (begins, lower.len() == wanted.len()) {
            (true, true) => 2,
            (true, false) => u32::from(word.beginning),
            (false, _) => 0,
        }
    };
    word.spellings.iter().map(of_spelling).max().unwrap_or(0)
}

/// How well the title and the identifier of an entity answer to words. A word in a title says most of what an entity
/// is, then one in its identifier; a word that only begins so says half as much.
pub(super) fn score(title: &str, identifier: &str, words: &[Word]) -> u32 {
    let best = |text: &str, word: &Word| {
        let fits = words_of(text, MAX_TEXT).map(|found| fit(found, word));
        fits.max().unwrap_or(0)
    };
    let of = |word: &Word| 5 * best(title, word) + 4 * best(identifier, word);
    words.iter().map(of).sum()
}

/// How many words a text has.
pub(super) fn count(text: &str) -> usize {
    runs(text).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_and_digits_and_their_humps() {
        let mut text = String::new();
        add(&mut text, "CartService, payments-api (v2) \"DROP\"");
        assert_eq!(text, "CartService Cart Service payments api v2 DROP ");
        let mut text = String::new();
        add(&mut text, &"x".repeat(MAX_WORD + 1));
        assert_eq!(text, "");
        let words = asked("Foo* AND (\"bar");
        let spelt: Vec<_> = words
            .iter()
            .map(|word| word.spellings[0].as_str())
            .collect();
        assert_eq!(spelt, ["foo", "and", "bar"]);
        assert_eq!(
            words.iter().map(|word| word.beginning).collect::<Vec<_>>(),
            [false, false, true]
        );
        assert_eq!(asked(&"a ".repeat(500)).len(), MAX_WORDS);
    }

    #[test]
    fn distance_counts_slips_up_to_a_bound() {
        for (a, b, wanted) in [
            ("payment", "payment", Some(0)),
            ("paymnet", "payment", Some(1)),
            ("pament", "payment", Some(1)),
            ("paymments", "payment", Some(2)),
            ("poymant", "payment", Some(2)),
            ("service", "payment", None),
            ("größe", "grösse", Some(2)),
        ] {
            assert_eq!(distance(a, b, 2), wanted, "{a} {b}");
        }
    }
}
