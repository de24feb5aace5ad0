//! Power cuts by replay (docs/decisions/0013): after each operation of a story of pushes, deletions and collections, the power is cut.
//! The registry must open on what is left, with all that it acknowledged, and no file that no record names.

use std::collections::BTreeMap;
use std::path::Path;

use oci::image::media;
use serde_json::json;
use testkit::power::{self, Story, Syncs, Wanted, dies_here, mark};

use super::{Answer, Server, descriptor, image};
use crate::depot::Depot;
use crate::digest::{Digest, digest_of};
use crate::name::Name;
use crate::route::Target;

/// Cuts that are looked at when nobody asks for a number (`BERTH_POWER_STATES`).
const STATES: usize = 900;
/// As many during recoveries.
const RECOVERIES: usize = 300;
const CHAPTERS: [&str; 4] = ["pushes", "dies", "deletes", "collects"];

/// Not a test of its own: the process that is recorded.
#[test]
fn a_chapter_is_told() {
    let Some((root, chapter)) = power::chapter() else { return };
    let server = Server::start(|options| options.data_root = root);
    match chapter.as_str() {
        "pushes" => pushes(&server),
        "dies" => dies(&server),
        "deletes" => deletes(&server),
        "collects" => collects(&server),
        "opens" => {}
        other => panic!("{other}"),
    }
    drop(server.stop());
}

fn blob(server: &Server, name: &str, content: &[u8]) {
    let place = format!("{name}@{}", digest_of(content));
    mark("begin", "blob", &place, "here");
    server.push_blob(name, content);
    mark("done", "blob", &place, "here");
}

fn manifest(server: &Server, name: &str, tag: &str, text: &str) {
    let digest = digest_of(text.as_bytes());
    let (place, by_tag) = (format!("{name}@{digest}"), format!("{name}:{tag}"));
    mark("begin", "manifest", &place, "here");
    mark("begin", "tag", &by_tag, &digest.to_string());
    let kind = if text.contains("manifests") { media::INDEX } else { media::MANIFEST };
    let put = format!("PUT /v2/{name}/manifests/{tag}");
    assert_eq!(server.ask(&put, &[("Content-Type", kind)], text.as_bytes()).status, 201);
    mark("done", "manifest", &place, "here");
    mark("done", "tag", &by_tag, &digest.to_string());
}

fn layer(n: u8) -> Vec<u8> {
    (0..3000_u32).map(|at| n.wrapping_mul(31) ^ (at % 251) as u8).collect()
}

fn pushes(server: &Server) {
    blob(server, "a", b"{}");
    blob(server, "a", &layer(1));
    manifest(server, "a", "t", &image(&layer(1)).to_string());
    in_chunks(server, "a", &layer(2));
    manifest(server, "a", "t", &image(&layer(2)).to_string());
    // From there to another repository.
    let place = format!("b@{}", digest_of(&layer(2)));
    mark("begin", "blob", &place, "here");
    let mount = format!("POST /v2/b/blobs/uploads/?mount={}&from=a", digest_of(&layer(2)));
    assert_eq!(server.ask(&mount, &[], b"").status, 201);
    mark("done", "blob", &place, "here");
    // Several at once share a transaction.
    std::thread::scope(|scope| {
        for n in 3..7 {
            scope.spawn(move || blob(server, "b", &layer(n)));
        }
    });
    blob(server, "b", b"{}");
    manifest(server, "b", "x", &image(&layer(3)).to_string());
    let entry = descriptor(media::MANIFEST, image(&layer(3)).to_string().as_bytes());
    let index = json!({"schemaVersion": 2, "mediaType": media::INDEX, "manifests": [entry]});
    manifest(server, "b", "all", &index.to_string());
    // The same again, and what cannot be taken.
    blob(server, "b", &layer(3));
    let missing = server.put_manifest("b", "none", &image(b"nowhere").to_string());
    assert_eq!(missing.code(), "MANIFEST_BLOB_UNKNOWN");
    let wrong = format!("POST /v2/b/blobs/uploads/?digest={}", digest_of(b"other"));
    assert_eq!(server.ask(&wrong, &[], b"this").code(), "DIGEST_INVALID");
}

