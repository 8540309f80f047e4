//! Whom an address belongs to.

use std::net::{IpAddr, Ipv6Addr};

/// What counts as one sender: an IPv4 address, or the /64 that an IPv6 customer has whole. Counting single IPv6
/// addresses would count nothing.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}
