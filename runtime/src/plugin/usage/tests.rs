use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;

use super::suggest::Asked;
use super::*;
use crate::catalog::Catalog;
use crate::model::{Actor, Approval, CallUsage, Counted, PluginVersion, Suggestion, UpgradePolicy};
use crate::plugin::PluginSettings;
use crate::plugin::budget::Limits;
use crate::plugin::capability::http::{BaseUrl, HttpRule, PathPattern};
use crate::plugin::capability::line::Line;
use crate::plugin::capability::within::Maximum;
use crate::plugin::capability::{Capability, Power};
use crate::plugin::package::tests::{TOML, build, plugin};
use crate::plugin::secret::Redactor;
use crate::store::{self, Store};

struct Place {
    _dir: tempfile::TempDir,
    store: Store,
    host: PluginHost,
    version: PluginVersion,
}

impl Place {
    /// A host with one version that may look at the clock and draw random numbers, active since now.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let settings = PluginSettings {
            data_dir: dir.path().to_owned(),
            egress: crate::plugin::EgressSettings::default(),
            four_eyes: false,
            ceiling: Vec::new(),
            upgrades: UpgradePolicy::Activate,
            own_listener: None,
            compiler: None,
        };
        let host = PluginHost::new(store.clone(), Catalog::new(store.clone()), settings).unwrap();
        let manifest = format!(
            "{TOML}[capabilities.clock]\nreason = \"to see\"\n[capabilities.random]\nreason = \"to draw\"\n"
        );
        let bytes = build(&plugin(&[]), &manifest).unwrap();
        let package = Package::read(&bytes).unwrap();
        let version = PluginVersion {
            name: package.manifest.name,
            title: package.manifest.title,
            version: package.manifest.version,
            digest: package.digest,
            manifest_hash: package.manifest_hash,
            state: PluginState::Pending,
            installed_at: Timestamp(0),
            installed_by: "somebody".to_owned(),
        };
        let row = version.clone();
        let put: Result<(), store::Error> =
            store.write(move |tx| tx.insert_plugin(&row, &bytes)).await;
        put.unwrap();
        let place = Self {
            _dir: dir,
            store,
            host,
            version,
        };
        place.approve(&[]).await;
        place
    }

    async fn approve(&self, deny: &[&str]) {
        let (name, version) = (&self.version.name, &self.version.version);
        let read = self.host.find_report(name, version).await.unwrap();
        let approval = Approval {
            deny: deny.iter().map(|line| (*line).to_owned()).collect(),
            ..Approval::of(&read)
        };
        let actor = Actor::system();
        let approved = self.host.approve(&actor, name, version, approval);
        approved.await.unwrap();
    }

    /// A run ends that used these lines.
    async fn run(&self, lines: &[&str]) {
        let usage = CallUsage {
            plugin: self.version.name.clone(),
            version: self.version.version.clone(),
            digest: self.version.digest,
            counts: lines
                .iter()
                .map(|line| Counted {
                    kind: UsageKind::Line,
                    subject: (*line).to_owned(),
                    count: 1,
                    acts: crate::model::Acts::default(),
                })
                .collect(),
            budgets: vec![("memory", 3 << 20)],
            requests: crate::model::RequestTrail::default(),
        };
        let added: Result<(), store::Error> = self
            .store
            .write(move |tx| tx.add_plugin_usage(&usage))
            .await;
        added.unwrap();
    }

    async fn read(&self, now: Timestamp) -> UsageReport {
        let read = self.host.find_usage(&self.version.name, None, 90, now);
        read.await.unwrap()
    }

    /// Some days after the last run.
    async fn days_later(&self, days: i64) -> UsageReport {
        let last = self.read(Timestamp(0)).await.last_run.unwrap();
        self.read(Timestamp(last.0 + days * DAY)).await
    }
}

#[tokio::test]
async fn a_line_is_found_when_its_version_was_active_for_so_long_and_ran_without_it() {
    let place = Place::new().await;
    let before = place.read(Timestamp(400 * DAY)).await;
    assert!(before.findings.is_empty() && before.suggested.is_none());
    assert!(
        before.since.is_some(),
        "an approval is where counting begins"
    );
    place.run(&["clock"]).await;
    let early = place.days_later(89).await;
    assert!(early.findings.is_empty(), "{:?}", early.findings);
    let due = place.days_later(90).await;
    let messages: Vec<_> = due
        .findings
        .iter()
        .map(|found| found.message.as_str())
        .collect();
    assert_eq!(messages, ["`random` was never used in 90 days"]);
    assert_eq!(due.findings[0].code, "unused_line");
    let line = |name: &str| due.lines.iter().find(|line| line.line == name).unwrap();
    assert_eq!((line("clock").uses, line("random").uses), (1, 0));
    assert!(line("random").finding.is_some() && line("clock").finding.is_none());
    let late = place.days_later(91).await;
    assert!(
        late.findings.is_empty(),
        "it did not run in those days either"
    );
}

