//! Reading the audit log a page at a time, whatever is asked for, at a bounded cost.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use rusqlite::types::Value as Parameter;
use rusqlite::{Row, params_from_iter};
use serde_json::Value;

use super::chain::{COLUMNS, Link};
use super::from_word;
use crate::model::{AuditFilter, AuditPage, AuditRow, AuditStatus, RunId, Timestamp, Verb};
use crate::store::Error;
use crate::store::connection::ReadTx;

/// Rows that are looked at before asking whether there is time for more.
const FIRST_WINDOW: i64 = 20_000;

/// How long one page may be searched for; what was found until then is a page of its own.
const SEARCH_TIME: Duration = Duration::from_millis(500);

/// Bytes of JSON on one page: an object may have megabytes.
const PAGE_BYTES: usize = 16 << 20;

/// Objects that one identifier may stand for, over all times.
const MAX_NAMESAKES: usize = 1_000;

/// Places at which `blueprint/identifier` is tried to be parted: both may hold slashes themselves.
const MAX_SLASHES: usize = 20;

/// Which way a page goes, and behind which row it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditOrder {
    /// Newest first, those before a sequence; absent for the newest of all.
    NewestFirst(Option<u64>),
    /// Oldest first, those after a sequence.
    OldestFirst(u64),
}

