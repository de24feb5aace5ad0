//! `berth registry check`: by the registry that serves the directory, or here when none does.

use types::Kind;

use crate::control;
use crate::depot::{Checked, Depot};
use crate::error::{Error, Result};
use crate::options::Check;
use crate::run::alone;

/// Checks, and tells on standard output what is broken. An error when something is, and was not repaired.
pub(crate) fn check(asked: &Check) -> Result<()> {
    if !asked.data_root.is_dir() {
        let path = asked.data_root.display();
        return Err(Error::new(Kind::NotFound, format!("there is no registry in {path}")));
    }
    let found = match Depot::open(&asked.data_root) {
        Ok(depot) => alone(depot.check(asked.repair))?,
        Err(error) if error.kind() == Kind::Conflict => {
            control::ask_to_check(&asked.data_root, asked.repair)?
        }
        Err(error) => return Err(error),
    };
    tell(&found, asked.repair);
    if found.broken == 0 || asked.repair {
        return Ok(());
    }
    let message = format!(
        "{} contents are broken: with --repair they are forgotten, and can be pushed again",
        found.broken
    );
    Err(Error::new(Kind::Corrupt, message))
}

fn tell(found: &Checked, repair: bool) {
    for one in &found.told {
        println!("{}: {} (in {})", one.digest, one.why, one.repositories.join(", "));
    }
    let did = if repair { "forgotten" } else { "broken" };
    println!("{} contents with {} bytes were read, {} {did}", found.contents, found.bytes, found.broken);
}
