use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use axum::routing::get;
use serde_json::Value;

use tower::ServiceExt as _;

use super::{ApiSettings, TestApp, request};
use crate::api::{build, guarded};
use crate::model::{Permission, Role};

/// What each operation asks of its caller, written down a second time: a route that changes has to change here too.
const TABLE: &[(&str, &str, Option<Permission>)] = {
    use Permission as P;
    &[
        ("POST", "/v1/auth/access_token", None),
        ("GET", "/health", None),
        ("GET", "/metrics", None),
        ("GET", "/docs", None),
        ("GET", "/openapi.json", None),
        ("GET", "/v1/users", Some(P::ManageUsers)),
        ("POST", "/v1/users", Some(P::ManageUsers)),
        ("GET", "/v1/users/{name}", Some(P::ManageUsers)),
        ("PATCH", "/v1/users/{name}", Some(P::ManageUsers)),
        ("DELETE", "/v1/users/{name}", Some(P::ManageUsers)),
        ("GET", "/v1/teams", Some(P::ReadCatalog)),
        ("POST", "/v1/teams", Some(P::ManageUsers)),
        ("GET", "/v1/teams/{name}", Some(P::ReadCatalog)),
        ("PUT", "/v1/teams/{name}", Some(P::ManageUsers)),
        ("PATCH", "/v1/teams/{name}", Some(P::ManageUsers)),
        ("DELETE", "/v1/teams/{name}", Some(P::ManageUsers)),
        ("GET", "/v1/apps", Some(P::ManageUsers)),
        ("POST", "/v1/apps", Some(P::ManageUsers)),
        ("DELETE", "/v1/apps/{name}", Some(P::ManageUsers)),
        ("GET", "/v1/blueprints", Some(P::ReadCatalog)),
        ("POST", "/v1/blueprints", Some(P::WriteCatalog)),
        ("GET", "/v1/blueprints/{blueprint}", Some(P::ReadCatalog)),
        ("PUT", "/v1/blueprints/{blueprint}", Some(P::WriteCatalog)),
        ("PATCH", "/v1/blueprints/{blueprint}", Some(P::WriteCatalog)),
        (
            "DELETE",
            "/v1/blueprints/{blueprint}",
            Some(P::WriteCatalog),
        ),
        (
            "GET",
            "/v1/blueprints/system/{blueprint}/structure",
            Some(P::ReadCatalog),
        ),
        (
            "PATCH",
            "/v1/blueprints/{blueprint}/properties/{property}/rename",
            Some(P::WriteCatalog),
        ),
        (
            "PATCH",
            "/v1/blueprints/{blueprint}/mirror/{property}/rename",
            Some(P::WriteCatalog),
        ),
        (
            "PATCH",
            "/v1/blueprints/{blueprint}/relations/{relation}/rename",
            Some(P::WriteCatalog),
        ),
        (
            "GET",
            "/v1/blueprints/{blueprint}/permissions",
            Some(P::ReadCatalog),
        ),
        (
            "PATCH",
            "/v1/blueprints/{blueprint}/permissions",
            Some(P::ManageUsers),
        ),
        (
            "DELETE",
            "/v1/blueprints/{blueprint}/all-entities",
            Some(P::WriteCatalog),
        ),
        ("GET", "/v1/migrations/{migration}", Some(P::ReadCatalog)),
        (
            "POST",
            "/v1/blueprints/{blueprint}/bulk/entities/delete",
            Some(P::WriteCatalog),
        ),
        (
            "POST",
            "/v1/blueprints/entities/datasource-entities",
            Some(P::WriteCatalog),
        ),
        (
            "GET",
            "/v1/blueprints/{blueprint}/entities",
            Some(P::ReadCatalog),
        ),
        (
            "POST",
            "/v1/blueprints/{blueprint}/entities",
            Some(P::WriteCatalog),
        ),
        (
            "POST",
            "/v1/blueprints/{blueprint}/entities/bulk",
            Some(P::WriteCatalog),
        ),
        (
            "GET",
            "/v1/blueprints/{blueprint}/entities-count",
            Some(P::ReadCatalog),
        ),
        (
            "GET",
            "/v1/blueprints/{blueprint}/entities/{entity}",
            Some(P::ReadCatalog),
        ),
        (
            "PUT",
            "/v1/blueprints/{blueprint}/entities/{entity}",
            Some(P::WriteCatalog),
        ),
        (
            "PATCH",
            "/v1/blueprints/{blueprint}/entities/{entity}",
            Some(P::WriteCatalog),
        ),
        (
            "DELETE",
            "/v1/blueprints/{blueprint}/entities/{entity}",
            Some(P::WriteCatalog),
        ),
        (
            "GET",
            "/v1/blueprints/{blueprint}/entities/{entity}/history",
            Some(P::ReadCatalog),
        ),
        (
            "POST",
            "/v1/blueprints/{blueprint}/entities/{entity}/restore",
            Some(P::WriteCatalog),
        ),
        ("GET", "/v1/catalog/export", Some(P::ReadCatalog)),
        ("GET", "/v1/scorecards", Some(P::ReadCatalog)),
        (
            "GET",
            "/v1/blueprints/{blueprint}/scorecards",
            Some(P::ReadCatalog),
        ),
        (
            "POST",
            "/v1/blueprints/{blueprint}/scorecards",
            Some(P::WriteCatalog),
        ),
        (
            "PUT",
            "/v1/blueprints/{blueprint}/scorecards",
            Some(P::WriteCatalog),
        ),
        (
            "GET",
            "/v1/blueprints/{blueprint}/scorecards/{scorecard}",
            Some(P::ReadCatalog),
        ),
        (
            "PUT",
            "/v1/blueprints/{blueprint}/scorecards/{scorecard}",
            Some(P::WriteCatalog),
        ),
        (
            "DELETE",
            "/v1/blueprints/{blueprint}/scorecards/{scorecard}",
            Some(P::WriteCatalog),
        ),
        ("GET", "/v1/catalog/derived-queue", Some(P::ReadCatalog)),
        ("POST", "/v1/entities/search", Some(P::ReadCatalog)),
        ("GET", "/v1/search", Some(P::ReadCatalog)),
        ("POST", "/v1/entities/aggregate", Some(P::ReadCatalog)),
        (
            "POST",
            "/v1/entities/aggregate-over-time",
            Some(P::ReadCatalog),
        ),
        (
            "POST",
            "/v1/entities/properties-history",
            Some(P::ReadCatalog),
        ),
        (
            "POST",
            "/v1/blueprints/{blueprint}/entities/search",
            Some(P::ReadCatalog),
        ),
        ("POST", "/v1/catalog/apply", Some(P::WriteCatalog)),
        ("GET", "/v1/actions", Some(P::ReadCatalog)),
        ("POST", "/v1/actions", Some(P::WriteCatalog)),
        ("GET", "/v1/actions/{action}", Some(P::ReadCatalog)),
        ("PUT", "/v1/actions/{action}", Some(P::WriteCatalog)),
        ("DELETE", "/v1/actions/{action}", Some(P::WriteCatalog)),
        (
            "GET",
            "/v1/actions/{action}/permissions",
            Some(P::ReadCatalog),
        ),
        (
            "PATCH",
            "/v1/actions/{action}/permissions",
            Some(P::ManageUsers),
        ),
        ("POST", "/v1/actions/{action}/form", Some(P::RunActions)),
        ("POST", "/v1/actions/{action}/runs", Some(P::RunActions)),
        ("GET", "/v1/actions/runs", Some(P::RunActions)),
        ("GET", "/v1/actions/runs/{run}", Some(P::RunActions)),
        ("GET", "/v1/actions/runs/{run}/logs", Some(P::RunActions)),
        ("POST", "/v1/actions/runs/{run}/cancel", Some(P::RunActions)),
        ("POST", "/v1/actions/runs/{run}/retry", Some(P::RunActions)),
        (
            "POST",
            "/v1/actions/runs/{run}/resolve",
            Some(P::RunActions),
        ),
        ("GET", "/v1/actions/runs/{run}/events", Some(P::RunActions)),
        (
            "POST",
            "/v1/actions/runs/{run}/feedback",
            Some(P::RunActions),
        ),
        ("GET", "/v1/actions/statistics", Some(P::ReadAllRuns)),
        (
            "GET",
            "/v1/actions/{action}/statistics",
            Some(P::ReadAllRuns),
        ),
        ("GET", "/v1/plugins", Some(P::ReadPlugins)),
        ("POST", "/v1/plugins", Some(P::InstallPlugins)),
        ("GET", "/v1/plugins/{name}", Some(P::ReadPlugins)),
        ("GET", "/v1/plugins/{name}/diff", Some(P::ReadPlugins)),
        ("GET", "/v1/plugins/{name}/usage", Some(P::ReadPlugins)),
        (
            "POST",
            "/v1/plugins/{name}/rollback",
            Some(P::ReviewPlugins),
        ),
        ("POST", "/v1/plugins/stop", Some(P::ReviewPlugins)),
        (
            "GET",
            "/v1/plugins/{name}/versions/{version}",
            Some(P::ReadPlugins),
        ),
        (
            "GET",
            "/v1/plugins/{name}/versions/{version}/capabilities",
            Some(P::ReadPlugins),
        ),
        (
            "POST",
            "/v1/plugins/{name}/versions/{version}/approve",
            Some(P::ReviewPlugins),
        ),
        (
            "POST",
            "/v1/plugins/{name}/versions/{version}/reject",
            Some(P::ReviewPlugins),
        ),
        (
            "POST",
            "/v1/plugins/{name}/versions/{version}/revoke",
            Some(P::ReviewPlugins),
        ),
        ("GET", "/v1/audit-log", Some(P::ReadPlugins)),
        ("GET", "/v1/events", Some(P::ReadCatalog)),
        ("GET", "/v1/secrets", Some(P::ManageSecrets)),
        ("PUT", "/v1/secrets/{name}", Some(P::ManageSecrets)),
        ("DELETE", "/v1/secrets/{name}", Some(P::ManageSecrets)),
        ("POST", "/v1/backup", Some(P::TakeBackups)),
    ]
};