fn start(server: &Server, name: &str) -> String {
    let begun = server.ask(&format!("POST /v2/{name}/blobs/uploads/"), &[], b"");
    begun.header("location").unwrap().to_owned()
}

fn in_chunks(server: &Server, name: &str, content: &[u8]) {
    let place = format!("{name}@{}", digest_of(content));
    mark("begin", "blob", &place, "here");
    let upload = start(server, name);
    for chunk in content.chunks(1200) {
        assert_eq!(server.ask(&format!("PATCH {upload}"), &[], chunk).status, 202);
    }
    let end = format!("PUT {upload}?digest={}", digest_of(content));
    assert_eq!(server.ask(&end, &[], b"").status, 201);
    mark("done", "blob", &place, "here");
}

/// Dies with an upload half there.
fn dies(server: &Server) {
    let upload = start(server, "a");
    assert_eq!(server.ask(&format!("PATCH {upload}"), &[], &layer(9)).status, 202);
    dies_here();
}

fn accepted(answer: &Answer) {
    assert_eq!(answer.status, 202, "{answer:?}");
}

fn deletes(server: &Server) {
    let all = format!("b@{}", server.get("/v2/b/manifests/all").header("docker-content-digest").unwrap());
    mark("begin", "tag", "b:all", "");
    accepted(&server.ask("DELETE /v2/b/manifests/all", &[], b""));
    mark("done", "tag", "b:all", "");
    mark("begin", "manifest", &all, "");
    accepted(&server.ask(&format!("DELETE /v2/b/manifests/{}", &all[2..]), &[], b""));
    mark("done", "manifest", &all, "");
    let stray = format!("b@{}", digest_of(&layer(6)));
    mark("begin", "blob", &stray, "");
    accepted(&server.ask(&format!("DELETE /v2/b/blobs/{}", &stray[2..]), &[], b""));
    mark("done", "blob", &stray, "");
}

/// What nothing names goes, and what had a tag once.
fn collects(server: &Server) {
    let untagged = digest_of(image(&layer(1)).to_string().as_bytes());
    let gone: Vec<_> = [(1, "a"), (2, "b"), (4, "b"), (5, "b")]
        .map(|(n, name)| ("blob", format!("{name}@{}", digest_of(&layer(n)))))
        .into_iter()
        .chain([("manifest", format!("a@{untagged}"))])
        .collect();
    gone.iter().for_each(|(kind, place)| mark("begin", kind, place, ""));
    let collected = server.site.depot.collect_before(crate::depot::now() + 2, true);
    let found = server.runtime.block_on(collected).unwrap();
    assert_eq!((found.manifests, found.links), (1, 4));
    gone.iter().for_each(|(kind, place)| mark("done", kind, place, ""));
    blob(server, "a", &layer(1));
}