impl ReadTx<'_> {
    /// A page of the audit log. A search that takes too long ends early, with a `next` to go on from.
    pub fn search_audit(
        &self,
        filter: &AuditFilter,
        order: AuditOrder,
        limit: usize,
    ) -> Result<AuditPage, Error> {
        let empty = AuditPage {
            rows: Vec::new(),
            next: None,
        };
        let Some(conditions) = self.conditions(filter)? else {
            return Ok(empty);
        };
        // Both ends are part of the search.
        let Some((first, last)) = self.span(filter)? else {
            return Ok(empty);
        };
        let began = Instant::now();
        let (mut low, mut high) = match order {
            AuditOrder::NewestFirst(before) => (first, last.min(number(before) - 1)),
            AuditOrder::OldestFirst(after) => (first.max(number(Some(after)) + 1), last),
        };
        let newest_first = matches!(order, AuditOrder::NewestFirst(_));
        let mut found = Found::default();
        let mut window = FIRST_WINDOW;
        while low <= high {
            let (from, to) = if newest_first {
                (low.max(high.saturating_sub(window)), high)
            } else {
                (low, high.min(low.saturating_add(window)))
            };
            if !self.search(&conditions, (from, to), newest_first, limit, &mut found)? {
                return Ok(found.into_page(true));
            }
            (low, high) = if newest_first {
                (low, from - 1)
            } else {
                (to + 1, high)
            };
            if began.elapsed() > SEARCH_TIME && low <= high {
                let next = if newest_first { from } else { to };
                return Ok(AuditPage {
                    rows: found.rows,
                    next: Some(next.unsigned_abs()),
                });
            }
            window = window.saturating_mul(2);
        }
        Ok(found.into_page(false))
    }

    /// Adds what one stretch of the log has; `false` where the page is full before the stretch is over.
    fn search(
        &self,
        conditions: &Conditions,
        (from, to): (i64, i64),
        newest_first: bool,
        limit: usize,
        found: &mut Found,
    ) -> Result<bool, Error> {
        let order = if newest_first { "DESC" } else { "ASC" };
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS}, hash FROM audit WHERE sequence BETWEEN ? AND ?{} ORDER BY sequence {order}",
            conditions.sql
        ))?;
        let ends = [Parameter::Integer(from), Parameter::Integer(to)];
        let parameters = ends.iter().chain(&conditions.parameters);
        let mut rows = statement.query(params_from_iter(parameters))?;
        while let Some(row) = rows.next()? {
            if found.rows.len() >= limit || found.bytes > PAGE_BYTES {
                return Ok(false);
            }
            let (row, bytes) = read(row)?;
            found.bytes += bytes;
            found.rows.push(row);
        }
        Ok(true)
    }

    /// The filter as SQL; absent where nothing can fit it.
    fn conditions(&self, filter: &AuditFilter) -> Result<Option<Conditions>, Error> {
        let mut conditions = Conditions::default();
        let list = |words: Vec<String>| Parameter::Text(Value::from(words).to_string());
        if !filter.resources.is_empty() {
            conditions.add(
                " AND resource IN (SELECT value FROM json_each(?))",
                [list(filter.resources.clone())],
            );
        }
        if !filter.verbs.is_empty() {
            let verbs = filter.verbs.iter().map(|verb| verb.as_str().to_owned());
            conditions.add(
                " AND verb IN (SELECT value FROM json_each(?))",
                [list(verbs.collect())],
            );
        }
        if !filter.origins.is_empty() {
            conditions.add(
                " AND origin IN (SELECT value FROM json_each(?))",
                [list(filter.origins.clone())],
            );
        }
        if let Some(run) = &filter.run {
            conditions.add(
                " AND run_id = ?",
                [Parameter::Text(run.as_str().to_owned())],
            );
        }
        if let Some(blueprint) = &filter.blueprint {
            // An object has few rows and a blueprint may have millions; the plus keeps SQLite from beginning with those.
            let few = filter.entity.is_some() || filter.identifier.is_some();
            let sql = if few {
                " AND +blueprint = ?"
            } else {
                " AND blueprint = ?"
            };
            conditions.add(sql, [Parameter::Text(blueprint.clone())]);
        }
        if let Some(entity) = &filter.entity {
            let names = self.list_namesakes(filter.blueprint.as_deref(), entity)?;
            if names.all.is_empty() {
                return Ok(None);
            }
            conditions.add(
                " AND object_id IN (SELECT value FROM json_each(?))
                  AND (identifier = ? OR was = ? OR object_id IN (SELECT value FROM json_each(?)))",
                [
                    keys(&names.all),
                    Parameter::Text(entity.clone()),
                    Parameter::Text(entity.clone()),
                    keys(&names.present),
                ],
            );
        }
        if let Some(identifier) = &filter.identifier {
            let mut names = self.list_namesakes(filter.blueprint.as_deref(), identifier)?;
            for (slash, _) in identifier.match_indices('/').take(MAX_SLASHES) {
                let (blueprint, entity) = identifier.split_at(slash);
                let entity = entity.get(1..).unwrap_or_default();
                names
                    .all
                    .extend(self.list_namesakes(Some(blueprint), entity)?.all);
            }
            conditions.add(
                " AND (object_id IN (SELECT value FROM json_each(?)) OR (resource <> 'entity' AND identifier = ?))",
                [keys(&names.all), Parameter::Text(identifier.clone())],
            );
        }
        if filter.from.is_some() || filter.to.is_some() {
            let (from, to) = times(filter);
            conditions.add(
                " AND at BETWEEN ? AND ?",
                [Parameter::Integer(from), Parameter::Integer(to)],
            );
        }
        Ok(Some(conditions))
    }

    /// The entities that are called so, or were, the youngest first.
    pub(in crate::store) fn list_namesakes(
        &self,
        blueprint: Option<&str>,
        identifier: &str,
    ) -> Result<Namesakes, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT entity.id, 1 FROM blueprint
             CROSS JOIN entity ON entity.blueprint_id = blueprint.id AND entity.identifier = ?1
             WHERE ?2 IS NULL OR blueprint.identifier = ?2
             UNION ALL
             SELECT object_id, 0 FROM (SELECT object_id FROM audit
               WHERE was = ?1 AND (?2 IS NULL OR blueprint = ?2)
               GROUP BY object_id ORDER BY max(sequence) DESC LIMIT ?3)",
        )?;
        let most = i64::try_from(MAX_NAMESAKES).unwrap_or(i64::MAX);
        let mut rows = statement.query(rusqlite::params![identifier, blueprint, most])?;
        let mut names = Namesakes::default();
        while let Some(row) = rows.next()? {
            let key = row.get(0)?;
            if row.get(1)? {
                names.present.push(key);
            }
            names.all.push(key);
        }
        Ok(names)
    }

    /// First and last sequence that a filter's times leave; absent where there are none.
    fn span(&self, filter: &AuditFilter) -> Result<Option<(i64, i64)>, Error> {
        let (base, newest) = self.find_audit_ends()?;
        let (base, newest) = (number(Some(base)), number(Some(newest)));
        if base == newest {
            return Ok(None);
        }
        if filter.from.is_none() && filter.to.is_none() {
            return Ok(Some((base + 1, newest)));
        }
        let (from, to) = times(filter);
        // Between two leaps of the clock time only grows. What lies outside of the span cannot fit; what lies inside
        // is still compared row by row.
        let mut starts = vec![base + 1];
        let mut leaps = self.connection.prepare_cached(
            "SELECT sequence FROM audit_leap WHERE sequence > ?1 ORDER BY sequence",
        )?;
        for leap in leaps.query_map([base + 1], |row| row.get(0))? {
            starts.push(leap?);
        }
        let ends: Vec<i64> = starts
            .iter()
            .skip(1)
            .map(|next| next - 1)
            .chain([newest])
            .collect();
        let mut span: Option<(i64, i64)> = None;
        for (start, end) in starts.into_iter().zip(ends) {
            let first = self.first_not_before(start, end, from)?;
            let last = self.first_not_before(start, end, to.saturating_add(1))? - 1;
            if first <= last {
                span = Some(span.map_or((first, last), |(low, high)| {
                    (low.min(first), high.max(last))
                }));
            }
        }
        Ok(span)
    }

    /// The first sequence of a stretch whose time is not before `at`; one behind its end where there is none.
    fn first_not_before(&self, start: i64, end: i64, at: i64) -> Result<i64, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT at FROM audit WHERE sequence >= ?1 ORDER BY sequence LIMIT 1",
        )?;
        let (mut low, mut high) = (start, end + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let there: i64 = statement.query_row([middle], |row| row.get(0))?;
            if there < at {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}

/// The rows of entities that share an identifier.
#[derive(Debug, Default)]
pub(in crate::store) struct Namesakes {
    /// Of those that are called so, and of those that once were.
    pub(in crate::store) all: Vec<i64>,
    /// Of those that are called so now.
    pub(in crate::store) present: Vec<i64>,
}

#[derive(Default)]
struct Conditions {
    sql: String,
    parameters: Vec<Parameter>,
}

impl Conditions {
    fn add(&mut self, sql: &'static str, parameters: impl IntoIterator<Item = Parameter>) {
        // Writing to a string cannot fail.
        _ = self.sql.write_str(sql);
        self.parameters.extend(parameters);
    }
}

#[derive(Default)]
struct Found {
    rows: Vec<AuditRow>,
    bytes: usize,
}

impl Found {
    fn into_page(self, more: bool) -> AuditPage {
        let next = self.rows.last().filter(|_| more).map(|row| row.sequence);
        AuditPage {
            rows: self.rows,
            next,
        }
    }
}

fn keys(objects: &[i64]) -> Parameter {
    Parameter::Text(Value::from(objects.to_vec()).to_string())
}

fn times(filter: &AuditFilter) -> (i64, i64) {
    (
        filter.from.map_or(i64::MIN, |from| from.0),
        filter.to.map_or(i64::MAX, |to| to.0),
    )
}

/// A sequence as SQLite counts; absent is behind all of them.
fn number(sequence: Option<u64>) -> i64 {
    sequence
        .and_then(|sequence| i64::try_from(sequence).ok())
        .unwrap_or(i64::MAX - 1)
}

/// Reads the columns of [`COLUMNS`] and the hash; also how long the documents are.
pub(in crate::store) fn read(row: &Row<'_>) -> Result<(AuditRow, usize), Error> {
    let link = Link::read(row)?;
    let corrupt = |error| Error::corrupt("audit row", error);
    let parse = |text: Option<&str>| text.map(serde_json::from_str).transpose().map_err(corrupt);
    let action: Verb = from_word(link.verb.to_owned())?;
    let is_entity = link.object_id.is_some();
    let identifier = match link.blueprint.filter(|_| is_entity) {
        Some(blueprint) => format!("{blueprint}/{}", link.identifier),
        None => link.identifier.to_owned(),
    };
    let bytes = [link.before, link.after]
        .iter()
        .flatten()
        .map(|text| text.len())
        .sum();
    let status: AuditStatus = action.status();
    let row = AuditRow {
        sequence: link.sequence.unsigned_abs(),
        at: Timestamp(link.at),
        actor: link.actor.to_owned(),
        origin: from_word(link.origin.to_owned())?,
        run_id: link
            .run_id
            .map(RunId::parse)
            .transpose()
            .map_err(|e| Error::corrupt("audit row", e))?,
        action,
        status,
        resource: link.resource.to_owned(),
        identifier,
        blueprint: link.blueprint.map(str::to_owned),
        entity: is_entity.then(|| link.identifier.to_owned()),
        before: parse(link.before)?,
        after: parse(link.after)?,
        hash: data_encoding::HEXLOWER.encode(&row.get::<_, [u8; 32]>(13)?),
    };
    Ok((row, bytes))
}
