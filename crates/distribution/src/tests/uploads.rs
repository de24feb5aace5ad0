//! Uploads against a model of what they should do (D06): whatever order a client does things in, registry and model agree on every
//! answer, and what is stored is what was said.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Answer, Server, longer};
use crate::digest::digest_of;

/// What a client may do next.
#[derive(Clone, Debug)]
enum Step {
    Start,
    /// So many bytes, from where they belong plus this.
    Chunk(usize, i64, bool),
    Status,
    /// With these last bytes; with the right digest or another one.
    Finish(usize, bool),
    Cancel,
    /// The upload's address in another repository.
    Elsewhere,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => Just(Step::Start),
        6 => (0_usize..3000, prop_oneof![4 => Just(0), 1 => -5_i64..6], any::<bool>())
            .prop_map(|(long, shift, ranged)| Step::Chunk(long, shift, ranged)),
        2 => Just(Step::Status),
        2 => (0_usize..100, prop::bool::weighted(0.7)).prop_map(|(long, right)| Step::Finish(long, right)),
        1 => Just(Step::Cancel),
        1 => Just(Step::Elsewhere),
    ];
    prop::collection::vec(step, 1..25)
}

/// The upload as it should be.
#[derive(Default)]
struct Model {
    address: Option<String>,
    content: Vec<u8>,
}

impl Model {
    fn range(&self) -> String {
        format!("0-{}", self.content.len().saturating_sub(1))
    }
}

#[test]
fn d06_uploads_do_what_the_model_does() {
    let server = Server::start(|_| {});
    let end = std::time::Instant::now() + longer();
    let mut rounds = 0;
    while rounds == 0 || std::time::Instant::now() < end {
        let mut runner =
            TestRunner::new(Config { cases: 60, failure_persistence: None, ..Config::default() });
        runner.run(&steps(), |steps| play(&server, &steps)).unwrap();
        rounds += 1;
    }
    println!("{} courses", rounds * 60);
    assert_eq!(server.site.uploads.expire(), 0);
}

fn play(server: &Server, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut model = Model::default();
    let mut seed = 0_u8;
    let mut bytes = |long: usize| {
        seed = seed.wrapping_add(1);
        vec![seed; long]
    };
    for step in steps {
        match step {
            Step::Start => {
                let answer = server.ask("POST /v2/a/blobs/uploads/", &[], b"");
                prop_assert_eq!(answer.status, 202);
                model = Model { address: answer.header("location").map(str::to_owned), content: Vec::new() };
            }
            Step::Chunk(long, shift, ranged) => chunk(server, &mut model, &bytes(*long), *shift, *ranged)?,
            Step::Status => {
                let answer = ask(server, &model, "GET", &[], b"");
                prop_assert_eq!(answer.status, if model.address.is_some() { 204 } else { 404 });
                let range = model.address.as_ref().map(|_| model.range());
                prop_assert_eq!(answer.header("range"), range.as_deref());
            }
            Step::Finish(long, right) => finish(server, &mut model, &bytes(*long), *right)?,
            Step::Cancel => {
                let answer = ask(server, &model, "DELETE", &[], b"");
                prop_assert_eq!(answer.status, if model.address.take().is_some() { 204 } else { 404 });
            }
            Step::Elsewhere => {
                let other = model.address.clone().map(|address| address.replace("/v2/a/", "/v2/b/"));
                let other = Model { address: other, content: Vec::new() };
                prop_assert_eq!(ask(server, &other, "PATCH", &[], b"x").status, 404);
            }
        }
    }
    Ok(())
}

fn ask(server: &Server, model: &Model, method: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let nowhere = format!("/v2/a/blobs/uploads/{}", "0a".repeat(16));
    server.ask(&format!("{method} {}", model.address.as_ref().unwrap_or(&nowhere)), headers, body)
}

