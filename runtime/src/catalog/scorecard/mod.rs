//! Scorecards: the rules that they have to keep, and what they say of entities.

mod card;
mod parse;

use std::collections::HashSet;

use serde_json::Value;

use super::derived::{Before, Graph};
use super::schema::shorten;
use super::{Applied, Catalog, Error, Placed, blueprint, query};
use crate::model::{Actor, AuditEntry, BlueprintId, Scorecard, Stamped, Subject, Verb, Violation};
use crate::store::{self, BlueprintKey, BlueprintRow, ReadTx, ScorecardRow, WriteTx};

pub(super) use card::{Card, CardNow, show};
pub use parse::parse_scorecard;

/// Scorecards of one blueprint.
const MAX_SCORECARDS: usize = 100;

/// What a write of a scorecard expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// It is not there.
    Absent,
    /// It is there.
    Present,
    /// Either.
    Anything,
}

impl Catalog {
    /// The scorecards of a blueprint, or of all of them.
    pub async fn list_scorecards(
        &self,
        blueprint: Option<&BlueprintId>,
    ) -> Result<Vec<Stamped<Scorecard>>, Error> {
        let blueprint = blueprint.cloned();
        self.store
            .read(move |tx| {
                let key = match blueprint {
                    Some(id) => Some(blueprint::find(tx, &id)?.key),
                    None => None,
                };
                tx.list_scorecards(key)?.iter().map(read).collect()
            })
            .await
    }

    /// One scorecard.
    pub async fn find_scorecard(
        &self,
        blueprint: &BlueprintId,
        identifier: &str,
    ) -> Result<Stamped<Scorecard>, Error> {
        let (blueprint, identifier) = (blueprint.clone(), identifier.to_owned());
        self.store
            .read(move |tx| {
                let row = blueprint::find(tx, &blueprint)?;
                read(&find(tx, &row, &blueprint, &identifier)?)
            })
            .await
    }

    /// Adds a scorecard.
    pub async fn create_scorecard(
        &self,
        actor: &Actor,
        scorecard: Scorecard,
    ) -> Result<Stamped<Scorecard>, Error> {
        self.write_scorecard(actor, scorecard, Expect::Absent).await
    }

    /// Puts another scorecard in place of a stored one.
    pub async fn replace_scorecard(
        &self,
        actor: &Actor,
        scorecard: Scorecard,
    ) -> Result<Stamped<Scorecard>, Error> {
        self.write_scorecard(actor, scorecard, Expect::Present)
            .await
    }

    async fn write_scorecard(
        &self,
        actor: &Actor,
        scorecard: Scorecard,
        expect: Expect,
    ) -> Result<Stamped<Scorecard>, Error> {
        let actor = actor.clone();
        self.store
            .write(move |tx| {
                let before = Before::of(tx)?;
                save(tx, &actor, &scorecard, expect)?;
                before.queue(tx)?;
                reread(tx, &scorecard)
            })
            .await
    }

    /// Adds or replaces several scorecards of one blueprint, all of them or none.
    pub async fn put_scorecards(
        &self,
        actor: &Actor,
        blueprint: &BlueprintId,
        scorecards: Vec<Scorecard>,
    ) -> Result<Vec<Stamped<Scorecard>>, Error> {
        let (actor, blueprint) = (actor.clone(), blueprint.clone());
        self.store
            .write(move |tx| {
                let key = blueprint::find(tx, &blueprint)?.key;
                let before = Before::of(tx)?;
                for scorecard in &scorecards {
                    save(tx, &actor, scorecard, Expect::Anything)?;
                }
                before.queue(tx)?;
                tx.list_scorecards(Some(key))?.iter().map(read).collect()
            })
            .await
    }

    /// Removes a scorecard, and its results from the entities.
    pub async fn delete_scorecard(
        &self,
        actor: &Actor,
        blueprint: &BlueprintId,
        identifier: &str,
    ) -> Result<(), Error> {
        let (actor, blueprint) = (actor.clone(), blueprint.clone());
        let identifier = identifier.to_owned();
        self.store
            .write(move |tx| {
                let before = Before::of(tx)?;
                delete(tx, &actor, &blueprint, &identifier)?;
                before.queue(tx)
            })
            .await
    }
}

impl Catalog {
    /// As [`Self::list_scorecards`], on a caller's snapshot.
    pub fn list_scorecards_in(
        &self,
        tx: &ReadTx<'_>,
        blueprint: &BlueprintId,
    ) -> Result<Vec<Scorecard>, Error> {
        let key = blueprint::find(tx, blueprint)?.key;
        let rows = tx.list_scorecards(Some(key))?;
        rows.iter().map(|row| Ok(read(row)?.value)).collect()
    }

