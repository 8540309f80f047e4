use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::TestApp;
use crate::model::{Permission, Role};

/// What the page says before its tables.
const HEAD: &str = "\
# Roles

Every user and every app has one role, and every route asks for one permission; without it the answer is 403 and says which
permission is missing and which roles have it. The tables are made from the code, and a test holds this page against it.
`/openapi.json` has the same for each operation: the permission as the scope of `security`, the roles as `x-roles`.

What a role allows, [permissions of a blueprint](README.md) narrow for its entities and those of an action for its runs,
and never add to. An administrator is not bound by them, but by the policy of an action. With the setting
`plugin-four-eyes`, who installed a package, the first time or again, neither approves it nor rolls back to it, whatever
their role. People are compared by name: a second credential of a user is the same person, an app is one of its own. A
version that asks for nothing new still takes over, as `plugin-upgrades` says, where somebody else than its installers
granted what its predecessor has; where only they did, or nobody is known, it waits. To reject, revoke or stop needs
nobody else.

A run is one of the person who asked for it. What its plugin may do is the plugin's grant: a golden path may do what its
user may not do by hand. With `\"engine\": {\"runAs\": \"user\"}` the action narrows this to what that person may do in the
catalog as well. What counts is what they may do when the run begins; without access any more, it fails.

";

fn page(document: &Value) -> String {
    let mut page = HEAD.to_owned();
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let names: Vec<String> = Role::ALL.map(|role| role.as_str().to_owned()).to_vec();
    let titles = ["permission".to_owned(), "lets them".to_owned()];
    page.push_str(&row([titles.to_vec(), names.clone()].concat()));
    page.push_str(&row(vec!["---".to_owned(); 2 + names.len()]));
    for permission in Permission::ALL {
        let mut cells = vec![
            format!("`{}`", permission.as_str()),
            permission.describe().to_owned(),
        ];
        let has = |role: Role| if role.allows(permission) { "yes" } else { "" };
        cells.extend(Role::ALL.map(|role| has(role).to_owned()));
        page.push_str(&row(cells));
    }
    page.push_str("\n## Routes\n\n");
    for (asked, routes) in routes(document) {
        // Writing to a string cannot fail.
        _ = write!(page, "### {asked}\n\n");
        for route in routes {
            _ = writeln!(page, "- `{route}`");
        }
        page.push('\n');
    }
    page.trim_end().to_owned() + "\n"
}

/// Routes by what they ask for, those that ask for nothing first.
fn routes(document: &Value) -> Vec<(String, Vec<String>)> {
    let mut by_scope: BTreeMap<Option<usize>, Vec<String>> = BTreeMap::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let scope = operation["security"][0]["bearer"][0].as_str();
            let scope = Permission::ALL
                .iter()
                .position(|known| Some(known.as_str()) == scope);
            let roles: Vec<&str> = match scope.and_then(|index| Permission::ALL.get(index)) {
                None => Vec::new(),
                Some(permission) => permission.roles().map(Role::as_str).collect(),
            };
            assert_eq!(
                operation["x-roles"],
                serde_json::json!(roles),
                "{method} {path}"
            );
            let route = format!("{} {path}", method.to_uppercase());
            by_scope.entry(scope).or_default().push(route);
        }
    }
    let named = by_scope.into_iter().map(|(scope, mut routes)| {
        let key = |route: &String| {
            let (method, path) = route.split_once(' ').unwrap();
            (path.to_owned(), method.to_owned())
        };
        routes.sort_by_key(key);
        let asked = match scope.and_then(|index| Permission::ALL.get(index)) {
            None => "nothing: no token is needed".to_owned(),
            Some(permission) => format!("`{}`", permission.as_str()),
        };
        (asked, routes)
    });
    named.collect()
}

#[tokio::test]
async fn page_of_roles_is_what_the_code_says() {
    let app = TestApp::new().await;
    let document = app.get("/openapi.json", "").await.json();
    let page = page(&document);
    let written = include_str!("../../../ROLES.md");
    assert!(written == page, "write this into runtime/ROLES.md:\n{page}");
}

#[tokio::test]
async fn a_refusal_says_which_permission_is_missing_and_which_roles_have_it() {
    let app = TestApp::new().await;
    let token = app.token(Role::Developer).await;
    let (_, message) = app.get("/v1/plugins", &token).await.refusal(403);
    for part in [
        "`developer`",
        "`plugins:read`",
        "`reviewer`, `platform-engineer`, `admin`",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
}
