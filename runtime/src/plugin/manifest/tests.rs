use super::*;

const HEAD: &str = "[plugin]\nname = \"demo\"\nversion = \"1.2.0\"\n";
const ACTION: &str = "[[actions]]\nname = \"go\"\neffects = \"once\"\n";

fn parse(middle: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(&format!("{HEAD}{middle}{ACTION}"))
}

#[test]
fn request_becomes_sorted_canonical_lines() {
    let manifest = parse(
        r#"
[[capabilities.files]]
name = "services"
access = "read-write"
max-bytes = "64MiB"
max-files = 10000
reason = "render the template"
[[capabilities.catalog]]
blueprint = "Component"
access = ["upsert", "read"]
properties = ["url", "$title", "$relations.system", "language"]
reason = "register the service"
[capabilities.state]
reason = "remember the last number"
[limits]
memory = "32MiB"
"#,
    )
    .unwrap();
    let lines = manifest.lines();
    assert_eq!(
        lines,
        [
            "catalog read Component",
            "catalog upsert Component properties $relations.system,$title,language,url",
            "files read-write services max-bytes 64MiB max-files 10000",
            "limit cpu-time 5s",
            "limit host-calls 10000",
            "limit http-bytes 16MiB",
            "limit http-requests 100",
            "limit log 1MiB",
            "limit memory 32MiB",
            "limit output 256KiB",
            "limit wall-time 60s",
            "state",
        ]
    );
    assert_eq!(manifest.reasons["state"], "remember the last number");
    assert_eq!(manifest.action("go").unwrap().effects, Effects::Once);
}

#[test]
fn unknown_key_is_named_with_its_line() {
    let error = parse("[limits]\nmemry = \"1MiB\"\n").unwrap_err();
    assert_eq!((error.line, error.key.as_str()), (5, "memry"));
    let error = parse("[[capabilities.files]]\nname = \"a\"\naccess = \"read\"\nmax-size = \"1B\"\nreason = \"x\"\n").unwrap_err();
    assert_eq!((error.line, error.key.as_str()), (7, "max-size"));
    let error = parse("[[capabilities.exec]]\nname = \"a\"\n").unwrap_err();
    assert_eq!(error.line, 4);
    assert!(error.key.contains("exec"), "{error}");
}

#[test]
fn duplicate_key_is_named_with_its_line() {
    let error = parse("[limits]\nmemory = \"1MiB\"\nmemory = \"2MiB\"\n").unwrap_err();
    assert_eq!((error.line, error.key.as_str()), (6, "memory"));
}

const HTTP: &str = r#"
[endpoints.github]
default = "https://api.github.com"
reason = "push"
[[capabilities.http]]
endpoint = "github"
methods = ["POST", "GET"]
paths = ["/orgs/*/repos", "/repos/*/*/git/**"]
reason = "push"
"#;

#[test]
fn requests_are_one_line_for_each_method_and_path() {
    let manifest = parse(HTTP).unwrap();
    assert_eq!(
        manifest.lines()[..4],
        [
            "http GET github /orgs/*/repos",
            "http GET github /repos/*/*/git/**",
            "http POST github /orgs/*/repos",
            "http POST github /repos/*/*/git/**",
        ]
    );
    assert_eq!(
        manifest.endpoints["github"].as_deref(),
        Some("https://api.github.com")
    );
}

#[test]
fn keys_of_queries_are_part_of_the_line() {
    let lines = |query: &str| {
        let text = HTTP.replacen("paths = [", &format!("query = {query}\npaths = ["), 1);
        parse(&text).unwrap().lines()
    };
    let line = "http GET github /orgs/*/repos query page,per_page";
    assert!(lines("[\"per_page\", \"page\"]").contains(&line.to_owned()));
    assert!(lines("[]").contains(&"http GET github /orgs/*/repos no-query".to_owned()));
}

#[test]
fn a_secret_is_part_of_the_line_and_attached_in_one_way() {
    let with = |secret: &str| {
        let text = HTTP.replacen("paths = [", &format!("secret = {secret}\npaths = ["), 1);
        let more = "[[capabilities.http]]\nendpoint = \"github\"\nmethods = [\"PUT\"]\npaths = [\"/x\"]\nreason = \"x\"\n";
        parse(&format!(
            "{text}{more}secret = {{ name = \"t\", header = \"authorization\", format = \"Bearer {{}}\" }}\n"
        ))
    };
    let manifest =
        with("{ name = \"t\", header = \"authorization\", format = \"Bearer {}\" }").unwrap();
    let line = "http GET github /orgs/*/repos using t";
    assert!(manifest.lines().contains(&line.to_owned()));
    assert_eq!(manifest.secrets["t"].header, "authorization");
    assert_eq!(manifest.secrets["t"].format, "Bearer {}");
    let other = with("{ name = \"t\", header = \"x-api-key\" }").unwrap_err();
    assert!(other.message.contains("another way"), "{other}");
}