#[tokio::test]
async fn contract_holds_every_route_with_the_permission_it_needs() {
    let app = TestApp::new().await;
    let document = app.get("/openapi.json", "").await.json();
    let mut found = BTreeMap::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let security = operation["security"].as_array().unwrap();
            assert_eq!(
                security.len(),
                1,
                "{method} {path} says plainly what it asks for"
            );
            let scope = security[0].pointer("/bearer/0").and_then(Value::as_str);
            assert!(!operation["summary"].as_str().unwrap().is_empty());
            // Nothing is left to a `default`: whoever reads the contract knows what may come.
            let answers = operation["responses"].as_object().unwrap();
            for status in answers.keys() {
                assert!(
                    status.parse::<u16>().is_ok_and(|status| status < 600),
                    "{method} {path}: {status}"
                );
            }
            let may = |status: &str| answers.contains_key(status);
            assert_eq!(may("401") && may("403"), scope.is_some(), "{method} {path}");
            if operation.get("requestBody").is_some() {
                assert!(
                    may("400") && may("413") && may("415") && may("422"),
                    "{method} {path}"
                );
            }
            assert!(!path.contains('{') || may("404"), "{method} {path}");
            assert!(!may("500"), "{method} {path}");
            found.insert(
                (method.to_uppercase(), path.clone()),
                scope.map(str::to_owned),
            );
        }
    }
    let wanted: BTreeMap<_, _> = TABLE
        .iter()
        .map(|(method, path, permission)| {
            let scope = permission.map(|permission| permission.as_str().to_owned());
            (((*method).to_owned(), (*path).to_owned()), scope)
        })
        .collect();
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn each_role_may_call_exactly_what_it_includes() {
    let app = TestApp::new().await;
    let mut tokens = Vec::new();
    for role in Role::ALL {
        tokens.push((role, app.token(role).await));
    }
    for (method, path, permission) in TABLE {
        let method: Method = method.parse().unwrap();
        // A feed that cannot go on answers instead of waiting for what happens.
        let path = path.replace("/v1/events", "/v1/events?after=999999999");
        let path = path.replace("{version}", "1.0.0").replace("{run}", "r_0");
        let path = path.replace(['{', '}'], "");
        // Without a body, what is let in stops at its content type, or finds nothing.
        let bare = app.send(request(method.clone(), &path, "", None)).await;
        let Some(permission) = *permission else {
            assert!(!is_refusal(bare.status), "{method} {path}");
            continue;
        };
        bare.refusal(401);
        assert_eq!(
            bare.headers["www-authenticate"], "Bearer",
            "{method} {path}"
        );
        for (role, token) in &tokens {
            let reply = app.send(request(method.clone(), &path, token, None)).await;
            if role.allows(permission) {
                assert!(
                    !is_refusal(reply.status),
                    "{role:?} {method} {path}: {}",
                    reply.text
                );
                assert!(
                    !reply.status.is_server_error(),
                    "{method} {path}: {}",
                    reply.text
                );
            } else {
                let (code, message) = reply.refusal(403);
                assert_eq!(code, "forbidden", "{role:?} {method} {path}");
                assert!(message.contains(permission.as_str()) && message.contains(role.as_str()));
            }
        }
    }
}