    /// Puts scorecards in place within a caller's transaction, after the blueprints that they belong to, and notes what
    /// became of each. An `Err` must undo it.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every rule that the first refused one breaks.
    pub fn apply_scorecards_in(
        &self,
        tx: &WriteTx<'_>,
        actor: &Actor,
        scorecards: &[Placed<Scorecard>],
        applied: &mut Applied,
    ) -> Result<(), Error> {
        if scorecards.is_empty() {
            return Ok(());
        }
        let before = Before::of(tx)?;
        let mut seen = HashSet::new();
        for Placed { at, value } in scorecards {
            let subject = name(&value.blueprint, &value.identifier);
            let outcome = if !seen.insert((&value.blueprint, &value.identifier)) {
                let message = "another document is the same scorecard; keep one of them";
                Err(vec![Violation::new("/identifier", "unique", message)])
            } else if tx.find_blueprint(&value.blueprint)?.is_none() {
                let message = format!(
                    "blueprint `{}` does not exist, here or in the catalog",
                    value.blueprint
                );
                Err(vec![Violation::new("/blueprint", "relation", message)])
            } else {
                match save(tx, actor, value, Expect::Anything) {
                    Ok(was) => Ok(was),
                    Err(Error::Invalid { violations, .. }) => Err(violations),
                    Err(other) => return Err(other),
                }
            };
            match outcome {
                Ok(was) => {
                    let label = format!("scorecard {}/{}", value.blueprint, value.identifier);
                    applied.note(label, was.as_ref(), value)?;
                }
                Err(violations) => {
                    let violations = violations.into_iter().map(|violation| Violation {
                        path: format!("{at}{}", violation.path),
                        message: format!("{subject}: {}", violation.message),
                        ..violation
                    });
                    return Err(Error::Invalid {
                        violations: violations.collect(),
                        subject,
                    });
                }
            }
        }
        before.queue(tx)
    }

    /// Removes scorecards in a caller's transaction: an `Err` must undo it.
    pub fn prune_scorecards_in(
        &self,
        tx: &WriteTx<'_>,
        actor: &Actor,
        scorecards: &[(BlueprintId, String)],
    ) -> Result<(), Error> {
        let before = Before::of(tx)?;
        for (blueprint, identifier) in scorecards {
            delete(tx, actor, blueprint, identifier)?;
        }
        before.queue(tx)
    }
}

fn delete(
    tx: &WriteTx<'_>,
    actor: &Actor,
    blueprint: &BlueprintId,
    identifier: &str,
) -> Result<(), Error> {
    let row = blueprint::find(tx, blueprint)?;
    let was = read(&find(tx, &row, blueprint, identifier)?)?.value;
    tx.delete_scorecard(row.key, identifier)?;
    audit(tx, actor, Verb::Delete, Some(&was), None)
}

/// Adds or replaces a scorecard, and gives back what it was. Whoever calls has the blueprint's entities queued.
pub(super) fn save(
    tx: &WriteTx<'_>,
    actor: &Actor,
    scorecard: &Scorecard,
    expect: Expect,
) -> Result<Option<Scorecard>, Error> {
    let row = blueprint::find(tx, &scorecard.blueprint)?;
    let known = tx.list_scorecards(Some(row.key))?;
    let known: Vec<Scorecard> = known
        .iter()
        .map(|row| Ok(read(row)?.value))
        .collect::<Result<_, Error>>()?;
    let mut known = known;
    let was = known
        .iter()
        .position(|one| one.identifier == scorecard.identifier);
    let was = was.map(|index| known.swap_remove(index));
    match (expect, &was) {
        (Expect::Absent, Some(_)) => {
            return Err(Error::Conflict {
                code: "already_exists",
                message: format!(
                    "{} exists already",
                    name(&scorecard.blueprint, &scorecard.identifier)
                ),
            });
        }
        (Expect::Present, None) => {
            return Err(Error::NotFound(name(
                &scorecard.blueprint,
                &scorecard.identifier,
            )));
        }
        _ => {}
    }
    if was.as_ref() == Some(scorecard) {
        return Ok(was);
    }
    let mut violations = check(tx, scorecard)?;
    if was.is_none() && known.len() >= MAX_SCORECARDS {
        let message = format!("a blueprint has at most {MAX_SCORECARDS} scorecards");
        violations.push(Violation::new("", "maxItems", message));
    }
    if violations.is_empty() {
        tx.upsert_scorecard(row.key, scorecard, &actor.name)?;
        let faults = Graph::load(tx)?.scorecard_faults(&scorecard.blueprint, &scorecard.identifier);
        violations.extend(faults);
    }
    if !violations.is_empty() {
        return Err(Error::Invalid {
            subject: name(&scorecard.blueprint, &scorecard.identifier),
            violations,
        });
    }
    let verb = if was.is_some() {
        Verb::Update
    } else {
        Verb::Create
    };
    audit(tx, actor, verb, was.as_ref(), Some(scorecard))?;
    Ok(was)
}