#[tokio::test]
async fn a_line_that_was_used_long_ago_is_found_and_not_suggested_any_more() {
    let place = Place::new().await;
    place.run(&["clock", "random"]).await;
    let first = place.read(Timestamp(0)).await.last_run;
    while place.read(Timestamp(0)).await.last_run <= first {
        place.run(&["clock"]).await;
    }
    let due = place.days_later(90).await;
    let [found] = &due.findings[..] else {
        panic!("{:?}", due.findings)
    };
    assert!(
        found
            .message
            .starts_with("`random` was not used in 90 days; the last use")
    );
    assert_eq!(due.suggested.unwrap().deny, ["random"]);
    let now = place.days_later(0).await;
    assert_eq!(now.suggested.unwrap().deny, [""; 0], "it may be used again");
}

#[tokio::test]
async fn an_approval_gives_every_line_its_time_again_and_keeps_what_was_counted() {
    let place = Place::new().await;
    place.run(&["clock", "random"]).await;
    let since = place.read(Timestamp(0)).await.since;
    while place.read(Timestamp(0)).await.since <= since {
        place.approve(&["random"]).await;
    }
    let now = place.days_later(90).await;
    assert!(now.findings.is_empty());
    let random = now.lines.iter().find(|line| line.line == "random").unwrap();
    assert!(!random.granted && random.uses == 1, "{random:?}");
}

#[tokio::test]
async fn budgets_are_suggested_at_twice_the_highest_and_never_above_the_grant() {
    let place = Place::new().await;
    place.run(&["clock"]).await;
    let read = place.days_later(0).await;
    let memory = read
        .budgets
        .iter()
        .find(|one| one.budget == "memory")
        .unwrap();
    assert_eq!(memory.highest.as_deref(), Some("3MiB"));
    let suggested = read.suggested.unwrap();
    assert_eq!(suggested.limits["memory"], "8MiB");
    assert_eq!(suggested.limits.len(), 1, "of the others nothing is known");
    assert!(suggested.lines.contains(&"limit memory 8MiB".to_owned()));
}

/// A grant of these rules and lines, whose endpoints are named by where they are.
fn power(rules: Vec<HttpRule>, others: BTreeSet<&str>) -> Effective {
    let mut power = Effective::nothing();
    for rule in &rules {
        if !power.capabilities.contains(&rule.asked()) {
            power.capabilities.push(rule.asked());
        }
    }
    for other in others {
        let Line::Capability(capability) = Line::parse(other).unwrap() else {
            panic!("{other}")
        };
        power.capabilities.push(capability);
    }
    power.http = rules.into();
    power.limits = Limits::default();
    power
}

fn any_rule() -> impl Strategy<Value = HttpRule> {
    let path = vec(select(vec!["a", "b", "*"]), 1..4);
    let base = select(vec![
        "https://one.example.com",
        "https://one.example.com/a",
        "https://two.example.com",
    ]);
    (
        select(vec!["GET", "POST"]),
        base,
        path,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(method, base, path, open, private)| HttpRule {
            method: method.to_owned(),
            endpoint: if base.contains("one") { "one" } else { "two" }.to_owned(),
            base: BaseUrl::parse(base).unwrap(),
            path: PathPattern::parse(&format!(
                "/{}{}",
                path.join("/"),
                if open { "/**" } else { "" }
            ))
            .unwrap(),
            query: None,
            secret: None,
            private,
        })
}

/// What is suggested after these requests, and each of them as a line.
fn suggested(
    power: Effective,
    requests: &[(&str, &str, Vec<&str>)],
    others: usize,
    needed: &BTreeSet<Power>,
) -> (Arc<Effective>, Option<Suggestion>, Vec<Line>) {
    let power = Arc::new(power);
    let tally = Tally::new(Arc::clone(&power));
    let mut sent = Vec::new();
    for (method, host, path) in requests {
        let uri = format!("https://{host}.example.com/{}", path.join("/"));
        let method = hyper::Method::from_bytes(method.as_bytes()).unwrap();
        if let Ok(allowed) = power.http.judge(&method, &uri.parse().unwrap()) {
            let act = power.http.act(&allowed, &Redactor::default()).unwrap();
            sent.push(Line::parse(&act).unwrap());
            tally.request(allowed.rule, Some(act));
        }
    }
    let plain = power.capabilities.iter().enumerate();
    for (place, line) in plain
        .filter(|(_, line)| line.power() != Power::Http)
        .take(others)
    {
        tally.line(place);
        sent.push(Line::Capability(line.clone()));
    }
    let counts = tally.counts();
    let used: BTreeMap<&str, &Counted> = counts
        .iter()
        .map(|one| (one.subject.as_str(), one))
        .collect();
    let seen = Seen {
        is_idle: &|line| !used.contains_key(line),
        acts: &|line| used.get(line)?.acts.known(),
        asked: &BTreeSet::new(),
        highest: &|_| Some(5),
    };
    let asked = Asked {
        lines: &power.capabilities,
        limits: &power.limits,
    };
    let suggestion = suggest::narrower(&power, asked, needed, &seen);
    (power, suggestion, sent)
}

