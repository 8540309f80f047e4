//! `goldenpath plugin test`: the package in the real host, against cases.

use std::collections::BTreeMap;
use std::path::Path;

use goldenpath_tests::{Answer, Ended, Guest, Program, Server, plugins_dir};
use serde_json::Value;

use super::write;
use crate::sdk::user_of_the_sdk;
use crate::{plugin_component, program};

const MANIFEST: &str = r#"
[capabilities.state]
reason = "imported, never called"

[endpoints.api]
default = "https://api.example"
reason = "to be answered by a case"

[[capabilities.http]]
endpoint = "api"
methods = ["GET"]
paths = ["/things/**"]
secret = { name = "token", header = "authorization", format = "Bearer {}" }
reason = "to be answered by a case"
"#;

const PASSES: &str = r#"
action: calls-by-name
input: {endpoint: api, path: "/things/1?b=2&a=1%202"}
http:
  - request:
      method: GET
      endpoint: api
      path: /things/1
      query: {a: 1 2, b: 2}
      headers: {authorization: Bearer q7Zx.placeholder.of.token.xZ7q}
    response:
      status: 418
      headers: {x-kind: pot}
      body: {name: kettle}
  - optional: true
    request: {method: GET, endpoint: api, path: /things/2}
    response: {}
expect:
  outputIncludes:
    status: 418
    headers: {x-kind: pot, content-type: application/json}
    body: '{"name":"kettle"}'
"#;

/// A first-party plugin as `plugin build` packages it.
fn package_of(name: &str) -> Vec<u8> {
    let folder = plugins_dir().join(name);
    let component = plugin_component(name);
    let action = format!("actions/{name}.json");
    let resources = BTreeMap::from([(action.clone(), read(&folder.join(&action)))]);
    let (manifest, readme) = (
        read(&folder.join("plugin.toml")),
        read(&folder.join("README.md")),
    );
    let description = Guest::describe(&component);
    goldenpath::plugin::assemble(&component, &manifest, &description, &readme, &resources)
        .expect("the parts fit together")
}

/// Tries a package with the cases of a folder.
fn test(package: &[u8], cases: &Path, more: &[&str]) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("plugin.wasm");
    write(&file, package);
    let (file, cases) = (file.to_str(), cases.to_str());
    let (file, cases) = (
        file.expect("a path in UTF-8"),
        cases.expect("a path in UTF-8"),
    );
    let first = ["plugin", "test", file, "--cases", cases];
    Program::new(program(), folder.path()).run([&first, more].concat())
}

/// Tries the guest that does as it is told with one case.
fn test_case(case: &str, more: &[&str]) -> Ended {
    let folder = tempfile::tempdir().expect("a folder");
    write(&folder.path().join("a-case.yaml"), case);
    let guest = user_of_the_sdk("talker")
        .with_manifest(MANIFEST)
        .with_action("calls-by-name");
    test(&guest.package(), folder.path(), more)
}

#[track_caller]
fn assert_tells(ended: &Ended, parts: &[&str]) {
    for part in parts {
        let told = [&ended.stdout, &ended.stderr];
        assert!(
            told.iter().any(|text| text.contains(part)),
            "`{part}`: {}\n{}",
            ended.stdout,
            ended.stderr
        );
    }
}

#[test]
fn the_first_party_plugins_pass_their_cases() {
    for (name, count) in [("hello", 2), ("scaffold-service", 3)] {
        let cases = plugins_dir().join(name).join("tests/exchanges");
        let report = test(&package_of(name), &cases, &["--json"])
            .with_code(0)
            .json();
        assert_eq!(report["passed"], count, "{report}");
        assert_eq!(report["plugin"], name, "{report}");
    }
}

#[test]
fn a_request_is_answered_by_its_exchange_with_a_placeholder_for_the_secret() {
    let ended = test_case(PASSES, &["--case", "a-case"]).with_code(0);
    assert_tells(&ended, &["ok      a-case", "1 case: 1 passed, 0 failed"]);
}

#[test]
fn what_does_not_come_out_as_expected_is_told_place_by_place() {
    let other = PASSES
        .replace("path: /things/1\n", "path: /things/3\n")
        .replace("status: 418\n    headers", "status: 200\n    headers");
    let ended = test_case(&other, &[]).with_code(1);
    let told = [
        "FAILED  a-case",
        "`GET api /things/1?b=2&a=1%202` is in no exchange",
        "nearest is /http/0: path: expected `/things/3`, was `/things/1`",
        "/http/0: `GET api /things/3` was not sent",
        "output/status: expected `200`, was `501`",
        "1 case: 0 passed, 1 failed",
    ];
    assert_tells(&ended, &told);
    let report = test_case(&other, &["--json"]).with_code(1).json();
    let problems = report["cases"][0]["problems"].as_array().expect("problems");
    let codes: Vec<&Value> = problems.iter().map(|problem| &problem["code"]).collect();
    assert_eq!(codes[..2], ["unmatched_request", "unused_exchange"]);
}

