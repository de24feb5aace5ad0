//! The leash on decompression: an absolute cap, and a ratio to what went in.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use types::{Kind, weak};

use crate::error::Error;
use crate::options::Options;

/// Counts the bytes that pass, readable from elsewhere.
pub(crate) struct Counted<R> {
    input: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Counted<R> {
    pub(crate) fn new(input: R) -> (Self, Arc<AtomicU64>) {
        let count = Arc::new(AtomicU64::new(0));
        (Self { input, count: Arc::clone(&count) }, count)
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// How much a stream may give.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    most: u64,
    ratio: u64,
    ratio_floor: u64,
}

impl Bound {
    pub(crate) fn archive(options: &Options) -> Self {
        Self { most: options.archive_bytes, ratio: options.ratio, ratio_floor: options.ratio_floor }
    }

    pub(crate) fn layer(options: &Options) -> Self {
        Self { most: options.layer_bytes, ..Self::archive(options) }
    }

    fn check(&self, given: u64, taken: u64) -> Result<(), Error> {
        if given > self.most {
            let most = types::print_bytes(self.most);
            return Err(Error::new(Kind::Exhausted, format!("it unpacks to more than the allowed {most}")));
        }
        if given > self.ratio_floor && given / self.ratio > taken && !weak::is_off("I11") {
            let what = format!("it inflates more than {} times: this looks like a bomb", self.ratio);
            return Err(Error::new(Kind::Exhausted, what));
        }
        Ok(())
    }
}

/// Fails once its input gave more than the bound allows.
pub(crate) struct Bounded<R> {
    input: R,
    bound: Bound,
    given: u64,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Bounded<R> {
    /// `taken`: how many compressed bytes `input` was made of so far.
    pub(crate) fn new(input: R, bound: Bound, taken: Arc<AtomicU64>) -> Self {
        Self { input, bound, given: 0, taken }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.given += count as u64;
        self.bound.check(self.given, self.taken.load(Ordering::Relaxed)).map_err(io::Error::other)?;
        Ok(count)
    }
}