/// Opens the registry and says what is wrong.
fn judge(root: &Path, wanted: &Wanted) -> Result<(), String> {
    let depot = Depot::open(root).map_err(|e| format!("it does not open: {}", crate::error::chain(&e)))?;
    let split = |place: &str, by: char| -> (Name, String) {
        let (name, rest) = place.split_once(by).unwrap();
        (name.parse().unwrap(), rest.to_owned())
    };
    let broken = |digest: Digest, size: u64| {
        let content = std::fs::read(root.join("blobs/sha256").join(digest.hex())).unwrap_or_default();
        digest_of(&content) != digest || content.len() as u64 != size
    };
    wanted.check("blob", |place| {
        let (name, digest) = split(place, '@');
        let digest: Digest = digest.parse().unwrap();
        match depot.read(|db| crate::depot::blob(db, &name, digest)).unwrap() {
            Some(size) if broken(digest, size) => "broken".to_owned(),
            found => found.map(|_| "here".to_owned()).unwrap_or_default(),
        }
    })?;
    let found = |name: &Name, target: &Target| {
        let found = depot.read(|db| crate::depot::manifest(db, name, target)).unwrap();
        match found {
            Some(found) if broken(found.digest, found.size) => "broken".to_owned(),
            Some(found) => found.digest.to_string(),
            None => String::new(),
        }
    };
    wanted.check("manifest", |place| {
        let (name, digest) = split(place, '@');
        let digest: Digest = digest.parse().unwrap();
        let found = found(&name, &Target::Digest(digest));
        if found == digest.to_string() { "here".to_owned() } else { found }
    })?;
    wanted.check("tag", |place| {
        let (name, tag) = split(place, ':');
        found(&name, &Target::Tag(tag.parse().unwrap()))
    })?;
    whole(&depot, root)?;
    // It can be written to, and tidied.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let collected = runtime.block_on(depot.collect_before(crate::depot::now() + 2, true));
    collected.map_err(|refusal| format!("it cannot be collected: {}", refusal.message))?;
    whole(&depot, root)
}

/// What the records name is there, as whole as they say, and nothing else.
fn whole(depot: &Depot, root: &Path) -> Result<(), String> {
    let query = |text: &str| -> BTreeMap<String, u64> {
        let rows = depot.read(|db| {
            let mut ask = db.prepare(text)?;
            let rows = ask.query_map([], |row| {
                let digest: Vec<u8> = row.get(0)?;
                Ok((Digest::from_bytes(&digest).unwrap().hex(), row.get::<_, i64>(1)?.unsigned_abs()))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        });
        rows.unwrap()
    };
    let contents = query("SELECT digest, size FROM content");
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(root.join("blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        let content = std::fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if digest_of(&content).hex() != name {
            return Err(format!("{name} has other bytes"));
        }
        files.insert(name, content.len() as u64);
    }
    if files != contents {
        return Err(format!("the files are {files:?}, the records {contents:?}"));
    }
    let needs = "SELECT need.target, need.size FROM need LEFT JOIN link USING (repository)
        WHERE NOT EXISTS (SELECT 1 FROM content WHERE content.digest = need.target)";
    if let Some((missing, _)) = query(needs).first_key_value() {
        return Err(format!("a manifest lacks {missing}"));
    }
    if std::fs::read_dir(root.join("uploads")).unwrap().count() > 0 {
        return Err("an upload is left over".to_owned());
    }
    const OURS: [&str; 9] = [
        "ballast",
        "blobs",
        "control",
        "lock",
        "oci-layout",
        "records.sqlite",
        "records.sqlite-shm",
        "records.sqlite-wal",
        "uploads",
    ];
    let mut names = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name());
    let litter = names.find(|name| !OURS.iter().any(|ours| name == *ours));
    litter.map_or(Ok(()), |litter| Err(format!("{litter:?} is left over")))
}

fn judged(how: fn(&Story<'_>)) {
    if std::process::Command::new("strace").arg("-V").output().is_err() {
        println!("skipped: power cuts need strace");
        return;
    }
    let place = tempfile::Builder::new().prefix("berth-power-").tempdir_in(power::memory()).unwrap();
    how(&Story {
        teller: "tests::power::a_chapter_is_told",
        chapters: &CHAPTERS,
        opening: "opens",
        syncs: &[Syncs::Files, Syncs::Directories],
        place: place.path(),
        judge: &|place, wanted| judge(&place.join("data"), wanted),
    });
}

#[test]
fn power_cuts_at_every_moment_lose_and_double_nothing() {
    judged(|story| story.is_cut_at_every_moment(power::states(STATES)));
}

#[test]
fn power_cuts_during_the_recovery_from_one() {
    judged(|story| story.is_cut_while_it_recovers(power::states(RECOVERIES)));
}
