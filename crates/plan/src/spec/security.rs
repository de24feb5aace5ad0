//! `HostConfig.SecurityOpt`: what each word of it means.

use crate::Error;

/// The options, read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Security {
    /// The system call filter.
    pub seccomp: Seccomp,
    /// Set `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privileges: bool,
    /// Leave `/proc` and `/sys` unmasked and writable.
    pub bare_system_paths: bool,
}

/// Which system call filter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Seccomp {
    /// Docker's default profile.
    #[default]
    Default,
    /// None.
    Unconfined,
    /// This profile, a JSON text.
    Profile(String),
}

/// Reads the options. AppArmor and SELinux are understood as far as "off" goes.
///
/// # Errors
/// An unknown option, or a label or profile that Berth cannot apply.
pub fn parse(options: &[String]) -> Result<Security, Error> {
    let mut security = Security::default();
    for option in options {
        match option.as_str() {
            "no-new-privileges" => security.no_new_privileges = true,
            "systempaths=unconfined" => security.bare_system_paths = true,
            "label=disable" | "label:disable" | "apparmor=unconfined" | "apparmor:unconfined" => {}
            other => pair(&mut security, other)?,
        }
    }
    Ok(security)
}

fn pair(security: &mut Security, option: &str) -> Result<(), Error> {
    // Docker's old notation has a colon; a profile's JSON may hold both signs.
    let at = option.find(['=', ':']).ok_or_else(|| bad(option))?;
    let (name, value) = (&option[..at], &option[at + 1..]);
    match (name, value) {
        ("no-new-privileges", "true") => security.no_new_privileges = true,
        ("no-new-privileges", "false") => security.no_new_privileges = false,
        ("seccomp", "unconfined") => security.seccomp = Seccomp::Unconfined,
        ("seccomp", "builtin" | "default" | "") => security.seccomp = Seccomp::Default,
        ("seccomp", profile) => security.seccomp = Seccomp::Profile(profile.to_owned()),
        ("apparmor", profile) => {
            return Err(Error::unimplemented(format!(
                "AppArmor profile {profile:?} cannot be applied: Berth does not load AppArmor profiles"
            )));
        }
        ("label", _) => {
            return Err(Error::unimplemented("SELinux labels cannot be applied: Berth does not set them"));
        }
        _ => return Err(bad(option)),
    }
    Ok(())
}

fn bad(option: &str) -> Error {
    let shown: String = option.chars().take(80).collect();
    Error::invalid(format!("invalid --security-opt: {shown:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        let read = |options: &[&str]| {
            let options: Vec<String> = options.iter().map(|&o| o.to_owned()).collect();
            parse(&options).map_err(|e| e.kind())
        };
        let base = Security::default();
        assert_eq!(read(&[]), Ok(base.clone()));
        for text in ["no-new-privileges", "no-new-privileges=true", "no-new-privileges:true"] {
            assert_eq!(read(&[text]), Ok(Security { no_new_privileges: true, ..base.clone() }), "{text}");
        }
        for text in ["seccomp=unconfined", "seccomp:unconfined"] {
            assert_eq!(read(&[text]), Ok(Security { seccomp: Seccomp::Unconfined, ..base.clone() }));
        }
        let profile = Seccomp::Profile("{\"a\":\"=\"}".to_owned());
        assert_eq!(read(&["seccomp={\"a\":\"=\"}"]), Ok(Security { seccomp: profile, ..base.clone() }));
        assert_eq!(
            read(&["systempaths=unconfined"]),
            Ok(Security { bare_system_paths: true, ..base.clone() })
        );
        assert_eq!(read(&["label=disable", "apparmor=unconfined"]), Ok(base));
        assert_eq!(read(&["apparmor=mine"]), Err(types::Kind::Unimplemented));
        assert_eq!(read(&["label=type:x"]), Err(types::Kind::Unimplemented));
        for bad in ["", "nope", "x=y", "no-new-privileges=maybe"] {
            assert_eq!(read(&[bad]), Err(types::Kind::InvalidInput), "{bad}");
        }
    }
}
