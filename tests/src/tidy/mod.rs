//! Reads the project's own source and says where it breaks the rules of the house. Knows no test: the samples that
//! show that it can fail are below, the project itself is judged in `integration/tidy.rs`.

use std::fmt;
use std::path::{Path, PathBuf};

/// A file that no one can hold in mind at once hides a second concept.
const MAX_LINES: usize = 600;

/// Which of the library's modules a module may name, beside itself. `jq` and `trace` are leaves; `config` reads the environment for
/// the doors and for the composition root.
const FLOORS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("store", &["model"]),
    ("jq", &["model"]),
    ("trace", &[]),
    ("catalog", &["model", "store", "jq"]),
    ("plugin", &["model", "store", "jq", "catalog"]),
    (
        "action",
        &["model", "store", "jq", "trace", "catalog", "plugin"],
    ),
    ("config", &["model"]),
    (
        "app",
        &[
            "model", "store", "jq", "catalog", "plugin", "action", "config",
        ],
    ),
    (
        "api",
        &["model", "catalog", "plugin", "action", "jq", "trace", "app"],
    ),
    (
        "cli",
        &[
            "model", "catalog", "plugin", "action", "jq", "trace", "app", "config",
        ],
    ),
    ("main", &["cli"]),
];

/// Crates and paths that one part of the house keeps to itself, and the paths below `src` where they are at home.
const OWNED: &[(&str, &[&str])] = &[
    ("rusqlite", &["store/"]),
    ("wasmtime", &["plugin/"]),
    ("wasmtime_wasi", &["plugin/"]),
    ("wasmtime_wasi_http", &["plugin/"]),
    ("axum", &["api/"]),
    ("axum_server", &["cli/serve/", "cli/demo/"]),
    ("clap", &["cli/", "config/"]),
    ("jaq_core", &["jq/"]),
    ("jaq_json", &["jq/"]),
    ("jaq_std", &["jq/"]),
    ("std::env::var", &["config/"]),
    ("std::env::var_os", &["config/"]),
    ("std::env::vars", &["config/"]),
    ("std::env::vars_os", &["config/"]),
];

/// Where a door may call another: only what starts the server knows the routes, and the tests of the routes need a
/// portal that was opened as the server opens it.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("cli/serve/", "api"),
    ("cli/demo/", "api"),
    ("api/tests/", "config"),
];

/// One breach of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Below the top level of the project.
    pub file: PathBuf,
    /// Counted from 1; 0 means the whole file.
    pub line: usize,
    /// What is wrong and what would be right.
    pub rule: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.rule)
    }
}

/// Judges the imports of one source file of the runtime; `file` is its path below `runtime/src`.
pub fn check_floors(file: &Path, source: &str) -> Vec<Breach> {
    let shown = Path::new("runtime/src").join(file);
    let path = file.to_string_lossy().replace('\\', "/");
    let module = module_of(&path);
    if module == "lib" {
        return Vec::new();
    }
    let Some((_, allowed)) = FLOORS.iter().find(|(name, _)| *name == module) else {
        return vec![Breach {
            file: shown,
            line: 0,
            rule: format!("`{module}` stands on no floor; give it one in tests/src/tidy.rs"),
        }];
    };
    let mut breaches = Vec::new();
    let code = without_comments(source);
    for (line, named) in crate_paths(&code) {
        let excepted = EXCEPTIONS
            .iter()
            .any(|(from, to)| path.starts_with(from) && *to == named);
        if FLOORS.iter().any(|(name, _)| *name == named)
            && named != module
            && !allowed.contains(&named.as_str())
            && !excepted
        {
            breaches.push(Breach {
                file: shown.clone(),
                line,
                rule: format!(
                    "`{module}` may not know `{named}`: imports go downward only ({})",
                    allowed.join(", ")
                ),
            });
        }
    }
    for (line, depth) in climbs(&code) {
        if depth >= module_depth(&path) {
            breaches.push(Breach {
                file: shown.clone(),
                line,
                rule: "a path climbs out of its floor by `super::`; write it from `crate::`"
                    .to_owned(),
            });
        }
    }
    for (index, text) in code.lines().enumerate() {
        for (owned, homes) in OWNED {
            if names(text, owned) && !homes.iter().any(|home| path.starts_with(home)) {
                breaches.push(Breach {
                    file: shown.clone(),
                    line: index + 1,
                    rule: format!("only `{}` may know `{owned}`", homes.join("`, `")),
                });
            }
        }
    }
    breaches
}

/// Judges what holds for every Rust file: its length and that it says what it is.
pub fn check_file(file: &Path, source: &str) -> Vec<Breach> {
    let breach = |line, rule: String| Breach {
        file: file.to_owned(),
        line,
        rule,
    };
    let mut breaches = Vec::new();
    let lines = source.lines().count();
    if lines > MAX_LINES {
        breaches.push(breach(
            MAX_LINES,
            format!(
                "{lines} lines are more than {MAX_LINES}: look for the second concept and give it a file"
            ),
        ));
    }
    let first = source.lines().next().unwrap_or_default();
    let documented = first.starts_with("//!") || first.starts_with("#![doc = include_str!");
    // What a file of tests is, its name and its parent say.
    let is_tests = file
        .iter()
        .any(|part| part == "tests" || part == "tests.rs")
        && !file.starts_with("tests");
    if !documented && !is_tests {
        breaches.push(breach(
            1,
            "a file starts with `//!`: what lives here, and what never does".to_owned(),
        ));
    }
    breaches
}

