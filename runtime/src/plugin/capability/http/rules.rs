//! The granted HTTP lines, kept so that a request finds its own without a look at all others.
//!
//! What a line allows is said by [`HttpRule`] and [`PathPattern`]; the index only finds the same
//! lines in less time, and the tests hold it against a look at each of them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use super::url::{Origin, PathPattern};
use super::{Allowed, BoundSecret, HttpRule};
use crate::plugin::capability::{self, Capability};
use crate::plugin::secret::Redactor;

/// The longest path that is kept as what a line was used for.
const ACT_BYTES: usize = 256;

/// The lines of one grant, in its order. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    rules: Vec<HttpRule>,
    /// Made for the first request: most runs send none.
    index: OnceLock<Index>,
}

/// Where the lines are, by origin.
#[derive(Debug, Default)]
struct Index {
    places: HashMap<Origin, Place>,
}

#[derive(Debug, Default)]
struct Place {
    /// The beginnings of paths that endpoints here have, each with the first line below it.
    bases: Vec<(Vec<String>, usize)>,
    /// A tree of paths for each method, by its root.
    roots: HashMap<String, usize>,
    nodes: Vec<Node>,
}

/// What patterns have in common up to one segment.
#[derive(Debug, Default)]
struct Node {
    /// Nodes behind a literal segment.
    literal: HashMap<String, usize>,
    /// The node behind a segment that may be any.
    any: Option<usize>,
    /// Lines whose pattern ends here.
    closed: Vec<usize>,
    /// Lines that go on with any number of segments.
    open: Vec<usize>,
}

impl From<Vec<HttpRule>> for Rules {
    fn from(rules: Vec<HttpRule>) -> Self {
        Self {
            inner: Arc::new(Inner {
                rules,
                index: OnceLock::new(),
            }),
        }
    }
}

impl Deref for Rules {
    type Target = [HttpRule];

    fn deref(&self) -> &[HttpRule] {
        &self.inner.rules
    }
}

impl Rules {
    /// The lines of a method, an origin and a path, each with its place, in order.
    pub(super) fn matching(
        &self,
        method: &str,
        origin: &Origin,
        path: &[String],
    ) -> Vec<(usize, &HttpRule)> {
        let mut found = Vec::new();
        if let Some(place) = self.index().places.get(origin)
            && let Some(root) = place.roots.get(method)
        {
            place.collect(*root, path, &mut found);
        }
        found.sort_unstable();
        let rule = |place: usize| Some((place, self.get(place)?));
        found.into_iter().filter_map(rule).collect()
    }

    /// The first line with an endpoint that a path is below, whatever that line allows there.
    pub(super) fn near(&self, origin: &Origin, path: &[String]) -> Option<&HttpRule> {
        let place = self.index().places.get(origin)?;
        let near = place
            .bases
            .iter()
            .filter(|(base, _)| path.starts_with(base));
        self.get(near.map(|(_, first)| *first).min()?)
    }

    /// The line of one request alone, where the line that allowed it has a wildcard. `None` where no line can say it, or
    /// should: it is kept, and shown to reviewers.
    pub(crate) fn act(&self, allowed: &Allowed, redactor: &Redactor) -> Option<String> {
        let rule = self.get(allowed.rule)?;
        let path = allowed.target.split('?').next().unwrap_or_default();
        if path.len() > ACT_BYTES || path.contains('*') {
            return None;
        }
        let line = Capability::Http {
            method: rule.method.clone(),
            to: capability::Place::Origin(rule.base.origin.clone()),
            path: PathPattern::parse(path).ok()?,
            query: rule.query.clone(),
            secret: rule.secret.as_ref().map(|secret| secret.name.clone()),
            private: rule.private,
        };
        let text = line.to_string();
        matches!(redactor.clean(&text), Cow::Borrowed(_)).then_some(text)
    }

    fn index(&self) -> &Index {
        self.inner
            .index
            .get_or_init(|| Index::of(&self.inner.rules))
    }
}

