//! Device access: the specification's list of rules, reduced to what holds in the end, as v1 lines or for a v2 filter.

use oci::runtime::LinuxDeviceCgroup;
use protocol::plan::Write;

use crate::Error;

/// May read.
pub(super) const READ: u8 = 1;
/// May write.
pub(super) const WRITE: u8 = 2;
/// May make the node.
pub(super) const MAKE: u8 = 4;
const ALL: u8 = READ | WRITE | MAKE;

/// Devices every container may use, whatever the rules say; nodes of any kind may be made, not opened.
const ALWAYS: [(char, Option<u32>, Option<u32>, u8); 11] = [
    ('c', None, None, MAKE),
    ('b', None, None, MAKE),
    ('c', Some(1), Some(3), ALL), // null
    ('c', Some(1), Some(8), ALL), // random
    ('c', Some(1), Some(7), ALL), // full
    ('c', Some(5), Some(0), ALL), // tty
    ('c', Some(1), Some(5), ALL), // zero
    ('c', Some(1), Some(9), ALL), // urandom
    ('c', Some(5), Some(1), ALL), // console
    ('c', Some(136), None, ALL),  // pts/*
    ('c', Some(5), Some(2), ALL), // ptmx
];

/// A device or a family of them; `None` is any number.
pub(super) type Device = (char, Option<u32>, Option<u32>);

/// What is allowed in the end: a default, and the devices that differ from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// What happens to devices that are not listed.
    pub(super) allow_others: bool,
    /// Access bits that are allowed (or, under `allow_others`, denied), in the order of the rules: v1 keeps it, and whoever reads the
    /// list again looks for his own first.
    pub(super) exceptions: Vec<(Device, u8)>,
}

impl Access {
    /// Plays the rules in order, as the v1 controller would, from "deny all" on.
    ///
    /// # Errors
    /// When a rule is malformed, or takes back a part of an earlier rule for a family of devices: lists of exceptions cannot say that.
    pub fn of(rules: &[LinuxDeviceCgroup]) -> Result<Self, Error> {
        let mut access = Self { allow_others: false, exceptions: Vec::new() };
        for rule in rules {
            access.play(rule)?;
        }
        for (kind, major, minor, bits) in ALWAYS {
            access.change((kind, major, minor), bits, true);
        }
        Ok(access)
    }

    /// Nothing is denied.
    #[must_use]
    pub fn allows_all(&self) -> bool {
        self.allow_others && self.exceptions.is_empty()
    }

    fn play(&mut self, rule: &LinuxDeviceCgroup) -> Result<(), Error> {
        let bits = access_bits(&rule.access)?;
        let number = |n: Option<i64>, what: &str| match n {
            None | Some(-1) => Ok(None),
            Some(n) => u32::try_from(n).map(Some).map_err(|_| {
                Error::invalid(format!("linux.resources.devices: {what} number {n} is out of range"))
            }),
        };
        let (major, minor) = (number(rule.major, "major")?, number(rule.minor, "minor")?);
        match rule.kind.as_str() {
            "" | "a" => {
                *self = Self { allow_others: rule.allow, exceptions: Vec::new() };
            }
            "c" | "u" => self.checked(('c', major, minor), bits, rule.allow)?,
            "b" => self.checked(('b', major, minor), bits, rule.allow)?,
            other => {
                return Err(Error::invalid(format!(
                    "linux.resources.devices: {other:?} is no type of device"
                )));
            }
        }
        Ok(())
    }

    /// A hole in a family cannot be written down; to leave it out would be a false sense of security.
    fn checked(&mut self, device: Device, bits: u8, allow: bool) -> Result<(), Error> {
        if bits == 0 {
            return Ok(());
        }
        let (kind, major, minor) = device;
        let families = [(kind, None, minor), (kind, major, None), (kind, None, None)];
        let holed = families.iter().filter(|family| allow == self.allow_others && **family != device);
        for family in holed {
            let present =
                self.exceptions.iter().find(|(known, _)| known == family).map_or(0, |(_, bits)| *bits);
            if present & bits != 0 {
                return Err(Error::invalid(format!(
                    "linux.resources.devices: the rule for {} cannot take back a part of the earlier one for {}",
                    line(device, bits),
                    line(*family, present)
                )));
            }
        }
        self.change(device, bits, allow);
        Ok(())
    }

    fn change(&mut self, device: Device, bits: u8, allow: bool) {
        let present = self.exceptions.iter_mut().find(|(known, _)| *known == device);
        match (present, allow == self.allow_others) {
            (Some((_, present)), true) => *present &= !bits,
            (Some((_, present)), false) => *present |= bits,
            (None, true) => {}
            (None, false) => self.exceptions.push((device, bits)),
        }
        self.exceptions.retain(|(_, bits)| *bits != 0);
    }

    /// The writes that make a v1 cgroup hold to this. A fresh one allows what its parent does; of one that was there before
    /// (`used`) nothing is known.
    pub(super) fn list(&self, directory: &str, used: bool) -> Vec<Write> {
        let first = match (self.allow_others, used) {
            (true, false) => None,
            (true, true) => Some("devices.allow"),
            (false, _) => Some("devices.deny"),
        };
        let then = if self.allow_others { "devices.deny" } else { "devices.allow" };
        let write = |file: &str, value: String| Write {
            path: format!("{directory}/{file}"),
            value,
            field: "linux.resources.devices".into(),
            otherwise: None,
        };
        let first = first.map(|file| write(file, "a".into()));
        let rest = self.exceptions.iter().map(|(device, bits)| write(then, line(*device, *bits)));
        first.into_iter().chain(rest).collect()
    }
}

/// Rules with an access that is none, one sentence each.
pub(super) fn odd(rules: &[LinuxDeviceCgroup]) -> impl Iterator<Item = String> {
    let odd = rules.iter().filter(|rule| rule.access.contains('a'));
    odd.map(|rule| {
        format!("linux.resources.devices: \"a\" in {:?} is no access and has no effect", rule.access)
    })
}

fn access_bits(text: &str) -> Result<u8, Error> {
    if text.is_empty() {
        return Ok(ALL);
    }
    text.chars().try_fold(0, |bits, c| match c {
        'r' => Ok(bits | READ),
        'w' => Ok(bits | WRITE),
        'm' => Ok(bits | MAKE),
        // Others let it pass, and documents have it.
        'a' => Ok(bits),
        _ => {
            Err(Error::invalid(format!("linux.resources.devices: access {text:?} has more than r, w and m")))
        }
    })
}

fn line((kind, major, minor): Device, bits: u8) -> String {
    let number = |n: Option<u32>| n.map_or_else(|| "*".to_owned(), |n| n.to_string());
    let mut line = format!("{kind} {}:{} ", number(major), number(minor));
    line.extend(
        [(READ, 'r'), (WRITE, 'w'), (MAKE, 'm')].iter().filter(|(bit, _)| bits & bit != 0).map(|(_, c)| c),
    );
    line
}
