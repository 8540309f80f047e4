//! What a reviewer should look at twice: how much harm each line could do, and why.

use super::capability::line::Line;
use super::capability::{Capability, CatalogAccess, FilesAccess, Place};
use crate::model::{LineRisk, Risk};

/// Methods that change nothing at a server that keeps to the standard.
const READING: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

/// Marks a line; budgets have none, since the host bounds them.
pub(super) fn mark(line: &Line) -> Option<LineRisk> {
    let Line::Capability(capability) = line else {
        return None;
    };
    let reasons = reasons(capability);
    let risk = reasons
        .iter()
        .map(|(risk, _)| *risk)
        .max()
        .unwrap_or(Risk::Low);
    let why = reasons.into_iter().map(|(_, why)| why);
    Some(LineRisk {
        line: line.to_string(),
        risk,
        why: why.collect(),
    })
}

fn reasons(capability: &Capability) -> Vec<(Risk, String)> {
    let one = |risk, why: &str| vec![(risk, why.to_owned())];
    match capability {
        Capability::Catalog {
            access,
            blueprint,
            properties,
        } => {
            let mut reasons = match (access, properties) {
                (CatalogAccess::Read, _) => one(Risk::Low, "reads every entity of the blueprint"),
                (CatalogAccess::Delete, _) => {
                    one(Risk::High, "deletes any entity of the blueprint")
                }
                (CatalogAccess::Upsert, None) => one(
                    Risk::Medium,
                    "writes every property of any entity of the blueprint, and clears those that it leaves out",
                ),
                (CatalogAccess::Upsert, Some(_)) => one(
                    Risk::Medium,
                    "writes these parts of any entity of the blueprint, and adds entities",
                ),
            };
            if let Some(listed) = properties
                && listed.iter().any(|name| name == "$team")
            {
                reasons.push((
                    Risk::Medium,
                    "says which teams own an entity, and with it who may see and change it"
                        .to_owned(),
                ));
            }
            if blueprint.as_str().starts_with('_') {
                let risk = match access {
                    CatalogAccess::Read => Risk::Medium,
                    CatalogAccess::Upsert | CatalogAccess::Delete => Risk::High,
                };
                reasons.push((
                    risk,
                    "the blueprint is the portal's own: people and teams".to_owned(),
                ));
            }
            reasons
        }
        Capability::Clock => one(Risk::Low, "can tell how long something takes"),
        Capability::Files { access, .. } => match access {
            FilesAccess::Read => one(Risk::Low, "reads every file in the folder"),
            FilesAccess::ReadWrite => {
                one(Risk::Medium, "changes and removes any file in the folder")
            }
        },
        Capability::Http { .. } => http(capability),
        Capability::Random => one(Risk::Low, "does not do the same twice"),
        Capability::RunAction { .. } => one(
            Risk::Medium,
            "starts an action with that action's own power",
        ),
        Capability::Secret { .. } => one(
            Risk::High,
            "gets the secret's text itself, and can send it wherever it can send anything",
        ),
        Capability::State => one(Risk::Low, "keeps values from one run to the next"),
    }
}

fn http(capability: &Capability) -> Vec<(Risk, String)> {
    let Capability::Http {
        method,
        to,
        path,
        query,
        secret,
        private,
    } = capability
    else {
        return Vec::new();
    };
    let reads = READING.contains(&method.as_str());
    let literal = path.segments().iter().any(|segment| segment != "*");
    let wild = path.is_open() || path.segments().iter().any(|segment| segment == "*");
    let mut reasons = vec![match (reads, path.is_open(), literal) {
        (true, true, false) => (Risk::Medium, "reads every path of the place".to_owned()),
        (false, true, false) => (
            Risk::High,
            "changes anything at every path of the place".to_owned(),
        ),
        (true, _, _) if wild => (Risk::Medium, "reads whatever the pattern meets".to_owned()),
        (false, true, _) => (Risk::High, "changes anything below a path".to_owned()),
        (false, false, _) => (Risk::Medium, "changes something at the place".to_owned()),
        (true, _, _) => (Risk::Low, "reads one path".to_owned()),
    }];
    if query.is_none() {
        let why = "can tell the place anything that it knows, in the query";
        reasons.push((Risk::Low, why.to_owned()));
    }
    if let Some(secret) = secret {
        let why = format!("acts there with what `{secret}` may do");
        reasons.push((Risk::Medium, why));
    }
    if let Place::Origin(origin) = to
        && !origin.encrypted
    {
        let why = "unencrypted: whoever is on the way reads and changes it";
        reasons.push((Risk::High, why.to_owned()));
    }
    if *private {
        let why = "may go to inside addresses, where services trust their neighbours";
        reasons.push((Risk::High, why.to_owned()));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_marked_by_the_harm_that_they_could_do() {
        for (line, risk) in [
            ("catalog read Component", Risk::Low),
            ("catalog read _user", Risk::Medium),
            ("catalog upsert Component properties url", Risk::Medium),
            ("catalog upsert Component", Risk::Medium),
            ("catalog upsert _user properties url", Risk::High),
            ("catalog delete Component", Risk::High),
            ("clock", Risk::Low),
            ("files read a max-bytes 1B max-files 1", Risk::Low),
            ("files read-write a max-bytes 1B max-files 1", Risk::Medium),
            ("http GET git /user", Risk::Low),
            ("http GET git /repos/*", Risk::Medium),
            ("http GET git /**", Risk::Medium),
            ("http POST git /repos", Risk::Medium),
            ("http POST git /repos/**", Risk::High),
            ("http GET git /user using token", Risk::Medium),
            ("http GET http://git.example.com/user", Risk::High),
            (
                "http GET https://git.example.com/user allow-private",
                Risk::High,
            ),
            ("run-action notify", Risk::Medium),
            ("secret token", Risk::High),
            ("state", Risk::Low),
        ] {
            let marked = mark(&Line::parse(line).unwrap()).unwrap();
            assert_eq!(marked.risk, risk, "{line}: {:?}", marked.why);
            assert!(!marked.why.is_empty(), "{line}");
        }
        assert_eq!(mark(&Line::parse("limit memory 1MiB").unwrap()), None);
    }
}
