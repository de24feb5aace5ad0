//! Who a process runs as: Docker's `user[:group]` against the container's own passwd and group files.
//!
//! Digits are always a number and never looked up as a name (CVE-2024-40635), numbers past 2^32-2 are refused, and the
//! primary group is always among the supplementary ones (CVE-2022-36109).

use crate::Error;

/// The largest id the kernel gives to anyone; 2^32-1 means "no change" to it.
const ID_MAX: u64 = u32::MAX as u64 - 1;
/// `NGROUPS_MAX` of Linux.
const GROUPS_MAX: usize = 65_536;

/// The two files of the container's root that give names a meaning. Absent files are empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Accounts<'a> {
    /// Contents of `/etc/passwd`.
    pub passwd: &'a [u8],
    /// Contents of `/etc/group`.
    pub group: &'a [u8],
}

/// A resolved user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary groups, the primary one first, none twice.
    pub groups: Vec<u32>,
    /// Home directory, `/` when the passwd file does not tell.
    pub home: String,
}

/// Resolves `spec` (`user`, `uid`, `user:group`, …; empty is root) and the groups of `--group-add`.
///
/// # Errors
/// A malformed name, a number out of range, or a name that the files do not know.
pub fn resolve(spec: &str, add: &[String], accounts: Accounts<'_>) -> Result<User, Error> {
    let (user_text, group_text) = split(spec)?;
    let account = find_account(user_text, accounts.passwd)?;
    let (gid, mut more) = match group_text {
        "" => (account.gid, groups_of(account.name.as_deref(), accounts.group)),
        text => (group_id(text, accounts.group)?, Vec::new()),
    };
    for text in add {
        more.push(group_id(text, accounts.group)?);
    }
    let mut groups = vec![gid];
    let mut seen = std::collections::BTreeSet::from([gid]);
    groups.extend(more.into_iter().filter(|g| seen.insert(*g)));
    if groups.len() > GROUPS_MAX {
        return Err(Error::invalid(format!("user {spec:?} is in more than {GROUPS_MAX} groups")));
    }
    Ok(User { uid: account.uid, gid, groups, home: account.home })
}

/// Whether the text can be resolved at all: what `create` checks before the files can be read.
///
/// # Errors
/// As [`resolve`], for what the text alone shows.
pub fn check(spec: &str) -> Result<(), Error> {
    let (user, group) = split(spec)?;
    for part in [user, group].into_iter().filter(|p| !p.is_empty()) {
        word(part)?;
    }
    Ok(())
}

struct Account {
    uid: u32,
    gid: u32,
    name: Option<String>,
    home: String,
}

enum Word<'a> {
    Number(u32),
    Name(&'a str),
}

fn split(spec: &str) -> Result<(&str, &str), Error> {
    match spec.split_once(':') {
        Some((_, group)) if group.contains(':') => {
            Err(Error::invalid(format!("invalid user {spec:?}: want user or user:group")))
        }
        Some(parts) => Ok(parts),
        None => Ok((spec, "")),
    }
}

fn word(text: &str) -> Result<Word<'_>, Error> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return number(text).map(Word::Number).ok_or_else(|| {
            Error::invalid(format!(
                "invalid user or group id {text}: uids and gids must be in range 0-{ID_MAX}"
            ))
        });
    }
    let strange = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | '/' | ':');
    if text.starts_with(['+', '-']) || text.contains(strange) || text.len() > 256 {
        return Err(Error::invalid(format!("invalid user or group name {text:?}")));
    }
    Ok(Word::Name(text))
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse::<u64>().ok().filter(|n| digits && *n <= ID_MAX).and_then(|n| u32::try_from(n).ok())
}

fn find_account(text: &str, passwd: &[u8]) -> Result<Account, Error> {
    let wanted = if text.is_empty() { Word::Number(0) } else { word(text)? };
    let mut entries = lines(passwd).filter_map(account);
    let found = match wanted {
        Word::Number(uid) => entries.find(|a| a.uid == uid),
        Word::Name(name) => entries.find(|a| a.name.as_deref() == Some(name)),
    };
    match (found, wanted) {
        (Some(account), _) => Ok(account),
        (None, Word::Number(uid)) => Ok(Account { uid, gid: 0, name: None, home: "/".to_owned() }),
        (None, Word::Name(name)) => {
            Err(Error::invalid(format!("unable to find user {name}: no matching entries in passwd file")))
        }
    }
}

/// One line of passwd(5). Lines with ids that are no ids are no accounts.
fn account(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|n| !n.is_empty())?.to_owned();
    let mut fields = fields.skip(1);
    let (uid, gid) = (number(fields.next()?)?, number(fields.next()?)?);
    let home = fields.nth(1).filter(|h| h.starts_with('/')).unwrap_or("/").to_owned();
    Some(Account { uid, gid, name: Some(name), home })
}

/// One line of group(5): name, id, members.
fn group(line: &str) -> Option<(&str, u32, &str)> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|n| !n.is_empty())?;
    let gid = number(fields.nth(1)?)?;
    Some((name, gid, fields.next().unwrap_or("")))
}

fn group_id(text: &str, groups: &[u8]) -> Result<u32, Error> {
    match word(text)? {
        Word::Number(gid) => Ok(gid),
        Word::Name(name) => {
            lines(groups).filter_map(group).find(|g| g.0 == name).map(|g| g.1).ok_or_else(|| {
                Error::invalid(format!("Unable to find group {name}: no matching entries in group file"))
            })
        }
    }
}

