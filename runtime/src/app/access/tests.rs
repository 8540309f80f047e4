use super::*;

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn app(name: &str, role: Role) -> NewPrincipal {
    NewPrincipal {
        kind: PrincipalKind::App,
        name: name.to_owned(),
        role,
        teams: vec!["core".to_owned()],
    }
}

async fn open(folder: &std::path::Path) -> Access {
    let store = Store::open(folder).unwrap();
    let catalog = Catalog::new(store.clone());
    Access::open(store, catalog).await.unwrap()
}

#[tokio::test]
async fn token_is_valid_after_the_store_was_reopened() {
    let folder = tempfile::tempdir().unwrap();
    let access = open(folder.path()).await;
    let (id, secret) = access.bootstrap(None).await.unwrap().unwrap();
    let token = access
        .issue_token(&id, &secret, ADDRESS)
        .await
        .unwrap()
        .token;
    drop(access);

    let access = open(folder.path()).await;
    assert_eq!(access.bootstrap(None).await.unwrap(), None);
    let actor = access.authenticate(&token).await.unwrap();
    assert_eq!(
        (actor.name.as_str(), actor.role),
        ("administrator", Role::Admin)
    );
}

#[tokio::test]
async fn token_of_a_deleted_principal_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let access = open(folder.path()).await;
    let (principal, secret) = access
        .create(&Actor::system(), app("ci", Role::Developer))
        .await
        .unwrap();
    let token = access
        .issue_token(&principal.client_id, &secret, ADDRESS)
        .await
        .unwrap()
        .token;
    assert_eq!(access.authenticate(&token).await.unwrap().teams, ["core"]);
    access
        .delete(&Actor::system(), PrincipalKind::App, "ci")
        .await
        .unwrap();
    assert!(matches!(
        access.authenticate(&token).await,
        Err(AccessError::Unauthorized)
    ));
    let again = access
        .issue_token(&principal.client_id, &secret, ADDRESS)
        .await;
    assert!(matches!(again, Err(AccessError::Unauthorized)));
}

#[tokio::test]
async fn wrong_secret_unknown_client_and_forged_token_get_the_same_answer() {
    let folder = tempfile::tempdir().unwrap();
    let access = open(folder.path()).await;
    let (id, secret) = access.bootstrap(None).await.unwrap().unwrap();
    for (id, secret) in [
        (id.as_str(), "wrong"),
        ("nobody", secret.as_str()),
        (&id, &"x".repeat(5000)),
    ] {
        let refused = access.issue_token(id, secret, ADDRESS).await;
        assert!(matches!(refused, Err(AccessError::Unauthorized)));
    }
    let stranger = open(tempfile::tempdir().unwrap().path()).await;
    let (other, secret) = stranger.bootstrap(None).await.unwrap().unwrap();
    let token = stranger
        .issue_token(&other, &secret, ADDRESS)
        .await
        .unwrap()
        .token;
    assert!(matches!(
        access.authenticate(&token).await,
        Err(AccessError::Unauthorized)
    ));
    assert!(matches!(
        access.authenticate("no.token.atall").await,
        Err(AccessError::Unauthorized)
    ));
}

#[tokio::test]
async fn failed_logins_of_an_address_are_limited() {
    let folder = tempfile::tempdir().unwrap();
    let access = open(folder.path()).await;
    let (id, secret) = access.bootstrap(None).await.unwrap().unwrap();
    for _ in 0..10 {
        assert!(access.issue_token("nobody", "x", ADDRESS).await.is_err());
    }
    let refused = access.issue_token(&id, &secret, ADDRESS).await;
    assert!(matches!(refused, Err(AccessError::TooManyFailures { .. })));
    access
        .issue_token(&id, &secret, IpAddr::from([192, 0, 2, 7]))
        .await
        .unwrap();
}

#[tokio::test]
async fn bootstrap_credential_follows_the_environment_and_each_change_is_audited() {
    let folder = tempfile::tempdir().unwrap();
    let given = |id: &str, secret: &str| Some((id.to_owned(), secret.to_owned()));
    let access = open(folder.path()).await;
    assert_eq!(
        access
            .bootstrap(given("root", "a-long-enough-secret"))
            .await
            .unwrap(),
        None
    );
    let old = access
        .issue_token("root", "a-long-enough-secret", ADDRESS)
        .await
        .unwrap()
        .token;
    let hash = access.find_live("root").unwrap().secret_hash.clone();

    // The same again changes nothing; another secret ends the tokens of the old one.
    access
        .bootstrap(given("root", "a-long-enough-secret"))
        .await
        .unwrap();
    assert_eq!(access.find_live("root").unwrap().secret_hash, hash);
    access
        .bootstrap(given("root", "another-long-secret"))
        .await
        .unwrap();
    assert!(access.authenticate(&old).await.is_err());
    access
        .issue_token("root", "another-long-secret", ADDRESS)
        .await
        .unwrap();

    // Another client id takes the place of the first.
    access
        .bootstrap(given("boss", "another-long-secret"))
        .await
        .unwrap();
    assert!(
        access
            .issue_token("root", "another-long-secret", ADDRESS)
            .await
            .is_err()
    );
    assert_eq!(access.list(PrincipalKind::App).await.unwrap().len(), 1);

    let rows = access
        .inner
        .store
        .read(|tx| tx.list_audit(None, 10))
        .await
        .unwrap();
    let rows: Vec<_> = rows
        .into_iter()
        .filter(|row| row.resource == "app")
        .collect();
    let verbs: Vec<_> = rows.iter().map(|row| row.action).collect();
    assert_eq!(verbs, [Verb::Update, Verb::Update, Verb::Create]);
    assert!(!serde_json::to_string(&rows).unwrap().contains("argon2"));

    let short = access.bootstrap(given("root", "admin")).await;
    assert!(matches!(short, Err(AccessError::Invalid { .. })));
}

#[tokio::test]
async fn names_are_checked_and_unique_over_users_and_apps() {
    let folder = tempfile::tempdir().unwrap();
    let access = open(folder.path()).await;
    let user = |name: &str| NewPrincipal {
        kind: PrincipalKind::User,
        ..app(name, Role::Developer)
    };
    for bad in ["", "nobody", "a@b@c", "a b@c", "@c", "a@"] {
        let refused = access.create(&Actor::system(), user(bad)).await;
        assert!(matches!(refused, Err(AccessError::Invalid { .. })), "{bad}");
    }
    // An app that is called like a person could pass for one.
    for bad in ["", "ann@example.com", "goldenpath", "a/b", "a b"] {
        let refused = access
            .create(&Actor::system(), app(bad, Role::Developer))
            .await;
        assert!(matches!(refused, Err(AccessError::Invalid { .. })), "{bad}");
    }
    access
        .create(&Actor::system(), user("ann@example.com"))
        .await
        .unwrap();
    let twice = access
        .create(&Actor::system(), user("ann@example.com"))
        .await;
    assert!(matches!(twice, Err(AccessError::Exists(_))));
}

#[tokio::test]
async fn last_administrator_cannot_be_removed() {
    let folder = tempfile::tempdir().unwrap();
    let access = open(folder.path()).await;
    access.bootstrap(None).await.unwrap();
    let last = access
        .delete(&Actor::system(), PrincipalKind::App, FIRST)
        .await;
    assert!(matches!(last, Err(AccessError::LastAdministrator(_))));
    access
        .create(&Actor::system(), app("second", Role::Admin))
        .await
        .unwrap();
    access
        .delete(&Actor::system(), PrincipalKind::App, FIRST)
        .await
        .unwrap();
}
