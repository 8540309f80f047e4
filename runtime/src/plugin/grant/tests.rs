use super::*;
use crate::model::Approval;

fn manifest() -> Manifest {
    let text = r#"
[plugin]
name = "demo"
version = "1.0.0"
[[capabilities.catalog]]
blueprint = "Component"
access = ["read", "upsert"]
properties = ["url"]
reason = "x"
[[capabilities.files]]
name = "out"
access = "read"
reason = "x"
[capabilities.clock]
reason = "x"
[limits]
memory = "32MiB"
[[actions]]
name = "go"
effects = "none"
"#;
    Manifest::parse(text).unwrap()
}

fn approval() -> Approval {
    Approval {
        digest: Digest::of(b"package"),
        manifest_hash: Digest::of(b"manifest"),
        policy_revision: Digest::of(b"policy"),
        bindings: BTreeMap::new(),
        folders: BTreeMap::new(),
        secrets: BTreeMap::new(),
        deny: Vec::new(),
        limits: BTreeMap::new(),
    }
}

#[test]
fn power_is_what_is_both_requested_and_granted() {
    let manifest = manifest();
    let mut approval = approval();
    approval.deny = vec!["clock".to_owned()];
    approval.limits = BTreeMap::from([("memory".to_owned(), "16MiB".to_owned())]);
    let grant = Grant::decide(&manifest, &approval, &HostCeiling::default()).unwrap();
    let stored: Grant = serde_json::from_str(&serde_json::to_string(&grant).unwrap()).unwrap();
    let power = Effective::of(&manifest, &stored, &HostCeiling::default());
    let component = BlueprintId::parse("Component").unwrap();
    assert_eq!(
        power.powers(),
        BTreeSet::from([Power::Catalog, Power::Files])
    );
    assert_eq!(power.limits.get(Budget::Memory), 16 << 20);
    assert!(power.touches(CatalogAccess::Read, &component));
    assert!(power.find_write(&component, &["url"], false).is_some());
    assert!(power.find_write(&component, &["url"], true).is_none());
    assert!(
        power
            .find_write(&component, &["url", "owner"], false)
            .is_none()
    );
    assert!(!power.touches(CatalogAccess::Delete, &component));
    assert!(!power.touches(CatalogAccess::Read, &BlueprintId::parse("System").unwrap()));
    assert_eq!(
        power.folder("out").map(|line| line.access),
        Some(FilesAccess::Read)
    );
    assert!(power.folder("other").is_none());
}

#[test]
fn grant_of_another_manifest_gives_nothing_new() {
    let grant = Grant {
        of: None,
        lines: BTreeSet::from(["state".to_owned(), "catalog upsert Component".to_owned()]),
        limits: BTreeMap::from([("memory".to_owned(), u64::MAX)]),
        folders: BTreeMap::new(),
        bindings: BTreeMap::new(),
        secrets: BTreeMap::new(),
    };
    let power = Effective::of(&manifest(), &grant, &HostCeiling::default());
    assert!(power.capabilities.is_empty());
    assert_eq!(power.limits.get(Budget::Memory), 32 << 20);
    assert_eq!(
        power.limits.get(Budget::HostCalls),
        0,
        "what the grant does not name was not granted"
    );
}

#[test]
fn decisions_that_do_not_fit_the_request_are_refused_all_at_once() {
    let mut approval = approval();
    approval.deny = vec!["clock ".to_owned()];
    approval.folders = BTreeMap::from([
        ("out".to_owned(), "relative".to_owned()),
        ("other".to_owned(), "/srv".to_owned()),
    ]);
    approval.limits = BTreeMap::from([
        ("memory".to_owned(), "64MiB".to_owned()),
        ("storage".to_owned(), "1GiB".to_owned()),
        ("cpu-time".to_owned(), "fast".to_owned()),
    ]);
    approval.secrets = BTreeMap::from([("token".to_owned(), "stored".to_owned())]);
    approval.bindings = BTreeMap::from([("github".to_owned(), crate::model::Binding::default())]);
    let problems = Grant::decide(&manifest(), &approval, &HostCeiling::default()).unwrap_err();
    let mut places: Vec<_> = problems
        .iter()
        .map(|problem| problem.path.as_str())
        .collect();
    places.sort_unstable();
    assert_eq!(
        places,
        [
            "/bindings/github",
            "/deny/0",
            "/folders/other",
            "/folders/out",
            "/limits/cpu-time",
            "/limits/memory",
            "/limits/storage",
            "/secrets/token",
        ]
    );
}

fn with_endpoint(default: &str, secret: &str) -> Manifest {
    let text = format!(
        r#"
[plugin]
name = "demo"
version = "1.0.0"
[endpoints.git]
{default}
reason = "x"
[[capabilities.http]]
endpoint = "git"
methods = ["GET"]
paths = ["/repos/**"]
{secret}
reason = "x"
[[actions]]
name = "go"
effects = "none"
"#
    );
    Manifest::parse(&text).unwrap()
}

fn bound_to(urls: &[&str]) -> Approval {
    let urls = urls.iter().map(|url| (*url).to_owned()).collect();
    let binding = Binding {
        urls,
        ..Binding::default()
    };
    Approval {
        bindings: BTreeMap::from([("git".to_owned(), binding)]),
        ..approval()
    }
}

