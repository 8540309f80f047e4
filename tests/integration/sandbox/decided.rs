//! Calls that read their grant before a decision, and begin after it: in this process, since no door is as exact.

use std::collections::BTreeMap;
use std::sync::Arc;

use goldenpath::catalog::Catalog;
use goldenpath::model::{
    Actor, Approval, EventBody, PluginName, PluginVersion, RunId, Timestamp, UnderWay,
    UpgradePolicy,
};
use goldenpath::plugin::{ActionCall, EgressSettings, EventSink, PluginHost, PluginSettings};
use goldenpath::store::Store;
use serde_json::json;

use crate::hello;

struct Nowhere;

impl EventSink for Nowhere {
    fn emit(&self, _: EventBody) {}
}

struct Place {
    _dir: tempfile::TempDir,
    host: PluginHost,
    name: PluginName,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(dir.path()).expect("a store");
        let settings = PluginSettings {
            data_dir: dir.path().to_owned(),
            egress: EgressSettings::default(),
            ceiling: Vec::new(),
            upgrades: UpgradePolicy::Review,
            four_eyes: false,
            own_listener: None,
            compiler: None,
        };
        let host = PluginHost::new(store.clone(), Catalog::new(store), settings);
        Self {
            _dir: dir,
            host: host.expect("a host"),
            name: PluginName::parse("hello").expect("a name"),
        }
    }

    async fn install(&self, package: Vec<u8>) -> PluginVersion {
        let installed = self.host.install(&Actor::system(), package).await;
        installed.expect("an install").version
    }

    /// Approves a version with so much room for its output.
    async fn approve(&self, version: &PluginVersion, output: &str) {
        let read = self.host.find_report(&self.name, &version.version).await;
        let approval = Approval {
            limits: BTreeMap::from([("output".to_owned(), output.to_owned())]),
            ..Approval::of(&read.expect("a report"))
        };
        let (host, actor) = (&self.host, Actor::system());
        let approved = host
            .approve(&actor, &self.name, &version.version, approval)
            .await;
        approved.expect("an approval");
    }

    /// The code that a call of the active version ends with, which was prepared before a decision.
    async fn call_after(&self, decision: impl Future<Output = ()>) -> String {
        let prepared = self.host.prepare(&self.name, None).await;
        let prepared = prepared.expect("an active version");
        decision.await;
        let call = ActionCall {
            plugin: self.name.clone(),
            version: None,
            action: "hello".to_owned(),
            input: json!({"name": "Ada"}),
            entity: None,
            run: RunId::parse("r_0123456789abcdef").expect("an identifier"),
            actor: Actor::system(),
            at: Timestamp(0),
            sink: Arc::new(Nowhere),
            runs: None,
            journal: None,
            interrupts: None,
        };
        let ended = self.host.call_prepared(&prepared, call).await;
        ended.map_or_else(|error| error.code().to_owned(), |_| "done".to_owned())
    }
}

#[test]
fn decision_reaches_calls_that_read_their_grant_and_have_not_begun() {
    let package = |version| hello().with_version(version).package();
    let packages = [package("1.0.0"), package("1.0.1")];
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(decide_before_calls_begin(packages));
}

async fn decide_before_calls_begin([one, two]: [Vec<u8>; 2]) {
    let place = Place::new();
    let one = place.install(one).await;
    place.approve(&one, "1KiB").await;
    let lowered = place.call_after(place.approve(&one, "2B")).await;
    assert_eq!(lowered, "output_too_large", "approved again with less");

    let two = place.install(two).await;
    place.approve(&two, "1KiB").await;
    let rolled_back = place.call_after(async {
        let (host, actor) = (&place.host, Actor::system());
        let back = host.roll_back(&actor, &place.name, None, None, "slow");
        back.await.expect("an earlier version");
    });
    assert_eq!(
        rolled_back.await,
        "output_too_large",
        "1.0.0 has the 2 bytes"
    );

    let revoked = place.call_after(async {
        let (host, actor) = (&place.host, Actor::system());
        let revoked = host.revoke(&actor, &place.name, &one.version, "leaks", UnderWay::Finish);
        revoked.await.expect("an approved version");
    });
    assert_eq!(revoked.await, "plugin_revoked");
}
