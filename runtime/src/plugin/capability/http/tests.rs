use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::model::{Actor, Digest, EventBody, PluginName, RunId, Timestamp};
use crate::plugin::budget::{Budget, Limits};
use crate::plugin::instance::Caller;
use crate::plugin::{EgressSettings, EventSink};
use crate::store::Store;

fn rule(method: &str, base: &str, path: &str, private: bool) -> HttpRule {
    HttpRule {
        method: method.to_owned(),
        endpoint: "git".to_owned(),
        base: BaseUrl::parse(base).unwrap(),
        path: PathPattern::parse(path).unwrap(),
        query: None,
        secret: None,
        private,
    }
}

fn verdict(rules: &[HttpRule], method: &str, uri: &str) -> Result<String, Refusal> {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    judge(rules, &method, &uri.parse().unwrap()).map(|allowed| allowed.target)
}

#[test]
fn only_granted_methods_origins_and_paths_are_allowed() {
    let rules = [rule(
        "GET",
        "https://git.example.com/api",
        "/repos/*/files/**",
        false,
    )];
    let allowed = verdict(
        &rules,
        "GET",
        "https://GIT.example.com:443/api/repos/%61/files/x?q=%2e",
    )
    .unwrap();
    assert_eq!(
        allowed, "/api/repos/a/files/x?q=%2e",
        "the canonical path is sent, the query as it came"
    );
    let denied = [
        (
            "POST",
            "https://git.example.com/api/repos/a/files",
            "http POST git /repos/a/files",
        ),
        (
            "get",
            "https://git.example.com/api/repos/a/files",
            "http get git /repos/a/files",
        ),
        (
            "GET",
            "https://git.example.com/api/users?token=x",
            "http GET git /users",
        ),
        (
            "GET",
            "https://git.example.com/repos/a/files",
            "http GET https://git.example.com/repos/a/files",
        ),
        (
            "GET",
            "https://git.example.com/apix/repos/a/files",
            "http GET https://git.example.com/apix/repos/a/files",
        ),
        (
            "GET",
            "http://git.example.com/api/repos/a/files",
            "http GET http://git.example.com/api/repos/a/files",
        ),
        (
            "GET",
            "https://git.example.com:444/api/repos/a/files",
            "http GET https://git.example.com:444/api/repos/a/files",
        ),
        (
            "GET",
            "https://example.com/api/repos/a/files",
            "http GET https://example.com/api/repos/a/files",
        ),
    ];
    for (method, uri, missing) in denied {
        assert_eq!(
            verdict(&rules, method, uri),
            Err(Refusal::Denied(missing.to_owned()))
        );
    }
}

#[test]
fn requests_that_two_readers_could_take_differently_are_refused() {
    let rules = [rule("GET", "https://git.example.com", "/pub/**", false)];
    for uri in [
        "https://git.example.com/pub/../admin",
        "https://git.example.com/pub/%2e%2e/admin",
        "https://git.example.com/pub/..;/admin",
        "https://git.example.com/pub//admin",
        "https://git.example.com/pub/%2fadmin",
        "https://git.example.com/pub/%00",
        "https://git.example.com@evil.example.com/pub/x",
        "https://2130706433/pub/x",
    ] {
        assert!(
            matches!(verdict(&rules, "GET", uri), Err(Refusal::Malformed(_))),
            "{uri}"
        );
    }
}

#[test]
fn listed_keys_are_the_only_ones_that_a_query_may_have() {
    let listing = |path, keys: &[&str]| HttpRule {
        query: Some(keys.iter().map(|key| (*key).to_owned()).collect()),
        ..rule("GET", "https://git.example.com", path, false)
    };
    let rules = [
        listing("/list", &["page", "size"]),
        listing("/one", &[]),
        rule("GET", "https://git.example.com", "/free", false),
    ];
    let uri = |rest: &str| format!("https://git.example.com{rest}");
    for (asked, sent) in [
        ("/list?p%61ge=2&size=9", "/list?page=2&size=9"),
        ("/list", "/list"),
        ("/one", "/one"),
        ("/free?a;b=[]", "/free?a;b=[]"),
    ] {
        assert_eq!(verdict(&rules, "GET", &uri(asked)).as_deref(), Ok(sent));
    }
    for (asked, missing) in [
        (
            "/list?page=2&sudo=root",
            "http GET git /list query page,size,sudo",
        ),
        ("/one?page=2", "http GET git /one query page"),
    ] {
        let refused = Err(Refusal::Denied(missing.to_owned()));
        assert_eq!(verdict(&rules, "GET", &uri(asked)), refused);
    }
    for odd in ["/list?page=1;sudo=1", "/list?page=1&", "/list?", "/one?"] {
        let refused = verdict(&rules, "GET", &uri(odd));
        assert!(matches!(refused, Err(Refusal::Malformed(_))), "{odd}");
    }
}

