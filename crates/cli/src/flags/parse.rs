//! Reads an argument list as Docker's flag package does: `--a=b`, `--a b`, `-abc`, `-ab=c`, `-bvalue`, `--`.

use super::{Flag, Kind, Matches, Standing, check};

/// What was read.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// The flags.
    pub(crate) matches: Matches,
    /// What is not a flag.
    pub(crate) args: Vec<String>,
    /// Help was asked for.
    pub(crate) help: bool,
}

/// Why an argument list can't be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The words do not fit the flags.
    Syntax(String),
    /// Docker has this flag, Berth does not.
    Missing(&'static str),
}

/// Reads `argv` with the flags of a command. Without `mixed`, the first word that is no flag ends the flags.
pub(crate) fn parse(flags: &[&[Flag]], mixed: bool, argv: &[String]) -> Result<Parsed, Refusal> {
    let mut reader = Reader { flags, rest: argv.iter(), parsed: Parsed::empty() };
    while let Some(word) = reader.rest.next() {
        if word == "--" {
            reader.parsed.args.extend(reader.rest.cloned());
            break;
        }
        if let Some(long) = word.strip_prefix("--") {
            reader.long(word, long)?;
        } else if word.len() > 1 && word.starts_with('-') {
            reader.cluster(word)?;
        } else {
            reader.parsed.args.push(word.clone());
            if !mixed {
                reader.parsed.args.extend(reader.rest.cloned());
                break;
            }
        }
    }
    Ok(reader.parsed)
}

impl Parsed {
    fn empty() -> Self {
        Self { matches: Matches::default(), args: Vec::new(), help: false }
    }
}

struct Reader<'a> {
    flags: &'a [&'a [Flag]],
    rest: std::slice::Iter<'a, String>,
    parsed: Parsed,
}

