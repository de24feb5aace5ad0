//! One 512-byte header block (POSIX ustar, GNU tar's manual "Basic Tar Format").

use types::weak;

use crate::entry::{Device, Time};
use crate::error::Error;
use crate::number;

pub(crate) const BLOCK: usize = 512;

/// Which dialect the magic names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    V7,
    Posix,
    Gnu,
}

/// A header block whose checksum and magic are right. Fields are read on demand.
pub(crate) struct Header<'a> {
    block: &'a [u8; BLOCK],
    pub(crate) format: Format,
}

impl<'a> Header<'a> {
    pub(crate) fn parse(block: &'a [u8; BLOCK]) -> Result<Self, Error> {
        let sum = number::parse(&block[148..156]);
        if sum != Some(checksum(block, false)) && sum != Some(checksum(block, true)) {
            return Err(Error::malformed("not a tar header (its checksum is wrong)"));
        }
        let format = match &block[257..265] {
            b"ustar\x0000" => Format::Posix,
            b"ustar  \0" => Format::Gnu,
            [0, 0, 0, 0, 0, 0, 0, 0] => Format::V7,
            _ => return Err(Error::malformed("the header is of an unknown tar format")),
        };
        if format == Format::Posix && &block[508..512] == b"tar\0" {
            return Err(Error::malformed("the header is of star's own tar format"));
        }
        let header = Self { block, format };
        header.check_numbers()?;
        header.check_dialect()?;
        Ok(header)
    }

    /// Every number must be one, also where it says nothing: other readers stop at such a header, or take the bytes for
    /// something else.
    fn check_numbers(&self) -> Result<(), Error> {
        let always = [100..108, 108..116, 116..124, 124..136, 136..148];
        let devices = [329..337, 337..345];
        let is_device = matches!(self.typeflag(), b'3' | b'4');
        // GNU tar takes blanks for no number; what says nothing may be blank.
        let is_blank = |field: &[u8]| field[0] == b' ' && field.iter().all(|byte| matches!(byte, b' ' | 0));
        let is_number = |field: &[u8]| number::parse(field).is_some() && !is_blank(field);
        let good = always.into_iter().all(|field| is_number(&self.block[field]))
            && devices.into_iter().all(|field| {
                let field = &self.block[field];
                is_number(field) || (!is_device && is_blank(field))
            });
        if good { Ok(()) } else { Err(Error::malformed("a number in the header is not one")) }
    }

    /// What one dialect has and others read otherwise.
    fn check_dialect(&self) -> Result<(), Error> {
        if self.typeflag() == b'S' && self.format != Format::Gnu {
            return Err(Error::malformed("a sparse file of GNU's old kind has a header that is not GNU's"));
        }
        // GNU tar keeps an access time where POSIX has the name's beginning; Go and Python take it for that, Python in every dialect.
        match self.format != Format::Posix && self.block[345] != 0 {
            false => Ok(()),
            true => Err(Error::malformed("the header has an access time, which others read as a name")),
        }
    }

    pub(crate) fn typeflag(&self) -> u8 {
        self.block[156]
    }

    /// Prefix and name joined.
    pub(crate) fn name(&self) -> Vec<u8> {
        let name = text(&self.block[0..100]);
        let prefix = if self.format == Format::Posix { text(&self.block[345..500]) } else { &[] };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    pub(crate) fn link(&self) -> Vec<u8> {
        text(&self.block[157..257]).to_vec()
    }

    pub(crate) fn size(&self) -> Result<u64, Error> {
        self.number(124..136, "size", 0, i64::MAX).map(|n| n as u64)
    }

    /// Old writers put the file type there too; only the permission bits count.
    pub(crate) fn mode(&self) -> Result<u32, Error> {
        self.number(100..108, "mode", 0, i64::from(u32::MAX)).map(|n| n as u32 & 0o7777)
    }

    pub(crate) fn uid(&self) -> Result<i64, Error> {
        self.number(108..116, "owner", 0, i64::MAX)
    }

    pub(crate) fn gid(&self) -> Result<i64, Error> {
        self.number(116..124, "group", 0, i64::MAX)
    }

    pub(crate) fn mtime(&self) -> Result<Time, Error> {
        self.number(136..148, "time", i64::MIN, i64::MAX).map(|seconds| Time { seconds, nanos: 0 })
    }

    pub(crate) fn device(&self) -> Result<Device, Error> {
        let major = self.number(329..337, "device number", 0, 0xfff)? as u32;
        let minor = self.number(337..345, "device number", 0, 0xf_ffff)? as u32;
        Ok(Device { major, minor })
    }

    /// GNU's sparse fields: four map slots, whether more blocks follow, and the real size.
    pub(crate) fn gnu_sparse(&self) -> Result<(&'a [u8], bool, u64), Error> {
        let real = self.number(483..495, "real size", 0, i64::MAX)? as u64;
        Ok((&self.block[386..482], self.block[482] != 0, real))
    }

    fn number(&self, at: std::ops::Range<usize>, what: &str, low: i64, high: i64) -> Result<i64, Error> {
        number::parse(&self.block[at])
            .filter(|n| (low..=high).contains(n) || weak::is_off("I13"))
            .ok_or_else(|| Error::malformed(format!("the header's {what} is not a number in range")))
    }
}

/// Up to the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|b| *b == 0).next().unwrap_or_default()
}

/// The sum of all bytes with the checksum field taken as spaces; very old writers summed signed bytes.
pub(crate) fn checksum(block: &[u8; BLOCK], signed: bool) -> i64 {
    block.iter().enumerate().fold(0, |sum, (index, byte)| {
        sum + match (index, signed) {
            (148..156, _) => i64::from(b' '),
            (_, true) => i64::from(*byte as i8),
            (_, false) => i64::from(*byte),
        }
    })
}