fn groups_of(user: Option<&str>, groups: &[u8]) -> Vec<u32> {
    let Some(user) = user else { return Vec::new() };
    lines(groups)
        .filter_map(group)
        .filter(|(_, _, members)| members.split(',').any(|m| m == user))
        .map(|(_, gid, _)| gid)
        .collect()
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &str> {
    bytes
        .split(|b| *b == b'\n')
        .filter_map(|line| std::str::from_utf8(line).ok())
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n# c\n\nweb:x:33:34:w:/srv:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n\
        12:x:0:0::/:/bin/sh\nbig:x:4294967296:0::/:\nneg:x:-1:0::/:\nlong:x:9999999999999999999999999999999999999999:0::/:\n\
        last:x:4294967294:7\nnope:x:4294967295:0::/:\nbad\n:x:0:0::/:\nrel:x:5:5::home:/\n";
    const GROUP: &[u8] = b"root:x:0:\nwheel:x:10:root,web\nweb:x:34:bob\nvideo:x:44:bob,web\n77:x:0:\nhuge:x:4294967295:web\n\xff\xfe:x:1:\n";

    fn check_user(spec: &str, expected: &str) {
        let accounts = Accounts { passwd: PASSWD, group: GROUP };
        let got = match resolve(spec, &[], accounts) {
            Ok(u) => {
                let groups: Vec<String> = u.groups.iter().map(u32::to_string).collect();
                format!("{}:{} {} {}", u.uid, u.gid, groups.join(","), u.home)
            }
            Err(e) => e.to_string(),
        };
        assert!(
            got == expected || (expected == "!" && got.starts_with("invalid")),
            "{spec:?}: {got} (want {expected})"
        );
    }

    #[test]
    fn r13_r15_forms_and_numbers() {
        for (spec, expected) in [
            ("", "0:0 0,10 /root"),
            ("0", "0:0 0,10 /root"),
            ("00", "0:0 0,10 /root"),
            ("root", "0:0 0,10 /root"),
            ("web", "33:34 34,10,44 /srv"),
            ("33", "33:34 34,10,44 /srv"),
            ("web:", "33:34 34,10,44 /srv"),
            ("web:bob", "Unable to find group bob: no matching entries in group file"),
            ("web:video", "33:44 44 /srv"),
            ("web:44", "33:44 44 /srv"),
            ("33:0", "33:0 0 /srv"),
            (":1", "0:1 1 /root"),
            (":video", "0:44 44 /root"),
            (":", "0:0 0,10 /root"),
            ("1", "1:0 0 /"),
            ("1:", "1:0 0 /"),
            ("1:1", "1:1 1 /"),
            ("12", "12:0 0 /"),
            ("77", "77:0 0 /"),
            ("0:77", "0:77 77 /root"),
            ("bob", "1000:1000 1000,34,44 /home/bob"),
            ("bob:root", "1000:0 0 /home/bob"),
            ("rel", "5:5 5 /"),
            ("last", "4294967294:7 7 /"),
            ("4294967294", "4294967294:7 7 /"),
            ("big", "unable to find user big: no matching entries in passwd file"),
            ("neg", "unable to find user neg: no matching entries in passwd file"),
            ("long", "unable to find user long: no matching entries in passwd file"),
            ("nope", "unable to find user nope: no matching entries in passwd file"),
            ("0x1", "unable to find user 0x1: no matching entries in passwd file"),
            ("1e3", "unable to find user 1e3: no matching entries in passwd file"),
            ("Root", "unable to find user Root: no matching entries in passwd file"),
            ("١", "unable to find user ١: no matching entries in passwd file"),
            ("web:huge", "Unable to find group huge: no matching entries in group file"),
        ] {
            check_user(spec, expected);
        }
    }

    #[test]
    fn r13_r14_refused_texts() {
        let huge = "9".repeat(40);
        for part in [
            "4294967295",
            "4294967296",
            "18446744073709551615",
            "18446744073709551616",
            &huge,
            "+1",
            "-1",
            "+0",
            "-0",
            " 1",
            "1 ",
            "\t0",
            "0\n",
            "a b",
            "\0",
            "root\0",
            "a,b",
            "a/b",
            "--",
            "+",
            "\u{a0}1",
            "\u{7f}",
            "ro\rot",
        ] {
            for spec in [
                part.to_owned(),
                format!("{part}:0"),
                format!("0:{part}"),
                format!("web:{part}"),
                format!(":{part}"),
            ] {
                check_user(&spec, "!");
                assert!(check(&spec).is_err(), "{spec:?}");
            }
        }
        for spec in ["0:0:0", "::", "a:b:c", ":::", "root:root:", "1:2:3:4"] {
            check_user(spec, "!");
        }
    }

    #[test]
    fn r14_every_number_means_itself() {
        for n in (0..400u64).chain([65_534, 65_535, 1 << 31, (1 << 32) - 2]) {
            let user = resolve(&format!("{n}:{n}"), &[], Accounts::default()).expect("a number");
            assert_eq!((u64::from(user.uid), u64::from(user.gid)), (n, n));
            assert_eq!(user.groups, [user.gid]);
        }
    }

    #[test]
    fn added_groups_follow_the_primary() {
        let accounts = Accounts { passwd: PASSWD, group: GROUP };
        let add = ["video".to_owned(), "5".to_owned(), "44".to_owned()];
        assert_eq!(resolve("1", &add, accounts).map(|u| u.groups), Ok(vec![0, 44, 5]));
        assert!(resolve("1", &["4294967295".to_owned()], accounts).is_err());
    }
}