/// Judges what holds for every text of the project: that it names no machine and no mirror.
pub fn check_text(file: &Path, text: &str) -> Vec<Breach> {
    // Put together here, so that this file does not hold what it looks for.
    let foreign = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/tmp", "/gp"),
        concat!("arti", "factory"),
        concat!("index.crates", ".io"),
        concat!("registry.npmjs", ".org"),
        concat!("pypi", ".org"),
        concat!("files.python", "hosted"),
    ];
    let mut breaches = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for word in foreign {
            if holds(line, word) {
                breaches.push(Breach {
                    file: file.to_owned(),
                    line: index + 1,
                    rule: format!("`{word}` belongs to one machine, not to the project"),
                });
            }
        }
    }
    breaches
}

/// Whether a line holds a word, where a path counts only from its root.
fn holds(line: &str, word: &str) -> bool {
    let line = line.to_ascii_lowercase();
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !word.starts_with('/') || !before.is_some_and(|c| c.is_alphanumeric() || "._-}".contains(c))
    })
}

/// `catalog/tests/entity.rs` belongs to `catalog`, `main.rs` to `main`.
fn module_of(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or_default();
    first.strip_suffix(".rs").unwrap_or(first)
}

/// How many modules deep a file stands: `catalog/mod.rs` 1, `catalog/tests/entity.rs` 3.
fn module_depth(path: &str) -> usize {
    let segments = path.split('/').count();
    match path.ends_with("/mod.rs") {
        true => segments - 1,
        false => segments,
    }
}

/// Blanks comments and the text of string literals, so that prose is not taken for code. Lines stay where they are.
fn without_comments(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut in_block = 0_usize;
    let mut in_string = false;
    let mut chars = source.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\n' {
            code.push('\n');
        } else if in_block > 0 {
            match (c, chars.peek()) {
                ('*', Some('/')) => {
                    chars.next();
                    in_block -= 1;
                }
                ('/', Some('*')) => {
                    chars.next();
                    in_block += 1;
                }
                _ => {}
            }
        } else if in_string {
            match c {
                '\\' => {
                    if chars.peek() == Some(&'\n') {
                        code.push('\n');
                    }
                    chars.next();
                }
                '"' => {
                    in_string = false;
                    code.push('"');
                }
                _ => {}
            }
        } else if c == '/' && chars.peek() == Some(&'*') {
            chars.next();
            in_block = 1;
        } else if c == '/' && chars.peek() == Some(&'/') {
            while chars.peek().is_some_and(|next| *next != '\n') {
                chars.next();
            }
        } else if c == '\'' {
            // A character literal may be a quote; a lifetime has no end.
            code.push(c);
            let mut ahead = chars.clone();
            let (first, second, third) = (ahead.next(), ahead.next(), ahead.next());
            if first == Some('\\') && third == Some('\'') {
                chars.nth(2);
            } else if second == Some('\'') {
                chars.nth(1);
            }
        } else if c == 'r' && matches!(chars.peek(), Some('"' | '#')) && !ends_in_word(&code) {
            skip_raw_string(&mut chars, &mut code);
        } else {
            in_string = c == '"';
            code.push(c);
        }
    }
    code
}

fn ends_in_word(code: &str) -> bool {
    code.chars()
        .next_back()
        .is_some_and(|c| c.is_alphanumeric() || c == '_')
}

/// Goes on behind a raw string, of which the `r` is taken already. A raw identifier is left as it is.
fn skip_raw_string(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, code: &mut String) {
    let mut hashes = 0;
    while chars.peek() == Some(&'#') {
        chars.next();
        hashes += 1;
    }
    if chars.peek() != Some(&'"') {
        return;
    }
    chars.next();
    let mut closing = None;
    for c in chars.by_ref() {
        match (c, closing) {
            ('"', _) => closing = Some(0),
            ('#', Some(seen)) => closing = Some(seen + 1),
            _ => closing = None,
        }
        if c == '\n' {
            code.push('\n');
        }
        if closing == Some(hashes) {
            return;
        }
    }
}

/// Every module of this crate that the code names by `crate::`, single or in braces, with its line.
fn crate_paths(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if ends_in_word(&code[..at]) || code[..at].ends_with('$') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => {
                for (offset, name) in group_heads(group) {
                    found.push((line + offset, name));
                }
            }
            None => found.push((line, identifier(rest))),
        }
    }
    found
}

/// The first identifier of each branch of a `{…}` whose opening brace is taken already, with its line offset.
fn group_heads(group: &str) -> Vec<(usize, String)> {
    let mut heads = Vec::new();
    let (mut depth, mut line, mut at_head) = (0, 0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_head = true,
            '\n' => line += 1,
            c if at_head && (c.is_alphabetic() || c == '_') => {
                heads.push((line, identifier(&group[at..])));
                at_head = false;
            }
            _ => {}
        }
    }
    heads
}

/// How far each chain of `super::` climbs, as seen from its file: code in an inline module climbs one less.
fn climbs(code: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let indented = usize::from(line.starts_with(' '));
        let mut rest = line;
        while let Some(at) = rest.find("super::") {
            let mut chain = &rest[at..];
            let mut depth = 0;
            while let Some(next) = chain.strip_prefix("super::") {
                depth += 1;
                chain = next;
            }
            // Without a syntax tree an inline module is known by its indentation, which rustfmt guarantees.
            found.push((index + 1, depth - indented.min(depth)));
            rest = chain;
        }
    }
    found
}

fn identifier(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// Whether a line of code names a path as a whole: `axum` but not `axum_server` or `my_axum`.
fn names(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let after = line[at + path.len()..].chars().next();
        let whole = !after.is_some_and(|c| c.is_alphanumeric() || c == '_');
        // A bare word is a crate only where a path follows it.
        let is_path = path.contains("::") || line[at + path.len()..].starts_with("::");
        whole && is_path && !ends_in_word(&line[..at]) && !line[..at].ends_with("crate::")
    })
}

#[cfg(test)]
mod tests;
