//! Which queued run is carried out next.
//!
//! Queued runs stand in lanes: one per plugin, and one per action that limits how many of its runs are carried out at once.
//! Within a lane the higher priority goes first, then the earlier round: a team's first run that waits is in the round that
//! is being served, its second in the next one, and so on. So each team has one turn per round, however much one of them has
//! queued. Between the first runs of the lanes that have a place, the higher priority goes first, then the team that has
//! waited for its turn for the longest. About every eighth claim is for the run that was accepted first, whatever its
//! priority: nothing waits for ever.
//!
//! A run that has to wait for its entity stands in no lane. One that has its entity keeps it until it ends or sleeps.
//!
//! Nothing here looks at more than the first run of each lane and the first ones that wait for one entity.

use rusqlite::types::Value as Sql;
use rusqlite::{OptionalExtension as _, Row, params};

use crate::model::{Action, Actor, Claim, InvocationMethod, NewRun, PerEntity, PluginName, RunId};
use crate::store::Error;
use crate::store::connection::{ReadTx, WriteTx};

/// Runs that get their entity together: the rest follows as these are claimed, so no write has to move a long queue.
const PROMOTED: usize = 16;

/// One in so many claims is for the run that was accepted first.
const OLDEST: u64 = 8;

/// Teams that the others have passed and that one claim clears away; more than a claim adds.
const CLEARED: i64 = 2;

/// The round of a run that is about to stand in its lane: the one that is being served, unless its team has had its turn in
/// that, or has runs in later ones.
const ROUND: &str = "max(
    coalesce((SELECT max(round) FROM turn WHERE lane = me.lane AND priority = me.priority), 0),
    coalesce((SELECT round + 1 FROM turn WHERE lane = me.lane AND priority = me.priority AND team = me.team), 0),
    coalesce((SELECT round + 1 FROM run WHERE state = 'queued' AND holds = 1 AND lane = me.lane
                AND priority = me.priority AND team = me.team ORDER BY round DESC LIMIT 1), 0))";

/// What a claim needs to know of the run that it takes.
const HEAD: &str =
    "sequence, id, lane, priority, round, team, action, plugin, places, serial, blueprint, entity";

/// Finds the first run of the first lane behind `?1`, or the one that was accepted first there.
fn first_of_next_lane(by_age: bool) -> String {
    let order = if by_age {
        "lane, sequence"
    } else {
        "lane, priority DESC, round, sequence"
    };
    format!(
        "SELECT {HEAD} FROM run WHERE state = 'queued' AND holds = 1 AND lane > ?1 ORDER BY {order} LIMIT 1"
    )
}

/// Puts the run `?1` in the queue.
fn entering() -> String {
    format!(
        "UPDATE run AS me SET round = {ROUND},
           place = (SELECT coalesce(max(place), 0) + 1 FROM run
                    WHERE holds = 0 AND entity IS NOT NULL AND blueprint IS me.blueprint AND entity = me.entity),
           holds = CASE
             WHEN me.holds = 1 OR me.entity IS NULL THEN 1
             WHEN EXISTS (SELECT 1 FROM run WHERE holds = 0 AND entity IS NOT NULL
                            AND blueprint IS me.blueprint AND entity = me.entity) THEN 0
             WHEN EXISTS (SELECT 1 FROM run WHERE holds = 1 AND entity IS NOT NULL
                            AND blueprint IS me.blueprint AND entity = me.entity
                            AND serial >= 1 - me.serial) THEN 0
             ELSE 1 END
         WHERE id = ?1"
    )
}

/// The first of those that wait for an entity.
const FRONT: &str = "SELECT sequence, serial FROM run
     WHERE holds = 0 AND entity IS NOT NULL AND blueprint IS ?1 AND entity = ?2 ORDER BY place LIMIT 1";

/// Whether somebody has the entity who does not share it with such a run.
const TAKEN: &str = "SELECT 1 FROM run
     WHERE holds = 1 AND entity IS NOT NULL AND blueprint IS ?1 AND entity = ?2 AND serial >= ?3 LIMIT 1";

/// How many runs may be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// In all.
    pub runs: usize,
    /// At work at once, of one plugin; absent: any number.
    pub per_plugin: Option<u32>,
}

impl From<usize> for Room {
    fn from(runs: usize) -> Self {
        Self {
            runs,
            per_plugin: None,
        }
    }
}

/// How many runs are queued, whether they wait for a worker, for a place or for their entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLength {
    /// Of everybody.
    pub all: u64,
    /// Of one person.
    pub own: u64,
}

