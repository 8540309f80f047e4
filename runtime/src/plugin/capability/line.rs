//! Canonical lines, read back. Equal powers have equal lines, so that a set of lines is compared, searched and diffed as
//! text; whatever is not written exactly so is refused, with the spelling that would do.

use std::fmt;

use super::http::{METHODS, Origin, PathPattern, is_query_key};
use super::{Capability, CatalogAccess, FilesAccess, Place, is_name, is_writable};
use crate::model::{ActionId, BlueprintId};
use crate::plugin::budget::{Budget, parse_size};

/// Longer lines than a manifest can make: a path of 4 KiB, or some hundred names.
const LINE_BYTES: usize = 16 << 10;

/// One line of a manifest, a grant or a ceiling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A power.
    Capability(Capability),
    /// At most so much of a budget, in its own unit.
    Limit(Budget, u64),
}

impl Line {
    /// Reads a canonical line.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > LINE_BYTES {
            return Err("no line is that long".to_owned());
        }
        let line = read(text)?;
        let canonical = line.to_string();
        if canonical == text {
            Ok(line)
        } else {
            Err(format!("write it as `{canonical}`"))
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capability(capability) => write!(f, "{capability}"),
            Self::Limit(budget, value) => {
                write!(f, "limit {} {}", budget.key(), budget.render(*value))
            }
        }
    }
}

/// The words of a line, one after the other.
struct Words<'a>(std::iter::Peekable<std::str::Split<'a, char>>);

impl<'a> Words<'a> {
    fn next(&mut self, what: &str) -> Result<&'a str, String> {
        let word = self.0.next().filter(|word| !word.is_empty());
        word.ok_or_else(|| format!("{what} is missing"))
    }

    /// Whether the next word is this one; if so it is taken.
    fn takes(&mut self, word: &str) -> bool {
        self.0.next_if(|next| *next == word).is_some()
    }

    fn expect(&mut self, word: &str) -> Result<(), String> {
        match self.takes(word) {
            true => Ok(()),
            false => Err(format!("`{word}` is missing")),
        }
    }

    fn end(mut self) -> Result<(), String> {
        match self.0.next() {
            None => Ok(()),
            Some(word) => Err(format!("`{}` does not belong here", shown(word))),
        }
    }
}

fn read(text: &str) -> Result<Line, String> {
    let mut words = Words(text.split(' ').peekable());
    let line = match words.next("the kind")? {
        "catalog" => Line::Capability(catalog(&mut words)?),
        "clock" => Line::Capability(Capability::Clock),
        "files" => Line::Capability(files(&mut words)?),
        "http" => Line::Capability(http(&mut words)?),
        "limit" => limit(&mut words)?,
        "random" => Line::Capability(Capability::Random),
        "run-action" => {
            let action =
                ActionId::parse(words.next("the action")?).map_err(|error| error.to_string())?;
            Line::Capability(Capability::RunAction { action })
        }
        "secret" => {
            let name = name(words.next("the secret's name")?)?;
            Line::Capability(Capability::Secret { name })
        }
        "state" => Line::Capability(Capability::State),
        other => return Err(format!("there is no kind `{}`", shown(other))),
    };
    words.end()?;
    Ok(line)
}

fn catalog(words: &mut Words<'_>) -> Result<Capability, String> {
    let access = match words.next("the access")? {
        "read" => CatalogAccess::Read,
        "upsert" => CatalogAccess::Upsert,
        "delete" => CatalogAccess::Delete,
        other => {
            return Err(format!(
                "`{}` is none of read, upsert, delete",
                shown(other)
            ));
        }
    };
    let blueprint =
        BlueprintId::parse(words.next("the blueprint")?).map_err(|error| error.to_string())?;
    let limited = access == CatalogAccess::Upsert && words.takes("properties");
    let properties = match limited {
        true => Some(listed(words.next("the properties")?, is_writable)?),
        false => None,
    };
    Ok(Capability::Catalog {
        access,
        blueprint,
        properties,
    })
}

fn files(words: &mut Words<'_>) -> Result<Capability, String> {
    let access = match words.next("the access")? {
        "read" => FilesAccess::Read,
        "read-write" => FilesAccess::ReadWrite,
        other => return Err(format!("`{}` is none of read, read-write", shown(other))),
    };
    let folder = name(words.next("the folder's name")?)?;
    words.expect("max-bytes")?;
    let max_bytes = parse_size(words.next("the size")?)?;
    words.expect("max-files")?;
    let count = words.next("the number of files")?;
    let max_files = count
        .parse()
        .map_err(|_| format!("`{}` is not a whole number", shown(count)))?;
    Ok(Capability::Files {
        access,
        folder,
        max_bytes,
        max_files,
    })
}

