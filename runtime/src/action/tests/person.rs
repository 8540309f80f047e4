//! Whose rights a run has.

use serde_json::{Value, json};

use super::{House, ada};
use crate::model::{Principal, PrincipalKind, Role, Timestamp};
use crate::store::{self, Credential};

impl House {
    /// Gives somebody a credential.
    pub(in crate::action) async fn let_in(&self, name: &str, role: Role) {
        let credential = Credential {
            principal: Principal {
                client_id: name.to_owned(),
                kind: PrincipalKind::User,
                name: name.to_owned(),
                role,
                teams: Vec::new(),
                created_at: Timestamp::now(),
            },
            secret_hash: String::new(),
            secret_id: String::new(),
        };
        let store = &self.actions.inner.store;
        let added = store.write(move |tx| tx.insert_credential(&credential));
        let added: Result<(), store::Error> = added.await;
        added.unwrap();
    }
}

#[tokio::test]
async fn a_run_with_the_rights_of_its_person_has_those_that_they_have_when_it_begins() {
    let house = House::new().await;
    let as_user = |document: &mut Value| document["engine"] = json!({ "runAs": "user" });
    house.save(as_user).await;
    let name = ada().name;
    house.let_in(&name, Role::Admin).await;
    let run = house.start(json!({ "name": "ada" })).await.unwrap();
    assert_eq!(run.created_by_role, Role::Developer);
    let person = house.actions.find_person(&run).await.unwrap().unwrap();
    assert_eq!(person.role, Role::Admin, "what they are now");
    assert_eq!(
        (person.name, person.run),
        (name.clone(), Some(run.id.clone()))
    );

    let store = &house.actions.inner.store;
    let deleted = store.write(move |tx| tx.delete_credential(&name));
    let deleted: Result<(), store::Error> = deleted.await;
    deleted.unwrap();
    house.actions.spawn().await.unwrap();
    let failure = house.ended(&run).await.failure.unwrap();
    assert_eq!(failure.code, "person_gone");
    assert!(
        failure.message.contains("`ada@example.com`"),
        "{}",
        failure.message
    );
}
