//! Flags as data: one [`Flag`] per flag, from which parsing and help both come. Knows nothing of what they mean.

pub(crate) mod check;
mod help;
mod matches;
mod parse;

pub(crate) use help::table as help_table;
pub(crate) use matches::Matches;
pub(crate) use parse::{Refusal, parse};

/// Looks at a value while it is being read; the error is the reason only.
pub(crate) type Check = fn(&str) -> Result<(), String>;

/// How a flag takes values.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Present or absent, or `=true` and `=false`.
    Switch,
    /// One value; the last one counts.
    One(Check),
    /// A value each time it is given.
    Many(Check),
}

/// Where a flag stands with Berth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Works, and is in the help text.
    Here,
    /// Works, for those who know it; not in the help text.
    Hidden,
    /// Another name of the flag named.
    Alias(&'static str),
    /// Docker has it, Berth does not: refused when given.
    Missing,
}

/// One flag of a command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag {
    /// Its name without dashes.
    pub(crate) long: &'static str,
    /// Its one-letter name.
    pub(crate) short: Option<char>,
    /// How it takes values.
    pub(crate) kind: Kind,
    /// The word for its value in help; empty for switches.
    pub(crate) word: &'static str,
    /// What it does, in one line.
    pub(crate) help: &'static str,
    /// Where it stands.
    pub(crate) standing: Standing,
}

impl Flag {
    /// The flag with a one-letter name.
    pub(crate) const fn short(mut self, letter: char) -> Self {
        self.short = Some(letter);
        self
    }

    /// The flag with each value looked at when it is read.
    pub(crate) const fn checked(mut self, check: Check) -> Self {
        self.kind = match self.kind {
            Kind::Many(_) => Kind::Many(check),
            Kind::One(_) | Kind::Switch => Kind::One(check),
        };
        self
    }

    /// The flag with another word for its value in help.
    pub(crate) const fn word(mut self, word: &'static str) -> Self {
        self.word = word;
        self
    }

    /// The flag kept out of help.
    pub(crate) const fn hidden(mut self) -> Self {
        self.standing = Standing::Hidden;
        self
    }

    /// The flag as another name of `long`.
    pub(crate) const fn alias_of(mut self, long: &'static str) -> Self {
        self.standing = Standing::Alias(long);
        self
    }
}

const fn flag(long: &'static str, kind: Kind, word: &'static str, help: &'static str) -> Flag {
    Flag { long, short: None, kind, word, help, standing: Standing::Here }
}

/// A switch.
pub(crate) const fn switch(long: &'static str, help: &'static str) -> Flag {
    flag(long, Kind::Switch, "", help)
}

/// A flag with one value.
pub(crate) const fn one(long: &'static str, help: &'static str) -> Flag {
    flag(long, Kind::One(check::any), "string", help)
}

/// A flag that may be given many times.
pub(crate) const fn many(long: &'static str, help: &'static str) -> Flag {
    flag(long, Kind::Many(check::any), "list", help)
}

/// A whole number.
pub(crate) const fn number(long: &'static str, help: &'static str) -> Flag {
    flag(long, Kind::One(check::integer), "int", help)
}

/// A size in bytes.
pub(crate) const fn bytes(long: &'static str, help: &'static str) -> Flag {
    flag(long, Kind::One(check::bytes), "bytes", help)
}

/// A flag with a value that Docker has and Berth refuses.
pub(crate) const fn missing(long: &'static str) -> Flag {
    Flag { standing: Standing::Missing, ..flag(long, Kind::Many(check::any), "", "") }
}

/// A switch that Docker has and Berth refuses.
pub(crate) const fn missing_switch(long: &'static str) -> Flag {
    Flag { standing: Standing::Missing, ..flag(long, Kind::Switch, "", "") }
}
