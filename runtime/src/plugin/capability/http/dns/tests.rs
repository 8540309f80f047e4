use proptest::prelude::*;

use super::message::{Asked, Kind, Question, Read};
use super::*;

/// A record's owner: the name that was asked for, by a reference, or one of its own.
enum Owner {
    Asked,
    Other(&'static str),
}

struct Record(Owner, u16, Vec<u8>);

fn wire(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn answer(question: &Question, flags: u16, records: &[Record]) -> Vec<u8> {
    let mut message = question.bytes().to_vec();
    message[2..4].copy_from_slice(&flags.to_be_bytes());
    let count = u16::try_from(records.len()).unwrap();
    message[6..8].copy_from_slice(&count.to_be_bytes());
    for Record(owner, kind, data) in records {
        match owner {
            Owner::Asked => message.extend([0xc0, 12]),
            Owner::Other(name) => message.extend(wire(name)),
        }
        message.extend(kind.to_be_bytes());
        message.extend([0, 1, 0, 0, 0, 0]);
        message.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        message.extend(data);
    }
    message
}

fn question() -> Question {
    Question::new(7, "git.example.com", Kind::V4)
}

fn addresses(question: &Question, message: &[u8]) -> Option<Vec<String>> {
    match question.read(message) {
        Read::Answer(Ok(Asked::Answered(addresses))) => {
            Some(addresses.iter().map(ToString::to_string).collect())
        }
        _ => None,
    }
}

#[test]
fn addresses_are_those_of_the_name_and_of_what_it_stands_for() {
    let question = question();
    let records = [
        Record(Owner::Other("there.example.net"), 1, vec![10, 0, 0, 1]),
        Record(
            Owner::Other("Here.Example.COM"),
            5,
            wire("there.example.net"),
        ),
        Record(Owner::Asked, 5, wire("here.example.com")),
        Record(Owner::Other("stranger.example.org"), 1, vec![10, 0, 0, 2]),
        Record(Owner::Asked, 28, vec![0; 16]),
    ];
    let found = addresses(&question, &answer(&question, 0x8180, &records));
    assert_eq!(found.unwrap(), ["10.0.0.1"]);
}

#[test]
fn aliases_that_go_in_a_circle_or_for_ever_end() {
    let question = question();
    let circle = [
        Record(Owner::Asked, 5, wire("other.example.com")),
        Record(
            Owner::Other("other.example.com"),
            5,
            wire("git.example.com"),
        ),
    ];
    let found = addresses(&question, &answer(&question, 0x8180, &circle));
    assert_eq!(found, Some(Vec::new()));
    let many: Vec<Record> = (0..40)
        .map(|_| Record(Owner::Asked, 5, wire("git.example.com")))
        .collect();
    assert_eq!(
        addresses(&question, &answer(&question, 0x8180, &many)),
        None
    );
    // A name that refers to itself.
    let itself = [Record(Owner::Asked, 5, vec![0xc0, 33])];
    let mut message = answer(&question, 0x8180, &itself);
    let last = message.len() - 2;
    message[last + 1] = u8::try_from(last).unwrap();
    assert_eq!(addresses(&question, &message), None);
}

#[test]
fn messages_that_answer_something_else_are_passed_over() {
    let question = question();
    let good = answer(
        &question,
        0x8180,
        &[Record(Owner::Asked, 1, vec![1, 1, 1, 1])],
    );
    assert!(addresses(&question, &good).is_some());
    let others = [
        Question::new(8, "git.example.com", Kind::V4),
        Question::new(7, "git.example.org", Kind::V4),
        Question::new(7, "git.example.com", Kind::V6),
    ];
    for other in others {
        assert!(matches!(other.read(&good), Read::Another));
    }
    // A question is no answer.
    assert!(matches!(question.read(question.bytes()), Read::Another));
}

#[test]
fn refusals_and_answers_that_were_cut_are_told_apart() {
    let question = question();
    let read = |flags| question.read(&answer(&question, flags, &[]));
    assert!(matches!(
        read(0x8183),
        Read::Answer(Err(Unresolved::Unknown))
    ));
    assert!(matches!(
        read(0x8182),
        Read::Answer(Err(Unresolved::Refused(2)))
    ));
    assert!(matches!(read(0x8380), Read::Answer(Ok(Asked::Truncated))));
}

#[test]
fn more_addresses_than_any_service_has_are_no_answer() {
    let question = question();
    let many: Vec<Record> = (0..=MOST_ADDRESSES)
        .map(|_| Record(Owner::Asked, 1, vec![1, 1, 1, 1]))
        .collect();
    assert_eq!(
        addresses(&question, &answer(&question, 0x8180, &many)),
        None
    );
    let enough = answer(&question, 0x8180, &many[1..]);
    assert_eq!(addresses(&question, &enough).unwrap().len(), MOST_ADDRESSES);
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_an_end(rest in proptest::collection::vec(any::<u8>(), 0..600), count: u16) {
        let question = question();
        let mut message = answer(&question, 0x8180, &[]);
        message[6..8].copy_from_slice(&count.to_be_bytes());
        message.extend(rest);
        if let Read::Answer(Ok(Asked::Answered(addresses))) = question.read(&message) {
            prop_assert!(addresses.len() <= MOST_ADDRESSES);
        }
    }
}

#[tokio::test]
async fn this_machine_is_where_it_is_whatever_a_server_says() {
    // Nobody listens there, and nobody is asked.
    let resolver = Resolver::new(Some("127.0.0.1:1".parse().unwrap()));
    for name in ["localhost", "any.localhost"] {
        let found = resolver.resolve(name).await.unwrap();
        assert!(found.iter().all(IpAddr::is_loopback), "{name}");
    }
}

#[tokio::test]
async fn what_is_known_of_one_kind_is_taken_where_the_server_is_silent_about_the_other() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let resolver = Resolver::new(Some(server.local_addr().unwrap()));
    let answers = tokio::spawn(async move {
        let mut asked = [0; 512];
        loop {
            let (length, whom) = server.recv_from(&mut asked).await.unwrap();
            let question = &asked[..length];
            // The last but two bytes are the kind: 1 is the old one.
            if question[length - 4..] == [0, 1, 0, 1] {
                let mut reply = question.to_vec();
                reply[2..8].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1]);
                reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, 7]);
                server.send_to(&reply, whom).await.unwrap();
            }
        }
    });
    let found = resolver.resolve("half.example").await.unwrap();
    assert_eq!(found, [IpAddr::from([192, 0, 2, 7])]);
    answers.abort();
}

#[tokio::test]
async fn who_asks_the_machine_the_same_at_a_time_shares_one_lookup_which_ends_without_them() {
    let resolver = Resolver::new(None);
    let every = u32::try_from(LOOKUPS).unwrap();
    let lookups = Arc::clone(&resolver.lookups);
    let held = lookups.acquire_many_owned(every).await.unwrap();
    let mut one = Box::pin(resolver.resolve("localhost"));
    let mut two = Box::pin(resolver.resolve("localhost"));
    assert!((&mut one).now_or_never().is_none());
    assert!((&mut two).now_or_never().is_none());
    assert_eq!(resolver.under_way.lock().unwrap().len(), 1);
    drop(two);
    drop(held);
    assert!(one.await.unwrap().iter().all(IpAddr::is_loopback));
    assert!(resolver.under_way.lock().unwrap().is_empty());
}