fn http_lines(manifest: &Manifest, approval: &Approval) -> Vec<String> {
    let ceiling = HostCeiling::default();
    let grant = Grant::decide(manifest, approval, &ceiling).unwrap();
    let lines = grant.lines(manifest, &ceiling);
    lines
        .into_iter()
        .filter(|line| line.starts_with("http"))
        .collect()
}

#[test]
fn endpoints_are_shown_as_the_urls_that_they_are_bound_to() {
    let manifest = with_endpoint("default = \"https://git.example.com/api\"", "");
    assert_eq!(
        http_lines(&manifest, &approval()),
        ["http GET https://git.example.com/api/repos/**"]
    );
    let approval = bound_to(&["https://one.example.com", "https://two.example.com:8443/x"]);
    assert_eq!(
        http_lines(&manifest, &approval),
        [
            "http GET https://one.example.com/repos/**",
            "http GET https://two.example.com:8443/x/repos/**"
        ]
    );
}

#[test]
fn endpoint_without_a_url_or_with_a_bad_one_is_refused() {
    let open = with_endpoint("", "");
    let places = |approval: &Approval| -> Vec<String> {
        Grant::decide(&open, approval, &HostCeiling::default())
            .unwrap_err()
            .into_iter()
            .map(|problem| problem.path)
            .collect()
    };
    assert_eq!(places(&approval()), ["/bindings/git"]);
    assert_eq!(places(&bound_to(&[])), ["/bindings/git/urls"]);
    let odd = bound_to(&[
        "https://ok.example.com",
        "http://plain.example.com",
        "https://127.1",
    ]);
    assert_eq!(
        places(&odd),
        ["/bindings/git/urls/1", "/bindings/git/urls/2"]
    );
    let denied = Approval {
        deny: vec!["http GET git /repos/**".to_owned()],
        ..approval()
    };
    assert!(http_lines(&open, &denied).is_empty());
}

fn host_ceiling(lines: &[&str]) -> HostCeiling {
    let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    HostCeiling::parse(&lines).unwrap()
}

#[test]
fn approval_beyond_the_hosts_ceiling_is_refused_with_what_it_would_allow() {
    let ceiling = host_ceiling(&["no clock", "limit memory 8MiB"]);
    let problems = Grant::decide(&manifest(), &approval(), &ceiling).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0]
            .message
            .contains("`clock` allows to tell the time")
    );
    let approval = Approval {
        deny: vec!["clock".to_owned()],
        ..approval()
    };
    let grant = Grant::decide(&manifest(), &approval, &ceiling).unwrap();
    let lines = grant.lines(&manifest(), &ceiling);
    assert!(lines.contains(&"limit memory 8MiB".to_owned()), "{lines:?}");
}

#[test]
fn ceiling_that_was_lowered_later_holds_for_grants_of_before() {
    let open = with_endpoint("default = \"https://git.example.com/api\"", "");
    let grant = Grant::decide(&open, &approval(), &HostCeiling::default()).unwrap();
    let ceiling = host_ceiling(&["http GET https://git.example.com/api/repos/public/**"]);
    let power = Effective::of(&open, &grant, &ceiling);
    assert!(power.http.is_empty() && power.powers().is_empty());
}

#[test]
fn grant_is_for_one_digest_and_one_manifest() {
    let grant = Grant::decide(&manifest(), &approval(), &HostCeiling::default()).unwrap();
    let (digest, hash) = (Digest::of(b"package"), Digest::of(b"manifest"));
    assert!(grant.is_for(digest, hash));
    assert!(!grant.is_for(Digest::of(b"other"), hash));
    assert!(!grant.is_for(digest, Digest::of(b"other")));
}

#[test]
fn a_secret_is_attached_only_where_a_reviewer_says_which_one_it_is() {
    let manifest = with_endpoint(
        "default = \"https://git.example.com\"",
        "secret = { name = \"token\", header = \"authorization\", format = \"Bearer {}\" }",
    );
    let line = "http GET git /repos/** using token";
    assert_eq!(manifest.lines()[0], line);
    let decide = |approval: &Approval| Grant::decide(&manifest, approval, &HostCeiling::default());
    let refused = decide(&approval()).unwrap_err();
    assert_eq!(
        (refused[0].path.as_str(), refused[0].rule.as_str()),
        ("/secrets/token", "required")
    );
    let as_stored = |name: &str| Approval {
        secrets: BTreeMap::from([("token".to_owned(), name.to_owned())]),
        ..approval()
    };
    assert_eq!(decide(&as_stored("a b")).unwrap_err()[0].rule, "format");
    let denied = Approval {
        deny: vec![line.to_owned()],
        ..approval()
    };
    assert!(decide(&denied).unwrap().secrets.is_empty());
    assert_eq!(
        http_lines(&manifest, &as_stored("GITHUB")),
        ["http GET https://git.example.com/repos/** using token"]
    );
    let mut grant = decide(&as_stored("GITHUB")).unwrap();
    let bound = |grant: &Grant| {
        let power = Effective::of(&manifest, grant, &HostCeiling::default());
        let rule = power.http.first()?.clone();
        Some(rule.secret?.stored.to_string())
    };
    assert_eq!(bound(&grant).as_deref(), Some("GITHUB"));
    grant.secrets.clear();
    assert_eq!(
        bound(&grant),
        None,
        "without its secret the line allows nothing"
    );
}