#[test]
fn the_line_that_allows_an_inside_address_counts_whatever_stands_before_it() {
    let rules = [
        rule("GET", "https://git.example.com", "/**", false),
        rule("GET", "https://git.example.com", "/api/**", true),
    ];
    let allowed = |path: &str| {
        let uri = format!("https://git.example.com{path}").parse().unwrap();
        judge(&rules, &Method::GET, &uri).unwrap().private
    };
    assert!(allowed("/api/x"));
    assert!(!allowed("/x"));
}

fn client(allow_private: bool, own: Option<SocketAddr>) -> HttpClient {
    let settings = EgressSettings {
        allow_private,
        ..EgressSettings::default()
    };
    HttpClient::new(&settings, own).unwrap()
}

#[derive(Default)]
struct Kept(Mutex<Vec<String>>);

impl EventSink for Kept {
    fn emit(&self, event: EventBody) {
        if let EventBody::Log { message, .. } = event {
            self.0.lock().unwrap().push(message);
        }
    }
}

/// A guest's egress to a server on loopback that answers every connection with the same bytes.
struct Place {
    _dir: tempfile::TempDir,
    store: Store,
    egress: Egress,
    log: Arc<Kept>,
    server: SocketAddr,
    received: Arc<Mutex<Vec<String>>>,
}

impl Place {
    async fn new(
        answer: &'static [u8],
        host_allows: bool,
        reviewer_allows: bool,
        limits: Limits,
    ) -> Self {
        Self::beside(answer, host_allows, reviewer_allows, limits, |_| None).await
    }

    /// As [`Self::new`], where `own` says where the portal listens, as seen from the server's address.
    async fn beside(
        answer: &'static [u8],
        host_allows: bool,
        reviewer_allows: bool,
        limits: Limits,
        own: fn(SocketAddr) -> Option<SocketAddr>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let requests = Arc::clone(&requests);
                tokio::spawn(async move {
                    let mut buffer = vec![0; 64 << 10];
                    let read = stream.read(&mut buffer).await.unwrap();
                    requests
                        .lock()
                        .unwrap()
                        .push(String::from_utf8_lossy(&buffer[..read]).into_owned());
                    // The client may have had enough before all of it is written.
                    drop(stream.write_all(answer).await);
                });
            }
        });
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let log = Arc::new(Kept::default());
        let caller = Caller {
            plugin: PluginName::parse("demo").unwrap(),
            digest: Digest::of(b"demo"),
            run: RunId::parse("r_1").unwrap(),
            actor: Actor::system(),
            at: Timestamp(0),
        };
        let sender = Arc::new(client(host_allows, own(server))).for_guest(&caller.plugin);
        let egress = Egress::new(
            vec![rule(
                "GET",
                &format!("http://{server}"),
                "/ok/**",
                reviewer_allows,
            )],
            Some(sender),
            Arc::new(Meter::start(&limits)),
            LogBook::new(Arc::clone(&log) as Arc<dyn EventSink>, 1 << 20),
            Arc::new(Denials::new(caller, Some(store.clone()), Arc::default())),
        );
        Self {
            _dir: dir,
            store,
            egress,
            log,
            server,
            received,
        }
    }

    async fn get(&mut self, path: &str) -> Result<(u16, Bytes), Error> {
        let body = Full::new(Bytes::new())
            .map_err(|never| match never {})
            .boxed_unsync();
        let request = Request::get(format!("http://{}{path}", self.server))
            .header("x-test", "1")
            .body(body)
            .unwrap();
        let options = RequestOptions {
            connect_timeout: Some(Duration::from_secs(5)),
            first_byte_timeout: Some(Duration::from_secs(5)),
            between_bytes_timeout: Some(Duration::from_secs(5)),
        };
        let sent = self
            .egress
            .send_request(request, Some(options), Box::new(async { Ok(()) }));
        let (response, driver) = Box::into_pin(sent).await?;
        let driver = tokio::spawn(Box::into_pin(driver));
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?.to_bytes();
        drop(driver);
        Ok((status, body))
    }

    async fn denials(&self) -> Vec<String> {
        let rows: Result<_, crate::store::Error> =
            self.store.read(|tx| tx.list_audit(None, 10)).await;
        let missing = |row: crate::model::AuditRow| {
            let line = row.after?.get("missing")?.as_str()?.to_owned();
            Some(line)
        };
        rows.unwrap().into_iter().filter_map(missing).collect()
    }
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

