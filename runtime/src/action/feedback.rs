//! What people say of runs that have ended.

use serde_json::json;

use super::{Actions, Error, run};
use crate::model::{Actor, AuditEntry, Feedback, RunId, Verb, Violation};
use crate::store;

/// Characters of a comment.
const LONGEST: usize = 2_000;

impl Actions {
    /// What was said of a run, by person. Whoever asks may see the run.
    pub async fn list_feedback(&self, run: &RunId) -> Result<Vec<Feedback>, Error> {
        let run = run.clone();
        let found = self.inner.store.read(move |tx| tx.list_feedback(&run));
        Ok(found.await?)
    }

    /// Writes down what whoever asked for a run says of it, in place of what they said before.
    ///
    /// # Errors
    /// There is no such run for them, it is somebody else's, it has not ended, or the feedback breaks rules.
    pub async fn give_feedback(
        &self,
        actor: &Actor,
        id: &RunId,
        score: i64,
        comment: Option<String>,
    ) -> Result<Feedback, Error> {
        let found = self.find_run(actor, id).await?;
        let conflict = |code, message: &str| Error::Conflict {
            code,
            message: message.to_owned(),
        };
        if found.created_by != actor.name {
            let message = "only whoever asked for a run says how it was";
            return Err(Error::Forbidden {
                message: message.to_owned(),
                reasons: Vec::new(),
            });
        }
        if !found.state.is_terminal() {
            let message = "the run has not ended yet; say how it was when it has";
            return Err(conflict("not_ended", message));
        }
        let (score, comment) = check(score, comment)?;
        let (id, actor) = (id.clone(), actor.clone());
        let written = self.inner.store.write(move |tx| {
            let before = tx.list_feedback(&id)?;
            let before = before.into_iter().find(|known| known.person == actor.name);
            let feedback = Feedback {
                person: actor.name.clone(),
                score,
                comment,
                at: tx.now,
            };
            tx.put_feedback(&id, &feedback)?;
            tx.insert_audit(&AuditEntry {
                actor: &Actor {
                    run: Some(id.clone()),
                    ..actor
                },
                verb: Verb::Update,
                resource: run::RESOURCE,
                identifier: id.to_string(),
                before: before.map(|before| json!({ "feedback": before })),
                after: Some(json!({ "feedback": feedback })),
            })?;
            Ok::<_, store::Error>(feedback)
        });
        Ok(written.await?)
    }
}

fn check(score: i64, comment: Option<String>) -> Result<(u8, Option<String>), Error> {
    let comment = comment.filter(|comment| !comment.trim().is_empty());
    let mut violations = Vec::new();
    let given = u8::try_from(score).ok().filter(|s| (1..=5).contains(s));
    if given.is_none() {
        violations.push(Violation::new(
            "/score",
            "range",
            "it is 1, bad, to 5, good",
        ));
    }
    if comment
        .as_ref()
        .is_some_and(|text| text.chars().count() > LONGEST)
    {
        let message = format!("it has at most {LONGEST} characters");
        violations.push(Violation::new("/comment", "maxLength", message));
    }
    match given {
        Some(score) if violations.is_empty() => Ok((score, comment)),
        _ => Err(Error::Invalid {
            subject: "the feedback".to_owned(),
            violations,
        }),
    }
}