#[test]
fn a_denied_request_fails_the_case_and_names_the_line_to_ask_for() {
    let case = "
action: calls-by-name
input: {endpoint: api, path: /others/1}
expect:
  outputIncludes: {error: denied}
";
    let ended = test_case(case, &[]).with_code(1);
    let told = [
        "was denied `http GET api /others/1`",
        "request it under `[[capabilities.http]]` in plugin.toml",
    ];
    assert_tells(&ended, &told);
    let expected = format!("{case}  denied: [http GET api /others/1]\n");
    test_case(&expected, &[]).with_code(0);
}

#[test]
fn a_case_that_cannot_be_read_is_told_with_file_line_and_key() {
    let ended = test_case("action: calls-by-name\nhttp:\n  - wishes: {}\n", &[]).with_code(2);
    assert_tells(&ended, &["a-case.yaml", ":3", "wishes"]);
    let unknown = PASSES.replace("endpoint: api\n", "endpoint: other\n");
    let ended = test_case(&unknown, &[]).with_code(2);
    assert_tells(&ended, &["/http/0", "[endpoints.other]"]);
    let ended = test_case(PASSES, &["--case", "b-case"]).with_code(2);
    assert_tells(&ended, &["no case `b-case`", "a-case"]);
    let mut bomb = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let before = format!("*a{}", level - 1);
        let items = vec![before; 10].join(", ");
        bomb.push_str(&format!("b{level}: &a{level} [{items}]\n"));
    }
    let ended = test_case(&bomb, &[]).with_code(2);
    assert_tells(&ended, &["a-case.yaml"]);
}

#[test]
fn a_recording_has_what_was_answered_and_no_secret_and_replays_without_one() {
    const SECRET: &str = "hunter2-hunter2-hunter2";
    let server = Server::start(|request| {
        let sent = request.header("authorization").join(", ");
        let body = format!("{{\"sent\":\"{sent}\",\"n\":1}}");
        Answer::new(200, body)
            .with_header("content-type", "application/json")
            .with_header("set-cookie", "session=abc")
            .with_header("x-echo", &sent)
    });
    let folder = tempfile::tempdir().expect("a folder");
    let (case, package) = (
        folder.path().join("cases/a-case.yaml"),
        folder.path().join("talker.wasm"),
    );
    let head =
        "# Kept as it is.\naction: calls-by-name\ninput: {endpoint: api, path: '/things/1?b=2'}\n";
    let tail = "# What comes of it.\nexpect:\n  outputIncludes: {status: 200, headers: {x-echo: Bearer ***}}\n";
    write(&case, format!("{head}http: []\n{tail}"));
    let guest = user_of_the_sdk("talker")
        .with_manifest(MANIFEST)
        .with_action("calls-by-name");
    write(&package, guest.package());
    let cli = Program::new(program(), folder.path()).with("TOKEN", SECRET);
    let words = ["plugin", "test", "talker.wasm", "--cases", "cases"];
    let endpoint = format!("api={}/base", server.url());
    let record = ["--record", "--endpoint", &endpoint, "--secret"];

    let plain = [&words[..], &record, &["token=hunter2"]].concat();
    let refused = cli.run_in(folder.path(), plain).with_code(2);
    assert_tells(&refused, &["--secret token=@VARIABLE"]);
    let lacking = [&words[..], &record[..3]].concat();
    let refused = cli.run_in(folder.path(), lacking).with_code(2);
    assert_tells(&refused, &["--secret token=@VARIABLE"]);

    let recorded = [&words[..], &record, &["token=@TOKEN"]].concat();
    cli.run_in(folder.path(), recorded).with_code(0);
    let received = server.received();
    assert_eq!(received[0].target, "/base/things/1?b=2");
    assert_eq!(
        received[0].header("authorization"),
        [format!("Bearer {SECRET}")]
    );
    let text = read(&case);
    assert!(text.starts_with(head) && text.ends_with(tail), "{text}");
    for part in ["hunter2", "session=abc", "authorization", "127.0.0.1"] {
        assert!(!text.contains(part), "`{part}`: {text}");
    }
    for part in ["path: /things/1", "Bearer ***", "x-echo"] {
        assert!(text.contains(part), "`{part}`: {text}");
    }

    Program::new(program(), folder.path())
        .run_in(folder.path(), words)
        .with_code(0);
    assert_eq!(server.received().len(), 1);
}

#[expect(clippy::disallowed_methods, reason = "files of the project")]
fn read(file: &Path) -> String {
    std::fs::read_to_string(file).expect("a file")
}
