//! One entity by its identifier, on a connection that is kept.

use goldenpath_tests::Client;
use goldenpath_tests::generator::Kind;

use super::{Bed, PEER, in_turns};
use crate::growth::Goal;
use crate::server::{ANSWER, BareServer};
use crate::table::{Figure, Target};

const REQUESTS: usize = 2_000;

/// Half of the least that Backstage takes for one entity by name.
const PEER_TIME: f64 = 0.35e-3;

pub(super) fn measure(bed: &mut Bed<'_>) {
    let mut random = bed.random(0);
    let paths: Vec<String> = (0..REQUESTS)
        .map(|_| {
            let index = random.below(bed.generator.count_of(Kind::Service) as u64) as usize;
            let identifier = bed.generator.identifier(Kind::Service, index);
            format!("/v1/blueprints/Component/entities/{identifier}")
        })
        .collect();
    let answer = bed.portal.folder().join("entity.json");
    let entity = bed.client().get(&paths[0]).with_status(200);
    crate::write(&answer, &entity.text());
    let server = BareServer::answering(&answer);
    let bare = Client::stranger(server.url());
    let get = |client: &Client, path: &str| drop(client.get(path).with_status(200));
    let client = bed.client();
    let times = in_turns(
        REQUESTS,
        &paths,
        |path| get(client, path),
        |_| get(&bare, ANSWER),
    );
    bed.add_times(
        (
            "an entity by its identifier",
            "raw: a route of axum with the same answer",
        ),
        times,
        &[
            Goal::always(Target::AtMost(Figure::Seconds(0.5e-3))),
            Goal::up_to(PEER, Target::AtMost(Figure::Seconds(PEER_TIME))),
        ],
        &[Goal::always(Target::AtMost(Figure::Seconds(3e-3)))],
    );
}
