//! Which addresses of a subnet are taken: one bit each.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// The addresses of a subnet. The network's own, the gateway's (the first) and the broadcast address are always taken.
/// Addresses are handed out in rising order and reused only after the whole subnet was gone through, so that a
/// neighbour's stale ARP entry does not lead to a new container.
#[derive(Clone, Debug)]
pub struct Addresses {
    subnet: Ipv4Net,
    taken: Vec<u64>,
    cursor: u32,
}

impl Addresses {
    /// All addresses of `subnet` but the reserved ones are free.
    #[must_use]
    pub fn new(subnet: Ipv4Net) -> Self {
        let subnet = subnet.trunc();
        let mut all = Self { subnet, taken: Vec::new(), cursor: 2 };
        all.taken = vec![0; (all.size() as usize).div_ceil(64)];
        for offset in [0, 1, all.size() - 1] {
            all.set(offset, true);
        }
        all
    }

    /// The subnet.
    #[must_use]
    pub const fn subnet(&self) -> Ipv4Net {
        self.subnet
    }

    /// The gateway: the bridge's own address, the subnet's first.
    #[must_use]
    pub fn gateway(&self) -> Ipv4Addr {
        self.at(1)
    }

    /// Takes the next free address; nothing when all are taken.
    pub fn take(&mut self) -> Option<Ipv4Addr> {
        let size = self.size();
        let offset = (self.cursor..size).chain(0..self.cursor).find(|offset| !self.is_set(*offset))?;
        self.set(offset, true);
        self.cursor = (offset + 1) % size;
        Some(self.at(offset))
    }

    /// Takes this address. Whether it was free and of this subnet.
    pub fn take_this(&mut self, address: Ipv4Addr) -> bool {
        match self.offset(address) {
            Some(offset) if !self.is_set(offset) => {
                self.set(offset, true);
                true
            }
            _ => false,
        }
    }

    /// Gives an address back. The reserved ones stay taken.
    pub fn free(&mut self, address: Ipv4Addr) {
        if let Some(offset) = self.offset(address).filter(|o| *o > 1 && *o + 1 < self.size()) {
            self.set(offset, false);
        }
    }

    /// Whether an address is of this subnet and taken.
    #[must_use]
    pub fn is_taken(&self, address: Ipv4Addr) -> bool {
        self.offset(address).is_some_and(|offset| self.is_set(offset))
    }

    /// How many addresses are taken, the reserved ones included.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.taken.iter().map(|word| word.count_ones()).sum()
    }

    fn size(&self) -> u32 {
        1 << (32 - self.subnet.prefix_len())
    }

    fn at(&self, offset: u32) -> Ipv4Addr {
        (u32::from(self.subnet.network()) + offset).into()
    }

    fn offset(&self, address: Ipv4Addr) -> Option<u32> {
        self.subnet.contains(&address).then(|| u32::from(address) - u32::from(self.subnet.network()))
    }

    fn is_set(&self, offset: u32) -> bool {
        self.taken[(offset / 64) as usize] & 1 << (offset % 64) != 0
    }

    fn set(&mut self, offset: u32, taken: bool) {
        let (word, bit) = (&mut self.taken[(offset / 64) as usize], 1 << (offset % 64));
        if taken { *word |= bit } else { *word &= !bit }
    }
}