#[tokio::test]
async fn granted_request_reaches_the_server_in_canonical_form() {
    let mut place = Place::new(OK, true, true, Limits::default()).await;
    let (status, body) = place.get("/ok/%61?x=1").await.unwrap();
    assert_eq!((status, &body[..]), (200, &b"hello"[..]));
    let received = place.received.lock().unwrap()[0].to_ascii_lowercase();
    assert!(
        received.starts_with("get /ok/a?x=1 http/1.1\r\n"),
        "{received}"
    );
    assert_eq!(received.matches("host:").count(), 1);
    assert!(received.contains(&format!("host: {}\r\n", place.server)));
}

#[tokio::test]
async fn denied_request_is_audited_once_and_never_sent() {
    let mut place = Place::new(OK, true, true, Limits::default()).await;
    for _ in 0..3 {
        assert!(matches!(
            place.get("/other?secret=1").await,
            Err(Error::HttpRequestDenied)
        ));
    }
    assert_eq!(place.denials().await, ["http GET git /other"]);
    assert!(place.log.0.lock().unwrap()[0].contains("[[capabilities.http]]"));
    assert!(place.received.lock().unwrap().is_empty());
}

#[tokio::test]
async fn inside_address_needs_reviewer_and_host() {
    for (host, reviewer) in [(false, true), (true, false), (false, false)] {
        let mut place = Place::new(OK, host, reviewer, Limits::default()).await;
        assert!(matches!(
            place.get("/ok").await,
            Err(Error::DestinationIpProhibited)
        ));
        assert_eq!(place.denials().await.len(), 1);
        assert!(place.received.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn portal_itself_is_out_of_reach() {
    let everywhere = |server: SocketAddr| Some(SocketAddr::from(([0, 0, 0, 0], server.port())));
    for own in [Some, everywhere] {
        let mut place = Place::beside(OK, true, true, Limits::default(), own).await;
        assert!(matches!(
            place.get("/ok").await,
            Err(Error::DestinationIpProhibited)
        ));
        assert!(place.log.0.lock().unwrap()[0].contains("the portal itself"));
        assert!(place.received.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn port_of_the_portal_is_open_on_other_machines() {
    let own = Some("0.0.0.0:443".parse().unwrap());
    let wide = client(true, own);
    let check = |address: &str| wide.check(address.parse().unwrap(), true);
    // An address for documentation: nobody's, so not this machine's.
    assert_eq!(check("192.0.2.1:443"), Ok(()));
    assert_eq!(check("127.0.0.1:8443"), Ok(()));
    for same in ["127.0.0.1:443", "127.9.9.9:443", "[::ffff:127.0.0.1]:443"] {
        assert_eq!(check(same), Err(Prohibited::Own), "{same}");
    }
    let narrow = client(true, Some("10.1.2.3:443".parse().unwrap()));
    let check = |address: &str| narrow.check(address.parse().unwrap(), true);
    assert_eq!(check("[::ffff:10.1.2.3]:443"), Err(Prohibited::Own));
    assert_eq!(check("10.1.2.4:443"), Ok(()));
    assert_eq!(check("169.254.169.254:80"), Err(Prohibited::Forbidden));
}

#[tokio::test]
async fn redirect_is_an_answer_like_any_other() {
    let answer =
        b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
    let mut place = Place::new(answer, true, true, Limits::default()).await;
    assert_eq!(place.get("/ok").await.unwrap().0, 302);
    assert_eq!(place.received.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn budgets_of_requests_and_bytes_hold() {
    let mut limits = Limits::default();
    limits.set(Budget::HttpRequests, 2);
    limits.set(Budget::HttpBytes, 7);
    let mut place = Place::new(OK, true, true, limits).await;
    place.get("/ok").await.unwrap();
    assert!(matches!(
        place.get("/ok").await,
        Err(Error::HttpResponseBodySize(_))
    ));
    assert!(matches!(
        place.get("/ok").await,
        Err(Error::ConnectionLimitReached)
    ));
    assert_eq!(place.received.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn oversized_header_section_is_an_error() {
    let answer: &'static [u8] = Box::leak(
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(10_000))
            .into_bytes()
            .into_boxed_slice(),
    );
    let mut place = Place::new(answer, true, true, Limits::default()).await;
    assert!(place.get("/ok").await.is_err());
}

#[test]
fn headers_that_could_change_the_request_are_forbidden() {
    let limits = Limits::default();
    let caller = Caller {
        plugin: PluginName::parse("demo").unwrap(),
        digest: Digest::of(b"demo"),
        run: RunId::parse("r_1").unwrap(),
        actor: Actor::system(),
        at: Timestamp(0),
    };
    let book = LogBook::new(Arc::new(Kept::default()), 0);
    let denials = Arc::new(Denials::new(caller, None, Arc::default()));
    let mut egress = Egress::new(
        Vec::new(),
        None,
        Arc::new(Meter::start(&limits)),
        book,
        denials,
    );
    for name in [
        "host",
        "proxy-authorization",
        "transfer-encoding",
        "x-http-method-override",
        "x-original-url",
        "x-rewrite-url",
        "upgrade",
    ] {
        assert!(
            egress.is_forbidden_header(&HeaderName::from_static(name)),
            "{name}"
        );
    }
    assert!(!egress.is_forbidden_header(&HeaderName::from_static("accept")));
}

/// A place whose rule attaches a secret, with a store of secrets that holds these.
async fn with_secret(answer: &'static [u8], stored: &[(&str, &str)]) -> Place {
    let mut place = Place::new(answer, true, true, Limits::default()).await;
    let key = crate::model::SecretKey::new([1; 32]);
    let secrets = Secrets::open(place.store.clone(), place._dir.path(), Some(key))
        .await
        .unwrap();
    for (name, value) in stored {
        let name = crate::model::SecretName::parse(*name).unwrap();
        let value = crate::model::SecretValue::parse((*value).to_owned().into()).unwrap();
        secrets.set(&Actor::system(), name, value).await.unwrap();
    }
    place.egress.secrets = Some(secrets);
    let attached = HttpRule {
        secret: Some(bound("token", "x-key", "Key {}")),
        ..rule("GET", &format!("http://{}", place.server), "/ok/**", true)
    };
    let free = rule("GET", &format!("http://{}", place.server), "/free", true);
    place.egress.rules = vec![attached, free].into();
    place
}

fn bound(name: &str, header: &str, format: &str) -> BoundSecret {
    BoundSecret {
        name: name.to_owned(),
        stored: crate::model::SecretName::parse("STORED").unwrap(),
        attachment: Attachment::parse(header, format).unwrap(),
    }
}

#[tokio::test]
async fn a_secret_is_attached_where_its_line_says_and_nowhere_else() {
    let mut place = with_secret(OK, &[("STORED", "hunter2-hunter2")]).await;
    place.get("/ok/a").await.unwrap();
    place.get("/free").await.unwrap();
    let received = place.received.lock().unwrap().clone();
    assert!(
        received[0].contains("x-key: Key hunter2-hunter2\r\n"),
        "{}",
        received[0]
    );
    assert!(!received[1].contains("hunter2"), "{}", received[1]);
    assert!(
        place
            .denials()
            .await
            .iter()
            .all(|row| !row.contains("hunter2"))
    );
}

#[tokio::test]
async fn a_secret_that_is_not_set_or_is_no_header_is_a_denial_that_names_it() {
    for stored in [
        &[][..],
        &[("STORED", "two\nlines")],
        &[("OTHER", "hunter2-hunter2")],
    ] {
        let mut place = with_secret(OK, stored).await;
        assert!(matches!(
            place.get("/ok/a").await,
            Err(Error::HttpRequestDenied)
        ));
        assert!(place.received.lock().unwrap().is_empty());
        let told = place.denials().await;
        assert!(
            told.contains(&"secret token, stored as STORED".to_owned()),
            "{told:?}"
        );
        let said = place.log.0.lock().unwrap().join("\n");
        assert!(
            said.contains("secret `token`") && !said.contains("STORED"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_guest_that_sets_the_header_of_a_secret_itself_is_refused() {
    let mut place = with_secret(OK, &[("STORED", "hunter2-hunter2")]).await;
    let attached = bound("token", "x-test", "{}");
    place.egress.rules = vec![HttpRule {
        secret: Some(attached),
        ..rule("GET", &format!("http://{}", place.server), "/ok/**", true)
    }]
    .into();
    assert!(matches!(
        place.get("/ok/a").await,
        Err(Error::HttpRequestDenied)
    ));
    assert!(place.received.lock().unwrap().is_empty());
    assert!(place.log.0.lock().unwrap()[0].contains("leave it out"));
}

#[test]
fn two_lines_with_different_secrets_for_one_request_allow_it_to_neither() {
    let with = |path: &str, name: &str| HttpRule {
        secret: Some(bound(name, "x-key", "{}")),
        ..rule("GET", "https://git.example.com", path, false)
    };
    let rules = [with("/**", "one"), with("/a/**", "other")];
    assert!(verdict(&rules, "GET", "https://git.example.com/b").is_ok());
    let both = verdict(&rules, "GET", "https://git.example.com/a/b");
    assert!(matches!(both, Err(Refusal::Malformed(_))), "{both:?}");
}
