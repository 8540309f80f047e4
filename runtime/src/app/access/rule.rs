//! What a credential and the one who gets it must be like.

use std::collections::HashSet;

use super::{AccessError, NewPrincipal, secret, subject};
use crate::model::{Actor, EntityId, PrincipalKind, Violation};

/// Shortest secret taken from the environment. Those made here have 43 characters; this only stops `admin`.
const SHORTEST_SECRET: usize = 16;

/// Longest public half of a credential, in bytes.
const LONGEST_CLIENT_ID: usize = 200;

/// Teams that one principal can be in; every request carries them along.
const MOST_TEAMS: usize = 200;

/// Characters of the name of a team.
const LONGEST_TEAM: usize = 100;

pub(super) fn check_new(new: &NewPrincipal) -> Result<(), AccessError> {
    let mut violations = Vec::new();
    let printable = new
        .name
        .chars()
        .all(|c| !c.is_control() && !c.is_whitespace());
    match new.kind {
        PrincipalKind::User => {
            let parts = new.name.split_once('@');
            let address = parts.is_some_and(|(local, domain)| {
                !local.is_empty() && !domain.is_empty() && !domain.contains('@')
            });
            // A user is an entity too, and named like one.
            let named = EntityId::parse(new.name.as_str()).is_ok();
            if !address || !printable || !named || new.name.len() > 254 {
                let message =
                    "use an e-mail address of at most 254 letters, digits and @ _ . + : = -";
                violations.push(Violation::new("/email", "format", message));
            }
        }
        PrincipalKind::App => {
            // Without `@`, so that no program can pass for a person; `goldenpath` is the portal itself.
            let allowed = |c: char| c.is_alphanumeric() || "._:-".contains(c);
            if new.name.is_empty()
                || new.name.chars().count() > 100
                || !new.name.chars().all(allowed)
                || new.name == Actor::system().name
            {
                let message = "use 1 to 100 letters, digits and . _ : -, and not `goldenpath`";
                violations.push(Violation::new("/name", "pattern", message));
            }
        }
    }
    check_teams("/teams", &new.teams, &mut violations);
    if violations.is_empty() {
        return Ok(());
    }
    Err(AccessError::Invalid {
        subject: subject(new.kind, &new.name),
        violations,
    })
}

pub(super) fn check_teams(path: &str, teams: &[String], violations: &mut Vec<Violation>) {
    if teams.len() > MOST_TEAMS {
        let message = format!("name at most {MOST_TEAMS} teams");
        violations.push(Violation::new(path, "maxItems", message));
        return;
    }
    for (index, team) in teams.iter().enumerate() {
        // A team is an entity too, and named like one.
        if team.chars().count() > LONGEST_TEAM || EntityId::parse(team.as_str()).is_err() {
            let message = format!("use 1 to {LONGEST_TEAM} letters, digits and @ _ . + : \\ / = -");
            let path = format!("{path}/{index}");
            violations.push(Violation::new(path, "identifier", message));
        }
    }
}

/// Each team once, where it stands first.
pub(super) fn distinct(mut teams: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    teams.retain(|team| seen.insert(team.clone()));
    teams
}

pub(super) fn check_given(client_id: &str, secret: &str) -> Result<(), AccessError> {
    let mut violations = Vec::new();
    let visible = client_id.bytes().all(|c| c.is_ascii_graphic());
    if client_id.is_empty() || client_id.len() > LONGEST_CLIENT_ID || !visible {
        let message = "use 1 to 200 visible ASCII characters";
        violations.push(Violation::new("/clientId", "pattern", message));
    }
    if !(SHORTEST_SECRET..=secret::LONGEST).contains(&secret.len()) {
        let message = "use 16 to 1024 characters; `openssl rand -hex 32` makes good ones";
        violations.push(Violation::new("/clientSecret", "minLength", message));
    }
    if violations.is_empty() {
        return Ok(());
    }
    Err(AccessError::Invalid {
        subject: "the bootstrap credential".to_owned(),
        violations,
    })
}