fn is_refusal(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

#[tokio::test]
async fn page_lists_every_operation_and_loads_nothing_from_elsewhere() {
    let app = TestApp::new().await;
    let page = app.get("/docs", "").await;
    assert_eq!(page.status, StatusCode::OK);
    for (_, path, _) in TABLE {
        assert!(
            page.text.contains(&format!("<code>{path}</code>")),
            "{path}"
        );
    }
    assert!(
        page.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("default-src 'none'")
    );
    for outside in ["<script", "src=", "href=\"http", "url(", "@import"] {
        assert!(!page.text.contains(outside), "{outside}");
    }
}

#[tokio::test]
async fn health_names_the_versions() {
    let app = TestApp::new().await;
    let health = app.get("/health", "").await.json();
    assert_eq!(health["ok"], true);
    assert_eq!(health["versions"]["goldenpath"], env!("CARGO_PKG_VERSION"));
    let wasmtime = health["versions"]["wasmtime"].as_str().unwrap();
    let locked = include_str!("../../../../Cargo.lock");
    assert!(locked.contains(&format!("name = \"wasmtime\"\nversion = \"{wasmtime}\"\n")));
    assert!(health["versions"]["formats"]["main"].as_u64().unwrap() >= 2);
}

#[tokio::test]
async fn route_that_the_contract_does_not_name_is_refused_to_everybody() {
    let app = TestApp::new().await;
    let token = app.token(Role::Admin).await;
    let (routes, state) = build(app.app.clone(), ApiSettings::default());
    async fn hidden() -> &'static str {
        "a secret"
    }
    let routes = routes.route("/v1/hidden", get(hidden));
    let router = guarded(routes, state);
    let asked = request(Method::GET, "/v1/hidden", &token, None);
    let response = router.oneshot(asked).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}
