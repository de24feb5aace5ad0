//! Requests to Berth's registry: a line with method and address, headers, an empty line, a body.

use crate::targets::is_new;

const MANIFEST: &str = "PUT /v2/a/manifests/t\nContent-Type: application/vnd.oci.image.manifest.v1+json\n\n\
    {\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":\"a\",\
    \"digest\":\"sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a\",\"size\":2},\"layers\":[]}";

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let mut seeds: Vec<String> = [
        "GET /v2/_catalog?n=5&last=a%2Fb\n\n".to_owned(),
        "GET /v2/a/b/tags/list\n\n".to_owned(),
        format!("GET /v2/a/blobs/{digest}\nRange: bytes=1-3\n\nbody"),
        format!("GET /v2/a/referrers/{digest}?artifactType=x\n\n"),
        format!("POST /v2/a/blobs/uploads/?mount={digest}&from=b\n\n"),
        format!("PATCH /v2/a/blobs/uploads/{}\nContent-Range: 0-3\n\nbody", "0a".repeat(16)),
        MANIFEST.to_owned(),
    ]
    .into();
    seeds.push(MANIFEST.replace("image.manifest", "image.index").replace("layers", "manifests"));
    seeds.into_iter().map(String::into_bytes).collect()
}

/// Every answer is a call of a well-formed name, or a refusal in the specification's form.
pub(crate) fn request(input: &[u8]) -> bool {
    let end = input.windows(2).position(|window| window == b"\n\n").unwrap_or(input.len());
    let head = String::from_utf8_lossy(&input[..end]);
    let body = input.get(end + 2..).unwrap_or_default();
    let (line, headers) = head.split_once('\n').unwrap_or((&head, ""));
    let (method, target) = line.split_once(' ').unwrap_or((line, ""));
    let headers: Vec<_> = headers.lines().filter_map(|line| line.split_once(": ")).collect();
    match distribution::interpret(method, target, &headers, body) {
        Ok(meaning) => {
            let call = meaning.split(" Checked").next().unwrap_or_default();
            assert!(!["/..", "../", "//", "%"].iter().any(|odd| call.contains(odd)), "{meaning}");
            is_new(&meaning)
        }
        Err((status, body)) => {
            let body: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
            let message = body["errors"][0]["message"].as_str().unwrap_or_default();
            assert!((400..500).contains(&status) && !message.is_empty(), "{status} {body}");
            is_new(message)
        }
    }
}
