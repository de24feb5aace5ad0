//! Options of tmpfs mounts, as `--tmpfs` and `--mount type=tmpfs` write them.

use crate::Error;

/// The mount options for `--tmpfs path:text`: Docker's safe defaults, then what was asked, where the later word wins.
///
/// # Errors
/// A word that is no tmpfs option.
pub fn options(text: &str) -> Result<Vec<String>, Error> {
    let mut options: Vec<String> = ["noexec", "nosuid", "nodev"].map(str::to_owned).to_vec();
    for word in text.split(',').filter(|w| !w.is_empty()) {
        if !is_known(word) {
            return Err(Error::invalid(format!("invalid tmpfs option [{word:?}]")));
        }
        let key = key(word);
        options.retain(|o| self::key(o) != key);
        options.push(word.to_owned());
    }
    Ok(options)
}

/// Words that overrule each other have one key: `noexec` and `exec`, `size=1m` and `size=2m`.
fn key(word: &str) -> &str {
    let name = word.split_once('=').map_or(word, |(name, _)| name);
    match name {
        "rw" | "ro" => "ro",
        "noatime" | "relatime" | "strictatime" => "atime",
        "norelatime" | "nostrictatime" => "atime",
        other => other.strip_prefix("no").unwrap_or(other),
    }
}

fn is_known(word: &str) -> bool {
    match word.split_once('=') {
        Some(("size", value)) => is_size(value),
        Some(("mode", value)) => u32::from_str_radix(value, 8).is_ok_and(|m| m <= 0o7777),
        Some(("uid" | "gid", value)) => value.parse::<u32>().is_ok(),
        Some(("nr_inodes" | "nr_blocks", value)) => is_size(value),
        Some(("mpol", value)) => !value.is_empty(),
        Some(_) => false,
        None => matches!(
            word,
            "rw" | "ro"
                | "exec"
                | "noexec"
                | "suid"
                | "nosuid"
                | "dev"
                | "nodev"
                | "sync"
                | "async"
                | "dirsync"
                | "atime"
                | "noatime"
                | "relatime"
                | "norelatime"
                | "strictatime"
                | "nostrictatime"
                | "diratime"
                | "nodiratime"
        ),
    }
}

/// A number with an optional unit or, for `size`, a percentage.
fn is_size(value: &str) -> bool {
    let digits = value.trim_end_matches(['k', 'K', 'm', 'M', 'g', 'G', '%']);
    value.len() - digits.len() <= 1 && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_words_win() {
        let join = |text: &str| options(text).map(|o| o.join(",")).map_err(|e| e.to_string());
        assert_eq!(join(""), Ok("noexec,nosuid,nodev".to_owned()));
        assert_eq!(join("size=64m,exec,mode=1777"), Ok("nosuid,nodev,size=64m,exec,mode=1777".to_owned()));
        assert_eq!(join("size=1m,size=2m,ro,rw"), Ok("noexec,nosuid,nodev,size=2m,rw".to_owned()));
        for bad in ["size=x", "size=1mm", "mode=9", "uid=-1", "nope", "upperdir=/x", "size=", "nr_inodes=%"] {
            assert!(options(bad).is_err(), "{bad}");
        }
    }
}
