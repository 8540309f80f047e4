//! What people type into a search box: mostly words that few things have, some that many have, and slips.

use std::collections::HashSet;

use goldenpath_tests::generator::{Kind, Random};
use rusqlite::Connection;

use super::Bed;

/// Hits of words that few entities have.
const FEW: usize = 1_000;

/// Hits of words that many have.
const MANY: usize = 10_000;

/// Texts of the whole mix.
const TEXTS: usize = 1_000;

/// Texts that are tried before the mix is made of those that were found.
const TRIES: usize = 4_000;

/// One text to search for.
pub(super) struct Text {
    /// As somebody types it.
    pub(super) typed: String,
    /// The same for the index alone, without the slip.
    pub(super) expression: String,
}

/// The mix: of ten texts seven have few hits, two have many, and one is misspelt.
pub(super) fn choose(bed: &Bed<'_>) -> Vec<Text> {
    let mut random = bed.random(2);
    let (mut few, mut many, mut misspelt) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    for _ in 0..TRIES {
        if few.len() >= TEXTS / 2 && many.len() >= TEXTS / 10 {
            break;
        }
        let words = words(bed, &mut random);
        let typed = words.join(" ");
        if !seen.insert(typed.clone()) {
            continue;
        }
        let expression = expression(&words);
        let hits = count(&bed.database, &expression, MANY + 1);
        if hits == 0 || hits > MANY {
            continue;
        }
        if misspelt.len() < TEXTS / 10
            && let Some(slip) = slip(&words)
            && count(&bed.database, &self::expression(&slip), 1) == 0
        {
            misspelt.push(Text {
                typed: slip.join(" "),
                expression: expression.clone(),
            });
        }
        let class = if hits <= FEW { &mut few } else { &mut many };
        class.push(Text { typed, expression });
    }
    // A small catalog has few words that many entities have, and may have none.
    let classes = [&few, &many, &misspelt].map(|class| if class.is_empty() { &few } else { class });
    (0..TEXTS)
        .map(|_| {
            let class = match random.below(10) {
                0..=6 => classes[0],
                7 | 8 => classes[1],
                _ => classes[2],
            };
            let text = &class[random.below(class.len() as u64) as usize];
            Text {
                typed: text.typed.clone(),
                expression: text.expression.clone(),
            }
        })
        .collect()
}

/// One word or two of an entity's title.
fn words(bed: &Bed<'_>, random: &mut Random) -> Vec<String> {
    const KINDS: [Kind; 4] = [Kind::Service, Kind::Api, Kind::Resource, Kind::Deployment];
    let kind = KINDS[random.below(KINDS.len() as u64) as usize];
    let index = random.below(bed.generator.count_of(kind).max(1) as u64) as usize;
    let identifier = bed.generator.identifier(kind, index);
    let mut words: Vec<String> = identifier.split('-').map(str::to_owned).collect();
    while words.len() > 1 + random.below(2) as usize {
        let place = random.below(words.len() as u64) as usize;
        words.remove(place);
    }
    words
}

/// The same with two letters of one word swapped; nothing where no word is long enough.
fn slip(words: &[String]) -> Option<Vec<String>> {
    let mut slipped = words.to_owned();
    let word = slipped
        .iter_mut()
        .find(|word| word.len() >= 5 && word.bytes().all(|byte| byte.is_ascii_lowercase()))?;
    let mut letters = std::mem::take(word).into_bytes();
    let place = letters.len() / 2;
    if letters[place] == letters[place + 1] {
        return None;
    }
    letters.swap(place, place + 1);
    *word = String::from_utf8(letters).ok()?;
    Some(slipped)
}

/// All words, the last of which may be only begun: as the portal takes what is typed.
fn expression(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    format!("{} *", quoted.join(" AND "))
}

/// Hits, as far as so many.
fn count(database: &Connection, expression: &str, most: usize) -> usize {
    let mut statement = database
        .prepare_cached(
            "SELECT count(*) FROM (SELECT rowid FROM entity_text WHERE entity_text MATCH ?1 LIMIT ?2)",
        )
        .unwrap();
    let count: i64 = statement
        .query_row(rusqlite::params![expression, most as i64], |row| row.get(0))
        .unwrap();
    count as usize
}
