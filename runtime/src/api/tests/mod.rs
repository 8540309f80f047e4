mod access;
mod action_form;
mod action_permission;
mod catalog;
mod contract;
mod derived;
mod document;
mod edge;
mod history;
mod metrics;
mod roles;
mod run;
mod search;
mod secret;
mod statistics;
mod team;
mod write;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use super::{ApiSettings, router};
use crate::app::{App, NewPrincipal};
use crate::config::{Config, Settings};
use crate::model::{Actor, PrincipalKind, Role};

/// A portal in a folder of its own, asked without a socket.
struct TestApp {
    app: App,
    router: Router,
    _folder: tempfile::TempDir,
}

/// An answer, read to its end.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl TestApp {
    async fn new() -> Self {
        Self::with(ApiSettings::default()).await
    }

    async fn with(settings: ApiSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let flags = Settings {
            data: Some(folder.path().to_owned()),
            ..Settings::default()
        };
        let app = App::open(&Config::load(None, flags).unwrap(), None)
            .await
            .unwrap();
        let router = router(app.clone(), settings);
        Self {
            app,
            router,
            _folder: folder,
        }
    }

    /// A token of an app with a role; the app is called like the role.
    async fn token(&self, role: Role) -> String {
        self.token_of(role.as_str(), role).await
    }

    async fn token_of(&self, name: &str, role: Role) -> String {
        let new = NewPrincipal {
            kind: PrincipalKind::App,
            name: name.to_owned(),
            role,
            teams: Vec::new(),
        };
        let (principal, secret) = self.app.access.create(&Actor::system(), new).await.unwrap();
        let address = [127, 0, 0, 1].into();
        self.app
            .access
            .issue_token(&principal.client_id, &secret, address)
            .await
            .unwrap()
            .token
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Reply {
            status: parts.status,
            headers: parts.headers,
            text,
        }
    }

    async fn get(&self, path: &str, token: &str) -> Reply {
        self.send(request(Method::GET, path, token, None)).await
    }

    async fn post(&self, path: &str, token: &str, body: Value) -> Reply {
        self.send(request(Method::POST, path, token, Some(body)))
            .await
    }
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// Checks that this is a refusal in the one form, and gives its word and its sentence.
    fn refusal(&self, status: u16) -> (String, String) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/json");
        assert_eq!(self.headers["x-trace-id"].len(), 32);
        assert_eq!(self.headers["x-content-type-options"], "nosniff");
        let body = self.json();
        assert_eq!(body["ok"], false);
        let text = |key: &str| body[key].as_str().unwrap().to_owned();
        (text("error"), text("message"))
    }
}

fn request(method: Method, path: &str, token: &str, body: Option<Value>) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost:4000");
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    match body {
        None => request.body(Body::empty()).unwrap(),
        Some(body) => {
            let request = request.header("content-type", "application/json; charset=utf-8");
            request.body(body.to_string().into()).unwrap()
        }
    }
}