impl Index {
    fn of(rules: &[HttpRule]) -> Self {
        let mut index = Self::default();
        for (number, rule) in rules.iter().enumerate() {
            // `entry` would copy the origin for each line.
            if !index.places.contains_key(&rule.base.origin) {
                let origin = rule.base.origin.clone();
                index.places.insert(origin, Place::default());
            }
            if let Some(place) = index.places.get_mut(&rule.base.origin) {
                place.insert(rule, number);
            }
        }
        index
    }
}

impl Place {
    fn insert(&mut self, rule: &HttpRule, number: usize) {
        let base = &rule.base.prefix;
        if !self.bases.iter().any(|(known, _)| known == base) {
            self.bases.push((base.clone(), number));
        }
        let mut at = match self.roots.get(&rule.method) {
            Some(root) => *root,
            None => {
                let root = self.grow();
                self.roots.insert(rule.method.clone(), root);
                root
            }
        };
        // A base is literal, whatever it looks like: its reader refuses a `*`.
        for segment in base {
            at = self.literal(at, segment);
        }
        for segment in rule.path.segments() {
            at = match segment.as_str() {
                "*" => self.any(at),
                literal => self.literal(at, literal),
            };
        }
        if let Some(node) = self.nodes.get_mut(at) {
            match rule.path.is_open() {
                true => node.open.push(number),
                false => node.closed.push(number),
            }
        }
    }

    fn literal(&mut self, at: usize, segment: &str) -> usize {
        let known = self
            .nodes
            .get(at)
            .and_then(|node| node.literal.get(segment));
        if let Some(known) = known {
            return *known;
        }
        let new = self.grow();
        if let Some(node) = self.nodes.get_mut(at) {
            node.literal.insert(segment.to_owned(), new);
        }
        new
    }

    fn any(&mut self, at: usize) -> usize {
        if let Some(known) = self.nodes.get(at).and_then(|node| node.any) {
            return known;
        }
        let new = self.grow();
        if let Some(node) = self.nodes.get_mut(at) {
            node.any = Some(new);
        }
        new
    }

