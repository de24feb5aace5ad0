//! Device access: the specification's list of rules, reduced to what holds in the end, as v1 lines or for a v2 filter.

use std::collections::BTreeMap;

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
    /// Access bits that are allowed (or, under `allow_others`, denied).
    pub(super) exceptions: BTreeMap<Device, u8>,
}

impl Access {
    /// Plays the rules in order, as the v1 controller would, from "deny all" on.
    ///
    /// # Errors
    /// When a rule is malformed.
    pub fn of(rules: &[LinuxDeviceCgroup]) -> Result<Self, Error> {
        let mut access = Self { allow_others: false, exceptions: BTreeMap::new() };
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
            Some(n) => u32::try_from(n)
                .map(Some)
                .map_err(|_| Error::invalid(format!("device rule: {what} number {n} is out of range"))),
        };
        let (major, minor) = (number(rule.major, "major")?, number(rule.minor, "minor")?);
        match rule.kind.as_str() {
            "" | "a" => {
                *self = Self { allow_others: rule.allow, exceptions: BTreeMap::new() };
            }
            "c" | "u" => self.change(('c', major, minor), bits, rule.allow),
            "b" => self.change(('b', major, minor), bits, rule.allow),
            other => return Err(Error::invalid(format!("device rule: {other:?} is no type of device"))),
        }
        Ok(())
    }

    fn change(&mut self, device: Device, bits: u8, allow: bool) {
        if allow == self.allow_others {
            if let Some(present) = self.exceptions.get_mut(&device) {
                *present &= !bits;
            }
            self.exceptions.retain(|_, bits| *bits != 0);
        } else {
            *self.exceptions.entry(device).or_default() |= bits;
        }
    }

    /// The writes that make a fresh v1 cgroup (which allows what its parent does) hold to this.
    pub(super) fn list(&self, directory: &str) -> Vec<Write> {
        if self.allows_all() {
            return Vec::new();
        }
        let (first, then) =
            if self.allow_others { (None, "devices.deny") } else { (Some("devices.deny"), "devices.allow") };
        let write = |file: &str, value: String| Write {
            path: format!("{directory}/{file}"),
            value,
            field: "linux.resources.devices".into(),
        };
        let first = first.map(|file| write(file, "a".into()));
        let rest = self.exceptions.iter().map(|(device, bits)| write(then, line(*device, *bits)));
        first.into_iter().chain(rest).collect()
    }
}

fn access_bits(text: &str) -> Result<u8, Error> {
    if text.is_empty() {
        return Ok(ALL);
    }
    text.chars().try_fold(0, |bits, c| match c {
        'r' => Ok(bits | READ),
        'w' => Ok(bits | WRITE),
        'm' => Ok(bits | MAKE),
        _ => Err(Error::invalid(format!("device rule: access {text:?} has more than r, w and m"))),
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