/// What a run's place in the queue depends on, as its action and its asker have it.
pub(super) struct Standing {
    pub(super) lane: String,
    pub(super) places: Option<u32>,
    pub(super) is_serial: bool,
    pub(super) priority: i32,
    pub(super) team: String,
}

impl Standing {
    pub(super) fn of(actor: &Actor, new: &NewRun) -> Self {
        let engine = new.definition.engine();
        // The letters keep an action apart from a plugin, and a team from a person, of the same name.
        let lane = match engine.concurrency {
            Some(_) => format!("a:{}", new.definition.identifier),
            None => format!("p:{}", plugin_of(&new.definition)),
        };
        let team = match actor.teams.first() {
            Some(team) => format!("t:{team}"),
            None => format!("n:{}", actor.name),
        };
        Self {
            lane,
            places: engine.concurrency,
            is_serial: engine.per_entity.unwrap_or_default() == PerEntity::Serial,
            priority: engine.priority.unwrap_or(0),
            team,
        }
    }
}

/// What carries the runs of an action out.
pub(super) fn plugin_of(action: &Action) -> &PluginName {
    let InvocationMethod::Plugin { plugin, .. } = &action.invocation_method;
    plugin
}

/// The first run of a lane.
pub(super) struct Head {
    sequence: i64,
    pub(super) id: String,
    lane: String,
    priority: i64,
    round: i64,
    team: String,
    action: String,
    plugin: String,
    places: Option<u32>,
    is_serial: bool,
    subject: Subject,
}

/// The entity that a run works on, as its row has it.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    blueprint: Sql,
    entity: Sql,
}

impl Subject {
    /// Of a run that works on an entity.
    pub(super) fn of(blueprint: Option<&str>, entity: &str) -> Self {
        Self {
            blueprint: blueprint.map_or(Sql::Null, |text| Sql::Text(text.to_owned())),
            entity: Sql::Text(entity.to_owned()),
        }
    }
}

impl Head {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            sequence: row.get(0)?,
            id: row.get(1)?,
            lane: row.get(2)?,
            priority: row.get(3)?,
            round: row.get(4)?,
            team: row.get(5)?,
            action: row.get(6)?,
            plugin: row.get(7)?,
            places: row.get(8)?,
            is_serial: row.get(9)?,
            subject: Subject {
                blueprint: row.get(10)?,
                entity: row.get(11)?,
            },
        })
    }
}

impl ReadTx<'_> {
    /// Whether any run could be claimed that stands in a lane, as far as its entity is concerned.
    pub fn has_ready(&self) -> Result<bool, Error> {
        Ok(self
            .connection
            .prepare_cached("SELECT 1 FROM run WHERE state = 'queued' AND holds = 1 LIMIT 1")?
            .exists([])?)
    }

    /// How many runs are queued.
    pub fn find_queue_length(&self, caller: &str) -> Result<QueueLength, Error> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT runs FROM queue_length WHERE caller = ?1")?;
        let mut count = |caller: &str| -> Result<u64, Error> {
            let runs: Option<i64> = statement.query_row([caller], |row| row.get(0)).optional()?;
            Ok(runs.unwrap_or(0).unsigned_abs())
        };
        Ok(QueueLength {
            all: count("")?,
            own: count(caller)?,
        })
    }

    /// The run that is to be carried out next; nothing where none can be now.
    pub(super) fn find_next(&self, room: Room) -> Result<Option<Head>, Error> {
        let by_age = self.is_turn_of_oldest()?;
        let mut statement = self
            .connection
            .prepare_cached(&first_of_next_lane(by_age))?;
        let mut best: Option<(Head, Option<i64>)> = None;
        let mut passed = String::new();
        // Each look skips the rest of a lane.
        while let Some(head) = statement.query_row([&passed], Head::read).optional()? {
            passed.clone_from(&head.lane);
            if !self.has_place(&head, room)? {
                continue;
            }
            let Some((other, served)) = &mut best else {
                best = Some((head, None));
                continue;
            };
            if by_age {
                if head.sequence < other.sequence {
                    best = Some((head, None));
                }
                continue;
            }
            // When a team had its turn matters only where there is a choice.
            let theirs = match *served {
                Some(served) => served,
                None => self.find_served(&other.team)?,
            };
            *served = Some(theirs);
            let ours = self.find_served(&head.team)?;
            let key = |head: &Head, served| (-head.priority, served, head.sequence);
            if key(&head, ours) < key(other, theirs) {
                best = Some((head, Some(ours)));
            }
        }
        Ok(best.map(|(head, _)| head))
    }

    /// Whether the next claim is for the run that was accepted first. Which claims are is fixed, but has no rhythm that
    /// anything else could fall in with.
    fn is_turn_of_oldest(&self) -> Result<bool, Error> {
        let last: Option<i64> = self
            .connection
            .prepare_cached("SELECT max(token) FROM attempt")?
            .query_row([], |row| row.get(0))?;
        let mixed = last
            .unwrap_or(0)
            .unsigned_abs()
            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        // The upper bits are the mixed ones; without any attempt it is nobody's turn.
        Ok(last.is_some() && (mixed >> 32).is_multiple_of(OLDEST))
    }

    fn has_place(&self, head: &Head, room: Room) -> Result<bool, Error> {
        if let Some(places) = head.places {
            let count: u32 = self
                .connection
                .prepare_cached("SELECT count(*) FROM run WHERE state = 'running' AND action = ?1")?
                .query_row([&head.action], |row| row.get(0))?;
            if count >= places {
                return Ok(false);
            }
        }
        if let Some(most) = room.per_plugin {
            let count: u32 = self
                .connection
                .prepare_cached("SELECT count(*) FROM run WHERE state = 'running' AND plugin = ?1")?
                .query_row([&head.plugin], |row| row.get(0))?;
            return Ok(count < most);
        }
        Ok(true)
    }

    /// The number of the last attempt that was a turn of the team.
    fn find_served(&self, team: &str) -> Result<i64, Error> {
        let token = self
            .connection
            .prepare_cached("SELECT token FROM served WHERE team = ?1")?
            .query_row([team], |row| row.get(0))
            .optional()?;
        Ok(token.unwrap_or(0))
    }
}