    fn grow(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    /// Lines below a node that the rest of a path fits. No node is looked at twice, so that this takes no longer than a
    /// look at each line, whatever the patterns are.
    fn collect(&self, at: usize, rest: &[String], found: &mut Vec<usize>) {
        let Some(node) = self.nodes.get(at) else {
            return;
        };
        found.extend(&node.open);
        let Some((segment, rest)) = rest.split_first() else {
            found.extend(&node.closed);
            return;
        };
        if let Some(next) = node.literal.get(segment) {
            self.collect(*next, rest, found);
        }
        if let Some(next) = node.any.filter(|_| !segment.is_empty()) {
            self.collect(next, rest, found);
        }
    }
}

/// Of several lines that allow a request, the one that it is counted for: one that attaches the secret that goes along,
/// rather one that allows inside addresses where any does, then the narrowest path from its beginning, then the fewest
/// keys of a query, then the first.
pub(super) fn counted_for(chosen: &[(usize, &HttpRule)], secret: Option<&BoundSecret>) -> usize {
    let narrowest = match chosen {
        [(only, _)] => return *only,
        several => several.iter().min_by_key(|(place, rule)| {
            let keys = rule.query.as_ref().map(Vec::len);
            let lacks = rule.secret.as_ref() != secret;
            let path = rule.path.below(&rule.base.prefix);
            (
                lacks,
                !rule.private,
                breadth(&path),
                keys.unwrap_or(usize::MAX),
                *place,
            )
        }),
    };
    narrowest.map_or(0, |(place, _)| *place)
}

/// Of two patterns that fit one path the lesser is the narrower: a segment of its own before any segment, and any
/// segment before any number of them.
fn breadth(path: &PathPattern) -> Vec<u8> {
    let segments = path.segments().iter();
    let fixed = segments.map(|segment| u8::from(segment == "*"));
    fixed.chain(path.is_open().then_some(2)).collect()
}

/// As guests' requests are judged, of lines that are not kept.
#[cfg(test)]
pub(crate) fn judge(
    rules: &[HttpRule],
    method: &hyper::Method,
    uri: &hyper::Uri,
) -> Result<super::Allowed, super::Refusal> {
    Rules::from(rules.to_vec()).judge(method, uri)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::super::url::BaseUrl;
    use super::*;

    fn rule(method: &str, base: &str, path: &str) -> HttpRule {
        HttpRule {
            method: method.to_owned(),
            endpoint: "git".to_owned(),
            base: BaseUrl::parse(base).unwrap(),
            path: PathPattern::parse(path).unwrap(),
            query: None,
            secret: None,
            private: false,
        }
    }

    /// What the index has to find, by a look at each line.
    fn scanned(rules: &[HttpRule], method: &str, origin: &Origin, path: &[String]) -> Vec<usize> {
        let rules = rules.iter().enumerate();
        let fits = |rule: &HttpRule| {
            rule.base.origin == *origin
                && rule.method == method
                && path.starts_with(&rule.base.prefix)
                && rule.path.matches(&path[rule.base.prefix.len()..])
        };
        rules
            .filter(|(_, rule)| fits(rule))
            .map(|(place, _)| place)
            .collect()
    }

    fn any_rule() -> impl Strategy<Value = HttpRule> {
        let path = vec(select(vec!["a", "b", "*"]), 0..4);
        let bases = vec![
            "https://one.example.com",
            "https://one.example.com/a",
            "https://one.example.com/a/b",
            "http://one.example.com",
            "https://two.example.com",
        ];
        let (method, base) = (select(vec!["GET", "POST"]), select(bases));
        (method, base, path, select(vec!["", "/", "/**"])).prop_map(|(method, base, path, end)| {
            let mut text: String = path.iter().map(|segment| format!("/{segment}")).collect();
            text.push_str(end);
            let text = if text.is_empty() { "/" } else { &text };
            rule(method, base, text)
        })
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_look_at_each_line_finds(
            rules in vec(any_rule(), 0..40),
            method in select(vec!["GET", "POST", "PUT"]),
            base in select(vec!["https://one.example.com", "http://one.example.com", "https://two.example.com", "https://x.example.com"]),
            path in vec(select(vec!["a", "b", "c", "*"]), 0..6),
            slash in any::<bool>(),
        ) {
            let origin = BaseUrl::parse(base).unwrap().origin;
            let mut path: Vec<String> = path.into_iter().map(str::to_owned).collect();
            if slash || path.is_empty() {
                path.push(String::new());
            }
            let kept = Rules::from(rules.clone());
            let found: Vec<usize> = kept.matching(method, &origin, &path).iter().map(|(place, _)| *place).collect();
            prop_assert_eq!(found, scanned(&rules, method, &origin, &path));
            let near = rules.iter().find(|rule| rule.base.origin == origin && path.starts_with(&rule.base.prefix));
            prop_assert_eq!(kept.near(&origin, &path), near);
        }

        #[test]
        fn a_request_is_counted_for_the_same_line_in_whatever_order_they_stand(
            rules in vec(any_rule(), 1..20),
            path in vec(select(vec!["a", "b"]), 1..5),
        ) {
            let uri: hyper::Uri = format!("https://one.example.com/{}", path.join("/")).parse().unwrap();
            let mut turned = rules.clone();
            turned.reverse();
            let counted = |rules: &[HttpRule]| {
                let allowed = judge(rules, &hyper::Method::GET, &uri).ok()?;
                Some(rules[allowed.rule].line())
            };
            prop_assert_eq!(counted(&rules), counted(&turned));
        }
    }

    #[test]
    fn a_request_is_counted_for_the_narrowest_line_that_allows_it() {
        let base = "https://git.example.com";
        let any = [
            rule("GET", base, "/**"),
            rule("GET", base, "/a/**"),
            rule("GET", base, "/*/b"),
            rule("GET", base, "/a/*"),
        ];
        let listed = HttpRule {
            query: Some(vec!["page".to_owned()]),
            ..rule("GET", base, "/a/*")
        };
        let rules: Vec<HttpRule> = any.into_iter().chain([listed]).collect();
        for (path, line) in [
            ("/a/b", 4),
            ("/a/b?other=1", 3),
            ("/x/b", 2),
            ("/a/b/c", 1),
            ("/x", 0),
        ] {
            let uri = format!("{base}{path}").parse().unwrap();
            let allowed = judge(&rules, &hyper::Method::GET, &uri).unwrap();
            assert_eq!(allowed.rule, line, "{path}");
        }
    }
}
