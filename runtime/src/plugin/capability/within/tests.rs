//! Containment against the sandbox itself: the functions that a guest's calls go through decide what is allowed here.

use std::collections::{BTreeMap, BTreeSet};

use hyper::{Method, Uri};
use proptest::collection::{btree_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;

fn beyond(request: &[Line], maximum: &[Line]) -> Vec<Excess> {
    maximum.iter().cloned().collect::<Maximum>().beyond(request)
}
use crate::plugin::budget::Limits;
use crate::plugin::capability::Power;
use crate::plugin::capability::http::{BaseUrl, HttpRule, Origin, judge};
use crate::plugin::grant::Effective;

/// What a guest with these lines would be given.
fn power(lines: &[Line]) -> Effective {
    let mut power = Effective::nothing();
    let (mut limits, mut http) = (Limits::default(), Vec::new());
    for line in lines {
        match line {
            Line::Limit(budget, most) => limits.set(*budget, *most),
            Line::Capability(capability) => {
                http.extend(rule(capability));
                power.capabilities.push(capability.clone());
            }
        }
    }
    power.limits = limits;
    power.http = http.into();
    power
}

/// The rule that an approval makes of a line. The literal beginning of its path stands in the endpoint's URL, so that
/// both halves are tried.
fn rule(capability: &Capability) -> Option<HttpRule> {
    let Capability::Http {
        method,
        to: Place::Origin(origin),
        path,
        query,
        private,
        ..
    } = capability
    else {
        return None;
    };
    let text = path.to_string();
    let split = match text.strip_prefix("/a/") {
        Some(_) => "/a",
        None => "",
    };
    let rule = HttpRule {
        method: method.clone(),
        endpoint: "git".to_owned(),
        base: BaseUrl::parse(&format!("{origin}{split}")).unwrap(),
        path: PathPattern::parse(&text[split.len()..]).unwrap(),
        query: query.clone(),
        secret: None,
        private: *private,
    };
    assert_eq!(rule.line(), *capability, "an approval shows the same line");
    Some(rule)
}

/// Whether a request goes out, and whether it may end inside.
fn sent(power: &Effective, method: &str, uri: &str) -> Option<bool> {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let uri: Uri = uri.parse().ok()?;
    judge(&power.http, &method, &uri)
        .ok()
        .map(|allowed| allowed.private)
}

/// Whether the sandbox lets a guest do it.
fn enforced(power: &Effective, deed: &Deed) -> bool {
    let linked = |wanted| power.powers().contains(&wanted);
    match deed {
        Deed::Read(on) => power.touches(CatalogAccess::Read, on),
        Deed::Delete(on) => power.touches(CatalogAccess::Delete, on),
        Deed::Write {
            blueprint,
            properties,
            replaces,
        } => {
            let named: Vec<&str> = properties.iter().map(String::as_str).collect();
            power.find_write(blueprint, &named, *replaces).is_some()
        }
        Deed::TellTime => linked(Power::Clock),
        Deed::DrawRandom => linked(Power::Random),
        Deed::Keep => linked(Power::State),
        Deed::RunAction(action) => power.startable(action.as_str()).is_some(),
        Deed::ReadSecret(name) => power.secrets.contains_key(name),
        Deed::Files {
            folder,
            access,
            bytes,
            files,
        } => power.folder(folder).is_some_and(|line| {
            line.access >= *access && line.max_bytes >= *bytes && line.max_files >= *files
        }),
        Deed::Send {
            method,
            to,
            path,
            query,
            inside,
            ..
        } => {
            let keys: Vec<String> = query.iter().map(|key| format!("{key}=1")).collect();
            let mark = if keys.is_empty() { "" } else { "?" };
            let uri = format!("{to}/{}{mark}{}", path.join("/"), keys.join("&"));
            sent(power, method, &uri).is_some_and(|private| private || !inside)
        }
        Deed::Spend(budget, amount) => power.limits.get(*budget) >= *amount,
    }
}

fn origin() -> impl Strategy<Value = Origin> {
    select(vec![
        ("https", "one.example"),
        ("https", "two.example:8443"),
        ("http", "one.example"),
    ])
    .prop_map(|(scheme, authority)| Origin::parse(scheme, authority).unwrap())
}

/// Few names, so that patterns meet; those that a sample could take for its own are among them.
fn pattern() -> impl Strategy<Value = PathPattern> {
    let segments = vec(select(vec!["a", "b", "x", "x0", "*"]), 0..4);
    (segments, select(vec!["", "/", "/**"])).prop_filter_map("a path", |(segments, end)| {
        let fixed: String = segments
            .iter()
            .map(|segment| format!("/{segment}"))
            .collect();
        PathPattern::parse(&format!("{fixed}{end}")).ok()
    })
}

fn keys() -> impl Strategy<Value = Option<Vec<String>>> {
    of(subsequence(vec!["p", "q", "q0"], 0..=3)
        .prop_map(|keys| keys.into_iter().map(str::to_owned).collect()))
}

fn http() -> impl Strategy<Value = Capability> {
    let method = select(vec!["GET", "POST"]);
    (method, origin(), pattern(), keys(), any::<bool>()).prop_map(
        |(method, origin, path, query, private)| Capability::Http {
            method: method.to_owned(),
            to: Place::Origin(origin),
            path,
            query,
            secret: None,
            private,
        },
    )
}

fn blueprint() -> impl Strategy<Value = BlueprintId> {
    select(vec!["A", "acme/B"]).prop_map(|name| BlueprintId::parse(name).unwrap())
}

fn properties() -> impl Strategy<Value = Vec<String>> {
    subsequence(vec!["$relations.a", "$team", "$title", "a", "b"], 1..=5)
        .prop_map(|names| names.into_iter().map(str::to_owned).collect())
}

fn catalog() -> impl Strategy<Value = Capability> {
    let access = select(vec![
        CatalogAccess::Read,
        CatalogAccess::Upsert,
        CatalogAccess::Delete,
    ]);
    (access, blueprint(), of(properties())).prop_map(|(access, blueprint, properties)| {
        Capability::Catalog {
            access,
            blueprint,
            properties: properties.filter(|_| access == CatalogAccess::Upsert),
        }
    })
}

fn folder() -> impl Strategy<Value = Capability> {
    let access = select(vec![FilesAccess::Read, FilesAccess::ReadWrite]);
    (access, select(vec!["in", "out"]), 1..4_u64, 1..4_u64).prop_map(
        |(access, folder, max_bytes, max_files)| Capability::Files {
            access,
            folder: folder.to_owned(),
            max_bytes,
            max_files,
        },
    )
}

fn capability() -> impl Strategy<Value = Capability> {
    let switch = select(vec![
        Capability::Clock,
        Capability::Random,
        Capability::State,
    ]);
    prop_oneof![4 => http(), 3 => catalog(), 2 => folder(), 1 => switch]
}

/// Lines as a manifest can have them: each budget once, each folder once.
fn lines() -> impl Strategy<Value = Vec<Line>> {
    let limits = vec(0..3_u64, Budget::ALL.len());
    (vec(capability(), 0..8), limits).prop_map(|(capabilities, limits)| {
        let mut folders = BTreeSet::new();
        let capabilities = capabilities.into_iter().filter(|capability| {
            !matches!(capability, Capability::Files { folder, .. } if !folders.insert(folder.clone()))
        });
        let capabilities: Vec<Line> = capabilities.map(Line::Capability).collect();
        let limits = Budget::ALL.into_iter().zip(limits);
        let limits = limits.map(|(budget, more)| Line::Limit(budget, budget.least() + more));
        capabilities.into_iter().chain(limits).collect()
    })
}

/// Two sets of lines, of which the second often has much of the first.
fn pairs() -> impl Strategy<Value = (Vec<Line>, Vec<Line>)> {
    (lines(), lines(), any::<bool>()).prop_map(|(request, mut maximum, shares)| {
        if shares {
            let folders: BTreeSet<String> = maximum.iter().filter_map(folder_of).collect();
            let more = request.iter().filter(|line| match folder_of(line) {
                Some(folder) => !folders.contains(&folder),
                None => matches!(line, Line::Capability(_)),
            });
            maximum.extend(more.cloned().collect::<Vec<_>>());
            let mut most: BTreeMap<Budget, u64> = BTreeMap::new();
            for line in request.iter().chain(&maximum) {
                if let Line::Limit(budget, value) = line {
                    let known = most.entry(*budget).or_default();
                    *known = (*known).max(*value);
                }
            }
            maximum.retain(|line| matches!(line, Line::Capability(_)));
            maximum.extend(
                most.into_iter()
                    .map(|(budget, most)| Line::Limit(budget, most)),
            );
        }
        (request, maximum)
    })
}

fn folder_of(line: &Line) -> Option<String> {
    match line {
        Line::Capability(Capability::Files { folder, .. }) => Some(folder.clone()),
        _ => None,
    }
}

/// Requests as a hostile guest would write them.
fn uri() -> impl Strategy<Value = String> {
    let segment = select(vec![
        "a", "b", "x", "x0", "%61", "*", "%2a", "..", "%2e%2e", "", ".", "a;b", "..;", "c",
    ]);
    let query = of(vec(
        select(vec!["p=1", "q", "q0=", "%70=1", "z=1", "p;z=1", ""]),
        0..3,
    ));
    (origin(), vec(segment, 0..5), query).prop_map(|(origin, segments, query)| {
        let query = query.map_or(String::new(), |parts| format!("?{}", parts.join("&")));
        format!("{origin}/{}{query}", segments.join("/"))
    })
}

/// Anything that a guest could do, likely to be near the lines.
fn deed() -> impl Strategy<Value = Deed> {
    let write = (
        blueprint(),
        btree_set(select(vec!["a", "b", "c", "d"]), 0..4),
        any::<bool>(),
    );
    let write = write.prop_map(|(blueprint, names, replaces)| Deed::Write {
        blueprint,
        properties: names.into_iter().map(str::to_owned).collect(),
        replaces,
    });
    let files = folder().prop_map(|line| match line {
        Capability::Files {
            access,
            folder,
            max_bytes: bytes,
            max_files: files,
        } => Deed::Files {
            folder,
            access,
            bytes,
            files,
        },
        _ => Deed::Keep,
    });
    let spend = (select(Budget::ALL.to_vec()), 0..4_u64)
        .prop_map(|(budget, more)| Deed::Spend(budget, budget.least() + more));
    prop_oneof![
        blueprint().prop_map(Deed::Read),
        blueprint().prop_map(Deed::Delete),
        write,
        files,
        spend,
        select(vec![Deed::TellTime, Deed::DrawRandom, Deed::Keep]),
    ]
}

/// A line of any kind, with odd but lawful names.
fn line() -> impl Strategy<Value = Line> {
    let name = "[a-z][a-z0-9-]{0,9}";
    let endpoint = (http(), name, of(name)).prop_map(|(line, endpoint, secret)| match line {
        Capability::Http {
            method,
            path,
            query,
            ..
        } => Capability::Http {
            method,
            to: Place::Endpoint(endpoint),
            path,
            query,
            secret,
            private: false,
        },
        other => other,
    });
    let named = prop_oneof![
        name.prop_map(|name| Capability::Secret { name }),
        "[A-Za-z0-9@_.+:=-]{3,9}".prop_map(|name| Capability::RunAction {
            action: ActionId::parse(name).unwrap()
        }),
    ];
    let capability = prop_oneof![capability(), endpoint, named].prop_map(Line::Capability);
    let limit = (select(Budget::ALL.to_vec()), any::<u64>()).prop_map(|(budget, value)| {
        let room = budget.most() - budget.least() + 1;
        Line::Limit(budget, budget.least() + value % room)
    });
    prop_oneof![4 => capability, 1 => limit]
}

proptest! {
    // More where `PROPTEST_CASES` says so.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2_000)))]

    #[test]
    fn a_line_reads_back_as_what_was_written(line in line()) {
        prop_assert_eq!(Line::parse(&line.to_string()), Ok(line));
    }

    #[test]
    fn no_text_is_a_second_spelling_of_a_line(
        text in "(http GET [a-z/:.%0-9*]{0,20}( query [a-z,]{0,6})?|limit [a-z-]{3,9} [0-9]{1,7}(s|ms|B|KiB)?|[ -~]{0,30})"
    ) {
        if let Ok(line) = Line::parse(&text) {
            prop_assert_eq!(line.to_string(), text);
        }
    }

    #[test]
    fn a_counterexample_is_allowed_by_the_one_and_refused_by_the_other((request, maximum) in pairs()) {
        for excess in beyond(&request, &maximum) {
            prop_assert!(enforced(&power(&request), &excess.deed), "{excess}");
            prop_assert!(!enforced(&power(&maximum), &excess.deed), "{excess}");
            prop_assert!(excess.line.allows(&excess.deed), "{excess}");
        }
    }

    #[test]
    fn what_is_within_is_never_allowed_outside(
        (request, maximum) in pairs(),
        uris in vec(uri(), 8),
        deeds in vec(deed(), 8),
    ) {
        let outside: Vec<Line> = beyond(&request, &maximum).into_iter().map(|excess| excess.line).collect();
        let inside: Vec<Line> = request.into_iter().filter(|line| !outside.contains(line)).collect();
        // Without the lines that go beyond, all that is left is within.
        prop_assert_eq!(beyond(&inside, &maximum), []);
        // A budget that no line names has its default; only those that are named are compared.
        let named: Vec<Budget> = inside.iter().filter_map(|line| match line {
            Line::Limit(budget, _) => Some(*budget),
            Line::Capability(_) => None,
        }).collect();
        let (few, many) = (power(&inside), power(&maximum));
        for deed in &deeds {
            let compared = !matches!(deed, Deed::Spend(budget, _) if !named.contains(budget));
            prop_assert!(!compared || !enforced(&few, deed) || enforced(&many, deed), "{}", deed);
        }
        for uri in &uris {
            for method in ["GET", "POST"] {
                if let Some(private) = sent(&few, method, uri) {
                    let allowed = sent(&many, method, uri);
                    prop_assert!(allowed.is_some_and(|inside| inside || !private), "{} {}", method, uri);
                }
            }
        }
    }

    #[test]
    fn what_a_line_is_said_to_allow_is_what_the_sandbox_lets_through(line in capability(), deed in deed()) {
        let line = Line::Capability(line);
        if !matches!(deed, Deed::Spend(..)) {
            let power = power(std::slice::from_ref(&line));
            prop_assert_eq!(line.allows(&deed), enforced(&power, &deed), "{} {}", line, deed);
        }
    }

    #[test]
    fn being_within_is_an_order(a in lines(), b in lines(), c in lines(), one in line(), other in line()) {
        prop_assert_eq!(beyond(&a, &a), []);
        let all: Vec<Line> = a.iter().chain(&b).cloned().collect();
        prop_assert_eq!(beyond(&a, &all), []);
        if beyond(&a, &b).is_empty() && beyond(&b, &c).is_empty() {
            prop_assert_eq!(beyond(&a, &c), []);
        }
        let (one, other) = ([one], [other]);
        if beyond(&one, &other).is_empty() && beyond(&other, &one).is_empty() {
            prop_assert_eq!(one, other);
        }
    }
}

fn parsed(texts: &[&str]) -> Vec<Line> {
    texts
        .iter()
        .map(|text| Line::parse(text).unwrap())
        .collect()
}

#[test]
fn narrower_lines_are_within_wider_ones() {
    for (narrow, wide) in [
        ("http GET git /repos/acme/x", "http GET git /repos/*/x"),
        ("http GET git /repos/*/x", "http GET git /repos/**"),
        (
            "http GET git /a query page",
            "http GET git /a query page,size",
        ),
        ("http GET git /a no-query", "http GET git /a query page"),
        ("http GET git /a query page", "http GET git /a"),
        (
            "http GET https://h/a",
            "http GET https://h/** allow-private",
        ),
        ("catalog upsert A properties a", "catalog upsert A"),
        (
            "catalog upsert A properties a",
            "catalog upsert A properties a,b",
        ),
        (
            "catalog upsert A properties title",
            "catalog upsert A properties $title,title",
        ),
        (
            "files read x max-bytes 1B max-files 1",
            "files read-write x max-bytes 2B max-files 2",
        ),
        ("limit memory 1MiB", "limit memory 2MiB"),
    ] {
        assert_eq!(beyond(&parsed(&[narrow]), &parsed(&[wide])), [], "{narrow}");
        assert_eq!(
            beyond(&parsed(&[wide]), &parsed(&[narrow])).len(),
            1,
            "{wide}"
        );
    }
}

#[test]
fn powers_beside_each_other_are_not_within_each_other() {
    for (one, other) in [
        ("http GET git /a", "http POST git /a"),
        ("http GET git /a", "http GET hub /a"),
        ("http GET git /a", "http GET git /a/"),
        ("http GET git /*", "http GET git /*/*"),
        ("http GET https://h/a", "http GET http://h/a"),
        ("http GET https://h/a", "http GET https://h:8443/a"),
        ("http GET git /a", "http GET git /a using token"),
        ("catalog read A", "catalog upsert A"),
        ("catalog delete A", "catalog upsert A"),
        (
            "catalog upsert A properties $relations.a",
            "catalog upsert A properties a",
        ),
        ("secret a", "secret b"),
        ("run-action a", "run-action b"),
        ("clock", "random"),
        ("limit memory 1MiB", "limit log 1MiB"),
    ] {
        assert_eq!(beyond(&parsed(&[one]), &parsed(&[other])).len(), 1, "{one}");
        assert_eq!(
            beyond(&parsed(&[other]), &parsed(&[one])).len(),
            1,
            "{other}"
        );
    }
}

#[test]
fn several_lines_together_can_hold_one() {
    let parts = |to: &str| {
        parsed(&[
            &format!("http GET {to}/"),
            &format!("http GET {to}/*"),
            &format!("http GET {to}/*/**"),
        ])
    };
    let all = |to: &str| parsed(&[&format!("http GET {to}/**")]);
    // No request to a host is without a path.
    assert_eq!(beyond(&all("https://h"), &parts("https://h")), []);
    // An endpoint may have a path of its own, and a request no other behind it.
    let [excess] = &beyond(&all("git "), &parts("git "))[..] else {
        panic!("the endpoint's own URL is in none of them");
    };
    assert_eq!(
        excess.to_string(),
        "`http GET git /**` allows to send `GET git ?q=`"
    );
    assert_eq!(beyond(&parts("git "), &all("git ")), []);
}

#[test]
fn a_counterexample_is_a_request_that_a_person_can_read() {
    let excesses = beyond(
        &parsed(&[
            "catalog upsert Component properties owner,url",
            "http POST https://api.github.com/repos/*/**",
            "limit memory 64MiB",
        ]),
        &parsed(&[
            "catalog upsert Component properties url",
            "http POST https://api.github.com/repos/*/*",
            "limit memory 32MiB",
        ]),
    );
    let shown: Vec<String> = excesses.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "`catalog upsert Component properties owner,url` allows to write `owner`, `url` of a `Component`",
            "`http POST https://api.github.com/repos/*/**` allows to send `POST https://api.github.com/repos/x?q=`",
            "`limit memory 64MiB` allows to use 64MiB of `memory`",
        ]
    );
}