proptest! {
    #[test]
    fn a_suggestion_is_within_the_grant_and_allows_all_that_was_done(
        rules in vec(any_rule(), 0..12),
        lines in btree_set(select(vec!["clock", "state", "catalog read A", "catalog upsert A properties x", "random"]), 0..5),
        requests in vec((select(vec!["GET", "POST"]), select(vec!["one", "two"]), vec(select(vec!["a", "b", "c"]), 1..5)), 0..40),
        others in 0_usize..5,
    ) {
        let needed = BTreeSet::from([Power::Http, Power::State]);
        let (power, suggestion, sent) = suggested(power(rules, lines), &requests, others, &needed);
        let suggestion = suggestion.expect("it is within the grant");
        let parsed: Vec<Line> = suggestion.lines.iter().map(|line| Line::parse(line).unwrap()).collect();
        let grant: Maximum = power.lines().into_iter().collect();
        prop_assert!(grant.beyond(&parsed).is_empty());
        let within: Maximum = parsed.iter().cloned().collect();
        for done in &sent {
            // An inside address is allowed by what the request was counted for, and that stays as it was.
            prop_assert!(within.holds(done), "{done} is not in {:?}", suggestion.lines);
        }
        for power_needed in needed {
            let has = |line: &Line| matches!(line, Line::Capability(one) if one.power() == power_needed);
            prop_assert_eq!(grant.lines().iter().any(has), parsed.iter().any(has), "it still links");
        }
    }
}

#[test]
fn few_paths_are_suggested_for_a_wildcard_and_many_are_not() {
    let rule = HttpRule {
        method: "GET".to_owned(),
        endpoint: "one".to_owned(),
        base: BaseUrl::parse("https://one.example.com").unwrap(),
        path: PathPattern::parse("/a/*").unwrap(),
        query: Some(vec!["page".to_owned()]),
        secret: None,
        private: false,
    };
    let names: Vec<String> = (0..=crate::model::Acts::MOST)
        .map(|n| format!("n{n}"))
        .collect();
    let after = |count: usize| {
        let requests: Vec<_> = names[..count]
            .iter()
            .map(|name| ("GET", "one", vec!["a", name]))
            .collect();
        let power = power(vec![rule.clone()], BTreeSet::new());
        suggested(power, &requests, 0, &BTreeSet::new())
            .1
            .unwrap()
            .narrower
    };
    let [narrowed] = &after(2)[..] else {
        panic!("two paths are few")
    };
    assert_eq!(
        narrowed.line,
        "http GET https://one.example.com/a/* query page"
    );
    assert_eq!(
        narrowed.instead,
        [
            "http GET https://one.example.com/a/n0 query page",
            "http GET https://one.example.com/a/n1 query page"
        ]
    );
    assert_eq!(after(crate::model::Acts::MOST).len(), 1);
    assert!(after(crate::model::Acts::MOST + 1).is_empty());
}

#[test]
fn a_path_with_a_secret_in_it_is_not_kept() {
    let redactor = Redactor::default();
    redactor.add("token", "hunter2-hunter2");
    let rules = power(
        vec![HttpRule {
            method: "GET".to_owned(),
            endpoint: "one".to_owned(),
            base: BaseUrl::parse("https://one.example.com").unwrap(),
            path: PathPattern::parse("/**").unwrap(),
            query: None,
            secret: None,
            private: false,
        }],
        BTreeSet::new(),
    )
    .http;
    let act = |path: &str| {
        let uri = format!("https://one.example.com{path}").parse().unwrap();
        let allowed = rules.judge(&hyper::Method::GET, &uri).unwrap();
        rules.act(&allowed, &redactor)
    };
    assert!(
        act("/a?token=x").is_some_and(|line| line.ends_with("/a")),
        "without the query"
    );
    assert_eq!(act("/hunter2-hunter2/x"), None);
    assert_eq!(act("/a*"), None, "it would be another pattern");
    assert_eq!(act(&format!("/{}", "a".repeat(300))), None);
    assert!(matches!(
        rules.first().map(HttpRule::line),
        Some(Capability::Http { .. })
    ));
}

#[test]
fn the_requests_of_a_hundred_lines_are_told_apart_and_the_rest_is_added_up() {
    let rule = |path: String| HttpRule {
        method: "GET".to_owned(),
        endpoint: "one".to_owned(),
        base: BaseUrl::parse("https://one.example.com").unwrap(),
        path: PathPattern::parse(&path).unwrap(),
        query: None,
        secret: None,
        private: false,
    };
    let told = |rules: Vec<HttpRule>| {
        let count = rules.len();
        let tally = Tally::new(Arc::new(power(rules, BTreeSet::new())));
        for place in 0..count {
            let _ = tally.trail(place);
        }
        let told = tally.requests();
        let others = told.others.map_or(0, |others| others.count);
        (told.lines.len(), others)
    };
    let short = (0..103).map(|number| rule(format!("/{number}")));
    assert_eq!(told(short.collect()), (100, 3));
    let long = (0..40).map(|number| rule(format!("/{number}/{}", "x".repeat(1_000))));
    let (lines, others) = told(long.collect());
    assert!(lines < 33, "32 KiB of text in all: {lines}");
    assert_eq!(lines as u64 + others, 40);
}