impl WriteTx<'_> {
    /// Puts a run that is queued from now on in its lane, or behind those that wait for its entity. One that has its entity
    /// already keeps it.
    pub(super) fn enter_queue(&self, id: &RunId) -> Result<(), Error> {
        self.connection
            .prepare_cached(&entering())?
            .execute([id.as_str()])?;
        Ok(())
    }

    /// Gives an entity to those that have waited for it the longest, as far as they can have it.
    pub(super) fn promote(&self, subject: &Subject) -> Result<(), Error> {
        for _ in 0..PROMOTED {
            let front: Option<(i64, i64)> = self
                .connection
                .prepare_cached(FRONT)?
                .query_row(params![subject.blueprint, subject.entity], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?;
            let Some((sequence, serial)) = front else {
                return Ok(());
            };
            let is_taken = self.connection.prepare_cached(TAKEN)?.exists(params![
                subject.blueprint,
                subject.entity,
                1 - serial
            ])?;
            if is_taken {
                return Ok(());
            }
            self.connection
                .prepare_cached(&format!(
                    "UPDATE run AS me SET holds = 1, place = NULL, round = {ROUND} WHERE sequence = ?1"
                ))?
                .execute([sequence])?;
        }
        Ok(())
    }

    /// Keeps in mind whose turn it was, once its run was claimed.
    pub(super) fn pass_turn(&self, head: &Head, claim: &Claim) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO turn (lane, priority, team, round) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO UPDATE SET round = max(round, excluded.round)",
            )?
            .execute(params![head.lane, head.priority, head.team, head.round])?;
        self.connection
            .prepare_cached(
                "DELETE FROM turn WHERE lane = ?1 AND priority = ?2 AND team IN (
                   SELECT team FROM turn WHERE lane = ?1 AND priority = ?2 AND round < ?3 LIMIT ?4)",
            )?
            .execute(params![head.lane, head.priority, head.round, CLEARED])?;
        self.connection
            .prepare_cached(
                "INSERT INTO served (team, token) VALUES (?1, ?2)
                 ON CONFLICT DO UPDATE SET token = excluded.token",
            )?
            .execute(params![
                head.team,
                i64::try_from(claim.token).unwrap_or(i64::MAX)
            ])?;
        if !head.is_serial && head.subject.entity != Sql::Null {
            self.promote(&head.subject)?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) fn statements() -> [String; 4] {
    [
        first_of_next_lane(false),
        first_of_next_lane(true),
        entering(),
        format!("SELECT ({FRONT}), ({TAKEN})").replacen("sequence, serial", "sequence", 1),
    ]
}
