//! Ids and names that nobody chose.

use types::Id;

use crate::state::Table;
use crate::{Error, Result};

const FIRST: [&str; 40] = [
    "amber", "ample", "ashen", "blithe", "brave", "breezy", "bright", "brisk", "calm", "clear", "coral",
    "crisp", "deft", "dusky", "early", "fair", "fleet", "fond", "gentle", "glad", "golden", "hardy", "hazel",
    "jolly", "keen", "light", "lively", "lucid", "mellow", "merry", "misty", "noble", "plucky", "quiet",
    "ruddy", "silver", "steady", "sunny", "tidal", "windy",
];
const SECOND: [&str; 40] = [
    "anchor", "bay", "beacon", "bight", "bow", "breaker", "buoy", "capstan", "cove", "current", "delta",
    "dock", "dune", "eddy", "ferry", "fjord", "galley", "gull", "halyard", "harbour", "haven", "hull",
    "inlet", "jetty", "keel", "lagoon", "mast", "mooring", "oar", "pier", "quay", "reef", "rudder", "sail",
    "shoal", "sloop", "strand", "tide", "wharf", "yawl",
];

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| {
        Error::new(types::Kind::Unavailable, format!("the kernel gives no random bytes: {e}"))
    })?;
    Ok(bytes)
}

/// A new id. One whose first twelve digits are all decimal would be read as a number by some tools.
pub(crate) fn new_id() -> Result<String> {
    loop {
        let id = Id::from_bytes(random()?).to_string();
        if !id[..12].bytes().all(|b| b.is_ascii_digit()) {
            return Ok(id);
        }
    }
}

/// Takes a free name for a container that was given none.
pub(crate) fn reserve_any(table: &Table, id: &str) -> Result<String> {
    for attempt in 0..100 {
        let [a, b, c] = random()?;
        let mut name =
            format!("{}_{}", FIRST[usize::from(a) % FIRST.len()], SECOND[usize::from(b) % SECOND.len()]);
        if attempt > 5 {
            name = format!("{name}{c}");
        }
        if table.reserve(&name, id).is_ok() {
            return Ok(name);
        }
    }
    let name = format!("container_{}", &id[..12]);
    table.reserve(&name, id).map(|()| name)
}
