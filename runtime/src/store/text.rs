//! The text index: words of titles, identifiers and properties, found by their beginning.
//!
//! What is asked for comes as words that the floor above has cut out of the text of whoever asks: letters and digits
//! only, so that nothing of it can be taken for syntax.

use rusqlite::OptionalExtension as _;
use rusqlite::types::Value as Sql;

use super::Error;
use super::blueprint::BlueprintKey;
use super::connection::{ReadTx, WriteTx};
use super::entity::EntityKey;
use super::permission::Hidden;
use super::query::{Statement, list_of_keys};

/// What the index holds of an entity, as words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextRow {
    /// Words of its title.
    pub title: String,
    /// Words of its identifier.
    pub identifier: String,
    /// Words of its properties.
    pub body: String,
}

/// One word that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Spellings of which one has to be there: letters and digits.
    pub spellings: Vec<String>,
    /// Whether a word that only begins so counts too.
    pub beginning: bool,
}

impl Word {
    /// The same word, from its beginning to its end.
    #[must_use]
    pub fn whole(&self) -> Self {
        Self {
            spellings: self.spellings.clone(),
            beginning: false,
        }
    }
}

/// Where in an entity words have to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In its title or its identifier.
    Name,
    /// In any part of it.
    Anywhere,
}

impl ReadTx<'_> {
    /// Entities with all of the words that are not hidden, in the order of their keys, at most `limit`.
    pub fn list_texts(
        &self,
        words: &[Word],
        place: Place,
        blueprint: Option<BlueprintKey>,
        hidden: &Hidden,
        limit: usize,
    ) -> Result<Vec<EntityKey>, Error> {
        let mut statement = Statement::new("SELECT entity_text.rowid FROM entity_text");
        if blueprint.is_some() || !hidden.is_nothing() {
            statement.text(" CROSS JOIN entity AS e ON e.id = entity_text.rowid AND ");
            statement.shown(hidden);
        }
        if let Some(blueprint) = blueprint {
            statement.text(" AND e.blueprint_id = ");
            statement.bind(Sql::Integer(blueprint.0));
        }
        statement.text(" WHERE entity_text MATCH ");
        let mut expression = expression(words);
        if place == Place::Name {
            expression = format!("{{title identifier}} : ({expression})");
        }
        statement.bind(Sql::Text(expression));
        statement.text(" LIMIT ");
        statement.bind(Sql::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
        self.keys(statement)
    }

    /// Whether some entity that is not hidden has a word.
    pub fn has_text(&self, word: &Word, hidden: &Hidden) -> Result<bool, Error> {
        if !hidden.is_nothing() {
            let words = std::slice::from_ref(word);
            let found = self.list_texts(words, Place::Anywhere, None, hidden, 1)?;
            return Ok(!found.is_empty());
        }
        let mut statement = self.connection.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM entity_text WHERE entity_text MATCH ?1)",
        )?;
        let expression = expression(std::slice::from_ref(word));
        Ok(statement.query_row([expression], |row| row.get(0))?)
    }

    /// Words of the index that begin so, with the number of entities that have them, at most `limit`.
    pub fn list_words(&self, beginning: &str, limit: usize) -> Result<Vec<(String, u64)>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT term, doc FROM entity_word WHERE term >= ?1 AND term < ?2 LIMIT ?3",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        // No word has a character beyond this one.
        let end = format!("{beginning}\u{10FFFF}");
        let rows = statement.query_map(rusqlite::params![beginning, end, limit], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Words of the index that begin so, at most `limit`. Takes a look at the index for each, and none at who has them.
    pub fn list_beginnings(&self, beginning: &str, limit: usize) -> Result<Vec<String>, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT term FROM entity_term WHERE term >= ?1 LIMIT 1")?;
        let mut found = Vec::new();
        let mut from = beginning.to_owned();
        while found.len() < limit {
            let next = statement.query_row([&from], |row| row.get::<_, String>(0));
            let Some(term) = next.optional()?.filter(|term| term.starts_with(beginning)) else {
                break;
            };
            // No word has a character before this one: what comes behind it is the next word.
            from = format!("{term}\u{1}");
            found.push(term);
        }
        Ok(found)
    }

    /// The blueprints of some entities.
    pub fn list_blueprints_of(
        &self,
        keys: &[EntityKey],
    ) -> Result<Vec<(EntityKey, BlueprintKey)>, Error> {
        let mut statement = Statement::new("SELECT e.id, e.blueprint_id FROM json_each(");
        statement.bind(list_of_keys(keys));
        statement.text(") AS k CROSS JOIN entity AS e ON e.id = k.value");
        let mut found = Vec::with_capacity(keys.len());
        self.rows(statement, &mut |row| {
            found.push((EntityKey(row.get(0)?), BlueprintKey(row.get(1)?)));
            Ok(true)
        })?;
        Ok(found)
    }
}

impl WriteTx<'_> {
    /// Puts the words of an entity in place of those that it had.
    pub fn index_text(&self, entity: EntityKey, row: Option<&TextRow>) -> Result<(), Error> {
        match row {
            Some(row) => self
                .connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO entity_text (rowid, title, identifier, body)
                     VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(rusqlite::params![
                    entity.0,
                    row.title,
                    row.identifier,
                    row.body
                ])?,
            None => self
                .connection
                .prepare_cached("DELETE FROM entity_text WHERE rowid = ?1")?
                .execute([entity.0])?,
        };
        Ok(())
    }
}

fn expression(words: &[Word]) -> String {
    let one = |word: &Word| {
        let star = if word.beginning { " *" } else { "" };
        let spellings: Vec<_> = word
            .spellings
            .iter()
            .map(|spelling| {
                // Letters and digits already; a quotation mark would end the string.
                let plain: String = spelling.chars().filter(|c| c.is_alphanumeric()).collect();
                format!("\"{plain}\"{star}")
            })
            .collect();
        format!("({})", spellings.join(" OR "))
    };
    words.iter().map(one).collect::<Vec<_>>().join(" AND ")
}