fn chunk(
    server: &Server,
    model: &mut Model,
    bytes: &[u8],
    shift: i64,
    ranged: bool,
) -> Result<(), TestCaseError> {
    let first = model.content.len() as i64 + shift;
    let range = format!("{}-{}", first.max(0), first.max(0) + bytes.len() as i64 - 1);
    let ranged = ranged && !bytes.is_empty();
    let headers: &[(&str, &str)] = if ranged { &[("Content-Range", range.as_str())] } else { &[] };
    let answer = ask(server, model, "PATCH", headers, bytes);
    if model.address.is_none() {
        prop_assert_eq!(answer.status, 404);
    } else if ranged && first.max(0) != model.content.len() as i64 {
        prop_assert_eq!(answer.status, 416);
    } else {
        prop_assert_eq!(answer.status, 202);
        model.content.extend_from_slice(bytes);
    }
    let range = model.address.as_ref().map(|_| model.range());
    prop_assert_eq!(answer.header("range"), range.as_deref());
    Ok(())
}

fn finish(server: &Server, model: &mut Model, bytes: &[u8], right: bool) -> Result<(), TestCaseError> {
    let content = [model.content.as_slice(), bytes].concat();
    let digest = if right { digest_of(&content) } else { digest_of(b"something else") };
    let address = model.address.take();
    let asked =
        Model { address: address.as_ref().map(|a| format!("{a}?digest={digest}")), content: Vec::new() };
    let answer = ask(server, &asked, "PUT", &[], bytes);
    let stored = server.get(&format!("/v2/a/blobs/{digest}"));
    match (address.is_some(), right) {
        (false, _) => prop_assert_eq!(answer.status, 404),
        (true, false) => {
            prop_assert_eq!((answer.status, answer.code()), (400, "DIGEST_INVALID".to_owned()));
            prop_assert_eq!(stored.status, 404);
        }
        (true, true) => {
            prop_assert_eq!(answer.status, 201);
            prop_assert!(stored.status == 200 && stored.body == content);
        }
    }
    Ok(())
}

#[test]
fn d06_there_are_only_so_many_and_so_much() {
    let server = Server::start(|options| {
        options.max_uploads = 2;
        options.max_upload_bytes = 1000;
        options.upload_expiry = std::time::Duration::ZERO;
    });
    let start = || server.ask("POST /v2/a/blobs/uploads/", &[], b"");
    let address = start().header("location").unwrap().to_owned();
    assert_eq!((start().status, start().status), (202, 429));
    assert_eq!(server.ask(&format!("PATCH {address}"), &[], &[1; 900]).status, 202);
    let over = server.ask(&format!("PATCH {address}"), &[], &[1; 101]);
    assert_eq!((over.status, over.header("range")), (429, Some("0-899")));
    assert_eq!(server.site.uploads.count(), (2, 900));
    assert_eq!(server.site.uploads.expire(), 2);
    assert_eq!(server.site.uploads.count(), (0, 0));
    assert_eq!(server.get(&address).status, 404);
    assert_eq!(start().status, 202);
}

#[test]
fn d06_what_breaks_off_can_go_on() {
    let server = Server::start(|_| {});
    let address = server.ask("POST /v2/a/blobs/uploads/", &[], b"").header("location").unwrap().to_owned();
    let cut = format!("PATCH {address} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
    server.raw_and_leave(&[cut.as_bytes(), &[5; 400]].concat());
    let status = (0..100)
        .map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(30));
            server.get(&address)
        })
        .find(|answer| answer.status == 204 && answer.header("range") == Some("0-399"));
    assert!(status.is_some(), "what arrived is kept");
    let rest = [("Content-Range", "400-999")];
    assert_eq!(server.ask(&format!("PATCH {address}"), &rest, &[5; 600]).status, 202);
    let digest = digest_of(&[5; 1000]);
    assert_eq!(server.ask(&format!("PUT {address}?digest={digest}"), &[], b"").status, 201);
}
