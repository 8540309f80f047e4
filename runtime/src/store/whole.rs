//! Whole entities as they are stored: JSON stays text, for readers that pass it on.

use std::collections::HashMap;

use rusqlite::Row;

use super::Error;
use super::blueprint::stamp;
use super::connection::ReadTx;
use super::entity::EntityKey;
use crate::model::Stamp;

/// A stored entity, without where it points.
#[derive(Clone, Debug)]
pub struct WholeRow<'a> {
    /// Unique within its blueprint.
    pub identifier: &'a str,
    /// Title for people.
    pub title: Option<&'a str>,
    /// Name of an icon.
    pub icon: Option<&'a str>,
    /// The owning teams, as JSON.
    pub team: &'a str,
    /// Its own properties, as JSON.
    pub properties: &'a str,
    /// What is derived from it: properties and scorecards, as JSON; absent where nothing is kept.
    pub derived: Option<(&'a str, &'a str)>,
    /// Who and when.
    pub stamp: Stamp,
}

/// Where some entities point.
#[derive(Clone, Debug, Default)]
pub struct Edges {
    /// By source, then by relation, in order.
    edges: Vec<Edge>,
    /// Every relation's name that occurs, once.
    names: Vec<String>,
    identifiers: HashMap<EntityKey, String>,
}

#[derive(Clone, Copy, Debug)]
struct Edge {
    source: EntityKey,
    /// Place of its name among all.
    name: usize,
    target: EntityKey,
}

impl Edges {
    /// The identifiers that one relation of an entity points at, in order.
    pub fn targets(&self, source: EntityKey, relation: &str) -> impl Iterator<Item = &str> {
        let name = self.names.iter().position(|known| known == relation);
        let first = self.edges.partition_point(|edge| edge.source < source);
        let own = self.edges.iter().skip(first);
        own.take_while(move |edge| edge.source == source)
            .filter(move |edge| Some(edge.name) == name)
            .filter_map(|edge| self.identifiers.get(&edge.target))
            .map(String::as_str)
    }

    fn name(&mut self, name: &str) -> usize {
        let known = self.names.iter().position(|known| known == name);
        known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        })
    }
}

impl ReadTx<'_> {
    /// Shows a reader some entities one by one, in the order in which they are named; those that are gone are left out.
    pub fn visit_whole<E: From<Error>>(
        &self,
        keys: &[EntityKey],
        mut read: impl FnMut(EntityKey, WholeRow<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut statement = self
            .connection
            .prepare_cached(
                "SELECT e.identifier, e.title, e.icon, e.team, e.properties, e.created_at, e.created_by, e.updated_at,
                        e.updated_by, d.properties, d.scorecards
                 FROM entity AS e LEFT JOIN entity_derived AS d ON d.entity_id = e.id WHERE e.id = ?1",
            )
            .map_err(Error::from)?;
        for key in keys {
            let mut rows = statement.query([key.0]).map_err(Error::from)?;
            if let Some(row) = rows.next().map_err(Error::from)? {
                read(*key, whole_row(row).map_err(Error::from)?)?;
            }
        }
        Ok(())
    }

    /// Shows a reader the titles and identifiers of some entities, in the order in which they are named.
    pub fn visit_names(
        &self,
        keys: &[EntityKey],
        mut read: impl FnMut(EntityKey, &str, &str),
    ) -> Result<(), Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT coalesce(title, ''), identifier FROM entity WHERE id = ?1")?;
        for key in keys {
            let mut rows = statement.query([key.0])?;
            if let Some(row) = rows.next()? {
                read(*key, text(row, 0)?, text(row, 1)?);
            }
        }
        Ok(())
    }

    /// Where some entities point, given in order.
    pub fn list_edges(&self, sources: &[EntityKey]) -> Result<Edges, Error> {
        let mut found = Edges::default();
        let mut statement = self.connection.prepare_cached(
            "SELECT name, target_id FROM relation WHERE source_id = ?1 ORDER BY name, position",
        )?;
        for source in sources {
            let mut rows = statement.query([source.0])?;
            while let Some(row) = rows.next()? {
                let name = found.name(text(row, 0)?);
                found.edges.push(Edge {
                    source: *source,
                    name,
                    target: EntityKey(row.get(1)?),
                });
            }
        }
        // Each target once and in order: many are the same, and neighbours share a page.
        let mut targets: Vec<EntityKey> = found.edges.iter().map(|edge| edge.target).collect();
        targets.sort_unstable();
        targets.dedup();
        let mut statement = self
            .connection
            .prepare_cached("SELECT identifier FROM entity WHERE id = ?1")?;
        for target in targets {
            let mut rows = statement.query([target.0])?;
            if let Some(row) = rows.next()? {
                found.identifiers.insert(target, row.get(0)?);
            }
        }
        Ok(found)
    }
}

fn whole_row<'a>(row: &'a Row<'_>) -> Result<WholeRow<'a>, rusqlite::Error> {
    let derived = match (optional(row, 9)?, optional(row, 10)?) {
        (Some(properties), Some(scorecards)) => Some((properties, scorecards)),
        _ => None,
    };
    Ok(WholeRow {
        identifier: text(row, 0)?,
        title: optional(row, 1)?,
        icon: optional(row, 2)?,
        team: text(row, 3)?,
        properties: text(row, 4)?,
        derived,
        stamp: stamp(row, 5)?,
    })
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str, rusqlite::Error> {
    Ok(row.get_ref(column)?.as_str()?)
}

fn optional<'a>(row: &'a Row<'_>, column: usize) -> Result<Option<&'a str>, rusqlite::Error> {
    Ok(row.get_ref(column)?.as_str_or_null()?)
}