fn http(words: &mut Words<'_>) -> Result<Capability, String> {
    let method = words.next("the method")?;
    if !METHODS.contains(&method) {
        return Err(format!(
            "`{}` is none of {}",
            shown(method),
            METHODS.join(", ")
        ));
    }
    let place = words.next("where to")?;
    let (to, path) = match place.split_once("://") {
        None => (Place::Endpoint(name(place)?), words.next("the path")?),
        Some((scheme, rest)) => {
            let slash = rest.find('/').ok_or("the path is missing")?;
            let (authority, path) = rest.split_at(slash);
            (Place::Origin(Origin::parse(scheme, authority)?), path)
        }
    };
    let path = PathPattern::parse(path)?;
    let query = match (words.takes("no-query"), words.takes("query")) {
        (true, _) => Some(Vec::new()),
        (_, true) => Some(listed(words.next("the keys")?, is_query_key)?),
        _ => None,
    };
    let secret = match words.takes("using") {
        true => Some(name(words.next("the secret's name")?)?),
        false => None,
    };
    let private = matches!(to, Place::Origin(_)) && words.takes("allow-private");
    Ok(Capability::Http {
        method: method.to_owned(),
        to,
        path,
        query,
        secret,
        private,
    })
}

fn limit(words: &mut Words<'_>) -> Result<Line, String> {
    let key = words.next("the budget")?;
    let budget = Budget::find(key).ok_or_else(|| format!("there is no budget `{}`", shown(key)))?;
    let value = budget.parse(words.next("the value")?)?;
    Ok(Line::Limit(budget, value))
}

/// Names with commas between them, each once, in order.
fn listed(text: &str, is_one: fn(&str) -> bool) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = text.split(',').map(str::to_owned).collect();
    if let Some(odd) = names.iter().find(|name| !is_one(name)) {
        return Err(format!("`{}` cannot stand in a list of names", shown(odd)));
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

fn name(text: &str) -> Result<String, String> {
    match is_name(text) {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "`{}` is not a name: use 1 to 63 lower-case letters, digits and -, a letter first",
            shown(text)
        )),
    }
}

/// The beginning of a text that somebody else chose, for a message.
fn shown(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_line_that_reads_back() {
        for text in [
            "catalog delete Component",
            "catalog read acme/Service",
            "catalog upsert Component properties $relations.system,$team,$title,language,url",
            "catalog upsert Component properties language,url",
            "clock",
            "files read-write services max-bytes 64MiB max-files 10000",
            "http DELETE git /repos/*/*/git/**",
            "http GET https://git.example.com/",
            "http GET https://git.example.com:8443/api/**",
            "http GET http://[::1]:8080/a%20b allow-private",
            "http GET git /items no-query",
            "http POST https://api.github.com/repos/*/*/git/** using github-token",
            "http POST git /x query page,per_page using token",
            "limit http-requests 0",
            "limit memory 64MiB",
            "limit wall-time 5m",
            "random",
            "run-action notify",
            "secret token",
            "state",
        ] {
            let line = Line::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!(line.to_string(), text);
        }
    }

    #[test]
    fn other_spellings_are_refused_with_the_right_one() {
        for (text, canonical) in [
            (
                "catalog upsert A properties b,a",
                "catalog upsert A properties a,b",
            ),
            (
                "http GET HTTPS://Git.example.com:443/x",
                "http GET https://git.example.com/x",
            ),
            ("http GET git /%61", "http GET git /a"),
            ("limit memory 1024KiB", "limit memory 1MiB"),
            ("limit wall-time 1m", "limit wall-time 60s"),
        ] {
            let why = Line::parse(text).unwrap_err();
            assert!(why.contains(canonical), "{text}: {why}");
        }
    }

    #[test]
    fn what_is_no_line_is_refused() {
        for text in [
            "",
            " ",
            "state ",
            " state",
            "state  state",
            "State",
            "teleport",
            "catalog",
            "catalog write A",
            "catalog read *",
            "catalog read A properties a",
            "catalog upsert A properties",
            "catalog upsert A properties a,,b",
            "catalog upsert A properties $identifier",
            "catalog upsert A properties $relations",
            "catalog upsert A properties $relations.",
            "catalog upsert A properties $relations.$team",
            "catalog upsert A properties title,$title",
            "files read ../x max-bytes 1B max-files 1",
            "files read x max-files 1 max-bytes 1B",
            "http GET",
            "http get git /",
            "http CONNECT git /",
            "http GET git",
            "http GET git x",
            "http GET git /a*",
            "http GET git /**/a",
            "http GET git / query",
            "http GET git / query a&b",
            "http GET git / query a no-query",
            "http GET git / allow-private",
            "http GET *.example.com /",
            "http GET https://*.example.com/",
            "http GET https://*/",
            "http GET https://user@git.example.com/",
            "http GET https://git.example.com",
            "http GET https://2130706433/",
            "http GET https://git.example.com/../x",
            "limit memory",
            "limit memory 1TiB",
            "limit memory -1B",
            "limit luck 7",
            "run-action",
            "secret Token",
            "no state",
        ] {
            assert!(Line::parse(text).is_err(), "{text}");
        }
    }
}