/// What the rules look at has to be there: a misspelt name would fail every entity for ever.
fn check(tx: &WriteTx<'_>, scorecard: &Scorecard) -> Result<Vec<Violation>, Error> {
    let graph = Graph::load(tx)?;
    let Some(plan) = graph.plan_of(&scorecard.blueprint) else {
        return Ok(Vec::new());
    };
    let places = scorecard.rules.iter().enumerate();
    let places = places.map(|(index, rule)| (format!("/rules/{index}/query"), &rule.query));
    let filter = scorecard
        .filter
        .iter()
        .map(|filter| ("/filter".to_owned(), filter));
    let mut found = Vec::new();
    let mut told = HashSet::new();
    for (path, document) in filter.chain(places) {
        // It was read before; what does not read now has no subjects.
        let Ok(query) = query::parse_conditions(document, &path) else {
            continue;
        };
        let conditions = super::derived::Conditions::new(query);
        for subject in conditions.subjects() {
            let (what, name) = match subject {
                Subject::Property(name) if !plan.has_property(name) => ("property", name),
                Subject::Relation(name) if !plan.has_relation(name) => ("relation", name),
                _ => continue,
            };
            if told.insert((path.clone(), name.clone())) {
                let message = format!(
                    "`{}` is not a {what} of blueprint `{}`",
                    shorten(name),
                    scorecard.blueprint
                );
                found.push(Violation::new(path.clone(), what, message));
            }
        }
    }
    Ok(found)
}

fn find(
    tx: &ReadTx<'_>,
    row: &BlueprintRow,
    blueprint: &BlueprintId,
    identifier: &str,
) -> Result<ScorecardRow, Error> {
    let found = tx.find_scorecard(row.key, identifier)?;
    found.ok_or_else(|| Error::NotFound(name(blueprint, &shorten(identifier))))
}

/// Changes what the scorecards of a blueprint ask of its entities.
pub(super) fn edit_queries(
    tx: &WriteTx<'_>,
    actor: &Actor,
    blueprint: BlueprintKey,
    edit: impl Fn(&mut Value),
) -> Result<(), Error> {
    for row in tx.list_scorecards(Some(blueprint))? {
        let before = read(&row)?.value;
        let mut after = before.clone();
        after.filter.iter_mut().for_each(&edit);
        after
            .rules
            .iter_mut()
            .for_each(|rule| edit(&mut rule.query));
        if after != before {
            tx.upsert_scorecard(blueprint, &after, &actor.name)?;
            audit(tx, actor, Verb::Update, Some(&before), Some(&after))?;
        }
    }
    Ok(())
}

fn read(row: &ScorecardRow) -> Result<Stamped<Scorecard>, Error> {
    let value =
        serde_json::from_str(&row.document).map_err(|e| store::Error::corrupt("scorecard", e))?;
    Ok(Stamped {
        value,
        stamp: row.stamp.clone(),
    })
}

fn reread(tx: &WriteTx<'_>, scorecard: &Scorecard) -> Result<Stamped<Scorecard>, Error> {
    let row = blueprint::find(tx, &scorecard.blueprint)?;
    read(&find(
        tx,
        &row,
        &scorecard.blueprint,
        &scorecard.identifier,
    )?)
}

fn name(blueprint: &BlueprintId, identifier: &str) -> String {
    format!("scorecard `{identifier}` of blueprint `{blueprint}`")
}

fn audit(
    tx: &WriteTx<'_>,
    actor: &Actor,
    verb: Verb,
    before: Option<&Scorecard>,
    after: Option<&Scorecard>,
) -> Result<(), Error> {
    let Some(subject) = after.or(before) else {
        return Ok(());
    };
    let json = |scorecard: Option<&Scorecard>| {
        let value = scorecard.map(serde_json::to_value).transpose();
        value.map_err(|e| store::Error::corrupt("scorecard", e))
    };
    tx.insert_audit(&AuditEntry {
        actor,
        verb,
        resource: "scorecard",
        identifier: format!("{}/{}", subject.blueprint, subject.identifier),
        before: json(before)?,
        after: json(after)?,
    })?;
    Ok(())
}