#[test]
fn http_that_says_too_little_or_too_much_is_refused() {
    for (from, to) in [
        ("endpoint = \"github\"", "endpoint = \"gitlab\""),
        ("[\"POST\", \"GET\"]", "[]"),
        ("[\"POST\", \"GET\"]", "[\"post\"]"),
        ("[\"POST\", \"GET\"]", "[\"CONNECT\"]"),
        ("[\"POST\", \"GET\"]", "[\"GET\", \"GET\"]"),
        ("/orgs/*/repos", "/orgs/*x"),
        ("/orgs/*/repos", "/**/repos"),
        ("/orgs/*/repos", "orgs"),
        ("paths = [", "query = [\"a\", \"a\"]\npaths = ["),
        ("paths = [", "query = [\"a&b\"]\npaths = ["),
        ("https://api.github.com", "https://*.github.com"),
        ("https://api.github.com", "https://user@api.github.com"),
        (
            "paths = [",
            "secret = { name = \"T\", header = \"authorization\" }\npaths = [",
        ),
        ("paths = [", "secret = { name = \"t\" }\npaths = ["),
        (
            "paths = [",
            "secret = { name = \"t\", header = \"Authorization\" }\npaths = [",
        ),
        (
            "paths = [",
            "secret = { name = \"t\", header = \"host\" }\npaths = [",
        ),
        (
            "paths = [",
            "secret = { name = \"t\", header = \"content-length\" }\npaths = [",
        ),
        (
            "paths = [",
            "secret = { name = \"t\", header = \"x-a\", format = \"{} {}\" }\npaths = [",
        ),
        (
            "paths = [",
            "secret = { name = \"t\", header = \"x-a\", format = \"no\" }\npaths = [",
        ),
        (
            "paths = [",
            "secret = { name = \"t\", header = \"x-a\", format = \"{}\\n\" }\npaths = [",
        ),
    ] {
        assert!(HTTP.contains(from), "{from}");
        assert!(parse(&HTTP.replacen(from, to, 1)).is_err(), "{to}");
    }
    assert!(parse("[endpoints.idle]\nreason = \"x\"\n").is_err());
}

#[test]
fn a_secret_that_is_read_is_a_line_and_one_more_to_bind() {
    let read = "[[capabilities.secret]]\nname = \"key\"\nreason = \"sign\"\n";
    let attached = HTTP.replacen(
        "paths = [",
        "secret = { name = \"token\", header = \"x-a\" }\npaths = [",
        1,
    );
    let manifest = parse(&format!("{attached}{read}")).unwrap();
    assert!(manifest.lines().contains(&"secret key".to_owned()));
    assert_eq!(manifest.reasons["secret key"], "sign");
    assert!(manifest.reads_secret("key") && !manifest.reads_secret("token"));
    let names: Vec<_> = manifest.secret_names().into_iter().collect();
    assert_eq!(names, ["key", "token"]);
    for odd in [
        read.repeat(2),
        read.replace("\"key\"", "\"Key\""),
        read.replace("reason = \"sign\"\n", ""),
        format!("{read}header = \"x-a\"\n"),
    ] {
        assert!(parse(&odd).is_err(), "{odd}");
    }
}

#[test]
fn an_action_that_is_started_is_a_line() {
    let start = "[[capabilities.run-action]]\naction = \"notify\"\nreason = \"tell\"\n";
    let manifest = parse(start).unwrap();
    assert!(manifest.lines().contains(&"run-action notify".to_owned()));
    assert_eq!(manifest.reasons["run-action notify"], "tell");
    for odd in [
        start.repeat(2),
        start.replace("\"notify\"", "\"*\""),
        start.replace("\"notify\"", "\"no tify\""),
        start.replace("reason = \"tell\"\n", ""),
        format!("{start}version = \"1\"\n"),
    ] {
        assert!(parse(&odd).is_err(), "{odd}");
    }
}

#[test]
fn values_out_of_bounds_are_refused() {
    for middle in [
        "[limits]\nmemory = \"4GiB\"\n",
        "[limits]\nwall-time = \"2d\"\n",
        "[limits]\nhost-calls = -1\n",
        "[limits]\nhost-calls = 99999999999\n",
        "[[capabilities.files]]\nname = \"../x\"\naccess = \"read\"\nreason = \"x\"\n",
        "[[capabilities.files]]\nname = \"x\"\naccess = \"read\"\nmax-files = 0\nreason = \"x\"\n",
        "[[capabilities.files]]\nname = \"x\"\naccess = \"write\"\nreason = \"x\"\n",
        "[[capabilities.catalog]]\nblueprint = \"A\"\naccess = []\nreason = \"x\"\n",
        "[[capabilities.catalog]]\nblueprint = \"A\"\naccess = [\"upsert\"]\nproperties = []\nreason = \"x\"\n",
        "[[capabilities.catalog]]\nblueprint = \"A\"\naccess = [\"upsert\"]\nproperties = [\"$identifier\"]\nreason = \"x\"\n",
        "[[capabilities.catalog]]\nblueprint = \"A\"\naccess = [\"read\"]\nproperties = [\"a\"]\nreason = \"x\"\n",
        "[[capabilities.catalog]]\nblueprint = \"A\"\naccess = [\"read\", \"read\"]\nreason = \"x\"\n",
        "[[capabilities.catalog]]\nblueprint = \"*\"\naccess = [\"read\"]\nreason = \"x\"\n",
        "[capabilities.clock]\n",
        "[capabilities.clock]\nreason = \" \"\n",
    ] {
        let refused = parse(middle);
        assert!(refused.is_err(), "{middle}");
    }
}

#[test]
fn identity_is_checked() {
    for (name, version) in [
        ("Demo", "1.0.0"),
        ("d", "1.0.0"),
        ("demo", "1.0"),
        ("../demo", "1.0.0"),
        ("stop", "1.0.0"),
        ("dеmo", "1.0.0"),
    ] {
        let text = format!("[plugin]\nname = \"{name}\"\nversion = \"{version}\"\n{ACTION}");
        assert!(Manifest::parse(&text).is_err(), "{name} {version}");
    }
    assert!(
        Manifest::parse(HEAD).is_err(),
        "a plugin without actions does nothing"
    );
    assert!(Manifest::parse("").is_err());
    assert!(Manifest::parse(&"#".repeat(MAX_BYTES + 1)).is_err());
}