impl Reader<'_> {
    fn find(&self, fits: impl Fn(&Flag) -> bool) -> Option<Flag> {
        self.flags.iter().flat_map(|table| table.iter()).find(|flag| fits(flag)).copied()
    }

    fn long(&mut self, word: &str, body: &str) -> Result<(), Refusal> {
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (body, None),
        };
        if name.is_empty() || name.starts_with('-') {
            return Err(Refusal::Syntax(format!("bad flag syntax: {word}")));
        }
        let Some(flag) = self.find(|flag| flag.long == name) else {
            if name == "help" {
                self.parsed.help = true;
                return Ok(());
            }
            return Err(Refusal::Syntax(format!("unknown flag: --{name}")));
        };
        let value = match (value, flag.kind) {
            (Some(value), _) => value,
            (None, Kind::Switch) => "true".to_owned(),
            (None, _) => self
                .next_value()
                .ok_or_else(|| Refusal::Syntax(format!("flag needs an argument: --{name}")))?,
        };
        self.keep(flag, value)
    }

    fn cluster(&mut self, word: &str) -> Result<(), Refusal> {
        let mut letters = &word[1..];
        while let Some(letter) = letters.chars().next() {
            let after = &letters[letter.len_utf8()..];
            let Some(flag) = self.find(|flag| flag.short == Some(letter)) else {
                if letter == 'h' {
                    self.parsed.help = true;
                    return Ok(());
                }
                let text = format!("unknown shorthand flag: '{letter}' in -{letters}");
                return Err(Refusal::Syntax(text));
            };
            if let Some(value) = after.strip_prefix('=').filter(|value| !value.is_empty()) {
                return self.keep(flag, value.to_owned());
            }
            if matches!(flag.kind, Kind::Switch) {
                self.keep(flag, "true".to_owned())?;
                letters = after;
                continue;
            }
            let value = if after.is_empty() { self.next_value() } else { Some(after.to_owned()) };
            let wanting = || Refusal::Syntax(format!("flag needs an argument: '{letter}' in -{letters}"));
            return self.keep(flag, value.ok_or_else(wanting)?);
        }
        Ok(())
    }

    fn next_value(&mut self) -> Option<String> {
        self.rest.next().cloned()
    }

    fn keep(&mut self, flag: Flag, value: String) -> Result<(), Refusal> {
        let long = match flag.standing {
            Standing::Missing => return Err(Refusal::Missing(flag.long)),
            Standing::Alias(long) => long,
            Standing::Here | Standing::Hidden => flag.long,
        };
        let checked = match flag.kind {
            Kind::Switch => check::truth(&value).map(drop),
            Kind::One(check) | Kind::Many(check) => check(&value),
        };
        checked.map_err(|reason| {
            let name = match flag.short {
                Some(letter) => format!("-{letter}, --{}", flag.long),
                None => format!("--{}", flag.long),
            };
            Refusal::Syntax(format!("invalid argument {value:?} for {name:?} flag: {reason}"))
        })?;
        self.parsed.matches.push(long, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{bytes, many, missing, number, one, switch};
    use super::*;

    const FLAGS: &[Flag] = &[
        switch("tty", "").short('t'),
        switch("interactive", "").short('i'),
        many("env", "").short('e'),
        one("name", ""),
        number("last", "").short('n'),
        bytes("memory", "").short('m'),
        missing("gpus"),
        one("net", "").alias_of("network"),
    ];

    fn read(mixed: bool, line: &str) -> Result<Parsed, Refusal> {
        let argv: Vec<String> = line.split(' ').filter(|w| !w.is_empty()).map(str::to_owned).collect();
        parse(&[FLAGS], mixed, &argv)
    }

    fn check(mixed: bool, line: &str, flags: &str, args: &str) {
        let parsed = read(mixed, line).unwrap_or_else(|e| panic!("{line}: {e:?}"));
        let mut seen = String::new();
        for name in ["tty", "interactive", "env", "name", "last", "memory", "network"] {
            for value in parsed.matches.list(name) {
                seen += &format!("{name}={value} ");
            }
        }
        assert_eq!(seen.trim_end(), flags, "{line}");
        assert_eq!(parsed.args.join(" "), args, "{line}");
    }

    #[test]
    fn reads_every_spelling() {
        check(false, "-it -e A=1 img -t", "tty=true interactive=true env=A=1", "img -t");
        check(true, "a -t b", "tty=true", "a b");
        check(false, "-eA=1 -e=B img", "env=A=1 env=B", "img");
        check(false, "--env=A=1 --env B --name= img", "env=A=1 env=B name=", "img");
        check(false, "-it=false img", "tty=false interactive=true", "img");
        check(false, "-tie X img", "tty=true interactive=true env=X", "img");
        check(false, "-t -- -e x", "tty=true", "-e x");
        check(true, "- -t", "tty=true", "-");
        check(false, "--net host -m64m -n-1 x", "last=-1 memory=64m network=host", "x");
        assert!(read(true, "x --help").is_ok_and(|p| p.help));
        assert!(read(true, "-h").is_ok_and(|p| p.help));
    }

    #[test]
    fn refuses_in_dockers_words() {
        for (line, text) in [
            ("--foo x", "unknown flag: --foo"),
            ("-Zt x", "unknown shorthand flag: 'Z' in -Zt"),
            ("-tZ x", "unknown shorthand flag: 'Z' in -Z"),
            ("-e", "flag needs an argument: 'e' in -e"),
            ("--name", "flag needs an argument: --name"),
            ("--=x", "bad flag syntax: --=x"),
            (
                "-n x",
                "invalid argument \"x\" for \"-n, --last\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
            ),
            (
                "-it=x a",
                "invalid argument \"x\" for \"-t, --tty\" flag: strconv.ParseBool: parsing \"x\": invalid syntax",
            ),
        ] {
            assert_eq!(read(false, line).err(), Some(Refusal::Syntax(text.to_owned())), "{line}");
        }
        assert_eq!(read(false, "--gpus all x").err(), Some(Refusal::Missing("gpus")));
    }
}
