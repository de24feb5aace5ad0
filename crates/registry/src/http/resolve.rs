//! Names to addresses, by the system's resolv.conf and hosts files. Never through the C library: the program is static,
//! and the name service modules that it would load need the very glibc it was linked with.

use std::fs;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;

use super::failure::{Failure, Trouble};

const FILES: [&str; 2] = ["/etc/resolv.conf", "/etc/hosts"];

type Stamp = [Option<SystemTime>; 2];

type Known = (Stamp, Arc<TokioResolver>);

/// Clones are the same resolver.
#[derive(Clone, Default)]
pub(crate) struct Names(Arc<Mutex<Option<Known>>>);

impl Names {
    /// The addresses of a host; a literal address is its own.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Failure> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![address]);
        }
        let none = |why: String| Failure::new(Trouble::Name, format!("dial tcp: lookup {host}: {why}"));
        let found = self.resolver().map_err(none)?.lookup_ip(host).await;
        let found = found.map_err(|e| {
            none(if e.is_no_records_found() || e.is_nx_domain() {
                "no such host".to_owned()
            } else {
                e.to_string()
            })
        })?;
        let addresses = interleave(found.iter());
        if addresses.is_empty() { Err(none("no such host".to_owned())) } else { Ok(addresses) }
    }

    /// The resolver, made anew after one of its files was changed.
    fn resolver(&self) -> Result<Arc<TokioResolver>, String> {
        let stamp = FILES.map(|file| fs::metadata(file).and_then(|m| m.modified()).ok());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((seen, resolver)) = &*known
            && *seen == stamp
        {
            return Ok(Arc::clone(resolver));
        }
        let mut builder = TokioResolver::builder_tokio().map_err(|e| e.to_string())?;
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        let resolver = Arc::new(builder.build().map_err(|e| e.to_string())?);
        *known = Some((stamp, Arc::clone(&resolver)));
        Ok(resolver)
    }
}

/// IPv6 and IPv4 by turns (RFC 8305, section 4).
fn interleave(addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let (six, four): (Vec<_>, Vec<_>) = addresses.partition(IpAddr::is_ipv6);
    let longest = six.len().max(four.len());
    (0..longest).flat_map(|i| [six.get(i), four.get(i)].into_iter().flatten().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let list = ["10.0.0.1", "10.0.0.2", "::1"].map(|a| a.parse::<IpAddr>().unwrap());
        let order: Vec<String> = interleave(list.into_iter()).iter().map(ToString::to_string).collect();
        assert_eq!(order, ["::1", "10.0.0.1", "10.0.0.2"]);
    }

    #[tokio::test]
    async fn literal_addresses_and_the_hosts_file() {
        let names = Names::default();
        assert_eq!(names.addresses("192.0.2.7").await.unwrap(), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        assert!(names.addresses("localhost").await.unwrap().iter().all(IpAddr::is_loopback));
        let failure = names.addresses("no-such-host.invalid").await.unwrap_err();
        assert_eq!(failure.trouble, Trouble::Name, "{failure:?}");
    }
}
